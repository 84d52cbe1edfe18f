# SPDX-License-Identifier: BSD-3-Clause
"""RankSVM: a linear model by the hinge of all pairs, and its case of two classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from .. import _validate as check
from .._estimator import Classifier
from .._linear_model import LinearScores
from .._result import Fit
from .._scores import called
from .._targets import Queries
from .._threads import n_threads
from ..metrics import mean_average_precision, ndcg_score, pairwise_accuracy
from ..solvers import rank
from ..stop import Monitor

NORMALIZE = ("none", "pairs", "queries", "items")
METRICS = ("pairwise_accuracy", "ndcg", "map")


class _RankModel(LinearScores):
    """Parameters, the fit on queries, fitted attributes."""

    def __init__(
        self,
        loss: str = "hinge",
        *,
        C: float = 1.0,
        normalize: str = "none",
        tol: float = 1e-3,
        max_iter: int = 1000,
        max_time: float | None = None,
        n_jobs: int | None = None,
        warm_start: bool = False,
        verbose: bool = False,
        callback: Callable[[Any], Any] | None = None,
    ) -> None:
        self.loss = loss
        self.C = C
        self.normalize = normalize
        self.tol = tol
        self.max_iter = max_iter
        self.max_time = max_time
        self.n_jobs = n_jobs
        self.warm_start = warm_start
        self.verbose = verbose
        self.callback = callback

    def _check_params(self) -> None:
        self._options()

    def _options(self) -> dict[str, Any]:
        """The parameters as the solver takes them, checked."""
        verbose, callback = self._watchers()
        tol = check.positive_float("tol", self.tol)
        max_time = check.optional_positive_float("max_time", self.max_time)
        check.positive_float("C", self.C)
        check.choice("normalize", self.normalize, NORMALIZE)
        check.boolean("warm_start", self.warm_start)
        return {
            "loss": check.choice("loss", self.loss, rank.LOSSES), "tol": tol,
            "max_iter": check.integer("max_iter", self.max_iter), "max_time": max_time,
            "threads": n_threads(self.n_jobs),
            "monitor": Monitor(callback, verbose, tol, max_time, type(self).__name__),
        }  # fmt: skip

    def _learn(self, X: Any, rows: Any, queries: Queries, query_weight: np.ndarray,
               weight: np.ndarray | None, nothing: str, options: dict[str, Any]) -> Fit:
        """Solve and keep what was learnt; `nothing` says what is wrong where there are no pairs."""
        with np.errstate(over="ignore"):
            scale = self._scale(queries, query_weight, weight, nothing)
        start = None
        if self.warm_start and hasattr(self, "coef_"):
            if self.n_features_in_ != rows.d:
                raise ValueError(
                    f"warm_start needs the features of the last fit, which had "
                    f"{self.n_features_in_}; got {rows.d}. Set warm_start=False, or use a new "
                    "estimator")
            start = np.ascontiguousarray(np.ravel(self.coef_), np.float64)
        check.check_feature_names(self, X, reset=True)
        fit = rank.solve(rows, queries, scale=scale, weight=weight, start=start, **options)
        self.n_features_in_ = rows.d
        self.coef_, self.intercept_ = fit.coef, fit.intercept
        self.n_iter_, self.converged_, self.history_ = fit.n_iter, fit.converged, fit.history
        self.primal_objective_, self.dual_objective_ = fit.primal, fit.dual_objective
        self.duality_gap_ = fit.gap
        return fit

    def _scale(self, queries: Queries, query_weight: np.ndarray, weight: np.ndarray | None,
               nothing: str) -> np.ndarray:
        """Factor of each query's pairs."""
        pairs = queries.pairs(weight)
        some = (pairs > 0) & (query_weight > 0)
        if not some.any():
            raise ValueError(nothing)
        scale = self.C * query_weight
        if self.normalize == "pairs":
            scale = scale / float(query_weight @ pairs)
        elif self.normalize == "queries":
            scale = np.where(some, scale / np.where(some, pairs, 1.0), 0.0) / float(
                query_weight[some].sum())
        elif self.normalize == "items":
            query = np.repeat(np.arange(len(pairs)), np.diff(queries.start))
            own = None if weight is None else weight[queries.row]
            items = np.bincount(query, own, len(pairs))
            scale = scale * (float(items[some].sum()) / float(query_weight @ pairs))
        total = float(scale @ pairs)
        if not 1 / check.MAX_COST <= total <= check.MAX_COST:
            raise ValueError(f"the pairs' weights, C times those of queries and rows, add up to "
                             f"{total:g}; expected {1 / check.MAX_COST:g} to {check.MAX_COST:g}")
        return np.ascontiguousarray(scale)


