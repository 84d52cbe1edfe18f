# SPDX-License-Identifier: BSD-3-Clause
"""Examples as kernel SVMs read them, and the C of core/svm.h."""
from libc.stdint cimport int32_t, int64_t

from ._rows cimport Rows
from ._types cimport hx_rows


cdef extern from "svm.h" nogil:
    enum:
        HX_LANES
        HX_GROUP
        HX_ABREAST
    ctypedef struct hx_svm_kernel:
        int kind
        int degree
        double gamma
        double coef0
    ctypedef struct hx_svm_points:
        const hx_rows *X
        const double *centre
        const void *own
        int groups
        int mapped
    ctypedef struct hx_svm_rows:
        void *val
        void *own
        int32_t *idx
        int64_t *ptr
        int64_t d
    ctypedef struct hx_svm_tile:
        void *panel
        void *own
        void *val
        int32_t *idx
        int32_t *place
        int32_t *touched
        int64_t count
    struct hx_smo:
        const float *K[2][2]
        int64_t stride[2][2]
        int64_t begin[2]
        int64_t end[2]
        int apart
        double *f
        double *b
        const double *lo
        const double *hi
        const double *diag
        double *up
        double *down
        double *d
        double *Kd
        double *room
        float *few
        int32_t *which
        int64_t most
        void (*block)(const hx_smo *s, const int32_t *which, const int64_t *count,
                      const hx_smo *few, float *K) noexcept nogil
        void (*ready)(const hx_smo *s, const int32_t *which, int64_t count) noexcept nogil
        void *context
        double eps
        double goal
        double objective
        int64_t steps
        double violation
        int finished
    ctypedef struct hx_svm_type:
        void (*find_own)(const hx_svm_points *P, int kind, void *room, void *out) noexcept nogil
        void (*pack_rows)(const hx_svm_points *P, const int64_t *ids, int64_t count,
                          hx_svm_rows *w) noexcept nogil
        void (*pack_tile)(const hx_svm_points *P, const int64_t *ids, int64_t count,
                          hx_svm_tile *t) noexcept nogil
        void (*block)(const hx_svm_kernel *k, const hx_svm_tile *t, const hx_svm_rows *w,
                      int64_t begin, int64_t end, float *out, int64_t stride) noexcept nogil
        void (*values)(const hx_svm_kernel *k, const hx_svm_tile *t, const hx_svm_rows *w,
                       int64_t begin, int64_t end, double *out, int64_t stride) noexcept nogil
        size_t size
    ctypedef struct hx_svm_ops:
        const char *name
        hx_svm_type single_
        hx_svm_type double_
        void (*add_f32)(const float *const *rows, const double *coef, int64_t count, int64_t m,
                        double *sum) noexcept nogil
        void (*add_f64)(const double *const *rows, const double *coef, int64_t count, int64_t m,
                        double *sum) noexcept nogil
        void (*part)(const hx_smo *s, int g, int h, const int32_t *which, const int64_t *count,
                     const hx_smo *few, float *K) noexcept nogil
        void (*transpose)(const float *from_, int64_t ld, int64_t rows, int64_t columns, float *to,
                          int64_t to_ld) noexcept nogil
        int64_t (*smo)(hx_smo *job) noexcept nogil
        int (*smo_double)(void *job) noexcept nogil     # of smo_double.h's struct
    const hx_svm_ops *hx_svm_get()


cdef enum:
    STEP = 64       # rows that meet a tile between two sums


cdef class Points:
    """Examples and their kernel."""
    cdef readonly Rows rows
    cdef hx_svm_points c
    cdef hx_svm_kernel kernel
    cdef const hx_svm_ops *ops
    cdef const hx_svm_type *type
    cdef object centre, own
    cdef readonly bint shifted
    cdef object kept                # all examples as tiles, see `all_tiles`
    cdef int64_t longest            # row
    cdef int64_t height             # of a tile
    cdef int _check(self, Points other) except -1
    cdef object all_tiles(self)


cdef inline size_t tile_bytes(const hx_svm_type *type, int64_t d) noexcept nogil:
    """Of a tile that has all d features, with its own sums at the end."""
    return (d + 1) * HX_LANES * type.size


cdef inline void place_tile(const hx_svm_type *type, int64_t d, const char *tiles, int64_t t,
                            hx_svm_tile *tile) noexcept nogil:
    """Have a tile be number t of those that `pack_tiles` made, or makes."""
    cdef const char *at = tiles + t * tile_bytes(type, d)
    tile.panel = <void *>at
    tile.own = <void *>(at + d * HX_LANES * type.size)


cdef object pack_tiles(Points P, const int64_t *ids, int64_t n, Tiles room)


cdef class Pack:
    """Rows to meet tiles."""
    cdef hx_svm_rows c
    cdef size_t room_val, room_idx, room_ptr, room_own
    cdef int make_room(self, Points P, const int64_t *ids, int64_t count) except -1
    cdef int take(self, Points P, const int64_t *ids, int64_t count) except -1


cdef class Tiles:
    """Room for a tile of each thread."""
    cdef hx_svm_tile *c
    cdef void *memory
    cdef readonly int threads
