/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Viterbi's algorithm, compiled once per instruction set; see dispatch.h.
 */
#include "dispatch.h"

#include <math.h>

#define HX_CAT_(a, b) a##b
#define HX_CAT(a, b) HX_CAT_(a, b)

/* Steps of B states at a time, whose maxima stay in registers. */
#define HX_MAXIMA(T, B)                                                                           \
    for (; k + B <= ld; k += B) {                                                                 \
        T best[B];                                                                                \
        for (int b = 0; b < B; b++) best[b] = -(T)INFINITY;                                       \
        for (int64_t j = 0; j < K; j++) {                                                         \
            const T from = before[j], *restrict row = trans + j * ld + k;                         \
            for (int b = 0; b < B; b++) {                                                         \
                const T s = from + row[b];                                                        \
                best[b] = s > best[b] ? s : best[b];                                              \
            }                                                                                     \
        }                                                                                         \
        for (int b = 0; b < B; b++) now[k + b] = best[b] + score[k + b];                          \
    }

/* Only scores are kept on the way; the way back looks again for where each maximum came from,
 * K sums a step. */
#define HX_VITERBI(T, SUF, B)                                                                     \
    T HX_CAT(hx_viterbi_##SUF##_, HX_ISA)(const T *scores, int64_t length, int64_t K, int64_t ld, \
                                          const T *trans, const T *first, const T *last, T *room, \
                                          int32_t *y)                                             \
    {                                                                                             \
        for (int64_t k = 0; k < ld; k++) room[k] = scores[k] + first[k];                          \
        for (int64_t t = 1; t < length; t++) {                                                    \
            const T *restrict before = room + (t - 1) * ld, *restrict score = scores + t * ld;    \
            T *restrict now = room + t * ld;                                                      \
            int64_t k = 0;                                                                        \
            HX_MAXIMA(T, B)                                                                       \
            HX_MAXIMA(T, 24)                                                                      \
            HX_MAXIMA(T, 16)                                                                      \
            HX_MAXIMA(T, 8)                                                                       \
        }                                                                                         \
        const T *end = room + (length - 1) * ld;                                                  \
        T best = end[0] + last[0];                                                                \
        int64_t at = 0;                                                                           \
        for (int64_t k = 1; k < K; k++)                                                           \
            if (end[k] + last[k] > best) { best = end[k] + last[k]; at = k; }                     \
        y[length - 1] = (int32_t)at;                                                              \
        for (int64_t t = length - 1; t > 0; t--) {                                                \
            const T *before = room + (t - 1) * ld;                                                \
            int64_t from = 0;                                                                     \
            T most = before[0] + trans[at];                                                       \
            for (int64_t j = 1; j < K; j++) {                                                     \
                const T s = before[j] + trans[j * ld + at];                                       \
                if (s > most) { most = s; from = j; }                                             \
            }                                                                                     \
            y[t - 1] = (int32_t)(at = from);                                                      \
        }                                                                                         \
        return best;                                                                              \
    }

HX_VITERBI(float, f32, 32)
HX_VITERBI(double, f64, 32)
