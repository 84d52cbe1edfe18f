# SPDX-License-Identifier: BSD-3-Clause
"""Structured SVMs: inference against all outputs, objectives against a program of all planes."""

import gzip
import itertools
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import linprog, minimize

import hingex
from hingex import ChainSVM, LinearSVC, MultilabelSVM, StructuredSVM
from hingex import _validate as check
from hingex._core import kernels
from hingex.losses import StructuredHinge
from hingex.solvers._blocks import Compiled
from hingex.structured import (
    Assignment,
    Chain,
    Graph,
    GraphLP,
    Multiclass,
    Multilabel,
    Tree,
    read_tagged,
    word_features,
)
from hingex.structured._tokens import hash_tokens


def sequences(n=30, K=3, d=4, seed=0, longest=5):
    rng = np.random.default_rng(seed)
    W, T = rng.normal(size=(K, d)), rng.normal(size=(K, K))
    X, Y = [], []
    for _ in range(n):
        x = np.round(rng.normal(size=(int(rng.integers(1, longest + 1)), d)) * 4) / 4
        y = (x @ W.T + rng.normal(size=(len(x), K))).argmax(axis=1)
        for r in range(1, len(x)):
            y[r] = (x[r] @ W.T + T[y[r - 1]] + rng.normal(size=K)).argmax()
        X.append(x)
        Y.append(y)
    return X, Y


def outputs(length, K):
    return np.array(list(itertools.product(range(K), repeat=length)))


def random_cost(rng, K):
    cost = np.round(rng.random((K, K)) * 4) / 4
    np.fill_diagonal(cost, 0)
    return cost


class Duck:
    """A model that is only known by its methods."""

    def __init__(self, model):
        self.model = model

    def joint_feature(self, x, y):
        return self.model.joint_feature(x, y)

    def loss(self, y, y_other):
        return self.model.loss(y, y_other)

    def inference(self, x, w):
        return self.model.inference(x, w)

    def loss_augmented_inference(self, x, y, w):
        return self.model.loss_augmented_inference(x, y, w)


class Signs:
    """Written by a user: outputs are vectors of signs; score sum_k y_k (w_k . x + b_k)."""

    size = 2

    def joint_feature(self, x, y):
        return np.concatenate([np.outer(y, x).ravel(), y]).astype(float)

    def loss(self, y, y_other):
        return float((np.asarray(y) != np.asarray(y_other)).sum())

    def _best(self, scores):
        return np.where(scores >= 0, 1, -1)

    def _scores(self, x, w):
        k = self.size
        return w[: k * len(x)].reshape(k, -1) @ x + w[k * len(x):]

    def inference(self, x, w):
        return self._best(self._scores(x, w))

    def loss_augmented_inference(self, x, y, w):
        return self._best(self._scores(x, w) - np.asarray(y) / 2)


# ------------------------------------------------------------------------------- inference


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_viterbi_finds_the_best_of_all_paths(dtype, seed):
    rng = np.random.default_rng(seed)
    K, length = int(rng.integers(1, 5)), int(rng.integers(1, 6))
    ld = 8 * int(rng.integers(1, 5))
    draw = (lambda *s: rng.integers(-2, 3, s)) if seed % 2 else (lambda *s: rng.normal(size=s))
    scores, trans = draw(length, ld).astype(dtype), draw(K, ld).astype(dtype)
    first, last = draw(ld).astype(dtype), draw(ld).astype(dtype)
    y, room = np.empty(length, np.int32), np.empty((length, ld), dtype)
    best = kernels("structured").viterbi(scores, trans, first, last, K, room, y)
    paths = outputs(length, K)
    values = [scores[np.arange(length), p].sum() + trans[p[:-1], p[1:]].sum()
              + first[p[0]] + last[p[-1]] for p in paths]
    assert_allclose(best, max(values), rtol=1e-5, atol=1e-5)
    ours = scores[np.arange(length), y].sum() + trans[y[:-1], y[1:]].sum() + first[y[0]] + last[
        y[-1]]
    assert_allclose(ours, max(values), rtol=1e-5, atol=1e-5)
    if seed % 2:  # of several the one whose last labels come first
        ties = paths[np.array(values) == max(values)]
        assert_array_equal(y, ties[np.lexsort(ties.T)[0]])


def random_tree(rng, nodes):
    """Parents of a forest whose nodes are numbered at random."""
    name = rng.permutation(nodes)
    parent = np.full(nodes, -1)
    for k in range(1, nodes):
        if rng.random() < 0.9:
            parent[name[k]] = name[rng.integers(k)]
    return parent


def example_of(model, rng, form=np.asarray, pairwise=False, whole=True):
    """(model, x, all outputs) of a small size; `whole`: of small integers, which tie."""
    K, d, length = int(rng.integers(1, 5)), int(rng.integers(1, 4)), int(rng.integers(1, 6))
    cost = random_cost(rng, 2 if model is Multilabel else K) if rng.random() < 0.4 else None
    own = model(K, cost=cost, **({"pairwise": pairwise} if model is Multilabel else {}))
    rows = length if model in (Chain, Tree) else 1
    x = rng.integers(-2, 3, (rows, d)).astype(float) if whole else rng.normal(size=(rows, d))
    x = form(x)
    every = list(outputs(rows, K))
    if model is Multiclass:
        every = [int(y[0]) for y in every]
    elif model is Multilabel:
        every = list(outputs(K, 2))
    return own, (x, random_tree(rng, rows)) if model is Tree else x, every


MODELS = [(Chain, False), (Multiclass, False), (Tree, False), (Multilabel, False),
          (Multilabel, True)]


@pytest.mark.parametrize(("model", "pairwise"), MODELS)
@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_oracles_find_the_best_of_all_outputs(model, pairwise, seed):
    rng = np.random.default_rng(seed)
    form = [np.asarray, sp.csr_array, lambda a: a.astype(np.float32)][seed % 3]
    own, x, every = example_of(model, rng, form, pairwise)
    phi = np.array([own.joint_feature(x, y) for y in every])
    w = rng.integers(-2, 3, phi.shape[1]) if seed % 2 else rng.normal(size=phi.shape[1])
    w = w.astype(float)
    if model is Multilabel and pairwise:  # there are no weights below the diagonal
        K = own.n_states
        w[-K * K:] *= np.triu(np.ones((K, K)), 1).ravel()
    found = own.inference(x, w)
    assert_allclose(w @ own.joint_feature(x, found), (phi @ w).max(), atol=1e-9)
    y = every[int(rng.integers(len(every)))]
    worst = own.loss_augmented_inference(x, y, w)
    costs = np.array([own.loss(y, other) for other in every])
    assert_allclose(own.loss(y, worst) + w @ own.joint_feature(x, worst),
                    (costs + phi @ w).max(), atol=1e-9)


@pytest.mark.parametrize(("model", "pairwise"), MODELS)
@pytest.mark.parametrize("options", [
    {}, {"step": "frank_wolfe", "tol": 1e-4}, {"solver": "one_slack"}, {"n_jobs": 2}])
def test_solvers_agree_for_each_model(model, pairwise, options):
    rng = np.random.default_rng(1)
    while True:
        own, x, _ = example_of(model, rng, pairwise=pairwise, whole=False)
        if own.n_states == 3 and own.cost is None:
            break
    d = x[0].shape[1] if model is Tree else x.shape[1]
    X, Y = [], []
    for _ in range(25):
        rows = int(rng.integers(1, 6)) if model in (Chain, Tree) else 1
        x = rng.normal(size=(rows, d))
        X.append((x, random_tree(rng, rows)) if model is Tree else x)
        Y.append(rng.integers(0, 2, 3) if model is Multilabel else
                 int(rng.integers(3)) if model is Multiclass else rng.integers(0, 3, rows))
    if model in (Multiclass, Multilabel):
        X, Y = np.vstack(X), np.array(Y)
    planes = []
    for x, y in zip(X, Y, strict=True):
        rows = len(x[0]) if model is Tree else len(x) if model is Chain else 1
        all_ = outputs(3, 2) if model is Multilabel else outputs(rows, 3)
        all_ = [int(z[0]) for z in all_] if model is Multiclass else all_
        truth = own.joint_feature(x, y)
        planes.append((np.array([truth - own.joint_feature(x, z) for z in all_]),
                       np.array([own.loss(y, z) for z in all_])))
    base = {"tol": 1e-6, "max_iter": 20000}
    svm = StructuredSVM(own, 0.4, **base | options).fit(X, Y)
    assert_allclose(svm.primal_objective_, primal(svm.coef_, planes, 0.4), rtol=1e-9)
    best = StructuredSVM(own, 0.4, **base).fit(X, Y)
    assert_allclose(svm.primal_objective_, best.primal_objective_, rtol=2 * svm.tol)
    assert svm.dual_objective_ <= best.primal_objective_ * (1 + 1e-12)
    found = svm.predict(X)
    assert_array_equal(np.ravel(found[0]), np.ravel(own.inference(X[0], svm.coef_)))
    assert 0 <= svm.score(X, Y) <= 1


def test_joint_feature_is_what_the_score_is_made_of():
    x, y = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), [1, 0, 1]
    phi = Chain(2).joint_feature(x, y)
    assert_array_equal(phi, [3, 4, 6, 8, 0, 1, 1, 0, 0, 1, 0, 1])
    assert_array_equal(Multiclass(3).joint_feature(x[:1], 2), [0, 0, 0, 0, 1, 2, 0, 0, 1])
    assert Chain(3, cost=[[0, 2, 3], [1, 0, 1], [1, 1, 0]]).loss([0, 0, 1], [1, 2, 1]) == 5


# ----------------------------------------------------------------------------- optimality


def all_planes(model, X, Y, K):
    """(psi, Delta) of all outputs, by example."""
    out = []
    for x, y in zip(X, Y, strict=True):
        every = outputs(len(x), K)
        truth = model.joint_feature(x, y)
        out.append((np.array([truth - model.joint_feature(x, z) for z in every]),
                    np.array([model.loss(y, z) for z in every])))
    return out


def primal(w, planes, C):
    return 0.5 * w @ w + C * sum((cost - psi @ w).max() for psi, cost in planes)


