# SPDX-License-Identifier: BSD-3-Clause
"""Stochastic subgradient steps for linear models under an l2 penalty, a few rows at a time.

For each lane (one binary problem: the positive class against the rest, y_i = +-1)

    P(w, b) = lam / 2 (||w||^2 + b^2 / size) + 1/n sum_i c_i phi(y_i (w.x_i + b))

with size = constant^2 for a regularized intercept, the weight of a feature of that value, infinite
for an unregularized one. Step t takes a batch A of k rows (Shalev-Shwartz, Singer, Srebro, Cotter,
"Pegasos: primal estimated sub-gradient solver for SVM", Mathematical Programming 127, 2011):

    eta = 1 / (lam (t + delay))
    w <- (1 - eta lam) w - eta / k sum_{i in A} c_i phi'(y_i f_i) y_i x_i
    w <- w min(1, radius / ||w||)                                        (projection, if asked for)

delay = 0 is the paper's; more keeps the first steps from being as long as 1 / lam.

A step costs O(nonzeros of the batch): w = scale v, so that neither the shrinking nor the projection
touches v, which is multiplied out when scale has become small. The average of the w_t weighted by
t, with which the error falls as 1 / (lam T) (Lacoste-Julien, Schmidt, Bach, "A simpler approach to
obtaining an O(1/t) convergence rate for the projected stochastic subgradient method", 2012), takes
w once in EVERY d nonzeros, which costs a fraction of the steps between; a w stands for all the
steps since the last one taken.

Passive-aggressive steps (Crammer, Dekel, Keshet, Shalev-Shwartz, Singer, JMLR 7, 2006) are the same
loop without shrinking: on a hinge loss l > 0, w moves by tau y x, q = ||x||^2, with

    PA: tau = l / q      PA-I: tau = min(C c, l / q)      PA-II: tau = l / (q + 1 / (2 C c))

with c the row's weight, and so is AROW (Crammer, Kulesza, Dredze, "Adaptive regularization of
weight vectors", NIPS 2009) with a variance S_j for each weight, 1 at first:

    q = sum_j S_j x_j^2 + r / c, tau = l / q:  w_j += tau y S_j x_j,  S_j -= (S_j x_j)^2 / q

v and u are feature-major (d, K): in one-vs-rest a row of X is read once for all lanes of a thread.
Rows are visited in an order that is random by runs of neighbours, which the processor fetches
ahead (see `_dual_cd.pyx`); every lane goes through the same rows, so a lane's bits depend neither
on the other lanes nor on the threads. Steps work in slices of some 10 ms, between which they look
for Ctrl-C and the deadline; between two slices the state is that after a whole step.
"""
from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange
from libc.math cimport HUGE_VAL, sqrt
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from time import perf_counter

import numpy as np

from ._losses cimport Terms, hx_term
from ._rows cimport Rows
from ._types cimport (
    hx_axpy, hx_dot, hx_lane_axpy, hx_lane_dot, hx_lanes_axpy, hx_lanes_scores, hx_row,
    hx_row_start, hx_rows, index, real,
)

cdef extern from "rng.h" nogil:
    ctypedef struct hx_rng:
        pass
    void hx_rng_seed(hx_rng *rng, uint64_t seed, uint64_t stream)
    uint32_t hx_rng_below(hx_rng *rng, uint32_t bound)
    void hx_shuffle(hx_rng *rng, int32_t *order, int64_t n)

cdef extern from *:
    """
    #include "dispatch.h"
    #include "margin_losses.h"
    #include "margin_prox.h"
    """
    ctypedef double hx_margin_function(double t, double a, double b) noexcept nogil
    hx_margin_function *hx_margin_values[1]
    hx_margin_function *hx_margin_slopes[1]
    double hx_margin_sum(hx_margin_function **table, const hx_term *terms, int count,
                         double t) noexcept nogil

cdef enum:
    LONGEST_RUN = 32    # rows, and no more than RUN_VALUES nonzeros
    RUN_VALUES = 1024
    FEWEST_RUNS = 64    # in an epoch, for the order to be random enough
    EVERY = 8           # d nonzeros, w is taken into the average
    SPARSE = 8          # lanes of which one moves, for single lanes to be worth their strides

