# SPDX-License-Identifier: BSD-3-Clause
"""LinearSVC beside scikit-learn's, and inside scikit-learn's tools."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix

import hingex

pytest.importorskip("sklearn")

from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    cross_val_score,
    learning_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.svm import LinearSVC as SklearnSVC
from sklearn.utils.estimator_checks import check_estimator

LOSSES = ("hinge", "squared_hinge")


def data(classes=3, n=300, d=12, seed=0):
    X, y = make_classification(n, d, n_informative=6, n_classes=classes, flip_y=0.1,
                               random_state=seed)
    return X, y


# ---- the same optimum


def objective(model, X, y, C, loss, *, scaling=1.0, penalised=True):
    positive = model.classes_[1:] if len(model.classes_) == 2 else model.classes_
    S = np.where(y[:, None] == positive, 1.0, -1.0)
    b = np.broadcast_to(model.intercept_, len(model.coef_))
    slack = np.maximum(0, 1 - S * (X @ model.coef_.T + b))
    losses = np.asarray(C) * (slack if loss == "hinge" else slack**2).T
    own = 0.5 * (model.coef_**2).sum(axis=1)
    return own + losses.sum(axis=1) + (0.5 * (b / scaling) ** 2 if penalised else 0)


@pytest.mark.filterwarnings("ignore:Liblinear failed")
@pytest.mark.parametrize("scaling", [None, 1.0, 10.0])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("sparse", [False, True])
def test_never_above_liblinear(loss, classes, scaling, sparse):
    X, y = data(classes)
    options = {"loss": loss, "C": 0.3, "class_weight": {0: 2.0}}
    if scaling is None:
        options["fit_intercept"] = False
    else:
        options["intercept_scaling"] = scaling
    ours = hingex.LinearSVC(intercept="regularized", tol=1e-6, max_iter=100_000, **options)
    theirs = SklearnSVC(dual=True, tol=1e-8, max_iter=20_000, random_state=0, **options)
    given = csr_matrix(X) if sparse else X
    ours.fit(given, y)
    theirs.fit(given, y)
    # In one-vs-rest LIBLINEAR puts class_weight on the positive class of each problem: compare
    # the binary problems with it, and those of more classes without.
    if classes == 3:
        del options["class_weight"]
        ours.set_params(class_weight=None).fit(given, y)
        theirs.set_params(class_weight=None).fit(given, y)
    C = 0.3 * np.where((y == 0) & (classes == 2), 2.0, 1.0)
    a = objective(ours, X, y, C, loss, scaling=scaling or 1)
    b = objective(theirs, X, y, C, loss, scaling=scaling or 1)
    assert_allclose(a, ours.primal_objective_, rtol=1e-9)
    assert (a <= b * (1 + 1e-6)).all()
    assert (ours.dual_objective_ <= b * (1 + 1e-9)).all()
    assert_allclose(a, b, rtol=1e-3)
    assert_allclose(ours.coef_, theirs.coef_, atol=0.02)
    assert ours.coef_.shape == theirs.coef_.shape
    assert ours.intercept_.shape == np.atleast_1d(theirs.intercept_).shape or not scaling
    assert ours.decision_function(given).shape == theirs.decision_function(given).shape


@pytest.mark.parametrize("weighted", [False, True])
def test_unregularized_intercept_is_that_of_libsvm(weighted):
    X, y = data(2)
    weights = np.random.default_rng(0).uniform(0, 2, len(y)) if weighted else None
    theirs = SVC(kernel="linear", C=0.3, tol=1e-8).fit(X, y, sample_weight=weights)
    ours = hingex.LinearSVC("hinge", C=0.3, tol=1e-8, max_iter=100_000, store_dual=True)
    ours.fit(X, y, sample_weight=weights)
    C = 0.3 * (1 if weights is None else weights)
    value = objective(theirs, X, y, C, "hinge", penalised=False)
    assert_allclose(ours.primal_objective_, value, rtol=1e-6)
    assert_allclose(ours.coef_, theirs.coef_, atol=2e-3)
    assert_allclose(ours.intercept_, theirs.intercept_, atol=5e-3)
    assert (ours.predict(X) == theirs.predict(X)).mean() > 0.99


@pytest.mark.parametrize("classes", [2, 3])
def test_optimum_of_the_liblinear_library(classes):
    liblinear = pytest.importorskip("liblinear.liblinearutil")
    X, y = data(classes)
    # Newton for the squared hinge; for the hinge coordinate descent, which gives up early.
    for loss, solver, rtol in (("hinge", 3, 1e-2), ("squared_hinge", 2, 1e-6)):
        ours = hingex.LinearSVC(loss, C=0.3, fit_intercept=False, tol=1e-7,
                                max_iter=100_000).fit(X, y)
        model = liblinear.train(y, csr_matrix(X), f"-s {solver} -c 0.3 -e 1e-8 -q")
        labels = model.get_labels()
        for lane, k in enumerate([1] if classes == 2 else range(3)):
            w = np.array(model.get_decfun(labels.index(k))[0])
            S = np.where(y == k, 1, -1)
            values = []
            for v in (w, -w):  # with two classes the sign belongs to the label seen first
                slack = np.maximum(0, 1 - S * (X @ v))
                values.append(0.5 * v @ v + 0.3 * (
                    slack if loss == "hinge" else slack**2).sum())
            assert ours.primal_objective_[lane] <= min(values) * (1 + 1e-7)
            assert_allclose(ours.primal_objective_[lane], min(values), rtol=rtol)


# ---- the protocol


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
# Checks reduce max_iter to 5.
@pytest.mark.filterwarnings("ignore::hingex.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:.*does not inherit from `sklearn.base.BaseEstimator`")
@pytest.mark.parametrize("intercept", ["unregularized", "regularized"])
@pytest.mark.parametrize("loss", LOSSES)
def test_check_estimator(loss, intercept):
    results = check_estimator(hingex.LinearSVC(loss, intercept=intercept), on_fail=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert not failed
    assert not [r for r in results if r["status"] == "xfail"]
    assert len(results) > 40


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore::hingex.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:.*does not inherit from `sklearn.base.BaseEstimator`")
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("scheme", ["crammer_singer", "weston_watkins", "lee_lin_wahba"])
def test_check_estimator_joint(scheme, loss):
    # A check compares fits on repeated rows and on weights to seven digits.
    model = hingex.LinearSVC(loss, multi_class=scheme, tol=1e-15)
    results = check_estimator(model, on_fail=None)
    assert not [r for r in results if r["status"] not in ("passed", "skipped")]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore::hingex.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:.*does not inherit from `sklearn.base.BaseEstimator`")
@pytest.mark.parametrize("model", [
    hingex.PegasosClassifier(), hingex.PegasosClassifier("logistic", average=False),
    hingex.PassiveAggressiveClassifier(), hingex.AROWClassifier(),
], ids=["pegasos", "last_w", "passive_aggressive", "arow"])
def test_check_estimator_stochastic(model):
    # As with SGDClassifier: two rows are two steps, a row of weight 2 is a longer one.
    expected = {
        f"check_sample_weight_equivalence_on_{kind}_data": "steps, not sums, are weighted"
        for kind in ("dense", "sparse")
    }
    results = check_estimator(model, on_fail=None, expected_failed_checks=expected)
    assert not [r for r in results if r["status"] not in ("passed", "skipped", "xfail")]
    assert len(results) > 40


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore::hingex.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:.*does not inherit from `sklearn.base.BaseEstimator`")
def test_check_estimator_cv():
    results = check_estimator(hingex.LinearSVCCV(), on_fail=None)
    assert not [r for r in results if r["status"] not in ("passed", "skipped")]


def test_shared_exceptions():
    X, y = data(2)
    with pytest.raises(NotFittedError):
        hingex.LinearSVC().predict(X)
    with pytest.warns(ConvergenceWarning, match="duality gap"):
        hingex.LinearSVC(max_iter=1, tol=1e-12).fit(X, y)


def test_clone_and_params():
    model = hingex.LinearSVC("hinge", C=3.0, class_weight={0: 2.0}, n_jobs=2, callback=print)
    again = clone(model)
    assert again is not model
    assert again.get_params() == model.get_params()
    assert clone(again.set_params(callback=None).fit(*_four_rows())).__dict__.keys() == (
        model.__dict__.keys())
    assert model.set_params(C=5.0, tol=0.1) is model
    assert model.C == 5.0
    with pytest.raises(ValueError, match=r"Did you mean 'C'|Invalid parameter"):
        model.set_params(c=1.0)
    assert is_classifier(model)


def _four_rows():
    return np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])


def test_clone_of_a_warm_model_is_cold():
    X, y = data()
    model = hingex.LinearSVC(warm_start=True).fit(X, y)
    assert clone(model).fit(X[:50], y[:50]).converged_


def test_pipelines():
    X, y = data()
    pipe = make_pipeline(StandardScaler(), hingex.LinearSVC(C=0.1))
    assert pipe.fit(X, y).score(X, y) > 0.6
    assert pipe.set_params(linearsvc__loss="hinge").get_params()["linearsvc__loss"] == "hinge"
    texts = ["red green", "green blue", "one two", "two three"] * 5
    text = make_pipeline(TfidfVectorizer(), hingex.LinearSVC())
    assert text.fit(texts, ["colour", "colour", "number", "number"] * 5).predict(
        ["blue", "three"]).tolist() == ["colour", "number"]
    with config_context(display="text"):
        assert "LinearSVC(loss='hinge', C=0.1)" in repr(pipe)
    assert "LinearSVC" in pipe._repr_html_()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search(n_jobs):
    X, y = data()
    search = GridSearchCV(hingex.LinearSVC(), {"C": [0.01, 0.1], "loss": LOSSES}, cv=3,
                          n_jobs=n_jobs)
    search.fit(csr_matrix(X), y)
    assert search.best_score_ > 0.6
    assert search.best_estimator_.C in (0.01, 0.1)
    roc = GridSearchCV(hingex.LinearSVC(), {"C": [0.1]}, scoring="roc_auc", cv=3)
    assert roc.fit(X, y == 0).best_score_ > 0.7


def test_cross_validation():
    X, y = data()
    ours = cross_val_score(hingex.LinearSVC(intercept="regularized", tol=1e-5), X, y, cv=4)
    theirs = cross_val_score(SklearnSVC(tol=1e-8, max_iter=10_000), X, y, cv=4)
    assert_allclose(ours, theirs, atol=0.02)
    scores = cross_val_predict(hingex.LinearSVC(), X, y, method="decision_function", cv=3)
    assert scores.shape == (300, 3)
    _, train, test = learning_curve(hingex.LinearSVC(), X, y, cv=3, train_sizes=[0.5, 1.0])
    assert train.shape == test.shape == (2, 3)
    weights = np.ones(len(y))
    assert len(cross_val_score(hingex.LinearSVC(), X, y, cv=3,
                               params={"sample_weight": weights})) == 3


def test_meta_estimators():
    def svc(**options):
        return hingex.LinearSVC(C=0.1, max_iter=100_000, **options)

    X, y = data()
    direct = svc(tol=1e-7).fit(X, y)
    for make in (OneVsRestClassifier, OneVsOneClassifier):
        meta = make(svc(tol=1e-7)).fit(X, y)
        assert meta.score(X, y) > 0.6
        if make is OneVsRestClassifier:
            assert_array_equal(meta.predict(X), direct.predict(X))
    calibrated = CalibratedClassifierCV(svc(), cv=3).fit(X, y)
    assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)
    assert calibrated.fit(X, y, sample_weight=np.ones(len(y))).score(X, y) > 0.6
    bag = BaggingClassifier(svc(), n_estimators=3, random_state=0).fit(X, y)
    assert bag.score(X, y) > 0.6
    vote = VotingClassifier([("a", svc()), ("b", LogisticRegression())]).fit(X, y)
    assert vote.score(X, y) > 0.6
    stack = StackingClassifier([("a", svc())], cv=3).fit(X, y)
    assert stack.score(X, y) > 0.6
    several = MultiOutputClassifier(svc()).fit(X, np.c_[y, y == 0])
    assert several.predict(X).shape == (300, 2)
    chosen = SelectFromModel(svc()).fit(X, y)
    assert 0 < chosen.transform(X).shape[1] < 12
    assert RFE(svc(), n_features_to_select=4).fit(X, y).support_.sum() == 4


def test_joblib_and_pickle(tmp_path):
    joblib = pytest.importorskip("joblib")
    X, y = data()
    model = hingex.LinearSVC(store_dual=True).fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    for again in (joblib.load(tmp_path / "model.joblib"), pickle.loads(pickle.dumps(model)),
                  joblib.load(tmp_path / "model.joblib", mmap_mode="r")):
        assert_array_equal(again.predict(X), model.predict(X))
        assert_array_equal(again.decision_function(X), model.decision_function(X))
    jobs = (joblib.delayed(hingex.LinearSVC(C=C).fit)(X, y) for C in (0.1, 0.2, 0.3))
    for C, fitted in zip((0.1, 0.2, 0.3), joblib.Parallel(2)(jobs), strict=True):
        assert_array_equal(fitted.coef_, hingex.LinearSVC(C=C).fit(X, y).coef_)


def test_large_arrays_in_workers_are_read_only_maps():
    joblib = pytest.importorskip("joblib")
    X, y = data(n=2000, d=100)
    jobs = joblib.Parallel(2, max_nbytes=1000)(
        joblib.delayed(hingex.LinearSVC(tol=0.1).fit)(part, y) for part in (X, csr_matrix(X)))
    assert_array_equal(jobs[0].coef_, hingex.LinearSVC(tol=0.1).fit(X, y).coef_)
