# SPDX-License-Identifier: BSD-3-Clause
"""Margin losses of two classes: phi(y f) for a label y of -1 or +1 and a score f.

The theory in the attributes and methods is that of P. L. Bartlett, M. I. Jordan and
J. D. McAuliffe, "Convexity, classification, and risk bounds", JASA 101, 2006.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, log, sqrt
from typing import Any

import numpy as np

from .. import _scores as gate
from .. import _validate as check
from .._core import kernels
from .._threads import n_threads
from ._base import Loss, Mixture, as_float, as_function, is_real

__all__ = [  # all that is public here
    "MarginLoss", "Hinge", "hinge_loss", "SquaredHinge", "squared_hinge_loss", "HuberizedHinge",
    "huberized_hinge_loss", "SmoothHinge", "smooth_hinge_loss", "ModifiedHuber",
    "modified_huber_loss", "SoftplusHinge", "softplus_hinge_loss", "Perceptron",
    "perceptron_loss", "Logistic", "logistic_loss", "Exponential", "exponential_loss",
    "Squared", "squared_loss", "Savage", "savage_loss", "Sigmoid", "sigmoid_loss", "Ramp",
    "ramp_loss", "ZeroOne", "zero_one_loss", "MarginMixture",
]

PARALLEL_FROM = 200_000  # scores; below, waking threads costs more than it saves

_losses = kernels("losses")


class MarginLoss(Loss):
    """Base of the margin losses phi(t), t = y f.

    Attributes
    ----------
    is_classification_calibrated : bool
        Whether small risk means few errors, whatever the distribution. A convex phi is if and only
        if phi'(0) exists and is negative (Bartlett, Jordan and McAuliffe 2006, Theorem 2).
    is_upper_bound_on_zero_one : bool
        Whether phi(t) >= 1 for all t <= 0, and phi >= 0.
    has_sparse_dual : bool
        Whether phi is convex and constant from some margin on: examples beyond it have no part in
        a solution.
    kinks : dict
        {t: (derivative to the left, derivative to the right)} where phi' jumps.
    conjugate_domain : tuple of float
        Where `conjugate` is finite, a closed interval.

    Notes
    -----
    Labels are -1 and +1. Others, {0, 1} and bool included, are refused unless `labels` says which
    of two is which. Scores may have any shape and strides; float32 and float64 are read where they
    lie, other types are converted. Losses are computed in the precision of the scores, sums in
    double precision; neither depends on the number of threads. At a kink the derivative is the
    subgradient of smallest norm. A NaN score has a loss and a derivative of NaN, an infinite one
    the limits.

    Examples
    --------
    >>> Hinge().kinks
    {1.0: (-1.0, 0.0)}
    >>> Hinge().gradient([1, -1], [0.5, 2.0], reduction="none").tolist()
    [-1.0, 1.0]
    """

    _example = "[1, -1], [0.5, 2.0]"  # of arguments of `value`, for docstrings

    has_sparse_dual: Any = False
    kinks: Any = {}  # noqa: RUF012
    conjugate_domain: Any = (-np.inf, np.inf)

    # ---- what a loss defines -----------------------------------------------------------------

    def _term(self) -> tuple[str, float, float]:
        """Name in core/margin_losses.h, and the parameters a and b there."""
        raise NotImplementedError

    def _conjugate(self, u: np.ndarray) -> np.ndarray:
        """The conjugate inside `conjugate_domain`; by default the supremum is searched for."""
        return _searched_conjugate(self, u)

    def _bayes_score(self, eta: np.ndarray) -> np.ndarray:
        """`bayes_score` for eta of 0.5..1; by default it is searched for, if phi is convex."""
        if not self.is_convex:
            raise ValueError(f"{self} is not convex: its Bayes score is not known")
        return _searched_bayes_score(self, eta)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_terms"}  # compiled

    # ---- values and derivatives ---------------------------------------------------------------

    def value(self, y: Any, f: Any, *, sample_weight: Any = None, reduction: str = "mean",
              labels: Any = None) -> Any:
        """phi(y f), reduced.

        Parameters
        ----------
        y : array-like
            -1 and +1, in the shape of `f`.
        f : array-like
            Scores.
        sample_weight : array-like, optional
            In the shape of `f`, finite and not negative: multiplies the losses.
        reduction : {"mean", "sum", "none"}, default "mean"
            The (weighted) mean, i.e. sum(w phi) / sum(w), the sum, or every w phi.
        labels : pair, optional
            (negative label, positive label) if `y` holds others than -1 and +1.

        Returns
        -------
        float, or ndarray in the shape of `f` and of its precision for reduction "none"

        Raises
        ------
        ValueError
            For labels that are not -1 and +1 (or `labels`), shapes that differ, a mean of nothing,
            or a wrong `reduction` or `sample_weight`.
        """
        return self._evaluate(y, f, labels, sample_weight, reduction, True, False)[0]

    def gradient(self, y: Any, f: Any, *, sample_weight: Any = None, reduction: str = "mean",
                 labels: Any = None, out: Any = None) -> Any:
        """Derivative of the reduced value with respect to every score: w y phi'(y f) / sum(w).

        The divisor is that of the mean; "sum" and "none" have none. For the other parameters see
        `value`.

        Parameters
        ----------
        out : ndarray, optional
            Where the derivatives are written, and then returned: C-contiguous, of the shape and
            precision of `f`, and apart from the other arrays. Saves the memory of large arrays
            from being taken anew, which can cost more than the loss. After an error its elements
            are any numbers.

        Returns
        -------
        ndarray in the shape of `f` and of its precision

        Raises
        ------
        TypeError, ValueError
            For an `out` that is no such array, and like `value`.
        """
        return self._evaluate(y, f, labels, sample_weight, reduction, False, True, out)[1]

    def value_and_gradient(self, y: Any, f: Any, *, sample_weight: Any = None,
                           reduction: str = "mean", labels: Any = None, out: Any = None
                           ) -> tuple[Any, Any]:
        """`value` and `gradient` in one pass over the data; `out` is for the gradient."""
        return self._evaluate(y, f, labels, sample_weight, reduction, True, True, out)

    def phi(self, t: Any) -> Any:
        """The loss at margins `t`, an ndarray of their shape (a float for a number)."""
        return self._at(t, True)

    def slope(self, t: Any) -> Any:
        """phi'(t); where there is none, the subgradient of smallest norm."""
        return self._at(t, False)

    def curvature(self, t: Any) -> Any:
        """phi''(t), what Newton's method needs; where phi' has a corner, the side to the right.

        A generalized second derivative: jumps of phi' (`kinks`) are not in it.
        """
        t = gate.scores(t, "t")
        out = np.empty(t.size, t.dtype)
        _losses.margin_losses(self._terms, None, t.reshape(-1), None, 1.0, False, False, False, 1,
                              curvature=out)
        return out.reshape(t.shape)[()]

    def _at(self, t: Any, value: bool) -> Any:
        t = gate.scores(t, "t")
        _, v, g = _losses.margin_losses(self._terms, None, t.reshape(-1), None, 1.0, False, value,
                                        not value, 1)
        return (v if value else g).reshape(t.shape)[()]

    def _kink_rows(self) -> np.ndarray:
        """Kinks in ascending order, in rows: where, slope to the left, slope to the right."""
        rows = [(at, *sides) for at, sides in sorted(self.kinks.items())]
        return np.array(rows, dtype=np.float64).reshape(-1, 3)

    @cached_property
    def _terms(self) -> Any:
        return _losses.Terms([(self._term()[0], 1.0, *self._term()[1:])])

    def _evaluate(self, y: Any, f: Any, labels: Any, sample_weight: Any, reduction: str,
                  value: bool, gradient: bool, out: Any = None) -> tuple[Any, Any]:
        y, f, w, scale, shape = gate.margins(y, f, labels, sample_weight, reduction)
        each = reduction == "none"
        if out is not None:
            gate.output(out, shape, f.dtype, y=y, f=f, sample_weight=w)
        found = _losses.margin_losses(
            self._terms, y, f, w, scale, value and not each, value and each, gradient,
            n_threads() if f.size >= PARALLEL_FROM else 1, out)  # fmt: skip
        if found is None:
            gate.refuse_signs(y)
        total, values, slopes = found
        if len(shape) != 1:
            values = None if values is None else values.reshape(shape)[()]
            if out is None:
                slopes = None if slopes is None else slopes.reshape(shape)[()]
        return values if each else total, slopes

    def subdifferential(self, y: Any, f: Any, *, labels: Any = None) -> tuple[Any, Any]:
        """The interval of subgradients with respect to each score (Clarke's, if not convex).

        Returns
        -------
        lo, hi : ndarrays in the shape of `f`
            Equal where the loss is differentiable.
        """
        slope = self.gradient(y, f, reduction="none", labels=labels)
        y, f, *_, shape = gate.margins(y, f, labels, None, "none")
        t = y.reshape(shape).astype(f.dtype) * f.reshape(shape)
        y = np.sign(y.reshape(shape)).astype(f.dtype)
        lo, hi = np.array(slope), np.array(slope)
        for kink, sides in self.kinks.items():
            at = t == t.dtype.type(kink)  # as the kernels see it
            ends = y[at] * sides[0] + 0, y[at] * sides[1] + 0  # no -0
            lo[at], hi[at] = np.minimum(*ends), np.maximum(*ends)
        return lo[()], hi[()]

    # ---- theory -------------------------------------------------------------------------------

    def conjugate(self, u: Any) -> Any:
        """The convex conjugate phi*(u) = sup_t (u t - phi(t)); inf outside `conjugate_domain`.

        With it the dual of min sum_i C_i phi(y_i w.x_i) + ||w||^2 / 2 is
        max -sum_i C_i phi*(-alpha_i / C_i) - ||sum_i alpha_i y_i x_i||^2 / 2.

        Raises
        ------
        ValueError
            If the loss is not convex.
        """
        if not self.is_convex:
            raise ValueError(f"{self} is not convex: its conjugate says little about it")
        u = np.asarray(gate.scores(u, "u"), np.float64)
        lo, hi = self.conjugate_domain
        inside = (u >= lo) & (u <= hi) & np.isfinite(u)
        out = np.where(np.isnan(u), np.nan, np.inf)
        out[inside] = self._conjugate(u[inside])
        return out[()]

    def bayes_score(self, eta: Any) -> Any:
        """A score that minimises eta phi(f) + (1 - eta) phi(-f), where eta = P(y = +1).

        Where several do, the one nearest to zero; infinite if the infimum is only approached.
        bayes_score(1 - eta) = -bayes_score(eta). Its sign is that of 2 eta - 1 if the loss is
        classification-calibrated.

        Raises
        ------
        ValueError
            For an `eta` that is not in 0..1, or mixtures that are not convex.
        """
        eta = _in_range("eta", eta, 0, 1)
        likely = np.maximum(eta, 1 - eta)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            score = np.where(likely == 0.5, 0.0, self._bayes_score(likely))
        return np.where(eta < 0.5, -score, score)[()]

    def conditional_risk(self, eta: Any) -> Any:
        """H(eta) = inf_f (eta phi(f) + (1 - eta) phi(-f)), concave in eta.

        Raises
        ------
        ValueError
            For an `eta` that is not in 0..1, or mixtures that are not convex.
        """
        eta = _in_range("eta", eta, 0, 1)
        likely = np.maximum(eta, 1 - eta)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            f = np.asarray(self._bayes_score(likely))
            other = np.where(likely == 1, 0.0, (1 - likely) * self.phi(-f))  # not 0 * inf
            return (likely * self.phi(f) + other)[()]

    def psi(self, theta: Any) -> Any:
        """The psi-transform: psi(excess zero-one risk) <= excess risk of this loss.

        For a convex loss psi(theta) = phi(0) - H((1 + theta) / 2), H as in `conditional_risk`; it
        is positive for all theta but 0 exactly if the loss is classification-calibrated (Bartlett,
        Jordan and McAuliffe 2006, Definition 2 and Theorem 1).

        Parameters
        ----------
        theta : array-like
            Of -1..1; psi(-theta) = psi(theta).

        Raises
        ------
        ValueError
            For mixtures that are not convex.
        """
        theta = np.abs(_in_range("theta", theta, -1, 1))
        return np.asarray(self._psi(theta), np.float64)[()]

    def _psi(self, theta: np.ndarray) -> Any:
        if not self.is_convex:
            raise ValueError(f"{self} is not convex: its psi is not known")
        return np.maximum(0.0, self.phi(0.0) - self.conditional_risk((1 + theta) / 2))

    @property
    def is_classification_calibrated(self) -> bool:
        return self.is_convex and 0.0 not in self.kinks and bool(self.slope(0.0) < 0)

    @property
    def is_upper_bound_on_zero_one(self) -> bool:
        return bool(self.phi(0.0) >= 1)  # for losses that do not increase before 0, nor go below 0


