# SPDX-License-Identifier: BSD-3-Clause
"""Fits on blocks of rows: what `fit_stream` of the estimators does."""

from __future__ import annotations

import math
from contextlib import ExitStack
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from .. import _validate as check
from .. import blocks as blocks_module
from .._reading import remember_reading
from .._result import losing
from ..blocks import Checkpoint, DualStore, Feed, opened, survey
from ..model_io import storable_params
from ..solvers import block_dual_cd, pegasos
from ..stop import HISTORY_DTYPE, Monitor, State

_FREE = ("verbose", "callback", "n_jobs", "max_time", "max_iter", "random_state")


def _key(model: Any, source: Any, seen: Any, options: dict[str, Any]) -> dict[str, Any]:
    """What must be the same for a fit to go on from a checkpoint."""
    params = {k: v for k, v in storable_params(model)[0].items() if k not in _FREE}
    return {"estimator": type(model).__name__} | params | {
        "random_state": options["seed"], "threads": options["threads"],
        "rows of the blocks": seen.n_rows.tolist(), "features": seen.d,
        "classes": seen.classes.tolist(), "reading": getattr(source, "reading", None),
    }  # fmt: skip


def fit_stream(model: Any, blocks: Any, epochs: int | None, checkpoint: Any) -> Any:
    """`LinearSVC.fit_stream`."""
    owner = type(model).__name__
    options = model._options()
    verbose, callback = model._watchers()
    _refuse(model, options)
    if epochs is not None:
        options["max_iter"] = check.integer("epochs", epochs)
    kept = None if checkpoint is None else Checkpoint(checkpoint)
    with ExitStack() as stack:
        source = stack.enter_context(opened(blocks, None if kept is None else kept.folder))
        seen = survey(source, owner) if kept is None else kept.surveyed(source, owner)
        feed = Feed(source, seen, options["C"], model.class_weight, owner)
        lanes = 1 if len(seen.classes) == 2 else len(seen.classes)
        scratch = None
        if kept is None and 8 * seen.n * lanes > blocks_module.IN_MEMORY:
            scratch = stack.enter_context(TemporaryDirectory(prefix="hingex-"))
        store = DualStore(feed, lanes, kept, scratch)
        state = None if kept is None else kept.begin(_key(model, source, seen, options))
        if state is not None:
            store.restore(state)
        monitor = Monitor(callback, verbose, options["tol"], options["max_time"], owner)
        fit = block_dual_cd.solve(
            store, seen.n_rows, seen.d, loss=options["loss"], C=options["C"], weights=feed.totals,
            mean_sq=seen.mean_sq, intercept=options["intercept"], scaling=options["scaling"],
            tol=options["tol"], max_iter=options["max_iter"], max_time=options["max_time"],
            threads=options["threads"], seed=options["seed"], monitor=monitor, state=state,
        )  # fmt: skip
    absent = np.flatnonzero(feed.totals == 0)
    fit.coef[absent], fit.intercept[absent] = losing(fit.coef, fit.intercept, absent)
    model.__dict__.pop("feature_names_in_", None)
    remember_reading(model, source)
    model._learn(fit, "dual_cd", f"{len(seen.n_rows)} blocks: coordinate descent, one at a time",
                 seen.classes, None, seen.d)  # fmt: skip
    model._last_fit = None
    model._conclude(fit, options)
    return model


def _refuse(model: Any, options: dict[str, Any]) -> None:
    if hasattr(model, "cv"):
        raise TypeError(f"{type(model).__name__} has no fit_stream: choose C by fit on a part of "
                        "the rows, then LinearSVC(C=...).fit_stream on all")
    if options["scheme"] != "ovr":
        raise ValueError(f"fit_stream is for multi_class='ovr'; got {options['scheme']!r}")
    if options["solver"] not in ("auto", "dual_cd"):
        raise ValueError("fit_stream is by coordinate descent: solver must be 'auto' or 'dual_cd'; "
                         f"got {options['solver']!r}")
    if math.isinf(options["C"]):
        raise ValueError("fit_stream needs a finite C; C=inf (hard margin) is for fit")
    check.cost("C", options["C"])
    for name in ("warm_start", "store_dual"):
        if getattr(model, name):
            raise ValueError(f"fit_stream holds the duals of one block at a time: {name} must be "
                             "False")


