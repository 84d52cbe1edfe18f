# SPDX-License-Identifier: BSD-3-Clause
"""Losses of distances, pairs and triplets: what embeddings and similarities are learned with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import Any

import numpy as np

from .. import _scores as gate
from .. import _validate as check
from ._base import Loss, as_function
from .margin import Hinge, _finite

__all__ = [  # all that is public here
    "HingeEmbedding", "hinge_embedding_loss", "MarginRanking", "margin_ranking_loss", "Triplet",
    "triplet_loss", "NPair", "npair_loss", "LiftedStructure", "lifted_structure_loss",
    "BatchAllTriplet", "batch_all_triplet_loss",
]

_BLOCK = 1 << 20  # numbers in a block of rows of a matrix of all pairs


@dataclass(frozen=True)
class HingeEmbedding(Loss):
    """Hinge embedding loss of distances: x for pairs with y = +1, max(0, margin - x) for y = -1.

    Similar pairs are drawn together, dissimilar ones pushed `margin` apart. Derivative 1 for
    y = +1; for y = -1 it is -1 for x < margin, else 0.

    Parameters
    ----------
    margin : float, default 1.0

    Notes
    -----
    The numbers of torch.nn.HingeEmbeddingLoss. A NaN distance has a loss and a derivative of NaN.

    References
    ----------
    R. Hadsell, S. Chopra and Y. LeCun, "Dimensionality reduction by learning an invariant
    mapping", CVPR 2006 (with squares).

    Examples
    --------
    >>> HingeEmbedding().value([1, -1, -1], [0.5, 0.25, 3.0], reduction="sum")
    1.25
    """

    _example = "[1, -1], [0.5, 0.25]"  # of arguments of `value`, for docstrings

    margin: float = 1.0
    lipschitz = 1.0

    def __post_init__(self) -> None:
        _finite("margin", self.margin)

    def value(self, y: Any, x: Any, *, sample_weight: Any = None, reduction: str = "mean",
              labels: Any = None) -> Any:
        """The loss, reduced.

        Parameters
        ----------
        y : array-like
            +1 for similar pairs, -1 for others, in the shape of `x`.
        x : array-like
            Distances.
        sample_weight : array-like, optional
            In the shape of `x`, finite and not negative: multiplies the losses.
        reduction : {"mean", "sum", "none"}, default "mean"
            The (weighted) mean, sum(w loss) / sum(w), the sum, or every w loss.
        labels : pair, optional
            (label of dissimilar pairs, label of similar ones) if `y` holds others than -1 and +1.

        Returns
        -------
        float, or ndarray in the shape of `x` and of its precision for reduction "none"

        Raises
        ------
        ValueError
            For labels that are not -1 and +1 (or `labels`), shapes that differ, a mean of nothing,
            or a wrong `reduction` or `sample_weight`.
        """
        return self._evaluate(y, x, labels, sample_weight, reduction, True, False)[0]

    def gradient(self, y: Any, x: Any, *, sample_weight: Any = None, reduction: str = "mean",
                 labels: Any = None) -> np.ndarray:
        """Derivative of the reduced value with respect to every distance, shaped as `x`."""
        return self._evaluate(y, x, labels, sample_weight, reduction, False, True)[1]

    def value_and_gradient(
        self, y: Any, x: Any, *, sample_weight: Any = None, reduction: str = "mean",
        labels: Any = None
    ) -> tuple[Any, np.ndarray]:
        """`value` and `gradient`."""
        return self._evaluate(y, x, labels, sample_weight, reduction, True, True)

    def _evaluate(self, y: Any, x: Any, labels: Any, sample_weight: Any, reduction: str,
                  value: bool, gradient: bool) -> tuple[Any, Any]:
        x = gate.scores(x, "x")
        y = _as_x(y, x, reduction)
        y, flat, w, scale, shape = gate.margins(y, x, labels, sample_weight, reduction)
        similar = y == 1
        if not (similar | (y == -1)).all():
            gate.refuse_signs(y.reshape(shape))
        d, similar = flat.astype(np.float64).reshape(-1), similar.reshape(-1)
        w = None if w is None else w.reshape(-1)
        each = slopes = None
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            if value:
                loss = np.where(similar, d, np.maximum(0.0, self.margin - d))
                each = _reduced(loss, w, scale, reduction, x.dtype, shape)
                each = each if reduction != "none" else each[()]
            if gradient:
                slope = np.where(similar, 1.0, np.where(d < self.margin, -1.0, 0.0)) * scale
                slope[np.isnan(d)] = np.nan
                slopes = (slope if w is None else slope * w).astype(x.dtype).reshape(shape)[()]
        return each, slopes


HingeEmbedding._family = HingeEmbedding
hinge_embedding_loss = as_function(HingeEmbedding, "hinge_embedding_loss")


@dataclass(frozen=True)
class MarginRanking(Loss):
    """Margin ranking loss of two scores, max(0, margin - y (x1 - x2)).

    y = +1 says that x1 should be the larger, by `margin`; y = -1 that x2 should. Derivatives -y
    and y where the loss is positive, else 0.

    Parameters
    ----------
    margin : float, default 0.0

    Attributes
    ----------
    lipschitz : float
        sqrt(2), with respect to the pair (x1, x2).

    Notes
    -----
    `Hinge(margin)` of the score x1 - x2: precision, strides and threads as there. The numbers of
    torch.nn.MarginRankingLoss; but where y (x1 - x2) = margin the derivatives are 0, the
    subgradient of smallest norm, and torch's are -y and y.

    References
    ----------
    R. Herbrich, T. Graepel and K. Obermayer, "Large margin rank boundaries for ordinal
    regression", Advances in Large Margin Classifiers, 2000.

    Examples
    --------
    >>> MarginRanking(margin=0.5).value([1, -1], [2.0, 1.0], [1.0, 1.0])
    0.25
    """

    _example = "[1, -1], [2.0, 1.0], [1.0, 1.0]"  # of arguments of `value`, for docstrings

    margin: float = 0.0
    lipschitz = sqrt(2)

    def __post_init__(self) -> None:
        _finite("margin", self.margin)

    @cached_property
    def _hinge(self) -> Hinge:
        return Hinge(self.margin)

    def value(self, y: Any, x1: Any, x2: Any, *, sample_weight: Any = None,
              reduction: str = "mean", labels: Any = None) -> Any:
        """The loss, reduced.

        Parameters
        ----------
        y : array-like
            +1 where x1 should be the larger, -1 where x2 should.
        x1, x2 : array-like
            Scores, in the shape of `y`.
        sample_weight : array-like, optional
            In the same shape, finite and not negative: multiplies the losses.
        reduction : {"mean", "sum", "none"}, default "mean"
            The (weighted) mean, sum(w loss) / sum(w), the sum, or every w loss.
        labels : pair, optional
            (negative label, positive label) if `y` holds others than -1 and +1.

        Returns
        -------
        float, or ndarray in the shape of `x1` for reduction "none"

        Raises
        ------
        ValueError
            For labels that are not -1 and +1 (or `labels`), shapes that differ, a mean of nothing,
            or a wrong `reduction` or `sample_weight`.
        """
        return self._evaluate(y, x1, x2, labels, sample_weight, reduction, True, False)[0]

    def gradient(self, y: Any, x1: Any, x2: Any, *, sample_weight: Any = None,
                 reduction: str = "mean", labels: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives of the reduced value with respect to x1 and to x2."""
        return self._evaluate(y, x1, x2, labels, sample_weight, reduction, False, True)[1]

    def value_and_gradient(
        self, y: Any, x1: Any, x2: Any, *, sample_weight: Any = None, reduction: str = "mean",
        labels: Any = None
    ) -> tuple[Any, tuple[np.ndarray, np.ndarray]]:
        """`value` and `gradient` in one pass over the data."""
        return self._evaluate(y, x1, x2, labels, sample_weight, reduction, True, True)

    def _evaluate(self, y: Any, x1: Any, x2: Any, labels: Any, sample_weight: Any, reduction: str,
                  value: bool, gradient: bool) -> tuple[Any, Any]:
        x1, x2 = gate.scores(x1, "x1"), gate.scores(x2, "x2")
        if x2.shape != x1.shape:
            raise ValueError(f"x2.shape == {x2.shape}, expected {x1.shape} as x1 has")
        y = _as_x(y, x1, reduction, "x1")
        with np.errstate(invalid="ignore", over="ignore"):
            f = np.asarray(x1 - x2)
        each, g = self._hinge._evaluate(y, f, labels, sample_weight, reduction, value, gradient)
        if not gradient:
            return each, None
        return each, (g.astype(x1.dtype, copy=False), np.negative(g, dtype=x2.dtype))


