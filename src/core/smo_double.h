/* SPDX-License-Identifier: BSD-3-Clause
 *
 * SMO in double precision on a dense block of kernel values that is all there:
 *
 *     max_b  D = p'b - 1/2 b'Kb,   lo <= b <= hi,   sum of b (or both sums, see `apart`) as given
 *
 * Variables stand in two parts, [0, split) and [split, m); the second may be empty. There are n = m
 * examples, or m = 2 n: variables v and n + v are then both of example v, and split is n. K is that
 * of the n examples, symmetric, row e at K + e ld. Parts are `apart` where each keeps its own sum of
 * b and has its own intercept, as problems with a nu need it; else there is one sum of all. Bounds
 * may be infinite.
 *
 * With f = p - Kb (minus the gradient), the violation is the largest f_i - f_j of an i that may grow
 * and a j that may fall in the same sum. The gap, for the best intercepts c, is the sum over
 * variables of x (hi - b) for x = f - c > 0 and x (lo - b) for x < 0; P = D + gap.
 *
 * A step moves the pair of the largest f_i and of the j that promises the most (Fan, Chen & Lin,
 * "Working set selection using second order information", JMLR 6, 2005), in O(m). Now and then, if
 * there is workspace for it, a step goes to the optimum of all variables between their bounds, or as far
 * as bounds let it: that takes a Cholesky decomposition, and few such steps are enough where many of
 * two variables would be needed. Once the violation
 * is small enough f is found anew from b, so that no error of the steps stays in it; what is
 * reported is of that f. If then the gap is too large, the steps go on to a smaller violation.
 *
 * Use: set the fields that are marked `in`, then call hx_smo_double_run, again and again for as long
 * as the status is HX_SMO_STEPS, with more steps each time. Loops are plain C that compilers turn into
 * vectors; nothing is allocated, and nothing depends on threads.
 */
#ifndef HX_SMO_DOUBLE_H
#define HX_SMO_DOUBLE_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

enum { HX_SMO_CONVERGED, HX_SMO_STEPS, HX_SMO_STALLED, HX_SMO_UNBOUNDED };

#define HX_SMO_WORK 6           /* doubles of workspace for each variable */
#define HX_SMO_AIM 0.99         /* share of eps that steps go on to */
#define HX_SMO_CLOSER 0.1       /* violation to aim at, at least, where the gap was too large */
#define HX_SMO_LEAST 16         /* roundings of f that a violation may come to */
#define HX_SMO_FLAT 4e-16       /* curvature, relative to the diagonal, that counts as none */
#define HX_SMO_ATTEMPTS 4       /* times that a fresh f may show no progress */
#define HX_SMO_SHORT 24         /* keys that are sorted by insertion */
#define HX_SMO_PIVOT 1e-9       /* share of a diagonal element that a pivot must keep */
#define HX_SMO_AT_BOUND 4       /* roundings of the sum of |b| that a b at its bound may be off */
#define HX_SMO_CUT 4            /* steps of all free variables, one after another, that bounds cut */

typedef struct hx_smo_double {
    /* in */
    int64_t m, n, split, ld;
    int apart;
    int hard;               /* p = y and no upper bounds: the gap is that of the scaled hard margin */
    const double *K, *p, *lo, *hi;
    double *b;              /* in: within its bounds and with its sums; out: the solution */
    double *f;              /* out: m values, p - Kb found anew from b */
    double *work;           /* HX_SMO_WORK m doubles, aligned to 8 */
    double eps;             /* violation to reach */
    double goal;            /* relative gap to reach as well; 0: the violation alone counts */
    int64_t steps;          /* most steps of this call */
    double *factor;         /* (free + 3) free doubles for steps of up to `free` variables, or NULL */
    int64_t free;
    /* out */
    int64_t done;           /* steps of this call */
    int status;
    double violation, gap;
    double objective;       /* D, or that of the scaled hard margin */
    double square;          /* b'Kb */
    double floor;           /* without p: objectives below it are rounding; else 0 */
    double rounding;        /* of an f: DBL_EPSILON (max |p| + max K_ee sum of |b|) */
    double c[2];            /* intercepts of the parts; the same one unless they are apart */
    /* kept from call to call, 0 at first */
    double aim;
    /* inside */
    double most[2], least[2];   /* f of what may grow, of what may fall, by part */
    int64_t at[2];              /* where the most is, or -1 */
} hx_smo_double;

