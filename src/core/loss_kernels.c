/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Losses over arrays. Compiled once per instruction set with -DHX_ISA=<name>; see dispatch.h.
 */
#include "dispatch.h"
#include "losses.h"
#include "margin_losses.h"
#include "multiclass_losses.h"

#define HX_CAT_(a, b) a##b
#define HX_CAT(a, b) HX_CAT_(a, b)

enum { BLOCK = HX_LOSS_BLOCK };

/* ---- arrays of any type and stride ------------------------------------------------------ */

/* n elements of a row. Copied as bytes, because they need not be aligned. */
static void load_run(int type, const char *at, ptrdiff_t stride, int64_t n, double *restrict out)
{
    switch (type) {
#define X(CODE, T)                                                                                \
    case CODE:                                                                                    \
        if (stride == sizeof(T))                                                                  \
            for (int64_t j = 0; j < n; j++) {                                                     \
                T x;                                                                              \
                memcpy(&x, at + j * (ptrdiff_t)sizeof(T), sizeof(T));                             \
                out[j] = (double)x;                                                               \
            }                                                                                     \
        else                                                                                      \
            for (int64_t j = 0; j < n; j++) {                                                     \
                T x;                                                                              \
                memcpy(&x, at + j * stride, sizeof(T));                                           \
                out[j] = (double)x;                                                               \
            }                                                                                     \
        break;
        HX_VALUE_TYPES(X)
#undef X
    }
}

static void load(const hx_values *v, int64_t begin, int64_t n, double *restrict out)
{
    if (!v->data) {
        for (int64_t j = 0; j < n; j++) out[j] = v->constant;
        return;
    }
    int64_t row = begin < v->cols ? 0 : begin / v->cols, col = begin - row * v->cols;
    while (n > 0) {
        const int64_t run = n < v->cols - col ? n : v->cols - col;
        load_run(v->type, v->data + row * v->row_stride + col * v->stride, v->stride, run, out);
        out += run;
        n -= run;
        row++;
        col = 0;
    }
}

static void store(int f32, void *to, int64_t begin, int64_t n, const double *restrict x)
{
    if (f32) {
        float *restrict out = (float *)to + begin;
        for (int64_t j = 0; j < n; j++) out[j] = (float)x[j];
    } else {
        memcpy((double *)to + begin, x, n * sizeof(double));
    }
}

/* ---- margin losses ---------------------------------------------------------------------- */

/* Value and slope at n margins; either may be NULL. */
typedef void margin_block(const double *restrict t, int64_t n, double a, double b,
                          double *restrict value, double *restrict slope);

#define X(NAME)                                                                                   \
    static void NAME##_block(const double *restrict t, int64_t n, double a, double b,             \
                             double *restrict value, double *restrict slope)                      \
    {                                                                                             \
        if (value && slope)                                                                       \
            for (int64_t j = 0; j < n; j++) {                                                     \
                value[j] = hx_##NAME##_value(t[j], a, b);                                         \
                slope[j] = hx_##NAME##_slope(t[j], a, b);                                         \
            }                                                                                     \
        else if (value)                                                                           \
            for (int64_t j = 0; j < n; j++) value[j] = hx_##NAME##_value(t[j], a, b);             \
        else if (slope)                                                                           \
            for (int64_t j = 0; j < n; j++) slope[j] = hx_##NAME##_slope(t[j], a, b);             \
    }
HX_MARGIN_LOSSES(X)
#undef X

#define X(NAME) NAME##_block,
static margin_block *const margin_blocks[] = {HX_MARGIN_LOSSES(X)};
#undef X

/* sum_k coef_k phi_k(t), and its slope, for at most BLOCK margins. */
static void evaluate(const hx_term *terms, int count, const double *t, int64_t n, double *value,
                     double *slope)
{
    double v[BLOCK], s[BLOCK];
    const hx_term *one = terms;
    margin_blocks[one->loss](t, n, one->a, one->b, value, slope);
    if (count == 1 && one->coef == 1) return;
    for (int64_t j = 0; value && j < n; j++) value[j] *= one->coef;
    for (int64_t j = 0; slope && j < n; j++) slope[j] *= one->coef;
    for (int k = 1; k < count; k++) {
        one = terms + k;
        margin_blocks[one->loss](t, n, one->a, one->b, value ? v : NULL, slope ? s : NULL);
        for (int64_t j = 0; value && j < n; j++) value[j] += one->coef * v[j];
        for (int64_t j = 0; slope && j < n; j++) slope[j] += one->coef * s[j];
    }
}

