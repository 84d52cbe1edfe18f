/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Rows of X and what solvers do with one row: dot, axpy, squared norm, prefetch.
 *
 * A row is (v, vs, idx, len): values v[0], v[vs], ..., at features idx[0], idx[1], ..., or at
 * 0..len-1 when idx is NULL. CSR rows have vs = 1; dense rows have vs = the column stride, so C-
 * and F-ordered arrays are read where they lie. Values may be float or double, indices int32 or
 * int64; the generic names hx_dot, hx_axpy, ... pick the version by type. Sums are double.
 */
#ifndef HX_VEC_H
#define HX_VEC_H

#include <math.h>
#include <string.h>

#include "dispatch.h"

enum {
    HX_SHORT = 8, /* dense rows up to here are not worth the call of a vector kernel */
    HX_LONG = 16  /* sparse rows from here on are */
};

typedef struct hx_rows {
    int64_t n, d, nnz;
    int is_csr, is_f32, is_i64, ptr_i64;
    const void *val, *idx, *ptr;
    ptrdiff_t rs, cs; /* dense strides, in elements */
    const hx_isa *isa;
} hx_rows;

static inline int64_t hx_row_start(const hx_rows *X, int64_t i)
{
    if (!X->is_csr) return i * X->d;
    return X->ptr_i64 ? ((const int64_t *)X->ptr)[i] : (int64_t)((const int32_t *)X->ptr)[i];
}

static inline int64_t hx_row_len(const hx_rows *X, int64_t i)
{
    return X->is_csr ? hx_row_start(X, i + 1) - hx_row_start(X, i) : X->d;
}

#if defined(__GNUC__)
#define HX_PREFETCH(p) __builtin_prefetch(p)
#else
#define HX_PREFETCH(p) ((void)(p))
#endif

/* Whether all of idx[0..count) lie in 0..d-1. No branches: the highest bit of f | (top - f) is set
 * if f < 0 or f > top. */
#define HX_DEFINE_FIT(I, U)                                                                       \
    static inline int hx_indices_fit_##I(const I *idx, int64_t count, int64_t d)                  \
    {                                                                                             \
        const U most = (U)-1 >> 1, top = d - 1 < (int64_t)most ? (U)(d - 1) : most;               \
        U bits = 0;                                                                               \
        for (int64_t j = 0; j < count; j++) bits |= (U)idx[j] | (top - (U)idx[j]);                \
        return bits <= most;                                                                      \
    }

HX_DEFINE_FIT(int32_t, uint32_t)
HX_DEFINE_FIT(int64_t, uint64_t)

