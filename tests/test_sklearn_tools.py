# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn's tools around every public estimator: its checks, meta-estimators, displays.

`PUBLIC` is read from hingex's own public names: a new estimator is tested without being named here.
"""

import inspect
import pickle
from importlib import import_module

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import hingex
from hingex._estimator import Estimator

sklearn = pytest.importorskip("sklearn")
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not inherit from `sklearn.base.BaseEstimator`"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def public_estimators():
    """Every public class of hingex with `fit`, by name."""
    found = {}
    for place in (hingex, *(import_module(f"hingex.{name}") for name in hingex._SUBMODULES)):
        for name in getattr(place, "__all__", None) or dir(place):
            value = getattr(place, name)
            if (inspect.isclass(value) and issubclass(value, Estimator) and hasattr(value, "fit")
                    and not name.startswith("_") and value.__module__ != "hingex._estimator"):
                found[value.__name__] = value
    return found


PUBLIC = public_estimators()
STOCHASTIC = ("PegasosClassifier", "PassiveAggressiveClassifier", "AROWClassifier")
STRUCTURED = ("StructuredSVM", "ChainSVM", "MultilabelSVM")  # X or y are not tables of numbers
TEXT = ("TextClassifier", "TextVectorizer")


def tabular(model):
    """Whether it is a classifier of rows of numbers, with one label each."""
    from sklearn.base import is_classifier

    return is_classifier(model) and type(model).__name__ not in (*STRUCTURED, *TEXT)


CLASSIFIERS = [cls() for cls in PUBLIC.values() if tabular(cls())] + [
    hingex.SVC(probability=True), hingex.NuSVC(nu=0.2), hingex.LinearSVC("hinge"),
    hingex.LinearClassifier("modified_huber"), hingex.SVC(multi_class="ovr", probability=True),
]
BINARY = pytest.mark.parametrize("model", CLASSIFIERS, ids=repr)


def data(n=120, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    return 1.2 * rng.standard_normal((classes, 3))[y] + rng.standard_normal((n, 3)), y


def test_the_registry():
    assert len(PUBLIC) >= 21
    assert set(STOCHASTIC + STRUCTURED + TEXT) <= PUBLIC.keys()


# ----------------------------------------------------------- methods that are there, or are not

METHODS = ("fit", "predict", "predict_proba", "predict_log_proba", "decision_function", "transform",
           "score", "score_samples", "partial_fit", "fit_transform", "get_feature_names_out")  # fmt: skip


@pytest.mark.parametrize("model", [cls() for cls in PUBLIC.values()] + CLASSIFIERS, ids=repr)
def test_methods_are_called_what_they_are_called(model):
    for name in METHODS:
        assert hasattr(model, name) == (name in dir(model)), name
        on_class = getattr(type(model), name, None)
        if on_class is not None:
            assert on_class.__name__ == name
            assert on_class.__doc__
        if hasattr(model, name):
            method = getattr(model, name)
            assert method.__name__ == name
            assert method.__self__ is model
            assert method.__doc__ == on_class.__doc__
            assert list(inspect.signature(method).parameters) == list(
                inspect.signature(on_class).parameters)[1:]


@pytest.mark.parametrize("model", [
    cls() for cls in PUBLIC.values()] + CLASSIFIERS + [
    hingex.text.TextClassifier(hingex.LinearClassifier())], ids=repr)
def test_methods_called_too_early(model):
    from sklearn.exceptions import NotFittedError

    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform",
                 "score_samples"):  # fmt: skip
        if hasattr(model, name) and not (name == "transform" and not needs_fit(model)):
            with pytest.raises(NotFittedError):
                getattr(model, name)(["a text"] if is_text(model) else [[0.0, 1.0, 2.0]])


def is_text(model):
    return type(model).__name__ in TEXT


def needs_fit(model):
    return sklearn.utils.get_tags(model).requires_fit


@pytest.mark.parametrize(("model", "there"), [
    (hingex.SVC(), False), (hingex.SVC(probability=True), True),
    (hingex.LinearClassifier("hinge"), False), (hingex.LinearClassifier(), True),
    (hingex.LinearClassifier("no such loss"), False),
    (hingex.text.TextClassifier(), False),
    (hingex.text.TextClassifier(hingex.LinearClassifier()), True),
    (hingex.text.TextClassifier(hingex.LinearClassifier("hinge")), False),
    (hingex.CalibratedClassifier(), True), (hingex.NuSVC(), False),
], ids=repr)
def test_predict_proba_is_there_where_it_can_be_called(model, there):
    assert hasattr(model, "predict_proba") == there
    assert ("predict_proba" in dir(model)) == there
    if not there:
        with pytest.raises(AttributeError):
            type(model).predict_proba(model, [[0.0]])
    if there and not is_text(model):
        X, y = data()
        fitted = model.fit(X, y)
        assert hasattr(fitted, "predict_proba")
        assert_array_equal(type(model).predict_proba(fitted, X), fitted.predict_proba(X))


def test_the_answer_follows_the_parameters():
    model = hingex.SVC()
    model.set_params(probability=True)
    assert hasattr(model, "predict_proba")
    X, y = data()
    model.set_params(probability=False).fit(X, y)
    model.set_params(probability=True)  # too late for this fit
    assert not hasattr(model, "predict_proba")
    assert not hasattr(hingex.text.TextVectorizer(method="hashing"), "get_feature_names_out")


# ----------------------------------------------------- meta-estimators and displays, by each's own


def responses(model):
    return [m for m in ("predict_proba", "decision_function") if hasattr(model, m)]


def positive_scores(model, method, X):
    found = getattr(model, method)(X)
    return found[:, 1] if method == "predict_proba" else found


@BINARY
def test_stacking(model):
    from sklearn.base import clone
    from sklearn.ensemble import StackingClassifier
    from sklearn.linear_model import LogisticRegression

    X, y = data()
    for method in responses(model):
        stack = StackingClassifier([("a", clone(model))], LogisticRegression(),
                                   stack_method=method, cv=3).fit(X, y)
        own = positive_scores(clone(model).fit(X, y), method, X)[:, None]
        assert_allclose(stack.transform(X), own, rtol=1e-12)
        assert_array_equal(stack.predict(X), stack.final_estimator_.predict(own))


@BINARY
def test_thresholds(model):
    from sklearn.base import clone
    from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV

    X, y = data()
    fitted = clone(model).fit(X, y)
    for method in responses(model):
        own = positive_scores(fitted, method, X)
        threshold = float(np.quantile(own, 0.7))
        fixed = FixedThresholdClassifier(clone(model), threshold=threshold,
                                         response_method=method).fit(X, y)
        assert_array_equal(fixed.predict(X), (own >= threshold).astype(int))
        tuned = TunedThresholdClassifierCV(clone(model), response_method=method, cv=3,
                                           thresholds=11).fit(X, y)
        assert_array_equal(tuned.predict(X), (own >= tuned.best_threshold_).astype(int))


@BINARY
def test_chains(model):
    from sklearn.base import clone
    from sklearn.multioutput import ClassifierChain

    X, y = data()
    Y = np.column_stack([y, X[:, 0] > 0]).astype(int)
    for method in responses(model):
        chain = ClassifierChain(clone(model), chain_method=method, cv=3, order=[0, 1]).fit(X, Y)
        first = clone(model).fit(X, Y[:, 0])
        own = positive_scores(first, method, X)
        assert_array_equal(chain.predict(X)[:, 0], first.predict(X))
        second = chain.estimators_[1]
        assert_array_equal(chain.predict(X)[:, 1], second.predict(np.column_stack([X, own])))


@BINARY
def test_displays(model):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot
    from sklearn.base import clone
    from sklearn.calibration import CalibrationDisplay
    from sklearn.inspection import DecisionBoundaryDisplay
    from sklearn.metrics import (
        PrecisionRecallDisplay,
        RocCurveDisplay,
        precision_recall_curve,
        roc_curve,
    )

    X, y = data()
    fitted = clone(model).fit(X, y)
    flat = clone(model).fit(X[:, :2], y)
    for method in responses(model):
        own = positive_scores(fitted, method, X)
        shown = RocCurveDisplay.from_estimator(fitted, X, y, response_method=method)
        assert_allclose(shown.fpr, roc_curve(y, own)[0])
        assert_allclose(shown.tpr, roc_curve(y, own)[1])
        shown = PrecisionRecallDisplay.from_estimator(fitted, X, y, response_method=method)
        assert_allclose(shown.precision, precision_recall_curve(y, own)[0])
        shown = DecisionBoundaryDisplay.from_estimator(flat, X[:, :2], response_method=method,
                                                       grid_resolution=5)
        grid = np.column_stack([shown.xx0.ravel(), shown.xx1.ravel()])
        assert_allclose(shown.response.ravel(), positive_scores(flat, method, grid), rtol=1e-12)
    if hasattr(model, "predict_proba"):
        shown = CalibrationDisplay.from_estimator(fitted, X, y)
        assert_allclose(shown.y_prob, fitted.predict_proba(X)[:, 1])
    pyplot.close("all")


@BINARY
def test_partial_dependence(model):
    from sklearn.base import clone
    from sklearn.inspection import partial_dependence

    X, y = data()
    fitted = clone(model).fit(X, y)
    for method in responses(model):
        found = partial_dependence(fitted, X, [1], response_method=method, grid_resolution=4,
                                   kind="average", method="brute")
        for value, average in zip(found["grid_values"][0], found["average"][0], strict=True):
            moved = X.copy()
            moved[:, 1] = value
            assert_allclose(average, positive_scores(fitted, method, moved).mean(), rtol=1e-12)


@BINARY
def test_calibration_and_votes(model):
    from sklearn.base import clone
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import VotingClassifier

    X, y = data(classes=2 if type(model).__name__ == "AUCMaximizer" else 3)
    fitted = clone(model).fit(X, y)
    calibrated = CalibratedClassifierCV(clone(model), cv=3, ensemble=False).fit(X, y)
    inner, = calibrated.calibrated_classifiers_
    # It takes decision_function where there is one.
    own = inner.estimator.decision_function(X) if hasattr(
        model, "decision_function") else inner.estimator.predict_proba(X)
    if own.ndim == 2 and own.shape[1] == 2:
        own = own[:, 1]
    own = own.reshape(len(X), -1)
    p = np.column_stack([c.predict(own[:, k]) for k, c in enumerate(inner.calibrators)])
    p = np.column_stack([1 - p, p]) if p.shape[1] == 1 else p / p.sum(axis=1, keepdims=True)
    assert_allclose(calibrated.predict_proba(X), p)
    if hasattr(model, "predict_proba"):
        votes = VotingClassifier([("a", clone(model)), ("b", clone(model))], voting="soft")
        assert_allclose(votes.fit(X, y).predict_proba(X), fitted.predict_proba(X))
