# SPDX-License-Identifier: BSD-3-Clause
"""OASIS: passive-aggressive steps on triplets for a bilinear similarity of sparse rows.

S(p, q) = p^T W q with W = I but for a square block B over chosen features. A triplet (p, q, r) asks
for S(p, q) >= 1 + S(p, r); where that fails by l > 0, B moves (Chechik, Sharma, Shalit, Bengio,
"Large scale online learning of image similarity through ranking", JMLR 11, 2010, section 2)

    V = p (q - r)^T,   tau = min(C, l / ||V||^2),   B += tau V

with p, q and r here their parts within the chosen features. A step costs the product of the
nonzeros of p and of q - r. Features have places in B by falling frequency: most of what steps touch
is then a small corner of it, which caches hold.
"""
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from time import perf_counter

import numpy as np

from ._rows cimport Rows
from ._types cimport hx_row, hx_rows, index, real

cdef extern from "rng.h" nogil:
    ctypedef struct hx_rng:
        pass
    void hx_rng_seed(hx_rng *rng, uint64_t seed, uint64_t stream)
    uint32_t hx_rng_below(hx_rng *rng, uint32_t bound)
    void hx_shuffle(hx_rng *rng, int32_t *order, int64_t n)

cdef enum:
    STEPS = 64      # between two looks at the clock

ctypedef fused weight:
    double
    float


cdef struct Work:
    const hx_rows *X
    const int32_t *place        # of each feature in B; -1: not in it
    int64_t k                   # features in B
    double C
    double *own                 # (d) values of p, else 0
    double *apart               # (k) q - r, else 0
    int32_t *listed             # (k) where q - r has been written
    int32_t *rows               # (k) where p has, and its values
    double *values


cdef void _spread(Work *w, int64_t row, const real *v, const index *idx) noexcept nogil:
    """own = p."""
    cdef int64_t length = hx_row(w.X, row, &v, &idx), m
    for m in range(length):
        w.own[idx[m] if w.X.is_csr else m] = v[m * w.X.cs]


cdef void _clear(Work *w, int64_t row, const real *v, const index *idx) noexcept nogil:
    cdef int64_t length = hx_row(w.X, row, &v, &idx), m
    for m in range(length):
        w.own[idx[m] if w.X.is_csr else m] = 0


cdef int64_t _chosen(Work *w, int64_t row, const real *v, const index *idx) noexcept nogil:
    """The part of p within B, as pairs of place and value."""
    cdef int64_t length = hx_row(w.X, row, &v, &idx), m, count = 0
    cdef int32_t at
    cdef double x
    for m in range(length):
        at = w.place[idx[m] if w.X.is_csr else m]
        x = v[m * w.X.cs]
        if at >= 0 and x != 0:
            w.rows[count] = at
            w.values[count] = x
            count += 1
    return count


cdef int64_t _add(Work *w, int64_t row, double sign, int64_t count, double *rest, const real *v,
                  const index *idx) noexcept nogil:
    """apart += sign x, and p.x outside of B to rest; returns how many places are listed."""
    cdef int64_t length = hx_row(w.X, row, &v, &idx), m, j
    cdef int32_t at
    cdef double x
    for m in range(length):
        j = idx[m] if w.X.is_csr else m
        x = sign * v[m * w.X.cs]
        at = w.place[j]
        if at < 0:
            rest[0] += w.own[j] * x
        elif x != 0:
            # What has cancelled to 0 may be listed twice; all of it is read by its place.
            if w.apart[at] == 0:
                w.listed[count] = at
                count += 1
            w.apart[at] += x
    return count


cdef double _score(const weight *B, const int32_t *listed, const double *apart, int64_t count,
                   bint whole) noexcept nogil:
    """A row of B times q - r."""
    cdef double a = 0, b = 0, c = 0, e = 0
    cdef int64_t m = 0
    cdef int32_t i, j, s, t
    if whole:
        while m + 4 <= count:
            a += B[m] * apart[m]
            b += B[m + 1] * apart[m + 1]
            c += B[m + 2] * apart[m + 2]
            e += B[m + 3] * apart[m + 3]
            m += 4
        while m < count:
            a += B[m] * apart[m]
            m += 1
        return (a + b) + (c + e)
    while m + 4 <= count:
        i, j, s, t = listed[m], listed[m + 1], listed[m + 2], listed[m + 3]
        a += B[i] * apart[i]
        b += B[j] * apart[j]
        c += B[s] * apart[s]
        e += B[t] * apart[t]
        m += 4
    while m < count:
        a += B[listed[m]] * apart[listed[m]]
        m += 1
    return (a + b) + (c + e)


cdef void _move(weight *B, double by, const int32_t *listed, const double *apart, int64_t count,
                bint whole) noexcept nogil:
    cdef int64_t m
    if whole:
        for m in range(count):
            B[m] += <weight>(by * apart[m])
    else:
        for m in range(count):
            B[listed[m]] += <weight>(by * apart[listed[m]])


