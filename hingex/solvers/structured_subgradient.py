# SPDX-License-Identifier: BSD-3-Clause
"""Stochastic subgradient steps for structured SVMs.

Problem: that of `bcfw`, divided by C n: lam / 2 ||w||^2 + the mean loss, lam = 1 / (C n). Step t

    w <- (1 - 1 / t) w + psi_i(y*) / (lam t),      t = 1 + delay, 2 + delay...

with `delay` an epoch, so that the first steps are not as long as 1 / lam; the result is the average
of w weighted by t, taken SLICES times an epoch, or the start where no average is better. There is
no dual: the objective is reported, and the work ends when it has not fallen by a share tol for
PATIENCE epochs, or is 0 at the start.

Sources: N. Ratliff, J. A. Bagnell, M. Zinkevich, "(Online) subgradient methods for structured
prediction", AISTATS 2007; S. Lacoste-Julien, M. Schmidt, F. Bach, "A simpler approach to obtaining
an O(1/t) convergence rate for the projected stochastic subgradient method", 2012.
"""

from __future__ import annotations

import math

import numpy as np

from ..stop import Monitor
from ._blocks import Blocks, Course, Learned

SLICES = 8
PATIENCE = 5


def solve(
    blocks: Blocks,
    *,
    C: float,
    tol: float,
    max_iter: int,
    max_time: float | None,
    seed: int,
    monitor: Monitor,
    start: np.ndarray | None = None,
) -> Learned:
    """Solve the problem above; parameters as for `bcfw.solve`, and weights to begin with."""
    course = Course(blocks.size, 0.0, max_time, monitor)
    rng = np.random.default_rng(seed)
    lam = 1 / (C * blocks.n)
    w = np.zeros(blocks.size) if start is None else start.copy()
    mean, weight, t = np.zeros(blocks.size), 0.0, float(blocks.n)
    lowest, best, since = math.inf, math.inf, 0
    try:
        course.calls += blocks.n
        course.offer(w, 0.5 * float(w @ w) + C * blocks.losses(w))
        if course.primal == 0:  # no objective is lower, and steps would only lead away
            course.over(True)
            course.status = "converged"
            max_iter = 0
        for _ in range(max_iter):
            for part in np.array_split(rng.permutation(blocks.n), min(SLICES, blocks.n)):
                blocks.descend(w, part, lam, t)
                t += len(part)
                weight += t
                mean += t / weight * (w - mean)
            loss = blocks.losses(mean)
            course.calls += 2 * blocks.n
            primal = 0.5 * float(mean @ mean) + C * loss
            course.offer(mean, primal)
            if course.over(True):
                break
            lowest = min(lowest, primal)  # of the epochs: the start may be better than the first
            fell = lowest < best * (1 - tol)
            best, since = (lowest, 0) if fell else (best, since + 1)
            if since >= PATIENCE:
                course.status = "converged"
                break
    except KeyboardInterrupt:
        course.status = "interrupted"
        if math.isinf(course.primal):
            course.w[:] = mean if weight else w
    finally:
        monitor.close()
    return course.learned()
