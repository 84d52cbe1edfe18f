# SPDX-License-Identifier: BSD-3-Clause
"""SVC, NuSVC, SVR, NuSVR and OneClassSVM as their users meet them."""

import io
import pickle
from contextlib import redirect_stderr

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, csr_matrix

from hingex import SVC, SVR, ConvergenceWarning, NotFittedError, NuSVC, NuSVR, OneClassSVM

CLASSIFIERS = [SVC, NuSVC]
REGRESSORS = [SVR, NuSVR]
ALL = [*CLASSIFIERS, *REGRESSORS, OneClassSVM]


def blobs(n=90, d=3, classes=3, seed=0, spread=2.0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    return spread * rng.standard_normal((classes, d))[y] + rng.standard_normal((n, d)), y


def outputs(model, X):
    scores = getattr(model, "decision_function", None)
    return model.predict(X) if scores is None else scores(X)


# ----------------------------------------------------------------------- scikit-learn's checks


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", [
    # Weights are as good as repeated rows, which a check asks for to seven digits: a fine tol, and
    # for labels of one class, of which many rows are on the margin, nothing but rounding left.
    SVC(tol=1e-9), SVR(tol=1e-9), SVR(kernel="linear", tol=1e-9), NuSVR(tol=1e-9),
    OneClassSVM(tol=1e-12),
], ids=lambda m: type(m).__name__)
def test_check_estimator(model):
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    results = checks.check_estimator(model, on_fail=None, on_skip=None)
    failed = {r["check_name"]: r["exception"] for r in results
              if r["status"] not in ("passed", "skipped")}
    assert not failed
    assert len(results) > 50


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kernel", ["rbf", "poly", "sigmoid", "laplacian", "chi2", "linear"])
@pytest.mark.parametrize("Model", ALL)
def test_weights_are_repeated_rows(Model, kernel):
    """Of every kernel, with gamma="scale"; no large nu is feasible for the check's classes."""
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    model = Model(kernel=kernel, tol=1e-12, **({"nu": 0.1} if Model is NuSVC else {}))
    checks.check_sample_weight_equivalence_on_dense_data(Model.__name__, model)
    checks.check_sample_weight_equivalence_on_sparse_data(Model.__name__, model)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("Model", ALL)
def test_check_estimator_with_defaults(Model):
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    results = checks.check_estimator(Model(), on_fail=None, on_skip=None)
    failed = {r["check_name"] for r in results if r["status"] not in ("passed", "skipped")}
    assert not failed


# ------------------------------------------------------------------- attributes as scikit-learn's


def both(name, X, y, weights=None, **options):
    svm = pytest.importorskip("sklearn.svm")
    ours = {m.__name__: m for m in ALL}[name](tol=1e-8, **options)
    theirs = getattr(svm, name)(tol=1e-8, **options)
    return ours.fit(X, y, sample_weight=weights), theirs.fit(X, y, sample_weight=weights)


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly"])
@pytest.mark.parametrize("name", ["SVC", "NuSVC"])
def test_classifiers_are_scikit_learns(name, kernel, classes):
    # A nu that classes which overlap have no margin for makes it a problem of rounding.
    X, y = blobs(classes=classes, spread=1.5 if name == "SVC" else 4.0, seed=2)
    options = {"kernel": kernel, "gamma": 0.05, "coef0": 0.2}
    options |= {"C": 2.0} if name == "SVC" else {"nu": 0.5}
    ours, theirs = both(name, X, y, **options)
    assert_array_equal(ours.support_, theirs.support_)
    assert ours.support_.dtype == theirs.support_.dtype
    assert_array_equal(ours.n_support_, theirs.n_support_)
    assert ours.n_support_.dtype == theirs.n_support_.dtype
    assert_array_equal(ours.support_vectors_, theirs.support_vectors_)
    assert ours.dual_coef_.shape == theirs.dual_coef_.shape
    assert_allclose(ours.dual_coef_, theirs.dual_coef_, atol=2e-3 * np.abs(ours.dual_coef_).max())
    assert_allclose(ours.intercept_, theirs.intercept_, atol=2e-3)
    assert_array_equal(ours.classes_, theirs.classes_)
    assert ours.shape_fit_ == theirs.shape_fit_
    Z = blobs(60, classes=classes, seed=1)[0]
    for shape in ("ovo", "ovr"):
        ours.decision_function_shape = theirs.decision_function_shape = shape
        assert_allclose(ours.decision_function(Z), theirs.decision_function(Z), atol=5e-3)
    assert_array_equal(ours.predict(Z), theirs.predict(Z))
    ours.break_ties = theirs.break_ties = True
    assert_array_equal(ours.predict(Z), theirs.predict(Z))
    if kernel == "linear":
        assert_allclose(ours.coef_, theirs.coef_, atol=1e-3)