cdef enum Rule:
    PEGASOS, PA, PA_I, PA_II, AROW

RULES = {"pegasos": PEGASOS, "PA": PA, "PA-I": PA_I, "PA-II": PA_II, "AROW": AROW}

ctypedef fused weight:
    double
    float

cdef double SMALLEST = 1e-9     # scale at which v is multiplied out
cdef double PARALLEL = 2e6  # nonzeros times lanes for which threads are worth while
cdef double SLICE = 1e7         # multiply-adds between two looks at signals and the clock


cdef struct Lane:
    double scale, b             # w = scale v; b as it is
    double b_sum                # of the average
    double variance             # of the intercept, for AROW
    double square               # ||w||^2, for the projection
    double loss                 # sum of c_i phi, each row as of its visit


cdef struct Problem:
    const hx_rows *X
    const int32_t *codes        # class of each row
    const double *cost          # c_i, or NULL: 1
    const float *sqnorm         # for projections and passive-aggressive steps
    const hx_term *terms
    int count
    int rule
    int64_t K, first, lanes     # of K lanes first..first + lanes - 1
    bint single                 # whether v and u are float, else double
    char *v                     # (d, K), from the first one of these on, as all below
    char *u                     # (d, K), sums of the average, variances of AROW, or NULL
    bint average
    int64_t since, t_taken      # nonzeros since w was taken into it, and the step when it was
    Lane *lane
    double lam, delay, radius   # radius: infinite for no projection
    double C                    # of passive-aggressive steps; r of AROW
    double constant             # value of the constant feature; 0: no intercept
    bint penalized              # whether its weight is
    int64_t t                   # steps made
    int64_t batch
    int32_t *turn               # runs in the order of their visits, for all
    int64_t run, runs, skip     # rows in a run; the first run lacks skip
    int64_t at_run, at_row      # where the visits are
    int64_t *rows               # (batch)
    double *step                # (batch, lanes): scores, then what w moves by along each row
    double *moves               # (lanes), or as many float; of scores, too, for now and then


cdef inline double _own_sign(const Problem *p, int64_t i, int64_t k) noexcept nogil:
    """y_i in the lane first + k."""
    if p.K == 1:
        return 1 if p.codes[i] == 1 else -1
    return 1 if p.codes[i] == p.first + k else -1


cdef inline bint _next_row(Problem *p, int64_t *row) noexcept nogil:
    """The next row of the epoch; False at its end."""
    cdef int64_t begin, end
    while p.at_run < p.runs:
        begin = max(0, p.turn[p.at_run] * p.run - p.skip)
        end = min(p.X.n, (p.turn[p.at_run] + 1) * p.run - p.skip)
        row[0] = begin + p.at_row
        if row[0] < end:
            p.at_row += 1
            return True
        p.at_run += 1
        p.at_row = 0
    return False


cdef void _multiply_out(Problem *p, weight *v, int64_t k) noexcept nogil:
    """scale = 1 for a lane."""
    cdef int64_t j
    for j in range(p.X.d):
        v[j * p.K + k] *= <weight>p.lane[k].scale
    p.lane[k].scale = 1


cdef inline double _triangle(int64_t t) noexcept nogil:
    """1 + 2 + ... + t."""
    return 0.5 * t * (t + 1.0)


cdef void _take(Problem *p, const weight *v, weight *u, weight *shares) noexcept nogil:
    """w into the average, for all steps since the last time."""
    cdef double share = _triangle(p.t) - _triangle(p.t_taken)
    cdef weight first
    cdef int64_t j, k
    for k in range(p.lanes):
        shares[k] = <weight>(share * p.lane[k].scale)
        p.lane[k].b_sum += share * p.lane[k].b
    if p.K == 1:
        first = shares[0]
        for j in range(p.X.d):
            u[j] += first * v[j]
    else:
        for j in range(p.X.d):
            for k in range(p.lanes):
                u[j * p.K + k] += shares[k] * v[j * p.K + k]
    p.t_taken = p.t
    p.since = 0


