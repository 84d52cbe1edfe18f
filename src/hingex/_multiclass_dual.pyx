# SPDX-License-Identifier: BSD-3-Clause
"""Dual decomposition for joint multiclass linear SVMs, an example at a time.

One problem for all classes; the scheme says how duals a_im >= 0, m != y_i, make the weights:

    crammer_singer, weston_watkins   w_m -= a_im x_i,  w_{y_i} += (sum_m a_im) x_i
    lee_lin_wahba                    w_k -= (a_ik - mean_m a_im) x_i,  a_{i y_i} = 0

    dual   D(a) = margin sum a_im - diagonal - 1/2 sum_k ||w_k||^2 - size / 2 sum_k s_k^2

where s_k is made of the duals as w_k is, of ones in the place of x_i: a constant feature of size
intercept_scaling^2, of infinite size (s = 0) for an unregularized intercept. Limits and diagonal:

    hinge           sum_m a_im <= C_i (Crammer-Singer),  a_im <= C_i (the others)
    squared hinge   (sum_m a_im)^2 / (4 C_i),            sum_m a_im^2 / (4 C_i)

A sweep visits the active rows and moves all duals of a row to the optimum for the others as they
are (core/joint_step.h), which has the Hessian q (I + kappa 1 1^T), q = ||x_i||^2, kappa = 1, or
-1 / K for Lee-Lin-Wahba. As in `_dual_cd.pyx`, the intercepts are b = offset + rho * s in a sweep,
offset moves by proximal steps between the sweeps, and the order is random by runs of neighbouring
rows. W is feature-major, (d, ld) with ld >= K a multiple of 4, so a nonzero touches K neighbouring
weights, or those of the few classes whose duals move. Weights are single precision until the
estimated gap is small, in the memory that W will have; a certificate sums W up anew in double
precision from the duals, and sweeps go on from that, rounded again.

Between epochs the duals go on by a share of what they have changed, inside their limits, and W with
them, as in `_dual_cd.pyx`: that saves half of the epochs and more. While weights are of single
precision, what they were before lies in the other half of the memory of W.

Shrinking: a row whose duals are at their limits, with gradients beyond what was violated in the
last sweep, is left out; a row of which few classes matter by the same measure has their scores
made alone. `certify` brings back what is not optimal.

The kernel is a state with the steps of the algorithm; `hingex.solvers.multiclass_dual` decides
which step comes next. Steps work in slices of some 10 ms, between which they look for Ctrl-C and
the deadline; `finish` makes the state consistent after Ctrl-C.
"""
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport HUGE_VAL, fabs
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from time import perf_counter

import numpy as np

from ._rows cimport Rows
from ._types cimport (
    hx_axpy, hx_dot, hx_joint_look, hx_joint_solve, hx_lanes_axpy, hx_lanes_scores, hx_row,
    hx_row_start, hx_rows, index, real,
)

cdef extern from "rng.h" nogil:
    ctypedef struct hx_rng:
        pass
    void hx_rng_seed(hx_rng *rng, uint64_t seed, uint64_t stream)
    uint32_t hx_rng_below(hx_rng *rng, uint32_t bound)
    void hx_shuffle(hx_rng *rng, int32_t *order, int64_t n)

ctypedef fused weight:
    double
    float

cdef enum:
    LONGEST_RUN = 32    # rows, and no more than RUN_VALUES nonzeros
    RUN_VALUES = 1024
    FEWEST_RUNS = 64    # in an epoch, for the order to be random enough
    FEW = 6             # classes of a row that can be scored alone
    FIRST_EPOCHS = 6    # which go without momentum;
    FIRST_SQUARED = 10  # with the squared hinge
    SPARSE = 4          # lanes of which one moves, for single lanes to be worth their strides

cdef enum Scheme:
    CRAMMER_SINGER, WESTON_WATKINS, LEE_LIN_WAHBA

cdef enum Pass:
    SWEEP, CARRY, START, TALLY, REPAIR, EXAMINE, GRADIENTS, GRAM

SCHEME_CODES = {
    "crammer_singer": CRAMMER_SINGER,
    "weston_watkins": WESTON_WATKINS,
    "lee_lin_wahba": LEE_LIN_WAHBA,
}

cdef double FALL = 0.25     # of the largest violation, until all rows are visited again
cdef double SMALLEST = 1e-6     # in C_i: larger changes of duals are not left out as rounding
cdef double MOST_MOMENTUM = 0.9, LONG = 20      # which grows by 1 - LONG / epochs
cdef double SLICE = 1e7     # multiply-adds between two looks at signals and the clock


cdef struct Few:
    int32_t count               # 0: all classes
    int32_t classes[FEW]        # the row's own one first


cdef struct Problem:
    hx_rows *X
    const int32_t *codes
    const float *sqnorm
    const double *cost          # per row, or NULL: cost_all for every row
    double cost_all
    Scheme scheme
    bint squared, relative
    int64_t K, ld
    double margin, kappa
    double *alpha               # (n, K)
    uint64_t *some              # (n, words) which of them are not 0
    int64_t words
    double *W                   # (d, ld), features first
    float *single               # in use instead if not NULL, in the memory of W
    Few *few                    # (n)
    unsigned char *awake        # (n)
    int32_t *rows               # active rows, ascending
    int32_t *turn               # the runs in the order of their visits
    int64_t active, longest, run, runs, skip
    # (ld) each: intercepts as of now, without rho * s, sums of the duals; room.
    double *b
    double *offset
    double *s
    double *g                   # gradients at a = 0 in the other duals of the row
    double *c                   # what the row's problem is stated with
    double *old
    double *new
    int32_t *pick               # classes that take part in it
    double *step                # changes of w_k along x
    float *single_step
    double *f
    float *single_f
    double inv_size, rho, shift     # as in _dual_cd.pyx
    bint has_intercept
    double wsq, asum, adiag     # sum_k ||w_k||^2, sum a, sum of the diagonal terms times 2
    double loss, loss_shrunk    # sums of C_i times the loss, each row as of its visit
    double violation            # the largest of this sweep,
    double beyond               # and how far a gradient must lie beyond its limit for shrinking
    double noise                # gradients that are but rounding
    bint shrink
    # certify
    double *flow                # (2, K, K) sums of a_im by class y_i and m: inside the limits, all
    double *take                # (2, K, K) shares to take off; LLW: (2, K) to take off, or put on
    # momentum
    double beta                 # share of their change by which duals go on
    float *a_last               # (n, K) duals when they did so last,
    uint64_t *some_last         # (n, words) which of them were not 0
    float *w_last               # (d, ld) weights then, behind those of single precision, if known
    bint ahead                  # W has gone on already
    bint every                  # rows that are not active, too
    double mean                 # Lee-Lin-Wahba: change of every s_k
    # free duals: rows and classes, room (d), where results go
    const int32_t *free_rows
    const int32_t *free_classes
    double *room
    double *out
    int64_t count


