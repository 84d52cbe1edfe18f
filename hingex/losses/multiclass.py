# SPDX-License-Identifier: BSD-3-Clause
"""Multiclass losses: of a row of K scores s and the index k of its true class.

Which of them are Fisher consistent: A. Tewari and P. L. Bartlett, "On the consistency of multiclass
classification methods", JMLR 8, 2007; Y. Liu, "Fisher consistency of multicategory support vector
machines", AISTATS 2007.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import Any

import numpy as np

from .. import _scores as gate
from .. import _validate as check
from .._core import kernels
from .._threads import n_threads
from ._base import Loss, Mixture, as_function
from .margin import Hinge, MarginLoss, _finite, set_parameters

__all__ = [  # all that is public here
    "MulticlassLoss", "CrammerSinger", "crammer_singer_loss", "WestonWatkins",
    "weston_watkins_loss", "LeeLinWahba", "lee_lin_wahba_loss", "CategoricalHinge",
    "categorical_hinge_loss", "CrossEntropy", "cross_entropy_loss", "OneVsRest",
    "one_vs_rest_loss", "CarliniWagner", "carlini_wagner_loss", "DLR", "dlr_loss",
    "MulticlassMixture",
]

PARALLEL_FROM = 100_000  # scores; below, waking threads costs more than it saves

_losses = kernels("losses")


class MulticlassLoss(Loss):
    """Base of the losses of class scores.

    Attributes
    ----------
    lipschitz, smoothness : float
        Constants for the Euclidean norm of a row of scores that hold for any number of classes, or
        inf; `lipschitz_of` and `smoothness_of` give those for K classes.
    is_fisher_consistent : bool or None
        Whether with the scores that minimise the expected loss, given the probabilities of the
        classes, the most probable class alone has the highest score, whatever the probabilities.
        None where that has no meaning or is not known.
    is_upper_bound_on_zero_one : bool
        Whether the loss is at least 1 where another class scores as high as the true one, and never
        negative.

    Notes
    -----
    y holds class indices 0..K-1, scores have shape (n, K) with any strides; float32 and float64 are
    read where they lie. Losses are computed in the precision of the scores, sums in double
    precision; neither depends on the number of threads. At a kink the derivative is 0 where 0 is a
    subgradient, and of equal scores the first counts as the highest. A NaN score makes the row's
    loss and derivatives NaN, and so do equal infinite scores whose difference the loss takes;
    otherwise infinite scores give limits.

    Examples
    --------
    >>> CrammerSinger().gradient([0], [[1.0, 0.5, -1.0]]).tolist()
    [[-1.0, 1.0, 0.0]]
    """

    _example = "[0], [[1.0, 0.5, -1.0, -2.0]]"  # of arguments of `value`, for docstrings

    is_fisher_consistent: Any = False
    is_upper_bound_on_zero_one: Any = True

    # ---- what a loss defines -----------------------------------------------------------------

    _least = 2  # classes

    def _row(self, K: int) -> tuple[str | None, float, float, float]:
        """Name in core/multiclass_losses.h, a factor, and the parameters a and b there."""
        raise NotImplementedError

    _terms: Any = None  # of a margin loss, summed over the classes, in place of a name

    def _class_weight(self, K: int) -> np.ndarray | None:
        return None

    def lipschitz_of(self, K: int) -> float:
        """Lipschitz constant for K classes, for the Euclidean norm of a row of scores."""
        return self.lipschitz

    def smoothness_of(self, K: int) -> float:
        """Lipschitz constant of the derivative for K classes."""
        return self.smoothness

    # ---- values and derivatives ---------------------------------------------------------------

    def value(self, y: Any, scores: Any, *, sample_weight: Any = None,
              reduction: str = "mean") -> Any:
        """The loss of every row, reduced.

        Parameters
        ----------
        y : array-like of int, shape (n,)
            Class indices 0..K-1.
        scores : array-like, shape (n, K)
        sample_weight : array-like, shape (n,), optional
            Finite and not negative: multiplies the losses.
        reduction : {"mean", "sum", "none"}, default "mean"
            The (weighted) mean, i.e. sum(w loss) / sum(w), the sum, or every w loss.

        Returns
        -------
        float, or ndarray (n,) of the precision of `scores` for reduction "none"

        Raises
        ------
        ValueError
            For class indices out of range (naming the first), shapes that do not fit, a mean of no
            rows, or a wrong `reduction` or `sample_weight`.
        """
        return self._evaluate(y, scores, sample_weight, reduction, True, False)[0]

    def gradient(self, y: Any, scores: Any, *, sample_weight: Any = None,
                 reduction: str = "mean") -> Any:
        """Derivatives of the reduced value with respect to the scores, (n, K). See `value`."""
        return self._evaluate(y, scores, sample_weight, reduction, False, True)[1]

    def value_and_gradient(self, y: Any, scores: Any, *, sample_weight: Any = None,
                           reduction: str = "mean") -> tuple[Any, Any]:
        """`value` and `gradient` in one pass over the scores."""
        return self._evaluate(y, scores, sample_weight, reduction, True, True)

    def _evaluate(self, y: Any, scores: Any, sample_weight: Any, reduction: str, value: bool,
                  gradient: bool) -> tuple[Any, Any]:
        s = gate.score_rows(scores, self._least)
        n, K = s.shape
        y = gate.class_indices(y, n, K)
        w = None if sample_weight is None else gate.weights(sample_weight, (n,))
        scale = 1.0
        if reduction == "mean":
            scale = gate.mean_scale(n, w)
        elif reduction not in gate.REDUCTIONS:
            gate.reduced(reduction)
        each = reduction == "none"
        name, coef, a, b = self._row(K)
        found = _losses.multiclass_losses(
            name, self._terms, coef, a, b, y, s, w, self._class_weight(K), scale,
            value and not each, value and each, gradient,
            n_threads() if s.size >= PARALLEL_FROM else 1)  # fmt: skip
        if isinstance(found, int):
            gate.refuse_class(y, K)
        total, values, derivatives = found
        return values if each else total, derivatives


MulticlassLoss._family = MulticlassLoss


@dataclass(frozen=True)
class CrammerSinger(MulticlassLoss):
    """Crammer and Singer's loss, max(0, margin + max_{j != k} s_j - s_k).

    Derivative +1 at the first highest other score, -1 at k, 0 where the margin is met. Not Fisher
    consistent: where no class has a probability above 1/2 equal scores minimise it.

    Parameters
    ----------
    margin : float, default 1.0

    References
    ----------
    K. Crammer and Y. Singer, "On the algorithmic implementation of multiclass kernel-based vector
    machines", JMLR 2, 2001.

    Examples
    --------
    >>> round(CrammerSinger().value([0], [[1.0, 0.5, -1.0, -2.0]]), 4)
    0.5
    """

    margin: float = 1.0
    lipschitz = sqrt(2)

    def __post_init__(self) -> None:
        set_parameters(self, margin=_finite("margin", self.margin))

    @property
    def is_upper_bound_on_zero_one(self) -> bool:  # type: ignore[override]
        return self.margin >= 1

    def _row(self, K: int) -> tuple[str, float, float, float]:
        return "crammer_singer", 1.0, self.margin, 0.0


crammer_singer_loss = as_function(CrammerSinger, "crammer_singer_loss")


@dataclass(frozen=True)
class WestonWatkins(MulticlassLoss):
    """Weston and Watkins' loss, sum_{j != k} max(0, margin + s_j - s_k)^p.

    Derivative p max(0, margin + s_j - s_k)^(p - 1) at j != k, and at k minus their sum. Not Fisher
    consistent for p = 1; it is for p = 2, a positive margin and no `weight`, like other
    differentiable losses of pairs of classes (Zhang).

    Parameters
    ----------
    margin : float, default 1.0
    p : {1, 2}, default 1
    mean_over_classes : bool, default False
        Divide by K, as torch's MultiMarginLoss does.
    weight : array-like, shape (K,), optional
        Finite and not negative: multiplies the losses of the rows of each class. Unlike
        `sample_weight` it does not count in the divisor of the mean.

    References
    ----------
    J. Weston and C. Watkins, "Support vector machines for multi-class pattern recognition",
    ESANN 1999.
    T. Zhang, "Statistical analysis of some multi-category large margin classification methods",
    JMLR 5, 2004, section 4.1.

    Examples
    --------
    >>> round(WestonWatkins().value([0], [[1.0, 0.5, -1.0, -2.0]]), 4)
    0.5
    """

    margin: float = 1.0
    p: int = 1
    mean_over_classes: bool = False
    weight: Any = None

    def __post_init__(self) -> None:
        set_parameters(self, margin=_finite("margin", self.margin))
        if isinstance(self.p, bool) or self.p not in (1, 2):
            raise ValueError(f"p must be 1 or 2; got {self.p!r}")
        set_parameters(self, p=int(self.p))
        check.boolean("mean_over_classes", self.mean_over_classes)
        if self.weight is not None:
            w = gate.scores(self.weight, "weight")
            if w.ndim != 1 or w.size < 1:
                raise ValueError(f"weight.shape == {w.shape}, expected (K,): one for each class")
            set_parameters(self, weight=tuple(gate.weights(w, w.shape, "weight").tolist()))

    @property
    def is_differentiable(self) -> bool:  # type: ignore[override]
        return self.p == 2

    @property
    def is_fisher_consistent(self) -> bool:  # type: ignore[override]
        return self.p == 2 and self.margin > 0 and self.weight is None

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        return self._heaviest if self.mean_over_classes and self.p == 1 else np.inf

    @property
    def is_upper_bound_on_zero_one(self) -> bool:  # type: ignore[override]
        return self.margin >= 1 and not self.mean_over_classes and (
            self.weight is None or min(self.weight) >= 1)

    @property
    def _heaviest(self) -> float:
        return 1.0 if self.weight is None else max(self.weight)

    def _factor(self, K: int) -> float:
        return (1 / K if self.mean_over_classes else 1.0) * self._heaviest

    def lipschitz_of(self, K: int) -> float:
        """sqrt(K (K - 1)) for p = 1 (divided by K with `mean_over_classes`), inf for p = 2."""
        return sqrt(K * (K - 1)) * self._factor(K) if self.p == 1 else np.inf

    def smoothness_of(self, K: int) -> float:
        """2 K for p = 2 (divided by K with `mean_over_classes`), inf for p = 1."""
        return 2 * K * self._factor(K) if self.p == 2 else np.inf

    @property
    def smoothness(self) -> float:  # type: ignore[override]
        return 2.0 * self._heaviest if self.mean_over_classes and self.p == 2 else np.inf

    def _row(self, K: int) -> tuple[str, float, float, float]:
        return ("weston_watkins", 1 / K if self.mean_over_classes else 1.0, self.margin,
                float(self.p))

    def _class_weight(self, K: int) -> np.ndarray | None:
        if self.weight is None:
            return None
        if len(self.weight) != K:
            raise ValueError(f"weight has {len(self.weight)} elements, expected {K}: one for each "
                             "class")
        return self._weights

    @cached_property
    def _weights(self) -> np.ndarray:
        return np.array(self.weight)


weston_watkins_loss = as_function(WestonWatkins, "weston_watkins_loss")


@dataclass(frozen=True)
class LeeLinWahba(MulticlassLoss):
    """Lee, Lin and Wahba's loss, sum_{j != k} max(0, 1 / (K - 1) + s_j).

    Meant for scores with sum_j s_j = 0, under which it is Fisher consistent. Derivative 1 at every
    j != k with s_j > -1 / (K - 1).

    Parameters
    ----------
    project : bool, default False
        Subtract each row's mean from its scores first; derivatives are then those of the whole.
        (Infinite scores then give the limit or, where their mean leaves it open, NaN.)

    References
    ----------
    Y. Lee, Y. Lin and G. Wahba, "Multicategory support vector machines", JASA 99, 2004.

    Examples
    --------
    >>> round(LeeLinWahba().value([0], [[1.0, 0.5, -1.0, -2.0]]), 4)
    0.8333
    """

    project: bool = False
    is_fisher_consistent = True
    is_upper_bound_on_zero_one = False

    def __post_init__(self) -> None:
        check.boolean("project", self.project)

    def lipschitz_of(self, K: int) -> float:
        """sqrt(K - 1), or with `project` sqrt(K) / 2 at most."""
        if self.project:  # of m ones, less their mean: sqrt(m (K - m) / K)
            m = min(K // 2, K - 1)
            return sqrt(m * (K - m) / K)
        return sqrt(K - 1)

    def _row(self, K: int) -> tuple[str, float, float, float]:
        return "lee_lin_wahba", 1.0, 0.0, float(self.project)


lee_lin_wahba_loss = as_function(LeeLinWahba, "lee_lin_wahba_loss")


@dataclass(frozen=True)
class CategoricalHinge(MulticlassLoss):
    """Keras' categorical hinge, max(0, 1 + max(0, max_{j != k} s_j) - s_k).

    The 0 in the maximum is the true class's score times 1 - y_k = 0: Keras takes
    neg = max_j (1 - y_j) s_j over all classes. So it differs from `CrammerSinger` where all other
    scores are negative, and is not invariant to a shift of the scores. Derivative -1 at k and +1 at
    the first highest other score if that is positive.

    References
    ----------
    Keras, `keras.losses.CategoricalHinge`.

    Examples
    --------
    >>> round(CategoricalHinge().value([0], [[1.0, 0.5, -1.0, -2.0]]), 4)
    0.5
    """

    lipschitz = sqrt(2)

    def _row(self, K: int) -> tuple[str, float, float, float]:
        return "categorical_hinge", 1.0, 0.0, 0.0


categorical_hinge_loss = as_function(CategoricalHinge, "categorical_hinge_loss")


@dataclass(frozen=True)
class CrossEntropy(MulticlassLoss):
    """Cross-entropy of the softmax, log sum_j exp(s_j - s_k).

    Derivative softmax(s)_j, at k softmax(s)_k - 1. Neither overflows nor loses digits where the
    loss is near zero.

    References
    ----------
    J. S. Bridle, "Probabilistic interpretation of feedforward classification network outputs, with
    relationships to statistical pattern recognition", Neurocomputing, 1990.

    Examples
    --------
    >>> round(CrossEntropy().value([0], [[1.0, 0.5, -1.0, -2.0]]), 4)
    0.5831
    """

    is_differentiable = True
    is_fisher_consistent = True
    is_upper_bound_on_zero_one = False
    lipschitz = sqrt(2)
    smoothness = 0.5

    def _row(self, K: int) -> tuple[str, float, float, float]:
        return "cross_entropy", 1.0, 0.0, 0.0


cross_entropy_loss = as_function(CrossEntropy, "cross_entropy_loss")


@dataclass(frozen=True)
class OneVsRest(MulticlassLoss):
    """Sum over the classes of a margin loss, sum_j phi(y_j s_j), y_j = +1 at k, else -1.

    Parameters
    ----------
    phi : MarginLoss, default Hinge()
        A mixture is one, too.

    References
    ----------
    R. Rifkin and A. Klautau, "In defense of one-vs-all classification", JMLR 5, 2004.

    Examples
    --------
    >>> round(OneVsRest().value([0], [[1.0, 0.5, -1.0, -2.0]]), 4)
    1.5
    """

    phi: MarginLoss = Hinge()  # noqa: RUF009

    def __post_init__(self) -> None:
        if not isinstance(self.phi, MarginLoss):
            raise TypeError(f"phi must be a margin loss such as Hinge(); got {self.phi!r}")

    @property
    def is_convex(self) -> bool:  # type: ignore[override]
        return self.phi.is_convex

    @property
    def is_differentiable(self) -> bool:  # type: ignore[override]
        return self.phi.is_differentiable

    @property
    def smoothness(self) -> float:  # type: ignore[override]
        return self.phi.smoothness

    def lipschitz_of(self, K: int) -> float:
        """sqrt(K) times that of phi."""
        return sqrt(K) * self.phi.lipschitz

    @property
    def is_fisher_consistent(self) -> bool | None:  # type: ignore[override]
        """Whether phi's Bayes score increases with the probability, strictly."""
        if isinstance(self.phi, Mixture) and not self.phi.is_convex:
            return None
        scores = self.phi.bayes_score(np.linspace(0.01, 0.99, 99))
        return bool((scores[1:] > scores[:-1] + 1e-12).all())

    @property
    def is_upper_bound_on_zero_one(self) -> bool:  # type: ignore[override]
        """If phi is convex: phi(s_k) + phi(-s_j) >= 2 phi((s_k - s_j) / 2) >= 2 phi(0)."""
        return self.phi.is_convex and bool(2 * self.phi.phi(0.0) >= 1)

    @property
    def _terms(self) -> Any:  # type: ignore[override]
        return self.phi._terms

    def _row(self, K: int) -> tuple[None, float, float, float]:
        return None, 1.0, 0.0, 0.0


