# SPDX-License-Identifier: BSD-3-Clause
"""The Newton and interior point solvers against certificates, KKT conditions and brute force."""

import importlib
import itertools
import math
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from hingex import LinearSVC
from hingex import _validate as check
from hingex._core import kernels
from hingex.stop import Monitor

SOLVER = {"hinge": "interior_point", "squared_hinge": "newton"}
LOSSES = sorted(SOLVER)
KINDS = ["none", "regularized", "unregularized"]
SCALING = 2.0


@pytest.fixture(autouse=True, params=["interior_point", "newton"])
def hinge_solver(request, monkeypatch):
    """Every test once with each of the solvers for the hinge loss."""
    monkeypatch.setitem(SOLVER, "hinge", request.param)


def solve(
    X, y, loss, *, C=1.0, cost=None, intercept="unregularized", tol=1e-9, classes=2, **options
):
    name = options.pop("solver", SOLVER[loss])
    defaults = {"max_iter": 500, "max_time": None, "threads": 1, "seed": 0, "scaling": SCALING,
                "monitor": Monitor(options.pop("callback", None)), "start": None}  # fmt: skip
    module = importlib.import_module(f"hingex.solvers.{name}")
    return module.solve(
        check.as_rows(X), np.asarray(y, dtype=np.int32), classes, loss=loss, C=C, cost=cost,
        intercept=intercept, tol=tol, **(defaults | options),
    )  # fmt: skip


def data(n=200, d=6, seed=0, noise=1.0, shift=0.3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) + shift
    y = (X @ rng.normal(size=d) + noise * rng.normal(size=n) > 0.2).astype(np.int32)
    return X, y


def objectives(X, sign, fit, lane, loss, cost, intercept):
    """P, D and the sum of y_i alpha_i in plain float64."""
    X = X.toarray() if sparse.issparse(X) else X
    X = np.asarray(X, dtype=np.float64)
    w, b, alpha = fit.coef[lane], fit.intercept[lane], fit.dual[:, lane]
    short = np.maximum(1 - sign * (X @ w + b), 0)
    primal = 0.5 * w @ w + cost @ (short if loss == "hinge" else short**2)
    v = X.T @ (alpha * sign)
    s = float(alpha @ sign)
    dual = alpha.sum() - 0.5 * v @ v
    if loss == "squared_hinge":
        used = cost > 0
        dual -= (alpha[used] ** 2 / (4 * cost[used])).sum()
    if intercept == "regularized":
        primal += 0.5 * (b / SCALING) ** 2
        dual -= 0.5 * (SCALING * s) ** 2
    return primal, dual, s


def check_certificate(X, codes, fit, loss, cost, intercept, tol):
    lanes = fit.coef.shape[0]
    assert fit.converged
    assert fit.status == "converged"
    for k in range(lanes):
        sign = np.where(codes == (k if lanes > 1 else 1), 1.0, -1.0)
        primal, dual, s = objectives(X, sign, fit, k, loss, cost, intercept)
        alpha = fit.dual[:, k]
        assert primal == pytest.approx(fit.primal[k], rel=1e-10)
        assert dual == pytest.approx(fit.dual_objective[k], rel=1e-10)
        assert (primal - dual) / primal <= tol + 1e-12
        assert fit.gap[k] <= tol
        assert alpha.min() >= 0
        assert not alpha[cost == 0].any()
        if loss == "hinge":
            assert (alpha <= cost).all()
        if intercept == "unregularized":
            assert abs(s) <= 1e-12 * alpha.sum()


# -- the Gram kernel


