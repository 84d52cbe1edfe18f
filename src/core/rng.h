/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Random numbers for solvers: xoshiro256** seeded by splitmix64 (Blackman and Vigna, 2018-2021).
 * One stream per (seed, epoch): a shuffle depends on nothing but those two, never on threads.
 */
#ifndef HX_RNG_H
#define HX_RNG_H

#include <stdint.h>

typedef struct { uint64_t s[4]; } hx_rng;

static inline uint64_t hx_splitmix64(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static inline void hx_rng_seed(hx_rng *rng, uint64_t seed, uint64_t stream)
{
    uint64_t mix = seed;
    mix = hx_splitmix64(&mix) ^ stream;
    for (int k = 0; k < 4; k++) rng->s[k] = hx_splitmix64(&mix);
}

static inline uint64_t hx_rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

static inline uint64_t hx_rng_next(hx_rng *rng)
{
    uint64_t *s = rng->s;
    const uint64_t result = hx_rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = hx_rotl(s[3], 45);
    return result;
}

/* Unbiased draw from 0..bound-1 (Lemire 2019), bound > 0. */
static inline uint32_t hx_rng_below(hx_rng *rng, uint32_t bound)
{
    uint64_t m = (hx_rng_next(rng) >> 32) * bound;
    if ((uint32_t)m < bound) {
        const uint32_t threshold = (0u - bound) % bound;
        while ((uint32_t)m < threshold) m = (hx_rng_next(rng) >> 32) * bound;
    }
    return (uint32_t)(m >> 32);
}

/* Fisher-Yates. */
static inline void hx_shuffle(hx_rng *rng, int32_t *order, int64_t n)
{
    for (int64_t i = n - 1; i > 0; i--) {
        const uint32_t j = hx_rng_below(rng, (uint32_t)(i + 1));
        const int32_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

#endif
