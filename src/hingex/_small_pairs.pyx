# SPDX-License-Identifier: BSD-3-Clause
"""All pairs of small classes: their kernels, problems and certificates, in one loop over blocks.

Examples stand by class; what is at position r is example order[r], and class c has the positions
start[c] to start[c + 1]. A block is some classes in a row, of a tile's 64 positions or one larger
class; a chunk is some classes in a row whose rows fit into the processor's cache. A unit is a block
with a chunk: kernel values of all their pairs come in one piece, in double precision, and every
pair of a class of the block with a later class of the chunk is then a small dense problem for
core/smo_double.h. Units depend on nothing but the examples, so results do not depend on threads.

The dual of position r of class c, in the problem of c and another class, is at [row, r], where row
is the place of the other class among all but c: dual_coef_ as LIBSVM has it.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport HUGE_VAL, fabs
from libc.stdint cimport int8_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import numpy as np

from ._kernel_rows cimport (
    HX_LANES, STEP, Pack, Points, Tiles, hx_svm_get, hx_svm_ops, hx_svm_points, hx_svm_rows,
    hx_svm_tile,
)
from ._smo_double cimport (
    HX_SMO_CONVERGED, HX_SMO_STEPS, HX_SMO_WORK, hx_smo_double, hx_smo_relative,
)
from ._kernel_rows import check_ids


cdef enum:
    CONVERGED, MAX_ITER, LEFT, WAITING      # of a pair: LEFT to a solver for problems of any size

cdef enum:
    ENOUGH = 20000      # steps of a pair, and
    EACH = 200          # for each of its variables, after which it is left

cdef enum:
    PAD = 8             # classes' variables are filled up to multiples of it

cdef double DOUBT = 0.2     # share of tol that rounding may come to


cdef struct batch:
    const hx_svm_ops *ops
    hx_svm_points points
    int64_t K, N, most              # classes, positions, variables of a pair that is not left
    const int64_t *start
    const int64_t *order
    const double *cost              # of positions: largest |b|
    const double *warm              # duals to start from, or NULL
    double *own                     # kernels within classes, class c at own_at[c]
    const int64_t *own_at
    double tol, nu, radius, spread  # nu: 0 for C-SVC; spread: rounding of a kernel value, relative
    bint hard
    int64_t steps
    double *strip                   # of each thread: a chunk's rows, `width` apart; as are
    double *square                  # the kernel of a pair, and its decomposition,
    double *vector                  # and WORK + 5 vectors of a pair
    int64_t strip_size, width, m
    double *dual                    # (K - 1) x N, as is kind
    int8_t *kind
    double *intercept               # of pairs, as are
    double *objective
    double *gap
    double *relative
    double *violation
    double *square_norm
    double *bound
    int64_t *done
    uint8_t *status


cdef inline int64_t _pair_number(int64_t K, int64_t i, int64_t j) noexcept nogil:
    return i * (2 * K - i - 1) // 2 + j - i - 1


cdef class Batch:
    """Problems of all pairs of classes, and what came of them.

    Parameters
    ----------
    points : Points or None
        In double precision; None if kernel values are given to `run_given` and `own_given`.
    order, start : ndarray (N,), (K + 1,) of int64
    cost : ndarray (N,) of float64
        inf with `hard`.
    most : int
        Rows of a pair; larger ones are not solved.
    tol, nu, radius, spread : float
        nu > 0 is NuSVC's. radius: Joachims' R^2, inf if it is not known. spread: errors of kernel
        values, relative to the largest.
    steps : int
        Of a pair, at most; 0 for no limit.
    hard : bool
    chunk : int
        Rows of a chunk.
    threads : int
    warm : ndarray (K - 1, N) of float64, optional

    Attributes
    ----------
    dual, kind : ndarray (K - 1, N) of float64, of int8
    intercept, objective, gap, relative, violation, square, bound : ndarray (pairs,) of float64
    done : ndarray (pairs,) of int64
    status : ndarray (pairs,) of uint8
        CONVERGED, MAX_ITER, LEFT, or WAITING: no pair of small classes, or not begun.
    """

    cdef Points points
    cdef batch c
    cdef object kept                # arrays that c points to
    cdef readonly object dual, kind, intercept, objective, gap, relative, violation, square, bound
    cdef readonly object done, status, blocks, chunks, units
    cdef object space               # arrays of workspace that c points to
    cdef int threads
    cdef list packs
    cdef hx_svm_rows *rows          # of the packs
    cdef Tiles tiles

    def __cinit__(self, *args, **named):
        self.rows = NULL

    def __dealloc__(self):
        free(self.rows)

    def __init__(self, Points points, const int64_t[::1] order, const int64_t[::1] start,
                 const double[::1] cost, int64_t most, double tol, double nu, double radius,
                 double spread, int64_t steps, bint hard, int64_t chunk, int threads, warm=None):
        cdef int64_t K = start.shape[0] - 1, N = order.shape[0]
        if K < 2 or N == 0 or cost.shape[0] != N or start[0] != 0 or start[K] != N or threads < 1:
            raise ValueError("arrays do not match")
        sizes = np.diff(start)
        if sizes.min() < 1:
            raise ValueError("a class has no examples")
        if points is not None:
            check_ids(order, points.rows.c.n)
            if not points.exact:
                raise ValueError("points must be in double precision")
        self.points, self.threads, self.c.ops = points, threads, hx_svm_get()
        self._outcome(K, N)
        own_at = np.zeros(K + 1, dtype=np.int64)
        np.cumsum(np.where(sizes < most, sizes**2, 0), out=own_at[1:])
        own = np.empty(max(1, own_at[K]))
        cdef double[::1] own_view = own
        cdef const int64_t[::1] at_view = own_at
        cdef const double[:, ::1] warm_view
        self.c.K, self.c.N, self.c.most = K, N, most
        self.c.start, self.c.order, self.c.cost = &start[0], &order[0], &cost[0]
        self.c.own, self.c.own_at = &own_view[0], &at_view[0]
        self.c.tol, self.c.nu, self.c.radius, self.c.spread = tol, nu, radius, spread
        self.c.hard, self.c.steps = hard, steps
        if warm is not None:
            warm_view = warm
            if warm_view.shape[0] != K - 1 or warm_view.shape[1] != N:
                raise ValueError("duals do not match")
            self.c.warm = &warm_view[0, 0]
        self.kept = (order, start, cost, own, own_at, warm)
        self._cut(sizes, chunk)
        self._make_space(sizes)

    def _outcome(self, K, N):
        """Arrays for what comes of the pairs, as if none of them had a support vector."""
        cdef int64_t P = K * (K - 1) // 2
        cdef double[::1] a, b, c, d, e, f, g
        cdef double[:, ::1] dual
        cdef int8_t[:, ::1] kind
        cdef int64_t[::1] done
        cdef uint8_t[::1] status
        self.dual, self.kind = np.zeros((K - 1, N)), np.zeros((K - 1, N), dtype=np.int8)
        self.intercept, self.objective, self.square = np.zeros(P), np.zeros(P), np.zeros(P)
        self.gap, self.violation = np.full(P, np.inf), np.full(P, np.inf)
        self.relative, self.bound = np.full(P, np.inf), np.zeros(P)
        self.done, self.status = np.zeros(P, dtype=np.int64), np.full(P, WAITING, dtype=np.uint8)
        dual, kind, done, status = self.dual, self.kind, self.done, self.status
        a, b, c, d = self.intercept, self.objective, self.gap, self.relative
        e, f, g = self.violation, self.square, self.bound
        self.c.dual, self.c.kind, self.c.done = &dual[0, 0], &kind[0, 0], &done[0]
        self.c.intercept, self.c.objective, self.c.gap, self.c.relative = &a[0], &b[0], &c[0], &d[0]
        self.c.violation, self.c.square_norm, self.c.bound = &e[0], &f[0], &g[0]
        self.c.status = &status[0]

    def _cut(self, sizes, int64_t chunk):
        """Make blocks, chunks and units, as arrays of (first, last + 1) and (block, chunk)."""
        small = (sizes + sizes.min() <= self.c.most).astype(np.uint8)
        if np.count_nonzero(small) < 2:
            raise ValueError("no pair of classes is small")
        self.blocks, self.chunks = _runs(sizes, small, HX_LANES), _runs(sizes, small, chunk)
        first, last = self.blocks[:, 0], self.chunks[:, 1]
        later = np.argwhere(last[None, :] > first[:, None] + 1)         # classes i < j
        self.units = np.ascontiguousarray(later)

    def _make_space(self, sizes):
        """Workspace of each thread."""
        cdef const int64_t[::1] order = self.kept[0]
        cdef double[:, :, ::1] strips
        cdef double[:, ::1] squares, vectors
        cdef int64_t a, b, c, t
        start = np.asarray(self.kept[1])
        longest = int(np.diff(start[self.chunks], axis=1).max())
        widest = int(np.diff(start[self.blocks], axis=1).max())
        self.c.width = (widest + HX_LANES - 1) // HX_LANES * HX_LANES
        self.c.m = min(self.c.most, int(np.sort(sizes)[-2:].sum())) + 2 * PAD
        strips = np.empty((self.threads, max(longest, widest), self.c.width))
        squares = np.empty((self.threads, self.c.m * (2 * self.c.m + 3)))
        vectors = np.empty((self.threads, (5 + HX_SMO_WORK) * self.c.m))
        self.c.strip, self.c.square = &strips[0, 0, 0], &squares[0, 0]
        self.c.vector = &vectors[0, 0]
        self.c.strip_size = strips.shape[1] * strips.shape[2]
        self.space = strips, squares, vectors
        if self.points is None:
            return
        self.tiles = Tiles(self.points, self.threads)
        self.c.points = self.points.c
        self.packs = [Pack() for _ in range(self.threads)]
        self.rows = <hx_svm_rows *>calloc(self.threads, sizeof(hx_svm_rows))
        if self.rows == NULL:
            raise MemoryError("no memory for packed rows")
        for pack in self.packs:
            for c in range(self.chunks.shape[0] + self.blocks.shape[0]):
                at = self.chunks[c] if c < len(self.chunks) else self.blocks[c - len(self.chunks)]
                a, b = start[at[0]], start[at[1]]
                (<Pack>pack).make_room(self.points, &order[a], b - a)
        for t in range(self.threads):
            self.rows[t] = (<Pack>self.packs[t]).c

    def run_own(self, int64_t begin, int64_t end):
        """Find the kernels within the classes of the blocks begin..end-1; before any unit."""
        cdef const int64_t[:, ::1] blocks = self.blocks
        cdef int64_t u
        cdef int threads = self.threads
        if not 0 <= begin <= end <= blocks.shape[0] or self.points is None:
            raise IndexError("no such block, or no points")
        with nogil:
            for u in prange(begin, end, num_threads=threads, schedule="dynamic", chunksize=1):
                _values(self.points, &self.c, &blocks[u, 0], &blocks[u, 0], self.rows + threadid(),
                        self.tiles.c + threadid(), threadid())
                _keep_own(&self.c, &blocks[u, 0], threadid())

    def run(self, int64_t begin, int64_t end):
        """Solve the pairs of the units begin..end-1."""
        cdef const int64_t[:, ::1] blocks = self.blocks, chunks = self.chunks, units = self.units
        cdef int64_t u
        cdef int threads = self.threads
        if not 0 <= begin <= end <= units.shape[0] or self.points is None:
            raise IndexError("no such unit, or no points")
        with nogil:
            for u in prange(begin, end, num_threads=threads, schedule="dynamic", chunksize=1):
                _values(self.points, &self.c, &blocks[units[u, 0], 0], &chunks[units[u, 1], 0],
                        self.rows + threadid(), self.tiles.c + threadid(), threadid())
                _unit(&self.c, &blocks[units[u, 0], 0], &chunks[units[u, 1], 0], threadid())

    def run_own_given(self, int64_t u, values):
        """As `run_own` of block u, with its kernel."""
        cdef const int64_t[:, ::1] blocks = self.blocks
        self._take(values)
        with nogil:
            _keep_own(&self.c, &blocks[u, 0], 0)

    def run_given(self, int64_t u, values):
        """As `run` of unit u, with the kernel of its chunk's rows with its block's."""
        cdef const int64_t[:, ::1] blocks = self.blocks, chunks = self.chunks, units = self.units
        self._take(values)
        with nogil:
            _unit(&self.c, &blocks[units[u, 0], 0], &chunks[units[u, 1], 0], 0)

    def _take(self, values):
        strips = np.asarray(self.space[0])
        strips[0, :values.shape[0], :values.shape[1]] = values


def _runs(sizes, small, int64_t most):
    """(first, last + 1) of runs of small classes of at most so many rows."""
    cdef int64_t c, first = 0, total = 0
    cdef const int64_t[::1] view = sizes
    cdef const uint8_t[::1] use = small
    found = []
    for c in range(view.shape[0]):
        if not use[c] or total + view[c] > most:
            if c > first:
                found.append((first, c))
            first, total = c, 0
        if use[c]:
            total += view[c]
        else:
            first = c + 1
    if view.shape[0] > first:
        found.append((first, view.shape[0]))
    return np.array(found, dtype=np.int64).reshape(-1, 2)


cdef void _values(Points P, const batch *B, const int64_t *block, const int64_t *chunk,
                  hx_svm_rows *pack, hx_svm_tile *tile, int thread) noexcept nogil:
    """Kernel of a chunk's rows with a block's, into the thread's strip."""
    cdef int64_t first = B.start[block[0]], columns = B.start[block[1]] - first, at = 0, r, end
    cdef int64_t begin = B.start[chunk[0]], rows = B.start[chunk[1]] - begin
    cdef double *strip = B.strip + thread * B.strip_size
    P.type.pack_rows(&B.points, B.order + begin, rows, pack)
    while at < columns:
        P.type.pack_tile(&B.points, B.order + first + at, min(HX_LANES, columns - at), tile)
        r = 0
        while r < rows:
            end = min(r + STEP, rows)
            P.type.values(&P.kernel, tile, pack, r, end, strip + r * B.width + at, B.width)
            r = end
        at += HX_LANES