MarginLoss._family = MarginLoss


def _finite(name: str, value: Any) -> float:
    """`value` as a finite float. Raises TypeError for what is no number, else ValueError."""
    if not is_real(value):
        raise TypeError(f"{name} must be a number; got {check._show(value)}")
    number = as_float(value)
    if not isfinite(number):
        raise ValueError(f"{name} must be finite; got {check._show(value)}")
    return number


def set_parameters(loss: Any, **values: Any) -> None:
    """Set fields of a frozen dataclass, to what was made of the arguments."""
    for name, value in values.items():
        object.__setattr__(loss, name, value)


def _x_log_x(x: np.ndarray) -> np.ndarray:
    """x log x, 0 at 0."""
    return x * np.log(np.where(x > 0, x, 1.0))


def _entropy(p: np.ndarray) -> np.ndarray:
    """-p log p - (1 - p) log(1 - p)."""
    return -_x_log_x(p) - _x_log_x(1 - p)


def _first(
    holds: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...], lo: float
) -> np.ndarray:
    """Infimum of the t > lo for which `holds`, as it then does for all greater t; or infinity."""
    bound = 709.0  # on an arsinh scale this is all of double precision
    a, b = np.full(shape, max(np.arcsinh(lo), -bound)), np.full(shape, bound)
    never = ~holds(np.sinh(b))
    at_once = holds(np.sinh(a + 1e-12))
    for _ in range(80):
        middle = 0.5 * (a + b)
        found = holds(np.sinh(middle))
        a, b = np.where(found, a, middle), np.where(found, middle, b)
    return np.where(at_once, lo, np.where(never, np.inf, np.sinh(b)))


