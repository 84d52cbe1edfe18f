/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Compiled once per instruction set with -DHX_ISA=<name>; see dispatch.h.
 */
#include "dispatch.h"
#include "hinge.h"
#include "losses.h"
#include "vec.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

#define HX_CAT_(a, b) a##b
#define HX_CAT(a, b) HX_CAT_(a, b)
#define HX_STR_(a) #a
#define HX_STR(a) HX_STR_(a)

/* ---- dense dot and axpy ---------------------------------------------------------------- */

#ifdef __AVX2__

static inline __m256d load4_f32(const float *x) { return _mm256_cvtps_pd(_mm_loadu_ps(x)); }
static inline __m256d load4_f64(const double *x) { return _mm256_loadu_pd(x); }

static inline double sum4(__m256d a)
{
    __m128d lo = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_add_sd(lo, _mm_unpackhi_pd(lo, lo)));
}

#define DEFINE_DENSE(T, SUF)                                                                      \
    static double dot_##SUF(const T *x, const double *w, int64_t n)                               \
    {                                                                                             \
        __m256d a = _mm256_setzero_pd(), b = a, c = a, d = a;                                     \
        int64_t j = 0;                                                                            \
        for (; j + 16 <= n; j += 16) {                                                            \
            a = _mm256_fmadd_pd(load4_##SUF(x + j), _mm256_loadu_pd(w + j), a);                   \
            b = _mm256_fmadd_pd(load4_##SUF(x + j + 4), _mm256_loadu_pd(w + j + 4), b);           \
            c = _mm256_fmadd_pd(load4_##SUF(x + j + 8), _mm256_loadu_pd(w + j + 8), c);           \
            d = _mm256_fmadd_pd(load4_##SUF(x + j + 12), _mm256_loadu_pd(w + j + 12), d);         \
        }                                                                                         \
        for (; j + 4 <= n; j += 4)                                                                \
            a = _mm256_fmadd_pd(load4_##SUF(x + j), _mm256_loadu_pd(w + j), a);                   \
        double s = sum4(_mm256_add_pd(_mm256_add_pd(a, b), _mm256_add_pd(c, d)));                 \
        for (; j < n; j++) s += (double)x[j] * w[j];                                              \
        return s;                                                                                 \
    }                                                                                             \
    static void axpy_##SUF(double a, const T *x, double *w, int64_t n)                            \
    {                                                                                             \
        const __m256d av = _mm256_set1_pd(a);                                                     \
        int64_t j = 0;                                                                            \
        for (; j + 4 <= n; j += 4)                                                                \
            _mm256_storeu_pd(w + j,                                                               \
                             _mm256_fmadd_pd(av, load4_##SUF(x + j), _mm256_loadu_pd(w + j)));    \
        for (; j < n; j++) w[j] += a * (double)x[j];                                              \
    }

static inline __m256d gather4_int32_t(const double *w, const int32_t *idx)
{
    return _mm256_i32gather_pd(w, _mm_loadu_si128((const __m128i *)idx), 8);
}
static inline __m256d gather4_int64_t(const double *w, const int64_t *idx)
{
    return _mm256_i64gather_pd(w, _mm256_loadu_si256((const __m256i *)idx), 8);
}

#define DEFINE_GATHER_DOT(T, I, TS, SUF)                                                          \
    static double gather_dot_##SUF(const T *v, const I *idx, int64_t len, const double *w)        \
    {                                                                                             \
        __m256d a = _mm256_setzero_pd(), b = a;                                                   \
        int64_t j = 0;                                                                            \
        for (; j + 8 <= len; j += 8) {                                                            \
            a = _mm256_fmadd_pd(load4_##TS(v + j), gather4_##I(w, idx + j), a);                   \
            b = _mm256_fmadd_pd(load4_##TS(v + j + 4), gather4_##I(w, idx + j + 4), b);           \
        }                                                                                         \
        double s = sum4(_mm256_add_pd(a, b));                                                     \
        for (; j < len; j++) s += (double)v[j] * w[idx[j]];                                       \
        return s;                                                                                 \
    }

#else

#define DEFINE_DENSE(T, SUF)                                                                      \
    static double dot_##SUF(const T *x, const double *w, int64_t n)                               \
    {                                                                                             \
        double a = 0, b = 0, c = 0, d = 0;                                                        \
        int64_t j = 0;                                                                            \
        for (; j + 4 <= n; j += 4) {                                                              \
            a += (double)x[j] * w[j];                                                             \
            b += (double)x[j + 1] * w[j + 1];                                                     \
            c += (double)x[j + 2] * w[j + 2];                                                     \
            d += (double)x[j + 3] * w[j + 3];                                                     \
        }                                                                                         \
        for (; j < n; j++) a += (double)x[j] * w[j];                                              \
        return (a + b) + (c + d);                                                                 \
    }                                                                                             \
    static void axpy_##SUF(double a, const T *x, double *w, int64_t n)                            \
    {                                                                                             \
        for (int64_t j = 0; j < n; j++) w[j] += a * (double)x[j];                                 \
    }

#define DEFINE_GATHER_DOT(T, I, TS, SUF)                                                          \
    static double gather_dot_##SUF(const T *v, const I *idx, int64_t len, const double *w)        \
    {                                                                                             \
        double a = 0, b = 0, c = 0, d = 0;                                                        \
        int64_t j = 0;                                                                            \
        for (; j + 4 <= len; j += 4) {                                                            \
            a += (double)v[j] * w[idx[j]];                                                        \
            b += (double)v[j + 1] * w[idx[j + 1]];                                                \
            c += (double)v[j + 2] * w[idx[j + 2]];                                                \
            d += (double)v[j + 3] * w[idx[j + 3]];                                                \
        }                                                                                         \
        for (; j < len; j++) a += (double)v[j] * w[idx[j]];                                       \
        return (a + b) + (c + d);                                                                 \
    }

#endif

DEFINE_DENSE(float, f32)
DEFINE_DENSE(double, f64)
DEFINE_GATHER_DOT(float, int32_t, f32, f32_i32)
DEFINE_GATHER_DOT(float, int64_t, f32, f32_i64)
DEFINE_GATHER_DOT(double, int32_t, f64, f64_i32)
DEFINE_GATHER_DOT(double, int64_t, f64, f64_i64)

/* ---- scores of CSR rows ------------------------------------------------------------------ */

/* sum_row: four sums of p[0..len), which total_rows adds up. The order of additions depends on len
 * alone, not on the instruction set. Up to 16 numbers past the end are read, but not taken. */
#ifdef __AVX2__
typedef __m256d four;

static inline four sum_row(const double *p, int64_t len)
{
    static const int64_t edge[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    __m256d a = _mm256_setzero_pd(), b = a, c = a, d = a;
    for (; len > 16; len -= 16, p += 16) {
        a = _mm256_add_pd(a, _mm256_loadu_pd(p));
        b = _mm256_add_pd(b, _mm256_loadu_pd(p + 4));
        c = _mm256_add_pd(c, _mm256_loadu_pd(p + 8));
        d = _mm256_add_pd(d, _mm256_loadu_pd(p + 12));
    }
    const double *keep = (const double *)(edge + 16 - len);
    a = _mm256_add_pd(a, _mm256_and_pd(_mm256_loadu_pd(p), _mm256_loadu_pd(keep)));
    b = _mm256_add_pd(b, _mm256_and_pd(_mm256_loadu_pd(p + 4), _mm256_loadu_pd(keep + 4)));
    c = _mm256_add_pd(c, _mm256_and_pd(_mm256_loadu_pd(p + 8), _mm256_loadu_pd(keep + 8)));
    d = _mm256_add_pd(d, _mm256_and_pd(_mm256_loadu_pd(p + 12), _mm256_loadu_pd(keep + 12)));
    return _mm256_add_pd(_mm256_add_pd(a, b), _mm256_add_pd(c, d));
}

static inline void total_rows(const four *rows, double *out)
{
    const __m256d lo = _mm256_hadd_pd(rows[0], rows[1]), hi = _mm256_hadd_pd(rows[2], rows[3]);
    _mm256_storeu_pd(out, _mm256_add_pd(_mm256_permute2f128_pd(lo, hi, 0x20),
                                        _mm256_permute2f128_pd(lo, hi, 0x31)));
}
#else
typedef struct {
    double s[4];
} four;

static inline four sum_row(const double *p, int64_t len)
{
    double sum[16] = {0};
    four out;
    for (; len > 16; len -= 16, p += 16)
        for (int t = 0; t < 16; t++) sum[t] += p[t];
    for (int t = 0; t < 16; t++) sum[t] += t < len ? p[t] : 0.0;
    for (int t = 0; t < 4; t++) out.s[t] = (sum[t] + sum[t + 4]) + (sum[t + 8] + sum[t + 12]);
    return out;
}

static inline void total_rows(const four *rows, double *out)
{
    for (int r = 0; r < 4; r++)
        out[r] = (rows[r].s[0] + rows[r].s[1]) + (rows[r].s[2] + rows[r].s[3]);
}
#endif

#define PRODUCTS 512 /* at a time, of at most as many rows */

/* Rows of text are short: a loop over each one ends in a mispredicted branch, and waits for its
 * additions. So the products of many rows are made in one loop, then summed 16 at a time. */
#define DEFINE_CSR_SCORES(T, I, SUF)                                                              \
    static int csr_scores_##SUF(const hx_rows *X, int64_t begin, int64_t end, const double *w,    \
                                double *out)                                                      \
    {                                                                                             \
        double products[PRODUCTS + 16];                                                           \
        int64_t lengths[PRODUCTS + 4];                                                            \
        four rows[4];                                                                             \
        int64_t start = hx_row_start(X, begin);                                                   \
        while (begin < end) {                                                                     \
            const T *restrict v = (const T *)X->val + start;                                      \
            const I *restrict idx = (const I *)X->idx + start;                                    \
            int64_t count = 0, n = 0, len = 0;                                                    \
            for (; n < end - begin && n < PRODUCTS; n++, count += len, start += len) {            \
                len = lengths[n] = hx_row_start(X, begin + n + 1) - start;                        \
                if (count + len > PRODUCTS) break;                                                \
            }                                                                                     \
            if (!hx_indices_fit_##I(idx, n == 0 ? len : count, X->d)) return 0;                   \
            for (int64_t j = 0; j < count; j++) products[j] = (double)v[j] * w[idx[j]];           \
            if (n == 0) { /* a long row: its 16 sums, for sum_row to add up */                    \
                for (; count < 16; count++) products[count] = 0.0;                                \
                for (int64_t j = 0; j < len; j++) products[j % 16] += (double)v[j] * w[idx[j]];   \
                start += len;                                                                     \
                lengths[n++] = 16;                                                                \
            }                                                                                     \
            /* What comes next is fetched while the sums are made. */                             \
            for (int64_t j = 0; j < PRODUCTS; j += 64 / sizeof(T)) HX_PREFETCH(v + count + j);    \
            for (int64_t j = 0; j < PRODUCTS; j += 64 / sizeof(I)) HX_PREFETCH(idx + count + j);  \
            for (int t = 0; t < 16; t++) products[count + t] = 0.0;                               \
            for (int t = 0; t < 4; t++) lengths[n + t] = 0;                                       \
            const double *p = products;                                                           \
            for (int64_t r = 0; r < n; r += 4) {                                                  \
                for (int t = 0; t < 4; t++) {                                                     \
                    rows[t] = sum_row(p, lengths[r + t]);                                         \
                    p += lengths[r + t];                                                          \
                }                                                                                 \
                total_rows(rows, out + r);                                                        \
            }                                                                                     \
            begin += n;                                                                           \
            out += n;                                                                             \
        }                                                                                         \
        return 1;                                                                                 \
    }

DEFINE_CSR_SCORES(float, int32_t, f32_i32)
DEFINE_CSR_SCORES(float, int64_t, f32_i64)
DEFINE_CSR_SCORES(double, int32_t, f64_i32)
DEFINE_CSR_SCORES(double, int64_t, f64_i64)

/* ---- one-vs-rest lanes ------------------------------------------------------------------ */

/* Products are added one by one in the order of the row, without fused operations, as hx_lane_dot
 * does. The number of vectors is a constant so that the sums stay in registers; a plain loop over
 * the lanes, left to the compiler, keeps them in memory and takes up to three times as long. */
#ifdef __GNUC__
typedef double vec_w64 __attribute__((vector_size(32), aligned(8), may_alias));
typedef float vec_w32 __attribute__((vector_size(32), aligned(4), may_alias));

/* Nonzeros whose weights are fetched early. With 45 classes and 30837 features, scores take some
 * percent longer with 8 or 32, and a third longer with none. */
#define LANES_AHEAD 16

#define LANES_PREFETCH(LANES)                                                                     \
    {                                                                                             \
        const int64_t next = j + LANES_AHEAD < known ? j + LANES_AHEAD : known - 1;               \
        const char *ahead = (const char *)(W + (ptrdiff_t)idx[next] * ld + k);                    \
        for (size_t t = 0; t < (LANES) * sizeof(*W); t += 64) HX_PREFETCH(ahead + t);             \
        HX_PREFETCH(ahead + (last + wide) * sizeof(*W) - 1);                                      \
    }

#ifdef __AVX2__
#define MOST_VECTORS 12
#else
#define MOST_VECTORS 6
#endif

#define LANES_DOT_CASE(VECTORS, W_T, VEC)                                                         \
    case VECTORS: {                                                                               \
        VEC sum[VECTORS];                                                                         \
        _Pragma("GCC unroll 12") for (int q = 0; q < (VECTORS); q++) sum[q] = (VEC){0};           \
        for (int64_t j = 0; j < len; j++) {                                                       \
            const W_T x = (W_T)v[j * vs];                                                         \
            const W_T *w = W + (ptrdiff_t)(idx ? (int64_t)idx[j] : j) * ld + k;                   \
            if (known) LANES_PREFETCH((VECTORS) * wide)                                           \
            _Pragma("GCC unroll 12") for (int q = 0; q < (VECTORS); q++)                          \
                sum[q] += x * *(const VEC *)(w + (q < (VECTORS) - 1 ? wide * q : last));          \
        }                                                                                         \
        _Pragma("GCC unroll 12") for (int q = 0; q < (VECTORS); q++)                              \
            *(VEC *)(out + k + (q < (VECTORS) - 1 ? wide * q : last)) = sum[q];                   \
        break;                                                                                    \
    }

/* Every pass reads the row again, so there are as few as the registers allow, of equal width. The
 * last pass, and a pass's last vector, may overlap lanes already done: same bits for them. */
#define LANES_DOT_BY_VECTORS(W_T, VEC)                                                            \
    const int64_t wide = sizeof(VEC) / sizeof(W_T), vectors = (lanes + wide - 1) / wide;          \
    const int64_t passes = (vectors + MOST_VECTORS - 1) / MOST_VECTORS;                           \
    const int64_t width = (vectors + passes - 1) / passes;                                        \
    const int64_t latest = lanes > wide * width ? lanes - wide * width : 0;                       \
    for (int64_t p = 0; p < passes && lanes >= wide; p++) {                                       \
        const int64_t k = p * wide * width < latest ? p * wide * width : latest;                  \
        const int64_t last = (lanes - k < wide * width ? lanes - k : wide * width) - wide;        \
        switch (width) {                                                                          \
            LANES_DOT_CASE(1, W_T, VEC)                                                           \
            LANES_DOT_CASE(2, W_T, VEC)                                                           \
            LANES_DOT_CASE(3, W_T, VEC)                                                           \
            LANES_DOT_CASE(4, W_T, VEC)                                                           \
            LANES_DOT_CASE(5, W_T, VEC)                                                           \
            LANES_DOT_CASE(6, W_T, VEC)                                                           \
            LANES_DOT_CASE(7, W_T, VEC)                                                           \
            LANES_DOT_CASE(8, W_T, VEC)                                                           \
            LANES_DOT_CASE(9, W_T, VEC)                                                           \
            LANES_DOT_CASE(10, W_T, VEC)                                                          \
            LANES_DOT_CASE(11, W_T, VEC)                                                          \
            LANES_DOT_CASE(12, W_T, VEC)                                                          \
        }                                                                                         \
    }                                                                                             \
    if (lanes >= wide) return;
#else
#define LANES_DOT_BY_VECTORS(W_T, VEC)
#endif

#ifdef __GNUC__
#define HX_INLINE static inline __attribute__((always_inline))
#else
#define HX_INLINE static inline
#endif

#define DEFINE_LANES(T, I, SUF, W_T, WS)                                                          \
    HX_INLINE void lanes_dot_body_##SUF##_##WS(                                                   \
        const T *restrict v, ptrdiff_t vs, const I *restrict idx, int64_t len, int64_t known,     \
        const W_T *restrict W, ptrdiff_t ld, int64_t lanes, W_T *restrict out)                    \
    {                                                                                             \
        LANES_DOT_BY_VECTORS(W_T, vec_##WS)                                                       \
        for (int64_t k = 0; k < lanes; k++) {                                                     \
            W_T sum = 0;                                                                          \
            for (int64_t j = 0; j < len; j++)                                                     \
                sum += (W_T)v[j * vs] * W[(ptrdiff_t)(idx ? (int64_t)idx[j] : j) * ld + k];       \
            out[k] = sum;                                                                         \
        }                                                                                         \
    }                                                                                             \
    static void lanes_dot_##SUF##_##WS(const T *restrict v, ptrdiff_t vs, const I *restrict idx,  \
                                       int64_t len, const W_T *restrict W, ptrdiff_t ld,          \
                                       int64_t lanes, W_T *restrict out)                          \
    {                                                                                             \
        lanes_dot_body_##SUF##_##WS(v, vs, idx, len, 0, W, ld, lanes, out);                       \
    }                                                                                             \
    static void lanes_scores_##SUF##_##WS(const T *restrict v, const I *restrict idx, int64_t len,\
                                          int64_t known, const W_T *restrict W, ptrdiff_t ld,     \
                                          int64_t lanes, W_T *restrict out)                       \
    {                                                                                             \
        lanes_dot_body_##SUF##_##WS(v, 1, idx, len, known, W, ld, lanes, out);                    \
    }                                                                                             \
    static void lanes_axpy_##SUF##_##WS(const T *restrict v, ptrdiff_t vs, const I *restrict idx, \
                                        int64_t len, const W_T *restrict delta, int64_t lanes,    \
                                        W_T *restrict W, ptrdiff_t ld)                            \
    {                                                                                             \
        for (int64_t j = 0; j < len; j++) {                                                       \
            const W_T x = (W_T)v[j * vs];                                                         \
            W_T *restrict w = W + (ptrdiff_t)(idx ? (int64_t)idx[j] : j) * ld;                    \
            for (int64_t k = 0; k < lanes; k++) w[k] += x * delta[k];                             \
        }                                                                                         \
    }

#define X(T, I, SUF, W_T, WS) DEFINE_LANES(T, I, SUF, W_T, WS)
HX_LANES_TYPES
#undef X

/* ---- Gram matrix ------------------------------------------------------------------------- */

/* tile = A^T B for 4 columns of the panel `a` and the 8 of `b`; eight sums in registers. */
static void gram_tile(const double *restrict a, const double *restrict b, int64_t rows,
                      double tile[4][HX_PANEL])
{
#ifdef __AVX2__
    __m256d s0 = _mm256_setzero_pd(), s1 = s0, s2 = s0, s3 = s0;
    __m256d t0 = s0, t1 = s0, t2 = s0, t3 = s0;
    for (int64_t i = 0; i < rows; i++, a += HX_PANEL, b += HX_PANEL) {
        const __m256d lo = _mm256_loadu_pd(b), hi = _mm256_loadu_pd(b + 4);
        __m256d x = _mm256_broadcast_sd(a);
        s0 = _mm256_fmadd_pd(x, lo, s0);
        t0 = _mm256_fmadd_pd(x, hi, t0);
        x = _mm256_broadcast_sd(a + 1);
        s1 = _mm256_fmadd_pd(x, lo, s1);
        t1 = _mm256_fmadd_pd(x, hi, t1);
        x = _mm256_broadcast_sd(a + 2);
        s2 = _mm256_fmadd_pd(x, lo, s2);
        t2 = _mm256_fmadd_pd(x, hi, t2);
        x = _mm256_broadcast_sd(a + 3);
        s3 = _mm256_fmadd_pd(x, lo, s3);
        t3 = _mm256_fmadd_pd(x, hi, t3);
    }
    _mm256_storeu_pd(tile[0], s0);
    _mm256_storeu_pd(tile[0] + 4, t0);
    _mm256_storeu_pd(tile[1], s1);
    _mm256_storeu_pd(tile[1] + 4, t1);
    _mm256_storeu_pd(tile[2], s2);
    _mm256_storeu_pd(tile[2] + 4, t2);
    _mm256_storeu_pd(tile[3], s3);
    _mm256_storeu_pd(tile[3] + 4, t3);
#else
    for (int r = 0; r < 4; r++)
        for (int t = 0; t < HX_PANEL; t++) tile[r][t] = 0;
    for (int64_t i = 0; i < rows; i++, a += HX_PANEL, b += HX_PANEL)
        for (int r = 0; r < 4; r++)
            for (int t = 0; t < HX_PANEL; t++) tile[r][t] += a[r] * b[t];
#endif
}

static void gram(const double *panels, int64_t capacity, int64_t rows, int64_t D, double sign,
                 double *G, int64_t ld)
{
    double tile[4][HX_PANEL];
    for (int64_t j = 0; j < D; j += HX_PANEL) {
        const double *b = panels + j * capacity;
        const int64_t width = D - j < HX_PANEL ? D - j : HX_PANEL;
        for (int64_t i = 0; i < j + HX_PANEL && i < D; i += 4) {
            const double *a = panels + i / HX_PANEL * HX_PANEL * capacity + i % HX_PANEL;
            const int64_t height = D - i < 4 ? D - i : 4;
            gram_tile(a, b, rows, tile);
            for (int64_t r = 0; r < height; r++)
                for (int64_t t = i + r > j ? i + r - j : 0; t < width; t++)
                    G[(i + r) * ld + j + t] += sign * tile[r][t];
        }
    }
}

/* ---- hinge loss -------------------------------------------------------------------------- */

/* Loops over rows in steps of four, with four sums, so that they become vector code without leave
 * to reorder additions. What is left over goes the same way, one row for each sum. */
#define CLIP(v) ((v) > 0 ? ((v) < 1 ? (v) : 1.0) : 0.0)
#define HINGE_ROWS(...)                                                                           \
    {                                                                                             \
        int64_t i0 = 0;                                                                           \
        for (; i0 + 4 <= n; i0 += 4)                                                              \
            for (int q = 0; q < 4; q++) {                                                         \
                const int64_t i = i0 + q;                                                         \
                __VA_ARGS__                                                                       \
            }                                                                                     \
        for (int q = 0; i0 + q < n; q++) {                                                        \
            const int64_t i = i0 + q;                                                             \
            __VA_ARGS__                                                                           \
        }                                                                                         \
    }
#define SUM4(s) ((s[0] + s[1]) + (s[2] + s[3]))

/* Go `size` along the last step, then look at all rows with this width. */
static void hinge_look(hx_hinge *job, double size, double width)
{
    const int64_t n = job->n;
    const double *restrict y = job->y, *restrict cost = job->cost, *restrict share = job->share;
    const double *restrict dt = job->dt, *restrict centre = job->centre;
    double *restrict t = job->t, *restrict v = job->v, *restrict a = job->a;
    double *restrict change = job->change;
    double loss[4] = {0}, value[4] = {0}, linear[4] = {0}, prox[4] = {0};
    const double steep = 1 / width;
    HINGE_ROWS({
        t[i] += size * dt[i];
        const double u = 1 - t[i], c = cost[i];
        v[i] = centre[i] + share[i] * steep * u;
        const double next = CLIP(v[i]), off = next - centre[i];
        loss[q] += c * (u > 0 ? u : 0.0);
        value[q] += c * next;
        linear[q] += c * next * u;
        prox[q] += c * off * off / share[i];
        change[i] = c * y[i] * (next - a[i]);
        a[i] = next;
    })
    job->sums[HX_HINGE_LOSS] = SUM4(loss);
    job->sums[HX_HINGE_VALUE] = SUM4(value);
    job->sums[HX_HINGE_LINEAR] = SUM4(linear);
    job->sums[HX_HINGE_PROX] = 0.5 * SUM4(prox);
    int64_t inside = 0, changed = 0;
    for (int64_t i = 0; i < n; i++) {
        job->rows[inside] = (int32_t)i;
        job->weights[inside] = cost[i] * share[i] * steep;
        inside += (v[i] > 0) & (v[i] < 1) & (cost[i] > 0);
        changed += change[i] != 0;
    }
    job->inside = inside;
    job->changed = changed;
}

/* Take note of a step that changes the scores by f. */
static void hinge_aim(hx_hinge *job, const double *restrict f, double width)
{
    const double steep = 1 / width;
    double *restrict dt = job->dt, *restrict e = job->e;
    const double *restrict y = job->y, *restrict share = job->share;
    for (int64_t i = 0; i < job->n; i++) {
        dt[i] = y[i] * f[i];
        e[i] = share[i] * steep * dt[i];
    }
}

/* sum cost * dt * a and sum cost * dt * e over rows inside, after `size` of the step. */
static void hinge_slope(const hx_hinge *job, double size, double out[2])
{
    const int64_t n = job->n;
    const double *restrict v = job->v, *restrict e = job->e, *restrict dt = job->dt;
    const double *restrict cost = job->cost;
    double slope[4] = {0}, bend[4] = {0};
    HINGE_ROWS({
        const double g = cost[i] * dt[i], at = v[i] - size * e[i];
        slope[q] += g * CLIP(at);
        bend[q] += at > 0 ? (at < 1 ? g * e[i] : 0.0) : 0.0;
    })
    out[0] = SUM4(slope);
    out[1] = SUM4(bend);
}

/* Rows that would be inside with other widths, were the centres where the multipliers are. */
static void hinge_widths(const hx_hinge *job, const double *widths, int64_t *counts)
{
    for (int k = 0; k < HX_HINGE_WIDTHS; k++) {
        const double steep = 1 / widths[k];
        int64_t count = 0;
        for (int64_t i = 0; i < job->n; i++) {
            const double at = job->a[i] + job->share[i] * steep * (1 - job->t[i]);
            count += (at > 0) & (at < 1) & (job->cost[i] > 0);
        }
        counts[k] = count;
    }
}

double HX_CAT(hx_margin_losses_, HX_ISA)(hx_margin_job *job, int64_t begin, int64_t end);
double HX_CAT(hx_multiclass_losses_, HX_ISA)(hx_multiclass_job *job, int64_t begin, int64_t end,
                                             double *room);

double HX_CAT(hx_joint_solve_, HX_ISA)(const double *c, double *a, int64_t count, double D,
                                       double h, double upper, double cap, double guess);
double HX_CAT(hx_joint_look_w64_, HX_ISA)(const double *f, const double *b, int64_t count,
                                          int64_t y, double margin, int relative, double *g,
                                          double *sums);
double HX_CAT(hx_joint_look_w32_, HX_ISA)(const float *f, const double *b, int64_t count,
                                          int64_t y, double margin, int relative, double *g,
                                          double *sums);
float HX_CAT(hx_viterbi_f32_, HX_ISA)(const float *scores, int64_t length, int64_t K, int64_t ld,
                                      const float *trans, const float *first, const float *last,
                                      float *room, int32_t *y);
double HX_CAT(hx_viterbi_f64_, HX_ISA)(const double *scores, int64_t length, int64_t K,
                                       int64_t ld, const double *trans, const double *first,
                                       const double *last, double *room, int32_t *y);

const hx_isa HX_CAT(hx_isa_, HX_ISA) = {
    .name = HX_STR(HX_ISA),
    .dot_f32 = dot_f32,
    .dot_f64 = dot_f64,
    .axpy_f32 = axpy_f32,
    .axpy_f64 = axpy_f64,
    .gather_dot_f32_i32 = gather_dot_f32_i32,
    .gather_dot_f32_i64 = gather_dot_f32_i64,
    .gather_dot_f64_i32 = gather_dot_f64_i32,
    .gather_dot_f64_i64 = gather_dot_f64_i64,
#define X(T, I, SUF, W_T, WS)                                                                     \
    .lanes_dot_##SUF##_##WS = lanes_dot_##SUF##_##WS,                                             \
    .lanes_scores_##SUF##_##WS = lanes_scores_##SUF##_##WS,                                       \
    .lanes_axpy_##SUF##_##WS = lanes_axpy_##SUF##_##WS,
    HX_LANES_TYPES
#undef X
    .csr_scores_f32_i32 = csr_scores_f32_i32,
    .csr_scores_f32_i64 = csr_scores_f32_i64,
    .csr_scores_f64_i32 = csr_scores_f64_i32,
    .csr_scores_f64_i64 = csr_scores_f64_i64,
    .gram = gram,
    .hinge_look = hinge_look,
    .hinge_aim = hinge_aim,
    .hinge_slope = hinge_slope,
    .hinge_widths = hinge_widths,
    .margin_losses = HX_CAT(hx_margin_losses_, HX_ISA),
    .multiclass_losses = HX_CAT(hx_multiclass_losses_, HX_ISA),
    .joint_solve = HX_CAT(hx_joint_solve_, HX_ISA),
    .joint_look_w64 = HX_CAT(hx_joint_look_w64_, HX_ISA),
    .joint_look_w32 = HX_CAT(hx_joint_look_w32_, HX_ISA),
    .viterbi_f32 = HX_CAT(hx_viterbi_f32_, HX_ISA),
    .viterbi_f64 = HX_CAT(hx_viterbi_f64_, HX_ISA),
};