cdef void _keep_own(batch *B, const int64_t *block, int thread) noexcept nogil:
    """The kernels within the classes of a block, from its kernel with itself in the strip."""
    cdef const double *strip = B.strip + thread * B.strip_size
    cdef int64_t c, a, b, at, size
    cdef double *own
    for c in range(block[0], block[1]):
        size, at = B.start[c + 1] - B.start[c], B.start[c] - B.start[block[0]]
        own = B.own + B.own_at[c]
        if B.own_at[c + 1] == B.own_at[c]:
            continue
        for a in range(size):
            for b in range(size):
                own[a * size + b] = strip[(at + max(a, b)) * B.width + at + min(a, b)]


cdef void _unit(batch *B, const int64_t *block, const int64_t *chunk, int thread) noexcept nogil:
    """Solve the pairs of a class of the block with a later one of the chunk."""
    cdef int64_t i, j, size
    for i in range(block[0], block[1]):
        for j in range(max(i + 1, chunk[0]), chunk[1]):
            size = B.start[i + 1] - B.start[i] + B.start[j + 1] - B.start[j]
            if size > B.most:
                B.status[_pair_number(B.K, i, j)] = LEFT
            else:
                _pair(B, i, j, B.strip + thread * B.strip_size
                      + (B.start[j] - B.start[chunk[0]]) * B.width
                      + B.start[i] - B.start[block[0]], thread)


