/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Losses over arrays in one precision, that of the scores and of what is written. A part of
 * loss_kernels.c, which includes it with HX_REAL and HX_TYPED for each.
 */
#define real HX_REAL
#define load_run HX_TYPED(load_run)
#define load HX_TYPED(load)
#define store HX_TYPED(store)
#define multiply HX_TYPED(multiply)
#define no_sign HX_TYPED(no_sign)
#define sum HX_TYPED(hx_sum)
#define margin_block HX_TYPED(margin_block)
#define margin_blocks HX_TYPED(margin_blocks)
#define evaluate HX_TYPED(evaluate)
#define margin_losses HX_TYPED(margin_losses)
#define multiclass_row HX_TYPED(multiclass_row)
#define multiclass_rows HX_TYPED(multiclass_rows)
#define one_vs_rest HX_TYPED(one_vs_rest)
#define multiclass_losses HX_TYPED(multiclass_losses)

/* ---- arrays of any type and stride ------------------------------------------------------ */

/* n elements of a row, times y if that is given. Copied as bytes, as they need not be aligned. */
static void load_run(int type, const char *at, ptrdiff_t stride, int64_t n,
                     const real *restrict y, real *restrict out)
{
    switch (type) {
#define EACH(T, STEP, TIMES)                                                                      \
    for (int64_t j = 0; j < n; j++) {                                                             \
        T x;                                                                                      \
        memcpy(&x, at + j * (ptrdiff_t)(STEP), sizeof(T));                                        \
        out[j] = (real)x TIMES;                                                                   \
    }
#define X(CODE, T)                                                                                \
    case CODE:                                                                                    \
        if (stride == sizeof(T) && y)                                                             \
            EACH(T, sizeof(T), *y[j])                                                             \
        else if (stride == sizeof(T))                                                             \
            EACH(T, sizeof(T), )                                                                  \
        else if (y)                                                                               \
            EACH(T, stride, *y[j])                                                                \
        else                                                                                      \
            EACH(T, stride, )                                                                     \
        break;
        HX_VALUE_TYPES(X)
#undef X
#undef EACH
    }
}

/* Elements begin..begin+n-1, times y if that is given. */
static void load(const hx_values *v, int64_t begin, int64_t n, const real *y, real *out)
{
    if (!v->data) {
        for (int64_t j = 0; j < n; j++) out[j] = y ? y[j] * (real)v->constant : (real)v->constant;
        return;
    }
    int64_t row = begin < v->cols ? 0 : begin / v->cols, col = begin - row * v->cols;
    for (int64_t j = 0; j < n;) {
        const int64_t run = n - j < v->cols - col ? n - j : v->cols - col;
        load_run(v->type, v->data + row * v->row_stride + col * v->stride, v->stride, run,
                 y ? y + j : NULL, out + j);
        j += run;
        row++;
        col = 0;
    }
}

/* x times factor, and times y if that is given; no -0 from that. */
static void store(real *restrict out, int64_t n, const real *restrict x, const real *restrict y,
                  real factor)
{
    if (y)
        for (int64_t j = 0; j < n; j++) out[j] = x[j] * factor * y[j] + 0;
    else
        for (int64_t j = 0; j < n; j++) out[j] = x[j] * factor;
}

static void multiply(real *restrict x, const real *restrict w, int64_t n)
{
    for (int64_t j = 0; j < n; j++) x[j] *= w[j];
}

/* The first of n labels that is neither -1 nor +1, or -1. */
static int64_t no_sign(const real *y, int64_t n)
{
    int odd = 0;
    int64_t j = 0;
    for (int64_t i = 0; i < n; i++) odd |= !(y[i] * y[i] == 1);
    if (!odd) return -1;
    while (y[j] * y[j] == 1) j++;
    return j;
}

/* ---- margin losses ---------------------------------------------------------------------- */

/* Value, slope and curvature at n margins; each may be NULL. */
typedef void margin_block(const real *restrict t, int64_t n, real a, real b,
                          real *restrict value, real *restrict slope, real *restrict curvature);

