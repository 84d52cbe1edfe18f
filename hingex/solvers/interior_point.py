# SPDX-License-Identifier: BSD-3-Clause
"""Primal-dual interior point method for linear SVMs with hinge loss, for n >> d.

Problem, for every class against the rest (y_i = +-1, C_i = C * class weight * sample weight):

    min_{w, b}  1/2 ||w||^2 [+ 1/2 (b / scaling)^2]  +  sum_i C_i max(0, 1 - y_i (w.x_i + b))

with the bracket only for a regularized intercept. With alpha_i = C_i a_i, t_i = y_i f_i and R the
penalty (see `_second_order`), a point is optimal when

    R wa = sum_i alpha_i y_i xa_i,   t_i - 1 = z_i - xi_i,   a_i z_i = 0,   (1 - a_i) xi_i = 0

with 0 <= a <= 1 and z, xi >= 0; for an unregularized intercept the first equation contains
sum_i alpha_i y_i = 0. Newton steps follow the path a_i z_i = (1 - a_i) xi_i = mu to mu = 0, with
Mehrotra's predictor and corrector. Eliminating all that belongs to a row leaves the matrix

    R + sum_i theta_i xa_i xa_i^T,   theta_i = C_i / (z_i / a_i + xi_i / (1 - a_i))

to factor in each iteration. Products a_i z_i are measured in margins, whatever C_i, so a row of
weight 2 goes the way of two rows; only rows far heavier than most (`HEAVY`) aim at products so
small that they do not outweigh all others. The start is on the path, but for the first equation
and for those rows, around a least-squares fit of the labels.

Stopping: relative duality gap (P - D) / |P| <= tol, of hinge losses at (w, b) and of duals made
feasible. Duals that are about to end at a bound are then set there, as far as the gap allows.

Complexity: an iteration takes O(n d^2) (sum of squared row lengths when sparse) + O(d^3); there
are 10 to 30 for each class. Memory: O(d^2) and about 230 bytes a row.

Sources: Mehrotra, "On the implementation of a primal-dual interior point method", SIAM J. Optim.
1992; Ferris & Munson, "Interior-point methods for massive support vector machines", SIAM J.
Optim. 2002; Woodsend & Gondzio, "Exploiting separability in large-scale linear support vector
machine training", Comput. Optim. Appl. 2011.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core import kernels
from .._result import Fit
from ..stop import Monitor
from ._second_order import Factor, Problem, Stopped, shares

PATIENCE = 20  # iterations without a clearly smaller gap: rounding error, or no way on
SNAP = (0.3, 0.1, 0.01, 1e-4)  # how far from a bound duals may be set to it
STUCK, STUCK_STEPS = 0.05, 3  # so many steps so short: once, start anew around the best model
# Products far below their mean lead to short steps; raising a multiplier only adds a residual.
LEAST = 0.1  # of the mean


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
    loss : {"hinge"}
    max_iter : int
        Iterations for each class.
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
        With `dual` = alpha (n, lanes), 0 <= alpha <= C_i. The history has an entry per iteration
        of any class, and `n_iter` counts them all. Ctrl-C ends with status "interrupted",
        rounding that leaves no progress with "stalled".
    """
    if loss != "hinge":
        raise ValueError(f"the interior point solver is for loss='hinge'; got {loss!r}")
    problem = Problem(
        rows, codes, n_classes, C, cost, intercept, scaling, tol, max_iter, max_time, monitor,
        first,
    )  # fmt: skip
    if first is not None and first.dual is not None:
        start = (first.dual, first.intercept)
    shared = _Start(problem)

    def lane(k: int) -> None:
        _solve_lane(problem, k, shared.point(k, start))

    with np.errstate(all="ignore"):  # a step that overflows is refused by its gap
        return problem.run(lane)


