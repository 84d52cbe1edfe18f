# SPDX-License-Identifier: BSD-3-Clause
"""Structured outputs: inference, and steps of block-coordinate Frank-Wolfe and of subgradients.

An example has rows of X and an output y, a list of labels. Under the weights w = (W, t) it scores

    w . phi(x, y) = sum_(r, k) in marks(y)  x_r . W[:, k]  +  sum_k in places(y)  t_k

with marks and places by the kind of the model:

    multiclass      a row and its label k: mark (0, k); place: the label
    chain           a label for each row: (r, y_r); pairs of neighbours, the first, the last label
    tree            the same; pairs of a row's label and its parent's, labels of roots
    graph           the same with K = 2; pairs of neighbours' labels, and labels
    multilabel      a row, y_k = 0 or 1: (0, k) where it is 1; and the same k as places
    pairs           the same; and pairs of labels that are 1

and Delta(y, y') = sum_j cost[y_j, y'_j]. In a graph whose neighbours do not attract each other the
maximisers are those of the linear relaxation: a label may be 2, which is half a 0 and half a 1, and
so are its marks and places; behind the labels of rows y has one for each edge, which tells of two
halves whether they agree. W is feature-major, (d, ld), ld the number K of columns
rounded up to a multiple of 8; t has rows of ld numbers, too. What is past K is 0.

With slack rescaling the loss is max_y' Delta_i(y') (1 - w . psi_i(y')): planes Delta psi in the
place of psi, for multiclass and for chains whose Delta counts wrong labels.

    P(w) = 1/2 ||w||^2 + C sum_i max_y' (Delta_i(y') - w . psi_i(y')),
    psi_i(y') = phi(x_i, y_i) - phi(x_i, y')
    D(alpha) = sum_i l_i - 1/2 ||sum_i w_i||^2,   w_i = C sum_y' alpha_i(y') psi_i(y'),
    l_i = C sum_y' alpha_i(y') Delta_i(y'),   alpha_i in the simplex

A step of block-coordinate Frank-Wolfe goes from (w_i, l_i) towards C (psi_i(y*), Delta_i(y*)), y*
the maximiser, as far as D rises. w_i is not stored as such, but as what it is made of: a number for
each row and column of W (C times what alpha_i's mean of the marks lacks of those of y_i), and its
part of t. Memory: O(rows K + n |t|), whatever d is. Pairwise steps keep the outputs instead that
have a weight in alpha_i.
"""
from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange
from libc.math cimport HUGE_VAL
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memset

from time import perf_counter

import numpy as np

from ._rows cimport Rows
from ._types cimport (
    hx_isa, hx_isa_get, hx_lanes_axpy, hx_lanes_dot, hx_row, hx_row_len, hx_rows, hx_viterbi, index,
    real,
)

cdef extern from *:
    """
    #define hx_axpy_f64(isa, a, x, w, n) ((isa)->axpy_f64((a), (x), (w), (n)))
    #define hx_dot_f64(isa, x, w, n) ((isa)->dot_f64((x), (w), (n)))
    """
    void hx_axpy_f64(const hx_isa *isa, double a, const double *x, double *w, int64_t n) nogil
    double hx_dot_f64(const hx_isa *isa, const double *x, const double *w, int64_t n) nogil

cdef enum Kind:
    MULTICLASS, CHAIN, TREE, GRAPH, MULTILABEL, PAIRS

KINDS = {"multiclass": MULTICLASS, "chain": CHAIN, "tree": TREE, "graph": GRAPH,
         "multilabel": MULTILABEL, "pairs": PAIRS}

cdef extern from "cut.h" nogil:
    enum:
        HX_HALF
    ctypedef struct hx_flow:
        int32_t *head
        int32_t *at
        int32_t *level
        int32_t *queue
        int32_t *path
        int32_t *to
        int32_t *next
        double *left
    void hx_cut(hx_flow *g, const double *u, int64_t nodes, int64_t ld, const int32_t *edges,
                int64_t count, const double *p, double *one, int whole, int32_t *y, int32_t *same)

cdef enum:
    LANES = 8           # ld is a multiple of it
    TOGETHER = 4        # examples of a thread between two meetings of FrankWolfe,
    APART = 32          # and of Pairwise
    MOST_PAIRS = 20     # labels of PAIRS, of which all outputs are tried

cdef double SLICE = 0.01        # seconds between two looks at signals
cdef double SMALLEST = 1e-9     # scale at which w is multiplied out


cdef struct Data:
    const hx_rows *X
    const hx_isa *isa
    int kind
    int64_t n, K, ld, d, m
    const int64_t *start        # (n + 1) rows of the examples
    const int64_t *label        # (n + 1) and their labels
    const int32_t *y            # labels
    const double *cost          # (values of a label, ld)
    const int32_t *parent       # (rows) of a tree: a row of the example, or -1
    const int32_t *order        # (rows) its rows, parents first
    const int32_t *edges        # (2, for each edge) of a graph: rows of the example,
    const int64_t *edge         # (n + 1) where those of an example begin
    bint whole                  # whether labels must not be halves
    bint slack                  # whether planes are Delta psi


cdef struct Room:               # of a thread
    double *U                   # scores, (longest, ld)
    double *A                   # with costs
    double *M                   # for inference
    int32_t *y                  # an output
    int32_t *slot               # (d): where a feature is in a step, or -1
    int64_t *marks              # (most) r ld + k of an output,
    int64_t *others             # (most) and of another;
    int64_t *places
    int64_t *moved              # (2 most) marks of one of two outputs only,
    double *sign                # (2 most) and of which
    double *mark_parts          # (most) of a graph: 1, or 1 / 2
    double *other_parts
    double *place_parts
    hx_flow flow
    double *deep                # of chains with slack rescaling: (longest, longest + 1, ld)
    double *t                   # (m): a copy that may change
    double *counts              # (m) zeros


cdef struct Step:               # w_i's way to go
    int64_t i, count, turns
    double *delta               # (longest, ld), by part and label
    double *t                   # (m)
    double *V                   # (count, ld): the same by feature
    int32_t *features           # (count)
    double inner, square, ell
    int sound                   # 0: there was no memory


cdef void _scores(const Data *D, int64_t i, const double *W, double *U, const real *v,
                  const index *idx) noexcept nogil:
    cdef int64_t r, length
    for r in range(D.start[i], D.start[i + 1]):
        length = hx_row(D.X, r, &v, &idx)
        hx_lanes_dot(D.X, v, idx, length, W, D.ld, D.ld, U + (r - D.start[i]) * D.ld)


cdef double _best(const Data *D, int64_t i, const double *A, const double *t, Room *room,
                  int32_t *y) noexcept nogil:
    """The output of the highest score."""
    cdef double *M = room.M
    cdef int64_t k, at = 0
    cdef double best = 0
    if D.kind == CHAIN:
        return hx_viterbi(D.isa, A, D.start[i + 1] - D.start[i], D.K, D.ld, t, t + D.K * D.ld,
                          t + (D.K + 1) * D.ld, M, y)
    if D.kind == TREE:
        return _best_tree(D, i, A, t, M, y)
    if D.kind == GRAPH:
        return _best_cut(D, i, A, t, room, y)
    if D.kind == PAIRS:
        return _best_pairs(D, A, t, M, y)
    if D.kind == MULTILABEL:
        for k in range(D.K):
            y[k] = A[k] + t[k] > 0
            best += y[k] * (A[k] + t[k])
        return best
    best = A[0] + t[0]
    for k in range(1, D.K):
        if A[k] + t[k] > best:
            best, at = A[k] + t[k], k
    y[0] = <int32_t>at
    return best


