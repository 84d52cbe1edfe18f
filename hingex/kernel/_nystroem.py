# SPDX-License-Identifier: BSD-3-Clause
"""Low-rank kernels for large n: K ~ Z Z', and linear solvers on Z.

Landmarks L are rows of X; K is approximated by K_nL K_LL^-1 K_Ln (Williams & Seeger 2001). The
incomplete Cholesky decomposition gives Z = K_nL A, A the inverse transpose of its triangle, so
that K ~ Z Z', a column for each landmark; a score w . z(x) is k(x, L) A w. Pivots are drawn with
probability as far as their own kernel is not yet approximated, in blocks, of which those stay that
would have been drawn one by one (Epperly, Tropp & Webber, "Embrace rejection: kernel matrix
approximation by accelerated randomly pivoted Cholesky", 2024). The largest would be outliers.

O(n r^2) and n r kernel values; memory 12 n r bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _validate as check
from .._result import Fit
from ..solvers import solve_linear
from ..stop import HISTORY_DTYPE

if TYPE_CHECKING:
    from ._base import Training

BLOCK = 64  # rows that are drawn at a time
LEAST = 1e-10  # share of the largest diagonal entry that ends the decomposition
AT_ONCE = 64  # rows, for the diagonal


class Factor(NamedTuple):
    """K ~ Z Z' with Z = K[:, landmarks] A."""

    landmarks: np.ndarray
    Z: np.ndarray
    A: np.ndarray
    error: float  # trace of K - Z Z', relative to that of K