@pytest.mark.parametrize("constant", [0.0, 1.5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", ["C", "F", "strided", "csr", "csr64", "unsorted", "full csr"])
def test_gram_equals_numpy(form, dtype, constant):
    rng = np.random.default_rng(1)
    n, d = 700, 37
    X = rng.normal(size=(n, d)).astype(dtype)
    if "csr" in form or form == "unsorted":
        if form != "full csr":
            X[rng.random(X.shape) < 0.9] = 0
            X[::50] = 1  # some rows go through the buffer
        A = sparse.csr_array(X)
        if form == "csr64":
            A.indices, A.indptr = A.indices.astype(np.int64), A.indptr.astype(np.int64)
        if form == "unsorted":
            for i in range(n):
                part = slice(A.indptr[i], A.indptr[i + 1])
                A.indices[part], A.data[part] = A.indices[part][::-1], A.data[part][::-1].copy()
            A.has_sorted_indices = False
    elif form == "strided":
        A = np.repeat(X, 2, axis=1)[:, ::2]
    else:
        A = np.array(X, order=form)
    gram = kernels("gram").Gram(check.as_rows(A), constant)
    Xa = np.c_[X, np.full(n, constant)] if constant else X
    Xa = Xa.astype(np.float64)
    s = np.maximum(rng.normal(size=n), 0)
    G = np.zeros((gram.D, gram.D))
    assert gram.weighted(s, G)
    truth = Xa.T @ (s[:, None] * Xa)
    np.testing.assert_allclose(np.triu(G), np.triu(truth), rtol=0, atol=1e-12 * np.abs(truth).max())
    which = np.flatnonzero(s > 0.5).astype(np.int32)
    assert gram.weighted(s[which], G, which, -1.0)
    truth = Xa.T @ (np.where(s > 0.5, 0, s)[:, None] * Xa)
    np.testing.assert_allclose(np.triu(G), np.triu(truth), rtol=0, atol=1e-11 * np.abs(truth).max())

    w, r = rng.normal(size=gram.D), rng.normal(size=n)
    f, v = np.empty(n), np.empty(gram.D)
    gram.scores(w, f)
    gram.combine(r, v)
    np.testing.assert_allclose(f, Xa @ w, rtol=0, atol=1e-12 * np.abs(Xa).max() * d)
    np.testing.assert_allclose(v, Xa.T @ r, rtol=0, atol=1e-12 * np.abs(Xa).max() * n)


def test_gram_with_more_rows_than_the_buffer():
    X = np.random.default_rng(0).normal(size=(5000, 40))
    gram = kernels("gram").Gram(check.as_rows(X))
    G = np.zeros((40, 40))
    gram.weighted(np.ones(5000), G)
    np.testing.assert_allclose(np.triu(G), np.triu(X.T @ X), atol=1e-9)


def test_gram_checks_its_arrays():
    gram = kernels("gram").Gram(check.as_rows(np.ones((4, 3))))
    with pytest.raises(ValueError, match="fit"):
        gram.weighted(np.ones(4), np.zeros((4, 4)))
    with pytest.raises(ValueError, match="length"):
        gram.scores(np.ones(2), np.ones(4))
    with pytest.raises(ValueError, match="length"):
        gram.combine(np.ones(3), np.ones(3))


# -- certificates


@pytest.mark.parametrize("intercept", KINDS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("C", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("tol", [1e-3, 1e-9])
def test_certificate(loss, intercept, C, tol):
    X, y = data(n=400, d=8, noise=2.0)
    X = X * np.logspace(-2, 3, 8)  # badly scaled features
    fit = solve(X, y, loss, C=C, intercept=intercept, tol=tol)
    check_certificate(X, y, fit, loss, np.full(400, C), intercept, tol)
    history = fit.history
    assert list(history["epoch"]) == list(range(1, fit.n_iter + 1))
    assert history["gap"][-1] == fit.gap[0]
    assert history["certified"].all()
    if intercept == "none":
        assert fit.intercept[0] == 0


@pytest.mark.parametrize("intercept", KINDS)
@pytest.mark.parametrize("loss", LOSSES)
def test_costs_and_classes(loss, intercept):
    rng = np.random.default_rng(3)
    X = np.round(rng.normal(size=(300, 5)) * 3)
    X[:7] = 0
    codes = (X @ rng.normal(size=(5, 4)) + rng.normal(size=(300, 4))).argmax(axis=1)
    cost = rng.exponential(size=300)
    cost[rng.random(300) < 0.2] = 0
    A = sparse.csr_array(X.astype(np.float32))
    fit = solve(A, codes, loss, cost=cost, intercept=intercept, classes=4, tol=1e-8)
    assert fit.coef.shape == (4, 5)
    assert fit.dual.shape == (300, 4)
    check_certificate(X, codes, fit, loss, cost, intercept, 1e-8)
    alone = solve(A, codes == 2, loss, cost=cost, intercept=intercept, tol=1e-8)
    assert alone.primal[0] == pytest.approx(fit.primal[2], rel=2e-8)


@pytest.mark.parametrize("intercept", KINDS)
@pytest.mark.parametrize("loss", LOSSES)
def test_same_as_coordinate_descent(loss, intercept):
    X, y = data(seed=5)
    fit = solve(X, y, loss, intercept=intercept)
    other = solve(X, y, loss, intercept=intercept, solver="dual_cd", tol=1e-10, max_iter=100_000)
    assert fit.primal[0] == pytest.approx(other.primal[0], rel=1e-8)
    np.testing.assert_allclose(fit.coef, other.coef, atol=1e-4)
    np.testing.assert_allclose(fit.intercept, other.intercept, atol=1e-3)


def test_optimality_conditions_of_squared_hinge():
    X, y = data(seed=7)
    sign = 2.0 * y - 1
    fit = solve(X, y, "squared_hinge", C=0.7)
    alpha = 1.4 * np.maximum(1 - sign * (X @ fit.coef[0] + fit.intercept[0]), 0)
    np.testing.assert_allclose(fit.dual[:, 0], alpha, atol=1e-10)
    np.testing.assert_allclose(fit.coef[0], X.T @ (alpha * sign), atol=1e-9)
    assert abs(alpha @ sign) < 1e-9


def test_optimality_conditions_of_hinge():
    X, y = data(seed=8)
    sign = 2.0 * y - 1
    fit = solve(X, y, "hinge", C=0.7, tol=1e-10)
    alpha = fit.dual[:, 0]
    t = sign * (X @ fit.coef[0] + fit.intercept[0])
    np.testing.assert_allclose(fit.coef[0], X.T @ (alpha * sign), atol=1e-5)
    inside = (alpha > 0) & (alpha < 0.7)
    assert 1 <= inside.sum() <= X.shape[1] + 1
    np.testing.assert_allclose(t[inside], 1, atol=1e-4)
    assert (t[alpha == 0] > 1 - 1e-4).all()
    assert (t[alpha == 0.7] < 1 + 1e-4).all()


# -- against other ways to solve the problem


def brute_force_hinge(X, sign, C):
    """The dual with sum y_i alpha_i = 0, over all ways to put duals at 0, at C or inside."""
    n = len(sign)
    Q = (sign[:, None] * X) @ (sign[:, None] * X).T
    best = 0.0
    for choice in itertools.product((0, 1, 2), repeat=n):
        state = np.array(choice)
        alpha = np.where(state == 1, C, 0.0)
        free = np.flatnonzero(state == 2)
        m = len(free)
        if m:
            K = np.zeros((m + 1, m + 1))
            K[:m, :m] = Q[np.ix_(free, free)]
            K[m, :m] = K[:m, m] = sign[free]
            rhs = np.r_[1 - Q[free] @ alpha, -sign @ alpha]
            alpha[free] = np.linalg.lstsq(K, rhs, rcond=None)[0][:m]
        if abs(sign @ alpha) < 1e-9 and alpha.min() >= -1e-9 and alpha.max() <= C + 1e-9:
            best = max(best, alpha.sum() - 0.5 * alpha @ Q @ alpha)
    return best


@pytest.mark.parametrize("seed", range(4))
def test_hinge_against_brute_force(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(7, 2))
    y = np.array([0, 1, 0, 1, 1, 0, 1])
    C = [0.1, 1.0, 10.0, 0.5][seed]
    fit = solve(X, y, "hinge", C=C, tol=1e-10)
    assert fit.dual_objective[0] == pytest.approx(brute_force_hinge(X, 2.0 * y - 1, C), rel=1e-8)


@pytest.mark.parametrize("intercept", KINDS)
def test_squared_hinge_against_a_general_optimizer(intercept):
    from scipy.optimize import minimize

    X, y = data(n=60, d=3, seed=11)
    sign = 2.0 * y - 1

    ridge = {"none": 0.0, "regularized": SCALING**-2, "unregularized": 0.0}[intercept]
    feature = float(intercept != "none")

    def objective(v):
        short = np.maximum(1 - sign * (X @ v[:3] + feature * v[3]), 0)
        own = v * np.r_[1, 1, 1, ridge]
        slope = 2 * short * sign
        gradient = own - np.r_[X.T @ slope, feature * slope.sum()]
        return 0.5 * v @ own + short @ short, gradient

    best = minimize(objective, np.zeros(4), jac=True, method="BFGS", options={"gtol": 1e-9})
    fit = solve(X, y, "squared_hinge", intercept=intercept)
    assert fit.primal[0] == pytest.approx(best.fun, rel=1e-10)
    np.testing.assert_allclose(fit.coef[0], best.x[:3], atol=1e-6)
    if intercept != "none":
        assert fit.intercept[0] == pytest.approx(best.x[3], abs=1e-6)


@pytest.mark.parametrize("intercept", KINDS)
def test_weights_equal_repeated_rows(intercept):
    X, y = data(n=80, d=4, seed=13)
    times = np.random.default_rng(0).integers(0, 4, size=80)
    one = solve(X, y, "squared_hinge", cost=times.astype(float), intercept=intercept, tol=1e-3)
    other = solve(
        np.repeat(X, times, axis=0), np.repeat(y, times), "squared_hinge", intercept=intercept,
        tol=1e-3,
    )  # fmt: skip
    np.testing.assert_allclose(one.coef, other.coef, rtol=1e-7)
    np.testing.assert_allclose(one.intercept, other.intercept, rtol=1e-7)


# -- awkward data


@pytest.mark.parametrize("intercept", KINDS)
@pytest.mark.parametrize("loss", LOSSES)
def test_two_rows(loss, intercept):
    X, y = np.array([[-1.0], [1.0]]), [0, 1]
    fit = solve(X, y, loss, C=100.0, intercept=intercept)
    check_certificate(X, np.array(y), fit, loss, np.full(2, 100.0), intercept, 1e-9)
    exact = 1.0 if loss == "hinge" else 400 / 401
    assert fit.coef[0, 0] == pytest.approx(exact, rel=1e-4)
    assert fit.intercept[0] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("intercept", KINDS)
@pytest.mark.parametrize("loss", LOSSES)
def test_more_features_than_rows_duplicates_and_zeros(loss, intercept):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(20, 60))
    X = np.vstack([X, X, np.zeros((5, 60))])
    X[:, 7] = 0
    y = rng.integers(0, 2, size=len(X))
    fit = solve(X, y, loss, intercept=intercept, tol=1e-7)
    check_certificate(X, y, fit, loss, np.ones(len(X)), intercept, 1e-7)


@pytest.mark.parametrize("intercept", KINDS)
@pytest.mark.parametrize("loss", LOSSES)
def test_all_rows_zero(loss, intercept):
    X, y = np.zeros((6, 2)), np.array([0, 0, 1, 1, 1, 1])
    fit = solve(X, y, loss, intercept=intercept)
    check_certificate(X, y, fit, loss, np.ones(6), intercept, 1e-9)
    assert not fit.coef.any()


@pytest.mark.parametrize("loss", LOSSES)
def test_one_class_without_weight(loss):
    X, y = data(n=30, d=2)
    fit = solve(X, y, loss, cost=y.astype(float))
    assert fit.converged
    assert not fit.coef.any()
    assert fit.intercept[0] == 1
    assert fit.primal[0] == 0


@pytest.mark.parametrize("seed", [987, 1542, 2764])
def test_line_search_where_curvature_changes_fast(seed):
    # Features of sizes 1e-4 to 1e4. A step of 1.01 times the best size is worse than none here, and
    # Newton's method with such steps goes round in circles.
    rng = np.random.default_rng(seed)
    n, d = rng.integers(12, 60), rng.integers(4, 12)
    X = rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.3) * 10.0 ** rng.uniform(-2, 2, d)
    X *= 10.0 ** rng.uniform(-2, 2)
    y = rng.random(n) < 0.4
    C = 10.0 ** rng.uniform(0, 4)
    model = LinearSVC("squared_hinge", C=C, tol=1e-6, solver="newton", max_iter=40).fit(X, y)
    assert model.converged_  # without a warning, which would be an error


@pytest.mark.parametrize("loss", LOSSES)
def test_large_values_and_offsets(loss):
    X, y = data(n=300, d=4, seed=21)
    X = X * 1e4 + 1e5
    fit = solve(X, y, loss, tol=1e-6)
    check_certificate(X, y, fit, loss, np.ones(300), "unregularized", 1e-6)


@pytest.mark.parametrize("intercept", KINDS)
@pytest.mark.parametrize("C", [1.0, 1e3])
def test_many_unscaled_rows(intercept, C):
    # Hundreds of rows in the way of a step, few of them free at the end.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 24))
    X[:, 8:] = X[:, 8:] > 1
    X[:, :8] = (X[:, :8] + 3) * np.logspace(0, 3.5, 8)
    score = (X - X.mean(axis=0)) / X.std(axis=0) @ rng.normal(size=24)
    y = (score + 3 * rng.normal(size=len(X)) > 0).astype(np.int32)
    fit = solve(X, y, "hinge", C=C, intercept=intercept, tol=1e-6)
    check_certificate(X, y, fit, "hinge", np.full(len(X), C), intercept, 1e-6)
    assert fit.n_iter < 60


@pytest.mark.parametrize("loss", LOSSES)
def test_too_large_values(loss):
    X = np.ones((4, 2))
    X[2] = 1e200
    with pytest.raises(ValueError, match="row 2 of X has a norm"):
        solve(X, [0, 1, 0, 1], loss)


def test_wrong_loss():
    X, y = data(n=10)
    with pytest.raises(ValueError, match="hinge"):
        solve(X, y, "squared_hinge", solver="interior_point")


# -- starts and stops


@pytest.mark.parametrize("intercept", KINDS)
@pytest.mark.parametrize("loss", LOSSES)
def test_warm_start(loss, intercept):
    X, y = data(n=300, noise=2.0)
    cold = solve(X, y, loss, intercept=intercept, tol=1e-8)
    warm = solve(
        X, y, loss, C=1.1, intercept=intercept, tol=1e-8, start=(cold.dual, cold.intercept)
    )
    check_certificate(X, y, warm, loss, np.full(300, 1.1), intercept, 1e-8)
    if loss == "squared_hinge":
        assert warm.n_iter <= cold.n_iter


@pytest.mark.parametrize("loss", LOSSES)
def test_stops_are_honest(loss):
    X, y = data(n=500, d=10, noise=3.0)
    seen = []
    few = solve(X, y, loss, max_iter=1, tol=1e-12)
    asked = solve(X, y, loss, tol=1e-12, callback=lambda s: seen.append(s) or True)
    late = solve(X, y, loss, tol=1e-12, max_time=1e-9)
    for fit, status in ((few, "max_iter"), (asked, "callback"), (late, "max_time")):
        assert fit.status == status
        assert not fit.converged
        primal, dual, s = objectives(X, 2.0 * y - 1, fit, 0, loss, np.ones(500), "unregularized")
        assert primal == pytest.approx(fit.primal[0], rel=1e-10)
        assert dual == pytest.approx(fit.dual_objective[0], rel=1e-10, abs=1e-10)
        assert abs(s) < 1e-9
        assert fit.gap[0] == pytest.approx((primal - dual) / primal)
    assert few.n_iter == 1
    assert [s.epoch for s in seen] == [1]


@pytest.mark.skipif(os.name == "nt", reason="raises SIGINT")
@pytest.mark.parametrize("loss", LOSSES)
def test_ctrl_c(loss):
    X, y = data(n=300_000, d=60, noise=3.0)
    timer = threading.Timer(0.02, lambda: os.kill(os.getpid(), signal.SIGINT))

    def begin(state):  # not before, when data may still be looked at
        if state.epoch == 1:
            timer.start()

    fit = solve(X, y, loss, tol=1e-15, callback=begin)
    timer.join()
    assert fit.status == "interrupted"
    assert not fit.converged
    assert fit.gap[0] <= 1.0
    assert np.isfinite(fit.coef).all()


# -- real data


@pytest.mark.skipif("HINGEX_DATA" not in os.environ, reason="HINGEX_DATA names no data folder")
@pytest.mark.parametrize("C", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ["svmguide1", "satimage", "splice", "phishing", "mushrooms"])
def test_real_data(name, loss, C):
    z = np.load(Path(os.environ["HINGEX_DATA"]) / name / "train.npz")
    X = sparse.csr_array((z["data"], z["indices"], z["indptr"]), shape=tuple(z["shape"]))
    codes = np.unique(z["y"], return_inverse=True)[1]
    codes = (codes >= math.ceil(codes.max() / 2)).astype(np.int32)
    for intercept in KINDS:
        fit = solve(X, codes, loss, C=C, intercept=intercept, tol=1e-6)
        check_certificate(X, codes, fit, loss, np.full(len(codes), C), intercept, 1e-6)
