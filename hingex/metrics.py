# SPDX-License-Identifier: BSD-3-Clause
"""Metrics of decision functions and of rankings."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _scores as gate
from . import _validate as check
from ._core import kernels
from ._targets import Queries
from ._threads import n_threads
from .losses.margin import Hinge
from .losses.multiclass import CrammerSinger

__all__ = ["hinge_loss", "mean_average_precision", "ndcg_score", "pairwise_accuracy"]


def hinge_loss(y_true: Any, pred_decision: Any, *, labels: Any = None, sample_weight: Any = None,
               average: str | None = "mean") -> Any:
    """Mean hinge loss of a decision function; scikit-learn's metric of the name, with `average`.

    Two classes: max(0, 1 - y f), y = +1 for the greater of the two labels, else -1. More: Crammer
    and Singer's max(0, 1 + max_{j != k} s_j - s_k), where column j of the scores belongs to the
    j-th of the sorted labels.

    Parameters
    ----------
    y_true : array-like, shape (n,)
        Labels of any kind.
    pred_decision : array-like, shape (n,) or (n, 1) for two classes, (n, K) for more
        What `decision_function` returns.
    labels : array-like, optional
        All labels, where `y_true` does not have them all. In any order.
    sample_weight : array-like, shape (n,), optional
        Finite and not negative.
    average : {"mean", None}, default "mean"
        None: the loss of every sample, times its weight.

    Returns
    -------
    float, or ndarray (n,)

    Raises
    ------
    ValueError
        For shapes that do not fit, scores that are not finite, labels that are not among `labels`,
        fewer than two labels in all, and a mean of nothing.

    Notes
    -----
    scikit-learn 1.9 differs in two cases. Where `y_true` has a single label of two, it takes it for
    the negative one, even with both in `labels`; here `labels` decide, and without them there is an
    error. And it accepts negative weights.

    References
    ----------
    K. Crammer and Y. Singer, "On the algorithmic implementation of multiclass kernel-based vector
    machines", JMLR 2, 2001.

    Examples
    --------
    >>> hinge_loss(["no", "yes", "yes"], [-2.2, 1.3, 0.1])
    0.3
    """
    if average not in ("mean", None):
        raise ValueError(f'average must be "mean" or None; got {average!r}')
    s = gate.scores(pred_decision, "pred_decision")
    if s.ndim == 2 and s.shape[1] == 1:
        s = s[:, 0]
    if s.ndim not in (1, 2):
        raise ValueError(f"pred_decision.shape == {s.shape}, expected (n,) or (n, K)")
    if not np.isfinite(s).all():
        raise ValueError("pred_decision holds NaN or infinity; decisions must be finite")
    if hasattr(y_true, "__len__") and len(y_true) != len(s):
        raise ValueError(f"y_true has {len(y_true)} labels, but pred_decision has {len(s)} rows; "
                         "expected one label per row")
    with gate.called(y="y_true", X="pred_decision"):
        y = check.label_array(y_true, len(s), "hinge_loss") if len(s) else np.asarray(y_true)
    if labels is None:
        classes, codes = np.unique(y, return_inverse=True)
    else:
        classes, codes = np.unique(_label_set(labels)), None
    K = len(classes)
    if K < 2:
        source = "y_true" if labels is None else "labels"
        raise ValueError(f"{K} distinct label(s) in {source}; hinge_loss needs at least 2: pass "
                         "all of them as labels")
    if codes is None:
        codes = _codes(y, classes)
    if s.shape != (len(y),) + (K,) * (K > 2):
        expected = f"({len(y)},)" if K == 2 else f"({len(y)}, {K})"
        fix = ": pass all labels if y_true does not have them" if s.ndim == 2 else ""
        raise ValueError(f"pred_decision.shape == {s.shape}, expected {expected} for {K} "
                         f"labels{fix}")
    if not len(s) and average == "mean":
        raise ValueError("the mean of no values: pred_decision is empty; use average=None")
    reduction = "none" if average is None else "mean"
    if sample_weight is not None and average == "mean":
        w = gate.weights(sample_weight, (len(s),))
        if not w.any():
            raise ValueError("the weighted mean is undefined: sample_weight is zero everywhere; "
                             "use average=None")
    if K == 2:
        return Hinge().value(2 * codes.astype(np.int8) - 1, s, sample_weight=sample_weight,
                             reduction=reduction)
    return CrammerSinger().value(codes, s, sample_weight=sample_weight, reduction=reduction)


def _label_set(labels: Any) -> np.ndarray:
    """`labels` as an array of labels, in any order."""
    try:
        return check.label_array(labels, len(labels), "hinge_loss")
    except (TypeError, ValueError) as error:
        raise ValueError(f"labels must be a list of labels of one kind; got {check._show(labels)} "
                         f"({error})") from None


def _codes(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Indices of y in the sorted classes, which have to hold all of it."""
    try:
        codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
        unknown = classes[codes] != y
    except TypeError:
        unknown = np.ones(y.shape, bool)
    if np.any(unknown):
        at = int(np.argmax(unknown))
        raise ValueError(f"y_true[{at}] is {check._show(y[at])}, which is not among labels: "
                         f"{check._some(list(classes))}")
    return codes


