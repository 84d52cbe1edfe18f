# SPDX-License-Identifier: BSD-3-Clause
"""Dual coordinate descent against independent optima, and its certificate against plain NumPy."""

import gc
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.sparse import csr_array, random_array

from hingex import _validate
from hingex._core import kernels
from hingex.solvers import dual_cd
from hingex.stop import Monitor

LOSSES = ("hinge", "squared_hinge")
INTERCEPTS = ("none", "regularized", "unregularized")
SETTINGS = settings(max_examples=20, deadline=None, derandomize=True,
                    suppress_health_check=list(HealthCheck))


def solve(X, y, *, loss="squared_hinge", C=1.0, sample_weight=None, class_weight=None,
          intercept="unregularized", scaling=1.0, tol=1e-9, max_iter=100_000, max_time=None,
          threads=1, parts=1, seed=0, start=None, callback=None, patience=np.inf):
    rows = _validate.as_rows(X)
    classes, codes = _validate.encode_labels(y, rows.n)
    cost = _validate.row_weights(C, class_weight, sample_weight, classes, codes, rows.n)
    return dual_cd.solve(
        rows, codes, len(classes), loss=loss, C=C, cost=cost, intercept=intercept,
        scaling=scaling, tol=tol, max_iter=max_iter, max_time=max_time, threads=threads,
        parts=parts, seed=seed, monitor=Monitor(callback), start=start, patience=patience)


def signs(y):
    """(n, lanes) of +-1: one column for two classes, else one for each class against the rest."""
    classes = np.unique(y)
    positive = classes[1:] if len(classes) == 2 else classes
    return np.where(np.asarray(y)[:, None] == positive, 1.0, -1.0)


def dense(X):
    return (X.toarray() if hasattr(X, "toarray") else np.asarray(X)).astype(np.float64)


def objective(X, s, C, w, b, loss, intercept, scaling=1.0):
    slack = np.maximum(0, 1 - s * (X @ w + b))
    own = 0.5 * (b / scaling) ** 2 if intercept == "regularized" else 0
    return 0.5 * w @ w + own + C @ (slack if loss == "hinge" else slack**2)


def dual_value(X, s, C, alpha, loss, intercept, scaling=1.0):
    w = X.T @ (alpha * s)
    value = alpha.sum() - 0.5 * w @ w
    if loss == "squared_hinge":
        used = C > 0
        value -= (alpha[used] * (alpha[used] / C[used])).sum() / 4
    if intercept == "regularized":
        value -= 0.5 * (scaling * (alpha @ s)) ** 2
    return value


def verify(fit, X, y, *, loss, C, intercept, scaling=1.0, tol=None, rounding=1e-11):
    """Recompute the whole certificate of every lane; C is a number or one per row."""
    X = dense(X)
    C = np.broadcast_to(np.asarray(C, dtype=float), (len(X),))
    S = signs(y)
    assert fit.dual.shape == S.shape
    assert fit.coef.shape == (S.shape[1], X.shape[1])
    for k, s in enumerate(S.T):
        alpha, w, b = fit.dual[:, k], fit.coef[k], fit.intercept[k]
        assert (alpha >= 0).all()
        if loss == "hinge":
            assert (alpha <= C).all()
        assert (alpha[C == 0] == 0).all()
        size = alpha @ np.abs(X).max(axis=1)
        assert_allclose(w, X.T @ (alpha * s), rtol=0, atol=1e-10 * size)
        if intercept == "none":
            assert b == 0
        elif intercept == "unregularized":
            assert abs(alpha @ s) <= 1e-12 * alpha.sum()
        primal = objective(X, s, C, w, b, loss, intercept, scaling)
        dual = dual_value(X, s, C, alpha, loss, intercept, scaling)
        assert dual <= primal * (1 + 1e-12)
        assert_allclose(fit.primal[k], primal, rtol=rounding)
        assert_allclose(fit.dual_objective[k], dual, rtol=1e-9, atol=1e-11 * primal)
        assert_allclose(fit.gap[k], max(primal - dual, 0) / primal, rtol=0, atol=1e-11)
    if tol is not None:
        assert fit.converged, (fit.status, fit.gap)
        assert (fit.gap <= tol).all()


def radius(fit):
    """Upper bound of the distance of each lane's w from the optimal one, by strong convexity."""
    return np.sqrt(2 * fit.gap * fit.primal) + 1e-7 * (1 + np.linalg.norm(fit.coef, axis=1))


def assert_same_model(a, b, extra=0.0):
    distance = np.linalg.norm(a.coef - b.coef, axis=1)
    assert (distance <= radius(a) + radius(b) + extra).all()
    assert_allclose(a.primal, b.primal, rtol=2e-9 + extra)


# ---- independent optima


def best_primal_squared(X, s, C, intercept, scaling):
    """Smooth problem in (w, b / scaling) by L-BFGS-B."""
    feature = {"none": 0.0, "regularized": scaling, "unregularized": 1.0}[intercept]
    A = np.c_[X, np.full(len(X), feature)]
    ridge = np.ones(A.shape[1])
    if intercept == "unregularized":
        ridge[-1] = 0

    def f(z):
        slack = np.maximum(0, 1 - s * (A @ z))
        return 0.5 * ridge @ (z * z) + C @ slack**2, ridge * z - 2 * A.T @ (C * s * slack)

    found = minimize(f, np.zeros(A.shape[1]), jac=True, method="L-BFGS-B",
                     options={"maxiter": 5000, "maxfun": 20000, "ftol": 0, "gtol": 1e-12,
                              "maxcor": 30})
    return found.fun


def best_dual_hinge(X, s, C, intercept, scaling):
    """Dual quadratic program by SLSQP."""
    Z = s[:, None] * X
    Q = Z @ Z.T
    if intercept == "regularized":
        Q += scaling**2 * np.outer(s, s)
    constraints = []
    if intercept == "unregularized":
        constraints = [{"type": "eq", "fun": lambda a: a @ s, "jac": lambda a: s}]
    found = minimize(lambda a: 0.5 * a @ Q @ a - a.sum(), np.zeros(len(s)),
                     jac=lambda a: Q @ a - 1, method="SLSQP", bounds=[(0, c) for c in C],
                     constraints=constraints, options={"ftol": 1e-11, "maxiter": 500})
    assert found.success, found.message
    return -found.fun


