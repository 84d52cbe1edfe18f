# SPDX-License-Identifier: BSD-3-Clause
"""What linear classifiers have in common: parameters, fitted attributes, predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _validate as check
from .._estimator import Classifier
from .._linear_model import LinearScores
from .._result import Fit
from .._threads import n_parts, n_threads


class LinearModel(LinearScores, Classifier):
    """Base of classifiers with scores X @ coef_.T + intercept_, by solvers that return a `Fit`."""

    tol: float
    fit_intercept: bool
    intercept: str
    intercept_scaling: float
    max_iter: int
    max_time: float | None
    random_state: Any

    def _common_options(self) -> dict[str, Any]:
        """The parameters that all linear models have, as their solvers take them."""
        tol = check.positive_float("tol", self.tol)
        kind = check.choice("intercept", self.intercept, ("unregularized", "regularized"))
        if not check.boolean("fit_intercept", self.fit_intercept):
            kind = "none"
        scaling = check.positive_float("intercept_scaling", self.intercept_scaling)
        if kind == "regularized" and scaling < 1e-100:
            raise ValueError(
                f"intercept_scaling must be at least 1e-100, as its square counts; got {scaling!r}"
                ". Set fit_intercept=False to have no intercept"
            )
        max_iter = check.integer("max_iter", self.max_iter)
        max_time = check.optional_positive_float("max_time", self.max_time)
        threads = n_threads(self.n_jobs)
        seed = check.random_seed(self.random_state)
        return {
            "tol": tol, "intercept": kind, "scaling": scaling, "max_iter": max_iter,
            "max_time": max_time, "threads": threads, "parts": n_parts(self.n_jobs), "seed": seed,
        }  # fmt: skip

    def _keep_fit(self, fit: Fit, chosen: str, reason: str, classes: np.ndarray, d: int) -> None:
        """Set the fitted attributes that all linear models have."""
        self.classes_ = classes
        self.n_features_in_ = d
        self.coef_, self.intercept_ = fit.coef, fit.intercept
        self.n_iter_, self.converged_, self.history_ = fit.n_iter, fit.converged, fit.history
        self.primal_objective_, self.dual_objective_ = fit.primal, fit.dual_objective
        self.duality_gap_ = fit.gap
        self.solver_, self.solver_reason_ = chosen, reason

    def predict(self, X: Any) -> np.ndarray:
        """Predicted labels: the class of the highest score.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)

        Returns
        -------
        ndarray, shape (n,), of the dtype of `classes_`

        Raises
        ------
        ValueError, TypeError
            As `decision_function`.
        """
        self._check_fitted()
        rows = check.fitted_rows(self, X, checked=False)
        codes = np.empty(rows.n, dtype=np.int32)
        self._fill(rows, None, codes)
        return self.classes_[codes]

    def _check_warm(self, what: str, last: int, now: int, classes: np.ndarray, same: bool) -> None:
        """Refuse a warm start unless all is the `same`; rows or features were `last`, are `now`."""
        if not same or not np.array_equal(self.classes_, classes):
            raise ValueError(
                f"warm_start needs the {what} and classes of the last fit, which had {last} {what} "
                f"and {len(self.classes_)} classes; got {now} {what} and {len(classes)} classes. "
                "Set warm_start=False, or use a new estimator"
            )