# ---------------------------------------------------------------------------------- rankings


def pairwise_accuracy(relevance: Any, f: Any, *, qid: Any = None, sample_weight: Any = None
                      ) -> float:
    """Share of pairs of a query's items, of different relevance, that the scores order rightly.

    Pairs of equal score count one half; with two grades and one query this is the area under the
    ROC curve. All pairs of all queries count alike, or by the product of their items' weights.

    Parameters
    ----------
    relevance : array-like, shape (n,)
        Numbers; more is better.
    f : array-like, shape (n,)
        Scores, finite.
    qid : array-like, shape (n,), optional
        Query of each item, in any order; by default all are of one.
    sample_weight : array-like, shape (n,), optional
        Finite and not negative.

    Returns
    -------
    float in 0..1

    Raises
    ------
    ValueError
        For shapes that differ, values that are not finite, and where there are no pairs.

    Notes
    -----
    O(n log n) time and O(n) memory.

    Examples
    --------
    >>> pairwise_accuracy([2, 1, 0], [0.9, 0.2, 0.4])
    0.6666666666666666
    """
    f, queries = _ranking(relevance, f, qid, "pairwise_accuracy")
    weight = check.sample_weights(sample_weight, len(f))
    total = float(queries.pairs(weight).sum())
    if not total > 0:
        raise ValueError("no query has two items of different relevance and positive weight: there "
                         "are no pairs to order")
    own = None if weight is None else np.ascontiguousarray(weight[queries.row])
    pairs = kernels("ranking").Pairs(queries.row, queries.start, queries.level, queries.levels,
                                     own, np.ones(len(queries.levels)), n_threads())
    slopes = np.empty(len(f))
    wrong = pairs.evaluate(f, ((1.0, 0.0),), False, slopes)[1]
    right = pairs.evaluate(-f, ((1.0, 0.0),), False, slopes)[1]
    return 0.5 + 0.5 * (right - wrong) / total


def ndcg_score(relevance: Any, f: Any, *, qid: Any = None, k: int | None = None,
               gains: str = "exponential", empty: float | None = None) -> float:
    """Normalised discounted cumulative gain at k, mean over the queries.

    DCG@k is the sum over the k items of highest score, at places 1, 2..., of gain / log2(1 +
    place), where gain is 2^relevance - 1 or the relevance itself; it is divided by the largest
    possible. Items of equal score share the mean of their gains.

    Parameters
    ----------
    relevance : array-like, shape (n,)
        Not negative.
    f : array-like, shape (n,)
        Scores, finite.
    qid : array-like, shape (n,), optional
        Query of each item, in any order; by default all are of one.
    k : int, optional
        By default all items.
    gains : {"exponential", "linear"}, default "exponential"
        The former is that of LightGBM and XGBoost, the latter scikit-learn's.
    empty : float, optional
        What a query without relevant items counts (LightGBM: 1, scikit-learn: 0). By default such
        queries are left out.

    Returns
    -------
    float in 0..1

    Raises
    ------
    ValueError
        For shapes that differ, values out of range, and where no query counts.

    References
    ----------
    K. Jarvelin and J. Kekalainen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20,
    2002. C. Burges et al., "Learning to rank using gradient descent", ICML 2005 (exponential
    gains). F. McSherry and M. Najork, "Computing information retrieval performance measures
    efficiently in the presence of tied scores", ECIR 2008.

    Examples
    --------
    >>> ndcg_score([2, 0, 1], [0.5, 0.4, 0.3])
    0.9639404333166532
    """
    check.choice("gains", gains, ("exponential", "linear"))
    f, queries = _ranking(relevance, f, qid, "ndcg_score")
    y = np.asarray(relevance, np.float64).ravel()
    if (y < 0).any():
        at = int((y < 0).argmax())
        raise ValueError(f"relevance must not be negative; got {y[at]:g} at item {at}")
    if gains == "exponential" and y.max() > 1000:
        raise ValueError(f"a relevance of {y.max():g} has no finite exponential gain: use "
                         'hingex.metrics.ndcg_score with gains="linear"')
    gain = np.exp2(y) - 1 if gains == "exponential" else y
    sizes = np.diff(queries.start)
    query = np.repeat(np.arange(len(sizes)), sizes)
    place = np.arange(len(f)) - np.repeat(queries.start[:-1], sizes)
    discount = 1 / np.log2(place + 2.0)
    if k is not None:
        discount[place >= check.integer("k", k)] = 0.0
    best = queries.row[np.lexsort((-gain[queries.row], query))]
    ideal = np.bincount(query, gain[best] * discount, len(sizes))
    by_score = queries.row[np.lexsort((-f[queries.row], query))]
    # Items of equal score of a query share what their places give.
    new = np.ones(len(f), bool)
    new[1:] = (f[by_score][1:] != f[by_score][:-1]) | (query[1:] != query[:-1])
    group = np.cumsum(new) - 1
    each = np.bincount(group, gain[by_score]) / np.bincount(group)
    got = np.bincount(query, each[group] * discount, len(sizes))
    return _mean_of(got / np.where(ideal > 0, ideal, 1.0), ideal > 0, empty, "ndcg_score")


