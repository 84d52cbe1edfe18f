/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The passes over the rows of the method of multipliers for the hinge loss; see hinge_newton.py.
 *
 * Duals are alpha = cost * a. A row's multiplier is a = clip(v, 0, 1) with
 * v = centre + share * (1 - t) / width, and t = y f its margin. Sums are made of four sums of every
 * fourth row each, whatever the instruction set.
 */
#ifndef HX_HINGE_H
#define HX_HINGE_H

#include <stdint.h>

/* HX_HINGE_LOSS: sum cost * max(0, 1 - t);  VALUE: sum cost * a;  LINEAR: sum cost * a * (1 - t);
 * PROX: sum cost * (a - centre)^2 / share / 2, to be multiplied by the width. */
enum { HX_HINGE_LOSS, HX_HINGE_VALUE, HX_HINGE_LINEAR, HX_HINGE_PROX, HX_HINGE_SUMS };
#define HX_HINGE_WIDTHS 5

typedef struct hx_hinge {
    int64_t n;
    const double *y, *cost, *share;
    double *t, *centre;
    double *v;         /* before clipping, as of `hinge_look` */
    double *a;         /* after it */
    double *dt, *e;    /* the step's change of t, and of -v */
    double *change;    /* cost * y * (a - what a was at the last look) */
    int32_t *rows;     /* those with 0 < v < 1 and a cost, */
    double *weights;   /* and cost * share / width for each */
    double sums[HX_HINGE_SUMS];
    int64_t inside, changed;
} hx_hinge;

#endif