def random_problem(seed, n=24, d=4, classes=2):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.7)
    scores = X @ rng.standard_normal((d, classes)) + 0.7 * rng.standard_normal((n, classes)) + (
        0.5 * np.arange(classes))
    y = scores.argmax(axis=1)
    y[:classes] = np.arange(classes)
    return X, y


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("loss", LOSSES)
def test_optimum_is_that_of_an_independent_solver(loss, intercept, classes, weighted):
    X, y = random_problem(classes + 10 * weighted, classes=classes)
    rng = np.random.default_rng(5)
    weights = rng.uniform(0, 3, len(y)).round(1) if weighted else None
    factors = {0: 0.5, 1: 2.0} if weighted else None
    C = 0.7
    cost = np.full(len(y), C)
    if weighted:
        weights[2] = 0
        cost = C * weights * np.array([0.5, 2.0, 1.0])[y]
    scaling = 1.5
    fit = solve(X, y, loss=loss, C=C, sample_weight=weights, class_weight=factors,
                intercept=intercept, scaling=scaling, tol=1e-9)
    verify(fit, X, y, loss=loss, C=cost, intercept=intercept, scaling=scaling, tol=1e-9)
    best = best_dual_hinge if loss == "hinge" else best_primal_squared
    for k, s in enumerate(signs(y).T):
        truth = best(X, s, cost, intercept, scaling)
        assert_allclose(fit.primal[k], truth, rtol=1e-7)
        # Optimality of each row: outside the margin alpha = 0, inside at the bound (hinge) or
        # 2 C slack (squared hinge), which is what the derivative of the loss says.
        slack = 1 - s * (X @ fit.coef[k] + fit.intercept[k])
        alpha = fit.dual[:, k]
        if loss == "hinge":
            assert (alpha[slack < -1e-3] <= 1e-6).all()
            assert_allclose(alpha[slack > 1e-3], cost[slack > 1e-3], atol=1e-6)
        else:
            assert_allclose(alpha, 2 * cost * np.maximum(slack, 0), atol=3e-4)


def test_closed_forms():
    # Two points at +-1: w = 1 and P = 1/2 for the hinge with C >= 1/2, else w = 2C.
    X, y = [[-1.0], [1.0]], [0, 1]
    for C in (0.1, 0.5, 3.0):
        fit = solve(X, y, loss="hinge", C=C)
        assert_allclose(fit.coef, [[min(1, 2 * C)]], rtol=1e-9)
        assert_allclose(fit.primal, 0.5 - 2 * (0.5 - min(C, 0.5)) ** 2, rtol=1e-9)
        fit = solve(X, y, loss="squared_hinge", C=C)
        assert_allclose(fit.coef, [[4 * C / (1 + 4 * C)]], rtol=1e-9)
        assert_allclose(fit.intercept, [0.0], atol=1e-9)


@pytest.mark.parametrize("tol", [1e-1, 1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("loss", LOSSES)
def test_gap_is_reached_and_true(monkeypatch, loss, intercept, tol):
    monkeypatch.setattr(dual_cd, "POLISH_WORK", 0.0)
    X, y = random_problem(3, n=200, d=10, classes=4)
    fit = solve(X, y, loss=loss, intercept=intercept, tol=tol)
    verify(fit, X, y, loss=loss, C=1.0, intercept=intercept, tol=tol)
    assert fit.status == "converged"
    last = fit.history[-1]
    assert last["certified"]
    assert_allclose(last["primal"], fit.primal.sum())
    assert_allclose(last["dual"], fit.dual_objective.sum())
    assert last["gap"] == fit.gap.max()
    assert fit.history["epoch"][-1] == fit.n_iter
    assert (np.diff(fit.history["epoch"]) > 0).all()
    assert (np.diff(fit.history["seconds"]) >= 0).all()


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("loss", LOSSES)
def test_stopped_early_the_certificate_is_true(loss, intercept, classes):
    X, y = random_problem(4, n=150, d=30, classes=classes)
    for epochs in (1, 2, 5, 20):
        fit = solve(X, y, loss=loss, intercept=intercept, C=100.0, tol=1e-13, max_iter=epochs)
        assert fit.n_iter == epochs
        assert fit.status == "max_iter"
        verify(fit, X, y, loss=loss, C=100.0, intercept=intercept)


def text_problem(n, d, words, classes, seed=0):
    """Unit rows of frequent and rare words, labelled by a linear rule: much is shrunk."""
    rng = np.random.default_rng(seed)
    often = np.arange(1, d + 1) ** -0.8
    rows = [np.unique(rng.choice(d, words, p=often / often.sum())) for _ in range(n)]
    indptr = np.r_[0, np.cumsum([len(row) for row in rows])]
    X = csr_array((rng.random(indptr[-1]) + 0.5, np.concatenate(rows), indptr), shape=(n, d))
    X.data /= np.repeat(np.sqrt((X * X).sum(axis=1)), np.diff(indptr))
    y = (X @ rng.standard_normal((d, classes))).argmax(axis=1)
    y[:classes] = np.arange(classes)
    return X, y


@pytest.mark.parametrize("classes", [8, 70])
@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("loss", LOSSES)
def test_lanes_visited_one_at_a_time(loss, intercept, classes):
    X, y = text_problem(300, 300, 100, classes)
    weights = np.arange(300) % 5 / 2.0
    weights[:classes] = 1
    for sample_weight in (None, weights):
        C = 3.0 if sample_weight is None else 3 * weights
        fit = solve(X, y, loss=loss, intercept=intercept, C=3.0, tol=1e-8,
                    sample_weight=sample_weight)
        assert np.diff(fit.history["epoch"]).max() > 1  # it came to that
        verify(fit, X, y, loss=loss, C=C, intercept=intercept, tol=1e-8)
    early = solve(X, y, loss=loss, intercept=intercept, C=3.0, tol=1e-13, max_iter=45)
    assert early.n_iter <= 45
    verify(early, X, y, loss=loss, C=3.0, intercept=intercept)


@pytest.mark.usefixtures("always_threads")
@pytest.mark.parametrize("classes", [8, 70])
def test_lanes_visited_one_at_a_time_give_the_same_bits(classes):
    X, y = text_problem(300, 300, 100, classes)
    fits = [solve(X, y, loss="hinge", C=1.0, tol=1e-4, threads=threads) for threads in (1, 2, 3)]
    assert np.diff(fits[0].history["epoch"]).max() > 1
    assert bits(fits[0]) == bits(fits[1]) == bits(fits[2])


@pytest.mark.parametrize("classes", [2, 8])
def test_out_of_time_at_any_point(monkeypatch, classes):
    # Time runs out in a sweep, a certificate or a visit of one lane: w and alpha belong together.
    monkeypatch.setattr(dual_cd, "POLISH_WORK", 0.0)
    X, y = text_problem(2000, 600, 100, classes)
    for seconds in (1e-4, 1e-3, 3e-3, 0.01, 0.02, 0.03, 0.05, 0.08):
        fit = solve(X, y, loss="hinge", C=30.0, tol=1e-14, max_time=seconds)
        verify(fit, X, y, loss="hinge", C=30.0, intercept="unregularized")


def test_certified_primal_does_not_cancel():
    # Well-classified rows far away: sums over them once drowned the loss of the others.
    rng = np.random.default_rng(1197)
    for scale in (1e3, 1e6, 1e9):
        X = rng.standard_normal((40, 2))
        y = (X[:, 0] > 0).astype(int)
        X[::5] *= scale
        for loss in LOSSES:
            for epochs in (1, 4, 30):
                fit = solve(X, y, loss=loss, C=1e-3, max_iter=epochs, tol=1e-6)
                value = objective(X, signs(y)[:, 0], np.full(40, 1e-3), fit.coef[0],
                                  fit.intercept[0], loss, "unregularized")
                assert_allclose(fit.primal[0], value, rtol=1e-6)


# ---- properties


@st.composite
def problems(draw, classes=2):
    n = draw(st.integers(max(3, classes), 12))
    d = draw(st.integers(1, 4))
    # Multiples of 1/4: the same numbers in float32.
    entry = st.integers(-12, 12).map(lambda v: v / 4)
    X = np.array(draw(st.lists(entry, min_size=n * d, max_size=n * d))).reshape(n, d)
    y = np.array(draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n)))
    y[:classes] = np.arange(classes)
    return SimpleNamespace(X=X, y=y, loss=draw(st.sampled_from(LOSSES)),
                           intercept=draw(st.sampled_from(INTERCEPTS)),
                           C=draw(st.sampled_from([0.01, 0.5, 1.0, 8.0])))


