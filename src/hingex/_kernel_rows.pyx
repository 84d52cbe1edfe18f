# SPDX-License-Identifier: BSD-3-Clause
"""Kernel values of examples, by blocks: one operand packed as rows, the other as tiles of 64.

core/svm.h has the layouts and core/svm_tile.h the loops. Values depend on the two examples and on
the precision only, not on where they are in a block or on threads.
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

import numpy as np

from ._types cimport hx_row_len


cdef extern from "svm_kernels.h" nogil:
    int HX_KERNEL_linear
    int HX_KERNEL_poly
    int HX_KERNEL_rbf
    int HX_KERNEL_sigmoid
    int HX_KERNEL_laplacian
    int HX_KERNEL_chi2

KINDS = {"linear": HX_KERNEL_linear, "poly": HX_KERNEL_poly, "rbf": HX_KERNEL_rbf,
         "sigmoid": HX_KERNEL_sigmoid, "laplacian": HX_KERNEL_laplacian, "chi2": HX_KERNEL_chi2}

cdef enum:
    MAPPED = 1024   # features from which on a tile of CSR rows has only those that occur in it

cdef enum:
    FEW = 16        # rows up to which support vectors, not they, make up tiles

cdef double DENSE = 0.4     # share of nonzeros from which on CSR rows are packed as dense ones


cdef class Points:
    """Examples and their kernel.

    Parameters
    ----------
    rows : Rows
    kind : str
        A name of `KINDS`.
    degree, gamma, coef0
        The kernel's parameters.
    exact : bool
        Whether dot products and such are in double precision, not in single.
    centre : ndarray (d,) of float64, optional
        Subtracted from dense rows, for kernels of differences: nothing but digits changes.
    shifted : bool, optional
        Whether sums of rows of a linear kernel have to be those of rows less the centre: means of
        columns are so large that they cost too many digits.
    """

    def __init__(self, Rows rows not None, kind, int degree=3, double gamma=1, double coef0=0,
                 bint exact=True, centre=None, bint shifted=False):
        cdef const double[::1] view
        if rows.c.d > 2 ** 31 - 1:
            raise ValueError("kernels take at most 2**31 - 1 features")
        self.rows = rows
        self.kernel.kind = KINDS[kind]
        self.kernel.degree, self.kernel.gamma, self.kernel.coef0 = degree, gamma, coef0
        self.ops = hx_svm_get()
        self.type = &self.ops.double_ if exact else &self.ops.single_
        self.c.X = &rows.c
        if centre is not None:
            if rows.c.is_csr or centre.shape != (rows.c.d,):
                raise ValueError("a centre has d values, for dense rows")
            self.centre = view = centre
            self.c.centre = &view[0]
        self.shifted = shifted and centre is not None
        self.c.groups = not rows.c.is_csr or (
            <double>rows.c.nnz > DENSE * <double>rows.c.n * <double>rows.c.d)
        self.c.mapped = not self.c.groups and rows.c.d > MAPPED
        self._measure()
        own = np.empty(rows.c.n, dtype=np.float64 if exact else np.float32)
        cdef void *out = <void *><size_t>own.ctypes.data
        cdef void *room = malloc(<size_t>max(1, self.longest) * self.type.size)
        if room == NULL:
            raise MemoryError("no memory for a row")
        with nogil:
            self.type.find_own(&self.c, self.kernel.kind, room, out)
        free(room)
        self.own = own
        self.c.own = out

    def _measure(self):
        """How long rows are, and how high tiles can be."""
        cdef int64_t i
        cdef int64_t[::1] view
        self.longest = self.height = self.rows.c.d
        if not self.rows.c.is_csr:
            return
        lengths = np.empty(self.rows.c.n, dtype=np.int64)
        view = lengths
        with nogil:
            for i in range(self.rows.c.n):
                view[i] = hx_row_len(&self.rows.c, i)
        self.longest = int(lengths.max(initial=0))
        if self.c.mapped:
            if len(lengths) > HX_LANES:
                lengths.partition(len(lengths) - HX_LANES)
            self.height = min(self.height, max(1, int(lengths[-HX_LANES:].sum())))

    @property
    def largest_own(self):
        """Largest of the sums that rows have with themselves: of x . x, |x| or x."""
        return float(np.max(self.own, initial=0))

    @property
    def own_sums(self):
        """Those sums, of each row."""
        return self.own

    @property
    def centre_of_rows(self):
        """What is subtracted from rows, or None."""
        return None if self.centre is None else np.asarray(self.centre)

    @property
    def linear(self):
        """Whether the kernel is the dot product itself."""
        return self.kernel.kind == HX_KERNEL_linear

    @property
    def n(self):
        return self.rows.c.n

    @property
    def width(self):
        return self.rows.c.d

    @property
    def terms(self):
        """Features that a kernel value goes through, on average."""
        if self.c.groups:
            return self.rows.c.d
        return self.rows.c.nnz / max(1, self.rows.c.n)

    @property
    def exact(self):
        return self.type.size == 8

    def values(self, const int64_t[::1] ids, Points other not None, const int64_t[::1] columns,
               double[:, ::1] out, int threads=1):
        """Kernel of the examples `ids` with examples of `other` into out.

        Both must have been made with the same kernel, precision and centre.
        """
        cdef int64_t rows = ids.shape[0], cols = columns.shape[0]
        self._check(other)
        if out.shape[0] != rows or out.shape[1] != cols:
            raise ValueError("out has the wrong shape")
        check_ids(ids, self.rows.c.n)
        check_ids(columns, other.rows.c.n)
        if rows == 0 or cols == 0:
            return
        cdef Pack pack = Pack()
        cdef Tiles tiles = Tiles(other, threads, self.c.groups)
        cdef hx_svm_points theirs = other.c
        cdef const char *there = NULL
        theirs.mapped = other.c.mapped and not self.c.groups
        pack.take(self, &ids[0], rows)
        if rows <= FEW and other.c.groups and cols == other.rows.c.n and _all_in_order(columns):
            kept = other.all_tiles()
            there = <const char *><size_t>kept.ctypes.data
        with nogil:
            _all_values(self, &theirs, &pack.c, rows, &columns[0], cols, there, tiles.c,
                        &out[0, 0], threads)

    def decide(self, const int64_t[::1] ids, Points other not None, int64_t begin, int64_t end,
               const double[:, ::1] coef, const int64_t[::1] start, const int64_t[:, ::1] output,
               double[:, ::1] out, int threads=1):
        """Sums of coefficients times kernels, for the examples begin..end-1 of other.

        The examples `ids` are in classes, class c from start[c] to start[c + 1]. out[i, o] grows
        by coef[r, k] times the kernel of i and ids[k], where o = output[c, r] for k in class c.
        Points as in `values`.
        """
        cdef int64_t count = ids.shape[0], rows = end - begin, t, total = 0
        cdef int classes = start.shape[0] - 1
        self._check(other)
        check_ids(ids, self.rows.c.n)
        if not 0 <= begin <= end <= other.rows.c.n or out.shape[0] != rows or threads < 1:
            raise ValueError("examples do not match")
        if classes < 0:
            raise ValueError("start must have an entry more than there are classes")
        if coef.shape[1] != count or output.shape[0] != classes or (
                output.shape[1] != coef.shape[0]) or start[0] != 0 or start[classes] != count:
            raise ValueError("coefficients do not match")
        for t in range(classes):
            total += start[t + 1] < start[t]
            check_ids(output[t], out.shape[1])
        if total:
            raise ValueError("classes do not match")
        if count == 0 or rows == 0 or coef.shape[0] == 0:
            return
        if rows <= FEW:
            self._decide_few(ids, other, begin, end, coef, start, output, out, threads)
            return
        cdef Pack pack = Pack()
        cdef Tiles tiles = Tiles(other, threads, self.c.groups)
        cdef decision job
        cdef double[:, ::1] sums = np.empty((threads, out.shape[1] * HX_LANES))
        pack.take(self, &ids[0], count)
        job.theirs = other.c
        job.theirs.mapped = other.c.mapped and not self.c.groups
        job.pack = &pack.c
        job.count, job.begin, job.end = count, begin, end
        job.coef, job.start, job.output = &coef[0, 0], &start[0], &output[0, 0]
        job.sets, job.outputs, job.classes = coef.shape[0], out.shape[1], classes
        job.out = &out[0, 0]
        with nogil:
            _decide_all(self, &job, tiles.c, &sums[0, 0], threads)

    cdef object all_tiles(self):
        """All examples as tiles, made once: as large as dense examples are in double precision."""
        cdef int64_t[::1] ids
        if self.kept is None:
            ids = np.arange(self.rows.c.n)
            self.kept = pack_tiles(self, &ids[0], self.rows.c.n, Tiles(self, 1))
        return self.kept

    def _decide_few(self, const int64_t[::1] ids, Points other, int64_t begin, int64_t end,
                    const double[:, ::1] coef, const int64_t[::1] start,
                    const int64_t[:, ::1] output, double[:, ::1] out, int threads):
        """As `decide`, bit for bit. Most of a tile of few rows is empty: ids are the tiles here."""
        cdef int64_t count = ids.shape[0], rows = end - begin, c, k, r, last, j
        cdef (const double *)[STEP] lines
        values = np.empty((rows, count))
        other.values(np.arange(begin, end), self, ids, values, threads)
        turned = np.zeros((count, FEW))
        turned[:, :rows] = values.T
        cdef double[:, ::1] sums = np.zeros((out.shape[1], FEW))
        cdef const double[:, ::1] view = turned
        with nogil:
            for c in range(start.shape[0] - 1):
                r = start[c]
                while r < start[c + 1]:
                    last = min(r + STEP, start[c + 1])
                    for j in range(last - r):
                        lines[j] = &view[r + j, 0]
                    for k in range(coef.shape[0]):
                        self.ops.add_f64(lines, &coef[k, r], last - r, FEW,
                                         &sums[output[c, k], 0])
                    r = last
        out_view = np.asarray(out)
        out_view += np.asarray(sums)[:, :rows].T

    cdef int _check(self, Points other) except -1:
        if self.type != other.type or self.rows.c.d != other.rows.c.d or (
                (self.centre is None) != (other.centre is None)) or (
                self.centre is not other.centre
                and not np.array_equal(np.asarray(self.centre), np.asarray(other.centre))):
            raise ValueError("points do not match")
        return 0


cdef struct decision:
    hx_svm_points theirs
    const hx_svm_rows *pack
    int64_t count, begin, end, sets, outputs
    int classes
    const double *coef
    const int64_t *start
    const int64_t *output
    double *out


cdef void _decide_all(Points P, const decision *job, hx_svm_tile *tiles, double *sums,
                      int threads) noexcept nogil:
    cdef int64_t t
    for t in prange((job.end - job.begin + HX_LANES - 1) // HX_LANES, num_threads=threads,
                    schedule="dynamic"):
        _decide(P, job, t, tiles + threadid(), sums + threadid() * job.outputs * HX_LANES)


cdef void _decide(Points P, const decision *job, int64_t t, hx_svm_tile *tile,
                  double *sums) noexcept nogil:
    cdef double[STEP * HX_LANES] block
    cdef (const double *)[STEP] lines
    cdef int64_t[HX_LANES] which
    cdef int64_t at = job.begin + t * HX_LANES, m = min(HX_LANES, job.end - at), r = 0, j, o
    cdef int64_t last, first, end, k
    cdef int c = 0, b
    for j in range(m):
        which[j] = at + j
    for j in range(STEP):
        lines[j] = block + j * HX_LANES
    P.type.pack_tile(&job.theirs, which, m, tile)
    memset(sums, 0, job.outputs * HX_LANES * sizeof(double))
    while r < job.count:
        last = min(r + STEP, job.count)
        P.type.values(&P.kernel, tile, job.pack, r, last, block, HX_LANES)
        while job.start[c + 1] <= r:
            c += 1
        b = c
        while b < job.classes and job.start[b] < last:
            first, end = max(r, job.start[b]), min(last, job.start[b + 1])
            for k in range(job.sets if first < end else 0):
                P.ops.add_f64(lines + (first - r), job.coef + k * job.count + first, end - first,
                              HX_LANES, sums + job.output[b * job.sets + k] * HX_LANES)
            b += 1
        r = last
    for j in range(m):
        for o in range(job.outputs):
            job.out[(at - job.begin + j) * job.outputs + o] += sums[o * HX_LANES + j]


cdef bint _all_in_order(const int64_t[::1] ids) noexcept:
    cdef int64_t i
    for i in range(ids.shape[0]):
        if ids[i] != i:
            return False
    return True


cdef void _all_values(Points P, const hx_svm_points *theirs, const hx_svm_rows *pack, int64_t rows,
                      const int64_t *columns, int64_t cols, const char *there, hx_svm_tile *tiles,
                      double *out, int threads) noexcept nogil:
    """`there`: the columns as tiles, see `pack_tiles`, or NULL."""
    cdef int64_t t
    for t in prange((cols + HX_LANES - 1) // HX_LANES, num_threads=threads, schedule="dynamic"):
        _values(P, theirs, pack, rows, columns, cols, t, there, tiles + threadid(), out)


cdef void _values(Points P, const hx_svm_points *theirs, const hx_svm_rows *pack, int64_t rows,
                  const int64_t *columns, int64_t cols, int64_t t, const char *there,
                  hx_svm_tile *room, double *out) noexcept nogil:
    cdef double[STEP * HX_LANES] block
    cdef int64_t at = t * HX_LANES, m = min(HX_LANES, cols - at), r = 0, i, j, end
    cdef hx_svm_tile kept = room[0]
    cdef hx_svm_tile *tile = room
    if there == NULL:
        P.type.pack_tile(theirs, columns + at, m, tile)
    else:
        place_tile(P.type, P.rows.c.d, there, t, &kept)
        tile = &kept
    while r < rows:
        end = min(r + STEP, rows)
        if m == HX_LANES:
            P.type.values(&P.kernel, tile, pack, r, end, out + r * cols + at, cols)
            r = end
            continue
        P.type.values(&P.kernel, tile, pack, r, end, block, HX_LANES)
        for i in range(end - r):
            for j in range(m):
                out[(r + i) * cols + at + j] = block[i * HX_LANES + j]
        r = end


def check_ids(const int64_t[::1] ids, int64_t n):
    """Raise unless all of `ids` are in 0..n-1."""
    cdef int64_t i
    for i in range(ids.shape[0]):
        if not 0 <= ids[i] < n:
            raise IndexError(f"example {ids[i]} of {n}")


cdef object pack_tiles(Points P, const int64_t *ids, int64_t n, Tiles room):
    """Examples packed as tiles, one after another, as bytes; P's tiles must not be mapped."""
    cdef int64_t t, tiles = (n + HX_LANES - 1) // HX_LANES
    cdef size_t size = tiles * tile_bytes(P.type, P.rows.c.d)
    cdef hx_svm_tile tile = room.c[0]
    cdef const char *at
    out = np.empty(size + 64, dtype=np.uint8)
    out = out[-out.ctypes.data % 64:][:size]
    at = <const char *><size_t>out.ctypes.data
    with nogil:
        for t in range(tiles):
            place_tile(P.type, P.rows.c.d, at, t, &tile)
            P.type.pack_tile(&P.c, ids + t * HX_LANES, min(HX_LANES, n - t * HX_LANES), &tile)
    return out


