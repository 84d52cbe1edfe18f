/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Kernels that exist once per instruction set, as a table chosen by cpuid. HINGEX_ISA=baseline
 * (or avx2) in the environment overrides the choice.
 *
 * "dot" and "axpy" work on dense contiguous rows. The "lanes" kernels serve one-vs-rest: W is
 * feature-major (feature f starts at W + f*ld), and each nonzero of a row touches `lanes`
 * contiguous weights. They multiply and add lane by lane in the order of the row, without fused
 * multiply-add, so a lane's result has the same bits in every instruction set, in whichever
 * block of lanes it is computed.
 */
#ifndef HX_DISPATCH_H
#define HX_DISPATCH_H

#include <stddef.h>
#include <stdint.h>

#define HX_PANEL 8

/* Types of values, indices and weights that the lanes kernels exist for. */
#define HX_LANES_TYPES                                                                            \
    X(float, int32_t, f32_i32, double, w64)                                                       \
    X(float, int64_t, f32_i64, double, w64)                                                       \
    X(double, int32_t, f64_i32, double, w64)                                                      \
    X(double, int64_t, f64_i64, double, w64)                                                      \
    X(float, int32_t, f32_i32, float, w32)                                                        \
    X(float, int64_t, f32_i64, float, w32)                                                        \
    X(double, int32_t, f64_i32, float, w32)                                                       \
    X(double, int64_t, f64_i64, float, w32)

struct hx_rows;
struct hx_hinge;
struct hx_margin_job;
struct hx_multiclass_job;
#define HX_CSR_SCORES(NAME)                                                                       \
    int (*NAME)(const struct hx_rows *X, int64_t begin, int64_t end, const double *w, double *out)

typedef struct {
    const char *name;
    double (*dot_f32)(const float *x, const double *w, int64_t n);
    double (*dot_f64)(const double *x, const double *w, int64_t n);
    void (*axpy_f32)(double a, const float *x, double *w, int64_t n);
    void (*axpy_f64)(double a, const double *x, double *w, int64_t n);
    /* sum_j v[j] w[idx[j]] of a CSR row. */
    double (*gather_dot_f32_i32)(const float *v, const int32_t *idx, int64_t len, const double *w);
    double (*gather_dot_f32_i64)(const float *v, const int64_t *idx, int64_t len, const double *w);
    double (*gather_dot_f64_i32)(const double *v, const int32_t *idx, int64_t len, const double *w);
    double (*gather_dot_f64_i64)(const double *v, const int64_t *idx, int64_t len, const double *w);
    /* One row: len values v[0], v[vs], ...; idx == NULL means features 0..len-1 (dense). "scores"
     * is "dot" for CSR rows, with weights fetched early: idx[0..known) may be read, len of them
     * belong to this row and the others to the next ones. */
#define X(T, I, SUF, W_T, WS)                                                                     \
    void (*lanes_dot_##SUF##_##WS)(const T *v, ptrdiff_t vs, const I *idx, int64_t len,           \
                                   const W_T *W, ptrdiff_t ld, int64_t lanes, W_T *out);          \
    void (*lanes_scores_##SUF##_##WS)(const T *v, const I *idx, int64_t len, int64_t known,       \
                                      const W_T *W, ptrdiff_t ld, int64_t lanes, W_T *out);       \
    void (*lanes_axpy_##SUF##_##WS)(const T *v, ptrdiff_t vs, const I *idx, int64_t len,          \
                                    const W_T *delta, int64_t lanes, W_T *W, ptrdiff_t ld);
    HX_LANES_TYPES
#undef X
    /* out[i - begin] = x_i . w for the rows begin..end-1 of a CSR matrix of these types. `out` has
     * room for three more numbers. Returns whether all indices are in 0..d-1; no others are used. */
    HX_CSR_SCORES(csr_scores_f32_i32);
    HX_CSR_SCORES(csr_scores_f32_i64);
    HX_CSR_SCORES(csr_scores_f64_i32);
    HX_CSR_SCORES(csr_scores_f64_i64);
    /* G += sign * B^T B in the upper triangle of G (D x D, rows `ld` apart), nothing below it. B
     * has `rows` rows and lies in panels of HX_PANEL columns: element (i, j) at panels[(j / HX_PANEL * capacity + i) * HX_PANEL + j % HX_PANEL], zero for
     * the columns past D. One thread and a fixed order, which no BLAS promises. */
    void (*gram)(const double *panels, int64_t capacity, int64_t rows, int64_t D, double sign,
                 double *G, int64_t ld);
    /* Passes over the rows for the hinge loss, see hinge.h and isa_kernels.c. */
    void (*hinge_look)(struct hx_hinge *job, double size, double width);
    void (*hinge_aim)(struct hx_hinge *job, const double *f, double width);
    void (*hinge_slope)(const struct hx_hinge *job, double size, double out[2]);
    void (*hinge_widths)(const struct hx_hinge *job, const double *widths, int64_t *counts);
    /* Elements begin..end-1 of the job; the sum of their values. */
    double (*margin_losses)(struct hx_margin_job *job, int64_t begin, int64_t end);
    /* The same of rows, at most HX_LOSS_ROWS of them; `room` is for 3 K numbers. */
    double (*multiclass_losses)(struct hx_multiclass_job *job, int64_t begin, int64_t end,
                                double *room);
    /* One row of a joint multiclass SVM; see joint_step.h. */
    double (*joint_solve)(const double *c, double *a, int64_t count, double D, double h,
                          double upper, double cap, double guess);
    double (*joint_look_w64)(const double *f, const double *b, int64_t count, int64_t y,
                             double margin, int relative, double *g, double *sums);
    double (*joint_look_w32)(const float *f, const double *b, int64_t count, int64_t y,
                             double margin, int relative, double *g, double *sums);
    /* Viterbi's algorithm: the best path y_1..y_length through K states, its score
     *     first[y_1] + last[y_length] + sum_t scores[t ld + y_t] + sum_t trans[y_t ld + y_(t+1)].
     * Rows have ld numbers, a multiple of 8 and at least K, all of which are read; `room` is for
     * length * ld. Of several paths that with the least y_length, then y_(length-1)... */
    float (*viterbi_f32)(const float *scores, int64_t length, int64_t K, int64_t ld,
                         const float *trans, const float *first, const float *last, float *room,
                         int32_t *y);
    double (*viterbi_f64)(const double *scores, int64_t length, int64_t K, int64_t ld,
                          const double *trans, const double *first, const double *last,
                          double *room, int32_t *y);
} hx_isa;