cdef inline bint _counts(const Problem *p, int64_t i) noexcept nogil:
    return p.cost == NULL or p.cost[i] > 0


cdef inline double _cost(const Problem *p, int64_t i) noexcept nogil:
    return p.cost_all if p.cost == NULL else p.cost[i]


cdef inline double _loss(const Problem *p, double C, double most,
                         const double *sums) noexcept nogil:
    """C times the loss of a row."""
    if p.scheme == CRAMMER_SINGER:
        most = max(most, 0)
        return C * (most * most if p.squared else most)
    return C * sums[1 if p.squared else 0]


cdef inline void _add_some(const hx_rows *X, const double *steps, const int32_t *lanes,
                           int64_t count, const real *v, const index *idx, int64_t length,
                           weight *W, int64_t ld) noexcept nogil:
    """Add steps[t] times a row to the weights of lanes[t]."""
    cdef int64_t j, t
    cdef weight *w
    cdef double x
    for j in range(length):
        if idx != NULL:
            x, w = v[j], W + <int64_t>idx[j] * ld
        else:
            x, w = v[j * X.cs], W + j * ld
        for t in range(count):
            w[lanes[t]] += <weight>(x * steps[t])


cdef inline void _score_few(const hx_rows *X, const int32_t *lanes, int64_t count, const real *v,
                            const index *idx, int64_t length, const weight *W, int64_t ld,
                            weight *out) noexcept nogil:
    """Scores of some lanes, one after the other."""
    cdef int64_t j, t
    cdef const weight *w
    cdef double x
    cdef double[FEW] sums
    for t in range(FEW):
        sums[t] = 0
    for j in range(length):
        if idx != NULL:
            x, w = v[j], W + <int64_t>idx[j] * ld
        else:
            x, w = v[j * X.cs], W + j * ld
        for t in range(count):
            sums[t] += x * w[lanes[t]]
    for t in range(count):
        out[t] = <weight>sums[t]


cdef inline void _set_dual(Problem *p, int64_t i, int64_t m, double a) noexcept nogil:
    cdef uint64_t bit = (<uint64_t>1) << (m & 63)
    cdef uint64_t *word = p.some + i * p.words + m // 64
    p.alpha[i * p.K + m] = a
    if a != 0:
        word[0] |= bit
    else:
        word[0] &= ~bit