@pytest.mark.parametrize("options", [
    {}, {"step": "frank_wolfe", "tol": 1e-4}, {"solver": "one_slack"}, {"sampling": "uniform"},
    {"average": True}, {"n_jobs": 3}, {"n_jobs": 3, "step": "frank_wolfe", "tol": 1e-4},
])
@pytest.mark.parametrize("costly", [False, True])
def test_optimum_is_that_of_the_program_with_all_planes(options, costly):
    X, Y = sequences(8, K=2, d=2, longest=3)
    cost = random_cost(np.random.default_rng(0), 2) + 0.5 * (1 - np.eye(2)) if costly else None
    model, C = Chain(2, cost=cost), 0.7
    planes = all_planes(model, X, Y, 2)
    d, n = planes[0][0].shape[1], len(X)

    def constraints(z):
        return np.concatenate([z[d + i] - cost + psi @ z[:d]
                               for i, (psi, cost) in enumerate(planes)])

    program = minimize(
        lambda z: 0.5 * z[:d] @ z[:d] + C * z[d:].sum(), np.r_[np.zeros(d), np.full(n, 5.0)],
        jac=lambda z: np.r_[z[:d], np.full(n, C)], method="SLSQP",
        constraints={"type": "ineq", "fun": constraints}, options={"maxiter": 500, "ftol": 1e-12})
    best = program.fun
    svm = StructuredSVM(model, C, **{"tol": 1e-6, "max_iter": 20000} | options).fit(X, Y)
    tol = svm.tol
    assert svm.converged_
    assert svm.duality_gap_ <= tol
    assert_allclose(svm.primal_objective_, primal(svm.coef_, planes, C), rtol=1e-9)
    assert svm.dual_objective_ <= best * (1 + 1e-6) <= svm.primal_objective_ * (1 + 1e-5)
    assert svm.primal_objective_ <= best * (1 + 2 * tol + 1e-6)
    assert_allclose(svm.duality_gap_, (svm.primal_objective_ - svm.dual_objective_)
                    / svm.primal_objective_, rtol=1e-6)


def test_dual_never_falls_and_never_passes_the_primal():
    X, Y = sequences(40)
    for options in ({}, {"n_jobs": 2}, {"step": "frank_wolfe", "max_iter": 60}):
        seen = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            svm = StructuredSVM(Chain(), 0.5, tol=1e-5, callback=seen.append)
            svm.set_params(**options).fit(X, Y)
        duals = np.array([s.dual for s in seen])
        assert (np.diff(duals) >= -1e-12 * duals[1:]).all()
        assert duals[-1] <= svm.primal_objective_
        assert all(s.primal >= s.dual for s in seen)
        assert (np.diff([s.active for s in seen]) > 0).all()


def test_the_dual_is_made_of_what_is_kept():
    """w and l are those of the weights of outputs: the certificate's dual point exists."""
    X, Y = sequences(25)
    rows = check.as_rows(np.vstack(X), owner="test")
    start = np.concatenate([[0], np.cumsum([len(x) for x in X])])
    y = np.concatenate(Y).astype(np.int32)
    for threads in (1, 3):
        blocks = Compiled("chain", rows, start, start, y, 1 - np.eye(3), 3, threads, {})
        own = kernels("structured").FrankWolfe(blocks.examples, 0.4)
        rng = np.random.default_rng(0)
        for _ in range(5):
            own.steps(rng.integers(0, 25, 60), np.inf)
        parts, counts, ell = own.marginals
        made = np.zeros(blocks.size)
        np.add.at(made[: 4 * 8].reshape(4, 8), (slice(None),), np.vstack(X).T @ parts)
        made[4 * 8:] = counts.sum(axis=0)
        assert_allclose(own.w, made, atol=1e-12)
        # Marginals: in each row C at the truth less a distribution's C.
        shares = -parts[:, :3].copy()
        shares[np.arange(len(y)), y] += 0.4
        assert shares.min() > -1e-12
        assert_allclose(shares.sum(axis=1), 0.4)
        wrong = np.add.reduceat(0.4 - shares[np.arange(len(y)), y], start[:-1])
        assert_allclose(ell, wrong, atol=1e-12)


def test_multiclass_is_crammer_singer():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 6))
    y = (X[:, :4] + rng.normal(size=(120, 4))).argmax(axis=1)
    expected = LinearSVC("hinge", C=0.3, multi_class="crammer_singer", intercept="regularized",
                         tol=1e-8).fit(X, y)
    for form in (np.asarray, sp.csr_array, lambda a: a.astype(np.float32), np.asfortranarray):
        svm = StructuredSVM(Multiclass(), 0.3, tol=1e-6, max_iter=5000).fit(form(X), y)
        assert_allclose(svm.primal_objective_, expected.primal_objective_, rtol=1e-5)
        assert_allclose(svm.coef_[:24].reshape(4, 6), expected.coef_, atol=2e-3)
        assert np.mean(svm.predict(form(X)) == expected.predict(X)) > 0.98


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_assignments_are_the_best_of_all(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 5))
    m, d = n + int(rng.integers(0, 2)), int(rng.integers(1, 4))
    x, w = rng.integers(-2, 3, (n, m, d)), rng.integers(-2, 3, d).astype(float)
    every = [np.array(p) for p in itertools.permutations(range(m), n)]
    own = Assignment()
    phi = np.array([own.joint_feature(x, y) for y in every])
    assert_array_equal(phi[0], sum(x[i, y] for i, y in enumerate(every[0])))
    assert own.joint_feature(x, own.inference(x, w)) @ w == (phi @ w).max()
    y = every[int(rng.integers(len(every)))]
    costs = np.array([own.loss(y, z) for z in every])
    worst = own.loss_augmented_inference(x, y, w)
    assert own.loss(y, worst) + own.joint_feature(x, worst) @ w == (costs + phi @ w).max()


def test_assignments_are_learnt():
    rng = np.random.default_rng(0)
    X, true = [rng.normal(size=(5, 5, 4)) for _ in range(60)], np.array([2.0, -1.0, 0.5, 0.0])
    Y = [Assignment().inference(x + 0.2 * rng.normal(size=x.shape), true) for x in X]
    for options in ({}, {"step": "frank_wolfe"}, {"solver": "one_slack"}):
        svm = StructuredSVM(Assignment(), 0.1, tol=1e-2).set_params(**options).fit(X, Y)
        assert svm.converged_
        assert svm.coef_ @ true > 0.95 * np.linalg.norm(svm.coef_) * np.linalg.norm(true)
    for x, y, text in (
        (np.ones((3, 2, 1)), [0, 1, 2], "must be numbers of shape"), (X[0], [0, 1], "5 different"),
        (X[0], [0, 1, 2, 3, 3], "5 different integers, 0 to 4"), (X[0] * np.nan, Y[0], "NaN"),
    ):
        with pytest.raises(ValueError, match=text):
            StructuredSVM(Assignment()).fit([x], [y])
    with pytest.raises(ValueError, match=r"w has shape \(3,\), which does not fit 4 features"):
        Assignment().inference(X[0], np.ones(3))


# --------------------------------------------------------------------------- slack rescaling


@pytest.mark.parametrize("model", [Chain, Multiclass])
@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_slack_rescaling_finds_the_most_violating_output(model, seed):
    rng = np.random.default_rng(seed)
    K, d = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    length = 1 if model is Multiclass else int(rng.integers(1, 6))
    own = model(K, cost=random_cost(rng, K) if model is Multiclass else None)
    x = rng.integers(-2, 3, (length, d)).astype(float)
    every = [y if model is Chain else int(y[0]) for y in outputs(length, K)]
    phi = np.array([own.joint_feature(x, y) for y in every])
    w = rng.integers(-2, 3, phi.shape[1]) if seed % 2 else rng.normal(size=phi.shape[1])
    k = int(rng.integers(len(every)))
    costs = np.array([own.loss(every[k], z) for z in every])
    values = costs * (1 + (phi - phi[k]) @ w)
    worst = own.loss_augmented_inference(x, every[k], w, "slack")
    at = next(j for j, z in enumerate(every) if np.array_equal(z, worst))
    assert_allclose(values[at], values.max(), atol=1e-9)


@pytest.mark.parametrize("options", [
    {}, {"step": "frank_wolfe", "tol": 1e-4}, {"solver": "one_slack"}, {"n_jobs": 2}])
@pytest.mark.parametrize("model", [Chain, Multiclass])
def test_optimum_with_slack_rescaling(options, model):
    rng = np.random.default_rng(0)
    if model is Chain:
        X, Y = sequences(20)
        own = Chain(3)
        every = [outputs(len(y), 3) for y in Y]
    else:
        X, Y = rng.normal(size=(25, 4)), rng.integers(0, 3, 25)
        own = Multiclass(3, cost=[[0, 2, 1], [1, 0, 3], [0.5, 1, 0]])
        every = [range(3)] * 25
    planes = []
    for x, y, all_ in zip(X, Y, every, strict=True):
        cost = np.array([own.loss(y, z) for z in all_])
        psi = np.array([own.joint_feature(x, y) - own.joint_feature(x, z) for z in all_])
        planes.append((cost[:, None] * psi, cost))
    base = {"tol": 1e-6, "max_iter": 20000, "rescaling": "slack"}
    svm = StructuredSVM(own, 0.3, **base | options).fit(X, Y)
    assert svm.duality_gap_ <= svm.tol
    assert_allclose(svm.primal_objective_, primal(svm.coef_, planes, 0.3), rtol=1e-9)
    best = StructuredSVM(own, 0.3, **base).fit(X, Y)
    assert_allclose(svm.primal_objective_, best.primal_objective_, rtol=2 * svm.tol)
    loss = StructuredHinge(_Slack(own), rescaling="slack").value(
        svm.coef_, list(X), list(Y), reduction="sum")
    assert_allclose(svm.primal_objective_, 0.5 * svm.coef_ @ svm.coef_ + 0.3 * loss, rtol=1e-6)
    if not options:
        duck = StructuredSVM(_TakesRescaling(own), 0.3, tol=1e-3, rescaling="slack").fit(X, Y)
        assert_allclose(duck.primal_objective_, best.primal_objective_, rtol=3e-3)
        steps = StructuredSVM(own, 0.3, solver="subgradient", tol=1e-5, rescaling="slack",
                              max_iter=5000).fit(X, Y)
        assert_allclose(steps.primal_objective_, best.primal_objective_, rtol=2e-2)


