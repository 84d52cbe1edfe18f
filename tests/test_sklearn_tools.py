# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn's tools around every public estimator: its checks, meta-estimators, displays.

`PUBLIC` is read from hingex's own public names: a new estimator is tested without being named here.
"""

import datetime
import inspect
import pickle
import subprocess
import sys
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


def data(n=90, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    return 1.2 * rng.standard_normal((classes, 3))[y] + rng.standard_normal((n, 3)), y


def test_the_registry():
    assert len(PUBLIC) >= 21
    assert set(STOCHASTIC + STRUCTURED + TEXT) <= PUBLIC.keys()


# --------------------------------------------------------------------------- scikit-learn's checks

EQUIVALENCE = {"check_sample_weight_equivalence_on_dense_data",
               "check_sample_weight_equivalence_on_sparse_data"}
ORDER = ("it steps through the rows in random order: a row of weight 2 is one step of twice the "
         "weight, two rows are two steps at different places")
EXPECTED = {name: dict.fromkeys(EQUIVALENCE, ORDER) for name in STOCHASTIC}


def failures(model):
    """Checks that fail, with what they say, and how many there were."""
    from sklearn.utils.estimator_checks import check_estimator

    results = check_estimator(model, on_fail=None, on_skip=None)
    return {r["check_name"]: r["exception"] for r in results
            if r["status"] not in ("passed", "skipped")}, len(results)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PUBLIC)
def test_check_estimator(name):
    model = PUBLIC[name]()
    failed, count = failures(model)
    assert not failed.keys() - EXPECTED.get(name, {}).keys(), failed
    # X of texts and sequences, and y of sets of labels, are not what the checks have.
    assert count > 40 or name in (*TEXT, *STRUCTURED)
    for check in EXPECTED.get(name, {}):
        assert check in failed  # or it is expected no more


# ----------------------------------------------------------- methods that are there, or are not

METHODS = ("fit", "predict", "predict_proba", "predict_log_proba", "decision_function", "score",
           "transform", "score_samples", "partial_fit", "fit_transform", "get_feature_names_out",
           "set_output", "set_fit_request", "set_score_request", "get_metadata_routing")


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


# ------------------------------------------------------------------------------ metadata routing


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def weighted_data(n=90):
    X, y = data(n)
    return X, y, np.random.default_rng(1).integers(0, 4, n).astype(float)


def test_requests_follow_the_signatures(routing):
    from sklearn.utils.metadata_routing import get_routing_for_object

    def requests(model, method):
        return getattr(get_routing_for_object(model), method).requests

    assert requests(hingex.LinearSVC(), "fit") == {"sample_weight": None}
    assert requests(hingex.LinearSVC(), "score") == {"sample_weight": None}
    assert requests(hingex.LinearSVC(), "predict") == {}
    assert requests(hingex.LinearRankSVC(), "fit").keys() == {
        "qid", "sample_weight", "query_weight"}
    assert requests(hingex.LinearSVCCV(), "fit").keys() == {"sample_weight", "groups"}
    assert requests(hingex.PegasosClassifier(), "partial_fit").keys() == {
        "classes", "sample_weight"}
    assert requests(hingex.ChainSVM(), "predict") == {"lengths": None}
    assert requests(hingex.OASIS(), "fit") == {"triplets": None}
    assert not hasattr(hingex.LinearSVC(), "set_predict_request")
    assert not hasattr(hingex.LMNN(), "set_fit_request")
    assert hasattr(hingex.ChainSVM(), "set_predict_request")
    for cls in PUBLIC.values():  # as scikit-learn would derive them
        model = cls()
        for method in ("fit", "partial_fit", "predict", "score", "transform"):
            if hasattr(cls, method):
                found = list(inspect.signature(getattr(cls, method)).parameters.values())[1:]
                named = {p.name for p in found if p.kind != p.VAR_KEYWORD} - {"X", "y", "Y"}
                assert requests(model, method).keys() == named


def test_requests_live_on(routing):
    import copy

    from sklearn.base import clone
    from sklearn.utils.metadata_routing import get_routing_for_object

    model = hingex.LinearRankSVC().set_fit_request(qid="group", sample_weight=True)
    assert model.set_score_request(qid="group") is model
    for other in (model, clone(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        found = get_routing_for_object(other)
        assert found.fit.requests == {"qid": "group", "sample_weight": True, "query_weight": None}
        assert found.score.requests["qid"] == "group"
    fresh = clone(model).set_fit_request(qid=False)
    assert get_routing_for_object(model).fit.requests["qid"] == "group"
    assert get_routing_for_object(fresh).fit.requests["qid"] is False
    with pytest.raises(TypeError, match=r"got weights; LinearSVC\.fit takes sample_weight"):
        hingex.LinearSVC().set_fit_request(weights=True)


def test_requests_need_routing():
    with pytest.raises(RuntimeError, match="enable_metadata_routing=True"):
        hingex.LinearSVC().set_fit_request(sample_weight=True)


WEIGHTED = pytest.mark.parametrize("model", [
    m for m in CLASSIFIERS if "sample_weight" in inspect.signature(m.fit).parameters], ids=repr)


def asking(model):
    from sklearn.base import clone

    return clone(model).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)


@WEIGHTED
def test_pipelines_route(model, routing):
    from sklearn.base import clone
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y, w = weighted_data()
    scaler = StandardScaler().set_fit_request(sample_weight=True)
    pipe = make_pipeline(scaler, asking(model)).fit(X, y, sample_weight=w)
    Z = StandardScaler().fit(X, sample_weight=w).transform(X)
    own = clone(model).fit(Z, y, sample_weight=w)
    assert_array_equal(pipe.predict(X), own.predict(Z))
    assert pipe.score(X, y, sample_weight=w) == own.score(Z, y, sample_weight=w)
    plain = make_pipeline(StandardScaler(), asking(model)).fit(X, y)
    assert_array_equal(plain.predict(X), clone(model).fit(
        StandardScaler().fit_transform(X), y).predict(StandardScaler().fit_transform(X)))


@WEIGHTED
def test_searches_and_cross_validation_route(model, routing):
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV, KFold, cross_validate

    X, y, w = weighted_data()
    folds = list(KFold(3).split(X))
    for weights in (w, None):
        params = {} if weights is None else {"sample_weight": weights}
        own = []
        for train, test in folds:
            part = [{} if weights is None else {"sample_weight": w[rows]} for rows in (train, test)]
            own.append(clone(model).fit(X[train], y[train], **part[0]).score(
                X[test], y[test], **part[1]))
        found = cross_validate(asking(model), X, y, cv=folds, params=params)["test_score"]
        assert_array_equal(found, own)
        search = GridSearchCV(asking(model), {}, cv=folds).fit(X, y, **params)
        assert search.best_score_ == np.mean(own)
        assert_array_equal(search.predict(X), clone(model).fit(X, y, **params).predict(X))


@WEIGHTED
def test_calibration_routes(model, routing):
    from sklearn.base import clone
    from sklearn.calibration import CalibratedClassifierCV

    X, y, w = weighted_data()
    for weights in (w, None):
        params = {} if weights is None else {"sample_weight": weights}
        found = CalibratedClassifierCV(asking(model), cv=3, ensemble=False).fit(X, y, **params)
        inner, = found.calibrated_classifiers_
        own = clone(model).fit(X, y, **params)
        assert_array_equal(inner.estimator.predict(X), own.predict(X))


def test_groups_reach_the_splitter(routing):
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = data()
    groups = np.random.default_rng(0).integers(0, 6, len(y))
    folds = list(GroupKFold(3).split(X, y, groups))
    model = hingex.LinearSVCCV(Cs=[0.1, 1.0], cv=GroupKFold(3))
    assert_array_equal(model.fit(X, y, groups=groups).scores_,
                       hingex.LinearSVCCV(Cs=[0.1, 1.0], cv=folds).fit(X, y).scores_)
    pipe = make_pipeline(StandardScaler(), hingex.LinearSVCCV(
        Cs=[0.1, 1.0], cv=GroupKFold(3)).set_fit_request(groups=True))
    assert pipe.fit(X, y, groups=groups)[-1].scores_.shape == (3, 2)
    with pytest.raises(ValueError, match="groups are for a splitter as cv"):
        hingex.LinearSVCCV(cv=3).fit(X, y, groups=groups)


def test_a_ranker_gets_its_queries(routing):
    from sklearn.model_selection import GroupKFold, cross_validate

    X, y = data(90, 3)
    qid = np.repeat(np.arange(9), 10)
    model = hingex.LinearRankSVC().set_fit_request(qid=True).set_score_request(qid=True)
    found = cross_validate(model, X, y, cv=GroupKFold(3), params={"qid": qid, "groups": qid})
    own = [hingex.LinearRankSVC().fit(X[a], y[a], qid=qid[a]).score(X[b], y[b], qid=qid[b])
           for a, b in GroupKFold(3).split(X, y, qid)]
    assert_array_equal(found["test_score"], own)


# --------------------------------------------------------------------------- containers and shows

TRANSFORMERS = [cls() for cls in PUBLIC.values() if hasattr(cls, "transform")]


@pytest.mark.parametrize("model", TRANSFORMERS, ids=repr)
def test_output_containers(model):
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    from sklearn.base import clone

    X, y = data(30, 3)
    index = np.arange(100, 130)
    if is_text(model):
        X = pd.Series([f"a text of number {k}" for k in range(30)], index=index)
        given = X
    else:
        given = pd.DataFrame(X, columns=["a", "b", "c"], index=index)
    plain = clone(model).fit_transform(given, y)
    dense = plain.toarray() if hasattr(plain, "toarray") else plain
    for configured in (True, False):
        fresh = clone(model)
        if configured:
            assert fresh.set_output(transform="pandas") is fresh
            fresh = clone(fresh)  # as scikit-learn keeps it
        with sklearn.config_context(transform_output="default" if configured else "pandas"):
            for found in (fresh.fit_transform(given, y), fresh.transform(given)):
                assert isinstance(found, pd.DataFrame)
                assert_array_equal(found.to_numpy(), dense)
                assert_array_equal(found.index, index)
                assert_array_equal(found.columns, fresh.get_feature_names_out())
    fresh = clone(model).set_output(transform="polars").fit(given, y)
    if hasattr(plain, "toarray"):
        with pytest.raises(ValueError, match="polars has no columns"):
            fresh.transform(given)
    else:
        found = fresh.transform(given)
        assert isinstance(found, pl.DataFrame)
        assert_array_equal(found.to_numpy(), dense)
        assert found.columns == fresh.get_feature_names_out().tolist()
    assert type(fresh.set_output(transform="default").transform(given)) is type(plain)
    with pytest.raises(ValueError, match="transform must be"):
        fresh.set_output(transform="arrow")


@pytest.mark.filterwarnings("ignore:X .*feature names")
@pytest.mark.parametrize("name", [
    "check_transformer_get_feature_names_out", "check_transformer_get_feature_names_out_pandas",
    "check_set_output_transform", "check_set_output_transform_pandas",
    "check_global_output_transform_pandas", "check_set_output_transform_polars",
    "check_global_set_output_transform_polars", "check_n_features_in_after_fitting",
])
def test_scikit_learns_checks_of_containers(name):
    from sklearn.utils import estimator_checks

    for model in TRANSFORMERS:
        if not is_text(model):
            getattr(estimator_checks, name)(type(model).__name__, model)


def test_containers_inside_pipelines_and_texts():
    pytest.importorskip("pandas")
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = data(30, 3)
    pipe = make_pipeline(StandardScaler(), hingex.LMNN()).set_output(transform="pandas")
    assert pipe.fit_transform(X, y).columns.tolist() == ["lmnn0", "lmnn1", "lmnn2"]
    texts = [f"a text of number {k}" for k in range(30)]
    own = hingex.text.TextClassifier().fit(texts, y % 2).decision_function(texts)
    with sklearn.config_context(transform_output="pandas"):
        model = hingex.text.TextClassifier().fit(texts, y % 2)
        assert_array_equal(model.decision_function(texts), own)
        assert model.explain(texts[:1])


@pytest.mark.parametrize("cls", PUBLIC.values(), ids=lambda c: c.__name__)
def test_notebooks(cls):
    model = cls()
    shown = model._repr_mimebundle_()
    assert shown["text/plain"] == repr(model)
    assert "sk-container" in shown["text/html"]
    assert cls.__name__ in model._repr_html_()
    with sklearn.config_context(display="text"):
        assert model._repr_html_() == f"<pre>{cls.__name__}()</pre>"


def test_without_scikit_learn():
    code = """if 1:
        import sys
        sys.modules["sklearn"] = None
        import hingex
        model = hingex.LinearSVC(class_weight={0: 1.0, "<b>": 2.0})
        assert "&lt;b&gt;" in model._repr_html_()
        assert hasattr(model, "set_fit_request")
        import numpy as np
        X = np.arange(12.0).reshape(6, 2)
        assert type(hingex.LMNN(1).fit(X, [0, 0, 0, 1, 1, 1]).transform(X)) is np.ndarray
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# ---------------------------------------------------------------------------------------- frames


