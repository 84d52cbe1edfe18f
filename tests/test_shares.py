# SPDX-License-Identifier: BSD-3-Clause
"""The bits of a result depend on n_jobs, not on how many threads carry its shares out.

Run as a script, this file prints the digests of all cases: with OpenMP's limits set, or under a
build without OpenMP.
"""

import hashlib
import json
import os
import pickle
import signal
import subprocess
import sys
import warnings
from functools import cache
from importlib import import_module

import numpy as np
import pytest

import hingex
from hingex import structured

JOBS = (1, 2, 3, None)
CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def bits(*parts):
    """Digest of arrays and of other things that pickle."""
    made = hashlib.sha256()
    for part in parts:
        array = np.asarray(part)
        made.update(array.tobytes() if array.dtype != object else pickle.dumps(part))
    return made.hexdigest()


@cache
def sequences(n=120, length=10, d=60, K=6):
    rng = np.random.default_rng(0)
    start = rng.standard_normal((K, d))
    y = [rng.integers(0, K, length) for _ in range(n)]
    return [start[t] + 2 * rng.standard_normal((length, d)) for t in y], y


@cache
def classes(n=900, d=40, K=7, noise=2.0):
    rng = np.random.default_rng(1)
    y = rng.integers(0, K, n)
    return rng.standard_normal((K, d))[y] + noise * rng.standard_normal((n, d)), y


def chain(solver):
    def compute(n_jobs):
        X, y = sequences()
        svm = hingex.ChainSVM(C=0.1, solver=solver, n_jobs=n_jobs, random_state=0,
                              max_iter=6).fit(X, y)
        return bits(svm.coef_, svm.transitions_, np.concatenate(svm.predict(X)), svm.duality_gap_)
    return compute


for _solver in ("bcfw", "one_slack", "subgradient"):
    CASES[f"chain_{_solver}"] = chain(_solver)


def chain_by(**more):
    def compute(n_jobs):
        X, y = sequences()
        svm = structured.StructuredSVM(structured.Chain(6), C=0.1, max_iter=5, n_jobs=n_jobs,
                                       warm_start=True, **more).fit(X, y)
        first = svm.coef_.copy()
        return bits(first, svm.fit(X, y).coef_, svm.duality_gap_)
    return compute


CASES["chain_frank_wolfe"] = chain_by(step="frank_wolfe")
CASES["chain_slack"] = chain_by(rescaling="slack")


@case
def trees(n_jobs):
    X, y = sequences()
    X = [(x, np.arange(-1, len(x) - 1)) for x in X]
    svm = structured.StructuredSVM(structured.Tree(6), C=0.1, max_iter=5, n_jobs=n_jobs).fit(X, y)
    return bits(svm.coef_, np.concatenate(svm.predict(X)))


@case
def graphs(n_jobs):
    X, y = sequences()
    X = [(x, structured.Graph.grid(2, 5)) for x in X]
    y = [part % 2 for part in y]
    svm = structured.StructuredSVM(structured.Graph(), C=0.1, max_iter=5, n_jobs=n_jobs).fit(X, y)
    return bits(svm.coef_, np.concatenate(svm.predict(X)))


@case
def label_sets(n_jobs):
    X, y = classes()
    Y = np.stack([y % 2, y % 3 == 0, y > 3, y == 1], axis=1).astype(int)
    svm = hingex.MultilabelSVM(C=0.1, max_iter=5, n_jobs=n_jobs, pairwise=True).fit(X, Y)
    return bits(svm.coef_, svm.pairs_, svm.predict(X))


def linear(loss, **more):
    def compute(n_jobs):
        X, y = classes(**more)
        svm = hingex.LinearSVC(loss=loss, C=0.1, n_jobs=n_jobs, max_iter=150, tol=1e-4)
        svm.fit(X, y)
        return bits(svm.coef_, svm.intercept_, svm.decision_function(X), svm.n_iter_)
    return compute


for _loss in ("hinge", "squared_hinge"):
    CASES[f"one_vs_rest_{_loss}"] = linear(_loss, n=3000, K=70)
    # Long, sparse rows: features are shared out, and rows when it is certified.
    CASES[f"binary_{_loss}"] = linear(_loss, n=900, d=1600, K=2, noise=12.0)


@case
def features_apart(n_jobs):
    from scipy.sparse import random_array

    rng = np.random.default_rng(2)
    X = random_array((4000, 30_000), density=0.01, rng=rng, format="csr")
    X.sort_indices()
    y = np.where(X @ rng.standard_normal(30_000) > 0, 1, 0)
    svm = hingex.LinearSVC(loss="hinge", C=1.0, n_jobs=n_jobs, max_iter=150).fit(X, y)
    return bits(svm.coef_, svm.intercept_, svm.decision_function(X))


@case
def other_losses(n_jobs):
    X, y = classes()
    found = []
    for loss in ("logistic", "smooth_hinge", "hinge"):
        svm = hingex.LinearClassifier(loss=loss, n_jobs=n_jobs).fit(X, y)
        found += [svm.coef_, svm.decision_function(X)]
    return bits(*found)


@case
def chosen_by_folds(n_jobs):
    X, y = classes()
    svm = hingex.LinearSVCCV(Cs=[0.01, 0.1, 1.0], cv=3, n_jobs=n_jobs, loss="hinge").fit(X, y)
    return bits(svm.coef_, svm.scores_, svm.C_)


