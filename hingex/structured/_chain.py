# SPDX-License-Identifier: BSD-3-Clause
"""Sequences with a label for each element, of which neighbours matter."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._parts import Layout, Parts, gathered_labels, gathered_sequences


class Chain(Parts):
    r"""A label for each element of a sequence; labels of neighbours have weights together.

    The score of labels y for a sequence of rows x is

    .. math:: \sum_r \mathrm{coef}_{y_r} \cdot x_r + \sum_r T_{y_r y_{r+1}} + s_{y_1} + e_{y_L}

    and w is coef (n_states, d), T (n_states, n_states), s and e, one after the other. Inference is
    Viterbi's algorithm, O(L n_states^2); of several best outputs it takes the one whose last label
    is least, then the one before... With slack rescaling it is the same for each number of wrong
    labels, O(L^2 n_states^2) with as much memory as L^2 n_states numbers.

    Parameters
    ----------
    n_states : int or None, default None
        Labels, 0 to n_states - 1; None for as many as there are in `fit`.
    cost : array-like (n_states, n_states) or None, default None
        cost[y, other]: of taking `other` for y, not negative, 0 on the diagonal. None: 1 for each
        wrong label (Hamming).

    Examples
    --------
    >>> import numpy as np
    >>> from hingex.structured import Chain, StructuredSVM
    >>> X = [np.array([[1.0], [0.2], [-1.0]]), np.array([[-1.0]])]
    >>> svm = StructuredSVM(Chain(), C=10.0).fit(X, [[1, 1, 0], [0]])
    >>> [y.tolist() for y in svm.predict(X)]
    [[1, 1, 0], [0]]
    """

    def __init__(self, n_states: int | None = None, *, cost: Any = None) -> None:
        self.n_states = n_states
        self.cost = cost

    @property
    def _kind(self) -> str:
        return "chain"

    def _check_slack(self) -> None:
        if self.cost is not None:
            raise ValueError('rescaling="slack" of Chain counts wrong labels: cost must be None')

    def _n_counts(self, K: int) -> int:
        return K * K + 2 * K

    def _counts(self, y: np.ndarray, K: int, layout: Layout) -> np.ndarray:
        pairs, ends = np.zeros((K, K)), np.zeros((2, K))
        np.add.at(pairs, (y[:-1], y[1:]), 1.0)
        ends[0, y[0]] = ends[1, y[-1]] = 1.0
        return np.concatenate([pairs.ravel(), ends.ravel()])

    def _gathered(self, X: Any, lengths: Any, owner: str) -> Layout:
        return gathered_sequences(X, lengths, owner)

    def _labels(self, Y: Any, start: np.ndarray, stacked: bool) -> np.ndarray:
        return gathered_labels(Y, start, stacked)
