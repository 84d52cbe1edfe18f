# SPDX-License-Identifier: BSD-3-Clause
"""The linear support vector classifier."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .. import _validate as check
from .._result import Fit
from .._targets import equal_rows, n_lanes, positive
from ..solvers import SCHEMES, SOLVERS, check_solver, joint_duals, solve_linear
from ..stop import Monitor
from ._base import LinearModel

if TYPE_CHECKING:
    from ._path import LinearPath

SCORES_AT_ONCE = 1 << 22  # when labels are predicted
_WITH_DUALS = ("dual_coef_", "support_", "support_kind_")


class LinearSVC(LinearModel):
    r"""Linear support vector machine with a certified duality gap.

    Solves, for two classes with :math:`y_i = \pm 1` (more classes: one problem for each class
    against the rest; an indicator matrix: one for each label),

    .. math:: \min_{w, b} \tfrac12 \|w\|^2 + \sum_i C_i\, \phi(y_i (w \cdot x_i + b)), \qquad
              C_i = C \cdot \mathrm{class\_weight}_i \cdot \mathrm{sample\_weight}_i

    with :math:`\phi(t) = \max(0, 1 - t)` (hinge) or its square, until the relative duality gap
    :math:`(P - D) / P`, verified over all rows, is at most `tol`: no linear model of this form
    has an objective lower than :math:`(1 - tol) P`.

    Parameters
    ----------
    loss : {"squared_hinge", "hinge"}, default "squared_hinge"
    C : float, default 1.0
        Weight of the loss against the penalty; positive. inf is the hard margin: all rows (of
        positive weight) at y_i (w . x_i + b) >= 1, for both losses alike.
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
        Not for an indicator matrix, whose rows may have several classes or none.
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
    multilabel_ : dict
        After a fit on an indicator matrix: its "format" and "dtype", which `predict` returns. Then
        classes_ = 0..L-1 and K = L everywhere. The model of a label that all rows have, or none,
        is the optimum of its problem, too: with an unregularized intercept coef 0 and intercept
        1, or -1.
    feature_names_in_ : ndarray of str
        When X was a data frame with string column names.
    reading_ : dict
        When the rows came from svmlight files (``hingex train``, `fit_stream`): their conventions,
        ``{"format": "svmlight", "zero_based": ...}``, which ``hingex predict`` keeps to.
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
        y_i alpha_i, of which ``dual_coef_.T @ X`` is `coef_`: up to rounding after coordinate
        descent, after other solvers to within the gap, as half the squared distance of the two is
        at most P - D. Only with `store_dual`.
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
    used where they lie. Extra memory: coefficients, duals, some 12 to 24 bytes per row (up to 70 in
    one-vs-rest) and 8 per feature; a second-order solver (see `solver_`) has two d x d matrices and
    about 140 bytes per row (Newton) or 230 (interior point, where Newton's method stalls). Ctrl-C
    ends a fit within a fraction of a second and leaves the model as far as it came.

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

    Columns with a large mean cost digits and epochs: subtract it. With C = inf `n_iter_` and
    `history_` count soft-margin fits of growing C; a margin counts as none where weights as in
    `NotSeparableError` make each column vanish to 1e-9 of its root mean square (above 2000
    features: to 1e-9 of the longest row).

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
        y : array-like, shape (n,), or an indicator matrix (n, L)
            Labels: at least two distinct strings, integers, booleans or integral floats. Or, for
            rows with any number of labels, 1 where row i has label j and else 0: a table of at
            least two columns, or a sparse matrix.
        sample_weight : float or array-like, shape (n,), optional
            Non-negative; a weight of 0 is as good as leaving the row out, save that a class of such
            rows stays in `classes_`: its score is the mean of the others' less 1, so that it is
            never predicted, with an objective and a gap of 0 and without duals. At least two
            classes must have a row of positive weight. `class_weight` may name labels that y lacks,
            if it names all those of y.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For parameters or data out of range; the message names what, where, and the fix.
        NotSeparableError
            A ValueError: with C = inf, when no plane separates the classes, with the proof.
        KeyboardInterrupt
            After Ctrl-C; the fitted attributes hold what was reached.
        """
        owner = type(self).__name__
        options = self._options()
        warm = check.boolean("warm_start", self.warm_start)
        verbose, callback = self._watchers()
        C, tol, max_time = options["C"], options["tol"], options["max_time"]

        rows = check.as_rows(X, owner=owner)
        classes, targets, kind = self._targets(y, rows.n, options["scheme"])
        hard = math.isinf(C)
        cost = check.row_weights(1.0 if hard else C, self.class_weight, sample_weight, classes,
                                 targets, rows.n)  # fmt: skip
        check.check_feature_names(self, X, reset=True)
        start = self._warm_point(rows.n, classes, targets) if warm else None
        monitor = Monitor(callback, verbose, tol, max_time, owner)
        fit, chosen, reason = solve_linear(
            rows, targets, len(classes), cost=cost, monitor=monitor, start=start,
            classes=classes, **options,
        )  # fmt: skip
        self._learn(fit, chosen, reason, classes, kind, rows.d)
        self._last_fit = (fit.dual, fit.intercept) if warm else None
        if self.store_dual:
            loss = options["loss"]
            bound = C if cost is None or hard else cost[:, None]
            self._keep_duals(fit, targets, bound, loss, options["scheme"])
        self._conclude(fit, options)
        return self

    def fit_stream(
        self, blocks: Any, epochs: int | None = None, *, checkpoint: Any = None
    ) -> Self:
        """Train on data larger than memory, a block at a time, to a certified duality gap.

        Coordinate descent by blocks: each is read, swept over a few times, and left with its
        duals; blocks come in random order, and those that have nothing to do are not read. The
        problem, its optimum and the certificate are those of `fit`.

        Parameters
        ----------
        blocks : names of files, sequence or iterable of (X, y) or (X, y, sample_weight)
            Files are svmlight or ``.npz``, see `hingex.blocks`, which has sources for rows of
            mapped arrays and others, too. All blocks must have as many features. Labels are one
            for each row. What can be gone through but once is first written to disk.
        epochs : int, optional
            At most so many; by default `max_iter`.
        checkpoint : path, optional
            A folder for the duals and, after each block, all else that it takes to go on: a call
            with the same blocks, parameters and folder after a kill loses no more than a block.
            Without it duals (8 n K bytes) are in memory, or beyond 256 MiB in a temporary folder.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As `fit`, with the block's name; for blocks that change; for a checkpoint of another
            fit; and for multi_class, solver, C=inf, warm_start and store_dual other than one block
            at a time can do.
        OSError
            When a file cannot be read or written; the checkpoint is still whole.
        KeyboardInterrupt
            After Ctrl-C; the fitted attributes hold what was reached.

        Warns
        -----
        ConvergenceWarning
            As `fit`.

        Notes
        -----
        Memory: `coef_`, two blocks, the duals of one (or all, without a checkpoint). A pass over
        all blocks comes first, for classes and norms; one more for each certificate. The state
        that a checkpoint gets after each block has 8 d K bytes.

        References
        ----------
        Yu, Hsieh, Chang, Lin, "Large linear classification when data cannot fit in memory", KDD
        2010.
        """
        from ._stream import fit_stream

        return fit_stream(self, blocks, epochs, checkpoint)

    def path(self, X: Any, y: Any, Cs: Any = 20, *, sample_weight: Any = None) -> LinearPath:
        """Train for many C, each from the solution of the next smaller one.

        Takes the time of a few fits rather than of as many as there are C, and certifies every
        one: its relative duality gap is at most `tol`. The parameter `C` and the fitted attributes
        of this estimator are neither used nor changed.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
        y : array-like, shape (n,), or an indicator matrix (n, L)
            As for `fit`.
        Cs : array-like, shape (m,), or int, default 20
            Positive, in any order, the same value more than once if you like; or how many, evenly
            spaced in their logarithms from 1e-3 to 1e3, up to 100 000 of them.
        sample_weight : float or array-like, shape (n,), optional

        Returns
        -------
        LinearPath
            With an entry for each of `Cs`, in the order given. `path.model(i)` is a fitted
            estimator like this one. `max_time` holds for all C together, and what was not reached
            by then, or when the callback (called after every epoch of every fit) stopped it, is
            NaN.

        Raises
        ------
        ValueError, TypeError
            As `fit`, and for Cs that are not positive and finite.
        KeyboardInterrupt
            After Ctrl-C; `path` of the exception holds what was reached.

        Warns
        -----
        ConvergenceWarning
            When some C ended before `tol`, or were not come to.
        """
        from ._path import run_path

        return run_path(self, X, y, Cs, sample_weight)

    def _with_C(self, C: float) -> LinearSVC:
        """A LinearSVC with this C and the parameters of this estimator."""
        return type(self)(**self.get_params(deep=False) | {"C": C})

    def _check_params(self) -> None:
        self._options()
        self._watchers()
        check.boolean("warm_start", self.warm_start)
        check.class_weight_form(self.class_weight)

    def _options(self) -> dict[str, Any]:
        """The parameters as `solve_linear` takes them."""
        loss = check.choice("loss", self.loss, ("squared_hinge", "hinge"))
        C = check.positive_float("C", self.C, allow_inf=True)
        scheme = check.choice("multi_class", self.multi_class, SCHEMES)
        solver = check.choice("solver", self.solver, ("auto", *SOLVERS))
        hard = math.isinf(C)
        check_solver(solver, "hinge" if hard else loss, scheme)
        if hard and scheme != "ovr":
            raise ValueError(
                f"C=inf (hard margin) is for multi_class='ovr'; got {scheme!r}. Set a finite C"
            )
        common = self._common_options()
        check.boolean("store_dual", self.store_dual)
        return {"loss": loss, "C": C, "scheme": scheme, "solver": solver} | common

    def _targets(self, y: Any, n: int, scheme: str) -> tuple[np.ndarray, Any, dict | None]:
        """Classes, targets for the solvers, and for an indicator matrix of what kind it is."""
        owner = type(self).__name__
        if not check.is_indicator(y):
            return *check.encode_labels(y, n, owner), None
        indicator, kind = check.read_indicator(y, n, owner)
        if scheme != "ovr":
            raise ValueError(
                f"multi_class={scheme!r} is for one label per row; y is an indicator matrix with "
                f"{indicator.n_labels} labels, which needs multi_class='ovr'"
            )
        return np.arange(indicator.n_labels), indicator, kind

    def _learn(
        self, fit: Fit, chosen: str, reason: str, classes: np.ndarray, kind: dict | None, d: int
    ) -> None:
        """Set the fitted attributes."""
        for name in (*_WITH_DUALS, "multilabel_"):
            self.__dict__.pop(name, None)
        self._keep_fit(fit, chosen, reason, classes, d)
        if kind is not None:
            self.multilabel_ = kind
        with np.errstate(over="ignore"):
            squares = np.einsum("kd,kd->k", fit.coef, fit.coef)
        norms = np.sqrt(squares).tolist()
        self.margin_width_ = np.array([2 / norm if norm else np.inf for norm in norms])

    def _warm_point(
        self, n: int, classes: np.ndarray, targets: Any
    ) -> tuple[np.ndarray, np.ndarray] | None:
        last = getattr(self, "_last_fit", None)
        if last is None:
            return None
        lanes = n_lanes(targets, len(classes))
        self._check_warm("rows", len(last[0]), n, classes, last[0].shape == (n, lanes))
        return last

    def _keep_duals(self, fit: Fit, targets: Any, cost: Any, loss: str, scheme: str) -> None:
        alpha = fit.dual
        assert alpha is not None
        if scheme != "ovr":
            self.dual_coef_, self.support_kind_ = joint_duals(alpha, targets, cost, loss, scheme)
            self.support_ = np.flatnonzero(self.support_kind_)
            return
        lanes = alpha.shape[1]
        kind = (alpha > 0).astype(np.int8)
        if loss == "hinge":
            kind[alpha >= cost] = 2
            kind[alpha == 0] = 0
        signed = -alpha
        for k in range(lanes):
            mine = positive(targets, k, lanes)
            signed[mine, k] = alpha[mine, k]
        self.support_ = np.flatnonzero(kind.any(axis=1))
        self.support_kind_ = kind if lanes > 1 else kind[:, 0]
        self.dual_coef_ = signed if lanes > 1 else signed[:, 0]

    def __getattr__(self, name: str) -> Any:
        if name in _WITH_DUALS and "coef_" in self.__dict__:
            raise AttributeError(
                f"{name} was not kept: fit with {type(self).__name__}(store_dual=True)"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = self.multi_class == "ovr"
        return tags

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores X @ coef_.T + intercept_.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)

        Returns
        -------
        ndarray of float64, shape (n,) for two classes, else (n, K); (n, L) after a fit on an
        indicator matrix
        """
        if "multilabel_" in self.__dict__:
            return self._scores(X)  # (n, 1) for one label
        return super().decision_function(X)

    def predict(self, X: Any) -> np.ndarray:
        """Predicted labels: the class of the highest score.

        After a fit on an indicator matrix another one, dense or CSR as that was, with the labels
        whose scores are positive.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)

        Returns
        -------
        ndarray, shape (n,), of the dtype of `classes_`; or an indicator matrix (n, L) of integers

        Raises
        ------
        ValueError, TypeError
            As `decision_function`.
        """
        if "multilabel_" in self.__dict__:
            return self._predict_labels(X)
        return super().predict(X)

    def _predict_labels(self, X: Any) -> Any:
        """The labels with positive scores, as an indicator matrix of the kind that `fit` had."""
        rows = check.fitted_rows(self, X)
        n, lanes, kind = rows.n, len(self.intercept_), self.multilabel_
        out = np.zeros((n, lanes), dtype=kind["dtype"]) if kind["format"] == "dense" else None
        labels, counts = [], np.zeros(n + 1, dtype=np.int64)
        step = max(1, SCORES_AT_ONCE // lanes)
        for start in range(0, n, step):
            which = np.arange(start, min(n, start + step), dtype=np.int32)
            scores = np.empty((len(which), lanes))
            self._fill(rows, scores, None, which)
            if out is not None:
                out[start : start + step] = scores > 0
            else:
                at, found = np.nonzero(scores > 0)
                counts[start + 1 : start + step + 1] = np.bincount(at, minlength=len(which))
                labels.append(found)
        if out is not None:
            return out
        import scipy.sparse

        columns = np.concatenate(labels)
        ones = np.ones(len(columns), dtype=kind["dtype"])
        make = getattr(scipy.sparse, kind["format"])
        return make((ones, columns, np.cumsum(counts)), shape=(n, lanes))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy: the (weighted) fraction of rows whose label, or whole set of labels, is right.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
        y : array-like, shape (n,), or after a fit on an indicator matrix one of shape (n, L)
            True labels; a label that `fit` has not seen counts as an error.
        sample_weight : array-like, shape (n,), optional
            Non-negative weights of the rows.

        Returns
        -------
        float
        """
        self._check_fitted()
        if "multilabel_" not in self.__dict__:
            return super().score(X, y, sample_weight)
        predicted = self._predict_labels(X)
        owner, n = type(self).__name__, predicted.shape[0]
        found, _ = check.read_indicator(predicted, n, owner)
        true, _ = check.read_indicator(y, n, owner)
        if true.n_labels != found.n_labels:
            raise ValueError(
                f"y has {true.n_labels} labels, but {owner} was fitted on {found.n_labels}"
            )
        weights = check.sample_weights(sample_weight, n)
        return float(np.average(equal_rows(true, found), weights=weights))
