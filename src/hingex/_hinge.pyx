# SPDX-License-Identifier: BSD-3-Clause
"""The rows of the method of multipliers for the hinge loss, one class against the rest.

See `hingex.solvers.hinge_newton` for the method and core/hinge.h for the passes. One thread; sums
run in a fixed order.
"""
from libc.math cimport HUGE_VAL, fabs
from libc.stdint cimport int32_t, int64_t

import numpy as np

from ._types cimport hx_isa, hx_isa_get


cdef extern from "hinge.h" nogil:
    enum:
        HX_HINGE_LOSS
        HX_HINGE_VALUE
        HX_HINGE_LINEAR
        HX_HINGE_PROX
        HX_HINGE_WIDTHS
    ctypedef struct hx_hinge:
        int64_t n
        const double *y
        const double *cost
        const double *share
        double *t
        double *centre
        double *v
        double *a
        double *dt
        double *e
        double *change
        int32_t *rows
        double *weights
        double *sums
        int64_t inside
        int64_t changed


cdef extern from "dispatch.h" nogil:
    # The table's pointers take these arguments.
    void hx_hinge_look(const hx_isa *isa, hx_hinge *job, double size, double width)
    void hx_hinge_aim(const hx_isa *isa, hx_hinge *job, const double *f, double width)
    void hx_hinge_slope(const hx_isa *isa, const hx_hinge *job, double size, double *out)
    void hx_hinge_widths(const hx_isa *isa, const hx_hinge *job, const double *widths,
                         int64_t *counts)


cdef class Rows:
    """Margins, multipliers and their centres.

    Parameters
    ----------
    cost, share, y : float64 (n,)
        C_i >= 0; 0 < share <= 1, the part of the width's inverse that a row goes by; y_i = +-1.

    Attributes
    ----------
    y, a, t, change : ndarray (n,)
        Signs, multipliers and margins, and what the last look changed of C_i y_i a_i.
    rows, weights : ndarray (n,)
        The rows strictly inside, of which there are `inside`, and their curvature.
    loss, value, linear, prox : float
        Sums as of the last look, see core/hinge.h; `prox` has the width in it.
    curvature : float
        Sum of `weights`.
    """
    cdef hx_hinge job
    cdef const hx_isa *isa
    cdef double[:, ::1] work
    cdef const double[::1] _cost, _share, _y
    cdef int32_t[::1] _rows
    cdef double width
    cdef readonly object y, a, t, change, rows, weights

    def __cinit__(self, const double[::1] cost, const double[::1] share, y):
        cdef int64_t n = cost.shape[0]
        self._cost, self._share, self._y, self.y = cost, share, y, y
        if n == 0 or share.shape[0] != n or self._y.shape[0] != n:
            raise ValueError("arrays of Rows must have the same length, at least 1")
        work = np.zeros((8, n))
        self.work = work
        self.rows = self._rows = np.empty(n + 1, dtype=np.int32)
        self.t, self.a, self.change = work[0], work[3], work[6]
        self.weights = np.empty(n + 1)
        cdef double[::1] weights = self.weights
        self.isa = hx_isa_get()
        self.job.n = n
        self.job.y, self.job.cost, self.job.share = &self._y[0], &cost[0], &share[0]
        self.job.t, self.job.centre = &self.work[0, 0], &self.work[1, 0]
        self.job.v, self.job.a = &self.work[2, 0], &self.work[3, 0]
        self.job.dt, self.job.e = &self.work[4, 0], &self.work[5, 0]
        self.job.change = &self.work[6, 0]
        self.job.rows, self.job.weights = &self._rows[0], &weights[0]

    def start(self, const double[::1] f, const double[::1] centre=None):
        """Begin at these scores, with centres 0 or as given; the multipliers are 0."""
        cdef int64_t i
        if f.shape[0] != self.job.n or (centre is not None and centre.shape[0] != self.job.n):
            raise ValueError("f or centre has the wrong length")
        for i in range(self.job.n):
            self.job.t[i] = self.job.y[i] * f[i]
            self.job.centre[i] = 0 if centre is None else centre[i]
            self.job.a[i] = self.job.dt[i] = self.job.change[i] = 0

    def spread(self):
        """Mean of |1 - t|, by cost and share."""
        cdef double total = 0, weight = 0
        cdef int64_t i
        with nogil:
            for i in range(self.job.n):
                total += self.job.share[i] * self.job.cost[i] * fabs(1 - self.job.t[i])
                weight += self.job.share[i] * self.job.cost[i]
        return total / weight

    def look(self, double size, double width):
        """Go `size` along the step aimed at, then look at all rows with this width.

        Returns (rows inside, rows whose multiplier changed).
        """
        self.width = width
        with nogil:
            hx_hinge_look(self.isa, &self.job, size, width)
        return self.job.inside, self.job.changed

    @property
    def loss(self):
        return self.job.sums[HX_HINGE_LOSS]

    @property
    def value(self):
        return self.job.sums[HX_HINGE_VALUE]

    @property
    def linear(self):
        return self.job.sums[HX_HINGE_LINEAR]

    @property
    def prox(self):
        return self.width * self.job.sums[HX_HINGE_PROX]

    @property
    def curvature(self):
        cdef double total = 0
        cdef int64_t i
        for i in range(self.job.inside):
            total += self.job.weights[i]
        return total

    def alpha(self):
        """Duals C_i a_i."""
        return np.multiply(self._cost, self.a)

    def recentre(self, const double[::1] factors, int64_t fewest):
        """Centres to where the multipliers are; returns the first factor of the width, of the
        ascending `factors`, that leaves `fewest` rows inside, or the last."""
        cdef double widths[HX_HINGE_WIDTHS]
        cdef int64_t counts[HX_HINGE_WIDTHS]
        cdef int64_t i
        if factors.shape[0] != HX_HINGE_WIDTHS:
            raise ValueError("wrong number of factors")
        for i in range(HX_HINGE_WIDTHS):
            widths[i] = factors[i] * self.width
        with nogil:
            hx_hinge_widths(self.isa, &self.job, widths, counts)
            for i in range(self.job.n):
                self.job.centre[i] = self.job.a[i]
        for i in range(HX_HINGE_WIDTHS):
            if counts[i] >= fewest:
                return factors[i]
        return factors[HX_HINGE_WIDTHS - 1]

    def aim(self, const double[::1] f):
        """Take note of a step that changes the scores by f."""
        if f.shape[0] != self.job.n:
            raise ValueError("f has the wrong length")
        with nogil:
            hx_hinge_aim(self.isa, &self.job, &f[0], self.width)

    def line_minimum(self, double linear, double square):
        """Size of the step aimed at where the smoothed objective is least.

        The penalty's derivative is linear + size * square. The objective's is increasing and
        piecewise linear: Newton steps inside a shrinking bracket come to its zero.
        """
        cdef double size = 1, low = 0, high = HUGE_VAL, slope, curvature, move
        cdef double found[2]
        cdef int _turn
        with nogil:
            for _turn in range(60):
                hx_hinge_slope(self.isa, &self.job, size, found)
                slope = linear + size * square - found[0]
                curvature = square + found[1]
                if slope > 0:
                    high = size
                else:
                    low = size
                move = -slope / curvature if curvature > 0 else -0.5 * size
                if fabs(move) <= 1e-9 * size:
                    size += move
                    break
                size += move
                if not (low < size < high):
                    size = 0.5 * (low + high) if high < HUGE_VAL else 2.0 * low
        return size