double HX_CAT(hx_margin_losses_, HX_ISA)(hx_margin_job *job, int64_t begin, int64_t end)
{
    double y[BLOCK], t[BLOCK], w[BLOCK], value[BLOCK], slope[BLOCK], total = 0;
    const int values = job->value || job->summed;
    for (int64_t i = begin; i < end; i += BLOCK) {
        const int64_t n = end - i < BLOCK ? end - i : BLOCK;
        int odd = 0;
        load(&job->y, i, n, y);
        load(&job->f, i, n, t);
        for (int64_t j = 0; j < n; j++) odd |= !(y[j] * y[j] == 1);
        if (odd) {
            int64_t j = 0;
            while (y[j] * y[j] == 1) j++;
            job->bad = i + j;
            return 0;
        }
        for (int64_t j = 0; j < n; j++) t[j] *= y[j];
        evaluate(job->terms, job->count, t, n, values ? value : NULL,
                 job->gradient ? slope : NULL);
        if (job->w.data) load(&job->w, i, n, w);
        if (values) {
            if (job->w.data)
                for (int64_t j = 0; j < n; j++) value[j] *= w[j];
            if (job->value) store(job->f32, job->value, i, n, value);
            total += hx_sum(value, n);
        }
        if (job->gradient) {
            for (int64_t j = 0; j < n; j++) slope[j] *= y[j];
            if (job->w.data)
                for (int64_t j = 0; j < n; j++) slope[j] *= w[j];
            if (job->scale != 1)
                for (int64_t j = 0; j < n; j++) slope[j] *= job->scale;
            store(job->f32, job->gradient, i, n, slope);
        }
    }
    return total;
}

/* ---- multiclass losses ------------------------------------------------------------------ */

typedef double multiclass_row(double *restrict s, int64_t K, int64_t k, double a, double b,
                              double *restrict v, double *restrict g);

#define X(NAME) hx_##NAME##_row,
static multiclass_row *const multiclass_rows[] = {HX_MULTICLASS_LOSSES(X)};
#undef X

static double one_vs_rest(const hx_multiclass_job *job, double *s, int64_t k, double *v, double *g)
{
    for (int64_t j = 0; j < job->K; j++) s[j] = j == k ? s[j] : -s[j];
    for (int64_t j = 0; j < job->K; j += BLOCK) {
        const int64_t n = job->K - j < BLOCK ? job->K - j : BLOCK;
        evaluate(job->terms, job->count, s + j, n, v + j, g ? g + j : NULL);
    }
    const double total = hx_sum(v, job->K);
    if (total != total) return hx_fill(g, job->K, total);
    for (int64_t j = 0; g && j < job->K; j++) g[j] = j == k ? g[j] : -g[j];
    return total;
}

double HX_CAT(hx_multiclass_losses_, HX_ISA)(hx_multiclass_job *job, int64_t begin, int64_t end,
                                             double *room)
{
    const int64_t K = job->K;
    double *const s = room, *const v = room + K, *const g = job->gradient ? room + 2 * K : NULL;
    double values[HX_LOSS_ROWS], codes[HX_LOSS_ROWS], w[HX_LOSS_ROWS];
    load(&job->y, begin, end - begin, codes);
    if (job->w.data) load(&job->w, begin, end - begin, w);
    for (int64_t i = begin; i < end; i++) {
        const double code = codes[i - begin];
        if (!(code >= 0 && code < K)) {
            job->bad = i;
            return 0;
        }
        const int64_t k = (int64_t)code;
        double factor = job->coef * (job->w.data ? w[i - begin] : 1);
        if (job->class_weight) factor *= job->class_weight[k];
        load(&job->s, i * K, K, s);
        values[i - begin] = factor * (job->terms ? one_vs_rest(job, s, k, v, g)
                                                 : multiclass_rows[job->loss](s, K, k, job->a, job->b, v, g));
        if (g) {
            if (factor * job->scale != 1)
                for (int64_t j = 0; j < K; j++) g[j] *= factor * job->scale;
            store(job->f32, job->gradient, i * K, K, g);
        }
    }
    if (job->value) store(job->f32, job->value, begin, end - begin, values);
    return job->summed ? hx_sum(values, end - begin) : 0;
}
