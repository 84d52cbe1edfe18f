# SPDX-License-Identifier: BSD-3-Clause
"""OASIS: steps against the formula, triplets of the right classes, similarities, model files."""

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import hingex
from hingex import LMNN, OASIS
from hingex import _validate as check
from hingex._core import kernels
from hingex.solvers import oasis


def data(n=90, d=12, classes=3, seed=0, noise=1.0):
    """Rows of unit norm whose class is in the first features only."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    X = np.abs(rng.normal(size=(n, d))) * (rng.random((n, d)) < 0.6) * noise
    X[np.arange(n), y] += 0.7
    return X / np.linalg.norm(X, axis=1)[:, None], y.astype(np.int32)


def whole(model, d):
    """W as a full matrix."""
    W = np.eye(d)
    W[np.ix_(model.features_, model.features_)] = model.components_
    return W


FORMS = [np.asarray, np.asfortranarray, sp.csr_array, lambda X: X.astype(np.float32),
         lambda X: sp.csr_matrix(X.astype(np.float32)),
         lambda X: check.table_of(check.as_rows(sp.csr_array(X), owner="test"))]


def wide_indices(X):
    X = sp.csr_array(X)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([*FORMS, wide_indices]), st.booleans())
def test_each_step_is_the_papers(seed, form, dense):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 12)), int(rng.integers(1, 20))
    k, C = int(rng.integers(1, d + 1)), 10.0 ** rng.uniform(-2, 2)
    X = np.round(rng.normal(size=(n, d)) * 4) / 4 * (rng.random((n, d)) < (0.9 if dense else 0.2))
    features = rng.permutation(d)[:k]
    place = np.full(d, -1, np.int32)
    place[features] = np.arange(k)
    B = rng.normal(size=(k, k))
    W = np.eye(d)
    W[np.ix_(features, features)] = B
    rows = check.as_rows(form(X), owner="test")
    steps = kernels("oasis").Steps(rows, place, k, C)
    inside = np.isin(np.arange(d), features)
    for _ in range(8):
        triplet = rng.integers(0, n, 3)
        p, q, r = X[triplet]
        loss = max(0.0, 1 - p @ W @ q + p @ W @ r)
        V = np.outer(p * inside, (q - r) * inside)
        if loss > 0 and V.any():
            W += min(C, loss / (V**2).sum()) * V
        total, lost, made = steps.epoch(B, None, None, triplet[None], 1, 0, 0, np.inf)
        assert made == 1
        assert lost == (total > 0)
        assert_allclose(total, loss, rtol=1e-9, atol=1e-9)
        assert_allclose(B, W[np.ix_(features, features)], rtol=1e-9, atol=1e-9)


def test_drawn_triplets_are_of_the_right_classes():
    codes = np.array([0, 1, 1, 2, 3, 3, 3, 4], np.int32)  # 0, 2 and 4 have one row
    source = oasis.of_classes(codes)
    rows = check.as_rows(np.eye(8), owner="test")
    steps = kernels("oasis").Steps(rows, np.arange(8, dtype=np.int32), 8, 1.0)
    seen = []
    for seed in range(1500):
        B = np.zeros((8, 8))
        steps.epoch(B, source.member, source.start, None, 1, seed, 0, np.inf)
        (p, q), = np.argwhere(B > 0)
        (again, r), = np.argwhere(B < 0)
        assert p == again
        assert p != q
        assert codes[p] == codes[q] != codes[r]
        seen.append((p, q, r))
    pairs = [(p, q) for p in range(8) for q in range(8) if p != q and codes[p] == codes[q]]
    possible = {(p, q, r) for p, q in pairs for r in range(8) if codes[r] != codes[p]}
    assert set(seen) == possible
    counts = np.bincount([p for p, _, _ in seen], minlength=8)[[1, 2, 4, 5, 6]]
    assert counts.min() > 240  # of 300; five standard deviations are 77


def test_given_triplets_are_each_seen_once_an_epoch():
    rows = check.as_rows(np.eye(30), owner="test")
    steps = kernels("oasis").Steps(rows, np.arange(30, dtype=np.int32), 30, 1e-3)
    triplets = np.random.default_rng(0).permutation(30).reshape(10, 3).astype(np.int64)
    B = np.eye(30)
    total, lost, made = steps.epoch(B, None, None, triplets, 0, 3, 0, np.inf)
    assert (total, lost, made) == (10.0, 10, 10)
    expected = np.eye(30)
    expected[triplets[:, 0], triplets[:, 1]] = 1e-3
    expected[triplets[:, 0], triplets[:, 2]] = -1e-3
    assert_allclose(B, expected)


@pytest.mark.parametrize("k", [None, 5, 50])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_similarity_transform_and_score(k, form, monkeypatch):
    X, y = data(70)
    other, _ = data(20, seed=1)
    model = OASIS(max_features=k, max_iter=3).fit(form(X), y)
    W = whole(model, 12)
    assert len(model.features_) == min(12, k or 12)
    expected = np.argsort(-(X**2).sum(axis=0), kind="stable")[: len(model.features_)]
    assert_array_equal(model.features_, expected)
    assert_allclose(model.similarity(form(other), form(X)), other @ W @ X.T, atol=1e-12)
    assert_allclose(model.similarity(form(X)), X @ W @ X.T, atol=1e-12)
    moved = model.transform(form(other))
    assert sp.issparse(moved) == (form is sp.csr_array and k == 5)
    assert_allclose(moved.toarray() if sp.issparse(moved) else moved, other @ W, atol=1e-12)
    precisions = []
    S = X @ W @ X.T
    for i in range(70):
        order = np.argsort(-np.delete(S[i], i))
        hit = (np.delete(y, i) == y[i])[order]
        precisions.append((np.cumsum(hit) / np.arange(1, 70))[hit].mean())
    assert_allclose(model.score(form(X), y), np.mean(precisions))
    monkeypatch.setattr("hingex.metric._oasis.BLOCK", 200)
    assert_allclose(model.score(form(X), y), np.mean(precisions))
    assert_allclose(model.similarity(form(X)), S, atol=1e-12)


def test_it_finds_what_belongs_together():
    X, y = data(300, 40, 5, noise=0.6)
    X_test, y_test = data(200, 40, 5, seed=1, noise=0.6)
    plain = OASIS(C=1e-12, max_iter=1).fit(X, y).score(X_test, y_test)
    model = OASIS(random_state=1).fit(X, y)
    assert model.score(X_test, y_test) > plain + 0.1
    assert model.history_["primal"][-1] < 0.5 * model.history_["primal"][0]
    assert model.n_steps_ == 1000 * model.n_iter_
    assert model.loss_ == model.history_["primal"][-1]
    # A row whose class has no other is nobody's answer, and no query.
    alone = model.score(np.vstack([X_test, X_test[:1]]), [*y_test, 77])
    assert 0 < alone < model.score(X_test, y_test)


def test_forms_of_data_agree():
    X, y = data(80)
    X = np.round(X * 64) / 64
    expected = OASIS(max_iter=3).fit(X, y)
    for form in (*FORMS, wide_indices, lambda X: X.tolist()):
        model = OASIS(max_iter=3).fit(form(X), y)
        single = np.asarray(model.components_).dtype == np.float32
        assert_allclose(model.components_, expected.components_, atol=1e-4 if single else 1e-12)
        assert model.similarity(form(X)).dtype == model.components_.dtype
    kept = X.copy()
    OASIS(max_iter=2).fit(kept, y)
    assert_array_equal(kept, X)


def test_same_bits_each_time_in_threads_and_after_pickling():
    X, y = data(100)
    first = OASIS(max_iter=4, random_state=3).fit(X, y)
    with ThreadPoolExecutor(4) as pool:
        for again in pool.map(lambda _: OASIS(max_iter=4, random_state=3).fit(X, y), range(8)):
            assert_array_equal(again.components_, first.components_)
    other = OASIS(max_iter=4, random_state=4).fit(X, y)
    assert (other.components_ != first.components_).any()
    copy = pickle.loads(pickle.dumps(first))
    assert_array_equal(copy.similarity(X), first.similarity(X))


def test_triplets_in_place_of_labels():
    X, y = data(60, noise=0.6)
    rng = np.random.default_rng(0)
    plain = OASIS(C=1e-12, max_iter=1).fit(X, y).score(X, y)
    triplets = [(p, rng.choice(np.flatnonzero((y == y[p]) & (np.arange(60) != p))),
                 rng.choice(np.flatnonzero(y != y[p]))) for p in rng.integers(0, 60, 400)]
    model = OASIS(tol=1e-2).fit(X, triplets=triplets)
    assert model.score(X, y) > plain + 0.1
    assert model.n_steps_ == 400 * model.n_iter_
    single = OASIS().fit(X, triplets=np.array([[0, 3, 1]], np.uint8))
    assert single.converged_
    assert single.loss_ == 0


def test_stops_limits_callback_and_ctrl_c(capsys):
    X, y = data(100)
    seen = []
    with pytest.warns(hingex.ConvergenceWarning, match="epoch 3.*because the callback asked it"):
        model = OASIS(callback=lambda s: seen.append(s) or s.epoch == 3).fit(X, y)
    assert [s.epoch for s in seen] == [1, 2, 3]
    assert model.n_iter_ == 3
    assert 0 < seen[0].active <= 1000
    with pytest.warns(hingex.ConvergenceWarning, match="max_time was reached"):
        model = OASIS(max_time=0.02, n_triplets=10**9).fit(X, y)
    assert 0 < model.n_steps_ < 10**9
    assert np.isfinite(model.components_).all()
    model = OASIS(tol=0.5, n_iter_no_change=2).fit(X, y)
    assert model.converged_
    course = model.history_["primal"]
    assert (course[-2:] > 0.5 * course[:-2].min()).all()

    def interrupt(state):
        if state.epoch == 2:
            raise KeyboardInterrupt

    model = OASIS(callback=interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert np.isfinite(model.transform(X)).all()
    assert model.n_iter_ == 2
    OASIS(verbose=True, max_iter=2).fit(X, y)
    assert "OASIS" in capsys.readouterr().err


def test_ctrl_c_within_an_epoch():
    X, y = data(100)
    rows = check.as_rows(X, owner="test")
    steps = kernels("oasis").Steps(rows, np.arange(12, dtype=np.int32), 12, 1.0)

    def poll():
        raise KeyboardInterrupt

    steps.poll = poll
    B, source = np.eye(12), oasis.of_classes(y)
    with pytest.raises(KeyboardInterrupt):
        steps.epoch(B, source.member, source.start, None, 10**9, 0, 0, np.inf)
    assert np.isfinite(B).all()


@pytest.mark.parametrize(("params", "given", "text"), [
    ({"C": 0}, {}, "C must be"), ({"tol": -1}, {}, "tol must be"),
    ({"max_features": 0}, {}, "max_features must be"), ({"n_triplets": 0}, {}, "n_triplets"),
    ({"n_iter_no_change": 0}, {}, "n_iter_no_change"), ({"max_iter": 0}, {}, "max_iter"),
    ({"max_time": 0}, {}, "max_time"), ({"random_state": -1}, {}, "random_state"),
    ({}, {"y": [1] * 6}, "at least 2"), ({}, {"y": None}, "y"),
    ({}, {"y": range(6)}, "every class of y has one row; OASIS needs a class with two rows"),
    ({}, {"y": [0, 1]}, "X has 6 rows"),
    ({}, {"triplets": [[0, 1, 2]]}, "y and triplets were both given"),
    ({}, {"y": None, "triplets": [[0, 1, 6]]},
     r"triplets\[0, 2\] is 6, but X has 6 rows, numbered 0 to 5"),
    ({}, {"y": None, "triplets": [[0, 1, 2], [-1, 1, 2]]}, r"triplets\[1, 0\] is -1"),
    ({}, {"y": None, "triplets": [[0, 1, 2], [0, 4, 4]]}, r"triplets\[1\] has row 4 both"),
    ({}, {"y": None, "triplets": [[0, 1]]}, r"shape \(m, 3\).*got shape \(1, 2\)"),
    ({}, {"y": None, "triplets": [[0, 1, 2.0]]}, "integers.*float64"),
    ({}, {"y": None, "triplets": np.empty((0, 3), int)}, "m > 0"),
])
def test_bad_input(params, given, text):
    with pytest.raises((ValueError, TypeError), match=text):
        OASIS(**params).fit(np.eye(6)[:, :3], **{"y": [0, 0, 0, 1, 1, 1]} | given)


def test_bad_data():
    X, y = data(20)
    model = OASIS(max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match="X has 3 features, but OASIS is expecting 12"):
        model.transform(X[:, :3])
    with pytest.raises(ValueError, match="NaN"):
        model.similarity(X, np.full((2, 12), np.nan))
    with pytest.raises(ValueError, match="every class of y has one row: there is nothing"):
        model.score(X, range(20))
    for name, args in (("transform", (X,)), ("similarity", (X,)), ("score", (X, y))):
        with pytest.raises(hingex.NotFittedError):
            getattr(OASIS(), name)(*args)
    with pytest.raises(ValueError, match=r"row \d+ of X has a norm beyond 1e19"):
        OASIS().fit(X * 1e30, y)
    X[3, 1] = np.inf
    with pytest.raises(ValueError, match=r"infinity.*row 3, column 1"):
        OASIS().fit(X, y)
    wide = sp.csr_array((np.ones(4), [0, 1, 2, 30000], [0, 1, 2, 3, 4]), shape=(4, 56000))
    with pytest.raises(ValueError, match=r"pair of the 56000 features, 23.4 GiB; set max_features: "
                                         r"10000 take 0.7 GiB"):
        OASIS().fit(wide, [0, 0, 1, 1])
    assert OASIS(max_features=3).fit(wide, [0, 0, 1, 1]).components_.shape == (3, 3)


def test_a_feature_of_zeros_and_rows_of_zeros():
    X, y = data(30)
    X[:3] = 0
    X[:, 4] = 0
    model = OASIS(max_iter=5).fit(sp.csr_array(X), y)
    assert_array_equal(model.components_[:, -1], np.eye(12)[-1])
    assert model.features_[-1] == 4
    assert np.isfinite(model.similarity(X)).all()


def test_kernels_refuse_arrays_that_do_not_fit():
    rows = check.as_rows(np.eye(3), owner="test")
    Steps = kernels("oasis").Steps
    with pytest.raises(ValueError, match="out of range"):
        Steps(rows, np.zeros(2, np.int32), 1, 1.0)
    steps = Steps(rows, np.arange(3, dtype=np.int32), 3, 1.0)
    with pytest.raises(ValueError, match="wrong shape"):
        steps.epoch(np.eye(2), None, None, np.zeros((1, 3), np.int64), 1, 0, 0, np.inf)
    with pytest.raises(ValueError, match="no triplets can be drawn"):
        steps.epoch(np.eye(3), np.arange(3, dtype=np.int32), np.array([0, 1, 2, 3]), None, 1, 0, 0,
                    np.inf)


@pytest.mark.parametrize("make", [
    lambda X, y: LMNN(tol=1e-2).fit(X, y), lambda X, y: LMNN(n_components=2, tol=1e-2).fit(X, y),
    lambda X, y: OASIS(max_iter=2).fit(X, y),
    lambda X, y: OASIS(max_iter=2, max_features=5).fit(X.astype(np.float32), y),
])  # fmt: skip
def test_model_files(make, tmp_path, capsys):
    X, y = data(40)
    model = make(X, np.array(["a", "b", "c"])[y])
    path = str(tmp_path / "model")
    model.save(path)
    again = hingex.load(path)
    assert type(again) is type(model)
    assert again.get_params() == model.get_params()
    assert_array_equal(again.transform(X), model.transform(X))
    for name in set(vars(model)) - {"history_"}:
        assert_array_equal(getattr(again, name), getattr(model, name))
    course = model.history_.copy()
    course["seconds"] = 0  # which files do not hold
    assert again.history_.tobytes() == course.tobytes()
    pytest.importorskip("click", reason="click is not installed")
    from hingex.cli import main

    assert main(["info", path]) == 0
    shown = capsys.readouterr().out
    assert type(model).__name__ in shown
    assert f"{model.components_.shape[0]} x {model.components_.shape[1]}" in shown
    assert main(["info", "--json", path]) == 0
    assert '"components"' in capsys.readouterr().out
    assert main(["predict", path, path]) == 1
    assert "which is no model of svmlight rows" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "value", "text"), [
    ("components_", np.full((5, 5), np.nan), "components_ holds NaN"),
    ("components_", np.eye(4), r"components_ must be real numbers of shape \(5, 5\)"),
    ("features_", np.array([0, 1, 2, 3, 12]), "features_ must be distinct columns"),
    ("features_", np.array([0, 1, 2, 3, 3]), "features_ must be distinct columns"),
    ("features_", None, "features_ must be distinct columns"),
    ("n_features_in_", 0, "n_features_in_ is 0"), ("n_iter_", "many", "n_iter_ is missing"),
    ("history_", np.zeros(3), "history_ is not a list of epochs"),
])
def test_models_that_are_damaged_are_not_written(name, value, text, tmp_path):
    X, y = data(40)
    model = OASIS(max_iter=2, max_features=5).fit(X, y)
    setattr(model, name, value)
    with pytest.raises(ValueError, match=text):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_it_follows_scikit_learn():
    checks = pytest.importorskip("sklearn.utils.estimator_checks",
                                 reason="scikit-learn is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checks.check_estimator(OASIS())
