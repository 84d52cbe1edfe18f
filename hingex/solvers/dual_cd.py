# SPDX-License-Identifier: BSD-3-Clause
"""Dual coordinate descent for binary and one-vs-rest linear SVMs.

Problem, for every class against the rest (y_i = +-1, C_i = C * class weight * sample weight):

    min_{w, b}  1/2 ||w||^2 [+ 1/2 (b / scaling)^2]  +  sum_i C_i phi(y_i (w.x_i + b))

with the bracket only for a regularized intercept. Dual, with w = sum_i alpha_i y_i x_i:

    max  sum_i alpha_i - 1/2 ||w||^2                    0 <= alpha_i <= C_i   (hinge)
    max  sum_i alpha_i - alpha_i^2/(4 C_i) - 1/2 ||w||^2     0 <= alpha_i     (squared hinge)

and sum_i alpha_i y_i = 0 when the intercept is unregularized. The intercept moves by proximal
steps between the epochs (see `_dual_cd.pyx`), for an unregularized one the method of multipliers.

Stopping: the relative duality gap (P - D) / |P| <= tol of every class, with P taken over all
rows at the best intercept near the multiplier and D at a feasible alpha. During the epochs the
gap is only estimated from what the sweeps see anyway; the full pass is made when the estimate
says that it may pass. Small problems are solved to rounding error.

Complexity: O(nnz) per epoch for one class, O(nnz * classes) for one-vs-rest, less whatever
shrinking leaves out. Memory: weights (d, classes), duals (n, classes) and some ten bytes per row.

Sources: Hsieh, Chang, Lin, Keerthi, Sundararajan, "A dual coordinate descent method for
large-scale linear SVM", ICML 2008; Bertsekas, "Constrained Optimization and Lagrange Multiplier
Methods", 1982, chapter 2.
"""

from __future__ import annotations

import math
from time import perf_counter
from typing import Any

import numpy as np

from .._core import kernels
from .._result import Fit, Start
from .._targets import Indicator, n_lanes, positive_weight
from .._threads import available_cpus
from .._validate import squared_norms
from ..stop import HISTORY_DTYPE, Monitor, State
from ._descent import BLOCK, FIRST_FACTOR, WARM_EPOCHS, small_feature

SINGLE_FROM = 100_000  # weights: fewer lie in the second-level cache in double precision too
THREADS_FROM = 1e6  # multiply-adds an epoch: below, waking threads costs more than it saves
# Problems this small (multiply-adds of all epochs) are solved to rounding error: it takes less
# than some milliseconds, and then weights equal repeated rows to the last digits.
POLISH_WORK = 2e6
POLISH_VIOLATION = 1e-11
SURER_FROM = 10_000_000  # weights: a certificate then takes as long as some six epochs,
SURER = 3  # so it had better not come too early
FORCED = 16  # epochs until the first full pass that is made whatever the estimates say
POLISH_FIRST = 32  # epochs before free duals are solved for, and again each time they double
POLISH_LEAST = 100  # epochs: with fewer there is little hope
HOPEFUL = 0.1  # gap at the end of a trial at which it is worth to go on
TRIALS = 2  # trials that the epochs left may cost: as much as what would come instead
CERTIFICATE = 1.5  # cost of a certificate, in epochs over all rows
WAIT = 0.5  # of that cost in epochs between certificates, up to a quarter of the epochs so far
ALIKE = 1.0  # |cosines| of a row to those scored with it, summed, up to which features are shared
PART_LENGTH = 64  # nonzeros that a part of a row must have to be worth its while
# Share of their change by which duals go on after an epoch. With the squared hinge, whose dual has
# a diagonal, that saves hardly an epoch.
MOMENTUM = {"hinge": 0.75, "squared_hinge": 0.0}


