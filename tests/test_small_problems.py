# SPDX-License-Identifier: BSD-3-Clause
"""Small problems of all shapes, scales and costs come to their gap: no warning, none left over.

Many are separable, or have more features than rows, rows of zeros or a constant feature: there
losses are flat, duals depend on each other, and steps that suit larger problems go nowhere.
"""

import numpy as np
import pytest
from scipy.sparse import csr_array

from hingex import LinearClassifier, LinearSVC

LOSSES = ["hinge", "squared_hinge", "huberized_hinge", "smooth_hinge", "modified_huber",
          "softplus_hinge", "logistic", "squared"]


def problem(seed):
    rng = np.random.default_rng(seed)
    n, d, K = int(rng.integers(2, 60)), int(rng.integers(1, 12)), int(rng.integers(2, 5))
    X = rng.standard_normal((n, d)) * 10 ** rng.uniform(-1.5, 1.5)
    if rng.random() < 0.3:
        X = np.round(X)
    if rng.random() < 0.3:
        X[:, rng.integers(d)] = rng.choice([0, 1, 5])
    if rng.random() < 0.3:
        X[rng.integers(n)] = 0
    y = rng.integers(0, K, n)
    y[:2] = 0, 1
    weight = rng.choice([0.5, 1, 2], n) if rng.random() < 0.3 else None
    intercept = "regularized" if rng.random() < 0.5 else "unregularized"
    return csr_array(X) if rng.random() < 0.5 else X, y, weight, intercept, rng


def solved(model, X, y, weight, primal):
    """Whether the gap is reached (warnings are errors), and the objective is that of the model."""
    model.fit(X, y, weight)
    f = X @ model.coef_.T + model.intercept_
    return (model.duality_gap_ <= model.tol).all() and np.isclose(
        primal(model, f, np.ones(len(y)) if weight is None else weight),
        model.primal_objective_.sum(), rtol=1e-9)


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
@pytest.mark.parametrize("scheme", ["crammer_singer", "weston_watkins", "lee_lin_wahba"])
def test_joint(scheme, loss):
    for seed in range(150):
        X, y, weight, intercept, rng = problem(seed)
        C = 10 ** rng.uniform(-3, 3)
        power = 1 if loss == "hinge" else 2

        def primal(model, f, weight, y=y, C=C, intercept=intercept, power=power):
            K = len(model.classes_)
            own = 0.5 * (model.coef_**2).sum()
            if intercept == "regularized":
                own += 0.5 * (model.intercept_**2).sum()
            if K == 2:  # w_1 - w_0, which are opposite
                own *= 0.5
                f = np.hstack([-0.5 * f, 0.5 * f])
            place = np.searchsorted(model.classes_, y)
            at = np.arange(len(y))
            if scheme == "lee_lin_wahba":
                short = np.maximum(0, 1 / (K - 1) + f)
            else:
                short = np.maximum(0, 1 - f[at, place][:, None] + f)
            short[at, place] = 0
            each = short**power
            each = each.max(axis=1) if scheme == "crammer_singer" else each.sum(axis=1)
            return own + C * (weight * each).sum()

        model = LinearSVC(loss, multi_class=scheme, C=C, intercept=intercept, tol=1e-4,
                          random_state=0)
        assert solved(model, X, y, weight, primal), seed


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
@pytest.mark.parametrize("loss", LOSSES)
def test_one_vs_rest(loss, penalty):
    from hingex import losses

    phi = {"hinge": losses.Hinge, "squared_hinge": losses.SquaredHinge,
           "huberized_hinge": losses.HuberizedHinge, "smooth_hinge": losses.SmoothHinge,
           "modified_huber": losses.ModifiedHuber, "softplus_hinge": losses.SoftplusHinge,
           "logistic": losses.Logistic, "squared": losses.Squared}[loss]()
    for seed in range(60):
        X, y, weight, intercept, rng = problem(seed)
        C = 10 ** rng.uniform(-3, 2)

        def primal(model, f, weight, y=y, C=C, intercept=intercept):
            classes = model.classes_[1:] if len(model.classes_) == 2 else model.classes_
            w, b = model.coef_, model.intercept_
            share = {"l2": 0.0, "l1": 1.0, "elasticnet": model.l1_ratio}[penalty]
            own = share * np.abs(w).sum() + 0.5 * (1 - share) * (w**2).sum()
            if intercept == "regularized":
                own += share * np.abs(b).sum() + 0.5 * (1 - share) * (b**2).sum()
            for c, g in zip(classes, f.T, strict=True):
                values = phi.value(np.where(y == c, 1.0, -1.0), np.ascontiguousarray(g),
                                   reduction="none")
                own += C * (weight * values).sum()
            return own

        model = LinearClassifier(loss, penalty=penalty, C=C, intercept=intercept, tol=1e-4,
                                 random_state=0)
        assert solved(model, X, y, weight, primal), seed