#define HX_DEFINE_ROW_OPS(T, I, TS, SUF)                                                          \
    static inline int64_t hx_row_##SUF(const hx_rows *X, int64_t i, const T **v, const I **idx)   \
    {                                                                                             \
        if (X->is_csr) {                                                                          \
            const int64_t start = hx_row_start(X, i);                                             \
            *v = (const T *)X->val + start;                                                       \
            *idx = (const I *)X->idx + start;                                                     \
            return hx_row_start(X, i + 1) - start;                                                \
        }                                                                                         \
        *v = (const T *)X->val + i * X->rs;                                                       \
        *idx = NULL;                                                                              \
        return X->d;                                                                              \
    }                                                                                             \
                                                                                                  \
    /* Four sums: a single one would wait for each addition before the next. */                   \
    static inline double hx_dot_##SUF(const hx_rows *X, const T *v, const I *idx, int64_t len,    \
                                      const double *w)                                            \
    {                                                                                             \
        double a = 0, b = 0, c = 0, e = 0;                                                        \
        int64_t j = 0;                                                                            \
        if (idx) {                                                                                \
            if (len >= HX_LONG) return X->isa->gather_dot_##SUF(v, idx, len, w);                  \
            for (; j + 4 <= len; j += 4) {                                                        \
                a += (double)v[j] * w[idx[j]];                                                    \
                b += (double)v[j + 1] * w[idx[j + 1]];                                            \
                c += (double)v[j + 2] * w[idx[j + 2]];                                            \
                e += (double)v[j + 3] * w[idx[j + 3]];                                            \
            }                                                                                     \
            for (; j < len; j++) a += (double)v[j] * w[idx[j]];                                   \
        } else if (X->cs == 1 && len > HX_SHORT) {                                                \
            return X->isa->dot_##TS(v, w, len);                                                   \
        } else {                                                                                  \
            const ptrdiff_t s = X->cs;                                                            \
            for (; j + 4 <= len; j += 4) {                                                        \
                a += (double)v[j * s] * w[j];                                                     \
                b += (double)v[(j + 1) * s] * w[j + 1];                                           \
                c += (double)v[(j + 2) * s] * w[j + 2];                                           \
                e += (double)v[(j + 3) * s] * w[j + 3];                                           \
            }                                                                                     \
            for (; j < len; j++) a += (double)v[j * s] * w[j];                                    \
        }                                                                                         \
        return (a + b) + (c + e);                                                                 \
    }                                                                                             \
                                                                                                  \
    static inline void hx_axpy_##SUF(const hx_rows *X, double alpha, const T *v, const I *idx,    \
                                     int64_t len, double *w)                                      \
    {                                                                                             \
        if (idx) {                                                                                \
            for (int64_t j = 0; j < len; j++) w[idx[j]] += alpha * (double)v[j];                  \
        } else if (X->cs == 1 && len > HX_SHORT) {                                                \
            X->isa->axpy_##TS(alpha, v, w, len);                                                  \
        } else {                                                                                  \
            for (int64_t j = 0; j < len; j++) w[j] += alpha * (double)v[j * X->cs];               \
        }                                                                                         \
    }                                                                                             \
                                                                                                  \
    /* out[i - begin] = x_i . w for CSR rows begin..end-1, and room for three more numbers;       \
     * v and idx only tell the types. Returns whether all indices are in 0..d-1. */               \
    static inline int hx_csr_scores_##SUF(const hx_rows *X, const T *v, const I *idx,             \
                                          int64_t begin, int64_t end, const double *w,            \
                                          double *out)                                            \
    {                                                                                             \
        return X->isa->csr_scores_##SUF(X, begin, end, w, out);                                   \
    }                                                                                             \
                                                                                                  \
    static inline double hx_sqnorm_##SUF(const hx_rows *X, const T *v, const I *idx, int64_t len) \
    {                                                                                             \
        const ptrdiff_t s = idx ? 1 : X->cs;                                                      \
        double a = 0, b = 0;                                                                      \
        int64_t j = 0;                                                                            \
        for (; j + 2 <= len; j += 2) {                                                            \
            a += (double)v[j * s] * (double)v[j * s];                                             \
            b += (double)v[(j + 1) * s] * (double)v[(j + 1) * s];                                 \
        }                                                                                         \
        for (; j < len; j++) a += (double)v[j * s] * (double)v[j * s];                            \
        return a + b;                                                                             \
    }                                                                                             \
                                                                                                  \
    /* The first cache lines of a row that will be visited a few steps later. */                  \
    static inline void hx_prefetch_row_##SUF(const hx_rows *X, int64_t i)                         \
    {                                                                                             \
        const T *v;                                                                               \
        const I *idx;                                                                             \
        const int64_t len = hx_row_##SUF(X, i, &v, &idx);                                         \
        if (!idx && X->cs != 1) return;                                                           \
        const int64_t most = len < 256 ? len : 256;                                               \
        for (int64_t j = 0; j < most; j += 64 / (int64_t)sizeof(T)) HX_PREFETCH(v + j);           \
        if (idx)                                                                                  \
            for (int64_t j = 0; j < most; j += 64 / (int64_t)sizeof(I)) HX_PREFETCH(idx + j);     \
    }

/* One lane of W, the same products in the same order as lanes_dot, hence the same bits; and all. */
#define HX_DEFINE_LANE_OPS(T, I, SUF, W_T, WS)                                                    \
    static inline W_T hx_lane_dot_##SUF##_##WS(const hx_rows *X, const T *v, const I *idx,        \
                                               int64_t len, const W_T *w, ptrdiff_t ld)           \
    {                                                                                             \
        W_T a = 0;                                                                                \
        if (idx)                                                                                  \
            for (int64_t j = 0; j < len; j++) a += (W_T)v[j] * w[(ptrdiff_t)idx[j] * ld];         \
        else                                                                                      \
            for (int64_t j = 0; j < len; j++) a += (W_T)v[j * X->cs] * w[j * ld];                 \
        return a;                                                                                 \
    }                                                                                             \
    static inline void hx_lane_axpy_##SUF##_##WS(const hx_rows *X, W_T alpha, const T *v,         \
                                                 const I *idx, int64_t len, W_T *w, ptrdiff_t ld) \
    {                                                                                             \
        if (idx)                                                                                  \
            for (int64_t j = 0; j < len; j++) w[(ptrdiff_t)idx[j] * ld] += (W_T)v[j] * alpha;     \
        else                                                                                      \
            for (int64_t j = 0; j < len; j++) w[j * ld] += (W_T)v[j * X->cs] * alpha;             \
    }                                                                                             \
    static inline void hx_lanes_dot_##SUF##_##WS(const hx_rows *X, const T *v, const I *idx,      \
                                                 int64_t len, const W_T *W, ptrdiff_t ld,         \
                                                 int64_t lanes, W_T *out)                         \
    {                                                                                             \
        X->isa->lanes_dot_##SUF##_##WS(v, idx ? 1 : X->cs, idx, len, W, ld, lanes, out);          \
    }                                                                                             \
    /* The same with prefetches: idx[0..known) may be read, across the row's end. */              \
    static inline void hx_lanes_scores_##SUF##_##WS(const hx_rows *X, const T *v, const I *idx,   \
                                                    int64_t len, int64_t known, const W_T *W,     \
                                                    ptrdiff_t ld, int64_t lanes, W_T *out)        \
    {                                                                                             \
        if (idx)                                                                                  \
            X->isa->lanes_scores_##SUF##_##WS(v, idx, len, known, W, ld, lanes, out);             \
        else                                                                                      \
            hx_lanes_dot_##SUF##_##WS(X, v, idx, len, W, ld, lanes, out);                         \
    }                                                                                             \
    static inline void hx_lanes_axpy_##SUF##_##WS(const hx_rows *X, const W_T *delta, const T *v, \
                                                  const I *idx, int64_t len, int64_t lanes,       \
                                                  W_T *W, ptrdiff_t ld)                           \
    {                                                                                             \
        X->isa->lanes_axpy_##SUF##_##WS(v, idx ? 1 : X->cs, idx, len, delta, lanes, W, ld);       \
    }