def of_rows(model, n):
    duals = np.zeros(n)
    duals[model.support_] = model.dual_coef_[0]
    return duals


@pytest.mark.parametrize("name", ["SVR", "NuSVR", "OneClassSVM"])
@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly"])
def test_others_are_scikit_learns(name, kernel):
    X, _ = blobs()
    X += 5  # for one class by planes, the origin must be outside
    y = np.sin(X[:, 0]) + X[:, 1]
    weights = np.random.default_rng(0).uniform(0.5, 2, len(y))
    for given in (None, weights):
        ours, theirs = both(name, X, y, given, kernel=kernel, gamma=0.05, coef0=0.2)
        # Rows with duals of next to nothing need not be the same.
        assert_allclose(of_rows(ours, len(y)), of_rows(theirs, len(y)), atol=5e-3)
        for model in (ours, theirs):
            assert model.dual_coef_.shape == (1, len(model.support_))
            assert_array_equal(model.n_support_, [len(model.support_)])
        assert_allclose(ours.intercept_, theirs.intercept_, atol=2e-3)
        Z = blobs(60, seed=1)[0] + 5
        assert_allclose(outputs(ours, Z), outputs(theirs, Z), atol=5e-3)
        if name == "OneClassSVM":
            assert_allclose(ours.offset_, theirs.offset_, atol=2e-3)
            sure = np.abs(ours.decision_function(Z)) > 1e-2
            assert_array_equal(ours.predict(Z)[sure], theirs.predict(Z)[sure])
            assert_allclose(ours.score_samples(Z), theirs.score_samples(Z), atol=5e-3)
            assert set(OneClassSVM().fit_predict(X)) == {-1, 1}
        if kernel == "linear":
            assert_allclose(ours.coef_, theirs.coef_, atol=1e-3)


def test_gamma_by_name_is_scikit_learns():
    X, y = blobs()
    for gamma in ("scale", "auto"):
        for given in (X, csr_matrix(X), X.astype(np.float32)):
            ours, theirs = both("SVC", given, y, gamma=gamma)
            assert_allclose(ours.gamma_, theirs._gamma, rtol=1e-6)
            assert_allclose(ours.decision_function(given), theirs.decision_function(given),
                            atol=1e-3)
    assert SVC().fit(np.zeros((4, 2)), [0, 1, 0, 1]).gamma_ == 1.0
    assert SVC(kernel="linear").fit(X, y).gamma_ == 0.0


def test_signs():
    X, y = blobs(60, classes=2, spread=3.0)
    model = SVC(kernel="linear").fit(X, y)
    assert (model.dual_coef_[0, :model.n_support_[0]] < 0).all()
    assert (model.dual_coef_[0, model.n_support_[0]:] > 0).all()
    assert_array_equal(model.predict(X), model.classes_[(model.decision_function(X) > 0) * 1])
    assert_allclose(model.coef_, model.dual_coef_ @ model.support_vectors_)
    X, y = blobs(spread=9.0)
    three = SVC(kernel="linear", decision_function_shape="ovo").fit(X, y)
    scores = three.decision_function(X)
    assert (scores[:, 0] > 0)[::3].mean() > 0.9  # class 0 against 1


# ---------------------------------------------------------------------------------- behaviours


