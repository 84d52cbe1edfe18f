# SPDX-License-Identifier: BSD-3-Clause
"""Newton's method for linear models with any convex margin loss and an l2 penalty.

The problem, its dual and the treatment of kinks and of a free intercept are told in `_convex`,
here with l1 = 0 and l2 = 1. A step solves H step = -gradient with H = R + sum_i s_i xa_i xa_i^T,
s_i = C_i psi''(y_i f_i), R the penalty:

- by the Cholesky factor of H where there are few features, the sum being formed from the rows;
- else by conjugate gradients with a product H v in one pass over X, preconditioned by a mixture of
  H's diagonal and the identity, the free intercept eliminated exactly, and as exactly as pays.

A search along the step, which needs no pass over X, follows; with it the method converges from
anywhere (Galli and Lin find it ahead of the trust region of Lin, Weng and Keerthi). Stopping:
relative duality gap (P - D) / |P| <= tol; for a differentiable loss P - D = 1/2 ||gradient||^2.
Small problems are followed until rounding.

Complexity: a step costs a pass for the gradient and either O(n d^2) (sum of squared row lengths
when sparse) + O(d^3), or some 5 to 50 passes; about ten steps, with kinks some thirty, for each
class. Memory: O(d^2) or O(d), and some 100 bytes a row.

Sources: C.-J. Lin, R. C. Weng and S. S. Keerthi, "Trust region Newton method for large-scale
logistic regression", JMLR 9, 2008; L. Galli and C.-J. Lin, "A study on truncated Newton methods for
linear classification", IEEE TNNLS 33, 2022; C.-Y. Hsia, W.-L. Chiang and C.-J. Lin,
"Preconditioned conjugate gradient methods in truncated Newton frameworks for large-scale linear
classification", ACML 2018.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core import kernels
from .._result import Fit
from ..losses import MarginLoss
from ..stop import Monitor
from ._convex import Penalized, Shifted, Smooth, follow
from ._second_order import Factor, Stopped

POLISH_WORK = 5e6  # multiply-adds of a Hessian, up to which problems are solved until rounding
FINEST = 1e-15  # a relative gap that is nothing but rounding
PATIENCE = 4  # iterations that do not halve the gap, after which polishing ends
LONGEST = 60  # iterations that neither lower the gap nor the objective
MOST_CG = 300  # products for a step
WIDEST = 3000  # features up to which H may be formed
PASSES = 25  # over X that forming and factoring H may cost and still be the first choice
MIX = 0.01  # of H's diagonal in the preconditioner


def solve(
    rows: Any,
    codes: np.ndarray,
    n_classes: int,
    *,
    loss: MarginLoss,
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
    max_iter : int
        Newton steps for each class.
    start : (coef, intercepts), optional
        Where to begin: (lanes, d) and (lanes,).
    duals : ndarray (n, lanes), optional
        Duals of `start`, for losses with kinks.

    Returns
    -------
    Fit
        With `dual` = alpha (n, lanes). The history has an entry per step of any class.
    """
    problem = Penalized(
        loss, rows, codes, n_classes, C, cost, intercept, scaling, tol, max_iter, max_time, monitor,
    )  # fmt: skip

    problem.known = duals

    def lane(k: int) -> None:
        wa = np.zeros(problem.D)
        if start is not None:
            wa[: problem.d] = start[0][k]
            if problem.constant != 0:
                wa[-1] = start[1][k] / problem.constant
        _solve_lane(problem, k, wa)

    with np.errstate(all="ignore"):  # a step that overflows is refused by its gap
        return problem.run(lane)


def _solve_lane(p: Penalized, k: int, wa: np.ndarray) -> None:
    seen = p.view(k)
    steps = _Steps(p)
    polish = p.n * float(p.D) ** 2 < POLISH_WORK
    f = p.scores(wa) if wa.any() else np.zeros(p.n)
    wa, f = _centred(p, seen, wa, f)
    best, lowest, stalled, slow = np.inf, np.inf, 0, 0
    for epoch in range(1, p.max_iter + 2):
        va = p.combine(seen.signed)
        primal, gap, error = _certify(p, seen, k, wa, f, va)
        if epoch > 1:
            p.report(p.n)
        stalled = stalled + 1 if gap >= 0.5 * best else 0
        slow = slow + 1 if not (gap < 0.999 * best or primal < lowest) else 0
        best, lowest = min(best, gap), min(lowest, primal)
        if p.gap[k] <= p.tol and (not polish or stalled >= PATIENCE):
            return
        if slow >= LONGEST:
            return
        if epoch > p.max_iter:
            p.used_up = True
            return
        residual = p.ridge * wa - va
        solved = 0.5 * float(residual @ residual)
        if isinstance(seen, Shifted) and (gap <= FINEST or solved <= 0.3 * error):
            seen.shift(error)
            seen.look(f)
            wa, f = _centred(p, seen, wa, f)
            va = p.combine(seen.signed)
            residual = p.ridge * wa - va
        step = steps.solve(seen.curvature, residual, primal)
        if step is None:
            return
        change = p.scores(step)
        penalty = p.ridge * step
        size = follow(seen, f, change, float(wa @ penalty), float(step @ penalty), primal)
        if size == 0:
            if not isinstance(seen, Shifted) or stalled >= 2 * PATIENCE:
                return  # rounding
            seen.look(f)
            continue
        wa = wa + size * step
        f = f + size * change
        if epoch % 10 == 0:
            f = p.scores(wa)  # without the rounding of ten sums
        wa, f = _centred(p, seen, wa, f)


