# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn's SGDClassifier, over epochs; threads over the classes.

Its objective is ours over C n, with alpha = 1 / (C n). The default learning rate, "optimal",
diverges with the squared hinge at so small an alpha (objectives of 1e20), so that loss has the
best of the five constant, "adaptive" and "invscaling" rates that were tried on sms_spam.
"""

import sklearn
from sklearn.linear_model import SGDClassifier

from . import split_last, with_ones

NAME = "SGDClassifier"
LOSSES = ("hinge", "squared_hinge")
TASKS = ("binary", "ovr")
THREADED = ("ovr",)
RATES = {
    "hinge": {"learning_rate": "optimal"},
    "squared_hinge": {"learning_rate": "adaptive", "eta0": 0.1},
}


def version():
    return sklearn.__version__


def schedules(loss):
    return [[{"max_iter": k, "tol": None} for k in (1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200)]]


def default(loss):
    return {"max_iter": 1000, "tol": 1e-3}


def prepare(X, y):
    return with_ones(X), y


def fit(data, *, loss, C, threads, **setting):
    X, y = data
    return SGDClassifier(
        loss=loss, alpha=1 / (C * X.shape[0]), fit_intercept=False, random_state=0,
        n_jobs=threads, **RATES[loss], **setting,
    ).fit(X, y)  # fmt: skip


def weights(model):
    return split_last(model.coef_)
