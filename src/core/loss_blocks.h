/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Losses over arrays in one precision, that of the scores and of what is written. A part of
 * loss_kernels.c, which includes it with HX_REAL and HX_TYPED for each.
 */
#define real HX_REAL
#define load_run HX_TYPED(load_run)
#define load HX_TYPED(load)
#define in_place HX_TYPED(in_place)
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

/* n elements of a row. Copied as bytes, as they need not be aligned. */
static void load_run(int type, const char *at, ptrdiff_t stride, int64_t n, real *restrict out)
{
    switch (type) {
#define EACH(T, STEP)                                                                             \
    for (int64_t j = 0; j < n; j++) {                                                             \
        T x;                                                                                      \
        memcpy(&x, at + j * (ptrdiff_t)(STEP), sizeof(T));                                        \
        out[j] = (real)x;                                                                         \
    }
#define X(CODE, T)                                                                                \
    case CODE:                                                                                    \
        if (stride == sizeof(T))                                                                  \
            EACH(T, sizeof(T))                                                                    \
        else                                                                                      \
            EACH(T, stride)                                                                       \
        break;
        HX_VALUE_TYPES(X)
#undef X
#undef EACH
    }
}

/* Elements begin..begin+n-1. */
static void load(const hx_values *v, int64_t begin, int64_t n, real *out)
{
    if (!v->data) {
        for (int64_t j = 0; j < n; j++) out[j] = (real)v->constant;
        return;
    }
    int64_t row = begin < v->cols ? 0 : begin / v->cols, col = begin - row * v->cols;
    for (int64_t j = 0; j < n;) {
        const int64_t run = n - j < v->cols - col ? n - j : v->cols - col;
        load_run(v->type, v->data + row * v->row_stride + col * v->stride, v->stride, run, out + j);
        j += run;
        row++;
        col = 0;
    }
}

/* Elements begin..begin+n-1: where they lie, if that is side by side in this precision, else
 * copied to `room`. */
