# SPDX-License-Identifier: BSD-3-Clause
"""Hard margin: linear SVMs with C = inf, or the proof that no plane separates the classes.

Problem, for every class against the rest (y_i = +-1); hinge and squared hinge are the same here:

    min_{w, b}  1/2 ||w||^2 [+ 1/2 (b / scaling)^2]    with  y_i (w.x_i + b) >= 1  for all i

with the bracket only for a regularized intercept. Dual, with v = sum_i alpha_i y_i xa_i and xa_i
the row with its constant feature (see `_second_order`):

    max  sum_i alpha_i - 1/2 ||v||^2        0 <= alpha_i  [and sum_i alpha_i y_i = 0]

with the bracket for an unregularized intercept. Any model with a positive least margin gives a
feasible one when divided by it, and duals may be scaled to their best, so

    P = 1/2 ||w||^2 / margin^2,    D = (sum_i alpha_i)^2 / (2 ||v||^2)

are a certified pair for any soft-margin solution. Soft-margin problems (hinge loss, whose solution
is that of the hard margin once C exceeds all duals) are solved with C growing, each from the
duals of the one before, until (P - D) / P <= tol.

No plane: if a plane separates with a margin of g, then ||v|| >= g sum_i alpha_i for all duals. So
duals with v = 0 prove that there is none, to the precision that v is 0 with: PRECISION times the
root mean square of each column (with many features: times the longest row). With weights alpha
scaled to a sum of 1 on each side, the convex hulls of the two classes meet (unregularized
intercept; otherwise the hull of the y_i xa_i contains 0). As C grows, this is what the duals of
inseparable data come to. They are corrected to rounding error, by least-squares steps relative to
their size.

Complexity: some five soft-margin fits. Memory: theirs.

Sources: Cortes & Vapnik, "Support-vector networks", Machine Learning 1995; Bennett & Bredensteiner,
"Duality and geometry in SVM classifiers", ICML 2000.
"""

from __future__ import annotations

import math
from time import perf_counter
from typing import Any

import numpy as np

from .._core import kernels
from .._result import Fit, NotSeparableError
from .._targets import n_lanes, positive
from ..stop import HISTORY_DTYPE, Monitor, State
from ._second_order import TINY, Factor

PRECISION = 1e-9  # of the largest row: thinner margins than that are none
FIRST = 10.0  # first C, in inverses of the mean squared row
GROWTH, FASTER = 30.0, 1e3  # of C; the second from 1e6 times the first C on
MOST = 1e32  # times the first C, where it ends: columns of very different scales need much
CORRECT = 2000  # features, or else duals, up to which those of inseparable data are corrected
CORRECT_WORK = 4e9  # multiply-adds that may cost
CORRECTIONS = 5
GROWN = 1e-3  # of the largest dual