cdef class Pack:
    """Rows to meet tiles; room grows as it must, and is used again."""

    def __dealloc__(self):
        free(self.c.val)
        free(self.c.own)
        free(self.c.idx)
        free(self.c.ptr)

    cdef int take(self, Points P, const int64_t *ids, int64_t count) except -1:
        """Pack the examples `ids` of P."""
        self.make_room(P, ids, count)
        with nogil:
            P.type.pack_rows(&P.c, ids, count, &self.c)
        return 0

    cdef int make_room(self, Points P, const int64_t *ids, int64_t count) except -1:
        cdef int64_t padded = (count + HX_GROUP - 1) // HX_GROUP * HX_GROUP, total = 0, i
        if P.c.groups:
            total = (padded + 1) * P.rows.c.d
            if self.c.ptr != NULL:
                free(self.c.ptr)
                self.c.ptr, self.room_ptr = NULL, 0
            _grow(<void **>&self.c.idx, &self.room_idx, max(1, P.longest) * sizeof(int32_t))
        else:
            for i in range(count):
                total += hx_row_len(&P.rows.c, ids[i])
            _grow(<void **>&self.c.idx, &self.room_idx, max(1, total) * sizeof(int32_t))
            _grow(<void **>&self.c.ptr, &self.room_ptr, (count + 1) * sizeof(int64_t))
        _grow(&self.c.val, &self.room_val, max(1, total) * P.type.size)
        _grow(&self.c.own, &self.room_own, max(1, padded) * P.type.size)
        return 0


