# SPDX-License-Identifier: BSD-3-Clause
"""One file per library, all for the same problem.

    min_{w, b}  1/2 (||w||^2 + b^2) + C sum_i phi(y_i (w.x_i + b))        (one-vs-rest: per class)

Each has

    NAME, version()       as printed
    LOSSES, TASKS         what it can solve
    THREADED              the tasks in which it uses more than one thread
    schedules(loss)       lists of settings (its own parameters), each from loose to tight; several
                          lists when it has several solvers for the problem
    default(loss)         the setting that it has when a user sets nothing
    prepare(X, y)         what `fit` gets; not timed. X is float32 CSR, y 0..K-1
    fit(data, *, loss, C, threads, **setting)     timed, with the conversions its API forces
    weights(model)        (coef (K, d), intercept (K,), relative gap or None); not timed

A library without a regularized intercept gets X with a column of ones from `prepare`.

Those called kernel_* are for kernel SVMs, with an RBF kernel and an intercept without penalty:

    NAME, version(), prepare(X, y)      as above; X is float64, dense or CSR
    fit(data, *, C, gamma, tol, cache, threads)      timed; cache in MB
    queries(X)            what `predict` gets; not timed
    predict(model, queries)      class codes; timed
    duals(model)          (rows of the support vectors, LIBSVM's coefficients (K - 1, n_SV), order
                          of the classes in them); not timed
    claims(model)         where there is one: the relative duality gap that the library tells
"""

import numpy as np
import scipy.sparse as sp


def with_ones(X):
    """X with a constant last column."""
    ones = sp.csr_matrix(np.ones((X.shape[0], 1), X.dtype))
    X = sp.csr_matrix(sp.hstack([X, ones]))
    X.sort_indices()
    return X


def split_last(weights):
    """(coef, intercept, no gap) of weights with the intercept last."""
    weights = np.atleast_2d(np.asarray(weights, dtype=np.float64))
    return weights[:, :-1], weights[:, -1], None
