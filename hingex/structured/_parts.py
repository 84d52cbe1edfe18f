# SPDX-License-Identifier: BSD-3-Clause
"""Models whose outputs are a label for each part of an example, with inference that is compiled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import _validate as check
from .._estimator import Estimator
from .._validate import as_rows, is_sparse
from ..solvers._blocks import Compiled

MOST = 1 << 20  # labels, if they are not told
RESCALINGS = ("margin", "slack")


class Layout(NamedTuple):
    """Examples as kernels read them."""

    rows: Any
    start: np.ndarray  # int64 (n + 1,): rows of each
    joined: dict[str, np.ndarray] = {}  # noqa: RUF012 of trees and graphs, as kernels name it


class Parts(Estimator):
    """Base of the models; see `Chain`.

    Score of an output: the weights coef (n_states, d) of what it marks, and counts(y) . t; w =
    (coef, t) in this order.
    """

    n_states: int | None
    cost: Any

    @property
    def _kind(self) -> str:
        """Of the kernels' kinds."""
        raise NotImplementedError

    def _n_counts(self, K: int) -> int:
        """Numbers in t."""
        raise NotImplementedError

    def _counts(self, y: np.ndarray, K: int, layout: Layout) -> np.ndarray:
        """What t is multiplied with."""
        raise NotImplementedError

    def _marked(self, table: np.ndarray, y: np.ndarray, K: int) -> np.ndarray:
        """What coef is multiplied with, (K, d)."""
        coef = np.zeros((K, table.shape[1]))
        np.add.at(coef, y, table)
        return coef

    def _gathered(self, X: Any, lengths: Any, owner: str) -> Layout:
        """Rows of all examples."""
        raise NotImplementedError

    def _single(self, x: Any) -> Layout:
        """The same of one example."""
        return self._gathered([x], None, type(self).__name__)

    def _labels(self, Y: Any, start: np.ndarray, stacked: bool) -> np.ndarray:
        """Labels of all examples, one after the other."""
        raise NotImplementedError

    def _label(self, start: np.ndarray, K: int) -> np.ndarray:
        """Where the labels of each example begin."""
        return start

    def _own_labels(self, found: np.ndarray, layout: Layout) -> np.ndarray:
        """Of what kernels found, the labels."""
        return found

    def _checked(self, y: np.ndarray, K: int) -> np.ndarray:
        """Labels as int32, if they are what the model has."""
        return _integers(y, K)

    # ---- the four methods ------------------------------------------------------------------

    def joint_feature(self, x: Any, y: Any) -> np.ndarray:
        """phi(x, y), for which w . phi is the score; dense.

        Parameters
        ----------
        x : example
        y : labels of its parts, integers below `n_states`

        Returns
        -------
        ndarray (n_states d + numbers of the counts,)

        Raises
        ------
        ValueError
            If `n_states` is None, or for x and y that do not fit.
        """
        if self.n_states is None:
            raise ValueError(f"{type(self).__name__} needs n_states for joint features of its own")
        K = check.integer("n_states", self.n_states)
        layout = self._single(x)
        y = self._checked(self._labels([y], layout.start, False), K)
        self._check_count(y, self._label(layout.start, K))
        table = check.table_of(layout.rows)
        table = table.toarray() if is_sparse(table) else table
        return np.concatenate([self._marked(table, y, K).ravel(), self._counts(y, K, layout)])

    def loss(self, y: Any, y_other: Any) -> float:
        """Sum over the parts of the cost of `y_other` for `y`; by default how many differ."""
        y, other = np.ravel(y), np.ravel(y_other)
        if y.shape != other.shape:
            raise ValueError(f"y has {len(y)} parts, y_other {len(other)}")
        if self.cost is None:
            return float(np.count_nonzero(y != other))
        K = len(np.asarray(self.cost))
        return float(self._costs(K)[_integers(y, K), _integers(other, K)].sum())

    def _blocks(self, layout: Layout, y: np.ndarray | None, K: int, n_jobs: int | None,
                slack: bool = False) -> Compiled:
        """The examples for the kernels."""
        label = self._label(layout.start, K)
        if y is None:
            y = np.zeros(label[-1], np.int32)
        self._check_count(y, label)
        return Compiled(self._kind, layout.rows, layout.start, label, y, self._costs(K), K, n_jobs,
                        layout.joined, slack)

    def _check_count(self, y: np.ndarray, label: np.ndarray) -> None:
        if len(y) != label[-1]:
            raise ValueError(f"there are {len(y)} labels; {label[-1]} are due")

    def _check_slack(self) -> None:
        """Raise ValueError unless there is inference for slack rescaling."""
        raise ValueError(f'rescaling="slack" is there for Chain and Multiclass, not for '
                         f"{type(self).__name__}")

    def inference(self, x: Any, w: Any) -> Any:
        """The output of the highest score.

        Parameters
        ----------
        x : example
        w : ndarray

        Returns
        -------
        ndarray of int, or int for one part
        """
        return self._infer(x, None, w)

    def loss_augmented_inference(self, x: Any, y: Any, w: Any, rescaling: str = "margin") -> Any:
        """The output of the highest score plus loss(y, output).

        With rescaling "slack", for Chain and Multiclass, that of the highest loss(y, output) (1 +
        score - score of y).
        """
        if slack := check.choice("rescaling", rescaling, RESCALINGS) == "slack":
            self._check_slack()
        return self._infer(x, y, w, slack)

    def _infer(self, x: Any, y: Any, w: Any, slack: bool = False) -> Any:
        w = np.asarray(w, np.float64)
        layout = self._single(x)
        K = self._states_of(w, layout.rows.d)
        labels = None
        if y is not None:
            labels = self._checked(self._labels([y], layout.start, False), K)
        blocks = self._blocks(layout, labels, K, 1, slack)
        packed = blocks.packed(w)
        found = blocks.predict(packed) if y is None else blocks.worst(packed)
        return self._output(self._own_labels(found, layout).astype(np.intp))

    def _output(self, y: np.ndarray) -> Any:
        """The labels of one example, as they are returned."""
        return y

    def _outputs(self, y: np.ndarray, start: np.ndarray, stacked: bool) -> Any:
        """Those of all examples."""
        return y if stacked else np.split(y, start[1:-1])

    def _states_of(self, w: np.ndarray, d: int) -> int:
        K = self.n_states
        if K is None:
            K = 1
            while K * d + self._n_counts(K) < w.size:
                K += 1
        if w.shape != (K * d + self._n_counts(K),):
            raise ValueError(f"w has shape {w.shape}, which does not fit {d} features" + (
                "" if self.n_states is None else f" and n_states={K}"))
        return K

    # ---- for the solvers -------------------------------------------------------------------

    def _costs(self, K: int) -> np.ndarray:
        if self.cost is None:
            return 1.0 - np.eye(K)
        cost = check._numbers(check.given_array(self.cost, "cost"), "cost").astype(np.float64)
        if cost.shape != (K, K) or not np.isfinite(cost).all() or (cost < 0).any() or (
                np.diagonal(cost) != 0).any():
            raise ValueError(f"cost must be a matrix of shape ({K}, {K}), finite and not negative, "
                             f"with zeros on its diagonal: cost[y, other]; got {check._show(cost)}")
        return cost

    def _sized(self, y: np.ndarray, Y: Any) -> int:
        """n_states, or how many there are to judge by the labels y of Y."""
        if self.n_states is not None:
            return check.integer("n_states", self.n_states)
        return min(int(y.max()), MOST) + 1 if len(y) and y.dtype.kind in "iu" else 1


