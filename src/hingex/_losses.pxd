# SPDX-License-Identifier: BSD-3-Clause

cdef extern from "losses.h" nogil:
    ctypedef struct hx_term:
        double coef, a, b
        int loss


cdef class Terms:
    """sum_k coef_k phi_k, from tuples (name of the loss, coef, a, b)."""
    cdef hx_term *term
    cdef int count