cdef double _best_tree(const Data *D, int64_t i, const double *A, const double *t, double *M,
                       int32_t *y) noexcept nogil:
    """Max-product from the leaves up; the way down looks again for the maxima."""
    cdef int64_t first = D.start[i], length = D.start[i + 1] - first, j, r, k, p, at
    cdef int64_t ld = D.ld
    cdef const double *row
    cdef double *own
    cdef double *up
    cdef double *best = M + length * ld
    cdef double total = 0, most
    memcpy(M, A, length * ld * sizeof(double))
    for j in range(length - 1, -1, -1):
        r = D.order[first + j]
        if D.parent[first + r] < 0:
            continue
        own, up = M + r * ld, M + D.parent[first + r] * ld
        for p in range(D.K):
            best[p] = own[0] + t[p]
        for k in range(1, D.K):
            row, most = t + k * ld, own[k]
            for p in range(D.K):
                best[p] = max(best[p], most + row[p])
        for p in range(D.K):
            up[p] += best[p]
    for j in range(length):
        r = D.order[first + j]
        own, at = M + r * ld, 0
        if D.parent[first + r] < 0:
            row = t + D.K * ld
            most = own[0] + row[0]
            for k in range(1, D.K):
                if own[k] + row[k] > most:
                    most, at = own[k] + row[k], k
            total += most
        else:
            p = y[D.parent[first + r]]
            most = own[0] + t[p]
            for k in range(1, D.K):
                if own[k] + t[k * ld + p] > most:
                    most, at = own[k] + t[k * ld + p], k
        y[r] = <int32_t>at
    return total


cdef double _best_cut(const Data *D, int64_t i, const double *A, const double *t, Room *room,
                      int32_t *y) noexcept nogil:
    cdef int64_t r, m, rows = D.start[i + 1] - D.start[i]
    cdef double total = 0
    for r in range(rows):
        room.M[r * D.ld] = A[r * D.ld] + t[2 * D.ld]
        room.M[r * D.ld + 1] = A[r * D.ld + 1] + t[2 * D.ld + 1]
    hx_cut(&room.flow, room.M, rows, D.ld, D.edges + 2 * D.edge[i], D.edge[i + 1] - D.edge[i], t,
           room.M + rows * D.ld, D.whole, y, y + rows)
    for m in range(_marks(D, i, y, room.marks, room.mark_parts)):
        total += room.mark_parts[m] * A[room.marks[m]]
    for m in range(_places(D, i, y, room)):
        total += room.place_parts[m] * t[room.places[m]]
    return total


cdef double _best_pairs(const Data *D, const double *A, const double *t, double *M,
                        int32_t *y) noexcept nogil:
    """All outputs, each a label away from the one before it (a Gray code)."""
    cdef int64_t k, j, code, K = D.K, best_code = 0
    cdef double score = 0, best = 0
    cdef int32_t now
    for k in range(K):
        y[k] = 0
        M[k] = A[k] + t[k]      # what k adds to the score of the output
    for code in range(1, 1 << K):
        k = 0
        while not (code >> k) & 1:
            k += 1
        y[k] = now = 1 - y[k]
        score += M[k] if now else -M[k]
        for j in range(K):
            if j != k:
                M[j] += (1 if now else -1) * t[(1 + min(j, k)) * D.ld + max(j, k)]
        if score > best:
            best, best_code = score, code
    best_code ^= best_code >> 1
    for k in range(K):
        y[k] = (best_code >> k) & 1
    return best


cdef int64_t _marks(const Data *D, int64_t i, const int32_t *y, int64_t *out,
                    double *parts) noexcept nogil:
    """r ld + k of each mark, ascending, and of graphs its part; returns how many."""
    cdef int64_t r, count = 0
    if D.kind == GRAPH:
        for r in range(D.start[i + 1] - D.start[i]):
            if y[r] == HX_HALF:
                out[count], out[count + 1] = r * D.ld, r * D.ld + 1
                parts[count] = parts[count + 1] = 0.5
                count += 2
            else:
                out[count], parts[count] = r * D.ld + y[r], 1
                count += 1
        return count
    if D.kind >= MULTILABEL:
        for r in range(D.K):
            if y[r]:
                out[count] = r
                count += 1
        return count
    for r in range(D.start[i + 1] - D.start[i]):
        out[r] = r * D.ld + y[r]
    return D.start[i + 1] - D.start[i]


cdef int64_t _graph_places(const Data *D, int64_t i, const int32_t *y, Room *room) noexcept nogil:
    cdef int64_t count = _marks(D, i, y, room.places, room.place_parts), e, j
    cdef int64_t rows = D.start[i + 1] - D.start[i]
    cdef int64_t *out = room.places
    cdef int32_t a, b
    cdef const int32_t *ends
    for e in range(count):
        out[e] = 2 * D.ld + out[e] % D.ld
    for e in range(D.edge[i + 1] - D.edge[i]):
        ends = D.edges + 2 * (D.edge[i] + e)
        a, b = y[ends[0]], y[ends[1]]
        if a != HX_HALF and b != HX_HALF:
            out[count], room.place_parts[count] = a * D.ld + b, 1
            count += 1
            continue
        for j in range(2):
            room.place_parts[count] = 0.5
            if a != HX_HALF:
                out[count] = a * D.ld + j
            elif b != HX_HALF:
                out[count] = j * D.ld + b
            else:
                out[count] = j * D.ld + (j if y[rows + e] else 1 - j)
            count += 1
    return count


cdef int64_t _places(const Data *D, int64_t i, const int32_t *y, Room *room) noexcept nogil:
    """room.places, and of graphs their parts; returns how many."""
    cdef int64_t r, k, count = 0, first = D.start[i], length = D.start[i + 1] - first
    cdef int64_t *out = room.places
    if D.kind == GRAPH:
        return _graph_places(D, i, y, room)
    if D.kind == CHAIN:
        for r in range(length - 1):
            out[r] = y[r] * D.ld + y[r + 1]
        out[length - 1] = D.K * D.ld + y[0]
        out[length] = (D.K + 1) * D.ld + y[length - 1]
        return length + 1
    if D.kind == TREE:
        for r in range(length):
            if D.parent[first + r] < 0:
                out[r] = D.K * D.ld + y[r]
            else:
                out[r] = y[r] * D.ld + y[D.parent[first + r]]
        return length
    if D.kind == MULTICLASS:
        out[0] = y[0]
        return 1
    for r in range(D.K):
        if y[r]:
            out[count] = r
            count += 1
            if D.kind == PAIRS:
                for k in range(r + 1, D.K):
                    if y[k]:
                        out[count] = (1 + r) * D.ld + k
                        count += 1
    return count


cdef void _count(const Data *D, int64_t i, const int32_t *y, double by, double *t,
                 Room *room) noexcept nogil:
    """t += by at the places of y."""
    cdef int64_t m
    for m in range(_places(D, i, y, room)):
        t[room.places[m]] += by * room.place_parts[m] if D.kind == GRAPH else by


cdef double _score_of(const Data *D, int64_t i, const double *t, const int32_t *y,
                      Room *room) noexcept nogil:
    """From the scores room.U."""
    cdef int64_t m
    cdef double total = 0
    if D.kind == GRAPH:
        for m in range(_marks(D, i, y, room.marks, room.mark_parts)):
            total += room.mark_parts[m] * room.U[room.marks[m]]
        for m in range(_places(D, i, y, room)):
            total += room.place_parts[m] * t[room.places[m]]
        return total
    for m in range(_marks(D, i, y, room.marks, NULL)):
        total += room.U[room.marks[m]]
    for m in range(_places(D, i, y, room)):
        total += t[room.places[m]]
    return total


cdef double _cost(const Data *D, int64_t i, const int32_t *other) noexcept nogil:
    """Delta(y_i, other)."""
    cdef int64_t j, first = D.label[i]
    cdef int64_t labels = D.label[i + 1] - first if D.kind != GRAPH else D.start[i + 1] - D.start[i]
    cdef double total = 0
    for j in range(labels):
        total += D.cost[D.y[first + j] * D.ld + other[j]]
    return total


cdef double _value(const Data *D, int64_t i, const double *t, const int32_t *y, double own,
                   Room *room) noexcept nogil:
    """What is maximised over y, from room.U and the score `own` of y_i."""
    cdef double cost = _cost(D, i, y), score = _score_of(D, i, t, y, room)
    return cost * (1 + (score - own)) if D.slack else cost + (score - own)


