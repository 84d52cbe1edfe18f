# SPDX-License-Identifier: BSD-3-Clause
"""Certificates of kernel machines hold for the scores that predictions give, whatever the data.

Objectives are recomputed: the primal one from `decision_function` (or `predict`), both with kernel
values in extended precision, from rows less the means of columns where the kernel allows it.
"""

import os
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import hingex
from hingex import SVC, SVR, NuSVC, NuSVR, OneClassSVM, kernels

FITS = int(os.environ.get("HINGEX_FITS", "40"))  # random ones of each part of a test
TOL = 1e-3
AGREE = 0.1 * TOL  # between the stated relative gap and that of recomputed objectives
NOTHING = 2e-11  # objectives without p below this, relative to what adds up to them, are 0
EXTENDED = np.finfo(np.longdouble).eps < 1e-18
MACHINES = (SVC, NuSVC, SVR, NuSVR, OneClassSVM)
KERNELS = ("linear", "rbf", "poly", "sigmoid", "laplacian", "chi2")

pytestmark = pytest.mark.skipif(not EXTENDED, reason="long double has no more digits than double")


def long_kernel(name, X, model):
    """Kernel of all rows with each other, in extended precision."""
    Z, gamma = X.astype(np.longdouble), np.longdouble(model.gamma_)
    if name in ("linear", "rbf", "laplacian") and not isinstance(model, OneClassSVM):
        Z = Z - X.mean(axis=0)
    if name in ("rbf", "laplacian", "chi2"):
        apart = Z[:, None] - Z[None]
        if name == "rbf":
            return np.exp(-gamma * (apart**2).sum(axis=2))
        if name == "laplacian":
            return np.exp(-gamma * np.abs(apart).sum(axis=2))
        total = Z[:, None] + Z[None]
        return np.exp(-gamma * (apart**2 / np.where(total > 0, total, 1)).sum(axis=2))
    s = Z @ Z.T
    if name == "poly":
        return (gamma * s + model.coef0) ** model.degree
    return np.tanh(gamma * s + model.coef0) if name == "sigmoid" else s


def square_of_weights(model, X, b, K):
    """b'Kb; of the linear kernel by its weights, as sums of large duals cancel."""
    if model.kernel != "linear":
        return b @ (K @ b)
    Z = X.astype(np.longdouble)
    weights = b @ (Z if isinstance(model, OneClassSVM) else Z - X.mean(axis=0))
    return weights @ weights


def objectives(model, X, y):
    """Primal and dual objective of a model, and what adds up to b'Kb."""
    n = len(X)
    b = np.zeros(n, dtype=np.longdouble)
    b[model.support_] = model.dual_coef_[0]
    K = long_kernel(model.kernel, X, model)
    if isinstance(model, (SVR, NuSVR)):
        f = model.predict(X)
        b = b.astype(np.longdouble)
        half = square_of_weights(model, X, b, K) / 2
        epsilon = model.epsilon if isinstance(model, SVR) else model.epsilon_
        loss = model.C * np.maximum(0, np.abs(y - f) - epsilon).sum()
        if isinstance(model, SVR):
            primal, dual = half + loss, y @ b - epsilon * np.abs(b).sum() - half
        else:
            primal, dual = half + loss + model.C * model.nu * n * epsilon, y @ b - half
    elif isinstance(model, OneClassSVM):
        f, rho = model.decision_function(X), model.offset_
        half = square_of_weights(model, X, b, K) / 2
        primal, dual = half - model.nu * n * rho + np.maximum(0, -f).sum(), -half
    else:
        sign = np.where(y == model.classes_[1], 1, -1)
        f = sign * model.decision_function(X)
        if isinstance(model, SVC):
            half = square_of_weights(model, X, b, K) / 2
            primal = half + model.C * np.maximum(0, 1 - f).sum()
            dual = np.abs(b).sum() - half
        else:
            scale = np.abs(b).sum() / (np.longdouble(model.nu) * n)  # 1 / rho, if rho > 0
            b, f = b / scale, f / scale
            half = square_of_weights(model, X, b, K) / 2
            primal = min(half - model.nu * n * r + np.maximum(0, r - f).sum() for r in [0, *f])
            dual = -half
    return float(primal), float(dual), float(np.abs(b).sum() ** 2 * np.abs(np.diagonal(K)).max())


