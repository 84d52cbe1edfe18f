# SPDX-License-Identifier: BSD-3-Clause
"""Fused types and the C row operations of core/vec.h, generic over value and index type."""
from libc.stdint cimport int32_t, int64_t, uint64_t

ctypedef fused real:
    float
    double

ctypedef fused index:
    int32_t
    int64_t


cdef extern from "dispatch.h" nogil:
    ctypedef struct hx_isa:
        const char *name
    enum:
        HX_PANEL
    const hx_isa *hx_isa_get()
    void hx_add(const hx_isa *isa, const double *x, double *w, int64_t n)
    void hx_gram(const hx_isa *isa, const double *panels, int64_t capacity, int64_t rows,
                 int64_t D, double sign, double *G, int64_t ld)
    double hx_joint_solve(const hx_isa *isa, const double *c, double *a, int64_t count, double D,
                          double h, double upper, double cap, double guess)
    double hx_viterbi(...)          # (isa, scores, length, K, ld, trans, first, last, room, y)
    double hx_joint_look(...)   # (isa, f, b, count, y, margin, relative, g, sums); f by type


cdef extern from "vec.h" nogil:
    ctypedef struct hx_rows:
        int64_t n
        int64_t d
        int64_t nnz
        int is_csr
        int is_f32
        int is_i64
        int ptr_i64
        const void *val
        const void *idx
        const void *ptr
        Py_ssize_t rs
        Py_ssize_t cs
        const hx_isa *isa
    int64_t hx_row_start(const hx_rows *X, int64_t i)
    int64_t hx_row_len(const hx_rows *X, int64_t i)

    # Type-generic C macros: declared variadic because Cython would mangle the name of an extern
    # function with fused arguments. v is `const real *`, idx is `const index *`.
    int64_t hx_row(...)             # (X, i, &v, &idx) -> len
    double hx_dot(...)              # (X, v, idx, len, w)
    void hx_axpy(...)               # (X, a, v, idx, len, w)
    double hx_lane_dot(...)         # (X, v, idx, len, w, ld)
    void hx_lane_axpy(...)          # (X, a, v, idx, len, w, ld)
    void hx_lanes_dot(...)          # (X, v, idx, len, W, ld, lanes, out)
    void hx_lanes_scores(...)       # (X, v, idx, len, known, W, ld, lanes, out)
    bint hx_indices_fit(...)        # (idx, count, d)
    bint hx_csr_scores(...)         # (X, v, idx, begin, end, w, out)
    void hx_lanes_axpy(...)         # (X, delta, v, idx, len, lanes, W, ld)
    double hx_sqnorm(...)           # (X, v, idx, len)
    void hx_prefetch_row(...)       # (X, i, v, idx)
    void HX_PREFETCH(const void *p)
