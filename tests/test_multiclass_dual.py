# SPDX-License-Identifier: BSD-3-Clause
"""Joint multiclass SVMs against independent optima, and their certificates against NumPy."""

import itertools
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import LinearConstraint, minimize
from scipy.sparse import csr_array, random_array

from hingex import LinearSVC, _validate
from hingex._core import kernels
from hingex.losses import CrammerSinger, LeeLinWahba, WestonWatkins
from hingex.solvers import multiclass_dual
from hingex.stop import Monitor

SCHEMES = ("crammer_singer", "weston_watkins", "lee_lin_wahba")
LOSSES = ("hinge", "squared_hinge")
INTERCEPTS = ("none", "regularized", "unregularized")
SETTINGS = settings(max_examples=25, deadline=None, derandomize=True,
                    suppress_health_check=list(HealthCheck))
ALL = list(itertools.product(SCHEMES, LOSSES, INTERCEPTS))


def solve(X, y, *, scheme="crammer_singer", loss="hinge", C=1.0, sample_weight=None,
          class_weight=None, intercept="unregularized", scaling=1.0, tol=1e-8, max_iter=1500,
          max_time=None, seed=0, start=None, callback=None):
    rows = _validate.as_rows(X)
    classes, codes = _validate.encode_labels(y, rows.n)
    cost = _validate.row_weights(C, class_weight, sample_weight, classes, codes, rows.n)
    return multiclass_dual.solve(
        rows, codes, len(classes), scheme=scheme, loss=loss, C=C, cost=cost, intercept=intercept,
        scaling=scaling, tol=tol, max_iter=max_iter, max_time=max_time, threads=1, seed=seed,
        monitor=Monitor(callback), start=start)


