/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Compiled once per instruction set with -DHX_ISA=<name> and with a b + c fused where the machine
 * can; see svm.h. Vectors are GNU C's, for which the compiler finds the instructions.
 */
#include "svm.h"

#include <math.h>
#include <string.h>

#include "svm_kernels.h"

#define HX_CAT_(a, b) a##b
#define HX_CAT(a, b) HX_CAT_(a, b)
#define HX_STR_(a) #a
#define HX_STR(a) HX_STR_(a)

/* a b + c as sums of products have it on this machine, which the compiler fuses (but not where it
 * takes the products of a loop first). */
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__FP_FAST_FMA)
#define HX_FUSED(a, b, c) _Generic((a), float: __builtin_fmaf, default: __builtin_fma)(a, b, c)
#else
#define HX_FUSED(a, b, c) ((a) * (b) + (c))
#endif

#if defined(__AVX512F__)
#define HX_BYTES 64
#elif defined(__AVX2__)
#define HX_BYTES 32
#else
#define HX_BYTES 16
#endif

#define T float
#define INT int32_t
#define SUF f32
#include "svm_tile.h"
#undef T
#undef INT
#undef SUF
#define T double
#define INT int64_t
#define SUF f64
#include "svm_tile.h"
#undef T
#undef INT
#undef SUF

/* ---- sums of rows ------------------------------------------------------------------------- */

#define DEFINE_ADD(T, SUF)                                                                        \
    static void add_##SUF(const T *const *rows, const double *coef, int64_t count, int64_t m,     \
                          double *restrict sum)                                                   \
    {                                                                                             \
        int64_t r = 0;                                                                            \
        for (; r + 4 <= count; r += 4) {                                                          \
            const T *a = rows[r], *b = rows[r + 1], *c = rows[r + 2], *d = rows[r + 3];           \
            const double p = coef[r], q = coef[r + 1], s = coef[r + 2], t = coef[r + 3];          \
            for (int64_t j = 0; j < m; j++)                                                       \
                sum[j] = (((sum[j] + p * a[j]) + q * b[j]) + s * c[j]) + t * d[j];                \
        }                                                                                         \
        for (; r < count; r++) {                                                                  \
            const T *a = rows[r];                                                                 \
            const double p = coef[r];                                                             \
            for (int64_t j = 0; j < m; j++) sum[j] += p * a[j];                                   \
        }                                                                                         \
    }

DEFINE_ADD(float, f32)
DEFINE_ADD(double, f64)

#include "svm_smo.h"
#define HX_SMO_VECTORS
#include "smo_double.h"

/* ---- transposition ------------------------------------------------------------------------ */

typedef float eight __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t eight_mask __attribute__((vector_size(32)));

/* to[j * to_ld + i] = from[i * ld + j] of 8 x 8 numbers, in three rounds of exchanges. */
static inline void transpose_8(const float *from, int64_t ld, float *to, int64_t to_ld)
{
    eight r[8], s[8];
    for (int i = 0; i < 8; i++) r[i] = *(const eight *)(from + i * ld);
    for (int i = 0; i < 8; i += 2) {
        s[i] = __builtin_shuffle(r[i], r[i + 1], (eight_mask){0, 8, 2, 10, 4, 12, 6, 14});
        s[i + 1] = __builtin_shuffle(r[i], r[i + 1], (eight_mask){1, 9, 3, 11, 5, 13, 7, 15});
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; j++) {
            const eight a = s[i + j], b = s[i + j + 2];
            r[i + j] = __builtin_shuffle(a, b, (eight_mask){0, 1, 8, 9, 4, 5, 12, 13});
            r[i + j + 2] = __builtin_shuffle(a, b, (eight_mask){2, 3, 10, 11, 6, 7, 14, 15});
        }
    for (int j = 0; j < 4; j++) {
        *(eight *)(to + j * to_ld) =
            __builtin_shuffle(r[j], r[j + 4], (eight_mask){0, 1, 2, 3, 8, 9, 10, 11});
        *(eight *)(to + (j + 4) * to_ld) =
            __builtin_shuffle(r[j], r[j + 4], (eight_mask){4, 5, 6, 7, 12, 13, 14, 15});
    }
}

static void transpose(const float *from, int64_t ld, int64_t rows, int64_t columns, float *to,
                      int64_t to_ld)
{
    for (int64_t j = 0; j < columns; j += 8)
        for (int64_t i = 0; i < rows; i += 8)
            transpose_8(from + i * ld + j, ld, to + j * to_ld + i, to_ld);
}

const hx_svm_ops HX_CAT(hx_svm_, HX_ISA) = {
    HX_STR(HX_ISA),
    {find_own_f32, pack_rows_f32, pack_tile_f32, block_f32, values_f32, sizeof(float)},
    {find_own_f64, pack_rows_f64, pack_tile_f64, block_f64, values_f64, sizeof(double)},
    add_f32, add_f64, smo_part, transpose, smo, hx_smo_double_run,
};
