# SPDX-License-Identifier: BSD-3-Clause
"""The linear systems of `kernel_interior`, for kernels given as a factor or as a matrix.

For K = Z Z' and weights W = 1 / D the system

    D db + Zu + dc = r,   sums of db = t,   u - Z'db = q

(u are weights, db the duals' step, dc that of the intercepts) comes down to a Cholesky
decomposition of I + Z'WZ, in which each group's rows are centred by their weighted mean: that
eliminates dc without cancellation. For a matrix it is that of I + W^1/2 K W^1/2. Both are scaled
to a unit diagonal, so columns and weights of any size will do.

A factor is read in blocks of rows, in double precision: no copy of it is made.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

RIDGE = (0.0, 1e-15, 1e-13, 1e-11, 1e-9, 1e-7)  # of the unit diagonal, until Cholesky succeeds
SLICED = 11  # bits of the number of rows whose products are added up exactly
BLOCK = 1 << 19  # numbers of a factor that are worked on at a time
ROUNDING = 1e-12  # of b'Kb


def exponent(x: float) -> int:
    """That of the power of two above x; 0 for what has none."""
    return math.frexp(x)[1] if x > 0 and math.isfinite(x) else 0


class FactorKernel:
    """K = Z Z' and the system (K + D) db + dc = r with given sums.

    Kernel values are those of `scale` * Z.
    """

    def __init__(self, Z: Any) -> None:
        from scipy.linalg import blas, lapack

        self.syrk, self.potrf, self.potrs = blas.dsyrk, lapack.dpotrf, lapack.dpotrs
        self.Z = Z if Z.shape[1] else np.zeros((len(Z), 1))
        self.n, self.r = len(self.Z), self.Z.shape[1]
        self.step = max(64, BLOCK // self.r)
        size = max((float(np.abs(rows).max()) for rows in self._blocks()), default=0.0)
        self.scale = math.ldexp(1.0, min(-exponent(size), 1000))
        self.diagonal = np.concatenate([np.einsum("ij,ij->i", Y, Y) for Y in (
            rows * self.scale for rows in self._blocks())])

    def _blocks(self) -> Any:
        for a in range(0, self.n, self.step):
            yield np.asarray(self.Z[a:a + self.step], dtype=np.float64)

    def rescale(self, factor: float) -> None:
        """Multiply Z by a number."""
        self.scale *= factor
        self.diagonal = self.diagonal * factor**2

    def combine(self, beta: np.ndarray) -> np.ndarray:
        """Z' beta, beta (n,) or (n, k)."""
        out = np.zeros((self.r, *beta.shape[1:]))
        for a, rows in zip(range(0, self.n, self.step), self._blocks(), strict=True):
            out += rows.T @ beta[a:a + self.step]
        return out * self.scale

    def combine_finely(self, beta: np.ndarray) -> np.ndarray:
        """Z' beta, beta (n,), with some 20 bits more than double precision has.

        Numbers are cut into slices of few bits, so that sums of leading products are exact
        (Ozaki et al., Numer. Algorithms 59, 2012).
        """
        high, low = np.zeros(self.r), np.zeros(self.r)
        step = min(self.step, 1 << SLICED)
        for a in range(0, self.n, step):
            rows = np.array(self.Z[a:a + step], dtype=np.float64) * self.scale
            part = beta[a:a + step]
            (Z1, Z2, Z3), (b1, b2, b3) = _sliced(rows), _sliced(part)
            for exact in (b1 @ Z1, b1 @ Z2, b2 @ Z1):
                total = high + exact
                back = total - high
                low += (high - (total - back)) + (exact - back)
                high = total
            low += b2 @ Z2 + (b1 @ Z3 + b3 @ (Z1 + Z2) + (b2 + b3) @ Z3)
        return high + low

    def square(self, beta: np.ndarray, u: np.ndarray) -> float:
        """b'Kb, for u = Z'b."""
        return float(u @ u)

    def expand(self, u: np.ndarray) -> np.ndarray:
        """Z u."""
        return np.concatenate([rows @ u for rows in self._blocks()]) * self.scale

    def image(self, beta: np.ndarray, finely: bool = False) -> np.ndarray:
        """Z' beta, the weights; perhaps without the errors of long sums."""
        return self.combine_finely(beta) if finely else self.combine(beta)

    def prepare(self, omega: np.ndarray) -> bool:
        """Decompose for the weights omega (groups, n); whether that could be done."""
        self.omega, self.total = omega, omega.sum(axis=1)
        self.invert = np.divide(1.0, self.total, where=self.total > 0,
                                out=np.zeros(len(self.total)))
        self.mean = (self.combine(omega.T) * self.invert).T / self.scale  # of rows as they are
        weight = omega.sum(axis=0)
        part = np.divide(omega, weight, where=weight > 0, out=np.zeros_like(omega))
        H = np.eye(self.r, order="F")
        rows = np.flatnonzero(weight > 0)
        for a in range(0, len(rows), self.step):
            take = rows[a:a + self.step]
            Y = self._rows(take) - (self.mean[0] if len(omega) == 1
                                    else part[:, take].T @ self.mean)
            Y *= (np.sqrt(weight[take]) * self.scale)[:, None]
            H = self.syrk(1.0, Y.T, beta=1.0, c=H, lower=1, overwrite_c=1)
        if len(omega) == 2:  # the two means of an example's variables
            apart = float((omega[0] * part[1]).sum())
            gap = np.asarray(self.mean[0] - self.mean[1]) * (math.sqrt(apart) * self.scale)
            H += np.outer(gap, gap)
        self.chol = _Cholesky(H, self.potrf, self.potrs)
        return self.chol.sound

    def _rows(self, take: np.ndarray) -> np.ndarray:
        """Some rows of Z."""
        if take[-1] - take[0] + 1 == len(take):
            return np.asarray(self.Z[take[0]:take[-1] + 1], dtype=np.float64)
        return self.Z[take].astype(np.float64)

    def solve(self, w: np.ndarray, rhs: Residual, at: Places) -> Step:
        """The step for weights w = 1 / D of the variables, which `prepare` has summed up."""
        wr = w * rhs.r
        level = (at.sums(wr) - rhs.t) * self.invert
        u = self.chol.solve(rhs.q + self.combine(at.examples(wr) - level @ self.omega))
        dc = level - (self.mean @ u) * self.scale
        return Step(w * (rhs.r - at.spread(dc) - at.take(self.expand(u))), dc, u)


