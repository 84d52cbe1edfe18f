# SPDX-License-Identifier: BSD-3-Clause
"""Sequential minimal optimization on working sets: the steps of which solvers/smo.py is made.

    min_b  1/2 b' K b - p' b,   lo <= b <= hi,   with the sums of b over two groups given

Variables are one for each example, or two (v and n + v belong to example v), and K is the kernel
of their examples. s = K b is kept for each example, so that f_v, minus the gradient, is p_v less
the s of v's example. A round picks the variables that violate optimality most, computes their
block of K, finds the block's optimum by SMO, and adds what the changed ones add to all s: kernel
rows go through registers and the processor's caches into sums, and are kept only where that is
cheaper than to have them anew.

Examples that shrinking took out have an s that is behind: that of b as it was when they left. To
bring them back takes the kernel rows of variables that have changed since, and no others.
"""
from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange, threadid
from libc.float cimport DBL_EPSILON
from libc.math cimport HUGE_VAL, fabs
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport qsort
from libc.string cimport memcpy, memset

import numpy as np

from ._kernel_rows cimport (
    HX_LANES, STEP, Pack, Points, Tiles, hx_smo, hx_svm_get, hx_svm_kernel, hx_svm_ops,
    hx_svm_points, hx_svm_rows, hx_svm_tile, hx_svm_type, pack_tiles, place_tile,
)
from ._kernel_cache cimport RowCache
from ._smo_double cimport (HX_SMO_AT_BOUND, HX_SMO_STEPS, HX_SMO_WORK, hx_smo_double,
                           hx_smo_double_run)
from ._types cimport hx_axpy, hx_dot, hx_row, hx_rows, index, real
from ._kernel_rows import KINDS, check_ids


cdef enum:
    UNIT = 8        # tiles that a thread takes at a time
    FETCH = 256     # rows that a source is asked for at a time
    LEAPS = 512     # positions up to which steps of all free variables are worth a decomposition
    SIGNALS = 60_000_000    # steps times variables from one look at signals to the next

cdef int LINEAR = KINDS["linear"]


cdef struct state:
    int64_t n, m            # examples, variables
    const double *p
    const double *lo
    const double *hi
    const uint8_t *group    # of variables, or NULL: all in group 0
    double *b
    double *s


cdef inline int64_t _example(const state *S, int64_t v) noexcept nogil:
    return v - S.n if v >= S.n else v


cdef inline int _group(const state *S, int64_t v) noexcept nogil:
    return S.group[v] if S.group != NULL else 0


cdef struct spread:         # what is added to s: in the order of rows, whichever are there
    const hx_svm_ops *ops
    const hx_svm_rows *pack     # rows to be computed
    int64_t count, misses
    float **line            # where rows are, or are to be kept, or NULL
    const char *ready       # whether they are there
    const double *coef
    const int64_t *ids
    const int64_t *columns
    int64_t n_columns
    double *s


cdef struct pick:
    double key
    int64_t at


cdef inline bint _before(pick a, pick b) noexcept nogil:
    return a.key > b.key or (a.key == b.key and a.at < b.at)


cdef void _first(pick *list, int64_t count, int64_t wanted) noexcept nogil:
    """Have the first `wanted` by descending key before the others (quickselect, median of 3)."""
    cdef int64_t low = 0, high = count - 1, i, j, middle
    cdef pick pivot, held
    while low < high:
        middle = low + (high - low) // 2
        if _before(list[middle], list[low]):
            list[middle], list[low] = list[low], list[middle]
        if _before(list[high], list[low]):
            list[high], list[low] = list[low], list[high]
        if _before(list[high], list[middle]):
            list[high], list[middle] = list[middle], list[high]
        pivot = list[middle]
        i, j = low, high
        while i <= j:
            while _before(list[i], pivot):
                i += 1
            while _before(pivot, list[j]):
                j -= 1
            if i <= j:
                held = list[i]
                list[i] = list[j]
                list[j] = held
                i += 1
                j -= 1
        if wanted <= j + 1:
            high = j
        elif wanted >= i + 1:
            low = i
        else:
            return


cdef inline int64_t _stride(int64_t ld) noexcept nogil:
    """From row to row of a block: columns at distances of 2^k bytes would share lines of caches."""
    return ld + 16 if ld % 128 == 0 else ld


