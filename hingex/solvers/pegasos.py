# SPDX-License-Identifier: BSD-3-Clause
"""Pegasos: stochastic subgradient steps, for data that are read a few times only.

Problem, for each lane (one class against the rest, y_i = +-1):

    min  lam / 2 (||w||^2 + b^2 / size) + 1/n sum_i c_i phi(y_i (w.x_i + b))

which with lam = 1 / (C n) is that of the batch solvers, divided by C n. The steps, the average of
the w_t and the passive-aggressive rule are told in `src/hingex/_pegasos.pyx`.

The length of the steps, 1 / (lam (t + delay)), has no parameter to be tuned: as in L. Bottou's
schedule it begins where a step moves the score of a row by about as much as its loss can use,

    lam delay = L mean_i (||x_i||^2 + constant^2)

with L the smoothness of the loss, or 1 for losses without one, and falls as 1 / (lam t).

Stopping: the objective as seen in an epoch, lam / 2 ||w||^2 plus the mean loss of each row when it
was visited, costs nothing. When it has not fallen by a share `tol` for some epochs, that is enough.
It is no bound; for a certified gap take the batch solvers. An epoch of objective 0 has found no
loss and made no step, nor will the next: only an average still changes.

Complexity: O(nonzeros K) an epoch. Memory: two numbers for each weight with the average, or one.
"""

from __future__ import annotations

import math
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from .._core import kernels
from .._validate import squared_norms
from ..stop import HISTORY_DTYPE, Monitor, State

# An unregularized intercept moves as the weight of a feature of this size, next to the rows' root
# mean square: nothing damps it, and steps as long as those of the weights would make it swing.
INTERCEPT = 0.1

OVERFLOW = (
    "the weights grew beyond float64: scale the features, or use a loss that grows no faster than "
    "linearly, such as hinge or logistic"
)


class Learned(NamedTuple):
    """What some epochs have come to."""

    history: np.ndarray
    n_iter: int
    status: str  # "converged", "max_iter", "max_time", "callback", "interrupted"


def make(
    d: int,
    lanes: int,
    *,
    loss: Any,
    rule: str,
    alpha: float,
    C: float,
    mean_square: float,
    intercept: str,
    scaling: float,
    batch: int,
    average: bool,
    projection: bool,
    weight: float,
    single: bool,
    threads: int,
) -> Any:
    """The state of a model that has learned nothing.

    Parameters
    ----------
    d, lanes : int
    loss : MarginLoss
        Convex.
    rule : {"pegasos", "PA", "PA-I", "PA-II", "AROW"}
    alpha : float
        lam; 0 for rules without a penalty.
    C : float
        Aggressiveness of PA-I and PA-II; r of AROW.
    mean_square : float
        Mean squared norm of rows.
    intercept : {"none", "regularized", "unregularized"}
    scaling : float
        Value of the constant feature of a regularized intercept.
    batch : int
    average, projection : bool
        The projection is onto the ball that the optimum lies in: ||w||^2 <= 2 c phi(0) / lam,
        c = weight, and half of that for the hinge.
    weight : float
        Mean of the rows' weights.
    single : bool
        Whether X is of single precision.
    threads : int
    """
    constant = {
        "none": 0.0,
        "regularized": scaling,
        "unregularized": INTERCEPT * math.sqrt(mean_square),
    }[intercept]
    lam = alpha or 1.0
    smooth = loss.smoothness if 0 < loss.smoothness < math.inf else 1.0
    delay = max(smooth * (mean_square + constant * constant) / lam, 1.0)
    radius = math.inf
    if projection:
        share = 1.0 if type(loss).__name__ == "Hinge" else 2.0
        radius = math.sqrt(share * weight * float(loss.value([1.0], [0.0])) / lam)
    return kernels("pegasos").Stochastic(
        d, lanes, loss._terms, kernels("pegasos").RULES[rule], lam, delay, radius, C, constant,
        intercept == "regularized", batch, average, single, threads,
    )  # fmt: skip


