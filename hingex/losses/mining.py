# SPDX-License-Identifier: BSD-3-Clause
"""Which triplets of a batch to learn from."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _validate as check
from .embedding import _rows, blocks, codes, distances
from .margin import _finite

__all__ = [  # all that is public here
    "mine_triplets",
]

STRATEGIES = ("all", "hard", "semi-hard", "batch-hard")


def mine_triplets(embeddings: Any, labels: Any, strategy: str = "all", *, margin: float = 1.0,
                  squared: bool = False) -> np.ndarray:
    """Triplets (anchor, positive, negative) of the embeddings, as indices.

    The positive is another embedding with the anchor's label, the negative one with another label.
    With D the Euclidean distance, or its square, the strategies take

    ========== ==================================================================================
    all        every triplet
    hard       those with D_an <= D_ap: the negative is no farther than the positive
    semi-hard  those with D_ap < D_an < D_ap + margin: the negative is farther than the positive,
               but inside the margin
    batch-hard for each anchor that has both, its farthest positive and nearest negative; of
               several the one of smallest index
    ========== ==================================================================================

    For a positive margin, hard and semi-hard together are the triplets with D_ap - D_an + margin
    > 0, those with a triplet loss.

    Parameters
    ----------
    embeddings : array-like, shape (n, d)
        Finite.
    labels : array-like, shape (n,)
        Classes: integers, strings or booleans.
    strategy : {"all", "hard", "semi-hard", "batch-hard"}, default "all"
    margin : float, default 1.0
        Of "semi-hard", in units of D; the others do not use it.
    squared : bool, default False
        Whether D is the squared distance, as in FaceNet.

    Returns
    -------
    ndarray (m, 3) of int64
        Ascending by anchor, then positive, then negative. (0, 3) if there are none.

    Raises
    ------
    ValueError
        For wrong shapes, labels or `strategy`, and for embeddings that are not finite.

    Notes
    -----
    O(n^2 (d + log n)) time for n embeddings, and time proportional to the result's size (with a
    factor of its logarithm for the order); "all" may have some n^3 triplets. Distances are made in
    double precision for blocks of anchors: besides the result and the embeddings the memory needed
    is O(n), or a few MB.

    References
    ----------
    F. Schroff, D. Kalenichenko and J. Philbin, "FaceNet: a unified embedding for face recognition
    and clustering", CVPR 2015 (semi-hard). A. Hermans, L. Beyer and B. Leibe, "In defense of the
    triplet loss for person re-identification", arXiv:1703.07737, 2017 (batch hard, batch all).

    Examples
    --------
    >>> mine_triplets([[0.0], [1.0], [1.5]], [0, 0, 1], "semi-hard")
    array([[0, 1, 2]])
    """
    check.choice("strategy", strategy, STRATEGIES)
    _finite("margin", margin)
    check.boolean("squared", squared)
    (x,) = _rows(embeddings=embeddings)
    n = len(x)
    groups = codes(labels, n, "mine_triplets")
    x = x.astype(np.float64, copy=False)
    bad = ~np.isfinite(x).all(axis=1)
    if bad.any():
        raise ValueError(f"embeddings[{int(bad.argmax())}] is not finite: it has no distances to "
                         "choose triplets by")
    found = _Rows()
    for start, stop in blocks(n, n):
        if strategy == "all":
            near = np.empty((stop - start, 0))
        else:
            near = distances(x[start:stop], x, squared)
        if strategy == "batch-hard":
            triplets = _hardest(near, groups, start)
            found.more(len(triplets))[:] = triplets
        else:
            for a in range(start, stop):
                _of_anchor(a, near[a - start], groups, strategy, margin, found)
    return found.rows()


class _Rows:
    """An array (m, 3) that grows by whole blocks of rows, without a second copy of them."""

    def __init__(self) -> None:
        self._array, self._used = np.empty((0, 3), np.int64), 0

    def more(self, count: int) -> np.ndarray:
        """The next `count` rows, to be written before there are more."""
        begin, self._used = self._used, self._used + count
        if self._used > len(self._array):
            self._array.resize((max(self._used, 3 * len(self._array) // 2), 3), refcheck=False)
        return self._array[begin:self._used]

    def rows(self) -> np.ndarray:
        """The array; there will be no more."""
        self._array.resize((self._used, 3), refcheck=False)
        return self._array


def _hardest(near: np.ndarray, groups: np.ndarray, start: int) -> np.ndarray:
    """Farthest positive and nearest negative of each anchor from `start` on."""
    anchors = np.arange(start, start + len(near))
    same = groups[anchors, None] == groups
    negative = np.where(same, np.inf, near).argmin(axis=1)
    has_negative = ~same.all(axis=1)
    same[np.arange(len(near)), anchors] = False
    positive = np.where(same, near, -1.0).argmax(axis=1)
    triplets = np.column_stack([anchors, positive, negative]).astype(np.int64, copy=False)
    return triplets[has_negative & same.any(axis=1)]


def _of_anchor(a: int, near: np.ndarray, groups: np.ndarray, strategy: str, margin: float,
               found: _Rows) -> None:
    """Add the triplets of the anchor `a`, whose distances are `near`."""
    same = groups == groups[a]
    negatives = np.flatnonzero(~same)
    same[a] = False
    positives = np.flatnonzero(same)
    if strategy == "all":
        shape = len(positives), len(negatives), 3
        out = found.more(shape[0] * shape[1]).reshape(shape)
        out[:, :, 0], out[:, :, 1], out[:, :, 2] = a, positives[:, None], negatives
        return
    # By distance, the negatives of a positive are a range of them.
    far, own = near[negatives], near[positives]
    by_distance = np.argsort(far, kind="stable")
    ordered = far[by_distance]
    hi = np.searchsorted(ordered, own, "right")
    lo = np.zeros_like(hi)
    if strategy == "semi-hard":
        lo, hi = hi, np.maximum(hi, np.searchsorted(ordered, own + margin, "left"))
    counts = hi - lo
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    if total == 0:
        return
    out = found.more(total)
    out[:, 0] = a
    out[:, 1] = np.repeat(positives, counts)
    # One sort puts all ranges into the order of indices, each range by itself.
    base = np.repeat(np.arange(len(counts)) * len(negatives), counts)
    chosen = by_distance[np.arange(total) + np.repeat(lo - (ends - counts), counts)]
    chosen += base
    chosen.sort()
    chosen -= base
    out[:, 2] = negatives[chosen]
