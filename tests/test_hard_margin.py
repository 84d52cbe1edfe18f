# SPDX-License-Identifier: BSD-3-Clause
"""C = inf: exact solutions of separable data, and proofs that no plane separates the others."""

import pickle
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import linprog, minimize

import hingex
from hingex import ConvergenceWarning, LinearSVC, NotSeparableError

KINDS = {
    "none": {"fit_intercept": False},
    "regularized": {"intercept": "regularized", "intercept_scaling": 2.0},
    "unregularized": {},
}
CONSTANT = {"none": 0.0, "regularized": 2.0, "unregularized": 1.0}


def separable(n=150, d=4, seed=0, gap=0.2, kind="unregularized"):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    f = X @ rng.normal(size=d) + (0.0 if kind == "none" else 0.3)
    keep = np.abs(f) > gap
    return X[keep], (f[keep] > 0).astype(int)


def check_optimum(X, y, model, kind, tol):
    """The certificate, recomputed: a feasible model, and duals that bound every other one."""
    X = X.toarray() if sparse.issparse(X) else np.asarray(X, dtype=float)
    coef, b = np.atleast_2d(model.coef_), model.intercept_
    signed = model.dual_coef_.reshape(len(X), -1)
    for k in range(len(coef)):
        sign = np.where(y == (model.classes_[k] if len(coef) > 1 else model.classes_[1]), 1.0, -1.0)
        assert (sign * (X @ coef[k] + b[k])).min() >= 1 - 1e-9
        alpha = sign * signed[:, k]
        assert alpha.min() >= 0
        v, s = X.T @ signed[:, k], signed[:, k].sum()
        primal, dual = 0.5 * coef[k] @ coef[k], alpha.sum() - 0.5 * v @ v
        if kind == "regularized":
            primal += 0.5 * (b[k] / 2.0) ** 2
            dual -= 0.5 * (2.0 * s) ** 2
        if kind == "unregularized":
            assert abs(s) <= 1e-12 * alpha.sum()
        assert primal == pytest.approx(model.primal_objective_[k], rel=1e-9)
        assert dual == pytest.approx(model.dual_objective_[k], rel=1e-9)
        assert (primal - dual) / primal <= tol + 1e-12
        assert model.duality_gap_[k] <= tol


def check_proof(X, sign, error, kind):
    X = X.toarray() if sparse.issparse(X) else np.asarray(X, dtype=float)
    weights = error.weights
    assert weights.min() >= 0
    if kind == "unregularized":
        assert weights[sign > 0].sum() == pytest.approx(1)
        assert weights[sign < 0].sum() == pytest.approx(1)
        A = X
    else:
        assert weights.sum() == pytest.approx(1)
        A = np.c_[X, np.full(len(X), CONSTANT[kind])]
    off = A.T @ (weights * sign)
    assert (np.abs(off) <= 1e-8 * np.maximum(np.sqrt(weights @ A**2), 1e-300)).all()


@pytest.mark.parametrize("solver", ["auto", "dual_cd", "newton", "interior_point"])
@pytest.mark.parametrize("kind", KINDS)
def test_against_a_general_optimizer(kind, solver):
    X, y = separable(n=60, d=3, kind=kind)
    sign = 2.0 * y - 1
    constant = CONSTANT[kind]
    ridge = np.r_[1.0, 1, 1, 0.0 if kind == "unregularized" else 1.0]
    A = sign[:, None] * np.c_[X, np.full(len(X), constant)]
    start = LinearSVC("hinge", C=1e4, **KINDS[kind]).fit(X, y)
    x0 = np.r_[start.coef_[0], start.intercept_[0] / (constant or 1)]
    truth = minimize(
        lambda v: (0.5 * v @ (ridge * v), ridge * v), 1.1 * x0, jac=True, method="SLSQP",
        constraints={"type": "ineq", "fun": lambda v: A @ v - 1, "jac": lambda v: A},
        options={"ftol": 1e-14, "maxiter": 1000},
    )  # fmt: skip
    assert truth.success
    for loss in ("hinge", "squared_hinge"):
        if loss == "squared_hinge" and solver == "newton":
            continue
        model = LinearSVC(
            loss, C=np.inf, tol=1e-8, solver=solver, store_dual=True, **KINDS[kind]
        ).fit(X, y)
        check_optimum(X, y, model, kind, 1e-8)
        assert model.primal_objective_[0] == pytest.approx(truth.fun, rel=1e-6)
        np.testing.assert_allclose(model.coef_[0], truth.x[:3], rtol=1e-3, atol=1e-3)
        assert "C=inf" in model.solver_reason_