def random_fit(seed, levels, kernels_=KERNELS, machines=MACHINES):
    """A machine on random rows with levels of columns and a scale; fitted without its warnings."""
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(6, 50)), int(rng.integers(1, 6))
    base = rng.normal(size=(n, d))
    target = base @ rng.normal(size=d) + 0.5 * rng.normal(size=n)
    kernel = kernels_[rng.integers(len(kernels_))]
    Machine = machines[rng.integers(len(machines))]
    level = 10.0 ** rng.uniform(0, np.log10(levels), d) * (rng.random(d) < 0.5)
    X = (base + level) * 10.0 ** rng.uniform(-20, 8)
    options = {}
    if kernel == "chi2":
        X = np.abs(X)
    if kernel in ("poly", "sigmoid"):
        options["coef0"] = float(rng.integers(2))
    if kernel == "poly":
        options["degree"] = int(rng.integers(2, 4))
    if kernel in ("laplacian", "chi2"):
        options["gamma"] = float(1 / np.abs(X - X.mean(axis=0)).sum(axis=1).mean())
    if Machine in (SVC, SVR, NuSVR):
        options["C"] = float(10 ** rng.uniform(-1, 2))
    if Machine in (NuSVC, NuSVR, OneClassSVM):
        options["nu"] = float(rng.choice([0.1, 0.3, 0.5]))
    y = (target > np.median(target)).astype(int) if Machine in (SVC, NuSVC) else target
    model = Machine(kernel=kernel, tol=TOL, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hingex.ConvergenceWarning)
        model.fit(X, y)
    return model, X, y


def check_claim(model, X, y):
    """The stated gap is that of the recomputed objectives; duals are below primals."""
    primal, dual, size = objectives(model, X, y)
    objective = max(abs(primal), abs(dual))
    nu = isinstance(model, (NuSVC, OneClassSVM))
    if nu and objective <= NOTHING * size:
        return  # the best weights are 0, but for rounding
    if isinstance(model, NuSVC) and model.kernel == "sigmoid":
        return  # without a positive semidefinite kernel rho may be negative: no primal objective
    gap = (primal - dual) / objective if objective else 0.0
    assert abs(gap - model.duality_gap_[0]) <= AGREE, (gap, model.duality_gap_, model)
    if model.kernel != "sigmoid":
        assert dual <= primal + AGREE * objective
    if isinstance(model, SVC) and model.kernel != "sigmoid":
        most = 2 * model.C * min(np.bincount(y))  # w = 0 and its best intercept
        assert dual <= most * (1 + AGREE)


@pytest.mark.parametrize("part", range(8))
def test_what_is_certified_is_so(part):
    tried = converged = 0
    for seed in range(FITS * part, FITS * part + FITS):
        for levels in (1e4, 1e8):
            model, X, y = random_fit(seed, levels)
            if levels == 1e4:
                tried += 1
                converged += model.converged_
            if model.converged_:
                check_claim(model, X, y)
    assert converged >= 0.99 * tried - 1


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("part", range(3))
def test_linear_and_rbf_converge_at_any_level_and_scale(kernel, part):
    for seed in range(1000 + 25 * part, 1025 + 25 * part):
        for levels in (1e4, 1e8):
            model, X, y = random_fit(seed, levels, (kernel,))
            if model.converged_:
                check_claim(model, X, y)
            else:  # losses of scores that float64 rounds would be more
                assert model.primal_objective_[0] <= 1e-11 * model.C, (seed, levels, model)