def run(
    state: Any,
    rows: Any,
    codes: np.ndarray,
    weight: np.ndarray | None,
    *,
    alpha: float,
    size: float,
    needs_norms: bool,
    max_iter: int,
    max_time: float | None,
    tol: float,
    patience: int,
    score: Any,
    average: bool,
    seed: int,
    first: int,
    monitor: Monitor,
) -> Learned:
    """Epochs over one set of rows.

    Parameters
    ----------
    state : hingex._pegasos.Stochastic
        Changed; after Ctrl-C or `max_time` it is that after the last whole step.
    rows, codes, weight : Rows, int32 ndarray (n,), float64 ndarray (n,) or None
    alpha, size : float
        Of the objective; size infinite for an unregularized intercept or none.
    needs_norms : bool
        Whether the steps need squared norms of the rows.
    max_iter : int
        Epochs.
    max_time : float or None
    tol : float
        Share of the objective, or of 1 where there is a `score`, that counts as progress. Without
        a penalty the objective may go to 0 for ever: then tol^2 is the least that counts.
    patience : int
        Epochs without progress after which it is enough.
    score : callable or None
        The quality of the model as it is, which then takes the place of the objective.
    average : bool
        Whether the result is an average of the epochs' weights.
    seed, first : int
        The epochs' orders are those of (seed, first), (seed, first + 1)...
    monitor : Monitor
    """
    begin = perf_counter()
    deadline = math.inf if max_time is None else begin + max_time
    norms = _norms(rows) if needs_norms else None
    state.poll = monitor.poll
    history: list[tuple] = []
    best, since, epoch, status, optimal = math.inf, 0, 0, "max_iter", False
    stopping = patience <= max_iter
    try:
        while epoch < max_iter:
            late = perf_counter() > deadline and epoch > 0
            if late or not state.epoch(rows, codes, weight, norms, seed, first + epoch, deadline):
                status = "max_time"
                break
            epoch += 1
            objective = 0.5 * alpha * state.penalty(size) + float(state.losses.sum()) / rows.n
            now = State(epoch, perf_counter() - begin, objective, math.nan, math.nan, rows.n, False)
            history.append(tuple(now))
            if not math.isfinite(objective):
                raise FloatingPointError(OVERFLOW)
            if monitor.update(now):
                status = "callback"
                break
            cost = objective if score is None else -score()
            scale = 1.0 if score is not None else abs(best) if alpha else max(abs(best), tol)
            progress = cost < best - tol * scale
            if progress or not math.isfinite(best):
                best, since = cost, 0
            else:
                since += 1
            optimal = score is None and objective == 0
            if since >= patience or (optimal and not average and stopping):
                status = "converged"
                break
        if status == "max_iter" and optimal and stopping:
            status = "converged"
    except KeyboardInterrupt:
        status = "interrupted"
    finally:
        monitor.close()
    return Learned(np.array(history, dtype=HISTORY_DTYPE), epoch, status)


def visit(
    state: Any,
    rows: Any,
    codes: np.ndarray,
    weight: np.ndarray | None,
    *,
    needs_norms: bool,
    seed: int,
    number: int,
    deadline: float,
) -> bool:
    """One pass over a block of rows; whether time sufficed. Parameters are those of `run`."""
    norms = _norms(rows) if needs_norms else None
    return state.epoch(rows, codes, weight, norms, seed, number, deadline)


def needs_norms(rule: dict[str, Any]) -> bool:
    """Whether steps need the squared norms of rows; `rule` has parameters of `make`."""
    return rule["projection"] or rule["rule"] in ("PA", "PA-I", "PA-II")


def packed(state: Any) -> dict[str, np.ndarray]:
    """All that a state has learned, as arrays with names."""
    v, u, lanes, counts = state.arrays()
    arrays = {"v": v, "lanes": lanes, "counts": np.array(counts)}
    return arrays if u is None else arrays | {"u": u}


def unpacked(arrays: dict[str, np.ndarray]) -> tuple[Any, ...]:
    """The arguments of `Stochastic.restore` from what `packed` gave."""
    return arrays["v"], arrays.get("u"), arrays["lanes"], tuple(arrays["counts"].tolist())


def _norms(rows: Any) -> np.ndarray:
    return squared_norms(rows, 1.0)[0]
