# SPDX-License-Identifier: BSD-3-Clause
"""Passes over X for losses under a penalty: by rows for Newton's method, by columns for l1.

    hessian    out = X^T (s * (X v))            one pass: a row's product is used while it is hot
    squares    out_j = sum_i s_i x_ij^2
    descend    coordinate descent on a quadratic model with an l1 term

Columns are the rows of a `Rows` of X^T (CSC read as CSR, or a dense array transposed), so that
all types and layouts are the same code. Sums in double, one thread, a fixed order.
"""
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport HUGE_VAL, fabs
from libc.stdint cimport int32_t, int64_t

from time import perf_counter

import numpy as np

from ._rows cimport Rows
from ._types cimport hx_axpy, hx_dot, hx_prefetch_row, hx_row, hx_rows, index, real

cdef enum:
    AHEAD = 4           # rows between a prefetch and its use

cdef double SLICE = 4e6     # multiply-adds between two looks at signals
cdef double FLAT = 1e-3     # of the largest curvature, for columns along which the model is flat


cdef void _hessian(const hx_rows *X, const double *s, const double *v, double offset, double *out,
                   double *total, int64_t begin, int64_t end, real *tag_v,
                   index *tag_i) noexcept nogil:
    cdef const real *x = NULL
    cdef const index *idx = NULL
    cdef int64_t i, length
    cdef double t
    for i in range(begin, end):
        if X.is_csr and i + AHEAD < end:
            hx_prefetch_row(X, i + AHEAD, x, idx)
        if s[i] != 0:
            length = hx_row(X, i, &x, &idx)
            t = s[i] * (hx_dot(X, x, idx, length, v) + offset)
            hx_axpy(X, t, x, idx, length, out)
            total[0] += t


cdef void _squares(const hx_rows *X, const double *s, double *out, int64_t begin, int64_t end,
                   real *tag_v, index *tag_i) noexcept nogil:
    cdef const real *x = NULL
    cdef const index *idx = NULL
    cdef int64_t i, j, length
    for i in range(begin, end):
        if s[i] != 0:
            length = hx_row(X, i, &x, &idx)
            if idx == NULL:
                for j in range(length):
                    out[j] += s[i] * x[j * X.cs] * x[j * X.cs]
            else:
                for j in range(length):
                    out[idx[j]] += s[i] * x[j] * x[j]


cdef int64_t _slice(const hx_rows *X):
    return max(1, <int64_t>(SLICE / (<double>X.nnz / max(X.n, 1) + 4)))


def hessian(Rows rows, const double[::1] s, const double[::1] v, double constant, double[::1] out):
    """out = Xa^T (s * (Xa v)) with xa_i = (x_i, constant), or x_i when the constant is 0."""
    cdef hx_rows *X = &rows.c
    cdef int64_t begin = 0, end, step = _slice(X), D = X.d + (constant != 0)
    cdef double total = 0, offset
    if s.shape[0] != X.n or v.shape[0] != D or out.shape[0] != D:
        raise ValueError("arrays of hessian do not fit each other")
    if D == 0:
        return
    offset = constant * v[D - 1] if constant != 0 else 0
    out[:] = 0
    while begin < X.n:
        end = min(X.n, begin + step)
        with nogil:
            if X.is_f32:
                if X.is_i64:
                    _hessian(X, &s[0], &v[0], offset, &out[0], &total, begin, end, <float *>NULL,
                             <int64_t *>NULL)
                else:
                    _hessian(X, &s[0], &v[0], offset, &out[0], &total, begin, end, <float *>NULL,
                             <int32_t *>NULL)
            elif X.is_i64:
                _hessian(X, &s[0], &v[0], offset, &out[0], &total, begin, end, <double *>NULL,
                         <int64_t *>NULL)
            else:
                _hessian(X, &s[0], &v[0], offset, &out[0], &total, begin, end, <double *>NULL,
                         <int32_t *>NULL)
        begin = end
        PyErr_CheckSignals()
    if constant != 0:
        out[D - 1] = constant * total


