# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of the scores of all pairs of many classes: votes, probabilities, and their slopes.

Of K classes there are K (K - 1) / 2 scores a row, which are used as they are found and not kept: a
tile of rows has the kernel values of all support vectors, one after another the pairs' scores come
out of them, 64 rows at a time, and go into votes. For probabilities those of four rows are kept.

The coupling of pairs' probabilities r_ij of Wu, Lin and Weng (JMLR 5, 2004, the second approach)
minimizes the sum over i and j of (r_ji p_i - r_ij p_j)^2 over p of sum 1: p is in proportion to
(Q + s ee')^-1 e for any s > 0, where Q_ii = sum_j r_ji^2, Q_ij = -r_ji r_ij and e is all ones. That
matrix is positive definite, and conjugate gradients, scaled by its diagonal, take some ten products
with it, of O(K^2), where an elimination takes O(K^3).
"""
from cython.parallel cimport prange, threadid
from libc.math cimport exp, fabs, log
from libc.stdint cimport int64_t
from libc.string cimport memset

import numpy as np

from ._kernel_rows cimport (
    HX_LANES, STEP, Pack, Points, Tiles, hx_svm_get, hx_svm_ops, hx_svm_points,
    hx_svm_rows, hx_svm_tile,
)
from ._kernel_rows import check_ids


cdef enum:
    FEW = 16            # rows up to which support vectors, not they, make up tiles
    ABREAST = 4         # rows whose probabilities are found together
    TOGETHER = 256      # support vectors of the classes whose pairs vote together
    VOTES, SUMS, OWN, PROBABILITIES

READINGS = {"votes": VOTES, "sums": SUMS, "own": OWN, "probabilities": PROBABILITIES}

cdef double SURE = 1e-7         # pairs' probabilities are no closer to 0 and 1
cdef double EXACT = 1e-13       # residual of the coupling, relative
cdef double REACH = 20.0        # logarithms of slopes are so far from that of the scores' spread


cdef struct reading:
    const hx_svm_ops *ops
    int64_t K, count                # classes, support vectors
    const int64_t *start            # of classes, among support vectors
    const double *coef              # (K - 1) x count
    const double *intercept
    int what
    const int64_t *codes            # OWN: classes of rows
    const double *slopes            # PROBABILITIES: of pairs, for scores up to 0 and above
    int64_t width
    double *out                     # rows x width
    double *value                   # workspace of each thread: count x lanes; as are
    double *sum                     # 2 K x lanes, or ABREAST x pairs
    double *vector                  # 5 K
    const double **line             # count
    double *row                     # count
    int64_t lanes, sums


cdef class Reader:
    """Reads scores of pairs.

    Parameters
    ----------
    coef : ndarray (K - 1, count) of float64
        As dual_coef_ has it.
    start : ndarray (K + 1,) of int64
    intercept : ndarray (K (K - 1) / 2,) of float64
    what : str
        "votes": of each class, which the first of a pair has for a score above 0. "sums": votes,
        for scores of 0 too, and less than half a vote for sums of scores. "own": for each row the
        scores of the pairs of its class, with the others in turn. "probabilities": of the classes.
    codes : ndarray (n,) of int64, optional
        Of rows, for "own".
    slopes : ndarray (K (K - 1) / 2, 2) of float64, optional
        For "probabilities".
    threads : int
    """

    cdef reading c
    cdef object kept, space
    cdef int threads

    def __init__(self, const double[:, ::1] coef, const int64_t[::1] start,
                 const double[::1] intercept, what, codes=None, slopes=None, int threads=1):
        cdef int64_t K = start.shape[0] - 1, count = coef.shape[1], P = K * (K - 1) // 2
        cdef const int64_t[::1] of
        cdef const double[:, ::1] slope
        if K < 2 or coef.shape[0] != K - 1 or start[0] != 0 or start[K] != count or (
                np.diff(start) < 0).any() or intercept.shape[0] != P or threads < 1:
            raise ValueError("coefficients do not match")
        self.c.ops, self.c.K, self.c.count = hx_svm_get(), K, count
        self.c.start, self.c.intercept, self.c.what = &start[0], &intercept[0], READINGS[what]
        self.c.coef = &coef[0, 0] if count else NULL
        self.c.width = K - 1 if self.c.what == OWN else K
        if self.c.what == OWN:
            of = codes
            check_ids(of, K)
            self.c.codes = &of[0] if of.shape[0] else NULL
        if self.c.what == PROBABILITIES:
            slope = slopes
            if slope.shape[0] != P or slope.shape[1] != 2:
                raise ValueError("slopes do not match")
            self.c.slopes = &slope[0, 0]
        self.threads = threads
        self.kept = coef, start, intercept, codes, slopes

    cdef int _make_space(self, int64_t lanes, int threads) except -1:
        cdef int64_t K = self.c.K, P = K * (K - 1) // 2, count = max(1, self.c.count)
        cdef double[:, ::1] value, sum_, vector, row
        cdef size_t[:, ::1] line
        self.c.lanes = lanes
        self.c.sums = (ABREAST * P if self.c.what == PROBABILITIES else 2 * K * lanes)
        value, sum_ = np.empty((threads, count * lanes)), np.empty((threads, self.c.sums))
        vector, line = np.empty((threads, 5 * K)), np.empty((threads, count), dtype=np.uintp)
        row = np.empty((threads, count if self.c.what == OWN else 1))
        self.c.value, self.c.sum, self.c.vector = &value[0, 0], &sum_[0, 0], &vector[0, 0]
        self.c.line, self.c.row = <const double **>&line[0, 0], &row[0, 0]
        self.space = value, sum_, vector, line, row
        return 0

    def _out(self, double[:, ::1] out, int64_t rows):
        if out.shape[0] != rows or out.shape[1] != self.c.width:
            raise ValueError("out has the wrong shape")
        self.c.out = &out[0, 0]

    def read(self, Points vectors not None, Points rows not None, int64_t begin, int64_t end,
             double[:, ::1] out not None):
        """The reading of the examples begin..end-1 of rows into out; both points as in `values`."""
        cdef int64_t n = end - begin, t
        cdef int threads = self.threads
        vectors._check(rows)
        if vectors.n != self.c.count or not 0 <= begin <= end <= rows.rows.c.n:
            raise ValueError("examples do not match")
        if self.c.what == OWN and self.kept[3].shape[0] != rows.n:
            raise ValueError("classes do not match")
        if n == 0:
            return
        if n <= FEW:
            values = np.empty((n, vectors.n))
            rows.values(np.arange(begin, end), vectors, np.arange(vectors.n), values, threads)
            self.read_given(values, begin, out)
            return
        self._out(out, n)
        self._make_space(HX_LANES, threads)
        cdef int64_t[::1] ids = np.arange(max(1, vectors.rows.c.n))
        cdef Pack pack = Pack()
        cdef Tiles tiles = Tiles(rows, threads, vectors.c.groups)
        cdef hx_svm_points theirs = rows.c
        theirs.mapped = rows.c.mapped and not vectors.c.groups
        pack.take(vectors, &ids[0], vectors.rows.c.n)
        with nogil:
            for t in prange((n + HX_LANES - 1) // HX_LANES, num_threads=threads,
                            schedule="dynamic"):
                _tile_values(vectors, &theirs, &pack.c, &self.c, begin + t * HX_LANES,
                             min(HX_LANES, n - t * HX_LANES), tiles.c + threadid(), threadid())
                _read(&self.c, begin, t * HX_LANES, min(HX_LANES, n - t * HX_LANES), threadid())

    def read_given(self, values, int64_t begin, double[:, ::1] out not None):
        """As `read` of rows from begin on, with their kernel values with all vectors."""
        cdef int64_t n = values.shape[0], at, m
        if values.shape[1] != self.c.count:
            raise ValueError("values do not match")
        if n == 0:
            return
        self._out(out, n)
        self._make_space(min(HX_LANES, (n + ABREAST - 1) // ABREAST * ABREAST), 1)
        turned = np.asarray(self.space[0])[0, :self.c.count * self.c.lanes].reshape(
            self.c.count, self.c.lanes)
        for at in range(0, n, HX_LANES):
            m = min(HX_LANES, n - at)
            turned[:, :m], turned[:, m:] = values[at:at + m].T, 0
            with nogil:
                _read(&self.c, begin, at, m, 0)


cdef void _tile_values(Points P, const hx_svm_points *theirs, const hx_svm_rows *pack,
                       const reading *R, int64_t at, int64_t m, hx_svm_tile *tile,
                       int thread) noexcept nogil:
    """Kernel values of m rows with all support vectors."""
    cdef double *value = R.value + thread * max(1, R.count) * R.lanes
    cdef int64_t[HX_LANES] which
    cdef int64_t j, r = 0, end
    for j in range(m):
        which[j] = at + j
    P.type.pack_tile(theirs, which, m, tile)
    while r < R.count:
        end = min(r + STEP, R.count)
        P.type.values(&P.kernel, tile, pack, r, end, value + r * HX_LANES, HX_LANES)
        r = end


cdef void _read(const reading *R, int64_t begin, int64_t at, int64_t m, int thread) noexcept nogil:
    """The reading of m rows, from `at` on of those that were asked for, by their kernel values."""
    cdef const double *value = R.value + thread * max(1, R.count) * R.lanes
    cdef const double **line = R.line + thread * max(1, R.count)
    cdef double *sum = R.sum + thread * R.sums
    cdef double *out = R.out + at * R.width
    cdef int64_t r, first = 0
    for r in range(R.count):
        line[r] = value + r * R.lanes
    if R.what == OWN:
        _own(R, value, R.codes + begin + at, m, R.row + thread * max(1, R.count), out)
    elif R.what == PROBABILITIES:
        while first < m:
            _probabilities(R, line, min(ABREAST, m - first), sum, R.vector + thread * 5 * R.K,
                           out + first * R.K)
            for r in range(R.count):
                line[r] += ABREAST
            first += ABREAST
    else:
        _votes(R, line, m, sum, out)


cdef inline void _score(const reading *R, const double *const *line, int64_t i, int64_t j,
                        int64_t o, int64_t lanes, double *score) noexcept nogil:
    """Scores of the pair o of classes i < j: what it is in `decide`, bit for bit."""
    cdef int64_t a = R.start[i], b = R.start[j], t
    memset(score, 0, lanes * sizeof(double))
    R.ops.add_f64(line + a, R.coef + (j - 1) * R.count + a, R.start[i + 1] - a, lanes, score)
    R.ops.add_f64(line + b, R.coef + i * R.count + b, R.start[j + 1] - b, lanes, score)
    for t in range(lanes):
        score[t] += R.intercept[o]


cdef void _votes(const reading *R, const double *const *line, int64_t m, double *sum,
                 double *out) noexcept nogil:
    """Votes, or votes and sums of scores squeezed to less than a third of a vote each way.

    Some classes with some others at a time, whose kernel values and coefficients stay in caches.
    """
    cdef int64_t i, j, begin = 0, end, first, last, t, lanes = R.lanes
    cdef double x, more
    memset(sum, 0, 2 * R.K * lanes * sizeof(double))
    while begin < R.K:
        end, first = _until(R, begin), 0
        while first < end:
            last = _until(R, first)
            for j in range(begin, end):
                for i in range(first, min(last, j)):
                    _vote(R, line, i, j, sum)
            first = last
        begin = end
    for t in range(m):
        for i in range(R.K):
            x = sum[(R.K + i) * lanes + t]
            more = x / (3 * (fabs(x) + 1)) if R.what == SUMS else 0
            out[t * R.K + i] = sum[i * lanes + t] + more


cdef inline int64_t _until(const reading *R, int64_t c) noexcept nogil:
    """The end of the classes from c on whose kernel values are worked on together."""
    cdef int64_t end = c + 1
    while end < R.K and R.start[end + 1] - R.start[c] <= TOGETHER:
        end += 1
    return end


cdef void _vote(const reading *R, const double *const *line, int64_t i, int64_t j,
                double *sum) noexcept nogil:
    """Add the votes of the pair of classes i < j, and its scores."""
    cdef double[HX_LANES] score
    cdef int64_t t, lanes = R.lanes
    cdef double first
    cdef double *mine = sum + i * lanes
    cdef double *other = sum + j * lanes
    _score(R, line, i, j, i * (2 * R.K - i - 1) // 2 + j - i - 1, lanes, score)
    if R.what == VOTES:
        for t in range(lanes):
            first = score[t] > 0
            mine[t] += first
            other[t] += 1 - first
        return
    for t in range(lanes):
        first = score[t] >= 0
        mine[t] += first
        other[t] += 1 - first
    mine += R.K * lanes
    other += R.K * lanes
    for t in range(lanes):
        mine[t] += score[t]
        other[t] -= score[t]


cdef void _own(const reading *R, const double *value, const int64_t *codes, int64_t m,
               double *row, double *out) noexcept nogil:
    """Scores of the pairs of each row's class: sums over the support vectors of all classes."""
    cdef int64_t t, r, c, j
    cdef double *score
    for t in range(m):
        c = codes[t]
        score = out + t * R.width
        for r in range(R.count):
            row[r] = value[r * R.lanes + t]
        for j in range(R.K):
            if j < c:
                score[j] = R.intercept[j * (2 * R.K - j - 1) // 2 + c - j - 1] + (
                    _dot(R, row, c, j) + _dot(R, row, j, c - 1))
            elif j > c:
                score[j - 1] = R.intercept[c * (2 * R.K - c - 1) // 2 + j - c - 1] + (
                    _dot(R, row, c, j - 1) + _dot(R, row, j, c))


cdef inline double _dot(const reading *R, const double *row, int64_t c, int64_t k) noexcept nogil:
    """Kernel values with the support vectors of a class, with their coefficients of a set."""
    cdef double sum = 0
    cdef int64_t r
    for r in range(R.start[c], R.start[c + 1]):
        sum += R.coef[k * R.count + r] * row[r]
    return sum


cdef void _probabilities(const reading *R, const double *const *line, int64_t m, double *pairs,
                         double *vector, double *out) noexcept nogil:
    """Probabilities of the classes for m rows, at most ABREAST."""
    cdef double[ABREAST] score
    cdef int64_t i, j, o = 0, t, P = R.K * (R.K - 1) // 2
    cdef double z
    for i in range(R.K):
        for j in range(i + 1, R.K):
            _score(R, line, i, j, o, ABREAST, score)
            for t in range(m):
                z = exp(-fabs(score[t] * R.slopes[2 * o + (score[t] > 0)]))
                pairs[t * P + o] = (1 if score[t] * R.slopes[2 * o + (score[t] > 0)] > 0
                                    else z) / (1 + z)
            o += 1
    for t in range(m):
        _couple(pairs + t * P, R.K, vector, out + t * R.K)


# ---- coupling ---------------------------------------------------------------------------------


def couple(double[:, ::1] pairs, double[:, ::1] out, int threads=1):
    """Probabilities (n, K) of classes from those of the first of each pair, which are lost."""
    cdef int64_t n = out.shape[0], K = out.shape[1], t
    if pairs.shape[0] != n or K < 2 or pairs.shape[1] != K * (K - 1) // 2 or threads < 1:
        raise ValueError("arrays do not match")
    cdef double[:, ::1] vector = np.empty((threads, 5 * K))
    with nogil:
        for t in prange(n, num_threads=threads, schedule="dynamic"):
            _couple(&pairs[t, 0], K, &vector[threadid(), 0], &out[t, 0])


cdef void _couple(double *pairs, int64_t K, double *vector, double *p) noexcept nogil:
    """Conjugate gradients for (Q + s ee') p = e, scaled; p is then made to have the sum 1."""
    cdef double *diag = vector
    cdef double *residual = vector + K
    cdef double *direction = vector + 2 * K
    cdef double *product = vector + 3 * K
    cdef double r, shift = 0, total, size, before, now = 0, step, first
    cdef int64_t i, j, o = 0, _turn
    memset(diag, 0, K * sizeof(double))
    for i in range(K):
        for j in range(i + 1, K):
            r = min(max(pairs[o], SURE), 1 - SURE)
            diag[i] += (1 - r) * (1 - r)
            diag[j] += r * r
            pairs[o] = r * (1 - r)          # -Q_ij
            o += 1
    for i in range(K):
        shift += diag[i] / K
    shift /= K
    for i in range(K):
        p[i] = 0
        residual[i] = 1
        direction[i] = 1 / (diag[i] + shift)
        now += direction[i]
    first = now
    for _turn in range(20 * K + 100):
        total = 0
        for i in range(K):
            total += direction[i]
        for i in range(K):
            product[i] = diag[i] * direction[i] + shift * total
        _take_pairs(pairs, K, direction, product)
        size = 0
        for i in range(K):
            size += direction[i] * product[i]
        if not size > 0:
            break
        step = now / size
        before, now = now, 0
        for i in range(K):
            p[i] += step * direction[i]
            residual[i] -= step * product[i]
            now += residual[i] * residual[i] / (diag[i] + shift)
        if not now > EXACT * EXACT * first:
            break
        for i in range(K):
            direction[i] = residual[i] / (diag[i] + shift) + now / before * direction[i]
    total = 0
    for i in range(K):
        p[i] = max(p[i], 0)
        total += p[i]
    for i in range(K):
        p[i] /= total


cdef void _take_pairs(const double *pairs, int64_t K, const double *x, double *y) noexcept nogil:
    """y += the part of Q beside its diagonal, with x."""
    cdef int64_t i, j, o = 0
    cdef double sum
    cdef double[4] four
    cdef const double *row
    for i in range(K):
        row = pairs + o - i - 1
        four[0] = four[1] = four[2] = four[3] = 0
        j = i + 1
        while j + 4 <= K:
            four[0] += row[j] * x[j]
            four[1] += row[j + 1] * x[j + 1]
            four[2] += row[j + 2] * x[j + 2]
            four[3] += row[j + 3] * x[j + 3]
            j += 4
        sum = (four[0] + four[1]) + (four[2] + four[3])
        while j < K:
            sum += row[j] * x[j]
            j += 1
        y[i] -= sum
        sum = x[i]
        for j in range(i + 1, K):
            y[j] -= row[j] * sum
        o += K - i - 1


# ---- slopes -----------------------------------------------------------------------------------


cdef struct sigmoids:
    int64_t K
    const double *score             # n x (K - 1)
    const int64_t *rows             # by class
    const double *weight
    const int64_t *start            # of classes
    bint second                     # the second of a pair is at y = 1
    double *slopes


def fit_slopes(const double[:, ::1] scores, const int64_t[::1] rows, const int64_t[::1] start,
               const double[::1] weight, bint second, double[:, ::1] slopes, int threads=1):
    """Slopes of each pair's sigmoid, for scores up to 0 and above, by maximum likelihood.

    Parameters
    ----------
    scores : ndarray (n, K - 1)
        Of each row: of the pairs of its class with the others in turn.
    rows, start : ndarray (N,), (K + 1,) of int64
        Rows by class, and where classes begin.
    weight : ndarray (n,)
    second : bool
        Whether scores are positive for the second class of a pair.
    slopes : ndarray (K (K - 1) / 2, 2)
        To be filled.
    threads : int
    """
    cdef int64_t K = start.shape[0] - 1, i
    cdef sigmoids job
    if K < 2 or scores.shape[1] != K - 1 or weight.shape[0] != scores.shape[0] or (
            start[0] != 0 or start[K] != rows.shape[0] or (np.diff(start) < 1).any()) or (
            slopes.shape[0] != K * (K - 1) // 2 or slopes.shape[1] != 2) or threads < 1:
        raise ValueError("arrays do not match")
    check_ids(rows, scores.shape[0])
    job.K, job.score, job.weight, job.start = K, &scores[0, 0], &weight[0], &start[0]
    job.rows, job.second, job.slopes = &rows[0], second, &slopes[0, 0]
    with nogil:
        for i in prange(K, num_threads=threads, schedule="dynamic"):
            _slopes_of(&job, i)


cdef void _slopes_of(const sigmoids *S, int64_t i) noexcept nogil:
    cdef int64_t j, o
    for j in range(i + 1, S.K):
        o = i * (2 * S.K - i - 1) // 2 + j - i - 1
        S.slopes[2 * o] = _slope(S, i, j, False)
        S.slopes[2 * o + 1] = _slope(S, i, j, True)


cdef double _slope(const sigmoids *S, int64_t i, int64_t j, bint above) noexcept nogil:
    """The slope of least loss for scores on one side of 0, by Newton's method and bisection.

    Of the logarithm of the slope x, the derivative of the loss is e^x times the sum over rows of
    w f (sigmoid(e^x f) - target), which rises with x.
    """
    cdef double low, high, x, derivative, curvature, spread = 0, up, down, step
    cdef int64_t count = 0
    cdef int _turn
    up, down = _weight(S, i), _weight(S, j)
    if S.second:
        up, down = down, up
    _sums(S, i, j, above, up, down, 0, &spread, &curvature, &count)
    if count == 0 or spread == 0:
        return 1
    x = -log(spread / count)
    low, high = x - REACH, x + REACH
    for _turn in range(200):
        count = 0
        _sums(S, i, j, above, up, down, exp(x), &derivative, &curvature, &count)
        if derivative > 0:
            high = x
        else:
            low = x
        if derivative == 0 or high - low < 1e-12:
            break
        step = -derivative / curvature if curvature > 0 else 0
        if not (low < x + step < high) or step == 0:
            step = (low + high) / 2 - x
        x += step
        if fabs(step) < 1e-13:
            break
    return exp(x)


cdef double _weight(const sigmoids *S, int64_t c) noexcept nogil:
    cdef double sum = 0
    cdef int64_t r
    for r in range(S.start[c], S.start[c + 1]):
        sum += S.weight[S.rows[r]]
    return sum


cdef void _sums(const sigmoids *S, int64_t i, int64_t j, bint above, double up, double down,
                double slope, double *first, double *second, int64_t *count) noexcept nogil:
    """First and second derivative of the loss by the slope's logarithm; for a slope of 0, sums |f|.

    The derivatives are divided by the slope.
    """
    cdef int64_t r, at, c
    cdef int side
    cdef double f, p, target, small
    first[0] = second[0] = 0
    for side in range(2):
        c, at = (i, j - 1) if side == 0 else (j, i)
        target = (up + 1) / (up + 2) if (side == 0) != S.second else 1 / (down + 2)
        for r in range(S.start[c], S.start[c + 1]):
            f = S.score[S.rows[r] * (S.K - 1) + at]
            if (f > 0) != above:
                continue
            count[0] += 1
            if slope == 0:
                first[0] += fabs(f)
                continue
            small = exp(-fabs(slope * f))
            p = (1 if f > 0 else small) / (1 + small)
            first[0] += S.weight[S.rows[r]] * f * (p - target)
            second[0] += S.weight[S.rows[r]] * f * (
                (p - target) + slope * f * small / ((1 + small) * (1 + small)))
