# SPDX-License-Identifier: BSD-3-Clause
"""What kernel machines have in common: parameters, the kernel, fitted attributes, scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple, Self

import numpy as np

from .. import _validate as check
from .. import kernels as kernel_functions
from .._core import kernels
from .._estimator import Estimator
from .._result import warn
from .._storable import Storable
from .._threads import n_threads
from ..solvers import smo
from ..stop import Monitor
from . import _units

SCORES_AT_ONCE = 1 << 22  # pairs of classes times rows, when labels are predicted
ROWS_AT_ONCE = 256  # that a user's kernel is asked for
WEIGHTS = ("primal_coef_", "primal_centre_", "primal_intercept_")
ZERO_SUM = 1e-9  # of the sum of sizes: sum of duals that stands for 0
_SPARSE = tuple(f"support_vectors__{part}_" for part in ("values", "indices", "indptr"))
# What models of LIBSVM's have of probabilities, see `hingex.model_io.load_libsvm`.
LIBSVM_PROBABILITIES = ("probA_", "probB_", "libsvm_order_", "prob_density_marks_")
KINDS = (*kernel_functions.NAMES, "precomputed")


class Training(NamedTuple):
    """X as solvers take it."""

    rows: Any
    table: Any  # X itself, where rows of it are to be taken
    points: Any
    source: Callable[[Any, Any], Any] | None
    kernel: kernel_functions.Parameters | None
    sum_zero: bool = True  # whether all duals sum up to 0
    counted: np.ndarray | None = None  # rows of positive weight, if others are there

    def solve(
        self, problems: list[smo.Problem], options: smo.Options, monitor: Monitor
    ) -> list[smo.Solution]:
        """`smo.solve` over these rows, in units where numbers are far from 1."""
        if self.kernel is None:
            return self._solve_given(problems, options, monitor)
        given, exact = self.kernel, self.exact(self.sum_zero)
        rounding = kernel_functions.rounding(self.points, given)

        def run(scaled: list[smo.Problem], how: smo.Options, watcher: Any) -> list[smo.Solution]:
            return smo.solve(scaled, self.points, None, how, watcher, rounding, exact)

        solver = _units.Solver(run, None, self.largest())
        solutions = solver.solve(problems, options, monitor)
        if self.points.shifted or any(s.weights is not None for s in solutions):
            self._weigh(problems, solutions, exact)
        return solutions

    def _solve_given(
        self, problems: list[smo.Problem], options: smo.Options, monitor: Monitor
    ) -> list[smo.Solution]:
        """The same of a matrix, or a function: anew when its values turn out to be far from 1."""
        source, begun = self.given(), perf_counter()

        def run(scaled: list[smo.Problem], how: smo.Options, watcher: Any) -> list[smo.Solution]:
            return smo.solve(scaled, None, source, how, watcher, source.rounding())

        while True:
            left = options
            if options.max_time is not None:
                left = options._replace(
                    max_time=max(1e-9, options.max_time - (perf_counter() - begun)))
            try:
                return _units.Solver(run, source, 0.0).solve(problems, left, monitor)
            except _units.Rescale:
                source.rescale()

    def largest(self) -> float:
        """The largest kernel value that is known before all are."""
        if self.kernel is not None:
            return kernel_functions.largest_diagonal(self.points, self.kernel)
        return self.given().largest or 1.0

    def given(self) -> _units.Source:
        """The kernel of a matrix or a function, in its unit as far as that is known."""
        if self.table is None:
            own = np.abs(np.diagonal(self.rows.arrays[0]))
            row = int(own.argmax())
            return _units.Source(self.source, float(own[row]), row)
        return _units.Source(self.source, getattr(self.source, "largest", 0.0))

    def exact(self, sum_zero: bool) -> kernel_functions.Exact:
        """The rows with kernel values in double precision."""
        assert self.kernel is not None
        return kernel_functions.Exact(self.rows, self.kernel, sum_zero, self.counted)

    def _weigh(
        self, problems: list[smo.Problem], solutions: list[smo.Solution],
        exact: kernel_functions.Exact,
    ) -> None:
        """Weights of a linear kernel for all solutions, and intercepts for rows less the means.

        Scores then come from weights: from duals, whose sum is not quite 0, they would be off by
        that sum times the squared means.
        """
        for problem, solution in zip(problems, solutions, strict=True):
            centred = self.points.shifted or solution.weights is not None
            if solution.weights is None:
                b = solution.b.reshape(-1, len(problem.ids)).sum(axis=0)
                used = np.flatnonzero(b)
                solution.weights = b[used] @ exact.features(problem.ids[used])
            if exact.centre is None:
                solution.centre = np.zeros(self.rows.d)
                continue
            solution.centre = exact.centre
            if not centred:
                shift = float(solution.weights @ exact.centre)
                solution.intercept = tuple(c + shift for c in solution.intercept)


class KernelModel(Storable, Estimator):
    """Base of estimators whose scores are sums of kernels with support vectors."""

    kernel: Any
    degree: int
    gamma: Any
    coef0: float
    shrinking: bool
    tol: float
    cache_size: float
    max_iter: int
    max_time: float | None
    n_jobs: int | None
    verbose: bool
    callback: Callable[[Any], Any] | None
    support_: Any
    support_vectors_: Any
    n_support_: Any
    dual_coef_: Any
    intercept_: Any
    n_features_in_: int
    shape_fit_: tuple[int, ...]
    probA_: Any
    probB_: Any

    # ---- fit --------------------------------------------------------------------------------

    def _solver_options(self) -> smo.Options:
        size = check.real("cache_size", self.cache_size, positive=False)
        most: Any = self.max_iter
        if type(most) is not int or most != -1:
            most = check.integer("max_iter", most)
        return smo.Options(
            tol=check.positive_float("tol", self.tol),
            cache=int(min(size * 2**20, 2**62)),
            shrinking=check.boolean("shrinking", self.shrinking),
            max_iter=math.inf if most == -1 else most,
            max_time=check.optional_positive_float("max_time", self.max_time),
            threads=n_threads(self.n_jobs),
        )

    def _monitor(self, options: smo.Options) -> Monitor:
        return Monitor(check.optional_callable("callback", self.callback),
                       check.boolean("verbose", self.verbose), options.tol, options.max_time,
                       type(self).__name__)  # fmt: skip

    def _check_params(self) -> None:
        self._monitor(self._solver_options())
        kind = self._kind()
        used = kernel_functions.USES.get(kind, ())
        if "degree" in used:
            kernel_functions.read_degree(self.degree)
        if "coef0" in used:
            kernel_functions.read_coef0(self.coef0)
        if "gamma" in used and not (isinstance(self.gamma, str) and self.gamma in (
                "scale", "auto")):
            check.real("gamma", self.gamma, positive=False)

    def _kind(self) -> str:
        """Name of the kernel, "precomputed" or "callable"."""
        if callable(self.kernel):
            return "callable"
        return check.choice("kernel", self.kernel, KINDS)

    def _training(
        self, X: Any, tol: float, sample_weight: Any = None, sum_zero: bool = True
    ) -> Training:
        owner, kind = type(self).__name__, self._kind()
        if kind == "callable":
            things = check.as_objects(X, owner)
            check.check_feature_names(self, X if things.d is not None else None, reset=True)
            source = kernel_functions.RowSource(self.kernel, things.table)
            return Training(things, things.table, None, source, None)
        rows = check.as_rows(X, owner=owner, accept_sparse=kind != "precomputed")
        check.check_feature_names(self, X, reset=True)
        if kind == "precomputed":
            if rows.n != rows.d:
                raise ValueError("Precomputed matrix must be a square matrix: the kernel of all "
                                 f"rows with each other; got X of shape ({rows.n}, {rows.d})")
            table = rows.arrays[0]
            return Training(rows, None, None, kernel_functions.table_source(table), None)
        table = check.table_of(rows)
        # Those of classes are no numbers of rows: they stay out of the variance in "scale".
        weights = check.sample_weights(sample_weight, rows.n)
        given = kernel_functions.read_kernel(kind, self.degree, self.gamma, self.coef0, rows,
                                             weights)
        counted = None if weights is None or weights.all() else np.flatnonzero(weights)
        rows = kernel_functions.dense_if_level(rows, given)
        points = kernel_functions.training_points(rows, given, tol, sum_zero, counted)
        return Training(rows, table, points, None, given, sum_zero, counted)

    def _keep_kernel(self, training: Training, support: np.ndarray) -> None:
        """Set what the scores take from X."""
        n, d = training.rows.n, training.rows.d
        if d is None:  # objects, of which only the user's kernel knows what they are
            vars(self).pop("n_features_in_", None)
            self.shape_fit_ = tuple(getattr(training.table, "shape", (n,)))
        else:
            self.n_features_in_, self.shape_fit_ = d, (n, d)
        self.gamma_ = training.kernel.gamma if training.kernel else 0.0
        for name in LIBSVM_PROBABILITIES:
            vars(self).pop(name, None)
        self.support_ = support.astype(np.int32 if n < 2**31 else np.int64)
        if training.table is None:
            self.support_vectors_ = np.empty((0, 0))
        else:
            self.support_vectors_ = check.take(training.table, support)
        if training.kernel is not None:
            self._vector_points(training.kernel)

    def _keep_solutions(self, solutions: Sequence[smo.Solution]) -> None:
        """Set what says how far the solver came, and the weights, if there are some."""
        self.duality_gap_ = np.array([s.relative_gap for s in solutions])
        self.kkt_violation_ = np.array([s.violation for s in solutions])
        self.dual_objective_ = np.array([s.dual for s in solutions])
        self.primal_objective_ = np.array([s.primal for s in solutions])
        self.n_iter_ = np.array([s.n_iter for s in solutions], dtype=np.int64)
        self.cache_hit_rate_ = np.array([s.hit_rate for s in solutions])
        self.history_ = smo.history_of(solutions)
        for name in WEIGHTS:
            vars(self).pop(name, None)
        if solutions[0].weights is not None:
            weights = np.stack([np.asarray(s.weights) for s in solutions])
            self._keep_weights(weights, np.asarray(solutions[0].centre))
        self.converged_ = all(s.status == "converged" for s in solutions)
        self.fit_status_ = int(not self.converged_)

    def _keep_weights(self, weights: np.ndarray, centre: np.ndarray) -> None:
        """Set what scores come from, where duals would not do; intercept_ is for rows less it."""
        self.primal_coef_, self.primal_centre_ = weights, centre
        self.primal_intercept_ = self.intercept_
        self.intercept_ = self.primal_intercept_ - self._centre_shift(weights, centre)

    @staticmethod
    def _centre_shift(weights: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """What scores of rows as they are have more than those of rows less the centre."""
        shift: np.ndarray = np.einsum("kj,j->k", weights, centre)
        return shift

    def _conclude(self, solutions: Sequence[smo.Solution], options: smo.Options) -> None:
        """Raise or warn when a fit did not reach its end."""
        left = [s for s in solutions if s.status != "converged"]
        self._conclude_statuses(
            [s.status for s in solutions], max((s.relative_gap for s in left), default=0.0),
            max((s.violation for s in left), default=0.0), options,
        )

    def _why(self, status: str) -> str:
        """What made a fit end before its goal, for messages."""
        return {
            "max_iter": f"after max_iter={self.max_iter} iterations",
            "max_time": f"after max_time={self.max_time:g} seconds" if self.max_time else "",
            "callback": "as the callback asked for it",
            "stalled": "where rounding lets it come no further",
        }[status]

    def _conclude_statuses(
        self, statuses: list[str], gap: float, violation: float, options: smo.Options
    ) -> None:
        """Raise or warn unless all converged."""
        if "interrupted" in statuses:
            raise KeyboardInterrupt
        left = [status for status in statuses if status != "converged"]
        if left:
            why = self._why(left[0])
            of = f" in {len(left)} of {len(statuses)} problems" if len(statuses) > 1 else ""
            pairs = "" if math.isnan(violation) else f" and a violation of {violation:.2e}"
            warn(f"{type(self).__name__} stopped {why}{of}, at a relative duality gap of {gap:.2e}"
                 f"{pairs}; tol={options.tol:g}. Scale the features, or raise tol, max_iter or "
                 "max_time.", "ConvergenceWarning")

    # ---- scores -----------------------------------------------------------------------------

    def _check_model(self, sets: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
        """Raise ValueError for fitted arrays that do not fit each other.

        Returns dual_coef_ and intercept_ as they were checked.
        """
        owner = type(self).__name__
        self._check_shapes()
        count, support = np.size(self.support_), np.asarray(self.support_)
        if support.ndim != 1 or support.dtype.kind not in "iu" or (
                count and not (support.min() >= 0 and support.max() < self.shape_fit_[0])):
            raise ValueError(f"support_ of this {owner} must be row numbers of fit, 0 to "
                             f"{self.shape_fit_[0] - 1}")
        coef = check.finite_table("dual_coef_", self.dual_coef_, (sets, count), owner)
        intercept = check.finite_table("intercept_", self.intercept_, (outputs,), owner)
        found = getattr(self.support_vectors_, "shape", None)
        if self._of_objects():
            if check.n_rows(self.support_vectors_) != count:
                raise ValueError(f"support_vectors_ of this {owner} must be {count} objects; got "
                                 f"{check.n_rows(self.support_vectors_)}")
        elif self._kind() != "precomputed" and found != (count, self.n_features_in_):
            raise ValueError(f"support_vectors_ of this {owner} must have shape "
                             f"({count}, {self.n_features_in_}); got {found}")
        return coef, intercept

    def _check_shapes(self) -> None:
        """Raise ValueError unless shape_fit_ and n_features_in_ tell the same."""
        if self._of_objects():
            return
        shape, d = self.shape_fit_, getattr(self, "n_features_in_", None)
        if type(shape) is not tuple or len(shape) != 2 or not all(
                isinstance(n, int | np.integer) and n > 0 for n in (*shape, d)) or shape[1] != d:
            raise ValueError(f"shape_fit_ of this {type(self).__name__} is {shape!r} and "
                             f"n_features_in_ {d!r}: they do not fit")
        if self._kind() == "precomputed" and shape[0] != d:
            raise ValueError(f"shape_fit_ of this {type(self).__name__} with a precomputed kernel "
                             f"is {shape!r}, which is not square")

    def _of_objects(self) -> bool:
        """Whether X was no table of numbers, as only a kernel of the user's can have it."""
        return self._kind() == "callable" and not hasattr(self, "n_features_in_")

    def _starts(self, classes: int) -> np.ndarray:
        """Where the support vectors of each class begin, and the last ones end."""
        counts, total = np.asarray(self.n_support_), np.size(self.support_)
        # Each is compared with the total before they are summed: sums of 64 bits can wrap.
        if counts.shape != (classes,) or counts.dtype.kind not in "iu" or (counts < 0).any() or (
                counts > total).any() or int(counts.sum(dtype=np.int64)) != total:
            raise ValueError(f"n_support_ of this {type(self).__name__} must be {classes} counts "
                             f"that add up to the {total} support vectors; got "
                             f"{self.n_support_!r}")
        return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])

    def _scorer(self, X: Any) -> tuple[int, Callable[..., np.ndarray]]:
        """How many rows X has, and the function that gives scores (b - a, width) of rows a..b-1.

        With what="votes" or another reading of `_pair_scores`, for classifiers of pairs, it gives
        that in the place of the scores; `given` is what such a reading needs.
        """
        self._check_fitted()
        sets, starts, outputs, width = self._layout()
        (coef, intercept), kind = self._check_model(sets, width), self._kind()
        owner, threads = type(self).__name__, n_threads(self.n_jobs)
        rows = self._rows_to_score(X, owner, kind)
        support = np.asarray(self.support_)
        if kind in ("precomputed", "callable"):
            table = rows.table if kind == "callable" else check.table_of(rows)
            vectors = self.support_vectors_
            if kind == "callable" and check.is_sparse(vectors):
                self._vector_rows()  # SciPy, which kernels may use, trusts what matrices hold

            def block(a: int, b: int, what: str = "", **given: Any) -> np.ndarray:
                reader, out = _reader(coef, starts, intercept, what, given, a, b, threads)
                for at in range(a, b, ROWS_AT_ONCE):
                    end = min(at + ROWS_AT_ONCE, b)
                    if kind == "precomputed":
                        values = table[at:end][:, support]
                    else:
                        values = kernel_functions.called(self.kernel, table[at:end], vectors)
                    if reader is not None:
                        reader.read_given(values, at, out[at - a:end - a])
                        continue
                    for c in range(len(starts) - 1):
                        part = slice(starts[c], starts[c + 1])
                        parts = values[:, part] @ coef[:, part].T
                        for r in range(sets):
                            out[at - a:end - a, outputs[c, r]] += parts[:, r]
                return out

            return rows.n, block

        of = kernel_functions.Parameters(kind, *self._kernel_numbers())
        base, points = intercept, self._vector_points(of)
        centre = points.centre_of_rows
        if "primal_coef_" in vars(self):
            return rows.n, self._weighed_scores(rows, intercept)
        if centre is not None and of.name == "linear":
            shift = self._centre_scores(coef, starts, outputs, centre, len(intercept))
            if shift is None:
                centre, points = None, kernel_functions.exact_points(self._vector_rows(), of)
            else:
                base = intercept + shift
        narrow = None if centre is not None else check.narrowed_together(points.rows, rows)
        if narrow is not None:
            points, rows = kernel_functions.exact_points(narrow[0], of), narrow[1]
        ids = np.arange(len(support))

        def read(theirs: Any, a: int, b: int, out: np.ndarray, reader: Any) -> None:
            if reader is not None:
                reader.read(points, theirs, a, b, out)
            else:
                points.decide(ids, theirs, a, b, coef, starts, outputs, out, threads)

        if centre is None or not rows.is_csr:
            theirs = kernel_functions.exact_points(rows, of, centre)

            def computed(a: int, b: int, what: str = "", **given: Any) -> np.ndarray:
                reader, out = _reader(coef, starts, base, what, given, a, b, threads)
                read(theirs, a, b, out, reader)
                return out

            return rows.n, computed
        sparse = check.table_of(rows)

        def centred(a: int, b: int, what: str = "", **given: Any) -> np.ndarray:
            parts = []
            for at in range(a, b, ROWS_AT_ONCE):  # dense, as the centre is
                end = min(at + ROWS_AT_ONCE, b)
                dense = check.as_rows(sparse[at:end].toarray(), owner=owner)
                some = {name: value[at:end] for name, value in given.items() if name == "codes"}
                reader, out = _reader(coef, starts, base, what, given | some, 0, end - at, threads)
                read(kernel_functions.exact_points(dense, of, centre), 0, end - at, out, reader)
                parts.append(out)
            return np.concatenate(parts)

        return rows.n, centred

    def _weighed_scores(
        self, rows: Any, intercept: np.ndarray
    ) -> Callable[[int, int], np.ndarray]:
        """Scores of `primal_coef_`, by rows less `primal_centre_`."""
        weights, centre, base = self._check_weights(len(intercept))
        table, shift = check.table_of(rows), self._centre_shift(weights, centre)
        moved = intercept - (base - shift)  # by the user
        base = base + np.where(np.abs(moved) > 1e-14 * np.abs(shift), moved, 0.0)

        def block(a: int, b: int) -> np.ndarray:
            out = np.empty((b - a, len(intercept)))
            for at in range(a, b, ROWS_AT_ONCE):
                end = min(at + ROWS_AT_ONCE, b)
                some = table[at:end]
                some = (some.toarray() if rows.is_csr else np.asarray(some)) - centre
                out[at - a:end - a] = np.einsum("ij,kj->ik", some, weights) + base
            return out

        return block

    def _check_weights(self, width: int) -> list[np.ndarray]:
        """What scores come from; ValueError if it does not fit the model."""
        owner, d = type(self).__name__, self.n_features_in_
        shapes = ((width, d), (d,), (width,))
        for name in WEIGHTS:
            if name not in vars(self):
                raise ValueError(f"{name} is missing")
        return [check.finite_table(name, getattr(self, name), shape, owner)
                for name, shape in zip(WEIGHTS, shapes, strict=True)]

    def _centre_scores(
        self, coef: np.ndarray, starts: np.ndarray, outputs: np.ndarray, centre: np.ndarray,
        width: int,
    ) -> np.ndarray | None:
        """What scores of a linear kernel lack when all rows are less the centre.

        None where coefficients do not sum up to 0: then they lack more than a number.
        """
        sums, sizes, shift = np.zeros(width), np.zeros(width), np.zeros(width)
        given: Any = self.support_vectors_
        if check.is_sparse(given):  # whose dense copy is less the centre
            given = given.toarray()
        vectors = np.asarray(given, dtype=np.float64) - centre
        for c in range(len(starts) - 1):
            part = slice(starts[c], starts[c + 1])
            np.add.at(sums, outputs[c], coef[:, part].sum(axis=1))
            np.add.at(sizes, outputs[c], np.abs(coef[:, part]).sum(axis=1))
            np.add.at(shift, outputs[c], (coef[:, part] @ vectors[part]) @ centre)
        return shift if (np.abs(sums) <= ZERO_SUM * sizes).all() else None

    def _rows_to_score(self, X: Any, owner: str, kind: str) -> Any:
        """X as scores read it, of the same kind as in fit."""
        objects = self._of_objects()
        if not objects:
            check.check_feature_names(self, X)
        rows = (check.as_objects(X, owner) if kind == "callable" else
                check.as_rows(X, owner=owner, accept_sparse=kind != "precomputed"))
        if not objects:
            check.check_n_features(self, rows)
        return rows

    def _vector_points(self, kernel: kernel_functions.Parameters) -> Any:
        """The support vectors, checked; kept for the next call, and read-only while they are."""
        vectors: Any = self.support_vectors_
        arrays = [vectors]
        if check.is_sparse(vectors):
            arrays = [vectors.data, vectors.indices, vectors.indptr]
        kept = self.__dict__.get("_vectors")
        if kept is not None and kept[1] == kernel and len(kept[0]) == len(arrays) and all(
                a is b and not a.flags.writeable for a, b in zip(kept[0], arrays, strict=True)):
            return kept[2]
        rows = self._vector_rows()
        in_place = all(isinstance(a, np.ndarray) and any(a is b for b in rows.arrays)
                       for a in arrays)
        if rows.is_csr and rows.n:
            rows = kernel_functions.dense_if_level(rows, kernel)
        if in_place and rows.is_csr:
            # Views that were made earlier can still be written to: nobody has these.
            values, indices, indptr = rows.arrays
            rows = kernels("rows").Rows(rows.n, rows.d, values, indices.copy(), indptr.copy())
        centre = kernel_functions.prediction_centre(rows, kernel)
        points = kernel_functions.exact_points(rows, kernel, centre)
        if in_place:
            for a in arrays:
                a.flags.writeable = False
            self._vectors = arrays, kernel, points
        return points

    def _vector_rows(self) -> Any:
        """The support vectors, checked."""
        owner = type(self).__name__
        try:
            return check.as_rows(self.support_vectors_, owner=owner, min_rows=0)
        except (TypeError, ValueError) as error:
            raise ValueError(f"support_vectors_ of this {owner} were changed or damaged: "
                             f"{error}") from None

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("_vectors", None)
        return state

    # ---- files ------------------------------------------------------------------------------

    def _fitted_to_store(self) -> dict[str, Any]:
        """Fitted attributes for a file: sparse support vectors as their three arrays."""
        if callable(self.kernel):
            raise TypeError(f"the kernel of this {type(self).__name__} is a function, which model "
                            "files cannot hold; pickle can, if it is importable")
        self._check_arrays()
        stored = dict(vars(self))
        vectors: Any = self.support_vectors_
        if check.is_sparse(vectors):
            del stored["support_vectors_"]
            stored |= dict(zip(_SPARSE, (vectors.data, vectors.indices, vectors.indptr),
                               strict=True))
        return stored

    @classmethod
    def _restored(cls, params: dict[str, Any], fitted: dict[str, Any]) -> Self:
        """A model from what a file has; ValueError if it does not fit together."""
        model, shapes = cls(**params), cls(**params)
        for name in ("n_features_in_", "shape_fit_"):
            if name not in fitted:
                raise ValueError(f"{name} is missing")
            setattr(shapes, name, fitted[name])
        shapes._check_shapes()
        parts = [fitted.pop(name, None) for name in _SPARSE]
        if all(part is not None for part in parts) and "support_vectors_" not in fitted:
            from scipy.sparse import csr_array

            values, indices, indptr = parts
            shape = (len(indptr) - 1, fitted["n_features_in_"])
            fitted["support_vectors_"] = csr_array((values, indices, indptr), shape=shape)
        elif any(part is not None for part in parts):
            raise ValueError("support_vectors_ is incomplete")
        vars(model).update(fitted)
        model._check_arrays()
        return model

    def _check_arrays(self) -> None:
        """Raise ValueError unless the fitted attributes that predictions need fit together."""
        for name in ("support_", "support_vectors_", "n_support_", "dual_coef_", "intercept_",
                     "n_features_in_", "shape_fit_", "gamma_"):
            if name not in vars(self) and not (name == "n_features_in_" and self._of_objects()):
                raise ValueError(f"{name} is missing")
        sets, _, _, width = self._layout()
        self._check_model(sets, width)
        if "primal_coef_" in vars(self):
            self._check_weights(width)
        names = vars(self).get("feature_names_in_")
        if names is not None and (np.shape(names) != (self.n_features_in_,) or not all(
                isinstance(name, str) for name in names)):
            raise ValueError(f"feature_names_in_ must be {self.n_features_in_} strings")
        self._check_libsvm(width)
        kind = self._kind()
        if kind == "callable":
            if check.is_sparse(self.support_vectors_):
                self._vector_rows()
        elif kind != "precomputed":
            given = kernel_functions.Parameters(kind, *self._kernel_numbers())
            self._vector_points(given)

    def _check_libsvm(self, problems: int) -> None:
        """Raise ValueError if there is what LIBSVM's probabilities take, and it is malformed."""
        owner, kept = type(self).__name__, vars(self)
        for name in ("probA_", "probB_"):
            if name in kept:
                check.finite_table(name, kept[name], (problems,), owner)
        if "prob_density_marks_" in kept:
            marks = kept["prob_density_marks_"]
            check.finite_table("prob_density_marks_", marks, np.shape(marks)[:1], owner)

    def _layout(self) -> tuple[int, np.ndarray, np.ndarray, int]:
        """Rows of dual_coef_, where classes begin, outputs by class and row, how many."""
        return 1, self._starts(1), np.zeros((1, 1), dtype=np.int64), 1

    def _kernel_numbers(self) -> tuple[int, float, float]:
        """degree, gamma and coef0 of a fitted model's kernel, 0 where it has none."""
        used = kernel_functions.USES[self.kernel]
        return (kernel_functions.read_degree(self.degree) if "degree" in used else 0,
                check.real("gamma_", self.gamma_, positive=False) if "gamma" in used else 0.0,
                kernel_functions.read_coef0(self.coef0) if "coef0" in used else 0.0)

    def _single_scores(self, X: Any) -> np.ndarray:
        """Scores of models with one output."""
        n, block = self._scorer(X)
        return block(0, n)[:, 0]

    @property
    def coef_(self) -> Any:
        """Weights of the features, of linear kernels only: dual_coef_ @ support_vectors_.

        An array; of sparse support vectors a csr_array, as scikit-learn's machines have it, where
        the array would have more than 2**20 entries, and more than 8 for each number that the
        vectors and `dual_coef_` hold. Computed at each access, and read-only: what is written to it
        would reach no model.
        """
        if self.kernel != "linear":
            raise AttributeError('coef_ is only available when using kernel="linear"')
        self._check_fitted()
        self.__dict__.pop("_vectors", None)  # SciPy trusts what matrices hold: look anew
        self._check_arrays()
        if "primal_coef_" in vars(self):
            weights = np.asarray(self.primal_coef_).view()
        elif self._is_wide():
            return self._sparse_weights()
        else:
            weights = np.asarray(self._weights()).view()
        weights.flags.writeable = False
        return weights

    def _weights(self) -> Any:
        return self.dual_coef_ @ self.support_vectors_

    def _is_wide(self) -> bool:
        """Whether an array of the weights is out of proportion to what the model holds."""
        vectors: Any = self.support_vectors_
        size = self.n_features_in_ * np.size(self.intercept_)
        return check.is_sparse(vectors) and size > max(
            check.WIDE, check.WIDE_SHARE * (vectors.nnz + np.size(self.dual_coef_)))

    def _problem_duals(self) -> Any:
        """Coefficients of the support vectors (problems, n_SV)."""
        return self.dual_coef_

    def _sparse_weights(self) -> Any:
        """`_weights` in CSR and in memory that follows the values of the support vectors."""
        from scipy.sparse import csr_array

        vectors: Any = self.support_vectors_
        # SciPy's products have work arrays with an entry for each column.
        columns, places = np.unique(vectors.indices, return_inverse=True)
        narrow = csr_array((vectors.data, places, vectors.indptr),
                           (vectors.shape[0], max(1, len(columns))))  # fmt: skip
        found = csr_array(csr_array(self._problem_duals()) @ narrow)
        found.sum_duplicates()
        weights = csr_array((found.data, columns[found.indices], found.indptr),
                            (found.shape[0], self.n_features_in_))  # fmt: skip
        for part in (weights.data, weights.indices, weights.indptr):
            part.flags.writeable = False
        return weights

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.kernel == "precomputed"
        tags.input_tags.sparse = self.kernel != "precomputed"
        return tags


def _reader(
    coef: np.ndarray, starts: np.ndarray, intercept: np.ndarray, what: str, given: dict[str, Any],
    a: int, b: int, threads: int,
) -> tuple[Any, np.ndarray]:
    """What reads scores of rows a..b-1, None for the scores themselves, and where these go."""
    if not what:
        return None, np.tile(intercept, (b - a, 1))
    K = len(starts) - 1
    made = kernels("pair_scores").Reader(coef, starts, intercept, what, threads=threads, **given)
    return made, np.empty((b - a, K - 1 if what == "own" else K))