class _Start:
    """The point to start from: least squares on the labels, one factor for all classes."""

    def __init__(self, problem: Problem) -> None:
        self.p = problem
        self.factor: Factor | None = None

    def point(self, k: int, start: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
        p, y = self.p, self.p.signs(k)
        if start is not None:
            alpha = np.clip(start[0][:, k], 0.0, p.cost)
            wa = p.combine(alpha * y)
            if p.constant != 0:
                wa[-1] = start[1][k] / p.constant
            return wa
        if self.factor is None:
            self.factor = Factor(_matrix(p, p.cost), p.ridge)
        return self.factor.solve(p.combine(p.cost * y))


def _matrix(p: Problem, theta: np.ndarray) -> np.ndarray:
    G = np.zeros((p.D, p.D))
    if not p.gram.weighted(theta, G):
        raise Stopped("max_time")
    return G


def _solve_lane(p: Problem, k: int, wa: np.ndarray) -> None:
    y = p.signs(k)
    share = shares(p.cost, y)
    path = kernels("interior").Path(p.cost, share, y, p.scores(wa))
    theta, r = np.empty(p.n), np.empty(p.n)
    best, waiting, short, fresh = np.inf, 0, 0, True
    for epoch in range(1, p.max_iter + 2):
        alpha = path.alpha()
        va = p.combine(alpha * y)
        primal = 0.5 * float(np.dot(wa, p.ridge * wa)) + path.loss()
        feasible, vf, lost = p.feasible(alpha, y, va, wa[-1] if p.free else 0.0, p.cost)
        dual = float(feasible.sum()) - 0.5 * float(np.dot(vf, p.ridge * vf)) - lost
        gap = p.settle(k, wa, feasible, primal, dual)
        done = gap <= p.tol and (_snap(p, k, y) or best <= p.tol)
        if epoch > 1:
            p.report(path.free())
        waiting = waiting + 1 if not gap <= 0.9 * best else 0
        best = min(best, gap)
        if done or waiting >= PATIENCE:
            return
        if epoch > p.max_iter:
            p.used_up = True
            return
        mu = path.weights(theta, r)
        if not mu > 0:  # underflow, or worse
            return
        factor = Factor(_matrix(p, theta), p.ridge)
        if not factor.sound:
            return
        residual = va - p.ridge * wa
        least = path.predict(p.scores(factor.solve(residual + p.combine(r))))
        path.correct(mu * min(1.0, path.ahead(min(1.0, least)) / mu) ** 3, r)
        step = factor.solve(residual + p.combine(r))
        least = path.step(p.scores(step))
        size = min(1.0, max(0.99, 1.0 - mu) * least)
        if not (size > 0.0 and np.isfinite(step).all()):
            return
        wa = wa + size * step
        path.move(size, LEAST)
        short = short + 1 if size < STUCK else 0
        if short >= STUCK_STEPS and fresh:
            best, waiting, fresh = np.inf, 0, False
            wa = p.weights[k].copy() if p.weights[k].any() else wa
            path = kernels("interior").Path(p.cost, share, y, p.scores(wa))


def _snap(p: Problem, k: int, y: np.ndarray) -> bool:
    """Set duals that are nearly at a bound to it, and w to what they combine to.

    A row with t > 1 loses alpha_i (t_i - 1) of the gap when its dual goes to 0, and a row with
    t < 1 likewise at C_i; what w moves by costs a second-order term. The largest distance that
    keeps the gap within tol is taken. So zeros of the dual are exact, as from other solvers.
    False when there is no such distance; one more iteration may help then.
    """
    wa, alpha, cost = p.weights[k].copy(), p.alpha[:, k].copy(), p.cost
    t = y * p.scores(wa)
    for near in SNAP:
        snapped = np.where((t > 1.0) & (alpha < near * cost), 0.0, alpha)
        snapped = np.where((t < 1.0) & (alpha > (1.0 - near) * cost), cost, snapped)
        va = p.combine(snapped * y)
        b = float(wa[-1]) if p.free else 0.0
        snapped, va, lost = p.feasible(snapped, y, va, b, cost)
        dual = float(snapped.sum()) - 0.5 * float(np.dot(va, p.ridge * va)) - lost
        if p.primal[k] - dual > p.tol * p.primal[k]:
            continue
        own = va.copy()
        if p.free:
            own[-1] = 0.0
            own[-1] = _best_intercept(p.scores(own), y, cost)
        loss = float((cost * np.maximum(1.0 - y * p.scores(own), 0.0)).sum())
        primal = 0.5 * float(np.dot(own, p.ridge * own)) + loss
        if primal - dual > p.tol * primal:
            own, primal = wa, float(p.primal[k])
        p.gap[k] = np.inf
        p.settle(k, own, snapped, primal, dual)
        return True
    return False


def _best_intercept(f: np.ndarray, y: np.ndarray, cost: np.ndarray) -> float:
    """The b that minimises sum_i C_i max(0, 1 - y_i (f_i + b)): a weighted quantile of y - f."""
    edges = y - f
    order = np.argsort(edges)
    passed = np.cumsum(cost[order])
    at = int(np.searchsorted(passed, float(cost[y > 0].sum())))
    return float(edges[order[min(at, len(order) - 1)]])
