# SPDX-License-Identifier: BSD-3-Clause
"""libsvm-official: LIBSVM through its own Python interface; one thread.

Its arrays of nodes are made beforehand, for training and for prediction, as they take long in
Python without numba.
"""

from importlib import metadata

import numpy as np
import scipy.sparse as sp
from libsvm import svm, svmutil

NAME = "libsvm"


def version():
    return metadata.version("libsvm-official")


def prepare(X, y):
    return svm.svm_problem(y.astype(float), sp.csr_matrix(X))


def fit(data, *, C, gamma, tol, cache, threads):
    return svmutil.svm_train(data, f"-q -c {C!r} -g {gamma!r} -e {tol!r} -m {cache!r}")


def queries(X):
    return svm.svm_problem(np.zeros(X.shape[0]), sp.csr_matrix(X))


def predict(model, rows):
    return np.array([svm.libsvm.svm_predict(model, rows.x[i]) for i in range(rows.l)])


def duals(model):
    shape = model.get_nr_class() - 1, model.get_nr_sv()
    coef = [np.ctypeslib.as_array(model.sv_coef[r], (shape[1],)) for r in range(shape[0])]
    return np.array(model.get_sv_indices()) - 1, np.array(coef), model.get_labels()