one_vs_rest_loss = as_function(OneVsRest, "one_vs_rest_loss")


@dataclass(frozen=True)
class CarliniWagner(MulticlassLoss):
    """Carlini and Wagner's attack loss: what an adversary minimises.

    Untargeted, k the class to get away from: max(s_k - max_{j != k} s_j, -kappa). Targeted, k the
    class to reach: max(max_{j != k} s_j - s_k, -kappa).

    Parameters
    ----------
    kappa : float, default 0.0
        Confidence to reach, not negative.
    targeted : bool, default False

    References
    ----------
    N. Carlini and D. Wagner, "Towards evaluating the robustness of neural networks", IEEE Symposium
    on Security and Privacy, 2017, section VI.

    Examples
    --------
    >>> round(CarliniWagner().value([0], [[1.0, 0.5, -1.0, -2.0]]), 4)
    0.5
    """

    kappa: float = 0.0
    targeted: bool = False
    lipschitz = sqrt(2)
    is_fisher_consistent = None
    is_upper_bound_on_zero_one = False

    def __post_init__(self) -> None:
        set_parameters(self, kappa=check.real("kappa", self.kappa, positive=False))
        check.boolean("targeted", self.targeted)

    @property
    def is_convex(self) -> bool:  # type: ignore[override]
        return self.targeted

    def _row(self, K: int) -> tuple[str, float, float, float]:
        return "carlini_wagner", 1.0, self.kappa, float(self.targeted)