def _symmetric_inverse(S: np.ndarray) -> np.ndarray:
    """Inverse of a positive matrix of one or two rows; 0 for a row of zeros."""
    scale = np.sqrt(np.abs(np.diagonal(S)))
    scale = np.divide(1.0, scale, where=scale > 0, out=np.zeros_like(scale))
    inverse = np.linalg.pinv(S * scale * scale[:, None], rcond=1e-14, hermitian=True)
    return inverse * scale * scale[:, None]


def _sliced(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three parts of x, the first two of so few bits that 2^SLICED products add up exactly."""
    bits = (53 - SLICED) // 2
    parts = []
    for _ in range(2):
        most = np.abs(x).max(axis=0)
        q = np.ldexp(1.5, np.frexp(most)[1] + 53 - bits)
        head = (x + q) - q
        parts.append(head)
        x = x - head
    return parts[0], parts[1], x


class MatrixKernel:
    """A dense K; methods are those of `FactorKernel`."""

    def __init__(self, K: np.ndarray) -> None:
        from scipy.linalg import lapack

        self.potrf, self.potrs = lapack.dpotrf, lapack.dpotrs
        self.K, self.n = K, len(K)
        self.diagonal = np.abs(np.diagonal(K))
        self.scale = math.ldexp(1.0, min(-exponent(float(self.diagonal.max())), 1000))
        self.diagonal = self.diagonal * self.scale

    def rescale(self, factor: float) -> None:
        """Multiply the features by a number."""
        self.scale *= factor**2
        self.diagonal = self.diagonal * factor**2

    def image(self, beta: np.ndarray, finely: bool = False) -> np.ndarray:
        """K beta; values of K have errors themselves."""
        return (self.K @ beta) * self.scale

    def square(self, beta: np.ndarray, s: np.ndarray) -> float:
        """b'Kb, for s = Kb; rounding does not make it negative."""
        square = float(beta @ s)
        size = float(np.abs(beta) @ np.sqrt(self.diagonal))  # may be inf when it is squared
        return max(square, 0.0) if square > -ROUNDING * (size * size) else square

    def expand(self, s: np.ndarray) -> np.ndarray:
        """What `image` gives are scores."""
        return s

    def prepare(self, omega: np.ndarray) -> bool:
        """Decompose for the weights omega (groups, n); whether that could be done."""
        self.weight = omega.sum(axis=0)
        self.rows = np.flatnonzero(self.weight > 0)
        weight = self.weight[self.rows]
        self.root = np.sqrt(weight)
        self.part = omega[:, self.rows] / weight
        whole = len(self.rows) == self.n
        M = np.array(self.K if whole else self.K[np.ix_(self.rows, self.rows)], order="F")
        M *= self.root * self.scale
        M *= self.root[:, None]
        M[np.diag_indices(len(M))] += 1.0
        self.chol = _Cholesky(M, self.potrf, self.potrs)
        if not self.chol.sound:
            return False
        schur = self.part @ self._inverse(self.part.T)
        if len(omega) == 2:
            apart = float((omega[0, self.rows] * self.part[1]).sum())
            schur += apart * np.array([[1.0, -1.0], [-1.0, 1.0]])
        if not np.isfinite(schur).all():
            return False
        self.schur = _symmetric_inverse(schur)
        return True

    def _inverse(self, x: np.ndarray) -> np.ndarray:
        """(1 / W + K)^-1 x, on the rows with a weight."""
        root = self.root if x.ndim == 1 else self.root[:, None]
        return root * self.chol.solve(root * x)

    def solve(self, w: np.ndarray, rhs: Residual, at: Places) -> Step:
        """The step for weights w = 1 / D of the variables, which `prepare` has summed up."""
        weight = np.where(self.weight > 0, self.weight, 1.0)
        r = rhs.r - at.take(rhs.q)
        mean = at.examples(w * r) / weight
        dc = self.schur @ (self.part @ self._inverse(mean[self.rows])
                           + at.sums(w * (r - at.take(mean))) - rhs.t)
        level = dc @ self.part
        moved, free = np.zeros(self.n), np.zeros(self.n)
        moved[self.rows] = self._inverse(mean[self.rows] - level)
        free[self.rows] = level
        db = w * (r - at.spread(dc) - at.take(mean - free) + at.take(moved / weight))
        return Step(db, dc, rhs.q + self.image(at.examples(db)))


class Residual(NamedTuple):
    """Right-hand side of D db + Zu + dc = r, sums of db = t, u - Z'db = q.

    For a matrix u is that of Kb, and Z stands for the identity.
    """

    r: np.ndarray
    t: np.ndarray
    q: np.ndarray


class Step(NamedTuple):
    """Of variables, intercepts and weights."""

    db: np.ndarray
    dc: np.ndarray
    u: np.ndarray


class _Cholesky:
    """Decomposition of a positive definite matrix, scaled to a unit diagonal."""

    def __init__(self, A: np.ndarray, potrf: Any, potrs: Any) -> None:
        diagonal = np.diagonal(A).copy()
        self.potrs, self.sound = potrs, False
        if not (np.isfinite(diagonal).all() and (diagonal > 0).all()):
            return
        self.scale = 1.0 / np.sqrt(diagonal)
        A *= self.scale
        A *= self.scale[:, None]
        for ridge in RIDGE:
            A[np.diag_indices(len(A))] = 1.0 + ridge
            self.L, info = potrf(A, lower=1, clean=0, overwrite_a=0)
            if info == 0:
                self.sound = True
                return

    def solve(self, x: np.ndarray) -> np.ndarray:
        scale = self.scale if x.ndim == 1 else self.scale[:, None]
        return scale * self.potrs(self.L, scale * x, lower=1)[0]


class Places:
    """Which example and group each variable is of."""

    def __init__(self, example: np.ndarray, group: np.ndarray | None, n: int, groups: int) -> None:
        self.example, self.group, self.n, self.count = example, group, n, groups
        self.plain = len(example) == n and bool((example == np.arange(n)).all())

    def examples(self, x: np.ndarray) -> np.ndarray:
        """Sums over the variables of each example."""
        return x if self.plain else np.bincount(self.example, x, self.n)

    def sums(self, x: np.ndarray) -> np.ndarray:
        """Sums over the variables of each group."""
        if self.group is None:
            return np.array([x.sum()])
        return np.array([x[self.group == g].sum() for g in range(self.count)])

    def both(self, x: np.ndarray) -> np.ndarray:
        """Sums over the variables of each group and example, (groups, n)."""
        if self.group is None:
            return self.examples(x)[None]
        return np.stack([self.examples(np.where(self.group == g, x, 0.0))
                         for g in range(self.count)])

    def take(self, s: np.ndarray) -> np.ndarray:
        """Values of examples, for their variables."""
        return s if self.plain else s[self.example]

    def spread(self, c: np.ndarray) -> np.ndarray:
        """Values of groups, for their variables."""
        return c[0] if self.group is None else c[self.group]
