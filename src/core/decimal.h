/* SPDX-License-Identifier: BSD-3-Clause */
/* Decimal text to double and back, exactly: reading rounds correctly (to nearest, ties to even),
 * writing gives the shortest digits that read back as the same number, the closest of these.
 * Integer arithmetic only: neither locale nor rounding mode matters.
 *
 * Both directions multiply by a power of ten known to 128 bits, truncated (Lemire, "Number parsing
 * at a gigabyte per second", 2021; Giulietti, "The Schubfach way to render doubles", 2021). The
 * table is the caller's: powers[q - HX_POW_MIN] = floor(10^q / 2^(e - 127)), where 2^e is the
 * largest power of two not above 10^q.
 */
#ifndef HX_DECIMAL_H
#define HX_DECIMAL_H
#include <math.h>
#include <stdint.h>
#include <string.h>

#define HX_POW_MIN (-342)
#define HX_POW_MAX 324
#define HX_NUMBER_CHARS 32 /* room for any number hx_put_* writes */

typedef struct {
    uint64_t hi, lo;
} hx_u128;

enum hx_read {
    HX_READ_OK,
    HX_READ_BAD,       /* not a number */
    HX_READ_OVERFLOW,  /* finite in the text, but larger than any double */
    HX_READ_UNDECIDED, /* at, or within 2^-60 ulp of, the middle of two doubles */
};

static inline hx_u128 hx_mul64(uint64_t a, uint64_t b)
{
    hx_u128 r;
#ifdef __SIZEOF_INT128__
    unsigned __int128 p = (unsigned __int128)a * b;
    r.hi = (uint64_t)(p >> 64);
    r.lo = (uint64_t)p;
#else
    uint64_t al = (uint32_t)a, ah = a >> 32, bl = (uint32_t)b, bh = b >> 32;
    uint64_t ll = al * bl, lh = al * bh, hl = ah * bl;
    uint64_t middle = (ll >> 32) + (uint32_t)lh + (uint32_t)hl;
    r.hi = ah * bh + (lh >> 32) + (hl >> 32) + (middle >> 32);
    r.lo = (middle << 32) | (uint32_t)ll;
#endif
    return r;
}

static inline int hx_leading_zeros(uint64_t w)
{
#if defined(__GNUC__) || defined(__clang__)
    return __builtin_clzll(w);
#else
    int n = 0;
    for (; !(w >> 63); w <<= 1)
        n++;
    return n;
#endif
}

/* floor(log2(10^q)), floor(log10(2^e)) and floor(log10(3/4 * 2^e)); exact for |q| <= 1200 and
 * |e| <= 1500. */
static inline int hx_log2_pow10(int q)
{
    return (int)(((int64_t)q * 1741647) >> 19);
}

static inline int hx_log10_pow2(int e, int three_quarters)
{
    return (int)(((int64_t)e * 1262611 - (three_quarters ? 524031 : 0)) >> 22);
}

/* The double nearest to w * 10^q; HX_READ_UNDECIDED when 128 bits do not tell. Infinity when it is
 * too large. */
static inline int hx_scale(uint64_t w, int64_t q, const hx_u128 *powers, double *out)
{
    *out = 0.0;
    if (w == 0 || q < HX_POW_MIN) /* below 2^64 * 10^-343 < 2^-1075 */
        return HX_READ_OK;
    if (q > 308) {
        *out = INFINITY;
        return HX_READ_OK;
    }
    const hx_u128 *power = &powers[q - HX_POW_MIN];
    int zeros = hx_leading_zeros(w), log2 = hx_log2_pow10((int)q);
    w <<= zeros;
    hx_u128 a = hx_mul64(w, power->hi), b = hx_mul64(w, power->lo);
    uint64_t mid = a.lo + b.hi, hi = a.hi + (mid < a.lo);
    /* The number is (hi:mid + d) * 2^unit with 0 <= d < 2: one for the cut product, one for the
     * cut power. */
    int unit = log2 - zeros - 63;
    int last = unit + 126 + (int)(hi >> 63) - 52; /* exponent of the last bit of the double */
    if (last < -1074)
        last = -1074;
    int shift = last - unit; /* at least 74 */
    if (shift > 128)
        return HX_READ_OK;
    if (shift == 128)
        return HX_READ_UNDECIDED;
    uint64_t m = hi >> (shift - 64);
    uint64_t rest = hi & (((uint64_t)1 << (shift - 64)) - 1);
    uint64_t half = (uint64_t)1 << (shift - 65);
    int up = rest >= half;
    if ((rest == half && mid == 0) || (rest == half - 1 && mid == UINT64_MAX)) {
        if (q < 0 || q > 55) /* in between, powers are exact */
            return HX_READ_UNDECIDED;
        if (up && b.lo == 0) /* the middle: ties to even */
            up = m & 1;
    }
    m += (uint64_t)up;
    uint64_t bits = m; /* a carry out of m moves into the exponent as it should */
    if (m >> 52)
        bits += (uint64_t)(last + 1074) << 52;
    if (bits >= (uint64_t)0x7FF << 52)
        bits = (uint64_t)0x7FF << 52;
    memcpy(out, &bits, sizeof bits);
    return HX_READ_OK;
}

