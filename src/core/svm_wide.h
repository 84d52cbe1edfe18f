/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Vectors of doubles, and of integers that tell positions, as wide as HX_BYTES says. GNU C has their
 * arithmetic; choices lane by lane are instructions of their own, where there are such.
 */
#ifndef HX_SVM_WIDE_H
#define HX_SVM_WIDE_H

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define WIDE (HX_BYTES / 8)
typedef double wide __attribute__((vector_size(HX_BYTES), aligned(8), may_alias));
typedef int64_t whole __attribute__((vector_size(HX_BYTES), aligned(8), may_alias));
typedef float narrow __attribute__((vector_size(HX_BYTES / 2), aligned(4), may_alias));

#if HX_BYTES == 64
typedef __mmask8 marks;

static inline marks above(wide a, wide b)
{
    return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_GT_OQ);
}

static inline marks equal(wide a, wide b)
{
    return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_EQ_OQ);
}

/* a where marked, b elsewhere. */
static inline wide pick(marks m, wide a, wide b)
{
    return (wide)_mm512_mask_blend_pd(m, (__m512d)b, (__m512d)a);
}

static inline whole pick_whole(marks m, whole a, whole b)
{
    return (whole)_mm512_mask_blend_epi64(m, (__m512i)b, (__m512i)a);
}

static inline wide higher(wide a, wide b) { return (wide)_mm512_max_pd((__m512d)a, (__m512d)b); }

static inline whole lower_whole(whole a, whole b)
{
    return (whole)_mm512_min_epi64((__m512i)a, (__m512i)b);
}

static inline wide doubles(const float *p) { return (wide)_mm512_cvtps_pd(_mm256_loadu_ps(p)); }

#define TURNED(x, n)                                                                              \
    __builtin_shuffle(x, (whole){n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7})
#else
typedef whole marks;

static inline marks above(wide a, wide b) { return a > b; }
static inline marks equal(wide a, wide b) { return a == b; }

#if HX_BYTES == 32
static inline wide pick(marks m, wide a, wide b)
{
    return (wide)_mm256_blendv_pd((__m256d)b, (__m256d)a, (__m256d)m);
}

static inline wide higher(wide a, wide b) { return (wide)_mm256_max_pd((__m256d)a, (__m256d)b); }
static inline wide doubles(const float *p) { return (wide)_mm256_cvtps_pd(_mm_loadu_ps(p)); }

#define TURNED(x, n) __builtin_shuffle(x, (whole){n, n + 1, n + 2, n + 3})
#else
static inline wide pick(marks m, wide a, wide b)
{
    return (wide)((m & (whole)a) | (~m & (whole)b));
}

static inline wide higher(wide a, wide b) { return pick(a > b, a, b); }

static inline wide doubles(const float *p)
{
    return __builtin_convertvector(*(const narrow *)p, wide);
}

#define TURNED(x, n) __builtin_shuffle(x, (whole){n, n + 1})
#endif

static inline whole pick_whole(marks m, whole a, whole b)
{
    return (whole)pick(m, (wide)a, (wide)b);
}

static inline whole lower_whole(whole a, whole b) { return pick_whole(a < b, a, b); }
#endif

static inline wide filled(double x) { return (wide){0} + x; }

static inline wide at(const double *p) { return *(const wide *)p; }

/* first, first + 1, ... */
static inline whole from(int64_t first)
{
    whole x = {0};
    for (int v = 0; v < WIDE; v++) x[v] = first + v;
    return x;
}

/* The largest of all lanes in each. */
static inline wide largest(wide x)
{
    _Pragma("GCC unroll 4") for (int n = WIDE / 2; n > 0; n /= 2) x = higher(TURNED(x, n), x);
    return x;
}

/* The least of the lanes that are marked, or INT64_MAX. */
static inline int64_t least_of(marks marked, whole x)
{
    x = pick_whole(marked, x, (whole){0} + INT64_MAX);
    _Pragma("GCC unroll 4") for (int n = WIDE / 2; n > 0; n /= 2) x = lower_whole(TURNED(x, n), x);
    return x[0];
}

#endif