/* The best table this machine runs, or the one HINGEX_ISA names; never NULL. */
const hx_isa *hx_isa_get(void);

static inline void hx_gram(const hx_isa *isa, const double *panels, int64_t capacity, int64_t rows,
                           int64_t D, double sign, double *G, int64_t ld)
{
    isa->gram(panels, capacity, rows, D, sign, G, ld);
}

static inline void hx_hinge_look(const hx_isa *isa, struct hx_hinge *job, double size,
                                 double width)
{
    isa->hinge_look(job, size, width);
}

static inline void hx_hinge_aim(const hx_isa *isa, struct hx_hinge *job, const double *f,
                                double width)
{
    isa->hinge_aim(job, f, width);
}

static inline void hx_hinge_slope(const hx_isa *isa, const struct hx_hinge *job, double size,
                                  double out[2])
{
    isa->hinge_slope(job, size, out);
}

static inline void hx_hinge_widths(const hx_isa *isa, const struct hx_hinge *job,
                                   const double *widths, int64_t *counts)
{
    isa->hinge_widths(job, widths, counts);
}

static inline double hx_joint_solve(const hx_isa *isa, const double *c, double *a, int64_t count,
                                    double D, double h, double upper, double cap, double guess)
{
    return isa->joint_solve(c, a, count, D, h, upper, cap, guess);
}

#define hx_viterbi(isa, scores, length, K, ld, trans, first, last, room, y)                       \
    _Generic((scores),                                                                            \
        const double *: (isa)->viterbi_f64, double *: (isa)->viterbi_f64,                         \
        default: (isa)->viterbi_f32)(scores, length, K, ld, trans, first, last, room, y)

#define hx_joint_look(isa, f, b, count, y, margin, relative, g, sums)                             \
    _Generic((f),                                                                                 \
        const double *: (isa)->joint_look_w64, double *: (isa)->joint_look_w64,                   \
        default: (isa)->joint_look_w32)(f, b, count, y, margin, relative, g, sums)

/* w += x, in double precision. */
static inline void hx_add(const hx_isa *isa, const double *x, double *w, int64_t n)
{
    isa->axpy_f64(1.0, x, w, n);
}

#endif
