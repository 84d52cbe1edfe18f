# SPDX-License-Identifier: BSD-3-Clause
"""What all losses share: metadata, weighted sums, and plain functions made of them.

A loss is a frozen dataclass of its parameters and says in class attributes or properties what it
is. A family (margin losses, multiclass losses, ...) is a subclass of `Loss` whose methods `value`,
`gradient` and `value_and_gradient` have the family's own arguments.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cached_property, lru_cache
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
    __array_ufunc__ = None  # np.float64(0.5) * loss is for __rmul__

    def value(self, *args: Any, **options: Any) -> Any:
        raise NotImplementedError

    def gradient(self, *args: Any, **options: Any) -> Any:
        raise NotImplementedError

    def value_and_gradient(self, *args: Any, **options: Any) -> Any:
        raise NotImplementedError

    def __call__(self, *args: Any, **options: Any) -> Any:
        """The same as `value`."""
        return self.value(*args, **options)

    def __getstate__(self) -> dict[str, Any]:
        """The parameters, without what is derived from them: compiled objects have no pickles."""
        return {name: value for name, value in vars(self).items()
                if not isinstance(getattr(type(self), name, None), cached_property)}

    def _parts(self) -> list[tuple[float, Loss]]:
        """The weighted sum that this loss is."""
        return [(1.0, self)]

    @classmethod
    def _mixture(cls, parts: list[tuple[float, Loss]]) -> Loss:
        """The weighted sum of losses of this family."""
        return Mixture(parts)

    def __mul__(self, factor: Any) -> Loss:
        if not is_real(factor):
            return NotImplemented
        parts = [(as_float(factor) * c, part) for c, part in self._parts()]
        if not all(isfinite(c) for c, _ in parts):
            raise ValueError(f"the factor of a loss must be finite; got {factor!r} times {self}")
        return self._family._mixture(parts)

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Loss:
        if not isinstance(other, Loss):
            return NotImplemented
        if self._family is not other._family:
            raise TypeError(f"{self} and {other} cannot be added: they take different arguments "
                            f"({self._family.__name__}, {other._family.__name__})")
        return self._family._mixture(self._parts() + other._parts())


def is_real(value: Any) -> bool:
    """Whether this is a real number; no bool."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def as_float(number: Any) -> float:
    """A real number as Python's float, infinite if it is beyond."""
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else -float("inf")


class Mixture(Loss):
    """The weighted sum of losses of one family, as ``0.9 * CrammerSinger() + 0.1 * CrossEntropy()``
    makes it.

    Convex if the parts are and no weight is negative. `lipschitz` and `smoothness` are upper
    bounds: sums of the parts' own. A part with weight 0 beside others counts for nothing, infinite
    or not.
    """

    def __init__(self, parts: list[tuple[float, Loss]]) -> None:
        self.parts = tuple(parts)
        self._family = parts[0][1]._family

    def _parts(self) -> list[tuple[float, Loss]]:
        return list(self.parts)

    @property
    def _counting(self) -> list[tuple[float, Any]]:
        """The parts with a weight."""
        return [(c, part) for c, part in self.parts if c != 0]

    @property
    def _computed(self) -> list[tuple[float, Any]]:
        return self._counting or [self.parts[0]]

    def __repr__(self) -> str:
        return " + ".join(f"{c:g}*{part}" for c, part in self.parts)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.parts == self.parts  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(self.parts)

    @property
    def is_convex(self) -> bool:  # type: ignore[override]
        return all(part.is_convex and c >= 0 for c, part in self._counting)

    @property
    def is_differentiable(self) -> bool:  # type: ignore[override]
        return all(part.is_differentiable for _, part in self._counting)

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        return float(sum(abs(c) * part.lipschitz for c, part in self._counting))

    @property
    def smoothness(self) -> float:  # type: ignore[override]
        return float(sum(abs(c) * part.smoothness for c, part in self._counting))

    def value(self, *args: Any, **options: Any) -> Any:
        """Sum of the parts' values."""
        return _sum([_times(c, part.value(*args, **options)) for c, part in self._computed])

    def gradient(self, *args: Any, **options: Any) -> Any:
        """Sum of the parts' derivatives."""
        return self.value_and_gradient(*args, **options)[1]

    def value_and_gradient(self, *args: Any, **options: Any) -> Any:
        """Both sums, from one pass for each part."""
        both = [part.value_and_gradient(*args, **options) for _, part in self._computed]
        factors = [c for c, _ in self._computed]
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


@lru_cache(maxsize=256, typed=True)  # True is no 1.0: it is to be refused whatever came before
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
    plain: Any = cls() if all(p.default is not p.empty for p in own) else None

    def function(*args: Any, **options: Any) -> Any:
        if plain is not None and names.isdisjoint(options):
            return plain.value(*args, **options)
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
    example = getattr(cls, "_example", None)
    if example is not None:
        function.__doc__ += (
            f"\nExamples\n--------\n>>> from hingex.losses import {cls.__name__}, {name}\n"
            f">>> {name}({example}) == {cls.__name__}().value({example})\nTrue\n"
        )
    function.__signature__ = value.replace(  # type: ignore[attr-defined]
        parameters=given[:cut] + own + given[cut:])
    return function
