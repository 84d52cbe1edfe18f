# SPDX-License-Identifier: BSD-3-Clause
"""cyanure's Classifier: variance-reduced and quasi-Newton methods; squared hinge only.

Its objective has half the squared hinge over n, so lambda is 1 / (2 C n). It is driven by its
number of passes, with the duality gap computed once at the end: on sms_spam and 20news that
reaches every level sooner than its `tol` does. Its input checks are switched off (safe=False).
"""

import warnings
from importlib.metadata import version as installed

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from cyanure.estimators import Classifier

from . import split_last, with_ones

NAME = "cyanure"
LOSSES = ("squared_hinge",)
TASKS = ("binary", "ovr")
THREADED = ("binary", "ovr")


def version():
    return installed("cyanure")


def schedules(loss):
    passes = (3, 5, 8, 10, 12, 15, 20, 25, 30, 40, 60, 80, 120, 200, 400)
    return [[{"max_iter": k, "duality_gap_interval": k, "tol": 1e-12} for k in passes]]


def default(loss):
    return {"max_iter": 500, "duality_gap_interval": 5, "tol": 1e-3}


def prepare(X, y):
    return with_ones(X), y.astype(float)


def fit(data, *, loss, C, threads, **setting):
    X, y = data
    model = Classifier(
        loss="sqhinge", penalty="l2", lambda_1=1 / (2 * C * X.shape[0]), fit_intercept=False,
        n_threads=threads, verbose=False, safe=False, **setting,
    )  # fmt: skip
    return model.fit(X, y)


def weights(model):
    return split_last(model.coef_.T)
