# SPDX-License-Identifier: BSD-3-Clause
"""Weights mean what they say, and a free intercept is free: properties, for every solver."""

import functools

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from hingex import ConvergenceWarning, LinearSVC, LinearSVCCV

KINDS = [{}, {"intercept": "regularized", "intercept_scaling": 1.5}, {"fit_intercept": False}]
SOLVERS = [("hinge", "dual_cd"), ("hinge", "interior_point"), ("hinge", "newton"),
           ("hinge", "auto"), ("squared_hinge", "dual_cd"), ("squared_hinge", "newton"),
           ("squared_hinge", "auto")]
TASKS = ["binary", "ovr", "multilabel"]
TOL = 1e-7
every = pytest.mark.parametrize(("loss", "solver"), SOLVERS)
kinds = pytest.mark.parametrize("kind", KINDS, ids=["free", "regularized", "none"])
tasks = pytest.mark.parametrize("task", TASKS)
few = settings(max_examples=8, deadline=None)


def where_it_converges(test):
    """Coordinate descent alone may need more epochs than anybody has; `auto` may not."""
    @functools.wraps(test)
    def tried(**arguments):
        try:
            test(**arguments)
        except ConvergenceWarning:
            if arguments["solver"] != "dual_cd":
                raise
            reject()

    return tried


