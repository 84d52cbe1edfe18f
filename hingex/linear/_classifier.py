# SPDX-License-Identifier: BSD-3-Clause
"""The linear classifier with any convex margin loss, and with penalties that select features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from .. import _validate as check
from .._available import available
from .._targets import absent_of, keep_absent
from ..losses.margin import MarginLoss, by_name
from ..solvers import PENALIZED, check_penalized, solve_penalized
from ..stop import Monitor
from ._base import LinearModel

PENALTIES = ("l2", "l1", "elasticnet")


def _refuse_probability(model: LinearClassifier) -> None:
    """Raise AttributeError unless the loss of the model has a link."""
    try:
        loss = _loss_of(model)
    except ValueError as error:  # `fit` will say it
        raise AttributeError(f"no predict_proba: {error}") from None
    if _link(loss) is None:
        raise AttributeError(
            f"predict_proba is there for loss logistic, exponential, modified_huber, squared "
            f"and squared_hinge, not for {loss}: use hingex.CalibratedClassifier("
            f"{type(model).__name__}(...)), which fits probabilities to held-out scores"
        )


class LinearClassifier(LinearModel):
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
    absent_ : ndarray of int
        Where some classes have no row of positive weight: their places in `classes_`. Their scores
        are the mean of the others less 1, their probabilities 0; they are never predicted.
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
            Non-negative; a weight of 0 is as good as leaving the row out, save that a class of such
            rows stays in `classes_`, see `absent_`. At least two classes must have a row of
            positive weight.

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
        loss, C, penalty, ratio, solver = self._problem()
        options = self._common_options()
        warm = check.boolean("warm_start", self.warm_start)
        verbose, callback = self._watchers()

        rows = check.as_rows(X, owner=owner)
        classes, codes = check.encode_labels(y, rows.n, owner)
        cost = check.row_weights(C, self.class_weight, sample_weight, classes, codes, rows.n)
        start, duals = (
            self._warm_point(rows, classes, loss, penalty) if warm else (None, None))
        check.check_feature_names(self, X, reset=True)
        monitor = Monitor(callback, verbose, options["tol"], options["max_time"], owner)
        fit, chosen, reason = solve_penalized(
            rows, codes, len(classes), loss=loss, penalty=penalty, l1_ratio=ratio, C=C, cost=cost,
            solver=solver, monitor=monitor, start=start, duals=duals, **options,
        )  # fmt: skip

        self._keep_fit(fit, chosen, reason, classes, rows.d)
        self.loss_ = loss
        keep_absent(self, codes, cost, len(classes))
        self.n_nonzero_ = np.count_nonzero(fit.coef, axis=1)
        self._last_duals = (fit.dual, loss, penalty) if warm else None
        self._conclude(fit, options)
        return self

    def _problem(self) -> tuple[MarginLoss, float, str, float, str]:
        """loss, C, penalty, l1_ratio and solver, checked."""
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
        return loss, C, penalty, ratio, solver

    def _check_params(self) -> None:
        self._problem()
        self._common_options()
        self._watchers()
        check.boolean("warm_start", self.warm_start)
        check.class_weight_form(self.class_weight)

    def _warm_point(
        self, rows: Any, classes: np.ndarray, loss: MarginLoss, penalty: str
    ) -> tuple[Any, Any]:
        if not hasattr(self, "coef_"):
            return None, None
        known, d = self.n_features_in_, rows.d
        self._check_warm("features", known, d, classes, known == d)
        duals = None
        last = getattr(self, "_last_duals", None)
        if last is not None and len(last[0]) == rows.n and last[1:] == (loss, penalty):
            duals = last[0], self.intercept_
        return (self.coef_, self.intercept_), duals

    @available(_refuse_probability)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes, by the link of the loss.

        There for losses whose best score tells the probability: 1 / (1 + exp(-f)) for logistic,
        1 / (1 + exp(-2 f)) for exponential, (clip(f, -1, 1) + 1) / 2 for modified Huber, squared
        and squared hinge (T. Zhang, "Statistical behavior and consistency of classification methods
        based on convex risk minimization", Annals of Statistics 32, 2004). Those of more than two
        classes are divided by their sum. Their order is that of the scores.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)

        Returns
        -------
        ndarray of float64, shape (n, K)
            In the order of `classes_`.

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As `predict`.
        AttributeError
            For other losses: `hingex.CalibratedClassifier` fits a link to held-out scores.
        """
        scores = self._scores(X)
        # The first of the highest, as the kernel has it.
        codes = scores.argmax(axis=1) if scores.shape[1] > 1 else (scores[:, 0] > 0).astype(int)
        link = _link(_loss_of(self))
        assert link is not None
        p = link(scores)
        p[:, absent_of(self, len(self.classes_))] = 0
        return normalized(p, codes)


def _loss(loss: Any) -> MarginLoss:
    """A margin loss, by itself or by its name."""
    if isinstance(loss, MarginLoss):
        return loss
    known = by_name()
    if not isinstance(loss, str) or loss not in known:
        convex = " or ".join(repr(name) for name, cls in known.items() if cls.is_convex)
        raise ValueError(f"loss must be a margin loss of hingex.losses or {convex}; got {loss!r}")
    return known[loss]()


def _loss_of(model: LinearClassifier) -> MarginLoss:
    """The loss that was minimised, or will be."""
    return vars(model).get("loss_") or _loss(model.loss)


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