typedef struct { double key; int64_t at; } hx_smo_kink;

static inline const double *hx_smo_row(const hx_smo_double *s, int64_t v)
{
    return s->K + (v < s->n ? v : v - s->n) * s->ld;
}

static inline int64_t hx_smo_begin(const hx_smo_double *s, int part) { return part ? s->split : 0; }
static inline int64_t hx_smo_end(const hx_smo_double *s, int part)
{
    return part ? s->m : s->split;
}

/* Column of the first variable of a part. */
static inline int64_t hx_smo_column(const hx_smo_double *s, int part)
{
    return part && s->split < s->n ? s->split : 0;
}

/* up: 0 where b may grow, -inf elsewhere. down: 0 where b may fall, inf elsewhere. */
static inline void hx_smo_ends(const hx_smo_double *s, int64_t v)
{
    s->work[v] = s->b[v] < s->hi[v] ? 0 : -HUGE_VAL;
    s->work[s->m + v] = s->b[v] > s->lo[v] ? 0 : HUGE_VAL;
}

#ifdef HX_SMO_VECTORS
#include "smo_vectors.h"
#else
/* f -= step (Ki - Kj) over a part, with the largest f + up and the least f + down. */
static void hx_smo_move(hx_smo_double *s, int part, double step, const double *restrict Ki,
                        const double *restrict Kj)
{
    const int64_t begin = hx_smo_begin(s, part), n = hx_smo_end(s, part) - begin;
    double *restrict f = s->f + begin;
    const double *restrict up = s->work + begin, *restrict down = s->work + s->m + begin;
    double most[4], least[4];
    int64_t t = 0;
    Ki += hx_smo_column(s, part);
    Kj += hx_smo_column(s, part);
    for (int k = 0; k < 4; k++) most[k] = -HUGE_VAL, least[k] = HUGE_VAL;
    for (; t + 4 <= n; t += 4)
        for (int k = 0; k < 4; k++) {
            const double x = f[t + k] - step * (Ki[t + k] - Kj[t + k]);
            const double above = x + up[t + k], below = x + down[t + k];
            f[t + k] = x;
            most[k] = above > most[k] ? above : most[k];
            least[k] = below < least[k] ? below : least[k];
        }
    for (; t < n; t++) {
        const double x = f[t] - step * (Ki[t] - Kj[t]);
        const double above = x + up[t], below = x + down[t];
        f[t] = x;
        most[0] = above > most[0] ? above : most[0];
        least[0] = below < least[0] ? below : least[0];
    }
    for (int k = 1; k < 4; k++) {
        most[0] = most[k] > most[0] ? most[k] : most[0];
        least[0] = least[k] < least[0] ? least[k] : least[0];
    }
    s->most[part] = most[0];
    s->least[part] = least[0];
    s->at[part] = -1;
    for (t = 0; t < n && s->at[part] < 0; t++)
        if (f[t] + up[t] == most[0] && most[0] > -HUGE_VAL) s->at[part] = begin + t;
}

/* The best partner of i in a part, which promises more than *best, or -1. */
static int64_t hx_smo_partner(hx_smo_double *s, int part, int64_t i, double *best)
{
    const int64_t begin = hx_smo_begin(s, part), n = hx_smo_end(s, part) - begin;
    const double *restrict f = s->f + begin, *restrict down = s->work + s->m + begin;
    const double *restrict diag = s->work + 2 * s->m + begin;
    const double *restrict Ki = hx_smo_row(s, i) + hx_smo_column(s, part);
    double *restrict gain = s->work + 3 * s->m + begin;
    const double f_i = s->f[i], K_ii = s->work[2 * s->m + i];
    double most[4] = {0, 0, 0, 0};
    int64_t t = 0;
#define HX_SMO_GAIN(t, k)                                                                          \
    do {                                                                                           \
        double x = f_i - f[t] - down[t];                                                           \
        const double both = K_ii + diag[t], flat = HX_SMO_FLAT * both + 1e-290;                    \
        double size = both - 2 * Ki[t];                                                            \
        x = x > 0 ? x : 0;                                                                         \
        size = size > flat ? size : flat;                                                          \
        gain[t] = x * (x / size);                                                                  \
        most[k] = gain[t] > most[k] ? gain[t] : most[k];                                           \
    } while (0)
    for (; t + 4 <= n; t += 4)
        for (int k = 0; k < 4; k++) HX_SMO_GAIN(t + k, k);
    for (; t < n; t++) HX_SMO_GAIN(t, 0);
#undef HX_SMO_GAIN
    for (int k = 1; k < 4; k++) most[0] = most[k] > most[0] ? most[k] : most[0];
    if (!(most[0] > *best)) return -1;
    *best = most[0];
    for (t = 0; t < n; t++)
        if (gain[t] == most[0]) return begin + t;
    return -1;
}
#endif

