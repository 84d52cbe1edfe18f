# SPDX-License-Identifier: BSD-3-Clause
"""Kernel machines in files, and fitted arrays that were changed: the right answer or an error."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

import hingex
from hingex import SVC, SVR, NuSVC, NuSVR, OneClassSVM, kernels, model_io
from hingex.model_io import ModelFormatError

ALL = [SVC, NuSVC, SVR, NuSVR, OneClassSVM]
RNG = np.random.default_rng(0)
X = np.round(RNG.normal(size=(60, 4)), 3) * (RNG.random((60, 4)) < 0.7)
LABELS = np.array(["left", "right", "up"])[np.arange(60) % 3]
TARGETS = {SVC: LABELS, NuSVC: LABELS, SVR: X.sum(axis=1), NuSVR: X.sum(axis=1), OneClassSVM: None}


def outputs(model, Z):
    return (model.decision_function if hasattr(model, "decision_function") else model.predict)(Z)


@pytest.mark.parametrize("form", ["dense", "csr", "float32", "precomputed", "linear", "poly"])
@pytest.mark.parametrize("Model", ALL)
def test_a_file_predicts_as_the_model(Model, form, tmp_path):
    kind = form if form in ("precomputed", "linear", "poly") else "rbf"
    data = {"csr": csr_array(X), "float32": X.astype(np.float32),
            "precomputed": kernels.rbf(X)}.get(form, X)
    options = {"nu": 0.3} if Model in (NuSVC, NuSVR, OneClassSVM) else {"C": 2.0}
    model = Model(kernel=kind, coef0=0.5, **options).fit(data, TARGETS[Model])
    path = tmp_path / "model"
    model.save(path)
    again = hingex.load(path)
    assert type(again) is Model
    assert again.get_params() == model.get_params()
    assert_array_equal(outputs(again, data), outputs(model, data))
    assert_array_equal(again.predict(data), model.predict(data))
    for name, value in vars(model).items():
        if name.endswith("_") and name not in ("support_vectors_", "history_"):
            assert_array_equal(getattr(again, name), value, err_msg=name)
    course = model.history_.copy()
    course["seconds"] = 0  # which files do not hold
    assert_array_equal(again.history_, course)
    if form == "csr":
        assert_array_equal(again.support_vectors_.toarray(), model.support_vectors_.toarray())
    first = path.read_bytes()
    again.save(path)
    assert path.read_bytes() == first
    assert model_io.describe(path)["omitted"] == []
    if form == "linear":
        assert_array_equal(again.coef_, model.coef_)


def test_probabilities_are_in_the_file(tmp_path):
    model = SVC(probability=True).fit(X, LABELS)
    model.save(tmp_path / "model")
    assert_array_equal(hingex.load(tmp_path / "model").predict_proba(X), model.predict_proba(X))


def test_what_files_cannot_hold(tmp_path):
    model = SVC(kernel=kernels.linear).fit(X, LABELS)
    with pytest.raises(TypeError, match="kernel of this SVC is a function"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    with pytest.raises(hingex.NotFittedError):
        SVC().save(tmp_path / "model")


def changed(model, name, value):
    """A copy of the model with another value of an attribute."""
    other = copy.deepcopy(model)
    vars(other)[name] = value
    return other


def nan_at_0(array):
    array = np.array(array, dtype=np.float64)
    array.flat[0] = np.nan
    return array


CHANGES = {
    "n_support_": [lambda a: -a, lambda a: a + 1, lambda a: a[:-1], lambda a: a.astype(float),
                   lambda a: np.array([2**31 - 1] * len(a)), lambda a: a * 0, lambda a: "x",
                   lambda a: np.array([a.sum() + 5, -5, *([0] * (len(a) - 2))])],
    "support_": [lambda a: a + 1000, lambda a: -1 - a, lambda a: a[:-1], lambda a: a * 1.0,
                 lambda a: a[None], lambda a: np.append(a, 0)],
    "dual_coef_": [nan_at_0, lambda a: a[:, :-1], lambda a: np.vstack([a, a]), lambda a: a[0],
                   lambda a: np.full_like(a, np.inf), lambda a: a.astype(str),
                   lambda a: np.empty((0, 0))],
    "intercept_": [nan_at_0, lambda a: a[:0], lambda a: np.append(a, 1.0), lambda a: None],
    "support_vectors_": [nan_at_0, lambda a: a[:, :-1], lambda a: a[:-1], lambda a: a[:0],
                         lambda a: np.hstack([a, a]), lambda a: csr_array(a)[:-1]],
    "gamma_": [lambda g: np.nan, lambda g: -1.0, lambda g: "scale", lambda g: np.inf],
    "classes_": [lambda a: a[:2], lambda a: a[:0], lambda a: a[::-1]],
    "shape_fit_": [lambda s: (1, 4), lambda s: (0, 0)],
}


@pytest.mark.parametrize(("Model", "name"), [
    (Model, name) for Model in ALL for name in CHANGES
    if name != "classes_" or Model in (SVC, NuSVC)
])
def test_changed_arrays_are_errors(Model, name, tmp_path):
    model = Model(gamma=0.3).fit(X, TARGETS[Model])
    for change in CHANGES[name]:
        other = changed(model, name, change(getattr(model, name)))
        if name != "classes_" or len(other.classes_) != 3:
            with pytest.raises((ValueError, TypeError)):
                outputs(other, X)
        with pytest.raises((ValueError, TypeError)):
            other.save(tmp_path / "model")
        assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("part", ["indices", "indptr", "data"])
def test_changed_sparse_vectors_are_errors(part):
    model = SVC(gamma=0.3).fit(csr_array(X), LABELS)
    expected = outputs(model, X)
    for place, value in ((0, 10**6), (-1, -1), (1, 2**31 - 1)):
        other = copy.deepcopy(model)
        vectors = other.support_vectors_
        array = getattr(vectors, part).copy()
        array[place] = value if part != "data" else np.nan
        setattr(vectors, part, array)
        with pytest.raises(ValueError, match=r"X|NaN|indptr|indices"):
            outputs(other, X)
    assert_array_equal(outputs(model, X), expected)
    with pytest.raises(ValueError, match="read-only"):
        model.support_vectors_.indices[0] = 10**6


@pytest.mark.parametrize("Model", ALL)
def test_files_with_arrays_that_do_not_fit(Model, tmp_path, monkeypatch):
    """As a file would be that somebody wrote by hand, with right checksums."""
    model = Model(gamma=0.3).fit(X, TARGETS[Model])
    path = tmp_path / "model"
    monkeypatch.setattr(Model, "_fitted_to_store", lambda self: dict(vars(self)))
    for name, changes in CHANGES.items():
        if not hasattr(model, name):
            continue
        for change in changes:
            other = changed(model, name, change(getattr(model, name)))
            try:
                model_io.save(other, path)
            except TypeError:
                continue
            with pytest.raises(ModelFormatError):
                hingex.load(path)


FITTED = [
    Model(gamma=0.3, **({"decision_function_shape": "ovo"} if Model in (SVC, NuSVC) else {})).fit(
        X, TARGETS[Model])
    for Model in ALL
]  # fmt: skip


def by_definition(model, Z):
    """Scores from the fitted arrays: sums of duals times kernels, of pairs of classes if many."""
    coef = np.asarray(model.dual_coef_, dtype=np.float64)
    K = kernels.rbf(Z, np.asarray(model.support_vectors_, dtype=np.float64), gamma=model.gamma_)
    if not hasattr(model, "classes_"):
        return K @ coef[0] + model.intercept_
    ends = np.cumsum(model.n_support_)
    part = [slice(end - count, end) for end, count in zip(ends, model.n_support_, strict=True)]
    pairs = [(0, 1), (0, 2), (1, 2)]
    return np.column_stack([K[:, part[i]] @ coef[j - 1, part[i]] + K[:, part[j]] @ coef[i, part[j]]
                            for i, j in pairs]) + model.intercept_


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_change_reads_out_of_bounds(data):
    model = data.draw(st.sampled_from(FITTED))
    names = [n for n in ("n_support_", "support_", "dual_coef_", "intercept_", "support_vectors_")
             if hasattr(model, n)]
    other = copy.deepcopy(model)
    for name in data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3,
                                  unique=True)):
        array = np.array(getattr(other, name))
        match data.draw(st.sampled_from(["value", "cut", "grow", "dtype", "shape"])):
            case "value":
                if array.size:
                    at = data.draw(st.integers(0, array.size - 1))
                    value = data.draw(st.sampled_from([-1, 0, 1, 2**31 - 1, -2**31]))
                    array.flat[at] = value if array.dtype.kind == "i" else value * 1e300
            case "cut":
                array = array[..., :data.draw(st.integers(0, array.shape[-1]))]
            case "grow":
                array = np.concatenate([array, array], axis=-1)
            case "dtype":
                array = array.astype(data.draw(st.sampled_from(["f4", "i8", "u1", "S3", "c16"])))
            case "shape":
                array = array.reshape(-1)
        vars(other)[name] = array
    try:
        with np.errstate(all="ignore"):
            found = outputs(other, X)
    except (ValueError, TypeError):
        return
    with np.errstate(all="ignore"):
        expected = by_definition(other, X)
    assert found.shape == outputs(model, X).shape
    largest = np.abs(np.asarray(other.dual_coef_, dtype=np.float64)).max(initial=1)
    assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * largest)
