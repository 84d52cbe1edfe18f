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
#define FINEST 1e-2     /* of eps: violations at which there is no more to be had for the gap */
#define NEW 192         /* positions that are worked on together, beside those between their bounds */
#define EVERY 8         /* steps from one look at the gap to the next */
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

/* Lane v of the result is lane v + n. */
#if HX_BYTES == 64
#define TURNED(x, n)                                                                              \
    __builtin_shuffle(x, (wide_mask){n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7})
#elif HX_BYTES == 32
#define TURNED(x, n) __builtin_shuffle(x, (wide_mask){n, n + 1, n + 2, n + 3})
#else
#define TURNED(x, n) __builtin_shuffle(x, (wide_mask){n, n + 1})
#endif

/* The largest of all lanes in each. */
static inline wide largest(wide x)
{
    _Pragma("GCC unroll 4") for (int n = WIDE / 2; n > 0; n /= 2)
    {
        const wide y = TURNED(x, n);
        x = pick(y > x, y, x);
    }
    return x;
}

/* The least `at` of the lanes that are marked. */
static inline int64_t first_of(wide_mask marked, wide_mask at)
{
    at = (marked & at) | (~marked & INT64_MAX);
    _Pragma("GCC unroll 4") for (int n = WIDE / 2; n > 0; n /= 2)
    {
        const wide_mask y = TURNED(at, n), less = y < at;
        at = (less & y) | (~less & at);
    }
    return at[0];
}

/* `up` is 0 where b may grow and -inf elsewhere, `down` 0 where it may fall and inf elsewhere. */
typedef struct {
    double most, least;     /* f of what may grow, of what may fall */
    int64_t at;             /* where the most is */
} look;

/* The row of position i in the columns of a part: at [t] for position t. */
static inline const float *smo_row(const hx_smo *s, int64_t i, int part)
{
    const int of = i >= s->begin[1];
    return s->K[of][part] + (i - s->begin[of]) * s->stride[of][part] - s->begin[part];
}

/* f of a part after a step that moves b by it at the row Ki, and by as much back at Kj. */
static look smo_look(const hx_smo *s, int part, double step, const float *Ki, const float *Kj)
{
    wide most = (wide){0} - HUGE_VAL, least = (wide){0} - HUGE_VAL;     /* least: of -f */
    wide_mask at = {0}, here = {0};
    if (s->begin[part] == s->end[part]) return (look){-HUGE_VAL, HUGE_VAL, -1};
    for (int v = 0; v < WIDE; v++) here[v] = s->begin[part] + v;
    for (int64_t t = s->begin[part]; t < s->end[part]; t += WIDE) {
        wide f = *(const wide *)(s->f + t);
        if (Ki) {
            f -= step * (doubles(Ki + t) - doubles(Kj + t));
            *(wide *)(s->f + t) = f;
        }
        const wide grows = f + *(const wide *)(s->up + t);
        const wide falls = -f - *(const wide *)(s->down + t);
        const wide_mask better = grows > most;
        most = pick(better, grows, most);
        at = (better & here) | (~better & at);
        least = pick(falls > least, falls, least);
        here += WIDE;
    }
    const wide top = largest(most);
    return (look){top[0], -largest(least)[0], top[0] > -HUGE_VAL ? first_of(most == top, at) : -1};
}

/* The best partner of i that there is: the gain is (f_i - f_j)^2 / (K_ii + K_jj - 2 K_ij), kept as a
 * fraction as long as many are compared. */
typedef struct {
    double gain;
    int64_t at;
} partner;

static void smo_partner(const hx_smo *s, int part, int64_t i, double f_i, partner *best)
{
    const float *Ki = smo_row(s, i, part);
    const double K_ii = s->diag[i];
    wide gain = {0}, size = (wide){0} + 1;
    wide_mask at = {0}, here = {0};
    if (s->begin[part] == s->end[part]) return;
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
    gain /= size;
    const wide top = largest(gain);
    if (top[0] > best->gain) *best = (partner){top[0], first_of(gain == top, at)};
}

static inline void smo_ends(hx_smo *s, int64_t t)
{
    s->up[t] = s->b[t] < s->hi[t] ? 0 : -HUGE_VAL;
    s->down[t] = s->b[t] > s->lo[t] ? 0 : HUGE_VAL;
}

