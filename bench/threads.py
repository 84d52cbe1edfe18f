# SPDX-License-Identifier: BSD-3-Clause
"""hingex with two threads against hingex with one, in turn in one process, to 1e-3."""

import statistics
import time

from . import child, data, linear

LEVEL = 1e-3


def run(sets, losses, tasks, repeats, out):
    for name in sets:
        for task in tasks:
            if task == "ovr" and data.SHAPES[name][3] == 2:
                continue
            for loss in losses:
                spec = {"set": name, "task": task, "loss": loss, "C": 1.0, "threads": 2,
                        "repeats": repeats}  # fmt: skip
                optimum = linear.reference(spec, out.parent / "optima.json")["objective"]
                records, code = child.run("bench.threads", spec | {"optimum": optimum}, 2)
                if code or not records:
                    raise RuntimeError(f"threads on {name}: the process ended with {code}")
                linear.append(out, records)
                r = records[0]
                print(f"{name:16s} {task:6s} {loss:13s} 1 thread {r['seconds'][0]:.4f} s (tol "
                      f"{r['tol'][0]:.2g}), 2 threads {r['seconds'][1]:.4f} s (tol "
                      f"{r['tol'][1]:.2g}): {r['ratio']:.2f}x; same bits: for the same n_jobs "
                      f"{r['same_bits']}, for both {r['same_bits_any']}", flush=True)  # fmt: skip


def main():
    """In the child."""
    import numpy as np

    from . import worker
    from .adapters import hingex_svc as adapter

    emit = child.emitter()
    spec = child.arguments()
    loss, C = spec["loss"], spec["C"]
    X, y, _ = data.load_task(spec["set"], spec["task"])

    def fit(jobs, setting):
        start = time.perf_counter()
        model = adapter.fit((X, y), loss=loss, C=C, threads=jobs, **setting)
        return model, time.perf_counter() - start

    def loosest(jobs):
        """The loosest tolerance that gives LEVEL; results may depend on the threads.

        In small steps, or it would be luck which of the two has to do an epoch more.
        """
        for step in range(100):
            setting = {"tol": 0.02 * 0.9**step}
            model, _ = fit(jobs, setting)
            value = worker.objective(X, y, model.coef_, model.intercept_, loss, C)
            if value <= spec["optimum"] * (1 + LEVEL):
                break
        return setting

    settings = {jobs: loosest(jobs) for jobs in (1, 2)}
    models, walls = {1: [], 2: []}, {1: [], 2: []}
    for k in range(max(2, spec["repeats"])):
        for jobs in ((1, 2), (2, 1))[k % 2]:
            model, wall = fit(jobs, settings[jobs])
            walls[jobs].append(wall)
            if k < 2:
                models[jobs].append((model.coef_, model.intercept_))

    def same(a, b):
        return all(np.array_equal(x, z) for x, z in zip(a, b, strict=True))

    # For the comparison between numbers of threads the tolerances have to be the same, too.
    pair = [fit(jobs, settings[1])[0] for jobs in (1, 2)]
    seconds = [statistics.median(walls[jobs]) for jobs in (1, 2)]
    emit({
        "area": "threads", "run": time.strftime("%Y-%m-%dT%H:%M:%S"),
        **{key: spec[key] for key in ("set", "task", "loss", "C")}, "walls": walls,
        "tol": [settings[jobs]["tol"] for jobs in (1, 2)], "seconds": seconds,
        "ratio": seconds[0] / seconds[1],
        "same_bits": same(*models[1]) and same(*models[2]),
        "same_bits_any": same(*((m.coef_, m.intercept_) for m in pair)),
    })  # fmt: skip