def solve(
    rows: Any,
    codes: Any,
    n_classes: int,
    *,
    soft: Any,
    cost: np.ndarray | None,
    intercept: str,
    scaling: float,
    tol: float,
    max_iter: int,
    max_time: float | None,
    monitor: Monitor,
    classes: Any = None,
    **options: Any,
) -> Fit:
    """Solve one binary problem (two classes) or all one-vs-rest problems, one after another.

    Parameters
    ----------
    rows, codes, n_classes, intercept, scaling, tol, max_time, monitor
        As for `dual_cd.solve`.
    soft : callable
        Solver of the soft-margin problem with two classes: soft(codes, C, cost, tol, max_iter,
        max_time, start, monitor) returns a `Fit`.
    cost : ndarray (n,) or None
        Rows with cost 0 are left out; other costs do not matter.
    max_iter : int
        Epochs or iterations for each soft-margin problem.
    classes : sequence, optional
        Labels, for the message.

    Returns
    -------
    Fit
        Of the hard-margin problem; `dual` = alpha (n, lanes).

    Raises
    ------
    NotSeparableError
        With the weights that prove it.
    """
    problem = _Problem(rows, cost, intercept, scaling, tol, max_time)
    lanes = n_lanes(codes, n_classes)
    parts: list[_Best] = []
    history: list[State] = []
    stopped = None
    for lane in range(lanes):
        best = _Best(problem, positive(codes, lane, lanes))
        parts.append(best)
        if stopped is not None:
            continue
        try:
            stopped = _lane(problem, best, soft, max_iter, monitor, parts, history)
        except NotSeparableError as error:
            monitor.close()
            raise _refusal(error, classes, lane, lanes, n_classes, intercept) from None
    monitor.close()
    gap = np.array([best.gap for best in parts])
    converged = bool((gap <= tol).all())
    if not history:
        history.append(_state(problem, parts, 1))
    wa = np.array([best.wa for best in parts])
    constant = problem.constant
    b = wa[:, -1] * constant if constant else np.zeros(lanes)
    return Fit(
        coef=np.ascontiguousarray(wa[:, : rows.d]),
        intercept=b,
        dual=np.column_stack([best.alpha for best in parts]),
        primal=np.array([best.primal for best in parts]),
        dual_objective=np.array([best.dual for best in parts]),
        gap=gap,
        history=np.array(history, dtype=HISTORY_DTYPE),
        n_iter=len(history),
        converged=converged,
        status="converged" if converged and stopped != "interrupted" else stopped or "stalled",
        seconds=perf_counter() - problem.begin,
    )


class _Problem:
    """The rows that count, and how they are measured."""

    def __init__(
        self, rows: Any, cost: np.ndarray | None, intercept: str, scaling: float, tol: float,
        max_time: float | None,
    ) -> None:  # fmt: skip
        self.begin = perf_counter()
        self.deadline = math.inf if max_time is None else self.begin + max_time
        self.rows, self.intercept, self.scaling, self.tol = rows, intercept, scaling, tol
        self.keep = np.ones(rows.n, dtype=bool) if cost is None else cost > 0
        self.free = intercept == "unregularized"
        self.constant = {"none": 0.0, "regularized": scaling, "unregularized": 1.0}[intercept]
        self.gram = kernels("gram").Gram(rows, self.constant)
        self.D = self.gram.D
        squares = np.empty(rows.n, dtype=np.float32)
        rows.sq_norms(squares)
        squares = squares[self.keep].astype(np.float64) + self.constant**2
        self.largest, self.mean = math.sqrt(squares.max()), float(squares.mean())

    def scores(self, wa: np.ndarray) -> np.ndarray:
        out = np.empty(self.rows.n)
        self.gram.scores(wa, out)
        return out

    def combine(self, r: np.ndarray) -> np.ndarray:
        out = np.empty(self.D)
        self.gram.combine(r, out)
        return out

    def vanishes(self, va: np.ndarray, alpha: np.ndarray, length: float, total: float) -> bool:
        """Whether v is 0 to PRECISION; by columns, where that is cheap, so that scales do not
        matter."""
        if self.D > CORRECT:
            return length <= PRECISION * self.largest * total
        if length > 1e3 * PRECISION * self.largest * total:
            return False
        G = np.zeros((self.D, self.D))
        self.gram.weighted(alpha, G)
        columns = np.sqrt(G.diagonal() * total)
        if self.free:
            columns[-1] = np.inf
        return bool((np.abs(va) <= PRECISION * columns).all())

    def products(self, which: np.ndarray, y: np.ndarray) -> np.ndarray:
        """y_i y_j xa_i . xa_j of these rows."""
        K, one = np.empty((len(which), len(which))), np.zeros(self.rows.n)
        for j, i in enumerate(which):
            one[i] = y[i]
            K[j] = y[which] * self.scores(self.combine(one))[which]
            one[i] = 0.0
        return 0.5 * (K + K.T)

    def length(self, va: np.ndarray) -> float:
        """||v||, in the penalty's terms."""
        return float(np.linalg.norm(va[:-1] if self.free else va))

    @property
    def left(self) -> float | None:
        return None if self.deadline == math.inf else self.deadline - perf_counter()