def _searched_conjugate(loss: MarginLoss, u: np.ndarray) -> np.ndarray:
    t = _first(lambda t: loss.slope(t) >= u, u.shape, -np.inf)
    # A supremum at infinity is approached soon, and rounding grows with t.
    near = [np.clip(t, -bound, bound) for bound in (1e3, 1e5)]
    return np.maximum(*(u * t - loss.phi(t) for t in near))


def _searched_bayes_score(loss: MarginLoss, eta: np.ndarray) -> np.ndarray:
    def ascends(f: np.ndarray) -> np.ndarray:
        other = np.where(eta == 1, 0.0, (1 - eta) * loss.slope(-f))  # not 0 * inf
        return eta * loss.slope(f) >= other

    found = _first(ascends, eta.shape, 0.0)
    falls = not loss.has_sparse_dual and bool(loss.slope(1e300) <= 0)  # for ever, if below rounding
    return np.where((eta == 1) & falls, np.inf, found)


def _in_range(name: str, value: Any, lo: float, hi: float) -> np.ndarray:
    array = np.asarray(gate.scores(value, name), np.float64)
    if not ((array >= lo) & (array <= hi)).all():
        raise ValueError(f"{name} must lie in {lo}..{hi}; got {check._show(value)}")
    return array


# ------------------------------------------------------------------------------- the losses


