# SPDX-License-Identifier: BSD-3-Clause
"""Kernel SVMs: hingex.SVC and the libraries that a user could take instead, to the same objective.

Each solver has each problem in a process of its own, with as many CPUs and threads as it is said
to have, one after the other: RBF kernel, tol 1e-3, cache 200 MB, gamma as a number, float64 data,
dense where a quarter of the values or more are not 0, else CSR. Timed are `fit`, and the first
`predict` of every model on the test rows, without conversions to a library's own structures.
The dual objective, the relative duality gap with the best intercept, and LIBSVM's violation of the
optimality conditions are recomputed in float64 from the duals by the same code for all. Memory is
the peak of the resident set in the first fit above what it was before, after a tiny fit.
"""

import hashlib
import json
import os
import signal
import statistics
import time
import warnings
from importlib import import_module

import numpy as np
import scipy.sparse as sp

from . import child, data, summary
from .linear import append

ADAPTERS = ("hingex", "sklearn", "libsvm", "intelex", "thundersvm")
PEERS = ADAPTERS[:-1]  # ThunderSVM takes minutes on a CPU where others take seconds
# Rows, features of the synthetic sets; as many again, at most 5,000, to test on.
SYNTHETIC = {"clusters5k": (5_000, 20), "clusters50k": (50_000, 20)}
# Tuned (C, gamma). Of a9a, the pairs odd/even and phishing as they stand in the literature and in
# LIBSVM's examples; the others best of a grid, C in 1, 10, 100 and gamma in powers of 2, by the
# accuracy of 3-fold cross-validation on up to 6,000 training rows (of ties one that is quick).
TUNED = {
    "svmguide1": (10.0, 2.0**-13),
    "splice": (10.0, 2.0**-6),
    "mushrooms": (10.0, 2.0**-4),
    "satimage": (10.0, 2.0**-11),
    "phishing": (10.0, 0.05),
    "usps_zip/odd": (10.0, 2.0**-7),
    "usps_zip": (10.0, 2.0**-7),
    "clusters5k": (1.0, 2.0**-3),
    "letter/odd": (10.0, 1.0),
    "letter": (10.0, 1.0),
    "a9a": (1.0, 0.05),
    "clusters50k": (1.0, 2.0**-4),
}
SETS = tuple(TUNED)
QUICK = ("svmguide1", "splice", "mushrooms", "satimage", "usps_zip/odd", "clusters5k")
PARAMETERS = ("tuned", "default")  # default: C = 1, gamma = 1 / (d var(X))
ALL_PARAMETERS = (*PARAMETERS, "large")  # large: C = 1e5, gamma as tuned
TOL, CACHE = 1e-3, 200.0  # cache in MB
DENSE = 0.25
LONG = 20.0  # seconds of fits after which there are no more repeats
SHORT, MOST = 0.3, 15  # fits go on for so many seconds, but are no more than that
AGREE = 1e-3  # relative distance of dual objectives from the highest
AT_BOUND = 1e-6  # of C; duals of some libraries are float32
BLOCK = 4_000_000  # kernel values at a time
LARGE = 4_000  # rows from which the targets against scikit-learn count
ROW_BYTES = 1024  # what memory may be for each row beyond the cache and the model


# ------------------------------------------------------------------------------ data


def clusters(n, d, split, seed=0):
    """Two classes of four Gaussian clusters each, sheared, in 3/4 of the features; 2% flipped."""
    fixed = np.random.default_rng(seed)
    rng = np.random.default_rng((seed, split == "test"))
    used, per_class = 3 * d // 4, 4
    centres = fixed.choice([-1.0, 1.0], (2 * per_class, used))
    shears = fixed.normal(size=(2 * per_class, used, used)) / np.sqrt(used)
    cluster = rng.integers(0, 2 * per_class, n)
    X = rng.normal(size=(n, d))
    for c in range(2 * per_class):
        X[cluster == c, :used] = X[cluster == c, :used] @ shears[c] + centres[c]
    y = cluster // per_class
    return X, np.where(rng.random(n) < 0.02, 1 - y, y)


