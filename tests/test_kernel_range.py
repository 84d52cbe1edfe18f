# SPDX-License-Identifier: BSD-3-Clause
"""Kernel machines on numbers far from 1: models are those of the problem in other units.

With K = k K', y = s y', C = s / k C' and epsilon = s epsilon' the scores are s times those of K',
y', C' and epsilon', and the duals s / k times.
"""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hingex import SVC, SVR, NuSVC, NuSVR, OneClassSVM

FACTORS = [1e-160, 1e-50, 1e-20, 1e20, 1e39, 1e155]
SAME = 2e-5  # of scores, by kernel values in single and in double precision


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def rows(n=30, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) + 1
    noise = rng.normal(size=n)
    return X, (X[:, 0] + 0.3 * noise > 1).astype(int), X[:, 0] + 0.3 * noise


def given(kind, X, factor):
    """A linear kernel times a factor, and the X that goes with it."""
    if kind == "precomputed":
        return "precomputed", X @ X.T * factor
    return (lambda A, B: A @ B.T * factor), X


def scores(model, X):
    return model.predict(X) if isinstance(model, (SVR, NuSVR)) else model.decision_function(X)


@pytest.mark.parametrize("n", [30, 400])
@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("kind", ["callable", "precomputed"])
def test_values_of_a_given_kernel(kind, factor, n):
    X, y, target = rows(n)
    kernel, given_rows = given(kind, X, factor)
    plain, plain_rows = given(kind, X, 1.0)
    three, apart = np.digitize(X[:, 0], [0.5, 1.5]), (X[:, 0] > 1).astype(int)
    # A gap of tol is of scores about its root; a few rows are solved to rounding error.
    fine, hard = {"tol": 1e-6 if n > 200 else 1e-3}, {"C": np.inf}
    for Machine, goal, options in (
            (SVC, y, fine | {"C": 1.0}), (SVC, three, fine | {"C": 1.0}), (SVC, apart, hard),
            (SVC, three, fine | {"C": 1.0, "multi_class": "ovr"}), (NuSVC, y, fine),
            (SVR, target, fine | {"C": 1.0}), (NuSVC, three, fine), (OneClassSVM, None, fine)):
        scaled = {name: v / factor if name == "C" else v for name, v in options.items()}
        a = Machine(kernel=kernel, **scaled).fit(given_rows, goal)
        b = Machine(kernel=plain, **options).fit(plain_rows, goal)
        assert a.converged_
        assert b.converged_
        times = factor if Machine is OneClassSVM else 1.0
        near, rtol = (2e-2, 3e-3) if options is hard else (3e-3 if n > 200 else SAME, 1e-5)
        want = scores(b, plain_rows)
        assert_allclose(scores(a, given_rows) / times, want, atol=near * np.abs(want).max())
        times = factor if Machine in (NuSVC, OneClassSVM) else 1 / factor
        assert_allclose(a.primal_objective_ / times, b.primal_objective_, rtol=rtol)
        assert_allclose(a.dual_objective_ / times, b.dual_objective_, rtol=rtol)


@pytest.mark.parametrize("factor", [1e-160, 1e-50, 1e39, 1e155])
@pytest.mark.parametrize("kind", ["callable", "precomputed"])
def test_values_of_a_kernel_of_low_rank(kind, factor):
    X, y, _ = rows(200)
    options = {"approximation": "nystroem", "n_components": 3}
    kernel, given_rows = given(kind, X, factor)
    plain, plain_rows = given(kind, X, 1.0)
    a = SVC(kernel=kernel, C=1 / factor, **options).fit(given_rows, y)
    b = SVC(kernel=plain, **options).fit(plain_rows, y)
    assert a.converged_
    assert_allclose(a.decision_function(given_rows), b.decision_function(plain_rows), atol=1e-2)
    assert_allclose(a.primal_objective_ * factor, b.primal_objective_, rtol=2e-3)


