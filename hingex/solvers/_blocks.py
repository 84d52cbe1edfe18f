# SPDX-License-Identifier: BSD-3-Clause
"""What solvers of structured problems see: oracles over n examples, and the dual in n blocks.

    P(w) = 1/2 ||w||^2 + C sum_i max_y (Delta_i(y) - w . psi_i(y)),  psi_i(y) = phi(x_i, y_i) -
                                                                              phi(x_i, y)

With slack rescaling the loss is max_y Delta_i(y) (1 - w . psi_i(y)), and psi stands for Delta psi.

`Compiled` has the models that hingex has inference for, `Duck` any object with the methods
joint_feature, loss and loss_augmented_inference.
"""

from __future__ import annotations

import math
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import numpy as np

from .._core import kernels
from .._threads import n_shares, n_threads
from ..stop import HISTORY_DTYPE, Monitor, State

TURNS = 10  # pairwise steps in a block, at most,
ENOUGH = 0.1  # until its gap is this part of what it was
SPARE = 10  # outputs of an example without a weight that are kept
CACHED = 1 << 24  # numbers of true joint features that are kept
LONGEST = 2000  # parts of an example, up to which pairwise steps are worth their products
PRODUCTS = 1 << 26  # of parts with parts, of all examples
ROUNDING = 1e-9  # relative, of what an oracle may be worse than the truth


OVERFLOW = "the objective is beyond float64: lower C or the costs, or scale the features"


class Learned(NamedTuple):
    """What a solver comes to: w of the lowest objective, and how the work ended."""

    w: np.ndarray
    primal: float
    dual: float  # -inf without one
    gap: float  # relative; nan without a dual
    history: np.ndarray
    n_iter: int
    n_calls: int  # of loss-augmented inference
    status: str
    state: Any = None  # for a warm start


class Dual(Protocol):
    """A point of the dual and its w, which steps change in place."""

    w: np.ndarray
    gaps: np.ndarray

    def dual(self) -> float: ...

    def steps(self, order: np.ndarray, deadline: float) -> tuple[int, int]:
        """Returns the examples done, and the calls of the oracle."""


class Blocks(Protocol):
    """Examples and their oracle."""

    n: int
    size: int

    def losses(self, w: np.ndarray) -> float:
        """The sum of the losses at w."""

    def plane(self, w: np.ndarray) -> tuple[np.ndarray, float, float]:
        """(sum psi_i, sum Delta_i, sum of the losses) for the maximisers at w."""

    def start(self, C: float, step: str) -> Dual: ...

    def descend(self, w: np.ndarray, order: np.ndarray, lam: float, t: float) -> None:
        """Subgradient steps t + 1, t + 2..., which change w."""


