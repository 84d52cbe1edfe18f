# SPDX-License-Identifier: BSD-3-Clause
"""ThunderSVM on the CPU: large working sets, in single precision.

The distribution `thundersvm` is for CUDA 9 only; `thundersvm-cpu` has the same package, hence a
folder of its own, HINGEX_BENCH_PEERS/thundersvm-cpu (default bench/peers); see requirements.txt.
"""

import os
import sys
from importlib import metadata
from pathlib import Path

import numpy as np

folder = Path(os.environ.get("HINGEX_BENCH_PEERS", Path(__file__).parents[1] / "peers"))
if (folder / "thundersvm-cpu").is_dir():
    sys.path.insert(0, str(folder / "thundersvm-cpu"))
_version = metadata.version("thundersvm-cpu")  # PackageNotFoundError is an ImportError

from thundersvm import SVC  # noqa: E402

NAME = "thundersvm"


def version():
    return _version


def prepare(X, y):
    first = np.sort(np.unique(y, return_index=True)[1])
    return X, y, y[first]


def fit(data, *, C, gamma, tol, cache, threads):
    model = SVC(C=C, gamma=gamma, tol=tol, cache_size=cache, n_jobs=threads).fit(*data[:2])
    model.order = data[2]  # its classes are in the order of their first rows
    return model


def queries(X):
    return X


def predict(model, rows):
    return model.predict(rows)


def duals(model):
    return model.support_, model.dual_coef_, model.order
