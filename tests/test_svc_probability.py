# SPDX-License-Identifier: BSD-3-Clause
"""Probabilities of kernel classifiers: they agree with predictions, and are calibrated."""

import pickle
import time
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_array

import hingex
from hingex import SVC
from hingex.kernel import _nystroem, _probability


def blobs(n=300, classes=2, spread=1.5, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    centres = 2 * np.random.default_rng(99).normal(size=(classes, 2))
    return centres[y] + spread * rng.normal(size=(n, 2)), y


def log_loss(p, y):
    return -np.log(p[np.arange(len(y)), y]).mean()


@pytest.mark.parametrize("options", [{}, {"break_ties": True}, {"multi_class": "ovr"},
                                     {"decision_function_shape": "ovo"}])
@pytest.mark.parametrize("classes", [2, 3, 6])
def test_the_first_class_is_the_predicted_one(classes, options):
    X, y = blobs(classes=classes)
    model = SVC(probability=True, **options).fit(X, y)
    # A fine grid has ties of votes.
    Z = np.stack(np.meshgrid(np.linspace(-6, 6, 60), np.linspace(-6, 6, 60)), -1).reshape(-1, 2)
    p = model.predict_proba(Z)
    assert p.shape == (3600, classes)
    assert (p >= 0).all()
    assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
    assert_array_equal(model.classes_[p.argmax(axis=1)], model.predict(Z))
    assert_allclose(model.predict_log_proba(Z), np.log(p))


def test_two_classes_rise_with_the_score_and_meet_at_0():
    X, y = blobs()
    model = SVC(probability=True).fit(X, y)
    f = model.decision_function(X)
    p = model.predict_proba(X)[:, 1]
    order = np.argsort(f)
    assert (np.diff(p[order]) >= 0).all()
    assert_array_equal(p > 0.5, f > 0)
    assert_array_equal(_probability.sigmoids(np.zeros((1, 1)), np.ones((1, 2))), [[0.5]])


@pytest.mark.parametrize(("classes", "scheme"), [(2, "ovo"), (4, "ovo"), (4, "ovr")])
def test_probabilities_are_calibrated(classes, scheme):
    X, y = blobs(800, classes, 1.2)
    Z, z = blobs(4000, classes, 1.2, seed=1)
    p = SVC(probability=True, multi_class=scheme).fit(X, y).predict_proba(Z)
    # The best there is: Bayes' rule with the true densities.
    centres = 2 * np.random.default_rng(99).normal(size=(classes, 2))
    bayes = np.exp(-((Z[:, None] - centres) ** 2).sum(axis=2) / (2 * 1.2**2))
    bayes /= bayes.sum(axis=1, keepdims=True)
    assert log_loss(p, z) < log_loss(bayes, z) + (0.05 if scheme == "ovo" else 0.12)
    # Rows that are given a probability of q have the class about as often.
    q, right = p.max(axis=1), p.argmax(axis=1) == z
    for low, high in ((0.5, 0.7), (0.7, 0.9), (0.9, 1.0)):
        inside = (q >= low) & (q < high)
        assert inside.sum() > 50
        assert abs(right[inside].mean() - q[inside].mean()) < 0.12


def test_coupling_recovers_probabilities():
    p = np.random.default_rng(0).dirichlet(np.ones(5), 40)
    i, j = np.triu_indices(5, 1)
    assert_allclose(_probability.coupled(p[:, i] / (p[:, i] + p[:, j]), 5), p, atol=1e-5)


def test_slopes_and_temperature_are_the_most_likely():
    rng = np.random.default_rng(0)
    f, w = rng.normal(size=200), rng.uniform(0, 2, 200)
    positive = f + rng.normal(size=200) > 0
    slopes = _probability.fit_slopes(f, positive, w)
    up, down = w[positive].sum(), w[~positive].sum()
    target = np.where(positive, (up + 1) / (up + 2), 1 / (down + 2))
    for side, slope in ((f <= 0, slopes[0]), (f > 0, slopes[1])):
        def loss(a, side=side):
            z = a * f[side]
            return w[side] @ (np.log(1 + np.exp(-z)) + (1 - target[side]) * z)

        best = minimize_scalar(loss, bounds=(1e-3, 30), method="bounded", options={"xatol": 1e-9})
        assert_allclose(loss(slope), best.fun, rtol=1e-9)
    scores, codes = rng.normal(size=(200, 3)), rng.integers(0, 3, 200)
    scores[np.arange(200), codes] += 1
    t = _probability.fit_temperature(scores, codes, w)
    aim = np.full((200, 3), 1 / (w.sum() + 3))
    aim[np.arange(200), codes] = (w.sum() + 1) / (w.sum() + 3)

    def cross_entropy(t):
        z = np.exp(t * scores)
        return -(w[:, None] * aim * np.log(z / z.sum(axis=1, keepdims=True))).sum()

    assert cross_entropy(t) <= min(cross_entropy(0.99 * t), cross_entropy(1.01 * t))


def test_separable_classes_have_finite_slopes():
    X = np.arange(20.0)[:, None]
    model = SVC(kernel="linear", C=100, probability=True).fit(X, X[:, 0] > 9)
    assert np.isfinite(model.probability_slopes_).all()
    p = model.predict_proba(X)
    assert (p > 0).all()
    assert (p < 1).all()


def test_folds_kernels_and_copies():
    X, y = blobs(120, 3)
    labels = np.array(["a", "b", "c"])[y]
    model = SVC(gamma=0.5, probability=True).fit(X, labels)
    expected = model.predict_proba(X)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), expected)
    for jobs in (1, 2):
        again = SVC(gamma=0.5, probability=True, n_jobs=jobs).fit(X, labels)
        assert_array_equal(again.predict_proba(X), expected)
    other = SVC(gamma=0.5, probability=True, random_state=1).fit(X, labels)
    assert (other.probability_slopes_ != model.probability_slopes_).any()
    assert_array_equal(other.dual_coef_, model.dual_coef_)
    K = hingex.kernels.rbf(X, gamma=0.5)
    for given, kernel in ((K, "precomputed"), (csr_array(X), "rbf"),
                          (X, lambda A, B: hingex.kernels.rbf(A, B, gamma=0.5))):
        same = SVC(kernel=kernel, gamma=0.5, probability=True).fit(given, labels)
        assert_allclose(same.predict_proba(given), expected, atol=5e-3)


