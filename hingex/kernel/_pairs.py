# SPDX-License-Identifier: BSD-3-Clause
"""The problems of a classifier: of pairs of classes, or of each against the rest; their duals."""

from __future__ import annotations

import bisect
import math
from contextlib import suppress
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from ..solvers import small_pairs, smo
from ..stop import Monitor
from . import _units
from ._base import Training
from ._svr import filled

STATUSES = ("converged", "max_iter", "stalled", "waiting", "max_time", "callback", "interrupted")
POLISHED_TOL = 1e-10
AT_BOUND = 4.0  # roundings of the sum of |b| that a dual at its bound may be off
NEARLY = 0.999  # of the largest feasible nu
_LEFT, _WAITING = small_pairs.LEFT, small_pairs.WAITING

class Layout:
    """Which rows problems have, and where their duals are.

    Parameters
    ----------
    codes : ndarray (n,)
        Classes of rows, 0 to K - 1.
    used : ndarray (n,) of bool
    K : int
    rest : bool
        Whether classes are against the rest, not in pairs.

    Attributes
    ----------
    order : ndarray (N,)
        Rows in use by class, and ascending.
    start : ndarray (K + 1,)
        Where classes begin in `order`.
    sets : int
        Rows of the duals, which have a column for each of `order`.
    count : int
        Problems.
    """

    def __init__(self, codes: np.ndarray, used: np.ndarray, K: int, rest: bool) -> None:
        rows = np.flatnonzero(used)
        self.order = rows[np.argsort(codes[rows], kind="stable")]
        self.start = np.concatenate([[0], np.cumsum(np.bincount(codes[rows], minlength=K))])
        self.K, self.rest = K, rest and K > 2
        self.count = count_of(K, rest)
        self.sets = 1 if K == 2 else K if self.rest else K - 1
        self.codes, self.used = codes, used
        # Number of the first pair (i, j > i) of each class i.
        self.begin = [i * (2 * K - i - 1) // 2 for i in range(K - 1)]

    def pair(self, k: int) -> tuple[int, int]:
        """Class at +1 and class at -1 of problem k; -1 stands for all others.

        As LIBSVM has it, the first class of a pair is positive, but of two classes the second.
        """
        if self.K == 2:
            return 1, 0
        if self.rest:
            return k, -1
        i = bisect.bisect_right(self.begin, k) - 1
        return i, k - self.begin[i] + i + 1

    def places(self, k: int) -> tuple[np.ndarray, np.ndarray, int]:
        """Where in `order` the rows of problem k are, and in which set of duals.

        Those at y = 1 stand before those at -1; how many they are is the third.
        """
        first, second = self.pair(k)
        mine = np.arange(self.start[first], self.start[first + 1])
        if second >= 0:
            others = np.arange(self.start[second], self.start[second + 1])
        else:
            others = np.concatenate([np.arange(self.start[first]),
                                     np.arange(self.start[first + 1], len(self.order))])
            others = others[np.argsort(self.order[others])]
        sets = (0, 0) if self.K == 2 else (k, k) if self.rest else (second - 1, first)
        return (np.concatenate([mine, others]), np.repeat(sets, [len(mine), len(others)]),
                len(mine))

    def examples(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rows of each problem, those at y = 1 before those at -1, and their y."""
        found = []
        for k in range(self.count):
            at, _, positive = self.places(k)
            found.append((self.order[at], np.repeat([1.0, -1.0], [positive, len(at) - positive])))
        return found


def infeasible(nu: float, first: float, second: float) -> bool:
    """Whether nu is more than twice the share of the smaller of two classes with these weights."""
    return min(first, second) < nu / 2 * (first + second) * (1 - 1e-12)


def count_of(K: int, rest: bool) -> int:
    """Problems of K classes."""
    return 1 if K == 2 else K if rest else K * (K - 1) // 2


class Question(NamedTuple):
    """What is asked of the problems.

    Attributes
    ----------
    cost : ndarray (n,)
        Of rows: the largest dual.
    options : smo.Options
    nu : float
        Of NuSVC, or 0.
    radius : float
        Joachims' R^2, or inf.
    last : ndarray (sets, n) or None
        Duals to start from, of all rows.
    counted : ndarray (n,) or None
        Of NuSVC, where nu is infeasible for some pairs: weights of rows without those of classes.
    """

    cost: np.ndarray
    options: smo.Options
    nu: float = 0.0
    radius: float = math.inf
    last: np.ndarray | None = None
    counted: np.ndarray | None = None


class Outcome:
    """What came of problems: duals and their kinds (sets, N), and arrays with a number for each.

    Attributes
    ----------
    dual, kind : ndarray (sets, N)
        Signed, and 0 where a row is no support vector, 1 on the margin, 2 at the bound.
    intercept, objective, gap, relative, violation, square, bound, hit_rate, n_iter : ndarray
        As those of `smo.Solution`, `relative` its `relative_gap`; `bound` is that of leave-one-out.
    status : ndarray of uint8
        Positions in `STATUSES`.
    weights : ndarray (P, d) or None
        What scores are to come from, by rows less `centre`, which intercepts are then for.
    """

    def __init__(self, layout: Layout, batch: Any = None) -> None:
        P, shape = layout.count, (layout.sets, len(layout.order))
        self.layout = layout
        self.history, self.hit_rate = smo.history_of([]), np.zeros(P)
        self.weights: np.ndarray | None = None
        self.centre: Any = None
        if batch is not None:
            self.dual, self.kind, self.intercept = batch.dual, batch.kind, batch.intercept
            self.objective, self.gap, self.relative = batch.objective, batch.gap, batch.relative
            self.violation, self.square, self.bound = batch.violation, batch.square, batch.bound
            self.n_iter, self.status = batch.done, batch.status
            return
        self.dual, self.kind = np.zeros(shape), np.zeros(shape, dtype=np.int8)
        self.intercept, self.objective, self.square, self.bound = np.zeros((4, P))
        self.gap, self.relative, self.violation = np.full((3, P), np.inf)
        self.n_iter, self.status = np.zeros(P, dtype=np.int64), np.full(P, _WAITING, dtype=np.uint8)

    def put(self, k: int, s: smo.Solution, question: Question) -> None:
        """Keep what came of problem k."""
        at, sets, positive = self.layout.places(k)
        b, c, scale = s.b, s.intercept[0], 1.0
        most, size = question.cost[self.layout.order[at]], np.abs(s.b)
        if question.nu > 0:
            # f is -w.phi(x): at margins -rho - b for y = 1, rho - b for y = -1.
            up, down = _decided(s, most, positive)
            scale = 2 / (down - up) if down > up else 1.0
            c = (up + down) / 2 * scale
        kind = (size > 0).view(np.int8) * (1 + (size >= most).view(np.int8))
        self.dual[sets, at], self.kind[sets, at] = b * scale, kind
        self.intercept[k], self.objective[k], self.gap[k] = c, s.dual, s.gap
        self.relative[k], self.violation[k] = s.relative_gap, s.violation
        self.square[k], self.n_iter[k], self.hit_rate[k] = s.square, s.n_iter, s.hit_rate
        self.status[k] = STATUSES.index(s.status)
        if s.weights is not None and self.weights is not None:
            self.weights[k] = s.weights * scale
        if question.nu == 0:
            support = doubtful = np.count_nonzero(b)
            # Without one on the margin the intercept is free to go where a row less lets it.
            if math.isfinite(question.radius) and (kind == 1).any():
                slack = s.residual.copy()
                slack[positive:] *= -1
                np.maximum(slack, 0, out=slack)
                doubtful = np.count_nonzero(2 * size * question.radius + slack >= 1)
            self.bound[k] = min(support, doubtful) / len(at)

    @property
    def left(self) -> np.ndarray:
        """Numbers of the problems that did not converge."""
        return np.flatnonzero(self.status)

    @property
    def all_duals(self) -> np.ndarray:
        """Duals of all n rows, (sets, n)."""
        out = np.zeros((self.layout.sets, len(self.layout.codes)))
        out[:, self.layout.order] = self.dual
        return out


def solve(
    layout: Layout, question: Question, training: Training, monitor: Monitor
) -> Outcome:
    """Solve all problems; where a class has no rows in use, the others of its problems win."""
    present = np.flatnonzero(np.diff(layout.start))
    if len(present) == layout.K:
        return _solve_all(layout, question, training, monitor)
    codes = np.minimum(np.searchsorted(present, layout.codes), len(present) - 1)
    few = Layout(codes, layout.used, len(present), layout.rest)
    return _widened(_solve_all(few, question._replace(last=None), training, monitor), layout,
                    present)


def _widened(few: Outcome, layout: Layout, present: np.ndarray) -> Outcome:
    """An outcome for all classes from that for those that are present.

    Scores of pairs with an absent class are 1 for the other one. Against the rest an absent class
    has the mean score of all less 1.
    """
    out, P = Outcome(layout), few.layout.K
    out.gap[:] = out.relative[:] = out.violation[:] = out.status[:] = 0
    sign, i, j = -1.0 if P == 2 else 1.0, *np.triu_indices(P, 1)
    if layout.rest:
        here = present
        kept = np.zeros(P, dtype=np.int64) if P == 2 else np.arange(P)
        factor = np.array([-1.0, 1.0]) if P == 2 else np.ones(P)
        out.dual[present], out.kind[present] = factor[:, None] * few.dual[kept], few.kind[kept]
    else:
        here, kept = number_of(present[i], present[j], layout.K), np.arange(len(i))
        factor = np.full(len(i), sign)
        rank = np.repeat(np.arange(P), np.diff(few.layout.start))
        t = np.arange(few.layout.sets)[:, None]
        if P == 2:
            t = 1 - rank[None, :]  # the other class
        other = t + (t >= rank) if P > 2 else t
        sets = present[other] - (other > rank)
        columns = np.broadcast_to(np.arange(len(rank)), sets.shape)
        out.dual[sets, columns], out.kind[sets, columns] = sign * few.dual, few.kind
    for name in ("objective", "gap", "relative", "violation", "square", "bound", "hit_rate",
                 "n_iter", "status"):
        getattr(out, name)[here] = getattr(few, name)[kept]
    a, b = np.triu_indices(layout.K, 1)
    if not layout.rest:
        out.intercept[:] = np.isin(a, present).astype(float) - np.isin(b, present)
    out.intercept[here] = factor * few.intercept[kept]
    if few.weights is not None:
        out.weights, out.centre = np.zeros((layout.count, few.weights.shape[1])), few.centre
        out.weights[here] = np.reshape(factor, (-1, 1)) * few.weights[kept]
    if layout.rest:
        absent = np.setdiff1d(np.arange(layout.K), present)
        out.dual[absent] = out.dual[present].mean(axis=0)
        out.intercept[absent] = out.intercept[present].mean() - 1
        if out.weights is not None:
            out.weights[absent] = out.weights[present].mean(axis=0)
    return out


def number_of(i: np.ndarray, j: np.ndarray, K: int) -> np.ndarray:
    """Numbers of the pairs i < j of K classes."""
    return i * (2 * K - i - 1) // 2 + j - i - 1


def _solve_all(
    layout: Layout, question: Question, training: Training, monitor: Monitor
) -> Outcome:
    """Solve all problems: pairs of small classes together, others each by itself."""
    begun, options, stopped, batch = perf_counter(), question.options, "", None
    sizes = np.diff(layout.start)
    if not (layout.rest or question.counted is not None) and small_pairs.worthwhile(sizes):
        with suppress(_units.Rescale):  # without units there are no pairs that are solved together
            batch, stopped = _solve_small(layout, question, training, monitor, begun)
    outcome = Outcome(layout, batch)
    waiting = np.flatnonzero((outcome.status == _WAITING) | (outcome.status == _LEFT))
    if stopped:
        outcome.status[waiting] = STATUSES.index(stopped)
        if stopped == "interrupted":
            outcome.status[-1] = STATUSES.index(stopped)  # also where it came after the last pair
    if stopped or len(waiting) == 0:
        monitor.close()
        return outcome
    if options.max_time is not None and batch is not None:
        options = options._replace(
            max_time=max(1e-9, options.max_time - (perf_counter() - begun)))
    if batch is not None:
        monitor.go_on(layout.count - len(waiting), perf_counter() - begun)
    solutions = training.solve(
        [_problem(layout, question, int(k)) for k in waiting], options, monitor)
    if solutions[0].weights is not None:
        _weigh(outcome, training, solutions[0].centre)
    for k, solution in zip(waiting, solutions, strict=True):
        outcome.put(int(k), solution, question)
    if layout.count == 1:
        outcome.history = smo.history_of(solutions)
    return outcome


def _weigh(outcome: Outcome, training: Training, centre: Any) -> None:
    """Weights of the problems that are solved, and their intercepts for rows less the centre."""
    layout = outcome.layout
    features = training.exact(True).features(layout.order)
    outcome.weights, outcome.centre = np.zeros((layout.count, features.shape[1])), centre
    for k in np.flatnonzero((outcome.status != _WAITING) & (outcome.status != _LEFT)):
        at, sets, _ = layout.places(int(k))
        outcome.weights[k] = outcome.dual[sets, at] @ features[at]
    outcome.intercept += outcome.weights @ centre


def _for_rows_as_they_are(
    batch: Any, layout: Layout, question: Question, training: Training
) -> None:
    """Intercepts of pairs that were solved for rows less the means; those in doubt are left.

    What is subtracted is (x - mean) . mean, summed up with the duals of each pair.
    """
    exact = training.exact(True)
    along = exact.features(layout.order) @ exact.centre
    sums = np.add.reduceat(batch.dual * along, layout.start[:-1], axis=1)
    i, j = small_pairs.pair_of(np.arange(layout.count), layout.K)
    shift = sums[j - 1, i] + sums[i, j]
    batch.intercept[:] -= shift
    if question.nu > 0:
        return
    # Intercepts are rounded: so are scores, where losses of all rows of a pair may come from.
    cost = np.add.reduceat(question.cost[layout.order], layout.start[:-1])
    hidden = 2.0**-53 * np.abs(shift) * (cost[i] + cost[j])
    objective = np.maximum(np.abs(batch.objective), np.abs(batch.objective + batch.gap))
    doubtful = hidden > smo.DOUBT * question.options.tol * objective
    batch.status[doubtful & (batch.status == small_pairs.CONVERGED)] = _LEFT


def _solve_small(
    layout: Layout, question: Question, training: Training, monitor: Monitor, begun: float
) -> tuple[Any, str]:
    """Pairs of small classes, and why that came to an early end."""
    options, order, given = question.options, layout.order, training.kernel
    points, spread, source = None, 0.0, None
    if given is None:
        source = training.given()
        if source.unit:
            raise _units.Rescale
    _units.check_costs(question.cost[order], question.nu, training.largest())
    if given is not None:
        centred = given.name == "rbf" or training.points.shifted
        points = training.exact(centred).points()
        if given.name == "poly":
            spread = float(given.degree)
        elif given.name not in ("linear", "sigmoid"):
            spread = given.gamma * points.largest_own
    # A few rows are solved to rounding error, as single problems are.
    tol = options.tol if len(order) > smo.POLISHED else min(options.tol, POLISHED_TOL)
    task = small_pairs.Task(
        order, layout.start, np.ascontiguousarray(question.cost[order]), tol, question.nu,
        question.radius, options.max_iter, options.threads,
    )
    batch, stopped = small_pairs.solve(
        task, points, source, monitor,
        None if options.max_time is None else begun + options.max_time, spread,
        None if question.last is None else np.ascontiguousarray(question.last[:, order]),
    )
    if given is not None and training.points.shifted:
        _for_rows_as_they_are(batch, layout, question, training)
    return batch, stopped


def _problem(layout: Layout, question: Question, k: int) -> smo.Problem:
    """Problem k by itself."""
    at, sets, positive = layout.places(k)
    ids, first = layout.order[at], np.arange(len(at)) < positive
    cost, pair = question.cost[ids], layout.pair(k)
    lo, hi = np.where(first, 0.0, -cost), np.where(first, cost, 0.0)
    classes = None if pair[1] < 0 else (positive, *pair)
    if question.nu > 0:
        total = question.nu * float(cost.sum()) / 2
        if question.counted is not None:
            least = min(float(cost[:positive].sum()), float(cost[positive:].sum()))
            counted = question.counted[ids]
            if infeasible(question.nu, float(counted[:positive].sum()),
                          float(counted[positive:].sum())):
                least *= NEARLY  # with all duals at bounds, no row would be on the margin
            total = min(total, least)
        start = np.concatenate([filled(cost[:positive], total), -filled(cost[positive:], total)])
        group = (~first).astype(np.uint8)
        return smo.Problem(ids, np.zeros(len(ids)), lo, hi, start, group, classes)
    start = np.zeros(len(ids))
    if question.last is not None:
        start = _balanced(np.clip(question.last[sets, ids], lo, hi), lo, hi)
    return smo.Problem(ids, np.where(first, 1.0, -1.0), lo, hi, start, None, classes)


def _decided(solution: smo.Solution, cost: np.ndarray, positive: int) -> tuple[float, float]:
    """f at the margins of both sides of a problem with nu, where all rows of one may be at bounds.

    Its margin is then open on one side, at no cost: it is put where none of these rows, which have
    little weight, has a score above -1/2 for its side.
    """
    up, down = solution.intercept
    for side, mine in ((1, slice(None, positive)), (-1, slice(positive, None))):
        if not len(solution.residual) or (
                np.abs(solution.b[mine]) < (1 - 1e-9) * cost[mine]).any():
            continue
        f = solution.residual[mine] + (up if side > 0 else down)
        if side > 0:
            up = 2 * min(2 * float(f.min()) - down, (up + down) / 2) - down
        else:
            down = 2 * max(2 * float(f.max()) - up, (up + down) / 2) - up
        break
    return up, down


def _balanced(start: np.ndarray, lo: np.ndarray, hi: np.ndarray) -> np.ndarray:
    """Duals with a sum of 0: what a side has too much is taken first from those between bounds.

    Duals that only the rounding of that sum keeps from a bound are put on it: they would count as
    free, and as support vectors on the margin.
    """
    excess = float(start.sum())
    side = np.flatnonzero(start > 0 if excess > 0 else start < 0)
    between = (start[side] > lo[side]) & (start[side] < hi[side])
    side = side[np.argsort(~between, kind="stable")]
    size = np.abs(start[side])
    cut = np.clip(abs(excess) - (np.cumsum(size) - size), 0.0, size)
    start[side] -= np.copysign(cut, excess)
    bit = AT_BOUND * np.finfo(np.float64).eps * float(np.abs(start).sum())
    up, down = hi - start, start - lo
    start = np.where((up <= bit) & (up <= down), hi, start)
    return np.where((down <= bit) & (down < up), lo, start)
