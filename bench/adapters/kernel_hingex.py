# SPDX-License-Identifier: BSD-3-Clause
"""hingex.SVC."""

import hingex

if not hasattr(hingex, "SVC"):
    raise ImportError("hingex.SVC: not built")

NAME = "hingex"


def version():
    return hingex.__version__


def prepare(X, y):
    return X, y


def fit(data, *, C, gamma, tol, cache, threads):
    return hingex.SVC(C=C, gamma=gamma, tol=tol, cache_size=cache, n_jobs=threads).fit(*data)


def queries(X):
    return X


def predict(model, rows):
    return model.predict(rows)


def duals(model):
    return model.support_, model.dual_coef_, model.classes_


def claims(model):
    """The largest relative duality gap of a pair."""
    return float(model.duality_gap_.max())