def frame_of(kind, columns):
    if kind == "pandas":
        return pytest.importorskip("pandas").DataFrame(columns)
    if kind == "polars":
        return pytest.importorskip("polars").DataFrame(columns)
    pa = pytest.importorskip("pyarrow")
    made = pa.table(columns)
    return made if kind == "table" else made.to_batches()[0]


@pytest.mark.parametrize("kind", ["pandas", "polars", "table", "batch"])
@pytest.mark.parametrize("model", [hingex.LinearSVC(), hingex.SVC(), hingex.SVR(), hingex.LMNN(),
                                   hingex.PegasosClassifier(), hingex.CalibratedClassifier(),
                                   hingex.OneClassSVM(), hingex.LinearRankSVC()], ids=repr)
def test_frames_keep_their_columns(kind, model):
    from sklearn.base import clone

    X, y = data()
    frame = frame_of(kind, dict(zip("abc", X.T.copy(), strict=True)))
    fitted = clone(model).fit(frame, y)
    assert fitted.feature_names_in_.tolist() == ["a", "b", "c"]
    assert fitted.feature_names_in_.dtype == object
    method = "predict" if hasattr(model, "predict") else "transform"
    assert_allclose(getattr(fitted, method)(frame),
                    getattr(clone(model).fit(X, y), method)(X), rtol=1e-6)
    for names in ("bca", "abx"):
        other = frame_of(kind, dict(zip(names, X.T.copy(), strict=True)))
        with pytest.raises(ValueError, match="feature names should match"):
            getattr(fitted, method)(other)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        getattr(fitted, method)(X)


