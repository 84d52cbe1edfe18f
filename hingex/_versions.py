# SPDX-License-Identifier: BSD-3-Clause
"""Versions and facts of the build, for bug reports."""

from typing import Any

from ._core import kernels
from ._threads import n_threads

_PACKAGES = ("numpy", "scipy", "scikit-learn", "pandas", "joblib", "threadpoolctl", "matplotlib",
             "tqdm", "click")


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return kernels("build").version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def build_info() -> dict[str, Any]:
    """How this copy of hingex was built, and what it uses on this machine.

    Returns
    -------
    dict
        version : str; compiler : str; instruction_set : str, the dense kernels chosen at run
        time; openmp : int or None, the OpenMP version as yyyymm; safe_build : bool, whether
        bounds are checked; threads : int, what ``n_jobs=None`` means here and now.

    Examples
    --------
    >>> import hingex
    >>> sorted(hingex.build_info())[:2]
    ['compiler', 'instruction_set']
    """
    return {**kernels("build").build_info(), "threads": n_threads()}


def show_versions() -> None:
    """Print versions of Python, hingex and the packages around it, for bug reports.

    Examples
    --------
    >>> import hingex
    >>> hingex.show_versions()  # doctest: +ELLIPSIS, +NORMALIZE_WHITESPACE
    python: ...
    """
    import platform
    from importlib.metadata import PackageNotFoundError, version

    facts: dict[str, Any] = {
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": platform.platform(),
    }
    facts |= {"hingex" if key == "version" else key: value for key, value in build_info().items()}
    for package in _PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    width = max(map(len, facts))
    for key, value in facts.items():
        print(f"{key.replace('_', ' '):>{width}}: {value}")