@dataclass(frozen=True)
class Hinge(MarginLoss):
    """Hinge loss, max(0, margin - t).

    Derivative -1 for t < margin, else 0. Conjugate margin u on -1 <= u <= 0. Bayes score
    margin sign(2 eta - 1), psi(theta) = margin |theta|.

    Parameters
    ----------
    margin : float, default 1.0

    References
    ----------
    C. Cortes and V. Vapnik, "Support-vector networks", Machine Learning 20, 1995.

    Examples
    --------
    >>> Hinge().value([1, -1, 1], [2.5, -2.5, 0.5], reduction="none")
    array([0. , 0. , 0.5])
    """

    margin: float = 1.0
    lipschitz = 1.0
    has_sparse_dual = True
    conjugate_domain = (-1.0, 0.0)

    def __post_init__(self) -> None:
        set_parameters(self, margin=_finite("margin", self.margin))

    @property
    def kinks(self) -> dict[float, tuple[float, float]]:  # type: ignore[override]
        return {self.margin: (-1.0, 0.0)}

    def _term(self) -> tuple[str, float, float]:
        return "hinge", self.margin, 0.0

    def _conjugate(self, u: np.ndarray) -> np.ndarray:
        return self.margin * u

    def _bayes_score(self, eta: np.ndarray) -> np.ndarray:
        return np.full(eta.shape, max(0.0, self.margin))


hinge_loss = as_function(Hinge, "hinge_loss")


@dataclass(frozen=True)
class SquaredHinge(MarginLoss):
    """Squared hinge loss, max(0, margin - t)^2.

    Derivative -2 max(0, margin - t). Conjugate margin u + u^2 / 4 on u <= 0. Bayes score
    margin (2 eta - 1), psi(theta) = (margin theta)^2.

    Parameters
    ----------
    margin : float, default 1.0

    References
    ----------
    C. Cortes and V. Vapnik, "Support-vector networks", Machine Learning 20, 1995.

    Examples
    --------
    >>> SquaredHinge().phi([-1.0, 0.0, 2.0]).round(3).tolist()
    [4.0, 1.0, 0.0]
    """

    margin: float = 1.0
    is_differentiable = True
    smoothness = 2.0
    has_sparse_dual = True
    conjugate_domain = (-np.inf, 0.0)

    def __post_init__(self) -> None:
        set_parameters(self, margin=_finite("margin", self.margin))

    def _term(self) -> tuple[str, float, float]:
        return "squared_hinge", self.margin, 0.0

    def _conjugate(self, u: np.ndarray) -> np.ndarray:
        return self.margin * u + u * u / 4

    def _bayes_score(self, eta: np.ndarray) -> np.ndarray:
        return max(0.0, self.margin) * (2 * eta - 1)

    def probability(self, f: Any) -> Any:
        """P(y = +1) by a score: (clip(f / margin, -1, 1) + 1) / 2; nan for margins <= 0."""
        scale = self.margin if self.margin > 0 else np.nan
        return (np.clip(gate.scores(f) / scale, -1, 1) + 1) / 2


squared_hinge_loss = as_function(SquaredHinge, "squared_hinge_loss")


@dataclass(frozen=True)
class HuberizedHinge(MarginLoss):
    """Huberized hinge loss: the hinge with a parabola of width `delta` in place of its corner.

    With u = margin - t: u - delta / 2 for u >= delta, u^2 / (2 delta) for 0 < u < delta, else 0.
    Derivative -1, -u / delta, 0. Conjugate margin u + delta u^2 / 2 on -1 <= u <= 0. It tends to
    the hinge as delta tends to 0. Chapelle's L_h is HuberizedHinge(delta=2 * h, margin=1 + h).

    Parameters
    ----------
    delta : float, default 1.0
        Positive.
    margin : float, default 1.0

    References
    ----------
    O. Chapelle, "Training a support vector machine in the primal", Neural Computation 19, 2007.

    Examples
    --------
    >>> HuberizedHinge().phi([-1.0, 0.0, 2.0]).round(3).tolist()
    [1.5, 0.5, 0.0]
    """

    delta: float = 1.0
    margin: float = 1.0
    is_differentiable = True
    lipschitz = 1.0
    has_sparse_dual = True
    conjugate_domain = (-1.0, 0.0)

    def __post_init__(self) -> None:
        set_parameters(self, delta=check.positive_float("delta", self.delta),
                       margin=_finite("margin", self.margin))

    @property
    def smoothness(self) -> float:  # type: ignore[override]
        return 1 / self.delta

    def _term(self) -> tuple[str, float, float]:
        return "huberized_hinge", self.margin, self.delta

    def _conjugate(self, u: np.ndarray) -> np.ndarray:
        return self.margin * u + 0.5 * self.delta * u * u

    def _bayes_score(self, eta: np.ndarray) -> np.ndarray:
        m = max(0.0, self.margin)
        straight = 2 * m * eta >= self.delta  # at -f, where the slope is -1
        return np.where(straight, m - self.delta * (1 - eta) / eta, m * (2 * eta - 1))


