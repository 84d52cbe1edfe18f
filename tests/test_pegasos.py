# SPDX-License-Identifier: BSD-3-Clause
"""Stochastic steps: each against its formula in NumPy, their limits against certified optima."""

import copy
import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

import hingex
from hingex import (
    AROWClassifier,
    ConvergenceWarning,
    LinearClassifier,
    NotFittedError,
    PassiveAggressiveClassifier,
    PegasosClassifier,
    losses,
)

MODELS = [PegasosClassifier(random_state=0), PassiveAggressiveClassifier(random_state=0),
          AROWClassifier(random_state=0)]
NAMED = {"hinge": losses.Hinge, "squared_hinge": losses.SquaredHinge, "logistic": losses.Logistic,
         "huberized_hinge": losses.HuberizedHinge}
IDS = ["pegasos", "passive_aggressive", "arow"]


def blobs(n=300, d=8, classes=2, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    centres = rng.standard_normal((classes, d))
    return centres[y] + spread * rng.standard_normal((n, d)), y


def signs(model, y):
    classes = model.classes_
    positive = classes[1:] if len(classes) == 2 else classes
    return np.where(np.asarray(y)[:, None] == positive, 1, -1)


def objective(model, X, y, loss="hinge", weight=None, size=np.inf):
    """Summed over the lanes, from coef_ and intercept_ alone."""
    f = X @ model.coef_.T + model.intercept_
    phi = NAMED[loss]() if isinstance(loss, str) else loss
    values = np.array([phi.value(s.astype(float), np.ascontiguousarray(g), reduction="none")
                       for s, g in zip(signs(model, y).T, f.T, strict=True)]).T
    weight = np.ones(len(values)) if weight is None else weight
    own = (model.coef_**2).sum() + (model.intercept_**2).sum() / size
    return 0.5 * model.alpha_ * own + (weight[:, None] * values).mean(axis=0).sum()


class Reference:
    """The steps as the papers have them, with w itself; the average of w every 8 d nonzeros."""

    def __init__(self, d, lanes, alpha, delay, constant=0.0, penalized=False, radius=np.inf):
        self.w, self.b = np.zeros((d, lanes)), np.zeros(lanes)
        self.total_w, self.total_b, self.t = np.zeros((d, lanes)), np.zeros(lanes), 0
        self.taken = self.since = 0
        self.alpha, self.delay, self.radius = alpha, delay, radius
        self.constant, self.penalized = constant, penalized

    def step(self, X, y, slope, weight=None, sparse=False):
        """X (k, d), y (k, lanes): signs; slope: phi'."""
        self.t += 1
        eta = 1 / (self.alpha * (self.t + self.delay))
        weight = np.ones(len(X)) if weight is None else weight
        part = weight[:, None] * y * slope(y * (X @ self.w + self.b)) / len(X)
        shift = self.constant**2 * (
            1 if self.penalized else np.sqrt(1 + self.t / self.delay))
        self.w = (1 - eta * self.alpha) * self.w - eta * X.T @ part
        keep = 1 - eta * self.alpha if self.penalized else 1
        self.b = keep * self.b - eta * shift * part.sum(axis=0)
        norm = np.linalg.norm(self.w, axis=0)
        ratio = np.minimum(1, self.radius / np.maximum(norm, 1e-300))
        self.w = self.w * ratio
        if self.penalized:
            self.b = self.b * ratio
        stored = (X != 0) if sparse else np.ones(X.shape, dtype=bool)
        self.since += stored[weight > 0].sum()
        if self.since >= 8 * X.shape[1]:
            self.total_w, self.total_b = self.sums()
            self.taken, self.since = self.t, 0

    def sums(self):
        share = (self.t * (self.t + 1) - self.taken * (self.taken + 1)) / 2
        return self.total_w + share * self.w, self.total_b + share * self.b

    def average(self):
        total = self.t * (self.t + 1) / 2
        return self.sums()[0] / total, self.sums()[1] / total


SLOPES = {
    "hinge": lambda m: -(m < 1).astype(float),
    "squared_hinge": lambda m: -2 * np.maximum(0, 1 - m),
    "logistic": lambda m: -1 / (1 + np.exp(m)),
}
SMOOTH = {"hinge": 1.0, "squared_hinge": 2.0, "logistic": 0.25}


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("intercept", ["none", "regularized", "unregularized"])
@pytest.mark.parametrize("loss", SLOPES)
def test_steps_are_those_of_the_formula(loss, intercept, classes):
    X, y = blobs(n=60, d=5, classes=classes)
    weight = np.random.default_rng(1).uniform(0, 2, len(X))
    weight[::7] = 0
    alpha, mean_square = 0.05, float((X**2).sum(axis=1).mean())
    kind = {"fit_intercept": False} if intercept == "none" else {
        "intercept": intercept, "intercept_scaling": 2.0}
    constant = {"none": 0.0, "regularized": 2.0, "unregularized": 0.1 * mean_square**0.5}[intercept]
    delay = max(1.0, SMOOTH[loss] * (mean_square + constant**2) / alpha)
    for average in (True, False):
        # The whole set is the batch: one step an epoch, whatever the order.
        model = PegasosClassifier(loss, alpha=alpha, batch_size=60, average=average, max_iter=40,
                                  early_stopping=None, **kind).fit(X, y, weight)
        ref = Reference(5, len(model.classes_) if classes > 2 else 1, alpha, delay, constant,
                        intercept == "regularized")
        for _ in range(40):
            ref.step(X, signs(model, y), SLOPES[loss], weight)
        w, b = ref.average() if average else (ref.w, ref.b)
        assert_allclose(model.coef_, w.T, rtol=1e-9, atol=1e-12)
        assert_allclose(model.intercept_, b, rtol=1e-9, atol=1e-12)
        assert model.t_ == 40


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("projection", [False, True])
def test_row_after_row(projection, sparse):
    X, y = blobs(n=80, d=6, classes=3, seed=3)
    X[np.abs(X) < 0.5] = 0
    X[0] *= 40  # the first step is too long for the ball
    alpha = 2.0
    model = PegasosClassifier(alpha=alpha, projection=projection, fit_intercept=False)
    mean_square = float((X[0] ** 2).sum())
    ref = Reference(6, 3, alpha, max(1.0, mean_square / alpha), radius=np.inf)
    if projection:
        ref.radius = np.sqrt(1 / alpha)
    inside = True
    for i in range(len(X)):
        block = csr_array(X[i : i + 1]) if sparse else X[i : i + 1]
        model.partial_fit(block, y[i : i + 1], classes=[0, 1, 2])
        ref.step(X[i : i + 1], signs(model, y[i : i + 1]), SLOPES["hinge"], sparse=sparse)
        inside &= bool((np.linalg.norm(ref.w, axis=0) <= ref.radius * (1 + 1e-12)).all())
        assert_allclose(model.coef_, ref.average()[0].T, rtol=1e-8, atol=1e-12)
    assert inside


def test_scale_is_multiplied_out_before_it_is_lost():
    # Every projection divides the scale by 1e6 or so.
    rng = np.random.default_rng(0)
    X = 1e6 * rng.standard_normal((30, 4))
    y = rng.integers(0, 2, 30)
    y[:2] = 0, 1
    model = PegasosClassifier(alpha=1.0, projection=True, fit_intercept=False)
    # No such delay comes from data: one row of norm 1 sets it.
    model.partial_fit([[1.0, 0, 0, 0]], [1], classes=[0, 1])
    ref = Reference(4, 1, 1.0, 1.0, radius=1.0)
    ref.step(np.array([[1.0, 0, 0, 0]]), np.array([[1]]), SLOPES["hinge"])
    for i in range(30):
        model.partial_fit(X[i : i + 1], y[i : i + 1])
        ref.step(X[i : i + 1], signs(model, y[i : i + 1]), SLOPES["hinge"])
    assert_allclose(model.coef_, ref.average()[0].T, rtol=1e-5)


def passive(variant, C, X, y, weight, constant=1.0):
    w, b = np.zeros(X.shape[1]), 0.0
    for x, sign, c in zip(X, y, weight, strict=True):
        loss = max(0.0, 1 - sign * (x @ w + b))
        q = x @ x + constant
        if c == 0 or loss == 0:
            continue
        tau = {"PA": loss / q, "PA-I": min(C * c, loss / q),
               "PA-II": loss / (q + 1 / (2 * C * c))}[variant]
        w, b = w + tau * sign * x, b + tau * sign * constant
    return w, b


@pytest.mark.parametrize("variant", ["PA", "PA-I", "PA-II"])
@pytest.mark.parametrize("C", [0.02, 1.0])
def test_passive_aggressive_steps(variant, C):
    X, y = blobs(n=100, d=5)
    weight = np.random.default_rng(1).uniform(0, 2, 100)
    weight[::9] = 0
    model = PassiveAggressiveClassifier(variant, C=C)
    for i in range(100):
        model.partial_fit(X[i : i + 1], y[i : i + 1], [0, 1], weight[i : i + 1])
    w, b = passive(variant, C, X, 2 * y - 1, weight)
    assert_allclose(model.coef_[0], w, rtol=1e-6)  # norms are of single precision
    assert_allclose(model.intercept_[0], b, rtol=1e-6)


def test_hard_passive_aggressive_step_corrects_its_row():
    X, y = blobs(n=40, d=5, seed=2)
    model = PassiveAggressiveClassifier("PA")
    for i in range(40):
        model.partial_fit(X[i : i + 1], y[i : i + 1], [0, 1])
        assert (2 * y[i] - 1) * model.decision_function(X[i : i + 1])[0] >= 1 - 1e-6


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_arow_steps(fit_intercept):
    X, y = blobs(n=100, d=5)
    weight = np.random.default_rng(1).uniform(0, 2, 100)
    weight[::9] = 0
    r = 0.7
    model = AROWClassifier(r, fit_intercept=fit_intercept)
    Xa = np.hstack([X, np.full((100, 1), float(fit_intercept))])
    w, S = np.zeros(6), np.ones(6)
    for i in range(100):
        model.partial_fit(csr_array(X[i : i + 1]), y[i : i + 1], [0, 1], weight[i : i + 1])
        x, sign = Xa[i], 2 * y[i] - 1
        loss = max(0.0, 1 - sign * (x @ w))
        if loss > 0 and weight[i] > 0:
            q = S @ x**2 + r / weight[i]
            w = w + loss / q * sign * S * x
            S = S - (S * x) ** 2 / q
    assert_allclose(model.coef_[0], w[:5], rtol=1e-10)
    assert_allclose(model.intercept_[0], w[5], rtol=1e-10, atol=1e-15)


def test_error_falls_as_one_over_alpha_t():
    # Lacoste-Julien et al. (2012): E P(average) - P* <= 2 G^2 / (alpha (T + 1)), G^2 >= E |g|^2;
    # its steps are twice as long, so it is the order of the bound that holds here.
    X, y = blobs(n=400, d=20, seed=5, spread=3.0)
    G2 = float((X**2).sum(axis=1).mean())
    told = 0
    for alpha in (1e-1, 1e-2):
        best = hingex.LinearSVC(C=1 / (alpha * 400), fit_intercept=False, tol=1e-9,
                                loss="hinge").fit(X, y).primal_objective_[0] * alpha
        last = np.inf
        for epochs in (5, 20, 80, 320):
            found = np.mean([
                objective(PegasosClassifier(alpha=alpha, fit_intercept=False, max_iter=epochs,
                                            early_stopping=None, random_state=seed).fit(X, y), X, y)
                for seed in range(3)])
            T = 400 * epochs
            assert best - 1e-9 <= found <= best + 0.1 * G2 / (alpha * T)
            if G2 / alpha < T:  # before that, steps are of one length: 1 / T is not told yet
                assert found - best < last / 2.8  # exactly 1 / T would be a fourth
                told += 1
                last = found - best
    assert told == 6


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge", "logistic", "huberized_hinge",
                                  0.9 * losses.Hinge() + 0.1 * losses.Logistic()])
