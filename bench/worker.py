# SPDX-License-Identifier: BSD-3-Clause
"""One library on one task, in a process of its own (see child.py): a record for each setting."""

import contextlib
import ctypes
import gc
import os
import resource
import signal
import time
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np

from . import child, data

ENOUGH = 1e-6  # suboptimality at which a schedule ends
LANES = 64  # classes at a time, to bound memory


def objective(X, y, coef, intercept, loss, C):
    """Sum over the problems of 1/2 (||w||^2 + b^2) + C sum phi, in float64."""
    X = X.astype(np.float64)
    lanes = coef.shape[0]
    # No BLAS: its threads would go on to spin during the next fit.
    total = 0.5 * ((coef * coef).sum() + (intercept * intercept).sum())
    for k in range(0, lanes, LANES):
        scores = X @ coef[k : k + LANES].T + intercept[k : k + LANES]
        classes = np.arange(k, k + scores.shape[1]) if lanes > 1 else np.ones(1, dtype=int)
        signs = np.where(y[:, None] == classes, 1.0, -1.0)
        slack = np.maximum(0.0, 1 - signs * scores)
        total += C * (slack if loss == "hinge" else slack**2).sum()
    return float(total)


def joint_objective(X, y, coef, intercept, loss, C):
    """1/2 sum (||w||^2 + b^2) + C sum max_{m != y} max(0, 1 + s_m - s_y)^p, in float64."""
    scores = X.astype(np.float64) @ coef.T + intercept
    rows = np.arange(len(y))
    own = scores[rows, y].copy()
    scores[rows, y] = -np.inf
    slack = np.maximum(0.0, 1 + scores.max(axis=1) - own)
    total = 0.5 * ((coef * coef).sum() + (intercept * intercept).sum())
    return float(total + C * (slack if loss == "hinge" else slack**2).sum())


def joint_dual(X, y, duals, loss, C):
    """Crammer-Singer's dual, for more than two classes, at the rows' coefficients (n, K)."""
    own = duals[np.arange(len(y)), y]
    others = duals.copy()
    others[np.arange(len(y)), y] = 0
    if (others > 0).any() or np.abs(duals.sum(axis=1)).max() > 1e-9 * C or (
            loss == "hinge" and own.max() > C * (1 + 1e-12)):  # fmt: skip
        raise ValueError("infeasible duals")
    w, b = X.astype(np.float64).T @ duals, duals.sum(axis=0)
    total = own.sum() - 0.5 * (np.vdot(w, w) + np.vdot(b, b))
    return float(total - (np.vdot(own, own) / (4 * C) if loss == "squared_hinge" else 0))


def dual_objective(X, signed, loss, C):
    """Sum of the duals at y_i alpha_i, (n, K), which is a bound for every objective; float64."""
    X = X.astype(np.float64)
    total = 0.0
    for k in range(0, signed.shape[1], LANES):
        alpha = np.abs(signed[:, k : k + LANES])
        if loss == "hinge" and alpha.max() > C:
            raise ValueError("infeasible duals")
        w, b = X.T @ signed[:, k : k + LANES], signed[:, k : k + LANES].sum(axis=0)
        total += alpha.sum() - 0.5 * (np.vdot(w, w) + np.vdot(b, b))
        if loss == "squared_hinge":
            total -= np.vdot(alpha, alpha) / (4 * C)
    return float(total)


def accuracy(X, y, coef, intercept):
    scores = X @ coef.T + intercept
    found = scores.argmax(axis=1) if scores.shape[1] > 1 else scores[:, 0] > 0
    return float(np.mean(found == y))


