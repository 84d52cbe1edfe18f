# SPDX-License-Identifier: BSD-3-Clause
"""Kernels of low rank: the decomposition, its certificate, and what it does to models."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

import hingex
from hingex import SVC, kernels
from hingex.kernel import _nystroem


def blobs(n=300, classes=2, d=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    centres = 2 * np.random.default_rng(99).normal(size=(classes, d))
    return centres[y] + 1.5 * rng.normal(size=(n, d)), y


def low_rank(**options):
    return SVC(approximation="nystroem", **options)


@pytest.mark.parametrize("rank", [1, 7, 40, 100, 150])
def test_decomposition(rank):
    X, _ = blobs(150)
    K = kernels.rbf(X, gamma=0.3)
    found = _nystroem.factor(lambda i, j: K[np.ix_(i, j)], 150, rank, np.arange(150), 0)
    assert found.landmarks.shape == (rank,)
    assert len(set(found.landmarks.tolist())) == rank
    assert_allclose(K[:, found.landmarks] @ found.A, found.Z, atol=1e-6)
    KL, LL = K[:, found.landmarks], K[np.ix_(found.landmarks, found.landmarks)]
    assert_allclose(found.Z @ found.Z.T, KL @ np.linalg.pinv(LL, 1e-13) @ KL.T, atol=1e-6)
    assert_allclose(found.error, np.trace(K - found.Z @ found.Z.T) / np.trace(K), atol=1e-12)


def test_pivots_are_better_than_chance():
    X, _ = blobs(400)
    K = kernels.rbf(X, gamma=0.3)

    def error(candidates, seed=0):
        return _nystroem.factor(lambda i, j: K[np.ix_(i, j)], 400, 40, candidates, seed).error

    eigenvalues = np.linalg.eigvalsh(K)
    best = eigenvalues[:-40].sum() / eigenvalues.sum()
    pivoted = [error(np.arange(400), k) for k in range(5)]
    by_chance = [error(np.random.default_rng(k).choice(400, 40, replace=False)) for k in range(5)]
    assert best <= min(pivoted)
    assert np.mean(pivoted) < min(2 * best, np.mean(by_chance))


def test_a_kernel_of_low_rank_ends_early():
    X, y = blobs(100)
    model = low_rank(kernel="linear", n_components=50).fit(X, y)
    assert len(model.landmarks_) == 3
    assert_allclose(model.approximation_error_, 0, atol=1e-12)
    exact = SVC(kernel="linear", tol=1e-6).fit(X, y)
    assert_allclose(model.coef_, exact.coef_, atol=0.05)


@pytest.mark.parametrize("scheme", ["ovo", "ovr"])
@pytest.mark.parametrize("classes", [2, 4])
def test_all_rows_as_landmarks_are_the_exact_kernel(classes, scheme):
    X, y = blobs(120, classes)
    labels = np.array(["a", "b", "c", "d"])[y]
    exact = SVC(gamma=0.3, multi_class=scheme, tol=1e-5).fit(X, labels)
    for landmarks in ("pivoted", "uniform"):
        model = low_rank(gamma=0.3, multi_class=scheme, n_components=120, landmarks=landmarks,
                         tol=1e-5).fit(X, labels)
        assert model.approximation_error_ < 1e-6
        assert_allclose(model.dual_objective_, exact.dual_objective_, rtol=1e-3)
        scores, expected = model.decision_function(X), exact.decision_function(X)
        assert np.abs(scores - expected).mean() < 0.02
        sure = np.sort(np.abs(expected.reshape(len(X), -1)), axis=1)[:, 0] > 0.1
        assert_array_equal(model.predict(X)[sure], exact.predict(X)[sure])


def test_the_certificate_is_that_of_the_approximated_problem():
    X, y = blobs(300)
    C, tol = 2.0, 1e-4
    model = low_rank(C=C, gamma=0.3, n_components=20, tol=tol).fit(X, y)
    L = model.landmarks_
    K, KL = kernels.rbf(X[L], gamma=0.3), kernels.rbf(X, X[L], gamma=0.3)
    v = model.dual_coef_[0]
    sign = np.where(y == 1, 1, -1)
    primal = v @ K @ v / 2 + C * np.maximum(0, 1 - sign * (KL @ v + model.intercept_)).sum()
    assert model.duality_gap_[0] <= tol
    assert_allclose(primal, model.dual_objective_[0], rtol=2 * tol)
    # No model of this form is better: that of a general solver on the same problem is not.
    A = np.linalg.pinv(np.linalg.cholesky(K + 1e-12 * np.eye(20))).T
    other = hingex.LinearSVC("hinge", C=C, tol=1e-6).fit(KL @ A, y)
    assert_allclose(other.primal_objective_[0], primal, rtol=2 * tol)


def test_layouts_kernels_and_repeats():
    X, y = blobs(200, 3)
    options = {"gamma": 0.3, "n_components": 30}
    model = low_rank(**options).fit(X, y)
    expected = model.decision_function(X)
    for jobs in (1, 2):
        again = low_rank(n_jobs=jobs, **options).fit(X, y)
        assert_array_equal(again.decision_function(X), expected)
    K = kernels.rbf(X, gamma=0.3)
    for given, kernel in ((csr_array(X), "rbf"), (K, "precomputed"),
                          (X, lambda A, B: kernels.rbf(A, B, gamma=0.3))):
        other = low_rank(kernel=kernel, **options).fit(given, y)
        assert_array_equal(other.landmarks_, model.landmarks_)
        assert_allclose(other.decision_function(given), expected, atol=1e-3)
    first = low_rank(landmarks="uniform", **options).fit(X, y)
    assert_array_equal(first.landmarks_,
                       low_rank(landmarks="uniform", **options).fit(X, y).landmarks_)
    second = low_rank(landmarks="uniform", random_state=1, **options).fit(X, y)
    assert set(second.landmarks_) != set(first.landmarks_)


def test_files_probabilities_and_weights(tmp_path):
    X, y = blobs(200, 3)
    weights = np.ones(200)
    weights[:20] = 0
    model = low_rank(gamma=0.3, n_components=30, probability=True).fit(X, y, weights)
    assert model.landmarks_.min() >= 20
    assert_array_equal(model.predict_proba(X).argmax(axis=1), model.predict(X))
    model.save(tmp_path / "model")
    again = hingex.load(tmp_path / "model")
    assert_array_equal(again.decision_function(X), model.decision_function(X))
    model.n_support_ = np.array([31])
    with pytest.raises(ValueError, match="n_support_"):
        model.predict(X)


def test_an_exact_fit_afterwards():
    X, y = blobs(100, 3)
    model = low_rank(gamma=0.3, n_components=10).fit(X, y)
    exact = SVC(gamma=0.3).fit(X, y)
    assert_array_equal(model.set_params(approximation=None).fit(X, y).decision_function(X),
                       exact.decision_function(X))
    assert not hasattr(model, "landmarks_")
    low = model.set_params(approximation="nystroem").fit(X, y)
    assert not hasattr(low, "kkt_violation_")


def test_errors():
    X, y = blobs(30)
    for options, message in (({"approximation": "rff"}, "approximation must be"),
                             ({"n_components": 0}, "n_components must be"),
                             ({"landmarks": "best"}, "landmarks must be"),
                             ({"C": np.inf}, "finite C"),
                             ({"warm_start": True}, "warm_start=False")):
        with pytest.raises(ValueError, match=message):
            SVC(**{"approximation": "nystroem"} | options).fit(X, y)
    with pytest.raises(ValueError, match="nothing to learn from"):
        low_rank(kernel="linear").fit(np.zeros((4, 2)), [0, 1, 0, 1])


@pytest.mark.parametrize("landmarks", ["pivoted", "uniform"])
def test_rows_without_weight_change_nothing(landmarks):
    X, y = blobs(120, 3)
    used = np.arange(120) % 4 > 0
    X[~used] *= 1e3
    options = {"n_components": 20, "probability": True, "landmarks": landmarks}
    model = low_rank(**options).fit(X, y, used * 1.0)
    without = low_rank(**options).fit(X[used], y[used])
    assert_array_equal(model.support_vectors_, without.support_vectors_)
    assert model.approximation_error_ == without.approximation_error_
    assert_array_equal(model.predict_proba(X[used]), without.predict_proba(X[used]))


def test_probabilities_count_class_weights_once():
    X, y = blobs(120, 2)
    options = {"n_components": 20, "probability": True}
    twice = low_rank(class_weight={0: 2.0, 1: 2.0}, **options).fit(X, y)
    C = low_rank().C
    assert_allclose(twice.probability_slopes_,
                    low_rank(**options).set_params(C=2 * C).fit(X, y).probability_slopes_,
                    rtol=1e-6)
