# SPDX-License-Identifier: BSD-3-Clause
"""LinearClassifier against independent solutions, optimality conditions and certificates."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.optimize import linprog, minimize

import hingex
from hingex import losses as hl
from hingex.solvers import UnsuitableError

SMOOTH = [hl.Logistic(), hl.SquaredHinge(0.5), hl.HuberizedHinge(0.5), hl.SmoothHinge(),
          hl.ModifiedHuber(), hl.SoftplusHinge(3.0, 0.5), hl.Exponential(), hl.Squared()]
KINKED = [hl.Hinge(), hl.Hinge(0.25), 2 * hl.Hinge(3.0), 0.9 * hl.Hinge() + 0.1 * hl.Logistic(),
          hl.Perceptron() + 0.5 * hl.SquaredHinge(), hl.Hinge() + hl.Hinge(0.5)]
ALL = pytest.mark.parametrize("loss", SMOOTH + KINKED, ids=str)
PENALTIES = pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
INTERCEPTS = pytest.mark.parametrize("intercept", ["unregularized", "regularized", "none"])
RATIO = 0.3


def data(n=80, d=6, seed=0, shift=0.5):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * np.linspace(0.5, 3, d) + shift
    y = np.where(X @ rng.normal(size=d) + rng.normal(size=n) > 0, 1, -1)
    return X, y


def made(loss, intercept="unregularized", **params):
    kinds = {} if intercept != "none" else {"fit_intercept": False}
    kind = intercept if intercept != "none" else "unregularized"
    return hingex.LinearClassifier(loss, intercept=kind, **kinds, **params)


def parts(penalty):
    return {"l2": (0.0, 1.0), "l1": (1.0, 0.0), "elasticnet": (RATIO, 1 - RATIO)}[penalty]


def objective(loss, w, b, X, y, C, penalty, intercept, scaling=1.0):
    l1, l2 = parts(penalty)
    if intercept == "regularized":
        w = np.append(w, b / scaling)
    fit = np.asarray(C) * loss.phi(y * (X @ w[: X.shape[1]] + b))
    return l1 * np.abs(w).sum() + l2 / 2 * w @ w + fit.sum()


def gap(model, X, y, C, penalty, intercept, alpha, scaling=1.0):
    """Recomputed from a dual point alpha that is claimed to be feasible."""
    loss, l1, l2 = model.loss_, *parts(penalty)
    primal = objective(loss, model.coef_[0], model.intercept_[0], X, y, C, penalty, intercept)
    A = np.column_stack([X, np.full(len(X), scaling)]) if intercept == "regularized" else X
    v = (alpha * y) @ A
    if intercept == "unregularized":
        assert abs(alpha @ y) <= 1e-10 * np.abs(alpha).sum()
    if l2 == 0:
        assert (np.abs(v) <= l1 * (1 + 1e-9)).all()
        penalised = 0.0
    else:
        penalised = (np.maximum(np.abs(v) - l1, 0) ** 2).sum() / (2 * l2)
    dual = -(C * loss.conjugate(np.clip(-alpha / C, *loss.conjugate_domain))).sum() - penalised
    return primal, dual


# ------------------------------------------------------------------------ the optimum


@ALL
@PENALTIES
@INTERCEPTS
def test_certificate(loss, penalty, intercept):
    """The objectives are true: P recomputed, D recomputed from the solver's dual point."""
    from hingex import _validate, solvers
    from hingex.stop import Monitor

    X, y = data()
    C = np.random.default_rng(1).random(len(y)) + 0.1
    model = made(loss, intercept, penalty=penalty, l1_ratio=RATIO, tol=1e-8)
    model.fit(X, y, sample_weight=C)
    fit, _, _ = solvers.solve_penalized(
        _validate.as_rows(X), (y > 0).astype(np.int32), 2, loss=loss, penalty=penalty,
        l1_ratio=RATIO, C=1.0, cost=C, intercept=intercept, scaling=1.0, tol=1e-8, max_iter=1000,
        max_time=None, monitor=Monitor())
    assert_array_equal(fit.coef, model.coef_)
    primal, dual = gap(model, X, y, C, penalty, intercept, fit.dual[:, 0])
    assert_allclose(model.primal_objective_[0], primal, rtol=1e-11)
    assert_allclose(model.dual_objective_[0], dual, rtol=1e-9)
    assert dual <= primal * (1 + 1e-12)
    assert (primal - dual) / primal <= 1e-8 + 1e-12
    assert model.converged_
    assert model.duality_gap_[0] <= 1e-8
    last = model.history_[-1]
    assert last["certified"]
    assert_allclose(last["gap"], model.duality_gap_[0], atol=1e-15)


