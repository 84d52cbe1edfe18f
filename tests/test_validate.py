# SPDX-License-Identifier: BSD-3-Clause
"""The gate: what it leaves in place, what it converts, what it refuses and in which words."""

import re
import tracemalloc
import warnings
from enum import Enum, StrEnum
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from hingex import LinearSVC, _result, _validate
from hingex._validate import as_rows, encode_labels, row_weights


def norms(X, **kwargs):
    rows = as_rows(X, **kwargs)
    out = np.empty(rows.n, np.float32)
    rows.sq_norms(out)
    return out


def raises(error, text):
    return pytest.raises(error, match=re.escape(text))


# ------------------------------------------------------------------------------ in place


def dense_layouts(A):
    n, d = A.shape
    wide = np.zeros((2 * n, 3 * d), A.dtype)
    wide[::2, ::3] = A
    readonly = A.copy()
    readonly.flags.writeable = False
    return {
        "C": np.ascontiguousarray(A),
        "F": np.asfortranarray(A),
        "strided": wide[::2, ::3],
        "reversed": A[::-1, ::-1].copy()[::-1, ::-1],
        "row slice": np.vstack([A, A])[n:],
        "readonly": readonly,
    }


def csr_layouts(A):
    found = {}
    for kind in (sp.csr_matrix, sp.csr_array):
        for indices in (np.int32, np.int64):
            for indptr in (np.int32, np.int64):
                X = kind(A)
                X.indices, X.indptr = X.indices.astype(indices), X.indptr.astype(indptr)
                found[f"{kind.__name__} {indices.__name__} {indptr.__name__}"] = X
    return found


matrices = st.tuples(
    st.integers(1, 9), st.integers(1, 11), st.integers(0, 2**32 - 1),
    st.sampled_from([np.float32, np.float64]), st.sampled_from([0.0, 0.3, 1.0]))


def matrix(spec):
    n, d, seed, dtype, density = spec
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) * (rng.random((n, d)) < density)).astype(dtype)


@given(matrices)
@settings(max_examples=60, deadline=None)
def test_every_representation_gives_the_same_rows(spec):
    A = matrix(spec)
    expected = (A.astype(np.float64) ** 2).sum(axis=1)
    for name, X in (dense_layouts(A) | csr_layouts(A)).items():
        assert_allclose(norms(X), expected, rtol=1e-6, err_msg=name)
    others = [A.tolist(), A.astype(object), A.astype(">f8"), A.astype(np.longdouble),
              np.array(A.tolist(), dtype=str), memoryview(A), np.ma.array(A),
              sp.coo_array(A), sp.csc_matrix(A), sp.lil_array(A), sp.dok_array(A), sp.dia_array(A),
              sp.bsr_array(A)]
    for X in others:
        assert_allclose(norms(X), expected, rtol=1e-5, err_msg=str(type(X)))
    assert_allclose(norms(A.astype(np.float16)), expected, rtol=1e-2, atol=1e-3)


@given(matrices)
@settings(max_examples=30, deadline=None)
def test_readable_layouts_are_used_in_place(spec):
    A = matrix(spec)
    for name, X in dense_layouts(A).items():
        assert as_rows(X).arrays[0] is X, name
    for name, X in csr_layouts(A).items():
        arrays = as_rows(X).arrays
        if X.nnz == A.size:  # the values are a dense array already
            assert np.shares_memory(arrays[0], X.data)
            assert arrays[0].shape == A.shape
            continue
        for mine, theirs in zip(arrays, (X.data, X.indices, X.indptr), strict=True):
            assert mine.__array_interface__["data"] == theirs.__array_interface__["data"], name
            assert mine.dtype == theirs.dtype