def _centred(
    p: Penalized, seen: Smooth, wa: np.ndarray, f: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`seen` evaluated at the best free intercept for these weights."""
    if not p.free:
        seen.look(f)
        return wa, f
    move, f = p.balanced(seen, f)
    if move:
        wa = wa.copy()
        wa[-1] += move
    return wa, f


def _certify(
    p: Penalized, seen: Smooth, k: int, wa: np.ndarray, f: np.ndarray, va: np.ndarray
) -> tuple[float, float, float]:
    """Objective, relative gap, and the part of the gap that is due to envelopes."""
    primal = p.penalty(wa) + seen.value(f)
    signed, rest = p.feasible_sum(seen.signed)
    if signed is seen.signed:
        vf, value = va, seen.dual(f)
    else:
        vf, value = p.combine(signed), seen.dual_of(signed)
    b = float(wa[-1]) if p.free else 0.0
    dual = value - p.penalty(vf) - rest * abs(b)
    apart = p.ridge * (wa - vf)
    error = primal - dual - 0.5 * float(apart @ apart)
    return primal, p.settle(k, wa, signed * seen.y, primal, dual), error


class _Steps:
    """Solves for Newton's steps, by a factor or by conjugate gradients."""

    def __init__(self, p: Penalized) -> None:
        self.p = p
        self.kernels = kernels("penalized")
        n, D, nnz = p.n, p.D, p.rows.nnz
        work = min(nnz**2 / (2 * max(n, 1)), n * D**2 / 16) + D**3 / 60
        self.direct = D <= WIDEST and work <= PASSES * 2 * (nnz + n)
        self.first = 0.0  # norm of the first right-hand side

    def solve(self, s: np.ndarray, residual: np.ndarray, primal: float) -> np.ndarray | None:
        """Step for weights s; None if that fails. `residual` is the gradient."""
        if self.direct:
            return self._factor(s, residual)
        norm = float(np.linalg.norm(residual))
        self.first = self.first or norm
        # Half of what certifies tol, but no more than what superlinear convergence wants.
        wanted = 0.5 * np.sqrt(2 * self.p.tol * max(primal, 0.0)) / norm if norm else 1.0
        accuracy = min(0.1, max(np.sqrt(norm / self.first), wanted, 1e-8) if self.first else 0.1)
        step, count = self._gradients(s, residual, accuracy)
        if count >= MOST_CG and self.p.D <= WIDEST:
            self.direct = True
            return self._factor(s, residual)
        return step

    def _factor(self, s: np.ndarray, residual: np.ndarray) -> np.ndarray | None:
        p = self.p
        G = np.zeros((p.D, p.D))
        if not p.gram.weighted(s, G):
            raise Stopped("max_time")
        factor = Factor(G, p.ridge)
        return factor.solve(-residual) if factor.sound else None

    def _product(self, s: np.ndarray, v: np.ndarray) -> np.ndarray:
        out = np.empty(self.p.D)
        self.kernels.hessian(self.p.rows, s, v, self.p.constant, out)
        return out

    def _gradients(
        self, s: np.ndarray, residual: np.ndarray, accuracy: float
    ) -> tuple[np.ndarray, int]:
        p, d = self.p, self.p.d
        diagonal = np.empty(d)
        self.kernels.squares(p.rows, s, diagonal)
        mass = float(s.sum()) if p.free else 0.0
        column = np.zeros(p.D)
        if mass > 0:
            unit = np.zeros(p.D)
            unit[-1] = 1.0
            column = self._product(s, unit)  # the intercept's column of H
        scale = np.ones(p.D)
        scale[:d] = MIX * (1 + diagonal) + (1 - MIX)
        if p.constant != 0 and not p.free:
            scale[-1] = MIX * (1 + p.constant**2 * float(s.sum())) + (1 - MIX)

        def full(v: np.ndarray) -> np.ndarray:
            """v with the intercept that makes its entry of H v zero."""
            if mass > 0:
                v[-1] = -float(column[:d] @ v[:d]) / mass
            elif p.free:
                v[-1] = 0.0
            return v

        r = -residual
        if mass > 0:
            r[:d] += column[:d] * (float(residual[-1]) / mass)
        if p.free:
            r[-1] = 0.0
        x = np.zeros(p.D)
        z = r / scale
        v = full(z.copy())
        rz = float(r @ z)
        goal = accuracy * accuracy * rz
        count = 0
        while count < MOST_CG and rz > goal:
            count += 1
            Hv = self._product(s, v) + p.ridge * v
            if p.free:
                Hv[-1] = 0.0
            bend = float(v @ Hv)
            if not bend > 0:
                break
            size = rz / bend
            x += size * v
            r -= size * Hv
            z = r / scale
            before, rz = rz, float(r @ z)
            v = full(z + (rz / before) * v)  # which sets a free intercept anew
            p.check_time()
        if mass > 0:
            x[-1] = (-float(residual[-1]) - float(column[:d] @ x[:d])) / mass
        elif p.free:
            x[-1] = 0.0
        return x, count