class LinearRankSVC(_RankModel):
    r"""RankSVM: a linear model that orders the items of queries by relevance.

    Solves, over the pairs :math:`(i, j)` of rows of the same query with :math:`y_i > y_j`,

    .. math:: \min_w \tfrac12 \|w\|^2 + \sum_{(i, j)} c_{ij}\, \phi(w \cdot x_i - w \cdot x_j),
              \qquad \phi(t) = \max(0, 1 - t) \text{ or } \max(0, 1 - t)^2

    until the relative duality gap :math:`(P - D) / P`, a true one, is at most `tol`. The pairs are
    never written down: an evaluation takes :math:`O(nnz + n \log n)`. There is no intercept: it
    would not change an order.

    Parameters
    ----------
    loss : {"hinge", "squared_hinge"}, default "hinge"
        The squared hinge is some times as fast, and mostly as accurate.
    C : float, default 1.0
        Weight of the losses; positive and finite.
    normalize : {"none", "pairs", "queries", "items"}, default "none"
        What C multiplies: the sum over all pairs, as a linear SVM on the differences x_i - x_j has
        it; their mean; the mean over queries of each query's mean; or their mean times the weight
        of the rows (in queries with pairs), by which C means about what it means for `LinearSVC`.
    tol : float, default 1e-3
        Relative duality gap to reach.
    max_iter : int, default 1000
        Steps of Newton's method, and cutting planes.
    max_time : float or None, default None
        Seconds after which to stop.
    n_jobs : int or None, default None
        Threads over queries and for predictions, as in `LinearSVC`; they do not change the result.
    warm_start : bool, default False
        Start from the last fit, which must have had as many features.
    verbose : bool, default False
        Show a progress bar with iteration, gap and time left.
    callback : callable or None, default None
        Called with a `hingex.stop.State` after every iteration; a true result stops the fit.

    Attributes
    ----------
    coef_ : ndarray (1, d), float64
    intercept_ : ndarray (1,)
        Zero.
    n_queries_, n_pairs_ : int
        Queries that have pairs, and how many pairs of positive weight these have in all.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        When X was a data frame with string column names.
    n_iter_ : int
    converged_ : bool
    primal_objective_, dual_objective_, duality_gap_ : ndarray (1,)
        Certified objectives, and the relative gap between them.
    history_ : structured ndarray
        An entry per iteration: epoch, seconds, primal, dual, gap, active, certified.

    Warns
    -----
    ConvergenceWarning
        When a fit ends before `tol`, with the gap it reached.

    Notes
    -----
    Float32 and float64 data, dense in any memory order or CSR with int32 or int64 indices, are used
    where they lie. Other memory: about 100 bytes a row; for the hinge also up to 300 planes of d
    numbers, 64 MB in all (or ten planes). Queries of one item, or of one grade, make no pairs and
    take no part. With more than eight grades in a query an evaluation takes O(log grades) for an
    item, else O(1) once sorted.
    See `hingex/solvers/rank.py` for the algorithm.

    References
    ----------
    R. Herbrich, T. Graepel and K. Obermayer, "Large margin rank boundaries for ordinal
    regression", Advances in Large Margin Classifiers, 2000; T. Joachims, "Optimizing search engines
    using clickthrough data", KDD 2002; C.-P. Lee and C.-J. Lin, "Large-scale linear RankSVM",
    Neural Computation 26, 2014.

    Examples
    --------
    >>> import hingex
    >>> X = [[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [5.0, 0.0], [6.0, 1.0]]
    >>> model = hingex.LinearRankSVC().fit(X, [0, 1, 2, 0, 1], qid=[1, 1, 1, 2, 2])
    >>> model.predict([[0.0, 1.0], [3.0, 1.0], [1.0, 1.0]]).argsort()[::-1]
    array([1, 2, 0])
    """

    _estimator_type = "ranker"

    def fit(self, X: Any, y: Any, qid: Any = None, sample_weight: Any = None,
            query_weight: Any = None) -> Self:
        """Train on (X, y, qid).

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
        y : array-like, shape (n,)
            Relevance: finite numbers, more is better.
        qid : array-like, shape (n,), optional
            Query of each row, numbers or strings, in any order. By default all rows are of one.
        sample_weight : float or array-like, shape (n,), optional
            Not negative; a pair has the product of its rows' weights.
        query_weight : dict or array-like, optional
            Factors of queries, not negative: by id, those that are not named having 1; or one for
            each distinct id, in their sorted order.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For parameters or data out of range, and data without pairs; the message names what,
            where, and the fix.
        KeyboardInterrupt
            After Ctrl-C; the fitted attributes hold what was reached.
        """
        owner = type(self).__name__
        options = self._options()
        rows = check.as_rows(X, owner=owner, min_rows=2)
        queries, ids = check.queries(y, qid, rows.n, owner)
        weights = check.query_weights(query_weight, ids)
        weight = check.sample_weights(sample_weight, rows.n)
        fit = self._learn(
            X, rows, queries, weights, weight,
            f"{owner} has no pairs to learn from: no query has two rows of different relevance y "
            "and positive weight. Check that qid is the query of each row, not its own number",
            options,
        )  # fmt: skip
        counts = queries.pairs(None if weight is None else np.sign(weight))[weights > 0]
        self.n_queries_, self.n_pairs_ = int((counts > 0).sum()), int(counts.sum())
        self._conclude(fit, options)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Scores X @ coef_.T, by which items are to be ordered, best first; shape (n,)."""
        return self.decision_function(X)

    def score(self, X: Any, y: Any, qid: Any = None, sample_weight: Any = None, *,
              metric: str = "pairwise_accuracy", k: int | None = None) -> float:
        """How well the scores order the items.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
        y : array-like, shape (n,)
            Relevance.
        qid : array-like, shape (n,), optional
        sample_weight : array-like, shape (n,), optional
            For the pairwise accuracy only.
        metric : {"pairwise_accuracy", "ndcg", "map"}, default "pairwise_accuracy"
            See `hingex.metrics`: `pairwise_accuracy`, `ndcg_score` (exponential gains) or
            `mean_average_precision`; queries without relevant items are left out.
        k : int, optional
            Places that count, for ndcg and map.

        Returns
        -------
        float in 0..1

        Raises
        ------
        ValueError, TypeError
            As `predict` and the metrics.
        """
        check.choice("metric", metric, METRICS)
        f = self.predict(X)
        if metric == "pairwise_accuracy":
            if k is not None:
                raise ValueError(f'k is for metric "ndcg" and "map"; got k={k!r} with {metric!r}')
            with called(relevance="y", f="predict(X)"):
                return pairwise_accuracy(y, f, qid=qid, sample_weight=sample_weight)
        if sample_weight is not None:
            raise ValueError(f'sample_weight is for metric "pairwise_accuracy", not {metric!r}')
        ranked = ndcg_score if metric == "ndcg" else mean_average_precision
        with called(relevance="y", f="predict(X)"):
            return ranked(y, f, qid=qid, k=k)


class AUCMaximizer(_RankModel, Classifier):
    r"""Linear classifier that maximises the area under the ROC curve, by the hinge of all pairs.

    Solves `LinearRankSVC`'s problem for the pairs of a row of class ``classes_[1]`` and one of
    ``classes_[0]``: one minus the AUC is the share of such pairs in the wrong order, of which the
    hinge is a convex bound.

    Parameters
    ----------
    loss, C, tol, max_iter, max_time, n_jobs, warm_start, verbose, callback
        As for `LinearRankSVC`.
    normalize : {"items", "none", "pairs", "queries"}, default "items"
        As for `LinearRankSVC`; all rows are of one query.

    Attributes
    ----------
    classes_ : ndarray (2,)
    coef_ : ndarray (1, d), float64
    intercept_ : ndarray (1,)
        The AUC does not depend on it. For `predict` it is the one of the fewest (weighted) errors
        on the training rows; of several, the middle of the widest interval.
    n_features_in_, feature_names_in_, n_iter_, converged_, primal_objective_, dual_objective_, \
