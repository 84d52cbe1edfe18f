# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn-intelex: oneDAL behind scikit-learn's interface. Its threads follow the CPUs."""

from importlib import metadata

import scipy.sparse as sp
from sklearnex.svm import SVC

NAME = "intelex"


def version():
    return metadata.version("scikit-learn-intelex")


def prepare(X, y):
    return X, y


def fit(data, *, C, gamma, tol, cache, threads):
    model = SVC(C=C, gamma=gamma, tol=tol, cache_size=cache, n_jobs=threads).fit(*data)
    if not hasattr(model, "_onedal_estimator"):  # it has handed the data on to scikit-learn
        raise RuntimeError("scikit-learn-intelex fell back to scikit-learn")
    return model


def queries(X):
    return X


def predict(model, rows):
    return model.predict(rows)


def duals(model):
    coef = model.dual_coef_  # CSR when X is
    return model.support_, coef.toarray() if sp.issparse(coef) else coef, model.classes_
