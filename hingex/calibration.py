# SPDX-License-Identifier: BSD-3-Clause
"""Probabilities for classifiers that give scores: Platt's sigmoid and isotonic regression.

Sources: J. Platt, "Probabilistic outputs for support vector machines and comparisons to regularized
likelihood methods", 1999; H.-T. Lin, C.-J. Lin and R. C. Weng, "A note on Platt's probabilistic
outputs for support vector machines", Machine Learning 68, 2007; B. Zadrozny and C. Elkan,
"Transforming classifier scores into accurate multiclass probability estimates", KDD 2002.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np

from . import _validate as check
from ._estimator import Classifier, unfitted
from ._targets import deal_folds
from .linear import LinearSVC
from .linear._classifier import normalized
from .linear._folds import read_folds

__all__ = ["CalibratedClassifier", "Sigmoid", "Isotonic", "fit_sigmoid", "fit_isotonic"]


class Sigmoid(NamedTuple):
    """P(y = +1) = 1 / (1 + exp(a f + b)) for a score f.

    Examples
    --------
    >>> from hingex.calibration import Sigmoid
    >>> Sigmoid(-1.0, 0.0)([-2.0, 0.0, 2.0]).round(3).tolist()
    [0.119, 0.5, 0.881]
    """

    a: float
    b: float

    def __call__(self, f: Any) -> np.ndarray:
        """Probabilities of the scores f."""
        z = self.a * np.asarray(f, np.float64) + self.b
        e = np.exp(-np.abs(z))
        return np.where(z >= 0, e, 1.0) / (1 + e)


class Isotonic(NamedTuple):
    """A step function of the score that does not fall, with straight lines between its steps.

    Examples
    --------
    >>> import numpy as np
    >>> from hingex.calibration import Isotonic
    >>> Isotonic(np.array([0.0, 1.0]), np.array([0.25, 0.75]))([-1.0, 0.5, 3.0]).tolist()
    [0.25, 0.5, 0.75]
    """

    scores: np.ndarray
    values: np.ndarray

    def __call__(self, f: Any) -> np.ndarray:
        """Probabilities of the scores f."""
        return np.interp(np.asarray(f, np.float64), self.scores, self.values)


def fit_sigmoid(scores: Any, positive: Any, sample_weight: Any = None) -> Sigmoid:
    """Platt's sigmoid by maximum likelihood, with his targets in place of 0 and 1.

    Parameters
    ----------
    scores : array-like (n,)
        Held out: of rows that the classifier was not trained on.
    positive : array-like (n,) of bool
        Whether the row is of the positive class.
    sample_weight : array-like (n,), optional

    Returns
    -------
    Sigmoid

    Raises
    ------
    ValueError, TypeError
        If the arrays do not fit each other, are not finite, or `positive` is not of bool.

    Notes
    -----
    The targets are (N+ + 1) / (N+ + 2) and 1 / (N- + 2), N the weights of the classes. Newton's
    method with a line search on (a, b), as Lin, Lin and Weng have it; O(n) a step, some ten steps.

    Examples
    --------
    >>> from hingex.calibration import fit_sigmoid
    >>> link = fit_sigmoid([-2.0, -1.0, 0.5, 2.0], [False, False, True, True])
    >>> link([-2.0, 2.0]).round(2).tolist()
    [0.22, 0.81]
    """
    f, positive, w = _held_out(scores, positive, sample_weight)
    up, down = float(w[positive].sum()), float(w[~positive].sum())
    target = np.where(positive, (up + 1) / (up + 2), 1 / (down + 2))
    # In units of the scores' spread the problem is well conditioned.
    centre = float(np.average(f, weights=w))
    spread = float(np.sqrt(np.average((f - centre) ** 2, weights=w))) or 1.0
    g = (f - centre) / spread

    def value(a: float, b: float) -> float:
        z = a * g + b
        return float(w @ (np.logaddexp(0, z) - (1 - target) * z))

    a, b = 0.0, float(np.log((down + 1) / (up + 1)))
    now = value(a, b)
    for _ in range(100):
        p = Sigmoid(a, b)(g)
        d1, d2 = w * (target - p), w * p * (1 - p)
        gradient = np.array([d1 @ g, d1.sum()])
        if np.abs(gradient).max() <= 1e-12 * w.sum():
            break
        H = np.array([[d2 @ (g * g), d2 @ g], [d2 @ g, d2.sum()]]) + 1e-12 * w.sum() * np.eye(2)
        step = -np.linalg.solve(H, gradient)
        size, slope = 1.0, float(gradient @ step)
        while (size > 1e-10 and
               value(a + size * step[0], b + size * step[1]) > now + 1e-4 * size * slope):
            size /= 2
        if size <= 1e-10:
            break
        a, b = a + size * float(step[0]), b + size * float(step[1])
        now = value(a, b)
    return Sigmoid(a / spread, b - a * centre / spread)


def fit_isotonic(scores: Any, positive: Any, sample_weight: Any = None) -> Isotonic:
    """The non-decreasing function of the score nearest to the labels in least squares.

    O(n log n), by SciPy's pool adjacent violators. Needs more held-out rows than a sigmoid, and
    supposes less.

    Parameters
    ----------
    scores, positive, sample_weight
        As for `fit_sigmoid`.

    Returns
    -------
    Isotonic

    Raises
    ------
    ValueError, TypeError
        As `fit_sigmoid`.

    Examples
    --------
    >>> from hingex.calibration import fit_isotonic
    >>> link = fit_isotonic([-2.0, -1.0, 0.5, 2.0], [False, True, False, True])
    >>> link([-2.0, -1.0, 2.0]).tolist()
    [0.0, 0.5, 1.0]
    """
    from scipy.optimize import isotonic_regression

    f, positive, w = _held_out(scores, positive, sample_weight)
    used = w > 0
    knots, where = np.unique(f[used], return_inverse=True)
    mass = np.bincount(where, weights=w[used])
    share = np.bincount(where, weights=w[used] * positive[used]) / mass
    values = np.clip(isotonic_regression(share, weights=mass).x, 0, 1)
    # Ends of the steps alone: the lines between them are the same.
    inner = (values[1:-1] == values[:-2]) & (values[1:-1] == values[2:])
    kept = np.r_[True, ~inner, True] if len(values) > 1 else np.array([True])
    return Isotonic(knots[kept], values[kept])


def _held_out(scores: Any, positive: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    f = np.asarray(scores, np.float64)
    positive = np.asarray(positive)
    if f.ndim != 1 or positive.shape != f.shape or len(f) == 0:
        raise ValueError("scores and positive must be 1-D, of one length of at least 1; got "
                         f"shapes {f.shape} and {positive.shape}")
    if positive.dtype != bool:
        raise TypeError(f"positive must be an array of bool; got {positive.dtype}")
    if not np.isfinite(f).all():
        raise ValueError("scores must be finite")
    w = check.sample_weights(sample_weight, len(f))
    return f, positive, np.ones(len(f)) if w is None else w


METHODS: dict[str, Callable[..., Any]] = {"sigmoid": fit_sigmoid, "isotonic": fit_isotonic}


class CalibratedClassifier(Classifier):
    """A classifier with `predict_proba`, from one with `decision_function`.

    Scores of every row come from a model that was trained on the other folds; a sigmoid or a
    non-decreasing function, for every class against the rest, is fitted to all of them, and the
    classifier is then trained on all rows.

    Parameters
    ----------
    estimator : estimator or None, default None
        With `decision_function`, as all classifiers of hingex; None means ``LinearSVC()``. It is
        not changed: copies with its parameters are trained.
    method : {"sigmoid", "isotonic"}, default "sigmoid"
        See `fit_sigmoid` and `fit_isotonic`.
    cv : int, splitter or iterable of (train, test), default 5
        Folds, at least 2; each class needs 2 rows. Or, by a method `split(X, y)` or as they are,
        row numbers or masks for each of the models, no row to be in two tests; rows that are in
        none have no part in the calibration.
    random_state : int, Generator, RandomState or None, default None
        How rows are dealt out to folds, class by class. None means 0.

    Attributes
    ----------
    classes_ : ndarray (K,)
    estimator_ : estimator
        Trained on all rows.
    calibrators_ : list of Sigmoid or Isotonic
        One for two classes, else K.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        When X was a data frame with string column names.

    Notes
    -----
    cv + 1 fits. Rows of folds are copied. Where several probabilities are the highest, as isotonic
    regression has it, the class of the highest score is the one predicted; otherwise `predict` is
    the class of the highest probability, which after calibration need not be that of the highest
    score.

    Examples
    --------
    >>> import numpy as np
    >>> import hingex
    >>> X, y = np.arange(40.0)[:, None] / 40, np.arange(40) >= 20
    >>> model = hingex.CalibratedClassifier(hingex.LinearSVC(loss="hinge", C=10)).fit(X, y)
    >>> (np.diff(model.predict_proba(X)[:, 1]) > 0).all()
    np.True_
    """

    def __init__(
        self, estimator: Any = None, *, method: str = "sigmoid", cv: int = 5,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.method = method
        self.cv = cv
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train and calibrate on (X, y).

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
        y : array-like, shape (n,)
        sample_weight : float or array-like, shape (n,), optional
            For the estimator and for the calibration alike.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For parameters or data out of range, and classes with fewer rows than folds.
        """
        owner = type(self).__name__
        method = METHODS[check.choice("method", self.method, tuple(METHODS))]
        cv: Any = self.cv
        if hasattr(cv, "split") and not isinstance(cv, str | bytes):
            cv = cv.split(X, y)
        elif not np.iterable(cv) or isinstance(cv, str | bytes):
            cv = check.integer("cv", cv, minimum=2)
        seed = check.random_seed(self.random_state)
        base = LinearSVC() if self.estimator is None else self.estimator
        if isinstance(base, type):
            raise TypeError(f"estimator must be an estimator, not a class; got {base.__name__}: "
                            f"write {base.__name__}()")
        for name in ("fit", "decision_function", "get_params"):
            if not hasattr(base, name):
                raise TypeError(f"estimator must have fit, decision_function and get_params; "
                                f"{base!r} has no {name}")
        rows = check.as_rows(X, owner=owner)
        classes, codes = check.encode_labels(y, rows.n, owner)
        weights = check.sample_weights(sample_weight, rows.n)
        check.row_weights(1.0, None, sample_weight, classes, codes, rows.n)  # for its errors
        check.check_feature_names(self, X, reset=True)
        used = np.ones(rows.n, bool) if weights is None else weights > 0
        if isinstance(cv, int):
            folds = deal_folds(codes, used, len(classes), cv, seed)
            splits = [(np.flatnonzero((folds != k) & used), np.flatnonzero(folds == k))
                      for k in range(cv)]
        else:
            splits = read_folds(cv, rows.n)

        table, labels = check.table_of(rows), classes[codes]
        lanes = 1 if len(classes) == 2 else len(classes)
        scores = np.zeros((rows.n, lanes))
        times = np.zeros(rows.n, np.int64)
        for train, test in splits:
            absent = np.setdiff1d(np.arange(len(classes)), codes[train[used[train]]])
            if len(absent):
                raise ValueError(f"class {check._show(classes[absent[0]])} is not among the rows "
                                 "that a fold trains on: it needs 2 rows with a weight at least")
            if not len(test):
                continue
            np.add.at(times, test, 1)
            model = unfitted(base).fit(table[train], labels[train], **_weighted(weights, train))
            scores[test] = model.decision_function(table[test]).reshape(len(test), lanes)
        if times.max(initial=0) != 1:
            raise ValueError("cv must have every row in one test at most, and some row in one; row "
                             f"{int(times.argmax())} is in {int(times.max(initial=0))}")
        held = np.flatnonzero(used & (times == 1))
        share = None if weights is None else weights[held]
        self.calibrators_ = [
            method(scores[held, k], codes[held] == (k if lanes > 1 else 1), share)
            for k in range(lanes)
        ]
        every = slice(None)
        self.estimator_ = unfitted(base).fit(X, labels, **_weighted(weights, every))
        self.classes_, self.n_features_in_ = classes, rows.d
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes; of more than two, divided by their sum.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)

        Returns
        -------
        ndarray of float64, shape (n, K)
            In the order of `classes_`.

        Raises
        ------
        ValueError, TypeError
            For X that is not like that of `fit`, or not finite.
        """
        self._check_fitted()
        check.fitted_rows(self, X)  # for its errors
        scores = self.estimator_.decision_function(X)
        scores = scores.reshape(len(scores), -1)
        p = np.column_stack([c(scores[:, k]) for k, c in enumerate(self.calibrators_)])
        if p.shape[1] == 1:
            codes = np.where(p[:, 0] == 0.5, scores[:, 0] > 0, p[:, 0] > 0.5).astype(np.int64)
        else:
            top = p == p.max(axis=1, keepdims=True)
            codes = np.where(top, scores, -np.inf).argmax(axis=1)
        return normalized(p, codes)

    def predict(self, X: Any) -> np.ndarray:
        """Predicted labels: the class of the highest probability.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)

        Returns
        -------
        ndarray, shape (n,), of the dtype of `classes_`

        Raises
        ------
        ValueError, TypeError
            As `predict_proba`.
        """
        p = self.predict_proba(X)
        return self.classes_[p.argmax(axis=1)]


def _weighted(weights: np.ndarray | None, which: Any) -> dict[str, Any]:
    return {} if weights is None else {"sample_weight": weights[which]}
