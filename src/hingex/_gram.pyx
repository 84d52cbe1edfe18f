# SPDX-License-Identifier: BSD-3-Clause
"""Products with the rows of X and a constant feature, for second-order solvers.

With xa_i = (x_i, constant), or x_i alone when the constant is 0, and D entries in xa_i:

    scores    f_i = xa_i . w
    combine   v = sum_i r_i xa_i
    weighted  G += sign * sum_i s_i xa_i xa_i^T      upper triangle, only rows with s_i > 0

Everything is float64 whatever the type of X, one thread, in the order of the rows, so that bits
do not depend on threads (a threaded BLAS also stalls when cores are shared). The Gram matrix
takes rows that are dense, or nearly, through `hx_gram` in blocks, scaled by sqrt(s_i) in a buffer
that fits the cache; a sparse row adds its outer product directly. Memory besides the caller's
arrays: that buffer, some 64 k numbers (at least 128 rows).
"""
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport HUGE_VAL, sqrt
from libc.stdint cimport int32_t, int64_t

from time import perf_counter

import numpy as np

from ._rows cimport Rows
from ._types cimport (
    HX_PANEL, hx_axpy, hx_dot, hx_gram, hx_isa, hx_isa_get, hx_prefetch_row, hx_row, hx_rows,
    index, real,
)

cdef enum:
    BUFFER = 65536      # numbers in the buffer of dense rows,
    FEWEST = 128        # but at least so many rows: each block reads and writes all of G
    AHEAD = 4           # rows between a prefetch and its use
    DENSER = 16         # a dense row does so many products while a sparse row scatters one

cdef double SLICE = 4e6     # multiply-adds between two looks at signals and the clock


cdef struct Job:
    const hx_rows *X
    const int32_t *rows     # which rows, or NULL for all; s is by position in this list
    const double *s
    double constant
    int64_t D
    double *G
    double sign
    double *buffer
    int64_t capacity, filled
    bint scattered


cdef inline int64_t _place(const Job *job, int64_t j) noexcept nogil:
    """Where column j of a row of the buffer is, from the row's first column."""
    return j // HX_PANEL * HX_PANEL * job.capacity + j % HX_PANEL


cdef int64_t _gather(Job *job, int64_t at, int64_t end, real *tag_v, index *tag_i) noexcept nogil:
    """Add sparse rows to G, dense rows to the buffer until it is full; returns the next row."""
    cdef const hx_rows *X = job.X
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef double *row
    cdef double *into
    cdef double scale, work = 0
    cdef int64_t i, j, k, length, D = job.D
    while at < end and job.filled < job.capacity and work < SLICE:
        if job.s[at] <= 0:
            at += 1
            continue
        i = at if job.rows == NULL else job.rows[at]
        length = hx_row(X, i, &v, &idx)
        if idx == NULL or length * length * DENSER > D * D:
            scale = sqrt(job.s[at])
            row = job.buffer + job.filled * HX_PANEL
            for j in range(0, D, 8):
                for k in range(HX_PANEL):
                    row[j * job.capacity + k] = 0
            if idx == NULL:
                for j in range(length):
                    row[_place(job, j)] = scale * v[j * X.cs]
            else:
                for j in range(length):
                    row[_place(job, idx[j])] += scale * v[j]
            if job.constant != 0:
                row[_place(job, D - 1)] = scale * job.constant
            job.filled += 1
        else:
            # Unsorted rows touch the lower triangle too; it is folded into the upper one later.
            for j in range(length):
                scale = job.sign * job.s[at] * v[j]
                into = job.G + idx[j] * D
                for k in range(j, length):
                    into[idx[k]] += scale * v[k]
                if job.constant != 0:
                    into[D - 1] += scale * job.constant
            if job.constant != 0:
                job.G[D * D - 1] += job.sign * job.s[at] * job.constant * job.constant
            job.scattered = True
            work += length * length
        work += 16 + length
        at += 1
    return at


cdef void _flush(Job *job) noexcept nogil:
    if job.filled > 0:
        hx_gram(job.X.isa, job.buffer, job.capacity, job.filled, job.D, job.sign, job.G,
                job.D)
    job.filled = 0


cdef void _scores(const hx_rows *X, const double *w, double offset, double *out, int64_t begin,
                  int64_t end, real *tag_v, index *tag_i) noexcept nogil:
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef int64_t i, length
    for i in range(begin, end):
        if X.is_csr and i + AHEAD < end:
            hx_prefetch_row(X, i + AHEAD, v, idx)
        length = hx_row(X, i, &v, &idx)
        out[i] = offset + hx_dot(X, v, idx, length, w)


