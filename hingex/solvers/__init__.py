# SPDX-License-Identifier: BSD-3-Clause
"""The functional layer: one file per solver, from a view of the data to a `Fit`.

`solve_linear` chooses among the solvers of linear SVMs, which all have the signature of
`dual_cd.solve`; `SOLVERS` says which loss and which multiclass scheme each is for. Joint
multiclass problems have one solver. Two classes, and one-vs-rest, have coordinate descent for
sparse and high-dimensional data, second-order solvers where the rows outnumber the features and a
d x d matrix is cheap. Whether coordinate descent converges cannot be told from the shape of the
data, so elsewhere it is tried first, and when its gap falls too slowly, and a d x d matrix can be
had, a second-order solver starts from where it came to. Should that stall in turn, coordinate
descent goes on from its duals.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from .._result import Fit


class Suits(NamedTuple):
    """What a solver of linear SVMs is for."""

    losses: tuple[str, ...]
    schemes: tuple[str, ...]  # values of multi_class; all solvers know two classes


JOINT = ("crammer_singer", "weston_watkins", "lee_lin_wahba")
SCHEMES = ("ovr", *JOINT)
SOLVERS = {
    "dual_cd": Suits(("hinge", "squared_hinge"), ("ovr",)),
    "interior_point": Suits(("hinge",), ("ovr",)),
    "newton": Suits(("squared_hinge",), ("ovr",)),
    "multiclass_dual": Suits(("hinge", "squared_hinge"), JOINT),
}
SECOND_ORDER = {"hinge": "interior_point", "squared_hinge": "newton"}
LARGEST = 1000  # features up to which Newton's method may be the first choice
ROWS_PER_FEATURE = 2  # rows a feature must have for it
WIDEST = 3000  # features up to which a second-order solver may take over
# Work in multiply-adds, measured on text, a9a, letter, phishing, satimage, usps_zip and others.
NEWTON_STEPS = 6
NEWTON_FROM = 400  # Newton's steps may cost as much as so many passes over X
INTERIOR_STEPS = 20
FEWEST_FOR_TWO = 200  # with a smaller max_iter no second solver is tried
EPOCHS_PER_PASS = 12  # epochs in the time of a pass over X, once shrinking has set in
ROUNDING = 1e-9  # a gap at which a second-order solver stalls by rounding: nothing gets further


def check_solver(solver: str, loss: str, scheme: str) -> None:
    """Raise ValueError unless `solver`, a name in SOLVERS or "auto", is for this problem."""
    if solver == "auto":
        return
    suits = SOLVERS[solver]
    if loss in suits.losses and scheme in suits.schemes:
        return
    able = [name for name, s in SOLVERS.items() if loss in s.losses and scheme in s.schemes]
    raise ValueError(
        f"solver={solver!r} is not for loss={loss!r} with multi_class={scheme!r}: it is for "
        f"loss {_either(suits.losses)} with multi_class {_either(suits.schemes)}; this problem "
        f"is solved by solver {_either(('auto', *able))}"
    )


def _either(names: tuple[str, ...]) -> str:
    return " or ".join(map(repr, names))


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
    solver: str = "auto",
    scheme: str = "ovr",
    parts: int = 1,
    **options: Any,
) -> tuple[Fit, str, str]:
    """Solve with the solver that suits the data, or the one named; returns (fit, name, reason).

    `parts` is for coordinate descent alone.
    """
    check_solver(solver, loss, scheme)
    if scheme != "ovr":
        with np.errstate(over="ignore", invalid="ignore"):  # extreme values: the gap will tell
            fit = _module("multiclass_dual").solve(
                rows, codes, n_classes, scheme=scheme, loss=loss, max_iter=max_iter,
                max_time=max_time, **options,
            )  # fmt: skip
        return fit, "multiclass_dual", f"{scheme}: one problem for all classes"
    name, reason = choose_linear(rows, loss)
    if solver != "auto":
        name, reason = solver, "as asked for"
    trial: dict[str, Any] = {}
    two = solver == "auto" and name == "dual_cd" and rows.d <= WIDEST and max_iter >= FEWEST_FOR_TWO
    if two:
        steps = INTERIOR_STEPS if loss == "hinge" else NEWTON_STEPS
        passes = steps * _step_work(rows) / (rows.nnz + 16 * rows.n)
        tall = rows.d <= LARGEST and rows.n >= ROWS_PER_FEATURE * rows.d
        # Elsewhere, when the second solver costs more than all epochs, these are run first: the
        # first hundred can look hopeless and the next two converge.
        if (tall and loss == "hinge") or EPOCHS_PER_PASS * passes < max_iter:
            trial["max_iter"] = max_iter // 2
            trial["patience"] = min(EPOCHS_PER_PASS * passes, max_iter // 2)

    def solve(name: str, **more: Any) -> Fit:
        if name == "dual_cd":
            more["parts"] = parts
        with np.errstate(over="ignore", invalid="ignore"):  # extreme values: the gap will tell
            return _module(name).solve(rows, codes, n_classes, loss=loss, **options | more)

    fit = solve(name, **{"max_iter": max_iter, "max_time": max_time} | trial)
    if two and fit.status in ("stalled", "max_iter"):
        name = SECOND_ORDER[loss]
        reason = (
            f"{rows.n} rows, {rows.d} features, {loss.replace('_', ' ')}: coordinate descent was "
            f"at a gap of {fit.gap.max():.1e} after {fit.n_iter} epochs"
        )
        left = max(max_iter - fit.n_iter, max_iter // 2)
        fit = solve(name, max_iter=left, max_time=max_time, first=fit)
    time = None if max_time is None else max_time - fit.seconds
    stalled = fit.status == "stalled" and fit.gap.max() > ROUNDING
    if solver == "auto" and stalled and (time is None or time > 0):
        reason += f"; {name} stalled at {fit.gap.max():.1e} after {fit.n_iter} epochs and steps"
        options["monitor"].go_on(fit.n_iter, fit.seconds)
        start = fit.dual, fit.intercept
        last = solve("dual_cd", max_iter=max_iter, max_time=time, start=start)
        return _joined(fit, last), "dual_cd", reason
    return fit, name, reason


def joint_duals(
    alpha: np.ndarray, codes: np.ndarray, cost: Any, loss: str, scheme: str
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of the rows in `coef_`, and 0, 1 or 2 for each row; see LinearSVC.

    alpha (n, K) as in the Fit of a joint problem; cost is C, or C_i as a column.
    """
    used = alpha.sum(axis=1, keepdims=True) if scheme == "crammer_singer" else alpha
    kind = np.array((alpha > 0).any(axis=1), dtype=np.int8)
    if loss == "hinge":
        kind[(used >= np.multiply(cost, 1 - 1e-12)).any(axis=1) & (kind > 0)] = 2
    coef = _module("multiclass_dual").coefficients(alpha, codes, scheme)
    return (coef[:, 1] - coef[:, 0] if coef.shape[1] == 2 else coef), kind


def _joined(before: Fit, after: Fit) -> Fit:
    """What `after`, which started from `before`, has reached; a class it made worse as before."""
    worse = ~(after.gap <= before.gap)
    for name in ("coef", "intercept", "primal", "dual_objective", "gap"):
        getattr(after, name)[worse] = getattr(before, name)[worse]
    assert before.dual is not None
    assert after.dual is not None
    after.dual[:, worse] = before.dual[:, worse]
    after.history["epoch"] += before.n_iter
    after.history["seconds"] += before.seconds
    after.history = np.concatenate([before.history, after.history])
    after.n_iter += before.n_iter
    after.seconds += before.seconds
    return after


@cache
def _module(name: str) -> Any:
    return import_module(f"hingex.solvers.{name}")


def _step_work(rows: Any) -> float:
    """Multiply-adds of one step for one class: weighted Gram matrix, factor, passes over rows."""
    n, D = rows.n, rows.d + 1
    gram = min(rows.nnz**2 / (2 * n), n * D**2 / 16)
    return gram + D**3 / 60 + 2 * rows.nnz + 40 * n