#define X(NAME)                                                                                   \
    static void HX_TYPED(NAME##_block)(const real *restrict t, int64_t n, real a, real b,         \
                                       real *restrict value, real *restrict slope,                \
                                       real *restrict curvature)                                  \
    {                                                                                             \
        if (value && slope)                                                                       \
            for (int64_t j = 0; j < n; j++) {                                                     \
                value[j] = HX_TYPED(hx_##NAME##_value)(t[j], a, b);                               \
                slope[j] = HX_TYPED(hx_##NAME##_slope)(t[j], a, b);                               \
            }                                                                                     \
        else if (value)                                                                           \
            for (int64_t j = 0; j < n; j++) value[j] = HX_TYPED(hx_##NAME##_value)(t[j], a, b);   \
        else if (slope)                                                                           \
            for (int64_t j = 0; j < n; j++) slope[j] = HX_TYPED(hx_##NAME##_slope)(t[j], a, b);   \
        if (curvature)                                                                            \
            for (int64_t j = 0; j < n; j++)                                                       \
                curvature[j] = HX_TYPED(hx_##NAME##_curvature)(t[j], a, b);                       \
    }
HX_MARGIN_LOSSES(X)
#undef X

#define X(NAME) HX_TYPED(NAME##_block),
static margin_block *const margin_blocks[] = {HX_MARGIN_LOSSES(X)};
#undef X

/* sum_k coef_k phi_k(t), its slope and its curvature, for at most BLOCK margins. */
static void evaluate(const hx_term *terms, int count, const real *t, int64_t n, real *value,
                     real *slope, real *curvature)
{
    real v[BLOCK], s[BLOCK], c[BLOCK];
    for (int k = 0; k < count; k++) {
        const hx_term *one = terms + k;
        const real coef = (real)one->coef;
        real *to_v = value && k > 0 ? v : value, *to_s = slope && k > 0 ? s : slope;
        real *to_c = curvature && k > 0 ? c : curvature;
        margin_blocks[one->loss](t, n, (real)one->a, (real)one->b, to_v, to_s, to_c);
        if (k == 0 && coef == 1) continue;
        if (k == 0) {
            for (int64_t j = 0; value && j < n; j++) value[j] *= coef;
            for (int64_t j = 0; slope && j < n; j++) slope[j] *= coef;
            for (int64_t j = 0; curvature && j < n; j++) curvature[j] *= coef;
        } else {
            for (int64_t j = 0; value && j < n; j++) value[j] += coef * v[j];
            for (int64_t j = 0; slope && j < n; j++) slope[j] += coef * s[j];
            for (int64_t j = 0; curvature && j < n; j++) curvature[j] += coef * c[j];
        }
    }
}

static double margin_losses(hx_margin_job *job, int64_t begin, int64_t end)
{
    real y[BLOCK], t[BLOCK], w[BLOCK], value[BLOCK], slope[BLOCK], curvature[BLOCK];
    const int values = job->value || job->summed;
    double total = 0;
    for (int64_t i = begin; i < end; i += BLOCK) {
        const int64_t n = end - i < BLOCK ? end - i : BLOCK;
        load(&job->y, i, n, NULL, y);
        const int64_t bad = no_sign(y, n);
        if (bad >= 0) {
            job->bad = i + bad;
            return 0;
        }
        load(&job->f, i, n, y, t);
        evaluate(job->terms, job->count, t, n, values ? value : NULL,
                 job->gradient ? slope : NULL, job->curvature ? curvature : NULL);
        if (job->w.data) {
            load(&job->w, i, n, NULL, w);
            if (values) multiply(value, w, n);
            if (job->gradient) multiply(slope, w, n);
            if (job->curvature) multiply(curvature, w, n);
        }
        if (job->value) store((real *)job->value + i, n, value, NULL, 1);
        if (job->summed) total += sum(value, n);
        if (job->gradient) store((real *)job->gradient + i, n, slope, y, (real)job->scale);
        if (job->curvature)
            store((real *)job->curvature + i, n, curvature, NULL, (real)job->scale);
    }
    return total;
}

/* ---- multiclass losses ------------------------------------------------------------------ */

typedef double multiclass_row(real *restrict s, int64_t K, int64_t k, real a, real b,
                              real *restrict v, real *restrict g);

#define X(NAME) HX_TYPED(hx_##NAME##_row),
static multiclass_row *const multiclass_rows[] = {HX_MULTICLASS_LOSSES(X)};
#undef X

static double one_vs_rest(const hx_multiclass_job *job, real *s, int64_t k, real *v, real *g)
{
    for (int64_t j = 0; j < job->K; j++) s[j] = j == k ? s[j] : -s[j];
    for (int64_t j = 0; j < job->K; j += BLOCK) {
        const int64_t n = job->K - j < BLOCK ? job->K - j : BLOCK;
        evaluate(job->terms, job->count, s + j, n, v + j, g ? g + j : NULL, NULL);
    }
    const double total = sum(v, job->K);
    if (total != total) return HX_TYPED(hx_fill)(g, job->K, (real)total);
    for (int64_t j = 0; g && j < job->K; j++) g[j] = j == k ? g[j] : -g[j];
    return total;
}

static double multiclass_losses(hx_multiclass_job *job, int64_t begin, int64_t end, real *room)
{
    const int64_t K = job->K;
    real *const s = room, *const v = room + K, *const g = job->gradient ? room + 2 * K : NULL;
    double values[HX_LOSS_ROWS], codes[HX_LOSS_ROWS], w[HX_LOSS_ROWS];
    load_f64(&job->y, begin, end - begin, NULL, codes);
    if (job->w.data) load_f64(&job->w, begin, end - begin, NULL, w);
    for (int64_t i = begin; i < end; i++) {
        const double code = codes[i - begin];
        if (!(code >= 0 && code < K)) {
            job->bad = i;
            return 0;
        }
        const int64_t k = (int64_t)code;
        double factor = job->coef * (job->w.data ? w[i - begin] : 1), value;
        if (job->class_weight) factor *= job->class_weight[k];
        load(&job->s, i * K, K, NULL, s);
        if (job->terms)
            value = one_vs_rest(job, s, k, v, g);
        else
            value = multiclass_rows[job->loss](s, K, k, (real)job->a, (real)job->b, v, g);
        values[i - begin] = factor * value;
        if (g) store((real *)job->gradient + i * K, K, g, NULL, (real)(factor * job->scale));
        if (job->value) ((real *)job->value)[i] = (real)(factor * value);
    }
    return job->summed ? hx_sum_f64(values, end - begin) : 0;
}

#undef real
#undef load_run
#undef load
#undef store
#undef multiply
#undef no_sign
#undef sum
#undef margin_block
#undef margin_blocks
#undef evaluate
#undef margin_losses
#undef multiclass_row
#undef multiclass_rows
#undef one_vs_rest
#undef multiclass_losses