def _integers(y: np.ndarray, K: int) -> np.ndarray:
    """y as int32, if it is integers 0..K-1."""
    if y.dtype.kind not in "iu" or not len(y):
        raise ValueError(f"labels must be integers from 0 to n_states - 1; got {y.dtype}")
    if y.min() < 0 or y.max() >= K:
        wrong = y.min() if y.min() < 0 else y.max()
        raise ValueError(f"label {wrong} is not in 0..{K - 1}; labels must be integers from 0 to "
                         "n_states - 1")
    return np.array(y, dtype=np.int32)  # a copy: kernels rely on what was checked here


def pairs_of(X: Any, what: str) -> list[Any]:
    """Examples that are pairs, as a list."""
    if not hasattr(X, "__iter__"):
        raise TypeError(f"X must be a list of pairs {what}; got {check._show(X)}")
    X = list(X)
    for i, x in enumerate(X):
        if not isinstance(x, tuple | list) or len(x) != 2:
            raise ValueError(f"example {i} of X must be a pair {what}; got {check._show(x)}")
    return X


def gathered_sequences(X: Any, lengths: Any, owner: str) -> Layout:
    """The rows of all sequences.

    Parameters
    ----------
    X : list of array-likes or CSR matrices (length, d), or with `lengths` one of (rows, d)
    lengths : array-like of int or None

    Raises
    ------
    ValueError, TypeError
        For sequences that are empty, not finite or of different widths; their number is told.
    """
    if not hasattr(X, "__iter__"):
        raise TypeError(f"X must be a list of sequences, each of shape (length, d); got "
                        f"{check._show(X)}")
    if lengths is not None:
        rows = as_rows(X, owner=owner)
        sizes = check.given_array(lengths, "lengths")
        if sizes.ndim != 1 or sizes.dtype.kind not in "iu" or (sizes < 1).any():
            raise ValueError("lengths must be positive integers, one for each sequence; got "
                             f"{check._show(lengths)}")
        total = sum(sizes.tolist())  # of Python's integers, which do not overflow
        if total != rows.n:
            raise ValueError(f"lengths add up to {total}, but X has {rows.n} rows")
    else:
        if is_sparse(X) or (hasattr(X, "ndim") and X.ndim == 2):
            raise ValueError("X is one matrix: pass a list of sequences, each of shape (length, d),"
                             " or lengths= as well")
        parts = []
        for i, x in enumerate(X):
            if (isinstance(x, list | tuple) and not x) or getattr(x, "shape", None) == (0,):
                raise ValueError(f"sequence {i} of X has no tokens")
            try:
                parts.append(as_rows(x, owner=owner))
            except (ValueError, TypeError) as error:
                kind = TypeError if isinstance(error, TypeError) else ValueError
                raise kind(f"sequence {i} of X: {error}") from None
            if parts[i].d != parts[0].d:
                raise ValueError(f"sequence {i} of X has {parts[i].d} features, sequence 0 has "
                                 f"{parts[0].d}")
        if not parts:
            raise ValueError("X has no sequences")
        rows = parts[0] if len(parts) == 1 else check.stacked(parts)
        sizes = np.array([part.n for part in parts])
    return Layout(rows, np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]))


def gathered_labels(Y: Any, start: np.ndarray, stacked: bool) -> np.ndarray:
    """The labels of all sequences, as one array."""
    if stacked:
        y = check.given_array(Y, "y")
        if y.shape != (start[-1],):
            raise ValueError(f"y has shape {y.shape}, but X has {start[-1]} rows")
        return y
    n = len(start) - 1
    if not hasattr(Y, "__iter__"):
        raise TypeError(f"Y must be a list of label sequences; got {check._show(Y)}")
    if not isinstance(Y, Sequence | np.ndarray):
        Y = list(Y)
    if len(Y) != n:
        raise ValueError(f"Y has {len(Y)} sequences of labels, X has {n} sequences")
    parts = [check.given_array(y, f"sequence {i} of Y") for i, y in enumerate(Y)]
    for i, y in enumerate(parts):
        if y.shape != (start[i + 1] - start[i],):
            raise ValueError(f"sequence {i} of Y has shape {y.shape}, but sequence {i} of X has "
                             f"{start[i + 1] - start[i]} rows")
    return np.concatenate(parts)