def solve_problem(p, X=None, y=None, **options):
    options = {"loss": p.loss, "intercept": p.intercept, "C": p.C, "max_iter": 300_000} | options
    fit = solve(p.X if X is None else X, p.y if y is None else y, **options)
    assert fit.converged, (p, fit.status, fit.gap)
    return fit


@SETTINGS
@given(problems())
def test_property_certificate_binary(p):
    verify(solve_problem(p), p.X, p.y, loss=p.loss, C=p.C, intercept=p.intercept, tol=1e-9)


@SETTINGS
@given(problems(classes=3))
def test_property_certificate_one_vs_rest(p):
    verify(solve_problem(p), p.X, p.y, loss=p.loss, C=p.C, intercept=p.intercept, tol=1e-9)


@SETTINGS
@given(problems(), st.sampled_from([np.float32, np.float64]),
       st.sampled_from(["C", "F", "strided", "csr", "csr32", "csr64", "mixed", "explicit zeros"]))
def test_property_layout_does_not_matter(p, dtype, layout):
    reference = solve_problem(p)
    X = p.X.astype(dtype)
    if layout == "F":
        X = np.asfortranarray(X)
    elif layout == "strided":
        X = np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::-3][:, ::-1]
    elif layout != "C":
        X = csr_array(X)
        if layout == "explicit zeros":
            X = csr_array((p.X.astype(dtype).ravel(), np.tile(np.arange(p.X.shape[1]), len(p.X)),
                           np.arange(len(p.X) + 1) * p.X.shape[1]), shape=p.X.shape)
        X.indices = X.indices.astype(np.int64 if layout == "csr64" else np.int32)
        X.indptr = X.indptr.astype(np.int64 if layout in ("csr64", "mixed") else np.int32)
    assert_same_model(solve_problem(p, X), reference)


@settings(SETTINGS, max_examples=10)
@given(problems(), st.randoms(use_true_random=False))
def test_property_permutations(p, random):
    reference = solve_problem(p)
    columns, rows = list(range(p.X.shape[1])), list(range(len(p.y)))
    random.shuffle(columns)
    random.shuffle(rows)
    moved = solve_problem(p, p.X[:, columns])
    moved.coef = moved.coef[:, np.argsort(columns)]
    assert_same_model(moved, reference)
    assert_same_model(solve_problem(p, p.X[rows], p.y[rows]), reference)
    assert_same_model(solve_problem(p, seed=12345), reference)


@SETTINGS
@given(problems(), st.data())
def test_property_weights_are_repetitions(p, data):
    n = len(p.y)
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    counts[:2] = np.maximum(counts[:2], 1)
    weighted = solve_problem(p, sample_weight=counts)
    repeated = solve_problem(p, np.repeat(p.X, counts, axis=0), np.repeat(p.y, counts))
    assert_same_model(weighted, repeated)
    verify(weighted, p.X, p.y, loss=p.loss, C=p.C * counts, intercept=p.intercept, tol=1e-9)


@SETTINGS
@given(problems(classes=3), st.sampled_from([0.25, 3.0]))
def test_property_class_weight_and_c_are_row_weights(p, factor):
    weights = np.array([factor, 1.0, 2.0])[p.y]
    by_class = solve_problem(p, class_weight={0: factor, 2: 2.0})
    assert_same_model(by_class, solve_problem(p, sample_weight=weights))
    assert_same_model(solve_problem(p, sample_weight=factor),
                      solve_problem(p, C=p.C * factor))


@SETTINGS
@given(problems(), st.sampled_from([0.5, 2.0]))
def test_property_scale_of_features_is_scale_of_c(p, scale):
    if p.intercept == "regularized":
        p.intercept = "none"
    scaled = solve_problem(p, p.X * scale, C=p.C / scale**2)
    scaled.coef = scaled.coef * scale
    scaled.primal = scaled.primal * scale**2
    assert_same_model(scaled, solve_problem(p))


# ---- odd data


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("sparse", [False, True])
def test_degenerate_data(loss, intercept, classes, sparse):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 4))
    X[[0, 7, 29]] = 0                       # rows of zeros, empty in CSR
    X[:, 2] = 0                             # a feature never used
    X[10:15] = X[15:20]                     # duplicates ...
    y = np.arange(30) % classes
    y[10:15] = (y[15:20] + 1) % classes     # ... with other labels
    fit = solve(csr_array(X) if sparse else X, y, loss=loss, intercept=intercept, tol=1e-8)
    verify(fit, X, y, loss=loss, C=1.0, intercept=intercept, tol=1e-8)
    assert (fit.coef[:, 2] == 0).all()


@pytest.mark.parametrize("balance", [1, 5])
@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("sparse", [False, True])
def test_nothing_but_zeros(loss, intercept, balance, sparse):
    n = 10
    X, y = np.zeros((n, 3)), (np.arange(n) < balance).astype(int)
    fit = solve(csr_array(X) if sparse else X, y, loss=loss, intercept=intercept, tol=1e-6)
    verify(fit, X, y, loss=loss, C=1.0, intercept=intercept, tol=1e-6)
    assert (fit.coef == 0).all()
    if intercept == "none":
        assert_allclose(fit.primal, n)
    elif intercept == "unregularized":      # the best constant: a vote, or the mean of y
        value = 2 * balance if loss == "hinge" else 4 * balance * (n - balance) / n
        assert_allclose(fit.primal, value, rtol=1e-6)


