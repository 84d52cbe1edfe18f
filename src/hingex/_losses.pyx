# SPDX-License-Identifier: BSD-3-Clause
"""Losses over arrays of scores, threads over chunks of them; the loops are core/loss_kernels.c.

Arrays come in checked: NumPy arrays of at most two dimensions, in native byte order, of
the types of HX_VALUE_TYPES, of equal shapes. What only a pass over the data can tell, a label that
is none, is returned.
"""
from cpython.buffer cimport PyBUF_FORMAT, PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY, NAN
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset, strlen

import numpy as np

cdef extern from "losses.h" nogil:
    enum:
        HX_LOSS_CHUNK
        HX_LOSS_ROWS
        HX_F32
        HX_F64
        HX_I8
        HX_I16
        HX_I32
        HX_I64
    ctypedef struct hx_values:
        const char *data
        int type
        int64_t cols
        Py_ssize_t row_stride, stride
        double constant
    ctypedef struct hx_margin_job:
        const hx_term *terms
        int count
        hx_values y, f, w
        double scale
        int summed
        int f32
        void *value
        void *gradient
        void *curvature
        int64_t bad
    ctypedef struct hx_multiclass_job:
        int loss
        const hx_term *terms
        int count
        double coef, a, b
        int64_t K
        hx_values y, s, w
        const double *class_weight
        double scale
        int summed
        int f32
        void *value
        void *gradient
        int64_t bad

cdef extern from *:
    """
    #include "dispatch.h"
    #include "margin_losses.h"
    #include "margin_prox.h"
    static const char *const hx_margin_loss_names[] = {
    #define X(NAME) #NAME,
        HX_MARGIN_LOSSES(X)
    #undef X
    };
    #include "multiclass_losses.h"
    static const char *const hx_multiclass_loss_names[] = {
    #define X(NAME) #NAME,
        HX_MULTICLASS_LOSSES(X)
    #undef X
        NULL
    };
    static double hx_multiclass_losses(hx_multiclass_job *job, int64_t begin, int64_t end,
                                       double *room)
    {
        return hx_isa_get()->multiclass_losses(job, begin, end, room);
    }
    static double hx_margin_losses(hx_margin_job *job, int64_t begin, int64_t end)
    {
        return hx_isa_get()->margin_losses(job, begin, end);
    }
    """
    enum:
        HX_MARGIN_LOSS_COUNT
    const char **hx_margin_loss_names
    const char **hx_multiclass_loss_names
    double hx_multiclass_losses(hx_multiclass_job *job, int64_t begin, int64_t end,
                                double *room) nogil
    double hx_margin_losses(hx_margin_job *job, int64_t begin, int64_t end) nogil
    ctypedef double hx_margin_function(double t, double a, double b) noexcept nogil
    ctypedef struct hx_kink:
        double at, left, right
    hx_margin_function *hx_margin_values[1]
    hx_margin_function *hx_margin_slopes[1]
    hx_margin_function *hx_margin_curvatures[1]
    double hx_margin_sum(hx_margin_function **table, const hx_term *terms, int count,
                         double t) noexcept nogil
    double hx_margin_prox(const hx_term *terms, int count, const hx_kink *kinks, int bends,
                          double r, double q, double guess, int *kinked) noexcept nogil

cdef enum:
    MOST_KINKS = 64

MARGIN_LOSSES = tuple(hx_margin_loss_names[i].decode() for i in range(HX_MARGIN_LOSS_COUNT))

MULTICLASS_LOSSES = []
while hx_multiclass_loss_names[len(MULTICLASS_LOSSES)] != NULL:
    MULTICLASS_LOSSES.append(hx_multiclass_loss_names[len(MULTICLASS_LOSSES)].decode())

cdef dict multiclass_codes = {name: code for code, name in enumerate(MULTICLASS_LOSSES)}

cdef object empty = np.empty, float32 = np.dtype(np.float32), float64 = np.dtype(np.float64)


