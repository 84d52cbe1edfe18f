# SPDX-License-Identifier: BSD-3-Clause
"""Fits on files: seconds and peak memory by the size of the file, beside a fit in memory.

The rows are those of a text data set again and again, each time without some of their words. Every
run is a process of its own; its memory is the peak of what it had resident, less what it had before
the fit began, with hingex and SciPy imported.
"""

import os
import resource
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from . import child, data, linear

SET = "debian_sections"
COPIES = (2, 8, 24)
THREADS = 2  # one reads ahead
DROPPED = 0.1  # share of the values that a copy of a row lacks
HEAD = ("| run | " + "file, MB | seconds | epochs | gap | peak, MB |\n" + 6 * "|---" + "|")
RUNS = {
    "fit: load_svmlight_file, LinearSVC.fit": "svc",
    "LinearSVC.fit_stream, svmlight": "svc_svmlight",
    "LinearSVC.fit_stream, .npz": "svc_npz",
    "LinearSVC.fit_stream, .npz, checkpoint": "svc_checkpoint",
    "PegasosClassifier.fit_stream, svmlight, 3 epochs": "pegasos_svmlight",
    "PegasosClassifier.fit_stream, .npz, 3 epochs": "pegasos_npz",
}


def run(copies, out):
    run_id = time.strftime("%Y-%m-%dT%H:%M:%S")
    X, y, real = data.load_task(SET, "binary")
    print(HEAD)
    for count in copies:
        with tempfile.TemporaryDirectory() as folder:
            size = _write(X, np.asarray(y), count, folder)
            for label, key in RUNS.items():
                (found,), _ = child.run("bench.blocks", {"key": key, "folder": folder}, THREADS)
                record = found | {
                    "area": "blocks", "run": run_id, "real": real, "set": SET, "key": key,
                    "megabytes": size}  # fmt: skip
                linear.append(out, [record])
                print(f"| {label} | {size:.0f} | {record['seconds']:.1f} | {record['epochs']} | "
                      f"{record['gap']:.1e} | {record['peak']:.0f} |", flush=True)


def _write(X, y, copies, folder):
    """The file, and the same in blocks; its size in MB."""
    from hingex.blocks import SvmlightBlocks, save_blocks
    from hingex.io import dump_svmlight_file

    rng = np.random.default_rng(0)
    path = Path(folder) / "rows.svm"
    with open(path, "wb") as file:
        for _ in range(copies):
            part = X.copy()
            part.data = np.where(rng.random(len(part.data)) < DROPPED, 0, part.data)
            part.eliminate_zeros()
            order = rng.permutation(len(y))
            dump_svmlight_file(part[order], y[order], file)
    save_blocks(SvmlightBlocks(path, n_features=X.shape[1], zero_based=True, dtype=np.float32),
                Path(folder) / "npz")  # fmt: skip
    return path.stat().st_size / 1e6


def main():
    """In the child."""
    emit, spec = child.emitter(), child.arguments()
    key, folder = spec["key"], spec["folder"]
    import hingex
    from hingex.blocks import NpzBlocks, SvmlightBlocks

    warnings.simplefilter("ignore")
    path = os.path.join(folder, "rows.svm")
    kind, _, source = key.partition("_")
    model = (hingex.LinearSVC if kind == "svc" else hingex.PegasosClassifier)(
        n_jobs=1, random_state=0)
    hingex.LinearSVC().fit_stream([(np.eye(2), [0, 1])])  # all modules are there
    hingex.load_svmlight_file  # noqa: B018
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    if source:
        blocks = (SvmlightBlocks(path, dtype=np.float32, n_jobs=1) if source == "svmlight"
                  else NpzBlocks(os.path.join(folder, "npz")))  # fmt: skip
        more = {"epochs": 3} if kind == "pegasos" else {}
        if source == "checkpoint":
            more["checkpoint"] = os.path.join(folder, "checkpoint")
        model.fit_stream(blocks, **more)
    else:
        model.fit(*hingex.load_svmlight_file(path, dtype=np.float32, n_jobs=1))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    gap = float(np.max(getattr(model, "duality_gap_", np.nan)))
    emit({"seconds": seconds, "peak": peak / 1024, "epochs": model.n_iter_, "gap": gap})
