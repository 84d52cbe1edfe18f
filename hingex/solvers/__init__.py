# SPDX-License-Identifier: BSD-3-Clause
"""The functional layer: one file per solver, from a view of the data to a `Fit`.

`solve_linear` chooses among the solvers of linear SVMs, which all have the signature of
`dual_cd.solve`; `SOLVERS` says which loss and which multiclass scheme each is for. Joint
multiclass problems have one solver. Two classes, and one-vs-rest, have coordinate descent for
sparse and high-dimensional data, Newton's method where the rows outnumber the features and a
d x d matrix is cheap. With the hinge, coordinate descent is some times as fast where it converges
within a few epochs, and far slower where it does not, which only a trial can tell: so it has as
many epochs as cost half of what Newton's method is expected to, and goes on while its gap falls
fast enough. With the squared hinge it has a trial only where C is so small that it takes a few
epochs, and a matrix takes longer than these. Elsewhere, too, coordinate descent is tried first, and
when its gap falls too slowly, and a d x d matrix can be had, Newton's method starts from where it
came to. Should that stall in turn, the interior point method (with the hinge) and at last
coordinate descent go on from its duals. C = inf, the hard margin, is a sequence of soft ones.

`path` goes through many C, whatever the solver. `solve_penalized` takes any convex margin loss
under an l2, l1 or elastic-net penalty, with the table `PENALIZED`; an SVM among them is handed to
`solve_linear`.
"""

from __future__ import annotations

import math
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._result import Fit, with_weightless
from .._targets import weightless
from .._validate import squared_norms

if TYPE_CHECKING:
    from ..losses import MarginLoss


class Suits(NamedTuple):
    """What a solver of linear SVMs is for."""

    losses: tuple[str, ...]
    schemes: tuple[str, ...]  # values of multi_class; all solvers know two classes


JOINT = ("crammer_singer", "weston_watkins", "lee_lin_wahba")
SCHEMES = ("ovr", *JOINT)
SOLVERS = {
    "dual_cd": Suits(("hinge", "squared_hinge"), ("ovr",)),
    "interior_point": Suits(("hinge",), ("ovr",)),
    "newton": Suits(("hinge", "squared_hinge"), ("ovr",)),
    "multiclass_dual": Suits(("hinge", "squared_hinge"), JOINT),
}
SECOND_ORDER = "newton"
LARGEST = 1000  # features up to which Newton's method may be the first choice
ROWS_PER_FEATURE = 2  # rows a feature must have for it
WIDEST = 3000  # features up to which a second-order solver may take over
# Work in multiply-adds, measured on text, a9a, letter, phishing, satimage, usps_zip and others.
NEWTON_STEPS = 6
NEWTON_FROM = 400  # Newton's steps may cost as much as so many passes over X
HINGE_STEPS = 20  # and as many matrices as four with all rows, for a class
DESCENT = 2.0  # cost of coordinate descent's multiply-adds, in those of whole passes
TRIAL = 0.5  # of the time that Newton's method is expected to take, for the hinge
SHORTEST, LONGEST = 4, 60  # epochs of such a trial
DAMPED = 0.1  # 2 C |x|^2, on average, up to which the squared hinge takes a few epochs
FEW = 5  # epochs in the time of a Newton step, from which they are tried there
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
    if NEWTON_STEPS * _step_work(rows) > NEWTON_FROM * rows.nnz:
        return "dual_cd", f"{n} rows, {d} features: a Newton step costs too much"
    return "newton", f"{n} rows, {d} features: Newton's method suits tall data"


