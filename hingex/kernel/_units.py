# SPDX-License-Identifier: BSD-3-Clause
"""Units in which the numbers of a kernel machine's problem are near 1, where they are far from it.

With K = k K', p = s p' and b = u b', u = s / k, the problem of `smo` is s u times

    max_b'  p''b' - 1/2 b''K'b'    lo / u <= b' <= hi / u

k, s and u are powers of two, so that nothing is rounded. Gradients and intercepts are s times those
in units. Without p (a nu in classification, one class) u is the size of the bounds, and s = u k.

Bounds may still be so much larger than duals need to be that their squares leave float64. Such a
bound is lowered. Where no dual reaches the lower one, the optimum is that of the problem as it was
given: the same weights, intercepts and multipliers satisfy its optimality conditions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from .. import kernels as kernel_functions
from .._validate import MAX_COST
from ..solvers import smo
from ..stop import Monitor, State

MOST_DUALS = 1e70  # sum of duals that a fit begins with
FAR = 200  # exponent of p, or of bounds without p, from which on units are taken
LARGEST_EXPONENT = 960  # of a unit: its inverse, and duals in it, are in float64
LARGEST_VALUE = 2.0**LARGEST_EXPONENT  # of a kernel, from its inverse on
LARGEST_BOUND = 1e140  # times the size of duals: float64 holds the square of a sum of bounds
CAPS = (1e6, 1e9, 1e12)  # times the size of duals: bounds in the place of larger ones
AT_CAP = 1e-6  # of a cap: duals so near are at it
REFUSED = ("converged", "stalled")  # what a problem with lower bounds may come to without an answer


class Rescale(Exception):
    """Values of a kernel of the user's are out of the range of its unit."""


class Units(NamedTuple):
    """Exponents of the powers of two that kernel values, p and b are divided by."""

    kernel: int = 0
    p: int = 0
    b: int = 0

    @property
    def plain(self) -> bool:
        return not any(self)

    def problem(self, given: smo.Problem) -> smo.Problem:
        """The problem in these units; bounds may overflow."""
        with np.errstate(over="ignore", under="ignore"):
            lo, hi, start = (np.ldexp(x, -self.b) for x in (given.lo, given.hi, given.start))
        return given._replace(p=np.ldexp(given.p, -self.p), lo=lo, hi=hi, start=start)

    def solution(self, found: smo.Solution, given: smo.Problem) -> smo.Solution:
        """A solution in units, as one of the problem that was given."""
        both = self.p + self.b

        def objective(x: float) -> float:
            return float(np.ldexp(x, both))

        with np.errstate(over="ignore", under="ignore"):
            weights = None if found.weights is None else np.ldexp(found.weights, self.b)
            return replace(
                found, b=np.clip(np.ldexp(found.b, self.b), given.lo, given.hi),
                intercept=tuple(float(np.ldexp(c, self.p)) for c in found.intercept),
                dual=objective(found.dual), gap=objective(found.gap),
                violation=float(np.ldexp(found.violation, self.p)),
                square=objective(found.square), floor=objective(found.floor),
                residual=np.ldexp(found.residual, self.p),
                largest=float(np.ldexp(found.largest, self.kernel)), weights=weights,
                history=[self.state(x) for x in found.history], relative=found.relative_gap)

    def state(self, state: State) -> State:
        """A state for monitors, in the units of what was given."""
        both = self.p + self.b
        with np.errstate(over="ignore", under="ignore"):
            return state._replace(primal=float(np.ldexp(state.primal, both)),
                                  dual=float(np.ldexp(state.dual, both)))


class _InUnits:
    """A monitor that gets numbers in the units of what was given."""

    def __init__(self, monitor: Monitor, units: Units) -> None:
        self.monitor, self.units, self.close = monitor, units, monitor.close

    @property
    def watching(self) -> bool:
        return self.monitor.watching

    def update(self, state: State) -> bool:
        return self.monitor.update(self.units.state(state))