cdef void _pair(batch *B, int64_t i, int64_t j, const double *between, int thread) noexcept nogil:
    """Solve one pair; `between` is the kernel of the rows of j with those of i."""
    cdef int64_t n_i = B.start[i + 1] - B.start[i], n_j = B.start[j + 1] - B.start[j], split = n_i
    cdef int64_t o = _pair_number(B.K, i, j), limit = ENOUGH + EACH * (n_i + n_j), m, a
    cdef double *vector = B.vector + thread * (5 + HX_SMO_WORK) * B.m
    cdef hx_smo_double s
    if B.nu > 0:
        split = (n_i + PAD - 1) // PAD * PAD
    m = (split + n_j + PAD - 1) // PAD * PAD
    memset(&s, 0, sizeof(s))
    memset(vector, 0, 4 * m * sizeof(double))
    s.m, s.n, s.ld, s.split, s.apart, s.hard = m, m, m, split, B.nu > 0, B.hard
    if B.nu == 0:
        s.split = m         # one part is as good as two
    s.K, s.p, s.lo, s.hi = B.square + thread * B.m * (2 * B.m + 3), vector, vector + m, (
        vector + 2 * m)
    s.factor, s.free = <double *>s.K + m * m, m
    s.b, s.f, s.work = vector + 3 * m, vector + 4 * m, vector + 5 * m
    s.eps = s.goal = B.tol
    s.steps = limit if B.steps <= 0 else min(limit, B.steps)
    _square(B, i, j, between, <double *>s.K, split, m)
    for a in range(n_i):
        vector[a] = 0 if B.nu > 0 else 1
        vector[2 * m + a] = B.cost[B.start[i] + a]
    for a in range(n_j):
        vector[split + a] = 0 if B.nu > 0 else -1
        vector[m + split + a] = -B.cost[B.start[j] + a]
    if B.nu > 0:
        _fill(&s, B.nu)
    elif B.warm != NULL:
        _warm(&s, B.warm + (j - 1) * B.N + B.start[i], 0, n_i)
        _warm(&s, B.warm + i * B.N + B.start[j], split, n_j)
        _balance(&s)
    B.ops.smo_double(&s)
    B.status[o] = CONVERGED
    if s.status == HX_SMO_STEPS and B.steps > 0 and B.steps <= limit:
        B.status[o] = MAX_ITER
    elif s.status != HX_SMO_CONVERGED or _doubtful(B, &s):
        B.status[o] = LEFT
    _put(B, &s, i, j, split)


