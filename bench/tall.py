# SPDX-License-Identifier: BSD-3-Clause
"""Many rows, few features, C from small to large: linear SVMs by CPU seconds, one thread.

Every library solves each problem over its schedule of tolerances in a process of its own; a fit
that takes more CPU seconds than the budget ends it. hingex is taken at its default settings with
tol = 1e-3 and 1e-6; beside it stands the fastest fit of a peer whose objective, recomputed in
float64, is no higher, or else the most a peer was given (then the ratio is a lower bound).
Data that are mostly nonzero are dense float64 arrays, others CSR.

Wanted is at least 1 / 1.2 of the fastest peer's speed, 20 times that where it takes more than 5 s
or none comes there, and with the squared hinge 3 times that of LIBLINEAR's primal Newton method.
"""

import resource
import signal
import time
import warnings
from importlib import import_module

import numpy as np
import scipy.sparse as sp

from . import child, data
from .linear import append
from .worker import objective

SETS = ("covtype_like", "a9a", "phishing", "letter/ovr", "letter", "svmguide1", "mushrooms",
        "satimage/ovr", "usps_zip/ovr", "lambdarank")  # fmt: skip
CS = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1e3)
PEERS = ("sklearn_svc", "liblinear_official", "libpecos", "snapml")
TOLS = (1e-3, 1e-6)
REPEATS, ENOUGH = 5, 1.0  # fits of a setting, or until so many seconds have gone
DENSE = 0.25


def covtype_like(n=200_000, seed=0):
    """Ten quantities on the scales of the forest cover data, 44 indicators, labels with noise."""
    rng = np.random.default_rng(seed)
    aspect, slope = rng.uniform(0, 360, n), np.minimum(rng.gamma(3.5, 4.0, n), 66)
    elevation = np.clip(rng.normal(2960, 280, n), 1850, 3860)
    water = np.minimum(rng.exponential(270, n), 1400)
    above = np.clip(rng.normal(46, 58, n) + 0.1 * water, -170, 600)
    road = np.minimum(rng.gamma(2.2, 1070, n), 7117)
    fire = np.minimum(rng.gamma(2.2, 900, n), 7173)
    morning = 212 + 25 * np.cos(np.deg2rad(aspect - 70)) * slope / 14 + rng.normal(0, 12, n)
    noon = 223 - 9 * slope / 14 + rng.normal(0, 15, n)
    afternoon = noon - morning + 135 + rng.normal(0, 9, n)
    shades = (np.clip(shade, 0, 254) for shade in (morning, noon, afternoon))
    quantities = np.column_stack([elevation, aspect, slope, water, above, road, *shades, fire])
    area = rng.choice(4, n, p=[0.45, 0.05, 0.44, 0.06])
    soil = rng.choice(40, n, p=rng.dirichlet(np.full(40, 0.4)))
    indicators = np.zeros((n, 44))
    indicators[np.arange(n), area] = indicators[np.arange(n), 4 + soil] = 1
    z = (elevation - 2960) / 280
    score = 0.9 * z - 0.5 * z * z + 0.3 * np.sin(np.deg2rad(aspect)) + (road - 2350) / 6000
    score += rng.normal(0, 0.7, 40)[soil] + rng.logistic(0, 0.6, n)
    y = (score > np.median(score)).astype(np.int64)
    return np.hstack([np.round(quantities), indicators]), y


def load(name):
    """(X, y): a dense array, or CSR where most values are 0."""
    if name == "covtype_like":
        return covtype_like()
    base, _, task = name.partition("/")
    X, y, _ = data.load_task(base, task or "binary")
    X = X.astype(np.float64)
    if X.nnz > DENSE * X.shape[0] * X.shape[1]:
        return X.toarray(), y
    return X, y


def run(sets, losses, costs, budget, libraries, out):
    """Run the problems in turn, print their lines, and append their records to `out`."""
    run_id = time.strftime("%Y-%m-%dT%H:%M:%S")
    for name in sets:
        for loss in losses:
            for C in costs:
                group = []
                for library in ("hingex_svc", *libraries):
                    spec = {"set": name, "loss": loss, "C": C, "adapter": library, "budget": budget}
                    records, code = child.run("bench.tall", spec, 1)
                    if code == -signal.SIGPROF and records:
                        records.append(records[-1] | {"kind": "killed", "cpu": budget})
                    group += records
                for record in group:
                    record |= {"area": "tall", "run": run_id}
                append(out, group)
                print("\n".join(_lines(group)), flush=True)


