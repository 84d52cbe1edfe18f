# SPDX-License-Identifier: BSD-3-Clause
"""How the solvers take over from each other, and what a fit that did not converge says."""

import re
from itertools import pairwise

import numpy as np
import pytest

import hingex.solvers
from hingex import ConvergenceWarning, LinearSVC
from hingex._linear_model import not_converged
from hingex._result import Fit
from hingex.solvers import _hinge_newton, dual_cd, interior_point, newton

LOSSES = ("hinge", "squared_hinge")


def weighted_problem():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((200, 10))
    return X, (X[:, 0] + 0.7 * rng.standard_normal(200) > 0).astype(int)


@pytest.mark.parametrize("heavy", [1e3, 1e6, 1e12])
def test_few_rows_of_great_weight(heavy):
    X, y = weighted_problem()
    weights = np.ones(200)
    weights[:10] = heavy
    model = LinearSVC("hinge").fit(X, y, weights)
    assert model.converged_
    assert model.primal_objective_[0] == pytest.approx(140.13, rel=1e-3)


@pytest.mark.parametrize("kind", ["half", "most", "one class", "spread"])
def test_weights_of_many_sizes(kind):
    X, y = weighted_problem()
    weights = {
        "half": np.where(np.arange(200) < 100, 1e6, 1.0),
        "most": np.where(np.arange(200) < 190, 1e6, 1.0),
        "one class": np.where(y == 1, 1e6, 1.0),
        "spread": 10 ** np.random.default_rng(0).uniform(-6, 6, 200),
    }[kind]
    assert LinearSVC("hinge", tol=1e-6).fit(X, y, weights).converged_


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("classes", [2, 3])
def test_badly_scaled_data_with_fewer_rows_than_twice_the_features(loss, classes):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((500, 400))
    y = np.digitize(X[:, 0] + X[:, 1] + rng.standard_normal(500), [0.0, 1.0][: classes - 1])
    X[:, 0] *= 1e3
    model = LinearSVC(loss, store_dual=True).fit(X, y)
    assert model.converged_
    assert model.solver_ == hingex.solvers.SECOND_ORDER
    assert "coordinate descent was at a gap of" in model.solver_reason_
    assert list(model.history_["epoch"]) == list(range(1, model.n_iter_ + 1))
    signs = np.where(y[:, None] == (model.classes_ if classes == 3 else [1]), 1, -1)
    short = np.maximum(1 - signs * (X @ model.coef_.T + model.intercept_), 0)
    primal = (model.coef_**2).sum(axis=1) / 2 + (short ** (1 if loss == "hinge" else 2)).sum(axis=0)
    signed = model.dual_coef_.reshape(500, -1)
    dual = np.abs(signed).sum(axis=0) - ((signed.T @ X) ** 2).sum(axis=1) / 2
    if loss == "squared_hinge":
        dual -= (signed**2).sum(axis=0) / 4
    assert np.abs(signed.sum(axis=0)).max() < 1e-9
    assert (primal - dual <= 1.0001e-3 * primal).all()


def test_wider_data_stay_with_coordinate_descent(monkeypatch):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((50, 40))
    X[:, 0] *= 1e3
    monkeypatch.setattr(hingex.solvers, "WIDEST", 39)
    with pytest.warns(ConvergenceWarning, match="max_iter=300 was reached"):
        model = LinearSVC(max_iter=300).fit(X, X[:, 1] + rng.standard_normal(50) > 0)
    assert model.solver_ == "dual_cd"
    assert model.n_iter_ == 300


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_coordinate_descent_goes_on_where_the_second_solver_stalls(monkeypatch, loss, classes):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 5))
    X[:, 0] *= 3
    y = np.digitize(X[:, 1] + rng.standard_normal(300), [0.0, 1.0][: classes - 1])
    monkeypatch.setattr(hingex.solvers, "EPOCHS_PER_PASS", 0)
    monkeypatch.setattr(hingex.solvers, "NEWTON_FROM", 0)
    monkeypatch.setattr(dual_cd, "POLISH_WORK", 0)
    # Both give up at once.
    monkeypatch.setattr(interior_point, "PATIENCE", 0)
    monkeypatch.setattr(newton, "PATIENCE", 0)
    monkeypatch.setattr(_hinge_newton, "PATIENCE", 0)
    states = []
    model = LinearSVC(loss, tol=1e-5, max_iter=20_000, callback=states.append).fit(X, y)
    assert model.converged_
    assert model.solver_ == "dual_cd"
    assert "stalled at" in model.solver_reason_
    epochs = model.history_["epoch"]
    assert list(epochs) == list(range(1, model.n_iter_ + 1))
    assert (np.diff(model.history_["seconds"]) >= 0).all()
    assert all(a.epoch <= b.epoch for a, b in pairwise(states))
    monkeypatch.undo()
    other = LinearSVC(loss, tol=1e-5, max_iter=20_000).fit(X, y)
    np.testing.assert_allclose(model.primal_objective_, other.primal_objective_, rtol=1e-4)


def a_fit(gap, K=1, **changes):
    entries = np.zeros(2, hingex.stop.HISTORY_DTYPE)
    entries["epoch"] = 1, 2
    gap = np.full(K, gap, dtype=float)
    return Fit(**({
        "coef": np.zeros((K, 2)), "intercept": np.zeros(K), "dual": np.zeros((4, K)),
        "primal": np.ones(K), "dual_objective": 1 - gap, "gap": gap, "history": entries,
        "n_iter": 2, "converged": False, "status": "max_iter", "seconds": 1.0,
    } | changes))  # fmt: skip


