/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sums over the pairs of a query, by order statistics: pairs (i, j) of items with level_i > level_j
 * and slack u = margin - (f_i - f_j) > 0, in O(n log n) for n items instead of O(n^2).
 *
 * Items stand by ascending score, and come and leave one after another as a window moves up; running
 * sums by level of what is in it are all that an item needs. They are kept for two levels as a
 * number, up to FEW levels for each level (without branches), above that in Fenwick trees.
 *
 * Lee and Lin, "Large-scale linear RankSVM", Neural Computation 26, 2014, section 4.
 */
#ifndef HX_PAIRS_H
#define HX_PAIRS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Loops that are copied for each constant argument. */
#if defined(__GNUC__)
#define HX_SPECIAL static inline __attribute__((always_inline))
#else
#define HX_SPECIAL static inline
#endif

/* ---- order -------------------------------------------------------------------------------- */

typedef struct { uint32_t key, at; } hx_key;

enum { HX_SHORT_RUN = 32, HX_RADIX = 11, HX_BUCKETS = 1 << HX_RADIX };

/* Whether item a belongs behind item b. */
static inline int hx_behind(const double *f, uint32_t a, uint32_t b)
{
    return f[a] > f[b] || (f[a] == f[b] && a > b);
}

static void hx_insertion(const double *f, hx_key *a, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        const hx_key one = a[i];
        int64_t j = i;
        for (; j > 0 && hx_behind(f, a[j - 1].at, one.at); j--) a[j] = a[j - 1];
        a[j] = one;
    }
}

static void hx_sift(const double *f, hx_key *a, int64_t root, int64_t n)
{
    const hx_key one = a[root];
    for (int64_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && hx_behind(f, a[child + 1].at, a[child].at)) child++;
        if (!hx_behind(f, a[child].at, one.at)) break;
        a[root] = a[child];
    }
    a[root] = one;
}

/* Items whose keys are equal, by their scores themselves. */
static void hx_sort_run(const double *f, hx_key *a, int64_t n)
{
    if (n <= HX_SHORT_RUN) {
        hx_insertion(f, a, n);
        return;
    }
    int64_t i = 1;
    while (i < n && !hx_behind(f, a[i - 1].at, a[i].at)) i++;
    if (i == n) return;     /* in order: mostly all are equal */
    for (i = n / 2 - 1; i >= 0; i--) hx_sift(f, a, i, n);
    for (i = n - 1; i > 0; i--) {
        const hx_key top = a[0];
        a[0] = a[i];
        a[i] = top;
        hx_sift(f, a, 0, i);
    }
}

/* a[0..n-1].at: the items by ascending f, those of equal f by number. Keys are the distances from
 * `centre` in single precision, sorted by radix; what they do not tell apart is compared. */
static void hx_order(const double *f, int64_t n, double centre, hx_key *a, hx_key *b)
{
    if (n <= HX_SHORT_RUN) {
        for (int64_t i = 0; i < n; i++) a[i].at = (uint32_t)i;
        hx_insertion(f, a, n);
        return;
    }
    uint32_t counts[3][HX_BUCKETS];
    memset(counts, 0, sizeof counts);
    for (int64_t i = 0; i < n; i++) {
        const float x = (float)(f[i] - centre) + 0.0f;      /* -0 becomes 0 */
        uint32_t bits;
        memcpy(&bits, &x, sizeof bits);
        bits ^= (uint32_t)((int32_t)bits >> 31) | UINT32_C(0x80000000);
        a[i].key = bits;
        a[i].at = (uint32_t)i;
        for (int k = 0; k < 3; k++) counts[k][(bits >> (HX_RADIX * k)) & (HX_BUCKETS - 1)]++;
    }
    hx_key *from = a, *to = b;
    for (int k = 0; k < 3; k++) {
        const int shift = HX_RADIX * k;
        uint32_t *count = counts[k], total = 0;
        if (count[(from[0].key >> shift) & (HX_BUCKETS - 1)] == (uint32_t)n) continue;
        for (int64_t c = 0; c < HX_BUCKETS; c++) {
            const uint32_t here = count[c];
            count[c] = total;
            total += here;
        }
        for (int64_t i = 0; i < n; i++)
            to[count[(from[i].key >> shift) & (HX_BUCKETS - 1)]++] = from[i];
        hx_key *const swap = from;
        from = to;
        to = swap;
    }
    if (from != a) memcpy(a, from, (size_t)n * sizeof *a);
    for (int64_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && a[end].key == a[i].key; end++) {}
        if (end - i > 1) hx_sort_run(f, a + i, end - i);
    }
}