/* Violation, and the part that has the largest f which may grow, of the sum that it is of. */
static double hx_smo_violation(const hx_smo_double *s, int *from)
{
    const double first = s->most[0] - s->least[0], second = s->most[1] - s->least[1];
    if (s->apart) {
        *from = second > first;
        return *from ? second : first;
    }
    *from = s->most[1] > s->most[0];
    return s->most[*from] - (s->least[0] < s->least[1] ? s->least[0] : s->least[1]);
}

static void hx_smo_look(hx_smo_double *s)
{
    for (int64_t v = 0; v < s->m; v++) hx_smo_ends(s, v);
    for (int part = 0; part < 2; part++) hx_smo_move(s, part, 0, s->K, s->K);
}

/* f = p - Kb, anew, by rows of those with a b. */
static void hx_smo_refresh(hx_smo_double *s)
{
    double *restrict f = s->f;
    const int64_t n = s->n;
    for (int64_t v = 0; v < s->m; v++) f[v] = 0;
    for (int64_t e = 0; e < n; e++) {
        const double b = s->b[e] + (s->m > n ? s->b[n + e] : 0);
        const double *restrict row = s->K + e * s->ld;
        if (b == 0) continue;
        for (int64_t t = 0; t < n; t++) f[t] += b * row[t];
    }
    for (int64_t v = s->m - 1; v >= 0; v--) f[v] = s->p[v] - f[v < n ? v : v - n];
    hx_smo_look(s);
}

/* Move b_i up and b_j down by the step, or as far as bounds let them; the step that it came to. */
static double hx_smo_pair(hx_smo_double *s, int64_t i, int64_t j, double step)
{
    const double space_i = s->hi[i] - s->b[i], space_j = s->b[j] - s->lo[j];
    if (step >= space_i || step >= space_j) {
        if (space_i <= space_j) {
            step = space_i;
            s->b[j] = space_i == space_j ? s->lo[j] : s->b[j] - step;
            s->b[i] = s->hi[i];
        } else {
            step = space_j;
            s->b[i] += step;
            s->b[j] = s->lo[j];
        }
    } else {
        s->b[i] += step;
        s->b[j] -= step;
    }
    hx_smo_ends(s, i);
    hx_smo_ends(s, j);
    return step;
}

/* Put each b on the bound from which only rounding keeps it.
 *
 * Steps keep the sum of b to rounding, so that a b which belongs at its bound can end a few bits short
 * of it. It would count as one that may still move, and would hold the intercept at its own f. */
static void hx_smo_snap(hx_smo_double *s)
{
    double length = 0;
    for (int64_t v = 0; v < s->m; v++) length += fabs(s->b[v]);
    const double near = HX_SMO_AT_BOUND * DBL_EPSILON * length;
    if (!(near > 0 && near < HUGE_VAL)) return;
    for (int64_t v = 0; v < s->m; v++) {
        const double up = s->hi[v] - s->b[v], down = s->b[v] - s->lo[v];
        if (up <= near && up <= down) s->b[v] = s->hi[v];
        else if (down <= near) s->b[v] = s->lo[v];
    }
}

/* K of two variables. */
static inline double hx_smo_value(const hx_smo_double *s, int64_t v, int64_t w)
{
    return hx_smo_row(s, v)[w < s->n ? w : w - s->n];
}

/* The direction to the optimum of `count` variables list[] of which list[ref[k]] gives what k takes:
 * by Cholesky's decomposition of what is left of K, in place; 0 if that is not positive definite. */
