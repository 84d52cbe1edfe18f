# SPDX-License-Identifier: BSD-3-Clause
"""PegasosClassifier beside SGDClassifier: time to the same objective, at the same alpha.

Both minimise alpha / 2 ||w||^2 + mean phi(y (w.x + b)), b free, for each class against the rest,
alpha = 1 / n. A run of so many epochs is one record; what counts is

 - default: SGDClassifier's default run (its rule to stop), and the shortest hingex run whose
   objective is no higher;
 - each of SGDClassifier's runs of 1 to 50 epochs, in the same way.

CPU seconds of one thread in one process, the two in turn, the least of the repeats.
"""

import time
import warnings

import numpy as np

from . import data, linear

SETS = ("20news", "wordnet_gloss", "debian_sections", "a9a")
LOSSES = {"hinge": "hinge", "logistic": "log_loss"}  # SGDClassifier's name
EPOCHS = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 30, 40, 50)
TASKS = ("binary", "ovr")
HEAD = ("| set | task | loss | SGDClassifier's default: ms, above the least objective found | "
        "hingex, ms to that | times | of the runs of 1 to 50 epochs |\n" + 7 * "|---" + "|")


def run(sets, losses, tasks, repeats, out):
    run_id = time.strftime("%Y-%m-%dT%H:%M:%S")
    for name in sets:
        for task in tasks:
            if task == "ovr" and name == "a9a":
                continue  # two classes
            X, y, real = data.load_task(name, task)
            for loss in losses:
                records = _compare(X, np.asarray(y), loss, repeats)
                for record in records:
                    record |= {"area": "stream", "run": run_id, "real": real, "set": name,
                               "task": task, "loss": loss}
                linear.append(out, records)
                print(line(records), flush=True)


def _compare(X, y, loss, repeats):
    from sklearn.linear_model import SGDClassifier

    import hingex

    alpha = 1 / X.shape[0]
    ours = dict(loss=loss, alpha=alpha, n_jobs=1, random_state=0)
    theirs = dict(loss=LOSSES[loss], alpha=alpha, random_state=0)
    runs = [("sgd", "default", lambda: SGDClassifier(**theirs))]
    for e in EPOCHS:
        runs += [
            ("sgd", e, lambda e=e: SGDClassifier(max_iter=e, tol=None, **theirs)),
            ("hingex", e, lambda e=e: hingex.PegasosClassifier(
                max_iter=e, early_stopping=None, **ours)),
        ]
    runs.append(("hingex", "default", lambda: hingex.PegasosClassifier(**ours)))
    records = [{"library": lib, "epochs": e, "cpu": np.inf} for lib, e, _ in runs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(repeats):
            for (_, _, make), record in zip(runs, records, strict=True):
                model = make()
                start = time.process_time()
                model.fit(X, y)
                record["cpu"] = min(record["cpu"], time.process_time() - start)
                record["objective"] = _objective(model, X, y, alpha, loss)
                record["made"] = int(np.max(model.n_iter_))
    return records


def _objective(model, X, y, alpha, loss):
    classes = model.classes_[1:] if len(model.classes_) == 2 else model.classes_
    total = 0.5 * alpha * float((np.asarray(model.coef_, dtype=np.float64) ** 2).sum())
    for w, b, c in zip(model.coef_, model.intercept_, classes, strict=True):
        t = np.where(y == c, 1.0, -1.0) * (X @ w.astype(np.float64) + b)
        each = np.maximum(0, 1 - t) if loss == "hinge" else np.logaddexp(0, -t)
        total += float(each.mean())
    return total


def _shortest(records, objective):
    """Least time of a hingex run that comes to this objective, or None."""
    cpu = [r["cpu"] for r in records
           if r["library"] == "hingex" and r["objective"] <= objective * (1 + 1e-12)]
    return min(cpu, default=None)


def line(records):
    """A row of the table HEAD."""
    first = records[0]
    least = min(r["objective"] for r in records)
    theirs = [r for r in records if r["library"] == "sgd"]
    ratios = []
    for r in theirs:
        own = _shortest(records, r["objective"])
        ratios.append(None if own is None else r["cpu"] / own)
    own = _shortest(records, theirs[0]["objective"])
    later = [r for r in ratios[1:] if r is not None]
    told = f"{min(later):.2f}x to {max(later):.2f}x" if later else "none reached"
    if len(later) < len(ratios) - 1:
        told += f", {len(ratios) - 1 - len(later)} not reached"
    reached = "not reached | " if own is None else f"{own * 1e3:.1f} | {ratios[0]:.2f}x"
    return (f"| {first['set']} | {first['task']} | {first['loss']} | "
            f"{theirs[0]['cpu'] * 1e3:.1f}, {theirs[0]['objective'] / least - 1:.2%} | "
            f"{reached} | {told} |")