def _memory(field):
    """A field of /proc/self/status in bytes; None where there is none."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return None
    line = next((x for x in text.splitlines() if x.startswith(field + ":")), None)
    return None if line is None else 1024 * int(line.split()[1])


def _reset_peak():
    """Forget the peak, and give free memory back so that its reuse shows; whether that went."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _limit(seconds):
    """Have the process killed when this time has passed, whatever it does; 0: not any more."""
    if hasattr(signal, "SIGALRM"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class _Task:
    def __init__(self, spec, adapter):
        self.spec, self.adapter = spec, adapter
        self.loss, self.C = spec["loss"], spec["C"]
        self.X, self.y, self.real = data.load_task(spec["set"], spec["task"])
        self.data = adapter.prepare(self.X, self.y)
        self.options = {"loss": self.loss, "C": self.C, "threads": spec["threads"]}
        if spec["task"] == "crammer_singer":
            self.options["multi_class"] = spec["task"]
        some = np.arange(50)  # imports and first calls
        adapter.weights(adapter.fit(adapter.prepare(self.X[:50], some % 2), **self.options,
                                    **adapter.schedules(self.loss)[0][0]))  # fmt: skip

    def fit(self, setting):
        """(model, wall seconds, CPU seconds)."""
        gc.collect()
        _limit(self.spec["budget"])
        wall, cpu = time.perf_counter(), cpu_seconds()
        model = self.adapter.fit(self.data, **self.options, **setting)
        wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
        _limit(0)
        return model, wall, cpu

    def value(self, weights):
        value = joint_objective if self.spec["task"] == "crammer_singer" else objective
        return value(self.X, self.y, *weights[:2], self.loss, self.C)

    def record(self, kind, setting, **more):
        return {
            **{key: self.spec[key] for key in ("set", "task", "loss", "C", "threads", "budget")},
            "kind": kind, "library": self.adapter.NAME, "version": self.adapter.version(),
            "real": self.real, "setting": setting, **more,
        }  # fmt: skip

    def default(self):
        """The library as it comes: peak memory and accuracy on the test rows."""
        setting = self.adapter.default(self.loss)
        before = _reset_peak() and _memory("VmRSS")
        model, wall, cpu = self.fit(setting)
        extra = _memory("VmHWM") - before if before else None
        weights = self.adapter.weights(model)
        X, y, _ = data.load_task(self.spec["set"], self.spec["task"], "test")
        return self.record(
            "default", setting, wall=wall, cpu=cpu, objective=self.value(weights),
            memory=extra, data_bytes=self.X.data.nbytes + self.X.indices.nbytes
            + self.X.indptr.nbytes, accuracy=accuracy(X, y, *weights[:2]),
        )  # fmt: skip

    def timed(self):
        """Over the schedules; each ends at ENOUGH, or when it has taken three budgets."""
        budget = self.spec["budget"]
        found = np.inf  # seconds in which an earlier schedule came to ENOUGH
        for schedule in self.adapter.schedules(self.loss):
            spent = 0.0
            for setting in schedule:
                walls, cpus = [], []
                # Medians of slow fits are not worth their time.
                while len(walls) < self.spec["repeats"] and sum(walls) <= 0.1 * budget:
                    model, wall, cpu = self.fit(setting)
                    walls.append(wall)
                    cpus.append(cpu)
                    if len(walls) == 1:
                        weights = self.adapter.weights(model)
                    del model
                value = self.value(weights)
                yield self.record(
                    "fit", setting, wall=float(np.median(walls)), cpu=float(np.median(cpus)),
                    walls=walls, objective=value, gap=weights[2],
                )  # fmt: skip
                spent += sum(walls)
                if value <= self.spec["optimum"] * (1 + ENOUGH):
                    found = min(found, float(np.median(walls)))
                    break
                if spent > 3 * budget or np.median(walls) > found:
                    break


def main():
    emit = child.emitter()
    spec = child.arguments()
    warnings.simplefilter("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"
    if "reference" in spec:
        emit(_reference(spec))
        return
    try:
        adapter = import_module(f"bench.adapters.{spec['adapter']}")
    except (ImportError, OSError) as error:
        emit({"skipped": f"{type(error).__name__}: {error}"})
        return
    if spec["loss"] not in adapter.LOSSES or spec["task"] not in adapter.TASKS:
        return
    try:
        task = _Task(spec, adapter)
    except NotImplementedError as error:
        emit({"unfit": f"{adapter.NAME}: {error}"})
        return
    emit({"ready": adapter.NAME, "version": adapter.version()})
    if spec["default"]:
        emit(task.default())
    for record in task.timed() if spec["repeats"] else ():
        emit(record)


def _reference(spec):
    """An optimum, and the dual objective that certifies it, both recomputed in float64."""
    import hingex

    X, y, real = data.load_task(spec["set"], spec["task"])
    model = hingex.LinearSVC(
        loss=spec["loss"], C=spec["C"], tol=spec["reference"], intercept="regularized",
        max_iter=10_000_000, max_time=spec["budget"], store_dual=True, n_jobs=spec["threads"],
        multi_class="crammer_singer" if spec["task"] == "crammer_singer" else "ovr",
    ).fit(X, y)  # fmt: skip
    if spec["task"] == "crammer_singer":
        coef, intercept = model.coef_, model.intercept_
        return {
            "objective": joint_objective(X, y, coef, intercept, spec["loss"], spec["C"]),
            "dual": joint_dual(X, y, model.dual_coef_, spec["loss"], spec["C"]), "real": real,
        }  # fmt: skip
    signed = model.dual_coef_.reshape(X.shape[0], -1)
    return {
        "objective": objective(X, y, model.coef_, model.intercept_, spec["loss"], spec["C"]),
        "dual": dual_objective(X, signed, spec["loss"], spec["C"]), "real": real,
    }  # fmt: skip
