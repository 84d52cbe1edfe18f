# SPDX-License-Identifier: BSD-3-Clause
"""Large-margin nearest neighbours: impostors among blocks of products, and the sums over margins.

With z = L x, targets j of a row i (near rows of its class) and impostors l (rows of other classes):

    pull * sum_ij d_ij + push * sum_ijl max(0, 1 + d_ij - d_il)^power,      d_ab = ||z_a - z_b||^2

The derivative by z is 2 Lap Z with the Laplacian of the weights of pairs, which are gathered here;
the derivative by L is 2 (Lap Z)^T X.
"""
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int32_t, int64_t

from ._types cimport hx_isa, hx_isa_get

cdef extern from *:
    """
    #define hx_axpy_f64(isa, a, x, w, n) ((isa)->axpy_f64((a), (x), (w), (n)))
    """
    void hx_axpy_f64(const hx_isa *isa, double a, const double *x, double *w, int64_t n) nogil

cdef enum:
    ROWS = 256          # rows between two looks at signals


def near_others(const float[:, ::1] products, const double[::1] squares, const int32_t[::1] codes,
                int64_t begin, const double[::1] reach, int64_t[::1] counts, int32_t[::1] out):
    """Rows of other classes nearer than reach_i (squared) to the rows begin, begin + 1...

    `products` are those of these rows with all n; `squares` the squared norms of all. Writes the
    count for each row, and unless `out` is None the rows themselves, one row's after the other's.
    """
    cdef int64_t block = products.shape[0], n = products.shape[1], i, o, at = 0, row, count
    cdef double limit
    cdef bint fill = out is not None
    if (squares.shape[0] != n or codes.shape[0] != n or reach.shape[0] != block
            or counts.shape[0] != block or begin < 0 or begin + block > n):
        raise ValueError("arrays of near_others do not fit each other")
    with nogil:
        for i in range(block):
            row = begin + i
            limit = reach[i] - squares[row]
            count = 0
            if not fill:
                for o in range(n):
                    count += (squares[o] - 2 * products[i, o] < limit) & (codes[o] != codes[row])
                counts[i] = count
                continue
            for o in range(n):
                if squares[o] - 2 * products[i, o] < limit and codes[o] != codes[row]:
                    if at + count >= out.shape[0]:
                        break
                    out[at + count] = <int32_t>o
                    count += 1
            at += count
    PyErr_CheckSignals()


def margins(const double[:, ::1] Z, const int32_t[:, ::1] targets, const int64_t[::1] start,
            const int32_t[::1] near, double pull, double push, bint squared, double[:, ::1] V,
            double[::1] farthest, double[::1] room):
    """The objective over the targets (-1: none) and the candidates near[start[i]:start[i + 1]].

    Writes V = Lap Z, half of the derivative by Z, and the largest d_ij of each row; `room` is for
    2 k + n numbers. Returns (objective, margins with a loss).
    """
    cdef const hx_isa *isa = hx_isa_get()
    cdef int64_t n = Z.shape[0], p = Z.shape[1], k = targets.shape[1], i, j, o, at, c, lost = 0
    cdef double total = 0, sum_, d, gap, weight, most
    cdef double *own = &room[0]         # d_ij, and then the weight of the pair (i, j)
    cdef double *pulls = own + k
    cdef double *degree = pulls + k
    cdef int64_t begin, end
    if (targets.shape[0] != n or start.shape[0] != n + 1 or V.shape[0] != n or V.shape[1] != p
            or farthest.shape[0] != n or room.shape[0] < 2 * k + n or p < 1 or n < 1):
        raise ValueError("arrays of margins do not fit each other")
    with nogil:
        V[:, :] = 0
        for i in range(n):
            degree[i] = 0
    begin = 0
    while begin < n:
        end = min(n, begin + <int64_t>ROWS)
        with nogil:
            for i in range(begin, end):
                most = 0
                for j in range(k):
                    if targets[i, j] < 0:
                        own[j] = -1
                        continue
                    own[j] = _apart(isa, &Z[i, 0], &Z[targets[i, j], 0], p)
                    most = max(most, own[j])
                    total += pull * own[j]
                    pulls[j] = pull
                farthest[i] = most
                if targets[i, 0] < 0:       # no target: no margins
                    farthest[i] = -1
                    continue
                for at in range(start[i], start[i + 1]):
                    o = near[at]
                    d = _apart(isa, &Z[i, 0], &Z[o, 0], p)
                    if d >= 1 + most:
                        continue
                    sum_ = 0
                    for j in range(k):
                        gap = 1 + own[j] - d
                        if own[j] < 0 or gap <= 0:
                            continue
                        lost += 1
                        weight = 2 * push * gap if squared else push
                        total += push * gap * gap if squared else push * gap
                        pulls[j] += weight
                        sum_ += weight
                    if sum_ != 0:
                        degree[i] -= sum_
                        degree[o] -= sum_
                        hx_axpy_f64(isa, sum_, &Z[o, 0], &V[i, 0], p)
                        hx_axpy_f64(isa, sum_, &Z[i, 0], &V[o, 0], p)
                for j in range(k):
                    if own[j] < 0:
                        continue
                    c = targets[i, j]
                    degree[i] += pulls[j]
                    degree[c] += pulls[j]
                    hx_axpy_f64(isa, -pulls[j], &Z[c, 0], &V[i, 0], p)
                    hx_axpy_f64(isa, -pulls[j], &Z[i, 0], &V[c, 0], p)
        begin = end
        PyErr_CheckSignals()
    with nogil:
        for i in range(n):
            hx_axpy_f64(isa, degree[i], &Z[i, 0], &V[i, 0], p)
    return total, lost


cdef inline double _apart(const hx_isa *isa, const double *a, const double *b,
                          int64_t p) noexcept nogil:
    """Squared distance, from the differences: products would cancel where rows are near."""
    cdef double s0 = 0, s1 = 0, s2 = 0, s3 = 0, e0, e1, e2, e3
    cdef int64_t m = 0
    while m + 4 <= p:
        e0, e1, e2, e3 = a[m] - b[m], a[m + 1] - b[m + 1], a[m + 2] - b[m + 2], a[m + 3] - b[m + 3]
        s0 += e0 * e0
        s1 += e1 * e1
        s2 += e2 * e2
        s3 += e3 * e3
        m += 4
    while m < p:
        s0 += (a[m] - b[m]) * (a[m] - b[m])
        m += 1
    return (s0 + s1) + (s2 + s3)
