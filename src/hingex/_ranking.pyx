# SPDX-License-Identifier: BSD-3-Clause
"""Losses of all pairs of items of queries, for solvers: values, derivatives, Hessian products.

With P_q the pairs (i, j) of the items of query q with level_i > level_j, s the weights of items,
and u_ij = margin - (f_i - f_j):

    linear    sum_q scale_q sum_{P_q} s_i s_j max(0, u_ij)
    squares   sum_q scale_q sum_{P_q} s_i s_j max(0, u_ij)^2

and sums of such terms with several margins, which share one order of the scores. The sweeps are
core/pairs.h; this is where rows become items by score, query by query, threads over queries.
Results do not depend on the number of threads.
"""
from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange
from libc.stdint cimport int32_t, int64_t, uint32_t

import numpy as np

cdef extern from "pairs.h" nogil:
    ctypedef struct hx_key:
        uint32_t key
        uint32_t at
    ctypedef struct hx_query:
        int64_t n
        int64_t levels
        const double *f
        const double *v
        const double *w
        const int32_t *level
        double *tree
    enum:
        HX_FEW
    enum hx_pair_mode:
        HX_HINGE
        HX_SQUARE
        HX_PRODUCT
        HX_DEGREE
    void hx_order(const double *f, int64_t n, double centre, hx_key *a, hx_key *b)
    double hx_sides(const hx_query *q, double margin, double coef, hx_pair_mode mode, double *out)

cdef enum:
    MOST = 4            # terms of a loss
    FROM = 4096         # rows from which threads pay


cdef struct Terms:
    int count
    double margin[MOST]
    double coef[MOST]
    hx_pair_mode mode[MOST]


cdef struct Data:
    int64_t n
    bint in_order               # whether row is 0, 1, 2...
    const int64_t *start        # where queries begin in `row`
    const int64_t *row          # rows by query
    const int32_t *level        # of the row at a position, 0.. within each query
    const int64_t *levels       # of each query
    const double *weight        # of the row at a position, or NULL
    const double *scale         # of each query
    hx_key *keys                # two for each row
    double *f                   # by query and ascending score, as all below
    double *v
    double *w
    double *out
    int32_t *sorted_level
    double *tree                # or NULL
    double *centre              # mean score of each query, as below
    double *value
    double *mass                # sum of the absolute derivatives by pairs


cdef inline int64_t _row(const Data *m, int64_t at) noexcept nogil:
    return at if m.in_order else m.row[at]


cdef void _sort(const Data *m, int64_t q, const double *f) noexcept nogil:
    """Put the items of a query into the order of their scores f, given by row."""
    cdef int64_t begin = m.start[q], n = m.start[q + 1] - m.start[q], p
    cdef hx_key *a = m.keys + 2 * begin
    cdef double *own = m.v + begin
    cdef double centre = 0
    for p in range(n):
        own[p] = f[_row(m, begin + p)]
        centre += own[p]
    centre = centre / n if n > 0 else 0
    m.centre[q] = centre
    hx_order(own, n, centre, a, a + n)
    for p in range(n):
        m.f[begin + p] = own[a[p].at]
        m.sorted_level[begin + p] = m.level[begin + a[p].at]
    if m.weight != NULL:
        for p in range(n):
            m.w[begin + p] = m.weight[begin + a[p].at]


cdef void _sweep(const Data *m, int64_t q, const Terms *terms, const double *v,
                 double *out) noexcept nogil:
    """Write a query's part of the terms, derivatives or products by row; notes its value."""
    cdef hx_query one
    cdef int64_t begin = m.start[q], n = m.start[q + 1] - m.start[q], p
    cdef double *into = m.out + begin
    cdef const hx_key *a = m.keys + 2 * begin
    cdef double total, share, value = 0, mass = 0
    cdef int k
    one.n, one.levels = n, m.levels[q]
    one.f, one.v = m.f + begin, m.v + begin
    one.level = m.sorted_level + begin
    one.w = NULL if m.weight == NULL else m.w + begin
    one.tree = NULL if m.tree == NULL else m.tree + 4 * (begin + q)
    if v == NULL:
        for p in range(n):      # sums of smaller numbers keep more digits
            m.v[begin + p] = one.f[p] - m.centre[q]
    else:
        for p in range(n):
            m.v[begin + p] = v[_row(m, begin + a[p].at)]
    for p in range(n):
        into[p] = 0
    for k in range(terms.count):
        total = hx_sides(&one, terms.margin[k], terms.coef[k], terms.mode[k], into)
        # sum u = margin * count + g . f; sum u^2 = margin * sum u + g . f / 2: the first parts.
        value += terms.coef[k] * terms.margin[k] * total
        mass += terms.coef[k] * total if terms.mode[k] == HX_HINGE else 2 * terms.coef[k] * total
    if v == NULL and terms.count > 0:
        total = 0
        for p in range(n):
            total += into[p] * one.v[p]
        # All terms of a loss have the same power.
        value += total if terms.mode[0] == HX_HINGE else 0.5 * total
    share = m.scale[q]
    m.value[q], m.mass[q] = share * max(value, 0.0), share * mass
    for p in range(n):
        out[_row(m, begin + a[p].at)] = share * into[p]