def load(name, split="train"):
    """(X, class codes): dense, or CSR where most values are 0; "/odd": odd classes against even."""
    if name in SYNTHETIC:
        n, d = SYNTHETIC[name]
        return clusters(n if split == "train" else min(n, 5000), d, split)
    base, _, odd = name.partition("/")
    X, y, _ = data.load(base, split)
    X = X.astype(np.float64)
    if odd:
        y = y % 2
    return (X.toarray() if X.nnz >= DENSE * X.shape[0] * X.shape[1] else X), y


def scale(X):
    """gamma="scale" as a number, for libraries that do not know it."""
    size = X.shape[0] * X.shape[1]
    values = X.data if sp.issparse(X) else X.ravel()
    mean = values.sum() / size
    return float(1 / (X.shape[1] * (np.vdot(values, values) / size - mean**2)))


# ------------------------------------------------------------------------------ quality


def certify(X, y, support, coef, order, C, gamma):
    """Dual objective, over all pairs, and the worst gap and violation of a pair; float64.

    Parameters
    ----------
    support : ndarray (n_SV,)
        Rows of X.
    coef : ndarray (K - 1, n_SV)
        Duals as in LIBSVM: row r of a row of class order[k] is for the r-th of the other classes.
        Signs may be turned, all of a pair.
    order : sequence of int
        The classes.
    """
    if coef.size and np.abs(coef).max() > C * (1 + AT_BOUND):
        raise ValueError("infeasible duals")
    X = X.toarray() if sp.issparse(X) else np.asarray(X, dtype=np.float64)
    square = np.einsum("ij,ij->i", X, X)
    K = len(order)
    rows = [np.flatnonzero(y == k) for k in order]
    at = [np.flatnonzero(y[support] == k) for k in order]
    # The first class of a pair is at +1.
    signs = [np.where(np.arange(K - 1) < k, -1.0, 1.0)[:, None] for k in range(K)]
    signed = [signs[k] * np.abs(coef[:, at[k]]) for k in range(K)]
    scores = [np.zeros((K - 1, len(rows[k]))) for k in range(K)]
    S, square_S = np.ascontiguousarray(X[support].T), square[support]
    step = max(1, BLOCK // max(1, len(support)))
    for k in range(K):
        for first in range(0, len(rows[k]), step):
            some = rows[k][first : first + step]
            kernel = X[some] @ S
            kernel *= 2
            kernel -= square[some, None]
            kernel -= square_S
            kernel *= gamma
            np.exp(np.minimum(kernel, 0, out=kernel), out=kernel)
            there = slice(first, first + len(some))
            for m in range(K):
                values = kernel[:, at[m]]
                if m == k:
                    scores[k][:, there] += signed[k] @ values.T
                else:
                    scores[k][m - (m > k), there] += values @ signed[m][k - (k > m)]
    total, gap, violation = 0.0, 0.0, 0.0
    for k in range(K):
        for m in range(k + 1, K):
            pair = [(k, m - 1), (m, k)]  # class, row of its coefficients
            duals = [np.zeros(len(rows[c])) for c, _ in pair]
            for alpha, (c, r) in zip(duals, pair, strict=True):
                alpha[np.searchsorted(rows[c], support[at[c]])] = np.abs(coef[r, at[c]])
            found = _pair(np.concatenate(duals), np.concatenate([scores[c][r] for c, r in pair]),
                          np.repeat([1.0, -1.0], [len(rows[k]), len(rows[m])]), C)  # fmt: skip
            total, gap = total + found[0], max(gap, found[1])
            violation = max(violation, found[2])
    return {"dual": float(total), "gap": float(gap), "violation": float(violation)}


def _pair(alpha, scores, signs, C):
    """(dual objective, relative gap, violation) of a binary problem; scores without intercept."""
    norm = np.vdot(alpha * signs, scores)
    dual = alpha.sum() - norm / 2
    kinks = signs - scores  # minus the gradient times the sign, and where a row's loss begins
    positive = int((signs > 0).sum())
    intercept = np.partition(kinks, positive - 1)[positive - 1]  # where the slope turns positive
    primal = norm / 2 + C * np.maximum(0, 1 - signs * (scores + intercept)).sum()
    off_0, off_C = alpha > AT_BOUND * C, alpha < (1 - AT_BOUND) * C
    up = np.where(signs > 0, off_C, off_0)
    low = np.where(signs > 0, off_0, off_C)
    if not up.any() or not low.any():
        return dual, (primal - dual) / primal, 0.0
    return dual, (primal - dual) / primal, max(0.0, kinks[up].max() - kinks[low].min())


# ------------------------------------------------------------------------------ running


def run(sets, parameters, repeats, peers, budget, out):
    """Run the problems in turn, print them, and append their records to `out` as JSON lines."""
    run_id = time.strftime("%Y-%m-%dT%H:%M:%S")
    missing = {}
    records = []
    for name in sets:
        for which in parameters:
            group = _problem(name, which, repeats, peers, budget, missing)
            for record in group:
                record |= {"area": "kernel", "run": run_id}
            append(out, group)
            records += group
            print("\n".join(_lines(group)), flush=True)
    return records, missing


def _problem(name, which, repeats, peers, budget, missing):
    group, known = [], {}
    for peer in peers:
        for threads in (1, 2):
            spec = {"set": name, "parameters": which, "adapter": peer, "threads": threads,
                    "repeats": repeats, "budget": budget, "known": known}  # fmt: skip
            if peer in missing or threads > _cpus():
                continue
            if threads > 1 and peer not in ("hingex", "intelex"):
                continue
            try:
                found, code = child.run("bench.kernel", spec, threads)
            except RuntimeError as error:  # one library must not end the whole run
                if peer == "hingex":
                    raise
                print(f"{peer} on {name}, {which}: {str(error).splitlines()[-1]}", flush=True)
                continue
            if found and "skipped" in found[0]:
                missing[peer] = found[0]["skipped"]
                print(missing[peer], flush=True)
                continue
            if code:
                what = ("took longer than the budget" if code == -getattr(signal, "SIGALRM", 0)
                        else f"ended with {code}")  # fmt: skip
                print(f"{peer} on {name}, {which}, threads: {threads}: {what}", flush=True)
                found = [r | {"killed": what} for r in found[:1]]
            else:
                found = found[1:]
            for record in found:
                if "digest" in record:
                    known[record["digest"]] = {k: record[k] for k in ("dual", "gap", "violation")}
            group += found
    return group


def _cpus():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def main():
    """One solver on one problem, in a process of its own."""
    from . import worker

    emit, spec = child.emitter(), child.arguments()
    warnings.simplefilter("ignore")
    try:
        adapter = import_module(f"bench.adapters.kernel_{spec['adapter']}")
    except (ImportError, OSError) as error:
        emit({"skipped": f"{spec['adapter']}: {error}"})
        return
    X, y = load(spec["set"])
    X_test, y_test = load(spec["set"], "test")
    C, gamma = TUNED[spec["set"]]
    if spec["parameters"] == "default":
        C, gamma = 1.0, scale(X)
    elif spec["parameters"] == "large":
        C = 1e5
    options = {"C": C, "gamma": gamma, "tol": TOL, "cache": CACHE, "threads": spec["threads"]}
    some = np.arange(60)  # imports and first calls
    tiny = adapter.fit(adapter.prepare(X[:60], some % 2), **options)
    adapter.predict(tiny, adapter.queries(X_test[:60]))
    del tiny
    base = {k: spec[k] for k in ("set", "parameters", "adapter", "threads", "budget")} | {
        "n": X.shape[0], "d": X.shape[1], "K": int(y.max()) + 1, "C": C, "gamma": gamma,
        "library": adapter.NAME, "version": adapter.version(), "dense": not sp.issparse(X),
    }  # fmt: skip
    emit(base)
    ready, queries = adapter.prepare(X, y), adapter.queries(X_test)
    walls, cpus, predicts, predict_cpus, memory = [], [], [], [], None
    while len(walls) < MOST and sum(walls) < LONG and (
            len(walls) < spec["repeats"] or sum(walls) < SHORT):  # fmt: skip
        model = None
        before = worker._reset_peak() and worker._memory("VmRSS")
        worker._limit(spec["budget"])
        wall, cpu = time.perf_counter(), worker.cpu_seconds()
        model = adapter.fit(ready, **options)
        walls.append(time.perf_counter() - wall)
        cpus.append(worker.cpu_seconds() - cpu)
        if len(walls) == 1:
            memory = worker._memory("VmHWM") - before if before else None
        wall, cpu = time.perf_counter(), worker.cpu_seconds()
        predicted = adapter.predict(model, queries)
        predicts.append(time.perf_counter() - wall)
        predict_cpus.append(worker.cpu_seconds() - cpu)
        worker._limit(0)
    support, coef, order = adapter.duals(model)
    support, coef = np.asarray(support, dtype=np.int64), np.asarray(coef, dtype=np.float64)
    digest = hashlib.sha256(support.tobytes() + coef.tobytes()).hexdigest()
    # Results that do not depend on the threads need not be looked at twice.
    quality = spec["known"].get(digest) or certify(X, y, support, coef, order, C, gamma)
    claimed = adapter.claims(model) if hasattr(adapter, "claims") else None
    emit(base | quality | {
        "fit": statistics.median(walls), "fit_cpu": statistics.median(cpus), "walls": walls,
        "predict": statistics.median(predicts), "predict_cpu": statistics.median(predict_cpus),
        "memory": memory, "support_vectors": len(support), "claimed_gap": claimed,
        "model_bytes": len(support) * 8 * (X.shape[1] + coef.shape[0]),
        "accuracy": float(np.mean(predicted == y_test)), "digest": digest,
    })  # fmt: skip


# ------------------------------------------------------------------------------ tables


def _column(record):
    return f"{record['library']}, {record['threads']}"


def _marks(group):
    """What is not as it should be: objectives that differ, certificates that are not true."""
    done = [r for r in group if "dual" in r]
    best = max((r["dual"] for r in done), default=0.0)
    marks = [f"{_column(r)}: dual objective {1 - r['dual'] / best:.1e} lower"
             for r in done if r["dual"] < best * (1 - AGREE)]  # fmt: skip
    marks += [f"{_column(r)}: gap {r['gap']:.2e}, not {r['claimed_gap']:.2e}" for r in done
              if r["claimed_gap"] is not None and r["gap"] > 1.01 * r["claimed_gap"] + 1e-6]
    return marks


def _lines(group):
    """A line for each solver on a problem."""
    if not group:
        return
    first = group[0]
    best = max((r["dual"] for r in group if "dual" in r), default=0.0)
    yield (f"\n**{first['set']}, {first['parameters']}**: {first['n']} x {first['d']}, "
           f"classes: {first['K']}, C {first['C']:g}, gamma {first['gamma']:.4g}, "
           f"{'dense' if first['dense'] else 'CSR'}; highest dual objective {best:.8g}\n")
    yield ("| solver, threads | fit s | predict s | support vectors | below the highest dual | gap "
           "| violation | test accuracy | memory MB |\n|---|---|---|---|---|---|---|---|---|")
    for r in group:
        if "killed" in r:
            yield f"| {_column(r)} | {r['killed']} | | | | | | | |"
            continue
        memory = "-" if r["memory"] is None else f"{r['memory'] / 1e6:.1f}"
        yield (f"| {_column(r)} | {r['fit']:.4g} | {r['predict']:.4g} | {r['support_vectors']} | "
               f"{1 - r['dual'] / best:.1e} | {r['gap']:.1e} | {r['violation']:.1e} | "
               f"{r['accuracy']:.4f} | {memory} |")
    for mark in _marks(group):
        yield f"\nDIFFERS: {mark}"


def problems(records):
    """Of the last run of each problem {(adapter, threads): record}, by (set, parameters)."""
    found = {}
    for r in records:
        if r.get("area") == "kernel":
            runs = found.setdefault((r["set"], r["parameters"]), {})
            runs.setdefault(r["run"], {})[r["adapter"], r["threads"]] = r
    return {key: runs[max(runs)] for key, runs in found.items()}


def ratio(problem, peer, ours, what="fit", clock="wall"):
    """How many times as long a peer takes as hingex, and whether it came to its end.

    `peer` is (adapter, threads), `ours` the threads of hingex; None where one is not there. By the
    clock "cpu" the ratios of one thread to one thread are those of CPU times.
    """
    theirs, own = problem.get(peer), problem.get(("hingex", ours))
    if theirs is None or own is None or "fit" not in own:
        return None
    if "fit" not in theirs:
        return (theirs["budget"] / own[what], False) if what == "fit" else None
    key = what + "_cpu" if clock == "cpu" and peer[1] == ours == 1 else what
    return theirs[key] / own[key], True


RATIOS = (  # head, peer, its threads and ours, what
    ("sklearn / hingex", "sklearn", 1, 1, "fit"),
    ("sklearn / hingex, 2", "sklearn", 1, 2, "fit"),
    ("libsvm / hingex", "libsvm", 1, 1, "fit"),
    ("intelex / hingex", "intelex", 1, 1, "fit"),
    ("intelex, 2 / hingex, 2", "intelex", 2, 2, "fit"),
    ("predict: sklearn / hingex", "sklearn", 1, 1, "predict"),
    ("predict: intelex / hingex", "intelex", 1, 1, "predict"),
)
SECONDS = (("hingex", 1), ("hingex", 2), ("sklearn", 1), ("libsvm", 1), ("intelex", 1),
           ("intelex", 2), ("thundersvm", 1))  # fmt: skip


def _seconds(record, what, clock):
    if record is None:
        return "-"
    if what not in record:
        return f">{record['budget']:g}" if what == "fit" else "-"
    return f"{record[what + '_cpu' * (clock == 'cpu' and record['threads'] == 1)]:.3g}"


def table(records, missing=(), clock="wall"):
    """Seconds and ratios, a row for each problem, and geometric means."""
    found = problems(records)
    heads = [f"{peer}, {threads}" for peer, threads in SECONDS]
    heads += [f"predict {peer}" for peer in ("hingex", "sklearn", "intelex")]
    lines = ["| set | n x d | SVs | " + " | ".join([*heads, *(r[0] for r in RATIOS)]) + " | |",
             "|---" * (4 + len(heads) + len(RATIOS)) + "|"]  # fmt: skip
    columns = [[] for _ in RATIOS]
    for (name, which), problem in found.items():
        first = next(iter(problem.values()))
        vectors = [r["support_vectors"] for r in problem.values() if "fit" in r]
        cells = [f"{name}, {which}", f"{first['n']} x {first['d']}",
                 f"{statistics.median_low(vectors)}" if vectors else "-"]  # fmt: skip
        cells += [_seconds(problem.get(key), "fit", clock) for key in SECONDS]
        if "hingex" in missing and ("hingex", 1) not in problem:
            cells[3] = missing["hingex"]
        cells += [_seconds(problem.get((peer, 1)), "predict", clock)
                  for peer in ("hingex", "sklearn", "intelex")]  # fmt: skip
        for column, (_, peer, theirs, ours, what) in zip(columns, RATIOS, strict=True):
            value = ratio(problem, (peer, theirs), ours, what, clock)
            if value is None:
                cells.append("-")
            else:
                column.append(value)
                cells.append(f"{'' if value[1] else '>'}{value[0]:.2f}x")
        cells.append("DIFFERS" if _marks(problem.values()) else "")
        lines.append("| " + " | ".join(cells) + " |")
    means = [f"{summary.geometric_mean([v for v, _ in c]):.2f}x" if c else "-" for c in columns]
    blank = " |" * (len(heads) + 2)
    lines.append("| geometric mean |" + blank + " " + " | ".join(means) + " | |")
    return "\n".join(lines)


TARGETS = (  # what, peer, its threads and ours, what, wanted, "each" or "mean", least rows
    ("fit over scikit-learn, 1 thread, each set of 4,000 rows or more",
     "sklearn", 1, 1, "fit", 5.0, "each", LARGE),
    ("fit over scikit-learn, 2 threads, each set of 4,000 rows or more",
     "sklearn", 1, 2, "fit", 8.0, "each", LARGE),
    ("fit over scikit-learn-intelex, 1 thread, each", "intelex", 1, 1, "fit", 1.2, "each", 0),
    ("fit over scikit-learn-intelex, 2 threads, each", "intelex", 2, 2, "fit", 1.2, "each", 0),
    ("fit over scikit-learn-intelex, 1 thread, mean", "intelex", 1, 1, "fit", 2.0, "mean", 0),
    ("fit over scikit-learn-intelex, 2 threads, mean", "intelex", 2, 2, "fit", 2.0, "mean", 0),
    ("predict over scikit-learn, 1 thread, each", "sklearn", 1, 1, "predict", 10.0, "each", 0),
)  # fmt: skip


def targets(records, clock="wall"):
    """List of (what, wanted, got, met: True, False, or None when not all of it was measured)."""
    found = problems(records)
    rows = []
    for what, peer, theirs, ours, timed, least, how, n in TARGETS:
        chosen = {k: p for k, p in found.items() if next(iter(p.values()))["n"] >= n}
        values = {k: ratio(p, (peer, theirs), ours, timed, clock) for k, p in chosen.items()}
        values = {k: v[0] for k, v in values.items() if v is not None}
        if not values:
            rows.append((what, f">= {least:g}x", "not measured", None))
            continue
        mean, (worst, low) = summary.geometric_mean(list(values.values())), min(
            values.items(), key=lambda item: item[1])  # fmt: skip
        got = f"{mean:.2f}x" if how == "mean" else (
            f"{low:.2f}x on {', '.join(worst)}; mean {mean:.2f}x; "
            f"{sum(v < least for v in values.values())} of {len(values)} below")  # fmt: skip
        rows.append((what, f">= {least:g}x", got, (mean if how == "mean" else low) >= least))
    rows.append(_memory_target(found))
    every = [p.values() for p in found.values() if ("hingex", 1) in p]
    marks = [f"{next(iter(p))['set']}, {mark}" for p in every for mark in _marks(p)]
    rows.append((f"dual objectives within {AGREE:g}, gaps as claimed", "all",
                 "; ".join(marks) or f"on {len(every)} problems",
                 (not marks) if every else None))  # fmt: skip
    return rows


def _memory_target(found):
    """Of hingex: the cache, the model itself, and so many bytes for each row."""
    what = f"memory of fit within cache, model and {ROW_BYTES} bytes for each row"
    used = {}
    for key, problem in found.items():
        for r in problem.values():
            if r["adapter"] == "hingex" and r.get("memory") is not None:
                allowed = CACHE * 2**20 + r["model_bytes"] + ROW_BYTES * r["n"]
                used[(*key, str(r["threads"]))] = r["memory"] / allowed, r["memory"]
    if not used:
        return what, "<= 1", "not measured", None
    worst = max(used, key=lambda key: used[key][0])
    share, size = used[worst]
    return what, "<= 1", f"{share:.2f} ({size / 1e6:.0f} MB) on {', '.join(worst)}", share <= 1


def target_table(records, clock):
    lines = ["| what | wanted | got | met |", "|---|---|---|---|"]
    for what, wanted, got, met in targets(records, clock):
        word = {True: "yes", False: "NO", None: "?"}[met]
        lines.append(f"| {what} | {wanted} | {got} | {word} |")
    return "\n".join(lines)


def report(args):
    """The command `python -m bench kernel`."""
    sets = QUICK if args.quick else args.only
    parameters = PARAMETERS[:1] if args.quick else args.parameters
    missing = {}
    if args.report is None:
        records, missing = run(sets, parameters, 1 if args.quick else args.repeat, args.peers,
                               args.budget, args.out)  # fmt: skip
    else:
        records = [json.loads(line) for line in args.report.read_text().splitlines()]
        records = [r for r in records if r.get("area") == "kernel" and r["set"] in sets
                   and r["parameters"] in parameters]  # fmt: skip
    for line in missing.values():
        print(f"not run: {line}")
    print("\n" + table(records, missing, args.clock))
    print("\n" + target_table(records, args.clock))


if __name__ == "__main__":
    main()
