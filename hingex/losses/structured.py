# SPDX-License-Identifier: BSD-3-Clause
"""The structured hinge loss: of a linear model that scores whole outputs by a joint feature.

The model predicts the output y' (a class, a sequence, a tree, ...) with the highest score
w . joint_feature(x, y'). What outputs there are and how the best of them is found is the model's
own: an oracle with three methods, see `StructuredOracle`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .. import _scores as gate
from .. import _validate as check
from ._base import Loss

__all__ = [  # all that is public here
    "StructuredOracle", "StructuredHinge", "structured_hinge_loss", "EnumerationOracle",
]

RESCALINGS = ("margin", "slack")
_METHODS = {"joint_feature": "(x, y)", "loss": "(y, y_other)",
            "loss_augmented_argmax": "(w, x, y, rescaling)"}
_ROUNDING = 1e-6  # relative, for oracles that compute in single precision


class StructuredOracle(Protocol):
    """What a model says about its outputs: the three methods that `StructuredHinge` calls.

    No base class: any object that has them will do.

    Examples
    --------
    >>> class Sign:
    ...     def joint_feature(self, x, y):
    ...         return np.array([y * x])
    ...     def loss(self, y, y_other):
    ...         return float(y != y_other)
    ...     def loss_augmented_argmax(self, w, x, y_true, rescaling):
    ...         return max((-1, 1), key=lambda y: self.loss(y_true, y) + y * x * w[0])
    >>> StructuredHinge(Sign()).value(np.array([0.25]), [1.0], [1])
    0.5
    """

    def joint_feature(self, x: Any, y: Any) -> Any:
        """phi(x, y): a dense vector of the length of w."""

    def loss(self, y: Any, y_other: Any) -> float:
        """Delta(y, y_other), the cost of predicting y_other for y: not negative, 0 for y itself."""

    def loss_augmented_argmax(self, w: np.ndarray, x: Any, y: Any, rescaling: str) -> Any:
        """The output y' that violates the margin most, y included; of several always the same.

        With rescaling "margin" it maximises Delta(y, y') + w . phi(x, y'), with "slack"
        Delta(y, y') (1 + w . phi(x, y') - w . phi(x, y)). An oracle that can do only one of these
        should raise for the other.
        """


@dataclass(frozen=True)
class StructuredHinge(Loss):
    """Structured hinge loss, an upper bound on the cost of the model's prediction; convex in w.

    Margin rescaling::

        max_y' (Delta(y, y') + w . phi(x, y')) - w . phi(x, y)

    Slack rescaling::

        max_y' Delta(y, y') (1 + w . phi(x, y') - w . phi(x, y))

    with phi the joint feature and Delta the cost. With y* the maximiser, phi(x, y*) - phi(x, y) is
    a subgradient in w, times Delta(y, y*) with slack rescaling; where the loss is 0, 0 is reported,
    the one of smallest norm. With the classes as outputs, cost 1 and margin rescaling it is
    `CrammerSinger`.

    Parameters
    ----------
    oracle : object with the methods of `StructuredOracle`
    rescaling : {"margin", "slack"}, default "margin"
        Slack rescaling does not ask for larger margins than 1 from outputs of great cost, but its
        maximisation is harder.

    Raises
    ------
    TypeError
        If the oracle lacks one of the three methods; its name is said.

    References
    ----------
    I. Tsochantaridis, T. Joachims, T. Hofmann and Y. Altun, "Large margin methods for structured
    and interdependent output variables", JMLR 6, 2005. Margin rescaling: B. Taskar, C. Guestrin and
    D. Koller, "Max-margin Markov networks", NeurIPS 2003.

    Examples
    --------
    Three classes; the joint feature has x in the place of the class:

    >>> oracle = EnumerationOracle([0, 1, 2], lambda x, y: np.kron(np.eye(3)[y], x),
    ...                            lambda y, other: float(y != other))
    >>> w = np.array([1.0, 0.0, 0.0, 1.0, -1.0, -1.0])
    >>> StructuredHinge(oracle).value(w, [[2.0, 1.5]], [0])
    0.5
    """

    oracle: Any
    rescaling: str = "margin"

    def __post_init__(self) -> None:
        for name, arguments in _METHODS.items():
            if not callable(getattr(self.oracle, name, None)):
                raise TypeError(
                    f"oracle of type {type(self.oracle).__name__} has no method {name}{arguments}; "
                    f"StructuredHinge needs {', '.join(_METHODS)}")
        check.choice("rescaling", self.rescaling, RESCALINGS)

    def value(self, w: Any, X: Any, Y: Any, *, sample_weight: Any = None,
              reduction: str = "mean") -> Any:
        """The loss of every sample, reduced.

        Parameters
        ----------
        w : array-like, shape (d,)
            The model's weights.
        X, Y : sequences of length n
            Inputs and their true outputs, as the oracle understands them.
        sample_weight : array-like, shape (n,), optional
            Finite and not negative: multiplies the losses.
        reduction : {"mean", "sum", "none"}, default "mean"
            The (weighted) mean, i.e. sum(w loss) / sum(w), the sum, or every w loss.

        Returns
        -------
        float, or ndarray (n,) of the precision of `w` for reduction "none"

        Raises
        ------
        ValueError
            If X and Y differ in length; if a joint feature is no vector of length d, or a cost
            negative, or not 0 for the truth itself; if what the oracle returns as the maximiser is
            worse than the truth; for the mean of no samples, or a wrong `reduction` or
            `sample_weight`.
        TypeError
            For sparse joint features, and costs that are no numbers.

        Notes
        -----
        One call of `loss_augmented_argmax` and two of `joint_feature` and `loss` for each sample,
        O(n d) besides. A NaN in `w` or in a joint feature makes losses and derivatives NaN.
        """
        return self._evaluate(w, X, Y, sample_weight, reduction, False)[0]

    def gradient(self, w: Any, X: Any, Y: Any, *, sample_weight: Any = None,
                 reduction: str = "mean") -> Any:
        """Subgradient of the reduced value with respect to w. See `value`.

        Returns
        -------
        ndarray (d,) of the precision of `w`; (n, d), a row for each sample, for reduction "none"
        """
        return self._evaluate(w, X, Y, sample_weight, reduction, True)[1]

    def value_and_gradient(self, w: Any, X: Any, Y: Any, *, sample_weight: Any = None,
                           reduction: str = "mean") -> tuple[Any, Any]:
        """`value` and `gradient` from the same calls of the oracle."""
        return self._evaluate(w, X, Y, sample_weight, reduction, True)

    def _evaluate(self, w: Any, X: Any, Y: Any, sample_weight: Any, reduction: str,
                  gradient: bool) -> tuple[Any, Any]:
        gate.reduced(reduction)
        w = gate.scores(w, "w")
        if w.ndim != 1:
            raise ValueError(f"w.shape == {w.shape}, expected (d,)")
        X, Y = list(X), list(Y)
        n = len(X)
        if len(Y) != n:
            raise ValueError(f"X has {n} samples, but Y has {len(Y)}: one true output per sample")
        each = reduction == "none"
        weights = None if sample_weight is None else gate.weights(sample_weight, (n,))
        scale = gate.mean_scale(n, weights, "X") if reduction == "mean" else 1.0
        factors = scale * (np.ones(n) if weights is None else weights.astype(np.float64))
        values = np.empty(n)
        slopes = np.zeros((n if each else 1, w.size) if gradient else (0, 0))
        exact = w.astype(np.float64)
        for i, (x, y) in enumerate(zip(X, Y, strict=True)):
            values[i], direction = self._sample(i, w, exact, x, y)
            if gradient and direction is not None:
                slopes[i if each else 0] += factors[i] * direction
        values *= factors
        with np.errstate(over="ignore"):
            slopes = slopes.astype(w.dtype)
            if each:
                return values.astype(w.dtype), slopes
        return float(values.sum()), slopes[0] if gradient else None

    def _sample(self, i: int, w: np.ndarray, exact: np.ndarray, x: Any, y: Any
                ) -> tuple[float, np.ndarray | None]:
        """Loss of sample i and a subgradient, None for zero."""
        other = self.oracle.loss_augmented_argmax(w, x, y, self.rescaling)
        features = self._feature(i, x, other, w.size), self._feature(i, x, y, w.size)
        with np.errstate(invalid="ignore"):  # of infinite features: NaN
            difference = features[0] - features[1]
        cost = self._cost(i, y, other)
        if (own := self._cost(i, y, y)) != 0:
            raise ValueError(f"oracle.loss(y, y) is {own:g} for sample {i}; the cost of the true "
                             "output must be 0")
        with np.errstate(invalid="ignore"):  # of infinite weights: NaN
            parts = exact * difference
            score = float(parts.sum())
        value = cost + score if self.rescaling == "margin" else cost * (1 + score)
        if np.isnan(value):
            return value, np.full(w.size, np.nan)
        largest = max(1.0, cost) * (1.0 + float(np.abs(parts).sum()))
        if value < -_ROUNDING * largest:
            raise ValueError(
                f"oracle.loss_augmented_argmax returned for sample {i} an output that is worse "
                f"than the true one: {value:g} where that has 0, so it is no maximiser for "
                f"rescaling={self.rescaling!r}. Is the true output among those it looks at?")
        if value <= 0:
            return 0.0, None
        return value, difference if self.rescaling == "margin" else cost * difference

    def _feature(self, i: int, x: Any, y: Any, d: int) -> np.ndarray:
        feature = self.oracle.joint_feature(x, y)
        if check.is_sparse(feature):
            raise TypeError("oracle.joint_feature returned a sparse vector; dense ones are needed: "
                            ".toarray().ravel()")
        array = np.asarray(gate.scores(feature, "oracle.joint_feature(x, y)"), np.float64)
        if array.shape != (d,):
            raise ValueError(f"oracle.joint_feature returned shape {array.shape} for sample {i}, "
                             f"expected ({d},) as w has")
        return array

    def _cost(self, i: int, y: Any, other: Any) -> float:
        returned = self.oracle.loss(y, other)
        try:
            cost = float(returned)
        except (TypeError, ValueError):
            raise TypeError(f"oracle.loss returned {check._show(returned)} for sample {i}, "
                            "expected a number") from None
        if not 0 <= cost < np.inf:
            raise ValueError(f"oracle.loss returned {cost:g} for sample {i}; costs must be finite "
                             "and not negative")
        return cost


StructuredHinge._family = StructuredHinge


def structured_hinge_loss(
    w: Any, X: Any, Y: Any, *, oracle: Any, rescaling: str = "margin", sample_weight: Any = None,
    reduction: str = "mean"
) -> Any:
    """Value of `StructuredHinge` without making an object of it.

    See `StructuredHinge` for the formula and for `oracle` and `rescaling`, and its method `value`
    for the other arguments.

    Examples
    --------
    >>> oracle = EnumerationOracle([0, 1], lambda x, y: np.array([x * y]), lambda a, b: abs(a - b))
    >>> structured_hinge_loss(np.array([0.25]), [1.0], [1], oracle=oracle)
    0.75
    """
    return StructuredHinge(oracle, rescaling).value(
        w, X, Y, sample_weight=sample_weight, reduction=reduction)


class EnumerationOracle:
    """An oracle that tries every output: for few outputs, and to check cleverer oracles with.

    Parameters
    ----------
    labels : sequence
        All outputs there are, the true ones included.
    joint_feature : callable
        joint_feature(x, y), a dense vector.
    loss : callable
        loss(y, y_other), not negative, 0 for equal outputs.

    Notes
    -----
    Of several maximisers it returns the first. O(len(labels) d) for each sample.

    Examples
    --------
    >>> joint_feature, loss = lambda x, y: np.array([x * y]), lambda a, b: float(a != b)
    >>> oracle = EnumerationOracle([0, 1], joint_feature, loss)
    >>> oracle.loss_augmented_argmax(np.array([0.5]), 1.0, 1, "margin")
    0
    """

    def __init__(self, labels: Sequence[Any], joint_feature: Callable[[Any, Any], Any],
                 loss: Callable[[Any, Any], float]) -> None:
        self.labels = list(labels)
        if not self.labels:
            raise ValueError("labels is empty; at least one output is needed")
        for name, function in (("joint_feature", joint_feature), ("loss", loss)):
            if not callable(function):
                raise TypeError(f"{name} must be callable; got {check._show(function)}")
        self.joint_feature = joint_feature
        self.loss = loss

    def __repr__(self) -> str:
        return f"EnumerationOracle({len(self.labels)} labels)"

    def loss_augmented_argmax(self, w: np.ndarray, x: Any, y: Any, rescaling: str) -> Any:
        """The first output that maximises what `rescaling` says, see `StructuredOracle`."""
        check.choice("rescaling", rescaling, RESCALINGS)
        truth = np.asarray(self.joint_feature(x, y), np.float64)
        features = np.array([self.joint_feature(x, other) for other in self.labels], np.float64)
        costs = np.array([self.loss(y, other) for other in self.labels], np.float64)
        with np.errstate(invalid="ignore"):  # of infinite weights: NaN
            scores = (features - truth) @ np.asarray(w, np.float64)
            violations = costs + scores if rescaling == "margin" else costs * (1 + scores)
        return self.labels[int(np.argmax(violations))]
