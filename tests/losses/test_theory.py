# SPDX-License-Identifier: BSD-3-Clause
"""Bounds checked on distributions and data where the truth can be computed; names of penalties."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize

import hingex
import hingex.losses as hl

LOSSES = [
    hl.Hinge(), hl.Hinge(0.5), hl.Hinge(2.0), hl.SquaredHinge(), hl.SquaredHinge(3.0),
    hl.HuberizedHinge(delta=0.5), hl.SmoothHinge(), hl.ModifiedHuber(), hl.SoftplusHinge(beta=2.0),
    hl.Perceptron(), hl.Logistic(), hl.Exponential(), hl.Squared(), hl.Savage(), hl.Ramp(),
    hl.ZeroOne(), 0.9 * hl.Hinge() + 0.1 * hl.Logistic(),
]  # fmt: skip
EACH_LOSS = pytest.mark.parametrize("loss", LOSSES, ids=str)

# ------------------------------------------------------------------------------- excess risk


@pytest.mark.parametrize(("loss", "inverse"), [
    (hl.Hinge(), lambda r: r), (hl.Hinge(2.0), lambda r: r / 2), (hl.SquaredHinge(), np.sqrt),
    (hl.SquaredHinge(2.0), lambda r: np.sqrt(r) / 2), (hl.Squared(), np.sqrt),
    (hl.ModifiedHuber(), np.sqrt), (hl.Savage(), np.sqrt), (hl.Ramp(), lambda r: r),
    (hl.ZeroOne(), lambda r: r), (hl.Exponential(), lambda r: np.sqrt(1 - (1 - r) ** 2)),
    (hl.SmoothHinge(), lambda r: (r + np.sqrt(r * r + 4 * r)) / 2),
    (3 * hl.Hinge(), lambda r: r / 3),
], ids=str)  # fmt: skip
def test_inverse_of_psi_in_closed_form(loss, inverse):
    risk = np.array([1e-6, 0.001, 0.1, 0.25, 0.4])
    assert_allclose(hl.excess_risk_bound(loss, risk), inverse(risk), rtol=1e-9)


@EACH_LOSS
def test_inverse_of_psi(loss):
    theta = np.array([0.01, 0.3, 0.77, 1.0])
    if not loss.is_classification_calibrated:
        assert_array_equal(hl.excess_risk_bound(loss, [0.0, 0.5]), [1, 1])
        return
    assert_allclose(hl.excess_risk_bound(loss, loss.psi(theta)), theta, rtol=1e-6)
    assert hl.excess_risk_bound(loss, 0.0) == 0
    assert_array_equal(hl.excess_risk_bound(loss, [[100.0], [np.inf]]), [[1], [1]])
    assert hl.excess_risk_bound(loss, np.empty((0, 2))).shape == (0, 2)


@EACH_LOSS
def test_the_bound_holds_for_every_distribution(loss):
    """Discrete distributions, so that all four risks are finite sums."""
    rng = np.random.default_rng(0)
    excess, excess_phi = [], []
    for _ in range(300):
        atoms = rng.integers(1, 5)
        p = rng.dirichlet(np.ones(atoms))
        eta = rng.choice([rng.random(atoms), 0.5 + 0.1 * (rng.random(atoms) - 0.5)])
        best = np.clip(loss.bayes_score(eta), -3, 3)
        f = rng.choice([2 * rng.standard_normal(atoms), best + 0.1 * rng.standard_normal(atoms),
                        1e-3 * rng.standard_normal(atoms), np.zeros(atoms)])
        worse = np.maximum(eta, 1 - eta)  # sign at 0
        wrong = np.where(f > 0, 1 - eta, np.where(f < 0, eta, worse))
        risk = eta * loss.phi(f) + (1 - eta) * loss.phi(-f)
        excess.append(p @ (wrong - (1 - worse)))
        excess_phi.append(max(0.0, p @ (risk - loss.conditional_risk(eta))))
    slack = hl.excess_risk_bound(loss, excess_phi) - np.array(excess)
    assert slack.min() >= -1e-7
    assert (np.array(excess) > 0.05).sum() > 50
    if isinstance(loss, hl.Hinge | hl.ZeroOne | hl.SquaredHinge):
        assert slack[np.array(excess) > 0.05].min() < 1e-3  # no smaller bound would do


def test_excess_risk_errors():
    for risk in (-0.1, [0.1, -1e-9], np.nan):
        with pytest.raises(ValueError, match="excess_phi_risk must not be negative"):
            hl.excess_risk_bound(hl.Hinge(), risk)
    for loss in ("hinge", hl.CrammerSinger(), hl.Hinge):
        with pytest.raises(TypeError, match="loss must be a margin loss"):
            hl.excess_risk_bound(loss, 0.1)
    with pytest.raises(ValueError, match="is not convex"):
        hl.excess_risk_bound(hl.Logistic() + -1 * hl.Hinge(), 0.1)


# ------------------------------------------------------------------------------- capacity


def test_rademacher_numbers():
    """2 L B R / sqrt(n) + M sqrt(log(1/delta) / (2 n)), by hand."""
    e = np.exp(-2)  # log(1/delta) = 2
    assert_allclose(hl.rademacher_bound(1, 1, 100, e, loss_range=1), 0.2 + 0.1)
    assert_allclose(hl.rademacher_bound(3, 2, 400, e, 0.5), 6 / 20 + 6 / 20)
    assert_allclose(hl.rademacher_bound(3, 2, 400, e, lipschitz=4), 8 * 0.6)
    assert_allclose(hl.rademacher_bound(10.0, 1.0, 10**6, 0.01, loss_range=11),
                    0.02 + 11 * np.sqrt(np.log(100) / 2e6))


@pytest.mark.parametrize(("loss", "spread"), [
    (hl.Hinge(), 4.0), (hl.Ramp(s=-1e-9), 1.0), (hl.Logistic(), None),
], ids=str)  # fmt: skip
def test_rademacher_bound_holds(loss, spread):
    """The largest deviation over a ball of weights, against exact expectations."""
    B, R, n, delta = 2.0, 1.5, 40, 0.2
    rng = np.random.default_rng(0)
    angles = rng.random(30) * 2 * np.pi
    points = R * np.column_stack([np.cos(angles), np.sin(angles)])
    eta = rng.random(30)
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    w = np.concatenate([r * np.column_stack([np.cos(turn), np.sin(turn)]) for r in (B, 0.6, 0.2)])
    scores = w @ points.T
    plus, minus = loss.phi(scores), loss.phi(-scores)
    expected = (eta * plus + (1 - eta) * minus).mean(axis=1)
    bound = hl.rademacher_bound(B, R, n, delta, loss.lipschitz, loss_range=spread)
    deviations = []
    for _ in range(500):
        drawn = rng.integers(0, 30, n)
        positive = rng.random(n) < eta[drawn]
        mean = np.where(positive, plus[:, drawn], minus[:, drawn]).mean(axis=1)
        deviations.append((expected - mean).max())
    assert np.mean(np.array(deviations) > bound) <= delta
    assert np.mean(deviations) <= 2 * loss.lipschitz * B * R / np.sqrt(n)  # the first term alone
    # The least range that the loss has on these margins, which the doc string gives for the hinge.
    margins = np.linspace(-B * R, B * R, 1001)
    least = np.ptp(loss.phi(margins))
    assert least <= (2 * loss.lipschitz * B * R if spread is None else spread) + 1e-6
    if isinstance(loss, hl.Hinge):
        assert_allclose(least, min(2 * B * R, 1 + B * R))


def test_rademacher_complexity_of_a_ball():
    """E sup_w (1/n) sum s_i w.x_i = B/n E ||sum s_i x_i||, exactly B R / sqrt(n) if orthogonal."""
    n, B, R = 8, 2.0, 3.0
    X = R * np.eye(n)
    signs = np.array(list(product((-1, 1), repeat=n)))
    complexity = B / n * np.linalg.norm(signs @ X, axis=1).mean()
    only = hl.rademacher_bound(B, R, n, 0.5, loss_range=1) - np.sqrt(np.log(2) / (2 * n))
    assert_allclose(2 * complexity, only)


def test_margin_vc_dimension():
    assert hl.margin_vc_dimension(1.0, 0.5) == 4
    assert hl.margin_vc_dimension(3, 1) == 9
    assert hl.margin_vc_dimension(1.0, 0.3) == pytest.approx(100 / 9)
    assert hl.margin_vc_dimension(1.0, 0.3, d=100) == 12
    assert hl.margin_vc_dimension(1.0, 0.3, d=11) == 12
    assert hl.margin_vc_dimension(1.0, 0.3, d=3) == 4
    assert hl.margin_vc_dimension(0.3, 0.1, d=100) == 10  # (0.3 / 0.1)^2 is 8.999999999999998
    assert hl.margin_vc_dimension(1.0, 1e-200, d=7) == 8
    worked = 1 / np.sqrt(2)  # margin of w = (1, 1) scaled to y f >= 1
    assert_allclose(hl.margin_vc_dimension(np.sqrt(5), worked), 10)


def test_so_many_points_are_shattered_and_no_more():
    """n orthogonal points of norm R: every labelling has margin R / sqrt(n), which is the bound."""
    n, R = 6, 2.0
    X = R * np.eye(n)
    gamma = np.inf
    for y in product((-1, 1), repeat=n):
        w = np.array(y) @ X
        gamma = min(gamma, (y * (X @ (w / np.linalg.norm(w)))).min())
    assert_allclose(hl.margin_vc_dimension(R, gamma), n)
    rng = np.random.default_rng(0)
    for _ in range(20):  # other points have a labelling with less: margins are <= ||mean of y x||
        X = rng.standard_normal((n, 9))
        X *= R / np.linalg.norm(X, axis=1, keepdims=True)
        worst = min(np.linalg.norm(np.array(y) @ X) / n for y in product((-1, 1), repeat=n))
        assert n <= hl.margin_vc_dimension(R, worst) * (1 + 1e-12)


@pytest.mark.parametrize("C", [0.1, 1.0, 100.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_leave_one_out(C, seed):
    """n fits without a row each."""
    rng = np.random.default_rng(seed)
    n = 40
    y = np.where(rng.random(n) < 0.5, 1, -1)
    X = rng.standard_normal((n, 3)) + 0.8 * y[:, None]
    options = {"loss": "hinge", "C": C, "tol": 1e-6, "max_iter": 20000}
    model = hingex.LinearSVC(store_dual=True, **options).fit(X, y)
    bound = hl.loo_error_bound(len(model.support_), n)
    wrong = []
    for i in range(n):
        rest = np.arange(n) != i
        one = hingex.LinearSVC(**options).fit(X[rest], y[rest])
        wrong.append(one.predict(X[i:i + 1])[0] != y[i])
    assert np.mean(wrong) <= bound
    assert not np.array(wrong)[np.setdiff1d(np.arange(n), model.support_)].any()
    assert 0 < bound < 1


@pytest.mark.parametrize(("call", "error", "said"), [
    (lambda: hl.rademacher_bound(0, 1, 10, 0.1), ValueError, "B must be a positive number"),
    (lambda: hl.rademacher_bound(1, np.inf, 10, 0.1), ValueError, "R must be"),
    (lambda: hl.rademacher_bound(1, 1, 10.5, 0.1), TypeError, "n must be a positive integer"),
    (lambda: hl.rademacher_bound(1, 1, 0, 0.1), ValueError, "n must be a positive integer"),
    (lambda: hl.rademacher_bound(1, 1, 10, 1.0), ValueError, "delta must lie between 0 and 1"),
    (lambda: hl.rademacher_bound(1, 1, 10, 0), ValueError, "delta must be"),
    (lambda: hl.rademacher_bound(1, 1, 10, 0.1, np.inf), ValueError, "lipschitz must be"),
    (lambda: hl.rademacher_bound(1, 1, 10, 0.1, loss_range=-1), ValueError, "loss_range must be"),
    (lambda: hl.margin_vc_dimension(-1, 1), ValueError, "R must be"),
    (lambda: hl.margin_vc_dimension(1, 0), ValueError, "gamma must be"),
    (lambda: hl.margin_vc_dimension(1, "1"), TypeError, "gamma must be"),
    (lambda: hl.margin_vc_dimension(1, 1, d=0), ValueError, "d must be"),
    (lambda: hl.loo_error_bound(3, 2), ValueError, "n_support must be at most n = 2; got 3"),
    (lambda: hl.loo_error_bound(-1, 2), ValueError, "n_support must be"),
    (lambda: hl.loo_error_bound(0.5, 2), TypeError, "n_support must be"),
    (lambda: hl.loo_error_bound(0, 0), ValueError, "n must be"),
    (lambda: hl.C_to_lambda(0, 10), ValueError, "C must be"),
    (lambda: hl.C_to_alpha(1, -1), ValueError, "n must be"),
    (lambda: hl.lambda_to_C(np.nan, 10), ValueError, "lambda_ must be"),
    (lambda: hl.alpha_to_C(None, 10), TypeError, "alpha must be"),
    (lambda: hl.C_to_alpha(1e-320, 0.5), ValueError, "beyond double precision"),
    (lambda: hl.C_to_alpha(1e308, 1e9), ValueError, "beyond double precision"),
])  # fmt: skip
def test_wrong_arguments(call, error, said):
    with pytest.raises(error, match=said):
        call()


def test_leave_one_out_numbers():
    assert hl.loo_error_bound(12, 100) == 0.12
    assert hl.loo_error_bound(0, 1) == 0
    assert hl.loo_error_bound(np.int64(3), 3) == 1


# ------------------------------------------------------------------------------- penalties


def test_penalties_of_the_worked_example():
    """0.5 + 0.1 ||w||^2 / 2 = 0.6 is, over n = 3, alpha = 0.1 / 3; C = 10 multiplies it by 10."""
    X, y = np.array([[1, 2], [-1, -1], [0.5, 0.5]]), np.array([1, -1, 1])
    w, b = np.array([1.0, 1.0]), -0.5
    total = hl.Hinge().value(y, X @ w + b, reduction="sum") + 0.1 * w @ w / 2
    assert total == 0.6
    C = hl.alpha_to_C(0.1 / 3, n=3)
    assert_allclose(C, 10)
    assert_allclose(C, hl.lambda_to_C(0.05 / 3, n=3))
    assert_allclose(w @ w / 2 + C * hl.hinge_loss(y, X @ w + b, reduction="sum"), 10 * total)


def test_there_and_back():
    for C, n in product((1e-6, 0.3, 1.0, 1e8), (1, 17, 10**9, 2.5)):
        assert_allclose(hl.C_to_lambda(C, n), 1 / (2 * n * C), rtol=1e-15)
        assert_allclose(hl.C_to_alpha(C, n), 1 / (n * C), rtol=1e-15)
        assert_allclose(hl.lambda_to_C(hl.C_to_lambda(C, n), n), C, rtol=1e-15)
        assert_allclose(hl.alpha_to_C(hl.C_to_alpha(C, n), n), C, rtol=1e-15)


@pytest.mark.parametrize("C", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_penalties_lead_to_the_same_solution(C, weighted):
    """Squared hinge, as it is smooth: LinearSVC in C beside a minimiser of the other two forms."""
    rng = np.random.default_rng(0)
    n = 60
    y = np.where(rng.random(n) < 0.5, 1, -1)
    X = rng.standard_normal((n, 4)) + 0.5 * y[:, None]
    weight = rng.random(n) + 0.5 if weighted else None
    model = hingex.LinearSVC("squared_hinge", C=C, tol=1e-9, fit_intercept=False, max_iter=10**5)
    w = model.fit(X, y, sample_weight=weight).coef_[0]
    size = n if weight is None else weight.sum()
    loss = hl.SquaredHinge()

    def form(penalty):
        def objective(w):
            value, slope = loss.value_and_gradient(y, X @ w, sample_weight=weight)
            return value + penalty * (w @ w), X.T @ slope + 2 * penalty * w
        return objective

    for penalty in (hl.C_to_lambda(C, size), hl.C_to_alpha(C, size) / 2):
        found = minimize(form(penalty), np.zeros(4), jac=True, tol=1e-12)
        assert_allclose(w, found.x, atol=2e-4)
        assert_allclose(form(penalty)(w)[0], found.fun, rtol=1e-7)


@pytest.mark.parametrize("C", [0.05, 1.0])
def test_penalties_with_the_hinge(C):
    """The same as a quadratic program with slacks."""
    rng = np.random.default_rng(1)
    n, d = 25, 2
    y = np.where(rng.random(n) < 0.5, 1, -1)
    X = rng.standard_normal((n, d)) + 0.5 * y[:, None]
    w = hingex.LinearSVC("hinge", C=C, tol=1e-9, fit_intercept=False, max_iter=10**5).fit(
        X, y).coef_[0]
    alpha = hl.C_to_alpha(C, n)
    rows = np.hstack([y[:, None] * X, np.eye(n)])
    start = np.concatenate([np.zeros(d), np.ones(n)])
    found = minimize(
        lambda v: alpha / 2 * v[:d] @ v[:d] + v[d:].mean(), start,
        jac=lambda v: np.concatenate([alpha * v[:d], np.full(n, 1 / n)]), method="SLSQP",
        bounds=[(None, None)] * d + [(0, None)] * n, options={"maxiter": 1000, "ftol": 1e-12},
        constraints={"type": "ineq", "fun": lambda v: rows @ v - 1, "jac": lambda v: rows})
    assert_allclose(alpha / 2 * w @ w + hl.hinge_loss(y, X @ w), found.fun, rtol=1e-6)
    assert_allclose(w, found.x[:d], atol=1e-3)