huberized_hinge_loss = as_function(HuberizedHinge, "huberized_hinge_loss")


@dataclass(frozen=True)
class SmoothHinge(MarginLoss):
    """Smooth hinge loss of Rennie and Srebro: 1/2 - t, (1 - t)^2 / 2, 0 before, in and after 0..1.

    It is HuberizedHinge(delta=1).

    References
    ----------
    J. D. M. Rennie and N. Srebro, "Loss functions for preference levels: regression with discrete
    ordered labels", IJCAI Workshop on Advances in Preference Handling, 2005.

    Examples
    --------
    >>> SmoothHinge().phi([-1.0, 0.0, 2.0]).round(3).tolist()
    [1.5, 0.5, 0.0]
    """

    is_differentiable = True
    lipschitz = 1.0
    smoothness = 1.0
    has_sparse_dual = True
    conjugate_domain = (-1.0, 0.0)

    def _term(self) -> tuple[str, float, float]:
        return "huberized_hinge", 1.0, 1.0

    def _conjugate(self, u: np.ndarray) -> np.ndarray:
        return u + 0.5 * u * u

    def _bayes_score(self, eta: np.ndarray) -> np.ndarray:
        return 1 - (1 - eta) / eta


smooth_hinge_loss = as_function(SmoothHinge, "smooth_hinge_loss")


@dataclass(frozen=True)
class ModifiedHuber(MarginLoss):
    """Modified Huber loss: max(0, 1 - t)^2 for t >= -1, else -4 t.

    Derivative -2 max(0, 1 - t), or -4. Conjugate u + u^2 / 4 on -4 <= u <= 0. Bayes score
    2 eta - 1, so that (clip(f, -1, 1) + 1) / 2 estimates eta: `probability`. psi(theta) = theta^2.

    References
    ----------
    T. Zhang, "Solving large scale linear prediction problems using stochastic gradient descent
    algorithms", ICML 2004.

    Examples
    --------
    >>> ModifiedHuber().phi([-1.0, 0.0, 2.0]).round(3).tolist()
    [4.0, 1.0, 0.0]
    """

    is_differentiable = True
    lipschitz = 4.0
    smoothness = 2.0
    has_sparse_dual = True
    conjugate_domain = (-4.0, 0.0)

    def _term(self) -> tuple[str, float, float]:
        return "modified_huber", 0.0, 0.0

    def _conjugate(self, u: np.ndarray) -> np.ndarray:
        return u + u * u / 4

    def _bayes_score(self, eta: np.ndarray) -> np.ndarray:
        return 2 * eta - 1

    def probability(self, f: Any) -> Any:
        """P(y = +1) by a score: (clip(f, -1, 1) + 1) / 2."""
        return (np.clip(gate.scores(f), -1, 1) + 1) / 2


modified_huber_loss = as_function(ModifiedHuber, "modified_huber_loss")


@dataclass(frozen=True)
class SoftplusHinge(MarginLoss):
    """Softplus hinge loss, log(1 + exp(beta (margin - t))) / beta.

    Derivative -sigmoid(beta (margin - t)). Conjugate margin u + (p log p + (1 - p) log(1 - p)) /
    beta with p = -u, on -1 <= u <= 0. It tends to the hinge as beta tends to infinity.

    Parameters
    ----------
    beta : float, default 1.0
        Positive.
    margin : float, default 1.0

    Examples
    --------
    >>> SoftplusHinge().phi([-1.0, 0.0, 2.0]).round(3).tolist()
    [2.127, 1.313, 0.313]
    """

    beta: float = 1.0
    margin: float = 1.0
    is_differentiable = True
    lipschitz = 1.0
    conjugate_domain = (-1.0, 0.0)

    def __post_init__(self) -> None:
        set_parameters(self, beta=check.positive_float("beta", self.beta),
                       margin=_finite("margin", self.margin))

    @property
    def smoothness(self) -> float:  # type: ignore[override]
        return self.beta / 4

    def _term(self) -> tuple[str, float, float]:
        return "softplus_hinge", self.margin, self.beta

    def _conjugate(self, u: np.ndarray) -> np.ndarray:
        return self.margin * u - _entropy(-u) / self.beta

    def _bayes_score(self, eta: np.ndarray) -> np.ndarray:
        # The root of (1 - eta) x^2 - (2 eta - 1) M x - eta, x = exp(beta f), M = exp(beta margin):
        # M (theta + sqrt(theta^2 + exp(2 p))) / (2 (1 - eta)), where exp(p) may be 0 or infinite.
        theta = 2 * eta - 1
        p = np.log(2 * np.sqrt(eta * (1 - eta))) - self.beta * self.margin
        scale = np.maximum(p, 0.0)
        part = theta * np.exp(-scale)
        root = scale + np.log(part + np.hypot(part, np.exp(p - scale)))
        return np.where(theta == 0, 0.0,
                        self.margin + (root - np.log(2 * (1 - eta))) / self.beta)


softplus_hinge_loss = as_function(SoftplusHinge, "softplus_hinge_loss")