cdef void _combine(const hx_rows *X, const double *r, double *out, int64_t begin, int64_t end,
                   real *tag_v, index *tag_i) noexcept nogil:
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef int64_t i, length
    for i in range(begin, end):
        if X.is_csr and i + AHEAD < end:
            hx_prefetch_row(X, i + AHEAD, v, idx)
        if r[i] != 0:
            length = hx_row(X, i, &v, &idx)
            hx_axpy(X, r[i], v, idx, length, out)


cdef class Gram:
    """Products with the rows of X.

    Parameters
    ----------
    X : Rows
    constant : float
        Value of the constant feature, 0 for none.
    deadline : float
        Time (perf_counter) after which `weighted` ends early.
    poll : callable, optional
        Called between slices of the work; it may raise.
    """
    cdef Rows X
    cdef double constant
    cdef double[::1] buffer
    cdef readonly int64_t D
    cdef readonly double deadline
    cdef object poll

    def __cinit__(self, Rows X, double constant=0, double deadline=HUGE_VAL, poll=None):
        self.X, self.constant, self.deadline, self.poll = X, constant, deadline, poll
        self.D = X.c.d + (constant != 0)
        self.buffer = None

    def scores(self, const double[::1] w, double[::1] out):
        """out_i = xa_i . w."""
        cdef hx_rows *X = &self.X.c
        cdef int64_t begin = 0, end, step = self._slice()
        cdef double offset
        if w.shape[0] != self.D or out.shape[0] != X.n:
            raise ValueError("w or out has the wrong length")
        offset = self.constant * w[self.D - 1] if self.constant != 0 else 0
        while begin < X.n:
            end = min(X.n, begin + step)
            with nogil:
                if X.is_f32:
                    if X.is_i64:
                        _scores(X, &w[0], offset, &out[0], begin, end, <float *>NULL,
                                <int64_t *>NULL)
                    else:
                        _scores(X, &w[0], offset, &out[0], begin, end, <float *>NULL,
                                <int32_t *>NULL)
                elif X.is_i64:
                    _scores(X, &w[0], offset, &out[0], begin, end, <double *>NULL,
                            <int64_t *>NULL)
                else:
                    _scores(X, &w[0], offset, &out[0], begin, end, <double *>NULL,
                            <int32_t *>NULL)
            begin = end
            self._look()

    def combine(self, const double[::1] r, double[::1] out):
        """out = sum_i r_i xa_i, leaving out rows with r_i = 0."""
        cdef hx_rows *X = &self.X.c
        cdef int64_t begin = 0, end, i, step = self._slice()
        cdef double total = 0
        if r.shape[0] != X.n or out.shape[0] != self.D:
            raise ValueError("r or out has the wrong length")
        out[:] = 0
        while begin < X.n:
            end = min(X.n, begin + step)
            with nogil:
                if X.is_f32:
                    if X.is_i64:
                        _combine(X, &r[0], &out[0], begin, end, <float *>NULL, <int64_t *>NULL)
                    else:
                        _combine(X, &r[0], &out[0], begin, end, <float *>NULL, <int32_t *>NULL)
                elif X.is_i64:
                    _combine(X, &r[0], &out[0], begin, end, <double *>NULL, <int64_t *>NULL)
                else:
                    _combine(X, &r[0], &out[0], begin, end, <double *>NULL, <int32_t *>NULL)
                if self.constant != 0:
                    for i in range(begin, end):
                        total += r[i]
            begin = end
            self._look()
        if self.constant != 0:
            out[self.D - 1] = total * self.constant

    def weighted(self, const double[::1] s, double[:, ::1] G, const int32_t[::1] rows=None,
                 double sign=1):
        """G += sign * sum_i s_i xa_i xa_i^T in the upper triangle; the lower one is undefined.

        s and `rows` go together: s[k] belongs to row rows[k], or to row k when `rows` is None.
        Rows with s <= 0 are left out. Returns False when the deadline came first.
        """
        cdef Job job
        cdef int64_t at = 0, end = s.shape[0], i, k, D = self.D, padded
        if (G.shape[0] != D or G.shape[1] != D
                or (rows is None and end != self.X.c.n)
                or (rows is not None and rows.shape[0] != end)):
            raise ValueError("arrays of weighted do not fit each other")
        if end == 0 or D == 0:
            return True
        padded = (D + HX_PANEL - 1) // HX_PANEL * HX_PANEL
        if self.buffer is None:
            self.buffer = np.empty(max(BUFFER // padded, min(FEWEST, self.X.c.n)) * padded)
        job.X, job.s, job.G, job.D = &self.X.c, &s[0], &G[0, 0], D
        job.rows = NULL if rows is None else &rows[0]
        job.constant, job.sign = self.constant, sign
        job.buffer, job.capacity, job.filled = &self.buffer[0], self.buffer.shape[0] // padded, 0
        job.scattered = False
        while at < end:
            with nogil:
                if job.X.is_f32:
                    if job.X.is_i64:
                        at = _gather(&job, at, end, <float *>NULL, <int64_t *>NULL)
                    else:
                        at = _gather(&job, at, end, <float *>NULL, <int32_t *>NULL)
                elif job.X.is_i64:
                    at = _gather(&job, at, end, <double *>NULL, <int64_t *>NULL)
                else:
                    at = _gather(&job, at, end, <double *>NULL, <int32_t *>NULL)
                if job.filled == job.capacity or at == end:
                    _flush(&job)
            self._look()
            if self.deadline != HUGE_VAL and perf_counter() > self.deadline:
                return False
        if job.scattered:
            with nogil:
                for i in range(1, D):
                    for k in range(i):
                        job.G[k * D + i] += job.G[i * D + k]
                        job.G[i * D + k] = 0
        return True

    cdef int _look(self) except -1:
        PyErr_CheckSignals()
        if self.poll is not None:
            self.poll()
        return 0

    cdef int64_t _slice(self):
        return max(1, <int64_t>(SLICE / (<double>self.X.c.nnz / max(self.X.c.n, 1) + 4)))


# ---- Cholesky ------------------------------------------------------------------------------

cdef enum:
    ROWS = 32           # rows of the factor between two updates of the rest of the matrix


cdef bint _factorize(const hx_isa *isa, double *H, int64_t n, double *panels) noexcept nogil:
    cdef int64_t start, end, i, j, p, left
    cdef double pivot, factor
    cdef double *row
    cdef const double *above
    for start in range(0, n, 32):
        end = min(n, start + ROWS)
        for i in range(start, end):
            row = H + i * n
            for p in range(start, i):
                above = H + p * n
                factor = above[i]
                for j in range(i, n):
                    row[j] -= factor * above[j]
            pivot = row[i]
            if not pivot > 0 or pivot == HUGE_VAL:
                return False
            factor = 1 / sqrt(pivot)
            for j in range(i, n):
                row[j] *= factor
        left = n - end
        if left == 0:
            break
        for p in range(start, end):
            row = H + p * n + end
            for j in range((left + HX_PANEL - 1) // HX_PANEL * HX_PANEL):
                panels[(j // HX_PANEL * ROWS + p - start) * HX_PANEL + j % HX_PANEL] = (
                    row[j] if j < left else 0)
        hx_gram(isa, panels, ROWS, end - start, left, -1, H + end * n + end, n)
    return True


def factorize(double[:, ::1] H):
    """Upper triangular U with H = U^T U, in the upper triangle of H; False if indefinite.

    Blocked Cholesky, one thread: LAPACK's would use the threads of BLAS, which stall when many
    fits share the cores, and whose bits depend on their number.
    """
    cdef int64_t n = H.shape[0]
    cdef bint sound
    if H.shape[1] != n:
        raise ValueError("H must be square")
    if n == 0:
        return True
    cdef double[::1] panels = np.empty((n + HX_PANEL) * ROWS)
    with nogil:
        sound = _factorize(hx_isa_get(), &H[0, 0], n, &panels[0])
    return sound


def solve_factor(const double[:, ::1] U, double[::1] x):
    """Overwrite x by the solution of U^T U z = x."""
    cdef int64_t i, j, n = U.shape[0]
    cdef double total
    if U.shape[1] != n or x.shape[0] != n:
        raise ValueError("U and x do not fit each other")
    with nogil:
        for i in range(n):
            x[i] /= U[i, i]
            for j in range(i + 1, n):
                x[j] -= x[i] * U[i, j]
        for i in range(n - 1, -1, -1):
            total = x[i]
            for j in range(i + 1, n):
                total -= U[i, j] * x[j]
            x[i] = total / U[i, i]
