# SPDX-License-Identifier: BSD-3-Clause
"""What liblinear-official and liblinear-multicore share: both install a package `liblinear`.

Each is therefore looked for in a folder of its own first, `HINGEX_BENCH_PEERS`/<name> (default
bench/peers), where `pip install --target` puts it; see requirements.txt.
"""

import os
import sys
from importlib import import_module, metadata
from pathlib import Path

import numpy as np

from . import split_last

LOSSES = ("hinge", "squared_hinge")
TASKS = ("binary", "ovr")


def load(name):
    """(the module liblinearutil, version) of the distribution `name`."""
    peers = os.environ.get("HINGEX_BENCH_PEERS", Path(__file__).parents[1] / "peers")
    folder = Path(peers) / name
    if folder.is_dir():
        sys.path.insert(0, str(folder))
    version = metadata.version(name)  # PackageNotFoundError is an ImportError
    return import_module("liblinear.liblinearutil"), version


def schedules(loss):
    """Solver 3: dual, hinge; 1: dual, squared hinge; 2: primal, squared hinge."""
    eps = (3e0, 1e0, 3e-1, 1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6)
    solvers = (3,) if loss == "hinge" else (1, 2)
    return [[{"s": s, "e": e} for e in eps] for s in solvers]


def default(loss):
    return {"s": 3 if loss == "hinge" else 1, "e": 0.1}


def fit(util, data, C, s, e, more=""):
    X, y = data
    problem = util.problem(y, X, 1.0)
    return util.train(problem, f"-q -s {s} -c {C} -B 1 -e {e} {more}")


def weights(model):
    labels = np.array(model.get_labels())
    lanes = 1 if labels.size == 2 else labels.size
    flat = np.ctypeslib.as_array(model.w, ((model.nr_feature + 1) * lanes,))
    W = flat.reshape(-1, lanes).T.copy()
    if lanes == 1:  # its positive class is the one it met first
        return split_last(W if labels[0] == 1 else -W)
    return split_last(W[np.argsort(labels)])