@pytest.mark.parametrize("loss", SMOOTH, ids=str)
@INTERCEPTS
def test_l2_beside_lbfgs(loss, intercept):
    X, y = data(seed=3)
    C = 0.7
    model = made(loss, intercept, C=C, tol=1e-10).fit(X, y)

    def value(wb):
        w, b = wb[:-1], wb[-1] if intercept != "none" else 0.0
        t = y * (X @ w + b)
        slope = C * y * loss.slope(t)
        last = slope.sum() + (b if intercept == "regularized" else 0)
        return (objective(loss, w, b, X, y, C, "l2", intercept),
                np.append(w + slope @ X, last if intercept != "none" else 0.0))

    best = minimize(value, np.zeros(X.shape[1] + 1), jac=True, method="L-BFGS-B",
                    options={"maxiter": 10000, "ftol": 1e-15, "gtol": 1e-9})
    assert_allclose(model.primal_objective_[0], best.fun, rtol=1e-8)
    assert model.primal_objective_[0] <= best.fun * (1 + 1e-10)
    assert_allclose(model.coef_[0], best.x[:-1], atol=2e-4)


@INTERCEPTS
@pytest.mark.parametrize("C", [0.02, 0.3, 10.0])
def test_l1_hinge_is_a_linear_program(intercept, C):
    X, y = data(n=60, d=8, seed=4)
    n, d = X.shape
    model = made("hinge", intercept, penalty="l1", C=C, tol=1e-7).fit(X, y)
    # w = p - q, b = r - s, slacks: all >= 0
    A = -np.column_stack([y[:, None] * X, -y[:, None] * X, y, -y, np.eye(n)])
    price = 1.0 if intercept == "regularized" else 0.0
    cost = np.concatenate([np.ones(2 * d), [price, price], np.full(n, C)])
    bounds = [(0, None)] * (2 * d) + [(0, 0 if intercept == "none" else None)] * 2
    found = linprog(cost, A, -np.ones(n), bounds=bounds + [(0, None)] * n, method="highs")
    assert_allclose(model.primal_objective_[0], found.fun, rtol=2e-7)


@pytest.mark.parametrize("loss", SMOOTH, ids=str)
@pytest.mark.parametrize("kind", ["dense", "csr"])
@pytest.mark.parametrize("wide", [False, True])
def test_l1_optimality_conditions(loss, kind, wide):
    X, y = data(n=60, d=150 if wide else 10, seed=5, shift=0.2)
    C = 0.2
    model = hingex.LinearClassifier(loss, penalty="l1", C=C, tol=1e-9)
    model.fit(sparse.csr_array(X) if kind == "csr" else X, y)
    w, b = model.coef_[0], model.intercept_[0]
    slope = C * y * loss.slope(y * (X @ w + b))
    g = slope @ X
    assert abs(slope.sum()) < 1e-6
    assert (np.abs(g[w == 0]) <= 1 + 1e-4).all()
    assert_allclose(g[w != 0], -np.sign(w[w != 0]), atol=1e-4)
    assert 0 < model.n_nonzero_[0] == np.count_nonzero(w)
    if wide:
        assert model.n_nonzero_[0] < 60


@PENALTIES
def test_narrow_and_wide_code_paths_agree(penalty, monkeypatch):
    """Few features: matrices are formed; many: conjugate gradients and sweeps over columns."""
    from hingex.solvers import l1_newton, newton_cg

    X, y = data(n=100, d=12, seed=6)
    for loss in (hl.Logistic(), hl.HuberizedHinge(0.3), 0.9 * hl.Hinge() + 0.1 * hl.Logistic()):
        for intercept in ("unregularized", "regularized", "none"):
            one = made(loss, intercept, penalty=penalty, tol=1e-9).fit(X, y)
            with monkeypatch.context() as patch:
                patch.setattr(newton_cg, "WIDEST", 0)
                patch.setattr(l1_newton, "NARROW", 0)
                two = made(loss, intercept, penalty=penalty, tol=1e-9).fit(X, y)
            assert two.converged_
            assert_allclose(two.primal_objective_, one.primal_objective_, rtol=2e-9)
            assert_allclose(two.coef_, one.coef_, atol=2e-3)


