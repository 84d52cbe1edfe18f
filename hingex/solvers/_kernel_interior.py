# SPDX-License-Identifier: BSD-3-Clause
"""Primal-dual interior point method for kernel machines, where pairs of variables crawl.

Problem, that of `smo` (variable v is of example v mod n; K = Z Z' or a matrix):

    max_b  p'b - 1/2 b'Kb    lo <= b <= hi,   the sums of b over one or two groups given

With multipliers z, y >= 0 of the bounds, an intercept c for each group and weights v, b is optimal
when

    p - Zv - c = y - z,   v = Z'b,   (b - lo) z = 0,   (hi - b) y = 0

Newton steps follow the path (b - lo) z = (hi - b) y = mu * share to mu = 0, with Mehrotra's
predictor and corrector; `share` is the length hi - lo, so that an example of weight 2 goes the way
of two examples. Eliminating the multipliers leaves the system of `_kernel_systems` with D =
z / (b - lo) + y / (hi - b). Its solutions are refined by residuals. Where rounding leaves no way
on, D gets a little more: a proximal step. The start is a least-squares fit, set onto the path.

The weights are a part of the state, so that duals which are large and cancel do not spoil the
gradients; Z'b is summed up with more than double precision where that counts. (For a matrix, v is
Kb, and as exact as K.)

At the end, variables that are nearly at a bound, and whose multipliers say so, are set to it. A few
Newton steps on the free ones follow, with bounds and signs of multipliers checked after each
(a primal-dual active-set method). They come to vertices as exact as those of SMO.

Stopping: the relative duality gap. For weights v that need not be those of b it is

    P(v, c) - D(b) = 1/2 |v - Z'b|^2 + sum max((hi - b) x, (lo - b) x),   x = p - Zv - c

Gaps are those of the numbers in the result, and of the best intercepts. On data that are not
scaled no b in double precision may have good weights Z'b: its digits end before. The pair of b and
v proves the optimum all the same, for models that predict by v (`Result.linear`).

Complexity: 10 to 30 iterations of n r^2 + r^3 / 3 multiply-adds for a factor of r columns, and some
50 passes over it; n^3 / 6 for a matrix. Memory: 2 r^2 numbers (2 n^2 for a matrix, beside it) and
some 60 for each variable. Nothing is random; bits depend on the BLAS and its threads alone.

Sources: Mehrotra, "On the implementation of a primal-dual interior point method", SIAM J. Optim.
1992; Fine & Scheinberg, "Efficient SVM training using low-rank kernel representations", JMLR 2,
2001; Wright, "Modified Cholesky factorizations in interior-point algorithms for linear
programming", SIAM J. Optim. 9, 1999; Hintermueller, Ito & Kunisch, "The primal-dual active set
strategy as a semismooth Newton method", SIAM J. Optim. 13, 2002.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ._kernel_systems import FactorKernel, MatrixKernel, Places, Residual, Step, exponent

HEAVY = 10.0  # times the median length of a box: longer ones do not ask for larger products
EXTRA, CLOSER = 6, 1e-4  # iterations within tol, and share of it, to find out which are free
PATIENCE = 12  # iterations without a clearly smaller gap: rounding error, or no way on
REFINE = 4  # corrections of a solution at most
EXACT = 1e-14  # residual of a solution, relative to the right-hand side, that needs no correction
LONGEST, SHORTEST = 0.9999, 1e-8  # steps, as a share of the way to the first bound
SNAP = (1.0, 1e-2, 1e-4, 1e-6)  # distances to a bound that are none, times the multiplier
SOUND = 1e-3  # relative error of a solution that will do
LEAST_SHARE, MOST_SHARE = 1e-16, 1e-8  # of a variable's kernel value, to add to D
GUARD = (4.0, 64.0, 1024.0)  # times the rounding of a gradient
WORSE = 100.0  # times the best gap: active-set steps that lead nowhere
PURIFY = 12  # active-set steps at the end
PROXIMAL = 1e-11  # the same, for active-set steps
FINE = 0.01  # share of tol that the rounding of long sums may come to, or they get more digits
FLOOR = 1e-10  # of b'Kb of an even b: weights that cancel to less, without any p, are 0
NOISE = 1e-4  # of that: rounding, whatever the tolerance
EPSILON = 2.0**-53
AT_BOUND = 8.0  # EPSILONs of the sum of |b| that a b at its bound may be off
LEAST = 1e-300


class Linear(NamedTuple):
    """A model that predicts by weights.

    Attributes
    ----------
    weights : ndarray (r,)
        Of the columns of the factor: Z'b but for rounding, which may matter where large duals
        cancel; b in double precision cannot stand for any weights then.
    intercepts : tuple of float
    primal, gap : float
        Objective of these weights, and its distance from the dual objective of b.
    """

    weights: np.ndarray
    intercepts: tuple[float, ...]
    primal: float
    gap: float


class Result(NamedTuple):
    """What came of a problem.

    Attributes
    ----------
    b : ndarray (m,) of float64
        Within the bounds, some at them exactly, with the sums of the start.
    intercepts : tuple of float
        Of each group; those of the least gap for this b.
    iterations : int
    status : {"converged", "max_iter", "stalled", "stopped", "interrupted"}
        "converged" if the gap of `b`, or of `linear`, is small enough.
    primal, dual, gap : float
        Objectives and their difference for `b` and `intercepts`.
    floor : float
        Without p, as for a nu in classification, the best weights may be 0: objectives below this
        are, but for rounding, and the gap is relative to it then.
    linear : Linear or None
        Weights, for a factor that has no more columns than rows: those of b, or others where they
        have a smaller gap.
    """

    b: np.ndarray
    intercepts: tuple[float, ...]
    iterations: int
    status: str
    primal: float
    dual: float
    gap: float
    floor: float
    linear: Linear | None = None

    @property
    def relative_gap(self) -> float:
        """The gap relative to the larger objective, or to what cancels in it if that is nothing."""
        return _relative(self.gap, self.dual, self.floor)


def solve(
    problem: Any,
    factor: np.ndarray | None = None,
    matrix: np.ndarray | None = None,
    tol: float = 1e-8,
    max_iter: int = 100,
    check: Callable[[], Any] | None = None,
    linear: bool = False,
) -> Result:
    """Solve a problem of `smo`'s form.

    Parameters
    ----------
    problem : smo.Problem
        With finite bounds lo <= 0 <= hi; p, lo, hi, start and group are looked at.
    factor : ndarray (n, r) of float32 or float64
        Z, of which K = Z Z'. Where the sum of b is 0, columns should be centred by the caller:
        that changes intercepts only, and rounding is then relative to the spread of a column.
    matrix : ndarray (n, n) of float64
        K itself, if there is no factor; both triangles.
    tol : float
        Relative duality gap at which to stop.
    max_iter : int
        Iterations of the interior point method.
    check : callable
        Called before each iteration; ends the work by returning True, or KeyboardInterrupt.
    linear : bool
        The caller predicts by `Result.linear`: end as soon as that is good enough. Otherwise the
        work goes on until b is so by itself, or can't be.

    Returns
    -------
    Result
        Also after an interrupt, which the status tells: the best feasible b so far.
    """
    with np.errstate(all="ignore"):  # a step that overflows is refused by its gap
        scaled = _Scaled(problem, factor, matrix, tol)
        if not len(scaled.index):
            none = np.zeros(0)
            return scaled.result(scaled.pair(none, scaled.image(none)), 0, "converged")
        return _Run(scaled, tol, max_iter, check, linear).run()


def _relative(gap: float, dual: float, floor: float) -> float:
    return gap / max(abs(dual), abs(dual + gap), floor, LEAST) if gap > 0 else 0.0


class _Certificate(NamedTuple):
    """Scaled duals and weights, gradients p - Zv, best intercepts, and what they prove."""

    b: np.ndarray
    v: np.ndarray  # weights (scores, for a matrix) that the gradients are of
    f: np.ndarray
    c: np.ndarray
    dual: float
    gap: float
    floor: float

    @property
    def relative(self) -> float:
        return _relative(self.gap, self.dual, self.floor) if math.isfinite(self.gap) else math.inf


    def within(self, tol: float) -> bool:
        """Whether the gap is small enough, or rounding."""
        return self.relative <= tol or self.gap <= NOISE * self.floor


class _Pair(NamedTuple):
    """Certificates for the same b: with its own weights, and with better ones if there are."""

    alone: _Certificate
    linear: _Certificate

    @property
    def gap(self) -> float:
        return min(self.alone.gap, self.linear.gap)

    def within(self, tol: float) -> bool:
        """Whether one of them is good enough."""
        return self.alone.within(tol) or self.linear.within(tol)

    def better(self, than: _Pair, tol: float) -> bool:
        """Whether the gap is smaller; that of b alone, where the other is small enough."""
        if self.within(tol) and than.within(tol):
            return self.alone.gap < than.alone.gap
        return self.gap < than.gap


class _Scaled:
    """The variables that are not fixed, in units (powers of two) in which numbers are near 1.

    b = unit * scaled b; gradients and p, less a number for each group, = size * scaled ones.
    """

    def __init__(self, problem: Any, factor: np.ndarray | None, matrix: np.ndarray | None,
                 tol: float) -> None:
        if (factor is None) == (matrix is None):
            raise ValueError("give either factor or matrix")
        m = len(problem.p)
        n = len(factor if matrix is None else matrix)  # type: ignore[arg-type]
        if n == 0 or m not in (n, 2 * n):
            raise ValueError(f"expected {n} or {2 * n} variables for {n} examples, got {m}")
        if factor is not None and factor.shape[1] > n:
            matrix, factor = _gram(factor), None
        lo, hi = (np.asarray(x, dtype=np.float64) for x in (problem.lo, problem.hi))
        self.problem, self.m = problem, m
        self.groups = 1 if problem.group is None else 2
        self.index = np.flatnonzero(hi > lo)
        group = None if problem.group is None else np.asarray(problem.group)[self.index]
        self.at = Places(self.index % n, group, n, self.groups)
        start = np.asarray(problem.start, dtype=np.float64)[self.index]
        p = np.asarray(problem.p, dtype=np.float64)[self.index]
        self.shift = np.array([_middle(p if group is None else p[group == g])
                               for g in range(self.groups)])
        p = p - self.at.spread(self.shift)
        self.kernel: Any = MatrixKernel(matrix) if matrix is not None else FactorKernel(factor)
        most = float(np.abs(p).max(initial=0.0))
        longest = float((hi - lo).max(initial=0.0))
        self._units(most, longest)
        self.matrix, self.columns = factor is None, 0 if factor is None else factor.shape[1]
        self.p = p / self.size
        self.lo, self.hi = lo[self.index] / self.unit, hi[self.index] / self.unit
        self.start = start / self.unit
        self.length = self.hi - self.lo
        self.finely, self.floor, self.tol = False, 0.0, tol
        self.lever = self.at.take(np.sqrt(self.kernel.diagonal))
        self.reach = float(self.lever @ self.length)
        self.sum = np.array([math.fsum(self.start if group is None else self.start[group == g])
                             for g in range(self.groups)])
        self.constant = float(self.shift @ self.sum) / self.size
        share = self.length / max(float(np.median(self.length)), LEAST) if len(self.index) else p
        self.share = np.minimum(share, HEAVY)

    def _units(self, most: float, longest: float) -> None:
        """Units with kernel values of at most about 1, and b up to where Kb balances p."""
        kernel, factor = self.kernel, isinstance(self.kernel, FactorKernel)
        square = (exponent(kernel.scale) - 1) * (2 if factor else 1)  # of K's multiplier
        unit = exponent(longest)
        size = unit - square
        if most > 0:
            size = exponent(most)
            unit = min(unit, size + square)
        less = unit - square - size  # kernel values are that much smaller, in powers of two
        size += less % 2
        kernel.rescale(math.ldexp(1.0, max(less // 2, -300)))
        self.unit, self.size = (math.ldexp(1.0, min(max(e, -1000), 1000)) for e in (unit, size))

    def image(self, b: np.ndarray) -> np.ndarray:
        """Weights for b (for a matrix: scores)."""
        return self.kernel.image(self.at.examples(b), self.finely)

    def gradients(self, v: np.ndarray) -> np.ndarray:
        """f = p - Kb for weights v."""
        return self.p - self.at.take(self.kernel.expand(v))

    def certificate(self, b: np.ndarray, v: np.ndarray | None = None) -> _Certificate:
        """Gradients, best intercepts and gap of a feasible b, and weights v (or those of b).

        P(v, c) - D(b) = 1/2 |v - Z'b|^2 + sum max((hi - b) x, (lo - b) x), x = p - Zv - c.
        """
        given, own = v, self.image(b)
        square = self.kernel.square(self.at.examples(b), own)
        apart = 0.0
        if v is None:
            v = own
        else:
            apart = 0.5 * float((v - own) @ (v - own))
        f = self.gradients(v)
        c, group = np.zeros(self.groups), self.at.group
        for g in range(self.groups):
            mine = slice(None) if group is None else group == g
            c[g] = _intercept(f[mine], b[mine], self.lo[mine], self.hi[mine])
        x = f - self.at.spread(c)
        up, down = self.hi - b, self.lo - b
        gap = apart + float(np.where(x > 0, x * up, np.where(x < 0, x * down, 0.0 * x)).sum())
        dual = float(self.p @ b) + self.constant - 0.5 * square
        if not (math.isfinite(gap) and math.isfinite(dual)):
            gap = math.inf
        elif not (self.finely or self.matrix):
            error = EPSILON * float(np.linalg.norm(self.lever * b)) * self.reach
            if error > FINE * self.tol * max(abs(dual), abs(dual + gap)):
                self.finely = True
                return self.certificate(b, given)
        return _Certificate(b, v, f, c, dual, gap, self.floor)

    def pair(self, b: np.ndarray, v: np.ndarray) -> _Pair:
        """Certificates of b alone, and with weights v."""
        alone = self.certificate(b)
        return _Pair(alone, alone if self.matrix else self.certificate(b, v))

    def repair(self, b: np.ndarray) -> np.ndarray:
        """B within the bounds, with the sums that are to be kept."""
        b = np.clip(b, self.lo, self.hi)
        group = self.at.group
        for g in range(self.groups):
            mine = np.arange(len(b)) if group is None else np.flatnonzero(group == g)
            b[mine] = _balanced(b[mine], self.lo[mine], self.hi[mine], float(self.sum[g]))
        return b

    def result(self, pair: _Pair, iterations: int, status: str) -> Result:
        """In the units of the problem."""
        b = np.zeros(self.m)
        lo, hi = (np.asarray(x)[self.index] for x in (self.problem.lo, self.problem.hi))
        cert = pair.alone
        b[self.index] = np.clip(cert.b * self.unit, lo, hi)
        by, linear = self.unit * self.size, None
        if not self.matrix:
            best = pair.linear if pair.linear.gap < cert.gap else cert
            w = best.v[:self.columns] * (self.unit / self.kernel.scale)
            linear = Linear(w, self._intercepts(best), (best.dual + best.gap) * by, best.gap * by)
        return Result(b, self._intercepts(cert), iterations, status, (cert.dual + cert.gap) * by,
                      cert.dual * by, cert.gap * by, cert.floor * by, linear)

    def _intercepts(self, cert: _Certificate) -> tuple[float, ...]:
        return tuple(float(x) for x in cert.c * self.size + self.shift)


def _gram(Z: np.ndarray) -> np.ndarray:
    """Z Z', for fewer rows than columns."""
    Z = np.asarray(Z, dtype=np.float64)
    return Z @ Z.T


