# SPDX-License-Identifier: BSD-3-Clause
"""OpenMP when the compiler has it, one thread when not."""

cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    #define HX_OPENMP 1
    #define HX_MAX_THREADS() omp_get_max_threads()
    #define HX_TEAM() omp_get_num_threads()
    #define HX_OPENMP_VERSION _OPENMP
    #else
    #define HX_OPENMP 0
    #define HX_MAX_THREADS() 1
    #define HX_TEAM() 1
    #define HX_OPENMP_VERSION 0
    #endif
    """
    const bint HX_OPENMP
    const int HX_OPENMP_VERSION
    int HX_MAX_THREADS() nogil
    int HX_TEAM() nogil     # threads in this parallel region