def test_extreme_costs_and_scales():
    X, y = data(n=200, d=5, seed=7)
    for factor in (1e-4, 1.0, 1e4):
        for C in (1e-6, 1e-2, 1e4):
            for penalty in ("l2", "l1"):
                for loss in (hl.Logistic(), hl.Hinge() + 0.1 * hl.Squared()):
                    model = hingex.LinearClassifier(loss, penalty=penalty, C=C, tol=1e-5)
                    model.fit(factor * X, y)
                    assert model.converged_, (factor, C, penalty, loss)


def test_perceptron_alone_is_least_at_zero():
    X, y = data()
    model = hingex.LinearClassifier("perceptron").fit(X, y)
    assert not model.coef_.any()
    assert model.duality_gap_[0] == model.primal_objective_[0] == 0


@pytest.mark.parametrize("loss", [hl.Hinge(0.25), 3 * hl.Hinge(2.0), 0.5 * hl.SquaredHinge(4.0)],
                         ids=str)
def test_svm_losses_are_handed_over(loss):
    X, y = data(seed=8)
    states = []
    model = hingex.LinearClassifier(loss, C=0.3, tol=1e-8, max_iter=5000, callback=states.append)
    model.fit(X, y)
    assert model.solver_ in ("dual_cd", "interior_point", "newton")
    other = hingex.LinearClassifier(loss, C=0.3, tol=1e-10, solver="newton_cg").fit(X, y)
    assert other.solver_ == "newton_cg"
    states = [state for state in states if not isinstance(state, bool)]
    assert_allclose(model.coef_, other.coef_, atol=1e-3)
    assert_allclose(model.primal_objective_, other.primal_objective_, rtol=2e-8)
    true = objective(loss, model.coef_[0], model.intercept_[0], X, y, 0.3, "l2", "unregularized")
    assert_allclose(model.primal_objective_[0], true, rtol=1e-10)
    assert_allclose(model.history_["primal"][-1], true, rtol=1e-4)
    assert_allclose(states[-1].primal, true, rtol=1e-4)


def test_mixtures_of_one_loss_are_that_loss():
    X, y = data(seed=9)
    one = hingex.LinearClassifier(hl.Logistic(), C=2.0, tol=1e-9).fit(X, y)
    two = hingex.LinearClassifier(2 * hl.Logistic(), C=1.0, tol=1e-9).fit(X, y)
    assert_allclose(one.coef_, two.coef_, atol=1e-8)
    assert_allclose(one.predict_proba(X), two.predict_proba(X), atol=1e-8)


# ------------------------------------------------------------------------ beside others


def sklearn_data(classes=2):
    datasets = pytest.importorskip("sklearn.datasets")
    return datasets.make_classification(300, 20, n_informative=8, n_classes=classes, flip_y=0.1,
                                        random_state=0)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@PENALTIES
def test_beside_logistic_regression(penalty):
    X, y = sklearn_data()
    linear_model = pytest.importorskip("sklearn.linear_model")
    ratio = {"l2": 0.0, "l1": 1.0, "elasticnet": RATIO}[penalty]
    theirs = linear_model.LogisticRegression(
        l1_ratio=ratio, penalty="elasticnet", solver="saga", C=0.1, tol=1e-9, max_iter=100000)
    theirs.fit(X, y)
    ours = hingex.LinearClassifier(penalty=penalty, l1_ratio=RATIO, C=0.1, tol=1e-9).fit(X, y)
    assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-5)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-5)


@pytest.mark.filterwarnings("ignore:Liblinear failed")
def test_beside_liblinear_l1():
    svm = pytest.importorskip("sklearn.svm")
    X, y = sklearn_data(3)
    theirs = svm.LinearSVC(penalty="l1", dual=False, C=0.05, tol=1e-8, max_iter=20000).fit(X, y)
    ours = hingex.LinearClassifier("squared_hinge", penalty="l1", C=0.05, tol=1e-9,
                                   intercept="regularized").fit(X, y)
    assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-5)
    assert_array_equal(ours.predict(X), theirs.predict(X))


