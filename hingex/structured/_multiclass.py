# SPDX-License-Identifier: BSD-3-Clause
"""One label for each row: the multiclass SVM of Crammer and Singer as a structured model."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _validate as check
from .._validate import as_rows
from ._parts import Layout, Parts


class RowParts(Parts):
    """Base of models whose examples are the rows of a matrix."""

    def _gathered(self, X: Any, lengths: Any, owner: str) -> Layout:
        if lengths is not None:
            raise ValueError(f"lengths is for sequences; the examples of {type(self).__name__} are "
                             "rows of X")
        rows = as_rows(X, owner=owner)
        return Layout(rows, np.arange(rows.n + 1))

    def _single(self, x: Any) -> Layout:
        row = x if getattr(x, "ndim", 1) == 2 else np.asarray(x)[None]
        rows = as_rows(row, owner=type(self).__name__)
        if rows.n != 1:
            raise ValueError(f"x has {rows.n} rows; an example of {type(self).__name__} is one")
        return Layout(rows, np.arange(2))


class Multiclass(RowParts):
    """A label for each row of X, with score coef[y] . x + b[y].

    w is coef (n_states, d) and b. With the Hamming cost it is the machine of `LinearSVC(multi_class
    ="crammer_singer", intercept="regularized")`, which is faster; here costs may differ.

    Parameters
    ----------
    n_states : int or None, default None
        Labels, 0 to n_states - 1; None for as many as there are in `fit`.
    cost : array-like (n_states, n_states) or None, default None
        cost[y, other]: of taking `other` for y, not negative, 0 on the diagonal; None: 1.

    Examples
    --------
    >>> import numpy as np
    >>> from hingex.structured import Multiclass, StructuredSVM
    >>> svm = StructuredSVM(Multiclass(), C=10.0).fit(np.eye(3), [2, 0, 1])
    >>> svm.predict(np.eye(3)).tolist()
    [2, 0, 1]
    """

    def __init__(self, n_states: int | None = None, *, cost: Any = None) -> None:
        self.n_states = n_states
        self.cost = cost

    @property
    def _kind(self) -> str:
        return "multiclass"

    def _check_slack(self) -> None:
        pass

    def _n_counts(self, K: int) -> int:
        return K

    def _counts(self, y: np.ndarray, K: int, layout: Layout) -> np.ndarray:
        return np.bincount(y, minlength=K).astype(np.float64)

    def _labels(self, Y: Any, start: np.ndarray, stacked: bool) -> np.ndarray:
        y = check.given_array(Y, "Y")
        if y.shape != (len(start) - 1,):
            raise ValueError(f"y has shape {y.shape}, but X has {len(start) - 1} rows")
        return y

    def _output(self, y: np.ndarray) -> Any:
        return int(y[0])

    def _outputs(self, y: np.ndarray, start: np.ndarray, stacked: bool) -> Any:
        return y
