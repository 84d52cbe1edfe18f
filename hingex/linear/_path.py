# SPDX-License-Identifier: BSD-3-Clause
"""`LinearSVC.path`: models for many C, each from the one before."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _validate as check
from .._result import Fit, warn
from .._targets import n_lanes
from ..solvers import solve_linear
from ..solvers.path import Step, solve_path, spare
from ..stop import HISTORY_DTYPE, Monitor

if TYPE_CHECKING:
    from ._svc import LinearSVC


@dataclass
class LinearPath:
    """Linear SVMs for m values of C, in the order in which these were given.

    K is 1 for two classes, else the number of classes or labels. What was not reached, because
    `max_time`, the callback or Ctrl-C came first, is NaN, with `n_iter` 0.

    Attributes
    ----------
    Cs : ndarray (m,)
    coefs : ndarray (m, K, d)
    intercepts : ndarray (m, K)
    gaps, objectives, dual_objectives : ndarray (m, K), or (m, 1) for a joint problem
        Certified: no model has an objective below (1 - gap) * objective.
    n_iter : ndarray (m,) of int
        Epochs, and iterations of second-order solvers.
    seconds : ndarray (m,)
        What each C took, given the ones before it.
    converged : ndarray (m,) of bool
    solvers : list of str
        What solved each C; "" for C not reached.

    Examples
    --------
    >>> import hingex
    >>> path = hingex.LinearSVC().path([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1], Cs=[1.0, 0.1])
    >>> len(path), path.coefs.shape
    (2, (2, 1, 1))
    >>> path.model(0).predict([[2.5]]).tolist()
    [1]
    """

    Cs: np.ndarray
    intercepts: np.ndarray
    gaps: np.ndarray
    objectives: np.ndarray
    dual_objectives: np.ndarray
    n_iter: np.ndarray
    seconds: np.ndarray
    converged: np.ndarray
    solvers: list[str]
    _d: int = field(repr=False)
    _coefs: list[np.ndarray | None] = field(repr=False)
    _reasons: list[str] = field(repr=False)
    _histories: list[np.ndarray] = field(repr=False)
    _estimator: Any = field(repr=False)
    _labels: tuple[Any, ...] = field(repr=False)  # classes, kind of indicator, feature names

    def __len__(self) -> int:
        return len(self.Cs)

    def __repr__(self) -> str:
        reached = np.count_nonzero(self.n_iter) if len(self) else 0
        return (
            f"LinearPath({len(self)} C from {self.Cs.min():g} to {self.Cs.max():g}, {reached} "
            f"reached, largest gap {np.fmax.reduce(self.gaps, axis=None, initial=0.0):.1e})"
        )

    def model(self, i: int) -> LinearSVC:
        """The fitted estimator for ``Cs[i]``, with copies of nothing.

        Parameters
        ----------
        i : int
            May count from the end, as an index.

        Returns
        -------
        LinearSVC

        Raises
        ------
        IndexError
            If there is no such C.
        ValueError
            If it was not reached.
        """
        i = range(len(self))[i]
        if not self.solvers[i]:
            raise ValueError(f"C={self.Cs[i]:g} was not reached: raise max_time")
        classes, kind, names = self._labels
        coef = self._coefs[i]
        assert coef is not None
        model = self._estimator._with_C(float(self.Cs[i]))
        fit = Fit(
            coef=coef, intercept=self.intercepts[i], dual=None, primal=self.objectives[i],
            dual_objective=self.dual_objectives[i], gap=self.gaps[i], history=self._histories[i],
            n_iter=int(self.n_iter[i]), converged=bool(self.converged[i]), status="",
            seconds=float(self.seconds[i]),
        )  # fmt: skip
        model._learn(fit, self.solvers[i], self._reasons[i], classes, kind, self._d)
        if names is not None:
            model.feature_names_in_ = names
        return model

    @cached_property
    def coefs(self) -> np.ndarray:
        """ndarray (m, K, d), made when first asked for."""
        K, d = self.intercepts.shape[1], self._d
        out = np.empty((len(self), d, K)).transpose(0, 2, 1)  # features first, as kernels read them
        for i, coef in enumerate(self._coefs):
            out[i] = np.nan if coef is None else coef
        return out

    def _take(self, places: np.ndarray, step: Step) -> None:
        fit = step.fit
        coef = fit.coef.copy(order="K")
        self.intercepts[places] = fit.intercept
        self.gaps[places], self.objectives[places] = fit.gap, fit.primal
        self.dual_objectives[places] = fit.dual_objective
        self.n_iter[places], self.seconds[places] = fit.n_iter, step.seconds
        self.converged[places] = fit.converged
        for i in places:
            self.solvers[i], self._reasons[i] = step.solver, step.reason
            self._histories[i], self._coefs[i] = fit.history, coef


def empty_path(
    estimator: Any, Cs: np.ndarray, lanes: int, problems: int, d: int, labels: tuple
) -> LinearPath:
    """A path of which nothing is known yet."""
    m = len(Cs)

    def unknown(*shape: int) -> np.ndarray:
        return np.full(shape, np.nan)

    return LinearPath(
        Cs, unknown(m, lanes), unknown(m, problems),
        unknown(m, problems), unknown(m, problems), np.zeros(m, dtype=np.int64), unknown(m),
        np.zeros(m, dtype=bool), [""] * m, d, [None] * m, [""] * m,
        [np.empty(0, HISTORY_DTYPE)] * m, estimator, labels,
    )  # fmt: skip


def run_path(svc: LinearSVC, X: Any, y: Any, Cs: Any, sample_weight: Any) -> LinearPath:
    """`LinearSVC.path`."""
    begin = perf_counter()
    owner = type(svc).__name__
    options = svc._options()
    verbose, callback = svc._watchers()
    values = check.many_C("Cs", Cs)
    max_time = options.pop("max_time")
    del options["C"]

    rows = check.as_rows(X, owner=owner)
    classes, targets, kind = svc._targets(y, rows.n, options["scheme"])
    names = check.feature_names(X)
    ascending, place = np.unique(values, return_inverse=True)

    def costs(C: float) -> np.ndarray | None:
        return check.row_weights(C, svc.class_weight, sample_weight, classes, targets, rows.n)

    costs(float(ascending[-1]))  # errors before any work
    costs(float(ascending[0]))
    K = n_lanes(targets, len(classes))
    problems = K if options["scheme"] == "ovr" else 1
    path = empty_path(svc, values, K, problems, rows.d, (classes, kind, names))
    steps = solve_path(
        solve_linear, rows, targets, len(classes), ascending, costs,
        deadline=math.inf if max_time is None else begin + max_time - spare(rows, K, max_time),
        monitor=lambda C, left: Monitor(callback, verbose, options["tol"], left,
                                        f"{owner} C={C:.3g}"),
        **options,
    )  # fmt: skip
    for j, step in enumerate(steps):
        path._take(np.flatnonzero(place == j), step)
        if step.fit.status == "interrupted":
            stop = KeyboardInterrupt()
            stop.path = path  # type: ignore[attr-defined]
            raise stop
    if not path.converged.all():
        slow = int(np.count_nonzero((path.n_iter > 0) & ~path.converged))
        missed = int(np.count_nonzero([not name for name in path.solvers]))
        worst = np.fmax.reduce(path.gaps, axis=None, initial=0.0)
        warn(
            f"{owner}.path stopped above tol={options['tol']:g} for {slow} of {len(values)} C "
            f"(largest relative duality gap {worst:.2e}), and did not come to {missed}. Raise "
            "max_iter or max_time, raise tol, scale the features to similar ranges, or leave out "
            "the largest C.",
            "ConvergenceWarning",
        )
    return path
