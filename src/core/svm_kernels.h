/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernels of SVMs. A new one is one line of HX_SVM_KERNELS (and one in hingex/kernels.py), with
 *
 *     X(name, compare, value)
 *
 * `compare` is how features of two rows meet: their sum over features is s. `value` is the kernel's
 * value from s, from a and b, the rows' own sums, and from the parameters g (gamma), c (coef0) and
 * n (degree).
 *
 *     compare    term of the sum s              own sum of a row
 *     dot        x z                            x^2
 *     absolute   |x - z|                        |x|
 *     chi        (x - z)^2 / (x + z), 0 / 0 = 0   x
 *
 * Sparse rows leave out terms with z = 0, and have absolute and chi as differences to these terms.
 */
#ifndef HX_SVM_KERNELS_H
#define HX_SVM_KERNELS_H

#include "elementary.h"

#define HX_SVM_KERNELS                                                                            \
    X(linear, dot, s)                                                                             \
    X(poly, dot, hx_power(g * s + c, n))                                                          \
    X(rbf, dot, hx_decay(g * hx_positive(a + b - 2 * s)))                                          \
    X(sigmoid, dot, hx_tanh(g * s + c))                                        \
    X(laplacian, absolute, hx_decay(g * hx_positive(s)))                                           \
    X(chi2, chi, hx_decay(g * hx_positive(s)))

enum {
#define X(name, compare, value) HX_KERNEL_##name,
    HX_SVM_KERNELS
#undef X
    HX_KERNEL_COUNT
};

#define hx_positive(x) ((x) > 0 ? (x) : 0)
#define hx_decay(x) _Generic((x), float: hx_decay_f32, default: hx_decay_f64)(x)
#define hx_tanh(x) _Generic((x), float: hx_tanh_f32, default: hx_tanh_f64)(x)
#define hx_power(x, n) _Generic((x), float: hx_power_f32, default: hx_power_f64)(x, n)

/* exp(-x) of x >= 0, as hx_exp has it; in single precision no less than 2^-126, and so without
 * hx_exp's care for subnormal numbers. */
static inline float hx_decay_f32(float x)
{
    const float c = 87.33f < x ? -87.33f : -x;
    const float k = HX_FMA(c, 0x1.715476p+0f, 0x1.8p23f) - 0x1.8p23f;
    const float r = HX_FMA(-k, 0x1.0bfbe8p-15f, HX_FMA(-k, 0x1.62ep-1f, c));
    float p = 0x1.a124f2p-13f;
    p = HX_FMA(p, r, 0x1.6d4324p-10f);
    p = HX_FMA(p, r, 0x1.1110e0p-7f);
    p = HX_FMA(p, r, 0x1.5554eap-5f);
    p = HX_FMA(p, r, 0x1.555556p-3f);
    p = HX_FMA(p, r, 0.5f);
    p = HX_FMA(p * r, r, r) + 1;
    return p * hx_power_of_two_f32(k);
}

static inline double hx_decay_f64(double x) { return hx_exp_f64(-x); }

/* Near 0 the odd series, as 1 - 1 would lose digits there; no branch. */
#define HX_DEFINE_TANH(T, SUF)                                                                    \
    static inline T hx_tanh_##SUF(T x)                                                            \
    {                                                                                             \
        const T q = x * x;                                                                        \
        const T series = x * (1 + q * (-(T)1 / 3 + q * ((T)2 / 15 + q * (-(T)17 / 315 +           \
                                                                         q * ((T)62 / 2835)))));  \
        const T whole = 1 - 2 / (hx_exp(2 * x) + 1);                                              \
        return q < (T)1e-3 ? series : whole;                                                      \
    }
HX_DEFINE_TANH(float, f32)
HX_DEFINE_TANH(double, f64)

/* By squares: the steps are those of n's bits. */
#define HX_DEFINE_POWER(T, SUF)                                                                   \
    static inline T hx_power_##SUF(T x, int n)                                                    \
    {                                                                                             \
        T y = n & 1 ? x : 1;                                                                      \
        while (n >>= 1) {                                                                         \
            x *= x;                                                                               \
            if (n & 1) y *= x;                                                                    \
        }                                                                                         \
        return y;                                                                                 \
    }
HX_DEFINE_POWER(float, f32)
HX_DEFINE_POWER(double, f64)

#endif
