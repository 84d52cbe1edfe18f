# SPDX-License-Identifier: BSD-3-Clause
"""All pairs of many small classes, in one compiled loop.

Problem, for each pair of classes i < j: that of `solvers/smo.py`, over the rows of both. A thousand
classes of five rows are half a million problems of ten variables. Such a problem costs a few
microseconds, so that nothing is done for it in Python, and no array is made.

Kernel values are in double precision, of some 64 rows with some hundred others at a time: each is
computed once for all pairs, and a processor's cache holds those that are there at a time. Each pair
is solved by SMO with second-order choice of pairs of variables on its dense block, and steps of all
variables between their bounds (core/smo_double.h), until violation and relative duality gap, found
anew from the duals in double precision, are at most tol. Pairs that are too large, and those that
rounding or an inseparable hard margin leaves open, are for `solvers/smo.py`.

Complexity: n^2 / 2 kernel values, and for each pair a few steps for each row, each of O(rows).
Memory: duals (K - 1) x n, as LIBSVM lays them out, and a byte for each; 65 bytes for each pair;
kernels within classes; and some 100 KiB for each thread. Results do not depend on threads.

Source: Fan, Chen & Lin, "Working set selection using second order information", JMLR 6, 2005.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from .._core import kernels
from ..stop import Monitor, State

MOST = 100  # rows of a pair that is solved here
CACHED = 1 << 16  # numbers of packed rows that stay in a processor's cache
CHUNK = 512  # rows that are packed at a time, at most
LEAST = 16  # and at least
PAUSE = 0.02  # seconds between two looks at the clock and at signals, about
CONVERGED, MAX_ITER, LEFT, WAITING = range(4)


class Task(NamedTuple):
    """Pairs to solve.

    Attributes
    ----------
    order : ndarray (N,) of int64
        Examples by class.
    start : ndarray (K + 1,) of int64
        Where classes begin in `order`; none is empty.
    cost : ndarray (N,) of float64
        Largest |b|, in the order of `order`; inf for a hard margin.
    tol : float
    nu : float
        Of NuSVC; 0 for C-SVC.
    radius : float
        Joachims' R^2, or inf.
    max_iter : float
        Steps of a pair.
    threads : int
    """

    order: np.ndarray
    start: np.ndarray
    cost: np.ndarray
    tol: float
    nu: float
    radius: float
    max_iter: float
    threads: int


def worthwhile(sizes: np.ndarray) -> bool:
    """Whether there are pairs of classes to be solved here.

    Up to MOST rows a pair's block of kernel values stays in the processor's nearest caches, and a
    step takes less time than what a problem costs that is set up by itself (some 100 microseconds).
    """
    return len(sizes) > 2 and int(np.sort(sizes)[:2].sum()) <= MOST


def solve(
    task: Task, points: Any, source: Callable[[Any, Any], Any] | None, monitor: Monitor,
    deadline: float | None = None, spread: float = 0.0, warm: np.ndarray | None = None,
) -> tuple[Any, str]:
    """Solve all pairs of up to MOST rows.

    Parameters
    ----------
    task : Task
    points : Points or None
        In double precision, or
    source : callable or None
        source(i, j), the kernel of the examples i with the examples j.
    monitor : Monitor
        Gets a report after some pairs.
    deadline : float, optional
        Of `time.perf_counter`.
    spread : float
        Errors of kernel values, in roundings of the largest.
    warm : ndarray (K - 1, N), optional
        Duals to start from.

    Returns
    -------
    batch : Batch
        With what came of the pairs.
    stopped : str
        "", or "max_time", "callback" or "interrupted".
    """
    begun = perf_counter()
    hard = bool(np.isinf(task.cost).any())
    chunk = CHUNK
    if points is not None:
        chunk = int(np.clip(CACHED // max(1, int(points.terms)), LEAST, CHUNK))
    batch = kernels("small_pairs").Batch(
        points, task.order, task.start, task.cost, MOST, task.tol, task.nu, task.radius, spread,
        0 if np.isinf(task.max_iter) else int(task.max_iter), hard, chunk,
        task.threads if source is None else 1, warm,
    )  # fmt: skip
    stopped, progress = "", _Progress(batch, monitor, begun)
    try:
        for _ in _spans(batch, source, task):
            if deadline is not None and perf_counter() > deadline:
                stopped = "max_time"
                break
            if monitor.watching and progress.report():
                stopped = "callback"
                break
    except KeyboardInterrupt:
        stopped = "interrupted"
    if stopped:
        _not_begun(batch, task)
    return batch, stopped


def _spans(
    batch: Any, source: Callable[[Any, Any], Any] | None, task: Task
) -> Iterator[None]:
    """Do all work, some at a time."""
    order, start = task.order, task.start
    for solving, count in ((False, len(batch.blocks)), (True, len(batch.units))):
        at, step = 0, task.threads
        while at < count:
            yield
            begun, end = perf_counter(), min(count, at + (1 if source else step))
            if source is None:
                (batch.run if solving else batch.run_own)(at, end)
            else:
                block, chunk = batch.units[at] if solving else (at, at)
                columns = order[slice(*start[batch.blocks[block]])]
                rows = order[slice(*start[batch.chunks[chunk]])] if solving else columns
                (batch.run_given if solving else batch.run_own_given)(at, source(rows, columns))
            at, taken = end, perf_counter() - begun
            step = 2 * step if taken < PAUSE / 2 else max(task.threads, step // 2)
    yield


class _Progress:
    """Reports the pairs that are done to a monitor, one after another."""

    def __init__(self, batch: Any, monitor: Monitor, begun: float) -> None:
        self.batch, self.monitor, self.begun = batch, monitor, begun
        self.done = np.zeros(len(batch.status), dtype=bool)
        self.count, self.dual, self.primal, self.gap = 0, 0.0, 0.0, 0.0

    def report(self) -> bool:
        """Report those that were not done before; whether the callback asks to stop."""
        batch, stop = self.batch, False
        for k in np.flatnonzero((batch.status != WAITING) & ~self.done):
            self.done[k] = True
            self.count += 1
            self.dual += float(batch.objective[k])
            self.primal += float(batch.objective[k] + batch.gap[k])
            self.gap = max(self.gap, float(batch.relative[k]))
            stop = stop or self.monitor.update(State(
                self.count, perf_counter() - self.begun, self.primal, self.dual, self.gap,
                len(self.done) - self.count, True,
            ))
        return stop


def _not_begun(batch: Any, task: Task) -> None:
    """Certificates of duals that are 0, of pairs that an end came before.

    With a nu these are weights, intercept and margin of 0: P = 0. D is not known, as duals of 0 do
    not have the sum that nu asks for; but D < 0, so that the gap relative to the larger one is 1.
    """
    # Also those that were too large for this loop.
    waiting = np.flatnonzero((batch.done == 0) & np.isinf(batch.violation))
    if task.nu > 0:
        batch.objective[waiting] = batch.gap[waiting] = np.nan
        batch.relative[waiting] = 1.0
        return
    i, j = pair_of(waiting, len(task.start) - 1)
    total = np.add.reduceat(task.cost, task.start[:-1])
    first, second = total[i], total[j]
    batch.intercept[waiting] = np.sign(np.nan_to_num(first - second))
    batch.gap[waiting] = 2 * np.minimum(first, second)
    batch.violation[waiting] = 2.0
    batch.relative[waiting] = np.where(np.isinf(first), np.inf, 1.0)


def pair_of(numbers: np.ndarray, K: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes i < j of the pairs of these numbers: (0, 1), (0, 2), ..., (1, 2), ..."""
    each = np.arange(K, dtype=np.int64)
    begin = each * (2 * K - each - 1) // 2
    i = np.searchsorted(begin, numbers, side="right") - 1
    i = np.minimum(i, K - 2)
    return i, numbers - begin[i] + i + 1