def solve(
    rows: Any,
    codes: Any,
    n_classes: int,
    *,
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
    parts: int = 1,
    start: tuple[Any, ...] | None = None,
    patience: float = math.inf,
    trial: int = 0,
) -> Fit:
    """Solve one binary problem (two classes) or all one-vs-rest problems.

    Parameters
    ----------
    rows : Rows
        n rows, d features.
    codes : int32 ndarray (n,) or Indicator
        Class of each row, 0..n_classes-1. With two classes, class 1 is the positive one. Or any
        number of labels for each row, each of which is a problem of its own.
    n_classes : int
        Not used with an Indicator.
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
        Over blocks of classes, or parts of a single problem; at fixed `parts` the result does
        not depend on it.
    seed : int
    monitor : Monitor
        Progress bar and callback.
    parts : int
        Parts that one large problem is shared out in: its rows when it is certified, and in the
        epochs its features, if the rows are long and not too much alike, and their indices
        ascend. The bits of the result depend on it.
    start : Start or (alpha, intercepts), optional
        Warm start: duals (n, lanes), clipped to their bounds here, and intercepts (lanes,); and
        what else there is to go on with.
    patience : float
        Give up, with status "stalled", when the fall of the summed gap over the last two
        doublings of the epochs, carried on, needs more epochs than this.
    trial : int, optional
        Give up, likewise, after so many epochs when the summed gap is above `HOPEFUL`, and
        whenever the epochs have doubled since and the gap's fall says that what is left costs
        more than `TRIALS` times as many epochs over all rows; epochs over active rows count by
        the share of these.

    Returns
    -------
    Fit
        With `dual` = alpha (n, lanes), >= 0. Ctrl-C ends with status "interrupted".
    """
    begin = perf_counter()
    n, d = rows.n, rows.d
    lanes = n_lanes(codes, n_classes)
    if rows.nnz * lanes < THREADS_FROM:
        threads = parts = 1
    if lanes > 1:
        parts = 1
    if parts > 1:  # their threads wait for each other all the time
        threads = min(threads, available_cpus())
    blocks = max(-(-lanes // BLOCK), min(threads, lanes))

    sqnorm, mean_sq = squared_norms(rows, C if cost is None else float(cost.max()))
    size = {"none": 0.0, "regularized": scaling * scaling, "unregularized": math.inf}[intercept]
    total = C * n if cost is None else float(cost.sum())
    small = small_feature(size, total, mean_sq)
    begin_at = None if start is None else Start(*start)
    summed = begin_at is not None and begin_at.weights is not None
    if begin_at is None:
        alpha, weights = np.zeros((n, lanes)), np.zeros((d, lanes))
    elif begin_at.weights is not None:
        alpha, weights = begin_at.dual, begin_at.weights
    else:
        alpha, weights = _feasible_start(begin_at.dual, loss, C, cost), np.zeros((d, lanes))
    listed = isinstance(codes, Indicator)
    cd = kernels("dual_cd").DualCD(
        rows,
        None if listed else codes,
        sqnorm,
        cost,
        C,
        kernels("dual_cd").LOSS_CODES[loss],
        alpha,
        weights,
        blocks,
        start is None and d * lanes >= SINGLE_FROM,
        size,
        small,
        seed,
        threads,
        math.inf if max_time is None else begin + max_time,
        *(codes[:2] if listed else ()),
    )
    cd.poll = monitor.poll

    factor = FIRST_FACTOR[loss] * (SURER if d * lanes >= SURER_FROM else 1)
    track = _Track(lanes, tol, factor, monitor, begin)
    if trial:
        track.next_forced = trial
    epoch = 0
    polish_epochs = int(POLISH_WORK / (float(rows.nnz + 16 * n) * lanes))
    if polish_epochs < POLISH_LEAST:
        polish_epochs = 0
    cd.momentum = 0.0 if polish_epochs else MOMENTUM[loss]
    try:
        status = "max_iter"
        if begin_at is not None:
            if not cd.start(begin_at.intercept if size > 0 else None, summed):
                status = "max_time"
            if begin_at.awake is not None and not polish_epochs:
                cd.narrow(begin_at.awake, begin_at.shrunk)
                track.factor[:] = begin_at.factor
                track.earliest = begin_at.earliest
        elif size > 0 and (lanes > 1 or listed):
            cd.begin_at(_first_intercepts(codes, lanes, cost))
        feature_parts = min(parts, rows.nnz // (n * PART_LENGTH))
        if parts > 1 and not cd.share(parts, feature_parts, ALIKE):
            status = "max_time"
        while status == "max_iter" and epoch < max_iter and not track.all_done:
            polish = epoch < polish_epochs
            in_time = cd.advance(
                track.until(epoch, polish_epochs),
                max_iter,
                track.earliest,
                WARM_EPOCHS if begin_at is None or begin_at.awake is None else 0,
                tol / track.factor,
                POLISH_VIOLATION if polish else math.inf,
                track.estimates,
                track.log,
            )
            epoch = cd.epoch
            if not in_time:
                status = "max_time"
            stop = track.report(cd.logged)
            chosen = track.due(epoch, polish, cd.ripe)
            if status == "max_iter" and chosen is None and polish and epoch >= track.next_exact:
                track.next_exact = 2 * epoch
                for lane in np.flatnonzero(track.live):
                    cd.solve_free(lane)
            if status == "max_iter" and chosen is not None:
                if cd.certify(chosen, track.certified):
                    cd.freeze(track.settle(chosen, epoch, cd.active / n))
                    stop |= track.report_certified(epoch, int(cd.active))
                else:
                    status = "max_time"
            if stop and not track.all_done:
                status = "callback"
            elif status == "max_iter" and (
                track.epochs_needed() > patience or (trial and track.hopeless(trial))
            ):
                status = "stalled"
        if track.all_done:
            status = "converged"
        if status != "converged":
            # What was reached is certified too; it is one pass, so without a deadline.
            cd.set_deadline(math.inf)
            left = track.live.astype(np.uint8)
            cd.certify(left, track.certified)
            track.settle(left, epoch, 1.0)
            track.report_certified(epoch, int(cd.active))
            if track.all_done:
                status = "converged"
        intercepts = track.certified[:, 2].copy()
    except KeyboardInterrupt:
        status = "interrupted"
        if cd.epoch > epoch:
            track.report(cd.logged)
            epoch = cd.epoch
        intercepts = np.empty(lanes)
        cd.finish()
        cd.intercepts(intercepts)
    finally:
        monitor.close()
    return Fit(
        coef=weights.T,
        intercept=intercepts if intercept != "none" else np.zeros(lanes),
        dual=alpha,
        primal=track.certified[:, 0].copy(),
        dual_objective=track.certified[:, 1].copy(),
        gap=track.gap,
        history=track.history,
        n_iter=epoch,
        converged=status == "converged",
        status=status,
        seconds=perf_counter() - begin,
        summed=status != "interrupted",
        state=(cd.awake, cd.shrunk, track.factor),
    )


def _first_intercepts(codes: Any, lanes: int, cost: np.ndarray | None) -> np.ndarray:
    """The best intercepts for w = 0 and the squared hinge: share of a class less that of others.

    Most of one-vs-rest is far on the negative side: near -1 most rows have little to do, while
    from 0 the first epoch would move the duals of all rows in all lanes. A label that all rows
    have, or none, is solved by that: exactly 1, or -1.
    """
    count = positive_weight(codes, lanes, cost)
    if isinstance(codes, Indicator):  # summed in the order of `count`
        n = len(codes.ptr) - 1
        return 2.0 * count / np.bincount(np.zeros(n, dtype=np.int8), cost) - 1.0
    return 2.0 * count / count.sum() - 1.0


def _feasible_start(
    alpha: np.ndarray, loss: str, C: float, cost: np.ndarray | None
) -> np.ndarray:
    """A copy of alpha inside the bounds of this problem."""
    alpha = np.maximum(alpha, 0.0)
    upper: Any = C if cost is None else cost[:, None]
    if loss == "hinge":
        np.minimum(alpha, upper, out=alpha)
    elif cost is not None:
        alpha[cost == 0] = 0.0
    return alpha


class _Track:
    """What is known of each lane's gap, and when it is worth a full pass to know more."""

    def __init__(
        self, lanes: int, tol: float, factor: float, monitor: Monitor, begin: float
    ) -> None:
        self.tol = tol
        self.next_exact = POLISH_FIRST  # the epoch of the next solution for the free duals
        self.next_forced = FORCED  # the epoch of the next full pass whatever the estimates say
        self.forced = False  # the pass that was due last was one of these
        self.monitor = monitor
        self.begin = begin
        self.live = np.ones(lanes, dtype=bool)
        self.certified = np.full((lanes, 3), np.nan)
        self.gap = np.full(lanes, np.inf)
        self.factor = np.full(lanes, factor)  # true gap over estimated gap, as last seen
        self.earliest = 0
        self.least = np.full(lanes, np.inf)  # primal: it goes up and down, the dual only up
        # Epoch, gap of the summed objectives (single lanes are noisy) with the least primal so far,
        # and share of active rows at the last three forced passes, which certify all lanes.
        self.milestones = [(0, math.inf, 1.0)] * 3
        self.estimates = np.zeros((lanes, 2))
        # When somebody watches, every epoch comes back here.
        self.log = np.empty((1 if monitor.watching else 64, 6))
        self.parts: list[np.ndarray] = []

    @property
    def all_done(self) -> bool:
        return not self.live.any()

    def until(self, epoch: int, polish_epochs: int) -> int:
        """The epoch to come back at in any case."""
        if epoch < polish_epochs:
            return min(polish_epochs, self.next_exact)
        return self.next_forced

    def due(self, epoch: int, polish: bool, ripe: bool) -> np.ndarray | None:
        """Lanes to certify now, as uint8 flags, or None."""
        self.forced = not polish and epoch >= self.next_forced
        if self.forced:
            return self.live.astype(np.uint8)  # the factor may be stale, and rows wrongly shrunk
        return self.estimates[:, 1].astype(np.uint8) if ripe else None

    def settle(self, lanes: np.ndarray, epoch: int, share: float) -> np.ndarray:
        """Take in what certify found for these lanes; returns those that are done.

        The next certificate waits for epochs, over this share of the rows, that cost a part of it.
        """
        chosen = lanes.astype(bool)
        primal, dual = self.certified[:, 0], self.certified[:, 1]
        gap = np.maximum(primal - dual, 0.0) / np.maximum(np.abs(primal), 1e-300)
        self.gap[chosen] = gap[chosen]
        np.fmin(self.least, primal, out=self.least)
        done = chosen & (self.gap <= self.tol)
        factor = self.gap / np.maximum(self.estimates[:, 0], 1e-300)
        self.factor[chosen] = np.minimum(np.maximum(factor, 0.05), 20.0)[chosen]
        self.live &= ~done
        wait = int(min(WAIT * CERTIFICATE / max(share, 1e-9), epoch // 4))
        self.earliest = epoch + max(1 + epoch // 16, wait)
        if self.forced:
            self.forced = False
            self.next_forced = 1 << epoch.bit_length()
            least = float(self.least.sum())
            whole = (least - float(dual.sum())) / max(least, 1e-300)
            self.milestones = [*self.milestones[1:], (epoch, whole, share)]
        return done.astype(np.uint8)

    def epochs_needed(self) -> float:
        """Epochs to tol if the gap goes on to fall as of late; 0 while that is not known."""
        (before, high, _), _, (epoch, low, _) = self.milestones
        # With many lanes some gaps are large by chance for longer.
        if not before or epoch < (64 if len(self.live) == 1 else 128) or low <= self.tol:
            return 0.0
        fall = math.log(high / low) / math.log2(epoch / before) if high > low > 0 else 0.0
        doublings = math.log(low / self.tol) / fall if fall > 0 else math.inf
        return epoch * 2.0**doublings if doublings < 100 else math.inf

    def hopeless(self, trial: int) -> bool:
        """Whether a trial has shown that what is left takes too long, in epochs over all rows.

        If the gap goes on to fall as of late, and the rows to become fewer, but no faster than as
        1 / epochs.
        """
        _, (before, high, more), (epoch, low, share) = self.milestones
        if epoch < trial or low <= self.tol:
            return False
        if before < trial:
            return low > HOPEFUL
        if not low < high:
            return True
        growth = math.log(epoch / before)
        logs = min(math.log(low / self.tol) / math.log(high / low) * growth, 100.0)
        fall = min(max(math.log(max(more, 1e-9) / max(share, 1e-9)) / growth, 0.0), 1.0)
        # The integral of share * (epoch / x)^fall from here to epoch * exp(logs).
        epochs = epoch * (math.expm1((1 - fall) * logs) / (1 - fall) if fall < 1 else logs)
        return share * epochs + CERTIFICATE * logs / math.log(2) > TRIALS * trial

    def report(self, count: int) -> bool:
        """Add entries of the log to the history; True when the monitor asks to stop."""
        entries = np.zeros(count, HISTORY_DTYPE)
        for column, name in enumerate(("epoch", "seconds", "primal", "dual", "gap", "active")):
            entries[name] = self.log[:count, column]
        entries["seconds"] -= self.begin
        self.parts.append(entries)
        # A monitor that watches has every entry come here.
        return self.monitor.watching and count > 0 and self._tell()

    def report_certified(self, epoch: int, active: int) -> bool:
        """Put what is certified in the place of the last epoch's estimate."""
        if not np.isfinite(self.gap).all():
            return False
        if not self.parts or not len(self.parts[-1]):
            self.parts.append(np.zeros(1, HISTORY_DTYPE))
        self.parts[-1][-1] = (
            epoch,
            perf_counter() - self.begin,
            self.certified[:, 0].sum(),
            self.certified[:, 1].sum(),
            self.gap.max(),
            active,
            True,
        )
        return self.monitor.watching and self._tell()

    def _tell(self) -> bool:
        return self.monitor.update(State(*self.parts[-1][-1].item()))

    @property
    def history(self) -> np.ndarray:
        # np.concatenate works out the common type of records, which takes longer than small fits.
        whole = np.empty(sum(map(len, self.parts)), HISTORY_DTYPE)
        begin = 0
        for part in self.parts:
            whole[begin : begin + len(part)] = part
            begin += len(part)
        return whole
