# SPDX-License-Identifier: BSD-3-Clause
"""Kernel support vector regression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from .. import _validate as check
from .._estimator import Regressor
from ..solvers import smo
from ._base import KernelModel, Training


class KernelRegressor(KernelModel, Regressor):
    """Base of regressors: two duals for each row, of errors above and below."""

    C: float

    def _check_params(self) -> None:
        super()._check_params()
        check.positive_float("C", self.C)

    def _prepare(
        self, X: Any, y: Any, sample_weight: Any, options: smo.Options
    ) -> tuple[Training, np.ndarray, np.ndarray, np.ndarray]:
        """Training, rows that count, their targets and costs."""
        owner = type(self).__name__
        C = check.cost("C", self.C)
        training = self._training(X, options.tol, sample_weight)
        n = training.rows.n
        targets = check.numeric_targets(y, n, owner)
        weights = check.sample_weights(sample_weight, n)
        with np.errstate(over="ignore"):  # inf: bounds that no dual may need to reach
            cost = np.full(n, C) if weights is None else C * weights
        ids = np.flatnonzero(cost > 0)
        return training, ids, targets[ids], cost[ids]

    def _finish(
        self, training: Training, ids: np.ndarray, solution: smo.Solution, intercept: float,
        options: smo.Options,
    ) -> None:
        """Set the fitted attributes."""
        dual = solution.b.reshape(2, -1).sum(axis=0)
        nonzero = np.flatnonzero(dual)
        self.dual_coef_ = dual[None, nonzero]
        self.n_support_ = np.array([len(nonzero)], dtype=np.int32)
        self.intercept_ = np.array([intercept])
        self._keep_kernel(training, ids[nonzero])
        self._keep_solutions([solution])
        self._conclude([solution], options)

    def predict(self, X: Any) -> np.ndarray:
        """Predicted targets.

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