cdef void _square(const batch *B, int64_t i, int64_t j, const double *between, double *K,
                  int64_t split, int64_t m) noexcept nogil:
    """The kernel of a pair, whose second class begins at `split`."""
    cdef int64_t n_i = B.start[i + 1] - B.start[i], n_j = B.start[j + 1] - B.start[j], a, b
    cdef const double *first = B.own + B.own_at[i]
    cdef const double *second = B.own + B.own_at[j]
    memset(K, 0, m * m * sizeof(double))
    for a in range(n_i):
        memcpy(K + a * m, first + a * n_i, n_i * sizeof(double))
        for b in range(n_j):
            K[a * m + split + b] = between[b * B.width + a]
    for a in range(n_j):
        memcpy(K + (split + a) * m, between + a * B.width, n_i * sizeof(double))
        memcpy(K + (split + a) * m + split, second + a * n_j, n_j * sizeof(double))


cdef void _fill(hx_smo_double *s, double nu) noexcept nogil:
    """Both classes' duals as large as they can be, from the first on, up to their sum."""
    cdef double total = 0, left
    cdef int64_t a
    for a in range(s.m):
        total += s.hi[a] - s.lo[a]
    left = nu * total / 2
    for a in range(s.m):
        if a == s.split:
            left = nu * total / 2
        s.b[a] = min(left, s.hi[a] - s.lo[a])
        left -= s.b[a]
        if a >= s.split:
            s.b[a] = -s.b[a]