@pytest.mark.filterwarnings("ignore:.*does not inherit from `sklearn.base.BaseEstimator`")
@pytest.mark.parametrize(("loss", "penalty"), [
    ("logistic", "l2"), (0.9 * hl.Hinge() + 0.1 * hl.Logistic(), "l2"), ("squared_hinge", "l2"),
    ("logistic", "l1"), ("hinge", "elasticnet")], ids=str)
def test_check_estimator(loss, penalty):
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    model = hingex.LinearClassifier(loss, penalty=penalty)
    results = checks.check_estimator(model, on_fail=None, on_skip=None)
    assert not [r for r in results if r["status"] not in ("passed", "skipped")]
    assert sum(r["status"] == "passed" for r in results) > 50


def test_pickle_clone_and_grid():
    X, y = sklearn_data()
    base = pytest.importorskip("sklearn.base")
    selection = pytest.importorskip("sklearn.model_selection")
    model = hingex.LinearClassifier(hl.HuberizedHinge(0.5)).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.decision_function(X), model.decision_function(X))
    assert base.clone(model).get_params() == model.get_params()
    search = selection.GridSearchCV(
        hingex.LinearClassifier(), {"loss": ["logistic", 0.5 * hl.Squared()],
                                    "penalty": ["l1", "l2"]}, cv=3).fit(X, y)
    assert search.best_score_ > 0.6


# ------------------------------------------------------------------------ weights and layouts


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["l2", "l1", "elasticnet"]),
       st.sampled_from([hl.Logistic(), hl.SquaredHinge(), hl.Hinge() + 0.5 * hl.Logistic()]))
def test_weights_are_repeated_rows(seed, penalty, loss):
    rng = np.random.default_rng(seed)
    X, y = data(n=25, d=4, seed=seed)
    y[:2] = -1, 1
    times = rng.integers(0, 4, len(y))
    times[:2] = 1
    model = hingex.LinearClassifier(loss, penalty=penalty, C=0.5, tol=1e-8)
    one = model.fit(X, y, sample_weight=times).decision_function(X)
    two = model.fit(np.repeat(X, times, axis=0), np.repeat(y, times)).decision_function(X)
    assert_allclose(one, two, atol=2e-6 * (1 + np.abs(two).max()))


@PENALTIES
@pytest.mark.parametrize("loss", [hl.Logistic(), 0.9 * hl.Hinge() + 0.1 * hl.Logistic()], ids=str)
def test_types_and_layouts_agree(loss, penalty):
    X, y = data(n=70, d=9, seed=11)
    X = X.astype(np.float32).astype(np.float64)
    X[np.abs(X) < 0.5] = 0

    def fit(A):
        before = A.data.tobytes() if sparse.issparse(A) else A.tobytes()
        model = hingex.LinearClassifier(loss, penalty=penalty, tol=1e-9).fit(A, y)
        assert before == (A.data.tobytes() if sparse.issparse(A) else A.tobytes())
        return model

    expected = fit(X)
    strided = np.zeros((140, 27))
    strided[::2, ::3] = X
    csr = sparse.csr_array(X)
    wide = sparse.csr_array((csr.data, csr.indices.astype(np.int64), csr.indptr.astype(np.int64)),
                            shape=csr.shape)
    read_only = X.copy()
    read_only.flags.writeable = False
    for A in (X.astype(np.float32), np.asfortranarray(X), strided[::2, ::3], csr, wide,
              csr.astype(np.float32), sparse.csc_array(X), read_only):
        got = fit(A)
        assert_allclose(got.coef_, expected.coef_, atol=1e-6)
        assert_allclose(got.intercept_, expected.intercept_, atol=1e-6)
        assert_allclose(got.primal_objective_, expected.primal_objective_, rtol=1e-10)


def test_class_weight_is_a_sample_weight():
    X, y = data(seed=12)
    factors = {-1: 0.25, 1: 3.0}
    one = hingex.LinearClassifier(class_weight=factors, tol=1e-10).fit(X, y)
    weights = np.where(y > 0, 3.0, 0.25)
    two = hingex.LinearClassifier(tol=1e-10).fit(X, y, sample_weight=weights)
    assert_array_equal(one.coef_, two.coef_)


