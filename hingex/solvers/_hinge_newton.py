# SPDX-License-Identifier: BSD-3-Clause
"""Newton's method inside the method of multipliers: linear SVMs with hinge loss, for n >> d.

Problem, for every class against the rest (y_i = +-1, C_i = C * class weight * sample weight):

    min_{w, b}  1/2 ||w||^2 [+ 1/2 (b / scaling)^2]  +  sum_i C_i max(0, 1 - y_i (w.x_i + b))

with the bracket only for a regularized intercept. With duals alpha_i = C_i a_i, margins
t_i = y_i f_i and R the penalty (see `_second_order`), the loss of a row is the largest of
a (1 - t_i) over 0 <= a <= 1. Held near centres c_i it becomes smooth:

    max_a  a (1 - t_i) - width / (2 share_i) (a - c_i)^2
    at     a_i = clip(c_i + share_i (1 - t_i) / width, 0, 1)

Newton's method with an exact line search minimises penalty plus smooth losses; its matrix
R + sum_i (C_i share_i / width) xa_i xa_i^T needs only the rows with 0 < a_i < 1. When the smooth
problem is solved to a part of the gap that its smoothness leaves, the centres move to the
multipliers (which is the proximal point method on the dual, or the method of multipliers on the
primal: it comes to the solution without the width going to zero) and the width shrinks, as far as
enough rows stay inside to determine a step. The number of rows inside falls from about n to about
d, so all matrices together cost a few full ones, and an iteration is mostly two passes over X.
Large steps of Newton's method fail when the width is too small for where the centres are; it is
then widened. Rows far heavier than most have share < 1, as their part of the gap would be all.

Stopping: relative duality gap (P - D) / |P| <= tol, with P of the best model seen, D of the best
duals, made feasible by scaling where sum_i alpha_i y_i = 0 is asked for, both recomputed over all
rows before they count.

Complexity: O(n d) an iteration and O(m d^2) for m rows inside, O(d^3) for the factor; 15 to 60
iterations for each class, few beyond 100. Memory: O(d^2) and about 120 bytes a row.

Sources: Rockafellar, "Augmented Lagrangians and applications of the proximal point algorithm in
convex programming", Math. Oper. Res. 1976; Mangasarian & Musicant, "Lagrangian support vector
machines", JMLR 2001; Yan & Li, "An efficient augmented Lagrangian method for support vector
machine", Optim. Methods Softw. 2020.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core import kernels
from .._result import Fit
from ._second_order import TINY, Factor, Problem, Stopped, shares

FACTORS = np.array([0.1, 0.2, 0.4, 0.7, 1.0])  # of the width from one set of centres to the next
ENOUGH = 2  # rows inside for each feature at which the width may shrink that far
SOLVED = 0.3  # part of the gap that the smooth problem may leave
WIDER = 5.0
SHORT, SHORT_STEPS = 0.5, 2  # so many steps so short: the width is too small
LOST = 0.95  # a gap from which another solver's duals are no help
PATIENCE = 150  # iterations without a clearly smaller gap
FRESH = 25  # iterations until sums that are updated are made anew


class Lanes:
    """What the classes share: the factor of the least-squares fit of the labels."""

    def __init__(
        self, problem: Problem, start: tuple[np.ndarray, np.ndarray] | None, first: Fit | None
    ) -> None:
        self.p, self.start, self.first = problem, start, first
        self.factor: Factor | None = None

    def solve(self, k: int) -> None:
        p, y = self.p, self.p.signs(k)
        share = shares(p.cost, y)
        rows = kernels("hinge").Rows(p.cost, share, y)
        hopeless = self.first is not None and not self.first.gap[k] < LOST
        if self.start is None or hopeless:
            if self.factor is None:
                G = np.zeros((p.D, p.D))
                if not p.gram.weighted(p.cost, G):
                    raise Stopped("max_time")
                self.factor = Factor(G, p.ridge)
            wa = self.factor.solve(p.combine(p.cost * y))
            rows.start(p.scores(wa))
            width = 2.0 * rows.spread()
        else:
            wa, centre = self.start_from(k, y)
            rows.start(p.scores(wa), centre)
            width = 2.0 * rows.spread()
            if self.first is not None and self.first.gap[k] < 0.5:
                width = min(width, max(4.0 * float(self.first.gap[k]), 1e-6))
        if np.isfinite(wa).all() and width > 0:
            _Lane(p, k, rows, y).run(wa, width)


    def start_from(self, k: int, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The model and the multipliers of given duals and intercepts."""
        p = self.p
        assert self.start is not None
        alpha = np.clip(self.start[0][:, k], 0.0, p.cost)
        wa = p.combine(alpha * y)
        if p.constant != 0:
            wa[-1] = self.start[1][k] / p.constant
        return wa, np.divide(alpha, p.cost, out=np.zeros(p.n), where=p.cost > 0)


