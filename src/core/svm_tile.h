/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Included by svm_ops.c once per type: T, INT (an integer as wide) and SUF.
 */
#define NAME(x) HX_CAT(x, SUF)
#define WIDTH (HX_BYTES / (int)sizeof(T))   /* numbers in a vector */
#if HX_BYTES == 64
#define TOGETHER 4      /* vectors of a tile at a time, for HX_GROUP rows */
#else
#define TOGETHER 2
#endif
#define ALONE (4 * TOGETHER < HX_LANES / WIDTH ? 4 * TOGETHER : HX_LANES / WIDTH)  /* for one row */

typedef T NAME(vec_) __attribute__((vector_size(HX_BYTES), aligned(sizeof(T)), may_alias));
typedef INT NAME(mask_) __attribute__((vector_size(HX_BYTES)));
#define V NAME(vec_)
#define M NAME(mask_)

static inline V NAME(absolute_)(V x)
{
    const M negative = x < 0;
    return (V)(((M)x & ~negative) | ((M)(-x) & negative));
}

#define dot_term(x, z) ((x) * (z))
#define absolute_term(x, z) NAME(absolute_)((x) - (z))
#define chi_term(x, z) (((x) - (z)) * ((x) - (z)) / ((x) + (z) + (T)1e-30))
/* Less what it comes to with z = 0. */
#define dot_excess(x, z) ((x) * (z))
#define absolute_excess(x, z) (absolute_term(x, z) - NAME(absolute_)(x))
#define chi_excess(x, z) (chi_term(x, z) - (x))
/* The next step of a row's own sum. */
#define dot_own(sum, x) HX_FUSED(x, x, sum)
#define absolute_own(sum, x) ((sum) + hx_abs(x))
#define chi_own(sum, x) ((sum) + (x))
/* Whether a feature that the tile does not have adds nothing. */
enum { NAME(dot_skips_) = 1, NAME(absolute_skips_) = 0, NAME(chi_skips_) = 0 };

static const T NAME(nothing_)[HX_LANES] = {0};