def blocks(
    training: Training, source: Any, threads: int
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The kernel of some rows with others, in double precision; in its unit if it is a source's."""
    if source is not None:
        return lambda i, j: np.asarray(source(i, j), dtype=np.float64)
    points = training.exact(training.points.shifted).points()

    def block(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        out = np.empty((len(i), len(j)))
        points.values(i, points, j, out, threads)
        return out

    return block


def factor(
    block: Callable[[np.ndarray, np.ndarray], np.ndarray], n: int, rank: int,
    candidates: np.ndarray, seed: int, deadline: float = math.inf,
) -> Factor:
    """Incomplete Cholesky decomposition with pivots among `candidates`, up to `rank` of them.

    After the deadline, a time of `time.perf_counter`, those that there are have to do.
    """
    from scipy.linalg import solve_triangular

    every = np.arange(n)
    own = np.concatenate([np.diagonal(block(part, part))
                          for part in np.array_split(every, -(-n // AT_ONCE))])
    left, least = own.copy(), LEAST * float(own.max())
    allowed = np.zeros(n, dtype=bool)
    allowed[candidates] = True
    rng = np.random.default_rng(seed)
    pivots: list[int] = []
    Z = np.zeros((n, rank), order="F")
    while len(pivots) < rank and not (pivots and perf_counter() > deadline):
        open_to = np.where(allowed & (left > least), left, 0.0)
        total = float(open_to.sum())
        if total <= 0:
            break
        drawn = np.searchsorted(np.cumsum(open_to), total * rng.random(BLOCK), side="right")
        drawn = np.minimum(drawn, n - 1)
        _, first = np.unique(drawn, return_index=True)
        trial = drawn[np.sort(first)]
        trial = trial[open_to[trial] > 0]
        luck = rng.random(len(trial))
        done = len(pivots)
        # Cholesky's decomposition of what is left of their kernel; those stay that would have been
        # drawn after the others before them.
        G = block(trial, trial) - Z[trial, :done] @ Z[trial, :done].T
        d = np.diagonal(G).copy()
        chosen: list[int] = []
        columns = np.zeros((len(trial), len(trial)))
        for p in range(len(trial)):
            k = len(chosen)
            if done + k == rank:
                break
            if d[p] <= least or luck[p] * open_to[trial[p]] >= d[p]:
                continue
            columns[:, k] = (G[:, p] - columns[:, :k] @ columns[p, :k]) / np.sqrt(d[p])
            d -= columns[:, k] ** 2
            chosen.append(p)
        if not chosen:
            allowed[trial[d <= least]] = False  # what rounding left of them
            continue
        new = trial[chosen]
        L = columns[chosen, :len(chosen)]
        rest = block(new, every) - Z[new, :done] @ Z[:, :done].T
        Z[:, done:done + len(new)] = solve_triangular(L, rest, lower=True).T
        pivots += new.tolist()
        left -= (Z[:, done:len(pivots)] ** 2).sum(axis=1)
        allowed[new] = False
        np.maximum(left, 0.0, out=left)
    landmarks, Z = np.array(pivots, dtype=np.int64), Z[:, :len(pivots)]
    L = Z[landmarks]
    A = solve_triangular(np.tril(L), np.eye(len(pivots)), lower=True).T
    error = float(left.sum() / own.sum()) if own.sum() > 0 else 0.0
    return Factor(landmarks, Z, A, error)


class Solved(NamedTuple):
    """Binary linear problems on Z, in their order."""

    weights: np.ndarray  # (problems, rank)
    intercept: np.ndarray
    primal: np.ndarray
    dual: np.ndarray
    gap: np.ndarray
    n_iter: np.ndarray
    converged: bool
    statuses: list[str]


def solve(
    Z: np.ndarray, examples: list[tuple[np.ndarray, np.ndarray]], cost: np.ndarray,
    options: dict[str, Any], monitor: Any, deadline: float = math.inf,
) -> Solved:
    """Hinge losses and an intercept that is not penalised, for rows and signs of each problem.

    Where all rows are of one side that is the score. All have to be done by the deadline, a time of
    `time.perf_counter`; the first one has a millisecond in any case. Problems that an end comes
    before have weights of 0.
    """
    fits: list[Any] = []
    stopped = ""
    for ids, sign in examples:
        left = None if deadline == math.inf else deadline - perf_counter()
        if left is not None and left <= 0 and fits:
            stopped = stopped or "max_time"
        if stopped:
            fits.append(_not_begun(Z.shape[1], cost[ids], sign, stopped))
            continue
        if len(set(sign.tolist())) < 2:
            fits.append(_certain(Z.shape[1], float(sign[0]) if len(sign) else 0.0))
            continue
        rows = check.as_rows(Z if len(ids) == len(Z) and (np.diff(ids) > 0).all() else Z[ids])
        fit, _, _ = solve_linear(
            rows, (sign > 0).astype(np.int32), 2, loss="hinge", C=float(cost.max()),
            cost=np.ascontiguousarray(cost[ids]), intercept="unregularized", scaling=1.0,
            monitor=monitor, start=None, classes=np.array([-1, 1]),
            max_time=None if left is None else max(1e-3, left), **options,
        )  # fmt: skip
        fits.append(fit)
        if fit.status == "interrupted" or monitor.asked:
            stopped = "interrupted" if fit.status == "interrupted" else "callback"

    def each(get: Callable[[Any], Any]) -> np.ndarray:
        return np.array([get(fit) for fit in fits])

    return Solved(
        each(lambda f: f.coef[0]), each(lambda f: f.intercept[0]), each(lambda f: f.primal[0]),
        each(lambda f: f.dual_objective[0]), each(lambda f: f.gap[0]), each(lambda f: f.n_iter),
        all(f.converged for f in fits), [f.status for f in fits],
    )


def _not_begun(rank: int, cost: np.ndarray, sign: np.ndarray, status: str) -> Fit:
    """Weights and duals of 0, with their certificate: the heavier side wins."""
    first, second = float(cost[sign > 0].sum()), float(cost[sign < 0].sum())
    primal = np.array([2 * min(first, second)])
    return Fit(np.zeros((1, rank)), np.array([np.sign(first - second)]), None, primal, np.zeros(1),
               np.sign(primal), np.empty(0, HISTORY_DTYPE), 0, False, status, 0.0)


def _certain(rank: int, score: float) -> Fit:
    """The fit of a problem whose rows are all of one side."""
    none = np.zeros(1)
    return Fit(np.zeros((1, rank)), np.array([score]), None, none, none, none,
               np.empty(0, HISTORY_DTYPE), 0, True, "converged", 0.0)