def times(n=6):
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=k) for k in range(n)]
    noons = [datetime.datetime(2024, 1, 1, 12) + datetime.timedelta(hours=k) for k in range(n)]
    return {
        "day": days, "noon": noons, "span": [b - noons[0] for b in noons],
        "zoned": [t.replace(tzinfo=datetime.UTC) for t in noons],
        "clock": [t.time() for t in noons],
    }


@pytest.mark.parametrize("kind", ["pandas", "polars", "table", "batch"])
@pytest.mark.parametrize("name", ["day", "noon", "span", "zoned", "clock"])
def test_dates_and_spans_are_refused(kind, name):
    y, column = [0, 1] * 3, times()[name]
    frame = frame_of(kind, {"x": np.arange(6.0), name: column})
    with pytest.raises(TypeError, match=rf"column '{name}' of X .* no numbers"):
        hingex.LinearSVC().fit(frame, y)
    model = hingex.LinearSVC().fit(frame_of(kind, {"x": np.arange(6.0), name: np.arange(6)}), y)
    with pytest.raises(TypeError, match=rf"column '{name}' of X .* no numbers"):
        model.predict(frame)


def test_dates_hidden_in_columns_are_refused():
    pd, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    stamps = pd.date_range("2024-01-01", periods=6)
    columns = [pd.Categorical(stamps), pd.Series(list(stamps.to_numpy()), dtype=object),
               pd.arrays.SparseArray(stamps.to_numpy()), pd.period_range("2024", periods=6),
               pd.Series(stamps, dtype=pd.ArrowDtype(pa.timestamp("us", "UTC"))),
               stamps.tz_localize("Europe/Paris")]
    for column in columns:
        with pytest.raises(TypeError, match=r"column 'when' of X .* no numbers"):
            hingex.LinearSVC().fit(pd.DataFrame({"x": np.arange(6.0), "when": column}), [0, 1] * 3)
    coded = pa.table({"x": np.arange(6.0), "when": pa.array(times()["day"]).dictionary_encode()})
    with pytest.raises(TypeError, match=r"column 'when' of X .* no numbers"):
        hingex.LinearSVC().fit(coded, [0, 1] * 3)
    for value in (np.datetime64("2024-01-01"), np.timedelta64(5, "s")):
        with pytest.raises(TypeError, match="at row 0, column 1"):
            hingex.LinearSVC().fit(np.array([[1.0, value], [2.0, value]], dtype=object), [0, 1])
    numbers = pd.DataFrame({"x": np.arange(6.0), "code": pd.Categorical([1, 2] * 3)})
    assert hingex.LinearSVC().fit(numbers, [0, 1] * 3).score(numbers, [0, 1] * 3) == 1