def test_one_vs_rest_is_a_problem_for_each_class():
    X, y = sklearn_data(4)
    for params in ({"penalty": "l2"}, {"penalty": "l1"}, {"loss": "hinge", "penalty": "l1"}):
        model = hingex.LinearClassifier(tol=1e-8, C=0.2, **params).fit(X, y)
        assert model.coef_.shape == (4, 20)
        for k in range(4):
            one = hingex.LinearClassifier(tol=1e-8, C=0.2, **params).fit(X, y == k)
            assert_allclose(model.coef_[k], one.coef_[0], atol=1e-3)
            assert_allclose(model.primal_objective_[k], one.primal_objective_[0], rtol=2e-8)


# ------------------------------------------------------------------------ probabilities


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("loss", ["logistic", "exponential", "modified_huber", "squared",
                                  "squared_hinge"])
def test_probabilities(loss, classes):
    X, y = sklearn_data(classes)
    model = hingex.LinearClassifier(loss, C=0.1).fit(X, y)
    p, f = model.predict_proba(X), model.decision_function(X)
    assert p.shape == (300, classes)
    assert (p >= 0).all()
    assert_allclose(p.sum(axis=1), 1, atol=1e-12)
    assert_array_equal(model.classes_[p.argmax(axis=1)], model.predict(X))
    link = {"logistic": lambda f: 1 / (1 + np.exp(-f)),
            "exponential": lambda f: 1 / (1 + np.exp(-2 * f))}.get(
                loss, lambda f: (np.clip(f, -1, 1) + 1) / 2)
    expected = link(f)
    if classes == 2:
        assert_allclose(p[:, 1], expected, atol=1e-14)
    else:
        assert_allclose(p, expected / expected.sum(axis=1, keepdims=True), atol=1e-12)


def test_probabilities_of_ties():
    model = hingex.LinearClassifier("modified_huber").fit([[0.0], [1], [2], [3]], [0, 0, 1, 2])
    model.coef_ = np.array([[3.0], [5.0], [4.0]])
    model.intercept_ = np.zeros(3)
    for x in (1.0, -1.0, 0.0):
        p = model.predict_proba([[x]])
        assert p[0].argmax() == model.predict([[x]])[0]
        assert_allclose(p.sum(), 1)


def test_no_probabilities_of_other_losses():
    X, y = data()
    for loss in ("hinge", "huberized_hinge", hl.Hinge() + hl.Logistic()):
        model = hingex.LinearClassifier(loss)
        assert not hasattr(model, "predict_proba")
        model.fit(X, y)
        with pytest.raises(AttributeError, match="CalibratedClassifier"):
            _ = model.predict_proba
    assert hasattr(hingex.LinearClassifier(), "predict_proba")


# ------------------------------------------------------------------------ refusals and the rest


@pytest.mark.parametrize("loss", ["savage", "ramp", "sigmoid", "zero_one", hl.Ramp(-0.5),
                                  hl.Hinge() + 0.5 * hl.Savage(), -1 * hl.Logistic()], ids=str)
def test_losses_without_a_certificate(loss):
    with pytest.raises(UnsuitableError, match=r"not convex.*Hinge.*Logistic"):
        hingex.LinearClassifier(loss).fit(None, None)  # before the data are looked at


@pytest.mark.parametrize(("params", "text"), [
    ({"solver": "newton_cg", "penalty": "l1"}, "solved by solver 'auto' or 'l1_newton'"),
    ({"solver": "l1_newton"}, "solved by solver 'auto' or 'newton_cg'"),
    ({"solver": "dual_cd"}, "it is for positive multiples of Hinge"),
    ({"solver": "interior_point", "loss": "squared_hinge"}, "'newton_cg' or 'dual_cd' or 'newton'"),
    ({"loss": 0 * hl.Hinge()}, "is zero"),
])
def test_solvers_say_what_they_are_for(params, text):
    with pytest.raises(UnsuitableError, match=text):
        hingex.LinearClassifier(**params).fit(*data())