static int hx_smo_direction(const hx_smo_double *s, const double *list, const double *ref,
                            int64_t count, double *H, double *d)
{
    for (int64_t a = 0; a < count; a++) {
        const int64_t v = (int64_t)list[a], r = (int64_t)ref[a];
        double sum = s->f[v] - s->f[r];
        for (int64_t b = 0; b <= a; b++) {
            const int64_t w = (int64_t)list[b], q = (int64_t)ref[b];
            double x = (hx_smo_value(s, v, w) - hx_smo_value(s, v, q))
                - (hx_smo_value(s, r, w) - hx_smo_value(s, r, q));
            const double own = x;
            for (int64_t c = 0; c < b; c++) x -= H[a * count + c] * H[b * count + c];
            if (b < a) {
                H[a * count + b] = x / H[b * count + b];
                sum -= H[a * count + b] * d[b];
                continue;
            }
            if (!(x > HX_SMO_PIVOT * own && own > 0)) return 0;
            H[a * count + a] = sqrt(x);
        }
        d[a] = sum / H[a * count + a];
    }
    for (int64_t a = count - 1; a >= 0; a--) {
        double x = d[a];
        for (int64_t c = a + 1; c < count; c++) x -= H[c * count + a] * d[c];
        d[a] = x / H[a * count + a];
    }
    return 1;
}

/* A step of all variables between their bounds: 2 to the optimum, 1 cut by a bound, 0 none. */
static int hx_smo_leap(hx_smo_double *s)
{
    double *list = s->factor, *ref = list + s->free, *d = ref + s->free, *H = d + s->free;
    int64_t first[2] = {-1, -1}, count = 0;
    for (int64_t v = 0; v < s->m; v++) {
        const int group = s->apart && v >= s->split;
        if (!(s->lo[v] < s->b[v] && s->b[v] < s->hi[v])) continue;
        if (first[group] < 0) {
            first[group] = v;
            continue;
        }
        if (count + 2 >= s->free) return 0;
        list[count] = (double)v;
        ref[count++] = (double)first[group];
    }
    if (count < 2 || !hx_smo_direction(s, list, ref, count, H, d)) return 0;
    double give[2] = {0, 0}, step = 1;
    for (int64_t a = 0; a < count; a++) give[(int64_t)ref[a] != first[0]] -= d[a];
    int64_t last = -1;
    for (int64_t a = 0; a < count + 2; a++) {
        const int64_t v = a < count ? (int64_t)list[a] : first[a - count];
        const double x = a < count ? d[a] : give[a - count];
        if (v < 0 || x == 0) continue;
        const double far = ((x > 0 ? s->hi[v] : s->lo[v]) - s->b[v]) / x;
        if (far < step) step = far, last = a;
    }
    for (int64_t a = 0; a < count + 2; a++) {
        const int64_t v = a < count ? (int64_t)list[a] : first[a - count];
        const double x = a < count ? d[a] : give[a - count], before = v < 0 ? 0 : s->b[v];
        if (v < 0 || x == 0) continue;
        double b = before + step * x;
        if (a == last || b > s->hi[v] || b < s->lo[v]) b = x > 0 ? s->hi[v] : s->lo[v];
        s->b[v] = b;
        const double *row = hx_smo_row(s, v), moved = b - before;
        for (int64_t t = 0; t < s->n; t++) s->f[t] -= moved * row[t];
        for (int64_t t = s->n; t < s->m; t++) s->f[t] -= moved * row[t - s->n];
    }
    hx_smo_look(s);
    return last < 0 ? 2 : 1;
}