def step_stream(model: Any, blocks: Any, epochs: int, checkpoint: Any) -> Any:
    """`fit_stream` of the classifiers that learn by steps."""
    owner = type(model).__name__
    options = model._options()
    epochs = check.integer("epochs", epochs)
    kept = None if checkpoint is None else Checkpoint(checkpoint)
    with ExitStack() as stack:
        source = stack.enter_context(opened(blocks, None if kept is None else kept.folder))
        seen = survey(source, owner) if kept is None else kept.surveyed(source, owner)
        feed = Feed(source, seen, 1.0, model.class_weight, owner)
        monitor = Monitor(options["callback"], options["verbose"], options["tol"],
                          options["max_time"], owner, epochs)  # fmt: skip
        model.__dict__.pop("feature_names_in_", None)
        remember_reading(model, source)
        state = None if kept is None else kept.begin(_key(model, source, seen, options))
        model._begin_at(seen.n, seen.d, seen.classes, seen.mean_sq,
                        float(feed.totals.sum()) / seen.n, seen.single, options)
        model._absent = np.flatnonzero(feed.totals == 0)
        run = _Steps(model, feed, options, monitor, kept)
        if state is not None:
            run.restore(state)
        status = run.to_the_end(epochs)
    _ = model.coef_  # made now: predictions leave the attributes as they are
    model.history_ = np.array(run.history, dtype=HISTORY_DTYPE)
    model.n_iter_, model.converged_ = run.epoch, False
    if status == "interrupted":
        raise KeyboardInterrupt
    if status == "max_time":
        from .._result import warn

        warn(f"{owner} has made {run.epoch} of {epochs} epochs, as max_time was reached: raise it, "
             "or give fewer epochs", "ConvergenceWarning")  # fmt: skip
    return model


class _Steps:
    """Epochs of a stochastic classifier over blocks in random order."""

    def __init__(self, model: Any, feed: Feed, options: dict[str, Any], monitor: Monitor,
                 checkpoint: Checkpoint | None) -> None:
        self.model, self.feed, self.monitor, self.checkpoint = model, feed, monitor, checkpoint
        self.begin = perf_counter()
        limit = options["max_time"]
        self.deadline = math.inf if limit is None else self.begin + limit
        self.seed, self.needs_norms = options["seed"], pegasos.needs_norms(options["rule"])
        regularized = options["intercept"] == "regularized"
        self.size = options["scaling"] ** 2 if regularized else math.inf
        self.epoch = self.visited = 0
        self.losses = 0.0
        self.history: list[tuple] = []

    def restore(self, state: dict[str, Any]) -> None:
        try:
            self.epoch, self.visited = int(state["epoch"]), int(state["visited"])
            self.losses = float(state["losses"])
            self.history = [tuple(entry) for entry in state["history"].tolist()]
            self.model._state.restore(*pegasos.unpacked(state))
        except (TypeError, ValueError) as error:
            raise ValueError(f"state of the checkpoint is damaged: {error}; delete this "
                             "checkpoint") from error

    def to_the_end(self, epochs: int) -> str:
        """Epochs until there are so many; returns how it ended."""
        seen, kernel = self.feed.seen, self.model._state
        kernel.poll = self.monitor.poll
        filled = np.flatnonzero(seen.n_rows)
        status = "done"
        try:
            while status == "done" and self.epoch < epochs:
                order = np.random.default_rng((self.seed, self.epoch)).permutation(filled)
                for number, rows, codes, weight in self.feed.visits(order[self.visited:].tolist()):
                    in_time = pegasos.visit(
                        kernel, rows, codes, weight, needs_norms=self.needs_norms, seed=self.seed,
                        number=self.epoch * len(seen.n_rows) + number, deadline=self.deadline,
                    )  # fmt: skip
                    self.visited += 1
                    self.losses += float(kernel.losses.sum())
                    if self.checkpoint is not None and self.checkpoint.due:
                        self._save(self.checkpoint)
                    if not in_time or perf_counter() > self.deadline:
                        status = "max_time"
                        break
                if self.visited < len(order):
                    break
                self.epoch, self.visited = self.epoch + 1, 0
                status = "callback" if self._tell() else status
                self.losses = 0.0
            if self.checkpoint is not None:
                self._save(self.checkpoint)
        except KeyboardInterrupt:
            status = "interrupted"
        finally:
            self.monitor.close()
            self.model._forget_weights()
        return status

    def _save(self, checkpoint: Checkpoint) -> None:
        checkpoint.save(pegasos.packed(self.model._state) | {
            "epoch": self.epoch, "visited": self.visited, "losses": self.losses,
            "history": np.array(self.history, dtype=HISTORY_DTYPE)})  # fmt: skip

    def _tell(self) -> bool:
        n, alpha = self.feed.seen.n, self.model._made[1]["alpha"]
        objective = 0.5 * alpha * self.model._state.penalty(self.size) + self.losses / n
        now = State(self.epoch, perf_counter() - self.begin, objective, math.nan, math.nan, n,
                    False)  # fmt: skip
        self.history.append(tuple(now))
        if not math.isfinite(objective):
            raise FloatingPointError(pegasos.OVERFLOW)
        return self.monitor.update(now)
