# SPDX-License-Identifier: BSD-3-Clause
"""Graphs, such as grids of pixels, with one of two labels for each node."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _validate as check
from ..solvers._blocks import Compiled
from ._parts import Layout, Parts, gathered_labels, gathered_sequences, pairs_of


class Graph(Parts):
    r"""A label, 0 or 1, for each node of a graph; labels of neighbours have weights together.

    An example is a pair (x, edges): rows of the nodes' features, and pairs of nodes (see `grid`).
    The score of labels y is

    .. math:: \sum_r \mathrm{coef}_{y_r} \cdot x_r + b_{y_r} + \sum_{(r, q)} T_{y_r y_q}

    and w is coef (2, d), T (2, 2) and b, one after the other. Where neighbours attract each other,
    T_00 + T_11 >= T_01 + T_10, inference is a minimum cut and exact. Else it is the linear
    relaxation, by roof duality: labels may be halves, and its maximum is a bound from above. A fit
    then minimises the relaxed objective, an upper bound on the true one, to a true duality gap;
    predictions have no halves: these labels are chosen one by one until no change of a single one
    is better.

    Parameters
    ----------
    n_states : int, default 2
        Labels; there cannot be more.
    cost : (2, 2) array-like or None, default None
        cost[y, other]: of taking `other` for y, not negative, 0 on the diagonal; None: 1.

    Examples
    --------
    >>> import numpy as np
    >>> from hingex.structured import Graph, StructuredSVM
    >>> rng = np.random.default_rng(0)
    >>> true = np.repeat(np.arange(8) > 3, 8).astype(int)
    >>> picture = (true + rng.normal(size=64)[:, None].T).T.reshape(64, 1)
    >>> svm = StructuredSVM(Graph(), C=1.0).fit([(picture, Graph.grid(8, 8))], [true])
    >>> svm.score([(picture, Graph.grid(8, 8))], [true])
    1.0
    """

    def __init__(self, n_states: int = 2, *, cost: Any = None) -> None:
        self.n_states = n_states
        self.cost = cost

    @staticmethod
    def grid(height: int, width: int) -> np.ndarray:
        """Edges between neighbours in a grid whose nodes are numbered row by row: (edges, 2)."""
        node = np.arange(height * width).reshape(height, width)
        across = np.column_stack([node[:, :-1].ravel(), node[:, 1:].ravel()])
        return np.concatenate([across, np.column_stack([node[:-1].ravel(), node[1:].ravel()])])

    @property
    def _kind(self) -> str:
        return "graph"

    def _n_counts(self, K: int) -> int:
        return 6

    def _counts(self, y: np.ndarray, K: int, layout: Layout) -> np.ndarray:
        ends = y[layout.joined["edges"]]
        pairs = np.bincount(2 * ends[:, 0] + ends[:, 1], minlength=4)
        return np.concatenate([pairs, np.bincount(y, minlength=2)]).astype(np.float64)

    def _states_of(self, w: np.ndarray, d: int) -> int:
        if w.shape != (2 * d + 6,):
            raise ValueError(f"w has shape {w.shape}, which does not fit {d} features")
        return 2

    def _sized(self, y: np.ndarray, Y: Any) -> int:
        if self.n_states != 2:
            raise ValueError(f"n_states must be 2 for Graph; got {self.n_states!r}")
        return 2

    def _gathered(self, X: Any, lengths: Any, owner: str) -> Layout:
        if lengths is not None:
            raise ValueError("lengths is for sequences; examples of Graph are pairs (x, edges)")
        return graph_layout(X, owner)

    def _labels(self, Y: Any, start: np.ndarray, stacked: bool) -> np.ndarray:
        return gathered_labels(Y, start, stacked)

    def _nodes(self, layout: Layout) -> np.ndarray:
        """Which of the kernels' labels are those of nodes; the others are of edges."""
        sizes, edges = np.diff(layout.start), np.diff(layout.joined["edge"])
        turn = np.tile([True, False], len(sizes))
        return np.repeat(turn, np.column_stack([sizes, edges]).ravel())

    def _own_labels(self, found: np.ndarray, layout: Layout) -> np.ndarray:
        return found[self._nodes(layout)]

    def _blocks(self, layout: Layout, y: np.ndarray | None, K: int, n_jobs: int | None,
                slack: bool = False) -> Compiled:
        nodes = self._nodes(layout)
        labels = np.zeros(len(nodes), np.int32)
        if y is not None:
            labels[nodes] = y
        return Compiled(self._kind, layout.rows, layout.start,
                        layout.start + layout.joined["edge"], labels, self._costs(2), 2, n_jobs,
                        layout.joined)


def graph_layout(X: Any, owner: str) -> Layout:
    """Examples that are pairs (x, edges)."""
    X = pairs_of(X, "(x, edges)")
    layout = gathered_sequences([x for x, _ in X], None, owner)
    parts = []
    for i, (_, given) in enumerate(X):
        size = int(layout.start[i + 1] - layout.start[i])
        edges = check.given_array(given, f"edges of example {i}")
        if edges.size == 0:
            edges = np.empty((0, 2), np.int32)
        if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind not in "iu":
            raise ValueError(f"edges of example {i} must be integers of shape (edges, 2); got "
                             f"shape {edges.shape}, dtype {edges.dtype}")
        wrong = (edges < 0) | (edges >= size)
        if wrong.any():
            e, k = np.argwhere(wrong)[0]
            raise ValueError(f"edges[{e}, {k}] of example {i} is {edges[e, k]}; its nodes are "
                             f"0 to {size - 1}")
        if (edges[:, 0] == edges[:, 1]).any():
            e = int(np.argmax(edges[:, 0] == edges[:, 1]))
            raise ValueError(f"edges[{e}] of example {i} joins node {edges[e, 0]} with itself")
        parts.append(np.ascontiguousarray(edges, dtype=np.int32))
    ends = np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)])
    return layout._replace(joined={"edges": np.concatenate(parts), "edge": ends})