def squares(Rows rows, const double[::1] s, double[::1] out):
    """out_j = sum_i s_i x_ij^2."""
    cdef hx_rows *X = &rows.c
    cdef int64_t begin = 0, end, step = _slice(X)
    if s.shape[0] != X.n or out.shape[0] != X.d:
        raise ValueError("arrays of squares do not fit each other")
    if X.d == 0:
        return
    out[:] = 0
    while begin < X.n:
        end = min(X.n, begin + step)
        with nogil:
            if X.is_f32:
                if X.is_i64:
                    _squares(X, &s[0], &out[0], begin, end, <float *>NULL, <int64_t *>NULL)
                else:
                    _squares(X, &s[0], &out[0], begin, end, <float *>NULL, <int32_t *>NULL)
            elif X.is_i64:
                _squares(X, &s[0], &out[0], begin, end, <double *>NULL, <int64_t *>NULL)
            else:
                _squares(X, &s[0], &out[0], begin, end, <double *>NULL, <int32_t *>NULL)
        begin = end
        PyErr_CheckSignals()


# ---- columns -------------------------------------------------------------------------------


cdef struct Model:
    # min over delta: -sum_j v_j delta_j + 1/2 sum_i s_i (z_i + beta)^2 + penalty(w + delta),
    # z = X delta; beta is the best one at any time, or 0 if there is no free intercept.
    const hx_rows *XT
    const int32_t *which    # columns of the working set
    int64_t size
    double *pairs           # s_i and z_i side by side: one cache line for both
    const double *v         # by position in the working set, as all below
    double *h               # sum_i s_i x_ij
    double *H               # sum_i s_i x_ij^2
    double *extra           # FLAT sum_i ceiling_i x_ij^2 where H is 0, else 0: added to H
    const double *ceiling
    double *w
    double *delta
    double l1, l2
    double mass             # sum_i s_i, 0 if there is no free intercept
    double sum              # sum_i s_i z_i
    double offset           # sum_i of the dual, which beta takes to 0


cdef void _measure(Model *m, int64_t begin, int64_t end, real *tag_v, index *tag_i) noexcept nogil:
    """h and H."""
    cdef const real *x = NULL
    cdef const index *idx = NULL
    cdef int64_t k, p, length, cs = m.XT.cs
    cdef double a, b, s
    for k in range(begin, end):
        length = hx_row(m.XT, m.which[k], &x, &idx)
        a = b = 0
        for p in range(length):
            s = m.pairs[2 * (p if idx == NULL else idx[p])]
            a += s * x[p * cs]
            b += s * x[p * cs] * x[p * cs]
        m.h[k], m.H[k] = a, b
        if b <= 0:
            b = 0
            for p in range(length):
                s = m.ceiling[p if idx == NULL else idx[p]]
                b += s * x[p * cs] * x[p * cs]
            m.extra[k] = FLAT * b


cdef double _visit(Model *m, int64_t k, real *tag_v, index *tag_i) noexcept nogil:
    """Move coordinate k to its minimum; returns how far it violated its optimality condition."""
    cdef const real *x = NULL
    cdef const index *idx = NULL
    cdef int64_t p, i, length, cs = m.XT.cs
    cdef double g = -m.v[k], a = 0, b = 0, H = m.H[k], at = m.w[k] + m.delta[k], to, violation
    length = hx_row(m.XT, m.which[k], &x, &idx)
    if idx == NULL:
        for p in range(length):
            a += m.pairs[2 * p] * m.pairs[2 * p + 1] * x[p * cs]
    else:
        for p in range(0, length - 1, 2):
            i = idx[p]
            a += m.pairs[2 * i] * m.pairs[2 * i + 1] * x[p]
            i = idx[p + 1]
            b += m.pairs[2 * i] * m.pairs[2 * i + 1] * x[p + 1]
        if length % 2:
            i = idx[length - 1]
            a += m.pairs[2 * i] * m.pairs[2 * i + 1] * x[length - 1]
    g += a + b + m.l2 * at + m.extra[k] * m.delta[k]
    if m.mass > 0:
        g += m.h[k] * (m.offset - m.sum) / m.mass
        H -= m.h[k] * m.h[k] / m.mass
        if H < 1e-9 * m.H[k]:
            H = 1e-9 * m.H[k]
    H += m.l2 + m.extra[k]
    if at > 0:
        violation = fabs(g + m.l1)
    elif at < 0:
        violation = fabs(g - m.l1)
    else:
        violation = fabs(g) - m.l1
        if violation < 0:
            violation = 0
    if H <= 0 or violation == 0:
        return violation if H > 0 else 0
    to = at - g / H
    if to > m.l1 / H:
        to -= m.l1 / H
    elif to < -m.l1 / H:
        to += m.l1 / H
    else:
        to = 0
    g = to - at
    if g == 0:
        return violation
    m.delta[k] = to - m.w[k]
    m.sum += g * m.h[k]
    if idx == NULL:
        for p in range(length):
            m.pairs[2 * p + 1] += g * x[p * cs]
    else:
        for p in range(length):
            m.pairs[2 * idx[p] + 1] += g * x[p]
    return violation


