# SPDX-License-Identifier: BSD-3-Clause
"""Graphs with any number of labels, by the linear relaxation."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import _validate as check
from .._estimator import Estimator
from ._graph import graph_layout

WHOLE = 1e-6  # from 0 and 1, of numbers that are taken for these
SWEEPS = 100


class Marginals(NamedTuple):
    """An output of the relaxation: parts of labels."""

    nodes: np.ndarray  # (nodes, n_states), rows that add up to 1
    edges: np.ndarray  # (edges, n_states, n_states), with the nodes' parts as their sums


class GraphLP(Estimator):
    r"""A label for each node of any graph; labels of neighbours have weights together.

    An example is a pair (x, edges), as for `Graph`, the score of labels y

    .. math:: \sum_r \mathrm{coef}_{y_r} \cdot x_r + b_{y_r} + \sum_{(r, q)} T_{y_r y_q}

    and w is coef (n_states, d), T (n_states, n_states) and b, one after the other. Inference is the
    linear program over the local polytope, by SciPy's HiGHS, whose maximum is a bound from above
    (see `bound`) and which is exact for trees, and often elsewhere. A fit minimises the relaxed
    objective, an upper bound on the true one, to a true duality gap. Predictions are whole: of each
    node the label with the largest part, and then the best one while any change of one is better.
    For two labels `Graph` does the same much faster; `Tree` is for trees.

    Parameters
    ----------
    n_states : int
        Labels, 0 to n_states - 1.

    Notes
    -----
    The loss is the number of wrong labels, of parts of labels in proportion. A program has
    nodes n_states + edges n_states^2 variables.

    References
    ----------
    T. Finley and T. Joachims, "Training structural SVMs when exact inference is intractable", ICML
    2008: why relaxations, which contain all outputs, are safe to train with.

    Examples
    --------
    >>> import numpy as np
    >>> from hingex.structured import GraphLP, StructuredSVM
    >>> X = [(np.eye(3), [[0, 1], [1, 2], [0, 2]])]
    >>> StructuredSVM(GraphLP(3), C=10.0).fit(X, [[0, 1, 2]]).predict(X)[0].tolist()
    [0, 1, 2]
    """

    def __init__(self, n_states: int) -> None:
        self.n_states = n_states

    def joint_feature(self, x: Any, y: Any) -> np.ndarray:
        """phi(x, y), for labels or `Marginals`."""
        X, edges = self._example(x)
        nodes, pairs = self._parts(y, edges, len(X))
        return np.concatenate([
            (nodes.T @ X).ravel(), pairs.sum(axis=0).ravel(), nodes.sum(axis=0)])

    def loss(self, y: Any, y_other: Any) -> float:
        """How many labels y_other (labels, or `Marginals`) has wrong."""
        y = np.ravel(y)
        if isinstance(y_other, Marginals):
            return float(max(len(y) - y_other.nodes[np.arange(len(y)), y].sum(), 0.0))
        return float(np.count_nonzero(y != np.ravel(y_other)))

    def inference(self, x: Any, w: Any) -> np.ndarray:
        """Labels of a high score, (nodes,): the best ones where the relaxation is exact."""
        X, edges = self._example(x)
        u, T = self._scores(X, w)
        found = _solve(u, T, edges)[0]
        y = found.nodes.argmax(axis=1)
        if _whole(found):
            return y
        for _ in range(SWEEPS):
            moved = False
            for r in range(len(y)):
                here = u[r] + T[:, y[edges[edges[:, 0] == r, 1]]].sum(axis=1)
                here = here + T[y[edges[edges[:, 1] == r, 0]]].sum(axis=0)
                best = int(here.argmax())
                if here[best] > here[y[r]]:
                    y[r], moved = best, True
            if not moved:
                break
        return y

    def loss_augmented_inference(self, x: Any, y: Any, w: Any) -> Any:
        """Labels or `Marginals` of the highest score plus loss(y, output), over the relaxation."""
        X, edges = self._example(x)
        u, T = self._scores(X, w)
        true = self._labels(y, len(X))
        own = u[np.arange(len(u)), true].sum() + T[true[edges[:, 0]], true[edges[:, 1]]].sum()
        added = u + 1.0
        added[np.arange(len(u)), true] -= 1.0
        found, value = _solve(added, T, edges)
        if value <= own:  # by rounding
            return true
        return found.nodes.argmax(axis=1) if _whole(found) else found

    def bound(self, x: Any, w: Any) -> float:
        """The maximum of the relaxation: no labels have a higher score."""
        X, edges = self._example(x)
        return _solve(*self._scores(X, w), edges)[1]

    def _example(self, x: Any) -> tuple[np.ndarray, np.ndarray]:
        layout = graph_layout([x], type(self).__name__)
        table = check.table_of(layout.rows)
        table = table.toarray() if check.is_sparse(table) else table
        return table, layout.joined["edges"]

    def _labels(self, y: Any, n: int) -> np.ndarray:
        y, K = np.asarray(y), check.integer("n_states", self.n_states)
        if y.shape != (n,) or y.dtype.kind not in "iu" or (y < 0).any() or (y >= K).any():
            raise ValueError(f"labels must be {n} integers, 0 to {K - 1}; got {check._show(y)}")
        return y

    def _parts(self, y: Any, edges: np.ndarray, n: int) -> Marginals:
        if isinstance(y, Marginals):
            return y
        y, one = self._labels(y, n), np.eye(self.n_states)
        ends = one[y[edges]]
        return Marginals(one[y], ends[:, 0, :, None] * ends[:, 1, None, :])

    def _scores(self, X: np.ndarray, w: Any) -> tuple[np.ndarray, np.ndarray]:
        w, K, d = np.asarray(w, np.float64), check.integer("n_states", self.n_states), X.shape[1]
        if w.shape != (K * d + K * K + K,):
            raise ValueError(f"w has shape {w.shape}, which does not fit {d} features and "
                             f"n_states={K}")
        coef, T, b = np.split(w, [K * d, K * d + K * K])
        return X @ coef.reshape(K, d).T + b, T.reshape(K, K)


def _whole(found: Marginals) -> bool:
    return bool((np.minimum(found.nodes, 1 - found.nodes) < WHOLE).all())


def _solve(u: np.ndarray, T: np.ndarray, edges: np.ndarray) -> tuple[Marginals, float]:
    """The linear program; its maximum."""
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    n, K = u.shape
    m = len(edges)
    node = np.arange(n * K).reshape(n, K)
    pair = n * K + np.arange(m * K * K).reshape(m, K, K)
    # Nodes add up to 1; edges to the parts of either end.
    rows, columns, signs = [np.repeat(np.arange(n), K)], [node.ravel()], [np.ones(n * K)]
    for side in range(2):
        own = n + (side * m + np.arange(m))[:, None] * K + np.arange(K)
        turned = pair if side == 0 else pair.transpose(0, 2, 1)
        rows += [np.repeat(own.ravel(), K), own.ravel()]
        columns += [turned.ravel(), node[edges[:, side]].ravel()]
        signs += [np.ones(m * K * K), -np.ones(m * K)]
    A = coo_array((np.concatenate(signs), (np.concatenate(rows), np.concatenate(columns))),
                  shape=(n + 2 * m * K, n * K + m * K * K)).tocsr()
    b = np.concatenate([np.ones(n), np.zeros(2 * m * K)])
    c = np.concatenate([u.ravel(), np.tile(T.ravel(), m)])
    found = linprog(-c, A_eq=A, b_eq=b, bounds=(0, 1), method="highs")
    if found.x is None:
        raise RuntimeError(f"the linear program of {n} nodes and {m} edges was not solved: "
                           f"{found.message}")
    parts = np.clip(found.x, 0, 1)
    return Marginals(parts[: n * K].reshape(n, K), parts[n * K :].reshape(m, K, K)), float(
        c @ parts)
