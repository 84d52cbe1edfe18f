# SPDX-License-Identifier: BSD-3-Clause
"""hingex.kernels: values against their formulas, for every layout of the data."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csc_array, csr_array, csr_matrix

from hingex import _validate, build_info, kernels
from hingex._core import kernels as compiled

CASES = {
    "linear": {},
    "poly": {"degree": 3, "gamma": 0.3, "coef0": 0.7},
    "rbf": {"gamma": 0.2},
    "sigmoid": {"gamma": 0.05, "coef0": -0.3},
    "laplacian": {"gamma": 0.1},
    "chi2": {"gamma": 0.4},
}
SIZES = [  # n, m, d, share of nonzeros: packed as dense and sparse, tiles with all columns and not
    (70, 67, 5, 1.0), (33, 130, 40, 0.5), (65, 64, 300, 0.1), (131, 3, 1500, 0.02),
    (5, 66, 1100, 0.6), (1, 1, 1, 1.0),
]


def formula(name, X, Z, *, gamma=1.0, degree=3, coef0=0.0):
    """The kernel from differences and products in float64, feature by feature."""
    X, Z = (np.asarray(A.toarray() if hasattr(A, "toarray") else A, np.float64) for A in (X, Z))
    apart = X[:, None, :] - Z[None, :, :]
    if name == "linear":
        return X @ Z.T
    if name == "poly":
        return (gamma * (X @ Z.T) + coef0) ** degree
    if name == "rbf":
        return np.exp(-gamma * (apart**2).sum(axis=2))
    if name == "sigmoid":
        return np.tanh(gamma * (X @ Z.T) + coef0)
    if name == "laplacian":
        return np.exp(-gamma * np.abs(apart).sum(axis=2))
    both = X[:, None, :] + Z[None, :, :]
    terms = np.divide(apart**2, both, out=np.zeros_like(both), where=both > 0)
    return np.exp(-gamma * terms.sum(axis=2))


def table(n, d, share, seed, dtype=np.float64):
    """Numbers of 0 to 2 of which the share is not 0; row 0 is empty if there are zeros."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(0.1, 2, (n, d)) * (rng.random((n, d)) < share) * (2 / np.sqrt(d * share))
    if share < 1 and n > 1:
        X[0] = 0
    return X.astype(dtype)


def layouts(X):
    """X as the arrays that a user may have it in."""
    S = csr_array(X)
    wide = csr_array(S)
    wide.indices, wide.indptr = S.indices.astype(np.int64), S.indptr.astype(np.int64)
    big = np.zeros((2 * X.shape[0], 3 * X.shape[1]), dtype=X.dtype)
    big[::2, ::3] = X
    backwards = X[::-1, ::-1].copy()[::-1, ::-1]
    return {"C": X, "F": np.asfortranarray(X), "strided": big[::2, ::3], "reversed": backwards,
            "csr32": S, "csr64": wide, "csr_matrix": csr_matrix(S), "csc": csc_array(S),
            "list": X.tolist()}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", CASES)
def test_values_are_the_formula(name, size, dtype):
    n, m, d, share = size
    X, Z = table(n, d, share, 0, dtype), table(m, d, share, 1, dtype)
    expected = formula(name, X, Z, **CASES[name])
    for kind, given in layouts(X).items():
        for other, theirs in (("C", Z), ("csr", csr_array(Z))):
            got = kernels.gram(given, theirs, kernel=name, **CASES[name])
            assert got.dtype == np.float64
            assert got.shape == (n, m)
            assert_allclose(got, expected, rtol=1e-12, atol=1e-14, err_msg=f"{kind}, {other}")


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_sklearn(name):
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    theirs = getattr(pairwise, {"poly": "polynomial", "chi2": "chi2"}.get(name, name) + "_kernel")
    X, Z = table(50, 30, 0.5, 0), table(40, 30, 0.5, 1)
    own = getattr(kernels, name)
    assert_allclose(own(X, Z, **CASES[name]), theirs(X, Z, **CASES[name]), rtol=1e-11)
    assert_allclose(own(X, **CASES[name]), theirs(X, **CASES[name]), rtol=1e-11)
    S = csr_array(X)
    assert_allclose(own(S, **CASES[name]), theirs(X, **CASES[name]), rtol=1e-11)


