/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Losses over arrays. Compiled once per instruction set with -DHX_ISA=<name>; see dispatch.h.
 */
#include "dispatch.h"
#include "losses.h"
#include "margin_losses.h"
#include "multiclass_losses.h"

#define HX_CAT_(a, b) a##b
#define HX_CAT(a, b) HX_CAT_(a, b)

enum { BLOCK = HX_LOSS_BLOCK };

#define HX_REAL double
#define HX_TYPED(NAME) NAME##_f64
#include "loss_blocks.h"
#undef HX_REAL
#undef HX_TYPED
#define HX_REAL float
#define HX_TYPED(NAME) NAME##_f32
#include "loss_blocks.h"
#undef HX_REAL
#undef HX_TYPED

double HX_CAT(hx_margin_losses_, HX_ISA)(hx_margin_job *job, int64_t begin, int64_t end)
{
    return job->f32 ? margin_losses_f32(job, begin, end) : margin_losses_f64(job, begin, end);
}

double HX_CAT(hx_multiclass_losses_, HX_ISA)(hx_multiclass_job *job, int64_t begin, int64_t end,
                                             double *room)
{
    return job->f32 ? multiclass_losses_f32(job, begin, end, (float *)room)
                    : multiclass_losses_f64(job, begin, end, room);
}
