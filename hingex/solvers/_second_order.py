# SPDX-License-Identifier: BSD-3-Clause
"""What the second-order solvers share: the linear system, certificates, progress over classes.

Both write the intercept as the weight of a constant feature, xa = (x, constant), and the penalty
as 1/2 sum_j ridge_j wa_j^2:

    none            no such feature
    regularized     constant = scaling, ridge 1: b = scaling * weight, penalty (b / scaling)^2 / 2
    unregularized   constant = 1, ridge 0
"""

from __future__ import annotations

import math
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from .._core import kernels
from .._result import Fit
from .._targets import n_lanes, positive
from .._validate import squared_norms
from ..stop import HISTORY_DTYPE, Monitor, State

TINY = 1e-300


class Stopped(Exception):
    """Ends the work on all classes; the argument is the status."""


class Problem:
    """The data of all one-vs-rest problems, and what has been reached for each.

    A class that was not come to has the model 0 and the duals 0, which are feasible: P = sum C_i,
    D = 0. So the sums in the history are certified from the first iteration on.
    """

    def __init__(
        self,
        rows: Any,
        codes: Any,
        n_classes: int,
        C: float,
        cost: np.ndarray | None,
        intercept: str,
        scaling: float,
        tol: float,
        max_iter: int,
        max_time: float | None,
        monitor: Monitor,
        first: Fit | None = None,
    ) -> None:
        self.begin = perf_counter() - (first.seconds if first is not None else 0.0)
        self.deadline = math.inf if max_time is None else self.begin + max_time
        self.rows, self.codes = rows, codes
        self.n, self.d = rows.n, rows.d
        self.lanes = n_lanes(codes, n_classes)
        self.cost = np.full(self.n, C) if cost is None else cost
        self.intercept, self.tol, self.max_iter = intercept, tol, max_iter
        self.monitor = monitor
        self.free = intercept == "unregularized"
        self.constant = {"none": 0.0, "regularized": scaling, "unregularized": 1.0}[intercept]
        squared_norms(rows, C if cost is None else float(cost.max()))  # for its errors
        self.gram = kernels("gram").Gram(rows, self.constant, self.deadline, monitor.poll)
        self.D = self.gram.D
        self.ridge = np.ones(self.D)
        if self.free:
            self.ridge[-1] = 0.0

        self.weights = np.zeros((self.lanes, self.D))
        self.alpha = np.zeros((self.n, self.lanes))
        total = float(self.cost.sum())
        self.primal, self.dual = [total] * self.lanes, [0.0] * self.lanes
        self.gap = [1.0 if total > 0 else 0.0] * self.lanes
        self.history: list[tuple] = []
        self.epoch = 0
        self.used_up = False  # max_iter ended the work on a class
        if first is not None:
            self._take_over(first)

    def _take_over(self, first: Fit) -> None:
        """Begin with what another solver has reached: its certificates and its history."""
        self.weights[:, : self.d] = first.coef
        if self.constant != 0:
            self.weights[:, -1] = first.intercept / self.constant
        assert first.dual is not None
        self.alpha[:] = first.dual
        self.primal, self.dual = first.primal.tolist(), first.dual_objective.tolist()
        self.gap = first.gap.tolist()
        self.history = first.history.tolist()
        self.epoch = first.n_iter

    def signs(self, lane: int) -> np.ndarray:
        """+1.0 for the rows of this problem's class, else -1.0."""
        return np.where(positive(self.codes, lane, self.lanes), 1.0, -1.0)

    def penalty(self, wa: np.ndarray) -> float:
        """1/2 sum_j ridge_j wa_j^2."""
        if self.free:
            wa = wa[:-1]
        return 0.5 * float(wa @ wa)

    def scores(self, wa: np.ndarray) -> np.ndarray:
        out = np.empty(self.n)
        self.gram.scores(wa, out)
        self.check_time()
        return out

    def combine(self, r: np.ndarray) -> np.ndarray:
        out = np.empty(self.D)
        self.gram.combine(r, out)
        self.check_time()
        return out

    def feasible(
        self,
        alpha: np.ndarray,
        y: np.ndarray,
        va: np.ndarray,
        b: float,
        upper: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Duals with sum y_i alpha_i = 0, by scaling down the heavier side.

        `va` is combine(alpha * y). Duals at `upper` stay there when the others weigh enough.
        Returns the duals, their combination, and what rounding leaves of the sum, as a loss of
        the dual objective.
        """
        if not self.free:
            return alpha, va, 0.0
        s, total = float(va[-1]), float(alpha.sum())
        if abs(s) > 1e-15 * total:
            heavy = y * s > 0
            if upper is not None:
                inside = heavy & (alpha < upper)
                if alpha[inside].sum() >= 2.0 * abs(s):
                    heavy = inside
            part = np.where(heavy, alpha * y, 0.0)
            share = s / part.sum()
            alpha = np.where(heavy, alpha * (1.0 - share), alpha)
            va = va - share * self.combine(part)
            s = float((alpha * y).sum())
        return alpha, va, abs(s * b)

    def settle(
        self, lane: int, wa: np.ndarray, alpha: np.ndarray, primal: float, dual: float
    ) -> float:
        """Keep this certified pair if its gap is the smallest so far; returns its gap."""
        gap = max(primal - dual, 0.0) / max(abs(primal), TINY)
        if gap <= self.gap[lane]:
            self.weights[lane] = wa
            self.alpha[:, lane] = alpha
            self.primal[lane], self.dual[lane], self.gap[lane] = primal, dual, gap
        return gap

    def offer_primal(self, lane: int, wa: np.ndarray, primal: float) -> None:
        """Keep this model if its objective is the lowest so far."""
        if primal < self.primal[lane]:
            self.weights[lane] = wa
            self.primal[lane] = primal
            self.update_gap(lane)

    def offer_dual(self, lane: int, alpha: np.ndarray, dual: float) -> None:
        """Keep these duals if their objective is the highest so far."""
        if dual > self.dual[lane]:
            self.alpha[:, lane] = alpha
            self.dual[lane] = dual
            self.update_gap(lane)

    def update_gap(self, lane: int) -> None:
        primal = self.primal[lane]
        self.gap[lane] = max(primal - self.dual[lane], 0.0) / max(abs(primal), TINY)

    def report(self, active: int) -> None:
        """An iteration is over: history, callback, clock."""
        if self.monitor.update(self._record(active)):
            raise Stopped("callback")
        self.check_time()

    def _record(self, active: int) -> State:
        self.epoch += 1
        state = State(
            epoch=self.epoch,
            seconds=perf_counter() - self.begin,
            primal=sum(self.primal),
            dual=sum(self.dual),
            gap=max(self.gap),
            active=active,
            certified=True,
        )
        self.history.append(state)
        return state

    def check_time(self) -> None:
        if perf_counter() > self.deadline:
            raise Stopped("max_time")

    def _one_sided(self, lane: int) -> bool:
        """A free intercept alone separates rows that all have the same sign."""
        if not self.free:
            return False
        mine = positive(self.codes, lane, self.lanes)[self.cost > 0]
        count = np.count_nonzero(mine)
        if len(mine) == 0 or 0 < count < len(mine):
            return False
        self.weights[lane, -1] = 1.0 if count else -1.0
        self.primal[lane] = self.dual[lane] = self.gap[lane] = 0.0
        return True

    def run(self, solve_lane: Callable[[int], None]) -> Fit:
        """Solve the lanes one after another; always returns what was reached."""
        status = "stalled"
        try:
            for lane in range(self.lanes):
                done = self.epoch > 0 and self.gap[lane] <= self.tol
                if not done and not self._one_sided(lane):
                    solve_lane(lane)
        except Stopped as stop:
            status = stop.args[0]
        except KeyboardInterrupt:
            status = "interrupted"
        finally:
            self.monitor.close()
        if not self.history:  # solved, or stopped, before the first iteration
            self._record(self.n)
        if status == "stalled" and self.used_up:
            status = "max_iter"
        if status != "interrupted" and max(self.gap) <= self.tol:
            status = "converged"
        coef, b = self.weights, np.zeros(self.lanes)
        if self.constant != 0:
            coef, b = coef[:, :-1], coef[:, -1] * self.constant
        return Fit(
            coef=np.ascontiguousarray(coef),
            intercept=b,
            dual=self.alpha,
            primal=np.array(self.primal),
            dual_objective=np.array(self.dual),
            gap=np.array(self.gap),
            history=np.array(self.history, dtype=HISTORY_DTYPE),
            n_iter=self.epoch,
            converged=status == "converged",
            status=status,
            seconds=perf_counter() - self.begin,
        )


HEAVY = 100.0  # times the usual cost: rows above go the way of rows so heavy


def shares(cost: np.ndarray, y: np.ndarray) -> np.ndarray:
    """1, and less for rows whose cost is so much above the others' that their part of the gap
    would be all of it.

    The light side bounds what the duals of the heavy side can add up to.
    """
    sides = [cost[(cost > 0) & (y == sign)] for sign in (-1.0, 1.0)]
    usual = min(float(np.median(side)) for side in sides if len(side))
    return np.minimum(1.0, HEAVY * usual / np.maximum(cost, usual))


class Factor:
    """Cholesky factor of G + diag(ridge), G given by its upper triangle.

    Where rounding, or a free intercept without active rows, leaves the matrix indefinite, the
    diagonal is raised, relative to itself, by the smallest power of 100 that helps: the step is
    then a little shorter than Newton's.
    """

    def __init__(self, G: np.ndarray, ridge: np.ndarray) -> None:
        factorize = kernels("gram").factorize
        diagonal = G.diagonal() + ridge
        raise_by = 0.0
        while True:
            H = G.copy()
            H.ravel()[:: len(H) + 1] = diagonal
            self.sound = factorize(H)
            if self.sound or raise_by > 1.0:
                break
            if raise_by == 0.0:
                exact = diagonal
                floor = 1e-8 * (exact.max() or 1.0)
            raise_by = raise_by * 100 or 1e-14
            diagonal = exact + raise_by * np.maximum(exact, floor)
        self.factor = H
        self.exact = self.sound and raise_by == 0.0

    def solve(self, rhs: np.ndarray) -> np.ndarray:
        x = np.array(rhs, dtype=np.float64)
        kernels("gram").solve_factor(self.factor, x)
        return x