/* Steps until the violation is eps, or as many as are left; the status. */
static int hx_smo_walk(hx_smo_double *s, double eps)
{
    int64_t pause = s->m / 2 > 4 ? s->m / 2 : 4, next = s->done + pause;
    int cut = 0, from;
    for (;;) {
        const double violation = hx_smo_violation(s, &from);
        if (!(violation > eps)) return HX_SMO_CONVERGED;
        if (s->done >= s->steps) return HX_SMO_STEPS;
        if (s->factor && s->done >= next) {
            const int leapt = hx_smo_leap(s);
            s->done += leapt > 0;
            cut = leapt == 1 ? cut + 1 : 0;
            if (leapt != 1 || cut >= HX_SMO_CUT) {
                if (leapt == 0) pause *= 2;
                next = s->done + pause;
                cut = 0;
            }
            if (leapt) continue;
        }
        const int64_t i = s->at[from];
        int64_t j = -1;
        if (i < 0) return HX_SMO_STALLED;           /* no numbers */
        double best = 0;
        for (int part = 0; part < 2; part++) {
            if (s->apart && part != from) continue;
            const int64_t found = hx_smo_partner(s, part, i, &best);
            if (found >= 0) j = found;
        }
        if (j < 0) return HX_SMO_STALLED;
        const double *Ki = hx_smo_row(s, i), *Kj = hx_smo_row(s, j);
        const double both = s->work[2 * s->m + i] + s->work[2 * s->m + j];
        const double flat = HX_SMO_FLAT * both + 1e-290, before_i = s->b[i], before_j = s->b[j];
        double size = both - 2 * Ki[j < s->n ? j : j - s->n];
        size = size > flat ? size : flat;
        const double step = hx_smo_pair(s, i, j, (s->f[i] - s->f[j]) / size);
        if (!(fabs(s->b[i]) + fabs(s->b[j]) < HUGE_VAL)) {
            s->b[i] = before_i;
            s->b[j] = before_j;
            return HX_SMO_UNBOUNDED;
        }
        if (s->b[i] == before_i && s->b[j] == before_j) return HX_SMO_STALLED;
        s->done++;
        for (int part = 0; part < 2; part++) hx_smo_move(s, part, step, Ki, Kj);
    }
}