def test_objectives_of_a_sample_by_mpmath():
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(60):
        for seed, kernel in [(0, "linear"), (1, "poly"), (2, "rbf"), (3, "poly")]:
            model, X, y = random_fit(seed, 1e6, (kernel,), (SVC,))
            Z = [[mpmath.mpf(float(v)) for v in row] for row in X]
            gamma, c0 = mpmath.mpf(model.gamma_), mpmath.mpf(model.coef0)

            def value(x, z, kernel=kernel, gamma=gamma, c0=c0, model=model):
                if kernel == "rbf":
                    return mpmath.exp(-gamma * sum((a - b) ** 2 for a, b in zip(x, z, strict=True)))
                s = sum(a * b for a, b in zip(x, z, strict=True))
                return s if kernel == "linear" else (gamma * s + c0) ** model.degree

            b = [mpmath.mpf(float(v)) for v in model.dual_coef_[0]]
            rows = [Z[i] for i in model.support_]
            # Duals are floats, whose sum is not quite 0: of the linear kernel rows are centred.
            if kernel == "linear":
                means = [sum(column) / len(Z) for column in zip(*Z, strict=True)]
                rows = [[a - m for a, m in zip(row, means, strict=True)] for row in rows]
            square = sum(b[i] * b[j] * value(rows[i], rows[j])
                         for i in range(len(b)) for j in range(len(b)))
            sign = np.where(y == 1, 1, -1)
            hinge = sum(mpmath.mpf(float(max(0.0, 1 - s * f)))
                        for s, f in zip(sign, model.decision_function(X), strict=True))
            primal = square / 2 + mpmath.mpf(model.C) * hinge
            dual = sum(abs(v) for v in b) - square / 2
            gap = float((primal - dual) / max(abs(primal), abs(dual)))
            assert model.converged_
            assert abs(gap - model.duality_gap_[0]) <= AGREE


# ---- the cases that were reported ---------------------------------------------------------------


def test_a_large_column_and_poly_of_two_rows():
    X, y = np.array([[1, 99999.0], [2, 99999.0]]), np.array([0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hingex.ConvergenceWarning)
        model = SVC(kernel="poly", degree=2, gamma=1.0).fit(X, y)
    assert_allclose(model.decision_function(X), [-1, 1], rtol=1e-5)
    assert len(model.support_) == 2


@pytest.mark.parametrize("kind", ["poly", "callable", "precomputed"])
def test_a_large_column_and_poly_of_five_rows(kind):
    X = np.array([[1.1, 999.5], [0.9, 1001.4], [0.7, 1001.1], [0.4, 1000.5], [-1.1, 999.0]])
    y = np.array([0, 1, 0, 1, 0])
    K, given = (X @ X.T) ** 2, X
    if kind == "poly":
        model = SVC(kernel="poly", degree=2, gamma=1.0)
    elif kind == "callable":
        model = SVC(kernel=lambda A, B: (A @ B.T) ** 2)
    else:
        model, given = SVC(kernel="precomputed"), K
    with warnings.catch_warnings():  # a third of tol is what rounding may hide here
        warnings.simplefilter("ignore", hingex.ConvergenceWarning)
        model.fit(given, y)
    f, b = model.decision_function(given), model.dual_coef_[0]
    half = b @ K[np.ix_(model.support_, model.support_)] @ b / 2
    primal = half + np.maximum(0, 1 - np.where(y == 1, 1, -1) * f).sum()
    dual = np.abs(b).sum() - half
    assert_allclose(model.dual_objective_[0], dual, rtol=1e-3)
    assert (primal - dual) / primal <= model.duality_gap_[0] + AGREE <= TOL


@pytest.fixture
def shifted():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(200, 3))
    y = (base[:, 0] + 0.5 * rng.normal(size=200) > 0).astype(int)
    return base, base + np.array([0, 1e8, 0]), y, base[:, 0] * 2 + 1


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("sparse", [False, True])
def test_predictions_do_not_depend_on_the_level_of_a_column(shifted, kernel, sparse):
    sp = pytest.importorskip("scipy.sparse")
    base, moved, y, target = shifted
    options = {"kernel": kernel, "gamma": 0.3}
    given = sp.csr_array(moved) if sparse else moved
    for Machine, goal in ((SVC, y), (NuSVC, y), (SVR, target), (NuSVR, target)):
        here, there = Machine(**options).fit(base, goal), Machine(**options).fit(moved, goal)
        assert there.converged_
        assert_allclose(there.predict(given), here.predict(base), atol=0.02)
        assert there.score(given, goal) >= here.score(base, goal) - 0.01
    if kernel == "rbf":
        one = OneClassSVM(nu=0.1, gamma=0.3).fit(moved)
        assert (one.predict(given) < 0).mean() <= 0.1
    proba = SVC(probability=True, **options).fit(moved, y).predict_proba(given)
    assert_allclose(proba, SVC(probability=True, **options).fit(base, y).predict_proba(base),
                    atol=0.02)
    low = SVC(approximation="nystroem", n_components=100, **options)
    assert low.fit(moved, y).score(given, y) >= low.fit(base, y).score(base, y) - 0.02


