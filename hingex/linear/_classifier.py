# SPDX-License-Identifier: BSD-3-Clause
"""The linear classifier with any convex margin loss, and with penalties that select features."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import Any, Self

import numpy as np

from .. import _validate as check
from .._core import kernels
from .._estimator import Classifier
from .._result import warn
from .._threads import n_parts, n_threads
from ..losses.margin import MarginLoss, by_name
from ..solvers import PENALIZED, check_penalized, solve_penalized
from ..stop import Monitor
from ._svc import _not_converged

PENALTIES = ("l2", "l1", "elasticnet")


class LinearClassifier(Classifier):
    r"""Linear classifier with any convex margin loss and a certified duality gap.

    Solves, for two classes with :math:`y_i = \pm 1` (more classes: one problem for each class
    against the rest),

    .. math:: \min_{w, b} R(w) + \sum_i C_i\, \phi(y_i (w \cdot x_i + b)), \qquad
              C_i = C \cdot \mathrm{class\_weight}_i \cdot \mathrm{sample\_weight}_i

    where :math:`R(w)` is :math:`\tfrac12 \|w\|^2` (l2), :math:`\|w\|_1` (l1) or :math:`\rho
    \|w\|_1 + \tfrac{1 - \rho}{2} \|w\|^2` (elastic net, :math:`\rho` = `l1_ratio`), until the
    relative duality gap :math:`(P - D) / P`, verified over all rows, is at most `tol`: no linear
    model of this form has an objective lower than :math:`(1 - tol) P`.

    Parameters
    ----------
    loss : MarginLoss or str, default "logistic"
        A convex margin loss of `hingex.losses`, a mixture such as ``0.9 * Hinge() + 0.1 *
        Logistic()``, or the name of one with its default parameters: "hinge", "squared_hinge",
        "huberized_hinge", "smooth_hinge", "modified_huber", "softplus_hinge", "perceptron",
        "logistic", "exponential", "squared". "perceptron" alone is least at w = 0.
    penalty : {"l2", "l1", "elasticnet"}, default "l2"
        l1 and elastic net leave features out: see `n_nonzero_`.
    C : float, default 1.0
        Weight of the loss against the penalty; positive and finite.
    l1_ratio : float, default 0.5
        Share of l1 in the elastic net, in 0..1; other penalties ignore it.
    solver : {"auto", "newton_cg", "l1_newton", "dual_cd", "interior_point", "newton"}, \