@pytest.mark.parametrize("kind", ["callable", "precomputed"])
def test_costs_out_of_range_for_a_kernel_of_low_rank(kind):
    X, y, _ = rows()
    for factor, C in ((1e280, 1e50), (1e-280, 1e-50)):
        kernel, given_rows = given(kind, X, factor)
        with pytest.raises(ValueError, match=r"products of 1e-200 to 1e\+200. Scale"):
            SVC(C=C, kernel=kernel, approximation="nystroem").fit(given_rows, y)


def test_values_that_come_late_are_in_range_too():
    X, y, _ = rows(600)
    X[500:] *= 1e25  # the first values are of rows around 1
    X[550:] *= 1e-50
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rounding may leave a gap: it is stated
        for Machine in (SVC, NuSVC):
            model = Machine(kernel=lambda A, B: A @ B.T).fit(X, y)
            same = Machine(kernel="precomputed").fit(X @ X.T, y)
            assert np.isfinite(model.primal_objective_).all()
            assert model.converged_ == same.converged_


def test_a_kernel_around_1_is_called_no_more_often():
    X, y, _ = rows(30)
    calls = []

    def kernel(A, B):
        calls.append((len(A), len(B)))
        return A @ B.T

    SVC(kernel=kernel).fit(X, y)
    assert calls[0] == (32, 32)  # the working set, filled up: no look at the diagonal before
    assert sum(a * b for a, b in calls) <= 6 * 32 * 32


@pytest.mark.parametrize("factor", [1e-300, 1e300])
@pytest.mark.parametrize("kind", ["callable", "precomputed"])
def test_values_out_of_all_range(kind, factor):
    X, y, target = rows()
    kernel, given_rows = given(kind, X, factor)
    for Machine, goal in ((SVC, y), (NuSVC, y), (SVR, target), (NuSVR, target), (OneClassSVM, y)):
        with pytest.raises(ValueError, match=r"values are up to .*allowed are 1e-289 to 1e\+289"):
            Machine(kernel=kernel).fit(given_rows, goal)


# ---- bounds of duals ----------------------------------------------------------------------------


@pytest.mark.parametrize("C", [1e141, 1e155, 1e199])
def test_a_C_that_binds_no_dual(C):
    X, y, target = rows()
    three, apart = np.digitize(X[:, 0], [0.5, 1.5]), (X[:, 0] > 1).astype(int)
    for Machine, goal, options in ((SVC, y, {}), (SVC, three, {}), (SVR, target, {}),
                                   (SVC, three, {"multi_class": "ovr"}),
                                   (SVC, apart, {"kernel": "linear"})):
        large, small = (Machine(C=c, **options).fit(X, goal) for c in (C, 1e6))
        assert large.converged_
        assert np.abs(small.dual_coef_).max() < 1e5  # no bound of either counts
        assert_allclose(scores(large, X), scores(small, X), atol=1e-6)
        assert_allclose(large.dual_objective_, small.dual_objective_, rtol=1e-6)


@pytest.mark.parametrize("factor", [1e155, 1e280])
def test_a_C_that_binds_no_dual_of_a_large_kernel(factor):
    X, y, target = rows()
    K = np.exp(-((X[:, None] - X) ** 2).sum(axis=2))
    for Machine, goal in ((SVC, y), (SVR, target)):
        large = Machine(kernel="precomputed").fit(K * factor, goal)
        same = Machine(C=1e6, kernel="precomputed").fit(K, goal)
        assert_allclose(scores(large, K * factor), scores(same, K), atol=1e-6)


def test_weights_that_bind_no_dual():
    X, y, target = rows()
    whole = SVR(C=1e6).fit(X, target).predict(X)
    for C, weight in ((1.0, 1e300), (1e100, 1e300)):
        model = SVR(C=C).fit(X, target, sample_weight=np.full(30, weight))
        assert_allclose(model.predict(X), whole, atol=1e-6)
    for heavy in (1e145, 1e190):  # one row, or a class, beside others whose bounds count
        some = np.ones(30)
        some[3] = heavy
        few = np.where(some > 1, 1e6, 1.0)
        assert_allclose(SVR().fit(X, target, sample_weight=some).predict(X),
                        SVR().fit(X, target, sample_weight=few).predict(X), atol=2e-4)
        a, b = (SVC(class_weight={0: w, 1: 1.0}).fit(X, y) for w in (heavy, 1e6))
        assert_allclose(a.decision_function(X), b.decision_function(X), atol=1e-5)


