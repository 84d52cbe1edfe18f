# SPDX-License-Identifier: BSD-3-Clause
"""Trees with a label for each node, which depends on that of its parent."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _validate as check
from ._parts import Layout, Parts, gathered_labels, gathered_sequences, pairs_of


class Tree(Parts):
    r"""A label for each node of a tree; labels of nodes and of their parents have weights together.

    An example is a pair (x, parents): rows of the nodes' features, and for each node the number of
    its parent, or -1 for a root; there may be several. The score of labels y is

    .. math:: \sum_r \mathrm{coef}_{y_r} \cdot x_r + \sum_{r: p_r \geq 0} T_{y_r y_{p_r}} +
              \sum_{r: p_r < 0} s_{y_r}

    and w is coef (n_states, d), T (n_states, n_states; the node's label in rows, its parent's in
    columns) and s, one after the other. Inference is max-product, O(nodes n_states^2).

    Parameters
    ----------
    n_states : int or None, default None
        Labels, 0 to n_states - 1; None for as many as there are in `fit`.
    cost : array-like (n_states, n_states) or None, default None
        cost[y, other]: of taking `other` for y, not negative, 0 on the diagonal; None: 1.

    Examples
    --------
    >>> import numpy as np
    >>> from hingex.structured import StructuredSVM, Tree
    >>> tree = (np.array([[1.0], [0.5], [-1.0]]), [-1, 0, 0])
    >>> svm = StructuredSVM(Tree(), C=10.0).fit([tree], [[1, 1, 0]])
    >>> svm.predict([tree])[0].tolist()
    [1, 1, 0]
    """

    def __init__(self, n_states: int | None = None, *, cost: Any = None) -> None:
        self.n_states = n_states
        self.cost = cost

    @property
    def _kind(self) -> str:
        return "tree"

    def _n_counts(self, K: int) -> int:
        return K * K + K

    def _counts(self, y: np.ndarray, K: int, layout: Layout) -> np.ndarray:
        parent = layout.joined["parent"]
        pairs, inner = np.zeros((K, K)), parent >= 0
        np.add.at(pairs, (y[inner], y[parent[inner]]), 1.0)
        return np.concatenate([pairs.ravel(), np.bincount(y[~inner], minlength=K)])

    def _gathered(self, X: Any, lengths: Any, owner: str) -> Layout:
        if lengths is not None:
            raise ValueError("lengths is for sequences; examples of Tree are pairs (x, parents)")
        X = pairs_of(X, "(x, parents)")
        layout = gathered_sequences([x for x, _ in X], None, owner)
        parents, orders = [], []
        for i, (_, given) in enumerate(X):
            size = layout.start[i + 1] - layout.start[i]
            parent = check.given_array(given, f"parents of example {i}")
            if parent.shape != (size,) or parent.dtype.kind not in "iu":
                raise ValueError(f"parents of example {i} must be {size} integers, one for each "
                                 f"row of its x; got shape {parent.shape}, dtype {parent.dtype}")
            if (parent < -1).any() or (parent >= size).any():
                wrong = int(np.argmax((parent < -1) | (parent >= size)))
                raise ValueError(f"parents[{wrong}] of example {i} is {parent[wrong]}; expected "
                                 f"-1 for a root, or a node, 0 to {size - 1}")
            parents.append(parent.astype(np.int32))
            orders.append(_parents_first(parents[-1], i))
        return layout._replace(joined={
            "parent": np.concatenate(parents), "order": np.concatenate(orders)})

    def _labels(self, Y: Any, start: np.ndarray, stacked: bool) -> np.ndarray:
        return gathered_labels(Y, start, stacked)


def _parents_first(parent: np.ndarray, i: int) -> np.ndarray:
    """Nodes of example i by their depth."""
    depth = np.zeros(len(parent), np.int64)
    at = parent
    for _ in range(len(parent)):
        if not (at >= 0).any():
            return np.argsort(depth, kind="stable").astype(np.int32)
        depth += at >= 0
        at = np.where(at >= 0, parent[at], -1)
    raise ValueError(f"parents of example {i} go around in a circle: node "
                     f"{int(np.flatnonzero(at >= 0)[0])} is above itself")