class _Best:
    """The best certified pair of one class against the rest."""

    def __init__(self, problem: _Problem, positive: np.ndarray) -> None:
        self.p = problem
        self.y = np.where(positive, 1.0, -1.0)
        self.wa, self.alpha = np.zeros(problem.D), np.zeros(problem.rows.n)
        self.primal, self.dual = math.inf, 0.0

    @property
    def gap(self) -> float:
        if not math.isfinite(self.primal):
            return math.inf
        return max(self.primal - self.dual, 0.0) / max(self.primal, TINY)

    def offer_model(self, wa: np.ndarray) -> None:
        """Divide a model by its least margin, with the best intercept if that is free."""
        p, wa = self.p, wa.copy()
        if p.free:
            wa[-1] = 0.0
        f = p.scores(wa)
        sides = [f[p.keep & (self.y == sign)] for sign in (1.0, -1.0)]
        if p.free and len(sides[0]) and len(sides[1]):
            low, high = float(sides[0].min()), float(sides[1].max())
            margin = 0.5 * (low - high)
            wa[-1] = -0.5 * (low + high)
        else:
            margin = float((self.y * f)[p.keep].min())
        if not margin > 0:
            return
        wa /= margin
        primal = 0.5 * p.length(wa) ** 2
        if primal < self.primal:
            # Rounding may leave the least margin a little below 1: measured, not assumed.
            least = float((self.y * p.scores(wa))[p.keep].min())
            if 0 < least < 1:
                wa /= least
                primal = 0.5 * p.length(wa) ** 2
            self.wa, self.primal = wa, primal

    def offer_duals(self, alpha: np.ndarray) -> None:
        """Scale duals to their best; raises when they prove that no plane separates."""
        p, y = self.p, self.y
        alpha, va = _feasible(p, np.where(p.keep, alpha, 0.0), y)
        total, length = float(alpha.sum()), p.length(va)
        if not total > 0:
            return
        if p.vanishes(va, alpha, length, total):
            sides = 0.5 * total if p.free else total
            raise NotSeparableError("", alpha / sides, length / sides)
        dual = 0.5 * (total / length) ** 2
        if dual > self.dual:
            self.alpha, self.dual = alpha * (total / length**2), dual

    def correct(self, alpha: np.ndarray) -> None:
        """Take v out of the duals, relative to their size, and look whether that proves it."""
        p, y = self.p, self.y
        alpha = np.where(p.keep, alpha, 0.0)
        alpha /= max(float(alpha.max()), TINY)
        wide = p.D > CORRECT
        rows = np.flatnonzero(alpha)
        if wide:
            # Those of a proof grow with C, the others do not.
            alpha[alpha < GROWN] = 0.0
            rows = np.flatnonzero(alpha)
            if len(rows) > CORRECT or len(rows) * p.rows.nnz > CORRECT_WORK:
                return
        K = p.products(rows, y) if wide else np.empty((0, 0))
        for _ in range(CORRECTIONS):
            if wide:  # what is left of the roots outside the range of the rows, in n x n form
                root = np.sqrt(alpha[rows])
                values, vectors = np.linalg.eigh(root[:, None] * K * root)
                null = vectors[:, values <= 1e-12 * values[-1]]
                alpha[rows] = root * np.maximum(null @ (null.T @ root), 0.0)
            else:
                G = np.zeros((p.D, p.D))
                p.gram.weighted(alpha, G)
                diagonal = G.diagonal()
                factor = Factor(G, np.where(diagonal > 0, 1e-13 * diagonal, 1.0))
                if not factor.sound:
                    return
                off = y * p.scores(factor.solve(p.combine(alpha * y)))
                alpha = alpha * np.clip(1.0 - off, 0.0, 10.0)
            if not alpha.any():
                return
            self.offer_duals(alpha)