class SVR(KernelRegressor):
    r"""Kernel support vector regression with a certified duality gap.

    .. math:: \min_{w, b} \tfrac12 \|w\|^2
              + \sum_i C_i \max(0, |y_i - w \cdot \phi(x_i) - b| - \epsilon)

    with :math:`C_i = C \cdot \mathrm{sample\_weight}_i`, until violation and relative duality gap
    are at most `tol`.

    Parameters
    ----------
    kernel, degree, gamma, coef0, tol, shrinking, cache_size, max_iter, max_time, n_jobs, verbose, \
callback
        As those of `SVC`.
    C : float, default 1.0
        Weight of the loss against the penalty; positive.
    epsilon : float, default 0.1
        Errors up to it cost nothing; not negative, in units of y.

    Attributes
    ----------
    dual_coef_ : ndarray (1, n_SV)
        Duals, positive where y is above the prediction.
    probA_ : ndarray (1,)
        In models of LIBSVM's only that have it: scale of the Laplace distribution of their errors.
    support_, support_vectors_, n_support_, intercept_, coef_, primal_objective_, \
dual_objective_, duality_gap_, kkt_violation_, n_iter_, converged_, fit_status_, history_, \
cache_hit_rate_, gamma_, n_features_in_, shape_fit_, feature_names_in_
        As those of `SVC`.

    Warns
    -----
    ConvergenceWarning
        When a fit ends before `tol`, with the gap it reached.

    References
    ----------
    Smola, Scholkopf, "A tutorial on support vector regression", Statistics and Computing 14, 2004.

    Examples
    --------
    >>> import numpy as np
    >>> import hingex
    >>> X = np.linspace(0, 6, 50)[:, None]
    >>> model = hingex.SVR(C=100.0, epsilon=0.01).fit(X, np.sin(X[:, 0]))
    >>> bool(abs(model.predict([[2.0]])[0] - np.sin(2.0)) < 0.02)
    True
    """

    def __init__(
        self,
        *,
        kernel: Any = "rbf",
        degree: int = 3,
        gamma: Any = "scale",
        coef0: float = 0.0,
        tol: float = 1e-3,
        C: float = 1.0,
        epsilon: float = 0.1,
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
        self.C = C
        self.epsilon = epsilon
        self.shrinking = shrinking
        self.cache_size = cache_size
        self.max_iter = max_iter
        self.max_time = max_time
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.callback = callback

    def _check_params(self) -> None:
        super()._check_params()
        check.real("epsilon", self.epsilon, positive=False)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on (X, y).

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
            With kernel="precomputed", the kernel of all rows with each other, (n, n).
        y : array-like, shape (n,)
            Finite numbers.
        sample_weight : float or array-like, shape (n,), optional
            Non-negative; as `SVC.fit` has them.

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
        epsilon = check.real("epsilon", self.epsilon, positive=False)
        options = self._solver_options()
        monitor = self._monitor(options)
        training, ids, y, cost = self._prepare(X, y, sample_weight, options)
        none = np.zeros(len(ids))
        problem = smo.Problem(
            ids, np.concatenate([y - epsilon, y + epsilon]), np.concatenate([none, -cost]),
            np.concatenate([cost, none]), np.zeros(2 * len(ids)),
        )
        solution, = training.solve([problem], options, monitor)
        self._finish(training, ids, solution, solution.intercept[0], options)
        return self


class NuSVR(KernelRegressor):
    r"""Kernel support vector regression with a share of errors instead of their size.

    .. math:: \min_{w, b, \epsilon \ge 0} \tfrac12 \|w\|^2 + C \Big(\nu n \epsilon
              + \sum_i \max(0, |y_i - w \cdot \phi(x_i) - b| - \epsilon)\Big)

    as LIBSVM has it: at most a share nu of the rows is off by more than the epsilon that comes
    out, and at least that share are support vectors.

    Parameters
    ----------
    nu : float, default 0.5
        Above 0, up to 1.
    C : float, default 1.0
        Weight of the loss against the penalty; positive.
    kernel, degree, gamma, coef0, tol, shrinking, cache_size, max_iter, max_time, n_jobs, verbose, \
callback
        As those of `SVC`.

    Attributes
    ----------
    epsilon_ : float
    dual_coef_, support_, support_vectors_, n_support_, intercept_, coef_, primal_objective_, \
dual_objective_, duality_gap_, kkt_violation_, n_iter_, converged_, fit_status_, history_, \
cache_hit_rate_, gamma_, n_features_in_, shape_fit_, feature_names_in_
        As those of `SVR`.

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
    >>> import numpy as np
    >>> import hingex
    >>> X = np.linspace(0, 6, 50)[:, None]
    >>> model = hingex.NuSVR(C=100.0).fit(X, np.sin(X[:, 0]))
    >>> bool(abs(model.predict([[2.0]])[0] - np.sin(2.0)) < 0.02)
    True
    """

    def __init__(
        self,
        *,
        nu: float = 0.5,
        C: float = 1.0,
        kernel: Any = "rbf",
        degree: int = 3,
        gamma: Any = "scale",
        coef0: float = 0.0,
        shrinking: bool = True,
        tol: float = 1e-3,
        cache_size: float = 200.0,
        max_iter: int = -1,
        max_time: float | None = None,
        n_jobs: int | None = None,
        verbose: bool = False,
        callback: Callable[[Any], Any] | None = None,
    ) -> None:
        self.nu = nu
        self.C = C
        self.kernel = kernel
        self.degree = degree
        self.gamma = gamma
        self.coef0 = coef0
        self.shrinking = shrinking
        self.tol = tol
        self.cache_size = cache_size
        self.max_iter = max_iter
        self.max_time = max_time
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.callback = callback

    def _check_params(self) -> None:
        super()._check_params()
        check.share("nu", self.nu)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on (X, y); parameters, results and errors are those of `SVR.fit`."""
        nu = check.share("nu", self.nu)
        options = self._solver_options()
        monitor = self._monitor(options)
        training, ids, y, cost = self._prepare(X, y, sample_weight, options)
        none = np.zeros(len(ids))
        with np.errstate(over="ignore"):
            start = filled(cost, nu * float(cost.sum()) / 2)
        problem = smo.Problem(
            ids, np.concatenate([y, y]), np.concatenate([none, -cost]),
            np.concatenate([cost, none]), np.concatenate([start, -start]),
            np.repeat(np.array([0, 1], dtype=np.uint8), len(ids)),
        )
        solution, = training.solve([problem], options, monitor)
        above, below = solution.intercept
        if above < below:
            _close(solution, problem)
        self.epsilon_ = max(0.0, (above - below) / 2)
        self._finish(training, ids, solution, (above + below) / 2, options)
        return self


def _close(solution: smo.Solution, problem: smo.Problem) -> None:
    """Have the certificate be that of an epsilon of 0, in the place of a negative one.

    Both intercepts become their mean. That raises no objective: for e < 0, each
    max(0, r - e) + max(0, -r - e) is at least |r| - e, and nu is at most 1.
    """
    above, below = solution.intercept
    group, mean = np.asarray(problem.group), (above + below) / 2
    before = solution.residual
    after = before + (np.array([above, below]) - mean)[group]
    up, down = problem.hi - solution.b, problem.lo - solution.b

    def losses(x: np.ndarray) -> np.ndarray:
        return x * np.where(x > 0, up, down)

    change = float((losses(after) - losses(before)).sum())
    solution.gap = max(0.0, solution.gap + change)
    solution.residual, solution.intercept = after, (mean, mean)


def filled(most: np.ndarray, total: float) -> np.ndarray:
    """Numbers of 0 to `most` that sum up to `total`: the first ones as large as they can be."""
    with np.errstate(over="ignore", invalid="ignore"):  # too large a sum is refused by the solver
        before = np.cumsum(most) - most
        return np.clip(total - before, 0.0, most)