def test_one_against_rest():
    X, y = blobs(classes=4)
    model = SVC(multi_class="ovr", tol=1e-6, gamma=0.2).fit(X, y)
    scores = model.decision_function(X)
    assert scores.shape == (len(X), 4)
    assert model.dual_coef_.shape == (4, len(model.support_))
    for k in range(4):
        one = SVC(tol=1e-6, gamma=0.2).fit(X, y == k)
        assert_allclose(scores[:, k], one.decision_function(X), atol=1e-3)
    assert_array_equal(model.predict(X), scores.argmax(axis=1))
    linear = SVC(kernel="linear", multi_class="ovr").fit(X, y)
    assert_allclose(linear.decision_function(X), X @ linear.coef_.T + linear.intercept_, rtol=1e-9)
    pairs = SVC(kernel="linear", decision_function_shape="ovo").fit(X, y)
    assert_allclose(pairs.decision_function(X), X @ pairs.coef_.T + pairs.intercept_, rtol=1e-9)


def test_break_ties():
    X, y = blobs(300, d=2, classes=4, spread=0.8)
    Z = np.random.default_rng(1).uniform(-4, 4, (3000, 2))
    model = SVC(gamma=1.0).fit(X, y)
    votes, scores = model.predict(Z), model.decision_function(Z)
    assert (votes != scores.argmax(axis=1)).any()
    model.break_ties = True
    assert_array_equal(model.predict(Z), scores.argmax(axis=1))
    model.decision_function_shape = "ovo"
    with pytest.raises(ValueError, match="break_ties must be False"):
        model.predict(Z)
    with pytest.raises(ValueError, match="break_ties must be False"):
        model.fit(X, y)


@pytest.mark.parametrize("Model", CLASSIFIERS)
def test_labels_come_back_as_they_were(Model):
    X, y = blobs()
    for labels in (np.array(["b", "a", "c"]), np.array([10, -3, 7]), np.array([1.0, 2.0, 5.0])):
        model = Model().fit(X, labels[y])
        assert_array_equal(model.classes_, np.unique(labels))
        assert model.predict(X).dtype == labels.dtype
        assert model.score(X, labels[y]) > 0.8
    model = Model(nu=0.3).fit(X, y == 1) if Model is NuSVC else Model().fit(X, y == 1)
    assert model.predict(X).dtype == bool


@pytest.mark.parametrize("Model", ALL)
def test_layouts_give_the_same_scores(Model):
    X, y = blobs()
    X[np.abs(X) < 0.5] = 0
    model = Model(gamma=0.2).fit(X, y)
    expected = outputs(model, X)
    read_only = X.copy()
    read_only.flags.writeable = False
    for given in (np.asfortranarray(X), X[::-1][::-1], csr_array(X), csr_matrix(X), X.tolist(),
                  read_only, csr_matrix(X).tolil()):
        assert_allclose(outputs(model, given), expected, rtol=1e-9, atol=1e-12)
        again = Model(gamma=0.2, tol=1e-6).fit(given, y)
        assert_allclose(outputs(again, X), expected, atol=2e-2)
    many = [outputs(model.set_params(n_jobs=jobs), X).tobytes() for jobs in (1, 2, 3)]
    assert len(set(many)) == 1
    assert_array_equal(outputs(model, X[:1]), expected[:1])
    sparse = Model(gamma=0.2).fit(csr_matrix(X), y)
    assert sparse.support_vectors_.shape == (len(sparse.support_), 3)
    assert_array_equal(sparse.support_vectors_.toarray(), X[sparse.support_])


@pytest.mark.parametrize("Model", ALL)
def test_pickle_clone_and_repr(Model):
    X, y = blobs()
    model = Model(gamma=0.2).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(outputs(again, X), outputs(model, X))
    assert repr(model) == f"{Model.__name__}(gamma=0.2)"
    base = pytest.importorskip("sklearn.base")
    other = base.clone(model)
    assert other.get_params() == model.get_params()
    assert not hasattr(other, "support_")
    assert_array_equal(outputs(other.fit(X, y), X), outputs(model, X))
    assert base.is_classifier(model) == (Model in CLASSIFIERS)
    assert base.is_regressor(model) == (Model in REGRESSORS)
    assert base.is_outlier_detector(model) == (Model is OneClassSVM)