def solve_linear(
    rows: Any,
    codes: Any,
    n_classes: int,
    *,
    loss: str,
    max_iter: int,
    max_time: float | None,
    solver: str = "auto",
    scheme: str = "ovr",
    parts: int = 1,
    classes: Any = None,
    **options: Any,
) -> tuple[Fit, str, str]:
    """Solve with the solver that suits the data, or the one named; returns (fit, name, reason).

    `parts` is for coordinate descent alone. C = inf is the hard margin; `classes` are the labels,
    for its message. Classes whose rows all have weight 0 are left out, see `with_weightless`.
    """
    absent = weightless(codes, options["cost"], n_classes)
    if len(absent):
        return _without(
            solve_linear, absent, codes, n_classes, rows=rows, loss=loss, max_iter=max_iter,
            max_time=max_time, solver=solver, scheme=scheme, parts=parts, classes=classes,
            **options | {"start": None},
        )  # fmt: skip
    if math.isinf(options["C"]):
        return _solve_hard(
            rows, codes, n_classes, solver=solver, max_iter=max_iter, max_time=max_time,
            classes=classes, **options,
        )  # fmt: skip
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
    if solver == "auto" and name == "newton" and max_iter >= FEWEST_FOR_TWO:
        # Coordinate descent is some times as fast where it converges in a few epochs.
        epochs = _trial_epochs(rows, loss, options["C"], options["cost"])
        if epochs:
            name, trial["trial"] = "dual_cd", epochs
            reason = (f"{rows.n} rows, {rows.d} features: coordinate descent was tried first and "
                      "fast enough")  # fmt: skip
    two = solver == "auto" and name == "dual_cd" and rows.d <= WIDEST and max_iter >= FEWEST_FOR_TWO
    if two and not trial:
        steps = HINGE_STEPS if loss == "hinge" else NEWTON_STEPS
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
        name = SECOND_ORDER
        reason = (
            f"{rows.n} rows, {rows.d} features, {loss.replace('_', ' ')}: coordinate descent was "
            f"at a gap of {fit.gap.max():.1e} after {fit.n_iter} epochs"
        )
        left = max(max_iter - fit.n_iter, max_iter // 2)
        fit = solve(name, max_iter=left, max_time=max_time, first=fit)
    if solver == "auto" and name == "newton" and loss == "hinge" and _stalled(fit):
        name = "interior_point"
        reason += f"; Newton's method stalled at {fit.gap.max():.1e}"
        fit = solve(name, max_iter=max_iter, max_time=max_time, first=fit)
    time = None if max_time is None else max_time - fit.seconds
    if solver == "auto" and name != "dual_cd" and _stalled(fit) and (time is None or time > 0):
        reason += f"; {name} stalled at {fit.gap.max():.1e} after {fit.n_iter} epochs and steps"
        options["monitor"].go_on(fit.n_iter, fit.seconds)
        start = fit.dual, fit.intercept
        last = solve("dual_cd", max_iter=max_iter, max_time=time, start=start)
        return _joined(fit, last), "dual_cd", reason
    return fit, name, reason


def _without(
    solve: Any, absent: np.ndarray, codes: np.ndarray, n_classes: int, **options: Any
) -> tuple[Fit, str, str]:
    """Solve for the classes that are not `absent`, and give these scores that never win."""
    present = np.setdiff1d(np.arange(n_classes), absent)
    place = np.zeros(n_classes, np.int32)  # rows of the others have weight 0 in any place
    place[present] = np.arange(len(present))
    if options.get("classes") is not None:
        options["classes"] = options["classes"][present]
    fit, name, reason = solve(codes=place[codes], n_classes=len(present), **options)
    joint = options.get("scheme", "ovr") != "ovr"
    return with_weightless(fit, present, n_classes, joint), name, reason


def _solve_hard(
    rows: Any, codes: np.ndarray, n_classes: int, *, solver: str, **options: Any
) -> tuple[Fit, str, str]:
    """The hard margin, by soft margins with a solver for the hinge."""
    used: dict[str, int] = {}
    common = {name: options[name] for name in ("intercept", "scaling", "threads", "seed")}

    def soft(codes, C, cost, tol, max_iter, max_time, start, monitor):  # type: ignore[no-untyped-def]
        fit, name, _ = solve_linear(
            rows, codes, 2, loss="hinge", C=C, cost=cost, tol=tol, max_iter=max_iter,
            max_time=max_time, start=start, monitor=monitor, solver=solver, **common,
        )  # fmt: skip
        used[name] = used.get(name, 0) + 1
        return fit

    options.pop("start", None)
    fit = _module("hard_margin").solve(
        rows, codes, n_classes, soft=soft, **{k: v for k, v in options.items() if k != "C"}
    )
    name = max(used, key=lambda n: used[n]) if used else "dual_cd"
    return fit, name, f"C=inf: {sum(used.values())} soft margins of growing C"


def _stalled(fit: Fit) -> bool:
    return fit.status == "stalled" and bool(fit.gap.max() > ROUNDING)


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
    after.summed &= not worse.any()
    after.state = after.state if after.summed else None
    after.history["epoch"] += before.n_iter
    after.history["seconds"] += before.seconds
    after.history = np.concatenate([before.history, after.history])
    after.n_iter += before.n_iter
    after.seconds += before.seconds
    return after


@cache
def _module(name: str) -> Any:
    return import_module(f"hingex.solvers.{name}")


def _trial_epochs(rows: Any, loss: str, C: float, cost: np.ndarray | None) -> int:
    """Epochs in part of the time that Newton's method needs, for one class; 0 for no trial."""
    n, D = rows.n, rows.d + 1
    epoch = DESCENT * (1.5 * rows.nnz + 16 * n)
    if loss == "squared_hinge":  # one step may be enough, and is if C is small
        epochs = int(min(_step_work(rows) / epoch, LONGEST))
        if epochs < FEW:
            return 0
        _, mean_sq = squared_norms(rows, C if cost is None else float(cost.max()))
        usual = C if cost is None else float(cost.mean())
        return epochs if 2 * usual * mean_sq <= DAMPED else 0
    gram = min(rows.nnz**2 / (2 * n), n * D**2 / 16)
    newton = 4 * gram + HINGE_STEPS * (D**3 / 60 + 2 * rows.nnz + 40 * n)
    return int(min(max(TRIAL * newton / epoch, SHORTEST), LONGEST))


def _step_work(rows: Any) -> float:
    """Multiply-adds of one step for one class: weighted Gram matrix, factor, passes over rows."""
    n, D = rows.n, rows.d + 1
    gram = min(rows.nnz**2 / (2 * n), n * D**2 / 16)
    return gram + D**3 / 60 + 2 * rows.nnz + 40 * n


# ---- any convex margin loss under a penalty ------------------------------------------------


class UnsuitableError(ValueError):
    """A solver was asked for a problem that it is not for; the message says which fit."""


class Penalties(NamedTuple):
    """What a solver of penalised margin losses is for."""

    losses: str  # in words; `as_svm` knows those of SVMs
    penalties: tuple[str, ...]


_SVM_LOSSES = ("hinge", "squared_hinge")
_SVM = "positive multiples of Hinge(margin > 0) or SquaredHinge(margin > 0)"
PENALIZED = {
    "newton_cg": Penalties("any convex margin loss", ("l2",)),
    "l1_newton": Penalties("any convex margin loss", ("l1", "elasticnet")),
    "dual_cd": Penalties(_SVM, ("l2",)),
    "interior_point": Penalties("positive multiples of Hinge(margin > 0)", ("l2",)),
    "newton": Penalties(_SVM, ("l2",)),
}


class Svm(NamedTuple):
    """A margin loss as factor * (margin)^p times the loss `name` at t / margin."""

    name: str
    factor: float
    margin: float


def as_svm(loss: MarginLoss) -> Svm | None:
    """The linear SVM that an l2 penalty makes of this loss, if it is one."""
    parts = [(c, part) for c, part in loss._parts() if c != 0]
    if len({part for _, part in parts}) != 1:
        return None
    name, margin, _ = parts[0][1]._term()  # type: ignore[attr-defined]
    factor = sum(c for c, _ in parts)
    return Svm(name, factor, margin) if name in _SVM_LOSSES and margin > 0 < factor else None


def check_penalized(solver: str, loss: MarginLoss, penalty: str) -> None:
    """Raise UnsuitableError unless `solver`, a name in PENALIZED or "auto", is for this problem."""
    if not loss.is_convex:
        raise UnsuitableError(
            f"loss={loss} is not convex: no solver can certify a minimum of it. Convex are Hinge, "
            "SquaredHinge, HuberizedHinge, SmoothHinge, ModifiedHuber, SoftplusHinge, Perceptron, "
            "Logistic, Exponential, Squared, and their sums with weights that are not negative"
        )
    if all(c == 0 for c, _ in loss._parts()):
        raise UnsuitableError(f"loss={loss} is zero: there is nothing to minimise")
    svm = as_svm(loss) if penalty == "l2" else None
    able = [name for name, fits in PENALIZED.items() if penalty in fits.penalties]
    if svm is None or svm.name == "squared_hinge":
        able = [name for name in able if name != "interior_point"]
    if svm is None:
        able = [name for name in able if name not in ("dual_cd", "newton")]
    if solver != "auto" and solver not in able:
        fits = PENALIZED[solver]
        raise UnsuitableError(
            f"solver={solver!r} is not for loss={loss} with penalty={penalty!r}: it is for "
            f"{fits.losses} with penalty {_either(fits.penalties)}; this problem is solved by "
            f"solver {_either(('auto', *able))}"
        )


def solve_penalized(
    rows: Any,
    codes: np.ndarray,
    n_classes: int,
    *,
    loss: MarginLoss,
    penalty: str,
    l1_ratio: float,
    solver: str = "auto",
    parts: int = 1,
    threads: int = 1,
    seed: int = 0,
    start: tuple[np.ndarray, np.ndarray] | None = None,
    duals: tuple[np.ndarray, np.ndarray] | None = None,
    **options: Any,
) -> tuple[Fit, str, str]:
    """Solve one binary problem, or all one-vs-rest problems; returns (fit, name, reason).

    `start` are weights and intercepts to begin with, `duals` the same as duals: SVM solvers want
    them, and losses with kinks gain by them. `parts`, `threads` and `seed` are for these alone.
    """
    absent = weightless(codes, options["cost"], n_classes)
    if len(absent):
        return _without(
            solve_penalized, absent, codes, n_classes, rows=rows, loss=loss, penalty=penalty,
            l1_ratio=l1_ratio, solver=solver, parts=parts, threads=threads, seed=seed, **options,
        )  # fmt: skip
    check_penalized(solver, loss, penalty)
    svm = as_svm(loss) if penalty == "l2" else None
    reason = "as asked for" if solver != "auto" else ""
    if svm is not None and solver != "newton_cg":
        more = {"parts": parts, "threads": threads, "seed": seed, "start": duals}
        return _solve_svm(rows, codes, n_classes, svm, solver, options | more)
    options |= {"loss": loss, "start": start, "duals": None if duals is None else duals[0]}
    if penalty == "l2":
        name = "newton_cg"
        fit = _module(name).solve(rows, codes, n_classes, **options)
        return fit, name, reason or f"{loss} with an l2 penalty: Newton's method"
    ratio = 1.0 if penalty == "l1" else l1_ratio
    name = "l1_newton"
    fit = _module(name).solve(rows, codes, n_classes, l1=ratio, l2=1.0 - ratio, **options)
    return fit, name, reason or f"{loss} with penalty {penalty}: proximal Newton on working sets"


def _solve_svm(
    rows: Any, codes: np.ndarray, n_classes: int, svm: Svm, solver: str, options: dict[str, Any],
) -> tuple[Fit, str, str]:
    """A margin m: the weights, the duals of the hinge and, squared, the objectives are m-fold."""
    m = svm.margin
    power = svm.factor / m if svm.name == "hinge" else svm.factor
    options["C"] *= power
    if options["cost"] is not None:
        options["cost"] = options["cost"] * power
    monitor = options["monitor"]
    told = monitor.callback
    if m != 1 and told is not None:
        monitor.callback = lambda state: told(
            state._replace(primal=m * m * state.primal, dual=m * m * state.dual))
    if options["start"] is not None and m != 1:
        options["start"] = tuple(part / m for part in options["start"])
    fit, name, reason = solve_linear(
        rows, codes, n_classes, loss=svm.name, solver=solver, **options)
    monitor.callback = told
    if m != 1:
        for what, by in (("coef", m), ("intercept", m), ("dual", m), ("primal", m * m),
                         ("dual_objective", m * m)):
            setattr(fit, what, getattr(fit, what) * by)
        for what in ("primal", "dual"):
            fit.history[what] *= m * m
    return fit, name, reason