@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("loss", LOSSES)
def test_two_rows_one_feature(loss, intercept):
    for X in ([[1.0], [2.0]], [[0.0], [1.0]], [[1.0], [1.0]], [[-1e3], [1e-3]]):
        fit = solve(X, [0, 1], loss=loss, intercept=intercept, tol=1e-7)
        verify(fit, X, [0, 1], loss=loss, C=1.0, intercept=intercept, tol=1e-7)


@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("sparse", [False, True])
def test_one_tiny_class_and_many_classes(loss, intercept, sparse):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 8)) * (rng.random((400, 8)) < 0.5)
    given_X = csr_array(X) if sparse else X
    y = rng.integers(0, 2, 400)
    y[17] = 2
    fit = solve(given_X, y, loss=loss, intercept=intercept, C=0.1, tol=1e-6)
    verify(fit, X, y, loss=loss, C=0.1, intercept=intercept, tol=1e-6)
    y = np.arange(400) % 70                 # two blocks of lanes
    fit = solve(given_X, y, loss=loss, intercept=intercept, C=0.1, tol=1e-5)
    verify(fit, X, y, loss=loss, C=0.1, intercept=intercept, tol=1e-5)


def test_lanes_are_the_binary_problems():
    X, y = random_problem(8, n=300, d=12, classes=5)
    together = solve(X, y, C=0.3, tol=1e-9)
    for k in range(5):
        alone = solve(X, y == k, C=0.3, tol=1e-9)
        assert_allclose(together.primal[k], alone.primal[0], rtol=2e-9)
        assert_allclose(together.coef[k], alone.coef[0], atol=1e-4)


@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("loss", LOSSES)
def test_small_c_and_small_features_converge(loss, intercept):
    # The multiplier once took thousands of epochs, because duals are as small as C.
    X, y = random_problem(2, n=100, d=5)
    for C, scale in ((1e-12, 1), (1e-6, 1), (1e-3, 1), (0.01, 1), (1.0, 1e-6), (1.0, 1e-25),
                     (1.0, 1e-170), (1e-200, 1)):
        fit = solve(X * scale, y, loss=loss, C=C, intercept=intercept, max_iter=1000, tol=1e-3)
        verify(fit, X * scale, y, loss=loss, C=C, intercept=intercept, tol=1e-3)


def test_tiny_problems_converge_within_the_default_epochs():
    # Seeds at which the intercept once ran away from rows that were all shrunk (gap 0.97), or
    # shrunk rows were forgotten while the others were solved to rounding error.
    for seed in (6, 18, 24, 26, 44, 78, 131, 140, 174, 228, 278, 281, 283, 301, 335, 354, 380):
        rng = np.random.default_rng(seed)
        n, d, classes = int(rng.integers(4, 120)), int(rng.integers(1, 8)), 2 + (seed % 5 == 0)
        X = rng.standard_normal((n, d))
        y = (X @ rng.standard_normal((d, classes)) + rng.standard_normal((n, classes))).argmax(1)
        y[:classes] = range(classes)
        C = 10 ** rng.uniform(-6, 1)
        for intercept in INTERCEPTS:
            fit = solve(X, y, loss=LOSSES[seed % 2], C=C, intercept=intercept, tol=1e-3,
                        max_iter=1000)
            verify(fit, X, y, loss=LOSSES[seed % 2], C=C, intercept=intercept, tol=1e-3)


@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("loss", LOSSES)
def test_large_c_and_scales_end_with_the_true_gap(loss, intercept):
    X, y = random_problem(2, n=100, d=5)
    for C, scale in ((1e6, 1), (1e200, 1), (1.0, 1e6), (1.0, 1e18), (1.0, [1e-6, 1, 1e3, 1e6, 1])):
        fit = solve(X * scale, y, loss=loss, C=C, intercept=intercept, max_iter=200, tol=1e-3)
        assert fit.converged == bool((fit.gap <= 1e-3).all())
        assert np.isfinite(fit.coef).all()
        assert np.isfinite(fit.primal).all()
        value = objective(X * scale, signs(y)[:, 0], np.full(100, C), fit.coef[0],
                          fit.intercept[0], loss, intercept)
        assert_allclose(fit.primal[0], value, rtol=1e-7)


def test_norms_beyond_float32_are_refused():
    X = np.array([[1.0, 0.0], [0.0, 1e25]])
    with pytest.raises(ValueError, match="row 1 of X has a norm beyond 1e19"):
        solve(X, [0, 1])


# ---- start, stop, time


# ---- free duals of small problems


