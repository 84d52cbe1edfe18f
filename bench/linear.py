# SPDX-License-Identifier: BSD-3-Clause
"""Linear SVMs: hingex and the libraries that a user could take instead, to the same objective.

Every library solves every task over its schedule of tolerances or epochs, in a process of its
own with as many CPUs and threads as the others, one after the other. Timed is `fit`, with the
conversions that a library's interface forces on the owner of a float32 CSR matrix; loading is
not. Objectives are recomputed in float64, and suboptimality is relative to an optimum that its
dual objective certifies. A fit that takes longer than the budget is killed.
"""

import json
import signal
import time

from . import child, data, summary

ADAPTERS = (
    "hingex_svc", "sklearn_svc", "sklearn_sgd", "liblinear_official", "liblinear_multicore",
    "libpecos", "snapml", "cyanure", "vowpalwabbit",
)  # fmt: skip
REFERENCE_TOL = {"binary": 1e-8, "ovr": 1e-8, "crammer_singer": 1e-6}  # of the optimum, by task
REFERENCE_SECONDS = 900


def run(sets, losses, tasks, threads, repeats, budget, libraries, out):
    """Run the tasks in turn, print them, and append their records to `out` as JSON lines."""
    run_id = time.strftime("%Y-%m-%dT%H:%M:%S")
    missing = set()
    for name in sets:
        for task in tasks:
            if task != "binary" and data.SHAPES[name][3] == 2:
                continue
            for loss in losses:
                spec = {"set": name, "task": task, "loss": loss, "C": 1.0, "threads": threads,
                        "repeats": repeats, "budget": budget}  # fmt: skip
                optimum = reference(spec, out.parent / "optima.json")
                spec["optimum"] = optimum["objective"]
                spec["certified"] = optimum["objective"] / optimum["dual"] - 1
                group = []
                for library in libraries:
                    if library not in missing:
                        group += _library(spec | {"adapter": library}, missing)
                for record in group:
                    record |= {"area": "linear", "run": run_id, "optimum": spec["optimum"],
                               "certified": spec["certified"]}  # fmt: skip
                append(out, group)
                print(summary.task_table(group), flush=True)


def append(out, records):
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def reference(spec, cache):
    """Optimum and certificate of a task, from the cache if they are there."""
    real = data.folder() is not None and spec["set"] != data.CLUSTERS
    key = "/".join((spec["set"], spec["task"], spec["loss"], "real" if real else "synthetic"))
    known = json.loads(cache.read_text()) if cache.exists() else {}
    if key not in known:
        job = spec | {"reference": REFERENCE_TOL[spec["task"]], "budget": REFERENCE_SECONDS}
        records, code = child.run("bench.worker", job, spec["threads"])
        if code or not records:
            raise RuntimeError(f"no optimum for {key}: the process ended with {code}")
        known = json.loads(cache.read_text()) if cache.exists() else {}
        known[key] = records[0]
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(json.dumps(known, indent=1))
    return known[key]


def _library(spec, missing):
    """The records of one library; its last one says so when a fit was killed."""
    records = []
    for default in (True, False):
        found, code = child.run("bench.worker", spec | {"default": default}, spec["threads"])
        if found and "skipped" in found[0]:
            missing.add(spec["adapter"])
            print(f"skipped {spec['adapter']}: {found[0]['skipped']}", flush=True)
            return []
        if found and "unfit" in found[0]:
            print(f"skipped on {spec['set']}: {found[0]['unfit']}", flush=True)
            return []
        if not found:
            if code:
                print(f"{spec['adapter']} on {spec['set']}: ended with {code} before any fit")
            return []
        ready, *found = found
        records += found
        if code == 0:
            break
        how = "killed" if code == -getattr(signal, "SIGALRM", 0) else "crashed"
        print(f"{ready['ready']} on {spec['set']} {spec['task']} {spec['loss']}: {how} ("
              + (f"a fit took more than {spec['budget']:g} s)" if how == "killed" else f"{code})"),
              flush=True)  # fmt: skip
        if records or not default:  # otherwise the default fit was too slow: again without it
            if how == "killed":
                records.append({
                    **{k: spec[k] for k in ("set", "task", "loss", "C", "threads", "budget")},
                    "kind": "killed", "library": ready["ready"], "version": ready["version"],
                })  # fmt: skip
            break
    return records