def test_weights_of_their_own_stay_in_files(shifted, tmp_path):
    _, moved, y, _ = shifted
    model = SVC(kernel="linear").fit(moved, y)
    assert_array_equal(model.coef_, model.primal_coef_)
    model.save(tmp_path / "model")
    again = hingex.load(tmp_path / "model")
    assert_array_equal(again.decision_function(moved), model.decision_function(moved))
    again.intercept_ = again.intercept_ + 0.5
    assert_allclose(again.decision_function(moved), model.decision_function(moved) + 0.5, rtol=1e-6)
    again.primal_coef_ = again.primal_coef_[:, :2]
    with pytest.raises(ValueError, match="primal_coef_"):
        again.predict(moved)


@pytest.mark.parametrize("offset", [30, 100])
def test_poly_far_from_the_origin(offset):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    y = (X[:, 0] * X[:, 1] + 0.3 * rng.normal(size=300) > 0).astype(int)
    model = SVC(kernel="poly", gamma=0.01, coef0=1.0, C=100.0).fit(X + offset, y)
    assert model.converged_
    check_claim(model, X + offset, y)


def test_scale_of_the_features():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 4))
    y = (X[:, 0] > 0).astype(int)
    scores = SVC().fit(X, y).decision_function(X)
    for scale in (2.0**-66, 2.0**66, 2.0**-400, 2.0**400):
        assert_allclose(SVC().fit(X * scale, y).decision_function(X * scale), scores, atol=1e-2)
    for scale in (1e155, 1e-170):
        with pytest.raises(ValueError, match=r"row \d+, column \d+"):
            SVC().fit(X * scale, y)
    with pytest.raises(ValueError, match=r"row \d+, column \d+"):
        SVC(kernel="linear").fit(X * 1e-170, y)


def test_parameters_out_of_range_are_named():
    X = np.random.default_rng(0).normal(size=(30, 4))
    y = (X[:, 0] > 0).astype(int)
    with pytest.raises(ValueError, match="coef0=1e\\+300, degree=50"):
        SVC(kernel="poly", degree=50, coef0=1e300).fit(X, y)
    for Machine in (SVR, NuSVR):
        with pytest.raises(ValueError, match="C must lie between"):
            Machine(C=1e300).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="smaller C, or smaller values of sample_weight"):
        NuSVR(C=1e200).fit(X, X[:, 0])