@dataclass(frozen=True)
class Perceptron(MarginLoss):
    """Perceptron criterion, max(0, -t).

    Derivative -1 for t < 0, else 0. Conjugate 0 on -1 <= u <= 0. It is not calibrated: a score of 0
    everywhere minimises it.

    References
    ----------
    F. Rosenblatt, "The perceptron: a probabilistic model for information storage and organization
    in the brain", Psychological Review 65, 1958.

    Examples
    --------
    >>> Perceptron().phi([-1.0, 0.0, 2.0]).round(3).tolist()
    [1.0, 0.0, 0.0]
    """

    lipschitz = 1.0
    has_sparse_dual = True
    kinks = {0.0: (-1.0, 0.0)}  # noqa: RUF012
    conjugate_domain = (-1.0, 0.0)

    def _term(self) -> tuple[str, float, float]:
        return "perceptron", 0.0, 0.0

    def _conjugate(self, u: np.ndarray) -> np.ndarray:
        return np.zeros(u.shape)

    def _bayes_score(self, eta: np.ndarray) -> np.ndarray:
        return np.zeros(eta.shape)


perceptron_loss = as_function(Perceptron, "perceptron_loss")


@dataclass(frozen=True)
class Logistic(MarginLoss):
    """Logistic loss, log(1 + exp(-t)).

    Derivative -1 / (1 + exp(t)). Conjugate p log p + (1 - p) log(1 - p) with p = -u, on
    -1 <= u <= 0. Bayes score log(eta / (1 - eta)), psi(theta) = ((1 + theta) log(1 + theta) +
    (1 - theta) log(1 - theta)) / 2.

    References
    ----------
    J. Friedman, T. Hastie and R. Tibshirani, "Additive logistic regression: a statistical view of
    boosting", Annals of Statistics 28, 2000.

    Examples
    --------
    >>> Logistic().phi([-1.0, 0.0, 2.0]).round(3).tolist()
    [1.313, 0.693, 0.127]
    """

    is_differentiable = True
    lipschitz = 1.0
    smoothness = 0.25
    conjugate_domain = (-1.0, 0.0)

    def _term(self) -> tuple[str, float, float]:
        return "logistic", 0.0, 0.0

    def _conjugate(self, u: np.ndarray) -> np.ndarray:
        return -_entropy(-u)

    def _bayes_score(self, eta: np.ndarray) -> np.ndarray:
        return np.log(eta / (1 - eta))

    def _psi(self, theta: np.ndarray) -> np.ndarray:
        return log(2) - _entropy((1 + theta) / 2)

    def probability(self, f: Any) -> Any:
        """P(y = +1) by a score: 1 / (1 + exp(-f))."""
        return -self.slope(-gate.scores(f))


logistic_loss = as_function(Logistic, "logistic_loss")


@dataclass(frozen=True)
class Exponential(MarginLoss):
    """Exponential loss, exp(-t).

    Derivative -exp(-t). Conjugate p log p - p with p = -u, on u <= 0. Bayes score
    log(eta / (1 - eta)) / 2, psi(theta) = 1 - sqrt(1 - theta^2).

    References
    ----------
    Y. Freund and R. E. Schapire, "A decision-theoretic generalization of on-line learning and an
    application to boosting", Journal of Computer and System Sciences 55, 1997.

    Examples
    --------
    >>> Exponential().phi([-1.0, 0.0, 2.0]).round(3).tolist()
    [2.718, 1.0, 0.135]
    """

    is_differentiable = True
    conjugate_domain = (-np.inf, 0.0)

    def _term(self) -> tuple[str, float, float]:
        return "exponential", 0.0, 0.0

    def _conjugate(self, u: np.ndarray) -> np.ndarray:
        return _x_log_x(-u) + u

    def _bayes_score(self, eta: np.ndarray) -> np.ndarray:
        return 0.5 * np.log(eta / (1 - eta))

    def _psi(self, theta: np.ndarray) -> np.ndarray:
        return theta * theta / (1 + np.sqrt(1 - theta * theta))

    def probability(self, f: Any) -> Any:
        """P(y = +1) by a score: 1 / (1 + exp(-2 f))."""
        return -Logistic().slope(-2 * gate.scores(f))


exponential_loss = as_function(Exponential, "exponential_loss")


@dataclass(frozen=True)
class Squared(MarginLoss):
    """Squared error of a label, (y - f)^2 = (1 - t)^2.

    Derivative -2 (1 - t). Conjugate u + u^2 / 4. Bayes score 2 eta - 1, psi(theta) = theta^2.

    References
    ----------
    P. L. Bartlett, M. I. Jordan and J. D. McAuliffe, "Convexity, classification, and risk bounds",
    JASA 101, 2006, Example 2.

    Examples
    --------
    >>> Squared().phi([-1.0, 0.0, 2.0]).round(3).tolist()
    [4.0, 1.0, 1.0]
    """

    is_differentiable = True
    smoothness = 2.0

    def _term(self) -> tuple[str, float, float]:
        return "squared", 0.0, 0.0

    def _conjugate(self, u: np.ndarray) -> np.ndarray:
        return u + u * u / 4

    def _bayes_score(self, eta: np.ndarray) -> np.ndarray:
        return 2 * eta - 1

    def probability(self, f: Any) -> Any:
        """P(y = +1) by a score: (clip(f, -1, 1) + 1) / 2."""
        return (np.clip(gate.scores(f), -1, 1) + 1) / 2


