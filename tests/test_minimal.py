# SPDX-License-Identifier: BSD-3-Clause
"""The one test to run when only one is: fit, predict, and the certificate by hand."""

import numpy as np

import hingex


def test_fit_predict_and_gap():
    X = np.array([[0.0, 1.0], [1.0, 0.0], [3.0, 1.0], [4.0, 0.0]])
    y = np.array([-1, -1, 1, 1])
    model = hingex.LinearSVC(loss="hinge", C=1.0, tol=1e-6, store_dual=True).fit(X, y)
    w, b, alpha = model.coef_[0], model.intercept_[0], model.dual_coef_ * y
    primal = 0.5 * w @ w + np.maximum(0, 1 - y * (X @ w + b)).sum()
    dual = alpha.sum() - 0.5 * np.sum((model.dual_coef_ @ X) ** 2)
    assert ((alpha >= 0) & (alpha <= 1)).all()
    assert abs(model.dual_coef_.sum()) < 1e-9
    assert dual <= primal + 1e-12
    assert primal - dual <= 1e-6 * primal
    np.testing.assert_allclose(model.duality_gap_, [max(primal - dual, 0) / primal], atol=1e-9)
    np.testing.assert_allclose([w[0], w[1], b], [1.0, 0.0, -2.0], atol=2e-3)
    assert model.predict(X).tolist() == y.tolist()
    assert model.converged_