/* Violation of a part, or of both. */
static double smo_violation(const hx_smo *s, const look seen[2], int *from)
{
    if (s->apart) {
        *from = seen[1].most - seen[1].least > seen[0].most - seen[0].least;
        return seen[*from].most - seen[*from].least;
    }
    *from = seen[1].most > seen[0].most;
    return seen[*from].most - (seen[0].least < seen[1].least ? seen[0].least : seen[1].least);
}

/* Whether the gap for intercepts in the middle of the violation is small enough. */
static int smo_reached(const hx_smo *s, const look seen[2])
{
    wide sum = {0};
    for (int g = 0; g < 2; g++) {
        double most = seen[g].most, least = seen[g].least;
        if (!s->apart) {
            most = most > seen[1 - g].most ? most : seen[1 - g].most;
            least = least < seen[1 - g].least ? least : seen[1 - g].least;
        }
        if (most == -HUGE_VAL) most = least;
        if (least == HUGE_VAL) least = most;
        if (most - least != most - least) continue;     /* nothing can move */
        const double c = most / 2 + least / 2;
        for (int64_t t = s->begin[g]; t < s->end[g]; t += WIDE) {
            const wide x = *(const wide *)(s->f + t) - c, b = *(const wide *)(s->b + t);
            sum += x * (pick(x > 0, *(const wide *)(s->hi + t), *(const wide *)(s->lo + t)) - b);
        }
    }
    double gap = 0;
    for (int v = 0; v < WIDE; v++) gap += sum[v];
    const double dual = fabs(s->objective), primal = fabs(s->objective + gap);
    return gap <= s->goal * (dual > primal ? dual : primal);
}

/* Whether the violation is small enough, and the gap: or there is no hope of it. */
static int smo_finished(const hx_smo *s, const look seen[2])
{
    return !(s->violation > s->eps)
        && (!(s->goal > 0) || !(s->violation > FINEST * s->eps) || smo_reached(s, seen));
}

/* At most so many steps, all positions in each. */
static int64_t smo_steps(hx_smo *s, int64_t steps)
{
    look seen[2];
    int64_t done = 0, again = 0;    /* when the gap is looked at next */
    s->finished = 0;
    for (int g = 0; g < 2; g++) {
        for (int64_t t = s->begin[g]; t < s->end[g]; t++) smo_ends(s, t);
        seen[g] = smo_look(s, g, 0, NULL, NULL);
    }
    for (;; done++) {
        int from;
        s->violation = smo_violation(s, seen, &from);
        if (!(s->violation > s->eps) && done >= again) {
            s->finished = smo_finished(s, seen);
            again = done + EVERY;
        }
        if (s->finished || done >= steps) break;
        const int64_t i = seen[from].at;
        partner best = {0, -1};
        for (int g = 0; g < 2; g++)
            if (!s->apart || g == from) smo_partner(s, g, i, seen[from].most, &best);
        const int64_t j = best.at;
        if (j < 0) break;
        double a = s->diag[i] + s->diag[j] - 2 * (double)smo_row(s, i, j >= s->begin[1])[j];
        if (!(a > 0)) a = 1e-12;
        const double slope = s->f[i] - s->f[j];
        double step = slope / a;
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
        s->objective += step * (slope - a * step / 2);
        smo_ends(s, i);
        smo_ends(s, j);
        for (int g = 0; g < 2; g++)
            seen[g] = smo_look(s, g, step, smo_row(s, i, g), smo_row(s, j, g));
    }
    return done;
}

/* Positions between their bounds, and those that violate most: those that may grow with an f in the
 * uppermost share `width` of the range of violation, and those that may fall in the lowest; up to
 * `limit` of each in a part. A width of 1 leaves out only what shrinking would, one of -1 has only
 * those between their bounds. */
static int64_t smo_choose(const hx_smo *s, const look seen[2], double width, int64_t limit,
                          int32_t *which, int64_t count[2])
{
    int64_t total = 0;
    for (int g = 0; g < 2; g++) {
        double most = seen[g].most, least = seen[g].least;
        if (!s->apart) {
            most = most > seen[1 - g].most ? most : seen[1 - g].most;
            least = least < seen[1 - g].least ? least : seen[1 - g].least;
        }
        const double from = most - width * (most - least), to = least + width * (most - least);
        int64_t up = 0, down = 0;
        for (int64_t t = s->begin[g]; t < s->end[g]; t++) {
            const double f = s->f[t];
            const int grows = s->b[t] < s->hi[t], falls = s->b[t] > s->lo[t];
            if (grows && (f >= from || falls) && up < limit) up++;
            else if (falls && (f <= to || grows) && down < limit) down++;
            else continue;
            which[total++] = (int32_t)t;
        }
        count[g] = up + down;
    }
    return total;
}

