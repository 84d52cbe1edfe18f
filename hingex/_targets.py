# SPDX-License-Identifier: BSD-3-Clause
"""Which rows are positive in which binary problem (lane), for every solver of one-vs-rest.

Targets are codes, an int32 array (n,) with a class for each row, or an `Indicator`, where a row may
have any number of labels. With two classes there is one lane, in which class 1 is positive; with
more there is a lane for each class, and with an indicator one for each label.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Indicator(NamedTuple):
    """The labels of row i are labels[ptr[i]:ptr[i + 1]], ascending, out of 0..n_labels-1."""

    ptr: np.ndarray  # int64 (n + 1,)
    labels: np.ndarray  # int32
    n_labels: int


class Queries(NamedTuple):
    """Items by query, and their levels of relevance.

    Attributes
    ----------
    row : ndarray (n,) of int64
        Rows, query after query, in their order within each.
    start : ndarray (queries + 1,) of int64
        Where queries begin in `row`, and the end.
    level : ndarray (n,) of int32
        Of the items in `row`: 0 for the lowest relevance of the query, 1 for the next and so on.
    levels : ndarray (queries,) of int64
        How many levels each query has.
    """

    row: np.ndarray
    start: np.ndarray
    level: np.ndarray
    levels: np.ndarray

    def pairs(self, weight: np.ndarray | None) -> np.ndarray:
        """Weight of each query's pairs of different level, sum s_i s_j; without weights a count."""
        n, queries = len(self.row), len(self.levels)
        own = np.ones(n) if weight is None else weight[self.row]
        query = np.repeat(np.arange(queries), np.diff(self.start))
        first = np.cumsum(self.levels) - self.levels
        level = np.bincount(first[query] + self.level, own, int(self.levels.sum()))
        of = np.repeat(np.arange(queries), self.levels)
        below = np.cumsum(level) - level
        below -= below[first][of]
        return np.bincount(of, level * below, queries)


def queries_of(relevance: np.ndarray, codes: np.ndarray | None) -> Queries:
    """Queries of items, n > 0, with numbers 0.. of queries, each of which has an item."""
    n = len(relevance)
    if codes is None:
        codes, by_level = np.zeros(n, np.int64), np.argsort(relevance, kind="stable")
    else:
        by_level = np.lexsort((relevance, codes))
    start = np.concatenate([[0], np.cumsum(np.bincount(codes))]).astype(np.int64)
    if (codes[1:] >= codes[:-1]).all():
        row = np.arange(n, dtype=np.int64)
    else:
        row = np.argsort(codes, kind="stable").astype(np.int64, copy=False)
    sorted_y, sorted_q = relevance[by_level], codes[by_level]
    step = np.zeros(n, np.int64)
    step[1:] = (sorted_y[1:] != sorted_y[:-1]) & (sorted_q[1:] == sorted_q[:-1])
    total = np.cumsum(step)
    level = np.empty(n, np.int32)
    level[by_level] = total - total[start[:-1]][sorted_q]
    levels = total[start[1:] - 1] - total[start[:-1]] + 1
    return Queries(row, start, np.ascontiguousarray(level[row]), levels.astype(np.int64))


def weightless(targets: Any, cost: np.ndarray | None, n_classes: int) -> np.ndarray:
    """Classes whose rows all have weight 0, ascending; none without `cost`, nor of indicators."""
    if cost is None or n_classes < 3 or isinstance(targets, Indicator):  # two must have a weight
        return np.empty(0, np.int64)
    return np.flatnonzero(np.bincount(targets, cost > 0, minlength=n_classes) == 0)


def keep_absent(model: Any, targets: Any, cost: np.ndarray | None, n_classes: int) -> None:
    """Set or delete the model's absent_, the classes that `weightless` finds."""
    absent = weightless(targets, cost, n_classes)
    vars(model).pop("absent_", None)
    if len(absent):
        model.absent_ = absent


def absent_of(model: Any, n_classes: int) -> np.ndarray:
    """absent_ of a fitted model, none if it has none; ValueError for what it cannot be."""
    return check_absent(vars(model).get("absent_", np.empty(0, np.int64)), n_classes)


def check_absent(given: Any, n_classes: int) -> np.ndarray:
    """An absent_ of n_classes classes; ValueError for what it cannot be."""
    absent = np.asarray(given)
    if absent.ndim != 1 or absent.dtype.kind != "i" or len(absent) > max(n_classes - 2, 0) or (
            len(absent) and not 0 <= absent.min() <= absent.max() < n_classes) or (
            (np.diff(absent) <= 0).any()):
        raise ValueError(f"absent_ must be places of classes, ascending, less than {n_classes} and "
                         "without two of them at least")
    return absent


def n_lanes(targets: Any, n_classes: int) -> int:
    """Number of binary problems."""
    if isinstance(targets, Indicator):
        return targets.n_labels
    return 1 if n_classes == 2 else n_classes


def positive(targets: Any, lane: int, lanes: int) -> np.ndarray:
    """bool (n,): the rows that are positive in a lane."""
    if isinstance(targets, Indicator):
        out = np.zeros(len(targets.ptr) - 1, dtype=bool)
        places = np.flatnonzero(targets.labels == lane)
        out[np.searchsorted(targets.ptr, places, side="right") - 1] = True
        return out
    return targets == (lane if lanes > 1 else 1)


def positive_weight(targets: Any, lanes: int, cost: np.ndarray | None) -> np.ndarray:
    """float64 (lanes,): how much the positive rows of each lane weigh, rows 1 without `cost`."""
    if isinstance(targets, Indicator):
        if cost is not None:
            cost = np.repeat(cost, np.diff(targets.ptr))
        return np.bincount(targets.labels, cost, minlength=lanes).astype(np.float64)
    count = np.bincount(targets, cost, minlength=max(lanes, 2)).astype(np.float64)
    return count[1:2] if lanes == 1 else count


def equal_rows(a: Indicator, b: Indicator) -> np.ndarray:
    """bool (n,): whether a row has the same labels in both, of as many rows and labels."""
    counts = np.diff(a.ptr)
    same = counts == np.diff(b.ptr)
    # Labels of rows with equal counts line up; a row is wrong where one of them is not the same.
    mine, other = a.labels[np.repeat(same, counts)], b.labels[np.repeat(same, np.diff(b.ptr))]
    rows = np.repeat(np.flatnonzero(same), counts[same])
    same[rows[mine != other]] = False
    return same


def deal_folds(
    codes: np.ndarray, used: np.ndarray, n_classes: int, cv: int, seed: int
) -> np.ndarray:
    """Fold of every row, -1 for rows without weight; each class is dealt out evenly."""
    folds = np.full(len(codes), -1)
    rng = np.random.default_rng(seed)
    dealt = 0
    for k in range(n_classes):
        mine = np.flatnonzero((codes == k) & used)
        folds[rng.permutation(mine)] = (dealt + np.arange(len(mine))) % cv
        dealt += len(mine)
    return folds