class OnlyDLPack:
    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


@pytest.mark.filterwarnings("error")
def test_what_is_no_table_yet_says_how_to_become_one():
    pl = pytest.importorskip("polars")
    X, y = data(20)
    lazy = pl.DataFrame(X, schema=["a", "b", "c"]).lazy()
    model = hingex.LinearSVC().fit(X, y)
    for call in (lambda Z: hingex.LinearSVC().fit(Z, y), model.predict, model.decision_function,
                 lambda Z: hingex.SVR().fit(Z, y)):
        with pytest.raises(TypeError, match=r"LazyFrame.*: pass X\.collect\(\)"):
            call(lazy)
        with pytest.raises(TypeError, match=r"pass numpy\.from_dlpack\(X\)"):
            call(OnlyDLPack(X))
        with pytest.raises(TypeError, match=r"PyCapsule.*pass numpy\.from_dlpack"):
            call(X.__dlpack__())
    with pytest.raises(TypeError, match=r"pass y\.collect\(\)"):
        hingex.LinearSVC().fit(X, lazy)
    with pytest.raises(TypeError, match=r"pass numpy\.from_dlpack\(y\)"):
        hingex.SVR().fit(X, OnlyDLPack(y.astype(float)))
    again = hingex.LinearSVC().fit(np.from_dlpack(OnlyDLPack(X)), y)
    assert_array_equal(again.coef_, model.coef_)