/* A quarter of all positions, to begin with. */
static int64_t smo_sample(const hx_smo *s, int32_t *which, int64_t count[2])
{
    int64_t total = 0;
    for (int g = 0; g < 2; g++) {
        count[g] = 0;
        for (int64_t t = s->begin[g]; t < s->end[g]; t += 4)
            if (s->lo[t] < s->hi[t]) {
                which[total++] = (int32_t)t;
                count[g]++;
            }
    }
    return total;
}

static void gather(const float *K, int64_t stride, const int32_t *rows, int64_t n_rows,
                   const int32_t *columns, int64_t n_columns, float *to, int64_t ld)
{
    for (int64_t a = 0; a < n_rows; a++) {
        const float *row = K + rows[a] * stride;
        for (int64_t c = 0; c < n_columns; c++) to[a * ld + c] = row[columns[c]];
    }
}

static void smo_block(const hx_smo *s, const int32_t *which, const int64_t count[2],
                      const hx_smo *few, float *K)
{
    for (int g = 0; g < 2; g++)
        for (int h = 0; h < 2; h++)
            gather(s->K[g][h] - s->begin[g] * s->stride[g][h] - s->begin[h], s->stride[g][h],
                   which + g * count[0], count[g], which + h * count[0], count[h],
                   K + few->begin[g] * few->end[1] + few->begin[h], few->end[1]);
}

/* Some positions, in ascending order, with what steps on them take together in one place. */
typedef struct {
    hx_smo job;
    int32_t *which;
    int64_t count[2], split, ld;
} subset;

static inline int64_t subset_at(const subset *few, int64_t k)
{
    return k < few->count[0] ? k : few->split + k - few->count[0];
}

static void smo_take(const hx_smo *s, subset *few)
{
    hx_smo *job = &few->job;
    few->split = (few->count[0] + 7) / 8 * 8;
    few->ld = few->split + (few->count[1] + 7) / 8 * 8;
    double *arrays[7];
    for (int k = 0; k < 7; k++) {
        arrays[k] = s->room + k * s->end[1];
        memset(arrays[k], 0, (size_t)few->ld * sizeof(double));
    }
    double *lo = arrays[2], *hi = arrays[3], *diag = arrays[4];
    *job = *s;
    job->f = arrays[0], job->b = arrays[1], job->lo = lo, job->hi = hi, job->diag = diag;
    job->up = arrays[5], job->down = arrays[6];
    job->begin[0] = 0, job->end[0] = job->begin[1] = few->split, job->end[1] = few->ld;
    for (int64_t k = 0; k < few->count[0] + few->count[1]; k++) {
        const int64_t t = few->which[k], at = subset_at(few, k);
        lo[at] = s->lo[t];
        hi[at] = s->hi[t];
        diag[at] = s->diag[t];
    }
    (s->block ? s->block : smo_block)(s, few->which, few->count, job, s->few);
    if (!s->apart) job->end[0] = job->begin[1] = few->ld;   /* one part is as good as two */
    for (int g = 0; g < 2; g++)
        for (int h = 0; h < 2; h++) {
            job->K[g][h] = s->few + job->begin[g] * few->ld + job->begin[h];
            job->stride[g][h] = few->ld;
        }
}

/* Steps on some positions; then f of all gets the rows of those that moved. */
static int64_t smo_on_few(hx_smo *s, subset *few, int32_t *moved, double eps, double goal,
                          int64_t steps)
{
    hx_smo *job = &few->job;
    const int64_t total = few->count[0] + few->count[1];
    int64_t count = 0;
    for (int64_t k = 0; k < total; k++) {
        const int64_t t = few->which[k], at = subset_at(few, k);
        job->f[at] = s->f[t];
        job->b[at] = s->b[t];
    }
    job->eps = eps, job->goal = goal, job->objective = s->objective;
    const int64_t done = smo_steps(job, steps);
    s->objective = job->objective;
    double *change = job->up;       /* not needed any more */
    for (int64_t k = 0; k < total; k++) {
        const int64_t t = few->which[k];
        const double b = job->b[subset_at(few, k)];
        if (b == s->b[t]) continue;
        change[count] = s->b[t] - b;
        moved[count++] = (int32_t)t;
        s->b[t] = b;
    }
    if (s->ready) s->ready(s, moved, count);
    for (int h = 0; h < 2; h++)
        for (int64_t r = 0; r < count; r += 64) {
            const float *rows[64];
            const int64_t n = count - r < 64 ? count - r : 64;
            for (int64_t k = 0; k < n; k++) rows[k] = smo_row(s, moved[r + k], h) + s->begin[h];
            add_f32(rows, change + r, n, s->end[h] - s->begin[h], s->f + s->begin[h]);
        }
    return done;
}