class _Slack:
    def __init__(self, model):
        self.model = model
        self.joint_feature, self.loss = model.joint_feature, model.loss

    def loss_augmented_argmax(self, w, x, y, rescaling):
        return self.model.loss_augmented_inference(x, y, w, rescaling)


class _TakesRescaling(Duck):
    def loss_augmented_inference(self, x, y, w, rescaling="margin"):
        return self.model.loss_augmented_inference(x, y, w, rescaling)


def test_models_without_slack_rescaling():
    X, Y = sequences(5)
    for model, text in ((Chain(cost=1 - np.eye(3)), "cost must be None"), (Tree(), "not for Tree"),
                        (Multilabel(), "not for Multilabel"), (Graph(), "not for Graph")):
        with pytest.raises(ValueError, match=text):
            StructuredSVM(model, rescaling="slack").fit(X, Y)
    with pytest.raises(ValueError, match="rescaling must be"):
        StructuredSVM(Chain(), rescaling="other").fit(X, Y)


# ----------------------------------------------------------------------------------- graphs


def graph_case(rng, whole=True):
    n, d = int(rng.integers(1, 8)), int(rng.integers(1, 3))
    pairs = [(a, b) for a in range(n) for b in range(n) if a != b]
    count = int(rng.integers(0, len(pairs) + 1)) if pairs else 0
    edges = np.array([pairs[k] for k in rng.choice(len(pairs), count, replace=False)])
    draw = (lambda *s: rng.integers(-2, 3, s).astype(float)) if whole else (
        lambda *s: rng.normal(size=s))
    return draw(n, d), edges.reshape(-1, 2), draw(2 * d + 6)


def relaxation(x, edges, w, added):
    """The linear program over the local polytope, by another solver: its maximum."""
    n, d = x.shape
    u = x @ w[: 2 * d].reshape(2, d).T + w[2 * d + 4:] + added
    m = len(edges)
    c = np.concatenate([u.ravel(), np.tile(w[2 * d: 2 * d + 4], m)])
    A, b = [], []
    for r in range(n):
        row = np.zeros(len(c))
        row[2 * r: 2 * r + 2] = 1
        A.append(row)
        b.append(1.0)
    for e, ends in enumerate(edges):
        for side in range(2):
            for k in range(2):
                row = np.zeros(len(c))
                for other in range(2):
                    pair = (k, other) if side == 0 else (other, k)
                    row[2 * n + 4 * e + 2 * pair[0] + pair[1]] = 1
                row[2 * ends[side] + k] = -1
                A.append(row)
                b.append(0.0)
    found = linprog(-c, A_eq=np.array(A), b_eq=b, bounds=(0, 1), method="highs")
    assert found.success
    return -found.fun


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_cuts_are_the_best_of_all_labels_or_of_the_relaxation(seed):
    rng = np.random.default_rng(seed)
    x, edges, w = graph_case(rng, seed % 2 == 0)
    n, d = x.shape
    own = Graph(cost=random_cost(rng, 2) if seed % 3 == 0 else None)
    every = outputs(n, 2)
    phi = np.array([own.joint_feature((x, edges), y) for y in every])
    y = every[int(rng.integers(len(every)))]
    costs = np.array([own.loss(y, z) for z in every])
    T = w[2 * d: 2 * d + 4]
    attracts = T[0] + T[3] >= T[1] + T[2]
    found = own.inference((x, edges), w)
    worst = own.loss_augmented_inference((x, edges), y, w)
    scores = phi @ w
    if attracts:
        assert_allclose(w @ own.joint_feature((x, edges), found), scores.max(), atol=1e-9)
        assert_allclose(own.loss(y, worst) + w @ own.joint_feature((x, edges), worst),
                        (scores + costs).max(), atol=1e-9)
    else:  # no single change is better where there were halves, and all is possible
        assert set(found.tolist()) <= {0, 1}
    layout = own._gathered([(x, edges)], None, "test")
    blocks = own._blocks(layout, y, 2, 1)
    blocks.examples.infer(blocks.packed(w), False, blocks.y, blocks.values)
    assert_allclose(blocks.values[0], relaxation(x, edges, w, 0), atol=1e-7)
    value = blocks.losses(blocks.packed(w))
    assert value >= (scores + costs).max() - scores[(every == y).all(axis=1)][0] - 1e-9
    added = own._costs(2)[y]
    bound = relaxation(x, edges, w, added) - scores[(every == y).all(axis=1)][0]
    assert_allclose(value, max(bound, 0), atol=1e-7)


@pytest.mark.parametrize("options", [
    {}, {"step": "frank_wolfe", "tol": 1e-3}, {"solver": "one_slack"}, {"n_jobs": 2}])
@pytest.mark.parametrize("attracts", [True, False])
def test_graphs_are_learnt_to_a_true_gap(options, attracts):
    rng = np.random.default_rng(0)
    X, Y = [], []
    for _ in range(25):
        h, v = rng.integers(2, 5, 2)
        if attracts:
            y = np.repeat(rng.integers(0, 2), h * v)
            y[rng.random(h * v) < 0.1] ^= 1
        else:
            y = (np.add.outer(np.arange(h), np.arange(v)) % 2).ravel() ^ int(rng.integers(2))
        edges = Graph.grid(int(h), int(v))
        if not attracts and rng.random() < 0.5 and h * v > 4:
            edges = np.vstack([edges, [0, int(v) + 1]])  # an odd circle
        X.append((y[:, None] + rng.normal(size=(h * v, 2)), edges))
        Y.append(y)
    svm = StructuredSVM(Graph(), 0.1, **{"tol": 1e-5, "max_iter": 20000} | options).fit(X, Y)
    assert svm.duality_gap_ <= svm.tol
    T = svm.coef_[4:8]
    assert (T[0] + T[3] > T[1] + T[2]) == attracts
    true = 0.5 * svm.coef_ @ svm.coef_
    for (x, edges), y in zip(X, Y, strict=True):
        every = outputs(len(y), 2) if len(y) <= 9 else outputs(9, 2)
        if len(y) > 9:
            continue
        phi = np.array([Graph().joint_feature((x, edges), z) for z in every])
        true += 0.1 * ((every != y).sum(axis=1) + phi @ svm.coef_).max()
        true -= 0.1 * Graph().joint_feature((x, edges), y) @ svm.coef_
    assert svm.primal_objective_ >= true - 1e-9  # of a part of the examples
    best = StructuredSVM(Graph(), 0.1, tol=1e-5, max_iter=20000).fit(X, Y)
    assert_allclose(svm.primal_objective_, best.primal_objective_, rtol=2 * svm.tol)
    plain = StructuredSVM(Multiclass(), 0.1).fit(
        np.vstack([x for x, _ in X]), np.concatenate(Y))
    labels = np.concatenate(Y)
    alone = np.mean(plain.predict(np.vstack([x for x, _ in X])) == labels)
    assert svm.score(X, Y) > alone


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_programs_bound_all_labels(seed):
    rng = np.random.default_rng(seed)
    K, n, d = int(rng.integers(1, 4)), int(rng.integers(1, 6)), int(rng.integers(1, 3))
    tree = seed % 2 == 0
    if tree:
        edges = np.array([(k, rng.integers(k)) for k in range(1, n)]).reshape(-1, 2)
    else:
        edges = np.array([(a, b) for a in range(n) for b in range(a) if rng.random() < 0.7])
        edges = edges.reshape(-1, 2)
    x, own = (rng.normal(size=(n, d)), edges), GraphLP(K)
    w = rng.normal(size=K * d + K * K + K)
    every = outputs(n, K)
    scores = np.array([own.joint_feature(x, y) for y in every]) @ w
    found = own.inference(x, w)
    value = own.joint_feature(x, found) @ w
    assert value <= scores.max() + 1e-9 <= own.bound(x, w) + 1e-6
    y = every[int(rng.integers(len(every)))]
    costs = np.array([own.loss(y, z) for z in every])
    worst = own.loss_augmented_inference(x, y, w)
    bound = own.loss(y, worst) + own.joint_feature(x, worst) @ w
    assert bound >= (scores + costs).max() - 1e-6
    if tree:
        assert_allclose(value, scores.max(), atol=1e-6)
        assert_allclose(bound, (scores + costs).max(), atol=1e-6)
    if K == 2:  # as the cuts have it
        assert_allclose(own.bound(x, w), relaxation(x[0], edges, w, 0), atol=1e-6)


def test_programs_learn_what_cuts_learn():
    rng = np.random.default_rng(0)
    X, Y = [], []
    for _ in range(8):
        y = np.repeat(rng.integers(0, 2), 6)
        y[rng.random(6) < 0.2] ^= 1
        X.append((y[:, None] + rng.normal(size=(6, 1)), Graph.grid(2, 3)))
        Y.append(y)
    program = StructuredSVM(GraphLP(2), 0.2, tol=1e-3).fit(X, Y)
    cut = StructuredSVM(Graph(), 0.2, tol=1e-3).fit(X, Y)
    assert_allclose(program.primal_objective_, cut.primal_objective_, rtol=2e-3)
    three = [(x, e) for x, e in X]
    svm = StructuredSVM(GraphLP(3), 0.2, tol=1e-2).fit(three, [(y + (x[0][:, 0] > 1)) % 3
                                                               for x, y in zip(X, Y, strict=True)])
    assert svm.converged_
    with pytest.raises(ValueError, match="labels must be 6 integers, 0 to 1"):
        GraphLP(2).joint_feature(X[0], Y[0] + 1)
    with pytest.raises(ValueError, match="which does not fit 1 features and n_states=2"):
        GraphLP(2).inference(X[0], np.zeros(3))


