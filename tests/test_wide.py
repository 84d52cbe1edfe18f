# SPDX-License-Identifier: BSD-3-Clause
"""Work and memory follow what files and data hold, not the number of features they claim."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from scipy import sparse

import hingex
from hingex import OASIS, SVC, SVR, NuSVC, OneClassSVM, kernels, model_io

BIG = 2**31 - 1

# Each child may have this much memory more than it has after its imports.
LIMITED = """
import resource
import numpy as np
from scipy import sparse
import scipy.sparse.linalg
import hingex, hingex.metrics, hingex.kernels
from hingex import OASIS, SVC, load
hingex.SVC(n_jobs=2).fit([[0.0], [1.0]], [0, 1]).predict([[1.0]])
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20),) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
BIG = 2**31 - 1
"""


def in_little_memory(code, *arguments):
    code = LIMITED + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr


def libsvm(kernel):
    return f"""svm_type c_svc
kernel_type {kernel}
degree 2
gamma 0.5
coef0 1
nr_class 2
total_sv 3
rho 0.25
label 1 -1
nr_sv 1 2
SV
1 1:1 3:2 {BIG}:0.5
-0.5 2:1
-0.5 1:-1 {BIG}:3
"""


@pytest.mark.parametrize("kernel", ["linear", "polynomial", "rbf", "sigmoid"])
def test_libsvm_model_with_a_huge_index(tmp_path, kernel):
    """A file of 115 bytes asked for 8.6 GB when it predicted."""
    path, small = tmp_path / "model", tmp_path / "small"
    path.write_text(libsvm(kernel))
    small.write_text(libsvm(kernel).replace(str(BIG), "4"))
    X = np.array([[1.0, 0.0, 2.0, 0.5], [0.0, 1.5, 0.0, -1.0], [0.0, 0.0, 0.0, 0.0]])
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "scores.npy", hingex.load(small).decision_function(X))
    in_little_memory("""
        import sys
        from pathlib import Path
        folder = Path(sys.argv[1])
        model, X = load(folder / "model"), np.load(folder / "X.npy")
        rows = sparse.csr_array(X)
        rows.indices[rows.indices == 3] = BIG - 1
        rows = sparse.csr_array((rows.data, rows.indices, rows.indptr), (3, BIG))
        for n_jobs in (1, 2):
            model.set_params(n_jobs=n_jobs)
            scores = model.decision_function(rows)
            assert np.allclose(scores, np.load(folder / "scores.npy"), rtol=1e-13, atol=0)
            assert (model.predict(rows) == np.where(scores > 0, 1, -1)).all()
        model.save(folder / "again")
        assert (load(folder / "again").decision_function(rows) == scores).all()
    """, tmp_path)


@pytest.mark.parametrize("kind", ["c_svc", "epsilon_svr"])
def test_weights_of_a_libsvm_model_with_a_huge_index(tmp_path, kind):
    """`hasattr(model, "coef_")` asked for 16 GB."""
    text = libsvm("linear")
    if kind != "c_svc":
        text = text.replace("c_svc", kind).replace("label 1 -1\nnr_sv 1 2\n", "")
    (tmp_path / "model").write_text(text)
    in_little_memory("""
        import sys
        from pathlib import Path
        model = load(Path(sys.argv[1]) / "model")
        assert hasattr(model, "coef_")
        W = model.coef_
        assert W.shape == (1, BIG) and W.format == "csr"
        # 1 * (1, 0, 2, .., 0.5) - 0.5 * (0, 1) - 0.5 * (-1, .., 3), with the sign of LIBSVM's label
        assert W.indices.tolist() == [0, 1, 2, BIG - 1]
        assert np.allclose(W.data, [1.5, -0.5, 2, -1], rtol=1e-15)
        row = sparse.csr_array(([3.0, 4.0], ([0, 0], [0, BIG - 1])), shape=(1, BIG))
        score = (model.predict if hasattr(model, "epsilon") else model.decision_function)(row)
        assert np.allclose(score, 3 * 1.5 - 4 + model.intercept_[0])
        try:
            W.data[0] = 0
            raise AssertionError("written to")
        except ValueError:
            pass
    """, tmp_path)


@pytest.mark.parametrize("params", [{}, {"multi_class": "ovr"},
                                    {"approximation": "nystroem", "n_components": 9}])
@pytest.mark.parametrize("K", [2, 3, 5])
def test_weights_of_many_features(K, params):
    """In CSR, and those of the same rows without the features that are in none of them."""
    rng = np.random.default_rng(K)
    X, y = rng.normal(size=(60, 8)) * (rng.random((60, 8)) < 0.5), np.arange(60) % K
    d = 2**22
    columns = np.sort(rng.choice(d, 8, replace=False))
    few = SVC(kernel="linear", C=0.5, **params).fit(sparse.csr_array(X), y)
    many = SVC(kernel="linear", C=0.5, **params).fit(widened(X, d, columns), y)
    assert isinstance(few.coef_, np.ndarray)
    W = many.coef_
    assert sparse.issparse(W)
    assert W.shape == (len(few.coef_), d)
    np.testing.assert_allclose(W[:, columns].toarray(), few.coef_, rtol=1e-6, atol=1e-8)
    assert set(W.indices) <= set(columns)
    many.set_params(decision_function_shape="ovo")
    scores = many.decision_function(widened(X, d, columns)).reshape(60, -1)
    np.testing.assert_allclose((widened(X, d, columns) @ W.T).toarray() + many.intercept_, scores,
                               rtol=1e-9, atol=1e-9)  # fmt: skip


def widened(X, d, columns):
    """X in CSR with d columns, its own at these numbers."""
    X = sparse.csr_array(X)
    return sparse.csr_array((X.data, np.asarray(columns)[X.indices], X.indptr), (X.shape[0], d))


def data(n=90, d=12, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.3)
    X[:, 0] = rng.normal(size=n)
    return X, X[:, 0] + X[:, 1] > 0


@pytest.mark.parametrize("kernel", kernels.NAMES)
@pytest.mark.parametrize("Model", [SVC, NuSVC, SVR, OneClassSVM])
def test_kernel_machines_on_many_features(Model, kernel):
    """What rows lack changes nothing: the same model as without these features."""
    X, y = data()
    X = abs(X) if kernel == "chi2" else X
    rng = np.random.default_rng(1)
    columns = np.sort(rng.choice(2**24, 12, replace=False))
    few, many = sparse.csr_array(X), widened(X, 2**24, columns)
    params = {"kernel": kernel, "gamma": 0.3, "coef0": 0.5, "degree": 2}
    a = Model(**params).fit(few[:60], y[:60].astype(float))
    b = Model(**params).fit(many[:60], y[:60].astype(float))
    np.testing.assert_allclose(a.decision_function(few) if hasattr(a, "decision_function") else
                               a.predict(few),
                               b.decision_function(many) if hasattr(b, "decision_function") else
                               b.predict(many), rtol=1e-6, atol=1e-6)  # fmt: skip
    # Values of features that no support vector has count in norms.
    stray = many[60:].copy()
    stray.indices[stray.indices == columns[5]] = columns[5] + 1
    stray.sort_indices()
    dense = np.insert(X[60:], 6, 0.0, axis=1)
    dense[:, 6], dense[:, 5] = dense[:, 5], 0.0
    by_hand = kernels.gram(dense, np.insert(X[:60], 6, 0.0, axis=1)[b.support_], **params)
    scores = by_hand @ b.dual_coef_[0] + b.intercept_
    found = b.predict(stray) if Model is SVR else b.decision_function(stray)
    np.testing.assert_allclose(found, scores, rtol=1e-10, atol=1e-10)
    for rows in (stray[:1], stray[:20]):  # few rows go another way
        again = b.predict(rows) if Model is SVR else b.decision_function(rows)
        np.testing.assert_allclose(again, found[: rows.shape[0]], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kernel", kernels.NAMES)
def test_gram_on_many_features(kernel):
    X, _ = data(30)
    Z, _ = data(20, seed=1)
    X, Z = (abs(A) if kernel == "chi2" else A for A in (X, Z))
    columns = np.arange(12) * 10**6 + 7
    params = {"kernel": kernel, "gamma": 0.3, "coef0": 0.5}
    wide = widened(X, BIG, columns), widened(Z, BIG, columns)
    np.testing.assert_allclose(kernels.gram(*wide, **params), kernels.gram(X, Z, **params),
                               rtol=1e-12)  # fmt: skip
    np.testing.assert_allclose(kernels.gram(wide[0], **params), kernels.gram(X, **params),
                               rtol=1e-12)  # fmt: skip


def test_low_rank_on_many_features():
    X, y = data()
    columns = np.arange(12) * 10**6 + 7
    params = {"approximation": "nystroem", "n_components": 20, "gamma": 0.3}
    a = SVC(**params).fit(sparse.csr_array(X), y)
    wide = widened(X, BIG, columns)
    b = SVC(**params).fit(wide, y)
    np.testing.assert_allclose(a.decision_function(X), b.decision_function(wide), rtol=1e-6,
                               atol=1e-8)  # fmt: skip


def test_unsorted_rows_with_many_features():
    """To look for duplicates took 8 bytes for each feature."""
    in_little_memory("""
        X = sparse.csr_array((np.array([1.0, 2.0, 4.0]), np.array([BIG - 1, 3, 3]),
                              np.array([0, 2, 3])), (2, BIG))
        values, indices = np.array([1.0, 3.0, 2.0, 4.0]), np.array([BIG - 1, 3, BIG - 1, 3])
        twice = sparse.csr_array((values, indices, np.array([0, 3, 4])), (2, BIG))
        K = hingex.kernels.gram(X, kernel="linear")
        assert (K == [[5, 8], [8, 16]]).all()
        assert (hingex.kernels.gram(twice, kernel="linear") == [[18, 12], [12, 16]]).all()
        SVC(gamma=0.1).fit(X, [0, 1]).predict(twice)
    """)


def test_oasis_with_a_huge_number_of_features(tmp_path):
    """A file that says 2^31 features made predictions ask for as many entries."""
    X, y = data(40)
    y = y.astype(int)
    few = sparse.csr_array(X)
    model = OASIS(max_iter=2, max_features=5, random_state=0).fit(few, y)
    columns = np.arange(12) * 10**8 + 7
    np.savez(tmp_path / "a.npz", X=X, y=y, columns=columns, S=model.similarity(few),
             T=model.transform(few).toarray(), score=model.score(few, y))  # fmt: skip
    model.features_, model.n_features_in_ = columns[model.features_], 2**31
    model_io.save(model, tmp_path / "model")
    in_little_memory("""
        import sys
        from pathlib import Path
        a = np.load(Path(sys.argv[1]) / "a.npz")
        model = load(Path(sys.argv[1]) / "model")
        X = sparse.csr_array(a["X"])
        wide = sparse.csr_array((X.data, a["columns"][X.indices], X.indptr), (len(a["X"]), 2**31))
        T = model.transform(wide)
        assert T.shape == wide.shape
        dense = np.zeros(X.shape)
        T = T.tocoo()
        np.add.at(dense, (T.row, np.searchsorted(a["columns"], T.col)), T.data)
        assert np.allclose(dense, a["T"], rtol=1e-12)
        assert np.allclose(model.similarity(wide), a["S"], rtol=1e-12)
        assert np.allclose(model.similarity(wide[:3], wide[5:]), a["S"][:3, 5:], rtol=1e-12)
        assert abs(model.score(wide, a["y"]) - a["score"]) < 1e-12
    """, tmp_path)


def test_more_classes_than_intercepts(tmp_path):
    """Tables of pairs of classes are made once the file has shown that it has as many."""
    rng = np.random.default_rng(0)
    model = SVC(gamma=0.5).fit(rng.normal(size=(30, 2)), np.arange(30) % 3)
    model.save(tmp_path / "good")
    model.classes_ = np.arange(100_000)
    with pytest.raises(ValueError, match="intercept_"):
        model.save(tmp_path / "bad")
    with pytest.raises(ValueError, match="intercept_"):
        model.predict([[0.0, 1.0]])
