# SPDX-License-Identifier: BSD-3-Clause
"""Dual coordinate descent for linear SVMs: one problem, or all of one-vs-rest in one sweep.

For each lane (one binary problem: the positive class against the rest, y_i = +-1)

    primal   P(w, b)  = 1/2 ||w||^2 + b^2 / (2 size) + sum_i C_i phi(y_i (w.x_i + b))
    dual     D(alpha) = sum_i alpha_i - 1/2 sum_i diag_i alpha_i^2 - 1/2 ||w||^2 - size s^2 / 2
             w = sum_i alpha_i y_i x_i,  s = sum_i alpha_i y_i,  0 <= alpha_i <= upper_i

with upper_i and diag_i given by the loss (core/margin_losses.h). size is intercept_scaling^2 for a
regularized intercept, a constant feature; for an unregularized one it is infinite, so that s = 0
is a constraint; with no intercept b = 0 and s does not matter.

That constant feature is by far the stiffest direction of the problem when its size is used as it
is. So b is taken out: in a sweep b = offset + rho * s with rho of the size of a small feature,
and after each epoch the offset moves so that b takes a proximal step on the Lagrangian,

    max_b  b s - b^2 / (2 size) - (b - b_last)^2 / (2 small)
    rho = size small / (size + small),  offset = b_last size / (size + small),

which for infinite size is the method of multipliers (offset += rho s). At the fixed point
b = size * s. `certify` first repairs alpha, in place, so that s = b / size.

A sweep visits the active rows and solves each one-variable problem exactly (Hsieh et al., ICML
2008, Algorithm 2 and section 3.2 for shrinking). The order is random by runs: a run is some
neighbouring active rows, visited in the order in which they lie in memory, so that the processor
fetches them ahead by itself. One row at a time, a sweep over short rows takes 2 to 4 times as
long; runs of 32 rows cost hardly an epoch more. Long rows are runs of their own. W is
feature-major (d, K), so that in one-vs-rest a row of X is read once for all lanes, and each of its
nonzeros touches K neighbouring weights; once shrinking has left few lanes to a row, lanes are
visited one at a time, each with its weights copied to a vector of its own. W is larger than the
second-level cache, and moving it is what the first epochs take their time for: their weights are
single precision, which halves it, and lie in the memory that W will have. What is certified, and
every later epoch, uses W summed up anew from the duals in double precision. A lane's bits do not
depend on how lanes are cut into blocks, so not on the number of threads either.

One problem has no lanes to share out, so its features are: each part of them belongs to a thread,
which makes that part of every score and changes that part of w. No weight is written by one thread
and read by another, and a part of w may even fit the caches. While the parts of some rows' scores
travel between the threads, those of the next rows are made: a row is scored before the rows ahead
of it, less than two stages of rows, have moved. On text that costs no epochs if these are not
alike, as neighbours often are, so the rows of two stages come from different runs. Steps of rows
that are alike add up and overshoot. So features are shared out only if a sample of the rows is not
alike, and each epoch's rise of the dual is held against what its steps promised: if it is less than
half of that, the epoch is undone, and rows are visited one after the other from then on. The bits
depend on the number of parts, not on that of the threads: where these do not run at the same time,
on a busy machine, one of them does all the parts. With short rows there is not enough to share out:
two threads are 1.4 to 1.9 times as fast as one with 440 nonzeros in a row, 1.2 to 1.4 times with
150, and no faster with 40.

With the hinge most of an epoch's work is to go on where the last one went. So between epochs the
duals of a single problem go on by a share of what they have changed, inside their bounds, and w
with them: momentum, the heavy ball of Polyak (USSR Computational Mathematics and Mathematical
Physics 4(5), 1964). It takes half to a third of the epochs. The dual may fall by it, and then one
epoch goes without. Objectives and certificates are taken after an epoch, not after momentum.

Coordinate descent is slow to the last digits, where only the duals inside their bounds still move.
For small problems `solve_free` solves for these at once, as linear equations.

The kernel is a state with the steps of the algorithm; `hingex.solvers.dual_cd` decides which
step comes next and when to stop. Every step works in slices of some 10 ms (a lane at least, where
lanes are certified one by one), between which it looks for Ctrl-C and the deadline; `finish` makes
the state consistent after Ctrl-C, the next `certify` after a deadline.
"""
from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport parallel, prange, threadid
from libc.math cimport HUGE_VAL, fabs, sqrt
from libc.string cimport memcpy, memset
from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint32_t, uint64_t

from time import perf_counter

import numpy as np

from ._par cimport HX_TEAM
from ._rows cimport Rows
from ._types cimport (
    HX_PREFETCH, hx_axpy, hx_csr_scores, hx_dot, hx_lane_axpy, hx_lane_dot, hx_lanes_axpy,
    hx_lanes_scores, hx_row, hx_row_len, hx_row_start, hx_rows, index, real,
)

cdef extern from "rng.h" nogil:
    ctypedef struct hx_rng:
        pass
    void hx_rng_seed(hx_rng *rng, uint64_t seed, uint64_t stream)
    uint32_t hx_rng_below(hx_rng *rng, uint32_t bound)
    void hx_shuffle(hx_rng *rng, int32_t *order, int64_t n)

cdef extern from "margin_losses.h" nogil:
    enum:
        HX_hinge
        HX_squared_hinge
    double hx_svm_loss(int code, double t)
    double hx_svm_dual_upper(int code, double C)
    double hx_svm_dual_diagonal(int code, double C)

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define HX_POPCOUNT(x) __builtin_popcountll(x)
    #define HX_LOWEST(x) __builtin_ctzll(x)
    #else
    static int HX_POPCOUNT(unsigned long long x) { int c = 0; for (; x; x &= x - 1) c++; return c; }
    static int HX_LOWEST(unsigned long long x) { int c = 0; while (!(x >> c & 1)) c++; return c; }
    #endif
    #if defined(__GNUC__)
    #define HX_PEEK(word) __atomic_load_n(word, __ATOMIC_RELAXED)
    #define HX_SET(word, bits) ((void)__atomic_fetch_or(word, bits, __ATOMIC_RELAXED))
    #define HX_CLEAR(word, bits) ((void)__atomic_fetch_and(word, ~(bits), __ATOMIC_RELAXED))
    #define HX_TAKE(counter) __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED)
    #define HX_PUBLISH(place, value) __atomic_store_n(place, value, __ATOMIC_RELEASE)
    #define HX_LOOK(place) __atomic_load_n(place, __ATOMIC_ACQUIRE)
    #elif defined(_MSC_VER) && defined(_WIN64)
    #include <intrin.h>
    #define HX_PEEK(word) (*(const volatile unsigned long long *)(word))
    #define HX_SET(word, bits) ((void)_InterlockedOr64((volatile long long *)(word), (bits)))
    #define HX_CLEAR(word, bits) ((void)_InterlockedAnd64((volatile long long *)(word), ~(bits)))
    #define HX_TAKE(counter) _InterlockedExchangeAdd64((volatile long long *)(counter), 1)
    #define HX_PUBLISH(place, value) \
        ((void)_InterlockedExchange64((volatile long long *)(place), (value)))
    #define HX_LOOK(place) _InterlockedExchangeAdd64((volatile long long *)(place), 0)
    #elif defined(_OPENMP)
    #error "OpenMP needs atomic operations: build with -Dopenmp=disabled"
    #else
    #define HX_PEEK(word) (*(word))
    #define HX_SET(word, bits) (*(word) |= (bits))
    #define HX_CLEAR(word, bits) (*(word) &= ~(bits))
    #define HX_TAKE(counter) ((*(counter))++)
    #define HX_PUBLISH(place, value) (*(place) = (value))
    #define HX_LOOK(place) (*(place))
    #endif
    /* Between two looks. A thread that waits for long may wait for one that has no processor. */
    #if defined(_WIN32)
    #define WIN32_LEAN_AND_MEAN
    #define NOMINMAX
    #include <windows.h>
    #define HX_GIVE_WAY() ((void)SwitchToThread())
    #else
    #include <sched.h>
    #define HX_GIVE_WAY() ((void)sched_yield())
    #endif
    #if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
    #define HX_PAUSE() __builtin_ia32_pause()
    #elif defined(__GNUC__) && defined(__aarch64__)
    #define HX_PAUSE() __asm__ volatile("yield")
    #else
    #define HX_PAUSE() ((void)0)
    #endif
    """
    uint64_t HX_PEEK(const uint64_t *word) nogil
    void HX_SET(uint64_t *word, uint64_t bits) nogil
    void HX_CLEAR(uint64_t *word, uint64_t bits) nogil
    int64_t HX_TAKE(int64_t *counter) nogil     # counter++
    void HX_PUBLISH(int64_t *place, int64_t value) nogil    # with all that was written before
    int64_t HX_LOOK(const int64_t *place) nogil
    void HX_GIVE_WAY() nogil
    void HX_PAUSE() nogil
    int HX_POPCOUNT(uint64_t x) nogil
    int HX_LOWEST(uint64_t x) nogil

ctypedef fused weight:
    double
    float

cdef enum:
    BLOCK = 64          # lanes a block can have: the bits of a mask
    EDGES = 64          # candidates for the intercept: offset + (j - EDGES/2) * step
    MOMENTS = 6         # sums of C, C u, C u^2 for y = +1, then for y = -1
    LONGEST_RUN = 32    # rows, and no more than RUN_VALUES nonzeros
    RUN_VALUES = 1024
    FEWEST_RUNS = 64    # in an epoch, for the order to be random enough
    BATCH = 128         # rows whose scores are made at once
    SPARSE = 8          # lanes of which one moves, for single lanes to be worth their strides
    SINGLE_EPOCHS = 32  # at most so many with single-precision weights: rounding adds up
    MOST_FREE = 100     # duals to solve for at once
    EXTRA = 8           # but, without a diagonal, only so many more than there are features
    FEW = 4             # at most one in so many lanes is certified lane by lane
    FEW_ROWS = 16       # one row in so many gives up its duals' excess,
    ENOUGH = 64         # if they are so many times as much
    GROUP = 8           # lanes that share a cache line of W
    APART = 8           # epochs of one lane before the next, when they are visited one at a time
    RING = 4            # stages whose scores are kept: a part may be two ahead of another
    FIRST_EPOCHS = 6    # which go without momentum
    PATIENCE = 500      # looks at what another thread does before it is given the processor
    CROWDED = 20        # times in a slice that a thread may give way
    ALONE = 16          # epochs until the threads try again to run at the same time
    FIRST_SLICE = 32    # stages; from one slice to the next twice as many,
    LAST_SLICE = 1024   # up to so many
    COMPARED = 32       # rows whose likeness is looked at
    SAMPLE = 1 << 12    # indices by which features are shared out

cdef enum Pass:
    SWEEP, SWEEP_PARTS, TALLY, REPAIR, EXAMINE, EXAMINE_ONE, START, EQUATE, MOVE, COMPARE
    CARRY_ROWS, CARRY_ALL

LOSS_CODES = {"hinge": HX_hinge, "squared_hinge": HX_squared_hinge}

cdef double SOLVED = 5e-12  # what equations for free duals may lack
cdef double KEPT = 0.5      # of the rise that steps promise, for features to stay shared out
cdef double MOST_MOMENTUM = 0.9, LONG = 20      # which grows by 1 - LONG / epochs
cdef double DEAR = 0.3      # of an epoch: momentum that takes more is given every other time only
cdef double SLICE = 1e7     # multiply-adds between two looks at signals and the clock


cdef struct Lane:
    double offset, s            # b = offset + rho * s
    double wsq, asum, adiag     # ||w||^2, sum alpha, sum diag alpha^2, kept up to date
    double loss                 # sum C_i phi, each row as of its visit in the current sweep
    double loss_shrunk          # the part of rows shrunk at their upper bound
    double pg_hi, pg_lo         # extreme projected gradients of the last sweep
    double new_hi, new_lo       # the same of the current sweep
    # certify: sums of duals by side (0: y = -1, 1: y = +1), all and inside their bounds;
    double total[2]
    double inside[2]
    double some[2]              # the latter of every FEW_ROWS-th row
    double side, shrink         # the side to scale down and the share to take off,
    double bound_too            # from duals at their bound as well,
    double few_rows             # or from those rows alone;
    double near_primal, near_dual, gap, violation   # estimates from the last epoch
    double ready                # good enough, by the estimates, to be certified
    double widen                # all active rows are solved: every row must be visited again
    double half, per_half       # half width of the range searched for the intercept, inverse
    double primal, dual, intercept   # what it found


cdef struct Free:
    int64_t lane, count, size   # size counts the intercept too
    int32_t *rows
    double *A                   # (size, size), what the conditions change by
    double *change              # (size,) first what they lack, then the change of y alpha and b
    double *room                # (d,) zeros
    double share                # of the change that was made


cdef struct Part:
    # What others read has cache lines of its own.
    char before[128]
    int64_t done                # stages of this sweep that are scored
    char between[120]
    double f[RING * LONGEST_RUN]        # this part of the scores
    char after[128]
    Lane lane                   # the same in every part, and so are
    double *alpha               # all duals: those of part 0 are the problem's
    int64_t first, last         # its features
    double wsq                  # of these, in the end
    int64_t gave_way            # how often its thread did


cdef struct Crew:
    int64_t parts, rows         # rows in a stage
    int64_t begin, end, stages  # to visit now, of all
    bint stale                  # duals have changed elsewhere
    int64_t slice               # stages between two looks at signals and the clock, at most
    int64_t crowded             # epochs that one thread does alone, as they do not run together
    double likeness             # mean |cosine| of two rows
    int32_t *cut                # (n, parts - 1): where in a row parts 1, 2... begin
    Part *part


cdef struct Problem:
    hx_rows *X
    const int32_t *codes        # of several lanes: class of each row, or NULL
    const uint64_t *yes         # else, and of a single lane, as `mask` or `awake`: bits of y = +1
    const float *sqnorm
    const double *cost          # per row, or NULL: cost_all for every row
    double cost_all
    double *alpha               # (n, lanes)
    double *W                   # (d, lanes), features first
    float *single               # in use instead if not NULL: single precision, see _single
    int64_t share               # lanes of a thread's blocks, which lie together in `single`
    Lane *lane
    double *bins                # (lanes, EDGES + 2, MOMENTS)
    uint64_t *mask              # (blocks, n) active lanes of each row; NULL for a single lane
    uint64_t *awake             # of a single lane: a bit for each row, whether it is active
    int32_t *rows               # active rows, ascending
    int32_t *turn               # the runs in the order of their visits
    uint64_t *live              # (blocks) lanes not yet frozen
    uint64_t *pick              # (blocks) lanes that certify works on
    int64_t lanes, blocks, per_block, active
    int64_t longest, run, runs, skip    # rows in a run, at most and now; the first one lacks skip
    int64_t stride              # of the single lane: alpha is apart by stride
    int loss
    double slice                # share of SLICE for a block: a thread has several
    double rho, shift           # b = offset + rho * s; after an epoch offset = shift * b
    double inv_size             # 1 / size, 0 for an unregularized intercept
    bint has_intercept
    Free *free
    Crew *crew                  # NULL unless features are shared out
    double *room                # (threads, d)
    # Momentum of a single lane:
    double beta                 # the share of their change by which duals go on,
    double *a_last              # (n) the duals before they did so last,
    double *w_last              # (d) w then, if known
    bint product                # ||w||^2 is kept up to date with each row


cdef struct Plan:
    uint64_t seed
    int64_t epoch, epochs       # the first epoch, how many
    bint move_offset, shrink
    double violation
    const double *targets       # (lanes)


cdef struct Visit:
    Problem one                 # a lane as a problem of its own: w contiguous, rows in a list
    int64_t width, groups       # lanes taken together, at most, and how often there are so many
    int64_t count, at           # lanes taken now, the one visited
    int64_t lanes[GROUP]
    double *W                   # (width, d)
    int64_t pos, epoch
    bint inside                 # of lane `at`


cdef inline void _bounds(const Problem *p, int64_t i, double *C, double *upper,
                         double *diag) noexcept nogil:
    if p.cost != NULL:
        C[0] = p.cost[i]
        upper[0] = hx_svm_dual_upper(p.loss, C[0])
        diag[0] = hx_svm_dual_diagonal(p.loss, C[0])


cdef inline bint _counts(const Problem *p, int64_t i) noexcept nogil:
    return p.cost == NULL or p.cost[i] > 0


cdef inline double _sign(const Problem *p, int64_t i, int64_t k) noexcept nogil:
    if p.mask == NULL:
        return _own_sign(p, i)
    if p.codes != NULL:
        return 1.0 if p.codes[i] == k else -1.0
    return 1.0 if (p.yes[k // p.per_block * p.X.n + i] >> (k % p.per_block)) & 1 else -1.0


cdef inline double _own_sign(const Problem *p, int64_t i) noexcept nogil:
    """Of a single lane."""
    return 1.0 if (p.yes[i // 64] >> (i % 64)) & 1 else -1.0


cdef inline uint64_t _signs(const Problem *p, int64_t i, int64_t block) noexcept nogil:
    """The lanes of a block in which y_i = +1, as bits."""
    cdef int64_t k
    if p.mask == NULL:
        return (p.yes[i // 64] >> (i % 64)) & 1
    if p.codes == NULL:
        return p.yes[block * p.X.n + i]
    k = p.codes[i] - block * p.per_block
    return (<uint64_t>1) << k if 0 <= k < p.per_block else 0


cdef inline bint _is_live(const Problem *p, int64_t k) noexcept nogil:
    return (p.live[k // p.per_block] >> (k % p.per_block)) & 1


cdef inline bint _is_picked(const Problem *p, int64_t k) noexcept nogil:
    return (p.pick[k // p.per_block] >> (k % p.per_block)) & 1


cdef inline void _add_dual(Lane *ln, double y, double a, double diag) noexcept nogil:
    if a != 0:
        ln.s += y * a
        ln.asum += a
        ln.adiag += diag * a * a


cdef void _tally(Problem *p, int64_t block, int64_t s, int64_t end) noexcept nogil:
    """Sums of the picked lanes' duals by side, from which to make them feasible."""
    cdef int64_t i, k, K = p.lanes, k0 = block * p.per_block, side
    cdef uint64_t bits, yes
    cdef double a, C = p.cost_all, diag = 0
    cdef double upper = hx_svm_dual_upper(p.loss, C)
    for i in range(s, end):
        _bounds(p, i, &C, &upper, &diag)
        bits, yes = p.pick[block], _signs(p, i, block)
        while bits:
            side = (yes >> HX_LOWEST(bits)) & 1
            k = k0 + HX_LOWEST(bits)
            bits &= bits - 1
            a = p.alpha[i * K + k]
            if a > 0:
                p.lane[k].total[side] += a
                if a < upper:
                    p.lane[k].inside[side] += a
                    if i % FEW_ROWS == 0:
                        p.lane[k].some[side] += a


