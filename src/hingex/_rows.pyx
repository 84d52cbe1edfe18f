# SPDX-License-Identifier: BSD-3-Clause
"""The rows of X as a view of the caller's arrays, and the checks that need a pass over them.

`hingex._validate` makes `Rows` objects and turns what the checks find into error messages; no
message is written here.
"""
from cpython.buffer cimport PyBUF_STRIDED_RO, PyBuffer_Release, PyObject_GetBuffer
from libc.math cimport isfinite
from libc.stdint cimport int32_t, int64_t

from ._types cimport (
    hx_indices_fit, hx_isa_get, hx_row, hx_row_start, hx_rows, hx_sqnorm, index, real,
)


cdef const void *_address(array) except? NULL:
    # Faster than __array_interface__, which makes a dict. The caller keeps the array alive.
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_STRIDED_RO)
    PyBuffer_Release(&view)
    return view.buf


cdef class Rows:
    """View of a dense array or of the three arrays of a CSR matrix.

    Parameters
    ----------
    n, d : int
        Shape.
    values : ndarray of float32 or float64
        2-D for dense data (any strides that are multiples of the item size), 1-D for CSR.
    indices, indptr : ndarray of int32 or int64, optional
        C-contiguous 1-D; None for dense data.
    """

    def __cinit__(self, Py_ssize_t n, Py_ssize_t d, values, indices=None, indptr=None):
        cdef hx_rows *c = &self.c
        self.arrays = (values, indices, indptr)
        c.n, c.d = n, d
        c.is_f32 = values.dtype.itemsize == 4
        c.val = _address(values)
        c.isa = hx_isa_get()
        c.is_csr = indices is not None
        if c.is_csr:
            c.is_i64 = indices.dtype.itemsize == 8
            c.ptr_i64 = indptr.dtype.itemsize == 8
            c.idx, c.ptr = _address(indices), _address(indptr)
            c.nnz = 0
            c.cs = 1
        else:
            c.is_i64 = 0
            c.nnz = n * d
            c.rs = values.strides[0] // values.dtype.itemsize
            c.cs = values.strides[1] // values.dtype.itemsize
            if n == 1:      # strides of an axis of length 1 mean nothing
                c.rs = d
            if d == 1:
                c.cs = 1

    @property
    def n(self):
        return self.c.n

    @property
    def d(self):
        return self.c.d

    @property
    def nnz(self):
        """Stored values."""
        return self.c.nnz

    @property
    def is_single(self):
        """Whether the values are float32, else float64."""
        return bool(self.c.is_f32)

    @property
    def is_csr(self):
        return bool(self.c.is_csr)

    def check_indptr(self, Py_ssize_t stored):
        """Row whose end lies before its start or past `stored` values; -1 when there is none.

        Must have been called, and found nothing, before any other method reads CSR rows.
        """
        cdef int64_t i, bad = -1
        cdef bint sound
        cdef hx_rows *c = &self.c
        if not c.is_csr:
            return -1
        with nogil:
            if c.ptr_i64:
                sound = _rises(<const int64_t *>c.ptr, c.n, stored)
            else:
                sound = _rises(<const int32_t *>c.ptr, c.n, stored)
            if hx_row_start(c, 0) != 0:
                bad = 0
            elif not sound:
                for i in range(c.n):
                    if hx_row_start(c, i + 1) < hx_row_start(c, i) or (
                            hx_row_start(c, i + 1) > stored):
                        bad = i
                        break
            if bad < 0:
                c.nnz = hx_row_start(c, c.n)
        return bad

    def check_indices(self):
        """Row with an index outside 0..d-1, or -1."""
        cdef int64_t bad
        if not self.c.is_csr:
            return -1
        with nogil:
            if self.c.is_i64:
                bad = _check_indices(&self.c, <const int64_t *>self.c.idx)
            else:
                bad = _check_indices(&self.c, <const int32_t *>self.c.idx)
        return bad

    def ascending(self):
        """Whether the features of every row strictly ascend."""
        cdef bint found
        if not self.c.is_csr:
            return True
        with nogil:
            if self.c.is_i64:
                found = _ascending(&self.c, <const int64_t *>self.c.idx)
            else:
                found = _ascending(&self.c, <const int32_t *>self.c.idx)
        return found

    def check_duplicates(self, int64_t[::1] seen):
        """First row that names a feature twice, or -1. `seen` is d values of -1."""
        if not self.c.is_csr:
            return -1
        if seen.shape[0] < self.c.d:
            raise ValueError("seen is shorter than the number of features")
        cdef int64_t row
        with nogil:
            if self.c.is_i64:
                row = _check_duplicates(&self.c, <const int64_t *>self.c.idx, &seen[0])
            else:
                row = _check_duplicates(&self.c, <const int32_t *>self.c.idx, &seen[0])
        return row

    def check_finite(self):
        """(row, position in the row) of the first NaN or infinity, or (-1, -1)."""
        cdef int64_t row, pos = -1
        with nogil:
            if self.c.is_f32:
                row = _check_finite(&self.c, <const float *>self.c.val, &pos)
            else:
                row = _check_finite(&self.c, <const double *>self.c.val, &pos)
        return row, pos

    def sq_norms(self, float[::1] out):
        """Squared Euclidean norm of each row into `out`; returns their mean."""
        cdef double total
        if out.shape[0] != self.c.n:
            raise ValueError("out has the wrong length")
        with nogil:
            if self.c.is_f32:
                if self.c.is_i64:
                    total = _sq_norms[float, int64_t](&self.c, &out[0])
                else:
                    total = _sq_norms[float, int32_t](&self.c, &out[0])
            elif self.c.is_i64:
                total = _sq_norms[double, int64_t](&self.c, &out[0])
            else:
                total = _sq_norms[double, int32_t](&self.c, &out[0])
        return total / self.c.n