# ----------------------------------------------------------------------- subsets without a class


def lopsided(classes=3):
    """Two classes of 70 rows, others of 3."""
    y = np.repeat(np.arange(classes), [70, 70] + [3] * (classes - 2))
    return np.random.default_rng(0).normal(size=(len(y), 4)) + 2 * np.eye(4)[y % 4], y


WEIGHABLE = [m for m in CLASSIFIERS if "sample_weight" in inspect.signature(m.fit).parameters
             and sklearn.utils.get_tags(m).classifier_tags.multi_class] + [
    *(hingex.LinearSVC(loss, multi_class=scheme) for loss in ("hinge", "squared_hinge")
      for scheme in ("crammer_singer", "weston_watkins", "lee_lin_wahba")),
    hingex.LinearSVC(solver="dual_cd"), hingex.LinearSVC(intercept="regularized"),
    hingex.LinearSVC(class_weight="balanced"), hingex.LinearClassifier("exponential", penalty="l1"),
    hingex.SVC(approximation="nystroem", n_components=40),
    hingex.SVC(approximation="nystroem", n_components=15, multi_class="ovr", probability=True),
    hingex.CalibratedClassifier(method="isotonic"), hingex.CalibratedClassifier(hingex.SVC()),
]  # fmt: skip


def tight(model):
    """With a tolerance that leaves no doubt of predictions, and an order that weights keep."""
    from sklearn.base import clone

    model = clone(model)
    if "gamma" in model.get_params():
        model.set_params(gamma=0.1)
    return model


