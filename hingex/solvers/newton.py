# SPDX-License-Identifier: BSD-3-Clause
"""Primal finite Newton method for linear SVMs, for n >> d: with squared hinge as told here, with
hinge inside the method of multipliers, see `_hinge_newton`.

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

from .._core import kernels
from .._result import Fit
from ..stop import Monitor
from ._hinge_newton import Lanes
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
    loss : {"hinge", "squared_hinge"}
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
        With `dual` = alpha (n, lanes), 0 <= alpha (<= C_i with the hinge). The history has an
        entry per Newton step of any class, and `n_iter` counts them all. Ctrl-C ends with status
        "interrupted", rounding that leaves no progress with "stalled".
    """
    problem = Problem(
        rows, codes, n_classes, C, cost, intercept, scaling, tol, max_iter, max_time, monitor,
        first,
    )  # fmt: skip
    if first is not None and first.dual is not None:
        start = first.dual, first.intercept
    if loss == "hinge":
        with np.errstate(all="ignore"):
            return problem.run(Lanes(problem, start, first).solve)
    losses = kernels("newton").Losses(problem.cost)
    hessian = _Hessian(problem, losses)

    def lane(k: int) -> None:
        losses.choose(problem.signs(k))
        wa = np.zeros(problem.D)
        if start is not None:
            alpha = np.where(problem.cost > 0, np.maximum(start[0][:, k], 0.0), 0.0)
            wa = problem.combine(alpha * losses.y)
            if problem.constant != 0:
                wa[-1] = start[1][k] / problem.constant
        _solve_lane(problem, hessian, losses, k, wa)

    with np.errstate(all="ignore"):  # a step that overflows is refused by its gap
        return problem.run(lane)


def _solve_lane(p: Problem, hessian: _Hessian, losses: Any, k: int, wa: np.ndarray) -> None:
    polish = p.n * float(p.D) ** 2 < POLISH_WORK
    f = p.scores(wa)
    final = False  # the last step ended with the active set it was made for
    stalled = 0
    for epoch in range(1, p.max_iter + 2):
        loss, count = losses.look(f)
        va = p.combine(losses.signed)
        primal = p.penalty(wa) + loss

        share, value, rest = losses.balance(float(va[-1]) if p.free else 0.0)
        vf = va - share * p.combine(losses.part) if share else va
        dual = value - p.penalty(vf) - abs(rest * wa[-1])
        best = p.gap[k]
        gap = p.settle(k, wa, losses.feasible, primal, dual)
        if epoch > 1:
            p.report(count)
        stalled = stalled + 1 if final and gap > 0.5 * best else 0
        if (gap <= p.tol and (final or not polish)) or stalled >= PATIENCE:
            return
        if epoch > p.max_iter:
            p.used_up = True
            return

        factor = hessian.at(count)
        if not factor.sound:
            return
        step = factor.solve(va - p.ridge * wa)
        change = p.scores(step)
        final = losses.move(change)
        if final:
            size = 1.0
        else:
            ridge_step = p.ridge * step
            size = losses.line_minimum(float(wa @ ridge_step), float(step @ ridge_step))
        wa = wa + size * step
        f += size * change


class _Hessian:
    """sum_A 2 C_i xa_i xa_i^T for the active set asked for, and its Cholesky factor.

    All classes start with all rows active when nothing is known, so that first matrix is kept.
    """

    def __init__(self, problem: Problem, losses: Any) -> None:
        self.p, self.losses = problem, losses
        self.active = np.zeros(problem.n, dtype=bool)
        self.G = np.zeros((problem.D, problem.D))
        self.clean = True  # nothing subtracted: no cancellation
        self.full: tuple[np.ndarray, Factor] | None = None
        self.used = np.count_nonzero(problem.cost)

    def at(self, count: int) -> Factor:
        """Factor for the active set of `losses`, which has `count` rows."""
        active = self.losses.active.copy()
        shared = self.p.lanes > 1 and count == self.used
        if shared and self.full is not None:
            self.G, self.active, self.clean = self.full[0].copy(), active, True
            return self.full[1]
        entered, left = self.losses.changes(self.active)
        if 2 * (entered + left) < count:
            self._add(slice(0, entered), 1.0)
            self._add(slice(self.p.n - left, self.p.n), -1.0)
            self.clean = self.clean and left == 0
        else:
            self._renew()
        self.active = active
        factor = Factor(self.G, self.p.ridge)
        if not factor.exact and not self.clean:
            self._renew()
            factor = Factor(self.G, self.p.ridge)
        if shared:
            self.full = self.G.copy(), factor
        return factor

    def _renew(self) -> None:
        self.G = np.zeros_like(self.G)
        self.clean = True
        entered, _ = self.losses.changes(np.zeros_like(self.active))
        self._add(slice(0, entered), 1.0)

    def _add(self, part: slice, sign: float) -> None:
        weights, which = self.losses.weights[part], self.losses.rows[part]
        if not self.p.gram.weighted(weights, self.G, which, sign):
            raise Stopped("max_time")
