# SPDX-License-Identifier: BSD-3-Clause
"""What the solvers of penalised convex losses share: the loss at the scores, kinks, certificates.

Problem, for every class against the rest (y_i = +-1, C_i = C * class weight * sample weight):

    min_{w, b}  l1 ||w||_1 + l2/2 ||w||^2  +  sum_i C_i phi(y_i (w.x_i + b))

with phi convex, a regularized intercept being the weight of a constant feature. Dual:

    max_alpha  -sum_i C_i phi*(-alpha_i / C_i) - R*(sum_i alpha_i y_i x_i),   sum_i alpha_i y_i = 0

the equation only for a free intercept; R* is 1/2 ||.||^2, or (|v_j| - l1)_+^2 / (2 l2) summed, or,
with l2 = 0, the constraint |v_j| <= l1. alpha_i = -C_i u_i with a slope u_i of phi, for which
Fenchel-Young holds with equality: phi*(u) = u t - phi(t) without a search. A free intercept is
moved to where sum_i alpha_i y_i = 0, a problem in one variable; what rounding leaves is taken from
the heavier side.

Kinks. Newton's method needs a derivative, so phi is replaced by an envelope around known slopes,

    psi_i(t) = min_s phi(s) + r/2 (s - t - u_i / r)^2 - u_i^2 / (2 r)

and when that problem is solved as well as its envelope is close, u_i becomes the slope it found:
the method of multipliers for s_i = y_i f_i. The slopes converge for any r > 0, so that r need not
grow without bound; each of them is in the domain of phi*, and the gap is that of the true problem.

Sources: R. T. Rockafellar, "Augmented Lagrangians and applications of the proximal point algorithm
in convex programming", Math. Oper. Res. 1, 1976; X. Li, D. Sun and K.-C. Toh, "A highly efficient
semismooth Newton augmented Lagrangian method for solving Lasso problems", SIAM J. Optim. 28, 2018.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core import kernels
from .._validate import squared_norms
from ..losses import MarginLoss
from ._second_order import Problem

GROWTH = 4.0  # of r, when the slopes converge too slowly
LARGEST = 1000.0  # what r may grow to, in units of a loss's jumps over the scores that a row moves:
FURTHEST = 1e7  # slopes are differences of margins times r, so that r costs digits
ROUNDING = 1e-14  # of sum alpha: what is left of sum alpha y is no error of the method
LONGEST_FLAT = 1e15  # that a flat part of the loss is followed


class Smooth:
    """phi at the scores of one problem.

    Attributes
    ----------
    total : float
        sum C_i psi_i: what the steps minimise.
    signed, curvature : ndarray (n,)
        alpha_i y_i, and C_i psi_i''.
    """

    shifted = False

    def __init__(self, loss: MarginLoss, y: np.ndarray, cost: np.ndarray) -> None:
        self.loss, self.y, self.cost = loss, y, cost
        self.curvature = np.empty(len(y))
        self.total = np.inf
        self._losses = kernels("losses")

    def look(self, f: np.ndarray) -> None:
        """Evaluate everything at the scores f."""
        self.total, _, slope = self._losses.margin_losses(
            self.loss._terms, self.y, f, self.cost, 1.0, True, False, True, 1,
            curvature=self.curvature)
        self.signed = np.negative(slope, out=slope)

    def value(self, f: np.ndarray) -> float:
        """sum C_i phi(y_i f_i), at the scores of the last `look`."""
        return self.total

    def dual(self, f: np.ndarray) -> float:
        """-sum C_i phi*(-alpha_i / C_i), at the scores of the last `look`."""
        return self.total + float(self.signed @ f)

    def dual_of(self, signed: np.ndarray) -> float:
        """The same for other duals alpha_i y_i, which must be in the domain."""
        used = self.cost > 0
        cost = self.cost[used]
        slopes = -(signed * self.y)[used] / cost
        return -float(cost @ self.loss.conjugate(np.clip(slopes, *self.loss.conjugate_domain)))


class Shifted(Smooth):
    """The envelopes psi_i of a phi with kinks; `shift` moves on to the slopes found."""

    shifted = True

    def __init__(self, loss: MarginLoss, y: np.ndarray, cost: np.ndarray, square: float) -> None:
        super().__init__(loss, y, cost)
        n = len(y)
        self.kinks = loss._kink_rows()
        jump = float((self.kinks[:, 2] - self.kinks[:, 1]).max())
        moved = max(float(cost.mean()) * square, 1e-300)  # scores, by one row with slope 1
        self.r = jump * min(max(1.0, 1 / (n * moved)), FURTHEST)
        self.largest = max(self.r, jump * min(LARGEST * max(1.0, 1 / moved), FURTHEST))
        self.old, self.s, self.slopes = np.zeros(n), np.zeros(n), np.zeros(n)
        self.signed = np.empty(n)
        self.error = np.inf

    def look(self, f: np.ndarray) -> None:
        self.signed = np.empty_like(f)
        self.total, self.at_s, self.products = self._losses.envelope(
            self.loss._terms, self.kinks, self.r, self.old, self.y, f, self.cost, self.s,
            self.slopes, self.signed, self.curvature)

    def value(self, f: np.ndarray) -> float:
        return self._losses.margin_losses(
            self.loss._terms, self.y, f, self.cost, 1.0, True, False, False, 1)[0]

    def dual(self, f: np.ndarray) -> float:
        return self.at_s - self.products

    def begin(self, alpha: np.ndarray) -> None:
        """Take the slopes of these duals as the centres."""
        used = self.cost > 0
        slopes = -alpha[used] / self.cost[used]
        self.old[used] = np.clip(slopes, *self.loss.conjugate_domain)
        self.r = min(GROWTH**3 * self.r, self.largest)

    def shift(self, error: float) -> None:
        """Take the slopes found as the new centres; `error` is the envelopes' part of the gap."""
        if error > 0.25 * self.error:
            self.r = min(self.r * GROWTH, self.largest)
        self.error = error
        self.old, self.slopes = self.slopes, self.old


