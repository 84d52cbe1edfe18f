# SPDX-License-Identifier: BSD-3-Clause
"""The method that writes an estimator to a model file, and the checks on both ways."""

from __future__ import annotations

from abc import abstractmethod
from os import PathLike
from typing import Any, Self


class Storable:
    """Base of the estimators that model files hold."""

    reading_: dict[str, Any]  # of a model that was trained from a file: see `_reading`

    def save(self, path: str | PathLike[str]) -> None:
        """Write parameters and all that was learnt to one file, atomically.

        The format is that of docs/model_format.md.

        Parameters
        ----------
        path : str or path-like
            To be read by `hingex.load`.

        Raises
        ------
        TypeError
            If the model has a kernel that is a function, which files cannot hold.
        NotFittedError, ValueError, OSError
            As `hingex.model_io.save`.
        """
        from . import model_io

        model_io.save(self, path)

    def _check_params(self) -> None:
        """Raise ValueError or TypeError for parameters that `fit` would refuse, whatever X."""
        raise NotImplementedError


class CheckedStorable(Storable):
    """Base of those that check their own attributes, to be written and when they are read."""

    @abstractmethod
    def _check_arrays(self) -> None:
        """Raise ValueError when the fitted attributes are missing or do not fit together."""

    def _fitted_to_store(self) -> dict[str, Any]:
        self._check_arrays()
        return vars(self)

    @classmethod
    def _restored(cls, params: dict[str, Any], fitted: dict[str, Any]) -> Self:
        model = cls(**params)
        vars(model).update(fitted)
        model._check_arrays()
        return model
