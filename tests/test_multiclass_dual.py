# SPDX-License-Identifier: BSD-3-Clause
"""Joint multiclass SVMs against independent optima, and their certificates against NumPy."""

import itertools
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import LinearConstraint, minimize
from scipy.sparse import csr_array, random_array

from hingex import LinearSVC, _validate
from hingex._core import kernels
from hingex.losses import CrammerSinger, LeeLinWahba, WestonWatkins
from hingex.solvers import multiclass_dual
from hingex.stop import Monitor

SCHEMES = ("crammer_singer", "weston_watkins", "lee_lin_wahba")
LOSSES = ("hinge", "squared_hinge")
INTERCEPTS = ("none", "regularized", "unregularized")
SETTINGS = settings(max_examples=100, deadline=None, derandomize=True,
                    suppress_health_check=list(HealthCheck))
ALL = list(itertools.product(SCHEMES, LOSSES, INTERCEPTS))


def solve(X, y, *, scheme="crammer_singer", loss="hinge", C=1.0, sample_weight=None,
          class_weight=None, intercept="unregularized", scaling=1.0, tol=1e-8, max_iter=5000,
          max_time=None, seed=0, start=None, callback=None):
    rows = _validate.as_rows(X)
    classes, codes = _validate.encode_labels(y, rows.n)
    cost = _validate.row_weights(C, class_weight, sample_weight, classes, codes, rows.n)
    return multiclass_dual.solve(
        rows, codes, len(classes), scheme=scheme, loss=loss, C=C, cost=cost, intercept=intercept,
        scaling=scaling, tol=tol, max_iter=max_iter, max_time=max_time, threads=1, seed=seed,
        monitor=Monitor(callback), start=start)


