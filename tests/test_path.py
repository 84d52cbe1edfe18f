# SPDX-License-Identifier: BSD-3-Clause
"""Paths over C: certificates, agreement with single fits, order, limits."""

import os
import signal
import threading
from time import perf_counter
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

import hingex
from hingex import LinearSVC
from hingex._validate import as_rows
from hingex.solvers.path import _best_step

LOSSES = ["hinge", "squared_hinge"]
KINDS = [{}, {"intercept": "regularized", "intercept_scaling": 2.0}, {"fit_intercept": False}]


def data(n=120, d=7, classes=2, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    centres = rng.normal(size=(classes, d))
    return centres[y] + noise * rng.normal(size=(n, d)), y


def wide(n=1500, d=4000, per_row=30, seed=0):
    """Sparse rows, too many for fits to be polished."""
    rng = np.random.default_rng(seed)
    indices = np.sort(rng.permuted(np.tile(np.arange(d), (n, 1)), axis=1)[:, :per_row], axis=1)
    X = csr_array((rng.normal(size=n * per_row), indices.ravel(),
                   np.arange(0, n * per_row + 1, per_row)), shape=(n, d))
    return X, (X @ rng.normal(size=d) + rng.normal(size=n) > 0).astype(int)


def primal(model, X, y, C, weights=1.0):
    """The objective of each lane, from the coefficients alone."""
    f = X @ model.coef_.T + model.intercept_
    classes = model.classes_[1:] if len(model.classes_) == 2 else model.classes_
    t = np.where(y[:, None] == classes, 1.0, -1.0) * f
    slack = np.maximum(0.0, 1.0 - t) ** (1 if model.loss == "hinge" else 2)
    penalty = 0.5 * (model.coef_**2).sum(axis=1)
    if model.fit_intercept and model.intercept == "regularized":
        penalty = penalty + 0.5 * (model.intercept_ / model.intercept_scaling) ** 2
    return penalty + (C * np.broadcast_to(weights, len(y))) @ slack


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("solver", ["dual_cd", "second", "auto"])
def test_agrees_with_single_fits(loss, kind, classes, solver):
    if solver == "second":
        solver = "interior_point" if loss == "hinge" else "newton"
    X, y = data(classes=classes)
    weights = np.random.default_rng(2).integers(0, 3, len(y)) * 0.5
    Cs = [1e-3, 0.05, 0.4, 0.1, 7.0]
    svc = LinearSVC(loss, tol=1e-6, solver=solver, class_weight={1: 2.0}, max_iter=20_000, **kind)
    path = svc.path(X, y, Cs, sample_weight=weights)
    assert path.Cs.tolist() == Cs
    assert path.converged.all()
    assert (path.gaps <= 1e-6).all()
    assert_allclose(path.gaps * path.objectives, path.objectives - path.dual_objectives,
                    rtol=1e-6, atol=1e-12 * path.objectives.max())
    for i, C in enumerate(Cs):
        model = path.model(i)
        assert model.C == C
        row_weights = weights * np.where(y == 1, 2.0, 1.0)
        assert_allclose(primal(model, X, y, C, row_weights), path.objectives[i], rtol=1e-9)
        single = LinearSVC(**svc.get_params() | {"C": C}).fit(X, y, sample_weight=weights)
        # Both are within tol of the optimum, and each has a bound on what the other can reach.
        assert (path.objectives[i] >= single.dual_objective_ * (1 - 1e-9)).all()
        assert (single.primal_objective_ >= path.dual_objectives[i] * (1 - 1e-9)).all()
        assert_allclose(model.decision_function(X), single.decision_function(X), atol=0.02)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", KINDS)
def test_sparse_and_wide(loss, kind):
    """Beyond polishing, where shrinking is handed on."""
    X, y = wide()
    path = LinearSVC(loss, solver="dual_cd", **kind).path(X, y, 12)
    assert (path.gaps <= 1e-3).all()
    for i, C in enumerate(path.Cs):
        assert_allclose(primal(path.model(i), X, y, C), path.objectives[i], rtol=1e-9)
        single = LinearSVC(loss, solver="dual_cd", C=C, **kind).fit(X, y)
        assert path.dual_objectives[i, 0] <= single.primal_objective_[0] * (1 + 1e-12)
        assert single.dual_objective_[0] <= path.objectives[i, 0] * (1 + 1e-12)
    assert (np.diff(path.objectives[:, 0]) >= -2e-3 * path.objectives[1:, 0]).all()


def test_one_vs_rest_wide():
    X, _ = wide()
    y = np.random.default_rng(1).integers(0, 5, X.shape[0])
    path = LinearSVC(solver="dual_cd").path(X, y, [0.01, 0.1, 1.0, 10.0])
    for i, C in enumerate(path.Cs):
        assert path.coefs[i].shape == (5, X.shape[1])
        assert_allclose(primal(path.model(i), X, y, C), path.objectives[i], rtol=1e-9)
    assert (path.gaps <= 1e-3).all()


def test_fewer_epochs_than_cold_fits():
    X, y = wide()
    for loss in LOSSES:
        svc = LinearSVC(loss, solver="dual_cd")
        path = svc.path(X, y, 20)
        cold = sum(LinearSVC(loss, solver="dual_cd", C=C).fit(X, y).n_iter_ for C in path.Cs)
        assert path.n_iter.sum() < 0.7 * cold


def test_order_and_repetition_do_not_matter():
    X, y = data()
    path = LinearSVC().path(X, y, [1.0, 0.01, 1.0, 10.0])
    other = LinearSVC().path(X, y, [10.0, 0.01, 1.0])
    assert np.array_equal(path.coefs[[3, 1, 0]], other.coefs)
    assert np.array_equal(path.coefs[0], path.coefs[2])
    assert len(path) == 4


def test_model_is_a_whole_estimator(tmp_path):
    X, y = data(classes=3)
    labels = np.array(["a", "b", "c"])[y]
    svc = LinearSVC("hinge", random_state=3)
    path = svc.path(X, labels, [0.1, 1.0])
    assert not hasattr(svc, "coef_")
    model = path.model(-1)
    assert model.get_params() == svc.get_params() | {"C": 1.0}
    assert model.score(X, labels) > 0.6
    assert model.solver_ == path.solvers[1]
    assert model.n_features_in_ == 7
    assert len(model.history_) > 0
    model.save(tmp_path / "m")
    assert np.array_equal(hingex.load(tmp_path / "m").predict(X), model.predict(X))
    with pytest.raises(IndexError):
        path.model(2)
    assert "2 C from 0.1 to 1" in repr(path)


def test_integer_Cs():
    X, y = data()
    path = LinearSVC().path(X, y, 5)
    assert_allclose(path.Cs, [1e-3, 10**-1.5, 1, 10**1.5, 1e3])
    assert LinearSVC().path(X, y, 1).Cs.tolist() == [1.0]


@pytest.mark.parametrize(("Cs", "said"), [
    ([], "at least one C"), ([1.0, 0.0], "position 1"), ([-1.0], "positive"),
    ([np.nan], "got nan"), ([[1.0]], "1-D"), ("abc", "array of positive"), (0, "positive integer"),
    (True, "array of positive"), ([1e-300], "C must lie"), ([np.inf], "finite"),
    (["x"], "must hold numbers"),
])  # fmt: skip
def test_bad_Cs(Cs, said):
    X, y = data()
    with pytest.raises((ValueError, TypeError), match=said):
        LinearSVC().path(X, y, Cs)


def test_bad_weights():
    X, y = data()
    weights = np.ones(len(y))
    weights[3] = np.nan
    with pytest.raises(ValueError, match="row 3"):
        LinearSVC().path(X, y, [1.0], sample_weight=weights)
    with pytest.raises(ValueError, match="class 1 has no row"):
        LinearSVC().path(X, y, [1.0], sample_weight=(y == 0) * 1.0)


def hard(n=20_000, d=300):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d)) * np.logspace(0, 3, d)
    return X, (rng.random(n) < 0.5).astype(int)