MarginRanking._family = MarginRanking
margin_ranking_loss = as_function(MarginRanking, "margin_ranking_loss")


@dataclass(frozen=True)
class Triplet(Loss):
    """Triplet loss, max(0, d(a, p) - d(a, n) + margin), of anchors, positives and negatives.

    d(u, v) = ||u - v + eps||_p, with `eps` added to every coordinate; with `squared`
    d(u, v) = ||u - v||^2, Euclidean and without eps. With `swap` the smaller of d(a, n) and d(p, n)
    takes the place of d(a, n).

    Parameters
    ----------
    margin : float, default 1.0
    p : float, default 2.0
        Positive; may be infinity.
    eps : float, default 1e-6
        Not negative.
    swap : bool, default False
    squared : bool, default False
        The squared Euclidean distance; needs p = 2.

    Attributes
    ----------
    lipschitz : float
        sqrt(6) for p >= 2, with respect to (a, p, n) together; for smaller p it grows with the
        dimension (inf here), and there is none for squared distances.

    Notes
    -----
    The numbers of torch.nn.TripletMarginLoss. Where the loss is 0, or just reaches it, the
    derivatives are 0 (torch's are not where it just does); so are those of a distance of 0, and of
    coordinates that do not differ. Equal distances under `swap`, and equal largest coordinates for
    p = inf, share the derivative. Computed in double precision, distances without overflow. NaN
    propagates to the loss and derivatives of its row; infinite coordinates give the limit of the
    loss, or NaN where there is none.

    References
    ----------
    F. Schroff, D. Kalenichenko and J. Philbin, "FaceNet: a unified embedding for face recognition
    and clustering", CVPR 2015 (squared distances). V. Balntas, E. Riba, D. Ponsa and
    K. Mikolajczyk, "Learning local feature descriptors with triplets and shallow convolutional
    neural networks", BMVC 2016 (swap).

    Examples
    --------
    >>> Triplet(squared=True).value([[0.0, 0.0]], [[1.0, 0.0]], [[0.0, 1.0]])
    1.0
    """

    _example = "[[0.0]], [[1.0]], [[0.5]]"  # of arguments of `value`, for docstrings

    margin: float = 1.0
    p: float = 2.0
    eps: float = 1e-6
    swap: bool = False
    squared: bool = False
    is_convex = False

    def __post_init__(self) -> None:
        _finite("margin", self.margin)
        check.positive_float("p", self.p, allow_inf=True)
        check.real("eps", self.eps, positive=False)
        check.boolean("swap", self.swap)
        if check.boolean("squared", self.squared) and self.p != 2:
            raise ValueError(f"squared=True is the squared Euclidean distance: p must be 2; got "
                             f"{self.p!r}")

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        return sqrt(6) if self.p >= 2 and not self.squared else np.inf

    def value(self, anchor: Any, positive: Any, negative: Any, *, sample_weight: Any = None,
              reduction: str = "mean") -> Any:
        """The loss, reduced.

        Parameters
        ----------
        anchor, positive, negative : array-like, shape (n, d)
            A row of each makes a triplet.
        sample_weight : array-like, shape (n,), optional
            Finite and not negative: multiplies the losses.
        reduction : {"mean", "sum", "none"}, default "mean"
            The (weighted) mean, sum(w loss) / sum(w), the sum, or every w loss.

        Returns
        -------
        float, or ndarray (n,) of the precision of `anchor` for reduction "none"

        Raises
        ------
        ValueError
            For shapes that differ, a mean of nothing, or a wrong `reduction` or `sample_weight`.
        """
        return self._evaluate(anchor, positive, negative, sample_weight, reduction, False)[0]

    def gradient(
        self, anchor: Any, positive: Any, negative: Any, *, sample_weight: Any = None,
        reduction: str = "mean"
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Derivatives of the reduced value with respect to `anchor`, `positive`, `negative`."""
        return self._evaluate(anchor, positive, negative, sample_weight, reduction, True)[1]

    def value_and_gradient(
        self, anchor: Any, positive: Any, negative: Any, *, sample_weight: Any = None,
        reduction: str = "mean"
    ) -> tuple[Any, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """`value` and `gradient`."""
        return self._evaluate(anchor, positive, negative, sample_weight, reduction, True)

    def _evaluate(self, anchor: Any, positive: Any, negative: Any, sample_weight: Any,
                  reduction: str, gradient: bool) -> tuple[Any, Any]:
        a, p, n = _rows(anchor=anchor, positive=positive, negative=negative)
        w, scale = _row_weights(sample_weight, len(a), reduction, "anchor")
        dtypes = [x.dtype for x in (a, p, n)]
        a, p, n = (x.astype(np.float64, copy=False) for x in (a, p, n))
        with np.errstate(invalid="ignore", over="ignore", under="ignore", divide="ignore"):
            ap, an = a - p, a - n
            d_ap, d_an = self._distance(ap), self._distance(an)
            far = d_an
            if self.swap:
                pn = p - n
                d_pn = self._distance(pn)
                far = np.minimum(d_an, d_pn)
            loss = d_ap - far + self.margin
            value = _reduced(np.maximum(0.0, loss), w, scale, reduction, dtypes[0], (len(a),))
            if not gradient:
                return value, None
            slope = np.where(np.isnan(loss), np.nan, np.where(loss > 0, scale, 0.0))
            if w is not None:
                slope *= w
            near = self._slopes(ap, d_ap, slope)
            if self.swap:
                share = np.where(d_an < d_pn, 1.0, np.where(d_an == d_pn, 0.5, 0.0))
                from_a = self._slopes(an, d_an, slope * share)
                from_p = self._slopes(pn, d_pn, slope * (1 - share))
                found = near - from_a, -near - from_p, from_a + from_p
            else:
                from_a = self._slopes(an, d_an, slope)
                found = near - from_a, -near, from_a
            return value, tuple(g.astype(dtype, copy=False)
                                for g, dtype in zip(found, dtypes, strict=True))

    def _distance(self, z: np.ndarray) -> np.ndarray:
        """Length of the rows of `z`, to which eps is added in place."""
        if self.squared:
            return np.einsum("ij,ij->i", z, z)
        z += self.eps
        size = np.abs(z)
        top = size.max(axis=1, initial=0.0)
        if self.p == np.inf:
            return top
        unit = np.where((top > 0) & (top < np.inf), top, 1.0)
        total = ((size / unit[:, None]) ** self.p).sum(axis=1)
        return unit * total ** (1 / self.p)

    def _slopes(self, z: np.ndarray, d: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """factor times the derivatives of the distances `d` of the rows `z`; 0 where factor is."""
        if self.squared:
            slopes = 2 * z
        elif self.p == np.inf:
            top = (np.abs(z) == d[:, None]) & (d[:, None] > 0)
            slopes = np.sign(z) * (top / np.maximum(1, top.sum(axis=1))[:, None])
        else:
            ratio = np.abs(z) / np.where(d == 0, 1.0, d)[:, None]
            # A power below 0, for p < 1, is infinite at coordinates that do not differ.
            slopes = np.where(z == 0, 0.0, np.sign(z) * ratio ** (self.p - 1))
        return np.where(factor[:, None] == 0, 0.0, slopes * factor[:, None])


Triplet._family = Triplet
triplet_loss = as_function(Triplet, "triplet_loss")


@dataclass(frozen=True)
class NPair(Loss):
    """N-pair loss, log(1 + sum_j exp(a_i.p_j - a_i.p_i)) for each anchor a_i and its positive p_i.

    The positives p_j of the other anchors are the negatives of a_i. With `l2` every anchor's loss
    has l2 (||a_i||^2 + ||p_i||^2) added.

    Parameters
    ----------
    l2 : float, default 0.0
        Not negative.

    Notes
    -----
    In double precision and with exponentials that do not overflow; O(n^2 d) time. Similarities are
    made for blocks of anchors, never all n x n: besides copies of the embeddings the memory needed
    is O(n), or a few 10 MB. NaN propagates; infinite coordinates may give NaN, too.

    References
    ----------
    K. Sohn, "Improved deep metric learning with multi-class N-pair loss objective", NeurIPS 2016.

    Examples
    --------
    >>> round(NPair().value([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]), 6)
    0.313262
    """

    _example = "[[1.0], [0.5]], [[1.0], [0.0]]"  # of arguments of `value`, for docstrings

    l2: float = 0.0
    is_convex = False
    is_differentiable = True

    def __post_init__(self) -> None:
        check.real("l2", self.l2, positive=False)

    def value(self, anchor: Any, positive: Any, *, labels: Any = None, sample_weight: Any = None,
              reduction: str = "mean") -> Any:
        """The loss, reduced.

        Parameters
        ----------
        anchor, positive : array-like, shape (n, d)
            A row of each makes a pair.
        labels : array-like, shape (n,), optional
            Classes of the pairs: positives of an anchor's own class are not its negatives. By
            default every pair is of another class.
        sample_weight : array-like, shape (n,), optional
            Finite and not negative: multiplies the anchors' losses.
        reduction : {"mean", "sum", "none"}, default "mean"
            The (weighted) mean, sum(w loss) / sum(w), the sum, or every w loss.

        Returns
        -------
        float, or ndarray (n,) of the precision of `anchor` for reduction "none"

        Raises
        ------
        ValueError
            For shapes that differ, a mean of nothing, or a wrong `labels`, `reduction` or
            `sample_weight`.
        """
        return self._evaluate(anchor, positive, labels, sample_weight, reduction, False)[0]

    def gradient(self, anchor: Any, positive: Any, *, labels: Any = None,
                 sample_weight: Any = None, reduction: str = "mean"
                 ) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives of the value with respect to `anchor` and `positive`.

        For reduction "none", those of the sum.
        """
        return self._evaluate(anchor, positive, labels, sample_weight, reduction, True)[1]

    def value_and_gradient(
        self, anchor: Any, positive: Any, *, labels: Any = None, sample_weight: Any = None,
        reduction: str = "mean"
    ) -> tuple[Any, tuple[np.ndarray, np.ndarray]]:
        """`value` and `gradient` in one pass over the similarities."""
        return self._evaluate(anchor, positive, labels, sample_weight, reduction, True)

    def _evaluate(self, anchor: Any, positive: Any, labels: Any, sample_weight: Any,
                  reduction: str, gradient: bool) -> tuple[Any, Any]:
        a, p = _rows(anchor=anchor, positive=positive)
        n = len(a)
        w, scale = _row_weights(sample_weight, n, reduction, "anchor")
        groups = np.arange(n) if labels is None else codes(labels, n, "NPair")
        dtypes = a.dtype, p.dtype
        a, p = a.astype(np.float64, copy=False), p.astype(np.float64, copy=False)
        slope = np.full(n, scale) if w is None else scale * w
        loss, ga, gp = np.empty(n), np.zeros(a.shape), np.zeros(p.shape)
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            for start, stop in blocks(n, n):
                own = np.arange(stop - start), np.arange(start, stop)
                z = a[start:stop] @ p.T
                same = z[own]
                z -= same[:, None]
                z[groups[start:stop, None] == groups] = -np.inf
                z[own] = np.where(np.isnan(same), np.nan, 0.0)  # the 1 of the formula
                top = z.max(axis=1)
                z = np.exp(z - top[:, None])
                total = z.sum(axis=1)
                loss[start:stop] = top + np.log(total)
                if gradient:
                    z *= (slope[start:stop] / total)[:, None]
                    z[own] -= slope[start:stop]
                    ga[start:stop] = z @ p
                    gp += z.T @ a[start:stop]
            if self.l2 > 0:
                loss += self.l2 * (np.einsum("ij,ij->i", a, a) + np.einsum("ij,ij->i", p, p))
                ga += (2 * self.l2 * slope)[:, None] * a
                gp += (2 * self.l2 * slope)[:, None] * p
            value = _reduced(loss, w, scale, reduction, dtypes[0], (n,))
        if not gradient:
            return value, None
        return value, (ga.astype(dtypes[0], copy=False), gp.astype(dtypes[1], copy=False))


NPair._family = NPair
npair_loss = as_function(NPair, "npair_loss")


class _BatchLoss(Loss):
    """Base of the losses of a batch of embeddings with labels."""

    _example = "[[0.0], [0.0], [1.0]], [0, 0, 1]"  # of arguments of `value`, for docstrings

    is_convex = False

    def value(self, embeddings: Any, labels: Any, *, reduction: str = "mean") -> float:
        """The loss of a batch.

        Parameters
        ----------
        embeddings : array-like, shape (B, d)
        labels : array-like, shape (B,)
            Classes: integers, strings or booleans.
        reduction : {"mean", "sum"}, default "mean"

        Returns
        -------
        float

        Raises
        ------
        ValueError
            For wrong shapes, labels or `reduction`, and for a mean of nothing.
        """
        return self._evaluate(embeddings, labels, reduction, False)[0]

    def gradient(self, embeddings: Any, labels: Any, *, reduction: str = "mean") -> np.ndarray:
        """Derivatives with respect to `embeddings`, in their shape and precision."""
        return self._evaluate(embeddings, labels, reduction, True)[1]

    def value_and_gradient(self, embeddings: Any, labels: Any, *, reduction: str = "mean"
                           ) -> tuple[float, np.ndarray]:
        """`value` and `gradient`, for little more than one of them."""
        return self._evaluate(embeddings, labels, reduction, True)

    def _evaluate(self, embeddings: Any, labels: Any, reduction: str, gradient: bool
                  ) -> tuple[float, Any]:
        check.choice("reduction", reduction, ("mean", "sum"))
        (x,) = _rows(embeddings=embeddings)
        groups = codes(labels, len(x), type(self).__name__)
        dtype = x.dtype
        x = x.astype(np.float64)
        if not np.isfinite(x).all():
            return np.nan, np.full(x.shape, np.nan, dtype)
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            value, g = self._of(x, groups, reduction == "mean", gradient)
        return value, None if g is None else g.astype(dtype, copy=False)

    def _of(self, x: np.ndarray, groups: np.ndarray, mean: bool, gradient: bool
            ) -> tuple[float, Any]:
        """Value and derivatives for finite embeddings."""
        raise NotImplementedError


@dataclass(frozen=True)
class LiftedStructure(_BatchLoss):
    """Lifted structured loss, 1 / (2 |P|) sum over the pairs (i, j) of P of max(0, J_ij)^2.

    P are the pairs i < j of one class, N those of different ones, D Euclidean distances and J_ij =
    D_ij + log(sum over (i, k) in N of exp(margin - D_ik) + sum over (j, l) in N of
    exp(margin - D_jl)). Reduction "sum" does not divide by |P|.

    Parameters
    ----------
    margin : float, default 1.0

    Notes
    -----
    O(B^2 d) time and O(B^2) memory, in double precision. Equal points have a distance whose
    derivative is 0. With one class alone the loss is 0. Embeddings that are not all finite have a
    loss and derivatives of NaN.

    References
    ----------
    H. O. Song, Y. Xiang, S. Jegelka and S. Savarese, "Deep metric learning via lifted structured
    feature embedding", CVPR 2016, equation 4.

    Examples
    --------
    >>> round(LiftedStructure().value([[0.0], [0.0], [1.0]], [0, 0, 1]), 6)
    0.240227
    """

    margin: float = 1.0

    def __post_init__(self) -> None:
        _finite("margin", self.margin)

    def _of(self, x: np.ndarray, groups: np.ndarray, mean: bool, gradient: bool
            ) -> tuple[float, Any]:
        same = groups[:, None] == groups
        i, j = np.nonzero(np.triu(same, 1))
        if mean and len(i) == 0:
            raise ValueError("the mean of no pairs: no two embeddings have the same label; use "
                             'reduction="sum"')
        distance = distances(x, x)
        push = np.where(same, -np.inf, self.margin - distance)
        top = push.max(axis=1, initial=-np.inf)
        top[top == -np.inf] = 0.0  # no negatives
        push = np.exp(push - top[:, None])
        total = push.sum(axis=1)
        with np.errstate(divide="ignore"):
            pull = top + np.log(total)
        both = np.logaddexp(pull[i], pull[j])
        loss = np.maximum(0.0, both + distance[i, j])
        scale = 1 / len(i) if mean else 1.0
        value = 0.5 * scale * float(np.sum(loss * loss))
        if not gradient:
            return value, None
        slope = scale * loss
        weight = np.zeros(distance.shape)
        weight[i, j] = slope
        share = np.zeros(len(x))
        active = slope != 0  # elsewhere the share of no negatives would be NaN
        for ends in (i[active], j[active]):
            share += np.bincount(ends, slope[active] * np.exp(pull[ends] - both[active]), len(x))
        weight -= push * (share / np.where(total > 0, total, 1.0))[:, None]
        return value, _from_distances(x, distance, weight, False)


LiftedStructure._family = LiftedStructure
lifted_structure_loss = as_function(LiftedStructure, "lifted_structure_loss")


@dataclass(frozen=True)
class BatchAllTriplet(_BatchLoss):
    """Triplet loss of all triplets of a batch: mean of max(0, D_ap - D_an + margin).

    A triplet is an anchor a, another embedding p of its class and one n of another class; D is the
    Euclidean distance, or its square. The mean is over all triplets, those without loss included.
    O(B^2 (d + log B)) time and O(B^2) memory for what are O(B^3) triplets.

    Parameters
    ----------
    margin : float, default 1.0
    squared : bool, default False

    Attributes
    ----------
    lipschitz : float
        sqrt(6), of a single triplet and so of the mean; inf for squared distances.

    Notes
    -----
    Each anchor's distances are sorted: the negatives that have a loss with a positive are then the
    first ones, and their sum is a difference of prefix sums, in double precision. Where a loss just
    reaches 0 its derivative is 0, and so is that of the distance of equal points. Embeddings that
    are not all finite have a loss and derivatives of NaN.

    References
    ----------
    A. Hermans, L. Beyer and B. Leibe, "In defense of the triplet loss for person
    re-identification", arXiv:1703.07737, 2017, "batch all".

    Examples
    --------
    >>> BatchAllTriplet(margin=2.0).value([[0.0], [1.0], [3.0]], [0, 0, 1])
    0.5
    """

    margin: float = 1.0
    squared: bool = False

    def __post_init__(self) -> None:
        _finite("margin", self.margin)
        check.boolean("squared", self.squared)

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        return np.inf if self.squared else sqrt(6)

    def _of(self, x: np.ndarray, groups: np.ndarray, mean: bool, gradient: bool
            ) -> tuple[float, Any]:
        n = len(x)
        size = np.bincount(groups)[groups] if n else groups
        triplets = int(np.sum((size - 1) * (n - size)))
        if mean and triplets == 0:
            raise ValueError("the mean of no triplets: they take two embeddings of one label and "
                             'one of another; use reduction="sum"')
        scale = 1 / triplets if mean else 1.0
        distance = distances(x, x, self.squared)
        if not np.isfinite(distance).all():
            return np.nan, np.full(x.shape, np.nan)
        weight = np.zeros(distance.shape) if gradient else None
        losses = np.zeros(n)
        for a in range(n):
            same = groups == groups[a]
            negatives = np.flatnonzero(~same)
            same[a] = False
            positives = np.flatnonzero(same)
            reach = distance[a, positives] + self.margin
            near = distance[a, negatives]
            ordered = np.sort(near)
            count = np.searchsorted(ordered, reach)
            before = np.concatenate([[0.0], np.cumsum(ordered)])
            losses[a] = np.sum(np.maximum(0.0, count * reach - before[count]))
            if weight is not None:
                weight[a, positives] = count
                weight[a, negatives] = np.searchsorted(np.sort(reach), near, "right") - len(reach)
        value = scale * float(np.sum(losses))
        if weight is None:
            return value, None
        return value, scale * _from_distances(x, distance, weight, self.squared)


BatchAllTriplet._family = BatchAllTriplet
batch_all_triplet_loss = as_function(BatchAllTriplet, "batch_all_triplet_loss")


# ---- what they share ----------------------------------------------------------------------------

def distances(x: np.ndarray, z: np.ndarray, squared: bool = False) -> np.ndarray:
    """Euclidean distances of float64 rows, from their differences: 0 exactly for equal rows."""
    from scipy.spatial.distance import cdist

    if x.shape[1] == 0:
        return np.zeros((len(x), len(z)))
    return cdist(x, z, "sqeuclidean" if squared else "euclidean")


def codes(labels: Any, n: int, owner: str) -> np.ndarray:
    """Integers 0.. that are equal where the labels of n rows are."""
    try:
        array = check.label_array(labels, n, owner)
    except ValueError as error:
        raise ValueError(f"labels, {owner}'s y: {error}") from None
    return np.unique(array, return_inverse=True)[1].reshape(-1)


def blocks(n: int, width: int) -> list[tuple[int, int]]:
    """Ranges of n rows of `width` numbers, of a bounded size."""
    step = max(1, _BLOCK // max(1, width))
    return [(start, min(n, start + step)) for start in range(0, n, step)]


def _from_distances(x: np.ndarray, distance: np.ndarray, weight: np.ndarray, squared: bool
                    ) -> np.ndarray:
    """Derivatives with respect to the rows of x, from those (weight) by their distances."""
    pull = weight + weight.T
    if squared:
        pull *= 2
    else:
        pull = np.divide(pull, distance, out=np.zeros(pull.shape), where=distance > 0)
    centred = x - x.mean(axis=0) if len(x) else x  # the same differences, with more digits left
    return pull.sum(axis=1)[:, None] * centred - pull @ centred


def _rows(**given: Any) -> list[np.ndarray]:
    """Arrays (n, d) of the same shape as the first."""
    found: list[np.ndarray] = []
    first = next(iter(given))
    for name, rows in given.items():
        array = gate.scores(rows, name)
        if array.ndim != 2:
            raise ValueError(f"{name}.shape == {array.shape}, expected (n, d): an embedding a row")
        if found and array.shape != found[0].shape:
            raise ValueError(f"{name}.shape == {array.shape}, expected {found[0].shape} as {first} "
                             "has")
        found.append(array)
    return found


def _row_weights(sample_weight: Any, n: int, reduction: str, of: str
                 ) -> tuple[np.ndarray | None, float]:
    """Weights and what sums are multiplied by."""
    gate.reduced(reduction)
    w = None if sample_weight is None else gate.weights(sample_weight, (n,))
    return w, gate.mean_scale(n, w, of) if reduction == "mean" else 1.0


def _as_x(y: Any, x: np.ndarray, reduction: str, name: str = "x") -> Any:
    """`y`, if it has the shape of x, and there is something to take the mean of."""
    if reduction not in gate.REDUCTIONS:
        gate.reduced(reduction)
    if type(y) is not np.ndarray and not check.is_sparse(y):
        y = gate.given_array(y, "y")
    if y.shape != x.shape:
        raise ValueError(f"y.shape == {y.shape}, expected {x.shape} as {name} has")
    if reduction == "mean" and x.size == 0:
        gate.mean_scale(0, None, name)
    return y


def _reduced(each: np.ndarray, w: np.ndarray | None, scale: float, reduction: str,
             dtype: np.dtype, shape: tuple[int, ...]) -> Any:
    """Losses of float64, weighted and reduced; or in the precision and shape of the scores."""
    if w is not None:
        each = each * w
    if reduction == "none":
        return each.astype(dtype, copy=False).reshape(shape)
    return scale * float(np.sum(each))
