# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn's LinearSVC: LIBLINEAR with a float64 copy of the data; one thread.

For the squared hinge it has a dual and a primal solver, and takes the primal one by default when
there are at least as many rows as features; both are tried. max_iter is raised from its default
of 1000 so that the tight tolerances mean something.
"""

import sklearn
from sklearn.svm import LinearSVC

NAME = "LinearSVC"
LOSSES = ("hinge", "squared_hinge")
TASKS = ("binary", "ovr", "crammer_singer")
THREADED = ()


def version():
    return sklearn.__version__


def schedules(loss):
    tols = (1e0, 3e-1, 1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6)
    solvers = (True,) if loss == "hinge" else (True, False)
    return [[{"tol": tol, "dual": dual, "max_iter": 10000} for tol in tols] for dual in solvers]


def default(loss):
    return {"tol": 1e-4, "dual": "auto" if loss == "squared_hinge" else True, "max_iter": 1000}


def prepare(X, y):
    return X, y


def fit(data, *, loss, C, threads, multi_class="ovr", **setting):
    if multi_class != "ovr" and loss != "hinge":
        raise NotImplementedError("its Crammer-Singer machine has the hinge alone")
    model = LinearSVC(loss=loss, C=C, random_state=0, multi_class=multi_class, **setting)
    return model.fit(*data)


def weights(model):
    return model.coef_, model.intercept_, None