HX_DEFINE_ROW_OPS(float, int32_t, f32, f32_i32)
HX_DEFINE_ROW_OPS(float, int64_t, f32, f32_i64)
HX_DEFINE_ROW_OPS(double, int32_t, f64, f64_i32)
HX_DEFINE_ROW_OPS(double, int64_t, f64, f64_i64)
#define X(T, I, SUF, W_T, WS) HX_DEFINE_LANE_OPS(T, I, SUF, W_T, WS)
HX_LANES_TYPES
#undef X

/* Pick by the type of the value pointer v and the index pointer i. */
#define HX_PICK(NAME, v, i)                                                                       \
    _Generic((v),                                                                                 \
        const float *: _Generic((i), const int32_t *: NAME##_f32_i32, default: NAME##_f32_i64),   \
        default: _Generic((i), const int32_t *: NAME##_f64_i32, default: NAME##_f64_i64))

#define hx_row(X, i, pv, pi)                                                                      \
    _Generic((pv),                                                                                \
        const float **: _Generic((pi), const int32_t **: hx_row_f32_i32, default: hx_row_f32_i64),\
        default: _Generic((pi), const int32_t **: hx_row_f64_i32, default: hx_row_f64_i64))       \
        (X, i, pv, pi)
#define hx_dot(X, v, idx, len, w) HX_PICK(hx_dot, v, idx)(X, v, idx, len, w)
#define hx_axpy(X, a, v, idx, len, w) HX_PICK(hx_axpy, v, idx)(X, a, v, idx, len, w)
/* The same, and by the type of the weights. */
#define HX_PICK_W(NAME, v, i, w)                                                                  \
    _Generic((w),                                                                                 \
        const double *: HX_PICK_WS(NAME, v, i, w64),                                              \
        double *: HX_PICK_WS(NAME, v, i, w64),                                                    \
        default: HX_PICK_WS(NAME, v, i, w32))
#define HX_PICK_WS(NAME, v, i, WS)                                                                \
    _Generic((v),                                                                                 \
        const float *: _Generic((i), const int32_t *: NAME##_f32_i32_##WS,                        \
                                default: NAME##_f32_i64_##WS),                                    \
        default: _Generic((i), const int32_t *: NAME##_f64_i32_##WS,                              \
                          default: NAME##_f64_i64_##WS))
#define hx_lane_dot(X, v, idx, len, w, ld) HX_PICK_W(hx_lane_dot, v, idx, w)(X, v, idx, len, w, ld)
#define hx_lane_axpy(X, a, v, idx, len, w, ld)                                                    \
    HX_PICK_W(hx_lane_axpy, v, idx, w)(X, a, v, idx, len, w, ld)
#define hx_lanes_dot(X, v, idx, len, W, ld, lanes, out)                                           \
    HX_PICK_W(hx_lanes_dot, v, idx, W)(X, v, idx, len, W, ld, lanes, out)
#define hx_lanes_scores(X, v, idx, len, known, W, ld, lanes, out)                                 \
    HX_PICK_W(hx_lanes_scores, v, idx, W)(X, v, idx, len, known, W, ld, lanes, out)
#define hx_indices_fit(idx, count, d)                                                             \
    _Generic((idx), const int32_t *: hx_indices_fit_int32_t, default: hx_indices_fit_int64_t)     \
        (idx, count, d)
#define hx_csr_scores(X, v, idx, begin, end, w, out)                                              \
    HX_PICK(hx_csr_scores, v, idx)(X, v, idx, begin, end, w, out)
#define hx_lanes_axpy(X, delta, v, idx, len, lanes, W, ld)                                        \
    HX_PICK_W(hx_lanes_axpy, v, idx, W)(X, delta, v, idx, len, lanes, W, ld)
#define hx_sqnorm(X, v, idx, len) HX_PICK(hx_sqnorm, v, idx)(X, v, idx, len)
#define hx_prefetch_row(X, i, v, idx) HX_PICK(hx_prefetch_row, v, idx)(X, i)

#endif
