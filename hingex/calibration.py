# SPDX-License-Identifier: BSD-3-Clause
"""Probabilities for classifiers that give scores: Platt's sigmoid and isotonic regression.

Sources: J. Platt, "Probabilistic outputs for support vector machines and comparisons to regularized
likelihood methods", 1999; H.-T. Lin, C.-J. Lin and R. C. Weng, "A note on Platt's probabilistic
outputs for support vector machines", Machine Learning 68, 2007; B. Zadrozny and C. Elkan,
"Transforming classifier scores into accurate multiclass probability estimates", KDD 2002.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Self

import numpy as np

from . import _validate as check
from ._estimator import Classifier, Estimator, unfitted
from ._storable import Storable
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


class CalibratedClassifier(Storable, Classifier):
    """A classifier with `predict_proba`, from one with `decision_function`.

    Scores of every row come from a model that was trained on the other folds; a sigmoid or a
    non-decreasing function, for every class against the rest, is fitted to all of them, and the
    classifier is then trained on all rows.

    Parameters
    ----------
    estimator : estimator or None, default None
        With `decision_function`, as all classifiers of hingex, `hingex.text.TextClassifier`, and
        pipelines of scikit-learn that end in such; None means ``LinearSVC()``. It is not changed:
        copies with its parameters are trained. X is as it takes it, texts say; `sample_weight` goes
        to the last step of a pipeline.
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
        When X was a data frame with string column names. Of a pipeline both are its own, if it has
        them.

    Notes
    -----
    `save` is for estimators that model files hold by themselves, not for pipelines.

    cv + 1 fits. `max_time` and `callback` are the estimator's, for each of these by itself. Ctrl-C
    ends the one that it comes in, no other follows, and what an earlier `fit` left stays whole.
    Rows of folds are copied. Where several probabilities are the highest, as isotonic regression
    has it, the class of the highest score is the one predicted; otherwise `predict` is the class of
    the highest probability, which after calibration need not be that of the highest score.

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
        X : array-like or sparse, shape (n, d), or what the estimator takes
        y : array-like, shape (n,)
        sample_weight : float or array-like, shape (n,), optional
            For the estimator and for the calibration alike. Classes without a row of positive
            weight have probability 0; at least two must have one.

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
        if isinstance(cv, str | bytes) or not (np.iterable(cv) or hasattr(cv, "split")):
            cv = check.integer("cv", cv, minimum=2)
        seed = check.random_seed(self.random_state)
        base = self._base()
        X = list(X) if isinstance(X, Iterator) else X  # of documents
        rows = check.as_rows(X, owner=owner) if _takes_rows(base) else None
        table = X if rows is None else check.table_of(rows)
        n = check.n_rows(table) if rows is None else rows.n
        classes, codes = check.encode_labels(y, n, owner)
        weights = check.sample_weights(sample_weight, n)
        check.row_weights(1.0, None, sample_weight, classes, codes, n)  # for its errors
        used = np.ones(n, bool) if weights is None else weights > 0
        splits = _splits(cv, X, y, codes, used, len(classes), seed)

        # Classes whose rows all have weight 0 are left out, and have probability 0.
        present = np.unique(codes[used])
        labels = classes[codes]
        scores, held = _held_out_scores(base, table, labels, weights, used, splits, present,
                                        classes)  # fmt: skip
        place = np.searchsorted(present, codes[held])
        share, lanes = None if weights is None else weights[held], scores.shape[1]
        calibrators = [method(scores[held, k], place == (k if lanes > 1 else 1), share)
                       for k in range(lanes)]
        every = np.flatnonzero(used) if len(present) < len(classes) else slice(None)
        Z = X if isinstance(every, slice) else check.take_rows(X, every)
        self.estimator_ = unfitted(base).fit(Z, labels[every], **_weighted(base, weights, every))
        self.calibrators_, self.classes_ = calibrators, classes
        self._keep_features(X, rows)
        return self

    def _base(self) -> Any:
        """The parameter `estimator`, checked."""
        base = LinearSVC() if self.estimator is None else self.estimator
        if isinstance(base, type):
            raise TypeError(f"estimator must be an estimator, not a class; got {base.__name__}: "
                            f"write {base.__name__}()")
        for name in ("fit", "decision_function", "get_params"):
            if not hasattr(base, name):
                raise TypeError(f"estimator must have fit, decision_function and get_params; "
                                f"{base!r} has no {name}")
        return base

    def _keep_features(self, X: Any, rows: Any) -> None:
        """Set n_features_in_ and feature_names_in_, or what the estimator has of them."""
        for name in ("n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)
            if rows is None and hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        if rows is not None:
            check.check_feature_names(self, X, reset=True)
            self.n_features_in_ = rows.d

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
        if _takes_rows(self.estimator_):
            check.fitted_rows(self, X)  # for its errors
        scores = np.asarray(self.estimator_.decision_function(X))
        scores = scores.reshape(len(scores), -1)
        p = np.column_stack([c(scores[:, k]) for k, c in enumerate(self.calibrators_)])
        if p.shape[1] == 1:
            codes = np.where(p[:, 0] == 0.5, scores[:, 0] > 0, p[:, 0] > 0.5).astype(np.int64)
        else:
            top = p == p.max(axis=1, keepdims=True)
            codes = np.where(top, scores, -np.inf).argmax(axis=1)
        p = normalized(p, codes)
        if p.shape[1] == len(self.classes_):
            return p
        out = np.zeros((len(p), len(self.classes_)))
        out[:, np.isin(self.classes_, self.estimator_.classes_)] = p
        return out

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

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import get_tags

        tags = super().__sklearn_tags__()
        given = get_tags(LinearSVC() if self.estimator is None else self.estimator).input_tags
        for name in ("sparse", "string", "two_d_array", "one_d_array"):
            setattr(tags.input_tags, name, getattr(given, name))
        return tags

    # ---- files ------------------------------------------------------------------------------

    def _check_params(self) -> None:
        check.choice("method", self.method, tuple(METHODS))
        if isinstance(self.cv, str | bytes) or not (
                np.iterable(self.cv) or hasattr(self.cv, "split")):
            check.integer("cv", self.cv, minimum=2)
        check.random_seed(self.random_state)

    def _params_to_store(self) -> dict[str, Any]:
        """The estimator as its class and its parameters, as they were fitted."""
        from .model_io import storable_params, storable_part

        name = storable_part(self.estimator_)
        return self.get_params(deep=False) | {
            "estimator": {"class": name, "params": storable_params(self.estimator_)[0]}}

    def _fitted_to_store(self) -> dict[str, Any]:
        from .model_io import fitted_to_store

        own = {k: v for k, v in vars(self).items() if k not in ("estimator_", "calibrators_")}
        inner = {f"estimator__{k}": v for k, v in fitted_to_store(self.estimator_).items()}
        return own | inner | _calibrators_to_store(self.calibrators_)

    @classmethod
    def _restored(cls, params: dict[str, Any], fitted: dict[str, Any]) -> Self:
        """From what was stored; ValueError if that is not whole."""
        from .model_io import restored

        stored, start = params.get("estimator"), "estimator__"
        if not isinstance(stored, dict) or set(stored) != {"class", "params"}:
            raise ValueError("the parameter estimator is no estimator")
        inner = {k[len(start):]: fitted.pop(k) for k in list(fitted) if k.startswith(start)}
        estimator = restored(stored["class"], stored["params"], inner)
        model = cls(**params | {"estimator": type(estimator)(**estimator.get_params(deep=False))})
        model.estimator_ = estimator
        if _takes_rows(estimator) and (
                fitted.get("n_features_in_") != estimator.n_features_in_):
            raise ValueError("n_features_in_ is not that of the estimator")
        classes, found = fitted.get("classes_"), np.asarray(estimator.classes_)
        if not isinstance(classes, np.ndarray) or classes.ndim != 1 or not (
                (classes[1:] > classes[:-1]).all() and np.isin(found, classes).all()):
            raise ValueError("classes_ are not distinct, ascending and those of the estimator")
        model.calibrators_ = _calibrators_restored(fitted, 1 if len(found) == 2 else len(found))
        vars(model).update(fitted)
        return model


def _takes_rows(estimator: Any) -> bool:
    """Whether it is an estimator of hingex that takes rows of numbers.

    What others take, pipelines say, is theirs to tell.
    """
    return isinstance(estimator, Estimator) and estimator._takes_rows


def _splits(
    cv: Any, X: Any, y: Any, codes: np.ndarray, used: np.ndarray, n_classes: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Row numbers to train on and to score."""
    if isinstance(cv, int):
        folds = deal_folds(codes, used, n_classes, cv, seed)
        return [(np.flatnonzero((folds != k) & used), np.flatnonzero(folds == k))
                for k in range(cv)]
    pairs = cv.split(X, y) if hasattr(cv, "split") else cv
    return [(train[used[train]], test) for train, test in read_folds(pairs, len(codes))]


def _held_out_scores(
    base: Any, table: Any, labels: np.ndarray, weights: np.ndarray | None, used: np.ndarray,
    splits: list[tuple[np.ndarray, np.ndarray]], present: np.ndarray, classes: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the rows for the classes that are present, and the rows that count."""
    n, lanes = len(labels), 1 if len(present) == 2 else len(present)
    scores, times = np.zeros((n, lanes)), np.zeros(n, np.int64)
    for train, test in splits:
        absent = np.setdiff1d(classes[present], labels[train])
        if len(absent):
            raise ValueError(f"class {check._show(absent[0])} is not among the rows that a fold "
                             "trains on: it needs 2 rows with a weight at least")
        if not len(test):
            continue
        np.add.at(times, test, 1)
        model = unfitted(base).fit(check.take_rows(table, train), labels[train],
                                   **_weighted(base, weights, train))
        found = np.asarray(model.decision_function(check.take_rows(table, test)))
        scores[test] = found.reshape(len(test), lanes)
    if times.max(initial=0) != 1:
        raise ValueError("cv must have every row in one test at most, and some row in one; row "
                         f"{int(times.argmax())} is in {int(times.max(initial=0))}")
    return scores, np.flatnonzero(used & (times == 1))


def _weighted(base: Any, weights: np.ndarray | None, which: Any) -> dict[str, Any]:
    """Arguments of `fit` that give it the weights; of a pipeline to its last step."""
    if weights is None:
        return {}
    steps, name = getattr(base, "steps", None), "sample_weight"
    if steps:
        from sklearn import get_config

        if not get_config().get("enable_metadata_routing"):
            name = f"{steps[-1][0]}__{name}"
    return {name: weights[which]}


def _calibrators_to_store(calibrators: list[Any]) -> dict[str, np.ndarray]:
    """The functions as arrays."""
    if isinstance(calibrators[0], Sigmoid):
        return {"sigmoids_": np.array(calibrators, np.float64)}
    return {
        "isotonic_scores_": np.concatenate([c.scores for c in calibrators]),
        "isotonic_values_": np.concatenate([c.values for c in calibrators]),
        "isotonic_ends_": np.cumsum([len(c.scores) for c in calibrators], dtype=np.int64),
    }


def _calibrators_restored(fitted: dict[str, Any], lanes: int) -> list[Any]:
    """The functions of arrays that `fitted` loses; ValueError for what they cannot be."""
    owner = "CalibratedClassifier"
    sigmoids = fitted.pop("sigmoids_", None)
    if sigmoids is not None:
        table = check.finite_table("sigmoids_", sigmoids, (lanes, 2), owner)
        return [Sigmoid(float(a), float(b)) for a, b in table]
    scores, values, ends = (fitted.pop(f"isotonic_{part}_", None)
                            for part in ("scores", "values", "ends"))
    if not all(isinstance(part, np.ndarray) and part.ndim == 1 for part in (scores, values, ends)):
        raise ValueError("sigmoids_ are missing, or isotonic_scores_, _values_ and _ends_")
    scores = check.finite_table("isotonic_scores_", scores, (len(scores),), owner)
    values = check.finite_table("isotonic_values_", values, (len(scores),), owner)
    starts = np.concatenate([[0], ends[:-1]])
    if ends.dtype.kind != "i" or len(ends) != lanes or ends[-1] != len(scores) or (
            (ends <= starts).any()):
        raise ValueError(f"isotonic_ends_ are not the ends of {lanes} functions")
    found = [Isotonic(scores[a:b], values[a:b]) for a, b in zip(starts, ends, strict=True)]
    for c in found:
        if (np.diff(c.scores) <= 0).any() or (np.diff(c.values) < 0).any() or (
                c.values[0] < 0 or c.values[-1] > 1):
            raise ValueError("isotonic_scores_ do not ascend, or isotonic_values_ descend or leave "
                             "0..1")
    return found
