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

/* At most so many steps, all positions in each. */
static int64_t smo_steps(hx_smo *s, int64_t steps)
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
        if (!(s->violation > s->eps) || done >= steps) break;
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

/* Positions that may still move, as shrinking has it: those that are not kept at a bound by an f
 * outside of what violates. Whether there are some, and few enough to be worth it. */
static int smo_movable(const hx_smo *s, int32_t *which, int64_t count[2])
{
    look seen[2];
    int64_t total = 0;
    for (int g = 0; g < 2; g++) seen[g] = smo_look(s, g, 0, NULL, NULL);
    for (int g = 0; g < 2; g++) {
        double most = seen[g].most, least = seen[g].least;
        if (!s->apart) {
            most = most > seen[1 - g].most ? most : seen[1 - g].most;
            least = least < seen[1 - g].least ? least : seen[1 - g].least;
        }
        count[g] = 0;
        for (int64_t t = s->begin[g]; t < s->end[g]; t++) {
            const double f = s->f[t], b = s->b[t];
            if (s->lo[t] == s->hi[t] || (b == s->hi[t] && f > most) || (b == s->lo[t] && f < least))
                continue;
            which[total++] = (int32_t)t;
            count[g]++;
        }
    }
    return total > 0 && total + 16 <= s->end[1] / 2;
}

/* A quarter of all positions, to begin with: whether none has moved yet, and it is worth it. */
static int smo_sample(const hx_smo *s, int32_t *which, int64_t count[2])
{
    int64_t total = 0;
    if (s->end[1] < 256) return 0;
    for (int64_t t = 0; t < s->end[1]; t++)
        if (s->b[t] != 0) return 0;
    for (int g = 0; g < 2; g++) {
        count[g] = 0;
        for (int64_t t = s->begin[g]; t < s->end[g]; t += 4)
            if (s->lo[t] < s->hi[t]) {
                which[total++] = (int32_t)t;
                count[g]++;
            }
    }
    return total > 0;
}

/* Steps on some positions, copied together, to a tenth of the violation; then f of all gets the rows
 * of those that moved. */
static int64_t smo_on_few(hx_smo *s, const int32_t *which, const int64_t count[2], int64_t steps)
{
    hx_smo few = *s;
    const int64_t split = (count[0] + 7) / 8 * 8, ld = split + (count[1] + 7) / 8 * 8;
    double *arrays[7];
    for (int k = 0; k < 7; k++) {
        arrays[k] = s->room + k * s->end[1];
        memset(arrays[k], 0, (size_t)ld * sizeof(double));
    }
    double *lo = arrays[2], *hi = arrays[3], *diag = arrays[4];
    few.f = arrays[0], few.b = arrays[1], few.lo = lo, few.hi = hi, few.diag = diag;
    few.up = arrays[5], few.down = arrays[6];
    few.begin[0] = 0, few.end[0] = few.begin[1] = split, few.end[1] = ld;
    memset(s->few, 0, (size_t)(ld * ld) * sizeof(float));
    for (int g = 0; g < 2; g++)
        for (int h = 0; h < 2; h++) {
            few.K[g][h] = s->few + few.begin[g] * ld + few.begin[h];
            few.stride[g][h] = ld;
        }
    for (int g = 0; g < 2; g++)
        for (int64_t a = 0; a < count[g]; a++) {
            const int32_t t = which[g * count[0] + a];
            const int64_t at = few.begin[g] + a;
            few.f[at] = s->f[t];
            few.b[at] = s->b[t];
            lo[at] = s->lo[t];
            hi[at] = s->hi[t];
            diag[at] = s->diag[t];
            for (int h = 0; h < 2; h++) {
                const float *row = smo_row(s, t, h);
                float *to = s->few + at * ld + few.begin[h];
                const int32_t *columns = which + h * count[0];
                for (int64_t c = 0; c < count[h]; c++) to[c] = row[columns[c]];
            }
        }
    few.eps = s->eps > 0.1 * s->violation ? s->eps : 0.1 * s->violation;
    const int64_t done = smo_steps(&few, steps);
    for (int h = 0; h < 2; h++) {
        const float *rows[64];
        double change[64];
        int n = 0;
        for (int g = 0; g < 2; g++)
            for (int64_t a = 0; a < count[g]; a++) {
                const int32_t t = which[g * count[0] + a];
                const double moved = few.b[few.begin[g] + a] - s->b[t];
                if (moved != 0) {
                    rows[n] = smo_row(s, t, h) + s->begin[h];
                    change[n++] = -moved;
                }
                if (n == 64 || a + 1 == count[g]) {
                    add_f32(rows, change, n, s->end[h] - s->begin[h], s->f + s->begin[h]);
                    n = 0;
                }
            }
    }
    for (int g = 0; g < 2; g++)
        for (int64_t a = 0; a < count[g]; a++)
            s->b[which[g * count[0] + a]] = few.b[few.begin[g] + a];
    return done;
}

static int64_t smo(hx_smo *s)
{
    const int64_t burst = s->end[1] / 16 + 16;
    int64_t done = 0, count[2];
    s->violation = 1;
    if (smo_sample(s, s->which, count)) done += smo_on_few(s, s->which, count, s->steps);
    for (;;) {
        const int64_t left = s->steps - done, now = smo_steps(s, left < burst ? left : burst);
        done += now;
        if (!(s->violation > s->eps) || done >= s->steps || now == 0) return done;
        if (smo_movable(s, s->which, count)) done += smo_on_few(s, s->which, count, s->steps - done);
    }
}

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
    add_f32, add_f64, transpose, smo,
};