class Penalized(Problem):
    """The data of all problems with one loss. A class that was not come to has the model 0."""

    known: np.ndarray | None = None  # duals to begin with

    def __init__(self, loss: MarginLoss, *args: Any) -> None:
        super().__init__(*args)
        self.loss = loss
        total = float(self.cost.sum()) * float(loss.phi(0.0))
        self.primal = [total] * self.lanes
        self.gap = [1.0 if total > 0 else 0.0] * self.lanes
        self.square = squared_norms(self.rows, float(self.cost.max()))[1] if loss.kinks else 0.0

    def view(self, lane: int) -> Smooth:
        """The loss of one problem; envelopes if it has kinks."""
        if self.loss.kinks:
            square = self.square + self.constant**2
            seen = Shifted(self.loss, self.signs(lane), self.cost, square)
            if self.known is not None:
                seen.begin(self.known[:, lane])
            return seen
        return Smooth(self.loss, self.signs(lane), self.cost)

    def _one_sided(self, lane: int) -> bool:
        return False

    def balanced(self, seen: Smooth, f: np.ndarray) -> tuple[float, np.ndarray]:
        """How far a free intercept is to move for sum alpha y = 0, and the scores there."""
        if not self.free:
            return 0.0, f
        low, high, size, step = -np.inf, np.inf, 0.0, 1.0
        best, where = np.inf, 0.0
        nothing = 1e-12 * float(self.cost.sum())
        for _ in range(80):
            at = f + size if size else f
            seen.look(at)
            s, mass = float(seen.signed.sum()), float(np.abs(seen.signed).sum())
            if abs(s) < best:
                best, where = abs(s), size
            if mass <= nothing:
                where = self._middle(seen, f, size, nothing)
                size = np.nan
                break
            if abs(s) <= 0.1 * ROUNDING * mass:
                break
            if s > 0:
                low = size
            else:
                high = size
            curvature = float(seen.curvature.sum())
            to = size + s / curvature if curvature > 0 else np.nan
            if not low < to < high:
                if np.isfinite(low) and np.isfinite(high):
                    to = 0.5 * (low + high)
                else:
                    to = size + (step if s > 0 else -step)
                    step *= 2
            if to == size or abs(to - size) < 1e-16 * (1 + abs(size)):
                break
            size = to
        if size != where:
            seen.look(f + where)
        return where, f + where if where else f

    def _middle(self, seen: Smooth, f: np.ndarray, size: float, nothing: float) -> float:
        """The middle of the intercepts at which no row has a loss, `size` being one of them.

        At an end of them the next step, which makes weights smaller, would come to nothing.
        """
        ends = []
        for sign in (-1.0, 1.0):
            inside, outside, step = 0.0, np.inf, 1.0
            while inside < 0.99 * outside and step < LONGEST_FLAT:
                to = inside + step if outside == np.inf else 0.5 * (inside + outside)
                seen.look(f + (size + sign * to))
                if float(np.abs(seen.signed).sum()) > nothing:
                    outside = to
                    if to < 1e-12:
                        break  # at an end
                else:
                    inside = to
                    step *= 2
            if outside == np.inf:
                return size  # rows of one class only
            ends.append(sign * inside)
        return size + 0.5 * sum(ends)

    def feasible_sum(self, signed: np.ndarray) -> tuple[np.ndarray, float]:
        """Duals alpha y that sum to zero, by scaling down the heavier side, and what is left."""
        if not self.free:
            return signed, 0.0
        s = float(signed.sum())
        if abs(s) <= ROUNDING * float(np.abs(signed).sum()):
            return signed, abs(s)
        heavy = signed * s > 0
        signed = np.where(heavy, signed * (1 - s / signed[heavy].sum()), signed)
        return signed, abs(float(signed.sum()))


def follow(
    seen: Smooth, f: np.ndarray, change: np.ndarray, slope: float, square: float,
    scale: float, accuracy: float = 0.1,
) -> float:
    """Size of a step along which the objective falls as much as is worth while.

    The penalty's derivative at size t is slope + t * square, `scale` is the size of the objective,
    which tells what is rounding. Newton steps inside a bracket until
    the derivative is `accuracy` of what it was; `seen` is then evaluated at f + size * change.
    Returns 0 if the step does not lead down.
    """
    before = seen.total
    start = slope - float(seen.signed @ change)
    if not start < 0:
        return 0.0
    low, high, size, fine = 0.0, np.inf, 1.0, 1e-14 * abs(scale)
    for _ in range(60):
        seen.look(f + size * change)
        now = slope + size * square - float(seen.signed @ change)
        gain = seen.total - before + size * (slope + 0.5 * size * square)
        if abs(now) <= accuracy * abs(start) and gain <= fine:
            return size
        if now <= 0 and not np.isnan(gain):
            low = size
        else:
            high = size
        bend = square + float(seen.curvature @ (change * change))
        to = size - now / bend if 0 < bend < np.inf else np.nan
        if not low < to < high:
            to = 0.5 * (low + high) if high < np.inf else 2.0 * size
        if abs(to - size) <= 1e-15 * size:
            break
        size = to
    if low > 0:
        seen.look(f + low * change)
    return low