@pytest.mark.parametrize("options", [{}, {"intercept": "regularized"}, {"batch_size": 10}])
@pytest.mark.parametrize("classes", [2, 3])
def test_comes_to_the_optimum(loss, options, classes):
    X, y = blobs(n=500, d=6, classes=classes, seed=7)
    intercept = options.get("intercept", "unregularized")
    exact = LinearClassifier(loss, intercept=intercept, tol=1e-6).fit(X, y)
    model = PegasosClassifier(loss, max_iter=300, early_stopping=None, random_state=0,
                              **options).fit(X, y)
    assert model.alpha_ == 1 / 500
    exact.alpha_ = model.alpha_
    size = 1.0 if intercept == "regularized" else np.inf
    best = objective(exact, X, y, loss, size=size)
    assert best * (1 - 1e-6) <= objective(model, X, y, loss, size=size) <= best * 1.01


def test_weights_of_rows_and_classes():
    X, y = blobs(n=400, d=5, seed=9)
    weight = np.random.default_rng(0).uniform(0, 3, 400)
    class_weight = {0: 0.5, 1: 2.0}
    both = weight * np.where(y == 0, 0.5, 2.0)
    exact = hingex.LinearSVC(loss="hinge", tol=1e-8).fit(X, y, both)
    model = PegasosClassifier(class_weight=class_weight, max_iter=400, early_stopping=None,
                              random_state=0).fit(X, y, weight)
    exact.alpha_ = model.alpha_
    best = objective(exact, X, y, weight=both)
    assert best - 1e-9 <= objective(model, X, y, weight=both) <= 1.01 * best
    same = PegasosClassifier(max_iter=400, early_stopping=None, random_state=0).fit(X, y, both)
    assert_array_equal(same.coef_, model.coef_)


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_rows_of_weight_zero_teach_nothing(model):
    X, y = blobs(n=100, d=4)
    X[50:] = 1e3
    weight = np.r_[np.ones(50), np.zeros(50)]
    changed = X.copy()
    changed[50:] = -7.0
    state = copy.deepcopy(model).partial_fit(X[:1], y[:1], [0, 1])
    first = copy.deepcopy(state).partial_fit(X, y, sample_weight=weight)
    second = copy.deepcopy(state).partial_fit(changed, y, sample_weight=weight)
    assert_array_equal(first.coef_, second.coef_)
    assert np.abs(first.coef_).max() > 0