@pytest.mark.parametrize("C", [1e155, 1e199])
def test_a_C_that_would_bind_is_refused(C):
    X, y, target = rows()
    y[:3] = 1 - y[:3]  # no plane separates the classes
    found = r"row \d+ is bounded by 1e.*C times.*allowed is .*e\+1.*smaller C"
    for Machine, goal in ((SVC, y), (SVR, target)):
        with pytest.raises(ValueError, match=found):
            Machine(kernel="linear", C=C).fit(X, goal)
    with pytest.raises(ValueError, match=r"allowed are 1e\+70. Take a smaller C"):
        NuSVR(C=C).fit(X, target)


def test_sums_of_duals_far_beyond_what_targets_ask_for():
    X, y, target = rows()
    for model, given_rows, goal in ((NuSVR(), X, target * 1e-155),
                                    (NuSVR(kernel="precomputed"), X @ X.T * 1e155, target)):
        with pytest.raises(ValueError, match=r"at row \d+\).*allowed are 1e\+140 times.*smaller"):
            model.fit(given_rows, goal)
    with pytest.raises(ValueError, match="smaller values of sample_weight and class_weight"):
        NuSVC().fit(X, y, sample_weight=np.full(30, 1e100))
    heavy = np.full(30, 1e308)  # whose sum, or product with C, is not in float64
    for model in (NuSVR(), NuSVR(C=1e100), OneClassSVM()):
        with pytest.raises(ValueError, match="sample_weight"):
            model.fit(X, target, sample_weight=heavy)


# ---- targets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
@pytest.mark.parametrize("scale", [1e-100, 1e-160, 1e-200])
def test_scale_of_the_targets(kernel, scale):
    X, _, target = rows()
    for Machine, options in ((SVR, {"epsilon": 0.0}), (SVR, {"epsilon": 0.1}), (NuSVR, {})):
        own = {name: v * scale for name, v in options.items()}
        a = Machine(kernel=kernel, C=scale, **own).fit(X, target * scale)
        b = Machine(kernel=kernel, C=1.0, **options).fit(X, target)
        assert a.converged_
        assert a.duality_gap_[0] <= 1e-3
        assert_allclose(a.predict(X) / scale, b.predict(X), atol=1e-5)
        assert_allclose(a.dual_coef_ / scale, b.dual_coef_, atol=1e-4)
        if Machine is NuSVR:
            assert_allclose(a.epsilon_ / scale, b.epsilon_, rtol=1e-5)


def test_targets_out_of_all_range():
    X, _, target = rows()
    with pytest.raises(ValueError, match=r"targets y .*at row \d+.*1e-289 to 1e\+289. Scale y"):
        SVR(epsilon=0.0).fit(X, target * 1e-310)
    with pytest.raises(ValueError, match=r"at row \d+, have objectives beyond"):
        SVR(C=1e155).fit(X, target * 1e155)


def test_weights_of_rows_without_targets():
    X, y, _ = rows()
    for weight in (1e-200, 1e-150, 1e65):
        a, b = (OneClassSVM(gamma=0.5).fit(X, sample_weight=np.full(30, w)) for w in (weight, 1.0))
        assert_allclose(a.decision_function(X) / weight, b.decision_function(X), atol=1e-6)
        a, b = (NuSVC(gamma=0.5).fit(X, y, sample_weight=np.full(30, w)) for w in (weight, 1.0))
        assert_allclose(a.decision_function(X), b.decision_function(X), atol=1e-6)


def test_what_callbacks_are_told():
    X, y, _ = rows(400)
    states = []
    model = SVC(kernel=lambda A, B: A @ B.T * 1e39, C=1e-39, callback=states.append).fit(X, y)
    assert_allclose([states[-1].dual, model.history_["dual"][-1]], model.dual_objective_[0],
                    rtol=1e-3)
    assert all(1e-40 < state.primal < 1e-36 for state in states)
