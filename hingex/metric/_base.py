# SPDX-License-Identifier: BSD-3-Clause
"""What metrics have in common: they are transformers, and model files hold them."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import numpy as np

from .. import _validate as check
from .._estimator import Estimator
from .._interop import Transformer, numbered_names
from .._storable import CheckedStorable
from ..stop import HISTORY_DTYPE

MOST_FEATURES = 2**40  # sizes of model files are below it
_NAME_BYTES = 64  # a short str and its place in an array, about


class Metric(CheckedStorable, Transformer, Estimator):
    """Base of the metrics that are learnt."""

    components_: np.ndarray
    verbose: bool
    callback: Any

    @abstractmethod
    def fit(self, X: Any, y: Any) -> Self: ...

    @abstractmethod
    def transform(self, X: Any) -> Any: ...

    def fit_transform(self, X: Any, y: Any = None, **metadata: Any) -> Any:
        """`fit(X, y, **metadata)`, and `transform(X)`."""
        return self.fit(X, y, **metadata).transform(X)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns of `transform`: that of the class, and a number.

        Parameters
        ----------
        input_features : array-like of str, shape (d,), optional
            Those of `fit`, if given.

        Returns
        -------
        ndarray of str objects

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For other input features, and for more than 2**20 columns of a model that has no entry
            for each of them.
        """
        self._check_fitted()
        count = self._n_features_out
        # A small file may claim any number of columns: names follow what is held of them.
        held = len(getattr(self, "feature_names_in_", ())) + self.components_.size
        if count > max(check.WIDE, held):
            raise ValueError(f"the {count} columns of transform get no names, which would take "
                             f"some {count * _NAME_BYTES >> 20} MB: there are names for up to "
                             f"{check.WIDE}. Take the numbers of the columns")
        return numbered_names(self, count, input_features)

    @property
    @abstractmethod
    def _n_features_out(self) -> int:
        """Columns of `transform`."""

    def _watchers(self) -> tuple[bool, Any]:
        """The parameters verbose and callback."""
        verbose = check.boolean("verbose", self.verbose)
        return verbose, check.optional_callable("callback", self.callback)

    def _finite(self, name: str, rows: int | None, columns: int) -> None:
        """That this attribute is a finite table; None for any number of rows above 0."""
        array = vars(self).get(name)
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or array.ndim != 2 or (
                array.shape != (len(array) if rows is None else rows, columns)) or not len(array):
            raise ValueError(f"{name} must be real numbers of shape "
                             f"({'p' if rows is None else rows}, {columns}); it is missing, or "
                             "does not fit the rest of the model")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN or infinity")

    def _width(self) -> int:
        """Features, after a look at the numbers that tell of the fit."""
        found = vars(self)
        d, history = found.get("n_features_in_"), found.get("history_")
        if type(d) is not int or not 1 <= d < MOST_FEATURES:
            raise ValueError(f"n_features_in_ is {d!r}, not a number of features that is below "
                             f"{MOST_FEATURES}")
        if type(found.get("n_iter_")) is not int:
            raise ValueError("n_iter_ is missing, or no number of epochs")
        if history is not None and (
                not isinstance(history, np.ndarray) or history.ndim != 1
                or not set(HISTORY_DTYPE.names or ()) <= set(history.dtype.names or ())):
            raise ValueError("history_ is not a list of epochs")
        return d

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import TransformerTags

        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags(preserves_dtype=["float64", "float32"])
        tags.target_tags.required = True
        return tags