def test_unscaled_features_end_soon():
    rng = np.random.default_rng(0)
    A = np.exp(rng.normal(4, 2, (547, 22)))
    target = A @ rng.normal(size=22) + rng.normal(size=547)
    for Machine in (NuSVR, SVR):
        model = Machine(kernel="linear", max_time=60).fit(A, target)
        assert model.converged_
        assert_allclose(model.coef_ @ A.T + model.intercept_[0], model.predict(A)[None],
                        rtol=1e-6, atol=1e-6 * np.abs(target).max())
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = datasets.load_breast_cancer(return_X_y=True)
    assert SVC(100.0, kernel="linear", max_time=60).fit(X, y).converged_


def test_gamma_scale_of_sparse_rows_with_a_level():
    sp = pytest.importorskip("scipy.sparse")
    X = np.random.default_rng(0).normal(size=(50, 3)) + 1e7
    X[0, 0] = 0  # not every value is there
    rows = sp.csr_array(X)
    assert_allclose(SVC().fit(rows, np.arange(50) % 2).gamma_, 1 / (3 * X.var()), rtol=1e-9)


def test_primal_objective_of_all_machines(shifted):
    base, _, y, target = shifted
    for Machine, goal in ((SVC, y), (NuSVC, y), (SVR, target), (NuSVR, target),
                          (OneClassSVM, y)):
        model = Machine(gamma=0.3).fit(base, goal)
        assert_allclose(model.primal_objective_ - model.dual_objective_,
                        model.duality_gap_ * np.maximum(np.abs(model.primal_objective_),
                                                        np.abs(model.dual_objective_)), atol=1e-9)
    low = SVC(approximation="nystroem").fit(base, y)
    assert (low.primal_objective_ >= low.dual_objective_).all()


def test_kernels_with_a_centre_agree():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(40, 3))
    Z = base + np.array([0, 1e9, 0])
    rows = kernels.check.as_rows(Z)
    given = kernels.Parameters("rbf", 0, 0.5, 0.0)
    exact = kernels.Exact(rows, given).points()
    out = np.empty((40, 40))
    exact.values(np.arange(40), exact, np.arange(40), out, 1)
    moved = Z - Z.mean(axis=0)
    assert_allclose(out, np.exp(-0.5 * ((moved[:, None] - moved) ** 2).sum(axis=2)), rtol=1e-12)


# ---- rows in CSR, kernels that are given, rounds that come to nothing ---------------------------


