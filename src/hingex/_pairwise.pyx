# SPDX-License-Identifier: BSD-3-Clause
"""Hinge losses of all pairs of a query in O(n log L), L levels of relevance, threads over queries.

For an item i the pairs (i, j) with rel_i > rel_j that have a loss are those with f_j > f_i -
margin. With items visited by descending f_i, the j come in by descending f_j, one after the other,
into a Fenwick tree over the levels, which holds sums of w_j, w_j f_j and w_j f_j^2; all that i
needs are three sums over the levels below its own. The derivatives of the f_j come from the same
sweep the other way round. Items of weight 0 stay out: their infinite scores would make sums NaN.
"""
from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange
from libc.math cimport INFINITY, NAN, isfinite
from libc.stdint cimport int32_t, int64_t

cdef struct Job:
    const double *f
    const double *w             # or NULL: all 1
    const int32_t *level        # 0.. within each query
    const int64_t *order        # items by query, and by ascending f within
    const int64_t *start        # where queries begin in it
    double margin
    bint squared
    double *tree                # three for each item and query
    double *gradient            # or NULL
    double *value               # of each query
    double *pairs               # weight of its pairs


cdef inline double _weight(const Job *job, int64_t i) noexcept nogil:
    return 1 if job.w == NULL else job.w[i]


cdef inline void _put(double *tree, int64_t levels, int64_t at, double w, double f) noexcept nogil:
    """Add an item to level `at`, counted from 1."""
    while at <= levels:
        tree[3 * at] += w
        tree[3 * at + 1] += w * f
        tree[3 * at + 2] += w * f * f
        at += at & -at


cdef inline void _below(const double *tree, int64_t at, double *sums) noexcept nogil:
    """Sums over the levels 1..at."""
    sums[0] = sums[1] = sums[2] = 0
    while at > 0:
        sums[0] += tree[3 * at]
        sums[1] += tree[3 * at + 1]
        sums[2] += tree[3 * at + 2]
        at -= at & -at


cdef void _query(const Job *job, int64_t q) noexcept nogil:
    cdef const int64_t *order = job.order + job.start[q]
    cdef int64_t n = job.start[q + 1] - job.start[q], levels = 0, count = 0, a, b, i, j
    cdef double *tree = job.tree + 3 * (job.start[q] + q)
    cdef int64_t seen[2]        # levels of scores of -inf and inf
    cdef double sums[3]
    cdef double total = 0, pairs = 0, centre = 0, lower = 0, w, f, u, slope
    seen[0] = seen[1] = -1
    for a in range(n):
        i = order[a]
        levels = max(levels, job.level[i] + 1)
        if isfinite(job.f[i]):
            centre += job.f[i]
            count += 1
        elif job.f[i] != job.f[i]:
            total = NAN
        elif _weight(job, i) > 0:
            b = job.f[i] > 0
            if seen[b] >= 0 and seen[b] != job.level[i]:
                total = NAN     # inf - inf
            seen[b] = job.level[i]
    centre = centre / count if count > 0 else 0     # sums of smaller numbers keep more digits
    # The weight of all pairs, loss or not: of each level, and of those below it.
    for a in range(levels):
        tree[a] = 0
    for a in range(n):
        tree[job.level[order[a]]] += _weight(job, order[a])
    for a in range(levels):
        pairs += tree[a] * lower
        lower += tree[a]
    job.pairs[q] = pairs
    if total != total:
        job.value[q] = total
        if job.gradient != NULL:
            for a in range(n):
                job.gradient[order[a]] = total
        return
    # i as the better one, by descending score.
    for a in range(3 * (levels + 1)):
        tree[a] = 0
    b = n - 1
    for a in range(n - 1, -1, -1):
        i = order[a]
        while b >= 0 and job.margin - (job.f[i] - job.f[order[b]]) > 0:
            j = order[b]
            w = _weight(job, j)
            if w > 0:
                _put(tree, levels, job.level[j] + 1, w, job.f[j] - centre)
            b -= 1
        w = _weight(job, i)
        slope = 0
        _below(tree, job.level[i], &sums[0])
        if sums[0] > 0 and w > 0:
            u = job.margin - (job.f[i] - centre)
            if job.squared:
                if isfinite(u) and isfinite(sums[2]):
                    total += w * max(0, sums[0] * u * u + 2 * u * sums[1] + sums[2])
                else:       # the sum may be inf - inf, but no loss is less than infinite
                    total = INFINITY
                slope = -2 * w * (sums[0] * u + sums[1])
            else:
                total += w * max(0, sums[0] * u + sums[1])
                slope = -w * sums[0]
        if job.gradient != NULL:
            job.gradient[i] = slope
    job.value[q] = total
    if job.gradient == NULL:
        return
    # j as the worse one, by ascending score; levels the other way round.
    for a in range(3 * (levels + 1)):
        tree[a] = 0
    b = 0
    for a in range(n):
        j = order[a]
        while b < n and job.margin - (job.f[order[b]] - job.f[j]) > 0:
            i = order[b]
            w = _weight(job, i)
            if w > 0:
                _put(tree, levels, levels - job.level[i], w, job.f[i] - centre)
            b += 1
        w = _weight(job, j)
        _below(tree, levels - job.level[j] - 1, &sums[0])
        if sums[0] > 0 and w > 0:
            f = job.f[j] - centre
            job.gradient[j] += 2 * w * (sums[0] * (job.margin + f) - sums[1]) if job.squared else (
                w * sums[0])


def pairwise_ranking(const double[::1] f, const double[::1] w, const int32_t[::1] level,
                     const int64_t[::1] order, const int64_t[::1] start, double margin,
                     bint squared, double[::1] tree, double[::1] value, double[::1] pairs,
                     double[::1] gradient, int threads):
    """sum over pairs with level_i > level_j of w_i w_j max(0, margin - (f_i - f_j))^p, by query.

    `order` lists the items by query and ascending f, `start` where each query begins (and the
    end); levels are 0..L-1 in each query. tree has room for 3 (n + queries) numbers; w and
    gradient may be None. Writes value and pairs (weight of all pairs) of each query, and the
    derivatives of the value by f.
    """
    cdef Job job
    cdef int64_t n = f.shape[0], queries = start.shape[0] - 1, q
    if (level.shape[0] != n or order.shape[0] != n or tree.shape[0] < 3 * (n + queries)
            or value.shape[0] != queries or pairs.shape[0] != queries
            or (w is not None and w.shape[0] != n)
            or (gradient is not None and gradient.shape[0] != n)):
        raise ValueError("arrays of pairwise_ranking do not fit")
    if n == 0:
        return
    job.f, job.level, job.order, job.start = &f[0], &level[0], &order[0], &start[0]
    job.w = NULL if w is None else &w[0]
    job.gradient = NULL if gradient is None else &gradient[0]
    job.margin, job.squared = margin, squared
    job.tree, job.value, job.pairs = &tree[0], &value[0], &pairs[0]
    with nogil:
        if threads > 1 and queries > 1:
            for q in prange(queries, num_threads=threads, schedule="dynamic"):
                _query(&job, q)
        else:
            for q in range(queries):
                _query(&job, q)
    PyErr_CheckSignals()
