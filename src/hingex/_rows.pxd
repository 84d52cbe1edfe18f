# SPDX-License-Identifier: BSD-3-Clause
from ._types cimport hx_rows


cdef class Rows:
    """X as kernels read it: a view of the caller's arrays, which it keeps alive."""
    cdef hx_rows c
    cdef readonly object arrays
    cdef public object squares      # what `_validate.squared_norms` found, or None
