# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn's SVC: LIBSVM, with a variant of its own for dense data; one thread."""

import scipy.sparse as sp
import sklearn
from sklearn.svm import SVC

NAME = "sklearn"


def version():
    return sklearn.__version__


def prepare(X, y):
    return X, y


def fit(data, *, C, gamma, tol, cache, threads):
    return SVC(C=C, gamma=gamma, tol=tol, cache_size=cache).fit(*data)


def queries(X):
    return X


def predict(model, rows):
    return model.predict(rows)


def duals(model):
    coef = model.dual_coef_  # CSR when X is
    return model.support_, coef.toarray() if sp.issparse(coef) else coef, model.classes_