cdef void _best_slack(const Data *D, int64_t i, const double *t, double own, Room *room,
                      int32_t *y) noexcept nogil:
    """The maximiser of Delta (1 + score - own)."""
    cdef int64_t ld = D.ld, length = D.start[i + 1] - D.start[i], k, j, r, e, at, wide
    cdef const int32_t *true = D.y + D.label[i]
    cdef const double *cost
    cdef const double *row
    cdef double *now
    cdef double *before
    cdef double *most = room.M
    cdef double best = 0, value
    cdef int64_t best_e = 0, best_k = true[length - 1]
    if D.kind == MULTICLASS:
        cost = D.cost + true[0] * ld
        y[0] = true[0]
        for k in range(D.K):
            value = cost[k] * (1 + (room.U[k] + t[k] - own))
            if value > best:
                best, y[0] = value, <int32_t>k
        return
    # deep[r, e, k]: the best path to label k at r with e wrong labels on it.
    wide = (length + 1) * ld
    for r in range(length * wide):
        room.deep[r] = -HUGE_VAL
    for k in range(D.K):
        room.deep[ld * (k != true[0]) + k] = room.U[k] + t[D.K * ld + k]
    for r in range(1, length):
        for e in range(r + 1):
            before, now = room.deep + (r - 1) * wide + e * ld, room.deep + r * wide + e * ld
            for k in range(D.K):
                most[k] = -HUGE_VAL
            for j in range(D.K):
                row, value = t + j * ld, before[j]
                for k in range(D.K):
                    most[k] = max(most[k], value + row[k])
            for k in range(D.K):
                now[k if k == true[r] else ld + k] = most[k] + room.U[r * ld + k]
    for e in range(1, length + 1):
        now = room.deep + (length - 1) * wide + e * ld
        for k in range(D.K):
            value = e * (1 + (now[k] + t[(D.K + 1) * ld + k] - own))
            if value > best:
                best, best_e, best_k = value, e, k
    if best_e == 0:
        memcpy(y, true, length * sizeof(int32_t))
        return
    for r in range(length - 1, -1, -1):
        y[r] = <int32_t>best_k
        if r == 0:
            break
        best_e -= best_k != true[r]
        before, at, value = room.deep + (r - 1) * wide + best_e * ld, 0, -HUGE_VAL
        for j in range(D.K):
            if before[j] + t[j * ld + best_k] > value:
                value, at = before[j] + t[j * ld + best_k], j
        best_k = at


cdef void _augment(const Data *D, int64_t i, Room *room) noexcept nogil:
    """A = U and what outputs cost, up to what all of them do."""
    cdef int64_t j, first = D.label[i], rows = D.start[i + 1] - D.start[i]
    cdef const double *cost
    memcpy(room.A, room.U, rows * D.ld * sizeof(double))
    if D.kind >= MULTILABEL:
        for j in range(D.K):
            cost = D.cost + D.y[first + j] * D.ld
            room.A[j] += cost[1] - cost[0]
        return
    for j in range(rows):
        hx_axpy_f64(D.isa, 1.0, D.cost + D.y[first + j] * D.ld, room.A + j * D.ld, D.K)


cdef double _worst(const Data *D, int64_t i, const double *t, Room *room) noexcept nogil:
    """Loss-augmented inference from the scores U: room.y; returns Delta - w . psi, at least 0."""
    # Scores anew from outputs, in one order: what is equal is so to the last bit.
    cdef double own = _score_of(D, i, t, D.y + D.label[i], room)
    if D.slack:
        _best_slack(D, i, t, own, room, room.y)
    else:
        _augment(D, i, room)
        _best(D, i, room.A, t, room, room.y)
    return max(0.0, _value(D, i, t, room.y, own, room))


cdef double _scale(const Data *D, int64_t i, const int32_t *y) noexcept nogil:
    """What psi(y) is multiplied with in its plane."""
    return _cost(D, i, y) if D.slack else 1


cdef int64_t _between(const Data *D, int64_t i, const int32_t *a, const int32_t *b,
                      Room *room) noexcept nogil:
    """Marks of the plane of a less that of b: room.moved, room.sign; returns how many."""
    cdef int64_t k, count = 0, all_ = (D.start[i + 1] - D.start[i]) * D.ld
    cdef double more, less
    if not D.slack:
        return _changes(D, i, b, a, room)
    more, less = _cost(D, i, a), _cost(D, i, b)
    memset(room.A, 0, all_ * sizeof(double))
    for k in range(_marks(D, i, D.y + D.label[i], room.marks, NULL)):
        room.A[room.marks[k]] += more - less
    for k in range(_marks(D, i, a, room.marks, NULL)):
        room.A[room.marks[k]] -= more
    for k in range(_marks(D, i, b, room.marks, NULL)):
        room.A[room.marks[k]] += less
    for k in range(all_):
        if room.A[k] != 0:
            room.moved[count], room.sign[count] = k, room.A[k]
            count += 1
    return count


cdef void _count_between(const Data *D, int64_t i, const int32_t *a, const int32_t *b, double by,
                         double *t, Room *room) noexcept nogil:
    """t += by times the counts of the plane of a less that of b."""
    cdef double more = _scale(D, i, a), less = _scale(D, i, b)
    if more != less:
        _count(D, i, D.y + D.label[i], by * (more - less), t, room)
    _count(D, i, b, by * less, t, room)
    _count(D, i, a, -by * more, t, room)


cdef int64_t _changes(const Data *D, int64_t i, const int32_t *more, const int32_t *less,
                      Room *room) noexcept nogil:
    """Marks that only one of two outputs has: room.moved and their signs; returns how many."""
    cdef int64_t a = _marks(D, i, more, room.marks, room.mark_parts)
    cdef int64_t b = _marks(D, i, less, room.others, room.other_parts)
    cdef int64_t j = 0, k = 0, count = 0
    cdef bint parts = D.kind == GRAPH
    while j < a or k < b:
        if j < a and k < b and room.marks[j] == room.others[k]:
            if parts and room.mark_parts[j] != room.other_parts[k]:
                room.moved[count] = room.marks[j]
                room.sign[count] = room.mark_parts[j] - room.other_parts[k]
                count += 1
            j += 1
            k += 1
            continue
        if k == b or (j < a and room.marks[j] < room.others[k]):
            room.moved[count], room.sign[count] = room.marks[j], room.mark_parts[j] if parts else 1
            j += 1
        else:
            room.moved[count] = room.others[k]
            room.sign[count] = -room.other_parts[k] if parts else -1
            k += 1
        count += 1
    return count


cdef void _gather(const Data *D, Room *room, Step *s, const real *v,
                  const index *idx) noexcept nogil:
    """delta by feature, and its square."""
    cdef int64_t r, m, length, at, first = D.start[s.i], f
    cdef const double *own
    cdef double x
    cdef double square = hx_dot_f64(D.isa, s.t, s.t, D.m)
    s.count = 0
    for r in range(first, D.start[s.i + 1]):
        length = hx_row(D.X, r, &v, &idx)
        own = s.delta + (r - first) * D.ld
        for m in range(length):
            f = idx[m] if D.X.is_csr else m
            x = v[m * D.X.cs]
            if x == 0:
                continue
            at = room.slot[f]
            if at < 0:
                at = room.slot[f] = <int32_t>s.count
                s.features[at] = <int32_t>f
                s.count += 1
                memset(s.V + at * D.ld, 0, D.ld * sizeof(double))
            hx_axpy_f64(D.isa, x, own, s.V + at * D.ld, D.ld)
    for m in range(s.count):
        room.slot[s.features[m]] = -1
    s.square = square + hx_dot_f64(D.isa, s.V, s.V, s.count * D.ld)


cdef void _prepare(const Data *D, int64_t i, const double *w, double C,
                   const double *R, const double *S, Room *room, Step *s, const real *v,
                   const index *idx) noexcept nogil:
    """The step of example i: towards C psi(y*), from (R, S)."""
    cdef int64_t r, k, first = D.start[i], length = D.start[i + 1] - first
    cdef const int32_t *own = D.y + D.label[i]
    cdef double scale
    cdef const double *t = w + D.d * D.ld
    s.i = i
    _scores(D, i, w, room.U, v, idx)
    _worst(D, i, t, room)
    s.ell = C * _cost(D, i, room.y)
    scale = C * _scale(D, i, room.y)
    for r in range(length * D.ld):
        s.delta[r] = -R[first * D.ld + r]
    for k in range(D.m):
        s.t[k] = -S[i * D.m + k]
    for r in range(_changes(D, i, own, room.y, room)):
        s.delta[room.moved[r]] += scale * room.sign[r]
    _count(D, i, own, scale, s.t, room)
    _count(D, i, room.y, -scale, s.t, room)
    s.inner = hx_dot_f64(D.isa, s.delta, room.U, length * D.ld)
    s.inner += hx_dot_f64(D.isa, s.t, t, D.m)
    _gather(D, room, s, v, idx)