cdef bint _rises(const index *ptr, int64_t n, int64_t end) noexcept nogil:
    # Without a branch in the loop, which has the compiler use vector instructions.
    cdef int64_t i
    cdef int falls = 0
    for i in range(n):
        falls |= ptr[i + 1] < ptr[i]
    return not falls and ptr[n] <= end


cdef int64_t _check_indices(const hx_rows *X, const index *idx) noexcept nogil:
    cdef int64_t i, start
    if hx_indices_fit(idx, X.nnz, X.d):
        return -1
    for i in range(X.n):
        start = hx_row_start(X, i)
        if not hx_indices_fit(idx + start, hx_row_start(X, i + 1) - start, X.d):
            return i
    return -1


cdef bint _ascending(const hx_rows *X, const index *idx) noexcept nogil:
    # The places where an index is not above the one before: as many as rows begin there?
    cdef int64_t i, p, descents = 0
    for p in range(1, X.nnz):
        descents += idx[p] <= idx[p - 1]
    for i in range(1, X.n):
        p = hx_row_start(X, i)
        if 0 < p < hx_row_start(X, i + 1):
            descents -= idx[p] <= idx[p - 1]
    return descents == 0


cdef int64_t _check_duplicates(const hx_rows *X, const index *idx, int64_t *seen) noexcept nogil:
    cdef int64_t i, p
    for i in range(X.n):
        for p in range(hx_row_start(X, i), hx_row_start(X, i + 1)):
            if seen[idx[p]] == i:
                return i
            seen[idx[p]] = i
    return -1


cdef int64_t _check_finite(const hx_rows *X, const real *val, int64_t *pos) noexcept nogil:
    cdef int64_t i, j, start, end
    cdef int k
    cdef real[8] zero       # eight sums: a single one would wait for each addition
    cdef real nought = 0
    if X.is_csr or (X.cs == 1 and X.rs == X.d) or (X.rs == 1 and X.cs == X.n):
        # Sums over everything: x * 0 is 0, or NaN for NaN and infinities.
        for k in range(8):
            zero[k] = 0
        j = 0
        while j + 8 <= X.nnz:
            for k in range(8):
                zero[k] += val[j + k] * nought
            j += 8
        while j < X.nnz:
            zero[0] += val[j] * nought
            j += 1
        for k in range(1, 8):
            zero[0] += zero[k]
        if zero[0] == 0:
            return -1
    for i in range(X.n):
        if X.is_csr:
            start, end = hx_row_start(X, i), hx_row_start(X, i + 1)
            for j in range(start, end):
                if not isfinite(val[j]):
                    pos[0] = j - start
                    return i
        else:
            for j in range(X.d):
                if not isfinite(val[i * X.rs + j * X.cs]):
                    pos[0] = j
                    return i
    return -1


cdef double _sq_norms(const hx_rows *X, float *out, real *tag_v=NULL,
                      index *tag_i=NULL) noexcept nogil:
    cdef const real *v
    cdef const index *idx
    cdef int64_t i, length
    cdef double total = 0, sq
    for i in range(X.n):
        length = hx_row(X, i, &v, &idx)
        sq = hx_sqnorm(X, v, idx, length)
        out[i] = <float>sq
        total += sq
    return total