def test_a_large_grid():
    rng = np.random.default_rng(0)
    side = 60
    true = np.zeros((side, side), int)
    true[15:45, 20:50] = 1
    x = true.reshape(-1, 1) * 2.0 - 1 + 1.5 * rng.normal(size=(side * side, 1))
    svm = StructuredSVM(Graph(), 0.01, tol=1e-2).fit([(x, Graph.grid(side, side))], [true.ravel()])
    assert svm.converged_
    assert svm.score([(x, Graph.grid(side, side))], [true.ravel()]) > 0.97


def test_independent_labels_are_machines_of_their_own():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4))
    Y = (X @ rng.normal(size=(4, 3)) + 0.5 * rng.normal(size=(80, 3)) > 0).astype(int)
    svm = StructuredSVM(Multilabel(), 0.3, tol=1e-6, max_iter=9999).fit(X, Y)
    total = 0.0
    for k in range(3):
        # Each mark moves the margin by f, not 2 f, with cost 1: max(0, 1 - y f), as C says.
        one = LinearSVC("hinge", C=0.3, intercept="regularized", tol=1e-8).fit(X, Y[:, k])
        total += one.primal_objective_[0]
        assert_allclose(svm.coef_[4 * k: 4 * k + 4], one.coef_[0], atol=5e-3)
    assert_allclose(svm.primal_objective_, total, rtol=1e-5)
    assert svm.predict(X).shape == (80, 3)
    assert svm.score(X, Y) > 0.8
    sparse = StructuredSVM(Multilabel(), 0.3, tol=1e-6, max_iter=9999).fit(
        sp.csr_array(X), sp.csr_array(Y))
    assert_allclose(sparse.coef_, svm.coef_, atol=1e-9)


def test_pairs_of_labels_that_need_each_other():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    first = (X[:, 0] + 0.3 * rng.normal(size=200) > 0).astype(int)
    Y = np.column_stack([first, first * (rng.random(200) < 0.95), 1 - first])
    plain = StructuredSVM(Multilabel(), 0.05).fit(X[:, 1:], Y)
    pairs = StructuredSVM(Multilabel(pairwise=True), 0.05).fit(X[:, 1:], Y)
    P = pairs.coef_[-9:].reshape(3, 3)
    assert P[0, 2] < 0
    assert_array_equal(np.tril(P), 0)
    assert pairs.primal_objective_ < plain.primal_objective_


def test_a_tree_that_is_a_chain():
    X, Y = sequences(20)
    trees = [(x, np.arange(len(x)) - 1) for x in X]
    tree = StructuredSVM(Tree(), 0.3, tol=1e-6, max_iter=9999).fit(trees, Y)
    assert tree.converged_
    # Numbered in another way, it is the same tree.
    turned, labels = [], []
    rng = np.random.default_rng(0)
    for (x, parent), y in zip(trees, Y, strict=True):
        old = rng.permutation(len(x))
        new = np.argsort(old)
        turned.append((x[old], np.where(parent[old] >= 0, new[parent[old]], -1)))
        labels.append(y[old])
    again = StructuredSVM(Tree(), 0.3, tol=1e-6, max_iter=9999).fit(turned, labels)
    assert_allclose(again.coef_, tree.coef_, atol=3e-3)
    for a, b in zip(again.predict(turned), labels, strict=True):
        assert a.shape == b.shape


@pytest.mark.parametrize(("model", "X", "Y", "text"), [
    (Tree(), [np.eye(2)], [[0, 1]], r"example 0 of X must be a pair \(x, parents\)"),
    (Tree(), [(np.eye(2), [-1])], [[0, 1]], r"parents of example 0 must be 2 integers"),
    (Tree(), [(np.eye(2), [-1, 2])], [[0, 1]], r"parents\[1\] of example 0 is 2; expected -1 for"),
    (Tree(), [(np.eye(2), [1, 0])], [[0, 1]], "parents of example 0 go around in a circle: node 0"),
    (Tree(), [(np.eye(2), [-1.0, 0.0])], [[0, 1]], "must be 2 integers"),
    (Graph(), [np.eye(2)], [[0, 1]], r"example 0 of X must be a pair \(x, edges\)"),
    (Graph(), [(np.eye(2), [[0, 2]])], [[0, 1]], r"edges\[0, 1\] of example 0 is 2; its nodes"),
    (Graph(), [(np.eye(2), [[1, 1]])], [[0, 1]], r"edges\[0\] of example 0 joins node 1 with itse"),
    (Graph(), [(np.eye(2), [0, 1])], [[0, 1]], r"edges of example 0 must be integers of shape"),
    (Graph(), [(np.eye(2), [[0, 1]])], [[0, 2]], "label 2 is not in 0..1"),
    (Graph(3), [(np.eye(2), [[0, 1]])], [[0, 1]], "n_states must be 2 for Graph; got 3"),
    (Multilabel(), np.eye(2), [0, 1], "Y must be an indicator matrix"),
    (Multilabel(), np.eye(2), [[0, 1]], "Y must be an indicator matrix"),
    (Multilabel(), np.eye(2), [[0, 2], [1, 1]], "Y must hold 0 and 1 only"),
    (Multilabel(3), np.eye(2), [[0, 1], [1, 1]], "Y has 2 columns, but n_states is 3"),
    (Multilabel(pairwise=True), np.eye(2), np.ones((2, 21), int), "for up to 20; there are 21"),
    (Multilabel(cost=np.zeros((3, 3))), np.eye(2), [[0, 1], [1, 1]], r"shape \(2, 2\)"),
])
def test_bad_input_of_other_models(model, X, Y, text):
    with pytest.raises((ValueError, TypeError), match=text):
        StructuredSVM(model).fit(X, Y)


@pytest.mark.parametrize("options", [{}, {"step": "frank_wolfe"}, {"solver": "one_slack"}])
def test_a_model_in_python_comes_to_the_same(options):
    X, Y = sequences(12)
    expected = StructuredSVM(Chain(3), 0.3, tol=1e-3).set_params(**options).fit(X, Y)
    svm = StructuredSVM(Duck(Chain(3)), 0.3, tol=1e-3).set_params(**options).fit(X, Y)
    assert_allclose(svm.primal_objective_, expected.primal_objective_, rtol=3e-3)
    assert_allclose(svm.duality_gap_, 0, atol=1e-3)
    assert_allclose(svm.coef_, expected.coef_, atol=0.15)
    assert svm.score(X, Y) <= 0


def test_a_model_of_a_users_own():
    rng = np.random.default_rng(0)
    X = list(rng.normal(size=(60, 3)))
    Y = [np.where(np.array([x[0] + x[1], x[2] - 0.3]) + 0.2 * rng.normal(size=2) > 0, 1, -1)
         for x in X]
    svm = StructuredSVM(Signs(), 1.0).fit(X, Y)
    # Two independent machines with the hinge loss, bias regularized.
    total = 0.0
    for k in range(2):
        one = LinearSVC("hinge", C=4.0, intercept="regularized", tol=1e-7)
        one.fit(np.array(X), np.array([y[k] for y in Y]))
        total += one.primal_objective_[0]
    # The score of the other sign is 2 y f less: the hinge of v = 2 w, 1/2 ||w||^2 = 1/8 ||v||^2.
    assert_allclose(svm.primal_objective_, total / 4, rtol=2e-3)
    assert svm.score(X, Y) > -0.3
    hinge = StructuredHinge(_Oracle(Signs())).value(svm.coef_, X, Y, reduction="sum")
    assert_allclose(svm.primal_objective_, 0.5 * svm.coef_ @ svm.coef_ + hinge)


class _Oracle:
    def __init__(self, model):
        self.model = model
        self.joint_feature, self.loss = model.joint_feature, model.loss

    def loss_augmented_argmax(self, w, x, y, rescaling):
        assert rescaling == "margin"
        return self.model.loss_augmented_inference(x, y, w)


def test_subgradient_steps_come_near():
    X, Y = sequences(40)
    expected = StructuredSVM(Chain(), 0.2, tol=1e-6, max_iter=9999).fit(X, Y)
    svm = StructuredSVM(Chain(), 0.2, solver="subgradient", tol=1e-5).fit(X, Y)
    duck = StructuredSVM(Duck(Chain(3)), 0.2, solver="subgradient", tol=1e-2).fit(X, Y)
    assert_allclose(svm.primal_objective_, expected.primal_objective_, rtol=5e-3)
    assert_allclose(duck.primal_objective_, expected.primal_objective_, rtol=5e-2)
    assert svm.primal_objective_ >= expected.dual_objective_
    assert np.isnan(svm.duality_gap_)
    assert np.isnan(svm.dual_objective_)


# -------------------------------------------------------------------------- forms and habits


def test_forms_of_data_agree_and_are_left_alone():
    X, Y = sequences(30)
    expected = StructuredSVM(Chain(), 0.3, tol=1e-6).fit(X, Y)
    stacked, lengths, y = np.vstack(X), [len(x) for x in X], np.concatenate(Y)
    forms = [([sp.csr_matrix(x) for x in X], Y, None), (stacked, y, lengths),
             (sp.csr_array(stacked), y.astype(np.uint8), np.array(lengths, np.int16)),
             (stacked.astype(np.float32), y, lengths), (np.asfortranarray(stacked), y, lengths),
             ([x.tolist() for x in X], [y.tolist() for y in Y], None)]
    wide = sp.csr_array(stacked)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    forms.append((wide, y, lengths))
    for data, labels, sizes in forms:
        svm = StructuredSVM(Chain(), 0.3, tol=1e-6).fit(data, labels, sizes)
        assert_allclose(svm.coef_, expected.coef_, atol=1e-6)
        found = svm.predict(data, sizes)
        if sizes is None:
            assert [len(f) for f in found] == lengths
            found = np.concatenate(found)
        assert_array_equal(found, np.concatenate(expected.predict(X)))
        assert svm.score(data, labels, sizes) == expected.score(X, Y) == np.mean(found == y)
    assert_array_equal(stacked, np.vstack(X))


