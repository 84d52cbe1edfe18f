# SPDX-License-Identifier: BSD-3-Clause
"""Kernel support vector classification with C."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any, NamedTuple, Self

import numpy as np

from .. import _validate as check
from .. import kernels as kernel_functions
from .._available import available
from .._estimator import Classifier, unfitted
from .._result import warn, warning_category
from .._targets import absent_of, deal_folds, keep_absent
from .._threads import n_threads
from ..solvers import smo
from . import _pairs, _probability, _units
from ._base import SCORES_AT_ONCE, WEIGHTS, KernelModel, Training


class Ending(NamedTuple):
    """How the fit of the scores ended, which the fits for probabilities go on from.

    Attributes
    ----------
    training : Training
    codes : ndarray (n,)
        Classes of rows.
    seed : int
    options : smo.Options
    asked : bool
        Whether the callback asked to stop, even where the fit had just converged.
    statuses : list of str
        Of the problems; empty where all converged.
    gap, violation : float
        The largest of the problems that did not converge.
    """

    training: Training
    codes: np.ndarray
    seed: int
    options: smo.Options
    asked: bool
    statuses: list[str]
    gap: float
    violation: float

    @property
    def stopped(self) -> str:
        """Why no fit is to follow, "callback" or "max_time"; or ""."""
        if self.asked:
            return "callback"
        return "max_time" if "max_time" in self.statuses else ""


_EXPONENTIAL = ("rbf", "laplacian", "chi2")  # kernels with values of 0..1, and 1 on the diagonal


class PairwiseClassifier(KernelModel, Classifier):
    """Base of classifiers with a problem for each pair of classes, or for each against the rest."""

    C: float
    class_weight: Any
    decision_function_shape: str
    break_ties: bool
    libsvm_order_: Any
    multi_class = "ovo"

    def _check_params(self) -> None:
        super()._check_params()
        self._shape()
        check.class_weight_form(self.class_weight)

    def _shape(self) -> tuple[str, bool]:
        """Parameters of the scores, checked."""
        shape = check.choice("decision_function_shape", self.decision_function_shape,
                             ("ovr", "ovo"))
        ties = check.boolean("break_ties", self.break_ties)
        if ties and shape == "ovo":
            raise ValueError("break_ties must be False when decision_function_shape is 'ovo'")
        return shape, ties

    def _count(self, K: int) -> int:
        """Problems of K classes."""
        return _pairs.count_of(K, self.multi_class == "ovr")

    def _outputs(self, K: int) -> np.ndarray:
        """The problem that row r of dual_coef_ belongs to, for support vectors of each class."""
        if K == 2:
            return np.zeros((2, 1), dtype=np.int64)
        if self.multi_class == "ovr":
            return np.tile(np.arange(K), (K, 1))
        c, r = np.arange(K)[:, None], np.arange(K - 1)[None, :]
        first, second = np.minimum(c, r), np.maximum(c, r + 1)
        return first * (2 * K - first - 1) // 2 + second - first - 1

    def _keep_duals(
        self, training: Training, classes: np.ndarray, outcome: _pairs.Outcome
    ) -> None:
        """Set classes_, the support and dual_coef_ in LIBSVM's order: by class, then by row.

        The outcome's duals are lost.
        """
        layout, coef, kind = outcome.layout, outcome.dual, outcome.kind
        support = np.flatnonzero(coef.any(axis=0))
        if len(support) < len(layout.order):
            coef, kind = _columns(coef, support), _columns(kind, support)
        self.classes_ = classes
        self.dual_coef_, self.support_kind_ = coef, kind
        self.n_support_ = np.diff(np.searchsorted(support, layout.start)).astype(np.int32)
        self._keep_kernel(training, layout.order[support])

    def _keep_outcome(self, outcome: _pairs.Outcome) -> None:
        """Set what tells how far the solvers came."""
        self.intercept_ = outcome.intercept
        self.duality_gap_, self.kkt_violation_ = outcome.relative, outcome.violation
        self.dual_objective_, self.n_iter_ = outcome.objective, outcome.n_iter
        self.primal_objective_ = outcome.objective + outcome.gap
        for name in WEIGHTS:
            vars(self).pop(name, None)
        if outcome.weights is not None:
            self._keep_weights(outcome.weights, outcome.centre)
        self.cache_hit_rate_, self.history_ = outcome.hit_rate, outcome.history
        self.converged_ = len(outcome.left) == 0
        self.fit_status_ = int(not self.converged_)

    @staticmethod
    def _ending_of(outcome: _pairs.Outcome) -> tuple[list[str], float, float]:
        """Statuses (none where all converged), and the largest gap and violation that are left."""
        left = outcome.left
        if not len(left):
            return [], 0.0, 0.0
        return ([_pairs.STATUSES[s] for s in outcome.status], float(outcome.relative[left].max()),
                float(outcome.violation[left].max()))

    def _layout(self) -> tuple[int, np.ndarray, np.ndarray, int]:
        classes = np.asarray(self.classes_)
        try:
            ascending = classes.ndim == 1 and bool((classes[1:] > classes[:-1]).all())
        except TypeError:  # no order among them
            ascending = False
        if not ascending or len(classes) < 2:
            raise ValueError("classes_ must be at least 2 distinct labels in ascending order")
        K = len(classes)
        # Before a table of K^2 is made: the intercepts show that there are so many problems.
        if K > 2:
            count = K if self.multi_class == "ovr" else K * (K - 1) // 2
            check.finite_table("intercept_", self.intercept_, (count,), type(self).__name__)
        if "landmarks_" in vars(self):
            P, r = self._count(K), len(np.atleast_1d(self.support_))
            if not np.array_equal(self.n_support_, [r]):
                raise ValueError(f"n_support_ of this {type(self).__name__} must be [{r}], its "
                                 f"landmarks; got {self.n_support_!r}")
            return P, np.array([0, r]), np.arange(P)[None, :], P
        outputs = self._outputs(K)
        return outputs.shape[1], self._starts(K), outputs, self._count(K)

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores of the classes, or of the pairs of classes.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
            With kernel="precomputed", the kernel of n rows with all rows of `fit`.

        Returns
        -------
        ndarray of float64
            (n,) for two classes: positive means ``classes_[1]``. Otherwise, with
            decision_function_shape="ovr", (n, K): votes, and less than half a vote by sums of
            scores, as scikit-learn's; with "ovo" (n, K (K - 1) / 2): the scores of the pairs,
            positive for the first class. With multi_class="ovr" (n, K), the scores of the
            problems.

        Raises
        ------
        ValueError, TypeError
            For X that is not like that of `fit`, or not finite; for fitted arrays that were
            changed and do not fit each other any more.

        Notes
        -----
        O(n n_SV d), in double precision and threads.
        """
        n, block = self._scorer(X)
        K, shape = len(self.classes_), self._shape()[0]
        if K == 2:
            return block(0, n)[:, 0]
        if self.multi_class == "ovr" or shape == "ovo":
            return block(0, n)
        out = np.empty((n, K))
        for a, b in _parts(n, K * K):
            if self._reads(K):
                out[a:b] = block(a, b, "sums")
            else:
                out[a:b] = _votes_and_sums(block(a, b), K)
        return out

    def _reads(self, K: int) -> bool:
        """Whether scores of pairs go into votes one after another, and are not kept.

        That takes memory for the kernel values of 64 rows with all support vectors, the other way
        for their scores of all pairs.
        """
        return (self.multi_class == "ovo" and K > 2 and "landmarks_" not in vars(self)
                and "primal_coef_" not in vars(self)
                and self._count(K) > len(np.atleast_1d(self.support_)))

    def predict(self, X: Any) -> np.ndarray:
        """Predicted labels: the class of most votes, the first of several.

        Of two classes that of the score's sign; with break_ties=True or multi_class="ovr" that
        of the highest score.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)

        Returns
        -------
        ndarray, shape (n,), of the dtype of `classes_`

        Raises
        ------
        ValueError, TypeError
            As `decision_function`.
        """
        codes = [found for _, found in self._predicted(X, "votes")]
        return np.asarray(self.classes_)[np.concatenate(codes)]

    def _predicted(
        self, X: Any, what: str = "", **given: Any
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Scores of the problems and predicted classes, some rows at a time.

        In the place of scores another reading of them, see `_scorer`, where `_reads`.
        """
        ties = self._shape()[1]
        n, block = self._scorer(X)
        K = len(self.classes_)
        for a, b in _parts(n, K * K):
            if what and self._reads(K):
                votes = block(a, b, "sums" if ties else "votes")
                yield votes if what == "votes" else block(a, b, what, **given), votes.argmax(axis=1)
                continue
            scores = block(a, b)
            if K == 2:
                yield scores, (scores[:, 0] > 0).astype(np.int64)
            elif self.multi_class == "ovr":
                yield scores, scores.argmax(axis=1)
            else:
                votes = _votes_and_sums(scores, K) if ties else _votes(scores > 0, K)
                yield scores, votes.argmax(axis=1)

    def _libsvm_proba(self, X: Any) -> np.ndarray:
        """LIBSVM's probabilities, of a model that came with them."""
        n, block = self._scorer(X)
        K, parts = len(self.classes_), []
        self._check_libsvm(self._count(K))
        A, B = np.asarray(self.probA_), np.asarray(self.probB_)
        for a, b in _parts(n, K * K):
            p = _probability.libsvm_sigmoids(block(a, b), A, B)
            parts.append(np.hstack([1 - p, p]) if K == 2 else
                         _probability.libsvm_coupled(p, K, np.asarray(self.libsvm_order_)))
        return np.concatenate(parts)

    def _check_libsvm(self, problems: int) -> None:
        super()._check_libsvm(problems)
        kept = {"probA_", "probB_", "libsvm_order_"} & vars(self).keys()
        if not kept:
            return
        if len(kept) < 3:
            raise ValueError(f"{' and '.join(sorted(kept))} of this {type(self).__name__} need the "
                             "others of probA_, probB_ and libsvm_order_")
        order = np.asarray(self.libsvm_order_)
        if order.dtype.kind not in "iu" or not np.array_equal(np.sort(order),
                                                              np.arange(len(self.classes_))):
            raise ValueError(f"libsvm_order_ of this {type(self).__name__} must hold each of 0 to "
                             f"{len(self.classes_) - 1} once")

    def _weights(self) -> Any:
        if "landmarks_" in vars(self):
            return super()._weights()
        K = len(self.classes_)
        outputs, starts = self._outputs(K), np.concatenate([[0], np.cumsum(self.n_support_)])
        out = np.zeros((self._count(K), self.n_features_in_))
        for c in range(K):
            part = slice(starts[c], starts[c + 1])
            for r, o in enumerate(outputs[c]):
                out[o] += self.dual_coef_[r, part] @ self.support_vectors_[part]
        return out

    def _problem_duals(self) -> Any:
        if "landmarks_" in vars(self):
            return super()._problem_duals()
        from scipy.sparse import coo_array

        K, n = len(self.classes_), len(self.support_)
        outputs, owner = self._outputs(K), np.repeat(np.arange(K), self.n_support_)
        problem = outputs[owner].T  # of each entry of dual_coef_
        column = np.broadcast_to(np.arange(n), problem.shape)
        at = np.flatnonzero(self.dual_coef_)
        return coo_array((self.dual_coef_.ravel()[at], (problem.ravel()[at], column.ravel()[at])),
                         (self._count(K), n)).tocsr()  # fmt: skip


def two_sided(examples: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """bool (problems,): whether a problem has rows of both sides."""
    return np.array([bool((sign > 0).any() and (sign < 0).any()) for _, sign in examples])


def _columns(table: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Some columns; where they are most, in the table's own memory, which is lost."""
    rows, count = len(table), len(chosen)
    if count < 0.8 * table.shape[1]:
        return table[:, chosen]
    out = table.reshape(-1)[:rows * count].reshape(rows, count)
    for r in range(rows):  # none comes before what it is taken from
        out[r] = table[r, chosen]
    return out


def _parts(n: int, per_row: int) -> list[tuple[int, int]]:
    step = max(64, SCORES_AT_ONCE // per_row // 64 * 64)
    return [(a, min(a + step, n)) for a in range(0, n, step)]


def _square(pairs: np.ndarray, K: int) -> np.ndarray:
    """Values of the pairs (i, j), i < j, at [:, i, j]."""
    out = np.zeros((len(pairs), K, K), dtype=pairs.dtype)
    i, j = np.triu_indices(K, 1)
    out[:, i, j] = pairs
    return out


def _votes(first: np.ndarray, K: int) -> np.ndarray:
    """Votes of each class, from whether the first of each pair wins."""
    return _square(first, K).sum(axis=2) + _square(~first, K).sum(axis=1)


def _votes_and_sums(scores: np.ndarray, K: int) -> np.ndarray:
    """Votes, and sums of scores squeezed to less than a third of a vote each way."""
    square = _square(scores, K)
    sums = square.sum(axis=2) - square.sum(axis=1)
    return _votes(scores >= 0, K) + sums / (3 * (np.abs(sums) + 1))


_WITHOUT = ("this {} has no probabilities: its fit was without probability=True, or it ended (by "
            "Ctrl-C, max_time or a callback) before they were reached: call fit again, with more "
            "time if need be")
_PROBABILITY = ("probability_slopes_", "probability_temperature_")


def _refuse_probability(model: SVC) -> None:
    """Raise AttributeError unless the model has probabilities, or would have them after `fit`."""
    if not model.probability:
        raise AttributeError("predict_proba and predict_log_proba are only available with "
                             "probability=True, set before fit")
    kept = vars(model).keys()
    if "classes_" in kept and not kept & {*_PROBABILITY, "probA_"}:
        raise warning_category("NotFittedError")(_WITHOUT.format(type(model).__name__))


class SVC(PairwiseClassifier):
    r"""Kernel support vector machine with a certified duality gap.

    Solves for each pair of classes (or each class against the rest), with :math:`y_i = \pm 1`,

    .. math:: \min_{w, b} \tfrac12 \|w\|^2 + \sum_i C_i \max(0, 1 - y_i (w \cdot \phi(x_i) + b)),
              \qquad C_i = C \cdot \mathrm{class\_weight}_i \cdot \mathrm{sample\_weight}_i

    where :math:`\phi(x) \cdot \phi(z)` is the kernel, until both the violation of the optimality
    conditions, as LIBSVM has it, and the relative duality gap :math:`(P - D) / P`, over all rows,
    are at most `tol`.

    Parameters
    ----------
    C : float, default 1.0
        Weight of the loss against the penalty; positive. inf is the hard margin.
    kernel : str or callable, default "rbf"
        "linear", "poly", "rbf", "sigmoid", "laplacian" or "chi2", see `hingex.kernels`;
        "precomputed": X is the kernel's matrix, n x n, dense; or a function of two tables of rows
        that returns their kernel, see `hingex.kernels.RowKernel`. It gets X as it is, which may be
        a list of strings, graphs or other objects then.
    degree : int, default 3
        Of "poly".
    gamma : {"scale", "auto"} or float, default "scale"
        Of all but "linear": "scale" is 1 / (d var(X)), with the sample weights, "auto" 1 / d.
    coef0 : float, default 0.0
        Of "poly" and "sigmoid".
    shrinking : bool, default True
        Leave rows out of the rounds that are likely to stay at their bounds. The result is the
        same to within `tol`.
    tol : float, default 1e-3
        Violation, and relative duality gap, to reach in every problem.
    cache_size : float, default 200.0
        MiB for kernel rows, of all problems together. Only kernels that are slower to compute
        than to read are kept; 0 keeps none.
    class_weight : dict, "balanced" or None, default None
        Factor of C for the rows of a class; "balanced" is n / (K * rows of the class).
    max_iter : int, default -1
        Steps of a problem, each of which moves two duals (in small problems now and then all that
        are between their bounds); -1 for no limit.
    max_time : float or None, default None
        Seconds after which to stop.
    decision_function_shape : {"ovr", "ovo"}, default "ovr"
        Of `decision_function`, with more than two classes.
    break_ties : bool, default False
        Predict the class of the highest `decision_function` rather than the first of those with
        most votes.
    multi_class : {"ovo", "ovr"}, default "ovo"
        A problem for each pair of classes, or for each class against the rest.
    n_jobs : int or None, default None
        Threads; None means the CPUs available to this process, -1 all. Results do not depend on
        it.
    random_state : int, Generator, RandomState or None, default None
        How rows are dealt out to folds, class by class, with `probability`, and which rows are
        landmarks. None means 0. The solver makes no random choices.
    warm_start : bool, default False
        Start from the duals of the last fit, which must have had the same rows and classes.
    probability : bool, default False
        Fit five more models, each without a fifth of the rows, for `predict_proba`. They are part
        of the fit that `max_time` and `callback` may end: then there are no probabilities, which a
        warning says.
    approximation : {"nystroem"} or None, default None
        For large n: a kernel of low rank, through `n_components` rows as landmarks, and the linear
        solvers on it; certificates are of the problem with that kernel. See the notes.
    n_components : int, default 500
        Landmarks, with `approximation`; no more than rows are taken.
    landmarks : {"pivoted", "uniform"}, default "pivoted"
        Rows drawn as far as the others before them leave their kernel to be approximated (randomly
        pivoted Cholesky decomposition), or all alike.
    verbose : bool, default False
        Show a progress bar with rounds, gap and time left.
    callback : callable or None, default None
        Called with a `hingex.stop.State` after every round, or with several problems after each;
        a true result stops the fit. With `probability` each of the five more fits counts its rounds
        anew.

    Attributes
    ----------
    classes_ : ndarray (K,)
    absent_ : ndarray of int
        Where some classes have no row of positive weight: their places in `classes_`.
    support_ : ndarray (n_SV,) of int
        Rows that are support vectors of any problem, by class and then ascending.
    support_vectors_ : ndarray or CSR matrix, shape (n_SV, d)
        Those rows; with kernel="precomputed" (0, 0). With a kernel of the user's, the rows as X has
        them: a list's are a list.
    n_support_ : ndarray (K,) of int32
        Support vectors of each class.
    dual_coef_ : ndarray (1, n_SV) or (K - 1, n_SV)
        y_i alpha_i. With more than two classes, row r of a support vector of class c is that of the
        pair with the r-th of the other classes, in which the first class is at +1; with
        multi_class="ovr" (K, n_SV), a row for each problem.
    support_kind_ : ndarray of int8, shape of `dual_coef_`
        0 where the row is no support vector of the problem, 1 on the margin (0 < alpha < C_i), 2 at
        the bound.
    intercept_ : ndarray (1,) or (K (K - 1) / 2,) or (K,)
        Of each problem.
    coef_ : ndarray (problems, d)
        With kernel="linear" only. A csr_array for sparse X with many features; see there.
    primal_objective_, dual_objective_ : ndarray (problems,)
        P = 1/2 ||w||^2 + sum_i C_i max(0, 1 - y_i f_i) of the scores f that `decision_function`
        gives for the rows of `fit`; D = sum(alpha) - 1/2 ||w||^2. NaN after an interrupt that left
        no time to find them.
    duality_gap_, kkt_violation_ : ndarray (problems,)
        (P - D) / P; largest f_i - f_j of the optimality conditions.
    primal_coef_, primal_centre_, primal_intercept_ : ndarray (problems, d), (d,), (problems,)
        With kernel="linear", where scores from duals would lose too many digits: these come from
        (x - primal_centre_) . primal_coef_ + primal_intercept_ instead. So it is where a column's
        mean is more than 8 times its standard deviation, and where C times the squared features
        is very large.
    margin_width_ : ndarray (problems,)
        2 / ||w||.
    loo_error_bound_ : ndarray (problems,)
        Bound on the leave-one-out error: the share of rows with 2 alpha_i R^2 + xi_i >= 1, or that
        are support vectors if these are fewer, if none of them is on the margin, or with a kernel
        of the user's.
    n_iter_ : ndarray (problems,) of int64
        Steps.
    converged_ : bool
    fit_status_ : int
        0 if so, else 1.
    history_ : structured ndarray
        With a single problem an entry per round: epoch, seconds, primal, dual, gap, active,
        certified; empty with several.
    cache_hit_rate_ : ndarray (problems,)
        Share of the kernel rows asked for that were there.
    gamma_ : float
        The number that gamma stands for; 0 where it is not used.
    probability_slopes_ : ndarray (problems, 2)
        With `probability`: of the sigmoids, for scores up to 0 and above.
    probability_temperature_ : float
        In its place with multi_class="ovr" and more than two classes: the factor of the scores.
    probA_, probB_ : ndarray (problems,)
        In models of `hingex.model_io.load_libsvm` only, if these came with LIBSVM's probabilities:
        1 / (1 + exp(A f + B)) for the positive class of each problem with the score f, coupled as
        LIBSVM does, its classes in the order `libsvm_order_`. Another class than that of `predict`
        may have the highest one.
    landmarks_ : ndarray (r,)
        With `approximation`: row numbers, the same as `support_` then is. `support_vectors_` are
        these rows, `dual_coef_` (problems, r) their coefficients, `n_support_` (1,) is r, and there
        are no attributes of duals and margins.
    approximation_error_ : float
        Trace of the kernel's matrix less its approximation, relative to the trace of the former.
    n_features_in_, shape_fit_, feature_names_in_
        Of X; `n_features_in_` of tables of numbers only.

    Warns
    -----
    ConvergenceWarning
        When a fit ends before `tol`, with the gap it reached.

    Notes
    -----
    Float32 and float64 data, dense in any memory order or CSR, are used where they lie. Kernel
    values are float32, from sums in single precision where that is enough; gradients, duals and
    all predictions are double. Where rounding could hide a share of the gap, kernel values are
    double too; what double precision cannot certify ends with a warning, and the stated gap then
    includes what rounding may hide. Bounds beyond 1e140 times the size of duals are lowered; if a
    dual then is at its bound, the fit ends with an error. Where pairs of duals come on too slowly,
    an interior point method takes over, for up to 3,000 rows or, with kernel="linear", up to 3,000
    features. Pairs of classes of up to 100 rows are solved together, with kernel values in double
    precision and without memory for each. Time: two to ten times n n_SV kernel values. Memory: some
    100 bytes for each row, up to 40 MB for a working set, and the cache; in double precision three
    times as much for a working set. Ctrl-C ends a fit after a round and leaves the model as far as
    it came. With `approximation` memory is 12 n r bytes for r landmarks, and the time n r kernel
    values, O(n r^2), and linear fits. With "sigmoid", or a kernel of the user's, that is not
    positive semidefinite the result is a stationary point.

    References
    ----------
    Fan, Chen, Lin, "Working set selection using second order information for training support
    vector machines", JMLR 6, 2005. Joachims, "Estimating the generalization performance of an SVM
    efficiently", ICML 2000 (the bound).

    Examples
    --------
    >>> import hingex
    >>> X, y = [[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]], ["same", "same", "not", "not"]
    >>> model = hingex.SVC(C=10.0, gamma=1.0).fit(X, y)
    >>> model.predict([[0.1, 0.9], [0.8, 0.9]])
    array(['not', 'same'], dtype='<U4')
    """

    def __init__(
        self,
        C: float = 1.0,
        *,
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
        multi_class: str = "ovo",
        n_jobs: int | None = None,
        random_state: Any = None,
        warm_start: bool = False,
        probability: bool = False,
        approximation: str | None = None,
        n_components: int = 500,
        landmarks: str = "pivoted",
        verbose: bool = False,
        callback: Callable[[Any], Any] | None = None,
    ) -> None:
        self.C = C
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
        self.multi_class = multi_class
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.warm_start = warm_start
        self.probability = probability
        self.approximation = approximation
        self.n_components = n_components
        self.landmarks = landmarks
        self.verbose = verbose
        self.callback = callback

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on (X, y).

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
            With kernel="precomputed", the kernel of all rows with each other, (n, n).
        y : array-like, shape (n,)
            Labels: at least two distinct strings, integers, booleans or integral floats.
        sample_weight : float or array-like, shape (n,), optional
            Non-negative; a weight of 0 is as good as leaving the row out, one of 2 as good as two
            such rows, to within `tol`. So they count in the variance of gamma="scale", where class
            weights do not: these are costs, and leave the data what they are. Draws know no
            weights: two rows may be in different folds of `probability`, a row of weight 2 is in
            one, and a landmark is likelier to be drawn if its row is there twice. A class of rows
            of weight 0 stays in `classes_`: the other class wins each pair with a score of 1, it
            is never predicted, and its probability is 0; see `absent_`. With multi_class="ovr" its
            score is the mean of the others' less 1. At least two classes must have a row of
            positive weight.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For parameters or data out of range; the message names what, where, and the fix.
        NotSeparableError
            A ValueError: with C = inf, when no plane in the kernel's space separates the classes.
        KeyboardInterrupt
            After Ctrl-C; the fitted attributes hold what was reached.
        """
        begun = perf_counter()
        probability = check.boolean("probability", self.probability)
        ending = self._fit_scores(X, y, sample_weight, begun)
        self._conclude_statuses(ending.statuses, ending.gap, ending.violation, ending.options)
        if probability:
            why = ending.stopped or self._fit_probability(ending, sample_weight, begun)
            if why:
                warn(f"{type(self).__name__} has no probabilities: it stopped {self._why(why)}, "
                     "before the five fits that these need were done, and predict_proba raises. "
                     "Raise max_time, or set probability=False.", "ConvergenceWarning")
        return self

    def _fit_scores(self, X: Any, y: Any, sample_weight: Any, begun: float) -> Ending:
        """`fit` without probabilities, warnings and KeyboardInterrupt; `begun` is when it began."""
        owner = type(self).__name__
        C = check.positive_float("C", self.C, allow_inf=True)
        options = self._solver_options()
        check.choice("multi_class", self.multi_class, ("ovo", "ovr"))
        self._shape()
        seed = check.random_seed(self.random_state)
        warm = check.boolean("warm_start", self.warm_start)
        rank = self._rank(C, warm)
        monitor = self._monitor(options)
        training = self._training(X, options.tol, sample_weight)
        n = training.rows.n
        classes, codes = check.encode_labels(y, n, owner)
        hard = math.isinf(C)
        weights = check.row_weights(1.0 if hard else C, self.class_weight, sample_weight, classes,
                                    codes, n)  # fmt: skip
        cost = np.full(n, 1.0 if hard else C) if weights is None else weights
        used = cost > 0
        if hard:
            cost = np.full(n, math.inf)
        layout = _pairs.Layout(codes, used, len(classes), self.multi_class == "ovr")
        keep_absent(self, codes, weights, len(classes))
        if self.approximation is not None:
            left = self._fit_low_rank(training, layout, classes, cost, rank, seed, options,
                                      monitor, begun)
            return Ending(training, codes, seed, options, monitor.asked, *left)
        for name in ("landmarks_", "approximation_error_"):
            vars(self).pop(name, None)
        last = self._warm_duals(n, classes, layout.sets) if warm else None
        question = _pairs.Question(cost, options._replace(hard=hard, rows=n), 0.0,
                                   self._radius(training), last)
        outcome = _pairs.solve(layout, question, training, monitor)
        self._last_duals: np.ndarray | None = outcome.all_duals if warm else None
        for name in _PROBABILITY:  # of another fit
            vars(self).pop(name, None)
        self._keep_duals(training, classes, outcome)
        self._keep_outcome(outcome)
        with np.errstate(divide="ignore"):
            self.margin_width_ = 2 / np.sqrt(np.maximum(0, outcome.square))  # or indefinite
        self.loo_error_bound_ = outcome.bound
        return Ending(training, codes, seed, options, monitor.asked, *self._ending_of(outcome))

    def _keep_losers(self, real: np.ndarray) -> None:
        """Scores of classes without weight that never win, where there is a problem for each."""
        if self.multi_class == "ovr" and len(real) > 1 and not real.all():
            self.dual_coef_[~real] = self.dual_coef_[real].mean(axis=0)
            self.intercept_[~real] = self.intercept_[real].mean() - 1

    def _check_params(self) -> None:
        super()._check_params()
        C = check.positive_float("C", self.C, allow_inf=True)
        check.choice("multi_class", self.multi_class, ("ovo", "ovr"))
        check.random_seed(self.random_state)
        check.boolean("probability", self.probability)
        self._rank(C, check.boolean("warm_start", self.warm_start))

    def _rank(self, C: float, warm: bool) -> int:
        """Parameters of the approximation, checked; landmarks to take at most."""
        rank = check.integer("n_components", self.n_components)
        check.choice("landmarks", self.landmarks, ("pivoted", "uniform"))
        if self.approximation is None:
            return rank
        check.choice("approximation", self.approximation, ("nystroem",))
        if math.isinf(C) or warm:
            raise ValueError("approximation='nystroem' is for a finite C and warm_start=False; got "
                             f"C={C!r}, warm_start={warm!r}")
        return rank

    def _fit_low_rank(
        self, training: Training, layout: _pairs.Layout, classes: np.ndarray, cost: np.ndarray,
        rank: int, seed: int, options: smo.Options, monitor: Any, begun: float,
    ) -> tuple[list[str], float, float]:
        """Fit with a kernel of low rank; statuses, gap and violation."""
        from . import _nystroem

        used = np.flatnonzero(cost > 0)  # others are not looked at: Z has no rows for them
        n = len(used)
        examples = [(np.searchsorted(used, ids), sign) for ids, sign in layout.examples()]
        deadline = math.inf if options.max_time is None else begun + options.max_time
        candidates = np.arange(n)
        if self.landmarks == "uniform" and rank < n:
            candidates = np.random.default_rng(seed).choice(candidates, rank, replace=False)
        source = training.given() if training.kernel is None else None
        block = _nystroem.blocks(training, source, options.threads)
        while True:
            try:
                factor = _nystroem.factor(lambda i, j: block(used[i], used[j]), n,
                                          min(rank, len(candidates)), candidates, seed, deadline)
                break
            except _units.Rescale:
                assert source is not None
                source.rescale()
        landmarks = used[factor.landmarks]
        if len(factor.landmarks) == 0:
            raise ValueError("the kernel of all rows with themselves is 0: there is nothing to "
                             "learn from")
        most = 1000 if math.isinf(options.max_iter) else int(options.max_iter)
        costs, unit = _units.scaled_costs(cost[used], source)
        solved = _nystroem.solve(
            np.ascontiguousarray(factor.Z, dtype=np.float32), examples, costs,
            {"tol": options.tol, "max_iter": most, "threads": options.threads, "seed": seed},
            monitor, deadline,
        )  # fmt: skip
        for name in ("support_kind_", "margin_width_", "loo_error_bound_", "kkt_violation_",
                     "cache_hit_rate_", *_PROBABILITY, *WEIGHTS):
            vars(self).pop(name, None)
        self.classes_ = classes
        self.landmarks_, self.approximation_error_ = landmarks, factor.error
        self.dual_coef_ = np.ldexp(np.ascontiguousarray(solved.weights @ factor.A.T), -unit)
        self.intercept_, self.dual_objective_ = solved.intercept, np.ldexp(solved.dual, -unit)
        self.primal_objective_ = np.ldexp(solved.primal, -unit)
        self._keep_losers(two_sided(examples))
        self.duality_gap_, self.n_iter_ = solved.gap, solved.n_iter
        self.converged_, self.fit_status_ = solved.converged, int(not solved.converged)
        self.history_ = smo.history_of([])
        self.n_support_ = np.array([len(factor.landmarks)], dtype=np.int32)
        self._keep_kernel(training, landmarks)
        if training.points is not None and training.points.shifted:
            self._shift_low_rank(training, landmarks)
        self._last_duals = None
        return solved.statuses, float(solved.gap.max()), math.nan

    def _shift_low_rank(self, training: Training, landmarks: np.ndarray) -> None:
        """Weights and intercepts for rows as they are, of a fit with rows less the means."""
        exact = training.exact(True)
        self._keep_weights(self.dual_coef_ @ exact.features(landmarks), np.asarray(exact.centre))

    def _fit_probability(self, ending: Ending, sample_weight: Any, begun: float) -> str:
        """Set what makes probabilities of scores, from scores of rows that were held out.

        Returns "max_time" or "callback" if that came before the end; then nothing is set.
        """
        training, codes = ending.training, ending.codes
        given = check.sample_weights(sample_weight, len(codes))
        weights = np.ones(len(codes)) if given is None else given
        K, folds = len(self.classes_), _probability.FOLDS
        used = weights > 0
        counts = np.bincount(codes[used], minlength=K)
        present = np.flatnonzero(counts)
        if counts[present].min() < 2:
            rare = check._show(self.classes_[present][counts[present].argmin()])
            raise ValueError("probability=True needs 2 rows (of positive weight) of each class, as "
                             f"models are fitted without a fifth of them; class {rare} has 1")
        fold = deal_folds(codes, used, K, folds, ending.seed)
        table = training.rows.arrays[0] if training.table is None else training.table
        P, soft = len(present), K > 2 and self.multi_class == "ovr"
        of = np.searchsorted(present, codes).astype(np.int64)
        scores = np.zeros((len(codes), P if soft or P == 2 else P - 1))
        held = np.flatnonzero(used & (fold >= 0))
        for k in range(folds):
            train, test = np.flatnonzero((fold != k) & used), np.flatnonzero(used & (fold == k))
            if len(test) == 0:
                continue
            X, Z = check.take(table, train), check.take(table, test)
            if training.table is None:
                X, Z = X[:, train], Z[:, train]
            began, left = perf_counter(), ending.options.max_time
            if left is not None:
                left -= began - begun
                if left <= 0:
                    return "max_time"
            model: Any = unfitted(self).set_params(probability=False, warm_start=False,
                                                   verbose=False, max_time=left)
            came = model._fit_scores(X, self.classes_[codes[train]], weights[train], began)
            if came.stopped and "interrupted" not in came.statuses:
                return came.stopped  # scores of such a model tell nothing of those of the whole one
            model._conclude_statuses(came.statuses, came.gap, came.violation, came.options)
            model._held_out(Z, of[test], scores, test)
            del model, X, Z  # before the next one takes as much
        if soft:
            if P == 2:  # one score, of the second class
                scores = scores[:, :1] * [-1.0, 1.0]
            self.probability_temperature_ = _probability.fit_temperature(
                scores[held], of[held], weights[held])
            return ""
        by_class = held[np.argsort(of[held], kind="stable")]
        slopes = _probability.fit_all_slopes(
            scores, by_class, np.bincount(of[held], minlength=P), weights, n_threads(self.n_jobs))
        if P < K:
            if P == 2:  # of more classes the first of a pair has scores above 0
                slopes = slopes[:, ::-1]
            slopes, few = np.full((self._count(K), 2), _probability.CERTAIN), slopes
            i, j = np.triu_indices(P, 1)
            slopes[_pairs.number_of(present[i], present[j], K)] = few
        self.probability_slopes_ = slopes
        return ""

    def _held_out(self, Z: Any, of: np.ndarray, out: np.ndarray, at: np.ndarray) -> None:
        """Put scores of rows of these classes into out[at]: all, or those of their pairs."""
        n, block = self._scorer(Z)
        K = len(self.classes_)
        for a, b in _parts(n, K * K):
            if K > 2 and self.multi_class == "ovo":
                if self._reads(K):
                    out[at[a:b]] = block(a, b, "own", codes=of)
                else:
                    scores, mine = block(a, b), self._outputs(K)[of[a:b]]
                    out[at[a:b]] = np.take_along_axis(scores, mine, axis=1)
            else:
                out[at[a:b]] = block(a, b)

    @available(_refuse_probability)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes, with ``probability=True`` only.

        Of two classes 1 / (1 + exp(-a f)) of the score f, with a
        slope a for either sign; of more, what fits these probabilities of all pairs best, as
        LIBSVM couples them; with multi_class="ovr", exp(t s_k) of the scores over the sum of all.
        Slopes and t are those of most likelihood for scores of rows that five models were not
        trained on. The class of the highest probability is the one that `predict` returns, always:
        where it would be another one, the two classes' probabilities are exchanged. Models that
        LIBSVM trained with probabilities have LIBSVM's instead, see `probA_`.

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
            As `predict`; AttributeError without ``probability=True``.
        """
        self._check_fitted()
        if "probA_" in vars(self):
            return self._libsvm_proba(X)
        K, (soft, fitted) = len(self.classes_), self._of_probability()
        absent, parts = absent_of(self, K), []
        for scores, codes in self._predicted(X, "" if soft else "probabilities",
                                             **({} if soft else {"slopes": fitted})):
            if not soft and self._reads(K):
                p = scores
            elif soft:
                p = _probability.softmax(scores, fitted)
            else:
                p = _probability.sigmoids(scores, fitted)
                p = np.hstack([1 - p, p]) if K == 2 else _probability.coupled(p, K)
            if len(absent):
                p[:, absent] = 0
                p /= p.sum(axis=1, keepdims=True)
            parts.append(_probability.with_first(p, codes))
        return np.concatenate(parts)

    @available(_refuse_probability)
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities, as `predict_proba`."""
        with np.errstate(divide="ignore"):  # of 0
            return np.log(self.predict_proba(X))

    def _of_probability(self) -> tuple[bool, Any]:
        """Whether probabilities are a softmax, and its factor, or the slopes; checked."""
        K, owner = len(self.classes_), type(self).__name__
        soft = K > 2 and self.multi_class == "ovr"
        name = "probability_temperature_" if soft else "probability_slopes_"
        if not hasattr(self, name):
            raise warning_category("NotFittedError")(_WITHOUT.format(owner))
        if soft:
            return soft, check.real(name, self.probability_temperature_)
        return soft, check.finite_table(name, self.probability_slopes_,
                                        (self._count(K), 2), owner)

    def _check_arrays(self) -> None:
        super()._check_arrays()
        absent_of(self, len(self.classes_))
        if any(name.startswith("probability_") for name in vars(self)):
            self._of_probability()

    def _warm_duals(self, n: int, classes: np.ndarray, sets: int) -> np.ndarray | None:
        """Signed duals of the last fit, or None when there was none."""
        last = getattr(self, "_last_duals", None)
        if last is None:
            return None
        if last.shape != (sets, n) or not np.array_equal(self.classes_, classes):
            raise ValueError(
                "warm_start needs the rows and classes of the last fit, which had "
                f"{last.shape[1]} rows and {len(self.classes_)} classes; got {n} rows and "
                f"{len(classes)} classes. Set warm_start=False, or use a new estimator"
            )
        return last

    def _radius(self, training: Training) -> float:
        """Joachims' R^2, a bound of K(x, x) - K(x, z); inf where it would take too long."""
        if self.kernel in _EXPONENTIAL:
            return 1.0
        if training.source is None:
            assert training.kernel is not None
            return 2 * kernel_functions.largest_diagonal(training.points, training.kernel)
        if self.kernel == "precomputed":
            return 2 * float(np.diagonal(training.rows.arrays[0]).max())
        return math.inf