static inline int hx_is_word(const char *p, const char *word, int n)
{
    for (int i = 0; i < n; i++)
        if ((p[i] | 32) != word[i])
            return 0;
    return 1;
}

/* Read the number that starts at p: [+-] digits [. digits] [e [+-] digits], digits on one side of
 * the point at least, or inf, infinity, nan in any case. The text must be followed somewhere by a
 * byte that belongs to no number. Returns the end of what was read. */
static inline const char *hx_read_number(const char *p, const hx_u128 *powers, double *out,
                                         int *status)
{
    int negative = *p == '-';
    p += negative | (*p == '+');
    const char *start = p;
    uint64_t w = 0, digit;
    while ((digit = (uint64_t)(unsigned char)*p - '0') < 10) {
        w = w * 10 + digit;
        p++;
    }
    int64_t digits = p - start, q = 0;
    if (*p == '.') {
        const char *point = ++p;
        while ((digit = (uint64_t)(unsigned char)*p - '0') < 10) {
            w = w * 10 + digit;
            p++;
        }
        q = point - p;
        digits -= q;
    }
    if (digits == 0) {
        int n = p != start                     ? 0
                : hx_is_word(p, "infinity", 8) ? 8
                : hx_is_word(p, "inf", 3) || hx_is_word(p, "nan", 3) ? 3 : 0;
        *status = n ? HX_READ_OK : HX_READ_BAD;
        *out = n && (*p | 32) == 'n' ? NAN : INFINITY;
        if (negative)
            *out = -*out;
        return p + n;
    }
    const char *end = p;
    if ((*p | 32) == 'e') {
        int64_t e = 0;
        int minus = *++p == '-';
        p += minus | (*p == '+');
        const char *first = p;
        while ((digit = (uint64_t)(unsigned char)*p - '0') < 10) {
            if (e < INT64_C(1000000000000000))
                e = e * 10 + (int64_t)digit;
            p++;
        }
        if (p == first) {
            *status = HX_READ_BAD;
            return p;
        }
        q += minus ? -e : e;
    }
    int cut = 0;
    if (digits > 19) { /* w may have overflowed: keep 19 digits, and note whether others matter */
        int kept = 0;
        w = 0;
        for (const char *s = start; s < end; s++) {
            if (*s == '.')
                continue;
            digit = (uint64_t)(*s - '0');
            if (kept < 19) {
                w = w * 10 + digit;
                kept += w != 0;
            } else {
                cut |= digit != 0;
                q++;
            }
        }
    }
    *status = hx_scale(w, q, powers, out);
    if (cut && *status == HX_READ_OK) { /* the number lies between w and w + 1 */
        double above;
        *status = hx_scale(w + 1, q, powers, &above);
        if (above != *out)
            *status = HX_READ_UNDECIDED;
    }
    if (*status == HX_READ_OK && *out == INFINITY)
        *status = HX_READ_OVERFLOW;
    if (negative)
        *out = -*out;
    return p;
}

/* ---------------------------------------------------------------------------------- writing */

static inline char *hx_put_uint(char *p, uint64_t value)
{
    char digits[20];
    int n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    while (n)
        *p++ = digits[--n];
    return p;
}

static inline char *hx_put_int(char *p, int64_t value)
{
    if (value >= 0)
        return hx_put_uint(p, (uint64_t)value);
    *p++ = '-';
    return hx_put_uint(p, 0 - (uint64_t)value);
}

/* floor(g * x / 2^128), made odd when it is not exact; g exceeds the true power by less than 1. */
static inline uint64_t hx_round_to_odd(hx_u128 g, uint64_t x)
{
    hx_u128 low = hx_mul64(g.lo, x), high = hx_mul64(g.hi, x);
    uint64_t mid = high.lo + low.hi;
    return (high.hi + (mid < high.lo)) | (mid > 1);
}

