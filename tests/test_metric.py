# SPDX-License-Identifier: BSD-3-Clause
"""LMNN: objective and gradient against all triplets, searches that are exact, bad input."""

import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import hingex
from hingex import LMNN
from hingex._core import kernels
from hingex.solvers import lmnn
from hingex.stop import Monitor


def objective(L, X, y, targets, r, loss):
    """All triplets, one after another."""
    Z = X @ L.T
    D = ((Z[:, None] - Z) ** 2).sum(axis=2)
    total = 0.0
    for i in range(len(y)):
        for j in targets[i][targets[i] >= 0]:
            slack = np.maximum(1 + D[i, j] - D[i, y != y[i]], 0)
            total += r * D[i, j] + (1 - r) * (slack if loss == "hinge" else slack**2).sum()
    return total


def data(n=60, d=5, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    X = rng.normal(size=(n, d))
    X[:, 0] += 2 * y
    return X, y.astype(np.int32)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["hinge", "squared_hinge"]))
def test_objective_and_gradient_are_those_of_all_triplets(seed, loss):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(4, 50)), int(rng.integers(1, 7))
    p = int(rng.integers(1, d + 1))
    X, y = rng.normal(size=(n, d)), rng.integers(0, 3, n).astype(np.int32)
    y[:2] = 0
    start = rng.normal(size=(p, d))
    work = lmnn._Descent(X, y, start, 3, loss, 0.3, Monitor(), None)
    # One after the other without a new search where that is not needed: all are exact.
    for _ in range(6):
        L = start + rng.normal(size=start.shape) * 10.0 ** rng.uniform(-4, 0.5)
        value, gradient = work._evaluate(L.ravel())
        assert_allclose(value, objective(L, X, y, work.targets, 0.3, loss), rtol=1e-9)
        if loss == "squared_hinge":
            step = rng.normal(size=L.shape)
            ahead, behind = (work._evaluate((L + h * step).ravel())[0] for h in (1e-6, -1e-6))
            assert_allclose((ahead - behind) / 2e-6, gradient @ step.ravel(), rtol=1e-4,
                            atol=1e-5 * abs(value))


def test_small_moves_need_no_search():
    X, y = data(200)
    work = lmnn._Descent(X, y, np.eye(5), 3, "hinge", 0.5, Monitor(), None)
    work._evaluate(np.eye(5).ravel())
    assert work.searches == 1
    work._evaluate((np.eye(5) * 1.001).ravel())
    assert work.searches == 1
    work._evaluate((np.eye(5) * 2).ravel())  # the margin stays 1: what is near changes
    work._evaluate((np.eye(5) * [3, 1, 1, 0, 1]).ravel())
    assert work.searches >= 2


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_targets_are_the_nearest_of_the_class(monkeypatch, block, form):
    monkeypatch.setattr(lmnn, "BLOCK", block)
    X, y = data(50)
    y[0] = 7 - 4  # a class with one row
    targets = lmnn.target_neighbors(form(X), y, 4)
    D = ((X[:, None] - X) ** 2).sum(axis=2)
    np.fill_diagonal(D, np.inf)
    for i in range(50):
        own = np.flatnonzero((y == y[i]) & (np.arange(50) != i))
        expected = own[np.argsort(D[i, own])][:4]
        assert_array_equal(targets[i][: len(expected)], expected)
        assert (targets[i][len(expected):] == -1).all()


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_fit_lowers_the_objective_and_the_error(loss):
    rng = np.random.default_rng(0)
    X, y = data(300, 6, 3, 1)
    X[:, 3:] *= 5  # noise that hides the classes
    X_test, y_test = data(300, 6, 3, 2)
    X_test[:, 3:] *= 5
    labels = np.array(["x", "y", "z"])[y]
    model = LMNN(loss=loss, max_iter=60, tol=1e-4).fit(X, labels)
    targets = lmnn.target_neighbors(X, y, 3)
    assert_allclose(model.objective_, objective(model.components_, X, y, targets, 0.5, loss))
    assert model.objective_ < 0.5 * objective(np.eye(6), X, y, targets, 0.5, loss)
    # A (local) minimum: no small step lowers it by more than the tolerance.
    for _ in range(20):
        near = model.components_ + 1e-3 * rng.normal(size=(6, 6)) * np.abs(model.components_).max()
        assert objective(near, X, y, targets, 0.5, loss) > model.objective_ * (1 - 5e-3)

    def error(A, B):
        D = ((B[:, None] - A) ** 2).sum(axis=2)
        return (y[D.argmin(axis=1)] != y_test).mean()

    assert error(model.transform(X), model.transform(X_test)) < error(X, X_test)
    assert_array_equal(model.classes_, ["x", "y", "z"])
    assert (np.diff(model.history_["primal"]) <= 0).all()