cdef inline double _passive(const Problem *p, double margin, double q, double cost) noexcept nogil:
    """tau of a passive-aggressive step."""
    cdef double loss = 1 - margin
    if loss <= 0 or q <= 0:
        return 0
    if p.rule == PA_II:
        return loss / (q + 0.5 / (p.C * cost))
    return min(loss / q, p.C * cost) if p.rule == PA_I else loss / q


cdef void _adapt(Problem *p, const real *v, const index *idx, int64_t length, int64_t k, double y,
                 double margin, double cost, weight *w) noexcept nogil:
    """A step of AROW in the lane first + k."""
    cdef const hx_rows *X = p.X
    cdef Lane *ln = p.lane + k
    cdef weight *S = <weight *>p.u
    cdef double x, moved, q = ln.variance * p.constant * p.constant, tau
    cdef int64_t j, at, stride = X.cs if idx == NULL else 1
    if margin >= 1:
        return
    for j in range(length):
        at = (idx[j] if idx != NULL else j) * p.K + k
        x = v[j * stride]
        q += S[at] * x * x
    q += p.C / cost
    tau = (1 - margin) / q
    for j in range(length):
        at = (idx[j] if idx != NULL else j) * p.K + k
        moved = S[at] * <double>v[j * stride]
        w[at] += <weight>(tau * y * moved)
        S[at] -= <weight>(moved * moved / q)
    ln.b += tau * y * ln.variance * p.constant * p.constant
    ln.variance -= ln.variance * ln.variance * p.constant * p.constant / q


cdef int64_t _make_step(Problem *p, real *tag_v, index *tag_i, weight *w) noexcept nogil:
    """One step; returns the rows visited, 0 at the end of the epoch. w is v."""
    cdef const hx_rows *X = p.X
    cdef const real *v = NULL
    cdef const index *idx = NULL
    cdef Lane *ln
    cdef int64_t r, i, k, length, moved, size = 0, lanes = p.lanes
    cdef double decay, rate, shift, cost, y, margin, before, ratio
    cdef double *f
    cdef weight *moves = <weight *>p.moves
    while size < p.batch and _next_row(p, p.rows + size):
        size += 1
    if size == 0:
        return 0
    p.t += 1
    rate = 1 / (p.lam * (p.t + p.delay)) if p.rule == PEGASOS else 1
    decay = 1 - 1 / (p.t + p.delay) if p.rule == PEGASOS else 1
    shift = p.constant * p.constant
    if p.rule == PEGASOS and not p.penalized:
        shift *= sqrt(1 + p.t / p.delay)
    # All scores first: they are those of the w that the step begins with.
    for r in range(size):
        i = p.rows[r]
        cost = 1 if p.cost == NULL else p.cost[i]
        f = p.step + r * lanes
        if cost == 0:
            for k in range(lanes):
                f[k] = 0
            continue
        length = hx_row(X, i, &v, &idx)
        p.since += length
        if p.K == 1:
            f[0] = hx_dot(X, v, idx, length, <const double *>p.v)
        else:
            hx_lanes_scores(X, v, idx, length, X.nnz - hx_row_start(X, i), w, p.K, lanes, moves)
            for k in range(lanes):
                f[k] = moves[k]
        for k in range(lanes):
            ln = p.lane + k
            y = _own_sign(p, i, k)
            margin = y * (ln.scale * f[k] + ln.b)
            ln.loss += cost * hx_margin_sum(hx_margin_values, p.terms, p.count, margin)
            if p.rule == PEGASOS:
                f[k] = -rate / size * cost * y * hx_margin_sum(
                    hx_margin_slopes, p.terms, p.count, margin)
            elif p.rule == AROW:
                _adapt(p, v, idx, length, k, y, margin, cost, w)
                f[k] = 0
            else:
                f[k] = y * _passive(p, margin, p.sqnorm[i] + p.constant * p.constant, cost)
    for k in range(lanes):
        ln = p.lane + k
        if decay > 0:       # in the first step of all w is 0
            ln.scale *= decay
            ln.square *= decay * decay
            if p.penalized:
                ln.b *= decay
        if ln.scale < SMALLEST:
            _multiply_out(p, w, k)
    for r in range(size):
        i = p.rows[r]
        f = p.step + r * lanes
        moved = 0
        for k in range(lanes):
            if f[k] != 0:
                moved += 1
                p.lane[k].b += f[k] * shift
        if moved == 0:
            continue
        length = hx_row(X, i, &v, &idx)
        if p.radius < HUGE_VAL:
            for k in range(lanes):
                if f[k] != 0:
                    ln = p.lane + k
                    before = ln.scale * hx_lane_dot(X, v, idx, length, w + k, p.K)
                    ln.square += f[k] * (2 * before + f[k] * p.sqnorm[i])
        for k in range(lanes):
            moves[k] = <weight>(f[k] / p.lane[k].scale)
        _move(p, moves, v, idx, length, moved, w)
    for k in range(lanes):
        ln = p.lane + k
        if p.radius < HUGE_VAL and ln.square > p.radius * p.radius:
            ratio = p.radius / sqrt(ln.square)
            ln.scale *= ratio
            ln.square = p.radius * p.radius
            if p.penalized:
                ln.b *= ratio
    if p.average and p.since >= EVERY * X.d:
        _take(p, w, <weight *>p.u, moves)
    return size


