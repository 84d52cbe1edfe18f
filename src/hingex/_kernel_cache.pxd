# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport int32_t, int64_t


cdef class RowCache:
    """Rows of the kernel that are kept, in float32, within a budget of bytes."""
    cdef int64_t clock
    cdef size_t budget
    cdef float[::1] memory
    cdef int32_t[::1] slot_of       # of an example, or -1
    cdef int64_t[::1] owner, last   # of a slot: its example, and when it was used last
    cdef readonly int64_t width     # numbers that a row has room for
    cdef readonly int64_t used, slots
    cdef int place(self, const int64_t *rows, int64_t count, int64_t columns, float **lines,
                   char *ready) except -1
    cdef int narrow(self, const int64_t *kept, int64_t count) except -1
    cdef void clear(self)
    cdef int _lay_out(self, int64_t columns) except -1
