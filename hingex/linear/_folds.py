# SPDX-License-Identifier: BSD-3-Clause
"""Folds and scores of cross-validation, on class codes or indicators."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .. import _validate as check
from .._targets import Indicator

USUAL = 5  # folds
Fold = tuple[np.ndarray, np.ndarray]  # int64 numbers of the rows to train on, and to score


def make_folds(
    cv: Any, data: tuple[Any, Any, Any], targets: Any, classes: np.ndarray,
    weights: np.ndarray | None, n: int,
) -> list[Fold]:
    """The folds that the parameter `cv` stands for; `data` are X, y and groups, or None.

    An integer makes stratified folds without shuffling of the rows with a positive weight, the
    same as scikit-learn's StratifiedKFold; of indicators, blocks of neighbouring rows (KFold).

    Raises
    ------
    ValueError, TypeError
        For folds that are empty, hold no rows of X, or leave out a class in training.
    """
    X, y, groups = data
    if groups is not None and not hasattr(cv, "split"):
        raise ValueError("groups are for a splitter as cv, such as sklearn.model_selection."
                         f"GroupKFold; got cv={cv!r}, which does not look at them")
    used = np.arange(n) if weights is None else np.flatnonzero(weights)
    if cv is None:
        return _own_folds(None, used, targets, classes)
    if hasattr(cv, "split") and not isinstance(cv, str | bytes):
        pairs: Iterable[Any] = cv.split(X, y) if groups is None else cv.split(X, y, groups)
    elif not isinstance(cv, bool) and hasattr(cv, "__index__"):
        k = check.integer("cv", cv, 2)
        return _own_folds(k, used, targets, classes)
    elif isinstance(cv, Iterable) and not isinstance(cv, str | bytes):
        pairs = cv
    else:
        raise TypeError(
            "cv must be None, a number of folds, a splitter with a method split, or an iterable "
            f"of (train, test) row numbers; got {cv!r}"
        )
    folds = read_folds(pairs, n)
    _check_folds(folds, targets, classes, weights, n)
    return folds


def check_cv(cv: Any) -> None:
    """Raise for what can be no folds, whatever X."""
    if cv is None or (isinstance(cv, Iterable) and not isinstance(cv, str | bytes | dict)) or (
            hasattr(cv, "split") and not isinstance(cv, str | bytes)):
        return
    check.integer("cv", cv, 2)


def read_folds(pairs: Iterable[Any], n: int) -> list[Fold]:
    """Pairs (train, test) of row numbers or masks as row numbers in 0..n-1.

    Raises
    ------
    ValueError
        For what is no such pair, or empty, and where there is none.
    """
    folds = []
    for k, pair in enumerate(pairs):
        try:
            train, test = pair
        except (TypeError, ValueError):
            raise ValueError(
                f"fold {k} of cv must be a pair (train, test) of row numbers; got "
                f"{type(pair).__name__}"
            ) from None
        folds.append((_row_numbers(train, k, "train", n), _row_numbers(test, k, "test", n)))
    if not folds:
        raise ValueError("cv yields no folds; at least one is needed")
    return folds


def _own_folds(k: int | None, used: np.ndarray, targets: Any, classes: np.ndarray) -> list[Fold]:
    if isinstance(targets, Indicator):
        k = min(USUAL, max(2, len(used))) if k is None else k
        if len(used) < k:
            raise ValueError(f"cv={k} folds need at least {k} rows; got {len(used)}")
        tests = np.array_split(used, k)
    else:
        codes = targets[used]
        counts = np.bincount(codes, minlength=len(classes))
        least = int(np.where(counts > 0, counts, len(codes) + 1).argmin())
        several = counts[counts >= 2]
        # A class of one row is in one test, and then in no training, if two others go on without.
        alone = k is None and len(several) >= 2
        if k is None:
            k = min(USUAL, int(several.min()) if alone else max(2, int(counts[least])))
        if counts[least] < k and not alone:
            raise ValueError(
                f"class {classes[least].item()!r} has {counts[least]} rows"
                f"{' of positive weight' if len(used) < len(targets) else ''}, fewer than "
                f"cv={k} folds: lower cv, or pass folds of your own"
            )
        # Dealing out the rows sorted by class, in the order in which classes turn up, tells how
        # many of a class a fold gets; which ones follows their order in y.
        _, first, place = np.unique(codes, return_index=True, return_inverse=True)
        rank = np.argsort(np.argsort(first))[place]
        dealt = np.sort(rank)
        fold_of = np.empty(len(used), dtype=np.int64)
        for c in range(len(first)):
            each = [int(np.count_nonzero(dealt[f::k] == c)) for f in range(k)]
            fold_of[rank == c] = np.repeat(np.arange(k), each)
        tests = [used[fold_of == f] for f in range(k)]
    return [(np.setdiff1d(used, test, assume_unique=True), test) for test in tests]


def _row_numbers(rows: Any, fold: int, what: str, n: int) -> np.ndarray:
    rows = np.asarray(rows)
    if rows.dtype == bool and rows.shape == (n,):
        rows = np.flatnonzero(rows)
    if rows.shape == (0,):
        raise ValueError(f"fold {fold} of cv has no {what} rows")
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise ValueError(
            f"the {what} rows of fold {fold} must be a 1-D array of integers, or {n} booleans; got "
            f"shape {rows.shape} and dtype {rows.dtype}"
        )
    rows = rows.astype(np.int64)
    if rows.min() < -n or rows.max() >= n:
        raise ValueError(
            f"the {what} rows of fold {fold} must lie in 0..{n - 1}; got "
            f"{int(rows[(rows < -n) | (rows >= n)][0])}"
        )
    return np.where(rows < 0, rows + n, rows)


def _check_folds(
    folds: list[Fold], targets: Any, classes: np.ndarray, weights: np.ndarray | None, n: int
) -> None:
    for k, (train, test) in enumerate(folds):
        if weights is not None and not weights[test].any():
            raise ValueError(f"all test rows of fold {k} have weight 0: there is nothing to score")
        if isinstance(targets, Indicator):
            continue
        mine = train if weights is None else train[weights[train] > 0]
        lacking = np.bincount(targets[mine], minlength=len(classes)) == 0
        lacking &= np.bincount(targets if weights is None else targets[weights > 0],
                               minlength=len(classes)) > 0
        if lacking.any():
            label = classes[int(lacking.argmax())].item()
            raise ValueError(
                f"the training rows of fold {k} hold no row of class {label!r}"
                f"{' with a positive weight' if weights is not None else ''}: every class is "
                "needed in every fold; use stratified folds (cv an integer), or leave the class out"
            )


# ------------------------------------------------------------------------------------ scores


def _accuracy(true: np.ndarray, predicted: np.ndarray, w: np.ndarray) -> float:
    right = true == predicted
    return float(np.average(right if right.ndim == 1 else right.all(axis=1), weights=w))


def _counts(
    true: np.ndarray, predicted: np.ndarray, w: np.ndarray, K: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights of the rows right, predicted and true, by class or label."""
    if true.ndim == 2:
        return w @ (true & predicted), w @ predicted, w @ true
    right = np.bincount(true, w * (true == predicted), minlength=K)
    return right, np.bincount(predicted, w, minlength=K), np.bincount(true, w, minlength=K)