cdef double _step(Work *w, weight *B, int64_t p, int64_t q, int64_t r, const real *v,
                  const index *idx) noexcept nogil:
    """Returns the loss before it."""
    cdef int64_t m, count = 0, kept, own, k = w.k
    cdef double rest = 0, similar = 0, square = 0, p_square = 0, tau, loss
    cdef bint whole
    _spread(w, p, v, idx)
    count = _add(w, q, 1.0, 0, &rest, v, idx)
    # q's entries that r cancels and then leaves again cannot be: a feature is once in a row.
    count = _add(w, r, -1.0, count, &rest, v, idx)
    _clear(w, p, v, idx)
    own = _chosen(w, p, v, idx)
    kept = 0
    for m in range(count):
        if w.apart[w.listed[m]] != 0:
            w.listed[kept] = w.listed[m]
            square += w.apart[w.listed[m]] * w.apart[w.listed[m]]
            kept += 1
    count = kept
    whole = 2 * count >= k
    if whole:
        count = k
    for m in range(own):
        p_square += w.values[m] * w.values[m]
        similar += w.values[m] * _score(B + w.rows[m] * k, w.listed, w.apart, count, whole)
    loss = 1 - similar - rest
    if loss > 0 and square * p_square > 0:
        tau = min(w.C, loss / (square * p_square))
        for m in range(own):
            _move(B + w.rows[m] * k, tau * w.values[m], w.listed, w.apart, count, whole)
    if whole:
        for m in range(k):
            w.apart[m] = 0
    else:
        for m in range(count):
            w.apart[w.listed[m]] = 0
    return max(0.0, loss)


cdef double _step_of(Work *w, weight *B, int64_t p, int64_t q, int64_t r) noexcept nogil:
    if w.X.is_f32:
        if w.X.is_i64:
            return _step(w, B, p, q, r, <const float *>NULL, <const int64_t *>NULL)
        return _step(w, B, p, q, r, <const float *>NULL, <const int32_t *>NULL)
    if w.X.is_i64:
        return _step(w, B, p, q, r, <const double *>NULL, <const int64_t *>NULL)
    return _step(w, B, p, q, r, <const double *>NULL, <const int32_t *>NULL)


cdef class Steps:
    """Epochs of steps over one set of rows.

    Parameters
    ----------
    X : Rows
    place : int32 (d,)
        Place of each feature in B, once for each of 0..k-1; -1 for features outside.
    C : float
    """
    cdef Rows X
    cdef Work work
    cdef object keep
    cdef public object poll         # called about every 10 ms if not None; it may raise

    def __cinit__(self, Rows X not None, const int32_t[::1] place, int64_t k, double C):
        cdef int64_t d = X.c.d
        cdef double[::1] own = np.zeros(d), apart = np.zeros(max(k, 1)), values = np.empty(d)
        cdef int32_t[::1] listed = np.empty(2 * k + 1, np.int32), rows = np.empty(d, np.int32)
        if place.shape[0] != d or k < 1 or not C > 0:
            raise ValueError("parameters of Steps are out of range")
        self.X, self.keep = X, (place, own, apart, values, listed, rows)
        self.work.X, self.work.place, self.work.k, self.work.C = &X.c, &place[0], k, C
        self.work.own, self.work.apart, self.work.values = &own[0], &apart[0], &values[0]
        self.work.listed, self.work.rows = &listed[0], &rows[0]

    def epoch(self, weight[:, ::1] B, const int32_t[::1] member, const int64_t[::1] start,
              const int64_t[:, ::1] triplets, int64_t count, uint64_t seed, uint64_t number,
              double deadline):
        """Steps; returns the sum of the losses before each, how many had one, and how many were
        made: fewer where time has run out.

        Either `triplets` in an order that is random, or where they are None `count` of them that
        are drawn: p among all rows of classes of two and more, q in its class, r elsewhere. The
        rows of class c are member[start[c]:start[c + 1]].
        """
        cdef hx_rng rng
        cdef int64_t at = 0, end, p, q, r, c, size, first, begin, n = 0, pairs = 0, lost = 0
        cdef double total = 0, now, loss
        cdef int32_t[::1] turn
        cdef int32_t[::1] klass
        cdef const int32_t *order = NULL
        cdef const int32_t *rows = NULL
        cdef bint drawn = triplets is None
        if B.shape[0] != self.work.k or B.shape[1] != self.work.k:
            raise ValueError("B has the wrong shape")
        hx_rng_seed(&rng, seed, number)
        if drawn:
            n = member.shape[0]
            # Classes of one row have no pair: those come last.
            while pairs + 1 < start.shape[0] and start[pairs + 1] - start[pairs] >= 2:
                pairs += 1
            if pairs < 1 or start[pairs] > n or start.shape[0] < 3:
                raise ValueError("no triplets can be drawn")
            klass = np.repeat(np.arange(pairs, dtype=np.int32), np.diff(start)[:pairs])
            rows, order = &member[0], &klass[0]
        else:
            count = triplets.shape[0]
            turn = np.arange(count, dtype=np.int32)
            hx_shuffle(&rng, &turn[0], count)
            order = &turn[0]
        now = perf_counter()
        while at < count:
            end = min(count, at + <int64_t>STEPS)
            with nogil:
                while at < end:
                    if drawn:
                        first = hx_rng_below(&rng, <uint32_t>start[pairs])
                        p = rows[first]
                        c = order[first]
                        begin, size = start[c], start[c + 1] - start[c]
                        q = begin + hx_rng_below(&rng, <uint32_t>(size - 1))
                        q = rows[q + (q >= first)]
                        r = hx_rng_below(&rng, <uint32_t>(n - size))
                        r = rows[r + (size if r >= begin else 0)]
                    else:
                        p, q, r = (triplets[order[at], 0], triplets[order[at], 1],
                                   triplets[order[at], 2])
                    loss = _step_of(&self.work, &B[0, 0], p, q, r)
                    total += loss
                    lost += loss > 0
                    at += 1
            if perf_counter() - now > 0.01:
                now = perf_counter()
                PyErr_CheckSignals()
                if self.poll is not None:
                    self.poll()
                if at < count and now > deadline:
                    break
        return total, lost, at
