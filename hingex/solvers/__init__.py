# SPDX-License-Identifier: BSD-3-Clause
"""The functional layer: one file per solver, from a view of the data to a `Fit`.

`solve_linear` chooses among the solvers of linear SVMs, which all have the signature of
`dual_cd.solve`: coordinate descent for sparse and high-dimensional data, second-order solvers
where the rows outnumber the features and a d x d matrix is cheap. Whether coordinate descent
converges on such data cannot be told from their shape, so for the hinge it is tried first, and
when its gap falls too slowly the interior point starts from where it came to.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from .._result import Fit

LARGEST = 1000  # features up to which a second-order solver is considered
ROWS_PER_FEATURE = 2  # rows a feature must have for it
# Work in multiply-adds, measured on text, a9a, letter, phishing, satimage, usps_zip and others.
NEWTON_STEPS = 6
NEWTON_FROM = 400  # Newton's steps may cost as much as so many passes over X
INTERIOR_STEPS = 20
FEWEST_FOR_TWO = 200  # with a smaller max_iter no second solver is tried
EPOCHS_PER_PASS = 12  # epochs in the time of a pass over X, once shrinking has set in


def choose_linear(rows: Any, loss: str) -> tuple[str, str]:
    """Name of the solver to begin with, and the reason in words."""
    n, d = rows.n, rows.d
    if d > LARGEST or n < ROWS_PER_FEATURE * d:
        return "dual_cd", f"{n} rows, {d} features: coordinate descent suits wide data"
    if loss == "hinge":
        return "dual_cd", f"{n} rows, {d} features, hinge: coordinate descent was fast enough"
    if NEWTON_STEPS * _step_work(rows) > NEWTON_FROM * rows.nnz:
        return "dual_cd", f"{n} rows, {d} features: a Newton step costs too much"
    return "newton", f"{n} rows, {d} features: Newton's method suits tall data"


def solve_linear(
    rows: Any,
    codes: np.ndarray,
    n_classes: int,
    *,
    loss: str,
    max_iter: int,
    max_time: float | None,
    **options: Any,
) -> tuple[Fit, str, str]:
    """Solve with the solver that suits the data; returns (fit, name, reason)."""
    name, reason = choose_linear(rows, loss)
    tall = rows.d <= LARGEST and rows.n >= ROWS_PER_FEATURE * rows.d
    trial: dict[str, Any] = {}
    if name == "dual_cd" and loss == "hinge" and tall:
        passes = INTERIOR_STEPS * _step_work(rows) / (rows.nnz + 16 * rows.n)
        if max_iter >= FEWEST_FOR_TWO:
            trial["max_iter"] = max_iter // 2
            trial["patience"] = min(EPOCHS_PER_PASS * passes, max_iter // 2)

    def solve(name: str, **more: Any) -> Fit:
        return _module(name).solve(rows, codes, n_classes, loss=loss, **options | more)

    fit = solve(name, **{"max_iter": max_iter, "max_time": max_time} | trial)
    if not trial or fit.status not in ("stalled", "max_iter"):
        return fit, name, reason
    reason = (
        f"{rows.n} rows, {rows.d} features, hinge: coordinate descent was at a gap of "
        f"{fit.gap.max():.1e} after {fit.n_iter} epochs"
    )
    second = solve("interior_point", max_iter=max_iter - fit.n_iter, max_time=max_time, first=fit)
    return second, "interior_point", reason


@cache
def _module(name: str) -> Any:
    return import_module(f"hingex.solvers.{name}")


def _step_work(rows: Any) -> float:
    """Multiply-adds of one step for one class: weighted Gram matrix, factor, passes over rows."""
    n, D = rows.n, rows.d + 1
    gram = min(rows.nnz**2 / (2 * n), n * D**2 / 16)
    return gram + D**3 / 60 + 2 * rows.nnz + 40 * n
