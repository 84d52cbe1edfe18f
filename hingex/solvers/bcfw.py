# SPDX-License-Identifier: BSD-3-Clause
"""Block-coordinate Frank-Wolfe for structured SVMs, with exact line search.

Problem, with one slack for each of n examples:

    min_w  1/2 ||w||^2 + C sum_i max_y (Delta_i(y) - w . psi_i(y))

The dual has a simplex of outputs for each example. A step takes one example: loss-augmented
inference gives the vertex to go to, and how far is known exactly. "frank_wolfe" goes there from the
point that the example is at; "pairwise" moves weight to it from the worst of the outputs that have
any, as often as the example's gap falls, which ends at optima that Frank-Wolfe's steps go around.
(Where a model is compiled inference is done anew for scores that follow each step, so that the
products with X are shared by all steps of a visit.)

Examples are drawn in proportion to their gaps as last seen, and all in turn each EVERY epochs. The
sum of the examples' gaps at one w is the duality gap; as last seen it only tells when it is worth
to look: the primal objective is evaluated then, and what is returned is certified.

Sources: S. Lacoste-Julien, M. Jaggi, M. Schmidt, P. Pletscher, "Block-coordinate Frank-Wolfe
optimization for structural SVMs", ICML 2013; A. Osokin, J.-B. Alayrac, I. Lukasewitz, P. Dokania,
S. Lacoste-Julien, "Minding the gaps for block Frank-Wolfe optimization of structured SVMs", ICML
2016.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..stop import Monitor
from ._blocks import Blocks, Course, Learned

STEPS = ("pairwise", "frank_wolfe")
SAMPLINGS = ("gap", "uniform")
EVERY = 10  # epochs, one of which visits all examples
CLOSE = 1.5  # times tol: an estimate of the gap that is worth an evaluation
GROWTH = 1.5  # and epochs after which there is one in any case, by this factor


def solve(
    blocks: Blocks,
    *,
    C: float,
    step: str,
    sampling: str,
    average: bool,
    tol: float,
    max_iter: int,
    max_time: float | None,
    seed: int,
    monitor: Monitor,
    state: Any = None,
) -> Learned:
    """Solve the problem above.

    Parameters
    ----------
    blocks : Blocks
    C : float
    step : {"pairwise", "frank_wolfe"}
    sampling : {"gap", "uniform"}
        "uniform": all in turn, in random order.
    average : bool
        Whether the average of w over the epochs, weighted by their number, is evaluated as well;
        the better one is returned.
    tol, max_iter, max_time, monitor
        As for other solvers; an epoch has n steps.
    seed : int
    state : Dual or None
        Where to go on from, which is changed.

    Returns
    -------
    Learned
    """
    course = Course(blocks.size, tol, max_time, monitor)
    own: Any = blocks.start(C, step) if state is None else state
    rng = np.random.default_rng(seed)
    mean = np.zeros(blocks.size) if average else None
    seen, look = not np.isinf(own.gaps).any(), 1.0
    try:
        for epoch in range(max_iter):
            drawn = sampling == "gap" and seen and epoch % EVERY != 0
            order = _drawn(own.gaps, rng) if drawn else rng.permutation(blocks.n)
            done, calls = own.steps(order, course.deadline)
            course.calls += calls
            seen = seen or done == blocks.n
            if mean is not None:
                mean += 2 / (epoch + 2) * (own.w - mean)
            dual = own.dual()
            course.bound(dual)
            left = float(own.gaps.sum())
            last = done < len(order) or epoch + 1 == max_iter
            certify = left <= CLOSE * tol * (dual + left) or epoch + 1 >= look or last
            if certify:
                look = max(look, epoch + 1) * GROWTH
                for w in (own.w, mean) if mean is not None else (own.w,):
                    loss = blocks.losses(w)
                    course.calls += blocks.n
                    course.offer(w, 0.5 * float(w @ w) + C * loss)
            estimate = None if certify else (dual + left, left / max(dual + left, 1e-300))
            if course.over(certify, estimate):
                break
    except KeyboardInterrupt:
        course.status = "interrupted"
        if math.isinf(course.primal):  # nothing is known of any other
            course.w[:] = own.w
    finally:
        monitor.close()
    return course.learned(own)


def _drawn(gaps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As many examples as there are, each with a probability in proportion to its gap."""
    ends = np.cumsum(gaps)
    if not ends[-1] > 0:
        return rng.permutation(len(gaps))
    found = np.searchsorted(ends, rng.random(len(gaps)) * ends[-1], side="right")
    return np.minimum(found, len(gaps) - 1)