@pytest.mark.parametrize("model", WEIGHABLE, ids=repr)
@pytest.mark.parametrize("left", [2, 3])
def test_a_class_of_weight_0_is_as_good_as_left_out(model, left):
    X, y = lopsided(5)
    y[:30] = 2 if left == 3 else y[:30]
    w = np.where(y < left, 1.0, 0.0)
    rng = np.random.default_rng(1)
    Z = np.vstack([X, 3 * rng.normal(size=(400, 4)), 100 * rng.normal(size=(200, 4))])
    whole = tight(model).fit(X, y, sample_weight=w)
    part = tight(model).fit(X[w > 0], y[w > 0])
    assert_array_equal(whole.classes_, np.arange(5))
    predicted = whole.predict(Z)
    assert predicted.max() < left
    if type(model).__name__ not in STOCHASTIC:
        assert np.mean(predicted == part.predict(Z)) > 0.99
    if hasattr(model, "decision_function"):
        scores = whole.decision_function(Z)
        assert np.isfinite(scores).all()
        assert scores.shape == (len(Z), 5)
        assert (scores[:, left:].max(axis=1) < scores[:, :left].max(axis=1)).all()
    if hasattr(model, "predict_proba"):
        p = whole.predict_proba(Z)
        assert_array_equal(p[:, left:], 0)
        assert_allclose(p.sum(axis=1), 1)
        assert_array_equal(p.argmax(axis=1), predicted)
        if type(model).__name__ == "LinearClassifier":  # of P classes as if there were no others
            own = part.predict_proba(Z)
            if left == 3:
                assert_allclose(p[:, :left], own, atol=1e-2)
    if hasattr(whole, "duality_gap_"):
        assert (np.asarray(whole.duality_gap_) <= whole.get_params().get("tol", 1e-3)).all()


@pytest.mark.parametrize("model", WEIGHABLE, ids=repr)
def test_such_models_go_through_files(model, tmp_path):
    X, y = lopsided(4)
    fitted = tight(model).fit(X, y, sample_weight=np.where(y < 2, 1.0, 0.0))
    fitted.save(tmp_path / "model")
    again = hingex.load(tmp_path / "model")
    assert_array_equal(again.predict(X), fitted.predict(X))
    if hasattr(model, "predict_proba"):
        assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


NO_NU = [m for m in WEIGHABLE if type(m) is not hingex.NuSVC]  # no nu is for a class of one row


@pytest.mark.parametrize("model", NO_NU, ids=repr)
def test_bagging_with_a_rare_class(model):
    from sklearn.base import clone
    from sklearn.ensemble import BaggingClassifier

    X, y = lopsided()
    if isinstance(model, hingex.CalibratedClassifier | hingex.SVC) and (
            getattr(model, "probability", True)):
        y = np.where(y == 2, 0, y)  # folds need two rows of a class
    count = 20 if type(model) is hingex.LinearSVC else 5
    bag = BaggingClassifier(clone(model), n_estimators=count, max_samples=0.2, random_state=0)
    assert bag.fit(X, y).score(X, y) > 0.8
    assert_array_equal(bag.classes_, np.unique(y))


@pytest.mark.parametrize("model", [
    m for m in NO_NU if "class_weight" in m.get_params()], ids=repr)
def test_class_weights_of_a_class_that_a_fold_lacks(model):
    from sklearn.model_selection import GridSearchCV, KFold

    X, y = lopsided()
    weights = {0: 1, 1: 1, 2: 20}
    kept = y < 2
    found = tight(model).set_params(class_weight=weights).fit(X[kept], y[kept])
    own = tight(model).set_params(class_weight=None).fit(X[kept], y[kept])
    assert_array_equal(found.predict(X), own.predict(X))
    search = GridSearchCV(tight(model), {"class_weight": [weights]}, cv=KFold(3, shuffle=False),
                          error_score="raise")
    if not getattr(model, "probability", False):
        search.fit(X, y)
    zero = tight(model).set_params(class_weight={2: 0.0}).fit(X, y)  # a weight of 0 for a class
    assert zero.predict(X).max() == 1
    with pytest.raises(ValueError, match="class_weight names labels that are not in y: 7"):
        tight(model).set_params(class_weight={0: 1, 7: 2}).fit(X, y)


@pytest.mark.parametrize("model", WEIGHABLE, ids=repr)
def test_one_class_is_too_few(model):
    X, y = lopsided()
    for labels in (y, np.minimum(y, 1)):
        with pytest.raises(ValueError, match="class 1 has no row with a positive weight"):
            tight(model).fit(X, labels, sample_weight=(y == 0).astype(float))