default "auto"
        "auto" takes the one that suits loss, penalty and data. `hingex.solvers.PENALIZED` tells
        what each is for.
    tol : float, default 1e-3
        Relative duality gap to reach, for every class.
    fit_intercept : bool, default True
    intercept : {"unregularized", "regularized"}, default "unregularized"
        "regularized" is LIBLINEAR's: a constant feature, penalised like the others.
    intercept_scaling : float, default 1.0
        Value of the constant feature of a regularized intercept; larger means less penalty.
    class_weight : dict, "balanced" or None, default None
        Factor of C for the rows of a class, as in `LinearSVC`.
    max_iter : int, default 1000
        Iterations for each class: Newton steps, or epochs of coordinate descent for SVMs.
    max_time : float or None, default None
        Seconds after which to stop.
    n_jobs : int or None, default None
        Threads for predictions, and for the SVM solvers; as in `LinearSVC`.
    random_state : int, Generator, RandomState or None, default None
        Order in which the SVM solvers visit rows; nothing else is random. None means 0.
    warm_start : bool, default False
        Start from the last fit, which must have had the same features and classes; the rows may
        be others.
    verbose : bool, default False
        Show a progress bar with iteration, gap and time left.
    callback : callable or None, default None
        Called with a `hingex.stop.State` after every iteration; a true result stops the fit.

    Attributes
    ----------
    classes_ : ndarray (K,)
    coef_ : ndarray (1, d) or (K, d), float64
        For two classes, positive scores mean ``classes_[1]``.
    intercept_ : ndarray (1,) or (K,)
    n_nonzero_ : ndarray (1,) or (K,) of int
        Features with a weight that is not zero.
    loss_ : MarginLoss
        The loss that was minimised.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        When X was a data frame with string column names.
    n_iter_ : int
        Iterations over all classes.
    converged_ : bool
    primal_objective_, dual_objective_, duality_gap_ : ndarray (1,) or (K,)
        Certified objectives, and the relative gap between them.
    history_ : structured ndarray
        An entry per iteration: epoch, seconds, primal, dual, gap, active, certified.
    solver_, solver_reason_ : str
        The algorithm that was chosen, and why.

    Warns
    -----
    ConvergenceWarning
        When a fit ends before `tol`, with the gap it reached.

    Notes
    -----
    Float32 and float64 data, dense in any memory order or CSR with int32 or int64 indices, are
    used where they lie, with one exception: l1 and elastic net read X by columns, so that CSR data
    are copied once in that form (and dense data if the intercept is regularized). Other memory:
    about 100 bytes a row, duals (rows x classes), and d x d matrices where Newton's method forms
    them (see `hingex.solvers.newton_cg`). Complexity: see `hingex/solvers/`.

    References
    ----------
    Lin, Weng and Keerthi, "Trust region Newton method for large-scale logistic regression", JMLR
    2008; Yuan, Ho and Lin, "An improved GLMNET for l1-regularized logistic regression", JMLR 2012.

    Examples
    --------
    >>> import hingex
    >>> X, y = [[0.0], [1.0], [3.0], [4.0]], ["a", "a", "b", "b"]
    >>> model = hingex.LinearClassifier("logistic", C=10.0, tol=1e-6).fit(X, y)
    >>> model.predict([[0.5], [3.5]])
    array(['a', 'b'], dtype='<U1')
    >>> model.predict_proba([[2.0]]).round(6)
    array([[0.5, 0.5]])
    """

    def __init__(
        self,
        loss: Any = "logistic",
        *,
        penalty: str = "l2",
        C: float = 1.0,
        l1_ratio: float = 0.5,
        solver: str = "auto",
        tol: float = 1e-3,
        fit_intercept: bool = True,
        intercept: str = "unregularized",
        intercept_scaling: float = 1.0,
        class_weight: Any = None,
        max_iter: int = 1000,
        max_time: float | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: bool = False,
        callback: Callable[[Any], Any] | None = None,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.C = C
        self.l1_ratio = l1_ratio
        self.solver = solver
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.intercept = intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.max_time = max_time
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.callback = callback

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on (X, y).

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
        y : array-like, shape (n,)
            Labels: at least two distinct strings, integers, booleans or integral floats.
        sample_weight : float or array-like, shape (n,), optional
            Non-negative; a weight of 0 is as good as leaving the row out.

        Returns
        -------
        self

        Raises
        ------
        hingex.solvers.UnsuitableError
            (a ValueError) For losses that are not convex, and solvers that are not for the loss or
            the penalty; the message says what is.
        ValueError, TypeError
            For parameters or data out of range; the message names what, where, and the fix.
        KeyboardInterrupt
            After Ctrl-C; the fitted attributes hold what was reached.
        """
        owner = type(self).__name__
        loss = _loss(self.loss)
        C = check.positive_float("C", self.C)
        penalty = check.choice("penalty", self.penalty, PENALTIES)
        ratio = check.real("l1_ratio", self.l1_ratio, positive=False)
        if ratio > 1:
            raise ValueError(f"l1_ratio must lie in 0..1; got {self.l1_ratio!r}")
        if penalty == "elasticnet" and ratio == 0:
            penalty = "l2"
        solver = check.choice("solver", self.solver, ("auto", *PENALIZED))
        check_penalized(solver, loss, penalty)
        tol = check.positive_float("tol", self.tol)
        kind = check.choice("intercept", self.intercept, ("unregularized", "regularized"))
        if not check.boolean("fit_intercept", self.fit_intercept):
            kind = "none"
        scaling = check.positive_float("intercept_scaling", self.intercept_scaling)
        if kind == "regularized" and scaling < 1e-100:
            raise ValueError(
                f"intercept_scaling must be at least 1e-100, as its square counts; got {scaling!r}"
                ". Set fit_intercept=False to have no intercept"
            )
        max_iter = check.integer("max_iter", self.max_iter)
        max_time = check.optional_positive_float("max_time", self.max_time)
        threads = n_threads(self.n_jobs)
        seed = check.random_seed(self.random_state)
        warm = check.boolean("warm_start", self.warm_start)
        verbose = check.boolean("verbose", self.verbose)
        callback = check.optional_callable("callback", self.callback)

        rows = check.as_rows(X, owner=owner)
        classes, codes = check.encode_labels(y, rows.n, owner)
        cost = check.row_weights(C, self.class_weight, sample_weight, classes, codes, rows.n)
        start, duals = (
            self._warm_point(rows, classes, loss, penalty) if warm else (None, None))
        check.check_feature_names(self, X, reset=True)
        fit, chosen, reason = solve_penalized(
            rows,
            codes,
            len(classes),
            loss=loss,
            penalty=penalty,
            l1_ratio=ratio,
            C=C,
            cost=cost,
            intercept=kind,
            scaling=scaling,
            tol=tol,
            max_iter=max_iter,
            max_time=max_time,
            threads=threads,
            parts=n_parts(self.n_jobs),
            seed=seed,
            monitor=Monitor(callback, verbose, tol, max_time, owner),
            solver=solver,
            start=start,
            duals=duals,
        )

        self.classes_ = classes
        self.n_features_in_ = rows.d
        self.loss_ = loss
        self.coef_, self.intercept_ = fit.coef, fit.intercept
        self.n_nonzero_ = np.count_nonzero(fit.coef, axis=1)
        self.n_iter_, self.converged_, self.history_ = fit.n_iter, fit.converged, fit.history
        self.primal_objective_, self.dual_objective_ = fit.primal, fit.dual_objective
        self.duality_gap_ = fit.gap
        self.solver_, self.solver_reason_ = chosen, reason
        self._last_duals = (fit.dual, loss, penalty) if warm else None
        if fit.status == "interrupted":
            raise KeyboardInterrupt
        if not fit.converged:
            warn(_not_converged(owner, fit, tol, max_iter), "ConvergenceWarning")
        return self

    def _warm_point(
        self, rows: Any, classes: np.ndarray, loss: MarginLoss, penalty: str
    ) -> tuple[Any, Any]:
        if not hasattr(self, "coef_"):
            return None, None
        if self.n_features_in_ != rows.d or not np.array_equal(self.classes_, classes):
            raise ValueError(
                f"warm_start needs the features and classes of the last fit, which had "
                f"{self.n_features_in_} features and {len(self.classes_)} classes; got {rows.d} "
                f"features and {len(classes)} classes. Set warm_start=False, or use a new estimator"
            )
        duals = None
        last = getattr(self, "_last_duals", None)
        if last is not None and len(last[0]) == rows.n and last[1:] == (loss, penalty):
            duals = last[0], self.intercept_
        return (self.coef_, self.intercept_), duals

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores X @ coef_.T + intercept_.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)

        Returns
        -------
        ndarray of float64, shape (n,) for two classes, else (n, K)
        """
        scores, _ = self._scores(X, True, False)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, X: Any) -> np.ndarray:
        """Predicted labels, shape (n,): the class of the highest score.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
        """
        codes = self._scores(X, False, True)[1]
        return self.classes_[codes]

    def _scores(self, X: Any, scores: bool, codes: bool) -> tuple[Any, Any]:
        self._check_fitted()
        rows = check.fitted_rows(self, X, checked=False)
        found = np.empty((rows.n, len(self.intercept_))) if scores else None
        best = np.empty(rows.n, dtype=np.int32) if codes else None
        weights = np.ascontiguousarray(self.coef_.T, dtype=np.float64)
        intercept = np.ascontiguousarray(self.intercept_, dtype=np.float64)
        sound = kernels("linear").linear_scores(
            rows, weights, intercept, found, best, n_threads(self.n_jobs)
        )
        if not sound:
            check.refuse_unsound(rows, type(self).__name__)
        return found, best

    @property
    def predict_proba(self) -> Callable[[Any], np.ndarray]:
        """Probabilities of the classes, shape (n, K), by the link of the loss.

        There for losses whose best score tells the probability: 1 / (1 + exp(-f)) for logistic,
        1 / (1 + exp(-2 f)) for exponential, (clip(f, -1, 1) + 1) / 2 for modified Huber, squared
        and squared hinge (T. Zhang, "Statistical behavior and consistency of classification methods
        based on convex risk minimization", Annals of Statistics 32, 2004). Those of more than two
        classes are divided by their sum. Their order is that of the scores.

        Raises
        ------
        AttributeError
            For other losses: `hingex.CalibratedClassifier` fits a link to held-out scores.
        """
        loss = self.loss_ if hasattr(self, "loss_") else _loss(self.loss)
        if _link(loss) is None:
            raise AttributeError(
                f"predict_proba is there for loss logistic, exponential, modified_huber, squared "
                f"and squared_hinge, not for {loss}: use hingex.CalibratedClassifier("
                f"{type(self).__name__}(...)), which fits probabilities to held-out scores"
            )
        return self._predict_proba

    def _predict_proba(self, X: Any) -> np.ndarray:
        scores, codes = self._scores(X, True, True)
        link = _link(self.loss_)
        assert link is not None
        return normalized(link(scores), codes)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model to `path`, to be read by `hingex.load`; see docs/model_format.md."""
        from .. import model_io

        model_io.save(self, path)


def _loss(loss: Any) -> MarginLoss:
    """A margin loss, by itself or by its name."""
    if isinstance(loss, MarginLoss):
        return loss
    known = by_name()
    if not isinstance(loss, str) or loss not in known:
        convex = " or ".join(repr(name) for name, cls in known.items() if cls.is_convex)
        raise ValueError(f"loss must be a margin loss of hingex.losses or {convex}; got {loss!r}")
    return known[loss]()


def _link(loss: MarginLoss) -> Callable[[Any], Any] | None:
    """The loss's estimate of P(y = +1) by a score, if it has one."""
    parts = {part for c, part in loss._parts() if c > 0}
    return getattr(parts.pop(), "probability", None) if len(parts) == 1 else None


def normalized(p: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Probabilities (n, K) from those of the positive classes, (n, 1) or (n, K), by their sum.

    Where several are the highest, the last bit is given to class `codes`, which the scores chose;
    rows of zeros are spread evenly.
    """
    if p.shape[1] == 1:
        p = np.column_stack([1 - p[:, 0], p[:, 0]])
    else:
        total = p.sum(axis=1, keepdims=True)
        p = np.where(total > 0, p / np.where(total > 0, total, 1.0), 1.0 / p.shape[1])
    each = np.arange(len(p))
    other = np.flatnonzero(p.argmax(axis=1) != codes)
    if len(other):
        highest = p[other].max(axis=1)
        p[each[other], codes[other]] = np.nextafter(highest, 2.0)
    return p
