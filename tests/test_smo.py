# SPDX-License-Identifier: BSD-3-Clause
"""The solver of kernel machines: optima, certificates, working sets, the cache, interrupts."""

import os
import signal
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.sparse import csr_array, csr_matrix

import hingex
from hingex import SVC, SVR, ConvergenceWarning, NuSVC, NuSVR, OneClassSVM
from hingex._result import NotSeparableError
from hingex.kernel import _svr
from hingex.solvers import smo

KERNELS = {
    "linear": {},
    "poly": {"degree": 3, "gamma": 0.02, "coef0": 0.3},  # values of single precision
    "rbf": {"gamma": 0.5},
    "sigmoid": {"gamma": 0.02, "coef0": 0.1},
    "laplacian": {"gamma": 0.3},
    "chi2": {"gamma": 0.5},
}
CONVEX = [k for k in KERNELS if k != "sigmoid"]
SINGLE = 2e-6  # what kernels in single precision may shift a relative gap by


def blobs(n=120, d=4, classes=2, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    X = spread * rng.standard_normal((classes, d))[y] + rng.standard_normal((n, d))
    return X - X.min(), y  # not negative, for chi2


def curve(n=120, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(0, 6, (n, 2))
    return X, np.sin(X[:, 0]) + 0.1 * X[:, 1] + 0.1 * rng.standard_normal(n)


def kernel_of(name, X, Z, *, gamma=1.0, degree=3, coef0=0.0):
    """By formula, in float64."""
    X, Z = (np.asarray(A.toarray() if hasattr(A, "toarray") else A, np.float64) for A in (X, Z))
    if name == "linear":
        return X @ Z.T
    if name == "poly":
        return (gamma * (X @ Z.T) + coef0) ** degree
    if name == "sigmoid":
        return np.tanh(gamma * (X @ Z.T) + coef0)
    out = np.empty((len(X), len(Z)))
    for i, x in enumerate(X):
        if name == "rbf":
            out[i] = ((x - Z) ** 2).sum(axis=1)
        elif name == "laplacian":
            out[i] = np.abs(x - Z).sum(axis=1)
        else:
            both = x + Z
            out[i] = np.divide((x - Z) ** 2, both, out=np.zeros_like(both),
                               where=both > 0).sum(axis=1)
    return np.exp(-gamma * out)


def problems(model, y):
    """(rows, signs, duals) of each problem, from dual_coef_ in LIBSVM's layout."""
    codes = np.searchsorted(model.classes_, y)
    K, n = len(model.classes_), len(y)
    starts = np.concatenate([[0], np.cumsum(model.n_support_)])
    assert_array_equal(codes[model.support_], np.repeat(np.arange(K), model.n_support_))

    def duals(c, r):
        out = np.zeros(n)
        part = slice(starts[c], starts[c + 1])
        out[model.support_[part]] = model.dual_coef_[r, part]
        return out

    if K == 2:
        return [(np.arange(n), np.where(codes == 1, 1.0, -1.0), duals(0, 0) + duals(1, 0))]
    if getattr(model, "multi_class", "ovo") == "ovr":
        return [(np.arange(n), np.where(codes == k, 1.0, -1.0), sum(duals(c, k) for c in range(K)))
                for k in range(K)]
    found = []
    for i in range(K):
        for j in range(i + 1, K):
            rows = np.flatnonzero((codes == i) | (codes == j))
            both = duals(i, j - 1) + duals(j, i)
            found.append((rows, np.where(codes[rows] == i, 1.0, -1.0), both[rows]))
    return found


def relative(primal, dual):
    return (primal - dual) / max(abs(primal), abs(dual), 1e-300)


def check_certificate(model, k, primal, dual, tol, noise=SINGLE):
    """Problem k's true objectives against what the model says and promises."""
    gap = relative(primal, dual)
    assert gap >= -noise
    assert gap <= tol + noise
    assert_allclose(model.duality_gap_[k], gap, atol=noise + 0.05 * tol)
    assert_allclose(model.dual_objective_[k], dual, rtol=noise, atol=noise * abs(primal))
    assert model.kkt_violation_[k] <= tol
    assert model.converged_ is True
    assert model.fit_status_ == 0


def check_svc(model, K, y, cost, tol, noise=SINGLE):
    """Feasibility, gap and optimality conditions of all problems, in float64 with the Gram K."""
    for k, (rows, sign, b) in enumerate(problems(model, y)):
        C, G = cost[rows], K[np.ix_(rows, rows)]
        alpha, f = sign * b, G @ b
        assert (alpha >= 0).all()
        assert (alpha <= C).all()
        assert abs(b.sum()) <= 1e-9 * max(1.0, alpha.sum())
        slack = np.maximum(0, 1 - sign * (f + model.intercept_[k]))
        check_certificate(model, k, b @ f / 2 + C @ slack, alpha.sum() - b @ f / 2, tol, noise)
        most = (sign - f)[np.where(sign > 0, alpha < C, alpha > 0)].max(initial=-np.inf)
        least = (sign - f)[np.where(sign > 0, alpha > 0, alpha < C)].min(initial=np.inf)
        assert most - least <= tol + 3 * noise * (1 + np.abs(f).max())
        with np.errstate(divide="ignore"):
            assert_allclose(model.margin_width_[k], 2 / np.sqrt(max(0, b @ f)), rtol=1e-4)


# ------------------------------------------------------------------------------ certificates


@pytest.mark.parametrize("tol", [1e-3, 1e-5])
@pytest.mark.parametrize("multi_class", ["ovo", "ovr"])
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("name", CONVEX)
def test_svc(name, classes, multi_class, tol):
    X, y = blobs(classes=classes)
    rng = np.random.default_rng(1)
    weights = rng.uniform(0.2, 2, len(y)) * (rng.random(len(y)) > 0.1)
    model = SVC(0.7, kernel=name, tol=tol, multi_class=multi_class, class_weight={0: 2.0},
                **KERNELS[name]).fit(X, y, sample_weight=weights)
    K = kernel_of(name, X, X, **KERNELS[name])
    cost = 0.7 * weights * np.where(y == 0, 2.0, 1.0)
    # ovr problems leave out rows of weight 0, which have no say: bounds of 0 are the same.
    noise = 1e-5 if name == "poly" else SINGLE
    check_svc(model, K, y, cost, tol, noise)
    assert not np.isin(np.flatnonzero(weights == 0), model.support_).any()
    for given in (csr_array(X), np.asfortranarray(X), csr_matrix(X)):
        other = SVC(0.7, kernel=name, tol=tol, multi_class=multi_class, class_weight={0: 2.0},
                    **KERNELS[name]).fit(given, y, sample_weight=weights)
        check_svc(other, K, y, cost, tol, noise)


@pytest.mark.parametrize("name", CONVEX)
def test_nu_svc(name):
    for classes in (2, 3):
        X, y = blobs(classes=classes)
        weights = np.random.default_rng(1).uniform(0.5, 1.5, len(y))
        model = NuSVC(nu=0.6, kernel=name, tol=1e-4, **KERNELS[name]).fit(X, y, weights)
        K = kernel_of(name, X, X, **KERNELS[name])
        for k, (rows, sign, divided) in enumerate(problems(model, y)):
            u = weights[rows]
            rho = 0.6 * u.sum() / (sign @ divided)
            b, c = divided * rho, model.intercept_[k] * rho
            f = K[np.ix_(rows, rows)] @ b
            assert (sign * b >= 0).all()
            assert (sign * b <= u * (1 + 1e-9)).all()
            assert abs(b.sum()) <= 1e-9 * u.sum()
            primal = b @ f / 2 - 0.6 * u.sum() * rho + u @ np.maximum(0, rho - sign * (f + c))
            check_certificate(model, k, primal, -b @ f / 2, 1e-4, 1e-4)


@pytest.mark.parametrize("name", CONVEX)
def test_svr(name):
    X, y = curve()
    weights = np.random.default_rng(1).uniform(0, 2, len(y))
    weights[:9] = 0
    model = SVR(C=3.0, epsilon=0.2, kernel=name, tol=1e-4, **KERNELS[name]).fit(X, y, weights)
    K, C, b = kernel_of(name, X, X, **KERNELS[name]), 3.0 * weights, np.zeros(len(y))
    b[model.support_] = model.dual_coef_[0]
    f = K @ b
    assert (np.abs(b) <= C).all()
    assert abs(b.sum()) <= 1e-9 * np.abs(b).sum()
    off = np.maximum(0, np.abs(y - f - model.intercept_[0]) - 0.2)
    check_certificate(model, 0, b @ f / 2 + C @ off, y @ b - 0.2 * np.abs(b).sum() - b @ f / 2,
                      1e-4, 1e-5)
    assert_allclose(model.predict(X), f + model.intercept_[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", CONVEX)
def test_nu_svr(name):
    X, y = curve()
    weights = np.random.default_rng(1).uniform(0.5, 2, len(y))
    model = NuSVR(C=3.0, nu=0.4, kernel=name, tol=1e-4, **KERNELS[name]).fit(X, y, weights)
    K, C, b = kernel_of(name, X, X, **KERNELS[name]), 3.0 * weights, np.zeros(len(y))
    b[model.support_] = model.dual_coef_[0]
    f = K @ b
    assert (np.abs(b) <= C * (1 + 1e-12)).all()
    assert abs(b.sum()) <= 1e-9 * C.sum()
    assert np.abs(b).sum() <= 0.4 * C.sum() * (1 + 1e-9)
    off = np.maximum(0, np.abs(y - f - model.intercept_[0]) - model.epsilon_)
    primal = b @ f / 2 + 0.4 * C.sum() * model.epsilon_ + C @ off
    check_certificate(model, 0, primal, y @ b - b @ f / 2, 1e-4, 1e-5)


@pytest.mark.parametrize("name", CONVEX)
def test_one_class(name):
    X, _ = blobs(classes=3)
    weights = np.random.default_rng(1).uniform(0.5, 2, len(X))
    model = OneClassSVM(nu=0.3, kernel=name, tol=1e-4, **KERNELS[name]).fit(X, None, weights)
    K, b = kernel_of(name, X, X, **KERNELS[name]), np.zeros(len(X))
    b[model.support_] = model.dual_coef_[0]
    f = K @ b
    assert (b >= 0).all()
    assert (b <= weights).all()
    assert_allclose(b.sum(), 0.3 * weights.sum())
    primal = b @ f / 2 - b.sum() * model.offset_ + weights @ np.maximum(0, model.offset_ - f)
    check_certificate(model, 0, primal, -b @ f / 2, 1e-4)
    assert_allclose(model.score_samples(X), f, rtol=1e-9, atol=1e-9)
    assert weights[model.decision_function(X) < -1e-3].sum() <= 0.3 * weights.sum()


def optimum(Q, p, lo, hi, equalities):
    """max p'b - b'Qb / 2 with sums of b over the rows of equalities that are given: SLSQP."""
    A, total = equalities
    scale = 1 / max(1.0, np.abs(p).max() * hi.max())
    got = minimize(lambda b: scale * (b @ Q @ b / 2 - p @ b), np.clip(0, lo, hi),
                   jac=lambda b: scale * (Q @ b - p), method="SLSQP",
                   bounds=list(zip(lo, hi, strict=True)), options={"ftol": 1e-15, "maxiter": 3000},
                   constraints={"type": "eq", "fun": lambda b: A @ b - total, "jac": lambda _: A})
    assert got.status in (0, 8)  # 8: no step is better, by rounding
    return -got.fun / scale


@pytest.mark.parametrize("name", CONVEX)
def test_against_a_general_solver(name):
    X, y = blobs(30, classes=2)
    K, options = kernel_of(name, X, X, **KERNELS[name]), {"kernel": name, **KERNELS[name]}
    sign, n = 2.0 * y - 1, len(y)
    ones, none = np.ones((1, n)), np.zeros(n)
    Q = K * np.outer(sign, sign)
    best = optimum(Q, np.ones(n), none, np.full(n, 2.0), (sign[None], 0.0))
    model = SVC(2.0, tol=1e-7, **options).fit(X, y)
    assert_allclose(model.dual_objective_[0], best, rtol=3e-6)
    sides = np.array([sign > 0, sign < 0], dtype=float)
    best = optimum(Q, none, none, np.ones(n), (sides, np.full(2, 0.3 * n)))
    assert_allclose(NuSVC(nu=0.6, tol=1e-6, **options).fit(X, y).dual_objective_[0], best,
                    rtol=1e-5, atol=1e-7)
    best = optimum(K, none, none, np.ones(n), (ones, 0.4 * n))
    model = OneClassSVM(nu=0.4, tol=1e-7, **options).fit(X)
    assert_allclose(model.dual_objective_[0], best, rtol=3e-6)
    target = np.sin(X[:, 0]) + X[:, 1]
    twice = np.block([[K, -K], [-K, K]])
    best = optimum(twice, np.concatenate([target - 0.1, -target - 0.1]), np.zeros(2 * n),
                   np.full(2 * n, 1.5), (np.concatenate([ones, -ones], axis=1), 0.0))
    model = SVR(C=1.5, epsilon=0.1, tol=1e-7, **options).fit(X, target)
    assert_allclose(model.dual_objective_[0], best, rtol=3e-6)
    A = np.block([[ones, 0 * ones], [0 * ones, ones]])
    best = optimum(twice, np.concatenate([target, -target]), np.zeros(2 * n), np.full(2 * n, 1.5),
                   (A, np.full(2, 1.5 * 0.3 * n / 2)))
    model = NuSVR(C=1.5, nu=0.3, tol=1e-7, **options).fit(X, target)
    assert_allclose(model.dual_objective_[0], best, rtol=3e-6)


@pytest.mark.parametrize("tol", [1e-3, 1e-6])
@pytest.mark.parametrize(("n", "classes"), [(60, 2), (700, 2), (700, 3), (2600, 2)])
def test_many_steps(n, classes, tol):
    """With a large C most steps go along conjugate directions; sums and bounds hold."""
    X, y = blobs(n, 3, classes, seed=3, spread=0.5)
    C = 1e3
    model = SVC(C=C, gamma=0.05, tol=tol).fit(X, y)
    assert model.n_iter_.min() > 2 * n
    check_svc(model, kernel_of("rbf", X, X, gamma=0.05), y, np.full(n, C), tol)
    for _, _, duals in problems(model, y):
        assert abs(duals.sum()) <= 1e-9 * C
        assert np.abs(duals).max() <= C


def test_many_steps_of_other_problems():
    """Equalities of two groups, and two variables for each example."""
    X, y = blobs(300, seed=5)
    model = NuSVC(nu=0.2, gamma=0.02, tol=1e-7).fit(X, y)
    ((_, signs, duals),) = problems(model, y)
    assert model.converged_
    assert abs(duals.sum()) <= 1e-9 * np.abs(duals).sum()
    assert (signs * duals >= 0).all()
    Z, t = curve(300)
    again = SVR(C=1e4, epsilon=0.01, gamma=0.05, tol=1e-6).fit(Z, t)
    assert again.converged_
    K = kernel_of("rbf", Z, Z, gamma=0.05)
    b = np.zeros(300)
    b[again.support_] = again.dual_coef_[0]
    assert abs(b.sum()) <= 1e-5
    f = t - K @ b
    dual = t @ b - 0.01 * np.abs(b).sum() - b @ K @ b / 2
    loss = np.maximum(0, np.abs(f - again.intercept_) - 0.01).sum()
    primal = b @ K @ b / 2 + 1e4 * loss
    assert primal - dual <= 1.1e-6 * primal


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("n", [90, 1300])
def test_precomputed_and_called_kernels(classes, n):
    X, y = blobs(n, classes=classes)
    K = kernel_of("rbf", X, X, gamma=0.5)
    asked = []

    def rbf(A, B):
        asked.append(A.shape[0])
        return kernel_of("rbf", A, B, gamma=0.5)

    for given, kernel in ((K, "precomputed"), (K.astype(np.float32), "precomputed"),
                          (np.asfortranarray(K), "precomputed"), (X, rbf), (csr_matrix(X), rbf)):
        model = SVC(5.0, kernel=kernel).fit(given, y)
        check_svc(model, K, y, np.full(n, 5.0), 1e-3)
        rows = K if kernel == "precomputed" else X
        scores = model.decision_function(rows)
        if classes == 2:
            b = problems(model, y)[0][2]
            assert_allclose(scores, K @ b + model.intercept_[0], rtol=1e-6, atol=1e-6)
        named = SVC(5.0, gamma=0.5, tol=1e-6).fit(X, y)
        assert np.mean(model.predict(rows) == named.predict(X)) > 0.99
    assert max(asked) <= max(2048, n)
    for Other, options in ((NuSVC, {}), (SVR, {}), (NuSVR, {}), (OneClassSVM, {})):
        one = Other(kernel="precomputed", tol=1e-5, **options).fit(K, y)
        two = Other(kernel=rbf, tol=1e-5, **options).fit(X, y)
        three = Other(gamma=0.5, tol=1e-5, **options).fit(X, y)
        assert_allclose(one.dual_objective_, three.dual_objective_, rtol=1e-4)
        assert_allclose(two.dual_objective_, three.dual_objective_, rtol=1e-4)


def test_kernels_that_are_not_positive_semidefinite_come_to_an_end():
    X, y = blobs(200, spread=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = SVC(10.0, kernel="sigmoid", gamma=1.0, coef0=-1.0, max_iter=20_000).fit(X, y)
        assert np.isfinite(model.decision_function(X)).all()
        model = SVC(10.0, kernel=lambda A, B: -A @ B.T, max_iter=20_000).fit(X, y)
        assert np.isfinite(model.dual_coef_).all()


# ----------------------------------------------------------------- working sets and the cache


@pytest.fixture
def small_sets(monkeypatch):
    """Working sets smaller than the problems of these tests, and rows that are kept."""
    for name, value in (("WHOLE", 0), ("SHARE", 0), ("FIRST", 24), ("LARGEST", 48),
                        ("SHRINK", 1e-3), ("DEAR", 0.0)):
        monkeypatch.setattr(smo, name, value)


ROW = 500 * 4 / 2**20  # MiB of a kernel row of 500 examples, about


@pytest.mark.parametrize("cache", [0, 0.4 * ROW, 1.1 * ROW, 5 * ROW, 60 * ROW, 200])
@pytest.mark.parametrize("kernel", ["rbf", "linear", "precomputed", "callable"])
def test_small_working_sets(small_sets, kernel, cache):
    X, y = blobs(500, classes=2, spread=0.7)
    K = kernel_of("linear" if kernel == "linear" else "rbf", X, X, gamma=0.3)
    given = K if kernel == "precomputed" else X
    called = {"callable": lambda A, B: kernel_of("rbf", A, B, gamma=0.3)}.get(kernel, kernel)
    for shrinking in (True, False):
        model = SVC(3.0, kernel=called, gamma=0.3, cache_size=cache, shrinking=shrinking, tol=1e-4)
        model.fit(given, y)
        check_svc(model, K, y, np.full(500, 3.0), 1e-4)
        history = model.history_
        assert len(history) > 10  # rounds
        assert (history["active"].min() < 500) == shrinking
        assert history["certified"].all() == (not shrinking)
        assert (np.diff(history["dual"][history["certified"]]) >= -1e-6).all()
        if kernel != "linear":
            assert (model.cache_hit_rate_[0] > 0.2) == (cache >= 60 * ROW)


@pytest.mark.parametrize("Model", [NuSVC, SVR, NuSVR, OneClassSVM])
@pytest.mark.parametrize("cache", [0, 3 * ROW, 200])
def test_small_working_sets_of_other_problems(small_sets, monkeypatch, Model, cache):
    X, y = curve(300)
    target = y > 0.5 if Model is NuSVC else y
    some = Model(gamma=0.3, tol=1e-5, cache_size=cache).fit(X, target)
    assert len(some.history_) > 5
    assert some.converged_
    monkeypatch.undo()
    whole = Model(gamma=0.3, tol=1e-5).fit(X, target)
    assert len(whole.history_) <= 3
    assert_allclose(some.dual_objective_, whole.dual_objective_, rtol=1e-5)
    Z = curve(50, 1)[0]
    assert_allclose(some.score_samples(Z) if Model is OneClassSVM else some.predict(Z),
                    whole.score_samples(Z) if Model is OneClassSVM else whole.predict(Z),
                    rtol=1e-2, atol=2e-3)


def test_shrinking_and_restoring_more_than_once(small_sets, monkeypatch):
    X, y = blobs(800, spread=0.5, seed=3)
    K = kernel_of("rbf", X, X, gamma=1.0)
    for groups in (1, 2, 6):
        monkeypatch.setattr(smo, "GROUPS", groups)
        model = SVC(100.0, gamma=1.0, tol=1e-5, cache_size=40 * ROW).fit(X, y)
        check_svc(model, K, y, np.full(800, 100.0), 1e-5, noise=1e-5)
        active = model.history_["active"]
        assert len(np.unique(active[np.flatnonzero(active < 800)])) >= min(groups, 2)
        if groups > 1:
            assert (np.diff(active) > 0).any()  # they came back


def digest(model):
    parts = [model.dual_coef_, model.support_, model.intercept_, model.n_iter_,
             model.duality_gap_, model.dual_objective_]
    return b"".join(np.ascontiguousarray(p).tobytes() for p in parts)


@pytest.mark.parametrize("kernel", ["rbf", "linear", "laplacian"])
@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("cache", [0, 3 * ROW, 30 * ROW, 200])
def test_threads_and_the_cache_do_not_change_bits(request, kernel, small, cache):
    if small:
        request.getfixturevalue("small_sets")
    X, y = blobs(400, classes=4, spread=0.7)
    found = set()
    for jobs in (1, 2, 3, 1):
        model = SVC(2.0, kernel=kernel, gamma=0.3, cache_size=cache, n_jobs=jobs).fit(X, y)
        found.add(digest(model))
    assert len(found) == 1
    two = {digest(SVC(2.0, kernel=kernel, gamma=0.3, cache_size=cache, n_jobs=jobs).fit(X, y < 2))
           for jobs in (1, 2, 3)}
    assert len(two) == 1
    if small:  # with the same working sets, what is kept is no matter
        found.add(digest(SVC(2.0, kernel=kernel, gamma=0.3, cache_size=1.0).fit(X, y)))
        assert len(found) == 1


def test_threads_do_not_change_bits_of_regression(small_sets):
    X, y = curve(700)
    for Model in (SVR, NuSVR):
        assert len({digest(Model(gamma=0.3, n_jobs=jobs).fit(X, y)) for jobs in (1, 2, 3)}) == 1


@pytest.mark.parametrize("small", [False, True])
def test_many_fits_at_once(request, small):
    if small:
        request.getfixturevalue("small_sets")
    X, y = blobs(300, classes=3)

    def fit(C):
        return digest(SVC(C, gamma=0.3, n_jobs=2, cache_size=0.05).fit(X, y))

    alone = [fit(C) for C in (0.1, 1.0, 10.0)]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(fit, [0.1, 1.0, 10.0] * 6)) == alone * 6


# --------------------------------------------------------------------------- starts and stops


def test_warm_start():
    for classes in (2, 3):
        X, y = blobs(400, classes=classes, spread=0.5)
        for small in (1.0, 3.0):  # growing and falling C
            warm = SVC(2.0, gamma=0.3, warm_start=True, tol=1e-4).fit(X, y)
            first = warm.n_iter_.sum()
            warm.fit(X, y)
            assert warm.n_iter_.sum() <= 0.01 * first
            warm.set_params(C=small).fit(X, y)
            cold = SVC(small, gamma=0.3, tol=1e-4).fit(X, y)
            assert warm.n_iter_.sum() < (0.9 if small > 2 else 1.1) * cold.n_iter_.sum()
            assert_allclose(warm.dual_objective_, cold.dual_objective_, rtol=1e-4)
            check_svc(warm, kernel_of("rbf", X, X, gamma=0.3), y, np.full(400, small), 1e-4)
    with pytest.raises(ValueError, match="warm_start needs the rows and classes of the last fit, "
                                         "which had 400 rows and 3 classes; got 10 rows"):
        warm.fit(X[:10], y[:10])


@pytest.mark.parametrize("Model", [SVC, NuSVC, SVR, NuSVR, OneClassSVM])
def test_limits(small_sets, Model):
    X, y = curve(300)
    target = y > 0.5 if Model in (SVC, NuSVC) else y
    for options, text in (({"max_iter": 7}, "stopped after max_iter=7 iterations"),
                          ({"max_time": 1e-9}, "stopped after max_time=1e-09 seconds"),
                          ({"callback": lambda s: s.epoch >= 2}, "as the callback asked")):
        with pytest.warns(ConvergenceWarning, match=text):
            model = Model(gamma=0.3, tol=1e-8, **options).fit(X, target)
        assert model.converged_ is False
        assert model.fit_status_ == 1
        assert np.isfinite(model.predict(X).astype(float)).all()
        assert np.isfinite(model.dual_objective_).all()
        assert (model.duality_gap_ > 1e-8).all()
        if "max_iter" in options:
            assert model.n_iter_.tolist() == [7]


def test_a_limit_leaves_a_certified_state(small_sets):
    X, y = blobs(300, spread=0.5)
    K = kernel_of("rbf", X, X, gamma=0.3)
    for most in (1, 10, 100, 400):
        with pytest.warns(ConvergenceWarning, match=f"max_iter={most} iterations"):
            model = SVC(3.0, gamma=0.3, tol=1e-6, max_iter=most).fit(X, y)
        b, sign = problems(model, y)[0][2], 2.0 * y - 1
        f = K @ b
        dual = np.abs(b).sum() - b @ f / 2
        primal = b @ f / 2 + 3 * np.maximum(0, 1 - sign * (f + model.intercept_[0])).sum()
        assert_allclose(model.dual_objective_[0], dual, rtol=1e-6)
        assert_allclose(model.duality_gap_[0], relative(primal, dual), rtol=1e-4)
        assert not model.converged_
        for c in model.intercept_[0] + np.array([-0.1, -0.01, -1e-4, 1e-4, 0.01, 0.1]):
            assert primal <= b @ f / 2 + 3 * np.maximum(0, 1 - sign * (f + c)).sum() + 1e-4


def test_history():
    X, y = blobs(2500, spread=0.5)
    seen = []
    model = SVC(gamma=0.3, callback=seen.append).fit(X, y)
    history = model.history_
    assert history.tolist() == [tuple(s) for s in seen]
    assert len(history) > 2
    true = history["dual"][history["certified"]]  # others leave rows out
    assert len(true) > 2
    assert (np.diff(true) >= -1e-9 * true[-1]).all()
    assert (np.diff(history["seconds"]) >= 0).all()
    assert history["certified"][-1]
    assert_allclose(history["dual"][-1], model.dual_objective_[0], rtol=1e-9)
    assert history["gap"][-1] >= model.duality_gap_[0]
    seen.clear()
    several = SVC(gamma=0.3, callback=seen.append).fit(X, np.arange(len(X)) % 3)
    assert len(several.history_) == 0
    assert [s.epoch for s in seen] == [1, 2, 3]
    assert_allclose(seen[-1].dual, several.dual_objective_.sum())


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("at", [1, 2, 3, 6])
def test_interrupts_from_the_callback(small_sets, classes, at):
    X, y = blobs(300, classes=classes, spread=0.5)
    calls = []

    def callback(state):
        calls.append(state)
        if len(calls) == at:
            raise KeyboardInterrupt

    model = SVC(3.0, gamma=0.3, tol=1e-4, callback=callback)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.converged_ is False
    K = kernel_of("rbf", X, X, gamma=0.3)
    for k, (rows, sign, b) in enumerate(problems(model, y)):
        f = K[np.ix_(rows, rows)] @ b
        dual = np.abs(b).sum() - b @ f / 2
        slack = np.maximum(0, 1 - sign * (f + model.intercept_[k]))
        assert_allclose(model.dual_objective_[k], dual, rtol=1e-5, atol=1e-9)
        assert_allclose(model.duality_gap_[k], relative(b @ f / 2 + 3 * slack.sum(), dual),
                        rtol=1e-3, atol=SINGLE)
    assert np.isin(model.predict(X), y).all()


@pytest.mark.parametrize("cache", [0, 200])
def test_interrupts_within_a_kernel(small_sets, cache):
    # Wherever they come, duals, gradients and the cache must still belong together.
    X, y = blobs(300, spread=0.5)
    K = kernel_of("rbf", X, X, gamma=0.3)
    calls = [0, 0]

    def kernel(A, B):
        calls[0] += 1
        if calls[0] == calls[1]:
            raise KeyboardInterrupt
        return kernel_of("rbf", A, B, gamma=0.3)

    SVC(3.0, kernel=kernel, cache_size=cache, tol=1e-4).fit(X, y)
    assert calls[0] > 20
    for at in range(1, calls[0] + 1, max(1, calls[0] // 40)):
        calls[:] = [0, at]
        model = SVC(3.0, kernel=kernel, cache_size=cache, tol=1e-4)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
        b, sign = problems(model, y)[0][2], 2.0 * y - 1
        f = K @ b
        dual = np.abs(b).sum() - b @ f / 2
        primal = b @ f / 2 + 3 * np.maximum(0, 1 - sign * (f + model.intercept_[0])).sum()
        assert_allclose(model.dual_objective_[0], dual, rtol=1e-5)
        assert_allclose(model.duality_gap_[0], relative(primal, dual), rtol=1e-3, atol=SINGLE)


def test_errors_of_kernels_come_through(small_sets):
    X, y = blobs(100, classes=3)

    def broken(A, B):
        raise ZeroDivisionError("mine")

    for target in (y, y == 0):
        with pytest.raises(ZeroDivisionError, match="mine"):
            SVC(kernel=broken).fit(X, target)
        with pytest.raises(ValueError, match="the kernel returned shape"):
            SVC(kernel=lambda A, B: np.ones((1, 1))).fit(X, target)
        with pytest.raises(ValueError, match="NaN or infinity"):
            SVC(kernel=lambda A, B: np.full((A.shape[0], B.shape[0]), np.nan)).fit(X, target)
    with pytest.raises(ZeroDivisionError, match="mine"):
        SVC(callback=lambda s: broken(0, 0)).fit(X, y)


def test_an_interrupt_before_the_first_round(monkeypatch):
    """While kernels within classes are computed: a model of no support vectors is left."""
    share = smo._Run._share

    def interrupted(*args):
        signal.raise_signal(signal.SIGINT)
        share(*args)

    monkeypatch.setattr(smo._Run, "_share", interrupted)
    X, y = blobs(300, classes=5)
    model = SVC()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.dual_coef_.shape == (4, 0)
    assert model.predict(X).shape == (300,)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads here")
@pytest.mark.parametrize("classes", [2, 6])
def test_ctrl_c(classes):
    X, y = blobs(6000, d=20, classes=classes, spread=0.2)
    started = threading.Event()

    def callback(state):
        started.set()

    def interrupt():
        started.wait(20)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    model = SVC(100.0, gamma=0.05, tol=1e-8, callback=callback)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    thread.join()
    assert model.converged_ is False
    assert np.isfinite(model.decision_function(X[:100])).all()


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads here")
def test_ctrl_c_takes_effect_within_a_fifth_of_a_second():
    """Of CPU time, least of two attempts: gradients that are behind would take a second."""
    X, y = blobs(20_000, d=100, classes=2, spread=0.1)
    spent = []
    for pause in (1.0, 1.5):
        sent = []

        def interrupt(pause=pause, sent=sent):
            time.sleep(pause)
            sent.append(time.process_time())
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        model = SVC(100.0, gamma=0.01, tol=1e-8, n_jobs=1)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
        spent.append(time.process_time() - sent[0])
        thread.join()
        assert np.isfinite(model.decision_function(X[:100])).all()
    assert min(spent) < 0.2


# -------------------------------------------------------------------------------- hard margin


def test_hard_margin_of_two_rows():
    X, y = np.array([[1.0, 2.0], [4.0, 6.0]]), np.array([0, 1])
    model = SVC(np.inf, kernel="linear", tol=1e-9).fit(X, y)
    w = 2 * (X[1] - X[0]) / 25
    assert_allclose(model.coef_, [w])
    assert_allclose(model.intercept_, [-(X.sum(axis=0) @ w) / 2])
    assert_allclose(model.margin_width_, [5.0])
    assert_allclose(model.dual_coef_, [[-2 / 25, 2 / 25]])
    assert_array_equal(model.support_kind_, [[1, 1]])
    assert_allclose(model.dual_objective_, [2 / 25])


def test_hard_margin_of_xor():
    # With rbf all four duals are the same: alpha = 1 / (1 - e^-2g)^... from f_i = 1 at every row.
    X, y = np.array([[0.0, 0], [1, 1], [0, 1], [1, 0]]), np.array([1, 1, 0, 0])
    model = SVC(np.inf, gamma=1.0, tol=1e-7).fit(X, y)
    alpha = 1 / (1 + np.exp(-2.0) - 2 * np.exp(-1.0))
    assert_allclose(np.abs(model.dual_coef_), np.full((1, 4), alpha), rtol=1e-5)
    assert_allclose(model.intercept_, [0.0], atol=1e-6)
    assert_allclose(model.decision_function(X), 2.0 * y - 1, rtol=1e-6)
    assert_array_equal(model.predict(X), y)


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_hard_margin_is_the_limit_of_large_C(request, small, classes):
    if small:
        request.getfixturevalue("small_sets")
    X, y = blobs(200, d=8, classes=classes, spread=3.0)
    for kernel, C in (("rbf", 1e4), ("linear", 10.0), ("poly", 1e-2)):
        hard = SVC(np.inf, kernel=kernel, gamma=0.1, tol=1e-5).fit(X, y)
        soft = SVC(C, kernel=kernel, gamma=0.1, tol=1e-5).fit(X, y)
        assert_allclose(hard.dual_objective_, soft.dual_objective_, rtol=1e-3)
        assert_array_equal(hard.predict(X), y)
        assert (hard.support_kind_ < 2).all()
        K = kernel_of(kernel, X, X, gamma=0.1)
        for k, (rows, sign, b) in enumerate(problems(hard, y)):
            f = K[np.ix_(rows, rows)] @ b + hard.intercept_[k]
            assert (sign * f).min() >= 1 - 1e-3


def check_proof(error, K, sign):
    weights = error.weights
    assert weights.shape == sign.shape
    assert weights.min() >= 0
    assert_allclose([weights[sign > 0].sum(), weights[sign < 0].sum()], [1, 1], rtol=1e-6)
    b = weights * sign
    assert b @ K @ b <= 1e-10 * np.diag(K).max()
    assert error.distance <= 1e-5 * np.sqrt(np.diag(K).max())


@pytest.mark.parametrize("kernel", ["rbf", "linear", "precomputed"])
def test_equal_rows_of_two_classes_are_not_separable(kernel):
    X, y = blobs(40, spread=20.0)
    X, y = np.vstack([X, X[3]]), np.append(y, 1 - y[3])
    K = kernel_of("linear" if kernel == "linear" else "rbf", X, X, gamma=0.1)
    with pytest.raises(NotSeparableError, match=r"C=inf.*Use a finite C, or another kernel") as got:
        SVC(np.inf, kernel=kernel, gamma=0.1).fit(K if kernel == "precomputed" else X, y)
    check_proof(got.value, K, 2.0 * y - 1)
    assert_allclose(got.value.weights[[3, 40]], 1, rtol=1e-5)
    # A weight of 0 leaves the row out, and the others can be separated.
    model = SVC(np.inf, kernel=kernel, gamma=0.1)
    model.fit(K if kernel == "precomputed" else X, y, sample_weight=np.arange(41) < 40)
    assert model.converged_
    assert 40 not in model.support_


def test_inseparable_for_a_line():
    X = np.array([[0.0], [1.0], [2.0], [3.0]])
    y = np.array([0, 1, 0, 1])
    for given in (X, csr_array(X)):
        with pytest.raises(NotSeparableError) as got:
            SVC(np.inf, kernel="linear").fit(given, y)
        check_proof(got.value, X @ X.T, 2.0 * y - 1)
    assert SVC(np.inf, kernel="poly", degree=3, gamma=1.0, coef0=1.0).fit(X, y).converged_


def test_proofs_with_several_classes():
    X, y = blobs(60, classes=3, spread=20.0)
    X, y = np.vstack([X, X[4]]), np.append(y, 2)  # row 4 is of class 1
    with pytest.raises(NotSeparableError) as got:
        SVC(np.inf, kernel="linear").fit(X, y)
    check_proof(got.value, X @ X.T, np.where(y == 1, 1.0, np.where(y == 2, -1.0, 0.0)))


# -------------------------------------------------------------------------------- hard inputs


@pytest.mark.parametrize("name", CONVEX)
def test_duplicates_and_constants(name):
    X, y = blobs(20)
    X = np.vstack([X] * 6)
    X = np.c_[X, np.full(len(X), 3.0), np.zeros(len(X))]
    y = np.concatenate([y] * 5 + [1 - y])  # some of them of both labels
    model = SVC(2.0, kernel=name, tol=1e-4, **KERNELS[name]).fit(X, y)
    check_svc(model, kernel_of(name, X, X, **KERNELS[name]), y, np.full(len(y), 2.0), 1e-4)


def test_equal_rows_only():
    X, y = np.ones((10, 3)), np.arange(10) % 2
    model = SVC().fit(X, y)
    assert model.converged_
    assert model.duality_gap_[0] <= 1e-3
    assert np.unique(model.decision_function(X)).size == 1
    model = SVC().fit(np.zeros((5, 2)), [0, 1, 1, 1, 1])
    assert_array_equal(model.predict(np.zeros((2, 2))), [1, 1])
    for Model in (SVR, NuSVR):
        model = Model().fit(X, np.arange(10.0))
        assert model.converged_
        assert 3.9 <= model.predict(X[:1])[0] <= 5.1  # between the rows' middle ones
    assert OneClassSVM().fit(X).converged_
    assert SVR().fit(X, np.full(10, 7.0)).predict(X).tolist() == [7.0] * 10


def test_two_rows():
    X = np.array([[0.0], [2.0]])
    for C, alpha in ((10.0, 0.5), (0.1, 0.1)):
        model = SVC(C, kernel="linear", tol=1e-9).fit(X, [0, 1])
        assert_allclose(model.dual_coef_, [[-alpha, alpha]], rtol=1e-9)
        assert_allclose(model.coef_, [[2 * alpha]], rtol=1e-9)
    assert_allclose(SVC(10.0, kernel="linear", tol=1e-9).fit(X, [0, 1]).intercept_, [-1.0])
    assert_allclose(SVR(C=100.0, epsilon=0.0, kernel="linear", tol=1e-9).fit(X, [1, 5]).predict(
        [[1.0]]), [3.0], rtol=1e-6)
    assert_allclose(OneClassSVM(nu=1.0, kernel="linear").fit(X).dual_coef_, [[1.0, 1.0]])
    assert NuSVC(nu=0.5).fit(X, [0, 1]).predict(X).tolist() == [0, 1]
    assert NuSVR().fit(X, [0.0, 1.0]).converged_
    assert SVR().fit([[1.0]], [3.0]).predict([[2.0]]).tolist() == [3.0]


def test_a_single_feature():
    x = np.linspace(0, 1, 60)[:, None]
    y = (np.abs(x[:, 0] - 0.5) < 0.2).astype(int)
    model = SVC(100.0, gamma=10.0, tol=1e-5).fit(x, y)
    check_svc(model, kernel_of("rbf", x, x, gamma=10.0), y, np.full(60, 100.0), 1e-5)
    assert model.score(x, y) == 1


def test_zero_rows_and_unsorted_indices():
    X, y = blobs(80, d=6)
    X[::5] = 0
    X[X < 1] = 0
    S = csr_matrix(X)
    for i in range(S.shape[0]):
        part = slice(S.indptr[i], S.indptr[i + 1])
        S.indices[part] = S.indices[part][::-1].copy()
        S.data[part] = S.data[part][::-1].copy()
    S.has_sorted_indices = False
    wide = S.copy()
    wide.indices, wide.indptr = S.indices.astype(np.int64), S.indptr.astype(np.int64)
    for name in CONVEX:
        K = kernel_of(name, X, X, **KERNELS[name])
        for given in (S, wide, S.astype(np.float32)):
            model = SVC(2.0, kernel=name, tol=1e-4, **KERNELS[name]).fit(given, y)
            check_svc(model, K, y, np.full(80, 2.0), 1e-4, noise=1e-5)
            b = problems(model, y)[0][2]
            assert_allclose(model.decision_function(given), K @ b + model.intercept_[0], rtol=1e-5,
                            atol=1e-5)


def test_wide_sparse_rows():
    rng = np.random.default_rng(0)
    X = (rng.random((150, 3000)) < 0.01) * rng.uniform(0.5, 2, (150, 3000))
    y = (X @ rng.standard_normal(3000) > 0).astype(int)
    for name in CONVEX:
        model = SVC(2.0, kernel=name, tol=1e-4, **KERNELS[name]).fit(csr_array(X), y)
        check_svc(model, kernel_of(name, X, X, **KERNELS[name]), y, np.full(150, 2.0), 1e-4,
                  noise=1e-5)


@pytest.mark.parametrize("offset", [10.0, 1e3, 1e6])
def test_large_offsets(offset):
    X, y = blobs(300, spread=0.7)
    near = (X + offset) - offset  # what of the features is left
    for name in ("rbf", "laplacian"):
        model = SVC(3.0, kernel=name, gamma=0.3, tol=1e-4).fit(X + offset, y)
        check_svc(model, kernel_of(name, near, near, gamma=0.3), y, np.full(300, 3.0), 1e-4)
        other = SVC(3.0, kernel=name, gamma=0.3, tol=1e-4).fit(near, y)
        assert_allclose(model.dual_objective_, other.dual_objective_, rtol=1e-4)
        assert np.mean(model.predict(X + offset) == other.predict(near)) > 0.99
    if offset < 1e6:  # where w.x has digits left
        model = SVC(3.0, kernel="linear", tol=1e-4).fit(X + offset, y)
        check_svc(model, (X + offset) @ (X + offset).T, y, np.full(300, 3.0), 1e-4)
        one = OneClassSVM(kernel="linear", tol=1e-4).fit(X + offset)
        assert one.converged_


def test_linear_kernel_of_features_that_cannot_be_centred():
    # A gap of gradients from the block in single precision would be 4e-6, and not true.
    X, y = blobs(300, spread=0.7)
    for offset in (10.0, 300.0):
        far = X + offset
        model = SVC(3.0, kernel="linear", tol=1e-3).fit(csr_array(far), y)
        check_svc(model, far @ far.T, y, np.full(300, 3.0), 1e-3)


def test_large_gamma_and_scales():
    X, y = blobs(100)
    for name in ("rbf", "laplacian"):
        model = SVC(10.0, kernel=name, gamma=1e6).fit(X, y)
        check_svc(model, np.eye(100), y, np.full(100, 10.0), 1e-3)
        assert_array_equal(model.predict(X), y)
        check_svc(SVC(10.0, kernel=name, gamma=0.0).fit(X, y), np.ones((100, 100)), y,
                  np.full(100, 10.0), 1e-3)
    scales = np.array([1e-6, 1.0, 1e3, 1e4])
    for gamma in (1e-8, 1e-4, "scale"):
        model = SVC(10.0, gamma=gamma, tol=1e-4).fit(X * scales, y)
        check_svc(model, kernel_of("rbf", X * scales, X * scales, gamma=model.gamma_), y,
                  np.full(100, 10.0), 1e-4)


@pytest.mark.parametrize("C", [1e-6, 1e6])
def test_extreme_costs(C):
    X, y = blobs(100, spread=2.0)
    model = SVC(C, gamma=0.5, tol=1e-4).fit(X, y)
    check_svc(model, kernel_of("rbf", X, X, gamma=0.5), y, np.full(100, C), 1e-4, noise=1e-5)


def test_large_values_of_kernels():
    X, y = blobs(classes=4)
    options = {"gamma": 0.3, "coef0": 0.7}
    model = SVC(0.7, kernel="poly", tol=1e-3, **options).fit(X, y)
    check_svc(model, kernel_of("poly", X, X, **options), y, np.full(len(y), 0.7), 1e-3)


def test_nu_svc_of_classes_that_do_not_come_apart():
    X, y = blobs(30)
    assert NuSVC(nu=0.3, kernel="linear").fit(X, y).converged_


# ------------------------------------------------------------------------------- scikit-learn


@pytest.mark.parametrize("kernel", ["rbf", "poly", "linear"])
def test_the_objective_is_that_of_libsvm(kernel):
    svm = pytest.importorskip("sklearn.svm")
    X, y = blobs(400, spread=0.7)
    options = {"kernel": kernel, "gamma": 0.03, "coef0": 1.0, "C": 2.0}
    ours, theirs = SVC(tol=1e-6, **options).fit(X, y), svm.SVC(tol=1e-6, **options).fit(X, y)
    b = np.zeros(400)
    b[theirs.support_] = theirs.dual_coef_[0]
    K = kernel_of(kernel, X, X, gamma=0.03, coef0=1.0)
    assert_allclose(ours.dual_objective_[0], np.abs(b).sum() - b @ K @ b / 2, rtol=1e-6)
    apart = np.abs(ours.decision_function(X) - theirs.decision_function(X))
    assert apart.max() <= 2e-3


DATA = Path(os.environ.get("HINGEX_DATA", ""))


@pytest.mark.skipif("HINGEX_DATA" not in os.environ, reason="HINGEX_DATA names no data folder")
@pytest.mark.parametrize(("name", "n", "gamma"), [
    ("svmguide1", 1500, 0.001), ("splice", 700, 0.01), ("satimage", 900, 1.0),
    ("mushrooms", 800, 0.02),
])
def test_real_data(name, n, gamma):
    svm = pytest.importorskip("sklearn.svm")
    path = DATA / name / "train.npz"
    if not path.exists():
        pytest.skip(f"no {name} there")
    z = np.load(path)
    X = csr_matrix((z["data"], z["indices"], z["indptr"]), shape=tuple(z["shape"]))
    order = np.random.default_rng(0).permutation(X.shape[0])
    X, y, Z = X[order[:n]], z["y"][order[:n]], X[order[n:n + 500]]
    dense = X.toarray().astype(np.float64)
    theirs = svm.SVC(C=2.0, gamma=gamma, tol=1e-6).fit(dense, y)
    K = kernel_of("rbf", X, X, gamma=gamma)
    for given in (X, dense):
        ours = SVC(2.0, gamma=gamma, tol=1e-6).fit(given, y)
        for k, ((rows, sign, b), (_, _, other)) in enumerate(
                zip(problems(ours, y), problems(theirs, y), strict=True)):
            G = K[np.ix_(rows, rows)]
            best = np.abs(other).sum() - other @ G @ other / 2
            assert_allclose(np.abs(b).sum() - b @ G @ b / 2, best, rtol=1e-6)
            assert_allclose(ours.dual_objective_[k], best, rtol=1e-6)
            assert (sign * b >= 0).all()
        scores = theirs.decision_function(Z.toarray().astype(np.float64))
        sure = np.sort(np.abs(scores.reshape(len(scores), -1)), axis=1)[:, 0] > 1e-3
        rows = Z if given is X else Z.toarray()
        assert_array_equal(ours.predict(rows)[sure], theirs.predict(Z.toarray())[sure])
        assert_allclose(ours.decision_function(rows), scores, atol=5e-3)
    loose = SVC(2.0, gamma=gamma).fit(X, y)
    check_svc(loose, K, y, np.full(n, 2.0), 1e-3, noise=5e-6)


def test_names():
    assert {"SVC", "SVR", "NuSVC", "NuSVR", "OneClassSVM"} <= set(dir(hingex))


@pytest.mark.parametrize("C", [3e-5, 7e-6])
@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_a_warm_start_has_the_intercept_of_a_cold_one(kernel, C):
    """All duals are at C; rounding of their sum must not leave one short of it."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 200)
    X = rng.normal(size=(400, 5)) + y[:, None]
    options = {"kernel": kernel, "gamma": 0.2}
    for before in (5.0, 0.7):
        model = SVC(before, warm_start=True, **options).fit(X, y)
        model.set_params(C=C).fit(X, y)
        assert (model.support_kind_ == 2).all()
        # With all duals at C, the weights are C times the difference of sums, and the best
        # intercepts are between the scores of both classes.
        K = kernel_of(kernel, X, X, **({} if kernel == "linear" else {"gamma": 0.2}))
        f = np.where(y == 1, 1, -1) - C * (K @ np.where(y == 1, 1, -1))
        best = f[y == 1].min() / 2 + f[y == 0].max() / 2
        assert_allclose(model.intercept_, best, atol=1e-5)
        cold = SVC(C, **options).fit(X, y)
        assert_allclose(model.intercept_, cold.intercept_, atol=1e-6)


@pytest.mark.parametrize(("kernel", "C"), [("linear", 0.1), ("linear", 10.0), ("linear", 1e4),
                                           ("rbf", 0.1)])
def test_epsilon_of_nu_is_not_negative(kernel, C):
    """With nu = 1 any epsilon up to the least error is best; that of rounding is no number below 0.

    Objectives are those of the epsilon, weights and intercept that there are.
    """
    closed, close = [], _svr._close
    for seed in range(6):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(20, 3))
        for y in (X @ [1.0, 2.0, 3.0], X[:, 0] + 0.1 * rng.normal(size=20), np.round(X[:, 0])):
            model = NuSVR(kernel=kernel, nu=1.0, C=C, gamma=0.5)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(_svr, "_close", lambda *a: (closed.append(1), close(*a)))
                model.fit(X, y)
            assert model.epsilon_ >= 0
            b = np.zeros(20)
            b[model.support_] = model.dual_coef_[0]
            K = kernel_of(kernel, X, X, **({} if kernel == "linear" else {"gamma": 0.5}))
            errors = np.abs(y - model.predict(X))
            primal = b @ K @ b / 2 + C * (
                20 * model.epsilon_ + np.maximum(0, errors - model.epsilon_).sum())
            assert_allclose(model.primal_objective_[0], primal, rtol=1e-6)
            # Least absolute errors: the same problem with epsilon = 0.
            same = SVR(kernel=kernel, C=C, gamma=0.5, epsilon=0.0, tol=1e-6).fit(X, y)
            assert_allclose(primal, same.primal_objective_[0], rtol=2e-3)
    assert closed


def test_a_negative_epsilon_is_closed_at_no_cost():
    """Both intercepts become their mean; the gap is that of these, found by its definition."""
    rng = np.random.default_rng(0)
    n, C = 30, 2.0
    y, Kb = rng.normal(size=n), rng.normal(size=n)
    none = np.zeros(n)
    alpha = rng.uniform(0, C, 2 * n) * (rng.random(2 * n) < 0.5)
    problem = smo.Problem(
        np.arange(n), np.r_[y, y], np.r_[none, none - C], np.r_[none + C, none], np.zeros(2 * n),
        np.repeat(np.array([0, 1], dtype=np.uint8), n))
    b, f, c = np.r_[alpha[:n], -alpha[n:]], np.r_[y, y] - np.r_[Kb, Kb], (0.1, 0.3)

    def gap(c):
        x = f - np.repeat(c, n)
        return np.maximum((problem.hi - b) * x, (problem.lo - b) * x).sum()

    solution = smo.Solution(b, c, gap=gap(c), residual=f - np.repeat(c, n))
    _svr._close(solution, problem)
    assert_allclose(solution.intercept, 0.2)
    assert_allclose(solution.gap, gap(solution.intercept), rtol=1e-12)
