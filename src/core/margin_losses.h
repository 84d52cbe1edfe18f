/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Every binary margin loss: value, derivative and second derivative at the margin t = y f, given the
 * loss's parameters a and b, in single and double precision. A loss is three functions here and a
 * line of HX_MARGIN_LOSSES; its formula, source and mathematical properties are told where its class
 * is, in hingex/losses/margin.py.
 *
 * At a kink the derivative is the subgradient of smallest norm; where it has a corner, the second
 * derivative is that of the side to the right. NaN gives NaN, an infinite t the limit. Comparisons are selections, not branches: loops over these functions become vector code.
 * Constants are whole numbers: 0.5 would make double precision of single.
 */
#ifndef HX_MARGIN_LOSSES_H
#define HX_MARGIN_LOSSES_H

#include <math.h>

#include "elementary.h"

#define HX_MARGIN_LOSSES(X)                                                                       \
    X(hinge)                                                                                      \
    X(squared_hinge)                                                                              \
    X(huberized_hinge)                                                                            \
    X(modified_huber)                                                                             \
    X(softplus_hinge)                                                                             \
    X(perceptron)                                                                                 \
    X(logistic)                                                                                   \
    X(exponential)                                                                                \
    X(squared)                                                                                    \
    X(savage)                                                                                     \
    X(sigmoid)                                                                                    \
    X(ramp)                                                                                       \
    X(zero_one)                                                                                   \
    X(kink)

/* Codes of the losses: HX_hinge and so on. */
#define X(NAME) HX_##NAME,
enum { HX_MARGIN_LOSSES(X) HX_MARGIN_LOSS_COUNT };
#undef X