cdef inline void _add_row(const hx_rows *X, weight *steps, uint64_t moved, const real *v,
                          const index *idx, int64_t length, int64_t lanes, weight *W,
                          int64_t K) noexcept nogil:
    """Add steps[k] times a row to the weights of the lanes that moved; steps are 0 again then."""
    cdef int64_t k
    if moved == 0:
        return
    if SPARSE * HX_POPCOUNT(moved) >= lanes:
        hx_lanes_axpy(X, steps, v, idx, length, lanes, W, K)
        for k in range(lanes):
            steps[k] = 0
        return
    while moved:
        k = HX_LOWEST(moved)
        moved &= moved - 1
        hx_lane_axpy(X, steps[k], v, idx, length, W + k, K)
        steps[k] = 0


cdef void _start(Problem *p, int64_t block, int64_t s, int64_t end, real *tag_v,
                 index *tag_i) noexcept nogil:
    """w and the running sums from the duals."""
    cdef const hx_rows *X = p.X
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef int64_t i, k, length, K = p.lanes, k0 = block * p.per_block
    cdef int64_t lanes = min(p.per_block, K - k0)
    cdef uint64_t moved, yes
    cdef double steps[BLOCK]
    cdef double a, y, C = p.cost_all
    cdef double upper = 0, diag = hx_svm_dual_diagonal(p.loss, C)
    for i in range(s, end):
        moved, yes = 0, _signs(p, i, block)
        _bounds(p, i, &C, &upper, &diag)
        for k in range(lanes):
            a = p.alpha[i * K + k0 + k]
            y = 1.0 if (yes >> k) & 1 else -1.0
            steps[k] = y * a
            moved |= (<uint64_t>(a != 0)) << k
            _add_dual(&p.lane[k0 + k], y, a, diag)
        length = hx_row(X, i, &v, &idx)
        _add_row(X, &steps[0], moved, v, idx, length, lanes, p.W + k0, K)


# One coordinate: the gradient, whether to shrink, the step. Returns y * (change of alpha). The
# score is f = w.x with the intercept. Written to have few branches: what the next row does is a
# guess for the processor.
cdef inline double _step(Lane *ln, double *alpha, double y, double f, double score, double sq,
                         double C, double upper, double diag, double rho, int loss,
                         bint *shrink) noexcept nogil:
    cdef double a = alpha[0]
    cdef double t = y * score
    cdef double g = t - 1 + diag * a
    cdef double value = C * hx_svm_loss(loss, t)
    # A row of zeros with no intercept has g = -1: its optimum is the upper bound.
    cdef double new = a - g * (1 / (sq + rho + diag))
    cdef double change
    new = new if new > 0 else 0
    new = new if new < upper else upper
    change = new - a
    if change == 0:
        shrink[0] = g > ln.pg_hi if a <= 0 else (a >= upper and g < ln.pg_lo)
        if shrink[0]:
            ln.loss_shrunk += value
        else:
            ln.loss += value
        return 0
    shrink[0] = False
    ln.loss += value
    ln.new_hi = g if g > ln.new_hi else ln.new_hi
    ln.new_lo = g if g < ln.new_lo else ln.new_lo
    alpha[0] = new
    ln.asum += change
    ln.adiag += diag * change * (new + a)
    ln.s += y * change
    ln.wsq += change * (2 * y * f + change * sq)
    return y * change