class _Lane:
    """The iterations for one class."""

    def __init__(self, p: Problem, k: int, rows: Any, y: np.ndarray) -> None:
        self.p, self.k, self.y, self.rows = p, k, y, rows

    def run(self, wa: np.ndarray, width: float) -> None:
        p, k, rows = self.p, self.k, self.rows
        va = np.zeros(p.D)
        size, short, waiting, mark = 0.0, 0, 0, np.inf
        for epoch in range(1, p.max_iter + 2):
            inside, changed = rows.look(size, width)
            if changed:
                va = va + p.combine(rows.change)
            if epoch % FRESH == 0:
                va = p.combine(rows.alpha() * self.y)
            penalty, loss, prox = p.penalty(wa), rows.loss, rows.prox
            p.offer_primal(k, wa, penalty + loss)
            uneven = 0.0  # about what it will cost to make the duals feasible
            if p.free and va[-1] != 0:
                s = float(va[-1])
                uneven = max(abs(s * wa[-1]), s * s / max(2.0 * rows.curvature, TINY))
            dual = rows.value - p.penalty(va) - uneven
            smooth = penalty + rows.linear - prox - (dual - prox)
            gap = penalty + loss - dual
            solved = smooth <= max(SOLVED * gap, 1e-15 * p.primal[k])
            if solved or p.primal[k] - dual <= p.tol * p.primal[k]:
                va = self.certify(wa, va)
            done = p.gap[k] <= p.tol and self.confirm()
            if epoch > 1:
                p.report(inside)
            if done:
                return
            waiting = waiting + 1
            if p.gap[k] < 0.9 * mark:
                mark, waiting = p.gap[k], 0
            if waiting >= PATIENCE or np.isnan(gap):
                return
            if epoch > p.max_iter:
                p.used_up = True
                return
            if solved:
                width *= rows.recentre(FACTORS, min(inside, ENOUGH * p.D))
                inside, changed = rows.look(0.0, width)
                if changed:
                    va = va + p.combine(rows.change)
            factor = self.factor(inside)
            if not factor.sound:
                return
            step = factor.solve(va - p.ridge * wa)
            rows.aim(p.scores(step))
            ridge_step = p.ridge * step
            size = rows.line_minimum(float(wa @ ridge_step), float(step @ ridge_step))
            wa = wa + size * step
            short = short + 1 if size < SHORT else 0
            if short >= SHORT_STEPS:
                width, short = width * WIDER, 0

    def factor(self, inside: int) -> Factor:
        p, rows = self.p, self.rows
        G = np.zeros((p.D, p.D))
        if not p.gram.weighted(rows.weights[:inside], G, rows.rows[:inside]):
            raise Stopped("max_time")
        return Factor(G, p.ridge)

    def certify(self, wa: np.ndarray, va: np.ndarray) -> np.ndarray:
        """The dual objective at the multipliers, made feasible; returns what they combine to."""
        p, alpha = self.p, self.rows.alpha()
        va = p.combine(alpha * self.y)
        feasible, vf, lost = p.feasible(alpha, self.y, va, float(wa[-1]) if p.free else 0, p.cost)
        p.offer_dual(self.k, feasible, float(feasible.sum()) - p.penalty(vf) - lost)
        return va

    def confirm(self) -> bool:
        """Whether the gap is still within tol when the best model is scored anew."""
        p, k = self.p, self.k
        wa = p.weights[k].copy()
        short = np.maximum(1.0 - self.y * p.scores(wa), 0.0)
        p.primal[k] = p.penalty(wa) + float(p.cost @ short)
        p.update_gap(k)
        return p.gap[k] <= p.tol
