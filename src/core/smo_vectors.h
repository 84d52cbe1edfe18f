/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The two loops of smo_double.h with vectors, included by it in svm_ops.c after svm_smo.h.
 */

/* f -= step (Ki - Kj) over a part, with the largest f + up and the least f + down. */
static void hx_smo_move(hx_smo_double *s, int part, double step, const double *Ki,
                        const double *Kj)
{
    const int64_t begin = hx_smo_begin(s, part), n = hx_smo_end(s, part) - begin;
    double *f = s->f + begin;
    const double *up = s->work + begin, *down = s->work + s->m + begin;
    const lanes none = {filled(-HUGE_VAL), filled(-HUGE_VAL), {0}};
    lanes L = none;
    look seen = {-HUGE_VAL, HUGE_VAL, -1};
    whole here = from(0);
    int64_t t = 0;
    Ki += hx_smo_column(s, part);
    Kj += hx_smo_column(s, part);
    for (; t + WIDE <= n; t += WIDE, here += WIDE) {
        const wide x = at(f + t) - step * (at(Ki + t) - at(Kj + t));
        *(wide *)(f + t) = x;
        look_at(&L, x, at(up + t), at(down + t), here);
    }
    if (t > 0) seen = looked(&L, &none);
    for (; t < n; t++) {
        f[t] -= step * (Ki[t] - Kj[t]);
        if (f[t] + up[t] > seen.most) seen.most = f[t], seen.at = t;
        if (f[t] + down[t] < seen.least) seen.least = f[t];
    }
    s->most[part] = seen.most;
    s->least[part] = seen.least;
    s->at[part] = seen.at < 0 ? -1 : begin + seen.at;
}

/* The best partner of i in a part, which promises more than *best, or -1. */
static int64_t hx_smo_partner(hx_smo_double *s, int part, int64_t i, double *best)
{
    const int64_t begin = hx_smo_begin(s, part), n = hx_smo_end(s, part) - begin;
    const double *f = s->f + begin, *down = s->work + s->m + begin;
    const double *diag = s->work + 2 * s->m + begin;
    const double *Ki = hx_smo_row(s, i) + hx_smo_column(s, part);
    const double f_i = s->f[i], K_ii = s->work[2 * s->m + i];
    partners P = {{0}, filled(1), {0}};
    int64_t found = -1, t = 0;
    whole here = from(0);
    for (; t + WIDE <= n; t += WIDE, here += WIDE) {
        const wide both = K_ii + at(diag + t);
        const wide size = higher(both - 2 * at(Ki + t), HX_SMO_FLAT * both + 1e-290);
        compare(&P, f_i - at(f + t) - at(down + t), size, here);
    }
    if (t > 0) {
        const wide gain = P.gain / P.size, top = largest(gain);
        if (top[0] > *best) *best = top[0], found = least_of(equal(gain, top), P.at);
    }
    for (; t < n; t++) {
        const double both = K_ii + diag[t], flat = HX_SMO_FLAT * both + 1e-290;
        const double x = f_i - f[t] - down[t], size = both - 2 * Ki[t];
        const double gain = x > 0 ? x * (x / (size > flat ? size : flat)) : 0;
        if (gain > *best) *best = gain, found = t;
    }
    return found < 0 ? -1 : begin + found;
}
