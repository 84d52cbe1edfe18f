# SPDX-License-Identifier: BSD-3-Clause
"""Kernel machines with a share nu of errors: classification, and one class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from .. import _validate as check
from ..solvers import smo
from ._base import KernelModel
from ._svc import PairwiseClassifier
from ._svr import filled


class NuSVC(PairwiseClassifier):
    r"""Kernel support vector classification with a share of errors instead of their cost.

    .. math:: \min_{w, b, \rho \ge 0} \tfrac12 \|w\|^2 - \nu n \rho
              + \sum_i u_i \max(0, \rho - y_i (w \cdot \phi(x_i) + b))

    for each pair of classes, :math:`u_i = \mathrm{class\_weight}_i \cdot
    \mathrm{sample\_weight}_i` and n their sum; w and b are then divided by :math:`\rho`, as LIBSVM
    has it. At most a share nu of the rows is on the wrong side of its margin, and at least that
    share are support vectors.

    Parameters
    ----------
    nu : float, default 0.5
        Above 0, up to 1; feasible up to twice the share of the smaller class of each pair.
    kernel, degree, gamma, coef0, shrinking, tol, cache_size, class_weight, max_iter, max_time, \
decision_function_shape, break_ties, n_jobs, random_state, verbose, callback
        As those of `SVC`.

    Attributes
    ----------
    classes_, support_, support_vectors_, n_support_, dual_coef_, support_kind_, intercept_, \
coef_, dual_objective_, duality_gap_, kkt_violation_, n_iter_, converged_, fit_status_, history_, \
cache_hit_rate_, gamma_, n_features_in_, shape_fit_, feature_names_in_
        As those of `SVC`; the objective is -1/2 ||w||^2 before the division.

    Warns
    -----
    ConvergenceWarning
        When a fit ends before `tol`, with the gap it reached.

    References
    ----------
    Scholkopf, Smola, Williamson, Bartlett, "New support vector algorithms", Neural Computation 12,
    2000.

    Examples
    --------
    >>> import hingex
    >>> model = hingex.NuSVC(nu=0.5).fit([[0.0], [1.0], [3.0], [4.0]], ["a", "a", "b", "b"])
    >>> model.predict([[0.5], [3.5]])
    array(['a', 'b'], dtype='<U1')
    """

    def __init__(
        self,
        *,
        nu: float = 0.5,
        kernel: Any = "rbf",
        degree: int = 3,
        gamma: Any = "scale",
        coef0: float = 0.0,
        shrinking: bool = True,
        tol: float = 1e-3,
        cache_size: float = 200.0,
        class_weight: Any = None,
        max_iter: int = -1,
        max_time: float | None = None,
        decision_function_shape: str = "ovr",
        break_ties: bool = False,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: bool = False,
        callback: Callable[[Any], Any] | None = None,
    ) -> None:
        self.nu = nu
        self.kernel = kernel
        self.degree = degree
        self.gamma = gamma
        self.coef0 = coef0
        self.shrinking = shrinking
        self.tol = tol
        self.cache_size = cache_size
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.max_time = max_time
        self.decision_function_shape = decision_function_shape
        self.break_ties = break_ties
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback

    def _check_params(self) -> None:
        super()._check_params()
        check.share("nu", self.nu)
        check.random_seed(self.random_state)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on (X, y); parameters, results and errors are those of `SVC.fit`.

        A nu that is too large for a pair of classes is a ValueError that names them.
        """
        owner = type(self).__name__
        nu = check.share("nu", self.nu)
        options = self._solver_options()
        self._shape()
        check.random_seed(self.random_state)
        monitor = self._monitor(options)
        training = self._training(X, options.tol)
        n = training.rows.n
        classes, codes = check.encode_labels(y, n, owner)
        weights = check.row_weights(1.0, self.class_weight, sample_weight, classes, codes, n)
        cost = np.ones(n) if weights is None else weights
        examples = self._examples(codes, cost > 0, len(classes))
        problems = []
        for (ids, sign), pair in zip(examples, self._problems(len(classes)), strict=True):
            mine = cost[ids]
            total = nu * float(mine.sum()) / 2
            for s, k in zip((1, -1), pair, strict=True):
                room = float(mine[sign == s].sum())
                if room < total * (1 - 1e-12):
                    raise ValueError(
                        f"specified nu is infeasible: {nu:g} is more than twice the share of class "
                        f"{check._show(classes[k])} against class "
                        f"{check._show(classes[pair[0] if k == pair[1] else pair[1]])}, which is "
                        f"{room / float(mine.sum()):.3g}")
            start = np.zeros(len(ids))
            for s in (1, -1):
                start[sign == s] = s * filled(mine[sign == s], total)
            problems.append(smo.Problem(
                ids, np.zeros(len(ids)), np.where(sign > 0, 0.0, -mine),
                np.where(sign > 0, mine, 0.0), start, (sign < 0).astype(np.uint8),
                self._shared(ids, sign, pair),
            ))
        solutions = training.solve(problems, options, monitor)
        duals, kinds, intercepts = [], [], []
        for solution, (ids, _) in zip(solutions, examples, strict=True):
            # f is -w.phi(x): at margins -rho - b for y = 1, rho - b for y = -1.
            b, (up, down) = solution.b, solution.intercept
            rho = (down - up) / 2
            scale = 1 / rho if rho > 0 else 1.0
            duals.append(b * scale)
            intercepts.append((up + down) / 2 * scale)
            kinds.append(np.where(b == 0, 0, np.where(np.abs(b) < cost[ids], 1, 2)))
        self._keep_duals(training, codes, classes, examples, duals, kinds)
        self.intercept_ = np.array(intercepts)
        self._keep_solutions(solutions)
        self._conclude(solutions, options)
        return self


