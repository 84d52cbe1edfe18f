/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Losses over arrays: what the kernels of loss_kernels.c read and write.
 *
 * Elements are counted along the rows. They are worked on in blocks, in the precision of the scores,
 * whatever the type of the rest. A sum is double and made of the sums of chunks of HX_LOSS_CHUNK
 * elements (or HX_LOSS_ROWS rows), in order: results do not depend on strides, or on which thread
 * does which chunk.
 */
#ifndef HX_LOSSES_H
#define HX_LOSSES_H

#include <stddef.h>
#include <stdint.h>

#define HX_LOSS_BLOCK 512
#define HX_LOSS_CHUNK (64 * HX_LOSS_BLOCK)
#define HX_LOSS_ROWS 256    /* the chunk of losses of rows */

/* X(code, type) of the elements of an array */
#define HX_VALUE_TYPES(X)                                                                         \
    X(HX_F32, float)                                                                              \
    X(HX_F64, double)                                                                             \
    X(HX_I8, int8_t)                                                                              \
    X(HX_I16, int16_t)                                                                            \
    X(HX_I32, int32_t)                                                                            \
    X(HX_I64, int64_t)

#define X(CODE, T) CODE,
enum { HX_VALUE_TYPES(X) HX_VALUE_TYPE_COUNT };
#undef X

/* A strided array of one or two dimensions: element e is in row e / cols, column e % cols. */
typedef struct {
    const char *data; /* NULL: all are `constant` */
    int type;
    int64_t cols;
    ptrdiff_t row_stride, stride; /* bytes */
    double constant;
} hx_values;

/* coef times the margin loss `loss` with parameters a and b; losses are sums of these. */
typedef struct {
    double coef, a, b;
    int loss;
} hx_term;

/* phi(y f) over elements. */
typedef struct hx_margin_job {
    const hx_term *terms;
    int count;
    hx_values y, f, w;
    double scale;           /* of gradients and curvatures, besides w */
    int summed;             /* whether the sum of the values is wanted */
    int f32;                /* type of what is written */
    void *value, *gradient, *curvature; /* contiguous, or NULL if not wanted */
    int64_t bad;            /* set to an element whose y is not -1 or +1, else negative */
} hx_margin_job;

/* A loss of rows of K scores, given class indices. */
typedef struct hx_multiclass_job {
    int loss;               /* of HX_MULTICLASS_LOSSES; or, with terms, */
    const hx_term *terms;   /* the sum of a margin loss over the classes, y = +1 for the true one */
    int count;
    double coef, a, b;
    int64_t K;
    hx_values y, s, w;      /* y and w: one element per row */
    const double *class_weight;     /* (K,) or NULL */
    double scale;
    int summed;
    int f32;
    void *value, *gradient; /* contiguous (n,) and (n, K), or NULL */
    int64_t bad;            /* set to a row whose class index is out of range, else negative */
} hx_multiclass_job;

#endif