def test_a_class_that_got_worse_stays_as_it_was():
    before = a_fit(0.5, K=2, coef=np.full((2, 2), 7.0))
    after = a_fit([0.6, 0.1], K=2, coef=np.full((2, 2), 9.0))
    joined = hingex.solvers._joined(before, after)
    assert joined.gap.tolist() == [0.5, 0.1]
    assert joined.coef.tolist() == [[7.0, 7.0], [9.0, 9.0]]
    assert joined.history["epoch"].tolist() == [1, 2, 3, 4]
    assert joined.n_iter == 4


# -- what the warning says


@pytest.mark.parametrize(("gap", "text"), [
    (0.01, "up to 1% above the optimum"),
    (0.2, "up to 25% above the optimum"),
    (0.9, "up to 10 times the optimum"),
    (1.0, "may be far above the optimum"),
    (3.0, "may be far above the optimum"),
    (np.nan, "without a finite duality gap"),
    (np.inf, "without a finite duality gap"),
])  # fmt: skip
def test_bound_on_the_objective(gap, text):
    said = not_converged("LinearSVC", a_fit(gap), 1e-3, 2)
    assert text in said
    assert "nan" not in said
    assert "e+02%" not in said


def test_bound_holds():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 8)) * np.logspace(0, 2, 8)
    y = X[:, 0] + rng.standard_normal(300) > 0
    best = LinearSVC("hinge", tol=1e-8).fit(X, y).primal_objective_[0]
    with pytest.warns(ConvergenceWarning) as caught:
        model = LinearSVC("hinge", max_iter=30, tol=1e-8, solver="dual_cd").fit(X, y)
    found = re.search(r"up to (\S+)(%| times)", str(caught[0].message))
    bound = float(found[1]) if found[2] != "%" else 1 + float(found[1]) / 100
    assert model.primal_objective_[0] <= 1.05 * bound * best


@pytest.mark.parametrize("loss", LOSSES)
def test_reason_is_the_solvers_own(monkeypatch, loss):
    # n_iter counts the iterations of all classes, max_iter is for each of them.
    monkeypatch.setattr(interior_point, "PATIENCE", 0)
    monkeypatch.setattr(newton, "PATIENCE", 0)
    monkeypatch.setattr(_hinge_newton, "PATIENCE", 0)
    monkeypatch.setattr(hingex.solvers, "ROUNDING", np.inf)
    monkeypatch.setattr(hingex.solvers, "NEWTON_FROM", 0)
    monkeypatch.setattr(hingex.solvers, "EPOCHS_PER_PASS", 0)
    monkeypatch.setattr(dual_cd, "POLISH_LEAST", np.inf)    # which would get there
    X, y = weighted_problem()
    y = np.digitize(X[:, 0] + X[:, 1], [-0.5, 0.5])
    with pytest.warns(ConvergenceWarning, match="rounding left no progress after"):
        LinearSVC(loss, tol=1e-12).fit(X, y)
    said = not_converged("LinearSVC", a_fit(0.1, n_iter=50, status="stalled"), 1e-3, 20)
    assert "rounding left no progress after 50 iterations" in said
    said = not_converged("LinearSVC", a_fit(0.1, n_iter=20), 1e-3, 30)
    assert "max_iter=30 was reached" in said


@pytest.mark.filterwarnings("ignore::hingex.ConvergenceWarning")
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("scale", [1e-18, 1e10, 1e18])
@pytest.mark.parametrize("C", [1e-100, 1e100, 1e200])
def test_extreme_values_are_quiet(loss, scale, C):
    # Overflows end in the gap; NumPy's warnings of them would be errors here.
    X, y = weighted_problem()
    for options in ({}, {"intercept": "regularized", "intercept_scaling": 1e90}):
        model = LinearSVC(loss, C=C, **options).fit(X * scale, y)
        assert np.isfinite(model.coef_).all()
        assert np.isfinite(model.intercept_).all()


@pytest.mark.filterwarnings("ignore::hingex.ConvergenceWarning")
def test_mean_product_that_underflows():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3))
    y = X[:, 0] > 0
    X = np.c_[X, rng.standard_normal((9, 200, 200))[-1]] * 1e-18
    kind = {"intercept": "regularized", "intercept_scaling": 1e90}
    model = LinearSVC("hinge", C=1e-100, **kind).fit(X, y)
    assert np.isfinite(model.coef_).all()


@pytest.mark.parametrize("cost", [0.1, 1e9])
def test_patience_follows_the_cost_of_the_second_solver(monkeypatch, cost):
    # Half of the epochs at most; where Newton's steps are dear, all of them.
    rng = np.random.default_rng(1)
    X = rng.standard_normal((100, 80))
    X[:, 0] *= 1e3
    y = X[:, 1] + rng.standard_normal(100) > 0
    monkeypatch.setattr(hingex.solvers, "_step_work", lambda rows: cost * rows.nnz)
    model = LinearSVC(max_iter=400).fit(X, y)
    assert model.solver_ == "newton"
    epochs = int(re.search(r"after (\d+) epochs", model.solver_reason_)[1])
    assert epochs == 400 if cost > 1 else epochs <= 200