class Source:
    """A kernel that is given by its values, in its unit.

    `largest` is the largest value that is known: of the diagonal of a matrix (that of `row`), or of
    all that a function has returned so far. `Rescale` is raised as soon as these ask for another
    unit.
    """

    def __init__(self, source: Any, largest: float, row: int | None = None) -> None:
        self.source, self.largest, self.row, self.unit = source, largest, row, 0
        self.rescale()

    def rescale(self) -> None:
        """Take the unit of the largest value."""
        if self.largest > 0 and not 1 / LARGEST_VALUE <= self.largest <= LARGEST_VALUE:
            where = "" if self.row is None else f", at row {self.row} of the diagonal"
            raise ValueError(f"the kernel's values are up to {self.largest:.3g}{where}; allowed "
                             f"are {1 / LARGEST_VALUE:.0e} to {LARGEST_VALUE:.0e}. Scale the "
                             "kernel")
        out = kernel_functions.is_out_of_single_range(self.largest)
        self.unit = math.frexp(self.largest)[1] if out else 0

    def __call__(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        values: np.ndarray = self.source(i, j)
        seen = getattr(self.source, "largest", 0.0)
        if seen > self.largest:
            self.largest = seen
            if kernel_functions.is_out_of_single_range(math.ldexp(seen, -self.unit)):
                raise Rescale
        return np.ldexp(values, -self.unit, dtype=np.float64) if self.unit else values

    def rounding(self) -> kernel_functions.Rounding:
        """Of values that are given as they are; in double precision where these are far from 1."""
        return kernel_functions.Rounding(largest=math.ldexp(self.largest, -self.unit),
                                         precise=self.unit != 0)


class Sizes(NamedTuple):
    """The largest |p|, the largest bound, and the largest of those that are finite."""

    p: float
    bound: float
    finite: float


def sizes_of(problems: list[smo.Problem]) -> Sizes:
    """Of all problems together."""
    p = bound = finite = 0.0
    for x in problems:
        p = max(p, float(x.p.max(initial=0.0)), -float(x.p.min(initial=0.0)))
        most = max(float(x.hi.max(initial=0.0)), -float(x.lo.min(initial=0.0)))
        bound = max(bound, most)
        if most == math.inf:
            own = _bounds(x)
            most = float(own[np.isfinite(own)].max(initial=0.0))
        finite = max(finite, most)
    return Sizes(p, bound, finite)


def units_of(sizes: Sizes, kernel: int) -> Units:
    """Units of problems with these sizes, for a kernel with this one."""
    bound = math.frexp(sizes.finite)[1]
    if sizes.p == 0:
        b = bound if abs(bound) > FAR else 0
        return Units(kernel, b + kernel, b)
    unit = math.frexp(sizes.p)[1]
    if abs(unit) <= FAR:
        unit = 0
    elif unit > 0:  # small bounds are not to become 0
        unit = max(0, min(unit, bound + kernel + FAR))
    return Units(kernel, unit, unit - kernel)


def check_costs(cost: np.ndarray, nu: float, largest: float) -> None:
    """Raise `Rescale` for bounds of a classifier's duals that need units, or are out of range.

    `largest` is the largest kernel value, or 0 if it is not known.
    """
    most = float(cost.max(initial=0.0))
    far = abs(math.frexp(most)[1]) > FAR if nu > 0 else most * largest > LARGEST_BOUND
    if math.isfinite(most) and far:
        raise Rescale


def scaled_costs(cost: np.ndarray, source: Source | None) -> tuple[np.ndarray, int]:
    """Costs for a kernel in its unit, by which duals and objectives are smaller; and its exponent.

    For solvers of weights, which have units of their own for all but the kernel.
    """
    unit = 0 if source is None else source.unit
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(cost, unit)
    most = float(scaled.max(initial=0.0))
    if source is not None and unit and not 1 / MAX_COST <= most <= MAX_COST:
        largest, size = source.largest, float(cost.max())
        raise ValueError(f"C times sample_weight and class_weight is up to {size:.3g}, and the "
                         f"kernel's values are up to {largest:.3g}; allowed are products of "
                         f"{1 / MAX_COST:g} to {MAX_COST:g}. Scale the kernel, or take another C")
    return scaled, unit


class Solver:
    """Solves problems over the same rows, whatever the range of their numbers.

    Parameters
    ----------
    run : callable
        run(problems, options, monitor) of `smo.solve`, for the kernel in its unit.
    source : Source or None
        The kernel; None for a named one, whose largest value is
    largest : float
    """

    def __init__(self, run: Callable[..., list[smo.Solution]], source: Source | None,
                 largest: float) -> None:
        self.run, self.source, self.largest = run, source, largest

    def solve(
        self, problems: list[smo.Problem], options: smo.Options, monitor: Any
    ) -> list[smo.Solution]:
        """Solutions of problems that are given without units; ValueError out of all range."""
        sizes = sizes_of(problems)
        units = units_of(sizes, self.source.unit if self.source else 0)
        _refuse_units(problems, units, sizes)
        scaled, watcher = problems, monitor
        if not units.plain:
            scaled, watcher = [units.problem(x) for x in problems], _InUnits(monitor, units)
            sizes = sizes_of(scaled)
        _refuse_start(problems, scaled)
        size = self._size(sizes.p)
        if options.hard or size == 0 or sizes.bound <= LARGEST_BOUND * size:
            solutions = self.run(scaled, options, watcher)
        elif any(x.group is not None for x in problems):  # lower bounds would have other sums
            worst = max(problems, key=lambda x: float(_bounds(x).max(initial=0.0)))
            raise self._out_of_bounds(worst, int(_bounds(worst).argmax()), size, units)
        else:
            solutions = self._below_caps(problems, scaled, units, options, watcher)
        if units.plain:
            return solutions
        out = [units.solution(s, x) for s, x in zip(solutions, problems, strict=True)]
        _refuse_objectives(out, solutions, problems)
        return out

    def _size(self, p: float) -> float:
        """Of duals whose Kb balances numbers up to p, about; 0 without p."""
        largest = self.largest
        if self.source is not None:
            largest = math.ldexp(self.source.largest, -self.source.unit) or 1.0
        return p / largest if largest > 0 else 0.0

    def _below_caps(
        self, given: list[smo.Problem], scaled: list[smo.Problem], units: Units,
        options: smo.Options, monitor: Any,
    ) -> list[smo.Solution]:
        """Solutions with lower bounds that no dual reaches; ValueError if there are none."""
        at: tuple[int, int] = (0, 0)
        p = sizes_of(scaled).p
        for times in CAPS:
            cap = times * self._size(p)
            problems = [_capped(x, cap) for x in scaled]
            solutions = self.run(problems, options, monitor)
            if any(s.status not in REFUSED for s in solutions):
                return solutions
            near = (1 - AT_CAP) * cap
            reached = [np.flatnonzero((_bounds(x) > cap) & (np.abs(_net(s, x)) > near))
                       for x, s in zip(scaled, solutions, strict=True)]
            found = [(k, int(v[0])) for k, v in enumerate(reached) if len(v)]
            if not found and all(s.status == "converged" for s in solutions):
                return solutions
            at = found[0] if found else (0, int(_bounds(scaled[0]).argmax()))
        k, v = at
        raise self._out_of_bounds(given[k], v, self._size(p), units)

    def _out_of_bounds(
        self, problem: smo.Problem, v: int, size: float, units: Units
    ) -> ValueError:
        """The error for the bound of variable v, where duals in units have this size."""
        row = int(problem.ids[v % len(problem.ids)])
        most = float(np.ldexp(LARGEST_BOUND * size, units.b))
        largest = self.source.largest if self.source is not None else self.largest
        many = len(problem.p) > len(problem.ids)
        return ValueError(
            f"the dual of row {row} is bounded by {float(_bounds(problem)[v]):.3g} (C times "
            f"{'sample_weight' if many else 'sample_weight and class_weight'}), and no smaller "
            f"bound has the same optimum; with kernel values of up to {largest:.3g} allowed is "
            f"{most:.3g}. Take a smaller C or smaller weights, or scale the kernel's values (or X)"
            + (", or scale y up" if many else ""))


def _bounds(problem: smo.Problem) -> np.ndarray:
    out: np.ndarray = np.maximum(problem.hi, -problem.lo)
    return out


def _net(solution: smo.Solution, problem: smo.Problem) -> np.ndarray:
    """Duals of the examples, for their variables."""
    b, n = solution.b, len(problem.ids)
    return b if len(b) == n else np.tile(b.reshape(2, n).sum(axis=0), 2)


def _capped(problem: smo.Problem, cap: float) -> smo.Problem:
    """The problem with bounds of at most `cap`, and a start within these of the same sum, 0."""
    lo, hi = np.maximum(problem.lo, -cap), np.minimum(problem.hi, cap)
    inside = bool(((problem.start >= lo) & (problem.start <= hi)).all())
    return problem._replace(lo=lo, hi=hi,
                            start=problem.start if inside else np.zeros_like(problem.start))


def _largest_target(problems: list[smo.Problem]) -> tuple[float, int]:
    """Of p, and its row."""
    problem = max(problems, key=lambda x: float(np.abs(x.p).max(initial=0.0)))
    at = int(np.abs(problem.p).argmax())
    return float(abs(problem.p[at])), int(problem.ids[at % len(problem.ids)])


def _refuse_units(problems: list[smo.Problem], units: Units, sizes: Sizes) -> None:
    """Raise ValueError where duals or gradients would be out of float64."""
    if max(abs(e) for e in units) <= LARGEST_EXPONENT:
        return
    allowed = f"the range of float64, {1 / LARGEST_VALUE:.0e} to {LARGEST_VALUE:.0e}. Scale"
    kernel = f" and kernel values of about {math.ldexp(1.0, units.kernel):.0e}"
    if sizes.p > 0:
        row = _largest_target(problems)[1]
        raise ValueError(f"targets y of size up to {sizes.p:.3g} (epsilon included), at row {row},"
                         f"{kernel} have duals or predictions out of {allowed} y, or the kernel")
    raise ValueError(f"weights of rows of up to {sizes.finite:.3g}{kernel} have scores out of "
                     f"{allowed} sample_weight and class_weight, or the kernel")


def _refuse_start(problems: list[smo.Problem], scaled: list[smo.Problem]) -> None:
    """Raise ValueError for sums of duals that are too large."""
    for problem, own in zip(problems, scaled, strict=True):
        largest = float(np.abs(problem.start).sum())
        if largest == 0:
            continue
        if not largest <= MOST_DUALS:  # also NaN, of weights whose sum overflows
            smaller = "a smaller C, or smaller" if problem.p.any() else "smaller"
            raise ValueError(f"the duals add up to {largest:.3g}, which float64 cannot square; "
                             f"allowed are {MOST_DUALS:.0e}. Take {smaller} values of "
                             "sample_weight" + ("" if problem.p.any() else " and class_weight"))
        relative = float(np.abs(own.start).sum())
        if relative > LARGEST_BOUND:
            most, row = _largest_target([problem])
            raise ValueError(
                f"the duals add up to {largest:.3g}, {relative:.3g} times what the targets y (of "
                f"size up to {most:.3g}, at row {row}) and the kernel's values ask for; allowed "
                f"are {LARGEST_BOUND:.0e} times. Take a C smaller by "
                f"{relative / LARGEST_BOUND:.0e} or more, or scale y, the kernel's values or X")


def _refuse_objectives(
    out: list[smo.Solution], scaled: list[smo.Solution], problems: list[smo.Problem]
) -> None:
    """Raise ValueError where objectives leave float64 as units are left."""
    for mine, own in zip(out, scaled, strict=True):
        if math.isfinite(own.primal) and not (math.isfinite(mine.primal)
                                              and math.isfinite(mine.square)):
            most, row = _largest_target(problems)
            what = f"targets y of size up to {most:.3g}, at row {row}," if most else "the weights"
            raise ValueError(f"{what} have objectives beyond the largest number of float64. Scale "
                             "y, the weights of rows or the kernel")
