# SPDX-License-Identifier: BSD-3-Clause
"""hingex.LinearSVC with LIBLINEAR's regularized intercept, for the same objective."""

import hingex

NAME = "hingex"
LOSSES = ("hinge", "squared_hinge")
TASKS = ("binary", "ovr", "crammer_singer")
THREADED = ("binary", "ovr")


def version():
    return hingex.__version__


def schedules(loss):
    """`tol` is the relative duality gap."""
    tols = (3e-1, 1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6, 3e-7, 1e-7)
    return [[{"tol": tol} for tol in tols]]


def default(loss):
    return {"tol": 1e-3}


def prepare(X, y):
    return X, y


def fit(data, *, loss, C, threads, tol, multi_class="ovr"):
    model = hingex.LinearSVC(
        loss=loss, C=C, tol=tol, intercept="regularized", n_jobs=threads, max_iter=1_000_000,
        multi_class=multi_class,
    )
    return model.fit(*data)


def weights(model):
    return model.coef_, model.intercept_, float(model.duality_gap_.max())