cdef double _sweep(Model *m, const int32_t *order, int64_t begin, int64_t end, real *tag_v,
                   index *tag_i) noexcept nogil:
    cdef int64_t k
    cdef double worst = 0, violation
    for k in range(begin, end):
        violation = _visit(m, k if order == NULL else order[k], tag_v, tag_i)
        if violation > worst:
            worst = violation
    return worst


cdef double _run(Model *m, int what, const int32_t *order, int64_t count, int64_t step):
    """Sweep (1) or measure (0) in slices, between which Ctrl-C is heard."""
    cdef int64_t begin = 0, end
    cdef double worst = 0, found = 0
    cdef const hx_rows *X = m.XT
    while begin < count:
        end = min(count, begin + step)
        with nogil:
            if X.is_f32:
                if X.is_i64:
                    if what:
                        found = _sweep(m, order, begin, end, <float *>NULL, <int64_t *>NULL)
                    else:
                        _measure(m, begin, end, <float *>NULL, <int64_t *>NULL)
                elif what:
                    found = _sweep(m, order, begin, end, <float *>NULL, <int32_t *>NULL)
                else:
                    _measure(m, begin, end, <float *>NULL, <int32_t *>NULL)
            elif X.is_i64:
                if what:
                    found = _sweep(m, order, begin, end, <double *>NULL, <int64_t *>NULL)
                else:
                    _measure(m, begin, end, <double *>NULL, <int64_t *>NULL)
            elif what:
                found = _sweep(m, order, begin, end, <double *>NULL, <int32_t *>NULL)
            else:
                _measure(m, begin, end, <double *>NULL, <int32_t *>NULL)
        worst = max(worst, found)
        begin = end
        PyErr_CheckSignals()
    return worst


cdef void _chosen(const hx_rows *XT, const int32_t *which, const double *r, double *out,
                  int64_t begin, int64_t end, real *tag_v, index *tag_i) noexcept nogil:
    cdef const real *x = NULL
    cdef const index *idx = NULL
    cdef int64_t k, length
    for k in range(begin, end):
        length = hx_row(XT, which[k], &x, &idx)
        out[k] = hx_dot(XT, x, idx, length, r)


def chosen(Rows columns, const int32_t[::1] which, const double[::1] r, double[::1] out):
    """out_k = sum_i r_i x_ij, j = which[k]."""
    cdef hx_rows *X = &columns.c
    cdef int64_t begin = 0, end, step = _slice(X), size = which.shape[0]
    if r.shape[0] != X.d or out.shape[0] != size:
        raise ValueError("arrays of chosen do not fit each other")
    while begin < size:
        end = min(size, begin + step)
        with nogil:
            if X.is_f32:
                if X.is_i64:
                    _chosen(X, &which[0], &r[0], &out[0], begin, end, <float *>NULL,
                            <int64_t *>NULL)
                else:
                    _chosen(X, &which[0], &r[0], &out[0], begin, end, <float *>NULL,
                            <int32_t *>NULL)
            elif X.is_i64:
                _chosen(X, &which[0], &r[0], &out[0], begin, end, <double *>NULL,
                        <int64_t *>NULL)
            else:
                _chosen(X, &which[0], &r[0], &out[0], begin, end, <double *>NULL,
                        <int32_t *>NULL)
        begin = end
        PyErr_CheckSignals()


