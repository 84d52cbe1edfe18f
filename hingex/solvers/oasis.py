# SPDX-License-Identifier: BSD-3-Clause
"""OASIS: a bilinear similarity of sparse rows, by passive-aggressive steps on triplets.

Each triplet (p, q, r) asks for S(p, q) >= 1 + S(p, r), S(p, q) = p^T W q; the steps are told in
`src/hingex/_oasis.pyx`. W is the identity but for a block B over chosen features, those of the
largest sums of squares: the memory is that of B, and what is left out keeps its part in the dot
product.

Stopping: the mean loss of an epoch's triplets, each before its step, costs nothing. It is that of
triplets not seen before where they are drawn. When it has not fallen by a share `tol` for some
epochs, that is enough. There is no optimum that the steps go to, and so no gap.

Complexity: O(nonzeros of p times those of q and r) a step. Memory: B, and O(d).

Source: G. Chechik, V. Sharma, U. Shalit, S. Bengio, "Large scale online learning of image
similarity through ranking", JMLR 11, 2010.
"""

from __future__ import annotations

import math
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from .._core import kernels
from ..stop import HISTORY_DTYPE, Monitor, State


class Triplets(NamedTuple):
    """What is learned from: triplets as they are, or rows by class from which they are drawn."""

    given: np.ndarray | None  # int64 (m, 3)
    member: np.ndarray | None = None  # int32: rows, class after class
    start: np.ndarray | None = None  # int64 (K + 1,): where each class begins


class Learned(NamedTuple):
    """How the work ended; B has been changed in place."""

    history: np.ndarray
    n_iter: int
    n_steps: int
    status: str  # "converged", "max_iter", "max_time", "callback", "interrupted"


def of_classes(codes: np.ndarray) -> Triplets:
    """Triplets to be drawn: p at random, q of its class, r of another. Classes of one row have
    their turn as r only."""
    counts = np.bincount(codes)
    pairs_first = np.argsort(counts < 2, kind="stable")
    turn = np.empty_like(pairs_first)
    turn[pairs_first] = np.arange(len(counts))
    member = np.argsort(turn[codes], kind="stable").astype(np.int32)
    return Triplets(None, member, np.concatenate([[0], np.cumsum(counts[pairs_first])]))


def chosen_features(rows: Any, count: int) -> np.ndarray:
    """The features of the largest sums of squares, largest first; the first ones among equals."""
    values, indices, _ = rows.arrays
    if indices is None:
        squares = np.einsum("ij,ij->j", values, values, dtype=np.float64)
    else:
        used = slice(0, rows.nnz)
        squares = np.bincount(indices[used], np.square(values[used], dtype=np.float64), rows.d)
    return np.argsort(-squares, kind="stable")[:count]


def learn(
    B: np.ndarray,
    rows: Any,
    features: np.ndarray,
    triplets: Triplets,
    *,
    C: float,
    epoch: int,
    max_iter: int,
    max_time: float | None,
    tol: float,
    patience: int,
    seed: int,
    monitor: Monitor,
) -> Learned:
    """Steps of OASIS.

    Parameters
    ----------
    B : ndarray (k, k) of float32 or float64
        Changed in place, also by a fit that is interrupted.
    rows : Rows
    features : ndarray (k,)
        Of B.
    triplets : Triplets
    C : float
        Longest step.
    epoch : int
        Triplets that are drawn for an epoch; without effect on those given, all of which it has.
    max_iter, max_time, tol, patience
        Limits, and epochs without progress by `tol` after which it is enough.
    seed : int
        Triplets of epoch e, or their order, are those of (seed, e).
    monitor : Monitor

    Returns
    -------
    Learned
    """
    begin = perf_counter()
    deadline = math.inf if max_time is None else begin + max_time
    place = np.full(rows.d, -1, np.int32)
    place[features] = np.arange(len(features), dtype=np.int32)
    steps = kernels("oasis").Steps(rows, place, len(features), C)
    steps.poll = monitor.poll
    history: list[tuple] = []
    best, since, done, status = math.inf, 0, 0, "max_iter"
    try:
        while len(history) < max_iter:
            total, lost, made = steps.epoch(
                B, triplets.member, triplets.start, triplets.given, epoch, seed, len(history),
                deadline)  # fmt: skip
            done += made
            mean = total / made
            if not math.isfinite(mean):
                raise FloatingPointError("similarities grew beyond float64: scale the features, or "
                                         "lower C")
            now = State(len(history) + 1, perf_counter() - begin, mean, math.nan, math.nan, lost,
                        False)  # fmt: skip
            history.append(tuple(now))
            if monitor.update(now):
                status = "callback"
                break
            if now.seconds > deadline - begin:
                status = "max_time"
                break
            progress = mean < best * (1 - tol)
            best, since = (mean, 0) if progress else (best, since + 1)
            if mean == 0 or since >= patience:
                status = "converged"
                break
    except KeyboardInterrupt:
        status = "interrupted"
    finally:
        monitor.close()
    return Learned(np.array(history, dtype=HISTORY_DTYPE), len(history), done, status)
