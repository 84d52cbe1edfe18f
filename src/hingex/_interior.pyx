# SPDX-License-Identifier: BSD-3-Clause
"""What an interior point iteration does row by row, each step in one pass.

The state of a row: a and s = 1 - a, the multipliers z of a >= 0 and xi of s >= 0, and
t = y (w.x + b); see `hingex.solvers.interior_point` for the equations. Sums run in the order of
the rows, in one thread. Rows of cost 0 take no part: no weight, and no bound on a step.
"""
from libc.math cimport fabs, fmax, sqrt
from libc.stdint cimport int64_t

import numpy as np

cdef enum:
    FARTHEST = 1000     # bound on the length of a step, in Newton steps


cdef class Path:
    """The rows on their way along the central path.

    Parameters
    ----------
    cost, y : float64 (n,)
        C_i >= 0, some positive; y_i = +-1.
    share : float64 (n,)
        The path goes along products a z = s xi = share * mu: 1, and less for rows whose cost
        is so much above the others' that their part of the gap would be all of it.
    scores : float64 (n,)
        Of the model to start from; rows of share 1 start on the path for mu = mean |t - 1|,
        others with as large a dual as if their cost were share * cost.
    """
    cdef const double[::1] cost, share, y
    cdef double[::1] t, a, s, z, xi, q, rho, da, dz, dxi, dt
    cdef int64_t n
    cdef readonly double total

    def __cinit__(self, const double[::1] cost, const double[::1] share, const double[::1] y,
                  const double[::1] scores):
        cdef int64_t i, n = cost.shape[0]
        cdef double mu = 0, delta, root
        if share.shape[0] != n or y.shape[0] != n or scores.shape[0] != n:
            raise ValueError("arrays of Path do not fit each other")
        self.n, self.cost, self.share, self.y = n, cost, share, y
        work = np.empty((11, n))
        self.t, self.a, self.s, self.z, self.xi = work[0], work[1], work[2], work[3], work[4]
        self.q, self.rho = work[5], work[6]
        self.da, self.dz, self.dxi, self.dt = work[7], work[8], work[9], work[10]
        self.total = 0
        with nogil:
            for i in range(n):
                self.total += 2 * share[i] * cost[i]
                self.t[i] = y[i] * scores[i]
                mu += share[i] * cost[i] * fabs(self.t[i] - 1)
            mu = fmax(2 * mu / self.total, 1e-10)
            for i in range(n):
                delta = (self.t[i] - 1) / mu
                root = sqrt(delta * delta + 4)
                self.a[i] = 2 / (2 + delta + root)
                self.s[i] = 2 / (2 - delta + root)
                if share[i] < 1:
                    self.a[i] *= share[i]
                    self.s[i] = 1 - self.a[i]
                self.z[i] = share[i] * mu / self.a[i]
                self.xi[i] = share[i] * mu / self.s[i]

    def alpha(self):
        """Duals C_i a_i; rounding can take a beyond 1."""
        return np.minimum(np.multiply(self.cost, self.a), self.cost)

    def loss(self):
        """sum_i C_i max(0, 1 - t_i)."""
        cdef double total = 0
        cdef int64_t i
        with nogil:
            for i in range(self.n):
                total += self.cost[i] * fmax(1 - self.t[i], 0)
        return total

    def free(self):
        """Number of duals clearly between their bounds."""
        cdef int64_t i, count = 0
        for i in range(self.n):
            count += (self.a[i] > 1e-3) & (self.s[i] > 1e-3) & (self.cost[i] > 0)
        return count

    def weights(self, double[::1] theta, double[::1] r):
        """theta, and r = y theta rho of the predictor; returns the mean product mu."""
        cdef double mu = 0
        cdef int64_t i
        with nogil:
            for i in range(self.n):
                # Without a cost the state stays where it is, and means nothing.
                self.q[i] = (1 / (self.z[i] / self.a[i] + self.xi[i] / self.s[i])
                             if self.cost[i] > 0 else 0)
                theta[i] = self.cost[i] * self.q[i]
                r[i] = self.y[i] * theta[i] * (1 - self.t[i])
                mu += self.cost[i] * (self.a[i] * self.z[i] + self.s[i] * self.xi[i])
        return mu / self.total

    def predict(self, const double[::1] change):
        """Predictor for this change of the scores; returns the least room, see `_room`."""
        cdef int64_t i
        with nogil:
            for i in range(self.n):
                self.da[i] = self.q[i] * (1 - self.t[i] - self.y[i] * change[i])
                self.dz[i] = -self.z[i] - self.z[i] / self.a[i] * self.da[i]
                self.dxi[i] = -self.xi[i] + self.xi[i] / self.s[i] * self.da[i]
        return self._room()

    def ahead(self, double size):
        """The mean product after a step of this size along the predictor."""
        cdef double mu = 0
        cdef int64_t i
        with nogil:
            for i in range(self.n):
                mu += self.cost[i] * (
                    (self.a[i] + size * self.da[i]) * (self.z[i] + size * self.dz[i])
                    + (self.s[i] - size * self.da[i]) * (self.xi[i] + size * self.dxi[i]))
        return mu / self.total

    def correct(self, double target, double[::1] r):
        """r = y theta rho of the corrector, for products that come to `target`."""
        cdef double c1, c2
        cdef int64_t i
        with nogil:
            for i in range(self.n):
                c1 = (self.share[i] * target - self.da[i] * self.dz[i]) / self.a[i] - self.z[i]
                c2 = (self.share[i] * target + self.da[i] * self.dxi[i]) / self.s[i] - self.xi[i]
                # In brackets what the second equation lacks.
                self.rho[i] = (self.z[i] - self.xi[i] - self.t[i] + 1) + c1 - c2
                r[i] = self.y[i] * self.cost[i] * self.q[i] * self.rho[i]
                self.dz[i] = c1
                self.dxi[i] = c2

    def step(self, const double[::1] change):
        """Corrected step for this change of the scores; returns the least room."""
        cdef int64_t i
        with nogil:
            for i in range(self.n):
                self.dt[i] = self.y[i] * change[i]
                self.da[i] = self.q[i] * (self.rho[i] - self.dt[i])
                self.dz[i] -= self.z[i] / self.a[i] * self.da[i]
                self.dxi[i] += self.xi[i] / self.s[i] * self.da[i]
        return self._room()

    def move(self, double size, double least):
        """Go by `size`, then raise multipliers till no product is below `least` of the mean."""
        cdef double mu = 0
        cdef int64_t i
        with nogil:
            for i in range(self.n):
                self.t[i] += size * self.dt[i]
                self.a[i] += size * self.da[i]
                self.s[i] -= size * self.da[i]
                self.z[i] += size * self.dz[i]
                self.xi[i] += size * self.dxi[i]
                mu += self.cost[i] * (self.a[i] * self.z[i] + self.s[i] * self.xi[i])
            mu *= least / self.total
            for i in range(self.n):
                if self.a[i] * self.z[i] < self.share[i] * mu:
                    self.z[i] = self.share[i] * mu / self.a[i]
                if self.s[i] * self.xi[i] < self.share[i] * mu:
                    self.xi[i] = self.share[i] * mu / self.s[i]

    cdef double _room(self) noexcept:
        """The step at which one of a, s, z, xi of a row comes to 0, at most FARTHEST."""
        cdef double worst = 1.0 / FARTHEST
        cdef int64_t i
        with nogil:
            for i in range(self.n):
                if self.cost[i] > 0:
                    worst = fmax(worst, fmax(fmax(-self.da[i] / self.a[i], self.da[i] / self.s[i]),
                                             fmax(-self.dz[i] / self.z[i],
                                                  -self.dxi[i] / self.xi[i])))
        return 1 / worst