/* ---- sums over pairs ---------------------------------------------------------------------- */

enum { HX_FEW = 8 };    /* levels of which each has its own running sums */

/* What an item gets from its pairs; all but HX_DEGREE are derivatives or products of them. */
enum hx_pair_mode {
    HX_HINGE,           /* of sum u                                                   */
    HX_SQUARE,          /* of sum u^2                                                 */
    HX_PRODUCT,         /* the Hessian of sum u^2 times v                             */
    HX_DEGREE           /* the diagonal of that Hessian                               */
};

typedef struct {        /* of one query; arrays by ascending score */
    int64_t n, levels;
    const double *f;    /* scores */
    const double *v;    /* what is summed: scores less their mean, or the vector of the product */
    const double *w;    /* weights of items, or NULL: all 1 */
    const int32_t *level;
    double *tree;       /* 4 (levels + 1) numbers where there are more than HX_FEW levels */
} hx_query;

/* Running sums of items by level, as the sum over the levels below one. `width` is how many such
 * sums there are, 0 for a tree. */
typedef struct {
    double count[HX_FEW + 1], value[HX_FEW + 1];
    double *tree;
} hx_sums;

static const double hx_beyond[HX_FEW][HX_FEW] = {    /* [level][k - 1]: k > level */
    {1, 1, 1, 1, 1, 1, 1, 1}, {0, 1, 1, 1, 1, 1, 1, 1}, {0, 0, 1, 1, 1, 1, 1, 1},
    {0, 0, 0, 1, 1, 1, 1, 1}, {0, 0, 0, 0, 1, 1, 1, 1}, {0, 0, 0, 0, 0, 1, 1, 1},
    {0, 0, 0, 0, 0, 0, 1, 1}, {0, 0, 0, 0, 0, 0, 0, 1},
};

HX_SPECIAL void hx_put(hx_sums *s, const int width, const int sums, int64_t levels, int64_t level,
                       double w, double wv)
{
    if (width) {
        const double *const beyond = hx_beyond[level];
        for (int k = 0; k < width; k++) {
            s->count[k + 1] += beyond[k] * w;
            if (sums) s->value[k + 1] += beyond[k] * wv;
        }
    } else {
        for (int64_t k = level + 1; k <= levels; k += k & -k) {
            s->tree[2 * k] += w;
            if (sums) s->tree[2 * k + 1] += wv;
        }
    }
}

HX_SPECIAL void hx_below(const hx_sums *s, const int width, const int sums, int64_t level,
                         double *count, double *value)
{
    *count = *value = 0;
    if (width) {
        *count = s->count[level];
        if (sums) *value = s->value[level];
        return;
    }
    for (int64_t k = level; k > 0; k -= k & -k) {
        *count += s->tree[2 * k];
        if (sums) *value += s->tree[2 * k + 1];
    }
}

/* All pairs in one merge of the ascending scores with themselves, shifted by the margin: item b
 * leaves the window when a comes to be too far above it. The better item a has the lower levels
 * that are left (all, less what has left); the worse item b has the higher levels that came before
 * a. Adds to out, and returns the sum over the better items of w times count (HX_HINGE) or of the
 * slacks of all pairs (HX_SQUARE). */
