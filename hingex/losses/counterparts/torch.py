# SPDX-License-Identifier: BSD-3-Clause
"""Counterparts of torch.nn's margin losses.

As in torch, the scores come first, and inputs without the batch axis are taken; numbers count as
arrays of one element, and a single class has nothing to lose to: its loss is 0. `reduction` is
"mean" (over the samples, whatever the weights), "sum" or "none"; `size_average` and `reduce` are
torch's former way to say that, and win over it where one is given. Inputs that torch would
broadcast must have equal shapes here, and losses written for labels of -1 and +1 refuse others,
for which torch gives a number that means nothing. The mean of no rows, of which torch makes NaN or
0, is a ValueError.

At the kink of max(0, z), z = 0, torch's HingeEmbeddingLoss, MarginRankingLoss and TripletMarginLoss
pass the derivative of z on; here it is 0, as in its MultiMarginLoss and MultiLabelMarginLoss. These
two hide a NaN score in torch: a NaN is not greater than 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ... import _scores as gate
from ..._validate import boolean, real
from .._base import Loss
from ..margin import Logistic
from ..multiclass import WestonWatkins

BLOCK = 1_000_000  # pairs of classes of MultiLabelMarginLoss that are held at a time


class _Loss:
    size_average: bool | None
    reduce: bool | None
    reduction: str

    def __post_init__(self) -> None:
        if self.size_average is not None or self.reduce is not None:
            kept = "mean" if self.size_average in (None, True) else "sum"
            object.__setattr__(self, "reduction", kept if self.reduce in (None, True) else "none")
        gate.reduced(self.reduction)

    def _embedding(self, name: str, **parameters: Any) -> Loss:
        from .. import embedding

        return getattr(embedding, name)(**parameters)


@dataclass(frozen=True)
class HingeEmbeddingLoss(_Loss):
    """torch.nn.HingeEmbeddingLoss: x where the target is +1, max(0, margin - x) where it is -1.

    At x = margin torch's derivative is -1, and 0 here. For a target that is neither torch adds up
    both terms; here it is a ValueError.

    Parameters
    ----------
    margin : float, default 1.0
    size_average, reduce : bool, optional
        Deprecated in torch.
    reduction : {"mean", "sum", "none"}, default "mean"

    Examples
    --------
    >>> from hingex.losses.counterparts import torch as nn
    >>> nn.HingeEmbeddingLoss()([0.5, 0.25], [1, -1])
    0.625
    """

    margin: float = 1.0
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"

    def __call__(self, input: Any, target: Any) -> Any:
        """The loss: a float, or for reduction "none" an array in the shape of `input`."""
        return self.value_and_gradient(input, target)[0]

    def value_and_gradient(self, input: Any, target: Any) -> tuple[Any, Any]:
        """The loss and its derivative with respect to `input`."""
        loss = self._embedding("HingeEmbedding", margin=self.margin)
        with gate.called(y="target", x="input"):
            return loss.value_and_gradient(gate.signs(target, "target"), input,
                                           reduction=self.reduction)


@dataclass(frozen=True)
class MultiMarginLoss(_Loss):
    """torch.nn.MultiMarginLoss: sum_{j != k} (weight_k) max(0, margin + x_j - x_k)^p / K.

    torch divides by the number of classes K, not by the K - 1 terms. A `weight` multiplies a row's
    loss (after the power) and does not enter the divisor of the mean, the number of rows.
    This is ``WestonWatkins(margin, p, mean_over_classes=True, weight=weight)``.

    Parameters
    ----------
    p : {1, 2}, default 1
    margin : float, default 1.0
    weight : array-like, shape (K,), optional
        Finite and not negative.
    size_average, reduce : bool, optional
        Deprecated in torch.
    reduction : {"mean", "sum", "none"}, default "mean"

    Examples
    --------
    >>> from hingex.losses.counterparts import torch as nn
    >>> nn.MultiMarginLoss()([[0.5, 1.0]], [0])
    0.75
    >>> nn.MultiMarginLoss()([[0.5]], [0])
    0.0
    """

    p: int = 1
    margin: float = 1.0
    weight: Any = None
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "weight", self._made.weight)

    @cached_property
    def _made(self) -> WestonWatkins:
        return WestonWatkins(self.margin, self.p, mean_over_classes=True, weight=self.weight)

    def __call__(self, input: Any, target: Any) -> Any:
        """The loss of scores (N, K) and class indices (N,), or of (K,) and one index, K >= 1.

        Returns
        -------
        float, or for reduction "none" an array in the shape of `target`
        """
        return self._evaluate(input, target, False)[0]

    def value_and_gradient(self, input: Any, target: Any) -> tuple[Any, Any]:
        """The loss and its derivatives with respect to `input`, in its shape."""
        return self._evaluate(input, target, True)

    def _evaluate(self, input: Any, target: Any, gradient: bool) -> tuple[Any, Any]:
        loss, options = self._made, {"reduction": self.reduction}
        slopes = None
        with gate.called(y="target", scores="input"):
            rows, y, shape = _rows(input, target)
            if np.ndim(rows) == 2 and np.shape(rows)[1] == 1:
                value, slopes = _one_class(loss, rows, y, self.reduction)
            elif gradient:
                value, slopes = loss.value_and_gradient(y, rows, **options)
            else:
                value = loss.value(y, rows, **options)
        if self.reduction == "none":
            value = value.reshape(shape)[()]
        return value, None if slopes is None else slopes.reshape(np.shape(input))[()]


@dataclass(frozen=True)
class MarginRankingLoss(_Loss):
    """torch.nn.MarginRankingLoss: max(0, -target (input1 - input2) + margin).

    Target +1: input1 ought to be the higher one; -1: input2. Where the argument of the maximum is
    0, as for equal inputs and the default margin, torch's derivatives are -target and target, and
    0 here. Targets other than -1 and +1 are a ValueError here.

    Parameters
    ----------
    margin : float, default 0.0
    size_average, reduce : bool, optional
        Deprecated in torch.
    reduction : {"mean", "sum", "none"}, default "mean"

    Examples
    --------
    >>> from hingex.losses.counterparts import torch as nn
    >>> nn.MarginRankingLoss(margin=0.5)([2.0, 1.0], [1.0, 1.0], [1, -1])
    0.25
    """

    margin: float = 0.0
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"

    def __call__(self, input1: Any, input2: Any, target: Any) -> Any:
        """The loss of three arrays of one shape."""
        return self.value_and_gradient(input1, input2, target)[0]

    def value_and_gradient(self, input1: Any, input2: Any, target: Any
                           ) -> tuple[Any, tuple[Any, Any]]:
        """The loss, and its derivatives with respect to input1 and input2."""
        loss = self._embedding("MarginRanking", margin=self.margin)
        with gate.called(y="target", x1="input1", x2="input2"):
            return loss.value_and_gradient(gate.signs(target, "target"), input1, input2,
                                           reduction=self.reduction)


@dataclass(frozen=True)
class TripletMarginLoss(_Loss):
    """torch.nn.TripletMarginLoss: max(0, d(anchor, positive) - d(anchor, negative) + margin).

    d(u, v) = ||u - v + eps||_p: eps is added to every difference, so that d is neither symmetric
    nor 0 at u = v. With `swap` the distance to the negative is the lesser one of d(anchor,
    negative) and d(positive, negative). Where the maximum's argument is 0 torch passes the
    derivative on, and where the swapped distances are equal it halves them; see `hingex.losses`'
    Triplet for what is done here.

    Parameters
    ----------
    margin : float, default 1.0
        Positive, as torch demands.
    p : float, default 2.0
    eps : float, default 1e-6
    swap : bool, default False
    size_average, reduce : bool, optional
        Deprecated in torch.
    reduction : {"mean", "sum", "none"}, default "mean"

    Examples
    --------
    >>> from hingex.losses.counterparts import torch as nn
    >>> nn.TripletMarginLoss(eps=0.0)([0.0, 0.0], [1.0, 0.0], [0.0, 1.5])
    0.5
    """

    margin: float = 1.0
    p: float = 2.0
    eps: float = 1e-6
    swap: bool = False
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        real("margin", self.margin)
        boolean("swap", self.swap)

    def __call__(self, anchor: Any, positive: Any, negative: Any) -> Any:
        """The loss of arrays (N, D), or of one triplet, (D,), or of three numbers."""
        return self.value_and_gradient(anchor, positive, negative)[0]

    def value_and_gradient(self, anchor: Any, positive: Any, negative: Any
                           ) -> tuple[Any, tuple[Any, Any, Any]]:
        """The loss, and its derivatives with respect to anchor, positive and negative."""
        loss = self._embedding("Triplet", margin=self.margin, p=self.p, eps=self.eps,
                               swap=self.swap)
        given = [gate.scores(x, name) for x, name in
                 ((anchor, "anchor"), (positive, "positive"), (negative, "negative"))]
        shape = given[0].shape
        if any(x.shape != shape for x in given):
            raise ValueError(f"anchor, positive and negative have the shapes "
                             f"{', '.join(str(x.shape) for x in given)}, expected three times "
                             "(N, D), or (D,)")
        width = shape[-1] if shape else 1
        value, gradients = loss.value_and_gradient(
            *(x.reshape(math.prod(shape[:-1]), width) for x in given), reduction=self.reduction)
        if self.reduction == "none":
            value = value.reshape(shape[:-1])[()]
        ga, gp, gn = (g.reshape(shape)[()] for g in gradients)
        return value, (ga, gp, gn)


@dataclass(frozen=True)
class MultiLabelMarginLoss(_Loss):
    """torch.nn.MultiLabelMarginLoss: sum over targets k and others j of max(0, 1 - x_k + x_j) / K.

    A row of `target` lists the sample's classes up to the first -1; what follows that is not
    looked at, except that it must lie in -1..K-1. The others are all classes not listed. A class
    listed twice counts twice. torch divides by K, not by the number of terms.

    Takes O(N K T) time for at most T classes listed in a row.

    Parameters
    ----------
    size_average, reduce : bool, optional
        Deprecated in torch.
    reduction : {"mean", "sum", "none"}, default "mean"

    Examples
    --------
    >>> from hingex.losses.counterparts import torch as nn
    >>> nn.MultiLabelMarginLoss()([0.5, 1.0], [0, -1])
    0.75
    """

    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"

    def __call__(self, input: Any, target: Any) -> Any:
        """The loss of scores (N, K) and class indices (N, K), or of (K,) and (K,).

        Returns
        -------
        float, or for reduction "none" an array (N,)
        """
        return self.value_and_gradient(input, target)[0]

    def value_and_gradient(self, input: Any, target: Any) -> tuple[Any, Any]:
        """The loss and its derivatives with respect to `input`, in its shape."""
        given, t = gate.scores(input, "input"), gate.given_array(target, "target")
        shape = given.shape
        if given.size == t.size == 1 and given.ndim < 2 and t.ndim < 2:  # a number is an array here
            given, t = given.reshape(1), t.reshape(1)
        if given.ndim not in (1, 2) or given.shape[-1] == 0 or t.shape != given.shape:
            raise ValueError(f"input.shape == {shape} and target.shape == {np.shape(target)}; "
                             "expected (N, K) or (K,), the same for both")
        K = given.shape[-1]
        x, t = given.reshape(-1, K).astype(np.float64, copy=False), t.reshape(-1, K)
        if t.size and t.dtype.kind not in "iu":
            raise ValueError(f"target holds {t.dtype}, expected integers: class indices, "
                             "after them -1")
        bad = (t < -1) | (t >= K)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise ValueError(f"target[{row}, {column}] is {t[row, column]}, but there are scores "
                             f"of {K} classes: class indices must lie in 0..{K - 1}, or be -1")
        scale = gate.mean_scale(len(x), None, "input") if self.reduction == "mean" else 1.0
        t = t.astype(np.int64)
        listed = np.logical_and.accumulate(t >= 0, axis=1)
        most = int(listed.sum(axis=1).max(initial=0))
        t, listed = t[:, :most], listed[:, :most]
        values, slopes = np.empty(len(x)), np.empty(x.shape)
        step = max(1, BLOCK // (K * max(most, 1)))
        for i in range(0, len(x), step):
            rows = slice(i, i + step)
            values[rows], slopes[rows] = _multilabel(x[rows], t[rows], listed[rows])
        gradient = (slopes * scale).astype(given.dtype).reshape(shape)[()]
        if self.reduction == "none":
            return values.astype(given.dtype).reshape(given.shape[:-1])[()], gradient
        return float(values.sum() * scale), gradient


@dataclass(frozen=True)
class SoftMarginLoss(_Loss):
    """torch.nn.SoftMarginLoss: log(1 + exp(-target input)), of arrays of one shape.

    torch's exp overflows for very negative margins (from -88 on in float32), and loss and
    derivative with it become inf and NaN; here they are exact. Targets other than -1 and +1 are a
    ValueError here.

    Parameters
    ----------
    size_average, reduce : bool, optional
        Deprecated in torch.
    reduction : {"mean", "sum", "none"}, default "mean"

    Examples
    --------
    >>> from hingex.losses.counterparts import torch as nn
    >>> round(nn.SoftMarginLoss()([0.5, -1.0], [1, -1]), 4)
    0.3937
    """

    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"

    def __call__(self, input: Any, target: Any) -> Any:
        """The loss: a float, or for reduction "none" an array in the shape of `input`."""
        with gate.called(y="target", f="input"):
            return Logistic().value(gate.signs(target, "target"), input, reduction=self.reduction)

    def value_and_gradient(self, input: Any, target: Any) -> tuple[Any, Any]:
        """The loss and its derivative with respect to `input`."""
        with gate.called(y="target", f="input"):
            return Logistic().value_and_gradient(gate.signs(target, "target"), input,
                                                 reduction=self.reduction)


def _rows(input: Any, target: Any) -> tuple[Any, np.ndarray, tuple[int, ...]]:
    """Scores (N, K), class indices (N,), and the shape of the losses."""
    y = gate.given_array(target, "target")
    if y.size == 1 and y.ndim <= 1 and (np.ndim(input) < 2 or np.shape(input)[0] == 1):
        return np.atleast_2d(gate.scores(input, "input")), y.reshape(1), y.shape
    return input, y, y.shape


def _one_class(loss: WestonWatkins, scores: Any, y: np.ndarray, reduction: str
               ) -> tuple[Any, np.ndarray]:
    """Loss and derivatives of rows of a single score: 0, or NaN where it is."""
    s = gate.score_rows(scores, 1)
    y = gate.class_indices(y, len(s), 1)
    if y.any():
        gate.refuse_class(y, 1)
    if loss.weight is not None and len(loss.weight) != 1:
        raise ValueError(f"weight has {len(loss.weight)} elements, expected 1: one for each class")
    slopes = np.where(np.isnan(s), s, 0).astype(s.dtype)
    if reduction == "none":
        return slopes[:, 0].copy(), slopes
    scale = gate.mean_scale(len(s), None, "input") if reduction == "mean" else 1.0
    return float(slopes.sum(dtype=np.float64) * scale), slopes


def _multilabel(x: np.ndarray, t: np.ndarray, listed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Losses and derivatives of rows of K scores and of the classes `t` where `listed`."""
    n, K = x.shape
    row = np.arange(n)[:, None]
    other = np.ones((n, K), bool)
    other[np.nonzero(listed)[0], t[listed]] = False
    with np.errstate(invalid="ignore"):  # of infinite scores
        z = 1 - x[row, t][:, :, None] + x[:, None, :]
        z = np.where(listed[:, :, None] & other[:, None, :], z, 0.0)
        values = np.maximum(z, 0).sum(axis=(1, 2)) / K
        active = z > 0
    gradient = active.sum(axis=1) / K
    np.subtract.at(gradient, (row, t), active.sum(axis=2) / K)
    bad = np.isnan(values) | np.isnan(x).any(axis=1)
    values[bad] = gradient[bad] = np.nan
    return values, gradient


__all__ = ["HingeEmbeddingLoss", "MultiMarginLoss", "MarginRankingLoss", "TripletMarginLoss",
           "MultiLabelMarginLoss", "SoftMarginLoss"]
