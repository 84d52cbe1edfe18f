# SPDX-License-Identifier: BSD-3-Clause
"""Calibration against brute force, the definition, and scikit-learn's."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.optimize import minimize

import hingex
from hingex import calibration


def scores(n=300, seed=0):
    rng = np.random.default_rng(seed)
    f = rng.normal(size=n) * 3 + 1
    return f, rng.random(n) < 1 / (1 + np.exp(-0.7 * f + 0.4)), rng.random(n)


def data(classes=3, n=300, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, 5))
    y = rng.integers(0, classes, n)
    return centres[y] + 1.2 * rng.normal(size=(n, 5)), np.array(["a", "b", "c", "d"])[y]


@pytest.mark.parametrize("weighted", [False, True])
def test_sigmoid_is_the_maximum_of_likelihood(weighted):
    f, positive, w = scores()
    w = w if weighted else np.ones(len(f))
    up, down = w[positive].sum(), w[~positive].sum()
    target = np.where(positive, (up + 1) / (up + 2), 1 / (down + 2))

    def value(ab):
        z = ab[0] * f + ab[1]
        return w @ (target * np.logaddexp(0, z) + (1 - target) * np.logaddexp(0, -z))

    best = minimize(value, [0, 0], method="BFGS", options={"gtol": 1e-10, "xrtol": 1e-14})
    found = calibration.fit_sigmoid(f, positive, w)
    assert_allclose([found.a, found.b], best.x, atol=1e-5)
    assert value([found.a, found.b]) <= best.fun + 1e-10
    assert found.a < 0
    assert_allclose(found([1e4, -1e4, 0.0]), [1, 0, 1 / (1 + np.exp(found.b))], atol=1e-12)


def test_sigmoid_of_separated_scores_and_of_a_constant():
    f = np.r_[np.linspace(-2, -1, 50), np.linspace(1, 2, 50)]
    found = calibration.fit_sigmoid(f, f > 0)
    assert np.isfinite([found.a, found.b]).all()
    assert_allclose(found(f[-1:]), 1, atol=0.1)
    same = calibration.fit_sigmoid(np.zeros(10), np.arange(10) < 3)
    assert_allclose(same([0.0]), (3 * 4 / 5 + 7 / 9) / 10, rtol=1e-6)


def test_isotonic_by_the_definition():
    """Max-min of means: the classical formula of isotonic regression."""
    f, positive, w = scores(60)
    f = np.round(f, 1)
    found = calibration.fit_isotonic(f, positive, w)
    for x in np.unique(f):
        lows, highs = np.unique(f[f <= x]), np.unique(f[f >= x])
        best = max(min(np.average(positive[m], weights=w[m]) for high in highs
                       if (m := (f >= low) & (f <= high)).any()) for low in lows)
        assert_allclose(found(x), best, atol=1e-12)
    assert (np.diff(found(np.linspace(-9, 9, 500))) >= 0).all()


def test_helpers_refuse():
    with pytest.raises(ValueError, match="1-D, of one length"):
        calibration.fit_sigmoid([1.0, 2.0], [True])
    with pytest.raises(TypeError, match="array of bool"):
        calibration.fit_sigmoid([1.0, 2.0], [0, 1])
    with pytest.raises(ValueError, match="finite"):
        calibration.fit_isotonic([1.0, np.nan], [True, False])


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("classes", [2, 4])
def test_classifier(method, classes):
    X, y = data(classes)
    model = hingex.CalibratedClassifier(hingex.LinearSVC(loss="hinge"), method=method).fit(X, y)
    p = model.predict_proba(X)
    assert p.shape == (300, classes)
    assert_allclose(p.sum(axis=1), 1, atol=1e-12)
    assert_array_equal(model.classes_[p.argmax(axis=1)], model.predict(X))
    assert len(model.calibrators_) == (1 if classes == 2 else classes)
    csr = hingex.CalibratedClassifier(hingex.LinearSVC(loss="hinge"), method=method)
    assert_allclose(csr.fit(sparse.csr_array(X), y).predict_proba(X), p, atol=2e-2)
    again = hingex.CalibratedClassifier(hingex.LinearSVC(loss="hinge"), method=method).fit(X, y)
    assert_array_equal(again.predict_proba(X), p)


def test_scores_are_held_out():
    """Calibrated on all rows' held-out scores, as recomputed fold by fold."""
    X, y = data(2)
    splits = [(np.flatnonzero(np.arange(300) % 3 != k), np.flatnonzero(np.arange(300) % 3 == k))
              for k in range(3)]
    model = hingex.CalibratedClassifier(cv=splits).fit(X, y)
    held = np.empty(300)
    for train, test in splits:
        held[test] = hingex.LinearSVC().fit(X[train], y[train]).decision_function(X[test])
    assert model.calibrators_[0] == calibration.fit_sigmoid(held, y == model.classes_[1])
    full = hingex.LinearSVC().fit(X, y)
    assert_array_equal(model.estimator_.coef_, full.coef_)


