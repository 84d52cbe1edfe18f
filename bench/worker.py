# SPDX-License-Identifier: BSD-3-Clause
"""One library on one task, in a process of its own: a line of JSON for each fit.

    python -m bench.worker '{"adapter": "hingex_svc", "set": "20news", ...}'
"""

import json
import resource
import sys
import time
import warnings
from importlib import import_module

import numpy as np

from . import data


def objective(X, y, coef, intercept, loss, C):
    """Sum over the problems of 1/2 (||w||^2 + b^2) + C sum phi, in float64."""
    total = 0.0
    lanes = coef.shape[0]
    X = X.astype(np.float64)
    for k in range(lanes):
        sign = np.where(y == (k if lanes > 1 else 1), 1.0, -1.0)
        slack = np.maximum(0.0, 1 - sign * (X @ coef[k] + intercept[k]))
        phi = slack if loss == "hinge" else slack**2
        total += 0.5 * (coef[k] @ coef[k] + intercept[k] ** 2) + C * phi.sum()
    return float(total)


def main():
    task = json.loads(sys.argv[1])
    adapter = import_module(f"bench.adapters.{task['adapter']}")
    X, y, real = data.load(task["set"])
    if task["task"] == "binary":
        y = data.binary_halves(y)
    warnings.simplefilter("ignore")
    options = {"loss": task["loss"], "C": task["C"], "threads": task["threads"]}
    adapter.fit(X[:50], np.arange(50) % 2, tol=0.1, **options)  # imports and first calls
    default = adapter.default(task["loss"])
    tolerances = adapter.schedule(task["loss"])
    if task["quick"] and adapter.NAME != "hingex":
        tolerances = [default]
    for tol in tolerances:
        walls, cpus = [], []
        while len(walls) < task["repeats"] and (len(walls) == 0 or sum(walls) < task["budget"]):
            start, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
            coef, intercept, gap = adapter.fit(X, y, tol=tol, **options)
            walls.append(time.perf_counter() - start)
            now = resource.getrusage(resource.RUSAGE_SELF)
            cpus.append(now.ru_utime + now.ru_stime - cpu.ru_utime - cpu.ru_stime)
        print(json.dumps({
            **task, "library": adapter.NAME, "version": adapter.version(), "tol": tol,
            "is_default": tol == default, "real": real,
            "wall": float(np.median(walls)), "cpu": float(np.median(cpus)),
            "objective": objective(X, y, coef, intercept, task["loss"], task["C"]),
            "gap": gap,
        }), flush=True)
        if max(walls) > task["budget"] and tol <= default:
            break


if __name__ == "__main__":
    main()