static void smo_all_looks(hx_smo *s, look seen[2])
{
    int from;
    for (int g = 0; g < 2; g++) {
        for (int64_t t = s->begin[g]; t < s->end[g]; t++) smo_ends(s, t);
        seen[g] = smo_look(s, g, 0, NULL, NULL);
    }
    s->violation = smo_violation(s, seen, &from);
}

/* A tenth of the violation, or what is wanted. */
static double smo_next(const hx_smo *s)
{
    return 0.1 * s->violation < 3 * s->eps ? s->eps : 0.1 * s->violation;
}

/* With all of K: some steps on all positions in turn with many on those that may still move, once
 * these are few. */
static int64_t smo_dense(hx_smo *s, int cold)
{
    const int64_t burst = s->end[1] / 16 + 16;
    int64_t done = 0;
    look seen[2];
    subset few = {.which = s->which};
    int32_t *moved = s->which + s->end[1];
    if (cold && smo_sample(s, few.which, few.count) <= s->most) {
        smo_take(s, &few);
        done += smo_on_few(s, &few, moved, s->eps > 0.1 ? s->eps : 0.1, 0, s->steps);
    }
    for (;;) {
        const int64_t left = s->steps - done, now = smo_steps(s, left < burst ? left : burst);
        done += now;
        if (s->finished || done >= s->steps || now == 0) return done;
        smo_all_looks(s, seen);
        const int64_t movable = smo_choose(s, seen, 1, s->end[1], few.which, few.count);
        if (movable <= s->most && movable + 16 <= s->end[1] / 2) {
            const double eps = smo_next(s);
            smo_take(s, &few);
            done += smo_on_few(s, &few, moved, eps, eps == s->eps ? s->goal : 0, s->steps - done);
        }
    }
}

/* Whether all of `wanted` are among `set`, and at least half of it; both ascend. */
static int smo_within(const int32_t *wanted, int64_t count, const int32_t *set, int64_t of)
{
    int64_t k = 0;
    if (2 * count < of || count > of) return 0;
    for (int64_t i = 0; i < count; i++, k++) {
        while (k < of && set[k] < wanted[i]) k++;
        if (k == of || set[k] != wanted[i]) return 0;
    }
    return 1;
}

/* With rows of K as they are needed: rounds on those that violate most. */
static int64_t smo_by_rows(hx_smo *s, int cold)
{
    int64_t done = 0, count[2];
    look seen[2];
    subset few = {.which = s->which};
    int32_t *chosen = s->which + s->end[1];
    for (;; cold = 0) {
        smo_all_looks(s, seen);
        s->finished = smo_finished(s, seen);
        if (s->finished || done >= s->steps) return done;
        double eps = smo_next(s), goal = eps == s->eps ? s->goal : 0;
        if (cold && smo_sample(s, chosen, count) <= s->most) {
            goal = 0;
        } else {
            double width = 1;
            int64_t most = smo_choose(s, seen, -1, s->most, chosen, count) + NEW;
            if (most > s->most) most = s->most;
            while (smo_choose(s, seen, width, s->most, chosen, count) > most && width > 1e-9)
                width *= 0.7;
            if (count[0] + count[1] > s->most)      /* too many between bounds, or of the same f */
                smo_choose(s, seen, width, s->most / 4, chosen, count);
            if (width < 1) goal = 0;
        }
        if (!smo_within(chosen, count[0] + count[1], few.which, few.count[0] + few.count[1])) {
            memcpy(few.which, chosen, (size_t)(count[0] + count[1]) * sizeof *chosen);
            few.count[0] = count[0], few.count[1] = count[1];
            smo_take(s, &few);
        }
        const int64_t now = smo_on_few(s, &few, chosen, eps, goal, s->steps - done);
        if (now == 0) return done;
        done += now;
    }
}

static int64_t smo(hx_smo *s)
{
    int cold = s->end[1] >= 256;
    for (int64_t t = 0; t < s->end[1] && cold; t++) cold = s->b[t] == 0;
    return s->block ? smo_by_rows(s, cold) : smo_dense(s, cold);
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
    add_f32, add_f64, gather, transpose, smo,
};