squared_loss = as_function(Squared, "squared_loss")


@dataclass(frozen=True)
class Savage(MarginLoss):
    """Savage loss, 4 / (1 + exp(2 t))^2: bounded by 4 and not convex, so outliers cost little.

    Derivative -16 exp(2 t) / (1 + exp(2 t))^3. Bayes score log(eta / (1 - eta)) / 2, where the risk
    is 4 eta (1 - eta); psi(theta) = theta^2.

    References
    ----------
    H. Masnadi-Shirazi and N. Vasconcelos, "On the design of loss functions for classification:
    theory, robustness to outliers, and SavageBoost", NeurIPS 2008.

    Examples
    --------
    >>> Savage().phi([-1.0, 0.0, 2.0]).round(3).tolist()
    [3.103, 1.0, 0.001]
    """

    is_convex = False
    is_differentiable = True
    is_classification_calibrated = True  # type: ignore[assignment]
    # With s = 1 / (1 + exp(2 t)) the derivatives are -16 s^2 (1 - s) and 32 s^2 (1 - s) (2 - 3 s).
    lipschitz = 64 / 27
    _s = (15 - sqrt(33)) / 24
    smoothness = 32 * _s * _s * (1 - _s) * (2 - 3 * _s)

    def _term(self) -> tuple[str, float, float]:
        return "savage", 0.0, 0.0

    def _bayes_score(self, eta: np.ndarray) -> np.ndarray:
        return 0.5 * np.log(eta / (1 - eta))

    def _psi(self, theta: np.ndarray) -> np.ndarray:
        return theta * theta


savage_loss = as_function(Savage, "savage_loss")


@dataclass(frozen=True)
class Sigmoid(MarginLoss):
    """Sigmoid loss, 2 / (1 + exp(beta t)) = 1 - tanh(beta t / 2): smooth, bounded, not convex.

    Derivative -2 beta s (1 - s) with s = 1 / (1 + exp(beta t)). The Bayes score is infinite, with
    risk 2 min(eta, 1 - eta); psi(theta) = |theta|.

    Parameters
    ----------
    beta : float, default 1.0
        Positive.

    References
    ----------
    L. Mason, J. Baxter, P. L. Bartlett and M. Frean, "Functional gradient techniques for combining
    hypotheses", Advances in Large Margin Classifiers, 2000.

    Examples
    --------
    >>> Sigmoid().phi([-1.0, 0.0, 2.0]).round(3).tolist()
    [1.462, 1.0, 0.238]
    """

    beta: float = 1.0
    is_convex = False
    is_differentiable = True
    is_classification_calibrated = True  # type: ignore[assignment]

    def __post_init__(self) -> None:
        set_parameters(self, beta=check.positive_float("beta", self.beta))

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        return self.beta / 2

    @property
    def smoothness(self) -> float:  # type: ignore[override]
        # phi'' is extreme at s = (1 +- 1 / sqrt(3)) / 2
        return self.beta * self.beta / (3 * sqrt(3))

    def _term(self) -> tuple[str, float, float]:
        return "sigmoid", 0.0, self.beta

    def _bayes_score(self, eta: np.ndarray) -> np.ndarray:
        return np.full(eta.shape, np.inf)

    def _psi(self, theta: np.ndarray) -> np.ndarray:
        return theta


sigmoid_loss = as_function(Sigmoid, "sigmoid_loss")


@dataclass(frozen=True)
class Ramp(MarginLoss):
    """Ramp loss, min(1 - s, max(0, 1 - t)): the hinge, but no loss exceeds 1 - s. Not convex.

    Derivative -1 for s < t < 1, else 0. Bayes score sign(2 eta - 1).

    Parameters
    ----------
    s : float, default -1.0
        Negative: margins below it all cost the same.

    References
    ----------
    R. Collobert, F. Sinz, J. Weston and L. Bottou, "Trading convexity for scalability", ICML 2006.

    Examples
    --------
    >>> Ramp().phi([-1.0, 0.0, 2.0]).round(3).tolist()
    [2.0, 1.0, 0.0]
    """

    s: float = -1.0
    is_convex = False
    is_classification_calibrated = True  # type: ignore[assignment]
    lipschitz = 1.0

    def __post_init__(self) -> None:
        set_parameters(self, s=_finite("s", self.s))
        if not self.s < 0:
            raise ValueError(f"s must be negative; got {self.s!r}")

    @property
    def kinks(self) -> dict[float, tuple[float, float]]:  # type: ignore[override]
        return {self.s: (0.0, -1.0), 1.0: (-1.0, 0.0)}

    def _term(self) -> tuple[str, float, float]:
        return "ramp", self.s, 0.0

    def _bayes_score(self, eta: np.ndarray) -> np.ndarray:
        return np.ones(eta.shape)

    def _psi(self, theta: np.ndarray) -> np.ndarray:
        return theta  # the convex hull of min(1, M (1 + theta) / 2) - M (1 - theta) / 2, M <= 2


ramp_loss = as_function(Ramp, "ramp_loss")