duality_gap_, history_
        As for `LinearRankSVC`.

    Warns
    -----
    ConvergenceWarning
        When a fit ends before `tol`, with the gap it reached.

    References
    ----------
    T. Joachims, "A support vector method for multivariate performance measures", ICML 2005.

    Examples
    --------
    >>> import hingex
    >>> model = hingex.AUCMaximizer().fit([[0.0], [1.0], [3.0], [4.0]], ["a", "a", "b", "b"])
    >>> model.auc([[0.5], [3.5]], ["a", "b"])
    1.0
    """

    def __init__(
        self,
        loss: str = "hinge",
        *,
        C: float = 1.0,
        normalize: str = "items",
        tol: float = 1e-3,
        max_iter: int = 1000,
        max_time: float | None = None,
        n_jobs: int | None = None,
        warm_start: bool = False,
        verbose: bool = False,
        callback: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(
            loss, C=C, normalize=normalize, tol=tol, max_iter=max_iter, max_time=max_time,
            n_jobs=n_jobs, warm_start=warm_start, verbose=verbose, callback=callback)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on (X, y).

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
        y : array-like, shape (n,)
            Labels of two classes; the greater one gets the high scores.
        sample_weight : float or array-like, shape (n,), optional
            Not negative; a pair has the product of its rows' weights.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For parameters or data out of range; the message names what, where, and the fix.
        KeyboardInterrupt
            After Ctrl-C; the fitted attributes hold what was reached.
        """
        owner = type(self).__name__
        options = self._options()
        rows = check.as_rows(X, owner=owner)
        classes, codes = check.encode_labels(y, rows.n, owner)
        if len(classes) != 2:
            raise ValueError(f"Only binary classification is supported. y has {len(classes)} "
                             f"classes; {owner} orders the rows of two")
        queries, _ = check.queries(codes, None, rows.n, owner)
        weight = check.sample_weights(sample_weight, rows.n)
        fit = self._learn(
            X, rows, queries, np.ones(1), weight,
            f"{owner} needs a row of positive weight in each of the two classes", options)
        self.classes_ = classes
        scores = np.empty((rows.n, 1))
        self._fill(rows, scores, None)
        f, positive = scores[:, 0], codes > 0
        if weight is not None:
            f, positive, weight = (part[weight > 0] for part in (f, positive, weight))
        self.intercept_ = np.array([-_threshold(f, positive, weight)])
        self._conclude(fit, options)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Labels: ``classes_[1]`` where the score is positive; shape (n,)."""
        positive = self.decision_function(X) > 0
        return self.classes_[positive.astype(np.int64)]

    def auc(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Area under the ROC curve of the scores on (X, y), ties one half.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
        y : array-like, shape (n,)
            Labels of `fit`; both must be there.
        sample_weight : array-like, shape (n,), optional

        Returns
        -------
        float in 0..1

        Raises
        ------
        ValueError, TypeError
            For X as `predict` has it; for labels that `fit` has not seen.
        """
        f = self.decision_function(X)
        y = check.label_array(y, len(f), type(self).__name__)
        check.check_same_kind(y, self.classes_, type(self).__name__)
        unknown = ~np.isin(y, self.classes_)
        if unknown.any():
            at = int(unknown.argmax())
            raise ValueError(f"y[{at}] is {y[at]!r}, which is not one of the classes "
                             f"{self.classes_.tolist()} of fit")
        weight = check.sample_weights(sample_weight, len(f))
        counts = [bool(((y == label) & (True if weight is None else weight > 0)).any())
                  for label in self.classes_]
        if not all(counts):
            label = self.classes_[counts.index(False)]
            raise ValueError(f"y has no row of class {check._show(label)}"
                             f"{'' if weight is None else ' with a positive weight'}: the area "
                             "under the curve needs rows of both classes")
        return pairwise_accuracy(y == self.classes_[1], f, sample_weight=sample_weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


def _threshold(f: np.ndarray, positive: np.ndarray, weight: np.ndarray | None) -> float:
    """The threshold of the fewest errors, scores above it being positive."""
    order = np.argsort(f, kind="stable")
    w = np.ones(len(f)) if weight is None else weight[order]
    own = np.where(positive[order], w, -w)
    # What a threshold behind the first k scores has more in errors than one before all.
    errors = np.concatenate([[0.0], np.cumsum(own)])
    ordered = f[order]
    where = np.concatenate([[True], ordered[1:] > ordered[:-1], [True]])
    best = np.flatnonzero(where & (errors <= errors[where].min() + 1e-12 * float(w.sum())))
    low = np.where(best > 0, ordered[best - 1], ordered[0] - 1)
    high = np.where(best < len(f), ordered[np.minimum(best, len(f) - 1)], ordered[-1] + 1)
    at = int(np.argmax(high - low))
    return float(0.5 * (low[at] + high[at]))