def mean_average_precision(relevance: Any, f: Any, *, qid: Any = None, k: int | None = None,
                           empty: float | None = None) -> float:
    """Mean over the queries of the average precision at k.

    Average precision is the mean over a query's relevant items, those of positive relevance (k of
    them where there are more), of the share of relevant items down to it, or 0 if it is not among
    the first k. Of items of equal score those that are not relevant come first: a constant score
    has no credit for the order in which the items are given.

    Parameters
    ----------
    relevance, f, qid, k, empty
        As for `ndcg_score`; relevance may be any finite number.

    Returns
    -------
    float in 0..1

    Raises
    ------
    ValueError
        As `ndcg_score`.

    References
    ----------
    C. D. Manning, P. Raghavan and H. Schuetze, "Introduction to information retrieval", 2008,
    section 8.4.

    Examples
    --------
    >>> mean_average_precision([1, 0, 1], [0.5, 0.4, 0.3])
    0.8333333333333333
    """
    f, queries = _ranking(relevance, f, qid, "mean_average_precision")
    relevant = np.asarray(relevance, np.float64).ravel() > 0
    sizes = np.diff(queries.start)
    query = np.repeat(np.arange(len(sizes)), sizes)
    row = queries.row
    order = row[np.lexsort((relevant[row], -f[row], query))]
    hit = relevant[order]
    place = np.arange(len(f)) - np.repeat(queries.start[:-1], sizes)
    found = np.cumsum(hit)
    found = found - np.repeat((found - hit)[queries.start[:-1]], sizes)
    count: Any = np.bincount(query, hit, len(sizes))
    part = hit * found / (place + 1)
    if k is not None:
        part[place >= check.integer("k", k)] = 0.0
        count = np.minimum(count, k)
    got = np.bincount(query, part, len(sizes)) / np.where(count > 0, count, 1)
    return _mean_of(got, count > 0, empty, "mean_average_precision")


def _ranking(relevance: Any, f: Any, qid: Any, owner: str) -> tuple[np.ndarray, Queries]:
    """Scores and queries, checked."""
    f = gate.scores(f)
    if f.ndim != 1 or len(f) == 0:
        raise ValueError(f"f.shape == {f.shape}, expected (n,): one score for each of some items")
    f = np.ascontiguousarray(f, np.float64)
    if not np.isfinite(f).all():
        at = int(np.argmin(np.isfinite(f)))
        raise ValueError(f"f[{at}] is {f[at]}; scores must be finite")
    shape = np.shape(relevance)
    if shape not in ((len(f),), (len(f), 1)):
        raise ValueError(f"relevance.shape == {shape}, expected ({len(f)},) as f has")
    queries, _ = check.queries(relevance, qid, len(f), owner, "relevance")
    return f, queries


def _mean_of(each: np.ndarray, counts: np.ndarray, empty: float | None, owner: str) -> float:
    """Mean over queries; those that do not count are `empty`, or left out."""
    if empty is not None:
        empty = check.real("empty", empty, positive=False)
        return float(np.where(counts, each, empty).mean())
    if not counts.any():
        raise ValueError("no query has a relevant item: there is nothing to take the mean of; "
                         f"hingex.metrics.{owner} with empty=0.0 or 1.0 counts such queries")
    return float(each[counts].mean())
