# SPDX-License-Identifier: BSD-3-Clause
"""What all losses share: metadata, weighted sums, and plain functions made of them.

A loss is a frozen dataclass of its parameters and says in class attributes or properties what it
is. A family (margin losses, multiclass losses, ...) is a subclass of `Loss` whose methods `value`,
`gradient` and `value_and_gradient` have the family's own arguments.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from math import isfinite
from typing import Any

import numpy as np


class Loss:
    """Base of all losses.

    Attributes
    ----------
    is_convex : bool
        In the scores.
    is_differentiable : bool
        Everywhere.
    lipschitz : float
        A constant L with |phi(a) - phi(b)| <= L ||a - b||, the least one unless the loss says
        otherwise; inf if there is none.
    smoothness : float
        The same for the derivative.
    """

    is_convex: Any = True
    is_differentiable: Any = False
    lipschitz: Any = np.inf
    smoothness: Any = np.inf

    _family: type[Loss]  # the class whose subclasses may be added to each other

    def value(self, *args: Any, **options: Any) -> Any:
        raise NotImplementedError

    def gradient(self, *args: Any, **options: Any) -> Any:
        raise NotImplementedError

    def value_and_gradient(self, *args: Any, **options: Any) -> Any:
        raise NotImplementedError

    def __call__(self, *args: Any, **options: Any) -> Any:
        """The same as `value`."""
        return self.value(*args, **options)

    def _parts(self) -> list[tuple[float, Loss]]:
        """The weighted sum that this loss is."""
        return [(1.0, self)]

    @classmethod
    def _mixture(cls, parts: list[tuple[float, Loss]]) -> Loss:
        """The weighted sum of losses of this family."""
        return Mixture(parts)

    def __mul__(self, factor: Any) -> Loss:
        if isinstance(factor, bool) or not isinstance(factor, int | float | np.number):
            return NotImplemented
        if not isfinite(factor):
            raise ValueError(f"the factor of a loss must be finite; got {factor}")
        return self._family._mixture([(float(factor) * c, part) for c, part in self._parts()])

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Loss:
        if not isinstance(other, Loss):
            return NotImplemented
        if self._family is not other._family:
            raise TypeError(f"{self} and {other} cannot be added: they take different arguments "
                            f"({self._family.__name__}, {other._family.__name__})")
        return self._family._mixture(self._parts() + other._parts())


class Mixture(Loss):
    """The weighted sum of losses of one family, as ``0.9 * CrammerSinger() + 0.1 * CrossEntropy()``
    makes it.

    Convex if the parts are and no weight is negative. `lipschitz` and `smoothness` are upper
    bounds: sums of the parts' own.
    """

    def __init__(self, parts: list[tuple[float, Loss]]) -> None:
        self.parts = tuple(parts)
        self._family = parts[0][1]._family

    def _parts(self) -> list[tuple[float, Loss]]:
        return list(self.parts)

    def __repr__(self) -> str:
        return " + ".join(f"{c:g}*{part}" for c, part in self.parts)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.parts == self.parts  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(self.parts)

    @property
    def is_convex(self) -> bool:  # type: ignore[override]
        return all(part.is_convex and c >= 0 for c, part in self.parts)

    @property
    def is_differentiable(self) -> bool:  # type: ignore[override]
        return all(part.is_differentiable for c, part in self.parts if c != 0)

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        return float(sum(abs(c) * part.lipschitz for c, part in self.parts if c != 0))

    @property
    def smoothness(self) -> float:  # type: ignore[override]
        return float(sum(abs(c) * part.smoothness for c, part in self.parts if c != 0))

    def value(self, *args: Any, **options: Any) -> Any:
        """Sum of the parts' values."""
        return _sum([_times(c, part.value(*args, **options)) for c, part in self.parts])

    def gradient(self, *args: Any, **options: Any) -> Any:
        """Sum of the parts' derivatives."""
        return self.value_and_gradient(*args, **options)[1]

    def value_and_gradient(self, *args: Any, **options: Any) -> Any:
        """Both sums, from one pass for each part."""
        both = [part.value_and_gradient(*args, **options) for _, part in self.parts]
        factors = [c for c, _ in self.parts]
        return tuple(_sum([_times(c, pair[i]) for c, pair in zip(factors, both, strict=True)])
                     for i in (0, 1))


def _times(c: float, x: Any) -> Any:
    """c x, for a number, an array (which keeps its precision), or a tuple of them."""
    if isinstance(x, tuple):
        return tuple(_times(c, one) for one in x)
    return np.multiply(c, x, dtype=x.dtype) if isinstance(x, np.ndarray | np.generic) else c * x


def _sum(terms: list[Any]) -> Any:
    """The sum of numbers or arrays, or, element by element, of tuples of them."""
    if isinstance(terms[0], tuple):
        return tuple(_sum(list(each)) for each in zip(*terms, strict=True))
    return sum(terms[1:], start=terms[0])


@lru_cache(maxsize=256)
def _made(cls: Any, **parameters: Any) -> Any:
    return cls(**parameters)


def as_function(cls: type[Loss], name: str) -> Callable[..., Any]:
    """The value of the loss `cls` as a function that takes its parameters as keywords, too."""
    own = [p.replace(kind=p.KEYWORD_ONLY) for p in inspect.signature(cls).parameters.values()]
    names = frozenset(p.name for p in own)
    value = inspect.signature(cls.value)
    given = list(value.parameters.values())[1:]
    cut = next((i for i, p in enumerate(given) if p.kind is p.KEYWORD_ONLY), len(given))

    made: Any = _made

    def function(*args: Any, **options: Any) -> Any:
        parameters = {key: options.pop(key) for key in names & options.keys()}
        try:
            loss = made(cls, **parameters)
        except TypeError:  # unhashable; or wrong, and then said here
            loss = cls(**parameters)
        return loss.value(*args, **options)

    function.__name__ = function.__qualname__ = name
    function.__module__ = cls.__module__
    function.__doc__ = (
        f"Value of `{cls.__name__}` without making an object of it.\n\n"
        f"    {name}(..., option=x) == {cls.__name__}(option=x).value(...)\n\n"
        f"See `{cls.__name__}` for the formula and what its parameters are, and its method `value` "
        "for the\nother arguments.\n"
    )
    function.__signature__ = value.replace(  # type: ignore[attr-defined]
        parameters=given[:cut] + own + given[cut:])
    return function
