# SPDX-License-Identifier: BSD-3-Clause
"""Newton's method for linear models with a hinge on all pairs of items of queries.

Problem, P the pairs (i, j) of one query with y_i > y_j, c_ij = scale_query s_i s_j > 0:

    min_w  1/2 ||w||^2 + sum_P c_ij phi(f_i - f_j),   f = X w,
    phi(t) = max(0, 1 - t) or max(0, 1 - t)^2

Dual, with alpha_ij >= 0 the losses' (absolute) derivatives and g = sum_P alpha_ij (e_j - e_i):

    max  sum_P alpha_ij - 1/2 ||X^T g||^2,              alpha_ij <= c_ij       hinge
    max  sum_P alpha_ij - alpha_ij^2 / (4 c_ij) - 1/2 ||X^T g||^2              squared hinge

The pairs are never written down: sums over them come from sorted scores (core/pairs.h), and what
the dual objective needs of alpha are g, sum alpha and the loss itself. The derivatives at any w are
feasible duals, so each iteration has a true gap; it ends when (P - D) / P <= tol.

The squared hinge is solved by truncated Newton: conjugate gradients with Hessian products in
O(nnz + n log n) each, then a search along the step that needs no pass over X. The hinge is
smoothed: phi is rounded off on (1 - delta, 1) by a parabola, which is (max(0, 1 - t)^2 - max(0, 1 -
delta - t)^2) / (2 delta), so that the same sums serve. The derivatives of the smoothed loss are
feasible duals of the hinge, too; its gap falls with delta^2 where pairs are many, with delta where
few decide. delta goes down when the rest of the gap is smaller than its share. Where Newton's steps
come to nothing, the cutting planes so far end the work: their best convex combination, a small
quadratic program, has a dual objective at least as high as any of them, and its weights are the
next point (the bundle method, with a search along the line from the best point so far).

Complexity: some 10 to 40 steps, each a few tens of passes over X. Memory: O(n + d), and for the
hinge PLANES planes of d numbers, at most 64 MB or FEWEST planes; where there are more, those that
count for nothing leave, or the two of the least weight are made one.

Sources: C.-P. Lee and C.-J. Lin, "Large-scale linear RankSVM", Neural Computation 26, 2014;
O. Chapelle and S. S. Keerthi, "Efficient algorithms for ranking with SVMs", Information Retrieval
13, 2010; V. Franc and S. Sonnenburg, "Optimized cutting plane algorithm for support vector
machines", ICML 2008; Y. Nesterov, "Smooth minimization of non-smooth functions", 2005.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core import kernels
from .._result import Fit
from .._targets import Queries
from ..stop import Monitor
from ._second_order import Problem
from ._simplex import Simplex

LOSSES = ("hinge", "squared_hinge")
UNIT = ((1.0, 1.0),)  # one term of coefficient 1 and margin 1
FIRST = 0.5  # width of the parabola that rounds off the hinge, to begin with
NEAR = 2.0  # times sqrt(tol): the width to begin with at a given start
FINEST = 1e-7  # where the difference of two squares has too few digits left
SHARE = 0.3  # of the gap that may be left of the smoothed problem's before delta goes down
MOST_CG = 300  # products for a step
MIX = 0.01  # of the Hessian's diagonal in the preconditioner
ARMIJO = 1e-4
PATIENCE = 3  # steps in a row that hardly lower the gap, after which planes are combined,
WEARY = 12  # and after which they take over
PLANES = 300  # at most,
NUMBERS = 1 << 23  # and of so many numbers in all,
FEWEST = 10  # but at least so many planes
FINE = 1e-6  # of the objective: a fall that is progress of the squared hinge
STUCK = 60  # steps in a row without progress that end the squared hinge
SEARCH = 40  # scores to look at in a search along a step
EXACT = 0.05  # of the slope, that a search along a step may leave
LOOSEST = 0.1  # accuracy of a step
NARROW = 0.4  # least factor of delta
FRESH = 10  # steps after which scores are made anew, without the rounding of so many sums


def solve(
    rows: Any,
    queries: Queries,
    *,
    loss: str,
    scale: np.ndarray,
    weight: np.ndarray | None,
    tol: float,
    max_iter: int,
    max_time: float | None,
    threads: int,
    monitor: Monitor,
    start: np.ndarray | None = None,
) -> Fit:
    """Solve the problem above.

    Parameters
    ----------
    rows : Rows
        (n, d).
    queries : Queries
        Of the rows.
    loss : {"hinge", "squared_hinge"}
    scale : ndarray (queries,)
        Factor of each query's pairs.
    weight : ndarray (n,) or None
        s, by row.
    tol, max_iter, max_time, monitor
        As for `dual_cd.solve`; max_iter counts Newton's steps and planes.
    threads : int
        Over queries; the result does not depend on it.
    start : ndarray (d,), optional
        Weights to begin with.

    Returns
    -------
    Fit
        With one problem, and without duals: there is one for each pair.
    """
    problem = Ranking(rows, queries, loss, scale, weight, tol, max_iter, max_time, threads, monitor)

    def lane(_: int) -> None:
        _Descent(problem, start).run()

    with np.errstate(all="ignore"):  # a step that overflows is refused by its objective
        fit = problem.run(lane)
    fit.dual = None
    return fit


class Ranking(Problem):
    """The data, and what has been reached."""

    def __init__(
        self, rows: Any, queries: Queries, loss: str, scale: np.ndarray, weight: np.ndarray | None,
        tol: float, max_iter: int, max_time: float | None, threads: int, monitor: Monitor,
    ) -> None:  # fmt: skip
        super().__init__(
            rows, None, 2, float(scale.max()), None, "none", 1.0, tol, max_iter, max_time, monitor)
        own = None if weight is None else np.ascontiguousarray(weight[queries.row])
        self.pairs = kernels("ranking").Pairs(
            queries.row, queries.start, queries.level, queries.levels, own, scale, threads)
        self.hinge = loss == "hinge"
        self.slopes = np.empty(self.n)
        # Nothing is known before the first look: the model 0 has the pairs' weight as objective.
        value, mass = self.pairs.evaluate(np.zeros(self.n), UNIT, False, self.slopes)
        self.primal, self.dual = [value], [0.0]
        self.gap = [1.0 if mass > 0 else 0.0]

    def terms(self, delta: float) -> tuple[tuple[float, float], ...]:
        """The smooth loss as squares: (coefficient, margin) of each."""
        if not self.hinge:
            return UNIT
        half = 0.5 / delta
        return (half, 1.0), (-half, 1.0 - delta)

    def offer(self, w: np.ndarray, primal: float) -> None:
        """Keep these weights if their objective is the lowest so far."""
        if np.isfinite(primal):
            self.offer_primal(0, w, primal)

    def bound(self, dual: float) -> None:
        """Take note of a dual objective; the duals themselves, one for each pair, are nowhere."""
        if np.isfinite(dual) and dual > self.dual[0]:
            self.dual[0] = dual
            self.update_gap(0)


class _Descent:
    """One run: where it is, and the planes that it has seen."""

    def __init__(self, p: Ranking, start: np.ndarray | None) -> None:
        self.p = p
        self.w = np.zeros(p.d) if start is None else start.copy()
        self.f = np.zeros(p.n) if start is None else p.scores(start)
        # A start may be near the optimum already: what suits the gap to reach keeps it there.
        self.delta = FIRST if start is None else min(FIRST, NEAR * float(np.sqrt(p.tol)))
        self.first = 0.0  # norm of the first gradient
        self.bundle = Simplex(p.d, int(min(max(NUMBERS // max(p.d, 1), FEWEST), PLANES)))
        self.value = self.mass = 0.0
        self.part = np.empty(p.n)  # by row, for what is not kept

    def run(self) -> None:
        p = self.p
        idle, best, lowest = 0, p.gap[0], p.primal[0]
        self._look(self.f)
        for step in range(1, p.max_iter + 1):
            va, primal = self._certify()
            if p.hinge and idle >= PATIENCE and p.gap[0] > p.tol:
                self._combine()
            p.report(p.n)
            if p.gap[0] <= p.tol:
                return
            better = p.gap[0] < 0.9 * best or (not p.hinge and p.primal[0] < (1 - FINE) * lowest)
            idle = 0 if better else idle + 1
            best, lowest = min(best, p.gap[0]), p.primal[0]
            if idle > (WEARY if p.hinge else STUCK):
                break
            gradient = self.w + va
            left = 0.5 * float(gradient @ gradient)
            if p.hinge and left <= SHARE * (p.primal[0] - p.dual[0]):
                if self.delta <= FINEST:
                    break
                self._narrow()
                self._look(None)
            elif not self._step(gradient, primal, step):
                idle += PATIENCE
                if p.hinge:
                    self._narrow()
                self.f = p.scores(self.w)
                self._look(self.f)
        else:
            p.used_up = True
            return
        if p.hinge:
            self._cut(p.max_iter - step)

    def _look(self, f: np.ndarray | None) -> None:
        """Value and derivatives of the smooth loss at scores f, or at the last ones."""
        p = self.p
        self.value, self.mass = p.pairs.evaluate(f, p.terms(self.delta), True, p.slopes)

    def _certify(self) -> tuple[np.ndarray, float]:
        """X^T g and the smooth objective here; what they prove is noted."""
        p = self.p
        va = p.combine(p.slopes)
        square = 0.5 * float(self.w @ self.w)
        if p.hinge:
            loss = p.pairs.evaluate(None, UNIT, False, self.part)[0]
            p.offer(self.w, square + loss)
            dual = self.mass - 0.5 * float(va @ va)
            self.bundle.add(va, self.mass)
        else:
            p.offer(self.w, square + self.value)
            dual = self.mass - self.value - 0.5 * float(va @ va)
        p.bound(dual)
        return va, square + self.value

    def _narrow(self) -> None:
        """The next width: what brings the gap to tol if it falls with the square."""
        p = self.p
        wanted = np.sqrt(0.3 * p.tol / max(p.gap[0], 1e-300))
        self.delta = max(self.delta * min(max(wanted, NARROW), 0.5), FINEST)

    def _step(self, gradient: np.ndarray, primal: float, step: int) -> bool:
        """A Newton step; whether the smooth objective fell."""
        p = self.p
        norm = float(np.linalg.norm(gradient))
        self.first = self.first or norm
        wanted = 0.5 * np.sqrt(2 * p.tol * max(primal, 0.0)) / norm if norm else 1.0
        fallen = norm / self.first if self.first else 1.0
        accuracy = min(LOOSEST, max(np.sqrt(fallen), wanted, 1e-8))
        direction = self._gradients(gradient, accuracy)
        slope = float(gradient @ direction)
        if not slope < 0:
            return False
        change = p.scores(direction)
        ww, ws, ss = (float(a @ b) for a, b in (
            (self.w, self.w), (self.w, direction), (direction, direction)))
        size, low, high = 1.0, 0.0, np.inf
        at_low, at_high, turn, fell = slope, np.inf, 0, 0.0
        while turn < SEARCH:
            turn += 1
            f = self.f + size * change
            self._look(f)
            here = self.value + 0.5 * ww + size * ws + 0.5 * size * size * ss
            now = ws + size * ss + float(p.slopes @ change)
            p.check_time()
            fine = here <= primal + ARMIJO * size * slope
            if fine and now <= EXACT * abs(slope) and (now >= EXACT * slope or size >= 16):
                break
            if not fine or not now <= 0:
                high, at_high = size, now
            else:
                low, at_low, fell = size, now, size
            if high == np.inf:
                size *= 2
                continue
            # By the slopes at both ends where they tell, else in the middle, in turns.
            size = 0.5 * (low + high)
            if turn % 2 and np.isfinite(at_high) and at_high > 0 > at_low:
                size = low + (high - low) * at_low / (at_low - at_high)
        else:
            size = fell  # the farthest at which the objective is known to fall
            f = self.f + size * change
            self._look(f)
            if size == 0:
                return False
        self.w = self.w + size * direction
        self.f = f
        if step % FRESH == 0:
            self.f = p.scores(self.w)
            self._look(self.f)
        return True

    def _gradients(self, gradient: np.ndarray, accuracy: float) -> np.ndarray:
        """About -H^-1 gradient, by preconditioned conjugate gradients."""
        p = self.p
        part, diagonal = self.part, np.empty(p.d)
        p.pairs.degrees(part)
        kernels("penalized").squares(p.rows, part, diagonal)
        scale = MIX * (1 + np.maximum(diagonal, 0)) + (1 - MIX)
        x, r = np.zeros(p.d), -gradient
        z = r / scale
        v = z.copy()
        rz = float(r @ z)
        goal = accuracy * accuracy * rz
        for _ in range(MOST_CG):
            if not rz > goal:
                break
            p.pairs.product(p.scores(v), part)
            Hv = v + p.combine(part)
            bend = float(v @ Hv)
            if not bend > 0:
                break
            size = rz / bend
            x += size * v
            r -= size * Hv
            z = r / scale
            before, rz = rz, float(r @ z)
            v = z + (rz / before) * v
        return x

    def _cut(self, iterations: int) -> None:
        """The bundle method for the hinge itself, with the planes so far."""
        p = self.p
        best_f = p.scores(p.weights[0])
        still, lowest = 0, p.primal[0]
        for _ in range(iterations):
            w = -self._combine()
            if p.gap[0] <= p.tol:
                p.report(p.n)
                return
            f = p.scores(w)
            self._plane(w, f)
            best = p.weights[0].copy()
            size = self._search(best, w - best, best_f, f - best_f)
            if size > 0:
                best = best + size * (w - best)
                best_f = p.scores(best)
                self._plane(best, best_f)
            p.report(p.n)
            if p.gap[0] <= p.tol:
                return
            fell = p.primal[0] < (1 - FINE) * lowest
            still, lowest = 0 if fell or self.bundle.grew else still + 1, p.primal[0]
            if still > PATIENCE:
                return  # rounding
        p.used_up = True

    def _combine(self) -> np.ndarray:
        """X^T g of the best convex combination of the planes; its dual objective is noted."""
        p = self.p
        va, mass = self.bundle.solve()
        p.bound(mass - 0.5 * float(va @ va))
        p.check_time()
        return va

    def _plane(self, w: np.ndarray, f: np.ndarray) -> None:
        """Note the objective and the plane at w."""
        p = self.p
        value, mass = p.pairs.evaluate(f, UNIT, False, p.slopes)
        p.offer(w, 0.5 * float(w @ w) + value)
        self.bundle.add(p.combine(p.slopes), mass)

    def _search(self, w: np.ndarray, step: np.ndarray, f: np.ndarray, change: np.ndarray) -> float:
        """Size in 0..1 of the step at which the objective is about least."""
        p = self.p
        ws, ss = float(w @ step), float(step @ step)
        low, high = 0.0, 1.0
        size = 0.5
        for _ in range(20):
            p.pairs.evaluate(f + size * change, UNIT, False, p.slopes)
            slope = ws + size * ss + float(p.slopes @ change)
            if slope > 0:
                high = size
            else:
                low = size
            if high - low < 0.05 * high:
                break
            size = 0.5 * (low + high)
        return low if low > 0 else high


