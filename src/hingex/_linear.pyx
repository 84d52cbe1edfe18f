# SPDX-License-Identifier: BSD-3-Clause
"""Scores of linear models, X @ W + b, and the classes they choose, threads over rows.

W is feature-major (d, K): a row of X is read once for all K scores. A row's result does not
depend on the other rows or on the number of threads.
"""
from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange
from libc.math cimport isfinite
from libc.stdint cimport int32_t, int64_t

from ._rows cimport Rows
from ._types cimport (
    hx_add, hx_csr_scores, hx_dot, hx_indices_fit, hx_lanes_scores, hx_row, hx_row_start, hx_rows,
    index, real,
)

cdef enum:
    BLOCK = 64          # scores of a row at a time, on the stack
    CHUNK = 256         # rows a thread takes at a time
    PIECE = 64          # rows whose indices are checked, then used

cdef double SLICE = 2e7     # multiply-adds between two looks at signals

cdef struct Model:
    const hx_rows *X
    const double *W
    const double *b
    int64_t K
    double *scores          # (n, K) or NULL
    int32_t *codes          # (n,) or NULL
    const int32_t *which    # which rows to score, one after another, or NULL for all
    bint *odd               # set by what makes linear_scores return False


cdef void _score_one(const Model *m, int64_t begin, int64_t end, real *tag_v,
                     index *tag_i) noexcept nogil:
    """One score for each of at most CHUNK rows."""
    cdef const hx_rows *X = m.X
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef double part[CHUNK + 3]
    cdef double nought = 0
    cdef int64_t i, length
    if X.is_csr:
        if not hx_csr_scores(X, v, idx, begin, end, m.W, &part[0]):
            m.odd[0] = True
            return
    else:
        for i in range(begin, end):
            length = hx_row(X, i, &v, &idx)
            part[i - begin] = hx_dot(X, v, idx, length, m.W)
    for i in range(end - begin):
        nought += part[i] * 0.0
        part[i] += m.b[0]
    if nought != 0:     # NaN
        m.odd[0] = True
    if m.scores != NULL:
        for i in range(begin, end):
            m.scores[i] = part[i - begin]
    if m.codes != NULL:
        for i in range(begin, end):
            m.codes[i] = part[i - begin] > 0


cdef void _scores_of(const Model *m, int64_t i, int64_t known, double *out, real *tag_v,
                     index *tag_i) noexcept nogil:
    """All K scores of a row; `known` indices from the row's first on may be read."""
    cdef const hx_rows *X = m.X
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef int64_t k = 0, K = m.K, lanes, length = hx_row(X, i, &v, &idx)
    while k < K:
        lanes = min(BLOCK, K - k)
        hx_lanes_scores(X, v, idx, length, known, m.W + k, K, lanes, out + k)
        k += lanes
    if not isfinite(out[0]):
        m.odd[0] = True
    hx_add(X.isa, m.b, out, K)


cdef int32_t _choice(const Model *m, int64_t i, int64_t known, real *tag_v,
                     index *tag_i) noexcept nogil:
    """The first class of the highest score."""
    cdef const hx_rows *X = m.X
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef double part[BLOCK]
    cdef double best = 0
    cdef int32_t best_k = 0
    cdef int64_t j, k = 0, K = m.K, lanes, length = hx_row(X, i, &v, &idx)
    while k < K:
        lanes = min(BLOCK, K - k)
        hx_lanes_scores(X, v, idx, length, known, m.W + k, K, lanes, &part[0])
        if k == 0 and not isfinite(part[0]):
            m.odd[0] = True
        hx_add(X.isa, m.b + k, &part[0], lanes)
        if k == 0:
            best = part[0]
        for j in range(lanes):
            if part[j] > best:
                best = part[j]
                best_k = <int32_t>(k + j)
        k += lanes
    return best_k


cdef void _score_many(const Model *m, int64_t begin, int64_t end, real *tag_v,
                      index *tag_i) noexcept nogil:
    """K scores for each of at most PIECE rows."""
    cdef const hx_rows *X = m.X
    cdef int64_t i, stop = hx_row_start(X, end)
    for i in range(begin, end):
        if m.codes != NULL:
            m.codes[i] = _choice(m, i, stop - hx_row_start(X, i), tag_v, tag_i)
        if m.scores != NULL:
            _scores_of(m, i, stop - hx_row_start(X, i), m.scores + i * m.K, tag_v, tag_i)