def blobs(n=60, d=4, K=4, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % K
    X = spread * rng.normal(size=(K, d))[y] + rng.normal(size=(n, d))
    return X, y


def text(n=300, d=200, K=6, seed=0):
    rng = np.random.default_rng(seed)
    X = csr_array(random_array((n, d), density=0.05, rng=rng, format="csr", dtype=np.float64))
    W = rng.normal(size=(d, K))
    y = (X @ W + 0.1 * rng.normal(size=(n, K))).argmax(axis=1)
    y[:K] = np.arange(K)
    return X, y


def gradients(S, codes, scheme):
    """Margin violations (n, K), -inf for the own class."""
    n, K = S.shape
    own = S[np.arange(n), codes][:, None]
    g = S + 1 / (K - 1) if scheme == "lee_lin_wahba" else 1 + S - own
    g[np.arange(n), codes] = -np.inf
    return g


def losses(S, codes, scheme, loss):
    u = np.maximum(gradients(S, codes, scheme), 0)
    if loss == "squared_hinge":
        u = u**2
    return u.max(axis=1) if scheme == "crammer_singer" else u.sum(axis=1)


def objective(X, codes, C, W, b, scheme, loss, intercept, scaling=1.0):
    own = 0.5 * (b @ b) / scaling**2 if intercept == "regularized" else 0
    return 0.5 * (W * W).sum() + own + (C * losses(X @ W.T + b, codes, scheme, loss)).sum()


def coefs(a, codes, scheme):
    A = -a
    if scheme == "lee_lin_wahba":
        return A + a.sum(axis=1, keepdims=True) / a.shape[1]
    A[np.arange(len(codes)), codes] = a.sum(axis=1)
    return A


def dual_value(X, codes, C, a, scheme, loss, intercept, scaling=1.0):
    K = a.shape[1]
    A = coefs(a, codes, scheme)
    W, s = A.T @ X, A.sum(axis=0)
    value = a.sum() / (K - 1 if scheme == "lee_lin_wahba" else 1) - 0.5 * (W * W).sum()
    if loss == "squared_hinge":
        used = C > 0
        squares = a.sum(axis=1) ** 2 if scheme == "crammer_singer" else (a * a).sum(axis=1)
        value -= (squares[used] / C[used]).sum() / 4
    if intercept == "regularized":
        value -= 0.5 * scaling**2 * (s @ s)
    return value


def full(coef, b):
    """Weights of all classes, also of two."""
    if len(coef) == 1:
        return np.vstack([-coef / 2, coef / 2]), np.array([-b[0] / 2, b[0] / 2])
    return coef, b


def verify(fit, X, y, *, scheme, loss, intercept, C=1.0, scaling=1.0, tol=1e-8):
    """Recompute the whole certificate; C is a number or one per row."""
    X = (X.toarray() if hasattr(X, "toarray") else np.asarray(X)).astype(np.float64)
    codes = np.unique(y, return_inverse=True)[1]
    C = np.broadcast_to(np.asarray(C, dtype=float), (len(X),))
    a = fit.dual
    K = a.shape[1]
    W, b = full(fit.coef, fit.intercept)
    assert (a >= 0).all()
    assert (a[np.arange(len(X)), codes] == 0).all()
    if loss == "hinge" and scheme == "crammer_singer":
        assert (a.sum(axis=1) <= C * (1 + 1e-12)).all()
    elif loss == "hinge":
        assert (a <= C[:, None]).all()
    else:
        assert (a[C == 0] == 0).all()
    A = coefs(a, codes, scheme)
    scale = max(1.0, a.sum()) * max(1.0, np.abs(X).max())
    assert_allclose(W, A.T @ X, rtol=0, atol=1e-12 * scale)
    if intercept == "unregularized":
        assert_allclose(A.sum(axis=0), 0, atol=1e-11 * max(1.0, a.sum()))
    P = objective(X, codes, C, W, b, scheme, loss, intercept, scaling)
    D = dual_value(X, codes, C, a, scheme, loss, intercept, scaling)
    assert fit.primal.shape == fit.dual_objective.shape == fit.gap.shape == (1,)
    assert_allclose(fit.primal[0], P, rtol=1e-11)
    assert_allclose(fit.dual_objective[0], D, rtol=1e-10, atol=1e-12 * max(P, a.sum()))
    assert fit.gap[0] <= tol
    assert max(P - D - 1e-11 * max(P, a.sum()), 0) <= tol * P * (1 + 1e-6)
    if scheme == "lee_lin_wahba" and K > 2:
        assert np.abs(W.sum(axis=0)).max() <= 1e-12 * max(1.0, np.abs(W).max())
        assert abs(b.sum()) <= 1e-12 * max(1.0, np.abs(b).max())
    return P


def reference(X, y, *, scheme, loss, intercept, C=1.0, scaling=1.0):
    """Optimum of the primal with slacks, as a smooth program in all of W, b and slacks."""
    X = np.asarray(X, dtype=np.float64)
    codes = np.unique(y, return_inverse=True)[1]
    n, d = X.shape
    K = codes.max() + 1
    C = np.broadcast_to(np.asarray(C, dtype=float), (n,))
    free = 0 if intercept == "none" else K
    one = scheme == "crammer_singer"
    slacks = n if one else n * K
    size = K * d + free + slacks
    curvature = np.zeros(size)
    curvature[: K * d] = 1
    if intercept == "regularized":
        curvature[K * d : K * d + K] = 1 / scaling**2
    costs = C if one else np.repeat(C, K)
    linear, square = (costs, 0 * costs) if loss == "hinge" else (0 * costs, costs)
    G, low = [], []
    for i in range(n):
        for m in range(K):
            if m == codes[i]:
                continue
            row = np.zeros(size)
            row[m * d : (m + 1) * d] = -X[i]
            if free:
                row[K * d + m] = -1
            if scheme != "lee_lin_wahba":
                row[codes[i] * d : (codes[i] + 1) * d] = X[i]
                if free:
                    row[K * d + codes[i]] = 1
            row[K * d + free + (i if one else i * K + m)] = 1
            G.append(row)
            low.append(1 / (K - 1) if scheme == "lee_lin_wahba" else 1)
    constraints = [LinearConstraint(np.array(G), low, np.inf)]
    if scheme == "lee_lin_wahba":
        E = np.zeros((d + bool(free), size))
        for k in range(K):
            E[np.arange(d), k * d + np.arange(d)] = 1
            if free:
                E[d, K * d + k] = 1
        constraints.append(LinearConstraint(E, 0, 0))
    positive = np.zeros(size)
    positive[: K * d + free] = -np.inf

    def value(z):
        u = z[K * d + free :]
        return 0.5 * (curvature * z * z).sum() + linear @ u + square @ (u * u)

    def slope(z):
        u = z[K * d + free :]
        return curvature * z + np.concatenate([np.zeros(K * d + free), linear + 2 * square * u])

    z = np.zeros(size)
    z[K * d + free :] = 1
    result = minimize(value, z, jac=slope, constraints=constraints,
                      bounds=list(zip(positive, [None] * size, strict=True)), method="SLSQP",
                      options={"maxiter": 1000, "ftol": 1e-13})
    W = result.x[: K * d].reshape(K, d)
    b = result.x[K * d : K * d + K] if free else np.zeros(K)
    if scheme == "lee_lin_wahba":
        W, b = W - W.mean(axis=0), b - b.mean()
    return objective(X, codes, C, W, b, scheme, loss, intercept, scaling)


@pytest.mark.parametrize(("scheme", "loss", "intercept"), ALL)
def test_optimum(scheme, loss, intercept):
    X, y = blobs(18, 3, 3, seed=1)
    C = 0.3 + np.arange(18) % 5 / 4
    case = {"scheme": scheme, "loss": loss, "intercept": intercept, "scaling": 2.0}
    fit = solve(X, y, sample_weight=C, **case)
    P = verify(fit, X, y, C=C, **case)
    best = reference(X, y, C=C, **case)
    assert best >= P * (1 - 2e-8)
    assert_allclose(P, best, rtol=1e-6)


@pytest.mark.parametrize(("scheme", "loss", "intercept"), ALL)
@pytest.mark.parametrize("C", [1e-3, 1.0, 30.0])
def test_certificate(scheme, loss, intercept, C):
    case = {"scheme": scheme, "loss": loss, "intercept": intercept, "C": C, "tol": 1e-5}
    X, y = text()
    verify(solve(X, y, **case), X, y, **case)
    X, y = blobs(100, 6, 5, spread=1.5)
    verify(solve(X, y, **case), X, y, **case)


@pytest.mark.parametrize(("scheme", "loss", "intercept"), ALL)
def test_more_rows_than_features_and_large_costs(scheme, loss, intercept):
    """Where sweeps alone would take tens of thousands of epochs."""
    X, y = blobs(120, 5, 5)
    case = {"scheme": scheme, "loss": loss, "intercept": intercept, "C": 100.0, "tol": 1e-6}
    verify(solve(X, y, max_iter=3000, **case), X, y, **case)


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize(("scheme", "loss"), list(itertools.product(SCHEMES, LOSSES)))
def test_momentum_keeps_weights_and_sums_with_the_duals(scheme, loss, single):
    X, y = text(n=600)
    n, K, C = len(y), 6, 5.0
    rows = _validate.as_rows(X)
    sqnorm = np.empty(n, np.float32)
    rows.sq_norms(sqnorm)
    a, W = np.zeros((n, K)), np.zeros((X.shape[1], 8))
    kernel = kernels("multiclass_dual")
    dual = kernel.MulticlassDual(
        rows, y.astype(np.int32), sqnorm, None, C, kernel.SCHEME_CODES[scheme],
        loss == "squared_hinge", a, W, 0.0, 0.05, 0, np.inf)
    dual.momentum = 0.75
    for epoch in range(40):
        # Some duals of rows at rest change in between, as a certificate does it.
        if epoch == 25:
            dual.certify(None, np.empty(K + 2))
        dual.advance(single, False, True, 0.5)
        if loss == "hinge":
            assert (a.sum(axis=1) if scheme == "crammer_singer" else a).max() <= C * (1 + 1e-14)
        assert a.min() >= 0
        value = dual_value(X.toarray(), y, np.full(n, C), a, scheme, loss, "none")
        # Squared norms of rows are of single precision.
        assert abs(dual.near_dual - value) <= (1e-5 if single else 1e-6) * value
    dual.finish()
    assert_allclose(W[:, :K], (coefs(a, y, scheme).T @ X.toarray()).T, atol=1e-12)
    assert dual.near_primal - dual.near_dual < 0.05 * dual.near_primal


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("intercept", INTERCEPTS)
def test_momentum_takes_fewer_epochs_to_the_same_optimum(monkeypatch, scheme, intercept):
    X, y = text(n=2000, d=800)
    monkeypatch.setattr(multiclass_dual, "POLISH_FROM", 10**9)
    epochs = []
    for momentum in (0.0, 0.75):
        monkeypatch.setattr(multiclass_dual, "MOMENTUM", momentum)
        fit = solve(X, y, scheme=scheme, intercept=intercept, C=1.0, tol=1e-3)
        verify(fit, X.toarray(), y, scheme=scheme, loss="hinge", intercept=intercept, C=1.0,
               tol=1e-3)
        epochs.append(fit.n_iter)
    assert epochs[1] < 0.75 * epochs[0]


def test_two_classes_are_a_binary_problem():
    X, y = blobs(80, 3, 2)
    for loss, intercept in itertools.product(LOSSES, INTERCEPTS[:1] + INTERCEPTS[2:]):
        binary = LinearSVC(loss, C=2.0, tol=1e-9, fit_intercept=intercept != "none").fit(X, y)
        for scheme in SCHEMES[:2]:
            fit = solve(X, y, scheme=scheme, loss=loss, intercept=intercept, tol=1e-9)
            verify(fit, X, y, scheme=scheme, loss=loss, intercept=intercept)
            assert fit.coef.shape == (1, 3)
            assert_allclose(2 * fit.primal, binary.primal_objective_, rtol=1e-7)
            assert_allclose(fit.coef, binary.coef_, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_same_objective_as_liblinear(fit_intercept):
    svm = pytest.importorskip("sklearn.svm")
    X, y = text(400, 100, 7, seed=3)
    peer = svm.LinearSVC(multi_class="crammer_singer", fit_intercept=fit_intercept, tol=1e-8,
                         max_iter=100_000, random_state=0).fit(X, y)
    intercept = "regularized" if fit_intercept else "none"
    fit = solve(X, y, intercept=intercept)
    W, b = peer.coef_, peer.intercept_ if fit_intercept else np.zeros(7)
    theirs = objective(X.toarray(), y, 1.0, W, b, "crammer_singer", "hinge", intercept)
    assert_allclose(fit.primal[0], theirs, rtol=1e-6)
    assert_allclose(fit.coef, W, atol=1e-3)


def test_losses_are_those_of_hingex_losses():
    X, y = text()
    for scheme, loss in itertools.product(SCHEMES, LOSSES):
        case = {"scheme": scheme, "loss": loss, "intercept": "none", "C": 0.7, "tol": 1e-4}
        fit = solve(X, y, **case)
        S = X @ fit.coef.T
        if scheme == "crammer_singer":
            values = CrammerSinger()(y, S, reduction="none")
            values = values**2 if loss == "squared_hinge" else values
        elif scheme == "weston_watkins":
            values = WestonWatkins(p=2 if loss == "squared_hinge" else 1)(y, S, reduction="none")
        elif loss == "hinge":
            values = LeeLinWahba()(y, S, reduction="none")
        else:
            continue
        P = 0.5 * (fit.coef**2).sum() + 0.7 * values.sum()
        assert_allclose(fit.primal[0], P, rtol=1e-12)


# ---- the problem of a row -----------------------------------------------------------------


def row_value(c, a, D, h):
    return c @ a - 0.5 * D * (a @ a) - 0.5 * h * a.sum() ** 2


@SETTINGS
@given(st.integers(0, 2**32 - 1))
def test_row_problem(seed):
    """The conditions of optimality, and no random feasible point is better."""
    rng = np.random.default_rng(seed)
    K = int(rng.choice([1, 2, 3, 5, 8, 19, 40]))
    kind = rng.integers(0, 5)
    q = float(rng.choice([0.0, 1e-12, 0.3, 1.0, 50.0]))
    C = float(rng.choice([1e-6, 0.5, 1.0, 1e6]))
    c = [rng.choice([-1.0, 0.5, 1.0, 2.0], K), 3 * rng.normal(size=K), 1 + 0.3 * rng.normal(size=K)]
    c = c[rng.integers(0, 3)]
    D, h, upper, cap = {
        0: (q, q, np.inf, C),                           # Crammer-Singer
        1: (q, q + 0.5 / C, np.inf, np.inf),            # squared
        2: (q, q, C, np.inf),                           # Weston-Watkins
        3: (q + 0.5 / C, q, np.inf, np.inf),            # squared
        4: (q, -q / (K + 1), C, np.inf),                # Lee-Lin-Wahba
    }[int(kind)]
    if q == 0 and kind == 1:
        c = np.abs(c)
    a = np.full(K, np.nan)
    kernels("multiclass_dual").solve_row(c, a, D, h, upper, cap, float(rng.choice([0, C, 7.0])))
    scale = max(1.0, np.abs(c).max())
    assert (a >= 0).all()
    assert (a <= upper).all()
    assert a.sum() <= cap * (1 + 1e-14)
    r = c - D * a - h * a.sum()                         # = mu + bounds' multipliers
    mu = 0.0
    if a.sum() >= cap * (1 - 1e-12):
        mu = max(r[a > 0].min(initial=np.inf), 0.0)
    eps = 1e-9 * scale + 1e-13 * (D + abs(h) * K) * a.max(initial=0)
    assert (r[a == 0] <= mu + eps).all()
    inside = (a > 0) & (a < upper)
    assert (np.abs(r[inside] - mu) <= eps).all()
    assert (r[a == upper] >= -eps).all()
    best = row_value(c, a, D, h)
    for _ in range(20):
        x = np.abs(rng.normal(size=K)) * rng.choice([1e-3, 1, 10]) * min(C, 10)
        x = np.minimum(x, upper)
        x *= min(1.0, cap / max(x.sum(), 1e-300))
        assert row_value(c, x, D, h) <= best + 1e-9 * max(1.0, abs(best))


@SETTINGS
@given(st.integers(0, 2**32 - 1))
def test_flow_to_take(seed):
    """As much as any flow can: with the excess that the flow has, all of it."""
    rng = np.random.default_rng(seed)
    K = int(rng.integers(2, 9))
    flow = rng.random((K, K)) * (rng.random((K, K)) < 0.4)
    np.fill_diagonal(flow, 0)
    share = rng.random((K, K)) * (rng.random((K, K)) < 0.7)
    excess = (share * flow).sum(axis=1) - (share * flow).sum(axis=0)
    taken, left = multiclass_dual.take_flow(flow, excess, 1e-12)
    assert (taken >= 0).all()
    assert (taken <= flow).all()
    assert_allclose(taken.sum(axis=1) - taken.sum(axis=0), excess, atol=1e-11)
    assert np.abs(left).max() <= 1e-11


# ---- properties ---------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("loss", LOSSES)
def test_degenerate_rows(scheme, loss):
    X, y = blobs(40, 4, 4)
    X[:8] = 0
    X[8:16] = X[16:24]
    for intercept in INTERCEPTS:
        case = {"scheme": scheme, "loss": loss, "intercept": intercept, "tol": 1e-5}
        verify(solve(X, y, **case), X, y, **case)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_weights_are_repeated_rows(scheme):
    X, y = blobs(40, 4, 4)
    weight = np.arange(40) % 4
    weight[:4] = 1
    case = {"scheme": scheme, "loss": "squared_hinge", "tol": 1e-10}
    one = solve(X, y, sample_weight=weight, **case)
    two = solve(np.repeat(X, weight, axis=0), np.repeat(y, weight), **case)
    assert_allclose(one.primal, two.primal, rtol=1e-8)
    assert_allclose(one.coef, two.coef, atol=1e-4)
    assert (one.dual[weight == 0] == 0).all()
    verify(one, X, y, C=weight, intercept="unregularized", **case)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_layouts_and_types(scheme):
    X, y = text(n=120, d=60)
    X = X.astype(np.float32)
    first = solve(X, y, scheme=scheme, tol=1e-4)
    wide = csr_array((X.data, X.indices.astype(np.int64), X.indptr.astype(np.int64)), X.shape)
    for other in (wide, X.astype(np.float64)):
        fit = solve(other, y, scheme=scheme, tol=1e-4)
        assert_array_equal(fit.coef, first.coef)
        assert_array_equal(fit.dual, first.dual)
    D = X.toarray()
    dense = [solve(A, y, scheme=scheme, tol=1e-4) for A in
             (D, np.asfortranarray(D), D.astype(np.float64), np.repeat(D, 2, axis=1)[:, ::2])]
    for fit in dense:
        assert_allclose(fit.primal, first.primal, rtol=2e-4)
        assert_allclose(fit.coef, dense[0].coef, atol=1e-2)


def test_deterministic():
    X, y = text()
    one, two = solve(X, y, seed=5), solve(X, y, seed=5)
    assert_array_equal(one.coef, two.coef)
    assert_array_equal(one.history["gap"], two.history["gap"])
    assert not np.array_equal(solve(X, y, seed=6).coef, one.coef)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_many_classes(scheme):
    rng = np.random.default_rng(0)
    K = 1000
    X = csr_array(random_array((3 * K, 2000), density=0.01, rng=rng, format="csr"))
    y = np.arange(3 * K) % K
    case = {"scheme": scheme, "loss": "hinge", "intercept": "unregularized"}
    slow = scheme == "lee_lin_wahba"    # every step changes all weights of a row's features
    fit = solve(X, y, tol=1e-2, max_iter=5 if slow else 300, **case)
    verify(fit, X, y, tol=np.inf if slow else 1e-2, **case)


def test_warm_start():
    X, y = text()
    for scheme, loss in itertools.product(SCHEMES, LOSSES):
        model = LinearSVC(loss, multi_class=scheme, warm_start=True, tol=1e-6).fit(X, y)
        epochs = model.n_iter_
        again = model.fit(X, y)
        assert again.n_iter_ < epochs
        other = model.set_params(C=0.9).fit(X, y)
        cold = LinearSVC(loss, multi_class=scheme, C=0.9, tol=1e-6).fit(X, y)
        assert_allclose(other.primal_objective_, cold.primal_objective_, rtol=2e-6)


def test_limits_of_work():
    X, y = text(n=600, d=400, K=12)
    seen = []
    fit = solve(X, y, tol=1e-12, max_iter=3, callback=seen.append)
    assert fit.status == "max_iter"
    assert fit.n_iter == 3
    assert [s.epoch for s in seen][:3] == [1, 2, 3]
    assert fit.history["certified"][-1]
    verify(fit, X, y, scheme="crammer_singer", loss="hinge", intercept="unregularized", tol=np.inf)
    assert solve(X, y, tol=1e-12, callback=lambda s: s.epoch == 2).status == "callback"
    fit = solve(X, y, tol=1e-15, max_time=1e-6)
    assert fit.status == "max_time"
    verify(fit, X, y, scheme="crammer_singer", loss="hinge", intercept="unregularized", tol=np.inf)


# ---- the estimator ------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("K", [2, 5])
def test_estimator(scheme, loss, K):
    X, y = blobs(100, 6, K, spread=2.0)
    names = np.array(["a", "b", "c", "d", "e"])[y]
    model = LinearSVC(loss, multi_class=scheme, store_dual=True, tol=1e-5,
                      class_weight={"a": 2.0}).fit(X, names)
    assert model.solver_ == "multiclass_dual"
    assert scheme in model.solver_reason_
    assert model.coef_.shape == ((1, 6) if K == 2 else (K, 6))
    assert model.duality_gap_.shape == model.primal_objective_.shape == (1,)
    assert model.duality_gap_[0] <= 1e-5
    assert_allclose(model.dual_coef_.T @ X, model.coef_[0] if K == 2 else model.coef_, atol=1e-8)
    S = X @ model.coef_.T + model.intercept_
    assert_allclose(model.decision_function(X), S[:, 0] if K == 2 else S, rtol=1e-9, atol=1e-12)
    best = (S[:, 0] > 0).astype(int) if K == 2 else S.argmax(axis=1)
    assert_array_equal(model.predict(X), model.classes_[best])
    assert model.score(X, names) > 0.7
    C = np.where(names == "a", 2.0, 1.0)
    W, b = full(model.coef_, model.intercept_)
    P = objective(X, y, C, W, b, scheme, loss, "unregularized")
    assert_allclose(model.primal_objective_[0], P, rtol=1e-10)
    u = losses(X @ W.T + b, y, scheme, loss)
    assert (model.support_kind_[u > 1e-2] > 0).all()
    assert_array_equal(model.support_, np.flatnonzero(model.support_kind_))
    if loss == "squared_hinge":
        assert model.support_kind_.max() == 1


def test_wrong_solver():
    X, y = blobs()
    with pytest.raises(ValueError, match="multiclass_dual"):
        LinearSVC(multi_class="crammer_singer", solver="dual_cd").fit(X, y)
    with pytest.raises(ValueError, match="multi_class must be"):
        LinearSVC(multi_class="crammer").fit(X, y)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT")
def test_interrupt():
    code = """
        import threading, os, signal, numpy as np
        from hingex import LinearSVC
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(20000, 60)), rng.integers(0, 12, 20000)
        model = LinearSVC("hinge", C=10.0, multi_class="crammer_singer", tol=1e-9,
                          max_iter=10**6, store_dual=True)
        threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            model.fit(X, y)
        except KeyboardInterrupt:
            gap = abs(model.dual_coef_.T @ X - model.coef_).max()
            print("interrupted", model.n_iter_ > 0, gap < 1e-6)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True,
                          text=True, timeout=60, env=os.environ, check=False)
    assert done.stdout.split() == ["interrupted", "True", "True"], done.stderr
