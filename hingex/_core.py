# SPDX-License-Identifier: BSD-3-Clause
"""The gateway to compiled code: the only module of hingex that imports extension modules."""

from functools import cache
from importlib import import_module
from typing import Any


@cache
def kernels(name: str) -> Any:
    """Return the compiled module ``hingex._<name>``, for example ``kernels("rows").Rows``.

    Raises
    ------
    ImportError
        If the module was not built, or was built for another Python.
    """
    try:
        return import_module("hingex._" + name)
    except ImportError as error:
        raise ImportError(
            f"hingex's compiled module _{name} cannot be imported ({error}): install hingex "
            "(`pip install .`), and when Python runs in its source folder, start it elsewhere, "
            "because the folder hingex/ there holds no compiled code."
        ) from error
