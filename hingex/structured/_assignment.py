# SPDX-License-Identifier: BSD-3-Clause
"""Assignments: each item gets a place of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _validate as check
from .._estimator import Estimator


class Assignment(Estimator):
    r"""A different place for each of n items, by features of the pairs of items and places.

    An example is an array (n, m, d), n <= m: the features of item i at place j. An output is the
    place of each item, n different integers below m. Its score is :math:`\sum_i w \cdot x_{i y_i}`,
    its loss the number of items that are elsewhere. Orders of n items are the case m = n.

    Inference is SciPy's `linear_sum_assignment`, O(n^2 m), which solves both problems exactly.

    Examples
    --------
    >>> import numpy as np
    >>> from hingex.structured import Assignment, StructuredSVM
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(4, 5, 3)) for _ in range(30)]
    >>> Y = [Assignment().inference(x, np.array([1.0, -1.0, 0.0])) for x in X]
    >>> svm = StructuredSVM(Assignment(), C=1.0).fit(X, Y)
    >>> svm.score(X, Y) > -0.1
    True
    """

    def joint_feature(self, x: Any, y: Any) -> np.ndarray:
        """sum_i x[i, y_i], (d,)."""
        x = self._features(x)
        return x[np.arange(len(x)), self._places(x, y)].sum(axis=0)

    def loss(self, y: Any, y_other: Any) -> float:
        """How many items are elsewhere."""
        y, other = np.ravel(y), np.ravel(y_other)
        if y.shape != other.shape:
            raise ValueError(f"y has {len(y)} items, y_other {len(other)}")
        return float(np.count_nonzero(y != other))

    def inference(self, x: Any, w: Any) -> np.ndarray:
        """The places of the highest score, (n,)."""
        return self._best(self._scores(x, w))

    def loss_augmented_inference(self, x: Any, y: Any, w: Any) -> np.ndarray:
        """The places of the highest score plus loss(y, places)."""
        scores = self._scores(x, w) + 1.0
        places = self._places(scores, y)
        scores[np.arange(len(scores)), places] -= 1.0
        return self._best(scores)

    def _scores(self, x: Any, w: Any) -> np.ndarray:
        x, w = self._features(x), np.asarray(w, np.float64)
        if w.shape != x.shape[2:]:
            raise ValueError(f"w has shape {w.shape}, which does not fit {x.shape[2]} features")
        return x @ w

    def _best(self, scores: np.ndarray) -> np.ndarray:
        from scipy.optimize import linear_sum_assignment

        return linear_sum_assignment(scores, maximize=True)[1]

    def _features(self, x: Any) -> np.ndarray:
        x = check.given_array(x, "an example of Assignment")
        if x.ndim != 3 or not 0 < x.shape[0] <= x.shape[1] or x.dtype.kind not in "fiub":
            raise ValueError("an example of Assignment must be numbers of shape (items, places, "
                             f"features), with as many places as items or more; got shape "
                             f"{x.shape}, dtype {x.dtype}")
        if not np.isfinite(x).all():
            raise ValueError("an example of Assignment holds NaN or infinity")
        return x.astype(np.float64, copy=False)

    def _places(self, x: np.ndarray, y: Any) -> np.ndarray:
        y = check.given_array(y, "an output of Assignment")
        n, m = x.shape[:2]
        if y.shape != (n,) or y.dtype.kind not in "iu" or (y < 0).any() or (y >= m).any() or (
                len(np.unique(y)) < n):
            raise ValueError(f"an output of Assignment must be {n} different integers, 0 to "
                             f"{m - 1}; got {check._show(y)}")
        return y