def test_max_time_holds_for_all_C():
    X, y = hard()
    begin = perf_counter()
    with pytest.warns(hingex.ConvergenceWarning, match="did not come to"):
        path = LinearSVC(solver="dual_cd", max_time=1.0, tol=1e-9).path(X, y, 20)
    assert perf_counter() - begin < 2.5  # reading X, a certificate, and a busy machine
    assert not path.converged.all()
    unknown = [i for i, name in enumerate(path.solvers) if not name]
    assert unknown
    assert np.isnan(path.coefs[unknown]).all()
    with pytest.raises(ValueError, match="was not reached"):
        path.model(unknown[0])


def test_callback_stops_the_path():
    X, y = wide()
    seen = []
    with pytest.warns(hingex.ConvergenceWarning, match="did not come to"):
        path = LinearSVC(callback=lambda state: seen.append(state) or len(seen) > 5).path(X, y, 9)
    assert 5 < len(seen) < 9
    assert np.isfinite(path.coefs[0]).all()
    assert path.solvers[-1] == ""


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_leaves_what_was_reached():
    X, y = hard()
    timer = threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt) as stop:
        LinearSVC(solver="dual_cd", tol=1e-10).path(X, y, 20)
    path = stop.value.path
    assert path.solvers[-1] == ""
    assert np.isfinite(path.coefs[[bool(name) for name in path.solvers]]).all()


