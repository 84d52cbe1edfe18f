# SPDX-License-Identifier: BSD-3-Clause
"""liblinear-multicore: LIBLINEAR with OpenMP, through its own Python interface.

It converts a CSR matrix to its arrays of nodes, with numba if that is installed (much faster).
"""

from . import _liblinear
from ._liblinear import LOSSES, TASKS, default, schedules, weights

NAME = "liblinear-multicore"
THREADED = ("binary", "ovr")
util, _version = _liblinear.load(NAME)

__all__ = ["LOSSES", "TASKS", "default", "schedules", "weights"]


def version():
    return _version


def prepare(X, y):
    return X, y.astype(float)


def fit(data, *, loss, C, threads, s, e):
    return _liblinear.fit(util, data, C, s, e, f"-m {threads}")
