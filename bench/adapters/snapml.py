# SPDX-License-Identifier: BSD-3-Clause
"""snapml's SupportVectorMachine, with its intercept (a constant feature, penalised).

On sms_spam and 20news the intercept gives the same objectives, in the same time, as a column of
ones. max_iter is raised from 1000.
"""

from importlib.metadata import version as installed

import numpy as np
from snapml import SupportVectorMachine

NAME = "snapml"
LOSSES = ("hinge", "squared_hinge")
TASKS = ("binary", "ovr")
THREADED = ("binary", "ovr")


def version():
    return installed("snapml")


def schedules(loss):
    tols = (3e-1, 1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6, 3e-7, 1e-7,
            3e-8, 1e-8)  # fmt: skip
    return [[{"tol": tol, "max_iter": 10000} for tol in tols]]


def default(loss):
    return {"tol": 1e-3, "max_iter": 1000}


def prepare(X, y):
    return X, y


def fit(data, *, loss, C, threads, **setting):
    return SupportVectorMachine(
        loss=loss, regularizer=1 / C, fit_intercept=True, n_jobs=threads, random_state=0, **setting
    ).fit(*data)


def weights(model):
    coef = np.asarray(model.coef_, dtype=np.float64)
    coef = coef.reshape(1, -1) if len(model.classes_) == 2 else coef
    return coef, np.asarray(model.intercept_, dtype=np.float64).ravel(), None
