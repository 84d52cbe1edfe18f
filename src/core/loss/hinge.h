/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Hinge: phi(t) = max(0, 1 - t).  Conjugate phi*(-a) = -a on 0 <= a <= 1.
 * In the SVM dual: 0 <= alpha_i <= C_i and no quadratic term of its own.
 */
#ifndef HX_LOSS_HINGE_H
#define HX_LOSS_HINGE_H

#include <math.h>

static inline double hx_hinge_value(double t) { return t < 1 ? 1 - t : (t >= 1 ? 0 : t); }
static inline double hx_hinge_derivative(double t) { return t < 1 ? -1 : 0; }
static inline double hx_hinge_dual_upper(double C) { return C; }
static inline double hx_hinge_dual_diagonal(double C) { (void)C; return 0; }

#endif