@pytest.mark.parametrize("Model", ALL)
def test_not_fitted(Model):
    for method in ("predict", "decision_function", "score_samples"):
        if hasattr(Model, method):
            with pytest.raises(NotFittedError, match="not fitted yet"):
                getattr(Model(), method)([[1.0]])
    assert not hasattr(Model(), "n_support_")
    assert not hasattr(Model(), "coef_")
    assert not hasattr(Model(kernel="linear"), "coef_")
    assert not hasattr(Model().fit(*blobs()), "coef_")


@pytest.mark.parametrize("Model", ALL)
def test_pandas(Model):
    pandas = pytest.importorskip("pandas")
    X, y = blobs()
    table = pandas.DataFrame(X, columns=["a", "b", "c"])
    model = Model().fit(table, pandas.Series(y))
    assert_array_equal(model.feature_names_in_, ["a", "b", "c"])
    assert_array_equal(outputs(model, table), outputs(Model().fit(X, y), X))
    with pytest.raises(ValueError, match="feature names"):
        outputs(model, table.rename(columns={"a": "z"}))
    with pytest.raises(ValueError, match="2 features"):
        outputs(Model().fit(X, y), X[:, :2])


def test_in_tools():
    pytest.importorskip("sklearn")
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = blobs()
    search = GridSearchCV(make_pipeline(StandardScaler(), SVC()),
                          {"svc__C": [0.1, 10], "svc__kernel": ["linear", "rbf"]}, cv=3).fit(X, y)
    assert search.score(X, y) > 0.75
    assert cross_val_score(SVC(), X, y == 1, scoring="roc_auc").min() > 0.7
    assert cross_val_score(SVR(), X, X[:, 0]).min() > 0.7


@pytest.mark.parametrize("Model", ALL)
def test_precomputed(Model):
    X, y = blobs()
    K, Z = np.exp(-0.2 * ((X[:, None] - X) ** 2).sum(axis=2)), X[:7] + 0.1
    model = Model(kernel="precomputed", tol=1e-6).fit(K, y)
    named = Model(gamma=0.2, tol=1e-6).fit(X, y)
    values = np.exp(-0.2 * ((Z[:, None] - X) ** 2).sum(axis=2))
    assert_allclose(outputs(model, values), outputs(named, Z), atol=1e-3)
    assert model.support_vectors_.shape == (0, 0)
    assert model.n_features_in_ == len(X)
    other = values.copy()
    other[:, np.setdiff1d(np.arange(len(X)), model.support_)] = 7.0
    assert_array_equal(outputs(model, other), outputs(model, values))
    with pytest.raises(ValueError, match=r"must be a square matrix.*got X of shape \(90, 5\)"):
        Model(kernel="precomputed").fit(K[:, :5], y)
    with pytest.raises(TypeError, match="Sparse data was passed"):
        Model(kernel="precomputed").fit(csr_matrix(K), y)
    with pytest.raises(ValueError, match="5 features"):
        outputs(model, values[:, :5])


def test_precomputed_is_sliced_both_ways():
    pytest.importorskip("sklearn")
    from sklearn.model_selection import cross_val_score
    from sklearn.utils import get_tags

    X, y = blobs()
    assert get_tags(SVC(kernel="precomputed")).input_tags.pairwise
    assert not get_tags(SVC()).input_tags.pairwise
    # Folds know their rows only: a kernel that is not sliced both ways is no square.
    assert_allclose(cross_val_score(SVC(kernel="precomputed"), X @ X.T, y, cv=3),
                    cross_val_score(SVC(kernel="linear"), X, y, cv=3), atol=0.04)


def test_kernels_of_users():
    X, y = blobs()
    model = SVC(kernel=lambda A, B: A @ B.T, tol=1e-6).fit(X, y)
    linear = SVC(kernel="linear", tol=1e-6).fit(X, y)
    assert_allclose(model.decision_function(X), linear.decision_function(X), atol=1e-3)
    assert_array_equal(model.support_vectors_, X[model.support_])
    sparse = SVC(kernel=lambda A, B: A @ B.T, tol=1e-6).fit(csr_matrix(X), y)
    assert_allclose(sparse.decision_function(csr_matrix(X)), linear.decision_function(X), atol=1e-3)