def _f1(right: Any, predicted: Any, true: Any) -> Any:
    total = np.asarray(predicted + true, dtype=np.float64)
    return np.divide(2.0 * right, total, out=np.zeros_like(total), where=total > 0)


def _balanced(true: np.ndarray, predicted: np.ndarray, w: np.ndarray, K: int) -> float:
    right, _, total = _counts(true, predicted, w, K)
    return float((right[total > 0] / total[total > 0]).mean())


def _f1_macro(true: np.ndarray, predicted: np.ndarray, w: np.ndarray, K: int) -> float:
    right, found, total = _counts(true, predicted, w, K)
    f1 = _f1(right, found, total)
    return float(f1.mean() if true.ndim == 2 else f1[found + total > 0].mean())


def _roc_auc(positive: np.ndarray, f: np.ndarray, w: np.ndarray) -> float:
    """Weighted share of pairs in the right order, ties counting half."""
    if positive.all() or not positive.any():
        raise ValueError(
            "scoring='roc_auc' needs test rows of both classes in every fold: use stratified folds"
        )
    _, place = np.unique(f, return_inverse=True)
    up = np.bincount(place, w * positive)
    down = np.bincount(place, w * ~positive, minlength=len(up))
    below = np.cumsum(down) - 0.5 * down
    return float(up @ below / (up.sum() * down.sum()))


SCORINGS = ("accuracy", "balanced_accuracy", "f1", "f1_macro", "f1_micro", "roc_auc")


def check_scoring(scoring: Any) -> None:
    """Raise for what is no scoring, whatever y."""
    if not callable(scoring):
        check.choice("scoring", scoring, SCORINGS)


def make_scorer(
    scoring: Any, targets: Any, n_classes: int
) -> Callable[[np.ndarray, np.ndarray, np.ndarray], float] | None:
    """(true, scores, weights) to a score, greater is better; None for a callable `scoring`.

    true are codes, or booleans (n, L); scores (n, lanes).
    """
    if callable(scoring):
        return None
    name = check.choice("scoring", scoring, SCORINGS)
    many = isinstance(targets, Indicator)
    if name in ("f1", "roc_auc") and (many or n_classes != 2):
        what = "an indicator matrix" if many else f"{n_classes} classes"
        raise ValueError(f"scoring={name!r} is for two classes; y has {what}. Use 'f1_macro'")
    if name == "balanced_accuracy" and many:
        raise ValueError(
            "scoring='balanced_accuracy' is for one label per row; y is an indicator matrix. Use "
            "'f1_macro'"
        )

    def score(true: np.ndarray, f: np.ndarray, w: np.ndarray) -> float:
        if name == "roc_auc":
            return _roc_auc(true == 1, f[:, 0], w)
        if many:
            predicted = f > 0
        else:
            predicted = (f[:, 0] > 0).astype(np.int64) if f.shape[1] == 1 else f.argmax(axis=1)
        if name == "accuracy":
            return _accuracy(true, predicted, w)
        if name == "balanced_accuracy":
            return _balanced(true, predicted, w, n_classes)
        if name == "f1_macro":
            return _f1_macro(true, predicted, w, n_classes)
        right, found, total = _counts(true, predicted, w, n_classes)
        if name == "f1":
            return float(_f1(right[1], found[1], total[1]))
        return float(_f1(right.sum(), found.sum(), total.sum()))

    return score


def rows_of(targets: Any, which: np.ndarray) -> np.ndarray:
    """Codes, or booleans (m, L), of these rows."""
    if not isinstance(targets, Indicator):
        return targets[which]
    out = np.zeros((len(which), targets.n_labels), dtype=bool)
    counts = np.diff(targets.ptr)[which]
    begin = np.repeat(targets.ptr[which] - np.cumsum(counts) + counts, counts)
    places = begin + np.arange(len(begin))
    out[np.repeat(np.arange(len(which)), counts), targets.labels[places]] = True
    return out