def _middle(p: np.ndarray) -> float:
    """A number near all p, if there is one: what is left of p has smaller rounding errors."""
    if not len(p):
        return 0.0
    least, most = float(p.min()), float(p.max())
    return least / 2 + most / 2 if most - least < 0.5 * max(abs(least), abs(most)) else 0.0


def _intercept(f: np.ndarray, b: np.ndarray, lo: np.ndarray, hi: np.ndarray) -> float:
    """The c of the least gap, or the middle of all such c.

    The gap is convex and piecewise linear in c, with kinks where c passes an f. Those outside of
    [least, most] have no slope: what is above cannot grow, and what is below cannot fall.
    """
    # A b that rounding keeps from its bound would hold the intercept at its own f.
    bit = AT_BOUND * EPSILON * float(np.abs(b).sum())
    grow, fall = f[hi - b > bit], f[b - lo > bit]
    if not len(grow) and not len(fall):
        grow, fall = f[b < hi], f[b > lo]
    if not len(grow) and not len(fall):
        return 0.0
    if not len(grow):
        return float(fall.min())
    if not len(fall):
        return float(grow.max())
    most, least = float(grow.max()), float(fall.min())
    if not (math.isfinite(most) and math.isfinite(least)):
        return 0.0  # no number will do
    if most <= least:
        return most / 2 + least / 2
    near = np.flatnonzero((f >= least) & (f <= most))
    near = near[np.argsort(f[near], kind="stable")]
    up, length = (hi - b)[near], (hi - lo)[near]
    slope = np.cumsum(length) - float(up.sum())
    none = 1e-14 * float(length.sum())
    at, end = int(np.argmax(slope >= -none)), int(np.argmax(slope > none))
    if not slope[end] > none:
        end = len(near) - 1
    return float(f[near[at]] / 2 + f[near[max(at, end)]] / 2)