cdef void _score_listed(const Model *m, int64_t begin, int64_t end, real *tag_v,
                        index *tag_i) noexcept nogil:
    """The same for the rows which[begin..end-1], all of whose indices were checked."""
    cdef const hx_rows *X = m.X
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef int64_t at, i, length
    cdef double f
    for at in range(begin, end):
        i = m.which[at]
        if m.K == 1:
            length = hx_row(X, i, &v, &idx)
            f = hx_dot(X, v, idx, length, m.W) + m.b[0]
            if m.scores != NULL:
                m.scores[at] = f
            if m.codes != NULL:
                m.codes[at] = f > 0
            continue
        if m.codes != NULL:
            m.codes[at] = _choice(m, i, X.nnz - hx_row_start(X, i), tag_v, tag_i)
        if m.scores != NULL:
            _scores_of(m, i, X.nnz - hx_row_start(X, i), m.scores + at * m.K, tag_v, tag_i)


cdef void _score_rows(const Model *m, int64_t begin, int64_t end, real *tag_v,
                      index *tag_i) noexcept nogil:
    cdef const index *idx = <const index *>m.X.idx
    cdef int64_t stop, at
    if m.which != NULL:
        _score_listed(m, begin, end, tag_v, tag_i)
        return
    while begin < end:
        if m.K == 1:
            stop = min(end, begin + <int64_t>CHUNK)
            _score_one(m, begin, stop, tag_v, tag_i)
        else:
            stop = min(end, begin + <int64_t>PIECE)
            at = hx_row_start(m.X, begin)
            # Here the indices come into the cache, where they are read next.
            if m.X.is_csr and not hx_indices_fit(idx + at, hx_row_start(m.X, stop) - at, m.X.d):
                m.odd[0] = True
            else:
                _score_many(m, begin, stop, tag_v, tag_i)
        begin = stop


cdef void _dispatch(const Model *m, int64_t begin, int64_t end) noexcept nogil:
    if m.X.is_f32:
        if m.X.is_i64:
            _score_rows(m, begin, end, <float *>NULL, <int64_t *>NULL)
        else:
            _score_rows(m, begin, end, <float *>NULL, <int32_t *>NULL)
    elif m.X.is_i64:
        _score_rows(m, begin, end, <double *>NULL, <int64_t *>NULL)
    else:
        _score_rows(m, begin, end, <double *>NULL, <int32_t *>NULL)


def linear_scores(Rows X, const double[:, ::1] W, const double[::1] b, double[:, ::1] scores,
                  int32_t[::1] codes, int threads, const int32_t[::1] which=None):
    """Scores into `scores` (n, K) and chosen classes into `codes` (n,); either may be None.

    W is (d, K) and b is (K,). With K = 1 the class is 1 where the score is positive, else the
    first class of the highest score.

    Returns whether X is known to be sound: every index lies in 0..d-1, and the first score of
    every row, before b is added, is finite. Then so is X, because a NaN or infinity times any
    weight is none. Rows near an index out of range are left without scores.

    With `which`, the rows to score, in this order, one row of `scores` and one code for each:
    these must have been checked before.
    """
    cdef Model m
    cdef bint odd = False
    cdef int64_t n = X.c.n if which is None else which.shape[0]
    cdef int64_t begin, end, chunk, chunks, slice
    cdef double per_row
    if (W.shape[0] != X.c.d or W.shape[1] != b.shape[0]
            or (scores is not None and (scores.shape[0] != n or scores.shape[1] != W.shape[1]))
            or (codes is not None and codes.shape[0] != n)):
        raise ValueError("arrays of linear_scores do not fit each other")
    if n == 0 or W.shape[1] == 0:
        return True
    m.X = &X.c
    m.K = W.shape[1]
    m.W = &W[0, 0] if X.c.d else NULL
    m.b = &b[0]
    m.scores = NULL if scores is None else &scores[0, 0]
    m.codes = NULL if codes is None else &codes[0]
    m.odd = &odd
    m.which = NULL
    if which is not None:
        m.which = &which[0]
        for begin in range(n):
            if not 0 <= which[begin] < X.c.n:
                raise ValueError("which must hold numbers of rows")
    per_row = (<double>X.c.nnz / X.c.n + 16) * m.K
    if per_row * n < 2e5:       # below some 50 microseconds of work threads do not pay
        threads = 1
    slice = max(CHUNK, <int64_t>(SLICE / per_row) // CHUNK * CHUNK)
    begin = 0
    while begin < n:
        end = min(n, begin + slice)
        chunks = (end - begin + CHUNK - 1) // CHUNK
        with nogil:
            if threads > 1:
                for chunk in prange(chunks, num_threads=threads, schedule="dynamic"):
                    _dispatch(&m, begin + chunk * CHUNK, min(end, begin + (chunk + 1) * CHUNK))
            else:
                _dispatch(&m, begin, end)
        begin = end
        PyErr_CheckSignals()
    return not odd
