# SPDX-License-Identifier: BSD-3-Clause
"""Linear SVMs for a sequence of C, each from the solution before it.

The problems are those of `solve_linear` with costs C * weight_i, solved for C in ascending order:
a small C is solved in a few epochs, and tells where the duals of the next one are. From C to
C' = r C, for each lane,

    duals at the bound C_i (hinge)   stay at their bound: times r
    all others                       times s, 1 <= s <= r, which maximises the dual D'(s alpha)

or, for one problem, only a part of that way, where D' is largest along it: with a medium C many
duals leave their bound.

D'(s alpha) is a parabola in s, so that s = sum alpha / (||w||^2 + sum diag' alpha^2), within its
limits. For a small C nearly all margins are missed and s = r, for a large one, where the margin is
hard, s = 1. Unless duals are at a bound, w is s w, too, and nothing is summed up again. Rows, their
norms and their labels are shared by all C. What shrinking has found out is handed on, too, but
where only a part of the way was taken: the rows that were active in the end are those that the
first epoch visits, and the certificate finds what was left out.

When another solver had to take over from coordinate descent, the next C begins with that one:
coordinate descent becomes no faster as C grows. Newton's method takes the start as well. The
interior point method does not: it works from the middle, and starts near a bound delay it.

Every C has its own certificate of a relative duality gap <= tol. Complexity: as of the solvers;
on text, 20 values of C over six decades take about as long as two to five fits of the largest.
Memory: that of one fit.

Source of warm starts along C: Hastie, Rosset, Tibshirani, Zhu, "The entire regularization path for
the support vector machine", JMLR 5, 2004; Chu, Ho, Tsai, Lin, Lin, "Warm start for parameter
selection of linear classifiers", KDD 2015.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from .._core import kernels
from .._result import Fit, Start
from .._targets import n_lanes, positive

NEAR = 0.5  # of w = 0 and its duals, for these to be a start
# A sweep over few rows costs less than a certificate that fails: true over estimated gap is taken
# to be so many times as much as it was for the C before.
SURER = 2.5
WHOLE = 0.97  # of the way to a start is as good as all of it
MOST_SURE = 3  # epochs before the first certificate, at most
CERTIFICATE = 8e-9  # seconds for each nonzero and lane, about


class Step(NamedTuple):
    """One C of a path."""

    C: float
    fit: Fit  # its arrays are gone on with: copy what is to be kept before the next step
    cost: np.ndarray | None
    solver: str
    reason: str
    seconds: float


def solve_path(
    solve_linear: Callable[..., tuple[Fit, str, str]],
    rows: Any,
    targets: Any,
    n_classes: int,
    Cs: np.ndarray,
    costs: Callable[[float], np.ndarray | None],
    *,
    loss: str,
    scheme: str,
    solver: str,
    deadline: float,
    monitor: Callable[[float, float | None], Any],
    **options: Any,
) -> Iterator[Step]:
    """Yield a `Step` for each of the ascending Cs; ends early after Ctrl-C, callback, deadline.

    Parameters
    ----------
    solve_linear : callable
        `hingex.solvers.solve_linear`.
    rows, targets, n_classes, loss, scheme, solver
        Its arguments.
    Cs : ndarray
        Ascending, distinct.
    costs : callable
        C to the row costs, or None when all are C.
    deadline : float
        Time (perf_counter) at which to stop; infinity for none.
    monitor : callable
        (C, seconds left or None) to the Monitor of that fit.
    options
        Of `solve_linear`, without C, cost, start, max_time.
    """
    last: Step | None = None
    now = solver
    intercepts = {"none": 0.0, "unregularized": np.inf}
    size = intercepts.get(options["intercept"], options["scaling"] ** 2)
    for C in Cs.tolist():
        begin = perf_counter()
        left = None if deadline == np.inf else deadline - begin
        if left is not None and left <= 0:
            return
        cost = costs(C)
        start: tuple[Any, ...] | None = None
        if last is not None and last.fit.dual is not None:
            if scheme == "ovr":
                start = next_start(last, C, loss, cost, options["tol"], rows, targets, size)
            else:
                start = last.fit.dual, last.fit.intercept
        elif scheme == "ovr" and n_lanes(targets, n_classes) == 1:
            start = first_start(rows, targets, C, cost, loss, options["intercept"])

        def solve(name: str, start: Any = start, C: float = C, cost: Any = cost,
                  left: float | None = left) -> tuple[Fit, str, str]:  # fmt: skip
            return solve_linear(
                rows, targets, n_classes, loss=loss, scheme=scheme, solver=name, C=C, cost=cost,
                max_time=left, start=start if name != "interior_point" else None,
                monitor=monitor(C, left), **options,
            )  # fmt: skip

        fit, name, reason = solve(now)
        if fit.status == "stalled" and now != solver:
            spent = perf_counter() - begin
            if left is None or spent < left:
                more, name, reason = solve(
                    "auto", None, left=None if left is None else left - spent
                )
                more.n_iter += fit.n_iter
                fit = more
        if solver == "auto" and name in ("interior_point", "newton"):
            now = name
            reason = f"as for the C before; {reason}" if reason == "as asked for" else reason
        last = Step(C, fit, cost, name, reason, perf_counter() - begin)
        yield last
        if fit.status in ("interrupted", "callback", "max_time"):
            return


def spare(rows: Any, lanes: int, max_time: float) -> float:
    """Seconds to keep of max_time for the certificate of what was reached, at most a tenth."""
    return min(0.1 * max_time, CERTIFICATE * lanes * (rows.nnz + 16 * rows.n))


def first_start(
    rows: Any, targets: Any, C: float, cost: np.ndarray | None, loss: str, intercept: str
) -> Start | None:
    """The duals of w = 0 and its best intercept, times s as above: near the optimum for a small C.

    None for a larger C, where s is small, and for a regularized intercept.
    """
    if intercept == "regularized":
        return None
    y = np.where(positive(targets, 0, 1), 1.0, -1.0)
    costs = np.full(rows.n, C) if cost is None else cost
    up = float(costs[y > 0].sum())
    down = float(costs[y < 0].sum())
    if intercept == "none":
        b, alpha = 0.0, costs.copy()
    elif loss == "hinge":
        b = 1.0 if up > down else -1.0
        alpha = np.where(y == b, costs * (min(up, down) / max(up, down)), costs)
    else:
        b = (up - down) / (up + down)
        alpha = costs * (1.0 - b * y)
    if loss == "squared_hinge":
        alpha *= 2.0
    w = np.empty(rows.d)
    kernels("gram").Gram(rows).combine(alpha * y, w)
    curvature = float(w @ w)
    if loss == "squared_hinge":
        used = costs > 0
        curvature += float((alpha[used] ** 2 / (2 * costs[used])).sum())
    total = float(alpha.sum())
    share = min(1.0, total / curvature) if curvature > 0 else 1.0
    if not (share >= NEAR and total > 0):
        return None
    return Start((share * alpha)[:, None], np.array([b]), (share * w)[:, None])


def next_start(
    last: Step,
    C: float,
    loss: str,
    cost: np.ndarray | None,
    tol: float,
    rows: Any,
    targets: Any,
    size: float,
) -> Start:
    """Duals, intercepts and where possible weights to start from at a larger C.

    Works in the arrays of `last.fit`. size: squared value of the constant feature, see `dual_cd`.
    """
    fit, ratio = last.fit, C / last.C
    alpha = fit.dual
    assert alpha is not None
    if not np.isfinite(fit.gap).all():
        return Start(alpha, fit.intercept)
    weights: Any = fit.coef.T
    curvature = np.einsum("kd,kd->k", fit.coef, fit.coef)
    if loss == "squared_hinge":
        if cost is None:
            curvature += np.einsum("nk,nk->k", alpha, alpha) / (2 * C)
        else:
            inverse = np.divide(0.5, cost, out=np.zeros_like(cost), where=cost > 0)
            curvature += np.einsum("nk,n,nk->k", alpha, inverse, alpha)
    share = np.ones(len(curvature))
    np.divide(alpha.sum(axis=0), curvature, out=share, where=curvature > 0)
    share = np.clip(share, 1.0, ratio)
    if loss == "hinge":
        old: Any = last.C if last.cost is None else last.cost[:, None]
        upper: Any = C if cost is None else cost[:, None]
        bound = (alpha >= old) & (alpha > 0)
        one = alpha.shape[1] == 1 and fit.summed and bound.any()
        before = alpha.copy() if one else None
        alpha *= share
        clipped = alpha > upper
        if bound.any() or clipped.any():
            np.copyto(alpha, upper, where=bound | clipped)
            weights = None
        if before is not None:
            step, change = _best_step(rows, targets, before, alpha, fit, size)
            if step < WHOLE:
                # Rows at rest may have left their bound: they are all looked at.
                np.add(before, step * (alpha - before), out=alpha)
                return Start(alpha, fit.intercept, fit.coef.T + step * change)
    else:
        alpha *= share
    if weights is not None and fit.summed and weights.flags.c_contiguous:
        weights *= share
    else:
        weights = None
    if fit.state is None:
        return Start(alpha, fit.intercept, weights)
    awake, shrunk, factor = fit.state
    # Neighbours take about as many epochs; a smaller gap than asked for was one too many.
    earliest = min(fit.n_iter, MOST_SURE) - bool(fit.gap.max() < 0.25 * tol)
    return Start(alpha, fit.intercept, weights, awake, shrunk * ratio, SURER * factor, earliest)


def _best_step(
    rows: Any, targets: Any, before: np.ndarray, after: np.ndarray, fit: Fit, size: float
) -> tuple[float, np.ndarray]:
    """Share 0..1 of the way from `before` to `after` where the dual of one problem is largest.

    And what all of the way changes in w, as (d, 1). The intercept stays where it is.
    """
    change = (after - before)[:, 0]
    signed = np.where(positive(targets, 0, 1), change, -change)
    direction = np.empty(rows.d)
    kernels("gram").Gram(rows).combine(signed, direction)
    s = float(signed.sum())
    slope = float(change.sum() - fit.coef[0] @ direction)
    curvature = float(direction @ direction)
    if size > 0:
        slope -= float(fit.intercept[0]) * s
    if 0 < size < np.inf:
        curvature += size * s * s
    step = min(max(slope / curvature, 0.0), 1.0) if curvature > 0 else 1.0
    return step, direction[:, None]