cdef void _prepare_any(const Data *D, int64_t i, const double *w, double C,
                       const double *R, const double *S, Room *room, Step *s) noexcept nogil:
    if D.X.is_f32:
        if D.X.is_i64:
            _prepare(D, i, w, C, R, S, room, s, <const float *>NULL, <const int64_t *>NULL)
        else:
            _prepare(D, i, w, C, R, S, room, s, <const float *>NULL, <const int32_t *>NULL)
    elif D.X.is_i64:
        _prepare(D, i, w, C, R, S, room, s, <const double *>NULL, <const int64_t *>NULL)
    else:
        _prepare(D, i, w, C, R, S, room, s, <const double *>NULL, <const int32_t *>NULL)


cdef void _scores_any(const Data *D, int64_t i, const double *W, double *U) noexcept nogil:
    if D.X.is_f32:
        if D.X.is_i64:
            _scores(D, i, W, U, <const float *>NULL, <const int64_t *>NULL)
        else:
            _scores(D, i, W, U, <const float *>NULL, <const int32_t *>NULL)
    elif D.X.is_i64:
        _scores(D, i, W, U, <const double *>NULL, <const int64_t *>NULL)
    else:
        _scores(D, i, W, U, <const double *>NULL, <const int32_t *>NULL)


cdef void _add_rows(const Data *D, int64_t i, const int32_t *other, double by, double *w,
                    Room *room, const real *v, const index *idx) noexcept nogil:
    """w += by times the plane of other."""
    cdef int64_t e, m, f, k, length
    cdef const int32_t *own = D.y + D.label[i]
    cdef double sign
    by *= _scale(D, i, other)
    for e in range(_changes(D, i, own, other, room)):
        k, sign = room.moved[e] % D.ld, by * room.sign[e]
        length = hx_row(D.X, D.start[i] + room.moved[e] // D.ld, &v, &idx)
        for m in range(length):
            f = idx[m] if D.X.is_csr else m
            w[f * D.ld + k] += sign * v[m * D.X.cs]
    _count(D, i, own, by, w + D.d * D.ld, room)
    _count(D, i, other, -by, w + D.d * D.ld, room)


cdef void _add_any(const Data *D, int64_t i, const int32_t *other, double by, double *w,
                   Room *room) noexcept nogil:
    if D.X.is_f32:
        if D.X.is_i64:
            _add_rows(D, i, other, by, w, room, <const float *>NULL, <const int64_t *>NULL)
        else:
            _add_rows(D, i, other, by, w, room, <const float *>NULL, <const int32_t *>NULL)
    elif D.X.is_i64:
        _add_rows(D, i, other, by, w, room, <const double *>NULL, <const int64_t *>NULL)
    else:
        _add_rows(D, i, other, by, w, room, <const double *>NULL, <const int32_t *>NULL)


def viterbi(const real[:, ::1] scores, const real[:, ::1] trans, const real[::1] first,
            const real[::1] last, int64_t K, real[:, ::1] room, int32_t[::1] y):
    """The best path through K states, see dispatch.h; returns its score. Rows have ld numbers."""
    cdef int64_t length = scores.shape[0], ld = scores.shape[1]
    cdef real best
    if length < 1 or not 0 < K <= ld or ld % LANES or (
            trans.shape[0] < K or trans.shape[1] != ld or first.shape[0] != ld
            or last.shape[0] != ld or y.shape[0] != length or room.shape[0] != length
            or room.shape[1] != ld):
        raise ValueError("arrays of viterbi do not fit each other")
    with nogil:
        best = hx_viterbi(hx_isa_get(), &scores[0, 0], length, K, ld, &trans[0, 0], &first[0],
                          &last[0], &room[0, 0], &y[0])
    return best


cpdef int64_t columns_for(int64_t K):
    """Columns that are kept for K of them."""
    return (K + LANES - 1) // LANES * LANES


cdef class Examples:
    """Examples of one kind of model, and inference on them.

    Parameters
    ----------
    X : Rows
    start : int64 (n + 1,)
        Rows of example i: start[i] to start[i + 1]; none is empty.
    label : int64 (n + 1,)
        Where its labels begin.
    y : int32
        True labels; zeros where there are none.
    cost : float64 (values, values)
        Of taking the second value of a label for the first.
    K : int
        Columns of W.
    kind : int
        Of KINDS.
    shares : int
        Shares of work, each with a workspace of its own. More than one change what the solvers
        compute; the bits depend on their number, not on that of the threads.
    parent, order : int32 (rows,), optional
        Of trees: parents by their number in the example, or -1; its rows, parents first.
    edges : int32 (edges, 2), optional
        Of graphs: rows by their number in the example. Its labels are those of its rows, and a 0
        for each edge.
    edge : int64 (n + 1,), optional
        Where the edges of each example begin.
    slack : bool
        Slack rescaling, for MULTICLASS, and for CHAIN where cost counts wrong labels.
    threads : int
        That carry the shares out.
    """
    cdef Data data
    cdef Room *room
    cdef object keep
    cdef int shares, threads
    cdef int64_t longest, widest
    cdef readonly int64_t size      # of w
    cdef readonly int64_t lanes     # ld
    cdef public object poll         # called about every 10 ms if not None; it may raise

    def __cinit__(self, Rows X not None, const int64_t[::1] start not None,
                  const int64_t[::1] label not None, const int32_t[::1] y not None,
                  const double[:, ::1] cost not None, int64_t K, int kind, int shares,
                  const int32_t[::1] parent=None, const int32_t[::1] order=None,
                  const int32_t[:, ::1] edges=None, const int64_t[::1] edge=None,
                  bint slack=False, int threads=1):
        cdef int64_t n = start.shape[0] - 1, values = cost.shape[0], i, r, width, rows, most
        cdef int64_t ld = columns_for(K), longest = 1, widest = 1, joined = 0
        cdef int64_t nodes, arcs, own
        cdef double[:, ::1] padded, U, A, M, t, counts, sign, parts, capacity, deep
        cdef int32_t[:, ::1] path, slot, network
        cdef int64_t[:, ::1] lists
        cdef unsigned char[:, ::1] rooms
        cdef Data *D = &self.data
        cdef Room *room
        if (n < 1 or start[0] != 0 or start[n] != X.c.n or K < 1 or label.shape[0] != n + 1
                or label[0] != 0 or y.shape[0] != label[n] or values < 1 or cost.shape[1] != values
                or kind < 0 or kind > PAIRS
                or values != (K if kind < MULTILABEL else 2)
                or (slack and kind > CHAIN) or (kind == PAIRS and K > MOST_PAIRS)
                or (kind == GRAPH and (
                    K != 2 or edges is None or edge is None or edge.shape[0] != n + 1
                    or edges.shape[1] != 2 or edge[0] != 0 or edge[n] != edges.shape[0]))
                or (kind == TREE and (parent is None or order is None or order.shape[0] != X.c.n
                                      or parent.shape[0] != X.c.n))):
            raise ValueError("arrays of Examples do not fit each other")
        for i in range(n):      # before anything is read by them
            if not (0 <= start[i] < start[i + 1] <= X.c.n
                    and 0 <= label[i] <= label[i + 1] <= y.shape[0]):
                raise ValueError("an example has no rows, or too many")
            if kind == GRAPH and not 0 <= edge[i] <= edge[i + 1] <= edges.shape[0]:
                raise ValueError("arrays of Examples do not fit each other")
        shares = max(1, min(shares, n))
        threads = max(1, min(threads, shares))
        for i in range(n):
            rows = start[i + 1] - start[i]
            if rows < 1 or (rows > 1 and kind not in (CHAIN, TREE, GRAPH)):
                raise ValueError("an example has no rows, or too many")
            own = rows if kind < MULTILABEL else K
            if kind == GRAPH:
                own += edge[i + 1] - edge[i]
                joined = max(joined, edge[i + 1] - edge[i])
                for r in range(edge[i], edge[i + 1]):
                    if not (0 <= edges[r, 0] < rows and 0 <= edges[r, 1] < rows):
                        raise ValueError("an edge is out of range")
            if label[i + 1] - label[i] != own:
                raise ValueError("an example has a wrong number of labels")
            longest = max(longest, rows)
            width = 0
            for r in range(start[i], start[i + 1]):
                width += hx_row_len(&X.c, r)
                if kind == TREE and not (-1 <= parent[r] < rows and 0 <= order[r] < rows):
                    raise ValueError("a row of a tree is out of range")
            widest = max(widest, min(width, X.c.d))
        for r in range(y.shape[0]):
            if not 0 <= y[r] < values:
                raise ValueError("a label is out of range")
        most = K * (K + 1) // 2 if kind == PAIRS else max(K, longest + 1)
        if kind == GRAPH:
            most = 2 * (longest + joined)
        if slack:
            most *= 2       # marks of three outputs
        deep = np.zeros((shares, longest * (longest + 1) * ld if slack and kind == CHAIN else 1))
        D.m = ld * (K + 2 if kind == CHAIN else K + 1 if kind in (TREE, GRAPH, PAIRS) else 1)
        padded = np.zeros((values, max(ld, values)))
        padded[:, :values] = cost
        if kind == GRAPH:       # of halves
            for i in range(2):
                padded[i, HX_HALF] = 0.5 * (cost[i, 0] + cost[i, 1])
        U, A = np.zeros((2, shares, longest * ld))
        M = np.zeros((shares, (longest + 1) * ld + longest))
        t, counts = np.zeros((2, shares, D.m))
        path = np.zeros((shares, max(longest + joined, K)), np.int32)
        slot = np.full((shares, X.c.d), -1, np.int32)
        lists, sign = np.zeros((shares, 5 * most), np.int64), np.zeros((shares, 2 * most))
        parts = np.zeros((shares, 3 * most if kind == GRAPH else 1))
        nodes = 2 * longest + 2 if kind == GRAPH else 1
        arcs = 8 * longest + 4 * joined if kind == GRAPH else 1
        network, capacity = np.zeros((shares, 5 * nodes + 2 * arcs), np.int32), np.zeros(
            (shares, arcs))
        rooms = np.zeros((shares, sizeof(Room)), np.uint8)
        self.room = <Room *>&rooms[0, 0]
        for i in range(shares):
            room = self.room + i
            if kind == GRAPH:
                room.mark_parts, room.other_parts, room.place_parts = (
                    &parts[i, 0], &parts[i, most], &parts[i, 2 * most])
                room.flow.head, room.flow.at = &network[i, 0], &network[i, nodes]
                room.flow.level, room.flow.queue = &network[i, 2 * nodes], &network[i, 3 * nodes]
                room.flow.path, room.flow.to = &network[i, 4 * nodes], &network[i, 5 * nodes]
                room.flow.next, room.flow.left = &network[i, 5 * nodes + arcs], &capacity[i, 0]
            room.U, room.A, room.M = &U[i, 0], &A[i, 0], &M[i, 0]
            room.y, room.slot, room.t, room.counts = (
                &path[i, 0], &slot[i, 0], &t[i, 0], &counts[i, 0])
            room.marks, room.others = &lists[i, 0], &lists[i, most]
            room.places, room.moved = &lists[i, 2 * most], &lists[i, 3 * most]
            room.sign, room.deep = &sign[i, 0], &deep[i, 0]
        D.X, D.isa, D.kind, D.n, D.K, D.ld, D.d = &X.c, hx_isa_get(), kind, n, K, ld, X.c.d
        D.slack = slack
        D.start, D.label, D.cost = &start[0], &label[0], &padded[0, 0]
        D.y = &y[0]
        if kind == TREE:
            D.parent, D.order = &parent[0], &order[0]
        if kind == GRAPH:
            D.edge = &edge[0]
            D.edges = &edges[0, 0] if edges.shape[0] else NULL
        self.keep = (X, start, label, y, padded, U, A, M, path, slot, t, counts, lists, sign, rooms,
                     parent, order, edges, edge, parts, network, capacity, deep)
        self.shares, self.threads, self.longest, self.widest = shares, threads, longest, widest
        self.size, self.lanes = D.d * ld + D.m, ld

    @property
    def whole(self):
        """Whether labels of graphs must not be halves, even if that is not the maximum."""
        return bool(self.data.whole)

    @whole.setter
    def whole(self, bint whole):
        self.data.whole = whole

    def infer(self, const double[::1] w, bint augmented, int32_t[::1] y, double[::1] value):
        """The best outputs, with costs if `augmented`; `value`: their loss, or their score."""
        cdef Data *D = &self.data
        cdef int64_t at = 0, end, each = 64 * self.shares
        cdef int b, team = self.shares, threads = self.threads
        cdef Room *room = self.room
        cdef double now = perf_counter()
        if w.shape[0] != self.size or y.shape[0] != D.label[D.n] or value.shape[0] != D.n:
            raise ValueError("arrays of infer do not fit each other")
        while at < D.n:
            end = min(D.n, at + each)
            with nogil:
                for b in prange(team, num_threads=threads, schedule="static"):
                    _infer(D, at, end, b, team, &w[0], augmented, room + b, &y[0], &value[0])
            at = end
            now = self._look(now)

    def combine(self, const int32_t[::1] y, double[::1] w):
        """w += sum_i psi_i(y), times Delta with slack rescaling; returns sum_i Delta_i(y)."""
        cdef Data *D = &self.data
        cdef int64_t i
        cdef double total = 0
        cdef const int32_t *other
        cdef int64_t values = 3 if D.kind == GRAPH else D.K if D.kind < MULTILABEL else 2
        if w.shape[0] != self.size or y.shape[0] != D.label[D.n]:
            raise ValueError("arrays of combine do not fit each other")
        for i in range(y.shape[0]):
            if not 0 <= y[i] < values:
                raise ValueError("a label is out of range")
        with nogil:
            for i in range(D.n):
                other = &y[D.label[i]]
                total += _cost(D, i, other)
                _add_any(D, i, other, 1.0, &w[0], self.room)
        PyErr_CheckSignals()
        return total

    def descend(self, double[::1] w, const int64_t[::1] order, double lam, double t):
        """Subgradient steps, one for each of these examples; w is changed.

        Step t is w <- (1 - eta lam) w + eta psi_i(y*), eta = 1 / (lam t), on
        lam / 2 ||w||^2 + the mean loss; the first has the number t + 1.
        """
        cdef Data *D = &self.data
        cdef Room *room = self.room
        cdef int64_t at, j, i
        cdef double scale = 1, now = perf_counter()
        if w.shape[0] != self.size:
            raise ValueError("w has the wrong length")
        try:
            for at in range(order.shape[0]):
                i = order[at]
                if not 0 <= i < D.n:
                    raise ValueError("an example of the order does not exist")
                t += 1
                with nogil:
                    _scores_any(D, i, &w[0], room.U)
                    for j in range((D.start[i + 1] - D.start[i]) * D.ld):
                        room.U[j] *= scale
                    for j in range(D.m):
                        room.t[j] = scale * w[D.d * D.ld + j]
                    _worst(D, i, room.t, room)
                    scale *= 1 - 1 / t
                    if scale < SMALLEST:
                        for j in range(self.size):
                            w[j] *= scale
                        scale = 1
                    _add_any(D, i, room.y, 1 / (lam * t * scale), &w[0], room)
                now = self._look(now)
        finally:
            for j in range(self.size):
                w[j] *= scale

    cdef double _look(self, double before) except? -1:
        """Signals and poll, when it is time; returns when that was."""
        cdef double now = perf_counter()
        if now - before < SLICE:
            return before
        PyErr_CheckSignals()
        if self.poll is not None:
            self.poll()
        return now


cdef void _infer(const Data *D, int64_t at, int64_t end, int b, int team, const double *w,
                 bint augmented, Room *room, int32_t *y, double *value) noexcept nogil:
    cdef int64_t i
    cdef const double *t = w + D.d * D.ld
    i = at + b
    while i < end:
        _scores_any(D, i, w, room.U)
        if augmented:
            value[i] = _worst(D, i, t, room)
        else:
            value[i] = _best(D, i, room.U, t, room, room.y)
        memcpy(y + D.label[i], room.y, (D.label[i + 1] - D.label[i]) * sizeof(int32_t))
        i += team


cdef int64_t _batch(const int64_t *order, int64_t at, int64_t end, int64_t *seen) noexcept nogil:
    """The end of the examples from `at` on that are all different."""
    cdef int64_t j
    for j in range(at, end):
        if seen[order[j]] >= at:
            return j
        seen[order[j]] = j
    return end


cdef class FrankWolfe:
    """The dual of the problem above, in blocks: w, and of each example its part of w and of D.

    Parameters
    ----------
    examples : Examples
    C : float
    """
    cdef Examples examples
    cdef double C
    cdef readonly object w          # (size,)
    cdef readonly object marginals  # (rows, ld), (n, m), (n,): delta's parts, and l_i
    cdef readonly object gaps       # (n,): of each example, as last seen; infinite before

    def __cinit__(self, Examples examples not None, double C):
        cdef const Data *D = &examples.data
        self.examples, self.C = examples, C
        self.w = np.zeros(examples.size)
        self.marginals = (np.zeros((D.X.n, D.ld)), np.zeros((D.n, D.m)), np.zeros(D.n))
        self.gaps = np.full(D.n, np.inf)

    def steps(self, const int64_t[::1] order, double deadline):
        """A step for each of these examples; returns how many were made.

        With several shares the maximisers of TOGETHER examples a share are found at once, for
        the same w; the steps are exact for the w that they meet.
        """
        cdef Examples own = self.examples
        cdef const Data *D = &own.data
        cdef int team = own.shares, threads = own.threads, b
        cdef int64_t together = 1 if team == 1 else team * TOGETHER
        cdef int64_t at = 0, end, j, count = order.shape[0]
        cdef double[::1] w = self.w, ell = self.marginals[2], gaps = self.gaps
        cdef double[:, ::1] R = self.marginals[0], S = self.marginals[1]
        cdef double[:, ::1] delta, t, V
        cdef int32_t[:, ::1] features
        cdef unsigned char[:, ::1] rooms
        cdef int64_t[::1] seen = np.full(D.n, -1)
        cdef Step *step
        cdef Room *room = own.room
        cdef double now = perf_counter()
        together = max(1, min(together, count))
        delta, t = np.empty((together, own.longest * D.ld)), np.empty((together, D.m))
        V = np.empty((together, own.widest * D.ld))
        features = np.empty((together, own.widest), np.int32)
        rooms = np.zeros((together, sizeof(Step)), np.uint8)
        step = <Step *>&rooms[0, 0]
        for j in range(together):
            step[j].delta, step[j].t = &delta[j, 0], &t[j, 0]
            step[j].V, step[j].features = &V[j, 0], &features[j, 0]
        for j in range(count):
            if not 0 <= order[j] < D.n:
                raise ValueError("an example of the order does not exist")
        while at < count:
            end = _batch(&order[0], at, min(count, at + together), &seen[0])
            with nogil:
                if team == 1:
                    _prepare_any(D, order[at], &w[0], self.C, &R[0, 0], &S[0, 0], room,
                                 step)
                else:
                    for b in prange(team, num_threads=threads, schedule="static"):
                        _prepare_some(D, &order[at], end - at, b, team, &w[0], self.C, &R[0, 0],
                                      &S[0, 0], room + b, step)
                for j in range(end - at):
                    _apply(D, step + j, together > 1, &w[0], &R[0, 0], &S[0, 0], &ell[0], &gaps[0])
            at = end
            now = own._look(now)
            if now > deadline:
                break
        return at

    def adopt(self, Examples examples not None):
        """Go on with the same data in other arrays."""
        if examples.size != self.examples.size or examples.data.n != self.examples.data.n or (
                examples.data.X.n != self.examples.data.X.n):
            raise ValueError("these are other examples")
        self.examples = examples

    def dual(self):
        """sum l_i - 1/2 ||w||^2."""
        return float(self.marginals[2].sum() - 0.5 * self.w @ self.w)


cdef void _prepare_some(const Data *D, const int64_t *order, int64_t count, int b, int team,
                        const double *w, double C, const double *R, const double *S, Room *room,
                        Step *step) noexcept nogil:
    cdef int64_t j
    j = b
    while j < count:
        _prepare_any(D, order[j], w, C, R, S, room, step + j)
        j += team


cdef void _apply(const Data *D, Step *s, bint stale, double *w, double *R, double *S, double *ell,
                 double *gaps) noexcept nogil:
    """The step, as far as the dual objective rises, at most to its end."""
    cdef int64_t m, first = D.start[s.i], length = D.start[s.i + 1] - first
    cdef double *t = w + D.d * D.ld
    cdef double gap, size
    if stale:           # w has moved since
        s.inner = hx_dot_f64(D.isa, s.t, t, D.m)
        for m in range(s.count):
            s.inner += hx_dot_f64(D.isa, s.V + m * D.ld, w + s.features[m] * D.ld, D.ld)
    gap = (s.ell - ell[s.i]) - s.inner
    gaps[s.i] = max(gap, 0.0)
    if gap <= 0:
        return
    size = 1.0 if gap >= s.square else gap / s.square
    for m in range(s.count):
        hx_axpy_f64(D.isa, size, s.V + m * D.ld, w + s.features[m] * D.ld, D.ld)
    hx_axpy_f64(D.isa, size, s.t, t, D.m)
    hx_axpy_f64(D.isa, size, s.delta, R + first * D.ld, length * D.ld)
    hx_axpy_f64(D.isa, size, s.t, S + s.i * D.m, D.m)
    ell[s.i] += size * (s.ell - ell[s.i])


# ---- pairwise steps ------------------------------------------------------------------------


cdef struct Block:              # outputs of an example that have a weight
    int64_t count, room
    double *alpha               # (room), before a step, and (room) after it
    int32_t *y                  # (room, labels)


cdef int _make_room(Block *b, int64_t length) noexcept nogil:
    """For one output more; 0 if there is no memory."""
    cdef int64_t room = max(4, 2 * b.room), m
    cdef double *alpha
    cdef int32_t *y
    if b.count < b.room:
        return 1
    y = <int32_t *>realloc(b.y, room * length * sizeof(int32_t))
    if y == NULL:
        return 0
    b.y = y
    alpha = <double *>realloc(b.alpha, 2 * room * sizeof(double))
    if alpha == NULL:
        return 0
    b.alpha = alpha
    for m in range(b.count - 1, -1, -1):
        alpha[room + m] = alpha[b.room + m]
    b.room = room
    return 1


cdef double _apart(const Data *D, int64_t i, const double *G, const int32_t *a, const int32_t *b,
                   int64_t moved, Room *room) noexcept nogil:
    """The square of the plane of a less that of b, whose marks are in room.moved."""
    cdef int64_t e, f, r, length = D.start[i + 1] - D.start[i]
    cdef double total = 0, part
    for e in range(moved):
        r = room.moved[e] // D.ld * length
        part = 0
        for f in range(moved):
            if (room.moved[e] - room.moved[f]) % D.ld == 0:
                part += room.sign[f] * G[r + room.moved[f] // D.ld]
        total += room.sign[e] * part
    _count_between(D, i, a, b, 1.0, room.counts, room)
    total += _drain(D, i, a, room) + _drain(D, i, b, room)
    return total + _drain(D, i, D.y + D.label[i], room)


cdef double _drain(const Data *D, int64_t i, const int32_t *y, Room *room) noexcept nogil:
    """Sum of squares of the counts at the places of y; they become 0."""
    cdef int64_t m
    cdef double total = 0
    cdef double *at
    for m in range(_places(D, i, y, room)):
        at = room.counts + room.places[m]
        total += at[0] * at[0]
        at[0] = 0
    return total


cdef bint _solve_block(const Data *D, int64_t i, Block *b, const double *G, double C, int most,
                       double accuracy, double *t, Room *room, Step *s) noexcept nogil:
    """Pairwise steps within example i, at most so many: U, t and delta follow them.

    s.inner: the block's gap at first. False if there is no memory.
    """
    cdef int64_t q, m, e, k, r, up, down, moved, rows = D.start[i + 1] - D.start[i]
    cdef int64_t length = D.label[i + 1] - D.label[i]
    cdef int turn
    cdef double h, best, least, mean, size, by, gap = 0, apart, own
    cdef int32_t *a
    cdef int32_t *c
    cdef double *alpha
    s.inner = s.turns = 0
    for turn in range(most):
        if not _make_room(b, length):
            return False
        alpha = b.alpha + b.room
        own = _score_of(D, i, t, D.y + D.label[i], room)
        a = b.y + b.count * length
        if D.slack:
            _best_slack(D, i, t, own, room, a)
        else:
            _augment(D, i, room)
            _best(D, i, room.A, t, room, a)
        best = _value(D, i, t, a, own, room)
        mean, least, down, up = 0, HUGE_VAL, -1, -1
        for m in range(b.count):
            if memcmp(b.y + m * length, a, length * sizeof(int32_t)) == 0:
                up = m
            if alpha[m] > 0:
                h = _value(D, i, t, b.y + m * length, own, room)
                mean += alpha[m] * h
                if h < least:
                    least, down = h, m
        gap = C * (best - mean)
        if turn == 0:
            s.inner = max(gap, 0.0)
        if gap <= accuracy * s.inner or best <= least or up == down:
            break
        c = b.y + down * length
        moved = _between(D, i, a, c, room)
        apart = _apart(D, i, G, a, c, moved, room)
        size = alpha[down]
        if C * apart * size > best - least:
            size = (best - least) / (C * apart)
        if up < 0:
            up = b.count
            b.count += 1
            b.alpha[up] = alpha[up] = 0
        s.turns += 1
        alpha[up] += size
        alpha[down] = 0 if size >= alpha[down] else alpha[down] - size
        _count_between(D, i, a, c, C * size, t, room)
        for e in range(moved):
            by, r, k = C * size * room.sign[e], room.moved[e] // D.ld, room.moved[e] % D.ld
            s.delta[room.moved[e]] += by
            for q in range(rows):
                room.U[q * D.ld + k] += by * G[r * rows + q]
    return True


cdef void _settle(const Data *D, int64_t i, Block *b, double share) noexcept nogil:
    """The weights after a step that went this share of its way; those of 0 leave."""
    cdef int64_t m, kept = 0, length = D.label[i + 1] - D.label[i]
    cdef double *after = b.alpha + b.room
    for m in range(b.count):
        after[m] = after[m] if share == 1 else b.alpha[m] + share * (after[m] - b.alpha[m])
        if after[m] > 0:
            if kept != m:
                memcpy(b.y + kept * length, b.y + m * length, length * sizeof(int32_t))
            after[kept] = after[m]
            kept += 1
    b.count = kept
    memcpy(b.alpha, after, kept * sizeof(double))


cdef double _mean_cost(const Data *D, int64_t i, const Block *b,
                       const double *alpha) noexcept nogil:
    """sum_y alpha(y) Delta(y)."""
    cdef int64_t m, length = D.label[i + 1] - D.label[i]
    cdef double total = 0
    for m in range(b.count):
        if alpha[m] > 0:
            total += alpha[m] * _cost(D, i, b.y + m * length)
    return total


cdef void _solve_one(const Problem *p, Worker *own, Step *s) noexcept nogil:
    """Block s.i for the worker's w, which is changed."""
    cdef const Data *D = p.D
    cdef Block *b = p.blocks + s.i
    cdef int64_t length = D.start[s.i + 1] - D.start[s.i]
    s.delta = own.delta
    memset(s.delta, 0, length * D.ld * sizeof(double))
    _scores_any(D, s.i, own.w, own.room.U)
    s.sound = _solve_block(D, s.i, b, p.G + p.places[s.i], p.C, p.most, p.accuracy,
                           own.w + D.d * D.ld, own.room, s)
    if not s.sound:
        return
    s.ell = p.C * _mean_cost(D, s.i, b, b.alpha + b.room)
    _add_delta_any(D, s.i, s.delta, own.w, own.room.slot if own.touched != NULL else NULL,
                   own.touched, &own.count)


cdef void _finish(const Problem *p, Step *s, double share) noexcept nogil:
    """Duals of the block after this share of its step."""
    p.gaps[s.i] = s.inner
    p.turns[s.i] = s.turns
    _settle(p.D, s.i, p.blocks + s.i, share)
    p.ell[s.i] = s.ell
    if share != 1:
        p.ell[s.i] = p.C * _mean_cost(p.D, s.i, p.blocks + s.i, p.blocks[s.i].alpha)


cdef void _solve_some(const Problem *p, Worker *worker, int b, Step *step) noexcept nogil:
    cdef int64_t j
    for j in range(worker[b].first, worker[b].last):
        _solve_one(p, worker + b, step + j)


cdef void _share_out(const Problem *p, Worker *worker, const Step *step,
                     int64_t count) noexcept nogil:
    """Blocks for each worker, which by their sizes and last turns take about the same time."""
    cdef int64_t j, total = 0, so_far = 0
    cdef int b = 0
    for j in range(count):
        total += _effort(p, step[j].i)
    worker[0].first = 0
    for j in range(count):
        if b + 1 < p.team and so_far * p.team >= (b + 1) * total:
            worker[b].last = j
            b += 1
            worker[b].first = j
        so_far += _effort(p, step[j].i)
    worker[b].last = count
    for j in range(b + 1, p.team):
        worker[j].first = worker[j].last = count


cdef int64_t _effort(const Problem *p, int64_t i) noexcept nogil:
    return (p.D.start[i + 1] - p.D.start[i]) * (2 + p.turns[i])


cdef void _finish_some(const Problem *p, int b, Step *step, int64_t count) noexcept nogil:
    cdef int64_t j
    for j in range(b * count // p.team, (b + 1) * count // p.team):
        if step[j].sound:
            _finish(p, step + j, p.share)


cdef void _meet(Problem *p, Worker *worker, const Step *step, int64_t count) noexcept nogil:
    """w along the sum of the workers' changes, as far as D rises; the workers' w follow."""
    cdef const Data *D = p.D
    cdef int64_t j, f, at, all_ = D.d * D.ld, ld = D.ld
    cdef int b
    cdef double gain = 0, square = 0
    # Features that several have touched are in the list of the first of them only.
    for b in range(p.team):
        for j in range(worker[b].count):
            worker[b].room.slot[worker[b].touched[j]] = -1
    for b in range(p.team):
        at = 0
        for j in range(worker[b].count):
            f = worker[b].touched[j]
            if worker[0].room.slot[f] >= 0:
                continue
            worker[0].room.slot[f] = 0
            worker[b].touched[at] = <int32_t>f
            at += 1
            _sum(p, worker, f * ld, ld, &gain, &square)
        worker[b].count = at
    _sum(p, worker, all_, D.m, &gain, &square)
    gain = -gain
    for j in range(count):
        gain += step[j].ell - p.ell[step[j].i]
    p.share = 0 if gain <= 0 else (1 if gain >= square else gain / square)
    for b in range(p.team):
        for j in range(worker[b].count):
            f = worker[b].touched[j]
            worker[0].room.slot[f] = -1
            _follow(p, worker, f * ld, ld)
        worker[b].count = 0
    _follow(p, worker, all_, D.m)


cdef void _sum(Problem *p, const Worker *worker, int64_t first, int64_t many, double *gain,
               double *square) noexcept nogil:
    """The workers' changes of so many weights; what they are with w, and with themselves."""
    cdef int64_t k
    cdef int b
    cdef double *sums = p.sums + first
    cdef const double *w = p.w + first
    cdef const double *own
    memset(sums, 0, many * sizeof(double))
    for b in range(p.team):
        own = worker[b].w + first
        for k in range(many):
            sums[k] += own[k] - w[k]
    gain[0] += hx_dot_f64(p.D.isa, sums, w, many)
    square[0] += hx_dot_f64(p.D.isa, sums, sums, many)


cdef void _follow(Problem *p, Worker *worker, int64_t first, int64_t many) noexcept nogil:
    cdef int b
    hx_axpy_f64(p.D.isa, p.share, p.sums + first, p.w + first, many)
    for b in range(p.team):
        memcpy(worker[b].w + first, p.w + first, many * sizeof(double))


cdef void _add_delta(const Data *D, int64_t i, const double *delta, double *w, int32_t *seen,
                     int32_t *touched, int64_t *count, const real *v,
                     const index *idx) noexcept nogil:
    """w += what delta is in features; unless `seen` is NULL they are listed once in `touched`."""
    cdef int64_t r, k, f, length, parts = D.start[i + 1] - D.start[i]
    cdef bint moved
    for r in range(parts):
        moved = False
        for k in range(D.K):
            if delta[r * D.ld + k] != 0:
                moved = True
                break
        if moved:
            length = hx_row(D.X, D.start[i] + r, &v, &idx)
            hx_lanes_axpy(D.X, delta + r * D.ld, v, idx, length, D.ld, w, D.ld)
            if seen != NULL:
                for k in range(length):
                    f = idx[k] if D.X.is_csr else k
                    if seen[f] < 0:
                        seen[f] = 0
                        touched[count[0]] = <int32_t>f
                        count[0] += 1


cdef void _add_delta_any(const Data *D, int64_t i, const double *delta, double *w, int32_t *seen,
                         int32_t *touched, int64_t *count) noexcept nogil:
    if D.X.is_f32:
        if D.X.is_i64:
            _add_delta(D, i, delta, w, seen, touched, count, <const float *>NULL,
                       <const int64_t *>NULL)
        else:
            _add_delta(D, i, delta, w, seen, touched, count, <const float *>NULL,
                       <const int32_t *>NULL)
    elif D.X.is_i64:
        _add_delta(D, i, delta, w, seen, touched, count, <const double *>NULL,
                   <const int64_t *>NULL)
    else:
        _add_delta(D, i, delta, w, seen, touched, count, <const double *>NULL,
                   <const int32_t *>NULL)


cdef void _products(const Data *D, int64_t i, double *G, double *dense, const real *v,
                    const index *idx) noexcept nogil:
    """x_r . x_q of the parts of an example; `dense` (d) is 0, and is so again."""
    cdef int64_t r, q, m, many, first = D.start[i], length = D.start[i + 1] - first
    cdef double total
    for r in range(length):
        many = hx_row(D.X, first + r, &v, &idx)
        for m in range(many):
            dense[idx[m] if D.X.is_csr else m] += v[m * D.X.cs]
        for q in range(r, length):
            many = hx_row(D.X, first + q, &v, &idx)
            total = 0
            for m in range(many):
                total += v[m * D.X.cs] * dense[idx[m] if D.X.is_csr else m]
            G[r * length + q] = G[q * length + r] = total
        many = hx_row(D.X, first + r, &v, &idx)
        for m in range(many):
            dense[idx[m] if D.X.is_csr else m] = 0


cdef struct Worker:             # a share of the blocks
    int64_t first, last         # of the blocks of this meeting
    Room *room
    double *delta
    double *w                   # of its own, or that of all
    int32_t *touched            # features that it has changed, or NULL
    int64_t count


cdef struct Problem:
    const Data *D
    Block *blocks
    const double *G             # products of the parts of the examples,
    const int64_t *places       # which begin here
    double *w
    double *ell
    double *gaps
    double *sums
    double C, accuracy, share
    int64_t *turns              # of each example, when it was visited last
    int most, team


cdef class Pairwise:
    """As FrankWolfe; of each example the outputs with a weight are kept, and their weights."""
    cdef Examples examples
    cdef double C
    cdef readonly object w, gaps, ell
    cdef int64_t n              # the garbage collector may have taken `examples` away
    cdef Block *blocks
    cdef object products, places, local, sums, touched, turns

    def __cinit__(self, Examples examples not None, double C):
        cdef const Data *D = &examples.data
        cdef int64_t i, length
        cdef double[::1] G, dense = np.zeros(D.d)
        cdef int64_t[::1] places
        self.examples, self.C = examples, C
        self.w, self.ell = np.zeros(examples.size), np.zeros(D.n)
        self.gaps, self.turns = np.full(D.n, np.inf), np.zeros(D.n, np.int64)
        self.n, self.blocks = D.n, <Block *>calloc(D.n, sizeof(Block))
        if self.blocks == NULL:
            raise MemoryError("no memory for the outputs of the examples")
        self.places = np.zeros(D.n + 1, np.int64)
        places = self.places
        for i in range(D.n):
            length = D.start[i + 1] - D.start[i]
            places[i + 1] = places[i] + length * length
            length = D.label[i + 1] - D.label[i]
            if not _make_room(self.blocks + i, length):
                raise MemoryError("no memory for the outputs of the examples")
            memcpy(self.blocks[i].y, D.y + D.label[i], length * sizeof(int32_t))
            self.blocks[i].alpha[0] = self.blocks[i].alpha[self.blocks[i].room] = 1
            self.blocks[i].count = 1
        self.products = np.empty(places[D.n])
        G = self.products
        for i in range(D.n):
            if D.X.is_f32:
                if D.X.is_i64:
                    _products(D, i, &G[places[i]], &dense[0], <const float *>NULL,
                              <const int64_t *>NULL)
                else:
                    _products(D, i, &G[places[i]], &dense[0], <const float *>NULL,
                              <const int32_t *>NULL)
            elif D.X.is_i64:
                _products(D, i, &G[places[i]], &dense[0], <const double *>NULL,
                          <const int64_t *>NULL)
            else:
                _products(D, i, &G[places[i]], &dense[0], <const double *>NULL,
                          <const int32_t *>NULL)

    def __dealloc__(self):
        cdef int64_t i
        if self.blocks != NULL:
            for i in range(self.n):
                free(self.blocks[i].alpha)
                free(self.blocks[i].y)
            free(self.blocks)

    @property
    def planes(self):
        """Outputs with a weight, of all examples."""
        cdef int64_t i, total = 0
        for i in range(self.n):
            total += self.blocks[i].count
        return total

    def steps(self, const int64_t[::1] order, double deadline, int most, double accuracy):
        """Blocks solved by pairwise steps, one after the other.

        Each by at most so many steps, until its gap is this part of what it was. Several shares
        have a w each: after some blocks w goes along the sum of all changes, as far as D rises, and
        so do the duals of these blocks. Returns the blocks done, and the steps.
        """
        cdef Examples own = self.examples
        cdef const Data *D = &own.data
        cdef int team = own.shares, threads = own.threads, b
        cdef int64_t at = 0, end, j, count = order.shape[0], turns = 0
        cdef int64_t together = max(1, min(count, <int64_t>team * APART if team > 1 else 1))
        cdef double[::1] w = self.w, ell = self.ell, gaps = self.gaps, G = self.products
        cdef int64_t[::1] places = self.places, seen = np.full(D.n, -1), last = self.turns
        cdef double[:, ::1] delta = np.empty((team, own.longest * D.ld)), local
        cdef double[::1] sums
        cdef int32_t[:, ::1] touched
        cdef unsigned char[:, ::1] rooms, workers
        cdef Room *room = own.room
        cdef Step *step
        cdef Worker *worker
        cdef Problem p
        cdef double now = perf_counter()
        for j in range(count):
            if not 0 <= order[j] < D.n:
                raise ValueError("an example of the order does not exist")
        rooms = np.zeros((together, sizeof(Step)), np.uint8)
        step = <Step *>&rooms[0, 0]
        workers = np.zeros((team, sizeof(Worker)), np.uint8)
        worker = <Worker *>&workers[0, 0]
        p.D, p.C, p.most, p.accuracy = D, self.C, most, accuracy
        p.blocks, p.G, p.places = self.blocks, &G[0], &places[0]
        p.w, p.ell, p.gaps, p.team, p.turns = &w[0], &ell[0], &gaps[0], team, &last[0]
        if team > 1:
            if self.local is None:
                self.local, self.sums = np.empty((team, own.size)), np.empty(own.size)
                self.touched = np.empty((team, D.d), np.int32)
            self.local[:] = self.w
            local, sums, touched = self.local, self.sums, self.touched
            p.sums = &sums[0]
        for b in range(team):
            worker[b].room, worker[b].delta = room + b, &delta[b, 0]
            worker[b].w = &local[b, 0] if team > 1 else &w[0]
            worker[b].touched = &touched[b, 0] if team > 1 else NULL
        while at < count:
            end = _batch(&order[0], at, min(count, at + together), &seen[0])
            with nogil:
                if team == 1:
                    step.i = order[at]
                    _solve_one(&p, worker, step)
                    if step.sound:
                        _finish(&p, step, 1.0)
                else:
                    for j in range(end - at):
                        step[j].i = order[at + j]
                    _share_out(&p, worker, step, end - at)
                    for b in prange(team, num_threads=threads, schedule="static"):
                        _solve_some(&p, worker, b, step)
                    _meet(&p, worker, step, end - at)
                    for b in prange(team, num_threads=threads, schedule="static"):
                        _finish_some(&p, b, step, end - at)
            for j in range(end - at):
                turns += step[j].turns
                if not step[j].sound:
                    raise MemoryError("no memory for the outputs of an example")
            at = end
            now = own._look(now)
            if now > deadline:
                break
        return at, turns

    def adopt(self, Examples examples not None):
        """Go on with the same data in other arrays."""
        if examples.size != self.examples.size or examples.data.n != self.n or (
                examples.data.label[self.n] != self.examples.data.label[self.n]):
            raise ValueError("these are other examples")
        self.examples, self.local = examples, None

    def dual(self):
        """sum l_i - 1/2 ||w||^2."""
        return float(self.ell.sum() - 0.5 * self.w @ self.w)