def test_sided_weights():
    X = np.array([[-2.0, 0], [-1, -1], [0, -2], [0, 2], [1, 1], [2, 0]])
    y, at = np.array([1, 1, 1, 2, 2, 2]), [[-1.0, 1.0]]
    plus, minus = [10.0, 0.1, 0.1, 0.1, 0.1, 10], [1.0, 0.1, 10.0, 10.0, 0.1, 0.1]
    for model in (SVC(C=0.01, kernel="linear"), NuSVC(kernel="linear")):
        assert_allclose(model.fit(X, y, [1] * 6).decision_function(at), 0, atol=1e-9)
        assert model.fit(X, y, plus).decision_function(at) < 0
        assert model.fit(X, y, minus).decision_function(at) > 0
    for model in (SVR(C=0.01, kernel="linear"), NuSVR(C=0.01, kernel="linear")):
        assert_allclose(model.fit(X, y, [1] * 6).predict(at), 1.5)
        assert model.fit(X, y, plus).predict(at) < 1.5
        assert model.fit(X, y, minus).predict(at) > 1.5
    one = SVC().fit(X, y)
    scaled = SVC(C=100.0).fit(X, y, np.full(6, 0.01))
    assert_allclose(one.dual_coef_, scaled.dual_coef_)


def test_class_weights():
    X, y = blobs(100, classes=2, spread=0.4)
    plain = (SVC().fit(X, y).predict(X) == 1).sum()
    assert (SVC(class_weight={1: 5.0}).fit(X, y).predict(X) == 1).sum() > plain
    X, y = X[20:], np.sort(y)[20:]
    balanced = SVC(class_weight="balanced", tol=1e-8).fit(X, y)
    share = {c: len(y) / (2 * (y == c).sum()) for c in (0, 1)}
    assert_allclose(balanced.decision_function(X),
                    SVC(class_weight=share, tol=1e-8).fit(X, y).decision_function(X), rtol=1e-6)
    weights = np.where(y == 0, share[0], share[1])
    assert_allclose(balanced.decision_function(X),
                    SVC(tol=1e-8, gamma=balanced.gamma_).fit(X, y, weights).decision_function(X),
                    rtol=1e-6)


@pytest.mark.parametrize("Model", ALL)
def test_weight_zero_leaves_rows_out(Model):
    X, y = blobs()
    used = np.arange(90) % 4 > 0
    model = Model(gamma=0.2, tol=1e-7).fit(X, y, sample_weight=used * 1.0)
    assert used[model.support_].all()
    assert_allclose(outputs(model, X), outputs(Model(gamma=0.2, tol=1e-7).fit(X[used], y[used]), X),
                    atol=2e-3)


@pytest.mark.filterwarnings("ignore::hingex.ConvergenceWarning")
@pytest.mark.parametrize("wrap", [
    np.asarray, csr_matrix, lambda X: np.asfortranarray(np.float32(X)),
], ids=["dense", "csr", "float32"])
def test_scale_weighs_the_variance(wrap):
    """gamma="scale" is that of a table with each row as often as its weight says."""
    rng = np.random.default_rng(5)
    X = np.where(rng.random((90, 6)) < 0.6, rng.standard_normal((90, 6)) + 2, 0.0)
    y, weights = np.arange(90) % 3, rng.integers(0, 4, 90)
    X[weights == 0] *= 1e4
    X = wrap(X)
    table = X.toarray() if hasattr(X, "toarray") else X.astype(float)
    expected = 1 / (6 * np.repeat(table, weights, axis=0).var())
    for Model in ALL:
        for factor in (1, 0.3):
            model = Model(max_iter=1, **({"nu": 0.1} if Model is NuSVC else {}))
            model.fit(X, y, sample_weight=factor * weights)
            assert_allclose(model.gamma_, expected, rtol=1e-12)
        # Equal weights are none, to the bit, and class weights are no rows.
        plain = Model(max_iter=1).fit(X, y).gamma_
        assert Model(max_iter=1).fit(X, y, sample_weight=np.full(90, 2.0)).gamma_ == plain
        if Model in (SVC, NuSVC):
            assert Model(max_iter=1, class_weight={0: 1.1}).fit(X, y).gamma_ == plain


