# SPDX-License-Identifier: BSD-3-Clause
"""Any number of labels for each row, which may depend on each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _validate as check
from ._multiclass import RowParts
from ._parts import Layout

MOST = 20  # labels with weights of pairs: all of their 2^20 sets are tried


class Multilabel(RowParts):
    r"""A set of labels for each row of X: y is a row of an indicator matrix.

    The score is :math:`\sum_k y_k (\mathrm{coef}_k \cdot x + b_k)`, and with `pairwise` besides
    :math:`\sum_{k < l} P_{kl} y_k y_l`. w is coef (n_states, d), b and P (n_states, n_states; 0 but
    above its diagonal), one after the other.

    Parameters
    ----------
    n_states : int or None, default None
        Labels; None for as many as Y has columns.
    pairwise : bool, default False
        Whether pairs of labels have weights. Inference then looks at all 2^n_states sets, for up to
        20 labels.
    cost : (2, 2) array-like or None, default None
        cost[0, 1] of a label too many, cost[1, 0] of a missing one; None: 1.

    Notes
    -----
    Without pairs the labels are independent, and `LinearSVC` on an indicator matrix is the same
    (with C / 4 of this one's weights doubled) and faster.

    Examples
    --------
    >>> import numpy as np
    >>> from hingex.structured import Multilabel, StructuredSVM
    >>> X, Y = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), [[1, 0], [0, 1], [1, 1]]
    >>> StructuredSVM(Multilabel(), C=10.0).fit(X, Y).predict(X).tolist()
    [[1, 0], [0, 1], [1, 1]]
    """

    def __init__(self, n_states: int | None = None, *, pairwise: bool = False, cost: Any = None
                 ) -> None:
        self.n_states = n_states
        self.pairwise = pairwise
        self.cost = cost

    @property
    def _kind(self) -> str:
        return "pairs" if check.boolean("pairwise", self.pairwise) else "multilabel"

    def _n_counts(self, K: int) -> int:
        return K + K * K if self.pairwise else K

    def _counts(self, y: np.ndarray, K: int, layout: Layout) -> np.ndarray:
        on = y.astype(np.float64)
        if not self.pairwise:
            return on
        return np.concatenate([on, np.triu(np.outer(on, on), 1).ravel()])

    def _marked(self, table: np.ndarray, y: np.ndarray, K: int) -> np.ndarray:
        return np.outer(y, table[0])

    def _labels(self, Y: Any, start: np.ndarray, stacked: bool) -> np.ndarray:
        Y = Y.toarray() if check.is_sparse(Y) else check.given_array(Y, "Y")
        if Y.ndim != 2 or len(Y) != len(start) - 1 or not Y.shape[1]:
            raise ValueError("Y must be an indicator matrix with a column for each label and a row "
                             f"for each of the {len(start) - 1} rows of X; got shape {Y.shape}. "
                             "Lists of labels are for MultilabelSVM")
        if Y.dtype.kind not in "biuf" or not ((Y == 0) | (Y == 1)).all():
            raise ValueError(f"Y must hold 0 and 1 only; got {check._show(Y)}")
        return Y.astype(np.int32).ravel()

    def _label(self, start: np.ndarray, K: int) -> np.ndarray:
        if self.pairwise and K > MOST:
            raise ValueError(f"pairwise=True looks at all sets of labels, for up to {MOST}; there "
                             f"are {K}")
        return start * K

    def _sized(self, y: np.ndarray, Y: Any) -> int:
        K = int(np.shape(Y)[1])
        if self.n_states is not None and check.integer("n_states", self.n_states) != K:
            raise ValueError(f"Y has {K} columns, but n_states is {self.n_states}")
        return K

    def _checked(self, y: np.ndarray, K: int) -> np.ndarray:
        if len(y) % K:
            raise ValueError(f"y has {len(y)} labels, expected {K}")
        return y

    def _costs(self, K: int) -> np.ndarray:
        return super()._costs(2)

    def _outputs(self, y: np.ndarray, start: np.ndarray, stacked: bool) -> Any:
        return y.reshape(len(start) - 1, -1)
