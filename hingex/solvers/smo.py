# SPDX-License-Identifier: BSD-3-Clause
"""Kernel machines by sequential minimal optimization on working sets.

Problem, over signed dual variables b (one or two for each example; K is the kernel of examples):

    max_b  p'b - 1/2 b'Kb    lo <= b <= hi,   the sums of b over one or two groups given

With f = p - Kb and an intercept c for each group, the duality gap is

    gap(c) = sum_v (f_v - c) (hi_v - b_v) where f_v > c, (f_v - c) (lo_v - b_v) elsewhere

which for C-SVC (p_i = y_i, 0 <= y_i b_i <= C_i) is the primal objective 1/2 ||w||^2 + sum_i C_i
max(0, 1 - y_i (w.phi(x_i) + c)) less the dual one. Without a bound on b (hard margin) both are
scaled: P = 1/2 ||w||^2 / margin^2, D = (p'b)^2 / (2 b'Kb).

Stops when no pair violates the optimality conditions by more than tol (LIBSVM's rule: f_i - f_j
of an i that may grow and a j that may fall in its group) and the gap, with the best intercepts, is
at most tol relative to the larger objective; both over all examples.

Each round takes a working set: variables between their bounds of the last set, up to half of it,
and those that violate most. Its block of K is computed, and solved by SMO with second-order choice
of pairs to a tenth of the violation that there was; then the gradients of all examples get the
kernel rows of the variables that changed. Within the set the same is done once more with some
hundred variables, whose steps, where they come to be many, go along conjugate directions.

Kernel values are single precision; the sums that they come from are so where that is enough
(`kernels.training_points`), gradients and duals are double. Where the rounding of kernel values may
count in the certificate, gradients are found anew from double precision at the end, for examples
where they matter, and rounds go on from there until it holds: iterative refinement.

Rows that are cheap are computed anew every time: a value of 100 features takes less time than to
read it from memory. Others are kept in a cache. A problem that fits into one working set takes one
block and no rows, and its steps go on until the gap is small enough. Pairs of classes share the
blocks within classes, and compute values between two classes as they are needed. Results do not
depend on the number of threads.

Complexity: some two to ten times (support vectors) x n kernel values; memory 100 bytes for each
example, up to 40 MB for a working set (less if the cache is smaller) and the cache.

Sources: Platt 1998; Keerthi et al., "Improvements to Platt's SMO algorithm", 2001 (the violation);
Fan, Chen & Lin, "Working set selection using second order information", JMLR 6, 2005; Joachims,
"Making large-scale SVM learning practical", 1999 (working sets, shrinking); Wen et al.,
"ThunderSVM", JMLR 19, 2018 (large working sets); Torres-Barran, Alaiz & Dorronsoro, "Faster SVM
training via conjugate SMO", Pattern Recognition 111, 2021.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from .._core import kernels
from .._result import NotSeparableError
from ..kernels import Exact, Rounding
from ..stop import HISTORY_DTYPE, Monitor, State

WHOLE = 2048  # variables up to which a problem is one working set
SHARE = 3000  # the same, where problems share the kernels within classes
FIRST, LARGEST = 1024, 2048  # variables of working sets
KEEP = 0.5  # share of a working set that may be of the last one
INNER = 0.1  # violation that is left in a working set, of that before
SHRINK = 0.1  # share of the active examples from which on they are left out
GROUPS = 6  # of examples that were left out, with a copy of the duals each
STEPS = 200_000  # in a working set, before limits and interrupts are looked at
DEAR = 128.0  # multiply-adds of a kernel value from which on rows are worth keeping
NEARLY = 0.9  # share of tol that a gap is to come to where it is known as steps are made
TIGHTER = 0.1  # violation to reach at least, when the gap was too large at the last one
DOUBT = 0.2  # share of tol that the rounding of kernel values may come to, or they are refined
HIDDEN = 0.05  # the same, of values that are given: nobody centred these
AT_BOUND = 1e-9  # of the distance of bounds: b so near to one, of an interior point, is at it
ROUNDING = 2e-15  # of p, and of what adds up to K b: violation that is no more than rounding
LARGEST_ROUNDING = 128 * 2.0**-53  # relative, up to which objectives may be 0 but for rounding
SURE = 4.0  # times the sum of all rounding errors of a gradient: it is not further off
STEP_TIME = 1.5e-9  # seconds of a step for each variable of the working set, about
TERM_TIME = 2e-10  # of a multiply-add of a kernel value
ROUND_TIME = 5e-5  # of a round, besides
INTERIOR_STEPS = 20  # that an interior point takes, about, of
# 1.5 us for each example, 25 ns for each feature of it, 55 ps for a multiply-add of Z'Z, and 20 ps
# for one of a decomposition of K: fitted to n = 500 to 5,000, d = 5 to 500, C = 1 to 1e4.
EXAMPLE_TIME, FEATURE_TIME, PRODUCT_TIME, DENSE_TIME = 1.5e-6, 2.5e-8, 5.5e-11, 2e-11
DENSE_MOST = 3000  # examples up to which an interior point takes their whole kernel matrix
FACTOR_MOST = 3000  # features up to which it takes those of a linear kernel
FINEST_GAP = 1e-10  # relative gap that an interior point goes on to: violations are small then
COPY_MOST = 40_000_000  # numbers up to which it copies features that are not float64 as they lie
PATIENCE = 2.0  # times the time of an interior point that steps may take, and
POLISHED = 256  # variables up to which a problem is solved to rounding error
POLISH_STEPS = 20_000  # that may take
FINEST = 1e-12  # violation, relative to the gradients, that it goes on to
AT_INTERRUPT = 0.1  # seconds that gradients may take after an interrupt
SOONEST = 0.05  # seconds that they may take in any case
CAREFUL = 10.0  # times the violation that was aimed at, where a refinement finds more
VAIN = 4  # times that a refinement may come to no lower violation, before rounding is to blame
LEAST = 4e-16  # violation that rounding leaves, relative to p and to what adds up to K b
INSEPARABLE = 1e-7  # distance of the classes' hulls, relative to the rows, that counts as none


class Problem(NamedTuple):
    """A problem over some of the examples.

    Attributes
    ----------
    ids : ndarray (n,) of int64
        Its examples.
    p, lo, hi : ndarray (m,) of float64
        m = n, or 2 n: variables v and n + v are of example v. hi and -lo may be inf, for all.
    start : ndarray (m,) of float64
        Within the bounds, and with the sums that are to be kept.
    group : ndarray (m,) of uint8 or None
        0 or 1.
    classes : tuple or None
        (count, first, second): the first `count` examples are all those of class `first`, the
        others of `second`. Problems share the kernels within classes.
    """

    ids: np.ndarray
    p: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    start: np.ndarray
    group: np.ndarray | None = None
    classes: tuple[int, int, int] | None = None


@dataclass(slots=True)
class Solution:
    """What came of a problem.

    Attributes
    ----------
    b : ndarray (m,)
    intercept : tuple of float
        Of each group.
    dual, gap : float
        Objective p'b - 1/2 b'Kb, and the duality gap, absolute. For a hard margin both are scaled.
        NaN and inf where an interrupt left no time to find them.
    violation : float
    n_iter : int
        Pairs of variables that were moved.
    status : str
        "converged", "max_iter", "max_time", "callback", "interrupted" or "stalled".
    history : list of State
    hit_rate : float
        Share of the kernel rows that were in the cache.
    square : float
        b'Kb, the squared norm of the weights.
    floor : float
        Where p is 0, the objective below which rounding hides more than its share of tol: if the
        best weights are 0, as of classes that do not come apart with a nu, objectives are less, by
        cancellation. Else 0.
    residual : ndarray (m,)
        f less its group's intercept.
    largest : float
        Kernel value of an example with itself, of those in the working sets.
    weights : ndarray (d,) or None
        Of a linear kernel's features, less the means of columns where the sum of b is 0: where b
        is so large, beside the weights that it adds up to, that scores from b would be rounding
        errors. Objective, gap, violation and intercept then are those of these weights.
    centre : ndarray (d,) or None
        For callers: those means.
    relative : float or None
        For callers: the relative gap, where objectives were rescaled and may have come to 0.
    """

    b: np.ndarray
    intercept: tuple[float, ...] = (0.0,)
    dual: float = 0.0
    gap: float = math.inf
    violation: float = math.inf
    n_iter: int = 0
    status: str = "interrupted"
    history: list[State] = field(default_factory=list)
    hit_rate: float = 0.0
    square: float = 0.0
    floor: float = 0.0
    residual: np.ndarray = field(default_factory=lambda: np.zeros(0))
    largest: float = 0.0
    weights: np.ndarray | None = None
    centre: np.ndarray | None = None
    relative: float | None = None

    @property
    def relative_gap(self) -> float:
        """The gap relative to the larger objective, or to what cancels in it if that is nothing."""
        if self.relative is not None:
            return self.relative
        return _relative(self.dual, self.gap, self.floor)

    @property
    def primal(self) -> float:
        """Objective of the weights."""
        return self.dual + self.gap


class Options(NamedTuple):
    """How to solve; see `solve`."""

    tol: float
    cache: int  # bytes
    shrinking: bool
    max_iter: float
    max_time: float | None
    threads: int
    hard: bool = False
    set: int = LARGEST  # variables of a working set at most
    rows: int = 0  # examples there are, of which a proof has weights
    budget: int = 0  # bytes, of all problems; `cache` is what each may have for rows


class Sizes(NamedTuple):
    """Sums of |b|, b^2 and (hi - lo)^2, and the largest kernel value in the diagonal."""

    length: float
    square: float
    room: float
    diagonal: float


def _relative(dual: float, gap: float, floor: float = 0.0) -> float:
    return gap / max(abs(dual), abs(dual + gap), floor, 1e-300) if gap > 0 else 0.0


def solve(
    problems: Sequence[Problem],
    points: Any,
    source: Callable[[Any, Any], Any] | None,
    options: Options,
    monitor: Monitor,
    rounding: Rounding = Rounding(),  # noqa: B008 - immutable
    exact: Exact | None = None,
) -> list[Solution]:
    """Solve problems over the same examples.

    Parameters
    ----------
    problems : sequence of Problem
        Several are shared out among threads, unless they are fewer, or the kernel is a source's.
    points : Points or None
        The examples and their kernel, or
    source : callable or None
        source(i, j), the kernel of the examples i with the examples j.
    options : Options
        max_iter is for each problem; max_time for all.
    monitor : Monitor
        Sees the rounds of a single problem, or the ends of several.
    rounding : Rounding
        Errors of kernel values.
    exact : Exact or None
        The examples of `points` in double precision; None for a source.

    Returns
    -------
    list of Solution
        Also after Ctrl-C, which the status tells.
    """
    begin = perf_counter()
    deadline = None if options.max_time is None else begin + options.max_time
    keep = source is not None or points.terms >= DEAR
    abreast = min(options.threads, len(problems)) if source is None else 1
    if abreast < 2 or len(problems) < 2 * options.threads:
        abreast = 1
    run = _Run(points, source, options._replace(
        cache=options.cache // abreast if keep else 0, budget=options.cache,
        set=max(256, min(LARGEST, math.isqrt(max(options.cache, 4 << 20) // 4)))),
               begin, deadline, monitor, options.threads if abreast == 1 else 1, abreast,
               rounding, exact)
    try:
        if len(problems) == 1:
            return [run.one(problems[0], watched=True)]
        return run.many(problems, abreast)
    finally:
        monitor.close()


class _Run:
    """What the problems of a call have in common."""

    def __init__(
        self, points: Any, source: Any, options: Options, begin: float, deadline: float | None,
        monitor: Monitor, threads: int, abreast: int, rounding: Rounding,
        exact: Exact | None,
    ) -> None:
        self.points, self.source, self.options = points, source, options
        self.begin, self.deadline, self.monitor = begin, deadline, monitor
        self.rounding, self.exact = rounding, exact
        self.terms = 1.0 if points is None else points.terms
        self.stopped = ""  # why all are to stop
        self.stop = threading.Event()
        self.shared: dict[int, tuple[np.ndarray, Any]] = {}  # kernels within classes, and tiles
        self.spaces: SimpleQueue[Any] = SimpleQueue()
        for _ in range(abreast):
            self.spaces.put(kernels("smo").Workspace(points, threads))

    def many(self, problems: Sequence[Problem], abreast: int) -> list[Solution]:
        """Solve all, some at a time; their ends are told in their order."""
        done: list[Solution] = []
        with ThreadPoolExecutor(abreast) as pool:
            try:
                self._share(problems, pool)
            except KeyboardInterrupt:
                self.end("interrupted")
            waiting = [pool.submit(self.one, problem) for problem in problems]
            try:
                for future in waiting:
                    done.append(future.result())
                    if self._tell(done, len(problems)):
                        self.end("callback")
            except KeyboardInterrupt:
                self.end("interrupted")
            except BaseException:
                self.end("interrupted")
                raise
            done += [future.result() for future in waiting[len(done):]]
        if self.stopped == "interrupted":
            done[-1].status = "interrupted"  # also where it came after the last round
        return done

    def _share(self, problems: Sequence[Problem], pool: ThreadPoolExecutor) -> None:
        """Compute the kernels within classes that are in several problems, as far as they fit."""
        if self.source is not None:
            return
        members: dict[int, np.ndarray] = {}
        times: dict[int, int] = {}
        for p in problems:
            if p.classes is not None and len(p.p) <= SHARE:
                count, first, second = p.classes
                for c, ids in ((first, p.ids[:count]), (second, p.ids[count:])):
                    members[c], times[c] = ids, times.get(c, 0) + 1
        place, room, end = {}, self.options.budget / 2, 0
        for c, ids in members.items():
            ld = (len(ids) + 7) // 8 * 8
            size = 4 * ld**2 + 8 * len(ids) * self.points.width
            if times[c] > 1 and size <= room:
                place[c] = end, ld
                end, room = end + ld**2, room - size
        values = np.empty(end, dtype=np.float32)  # at once: large pages

        def compute(c: int) -> None:
            (begin, ld), kernel = place[c], kernels("smo")
            block = values[begin:begin + ld**2].reshape(ld, ld)
            space = self.spaces.get()
            try:
                kernel.square_block(space, members[c], block)
                self.shared[c] = block, kernel.class_tiles(space, members[c])
            finally:
                self.spaces.put(space)

        list(pool.map(compute, place))

    def exact_points(self) -> Any:
        """The points in double precision, or None of a source."""
        return None if self.exact is None else self.exact.points()

    def rank(self, n: int) -> int:
        """Features of a linear kernel that an interior point can take for n examples, or 0."""
        if self.points is None or not self.points.linear or self.exact is None:
            return 0
        d = int(self.exact.rows.d)  # the points may lack features that no row has
        return d if d <= FACTOR_MOST and n * d <= COPY_MOST else 0

    def factor(self, ids: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Z with K = Z Z' for a linear kernel, or K of the examples, in double precision."""
        rank = self.rank(len(ids))
        if rank:
            assert self.exact is not None
            return self.exact.features(ids), None
        K = np.empty((len(ids), len(ids)))
        if self.source is not None:
            K[:] = self.source(ids, ids)
        else:
            points = self.exact_points()
            points.values(ids, points, ids, K, 1)
        return None, K

    def end(self, why: str) -> None:
        """Have all problems stop."""
        self.stopped = self.stopped or why
        self.stop.set()

    def _tell(self, done: list[Solution], of: int) -> bool:
        if not self.monitor.watching:
            return False
        return self.monitor.update(State(
            len(done), perf_counter() - self.begin, sum(s.dual + s.gap for s in done),
            sum(s.dual for s in done), max(s.relative_gap for s in done), of - len(done), True,
        ))

    def one(self, problem: Problem, watched: bool = False) -> Solution:
        """Solve a problem; `watched` tells the monitor of its rounds."""
        space = self.spaces.get()
        try:
            return _Solve(self, problem, space, watched).run()
        finally:
            self.spaces.put(space)