def _feasible(p: _Problem, alpha: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale down the heavier side where both must weigh the same; the duals and v."""
    if p.free:
        up, down = float(alpha[y > 0].sum()), float(alpha[y < 0].sum())
        if min(up, down) <= 0:
            return np.zeros_like(alpha), np.zeros(p.D)
        alpha = np.where(y > 0, alpha * min(1.0, down / up), alpha * min(1.0, up / down))
    return alpha, p.combine(alpha * y)


def _lane(
    p: _Problem, best: _Best, soft: Any, max_iter: int, monitor: Monitor, parts: list,
    history: list,
) -> str | None:  # fmt: skip
    """Solve for one class; returns a status when all work must end."""
    if p.mean == 0.0:  # rows of zeros, no intercept: any weights prove it
        best.offer_duals(np.ones(p.rows.n))
    first = FIRST / p.mean
    C, inner, start, codes = first, 0.1 * p.tol, None, (best.y > 0).astype(np.int32)
    silent = Monitor(None, False, inner, None, "")
    silent.poll = monitor.poll
    status = "stalled"
    while MOST * first >= C:
        left = p.left
        if left is not None and left <= 0:
            return "max_time"
        cost = None if p.keep.all() else np.where(p.keep, C, 0.0)
        fit = soft(codes, C, cost, inner, max_iter, left, start, silent)
        wa = np.append(fit.coef[0], fit.intercept[0] / p.constant) if p.constant else fit.coef[0]
        alpha = fit.dual[:, 0]
        best.offer_model(wa)
        best.offer_duals(alpha)
        bounded = alpha.max() < 0.999 * C
        if not math.isfinite(best.primal) and first < C:
            best.correct(alpha)
        if best.gap > p.tol:
            best.offer_model(_recombined(p, alpha, best.y, wa))
        history.append(_state(p, parts, len(history) + 1))
        if monitor.update(history[-1]):
            return "callback"
        if best.gap <= p.tol:
            return None
        if fit.status in ("interrupted", "max_time"):
            return fit.status
        status = fit.status
        if bounded and fit.converged and inner > 1e-12:
            inner *= 0.1
        else:
            C *= GROWTH if 1e6 * first > C else FASTER
        start = fit.dual, fit.intercept
    return "max_iter" if status == "max_iter" else "stalled"


def _recombined(p: _Problem, alpha: np.ndarray, y: np.ndarray, wa: np.ndarray) -> np.ndarray:
    """The model that the duals combine to, which may separate where the other does not."""
    va = p.combine(alpha * y)
    if p.free:
        va[-1] = wa[-1]
    return va


def _state(p: _Problem, parts: list, epoch: int) -> State:
    return State(
        epoch=epoch,
        seconds=perf_counter() - p.begin,
        primal=sum(best.primal for best in parts),
        dual=sum(best.dual for best in parts),
        gap=max(best.gap for best in parts),
        active=int(sum(np.count_nonzero(best.alpha) for best in parts)),
        certified=True,
    )


def _refusal(
    error: NotSeparableError, classes: Any, lane: int, lanes: int, n_classes: int, intercept: str
) -> NotSeparableError:
    """The error with its message: which classes, and what the weights are."""
    names = list(range(n_classes)) if classes is None else np.asarray(classes).tolist()
    if lanes == 1 and n_classes == 2:
        who = f"classes {names[0]!r} and {names[1]!r} cannot be separated by a plane"
    else:
        who = f"class {names[lane]!r} cannot be separated from the others by a plane"
    what = {
        "unregularized": "the convex hulls of the two sides meet: the weights in this error's "
        "attribute `weights`, which add up to 1 on each side, give points that are",
        "regularized": "the rows y_i (x_i, intercept_scaling), with the weights in this error's "
        "attribute `weights`, which add up to 1, have a mean that is",
        "none": "without an intercept the plane must pass through 0, and the rows y_i x_i, with "
        "the weights in this error's attribute `weights`, which add up to 1, have a mean that is",
    }[intercept]
    away = "apart" if intercept == "unregularized" else "from 0"
    error.args = (
        f"C=inf asks for a hard margin, but {who}: {what} {error.distance:.1e} {away}. "
        "Set a finite C",
    )
    return error