@dataclass(frozen=True)
class ZeroOne(MarginLoss):
    """Zero-one loss: 1 for t <= 0, else 0. For reference: it has no useful derivative (0 here).

    Examples
    --------
    >>> ZeroOne().phi([-1.0, 0.0, 2.0]).round(3).tolist()
    [1.0, 1.0, 0.0]
    """

    is_convex = False
    is_classification_calibrated = True  # type: ignore[assignment]

    def _term(self) -> tuple[str, float, float]:
        return "zero_one", 0.0, 0.0

    def _bayes_score(self, eta: np.ndarray) -> np.ndarray:
        return np.full(eta.shape, np.nextafter(0.0, 1.0))

    def _psi(self, theta: np.ndarray) -> np.ndarray:
        return theta

    def subdifferential(self, y: Any, f: Any, *, labels: Any = None) -> tuple[Any, Any]:
        """There is none: raises ValueError."""
        raise ValueError("the zero-one loss has no subdifferential: it jumps at 0")


zero_one_loss = as_function(ZeroOne, "zero_one_loss")


class MarginMixture(Mixture, MarginLoss):
    """A weighted sum of margin losses, ``0.9 * Hinge() + 0.1 * Logistic()``: a margin loss again.

    All terms are computed in one pass over the data. `lipschitz` and `smoothness` are sums, upper
    bounds; `conjugate`, `bayes_score` and `psi` are searched for numerically, if it is convex.

    Examples
    --------
    >>> 0.9 * Hinge() + 0.1 * Logistic()
    0.9*Hinge(margin=1.0) + 0.1*Logistic()
    >>> (0.5 * Hinge() + 0.5 * SquaredHinge()).value([1], [-1.0])
    3.0
    """

    def _term(self) -> tuple[str, float, float]:
        raise NotImplementedError

    def _conjugate(self, u: np.ndarray) -> np.ndarray:
        out = np.empty(u.size)
        _losses.conjugates(self._terms, self._kink_rows(), u.reshape(-1), None, out)
        return out.reshape(u.shape)

    @cached_property
    def _terms(self) -> Any:
        terms = []
        for c, part in self._counting:
            name, a, b = part._term()
            terms.append((name, c, a, b))
        for t, sides in self.kinks.items():
            # The sum of the parts' smallest subgradients need not be the sum's smallest.
            found = sum(c * float(part.slope(t)) for c, part in self._counting)
            least = min(max(0.0, min(sides)), max(sides))
            if found != least:
                terms.append(("kink", 1.0, t, least - found))
        return _losses.Terms(terms or [("zero_one", 0.0, 0.0, 0.0)])  # 0, and NaN of NaN

    value = MarginLoss.value
    gradient = MarginLoss.gradient
    value_and_gradient = MarginLoss.value_and_gradient

    @property
    def kinks(self) -> dict[float, tuple[float, float]]:  # type: ignore[override]
        return {t: self._sides(t) for _, part in self._counting for t in part.kinks}

    def _sides(self, t: float) -> tuple[float, float]:
        sides = [(c, part.kinks.get(t, (float(part.slope(t)),) * 2)) for c, part in self._counting]
        return sum(c * s[0] for c, s in sides), sum(c * s[1] for c, s in sides)

    def subdifferential(self, y: Any, f: Any, *, labels: Any = None) -> tuple[Any, Any]:
        """As of any margin loss; ValueError if the zero-one loss is a part."""
        for _, part in self._counting:
            if isinstance(part, ZeroOne):
                part.subdifferential(y, f)
        return MarginLoss.subdifferential(self, y, f, labels=labels)

    @property
    def is_classification_calibrated(self) -> Any:  # type: ignore[override]
        """None, not known, for mixtures that are not convex."""
        return MarginLoss.is_classification_calibrated.fget(self) if self.is_convex else None  # type: ignore[attr-defined]

    @property
    def is_upper_bound_on_zero_one(self) -> Any:  # type: ignore[override]
        """None, not known, with negative weights."""
        known = all(c >= 0 for c, _ in self.parts)
        return MarginLoss.is_upper_bound_on_zero_one.fget(self) if known else None  # type: ignore[attr-defined]

    @property
    def has_sparse_dual(self) -> bool:  # type: ignore[override]
        return self.is_convex and all(part.has_sparse_dual for _, part in self._counting)

    @property
    def conjugate_domain(self) -> tuple[float, float]:  # type: ignore[override]
        ends = [(c * part.conjugate_domain[0], c * part.conjugate_domain[1])
                for c, part in self._counting if c > 0]
        return float(sum(end[0] for end in ends)), float(sum(end[1] for end in ends))


def _mixture(parts: list[tuple[float, Loss]]) -> MarginLoss:
    return MarginMixture(parts)


MarginLoss._mixture = staticmethod(_mixture)  # type: ignore[method-assign, assignment]


def by_name() -> dict[str, type[MarginLoss]]:
    """The margin losses by the names of their functions: hinge for `hinge_loss`, and so on."""
    classes = {name: value for name, value in globals().items() if name in __all__}
    names = [name for name in __all__ if name.endswith("_loss")]
    return {name.removesuffix("_loss"): classes[__all__[__all__.index(name) - 1]]
            for name in names}