cdef inline int64_t _together(int64_t ld) noexcept nogil:
    """Positions of a block that are worked on together."""
    return ld if ld <= 512 else max(512, ld // 2)


cdef class Workspace:
    """Memory for rounds on working sets, which problems that come one after another share.

    Parameters
    ----------
    points : Points or None
    threads : int
    """

    cdef Points points
    cdef Pack pack
    cdef Tiles tiles
    cdef readonly int threads
    cdef int64_t[::1] working, examples, moved, changed, changed_ids
    cdef double[::1] f, lo, hi, b, diag, up, down, delta, was
    cdef float[::1] block           # of K
    cdef double[::1] room
    cdef float[::1] few
    cdef int32_t[::1] which
    cdef int64_t[::1] list
    cdef char[::1] have
    cdef size_t[::1] lines          # pointers, and as many bytes
    cdef int64_t[::1] miss_ids

    def __init__(self, Points points, int threads=1):
        self.points, self.threads = points, threads
        self.pack = Pack()
        if points is not None:
            self.tiles = Tiles(points, threads)
        self.block, self.f = np.empty(0, dtype=np.float32), np.empty(0)
        self.miss_ids = np.empty(0, dtype=np.int64)
        self._grow(64)

    cdef int _grow(self, int64_t ld) except -1:
        if self.f.shape[0] < ld:
            self.working = np.empty(ld, dtype=np.int64)
            self.examples = np.empty(ld, dtype=np.int64)
            self.moved, self.changed = np.empty(ld, dtype=np.int64), np.empty(ld, dtype=np.int64)
            self.changed_ids = np.empty(ld, dtype=np.int64)
            self.f, self.lo, self.hi = np.empty(ld), np.empty(ld), np.empty(ld)
            self.b, self.diag, self.delta = np.empty(ld), np.empty(ld), np.empty(ld)
            self.up, self.down, self.was = np.empty(ld), np.empty(ld), np.empty(ld)
            self.list, self.have = np.empty(2 * ld, dtype=np.int64), np.empty(ld, dtype=np.int8)
            self.room, self.which = np.empty(11 * ld), np.empty(2 * ld, dtype=np.int32)
            self.few = np.zeros((_together(ld) + 16) ** 2, dtype=np.float32)
        if self.block.shape[0] < ld * _stride(ld):
            self.block = np.empty(ld * _stride(ld), dtype=np.float32)
        return 0

    cdef int _grow_lines(self, int64_t count) except -1:
        if self.miss_ids.shape[0] < count:
            self.lines = np.empty(2 * count + 8, dtype=np.uintp)
            self.miss_ids = np.empty(count, dtype=np.int64)
        return 0


cdef class Smo:
    """A problem and where its solution stands.

    Parameters
    ----------
    space : Workspace
        Of the points whose kernel it is, or of None.
    ids : ndarray (n,) of int64
        The problem's examples among those of points.
    p, lo, hi : ndarray (m,) of float64
        m = n or 2 n.
    b : ndarray (m,) of float64
        Within its bounds; worked in.
    s : ndarray (n,) of float64
        Kernel of each example with b; worked in.
    group : ndarray (m,) of uint8, optional
        0 or 1: pairs of variables of one group move together.
    source : callable, optional
        In the place of points: source(i, j) is the kernel of the examples i with the examples j,
        as an array of float32 or float64.
    cache : size_t
        Bytes for rows of the kernel; 0 keeps none.
    parts : tuple, optional
        (count, A, B, tiles of A, tiles of B): the blocks, as `square_block` has them, of the first
        `count` examples and of the others, and `class_tiles` of both. Such a problem is one working
        set, of which rows between the two classes are computed when they are needed.
    """

    cdef Workspace space
    cdef Points points
    cdef object source
    cdef const hx_svm_ops *ops
    cdef state S
    cdef object arrays
    cdef RowCache cache
    cdef const int64_t[::1] ids
    cdef int64_t[::1] active, picked
    cdef uint8_t[::1] chosen, idle
    cdef double[:, ::1] picks
    cdef readonly int64_t ld
    cdef int64_t stride, split, q
    cdef object block_of            # variables of the block that is there, or None
    cdef list behind                # (examples that are out, b as it was when they left)
    cdef readonly int64_t n_active, n_changed, kept
    cdef readonly int64_t steps, rounds, wanted_rows, found_rows, values
    cdef readonly int groups
    cdef double[2] most, least
    cdef bint in_parts              # the working set is everything, its block in four
    cdef object parts
    cdef readonly bint precise      # blocks and kernel rows are in double precision
    cdef Points exact               # the points in it, or None: a source has them
    cdef double[:, ::1] wide_block  # of K, in it
    cdef readonly double largest    # kernel value in the diagonals of the blocks so far
    cdef readonly double travel     # sum of |b|'s changes that s follows in single precision
    cdef (const float *)[2] own_blocks

    def __init__(self, Workspace space not None, const int64_t[::1] ids, const double[::1] p,
                 const double[::1] lo, const double[::1] hi, double[::1] b, double[::1] s,
                 group=None, source=None, size_t cache=0, parts=None):
        cdef const uint8_t[::1] groups
        cdef int64_t n = ids.shape[0], m = p.shape[0]
        if n == 0 or m not in (n, 2 * n) or s.shape[0] != n or not (
                lo.shape[0] == hi.shape[0] == b.shape[0] == m):
            raise ValueError("arrays do not match")
        if (space.points is None) == (source is None):
            raise ValueError("a kernel comes from points or from a source")
        if source is None:
            check_ids(ids, space.points.n)
        self.space, self.points, self.source = space, space.points, source
        self.ops = hx_svm_get()
        self.ids = ids
        self.S.n, self.S.m = n, m
        self.S.p, self.S.lo, self.S.hi, self.S.b, self.S.s = &p[0], &lo[0], &hi[0], &b[0], &s[0]
        self.groups = 1
        if group is not None:
            groups = group
            if groups.shape[0] != m:
                raise ValueError("arrays do not match")
            self.S.group = &groups[0]
            self.groups = 2
        self.arrays = (p, lo, hi, b, s, group)
        self.active = np.arange(n)
        self.n_active = n
        self.chosen = np.zeros(m, dtype=np.uint8)
        self.idle = np.zeros(n, dtype=np.uint8)
        self.picks = np.empty((m, 2))
        self.in_parts = parts is not None
        self.parts = parts
        cdef const float[:, ::1] own
        if self.in_parts:
            for g in range(2):
                own = parts[1 + g]
                size = (parts[0], n - parts[0])[g]
                if m != n or own.shape[0] != own.shape[1] or own.shape[0] != (size + 7) // 8 * 8:
                    raise ValueError("parts do not match")
                self.own_blocks[g] = &own[0, 0]
        self.picked = np.empty(0, dtype=np.int64)
        self.block_of = None
        self.behind = []
        self.wide_block = np.empty((0, 0))
        if cache > 0:
            self.cache = RowCache(n, cache)

    def be_precise(self, Points exact):
        """Have all further rounds in double precision; `exact` are the points in it, or None.

        No example may be left out, and none behind.
        """
        if self.n_active < self.S.n or self.n_changed:
            raise ValueError("examples are left out, or behind")
        if (exact is None) == (self.source is None):
            raise ValueError("a kernel comes from points or from a source")
        self.precise, self.exact = True, exact
        self.in_parts, self.parts, self.cache, self.block_of = False, None, None, None

    # ---- rounds -----------------------------------------------------------------------------

    def violation(self):
        """Largest f_i - f_j of a pair of active variables that may move: i up and j down."""
        with nogil:
            _extremes(&self.S, &self.active[0], self.n_active, self.most, self.least)
        return max(self.most[0] - self.least[0], self.most[1] - self.least[1])

    def select(self, int64_t q, int64_t keep):
        """Pick q variables, or all active ones if they are no more; `violation` came before.

        Up to `keep` are of the last round and between their bounds; the others violate most.
        Returns how many were kept.
        """
        cdef int64_t per = self.S.m // self.S.n, count = 0, g, k, v, room, above
        cdef pick *list = <pick *>&self.picks[0, 0]
        q = min(max(q, 4), self.S.m)
        if self.picked.shape[0] < q:
            self.picked = np.empty(q, dtype=np.int64)
        cdef int64_t *out = &self.picked[0]
        self.kept = 0
        with nogil:
            if self.n_active * per <= q:
                for k in range(self.n_active):
                    for g in range(per):
                        out[count] = self.active[k] + g * self.S.n
                        count += 1
            else:
                for k in range(self.ld):
                    v = self.space.working[k]
                    if v >= 0 and count < keep and self.S.lo[v] < self.S.b[v] < self.S.hi[v]:
                        self.chosen[v] = 1
                        out[count] = v
                        count += 1
                self.kept = count
                q -= count
                for g in range(self.groups):
                    room = q // self.groups
                    above = _candidates(&self.S, &self.active[0], self.n_active, g, 1,
                                        self.least[g], &self.chosen[0], list)
                    k = min(above, room // 2)
                    _first(list, above, k)
                    _take(list, k, &self.chosen[0], out, &count)
                    room -= k
                    above = _candidates(&self.S, &self.active[0], self.n_active, g, 0,
                                        self.most[g], &self.chosen[0], list)
                    k = min(above, room)
                    _first(list, above, k)
                    _take(list, k, &self.chosen[0], out, &count)
                for k in range(count):
                    self.chosen[out[k]] = 0
        order = np.sort(np.asarray(self.picked)[:count])
        first = count
        if self.in_parts:
            if count < self.S.m:
                raise ValueError("parts are for all variables at once")
            first = self.parts[0]
        if self.S.group != NULL:
            of = np.asarray(self.arrays[5])[order]
            order = np.concatenate([order[of == 0], order[of == 1]])
            first = int((of == 0).sum())
        self._lay(order, first)
        return self.kept

    cdef int _lay(self, order, int64_t first) except -1:
        """Working variables into positions; the second group begins at a multiple of 8."""
        cdef int64_t count = len(order), i, v, e
        cdef const int64_t[::1] view = order
        cdef Workspace w = self.space
        self.split = (first + 7) // 8 * 8
        self.ld = self.split + (count - first + 7) // 8 * 8
        self.q = count
        self.stride = _stride(self.ld)
        w._grow(self.ld)
        if self.block_of is not None and not np.array_equal(self.block_of, order):
            self.block_of = None
        for i in range(self.ld):
            v = -1
            if i < first:
                v = view[i]
            elif i >= self.split and first + i - self.split < count:
                v = view[first + i - self.split]
            w.working[i] = v
            e = _example(&self.S, v if v >= 0 else view[0])
            w.examples[i] = self.ids[e]
            w.lo[i] = self.S.lo[v] if v >= 0 else 0
            w.hi[i] = self.S.hi[v] if v >= 0 else 0
            w.b[i] = self.S.b[v] if v >= 0 else 0
            w.f[i] = self.S.p[v] - self.S.s[e] if v >= 0 else 0
        if self.block_of is None:
            self._fill_block()
            self.block_of = order
        return 0

    cdef int _fill_block(self) except -1:
        """Kernel of the working variables."""
        cdef Workspace w = self.space
        cdef int64_t i
        cdef const int64_t *ids = &w.examples[0]
        cdef int64_t first = self.split, second = self.ld - self.split
        if self.precise:
            return self._fill_wide_block()
        if self.source is not None:
            chosen = np.asarray(w.examples)[:self.ld]
            block = np.asarray(w.block)[:self.ld * self.stride].reshape(self.ld, self.stride)
            block[:, :self.ld] = self.source(chosen, chosen)
        elif self.in_parts:
            # Rows between the classes come when they are needed.
            w.pack.make_room(self.points, ids, self.ld)
            w.have[:self.ld] = 0
            for i in range(self.ld):
                w.diag[i] = (self.own_blocks[0][i * first + i] if i < first else
                             self.own_blocks[1][(i - first) * second + i - first])
                self.largest = max(self.largest, w.diag[i])
            return 0
        else:
            w.pack.take(self.points, ids, self.ld)
            with nogil:
                _square(self.points, &w.pack.c, ids, self.ld, w.tiles.c, &w.block[0], self.stride,
                        w.threads)
        for i in range(self.ld):
            w.diag[i] = w.block[i * self.stride + i]
            self.largest = max(self.largest, w.diag[i])
        self.values += self.ld * self.ld // 2
        return 0

    cdef int _fill_wide_block(self) except -1:
        """Kernel of the working variables, in double precision."""
        cdef int64_t i
        chosen = np.array(self.space.examples)[:self.ld]
        if self.wide_block.shape[0] != self.ld:
            self.wide_block = np.empty((self.ld, self.ld))
        block = np.asarray(self.wide_block)
        if self.exact is None:
            block[:] = self.source(chosen, chosen)
        else:
            self.exact.values(chosen, self.exact, chosen, self.wide_block, self.space.threads)
        for i in range(self.ld):
            self.space.diag[i] = self.wide_block[i, i]
            self.largest = max(self.largest, fabs(self.wide_block[i, i]))
        self.values += self.ld * self.ld
        return 0

    def solve(self, double eps, int64_t steps, double goal=0):
        """Optimize the working variables to a violation of eps, in at most so many steps.

        If they are all variables, goal is a relative duality gap to reach as well. Returns the
        steps, and the violation that is left in the working set. An interrupt leaves everything as
        it was.
        """
        cdef int64_t i, v, done
        cdef double objective = 0, violation = 0
        cdef Workspace w = self.space
        cdef bint all_variables = self.q == self.S.m
        if all_variables and goal > 0:
            for i in range(self.ld):
                v = w.working[i]
                if v >= 0:
                    objective += w.b[i] * (self.S.p[v] + w.f[i]) / 2
        else:
            goal = 0
        if self.precise:
            done = self._solve_wide(eps, steps, goal, &violation)
        else:
            done = self._solve_block(eps, steps, goal, objective, &violation)
            self._snap()
        # The linear kernel's s is exact: its block, which is centred, is not.
        self._take_over(all_variables and not self.precise and (
            self.source is not None or self.points.kernel.kind != LINEAR))
        self.steps += done
        self.rounds += 1
        return done, violation

    cdef int64_t _solve_block(self, double eps, int64_t steps, double goal, double objective,
                              double *violation) except -1:
        """Steps on the block in single precision; signals are looked at between parts of them."""
        cdef int64_t done = 0, now, most = max(1000, SIGNALS // self.ld)
        cdef hx_smo job
        cdef lazy between
        cdef Workspace w = self.space
        memset(&job, 0, sizeof(job))
        self._point(&job)
        if self.in_parts:
            self._be_lazy(&job, &between)
        job.f, job.b, job.lo, job.hi = &w.f[0], &w.b[0], &w.lo[0], &w.hi[0]
        job.diag, job.up, job.down = &w.diag[0], &w.up[0], &w.down[0]
        job.room, job.few, job.which = &w.room[0], &w.few[0], &w.which[0]
        job.d, job.Kd = &w.room[9 * self.ld], &w.room[10 * self.ld]
        job.most = _together(self.ld)
        job.eps, job.goal, job.objective = eps, goal, objective
        while True:
            job.steps = min(most, steps - done)
            with nogil:
                now = self.ops.smo(&job)
            done += now
            if job.finished or now < most or done >= steps:
                break
            PyErr_CheckSignals()
        violation[0] = job.violation
        if self.in_parts:
            self.values += between.values
        return done

    cdef int64_t _solve_wide(self, double eps, int64_t steps, double goal,
                             double *violation) except -1:
        """As `_solve_block`, in double precision."""
        cdef int64_t i, done = 0, most = max(1000, SIGNALS // self.ld)
        cdef hx_smo_double job
        cdef Workspace w = self.space
        cdef double[::1] p, factor, scratch = np.empty(HX_SMO_WORK * self.ld)
        b = np.asarray(w.b)[:self.ld]
        p = np.asarray(w.f)[:self.ld] + np.asarray(self.wide_block) @ b
        for i in range(self.ld if self.q == self.S.m else 0):
            if w.working[i] >= 0:
                p[i] = self.S.p[w.working[i]]
        memset(&job, 0, sizeof(job))
        job.m, job.n, job.ld, job.split = self.ld, self.ld, self.ld, self.split
        job.apart = self.groups == 2
        job.K, job.p, job.lo, job.hi = &self.wide_block[0, 0], &p[0], &w.lo[0], &w.hi[0]
        job.b, job.f, job.work = &w.b[0], &w.f[0], &scratch[0]
        job.eps, job.goal = eps, goal
        if self.ld <= LEAPS:
            factor = np.empty((self.ld + 3) * self.ld)
            job.factor, job.free = &factor[0], self.ld
        while True:
            job.steps = min(most, steps - done)
            with nogil:
                hx_smo_double_run(&job)
            done += job.done
            if job.status != HX_SMO_STEPS or done >= steps:
                break
            PyErr_CheckSignals()
        violation[0] = job.violation
        return done

    cdef void _snap(self):
        """Put duals of the working set on bounds from which only rounding keeps them.

        Else they would count as free: as hx_smo_snap has it for blocks in double precision.
        """
        cdef int64_t i
        cdef double length = 0, near, up, down
        cdef Workspace w = self.space
        for i in range(self.ld):
            if w.working[i] >= 0:
                length += fabs(w.b[i])
        near = HX_SMO_AT_BOUND * DBL_EPSILON * length
        if not near < HUGE_VAL:
            return
        for i in range(self.ld):
            if w.working[i] < 0:
                continue
            up, down = w.hi[i] - w.b[i], w.b[i] - w.lo[i]
            if up <= near and up <= down:
                w.b[i] = w.hi[i]
            elif down <= near:
                w.b[i] = w.lo[i]

    cdef int _take_over(self, bint with_s) except -1:
        """b of the working variables, and with_s what s then is; note which have changed."""
        cdef int64_t i, v, e, count = 0
        cdef Workspace w = self.space
        for i in range(self.ld):
            v = w.working[i]
            if v < 0:
                continue
            e = _example(&self.S, v)
            if w.b[i] != self.S.b[v]:
                w.moved[count], w.was[count] = v, self.S.b[v]
                w.changed[count] = e
                w.changed_ids[count] = self.ids[e]
                w.delta[count] = w.b[i] - self.S.b[v]
                self.S.b[v] = w.b[i]
                self.travel += fabs(w.delta[count])
                count += 1
            if with_s:
                self.S.s[e] = self.S.p[v] - w.f[i]
        self.n_changed = 0 if with_s else count
        return 0

    def undo(self):
        """Take back the last changes, if s has not followed them yet."""
        cdef int64_t k
        for k in range(self.n_changed):
            self.S.b[self.space.moved[k]] = self.space.was[k]
        self.n_changed = 0

    cdef void _point(self, hx_smo *job):
        """Where the parts of the working set and of its block are."""
        cdef Workspace w = self.space
        cdef int g, h
        job.begin[0], job.end[0], job.begin[1], job.end[1] = 0, self.split, self.split, self.ld
        job.apart = self.groups == 2
        for g in range(2):
            for h in range(2):
                job.K[g][h] = &w.block[0] + job.begin[g] * self.stride + job.begin[h]
                job.stride[g][h] = self.stride
        if self.in_parts:
            job.K[0][0], job.stride[0][0] = self.own_blocks[0], self.split
            job.K[1][1], job.stride[1][1] = self.own_blocks[1], self.ld - self.split
            job.K[0][1], job.stride[0][1] = &w.block[0], self.ld - self.split
            job.K[1][0] = &w.block[0] + self.split * (self.ld - self.split)
            job.stride[1][0] = self.split

    cdef void _be_lazy(self, hx_smo *job, lazy *between):
        """Have rows between the two classes computed when they are needed."""
        cdef Workspace w = self.space
        cdef const char *tiles
        cdef int g
        between.type, between.ops = self.points.type, self.points.ops
        between.points, between.kernel = &self.points.c, &self.points.kernel
        between.pack, between.tile = &w.pack.c, &w.tiles.c[0]
        between.ids, between.list = &w.examples[0], &w.list[0]
        between.count[0], between.count[1] = self.parts[0], self.S.n - self.parts[0]
        for g in range(2):
            packed = self.parts[3 + g]
            tiles = NULL
            if packed is not None:
                tiles = <const char *><size_t>packed.ctypes.data
            between.tiles[g] = tiles
        between.across[0] = <float *>job.K[0][1]
        between.across[1] = <float *>job.K[1][0]
        between.have, between.values = &w.have[0], 0
        job.context, job.block, job.ready = between, _few_block, _ready

    def update(self):
        """Add what the changed variables add to the s of all active examples."""
        cdef Workspace w = self.space
        if self.n_changed > 0:
            self._spread(w.changed, w.changed_ids, w.delta, self.n_changed, self.active,
                         self.n_active, self.cache)
            self.n_changed = 0

    cdef int _spread(self, int64_t[::1] rows, int64_t[::1] row_ids, double[::1] coef,
                     int64_t count, int64_t[::1] columns, int64_t n_columns,
                     RowCache cache) except -1:
        """s of the columns += the sum of coef times the kernel rows."""
        self.wanted_rows += count
        if self.precise and (self.source is not None or self.points.kernel.kind != LINEAR):
            which = np.asarray(columns)[:n_columns]
            sums = self._exact_sums(self.exact, np.asarray(row_ids)[:count],
                                    np.asarray(coef)[:count], np.asarray(self.ids)[which])
            s = np.asarray(self.arrays[4])
            s[which] += sums
        elif self.source is not None:
            before = np.array(self.arrays[4])
            try:
                self._from_source(rows, row_ids, coef, count, columns, n_columns, cache)
            except BaseException:       # of the source, or Ctrl-C: as if nothing had been added
                np.asarray(self.arrays[4])[:] = before
                raise
        elif self.points.kernel.kind == LINEAR:
            self._linear(row_ids, coef, count, columns, n_columns)
        else:
            self._by_tiles(rows, row_ids, coef, count, columns, n_columns, cache)
        return 0

    cdef int _by_tiles(self, int64_t[::1] rows, int64_t[::1] row_ids, double[::1] coef,
                       int64_t count, int64_t[::1] columns, int64_t n_columns,
                       RowCache cache) except -1:
        cdef Workspace w = self.space
        cdef int64_t k, misses = 0
        cdef spread job
        w._grow_lines(count)
        cdef float **lines = <float **>&w.lines[0]
        cdef char *ready = <char *>(lines + count)
        memset(lines, 0, count * sizeof(float *))
        memset(ready, 0, count)
        if cache is not None:
            cache.place(&rows[0], count, n_columns, lines, ready)
        for k in range(count):
            if not ready[k]:
                w.miss_ids[misses] = row_ids[k]
                misses += 1
        if misses:
            w.pack.take(self.points, &w.miss_ids[0], misses)
        job.ops, job.pack = self.ops, &w.pack.c
        job.count, job.misses, job.line, job.ready = count, misses, lines, ready
        job.coef = &coef[0]
        job.ids, job.columns, job.n_columns, job.s = (&self.ids[0], &columns[0], n_columns,
                                                      self.S.s)
        with nogil:
            _add(self.points, &job, w.tiles.c, w.threads)
        self.found_rows += count - misses
        self.values += misses * n_columns
        return 0

    cdef int _from_source(self, int64_t[::1] rows, int64_t[::1] row_ids, double[::1] coef,
                          int64_t count, int64_t[::1] columns, int64_t n_columns,
                          RowCache cache) except -1:
        cdef Workspace w = self.space
        cdef int64_t at = 0, part, k, missing
        cdef spread job
        cdef float[:, ::1] fetched = None
        cdef float **lines
        cdef char *ready
        which = np.asarray(self.ids)[np.asarray(columns)[:n_columns]]
        while at < count:
            part = min(FETCH, count - at)
            w._grow_lines(part)
            lines = <float **>&w.lines[0]
            ready = <char *>(lines + part)
            memset(lines, 0, part * sizeof(float *))
            memset(ready, 0, part)
            if cache is not None:
                cache.place(&rows[at], part, n_columns, lines, ready)
            missing = 0
            for k in range(part):
                if not ready[k]:
                    w.miss_ids[missing] = row_ids[at + k]
                    missing += 1
            if missing:
                try:
                    fetched = np.ascontiguousarray(
                        self.source(np.asarray(w.miss_ids)[:missing], which), dtype=np.float32)
                except BaseException:   # rows that have a place are not there
                    if cache is not None:
                        cache.clear()
                    raise
            missing = 0
            for k in range(part):
                if ready[k]:
                    continue
                if lines[k] == NULL:
                    lines[k] = &fetched[missing, 0]
                else:
                    memcpy(lines[k], &fetched[missing, 0], n_columns * sizeof(float))
                missing += 1
            job.ops, job.pack = self.ops, NULL
            job.count, job.misses, job.line, job.ready = part, 0, lines, ready
            job.coef = &coef[at]
            job.ids, job.columns, job.n_columns, job.s = (&self.ids[0], &columns[0], n_columns,
                                                          self.S.s)
            with nogil:
                _add(None, &job, NULL, w.threads)
            self.found_rows += part - missing
            self.values += missing * n_columns
            at += part
        return 0

    cdef int _linear(self, int64_t[::1] row_ids, double[::1] coef, int64_t count,
                     int64_t[::1] columns, int64_t n_columns) except -1:
        """The linear kernel's rows, summed as weights: exact, and in time of the nonzeros."""
        weights = np.zeros(self.points.rows.c.d)
        cdef double[::1] w = weights
        cdef const hx_rows *X = &self.points.rows.c
        cdef const double *centre = self.points.c.centre
        if self.points.shifted:
            with nogil:
                if X.is_f32:
                    _through_centred_weights[float](
                        X, centre, &row_ids[0], &coef[0], count, &self.ids[0], &columns[0],
                        n_columns, &w[0], self.S.s, self.space.threads)
                else:
                    _through_centred_weights[double](
                        X, centre, &row_ids[0], &coef[0], count, &self.ids[0], &columns[0],
                        n_columns, &w[0], self.S.s, self.space.threads)
            return 0
        with nogil:
            if X.is_f32:
                if X.is_i64:
                    _through_weights[float, int64_t](
                        X, &row_ids[0], &coef[0], count, &self.ids[0], &columns[0], n_columns,
                        &w[0], self.S.s, self.space.threads)
                else:
                    _through_weights[float, int32_t](
                        X, &row_ids[0], &coef[0], count, &self.ids[0], &columns[0], n_columns,
                        &w[0], self.S.s, self.space.threads)
            elif X.is_i64:
                _through_weights[double, int64_t](
                    X, &row_ids[0], &coef[0], count, &self.ids[0], &columns[0], n_columns,
                    &w[0], self.S.s, self.space.threads)
            else:
                _through_weights[double, int32_t](
                    X, &row_ids[0], &coef[0], count, &self.ids[0], &columns[0], n_columns,
                    &w[0], self.S.s, self.space.threads)
        return 0

    def start(self):
        """Find s for b as it was given."""
        np.asarray(self.arrays[4])[:] = 0
        self.travel = np.abs(np.asarray(self.arrays[3])).sum()
        self._catch_up(np.arange(self.S.n), np.zeros(self.S.m))

    # ---- shrinking --------------------------------------------------------------------------

    def shrink(self, double share):
        """Leave out examples that have twice been found to stay at their bounds.

        Nothing is done for fewer than this share of the active ones. Returns how many are out.
        `violation` came before.
        """
        cdef int64_t k, e, v, many = 0, kept = 0, left = 0
        cdef int g
        cdef double f
        cdef bint stays
        cdef int64_t[::1] keep, out
        with nogil:
            for k in range(self.n_active):
                e = self.active[k]
                stays = True
                v = e
                while v < self.S.m:
                    g = _group(&self.S, v)
                    f = self.S.p[v] - self.S.s[e]
                    if self.S.lo[v] < self.S.hi[v] and not (
                            (self.S.b[v] == self.S.hi[v] and f > self.most[g])
                            or (self.S.b[v] == self.S.lo[v] and f < self.least[g])):
                        stays = False
                    v += self.S.n
                self.idle[e] = min(self.idle[e] + 1, 2) if stays else 0
                many += self.idle[e] == 2
        if many < share * self.n_active or many == 0 or self.n_changed:
            return 0
        keep = np.empty(self.n_active - many, dtype=np.int64)
        out = np.empty(many, dtype=np.int64)
        for k in range(self.n_active):
            e = self.active[k]
            if self.idle[e] == 2:
                out[left] = e
                left += 1
            else:
                keep[kept] = k
                kept += 1
        if self.cache is not None and kept:
            self.cache.narrow(&keep[0], kept)
        self.active = np.asarray(self.active)[:self.n_active][np.asarray(keep)]
        self.n_active = kept
        self.behind.append((np.asarray(out), np.array(self.arrays[3])))
        return many

    def restore(self):
        """Bring back all that shrinking left out, with an exact s."""
        if self.n_active == self.S.n:
            return
        while self.behind:  # an interrupt leaves those that are still behind
            members, then = self.behind[len(self.behind) - 1]
            self._catch_up(members, then)
            self.behind.pop()
        self.active = np.arange(self.S.n)
        self.n_active = self.S.n
        np.asarray(self.idle)[:] = 0
        if self.cache is not None:
            self.cache.clear()

    @property
    def values_behind(self):
        """Kernel values that `restore` takes."""
        total = 0
        for members, then in self.behind:
            difference = self._of_examples(np.asarray(self.arrays[3]) - then)
            total += len(members) * int(np.count_nonzero(difference))
        return total

    @property
    def times_shrunk(self):
        """Groups of examples that are out."""
        return len(self.behind)

    def _of_examples(self, of_variables):
        """Sums over the variables of each example."""
        return np.reshape(of_variables, (-1, self.S.n)).sum(axis=0)

    def _catch_up(self, members, then):
        """s of members, which is that of b = then, for b as it is."""
        cdef int64_t[::1] rows, row_ids, columns
        cdef double[::1] coef
        difference = self._of_examples(np.asarray(self.arrays[3]) - then)
        changed = np.flatnonzero(difference)
        if len(changed) == 0 or len(members) == 0:
            return
        at = 0
        before = np.asarray(self.arrays[4])[members]
        while at < len(changed):    # by parts, for which the packed rows take little memory
            rows = changed[at:at + 1024]
            row_ids, coef = np.asarray(self.ids)[rows], difference[rows]
            columns = members
            try:
                self._spread(rows, row_ids, coef, rows.shape[0], columns, columns.shape[0], None)
            except BaseException:
                np.asarray(self.arrays[4])[members] = before
                raise
            at += 1024

    def refine(self, Points exact, double c0, double c1, double margin):
        """Find s of examples anew, in double precision; `exact` are the points in it, or None.

        Left out are examples without duals whose f is further than `margin` on that side of the
        group's intercept, c0 or c1, where it counts neither as a violation nor in the gap. What the
        rounds add from then on is again in single precision, but there is less of it.
        """
        cdef int64_t[::1] row_ids, which = np.empty(self.S.n, dtype=np.int64)
        cdef double[::1] coef
        cdef int64_t e, v, count = 0
        cdef double f
        cdef bint counts
        if self.n_active < self.S.n or self.n_changed:
            raise ValueError("examples are left out, or behind")
        for e in range(self.S.n):
            counts = False
            for v in range(e, self.S.m, self.S.n):
                f = self.S.p[v] - self.S.s[e] - (c1 if _group(&self.S, v) else c0)
                counts = counts or self.S.b[v] != 0 or not (
                    self.S.b[v] >= self.S.hi[v] or f < -margin) or not (
                    self.S.b[v] <= self.S.lo[v] or f > margin)
            if counts:
                which[count] = e
                count += 1
        if count == 0:
            return
        b = self._of_examples(np.asarray(self.arrays[3]))
        nonzero, every = np.flatnonzero(b), np.asarray(self.ids)
        some = np.array(which)[:count]
        s = np.asarray(self.arrays[4])
        if count == self.S.n:
            self.travel = 0
        if self.source is None and self.points.kernel.kind == LINEAR:
            row_ids, coef, which = every[nonzero], b[nonzero], some
            s[some] = 0
            if row_ids.shape[0]:
                self._linear(row_ids, coef, row_ids.shape[0], which, count)
        else:
            s[some] = self._exact_sums(exact, every[nonzero], b[nonzero], every[some])

    def _exact_sums(self, Points exact, rows, coef, columns):
        """Sums of coefficients times kernel rows of the examples `rows`, in double precision.

        Those of the examples `columns`. `exact` are the points in double precision, or None.
        """
        cdef int64_t[::1] row_ids
        cdef double[::1] part, sums = np.zeros(len(columns))
        cdef const int64_t[::1] ids = columns
        cdef Pack pack = Pack()
        cdef Tiles tiles = None
        cdef int64_t at = 0, step = FETCH if exact is None else 1024, count = len(columns)
        if count == 0:
            return np.asarray(sums)
        if exact is not None:
            tiles = Tiles(exact, self.space.threads)
        while at < len(rows):
            row_ids, part = np.ascontiguousarray(rows[at:at + step]), coef[at:at + step]
            if exact is None:
                values = np.asarray(self.source(np.asarray(row_ids), np.asarray(ids)),
                                    dtype=np.float64)
                found = np.asarray(sums)
                found += np.einsum("i,ij->j", np.asarray(part), values)
            else:
                pack.take(exact, &row_ids[0], row_ids.shape[0])
                with nogil:
                    _refine(exact, &pack.c, row_ids.shape[0], &part[0], &ids[0], count,
                            tiles.c, &sums[0], self.space.threads)
            at += step
            PyErr_CheckSignals()
        return np.asarray(sums)

    # ---- what is known ----------------------------------------------------------------------

    def sizes(self, near=None):
        """Sums of |b|, b^2 and (hi - lo)^2; the largest kernel value in the diagonal.

        Two variables of an example count in the first two as one, which is their sum. The last one
        is that of the working sets so far. near = (distance, c0, c1): the third is of variables
        that add to the gap, or would if f were so far off: f is at that distance from the group's
        intercept, or b is not at the bound on f's side of it.
        """
        cdef double distance = HUGE_VAL, x
        cdef double[2] c
        cdef bint counts
        c[0] = c[1] = 0
        if near is not None:
            distance, c[0], c[1] = near
        cdef double length = 0, square = 0, room = 0
        cdef int64_t v
        with nogil:
            for v in range(self.S.n):
                x = self.S.b[v] + (self.S.b[v + self.S.n] if self.S.m > self.S.n else 0)
                length += fabs(x)
                square += x * x
            for v in range(self.S.m):
                if self.S.lo[v] == self.S.hi[v]:
                    continue
                x = self.S.p[v] - self.S.s[_example(&self.S, v)] - c[_group(&self.S, v)]
                counts = not (fabs(x) > distance) or (
                    self.S.b[v] < self.S.hi[v] if x > 0 else self.S.b[v] > self.S.lo[v])
                if counts:
                    room += (self.S.hi[v] - self.S.lo[v]) * (self.S.hi[v] - self.S.lo[v])
        return length, square, room, self.largest

    def certificate(self, bint best):
        """Objective p'b - 1/2 b'Kb, b'Kb, the duality gap and the intercepts that it is for.

        These are the best, or else in the middle of the violation. While examples are left out,
        their part is what it was. `violation` came before.
        """
        cdef double linear = 0, quadratic = 0, gap = 0, x
        cdef int64_t v, e
        cdef int g
        cdef double[2] c
        with nogil:
            for g in range(2):
                c[g] = (self.most[g] + self.least[g]) / 2
                if best:
                    c[g] = _intercept(&self.S, &self.active[0], self.n_active, g, self.most[g],
                                      self.least[g], <pick *>&self.picks[0, 0])
            for v in range(self.S.m):
                if self.S.lo[v] == self.S.hi[v]:
                    continue
                e = _example(&self.S, v)
                linear += self.S.p[v] * self.S.b[v]
                quadratic += self.S.s[e] * self.S.b[v]
                x = self.S.p[v] - self.S.s[e] - c[_group(&self.S, v)]
                if x > 0 and self.S.b[v] < self.S.hi[v]:
                    gap += x * (self.S.hi[v] - self.S.b[v])
                elif x < 0 and self.S.b[v] > self.S.lo[v]:
                    gap += x * (self.S.lo[v] - self.S.b[v])
        return linear - quadratic / 2, quadratic, gap, c[0], c[1]


cdef int _by_key(const void *a, const void *b) noexcept nogil:
    """Ascending."""
    return (_before((<const pick *>a)[0], (<const pick *>b)[0])
            - _before((<const pick *>b)[0], (<const pick *>a)[0]))


cdef double _intercept(const state *S, const int64_t *active, int64_t count, int group, double most,
                       double least, pick *near) noexcept nogil:
    """The c of the least gap in a group, or the middle of all such c.

    The gap is convex and piecewise linear in c, with kinks where c passes an f. Those outside of
    [least, most] have no slope: what is above cannot grow, and what is below cannot fall.
    """
    cdef int64_t k, v, e, found = 0, i
    cdef double f, slope = 0, length = 0, none, begin = HUGE_VAL
    if most == -HUGE_VAL and least == HUGE_VAL:
        return 0
    if most <= least:
        if least == HUGE_VAL:
            return most
        return least if most == -HUGE_VAL else (most + least) / 2
    for k in range(count):
        e = active[k]
        v = e
        while v < S.m:
            f = S.p[v] - S.s[e]
            if _group(S, v) == group and least <= f <= most and S.lo[v] < S.hi[v]:
                near[found].key = f
                near[found].at = v
                found += 1
                slope -= S.hi[v] - S.b[v]
                length += S.hi[v] - S.lo[v]
            v += S.n
    if slope == -HUGE_VAL:
        return (most + least) / 2
    qsort(near, found, sizeof(pick), _by_key)
    none = HX_SMO_AT_BOUND * DBL_EPSILON * length   # of a slope that is 0, in spite of rounding
    for i in range(found):
        v = near[i].at
        slope += S.hi[v] - S.lo[v]
        if slope < -none:
            continue
        if begin == HUGE_VAL:
            begin = near[i].key
        if slope > none or i + 1 == found:
            return (begin + near[i].key) / 2
    return most


cdef void _extremes(const state *S, const int64_t *active, int64_t count, double *most,
                    double *least) noexcept nogil:
    cdef int64_t k, v, e
    cdef int g
    cdef double f
    most[0] = most[1] = -HUGE_VAL
    least[0] = least[1] = HUGE_VAL
    for k in range(count):
        e = active[k]
        v = e
        while v < S.m:
            g = _group(S, v)
            f = S.p[v] - S.s[e]
            if S.b[v] < S.hi[v] and f > most[g]:
                most[g] = f
            if S.b[v] > S.lo[v] and f < least[g]:
                least[g] = f
            v += S.n


cdef int64_t _candidates(const state *S, const int64_t *active, int64_t count, int64_t g, bint up,
                         double bound, const uint8_t *chosen, pick *out) noexcept nogil:
    """Variables of a group that may go up and have f > bound, or down and f < bound."""
    cdef int64_t k, v, e, found = 0
    cdef double f
    for k in range(count):
        e = active[k]
        v = e
        while v < S.m:
            if _group(S, v) == g and not chosen[v]:
                f = S.p[v] - S.s[e]
                if up and S.b[v] < S.hi[v] and f > bound:
                    out[found].key = f
                    out[found].at = v
                    found += 1
                elif not up and S.b[v] > S.lo[v] and f < bound:
                    out[found].key = -f
                    out[found].at = v
                    found += 1
            v += S.n
    return found


cdef void _take(const pick *list, int64_t k, uint8_t *chosen, int64_t *out,
                int64_t *count) noexcept nogil:
    cdef int64_t i
    for i in range(k):
        chosen[list[i].at] = 1
        out[count[0]] = list[i].at
        count[0] += 1


cdef void _square(Points P, const hx_svm_rows *pack, const int64_t *ids, int64_t ld,
                  hx_svm_tile *tiles, float *K, int64_t stride, int threads) noexcept nogil:
    """The symmetric block K of the examples ids."""
    cdef int64_t t, count = (ld + HX_LANES - 1) // HX_LANES
    for t in prange(count, num_threads=threads, schedule="dynamic"):     # the longest ones first
        _square_tile(P, pack, ids, ld, count - 1 - t, tiles + threadid(), K, stride)


def square_block(Workspace w not None, const int64_t[::1] ids, float[:, ::1] out not None):
    """Kernel of examples with each other: into out, filled up to a multiple of 8 each way."""
    cdef int64_t n = ids.shape[0], ld = out.shape[0]
    check_ids(ids, w.points.n)
    if ld != (n + 7) // 8 * 8 or out.shape[1] != ld:
        raise ValueError("out has the wrong shape")
    which = np.full(ld, ids[0])
    which[:n] = ids
    cdef const int64_t[::1] view = which
    w.pack.take(w.points, &view[0], ld)
    with nogil:
        _square(w.points, &w.pack.c, &view[0], ld, w.tiles.c, &out[0, 0], ld, w.threads)


def class_tiles(Workspace w not None, const int64_t[::1] ids):
    """Examples packed as tiles, one after another, or None where tiles are of different sizes."""
    if w.points.c.mapped or ids.shape[0] == 0:
        return None
    check_ids(ids, w.points.n)
    return pack_tiles(w.points, &ids[0], ids.shape[0], w.tiles)


cdef struct lazy:               # rows between two classes, computed when they are asked for
    const hx_svm_type *type
    const hx_svm_ops *ops
    const hx_svm_points *points
    const hx_svm_kernel *kernel
    hx_svm_rows *pack           # with room for all
    hx_svm_tile *tile
    const int64_t *ids          # of positions
    int64_t *list               # room for ids
    int64_t count[2]            # positions that are examples
    const char *tiles[2]        # see class_tiles, or NULL
    float *across[2]            # rows of a part, columns of the other one
    char *have
    int64_t values


cdef void _ready(const hx_smo *s, const int32_t *which, int64_t count) noexcept nogil:
    """Compute the rows of these positions that are not there."""
    cdef lazy *L = <lazy *>s.context
    cdef int64_t g, k = 0, t, r, i, last, missing, at, m
    cdef int64_t stride
    cdef float[STEP * HX_LANES] block
    cdef int32_t *rows
    cdef hx_svm_tile tile
    for g in range(2):
        stride = s.stride[g][1 - g]
        missing = 0
        rows = <int32_t *>(L.list + s.end[1])
        while k < count and which[k] < s.end[g]:
            if not L.have[which[k]]:
                L.have[which[k]] = 1
                L.list[missing] = L.ids[which[k]]
                rows[missing] = which[k]
                missing += 1
            k += 1
        if missing == 0:
            continue
        L.type.pack_rows(L.points, L.list, missing, L.pack)
        L.values += missing * L.count[1 - g]
        at = 0
        t = 0
        while at < L.count[1 - g]:
            m = min(HX_LANES, L.count[1 - g] - at)
            tile = L.tile[0]
            if L.tiles[1 - g] != NULL:
                place_tile(L.type, L.points.X.d, L.tiles[1 - g], t, &tile)
            else:
                L.type.pack_tile(L.points, L.ids + s.begin[1 - g] + at, m, L.tile)
                tile = L.tile[0]
            r = 0
            while r < missing:
                last = min(r + STEP, missing)
                L.type.block(L.kernel, &tile, L.pack, r, last, block, HX_LANES)
                for i in range(r, last):
                    memcpy(L.across[g] + (rows[i] - s.begin[g]) * stride + at,
                           block + (i - r) * HX_LANES, m * sizeof(float))
                r = last
            at += m
            t += 1


cdef void _few_block(const hx_smo *s, const int32_t *which, const int64_t *count,
                     const hx_smo *few, float *K) noexcept nogil:
    """Kernel of some positions: within the classes it is there, between them it is computed."""
    cdef lazy *L = <lazy *>s.context
    cdef int64_t g, a, at, m, r, end, ld = few.end[1], split = few.begin[1]
    for g in range(2):
        L.ops.part(s, g, g, which, count, few, K)
    if count[0] == 0 or count[1] == 0:
        return
    for a in range(count[0]):
        L.list[a] = L.ids[which[a]]
    L.type.pack_rows(L.points, L.list, count[0], L.pack)
    for a in range(count[1]):
        L.list[a] = L.ids[which[count[0] + a]]
    L.values += count[0] * count[1]
    at = 0
    while at < count[1]:
        m = min(HX_LANES, count[1] - at)
        L.type.pack_tile(L.points, L.list + at, m, L.tile)
        r = 0
        while r < count[0]:
            end = min(r + STEP, count[0])
            _tile_block(L.type, L.ops, L.kernel, L.pack, r, end, m, L.tile,
                        K + r * ld + split + at, ld, NULL, 0)
            r = end
        at += m
    L.ops.transpose(K + split, ld, split, ld - split, K + split * ld, ld)


cdef inline void _tile_block(const hx_svm_type *type, const hx_svm_ops *ops,
                             const hx_svm_kernel *kernel, const hx_svm_rows *pack, int64_t r,
                             int64_t end, int64_t m, hx_svm_tile *tile, float *to, int64_t ld,
                             float *across, int64_t across_ld) noexcept nogil:
    """Rows r..end-1 with the first m of a tile; also their transpose, unless NULL."""
    cdef float[STEP * HX_LANES] block
    cdef int64_t i
    if m == HX_LANES:
        type.block(kernel, tile, pack, r, end, to, ld)
    else:
        type.block(kernel, tile, pack, r, end, block, HX_LANES)
        for i in range(end - r):
            memcpy(to + i * ld, block + i * HX_LANES, m * sizeof(float))
    if across != NULL:
        ops.transpose(to, ld, end - r, m, across, across_ld)


cdef void _square_tile(Points P, const hx_svm_rows *pack, const int64_t *ids, int64_t ld,
                       int64_t t, hx_svm_tile *tile, float *K, int64_t stride) noexcept nogil:
    """Columns t * 64... of the block K of rows up to these, and what mirrors them."""
    cdef int64_t at = t * HX_LANES, m = min(HX_LANES, ld - at), r = 0, end
    P.type.pack_tile(&P.c, ids + at, m, tile)
    while r < at + m:
        end = min(r + STEP, at + m)
        _tile_block(P.type, P.ops, &P.kernel, pack, r, end, m, tile, K + r * stride + at, stride,
                    K + at * stride + r if r < at else NULL, stride)
        r = end


cdef void _add(Points P, const spread *job, hx_svm_tile *tiles, int threads) noexcept nogil:
    """s += the sum of coef times kernel rows."""
    cdef int64_t t, units = (job.n_columns + UNIT * HX_LANES - 1) // (UNIT * HX_LANES)
    for t in prange(units, num_threads=threads, schedule="dynamic"):
        _add_unit(P, job, t, tiles + threadid())


cdef void _add_unit(Points P, const spread *job, int64_t unit, hx_svm_tile *tile) noexcept nogil:
    """s += the sum of coef times kernel rows, for a unit of columns."""
    cdef double[UNIT * HX_LANES] sums
    cdef int64_t begin = unit * UNIT * HX_LANES, end = min(begin + UNIT * HX_LANES, job.n_columns)
    cdef int64_t at, r, last, j
    cdef (const float *)[STEP] lines
    memset(sums, 0, sizeof(sums))
    if job.misses:
        at = begin
        while at < end:
            _add_tile(P, job, at, min(HX_LANES, end - at), tile, sums + (at - begin))
            at += HX_LANES
    else:
        r = 0
        while r < job.count:
            last = min(r + STEP, job.count)
            for j in range(last - r):
                lines[j] = job.line[r + j] + begin
            job.ops.add_f32(lines, job.coef + r, last - r, end - begin, sums)
            r = last
    for j in range(begin, end):
        job.s[job.columns[j]] += sums[j - begin]


cdef void _add_tile(Points P, const spread *job, int64_t at, int64_t m, hx_svm_tile *tile,
                    double *sums) noexcept nogil:
    """sums += the sum of coef times kernel rows, for the m columns from `at` on."""
    cdef float[STEP * HX_LANES] block
    cdef (const float *)[STEP] lines
    cdef int64_t[HX_LANES] which
    cdef int64_t k, j, waiting = 0, seen = 0, first = 0, last = 0   # of misses: in block
    cdef const hx_svm_ops *ops = job.ops
    for j in range(m):
        which[j] = job.ids[job.columns[at + j]]
    P.type.pack_tile(&P.c, which, m, tile)
    for k in range(job.count):
        if waiting == STEP or (waiting > 0 and not job.ready[k] and seen == last):
            ops.add_f32(lines, job.coef + k - waiting, waiting, m, sums)
            waiting = 0
        if job.ready[k]:
            lines[waiting] = job.line[k] + at
        else:
            if seen == last:
                first, last = last, min(last + STEP, job.misses)
                P.type.block(&P.kernel, tile, job.pack, first, last, block, HX_LANES)
            lines[waiting] = block + (seen - first) * HX_LANES
            if job.line[k] != NULL:
                memcpy(job.line[k] + at, lines[waiting], m * sizeof(float))
            seen += 1
        waiting += 1
    ops.add_f32(lines, job.coef + job.count - waiting, waiting, m, sums)


cdef void _refine(Points P, const hx_svm_rows *pack, int64_t rows, const double *coef,
                  const int64_t *ids, int64_t n, hx_svm_tile *tiles, double *s,
                  int threads) noexcept nogil:
    """s += the sum of coef times kernel rows, in double precision."""
    cdef int64_t t
    for t in prange((n + HX_LANES - 1) // HX_LANES, num_threads=threads, schedule="dynamic"):
        _refine_tile(P, pack, rows, coef, ids + t * HX_LANES, min(HX_LANES, n - t * HX_LANES),
                     tiles + threadid(), s + t * HX_LANES)


cdef void _refine_tile(Points P, const hx_svm_rows *pack, int64_t rows, const double *coef,
                       const int64_t *ids, int64_t m, hx_svm_tile *tile,
                       double *s) noexcept nogil:
    cdef double[STEP * HX_LANES] block
    cdef double[HX_LANES] sums
    cdef (const double *)[STEP] lines
    cdef int64_t r = 0, j, end
    for j in range(STEP):
        lines[j] = block + j * HX_LANES
    memset(sums, 0, sizeof(sums))
    P.type.pack_tile(&P.c, ids, m, tile)
    while r < rows:
        end = min(r + STEP, rows)
        P.type.values(&P.kernel, tile, pack, r, end, block, HX_LANES)
        P.ops.add_f64(lines, coef + r, end - r, HX_LANES, sums)
        r = end
    for j in range(m):
        s[j] += sums[j]


cdef void _through_weights(const hx_rows *X, const int64_t *rows, const double *coef, int64_t count,
                           const int64_t *ids, const int64_t *columns, int64_t n_columns,
                           double *w, double *s, int threads, real *tag_v=NULL,
                           index *tag_i=NULL) noexcept nogil:
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef int64_t k, length, units = (n_columns + UNIT * HX_LANES - 1) // (UNIT * HX_LANES), t
    for k in range(count):
        length = hx_row(X, rows[k], &v, &idx)
        hx_axpy(X, coef[k], v, idx, length, w)
    for t in prange(units, num_threads=threads, schedule="dynamic"):
        _scores[real, index](X, ids, columns, t * UNIT * HX_LANES,
                             min((t + 1) * UNIT * HX_LANES, n_columns), w, s)


cdef void _scores(const hx_rows *X, const int64_t *ids, const int64_t *columns, int64_t begin,
                  int64_t end, const double *w, double *s, real *tag_v=NULL,
                  index *tag_i=NULL) noexcept nogil:
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef int64_t k, length
    for k in range(begin, end):
        length = hx_row(X, ids[columns[k]], &v, &idx)
        s[columns[k]] += hx_dot(X, v, idx, length, w)


cdef void _through_centred_weights(const hx_rows *X, const double *centre, const int64_t *rows,
                                   const double *coef, int64_t count, const int64_t *ids,
                                   const int64_t *columns, int64_t n_columns, double *w,
                                   double *s, int threads, real *tag_v=NULL) noexcept nogil:
    """As _through_weights, of dense rows less the centre."""
    cdef const real *v = NULL
    cdef int64_t k, j, units = (n_columns + UNIT * HX_LANES - 1) // (UNIT * HX_LANES), t
    for k in range(count):
        v = <const real *>X.val + rows[k] * X.rs
        for j in range(X.d):
            w[j] += coef[k] * (v[j * X.cs] - centre[j])
    for t in prange(units, num_threads=threads, schedule="dynamic"):
        _centred_scores[real](X, centre, ids, columns, t * UNIT * HX_LANES,
                              min((t + 1) * UNIT * HX_LANES, n_columns), w, s)


cdef void _centred_scores(const hx_rows *X, const double *centre, const int64_t *ids,
                          const int64_t *columns, int64_t begin, int64_t end, const double *w,
                          double *s, real *tag_v=NULL) noexcept nogil:
    cdef const real *v = NULL
    cdef int64_t k, j, d = X.d, four = d // 4 * 4
    cdef Py_ssize_t cs = X.cs
    cdef double first, second, third, fourth    # sums that do not wait for each other
    for k in range(begin, end):
        v = <const real *>X.val + ids[columns[k]] * X.rs
        first = second = third = fourth = 0
        j = 0
        while j < four:
            first += (v[j * cs] - centre[j]) * w[j]
            second += (v[(j + 1) * cs] - centre[j + 1]) * w[j + 1]
            third += (v[(j + 2) * cs] - centre[j + 2]) * w[j + 2]
            fourth += (v[(j + 3) * cs] - centre[j + 3]) * w[j + 3]
            j += 4
        for j in range(four, d):
            first += (v[j * cs] - centre[j]) * w[j]
        s[columns[k]] += (first + second) + (third + fourth)