def test_the_scores_of_a_class_left_out():
    X, y = lopsided()
    w = (y < 2).astype(float)
    ours = hingex.LinearSVC(tol=1e-9).fit(X, y, sample_weight=w)
    plane = hingex.LinearSVC(tol=1e-9).fit(X[y < 2], y[y < 2])
    assert_allclose(ours.coef_, [-plane.coef_[0], plane.coef_[0], 0 * plane.coef_[0]], atol=1e-12)
    assert_allclose(ours.intercept_, [-plane.intercept_[0], plane.intercept_[0], -1], atol=1e-12)
    # The optimum of the third problem, in which no row is positive: b = -1 costs nothing.
    assert ours.primal_objective_[2] == 0
    pairs = hingex.SVC(gamma=0.1, decision_function_shape="ovo").fit(X, y, sample_weight=w)
    assert_array_equal(pairs.decision_function(X)[:, 1:], 1)
    assert pairs.n_support_[2] == 0


def test_streams_of_blocks_without_a_class():
    X, y = lopsided()
    w = (y < 2).astype(float)
    blocks = [(X[k::2], y[k::2], w[k::2]) for k in range(2)]
    for model in (hingex.LinearSVC("hinge"), hingex.LinearSVC(), hingex.PegasosClassifier(),
                  hingex.AROWClassifier()):
        found = model.fit_stream(blocks)
        assert_array_equal(found.classes_, [0, 1, 2])
        scores = found.decision_function(10 * np.random.default_rng(0).normal(size=(500, 4)))
        assert (scores[:, 2] < scores[:, :2].max(axis=1)).all()
    svc, whole = hingex.LinearSVC().fit_stream(blocks), hingex.LinearSVC().fit(X[y < 2], y[y < 2])
    assert_array_equal(svc.predict(X), whole.predict(X))


def test_a_class_may_come_later_in_a_stream():
    X, y = lopsided()
    for model in (hingex.PegasosClassifier(), hingex.AROWClassifier()):
        model.fit(X, y, sample_weight=(y < 2).astype(float))
        assert model.predict(X).max() == 1
        assert_allclose(model.coef_[2], model.coef_[:2].mean(axis=0))
        for _ in range(20):
            model.partial_fit(X, y, sample_weight=1 + 20.0 * (y == 2))
        assert (model.predict(X) == 2).any()


def test_paths_and_searches_of_C_without_a_class():
    X, y = lopsided()
    w = (y < 2).astype(float)
    path = hingex.LinearSVC().path(X, y, [0.1, 1.0, 10.0], sample_weight=w)
    for k in range(3):
        own = path.model(k)
        plain = hingex.LinearSVC(C=own.C).fit(X[y < 2], y[y < 2])
        assert_array_equal(own.predict(X), plain.predict(X))
    found = hingex.LinearSVCCV(Cs=[0.1, 1.0]).fit(X, y, sample_weight=w)
    plain = hingex.LinearSVCCV(Cs=[0.1, 1.0]).fit(X[y < 2], y[y < 2])
    assert_allclose(found.scores_, plain.scores_)
    assert_array_equal(found.predict(X), plain.predict(X))


# ------------------------------------------------------------- tags, calibration, LIBLINEAR's files


def test_tags_of_multilabel_svm():
    from sklearn.base import is_classifier
    from sklearn.model_selection import cross_val_score
    from sklearn.utils import get_tags

    tags = get_tags(hingex.MultilabelSVM())
    assert tags.estimator_type == "classifier"
    assert is_classifier(hingex.MultilabelSVM())
    assert (tags.classifier_tags.multi_label, tags.classifier_tags.multi_class) == (True, False)
    assert (tags.target_tags.required, tags.target_tags.multi_output) == (True, True)
    assert (tags.target_tags.single_output, tags.target_tags.two_d_labels) == (False, True)
    X, y = data(60, 3)
    Y = np.eye(3, dtype=int)[y]
    assert cross_val_score(hingex.MultilabelSVM(), X, Y, cv=3).mean() > 0.3