/* hx_hinge_value_f32 and so on, by including this file again for each type */
#define HX_MARGIN_LOSS(NAME, KIND)                                                                \
    static inline HX_REAL HX_TYPED(hx_##NAME##_##KIND)(HX_REAL t, HX_REAL a, HX_REAL b)
#define HX_REAL float
#define HX_TYPED(NAME) NAME##_f32
#include "margin_losses.h"
#undef HX_REAL
#undef HX_TYPED
#define HX_REAL double
#define HX_TYPED(NAME) NAME##_f64
#include "margin_losses.h"
#undef HX_REAL
#undef HX_TYPED
#undef HX_MARGIN_LOSS

/* ---- in the dual of an SVM, where 0 <= alpha_i <= upper, with diagonal / 2 * alpha_i^2 ---------
 *
 * of hinge and squared hinge with margin 1; HX_hinge says which of the two `code` is. */

static inline double hx_svm_loss(int code, double t)
{
    return code == HX_hinge ? hx_hinge_value_f64(t, 1, 0) : hx_squared_hinge_value_f64(t, 1, 0);
}

static inline double hx_svm_dual_upper(int code, double C)
{
    return code == HX_hinge ? C : (C > 0 ? HUGE_VAL : 0);
}

static inline double hx_svm_dual_diagonal(int code, double C)
{
    return code == HX_hinge ? 0 : 0.5 / C;
}

#else /* the losses, in HX_REAL */

/* 1 / (1 + exp(-z)) */
static inline HX_REAL HX_TYPED(hx_sigmoid)(HX_REAL z)
{
    const HX_REAL e = hx_exp(-hx_abs(z));
    return (z >= 0 ? 1 : e) / (1 + e);
}

/* log(1 + exp(z)) */
static inline HX_REAL HX_TYPED(hx_softplus)(HX_REAL z)
{
    return (z > 0 ? z : 0) + hx_log1p(hx_exp(-hx_abs(z)));
}

/* max(0, a - t) */
HX_MARGIN_LOSS(hinge, value) { return 0 > a - t ? 0 : a - t; }
HX_MARGIN_LOSS(hinge, slope)
{
    const HX_REAL u = HX_TYPED(hx_hinge_value)(t, a, b);
    return u > 0 ? -1 : u;
}
HX_MARGIN_LOSS(hinge, curvature) { return t == t ? 0 : t; }

/* max(0, a - t)^2 */
HX_MARGIN_LOSS(squared_hinge, value)
{
    const HX_REAL u = HX_TYPED(hx_hinge_value)(t, a, b);
    return u * u;
}
HX_MARGIN_LOSS(squared_hinge, slope) { return 0 - 2 * HX_TYPED(hx_hinge_value)(t, a, b); }
HX_MARGIN_LOSS(squared_hinge, curvature) { return t < a ? 2 : (t >= a ? 0 : t); }

/* With u = max(0, a - t): u - b/2 for u >= b, else u^2 / (2 b) */
HX_MARGIN_LOSS(huberized_hinge, value)
{
    const HX_REAL u = HX_TYPED(hx_hinge_value)(t, a, b);
    return u >= b ? u - b / 2 : u * u / (2 * b);
}
HX_MARGIN_LOSS(huberized_hinge, slope)
{
    const HX_REAL u = HX_TYPED(hx_hinge_value)(t, a, b);
    return u > 0 ? (u >= b ? -1 : -u / b) : u; /* b may have become 0 in single precision */
}
HX_MARGIN_LOSS(huberized_hinge, curvature)
{
    const HX_REAL u = a - t;
    return u > b ? 0 : (u > 0 ? 1 / b : (u <= 0 ? 0 : u));
}

/* max(0, 1 - t)^2 for t >= -1, else -4 t */
HX_MARGIN_LOSS(modified_huber, value)
{
    return t < -1 ? -4 * t : HX_TYPED(hx_squared_hinge_value)(t, 1, b);
}
HX_MARGIN_LOSS(modified_huber, slope)
{
    return t < -1 ? -4 : HX_TYPED(hx_squared_hinge_slope)(t, 1, b);
}
HX_MARGIN_LOSS(modified_huber, curvature) { return t < -1 ? 0 : (t < 1 ? 2 : (t >= 1 ? 0 : t)); }

/* log(1 + exp(b (a - t))) / b */
HX_MARGIN_LOSS(softplus_hinge, value)
{
    const HX_REAL z = a - t; /* b z may be infinite where z is not */
    return (z > 0 ? z : 0) + hx_log1p(hx_exp(-b * hx_abs(z))) / b;
}
HX_MARGIN_LOSS(softplus_hinge, slope) { return -HX_TYPED(hx_sigmoid)(b * (a - t)); }
HX_MARGIN_LOSS(softplus_hinge, curvature)
{
    return b * HX_TYPED(hx_sigmoid)(b * (a - t)) * HX_TYPED(hx_sigmoid)(b * (t - a));
}

/* max(0, -t) */
HX_MARGIN_LOSS(perceptron, value) { return HX_TYPED(hx_hinge_value)(t, 0, b); }
HX_MARGIN_LOSS(perceptron, slope) { return HX_TYPED(hx_hinge_slope)(t, 0, b); }
HX_MARGIN_LOSS(perceptron, curvature) { return t == t ? 0 : t; }

/* log(1 + exp(-t)) */
HX_MARGIN_LOSS(logistic, value) { return HX_TYPED(hx_softplus)(-t); }
HX_MARGIN_LOSS(logistic, slope) { return -HX_TYPED(hx_sigmoid)(-t); }
HX_MARGIN_LOSS(logistic, curvature) { return HX_TYPED(hx_sigmoid)(t) * HX_TYPED(hx_sigmoid)(-t); }

/* exp(-t) */
HX_MARGIN_LOSS(exponential, value) { return hx_exp(-t); }
HX_MARGIN_LOSS(exponential, slope) { return -hx_exp(-t); }
HX_MARGIN_LOSS(exponential, curvature) { return hx_exp(-t); }

/* (1 - t)^2 */
HX_MARGIN_LOSS(squared, value) { return (1 - t) * (1 - t); }
HX_MARGIN_LOSS(squared, slope) { return -2 * (1 - t); }
HX_MARGIN_LOSS(squared, curvature) { return t == t ? 2 : t; }

/* 4 / (1 + exp(2 t))^2, with s = 1 / (1 + exp(2 t)): 4 s^2, -16 s^2 (1 - s) and
 * 32 s^2 (1 - s) (2 - 3 s) */
HX_MARGIN_LOSS(savage, value)
{
    const HX_REAL s = HX_TYPED(hx_sigmoid)(-2 * t);
    return 4 * s * s;
}
HX_MARGIN_LOSS(savage, slope)
{
    const HX_REAL s = HX_TYPED(hx_sigmoid)(-2 * t);
    return -16 * s * s * HX_TYPED(hx_sigmoid)(2 * t);
}
HX_MARGIN_LOSS(savage, curvature)
{
    const HX_REAL s = HX_TYPED(hx_sigmoid)(-2 * t);
    return 32 * s * s * HX_TYPED(hx_sigmoid)(2 * t) * (2 - 3 * s);
}

/* 2 / (1 + exp(b t)), with s = 1 / (1 + exp(b t)): -2 b s (1 - s) and 2 b^2 s (1 - s) (1 - 2 s) */
HX_MARGIN_LOSS(sigmoid, value) { return 2 * HX_TYPED(hx_sigmoid)(-b * t); }
HX_MARGIN_LOSS(sigmoid, slope)
{
    return -2 * (HX_TYPED(hx_sigmoid)(-b * t) * HX_TYPED(hx_sigmoid)(b * t) * b);
}
HX_MARGIN_LOSS(sigmoid, curvature)
{
    const HX_REAL s = HX_TYPED(hx_sigmoid)(-b * t), q = HX_TYPED(hx_sigmoid)(b * t);
    return 2 * b * b * s * q * (q - s);
}

/* min(1 - a, max(0, 1 - t)), a < 1 */
HX_MARGIN_LOSS(ramp, value) { return t <= a ? 1 - a : HX_TYPED(hx_hinge_value)(t, 1, b); }
HX_MARGIN_LOSS(ramp, slope) { return t <= a ? 0 : HX_TYPED(hx_hinge_slope)(t, 1, b); }
HX_MARGIN_LOSS(ramp, curvature) { return t == t ? 0 : t; }

/* 1 for t <= 0, else 0; its derivative is 0 wherever there is one */
HX_MARGIN_LOSS(zero_one, value) { return t <= 0 ? 1 : (t > 0 ? 0 : t); }
HX_MARGIN_LOSS(zero_one, slope) { return t == t ? 0 : t; }
HX_MARGIN_LOSS(zero_one, curvature) { return t == t ? 0 : t; }

/* no loss: what mixtures add to a slope at the margin a, where the parts' subgradients of smallest
 * norm do not add up to the sum's */
HX_MARGIN_LOSS(kink, value) { return (void)a, (void)b, t == t ? 0 : t; }
HX_MARGIN_LOSS(kink, slope) { return t == a ? b : (t == t ? 0 : t); }
HX_MARGIN_LOSS(kink, curvature) { return t == t ? 0 : t; }

#endif