def test_weights_count_as_rows():
    X, y = blobs(60)
    weights = np.ones(60)
    weights[::7] = 0
    kept = weights > 0
    a = SVC(gamma=0.5, probability=True).fit(X, y, weights)
    b = SVC(gamma=0.5, probability=True).fit(X[kept], y[kept])
    assert_allclose(a.predict_proba(X), b.predict_proba(X), atol=0.1)


def test_without_it():
    X, y = blobs(20)
    model = SVC().fit(X, y)
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model, "predict_log_proba")
    with pytest.raises(AttributeError, match="probability=True"):
        model.predict_proba(X)
    with pytest.raises(ValueError, match="call fit again"):
        model.set_params(probability=True).predict_proba(X)
    with pytest.raises(ValueError, match=r"2 rows \(of positive weight\) of each class"):
        SVC(probability=True).fit(X[:5], [0, 1, 1, 1, 1])
    with pytest.raises(TypeError, match="probability must be True or False"):
        SVC(probability=1).fit(X, y)


# ------------------------------------------------------------------- fits that come to an early end


def ended_by(how, fit):
    """A callback that ends fit number `fit`, of 6 with probabilities, each with its own clock."""
    state = {"fit": -1, "seconds": np.inf, "after": 0, "ended": False}

    def callback(s):
        begins = s.seconds < state["seconds"]
        state["after"] += begins and state["ended"]
        state["fit"] += begins
        state["seconds"] = s.seconds
        if state["fit"] < fit:
            return False
        state["ended"] = True
        if how == "interrupt":
            raise KeyboardInterrupt
        return True

    return callback, state


