# SPDX-License-Identifier: BSD-3-Clause
"""The quadratic program of cutting planes: the best convex combination of a few of them.

    max over t >= 0, sum t = 1:   t . b - 1/2 ||sum_k t_k a_k||^2

by an active set: planes with t > 0 solve the equations of the optimum; a plane that would become
negative leaves, the plane with the largest violation enters (Wolfe's method for the nearest point
of a polytope, with a linear term). It ends at the exact optimum, up to rounding.

Source: P. Wolfe, "Finding the nearest point in a polytope", Mathematical Programming 11, 1976.
"""

from __future__ import annotations

import numpy as np

ROUNDING = 1e-13  # added to squared norms, which keeps systems of equations regular
CLOSE = 1e-11  # of the value: planes that are less above the others do not enter
ENOUGH = 3  # entering planes for each plane, after which the point reached is as good as any


class Simplex:
    """Planes a . w + b, at most `most` of them, and their best combination so far."""

    def __init__(self, d: int, most: int) -> None:
        self.most = most
        self._rows = np.empty((min(8, most), d))  # more than are used
        self.b = np.empty(0)
        self.gram = np.empty((0, 0))
        self.t = np.empty(0)
        self.grew = False  # whether the last solve raised the value
        self.value = -np.inf

    @property
    def a(self) -> np.ndarray:
        """The planes' slopes, (planes, d)."""
        return self._rows[: len(self.b)]

    def add(self, a: np.ndarray, b: float) -> None:
        """One more plane; where there are `most`, one that counts for nothing leaves."""
        if not (np.isfinite(b) and np.isfinite(a).all()):
            return
        while len(self.b) >= self.most:
            idle = np.flatnonzero(self.t == 0)
            if len(idle):
                self._keep(np.arange(len(self.b)) != idle[0])
                continue
            # All count: the two of the least weight go on as one.
            i, j = np.argsort(self.t, kind="stable")[:2]
            both = self.t[i] + self.t[j]
            a0 = (self.t[i] * self.a[i] + self.t[j] * self.a[j]) / both
            b0 = (self.t[i] * self.b[i] + self.t[j] * self.b[j]) / both
            self._keep(~np.isin(np.arange(len(self.b)), (i, j)))
            self._append(a0, b0)
            self.t[-1] = both
        self._append(a, b)
        if len(self.b) == 1:
            self.t[0] = 1.0

    def _keep(self, keep: np.ndarray) -> None:
        for to, at in enumerate(np.flatnonzero(keep)):
            if to != at:
                self._rows[to] = self._rows[at]
        self.b, self.t = self.b[keep], self.t[keep]
        self.gram = self.gram[np.ix_(keep, keep)]

    def _append(self, a: np.ndarray, b: float) -> None:
        products = self.a @ a
        k = len(self.b)
        gram = np.empty((k + 1, k + 1))
        gram[:k, :k], gram[k, :k], gram[:k, k], gram[k, k] = self.gram, products, products, a @ a
        self.gram = gram
        if k == len(self._rows):
            more = np.empty((min(2 * k, self.most), len(a)))
            more[:k] = self._rows
            self._rows = more
        self._rows[k] = a
        self.b, self.t = np.append(self.b, b), np.append(self.t, 0.0)

    def solve(self) -> tuple[np.ndarray, float]:
        """(sum_k t_k a_k, t . b) at the optimum."""
        t = self._optimum()
        a, b = t @ self.a, float(t @ self.b)
        value = b - 0.5 * float(a @ a)
        self.grew = value > self.value + ROUNDING * abs(value)
        if value >= self.value or len(t) != len(self.t):
            self.t, self.value = t, value
        return a, b

    def _optimum(self) -> np.ndarray:
        t, gram, b = self.t.copy(), self.gram, self.b
        k = len(b)
        active = t > 0
        best, best_value = t, -np.inf
        for _ in range(ENOUGH * k + 20):
            # The optimum of the active planes, reached in as many moves as planes leave.
            while True:
                on = np.flatnonzero(active)
                m = len(on)
                system = np.zeros((m + 1, m + 1))
                system[:m, :m] = gram[np.ix_(on, on)]
                system[np.arange(m), np.arange(m)] *= 1 + ROUNDING
                system[m, :m] = system[:m, m] = 1.0
                aim = np.linalg.solve(system, np.append(b[on], 1.0))[:m]
                if aim.min() > 0:
                    t[:] = 0
                    t[on] = aim / aim.sum()
                    break
                now = t[on]
                falls = aim <= 0
                ratio = now[falls] / np.maximum(now[falls] - aim[falls], 1e-300)
                size = min(float(ratio.min()), 1.0)
                moved = np.maximum(now + size * (aim - now), 0.0)
                moved[np.flatnonzero(falls)[np.argmin(ratio)]] = 0.0
                t[:] = 0
                t[on] = moved / moved.sum() if moved.sum() > 0 else 1.0 / m
                active = t > 0
                if active.sum() == 1:
                    break
            slope = b - gram @ t
            value = float(t @ b) - 0.5 * float(t @ gram @ t)
            if value > best_value:
                best, best_value = t.copy(), value
            enter = int(np.argmax(np.where(active, -np.inf, slope)))
            if active.all() or slope[enter] <= float(slope @ t) + CLOSE * abs(best_value):
                break
            active[enter] = True
        return best
