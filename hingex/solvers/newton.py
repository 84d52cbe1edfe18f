# SPDX-License-Identifier: BSD-3-Clause
"""Primal finite Newton method for linear SVMs with squared hinge, for n >> d.

Problem, for every class against the rest (y_i = +-1, C_i = C * class weight * sample weight):

    min_{w, b}  1/2 ||w||^2 [+ 1/2 (b / scaling)^2]  +  sum_i C_i max(0, 1 - y_i (w.x_i + b))^2

with the bracket only for a regularized intercept. On rows with a positive loss, the active set A,
the objective is quadratic, with Hessian H = R + 2 sum_A C_i xa_i xa_i^T, R the penalty. A step
goes to that quadratic's minimum if it has the same active set (then it is the solution), else to
the minimum of the true objective on the line there, found exactly, which makes the method finite.
H follows the active set by the rows that came and went when they are few.

Stopping: relative duality gap (P - D) / |P| <= tol with alpha_i = 2 C_i max(0, 1 - y_i f_i),
which makes sum_i alpha_i y_i = 0 at the optimum of an unregularized intercept; before, the
heavier side is scaled down. Without intercept P - D is 1/2 ||gradient||^2. Small problems are
followed to the end, where the active set no longer changes.

Complexity: O(n d^2) for the first iteration (sum of squared row lengths when sparse), less for
later ones, plus O(d^3), about ten iterations for each class. Memory: O(d^2) and about 140 bytes a
row.

Sources: Mangasarian, "A finite Newton method for classification", 2002; Keerthi & DeCoste, "A
modified finite Newton method for fast solution of large scale linear SVMs", JMLR 2005; Chapelle,
"Training a support vector machine in the primal", Neural Computation 2007.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._result import Fit
from ..stop import Monitor
from ._second_order import Factor, Problem, Stopped

# Problems this small (multiply-adds of a full Hessian) are solved to rounding error: it takes a
# step or two more, and then weights equal repeated rows to the last digits.
POLISH_WORK = 5e6
PATIENCE = 3  # iterations without a smaller gap once the active set is final: rounding error


def solve(
    rows: Any,
    codes: np.ndarray,
    n_classes: int,
    *,
    loss: str,
    C: float,
    cost: np.ndarray | None,
    intercept: str,
    scaling: float,
    tol: float,
    max_iter: int,
    max_time: float | None,
    threads: int,
    seed: int,
    monitor: Monitor,
    start: tuple[np.ndarray, np.ndarray] | None = None,
    first: Fit | None = None,
) -> Fit:
    """Solve one binary problem (two classes) or all one-vs-rest problems, one after another.

    Parameters
    ----------
    rows, codes, n_classes, C, cost, intercept, scaling, tol, max_time, monitor
        As for `dual_cd.solve`.
    loss : {"squared_hinge"}
    max_iter : int
        Newton steps for each class.
    threads, seed
        Not used: one thread, nothing random.
    start : (alpha, intercepts), optional
        Warm start: duals (n, lanes), of which w = sum_i alpha_i y_i x_i, and intercepts.
    first : Fit, optional
        What another solver has reached: classes within tol stay as they are, the others start
        there, the history and the clock go on.

    Returns
    -------
    Fit
        With `dual` = alpha (n, lanes), >= 0. The history has an entry per Newton step of any
        class, and `n_iter` counts them all. Ctrl-C ends with status "interrupted", rounding that
        leaves no progress with "stalled".
    """
    if loss != "squared_hinge":
        raise ValueError(f"the Newton solver is for loss='squared_hinge'; got {loss!r}")
    problem = Problem(
        rows, codes, n_classes, C, cost, intercept, scaling, tol, max_iter, max_time, monitor,
        first,
    )  # fmt: skip
    if first is not None and first.dual is not None:
        start = (first.dual, first.intercept)
    hessian = _Hessian(problem)

    def lane(k: int) -> None:
        wa = np.zeros(problem.D)
        if start is not None:
            alpha = np.where(problem.cost > 0, np.maximum(start[0][:, k], 0.0), 0.0)
            wa = problem.combine(alpha * problem.signs(k))
            if problem.constant != 0:
                wa[-1] = start[1][k] / problem.constant
        _solve_lane(problem, hessian, k, wa)

    with np.errstate(all="ignore"):  # a step that overflows is refused by its gap
        return problem.run(lane)


def _solve_lane(p: Problem, hessian: _Hessian, k: int, wa: np.ndarray) -> None:
    y, cost = p.signs(k), p.cost
    polish = p.n * float(p.D) ** 2 < POLISH_WORK
    f = p.scores(wa) if wa.any() else np.zeros(p.n)
    final = False  # the last step ended with the active set it was made for
    stalled = 0
    for epoch in range(1, p.max_iter + 2):
        u = 1.0 - y * f
        active = (u > 0) & (cost > 0)
        u_active = np.where(active, u, 0.0)
        weighted = cost * u_active
        alpha = 2.0 * weighted
        va = p.combine(alpha * y)
        primal = 0.5 * float(np.dot(wa, p.ridge * wa)) + float((weighted * u_active).sum())

        b = wa[-1] if p.free else 0.0
        feasible, vf, lost = p.feasible(alpha, y, va, b)
        dual = float(feasible.sum()) - 0.5 * float(np.dot(vf, p.ridge * vf)) - lost
        dual -= 0.25 * _quotient(feasible, cost)
        best = p.gap[k]
        gap = p.settle(k, wa, feasible, primal, dual)
        if epoch > 1:
            p.report(int(np.count_nonzero(active)))
        stalled = stalled + 1 if final and gap > 0.5 * best else 0
        if (gap <= p.tol and (final or not polish)) or stalled >= PATIENCE:
            return
        if epoch > p.max_iter:
            p.used_up = True
            return

        factor = hessian.at(active)
        if not factor.sound:
            return
        step = factor.solve(va - p.ridge * wa)
        change = p.scores(step)
        h = y * change
        final = bool((((u > h) & (cost > 0)) == active).all())
        size = 1.0 if final else _line_minimum(p, wa, step, u, h)
        wa = wa + size * step
        f += size * change


def _quotient(alpha: np.ndarray, cost: np.ndarray) -> float:
    """sum alpha_i^2 / C_i over rows that have a dual."""
    some = alpha > 0
    return float(np.divide(alpha * alpha, cost, where=some, out=np.zeros_like(alpha)).sum())


def _line_minimum(
    p: Problem, wa: np.ndarray, step: np.ndarray, u: np.ndarray, h: np.ndarray
) -> float:
    """Where the objective is least on wa + size * step; margins fall short by u - size * h.

    The derivative is increasing and piecewise linear: Newton steps inside a shrinking bracket
    come to its zero exactly.
    """
    linear = float(np.dot(wa, p.ridge * step))
    square = float(np.dot(step, p.ridge * step))
    cost_h = 2.0 * p.cost * h
    cost_hh = cost_h * h
    size, low, high = 1.0, 0.0, np.inf
    for _ in range(50):
        short = u - size * h
        slope = linear + size * square - float((cost_h * np.maximum(short, 0.0)).sum())
        curvature = square + float(cost_hh[short > 0].sum())
        if slope > 0:
            high = size
        else:
            low = size
        move = -slope / curvature if curvature > 0 else -0.5 * size
        size += move
        if abs(move) <= 1e-12 * size:
            break
        if not low < size < high:
            size = 0.5 * (low + high) if high < np.inf else 2.0 * low
    return size


class _Hessian:
    """sum_A 2 C_i xa_i xa_i^T for the active set asked for, and its Cholesky factor.

    All classes start with all rows active when nothing is known, so that first matrix is kept.
    """

    def __init__(self, problem: Problem) -> None:
        self.p = problem
        self.weights = 2.0 * problem.cost
        self.active = np.zeros(problem.n, dtype=bool)
        self.G = np.zeros((problem.D, problem.D))
        self.clean = True  # nothing subtracted: no cancellation
        self.full: tuple[np.ndarray, Factor] | None = None
        self.used = problem.cost > 0

    def at(self, active: np.ndarray) -> Factor:
        shared = self.p.lanes > 1 and bool((active == self.used).all())
        if shared and self.full is not None:
            self.G, self.active, self.clean = self.full[0].copy(), active, True
            return self.full[1]
        changed = np.flatnonzero(active != self.active)
        if 2 * len(changed) < np.count_nonzero(active):
            entered = active[changed]
            self._add(changed[entered], 1.0)
            left = changed[~entered]
            self._add(left, -1.0)
            self.clean = self.clean and len(left) == 0
        else:
            self._renew(active)
        self.active = active
        factor = Factor(self.G, self.p.ridge)
        if not factor.exact and not self.clean:
            self._renew(active)
            factor = Factor(self.G, self.p.ridge)
        if shared:
            self.full = self.G.copy(), factor
        return factor

    def _renew(self, active: np.ndarray) -> None:
        self.G = np.zeros_like(self.G)
        self.clean = True
        self._call(np.where(active, self.weights, 0.0), None, 1.0)

    def _add(self, which: np.ndarray, sign: float) -> None:
        if len(which):
            self._call(self.weights[which], which.astype(np.int32), sign)

    def _call(self, s: np.ndarray, which: np.ndarray | None, sign: float) -> None:
        if not self.p.gram.weighted(s, self.G, which, sign):
            raise Stopped("max_time")
