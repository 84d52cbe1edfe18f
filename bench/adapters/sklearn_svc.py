# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn's LinearSVC: LIBLINEAR with its own data copy; single-threaded."""

import sklearn
from sklearn.svm import LinearSVC

NAME = "LinearSVC"


def version():
    return sklearn.__version__


def schedule(loss):
    """Values of `tol`, from loose to tight; 1e-4 is its default."""
    return [1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5]


def default(loss):
    return 1e-4


def fit(X, y, *, loss, C, tol, threads):
    model = LinearSVC(loss=loss, C=C, tol=tol, random_state=0).fit(X, y)
    return model.coef_, model.intercept_, None
