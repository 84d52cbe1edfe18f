# SPDX-License-Identifier: BSD-3-Clause
"""Small things: parsing, prediction, import time, overhead of small fits, memory."""

import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from . import child, linear

SHOWN = (
    ("parse_1", "svmlight parsing, 1 thread", "MB/s"),
    ("parse_2", "svmlight parsing, 2 threads", "MB/s"),
    ("parse_2_over_1", "   2 threads over 1", "x"),
    ("parse_sklearn", "   scikit-learn", "MB/s"),
    ("decision_binary", "decision_function, CSR, binary", "rows/s"),
    ("decision_binary_ratio", "   over scikit-learn", "x"),
    ("decision_45", "decision_function, CSR, 45 classes", "rows/s"),
    ("decision_45_ratio", "   over scikit-learn", "x"),
    ("predict_one_us", "predict of one CSR row, 45 classes", "us"),
    ("predict_one_sklearn_us", "   scikit-learn", "us"),
    ("import_s", "CPU seconds of import beyond Python's own: hingex", "s"),
    ("import_fit_s", "   and a first fit", "s"),
    ("import_sklearn_s", "   scikit-learn's svm", "s"),
    ("small_hinge_us", "fit on 20 x 5, hinge", "us"),
    ("small_hinge_ratio", "   of LinearSVC's time", "x"),
    ("small_squared_hinge_us", "fit on 20 x 5, squared hinge", "us"),
    ("small_squared_hinge_ratio", "   of LinearSVC's time", "x"),
)


def run(repeats, out):
    figures = {"area": "micro", "run": time.strftime("%Y-%m-%dT%H:%M:%S")}
    for part, threads in (("parsing", 2), ("decisions", 1), ("small_fits", 1), ("imports", 1)):
        records, code = child.run("bench.micro", {"part": part, "repeats": repeats}, threads)
        if code or not records:
            raise RuntimeError(f"micro, {part}: the process ended with {code}")
        figures |= records[0]
    figures["memory"] = _memory()
    linear.append(out, [figures])
    for key, what, unit in SHOWN:
        print(f"{what:52s} {figures[key]:12.4g} {unit}")
    for name, (extra, size) in figures["memory"].items():
        figure = "-" if extra is None else f"{extra / 1e6:.1f} MB"
        print(f"peak memory of fit beyond X, {name:24s} {figure:>12s} (X {size / 1e6:.1f} MB)")


def in_turn(calls, repeats, number=1):
    """Median seconds of each call, taken in turn."""
    times = [[] for _ in calls]
    for call in calls:
        call()
    for _ in range(repeats):
        for call, seconds in zip(calls, times, strict=True):
            start = time.perf_counter()
            for _ in range(number):
                call()
            seconds.append((time.perf_counter() - start) / number)
    return [statistics.median(seconds) for seconds in times]


def main():
    """In the child."""
    import warnings

    warnings.simplefilter("ignore")
    emit = child.emitter()
    spec = child.arguments()
    parts = {"parsing": _parsing, "decisions": _decisions, "small_fits": _small_fits,
             "imports": _imports}  # fmt: skip
    emit(parts[spec["part"]](spec["repeats"]))


def _parsing(repeats):
    from sklearn.datasets import dump_svmlight_file, load_svmlight_file

    import hingex

    from . import data

    X, y, _ = data.load("20news")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "20news.svm")
        dump_svmlight_file(X, y, path, zero_based=False)
        megabytes = Path(path).stat().st_size / 1e6
        calls = [partial(hingex.load_svmlight_file, path, n_jobs=k) for k in (1, 2)]
        one, two = in_turn(calls, max(3, 2 * repeats))
        start = time.perf_counter()
        load_svmlight_file(path)
        theirs = time.perf_counter() - start
    return {"parse_1": megabytes / one, "parse_2": megabytes / two, "parse_2_over_1": one / two,
            "parse_sklearn": megabytes / theirs}  # fmt: skip


def _decisions(repeats):
    """With the same weights in both libraries, on one CPU."""
    from sklearn.svm import LinearSVC

    import hingex

    from . import data

    figures = {}
    for task, key in (("binary", "binary"), ("ovr", "45")):
        X, y, _ = data.load_task("wordnet_gloss", task)
        ours = hingex.LinearSVC(tol=0.1, n_jobs=1).fit(X, y)
        theirs = LinearSVC()
        theirs.coef_, theirs.intercept_ = ours.coef_, ours.intercept_
        theirs.classes_, theirs.n_features_in_ = ours.classes_, X.shape[1]
        models = (ours, theirs)
        a, b = in_turn([partial(m.decision_function, X) for m in models], max(5, 3 * repeats))
        one = in_turn([partial(m.predict, X[:1]) for m in models], 20, 20)
        figures |= {f"decision_{key}": X.shape[0] / a, f"decision_{key}_ratio": b / a,
                    "predict_one_us": 1e6 * one[0], "predict_one_sklearn_us": 1e6 * one[1]}
    return figures


def _small_fits(repeats):
    import numpy as np
    from sklearn.svm import LinearSVC

    import hingex

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 5)), np.arange(20) % 2
    X[:, 0] += y
    figures = {}
    for loss in ("hinge", "squared_hinge"):

        def fit(library, loss=loss):
            return library(loss=loss).fit(X, y)

        calls = [partial(fit, library) for library in (hingex.LinearSVC, LinearSVC)]
        ours, theirs = in_turn(calls, max(20, 10 * repeats), 20)
        figures |= {f"small_{loss}_us": 1e6 * ours, f"small_{loss}_ratio": ours / theirs}
    return figures


def _imports(repeats):
    """CPU seconds of fresh processes, beyond those of one that imports nothing."""
    codes = (
        "pass",
        "import hingex",
        "import hingex; hingex.LinearSVC().fit([[0.], [1.]], [0, 1])",
        "import sklearn.svm",
    )
    times = []
    for code in codes:
        script = f"import sys; sys.path.append({str(child.ROOT)!r})\n{code}\n" \
                 "import time; print(time.process_time())"  # fmt: skip
        runs = [
            float(subprocess.run([sys.executable, "-P", "-c", script], capture_output=True,
                                 text=True, check=True).stdout)
            for _ in range(1 + max(3, repeats))
        ]  # fmt: skip
        times.append(statistics.median(runs[1:]))
    bare, *rest = times
    return dict(zip(("import_s", "import_fit_s", "import_sklearn_s"), (t - bare for t in rest),
                    strict=True))  # fmt: skip


def _memory():
    """Peak memory of a default hingex fit beyond X, each in a process of its own."""
    found = {}
    for name, task in (("20news", "binary"), ("wordnet_gloss", "binary"), ("20news", "ovr"),
                       ("wordnet_gloss", "ovr")):  # fmt: skip
        spec = {"adapter": "hingex_svc", "set": name, "task": task, "loss": "squared_hinge",
                "C": 1.0, "threads": 1, "budget": 0, "repeats": 0, "default": True}  # fmt: skip
        records, _ = child.run("bench.worker", spec, 1)
        found[f"{name} {task}"] = records[1]["memory"], records[1]["data_bytes"]
    return found
