/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Squared hinge: phi(t) = max(0, 1 - t)^2.  Conjugate phi*(-a) = -a + a^2/4 on a >= 0.
 * In the SVM dual: alpha_i >= 0 and the diagonal gains 1/(2 C_i).
 */
#ifndef HX_LOSS_SQUARED_HINGE_H
#define HX_LOSS_SQUARED_HINGE_H

#include <math.h>

static inline double hx_squared_hinge_value(double t)
{
    return t < 1 ? (1 - t) * (1 - t) : (t >= 1 ? 0 : t);
}
static inline double hx_squared_hinge_derivative(double t) { return t < 1 ? -2 * (1 - t) : 0; }
static inline double hx_squared_hinge_dual_upper(double C) { return C > 0 ? HUGE_VAL : 0; }
static inline double hx_squared_hinge_dual_diagonal(double C) { return 0.5 / C; }

#endif
