# SPDX-License-Identifier: BSD-3-Clause
"""Probabilities from scores, which rank the classes as the scores do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._core import kernels

FOLDS = 5
CERTAIN = 16.0  # slope that makes a score of 1 a probability of 1 - 1e-7
LIBSVM_LEAST = 1e-7  # probability of a pair in LIBSVM
_REACH = 40.0  # logarithms of slopes are looked for so far from that of the scores' spread


def fit_slopes(f: np.ndarray, positive: np.ndarray, w: np.ndarray) -> np.ndarray:
    """(a, b) of P(y = +1) = 1 / (1 + exp(-a f)) for f <= 0, with b in the place of a above 0.

    By maximum likelihood, with Platt's targets in the place of 0 and 1. The probability is 1/2 at 0
    and rises with f; a slope for each side lets errors be as frequent on one as they are there.
    """
    rows = np.argsort(~positive, kind="stable")
    counts = np.array([np.count_nonzero(positive), np.count_nonzero(~positive)])
    return _slopes(f[:, None], rows, counts, w, False, 1)[0]


def fit_all_slopes(
    scores: np.ndarray, rows: np.ndarray, counts: np.ndarray, w: np.ndarray, threads: int
) -> np.ndarray:
    """`fit_slopes` of all pairs of K classes, for scores (n, K - 1) of which `rows` go by class.

    A row of class c has the scores of its pairs with the other classes in turn. Those of two
    classes are positive for the second one, and else for the first of a pair.
    """
    return _slopes(scores[:, :len(counts) - 1], rows, counts, w, len(counts) == 2, threads)


def _slopes(
    scores: np.ndarray, rows: np.ndarray, counts: np.ndarray, w: np.ndarray, second: bool,
    threads: int,
) -> np.ndarray:
    K, start = len(counts), np.concatenate([[0], np.cumsum(counts)])
    out = np.empty((K * (K - 1) // 2, 2))
    kernels("pair_scores").fit_slopes(
        np.ascontiguousarray(scores), rows, start, np.ascontiguousarray(w), second, out, threads)
    return out


def sigmoids(scores: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Probabilities of being positive, for scores (n, P) and slopes (P, 2)."""
    z = scores * np.where(scores > 0, slopes[:, 1], slopes[:, 0])
    small = np.exp(-np.abs(z))
    return np.where(z > 0, 1.0, small) / (1 + small)


def coupled(pairs: np.ndarray, K: int) -> np.ndarray:
    """Probabilities (n, K) that fit those of the first class of each pair (i, j), i < j.

    The p of least sum over i and j of (r_ji p_i - r_ij p_j)^2, of sum 1.
    (Wu, Lin, Weng, "Probability estimates for multi-class classification by pairwise coupling",
    JMLR 5, 2004, the second approach.)
    """
    out = np.empty((len(pairs), K))
    kernels("pair_scores").couple(np.array(pairs, dtype=np.float64, order="C"), out)
    return out


def libsvm_sigmoids(scores: np.ndarray, A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """LIBSVM's probabilities of being positive, 1 / (1 + exp(A f + B)), for scores (n, P)."""
    z = A * scores + B
    small = np.exp(-np.abs(z))
    p = np.where(z >= 0, small, 1.0) / (1 + small)
    return np.clip(p, LIBSVM_LEAST, 1 - LIBSVM_LEAST)


def libsvm_coupled(pairs: np.ndarray, K: int, order: np.ndarray) -> np.ndarray:
    """The p of `coupled` as LIBSVM comes to it, which stops short of it.

    Wu, Lin and Weng's algorithm 2: coordinate by coordinate, in the order of the classes in
    LIBSVM's model, until the conditions of the optimum hold to 0.005 / K.
    """
    i, j = np.triu_indices(K, 1)
    r = np.zeros((len(pairs), K, K))
    r[:, i, j], r[:, j, i] = pairs, 1 - pairs
    r = r[:, order][:, :, order]
    Q = -r.transpose(0, 2, 1) * r
    each = np.arange(K)
    Q[:, each, each] = (r**2).sum(axis=1)
    p = np.full((len(r), K), 1 / K)
    left = np.arange(len(r))
    for _ in range(max(100, K)):
        Qp = np.einsum("nab,nb->na", Q[left], p[left])
        mean = (p[left] * Qp).sum(axis=1)
        off = np.abs(Qp - mean[:, None]).max(axis=1) >= 0.005 / K
        left, Qp, mean = left[off], Qp[off], mean[off]
        if len(left) == 0:
            break
        mine, now = Q[left], p[left]
        for t in range(K):
            step = (mean - Qp[:, t]) / mine[:, t, t]
            now[:, t] += step
            mean = (mean + step * (step * mine[:, t, t] + 2 * Qp[:, t])) / (1 + step) ** 2
            Qp = (Qp + step[:, None] * mine[:, t]) / (1 + step)[:, None]
            now /= (1 + step)[:, None]
        p[left] = now
    out = np.empty_like(p)
    out[:, order] = p
    return out


def fit_temperature(scores: np.ndarray, codes: np.ndarray, w: np.ndarray) -> float:
    """The t of P(k) = exp(t s_k) / sum_j exp(t s_j), by maximum likelihood.

    Targets are (n + 1) / (n + K) for the true class and 1 / (n + K) for others; n is all weight.
    """
    n, K = float(w.sum()), scores.shape[1]
    target = np.full(scores.shape, 1 / (n + K))
    target[np.arange(len(codes)), codes] = (n + 1) / (n + K)

    def loss(t: float) -> float:
        z = t * scores
        top = z.max(axis=1)
        normalizer = top + np.log(np.exp(z - top[:, None]).sum(axis=1))
        return float(np.sum(w * (normalizer - (target * z).sum(axis=1))))

    return _best(loss, scores)


def softmax(scores: np.ndarray, t: float) -> np.ndarray:
    """exp(t s_k) over the sum of all."""
    p = np.exp(t * (scores - scores.max(axis=1, keepdims=True)))
    return p / p.sum(axis=1, keepdims=True)


def with_first(p: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """p where class `codes` is the first of the highest, if need be in exchange with that one."""
    first = p.argmax(axis=1)
    other = np.flatnonzero(first != codes)
    p[other, first[other]], p[other, codes[other]] = (
        p[other, codes[other]], p[other, first[other]])
    tied = np.flatnonzero(p.argmax(axis=1) != codes)
    p[tied, codes[tied]] = np.nextafter(p[tied].max(axis=1), 2.0)
    return p


def _best(loss: Callable[[float], float], scores: np.ndarray) -> float:
    """The positive slope of least loss, which is convex in it."""
    from scipy.optimize import minimize_scalar

    spread = float(np.abs(scores).mean()) if scores.size else 0.0
    if spread == 0:
        return 1.0
    start = -np.log(spread)
    found = minimize_scalar(lambda x: loss(float(np.exp(start + x))), method="bounded",
                            bounds=(-_REACH / 2, _REACH / 2), options={"xatol": 1e-10})
    return float(np.exp(start + found.x))