cdef void _list_awake(Problem *p) noexcept nogil:
    cdef int64_t word, active = 0
    cdef uint64_t bits
    for word in range((p.X.n + 63) // 64):
        bits = p.awake[word]
        while bits:
            p.rows[active] = <int32_t>(64 * word + HX_LOWEST(bits))
            bits &= bits - 1
            active += 1
    p.active = active


cdef void _shuffle_runs(Problem *p, hx_rng *rng) noexcept nogil:
    cdef int64_t r
    p.run = max(1, min(p.longest, p.active // FEWEST_RUNS))
    p.skip = hx_rng_below(rng, <uint32_t>p.run)     # other runs in each epoch
    p.runs = (p.active + p.skip + p.run - 1) // p.run
    for r in range(p.runs):
        p.turn[r] = <int32_t>r
    hx_shuffle(rng, p.turn, p.runs)


cdef inline void _run_at(const Problem *p, int64_t s, int64_t *begin, int64_t *end) noexcept nogil:
    """Positions in p.rows of the run whose turn is s; none when there is no such run."""
    begin[0] = end[0] = 0
    if s < p.runs:
        begin[0] = max(0, p.turn[s] * p.run - p.skip)
        end[0] = min(p.active, (p.turn[s] + 1) * p.run - p.skip)


cdef int64_t _sweep_one(Problem *p, int64_t s, real *tag_v, index *tag_i) noexcept nogil:
    """Visit the rows of runs from turn s on; returns the turn it came to."""
    cdef const hx_rows *X = p.X
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef Lane ln = p.lane[0]
    cdef int64_t i, length, pos, end
    cdef double C = p.cost_all, work = 0, y, f, step
    cdef double upper = hx_svm_dual_upper(p.loss, C)
    cdef double diag = hx_svm_dual_diagonal(p.loss, C)
    cdef bint shrink
    while s < p.runs and work < p.slice:
        _run_at(p, s, &pos, &end)
        for pos in range(pos, end):
            i = p.rows[pos]
            length = hx_row(X, i, &v, &idx)
            work += length + 16
            _bounds(p, i, &C, &upper, &diag)
            y = _own_sign(p, i)
            f = hx_dot(X, v, idx, length, p.W)
            step = _step(&ln, p.alpha + i * p.stride, y, f, f + ln.offset + p.rho * ln.s,
                         p.sqnorm[i], C, upper, diag, p.rho, p.loss, &shrink)
            if step != 0:
                hx_axpy(X, step, v, idx, length, p.W)
            if shrink:
                p.awake[i // 64] &= ~((<uint64_t>1) << (i % 64))
        s += 1
    p.lane[0] = ln
    return s


cdef inline double _carry_on(Problem *p, Lane *ln, int64_t i, double *clipped) noexcept nogil:
    """Let a dual go on by beta of its change, inside its bounds; returns y * change.

    clipped: y times what the bounds have added to it.
    """
    cdef double *alpha = p.alpha + i * p.stride
    cdef double C = p.cost_all, upper = hx_svm_dual_upper(p.loss, C)
    cdef double diag = hx_svm_dual_diagonal(p.loss, C), a = alpha[0], y = _own_sign(p, i)
    cdef double free = a + p.beta * (a - p.a_last[i]), new
    _bounds(p, i, &C, &upper, &diag)
    new = min(max(free, 0), upper)
    p.a_last[i] = a
    alpha[0] = new
    ln.asum += new - a
    ln.adiag += diag * (new - a) * (new + a)
    ln.s += y * (new - a)
    clipped[0] = y * (new - free)
    return y * (new - a)


cdef void _carry_rows(Problem *p, int64_t pos, int64_t end, real *tag_v,
                      index *tag_i) noexcept nogil:
    """Momentum for the duals of active rows, and w along with them row by row."""
    cdef const hx_rows *X = p.X
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef Lane *ln = p.lane
    cdef double step, clipped
    cdef int64_t i, length
    for pos in range(pos, end):
        i = p.rows[pos]
        step = _carry_on(p, ln, i, &clipped)
        if step != 0:
            length = hx_row(X, i, &v, &idx)
            if p.product:
                ln.wsq += step * (2 * hx_dot(X, v, idx, length, p.W) + step * p.sqnorm[i])
            hx_axpy(X, step, v, idx, length, p.W)


cdef void _carry_all(Problem *p, real *tag_v, index *tag_i) noexcept nogil:
    """Momentum for all duals and w at once; rows correct w only where a bound was in the way."""
    cdef const hx_rows *X = p.X
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef Lane *ln = p.lane
    cdef double w, clipped
    cdef int64_t i, j, length
    for j in range(X.d):
        w = p.W[j]
        p.W[j] = w + p.beta * (w - p.w_last[j])
        p.w_last[j] = w
    ln.wsq = _sum_squares(p.W, X.d)
    for i in range(X.n):
        if p.alpha[i] == p.a_last[i]:
            continue
        _carry_on(p, ln, i, &clipped)
        if clipped != 0:
            length = hx_row(X, i, &v, &idx)
            ln.wsq += clipped * (2 * hx_dot(X, v, idx, length, p.W) + clipped * p.sqnorm[i])
            hx_axpy(X, clipped, v, idx, length, p.W)


cdef inline void _share_of_row(const Crew *crew, int64_t t, int64_t i, int64_t length,
                               int64_t *begin, int64_t *end) noexcept nogil:
    cdef const int32_t *cut = crew.cut + i * (crew.parts - 1)
    begin[0] = cut[t - 1] if t > 0 else 0
    end[0] = cut[t] if t < crew.parts - 1 else length


cdef inline void _fetch(const char *begin, const char *end) noexcept nogil:
    while begin < end:
        HX_PREFETCH(begin)
        begin += 64


cdef inline void _stage_at(const Problem *p, int64_t stage, int64_t *turn,
                           int64_t *place) noexcept nogil:
    """Turn of the run of the first row of a stage, and the rows' place in their runs.

    One row from each of some runs, then one from each of as many others, and so to the runs' end.
    """
    cdef int64_t rows = p.crew.rows, both = 2 * p.run
    turn[0] = stage // both * 2 * rows + stage % 2 * rows
    place[0] = stage % both // 2


cdef inline int64_t _row_at(const Problem *p, int64_t turn, int64_t place) noexcept nogil:
    """That row, or -1."""
    cdef int64_t pos, end
    _run_at(p, turn, &pos, &end)
    return p.rows[pos + place] if pos + place < end else -1


cdef void _score_stage(const Problem *p, int64_t t, int64_t stage, real *tag_v,
                       index *tag_i) noexcept nogil:
    """A part's share of the scores."""
    cdef const hx_rows *X = p.X
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef const Crew *crew = p.crew
    cdef Part *part = crew.part + t
    cdef double *f = part.f + stage % RING * LONGEST_RUN
    cdef int64_t i, k, length, lo, hi, turn, place
    _stage_at(p, stage + 1, &turn, &place)
    for k in range(crew.rows):      # what comes next is fetched meanwhile
        i = _row_at(p, turn + k, place)
        if i < 0:
            continue
        length = hx_row(X, i, &v, &idx)
        _share_of_row(crew, t, i, length, &lo, &hi)
        _fetch(<const char *>(v + lo), <const char *>(v + hi))
        _fetch(<const char *>(idx + lo), <const char *>(idx + hi))
        HX_PREFETCH(part.alpha + i)
        HX_PREFETCH(p.sqnorm + i)
    _stage_at(p, stage, &turn, &place)
    for k in range(crew.rows):
        i = _row_at(p, turn + k, place)
        if i < 0:
            continue
        length = hx_row(X, i, &v, &idx)
        _share_of_row(crew, t, i, length, &lo, &hi)
        f[k] = hx_dot(X, v + lo, idx + lo, hi - lo, p.W)


cdef void _move_stage(Problem *p, int64_t t, int64_t stage, real *tag_v,
                      index *tag_i) noexcept nogil:
    """The steps, which all parts make alike, and a part's share of the change of w."""
    cdef const hx_rows *X = p.X
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef Crew *crew = p.crew
    cdef Part *part = crew.part + t
    cdef Lane ln = part.lane
    cdef int64_t i, k, u, length, lo, hi, turn, place
    cdef double C = p.cost_all, y, f, step
    cdef double upper = hx_svm_dual_upper(p.loss, C)
    cdef double diag = hx_svm_dual_diagonal(p.loss, C)
    cdef bint shrink
    _stage_at(p, stage, &turn, &place)
    for k in range(crew.rows):
        i = _row_at(p, turn + k, place)
        if i < 0:
            continue
        f = 0
        for u in range(crew.parts):
            f += crew.part[u].f[stage % RING * LONGEST_RUN + k]
        _bounds(p, i, &C, &upper, &diag)
        y = _own_sign(p, i)
        step = _step(&ln, part.alpha + i, y, f, f + ln.offset + p.rho * ln.s,
                     p.sqnorm[i], C, upper, diag, p.rho, p.loss, &shrink)
        if step != 0:
            length = hx_row(X, i, &v, &idx)
            _share_of_row(crew, t, i, length, &lo, &hi)
            hx_axpy(X, step, v + lo, idx + lo, hi - lo, p.W)
        if shrink and t == 0:
            p.awake[i // 64] &= ~((<uint64_t>1) << (i % 64))
    part.lane = ln


cdef void _sweep_parts(Problem *p, int64_t thread, int64_t threads, real *tag_v,
                       index *tag_i) noexcept nogil:
    """Visit stages begin..end-1 for every part that belongs to this thread."""
    cdef Crew *crew = p.crew
    cdef Part *part
    cdef int64_t stage, t, j, looks
    if thread >= crew.parts:
        return
    t = thread
    while t < crew.parts and crew.stale:
        for j in range(p.X.n if t > 0 else 0):
            crew.part[t].alpha[j] = p.alpha[j]
        t += threads
    for stage in range(crew.begin, crew.end + 1):
        if stage < crew.end:
            t = thread
            while t < crew.parts:
                _score_stage(p, t, stage, tag_v, tag_i)
                HX_PUBLISH(&crew.part[t].done, stage + 1)
                t += threads
        if stage == crew.begin:
            continue
        for t in range(crew.parts):
            looks = 0
            while HX_LOOK(&crew.part[t].done) < stage:
                looks += 1
                HX_PAUSE()
                if looks % PATIENCE == 0:
                    HX_GIVE_WAY()
                    crew.part[thread].gave_way += 1
        t = thread
        while t < crew.parts:
            _move_stage(p, t, stage - 1, tag_v, tag_i)
            t += threads
    t = thread
    while t < crew.parts and crew.end == crew.stages:
        # Here, because a weight that another thread has read takes long to change.
        part = crew.part + t
        part.wsq = _sum_squares(p.W + part.first, part.last - part.first)
        t += threads


cdef double _sum_squares(const double *w, int64_t count) noexcept nogil:
    cdef double[4] sums     # or each addition would wait for the one before
    cdef int64_t j
    sums[0] = sums[1] = sums[2] = sums[3] = 0
    for j in range(count):
        sums[j & 3] += w[j] * w[j]
    return (sums[0] + sums[1]) + (sums[2] + sums[3])


cdef bint _cut_rows(const hx_rows *X, const index *idx, const int64_t *first, int64_t s,
                    int64_t end, Crew *crew) noexcept nogil:
    """Where in rows s..end-1 the parts begin, whose first features are given.

    False if a row does not have its features in the order of the parts.
    """
    cdef int64_t i, j, t, start, length
    cdef int32_t below, before
    cdef index least
    for i in range(s, end):
        start, length = hx_row_start(X, i), hx_row_len(X, i)
        for t in range(1, crew.parts):
            least, below, before = <index>first[t], 0, 0
            for j in range(start, start + length):
                below += idx[j] < least
            for j in range(start, start + below):
                before += idx[j] < least
            if before != below:
                return False
            crew.cut[i * (crew.parts - 1) + t - 1] = below
    return True


cdef inline double _scattered(int64_t j) noexcept nogil:
    """Of 0..1, evenly spread: steps of equal length might fall in with some period of the data."""
    cdef double x = j * 0.6180339887498949
    return x - <int64_t>x


cdef void _compare(Problem *p, real *tag_v, index *tag_i) noexcept nogil:
    """The mean |cosine| of two of some rows."""
    cdef const hx_rows *X = p.X
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef int64_t[COMPARED] rows
    cdef int64_t r, q, length, count = min(X.n, <int64_t>COMPARED)
    cdef double total = 0, norms
    for r in range(count):
        rows[r] = <int64_t>((r + _scattered(r)) / count * X.n) if X.n > COMPARED else r
    for r in range(count):
        length = hx_row(X, rows[r], &v, &idx)
        hx_axpy(X, 1.0, v, idx, length, p.room)
        for q in range(r):
            length = hx_row(X, rows[q], &v, &idx)
            norms = <double>p.sqnorm[rows[r]] * p.sqnorm[rows[q]]
            total += fabs(hx_dot(X, v, idx, length, p.room)) / sqrt(norms) if norms > 0 else 0
        length = hx_row(X, rows[r], &v, &idx)
        for q in range(length):
            p.room[idx[q]] = 0
    p.crew.likeness = total / max(1, count * (count - 1) // 2)


cdef void _sample_indices(const hx_rows *X, const index *idx, int64_t count,
                          int64_t *out) noexcept nogil:
    cdef int64_t j, start = hx_row_start(X, 0)
    for j in range(count):
        out[j] = idx[start + <int64_t>((j + _scattered(j)) / count * X.nnz)]


cdef void _sweep_lanes(Problem *p, weight *W, int64_t ld, int64_t block, int64_t s, int64_t end,
                       real *tag_v, index *tag_i) noexcept nogil:
    """Visit the rows of turns s..end-1 for the lanes of one block; W has its first one first."""
    cdef const hx_rows *X = p.X
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef int64_t K = p.lanes, k0 = block * p.per_block
    cdef int64_t lanes = min(p.per_block, K - k0)
    cdef uint64_t *mask = p.mask + block * X.n
    cdef uint64_t todo, bits, moved
    cdef Lane *lane = p.lane + k0
    cdef weight scores[BLOCK]
    cdef weight steps[BLOCK]
    cdef double b[BLOCK]
    cdef double edge[BLOCK]
    cdef double f
    cdef double *alpha
    cdef double C = p.cost_all
    cdef double upper = hx_svm_dual_upper(p.loss, C)
    cdef double diag = hx_svm_dual_diagonal(p.loss, C)
    cdef uint64_t yes
    cdef int64_t i, length, k, pos, stop, nnz = X.nnz
    cdef bint shrink
    for k in range(BLOCK):
        steps[k] = scores[k] = 0
    for k in range(lanes):
        b[k] = lane[k].offset + p.rho * lane[k].s
        edge[k] = -1 - lane[k].pg_hi
    for s in range(s, end):
        _run_at(p, s, &pos, &stop)
        for pos in range(pos, stop):
            i = p.rows[pos]
            todo = mask[i] & p.live[block]
            if todo == 0:
                continue
            length = hx_row(X, i, &v, &idx)
            _bounds(p, i, &C, &upper, &diag)
            alpha = p.alpha + i * K + k0
            if 4 * HX_POPCOUNT(todo) >= lanes:
                hx_lanes_scores(X, v, idx, length, nnz - hx_row_start(X, i), W, ld, lanes,
                                &scores[0])
            else:
                bits = todo
                while bits:
                    k = HX_LOWEST(bits)
                    bits &= bits - 1
                    scores[k] = hx_lane_dot(X, v, idx, length, W + k, ld)
            # Most rows are on the far side of most lanes, where there is nothing to do: alpha = 0,
            # the gradient is positive, and not so large that the row is to be shrunk.
            bits = yes = _signs(p, i, block)
            for k in range(lanes):
                f = scores[k] + b[k]
                bits |= <uint64_t>((alpha[k] != 0) | (f >= -1) | (f < edge[k])) << k
            bits &= todo
            moved = 0
            while bits:
                k = HX_LOWEST(bits)
                bits &= bits - 1
                steps[k] = <weight>_step(
                    &lane[k], alpha + k, 1.0 if (yes >> k) & 1 else -1.0, scores[k],
                    scores[k] + lane[k].offset + p.rho * lane[k].s, p.sqnorm[i],
                    C, upper, diag, p.rho, p.loss, &shrink)
                if steps[k] != 0:
                    moved |= (<uint64_t>1) << k
                    b[k] = lane[k].offset + p.rho * lane[k].s
                if shrink:
                    mask[i] &= ~((<uint64_t>1) << k)
            _add_row(X, &steps[0], moved, v, idx, length, lanes, W, ld)


cdef void _repair(Problem *p, int64_t block, int64_t s, int64_t end, real *tag_v,
                  index *tag_i) noexcept nogil:
    """Scale down duals of the heavier side of picked lanes, w along with them."""
    cdef const hx_rows *X = p.X
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef int64_t K = p.lanes, k0 = block * p.per_block
    cdef double C = p.cost_all
    cdef double upper = hx_svm_dual_upper(p.loss, C)
    cdef double diag = hx_svm_dual_diagonal(p.loss, C)
    cdef int64_t i, length, k, lanes = min(p.per_block, K - k0)
    cdef uint64_t bits, moved, yes
    cdef double y, change
    cdef double steps[BLOCK]
    cdef double *alpha
    cdef Lane *ln
    for k in range(BLOCK):
        steps[k] = 0
    for i in range(s, end):
        moved = 0
        _bounds(p, i, &C, &upper, &diag)
        bits, yes = p.pick[block], _signs(p, i, block)
        while bits:
            k = HX_LOWEST(bits)
            bits &= bits - 1
            ln = p.lane + k0 + k
            alpha = p.alpha + i * K + k0 + k
            y = 1.0 if (yes >> k) & 1 else -1.0
            if ln.shrink == 0 or y != ln.side or alpha[0] <= 0:
                continue
            if alpha[0] >= upper and ln.bound_too == 0:
                continue
            if ln.few_rows != 0 and i % FEW_ROWS != 0:
                continue
            change = -alpha[0] * ln.shrink
            alpha[0] += change
            steps[k] = y * change
            moved |= (<uint64_t>1) << k
        if moved:
            length = hx_row(X, i, &v, &idx)
            _add_row(X, &steps[0], moved, v, idx, length, lanes, p.W + k0, K)


cdef inline void _take_in(Problem *p, int64_t i, int64_t k, double f, double C, double upper,
                          double diag) noexcept nogil:
    """What a row of score f means for a lane: its loss, and whether it must be active again."""
    cdef Lane *ln = p.lane + k
    cdef double y = _sign(p, i, k), a = p.alpha[i * p.lanes + k]
    cdef double t = y * (f + ln.intercept), u = 1 - t, g = t - 1 + diag * a, place
    cdef double value = C * hx_svm_loss(p.loss, t)
    cdef int64_t slot
    cdef uint64_t bit
    cdef uint64_t *flags
    cdef double *bin
    cdef bint back
    _add_dual(ln, y, a, diag)
    if p.mask != NULL:
        flags, bit = p.mask + k // p.per_block * p.X.n + i, (<uint64_t>1) << (k % p.per_block)
    else:
        flags, bit = p.awake + i // 64, (<uint64_t>1) << (i % 64)
    if (HX_PEEK(flags) & bit) == 0:
        back = g < 0 if a <= 0 else (g > 0 if a >= upper else True)
        if back:
            HX_SET(flags, bit)
        else:
            ln.loss_shrunk += value
    ln.loss += value
    # An intercept c beyond the present one makes the slack u - y c: the row counts
    # for c < u when y = +1, and for c > -u when y = -1, so for no |c| <= half if u is less.
    if u > -ln.half and p.has_intercept:
        place = y * u * ln.per_half + (EDGES // 2 + 1)
        slot = 0 if place < 0 else (EDGES + 1 if place > EDGES + 1 else <int64_t>place)
        bin = p.bins + (k * (EDGES + 2) + slot) * MOMENTS + (0 if y > 0 else 3)
        bin[0] += C
        bin[1] += C * u
        bin[2] += C * u * u


cdef void _examine(Problem *p, int64_t block, int64_t s, int64_t end, real *tag_v,
                   index *tag_i) noexcept nogil:
    """The full pass of certify over the rows, for the picked lanes of a block."""
    cdef const hx_rows *X = p.X
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef int64_t K = p.lanes, k0 = block * p.per_block
    cdef int64_t lanes = min(p.per_block, K - k0)
    cdef double scores[BLOCK]
    cdef double edge[BLOCK]
    cdef double C = p.cost_all
    cdef double upper = hx_svm_dual_upper(p.loss, C)
    cdef double diag = hx_svm_dual_diagonal(p.loss, C)
    cdef uint64_t bits
    cdef const double *alpha
    cdef int64_t i, j, length, nnz = X.nnz
    if p.pick[block] == 0:
        return
    for j in range(lanes):
        edge[j] = -1 - p.lane[k0 + j].intercept - (p.lane[k0 + j].half if p.has_intercept else 0)
    for i in range(s, end):
        if not _counts(p, i):
            continue
        length = hx_row(X, i, &v, &idx)
        _bounds(p, i, &C, &upper, &diag)
        hx_lanes_scores(X, v, idx, length, nnz - hx_row_start(X, i), p.W + k0, K, lanes,
                        &scores[0])
        # Rows far on the negative side of a lane, with alpha = 0, change nothing. NaN does.
        bits = _signs(p, i, block)
        alpha = p.alpha + i * K + k0
        for j in range(lanes):
            bits |= <uint64_t>((alpha[j] != 0) | (not scores[j] <= edge[j])) << j
        bits &= p.pick[block]
        while bits:
            j = HX_LOWEST(bits)
            bits &= bits - 1
            _take_in(p, i, k0 + j, scores[j], C, upper, diag)


cdef void _examine_one(Problem *p, int64_t k, double *w, int64_t s, int64_t end, real *tag_v,
                       index *tag_i) noexcept nogil:
    """The same for one lane. Where there are more, w is room for its weights."""
    cdef const hx_rows *X = p.X
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef double C = p.cost_all
    cdef double upper = hx_svm_dual_upper(p.loss, C)
    cdef double diag = hx_svm_dual_diagonal(p.loss, C)
    cdef double batch[BATCH + 3]
    cdef int64_t i, length, first = 0, known = 0
    cdef double f
    if p.lanes > 1:
        for i in range(X.d):
            w[i] = p.W[i * p.lanes + k]
    for i in range(s, end):
        if not _counts(p, i):
            continue
        length = hx_row(X, i, &v, &idx)
        _bounds(p, i, &C, &upper, &diag)
        if p.lanes > 1:     # the same bits as for many lanes
            f = hx_lane_dot(X, v, idx, length, w, 1)
        elif X.is_csr:
            if i >= known:  # the scores of many rows at once take half the time
                first, known = i, min(end, i + <int64_t>BATCH)
                hx_csr_scores(X, v, idx, first, known, w, &batch[0])
            f = batch[i - first]
        else:
            f = hx_dot(X, v, idx, length, w)
        _take_in(p, i, k, f, C, upper, diag)


cdef double _side_at(const double *m, double c, int loss) noexcept nogil:
    """Sum of C phi over rows with moments m, all of slack u - c > 0, and no less in rounding."""
    cdef double extra = 1e-13
    if loss == 0:
        return m[1] - c * m[0] + extra * (m[1] + fabs(c) * m[0])
    return m[2] - c * (2 * m[1] - c * m[0]) + extra * (m[2] + fabs(c) * (2 * m[1] + fabs(c) * m[0]))


cdef void _best_intercept(Problem *p, int64_t k) noexcept nogil:
    """The best of EDGES + 1 intercepts around the present one, by running sums over the bins."""
    cdef Lane *ln = p.lane + k
    cdef double *bins = p.bins + k * (EDGES + 2) * MOMENTS
    cdef double m[MOMENTS]
    cdef double total[EDGES + 1]
    cdef double b, c, reach = ln.half, centre = ln.intercept, best = HUGE_VAL, best_b = centre
    cdef int64_t j, r, best_j = EDGES // 2
    for r in range(MOMENTS):
        m[r] = 0
    # Only rows on the sloping side are ever added: others may be larger by any factor.
    for j in range(EDGES, -1, -1):          # y = +1: all rows whose slot is past the edge
        for r in range(3):
            m[r] += bins[(j + 1) * MOMENTS + r]
        total[j] = _side_at(m, (j - EDGES // 2) * (reach / (EDGES // 2)), p.loss)
    for j in range(EDGES + 1):
        for r in range(3, 6):
            m[r] += bins[j * MOMENTS + r]
        c = (j - EDGES // 2) * (reach / (EDGES // 2))
        b = centre + c
        total[j] += 0.5 * ln.wsq + 0.5 * p.inv_size * b * b + _side_at(m + 3, -c, p.loss)
        if total[j] < best:
            best, best_b, best_j = total[j], b, j
    # The present intercept is the one that the dual converges to: another must be clearly better.
    if ln.primal - best > 0.02 * (ln.primal - ln.dual):
        ln.intercept = best_b
        ln.primal = best
    if best_j == 0 or best_j == EDGES:
        ln.half = 4 * reach
    else:
        ln.half = max(4 * fabs(best_b - centre), reach / 16, 1e-9 * (1 + fabs(centre)))


cdef void _equate(Problem *p, real *tag_v, index *tag_i) noexcept nogil:
    """What the free rows lack for y_i f_i - 1 + diag_i alpha_i = 0, as linear equations."""
    cdef const hx_rows *X = p.X
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef Free *free = p.free
    cdef Lane *ln = p.lane + free.lane
    cdef int64_t i, r, q, length = 0, K = p.lanes
    cdef double y, f, C = p.cost_all, upper = 0, diag = hx_svm_dual_diagonal(p.loss, C)
    for r in range(free.count):
        i = free.rows[r]
        _bounds(p, i, &C, &upper, &diag)
        length = hx_row(X, i, &v, &idx)
        hx_axpy(X, 1.0, v, idx, length, free.room)
        for q in range(r + 1):      # row r itself is the last
            length = hx_row(X, free.rows[q], &v, &idx)
            free.A[r * free.size + q] = free.A[q * free.size + r] = (
                hx_dot(X, v, idx, length, free.room))
        hx_axpy(X, -1.0, v, idx, length, free.room)
        free.A[r * free.size + r] += diag
        y = _sign(p, i, free.lane)
        f = hx_lane_dot(X, v, idx, length, p.W + free.lane, K) + ln.offset + p.rho * ln.s
        free.change[r] = y - f - diag * y * p.alpha[i * K + free.lane]


cdef void _move(Problem *p, real *tag_v, index *tag_i) noexcept nogil:
    """Change the free duals, until the first comes to its bound, w along with them."""
    cdef const hx_rows *X = p.X
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef Free *free = p.free
    cdef int64_t i, r, length, first = -1
    cdef double y, step, old, C = p.cost_all, upper = hx_svm_dual_upper(p.loss, C), diag = 0
    cdef double *a
    free.share = 1
    for r in range(free.count):
        i = free.rows[r]
        _bounds(p, i, &C, &upper, &diag)
        step = _sign(p, i, free.lane) * free.change[r]
        old = p.alpha[i * p.lanes + free.lane]
        if not 0 <= old + free.share * step <= upper:
            free.share, first = ((0 if step < 0 else upper) - old) / step, r
    for r in range(free.count):
        i = free.rows[r]
        _bounds(p, i, &C, &upper, &diag)
        y = _sign(p, i, free.lane)
        a = p.alpha + i * p.lanes + free.lane
        old, step = a[0], free.share * y * free.change[r]
        a[0] = min(max(old + step, 0), upper)
        if r == first:
            a[0] = 0 if step < 0 else upper
        length = hx_row(X, i, &v, &idx)
        hx_lane_axpy(X, y * (a[0] - old), v, idx, length, p.W + free.lane, p.lanes)


cdef inline float *_single(const Problem *p, int64_t block) noexcept nogil:
    """First weight of a block. Each thread has (d, share) to itself: no two write to one line."""
    cdef int64_t lane = block * p.per_block
    return p.single + lane // p.share * p.share * p.X.d + lane % p.share


cdef int64_t _run(Problem *p, Pass which, int64_t block, int64_t s, int64_t end, real *tag_v,
                  index *tag_i) noexcept nogil:
    if which == SWEEP:
        if p.mask == NULL:
            return _sweep_one(p, s, tag_v, tag_i)
        if p.single != NULL:
            _sweep_lanes(p, _single(p, block), p.share, block, s, end, tag_v, tag_i)
        else:
            _sweep_lanes(p, p.W + block * p.per_block, p.lanes, block, s, end, tag_v, tag_i)
    elif which == SWEEP_PARTS:
        _sweep_parts(p, block, s, tag_v, tag_i)     # a thread, and of how many
    elif which == TALLY:
        _tally(p, block, s, end)
    elif which == REPAIR:
        _repair(p, block, s, end, tag_v, tag_i)
    elif which == EXAMINE and p.mask == NULL:
        _examine_one(p, 0, p.W, s, end, tag_v, tag_i)
    elif which == EXAMINE:
        _examine(p, block, s, end, tag_v, tag_i)
    elif which == EXAMINE_ONE:
        # A lane in the place of the block, a thread in that of the first row.
        _examine_one(p, block, p.room + s * p.X.d, 0, end, tag_v, tag_i)
    elif which == EQUATE:
        _equate(p, tag_v, tag_i)
    elif which == MOVE:
        _move(p, tag_v, tag_i)
    elif which == COMPARE:
        _compare(p, tag_v, tag_i)
    elif which == CARRY_ALL:
        _carry_all(p, tag_v, tag_i)
    elif which == CARRY_ROWS:
        _carry_rows(p, s, end, tag_v, tag_i)
    else:
        _start(p, block, s, end, tag_v, tag_i)
    return end


cdef int64_t _dispatch(Problem *p, Pass which, int64_t block, int64_t s,
                       int64_t end) noexcept nogil:
    """Run a pass over rows (SWEEP: turns) s..end-1 in the version for the types of X."""
    if p.X.is_f32:
        if p.X.is_i64:
            return _run(p, which, block, s, end, <float *>NULL, <int64_t *>NULL)
        return _run(p, which, block, s, end, <float *>NULL, <int32_t *>NULL)
    if p.X.is_i64:
        return _run(p, which, block, s, end, <double *>NULL, <int64_t *>NULL)
    return _run(p, which, block, s, end, <double *>NULL, <int32_t *>NULL)


cdef double _lagrangian(const Problem *p, const Lane *ln) noexcept nogil:
    """What the steps of a single lane raise, as its sums have it."""
    return ln.asum - 0.5 * (ln.adiag + ln.wsq) - (ln.offset + 0.5 * p.rho * ln.s) * ln.s


cdef double _excess(const Problem *p, const Lane *ln) noexcept nogil:
    """s less b / size; 0 where size is finite and it costs the dual little."""
    cdef double excess = ln.s - (ln.offset + p.rho * ln.s) * p.inv_size
    if 0.5 * excess * excess < 0.02 * p.inv_size * (ln.near_primal - ln.near_dual):
        return 0
    return excess


cdef void _open_epoch(Lane *ln) noexcept nogil:
    ln.loss = 0
    ln.new_hi = -HUGE_VAL
    ln.new_lo = HUGE_VAL


cdef bint _is_ready(const Lane *ln, const Plan *plan, int64_t k) noexcept nogil:
    return ln.gap <= plan.targets[k] and ln.violation <= plan.violation


cdef void _close_epoch(const Problem *p, Lane *ln, const Plan *plan, int64_t k) noexcept nogil:
    """Estimates, shrinking thresholds for the next epoch, the step of the intercept."""
    cdef double b = ln.offset + p.rho * ln.s, own = p.inv_size * b * b
    ln.violation = max(0, ln.new_hi) - min(0, ln.new_lo)
    ln.near_primal = 0.5 * (ln.wsq + own) + ln.loss + ln.loss_shrunk
    # With s repaired to b / size, to first order.
    ln.near_dual = ln.asum - 0.5 * (ln.adiag + ln.wsq - own) - b * ln.s
    ln.gap = max(0, ln.near_primal - ln.near_dual) / max(fabs(ln.near_primal), 1e-300)
    ln.ready = _is_ready(ln, plan, k)
    ln.pg_hi = ln.new_hi if plan.shrink and ln.new_hi > 0 else HUGE_VAL
    ln.pg_lo = ln.new_lo if plan.shrink and ln.new_lo < 0 else -HUGE_VAL
    # Active rows are as good as solved: the offset would run away from the others.
    ln.widen = ln.violation <= max(0.1 * fabs(p.shift * b - ln.offset), 1e-11)
    if plan.move_offset:
        ln.offset = p.shift * b


cdef bint _take_lanes(const Problem *p, Visit *v, int64_t *group) noexcept nogil:
    """Copy the weights of the next few lanes; False when all have been taken.

    A lane's weights are far apart in W, and those of its neighbours come with them.
    """
    cdef int64_t i, k, j, first, each = v.groups // p.blocks
    v.count = v.at = 0
    while v.count == 0:
        i = HX_TAKE(group)
        if i >= v.groups:
            return False
        first = i // each * p.per_block + i % each * v.width
        for k in range(first, min(first + v.width, (i // each + 1) * p.per_block, p.lanes)):
            if _is_live(p, k) and not p.lane[k].ready:
                v.lanes[v.count] = k
                v.count += 1
    for i in range(p.X.d):
        for j in range(v.count):
            v.W[j * p.X.d + i] = p.W[i * p.lanes + v.lanes[j]]
    return True


cdef void _give_lanes(const Problem *p, Visit *v) noexcept nogil:
    """Write the weights back."""
    cdef int64_t i, j
    for i in range(p.X.d):
        for j in range(v.count):
            p.W[i * p.lanes + v.lanes[j]] = v.W[j * p.X.d + i]
    v.count = 0


cdef void _enter(const Problem *p, Visit *v) noexcept nogil:
    """Make a lane the problem, and list its active rows."""
    cdef Problem *q = &v.one
    cdef int64_t i, k = v.lanes[v.at], K = p.lanes, shift = k % p.per_block
    cdef const uint64_t *mask = p.mask + k // p.per_block * p.X.n
    cdef uint64_t *yes = q.awake + (p.X.n + 63) // 64
    for i in range((p.X.n + 63) // 64):
        q.awake[i] = yes[i] = 0
    for i in range(p.X.n):
        q.awake[i // 64] |= ((HX_PEEK(mask + i) >> shift) & 1) << (i % 64)
        yes[i // 64] |= <uint64_t>(_sign(p, i, k) > 0) << (i % 64)
    q.yes = yes
    q.W = v.W + v.at * p.X.d
    q.alpha = p.alpha + k
    q.stride = K
    q.lane = p.lane + k
    v.pos, v.epoch = 0, 0
    v.inside = True


cdef void _leave(const Problem *p, Visit *v) noexcept nogil:
    """Write down which rows of the lane were shrunk."""
    cdef Problem *q = &v.one
    cdef int64_t i, k = v.lanes[v.at]
    cdef uint64_t bit = (<uint64_t>1) << (k % p.per_block)
    cdef uint64_t *mask = p.mask + k // p.per_block * p.X.n
    for i in range(p.X.n):      # other threads are at other bits of the same words
        if (q.awake[i // 64] >> (i % 64)) & 1 == 0 and HX_PEEK(mask + i) & bit:
            HX_CLEAR(mask + i, bit)
    v.inside = False
    v.at += 1


cdef void _go_on(const Problem *p, Visit *v, const Plan *plan, int64_t *group) noexcept nogil:
    """About one slice of a thread's visits: lane by lane, plan.epochs epochs each."""
    cdef Problem *q = &v.one
    cdef double per_run, work = 0
    cdef int64_t before
    cdef hx_rng rng
    while work < SLICE:
        if v.count == 0:
            if not _take_lanes(p, v, group):
                return
            work += p.X.d * v.count
        if not v.inside:
            _enter(p, v)
            work += p.X.n
        if v.pos == 0:
            _open_epoch(q.lane)
            _list_awake(q)
            hx_rng_seed(&rng, plan.seed, plan.epoch + v.epoch + ((v.lanes[v.at] + 1) << 40))
            _shuffle_runs(q, &rng)
        before = v.pos
        v.pos = _dispatch(q, SWEEP, 0, v.pos, q.runs)
        per_run = (<double>p.X.nnz / max(p.X.n, 1) + 16) * q.run
        work += (v.pos - before + 1) * per_run
        if v.pos >= q.runs:
            v.pos = 0
            v.epoch += 1
            _close_epoch(p, q.lane, plan, v.lanes[v.at])
            if v.epoch == plan.epochs or q.lane.ready or q.lane.widen:
                _leave(p, v)
                if v.at == v.count:
                    _give_lanes(p, v)


def _solution(A, change, count, total, largest):
    """What the free duals have to change by, and the intercept; or None.

    Without a diagonal, rows depend on each other if there are more than features. What no solution
    can bring about is then a direction in which the dual rises without curvature: it is taken to
    beyond the nearest bound, no further than twice the largest.
    """
    def missing(solution):
        lack = np.abs(A @ solution - change)
        lack[count:] /= total
        return lack.max()

    try:
        solution = np.linalg.solve(A, change)
        if missing(solution) <= SOLVED:
            return solution
    except np.linalg.LinAlgError:
        pass
    try:
        solution = np.linalg.lstsq(A, change, rcond=1e-12)[0]
    except np.linalg.LinAlgError:
        return None
    if missing(solution) <= SOLVED:
        return solution
    rise = change - A @ solution
    most = np.abs(rise).max()
    if np.abs(A @ rise).max() <= 1e-9 * most and largest < HUGE_VAL:
        return rise * (2 * largest / most)
    return None


cdef class DualCD:
    """State of the solver; alpha and W are the caller's and are updated in place.

    Parameters
    ----------
    X : Rows
    codes : int32 (n,), or None with `ptr` and `labels`
        Class of each row. With one lane, code 1 is the positive class; else lane k has class k.
    sqnorm : float32 (n,)
        Squared row norms: step sizes only, so single precision is enough.
    cost : float64 (n,) or None
        C_i per row; rows of cost 0 take no part.
    cost_all : float
        C_i of every row when `cost` is None.
    loss : int
        Of LOSS_CODES.
    alpha, W : float64 (n, lanes) and (d, lanes)
        Zero, or a start with 0 <= alpha <= upper (see `start`).
    blocks : int
        Blocks of lanes, each at most BLOCK wide; threads share them out.
    single : bool
        Whether the first epochs use single-precision weights: several lanes, W = 0.
    size : float
        Squared value of the constant feature: 0 no intercept, infinity an unregularized one.
    small : float
        Squared value of the feature that stands for it in a sweep.
    seed : int
    threads : int
    ptr, labels : int64 (n + 1,) and int32, optional
        Instead of codes: row i is positive in lanes labels[ptr[i]:ptr[i + 1]].
    """
    cdef Problem p
    cdef Rows X
    cdef object keep, kept_rows
    cdef unsigned char[::1] lane_room
    cdef bint one_of_many       # the rows are a block of more, see attach
    cdef readonly object awake      # bits of the active rows and lanes
    cdef uint64_t seed
    cdef int threads
    cdef bint apart             # lanes are visited one at a time
    cdef int64_t shares         # of a single lane's rows, when it is certified
    cdef Crew crew
    cdef bint half_summed       # W is to be summed up from the duals, or this was not finished
    cdef int64_t picked         # lanes
    cdef bint half_added        # the sums of duals are being made anew
    cdef unsigned char[::1] visit_room
    cdef double[:, ::1] w_room
    cdef int32_t[:, ::1] rows_room
    cdef int32_t[:, ::1] turn_room
    cdef uint64_t[:, ::1] awake_room
    cdef readonly int64_t epoch
    cdef readonly int64_t logged    # entries of the log since advance began
    cdef readonly int64_t undone    # epochs with features shared out that did harm
    cdef readonly bint ripe         # advance ended because enough lanes are ready
    cdef readonly double deadline
    cdef public double momentum     # share of their change by which duals go on, in general
    cdef double[::1] a_last, w_last
    cdef int64_t moved          # epochs before the last time that they did
    cdef double last_dual       # before the last epoch,
    cdef bint fell              # which has lowered it,
    cdef int64_t falls          # as so many have
    cdef public object poll         # called about every 10 ms if not None; it may raise

    def __cinit__(self, Rows X, const int32_t[::1] codes, const float[::1] sqnorm,
                  const double[::1] cost, double cost_all, int loss, double[:, ::1] alpha,
                  double[:, ::1] W, int64_t blocks, bint single, double size, double small,
                  uint64_t seed, int threads, double deadline=HUGE_VAL,
                  const int64_t[::1] ptr=None, const int32_t[::1] labels=None):
        cdef Problem *p = &self.p
        cdef int64_t k, b, each, K = alpha.shape[1]
        cdef unsigned char[::1] lanes
        cdef uint64_t[::1] flags
        cdef double[::1] bins
        if W.shape[0] != X.c.d or W.shape[1] != K or blocks < 1 or blocks * BLOCK < K:
            raise ValueError("arrays of DualCD do not fit each other")
        self.seed, self.threads, self.deadline = seed, max(1, threads), deadline
        p.cost_all, p.loss, p.has_intercept = cost_all, loss, size > 0
        # (1 / size + 1 / small) is the curvature of the proximal step.
        p.inv_size = 1 / size if size > 0 else 0
        p.rho = 1 / (p.inv_size + 1 / small) if size > 0 else 0
        p.shift = p.rho / small
        p.W = &W[0, 0]
        p.lanes = K
        p.stride = 1
        p.per_block = (K + blocks - 1) // blocks
        if p.per_block >= 32:   # whole cache lines
            p.per_block = (p.per_block + 7) // 8 * 8
        p.blocks = (K + p.per_block - 1) // p.per_block
        each = (p.blocks + self.threads - 1) // self.threads
        p.slice = SLICE / each
        p.share = min(each * p.per_block, K)
        if single and K > 1:
            # In the memory of W, which halves the largest array of all. As share <= K, there are
            # less than 2 K floats a feature, padding included.
            p.single = <float *>p.W
        self.shares = 1

        lanes = np.zeros(K * sizeof(Lane), dtype=np.uint8)
        flags = np.zeros(2 * p.blocks, dtype=np.uint64)
        bins = np.empty(K * (EDGES + 2) * MOMENTS if p.has_intercept else 1)
        self.lane_room = lanes
        self.keep = (W, flags, bins)
        p.lane = <Lane *>&lanes[0]
        p.bins = &bins[0] if p.has_intercept else NULL
        p.live, p.pick = &flags[0], &flags[p.blocks]
        for k in range(K):
            p.lane[k].half = 1
            p.lane[k].pg_hi, p.lane[k].pg_lo = HUGE_VAL, -HUGE_VAL
        for b in range(p.blocks):
            p.live[b] = _ones(min(p.per_block, K - b * p.per_block))
        self._hold(X, codes, sqnorm, cost, alpha, None, ptr, labels)

    cdef int _hold(self, Rows X, const int32_t[::1] codes, const float[::1] sqnorm,
                   const double[::1] cost, double[:, ::1] alpha, uint64_t[:, ::1] awake,
                   const int64_t[::1] ptr, const int32_t[::1] labels) except -1:
        """Make these rows the present ones."""
        cdef Problem *p = &self.p
        cdef int64_t i, b, n = X.c.n, K = p.lanes
        cdef uint64_t[:, ::1] mask, yes
        cdef int32_t[::1] rows, turn
        if ((codes is None) != (ptr is not None) or (ptr is None) != (labels is None)
                or (codes.shape[0] if ptr is None else ptr.shape[0] - 1) != n
                or sqnorm.shape[0] != n or alpha.shape[0] != n or alpha.shape[1] != K
                or (cost is not None and cost.shape[0] != n)):
            raise ValueError("arrays of DualCD do not fit each other")
        p.X = &X.c
        p.sqnorm = &sqnorm[0]
        p.cost = NULL if cost is None else &cost[0]
        p.alpha = &alpha[0, 0]
        p.longest = max(1, min(LONGEST_RUN, RUN_VALUES * n // max(1, X.c.nnz)))
        mask = np.zeros((p.blocks, n if K > 1 else (n + 63) // 64), dtype=np.uint64)
        if awake is not None and (
                awake.shape[0] != mask.shape[0] or awake.shape[1] != mask.shape[1]):
            raise ValueError("awake is of other rows")
        listed = K == 1 or codes is None
        yes = np.zeros_like(mask) if listed else np.zeros((1, 1), dtype=np.uint64)
        rows = np.empty(n, dtype=np.int32)
        turn = np.empty(self._most_runs(), dtype=np.int32)
        self.X = X
        self.kept_rows = (codes, sqnorm, cost, alpha, mask, yes, rows, turn)
        self.awake = mask
        p.yes = &yes[0, 0]
        p.codes = NULL
        if listed:
            _mark(p, yes, codes, ptr, labels)
        else:
            p.codes = &codes[0]
        p.mask = &mask[0, 0] if K > 1 else NULL
        p.awake = &mask[0, 0] if K == 1 else NULL
        p.rows, p.turn = &rows[0], &turn[0]
        for b in range(p.blocks):
            for i in range(n):
                if _counts(p, i) and K > 1:
                    mask[b, i] = p.live[b]
                elif _counts(p, i):
                    mask[0, i // 64] |= (<uint64_t>1) << (i % 64)
        if awake is not None:
            for b in range(mask.shape[0]):
                for i in range(mask.shape[1]):
                    mask[b, i] &= awake[b, i]
        self._list_rows()
        return 0

    cdef int64_t _most_runs(self) noexcept:
        """In an epoch: of the longest kind, or about FEWEST_RUNS shorter ones."""
        return self.p.X.n // self.p.longest + 2 * FEWEST_RUNS + 2

    def share(self, int64_t shares, int64_t parts, double alike):
        """Share a single problem out: its rows, when it is certified, and its features in epochs.

        Threads take shares of the rows and parts of the features. Features stay together if the
        data are dense, if a row does not have its indices in ascending order (the parts' order is
        what counts), or if rows are so much alike that steps made together would overshoot: if
        the |cosines| of a row to the others that are scored with it add up to more than `alike`,
        by a sample. Returns False if out of time.
        """
        cdef Problem *p = &self.p
        cdef hx_rows *X = p.X
        cdef Crew *crew = &self.crew
        cdef int64_t i, s = 0, end, count = min(X.nnz, <int64_t>SAMPLE)
        cdef int64_t[::1] sample, first
        cdef int32_t[:, ::1] cut
        cdef unsigned char[::1] room
        cdef double[:, ::1] alpha
        cdef double[::1] scratch
        cdef int64_t slice = max(1, <int64_t>(4 * SLICE / (<double>X.nnz / max(X.n, 1) + 16)))
        cdef bint fits = True
        if p.lanes > 1:
            return True
        self.shares = shares
        if not X.is_csr or not 1 < parts <= count or X.d > INT32_MAX:
            return True
        crew.rows = max(2, p.longest)
        scratch = np.zeros(X.d)
        p.crew, p.room = crew, &scratch[0]
        _dispatch(p, COMPARE, 0, 0, 0)
        p.crew, p.room = NULL, NULL
        if not crew.likeness * (2 * crew.rows - 1) <= alike:
            return True
        sample, first = np.empty(count, dtype=np.int64), np.empty(parts, dtype=np.int64)
        cut = np.empty((X.n, parts - 1), dtype=np.int32)
        room = np.zeros(parts * sizeof(Part), dtype=np.uint8)
        crew.parts, crew.cut, crew.part = parts, &cut[0, 0], <Part *>&room[0]
        if X.is_i64:
            _sample_indices(X, <const int64_t *>X.idx, count, &sample[0])
        else:
            _sample_indices(X, <const int32_t *>X.idx, count, &sample[0])
        np.asarray(sample).sort()
        for i in range(parts):      # whole cache lines, more or less
            first[i] = min(X.d, (sample[i * count // parts] + 7) // 8 * 8)
        while fits and s < X.n:
            end = min(X.n, s + slice)
            with nogil:
                if X.is_i64:
                    fits = _cut_rows(X, <const int64_t *>X.idx, &first[0], s, end, crew)
                else:
                    fits = _cut_rows(X, <const int32_t *>X.idx, &first[0], s, end, crew)
            s = end
            if not self._may_go_on():
                return False
        if fits:
            alpha = np.empty((parts - 1, X.n))
            self.keep += (cut, room, alpha)
            p.crew, crew.stale, crew.slice = crew, True, FIRST_SLICE
            for i in range(parts):
                crew.part[i].alpha = &alpha[i - 1, 0] if i > 0 else p.alpha
                crew.part[i].first = first[i] if i > 0 else 0
                crew.part[i].last = first[i + 1] if i + 1 < parts else X.d
        return True

    # ---- steps -----------------------------------------------------------------------------

    def start(self, const double[::1] intercepts=None, bint summed=False):
        """W and the running sums from alpha (and b): a warm start. False if out of time.

        `summed` says that W is there already.
        """
        if intercepts is not None:
            self.begin_at(intercepts)
        if not summed:
            return self._sum_up()
        self.p.single = NULL
        self._add_up(0, self.p.lanes)
        self._norms()
        return True

    def narrow(self, const uint64_t[:, ::1] awake, const double[::1] shrunk):
        """Begin with the rows active that were so at the end of a similar problem.

        `awake` is the attribute of that name, `shrunk` the losses of the others by lane.
        """
        cdef Problem *p = &self.p
        cdef uint64_t[:, ::1] mine = self.awake
        cdef int64_t b, i, k
        if (awake.shape[0] != mine.shape[0] or awake.shape[1] != mine.shape[1]
                or shrunk.shape[0] != p.lanes):
            raise ValueError("awake or shrunk is of another problem")
        for b in range(mine.shape[0]):
            for i in range(mine.shape[1]):
                mine[b, i] &= awake[b, i]
        for k in range(p.lanes):
            p.lane[k].loss_shrunk = shrunk[k]
        self._list_rows()

    @property
    def shrunk(self):
        """Losses of the rows that are not active, by lane."""
        return np.array([self.p.lane[k].loss_shrunk for k in range(self.p.lanes)])

    def begin_at(self, const double[::1] intercepts):
        """Let the intercepts begin here rather than at 0."""
        cdef int64_t k
        if intercepts.shape[0] != self.p.lanes:
            raise ValueError("intercepts must have an entry per lane")
        for k in range(self.p.lanes):
            self.p.lane[k].offset = self.p.shift * intercepts[k]

    cdef bint _sum_up(self, bint patient=False) except -1:
        """W and the running sums from alpha, in double precision from now on.

        False if out of time, with W half summed; never when `patient`, nor is Ctrl-C heeded then.
        """
        cdef Problem *p = &self.p
        cdef int64_t k
        for k in range(p.lanes):
            p.lane[k].s = p.lane[k].asum = p.lane[k].adiag = 0
        if p.single != NULL or self.half_summed:    # or else W is still zero
            memset(p.W, 0, p.X.d * p.lanes * sizeof(double))
        self.half_summed = True
        p.single = NULL
        self.crew.stale = True
        if patient:
            with nogil:
                for k in range(p.blocks):
                    _dispatch(p, START, k, 0, p.X.n)
        elif not self._passes(START):
            return False
        self.half_summed = False
        self._norms()
        return True

    def finish(self):
        """Let W hold the weights, and the intercepts be known, after an interrupt."""
        if self.p.single != NULL or self.half_summed:
            self._sum_up(True)
        elif self.half_added:
            self._add_up(0, self.p.lanes)

    def advance(self, int64_t until, int64_t limit, int64_t earliest, int64_t warm,
                const double[::1] targets, double violation, double[:, ::1] estimates,
                double[:, ::1] log):
        """Epochs until it is worth to certify; False when the deadline came.

        `logged` entries of `log` are written. Stops at epoch `until` (lanes that are visited one
        at a time may go on, but not past epoch `limit`), when `log` is full, or, from epoch
        `earliest` on, when enough lanes are ready, which sets `ripe`: estimated relative gap at
        most targets[k], and largest violation of the optimality conditions at most `violation`.
        From epoch `warm` on, the intercept moves. With a finite `violation` no row is shrunk: the
        violation of shrunk rows is not known.

        estimates (lanes, 2), after the last epoch: relative gap; 1 if ready else 0.
        log (any, 6): epoch, seconds (perf_counter), primal and dual summed over the lanes,
        largest gap, active rows. The primal takes each row's loss as of its visit, so it is an
        estimate, not a bound; frozen lanes count as certified.
        """
        cdef Problem *p = &self.p
        cdef Lane *ln
        cdef Plan plan
        cdef int64_t k, done = 0, ready, live
        cdef double share
        if (targets.shape[0] != p.lanes or estimates.shape[0] != p.lanes
                or estimates.shape[1] != 2 or log.shape[1] != 6):
            raise ValueError("arrays of advance do not fit")
        plan.seed, plan.targets, plan.violation = self.seed, &targets[0], violation
        plan.shrink = violation == HUGE_VAL
        for k in range(p.lanes):
            p.lane[k].ready = self.epoch > 0 and _is_ready(&p.lane[k], &plan, k)
        self.logged = 0
        self.ripe = False
        while done < log.shape[0] and self.epoch < min(until, limit):
            if p.single != NULL and (self.apart or self.epoch >= SINGLE_EPOCHS):
                self.half_summed = True
            if self.half_summed and not self._sum_up():
                return False
            plan.epoch = self.epoch
            plan.move_offset = self.epoch >= warm
            plan.epochs = min(APART, limit - self.epoch) if self.apart else 1
            if p.lanes == 1 and self.momentum > 0 and not self._carry_on():
                return False
            if not self.apart:
                self.open_epoch()
            if not (self._visits(&plan) if self.apart else self._sweep()):
                return False
            self.epoch += plan.epochs
            ready = live = 0
            log[done, 2] = log[done, 3] = log[done, 4] = 0
            for k in range(p.lanes):
                ln = p.lane + k
                if _is_live(p, k):
                    if not self.apart:
                        _close_epoch(p, ln, &plan, k)
                    if ln.widen:
                        self._unshrink(k)
                    live += 1
                    ready += ln.ready != 0
                log[done, 2] += ln.near_primal
                log[done, 3] += ln.near_dual
                log[done, 4] = max(log[done, 4], ln.gap)
                estimates[k, 0] = ln.gap
                estimates[k, 1] = ln.ready if _is_live(p, k) else 0
            self._list_rows()
            if p.lanes == 1:
                self.fell = p.lane.near_dual < self.last_dual
                self.falls += self.fell
                self.last_dual = p.lane.near_dual
            log[done, 0] = self.epoch
            log[done, 1] = perf_counter()
            log[done, 5] = p.active
            done += 1
            self.logged = done
            # The first certificate sums up W, a visit of single lanes skips those that are ready.
            share = 1 if self.apart else (0.9 if p.single != NULL else 0.5)
            self.ripe = ready >= max(1, share * live) and (
                self.epoch >= earliest or (self.apart and ready == live))
            if self.ripe:
                break
        return True

    cdef bint _carry_on(self) except -1:
        """Let the duals of a single problem go on by a share of their change. False if out of time.

        All of them at once, which takes another (n + d), or row by row, whichever is faster.
        """
        cdef Problem *p = &self.p
        cdef int64_t n = p.X.n, d = p.X.d, s = 0, end, i
        cdef double row = <double>p.X.nnz / n + 8, epoch = p.active * row
        cdef double by_rows = min(0.5 * epoch + d, epoch), at_once = n + 3.0 * d
        cdef bint dear = min(by_rows, at_once) > DEAR * epoch, whole = at_once < by_rows
        if (self.epoch < FIRST_EPOCHS or self.epoch < self.moved + 1 + dear
                or 3 * self.falls > self.epoch + 30):   # then it is of no use
            return True
        self.moved = self.epoch
        # After an epoch that has lowered the dual, one without.
        # A problem that takes many epochs bears more.
        p.beta = max(self.momentum, min(MOST_MOMENTUM, 1 - LONG / self.epoch))
        p.beta = 0 if self.fell else min(p.beta, self.epoch / (self.epoch + 8.0))
        self.crew.stale = True
        if p.a_last == NULL:
            self.a_last = np.array(<double[:n]>p.alpha)
            p.a_last = &self.a_last[0]
        if whole and p.w_last != NULL:
            with nogil:
                _dispatch(p, CARRY_ALL, 0, 0, 0)
            return True
        p.w_last = NULL
        if whole:
            for i in range(n):
                if (p.awake[i // 64] >> (i % 64)) & 1 == 0:
                    p.a_last[i] = p.alpha[i]    # as the pass does it for active rows
            self.w_last = np.array(<double[:d]>p.W)
        p.product = epoch < 0.5 * epoch + d
        while s < p.active:
            end = min(p.active, s + max(1, <int64_t>(SLICE / row)))
            with nogil:
                _dispatch(p, CARRY_ROWS, 0, s, end)
            s = end
            if not self._may_go_on():
                return False
        if whole:
            p.w_last = &self.w_last[0]
        if not p.product:
            self._norms()
        return True

    def open_epoch(self):
        """Sums of what the rows show when they are visited begin anew."""
        cdef int64_t k
        for k in range(self.p.lanes):
            _open_epoch(&self.p.lane[k])

    cdef bint _sweep(self) except -1:
        """Visit the active rows. False when the deadline came first."""
        cdef Problem *p = &self.p
        cdef hx_rng rng
        cdef int64_t s
        cdef bint in_time
        hx_rng_seed(&rng, self.seed, self.epoch)
        _shuffle_runs(p, &rng)
        if p.mask != NULL:
            return self._passes(SWEEP)
        if p.crew != NULL and p.run == p.longest:   # waiting would take longer than shorter runs
            in_time = self._sweep_crew()
            if p.crew != NULL or not in_time:
                return in_time
            if not self._sum_up():      # as if nothing had been
                return False
        self.crew.stale = True
        s = 0
        while s < p.runs:
            with nogil:
                s = _dispatch(p, SWEEP, 0, s, p.runs)
            if not self._may_go_on():
                return False
        return True

    cdef bint _sweep_crew(self) except -1:
        """An epoch with the features shared out; undone, with no crew any more, if it did harm.

        False if out of time.
        """
        cdef Problem *p = &self.p
        cdef Lane before = p.lane[0]
        cdef double[::1] duals = np.empty(p.X.n)
        cdef int64_t i
        cdef bint in_time = False
        memcpy(&duals[0], p.alpha, p.X.n * sizeof(double))
        try:
            in_time = self._sweep_stages()
        finally:
            if not self._was_worth_it(&before):
                memcpy(p.alpha, &duals[0], p.X.n * sizeof(double))
                p.lane[0] = before
                for i in range(p.active):
                    p.awake[p.rows[i] // 64] |= (<uint64_t>1) << (p.rows[i] % 64)
                p.crew = NULL
                self.half_summed = True
                self.undone += 1
        return in_time

    cdef bint _was_worth_it(self, const Lane *before) noexcept:
        """Whether the dual has risen by about what the steps promised. Sets the true ||w||^2."""
        cdef Problem *p = &self.p
        cdef Crew *crew = p.crew
        cdef Lane *ln = p.lane
        cdef double start = _lagrangian(p, before), promised = _lagrangian(p, ln) - start, rise
        cdef int64_t t
        if crew.end < crew.stages:
            self._norms()
        else:
            ln.wsq = 0
            for t in range(crew.parts):
                ln.wsq += crew.part[t].wsq
        rise = _lagrangian(p, ln) - start
        return rise >= KEPT * promised or fabs(promised) <= 1e-12 * ln.asum    # but rounding

    cdef bint _sweep_stages(self) except -1:
        cdef Problem *p = &self.p
        cdef Crew *crew = p.crew
        cdef Lane *ln = p.lane
        cdef int64_t t, most
        cdef int threads = <int>min(self.threads, crew.parts)
        most = <int64_t>(crew.parts * SLICE / ((<double>p.X.nnz / p.X.n + 16) * crew.rows))
        most = max(1, min(most, <int64_t>LAST_SLICE))
        crew.stages = (p.runs + 2 * crew.rows - 1) // (2 * crew.rows) * 2 * p.run
        crew.crowded = max(0, crew.crowded - 1)
        crew.end = 0
        while True:
            crew.begin, crew.end = crew.end, min(crew.stages, crew.end + min(crew.slice, most))
            for t in range(crew.parts):
                crew.part[t].lane = ln[0]
                crew.part[t].done = crew.begin
                crew.part[t].gave_way = 0
            with nogil:
                if threads > 1 and crew.crowded == 0:
                    with parallel(num_threads=threads):
                        _dispatch(p, SWEEP_PARTS, threadid(), HX_TEAM(), 0)
                else:
                    _dispatch(p, SWEEP_PARTS, 0, 1, 0)
            crew.stale = False
            ln[0] = crew.part[0].lane
            crew.slice = min(2 * crew.slice, <int64_t>LAST_SLICE)
            for t in range(crew.parts):
                if crew.part[t].gave_way > CROWDED:
                    crew.crowded = ALONE
            if not self._may_go_on():
                return False
            if crew.end == crew.stages:
                return True

    cdef bint _visits(self, Plan *plan) except -1:
        """Some epochs of every lane that is not ready, one lane at a time in each thread."""
        cdef Problem *p = &self.p
        cdef Visit *visit = <Visit *>&self.visit_room[0]
        cdef int64_t width = self.w_room.shape[1] // p.X.d, group = 0
        cdef int64_t groups = p.blocks * ((p.per_block + width - 1) // width)
        cdef int t, threads = self._visitors()
        cdef bint busy = True
        for t in range(threads):
            visit[t].one = p[0]
            visit[t].one.lanes, visit[t].one.blocks, visit[t].one.mask = 1, 1, NULL
            visit[t].one.awake = &self.awake_room[t, 0]
            visit[t].one.rows, visit[t].one.turn = &self.rows_room[t, 0], &self.turn_room[t, 0]
            visit[t].W, visit[t].width, visit[t].groups = &self.w_room[t, 0], width, groups
            visit[t].count, visit[t].inside = 0, False
        try:
            while busy:
                with nogil:
                    if threads > 1:
                        for t in prange(threads, num_threads=threads, schedule="static",
                                        chunksize=1):
                            _go_on(p, visit + t, plan, &group)
                    else:
                        _go_on(p, visit, plan, &group)
                if not self._may_go_on():
                    return False
                busy = group < groups
                for t in range(threads):
                    busy |= visit[t].count > 0
        finally:
            for t in range(threads):
                if visit[t].inside:
                    _leave(p, visit + t)
                if visit[t].count > 0:
                    _give_lanes(p, visit + t)
        return True

    cdef int _visitors(self) noexcept:
        return <int>max(1, min(self.threads, self.p.lanes))

    cdef void _list_rows(self):
        """List the rows with an active lane; decide whether lanes are better visited one by one.

        A row's features are W rows of all lanes. When few of a row's lanes are active, most of
        each W row is fetched for nothing, and a lane's own w, which is contiguous and may fit
        the second-level cache, costs less, copying included.
        """
        cdef Problem *p = &self.p
        cdef int64_t i, b, active = 0, pairs = 0, live = 0, threads, width
        cdef uint64_t left, some
        if p.mask == NULL:
            _list_awake(p)
            return
        with nogil:
            for i in range(p.X.n):
                some = 0
                for b in range(p.blocks):
                    left = p.mask[b * p.X.n + i] & p.live[b]
                    pairs += HX_POPCOUNT(left)
                    some |= left
                p.rows[active] = <int32_t>i
                active += some != 0
            for b in range(p.blocks):
                live += HX_POPCOUNT(p.live[b])
        p.active = active
        if self.apart or self.one_of_many:
            return
        if pairs < active * max(p.lanes / 8.0, min(p.lanes / 4.0, 2)) and (
                APART * pairs * (<double>p.X.nnz / p.X.n) > 4 * <double>live * (p.X.d + p.X.n)):
            threads = self._visitors()
            self.visit_room = np.empty(threads * sizeof(Visit), dtype=np.uint8)
            # So few at once that the threads have about as much to do.
            width = max(1, min(GROUP, p.lanes // (8 * threads)))
            self.w_room = np.empty((threads, width * p.X.d))
            self.rows_room = np.empty((threads, p.X.n), dtype=np.int32)
            self.turn_room = np.empty((threads, self._most_runs()), dtype=np.int32)
            self.awake_room = np.empty((threads, 2 * ((p.X.n + 63) // 64)), dtype=np.uint64)
            self.apart = True

    cdef void _unshrink(self, int64_t k) noexcept:
        """All rows of a lane take part in its next epoch, which shrinks none."""
        cdef Lane *ln = self.p.lane + k
        ln.pg_hi, ln.pg_lo = HUGE_VAL, -HUGE_VAL
        ln.loss_shrunk = ln.widen = 0
        self._wake(k)

    cdef void _wake(self, int64_t k) noexcept:
        cdef Problem *p = &self.p
        cdef int64_t i, b = k // p.per_block
        for i in range(p.X.n):
            if not _counts(p, i):
                continue
            if p.mask == NULL:
                p.awake[i // 64] |= (<uint64_t>1) << (i % 64)
            else:
                p.mask[b * p.X.n + i] |= (<uint64_t>1) << (k % p.per_block)

    def certify(self, const unsigned char[::1] lanes, double[:, ::1] out):
        """True primal and dual of the chosen lanes over all rows. False if out of time.

        out (lanes, 3): primal, dual, intercept. First repairs alpha, last brings back shrunk
        rows that violate their optimality condition.
        """
        cdef Problem *p = &self.p
        self.pick(lanes)
        if (p.single != NULL or self.half_summed) and not self._sum_up():
            return False
        if p.has_intercept and not self._repair(1):
            return False
        self.open_certificate()
        if not self.examine():
            return False
        self.close_certificate(out)
        return True

    def pick(self, const unsigned char[::1] lanes):
        """Lanes that repairs and certificates from now on are for."""
        cdef Problem *p = &self.p
        cdef int64_t k
        if lanes.shape[0] != p.lanes:
            raise ValueError("lanes must have an entry per lane")
        self.picked = 0
        for k in range(p.blocks):
            p.pick[k] = 0
        for k in range(p.lanes):
            if lanes[k]:
                p.pick[k // p.per_block] |= (<uint64_t>1) << (k % p.per_block)
                self.picked += 1

    def open_certificate(self):
        """Begin the sums of a certificate for the picked lanes."""
        cdef Problem *p = &self.p
        cdef Lane *ln
        cdef int64_t k, j
        self.half_added = True
        for k in range(p.lanes):
            if _is_picked(p, k):
                ln = p.lane + k
                ln.intercept = ln.offset + p.rho * ln.s
                ln.loss = ln.loss_shrunk = ln.s = ln.asum = ln.adiag = 0
                ln.per_half = (EDGES // 2) / ln.half
                ln.gap = HUGE_VAL       # if it is not good enough, it takes another epoch
                if p.has_intercept:
                    for j in range((EDGES + 2) * MOMENTS):
                        p.bins[k * (EDGES + 2) * MOMENTS + j] = 0

    def examine(self):
        """Take the present rows into the certificate, waking those that violate their condition.

        False if out of time.
        """
        cdef bint few = self.p.lanes > 1 and FEW * self.picked < self.p.lanes
        try:
            if self.shares > 1:
                return self._examine_shared()
            return self._examine_apart() if few else self._passes(EXAMINE)
        finally:
            self._list_rows()

    def close_certificate(self, double[:, ::1] out):
        """Write primal, dual and intercept of the picked lanes into out (lanes, 3)."""
        cdef Problem *p = &self.p
        cdef Lane *ln
        cdef int64_t k
        cdef double b
        if out.shape[0] != p.lanes or out.shape[1] != 3:
            raise ValueError("out must have a row per lane")
        self.half_added = False
        self._norms()
        for k in range(p.lanes):
            if not _is_picked(p, k):
                continue
            ln = p.lane + k
            b = ln.intercept
            ln.primal = 0.5 * (ln.wsq + p.inv_size * b * b) + ln.loss
            ln.dual = ln.asum - 0.5 * (ln.adiag + ln.wsq)
            if p.has_intercept:
                # Without a size, s is 0 up to rounding, which is charged in full.
                ln.dual -= 0.5 * ln.s * ln.s / p.inv_size if p.inv_size > 0 else fabs(ln.s * b)
                _best_intercept(p, k)
            out[k, 0], out[k, 1], out[k, 2] = ln.primal, ln.dual, ln.intercept

    # ---- rows that come in blocks ------------------------------------------------------------

    def attach(self, Rows X, const int32_t[::1] codes, const float[::1] sqnorm,
               const double[::1] cost, double[:, ::1] alpha, uint64_t[:, ::1] awake=None,
               const unsigned char[::1] wake=None):
        """Go on with other rows of the same problem, of which W and all sums hold the duals.

        Parameters are those of the constructor. `awake` is the attribute of that name as it was
        when these rows were left, `wake` (lanes) says in which lanes all of them are to be active.
        """
        cdef int64_t k
        self.one_of_many = True
        if X.c.d != self.p.X.d:
            raise ValueError("a block has other features")
        self._hold(X, codes, sqnorm, cost, alpha, awake, None, None)
        if wake is not None:
            for k in range(self.p.lanes):
                if wake[k]:
                    self._wake(k)
            self._list_rows()

    def visit(self):
        """A sweep over the active ones of the present rows. False if out of time."""
        cdef bint in_time = self.p.active == 0 or self._sweep()
        self.epoch += 1
        self._list_rows()
        return in_time

    def active_before(self, const int64_t[::1] ends):
        """How many of the rows before each of these, ascending, are active."""
        cdef int64_t j = 0, r
        out = np.empty(ends.shape[0], dtype=np.int64)
        for r in range(ends.shape[0]):
            while j < self.p.active and self.p.rows[j] < ends[r]:
                j += 1
            out[r] = j
        return out

    def close_epoch(self, const double[::1] targets, double[:, ::1] estimates, bint move_offset):
        """What `advance` does at the end of an epoch; returns the lanes to wake in all rows."""
        cdef Problem *p = &self.p
        cdef Plan plan
        cdef int64_t k
        cdef unsigned char[::1] wake = np.zeros(p.lanes, dtype=np.uint8)
        if (targets.shape[0] != p.lanes or estimates.shape[0] != p.lanes
                or estimates.shape[1] != 4):
            raise ValueError("arrays of close_epoch do not fit")
        plan.targets, plan.violation = &targets[0], HUGE_VAL
        plan.shrink, plan.move_offset = True, move_offset
        self._norms()
        for k in range(p.lanes):
            if _is_live(p, k):
                _close_epoch(p, p.lane + k, &plan, k)
                if p.lane[k].widen:
                    self._unshrink(k)
                    wake[k] = 1
            estimates[k, 0] = p.lane[k].gap
            estimates[k, 1] = p.lane[k].ready if _is_live(p, k) else 0
            estimates[k, 2], estimates[k, 3] = p.lane[k].near_primal, p.lane[k].near_dual
        self._list_rows()
        return np.asarray(wake)

    def excess(self):
        """By how much sum_i alpha_i y_i of each picked lane is off b / size, where that matters."""
        cdef int64_t k
        out = np.zeros(self.p.lanes)
        for k in range(self.p.lanes):
            if self.p.has_intercept and _is_picked(&self.p, k):
                out[k] = _excess(&self.p, self.p.lane + k)
        return out

    def repair(self, double most):
        """Take what is too much off the duals of the present rows: at most this share of them."""
        return self._repair(most)

    def lane_state(self):
        """All that is known of the lanes but W, as bytes."""
        return np.array(self.lane_room)

    def set_lane_state(self, const unsigned char[::1] state, const unsigned char[::1] live,
                       int64_t epoch):
        """Take in what `lane_state` gave, and `epoch`; lanes that are not live are frozen."""
        cdef int64_t k
        if state.shape[0] != self.lane_room.shape[0] or live.shape[0] != self.p.lanes:
            raise ValueError("state is of another problem")
        self.lane_room[:] = state
        self.epoch = epoch
        for k in range(self.p.lanes):
            if not live[k]:
                self.p.live[k // self.p.per_block] &= ~((<uint64_t>1) << (k % self.p.per_block))
        self._list_rows()

    def solve_free(self, int64_t k):
        """Solve for the free duals of a lane, 0 < alpha < upper, and the intercept exactly.

        A step of an active-set method: the other duals stay as they are; where a free one comes
        to a bound, the rest is solved again without it. The dual never falls. Returns whether
        the free rows' conditions hold now; they are left as they are where they are so many
        that epochs are faster, or where there is no unique solution.
        """
        cdef Problem *p = &self.p
        cdef Lane *ln
        cdef Free free
        cdef int64_t i, most = min(p.X.n, <int64_t>MOST_FREE)
        cdef double upper = hx_svm_dual_upper(p.loss, p.cost_all), C = 0, diag = 0, a, b, total
        cdef double largest
        cdef int32_t[::1] rows = np.empty(most + 1, dtype=np.int32)
        cdef double[::1] room = np.zeros(p.X.d)
        cdef double[::1] change
        cdef double[:, ::1] A
        if p.single != NULL or self.half_summed or not 0 <= k < p.lanes:
            return False
        if hx_svm_dual_diagonal(p.loss, 1) == 0:
            most = min(most, p.X.d + EXTRA)
        ln = p.lane + k
        free.lane, free.rows, free.room = k, &rows[0], &room[0]
        while True:
            free.count = 0
            largest = 0
            for i in range(p.X.n):
                _bounds(p, i, &C, &upper, &diag)
                a = p.alpha[i * p.lanes + k]
                if 0 < a < upper and _counts(p, i) and free.count <= most:
                    rows[free.count] = <int32_t>i
                    free.count += 1
                    largest = max(largest, upper)
            if free.count == 0 or free.count > most:
                return False
            free.size = free.count + p.has_intercept
            change, A = np.empty(free.size), np.ones((free.size, free.size))
            free.change, free.A = &change[0], &A[0, 0]
            p.free = &free
            _dispatch(p, EQUATE, 0, 0, 0)
            b = ln.offset + p.rho * ln.s
            if p.has_intercept:
                A[free.count, free.count] = -p.inv_size
                change[free.count] = b * p.inv_size - ln.s
            total = max(1.0, ln.asum) if p.has_intercept else 1
            solution = _solution(A, change, free.count, total, largest)
            if solution is None:
                return False
            change = solution
            free.change = &change[0]
            _dispatch(p, MOVE, 0, 0, 0)
            self.crew.stale = True
            b += free.share * (change[free.count] if p.has_intercept else 0)
            self._add_up(k, k + 1)
            if p.has_intercept:
                ln.offset = b - p.rho * ln.s
            self._norms()
            p.free = NULL
            if free.share == 1:
                return True

    def freeze(self, const unsigned char[::1] lanes):
        """Leave these lanes as they are from now on."""
        cdef Lane *ln
        cdef int64_t k
        if lanes.shape[0] != self.p.lanes:
            raise ValueError("lanes must have an entry per lane")
        for k in range(self.p.lanes):
            if lanes[k]:
                ln = self.p.lane + k
                ln.near_primal, ln.near_dual = ln.primal, ln.dual
                ln.gap = max(0, ln.primal - ln.dual) / max(fabs(ln.primal), 1e-300)
                self.p.live[k // self.p.per_block] &= ~((<uint64_t>1) << (k % self.p.per_block))
        self._list_rows()

    def set_deadline(self, double deadline):
        """Time (perf_counter) after which steps return False early."""
        self.deadline = deadline

    @property
    def active(self):
        return self.p.active

    @property
    def shared(self):
        """Whether the features of a single problem are shared out, still."""
        return self.p.crew != NULL

    def intercepts(self, double[::1] out):
        """b = offset + rho * s of every lane, as the dual has it now."""
        cdef int64_t k
        if out.shape[0] != self.p.lanes:
            raise ValueError("out must have an entry per lane")
        for k in range(self.p.lanes):
            out[k] = self.p.lane[k].offset + self.p.rho * self.p.lane[k].s

    # ---- inside ----------------------------------------------------------------------------

    cdef bint _may_go_on(self) except -1:
        PyErr_CheckSignals()
        if self.poll is not None:
            self.poll()
        return self.deadline == HUGE_VAL or perf_counter() < self.deadline

    cdef bint _repair(self, double most) except -1:
        """Scale the duals of each picked lane's heavier side so that s = b / size.

        Only duals inside their bounds are scaled if they weigh enough, so that rows at the
        upper bound stay there; what is taken off vanishes at the optimum. If it is little already,
        a part of the rows will do: near the optimum the dual falls with its square. `most` is the
        largest share to take off, for rows that are not all.
        """
        cdef Problem *p = &self.p
        cdef Lane *ln
        cdef int64_t k, side
        cdef double excess, have, b
        for k in range(p.lanes):
            ln = p.lane + k
            ln.total[0] = ln.total[1] = ln.inside[0] = ln.inside[1] = ln.shrink = 0
            ln.some[0] = ln.some[1] = 0
        if not self._passes(TALLY):
            return False
        for k in range(p.lanes):
            ln = p.lane + k
            if not _is_picked(p, k):
                continue
            if not self.one_of_many:
                ln.s = ln.total[1] - ln.total[0]
            b = ln.offset + p.rho * ln.s
            excess = _excess(p, ln)
            if excess == 0:
                continue
            side = excess > 0
            excess = fabs(excess)
            ln.side = 1 if side else -1
            ln.bound_too = most >= 1 and ln.inside[side] < 2 * excess
            have = ln.total[side] if ln.bound_too else ln.inside[side]
            if have <= 0:
                continue
            ln.shrink = min(most, excess / have)
            ln.few_rows = ln.some[side] >= ENOUGH * excess
            if ln.few_rows:
                ln.bound_too, ln.shrink = 0, excess / ln.some[side]
            if ln.few_rows or excess <= most * have or not self.one_of_many:
                ln.s = b * p.inv_size
            else:
                ln.s -= ln.side * ln.shrink * have
            ln.offset = b - p.rho * ln.s    # the intercept stays where it is
        self.crew.stale = True
        return self._passes(REPAIR)

    cdef void _add_up(self, int64_t first, int64_t last) noexcept:
        """The sums of the duals of lanes first..last-1."""
        cdef Problem *p = &self.p
        cdef int64_t i, k
        cdef double C = p.cost_all, upper = 0, diag = hx_svm_dual_diagonal(p.loss, C)
        with nogil:
            for k in range(first, last):
                p.lane[k].s = p.lane[k].asum = p.lane[k].adiag = 0
            for i in range(p.X.n):
                _bounds(p, i, &C, &upper, &diag)
                for k in range(first, last):
                    _add_dual(p.lane + k, _sign(p, i, k), p.alpha[i * p.lanes + k], diag)

    cdef bint _examine_apart(self) except -1:
        """The full pass one lane at a time, each with its weights copied, threads over lanes."""
        cdef Problem *p = &self.p
        cdef int64_t k, t, count = 0, first = 0, now, threads = self.threads
        cdef int64_t[::1] lanes = np.empty(p.lanes, dtype=np.int64)
        cdef double[:, ::1] room = np.empty((threads, p.X.d))
        for k in range(p.lanes):
            if _is_picked(p, k):
                lanes[count] = k
                count += 1
        p.room = &room[0, 0]
        while first < count:
            now = min(threads, count - first)
            with nogil:
                if now > 1:
                    for t in prange(now, num_threads=now, schedule="static", chunksize=1):
                        _dispatch(p, EXAMINE_ONE, lanes[first + t], t, p.X.n)
                else:
                    _dispatch(p, EXAMINE_ONE, lanes[first], 0, p.X.n)
            first += now
            if not self._may_go_on():
                return False
        p.room = NULL
        return True

    cdef bint _examine_shared(self) except -1:
        """The full pass over one lane, its rows shared out; sums are made in a fixed order."""
        cdef Problem *p = &self.p
        cdef Problem *share
        cdef Lane *ln = p.lane
        cdef int64_t t, j, i = 0, count = self.shares, size = (EDGES + 2) * MOMENTS
        cdef int threads = <int>min(self.threads, count)
        # Whole words of `awake`.
        cdef int64_t each = (p.X.n + 64 * count - 1) // (64 * count) * 64
        cdef int64_t slice = max(1, <int64_t>(SLICE / (<double>p.X.nnz / max(p.X.n, 1) + 16)))
        cdef unsigned char[::1] room = np.empty(count * sizeof(Problem), dtype=np.uint8)
        cdef unsigned char[::1] lanes = np.empty(count * sizeof(Lane), dtype=np.uint8)
        cdef double[:, ::1] bins = np.zeros((count, size))
        share = <Problem *>&room[0]
        for t in range(count):
            share[t] = p[0]
            share[t].lane = <Lane *>&lanes[0] + t
            share[t].lane[0] = ln[0]
            share[t].bins = &bins[t, 0]
        while i < each:
            with nogil:
                if threads > 1:
                    for t in prange(count, num_threads=threads, schedule="static"):
                        _dispatch(share + t, EXAMINE, 0, t * each + i,
                                  min(t * each + min(i + slice, each), p.X.n))
                else:
                    for t in range(count):
                        _dispatch(share + t, EXAMINE, 0, t * each + i,
                                  min(t * each + min(i + slice, each), p.X.n))
            i += slice
            if not self._may_go_on():
                return False
        for t in range(count):
            ln.loss += share[t].lane.loss
            ln.loss_shrunk += share[t].lane.loss_shrunk
            ln.s += share[t].lane.s
            ln.asum += share[t].lane.asum
            ln.adiag += share[t].lane.adiag
            for j in range(size if p.has_intercept else 0):
                p.bins[j] += bins[t, j]
        return True

    cdef void _norms(self) noexcept:
        cdef Problem *p = &self.p
        cdef int64_t j, k
        cdef double w
        if p.lanes == 1:
            p.lane.wsq = _sum_squares(p.W, p.X.d)
            return
        with nogil:
            for k in range(p.lanes):
                p.lane[k].wsq = 0
            for j in range(p.X.d):
                for k in range(p.lanes):
                    w = p.W[j * p.lanes + k]
                    p.lane[k].wsq += w * w

    cdef bint _passes(self, Pass which) except -1:
        """Run a pass over all rows, or turns, for every block, threads over blocks, in slices."""
        cdef Problem *p = &self.p
        cdef int64_t b, s = 0, end, blocks = p.blocks
        cdef int64_t total = p.runs if which == SWEEP else p.X.n
        cdef double step = (<double>p.X.nnz / max(p.X.n, 1) + 16) * min(p.per_block, 16)
        cdef int threads = self.threads
        cdef int64_t slice
        if which == SWEEP:
            step *= p.run
        slice = max(1, <int64_t>(p.slice / step))
        while s < total:
            end = min(total, s + slice)
            with nogil:
                if threads > 1 and blocks > 1:
                    for b in prange(blocks, num_threads=threads, schedule="static",
                                    chunksize=(blocks + threads - 1) // threads):
                        _dispatch(p, which, b, s, end)
                else:
                    for b in range(blocks):
                        _dispatch(p, which, b, s, end)
            s = end
            if not self._may_go_on():
                return False
        return True


cdef int _mark(const Problem *p, uint64_t[:, ::1] yes, const int32_t[::1] codes,
               const int64_t[::1] ptr, const int32_t[::1] labels) except -1:
    """Set the bits of the lanes in which a row is positive."""
    cdef int64_t i, j, k, n = p.X.n, K = p.lanes
    if codes is not None:
        for i in range(n):
            yes[0, i // 64] |= <uint64_t>(codes[i] == 1) << (i % 64)
        return 0
    for i in range(n):
        if not 0 <= ptr[i] <= ptr[i + 1] <= labels.shape[0]:
            raise ValueError("ptr of DualCD does not fit labels")
        for j in range(ptr[i], ptr[i + 1]):
            k = labels[j]
            if not 0 <= k < K:
                raise ValueError("labels of DualCD must lie in 0..lanes-1")
            if K == 1:
                yes[0, i // 64] |= (<uint64_t>1) << (i % 64)
            else:
                yes[k // p.per_block, i] |= (<uint64_t>1) << (k % p.per_block)
    return 0


cdef inline uint64_t _ones(int64_t count) noexcept nogil:
    return ~(<uint64_t>0) if count >= 64 else ((<uint64_t>1) << count) - 1
