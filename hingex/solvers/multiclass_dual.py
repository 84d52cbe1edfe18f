# SPDX-License-Identifier: BSD-3-Clause
"""Joint multiclass linear SVMs: Crammer-Singer, Weston-Watkins, Lee-Lin-Wahba.

Problem, for scores s_k = w_k.x + b_k of K classes, y_i the class of row i, and
C_i = C * class weight * sample weight:

    min_{w, b}  1/2 sum_k ||w_k||^2 [+ 1/2 sum_k (b_k / scaling)^2]  +  sum_i C_i loss_i

    crammer_singer   loss = max_{m != y} max(0, 1 + s_m - s_y)^p
    weston_watkins   loss = sum_{m != y} max(0, 1 + s_m - s_y)^p
    lee_lin_wahba    loss = sum_{m != y} max(0, 1 / (K - 1) + s_m)^p,  with sum_k s_k = 0

with p = 1 (hinge) or 2 (squared hinge), and the bracket only for a regularized intercept. Duals
a_im >= 0, m != y_i (see `_multiclass_dual.pyx` for the map to the weights):

    max  margin sum_im a_im - 1/2 sum_k ||w_k||^2 - diagonal

    p = 1   sum_m a_im <= C_i (Crammer-Singer), a_im <= C_i (others); no diagonal
    p = 2   diagonal sum_i (sum_m a_im)^2 / (4 C_i) (Crammer-Singer), sum_im a_im^2 / (4 C_i)

and sum_i (coefficients of row i in w_k) = 0 for each k when the intercepts are unregularized.
Shifting all intercepts alike changes no loss of the first two schemes; their sum is 0 throughout.

Method: the duals of a row are moved to their joint optimum, row after row in random order. The
intercepts move by proximal steps between the epochs, as in `dual_cd`.

Stopping: the relative duality gap (P - D) / |P| <= tol, both over all rows in float64, at the
intercepts reached and at duals made feasible for them. For the first two schemes the duals of class
y and m, summed, are a flow from y to m, and feasible duals are a circulation: flow is taken off
along paths from classes with too much outflow to those with too little, from duals inside their
limits where they suffice, and duals are only ever reduced. For Lee-Lin-Wahba the duals' sums by
class are brought to one level. During the epochs the gap is estimated from what the sweeps see.

With two classes all schemes are one problem in w_1 - w_0 (coef_, intercept_): 1/4 ||w_1 - w_0||^2
plus the losses, which for the first two schemes is half of the binary problem with 2 C in the place
of C.

Complexity: O(nnz K) per epoch, less what shrinking leaves out, and O(K) expected for a row's
duals. Memory: weights (d, K) and duals (n, K) in float64, the latter's last values in float32 for
momentum, some 45 bytes a row and K / 4;
certificates of problems with intercepts up to 10 K^2 numbers. Free duals, where they are no more
than MOST_FREE = F, are solved for with up to five F x F matrices.

Sources: Keerthi, Sundararajan, Chang, Hsieh, Lin, "A sequential dual method for large scale
multi-class linear SVMs", KDD 2008; Dogan, Glasmachers, Igel, "A unified view on multi-class support
vector classification", JMLR 17, 2016; Crammer, Singer, JMLR 2, 2001; Weston, Watkins, ESANN 1999;
Lee, Lin, Wahba, JASA 99, 2004.
"""

from __future__ import annotations

import math
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np

from .._core import kernels
from .._result import Fit
from .._validate import squared_norms
from ..stop import HISTORY_DTYPE, Monitor, State

SMALL = 0.05  # curvature of the intercepts' proximal steps, in mean squared row norms
SMALL_LEAST = 0.5  # and at least this over sum C_i
WARM_EPOCHS = 2  # before the intercepts start to move
SINGLE_ABOVE = 3e-6  # P - D over sum C_i above which weights of single precision are enough
MOMENTUM = 0.75  # share of their change by which duals go on after an epoch
SHRINK_BEYOND = 0.5  # of the largest violation of the last epoch
FIRST_FACTOR = 0.5  # true gap over estimated gap, before it is known
FORCED = 16  # epochs until the first full pass that is made whatever the estimates say
FEWEST_EPOCHS = 3
LOSS_LEFT = 0.02  # of the gap, that sums may cost which are not repaired
ROUNDING = 1e-13  # of the duals, that repairs may leave
POLISH_FROM = 24  # epochs before free duals are solved for,
POLISH_AGAIN = 6  # and at least so many until the next time;
MOST_FREE = 2500  # if they are no more than this
PIVOTS = 40  # linear systems at a time,
ONE_BY_ONE = 100  # and more, if free duals are no more than this: one changes sides at a time
CHANCES = 3  # for all to change sides at once, before fewer must be wrong
POLISH_LEAST = 1e8  # multiply-adds that are not worth saving, if not too often,
POLISH_CHEAP = 1e7  # and that are not, ever: a few milliseconds
POLISH_FASTER = 6  # multiply-adds of a factorization in the time of one in an epoch
STIFF = 10.0  # curvature in the intercepts meanwhile, if unregularized, in mean squared norms
FARTHEST = 0.25  # that such a step may move an intercept
# A proximal term, as free duals may depend on each other, in largest diagonal entries: first, last,
NEAR = (1e-2, 1e-8)
NEARER = 0.1  # and from one step to the next.
REFINED = 3  # times that multipliers move
STEEP = 1e4  # of the same: the penalty beyond a cap


