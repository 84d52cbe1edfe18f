# SPDX-License-Identifier: BSD-3-Clause
"""Times of two checkouts, in turn: what a change costs.

    python tools/compare.py OLD NEW [--groups kernel linear ...] [--seconds 4] [--strict]

OLD and NEW are folders of checkouts whose compiled modules lie beside their Python files, as an
in-place build puts them. Each has one process, which holds the data; the two are asked in turn, and
which one comes first alternates, so that other work of the machine meets both alike. Times are CPU
seconds of one thread. Of the group "files" they are wall-clock seconds of reading one file, each
time in a new process: memory that an earlier reading left behind would hide what pages cost.

Printed are the least times and old / new, of least times and of medians. With --strict the exit
code is 1 if a ratio is below 0.93 or a group's geometric mean below 0.97.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from functools import cache, partial
from pathlib import Path

LEAST, LEAST_MEAN = 0.93, 0.97
FEWEST, MOST = 3, 15  # times that each workload runs


# ------------------------------------------------------------------------------- what is timed


@cache
def data(name):
    from bench import data as sets

    X, y, _ = sets.load(name)
    return X, y


@cache
def kernel_problem(name, which):
    from bench import kernel

    X, y = kernel.load(name)
    C, gamma = kernel.TUNED[name]
    return (X, y, C, gamma) if which == "tuned" else (X, y, 1.0, kernel.scale(X))


@cache
def documents():
    from bench import text

    return text.documents("debian_sections")[0]


@cache
def sequences(n=800, d=60, labels=10):
    import numpy as np

    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 12, size=n)
    X = rng.normal(size=(lengths.sum(), d)).astype(np.float32)
    noise = 3 * rng.gumbel(size=(len(X), labels))
    y = (X @ rng.normal(size=(d, labels)) + noise).argmax(axis=1)
    ends = np.cumsum(lengths)[:-1]
    return np.split(X, ends), np.split(y, ends)


def fit_kernel(name, which):
    import hingex

    X, y, C, gamma = kernel_problem(name, which)
    return partial(hingex.SVC(C=C, gamma=gamma, tol=1e-3, n_jobs=1).fit, X, y)


def fit_linear(name, **options):
    import hingex

    return partial(hingex.LinearSVC(n_jobs=1, **options).fit, *data(name))


def fit_other(name, data_set, **options):
    import hingex

    X, y = data(data_set)
    model = getattr(hingex, name)(**options)
    return partial(model.fit, X) if name == "OneClassSVM" else partial(model.fit, X, y)


def fit_chains():
    import hingex

    model = hingex.ChainSVM(C=1.0, n_jobs=1, random_state=0, max_iter=15)
    return partial(model.fit, *sequences())


def small_fits():
    import hingex

    X, y = data("svmguide1")
    return lambda: [hingex.LinearSVC(n_jobs=1).fit(X[:60], y[:60]) for _ in range(100)]


def predictions(name):
    import hingex

    X, y = data("svmguide1")
    model = getattr(hingex, name)(n_jobs=1).fit(X[:500], y[:500])
    return lambda: [model.predict(X[:1]) for _ in range(2000)]


def losses():
    import numpy as np

    import hingex

    scores = np.random.default_rng(0).normal(size=1000)
    signs, loss = np.sign(scores + 0.1), hingex.losses.Hinge()
    return lambda: [loss.value(signs, scores) for _ in range(10_000)]


def vectorize(**options):
    import hingex.text

    model = hingex.text.TextVectorizer(n_jobs=1, **options)
    return partial(model.fit_transform, documents())


READ = """
import io, sys, time
import hingex
hingex.load_svmlight_file(io.BytesIO(b"1 1:1\\n" * 1000), n_jobs=1)
begin = time.perf_counter()
hingex.load_svmlight_file(sys.argv[1], n_jobs=int(sys.argv[2]))
print(time.perf_counter() - begin)
"""


def read_file(name, threads):
    """Seconds of reading, in a process of its own."""
    command = [sys.executable, "-c", READ, written(name), str(threads)]
    return lambda: float(subprocess.run(command, capture_output=True, check=True).stdout)


def written(name):
    """A file of a set in svmlight format, in the folder of this run."""
    import numpy as np

    import hingex

    path = Path(os.environ["COMPARE_FOLDER"]) / f"{name}.svm"
    if not path.exists():
        if name == "dense":
            X = np.random.default_rng(0).normal(size=(60_000, 90)).round(4)
            y = np.sign(X[:, 0])
        else:
            X, y = data(name)
        part = path.with_suffix(f".{os.getpid()}")
        hingex.dump_svmlight_file(X, y, part)
        os.replace(part, path)
    return path


KERNEL_SETS = ("svmguide1", "splice", "mushrooms", "satimage", "phishing", "usps_zip/odd",
               "usps_zip", "clusters5k", "letter/odd", "letter", "a9a", "clusters50k")
GROUPS = {
    "kernel": {f"{name} {which}": partial(fit_kernel, name, which)
               for name in KERNEL_SETS for which in ("tuned", "default")},
    "linear": {
        "20news": partial(fit_linear, "20news"),
        "wordnet_gloss, hinge": partial(fit_linear, "wordnet_gloss", loss="hinge"),
        "a9a": partial(fit_linear, "a9a"),
        "webkb, crammer_singer": partial(fit_linear, "webkb", multi_class="crammer_singer"),
        "webkb, logistic": partial(fit_other, "LinearClassifier", "webkb", loss="logistic"),
        "20news, pegasos": partial(fit_other, "PegasosClassifier", "20news", random_state=0),
    },
    "others": {
        "NuSVC satimage": partial(fit_other, "NuSVC", "satimage", nu=0.05, n_jobs=1),
        "OneClassSVM satimage": partial(fit_other, "OneClassSVM", "satimage", nu=0.1, n_jobs=1),
        "SVC svmguide1, probability": partial(fit_other, "SVC", "svmguide1", probability=True,
                                              random_state=0, n_jobs=1),
        "ChainSVM": fit_chains,
    },
    "text": {"words": vectorize, "bigrams": partial(vectorize, ngram_range=(1, 2))},
    "micro": {
        "100 fits of LinearSVC": small_fits,
        "2000 rows, LinearSVC": partial(predictions, "LinearSVC"),
        "2000 rows, SVC": partial(predictions, "SVC"),
        "10000 values of Hinge": losses,
    },
    "files": {f"{name}, {threads} threads": partial(read_file, name, threads)
              for name in ("debian_sections", "dense") for threads in (1, 2)},
}


# -------------------------------------------------------------------------------- the processes


def worker(tree):
    """Run the workloads whose group and name come in, one a line; print their seconds."""
    sys.path.insert(0, tree)
    os.chdir(tree)
    warnings.simplefilter("ignore")
    made = {}
    for line in sys.stdin:
        group, name = json.loads(line)
        if (group, name) not in made:
            made.clear()
            made[group, name] = GROUPS[group][name]()
        begin = time.process_time()
        seconds = made[group, name]()
        print(json.dumps(seconds if group == "files" else time.process_time() - begin), flush=True)


class Checkout:
    """A process that runs workloads of a checkout."""

    def __init__(self, tree, folder):
        env = os.environ | {"COMPARE_FOLDER": folder, "OPENBLAS_NUM_THREADS": "1",
                            "PYTHONPATH": str(tree)}
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", str(tree)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, env=env)

    def seconds(self, group, name):
        self.process.stdin.write(json.dumps([group, name]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{group}, {name}: the process ended")
        return json.loads(line)


def compare(checkouts, group, name, budget):
    """Times of both checkouts, after one run that does not count."""
    for checkout in checkouts:
        checkout.seconds(group, name)
    times, spent = ([], []), 0.0
    while len(times[0]) < FEWEST or (spent < budget and len(times[0]) < MOST):
        order = (0, 1) if len(times[0]) % 2 else (1, 0)
        for k in order:
            times[k].append(checkouts[k].seconds(group, name))
            spent += times[k][-1]
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", nargs="?")
    parser.add_argument("new", nargs="?", default=str(Path(__file__).resolve().parents[1]))
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--seconds", type=float, default=4.0, help="of both, for each workload")
    parser.add_argument("--strict", action="store_true", help="exit code 1 for what is slower")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        worker(args.worker)
        return 0
    if not args.old:
        parser.error("the folder of the old checkout is missing")
    slower = []
    with tempfile.TemporaryDirectory() as folder:
        checkouts = [Checkout(Path(tree).resolve(), folder) for tree in (args.old, args.new)]
        for group in args.groups:
            ratios = []
            for name in GROUPS[group]:
                old, new = compare(checkouts, group, name, args.seconds)
                ratios.append(min(old) / min(new))
                middle = statistics.median(old) / statistics.median(new)
                print(f"{group:8s} {name:28s} {min(old):9.4f} s {min(new):9.4f} s  old / new "
                      f"{ratios[-1]:5.3f}, of medians {middle:5.3f}, {len(old)} runs", flush=True)
                if ratios[-1] < LEAST:
                    slower.append(f"{group}, {name}")
            mean = math.exp(statistics.fmean(map(math.log, ratios)))
            print(f"{group:8s} geometric mean {mean:.3f}, least {min(ratios):.3f}", flush=True)
            if mean < LEAST_MEAN:
                slower.append(f"{group}, geometric mean")
        for checkout in checkouts:
            checkout.process.stdin.close()
            checkout.process.wait()
    if slower:
        print("slower:", "; ".join(slower))
    return int(args.strict and bool(slower))


if __name__ == "__main__":
    sys.exit(main())
