/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Where a convex sum of margin losses phi, plus a parabola, is least: the point s with
 *
 *     0 in  phi'(s) + r s - q,      r >= 0
 *
 * With r > 0 it is the proximal point of phi at q / r, with r = 0 it is where the supremum of the
 * conjugate phi*(q) = sup_s (q s - phi(s)) is attained, or approached. Kinks are tried first, so
 * that they are hit exactly; between them Newton's method runs inside a bracket. To be included
 * after margin_losses.h, which can be included only once.
 */
#ifndef HX_MARGIN_PROX_H
#define HX_MARGIN_PROX_H

#include "losses.h"

typedef double hx_margin_function(double t, double a, double b);

#define X(NAME) hx_##NAME##_value_f64,
static hx_margin_function *const hx_margin_values[] = {HX_MARGIN_LOSSES(X)};
#undef X
#define X(NAME) hx_##NAME##_slope_f64,
static hx_margin_function *const hx_margin_slopes[] = {HX_MARGIN_LOSSES(X)};
#undef X
#define X(NAME) hx_##NAME##_curvature_f64,
static hx_margin_function *const hx_margin_curvatures[] = {HX_MARGIN_LOSSES(X)};
#undef X

/* coef-weighted sum of one of the tables above */
static inline double hx_margin_sum(hx_margin_function *const *table, const hx_term *terms, int count,
                                   double t)
{
    double total = 0;
    for (int k = 0; k < count; k++)
        total += terms[k].coef * table[terms[k].loss](t, terms[k].a, terms[k].b);
    return total;
}

/* A kink of phi: where it is, and phi' to its left and right. */
typedef struct {
    double at, left, right;
} hx_kink;

#define HX_PROX_FAR 1e5 /* a supremum at infinity is as good as reached here */

/* The point s; `guess` is where to begin, *kinked tells whether s is a kink. */
static inline double hx_margin_prox(const hx_term *terms, int count, const hx_kink *kinks, int bends,
                                    double r, double q, double guess, int *kinked)
{
    double low = -HUGE_VAL, high = HUGE_VAL, s = guess, step = 1;
    *kinked = 0;
    for (int k = 0; k < bends; k++) {
        const double at = kinks[k].at;
        if (kinks[k].left + r * at > q) {
            if (at < high) high = at;
        } else if (kinks[k].right + r * at < q) {
            if (at > low) low = at;
        } else {
            *kinked = 1;
            return at;
        }
    }
    if (!(s > low && s < high)) {
        if (low > -HUGE_VAL && high < HUGE_VAL)
            s = low + (high - low) / 2;
        else
            s = low > -HUGE_VAL ? low + 1 : (high < HUGE_VAL ? high - 1 : 0);
    }
    for (int turn = 0; turn < 200; turn++) {
        const double g = hx_margin_sum(hx_margin_slopes, terms, count, s) + r * s - q;
        const double h = hx_margin_sum(hx_margin_curvatures, terms, count, s) + r;
        double next;
        if (g == 0 || g != g) return s;
        if (g > 0)
            high = s;
        else
            low = s;
        next = h > 0 ? s - g / h : (g > 0 ? -HUGE_VAL : HUGE_VAL);
        if (!(next > low && next < high)) {
            if (low > -HUGE_VAL && high < HUGE_VAL) {
                next = low + (high - low) / 2;
            } else {
                next = g > 0 ? s - step : s + step;
                step *= 2;
            }
        } else if (hx_abs(next - s) > 4 * step) { /* a flat place sends Newton's step too far */
            next = next > s ? s + 4 * step : s - 4 * step;
            step *= 4;
        }
        if (hx_abs(next - s) <= 4e-16 * hx_abs(s) || hx_abs(next) > HX_PROX_FAR * (1 + hx_abs(guess)))
            return next > low && next < high ? next : s;
        s = next;
    }
    return s;
}

#endif
