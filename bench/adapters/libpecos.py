# SPDX-License-Identifier: BSD-3-Clause
"""libpecos: dual coordinate descent on float32 CSR in place; threads over the classes.

Its training function is called without the model class around it, which would only add to the
time. threshold=0 keeps all weights; max_iter is raised from 100.
"""

import numpy as np
import pecos
import scipy.sparse as sp
from pecos.core import clib
from pecos.core.base import ScipyCscF32, ScipyCsrF32

from . import split_last

NAME = "libpecos"
LOSSES = ("hinge", "squared_hinge")
TASKS = ("binary", "ovr")
THREADED = ("ovr",)
SOLVERS = {"hinge": "L2R_L1LOSS_SVC_DUAL", "squared_hinge": "L2R_L2LOSS_SVC_DUAL"}


def version():
    return pecos.__version__


def schedules(loss):
    eps = (3e0, 1e0, 3e-1, 1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
    return [[{"eps": e, "max_iter": 10000} for e in eps]]


def default(loss):
    return {"eps": 0.1, "max_iter": 100}


def prepare(X, y):
    return X, y


def fit(data, *, loss, C, threads, eps, max_iter):
    X, y = data
    n, classes = X.shape[0], int(y.max()) + 1
    if classes == 2:
        Y = sp.csc_matrix(y.astype(np.float32)[:, None])
    else:
        Y = sp.csc_matrix((np.ones(n, np.float32), (np.arange(n), y)), shape=(n, classes))
    return clib.xlinear_single_layer_train(
        ScipyCsrF32(X), ScipyCscF32(Y), None, None, None, threshold=0.0,
        solver_type=SOLVERS[loss], Cp=C, Cn=C, max_iter=max_iter, eps=eps, bias=1.0,
        threads=threads,
    )  # fmt: skip


def weights(model):
    return split_last(model.toarray().T)
