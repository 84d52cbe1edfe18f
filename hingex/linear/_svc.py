# SPDX-License-Identifier: BSD-3-Clause
"""The linear support vector classifier."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import Any, Self

import numpy as np

from .. import _validate as check
from .._core import kernels
from .._estimator import Classifier
from .._result import Fit, warn
from .._threads import n_parts, n_threads
from ..solvers import SCHEMES, SOLVERS, check_solver, joint_duals, solve_linear
from ..stop import Monitor

_WITH_DUALS = ("dual_coef_", "support_", "support_kind_")


class LinearSVC(Classifier):
    r"""Linear support vector machine with a certified duality gap.

    Solves, for two classes with :math:`y_i = \pm 1` (more classes: one problem for each class
    against the rest),

    .. math:: \min_{w, b} \tfrac12 \|w\|^2 + \sum_i C_i\, \phi(y_i (w \cdot x_i + b)), \qquad
              C_i = C \cdot \mathrm{class\_weight}_i \cdot \mathrm{sample\_weight}_i

    with :math:`\phi(t) = \max(0, 1 - t)` (hinge) or its square, until the relative duality gap
    :math:`(P - D) / P`, verified over all rows, is at most `tol`: no linear model of this form
    has an objective lower than :math:`(1 - tol) P`.

    Parameters
    ----------
    loss : {"squared_hinge", "hinge"}, default "squared_hinge"
    C : float, default 1.0
        Weight of the loss against the penalty; positive and finite.
    multi_class : {"ovr", "crammer_singer", "weston_watkins", "lee_lin_wahba"}, default "ovr"
        With more than two classes: a problem for each class against the rest, or one for all; see
        the notes. With two classes, the last three weigh the penalty half as much.
    solver : {"auto", "dual_cd", "interior_point", "newton", "multiclass_dual"}, default "auto"
        "auto" takes the one that suits the data, and another when the first is too slow.
    tol : float, default 1e-3
        Relative duality gap to reach, for every class.
    fit_intercept : bool, default True
    intercept : {"unregularized", "regularized"}, default "unregularized"
        "regularized" is LIBLINEAR's: a constant feature, penalised like the others.
    intercept_scaling : float, default 1.0
        Value of the constant feature of a regularized intercept; larger means less penalty.
    class_weight : dict, "balanced" or None, default None
        Factor of C for the rows of a class; "balanced" is n / (K * rows of the class). In
        one-vs-rest it belongs to the row, in all K problems alike, as if it were a sample weight.
    max_iter : int, default 1000
        Epochs (passes over the rows), or iterations of a second-order solver for a class. Below
        200 no second solver takes over from the first when that is slow.
    max_time : float or None, default None
        Seconds after which to stop.
    n_jobs : int or None, default None
        Threads; None means the CPUs available to this process, -1 all. A large binary problem
        (a million nonzeros, or dense values, and more) is shared out among threads only where a
        number is given, as the last bits of its result depend on the number; no other result
        depends on it.
    random_state : int, Generator, RandomState or None, default None
        Order in which rows are visited. None means 0: fits are reproducible by default.
    warm_start : bool, default False
        Start from the duals of the last fit, which must have had the same rows and classes.
    verbose : bool, default False
        Show a progress bar with epoch, gap and time left.
    callback : callable or None, default None
        Called with a `hingex.stop.State` after every epoch; a true result stops the fit.
    store_dual : bool, default False
        Keep `dual_coef_`, `support_` and `support_kind_`.

    Attributes
    ----------
    classes_ : ndarray (K,)
    coef_ : ndarray (1, d) or (K, d), float64
        For two classes, positive scores mean ``classes_[1]``.
    intercept_ : ndarray (1,) or (K,)
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        When X was a data frame with string column names.
    n_iter_ : int
        Epochs, and iterations of a second-order solver over all classes.
    converged_ : bool
    primal_objective_, dual_objective_, duality_gap_ : ndarray (1,) or (K,)
        Certified objectives, and the relative gap between them; (1,) for a joint problem.
    history_ : structured ndarray
        An entry per epoch: epoch, seconds, primal, dual, gap, active, certified. Entries that
        are not certified are estimates; sums (gap: the largest) over the classes.
    margin_width_ : ndarray (1,) or (K,)
        2 / ||w||.
    solver_, solver_reason_ : str
        The algorithm that was chosen, and why.
    dual_coef_ : ndarray (n,) or (n, K)
        y_i alpha_i; ``coef_ == dual_coef_.T @ X`` up to rounding. Only with `store_dual`.
    support_ : ndarray of int
        Rows with a nonzero dual in any problem. Only with `store_dual`.
    support_kind_ : ndarray of int8, shape of `dual_coef_`, or (n,) for a joint problem
        0 no support vector, 1 on or inside the margin with 0 < alpha < C_i, 2 at the bound C_i
        (hinge). A row of a joint problem is at the bound when the sum of its duals is
        (Crammer-Singer), or any of them (the others). Only with `store_dual`.

    Warns
    -----
    ConvergenceWarning
        When a fit ends before `tol`, with the gap it reached.

    Notes
    -----
    Float32 and float64 data, dense in any memory order or CSR with int32 or int64 indices, are
    used where they lie. Extra memory: coefficients, duals and some 12 to 24 bytes per row; a
    second-order solver (see `solver_`) has two d x d matrices and about 140 bytes per row (Newton)
    or 230 (interior point). Ctrl-C ends a fit within a fraction of a second and leaves the model as
    far as it came.

    The joint problems have, for scores :math:`s_k = w_k \cdot x_i + b_k`, one loss for each row,

    ================  =====================================================================
    crammer_singer    :math:`\max_{m \ne y_i} \max(0, 1 + s_m - s_{y_i})^p`
    weston_watkins    :math:`\sum_{m \ne y_i} \max(0, 1 + s_m - s_{y_i})^p`
    lee_lin_wahba     :math:`\sum_{m \ne y_i} \max(0, 1 / (K - 1) + s_m)^p`, :math:`\sum_k s_k = 0`
    ================  =====================================================================

    p = 1 (hinge) or 2, times :math:`C_i`, and the penalty :math:`\tfrac12 \sum_k \|w_k\|^2`. With
    two classes, `coef_` and `intercept_` are the differences :math:`w_1 - w_0` and
    :math:`b_1 - b_0`, so that the penalty is a quarter of ``||coef_||**2``: Crammer-Singer and
    Weston-Watkins are the binary problem with 2 C in the place of C. Joint problems run in one
    thread, and their duals take 8 n K bytes. Where thousands of rows, far more than features, lie
    on or inside the margin, they may need more than the default `max_iter`.

    Columns with a large mean cost digits and epochs: subtract it. C = inf, the hard margin, is not
    available; a large C comes close to it.

    References
    ----------
    Hsieh et al., "A dual coordinate descent method for large-scale linear SVM", ICML 2008.
    Keerthi et al., "A sequential dual method for large scale multi-class linear SVMs", KDD 2008.
    Dogan, Glasmachers, Igel, "A unified view on multi-class support vector classification", JMLR
    17, 2016.

    Examples
    --------
    >>> import hingex
    >>> model = hingex.LinearSVC(C=1.0).fit([[0.0], [1.0], [3.0], [4.0]], ["a", "a", "b", "b"])
    >>> model.predict([[0.5], [3.5]])
    array(['a', 'b'], dtype='<U1')
    """

    def __init__(
        self,
        loss: str = "squared_hinge",
        *,
        C: float = 1.0,
        multi_class: str = "ovr",
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
        store_dual: bool = False,
    ) -> None:
        self.loss = loss
        self.C = C
        self.multi_class = multi_class
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
        self.store_dual = store_dual

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
        ValueError, TypeError
            For parameters or data out of range; the message names what, where, and the fix.
        KeyboardInterrupt
            After Ctrl-C; the fitted attributes hold what was reached.
        """
        owner = type(self).__name__
        loss = check.choice("loss", self.loss, ("squared_hinge", "hinge"))
        C = check.positive_float("C", self.C)
        scheme = check.choice("multi_class", self.multi_class, SCHEMES)
        solver = check.choice("solver", self.solver, ("auto", *SOLVERS))
        check_solver(solver, loss, scheme)
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
        store = check.boolean("store_dual", self.store_dual)
        verbose = check.boolean("verbose", self.verbose)
        callback = check.optional_callable("callback", self.callback)

        rows = check.as_rows(X, owner=owner)
        classes, codes = check.encode_labels(y, rows.n, owner)
        cost = check.row_weights(C, self.class_weight, sample_weight, classes, codes, rows.n)
        check.check_feature_names(self, X, reset=True)
        fit, chosen, reason = solve_linear(
            rows,
            codes,
            len(classes),
            loss=loss,
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
            scheme=scheme,
            start=self._warm_point(rows.n, classes) if warm else None,
        )

        self.classes_ = classes
        self.n_features_in_ = rows.d
        self.coef_, self.intercept_ = fit.coef, fit.intercept
        self.n_iter_, self.converged_, self.history_ = fit.n_iter, fit.converged, fit.history
        self.primal_objective_, self.dual_objective_ = fit.primal, fit.dual_objective
        self.duality_gap_ = fit.gap
        with np.errstate(over="ignore"):
            squares = np.einsum("kd,kd->k", fit.coef, fit.coef)
        norms = np.sqrt(squares).tolist()
        self.margin_width_ = np.array([2 / norm if norm else np.inf for norm in norms])
        self.solver_, self.solver_reason_ = chosen, reason
        self._last_fit = (fit.dual, fit.intercept) if warm else None
        for name in _WITH_DUALS:
            self.__dict__.pop(name, None)
        if store:
            self._keep_duals(fit, codes, C if cost is None else cost[:, None], loss, scheme)
        if fit.status == "interrupted":
            raise KeyboardInterrupt
        if not fit.converged:
            warn(_not_converged(owner, fit, tol, max_iter), "ConvergenceWarning")
        return self

    def _warm_point(self, n: int, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        last = getattr(self, "_last_fit", None)
        if last is None:
            return None
        if last[0].shape[0] != n or not np.array_equal(self.classes_, classes):
            raise ValueError(
                f"warm_start needs the rows and classes of the last fit, which had "
                f"{last[0].shape[0]} rows and {len(self.classes_)} classes; got {n} rows and "
                f"{len(classes)} classes. Set warm_start=False, or use a new estimator"
            )
        return last

    def _keep_duals(
        self, fit: Fit, codes: np.ndarray, cost: Any, loss: str, scheme: str
    ) -> None:
        alpha = fit.dual
        assert alpha is not None
        if scheme != "ovr":
            self.dual_coef_, self.support_kind_ = joint_duals(alpha, codes, cost, loss, scheme)
            self.support_ = np.flatnonzero(self.support_kind_)
            return
        lanes = alpha.shape[1]
        positive = codes[:, None] == (np.arange(lanes) if lanes > 1 else 1)
        kind = (alpha > 0).astype(np.int8)
        if loss == "hinge":
            kind[alpha >= cost] = 2
            kind[alpha == 0] = 0
        signed = np.where(positive, alpha, -alpha)
        self.support_ = np.flatnonzero(kind.any(axis=1))
        self.support_kind_ = kind if lanes > 1 else kind[:, 0]
        self.dual_coef_ = signed if lanes > 1 else signed[:, 0]

    def __getattr__(self, name: str) -> Any:
        if name in _WITH_DUALS and "coef_" in self.__dict__:
            raise AttributeError(
                f"{name} was not kept: fit with {type(self).__name__}(store_dual=True)"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores X @ coef_.T + intercept_.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)

        Returns
        -------
        ndarray of float64, shape (n,) for two classes, else (n, K)
        """
        self._check_fitted()
        rows = check.fitted_rows(self, X, checked=False)
        scores = np.empty((rows.n, len(self.intercept_)))
        self._scores(rows, scores, None)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, X: Any) -> np.ndarray:
        """Predicted labels, shape (n,): the class of the highest score.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
        """
        self._check_fitted()
        rows = check.fitted_rows(self, X, checked=False)
        codes = np.empty(rows.n, dtype=np.int32)
        self._scores(rows, None, codes)
        return self.classes_[codes]

    def _scores(self, rows: Any, scores: np.ndarray | None, codes: np.ndarray | None) -> None:
        # coef_ is a view of the kernel's layout, features first, unless the user replaced it.
        weights = np.ascontiguousarray(self.coef_.T, dtype=np.float64)
        intercept = np.ascontiguousarray(self.intercept_, dtype=np.float64)
        sound = kernels("linear").linear_scores(
            rows, weights, intercept, scores, codes, n_threads(self.n_jobs)
        )
        if not sound:
            check.refuse_unsound(rows, type(self).__name__)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model to `path`, to be read by `hingex.load`; see docs/model_format.md."""
        from .. import model_io

        model_io.save(self, path)


def _not_converged(owner: str, fit: Fit, tol: float, max_iter: int) -> str:
    gap = float(np.max(fit.gap))
    reached, bound = f"at a relative duality gap of {gap:.2e}", "may be far above"
    if not np.isfinite(gap):
        reached = "without a finite duality gap"
    elif gap < 0.5:
        bound = f"may be up to {100 * gap / (1 - gap):.2g}% above"
    elif gap < 1:
        bound = f"may be up to {1 / (1 - gap):.2g} times"
    why = {
        "max_iter": f"max_iter={max_iter} was reached",
        "stalled": f"rounding left no progress after {fit.n_iter} iterations",
        "max_time": f"max_time was reached after {fit.n_iter} epochs",
        "callback": f"the callback stopped it after {fit.n_iter} epochs",
    }[fit.status]
    return (
        f"{owner} stopped {reached}, above tol={tol:g}, because {why}: the objective {bound} the "
        "optimum. Raise max_iter or max_time, raise tol, scale the features to similar ranges, "
        "subtract large means of columns, or lower C."
    )