def main():
    """The fits of one library, in a process of its own."""
    emit, spec = child.emitter(), child.arguments()
    warnings.simplefilter("ignore")
    try:
        adapter = import_module(f"bench.adapters.{spec['adapter']}")
    except (ImportError, OSError):
        return
    own = spec["adapter"] == "hingex_svc"
    X, y = load(spec["set"])
    task = "ovr" if y.max() > 1 else "binary"
    if spec["loss"] not in adapter.LOSSES or task not in adapter.TASKS:
        return
    takes_dense = own or spec["adapter"] == "sklearn_svc"
    given = X if takes_dense else sp.csr_matrix(X, dtype=np.float32)
    ready = adapter.prepare(given, y)
    plain = sp.csr_matrix(X)
    schedules = [[{"tol": tol} for tol in TOLS]] if own else adapter.schedules(spec["loss"])
    base = {**spec, "library": adapter.NAME, "kind": "fit"}
    emit(base | {"kind": "ready", "cpu": 0.0, "setting": {}})
    for schedule in schedules:
        for setting in schedule:
            found = []
            signal.setitimer(signal.ITIMER_PROF, spec["budget"] if not own else 0)
            while len(found) < REPEATS and sum(found) < ENOUGH:
                begin = _cpu()
                model = adapter.fit(ready, loss=spec["loss"], C=spec["C"], threads=1, **setting)
                found.append(_cpu() - begin)
            signal.setitimer(signal.ITIMER_PROF, 0)
            coef, intercept, gap = adapter.weights(model)
            value = objective(plain, y, coef, intercept, spec["loss"], spec["C"])
            emit(base | {"setting": setting, "cpu": min(found), "objective": value, "gap": gap,
                         "solver": getattr(model, "solver_", None)})  # fmt: skip


def _cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _lines(group):
    """A line of the table for each tolerance of hingex."""
    ours = [r for r in group if r["library"] == "hingex" and r["kind"] == "fit"]
    peers = [r for r in group if r["library"] != "hingex"]
    for r in ours:
        who, times, bound, seconds = _beside(r, peers)
        primal = [p for p in peers if _is_primal(p)] if r["loss"] == "squared_hinge" else []
        newton = _beside(r, primal)
        tol = r["setting"]["tol"]
        certified = r["gap"] is not None and r["gap"] <= tol
        met = _met(certified, (times, 20.0 if bound or seconds > 5 else 1 / 1.2, bound),
                   *([(newton[1], 3.0, newton[2])] if primal else []))  # fmt: skip
        yield (f"| {r['set']} | {r['loss']} | {r['C']:g} | {tol:g} | "
               f"{'yes' if certified else 'NO'} | {1e3 * r['cpu']:.1f} | {r['solver']} | {who} | "
               f"{_times(times, bound, peers)} | "
               f"{_times(newton[1], newton[2], primal) if primal else ''} | {met} |")  # fmt: skip


def _beside(own, peers):
    """Of the peers' fits as good as ours the fastest: who, times as long, if a bound, seconds."""
    reached = [p for p in peers if p["kind"] == "fit"
               and p["objective"] <= own["objective"] * (1 + 1e-9)]  # fmt: skip
    best = min(reached, key=lambda p: p["cpu"], default=None)
    seconds = best["cpu"] if best else max((p["cpu"] for p in peers), default=0.0)
    who = f"{best['library']}{_how(best)}" if best else "none"
    return who, seconds / own["cpu"], best is None, seconds


def _times(times, bound, peers):
    return f"{'>' if bound else ''}{times:.2f}x" if peers else "?"


def _is_primal(record):
    """Whether a fit is one of LIBLINEAR's primal Newton method."""
    setting = record["setting"]
    return setting.get("dual") is False or setting.get("s") == 2


def _how(record):
    setting = record["setting"]
    known = "dual" in setting or "s" in setting
    return (" (primal)" if _is_primal(record) else " (dual)") if known else ""


def _met(certified, *wanted):
    """The gap, and of (times, wanted, bound) each; "?": a peer was stopped too early to tell."""
    if not certified or any(times < least and not bound for times, least, bound in wanted):
        return "NO"
    return "yes" if all(times >= least for times, least, _ in wanted) else "?"


HEAD = ("| set | loss | C | tol | gap reached | hingex ms | solver | fastest peer | times | "
        "primal Newton, times | met |\n|---|---|---|---|---|---|---|---|---|---|---|")  # fmt: skip


def table(records):
    """The whole table, of the last run of each problem."""
    groups = {}
    for r in records:
        if r.get("area") == "tall":
            key = r["set"], r["loss"], r["C"]
            groups.setdefault(key, {}).setdefault(r["run"], []).append(r)
    lines = [line for runs in groups.values() for line in _lines(runs[max(runs)])]
    return "\n".join([HEAD, *lines])