cdef class Pairs:
    """The pairs of the rows' queries.

    Parameters
    ----------
    row, start : ndarray of int64
        Rows by query, and where queries begin (and the end).
    level, levels : ndarray of int32 and int64
        Levels of relevance of those rows, 0.. within each query, and how many each query has.
    weight : ndarray of float64, optional
        Of those rows; not negative.
    scale : ndarray of float64
        Factor of each query.
    threads : int

    Memory: 44 bytes a row, 76 where a query has more than HX_FEW levels, 8 more with weights.
    """
    cdef Data m
    cdef Terms seen
    cdef readonly int64_t queries
    cdef int threads
    cdef object kept

    def __cinit__(self, const int64_t[::1] row, const int64_t[::1] start,
                  const int32_t[::1] level, const int64_t[::1] levels,
                  const double[::1] weight, const double[::1] scale, int threads):
        cdef int64_t n = row.shape[0], queries = start.shape[0] - 1, q
        cdef bint many = False, in_order = True
        cdef int64_t i
        cdef double[::1] numbers
        cdef int32_t[::1] whole
        cdef uint32_t[::1] keys
        if (n < 1 or queries < 1 or level.shape[0] != n or levels.shape[0] != queries
                or scale.shape[0] != queries or start[0] != 0 or start[queries] != n
                or (weight is not None and weight.shape[0] != n)):
            raise ValueError("arrays of Pairs do not fit each other")
        for q in range(queries):
            many |= levels[q] > HX_FEW
        for i in range(n):
            in_order &= row[i] == i
        numbers = np.empty(n * (3 + (weight is not None)) + 3 * queries
                           + (4 * (n + queries) if many else 0))
        whole = np.empty(n, np.int32)
        keys = np.empty(4 * n, np.uint32)
        self.kept = (row, start, level, levels, weight, scale, numbers, whole, keys)
        self.m.n, self.queries, self.threads = n, queries, threads if n >= FROM else 1
        self.m.in_order = in_order
        self.m.row, self.m.start, self.m.level, self.m.levels = (
            &row[0], &start[0], &level[0], &levels[0])
        self.m.weight = NULL
        if weight is not None:
            self.m.weight = &weight[0]
        self.m.scale = &scale[0]
        self.m.keys = <hx_key *>&keys[0]
        self.m.sorted_level = &whole[0]
        self.m.f = &numbers[0]
        self.m.v = self.m.f + n
        self.m.out = self.m.v + n
        self.m.value = self.m.out + n
        self.m.mass = self.m.value + queries
        self.m.centre = self.m.mass + queries
        self.m.w = self.m.centre + queries
        self.m.tree = self.m.w + n * (weight is not None) if many else NULL
        self.seen.count = 0

    def evaluate(self, const double[::1] f, terms, bint squared, double[::1] slopes):
        """Value of the terms [(coef, margin), ...] at the scores f; derivatives into `slopes`.

        f None: at the scores of the last call. Returns the value and the sum over all pairs of what
        the value falls by for each unit of f_i - f_j. The terms are what `product` and `degrees`
        are about next, if `squared`.
        """
        cdef Terms what
        cdef int64_t q
        cdef double total = 0, mass = 0
        cdef const double *scores = NULL
        if f is not None:
            scores = &f[0]
        if scores != NULL and f.shape[0] != self.m.n or slopes.shape[0] != self.m.n:
            raise ValueError("arrays of evaluate do not fit")
        what.count = 0
        for coef, margin in terms:
            if what.count == MOST:
                raise ValueError("too many terms")
            what.coef[what.count], what.margin[what.count] = coef, margin
            what.mode[what.count] = HX_SQUARE if squared else HX_HINGE
            what.count += 1
        if squared:     # a look at the hinge itself leaves the smooth loss's Hessian in place
            self.seen = what
        with nogil:
            if self.threads > 1 and self.queries > 1:
                for q in prange(self.queries, num_threads=self.threads, schedule="dynamic"):
                    if scores != NULL:
                        _sort(&self.m, q, scores)
                    _sweep(&self.m, q, &what, NULL, &slopes[0])
            else:
                for q in range(self.queries):
                    if scores != NULL:
                        _sort(&self.m, q, scores)
                    _sweep(&self.m, q, &what, NULL, &slopes[0])
            for q in range(self.queries):
                total += self.m.value[q]
                mass += self.m.mass[q]
        PyErr_CheckSignals()
        return total, mass

    def product(self, const double[::1] v, double[::1] out):
        """out = H v, H the Hessian of the terms of the last `evaluate`, squares, by the scores."""
        if v.shape[0] != self.m.n:
            raise ValueError("v has the wrong length")
        self._second(HX_PRODUCT, &v[0], out)

    def degrees(self, double[::1] out):
        """The diagonal of that Hessian."""
        self._second(HX_DEGREE, NULL, out)

    cdef _second(self, hx_pair_mode mode, const double *v, double[::1] out):
        cdef Terms what = self.seen
        cdef int k
        cdef int64_t q
        if out.shape[0] != self.m.n:
            raise ValueError("out has the wrong length")
        for k in range(what.count):
            what.mode[k] = mode
        with nogil:
            if self.threads > 1 and self.queries > 1:
                for q in prange(self.queries, num_threads=self.threads, schedule="dynamic"):
                    _sweep(&self.m, q, &what, v, &out[0])
            else:
                for q in range(self.queries):
                    _sweep(&self.m, q, &what, v, &out[0])
        PyErr_CheckSignals()
