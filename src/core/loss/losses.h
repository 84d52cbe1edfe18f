/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The losses by code, made from losses.def; for use outside the hottest loops.
 */
#ifndef HX_LOSSES_H
#define HX_LOSSES_H

#include "hinge.h"
#include "squared_hinge.h"

#define X(CODE, NAME) case CODE: return hx_##NAME##_value(x);
static inline double hx_loss_value(int code, double x)
{
    switch (code) {
#include "losses.def"
    }
    return NAN;
}
#undef X

#define X(CODE, NAME) case CODE: return hx_##NAME##_dual_upper(x);
static inline double hx_loss_dual_upper(int code, double x)
{
    switch (code) {
#include "losses.def"
    }
    return NAN;
}
#undef X

#define X(CODE, NAME) case CODE: return hx_##NAME##_dual_diagonal(x);
static inline double hx_loss_dual_diagonal(int code, double x)
{
    switch (code) {
#include "losses.def"
    }
    return NAN;
}
#undef X

#endif
