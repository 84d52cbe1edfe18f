# SPDX-License-Identifier: BSD-3-Clause
"""The functional layer: one file per solver, from a view of the data to a `Fit`.

`solve_linear` chooses among the solvers of linear SVMs, which all have the signature of
`dual_cd.solve`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .._result import Fit


def choose_linear(rows: Any, n_classes: int, loss: str) -> tuple[str, str]:
    """Name of the solver for this problem, and the reason in words."""
    return "dual_cd", "coordinate descent suits sparse or high-dimensional data"


def solve_linear(
    rows: Any, codes: Any, n_classes: int, *, loss: str, **options: Any
) -> tuple[Fit, str, str]:
    """Solve with the solver that suits the data; returns (fit, name, reason)."""
    name, reason = choose_linear(rows, n_classes, loss)
    solver = import_module(f"hingex.solvers.{name}")
    return solver.solve(rows, codes, n_classes, loss=loss, **options), name, reason