class OneClassSVM(KernelModel):
    r"""Kernel machine that tells rows like those of `fit` from others.

    .. math:: \min_{w, \rho} \tfrac12 \|w\|^2 - \nu n \rho
              + \sum_i u_i \max(0, \rho - w \cdot \phi(x_i))

    with :math:`u_i = \mathrm{sample\_weight}_i` and n their sum: at most a share nu of the rows is
    outside, where :math:`w \cdot \phi(x) < \rho`, and at least that share are support vectors.

    Parameters
    ----------
    nu : float, default 0.5
        Above 0, up to 1.
    kernel, degree, gamma, coef0, tol, shrinking, cache_size, max_iter, max_time, n_jobs, verbose, \
callback
        As those of `SVC`.

    Attributes
    ----------
    dual_coef_ : ndarray (1, n_SV)
    offset_ : float
        rho = -intercept_.
    support_, support_vectors_, n_support_, intercept_, coef_, dual_objective_, duality_gap_, \
kkt_violation_, n_iter_, converged_, fit_status_, history_, cache_hit_rate_, gamma_, \
n_features_in_, shape_fit_, feature_names_in_
        As those of `SVC`.

    Warns
    -----
    ConvergenceWarning
        When a fit ends before `tol`, with the gap it reached.

    References
    ----------
    Scholkopf et al., "Estimating the support of a high-dimensional distribution", Neural
    Computation 13, 2001.

    Examples
    --------
    >>> import hingex
    >>> model = hingex.OneClassSVM(nu=0.5, gamma=1.0).fit([[0.0], [0.1], [0.2], [0.1]])
    >>> model.predict([[0.1], [3.0]])
    array([ 1, -1])
    """

    _estimator_type = "outlier_detector"

    def __init__(
        self,
        *,
        kernel: Any = "rbf",
        degree: int = 3,
        gamma: Any = "scale",
        coef0: float = 0.0,
        tol: float = 1e-3,
        nu: float = 0.5,
        shrinking: bool = True,
        cache_size: float = 200.0,
        max_iter: int = -1,
        max_time: float | None = None,
        n_jobs: int | None = None,
        verbose: bool = False,
        callback: Callable[[Any], Any] | None = None,
    ) -> None:
        self.kernel = kernel
        self.degree = degree
        self.gamma = gamma
        self.coef0 = coef0
        self.tol = tol
        self.nu = nu
        self.shrinking = shrinking
        self.cache_size = cache_size
        self.max_iter = max_iter
        self.max_time = max_time
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.callback = callback

    def _check_params(self) -> None:
        super()._check_params()
        check.share("nu", self.nu)

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train on X.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
            With kernel="precomputed", the kernel of all rows with each other, (n, n).
        y : ignored
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
        nu = check.share("nu", self.nu)
        options = self._solver_options()
        monitor = self._monitor(options)
        training = self._training(X, options.tol)
        weights = check.sample_weights(sample_weight, training.rows.n)
        cost = np.ones(training.rows.n) if weights is None else weights
        ids = np.flatnonzero(cost > 0)
        most, none = cost[ids], np.zeros(len(ids))
        start = filled(most, nu * float(most.sum()))
        problem = smo.Problem(ids, none, none, most, start)
        solution, = training.solve([problem], options, monitor)
        nonzero = np.flatnonzero(solution.b)
        self.dual_coef_ = solution.b[None, nonzero]
        self.n_support_ = np.array([len(nonzero)], dtype=np.int32)
        self.intercept_ = np.array([solution.intercept[0]])
        self.offset_ = -solution.intercept[0]
        self._keep_kernel(training, ids[nonzero])
        self._keep_solutions([solution])
        self._conclude([solution], options)
        return self

    def fit_predict(self, X: Any, y: Any = None, **options: Any) -> np.ndarray:
        """`fit`, then `predict` of the same rows."""
        return self.fit(X, y, **options).predict(X)

    def decision_function(self, X: Any) -> np.ndarray:
        """w . phi(x) - rho: positive inside.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
            With kernel="precomputed", the kernel of n rows with all rows of `fit`.

        Returns
        -------
        ndarray of float64, shape (n,)

        Raises
        ------
        ValueError, TypeError
            For X that is not like that of `fit`, or not finite; for fitted arrays that were
            changed and do not fit each other any more.
        """
        return self._single_scores(X)

    def score_samples(self, X: Any) -> np.ndarray:
        """w . phi(x): `decision_function` plus `offset_`."""
        return self.decision_function(X) + self._offset()

    def _offset(self) -> np.ndarray:
        return check.finite_table("offset_", self.offset_, (), type(self).__name__)

    def _check_arrays(self) -> None:
        super()._check_arrays()
        if not hasattr(self, "offset_"):
            raise ValueError("offset_ is missing")
        self._offset()

    def predict(self, X: Any) -> np.ndarray:
        """1 for rows with a positive score, -1 for others; errors as `decision_function`."""
        return np.where(self.decision_function(X) > 0, 1, -1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "outlier_detector"
        return tags