LOW = {"approximation": "nystroem", "n_components": 20}


@pytest.mark.parametrize("options", [{}, LOW], ids=["duals", "low rank"])
@pytest.mark.parametrize("fit", [0, 1, 3])
@pytest.mark.parametrize("how", ["interrupt", "stop"])
def test_an_end_is_one_of_all_fits(how, fit, options):
    X, y = blobs()
    model = SVC(probability=True, C=10.0, tol=1e-6, **options).fit(X, y)
    earlier = model.predict_proba(X)
    callback, state = ended_by(how, fit)
    model.set_params(callback=callback, C=0.01)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        if how == "interrupt":
            with pytest.raises(KeyboardInterrupt):
                model.fit(X, y)
        else:
            model.fit(X, y)
            assert "no probabilities: it stopped as the callback asked" in str(found[-1].message)
    assert len(found) == (how == "stop") * (2 - model.converged_)
    assert state["ended"]
    assert state["after"] == 0
    assert model.converged_ or fit == 0
    with pytest.raises(hingex.NotFittedError, match="it ended"):
        model.predict_proba(X)
    whole = SVC(C=0.01, tol=1e-6, **options).fit(X, y)
    if fit > 0:  # the scores were there
        assert_allclose(model.decision_function(X), whole.decision_function(X), rtol=1e-12)
    assert len(model.predict(X)) == len(y)
    again = model.set_params(callback=None, C=10.0).fit(X, y).predict_proba(X)
    assert_allclose(again, earlier, rtol=1e-12)


def test_another_fit_leaves_no_stale_probabilities():
    X, y = blobs()
    model = SVC(probability=True).fit(X, y)
    model.set_params(probability=False, C=0.01).fit(X, y)
    model.set_params(probability=True)
    with pytest.raises(hingex.NotFittedError, match="without probability=True"):
        model.predict_proba(X)


def slow_kernel(seconds):
    def kernel(A, B):
        time.sleep(seconds)
        return A @ B.T

    return kernel


@pytest.mark.parametrize("options", [{}, LOW, LOW | {"multi_class": "ovr"}],
                         ids=["duals", "low rank", "low rank, rest"])
def test_max_time_is_for_all_fits(options):
    """With five fits of their own seconds it would be five times as long."""
    X, y = blobs(classes=3)
    kernel = slow_kernel(0.02)
    alone = SVC(kernel=kernel, **options)
    begun = time.perf_counter()
    alone.fit(X, y)
    seconds = 1.3 * (time.perf_counter() - begun)  # enough for the scores
    model = SVC(kernel=kernel, probability=True, max_time=seconds, **options)
    begun = time.perf_counter()
    with pytest.warns(hingex.ConvergenceWarning, match="robabilities"):
        model.fit(X, y)
    assert time.perf_counter() - begun < 2.5 * seconds
    with pytest.raises(hingex.NotFittedError):
        model.predict_proba(X)


def test_low_rank_problems_share_max_time(monkeypatch):
    """What comes too late has weights of 0, and the certificate that belongs to these."""
    X, y = blobs(n=400, classes=4)
    y = np.minimum(y, 2)
    solve = _nystroem.solve_linear

    def slow(*args, **options):
        time.sleep(0.4)
        return solve(*args, **options)

    monkeypatch.setattr(_nystroem, "solve_linear", slow)
    model = SVC(max_time=0.6, **LOW)
    with pytest.warns(hingex.ConvergenceWarning, match="max_time=0.6 seconds in 1 of 3"):
        model.fit(X, y)
    assert_array_equal(model.n_iter_ == 0, [False, False, True])
    assert_allclose(model.dual_coef_[2], 0)
    assert model.intercept_[2] == -1  # class 2 has 200 rows, class 1 has 100
    assert model.primal_objective_[2] == 200  # losses of 2 for each of the latter
    assert model.dual_objective_[2] == 0
    assert model.duality_gap_[2] == 1
