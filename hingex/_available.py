# SPDX-License-Identifier: BSD-3-Clause
"""Methods that an estimator has under a condition only, such as `predict_proba`.

Tools ask `hasattr(model, "predict_proba")`, and go by the `__name__` of what they get. A property
that hands out another method answers the first question and spoils the second.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import MethodType
from typing import Any


class Available:
    """A method that is there where `refuse(instance)` raises no AttributeError.

    It keeps name, signature and docstring, on the class and on instances.
    """

    def __init__(self, function: Callable[..., Any], refuse: Callable[[Any], None]) -> None:
        self._function, self._refuse = function, refuse
        self.__doc__ = function.__doc__

        @wraps(function)
        def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
            refuse(self)
            return function(self, *args, **kwargs)

        self._checked = checked  # what the class has, ``SVC.predict_proba``

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self._checked
        self._refuse(instance)
        return MethodType(self._function, instance)


def available(refuse: Callable[[Any], None]) -> Callable[[Callable[..., Any]], Any]:
    """Decorator of a method that is there unless `refuse(instance)` raises AttributeError."""
    return lambda function: Available(function, refuse)


def missing(instance: Any) -> set[str]:
    """Names of the methods that the class declares and this instance cannot offer now."""
    names = {name for cls in type(instance).__mro__ for name, value in vars(cls).items()
             if isinstance(value, Available)}
    return {name for name in names if not hasattr(instance, name)}