HX_SPECIAL double hx_sides_of(const hx_query *q, const double margin, const double coef,
                              const int mode, const int width, const int weighted, double *out)
{
    const int64_t n = q->n, levels = q->levels, top = q->levels - 1;
    const double *const f = q->f, *const v = q->v, *const weight = q->w;
    const int32_t *const level = q->level;
    const int sums = mode == HX_SQUARE || mode == HX_PRODUCT;
    hx_sums left = {{0}, {0}, q->tree}, came = {{0}, {0}, NULL};
    double total = 0, count, value;
    if (!width) {
        came.tree = q->tree + 2 * (levels + 1);
        memset(q->tree, 0, (size_t)(4 * (levels + 1)) * sizeof *q->tree);
    }
    for (int64_t i = 0; i < n; i++) {
        const double w = weighted ? weight[i] : 1.0;
        hx_put(&left, width, sums, levels, level[i], w, sums ? w * v[i] : 0.0);
    }
    int64_t b = 0;
    for (int64_t a = 0; a <= n; a++) {
        while (b < n && (a == n || !(margin - (f[a] - f[b]) > 0))) {
            const double w = weighted ? weight[b] : 1.0, wv = sums ? w * v[b] : 0.0;
            hx_below(&came, width, sums, top - level[b], &count, &value);
            if (mode == HX_HINGE) out[b] += coef * w * count;
            else if (mode == HX_SQUARE)
                out[b] += 2 * coef * w * (count * (margin + v[b]) - value);
            else if (mode == HX_PRODUCT) out[b] += 2 * coef * w * (count * v[b] - value);
            else out[b] += 2 * coef * w * count;
            hx_put(&left, width, sums, levels, level[b], -w, -wv);
            b++;
        }
        if (a == n) break;
        const double w = weighted ? weight[a] : 1.0, wv = sums ? w * v[a] : 0.0;
        hx_below(&left, width, sums, level[a], &count, &value);
        if (mode == HX_HINGE) {
            total += w * count;
            out[a] -= coef * w * count;
        } else if (mode == HX_SQUARE) {
            const double slack = w * (count * (margin - v[a]) + value);
            total += slack;
            out[a] -= 2 * coef * slack;
        } else if (mode == HX_PRODUCT) out[a] += 2 * coef * w * (count * v[a] - value);
        else out[a] += 2 * coef * w * count;
        hx_put(&came, width, sums, levels, top - level[a], w, wv);
    }
    return total;
}

/* out += coef times what `mode` says, over the pairs of one query with a slack. Returns the sum of
 * the pairs' weights (HX_HINGE) or weighted slacks (HX_SQUARE), without coef. */
static double hx_sides(const hx_query *q, double margin, double coef, enum hx_pair_mode mode,
                       double *out)
{
#define HX_WIDTHS(MODE, WEIGHTED)                                                                  \
    (q->levels <= 2 ? hx_sides_of(q, margin, coef, MODE, 1, WEIGHTED, out)                         \
     : q->levels <= 5 ? hx_sides_of(q, margin, coef, MODE, 4, WEIGHTED, out)                       \
     : q->levels <= HX_FEW ? hx_sides_of(q, margin, coef, MODE, HX_FEW, WEIGHTED, out)             \
                           : hx_sides_of(q, margin, coef, MODE, 0, WEIGHTED, out))
#define HX_WEIGHTS(MODE) (q->w ? HX_WIDTHS(MODE, 1) : HX_WIDTHS(MODE, 0))
    if (q->levels < 2) return 0;
    switch (mode) {
    case HX_HINGE: return HX_WEIGHTS(HX_HINGE);
    case HX_SQUARE: return HX_WEIGHTS(HX_SQUARE);
    case HX_PRODUCT: return HX_WEIGHTS(HX_PRODUCT);
    default: return HX_WEIGHTS(HX_DEGREE);
    }
#undef HX_WEIGHTS
#undef HX_WIDTHS
}

#endif
