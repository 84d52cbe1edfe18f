# SPDX-License-Identifier: BSD-3-Clause
"""The method that writes an estimator to a model file."""

from __future__ import annotations

from os import PathLike


class Storable:
    """Base of the estimators that model files hold."""

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