cdef inline void _move(Problem *p, weight *moves, const real *v, const index *idx, int64_t length,
                       int64_t moved, weight *to) noexcept nogil:
    """to += moves along a row, in the lanes where they are not 0."""
    cdef int64_t k
    if p.K == 1:
        hx_axpy(p.X, moves[0], v, idx, length, <double *>to)
    elif SPARSE * moved <= p.lanes:
        for k in range(p.lanes):
            if moves[k] != 0:
                hx_lane_axpy(p.X, moves[k], v, idx, length, to + k, p.K)
    else:
        hx_lanes_axpy(p.X, moves, v, idx, length, p.lanes, to, p.K)


cdef bint _steps(Problem *p, int64_t rows, real *tag_v, index *tag_i) noexcept nogil:
    """Steps over about so many rows; False at the end of the epoch."""
    cdef int64_t done = 0, now = 0
    while done < rows:
        if p.single:
            now = _make_step(p, tag_v, tag_i, <float *>p.v)
        else:
            now = _make_step(p, tag_v, tag_i, <double *>p.v)
        if now == 0:
            return False
        done += now
    return True


cdef bint _slice(Problem *p, int64_t rows) noexcept nogil:
    if p.X.is_f32:
        if p.X.is_i64:
            return _steps(p, rows, <float *>NULL, <int64_t *>NULL)
        return _steps(p, rows, <float *>NULL, <int32_t *>NULL)
    if p.X.is_i64:
        return _steps(p, rows, <double *>NULL, <int64_t *>NULL)
    return _steps(p, rows, <double *>NULL, <int32_t *>NULL)


cdef void _weights(const Problem *p, const weight *v, const weight *u, double rest, double total,
                   int64_t d, double[:, ::1] W) noexcept nogil:
    """(u + rest w) / total."""
    cdef int64_t j, k
    for j in range(d):
        for k in range(p.K):
            W[j, k] = rest * (p.lane[k].scale * v[j * p.K + k])
            if rest < total:
                W[j, k] = (W[j, k] + u[j * p.K + k]) / total


cdef void _squares(const weight *v, int64_t d, int64_t lanes, double *out) noexcept nogil:
    """Of the columns of v."""
    cdef int64_t j, k
    cdef double a = 0, b = 0, c = 0, e = 0
    if lanes > 1:
        for j in range(d):
            for k in range(lanes):
                out[k] += <double>v[j * lanes + k] * v[j * lanes + k]
        return
    for j in range(0, d - 3, 4):
        a += <double>v[j] * v[j]
        b += <double>v[j + 1] * v[j + 1]
        c += <double>v[j + 2] * v[j + 2]
        e += <double>v[j + 3] * v[j + 3]
    for j in range(d - d % 4, d):
        a += <double>v[j] * v[j]
    out[0] = (a + b) + (c + e)


