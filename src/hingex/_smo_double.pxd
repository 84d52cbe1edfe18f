# SPDX-License-Identifier: BSD-3-Clause
"""core/smo_double.h: sequential minimal optimization in double precision on a whole matrix."""
from libc.stdint cimport int64_t


cdef extern from "smo_double.h" nogil:
    enum:
        HX_SMO_CONVERGED
        HX_SMO_STEPS
        HX_SMO_WORK
    double HX_SMO_AT_BOUND
    ctypedef struct hx_smo_double:
        int64_t m, n, split, ld
        int apart
        int hard
        const double *K
        const double *p
        const double *lo
        const double *hi
        double *b
        double *f
        double *work
        double eps
        double goal
        int64_t steps
        double *factor
        int64_t free
        int64_t done
        int status
        double violation
        double gap
        double objective
        double square
        double floor
        double rounding
        double c[2]
        double aim
    double hx_smo_relative(const hx_smo_double *s)
    int hx_smo_double_run(hx_smo_double *s)