class _Solve:
    """The rounds of one problem."""

    def __init__(self, run: _Run, problem: Problem, space: Any, watched: bool) -> None:
        self.common, self.problem, self.watched = run, problem, watched
        self.options = run.options
        self.out = Solution(np.array(problem.start, dtype=np.float64))
        self.s = np.zeros(len(problem.ids))
        parts, self.whole = None, len(problem.p) <= min(WHOLE, self.options.set)
        if problem.classes is not None:
            count, first, second = problem.classes
            if first in run.shared and second in run.shared:
                (A, a), (B, b) = run.shared[first], run.shared[second]
                parts, self.whole = (count, A, B, a, b), True
        self.smo = kernels("smo").Smo(
            space, problem.ids, problem.p, problem.lo, problem.hi, self.out.b, self.s,
            problem.group, run.source, 0 if self.whole else self.options.cache, parts,
        )
        self.most = len(problem.p)
        self.sizes = Sizes(0.0, 0.0, 0.0, 0.0)
        self.refined = -1  # steps at which s was found in double precision
        self.best, self.in_vain = math.inf, 0  # violation then, and times that it was no better
        self.first = -math.inf, math.inf  # dual objective of the start, primal one
        self.interior = False  # whether an interior point was tried
        self.weighed: Solution | None = None  # what it found with weights of their own
        self.kept: tuple[np.ndarray, float] | None = None  # its duals, and their gap
        self.rounded = 0.0  # violation that then is no more than rounding
        self.time = 0.0  # that rounds took, about
        self.counted = 0, 0, 0  # steps, kernel values and rounds until now
        self.size = float(np.abs(problem.p).max())
        self.limit = SOONEST + PATIENCE * self._interior_time()

    def run(self) -> Solution:
        out, smo = self.out, self.smo
        try:
            if self.common.rounding.precise:
                self._be_precise()
            elif self.problem.start.any():
                smo.start()
            self._note_start()
            out.status = self._rounds()
        except KeyboardInterrupt:
            self.common.end("interrupted")
            out.status = "interrupted"
        if out.status == "interrupted":
            smo.undo()  # what gradients do not have yet
            soon = smo.values_behind * self.common.terms * TERM_TIME < AT_INTERRUPT
            if soon:
                smo.restore()
            self._settle()
            if not soon:  # gradients of the examples that are left out are old
                out.dual, out.gap = math.nan, math.inf
        elif out.status != "converged":
            smo.update()
            smo.restore()
            self._settle()
            if self._doubtful():
                self._refine()
                self._settle()
            if self.kept is not None and self.kept[1] < out.gap:
                self._go_back(self.kept[0])
            self._prefer_start()
            if smo.precise and not self.options.hard:
                out.gap += self._hidden()
            if self.weighed is not None and self.weighed.gap < out.gap:
                self._take_weights()
        if out.weights is None:
            out.residual = self._residual()
        out.largest = self.sizes.diagonal
        out.n_iter = smo.steps
        out.hit_rate = smo.found_rows / max(1, smo.wanted_rows)
        return out

    def _rounds(self) -> str:
        """Rounds until the certificate holds; in higher precision, or otherwise, if need be."""
        while True:
            status = self._descend()
            if status == "converged" and not self._holds():
                status = "stalled"
            if status == "converged" and self.most <= POLISHED and not self.options.hard:
                self._polish()
                if not self._holds():  # scores are rounded in double precision, too
                    status = "stalled"
            if status not in ("stalled", "crawling"):
                return status
            going = self._escalate(status)
            found, tol = self.weighed, self.options.tol
            if found is not None and found.relative_gap <= tol and (
                    found.violation <= max(tol, self.rounded)):
                self._take_weights()
                return "converged"
            if not going:
                return "stalled"

    def _descend(self) -> str:
        """Rounds as they are; "stalled" where they come no further, "crawling" where slowly."""
        smo, options = self.smo, self.options
        tol = options.tol
        aim = 0.99 * tol
        q = self.most if self.whole else min(FIRST, options.set)
        largest = max(q, min(LARGEST, options.set))
        stuck, careful = 0, False
        self.best, self.in_vain = math.inf, 0
        while True:
            violation = smo.violation()
            if violation <= aim and smo.n_active < len(self.problem.ids):
                smo.restore()
                violation = smo.violation()
            if violation <= aim or violation <= self._unavoidable():
                self._certify()
                if self.out.relative_gap <= tol:
                    if not self._doubtful():
                        self.out.violation = max(0.0, violation)
                        self._tell(violation)
                        return "converged"
                    if not self._refine():
                        return "stalled"
                    careful = self.in_vain > 0 or self.best > CAREFUL * aim
                    continue
                if self.options.hard:
                    self._refuse_inseparable()
                floor = LEAST * (self.size + self.sizes.diagonal * self.sizes.length)
                if aim <= floor or stuck > 3:
                    return "stalled"
                # The gap falls about as the violation does.
                share = 0.9 * tol / self.out.relative_gap
                aim = max(aim * min(max(share, TIGHTER), 0.7), floor)
                continue
            if self._tell(violation):
                return "callback"
            stopped = self._stopped()
            if stopped:
                return stopped
            if self._crawls():
                return "crawling"
            if options.hard:
                self._refuse_inseparable()
            if options.shrinking and smo.times_shrunk < GROUPS and not self.whole:
                smo.shrink(SHRINK)
            kept = smo.select(q, int(KEEP * q))
            left = min(STEPS, options.max_iter - smo.steps)
            inner = 0.99 * aim if self.whole else max(INNER * violation, 0.5 * aim)
            again = careful and smo.n_active == len(self.problem.ids)
            if again:  # a little at a time: what is added is wrong in proportion to its size
                inner = max(inner, INNER * violation)
            goal = NEARLY * tol if self.whole and not options.hard else 0.0
            steps, _ = smo.solve(inner, int(left), goal)
            smo.update()
            if again and steps > 0 and not self._refine():
                return "stalled"
            stuck = stuck + 1 if steps == 0 else 0
            if stuck > 3:
                return "stalled"
            if kept >= int(KEEP * q):
                q = min(2 * q, largest)

    def _unavoidable(self, exact: bool = False) -> float:
        """Violation that counts as rounding of exact gradients; 0 while they are not exact."""
        if not (exact or (self.smo.precise and self.refined == self.smo.steps)):
            return 0.0
        length, _, _, diagonal = self.smo.sizes()
        return ROUNDING * (self.size + diagonal * length)

    # ---- precision ----------------------------------------------------------------------

    def _note_start(self) -> None:
        """Objectives of the duals to begin with, which no later ones may contradict."""
        problem = self.problem
        if self.options.hard or (problem.start.any() and not self.smo.precise):
            return  # with single precision these would be no truth to hold others against
        if not problem.start.any():  # P of w = 0 with some intercepts, the best of C-SVC among them
            if problem.classes is not None and problem.group is None:
                self.first = 0.0, 2 * min(float(problem.hi.sum()), -float(problem.lo.sum()))
                return
            x = [problem.p - c for c in (0.0, float(problem.p.max()), float(problem.p.min()))]
            self.first = 0.0, min(
                float(np.maximum(each * problem.hi, each * problem.lo).sum()) for each in x)
            return
        self.smo.violation()
        dual, _, gap, *_ = self.smo.certificate(True)
        self.first = dual, dual + gap

    def _holds(self) -> bool:
        """Whether the certificate is one: no rounding in doubt, no objective out of its order.

        In single precision the dual objective must be above that of the start, and below the
        primal one of its weights. In double precision that could only show that the kernel is not
        positive semidefinite.
        """
        out, (least, most) = self.out, self.first
        if self.smo.precise:
            share = HIDDEN if self.common.exact is None else DOUBT
            allowed = share * self.options.tol * self._objective()
            return self.options.hard or self._hidden() <= allowed
        slack = 0.1 * self.options.tol * self._objective()
        return least - slack <= out.dual <= most + slack

    def _prefer_start(self) -> None:
        """Go back to the duals of the start where those that were found are worse."""
        least, most = self.first
        if self.options.hard or least == -math.inf or (
                self.out.dual >= least and self.out.primal <= most):
            return
        self._go_back(self.problem.start)

    def _go_back(self, b: np.ndarray) -> None:
        """Take these duals, and find their gradients and certificate."""
        self.out.b[:] = b
        self.smo.refine(self.common.exact_points(), 0.0, 0.0, math.inf)
        self._settle()

    def _escalate(self, why: str) -> bool:
        """Take what comes further: double precision, an interior point; False after both."""
        smo = self.smo
        smo.update()
        smo.restore()
        if why == "stalled" and not smo.precise:
            self._be_precise()
            return True
        if not self.interior and self._interior_time() < math.inf:
            self.interior = True
            self._be_precise()
            self._take_interior_point()
            return True
        return False

    def _be_precise(self) -> None:
        """Have blocks and kernel rows in double precision from now on, and gradients anew."""
        if not self.smo.precise:
            self.smo.be_precise(self.common.exact_points())
            self.smo.violation()
            self.smo.refine(self.common.exact_points(), 0.0, 0.0, math.inf)
            self.refined = self.smo.steps

    def _error_of_s(self, relative: float) -> float:
        """Error of a gradient: that of kernel values times the length of b, at random."""
        diagonal = max(self.sizes.diagonal, self.common.rounding.largest)
        return relative * diagonal * math.sqrt(self.sizes.square)

    def _noise(self, error: float, relative: float, room: float) -> float:
        """Error of the gap: that of gradients times the bounds, at random, and that of b'Kb."""
        diagonal = max(self.sizes.diagonal, self.common.rounding.largest)
        return error * math.sqrt(room) + relative * diagonal * self.sizes.square

    def _objective(self) -> float:
        """What gaps are relative to."""
        out = self.out
        return max(abs(out.dual), abs(out.primal), out.floor, 1e-300)

    def _hidden(self) -> float:
        """What rounding in double precision may hide of the gap."""
        relative = self.common.rounding.double
        error = self._error_of_s(relative)
        c = (*self.out.intercept, self.out.intercept[0])[:2]
        room = self.smo.sizes((SURE * error, *c))[2]
        return self._noise(error, relative, room)

    def _doubtful(self) -> bool:
        """Whether the rounding of kernel values may count in the certificate."""
        if self.refined == self.smo.steps:
            return False
        if self.smo.precise:
            return True
        relative = self.common.rounding.single
        if relative == 0 or self.options.hard:
            return relative > 0
        error, least = self._error_of_s(relative), DOUBT * self.options.tol
        return error > least or (
            self._noise(error, relative, self.sizes.room) > least * self._objective())

    def _refine(self) -> bool:
        """Find gradients in double precision; False when that has come to be in vain."""
        smo = self.smo
        smo.violation()
        margin = math.inf
        if not (self.options.hard or smo.precise):
            largest = max(smo.largest, self.common.rounding.largest)
            margin = SURE * self.common.rounding.single * largest * smo.travel
        smo.refine(self.common.exact_points(), *smo.certificate(False)[3:], margin)
        self.refined, violation = smo.steps, smo.violation()
        self.in_vain = 0 if violation < 0.9 * self.best else self.in_vain + 1
        self.best = min(self.best, violation)
        return self.in_vain <= VAIN

    def _polish(self) -> None:
        """Go on to rounding error: in small problems that takes less time than all else."""
        out, smo = self.out, self.smo
        before, gap = out.b.copy(), out.gap
        self._be_precise()
        smo.violation()
        smo.select(self.most, self.most)
        largest = float(np.abs(self.problem.p - self._by_variable(self.s)).max())
        left = min(float(POLISH_STEPS), self.options.max_iter - smo.steps)
        if left > 0:
            smo.solve(FINEST * largest, int(left), 0.0)
            smo.update()
        self._refine()
        self._settle()
        if not out.gap <= gap:
            self._go_back(before)
        self.refined = smo.steps

    def _by_variable(self, s: np.ndarray) -> np.ndarray:
        """Values of examples, for their variables."""
        return s if len(self.problem.p) == len(s) else np.concatenate([s, s])

    # ---- an interior point --------------------------------------------------------------

    def _crawls(self) -> bool:
        """Whether steps have taken longer than an interior point would."""
        smo = self.smo
        steps, values, rounds = self.counted
        self.time += STEP_TIME * (smo.steps - steps) * smo.ld
        self.time += TERM_TIME * (smo.values - values) * self.common.terms
        self.time += ROUND_TIME * (smo.rounds - rounds)
        self.counted = smo.steps, smo.values, smo.rounds
        if self.interior and self.limit == math.inf:
            return False
        return self.time > self.limit

    def _interior_time(self) -> float:
        """Seconds of an interior point, about; inf where there is none."""
        n = len(self.problem.ids)
        rank = self.common.rank(n)
        if self.options.hard or (rank == 0 and n > DENSE_MOST):
            return math.inf
        if not rank:
            return INTERIOR_STEPS * DENSE_TIME * n**3
        return INTERIOR_STEPS * (EXAMPLE_TIME * n + FEATURE_TIME * n * rank
                                 + PRODUCT_TIME * (n * rank**2 + rank**3 / 3))

    def _take_interior_point(self) -> None:
        """Duals of an interior point, where these are better; and as much time for what is left."""
        from . import _kernel_interior

        out, smo = self.out, self.smo
        self._settle()
        before, gap = out.b.copy(), out.gap
        factor, matrix = self.common.factor(self.problem.ids)
        found = _kernel_interior.solve(
            self.problem, factor=factor, matrix=matrix, tol=FINEST_GAP,
            check=lambda: bool(self._stopped()), linear=factor is not None)
        out.b[:] = found.b
        smo.refine(self.common.exact_points(), 0.0, 0.0, math.inf)
        self._settle()
        if found.linear is not None:
            self._weigh(factor, found.linear.weights, found.linear.intercepts)
        if not out.gap < gap:
            self._go_back(before)
        self.kept = out.b.copy(), out.gap
        self.refined = smo.steps
        self.time = 0.0

    def _weigh(self, features: Any, weights: np.ndarray, intercept: tuple[float, ...]) -> None:
        """Note a solution of b and weights of their own, for any of which P is above D of any b."""
        problem, n = self.problem, len(self.problem.ids)
        s = features @ weights
        f = problem.p - self._by_variable(s)
        group = np.zeros(len(f), dtype=np.int64) if problem.group is None else problem.group
        self.rounded = self._unavoidable(exact=True)
        square = float(weights @ weights)
        x = f - np.array(intercept)[group]
        b, primal, violation = self.out.b, square / 2, 0.0
        near = AT_BOUND * (problem.hi - problem.lo)
        primal += float(np.maximum(x * problem.hi, x * problem.lo).sum())
        for g, c in enumerate(intercept):
            mine = group == g
            primal += c * float(problem.start[mine].sum())
            up, down = mine & (b < problem.hi - near), mine & (b > problem.lo + near)
            if up.any() and down.any():
                violation = max(violation, float(f[up].max() - f[down].min()))
        own = b.reshape(-1, n).sum(axis=0) @ features  # b'Kb of these has no large terms
        dual = float(problem.p @ b) - float(own @ own) / 2
        # Scores are rounded, too: that counts where the margin or a loss is.
        error = 2.0**-53 * self.size
        counts = (np.abs(x) <= SURE * error) | np.where(x > 0, b < problem.hi, b > problem.lo)
        hidden = error * float((problem.hi - problem.lo)[counts].sum())
        gap = max(0.0, primal - dual)
        if hidden > DOUBT * self.options.tol * max(abs(primal), abs(dual)):
            gap += hidden / DOUBT
        self.weighed = replace(
            self.out, b=b.copy(), intercept=intercept, dual=dual, gap=gap,
            violation=violation, square=square, residual=x, weights=weights)

    def _take_weights(self) -> None:
        """Have the solution be that of weights of their own."""
        for name in ("b", "intercept", "dual", "gap", "violation", "square", "floor", "residual",
                     "weights"):
            setattr(self.out, name, getattr(self.weighed, name))

    def _stopped(self) -> str:
        if self.common.stop.is_set():
            return self.common.stopped
        if self.smo.steps >= self.options.max_iter:
            return "max_iter"
        deadline = self.common.deadline
        return "max_time" if deadline is not None and perf_counter() > deadline else ""

    def _tell(self, violation: float) -> bool:
        """Note where the problem stands; whether the callback wants to stop."""
        if not self.watched:
            return False
        smo = self.smo
        dual, _, gap, *_ = smo.certificate(False)
        whole = smo.times_shrunk == 0
        if not math.isfinite(gap):
            gap = math.nan
        state = State(smo.rounds, perf_counter() - self.common.begin, dual + gap, dual,
                      _relative(dual, gap), smo.n_active, whole)
        self.out.history.append(state)
        return self.common.monitor.update(state)

    def _settle(self) -> None:
        """Violation and certificate of what has come out."""
        self.out.violation = max(0.0, self.smo.violation())
        self._certify()

    def _certify(self) -> None:
        """Best intercepts, objective and gap, with all examples there; `violation` came before."""
        out = self.out
        out.dual, out.square, out.gap, *c = self.smo.certificate(True)
        out.intercept = tuple(c[:1 if self.problem.group is None else 2])
        self.sizes = Sizes(*self.smo.sizes())
        if self.size == 0:
            relative = min(self.common.rounding.double, LARGEST_ROUNDING)
            noise = self._noise(self._error_of_s(relative), relative, self.sizes.room)
            out.floor = 1.01 * noise / (DOUBT * self.options.tol)
        if self.options.hard:
            self._certify_hard()

    def _certify_hard(self) -> None:
        """Hard margin: p = y, and every constraint y_i (w.x_i + c) >= 1 counts."""
        out, y = self.out, self.problem.p
        least, most = float(self.s[y > 0].min()), float(self.s[y < 0].max())
        out.intercept = (-(least + most) / 2,)
        margin, linear = (least - most) / 2, out.dual + out.square / 2
        out.dual = linear**2 / (2 * out.square) if out.square > 0 else 0.0
        out.gap = math.inf
        if margin > 0:
            out.gap = max(0.0, out.square / (2 * margin**2) - out.dual)

    def _residual(self) -> np.ndarray:
        """f less its intercept."""
        problem, s = self.problem, self.s
        f = problem.p - self._by_variable(s)
        if problem.group is None:
            return f - self.out.intercept[0]
        return f - np.array(self.out.intercept)[problem.group]

    def _refuse_inseparable(self) -> None:
        """Raise if the two weighted means of rows that the duals stand for agree."""
        b, s = self.out.b, self.s
        total = float(np.abs(b).sum()) / 2
        if total <= 0 or self.smo.times_shrunk:
            return
        distance = math.sqrt(max(0.0, float(np.einsum("i,i->", b, s)))) / total
        if distance <= INSEPARABLE * max(1.0, Sizes(*self.smo.sizes()).diagonal) ** 0.5:
            weights = np.zeros(max(self.options.rows, len(b)))
            weights[self.problem.ids] = np.abs(b) / total
            raise NotSeparableError(
                "no plane in the kernel's space separates the classes, as a hard margin (C=inf) "
                f"needs: weighted means of both classes' rows are {distance:.1e} from each other. "
                "Use a finite C, or another kernel", weights, distance)


def history_of(solutions: Sequence[Solution]) -> np.ndarray:
    """Rounds of a single problem; nothing for several."""
    states = solutions[0].history if len(solutions) == 1 else []
    return np.array([tuple(s) for s in states], dtype=HISTORY_DTYPE)