class Compiled:
    """Examples whose inference is compiled.

    Parameters
    ----------
    kind : str
        Of `_structured.KINDS`.
    rows : Rows
    start : int64 ndarray (n + 1,)
        Rows of each example.
    label : int64 ndarray (n + 1,)
        Where the labels of each example begin.
    y : int32 ndarray
        Labels, or zeros.
    cost : ndarray (values, values)
    K : int
        Columns of W.
    n_jobs : int or None
        Shares of work; the solvers' results depend on their number, not on that of threads.
    joined : dict
        Of trees parent and order, of graphs edges and edge: see `_structured.Examples`.
    slack : bool
        Slack rescaling, for chains and multiclass.
    """

    def __init__(self, kind: str, rows: Any, start: np.ndarray, label: np.ndarray, y: np.ndarray,
                 cost: np.ndarray, K: int, n_jobs: int | None,
                 joined: dict[str, np.ndarray], slack: bool = False) -> None:
        own = kernels("structured")
        self.examples = own.Examples(
            rows, start, label, y, np.ascontiguousarray(cost), K, own.KINDS[kind],
            n_shares(n_jobs), slack=slack, threads=n_threads(n_jobs), **joined)
        self.n, self.size, self.lanes = len(start) - 1, self.examples.size, self.examples.lanes
        self.d, self.K = rows.d, K
        self.flat_size = (self.size // self.lanes) * K
        lengths = np.diff(start).astype(float)
        self.pairs = lengths.max() <= LONGEST and (lengths**2).sum() <= PRODUCTS
        self.y = np.empty(len(y), np.int32)
        self.values = np.empty(self.n)

    def watch(self, poll: Any) -> None:
        self.examples.poll = poll

    def losses(self, w: np.ndarray) -> float:
        self.examples.infer(w, True, self.y, self.values)
        return float(self.values.sum())

    def plane(self, w: np.ndarray) -> tuple[np.ndarray, float, float]:
        total = self.losses(w)
        psi = np.zeros(self.size)
        return psi, float(self.examples.combine(self.y, psi)), total

    def predict(self, w: np.ndarray) -> np.ndarray:
        """The best labels of all parts, none of them halves."""
        self.examples.whole = True
        self.examples.infer(w, False, self.y, self.values)
        self.examples.whole = False
        return self.y

    def worst(self, w: np.ndarray) -> np.ndarray:
        """The labels that violate the margins most, none of them halves."""
        self.examples.whole = True
        self.losses(w)
        self.examples.whole = False
        return self.y

    def start(self, C: float, step: str) -> Dual:
        if step == "pairwise" and self.pairs:
            return _Pairwise(self.examples, C)
        return _FrankWolfe(self.examples, C)

    def descend(self, w: np.ndarray, order: np.ndarray, lam: float, t: float) -> None:
        self.examples.descend(w, order, lam, t)

    def packed(self, flat: np.ndarray) -> np.ndarray:
        """Weights as kernels have them, from (K d of parts, those of the counts)."""
        w = np.zeros(self.size)
        used = self.K * self.d
        w[: self.d * self.lanes].reshape(self.d, self.lanes)[:, : self.K] = (
            flat[:used].reshape(self.K, self.d).T)
        rest = w[self.d * self.lanes :].reshape(-1, self.lanes)
        rest[:, : self.K] = flat[used:].reshape(-1, self.K)
        return w

    def flat(self, w: np.ndarray) -> np.ndarray:
        """The inverse of `packed`."""
        parts = w[: self.d * self.lanes].reshape(self.d, self.lanes)[:, : self.K].T
        rest = w[self.d * self.lanes :].reshape(-1, self.lanes)[:, : self.K]
        return np.concatenate([parts.ravel(), rest.ravel()])


class _FrankWolfe:
    def __init__(self, examples: Any, C: float) -> None:
        self.own = kernels("structured").FrankWolfe(examples, C)
        self.w, self.gaps, self.dual = self.own.w, self.own.gaps, self.own.dual

    def adopt(self, blocks: Compiled) -> None:
        """Go on with the same data in other arrays."""
        self.own.adopt(blocks.examples)

    def steps(self, order: np.ndarray, deadline: float) -> tuple[int, int]:
        done = self.own.steps(order, deadline)
        return done, done


class _Pairwise(_FrankWolfe):
    def __init__(self, examples: Any, C: float) -> None:
        self.own = kernels("structured").Pairwise(examples, C)
        self.w, self.gaps, self.dual = self.own.w, self.own.gaps, self.own.dual

    def steps(self, order: np.ndarray, deadline: float) -> tuple[int, int]:
        done, turns = self.own.steps(order, deadline, TURNS, ENOUGH)
        return done, done + turns


class Duck:
    """Examples of a model in Python: any object with joint_feature, loss and
    loss_augmented_inference, which are called one example after the other.

    Parameters
    ----------
    model : object
    X, Y : list
    slack : bool
        Slack rescaling, for models whose loss_augmented_inference takes the word for it.
    """

    def __init__(self, model: Any, X: list[Any], Y: list[Any], slack: bool = False) -> None:
        self.model, self.X, self.Y, self.n = model, X, Y, len(X)
        self.more = {"rescaling": "slack"} if slack else {}
        self.size = self.flat_size = len(self._feature(0, Y[0], None))
        self.poll: Any = None
        self.true: dict[int, np.ndarray] = {}
        for i, y in enumerate(Y):
            if (own := self._cost(i, y)) != 0:
                raise ValueError(f"loss(y, y) is {own:g} for example {i}; the cost of the true "
                                 "output must be 0")

    def watch(self, poll: Any) -> None:
        self.poll = poll

    def _feature(self, i: int, y: Any, size: int | None) -> np.ndarray:
        feature = self.model.joint_feature(self.X[i], y)
        feature = feature.toarray().ravel() if hasattr(feature, "toarray") else feature
        array = np.array(feature, np.float64)  # the model may use its own again
        if array.ndim != 1 or (size is not None and len(array) != size):
            raise ValueError(f"joint_feature returned shape {array.shape} for example {i}; "
                             f"expected ({'size' if size is None else size},), as for the others")
        if not np.isfinite(array).all():
            raise ValueError(f"joint_feature returned NaN or infinity for example {i}")
        return array

    def _cost(self, i: int, other: Any) -> float:
        cost = float(self.model.loss(self.Y[i], other))
        if not 0 <= cost < math.inf:
            raise ValueError(f"loss returned {cost:g} for example {i}; costs must be finite and "
                             "not negative")
        return cost

    def _truth(self, i: int) -> np.ndarray:
        if i not in self.true:
            feature = self._feature(i, self.Y[i], self.size)
            if self.n * self.size > CACHED:
                return feature
            self.true[i] = feature
        return self.true[i]

    def oracle(self, w: np.ndarray, i: int) -> tuple[np.ndarray, float, float]:
        """psi, Delta and the loss of the maximiser."""
        if self.poll is not None:
            self.poll()
        other = self.model.loss_augmented_inference(self.X[i], self.Y[i], w, **self.more)
        psi = self._truth(i) - self._feature(i, other, self.size)
        cost = self._cost(i, other)
        if self.more:
            psi *= cost
        value = cost - float(w @ psi)
        if value < -ROUNDING * max(1.0, cost) * (1.0 + float(np.abs(w * psi).sum())):
            raise ValueError(
                f"loss_augmented_inference returned for example {i} an output that is worse than "
                f"the true one: {value:g} where that has 0, so it is no maximiser. Is the true "
                "output among those it looks at?")
        return psi, cost, max(value, 0.0)

    def losses(self, w: np.ndarray) -> float:
        return sum(self.oracle(w, i)[2] for i in range(self.n))

    def plane(self, w: np.ndarray) -> tuple[np.ndarray, float, float]:
        total, cost, loss = np.zeros(self.size), 0.0, 0.0
        for i in range(self.n):
            psi, delta, value = self.oracle(w, i)
            total += psi
            cost, loss = cost + delta, loss + value
        return total, cost, loss

    def start(self, C: float, step: str) -> Dual:
        return _DuckDual(self, C, step == "pairwise")

    def descend(self, w: np.ndarray, order: np.ndarray, lam: float, t: float) -> None:
        for i in order:
            t += 1
            psi = self.oracle(w, i)[0]
            w *= 1 - 1 / t
            w += psi / (lam * t)


class _DuckDual:
    """Of each example outputs and their weights: psi, Delta, alpha.

    Pairwise steps keep outputs that have lost their weight, and go on among those kept: a call of
    the oracle may cost much more than they do.
    """

    def __init__(self, blocks: Duck, C: float, pairwise: bool) -> None:
        self.blocks, self.C, self.pairwise = blocks, C, pairwise
        n, size = blocks.n, blocks.size
        self.w = np.zeros(size)
        self.gaps = np.full(n, np.inf)
        self.psi = [np.zeros((1, size)) for _ in range(n)]
        self.cost = [np.zeros(1) for _ in range(n)]
        self.alpha = [np.ones(1) for _ in range(n)]

    def dual(self) -> float:
        total = sum(float(a @ c) for a, c in zip(self.alpha, self.cost, strict=True))
        return self.C * total - 0.5 * float(self.w @ self.w)

    def steps(self, order: np.ndarray, deadline: float) -> tuple[int, int]:
        done = 0
        for i in order.tolist():
            self._step(i)
            done += 1
            if perf_counter() > deadline:
                break
        return done, done

    def _step(self, i: int) -> None:
        psi, cost, value = self.blocks.oracle(self.w, i)
        values = self.cost[i] - self.psi[i] @ self.w
        mean = float(self.alpha[i] @ values)
        self.gaps[i] = max(self.C * (value - mean), 0.0)
        if self.gaps[i] == 0:
            return
        same = np.flatnonzero((self.cost[i] == cost) & (self.psi[i] == psi).all(axis=1))
        up = int(same[0]) if len(same) else len(self.cost[i])
        if not len(same):
            self.psi[i] = np.vstack([self.psi[i], psi])
            self.cost[i] = np.append(self.cost[i], cost)
            self.alpha[i] = np.append(self.alpha[i], 0.0)
        if self.pairwise:
            self._exchange(i)
        else:
            alpha = self.alpha[i]
            size = self._go(psi - alpha @ self.psi[i], value - mean, 1.0)
            alpha *= 1 - size
            alpha[up] += size
        self._forget(i)

    def _exchange(self, i: int) -> None:
        """Steps from the worst output with a weight to the best one kept, while they pay."""
        psi, alpha, first = self.psi[i], self.alpha[i], 0.0
        for _ in range(TURNS):
            values = self.cost[i] - psi @ self.w
            up, down = int(values.argmax()), int(np.argmin(np.where(alpha > 0, values, np.inf)))
            gain = float(values[up] - values[down])
            gap = float(values[up] - alpha @ values)
            first = first or gap
            if up == down or gain <= 0 or gap <= 0 or gap < ENOUGH * first:
                return
            most = float(alpha[down])
            size = self._go(psi[up] - psi[down], gain, most)
            alpha[up] += size
            alpha[down] = 0.0 if size >= most else most - size

    def _go(self, towards: np.ndarray, gain: float, most: float) -> float:
        """Move w by the best multiple of C `towards`, which is returned."""
        square = self.C * float(towards @ towards)
        size = most if gain >= square * most else gain / square
        self.w += self.C * size * towards
        return size

    def _forget(self, i: int) -> None:
        """Outputs without a weight, but for the last ones of pairwise steps."""
        idle = np.flatnonzero(self.alpha[i] == 0)
        spare = idle[: len(idle) - (SPARE if self.pairwise else 0)]
        if len(spare):
            kept = np.ones(len(self.alpha[i]), bool)
            kept[spare] = False
            self.psi[i], self.cost[i], self.alpha[i] = (
                self.psi[i][kept], self.cost[i][kept], self.alpha[i][kept])


class Course:
    """The way of a solver: history, clock, watchers, and the best that was found."""

    def __init__(self, size: int, tol: float, max_time: float | None, monitor: Monitor) -> None:
        self.begin = perf_counter()
        self.deadline = math.inf if max_time is None else self.begin + max_time
        self.tol, self.monitor = tol, monitor
        self.w = np.zeros(size)
        self.primal, self.dual, self.calls = math.inf, -math.inf, 0
        self.history: list[tuple] = []
        self.status = "max_iter"

    @property
    def gap(self) -> float:
        """Relative duality gap; infinite before both objectives are known."""
        if math.isinf(self.primal) or math.isinf(self.dual):
            return math.inf
        return max(self.primal - self.dual, 0.0) / max(abs(self.primal), 1e-300)

    def offer(self, w: np.ndarray, primal: float) -> None:
        if not math.isfinite(primal):
            raise FloatingPointError(OVERFLOW)
        if primal < self.primal:
            self.w[:] = w
            self.primal = primal

    def bound(self, dual: float) -> None:
        self.dual = max(self.dual, dual)

    def over(self, certified: bool, estimate: tuple[float, float] | None = None) -> bool:
        """An epoch has ended; whether the work has, too. `estimate`: primal and gap, if not."""
        now = perf_counter()
        primal, gap = (self.primal, self.gap) if estimate is None else estimate
        if math.isinf(self.dual):
            gap = math.nan
        state = State(len(self.history) + 1, now - self.begin, primal,
                      self.dual if math.isfinite(self.dual) else math.nan, gap, self.calls,
                      certified)  # fmt: skip
        self.history.append(tuple(state))
        stop = self.monitor.update(state)
        if self.gap <= self.tol:
            self.status = "converged"
        elif stop:
            self.status = "callback"
        elif now > self.deadline:
            self.status = "max_time"
        else:
            return False
        return True

    def learned(self, state: Any = None) -> Learned:
        gap = self.gap if math.isfinite(self.dual) else math.nan
        return Learned(self.w, self.primal, self.dual, gap,
                       np.array(self.history, dtype=HISTORY_DTYPE), len(self.history), self.calls,
                       self.status, state)  # fmt: skip