def test_support_kind():
    X, y = blobs(90, classes=3, spread=0.8)
    model = SVC(0.5, gamma=0.3).fit(X, y)
    kind, size = model.support_kind_, np.abs(model.dual_coef_)
    assert kind.shape == model.dual_coef_.shape
    assert kind.dtype == np.int8
    assert_array_equal(kind == 0, size == 0)
    assert_array_equal(kind == 2, size == 0.5)
    assert set(np.unique(kind)) == {0, 1, 2}
    two = SVC(0.5, gamma=0.3, tol=1e-6).fit(X, y == 0)
    margins = np.where(y == 0, 1, -1)[two.support_] * two.decision_function(X[two.support_])
    assert_allclose(margins[two.support_kind_[0] == 1], 1, atol=1e-4)
    assert (margins[two.support_kind_[0] == 2] <= 1 + 1e-4).all()


def test_margin_width():
    X, y = blobs(60, classes=2)
    model = SVC(kernel="linear").fit(X, y)
    assert_allclose(model.margin_width_, 2 / np.linalg.norm(model.coef_, axis=1), rtol=1e-6)
    assert SVC().fit(*blobs()).margin_width_.shape == (3,)


@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly", "laplacian"])
@pytest.mark.parametrize("C", [0.05, 1.0, 20.0])
def test_leave_one_out_bound(kernel, C):
    for seed in range(2):
        X, y = blobs(36, d=2, classes=2, seed=seed, spread=1.0)
        model = SVC(C, kernel=kernel, gamma=0.5, tol=1e-4).fit(X, y)
        wrong = 0
        for i in range(36):
            others = np.arange(36) != i
            one = SVC(C, kernel=kernel, gamma=0.5, tol=1e-4).fit(X[others], y[others])
            wrong += one.predict(X[i:i + 1])[0] != y[i]
        assert wrong / 36 <= model.loo_error_bound_[0] <= len(model.support_) / 36


def test_leave_one_out_bound_is_not_idle():
    X, y = blobs(100, classes=2, spread=5.0)
    model = SVC(1.0, gamma=0.01).fit(X, y)
    assert model.loo_error_bound_[0] < len(model.support_) / 100 <= 1
    assert SVC().fit(*blobs()).loo_error_bound_.shape == (3,)


def test_nu_is_a_share():
    X, y = blobs(200, classes=2, spread=0.7)
    for nu in (0.3, 0.5, 0.8):
        model = NuSVC(nu=nu, gamma=0.5).fit(X, y)
        assert len(model.support_) >= nu * 200 - 1e-6
        margin = np.where(y == 1, 1, -1) * model.decision_function(X)
        assert (margin < 1 - 1e-2).sum() <= nu * 200
        target = np.sin(X[:, 0]) + 0.3 * np.random.default_rng(0).standard_normal(200)
        model = NuSVR(nu=nu, gamma=0.5, tol=1e-6).fit(X, target)
        assert (np.abs(target - model.predict(X)) > model.epsilon_ + 1e-4).sum() <= nu * 200
        assert len(model.support_) >= nu * 200 - 1e-6
        model = OneClassSVM(nu=nu, gamma=0.5).fit(X)
        assert (model.decision_function(X) < -1e-2).sum() <= nu * 200
        assert len(model.support_) >= nu * 200 - 1e-6


def test_an_svr_whose_tube_holds_all_has_no_support():
    X, y = blobs()
    for given in (X, csr_matrix(X)):
        model = SVR(epsilon=10.0).fit(given, y)
        assert model.support_.shape == (0,)
        assert model.dual_coef_.shape == (1, 0)
        assert model.support_vectors_.shape == (0, 3)
        assert_array_equal(model.predict(given), np.ones(90))  # the middle of 0..2
    assert_array_equal(SVR(epsilon=10.0, kernel="linear").fit(X, y).coef_, [[0, 0, 0]])


