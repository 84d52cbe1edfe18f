/* SPDX-License-Identifier: BSD-3-Clause */
#include "dispatch.h"

#include <stdlib.h>
#include <string.h>

extern const hx_isa hx_isa_baseline;
#ifdef HX_HAVE_AVX2
extern const hx_isa hx_isa_avx2;
#endif

const hx_isa *hx_isa_get(void)
{
#ifdef HX_HAVE_AVX2
    const char *wanted = getenv("HINGEX_ISA");
    if (wanted && strcmp(wanted, "baseline") == 0) return &hx_isa_baseline;
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &hx_isa_avx2;
#endif
    return &hx_isa_baseline;
}
