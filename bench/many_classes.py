# SPDX-License-Identifier: BSD-3-Clause
"""Many classes of a few rows, one against one: SVC beside scikit-learn's, by CPU time and memory.

Each model is fitted in a process of its own. "growth" is the peak of resident memory (VmHWM) above
the peak before the fit, after a small fit that loads what is to be loaded; peaks are reset in
between (Linux). Predictions are of the rows of `fit`, up to 2000 of them, and probabilities of 100.

Wanted is no more CPU time than scikit-learn takes, on one thread, and three times its growth.
"""

import time
import warnings
from importlib import import_module

import numpy as np

from . import child
from .linear import append

KINDS = {  # (least rows of a class, most, features, kernel)
    "linear_5": (5, 5, 128, "linear"),
    "linear_2_10": (2, 10, 128, "linear"),
    "rbf_10": (10, 10, 20, "rbf"),
}
CLASSES = (50, 200, 500, 1000)
PEERS = {"hingex": "hingex", "sklearn": "sklearn.svm"}
PROBABLE = 500  # classes up to which probabilities are measured
HEAD = ("| set | classes | rows | probability | fit s | sklearn | ratio | growth MB | sklearn "
        "| ratio | predict s | sklearn | proba s | sklearn |\n" + "|---" * 14 + "|")


def make(name, classes):
    """(X, y) in random order."""
    rng = np.random.default_rng(0)
    least, most, d, _ = KINDS[name]
    y = np.repeat(np.arange(classes), rng.integers(least, most + 1, classes))
    X = rng.normal(size=(classes, d))[y] + 0.8 * rng.normal(size=(len(y), d))
    order = rng.permutation(len(y))
    return X[order], y[order]


def run(names, classes, out):
    """Run the problems in turn, print a table, and append the records to `out`."""
    run_id = time.strftime("%Y-%m-%dT%H:%M:%S")
    print(HEAD)
    for name in names:
        for K in classes:
            for probability in (False, True) if K <= PROBABLE else (False,):
                group = {}
                for library in PEERS:
                    spec = {"set": name, "classes": K, "probability": probability,
                            "library": library}
                    (record,), _ = child.run(__name__, spec, 1)
                    group[library] = record
                    append(out, [{"area": "many_classes", "run": run_id, **spec, **record}])
                print(line(name, K, probability, group["hingex"], group["sklearn"]), flush=True)


def line(name, K, probability, ours, theirs):
    """A line of the table."""
    def pair(key, form):
        return f"{ours[key]:{form}} | {theirs[key]:{form}}"

    fit, growth = ours["fit"] / theirs["fit"], ours["growth"] / max(theirs["growth"], 1e-9)
    proba = pair("proba", ".3g") if probability else "- | -"
    return (f"| {name} | {K} | {ours['rows']} | {'yes' if probability else 'no'} "
            f"| {pair('fit', '.3g')} | {fit:.2f} | {pair('growth', '.1f')} | {growth:.2f} "
            f"| {pair('predict', '.3g')} | {proba} |")


def peak():
    """VmHWM in MB."""
    with open("/proc/self/status") as status:
        return int(next(x for x in status if x.startswith("VmHWM")).split()[1]) / 1024


def main():
    """In the child: one fit."""
    spec, emit = child.arguments(), child.emitter()
    warnings.simplefilter("ignore")
    SVC = import_module(PEERS[spec["library"]]).SVC
    args = {"kernel": KINDS[spec["set"]][3], "probability": spec["probability"]}
    X, y = make(spec["set"], spec["classes"])
    small = np.arange(min(40, len(y)))
    SVC(**args).fit(X[small], small % 4).predict(X[small])
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")
    model, before, begun = SVC(**args), peak(), time.process_time()
    model.fit(X, y)
    record = {"rows": len(y), "fit": time.process_time() - begun, "growth": peak() - before}
    begun = time.process_time()
    predicted = model.predict(X[:2000])
    record |= {"predict": time.process_time() - begun,
               "accuracy": float((predicted == y[:2000]).mean())}
    if spec["probability"]:
        begun = time.process_time()
        model.predict_proba(X[:100])
        record["proba"] = time.process_time() - begun
    emit(record)