@case
def stochastic(n_jobs):
    X, y = classes(n=3000, K=30)
    found = []
    for kind in (hingex.PegasosClassifier, hingex.PassiveAggressiveClassifier,
                 hingex.AROWClassifier):
        svm = kind(max_iter=2, n_jobs=n_jobs, random_state=0).fit(X, y)
        found += [svm.coef_, svm.intercept_, svm.partial_fit(X[:100], y[:100]).coef_]
    return bits(*found)


@case
def blocks(n_jobs):
    X, y = classes(n=3000, K=70)
    svm = hingex.LinearSVC(C=0.1, n_jobs=n_jobs, max_iter=60)
    svm.fit_stream([(X[at:at + 1000], y[at:at + 1000]) for at in range(0, 3000, 1000)])
    return bits(svm.coef_, svm.intercept_)


@case
def ranks(n_jobs):
    X, y = classes(n=6000)
    found = [hingex.LinearRankSVC(C=0.01, n_jobs=n_jobs).fit(X, y, qid=np.arange(6000) // 60).coef_,
             hingex.AUCMaximizer(C=0.01, n_jobs=n_jobs).fit(X, y > 3).coef_]
    return bits(*found)


@case
def words(n_jobs):
    rng = np.random.default_rng(3)
    vocabulary = np.array([f"word{i}" for i in range(3000)])
    texts = [" ".join(vocabulary[rng.zipf(1.5, 30) % 3000]) for _ in range(800)]
    counts = hingex.text.TextVectorizer(ngram_range=(1, 2), n_jobs=n_jobs)
    X = counts.fit_transform(texts)
    return bits(X.data, X.indices, X.indptr, counts.get_feature_names_out().astype(str))


def machine(name, **more):
    def compute(n_jobs):
        X, y = classes()
        found = []
        for size in (1 << 4, 200):
            svm = getattr(hingex, name)(n_jobs=n_jobs, cache_size=size, **more)
            svm.fit(X, y % 3 if name == "NuSVC" else y)
            found += [svm.dual_coef_, svm.intercept_, svm.support_, svm.predict(X)]
            if hasattr(svm, "decision_function"):
                found.append(svm.decision_function(X))
        return bits(*found)
    return compute


CASES |= {
    "svc": machine("SVC"), "svc_linear": machine("SVC", kernel="linear", C=0.1),
    "nu_svc": machine("NuSVC", nu=0.2), "svr": machine("SVR"), "nu_svr": machine("NuSVR"),
    "one_class": machine("OneClassSVM", nu=0.1),
    "nystroem": machine("SVC", approximation="nystroem", n_components=50),
}  # fmt: skip


@case
def probabilities(n_jobs):
    X, y = classes(n=300, K=3)
    svm = hingex.SVC(probability=True, n_jobs=n_jobs).fit(X, y)
    return bits(svm.predict_proba(X), svm.decision_function(X))


@case
def gram(n_jobs):
    X, _ = classes()
    return bits(*(hingex.kernels.gram(X, kernel=name, gamma=0.01, n_jobs=n_jobs)
                  for name in ("linear", "poly", "rbf", "sigmoid", "laplacian")))


@case
def losses(n_jobs):
    """Without n_jobs: threads for many scores are chosen inside."""
    X, y = classes(n=240_000, d=7)
    found = [*hingex.losses.Hinge().value_and_gradient(np.where(y > 3, 1, -1), X[:, 0]),
             *hingex.losses.CrammerSinger().value_and_gradient(y, X),
             hingex.losses.pairwise_ranking_loss(y, X[:, 0], qid=np.arange(240_000) // 60)]
    return bits(*found)


@case
def metric(n_jobs):
    """Without n_jobs: one thread everywhere."""
    X, y = classes(n=120)
    return bits(hingex.LMNN(max_iter=5, tol=1e-9).fit(X, y).components_)


def digest(name, n_jobs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hingex.ConvergenceWarning)
        return CASES[name](n_jobs)


def force_threads(patch):
    """Have small problems share their work as large ones do."""
    patch(import_module("hingex.solvers.dual_cd"), "THREADS_FROM", 0)


def in_child(compute):
    """What `compute()` returns in a forked child, which pickles it."""
    get, put = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(get)
            signal.alarm(120)
            found = pickle.dumps(compute())
            with open(put, "wb") as file:
                file.write(found)
            status = 0
        finally:
            os._exit(status)
    os.close(put)
    with open(get, "rb") as file:
        found = file.read()
    assert os.waitpid(pid, 0)[1] == 0
    return pickle.loads(found)


@cache
def here(name):
    return [digest(name, n_jobs) for n_jobs in JOBS]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("name", CASES)
def test_a_forked_child_has_the_bits_of_its_parent(name, monkeypatch):
    force_threads(monkeypatch.setattr)
    before = here(name)
    assert in_child(lambda: [digest(name, n_jobs) for n_jobs in JOBS]) == before
    assert [digest(name, n_jobs) for n_jobs in JOBS] == before


@pytest.mark.parametrize("limit", ["OMP_NUM_THREADS", "OMP_THREAD_LIMIT"])
def test_limits_of_openmp_leave_the_bits(limit, monkeypatch):
    """One thread has to be enough for any number of shares: none waits for another."""
    force_threads(monkeypatch.setattr)
    made = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True,
                          env={**os.environ, limit: "1"}, timeout=280)
    assert json.loads(made.stdout) == {name: here(name) for name in CASES}


if __name__ == "__main__":
    force_threads(setattr)
    print(json.dumps({name: here(name) for name in CASES}))