@pytest.mark.parametrize("name", ["linear", "poly", "rbf", "sigmoid"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["dense", "sparse", "mixed"])
def test_products_are_symmetric_bit_for_bit(name, size, kind):
    n, m, d, share = size
    X, Z = table(n, d, share, 0), table(m, d, share, 1)
    A = X if kind == "dense" else csr_array(X)
    B = csr_array(Z) if kind == "sparse" else Z
    there, back = (kernels.gram(*pair, kernel=name, **CASES[name]) for pair in ((A, B), (B, A)))
    assert there.tobytes() == np.ascontiguousarray(back.T).tobytes()
    own = kernels.gram(A, kernel=name, **CASES[name])
    assert_array_equal(own, own.T)


@pytest.mark.parametrize("name", ["laplacian", "chi2"])
@pytest.mark.parametrize("size", SIZES)
def test_distances_are_symmetric(name, size):
    # Bit for bit for dense rows; sparse ones sum over the features of one of the two, with an
    # error of the other's own sum, which the exponent has.
    n, m, d, share = size
    X, Z = table(n, d, share, 0), table(m, d, share, 1)
    there = kernels.gram(X, Z, kernel=name, **CASES[name])
    assert_array_equal(there, kernels.gram(Z, X, kernel=name, **CASES[name]).T)
    A, B = csr_array(X), csr_array(Z)
    assert_allclose(kernels.gram(A, B, kernel=name, **CASES[name]),
                    kernels.gram(B, A, kernel=name, **CASES[name]).T, rtol=3e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["rbf", "laplacian", "chi2"])
@pytest.mark.parametrize("size", SIZES)
def test_a_row_with_itself_is_1(name, size, dtype):
    n, _, d, share = size
    X = table(n, d, share, 0, dtype)
    for given in layouts(X).values():
        for gamma in (1e-3, 1.0, 1e3, 1e9):
            own = np.diag(kernels.gram(given, kernel=name, gamma=gamma))
            if build_info()["safe_build"]:  # where products and sums need not be fused alike
                assert gamma > 1 or np.abs(own - 1).max() < 1e-12
            else:
                assert (own == 1).all()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", SIZES)
def test_threads_give_the_same_bits(name, size):
    n, m, d, share = size
    X, Z = table(3 * n, d, share, 0), table(3 * m, d, share, 1)
    for A, B in ((X, Z), (csr_array(X), csr_array(Z)), (X, csr_array(Z)), (csr_array(X), Z)):
        one, *others = (kernels.gram(A, B, kernel=name, n_jobs=jobs, **CASES[name])
                        for jobs in (1, 2, 3, None))
        for other in others:
            assert other.tobytes() == one.tobytes()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_a_value_does_not_depend_on_its_neighbours(name, size, kind):
    n, m, d, share = size
    X, Z = table(n, d, share, 0), table(m, d, share, 1)
    if kind == "sparse":
        X, Z = csr_array(X), csr_array(Z)
    whole = kernels.gram(X, Z, kernel=name, **CASES[name])
    rng = np.random.default_rng(2)
    for _ in range(5):
        i, j = rng.integers(0, n, rng.integers(1, 10)), rng.integers(0, m, rng.integers(1, 10))
        part = kernels.gram(X[i], Z[j], kernel=name, **CASES[name])
        assert_array_equal(part, whole[np.ix_(i, j)])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_points_of_solvers(name, size, exact, kind):
    # In single precision for rows that are right for it: a few units of 2^-24 of each sum.
    n, _, d, share = size
    X = table(n, d, share, 0)
    rows = _validate.as_rows(csr_array(X) if kind == "sparse" else X)
    given = kernels.read_kernel(name, *(CASES[name].get(p, d) for p, d in
                                        (("degree", 3), ("gamma", 1.0), ("coef0", 0.0))), rows)
    points = compiled("kernel_rows").Points(rows, *given, exact)
    assert points.exact == exact
    out = np.empty((n, n))
    points.values(np.arange(n), points, np.arange(n), out)
    assert_allclose(out, formula(name, X, X, **CASES[name]), rtol=1e-12 if exact else 3e-5,
                    atol=1e-14 if exact else 3e-6)
    if exact or (name, d) == ("chi2", 1100):  # whose exponents go beyond 16
        return
    assert not kernels.training_points(rows, given).exact
    wide = _validate.as_rows(csr_array(1e3 * X) if kind == "sparse" else 1e3 * X)
    if name != "linear" and n > 1:
        assert kernels.training_points(wide, given).exact


def test_large_offsets():
    # Differences of 1 at 1e6: their squares are lost in single precision, and 4 digits in double.
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 6))
    far = X + 1e6
    expected = formula("rbf", far, far, gamma=0.2)
    assert_allclose(expected, formula("rbf", X, X, gamma=0.2), rtol=1e-7)
    assert_allclose(kernels.rbf(far, gamma=0.2), expected, atol=2e-3)
    assert_allclose(kernels.laplacian(far, gamma=0.2), formula("laplacian", far, far, gamma=0.2),
                    rtol=1e-12)


