/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Multiclass losses: value and derivative of one row of K scores s, given the true class k and the
 * loss's parameters a and b, in single and double precision. A loss is a function here and a line
 * of HX_MULTICLASS_LOSSES; its formula and source are told where its class is, in
 * hingex/losses/multiclass.py.
 *
 * s and v (K numbers each) may be written over. g receives the derivatives, unless it is NULL. A
 * NaN among the scores gives NaN, value and derivatives, and so do infinite ones whose difference is
 * none; of equal scores the first is the highest. Sums are double.
 */
#ifndef HX_MULTICLASS_LOSSES_H
#define HX_MULTICLASS_LOSSES_H

#include <math.h>

#include "elementary.h"

#define HX_MULTICLASS_LOSSES(X)                                                                   \
    X(crammer_singer)                                                                             \
    X(weston_watkins)                                                                             \
    X(lee_lin_wahba)                                                                              \
    X(categorical_hinge)                                                                          \
    X(cross_entropy)                                                                              \
    X(carlini_wagner)                                                                             \
    X(dlr)

/* hx_dlr_row_f32 and so on, by including this file again for each type */
#define HX_MULTICLASS_LOSS(NAME)                                                                  \
    static double HX_TYPED(hx_##NAME##_row)(HX_REAL *restrict s, int64_t K, int64_t k, HX_REAL a, \
                                            HX_REAL b, HX_REAL *restrict v, HX_REAL *restrict g)
#define HX_REAL float
#define HX_TYPED(NAME) NAME##_f32
#include "multiclass_losses.h"
#undef HX_REAL
#undef HX_TYPED
#define HX_REAL double
#define HX_TYPED(NAME) NAME##_f64
#include "multiclass_losses.h"
#undef HX_REAL
#undef HX_TYPED
#undef HX_MULTICLASS_LOSS

#else /* the losses, in HX_REAL */

