# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn's SVC: LIBSVM, with a variant of its own for dense data; one thread."""

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
    return model.support_, model.dual_coef_, model.classes_
