# SPDX-License-Identifier: BSD-3-Clause
"""hingex.LinearSVC with LIBLINEAR's regularized intercept, for the same objective."""

import hingex

NAME = "hingex"


def version():
    return hingex.__version__


def schedule(loss):
    """Values of `tol` (relative duality gap), from loose to tight."""
    return [1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6]


def default(loss):
    return 1e-3


def fit(X, y, *, loss, C, tol, threads):
    model = hingex.LinearSVC(
        loss=loss, C=C, tol=tol, intercept="regularized", n_jobs=threads, max_time=60
    ).fit(X, y)
    return model.coef_, model.intercept_, float(model.duality_gap_.max())
