# SPDX-License-Identifier: BSD-3-Clause
"""A start that is optimal already, or an objective of 0, is convergence and no failure."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hingex import (
    LMNN,
    OASIS,
    SVC,
    SVR,
    AROWClassifier,
    AUCMaximizer,
    ChainSVM,
    LinearClassifier,
    LinearRankSVC,
    LinearSVC,
    MultilabelSVM,
    NuSVC,
    NuSVR,
    OneClassSVM,
    PassiveAggressiveClassifier,
    PegasosClassifier,
    StructuredSVM,
)
from hingex.structured import Chain, Multiclass, Multilabel

RNG = np.random.default_rng(0)
PAIR = np.arange(40) % 2
APART = np.column_stack([10.0 * PAIR - 5, RNG.normal(size=(40, 2))])
ZERO = np.zeros((40, 3))
SEQUENCES = [RNG.normal(size=(3, 2)), RNG.normal(size=(2, 2))]
TAGS = [[0, 1, 0], [1, 1]]
NEVER = np.zeros((2, 2))  # costs


def converges(model, *data):
    """The model fitted without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(*data)
    assert np.all(model.converged_)
    return model


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_lmnn(loss):
    """Rows that are equal to their neighbours, and far from all others: the objective is 0."""
    X = np.repeat(RNG.normal(size=(6, 4)) * 3, 4, axis=0)
    y = np.repeat([0, 1, 2], 8)
    for max_iter in (1, 1000):
        model = converges(LMNN(loss=loss, max_iter=max_iter), X, y)
        assert model.objective_ == 0
        assert model.n_iter_ == len(model.history_) == 1
        assert_allclose(model.components_, np.eye(4))
    # All rows are equal: no map makes a difference, and the gradient is 0
    model = converges(LMNN(loss=loss, n_neighbors=1), np.ones((4, 2)), [0, 0, 1, 1])
    assert_allclose(model.objective_, 0.5 * 8)


def test_lmnn_from_its_optimum():
    """The line search finds nothing lower, to the last bit."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(60, 4)), rng.integers(0, 3, 60)
        best = converges(LMNN(loss="squared_hinge", tol=1e-15), X, y)
        again = converges(LMNN(loss="squared_hinge", tol=1e-15, init=best.components_), X, y)
        assert_allclose(again.objective_, best.objective_, rtol=1e-12)
        assert again.n_iter_ >= 1


def test_oasis():
    X, y = np.eye(3).repeat(4, axis=0) * 9, np.repeat([0, 1, 2], 4)
    model = converges(OASIS(max_iter=1), X, y)
    assert model.loss_ == 0


@pytest.mark.parametrize("cls", [PassiveAggressiveClassifier, AROWClassifier])
def test_steps_that_find_no_loss(cls):
    model = converges(cls(), APART, PAIR)
    assert model.n_iter_ <= 30  # AROW's losses go to 0 for ever
    assert model.score(APART, PAIR) == 1


def test_passive_aggressive_at_zero():
    """The second epoch makes no step."""
    model = converges(PassiveAggressiveClassifier(max_iter=2), APART, PAIR)
    assert model.history_["primal"][-1] == 0
    assert PassiveAggressiveClassifier(early_stopping=None, max_iter=7).fit(
        APART, PAIR).n_iter_ == 7


@pytest.mark.parametrize("loss", ["hinge", "logistic", "perceptron"])
@pytest.mark.parametrize("X", [ZERO, ZERO + 1], ids=["zeros", "ones"])
def test_pegasos(loss, X):
    converges(PegasosClassifier(loss=loss), X, PAIR)


@pytest.mark.parametrize("solver", ["bcfw", "one_slack", "subgradient"])
@pytest.mark.parametrize("max_iter", [1, 1000])
def test_structured_without_costs(solver, max_iter):
    """w = 0 has the objective 0."""
    options = {"solver": solver, "max_iter": max_iter}
    for model, *data in (
        (StructuredSVM(Chain(2, cost=NEVER), **options), SEQUENCES, TAGS),
        (StructuredSVM(Multiclass(1), **options), np.eye(3), [0, 0, 0]),
        (StructuredSVM(Multilabel(cost=NEVER), **options), np.eye(3), np.eye(3, dtype=int)),
        (ChainSVM(cost={(0, 1): 0.0, (1, 0): 0.0}, **options), SEQUENCES, TAGS),
        (MultilabelSVM(cost=NEVER, **options), np.eye(3), np.eye(3, dtype=int)),
    ):
        converges(model, *data)
        assert model.primal_objective_ == 0
        assert (model.coef_ == 0).all()
        assert model.n_iter_ == len(model.history_) == 1


@pytest.mark.parametrize("solver", ["bcfw", "one_slack", "subgradient"])
def test_structured_warm_start(solver):
    model = StructuredSVM(Chain(), solver=solver, warm_start=True, max_iter=3000)
    converges(model, SEQUENCES, TAGS)
    before = model.primal_objective_
    converges(model, SEQUENCES, TAGS)
    worst = 1e-12 if solver == "subgradient" else model.tol  # the others stop by their gap
    assert model.primal_objective_ <= before * (1 + worst)


@pytest.mark.parametrize("X", [ZERO, ZERO + 1, APART], ids=["zeros", "ones", "apart"])
def test_the_others(X):
    constant = np.ones(40)
    for model, y in (
        *((LinearSVC(loss=loss), PAIR) for loss in ("hinge", "squared_hinge")),
        (LinearSVC(C=1e-100), PAIR),
        *((LinearClassifier(loss=loss, penalty=penalty, C=1e-9), PAIR)
          for loss in ("hinge", "logistic", "squared") for penalty in ("l2", "l1", "elasticnet")),
        *((kind(loss=loss), PAIR) for kind in (LinearRankSVC, AUCMaximizer)
          for loss in ("hinge", "squared_hinge")),
        (SVC(gamma=1.0), PAIR), (NuSVC(gamma=1.0), PAIR), (SVR(gamma=1.0, max_iter=1), constant),
        (SVR(gamma=1.0, epsilon=9.0, max_iter=1), PAIR.astype(float)),
        (NuSVR(gamma=1.0), constant), (OneClassSVM(gamma=1.0), None),
    ):  # fmt: skip
        converges(model, X, y)