def test_memmaps_are_used_in_place(tmp_path):
    A = np.arange(12.0).reshape(4, 3)
    np.save(tmp_path / "a.npy", A)
    X = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert np.shares_memory(as_rows(X).arrays[0], X)
    S = sp.csr_array(A)
    parts = {}
    for name in ("data", "indices", "indptr"):
        np.save(tmp_path / f"{name}.npy", getattr(S, name))
        parts[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    X = SimpleNamespace(format="csr", shape=S.shape, **parts)
    for mine, theirs in zip(as_rows(X).arrays, parts.values(), strict=True):
        assert np.shares_memory(mine, theirs)
    assert_allclose(norms(X), (A**2).sum(axis=1))


@pytest.mark.parametrize("make", [
    lambda: np.ones((20_000, 50), np.float32),
    lambda: np.asfortranarray(np.ones((20_000, 50))),
    lambda: sp.random_array((20_000, 200), density=0.1, format="csr", rng=0),
])
def test_checks_need_no_memory(make):
    X = make()
    tracemalloc.start()
    as_rows(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000


def test_view_keeps_its_arrays_alive():
    rows = as_rows(np.full((1000, 100), 2.0))
    _ = [np.zeros((1000, 100)) for _ in range(5)]
    out = np.empty(1000, np.float32)
    rows.sq_norms(out)
    assert (out == 400).all()


# ----------------------------------------------------------------------------- conversions


@pytest.mark.parametrize(("dtype", "expected"), [
    (bool, np.float64), (np.int8, np.float64), (np.uint64, np.float64), (np.float16, np.float32),
    (np.dtype(">f4"), np.float32), (np.dtype(">f8"), np.float64), (np.longdouble, np.float64),
    (np.float32, np.float32), (object, np.float64), ("U3", np.float64), ("S3", np.float64),
])
def test_dtypes(dtype, expected):
    A = np.array([[1, 0], [0, 1]]).astype(dtype)
    values = as_rows(A).arrays[0]
    assert values.dtype == expected
    assert values.dtype.isnative
    assert_array_equal(values, np.eye(2))


@pytest.mark.parametrize(("dtype", "expected"), [
    (bool, np.float64), (np.int8, np.float64), (np.float32, np.float32),
    (np.longdouble, np.float64)])
def test_sparse_dtypes(dtype, expected):
    rows = as_rows(sp.csr_array(np.eye(3).astype(dtype)))
    assert rows.arrays[0].dtype == expected
    assert rows.nnz == 3


@pytest.mark.parametrize(("dtype", "expected"), [
    (np.uint32, np.int64), (np.uint64, np.int64), (np.int16, np.int32), (np.uint8, np.int32),
    (np.dtype(">i4"), np.int64), (np.dtype(">i8"), np.int64)])
def test_other_index_dtypes_are_converted(dtype, expected):
    X = csr([1.0, 2.0], np.array([0, 2], dtype), np.array([0, 1, 2], dtype), (2, 3))
    rows = as_rows(X)
    assert rows.arrays[1].dtype == expected
    assert_allclose(norms(X), [1, 4])


def test_strided_and_unaligned_components_are_copied():
    X = sp.csr_array(np.diag([1.0, 2.0, 3.0]))
    twice = np.repeat(X.data, 2)
    Y = csr(twice[::2], X.indices, X.indptr, X.shape)
    assert_allclose(norms(Y), [1, 4, 9])
    raw = np.zeros(8 * 6 + 1, np.uint8)
    unaligned = raw[1:].view(np.float64).reshape(3, 2)
    unaligned[:] = 2
    assert not np.shares_memory(as_rows(unaligned).arrays[0], raw)
    assert_allclose(norms(unaligned), 8)
    packed = np.zeros((3, 2), dtype=[("x", "f4"), ("tag", "u1")])
    packed["x"] = 2
    assert_allclose(norms(packed["x"]), 8)


def test_pandas():
    pd = pytest.importorskip("pandas")
    A = np.arange(6.0).reshape(3, 2)
    expected = (A**2).sum(axis=1)
    frame = pd.DataFrame(A)
    assert np.shares_memory(as_rows(frame).arrays[0], frame.to_numpy())
    mixed = pd.DataFrame({"a": A[:, 0].astype(np.float32), "b": A[:, 1].astype(int)})
    assert_allclose(norms(mixed), expected)
    mixed["a"] = mixed["a"].astype("Int64")
    assert_allclose(norms(mixed), expected)
    sparse = frame.astype(pd.SparseDtype(float, 0.0))
    assert as_rows(sparse).is_csr
    assert_allclose(norms(sparse), expected)
    dense = frame.astype(pd.SparseDtype(float, np.nan))
    assert not as_rows(dense).is_csr
    assert_allclose(norms(dense), expected)
    mixed.loc[1, "a"] = pd.NA
    with raises(ValueError, "Input X contains NaN: first at row 1, column 0"):
        as_rows(mixed)
    with raises(ValueError, "X must hold numbers; got 'red' at row 0, column 1"):
        as_rows(pd.DataFrame({"a": [1, 2], "b": ["red", "2"]}))
    assert_allclose(norms(pd.DataFrame({"format": [3.0], "tocsr": [4.0]})), 25)


def test_array_protocol_only():
    class Holder:
        def __array__(self, dtype=None, copy=None):
            return np.full((2, 2), 3.0)

    assert_allclose(norms(Holder()), 18)


def test_subnormal_and_huge_values_pass():
    X = np.array([[5e-324, 1e300], [0.0, -0.0]])
    assert as_rows(X).n == 2
    assert as_rows(X.astype(object)).n == 2


# ---------------------------------------------------------------------------- dense errors


@pytest.mark.parametrize(("X", "error", "text"), [
    ([1.0, 2.0], ValueError, "Expected 2D array, got 1D array instead of shape (2,). "
                             "Reshape your data"),
    (3.0, ValueError, "Expected 2D array, got scalar array instead (X is of type float)"),
    (None, ValueError, "X is of type NoneType"),
    ({"a": 1}, ValueError, "X is of type dict"),
    (["some text", "more"], ValueError, "X holds text, such as 'some text'"),
    (np.zeros((2, 2, 2)), ValueError, "Found array with dim 3"),
    (np.zeros((0, 5)), ValueError, "Found array with 0 sample(s) (shape=(0, 5)) while a minimum "
                                   "of 1 is required"),
    (np.zeros((3, 0)), ValueError, "Found array with 0 feature(s) (shape=(3, 0)) while a minimum "
                                   "of 1 is required"),
    (np.ones((2, 2)) * 1j, ValueError, "Complex data not supported: X has dtype complex128"),
    (np.array([[1, 2j]], object), ValueError, "Complex data not supported: X holds 2j"),
    ([[1.0], [1.0, 2.0]], ValueError, "rows of equal length"),
    ([["1", "x"]], ValueError, "X must hold numbers; got 'x' at row 0, column 1"),
    (np.array([[1, {"a": 1}]], object), TypeError, "argument must be a string or a real number"),
    (np.array([[1, 10**400]], object), ValueError, "X must hold numbers; got 1000"),
    (np.array([[1, None]], object), ValueError, "NaN: first at row 0, column 1"),
    (np.zeros((2, 2), "M8[s]"), TypeError, "X has dtype datetime64[s]; numbers are needed"),
    (np.zeros((2, 2), [("a", float)]), TypeError, "numbers are needed"),
    (np.array([sp.csr_array(np.eye(2)), 1], object), ValueError, "holds sparse matrices"),
    (np.ma.array([[1.0, 2.0]], mask=[[True, False]]), ValueError, "masked array"),
    (np.broadcast_to(np.float32(0), (2**31, 1)), ValueError, "X has 2147483648 rows"),
])
def test_dense_errors(X, error, text):
    with raises(error, text):
        as_rows(X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("value", "text"), [
    (np.nan, "Input X contains NaN: first at row 3, column 7. Perceptron needs"),
    (np.inf, "Input X contains infinity or a value too large for float"),
    (-np.inf, "first at row 3, column 7. Perceptron needs finite"),
])
def test_not_finite_is_located(dtype, value, text):
    A = np.ones((9, 13), dtype)
    A[3, 7] = A[3, 9] = A[8, 0] = value
    wide = np.full((9, 26), np.nan, dtype)
    wide[:, ::2] = A
    S = A.copy()
    S[:, 2:5] = 0
    for X in (A, np.asfortranarray(A), wide[:, ::2], sp.csr_array(S), sp.csc_array(S)):
        with raises(ValueError, text):
            as_rows(X, owner="Perceptron")
        as_rows(X, check_finite=False)


@given(st.integers(1, 40), st.integers(1, 20), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_not_finite_is_found_anywhere(n, d, where):
    A = np.zeros((n, d), np.float32)
    row, column = divmod(where % (n * d), d)
    A[row, column] = np.nan
    for X in (A, np.asfortranarray(A), sp.csr_array(A)):
        with raises(ValueError, f"first at row {row}, column {column}."):
            as_rows(X)


def test_beyond_float64_is_infinity():
    big = np.array([[np.longdouble("1e4000"), 1]])
    if np.isfinite(big).all():
        with raises(ValueError, "contains infinity or a value too large for float64"):
            as_rows(big)


def test_min_rows_and_owner():
    with raises(ValueError, "Found array with 1 sample(s) (shape=(1, 2)) while a minimum of 2 is "
                            "required by Perceptron."):
        as_rows([[1, 2]], min_rows=2, owner="Perceptron")
    with raises(TypeError, "Sparse data was passed for X, but Perceptron needs dense data"):
        as_rows(sp.csr_array(np.eye(2)), accept_sparse=False, owner="Perceptron")


def test_unreadable_object():
    class Broken:
        def __array__(self, dtype=None, copy=None):
            raise TypeError("lives on another device")

    with raises(TypeError, "X of type Broken cannot be read as an array of numbers (lives on"):
        as_rows(Broken())


# --------------------------------------------------------------------------- CSR structure


def csr(data, indices, indptr, shape):
    """Object that looks like CSR; SciPy's own class would refuse some of these."""
    return SimpleNamespace(format="csr", data=np.asarray(data), indices=np.asarray(indices),
                           indptr=np.asarray(indptr), shape=shape)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize(("data", "indices", "indptr", "shape", "text"), [
    ([1.0], [0], [0, 1], (2, 2), "X.indptr must have 3 entries, one more than X has rows; got 2"),
    ([1.0], [0], [1, 1, 1], (2, 2), "X.indptr must start with 0; got 1"),
    ([1.0], [0], [-1, 1, 1], (2, 2), "X.indptr must start with 0; got -1"),
    ([1.0, 2.0], [0, 1], [0, 2, 1], (2, 2), "X.indptr must not descend; row 1 starts at 2 and "
                                           "ends at 1"),
    ([1.0], [0], [0, 1, 5], (2, 2), "row 1 ends at 5, X.data has 1 values"),
    ([1.0], [0], [0, 2**31 - 1, 1], (2, 2), "row 0 ends at 2147483647, X.data has 1 values"),
    ([1.0, 2.0], [0], [0, 1, 1], (2, 2), "X.data and X.indices must have the same length; got 2 "
                                         "and 1"),
    ([1.0, 2.0], [0, 2], [0, 1, 2], (2, 2), "Row 1 of X has index 2, but X has 2 features: "
                                            "indices must lie in 0..1"),
    ([1.0, 2.0], [0, -1], [0, 0, 2], (2, 2), "Row 1 of X has index -1"),
    ([[1.0]], [0], [0, 1], (1, 1), "X.data must be 1-D; got shape (1, 1)"),
    ([1j], [0], [0, 1], (1, 1), "Complex data not supported: X.data"),
    (["x"], [0], [0, 1], (1, 1), "X.data must hold numbers; got 'x' at position 0"),
    ([], [], [0], (0, 3), "Found array with 0 sample(s) (shape=(0, 3))"),
    ([], [], [0, 0], (1, 0), "Found array with 0 feature(s) (shape=(1, 0))"),
    ([], [], [0], (2**31, 3), "X has 2147483648 rows"),
])
def test_malformed_csr(index, data, indices, indptr, shape, text):
    X = csr(data, np.array(indices, index), np.array(indptr, index), shape)
    with raises(ValueError, text):
        as_rows(X)


def test_more_malformed_csr():
    with raises(TypeError, "X.indices must hold integers; got dtype float64"):
        as_rows(csr([1.0], [0.0], [0, 1], (1, 1)))
    with raises(ValueError, "X.indices holds 18446744073709551615, which is out of range"):
        as_rows(csr([1.0], np.array([2**64 - 1], np.uint64), [0, 1], (1, 1)))
    with raises(ValueError, "got 1D array instead: X is sparse of shape (3,)"):
        as_rows(sp.coo_array(np.ones(3)))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_arbitrary_csr_is_taken_or_refused(data):
    """Random component arrays: the gate raises ValueError, or the view equals the matrix."""
    small = st.integers(-1, 5)
    n, d = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    indptr = np.array(data.draw(st.lists(small, min_size=n, max_size=n + 2)), np.int32)
    indices = np.array(data.draw(st.lists(small, max_size=6)), np.int64)
    values = np.array(data.draw(st.lists(st.floats(-9, 9), max_size=6)), np.float64)
    try:
        found = norms(csr(values, indices, indptr, (n, d)))
    except ValueError:
        with pytest.raises((ValueError, IndexError)):
            raise_if_malformed(values, indices, indptr, n, d)
        return
    raise_if_malformed(values, indices, indptr, n, d)
    dense = np.zeros((n, d))
    for i in range(n):
        for p in range(indptr[i], indptr[i + 1]):
            dense[i, indices[p]] += values[p]
    assert_allclose(found, (dense**2).sum(axis=1), rtol=1e-5, atol=1e-12)


def raise_if_malformed(values, indices, indptr, n, d):
    good = (len(indptr) == n + 1 and indptr[0] == 0 and (np.diff(indptr) >= 0).all()
            and len(values) == len(indices) >= indptr[-1])
    used = indices[:indptr[-1]] if good else indices
    if not good or (used < 0).any() or (used >= d).any():
        raise ValueError("malformed")


def test_unsorted_rows_stay_in_place_and_duplicates_are_summed_in_a_copy():
    X = csr([1.0, 2.0, 3.0], [2, 0, 1], [0, 3], (1, 3))
    assert as_rows(X).arrays[0] is X.data
    D = csr(np.array([1.0, 2.0, 4.0, 8.0], np.float32), [2, 0, 2, 1], [0, 3, 4], (2, 3))
    assert_allclose(norms(D), [29, 64])
    assert_array_equal(D.data, [1, 2, 4, 8])
    assert_array_equal(D.indices, [2, 0, 2, 1])
    assert as_rows(D).arrays[0].dtype == np.float32
    assert as_rows(D, unique=False).arrays[0] is D.data
    flagged = sp.csr_array((D.data, D.indices, D.indptr), shape=(2, 3))
    flagged.has_canonical_format = True  # a stale flag must not be believed
    assert_allclose(norms(flagged), [29, 64])


def test_explicit_zeros_and_slack_are_fine():
    assert_allclose(norms(csr([0.0, 2.0, 9.0], [0, 1, 0], [0, 1, 2], (2, 2))), [0, 4])
    assert_allclose(norms(csr(np.zeros(0), np.zeros(0, int), [0, 0, 0], (2, 2))), [0, 0])


def test_sum_of_duplicates_that_overflows_is_infinity():
    X = csr(np.full(2, 3e38, np.float32), [1, 1], [0, 2], (1, 2))
    with raises(ValueError, "contains infinity or a value too large for float32: first at row 0, "
                            "column 1"):
        as_rows(X)


@pytest.mark.parametrize(("kind", "change", "text"), [
    ("coo", ("row", [0, 9]), "X is not a valid COO matrix: a row index out of 0..2"),
    ("coo", ("col", [-1, 0]), "a column index out of 0..3"),
    ("coo", ("row", [0]), "1 row indices for 2 values"),
    ("csc", ("indices", [0, 9]), "X is not a valid CSC matrix: an index out of 0..2"),
    ("csc", ("indptr", [0, 2, 1, 2, 2]), "indptr must be 5 values"),
    ("csc", ("indptr", [0, 1, 2, 2, 9]), "do not agree in length"),
    ("bsr", ("indices", [0, 9]), "X is not a valid BSR matrix: an index out of 0..3"),
])
def test_damaged_sparse_matrices_of_other_formats(kind, change, text):
    A = np.zeros((3, 4))
    A[0, 1] = A[2, 0] = 1
    X = sp.bsr_matrix(A, blocksize=(1, 1)) if kind == "bsr" else sp.coo_matrix(A).asformat(kind)
    setattr(X, change[0], np.array(change[1], np.int32))
    with raises(ValueError, text):
        as_rows(X)


# ---------------------------------------------------------------------------- feature names


class Fitted:
    n_features_in_ = 3


def test_n_features():
    with raises(ValueError, "X has 1 features, but Fitted is expecting 3 features as input."):
        _validate.check_n_features(Fitted(), as_rows([[1.0]]))
    with raises(ValueError, "X has 2 features, but Fitted is expecting 3"):
        _validate.fitted_rows(Fitted(), [[1.0, 2.0]])
    assert _validate.fitted_rows(Fitted(), np.ones((2, 3))).n == 2


def test_feature_names():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(np.ones((2, 3)), columns=["a", "b", "c"])
    est = Fitted()
    _validate.check_feature_names(est, X, reset=True)
    assert est.feature_names_in_.tolist() == ["a", "b", "c"]
    assert est.feature_names_in_.dtype == object
    _validate.check_feature_names(est, X)
    with pytest.warns(UserWarning, match="X does not have valid feature names, but Fitted was "
                                         "fitted with feature names"):
        _validate.check_feature_names(est, X.to_numpy())
    start = "The feature names should match those that were passed during fit.\n"
    with raises(ValueError, start + "Feature names must be in the same order as they were in fit."):
        _validate.check_feature_names(est, X[["b", "a", "c"]])
    with raises(ValueError, start + "Feature names unseen at fit time:\n- d\n"
                                    "Feature names seen at fit time, yet now missing:\n- c\n"):
        _validate.check_feature_names(est, X.rename(columns={"c": "d"}))
    many = pd.DataFrame(np.ones((2, 9)), columns=list("abcstuvwx"))
    with raises(ValueError, "- s\n- t\n- u\n- v\n- w\n- ...\n"):
        _validate.check_feature_names(est, many)
    _validate.check_feature_names(est, X.to_numpy(), reset=True)
    assert not hasattr(est, "feature_names_in_")
    with pytest.warns(UserWarning, match="X has feature names, but Fitted was fitted without"):
        _validate.check_feature_names(est, X)
    assert _validate.feature_names(pd.DataFrame(np.ones((2, 2)))) is None
    with raises(TypeError, "the columns of X are of types ['int', 'str']"):
        _validate.feature_names(pd.DataFrame(np.ones((1, 2)), columns=["a", 1]))


# ---------------------------------------------------------------------------------- labels


labels = st.one_of(
    st.lists(st.integers(-2**63, 2**63 - 1), min_size=1, max_size=30),
    st.lists(st.integers(-3, 3), min_size=1, max_size=30),
    st.lists(st.booleans(), min_size=1, max_size=30),
    st.lists(st.integers(-9, 9).map(float), min_size=1, max_size=30),
    st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
                     max_size=4), min_size=1, max_size=30),
    st.lists(st.binary(max_size=3).map(lambda b: b.replace(b"\0", b"x")), min_size=1, max_size=30),
)


@given(labels)
@settings(max_examples=150, deadline=None)
def test_labels_are_coded(y):
    forms = [y, np.array(y), np.array(y, dtype=object), tuple(y)]
    for form in forms:
        if len(set(y)) < 2:
            with pytest.raises(ValueError, match="y has 1 distinct label"):
                encode_labels(form, len(y))
            continue
        classes, codes = encode_labels(form, len(y))
        assert codes.dtype == np.int32
        assert classes.tolist() == sorted(set(y))
        assert classes[codes].tolist() == list(y)


@pytest.mark.parametrize("make", [
    lambda n: np.arange(n) % 7 - 3,
    lambda n: np.array([f"label {i % 11}" for i in range(n)]),
    lambda n: (np.arange(n) > n - 3).astype(np.uint8),
    lambda n: (np.arange(n) % 5).astype(">f4"),
    lambda n: np.arange(n) % 3 == 0,
])
def test_labels_in_pieces(make):
    y = make(150_000)  # several pieces, some with new labels
    classes, codes = encode_labels(y, len(y))
    expected, expected_codes = np.unique(y, return_inverse=True)
    assert_array_equal(classes, expected)
    assert_array_equal(codes, expected_codes)
    assert classes.dtype.isnative


def test_labels_need_little_memory():
    y = np.arange(500_000) % 10
    tracemalloc.start()
    encode_labels(y, len(y))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * len(y) + 1_000_000


def test_labels_of_pandas():
    pd = pytest.importorskip("pandas")
    for y in (pd.Series(["b", "a", "b"]), pd.Series(["b", "a", "b"], dtype="category"),
              pd.Categorical(["b", "a", "b"]), pd.Index(["b", "a", "b"])):
        classes, codes = encode_labels(y, 3)
        assert classes.tolist() == ["a", "b"]
        assert classes.dtype.kind == "U"
        assert codes.tolist() == [1, 0, 1]
    classes, _ = encode_labels(pd.Series([1, 2, 1], dtype="Int64"), 3)
    assert classes.tolist() == [1, 2]
    for y in (pd.Series(["a", None, "b"]), pd.Series([1, None, 2], dtype="Int64"),
              pd.Series(["a", None, "b"], dtype="category")):
        with pytest.raises(ValueError, match=r"Input y contains NaN.*: first .*at row 1;"):
            encode_labels(y, 3)


def test_float_labels_keep_their_kind():
    assert encode_labels(np.array([1, 2], np.float32), 2)[0].dtype == np.float32
    assert encode_labels(np.array([1, 2], np.float16), 2)[0].dtype == np.float32
    assert encode_labels(np.array([1, 2], np.longdouble), 2)[0].dtype == np.float64
    assert encode_labels(np.array([1.0, 2], object), 2)[0].dtype == np.float64
    assert encode_labels([True, 2], 2)[0].tolist() == [1, 2]


def test_column_vector_warns():
    with pytest.warns(_result.DataConversionWarning, match="A column-vector y was passed when a "
                                                           "1d array was expected"):
        _, codes = encode_labels(np.array([[1], [2], [1]]), 3)
    assert codes.tolist() == [0, 1, 0]


@pytest.mark.parametrize(("y", "text"), [
    (None, "Perceptron requires y to be passed, but the target y is None"),
    (sp.csr_array(np.eye(2)), "y is a sparse matrix"),
    ("ab", "y should be a 1d array of labels, one per row of X; got an object of type str"),
    (3, "got an object of type int"),
    ({1, 2}, "got an object of type set"),
    (np.array(1), "y should be a 1d array, got an array of shape () instead"),
    (np.ones((2, 3)), "y should be a 1d array, got an array of shape (2, 3) instead"),
    ([[1], [1, 2]], "y should be a 1d array of labels"),
    ([1, 2, 1], "Found input variables with inconsistent numbers of samples: [2, 3]. X has 2 "
                "rows, y has 3 labels"),
    ([1.0, np.nan], "Input y contains NaN: first at row 1"),
    ([1.0, np.inf], "Input y contains infinity: first at row 1"),
    ([1.0, 0.5], "Unknown label type: continuous. y holds 0.5 at row 1"),
    (np.array([1.0, 0.5], object), "Unknown label type: continuous"),
    (["a", None], "missing value: first None at row 1"),
    (np.array(["a", np.nan], object), "missing value: first nan at row 1"),
    ([1, "a"], "Unknown label type: y holds objects of type int and str"),
    ([(1, 2), (3, 4)], "got an array of shape (2, 2)"),
    (np.array([{}, 1], object), "objects of type dict and int"),
    (np.array([1j, 2]), "Complex data not supported: y"),
    (np.zeros(2, "M8[s]"), "Unknown label type: y has dtype datetime64[s]"),
    (["a\0", "a"], "NUL"),
    (np.array(["a\0", "b"], object), "NUL"),
    (np.ma.array([1, 2], mask=[0, 1]), "masked"),
    (["spam", "spam"], "y has 1 distinct label ('spam'), that is 1 class; Perceptron needs at "
                       "least 2 classes"),
    ([7, 7], "y has 1 distinct label (7)"),
])
def test_label_errors(y, text):
    with raises(ValueError, text):
        encode_labels(y, 2, "Perceptron")


def test_missing_label_in_a_later_piece():
    y = np.zeros(100_000)
    y[70_001] = np.nan
    with raises(ValueError, "first at row 70001"):
        encode_labels(y, len(y))


# --------------------------------------------------------------------------------- weights


CLASSES = np.array(["eggs", "spam"])
CODES = np.array([0, 0, 0, 1], np.int32)


def weigh(class_weight=None, sample_weight=None, C=2.0, classes=CLASSES):
    return row_weights(C, class_weight, sample_weight, classes, CODES, 4)


def test_row_weights():
    assert weigh() is None
    assert weigh(sample_weight=np.ones(4)) is None
    assert weigh(class_weight={}) is None
    assert_allclose(weigh("balanced"), 2 * np.array([4 / 6, 4 / 6, 4 / 6, 2]))
    assert_allclose(weigh({"spam": 3}), [2, 2, 2, 6])
    assert_allclose(weigh({3: 3, 7.0: 0.5}, classes=np.array([3, 7])), [6, 6, 6, 1])
    assert_allclose(weigh(None, [0, 1, 2, 3]), [0, 2, 4, 6])
    assert_allclose(weigh({"spam": 3}, [0, 1, 2, 3]), [0, 2, 4, 18])
    assert_allclose(weigh(None, 0.5), [1, 1, 1, 1])
    assert weigh(None, np.float32(0.5)).dtype == np.float64
    given_weights = np.arange(4.0)
    weigh("balanced", given_weights)
    assert_array_equal(given_weights, np.arange(4.0))


def test_balanced_counts_sample_weights_like_repeated_rows():
    class_weight = pytest.importorskip("sklearn.utils.class_weight")
    repeated = np.repeat(CODES, [3, 0, 2, 4])
    expected = class_weight.compute_class_weight("balanced", classes=np.arange(2), y=repeated)
    assert_allclose(weigh("balanced", [3, 0, 2, 4], C=1.0),
                    expected[CODES] * np.array([3, 0, 2, 4]))


@pytest.mark.parametrize(("class_weight", "sample_weight", "text"), [
    ({"ham": 1, "spam": 2}, None, "class_weight names labels that are not in y: 'ham'; y has "
                                  "'eggs', 'spam'"),
    ({"spam": -1}, None, "class_weight['spam'] must be a number that is not negative; got -1"),
    ({"spam": np.nan}, None, "class_weight['spam'] must be a number that is not negative; got nan"),
    ({"spam": np.inf}, None, "not negative and finite; got inf"),
    ({"spam": 0}, None, "class 'spam' has no row with a positive weight: class_weight is zero"),
    ("auto", None, "class_weight must be None, \"balanced\" or a dict {label: weight}; got 'auto'"),
    ([1, 2], None, "class_weight must be None"),
    (None, [1, 1, 1], "sample_weight.shape == (3,), expected (4,)"),
    (None, np.ones((4, 1)), "sample_weight.shape == (4, 1), expected (4,)"),
    (None, [1, -1, 1, -2], "sample_weight must be finite and not negative; got -1.0 at row 1"),
    (None, [1, 1, np.nan, 1], "got nan at row 2"),
    (None, [1, 1, 1, np.inf], "got inf at row 3"),
    (None, -1, "got -1.0 at row 0"),
    (None, np.zeros(4), "sample_weight is zero in every row"),
    (None, 0, "sample_weight is zero in every row"),
    (None, [1, 1, 1, 0], "class 'spam' has no row with a positive weight: sample_weight is zero"),
    ("balanced", [1, 1, 1, 0], "class 'spam' has no row with a positive weight"),
    ({"spam": 1e200}, [1e200] * 4, "too large for float64"),
    (None, ["a"] * 4, "sample_weight must hold numbers; got 'a' at position 0"),
    (None, [1j] * 4, "Complex data not supported: sample_weight"),
])
def test_weight_errors(class_weight, sample_weight, text):
    with raises(ValueError, text):
        weigh(class_weight, sample_weight)


def test_weight_type_errors():
    with raises(TypeError, "class_weight['spam'] must be a number that is not negative; got 'x'"):
        weigh({"spam": "x"})
    with raises(TypeError, "sample_weight is a sparse matrix"):
        weigh(None, sp.csr_array(np.ones((1, 4))))


# ------------------------------------------------------------------------------- parameters


@pytest.mark.parametrize("value", [1, 0.5, np.float32(2), np.int64(3), 10**20])
def test_positive_float(value):
    got = _validate.positive_float("C", value)
    assert type(got) is float
    assert got == value


@pytest.mark.parametrize(("value", "error", "text"), [
    (-1.0, ValueError, "C must be a positive number; got -1.0"),
    (0, ValueError, "C must be a positive number; got 0"),
    (np.nan, ValueError, "C must be a positive number; got nan"),
    (np.inf, ValueError, "C must be a positive number and finite; got inf"),
    (10**400, ValueError, "and finite; got 1000"),
    (-10**400, ValueError, "C must be a positive number; got -1000"),
    (True, TypeError, "C must be a positive number; got True"),
    ("1", TypeError, "C must be a positive number; got '1'"),
    (None, TypeError, "C must be a positive number; got None"),
    (1j, TypeError, "C must be a positive number; got 1j"),
    (np.ones(2), TypeError, "C must be a positive number; got array([1., 1.])"),
])
def test_positive_float_errors(value, error, text):
    with raises(error, text):
        _validate.positive_float("C", value)


def test_other_parameters():
    assert _validate.positive_float("C", np.inf, allow_inf=True) == np.inf
    assert _validate.optional_positive_float("max_time", None) is None
    assert _validate.optional_positive_float("max_time", np.inf) == np.inf
    assert _validate.integer("max_iter", np.int32(3)) == 3
    assert _validate.integer("verbose", 0, minimum=0) == 0
    for value in (0, -3):
        with raises(ValueError, f"max_iter must be a positive integer; got {value}"):
            _validate.integer("max_iter", value)
    with raises(ValueError, "k must be an integer of at least 2; got 1"):
        _validate.integer("k", 1, minimum=2)
    for value in (True, 2.0, "3", None):
        with raises(TypeError, f"max_iter must be a positive integer; got {value!r}"):
            _validate.integer("max_iter", value)
    assert _validate.choice("loss", "hinge", ("hinge", "squared_hinge")) == "hinge"
    for value in ("Hinge", 3, None, ["hinge"]):
        with raises(ValueError, f'loss must be "hinge" or "squared_hinge"; got {value!r}'):
            _validate.choice("loss", value, ("hinge", "squared_hinge"))
    assert _validate.boolean("warm_start", np.True_) is True
    for value in (1, "yes", None):
        with raises(TypeError, f"warm_start must be True or False; got {value!r}"):
            _validate.boolean("warm_start", value)
    assert _validate.optional_callable("callback", None) is None
    assert _validate.optional_callable("callback", print) is print
    with raises(TypeError, "callback must be callable or None; got 3"):
        _validate.optional_callable("callback", 3)


def test_random_seed():
    seed = _validate.random_seed
    assert seed(None) == 0
    assert seed(np.int64(5)) == 5
    assert seed(2**64 - 1) == 2**64 - 1
    for make in (np.random.default_rng, np.random.RandomState):
        generator = make(0)
        first, second = seed(generator), seed(generator)
        assert 0 <= first < 2**64
        assert first != second
        assert first == seed(make(0))
    for value in (-1, 2**64):
        with raises(ValueError, "random_state must be None, an integer from 0 to 2**64 - 1"):
            seed(value)
    for value in (True, 1.5, "1"):
        with raises(TypeError, "random_state must be None, an integer"):
            seed(value)


def test_warnings_point_at_the_caller():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encode_labels([[1], [2]], 2)
    assert caught[0].filename == __file__


class Colour(str, Enum):  # noqa: UP042 - what it does differs from StrEnum
    RED = "red"
    DARK = "darker than that"


class Plain(StrEnum):
    RED = "red"
    DARK = "darker than that"


@pytest.mark.parametrize("kind", [Colour, Plain])
@pytest.mark.parametrize("form", [list, tuple, lambda y: np.array(y, dtype=object)])
def test_members_of_str_enumerations_are_their_values(kind, form):
    y = form([kind.RED, kind.DARK, kind.DARK, "red"])
    classes, codes = encode_labels(y, 4)
    assert classes.tolist() == ["darker than that", "red"]
    assert codes.tolist() == [1, 0, 0, 1]
    cost = row_weights(1.0, {kind.DARK: 3.0}, None, classes, codes, 4)
    assert cost.tolist() == [1, 3, 3, 1]
    model = LinearSVC().fit([[0.0], [1.0], [2.0], [0.5]], y)
    assert model.predict([[9.0]])[0] == kind.DARK.value
    assert model.score([[9.0]], form([kind.DARK])) == 1


@pytest.mark.parametrize("form", [list, lambda y: np.array(y, dtype=object)])
def test_integers_that_floats_would_merge(form):
    with pytest.raises(ValueError, match="y holds 9223372036854775809 at row 2"):
        encode_labels(form([2**63, -1, 2**63 + 1]), 3)
    with pytest.raises(ValueError, match="more than 64 bits"):
        encode_labels(form([2**70, 1, 2]), 3)
    assert len(encode_labels(form([2**63 + 1, 2**63, 2**63 + 2]), 3)[0]) == 3
    assert len(encode_labels(form([2**63, -1.0, 0]), 3)[0]) == 3
