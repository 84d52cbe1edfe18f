/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sums over the pairs of a query, by order statistics: pairs (i, j) of items with level_i > level_j
 * and slack u = margin - (f_i - f_j) > 0, in O(n log n) for n items instead of O(n^2).
 *
 * Items stand by ascending score. For a better item i those j that make a pair with slack come in
 * by descending score as i falls, so that running sums over the levels below i's are all it needs;
 * for a worse item j it is the mirror image. Running sums are kept for two levels as a number, up to
 * FEW levels for each level (without branches), above that in a Fenwick tree.
 *
 * Lee and Lin, "Large-scale linear RankSVM", Neural Computation 26, 2014, section 4.
 */
#ifndef HX_PAIRS_H
#define HX_PAIRS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

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
    const double *f;    /* scores less their mean */
    const double *v;    /* what is summed: f, or the vector of the product */
    const double *w;    /* weights of items, or NULL: all 1 */
    const int32_t *level;
    double *tree;       /* 2 (levels + 1) numbers where there are more than HX_FEW levels */
} hx_query;

/* One side of the pairs: `up` 0 has the better items, by descending score; 1 the worse ones, by
 * ascending score. Adds to out, and returns the sum over the items of w times count (HX_HINGE) or
 * of the slacks of all pairs (HX_SQUARE). */
static inline double hx_side(const hx_query *q, const double margin, const double coef,
                             const int mode, const int up, const int kind, const int weighted,
                             double *out)
{
    const int64_t n = q->n, top = q->levels - 1;
    const double *const f = q->f, *const v = q->v;
    const int sums = mode == HX_SQUARE || mode == HX_PRODUCT;
    double counts[HX_FEW + 1] = {0}, values[HX_FEW + 1] = {0}, total = 0;
    double *const tree = q->tree;
    if (kind == 2) memset(tree, 0, (size_t)(2 * (q->levels + 1)) * sizeof *tree);
    int64_t b = up ? 0 : n - 1;
    for (int64_t step = 0; step < n; step++) {
        const int64_t a = up ? step : n - 1 - step;
        while (up ? b < n && margin - (f[b] - f[a]) > 0 : b >= 0 && margin - (f[a] - f[b]) > 0) {
            /* Levels from the far side: an item counts for all those beyond its own. */
            const int64_t l = up ? top - q->level[b] : q->level[b];
            const double w = weighted ? q->w[b] : 1.0, wv = sums ? w * v[b] : 0.0;
            if (kind == 0) {
                const double first = (double)(l == 0);
                counts[1] += first * w;
                if (sums) values[1] += first * wv;
            } else if (kind == 1) {
                for (int64_t k = 1; k <= HX_FEW; k++) {
                    const double beyond = (double)(k > l);
                    counts[k] += beyond * w;
                    if (sums) values[k] += beyond * wv;
                }
            } else {
                for (int64_t k = l + 1; k <= q->levels; k += k & -k) {
                    tree[2 * k] += w;
                    tree[2 * k + 1] += wv;
                }
            }
            b += up ? 1 : -1;
        }
        const int64_t l = up ? top - q->level[a] : q->level[a];
        double count = 0, value = 0;
        if (kind == 2) {
            for (int64_t k = l; k > 0; k -= k & -k) {
                count += tree[2 * k];
                value += tree[2 * k + 1];
            }
        } else {
            count = counts[l];
            value = values[l];
        }
        const double w = weighted ? q->w[a] : 1.0;
        double slack;
        switch (mode) {
        case HX_HINGE:
            total += w * count;
            out[a] += (up ? coef : -coef) * w * count;
            break;
        case HX_SQUARE:
            slack = up ? count * (margin + f[a]) - value : count * (margin - f[a]) + value;
            total += w * slack;
            out[a] += (up ? 2 * coef : -2 * coef) * w * slack;
            break;
        case HX_PRODUCT:
            out[a] += 2 * coef * w * (count * v[a] - value);
            break;
        default:
            out[a] += 2 * coef * w * count;
        }
    }
    return total;
}

static inline double hx_sides_of(const hx_query *q, double margin, double coef, int mode, int kind,
                                 int weighted, double *out)
{
    const double total = hx_side(q, margin, coef, mode, 0, kind, weighted, out);
    hx_side(q, margin, coef, mode, 1, kind, weighted, out);
    return total;
}

/* out += coef times what `mode` says, over the pairs of one query with a slack. Returns the sum of
 * the pairs' weights (HX_HINGE) or weighted slacks (HX_SQUARE), without coef. */
static double hx_sides(const hx_query *q, double margin, double coef, enum hx_pair_mode mode,
                       double *out)
{
#define HX_KINDS(MODE, WEIGHTED)                                                                   \
    (q->levels <= 2 ? hx_sides_of(q, margin, coef, MODE, 0, WEIGHTED, out)                         \
     : q->levels <= HX_FEW ? hx_sides_of(q, margin, coef, MODE, 1, WEIGHTED, out)                  \
                           : hx_sides_of(q, margin, coef, MODE, 2, WEIGHTED, out))
#define HX_WEIGHTS(MODE) (q->w ? HX_KINDS(MODE, 1) : HX_KINDS(MODE, 0))
    if (q->levels < 2) return 0;
    switch (mode) {
    case HX_HINGE: return HX_WEIGHTS(HX_HINGE);
    case HX_SQUARE: return HX_WEIGHTS(HX_SQUARE);
    case HX_PRODUCT: return HX_WEIGHTS(HX_PRODUCT);
    default: return HX_WEIGHTS(HX_DEGREE);
    }
#undef HX_WEIGHTS
#undef HX_KINDS
}

#endif
