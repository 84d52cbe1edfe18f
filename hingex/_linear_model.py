# SPDX-License-Identifier: BSD-3-Clause
"""What all models with linear scores have in common: scores, and how fits end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _validate as check
from ._core import kernels
from ._estimator import Estimator
from ._result import Fit, warn
from ._storable import Storable
from ._threads import n_threads


class LinearScores(Storable, Estimator):
    """Base of estimators with scores X @ coef_.T + intercept_, by solvers that return a `Fit`."""

    coef_: np.ndarray
    intercept_: np.ndarray
    n_features_in_: int
    n_jobs: int | None
    verbose: bool
    callback: Callable[[Any], Any] | None

    def _watchers(self) -> tuple[bool, Callable[[Any], Any] | None]:
        """The parameters verbose and callback."""
        verbose = check.boolean("verbose", self.verbose)
        return verbose, check.optional_callable("callback", self.callback)

    def _conclude(self, fit: Fit, options: dict[str, Any]) -> None:
        """Raise or warn when a fit did not reach its end."""
        if fit.status == "interrupted":
            raise KeyboardInterrupt
        if not fit.converged:
            owner = type(self).__name__
            warn(not_converged(owner, fit, options["tol"], options["max_iter"]),
                 "ConvergenceWarning")  # fmt: skip

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores X @ coef_.T + intercept_.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)

        Returns
        -------
        ndarray of float64, shape (n,) for two classes, else (n, K)

        Raises
        ------
        ValueError, TypeError
            For X that is not like that of `fit`, or not finite.
        """
        scores = self._scores(X)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def _scores(self, X: Any) -> np.ndarray:
        """Scores of X, (n, 1) for two classes."""
        self._check_fitted()
        rows = check.fitted_rows(self, X, checked=False)
        scores = np.empty((rows.n, len(self.intercept_)))
        self._fill(rows, scores, None)
        return scores

    def _fill(
        self,
        rows: Any,
        scores: np.ndarray | None,
        codes: np.ndarray | None,
        which: np.ndarray | None = None,
    ) -> None:
        """Write scores, the classes with the highest, or both, of all rows or of some."""
        # coef_ is a view of the kernel's layout, features first, unless the user replaced it.
        weights = np.ascontiguousarray(self.coef_.T, dtype=np.float64)
        intercept = np.ascontiguousarray(self.intercept_, dtype=np.float64)
        sound = kernels("linear").linear_scores(
            rows, weights, intercept, scores, codes, n_threads(self.n_jobs), which
        )
        if not sound:
            check.refuse_unsound(rows, type(self).__name__)


def not_converged(owner: str, fit: Fit, tol: float, max_iter: int) -> str:
    gap = float(np.max(fit.gap))
    reached, bound = f"at a relative duality gap of {gap:.2e}", "may be far above"
    if not np.isfinite(gap):
        reached = "without a finite duality gap"
    elif gap < 0.5:
        bound = f"may be up to {100 * gap / (1 - gap):.2g}% above"
    elif gap < 1:
        bound = f"may be up to {1 / (1 - gap):.2g} times"
    why = {
        "max_iter": f"max_iter={max_iter} was reached",
        "stalled": f"rounding left no progress after {fit.n_iter} iterations",
        "max_time": f"max_time was reached after {fit.n_iter} epochs",
        "callback": f"the callback stopped it after {fit.n_iter} epochs",
    }[fit.status]
    return (
        f"{owner} stopped {reached}, above tol={tol:g}, because {why}: the objective {bound} the "
        "optimum. Raise max_iter or max_time, raise tol, scale the features to similar ranges, "
        "subtract large means of columns, or lower C."
    )