cdef class Terms:
    def __cinit__(self, terms):
        if not terms:
            raise ValueError("a mixture of no losses")
        self.term = <hx_term *>PyMem_Calloc(len(terms), sizeof(hx_term))
        if self.term is NULL:
            raise MemoryError
        for i, (name, coef, a, b) in enumerate(terms):
            self.term[i].loss = MARGIN_LOSSES.index(name)
            self.term[i].coef, self.term[i].a, self.term[i].b = coef, a, b
        self.count = len(terms)

    def __dealloc__(self):
        PyMem_Free(self.term)


cdef int _look_at(object array, hx_values *values, Py_buffer *buffer) except -1:
    """View an array; `buffer` is to be released."""
    cdef char kind
    cdef Py_ssize_t size
    PyObject_GetBuffer(array, buffer, PyBUF_FORMAT | PyBUF_STRIDES)
    kind, size = buffer.format[strlen(buffer.format) - 1], buffer.itemsize  # "=f" if unaligned
    if kind == b"f" or kind == b"d":
        values.type = HX_F32 if size == 4 else HX_F64
    elif size <= 2:
        values.type = HX_I8 if size == 1 else HX_I16
    else:
        values.type = HX_I32 if size == 4 else HX_I64
    values.data = <const char *>buffer.buf
    values.cols, values.row_stride, values.stride = 1, 0, size
    if buffer.ndim == 1:
        values.cols, values.stride = buffer.shape[0], buffer.strides[0]
    elif buffer.ndim == 2:
        values.cols = buffer.shape[1]
        values.row_stride, values.stride = buffer.strides[0], buffer.strides[1]
        if values.row_stride == values.cols * values.stride:    # one long row
            values.cols *= buffer.shape[0]
    return 0


def sum_of_weights(w):
    """The sum of an array (float, at most two dimensions); NaN if one is negative or not finite."""
    cdef hx_values v
    cdef Py_buffer buffer
    cdef int64_t n = w.size, i, j = 0
    cdef double total = 0, part = 0, x
    cdef float single
    cdef const char *row
    cdef bint good = True
    _look_at(w, &v, &buffer)
    row = v.data
    with nogil:
        for i in range(n):
            if v.type == HX_F32:
                memcpy(&single, row + j * v.stride, sizeof(float))
                x = single
            else:
                memcpy(&x, row + j * v.stride, sizeof(double))
            good &= 0 <= x < INFINITY
            part += x
            j += 1
            if j == v.cols:
                j, row = 0, row + v.row_stride
            if i % 512 == 511:
                total, part = total + part, 0
    PyBuffer_Release(&buffer)
    return total + part if good else NAN


def margin_losses(Terms terms not None, y, f, w, double scale, bint summed, bint value,
                  bint gradient, int threads, out=None,
                  curvature=None):
    """phi(y f) and its derivatives with respect to f, times w.

    y of -1 and +1, or one int for all, or None: +1 everywhere; w may be None. Returns the sum of
    values times `scale` (None unless `summed`), the array of values (None unless `value`), and
    derivatives times `scale` (None unless `gradient`), in `out` if that is given: a contiguous
    array like f, and apart from the others. None instead of all that: an element of y is neither -1
    nor +1. `curvature`, a contiguous array of the type and size of f, receives the second
    derivatives times `scale`.
    """
    cdef hx_margin_job job
    cdef Py_buffer[3] buffers
    cdef int held = 0
    cdef int64_t n = f.size, c, chunks = (n + HX_LOSS_CHUNK - 1) // HX_LOSS_CHUNK
    cdef double total = 0
    cdef double[::1] parts
    cdef object values = None, derivatives = None
    memset(&job, 0, sizeof(job))
    job.terms, job.count, job.scale, job.bad = terms.term, terms.count, scale, -1
    job.summed = summed
    try:
        _look_at(f, &job.f, &buffers[0])
        held = 1
        job.f32 = job.f.type == HX_F32
        if y is None:
            job.y.constant = 1
        elif type(y) is int:
            job.y.constant = y
        else:
            _look_at(y, &job.y, &buffers[held])
            held += 1
        if w is not None:
            _look_at(w, &job.w, &buffers[held])
            held += 1
        if value:
            values = empty(f.shape, float32 if job.f32 else float64)
            job.value = _address(values)
        if gradient:
            derivatives = empty(f.shape, float32 if job.f32 else float64) if out is None else out
            job.gradient = _address(derivatives)
        if curvature is not None:
            if curvature.dtype != f.dtype or curvature.size != n:
                raise ValueError("curvature does not fit f")
            job.curvature = _address(curvature)
        if chunks <= 1:
            total = hx_margin_losses(&job, 0, n) if n > 0 else 0
        else:
            parts = empty(chunks)
            with nogil:
                if threads > 1:
                    for c in prange(chunks, num_threads=threads, schedule="static"):
                        parts[c] = hx_margin_losses(&job, c * HX_LOSS_CHUNK,
                                                    min(n, (c + 1) * HX_LOSS_CHUNK))
                else:
                    for c in range(chunks):
                        parts[c] = hx_margin_losses(&job, c * HX_LOSS_CHUNK,
                                                    min(n, (c + 1) * HX_LOSS_CHUNK))
            for c in range(chunks):
                total += parts[c]
    finally:
        for c in range(held):
            PyBuffer_Release(&buffers[c])
    if job.bad >= 0:
        return None
    return total * scale if summed else None, values, derivatives