cdef void _warm(hx_smo_double *s, const double *last, int64_t at, int64_t count) noexcept nogil:
    """Duals of some variables, within their bounds."""
    cdef int64_t a
    for a in range(count):
        s.b[at + a] = min(max(last[a], s.lo[at + a]), s.hi[at + a])


cdef void _balance(hx_smo_double *s) noexcept nogil:
    """Have duals sum up to 0: those between their bounds give first, then those at them."""
    cdef double excess = 0, give
    cdef int64_t a
    cdef int at_bounds
    for a in range(s.m):
        excess += s.b[a]
    for at_bounds in range(2):
        for a in range(s.m):
            if excess * s.b[a] > 0 and (s.lo[a] < s.b[a] < s.hi[a]) != at_bounds:
                give = min(fabs(s.b[a]), fabs(excess))
                if excess > 0:
                    s.b[a] -= give
                    excess -= give
                else:
                    s.b[a] += give
                    excess += give


cdef bint _doubtful(const batch *B, const hx_smo_double *s) noexcept nogil:
    """Whether the rounding of kernel values may count in the certificate."""
    cdef double error = s.rounding * (1 + B.spread), most = 0, size
    cdef int64_t a
    if not (s.gap < HUGE_VAL and s.gap == s.gap and error < DOUBT * B.tol):
        return True
    size = max(fabs(s.objective), fabs(s.objective + s.gap))
    for a in range(s.m if not B.hard else 0):
        most += s.hi[a] - s.lo[a]
    return error * most > DOUBT * B.tol * max(size, s.floor)


