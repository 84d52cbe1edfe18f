# SPDX-License-Identifier: BSD-3-Clause
"""Losses of samples with any number of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _scores as gate
from .. import _validate as check
from .._core import kernels
from .._threads import n_threads
from ._base import Loss, as_function
from .margin import PARALLEL_FROM, Hinge, MarginLoss

__all__ = ["MultilabelHinge", "multilabel_hinge_loss"]  # all that is public here

_losses = kernels("losses")


@dataclass(frozen=True)
class MultilabelHinge(Loss):
    """Margin loss of samples with several labels: mean or sum over the K labels of phi(y_j s_j).

    Parameters
    ----------
    phi : MarginLoss, default Hinge()
        A mixture is one, too.
    over_labels : {"mean", "sum"}, default "mean"

    Attributes
    ----------
    lipschitz, smoothness : float
        For the Euclidean norm of a row of scores, whatever K.

    References
    ----------
    M. R. Boutell, J. Luo, X. Shen and C. M. Brown, "Learning multi-label scene classification",
    Pattern Recognition 37, 2004 (a binary problem for each label).

    Examples
    --------
    >>> MultilabelHinge().value([[1, -1, -1]], [[0.5, -2.0, 0.0]])
    0.5
    """

    _example = "[[1, -1, -1]], [[0.5, -2.0, 0.0]]"  # of arguments of `value`, for docstrings

    phi: MarginLoss = Hinge()  # noqa: RUF009
    over_labels: str = "mean"

    def __post_init__(self) -> None:
        if not isinstance(self.phi, MarginLoss):
            raise TypeError(f"phi must be a margin loss such as Hinge(); got {self.phi!r}")
        check.choice("over_labels", self.over_labels, ("mean", "sum"))

    @property
    def is_convex(self) -> bool:  # type: ignore[override]
        return self.phi.is_convex

    @property
    def is_differentiable(self) -> bool:  # type: ignore[override]
        return self.phi.is_differentiable

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        return self.phi.lipschitz if self.over_labels == "mean" else np.inf

    @property
    def smoothness(self) -> float:  # type: ignore[override]
        return self.phi.smoothness

    def value(self, y: Any, scores: Any, *, sample_weight: Any = None, reduction: str = "mean",
              labels: Any = None) -> Any:
        """The loss of every row, reduced.

        Parameters
        ----------
        y : array-like, shape (n, K)
            -1 and +1: whether a sample has a label.
        scores : array-like, shape (n, K)
        sample_weight : array-like, shape (n,), optional
            Finite and not negative: multiplies the losses.
        reduction : {"mean", "sum", "none"}, default "mean"
            Over the samples.
        labels : pair, optional
            (negative, positive) if `y` holds others than -1 and +1, for example (0, 1).

        Returns
        -------
        float, or ndarray (n,) of the precision of `scores` for reduction "none"

        Raises
        ------
        ValueError
            For labels that are not -1 and +1 (or `labels`), shapes that do not fit, a mean of no
            rows, or a wrong `reduction` or `sample_weight`.
        """
        return self._evaluate(y, scores, sample_weight, reduction, labels, True, False)[0]

    def gradient(self, y: Any, scores: Any, *, sample_weight: Any = None, reduction: str = "mean",
                 labels: Any = None) -> Any:
        """Derivatives of the reduced value with respect to the scores, (n, K). See `value`."""
        return self._evaluate(y, scores, sample_weight, reduction, labels, False, True)[1]

    def value_and_gradient(self, y: Any, scores: Any, *, sample_weight: Any = None,
                           reduction: str = "mean", labels: Any = None) -> tuple[Any, Any]:
        """`value` and `gradient` in one pass over the scores."""
        return self._evaluate(y, scores, sample_weight, reduction, labels, True, True)

    def _evaluate(self, y: Any, scores: Any, sample_weight: Any, reduction: str, labels: Any,
                  value: bool, gradient: bool) -> tuple[Any, Any]:
        s = gate.score_rows(scores, 1)
        n, K = s.shape
        y, s, *_ = gate.margins(y, s, labels, None, "none")
        gate.reduced(reduction)
        w = None if sample_weight is None else gate.weights(sample_weight, (n,))
        scale = gate.mean_scale(n, w) if reduction == "mean" else 1.0
        if self.over_labels == "mean":
            scale /= K
        each = reduction == "none"
        found = _losses.margin_losses(
            self.phi._terms, y, s, None if w is None else np.broadcast_to(w[:, None], (n, K)),
            scale, value and not each, value and each, gradient,
            n_threads() if s.size >= PARALLEL_FROM else 1)  # fmt: skip
        if found is None:
            gate.refuse_signs(y)
        total, values, derivatives = found
        if each and value:
            sums = values.sum(axis=1, dtype=np.float64) * scale
            values = sums.astype(s.dtype, copy=False)
        return values if each else total, derivatives


MultilabelHinge._family = MultilabelHinge
multilabel_hinge_loss = as_function(MultilabelHinge, "multilabel_hinge_loss")