cdef int _kinks(const double[:, ::1] kinks, hx_kink *out) except -1:
    """Rows (where, slope to the left, slope to the right) as the kernel reads them."""
    cdef int k
    if kinks.shape[0] > MOST_KINKS or kinks.shape[1] != 3:
        raise ValueError(f"a loss with {kinks.shape[0]} kinks: {MOST_KINKS} are possible")
    for k in range(kinks.shape[0]):
        out[k].at, out[k].left, out[k].right = kinks[k, 0], kinks[k, 1], kinks[k, 2]
    return <int>kinks.shape[0]


def envelope(Terms terms not None, const double[:, ::1] kinks, double r, const double[::1] old,
             const double[::1] y, const double[::1] f, const double[::1] w, double[::1] s,
             double[::1] u, double[::1] signed, double[::1] curvature):
    """A smooth stand-in for phi at the margins t = y f: the envelope of phi shifted by slopes.

        psi(t) = min_s phi(s) + r/2 (s - z)^2 - old^2 / (2 r),    z = t + old / r

    Fills the minimisers s, which are also where to begin the search, the slopes u = r (z - s) of
    phi there (for psi'(t) = u = phi'(s) exactly, in the subdifferential at a kink), signed =
    -y w u and curvature = w psi''(t). Returns sum w psi(t), sum w phi(s) and sum w u s.
    """
    cdef hx_kink[MOST_KINKS] bends
    cdef int count = _kinks(kinks, bends), kinked
    cdef int64_t i, n = f.shape[0]
    cdef double total = 0, at_s = 0, products = 0, z, c, value
    if not (old.shape[0] == y.shape[0] == w.shape[0] == s.shape[0] == u.shape[0] == n
            and signed.shape[0] == curvature.shape[0] == n and r > 0):
        raise ValueError("arrays of envelope do not fit each other")
    with nogil:
        for i in range(n):
            z = y[i] * f[i] + old[i] / r
            s[i] = hx_margin_prox(terms.term, terms.count, bends, count, r, r * z, s[i], &kinked)
            # Off the kinks by the loss itself, which keeps u in the domain of the conjugate.
            u[i] = (r * (z - s[i]) if kinked
                    else hx_margin_sum(hx_margin_slopes, terms.term, terms.count, s[i]))
            c = hx_margin_sum(hx_margin_curvatures, terms.term, terms.count, s[i])
            value = hx_margin_sum(hx_margin_values, terms.term, terms.count, s[i])
            signed[i] = -(y[i] * w[i] * u[i])
            curvature[i] = w[i] * (r if kinked else r * (c / (c + r)))
            at_s += w[i] * value
            products += w[i] * u[i] * s[i]
            total += w[i] * (value + 0.5 * r * (s[i] - z) * (s[i] - z) - 0.5 * old[i] * old[i] / r)
    return total, at_s, products


