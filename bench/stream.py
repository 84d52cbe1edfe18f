# SPDX-License-Identifier: BSD-3-Clause
"""PegasosClassifier beside SGDClassifier: time to the same objective, at the same alpha.

Both minimise alpha / 2 ||w||^2 + mean phi(y (w.x + b)), b free, for each class against the rest,
alpha = 1 / n. A run of so many epochs is one record; what counts is

 - default: SGDClassifier's default run (its rule to stop), and the shortest hingex run whose
   objective is no higher;
 - each of SGDClassifier's runs of 1 to 50 epochs, in the same way.

CPU seconds of one thread in one process, the two in turn, the least of the repeats.

Beside Vowpal Wabbit (the part "vw"), one-vs-rest, what counts is the accuracy on the test rows:
of its runs of 1 to 20 passes with several losses and steps, those that no shorter one equals, and
for each the shortest hingex run that is as accurate. It learns from its cache file, which, as the
text file before it, is made beforehand and not timed; neither is prediction.
"""

import math
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np

from . import child, data, linear, text_peers

SETS = ("20news", "wordnet_gloss", "debian_sections", "a9a")
LOSSES = {"hinge": "hinge", "logistic": "log_loss"}  # SGDClassifier's name
EPOCHS = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 30, 40, 50)
TASKS = ("binary", "ovr")
PARTS = ("sgd", "vw")
VW_SETS = ("20news", "wordnet_gloss", "debian_sections")
VW_OPTIONS = ("hinge -l 0.1", "hinge -l 0.5", "hinge -l 2", "hinge -l 8 --sgd",
              "logistic -l 0.5", "logistic -l 2")  # fmt: skip
VW_PASSES = (1, 2, 5, 10, 20)
VW_HEAD = ("| set | Vowpal Wabbit | seconds | accuracy | PegasosClassifier | seconds | accuracy | "
           "times |\n" + 8 * "|---" + "|")
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


# ---- beside Vowpal Wabbit ----------------------------------------------------------------------


def run_vw(sets, repeats, out):
    run_id = time.strftime("%Y-%m-%dT%H:%M:%S")
    for name in sets:
        records, code = child.run("bench.stream", {"set": name, "repeats": repeats}, 1)
        if code:
            raise RuntimeError(f"stream, {name}: the process ended with {code}")
        linear.append(out, [r | {"area": "stream_vw", "run": run_id, "set": name}
                            for r in records])  # fmt: skip
        print("\n".join(vw_lines(name, records)), flush=True)


def vw_lines(name, records):
    """Rows of the table VW_HEAD."""
    ours, theirs = ([r for r in records if r["library"] == library] for library in ("hingex", "vw"))
    if not theirs:
        return [f"| {name} | {records[-1]['skipped']} |" + 6 * " |"]
    rows, best = [], 0.0
    for r in sorted(theirs, key=lambda r: (r["cpu"], -r["accuracy"])):
        if r["accuracy"] <= best:
            continue
        best = r["accuracy"]
        own = min((s for s in ours if s["accuracy"] >= best), key=lambda s: s["cpu"], default=None)
        reached = "not reached | | | " if own is None else (
            f"{own['settings']} | {own['cpu']:.3f} | {own['accuracy']:.4f} | "
            f"{r['cpu'] / own['cpu']:.2f}x")
        rows.append(f"| {name} | {r['settings']} | {r['cpu']:.3f} | {best:.4f} | {reached} |")
    return rows


def _write_vw(path, X, y, rows):
    with path.open("w") as file:
        for i in rows:
            row = slice(*X.indptr[i:i + 2])
            pairs = zip(X.indices[row].tolist(), X.data[row].tolist(), strict=True)
            file.write(f"{y[i] + 1} | " + " ".join(f"{j}:{v:.7g}" for j, v in pairs) + "\n")


def _least(call, repeats):
    """Least CPU seconds, and what the last call returns."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        found = call()
        times.append(time.process_time() - start)
    return min(times), found


def _vw_runs(X, y, T, repeats, folder):
    classes = int(y.max()) + 1
    # Column numbers are taken as they are, so with enough bits nothing collides.
    bits = math.ceil(math.log2(X.shape[1] * classes))
    common = f"-b {bits} --oaa {classes} --loss_function "
    train, test, cache, model = (folder / part for part in ("train", "test", "cache", "model"))
    # It learns in the order of the file.
    _write_vw(train, X, y, np.random.default_rng(0).permutation(len(y)))
    _write_vw(test, T, np.zeros(T.shape[0], int), range(T.shape[0]))
    text_peers.vw(common + "hinge", train, 1, cache).finish()  # makes the cache
    for options in VW_OPTIONS:
        for passes in VW_PASSES:
            cpu, workspace = _least(partial(text_peers.vw, common + options, train, passes, cache),
                                    repeats if passes < 5 else 1)
            workspace.save(str(model))
            workspace.finish()
            found = text_peers.vw_predict(model, test, folder / "out") - 1
            yield {"library": "vw", "settings": f"{options}, passes: {passes}", "cpu": cpu}, found


def _hingex_runs(X, y, T, repeats):
    import hingex

    for loss in ("hinge", "squared_hinge", "logistic"):
        for factor in (1, 3):
            for epochs in EPOCHS[:11]:
                model = hingex.PegasosClassifier(loss, alpha=factor / len(y), max_iter=epochs,
                                                 early_stopping=None, random_state=0, n_jobs=1)
                cpu, _ = _least(partial(model.fit, X, y), repeats)
                told = f"{loss}, alpha: {factor} / n, epochs: {epochs}"
                yield {"library": "hingex", "settings": told, "cpu": cpu}, model.predict(T)


def main():
    """In the child."""
    emit = child.emitter()
    spec = child.arguments()
    X, y, _ = data.load(spec["set"])
    T, true, _ = data.load(spec["set"], "test")
    with tempfile.TemporaryDirectory() as folder:
        try:
            for runs in (_hingex_runs(X, y, T, spec["repeats"]),
                         _vw_runs(X, y, T, spec["repeats"], Path(folder))):  # fmt: skip
                for record, found in runs:
                    emit(record | {"accuracy": float((found == true).mean())})
        except ImportError as error:
            emit({"library": "none", "skipped": str(error)})