def test_far_rows_and_large_parameters():
    X = np.array([[0.0], [1.0], [1e150], [-1e150]])
    assert_array_equal(kernels.rbf(X, gamma=1.0)[:, 2:], [[0, 0], [0, 0], [1, 0], [0, 1]])
    assert_array_equal(kernels.rbf(X[:2], gamma=1e6), np.eye(2))
    assert_array_equal(kernels.rbf(X[:2], gamma=0.0), np.ones((2, 2)))
    assert_array_equal(kernels.laplacian(X, gamma=1e300), np.eye(4))
    assert_array_equal(kernels.sigmoid(X[:3], gamma=1e3)[1:, 1:], np.ones((2, 2)))
    assert_array_equal(kernels.sigmoid(X[1:2], -X[1:2], gamma=1e3), [[-1.0]])
    assert_array_equal(kernels.poly(X[:2], degree=0, gamma=1.0), np.ones((2, 2)))
    assert_array_equal(kernels.poly(X[:2], [[2.0]], degree=10, gamma=1.0), [[0], [1024]])
    assert_array_equal(kernels.poly(X[1:2], [[-2.0]], degree=3, gamma=1.0), [[-8]])


def test_small_arguments_of_tanh():
    x = np.concatenate([np.geomspace(1e-12, 20, 300), -np.geomspace(1e-12, 20, 300), [0.0]])
    got = kernels.sigmoid(x[:, None], [[1.0]], gamma=1.0)[:, 0]
    assert_allclose(got, np.tanh(x), rtol=3e-14)


def test_exp_over_its_whole_range():
    x = np.concatenate([[0.0], np.geomspace(1e-18, 745, 2000)])
    assert_allclose(kernels.laplacian(x[:, None], [[0.0]], gamma=1.0)[:, 0], np.exp(-x),
                    rtol=4e-16, atol=5e-324)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gamma_by_name(dtype):
    X = table(30, 7, 0.5, 0, dtype)
    scale, auto = 1 / (7 * X.astype(np.float64).var()), 1 / 7
    for given in (X, np.asfortranarray(X), csr_array(X)):
        for name in ("rbf", "poly", "sigmoid", "laplacian", "chi2"):
            assert_allclose(kernels.gram(given, kernel=name), formula(name, X, X, gamma=scale),
                            rtol=1e-12)
            assert_allclose(kernels.gram(given, kernel=name, gamma="auto"),
                            formula(name, X, X, gamma=auto), rtol=1e-12)
    assert_array_equal(kernels.rbf(np.zeros((2, 2))), np.ones((2, 2)))
    assert_allclose(kernels.rbf(X, 2 * X), formula("rbf", X, 2 * X, gamma=scale), rtol=1e-12)
    assert_array_equal(kernels.chi2(X), kernels.chi2(X, gamma=1.0))


def test_csr_with_unsorted_and_repeated_indices():
    S = csr_matrix((np.array([2.0, 1, 3, 4, 5]), np.array([3, 0, 1, 1, 0]), np.array([0, 2, 5])),
                   shape=(2, 4))
    dense = np.array([[1.0, 0, 0, 2], [5, 7, 0, 0]])
    for name, options in CASES.items():
        assert_allclose(kernels.gram(S, kernel=name, **options),
                        formula(name, dense, dense, **options), rtol=1e-12)
    assert_array_equal(S.indices, [3, 0, 1, 1, 0])


