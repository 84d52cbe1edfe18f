# SPDX-License-Identifier: BSD-3-Clause
"""Kernel machines with a share nu of errors: classification, and one class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from .. import _validate as check
from .._available import available
from .._result import warn
from ..solvers import smo
from . import _pairs
from ._base import KernelModel
from ._svc import PairwiseClassifier
from ._svr import filled

_LAST_BITS = 2.0**-44  # relative errors of scores


def _refuse_probability(model: NuSVC) -> None:
    """Raise AttributeError unless the model came from LIBSVM with probabilities."""
    if "probA_" not in vars(model):
        raise AttributeError("predict_proba of NuSVC is only available in models that LIBSVM "
                             "trained with probabilities (-b 1); SVC has probability=True")


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
        Above 0, up to 1; feasible up to twice the share of the smaller class of each pair. For
        pairs where it is more, a warning names the first, and the largest feasible nu less 0.1 %
        is taken. scikit-learn raises; one small class need not keep the others from a model.
    kernel, degree, gamma, coef0, shrinking, tol, cache_size, class_weight, max_iter, max_time, \
decision_function_shape, break_ties, n_jobs, random_state, verbose, callback
        As those of `SVC`.

    Attributes
    ----------
    classes_, support_, support_vectors_, n_support_, dual_coef_, support_kind_, intercept_, \
coef_, primal_objective_, dual_objective_, duality_gap_, kkt_violation_, n_iter_, converged_, \
fit_status_, history_, cache_hit_rate_, gamma_, n_features_in_, shape_fit_, feature_names_in_, \
probA_, probB_
        As those of `SVC`; the objective is -1/2 ||w||^2 before the division. For pairs of small
        classes that an early end left no time for, scores are 0, the gap is 1, and objectives and
        violation are NaN and inf.

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

        A warning names the first pair of classes that nu is too large for, and as much as possible
        is taken. Where it is so for the class weights only, as these leave a class too small a part
        of a pair, all rows of the class are at their bounds, and none of them wins.
        """
        owner = type(self).__name__
        nu = check.share("nu", self.nu)
        options = self._solver_options()
        self._shape()
        check.random_seed(self.random_state)
        monitor = self._monitor(options)
        training = self._training(X, options.tol, sample_weight)
        n = training.rows.n
        classes, codes = check.encode_labels(y, n, owner)
        weights = check.row_weights(1.0, self.class_weight, sample_weight, classes, codes, n)
        cost = np.ones(n) if weights is None else weights
        layout = _pairs.Layout(codes, cost > 0, len(classes), rest=False)
        given = check.sample_weights(sample_weight, n)
        given = np.ones(n) if given is None else given
        clip = self._warn_of_large_nu(nu, layout, cost, given, classes)
        question = _pairs.Question(cost, options, nu, counted=given if clip else None)
        outcome = _pairs.solve(layout, question, training, monitor)
        self._keep_duals(training, classes, outcome)
        self._keep_outcome(outcome)
        self._conclude_statuses(*self._ending_of(outcome), options)
        return self

    @staticmethod
    def _warn_of_large_nu(
        nu: float, layout: _pairs.Layout, cost: np.ndarray, counted: np.ndarray,
        classes: np.ndarray,
    ) -> bool:
        """Whether nu is too large for pairs of classes; a warning names the first of these.

        `counted` are the weights without those of classes: where nu is feasible for these, a
        warning of its own says so.
        """
        used = np.flatnonzero(cost > 0)
        weight, share = (np.bincount(layout.codes[used], w[used], minlength=layout.K)
                         for w in (cost, counted))
        pairs: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
        for i in range(layout.K - 1):
            both, least = weight[i] + weight[i + 1:], np.minimum(weight[i], weight[i + 1:])
            small = (least > 0) & (least < nu / 2 * both * (1 - 1e-12))
            for j in (i + 1 + np.flatnonzero(small)).tolist():
                light, heavy = (i, j) if weight[i] <= weight[j] else (j, i)
                pairs[_pairs.infeasible(nu, share[i], share[j])].append((light, heavy))
        for by_rows, found in pairs.items():
            if not found:
                continue
            light, heavy = found[0]
            a, b = check._show(classes[light]), check._show(classes[heavy])
            part = weight[light] / (weight[light] + weight[heavy])
            others = f" (and for {len(found) - 1} more of the pairs)" if found[1:] else ""
            if by_rows:
                warn(f"specified nu is infeasible: {nu:g} is more than twice the share of class "
                     f"{a} against class {b}, which is {part:.3g}{others}; nearly twice the share "
                     "is taken")
            else:
                warn(f"class_weight leaves class {a} {part:.3g} of the weight of it and class {b}, "
                     f"so that for these two nu={nu:g} is taken as twice that{others}: all rows of "
                     f"class {a} are support vectors")
        return any(pairs.values())

    @available(_refuse_probability)
    def predict_proba(self, X: Any) -> np.ndarray:
        """LIBSVM's probabilities (n, K), only of models that came with them: see `SVC.probA_`."""
        self._check_fitted()
        return self._libsvm_proba(X)


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
    prob_density_marks_ : ndarray
        In models of LIBSVM's only that have them: scores between which it has other probabilities.
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
        nu = check.share("nu", self.nu)
        options = self._solver_options()
        monitor = self._monitor(options)
        training = self._training(X, options.tol, sample_weight, sum_zero=False)
        weights = check.sample_weights(sample_weight, training.rows.n)
        cost = np.ones(training.rows.n) if weights is None else weights
        ids = np.flatnonzero(cost > 0)
        most, none = cost[ids], np.zeros(len(ids))
        with np.errstate(over="ignore"):
            start = filled(most, nu * float(most.sum()))
        problem = smo.Problem(ids, none, none, most, start)
        solution, = training.solve([problem], options, monitor)
        nonzero = np.flatnonzero(solution.b)
        self.dual_coef_ = solution.b[None, nonzero]
        self.n_support_ = np.array([len(nonzero)], dtype=np.int32)
        self.offset_ = _below(-solution.intercept[0], solution.violation)
        self.intercept_ = np.array([-self.offset_])
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


def _below(rho: float, violation: float) -> float:
    """rho, less what rounding may take off the scores of rows on the margin, which are inside.

    Without it the labels of these rows would be those of rounding errors, where a fit is so
    accurate that nothing else is left.
    """
    rounding = _LAST_BITS * abs(rho)
    return rho - violation - rounding if violation <= 2**8 * rounding else rho