def conjugates(Terms terms not None, const double[:, ::1] kinks, const double[::1] u,
               const double[::1] guess, double[::1] out):
    """out = phi*(u) for u in the domain of the conjugate; `guess` (or None) is where to begin."""
    cdef hx_kink[MOST_KINKS] bends
    cdef int count = _kinks(kinks, bends), kinked
    cdef int64_t i, n = u.shape[0]
    cdef double s
    if out.shape[0] != n or (guess is not None and guess.shape[0] != n):
        raise ValueError("arrays of conjugates do not fit each other")
    with nogil:
        for i in range(n):
            s = 0 if guess is None else guess[i]
            s = hx_margin_prox(terms.term, terms.count, bends, count, 0, u[i], s, &kinked)
            out[i] = u[i] * s - hx_margin_sum(hx_margin_values, terms.term, terms.count, s)


cdef void *_address(object array) except NULL:
    """Where the elements of a contiguous array are."""
    cdef Py_buffer buffer
    PyObject_GetBuffer(array, &buffer, PyBUF_STRIDES)
    PyBuffer_Release(&buffer)   # the caller keeps the array
    return buffer.buf


def multiclass_losses(str loss, Terms terms, double coef, double a, double b, y not None,
                      s not None, w, const double[::1] class_weight, double scale, bint summed,
                      bint value, bint gradient, int threads):
    """coef times a loss of rows of scores s (n, K) and class indices y (n,), times w (n,).

    `loss` is of MULTICLASS_LOSSES; or None, for the sum over the classes of the margin loss
    `terms`. class_weight is (K,) or None. Returns like `margin_losses`; instead, if a class index
    is out of range, its row.
    """
    cdef hx_multiclass_job job
    cdef Py_buffer[3] buffers
    cdef int held = 0
    cdef int64_t n = s.shape[0], K = s.shape[1], c
    cdef int64_t chunks = (n + HX_LOSS_ROWS - 1) // HX_LOSS_ROWS
    cdef double total = 0
    cdef int64_t own = 3 * K + 16   # numbers of a thread
    cdef double *parts
    cdef double *room
    cdef object values = None, derivatives = None
    memset(&job, 0, sizeof(job))
    if terms is not None:
        job.terms, job.count = terms.term, terms.count
    else:
        job.loss = multiclass_codes[loss]
    job.coef, job.a, job.b, job.K = coef, a, b, K
    job.scale, job.summed, job.bad = scale, summed, -1
    if class_weight is not None:
        if class_weight.shape[0] != K:
            raise ValueError("arrays of multiclass_losses do not fit each other")
        job.class_weight = &class_weight[0]
    threads = max(threads, 1)
    parts = <double *>PyMem_Malloc((chunks + threads * own) * sizeof(double))
    if parts is NULL:
        raise MemoryError
    room = parts + chunks
    try:
        _look_at(s, &job.s, &buffers[0])
        held = 1
        _look_at(y, &job.y, &buffers[1])
        held = 2
        if w is not None:
            _look_at(w, &job.w, &buffers[2])
            held = 3
        job.f32 = job.s.type == HX_F32
        if value:
            values = empty(n, float32 if job.f32 else float64)
            job.value = _address(values)
        if gradient:
            derivatives = empty((n, K), float32 if job.f32 else float64)
            job.gradient = _address(derivatives)
        with nogil:
            if threads > 1 and chunks > 1:
                for c in prange(chunks, num_threads=threads, schedule="static"):
                    parts[c] = hx_multiclass_losses(&job, c * HX_LOSS_ROWS,
                                                    min(n, (c + 1) * HX_LOSS_ROWS),
                                                    room + threadid() * own)
            else:
                for c in range(chunks):
                    parts[c] = hx_multiclass_losses(&job, c * HX_LOSS_ROWS,
                                                    min(n, (c + 1) * HX_LOSS_ROWS), room)
        for c in range(chunks):
            total += parts[c]
    finally:
        PyMem_Free(parts)
        for c in range(held):
            PyBuffer_Release(&buffers[c])
    if job.bad >= 0:
        return job.bad
    return total * scale if summed else None, values, derivatives