cdef inline double _dual(const Problem *p, int64_t i, int64_t m) noexcept nogil:
    if (p.some[i * p.words + m // 64] >> (m & 63)) & 1:
        return p.alpha[i * p.K + m]
    return 0


cdef void _visit(Problem *p, weight *W, weight *f, weight *wide, int64_t i, real *tag_v,
                 index *tag_i) noexcept nogil:
    """Move the duals of a row to their optimum, W and the sums along with them."""
    cdef const hx_rows *X = p.X
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef int64_t length = hx_row(X, i, &v, &idx), y = p.codes[i], K = p.K, ld = p.ld
    cdef int64_t m, k, t, word, count = 0, moved = 0, at_limit = 0, positive = 0
    cdef double C = _cost(p, i), q, D, h, now, upper, cap, most, own, total = 0, after = 0
    cdef double value, theta, change, bound, largest = 0, second, third
    cdef double[2] sums
    cdef uint64_t bits, any_dual = 0, takes
    cdef Few *few = p.few + i
    cdef bint listed = few.count > 0, quiet
    for word in range(p.words):
        any_dual |= p.some[i * p.words + word]
    # Gradients.
    if listed:
        _score_few(X, &few.classes[0], few.count, v, idx, length, W, ld, f)
        own = p.margin - (f[0] + p.b[y] if p.relative else 0)
        most = -HUGE_VAL
        sums[0] = sums[1] = 0
        for t in range(1, few.count):
            m = few.classes[t]
            p.g[t] = own + f[t] + p.b[m]
            most = max(most, p.g[t])
            sums[0] += max(p.g[t], 0)
            sums[1] += max(p.g[t], 0) ** 2
    else:
        hx_lanes_scores(X, v, idx, length, X.nnz - hx_row_start(X, i), W, ld, ld, f)
        most = hx_joint_look(X.isa, f, p.b, K, y, p.margin, p.relative, p.g, &sums[0])
    value = _loss(p, C, most, &sums[0])
    if any_dual == 0 and most <= 0:
        if p.shrink and most < -p.beyond:
            p.awake[i] = 0
            p.loss_shrunk += value
        else:
            p.loss += value
        return
    # The row's problem.
    q = p.sqnorm[i] + p.rho
    D = q
    h = now = p.kappa * q      # now: what goes with the gradient as it is
    upper = cap = HUGE_VAL
    if p.squared:
        if p.scheme == CRAMMER_SINGER:
            h += 0.5 / C
        else:
            D += 0.5 / C
    elif p.scheme == CRAMMER_SINGER:
        cap = C
    else:
        upper = C
    for word in range(p.words):
        bits = p.some[i * p.words + word]
        while bits:
            total += p.alpha[i * K + 64 * word + HX_LOWEST(bits)]
            bits &= bits - 1
    most += now * total
    for word in range(p.words):
        bits = p.some[i * p.words + word]
        while bits and not listed:
            m = 64 * word + HX_LOWEST(bits)
            bits &= bits - 1
            most = max(most, p.g[m] + now * total + q * p.alpha[i * K + m])
    # Classes below a lower bound of theta have a dual of 0: theta is at least what it would be if
    # the class of the largest c were alone.
    bound = 0
    if h >= 0 and D > 0:
        bound = most * h / (D + h)
        if cap < HUGE_VAL:
            bound = max(bound, most - D * cap)
        elif upper < HUGE_VAL:
            bound = min(bound, h * upper)
    elif h < 0:
        bound = -1e300
    if listed:
        for t in range(1, few.count):
            m = few.classes[t]
            p.old[count] = _dual(p, i, m)
            p.c[count] = p.g[t] + now * total + q * p.old[count]
            p.f[count] = f[t]
            p.pick[count] = <int32_t>m
            count += 1
        own = f[0]
    else:
        own = f[y]
        for m in range(K):
            p.pick[count] = <int32_t>m
            takes = p.g[m] + now * total > bound      # not for y: -inf
            takes |= (p.some[i * p.words + m // 64] >> (m & 63)) & 1
            count += takes
        for t in range(count):
            m = p.pick[t]
            p.old[t] = _dual(p, i, m)
            p.c[t] = p.g[m] + now * total + q * p.old[t]
            p.f[t] = f[m]
    theta = hx_joint_solve(X.isa, p.c, p.new, count, D, h, upper, cap, total)
    for t in range(count):
        after += p.new[t]
        positive += p.new[t] > 0
        largest = max(largest, fabs(p.new[t] - p.old[t]))
    quiet = D * largest <= p.noise and largest <= SMALLEST * C
    p.violation = max(p.violation, D * largest)
    if quiet:
        # Nothing to move. Are all duals at their limits, and safely so?
        if p.shrink:
            at_limit = 1
            for t in range(count):
                if p.old[t] > 0:
                    if cap < HUGE_VAL:
                        at_limit &= positive == 1 and theta - h * cap > p.beyond
                    else:
                        at_limit &= p.c[t] - theta > D * upper + p.beyond
                else:
                    at_limit &= p.c[t] - theta < -p.beyond
            if at_limit and not listed:
                for m in range(K):
                    if _dual(p, i, m) == 0 and p.g[m] + now * total - theta >= -p.beyond:
                        at_limit = 0
                        break
        if at_limit:
            p.awake[i] = 0
            p.loss_shrunk += value
            return
        p.loss += value
    else:
        p.loss += value
        # W and the sums.
        change = after - total
        p.asum += change
        if p.squared and p.scheme == CRAMMER_SINGER:
            p.adiag += change * (after + total) * (0.5 / C)
        second = third = 0      # sums over the lanes: step * f, step^2
        for t in range(count):
            m = p.pick[t]
            if p.new[t] == p.old[t]:
                continue
            if p.squared and p.scheme != CRAMMER_SINGER:
                p.adiag += (p.new[t] - p.old[t]) * (p.new[t] + p.old[t]) * (0.5 / C)
            _set_dual(p, i, m, p.new[t])
            p.old[moved] = p.old[t] - p.new[t]
            p.f[moved] = p.f[t]
            p.pick[moved] = <int32_t>m
            moved += 1
        if p.relative:
            p.old[moved] = change
            p.f[moved] = own
            p.pick[moved] = <int32_t>y
            moved += 1
            for t in range(moved):
                second += p.old[t] * p.f[t]
                third += p.old[t] * p.old[t]
                k = p.pick[t]
                p.s[k] += p.old[t]
                p.b[k] = p.offset[k] + p.rho * p.s[k]
            if SPARSE * moved <= K:
                _add_some(X, p.old, p.pick, moved, v, idx, length, W, ld)
            else:
                for t in range(moved):
                    wide[p.pick[t]] = <weight>p.old[t]
                hx_lanes_axpy(X, wide, v, idx, length, ld, W, ld)
                for t in range(moved):
                    wide[p.pick[t]] = 0
        else:
            for k in range(K):
                p.step[k] = change / K
            for t in range(moved):
                p.step[p.pick[t]] += p.old[t]
            for k in range(K):
                second += p.step[k] * f[k]
                third += p.step[k] * p.step[k]
                p.s[k] += p.step[k]
                p.b[k] = p.offset[k] + p.rho * p.s[k]
                wide[k] = <weight>p.step[k]
            hx_lanes_axpy(X, wide, v, idx, length, ld, W, ld)
            for k in range(K):
                wide[k] = 0
        p.wsq += 2 * second + third * p.sqnorm[i]
    # Which classes matter from now on?
    if p.shrink and not listed and p.relative and K > 2 * FEW:
        count = 1
        bound = theta - p.beyond
        for m in range(K):
            if p.g[m] + now * total > bound or (
                    (p.some[i * p.words + m // 64] >> (m & 63)) & 1):
                if m == y:
                    continue
                if count < FEW:
                    few.classes[count] = <int32_t>m
                count += 1
                if count > FEW:
                    break
        if count <= FEW:
            few.classes[0] = <int32_t>y
            few.count = <int32_t>count


cdef extern from *:
    """
    #if defined(__GNUC__)
    #define HX_LOWEST(x) __builtin_ctzll(x)
    #else
    static int HX_LOWEST(unsigned long long x) { int c = 0; while (!(x >> c & 1)) c++; return c; }
    #endif
    """
    int HX_LOWEST(uint64_t x) nogil


cdef inline void _run_at(const Problem *p, int64_t s, int64_t *begin, int64_t *end) noexcept nogil:
    """Positions in p.rows of the run whose turn is s."""
    begin[0] = max(0, p.turn[s] * p.run - p.skip)
    end[0] = min(p.active, (p.turn[s] + 1) * p.run - p.skip)


cdef void _shuffle_runs(Problem *p, hx_rng *rng) noexcept nogil:
    cdef int64_t r
    p.run = max(1, min(p.longest, p.active // FEWEST_RUNS))
    p.skip = hx_rng_below(rng, <uint32_t>p.run)     # other runs in each epoch
    p.runs = (p.active + p.skip + p.run - 1) // p.run
    for r in range(p.runs):
        p.turn[r] = <int32_t>r
    hx_shuffle(rng, p.turn, p.runs)


cdef void _sweep(Problem *p, int64_t s, int64_t end, real *tag_v, index *tag_i) noexcept nogil:
    cdef int64_t pos = 0, stop = 0
    for s in range(s, end):
        _run_at(p, s, &pos, &stop)
        for pos in range(pos, stop):
            if p.single != NULL:
                _visit(p, p.single, p.single_f, p.single_step, p.rows[pos], tag_v, tag_i)
            else:
                # f and step are used for other things, too.
                _visit(p, p.W, p.f + p.ld, p.step + p.ld, p.rows[pos], tag_v, tag_i)


cdef void _carry_row(Problem *p, int64_t i, weight *W, weight *wide, real *tag_v,
                     index *tag_i) noexcept nogil:
    """Let the duals of a row go on by beta of their change, inside their limits; W along with them.

    Where W has gone on already, it moves by what the limits took off.
    """
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef int64_t m, t, at, word, length, y = p.codes[i], K = p.K, count = 0, moved = 0
    cdef double C = _cost(p, i), a, last, step, total = 0, after = 0, change = 0, scale = 1
    cdef bint capped = not p.squared and p.scheme == CRAMMER_SINGER
    cdef double upper = HUGE_VAL if p.squared or capped else C
    cdef uint64_t bits, before
    for word in range(p.words):
        at = i * p.words + word
        bits, before = p.some[at], p.some_last[at]
        p.some_last[at] = bits
        bits |= before
        while bits:
            m = HX_LOWEST(bits)
            last = p.a_last[i * K + 64 * word + m] if (before >> m) & 1 else 0
            bits &= bits - 1
            m += 64 * word
            a = _dual(p, i, m)
            p.a_last[i * K + m] = <float>a
            p.pick[count], p.old[count], p.c[count] = <int32_t>m, a, a + p.beta * (a - last)
            p.new[count] = min(max(p.c[count], 0), upper)
            total += p.new[count]
            count += 1
    if capped and total > C:
        scale = C / total
    total = 0
    for t in range(count):
        m, a = p.pick[t], p.old[t]
        p.new[t] *= scale
        total += a
        after += p.new[t]
        if p.new[t] != a:
            if p.squared and p.scheme != CRAMMER_SINGER:
                p.adiag += (p.new[t] - a) * (p.new[t] + a) * (0.5 / C)
            _set_dual(p, i, m, p.new[t])
            p.s[m] += a - p.new[t]
        step = (p.c[t] if p.ahead else a) - p.new[t]
        if step != 0:
            p.old[moved], p.pick[moved] = step, <int32_t>m
            change -= step
            moved += 1
    p.asum += after - total
    if p.squared and p.scheme == CRAMMER_SINGER:
        p.adiag += (after - total) * (after + total) * (0.5 / C)
    if p.relative:
        p.s[y] += after - total
    else:
        p.mean += (after - total) / K
    if moved == 0:
        return
    length = hx_row(p.X, i, &v, &idx)
    if p.relative:
        p.old[moved], p.pick[moved] = change, <int32_t>y
        moved += 1
        if SPARSE * moved <= K:
            _add_some(p.X, p.old, p.pick, moved, v, idx, length, W, p.ld)
            return
    for m in range(K):
        p.step[m] = 0 if p.relative else change / K
    for t in range(moved):
        p.step[p.pick[t]] += p.old[t]
    for m in range(K):
        wide[m] = <weight>p.step[m]
    hx_lanes_axpy(p.X, wide, v, idx, length, p.ld, W, p.ld)
    for m in range(K):
        wide[m] = 0


cdef void _carry(Problem *p, int64_t s, int64_t end, real *tag_v, index *tag_i) noexcept nogil:
    """Momentum for every row, or the active ones s..end-1."""
    cdef int64_t i
    for s in range(s, end):
        i = s if p.every else p.rows[s]
        if p.single != NULL:
            _carry_row(p, i, p.single, p.single_step, tag_v, tag_i)
        else:
            _carry_row(p, i, p.W, p.step + p.ld, tag_v, tag_i)


cdef inline bint _coefficients(const Problem *p, int64_t i, double *out) noexcept nogil:
    """What the duals of a row contribute to w_k along x, in out (K); False if nothing."""
    cdef int64_t k, y = p.codes[i]
    cdef double total = 0
    cdef uint64_t any_dual = 0
    for k in range(p.words):
        any_dual |= p.some[i * p.words + k]
    if any_dual == 0:
        return False
    for k in range(p.K):
        out[k] = -_dual(p, i, k)
        total -= out[k]
    if p.relative:
        out[y] = total
    else:
        for k in range(p.K):
            out[k] += total / p.K
    return True


cdef void _add_dual(Problem *p, int64_t i) noexcept nogil:
    """Add a row's duals to the sums of them; step has their coefficients."""
    cdef int64_t k
    cdef double a, total = 0, squares = 0
    for k in range(p.K):
        p.s[k] += p.step[k]
        a = _dual(p, i, k)
        total += a
        squares += a * a
    p.asum += total
    if p.squared:
        p.adiag += (total * total if p.scheme == CRAMMER_SINGER else squares) * (0.5 / _cost(p, i))


cdef void _start(Problem *p, int64_t s, int64_t end, real *tag_v, index *tag_i) noexcept nogil:
    """W and the sums from the duals."""
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef int64_t i, k, length, moved
    for i in range(s, end):
        if not _coefficients(p, i, p.step):
            continue
        _add_dual(p, i)
        length = hx_row(p.X, i, &v, &idx)
        moved = 0
        for k in range(p.K):
            p.pick[moved] = <int32_t>k
            p.old[moved] = p.step[k]
            moved += p.step[k] != 0
        if SPARSE * moved <= p.K:
            _add_some(p.X, p.old, p.pick, moved, v, idx, length, p.W, p.ld)
        else:
            hx_lanes_axpy(p.X, p.step, v, idx, length, p.ld, p.W, p.ld)


cdef bint _is_inside(const Problem *p, int64_t i, double total, double a) noexcept nogil:
    """Whether a dual of a row is inside its limits, where a small change of it costs little."""
    cdef double C = _cost(p, i)
    if p.squared:
        return True
    if p.scheme == CRAMMER_SINGER:
        return total < C * (1 - 1e-12)
    return a < C


cdef double _total(const Problem *p, int64_t i) noexcept nogil:
    cdef int64_t m
    cdef double total = 0
    for m in range(p.K):
        total += _dual(p, i, m)
    return total


cdef void _tally(Problem *p, int64_t s, int64_t end) noexcept nogil:
    """Sums of the duals by the classes of rows and duals; Lee-Lin-Wahba: by that of the dual.

    flow[0]: of those inside their limits; flow[1]: all; Lee-Lin-Wahba, flow[2]: how far those
    inside are from their upper limit (with none: as far as they are large).
    """
    cdef int64_t i, m, at, size = p.K * p.K if p.relative else p.K
    cdef double a, total
    for i in range(s, end):
        total = _total(p, i)
        if total == 0:
            continue
        for m in range(p.K):
            a = _dual(p, i, m)
            if a == 0:
                continue
            at = p.codes[i] * p.K + m if p.relative else m
            p.flow[size + at] += a
            if _is_inside(p, i, total, a):
                p.flow[at] += a
                if not p.relative:
                    p.flow[2 * size + at] += a if p.squared else _cost(p, i) - a


cdef void _repair(Problem *p, int64_t s, int64_t end, real *tag_v, index *tag_i) noexcept nogil:
    """Scale duals by 1 - take[0] (inside their limits) or 1 - take[1] (at them), W with them.

    Lee-Lin-Wahba: take[2] is the share of the way to the upper limit to go for those inside.
    """
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef int64_t i, k, m, at, length, size = p.K * p.K if p.relative else p.K
    cdef double a, total, new, change
    cdef bint inside, moved
    for i in range(s, end):
        total = _total(p, i)
        if total == 0:
            continue
        for k in range(p.K):
            p.step[k] = 0
        moved = False
        change = 0
        for m in range(p.K):
            a = _dual(p, i, m)
            if a == 0:
                continue
            at = p.codes[i] * p.K + m if p.relative else m
            inside = _is_inside(p, i, total, a)
            new = a - a * p.take[at if inside else size + at]
            if not p.relative and inside:
                new += p.take[2 * size + at] * (a if p.squared else _cost(p, i) - a)
                if not p.squared:
                    new = min(new, _cost(p, i))
            if new == a:
                continue
            new = max(new, 0)
            _set_dual(p, i, m, new)
            p.step[m] = a - new
            change += new - a
            moved = True
        if not moved:
            continue
        if p.relative:
            p.step[p.codes[i]] += change
        else:
            for k in range(p.K):
                p.step[k] += change / p.K
        length = hx_row(p.X, i, &v, &idx)
        hx_lanes_axpy(p.X, p.step, v, idx, length, p.ld, p.W, p.ld)


cdef void _examine(Problem *p, int64_t s, int64_t end, real *tag_v, index *tag_i) noexcept nogil:
    """The full pass of certify: loss at b, sums of the duals, which rows and classes come back."""
    cdef const hx_rows *X = p.X
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef int64_t i, m, length, y
    cdef double C, most, value, total, lowest, g, a
    cdef double[2] sums
    cdef bint back, capped, listed
    cdef Few *few
    for i in range(s, end):
        if not _counts(p, i):
            continue
        C, y = _cost(p, i), p.codes[i]
        length = hx_row(X, i, &v, &idx)
        hx_lanes_scores(X, v, idx, length, X.nnz - hx_row_start(X, i), p.W, p.ld, p.ld, p.f)
        most = hx_joint_look(X.isa, p.f, p.b, p.K, y, p.margin, p.relative, p.g, &sums[0])
        value = _loss(p, C, most, &sums[0])
        p.loss += value
        few = p.few + i
        if not _coefficients(p, i, p.step):
            if most > 0:
                p.awake[i] = 1
                few.count = 0
            elif not p.awake[i]:
                p.loss_shrunk += value
            continue
        _add_dual(p, i)
        listed = few.count > 0
        if p.awake[i] and not listed:
            continue
        total = _total(p, i)
        capped = p.scheme == CRAMMER_SINGER and not p.squared and total >= C * (1 - 1e-12)
        # The multiplier of the cap; then gradients with it, of classes that are not visited.
        lowest = HUGE_VAL
        for m in range(p.K):
            if _dual(p, i, m) > 0:
                lowest = min(lowest, p.g[m])
        if not capped:
            lowest = 0
        elif lowest < 0:
            p.awake[i] = 1
        if p.squared and p.scheme == CRAMMER_SINGER:
            lowest = 0.5 / C * total
        back = False
        for m in range(p.K):
            if m == y:
                continue
            a = _dual(p, i, m)
            g = p.g[m] - lowest
            if p.squared and p.scheme != CRAMMER_SINGER:
                g -= 0.5 / C * a
            if a == 0:
                back |= g > 0
            elif not p.squared and p.scheme != CRAMMER_SINGER and a >= C:
                back |= g < 0
            elif not p.awake[i]:
                back |= fabs(g) > 1e-12 * (1 + fabs(lowest))
        if back:
            p.awake[i] = 1
            few.count = 0
        if not p.awake[i]:
            p.loss_shrunk += value


cdef void _gradients(Problem *p, int64_t s, int64_t end, real *tag_v, index *tag_i) noexcept nogil:
    """Gradients of free duals s..end-1, without the diagonal terms."""
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef int64_t t, i, last = -1, length, y, m
    cdef double[2] sums
    for t in range(s, end):
        i, m = p.free_rows[t], p.free_classes[t]
        if i != last:
            y = p.codes[i]
            length = hx_row(p.X, i, &v, &idx)
            hx_lanes_scores(p.X, v, idx, length, p.X.nnz - hx_row_start(p.X, i), p.W, p.ld, p.ld,
                            p.f)
            hx_joint_look(p.X.isa, p.f, p.b, p.K, y, p.margin, p.relative, p.g, &sums[0])
            last = i
        p.out[t] = p.g[m]


cdef void _gram(Problem *p, int64_t s, int64_t end, real *tag_v, index *tag_i) noexcept nogil:
    """Products of rows free_rows[s..end-1] with those up to themselves, and mirrored."""
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef int64_t r, q, j, length
    for r in range(s, end):
        length = hx_row(p.X, p.free_rows[r], &v, &idx)
        hx_axpy(p.X, 1.0, v, idx, length, p.room)
        for q in range(r + 1):
            length = hx_row(p.X, p.free_rows[q], &v, &idx)
            p.out[r * p.count + q] = p.out[q * p.count + r] = hx_dot(p.X, v, idx, length, p.room)
        for j in range(length):     # row r was the last
            p.room[idx[j] if idx != NULL else j] = 0


cdef void _run(Problem *p, Pass which, int64_t s, int64_t end, real *tag_v,
               index *tag_i) noexcept nogil:
    if which == SWEEP:
        _sweep(p, s, end, tag_v, tag_i)
    elif which == CARRY:
        _carry(p, s, end, tag_v, tag_i)
    elif which == START:
        _start(p, s, end, tag_v, tag_i)
    elif which == TALLY:
        _tally(p, s, end)
    elif which == REPAIR:
        _repair(p, s, end, tag_v, tag_i)
    elif which == GRADIENTS:
        _gradients(p, s, end, tag_v, tag_i)
    elif which == GRAM:
        _gram(p, s, end, tag_v, tag_i)
    else:
        _examine(p, s, end, tag_v, tag_i)


cdef void _dispatch(Problem *p, Pass which, int64_t s, int64_t end) noexcept nogil:
    """Run a pass over rows (SWEEP: turns) s..end-1 in the version for the types of X."""
    if p.X.is_f32:
        if p.X.is_i64:
            _run(p, which, s, end, <float *>NULL, <int64_t *>NULL)
        else:
            _run(p, which, s, end, <float *>NULL, <int32_t *>NULL)
    elif p.X.is_i64:
        _run(p, which, s, end, <double *>NULL, <int64_t *>NULL)
    else:
        _run(p, which, s, end, <double *>NULL, <int32_t *>NULL)


cdef class MulticlassDual:
    """State of a fit.

    Parameters
    ----------
    X : Rows
    codes : int32 (n,)
        Classes 0..K-1.
    sqnorm : float32 (n,)
        Squared norms of the rows.
    cost : float64 (n,) or None
        C_i; rows of cost 0 are left out. None: cost_all for every row.
    cost_all : float
    scheme : int
        From SCHEME_CODES.
    squared : bool
    alpha : float64 (n, K)
        Duals, feasible, changed in place; 0 for a row's own class and for rows of cost 0.
    W : float64 (d, ld)
        Zeros; ld >= K is a multiple of 4. Weights when a certificate has been made.
    size : float
        Squared value of the constant feature; 0: no intercept, inf: an unregularized one.
    small : float
        Inverse curvature of the intercepts' proximal steps.
    seed : int
    deadline : float
        Time (perf_counter) after which steps return False early.
    """
    cdef Problem p
    cdef readonly int64_t epoch
    cdef readonly double near_primal, near_dual, estimate
    cdef object X, keep
    cdef uint64_t seed
    cdef public object poll         # called about every 10 ms if not None; it may raise
    cdef double deadline, span
    cdef int64_t visited        # rows of the last epoch
    cdef bint half_summed
    cdef bint whole             # the next epoch visits all rows
    cdef double level           # the largest violation when one did so last
    cdef public double momentum     # share of their change by which duals go on, in general
    cdef float[:, ::1] a_last
    cdef uint64_t[:, ::1] some_last
    cdef bint fell              # the last epoch has lowered the dual,
    cdef int64_t falls          # as so many have

    def __cinit__(self, Rows X not None, const int32_t[::1] codes, const float[::1] sqnorm,
                  const double[::1] cost, double cost_all, int scheme, bint squared,
                  double[:, ::1] alpha, double[:, ::1] W, double size, double small,
                  uint64_t seed, double deadline):
        cdef Problem *p = &self.p
        cdef int64_t n = X.c.n, K = alpha.shape[1], ld = W.shape[1], i, m
        cdef uint64_t[:, ::1] some
        cdef unsigned char[::1] few, awake
        cdef int32_t[::1] rows, turn, pick
        cdef double[:, ::1] room
        cdef float[:, ::1] single_room
        if (codes.shape[0] != n or sqnorm.shape[0] != n or alpha.shape[0] != n or K < 2
                or W.shape[0] != X.c.d or ld < K or ld % 4 or (
                    cost is not None and cost.shape[0] != n)):
            raise ValueError("arrays of MulticlassDual do not fit each other")
        self.X, self.seed, self.deadline = X, seed, deadline
        self.whole = True
        p.X = &X.c
        p.codes, p.sqnorm, p.cost_all = &codes[0], &sqnorm[0], cost_all
        p.cost = &cost[0] if cost is not None else NULL
        p.scheme, p.squared, p.relative = <Scheme>scheme, squared, scheme != LEE_LIN_WAHBA
        p.K, p.ld = K, ld
        p.margin = 1 if p.relative else 1.0 / (K - 1)
        p.kappa = 1 if p.relative else -1.0 / K
        p.alpha, p.W = &alpha[0, 0], &W[0, 0]
        p.words = (K + 63) // 64
        p.has_intercept = size > 0
        p.inv_size = 1 / size if size > 0 else 0
        p.rho = 1 / (p.inv_size + 1 / small) if size > 0 else 0
        p.shift = p.rho / small
        p.longest = max(1, min(LONGEST_RUN, RUN_VALUES * n // max(1, X.c.nnz)))
        some = np.zeros((n, p.words), dtype=np.uint64)
        few = np.zeros(n * sizeof(Few), dtype=np.uint8)
        awake = np.zeros(n, dtype=np.uint8)
        rows = np.empty(n, dtype=np.int32)
        turn = np.empty(n // p.longest + 2 * FEWEST_RUNS + 2, dtype=np.int32)
        pick = np.empty(ld + 1, dtype=np.int32)
        room = np.zeros((12, ld))
        single_room = np.zeros((2, ld), dtype=np.float32)
        self.keep = (codes, sqnorm, cost, alpha, W, some, few, awake, rows, turn, pick, room,
                     single_room)
        p.some, p.few, p.awake = &some[0, 0], <Few *>&few[0], &awake[0]
        p.rows, p.turn, p.pick = &rows[0], &turn[0], &pick[0]
        p.b, p.offset, p.s, p.g = &room[0, 0], &room[1, 0], &room[2, 0], &room[3, 0]
        p.c, p.old, p.new = &room[4, 0], &room[5, 0], &room[7, 0]   # old may have ld + 1
        p.step, p.f = &room[8, 0], &room[10, 0]     # two rows each
        p.single_f, p.single_step = &single_room[0, 0], &single_room[1, 0]
        p.beyond = HUGE_VAL
        for i in range(n):
            awake[i] = _counts(p, i)
            for m in range(K):
                if alpha[i, m] != 0:
                    some[i, m // 64] |= (<uint64_t>1) << (m & 63)
        self._list_rows()
        self.span = SLICE / ((<double>X.c.nnz / max(n, 1) + 16) * K)

    def start(self, const double[::1] intercepts=None):
        """W and the sums from alpha (and intercepts): a warm start. False if out of time."""
        cdef int64_t k
        if intercepts is not None:
            if intercepts.shape[0] != self.p.K:
                raise ValueError("intercepts must have an entry per class")
            for k in range(self.p.K):
                self.p.offset[k] = self.p.shift * intercepts[k]
        return self._sum_up(False)

    def advance(self, bint single, bint move, bint shrink, double share):
        """One epoch. False if out of time.

        single: with weights of single precision. move: the intercepts, after it. shrink: leave out
        what lies beyond `share` of the largest violation. Sets near_primal, near_dual and
        estimate, the relative gap, from what was seen.
        """
        cdef Problem *p = &self.p
        cdef hx_rng rng
        cdef int64_t k
        cdef double b, own = 0, product = 0, slack = 0, last_dual = self.near_dual
        if self.half_summed or (single and p.single == NULL) or (
                not single and p.single != NULL):
            if not self._round(single):
                return False
        if self.momentum > 0 and not self._carry_on():
            return False
        p.noise = 1e-8 if single else 1e-15
        p.shrink = shrink and p.beyond < HUGE_VAL
        hx_rng_seed(&rng, self.seed, self.epoch)
        _shuffle_runs(p, &rng)
        p.loss = p.violation = 0
        self.visited = p.active
        if not self._passes(SWEEP):
            return False
        self.epoch += 1
        for k in range(p.K):
            b = p.offset[k] + p.rho * p.s[k]
            own += p.inv_size * b * b
            product += b * p.s[k]
            slack = max(slack, fabs(p.shift * b - p.offset[k]))
            if move:
                p.offset[k] = p.shift * b
                p.b[k] = p.offset[k] + p.rho * p.s[k]
        self.near_primal = 0.5 * (p.wsq + own) + p.loss + p.loss_shrunk
        self.near_dual = p.margin * p.asum - 0.5 * (p.adiag + p.wsq - own) - product
        self.fell = self.near_dual < last_dual
        self.falls += self.fell
        self.estimate = max(0, self.near_primal - self.near_dual) / max(
            fabs(self.near_primal), 1e-300)
        p.beyond = share * p.violation
        if self.whole:
            self.level = p.violation
        self.whole = p.violation <= max(0.1 * slack, p.noise, FALL * self.level)
        if self.whole:
            # What is active is solved so well that the others, and the offset, would lag behind.
            self._unshrink()
        self._list_rows()
        return True

    def certify(self, repair, double[::1] out):
        """True primal and dual over all rows. False if out of time.

        repair: None, or called with sums of the duals, (2, K, K) (Lee-Lin-Wahba: (3, K)), and the
        intercepts, returns the shares of them to take off. out (K + 2): primal, dual, intercepts.
        """
        cdef Problem *p = &self.p
        cdef int64_t k, size = p.K * p.K if p.relative else p.K
        cdef double own = 0, product = 0, mean = 0, b
        cdef double[::1] flow, take
        if out.shape[0] != p.K + 2:
            raise ValueError("out must have an entry per class and two more")
        if not self._sum_up(False):
            return False
        if repair is not None:
            flow = np.zeros(3 * size)
            p.flow = &flow[0]
            if not self._passes(TALLY):
                return False
            intercepts = np.empty(p.K)
            self.intercepts(intercepts)
            take = repair(np.asarray(flow), intercepts)
            if take is not None:
                if take.shape[0] != 3 * size:
                    raise ValueError("repair returned an array of the wrong size")
                p.take = &take[0]
                self.half_summed = True
                if not self._passes(REPAIR):
                    return False
                self.half_summed = False
            # The intercepts stay where they are.
            for k in range(p.K):
                p.offset[k] = intercepts[k]
        else:
            for k in range(p.K):
                p.offset[k] += p.rho * p.s[k]
        for k in range(p.K):
            mean += p.offset[k] / p.K       # 0 but for rounding
        for k in range(p.K):
            p.offset[k] -= mean
            p.b[k] = p.offset[k]
            p.s[k] = 0
        p.asum = p.adiag = p.loss = p.loss_shrunk = 0
        if not self._passes(EXAMINE):
            self.half_summed = True
            return False
        self._norms()
        for k in range(p.K):
            b = p.b[k]
            out[k + 2] = b
            own += p.inv_size * b * b
            product += p.s[k] * p.s[k] / p.inv_size if p.inv_size > 0 else 2 * fabs(b * p.s[k])
            p.offset[k] = b - p.rho * p.s[k]
        out[0] = 0.5 * (p.wsq + own) + p.loss
        out[1] = p.margin * p.asum - 0.5 * (p.adiag + p.wsq)
        if p.has_intercept:
            out[1] -= 0.5 * product
        self._list_rows()
        return True

    # Free duals: positive and inside their limits.

    def count_free(self, int64_t most):
        """How many duals are free: inside their limits, or in a capped row with others.

        Where they are more than most, some number that is.
        """
        return self._free(NULL, NULL, most)

    def free(self, int32_t[::1] rows, int32_t[::1] classes):
        """Rows, ascending, and classes of the free duals, with W in double precision.

        False if out of time.
        """
        cdef int64_t count = rows.shape[0]
        if classes.shape[0] != count or count == 0 or (
                self._free(&rows[0], &classes[0], count) != count):
            raise ValueError("rows and classes must be as many as count_free says")
        return self._round(False) if self.p.single != NULL or self.half_summed else True

    cdef int64_t _free(self, int32_t *rows, int32_t *classes, int64_t most) noexcept:
        cdef Problem *p = &self.p
        cdef int64_t i, m, word, positive, count = 0
        cdef double total, a
        cdef uint64_t any_dual
        with nogil:
            for i in range(p.X.n):
                any_dual = 0
                for word in range(p.words):
                    any_dual |= p.some[i * p.words + word]
                if any_dual == 0:
                    continue
                if count > most:
                    break
                total = 0
                positive = 0
                for m in range(p.K):
                    a = _dual(p, i, m)
                    total += a
                    positive += a > 0
                for m in range(p.K):
                    a = _dual(p, i, m)
                    if a > 0 and (_is_inside(p, i, total, a) or (
                            p.scheme == CRAMMER_SINGER and positive > 1)):
                        if rows != NULL and count < most:
                            rows[count], classes[count] = <int32_t>i, <int32_t>m
                        count += 1
        return count

    def gradients(self, const int32_t[::1] rows, const int32_t[::1] classes,
                  const double[::1] intercepts, double[::1] out):
        """Of the dual without its diagonal, at these intercepts. False if out of time."""
        cdef int64_t k
        for k in range(self.p.K):
            self.p.b[k] = intercepts[k]
        self.p.free_rows, self.p.free_classes = &rows[0], &classes[0]
        self.p.out, self.p.count = &out[0], rows.shape[0]
        done = self._passes(GRADIENTS)
        for k in range(self.p.K):
            self.p.b[k] = self.p.offset[k] + self.p.rho * self.p.s[k]
        return done

    def gram(self, const int32_t[::1] rows, double[:, ::1] out):
        """Products of rows with each other. False if out of time."""
        cdef double[::1] room = np.zeros(self.p.X.d)
        if out.shape[0] != rows.shape[0] or out.shape[1] != rows.shape[0]:
            raise ValueError("out does not fit rows")
        self.p.free_rows, self.p.room = &rows[0], &room[0]
        self.p.out, self.p.count = &out[0, 0], rows.shape[0]
        return self._passes(GRAM)

    def put(self, const int32_t[::1] rows, const int32_t[::1] classes, const double[::1] values,
            const double[::1] intercepts):
        """Give these duals these values, and the intercepts. False if out of time."""
        cdef Problem *p = &self.p
        cdef int64_t t, k
        for t in range(rows.shape[0]):
            _set_dual(p, rows[t], classes[t], values[t])
            p.awake[rows[t]] = 1
            p.few[rows[t]].count = 0
        self.fell = True    # no momentum from that
        self._list_rows()
        if not self._sum_up(False):
            return False
        for k in range(p.K):
            p.offset[k] = intercepts[k] - p.rho * p.s[k]
            p.b[k] = intercepts[k]
        return True

    def finish(self):
        """Let W hold the weights, and the intercepts be known, after an interrupt."""
        self._sum_up(True)

    def intercepts(self, double[::1] out):
        """b = offset + rho * s of every class, as the duals have it now."""
        cdef int64_t k
        if out.shape[0] != self.p.K:
            raise ValueError("out must have an entry per class")
        for k in range(self.p.K):
            out[k] = self.p.offset[k] + self.p.rho * self.p.s[k]

    def sums(self, double[::1] out):
        """s of every class, as the duals have it now."""
        cdef int64_t k
        if out.shape[0] != self.p.K:
            raise ValueError("out must have an entry per class")
        for k in range(self.p.K):
            out[k] = self.p.s[k]

    @property
    def work(self):
        """Multiply-adds of the last epoch, about."""
        return (<double>self.p.X.nnz / max(self.p.X.n, 1) + 16) * self.visited * self.p.K

    def set_deadline(self, double deadline):
        """Time (perf_counter) after which steps return False early."""
        self.deadline = deadline

    @property
    def active(self):
        return self.p.active

    @property
    def violation(self):
        """Largest violation of the optimality conditions that the last epoch saw."""
        return self.p.violation

    # ---- inside ----------------------------------------------------------------------------

    cdef bint _may_go_on(self) except -1:
        PyErr_CheckSignals()
        if self.poll is not None:
            self.poll()
        return self.deadline == HUGE_VAL or perf_counter() < self.deadline

    cdef bint _carry_on(self) except -1:
        """Let the duals go on by a share of their change. False if out of time.

        All weights at once, or row by row when they are of double precision or what they were
        before is not known.
        """
        cdef Problem *p = &self.p
        cdef int64_t k, j, count
        cdef float w, beta
        cdef float *W
        cdef float *w_last
        # Row by row it takes a good part of an epoch.
        if self.epoch < (FIRST_SQUARED if p.squared else FIRST_EPOCHS) or (
                p.single == NULL and self.epoch % 2) or 3 * self.falls > self.epoch + 30:
            return True
        # A problem that takes many epochs bears more. After one that has lowered the dual, none.
        p.beta = max(self.momentum, min(MOST_MOMENTUM, 1 - LONG / self.epoch))
        p.beta = min(p.beta, self.epoch / (self.epoch + 8.0))
        if self.fell or p.a_last == NULL:
            p.beta = 0
        count = p.X.d * p.ld
        p.ahead = p.w_last != NULL
        p.every = p.single != NULL or p.a_last == NULL  # w_last is made of all duals
        if p.a_last == NULL:
            self.a_last = np.empty((p.X.n, p.K), dtype=np.float32)
            self.some_last = np.zeros((p.X.n, p.words), dtype=np.uint64)
            p.a_last, p.some_last = &self.a_last[0, 0], &self.some_last[0, 0]
        p.mean = 0
        if p.ahead:
            W, w_last, beta = p.single, p.w_last, <float>p.beta
            with nogil:
                for j in range(count):
                    w = W[j]
                    W[j] = w + beta * (w - w_last[j])
                    w_last[j] = w
        elif p.single != NULL:
            p.w_last = p.single + count
            memcpy(p.w_last, p.single, count * sizeof(float))
        if not self._passes(CARRY):
            return False
        for k in range(p.K):
            p.s[k] += p.mean
            p.b[k] = p.offset[k] + p.rho * p.s[k]
        self._norms()
        return True

    cdef void _unshrink(self) noexcept:
        cdef Problem *p = &self.p
        cdef int64_t i
        p.beyond = HUGE_VAL
        p.loss_shrunk = 0
        for i in range(p.X.n):
            p.awake[i] = _counts(p, i)
            p.few[i].count = 0

    cdef void _list_rows(self) noexcept:
        cdef Problem *p = &self.p
        cdef int64_t i
        p.active = 0
        with nogil:
            for i in range(p.X.n):
                p.rows[p.active] = <int32_t>i
                p.active += p.awake[i] != 0

    cdef bint _round(self, bint single) except -1:
        """Weights in single precision, or in double precision summed up anew."""
        cdef Problem *p = &self.p
        cdef int64_t j
        if self.half_summed or p.single != NULL:
            if not self._sum_up(False):
                return False
        if single:
            p.single = <float *>p.W
            with nogil:
                for j in range(p.X.d * p.ld):
                    p.single[j] = <float>p.W[j]
        return True

    cdef bint _sum_up(self, bint patient) except -1:
        """W and the sums from alpha, in double precision. False if out of time.

        Never when `patient`, nor is Ctrl-C heeded then.
        """
        cdef Problem *p = &self.p
        cdef int64_t k, j, K = p.K
        cdef double mean
        p.asum = p.adiag = 0
        for k in range(p.ld):
            p.s[k] = p.step[k] = 0
        p.single = p.w_last = NULL
        self.half_summed = True
        memset(p.W, 0, p.X.d * p.ld * sizeof(double))
        if patient:
            with nogil:
                _dispatch(p, START, 0, p.X.n)
        elif not self._passes(START):
            return False
        if not p.relative:
            # The sum over the classes is 0 but for rounding.
            with nogil:
                for j in range(p.X.d):
                    mean = 0
                    for k in range(K):
                        mean += p.W[j * p.ld + k]
                    mean /= K
                    for k in range(K):
                        p.W[j * p.ld + k] -= mean
        for k in range(p.ld):
            p.step[k] = 0
        for k in range(K):
            p.b[k] = p.offset[k] + p.rho * p.s[k]
        self.half_summed = False
        self._norms()
        return True

    cdef void _norms(self) noexcept:
        cdef Problem *p = &self.p
        cdef int64_t j, t, count = p.X.d * p.ld
        cdef double[4] sums
        sums[0] = sums[1] = sums[2] = sums[3] = 0
        with nogil:
            j = 0
            while j < count and p.single != NULL:
                for t in range(4):
                    sums[t] += <double>p.single[j + t] * p.single[j + t]
                j += 4
            while j < count:
                for t in range(4):
                    sums[t] += p.W[j + t] * p.W[j + t]
                j += 4
        p.wsq = (sums[0] + sums[1]) + (sums[2] + sums[3])

    cdef bint _passes(self, Pass which) except -1:
        """Run a pass over all rows, or turns, in slices."""
        cdef Problem *p = &self.p
        cdef int64_t s = 0, end, total = p.runs if which == SWEEP else p.X.n
        cdef int64_t slice
        cdef double span = self.span
        if which == SWEEP:
            span /= p.run
        elif which == CARRY:
            total = p.X.n if p.every else p.active
        elif which == GRADIENTS:
            total = p.count
        elif which == GRAM:
            total = p.count
            span *= p.K / <double>p.count
        slice = max(1, <int64_t>span)
        while s < total:
            end = min(total, s + slice)
            with nogil:
                _dispatch(p, which, s, end)
            s = end
            if not self._may_go_on():
                return False
        return True


def solve_row(const double[::1] c, double[::1] a, double D, double h, double upper, double cap,
              double guess=0.0):
    """A row's problem alone, see core/joint_step.h; writes a and returns theta."""
    cdef Rows rows = Rows(1, 1, np.zeros((1, 1)))
    if a.shape[0] != c.shape[0] or c.shape[0] == 0:
        raise ValueError("a and c must have the same length")
    return hx_joint_solve(rows.c.isa, &c[0], &a[0], c.shape[0], D, h, upper, cap, guess)