def test_empty_tables():
    none, zeros = csr_array((3, 4)), np.zeros((3, 4))
    for name, options in CASES.items():
        assert_allclose(kernels.gram(none, kernel=name, **options),
                        formula(name, zeros, zeros, **options))
    with pytest.raises(ValueError, match="0 sample"):
        kernels.rbf(np.empty((0, 3)))
    with pytest.raises(ValueError, match="0 feature"):
        kernels.rbf(np.empty((3, 0)))


@pytest.mark.parametrize(("error", "text", "options"), [
    (ValueError, 'kernel must be "linear" or "poly" or "rbf".*got .gauss',
     {"kernel": "gauss"}),
    (ValueError, "degree", {"kernel": "poly", "degree": -1}),
    (TypeError, "degree", {"kernel": "poly", "degree": 2.5}),
    (ValueError, "gamma must be.*got -1", {"gamma": -1.0}),
    (ValueError, "gamma", {"gamma": np.nan}),
    (ValueError, "gamma", {"gamma": np.inf}),
    (ValueError, 'gamma must be "scale" or "auto"; got .large', {"gamma": "large"}),
    (TypeError, "gamma", {"gamma": None}),
    (TypeError, "coef0 must be a number; got 'x'", {"kernel": "poly", "coef0": "x"}),
    (TypeError, "coef0 must be a number; got True", {"kernel": "poly", "coef0": True}),
    (ValueError, "coef0 must be finite; got nan", {"kernel": "sigmoid", "coef0": np.nan}),
    (ValueError, "n_jobs", {"n_jobs": 0}),
])
def test_parameters(error, text, options):
    with pytest.raises(error, match=text):
        kernels.gram([[1.0]], **options)


def test_unused_parameters_are_not_looked_at():
    assert_array_equal(kernels.gram([[2.0]], kernel="linear", gamma="x", degree=-1, coef0=None),
                       [[4.0]])


def test_data_that_do_not_fit():
    with pytest.raises(ValueError, match="X has 2 features, Z has 1: they must be as many"):
        kernels.rbf([[1.0, 2.0]], [[1.0]])
    for bad in ([[np.nan]], [[np.inf]], csr_array(np.array([[np.nan]]))):
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            kernels.rbf(bad)
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            kernels.rbf([[1.0]], bad)
    for bad in (np.array([[1.0, -0.5]]), csr_array(np.array([[1.0, -0.5]]))):
        with pytest.raises(ValueError, match=r"not negative, such as counts; X has -0\.5"):
            kernels.chi2(bad)
        with pytest.raises(ValueError, match=r"has -0\.5"):
            kernels.chi2([[1.0, 1.0]], bad)
    with pytest.raises(ValueError, match="2D"):
        kernels.rbf([1.0, 2.0])


def test_kernels_of_users_are_checked():
    A, B = np.ones((2, 3)), np.ones((4, 3))
    assert kernels.called(lambda a, b: a @ b.T, A, B).dtype == np.float64
    assert kernels.called(lambda a, b: (a @ b.T).astype(np.float32), A, B).dtype == np.float32
    assert kernels.called(lambda a, b: (a @ b.T).astype(int), A, B).dtype == np.float64
    assert_array_equal(kernels.called(lambda a, b: csr_array(a @ b.T), A, B), np.full((2, 4), 3.0))
    with pytest.raises(ValueError, match=r"shape \(4, 2\) for 2 and 4 rows; expected \(2, 4\)"):
        kernels.called(lambda a, b: b @ a.T, A, B)
    with pytest.raises(ValueError, match="the kernel returned NaN or infinity"):
        kernels.called(lambda a, b: np.full((2, 4), np.nan), A, B)
    with pytest.raises(ValueError, match="the kernel returned complex128"):
        kernels.called(lambda a, b: 1j * a @ b.T, A, B)


def test_a_large_degree_takes_no_time():
    """Powers by squares: 31 of them, not 2^31 products."""
    X = np.array([[1.0], [-1.0]])
    got = kernels.poly(X, X, degree=2**31 - 1, gamma=1.0, coef0=0.0)
    assert_allclose(got, [[1, -1], [-1, 1]])
    Z = np.array([[1.0 + 2.0**-20]])
    expected = np.exp(2e6 * np.log1p(2.0**-20))
    assert_allclose(kernels.poly(Z, Z, degree=10**6, gamma=1.0), expected, rtol=1e-9)