@st.composite
def problems(draw):
    """Rows, scores to make labels of, integer weights that leave every class some."""
    n, d = draw(st.integers(14, 40)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.normal(size=(n, d)) * draw(st.sampled_from([0.3, 1.0, 4.0]))
    weights = rng.integers(0, 4, n)
    weights[:6] = 1 + weights[:6] % 3
    return X, rng, weights, draw(st.sampled_from([0.02, 0.5, 5.0]))


def labels(task, X, rng):
    n = len(X)
    if task == "multilabel":
        return (rng.random((n, 3)) < 0.4).astype(int)
    classes = 2 if task == "binary" else 3
    y = rng.integers(0, classes, n)
    y[:6] = np.arange(6) % classes
    return y


def model(loss, solver, kind, **more):
    return LinearSVC(loss, solver=solver, tol=TOL, max_iter=200_000, **kind | more)


def check_same(a, b, scale=1.0):
    """Both are certified for the same problem, times `scale`: what that says of each other.

    The penalty is strongly convex, so that coefficients differ by no more than the gaps allow.
    """
    assert (a.duality_gap_ <= TOL).all()
    assert (b.duality_gap_ <= TOL).all()
    P = np.maximum(a.primal_objective_, b.primal_objective_ * scale)
    assert_allclose(a.primal_objective_, b.primal_objective_ * scale, rtol=3 * TOL, atol=1e-12)
    apart = ((a.coef_ - b.coef_) ** 2).sum(axis=1)
    # 1/2 |w - w*|^2 <= gap P for each of the two.
    assert (apart <= 8 * (a.duality_gap_ + b.duality_gap_) * P + 1e-12 * (1 + P)).all()


@every
@kinds
@tasks
@few
@given(problem=problems())
@where_it_converges
def test_integer_weights_are_repeated_rows(loss, solver, kind, task, problem):
    X, rng, weights, C = problem
    y = labels(task, X, rng)
    again = np.repeat(np.arange(len(X)), weights)
    a = model(loss, solver, kind, C=C).fit(X, y, sample_weight=weights)
    b = model(loss, solver, kind, C=C).fit(X[again], y[again])
    check_same(a, b)


@every
@kinds
@tasks
@few
@given(problem=problems())
@where_it_converges
def test_weight_zero_is_deletion(loss, solver, kind, task, problem):
    X, rng, weights, C = problem
    y = labels(task, X, rng)
    keep = weights > 0
    a = model(loss, solver, kind, C=C).fit(X, y, sample_weight=keep * 0.7)
    b = model(loss, solver, kind, C=C).fit(X[keep], y[keep], sample_weight=0.7)
    check_same(a, b)


@every
@kinds
@tasks
@few
@given(problem=problems(), factor=st.sampled_from([0.01, 0.3, 7.0]))
@where_it_converges
def test_scaled_weights_are_a_scaled_C(loss, solver, kind, task, problem, factor):
    X, rng, weights, C = problem
    y = labels(task, X, rng)
    a = model(loss, solver, kind, C=C).fit(X, y, sample_weight=factor * weights)
    b = model(loss, solver, kind, C=C * factor).fit(X, y, sample_weight=weights)
    check_same(a, b)


@every
@kinds
@pytest.mark.parametrize("task", TASKS[:2])
@few
@given(problem=problems(), seed=st.integers(0, 100))
@where_it_converges
def test_class_weights_are_sample_weights(loss, solver, kind, task, problem, seed):
    X, rng, weights, C = problem
    y = labels(task, X, rng)
    K = y.max() + 1
    by_class = dict(enumerate(np.random.default_rng(seed).uniform(0.1, 3, K).tolist()))
    a = model(loss, solver, kind, C=C, class_weight=by_class).fit(X, y, sample_weight=weights)
    rows = weights * np.array([by_class[v] for v in y.tolist()])
    check_same(a, model(loss, solver, kind, C=C).fit(X, y, sample_weight=rows))
    a = model(loss, solver, kind, C=C, class_weight="balanced").fit(X, y, sample_weight=weights)
    totals = np.bincount(y, weights)
    rows = weights * (totals.sum() / (K * totals))[y]
    check_same(a, model(loss, solver, kind, C=C).fit(X, y, sample_weight=rows))


@every
@tasks
@few
@given(problem=problems())
@where_it_converges
def test_along_a_path(loss, solver, task, problem):
    X, rng, weights, _ = problem
    y = labels(task, X, rng)
    again = np.repeat(np.arange(len(X)), weights)
    Cs = [0.01, 0.3, 3.0]
    a = model(loss, solver, {}).path(X, y, Cs, sample_weight=weights)
    b = model(loss, solver, {}).path(X[again], y[again], Cs)
    c = model(loss, solver, {}).path(X, y, np.divide(Cs, 8), sample_weight=8.0 * weights)
    for i in range(3):
        check_same(a.model(i), b.model(i))
        check_same(a.model(i), c.model(i))


# Hinge scores of several classes can all be -1 but for the gap, and then any of them may win.
IN_FOLDS = [(loss, solver, task) for loss, solver in SOLVERS for task in ("binary", "ovr")
            if task == "binary" or loss == "squared_hinge"]  # fmt: skip


@pytest.mark.parametrize(("loss", "solver", "task"), IN_FOLDS)
@few
@given(problem=problems())
@where_it_converges
def test_in_cross_validation(loss, solver, task, problem):
    """With the folds given, weights are repeated rows in training and in scores."""
    X, rng, weights, _ = problem
    y = labels(task, X, rng)
    again = np.repeat(np.arange(len(X)), weights)
    fold = np.arange(len(X)) % 2
    fold[:6] = [0, 0, 0, 1, 1, 1]  # all classes in both
    pairs = [(np.flatnonzero(fold == f), np.flatnonzero(fold != f)) for f in (0, 1)]
    other = [tuple(np.flatnonzero(np.isin(again, rows)) for rows in pair) for pair in pairs]
    if any(len(set(y[train])) < len(set(y)) for train, _ in pairs):
        return
    options = {"loss": loss, "solver": solver, "tol": 1e-9, "max_iter": 200_000,
               "Cs": [0.05, 1.0], "intercept": "regularized"}  # a unique one
    a = LinearSVCCV(cv=pairs, **options).fit(X, y, sample_weight=weights)
    b = LinearSVCCV(cv=other, **options).fit(X[again], y[again])
    for k, (_, test) in enumerate(pairs):
        # A row whose score is 0 but for the gap may fall on either side.
        close = weights[test].max() / weights[test].sum()
        assert_allclose(a.scores_[k], b.scores_[k], atol=1e-12 + close)
    if np.array_equal(np.round(a.scores_, 12), np.round(b.scores_, 12)):
        assert a.C_ == b.C_


# ------------------------------------------------------------------ the unregularized intercept


@every
@tasks
@few
@given(problem=problems(), shift=st.sampled_from([-3.0, 0.5, 10.0]))
@where_it_converges
def test_a_free_intercept_takes_up_shifts(loss, solver, task, problem, shift):
    """All features + constant: same objective, same scores; a penalised one could not."""
    X, rng, weights, C = problem
    y = labels(task, X, rng)
    if solver == "dual_cd":  # alone, it takes very many epochs where columns have large means
        shift /= 20
    a = model(loss, solver, {}, C=C).fit(X, y, sample_weight=weights)
    b = model(loss, solver, {}, C=C).fit(X + shift, y, sample_weight=weights)
    check_same(a, b)
    # w.(x + shift) + b' = w.x + b: the intercept moves along, as far as it is unique.
    own = np.abs(a.decision_function(X) - b.decision_function(X + shift))
    sides = np.sqrt(8 * 2 * TOL * a.primal_objective_.max()) * np.linalg.norm(X, axis=1).max()
    if loss == "squared_hinge":  # strongly convex in the scores of rows with a loss
        rows = (weights > 0) & (own.reshape(len(X), -1) <= 2 * sides + 0.05).all(axis=1)
        assert rows.sum() == (weights > 0).sum()


@every
@tasks
@few
@given(problem=problems())
@where_it_converges
def test_a_free_intercept_balances_the_duals(loss, solver, task, problem):
    """Stationarity in b: sum_i y_i alpha_i = 0, and in w: w = sum_i y_i alpha_i x_i."""
    X, rng, weights, C = problem
    y = labels(task, X, rng)
    a = model(loss, solver, {}, C=C, store_dual=True).fit(X, y, sample_weight=weights)
    beta = a.dual_coef_.reshape(len(X), -1)
    assert (np.abs(beta.sum(axis=0)) <= 1e-9 * np.abs(beta).sum(axis=0) + 1e-15).all()
    combined = beta.T @ X
    D = np.abs(beta).sum(axis=0) - 0.5 * (combined**2).sum(axis=1)
    cost = C * weights
    if loss == "squared_hinge":
        used = cost > 0
        D -= 0.25 * (1 / cost[used]) @ beta[used] ** 2
    else:
        assert (np.abs(beta) <= cost[:, None] * (1 + 1e-12)).all()
    assert_allclose(a.dual_objective_, D, rtol=1e-8, atol=1e-12)
    # So that no other intercept is better, to within the gap.
    for step in (-0.1, -1e-3, 1e-3, 0.1):
        f = X @ a.coef_.T + a.intercept_ + step
        K = f.shape[1]
        positive = y if task == "multilabel" else (y[:, None] == (np.arange(K) if K > 1 else 1))
        slack = np.maximum(0, 1 - np.where(positive > 0, 1, -1) * f)
        P = 0.5 * (a.coef_**2).sum(axis=1) + cost @ slack ** (1 if loss == "hinge" else 2)
        assert (a.dual_objective_ * (1 - 1e-9) - 1e-12 <= P).all()
        assert (a.primal_objective_ * (1 - TOL) - 1e-12 <= P).all()