def leveled(level, n=120, seed=0):
    """Two columns around 0, one at a level, one of zeros; classes from the first."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(n, 2))
    X = np.column_stack([base, np.full(n, level), np.zeros(n)])
    return X, (base[:, 0] + 0.3 * rng.normal(size=n) > 0).astype(int)


@pytest.mark.parametrize("level", [1e5, 1e7, 1e8])
@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("model", [
    SVC(), NuSVC(nu=0.3), SVR(), NuSVR(), OneClassSVM(nu=0.1),
    SVC(probability=True, random_state=0),
    SVC(approximation="nystroem", n_components=40, random_state=0),
], ids=repr)
def test_sparse_rows_at_a_level_are_as_good_as_dense_ones(model, kernel, level):
    """Columns with zeros cannot be centred where they lie: kernel values had no digits."""
    if kernel == "linear" and isinstance(model, OneClassSVM):
        pytest.skip("the origin counts: a level is what it is far from")
    sparse = pytest.importorskip("scipy.sparse")
    X, y = leveled(level)
    for format_ in (sparse.csr_matrix, sparse.csc_array):
        fits = [type(model)(**(model.get_params() | {"kernel": kernel, "gamma": 0.3})).fit(Z, y)
                for Z in (X, format_(X))]
        for fit in fits:
            assert fit.converged_
        Z = X[::3] + np.array([0.1, -0.2, 0, 0])
        scores = [m.predict(Z) if isinstance(m, (SVR, NuSVR)) else m.decision_function(Z)
                  for m in fits]
        again = [f(z) for f in [getattr(fits[1], "decision_function", fits[1].predict)]
                 for z in (format_(Z), Z)]
        assert_allclose(scores[1], scores[0], rtol=1e-6, atol=1e-6)
        assert_allclose(again[0], again[1], rtol=1e-9, atol=1e-9)


def test_a_linear_one_class_model_of_sparse_rows_at_a_level():
    """Its duals do not sum up to 0: scores need the centre of the rows as well."""
    sparse = pytest.importorskip("scipy.sparse")
    X, _ = leveled(50.0)
    dense = OneClassSVM(kernel="linear", nu=0.2).fit(X)
    other = OneClassSVM(kernel="linear", nu=0.2).fit(sparse.csr_array(X))
    for Z in (X, sparse.csr_array(X)):
        for model in (dense, other):
            assert_allclose(model.decision_function(Z), dense.decision_function(X), atol=1e-9)
    assert_allclose(other.coef_, dense.coef_, rtol=1e-9, atol=1e-12)


def test_wide_sparse_rows_at_a_level_are_an_error():
    sparse = pytest.importorskip("scipy.sparse")
    X = sparse.hstack([sparse.random(60, 10**6, 1e-4, random_state=0),
                       np.full((60, 1), 1e8)]).tocsr()
    with pytest.raises(ValueError, match=r"column 1000000 of X has the mean 1e\+08"):
        SVC(gamma=0.3).fit(X, np.arange(60) % 2)
    X.data[X.data == 1e8] = 100.0
    assert SVC(gamma=0.3).fit(X, np.arange(60) % 2).converged_


@pytest.mark.parametrize("kind", ["precomputed", "callable"])
@pytest.mark.parametrize("seed", range(40))
def test_what_is_certified_of_given_kernels_is_so(kind, seed):
    """Values of 1e10 to 1e16, whose rounding the scores have as well: polishing hid it."""
    rng = np.random.default_rng(seed)
    n = int(rng.choice([4, 5, 8, 12]))
    X = rng.normal(size=(n, 2)) + np.array([0, 10.0 ** rng.integers(5, 9)])
    y, K = np.arange(n) % 2, X @ X.T
    kernel = "precomputed" if kind == "precomputed" else lambda A, B: A @ B.T
    model = SVC(kernel=kernel, C=10.0 ** rng.integers(-2, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hingex.ConvergenceWarning)
        model.fit(K if kind == "precomputed" else X, y)
    if not model.converged_:
        return
    b = np.zeros(n, dtype=np.longdouble)
    b[model.support_] = model.dual_coef_[0]
    f = (2 * y - 1) * model.decision_function(K if kind == "precomputed" else X)
    half = b @ K.astype(np.longdouble) @ b / 2
    primal = float(half + model.C * np.maximum(0, 1 - f).sum())
    assert_allclose(primal, model.primal_objective_[0], rtol=AGREE)


@pytest.mark.parametrize("model", [
    NuSVR(kernel="poly", gamma=1.0), NuSVR(kernel="poly", gamma=1.0, degree=4),
    SVR(kernel="poly", gamma=1.0, C=1e4)], ids=repr)
def test_rounds_end_where_rounding_lets_them_come_nowhere(model):
    """Two rows: a step takes no time, and there were millions of rounds of one step each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hingex.ConvergenceWarning)
        model.fit([[0.0, 1000.0], [0.5, 1001.0]], [0.0, 1.0])
    assert model.n_iter_[0] < 100_000


@pytest.mark.parametrize("seed", range(30))
def test_no_gap_above_tol_is_called_converged(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.choice([60, 300]))
    X, y = rng.normal(size=(n, 1)), rng.integers(0, int(rng.choice([2, 4, 6])), n)
    tol = 10.0 ** -int(rng.integers(3, 8))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hingex.ConvergenceWarning)
        model = NuSVC(nu=0.01, tol=tol).fit(X, y)
    assert not model.converged_ or (model.duality_gap_ <= tol).all()
