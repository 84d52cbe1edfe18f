# SPDX-License-Identifier: BSD-3-Clause
"""Large-margin nearest neighbours: a linear map that keeps other classes away from neighbours.

Problem, with z = L x, d_ab = ||z_a - z_b||^2, targets N(i) (the nearest rows of i's class in the
data as they are) and rows l of other classes:

    min_L  r sum_{i, j in N(i)} d_ij + (1 - r) sum_{i, j, l} max(0, 1 + d_ij - d_il)^p,  p = 1, 2

It is convex in L^T L, not in L: L-BFGS finds a local minimum, for which there is no gap. It ends
when an iteration lowers the objective by less than tol times its value, or where there is nothing
to lower: at an objective of 0, the least there is, or a gradient of 0, up to rounding.

The sums are exact although only few l are looked at. A search of all rows, by products of blocks,
lists for each i those within a radius R_i that is larger than sqrt(1 + max_j d_ij) by a margin; as
rows move from z' to z no other can come that near until s R_i - ||z_i - s z_i'|| - max_l ||z_l -
s z_l'|| falls below it, for any s > 0, by the triangle inequality. Then there is a new search.

Complexity: a search O(n^2 p), an evaluation O(n d p + candidates p). Memory: O(n (d_out + k)), the
candidates, and a block of products of BLOCK numbers.

Sources: K. Q. Weinberger and L. K. Saul, "Distance metric learning for large margin nearest
neighbor classification", JMLR 10, 2009; the objective in L and its gradient: section 3.3 and
K. Q. Weinberger and L. K. Saul, "Fast solvers and efficient implementations for distance metric
learning", ICML 2008.
"""

from __future__ import annotations

import math
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from .._core import kernels
from ..stop import HISTORY_DTYPE, Monitor, State

LOSSES = ("hinge", "squared_hinge")
BLOCK = 1 << 20  # numbers in a block of products
NARROWEST, WIDEST = 0.1, 0.2  # of the radius: what rows may move before there is a new search
FEW = 3  # evaluations after a search that should have been wider
ROUNDING = 1e-5  # of the largest square: products in single precision are less than that off
MEMORY = 10  # pairs of changes that L-BFGS keeps


class Learnt(NamedTuple):
    """Result: L (p, d), its objective, history, and how the work ended (as `Fit.status`)."""

    components: np.ndarray
    objective: float
    history: np.ndarray
    n_iter: int
    converged: bool
    status: str


def solve(
    X: Any,
    codes: np.ndarray,
    start: np.ndarray,
    *,
    n_neighbors: int,
    loss: str,
    regularization: float,
    tol: float,
    max_iter: int,
    max_time: float | None,
    monitor: Monitor,
) -> Learnt:
    """Solve the problem above.

    Parameters
    ----------
    X : ndarray or CSR array, shape (n, d)
        Float32 or float64.
    codes : ndarray (n,) of int32
        Classes.
    start : ndarray (p, d)
        Where L begins.
    n_neighbors : int
        Targets of a row: fewer in smaller classes.
    loss : {"hinge", "squared_hinge"}
    regularization : float in 0..1
        r, the weight of the targets' distances.
    tol, max_iter, max_time, monitor
        As told above; monitor is called after each iteration.

    Returns
    -------
    Learnt
    """
    return _Descent(X, codes, start, n_neighbors, loss, regularization, monitor, max_time).run(
        tol, max_iter)