def _balanced(b: np.ndarray, lo: np.ndarray, hi: np.ndarray, total: float) -> np.ndarray:
    """B with the given sum: free variables move in proportion, then the freest one by the rest."""
    for attempt in range(6):
        lack = total - math.fsum(b)
        if lack == 0:
            break
        reach = hi - b if lack > 0 else b - lo
        inner = np.minimum(hi - b, b - lo)
        free = np.where(inner > 0, reach, 0.0)
        if attempt < 2 and abs(lack) > 1e-12 * float(np.abs(b).sum()):
            whole = float(free.sum())
            if whole < abs(lack):
                free, whole = reach, float(reach.sum())
            if whole > 0:
                share = min(1.0, abs(lack) / whole) * math.copysign(1.0, lack)
                b = np.clip(b + share * free, lo, hi)
            continue
        order = np.argsort(-np.where(inner > 0, inner, 0.0), kind="stable")
        most = free[order] if float(free.sum()) >= abs(lack) else reach[order]
        move = np.clip(abs(lack) - (np.cumsum(most) - most), 0.0, most)
        b = b.copy()
        b[order] += math.copysign(1.0, lack) * move
        b = np.clip(b, lo, hi)
    return b


class _Run:
    """The way from a start to the optimum."""

    def __init__(self, scaled: _Scaled, tol: float, max_iter: int,
                 check: Callable[[], Any] | None, linear: bool) -> None:
        self.linear = linear and not scaled.matrix
        self.p, self.tol, self.max_iter, self.check = scaled, tol, max_iter, check
        self.kernel, self.at = scaled.kernel, scaled.at
        self.within, self.iterations, self.waiting = 0, 0, 0
        self.least, self.products = math.inf, math.inf
        self.path: _Path | None = None
        self.found: _Pair | None = None
        size = self.kernel.n if scaled.matrix else self.kernel.r
        self.vertex = size + scaled.groups  # variables that are free at a vertex, at most
        self.diagonal = self.at.take(self.kernel.diagonal)
        self.share = 0.0  # of K that is added to what variables resist a step
        b = scaled.repair(scaled.start)
        self.best = scaled.certificate(b)

    def run(self) -> Result:
        status = "interrupted"
        pair = None
        try:
            status = self._iterate()
            if status != "stopped":
                pair = self.found or self._finish()
                if pair.within(self.tol):
                    status = "converged"
                elif status == "converged":
                    status = "stalled"
        except KeyboardInterrupt:
            status = "interrupted"
        if pair is None:
            pair = self.p.pair(self.best.b, self.best.v)
        return self.p.result(pair, self.iterations, status)

    def _stopped(self) -> bool:
        return self.check is not None and bool(self.check())

    def _iterate(self) -> str:
        """The interior point method."""
        if self._stopped():
            return "stopped"
        path = self._start()
        if path is None:
            return "stalled"
        self.path = path
        while True:
            self._look(path)
            if self._enough():
                return "converged"
            if self.waiting >= PATIENCE:
                return "stalled"
            if self.iterations >= self.max_iter:
                return "max_iter"
            if self._stopped():
                return "stopped"
            self.iterations += 1
            if not self._advance(path):
                return "stalled"

    def _enough(self) -> bool:
        """Whether the gap is small enough, and active-set steps come to the optimum from here.

        They do where it is clear which variables are free: no more than weights and intercepts,
        but for ties.
        """
        if not self.best.within(self.tol):
            return False
        self.within += 1
        b = self._snapped(self.best, SNAP[0])
        if self._free(b) <= self.vertex:
            found = self._purify(b, self.best)
            if self._good(found):
                self.found = found
                return True
        return self.within > EXTRA or self.best.within(CLOSER * self.tol)

    def _free(self, b: np.ndarray) -> int:
        return int(np.count_nonzero((b > self.p.lo) & (b < self.p.hi)))

    def _look(self, path: _Path) -> None:
        """The certificate of where the path has come to."""
        cert = self.p.certificate(self.p.repair(path.b()), None if self.p.matrix else path.v)
        products = path.mu() * path.total
        better = cert.gap < 0.9 * self.least or 1e-3 * self.least < products < 0.9 * self.products
        self.waiting = 0 if better else self.waiting + 1
        self.least, self.products = min(self.least, cert.gap), min(self.products, products)
        if cert.gap < self.best.gap:
            self.best = cert

    def _start(self) -> _Path | None:
        """Least squares: the distance from an even b counts with the box, then onto the path."""
        p, at = self.p, self.at
        even = np.zeros(len(p.p))
        for g in range(p.groups):
            mine = slice(None) if at.group is None else at.group == g
            side = p.hi[mine] if p.sum[g] > 0 else p.lo[mine]
            whole = float(side.sum())
            if p.sum[g] != 0 and whole != 0:
                even[mine] = side * min(1.0, p.sum[g] / whole)
        base = p.image(even)
        if not p.p.any():
            p.floor = FLOOR * self.kernel.square(at.examples(even), base)
        f = p.gradients(base)
        total = np.maximum(at.sums(p.length), LEAST)
        x = f - at.spread(at.sums(p.length * f) / total)
        spread = math.sqrt(float(p.length @ x**2) / max(float(total.sum()), LEAST))
        w = p.length / (spread if spread > 0 else 1.0)
        system = self._system(w, Residual(p.p, np.zeros(p.groups), base))
        if system is None:
            return None
        db, c, v = system.first
        return _Path(p, system.D * db, c, v)  # p - Zv - c, without cancellation

    def _system(self, w: np.ndarray, rhs: Residual) -> _System | None:
        """Decompose K + 1/w, and solve for the first right-hand side.

        Where that comes to nothing, 1/w is made larger than a share of K: a proximal step.
        """
        self.share = self.share / 100.0 if self.share > 2 * LEAST_SHARE else 0.0
        while True:
            capped = w / (1.0 + self.share * self.diagonal * w)
            if self.kernel.prepare(self.at.both(capped)):
                system = _System(self.p, capped, rhs)
                if system.error <= SOUND or self.share >= MOST_SHARE:
                    return system if np.isfinite(system.first.db).all() else None
            elif self.share >= MOST_SHARE:
                return None
            self.share = max(100.0 * self.share, LEAST_SHARE)

    def _advance(self, path: _Path) -> bool:
        """A predictor and a corrector step; False when there is no way on."""
        p, at = self.p, self.at
        mu, w, b = path.mu(), path.weights(), path.b()
        x = p.gradients(path.v) - at.spread(path.c)
        rhs = Residual(x, p.sum - at.sums(b), p.image(b) - path.v)
        system = self._system(w, rhs) if mu > 0 and np.isfinite(w).all() else None
        if system is None:
            return False
        path.predict(system.first.db)
        size = min(1.0, path.farthest())
        target = mu * min(1.0, path.ahead(size) / mu)**3
        path.aim(target)
        step = system.solve(rhs._replace(r=x + path.rest()))
        path.correct(step.db)
        size = min(1.0, max(0.99, min(LONGEST, 1.0 - target / mu)) * path.farthest())
        if not (size > SHORTEST and np.isfinite(step.db).all() and np.isfinite(step.u).all()):
            return False
        path.move(size, step)
        return True

    def _finish(self) -> _Pair:
        """Set variables to their bounds, and solve for those between."""
        p, raw = self.p, self.best
        last = p.pair(raw.b, raw.v)
        if self.path is None:
            return last
        b = self._snapped(raw, SNAP[0])
        for start in (b, self._trimmed(b, raw)):
            found = self._purify(start, raw)
            if self._acceptable(found, last):
                return found
        for near in SNAP[1:]:
            found = p.pair(p.repair(self._snapped(raw, near)), raw.v)
            if self._acceptable(found, last):
                return found
        return last

    def _acceptable(self, found: _Pair, last: _Pair) -> bool:
        """Whether a solution with duals at their bounds can take the place of the last one."""
        if last.within(self.tol) and not found.within(self.tol):
            return False
        if self._good(found):
            return True
        return found.gap <= last.gap if self.linear else found.alone.gap <= last.alone.gap

    def _snapped(self, cert: _Certificate, near: float) -> np.ndarray:
        """B with variables at a bound whose distance from it is small for their gradient."""
        p = self.p
        x = cert.f - self.at.spread(cert.c)
        reach = np.minimum(p.length, max(float(np.abs(cert.b).max()), LEAST))
        typical = max(math.sqrt(float((x**2).mean())), LEAST)
        level = near * np.abs(x) / typical * reach
        b = np.where((x < 0) & (cert.b - p.lo < level), p.lo, cert.b)
        return np.where((x > 0) & (p.hi - cert.b < level), p.hi, b)

    def _trimmed(self, b: np.ndarray, cert: _Certificate) -> np.ndarray:
        """B with no more free variables than a vertex has: those go to a bound that are nearest."""
        p = self.p
        inner = np.minimum(b - p.lo, p.hi - b) / p.length
        over = self._free(b) - self.vertex
        if over <= 0:
            return b
        inner[inner <= 0] = math.inf
        last = np.argsort(inner, kind="stable")[:over]
        b = b.copy()
        b[last] = np.where((cert.f - self.at.spread(cert.c))[last] > 0, p.hi[last], p.lo[last])
        return b

    def _purify(self, b: np.ndarray, start: _Certificate) -> _Pair:
        """Active-set steps from b and weights of the start; the best of what they come to."""
        p, at = self.p, self.at
        c, v = start.c, start.v
        best = p.pair(p.repair(b), v)
        prox = 1.0 / np.maximum(PROXIMAL * self.diagonal, LEAST)
        free = (b > p.lo) & (b < p.hi)
        for _ in range(PURIFY):
            if self._stopped() or not free.any():
                break
            x = p.gradients(v) - at.spread(c)
            rhs = Residual(x, p.sum - at.sums(b), p.image(b) - v)
            system = self._system(np.where(free, prox, 0.0), rhs)
            if system is None:
                break
            moved = np.clip(b + system.first.db, p.lo, p.hi)
            c, v = c + system.first.dc, v + system.first.u
            if not np.isfinite(moved).all():
                break
            x = p.gradients(v) - at.spread(c)
            inside = (moved > p.lo) & (moved < p.hi)
            wrong = ~free & (((moved == p.lo) & (x > 0)) | ((moved == p.hi) & (x < 0)))
            found = p.pair(p.repair(moved), v)
            better = found.better(best, self.tol)
            if better:
                best = found
            elif not found.gap < WORSE * best.gap:
                break
            if not better and not wrong.any() and (inside == free).all():
                break
            b, free = moved, inside | wrong
        return best if self._good(best) else self._guarded(best)

    def _good(self, pair: _Pair) -> bool:
        """Whether what the caller will use is good enough."""
        return (pair if self.linear else pair.alone).within(self.tol)

    def _guarded(self, best: _Pair) -> _Pair:
        """The gradients of free variables set to the cheaper side of 0, further than rounding.

        Where bounds are much further off than b, as at a hard margin, the rounding of a gradient
        times that distance would be all of the gap.
        """
        p, at = self.p, self.at
        b, v, c = best.linear.b, best.linear.v, best.linear.c
        free = (b > p.lo) & (b < p.hi)
        f = p.gradients(v)
        x = f - at.spread(c)
        rounding = EPSILON * (2.0 * np.abs(p.p) + np.abs(f) + np.abs(at.spread(c)))
        side = np.where(p.hi - b > b - p.lo, -rounding, rounding)
        prox = 1.0 / np.maximum(PROXIMAL * self.diagonal, LEAST)
        rhs = Residual(x, p.sum - at.sums(b), p.image(b) - v)
        system = self._system(np.where(free, prox, 0.0), rhs) if free.any() else None
        for times in GUARD if system is not None else ():
            step = system.solve(rhs._replace(r=x - times * side))  # type: ignore[union-attr]
            moved = p.repair(np.where(free, b + step.db, b))
            found = p.pair(moved, v + step.u)
            if found.better(best, self.tol):
                best = found
        return best