@pytest.mark.parametrize("kind", KINDS)
def test_wide_sparse_and_one_vs_rest(kind):
    rng = np.random.default_rng(1)
    X = sparse.random_array((90, 400), density=0.1, rng=rng, format="csr", dtype=np.float32)
    y = np.repeat(["a", "b", "c"], 30)
    model = LinearSVC(C=np.inf, tol=1e-6, store_dual=True, **KINDS[kind]).fit(X, y)
    check_optimum(X, y, model, kind, 1e-6)
    tall = np.eye(3)[np.repeat([0, 1, 2], 200)] * 8 + rng.normal(size=(600, 3))
    y = np.repeat([5, 7, 9], 200)
    model = LinearSVC(C=np.inf, tol=1e-6, store_dual=True).fit(tall, y)
    check_optimum(tall, y, model, "unregularized", 1e-6)
    assert list(model.history_["epoch"]) == list(range(1, model.n_iter_ + 1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_one_row_on_the_wrong_side(kind, seed):
    X, y = separable(seed=seed, kind=kind)
    own = X[y == 1]
    middle = np.argmin(((own - own.mean(axis=0)) ** 2).sum(axis=1))
    y[np.flatnonzero(y == 1)[middle]] = 0
    with pytest.raises(NotSeparableError, match="cannot be separated by a plane") as caught:
        LinearSVC(C=np.inf, **KINDS[kind]).fit(X, y)
    check_proof(X, 2.0 * y - 1, caught.value, kind)
    assert isinstance(caught.value, ValueError)
    again = pickle.loads(pickle.dumps(caught.value))
    np.testing.assert_array_equal(again.weights, caught.value.weights)
    assert str(again) == str(caught.value)


def test_proof_for_wide_data():
    rng = np.random.default_rng(2)
    X = sparse.random_array((120, 2500), density=0.02, rng=rng, format="csr")
    X = sparse.vstack([X, X[:1]]).tocsr()
    y = np.r_[rng.integers(0, 2, 120), 0]
    y[0] = 1
    with pytest.raises(NotSeparableError) as caught:
        LinearSVC(C=np.inf).fit(X, y)
    weights = caught.value.weights
    assert np.linalg.norm(X.T @ (weights * (2.0 * y - 1))) <= 1e-9
    assert set(np.flatnonzero(weights > 1e-6)) == {0, 120}


def test_which_class():
    X = np.array([[0.0], [1.0], [2.0]] * 5) + np.linspace(0, 0.1, 15)[:, None]
    y = np.array(["low", "middle", "high"] * 5)
    with pytest.raises(NotSeparableError, match="class 'middle' cannot be separated from the oth"):
        LinearSVC(C=np.inf).fit(X, y)


@given(st.integers(0, 10_000), st.sampled_from(sorted(KINDS)), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_agrees_with_linear_programming(seed, kind, d):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 14))
    X = np.round(rng.normal(size=(n, d)) * 2)  # ties and duplicates
    y = np.r_[0, 1, rng.integers(0, 2, n - 2)]
    sign = 2.0 * y - 1
    A = sign[:, None] * np.c_[X, np.full(n, CONSTANT[kind])]
    found = linprog(np.zeros(d + 1), A_ub=-A, b_ub=-np.ones(n), bounds=(None, None))
    try:
        model = LinearSVC(C=np.inf, tol=1e-6, store_dual=True, **KINDS[kind]).fit(X, y)
    except NotSeparableError as error:
        assert found.status == 2
        check_proof(X, sign, error, kind)
    else:
        assert found.status == 0
        check_optimum(X, y, model, kind, 1e-6)


def test_scales_and_offsets():
    X, y = separable(n=300, d=5)
    plain = LinearSVC(C=np.inf, tol=1e-8).fit(X, y)
    far = LinearSVC(C=np.inf, tol=1e-6).fit(X + 1e4, y)
    np.testing.assert_allclose(far.primal_objective_, plain.primal_objective_, rtol=1e-5)
    scaled = LinearSVC(C=np.inf, tol=1e-6, store_dual=True).fit(X * 10.0 ** np.arange(-3, 7, 2), y)
    check_optimum(X * 10.0 ** np.arange(-3, 7, 2), y, scaled, "unregularized", 1e-6)


def test_rows_without_weight_do_not_count():
    X, y = separable()
    plain = LinearSVC(C=np.inf, tol=1e-8).fit(X, y)
    weights = np.ones(len(y) + 1)
    weights[-1] = 0
    weights[:5] = 7.0
    model = LinearSVC(C=np.inf, tol=1e-8).fit(np.vstack([X, X[:1]]), np.r_[y, 1 - y[0]], weights)
    np.testing.assert_allclose(model.coef_, plain.coef_, rtol=1e-3)


def test_two_rows_are_halved():
    model = LinearSVC(C=np.inf, tol=1e-9, store_dual=True).fit([[0.0], [4.0]], [0, 1])
    assert model.coef_[0, 0] == pytest.approx(0.5)
    assert model.intercept_[0] == pytest.approx(-1)
    assert model.margin_width_[0] == pytest.approx(4)
    assert list(model.support_kind_) == [1, 1]


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_large_finite_costs(loss):
    X, y = separable()
    hard = LinearSVC(C=np.inf, tol=1e-6).fit(X, y)
    soft = LinearSVC(loss, C=1e10, tol=1e-6).fit(X, y)
    assert soft.converged_
    assert soft.primal_objective_[0] == pytest.approx(hard.primal_objective_[0], rel=1e-5)
    y[:3] ^= 1
    assert LinearSVC(loss, C=1e10, tol=1e-4).fit(X, y).converged_


def test_max_time_callback_and_wrong_parameters():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60_000, 40))
    y = (X[:, 0] > 0).astype(int)
    begin = perf_counter()
    with pytest.warns(ConvergenceWarning, match="max_time"):
        LinearSVC(C=np.inf, tol=1e-12, max_time=0.1).fit(X, y)
    assert perf_counter() - begin < 5
    seen = []
    X, y = separable()
    with pytest.warns(ConvergenceWarning, match="callback"):
        LinearSVC(C=np.inf, tol=1e-15, callback=lambda s: seen.append(s) or True).fit(X, y)
    assert [s.epoch for s in seen] == [1]
    with pytest.raises(ValueError, match=r"C=inf .* is for multi_class='ovr'"):
        LinearSVC(C=np.inf, multi_class="crammer_singer").fit(X, y)
    with pytest.raises(ValueError, match="C"):
        LinearSVC(C=-np.inf).fit(X, y)
    assert hingex.NotSeparableError is NotSeparableError


def test_rows_of_zeros_are_not_separable():
    with pytest.raises(hingex.NotSeparableError) as caught:
        LinearSVC(C=np.inf, fit_intercept=False).fit(np.zeros((4, 1)), [0, 1, 0, 1])
    assert caught.value.distance == 0
    assert caught.value.weights.sum() == pytest.approx(1)
