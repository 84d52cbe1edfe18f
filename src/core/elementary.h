/* SPDX-License-Identifier: BSD-3-Clause
 *
 * exp and log1p to about one unit in the last place, in single and double precision, without
 * branches, tables or calls, so that compilers make vector code of loops over them: several times
 * as fast as the C library's. hx_exp(x), hx_log1p(x) and hx_abs(x) pick the version by type.
 */
#ifndef HX_ELEMENTARY_H
#define HX_ELEMENTARY_H

#include <stdint.h>
#include <string.h>

/* a b + c, rounded once where that is an instruction: instruction sets differ in last bits only. */
#ifdef __FMA__
#define HX_FMA(a, b, c) _Generic((a), float: __builtin_fmaf, default: __builtin_fma)(a, b, c)
#else
#define HX_FMA(a, b, c) ((a) * (b) + (c))
#endif

#define hx_exp(x) _Generic((x), float: hx_exp_f32, default: hx_exp_f64)(x)
#define hx_log1p(x) _Generic((x), float: hx_log1p_f32, default: hx_log1p_f64)(x)
#define hx_abs(x) _Generic((x), float: hx_abs_f32, default: hx_abs_f64)(x)

static inline float hx_abs_f32(float x) { return x < 0 ? -x : x; }
static inline double hx_abs_f64(double x) { return x < 0 ? -x : x; }

/* 2^k, for a whole k of -1022..1023: k + 1.5 * 2^52 has k in its lowest bits. */
static inline double hx_power_of_two_f64(double k)
{
    const double shifted = k + 0x1.8p52;
    double power;
    uint64_t bits;
    memcpy(&bits, &shifted, 8);
    bits = (bits << 52) + ((uint64_t)1023 << 52);
    memcpy(&power, &bits, 8);
    return power;
}

/* The same for -126..127. */
static inline float hx_power_of_two_f32(float k)
{
    const float shifted = k + 0x1.8p23f;
    float power;
    uint32_t bits;
    memcpy(&bits, &shifted, 4);
    bits = (bits << 23) + ((uint32_t)127 << 23);
    memcpy(&power, &bits, 4);
    return power;
}

/* exp(x): x = k ln 2 + r with |r| <= ln(2) / 2, and exp(r) = 1 + r + r^2 p(r), where p interpolates
 * at Chebyshev's nodes: to 2^-55, or 2^-30. The power is multiplied in two steps, down to
 * subnormals; bounds stand for 0 and infinity, and NaN stays. */
static inline double hx_exp_f64(double x)
{
    const double low = -746 > x ? -746 : x, c = 710 < low ? 710 : low;
    const double k = HX_FMA(c, 0x1.71547652b82fep+0, 0x1.8p52) - 0x1.8p52;
    const double r = HX_FMA(-k, 0x1.a39ef35793c76p-33, HX_FMA(-k, 0x1.62e42feep-1, c));
    const double half = HX_FMA(k, 0.5, 0x1.8p52) - 0x1.8p52;
    double p = 0x1.af38a9b0ec855p-26;
    p = HX_FMA(p, r, 0x1.289185613a3d6p-22);
    p = HX_FMA(p, r, 0x1.71de0dae63bb3p-19);
    p = HX_FMA(p, r, 0x1.a019b90d2ae7ap-16);
    p = HX_FMA(p, r, 0x1.a01a01a7c41d5p-13);
    p = HX_FMA(p, r, 0x1.6c16c1788bd90p-10);
    p = HX_FMA(p, r, 0x1.11111111109b3p-7);
    p = HX_FMA(p, r, 0x1.5555555553d63p-5);
    p = HX_FMA(p, r, 0x1.5555555555556p-3);
    p = HX_FMA(p, r, 0x1.0000000000001p-1);
    p = HX_FMA(p * r, r, r) + 1;
    return p * hx_power_of_two_f64(half) * hx_power_of_two_f64(k - half);
}

static inline float hx_exp_f32(float x)
{
    const float low = -105 > x ? -105 : x, c = 90 < low ? 90 : low;
    const float k = HX_FMA(c, 0x1.715476p+0f, 0x1.8p23f) - 0x1.8p23f;
    const float r = HX_FMA(-k, 0x1.0bfbe8p-15f, HX_FMA(-k, 0x1.62ep-1f, c));
    const float half = HX_FMA(k, 0.5f, 0x1.8p23f) - 0x1.8p23f;
    float p = 0x1.a124f2p-13f;
    p = HX_FMA(p, r, 0x1.6d4324p-10f);
    p = HX_FMA(p, r, 0x1.1110e0p-7f);
    p = HX_FMA(p, r, 0x1.5554eap-5f);
    p = HX_FMA(p, r, 0x1.555556p-3f);
    p = HX_FMA(p, r, 0.5f);
    p = HX_FMA(p * r, r, r) + 1;
    return p * hx_power_of_two_f32(half) * hx_power_of_two_f32(k - half);
}

/* log(1 + e) for e of 0..1: 1 + e or (1 + e) / 2 is 1 + z, and log(1 + z) = 2 artanh(q) with
 * q = z / (2 + z); the series of artanh(q) / q is made short as that of exp. */
static inline double hx_log1p_f64(double e)
{
    const double z = e > 0.4142135623730951 ? HX_FMA(e, 0.5, -0.5) : e;
    const double q = z / (2 + z), u = q * q;
    double p = 0x1.2b5900de53b32p-4;
    p = HX_FMA(p, u, 0x1.39fe51a7c18f9p-4);
    p = HX_FMA(p, u, 0x1.7462b51cb66b1p-4);
    p = HX_FMA(p, u, 0x1.c71c62e3f11e6p-4);
    p = HX_FMA(p, u, 0x1.2492492df281ap-3);
    p = HX_FMA(p, u, 0x1.99999999952d7p-3);
    p = HX_FMA(p, u, 0x1.5555555555558p-2);
    p = HX_FMA(q * u * p, 2, 2 * q);
    return e > 0.4142135623730951 ? p + 0x1.62e42fefa39efp-1 : p;
}

static inline float hx_log1p_f32(float e)
{
    const float z = e > 0.41421357f ? HX_FMA(e, 0.5f, -0.5f) : e;
    const float q = z / (2 + z), u = q * q;
    float p = 0x1.2ee656p-3f;
    p = HX_FMA(p, u, 0x1.997c2ep-3f);
    p = HX_FMA(p, u, 0x1.55555cp-2f);
    p = HX_FMA(q * u * p, 2, 2 * q);
    return e > 0.41421357f ? p + 0x1.62e43p-1f : p;
}

#endif
