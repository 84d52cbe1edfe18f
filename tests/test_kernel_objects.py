# SPDX-License-Identifier: BSD-3-Clause
"""Kernels that are functions get X as it is: strings, graphs, arrays of any kind."""

import pickle
from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csc_array, csr_array, csr_matrix

import hingex
from hingex import SVC, SVR, NuSVC, NuSVR, OneClassSVM

ALL = [SVC, NuSVC, SVR, NuSVR, OneClassSVM]


def strings(n=48, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    letters = np.array(list("abcd"))
    return ["".join(rng.choice(letters[k:k + 2], rng.integers(4, 12))) for k in y], y


def counts(text):
    return Counter(text[i:i + 2] for i in range(len(text) - 1))


def spectrum(A, B):
    """Pairs of letters that two strings have in common."""
    left, right = [counts(a) for a in A], [counts(b) for b in B]
    return np.array([[sum(a[k] * b[k] for k in a) for b in right] for a in left], dtype=float)


def output(model, X):
    return getattr(model, "decision_function", model.predict)(X)


class Kernel:
    """A kernel that remembers what kinds of things it was given."""

    def __init__(self, of):
        self.of, self.seen = of, set()

    def __call__(self, A, B):
        self.seen |= {type(A), type(B)}
        return self.of(A, B)


@pytest.mark.parametrize("Model", ALL)
def test_strings(Model):
    X, y = strings()
    options = {"nu": 0.2} if Model is NuSVC else {}
    expected = Model(kernel="precomputed", tol=1e-8, **options).fit(spectrum(X, X), y)
    new, _ = strings(20, seed=1)
    K = spectrum(new, X)
    for kind in (list, np.array, lambda X: np.array(X, dtype=object), tuple):
        given = kind(X)
        kernel = Kernel(spectrum)
        model = Model(kernel=kernel, tol=1e-8, **options).fit(given, y)
        assert_allclose(output(model, kind(new)), output(expected, K), atol=1e-6)
        assert kernel.seen == {np.ndarray if isinstance(given, np.ndarray) else list}
        assert_array_equal(model.support_, expected.support_)
        assert type(model.support_vectors_) in kernel.seen
        assert list(model.support_vectors_) == [X[i] for i in model.support_]
        assert model.shape_fit_ == (48,)
        assert not hasattr(model, "n_features_in_")
        if Model is SVC:
            assert model.score(given, y) == expected.score(spectrum(X, X), y)
    again = pickle.loads(pickle.dumps(Model(kernel=spectrum, tol=1e-8, **options).fit(X, y)))
    assert_allclose(output(again, new), output(expected, K), atol=1e-6)


@pytest.mark.parametrize("Model", ALL)
def test_scikit_learns_scores(Model):
    svm = pytest.importorskip("sklearn.svm")
    X, y = strings()
    options = {"tol": 1e-8} | ({"nu": 0.2} if Model is NuSVC else {})
    if Model in (SVC, NuSVC):  # votes would be those of rounding where a score is 0
        options["decision_function_shape"] = "ovo"
    theirs = getattr(svm, Model.__name__)(kernel=spectrum, **options).fit(X, y)
    ours = Model(kernel=spectrum, **options).fit(X, y)
    assert_allclose(output(ours, X), output(theirs, X), atol=1e-5)
    assert ours.shape_fit_ == theirs.shape_fit_


def test_graphs_and_arrays_of_objects():
    """Objects without an order, a length or numbers: sets of edges."""
    rng = np.random.default_rng(0)
    X = [frozenset(rng.integers(0, 6 + 6 * (i % 2), 8).tolist()) for i in range(30)]
    y = np.arange(30) % 2

    def shared(A, B):
        return np.array([[len(a & b) for b in B] for a in A])

    model = SVC(kernel=shared).fit(X, y)
    boxed = np.empty(30, dtype=object)
    boxed[:] = X
    assert_array_equal(SVC(kernel=shared).fit(boxed, y).decision_function(boxed),
                       model.decision_function(X))
    assert all(isinstance(x, frozenset) for x in model.support_vectors_)


@pytest.mark.parametrize("options", [
    {"probability": True}, {"probability": True, "multi_class": "ovr"},
    {"approximation": "nystroem", "n_components": 12, "probability": True},
], ids=["pairs", "ovr", "nystroem"])
def test_probabilities_and_low_rank(options):
    X, y = strings()
    model = SVC(kernel=spectrum, **options).fit(X, y)
    table = SVC(kernel="precomputed", **options).fit(spectrum(X, X), y)
    assert_allclose(model.predict_proba(X), table.predict_proba(spectrum(X, X)), atol=1e-3)
    assert isinstance(model.support_vectors_, list)


def test_tables_come_as_they_lie():
    rng = np.random.default_rng(1)
    X, y = rng.integers(0, 9, (40, 5)), np.arange(40) % 2
    kinds = []

    def kernel(A, B):
        kinds.append((type(A), A.dtype, A.ndim))
        if A.ndim == 3:
            return np.einsum("iab,jab->ij", A, B).astype(float)
        K = A @ B.T
        return (K.toarray() if hasattr(K, "toarray") else K).astype(float)

    expected = SVC(kernel="linear", tol=1e-8).fit(X, y).decision_function(X)
    for given in (X, X.astype(np.int16), X.astype(np.float32), csr_array(X), csr_matrix(X),
                  csc_array(X), X.reshape(40, 5, 1)):
        kinds.clear()
        model = SVC(kernel=kernel, tol=1e-8).fit(given, y)
        assert_allclose(model.decision_function(given), expected, atol=1e-5)
        kind = csr_array if isinstance(given, csc_array) else type(given)
        assert set(kinds) == {(kind, given.dtype, given.ndim)}
        assert getattr(model, "n_features_in_", None) == (5 if given.ndim == 2 else None)
        assert model.shape_fit_ == given.shape
        if given.ndim == 2:
            with pytest.raises(ValueError, match="X has 4 features, but SVC is expecting 5"):
                model.predict(given[:, :4])


def test_frames_come_as_their_values():
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(2)
    X, y = rng.standard_normal((30, 3)), np.arange(30) % 2
    kernel = Kernel(lambda A, B: A @ B.T)
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    model = SVC(kernel=kernel).fit(frame, y)
    assert kernel.seen == {np.ndarray}
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    assert_array_equal(model.predict(frame), SVC(kernel=kernel).fit(X, y).predict(X))
    words, y = strings()
    kernel = Kernel(spectrum)
    model = SVC(kernel=kernel).fit(pandas.Series(words), y)
    assert kernel.seen == {np.ndarray}
    assert not hasattr(model, "feature_names_in_")
    model.set_params(kernel="rbf").fit(X, np.arange(30) % 2)  # nothing is left of the last fit
    assert model.n_features_in_ == 3


def test_nan_is_the_kernels_business():
    X = np.array([[0.0, np.nan], [1.0, 0.0], [4.0, np.nan], [5.0, 1.0]])

    def kernel(A, B):
        return np.nan_to_num(A) @ np.nan_to_num(B).T

    assert SVC(kernel=kernel, C=10.0).fit(X, [0, 0, 1, 1]).score(X, [0, 0, 1, 1]) == 1


@pytest.mark.parametrize(("X", "error", "words"), [
    ([], ValueError, "X is empty"),
    ("abc", TypeError, "X is of type str, which has no rows to take; SVC with a kernel of your own "
                       "needs a list of objects, an array or a CSR matrix"),
    ({"a": 1, "b": 2}, TypeError, "type dict"),
    ({"a", "b"}, TypeError, "type set"),
    ((x for x in "ab"), TypeError, "type generator"),
    (3.0, TypeError, "type float"),
    (np.array(3.0), TypeError, "type ndarray"),
    (["a", "b", "c"], ValueError, "y has 2 "),
])
def test_what_is_no_X(X, error, words):
    with pytest.raises(error, match=words):
        SVC(kernel=spectrum).fit(X, [0, 1])


def test_wrong_kernels_and_changed_models():
    X, y = strings()
    with pytest.raises(ValueError, match=r"returned shape \(1, 1\) for \d+ and \d+ rows; expected "
                                         ".*: the value of each row of its first argument with"):
        SVC(kernel=lambda A, B: np.ones((1, 1))).fit(X, y)
    model = SVC(kernel=spectrum).fit(X, y)
    with pytest.raises(ValueError, match="X is empty"):
        model.predict([])
    model.support_vectors_ = model.support_vectors_[1:]
    with pytest.raises(ValueError, match=r"support_vectors_ of this SVC must be \d+ objects; got"):
        model.predict(X)
    model.kernel = "rbf"
    with pytest.raises(ValueError, match="shape_fit_ of this SVC is"):
        model.predict(np.zeros((2, 2)))


def test_searches_and_folds():
    selection = pytest.importorskip("sklearn.model_selection")
    X, y = strings()
    scores = selection.cross_val_score(SVC(kernel=spectrum), X, y, cv=3)
    assert scores.min() > 0.5
    search = selection.GridSearchCV(SVC(kernel=spectrum), {"C": [0.1, 1.0]}, cv=3).fit(X, y)
    assert search.predict(X[:3]).shape == (3,)


def test_margin_of_one_class_is_inside():
    """Rows on the margin have scores of 0 but for rounding, whatever the order of the rows."""
    rng = np.random.default_rng(0)
    X = rng.random((40, 12))
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(40)
        model = OneClassSVM(nu=0.5, tol=1e-13).fit(X[order])
        size = np.abs(model.dual_coef_[0])
        free = model.support_[(size > 0) & (size < 1)]
        assert len(free) >= 3
        assert_array_equal(model.predict(X[order][free]), 1)
        assert_allclose(model.decision_function(X[order][free]), 0, atol=1e-10)
    assert_array_equal(hingex.OneClassSVM(nu=0.3).fit(np.ones((5, 2))).predict(np.ones((5, 2))), 1)