@pytest.mark.parametrize("options", [{}, {"step": "frank_wolfe"}, {"n_jobs": 2}])
def test_same_bits_each_time_and_in_threads(options):
    X, Y = sequences(40)
    svm = StructuredSVM(Chain(), 0.3, tol=1e-3, max_iter=100).set_params(**options)
    first = pickle.loads(pickle.dumps(svm.fit(X, Y)))

    def fit(_):
        return StructuredSVM(**svm.get_params(deep=False)).fit(X, Y).coef_

    with ThreadPoolExecutor(4) as pool:
        for coef in pool.map(fit, range(8)):
            assert_array_equal(coef, first.coef_)
    assert_array_equal(np.concatenate(first.predict(X)), np.concatenate(svm.predict(X)))
    svm.set_params(random_state=5).fit(X, Y)
    assert (svm.coef_ != first.coef_).any()


def test_warm_start_goes_on_where_it_ended():
    X, Y = sequences(60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        svm = StructuredSVM(Chain(), 1.0, tol=1e-5, max_iter=40, warm_start=True).fit(X, Y)
    before = svm.dual_objective_
    seen = []
    svm.set_params(callback=seen.append, max_iter=5000).fit(X, Y)
    assert seen[0].dual >= before
    assert svm.converged_
    cold = StructuredSVM(Chain(), 1.0, tol=1e-5, max_iter=5000).fit(X, Y)
    assert_allclose(svm.primal_objective_, cold.primal_objective_, rtol=3e-5)
    # Other data, or another C: from the start.
    for change in (lambda: ([x + 0.25 for x in X], 1.0), lambda: (X, 0.5)):
        data, C = change()
        seen.clear()
        svm.set_params(C=C).fit(data, Y)
        assert seen[0].dual < 0.7 * svm.dual_objective_
        svm.set_params(C=1.0).fit(X, Y)
    plain = StructuredSVM(Chain(), 1.0, solver="one_slack", tol=1e-3, warm_start=True).fit(X, Y)
    again = plain.n_iter_
    assert plain.fit(X, Y).n_iter_ <= again


@pytest.mark.parametrize("step", ["pairwise", "frank_wolfe"])
def test_warm_start_knows_its_data_and_costs(step):
    rng = np.random.default_rng(0)
    K = 40  # whose costs NumPy prints with dots in between
    cost = 1 - np.eye(K)
    X, y = rng.normal(size=(60, 5)), rng.integers(0, K, 60).astype(np.int32)
    base = {"warm_start": True, "tol": 1e-3, "max_iter": 5000, "step": step}
    svm = StructuredSVM(Multiclass(K, cost=cost), 0.1, **base).fit(X, y)
    expected = svm.primal_objective_
    other = cost.copy()
    other[5:35, 5:35] *= 5
    svm.set_params(model=Multiclass(K, cost=other)).fit(X, y)
    assert svm.primal_objective_ > 1.5 * expected
    # Arrays that have been overwritten since are not read again.
    svm.set_params(model=Multiclass(K, cost=cost)).fit(X, y)
    X0, y0 = X.copy(), y.copy()
    X[:], y[:] = 100.0, 2**30
    svm.set_params(tol=5e-4, n_jobs=2).fit(X0, y0)
    assert_allclose(svm.primal_objective_, expected, rtol=2e-3)
    assert svm.converged_
    for solver in ("one_slack", "subgradient"):  # weights of other sizes are no start
        svm.set_params(solver=solver, max_iter=3, model=Multiclass())
        with pytest.warns(hingex.ConvergenceWarning, match="max_iter=3 was reached"):
            svm.fit(X0[:, :2], y0 % 3)


def test_labels_are_the_fits_own():
    X, Y = sequences(10)
    stacked, y = np.vstack(X), np.concatenate(Y).astype(np.int32)

    def overwrite(state):
        y[:] = 2**30

    svm = StructuredSVM(Chain(3), 0.3, callback=overwrite).fit(stacked, y, [len(x) for x in X])
    assert_array_equal(svm.coef_, StructuredSVM(Chain(3), 0.3).fit(X, Y).coef_)


def test_a_dual_in_a_circle_of_references_is_freed():
    import gc

    rows, start = check.as_rows(np.eye(3), owner="test"), np.array([0, 3])
    for _ in range(3):
        y = np.zeros(3, np.int32)
        blocks = Compiled("chain", rows, start, start, y, 1 - np.eye(2), 2, 1, {})
        own = kernels("structured").Pairwise(blocks.examples, 1.0)
        blocks.examples.poll = lambda own=own: own
        del own, blocks
        gc.collect()


def test_a_model_may_use_its_vector_again():
    class Lean(Signs):
        def __init__(self):
            self.vector = np.zeros(8)

        def joint_feature(self, x, y):
            self.vector[:] = super().joint_feature(x, y)
            return self.vector

    rng = np.random.default_rng(0)
    X = list(rng.normal(size=(20, 3)))
    Y = [np.where(x[:2] > 0, 1, -1) for x in X]
    lean, plain = (StructuredSVM(model, 1.0).fit(X, Y) for model in (Lean(), Signs()))
    assert_array_equal(lean.coef_, plain.coef_)


@pytest.mark.parametrize("options", [{"solver": "one_slack"}, {"solver": "subgradient"}])
def test_objectives_beyond_float64(options):
    X, Y = sequences(5)
    with pytest.raises(FloatingPointError, match="beyond float64: lower C or the costs"):
        StructuredSVM(Chain(), 1e160, **options).fit(X, Y)
    with pytest.raises(FloatingPointError, match="beyond float64"):
        StructuredSVM(Chain(cost=1e308 * (1 - np.eye(3))), **options).fit(X, Y)


@pytest.mark.parametrize("options", [
    {}, {"solver": "one_slack"}, {"solver": "subgradient"}, {"step": "frank_wolfe"},
    {"model": Duck(Chain(3))},
])
def test_limits_callback_and_ctrl_c(options, capsys):
    X, Y = sequences(30)
    base = {"model": Chain(), "tol": 1e-9} | options
    with pytest.warns(hingex.ConvergenceWarning, match="the callback stopped it"):
        svm = StructuredSVM(**base, callback=lambda s: s.epoch == 3).fit(X, Y)
    assert svm.n_iter_ == 3
    with pytest.warns(hingex.ConvergenceWarning, match="max_iter=2 was reached"):
        svm = StructuredSVM(**base, max_iter=2, verbose=True).fit(X, Y)
    shown = capsys.readouterr().err
    assert "StructuredSVM" in shown
    assert "calls" in shown
    assert svm.n_calls_ >= 60
    with pytest.warns(hingex.ConvergenceWarning, match="max_time was reached"):
        StructuredSVM(**base, max_time=1e-9).fit(X, Y)

    def interrupt(state):
        if state.epoch == 2:
            raise KeyboardInterrupt

    svm = StructuredSVM(**base, callback=interrupt)
    with pytest.raises(KeyboardInterrupt):
        svm.fit(X, Y)
    assert svm.n_iter_ == 2
    assert len(svm.predict(X)) == 30


def test_sequences_too_long_for_pairwise_steps(monkeypatch):
    monkeypatch.setattr("hingex.solvers._blocks.LONGEST", 3)
    X, Y = sequences(20)
    svm = StructuredSVM(Chain(), 0.1).fit(X, Y)
    other = StructuredSVM(Chain(), 0.1, step="frank_wolfe").fit(X, Y)
    assert_array_equal(svm.coef_, other.coef_)


@pytest.mark.parametrize(("params", "change", "text"), [
    ({"C": 0}, {}, "C must be"), ({"solver": "sgd"}, {}, "solver must be"),
    ({"step": "away"}, {}, "step must be"), ({"sampling": "all"}, {}, "sampling must be"),
    ({"average": 1}, {}, "average must be"), ({"tol": 0}, {}, "tol"),
    ({"max_iter": 0}, {}, "max_iter"), ({"max_time": 0}, {}, "max_time"),
    ({"model": object()}, {}, r"no method joint_feature\(x, y\)"),
    ({"model": Chain(2)}, {}, r"label 2 is not in 0..1"),
    ({"model": Chain(3, cost=np.ones((3, 3)))}, {}, "cost must be a matrix of shape"),
    ({"model": Chain(3, cost=-np.eye(3))}, {}, "cost must be"),
    ({"model": Chain(3, cost=np.zeros((2, 2)))}, {}, r"shape \(3, 3\)"),
    ({}, {"X": np.eye(4)}, "pass a list of sequences"),
    ({}, {"X": None}, "X must be a list of sequences.*got None"),
    ({}, {"Y": None}, "Y must be a list of label sequences; got None"),
    ({"model": Tree()}, {"X": None}, "X must be a list of pairs"),
    ({}, {"X": []}, "X has no sequences"), ({}, {"Y": []}, "Y has 0 sequences"),
    ({}, {"X": [np.eye(3), np.empty((0, 3))], "Y": [[0, 1, 2], []]}, "sequence 1 of X: .*0 sample"),
    ({}, {"X": [np.eye(3), np.full((1, 3), np.nan)]}, "sequence 1 of X: .*NaN"),
    ({}, {"X": [np.eye(3), np.ones((1, 2))]}, "sequence 1 of X has 2 features, sequence 0 has 3"),
    ({}, {"Y": [[0, 1], [1]]}, r"sequence 0 of Y has shape \(2,\), but sequence 0 of X has 3"),
    ({}, {"Y": [[0, 1, -1], [1]]}, r"label -1 is not in"),
    ({}, {"Y": [[0, 1, 0.5], [1]]}, "labels must be integers"),
    ({}, {"X": np.eye(4), "Y": [0, 1, 2, 0], "lengths": [3, 2]}, "lengths add up to 5"),
    ({}, {"X": np.eye(4), "Y": [0, 1, 2, 0], "lengths": [4, 0]}, "positive integers"),
    ({}, {"X": np.ones((5, 2)), "Y": [0, 1, 0, 1, 1], "lengths": [2**63 - 1, 2**63 - 1, 7]},
     "lengths add up to 18446744073709551621, but X has 5 rows"),
    ({"model": Chain()}, {"Y": [np.array([0, 2**63, 0], np.uint64), np.ones(1, np.uint64)]},
     "label 9223372036854775808 is not in 0.."),
    ({"model": Assignment(), "rescaling": "slack"}, {}, "has no argument rescaling"),
    ({}, {"X": np.eye(4), "Y": [0, 1], "lengths": [4]}, r"y has shape \(2,\), but X has 4 rows"),
    ({"model": Multiclass()}, {"X": np.eye(3), "Y": [0, 1]}, r"y has shape \(2,\)"),
    ({"model": Multiclass()}, {"X": np.eye(3), "Y": [0, 1, 0], "lengths": [3]}, "lengths is for"),
    ({"model": Duck(Chain(3))}, {"lengths": [1]}, "lengths is for hingex's own models"),
    ({"model": Duck(Chain(3))}, {"Y": [[0, 1, 2]]}, "X has 2 examples, Y has 1 outputs"),
])
def test_bad_input(params, change, text):
    data = {"X": [np.eye(3), np.ones((1, 3))], "Y": [[0, 1, 2], [1]], "lengths": None} | change
    with pytest.raises((ValueError, TypeError), match=text):
        StructuredSVM(**params).fit(data["X"], data["Y"], data["lengths"])


def test_bad_models_in_python():
    X, Y = [np.ones(2)], [np.array([1, 1])]

    class Wrong(Signs):
        def loss_augmented_inference(self, x, y, w):
            found = super().loss_augmented_inference(x, y, w)
            return -found if w.any() else found

    with pytest.raises(ValueError, match="example 0 an output that is worse than the true one"):
        StructuredSVM(Wrong(), 100.0, solver="one_slack").fit(X, Y)
    for name, returned, text in (
        ("loss", -1.0, "loss returned -1 for example 0"), ("loss", 2.0, r"loss\(y, y\) is 2"),
        ("joint_feature", np.array([np.nan]), "joint_feature returned NaN or infinity"),
        ("joint_feature", np.eye(2), r"joint_feature returned shape \(2, 2\)"),
    ):
        broken = Signs()
        setattr(broken, name, lambda *_, returned=returned: returned)
        with pytest.raises(ValueError, match=text):
            StructuredSVM(broken).fit(X, Y)


def test_bad_predictions():
    X, Y = sequences(10)
    svm = StructuredSVM(Chain()).fit(X, Y)
    with pytest.raises(ValueError, match="X has 2 features, but the model was fitted with 4"):
        svm.predict([np.ones((3, 2))])
    with pytest.raises(hingex.NotFittedError):
        StructuredSVM(Chain()).predict(X)
    with pytest.raises(ValueError, match="needs n_states"):
        Chain().joint_feature(X[0], Y[0])
    with pytest.raises(ValueError, match=r"w has shape \(5,\), which does not fit 4 features"):
        Chain().inference(X[0], np.zeros(5))
    assert Chain().inference(X[0], svm.coef_).tolist() == svm.predict(X)[0].tolist()


def test_kernels_refuse_arrays_that_do_not_fit():
    own = kernels("structured")
    rows = check.as_rows(np.eye(3), owner="test")
    y, cost = np.zeros(3, np.int32), 1 - np.eye(2)
    for start, labels, kind, text in (
        ([0, 2], y, 1, "do not fit"), ([0, 3], y[:2], 1, "do not fit"), ([0, 3], y, 7, "do not"),
        ([0, 3], y, 2, "do not fit"), ([0, 3], y, -1, "do not fit"),
        ([0, 0, 3], y, 1, "no rows"), ([0, 3], y, 0, "too many"), ([0, 3], y + 2, 1, "a label"),
    ):
        with pytest.raises(ValueError, match=text):
            own.Examples(rows, np.array(start), np.array(start), labels, cost, 2, kind, 1)
    tree = np.array([-1, 0, 3], np.int32)
    with pytest.raises(ValueError, match="a row of a tree is out of range"):
        own.Examples(rows, np.array([0, 3]), np.array([0, 3]), y, cost, 2, 2, 1, tree, tree)
    with pytest.raises(ValueError, match="wrong number of labels"):
        own.Examples(rows, np.arange(4), np.arange(4), y, cost, 2, 4, 1)
    with pytest.raises(ValueError, match="no rows"):
        own.Examples(rows, np.array([0, 2**62, -2**62, 3]), np.arange(4), y, cost, 2, 1, 1)
    edges, ends = np.array([[0, 3]], np.int32), np.array([0, 1])
    with pytest.raises(ValueError, match="an edge is out of range"):
        own.Examples(rows, np.array([0, 3]), np.array([0, 4]), np.zeros(4, np.int32), cost, 2, 3, 1,
                     edges=edges, edge=ends)
    examples = own.Examples(rows, np.array([0, 3]), np.array([0, 3]), y, cost, 2, 1, 1)
    with pytest.raises(ValueError, match="do not fit"):
        examples.infer(np.zeros(3), False, y.copy(), np.zeros(1))
    with pytest.raises(ValueError, match="a label is out of range"):
        examples.combine(y + 5, np.zeros(examples.size))
    with pytest.raises(ValueError, match="does not exist"):
        examples.descend(np.zeros(examples.size), np.array([1]), 1.0, 0.0)
    for made in (own.FrankWolfe(examples, 1.0), own.Pairwise(examples, 1.0)):
        more = (10, 0.1) if isinstance(made, own.Pairwise) else ()
        with pytest.raises(ValueError, match="does not exist"):
            made.steps(np.array([0, 1]), np.inf, *more)
    with pytest.raises(ValueError, match="do not fit"):
        own.viterbi(np.zeros((2, 4)), np.zeros((2, 4)), np.zeros(4), np.zeros(4), 2,
                    np.zeros((2, 4)), y[:2].copy())


# -------------------------------------------------------------------------------- ChainSVM

SENTENCES = [["the", "dog", "barks"], ["a", "cat", "sleeps"], ["dogs", "bark"], ["Go", "!"]]
TAGS = [["DET", "NOUN", "VERB"], ["DET", "NOUN", "VERB"], ["NOUN", "VERB"], ["VERB", "PUNCT"]]


def test_chain_svm_is_the_structured_svm():
    X, Y = sequences(30)
    names = np.array(["u", "v", "w"])
    tagger = ChainSVM(0.3, tol=1e-6).fit(X, [names[y].tolist() for y in Y])
    svm = StructuredSVM(Chain(), 0.3, tol=1e-6).fit(X, Y)
    assert_array_equal(np.concatenate([tagger.coef_.ravel(), tagger.transitions_.ravel(),
                                       tagger.start_, tagger.end_]), svm.coef_)
    assert_array_equal(tagger.classes_, names)
    found = tagger.predict(X)
    for a, b in zip(found, svm.predict(X), strict=True):
        assert_array_equal(a, names[b])
    assert tagger.score(X, [names[y] for y in Y]) == svm.score(X, Y)
    counts = tagger.confusion(X, [names[y] for y in Y])
    expected = np.zeros((3, 3), int)
    np.add.at(expected, (np.concatenate(Y), np.concatenate(svm.predict(X))), 1)
    assert_array_equal(counts, expected)
    stacked, lengths = np.vstack(X), [len(x) for x in X]
    again = ChainSVM(0.3, tol=1e-6).fit(stacked, names[np.concatenate(Y)], lengths)
    assert_array_equal(again.coef_, tagger.coef_)
    assert_array_equal(again.predict(stacked, lengths), np.concatenate(found))


def test_weights_are_used_as_they_are():
    """Also when they are changed in place, replaced, or copied."""
    X, Y = sequences(20)
    tagger = ChainSVM(0.3).fit(X, Y)
    before = np.concatenate(tagger.predict(X))
    copy = pickle.loads(pickle.dumps(tagger))
    for model in (tagger, copy):
        assert_array_equal(np.concatenate(model.predict(X)), before)
        model.start_[:] = model.end_[:] = 0
        model.transitions_[:] = 0
        model.coef_[:] = 0
        model.coef_[1] = 1.0
        best = (np.vstack(X).sum(axis=1) > 0).astype(int)
        assert_array_equal(np.concatenate(model.predict(X)), best)
        model.coef_ = np.zeros((3, 4))
        model.start_[2] = 5.0
        found = model.predict(X)
        assert all(y[0] == 2 and (y[1:] == 0).all() for y in found)
        model.coef_[1] = 1.0  # of the array that was given
        assert (np.concatenate(model.predict(X)) == 1).any()
    tagger.coef_ = np.full((3, 4), np.nan)
    with pytest.raises(ValueError, match="coef_ of this ChainSVM must be finite"):
        tagger.predict(X)


def test_costs_by_label():
    X, Y = sequences(40)
    tagger = ChainSVM(1.0, cost={(0, 1): 3.0, (2, 1): 0.0}).fit(X, Y)
    matrix = np.array([[0, 3, 1], [1, 0, 1], [1, 0, 0.0]])
    svm = StructuredSVM(Chain(cost=matrix), 1.0).fit(X, Y)
    assert_array_equal(tagger.coef_.ravel(), svm.coef_[:12])
    with pytest.raises(ValueError, match=r"cost has the key \(0, 7\)"):
        ChainSVM(cost={(0, 7): 1.0}).fit(X, Y)
    with pytest.raises(TypeError, match="cost must be a dict"):
        ChainSVM(cost=matrix).fit(X, Y)
    with pytest.raises(ValueError, match="the right label costs nothing"):
        ChainSVM(cost={(0, 0): 1.0}).fit(X, Y)
    with pytest.raises(TypeError, match="got a dict"):
        ChainSVM().fit({"a": 1}, Y)


def test_features_by_name():
    features = [word_features(s) for s in SENTENCES]
    tagger = ChainSVM(1.0).fit(features, TAGS)
    assert tagger.score(features, TAGS) == 1.0
    assert tagger.hashed_
    assert tagger.n_features_in_ == 2**18
    flat = [token for sentence in features for token in sentence]
    labels = [tag for tags in TAGS for tag in tags]
    again = ChainSVM(1.0).fit(flat, labels, [3, 3, 2, 2])
    assert_array_equal(again.coef_, tagger.coef_)
    dicts = [[dict.fromkeys(token, True) for token in s] for s in features]
    assert_array_equal(ChainSVM(1.0).fit(dicts, TAGS).coef_, tagger.coef_)
    with pytest.raises(ValueError, match=r"X has rows of numbers, but .* features by name"):
        tagger.predict([np.ones((2, 2**18))])
    with pytest.raises(ValueError, match="labels"):
        tagger.confusion(features, [["X" for _ in s] for s in SENTENCES])
    assert tagger.score(features, [["X" for _ in s] for s in SENTENCES]) == 0.0


@pytest.fixture(scope="module")
def taggers():
    """One of names, one of numbers."""
    X = [np.random.default_rng(i).normal(size=(len(s), 4)) for i, s in enumerate(SENTENCES)]
    return ChainSVM(1.0).fit(NAMED, TAGS), ChainSVM(1.0).fit(X, TAGS), X


NAMED = [word_features(s) for s in SENTENCES]


def objects(items):
    """A 1-D array of objects."""
    out = np.empty(len(items), object)
    out[:] = items
    return out


FORMS = {
    "generator": lambda X: (x for x in X), "generators": lambda X: (iter(list(x)) for x in X),
    "tuple": tuple, "objects": objects, "objects of objects": lambda X: objects(
        [objects(list(x)) for x in X]),
    "series": lambda X: pytest.importorskip("pandas", reason="no pandas").Series(
        [list(x) for x in X], index=[7, 5, 3, 1]),
    "series of series": lambda X: pytest.importorskip("pandas", reason="no pandas").Series(
        [pytest.importorskip("pandas").Series(list(x)) for x in X]),
    "map": lambda X: map(list, X),
}


@pytest.mark.parametrize("form", FORMS)
def test_sequences_in_any_container(taggers, form):
    """fit, predict and score take what holds the sequences as a list of them."""
    made = FORMS[form]
    named, numeric, X = taggers
    for model, data in ((named, NAMED), (numeric, X)):
        again = ChainSVM(1.0).fit(made(data), TAGS)
        assert_array_equal(again.coef_, model.coef_)
        for a, b in zip(model.predict(made(data)), model.predict(data), strict=True):
            assert_array_equal(a, b)
        assert model.score(made(data), objects(TAGS)) == model.score(data, TAGS)
        flat = [token for x in data for token in x]
        tags, lengths = [tag for y in TAGS for tag in y], [len(y) for y in TAGS]
        if form in ("generator", "objects", "tuple"):
            again = ChainSVM(1.0).fit(made(flat), tags, lengths)
            assert_array_equal(again.coef_, model.coef_)
            assert_array_equal(again.predict(made(flat), lengths),
                               np.concatenate(model.predict(data)))


def test_tokens_in_any_container(taggers):
    named, numeric, X = taggers
    tables = [np.array(sentence, dtype=kind) for sentence in NAMED for kind in (str, object)]
    for table, a in zip(tables, np.repeat(objects(named.predict(NAMED)), 2), strict=True):
        assert_array_equal(named.predict([table])[0], a)
        assert_array_equal(named.predict([list(table)])[0], a)
    for x, a in zip(X, numeric.predict(X), strict=True):
        assert_array_equal(numeric.predict([x.tolist()])[0], a)
        assert_array_equal(numeric.predict([x.astype(object)])[0], a)


def test_a_model_knows_what_it_was_fitted_on(taggers):
    """No guess of what X is: the same errors whatever the first token looks like."""
    named, numeric, X = taggers
    empty = "X has no sequences"
    for model in (named, numeric):
        for nothing in ([], (), iter(()), objects([])):
            with pytest.raises(ValueError, match=empty):
                model.predict(nothing)
    for first in ([], (), iter(()), objects([])):
        with pytest.raises(ValueError, match="sequence 0 of X has no tokens"):
            named.predict([first, NAMED[0]])
    with pytest.raises(ValueError, match="sequence 0 of X"):
        numeric.predict([np.empty((0, 4)), X[0]])
    # A token without a feature, in the first place or alone
    blank = named.predict([[[]]])[0]
    assert_array_equal(named.predict([[{}]])[0], blank)
    assert_array_equal(named.predict([[[]], NAMED[0]])[1], named.predict([NAMED[0]])[0])
    assert ChainSVM(1.0).fit([[[], ["a"]], [["b"]]], [["x", "y"], ["x"]]).hashed_
    assert ChainSVM(1.0).fit([[{}, {}], [{}]], [["x", "y"], ["x"]]).hashed_
    assert ChainSVM(1.0).fit([[[], []], [[]]], [["x", "y"], ["x"]]).hashed_


def test_the_wrong_kind_of_tokens(taggers):
    named, numeric, X = taggers
    for data in (X, [X[0].tolist()], iter(X), [sp.csr_matrix(X[0])]):
        with pytest.raises(ValueError, match="X has rows of numbers, but this ChainSVM was fitted "
                                             "on features by name"):
            named.predict(data)
    names = [["1", "2", "3", "4"]]  # which float() would take
    for data in (NAMED, [names], [np.array(names)], iter([names]), [[{"a": 1.0}]]):
        with pytest.raises(ValueError, match="X has features by name, but this ChainSVM was fitted "
                                             "on rows of numbers"):
            numeric.predict(data)
    for model in (named, numeric):
        with pytest.raises(TypeError, match=r"token 0 is the text 'the'.*word_features"):
            model.predict(SENTENCES)
    with pytest.raises(TypeError, match=r"sequence 0, token 0 is the text 'the'.*word_features"):
        ChainSVM().fit(SENTENCES, TAGS)
    # All of X is looked at, not its first token alone
    for mixed in ([X[0], names * 3], [X[0].tolist(), names * 3], [names * 3, X[0]]):
        with pytest.raises(ValueError, match=r"X mixes two kinds of tokens: sequence [01], token 0 "
                                             "has features by name, sequence [01]"):
            ChainSVM().fit(mixed, [["a", "b", "c"]] * 2)
    with pytest.raises(TypeError, match="X must be a list of sequences"):
        named.predict("text")


def test_label_lists_in_any_container():
    """MultilabelSVM: sets of labels in a column or an array of objects are no matrix."""
    X = np.random.default_rng(0).normal(size=(6, 3))
    Y = [["a"], ["b", "a"], [], ["c"], ["a", "c"], ["b"]]
    model = MultilabelSVM(1.0).fit(X, Y)
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    for made in (objects(Y), pandas.Series(Y), (y for y in Y), tuple(Y), [set(y) for y in Y],
                  [np.array(y, object) for y in Y]):
        again = MultilabelSVM(1.0).fit(X, made)
        assert_array_equal(again.coef_, model.coef_)
        assert again.predict(X) == model.predict(X)
    for made in (objects(Y), pandas.Series(Y)):
        assert model.score(X, made) == model.score(X, Y)
        assert_array_equal(model.confusion(X, made), model.confusion(X, Y))


def test_multilabel_counts_labels_it_has_not_seen():
    """As ChainSVM.score: a row with such a label is wrong; confusion has no place for it."""
    X = np.eye(3)
    Y = [["sun"], ["rain"], ["rain", "sun"]]
    model = MultilabelSVM(10.0).fit(X, Y)
    assert model.score(X, Y) == 1.0
    assert model.score(X, [["sun"], ["snow"], ["rain", "sun"]]) == 2 / 3
    assert model.score(X, [["sun", "snow"], ["rain"], ["rain", "sun"]]) == 2 / 3
    assert model.score(X, [["snow"]] * 3) == 0.0
    assert model.score(X, [[], ["rain"], ["rain", "sun"]]) == 2 / 3
    with pytest.raises(ValueError, match="row 1 of Y has a label that is not among the classes"):
        model.confusion(X, [["sun"], ["snow"], ["rain", "sun"]])
    with pytest.raises(ValueError, match="y holds numbers, but MultilabelSVM was fitted on"):
        model.score(X, [[1], [2], [3]])


def test_hashing_is_feature_hashers():
    hasher = pytest.importorskip("sklearn.feature_extraction",
                                 reason="scikit-learn is not installed").FeatureHasher
    rng = np.random.default_rng(0)
    names = ["a", "Ärger", "日本", "w=x", "long " * 40, "", "\U0001F600"]
    tokens = [{names[k]: float(rng.normal()) if k % 2 else f"v{k}"
               for k in rng.choice(len(names), int(rng.integers(0, 6)), replace=False)}
              for _ in range(50)]
    for d in (7, 64, 2**18):
        X, lengths = hash_tokens([tokens[:20], tokens[20:]], d)
        expected = hasher(d).transform(tokens)
        assert_allclose(X.toarray(), expected.toarray(), rtol=1e-5)
        assert lengths.tolist() == [20, 30]


@pytest.mark.parametrize(("X", "text"), [
    ([[{"a": 1.0}, {"a": np.inf}]], "sequence 0, token 1: feature 'a' has the value inf"),
    ([[{"a": None}]], "sequence 0, token 0: feature 'a' has the value None; a number"),
    ([[{"a": 1.0}], [{3: 1.0}]], "sequence 1, token 0: names of features must be strings"),
    ([[{"a": 1.0}], []], "sequence 1 of X has no tokens"),
    ([[{"a": 1.0}], [5]], "sequence 1, token 0: features of a token must be a dict"),
    ([[["\ud800"]]], "sequence 0, token 0: .*surrogates not allowed"),
    ([[{"a": 10**400}]], "sequence 0, token 0: feature 'a' has a value beyond float64"),
    ([[{"a": b"1.5"}]], "sequence 0, token 0: feature 'a' has the value b'1.5'"),
])
def test_bad_tokens(X, text):
    with pytest.raises((ValueError, TypeError), match=text):
        ChainSVM().fit(X, [["x"] * len(s) for s in X])


@pytest.mark.parametrize(("y", "text"), [
    ([["a"], ["b"]], "sequence 0 of y has 1 labels, sequence 0 of X has 3 elements"),
    ([["a"] * 3], "y has 1 sequences of labels, X has 2 sequences"), (None, "got None"),
    ([["a"] * 3, ["a"]], "at least 2"), ([["a", None, "b"], ["a"]], "None"),
    ([5, 6], "sequence 0 of y must be a list of labels; got 5"),
])
def test_bad_labels(y, text):
    with pytest.raises((ValueError, TypeError), match=text):
        ChainSVM().fit([np.eye(3), np.ones((1, 3))], y)


def test_word_features():
    found = word_features(["The", "U.S.", "won", "2-1"])
    assert [f for f in found[1] if f.startswith("shape")] == ["shape=X.X."]
    assert "before=the" in found[1]
    assert "after2=2-1" in found[1]
    assert "digit=True" in found[3]
    assert "first=True,True" in found[0]
    assert word_features([]) == []


@pytest.mark.parametrize("named", [False, True])
def test_model_files(named, tmp_path):
    X, Y = sequences(20)
    labels = [np.array(["a", "b", "c"])[y] for y in Y]
    if named:
        X, labels = [word_features(s) for s in SENTENCES], TAGS
    tagger = ChainSVM(0.5, n_features=512, cost=None if named else {("a", "b"): 2.0})
    tagger.fit(X, labels).save(tmp_path / "model")
    again = hingex.load(tmp_path / "model")
    assert again.get_params() == tagger.get_params()
    for a, b in zip(again.predict(X), tagger.predict(X), strict=True):
        assert_array_equal(a, b)
    assert again.duality_gap_ == tagger.duality_gap_
    for name, value, text in (
        ("coef_", np.full_like(tagger.coef_, np.nan), "coef_"), ("start_", None, "start_"),
        ("transitions_", np.eye(9), "transitions_"), ("classes_", np.array(["a"]), "classes_"),
        ("hashed_", None, "hashed_"),
    ):
        kept = getattr(tagger, name)
        setattr(tagger, name, value)
        with pytest.raises(ValueError, match=text):
            tagger.save(tmp_path / "other")
        setattr(tagger, name, kept)
    assert not (tmp_path / "other").exists()


def test_command_line(tmp_path, capsys, monkeypatch):
    pytest.importorskip("click", reason="click is not installed")
    from hingex.cli import main

    text = "\n\n".join("\n".join(f"{w}\t{t}" for w, t in zip(s, tags, strict=True))
                       for s, tags in zip(SENTENCES, TAGS, strict=True)) + "\n"
    train, model, packed = (str(tmp_path / n) for n in ("train", "model", "packed.gz"))
    (tmp_path / "train").write_text(text, encoding="utf-8")
    with gzip.open(packed, "wt", encoding="utf-8") as file:
        file.write(text)
    assert read_tagged(train) == read_tagged(packed) == (SENTENCES, TAGS)
    options = ["-C", "1", "--features", "4096"]
    assert main(["tag", "train", *options, "--test", packed, train, model]) == 0
    assert "accuracy  1.0000" in capsys.readouterr().out
    assert main(["tag", "train", *options, "--json", train, model]) == 0
    assert '"words": 10' in capsys.readouterr().out
    assert main(["info", model]) == 0
    shown = capsys.readouterr().out
    assert "ChainSVM" in shown
    assert "4: DET, NOUN, PUNCT, VERB" in shown
    assert main(["info", "--json", model]) == 0
    assert '"classes": ["DET"' in capsys.readouterr().out
    (tmp_path / "words").write_text("the\ncat\nbarks\n\n\nGo\n!\n", encoding="utf-8")
    with gzip.open(tmp_path / "words.gz", "wt", encoding="utf-8") as file:
        file.write("the\ncat\n")
    assert main(["tag", "predict", model, str(tmp_path / "words.gz")]) == 0
    assert capsys.readouterr().out == "the\tDET\ncat\tNOUN\n\n"
    assert main(["tag", "predict", model, str(tmp_path / "words")]) == 0
    assert capsys.readouterr().out == (
        "the\tDET\ncat\tNOUN\nbarks\tVERB\n\nGo\tVERB\n!\tPUNCT\n\n")
    (tmp_path / "bad").write_bytes(b"a\tX\nb\n")
    assert main(["tag", "train", str(tmp_path / "bad"), model]) == 1
    assert "bad, line 2: 1 columns parted by tabs; at least 2 are due" in capsys.readouterr().err
    (tmp_path / "bad").write_bytes(b"a\tX\n\xff\tY\n")
    assert main(["tag", "train", str(tmp_path / "bad"), model]) == 1
    assert "bad, line 2: byte 1 is no UTF-8" in capsys.readouterr().err
    (tmp_path / "bad").write_bytes(b"a\tX\t\n")
    assert main(["tag", "train", "--tag-column", "2", str(tmp_path / "bad"), model]) == 1
    assert "bad, line 1: column 2 is empty" in capsys.readouterr().err
    (tmp_path / "bad").write_bytes(b"\n\n")
    assert main(["tag", "train", str(tmp_path / "bad"), model]) == 1
    assert "no sentences" in capsys.readouterr().err
    assert main(["predict", model, train]) == 1
    assert "use `hingex tag`" in capsys.readouterr().err
    hingex.OASIS(max_iter=1).fit(np.eye(4), [0, 0, 1, 1]).save(tmp_path / "oasis")
    assert main(["tag", "predict", str(tmp_path / "oasis"), train]) == 1
    assert "holds a OASIS" in capsys.readouterr().err


# --------------------------------------------------------------------------- MultilabelSVM


@pytest.mark.parametrize("pairwise", [True, False])
def test_multilabel_svm_is_the_structured_svm(pairwise):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    Y = (X @ rng.normal(size=(4, 3)) + rng.normal(size=(60, 3)) > 0).astype(int)
    svm = MultilabelSVM(0.2, pairwise=pairwise).fit(X, Y)
    expected = StructuredSVM(Multilabel(pairwise=pairwise), 0.2).fit(X, Y)
    made = [svm.coef_.ravel(), svm.intercept_] + [svm.pairs_.ravel()] * pairwise
    assert_array_equal(np.concatenate(made), expected.coef_)
    found = svm.predict(X)
    assert_array_equal(found, expected.predict(X))
    assert svm.score(X, Y) == (found == Y).all(axis=1).mean()
    counts = svm.confusion(X, Y)
    for k in range(3):
        for a in range(2):
            for b in range(2):
                assert counts[k, a, b] == ((Y[:, k] == a) & (found[:, k] == b)).sum()
    assert_array_equal(MultilabelSVM(0.2, pairwise=pairwise).fit(X, Y.tolist()).coef_, svm.coef_)
    names = np.array(["a", "b", "c"])
    sets = [names[row != 0].tolist() for row in Y]
    by_name = MultilabelSVM(0.2, pairwise=pairwise).fit(sp.csr_array(X), sets)
    assert_allclose(by_name.coef_, svm.coef_, atol=1e-9)
    assert_array_equal(by_name.classes_, names)
    assert by_name.predict(X) == [tuple(names[row != 0].tolist()) for row in found]
    assert by_name.score(X, [set(s) for s in sets]) == svm.score(X, Y)
    assert_array_equal(by_name.confusion(X, sets), counts)


@pytest.mark.parametrize(("Y", "text"), [
    ([["a"], ["b"]], "Y has 2 collections of labels, X has 3 rows"),
    ([[], [], set()], "no row of Y has a label"), (["a", "b", "c"], "Y must be an indicator"),
    ([0, 1, 0], "it holds 0"), (np.eye(3)[:2], "indicator matrix"), (np.eye(3) * 2, "0 and 1"),
])
def test_bad_sets(Y, text):
    with pytest.raises((ValueError, TypeError), match=text):
        MultilabelSVM().fit(np.eye(3), Y)


def test_bad_questions_of_a_multilabel_svm():
    svm = MultilabelSVM().fit(np.eye(3), [["a"], ["b"], ["a", "b"]])
    with pytest.raises(ValueError, match=r"Y is an indicator matrix, but .* collections of labels"):
        svm.score(np.eye(3), np.eye(3))
    assert svm.score(np.eye(3), [["a"], ["z"], []]) == 1 / 3
    with pytest.raises(ValueError, match="not among the classes"):
        svm.confusion(np.eye(3), [["a"], ["z"], []])
    assert svm.score(np.eye(3), [["a"], ["b"], (v for v in "ab")]) == 1.0
    assert svm.score(np.eye(3)[:2], [[], []]) == 0.0
    numbers = MultilabelSVM(10.0).fit(np.eye(3), [(0, 1), (1, 2), np.array([2])])
    assert numbers.score(np.eye(3)[:2], [[0], [1]]) == 0.0
    assert MultilabelSVM().fit(np.eye(3), [{0}, {1}, {0}]).classes_.tolist() == [0, 1]
    with pytest.raises(ValueError, match="there are 4 labels; 2 are due"):
        Multilabel(2).joint_feature(np.eye(3)[0], [0, 1, 1, 0])
    with pytest.raises(ValueError, match="for up to 20; there are 30"):
        Multilabel(30, pairwise=True).inference(np.ones(2), np.zeros(60 + 30 + 900))
    with pytest.raises(ValueError, match="label -1 is not in"):
        Chain(2, cost=1 - np.eye(2)).loss([0, -1], [1, 0])
    with pytest.raises(ValueError, match="X has 2 features, but MultilabelSVM is expecting 3"):
        svm.predict(np.eye(2))
    with pytest.raises(ValueError, match="Y has 3 columns, expected 2"):
        MultilabelSVM().fit(np.eye(3), np.eye(3)[:, :2]).score(np.eye(3), np.eye(3))
    with pytest.warns(hingex.ConvergenceWarning, match="MultilabelSVM stopped after 1 epochs"):
        MultilabelSVM(tol=1e-9, max_iter=1).fit(np.eye(3), np.eye(3))


@pytest.mark.parametrize("empty", [[], (), np.empty(0)])
def test_sequences_without_tokens(empty):
    """Of rows of numbers as of features by name: no advice on how to reshape."""
    rows = [[[0.0, 1.0], [1.0, 0.0]]]
    tagger = ChainSVM().fit(rows, [["a", "b"]])
    named = ChainSVM(n_features=16).fit([[["x"], ["y"]]], [["a", "b"]])
    with pytest.raises(ValueError, match=r"^sequence 0 of X has no tokens$"):
        named.predict([[]])
    with pytest.raises(ValueError, match=r"^sequence 0 of X has no tokens$"):
        tagger.predict([empty])
    with pytest.raises(ValueError, match=r"^sequence 1 of X has no tokens$"):
        tagger.fit([*rows, empty], [["a", "b"], []])