DOCUMENTS = [f"{'good' if k % 2 else 'bad'} thing number {k % 7}" for k in range(60)]
MOODS = np.array(["up" if k % 2 else "down" for k in range(60)])


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration_of_texts(method, tmp_path):
    pd = pytest.importorskip("pandas")
    model = hingex.CalibratedClassifier(hingex.text.TextClassifier(), method=method)
    tags = sklearn.utils.get_tags(model)
    assert (tags.input_tags.string, tags.input_tags.two_d_array) == (True, False)
    p = model.fit(DOCUMENTS, MOODS).predict_proba(DOCUMENTS)
    assert model.score(DOCUMENTS, MOODS) == 1
    own = np.column_stack([c(model.estimator_.decision_function(DOCUMENTS))
                           for c in model.calibrators_])[:, 0]
    assert_allclose(p[:, 1], own)
    for given in (tuple(DOCUMENTS), iter(DOCUMENTS), np.array(DOCUMENTS, object),
                  pd.Series(DOCUMENTS, index=np.arange(60) + 5)):
        again = hingex.CalibratedClassifier(hingex.text.TextClassifier(), method=method)
        assert_array_equal(again.fit(given, MOODS).predict_proba(DOCUMENTS), p)
    model.save(tmp_path / "model")
    loaded = hingex.load(tmp_path / "model")
    assert_array_equal(loaded.predict_proba(DOCUMENTS), p)
    assert repr(loaded.estimator_.classifier_) == repr(model.estimator_.classifier_)
    assert loaded.get_params()["method"] == method


@pytest.mark.parametrize("weighted", [False, True])
def test_calibration_of_pipelines_of_texts(weighted):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.utils.validation import check_is_fitted

    w = np.where(np.arange(60) < 50, 1.0, 0.0) if weighted else None
    for first in (TfidfVectorizer(), hingex.text.TextVectorizer()):
        pipe = make_pipeline(first, hingex.LinearSVC())
        model = hingex.CalibratedClassifier(pipe).fit(DOCUMENTS, MOODS, sample_weight=w)
        with pytest.raises(sklearn.exceptions.NotFittedError):
            check_is_fitted(pipe[-1])  # copies are trained
        assert model.score(DOCUMENTS, MOODS) == 1
        with pytest.raises(TypeError, match="got Pipeline, which pickle can keep"):
            model.save("nowhere")
        if weighted:
            plain = hingex.CalibratedClassifier(pipe).fit(DOCUMENTS[:50], MOODS[:50])
            # The vocabulary is that of all documents, with weights or without.
            assert_allclose(model.predict_proba(DOCUMENTS), plain.predict_proba(DOCUMENTS),
                            atol=0.1)


@pytest.mark.parametrize("base", [
    hingex.LinearSVC(), hingex.SVC(gamma=0.1), hingex.NuSVC(nu=0.2), hingex.PegasosClassifier(),
    hingex.LinearClassifier("hinge"), hingex.AROWClassifier(), hingex.LinearSVCCV(Cs=2),
], ids=repr)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibrated_models_go_through_files(base, classes, method, tmp_path):
    pd = pytest.importorskip("pandas")
    X, y = data(120, classes)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = hingex.CalibratedClassifier(base, method=method, cv=3).fit(frame, y)
    model.save(tmp_path / "model")
    loaded = hingex.load(tmp_path / "model")
    assert_array_equal(loaded.predict_proba(frame), model.predict_proba(frame))
    assert loaded.feature_names_in_.tolist() == ["a", "b", "c"]
    assert repr(loaded.estimator) == repr(base)
    assert loaded.cv == 3
    model.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()
    model.calibrators_[0] = None
    with pytest.raises((TypeError, ValueError, AttributeError)):
        model.save(tmp_path / "model")
    assert_array_equal(hingex.load(tmp_path / "model").predict(frame), loaded.predict(frame))


@pytest.mark.parametrize("solver", ["L2R_LR", "L2R_LR_DUAL", "L1R_LR", "L1R_L2LOSS_SVC"])
def test_liblinears_models_have_their_probabilities(solver, tmp_path):
    (tmp_path / "model").write_text(
        f"solver_type {solver}\nnr_class 2\nlabel 1 -1\nnr_feature 2\nbias -1\nw\n0.5 \n-2 \n")
    model = hingex.load(tmp_path / "model")
    X = np.array([[1.0, 0.1], [0.0, 2.0]])
    f = X @ [0.5, -2.0]
    p = 1 / (1 + np.exp(-f)) if solver.endswith("LR") or "DUAL" in solver else (
        np.clip(f, -1, 1) + 1) / 2
    assert_allclose(model.predict_proba(X), np.column_stack([1 - p, p]))
    model.save(tmp_path / "again")
    assert_array_equal(hingex.load(tmp_path / "again").predict_proba(X), model.predict_proba(X))