@pytest.mark.parametrize("model", MODELS, ids=IDS)
@pytest.mark.parametrize("classes", [2, 5])
def test_same_bits_whatever_the_threads(model, classes):
    X, y = blobs(n=20000, d=60, classes=classes)  # enough for threads to be used
    X = csr_array((X * (np.abs(X) > 0.7)).astype(np.float32))
    assert classes == 2 or X.nnz * classes > 2e6
    model = copy.deepcopy(model).set_params(max_iter=3, early_stopping=None)
    fits = [copy.deepcopy(model).set_params(n_jobs=n).fit(X, y) for n in (1, 2, 3)]
    with ThreadPoolExecutor(4) as pool:
        fits += list(pool.map(lambda _: copy.deepcopy(model).fit(X, y), range(4)))
    for other in fits[1:]:
        assert_array_equal(other.coef_, fits[0].coef_)
        assert_array_equal(other.intercept_, fits[0].intercept_)
    assert not np.array_equal(
        copy.deepcopy(model).set_params(random_state=1).fit(X, y).coef_, fits[0].coef_)


@pytest.mark.parametrize("model", MODELS, ids=IDS)
@pytest.mark.parametrize("classes", [2, 4])
def test_layouts_and_types_learn_the_same(model, classes):
    X, y = blobs(n=300, d=20, classes=classes)
    X = (X * (np.abs(X) > 0.7)).astype(np.float32)
    dense = X.astype(np.float64)
    model = copy.deepcopy(model).set_params(max_iter=5, early_stopping=None)
    exact = copy.deepcopy(model).fit(dense, y)
    # A row's place in the order depends on the number of stored values only for CSR.
    for other in (np.asfortranarray(dense), X):
        assert_allclose(copy.deepcopy(model).fit(other, y).coef_, exact.coef_, rtol=1e-3, atol=1e-4)
    sparse = copy.deepcopy(model).fit(csr_array(dense), y)
    wide = csr_array(X)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    for other in (wide, csr_array(X)):
        found = copy.deepcopy(model).fit(other, y)
        assert_allclose(found.coef_, sparse.coef_, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("model", MODELS, ids=IDS)
@pytest.mark.parametrize("how", ["pickle", "deepcopy"])
def test_goes_on_after_a_copy(model, how):
    X, y = blobs(n=200, d=6, classes=3)
    whole = copy.deepcopy(model)
    for begin in range(0, 200, 20):
        whole.partial_fit(X[begin : begin + 20], y[begin : begin + 20], [0, 1, 2])
    half = copy.deepcopy(model)
    for begin in range(0, 200, 20):
        half = pickle.loads(pickle.dumps(half)) if how == "pickle" else copy.deepcopy(half)
        half.partial_fit(X[begin : begin + 20], y[begin : begin + 20], [0, 1, 2])
    assert_array_equal(half.coef_, whole.coef_)
    assert_array_equal(half.intercept_, whole.intercept_)
    assert half.t_ == whole.t_ == 200
    assert half.score(X, y) > 0.6


def test_partial_fit_goes_on_from_fit():
    X, y = blobs(n=200, d=6)
    model = PegasosClassifier(max_iter=2, early_stopping=None, random_state=0).fit(X, y)
    before = model.coef_.copy()
    model.partial_fit(X, y)
    # The third epoch of a longer fit.
    longer = PegasosClassifier(max_iter=3, early_stopping=None, random_state=0).fit(X, y)
    assert_array_equal(model.coef_, longer.coef_)
    assert not np.array_equal(model.coef_, before)
    assert model.alpha_ == 1 / 200
    assert not hasattr(model, "history_")


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_saved_model_predicts(model, tmp_path):
    X, y = blobs(n=100, d=6, classes=3)
    model = copy.deepcopy(model).set_params(max_iter=50)
    for begin in (0, 50):  # the weights have not been asked for before
        model.partial_fit(X[begin : begin + 50], y[begin : begin + 50], [0, 1, 2])
    model.save(tmp_path / "m")
    loaded = hingex.load(tmp_path / "m")
    assert type(loaded) is type(model)
    assert_array_equal(loaded.decision_function(X), model.decision_function(X))
    with pytest.raises(ValueError, match="keeps what predicts, not what learns"):
        loaded.partial_fit(X, y, [0, 1, 2])
    assert loaded.fit(X, y).score(X, y) > 0.6


def test_objective_in_the_history():
    # With one row in a batch and w changing little, the losses as seen are near those at the end.
    X, y = blobs(n=400, d=6, classes=3)
    model = PegasosClassifier(max_iter=200, early_stopping=None, random_state=0,
                              average=False).fit(X, y)
    assert model.history_["epoch"].tolist() == list(range(1, 201))
    assert_allclose(model.history_["primal"][-1], objective(model, X, y), rtol=0.02)
    assert (np.diff(model.history_["seconds"]) >= 0).all()


@pytest.mark.parametrize("model", MODELS, ids=IDS)
@pytest.mark.parametrize("kind", ["objective", "validation"])
def test_early_stopping(model, kind):
    X, y = blobs(n=300, d=6, classes=3)
    model = copy.deepcopy(model).set_params(early_stopping=kind, tol=0.02)
    model.fit(X, y)
    assert model.converged_
    assert 2 <= model.n_iter_ < 100
    primal = model.history_["primal"]
    assert len(primal) == model.n_iter_
    if kind == "objective":
        best = np.minimum.accumulate(primal)
        late = primal[-2:] >= best[-3] * (1 - 0.02)
        assert late.all()


def test_held_out_rows_teach_nothing():
    X, y = blobs(n=100, d=4)
    options = dict(early_stopping="validation", validation_fraction=0.3, max_iter=3, tol=1e-9,
                   n_iter_no_change=50, alpha=0.1, fit_intercept=False, random_state=0)
    with pytest.warns(ConvergenceWarning):
        model = PegasosClassifier(**options).fit(X, y)
    learned = model._hold_out(X, y, y, None, model._options())[3] > 0
    assert learned.sum() == 70
    assert y[learned].sum() == 35
    options["early_stopping"] = None
    weighed = PegasosClassifier(**options).fit(X, y, learned.astype(float))
    assert_allclose(model.coef_, weighed.coef_, rtol=1e-12)


def test_warns_when_it_was_still_making_progress():
    X, y = blobs(n=300, d=6)
    with pytest.warns(ConvergenceWarning, match=r"still making progress when max_iter"):
        PegasosClassifier(max_iter=2).fit(X, y)


def test_callback_and_bar():
    X, y = blobs(n=100, d=4)
    seen = []
    model = PegasosClassifier(
        early_stopping=None, callback=lambda s: seen.append(s) or len(seen) == 3
    ).fit(X, y)
    assert model.n_iter_ == 3
    assert not model.converged_
    assert [s.epoch for s in seen] == [1, 2, 3]
    assert all(np.isnan(s.gap) for s in seen)
    text = io.StringIO()
    with redirect_stderr(text):
        PegasosClassifier(max_iter=5, early_stopping=None, verbose=True).fit(X, y)
    assert "objective" in text.getvalue()
    assert "100%" in text.getvalue()


def test_interrupt_keeps_a_model():
    X, y = blobs(n=100, d=4)

    def stop(state):
        if state.epoch == 2:
            raise KeyboardInterrupt

    model = PegasosClassifier(callback=stop)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.score(X, y) > 0.6
    assert model.n_iter_ == 2


def test_max_time():
    X, y = blobs(n=3000, d=50)
    with pytest.warns(ConvergenceWarning, match="max_time"):
        model = PegasosClassifier(max_iter=10**6, tol=1e-12, n_iter_no_change=10**6,
                                  max_time=0.2).fit(X, y)
    assert 0.1 < model.history_["seconds"][-1] < 0.3


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_odd_rows(model):
    # Empty rows, a feature that never occurs, features beyond those of a row.
    X = csr_array(np.array([[0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 2, 0]], dtype=float))
    model = copy.deepcopy(model).set_params(max_iter=50).fit(X, [0, 0, 1, 1])
    assert np.isfinite(model.coef_).all()
    assert model.coef_[0, 2] == 0
    assert_array_equal(model.predict(X)[[1, 3]], [0, 1])


def test_bad_input():
    X, y = blobs(n=50, d=4)
    for parameter, value, message in [
        ("alpha", 0.0, "alpha"), ("alpha", -1, "alpha"), ("alpha", np.nan, "alpha"),
        ("C", 0, "C must"), ("batch_size", 0, "batch_size"), ("batch_size", 1.5, "batch_size"),
        ("projection", "yes", "projection"), ("average", 1.5, "average"),
        ("early_stopping", "loss", "early_stopping"),
        ("validation_fraction", 1.0, "between 0 and 1"),
        ("n_iter_no_change", 0, "n_iter_no_change"), ("max_iter", 0, "max_iter"),
        ("loss", "savage", "not convex"), ("loss", "hinges", "hinge"), ("tol", 0, "tol"),
    ]:
        model = PegasosClassifier(**{parameter: value})
        with pytest.raises((ValueError, TypeError), match=message):
            model.fit(X, y)
        with pytest.raises((ValueError, TypeError), match=message):
            model.partial_fit(X, y, [0, 1])
    with pytest.raises(ValueError, match="variant"):
        PassiveAggressiveClassifier("PA-III").fit(X, y)
    with pytest.raises(ValueError, match="r must"):
        AROWClassifier(0).fit(X, y)
    with pytest.raises(ValueError, match="leaves no row to validate on"):
        PegasosClassifier(early_stopping="validation", validation_fraction=0.01).fit(X, y)
    bad = X.copy()
    bad[3, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        PegasosClassifier().fit(bad, y)
    with pytest.raises(NotFittedError):
        PegasosClassifier().predict(X)
    with pytest.raises(AttributeError):
        _ = PegasosClassifier().coef_


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_bad_blocks(model):
    X, y = blobs(n=50, d=4)
    model = copy.deepcopy(model)
    with pytest.raises(ValueError, match="needs classes"):
        model.partial_fit(X, y)
    model.partial_fit(X, y, [0, 1])
    before = model.coef_.copy()
    for args, message in [
        ((X, np.where(y == 1, 5, 0)), r"y\[1\] is 5, which is not among the classes"),
        ((X[:, :3], y), "features"), ((X, y, [0, 1, 2]), "classes are"), ((X, y[:-1]), "50"),
        ((X, y, None, -np.ones(50)), "sample_weight"), ((X, y.astype(str)), "str"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.partial_fit(*args)
    with pytest.raises(ValueError, match="balanced"):
        copy.deepcopy(model).set_params(class_weight="balanced").partial_fit(X, y)
    assert_array_equal(model.coef_, before)  # nothing learned from a refused block


def test_growth_is_told():
    X, y = blobs(n=50, d=3)
    model = PegasosClassifier("exponential", alpha=1e-9, max_iter=50, fit_intercept=False)
    with pytest.raises(FloatingPointError, match="scale the features"):
        model.fit(1e5 * X, y)
    with pytest.raises(ValueError, match="scale the features"):
        model.fit(1e25 * X, y)