def target_neighbors(X: Any, codes: np.ndarray, k: int) -> np.ndarray:
    """The k nearest rows of each one's class, int32 (n, k), nearest first; -1 for none."""
    out = np.full((len(codes), k), -1, np.int32)
    squares = _squares(X)
    for code in range(int(codes.max()) + 1):
        own = np.flatnonzero(codes == code)
        count = min(k, len(own) - 1)
        if count < 1:
            continue
        part, sq = X[own], squares[own]
        step = max(1, BLOCK // len(own))
        for begin in range(0, len(own), step):
            mine = np.arange(begin, min(len(own), begin + step))
            d = sq[mine, None] + sq - 2 * _table(part[mine] @ part.T)
            d[mine - begin, mine] = np.inf
            chosen = np.argpartition(d, count - 1, axis=1)[:, :count]
            far = np.take_along_axis(d, chosen, axis=1)
            chosen = np.take_along_axis(chosen, np.argsort(far, axis=1, kind="stable"), axis=1)
            out[own[mine], :count] = own[chosen]
    return out


def _table(products: Any) -> np.ndarray:
    """Products of rows as a dense array: those of sparse rows come sparse."""
    return products.toarray() if hasattr(products, "toarray") else products


def _squares(X: Any) -> np.ndarray:
    if hasattr(X, "toarray"):
        return np.asarray(X.multiply(X).sum(axis=1), np.float64).ravel()
    return np.einsum("ij,ij->i", X, X, dtype=np.float64)


class _Stop(Exception):
    """Ends the work; the argument is the status."""


class _Descent:
    """Objective, gradient and the candidates that they are made of; the best L so far."""

    def __init__(self, X: Any, codes: np.ndarray, start: np.ndarray, k: int, loss: str, r: float,
                 monitor: Monitor, max_time: float | None) -> None:
        self.begin = perf_counter()
        self.deadline = math.inf if max_time is None else self.begin + max_time
        self.X, self.codes, self.shape = X, codes, start.shape
        self.pull, self.push, self.squared = r, 1 - r, loss == "squared_hinge"
        self.monitor = monitor
        self.kernels = kernels("metric")
        self.targets = target_neighbors(X, codes, k)
        n = len(codes)
        self.V, self.farthest = np.empty((n, start.shape[0])), np.empty(n)
        self.room = np.empty(2 * k + n)
        self.Z0: np.ndarray | None = None  # where the last search was, and what it found
        self.radius = self.start = self.near = np.empty(0)
        self.searches, self.used, self.margin, self.square = 0, FEW, NARROWEST, 1.0
        self.best, self.lowest, self.slope = start, math.inf, math.inf
        self.history: list[State] = []
        self.lost = 0

    def run(self, tol: float, max_iter: int) -> Learnt:
        from scipy.optimize import minimize

        status = "max_iter"
        try:
            found = minimize(
                self._evaluate, self.best.ravel(), jac=True, method="L-BFGS-B",
                callback=self._after,
                options={"maxiter": max_iter, "ftol": tol, "gtol": 0.0, "maxcor": MEMORY,
                         "maxfun": 20 * max_iter})  # fmt: skip
            if found.status == 0:
                status = "converged"
            elif found.status == 2:
                status = "converged" if self._flat(tol) else "stalled"
                if not self.history:
                    self._tell()
        except _Stop as stop:
            status = stop.args[0]
            if status == "converged":
                self._tell()
        except KeyboardInterrupt:
            status = "interrupted"
        finally:
            self.monitor.close()
        return Learnt(
            self.best, self.lowest, np.array(self.history, HISTORY_DTYPE), len(self.history),
            status == "converged", status)

    def _flat(self, tol: float) -> bool:
        """Whether the best L is as good as rounding lets the line search see.

        With curvatures of the order of objective / ||L||^2 the next step would lower the objective
        by about this share.
        """
        left = self.slope * float(np.linalg.norm(self.best)) / self.lowest
        return left * left <= max(tol, 1e-14)

    def _evaluate(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        L = flat.reshape(self.shape)
        if perf_counter() > self.deadline and self.lowest < math.inf:
            raise _Stop("max_time")
        own = L.astype(self.X.dtype, copy=False)
        Z = np.ascontiguousarray(self.X @ own.T, np.float64)
        value = self._margins(Z)
        better = value < self.lowest
        slopes = self.V.astype(self.X.dtype, copy=False)
        gradient = 2 * (self.X.T @ slopes).T
        if better:
            self.best, self.lowest, self.slope = L.copy(), value, float(np.linalg.norm(gradient))
            if value == 0 or self.slope == 0:
                raise _Stop("converged")  # L-BFGS calls a step of length 0 a failure
        return value, np.ascontiguousarray(gradient, np.float64).ravel()

    def _margins(self, Z: np.ndarray) -> float:
        """The objective at Z; its derivatives are in V."""
        if self.Z0 is None:
            self._search(Z)
        value = self._sum(Z)
        self.used += 1
        if not self._covered(Z):
            self._search(Z)
            value = self._sum(Z)
        return value

    def _sum(self, Z: np.ndarray) -> float:
        value, self.lost = self.kernels.margins(
            Z, self.targets, self.start, self.near, self.pull, self.push, self.squared, self.V,
            self.farthest, self.room)
        return value

    def _covered(self, Z: np.ndarray) -> bool:
        """Whether no row outside the candidates can be an impostor here."""
        assert self.Z0 is not None
        # A common factor moves rows far, but none of them nearer than all by that factor.
        factor = float(np.vdot(Z, self.Z0)) / self.square
        step = Z - factor * self.Z0
        moved = np.sqrt(np.einsum("ij,ij->i", step, step))
        needed = np.sqrt(1 + np.maximum(self.farthest, 0.0))
        safe = factor * self.radius - moved - moved.max(initial=0.0)
        return bool((safe >= needed)[self.farthest >= 0].all())

    def _search(self, Z: np.ndarray) -> None:
        """List the rows of other classes within a radius of each row."""
        n = len(Z)
        self.searches += 1
        empty = np.zeros(n + 1, np.int64)
        self.kernels.margins(Z, self.targets, empty, np.empty(0, np.int32), self.pull, self.push,
                             self.squared, self.V, self.farthest, self.room)
        # Searches in a row for one evaluation each: the next one lasts longer.
        self.margin = min(2 * self.margin, WIDEST) if self.used < FEW else max(
            0.8 * self.margin, NARROWEST)
        self.used = 0
        self.radius = (1 + self.margin) * np.sqrt(1 + np.maximum(self.farthest, 0.0))
        squares = np.einsum("ij,ij->i", Z, Z)
        self.square = max(float(squares.sum()), 1e-300)
        single = Z.astype(np.float32)
        # Products are off by rounding: a little more than the radius is listed.
        reach = self.radius**2 + ROUNDING * (1 + float(squares.max()))
        reach[self.farthest < 0] = -np.inf
        step = max(1, BLOCK // n)
        counts = np.zeros(n, np.int64)
        found = []
        for begin in range(0, n, step):
            part = slice(begin, min(n, begin + step))
            products = single[part] @ single.T
            self.kernels.near_others(products, squares, self.codes, begin, reach[part],
                                     counts[part], None)
            out = np.empty(int(counts[part].sum()), np.int32)
            self.kernels.near_others(products, squares, self.codes, begin, reach[part],
                                     counts[part], out)
            found.append(out)
        self.start = np.concatenate([[0], np.cumsum(counts)])
        self.near = np.concatenate(found)
        self.Z0 = Z

    def _after(self, flat: np.ndarray) -> None:
        """An iteration is over."""
        if self._tell():
            raise _Stop("callback")

    def _tell(self) -> bool:
        """Add to the history; whether the callback asks to stop."""
        state = State(
            epoch=len(self.history) + 1, seconds=perf_counter() - self.begin, primal=self.lowest,
            dual=math.nan, gap=math.nan, active=self.lost, certified=False)
        self.history.append(state)
        return self.monitor.update(state)
