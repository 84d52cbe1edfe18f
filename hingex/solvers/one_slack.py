# SPDX-License-Identifier: BSD-3-Clause
"""Cutting planes for structured SVMs, with one slack for all examples.

Problem: that of `bcfw`. For any outputs y_i of all examples

    loss(w) >= C sum_i (Delta_i(y_i) - w . psi_i(y_i)),

a plane, which is exact where the y_i are the maximisers. The lowest point of 1/2 ||w||^2 plus the
planes so far is a small quadratic program, whose value is a lower bound. A new plane is made not
there but on the way to it from the best point so far, which keeps the method from jumping about.

Complexity: inference for all examples, and O(planes size) for the program, an iteration. Memory:
PLANES planes, at most NUMBERS numbers or FEWEST planes.

Sources: T. Joachims, T. Finley, C.-N. Yu, "Cutting-plane training of structural SVMs", Machine
Learning 77, 2009; V. Franc, S. Sonnenburg, "Optimized cutting plane algorithm for support vector
machines", ICML 2008.
"""

from __future__ import annotations

import math

import numpy as np

from ..stop import Monitor
from ._blocks import OVERFLOW, Blocks, Course, Learned
from ._simplex import Simplex

PLANES = 600
NUMBERS = 1 << 26
FEWEST = 20
SHARE = 0.3  # of the way from the best point to the lowest


def solve(
    blocks: Blocks,
    *,
    C: float,
    tol: float,
    max_iter: int,
    max_time: float | None,
    monitor: Monitor,
    start: np.ndarray | None = None,
) -> Learned:
    """Solve the problem above; parameters as for `bcfw.solve`, and weights to begin with."""
    course = Course(blocks.size, tol, max_time, monitor)
    planes = Simplex(blocks.size, max(FEWEST, min(PLANES, NUMBERS // max(blocks.size, 1))))
    w = np.zeros(blocks.size) if start is None else start.copy()
    course.bound(0.0)  # losses are not negative
    try:
        for _ in range(max_iter):
            psi, cost, loss = blocks.plane(w)
            course.calls += blocks.n
            course.offer(w, 0.5 * float(w @ w) + C * loss)
            planes.add(-C * psi, C * cost)
            try:
                a, b = planes.solve()
            except np.linalg.LinAlgError:
                raise FloatingPointError(OVERFLOW) from None
            course.bound(b - 0.5 * float(a @ a))
            if course.over(True):
                break
            w = course.w + SHARE * (-a - course.w)
    except KeyboardInterrupt:
        course.status = "interrupted"
        if math.isinf(course.primal):
            course.w[:] = w
    finally:
        monitor.close()
    return course.learned()