cdef void _put(batch *B, const hx_smo_double *s, int64_t i, int64_t j,
               int64_t split) noexcept nogil:
    """Keep what came of a pair, whose second class begins at `split`."""
    cdef int64_t o = _pair_number(B.K, i, j), support = 0, doubtful = 0, margin = 0
    cdef int64_t n_i = B.start[i + 1] - B.start[i], n_j = B.start[j + 1] - B.start[j]
    cdef double c = s.c[0], scale = 1
    if B.nu > 0:        # f is -w.phi(x): at margins -rho - c for y = 1, rho - c for y = -1
        if s.c[1] > s.c[0]:
            scale = 2 / (s.c[1] - s.c[0])
        c = (s.c[0] + s.c[1]) / 2 * scale
    B.intercept[o], B.objective[o], B.gap[o] = c, s.objective, s.gap
    B.relative[o], B.violation[o] = hx_smo_relative(s), max(0, s.violation)
    B.square_norm[o], B.done[o] = s.square, s.done
    _put_class(B, s, 0, n_i, (j - 1) * B.N + B.start[i], scale, &support, &margin, &doubtful)
    _put_class(B, s, split, n_j, i * B.N + B.start[j], scale, &support, &margin, &doubtful)
    # Without one on the margin the intercept is free to go where a row less lets it.
    if margin == 0 or B.radius == HUGE_VAL:
        doubtful = support
    B.bound[o] = <double>min(support, doubtful) / (n_i + n_j)


cdef void _put_class(batch *B, const hx_smo_double *s, int64_t first, int64_t count, int64_t at,
                     double scale, int64_t *support, int64_t *margin,
                     int64_t *doubtful) noexcept nogil:
    """Keep the duals of a class; count them, those on the margin, and those in Joachims' bound."""
    cdef int64_t a
    cdef double b, slack
    for a in range(count):
        b = s.b[first + a]
        B.dual[at + a] = b * scale
        B.kind[at + a] = 0 if b == 0 else 1 if s.lo[first + a] < b < s.hi[first + a] else 2
        slack = (s.f[first + a] - s.c[0]) * (1 if first == 0 else -1)
        support[0] += b != 0
        margin[0] += B.kind[at + a] == 1
        doubtful[0] += 2 * fabs(b) * B.radius + max(0, slack) >= 1
