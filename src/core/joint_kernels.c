/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Joint multiclass SVMs. Compiled once per instruction set with -DHX_ISA=<name>; see dispatch.h.
 */
#include "dispatch.h"
#include "joint_step.h"

#define HX_CAT_(a, b) a##b
#define HX_CAT(a, b) HX_CAT_(a, b)

double HX_CAT(hx_joint_solve_, HX_ISA)(const double *c, double *a, int64_t count, double D,
                                       double h, double upper, double cap, double guess)
{
    return hx_joint_solve_body(c, a, count, D, h, upper, cap, guess);
}

double HX_CAT(hx_joint_look_w64_, HX_ISA)(const double *f, const double *b, int64_t count,
                                          int64_t y, double margin, int relative, double *g,
                                          double *sums)
{
    return hx_joint_look_body_w64(f, b, count, y, margin, relative, g, sums);
}

double HX_CAT(hx_joint_look_w32_, HX_ISA)(const float *f, const double *b, int64_t count,
                                          int64_t y, double margin, int relative, double *g,
                                          double *sums)
{
    return hx_joint_look_body_w32(f, b, count, y, margin, relative, g, sums);
}