def test_beside_sklearn():
    theirs = pytest.importorskip("sklearn.calibration")
    svm = pytest.importorskip("sklearn.svm")
    X, y = data(2)
    splits = [(np.flatnonzero(np.arange(300) % 5 != k), np.flatnonzero(np.arange(300) % 5 == k))
              for k in range(5)]
    ours = hingex.CalibratedClassifier(
        hingex.LinearSVC(intercept="regularized", tol=1e-8), cv=splits).fit(X, y)
    other = theirs.CalibratedClassifierCV(
        svm.LinearSVC(tol=1e-8), cv=splits, ensemble=False).fit(X, y)
    assert_allclose(ours.predict_proba(X), other.predict_proba(X), atol=1e-4)


def test_probabilities_are_calibrated():
    X, y = data(2, n=4000)
    half = hingex.CalibratedClassifier(hingex.LinearClassifier("hinge")).fit(X[:2000], y[:2000])
    p, true = half.predict_proba(X[2000:])[:, 1], y[2000:] == half.classes_[1]
    for low in np.arange(0, 1, 0.2):
        inside = (p >= low) & (p < low + 0.2)
        if inside.sum() > 50:
            assert abs(p[inside].mean() - true[inside].mean()) < 0.1


def test_weights_and_refusals():
    X, y = data(2)
    w = np.where(np.arange(300) < 250, 1.0, 0.0)
    one = hingex.CalibratedClassifier().fit(X, y, sample_weight=w)
    two = hingex.CalibratedClassifier().fit(X[:250], y[:250])
    assert_allclose(one.predict_proba(X), two.predict_proba(X), atol=5e-2)
    with pytest.raises(ValueError, match="needs 2 rows"):
        hingex.CalibratedClassifier().fit(X[:20], np.arange(20) == 0)
    with pytest.raises(ValueError, match="cv must be"):
        hingex.CalibratedClassifier(cv=1).fit(X, y)
    with pytest.raises(ValueError, match="method must be"):
        hingex.CalibratedClassifier(method="platt").fit(X, y)
    with pytest.raises(TypeError, match="must have fit, decision_function"):
        hingex.CalibratedClassifier(calibration.METHODS).fit(X, y)
    with pytest.raises(ValueError, match="one test at most"):
        hingex.CalibratedClassifier(cv=[(np.arange(300), np.arange(300))] * 2).fit(X, y)


@pytest.mark.filterwarnings("ignore:.*does not inherit from `sklearn.base.BaseEstimator`")
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_check_estimator(method):
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    model = hingex.CalibratedClassifier(method=method)
    results = checks.check_estimator(model, on_fail=None, on_skip=None)
    assert not [r for r in results if r["status"] not in ("passed", "skipped")]


def test_class_weight_names_the_labels_of_y():
    X, y = data(3)
    weight = {"a": 1.0, "b": 5.0, "c": 1.0}
    one = hingex.CalibratedClassifier(hingex.LinearSVC(class_weight=weight)).fit(X, y)
    codes = np.unique(y, return_inverse=True)[1]
    two = hingex.CalibratedClassifier(hingex.LinearSVC(class_weight={0: 1.0, 1: 5.0, 2: 1.0}))
    assert_array_equal(one.predict_proba(X), two.fit(X, codes).predict_proba(X))


def test_folds_of_ones_own():
    class Halves:
        def split(self, X, y):
            yield np.arange(0, 150), np.arange(150, 300)
            yield np.arange(150, 300), np.arange(0, 150)

    X, y = data(3)
    first = np.arange(300) < 150
    pairs = list(Halves().split(X, y))
    expected = hingex.CalibratedClassifier(cv=pairs).fit(X, y).predict_proba(X)
    for cv in (Halves(), [(first, ~first), (~first, first)]):
        assert_array_equal(hingex.CalibratedClassifier(cv=cv).fit(X, y).predict_proba(X), expected)
    for cv, error, message in [
        ([(np.arange(150), np.arange(150, 301))], ValueError, "must lie in 0..299; got 300"),
        ([([0.0], [1.0])], ValueError, "1-D array of integers"),
        ([1, 2], ValueError, "fold 0 of cv must be a pair"),
        ([], ValueError, "no folds"),
        ("five", TypeError, "cv must be an integer"),
    ]:
        with pytest.raises(error, match=message):
            hingex.CalibratedClassifier(cv=cv).fit(X, y)
    with pytest.raises(TypeError, match=r"write LinearSVC\(\)"):
        hingex.CalibratedClassifier(hingex.LinearSVC).fit(X, y)
