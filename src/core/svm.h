/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What kernel SVMs spend their time in, once per instruction set (svm_ops.c): blocks of kernel
 * values, sums of kernel rows, and SMO on a block.
 *
 * A tile is HX_LANES examples side by side: feature k of example j at panel[k * HX_LANES + j]. Rows
 * meet a tile one after another, or four at a time when dense, and every value is the sum over
 * features in the row's order, in one accumulator: it does not depend on the tile, on the other
 * rows or on threads, and k(x, z) and k(z, x) have the same bits (CSR rows: if sorted, and not of
 * laplacian and chi2, which sum over the features of one of the two and then differ by rounding).
 */
#ifndef HX_SVM_H
#define HX_SVM_H

#include <stddef.h>
#include <stdint.h>

#include "vec.h"

#define HX_LANES 64
#define HX_GROUP 4      /* dense rows that meet a tile together */
#define HX_ABREAST 8    /* rows that are read together into a tile */

typedef struct {
    int kind;           /* position in HX_SVM_KERNELS */
    int degree;
    double gamma, coef0;
} hx_svm_kernel;

/* Examples, and how they are packed. */
typedef struct {
    const hx_rows *X;
    const double *centre;   /* d values to subtract from dense rows, or NULL */
    const void *own;        /* see svm_kernels.h; NULL: not known yet, 0 */
    int groups;             /* rows meet tiles in dense groups, else one by one by their features */
    int mapped;             /* tiles have only the features that occur in them */
} hx_svm_points;

/* Rows to meet a tile, of numbers of the tile's type. Dense (ptr == NULL): groups of HX_GROUP rows,
 * feature k of row r at val[(r / HX_GROUP * d + k) * HX_GROUP + r % HX_GROUP], zeros after the last
 * one, and room for one row more. Sparse: row r is val, idx[ptr[r]..ptr[r + 1]). */
typedef struct {
    void *val, *own;
    int32_t *idx;           /* dense: room for the features of a row, if CSR */
    int64_t *ptr;
    int64_t d;
} hx_svm_rows;

/* Examples side by side, and room to make them so: d (mapped: as many as occur) x HX_LANES in
 * panel; d in place, all -1 at first, and as many as panel has in touched, if mapped; HX_ABREAST
 * longest rows in val, and one in idx. */
typedef struct {
    void *panel, *own, *val;
    int32_t *idx, *place, *touched;
    int64_t count;          /* touched */
} hx_svm_tile;

/* Variables in two parts, positions [begin[g], end[g]), whole vectors of 8; the second may be empty.
 * Moving pairs keep their sum, or (apart) those of each part:
 *
 *     min 1/2 b'Kb - f0'b,   lo <= b <= hi,   f = f0 - Kb
 *
 * Positions that are no variables have b = lo = hi = 0 and finite values in K. */
typedef struct hx_smo {
    const float *K[2][2];   /* of the rows of a part, the columns of a part, rows `stride` apart */
    int64_t stride[2][2], begin[2], end[2];
    int apart;
    double *f, *b;
    const double *lo, *hi, *diag;
    double *up, *down;      /* room, as are: */
    double *d, *Kd;         /* the direction of the last step, and K's product with it */
    double *room;           /* 9 for each position */
    float *few;             /* the square of most + 16, finite */
    int32_t *which;         /* two for each */
    int64_t most;           /* positions that are worked on together */
    /* Where K is not there yet. block: of count[0] positions of the first part and count[1] of the
     * second, into K of few. ready: rows of `count` positions. NULL: all of K is there. */
    void (*block)(const struct hx_smo *s, const int32_t *which, const int64_t count[2],
                  const struct hx_smo *few, float *K);
    void (*ready)(const struct hx_smo *s, const int32_t *which, int64_t count);
    void *context;
    double eps;             /* stop when no pair violates by more */
    double goal;            /* and, if it is positive, at this relative duality gap, for which these
                             * must be all variables, with finite bounds, and: */
    double objective;       /* f0'b - 1/2 b'Kb + what it was for the b that f0 is of */
    int64_t steps;          /* or stop after as many */
    double violation;       /* the last one found */
    int finished;           /* out: neither for want of steps nor of progress */
} hx_smo;

struct hx_smo_double;

/* In single or in double precision. */
typedef struct {
    /* `own` of all of P, into out; room is for the longest row. */
    void (*find_own)(const hx_svm_points *P, int kind, void *room, void *out);
    void (*pack_rows)(const hx_svm_points *P, const int64_t *ids, int64_t count, hx_svm_rows *w);
    /* count <= HX_LANES; the other lanes are zero. */
    void (*pack_tile)(const hx_svm_points *P, const int64_t *ids, int64_t count, hx_svm_tile *t);
    /* Kernel values of rows begin..end-1 against a tile into out[(r - begin) * stride], HX_LANES
     * floats, or doubles. begin is a multiple of HX_GROUP. */
    void (*block)(const hx_svm_kernel *k, const hx_svm_tile *t, const hx_svm_rows *w,
                  int64_t begin, int64_t end, float *out, int64_t stride);
    void (*values)(const hx_svm_kernel *k, const hx_svm_tile *t, const hx_svm_rows *w,
                   int64_t begin, int64_t end, double *out, int64_t stride);
    size_t size;            /* of a number */
} hx_svm_type;

typedef struct {
    const char *name;
    hx_svm_type single_, double_;
    /* sum[0..m) += coef[r] * rows[r][0..m) over r. */
    void (*add_f32)(const float *const *rows, const double *coef, int64_t count, int64_t m,
                    double *sum);
    void (*add_f64)(const double *const *rows, const double *coef, int64_t count, int64_t m,
                    double *sum);
    /* For a `block` of hx_smo: K that is there, of the positions chosen in part g, the columns of
     * those in part h. */
    void (*part)(const hx_smo *s, int g, int h, const int32_t *which, const int64_t count[2],
                 const hx_smo *few, float *K);
    /* to[j * to_ld + i] = from[i * ld + j]; rows and columns are multiples of 8. */
    void (*transpose)(const float *from, int64_t ld, int64_t rows, int64_t columns, float *to,
                      int64_t to_ld);
    int64_t (*smo)(hx_smo *job);    /* steps done */
    int (*smo_double)(struct hx_smo_double *job);   /* see smo_double.h */
} hx_svm_ops;

/* For this machine, or what HINGEX_ISA allows. */
const hx_svm_ops *hx_svm_get(void);

#endif