def test_verbose_and_callback():
    X, y = blobs()
    text = io.StringIO()
    with redirect_stderr(text):
        SVC(verbose=True).fit(X, y)
    assert "SVC" in text.getvalue()
    states = []
    SVC(callback=states.append).fit(X, y)
    assert [s.epoch for s in states] == [1, 2, 3]


# --------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(("error", "text", "options"), [
    (ValueError, "C must be.*got -1", {"C": -1.0}),
    (ValueError, "C must be", {"C": 0.0}),
    (ValueError, "C must", {"C": np.nan}),
    (TypeError, "C must", {"C": "x"}),
    (ValueError, 'kernel must be "linear".*got', {"kernel": "gauss"}),
    (ValueError, "kernel", {"kernel": ""}),
    (ValueError, 'gamma must be "scale" or "auto"', {"gamma": "wide"}),
    (ValueError, "gamma must", {"gamma": -0.1}),
    (ValueError, "degree", {"kernel": "poly", "degree": -1}),
    (ValueError, "coef0 must be finite", {"kernel": "poly", "coef0": np.inf}),
    (ValueError, "tol must", {"tol": 0.0}),
    (ValueError, "cache_size", {"cache_size": -1}),
    (ValueError, "max_iter", {"max_iter": 0}),
    (ValueError, "max_iter", {"max_iter": -2}),
    (TypeError, "max_iter", {"max_iter": 2.5}),
    (ValueError, "max_time", {"max_time": 0}),
    (TypeError, "shrinking", {"shrinking": "yes"}),
    (ValueError, 'decision_function_shape must be "ovr" or "ovo"',
     {"decision_function_shape": "all"}),
    (ValueError, 'multi_class must be "ovo" or "ovr"', {"multi_class": "all"}),
    (TypeError, "callback", {"callback": 3}),
    (ValueError, "n_jobs", {"n_jobs": 0}),
    (ValueError, "class_weight", {"class_weight": {7: 1.0}}),
    (TypeError, "warm_start", {"warm_start": 1}),
])
def test_parameters(error, text, options):
    X, y = blobs()
    with pytest.raises(error, match=text):
        SVC(**options).fit(X, y)


@pytest.mark.parametrize("Model", [NuSVC, NuSVR, OneClassSVM])
@pytest.mark.parametrize("nu", [0.0, -0.1, 1.1, np.nan])
def test_nu(Model, nu):
    with pytest.raises(ValueError, match="nu must"):
        Model(nu=nu).fit(*blobs())


def test_epsilon():
    with pytest.raises(ValueError, match="epsilon must"):
        SVR(epsilon=-0.1).fit(*blobs())
    for Model in REGRESSORS:
        with pytest.raises(ValueError, match="C must"):
            Model(C=0.0).fit(*blobs())


def test_infeasible_nu_names_the_classes():
    X, y = blobs(90, classes=3)
    y = np.array(["a", "b", "c"])[y]
    y[y == "c"][10:] = "a"
    y[5:60] = "b"
    message = (r"specified nu is infeasible: 0\.9 is more than twice the share of class 'a' "
               r"against class 'b', which is 0\.152 \(and for 1 more of the pairs\)")
    with pytest.warns(UserWarning, match=message):
        NuSVC(nu=0.9).fit(X, y)


def test_an_infeasible_nu_is_nearly_the_largest_feasible_one():
    """For the pairs that it is too large for; the others have it as it is."""
    X, y = blobs(90, classes=3)
    y[y == 2] = np.where(np.arange(30) < 12, 2, 1)  # 30, 48 and 12 rows
    with pytest.warns(UserWarning, match="specified nu is infeasible"):
        model = NuSVC(nu=0.6, tol=1e-9, decision_function_shape="ovo").fit(X, y)
    assert model.converged_
    scores = model.decision_function(X)
    for k, (i, j, nu) in enumerate(((0, 1, 0.6), (0, 2, 0.999 * 24 / 42), (1, 2, 0.999 * 24 / 60))):
        rows = np.isin(y, (i, j))
        one = NuSVC(nu=nu, tol=1e-9, gamma=model.gamma_).fit(X[rows], y[rows])
        # Of two classes the second is the positive one.
        assert_allclose(scores[:, k], -one.decision_function(X), rtol=1e-6, atol=1e-6)


