# SPDX-License-Identifier: BSD-3-Clause
"""Dual coordinate descent for linear SVMs whose rows come in blocks, one at a time.

The problems are those of `dual_cd`, and so are the steps: w and the sums over all duals stay, while
the rows, their duals and the bits that say which are active come and go. An epoch visits the blocks
in random order, and sweeps once over the active rows of each. A block none of whose rows is active
is not even read. At the end of an epoch the intercept moves, and when the estimates say that it may
pass, or the epochs have doubled, a pass over all blocks certifies the gap and wakes the rows that
were left out wrongly.

The duals of an unregularized intercept have to add up to 0. What is too much is taken off the duals
of a block, or of as many as it takes: near the optimum it is little.

Rows of a block are always visited together, and w is made for those that came last. Where blocks
are few, that is an oscillation which dies slowly: 20news with the hinge took 209 epochs to a gap of
1e-3 in 2 blocks, 128 in 16, 50 in 64, 32 in 128 and 18 in one. More sweeps over a block, as the
paper below has them, saved no epochs there. So blocks had better be many, and where they are small
some are taken together, others in each epoch.

Memory: w, and what `blocks` holds at a time. Complexity: an epoch is a sweep, and at most one
reading of all blocks; a certificate costs about as much.

Sources: Yu, Hsieh, Chang, Lin, "Large linear classification when data cannot fit in memory", KDD
2010, section 4 (a block at a time, in random order), with shrinking across blocks and a certificate
added.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import numpy as np

from .._core import kernels
from .._result import Fit
from .._validate import squared_norms
from ..stop import HISTORY_DTYPE, Monitor, State
from ._descent import BLOCK, FIRST_FACTOR, WARM_EPOCHS, small_feature

# Shares of a block's duals that may be taken off to make them feasible: first little of each.
REPAIRS = (0.1, 0.5, 1.0)
WAIT = 8  # epochs after which there is an epoch more between certificates
FORCED = 8  # epochs until the first certificate whatever the estimates say


class Block(NamedTuple):
    """Rows, and what belongs to them: see `DualCD`."""

    numbers: list[int]  # of the blocks that these rows are, one after the other
    ends: np.ndarray  # (len(numbers),) of each
    rows: Any
    codes: np.ndarray
    cost: np.ndarray | None
    alpha: np.ndarray  # (n, lanes), worked in
    awake: np.ndarray | None


class Blocks(Protocol):
    """Where blocks come from and their duals go."""

    def visits(self, order: Iterable[int]) -> Iterator[Block]:
        """The blocks of these numbers, one or some at a time."""

    def keep(
        self, block: Block, awake: np.ndarray, snapshot: Callable[[], dict[str, Any]] | None
    ) -> None:
        """Keep the duals of these rows.

        `snapshot` makes the state that goes with them and with all that were kept before: after a
        crash both are there, or neither. Without it only `awake` has changed since `flush`.
        """

    def flush(self, snapshot: Callable[[], dict[str, Any]]) -> None:
        """Let what was kept outlast a crash."""


def solve(
    blocks: Blocks,
    n_rows: np.ndarray,
    d: int,
    *,
    loss: str,
    C: float,
    weights: np.ndarray,
    mean_sq: float,
    intercept: str,
    scaling: float,
    tol: float,
    max_iter: int,
    max_time: float | None,
    threads: int,
    seed: int,
    monitor: Monitor,
    state: dict[str, Any] | None = None,
) -> Fit:
    """Solve one binary problem (two classes) or all one-vs-rest problems.

    Parameters
    ----------
    blocks : Blocks
    n_rows : int ndarray (B,)
        Rows of each block.
    d : int
    loss : {"hinge", "squared_hinge"}
    C : float
        C_i of all rows of blocks whose cost is None.
    weights : float64 ndarray (K,)
        sum C_i of each class.
    mean_sq : float
        Mean squared norm of the rows.
    intercept, scaling, tol, max_iter, max_time, threads, seed, monitor
        As `dual_cd.solve` has them.
    state : dict, optional
        As `keep` was given it: where to go on.

    Returns
    -------
    Fit
        Without duals. Ctrl-C ends with status "interrupted".
    """
    run = _Run(blocks, n_rows, d, loss, C, weights, mean_sq, intercept, scaling, tol, max_iter,
               max_time, threads, seed, monitor)  # fmt: skip
    if state is not None:
        run.restore(state)
    return run.to_the_end()


def _member(state: Any, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array of a state that was kept, if it is of this shape and type."""
    value = np.asarray(state[name])
    if value.shape != shape or value.dtype != dtype:
        raise ValueError(f"member {name!r} of the checkpoint has shape {value.shape} and dtype "
                         f"{value.dtype}; expected {shape} and {np.dtype(dtype)}: delete this "
                         "checkpoint")
    return value


