# SPDX-License-Identifier: BSD-3-Clause
"""The passes over the rows of Newton's method for the squared hinge, one class against the rest.

Each pass does in one loop, without temporary arrays, what takes several NumPy calls; on a few
rows the calls would be all the time there is. Sums go by blocks, so that rounding does not grow
with the number of rows. The loops use local pointers, since a store through a member might change
the members for all that the compiler knows, and they select instead of branching, since nothing
foretells the side of a row.
"""
from libc.math cimport HUGE_VAL, fabs
from libc.stdint cimport int32_t, int64_t

import numpy as np

cdef enum:
    BLOCK = 256     # rows in the inner sum


cdef class Losses:
    """Shortfalls u = 1 - y f, duals 2 C max(0, u) and the steps between them.

    Parameters
    ----------
    cost : ndarray (n,) of float64
        C_i.

    Attributes
    ----------
    y : ndarray (n,) of float64
        +1 for the rows of the class chosen, else -1; see `choose`.
    active : ndarray (n,) of bool
        Rows with a loss, as of the last `look`.
    signed : ndarray (n,)
        y * dual, as of the last `look`.
    feasible : ndarray (n,)
        Duals after `balance`.
    part : ndarray (n,)
        y * dual of the rows that `balance` scales down, else 0.
    rows, weights : ndarray (n,) of int32 and float64
        What `changes` found.
    """
    cdef readonly object y, active, signed, feasible, part, rows, weights
    cdef int32_t[::1] _rows
    cdef double[::1] _weights
    cdef const double[::1] cost
    cdef double[:, ::1] work    # the arrays above, u, dual, h
    cdef char[::1] flags
    cdef int64_t n
    cdef double total       # sum of the losses, as of the last `look`
    cdef double *_y
    cdef double *_u
    cdef double *_dual
    cdef double *_signed
    cdef double *_feasible
    cdef double *_part
    cdef double *_h

    def __cinit__(self, const double[::1] cost):
        self.n = cost.shape[0]
        if self.n == 0:
            raise ValueError("cost must have at least one entry")
        self.cost = cost
        self.rows = self._rows = np.empty(self.n, dtype=np.int32)
        work = np.empty((8, self.n))
        self.active = np.zeros(self.n, dtype=bool)
        self.y, self.signed, self.feasible, self.part = work[0], work[3], work[4], work[5]
        self.work, self.flags = work, self.active.view(np.int8)
        self._y, self._u, self._dual = &self.work[0, 0], &self.work[1, 0], &self.work[2, 0]
        self._signed, self._feasible = &self.work[3, 0], &self.work[4, 0]
        self._part, self._h = &self.work[5, 0], &self.work[6, 0]
        self.weights = self._weights = work[7]

    def choose(self, const double[::1] y):
        """Turn to the problem with these signs, +1.0 or -1.0."""
        cdef int64_t i
        if y.shape[0] != self.n:
            raise ValueError("y has the wrong length")
        for i in range(self.n):
            self._y[i] = y[i]

    def look(self, const double[::1] f):
        """Losses and duals at the scores f; returns (sum of the losses, rows with a loss)."""
        cdef const double *cost = &self.cost[0]
        cdef const double *y = self._y
        cdef double *gap = self._u
        cdef double *dual = self._dual
        cdef double *signed = self._signed
        cdef char *flags = &self.flags[0]
        cdef double total = 0, part, u
        cdef int64_t start, end, i, count = 0
        if f.shape[0] != self.n:
            raise ValueError("f has the wrong length")
        with nogil:
            for start in range(0, self.n, 256):
                part = 0
                end = min(start + BLOCK, self.n)
                for i in range(start, end):
                    u = 1.0 - y[i] * f[i]
                    gap[i] = u
                    u = 0.5 * (u + fabs(u))
                    dual[i] = 2.0 * (cost[i] * u)
                    signed[i] = dual[i] * y[i]
                    part += cost[i] * u * u
                for i in range(start, end):
                    flags[i] = (gap[i] > 0) & (cost[i] > 0)
                    count += flags[i]
                total += part
        self.total = total
        return total, count

    def changes(self, before):
        """Rows that are active and were not, from the front of `rows`, those that were and are
        not at its end, with 2 C_i in `weights`; returns the two counts."""
        cdef const char[::1] view = before.view(np.int8)
        cdef const char *was = &view[0]
        cdef const double *cost = &self.cost[0]
        cdef const char *flags = &self.flags[0]
        cdef int32_t *rows = &self._rows[0]
        cdef double *weights = &self._weights[0]
        cdef int64_t i, entered = 0, left = 0, last = self.n - 1
        if view.shape[0] != self.n:
            raise ValueError("before has the wrong length")
        with nogil:
            # Every row is written where an entry would go next, and counted if it is one.
            for i in range(self.n):
                rows[entered] = <int32_t>i
                weights[entered] = 2.0 * cost[i]
                entered += flags[i] & (1 - was[i])
            for i in range(self.n):
                if was[i] > flags[i]:
                    rows[last - left] = <int32_t>i
                    weights[last - left] = 2.0 * cost[i]
                    left += 1
        return entered, left

    def balance(self, double s):
        """Scale down the heavier side where sum_i y_i dual_i = s is not 0.

        Returns (share, value, rest): the heavier side's duals were multiplied by 1 - share; value
        = sum_i dual_i - dual_i^2 / (4 C_i) and rest = sum_i y_i dual_i after that.
        """
        cdef const double *cost = &self.cost[0]
        cdef const double *y = self._y
        cdef const double *dual = self._dual
        cdef const double *signed = self._signed
        cdef double *heavier = self._part
        cdef double *feasible = self._feasible
        cdef double total = 0, heavy = 0, share = 0, value = 0, rest = s
        cdef double part, part_s, a, c
        cdef int64_t start, i
        with nogil:
            if s != 0:
                for start in range(0, self.n, 256):
                    part = part_s = 0
                    for i in range(start, min(start + BLOCK, self.n)):
                        part += dual[i]
                        heavier[i] = signed[i] if y[i] * s > 0 else 0.0
                        part_s += heavier[i]
                    total += part
                    heavy += part_s
                if fabs(s) > 1e-15 * total:
                    share = s / heavy
                    rest = 0
            for start in range(0, self.n, 256):
                part = part_s = 0
                for i in range(start, min(start + BLOCK, self.n)):
                    a = dual[i] * (1.0 - share if y[i] * s > 0 else 1.0)
                    feasible[i] = a
                    part_s += a * y[i]
                    c = cost[i] if cost[i] > 0 else 1.0
                    part += a - 0.25 * (a * a / c)
                value += part
                if share != 0:
                    rest += part_s
        return share, value, rest

    def move(self, const double[::1] change):
        """Take note of the scores' change by a full step; whether all rows keep their side."""
        cdef const double *cost = &self.cost[0]
        cdef const double *y = self._y
        cdef const double *gap = self._u
        cdef const char *flags = &self.flags[0]
        cdef double *h = self._h
        cdef int64_t i
        cdef int other = 0
        if change.shape[0] != self.n:
            raise ValueError("change has the wrong length")
        with nogil:
            for i in range(self.n):
                h[i] = y[i] * change[i]
                other |= ((gap[i] > h[i]) & (cost[i] > 0)) ^ flags[i]
        return other == 0

    def line_minimum(self, double linear, double square):
        """Size of the step noted by `move` at which the objective is about least.

        The penalty's derivative is linear + size * square. The objective's is increasing and
        piecewise linear: Newton steps inside a shrinking bracket come near its zero, until the next
        one promises no more than a fiftieth of what the objective has fallen by so far.
        """
        cdef const double *cost = &self.cost[0]
        cdef const double *gap = self._u
        cdef const double *h = self._h
        cdef double size = 1, low = 0, high = HUGE_VAL, slope, curvature, part, part_c, short, c
        cdef double move, fallen, part_f
        cdef int64_t start, i
        cdef int _turn
        with nogil:
            for _turn in range(50):
                slope = linear + size * square
                curvature = square
                fallen = self.total - size * (linear + 0.5 * size * square)
                for start in range(0, self.n, 256):
                    part = part_c = part_f = 0
                    for i in range(start, min(start + BLOCK, self.n)):
                        short = gap[i] - size * h[i]
                        c = 2.0 * cost[i] * h[i] * (short > 0)
                        part += c * short
                        part_c += c * h[i]
                        short = 0.5 * (short + fabs(short))
                        part_f += cost[i] * short * short
                    slope -= part
                    curvature += part_c
                    fallen -= part_f
                if slope > 0:
                    high = size
                else:
                    low = size
                move = -slope / curvature if curvature > 0 else -0.5 * size
                if 0.5 * fabs(slope * move) <= 2e-2 * fallen or fabs(move) <= 1e-12 * size:
                    break
                size += move
                if not (low < size < high):
                    size = 0.5 * (low + high) if high < HUGE_VAL else 2.0 * low
            else:
                size = low if low > 0 else size     # where the objective has fallen
        return size