/* Write c * 2^e, 0 < c < 2^53, by the shortest digits inside its rounding interval; `edge` when
 * the next number below is only half as far away as the one above. */
static inline char *hx_put_shortest(char *p, uint64_t c, int e, int edge, const hx_u128 *powers)
{
    int odd = (int)(c & 1); /* the ends of the interval read back as c only when c is even */
    int k = hx_log10_pow2(e, edge);
    int h = e + hx_log2_pow10(-k) + 1;
    hx_u128 g = powers[-k - HX_POW_MIN];
    if (k > 0 || k < -55) /* other powers are exact; round these up */
        g.hi += ++g.lo == 0;
    uint64_t lower = hx_round_to_odd(g, (4 * c - 2 + (uint64_t)edge) << h) + (uint64_t)odd;
    uint64_t value = hx_round_to_odd(g, (4 * c) << h);
    uint64_t upper = hx_round_to_odd(g, (4 * c + 2) << h) - (uint64_t)odd;
    uint64_t s = value / 4, tens = s / 10;
    int tens_down = lower <= 40 * tens, tens_up = 40 * tens + 40 <= upper;
    if (s >= 10 && tens_down != tens_up) { /* one digit less will do */
        s = tens + (uint64_t)tens_up;
        k++;
    } else {
        int down = lower <= 4 * s, up = 4 * s + 4 <= upper;
        uint64_t middle = 4 * s + 2;
        if (down != up)
            s += (uint64_t)up;
        else
            s += value > middle || (value == middle && (s & 1));
    }
    while (s % 10 == 0) {
        s /= 10;
        k++;
    }
    char digits[20];
    int n = (int)(hx_put_uint(digits, s) - digits);
    int point = n + k; /* the decimal point stands after so many digits */
    if (-4 < point && point <= 17) {
        int i = 0;
        if (point <= 0) {
            *p++ = '0';
            *p++ = '.';
            for (int zeros = point; zeros < 0; zeros++)
                *p++ = '0';
        }
        for (; i < n; i++) {
            if (i == point && i > 0)
                *p++ = '.';
            *p++ = digits[i];
        }
        for (; i < point; i++)
            *p++ = '0';
        return p;
    }
    *p++ = digits[0];
    if (n > 1) {
        *p++ = '.';
        memcpy(p, digits + 1, (size_t)n - 1);
        p += n - 1;
    }
    *p++ = 'e';
    return hx_put_int(p, point - 1);
}

/* Finite numbers only. */
static inline char *hx_put_double(char *p, double x, const hx_u128 *powers)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (bits >> 63)
        *p++ = '-';
    uint64_t fraction = bits & (((uint64_t)1 << 52) - 1);
    int exponent = (int)(bits >> 52) & 0x7FF;
    if ((bits << 1) == 0) {
        *p++ = '0';
        return p;
    }
    x = fabs(x);
    if (x < 4503599627370496.0 && x == (double)(int64_t)x)
        return hx_put_uint(p, (uint64_t)x);
    if (exponent == 0)
        return hx_put_shortest(p, fraction, -1074, 0, powers);
    return hx_put_shortest(p, fraction | ((uint64_t)1 << 52), exponent - 1075,
                           fraction == 0 && exponent > 1, powers);
}

static inline char *hx_put_float(char *p, float x, const hx_u128 *powers)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (bits >> 31)
        *p++ = '-';
    uint32_t fraction = bits & (((uint32_t)1 << 23) - 1);
    int exponent = (int)(bits >> 23) & 0xFF;
    if ((bits << 1) == 0) {
        *p++ = '0';
        return p;
    }
    x = fabsf(x);
    if (x < 8388608.0f && x == (float)(int32_t)x)
        return hx_put_uint(p, (uint64_t)x);
    char *end = exponent == 0 ? hx_put_shortest(p, fraction, -149, 0, powers)
                              : hx_put_shortest(p, fraction | ((uint32_t)1 << 23), exponent - 150,
                                                fraction == 0 && exponent > 1, powers);
    /* Readers round to double first, then to float. For one float, 7.0385313e-26, the shortest
     * digits of all lead astray on this way. */
    return (bits & 0x7FFFFFFF) == 0x15AE43FD ? hx_put_double(p, x, powers) : end;
}
#endif