class _System:
    """The system for weights w, of a kernel that is prepared; w of 0 keeps a variable.

    `first` solves it for the first right-hand side, to the relative error `error`.
    """

    def __init__(self, p: _Scaled, w: np.ndarray, rhs: Residual) -> None:
        self.p, self.w = p, w
        self.D = np.divide(1.0, w, where=w > 0, out=np.zeros_like(w))
        self.total = np.maximum(p.at.sums(w), LEAST)
        self.error = math.inf
        self.first = self.solve(rhs)

    def _size(self, rhs: Residual) -> float:
        r = np.where(self.w > 0, rhs.r, 0.0)
        size = float(self.w @ r**2) + float(rhs.t @ (rhs.t / self.total))
        return size + (0.0 if self.p.matrix else float(rhs.q @ rhs.q))

    def solve(self, rhs: Residual) -> Step:
        """Steps, refined."""
        at, kernel, w = self.p.at, self.p.kernel, self.w
        step = kept = kernel.solve(w, rhs, at)
        last = math.inf
        for _ in range(REFINE):
            db, dc, u = step
            lack = Residual(
                rhs.r - self.D * db - at.take(kernel.expand(u)) - at.spread(dc),
                rhs.t - at.sums(db),
                np.zeros_like(u) if self.p.matrix else rhs.q - u + self.p.image(db))
            error = self._size(lack)
            if not error < last:
                break
            kept, before, last = step, last, error
            size = float(w @ (self.D * db)**2) + (0.0 if self.p.matrix else float(u @ u))
            self.error = math.sqrt(error / size) if size > 0 else 0.0
            if error <= EXACT**2 * size or error > 0.25 * before:
                break
            more = kernel.solve(w, lack, at)
            step = Step(db + more.db, dc + more.dc, u + more.u)
        return kept