def test_an_infeasible_nu_by_weights_is_that_of_repeated_rows():
    X, y = blobs(40)
    weights = np.where(y == 1, np.arange(40) % 2, 3.0)
    again = np.repeat(np.arange(40), weights.astype(int))
    with pytest.warns(UserWarning, match="specified nu is infeasible"):
        a = NuSVC(nu=0.9, tol=1e-9).fit(X, y, sample_weight=weights)
    with pytest.warns(UserWarning, match="specified nu is infeasible"):
        b = NuSVC(nu=0.9, tol=1e-9).fit(X[again], y[again])
    assert_allclose(a.decision_function(X), b.decision_function(X), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("Model", ALL)
def test_data(Model):
    X, y = blobs()
    bad = X.copy()
    bad[3, 1] = np.nan
    model = Model().fit(X, y)
    with pytest.raises(ValueError, match="NaN"):
        Model().fit(bad, y)
    with pytest.raises(ValueError, match="NaN"):
        outputs(model, bad)
    if Model is not OneClassSVM:
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            Model().fit(X, y[:-1])
    for weights, text in ((-np.ones(90), "sample_weight"), (np.zeros(90), "sample_weight"),
                          (np.ones(5), "sample_weight"), (np.full(90, np.nan), "sample_weight")):
        with pytest.raises(ValueError, match=text):
            Model().fit(X, y, sample_weight=weights)
    if Model in CLASSIFIERS:
        with pytest.raises(ValueError, match="class"):
            Model().fit(X, np.ones(90))
        with pytest.raises(ValueError, match="class"):
            Model().fit(X, y, sample_weight=(y == 1) * 1.0)


def test_changed_attributes_are_errors():
    X, y = blobs()
    for name, value, text in (
            ("n_support_", np.array([10**6, 1, 1]), "n_support_ of this SVC must be 3 counts"),
            ("n_support_", np.array([1, 2]), "n_support_ of this SVC must be 3 counts"),
            ("support_", np.full(59, -1), "support_ of this SVC must be row numbers"),
            ("dual_coef_", np.ones((2, 1)), "dual_coef_"),
            ("intercept_", np.ones(2), "intercept_"),
            ("support_vectors_", np.ones((2, 3)), "support_vectors_ of this SVC must have shape")):
        model = SVC().fit(X, y)
        setattr(model, name, value)
        with pytest.raises(ValueError, match=text):
            model.predict(X)


@pytest.mark.parametrize("Model", ALL)
def test_convergence_warning(Model):
    X, y = blobs()
    with pytest.warns(ConvergenceWarning, match=f"{Model.__name__} stopped after max_iter=1 iter"):
        model = Model(max_iter=1).fit(X, y)
    assert model.fit_status_ == 1
    assert (model.n_iter_ <= 1).all()
    assert Model().fit(X, y).fit_status_ == 0


@pytest.mark.parametrize("Model", ALL)
@pytest.mark.parametrize("wrap", [np.asarray, csr_array])
def test_coef_is_read_only(Model, wrap):
    X, y = blobs(40, classes=2)
    models = [Model(kernel="linear").fit(wrap(X), y)]
    if Model is SVC:
        models.append(SVC(kernel="linear", approximation="nystroem", n_components=3).fit(X, y))
        models.append(SVC(kernel="linear", multi_class="ovr").fit(X, np.arange(40) % 3))
    for model in models:
        with pytest.raises(ValueError, match="read-only"):
            model.coef_[0] = 0
        assert not model.coef_.flags.writeable
        with pytest.raises(AttributeError):
            model.coef_ = np.zeros((1, 3))
