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

/* `up` is 0 where b may grow and -inf elsewhere, `down` 0 where it may fall and inf elsewhere. */
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

/* The row of position i in the columns of a part: at [t] for position t. */
static inline const float *smo_row(const hx_smo *s, int64_t i, int part)
{
    const int of = i >= s->begin[1];
    return s->K[of][part] + (i - s->begin[of]) * s->stride[of][part] - s->begin[part];
}

/* f of a part after a step that moves b by it at the row Ki, and by as much back at Kj. */
static look smo_look(const hx_smo *s, int part, double step, const float *Ki, const float *Kj)
{
    wide most = (wide){0} - HUGE_VAL, least = (wide){0} + HUGE_VAL;
    wide_mask at = {0}, here = {0};
    for (int v = 0; v < WIDE; v++) here[v] = s->begin[part] + v;
    for (int64_t t = s->begin[part]; t < s->end[part]; t += WIDE) {
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

/* The best partner of i that there is: the gain is (f_i - f_j)^2 / (K_ii + K_jj - 2 K_ij), kept as a
 * fraction, without division. */
typedef struct {
    double gain, size;
    int64_t at;
} partner;

static inline int gains_more(double gain, double size, int64_t at, const partner *than)
{
    const double x = gain * than->size, y = than->gain * size;
    return gain > 0 && (x > y || (x == y && than->at >= 0 && at < than->at));
}

static void smo_partner(const hx_smo *s, int part, int64_t i, double f_i, partner *best)
{
    const float *Ki = smo_row(s, i, part);
    const double K_ii = s->diag[i];
    wide gain = {0}, size = (wide){0} + 1;
    wide_mask at = {0}, here = {0};
    for (int v = 0; v < WIDE; v++) here[v] = s->begin[part] + v;
    for (int64_t t = s->begin[part]; t < s->end[part]; t += WIDE) {
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
    for (int v = 0; v < WIDE; v++)
        if (gains_more(gain[v], size[v], at[v], best)) {
            best->gain = gain[v];
            best->size = size[v];
            best->at = at[v];
        }
}

static inline void smo_ends(hx_smo *s, int64_t t)
{
    s->up[t] = s->b[t] < s->hi[t] ? 0 : -HUGE_VAL;
    s->down[t] = s->b[t] > s->lo[t] ? 0 : HUGE_VAL;
}

static int64_t smo(hx_smo *s)
{
    look seen[2];
    int64_t done = 0;
    for (int g = 0; g < 2; g++) {
        for (int64_t t = s->begin[g]; t < s->end[g]; t++) smo_ends(s, t);
        seen[g] = smo_look(s, g, 0, NULL, NULL);
    }
    for (;; done++) {
        int from = seen[1].most > seen[0].most, only = -1;
        if (s->apart) {
            from = seen[1].most - seen[1].least > seen[0].most - seen[0].least;
            only = from;
            s->violation = seen[from].most - seen[from].least;
        } else {
            const double least = seen[0].least < seen[1].least ? seen[0].least : seen[1].least;
            s->violation = seen[from].most - least;
        }
        if (!(s->violation > s->eps) || done >= s->steps) break;
        const int64_t i = seen[from].at;
        partner best = {0, 1, -1};
        for (int g = 0; g < 2; g++)
            if (only < 0 || g == only) smo_partner(s, g, i, seen[from].most, &best);
        const int64_t j = best.at;
        if (j < 0) break;
        double a = s->diag[i] + s->diag[j] - 2 * (double)smo_row(s, i, j >= s->begin[1])[j];
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
        for (int g = 0; g < 2; g++)
            seen[g] = smo_look(s, g, step, smo_row(s, i, g), smo_row(s, j, g));
    }
    return done;
}

const hx_svm_ops HX_CAT(hx_svm_, HX_ISA) = {
    HX_STR(HX_ISA),
    {find_own_f32, pack_rows_f32, pack_tile_f32, block_f32, values_f32, sizeof(float)},
    {find_own_f64, pack_rows_f64, pack_tile_f64, block_f64, values_f64, sizeof(double)},
    add_f32, add_f64, smo,
};