cdef class Stochastic:
    """State of a model that learns by steps; X and labels come with each epoch.

    Parameters
    ----------
    d, lanes : int
    terms : hingex._losses.Terms
        The loss; of no concern to passive-aggressive steps but in the losses told.
    rule : int
        Of RULES.
    lam, delay, radius, C, constant, penalized
        As above; radius infinite for no projection, constant 0 for no intercept; C: r of AROW.
    batch : int
    average : bool
    single : bool
        Weights of single precision, for more than one lane and X of single precision: rounding is
        then much less than a step, and memory half.
    threads : int
        Lanes are shared out.
    """
    cdef readonly object v, u       # (d, lanes)
    cdef object keep, loss
    cdef Problem base
    cdef Lane *lane
    cdef int64_t d, lanes
    cdef int threads
    cdef public int64_t t           # steps made
    cdef int64_t since, t_taken
    cdef public object poll         # called about every 10 ms if not None; it may raise

    def __cinit__(self, int64_t d, int64_t lanes, Terms terms not None, int rule, double lam,
                  double delay, double radius, double C, double constant, bint penalized,
                  int64_t batch, bint average, bint single, int threads):
        cdef unsigned char[:, ::1] v, u
        cdef double[:, ::1] room = np.zeros((lanes, sizeof(Lane) // sizeof(double)))
        cdef int64_t k
        if (d < 1 or lanes < 1 or batch < 1 or not lam > 0 or delay < 0
                or (rule == AROW and (batch > 1 or average))):
            raise ValueError("parameters of Stochastic are out of range")
        self.d, self.lanes, self.threads = d, lanes, max(1, threads)
        single = single and lanes > 1
        self.v, self.loss = np.zeros((d, lanes), dtype=np.float32 if single else np.float64), terms
        v = self.v.view(np.uint8)
        self.base.v, self.base.terms, self.base.count = <char *>&v[0, 0], terms.term, terms.count
        if average or rule == AROW:
            self.u = np.full_like(self.v, 1.0 if rule == AROW else 0.0)
            u = self.u.view(np.uint8)
            self.base.u = <char *>&u[0, 0]
        self.base.single, self.base.average = single, average
        self.keep = room
        self.lane = self.base.lane = <Lane *>&room[0, 0]
        for k in range(lanes):
            self.lane[k].scale = 1
            self.lane[k].variance = rule == AROW
        self.base.K, self.base.rule = lanes, rule
        self.base.lam, self.base.delay, self.base.radius, self.base.C = lam, delay, radius, C
        self.base.constant, self.base.penalized, self.base.batch = constant, penalized, batch

    def epoch(self, Rows X not None, const int32_t[::1] codes, const double[::1] weight,
              const float[::1] sqnorm, uint64_t seed, uint64_t number, double deadline):
        """Steps over all rows once. False if out of time.

        The order is that of (seed, number); losses are summed up anew.
        """
        cdef int64_t n = X.c.n, each, parts, size, k, t = self.t
        cdef int b, going
        cdef int64_t per_slice
        cdef hx_rng rng
        cdef Problem *p
        cdef int32_t[::1] turn
        cdef int64_t[:, ::1] rows
        cdef double[::1] steps, moves
        cdef unsigned char[::1] room, busy
        if (X.c.d != self.d or codes.shape[0] != n or (weight is not None and weight.shape[0] != n)
                or (sqnorm is not None and sqnorm.shape[0] != n)
                or (sqnorm is None and (self.base.rule in (PA, PA_I, PA_II)
                                        or self.base.radius < HUGE_VAL))):
            raise ValueError("arrays of epoch do not fit each other")
        if n == 0:
            return True
        each = self.lanes
        if <double>X.c.nnz * self.lanes > PARALLEL:     # or else waiting takes longer than working
            each = (self.lanes + self.threads - 1) // self.threads
        size = sizeof(float) if self.base.single else sizeof(double)
        parts = (self.lanes + each - 1) // each
        room = np.empty(parts * sizeof(Problem), dtype=np.uint8)
        busy = np.ones(parts, dtype=np.uint8)
        p = <Problem *>&room[0]
        p[0] = self.base
        p.X, p.codes = &X.c, &codes[0]
        p.cost = NULL if weight is None else &weight[0]
        p.sqnorm = NULL if sqnorm is None else &sqnorm[0]
        p.run = max(1, min(LONGEST_RUN, RUN_VALUES * n // max(1, X.c.nnz), n // FEWEST_RUNS))
        hx_rng_seed(&rng, seed, number)
        p.skip = hx_rng_below(&rng, <uint32_t>p.run)     # other runs in each epoch
        p.runs = (n + p.skip + p.run - 1) // p.run
        turn = np.arange(p.runs, dtype=np.int32)
        p.turn = &turn[0]
        hx_shuffle(&rng, p.turn, p.runs)
        p.at_run = p.at_row = 0
        p.t, p.since, p.t_taken = t, self.since, self.t_taken
        rows = np.empty((parts, p.batch), dtype=np.int64)
        steps, moves = np.empty(p.batch * self.lanes), np.empty(self.lanes)
        for k in range(self.lanes):
            self.lane[k].loss = 0
        for b in range(parts):
            p[b] = p[0]
            p[b].first = b * each
        for b in range(parts):
            p[b].lanes = min(each, self.lanes - b * each)
            p[b].v = self.base.v + b * each * size
            p[b].u = self.base.u + b * each * size if self.base.u != NULL else NULL
            p[b].lane = self.lane + b * each
            p[b].rows, p[b].step = &rows[b, 0], &steps[p.batch * b * each]
            p[b].moves = &moves[b * each]
        per_slice = max(1, <int64_t>(
            SLICE / ((2 * <double>X.c.nnz / n + 16) * min(each, 16))))
        going = parts
        while going:
            with nogil:
                if parts > 1:
                    for b in prange(<int>parts, num_threads=<int>parts, schedule="static"):
                        if busy[b]:
                            busy[b] = _slice(p + b, per_slice)
                else:
                    busy[0] = _slice(p, per_slice)
            going = 0
            for b in range(parts):
                going += busy[b]
            # All parts have come as far.
            self.t, self.since, self.t_taken = p.t, p.since, p.t_taken
            PyErr_CheckSignals()
            if self.poll is not None:
                self.poll()
            if going and deadline < HUGE_VAL and perf_counter() > deadline:
                return False
        return True

    def weights(self, double[:, ::1] W, double[::1] b, bint average):
        """W (d, lanes) and b: the average if there is one and it is wanted, or else the last."""
        cdef int64_t k
        cdef double total = 1, rest = 1
        cdef Problem *p = &self.base
        if W.shape[0] != self.d or W.shape[1] != self.lanes or b.shape[0] != self.lanes:
            raise ValueError("W or b has the wrong shape")
        if average and p.average and self.t_taken > 0:
            rest, total = _triangle(self.t) - _triangle(self.t_taken), _triangle(self.t)
        with nogil:
            for k in range(self.lanes):
                b[k] = rest * p.lane[k].b
                if rest < total:
                    b[k] = (b[k] + p.lane[k].b_sum) / total
            if p.single:
                _weights(p, <float *>p.v, <float *>p.u, rest, total, self.d, W)
            else:
                _weights(p, <double *>p.v, <double *>p.u, rest, total, self.d, W)

    def penalty(self, double size):
        """||w||^2 + b^2 / size, summed over the lanes; 0 < size, infinite for b free."""
        cdef double[::1] part = np.zeros(self.lanes)
        cdef double total = 0
        cdef int64_t k
        with nogil:
            if self.base.single:
                _squares(<const float *>self.base.v, self.d, self.lanes, &part[0])
            else:
                _squares(<const double *>self.base.v, self.d, self.lanes, &part[0])
            for k in range(self.lanes):
                total += self.lane[k].scale * self.lane[k].scale * part[k]
                total += self.lane[k].b * self.lane[k].b / size
        return total

    def arrays(self):
        """All that has been learned: copies of v, u or None, the lanes' numbers, and counts."""
        return (self.v.copy(), None if self.u is None else self.u.copy(),
                np.array(self.keep, dtype=np.float64), (self.t, self.t_taken, self.since))

    def restore(self, v, u, lanes, counts):
        """Go on from what `arrays` returned for the same parameters."""
        if v.shape != self.v.shape or (u is None) != (self.u is None):
            raise ValueError("arrays of another state")
        self.v[...] = v
        if u is not None:
            self.u[...] = u
        np.asarray(self.keep)[...] = lanes
        self.t, self.t_taken, self.since = counts

    @property
    def losses(self):
        """Sum of c_i phi of every lane over the last epoch, each row as of its visit."""
        return np.array([self.lane[k].loss for k in range(self.lanes)])
