# SPDX-License-Identifier: BSD-3-Clause
"""Indicator targets: a binary problem for each label, in one sweep."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import coo_array, csc_matrix, csr_array, csr_matrix

import hingex
from hingex import LinearSVC, LinearSVCCV, _result, _targets, _validate

LOSSES = ["hinge", "squared_hinge"]
KINDS = [{}, {"intercept": "regularized", "intercept_scaling": 2.0}, {"fit_intercept": False}]


def data(n=150, d=6, labels=5, seed=0, share=0.3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    Y = (X @ rng.normal(size=(d, labels)) + rng.normal(size=(n, labels)) > 1.2).astype(int)
    Y[0] = 0
    return X, Y


def wide(n=1200, d=3000, per_row=30, labels=90, seed=0):
    """Beyond polishing; more labels than a block has lanes."""
    rng = np.random.default_rng(seed)
    indices = np.sort(rng.permuted(np.tile(np.arange(d), (n, 1)), axis=1)[:, :per_row], axis=1)
    X = csr_array((rng.normal(size=n * per_row), indices.ravel(),
                   np.arange(0, n * per_row + 1, per_row)), shape=(n, d))
    Y = csr_array(X @ rng.normal(size=(d, labels)) / np.sqrt(per_row) > 1.6).astype(np.int64)
    return X, Y


def certificate(model, X, Y, C):
    """(primal, dual) of every label from coef_, intercept_ and dual_coef_."""
    s = np.where(Y > 0, 1.0, -1.0)
    alpha = s * model.dual_coef_.reshape(s.shape)
    assert (alpha >= 0).all()
    C = np.broadcast_to(C, len(s))
    w = X.T @ (s * alpha)
    slack = np.maximum(0.0, 1 - s * (X @ model.coef_.T + model.intercept_))
    primal = 0.5 * (model.coef_**2).sum(axis=1)
    dual = alpha.sum(axis=0) - 0.5 * (w**2).sum(axis=0)
    if model.loss == "hinge":
        assert (alpha <= C[:, None] * (1 + 1e-12)).all()
        primal += C @ slack
    else:
        primal += C @ slack**2
        dual -= 0.25 * (1 / C) @ alpha**2
    total = (s * alpha).sum(axis=0)
    if model.fit_intercept and model.intercept == "regularized":
        primal += 0.5 * (model.intercept_ / model.intercept_scaling) ** 2
        dual -= 0.5 * (model.intercept_scaling * total) ** 2
    elif model.fit_intercept:
        assert (np.abs(total) <= 1e-9 * np.maximum(alpha.sum(axis=0), 1e-300)).all()
    return primal, dual


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["dual_cd", "second", "auto"])
@pytest.mark.parametrize("labels", [1, 2, 5])
def test_certificate_and_each_label_alone(loss, kind, solver, labels):
    if solver == "second":
        solver = "interior_point" if loss == "hinge" else "newton"
    X, Y = data(labels=labels)
    weights = np.random.default_rng(1).uniform(0.5, 2, len(X))
    options = {"loss": loss, "tol": 1e-7, "solver": solver, "max_iter": 100_000, "C": 0.7} | kind
    model = LinearSVC(store_dual=True, **options).fit(X, csr_array(Y), sample_weight=weights)
    assert model.classes_.tolist() == list(range(labels))
    assert model.coef_.shape == (labels, 6)
    primal, dual = certificate(model, X, Y, 0.7 * weights)
    assert_allclose(model.primal_objective_, primal, rtol=1e-9)
    assert_allclose(model.dual_objective_, dual, rtol=1e-9)
    assert (model.duality_gap_ <= 1e-7).all()
    assert model.decision_function(X).shape == (150, labels)
    for k in range(labels):
        one = LinearSVC(**options).fit(X, Y[:, k], sample_weight=weights)
        assert_allclose(model.primal_objective_[k], one.primal_objective_[0], rtol=1e-6)
        assert_allclose(model.decision_function(X)[:, k], one.decision_function(X), atol=2e-2)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n_jobs", [1, 3])
def test_many_labels(loss, n_jobs):
    X, Y = wide()
    model = LinearSVC(loss, store_dual=True, n_jobs=n_jobs).fit(X, Y)
    assert model.converged_
    primal, dual = certificate(model, X.toarray(), Y.toarray(), 1.0)
    assert_allclose(model.primal_objective_, primal, rtol=1e-9)
    assert_allclose(model.dual_objective_, dual, rtol=1e-9)
    assert ((primal - dual) / primal <= 1.0001e-3).all()
    dense = LinearSVC(loss, store_dual=True, n_jobs=1).fit(X, Y.toarray())
    assert np.array_equal(model.coef_, dense.coef_)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("classes", [3, 70])
def test_one_label_per_row_is_one_vs_rest(loss, classes):
    """To the bit: codes and indicators are two ways to say the same."""
    X, _ = wide()
    y = np.random.default_rng(3).integers(0, classes, X.shape[0])
    y[:classes] = np.arange(classes)
    model = LinearSVC(loss).fit(X, y)
    many = LinearSVC(loss).fit(X, np.eye(classes, dtype=int)[y])
    assert np.array_equal(model.coef_, many.coef_)
    assert np.array_equal(model.intercept_, many.intercept_)


def test_thousand_labels():
    rng = np.random.default_rng(0)
    X = csr_array(rng.normal(size=(400, 50)) * (rng.random((400, 50)) < 0.2))
    Y = csr_array((rng.random((400, 1100)) < 0.004).astype(np.int8))
    model = LinearSVC().fit(X, Y)
    assert model.converged_
    assert model.predict(X).shape == Y.shape
    empty = np.flatnonzero(Y.sum(axis=0) == 0)
    assert len(empty) > 0
    assert (model.coef_[empty] == 0).all()
    assert (model.intercept_[empty] == -1).all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("solver", ["dual_cd", "second", "auto"])
@pytest.mark.parametrize("labels", [1, 4])
@pytest.mark.parametrize("everyone", [False, True])
def test_constant_labels(loss, solver, labels, everyone):
    if solver == "second":
        solver = "interior_point" if loss == "hinge" else "newton"
    X, Y = data(labels=labels)
    Y[:, -1] = everyone
    weights = np.random.default_rng(0).random(len(X))
    model = LinearSVC(loss, solver=solver).fit(X, csr_array(Y), sample_weight=weights)
    assert (model.coef_[-1] == 0).all()
    assert model.intercept_[-1] == (1.0 if everyone else -1.0)
    assert model.primal_objective_[-1] == model.dual_objective_[-1] == model.duality_gap_[-1] == 0
    assert model.converged_
    assert (model.predict(X).toarray()[:, -1] == everyone).all()


def test_constant_among_weighted_rows():
    X, Y = data(labels=3)
    weights = 1.0 - Y[:, 1]
    model = LinearSVC().fit(X, Y, sample_weight=weights)
    assert model.intercept_[1] == -1
    assert (model.coef_[1] == 0).all()


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("loss", LOSSES)
def test_constant_labels_without_a_free_intercept(loss, kind):
    X, Y = data(labels=3)
    Y[:, 1] = 0
    model = LinearSVC(loss, store_dual=True, tol=1e-6, max_iter=50_000, **kind).fit(X, Y)
    primal, dual = certificate(model, X, Y, 1.0)
    assert_allclose(model.primal_objective_, primal, rtol=1e-9)
    assert (primal - dual <= 1.0001e-6 * primal).all()


def test_rows_without_labels():
    X, Y = data()
    assert (Y.sum(axis=1) == 0).any()
    keep = Y.sum(axis=1) > 0
    weights = np.ones(len(X))
    weights[~keep] = 0
    a = LinearSVC(tol=1e-9).fit(X, Y, sample_weight=weights)
    b = LinearSVC(tol=1e-9).fit(X[keep], Y[keep])
    assert_allclose(a.primal_objective_, b.primal_objective_, rtol=1e-8)
    assert_allclose(a.coef_, b.coef_, atol=1e-4)


@pytest.mark.parametrize("make", [
    np.asarray, csr_array, csr_matrix, csc_matrix, coo_array, np.ndarray.tolist,
    lambda Y: Y.astype(bool), lambda Y: csr_array(Y.astype(bool)), lambda Y: Y.astype(np.float32),
    lambda Y: Y.astype(object), np.asfortranarray,
])  # fmt: skip
def test_kinds_of_indicators(make):
    X, Y = data()
    expected = LinearSVC().fit(X, Y)
    given = make(Y)
    model = LinearSVC().fit(X, given)
    assert np.array_equal(model.coef_, expected.coef_)
    out = model.predict(X)
    sparse = hasattr(given, "tocsr")
    assert hasattr(out, "tocsr") == sparse
    if sparse:
        assert out.format == "csr"
        assert type(out).__name__.endswith(type(given).__name__[3:])
        out = out.toarray()
    if hasattr(given, "dtype") and given.dtype != object:
        assert out.dtype == given.dtype
    assert np.array_equal(out, model.decision_function(X) > 0)


def test_explicit_zeros_and_duplicates():
    X, Y = data()
    Z = csr_array(Y)
    Z.data = Z.data.copy()
    Z.data[::3] = 0
    model = LinearSVC().fit(X, Z)
    assert np.array_equal(model.coef_, LinearSVC().fit(X, Z.toarray()).coef_)
    rows, columns = np.nonzero(Y)
    twice = coo_array((np.full(2 * len(rows), 0.5), (np.tile(rows, 2), np.tile(columns, 2))),
                      shape=Y.shape)
    assert np.array_equal(LinearSVC().fit(X, twice).coef_, LinearSVC().fit(X, Y).coef_)


def test_score():
    X, Y = data()
    model = LinearSVC().fit(X, Y)
    right = (model.predict(X) == Y).all(axis=1)
    assert model.score(X, Y) == pytest.approx(right.mean())
    assert model.score(X, csr_array(Y)) == pytest.approx(right.mean())
    w = np.arange(len(X)) % 3
    assert model.score(X, Y, sample_weight=w) == pytest.approx(np.average(right, weights=w))
    with pytest.raises(ValueError, match="y has 4 labels, but LinearSVC was fitted on 5"):
        model.score(X, Y[:, :4])


def test_predictions_in_pieces(monkeypatch):
    X, Y = data()
    model = LinearSVC().fit(X, csr_array(Y))
    whole = model.predict(X).toarray()
    monkeypatch.setattr("hingex.linear._svc.SCORES_AT_ONCE", 50)
    assert np.array_equal(model.predict(X).toarray(), whole)
    model.fit(X, Y)
    assert np.array_equal(model.predict(X), whole)


@pytest.mark.parametrize(("make", "said"), [
    (lambda Y: Y * 2, "got 2 at row"), (lambda Y: -Y, "got -1 at row"),
    (lambda Y: np.where(Y > 0, np.nan, 0.0), "contains NaN"), (lambda Y: Y[:-1], "inconsistent"),
    (lambda Y: Y[:, :0], "shape"), (lambda Y: Y[:, :, None], "1d array"),
    (lambda Y: csr_array(Y * 3.0), r"got 3.0 at row 1, label"),
    (lambda Y: csr_array(Y[:9]), "samp"), (lambda Y: Y.astype(str), "1d array"),
    (lambda Y: Y * 1j, "1d array"),
    (lambda Y: [[0, 1], [1, 0, 1]], "1d array"),
])  # fmt: skip
def test_bad_indicators(make, said):
    X, Y = data()
    Y[1, 2] = 1
    with pytest.raises((ValueError, TypeError), match=said):
        LinearSVC().fit(X, make(Y))


def test_what_does_not_go_with_indicators():
    X, Y = data()
    with pytest.raises(ValueError, match=r"class_weight is for one label per row.*sample_weight"):
        LinearSVC(class_weight="balanced").fit(X, Y)
    with pytest.raises(ValueError, match="needs multi_class='ovr'"):
        LinearSVC(multi_class="crammer_singer").fit(X, Y)
    with pytest.raises(ValueError, match="sample_weight is zero"):
        LinearSVC().fit(X, Y, sample_weight=np.zeros(len(X)))


def test_a_column_is_a_vector():
    X, Y = data()
    with pytest.warns(_result.DataConversionWarning):
        model = LinearSVC().fit(X, Y[:, :1])
    assert model.predict(X).shape == (150,)
    assert np.array_equal(model.coef_, LinearSVC().fit(X, Y[:, 0]).coef_)


def test_refit_forgets():
    X, Y = data()
    model = LinearSVC().fit(X, Y)
    model.fit(X, Y[:, 0])
    assert not hasattr(model, "multilabel_")
    assert model.predict(X).shape == (150,)


def test_warm_start():
    X, Y = wide()
    model = LinearSVC("hinge", warm_start=True, tol=1e-5).fit(X, Y)
    cold = model.n_iter_
    assert model.fit(X, Y).n_iter_ < cold
    with pytest.raises(ValueError, match="warm_start needs"):
        model.fit(X, Y[:, :50])


@pytest.mark.parametrize("make", [np.asarray, csr_array, csr_matrix])
@pytest.mark.parametrize("labels", [1, 2, 5])
def test_model_files(make, labels, tmp_path):
    X, Y = data(labels=labels)
    given = make(Y) if labels > 1 else csr_array(Y)
    model = LinearSVC(store_dual=True).fit(X, given)
    model.save(tmp_path / "m")
    again = hingex.load(tmp_path / "m")
    a, b = model.predict(X), again.predict(X)
    assert type(a) is type(b)
    assert (a != b).sum() == 0
    with pytest.raises(ValueError, match="indicator matrix"):
        hingex.model_io.save_liblinear(model, tmp_path / "n")


def test_path_and_cross_validation():
    X, Y = data()
    path = LinearSVC("hinge").path(X, csr_array(Y), [0.1, 1.0])
    model = path.model(1)
    assert (path.gaps <= 1e-3).all()
    assert model.predict(X).shape == Y.shape
    cv = LinearSVCCV(Cs=[0.01, 1.0], cv=3, tol=1e-8, max_iter=100_000).fit(X, Y)
    tests = np.array_split(np.arange(150), 3)
    for k, test in enumerate(tests):
        train = np.setdiff1d(np.arange(150), test)
        for j, C in enumerate([0.01, 1.0]):
            one = LinearSVC(C=C, tol=1e-8, max_iter=100_000).fit(X[train], Y[train])
            assert cv.scores_[k, j] == pytest.approx(one.score(X[test], Y[test]))
    macro = LinearSVCCV(Cs=[1.0], cv=3, scoring="f1_macro", tol=1e-8).fit(X, csr_array(Y))
    one = LinearSVC(tol=1e-8).fit(X[50:], Y[50:])
    p, t = one.predict(X[:50]).astype(bool), Y[:50].astype(bool)
    f1 = 2 * (p & t).sum(axis=0) / (p.sum(axis=0) + t.sum(axis=0))
    assert macro.scores_[0, 0] == pytest.approx(f1.mean())


def test_against_scikit_learn():
    linear = pytest.importorskip("sklearn.svm")
    multiclass = pytest.importorskip("sklearn.multiclass")
    X, Y = data(n=300)
    ours = LinearSVC("squared_hinge", tol=1e-8, intercept="regularized").fit(X, Y)
    theirs = multiclass.OneVsRestClassifier(
        linear.LinearSVC(tol=1e-8, max_iter=100_000)).fit(X, Y)
    assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-3)
    assert np.array_equal(ours.predict(X), theirs.predict(X))
    assert ours.score(X, Y) == pytest.approx(theirs.score(X, Y))


def test_targets():
    """Indicator and codes tell the same, by their matrices."""
    Y = (np.random.default_rng(0).random((40, 7)) < 0.3).astype(int)
    indicator, kind = _validate.read_indicator(Y, 40)
    assert kind == {"format": "dense", "dtype": "<i8"}
    assert _targets.n_lanes(indicator, 99) == 7
    cost = np.random.default_rng(1).random(40)
    for k in range(7):
        assert np.array_equal(_targets.positive(indicator, k, 7), Y[:, k] == 1)
    assert_allclose(_targets.positive_weight(indicator, 7, cost), cost @ Y)
    assert_allclose(_targets.positive_weight(indicator, 7, None), Y.sum(axis=0))
    Z = Y.copy()
    Z[3], Z[9, 2] = 1 - Z[3], 1 - Z[9, 2]
    other, _ = _validate.read_indicator(csr_array(Z), 40)
    assert np.array_equal(_targets.equal_rows(indicator, other), (Y == Z).all(axis=1))