carlini_wagner_loss = as_function(CarliniWagner, "carlini_wagner_loss")


@dataclass(frozen=True)
class DLR(MulticlassLoss):
    """Difference-of-logits ratio, -(s_k - max_{j != k} s_j) / (s_(1) - s_(3)), for K >= 3.

    s_(i) is the i-th highest score. An attack maximises it; it does not change when scores are
    shifted or multiplied. NaN where the three highest scores are equal.

    References
    ----------
    F. Croce and M. Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks", ICML 2020, section 4.

    Examples
    --------
    >>> round(DLR().value([0], [[1.0, 0.5, -1.0, -2.0]]), 4)
    -0.25
    """

    is_convex = False
    is_fisher_consistent = None
    is_upper_bound_on_zero_one = False
    _least = 3

    def _row(self, K: int) -> tuple[str, float, float, float]:
        return "dlr", 1.0, 0.0, 0.0


dlr_loss = as_function(DLR, "dlr_loss")


class MulticlassMixture(Mixture, MulticlassLoss):
    """A weighted sum of multiclass losses, ``0.9 * CrammerSinger() + 0.1 * CrossEntropy()``.

    `lipschitz`, `smoothness` and those of K classes are sums, upper bounds.

    Examples
    --------
    >>> (0.5 * CrammerSinger() + 0.5 * WestonWatkins()).value([0], [[1.0, 0.5, -1.0]])
    0.5
    """

    def lipschitz_of(self, K: int) -> float:
        """The sum of the parts' constants for K classes."""
        return float(sum(abs(c) * part.lipschitz_of(K) for c, part in self._counting))

    def smoothness_of(self, K: int) -> float:
        """The sum of the parts' constants for K classes."""
        return float(sum(abs(c) * part.smoothness_of(K) for c, part in self._counting))

    @property
    def is_fisher_consistent(self) -> Any:  # type: ignore[override]
        """That of the only part; None, not known, of several."""
        (c, part), *others = self._computed
        return part.is_fisher_consistent if c > 0 and not others else None

    @property
    def is_upper_bound_on_zero_one(self) -> Any:  # type: ignore[override]
        """True if the parts are and their weights make 1; otherwise None, not known."""
        bounds = all(c > 0 and part.is_upper_bound_on_zero_one for c, part in self._counting)
        return True if bounds and sum(c for c, _ in self.parts) >= 1 else None


def _mixture(parts: list[tuple[float, Loss]]) -> MulticlassMixture:
    return MulticlassMixture(parts)


MulticlassLoss._mixture = staticmethod(_mixture)  # type: ignore[method-assign, assignment]