static const real *in_place(const hx_values *v, int64_t begin, int64_t n, real *room)
{
    const int type = sizeof(real) == sizeof(float) ? HX_F32 : HX_F64;
    if (v->data && v->type == type && v->stride == sizeof(real)) {
        const int64_t row = begin < v->cols ? 0 : begin / v->cols, col = begin - row * v->cols;
        const char *at = v->data + row * v->row_stride + col * v->stride;
        if (col + n <= v->cols && (uintptr_t)at % sizeof(real) == 0) return (const real *)at;
    }
    load(v, begin, n, room);
    return room;
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

/* Values at n margins y f, and slopes times factor times y, and curvatures; each may be NULL. As y
 * is -1 or +1 the last product is exact, and adding 0 leaves no -0. */
typedef void margin_block(const real *restrict y, const real *restrict f, int64_t n, real a, real b,
                          real factor, real *restrict value, real *restrict slope,
                          real *restrict curvature);

#define X(NAME)                                                                                   \
    static void HX_TYPED(NAME##_block)(const real *restrict y, const real *restrict f, int64_t n, \
                                       real a, real b, real factor, real *restrict value,         \
                                       real *restrict slope, real *restrict curvature)            \
    {                                                                                             \
        if (value && slope)                                                                       \
            for (int64_t j = 0; j < n; j++) {                                                     \
                const real t = y[j] * f[j];                                                       \
                value[j] = HX_TYPED(hx_##NAME##_value)(t, a, b);                                  \
                slope[j] = HX_FMA(HX_TYPED(hx_##NAME##_slope)(t, a, b) * factor, y[j], (real)0);  \
            }                                                                                     \
        else if (value)                                                                           \
            for (int64_t j = 0; j < n; j++)                                                       \
                value[j] = HX_TYPED(hx_##NAME##_value)(y[j] * f[j], a, b);                        \
        else if (slope)                                                                           \
            for (int64_t j = 0; j < n; j++)                                                       \
                slope[j] = HX_FMA(HX_TYPED(hx_##NAME##_slope)(y[j] * f[j], a, b) * factor, y[j],  \
                                  (real)0);                                                       \
        if (curvature)                                                                            \
            for (int64_t j = 0; j < n; j++)                                                       \
                curvature[j] = HX_TYPED(hx_##NAME##_curvature)(y[j] * f[j], a, b);                \
    }
HX_MARGIN_LOSSES(X)
#undef X

#define X(NAME) HX_TYPED(NAME##_block),
static margin_block *const margin_blocks[] = {HX_MARGIN_LOSSES(X)};
#undef X

/* sum_k coef_k phi_k(y f), its derivative times `scale`, and its curvature, for at most BLOCK
 * scores. */
static void evaluate(const hx_term *terms, int count, const real *y, const real *f, int64_t n,
                     double scale, real *value, real *slope, real *curvature)
{
    real v[BLOCK], s[BLOCK], c[BLOCK];
    for (int k = 0; k < count; k++) {
        const hx_term *one = terms + k;
        const real coef = (real)one->coef;
        real *to_v = value && k > 0 ? v : value, *to_s = slope && k > 0 ? s : slope;
        real *to_c = curvature && k > 0 ? c : curvature;
        margin_blocks[one->loss](y, f, n, (real)one->a, (real)one->b, (real)(one->coef * scale),
                                 to_v, to_s, to_c);
        if (k == 0) {
            for (int64_t j = 0; value && coef != 1 && j < n; j++) value[j] *= coef;
            for (int64_t j = 0; curvature && coef != 1 && j < n; j++) curvature[j] *= coef;
        } else {
            for (int64_t j = 0; value && j < n; j++) value[j] += coef * v[j];
            for (int64_t j = 0; slope && j < n; j++) slope[j] += s[j];
            for (int64_t j = 0; curvature && j < n; j++) curvature[j] += coef * c[j];
        }
    }
}

static double margin_losses(hx_margin_job *job, int64_t begin, int64_t end)
{
    real y_room[BLOCK], f_room[BLOCK], w_room[BLOCK], v_room[BLOCK];
    const int weighted = job->w.data != NULL;
    double total = 0;
    for (int64_t i = begin; i < end; i += BLOCK) {
        const int64_t n = end - i < BLOCK ? end - i : BLOCK;
        real *value = job->value ? (real *)job->value + i : (job->summed ? v_room : NULL);
        real *slope = job->gradient ? (real *)job->gradient + i : NULL;
        const real *y = in_place(&job->y, i, n, y_room), *f = in_place(&job->f, i, n, f_room);
        const int64_t bad = no_sign(y, n);
        if (bad >= 0) {
            job->bad = i + bad;
            return 0;
        }
        real *curvature = job->curvature ? (real *)job->curvature + i : NULL;
        evaluate(job->terms, job->count, y, f, n, weighted ? 1 : job->scale, value, slope,
                 curvature);
        if (weighted) {
            const real *w = in_place(&job->w, i, n, w_room), scale = (real)job->scale;
            if (value) multiply(value, w, n);
            for (int64_t j = 0; slope && j < n; j++) slope[j] = slope[j] * w[j] * scale + 0;
            if (curvature) multiply(curvature, w, n);
        }
        if (job->summed) total += sum(value, n);
        for (int64_t j = 0; curvature && j < n; j++) curvature[j] *= (real)job->scale;
    }
    return total;
}

/* ---- multiclass losses ------------------------------------------------------------------ */

typedef double multiclass_row(real *restrict s, int64_t K, int64_t k, real a, real b,
                              real *restrict v, real *restrict g);

#define X(NAME) HX_TYPED(hx_##NAME##_row),
static multiclass_row *const multiclass_rows[] = {HX_MULTICLASS_LOSSES(X)};
#undef X

static double one_vs_rest(const hx_multiclass_job *job, const real *s, int64_t k, real *v, real *g)
{
    real y[BLOCK];
    for (int64_t j = 0; j < job->K; j += BLOCK) {
        const int64_t n = job->K - j < BLOCK ? job->K - j : BLOCK;
        for (int64_t i = 0; i < n; i++) y[i] = j + i == k ? 1 : -1;
        evaluate(job->terms, job->count, y, s + j, n, 1, v + j, g ? g + j : NULL,
                 NULL);
    }
    const double total = sum(v, job->K);
    return total != total ? HX_TYPED(hx_fill)(g, job->K, (real)total) : total;
}

static double multiclass_losses(hx_multiclass_job *job, int64_t begin, int64_t end, real *room)
{
    const int64_t K = job->K;
    real *const s = room, *const v = room + K, *const g = job->gradient ? room + 2 * K : NULL;
    double values[HX_LOSS_ROWS], codes[HX_LOSS_ROWS], w[HX_LOSS_ROWS];
    load_f64(&job->y, begin, end - begin, codes);
    if (job->w.data) load_f64(&job->w, begin, end - begin, w);
    for (int64_t i = begin; i < end; i++) {
        const double code = codes[i - begin];
        if (!(code >= 0 && code < K)) {
            job->bad = i;
            return 0;
        }
        const int64_t k = (int64_t)code;
        double factor = job->coef * (job->w.data ? w[i - begin] : 1), value;
        if (job->class_weight) factor *= job->class_weight[k];
        load(&job->s, i * K, K, s);
        if (job->terms)
            value = one_vs_rest(job, s, k, v, g);
        else
            value = multiclass_rows[job->loss](s, K, k, (real)job->a, (real)job->b, v, g);
        values[i - begin] = factor * value;
        if (g) {
            real *restrict out = (real *)job->gradient + i * K;
            const real times = (real)(factor * job->scale);
            for (int64_t j = 0; j < K; j++) out[j] = g[j] * times + 0; /* no -0 */
        }
        if (job->value) ((real *)job->value)[i] = (real)(factor * value);
    }
    return job->summed ? hx_sum_f64(values, end - begin) : 0;
}

#undef real
#undef load_run
#undef load
#undef in_place
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