/* Four rows, or one, against a tile. */
#define DEFINE_COMPARE(NAME_)                                                                     \
    static void NAME(HX_CAT(NAME_, _dense_))(const T *panel, const T *w, int64_t d, T *out)       \
    {                                                                                             \
        for (int at = 0; at < HX_LANES; at += TOGETHER * WIDTH) {                                 \
            V acc[HX_GROUP][TOGETHER] = {{{0}}};                                                  \
            for (int64_t k = 0; k < d; k++) {                                                     \
                const V *x = (const V *)(panel + k * HX_LANES + at);                              \
                _Pragma("GCC unroll 4") for (int r = 0; r < HX_GROUP; r++)                        \
                {                                                                                 \
                    const V z = (V){0} + w[k * HX_GROUP + r];                                     \
                    _Pragma("GCC unroll 4") for (int v = 0; v < TOGETHER; v++)                    \
                        acc[r][v] += NAME_##_term(x[v], z);                                       \
                }                                                                                 \
            }                                                                                     \
            for (int r = 0; r < HX_GROUP; r++)                                                    \
                for (int v = 0; v < TOGETHER; v++)                                                \
                    ((V *)(out + r * HX_LANES + at))[v] = acc[r][v];                              \
        }                                                                                         \
    }                                                                                             \
    static void NAME(HX_CAT(NAME_, _sparse_))(const T *panel, const int32_t *place, const T *w,   \
                                              const int32_t *idx, int64_t len, T *out)            \
    {                                                                                             \
        for (int at = 0; at < HX_LANES; at += ALONE * WIDTH) {                                    \
            V acc[ALONE] = {{0}};                                                                 \
            for (int64_t j = 0; j < len; j++) {                                                   \
                const int64_t k = place ? place[idx[j]] : idx[j];                                 \
                if (NAME(NAME_##_skips_) && k < 0) continue;                                      \
                const V *x = (const V *)((k < 0 ? NAME(nothing_) : panel + k * HX_LANES) + at);   \
                const V z = (V){0} + w[j];                                                        \
                _Pragma("GCC unroll 8") for (int v = 0; v < ALONE; v++)                           \
                    acc[v] += NAME_##_excess(x[v], z);                                            \
            }                                                                                     \
            for (int v = 0; v < ALONE; v++) ((V *)(out + at))[v] = acc[v];                        \
        }                                                                                         \
    }

DEFINE_COMPARE(dot)
DEFINE_COMPARE(absolute)
DEFINE_COMPARE(chi)

/* ---- packing ------------------------------------------------------------------------------- */

/* Row i in val, and its features in idx, unless NULL; returns how many. */
static int64_t NAME(read_)(const hx_svm_points *P, int64_t i, T *restrict val,
                           int32_t *restrict idx)
{
    const hx_rows *X = P->X;
    const int64_t start = X->is_csr ? hx_row_start(X, i) : i * X->rs, len = hx_row_len(X, i);
    const ptrdiff_t s = X->is_csr ? 1 : X->cs;
    const double *c = P->centre;
#define READ(S)                                                                                   \
    do {                                                                                          \
        const S *v = (const S *)X->val + start;                                                   \
        if (c && s == 1)                                                                          \
            for (int64_t k = 0; k < len; k++) val[k] = (T)(v[k] - c[k]);                          \
        else if (c)                                                                               \
            for (int64_t k = 0; k < len; k++) val[k] = (T)(v[k * s] - c[k]);                      \
        else if (s == 1)                                                                          \
            for (int64_t k = 0; k < len; k++) val[k] = (T)v[k];                                   \
        else                                                                                      \
            for (int64_t k = 0; k < len; k++) val[k] = (T)v[k * s];                               \
    } while (0)
    if (X->is_f32) READ(float);
    else READ(double);
#undef READ
    if (!X->is_csr || !idx) return len;
    if (X->is_i64)
        for (int64_t k = 0; k < len; k++) idx[k] = (int32_t)((const int64_t *)X->idx)[start + k];
    else
        memcpy(idx, (const int32_t *)X->idx + start, (size_t)len * sizeof *idx);
    return len;
}

/* In the order of kernel values and with their rounding, so that a row's distance from itself is 0. */
static void NAME(find_own_)(const hx_svm_points *P, int kind, void *room, void *out)
{
    T *val = (T *)room, *own = (T *)out;
    for (int64_t i = 0; i < P->X->n; i++) {
        const int64_t len = NAME(read_)(P, i, val, NULL);
        T sum = 0;
        switch (kind) {
#define X(name, compare, value)                                                                   \
    case HX_KERNEL_##name:                                                                        \
        for (int64_t k = 0; k < len; k++) sum = HX_CAT(compare, _own)(sum, val[k]);               \
        break;
            HX_SVM_KERNELS
#undef X
        }
        own[i] = sum;
    }
}

static void NAME(pack_rows_)(const hx_svm_points *P, const int64_t *ids, int64_t count,
                             hx_svm_rows *w)
{
    const int64_t d = P->X->d;
    T *val = (T *)w->val, *own = (T *)w->own;
    for (int64_t r = 0; r < count; r++) own[r] = P->own ? ((const T *)P->own)[ids[r]] : 0;
    w->d = d;
    if (!P->groups) {
        w->ptr[0] = 0;
        for (int64_t r = 0; r < count; r++) {
            const int64_t at = w->ptr[r];
            w->ptr[r + 1] = at + NAME(read_)(P, ids[r], val + at, w->idx + at);
        }
        return;
    }
    const int64_t padded = (count + HX_GROUP - 1) / HX_GROUP * HX_GROUP;
    T *buf = val + padded * d;
    for (int64_t r = 0; r < padded; r += HX_GROUP) {
        T *group = val + r * d;
        if (r + HX_GROUP > count || P->X->is_csr)
            memset(group, 0, (size_t)(HX_GROUP * d) * sizeof(T));
        for (int64_t i = r; i < r + HX_GROUP && i < count; i++) {
            const int64_t len = NAME(read_)(P, ids[i], buf, w->idx);
            if (P->X->is_csr)
                for (int64_t k = 0; k < len; k++)
                    group[(int64_t)w->idx[k] * HX_GROUP + (i - r)] += buf[k];
            else
                for (int64_t k = 0; k < d; k++) group[k * HX_GROUP + (i - r)] = buf[k];
        }
    }
}

static void NAME(pack_tile_)(const hx_svm_points *P, const int64_t *ids, int64_t count,
                             hx_svm_tile *t)
{
    const int64_t d = P->X->d;
    T *panel = (T *)t->panel, *own = (T *)t->own, *val = (T *)t->val;
    for (int64_t j = 0; j < HX_LANES; j++)
        own[j] = P->own && j < count ? ((const T *)P->own)[ids[j]] : 0;
    if (!P->X->is_csr) {
        for (int64_t j = 0; j < HX_LANES; j += HX_ABREAST) {
            for (int64_t i = 0; i < HX_ABREAST; i++)
                if (j + i < count) NAME(read_)(P, ids[j + i], val + i * d, NULL);
                else memset(val + i * d, 0, (size_t)d * sizeof(T));
            for (int64_t k = 0; k < d; k++)
                for (int i = 0; i < HX_ABREAST; i++) panel[k * HX_LANES + j + i] = val[i * d + k];
        }
        return;
    }
    if (!P->mapped) {
        memset(panel, 0, (size_t)(d * HX_LANES) * sizeof(T));
        for (int64_t j = 0; j < count; j++) {
            const int64_t len = NAME(read_)(P, ids[j], val, t->idx);
            for (int64_t k = 0; k < len; k++) panel[(int64_t)t->idx[k] * HX_LANES + j] += val[k];
        }
        return;
    }
    for (int64_t k = 0; k < t->count; k++) t->place[t->touched[k]] = -1;
    t->count = 0;
    for (int64_t j = 0; j < count; j++) {
        const int64_t len = NAME(read_)(P, ids[j], val, t->idx);
        for (int64_t k = 0; k < len; k++) {
            int32_t *place = t->place + t->idx[k];
            if (*place < 0) {
                *place = (int32_t)t->count;
                memset(panel + t->count * HX_LANES, 0, HX_LANES * sizeof(T));
                t->touched[t->count++] = t->idx[k];
            }
            panel[(int64_t)*place * HX_LANES + j] += val[k];
        }
    }
}

/* ---- values -------------------------------------------------------------------------------- */

/* The sums s of a group of rows (dense), or of one row; added is what features that the row does
 * not have come to. */
static void NAME(sums_)(int kind, const hx_svm_tile *t, const hx_svm_rows *w, int64_t r, T *out)
{
    const T *val = (const T *)w->val, *own = (const T *)t->own;
    if (!w->ptr) {
        const T *group = val + r * w->d;
        switch (kind) {
#define X(name, compare, value)                                                                   \
    case HX_KERNEL_##name:                                                                        \
        NAME(HX_CAT(compare, _dense_))((const T *)t->panel, group, w->d, out);                    \
        break;
            HX_SVM_KERNELS
#undef X
        }
        return;
    }
    const int64_t begin = w->ptr[r], len = w->ptr[r + 1] - begin;
    switch (kind) {
#define X(name, compare, value)                                                                   \
    case HX_KERNEL_##name:                                                                        \
        NAME(HX_CAT(compare, _sparse_))((const T *)t->panel, t->place, val + begin,               \
                                        w->idx + begin, len, out);                                \
        break;
        HX_SVM_KERNELS
#undef X
    }
    if (kind == HX_KERNEL_laplacian || kind == HX_KERNEL_chi2)
        for (int j = 0; j < HX_LANES; j++) out[j] += own[j];
}

/* Values of a row from its sums s. */
#define DEFINE_VALUES(OUT, ONAME)                                                                 \
    static void NAME(ONAME)(const hx_svm_kernel *k, const T *own, T b, const T *sums, OUT *out)   \
    {                                                                                             \
        const T g = (T)k->gamma, c = (T)k->coef0;                                                 \
        const int n = k->degree;                                                                  \
        (void)g, (void)c, (void)n;                                                                \
        switch (k->kind) {                                                                        \
            HX_SVM_KERNELS                                                                        \
        }                                                                                         \
    }
#define X(name, compare, value)                                                                   \
    case HX_KERNEL_##name:                                                                        \
        for (int j = 0; j < HX_LANES; j++) {                                                      \
            const T s = sums[j], a = own[j];                                                      \
            (void)a;                                                                              \
            out[j] = (value);                                                                     \
        }                                                                                         \
        break;
DEFINE_VALUES(float, finish_)
DEFINE_VALUES(double, finish_exact_)
#undef X

#define DEFINE_BLOCK(OUT, ONAME, FINISH)                                                          \
    static void NAME(ONAME)(const hx_svm_kernel *k, const hx_svm_tile *t, const hx_svm_rows *w,   \
                            int64_t begin, int64_t end, OUT *out, int64_t stride)                 \
    {                                                                                             \
        const T *own = (const T *)w->own;                                                         \
        const int step = w->ptr ? 1 : HX_GROUP;                                                   \
        T sums[HX_GROUP * HX_LANES] __attribute__((aligned(64)));                                 \
        for (int64_t r = begin; r < end; r += step) {                                             \
            NAME(sums_)(k->kind, t, w, r, sums);                                                  \
            for (int64_t i = r; i < r + step && i < end; i++)                                     \
                NAME(FINISH)(k, (const T *)t->own, own[i], sums + (i - r) * HX_LANES,             \
                             out + (i - begin) * stride);                                         \
        }                                                                                         \
    }
DEFINE_BLOCK(float, block_, finish_)
DEFINE_BLOCK(double, values_, finish_exact_)

#undef DEFINE_COMPARE
#undef DEFINE_VALUES
#undef DEFINE_BLOCK
#undef dot_term
#undef absolute_term
#undef chi_term
#undef dot_excess
#undef absolute_excess
#undef chi_excess
#undef dot_own
#undef absolute_own
#undef chi_own
#undef NAME
#undef WIDTH
#undef TOGETHER
#undef ALONE
#undef V
#undef M
