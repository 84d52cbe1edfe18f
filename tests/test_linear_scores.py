# SPDX-License-Identifier: BSD-3-Clause
"""The kernel behind decision_function and predict, against sums made one by one."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_array

from hingex import LinearSVC, _validate
from hingex._core import kernels


def ragged(lengths, d, dtype=np.float32, index=np.int32, seed=0):
    """CSR with rows of these lengths, features in random order, and repeated ones."""
    rng = np.random.default_rng(seed)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    X = csr_array((len(lengths), d), dtype=dtype)
    X.data = rng.standard_normal(indptr[-1]).astype(dtype)
    X.indices = rng.integers(0, d, indptr[-1]).astype(index)
    X.indptr = indptr.astype(index)
    return X


def model(W, b):
    """An estimator with these coefficients, (d, K) and (K,)."""
    svc = LinearSVC(n_jobs=1)
    svc.coef_, svc.intercept_ = W.T, b
    svc.classes_, svc.n_features_in_ = np.arange(max(2, len(b))), len(W)
    return svc


def truth(X, W, b):
    out = np.zeros((X.shape[0], W.shape[1]))
    for i in range(X.shape[0]):
        for j in range(X.indptr[i], X.indptr[i + 1]):
            out[i] += np.float64(X.data[j]) * W[X.indices[j]]
    return out + b


# Around the 16 sums, the 512 products at a time, and the 64 rows at a time.
LENGTHS = [*range(40), 0, 0, 0, 511, 1, 512, 513, 3, 0, 2000, *([5] * 150), *([0] * 600), 17, 480,
           31, 33, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("K", [1, 3, 4, 45, 48, 49, 130])
def test_ragged_rows(dtype, index, K):
    rng = np.random.default_rng(K)
    X = ragged(LENGTHS, 300, dtype, index)
    W, b = rng.standard_normal((300, K)), rng.standard_normal(K)
    svc = model(W, b)
    scores = svc.decision_function(X)
    expected = truth(X, W, b)
    assert_allclose(scores.reshape(expected.shape), expected, rtol=0, atol=1e-12)
    codes = svc.predict(X)
    assert_array_equal(codes, (scores > 0) if K == 1 else scores.argmax(axis=1))


@pytest.mark.parametrize("K", [1, 45])
def test_a_row_has_its_own_bits(K):
    rng = np.random.default_rng(0)
    X = ragged(LENGTHS, 300)
    svc = model(rng.standard_normal((300, K)), np.zeros(K))
    scores = svc.decision_function(X)
    alone = np.concatenate([svc.decision_function(X[[i]]) for i in range(80)])
    assert_array_equal(alone, scores[:80])
    svc.n_jobs = 3
    assert_array_equal(svc.decision_function(X), scores)
    assert_array_equal(svc.decision_function(X[5:]), scores[5:])


def test_every_instruction_set_has_the_same_bits():
    code = textwrap.dedent("""
        import sys
        sys.path.insert(0, sys.argv[1])
        import hashlib, numpy as np
        from test_linear_scores import LENGTHS, model, ragged
        rng = np.random.default_rng(0)
        X = ragged(LENGTHS, 300)
        for K in (1, 45):
            svc = model(rng.standard_normal((300, K)), np.zeros(K))
            print(hashlib.sha256(svc.decision_function(X).tobytes()).hexdigest())
    """)
    here = os.path.dirname(__file__)
    found = {subprocess.run([sys.executable, "-c", code, here], capture_output=True, text=True,
                            check=True, env=os.environ | {"HINGEX_ISA": isa}).stdout
             for isa in ("baseline", "avx2")}
    assert len(found) == 1


@pytest.mark.parametrize("K", [1, 7, 70])
@pytest.mark.parametrize("bad", [-1, 300, 2**31 - 1, -2**31])
def test_indices_out_of_range(K, bad):
    svc = model(np.ones((300, K)), np.zeros(K))
    for row in (0, 39, 63, 64, 200, len(LENGTHS) - 2):
        X = ragged(LENGTHS, 300)
        at = X.indptr[row + 1] - 1 if LENGTHS[row] else X.indptr[row + 1]
        X.indices[at] = bad
        where = int(np.searchsorted(X.indptr, at, side="right")) - 1
        for call in (svc.decision_function, svc.predict):
            with pytest.raises(ValueError, match=f"Row {where} of X has index {bad}, but X has "):
                call(X)


@pytest.mark.parametrize("K", [1, 7])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_not_finite(K, value, weight):
    svc = model(np.full((300, K), weight), np.zeros(K))
    X = ragged(LENGTHS, 300)
    X.data[700] = value
    row = int(np.searchsorted(X.indptr, 700, side="right")) - 1
    D = np.ones((400, 300))
    D[333, 7] = value
    for call in (svc.decision_function, svc.predict):
        with pytest.raises(ValueError, match=f"first at row {row}, column {X.indices[700]}"):
            call(X)
        for A in (D, np.asfortranarray(D), D.astype(np.float32)):
            with pytest.raises(ValueError, match="first at row 333, column 7"):
                call(A)


def test_scores_beyond_float64_are_no_error():
    X = np.array([[1e300, 1.0], [1.0, 1.0]])
    assert_array_equal(model(np.array([[1e300], [1.0]]), np.zeros(1)).decision_function(X),
                       [np.inf, 1e300])
    scores = model(np.array([[1.0, np.nan], [1.0, 1.0]]), np.zeros(2)).decision_function(X[1:])
    assert_array_equal(scores, [[2.0, np.nan]])


def test_rows_in_any_order_of_features():
    X = ragged([3, 2], 5)
    X.indices[:] = [0, 2, 4, 1, 3]
    assert _validate.as_rows(X).ascending()
    for indices, ascends in (([2, 0, 4, 1, 3], False), ([0, 2, 4, 3, 1], False),
                             ([0, 2, 2, 1, 3], False), ([0, 1, 2, 3, 4], True)):
        X.indices[:] = indices
        assert _validate.as_rows(X, unique=False).ascending() == ascends
    X = ragged([0, 2, 0, 0, 1, 2, 0], 5)
    X.indices[:] = [3, 4, 4, 1, 2]
    assert _validate.as_rows(X).ascending()


# ------------------------------------------------------------------- passes of Newton's method


@pytest.mark.parametrize("n", [1, 7, 255, 256, 257, 1000])
def test_newton_passes(n):
    rng = np.random.default_rng(n)
    codes = rng.integers(0, 2, n).astype(np.int32)
    cost = rng.uniform(0, 2, n) * (rng.random(n) < 0.8)
    losses = kernels("newton").Losses(cost)
    losses.choose(np.where(codes == 1, 1.0, -1.0))
    y, f = np.where(codes == 1, 1.0, -1.0), rng.standard_normal(n)
    loss, count = losses.look(f)
    u = 1 - y * f
    active = (u > 0) & (cost > 0)
    alpha = 2 * cost * np.maximum(u, 0)
    assert_array_equal(losses.active, active)
    assert count == active.sum()
    assert_allclose(loss, (cost * np.maximum(u, 0) ** 2).sum(), rtol=1e-13)
    assert_allclose(losses.signed, y * alpha, rtol=1e-15)

    before = rng.random(n) < 0.5
    entered, left = losses.changes(before)
    assert_array_equal(losses.rows[:entered], np.flatnonzero(active & ~before))
    assert_array_equal(np.sort(losses.rows[n - left:]), np.flatnonzero(before & ~active))
    assert_array_equal(losses.weights[:entered], 2 * cost[losses.rows[:entered]])

    s = float((y * alpha).sum())
    share, value, rest = losses.balance(s)
    feasible = np.where(y * s > 0, alpha * (1 - share), alpha)
    assert_allclose(losses.feasible, feasible, rtol=1e-15)
    assert abs(rest) <= 1e-13 * alpha.sum()
    some = feasible > 0
    quotient = (feasible[some] ** 2 / cost[some]).sum()
    assert_allclose(value, feasible.sum() - 0.25 * quotient, rtol=1e-12, atol=1e-12)
    share, _, rest = losses.balance(0.0)
    assert share == rest == 0
    assert_array_equal(losses.feasible, np.abs(losses.signed))

    change = rng.standard_normal(n)
    h = y * change
    assert losses.move(change) == bool((((u > h) & (cost > 0)) == active).all())
    assert losses.move(np.zeros(n))
    losses.move(change)
    square = rng.uniform(0.1, 2)
    linear = (2 * cost * h * np.maximum(u, 0)).sum() - 1.0  # downhill at first
    size = losses.line_minimum(linear, square)

    def objective(t):
        return t * linear + 0.5 * t * t * square + (cost * np.maximum(u - t * h, 0) ** 2).sum()

    best = minimize_scalar(objective, bounds=(0, 100), method="bounded", options={"xatol": 1e-9})
    assert objective(0) - objective(size) >= 0.95 * (objective(0) - best.fun) > 0
