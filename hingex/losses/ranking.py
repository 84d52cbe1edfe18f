# SPDX-License-Identifier: BSD-3-Clause
"""Pairwise ranking losses over the items of queries."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from .. import _scores as gate
from .. import _validate as check
from .._core import kernels
from .._targets import queries_of
from .._threads import n_threads
from ._base import Loss, as_function
from .margin import _finite

__all__ = [  # all that is public here
    "PairwiseRanking", "pairwise_ranking_loss",
]

PARALLEL_FROM = 20_000  # items; below, waking threads costs more than it saves

_pairwise = kernels("pairwise")


@dataclass(frozen=True)
class PairwiseRanking(Loss):
    """Hinge loss of all pairs of items of a query that are not equally relevant.

    The sum over queries and over their pairs (i, j) with rel_i > rel_j of
    w_i w_j max(0, margin - (f_i - f_j))^p, normalised. Ties in relevance make no pair; ties in
    score are pairs like others. Value and derivatives take O(n log n) time for n items, not
    O(n^2), and O(n) memory.

    Parameters
    ----------
    margin : float, default 1.0
    p : {1, 2}, default 1
    normalize : {"pairs", "queries", "none"}, default "pairs"
        Divide by the weight of all pairs, sum w_i w_j; or take the mean over the queries that have
        pairs of each query's mean; or leave the sum.

    Attributes
    ----------
    lipschitz, smoothness : float
        Of means of pairs, with respect to all scores: sqrt(2) for p = 1, and 4 for the derivative
        for p = 2; both are reached by a single pair. A sum of pairs has none for all n.

    Notes
    -----
    Sums are made in double precision of scores less their query's mean: the result's rounding
    error is some 1e-16 times the number of pairs and the largest of (that difference)^p. Where
    scores differ by just the margin the derivative is 0. A NaN score makes the derivatives of its
    query, and the value, NaN; an infinite one has the limits, or NaN where there is none: for two
    items with the same infinite score and different relevance. Items of weight 0 take no part,
    unless their score is NaN. Results do not depend on the number of threads, nor on the order of
    the queries but for rounding.

    References
    ----------
    R. Herbrich, T. Graepel and K. Obermayer, "Large margin rank boundaries for ordinal
    regression", Advances in Large Margin Classifiers, 2000. Sums over sorted scores: T. Joachims,
    "A support vector method for multivariate performance measures", ICML 2005; C.-P. Lee and
    C.-J. Lin, "Large-scale linear RankSVM", Neural Computation 26, 2014, section 4 (order-statistic
    trees).

    Examples
    --------
    >>> PairwiseRanking(normalize="none").value([2, 1, 0], [1.0, 0.5, 0.25])
    1.5
    """

    _example = "[2, 1, 0], [1.0, 0.5, 0.25]"  # of arguments of `value`, for docstrings

    margin: float = 1.0
    p: int = 1
    normalize: str = "pairs"

    def __post_init__(self) -> None:
        _finite("margin", self.margin)
        if isinstance(self.p, bool) or self.p not in (1, 2):
            raise ValueError(f"p must be 1 or 2; got {self.p!r}")
        check.choice("normalize", self.normalize, ("pairs", "queries", "none"))

    @property
    def is_differentiable(self) -> bool:  # type: ignore[override]
        return self.p == 2

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        return sqrt(2) if self.p == 1 and self.normalize != "none" else np.inf

    @property
    def smoothness(self) -> float:  # type: ignore[override]
        return 4.0 if self.p == 2 and self.normalize != "none" else np.inf

    def value(self, relevance: Any, f: Any, *, qid: Any = None, sample_weight: Any = None) -> float:
        """The normalised sum.

        Parameters
        ----------
        relevance : array-like, shape (n,)
            Numbers; more is better.
        f : array-like, shape (n,)
            Scores.
        qid : array-like, shape (n,), optional
            Which query an item belongs to, in any order; by default all are of one.
        sample_weight : array-like, shape (n,), optional
            Finite and not negative.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            For shapes that differ, a relevance or `qid` that is NaN, wrong weights, and where there
            are no pairs (of positive weight) to take a mean of.
        TypeError
            For a `qid` of things that cannot be ordered, such as strings and None.
        """
        return self._evaluate(relevance, f, qid, sample_weight, False)[0]

    def gradient(self, relevance: Any, f: Any, *, qid: Any = None,
                 sample_weight: Any = None) -> np.ndarray:
        """Derivatives of the value by the scores, shape (n,) and of their precision."""
        return self._evaluate(relevance, f, qid, sample_weight, True)[1]

    def value_and_gradient(self, relevance: Any, f: Any, *, qid: Any = None,
                           sample_weight: Any = None) -> tuple[float, np.ndarray]:
        """`value` and `gradient`, for little more than one of them."""
        return self._evaluate(relevance, f, qid, sample_weight, True)

    def _evaluate(self, relevance: Any, f: Any, qid: Any, sample_weight: Any,
                  gradient: bool) -> tuple[float, Any]:
        scores = gate.scores(f)
        if scores.ndim != 1:
            raise ValueError(f"f.shape == {scores.shape}, expected (n,): one score per item")
        n = len(scores)
        exact = np.ascontiguousarray(scores, np.float64)
        given, relevance = relevance, gate.scores(relevance, "relevance")
        if relevance.shape != (n,):
            raise ValueError(f"relevance.shape == {relevance.shape}, expected ({n},) as f has")
        if np.isnan(relevance).any():
            raise ValueError(f"relevance[{int(np.isnan(relevance).argmax())}] is nan")
        check.refuse_merged(given, relevance, "relevance")
        w = None if sample_weight is None else np.ascontiguousarray(
            gate.weights(sample_weight, (n,)), np.float64)
        order, start, levels = _queries(relevance, exact, qid)
        queries = len(start) - 1
        value, pairs = np.zeros(queries), np.zeros(queries)
        slopes = np.empty(n) if gradient else None
        _pairwise.pairwise_ranking(
            exact, w, levels, order, start, self.margin, self.p == 2, np.empty(3 * (n + queries)),
            value, pairs, slopes, n_threads() if n >= PARALLEL_FROM else 1)  # fmt: skip
        scale = self._scales(pairs)
        with np.errstate(invalid="ignore"):
            total = float(value @ scale)
            if slopes is not None:
                each = np.empty(n)
                each[order] = np.repeat(scale, np.diff(start))
                slopes = (slopes * each).astype(scores.dtype, copy=False)
        return total, slopes

    def _scales(self, pairs: np.ndarray) -> np.ndarray:
        """What each query's sum is multiplied by."""
        if self.normalize == "none":
            return np.ones(len(pairs))
        some = pairs > 0
        if not some.any():
            raise ValueError("the mean of no pairs: no query has two items of different relevance "
                             'and positive weight; use normalize="none"')
        if self.normalize == "pairs":
            return np.full(len(pairs), 1 / pairs.sum())
        return np.where(some, 1 / (np.where(some, pairs, 1.0) * some.sum()), 0.0)


PairwiseRanking._family = PairwiseRanking
pairwise_ranking_loss = as_function(PairwiseRanking, "pairwise_ranking_loss")


def _queries(relevance: np.ndarray, f: np.ndarray, qid: Any) -> tuple[np.ndarray, ...]:
    """Items by query and ascending score, where queries begin, and levels of relevance in each."""
    n = len(f)
    codes = None
    if qid is not None:
        ids = check.query_ids(qid)
        if ids.shape != (n,):
            raise ValueError(f"qid.shape == {ids.shape}, expected ({n},) as f has")
        if ids.dtype == object and None in ids.tolist():
            raise TypeError("qid must hold numbers or strings; got None at position "
                            f"{ids.tolist().index(None)}")
        codes = check.distinct_ids(ids, "qid[{}] is {}")[1]
    if n == 0:
        return np.empty(0, np.int64), np.zeros(1, np.int64), np.empty(0, np.int32)
    queries = queries_of(relevance, codes)
    order = np.argsort(f, kind="stable") if codes is None else np.lexsort((f, codes))
    levels = np.empty(n, np.int32)
    levels[queries.row] = queries.level
    return order.astype(np.int64, copy=False), queries.start, levels