def test_forms_of_data_agree():
    X, y = data(80)
    X = np.round(X * 8) / 8
    expected = LMNN(max_iter=5, tol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected.fit(X, y)
        for form in (X.astype(np.float32), np.asfortranarray(X), sp.csr_matrix(X), sp.csr_array(X),
                     X.tolist()):
            model = LMNN(max_iter=5, tol=1e-12).fit(form, y)
            assert_allclose(model.objective_, expected.objective_, rtol=1e-3)
            assert_allclose(model.transform(form), form @ model.components_.T, rtol=1e-4,
                            atol=1e-4)
        single = LMNN(max_iter=2).fit(X.astype(np.float32), y)
    assert single.transform(X.astype(np.float32)).dtype == np.float32
    assert single.components_.dtype == np.float64


def test_same_bits_each_time_and_pickle():
    X, y = data(120)
    first, second = (LMNN(tol=1e-3).fit(X, y) for _ in range(2))
    assert_array_equal(first.components_, second.components_)
    copy = pickle.loads(pickle.dumps(first))
    assert_array_equal(copy.transform(X), first.transform(X))
    assert_allclose(first.get_mahalanobis_matrix(), first.components_.T @ first.components_)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_components_and_where_they_begin(form):
    X, y = data(80)
    X = X * [1, 1, 5, 1, 3]
    model = LMNN(n_components=2, tol=1e-3).fit(form(X), y)
    assert model.components_.shape == (2, 5)
    assert model.transform(form(X)).shape == (80, 2)
    start = model._start(form(X), 5)
    assert_allclose(start @ start.T, np.eye(2), atol=1e-12)
    spread = np.linalg.svd(X - X.mean(axis=0), compute_uv=False)[:2]
    assert_allclose(np.linalg.norm((X - X.mean(axis=0)) @ start.T, axis=0), spread)
    given = np.random.default_rng(0).normal(size=(3, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        begun = LMNN(n_components=3, init=given, max_iter=1).fit(X, y)
    assert begun.components_.shape == (3, 5)


def test_a_class_with_one_row_pushes_and_has_no_targets():
    X, y = data(60)
    y = y.copy()
    y[0] = 9
    model = LMNN(tol=1e-4).fit(X, y)
    targets = lmnn.target_neighbors(X, np.unique(y, return_inverse=True)[1].astype(np.int32), 3)
    assert (targets[0] == -1).all()
    assert_allclose(model.objective_, objective(model.components_, X, y, targets, 0.5, "hinge"))


def test_limits_callback_and_ctrl_c():
    X, y = data(100)
    seen = []
    with pytest.warns(hingex.ConvergenceWarning, match="the callback stopped it"):
        model = LMNN(callback=lambda s: seen.append(s) or s.epoch == 3, tol=1e-9).fit(X, y)
    assert model.n_iter_ == 3
    assert [s.epoch for s in seen] == [1, 2, 3]
    with pytest.warns(hingex.ConvergenceWarning, match="max_iter=2 was reached"):
        LMNN(max_iter=2, tol=1e-9).fit(X, y)
    with pytest.warns(hingex.ConvergenceWarning, match="max_time was reached"):
        LMNN(max_time=1e-9, tol=1e-9).fit(X, y)

    def interrupt(state):
        if state.epoch == 2:
            raise KeyboardInterrupt

    model = LMNN(callback=interrupt, tol=1e-9)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert np.isfinite(model.transform(X)).all()


@pytest.mark.parametrize(("params", "y", "text"), [
    ({"n_neighbors": 0}, None, "n_neighbors"), ({"loss": "logistic"}, None, "loss must be"),
    ({"regularization": 1.0}, None, "regularization must lie in 0..1, without 1"),
    ({"n_components": 9}, None, "n_components must be at most the number of features, 3; got 9"),
    ({"init": "random"}, None, "init must be"),
    ({"init": np.eye(2)}, None, r"init must be finite .* shape \(3, 3\).*got shape \(2, 2\)"),
    ({"init": np.full((3, 3), np.nan)}, None, "init must be finite numbers.*with NaN or infinity"),
    ({"tol": 0}, None, "tol"), ({"max_time": -1}, None, "max_time"), ({}, [1] * 6, "at least 2"),
    ({}, range(6), "every class of y has one row"), ({}, [0, 1], "X has 6 rows"),
])
def test_bad_input(params, y, text):
    with pytest.raises((ValueError, TypeError), match=text):
        LMNN(**params).fit(np.eye(6)[:, :3], [0, 0, 0, 1, 1, 1] if y is None else list(y))


def test_bad_data():
    X, y = data(20)
    model = LMNN(tol=1e-2).fit(X, y)
    with pytest.raises(ValueError, match="X has 3 features, but LMNN is expecting 5"):
        model.transform(X[:, :3])
    with pytest.raises(ValueError, match="NaN"):
        model.transform(np.full((2, 5), np.nan))
    with pytest.raises(hingex.NotFittedError):
        LMNN().transform(X)
    with pytest.raises(ValueError, match=r"row \d+ of X has a norm beyond 1e19"):
        LMNN().fit(X * 1e30, y)
    X[3, 1] = np.inf
    with pytest.raises(ValueError, match=r"infinity.*row 3, column 1"):
        LMNN().fit(X, y)


def test_kernels_refuse_arrays_that_do_not_fit():
    own = kernels("metric")
    with pytest.raises(ValueError, match="do not fit"):
        own.margins(np.zeros((3, 2)), np.zeros((3, 1), np.int32), np.zeros(3, np.int64),
                    np.empty(0, np.int32), 0.5, 0.5, False, np.zeros((3, 2)), np.zeros(3),
                    np.zeros(5))
    with pytest.raises(ValueError, match="do not fit"):
        own.near_others(np.zeros((2, 3), np.float32), np.zeros(3), np.zeros(3, np.int32), 2,
                        np.zeros(2), np.zeros(2, np.int64), None)


def test_it_follows_scikit_learn():
    checks = pytest.importorskip("sklearn.utils.estimator_checks",
                                 reason="scikit-learn is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checks.check_estimator(LMNN())
