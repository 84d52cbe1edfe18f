# SPDX-License-Identifier: BSD-3-Clause
"""Proximal Newton method on working sets, for margin losses with an l1 or elastic-net penalty.

The problem, its dual and the treatment of kinks and of a free intercept are told in `_convex`. A
working set holds the features with a weight and those nearest to getting one, by |v_j| of the dual
point. On it, the loss is replaced by its quadratic model, which coordinate descent minimises with
the penalty as it is, the free intercept following every step at once (with few features the model's
d x d matrix is formed first, and X is not read again); a search along the way there makes the step.
Where the model is too flat, or led too far, its curvature is raised. When the features of the set
are near their optimality conditions, all features are looked at again.

Stopping: relative duality gap (P - D) / |P| <= tol. With l2 = 0 the duals are scaled down until
|v_j| <= l1 for all features; otherwise the better of the duals as they are, and so scaled. The best
dual value of all iterations counts.

Complexity: a step costs some sweeps over the working set's columns and a few evaluations of the
loss, O(n); all of X is read once for every working set, a few times in all. Memory: X by columns,
which for CSR data is a copy of X (the one exception to reading data where they lie), and some 120
bytes a row.

Sources: G.-X. Yuan, C.-H. Ho and C.-J. Lin, "An improved GLMNET for l1-regularized logistic
regression", JMLR 13, 2012; M. Massias, A. Gramfort and J. Salmon, "Celer: a fast solver for the
Lasso with dual extrapolation", ICML 2018 (working sets by the dual point).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _validate as check
from .._core import kernels
from .._result import Fit
from ..losses import MarginLoss
from ..stop import Monitor
from ._convex import Penalized, Shifted, Smooth
from ._second_order import Stopped

POLISH_WORK = 5e4  # values of X up to which problems are solved until rounding
FINEST = 1e-14  # a relative gap that is nothing but rounding
PATIENCE = 5  # looks at all features that do not halve the gap, after which polishing ends
LONGEST = 40  # the same that neither lower the gap nor the objective
FIRST_SET = 64  # features in the first working set, at least
INNER = 12  # steps on a working set
CLOSE = 0.1  # of the violation to begin with, at which a working set is done
SWEEPS = 200  # of coordinate descent for a step
HALVINGS = 40  # of the interval for a factor
SHORT = 0.2  # size of a step, below which the next has more added
LOWEST = 1e-12  # curvature added where there is none, as a part of its largest possible value
NARROW = 1000  # features up to which the model's d x d matrix may be formed
DENSE_SWEEPS = 5000  # with it, when they are cheap
FLAT = 1e-3  # of the largest curvature, along features without any
PASSES = 15  # over X that forming it may cost


def solve(
    rows: Any,
    codes: np.ndarray,
    n_classes: int,
    *,
    loss: MarginLoss,
    l1: float,
    l2: float,
    C: float,
    cost: np.ndarray | None,
    intercept: str,
    scaling: float,
    tol: float,
    max_iter: int,
    max_time: float | None,
    monitor: Monitor,
    start: tuple[np.ndarray, np.ndarray] | None = None,
    duals: np.ndarray | None = None,
) -> Fit:
    """Solve one binary problem (two classes) or all one-vs-rest problems, one after another.

    Parameters
    ----------
    rows, codes, n_classes, C, cost, intercept, scaling, tol, max_time, monitor
        As for `dual_cd.solve`.
    loss : MarginLoss
        Convex.
    l1, l2 : float
        The penalty l1 ||w||_1 + l2/2 ||w||^2; l1 positive, l2 not negative.
    max_iter : int
        Steps for each class.
    start : (coef, intercepts), optional
        Where to begin: (lanes, d) and (lanes,).
    duals : ndarray (n, lanes), optional
        Duals of `start`, for losses with kinks.

    Returns
    -------
    Fit
        With `dual` = alpha (n, lanes). The history has an entry per step of any class; `active` is
        the size of the working set.
    """
    problem = _Problem(
        loss, rows, codes, n_classes, C, cost, intercept, scaling, tol, max_iter, max_time, monitor,
    )  # fmt: skip
    problem.l1, problem.l2, problem.known = l1, l2, duals

    def lane(k: int) -> None:
        w = np.zeros(problem.columns.n)
        b = 0.0
        if start is not None:
            w[: problem.d] = start[0][k]
            if problem.free:
                b = float(start[1][k])
            elif problem.constant != 0:
                w[-1] = start[1][k] / problem.constant
        _Lane(problem, k, w, b).run()

    with np.errstate(all="ignore"):
        return problem.run(lane)


class _Problem(Penalized):
    """The data, by columns as well."""

    l1: float
    l2: float

    def __init__(self, loss: MarginLoss, rows: Any, *args: Any) -> None:
        super().__init__(loss, rows, *args)
        extra = 0.0 if self.free else self.constant
        self.columns = _by_columns(rows, extra)
        self.by_columns = kernels("gram").Gram(self.columns, 0.0)
        n, D = self.n, self.D
        work = min(rows.nnz**2 / (2 * max(n, 1)), n * D**2 / 16)
        self.narrow = D <= NARROW and work <= PASSES * 2 * (rows.nnz + n)

    def transposed(self, r: np.ndarray) -> np.ndarray:
        """X^T r, with the constant feature of a regularized intercept last."""
        out = np.empty(self.columns.n)
        self.by_columns.scores(r, out)
        return out

    def products(self, w: np.ndarray, b: float) -> np.ndarray:
        out = np.empty(self.n)
        wa = w if self.constant == 0 or not self.free else np.append(w, b)
        self.gram.scores(wa, out)
        return out

    def cost_of(self, w: np.ndarray) -> float:
        """The penalty."""
        return self.l1 * float(np.abs(w).sum()) + 0.5 * self.l2 * float(w @ w)


def _by_columns(rows: Any, constant: float) -> Any:
    """X^T, with a last row of `constant` if that is not 0, as rows."""
    values, indices, indptr = rows.arrays
    n, d = rows.n, rows.d
    if indices is None:
        if constant != 0:
            values = np.column_stack([values, np.full(n, constant, values.dtype)])
        return check.as_rows(values.T, owner="X", min_rows=0)
    from scipy.sparse import csr_array

    nnz = rows.nnz
    X = csr_array((values[:nnz], indices[:nnz], indptr), shape=(n, d)).tocsc()
    parts = [X.data, X.indices, X.indptr]
    if constant != 0:
        parts[0] = np.concatenate([X.data, np.full(n, constant, X.data.dtype)])
        parts[1] = np.concatenate([X.indices, np.arange(n, dtype=X.indices.dtype)])
        parts[2] = np.append(X.indptr, X.indptr[-1] + n).astype(X.indptr.dtype)
        d += 1
    columns = kernels("rows").Rows(d, n, *parts)
    columns.check_indptr(len(parts[0]))
    return columns


class _Lane:
    """One problem on its way to the optimum."""

    def __init__(self, p: _Problem, k: int, w: np.ndarray, b: float) -> None:
        self.p, self.k, self.w, self.b = p, k, w, b
        self.seen: Smooth = p.view(k)
        self.dual, self.scale = -np.inf, 0.0  # the best dual value, the last objective
        self.raised = 0.0  # curvature added to the model, as a part of its largest possible value
        self.epoch = 0
        self.kernels = kernels("penalized")

    def run(self) -> None:
        p, seen = self.p, self.seen
        polish = p.rows.nnz < POLISH_WORK
        f = p.products(self.w, self.b) if self.w.any() else np.full(p.n, self.b)
        f = self._centre(f)
        best, lowest, stalled, slow, size = np.inf, np.inf, 0, 0, FIRST_SET
        while True:
            v = p.transposed(seen.signed)
            primal, gap, error = self._certify(f, v)
            if self.epoch > 0:
                p.report(size)
            stalled = stalled + 1 if gap >= 0.5 * best else 0
            slow = slow + 1 if not (gap < 0.999 * best or primal < lowest) else 0
            best, lowest = min(best, gap), min(lowest, primal)
            if p.gap[self.k] <= p.tol and (not polish or stalled >= PATIENCE):
                return
            if slow >= LONGEST:
                return
            if self.epoch >= p.max_iter:
                p.used_up = True
                return
            if isinstance(seen, Shifted) and (
                    gap <= FINEST or gap * abs(primal) - error <= 0.3 * error):
                seen.shift(error)
                f = self._centre(f)
                v = p.transposed(seen.signed)
            which, size = self._working_set(v, size)
            f = self._descend(f, v[which], which, INNER if gap > FINEST else 2)
            if self.epoch % 16 == 0:
                f = self._centre(p.products(self.w, self.b))

    def _centre(self, f: np.ndarray) -> np.ndarray:
        if not self.p.free:
            self.seen.look(f)
            return f
        move, f = self.p.balanced(self.seen, f)
        self.b += move
        return f

    def _shrink(self, f: np.ndarray) -> np.ndarray:
        """The model scaled down to the least objective; returns the scores.

        Where no row has a loss, w is too much, and nothing tells Newton's method by how much.
        """
        p, seen = self.p, self.seen
        first = p.l1 * float(np.abs(self.w).sum())
        second = p.l2 * float(self.w @ self.w)
        low, high = 0.0, 1.0
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            seen.look(middle * f)
            if first + middle * second > float(seen.signed @ f):
                high = middle
            else:
                low = middle
        self.w *= high
        self.b *= high
        return self._centre(high * f)

    def _certify(self, f: np.ndarray, v: np.ndarray) -> tuple[float, float, float]:
        """Objective, relative gap, and the part of the gap that is due to envelopes."""
        p, seen = self.p, self.seen
        true = seen.value(f)
        primal = p.cost_of(self.w) + true
        self.scale = abs(primal)
        error = true - seen.dual(f) + float(seen.signed @ f)
        signed, rest = p.feasible_sum(seen.signed)
        exact = signed is seen.signed
        if not exact:
            v = p.transposed(signed)
        highest = float(np.abs(v).max(initial=0.0))
        share = min(1.0, p.l1 / highest) if highest > 0 else 1.0
        lost = rest * abs(self.b)
        found = -np.inf
        if share == 1.0 or p.l2 > 0:
            over = np.maximum(np.abs(v) - p.l1, 0.0)
            beyond = float(over @ over) / (2 * p.l2) if p.l2 > 0 else 0.0
            found = (seen.dual(f) if exact else seen.dual_of(signed)) - beyond - lost
        if share < 1.0:
            scaled = seen.dual_of(share * signed) - share * lost
            if scaled > found:
                found, signed = scaled, share * signed
        alpha = p.alpha[:, self.k] if found <= self.dual else signed * seen.y
        self.dual = max(self.dual, found)
        wa = self._packed()
        return primal, p.settle(self.k, wa, alpha, primal, self.dual), max(error, 0.0)

    def _packed(self) -> np.ndarray:
        if self.p.free:
            return np.append(self.w, self.b)
        return self.w

    def _working_set(self, v: np.ndarray, size: int) -> tuple[np.ndarray, int]:
        """Features with a weight, and the nearest to one; `size` of them, or more."""
        d = len(v)
        if self.p.narrow:
            return np.arange(d, dtype=np.int32), d
        rank = np.abs(v)
        used = self.w != 0
        violating = int(np.count_nonzero((rank > self.p.l1 * (1 + 1e-12)) & ~used))
        rank[used] = np.inf
        count = int(np.count_nonzero(used))
        size = min(d, max(FIRST_SET, 2 * count, count + min(violating, max(size, FIRST_SET))))
        if size >= d:
            return np.arange(d, dtype=np.int32), d
        chosen = np.argpartition(rank, d - size)[d - size:]
        return np.sort(chosen).astype(np.int32), size

    def _violation(self, v: np.ndarray, w: np.ndarray) -> np.ndarray:
        """How far each feature is from its optimality condition."""
        g = self.p.l2 * w - v
        at_zero = np.maximum(np.abs(g) - self.p.l1, 0.0)
        return np.where(w == 0, at_zero, np.abs(g + self.p.l1 * np.sign(w)))

    def _descend(
        self, f: np.ndarray, v: np.ndarray, which: np.ndarray, turns: int
    ) -> np.ndarray:
        """Steps on a working set; returns the scores."""
        p, seen = self.p, self.seen
        w = self.w[which]
        goal = None
        for turn in range(turns):
            worst = float(self._violation(v, w).max(initial=0.0))
            goal = CLOSE * worst if goal is None else goal
            if (worst <= goal and turn > 0) or worst <= 1e-15 * p.l1:
                break
            if self.epoch >= p.max_iter:
                break
            self.epoch += 1
            p.check_time()
            if not seen.curvature.any() and self.w.any():
                f = self._shrink(f)
                w = self.w[which]
                v = np.empty(len(which))
                self.kernels.chosen(p.columns, which, seen.signed, v)
                worst = float(self._violation(v, w).max(initial=0.0))
            step = self._step(f, v, which, w, worst)
            if step is None:
                seen.look(f)
                break
            delta, change, beta, size = step
            w = w + size * delta
            w[np.abs(w) <= 1e-16 * np.abs(size * delta)] = 0.0
            self.w[which] = w
            self.b += size * beta
            f = self._centre(f + size * change)
            if turn + 1 < turns:
                v = np.empty(len(which))
                self.kernels.chosen(p.columns, which, seen.signed, v)
        return f

    def _step(
        self, f: np.ndarray, v: np.ndarray, which: np.ndarray, w: np.ndarray, worst: float
    ) -> tuple[np.ndarray, np.ndarray, float, float] | None:
        """Minimum of a model, and the size of the step towards it that lowers the objective."""
        p, seen = self.p, self.seen
        before, curvature = seen.total, seen.curvature.copy()
        penalty = self._penalty(w)
        offset = float(seen.signed.sum()) if p.free else 0.0
        most = p.loss.smoothness if not isinstance(seen, Shifted) else seen.r
        ceiling = p.cost * most if np.isfinite(most) else np.full(p.n, curvature.max())
        flat = not curvature.any()  # no row has a loss: only what is added bounds the step
        if flat and self.raised == 0:
            self.raised = 0.1
        for _ in range(30):
            s = np.maximum(curvature, self.raised * ceiling) if self.raised else curvature
            delta, change, beta = self._model(which, v, s, ceiling, w, offset, 0.1 * worst)
            if not (delta.any() or beta != 0):
                return None
            promised = self._promise(v, w, delta) - offset * beta
            if not promised < 0:
                return None
            size = 1.0
            for _ in range(5):
                seen.look(f + size * change)
                to = w + size * delta
                gain = seen.total - before + self._penalty(to) - penalty
                slope = -float(seen.signed @ change) + float(
                    (p.l1 * np.sign(to) + p.l2 * to) @ delta)
                # Where the gain is all rounding, the derivative still tells.
                fine = -promised <= 1e-10 * self.scale and slope <= -0.5 * promised
                if gain <= 1e-3 * size * promised or fine:
                    if size == 1.0:
                        low = LOWEST if flat else 1e-6
                        self.raised = self.raised / 4 if self.raised > low else 0.0
                    elif size < SHORT:
                        self.raised = min(1.0, max(4 * self.raised, 1e-3))
                    return delta, change, beta, size
                size *= min(0.5, max(0.05, promised / (promised - slope))) if slope > 0 else 0.5
            if self.raised >= 1.0:
                return None  # the model was above the loss: rounding
            self.raised = min(1.0, max(4 * self.raised, 1e-3))
        return None

    def _model(
        self, which: np.ndarray, v: np.ndarray, s: np.ndarray, ceiling: np.ndarray, w: np.ndarray,
        offset: float, tol: float,
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Minimum of the quadratic model: change of weights, of scores, and of the intercept."""
        p = self.p
        if not p.narrow:
            return self.kernels.descend(
                p.columns, which, v, s, ceiling, w, p.l1, p.l2, p.free, offset, tol, SWEEPS,
                p.deadline)[:3]
        G = np.zeros((p.D, p.D))
        if not p.gram.weighted(s, G):
            raise Stopped("max_time")
        G = np.triu(G) + np.triu(G, 1).T
        d = len(w)
        h, mass = (G[:d, -1], float(G[-1, -1])) if p.free else (np.zeros(d), 0.0)
        G = G[:d, :d].copy()
        known = 1e-12 * G.diagonal()
        if mass > 0:  # without the intercept, which follows
            G = G - np.outer(h, h) / mass
            v = v - h * (offset / mass)
        flat = np.flatnonzero(G.diagonal() <= known)
        if len(flat):
            squares = np.full(d, p.constant**2 * float(ceiling.sum()))
            self.kernels.squares(p.rows, ceiling, squares[: p.d])
            G[flat, flat] = FLAT * squares[flat]
        delta = self.kernels.descend_dense(
            np.ascontiguousarray(G), v, w, p.l1, p.l2, tol, DENSE_SWEEPS, p.deadline)
        beta = (offset - float(h @ delta)) / mass if mass > 0 else 0.0
        return delta, p.products(delta, beta), beta

    def _promise(self, v: np.ndarray, w: np.ndarray, delta: np.ndarray) -> float:
        """How the loss, to first order, and the penalty change; near the optimum that is the small
        difference of large numbers, taken where they are smallest."""
        to = w + delta
        same = np.sign(w) * np.sign(to) > 0
        each = np.where(same, (self.p.l1 * np.sign(w) - v) * delta,
                        self.p.l1 * (np.abs(to) - np.abs(w)) - v * delta)
        return float(each.sum() + 0.5 * self.p.l2 * (delta @ (2 * w + delta)))

    def _penalty(self, w: np.ndarray) -> float:
        return self.p.l1 * float(np.abs(w).sum()) + 0.5 * self.p.l2 * float(w @ w)