static int hx_smo_by_key(const void *x, const void *y)
{
    const hx_smo_kink *a = (const hx_smo_kink *)x, *b = (const hx_smo_kink *)y;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

static void hx_smo_sort(hx_smo_kink *list, int64_t count)
{
    if (count > HX_SMO_SHORT) {
        qsort(list, (size_t)count, sizeof *list, hx_smo_by_key);
        return;
    }
    for (int64_t k = 1; k < count; k++) {
        const hx_smo_kink x = list[k];
        int64_t r = k;
        for (; r > 0 && hx_smo_by_key(&list[r - 1], &x) > 0; r--) list[r] = list[r - 1];
        list[r] = x;
    }
}

/* The c of the least gap, of variables begin..end-1, or the middle of all such c. The gap is convex
 * and piecewise linear in c, with kinks where c passes an f; outside of [least, most] it only grows. */
static double hx_smo_intercept(const hx_smo_double *s, int64_t begin, int64_t end, double most,
                               double least)
{
    hx_smo_kink *kinks = (hx_smo_kink *)(s->work + 4 * s->m);
    int64_t count = 0;
    double slope = 0, length = 0;
    if (most == -HUGE_VAL && least == HUGE_VAL) return 0;
    if (most <= least) {
        if (least == HUGE_VAL) return most;
        return most == -HUGE_VAL ? least : most / 2 + least / 2;
    }
    for (int64_t v = begin; v < end; v++)
        if (least <= s->f[v] && s->f[v] <= most && s->lo[v] < s->hi[v]) {
            kinks[count].key = s->f[v];
            kinks[count++].at = v;
            slope -= s->hi[v] - s->b[v];
            length += s->hi[v] - s->lo[v];
        }
    if (slope == -HUGE_VAL) return most / 2 + least / 2;
    hx_smo_sort(kinks, count);
    /* A sum of bounds that is 0 comes out as its rounding error. */
    const double none = HX_SMO_AT_BOUND * DBL_EPSILON * length;
    double begin_of_flat = HUGE_VAL;
    for (int64_t k = 0; k < count; k++) {
        slope += s->hi[kinks[k].at] - s->lo[kinks[k].at];
        if (slope < -none) continue;
        if (begin_of_flat == HUGE_VAL) begin_of_flat = kinks[k].key;
        if (slope > none || k + 1 == count) return begin_of_flat / 2 + kinks[k].key / 2;
    }
    return most;
}

/* Objective, gap and intercepts of a hard margin: every y_i (w.x_i + c) >= 1 counts. */
static void hx_smo_certify_hard(hx_smo_double *s, double linear)
{
    double least = HUGE_VAL, most = -HUGE_VAL;
    for (int64_t v = 0; v < s->m; v++) {
        const double score = s->p[v] - s->f[v];
        if (s->p[v] > 0 && score < least) least = score;
        if (s->p[v] < 0 && score > most) most = score;
    }
    const double margin = least / 2 - most / 2;
    s->c[0] = s->c[1] = -(least / 2 + most / 2);
    s->objective = s->square > 0 ? linear * (linear / (2 * s->square)) : 0;
    s->gap = HUGE_VAL;
    if (margin > 0) {
        s->gap = s->square / (2 * margin * margin) - s->objective;
        if (s->gap < 0) s->gap = 0;
    }
}

/* Best intercepts, objective and gap for b and f, which is fresh. */
static void hx_smo_certify(hx_smo_double *s)
{
    double linear = 0, quadratic = 0, gap = 0, length = 0, largest = 0, p = 0;
    if (s->apart) {
        for (int part = 0; part < 2; part++)
            s->c[part] = hx_smo_intercept(s, hx_smo_begin(s, part), hx_smo_end(s, part),
                                          s->most[part], s->least[part]);
    } else {
        const double most = s->most[0] > s->most[1] ? s->most[0] : s->most[1];
        const double least = s->least[0] < s->least[1] ? s->least[0] : s->least[1];
        s->c[0] = s->c[1] = hx_smo_intercept(s, 0, s->m, most, least);
    }
    for (int64_t v = 0; v < s->m; v++) {
        const double b = s->b[v], x = s->f[v] - s->c[v >= s->split];
        const double own = s->work[2 * s->m + v];
        largest = own > largest ? own : largest;
        p = fabs(s->p[v]) > p ? fabs(s->p[v]) : p;
        length += fabs(b);
        if (s->lo[v] == s->hi[v]) continue;
        linear += s->p[v] * b;
        quadratic += (s->p[v] - s->f[v]) * b;
        if (x > 0 && b < s->hi[v]) gap += x * (s->hi[v] - b);
        else if (x < 0 && b > s->lo[v]) gap += x * (s->lo[v] - b);
    }
    s->objective = linear - quadratic / 2;
    s->square = quadratic;
    s->gap = gap;
    /* Without p objectives may be 0: the least of which rounding hides a fifth of the goal. */
    s->floor = 0;
    if (p == 0 && s->goal > 0)
        s->floor = 2.5 * DBL_EPSILON / s->goal * length * length * largest;
    s->rounding = DBL_EPSILON * (p + length * largest);
    if (s->hard) hx_smo_certify_hard(s, linear);
}

/* The gap relative to the larger objective, or to what cancels in it. */
static double hx_smo_relative(const hx_smo_double *s)
{
    const double D = fabs(s->objective), P = fabs(s->objective + s->gap);
    double size = D > P ? D : P;
    if (!(s->gap > 0)) return s->gap == s->gap ? 0 : HUGE_VAL;
    size = s->floor > size ? s->floor : size;
    return s->gap / (size > 1e-300 ? size : 1e-300);
}

/* Solve; sets the status, which it returns, and the certificate that belongs to b and f. */
static int hx_smo_double_run(hx_smo_double *s)
{
    double best = HUGE_VAL;
    int attempts = 0, from;
    for (int64_t v = 0; v < s->m; v++)
        s->work[2 * s->m + v] = hx_smo_row(s, v)[v < s->n ? v : v - s->n];
    if (!(s->aim > 0)) s->aim = HX_SMO_AIM * s->eps;
    s->done = 0;
    hx_smo_snap(s);
    hx_smo_refresh(s);
    for (;;) {
        const int64_t before = s->done;
        s->status = hx_smo_walk(s, s->aim);
        if (s->done > before) {
            hx_smo_snap(s);
            hx_smo_refresh(s);
        }
        s->violation = hx_smo_violation(s, &from);
        hx_smo_certify(s);
        const int small = !(s->goal > 0) || hx_smo_relative(s) <= s->goal;
        if (s->violation <= s->eps && small) return s->status = HX_SMO_CONVERGED;
        if (s->status != HX_SMO_CONVERGED) return s->status;
        if (s->violation > s->aim) {        /* that of the f before was wrong */
            attempts = s->violation < 0.9 * best ? 0 : attempts + 1;
            best = s->violation < best ? s->violation : best;
            if (attempts > HX_SMO_ATTEMPTS) return s->status = HX_SMO_STALLED;
            continue;
        }
        const double finest = HX_SMO_LEAST * s->rounding;
        if (s->aim <= finest) return s->status = HX_SMO_STALLED;
        /* The gap falls about as the violation does. */
        double share = 0.9 * s->goal / hx_smo_relative(s);
        share = share > HX_SMO_CLOSER ? share : HX_SMO_CLOSER;
        s->aim *= share < 0.7 ? share : 0.7;
        if (s->aim < finest) s->aim = finest;
    }
}

#endif