@pytest.mark.parametrize(("params", "text"), [
    ({"loss": "logit"}, "loss must be a margin loss of hingex.losses or 'hinge' or"),
    ({"loss": hl.CrossEntropy()}, "loss must be a margin loss"),
    ({"penalty": "l3"}, "penalty must be"),
    ({"l1_ratio": 1.5}, r"l1_ratio must lie in 0\.\.1"),
    ({"C": 0}, "C must be a positive number"),
    ({"solver": "sgd"}, "solver must be"),
    ({"intercept": "no"}, "intercept must be"),
    ({"tol": -1}, "tol must be"),
    ({"max_iter": 0}, "max_iter must be"),
])
def test_parameters_out_of_range(params, text):
    with pytest.raises(ValueError, match=text):
        hingex.LinearClassifier(**params).fit(*data())


def test_limits_and_callbacks():
    X, y = data(n=400, d=30, seed=13)
    for penalty in ("l2", "l1"):
        with pytest.warns(hingex.ConvergenceWarning, match=r"max_iter=1 was reached"):
            model = hingex.LinearClassifier("exponential", penalty=penalty, max_iter=1, C=100,
                                            tol=1e-12).fit(X, y)
        assert not model.converged_
        assert np.isfinite(model.coef_).all()
        with pytest.warns(hingex.ConvergenceWarning, match="callback stopped"):
            hingex.LinearClassifier(penalty=penalty, tol=1e-14, callback=lambda s: True).fit(X, y)
        with pytest.warns(hingex.ConvergenceWarning, match="max_time"):
            hingex.LinearClassifier(penalty=penalty, tol=1e-15, max_time=1e-9).fit(X, y)

        def interrupt(state):
            raise KeyboardInterrupt

        model = hingex.LinearClassifier(penalty=penalty, tol=1e-14, callback=interrupt)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
        assert model.coef_.shape == (1, 30)


@pytest.mark.parametrize(("loss", "penalty"), [("logistic", "l2"), ("logistic", "l1"),
                                               ("hinge", "l2"), ("hinge", "l1")])
def test_warm_start(loss, penalty):
    X, y = data(n=3000, d=40, seed=14)
    # Left to itself the SVM has two solvers, whose iterations do not compare.
    solver = "newton" if (loss, penalty) == ("hinge", "l2") else "auto"
    model = hingex.LinearClassifier(loss, penalty=penalty, solver=solver, warm_start=True,
                                    tol=1e-4, C=0.1)  # fmt: skip
    model.fit(X, y)
    first = model.n_iter_
    model.fit(X, y)
    assert model.n_iter_ <= max(first / 2, 2)
    model.fit(X[:2900], y[:2900])  # other rows will do
    assert model.converged_
    with pytest.raises(ValueError, match="warm_start needs the features and classes"):
        model.fit(X[:, :5], y)


@pytest.mark.parametrize("loss", ["logistic", hl.HuberizedHinge(0.25, margin=2.0),
                                  0.9 * hl.Hinge() + 0.1 * hl.Logistic(), 2 * hl.Squared()],
                         ids=str)
def test_model_files(loss, tmp_path):
    X, y = sklearn_data(3)
    model = hingex.LinearClassifier(loss, penalty="elasticnet", l1_ratio=0.25).fit(X, y)
    model.save(tmp_path / "m")
    again = hingex.load(tmp_path / "m")
    assert type(again) is hingex.LinearClassifier
    assert again.get_params() == model.get_params()
    assert again.loss_ == model.loss_
    assert_array_equal(again.decision_function(X), model.decision_function(X))
    assert hasattr(again, "predict_proba") == hasattr(model, "predict_proba")


def test_model_files_with_lying_losses():
    from hingex.model_io import _decode

    for parts in ([], [[1, "hinge"]], [[1, "os.system", {"dict": []}]], [["x", "hinge", {}]],
                  [[1, "hinge", {"dict": [["wrong", 1]]}]], [[1, "hinge", {"dict": []}]] * 17,
                  [[10**400, "hinge", {"dict": []}]], [[True, "hinge", {"dict": []}]] * 2):
        with pytest.raises(ValueError, match=r"loss|object|unexpected"):
            _decode({"loss": parts})
    assert _decode({"loss": [[1.0, "hinge", {"dict": [["margin", 2.0]]}]]}) == hl.Hinge(2.0)