class _Path:
    """The point: distances from both bounds and multipliers, all positive; intercepts.

    Starts on the central path for gradients less intercepts x, with the mean product that these
    have for variables in the middle of their boxes.
    """

    def __init__(self, p: _Scaled, x: np.ndarray, c: np.ndarray, v: np.ndarray) -> None:
        self.p, self.c, self.v, self.share = p, c, v, p.share
        self.total = 2.0 * float(p.share.sum())
        mu = max(2.0 * float(np.abs(x) @ p.length) / self.total, LEAST)
        delta = x * p.length / (p.share * mu)
        root = np.hypot(delta, 2.0)
        self.below = p.length * 2.0 / (2.0 - delta + root)  # b - lo
        self.above = p.length * 2.0 / (2.0 + delta + root)  # hi - b
        self.z = p.share * mu / self.below
        self.y = p.share * mu / self.above

    def b(self) -> np.ndarray:
        return np.where(self.below <= self.above, self.p.lo + self.below, self.p.hi - self.above)

    def mu(self) -> float:
        """The mean product."""
        return (float(self.below @ self.z) + float(self.above @ self.y)) / self.total

    def weights(self) -> np.ndarray:
        """1 / D."""
        return 1.0 / (self.z / self.below + self.y / self.above)

    def predict(self, db: np.ndarray) -> None:
        """The step of the multipliers for products of 0."""
        self.db = db
        self.dz = -self.z - self.z / self.below * db
        self.dy = -self.y + self.y / self.above * db

    def farthest(self) -> float:
        """The size at which the first of all comes to 0."""
        most = math.inf
        for at, step in ((self.below, self.db), (self.above, -self.db), (self.z, self.dz),
                         (self.y, self.dy)):
            fall = float((-step / at).max())
            if not fall < math.inf:
                return 0.0
            if fall > 0:
                most = min(most, 1.0 / fall)
        return most

    def ahead(self, size: float) -> float:
        """The mean product after a step of this size."""
        return (float((self.below + size * self.db) @ (self.z + size * self.dz))
                + float((self.above - size * self.db) @ (self.y + size * self.dy))) / self.total

    def aim(self, target: float) -> None:
        """Go for products `target`, with the second-order term of the predictor."""
        self.pz = (self.share * target - self.db * self.dz) / self.below
        self.py = (self.share * target + self.db * self.dy) / self.above

    def rest(self) -> np.ndarray:
        """What that adds to the right-hand side."""
        return self.pz - self.py

    def correct(self, db: np.ndarray) -> None:
        """The step of the multipliers for the products aimed at."""
        self.db = db
        self.dz = self.pz - self.z - self.z / self.below * db
        self.dy = self.py - self.y + self.y / self.above * db

    def move(self, size: float, step: Step) -> None:
        below, above = self.below + size * self.db, self.above - size * self.db
        length, near = self.p.length, below <= above
        self.below = np.where(near, below, length - above)
        self.above = np.where(near, length - below, above)
        self.z = self.z + size * self.dz
        self.y = self.y + size * self.dy
        self.c = self.c + size * step.dc
        self.v = self.v + size * step.u