def kernel(X, y, loss, intercept, cost=None, C=1.0, epochs=24):
    """A DualCD after some epochs, its arrays, and the signs."""
    rows = _validate.as_rows(X)
    classes, codes = np.unique(y, return_inverse=True)
    lanes = 1 if len(classes) == 2 else len(classes)
    sqnorm = np.empty(rows.n, dtype=np.float32)
    mean = rows.sq_norms(sqnorm)
    alpha, W = np.zeros((rows.n, lanes)), np.zeros((rows.d, lanes))
    size = {"none": 0.0, "regularized": 1.0, "unregularized": np.inf}[intercept]
    cd = kernels("dual_cd").DualCD(
        rows, codes.astype(np.int32), sqnorm, cost, C, LOSSES.index(loss), alpha, W, 1, False,
        size, 0.05 * mean, 0, 1)
    cd.advance(epochs, epochs, epochs, 2, np.zeros(lanes), np.inf, np.zeros((lanes, 2)),
               np.empty((64, 6)))
    return cd, alpha, W, signs(y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", ["dense", "int32", "int64"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("loss", LOSSES)
def test_free_duals_are_solved_for_exactly(loss, intercept, classes, weighted, layout, dtype):
    X, y = random_problem(5, n=30, d=6, classes=classes)
    X = X.astype(dtype)
    cost = np.linspace(0, 2, len(X)) if weighted else None
    given = X if layout == "dense" else csr_array(X)
    if layout == "int64":
        given.indices, given.indptr = given.indices.astype("i8"), given.indptr.astype("i8")
    C = 0.3
    cd, alpha, W, S = kernel(given, y, loss, intercept, cost, C)
    cost = np.full(len(X), C) if cost is None else cost
    X = X.astype(float)
    solved = 0
    for k, s in enumerate(S.T):
        low = dual_value(X, s, cost, alpha[:, k], loss, intercept)
        done = cd.solve_free(k)
        b = np.empty(S.shape[1])
        cd.intercepts(b)
        upper = cost if loss == "hinge" else np.where(cost > 0, np.inf, 0.0)
        assert ((alpha[:, k] >= 0) & (alpha[:, k] <= upper)).all()
        assert_allclose(W[:, k], X.T @ (alpha[:, k] * s), atol=1e-12 * alpha[:, k].sum())
        if intercept != "unregularized":    # whose duals were not feasible before
            assert dual_value(X, s, cost, alpha[:, k], loss, intercept) >= low - 1e-12 * abs(low)
        if not done:
            continue
        solved += 1
        free = (alpha[:, k] > 0) & (alpha[:, k] < upper)
        assert free.any()
        curvature = 0 if loss == "hinge" else 1 / (2 * cost[free])
        margins = s[free] * (X[free] @ W[:, k] + b[k]) + curvature * alpha[free, k]
        assert_allclose(margins, 1, atol=1e-11)
        if intercept == "unregularized":
            assert abs(alpha[:, k] @ s) < 1e-12
        elif intercept == "regularized":
            assert alpha[:, k] @ s == pytest.approx(b[k], abs=1e-12)
    assert solved
    # The running sums go on from there: without an intercept the dual in the log is exact.
    if intercept == "none":
        log = np.empty((64, 6))
        cd.advance(25, 25, 25, 2, np.zeros(len(S.T)), 0.0, np.zeros((len(S.T), 2)), log)
        assert cd.logged == 1
        true = sum(dual_value(X, s, cost, alpha[:, k], loss, intercept) for k, s in enumerate(S.T))
        assert log[0, 3] == pytest.approx(true, rel=1e-10)


@pytest.mark.parametrize("intercept", INTERCEPTS)
def test_free_duals_that_depend_on_each_other(intercept):
    """More of them than features: the dual rises to a bound, w stays that of the duals."""
    solved = 0
    for seed in range(12):
        X, y = random_problem(seed, n=20, d=3)
        X, y = np.repeat(X, 1 + seed % 3, axis=0), np.repeat(y, 1 + seed % 3)
        cd, alpha, W, S = kernel(X, y, "hinge", intercept)
        before = ((alpha > 0) & (alpha < 1)).sum()
        low = dual_value(X, S[:, 0], None, alpha[:, 0], "hinge", intercept)
        done = cd.solve_free(0)
        solved += done and before > 3 + (intercept != "none")
        assert ((alpha >= 0) & (alpha <= 1)).all()
        assert_allclose(W, X.T @ (alpha * S), atol=1e-11 * alpha.sum())
        if intercept != "unregularized":
            assert dual_value(X, S[:, 0], None, alpha[:, 0], "hinge", intercept) >= low - 1e-11
        if done:
            b = np.empty(1)
            cd.intercepts(b)
            free = (alpha[:, 0] > 0) & (alpha[:, 0] < 1)
            assert_allclose(S[free, 0] * (X[free] @ W[:, 0] + b), 1, atol=1e-10)
    assert solved >= 2
    assert not cd.solve_free(1)     # no such lane


def test_too_many_free_duals_stay():
    X, y = random_problem(3, n=20, d=3)
    X, y = np.repeat(X, 8, axis=0), np.repeat(y, 8)
    cd, alpha, _, _ = kernel(X, y, "hinge", "none")
    before = alpha.copy()
    assert ((alpha > 0) & (alpha < 1)).sum() > 3 + 8
    assert not cd.solve_free(0)
    assert_array_equal(alpha, before)


@pytest.mark.parametrize("intercept", INTERCEPTS)
def test_small_problems_take_few_epochs(intercept):
    """Coordinate descent by itself would take some hundred to come as near."""
    for seed in range(10):
        X, y = random_problem(seed, n=20, d=5)
        fit = solve(X, y, loss="hinge", intercept=intercept, tol=1e-3)
        verify(fit, X, y, loss="hinge", C=1.0, intercept=intercept, tol=1e-13)
        assert fit.n_iter <= 129
    for seed in range(40):      # with more rows of margin 1 than there are unknowns, at times
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((20, 5))
        y = X[:, 0] + 0.5 * rng.standard_normal(20) > 0
        assert solve(X, y, loss="hinge", intercept=intercept, tol=1e-3).n_iter <= 129


def test_warm_start_takes_up_where_it_was():
    X, y = random_problem(5, n=300, d=10, classes=3)
    for loss in LOSSES:
        for intercept in INTERCEPTS:
            first = solve(X, y, loss=loss, intercept=intercept, tol=1e-6)
            kept = first.dual.copy()
            again = solve(X, y, loss=loss, intercept=intercept, tol=1e-6,
                          start=(first.dual, first.intercept))
            assert_array_equal(first.dual, kept)
            assert again.n_iter < max(2, first.n_iter // 2)
            verify(again, X, y, loss=loss, C=1.0, intercept=intercept, tol=1e-6)
            # Smaller bounds, and rows that no longer count: the start is made feasible.
            weights = (np.arange(300) % 4).astype(float)
            other = solve(X, y, loss=loss, intercept=intercept, tol=1e-6, C=0.2,
                          sample_weight=weights, start=(first.dual, first.intercept))
            verify(other, X, y, loss=loss, C=0.2 * weights, intercept=intercept, tol=1e-6)


def test_callback_sees_states_and_stops():
    X, y = random_problem(5, n=300, d=10)
    seen = []

    def callback(state):
        seen.append(state)
        return state.epoch == 7

    fit = solve(X, y, tol=1e-14, callback=callback)
    assert fit.status == "callback"
    assert fit.n_iter == 7
    assert [s.epoch for s in seen][:7] == list(range(1, 8))
    assert all(s.seconds >= 0 and s.active <= 300 and s.gap >= 0 for s in seen)
    assert fit.history["epoch"].tolist() == list(range(1, 8))
    assert fit.history["certified"][-1]
    verify(fit, X, y, loss="squared_hinge", C=1.0, intercept="unregularized")


@pytest.mark.parametrize("classes", [2, 3])
def test_no_time_at_all(classes):
    X, y = random_problem(5, n=300, d=10, classes=classes)
    fit = solve(X, y, max_time=1e-9)
    assert fit.status == "max_time"
    verify(fit, X, y, loss="squared_hinge", C=1.0, intercept="unregularized")
    warm = solve(X, y, max_time=1e-9, start=(fit.dual, fit.intercept))
    assert warm.status == "max_time"
    verify(warm, X, y, loss="squared_hinge", C=1.0, intercept="unregularized")


def test_kernel_checks_its_arrays():
    X, y = random_problem(1)
    cd = kernels("dual_cd").DualCD
    with pytest.raises(ValueError, match="do not fit"):
        cd(_validate.as_rows(X), y.astype(np.int32), np.empty(3, np.float32), None, 1.0, 0,
           np.zeros((24, 1)), np.zeros((4, 1)), 1, False, 0.0, 1.0, 0, 1)


def test_small_problems_are_not_given_up_while_they_are_polished():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        classes = 4 + seed % 9
        n = int(rng.integers(classes, 25))
        X = rng.standard_normal((n, 2 + seed % 4))
        y = np.r_[np.arange(classes), rng.integers(0, classes, n - classes)]
        X[y == 0] += 8
        options = {"loss": LOSSES[seed % 2], "C": 3.0, "tol": 1e-6, "max_iter": 3000}
        fit = solve(X, y, patience=2999, **options)
        assert fit.status != "stalled" or solve(X, y, **options).status != "converged"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarms")
@pytest.mark.parametrize("classes", [2, 12])
def test_intercepts_after_an_interrupted_certificate(classes):
    """Rows sorted by class: a sum of the duals' signs that ends early is far from that of all."""
    rng = np.random.default_rng(0)
    n, d = 40_000, 300
    y = np.sort(rng.integers(0, classes, n))
    X = rng.standard_normal((n, d)) + 0.05 * y[:, None]
    cd, alpha, W, S = kernel(X, y, "hinge", "unregularized", C=0.1, epochs=3)
    lanes = S.shape[1]
    b, out = np.empty(lanes), np.empty((lanes, 3))

    inside = False

    def interrupt(signum, frame):
        if inside:
            raise KeyboardInterrupt

    begin = time.perf_counter()
    cd.certify(np.ones(lanes, np.uint8), out)
    whole = time.perf_counter() - begin
    first = np.empty(lanes)
    cd.intercepts(first)
    old = signal.signal(signal.SIGALRM, interrupt)
    interrupted = 0
    try:
        for few in (False, True):
            chosen = np.ones(lanes, np.uint8)
            chosen[2:] = not few
            for share in np.linspace(0.1, 0.9, 9):
                signal.setitimer(signal.ITIMER_REAL, share * whole * (0.5 if few else 1))
                try:
                    inside = True
                    cd.certify(chosen, out)
                    inside = False
                except KeyboardInterrupt:
                    inside = False
                    interrupted += 1
                    cd.finish()
                signal.setitimer(signal.ITIMER_REAL, 0)
                cd.intercepts(b)
                assert_allclose(W, X.T @ (alpha * S), atol=1e-9 * alpha.sum())
                assert (np.abs(b - first) < 0.5 * (1 + np.abs(first))).all()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert interrupted


# ---- momentum


# w goes on at once, row by row with ||w||^2 summed up, row by row with that kept up to date.
MOMENTUM_SHAPES = pytest.mark.parametrize(
    ("n", "d", "per_row"), [(2000, 60, 30), (500, 2000, 15), (400, 20_000, 15)])  # fmt: skip


def correlated_problem(n, d, per_row, used=60):
    """Rows of positive numbers in the first few features, labels with noise."""
    rng = np.random.default_rng(0)
    X = random_array((n, used), density=per_row / used, format="csr", rng=rng,
                     data_sampler=rng.random)
    y = X @ rng.standard_normal(used) + 0.3 * rng.standard_normal(n) > 0
    return csr_array((X.data, X.indices, X.indptr), shape=(n, d)), y


@MOMENTUM_SHAPES
@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("weighted", [False, True])
def test_momentum_takes_fewer_epochs_to_the_same_optimum(
    monkeypatch, n, d, per_row, intercept, weighted
):
    X, y = correlated_problem(n, d, per_row)
    weight = np.random.default_rng(0).integers(0, 3, n).astype(float) if weighted else np.ones(n)
    monkeypatch.setattr(dual_cd, "POLISH_WORK", 0.0)
    epochs = []
    for momentum in (0.0, 0.75):
        monkeypatch.setattr(dual_cd, "MOMENTUM", dict.fromkeys(LOSSES, momentum))
        fit = solve(X, y, loss="hinge", C=1.0, intercept=intercept, tol=1e-5,
                    sample_weight=weight)
        verify(fit, X, y, loss="hinge", C=weight, intercept=intercept, tol=1e-5)
        epochs.append(fit.n_iter)
    assert epochs[1] < 0.75 * epochs[0]


@MOMENTUM_SHAPES
@pytest.mark.parametrize("loss", LOSSES)
def test_momentum_keeps_weights_and_sums_with_the_duals(n, d, per_row, loss):
    X, y = correlated_problem(n, d, per_row)
    cd, alpha, W, S = kernel(X, y, loss, "none", C=10.0, epochs=1)
    cd.momentum = 0.75
    log, estimates = np.empty((1, 6)), np.empty((1, 2))
    for epoch in range(1, 80):
        cd.advance(epoch + 1, 100, 100, 0, np.zeros(1), np.inf, estimates, log)
        assert log[0, 0] == epoch + 1
        w = X.T @ (alpha * S)
        assert_allclose(W, w, rtol=0, atol=1e-13 * alpha.sum())
        assert alpha.min() >= 0
        assert loss != "hinge" or alpha.max() <= 10.0
        diagonal = (alpha**2).sum() / 20.0 if loss == "squared_hinge" else 0.0
        dual = alpha.sum() - 0.5 * ((w**2).sum() + diagonal)
        # ||w||^2 is kept up to date with squared norms of rows of single precision.
        assert abs(log[0, 3] - dual) <= 1e-6 * alpha.sum()


# ---- one problem shared out among threads


@pytest.fixture
def always_shared(monkeypatch):
    """Problems are shared out however small they are; the solvers made, for a look inside."""
    solvers = []

    module = kernels("dual_cd")

    def make(*args):
        solvers.append(module.DualCD(*args))
        return solvers[-1]

    fake = SimpleNamespace(DualCD=make, LOSS_CODES=module.LOSS_CODES)
    monkeypatch.setattr(dual_cd, "kernels", lambda name: fake)
    monkeypatch.setattr(dual_cd, "THREADS_FROM", 0)
    monkeypatch.setattr(dual_cd, "PART_LENGTH", 1)
    monkeypatch.setattr(dual_cd, "available_cpus", lambda: 8)
    return solvers


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("layout", ["csr", "csr f32 i64", "dense"])
def test_shared_out_problem(loss, intercept, layout, always_shared):
    X, y = big_problem(2, d=1000)
    if layout == "dense":
        X = X.toarray()
    elif layout != "csr":
        X = X.astype(np.float32)
        X.indices = X.indices.astype(np.int64)
    weights = np.random.default_rng(5).random(1500) * (np.arange(1500) % 7 > 0)
    options = {"loss": loss, "intercept": intercept, "C": 2.0}
    for sample_weight in (None, weights):
        C = 2.0 if sample_weight is None else 2 * weights
        alone = solve(X, y, sample_weight=sample_weight, tol=1e-6, **options)
        for parts in (2, 3):
            fit = solve(X, y, sample_weight=sample_weight, tol=1e-6, parts=parts, threads=parts,
                        **options)
            assert always_shared[-1].shared == (layout != "dense")
            assert layout == "dense" or bits(fit) != bits(alone)
            verify(fit, X, y, loss=loss, C=C, intercept=intercept, tol=1e-6)
            assert_allclose(fit.primal, alone.primal, rtol=2e-6)
            assert fit.n_iter < 1.5 * alone.n_iter + 5


@pytest.mark.parametrize("loss", LOSSES)
def test_bits_depend_on_the_parts_but_not_on_the_threads(loss, always_shared):
    X, y = big_problem(2, d=1000)
    seen = set()
    for parts in (2, 5):
        fits = [solve(X, y, loss=loss, tol=1e-4, parts=parts, threads=threads)
                for threads in (1, 2, 3, 8, 2)]
        assert all(cd.shared for cd in always_shared)
        assert all(bits(fit) == bits(fits[0]) for fit in fits)
        seen.add(tuple(bits(fits[0])))
    assert len(seen) == 2
    with ThreadPoolExecutor(4) as pool:
        many = list(pool.map(lambda _: bits(solve(X, y, loss=loss, tol=1e-4, parts=5, threads=2)),
                             range(8)))
    assert set(map(tuple, many)) == {tuple(bits(fits[0]))}


@pytest.mark.usefixtures("always_shared")
def test_more_parts_than_openmp_has_threads(tmp_path):
    """Threads that wait for each other must not wait for one that does not exist."""
    code = """
import hashlib
import numpy as np
from scipy.sparse import random_array
from hingex.linear import LinearSVC
from hingex.solvers import dual_cd
dual_cd.THREADS_FROM, dual_cd.PART_LENGTH, dual_cd.available_cpus = 0, 1, lambda: 3
X = random_array((3000, 3000), density=0.05, format="csr", rng=np.random.default_rng(0))
X.data -= 0.5
y = np.asarray(X[:, [0]].toarray()).ravel() > 0
model = LinearSVC(n_jobs=3, tol=1e-5).fit(X, y)
print(model.coef_.tobytes().hex(), model.intercept_)
"""
    outs = [subprocess.run([sys.executable, "-c", code], env={**os.environ, **more}, check=True,
                           cwd=tmp_path, capture_output=True, text=True, timeout=60).stdout
            for more in ({}, {"OMP_THREAD_LIMIT": "1"}, {"OMP_THREAD_LIMIT": "2"},
                         {"OMP_DYNAMIC": "true"})]
    assert len(outs[0]) > 1000
    assert len(set(outs)) == 1


@pytest.mark.parametrize("alike", [dual_cd.ALIKE, np.inf])
@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("loss", LOSSES)
def test_rows_that_are_alike_are_not_scored_together(
    loss, intercept, alike, always_shared, monkeypatch
):
    """Steps of rows that do not know of each other add up, and the weights would explode."""
    monkeypatch.setattr(dual_cd, "ALIKE", alike)
    rng = np.random.default_rng(0)
    X = csr_array((1 + rng.random((4000, 100))) * (rng.random((4000, 100)) < 0.9))
    y = X @ rng.standard_normal(100)
    y = y > np.median(y)
    options = {"loss": loss, "intercept": intercept, "C": 1.0}
    fits = [solve(X, y, tol=1e-4, max_iter=30, parts=parts, **options) for parts in (1, 2)]
    assert not always_shared[-1].shared
    assert always_shared[-1].undone == (alike == np.inf)    # without a look at it first
    assert_allclose(fits[1].coef, fits[0].coef, rtol=1e-6)  # but for the order of some sums
    verify(fits[1], X, y, **options)
    for seconds in (1e-4, 1e-3, 2e-3, 4e-3, 8e-3, 16e-3):
        fit = solve(X, y, tol=1e-14, max_time=seconds, parts=2, threads=2, **options)
        assert fit.dual_objective[0] >= 0   # an epoch that does harm is undone, even half of it
        # Terms of a row's score, all alike, all but cancel, in whatever order they are added.
        verify(fit, X, y, rounding=1e-10, **options)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarms")
@pytest.mark.usefixtures("always_shared")
@pytest.mark.parametrize("start", [False, True])
def test_shared_out_problem_interrupted(start):
    def interrupt(signum, frame):
        raise KeyboardInterrupt

    X, y = big_problem(2, n=8000, d=1000)
    s = np.where(y == 1, 1.0, -1.0)
    options = {"loss": "hinge", "C": 10.0, "tol": 1e-14, "parts": 2, "threads": 2}
    if start:
        first = solve(X, y, **options | {"tol": 0.1})
        options["start"] = first.dual, first.intercept
    interrupted = 0
    old = signal.signal(signal.SIGALRM, interrupt)
    gc.disable()    # hypothesis is told of collections, and an exception would be lost there
    try:
        for seconds in np.linspace(2e-3, 40e-3, 12):
            signal.setitimer(signal.ITIMER_REAL, seconds)
            try:
                fit = solve(X, y, **options)
            except KeyboardInterrupt:   # before there is anything to keep
                continue
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            assert fit.status == "interrupted"
            interrupted += 1
            assert_allclose(fit.coef[0], X.T @ (fit.dual[:, 0] * s), atol=1e-9 * fit.dual.sum())
    finally:
        gc.enable()
        signal.signal(signal.SIGALRM, old)
    assert interrupted


@pytest.mark.usefixtures("always_shared")
def test_duals_that_change_while_nothing_is_shared(monkeypatch):
    """The parts' own copies of the duals follow: few rows are active, then all are again."""
    monkeypatch.setattr(dual_cd, "MOMENTUM", dict.fromkeys(LOSSES, 0.0))
    rng = np.random.default_rng(1)
    X = random_array((3000, 5000), density=0.066, format="csr", rng=rng,
                     data_sampler=rng.standard_normal)
    y = X @ (rng.standard_normal(5000) * (np.arange(5000) < 300)) > 0
    options = {"loss": "hinge", "C": 1e-3, "intercept": "none"}
    alone, fit = (solve(X, y, tol=1e-8, parts=parts, **options) for parts in (1, 2))
    active = fit.history["active"]
    assert active.min() < 640 < active[active.argmin() :].max()     # 640: 64 runs of ten rows
    assert fit.n_iter < alone.n_iter + 5
    verify(fit, X, y, tol=1e-8, **options)


def test_rows_with_indices_in_any_order_are_not_shared_out(always_shared):
    X, y = big_problem(2, d=1000)
    mixed = X.copy()
    for i in range(1500):
        row = slice(*X.indptr[i : i + 2])
        mixed.indices[row], mixed.data[row] = X.indices[row][::-1], X.data[row][::-1]
    # Certificates are shared out all the same, so the bits differ from those of a fit alone.
    fits = [solve(mixed, y, tol=1e-5, parts=2, threads=threads) for threads in (1, 2)]
    assert not any(cd.shared for cd in always_shared)
    assert bits(fits[0]) == bits(fits[1])
    assert fits[0].n_iter == solve(mixed, y, tol=1e-5).n_iter
    verify(fits[0], X, y, loss="squared_hinge", C=1.0, intercept="unregularized", tol=1e-5)


@pytest.mark.usefixtures("always_shared")
@pytest.mark.parametrize("loss", LOSSES)
def test_shared_out_problem_goes_on_from_a_start_and_ends_in_time(loss):
    X, y = big_problem(2, n=2000, d=1000)
    options = {"loss": loss, "C": 30.0, "parts": 2, "threads": 2}
    first = solve(X, y, tol=1e-2, **options)
    start = first.dual, first.intercept
    again = solve(X, y, tol=1e-2, start=start, **options)
    assert again.n_iter < first.n_iter
    verify(again, X, y, loss=loss, C=30.0, intercept="unregularized", tol=1e-2)
    for seconds in (1e-4, 1e-3, 3e-3, 0.01, 0.02, 0.05):
        fit = solve(X, y, tol=1e-14, max_time=seconds, **options)
        verify(fit, X, y, loss=loss, C=30.0, intercept="unregularized")


# ---- bits


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("n", [60, 1500])
def test_same_bits_whether_watched_or_not(loss, classes, n):
    X, y = big_problem(classes, n=n, d=n // 10)
    fits = [solve(X, y, loss=loss, tol=1e-4, callback=c) for c in (None, lambda state: False)]
    assert bits(fits[0]) == bits(fits[1])
    assert len(fits[0].history) == len(fits[1].history)


@pytest.fixture
def always_threads(monkeypatch):
    monkeypatch.setattr(dual_cd, "THREADS_FROM", 0)


def big_problem(classes, n=1500, d=400):
    rng = np.random.default_rng(1)
    X = csr_array(rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.1))
    y = (X @ rng.standard_normal((d, classes)) + rng.standard_normal((n, classes))).argmax(axis=1)
    return X, y


def bits(fit):
    return [np.ascontiguousarray(a).tobytes()
            for a in (fit.coef, fit.intercept, fit.dual, fit.primal, fit.dual_objective)]


@pytest.mark.usefixtures("always_threads")
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("classes", [3, 70])
@pytest.mark.parametrize("layout", ["csr", "csr f32 i64", "dense"])
@pytest.mark.parametrize("single_from", [0, 10**9])
def test_same_bits_for_any_number_of_threads(loss, classes, layout, single_from, monkeypatch):
    monkeypatch.setattr(dual_cd, "SINGLE_FROM", single_from)
    X, y = big_problem(classes, n=300 if classes == 70 else 1500)
    if layout == "dense":
        X = X.toarray()
    elif layout != "csr":
        X = X.astype(np.float32)
        X.indices = X.indices.astype(np.int64)
    first = solve(X, y, loss=loss, tol=1e-2, C=0.1)
    for threads in (2, 3):
        assert bits(solve(X, y, loss=loss, tol=1e-2, C=0.1, threads=threads)) == bits(first)
    other = solve(X, y, loss=loss, tol=1e-2, C=0.1, seed=1)
    assert bits(other) != bits(first)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("intercept", ["none", "regularized", "unregularized"])
@pytest.mark.parametrize("classes", [3, 7, 21, 70])
def test_single_precision_weights_are_only_a_start(loss, intercept, classes, monkeypatch):
    X, y = big_problem(classes, n=300)
    options = {"loss": loss, "C": 0.5, "intercept": intercept}
    fits = []
    for single_from in (0, 10**9):
        monkeypatch.setattr(dual_cd, "SINGLE_FROM", single_from)
        for tol in (1e-2, 1e-7):
            fits.append(solve(X, y, tol=tol, max_iter=10_000, **options))
            verify(fits[-1], X, y, **options)
    assert bits(fits[0]) != bits(fits[2])
    assert_allclose(fits[1].primal, fits[3].primal, rtol=1e-6)


@pytest.mark.usefixtures("always_threads")
def test_same_bits_from_many_threads_at_once():
    X, y = big_problem(3)
    jobs = [{"loss": loss, "threads": threads, "seed": seed, "tol": 1e-2, "C": 0.1}
            for loss in LOSSES for threads in (1, 2) for seed in (0, 1)]
    alone = [bits(solve(X, y, **job)) for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda job: bits(solve(X, y, **job)), jobs)) == alone


_ISA = """
import sys
import numpy as np
import hingex
from hingex import _validate
from hingex.solvers import dual_cd
from hingex.stop import Monitor
data = np.load(sys.argv[1])
print(hingex.build_info()["instruction_set"])
for X in (data["X"], data["X"].astype("f4"), np.asfortranarray(data["X"])):
    for y in (data["y"], data["y"] == 0):
        rows = _validate.as_rows(X)
        classes, codes = _validate.encode_labels(y, rows.n)
        fit = dual_cd.solve(rows, codes, len(classes), loss="hinge", C=1.0, cost=None,
            intercept="unregularized", scaling=1.0, tol=1e-8, max_iter=100000, max_time=None,
            threads=1, seed=0, monitor=Monitor())
        print(*fit.primal)
"""


def test_same_optimum_with_baseline_instructions(tmp_path):
    X, y = random_problem(9, n=120, d=19, classes=3)
    np.savez(tmp_path / "data.npz", X=X, y=y)
    answers = []
    for isa in ("baseline", ""):
        out = subprocess.run([sys.executable, "-c", _ISA, tmp_path / "data.npz"], text=True,
                             env=os.environ | {"HINGEX_ISA": isa}, cwd=tmp_path, check=True,
                             capture_output=True, timeout=100).stdout.split("\n", 1)
        answers.append(out)
    assert answers[0][0] == "baseline"
    assert_allclose(np.fromstring(answers[0][1], sep=" "), np.fromstring(answers[1][1], sep=" "),
                    rtol=2e-7)
