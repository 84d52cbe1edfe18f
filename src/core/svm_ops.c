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

/* ---- SMO on a block ----------------------------------------------------------------------- */

#define WIDE (HX_BYTES / 8)
typedef double wide __attribute__((vector_size(HX_BYTES), aligned(8), may_alias));
typedef int64_t wide_mask __attribute__((vector_size(HX_BYTES), aligned(8), may_alias));
typedef float narrow __attribute__((vector_size(HX_BYTES / 2), aligned(4), may_alias));

static inline wide pick(wide_mask m, wide a, wide b)
{
    return (wide)((m & (wide_mask)a) | (~m & (wide_mask)b));
}

static inline wide doubles(const float *p)
{
    return __builtin_convertvector(*(const narrow *)p, wide);
}

/* Positions from..to-1 of a group, whole vectors: `up` is 0 where b may grow and -inf elsewhere,
 * `down` 0 where it may fall and inf elsewhere. */
typedef struct {
    double most, least;     /* f of what may grow, of what may fall */
    int64_t at;             /* where the most is */
} look;

static inline look looked(wide most, wide_mask at, wide least)
{
    look out = {-HUGE_VAL, HUGE_VAL, -1};
    for (int v = 0; v < WIDE; v++) {
        if (most[v] > out.most || (most[v] == out.most && at[v] < out.at && most[v] > -HUGE_VAL)) {
            out.most = most[v];
            out.at = at[v];
        }
        if (least[v] < out.least) out.least = least[v];
    }
    return out;
}

static look smo_look(const hx_smo *s, int64_t from, int64_t to, double step, const float *Ki,
                     const float *Kj)
{
    wide most = (wide){0} - HUGE_VAL, least = (wide){0} + HUGE_VAL;
    wide_mask at = {0}, here = {0};
    for (int v = 0; v < WIDE; v++) here[v] = from + v;
    for (int64_t t = from; t < to; t += WIDE) {
        wide f = *(const wide *)(s->f + t);
        if (Ki) {
            f -= step * (doubles(Ki + t) - doubles(Kj + t));
            *(wide *)(s->f + t) = f;
        }
        const wide grows = f + *(const wide *)(s->up + t), falls = f + *(const wide *)(s->down + t);
        const wide_mask better = grows > most;
        most = pick(better, grows, most);
        at = (better & here) | (~better & at);
        least = pick(falls < least, falls, least);
        here += WIDE;
    }
    return looked(most, at, least);
}

/* The partner j of i that gains most: (f_i - f_j)^2 / (K_ii + K_jj - 2 K_ij), without division. */
static int64_t smo_partner(const hx_smo *s, int64_t from, int64_t to, int64_t i, double f_i)
{
    const float *Ki = s->K + i * s->ld;
    const double K_ii = s->diag[i];
    wide gain = {0}, size = (wide){0} + 1;
    wide_mask at = {0}, here = {0};
    for (int v = 0; v < WIDE; v++) here[v] = from + v;
    for (int64_t t = from; t < to; t += WIDE) {
        wide gap = f_i - *(const wide *)(s->f + t) - *(const wide *)(s->down + t);
        gap = pick(gap > 0, gap, (wide){0});
        wide a = K_ii + *(const wide *)(s->diag + t) - 2 * doubles(Ki + t);
        a = pick(a > 0, a, (wide){0} + 1e-12);
        const wide g = gap * gap;
        const wide_mask better = g * size > gain * a;
        gain = pick(better, g, gain);
        size = pick(better, a, size);
        at = (better & here) | (~better & at);
        here += WIDE;
    }
    int64_t best = -1;
    double g = 0, a = 1;
    for (int v = 0; v < WIDE; v++)
        if (gain[v] > 0 && (gain[v] * a > g * size[v]
                            || (gain[v] * a == g * size[v] && best >= 0 && at[v] < best))) {
            g = gain[v];
            a = size[v];
            best = at[v];
        }
    return best;
}

static inline void smo_ends(hx_smo *s, int64_t t)
{
    s->up[t] = s->b[t] < s->hi[t] ? 0 : -HUGE_VAL;
    s->down[t] = s->b[t] > s->lo[t] ? 0 : HUGE_VAL;
}

static int64_t smo(hx_smo *s)
{
    /* A group's vectors may hold positions of the other one: the ends of both are whole vectors
     * (split is a multiple of 8, or ld). */
    const int64_t from[2] = {0, s->split}, to[2] = {s->split, s->ld};
    look seen[2];
    int64_t done = 0;
    for (int64_t t = 0; t < s->ld; t++) smo_ends(s, t);
    for (int g = 0; g < 2; g++) seen[g] = smo_look(s, from[g], to[g], 0, NULL, NULL);
    for (;; done++) {
        const double first = seen[0].most - seen[0].least, second = seen[1].most - seen[1].least;
        const int g = second > first;
        s->violation = g ? second : first;
        if (!(s->violation > s->eps) || done >= s->steps) break;
        const int64_t i = seen[g].at, j = smo_partner(s, from[g], to[g], i, seen[g].most);
        if (j < 0) break;
        const float *Ki = s->K + i * s->ld, *Kj = s->K + j * s->ld;
        double a = s->diag[i] + s->diag[j] - 2 * (double)Ki[j];
        if (!(a > 0)) a = 1e-12;
        double step = (s->f[i] - s->f[j]) / a;
        const double room_i = s->hi[i] - s->b[i], room_j = s->b[j] - s->lo[j];
        if (step >= room_i || step >= room_j) {
            if (room_i <= room_j) {
                step = room_i;
                s->b[j] = room_i == room_j ? s->lo[j] : s->b[j] - step;
                s->b[i] = s->hi[i];
            } else {
                step = room_j;
                s->b[i] += step;
                s->b[j] = s->lo[j];
            }
        } else {
            s->b[i] += step;
            s->b[j] -= step;
        }
        smo_ends(s, i);
        smo_ends(s, j);
        if (s->split < s->ld) {
            seen[1 - g] = smo_look(s, from[1 - g], to[1 - g], step, Ki, Kj);
        }
        seen[g] = smo_look(s, from[g], to[g], step, Ki, Kj);
    }
    return done;
}

const hx_svm_ops HX_CAT(hx_svm_, HX_ISA) = {
    HX_STR(HX_ISA),
    {find_own_f32, pack_rows_f32, pack_tile_f32, block_f32, values_f32, sizeof(float)},
    {find_own_f64, pack_rows_f64, pack_tile_f64, block_f64, values_f64, sizeof(double)},
    add_f32, add_f64, smo,
};