def test_a_stalled_path_switches_solvers():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 8)) * np.logspace(0, 3, 8)
    y = (X @ (rng.normal(size=8) / np.logspace(0, 3, 8)) + rng.normal(size=3000) > 0).astype(int)
    path = LinearSVC("hinge", tol=1e-6).path(X, y, [1e-2, 1.0, 100.0])
    assert path.converged.all()
    assert path.solvers[-1] == "newton"
    for i, C in enumerate(path.Cs):
        assert_allclose(primal(path.model(i), X, y, C), path.objectives[i], rtol=1e-9)


@pytest.mark.parametrize("scheme", ["crammer_singer", "weston_watkins", "lee_lin_wahba"])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_joint_problem_has_one_objective(scheme, classes):
    X, y = data(classes=classes)
    svc = LinearSVC(multi_class=scheme, tol=1e-8)
    path = svc.path(X, y, Cs=[0.3, 0.03])
    lanes = 1 if classes == 2 else classes
    assert path.gaps.shape == path.objectives.shape == path.dual_objectives.shape == (2, 1)
    assert path.coefs.shape == (2, lanes, 7)
    one = svc.set_params(C=0.3).fit(X, y)
    assert path.model(0).primal_objective_.shape == one.primal_objective_.shape == (1,)
    assert_allclose(path.objectives[0], one.primal_objective_, rtol=1e-7)
    assert_allclose(path.coefs[0], one.coef_, atol=1e-3)


@pytest.mark.parametrize("size", [0.0, 4.0, np.inf])
@pytest.mark.parametrize("scale", [0.02, 1.0, 50.0])
def test_best_step_between_duals(size, scale):
    """Against the dual at many points between; the intercept of a Lagrangian stays where it is."""
    rng = np.random.default_rng(0)
    X, y = data(n=40)
    signs = np.where(y == 1, 1.0, -1.0)
    before = rng.uniform(0, scale, (40, 1))
    after = before + rng.uniform(-scale, 2 * scale, (40, 1))
    b = {0.0: 0.0, np.inf: 0.3}.get(size, size * float(signs @ before[:, 0]))
    fit = SimpleNamespace(coef=(X.T @ (signs * before[:, 0]))[None], intercept=np.array([b]))
    step, change = _best_step(as_rows(X), y.astype(np.int32), before, after, fit, size)
    assert_allclose(change[:, 0], X.T @ (signs * (after - before)[:, 0]), rtol=1e-12)

    def value(t):
        a = (before + t * (after - before))[:, 0]
        w, s = X.T @ (signs * a), signs @ a
        own = 0.5 * size * s * s if np.isfinite(size) else b * s
        return a.sum() - 0.5 * w @ w - own

    assert value(step) >= max(map(value, np.linspace(0, 1, 201))) - 1e-9 * scale**2


def test_path_of_one_problem_takes_fewer_epochs_than_cold_fits():
    X, y = wide()
    Cs = np.logspace(-3, 3, 20)
    path = LinearSVC(loss="hinge").path(X, y, Cs)
    cold = [LinearSVC(loss="hinge", C=C).fit(X, y).n_iter_ for C in Cs]
    assert (path.gaps <= 1e-3).all()
    assert path.n_iter.sum() < 0.7 * sum(cold)