def descend(Rows columns, const int32_t[::1] which, const double[::1] v, const double[::1] s,
            const double[::1] ceiling, const double[::1] w, double l1, double l2, bint free,
            double offset, double tol, int64_t sweeps, double deadline=HUGE_VAL):
    """Coordinate descent on a quadratic model around w, over the columns `which` of X.

        min over delta, beta:  -v . delta - offset * beta + 1/2 sum_i s_i ((X delta)_i + beta)^2
                               + l1 ||w + delta||_1 + l2/2 ||w + delta||^2

    beta only if `free`: the best one follows every step at once. Where s is 0 all along a column,
    a part of `ceiling`, the largest that s can be, holds its step back. v and w are by position in
    `which`. Sweeps go over all of it, then over those that moved or may move, until none violates
    its optimality condition by more than `tol`, or the time `deadline` (perf_counter) comes.
    Returns delta, X delta + beta, beta, the number of sweeps.
    """
    cdef Model m
    cdef int64_t n = columns.c.d, size = which.shape[0], i, k, count, done = 0, _inner
    cdef double[::1] pairs = np.zeros(2 * n)
    cdef double[:, ::1] room = np.zeros((3, size + 1))
    cdef double worst, beta = 0
    cdef int32_t[::1] order = np.empty(size + 1, np.int32)
    cdef int64_t step = _slice(&columns.c)
    change, moved = np.zeros(n), np.zeros(size)
    cdef double[::1] _change = change, _moved = moved
    if (v.shape[0] != size or w.shape[0] != size or s.shape[0] != n or ceiling.shape[0] != n
            or n == 0):
        raise ValueError("arrays of descend do not fit each other")
    cdef double[::1] _w = np.array(w)
    m.XT, m.size, m.l1, m.l2, m.mass, m.sum, m.offset = &columns.c, size, l1, l2, 0, 0, offset
    m.pairs, m.h, m.H = &pairs[0], &room[0, 0], &room[1, 0]
    m.extra, m.ceiling = &room[2, 0], &ceiling[0]
    for i in range(n):
        pairs[2 * i] = s[i]
        if free:
            m.mass += s[i]
    if size > 0:
        m.which, m.v, m.w, m.delta = &which[0], &v[0], &_w[0], &_moved[0]
        _run(&m, 0, NULL, size, step)
        while done < sweeps:
            worst = _run(&m, 1, NULL, size, step)
            done += 1
            if worst <= tol or (deadline != HUGE_VAL and perf_counter() > deadline):
                break
            count = 0
            for k in range(size):
                if m.w[k] + m.delta[k] != 0:
                    order[count] = <int32_t>k
                    count += 1
            for _inner in range(10):
                if done >= sweeps:
                    break
                worst = _run(&m, 1, &order[0], count, step)
                done += 1
                if worst <= 0.5 * tol or (deadline != HUGE_VAL and perf_counter() > deadline):
                    break
    if free and m.mass > 0:
        beta = (offset - m.sum) / m.mass
    for i in range(n):
        _change[i] = pairs[2 * i + 1] + beta
    return moved, change, beta, done


cdef double _dense_sweep(const double *G, int64_t D, const double *v, const double *w,
                         double *delta, double *q, double l1, double l2,
                         bint moved_only) noexcept nogil:
    """A sweep over a model whose matrix is at hand; q = G delta. Returns the largest violation."""
    cdef int64_t j, k
    cdef double worst = 0, violation, at, to, g, H, step
    for k in range(D):
        at = w[k] + delta[k]
        if moved_only and at == 0:
            continue
        H = G[k * D + k] + l2
        g = q[k] - v[k] + l2 * at
        if at > 0:
            violation = fabs(g + l1)
        elif at < 0:
            violation = fabs(g - l1)
        else:
            violation = max(fabs(g) - l1, 0.0)
        if H <= 0:
            continue
        if violation > worst:
            worst = violation
        if violation == 0:
            continue
        to = at - g / H
        if to > l1 / H:
            to -= l1 / H
        elif to < -l1 / H:
            to += l1 / H
        else:
            to = 0
        step = to - at
        if step != 0:
            delta[k] = to - w[k]
            for j in range(D):
                q[j] += step * G[k * D + j]
    return worst


def descend_dense(const double[:, ::1] G, const double[::1] v, const double[::1] w, double l1,
                  double l2, double tol, int64_t sweeps, double deadline=HUGE_VAL):
    """As `descend`, with the matrix of the quadratic model in place of X; returns delta."""
    cdef int64_t D = v.shape[0], done = 0, _inner, at_once
    cdef double worst
    moved = np.zeros(D)
    cdef double[::1] delta = moved, q = np.zeros(D)
    if G.shape[0] != D or G.shape[1] != D or w.shape[0] != D:
        raise ValueError("arrays of descend_dense do not fit each other")
    if D == 0:
        return moved
    at_once = max(1, <int64_t>(SLICE / (<double>D * D)))
    while done < sweeps:
        worst = 0
        with nogil:
            worst = _dense_sweep(&G[0, 0], D, &v[0], &w[0], &delta[0], &q[0], l1, l2, False)
            done += 1
            if worst > tol:
                for _inner in range(min(at_once, 20)):
                    done += 1
                    if _dense_sweep(&G[0, 0], D, &v[0], &w[0], &delta[0], &q[0], l1, l2,
                                    True) <= 0.5 * tol:
                        break
        PyErr_CheckSignals()
        if worst <= tol or (deadline != HUGE_VAL and perf_counter() > deadline):
            break
    return moved