cdef int _grow(void **at, size_t *room, size_t wanted) except -1:
    """Have room for `wanted` bytes; what was there is lost."""
    if wanted > room[0]:
        free(at[0])
        room[0] = 0
        at[0] = malloc(wanted)
        if at[0] == NULL:
            raise MemoryError(f"no memory for {wanted} bytes of packed rows")
        room[0] = wanted
    return 0


cdef class Tiles:
    """Room for a tile of each thread; full: with all features, whatever P does."""

    def __cinit__(self, Points P not None, int threads, bint full=False):
        cdef int t
        cdef int64_t height = max(1, P.rows.c.d if full else P.height), longest = max(1, P.longest)
        cdef bint mapped = P.c.mapped and not full
        cdef size_t size = P.type.size, words = sizeof(int32_t)
        cdef size_t[6] parts = [height * HX_LANES * size, HX_LANES * size,
                                HX_ABREAST * longest * size, longest * words,
                                height * words if mapped else 0,
                                P.rows.c.d * words if mapped else 0]
        cdef size_t each = 0
        cdef char *at
        for t in range(6):
            parts[t] = (parts[t] + 63) // 64 * 64   # vectors begin where lines of the cache do
            each += parts[t]
        self.threads = threads
        self.c = <hx_svm_tile *>calloc(threads, sizeof(hx_svm_tile))
        self.memory = malloc(threads * each + 64)
        if self.c == NULL or self.memory == NULL:
            raise MemoryError(f"no memory for {threads} tiles of {each} bytes")
        at = <char *>((<size_t>self.memory + 63) // 64 * 64)
        for t in range(threads):
            self.c[t].panel = at
            self.c[t].own = at + parts[0]
            self.c[t].val = at + parts[0] + parts[1]
            at += parts[0] + parts[1] + parts[2]
            self.c[t].idx = <int32_t *>at
            at += parts[3]
            if mapped:
                self.c[t].touched = <int32_t *>at
                self.c[t].place = <int32_t *>(at + parts[4])
                memset(self.c[t].place, 0xff, parts[5])
                at += parts[4] + parts[5]

    def __dealloc__(self):
        free(self.c)
        free(self.memory)