def solve(
    rows: Any,
    codes: np.ndarray,
    n_classes: int,
    *,
    scheme: str,
    loss: str,
    C: float,
    cost: np.ndarray | None,
    intercept: str,
    scaling: float,
    tol: float,
    max_iter: int,
    max_time: float | None,
    threads: int,
    seed: int,
    monitor: Monitor,
    start: tuple[np.ndarray, np.ndarray] | None = None,
) -> Fit:
    """Solve one joint problem.

    Parameters
    ----------
    rows : Rows
        n rows, d features.
    codes : int32 ndarray (n,)
        Class of each row, 0..n_classes-1.
    n_classes : int
        K >= 2.
    scheme : {"crammer_singer", "weston_watkins", "lee_lin_wahba"}
    loss : {"hinge", "squared_hinge"}
    C, cost : float and float64 ndarray (n,) or None
        C_i = cost[i], or C for all when cost is None.
    intercept : {"none", "regularized", "unregularized"}
    scaling : float
        Value of the constant feature of a regularized intercept.
    tol : float
        Relative duality gap to reach.
    max_iter : int
        Epochs.
    max_time : float or None
        Seconds.
    threads : int
        Not used: rows are visited one after the other.
    seed : int
    monitor : Monitor
        Progress bar and callback.
    start : (a, intercepts), optional
        Warm start: duals (n, K), made feasible here, and intercepts as of a Fit.

    Returns
    -------
    Fit
        With coef (K, d), or (1, d) for two classes, `dual` = a (n, K), and objectives of shape
        (1,). Ctrl-C ends with status "interrupted".
    """
    begin = perf_counter()
    n, d, K = rows.n, rows.d, n_classes
    sqnorm, mean_sq = squared_norms(rows, C if cost is None else float(cost.max()))
    size = {"none": 0.0, "regularized": scaling * scaling, "unregularized": math.inf}[intercept]
    total = C * n if cost is None else float(cost.sum())
    small = max(SMALL * mean_sq, SMALL_LEAST / total)
    weights = np.zeros((d, -(-K // 4) * 4))
    if start is None:
        alpha = np.zeros((n, K))
    else:
        alpha = feasible_start(start[0], codes, scheme, loss, C, cost)
    kernel = kernels("multiclass_dual")
    dual = kernel.MulticlassDual(
        rows,
        codes,
        sqnorm,
        cost,
        C,
        kernel.SCHEME_CODES[scheme],
        loss == "squared_hinge",
        alpha,
        weights,
        size,
        small,
        seed,
        math.inf if max_time is None else begin + max_time,
    )
    dual.poll = monitor.poll
    dual.momentum = MOMENTUM
    repair = None
    if size > 0:
        repair = _Repair(K, scheme, 1 / size)
    polish = _Polish(dual, codes, scheme, loss, C, cost, alpha, size, STIFF * mean_sq, d)
    work, next_polish = 0.0, POLISH_FROM

    found = np.full(K + 2, np.nan)  # primal, dual, intercepts
    gap = math.inf
    factor, forced, earliest = FIRST_FACTOR, FORCED, FEWEST_EPOCHS
    history: list[tuple] = []
    status, epoch = "max_iter", 0
    single = True

    def certify() -> bool:
        nonlocal gap
        if repair is not None:
            repair.gap = max(dual.near_primal - dual.near_dual, 0.0)
        if not dual.certify(repair, found):
            return False
        gap = max(found[0] - found[1], 0.0) / max(abs(found[0]), 1e-300)
        if not math.isfinite(gap):
            gap = math.inf
        return True

    def record(primal: float, lower: float, reached: float, certified: bool) -> bool:
        """Put what is certified in the place of the epoch's estimate; whether to stop."""
        state = State(
            epoch, perf_counter() - begin, primal, lower, reached, int(dual.active), certified
        )
        if certified and history:
            history.pop()
        history.append(tuple(state))
        return monitor.update(state)

    try:
        if start is not None and not dual.start(_all_intercepts(start[1], K) if size > 0 else None):
            status = "max_time"
        while status == "max_iter" and epoch < max_iter:
            if not dual.advance(single, epoch >= WARM_EPOCHS and size > 0, True, SHRINK_BEYOND):
                status = "max_time"
                break
            epoch += 1
            stop = record(dual.near_primal, dual.near_dual, dual.estimate, False)
            single = single and dual.near_primal - dual.near_dual > SINGLE_ABOVE * total
            due = epoch >= forced
            if due or (epoch >= earliest and dual.estimate * factor <= tol):
                estimate = max(dual.estimate, 1e-300)
                if not certify():
                    status = "max_time"
                    break
                stop |= record(found[0], found[1], gap, True)
                if gap <= tol:
                    status = "converged"
                    break
                factor = min(max(gap / estimate, 0.05), 20.0)
                earliest = epoch + 1 + epoch // 16
                if due:
                    forced = 2 * epoch
            if stop:
                status = "callback"
                break
            work += dual.work
            if epoch >= next_polish and polish.worth(work):
                if not polish():
                    status = "max_time"
                often = polish.cost <= max(work, POLISH_CHEAP)
                next_polish = epoch + POLISH_AGAIN if often else 2 * epoch
                if often:
                    dual.momentum = 0.0  # would lead away from what is exact but for a few duals
                work = 0.0
        if status != "converged":
            # What was reached is certified too; it is one pass, so without a deadline.
            dual.set_deadline(math.inf)
            certify()
            record(found[0], found[1], gap, True)
            if gap <= tol:
                status = "converged"
        intercepts = found[2:].copy()
    except KeyboardInterrupt:
        status = "interrupted"
        epoch = int(dual.epoch)
        dual.finish()
        intercepts = np.empty(K)
        dual.intercepts(intercepts)
    finally:
        monitor.close()
    coef = np.ascontiguousarray(weights[:, :K]).T
    if K == 2:
        coef = coef[1:] - coef[:1]
        intercepts = intercepts[1:] - intercepts[:1]
    return Fit(
        coef=coef,
        intercept=intercepts if size > 0 else np.zeros(len(intercepts)),
        dual=alpha,
        primal=found[:1].copy(),
        dual_objective=found[1:2].copy(),
        gap=np.array([gap]),
        history=np.array(history, dtype=HISTORY_DTYPE),
        n_iter=epoch,
        converged=status == "converged",
        status=status,
        seconds=perf_counter() - begin,
    )


def coefficients(alpha: np.ndarray, codes: np.ndarray, scheme: str) -> np.ndarray:
    """Of each row in each class's weights: w_k = sum_i out[i, k] x_i; from duals a (n, K)."""
    out = -alpha
    total = alpha.sum(axis=1)
    if scheme == "lee_lin_wahba":
        return out + (total / alpha.shape[1])[:, None]
    out[np.arange(len(codes)), codes] = total
    return out


def feasible_start(
    alpha: np.ndarray, codes: np.ndarray, scheme: str, loss: str, C: float, cost: np.ndarray | None
) -> np.ndarray:
    """A copy of the duals inside the limits of this problem."""
    alpha = np.maximum(alpha, 0.0)
    alpha[np.arange(len(codes)), codes] = 0.0
    upper: Any = C if cost is None else cost[:, None]
    if loss == "squared_hinge":
        if cost is not None:
            alpha[cost == 0] = 0.0
    elif scheme == "crammer_singer":
        total = alpha.sum(axis=1, keepdims=True)
        alpha *= np.minimum(1.0, upper / np.maximum(total, 1e-300))
    else:
        np.minimum(alpha, upper, out=alpha)
    return alpha


def _all_intercepts(b: np.ndarray, K: int) -> np.ndarray:
    if len(b) == K:
        return np.ascontiguousarray(b, dtype=np.float64)
    return np.array([-0.5 * b[0], 0.5 * b[0]])


class _Polish:
    """The free duals moved to the optimum for the others, as far as their limits allow.

    Coordinate descent is slow where many free duals depend on each other, as with fewer features
    than rows. Here they are the variables of a quadratic problem with an explicit Hessian. The
    other duals, which are 0 or at their upper limits, are the sweeps' business. The dual never
    falls.
    """

    def __init__(
        self,
        dual: Any,
        codes: np.ndarray,
        scheme: str,
        loss: str,
        C: float,
        cost: np.ndarray | None,
        alpha: np.ndarray,
        size: float,
        stiff: float,
        d: int,
    ) -> None:
        self.dual, self.codes, self.alpha, self.scheme = dual, codes, alpha, scheme
        self.squared, self.C, self.costs = loss == "squared_hinge", C, cost
        self.K, self.d = alpha.shape[1], d
        self.penalized = 0 < size < math.inf
        self.rho = 0.0 if size == 0 else min(size, stiff) if math.isinf(size) else size

    def worth(self, work: float) -> bool:
        """Whether it takes no longer than the epochs since the last time, of so much work."""
        count = self.dual.count_free(MOST_FREE)
        self.cost = (0.8 * count**3 + 100.0 * count**2) / POLISH_FASTER
        return 0 < count <= MOST_FREE and self.cost <= max(work, POLISH_LEAST)

    def __call__(self) -> bool:
        """False if out of time."""
        dual, K = self.dual, self.K
        rows, classes = np.empty((2, dual.count_free(MOST_FREE)), dtype=np.int32)
        count = len(rows)
        if not dual.free(rows, classes):
            return False
        distinct, place = np.unique(rows, return_inverse=True)
        G = np.empty((len(distinct), len(distinct)))
        b, s = np.empty(K), np.empty(K)
        dual.intercepts(b)
        dual.sums(s)
        # From here on b = base + rho * s: as the penalty has it, unless duals at their limits hold
        # the sums far from the intercepts that they have come to.
        far = self.penalized and float(np.abs(b - self.rho * s).max()) > FARTHEST
        base = b - self.rho * s if far else np.zeros(K) if self.penalized else b
        g = np.empty(count)
        if not dual.gram(distinct, G) or not dual.gradients(rows, classes, base + self.rho * s, g):
            return False
        own = self.codes[rows]
        same = classes[:, None] == classes
        if self.scheme == "lee_lin_wahba":
            signs = same - 1.0 / K
        else:
            signs = (own[:, None] == own) * 1.0 + same
            signs -= own[:, None] == classes
            signs -= classes[:, None] == own
        H = (G[np.ix_(place, place)] + self.rho) * signs
        del signs, same, G
        a = self.alpha[rows, classes]
        C = np.full(count, self.C) if self.costs is None else self.costs[rows]
        upper = np.full(count, np.inf)
        if self.squared:
            if self.scheme == "crammer_singer":
                H += np.where(place[:, None] == place, 0.5 / C, 0.0)
                g -= 0.5 / C * np.bincount(place, a)[place]
            else:
                H[np.diag_indices(count)] += 0.5 / C
                g -= 0.5 / C * a
        elif self.scheme != "crammer_singer":
            upper = C
        capped = self.scheme == "crammer_singer" and not self.squared
        rank = (K - 1) * self.d
        new = _pivot(H, g, a, upper, place if capped else None, C, rank)
        coefs = np.zeros(K)
        change = new - a
        np.subtract.at(coefs, classes, change)
        if self.scheme == "lee_lin_wahba":
            coefs += change.sum() / K
        else:
            np.add.at(coefs, own, change)
        if far:
            base, s = b, np.zeros(K)
        push = self.rho * (s + coefs)
        if far or not self.penalized:
            # With the duals at their limits as they are, the sums may have to be far from 0.
            push *= min(1.0, FARTHEST / max(float(np.abs(push).max()), 1e-300))
        return dual.put(rows, classes, new, base + push)


def _pivot(
    H: np.ndarray,
    g: np.ndarray,
    a: np.ndarray,
    upper: np.ndarray,
    group: np.ndarray | None,
    cap: np.ndarray,
    rank: int,
) -> np.ndarray:
    """Near the maximum of g.(x - a) - (x - a).H.(x - a) / 2 over the x inside their limits.

    These are 0 <= x <= upper and, with groups, sums over each of them of at most cap. Block
    pivoting: the equations of the x inside are solved, then all that are on the wrong side change
    sides at once (Portugal, Judice, Vicente, "A comparison of block pivoting and interior-point
    algorithms for linear least squares problems with nonnegative variables", 1994), some ten to
    twenty times; one by one, by a fixed rule, where that does not lead to fewer. With more duals
    than `rank`, that of H, the sides would not settle, hence proximal steps, shorter at first, each
    of which begins with the sides of the last. A cap reached is a steep penalty beyond a
    multiplier, which moves once the sides are right. The step from a to what comes out of it is
    made as long as is best, so the value never falls, should the pivots not end.
    """
    gram = kernels("gram")
    top = float(H.diagonal().max())
    near, steep = NEAR[len(a) <= rank] * top, STEEP * top
    plain = g + H @ a
    c = plain + near * a
    found = None
    x = np.zeros(len(a))
    free = np.ones(len(a), dtype=bool)
    above = np.zeros(len(a), dtype=bool)
    groups = group if group is not None else np.zeros(len(a), dtype=np.int64)
    limit = np.full(int(groups.max()) + 1, np.inf)
    if group is not None:
        limit[group] = cap
    capped = np.bincount(groups, a) >= limit * (1 - 1e-12)
    shift = np.zeros(len(limit))  # multipliers of the caps, beyond which comes the penalty
    sure = 1e-10 * float(np.abs(c).max())
    refined = 0
    fewest, chances = len(a) + len(limit) + 1, CHANCES
    for _ in range(PIVOTS if len(a) > ONE_BY_ONE else PIVOTS + len(a)):
        x[:] = 0.0
        x[above] = upper[above]
        at = np.flatnonzero(free)
        if len(at):
            U = H[np.ix_(at, at)]
            right = c[at]
            if above.any():
                right -= (H @ x)[at]
            U[np.diag_indices(len(at))] += near
            held = np.flatnonzero(capped[groups[at]])
            if len(held):
                of = groups[at[held]]
                U[np.ix_(held, held)] += steep * (of[:, None] == of)
                right[held] += steep * limit[of] - shift[of]
            if not gram.factorize(U):
                return a
            gram.solve_factor(U, right)
            x[at] = right
        total = np.bincount(groups, x)
        r = c - H @ x - near * x
        force = np.where(capped, shift + steep * (total - np.where(capped, limit, 0.0)), 0.0)
        r -= force[groups]
        low, high = free & (x < 0), free & (x > upper)
        out = ~free & (np.where(above, -r, r) > sure)
        over = ~capped & (total > limit * (1 + 1e-12))
        under = capped & (force < 0)
        if not (low.any() or high.any() or out.any() or over.any() or under.any()):
            if refined < REFINED and (capped & (np.abs(total - limit) > 1e-14 * limit)).any():
                refined += 1
                shift = force
                continue
            found = x.copy()
            if near <= NEAR[1] * top:
                break
            near *= NEARER
            c = plain + near * x
            refined = 0
            fewest, chances = len(a) + len(limit) + 1, CHANCES
            continue
        wrong = [low, high, out, over, under]
        many = sum(int(np.count_nonzero(one)) for one in wrong)
        chances = CHANCES if many < fewest else chances - 1
        fewest = min(fewest, many)
        if chances < 0:  # all at once goes round in circles
            _keep_last(wrong)
        free = (free & ~low & ~high) | out
        above = (above & ~out) | high
        capped = (capped | over) & ~under
        shift[~capped] = 0.0
    if found is not None:
        x = found
    x = np.minimum(np.maximum(x, 0.0), upper)
    if group is not None:
        total = np.bincount(group, x)[group]
        over = total > cap
        x[over] *= cap[over] / total[over]
    change = x - a
    rise, bend = float(g @ change), float(change @ (H @ change))
    if not rise > 0:
        return a
    return a + min(1.0, rise / bend if bend > 0 else 1.0) * change if rise < bend else x


def _keep_last(wrong: list[np.ndarray]) -> None:
    """Leave the last True in the last array that has one."""
    last = max(k for k, one in enumerate(wrong) if one.any())
    for k, one in enumerate(wrong):
        at = np.flatnonzero(one)
        one[at[:-1] if k == last else at] = False


class _Repair:
    """Which shares of the duals to take off, so that the sums of coefficients are b / size."""

    def __init__(self, K: int, scheme: str, inv_size: float) -> None:
        self.K, self.inv_size = K, inv_size
        self.gap = 0.0  # primal - dual, as estimated
        self.relative = scheme != "lee_lin_wahba"

    def __call__(self, sums: np.ndarray, b: np.ndarray) -> np.ndarray | None:
        target = self.inv_size * b
        target -= target.mean()
        take = np.zeros_like(sums)
        if self.relative:
            size = self.K * self.K
            inside = sums[:size].reshape(self.K, self.K)
            whole = sums[size : 2 * size].reshape(self.K, self.K)
            at_limit = np.maximum(whole - inside, 0.0)
            excess = whole.sum(axis=1) - whole.sum(axis=0) - target
            if self._is_cheap(excess):
                return None
            least = ROUNDING * max(float(whole.sum()), 1e-300)
            first, excess = take_flow(inside, excess, least)
            second = np.zeros_like(first)
            if np.abs(excess).max() > least:
                second, excess = take_flow(at_limit, excess, least)
            if np.abs(excess).max() > least:
                # Some paths need both kinds.
                more, excess = take_flow(whole - first - second, excess, least)
                extra = np.minimum(more, inside - first)
                first, second = first + extra, second + (more - extra)
            take[:size] = _shares(first, inside).ravel()
            take[size : 2 * size] = _shares(second, at_limit).ravel()
        else:
            K = self.K
            inside, whole, room = sums[:K], sums[K : 2 * K], sums[2 * K :]
            excess = whole + target  # to be brought to one level
            if self._is_cheap(excess - excess.mean()):
                return None
            low, high = float((excess - inside).max()), float((excess + room).min())
            level = float(np.median(excess))
            if low <= high:
                level = min(max(level, low), high)
                down, up = np.maximum(excess - level, 0.0), np.maximum(level - excess, 0.0)
                take[:K], take[2 * K :] = _shares(down, inside), _shares(up, room)
            else:
                level = float(excess.min())
                down = excess - level
                first = np.minimum(down, inside)
                second = down - first
                take[:K] = _shares(first, inside)
                take[K : 2 * K] = _shares(second, whole - inside)
        return take if take.any() else None

    def _is_cheap(self, excess: np.ndarray) -> bool:
        """Whether the dual loses little when sums are left as they are, with a finite size."""
        return 0.5 * float(excess @ excess) <= LOSS_LEFT * self.inv_size * self.gap


def _shares(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.minimum(1.0, np.divide(part, whole, out=np.zeros_like(whole), where=part > 0))


def take_flow(
    flow: np.ndarray, excess: np.ndarray, least: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Flow to take off so that outflow - inflow falls by `excess`, as far as there is such flow.

    Parameters
    ----------
    flow : ndarray (K, K)
        flow[u, v] >= 0 from u to v.
    excess : ndarray (K,)
        Outflow - inflow to take off; sums to 0.
    least : float
        Excess to leave.

    Returns
    -------
    taken : ndarray (K, K)
        0 <= taken <= flow. Flow goes along shortest augmenting paths, so it is a maximum flow.
    excess : ndarray (K,)
        What is left.
    """
    left, excess = flow.copy(), excess.copy()
    # Direct edges first, the largest classes first.
    for u in np.argsort(-excess):
        if excess[u] <= least:
            break
        for v in np.flatnonzero((left[u] > 0) & (excess < -least)):
            step = min(left[u, v], excess[u], -excess[v])
            left[u, v] -= step
            excess[u] -= step
            excess[v] += step
            if excess[u] <= least:
                break
    back = flow - left  # what can be put back
    while True:
        # A breadth-first search from all classes with excess at once.
        reached = excess > least
        lacking = excess < -least
        if not reached.any() or not lacking.any():
            break
        before = np.where(reached, -1, -2)
        front = np.flatnonzero(reached)
        goal = -1
        while len(front) and goal < 0:
            edges = (left[front] > 0) | (back[:, front].T > 0)
            edges[:, reached] = False
            new = np.flatnonzero(edges.any(axis=0))
            before[new] = front[edges[:, new].argmax(axis=0)]
            reached[new] = True
            hits = new[lacking[new]]
            if len(hits):
                goal = int(hits[excess[hits].argmin()])
            front = new
        if goal < 0:
            break
        path = [goal]
        while before[path[-1]] >= 0:
            path.append(int(before[path[-1]]))
        path.reverse()
        flow_step = min(float(excess[path[0]]), -float(excess[goal]))
        room = [float(left[s, t] + back[t, s]) for s, t in pairwise(path)]
        flow_step = min(flow_step, *room)
        for s, t in pairwise(path):
            undone = min(back[t, s], flow_step)
            back[t, s] -= undone
            left[t, s] += undone
            forward = min(flow_step - undone, left[s, t])
            left[s, t] -= forward
            back[s, t] += forward
        excess[path[0]] -= flow_step
        excess[goal] += flow_step
    return np.minimum(np.maximum(flow - left, 0.0), flow), excess