class _Run:
    """A solution under way: `restore` of what `snapshot` gave makes it go on from there."""

    def __init__(
        self, blocks: Blocks, n_rows: np.ndarray, d: int, loss: str, C: float,
        weights: np.ndarray, mean_sq: float, intercept: str, scaling: float, tol: float,
        max_iter: int, max_time: float | None, threads: int, seed: int, monitor: Monitor,
    ) -> None:  # fmt: skip
        self.begin = perf_counter()
        self.deadline = math.inf if max_time is None else self.begin + max_time
        self.blocks, self.n_rows, self.loss, self.C = blocks, n_rows, loss, C
        self.tol, self.max_iter, self.seed, self.monitor = tol, max_iter, seed, monitor
        self.has_intercept = intercept != "none"
        lanes = 1 if len(weights) == 2 else len(weights)
        self.size = {"none": 0.0, "regularized": scaling * scaling, "unregularized": math.inf}[
            intercept]
        self.small = small_feature(self.size, float(weights.sum()), mean_sq)
        self.first = 2.0 * weights / weights.sum() - 1.0 if lanes > 1 and self.has_intercept else (
            np.zeros(lanes))
        self.lane_blocks = max(-(-lanes // BLOCK), min(threads, lanes))
        self.threads = threads
        self.W = np.zeros((d, lanes))
        self.cd: Any = None  # made with the first block
        self.lane_state: np.ndarray | None = None
        self.epoch = self.visited = self.sweeps = 0
        self.moved = False  # since the last certificate
        self.closed = False  # the epoch that `visited` belongs to
        self.live = np.ones(lanes, dtype=bool)
        self.wake = np.zeros((len(n_rows), lanes), dtype=bool)  # all rows of a block, to come
        self.active = np.array(n_rows, dtype=np.int64)
        self.certified = np.full((lanes, 3), np.nan)
        self.gap = np.full(lanes, np.inf)
        self.factor = np.full(lanes, FIRST_FACTOR[loss])  # true gap over estimated gap
        self.estimates = np.zeros((lanes, 4))
        self.forced, self.earliest = FORCED, 0
        self.history: list[tuple] = []

    SAVED = ("epoch", "visited", "closed", "live", "wake", "active", "certified", "gap", "factor",
             "estimates", "forced", "earliest")  # fmt: skip

    def snapshot(self) -> dict[str, Any]:
        """All that the rest depends on, but the duals."""
        return {name: getattr(self, name) for name in self.SAVED} | {
            "W": self.W, "lanes": self.cd.lane_state(), "sweeps": self.cd.epoch,
            "history": np.array(self.history, dtype=HISTORY_DTYPE),
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        for name in (*self.SAVED, "W", "sweeps"):
            mine = np.asarray(getattr(self, name))
            value = _member(state, name, mine.shape, mine.dtype)
            setattr(self, name, np.ascontiguousarray(value) if value.ndim else value.item())
        for name, dtype in (("lanes", np.uint8), ("history", HISTORY_DTYPE)):
            _member(state, name, np.shape(state[name])[:1] or (0,), dtype)
        self.lane_state = state["lanes"]
        self.history = [tuple(entry) for entry in state["history"].tolist()]

    def to_the_end(self) -> Fit:
        status = "max_iter"
        try:
            if self.lane_state is not None and self.live.any():
                for _ in self._visits([0]):
                    pass  # makes the kernel
            while status == "max_iter" and self.live.any():
                if not self.closed:
                    if self.epoch >= self.max_iter:
                        break
                    if not self._epoch():
                        status = "max_time"
                        break
                due = self._due()
                if due.any() and not self._certify(due):
                    status = "max_time"
                elif self._tell():
                    status = "callback"
                self.closed, self.visited = False, 0
            if self.live.any() and self.moved:
                self.deadline = math.inf  # what was reached is certified too
                self.cd.set_deadline(math.inf)
                self._certify(self.live.copy())
        except KeyboardInterrupt:
            status = "interrupted"
        finally:
            self.monitor.close()
        if not self.live.any():
            status = "converged"
        if self.cd is not None and status != "interrupted":
            self.blocks.flush(self.snapshot)
        intercept = self.certified[:, 2].copy()
        if self.cd is not None and self.live.any() and self.moved:
            now = np.empty(len(intercept))
            self.cd.intercepts(now)
            intercept = np.where(self.live, now, intercept)
        return Fit(
            coef=self.W.T, intercept=np.nan_to_num(intercept) * self.has_intercept, dual=None,
            primal=self.certified[:, 0].copy(), dual_objective=self.certified[:, 1].copy(),
            gap=self.gap.copy(), history=np.array(self.history, dtype=HISTORY_DTYPE),
            n_iter=self.epoch, converged=status == "converged", status=status,
            seconds=perf_counter() - self.begin,
        )  # fmt: skip

    # ---- inside ----------------------------------------------------------------------------

    def _visits(self, order: Iterable[int]) -> Iterator[Block]:
        """Blocks, each attached to the kernel while it is here."""
        for block in self.blocks.visits(order):
            rows, numbers = block.rows, block.numbers
            largest = self.C if block.cost is None else float(block.cost.max())
            parts = (rows, block.codes, squared_norms(rows, largest)[0], block.cost)
            if self.cd is None:
                self.cd = self._kernel(parts, block.alpha)
            self.cd.attach(*parts, block.alpha, block.awake,
                           self.wake[numbers].any(axis=0).astype(np.uint8))  # fmt: skip
            yield block

    def _kernel(self, parts: tuple, alpha: np.ndarray) -> Any:
        module = kernels("dual_cd")
        rows, codes, sqnorm, cost = parts
        cd = module.DualCD(
            rows, codes, sqnorm, cost, self.C, module.LOSS_CODES[self.loss], alpha, self.W,
            self.lane_blocks, False, self.size, self.small, self.seed, self.threads, self.deadline,
        )  # fmt: skip
        cd.poll = self.monitor.poll
        if self.lane_state is not None:
            cd.set_lane_state(self.lane_state, self.live.astype(np.uint8), self.sweeps)
        elif self.has_intercept:
            cd.begin_at(self.first)
        return cd

    def _epoch(self) -> bool:
        """Visit the blocks that have something to do. False if out of time."""
        order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self.n_rows))
        todo = [int(b) for b in order[self.visited:] if self.active[b] or self.wake[b].any()]
        place = {int(b): i + 1 for i, b in enumerate(order)}
        if self.visited == 0 and self.cd is not None:
            self.cd.open_epoch()
        for block in self._visits(todo):
            self.moved = True
            in_time = self.cd.visit()
            self._count(block)
            self.visited = place[block.numbers[-1]]
            self.blocks.keep(block, self.cd.awake, self.snapshot)
            if not in_time or perf_counter() > self.deadline:
                return False
        targets = self.tol / self.factor
        woken = self.cd.close_epoch(targets, self.estimates, self.epoch >= WARM_EPOCHS)
        self.wake[:, woken.astype(bool)] = True
        self.epoch += 1
        self.closed, self.visited = True, len(order)
        near = self.estimates
        self.history.append(
            (self.epoch, perf_counter() - self.begin, near[:, 2].sum(), near[:, 3].sum(),
             near[:, 0].max(), int(self.active.sum()), False))  # fmt: skip
        return True

    def _count(self, block: Block) -> None:
        """Take down how many rows are active after a visit."""
        self.wake[block.numbers] = False
        self.active[block.numbers] = np.diff(self.cd.active_before(block.ends), prepend=0)

    def _due(self) -> np.ndarray:
        """Lanes to certify now."""
        if self.epoch >= self.forced or self.epoch == self.max_iter:
            self.forced = 2 * self.epoch
            return self.live.copy()
        ready = self.live & (self.estimates[:, 1] > 0)
        enough = 2 * ready.sum() >= self.live.sum() and self.epoch >= self.earliest
        return ready if enough else np.zeros_like(ready)

    def _certify(self, chosen: np.ndarray) -> bool:
        """The true gap of these lanes, by a pass over all blocks. False if out of time."""
        cd, every = self.cd, np.random.default_rng((self.seed, self.epoch)).permutation(
            len(self.n_rows))
        cd.pick(chosen.astype(np.uint8))
        for most in REPAIRS:
            if not cd.excess().any():
                break
            for block in self._visits(every[::-1].tolist()):  # those visited last come first
                in_time = cd.repair(most)
                self.blocks.keep(block, cd.awake, self.snapshot)
                if not in_time:
                    return False
                if not cd.excess().any():
                    break
        self.blocks.flush(self.snapshot)
        before, whole, active = cd.lane_state(), False, self.active.sum()
        cd.open_certificate()
        try:
            for block in self._visits(range(len(self.n_rows))):
                if not cd.examine():
                    return False
                self._count(block)
                self.blocks.keep(block, cd.awake, None)
            whole = True
        finally:
            if not whole:  # the sums of duals are what they were
                cd.set_lane_state(before, self.live.astype(np.uint8), cd.epoch)
        cd.close_certificate(self.certified)
        self.moved &= not (chosen >= self.live).all()
        primal, dual = self.certified[:, 0], self.certified[:, 1]
        gap = np.maximum(primal - dual, 0.0) / np.maximum(np.abs(primal), 1e-300)
        self.gap[chosen] = gap[chosen]
        factor = self.gap / np.maximum(self.estimates[:, 0], 1e-300)
        # Rows that had been left out wrongly are put right within an epoch, and say nothing of how
        # estimates are off.
        most = 20.0 if self.active.sum() <= active else 1.0
        self.factor[chosen] = np.clip(factor, 0.05, most)[chosen]
        self.earliest = self.epoch + 1 + self.epoch // WAIT
        done = chosen & (self.gap <= self.tol)
        self.live &= ~done
        cd.freeze(done.astype(np.uint8))
        if np.isfinite(self.gap).all():
            entry = (self.epoch, perf_counter() - self.begin, primal.sum(), dual.sum(),
                     self.gap.max(), int(self.active.sum()), True)  # fmt: skip
            self.history[-1:] = [entry]
        return True

    def _tell(self) -> bool:
        return bool(self.history) and self.monitor.update(State(*self.history[-1]))