/* Sum in an order that vector code can follow, without waiting for one addition after another. */
static inline double HX_TYPED(hx_sum)(const HX_REAL *x, int64_t n)
{
    double part[8] = {0};
    int64_t j = 0;
    for (; j + 16 <= n; j += 16)
        for (int i = 0; i < 8; i++) part[i] += (double)x[j + i] + (double)x[j + 8 + i];
    for (; j + 8 <= n; j += 8)
        for (int i = 0; i < 8; i++) part[i] += x[j + i];
    for (int i = 0; j + i < n; i++) part[i] += x[j + i];
    return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

static inline double HX_TYPED(hx_fill)(HX_REAL *g, int64_t K, HX_REAL value)
{
    for (int64_t j = 0; g && j < K; j++) g[j] = value;
    return value;
}

/* The highest score, with -inf if there is none; NaN is passed over. */
static inline HX_REAL HX_TYPED(hx_highest)(const HX_REAL *s, int64_t K)
{
    HX_REAL part[8], best = -HUGE_VALF;
    int64_t j = 0;
    for (int i = 0; i < 8; i++) part[i] = best;
    for (; j + 8 <= K; j += 8)
        for (int i = 0; i < 8; i++) part[i] = s[j + i] > part[i] ? s[j + i] : part[i];
    for (; j < K; j++) best = s[j] > best ? s[j] : best;
    for (int i = 0; i < 8; i++) best = part[i] > best ? part[i] : best;
    return best;
}

/* The first of the highest scores other than that of class k, -1 if a score is NaN. */
static inline int64_t HX_TYPED(hx_rival)(HX_REAL *s, int64_t K, int64_t k)
{
    const HX_REAL own = s[k];
    int64_t j = k == 0;
    int nan = 0;
    for (int64_t i = 0; i < K; i++) nan |= s[i] != s[i];
    if (nan) return -1;
    s[k] = -HUGE_VALF;
    const HX_REAL best = HX_TYPED(hx_highest)(s, K);
    s[k] = own;
    while (j == k || s[j] != best) j++;
    return j;
}

/* max(0, a + max_{j != k} s_j - s_k) */
HX_MULTICLASS_LOSS(crammer_singer)
{
    const int64_t j = HX_TYPED(hx_rival)(s, K, k);
    if (j < 0) return HX_TYPED(hx_fill)(g, K, NAN);
    const HX_REAL z = a + s[j] - s[k];
    if (z != z) return HX_TYPED(hx_fill)(g, K, z);
    HX_TYPED(hx_fill)(g, K, 0);
    if (g && z > 0) g[j] = 1, g[k] = -1;
    return z <= 0 ? 0 : z;
}

/* sum_{j != k} max(0, a + s_j - s_k)^b, b of 1 or 2 */
HX_MULTICLASS_LOSS(weston_watkins)
{
    const HX_REAL own = s[k] - a;
    if (b == 1) {
        if (g)
            for (int64_t j = 0; j < K; j++) {
                v[j] = s[j] - own <= 0 ? 0 : s[j] - own;
                g[j] = s[j] - own > 0 ? 1 : 0;
            }
        else
            for (int64_t j = 0; j < K; j++) v[j] = s[j] - own <= 0 ? 0 : s[j] - own;
    } else {
        for (int64_t j = 0; j < K; j++) v[j] = s[j] - own <= 0 ? 0 : (s[j] - own) * (s[j] - own);
        if (g)
            for (int64_t j = 0; j < K; j++) g[j] = s[j] - own <= 0 ? 0 : 2 * (s[j] - own);
    }
    v[k] = own != own ? own : 0;
    const double total = HX_TYPED(hx_sum)(v, K);
    if (total != total) return HX_TYPED(hx_fill)(g, K, NAN);
    if (g) g[k] = 0, g[k] = -HX_TYPED(hx_sum)(g, K);
    return total;
}

/* sum_{j != k} max(0, 1 / (K - 1) + s_j), of scores less their mean if b */
HX_MULTICLASS_LOSS(lee_lin_wahba)
{
    const HX_REAL mean = b ? HX_TYPED(hx_sum)(s, K) / K : 0, margin = (HX_REAL)1 / (K - 1);
    const HX_REAL own = s[k];
    for (int64_t j = 0; j < K; j++) s[j] = s[j] - mean + margin;
    s[k] = own != own ? own : -HUGE_VAL;
    for (int64_t j = 0; j < K; j++) v[j] = s[j] <= 0 ? 0 : s[j];
    const double total = HX_TYPED(hx_sum)(v, K);
    if (total != total) return HX_TYPED(hx_fill)(g, K, NAN);
    if (g) {
        for (int64_t j = 0; j < K; j++) g[j] = s[j] > 0;
        if (b) {
            const HX_REAL shift = HX_TYPED(hx_sum)(g, K) / K;
            for (int64_t j = 0; j < K; j++) g[j] -= shift;
        }
    }
    return total;
}

/* max(0, 1 + max(0, max_{j != k} s_j) - s_k): the true class takes part in the maximum as 0 */
HX_MULTICLASS_LOSS(categorical_hinge)
{
    const int64_t j = HX_TYPED(hx_rival)(s, K, k);
    if (j < 0) return HX_TYPED(hx_fill)(g, K, NAN);
    const HX_REAL z = 1 + (s[j] > 0 ? s[j] : 0) - s[k];
    if (z != z) return HX_TYPED(hx_fill)(g, K, z);
    HX_TYPED(hx_fill)(g, K, 0);
    if (g && z > 0) {
        g[k] = -1;
        if (s[j] > 0) g[j] = 1;
    }
    return z <= 0 ? 0 : z;
}

/* log sum_j exp(s_j - s_k) */
HX_MULTICLASS_LOSS(cross_entropy)
{
    const HX_REAL top = HX_TYPED(hx_highest)(s, K), gap = top - s[k];
    if (top == HUGE_VALF) /* the limit: only infinite scores count; NaN stays */
        for (int64_t i = 0; i < K; i++) v[i] = s[i] == s[i] ? s[i] == top : s[i];
    else
        for (int64_t i = 0; i < K; i++) v[i] = hx_exp(s[i] - top);
    const HX_REAL mine = v[k];
    v[k] = 0;
    const double others = HX_TYPED(hx_sum)(v, K), total = others + mine;
    if (total != total) return HX_TYPED(hx_fill)(g, K, NAN);
    if (g) {
        const HX_REAL share = (HX_REAL)(1 / total);
        for (int64_t i = 0; i < K; i++) g[i] = v[i] * share;
        g[k] = (HX_REAL)(-others / total);
    }
    if (mine == 1) return log1p(others); /* k is the highest, or as high */
    return gap + log(total);
}

/* max(z, -a) with z = max_{j != k} s_j - s_k if b (an attack that wants class k), else -z */
HX_MULTICLASS_LOSS(carlini_wagner)
{
    const int64_t j = HX_TYPED(hx_rival)(s, K, k);
    if (j < 0) return HX_TYPED(hx_fill)(g, K, NAN);
    const HX_REAL sign = b ? 1 : -1, z = sign * (s[j] - s[k]);
    if (z != z) return HX_TYPED(hx_fill)(g, K, z);
    HX_TYPED(hx_fill)(g, K, 0);
    if (g && z > -a) g[j] = sign, g[k] = -sign;
    return z <= -a ? 0 - a : z; /* no -0 */
}

/* -(s_k - max_{j != k} s_j) / (s_(1) - s_(3)), s_(i) the i-th highest score, K >= 3 */
HX_MULTICLASS_LOSS(dlr)
{
    const int64_t j = HX_TYPED(hx_rival)(s, K, k);
    if (j < 0) return HX_TYPED(hx_fill)(g, K, NAN);
    int64_t top[3] = {-1, -1, -1};
    for (int64_t i = 0; i < K; i++) {
        int64_t in = i;
        for (int r = 0; r < 3; r++)
            if (top[r] < 0 || s[in] > s[top[r]]) {
                const int64_t out = top[r];
                top[r] = in;
                if (out < 0) break;
                in = out;
            }
    }
    const HX_REAL lead = s[k] - s[j], range = s[top[0]] - s[top[2]], slope = 1 / range;
    if (!(range > 0) || lead * slope != lead * slope) return HX_TYPED(hx_fill)(g, K, NAN);
    HX_TYPED(hx_fill)(g, K, 0);
    if (g) {
        g[k] -= slope, g[j] += slope;
        g[top[0]] += lead * slope * slope, g[top[2]] -= lead * slope * slope;
    }
    return -lead / range;
}

#endif
