/* SPDX-License-Identifier: BSD-3-Clause */
#include "dispatch.h"

#include "svm.h"

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

extern const hx_svm_ops hx_svm_baseline;
#ifdef HX_HAVE_AVX2
extern const hx_svm_ops hx_svm_avx2, hx_svm_avx512;
#endif

const hx_svm_ops *hx_svm_get(void)
{
#ifdef HX_HAVE_AVX2
    const char *wanted = getenv("HINGEX_ISA");
    if (hx_isa_get() == &hx_isa_baseline) return &hx_svm_baseline;
    if (!(wanted && strcmp(wanted, "avx2") == 0) && __builtin_cpu_supports("avx512f")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512bw"))
        return &hx_svm_avx512;
    return &hx_svm_avx2;
#endif
    return &hx_svm_baseline;
}