def blobs(n=60, d=4, K=4, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % K
    X = spread * rng.normal(size=(K, d))[y] + rng.normal(size=(n, d))
    return X, y


def text(n=300, d=200, K=6, seed=0):
    rng = np.random.default_rng(seed)
    X = csr_array(random_array((n, d), density=0.05, rng=rng, format="csr", dtype=np.float64))
    W = rng.normal(size=(d, K))
    y = (X @ W + 0.1 * rng.normal(size=(n, K))).argmax(axis=1)
    y[:K] = np.arange(K)
    return X, y


def gradients(S, codes, scheme):
    """Margin violations (n, K), -inf for the own class."""
    n, K = S.shape
    own = S[np.arange(n), codes][:, None]
    g = S + 1 / (K - 1) if scheme == "lee_lin_wahba" else 1 + S - own
    g[np.arange(n), codes] = -np.inf
    return g


def losses(S, codes, scheme, loss):
    u = np.maximum(gradients(S, codes, scheme), 0)
    if loss == "squared_hinge":
        u = u**2
    return u.max(axis=1) if scheme == "crammer_singer" else u.sum(axis=1)


def objective(X, codes, C, W, b, scheme, loss, intercept, scaling=1.0):
    own = 0.5 * (b @ b) / scaling**2 if intercept == "regularized" else 0
    return 0.5 * (W * W).sum() + own + (C * losses(X @ W.T + b, codes, scheme, loss)).sum()


def coefs(a, codes, scheme):
    A = -a
    if scheme == "lee_lin_wahba":
        return A + a.sum(axis=1, keepdims=True) / a.shape[1]
    A[np.arange(len(codes)), codes] = a.sum(axis=1)
    return A


def dual_value(X, codes, C, a, scheme, loss, intercept, scaling=1.0):
    K = a.shape[1]
    A = coefs(a, codes, scheme)
    W, s = A.T @ X, A.sum(axis=0)
    value = a.sum() / (K - 1 if scheme == "lee_lin_wahba" else 1) - 0.5 * (W * W).sum()
    if loss == "squared_hinge":
        used = C > 0
        squares = a.sum(axis=1) ** 2 if scheme == "crammer_singer" else (a * a).sum(axis=1)
        value -= (squares[used] / C[used]).sum() / 4
    if intercept == "regularized":
        value -= 0.5 * scaling**2 * (s @ s)
    return value


def full(coef, b):
    """Weights of all classes, also of two."""
    if len(coef) == 1:
        return np.vstack([-coef / 2, coef / 2]), np.array([-b[0] / 2, b[0] / 2])
    return coef, b


def verify(fit, X, y, *, scheme, loss, intercept, C=1.0, scaling=1.0, tol=1e-8):
    """Recompute the whole certificate; C is a number or one per row."""
    X = (X.toarray() if hasattr(X, "toarray") else np.asarray(X)).astype(np.float64)
    codes = np.unique(y, return_inverse=True)[1]
    C = np.broadcast_to(np.asarray(C, dtype=float), (len(X),))
    a = fit.dual
    K = a.shape[1]
    W, b = full(fit.coef, fit.intercept)
    assert (a >= 0).all()
    assert (a[np.arange(len(X)), codes] == 0).all()
    if loss == "hinge" and scheme == "crammer_singer":
        assert (a.sum(axis=1) <= C * (1 + 1e-12)).all()
    elif loss == "hinge":
        assert (a <= C[:, None]).all()
    else:
        assert (a[C == 0] == 0).all()
    A = coefs(a, codes, scheme)
    scale = max(1.0, a.sum()) * max(1.0, np.abs(X).max())
    assert_allclose(W, A.T @ X, rtol=0, atol=1e-12 * scale)
    if intercept == "unregularized":
        assert_allclose(A.sum(axis=0), 0, atol=1e-11 * max(1.0, a.sum()))
    P = objective(X, codes, C, W, b, scheme, loss, intercept, scaling)
    D = dual_value(X, codes, C, a, scheme, loss, intercept, scaling)
    assert fit.primal.shape == fit.dual_objective.shape == fit.gap.shape == (1,)
    assert_allclose(fit.primal[0], P, rtol=1e-11)
    assert_allclose(fit.dual_objective[0], D, rtol=1e-10, atol=1e-12 * max(P, a.sum()))
    assert fit.gap[0] <= tol
    assert P - D <= tol * P * (1 + 1e-6) + 1e-11 * max(P, a.sum())
    if scheme == "lee_lin_wahba" and K > 2:
        assert np.abs(W.sum(axis=0)).max() <= 1e-12 * max(1.0, np.abs(W).max())
        assert abs(b.sum()) <= 1e-12 * max(1.0, np.abs(b).max())
    return P


def reference(X, y, *, scheme, loss, intercept, C=1.0, scaling=1.0):
    """Optimum of the primal with slacks, as a smooth program in all of W, b and slacks."""
    X = np.asarray(X, dtype=np.float64)
    codes = np.unique(y, return_inverse=True)[1]
    n, d = X.shape
    K = codes.max() + 1
    C = np.broadcast_to(np.asarray(C, dtype=float), (n,))
    free = 0 if intercept == "none" else K
    one = scheme == "crammer_singer"
    slacks = n if one else n * K
    size = K * d + free + slacks
    curvature = np.zeros(size)
    curvature[: K * d] = 1
    if intercept == "regularized":
        curvature[K * d : K * d + K] = 1 / scaling**2
    costs = C if one else np.repeat(C, K)
    linear, square = (costs, 0 * costs) if loss == "hinge" else (0 * costs, costs)
    G, low = [], []
    for i in range(n):
        for m in range(K):
            if m == codes[i]:
                continue
            row = np.zeros(size)
            row[m * d : (m + 1) * d] = -X[i]
            if free:
                row[K * d + m] = -1
            if scheme != "lee_lin_wahba":
                row[codes[i] * d : (codes[i] + 1) * d] = X[i]
                if free:
                    row[K * d + codes[i]] = 1
            row[K * d + free + (i if one else i * K + m)] = 1
            G.append(row)
            low.append(1 / (K - 1) if scheme == "lee_lin_wahba" else 1)
    constraints = [LinearConstraint(np.array(G), low, np.inf)]
    if scheme == "lee_lin_wahba":
        E = np.zeros((d + bool(free), size))
        for k in range(K):
            E[np.arange(d), k * d + np.arange(d)] = 1
            if free:
                E[d, K * d + k] = 1
        constraints.append(LinearConstraint(E, 0, 0))
    positive = np.zeros(size)
    positive[: K * d + free] = -np.inf

    def value(z):
        u = z[K * d + free :]
        return 0.5 * (curvature * z * z).sum() + linear @ u + square @ (u * u)

    def slope(z):
        u = z[K * d + free :]
        return curvature * z + np.concatenate([np.zeros(K * d + free), linear + 2 * square * u])

    z = np.zeros(size)
    z[K * d + free :] = 1
    result = minimize(value, z, jac=slope, constraints=constraints,
                      bounds=list(zip(positive, [None] * size, strict=True)), method="SLSQP",
                      options={"maxiter": 1000, "ftol": 1e-13})
    W = result.x[: K * d].reshape(K, d)
    b = result.x[K * d : K * d + K] if free else np.zeros(K)
    if scheme == "lee_lin_wahba":
        W, b = W - W.mean(axis=0), b - b.mean()
    return objective(X, codes, C, W, b, scheme, loss, intercept, scaling)


@pytest.mark.parametrize(("scheme", "loss", "intercept"), ALL)
def test_optimum(scheme, loss, intercept):
    X, y = blobs(18, 3, 3, seed=1)
    C = 0.3 + np.arange(18) % 5 / 4
    case = {"scheme": scheme, "loss": loss, "intercept": intercept, "scaling": 2.0}
    fit = solve(X, y, sample_weight=C, **case)
    P = verify(fit, X, y, C=C, **case)
    best = reference(X, y, C=C, **case)
    assert best >= P * (1 - 2e-8)
    assert_allclose(P, best, rtol=1e-6)


@pytest.mark.parametrize(("scheme", "loss", "intercept"), ALL)
@pytest.mark.parametrize("C", [1e-3, 1.0, 100.0])
def test_certificate(scheme, loss, intercept, C):
    case = {"scheme": scheme, "loss": loss, "intercept": intercept, "C": C}
    for X, y in (blobs(120, 5, 5), text()):
        verify(solve(X, y, tol=1e-6, **case), X, y, tol=1e-6, **case)
