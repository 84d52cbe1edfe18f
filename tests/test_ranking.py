# SPDX-License-Identifier: BSD-3-Clause
"""RankSVM: sums over pairs against all pairs written down, optima against explicit problems."""

import pickle
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import hingex
from hingex import AUCMaximizer, LinearRankSVC, metrics
from hingex._core import kernels
from hingex._targets import queries_of
from hingex.solvers._simplex import Simplex

SHAPES = [(1, 1, 2), (40, 1, 2), (40, 3, 3), (60, 2, 8), (90, 2, 40), (300, 1, 5), (700, 4, 2)]


def pairs_of(y, qid, weight=None):
    """(better, worse, weight) of all pairs, written down."""
    w = np.ones(len(y)) if weight is None else weight
    i, j = np.nonzero((np.asarray(qid)[:, None] == qid) & (np.asarray(y)[:, None] > y))
    return i, j, w[i] * w[j]


def kernel_pairs(y, qid, weight=None, scale=None, threads=1):
    q = queries_of(np.asarray(y, float), np.unique(qid, return_inverse=True)[1])
    own = None if weight is None else weight[q.row]
    scale = np.ones(len(q.levels)) if scale is None else scale
    return kernels("ranking").Pairs(q.row, q.start, q.level, q.levels, own, scale, threads)


def problem(rng, n, queries, grades, ties=False):
    y, qid = rng.integers(0, grades, n), rng.integers(0, queries, n)
    f = rng.normal(size=n)
    return y, qid, np.round(2 * f) / 2 if ties else f


# ----------------------------------------------------------------------------- the kernel


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("n", "queries", "grades"), SHAPES)
def test_sums_are_those_of_the_pairs(n, queries, grades, ties, weighted):
    rng = np.random.default_rng(n + grades)
    y, qid, f = problem(rng, n, queries, grades, ties)
    w = rng.random(n) * (rng.random(n) > 0.1) if weighted else None
    i, j, weight = pairs_of(y, qid, w)
    pairs, slopes = kernel_pairs(y, qid, w), np.empty(n)
    for margin in (1.0, 0.5, 0.0, -0.5):
        u = np.maximum(margin - (f[i] - f[j]), 0)
        for squared in (False, True):
            value, mass = pairs.evaluate(f, ((0.7, margin),), squared, slopes)
            each = 0.7 * weight * (2 * u if squared else u > 0)
            total = 0.7 * (weight * u ** (1 + squared)).sum()
            assert_allclose(value, total, rtol=1e-11, atol=1e-11)
            assert_allclose(mass, each.sum(), rtol=1e-11, atol=1e-11)
            expected = np.bincount(j, each, n) - np.bincount(i, each, n)
            assert_allclose(slopes, expected, rtol=1e-10, atol=1e-10)
        v, out = rng.normal(size=n), np.empty(n)
        pairs.product(v, out)
        curved = 0.7 * 2 * weight * (u > 0)
        change = curved * (v[i] - v[j])
        assert_allclose(out, np.bincount(i, change, n) - np.bincount(j, change, n), atol=1e-9)
        pairs.degrees(out)
        assert_allclose(out, np.bincount(i, curved, n) + np.bincount(j, curved, n), atol=1e-10)


def test_two_terms_and_scales_of_queries():
    rng = np.random.default_rng(0)
    y, qid, f = problem(rng, 120, 3, 3)
    i, j, _ = pairs_of(y, qid)
    scale = np.array([2.0, 0.0, 0.5])
    delta, slopes = 0.25, np.empty(120)
    value, mass = kernel_pairs(y, qid, scale=scale).evaluate(
        f, ((0.5 / delta, 1.0), (-0.5 / delta, 1.0 - delta)), True, slopes)
    u = np.maximum(1 - (f[i] - f[j]), 0)
    huber = np.where(u < delta, u * u / (2 * delta), u - delta / 2)
    assert_allclose(value, (scale[qid[i]] * huber).sum(), rtol=1e-12)
    assert_allclose(mass, (scale[qid[i]] * np.minimum(u / delta, 1)).sum(), rtol=1e-12)


def test_the_hessian_is_that_of_the_last_squares():
    rng = np.random.default_rng(0)
    y, qid, f = problem(rng, 80, 2, 3)
    pairs, slopes, before, after = kernel_pairs(y, qid), *(np.empty(80) for _ in range(3))
    v = rng.normal(size=80)
    pairs.evaluate(f, ((2.0, 1.0), (-2.0, 0.75)), True, slopes)
    pairs.product(v, before)
    pairs.evaluate(None, ((1.0, 1.0),), False, slopes)
    pairs.product(v, after)
    assert_array_equal(after, before)
    i, j, _ = pairs_of(y, qid)
    u = 1 - (f[i] - f[j])
    bent = 4 * ((u > 0) & (u <= 0.25)) * (v[i] - v[j])
    assert_allclose(after, np.bincount(i, bent, 80) - np.bincount(j, bent, 80), atol=1e-9)


@pytest.mark.parametrize("f", [
    np.r_[1e9, np.random.default_rng(1).random(5000)],      # an outlier: keys tell little apart
    np.zeros(3000), np.arange(3000.0), -np.arange(3000.0), np.r_[np.zeros(1500), np.ones(1500)],
    1e6 + 1e-6 * np.random.default_rng(2).random(4000), np.repeat([3.0, -0.0, 0.0, -2.0], 100),
], ids=["outlier", "equal", "up", "down", "two", "far", "zeros"])
def test_hard_orders(f):
    y = np.random.default_rng(3).integers(0, 3, len(f))
    slopes = np.empty(len(f))
    for margin in (0.0, 1e-7, 1.0):
        value, mass = kernel_pairs(y, np.zeros(len(f), int)).evaluate(
            f, ((1.0, margin),), False, slopes)
        count = total = 0.0
        for at in range(len(f)):
            worse = y < y[at]
            u = margin - (f[at] - f[worse])
            count += (u > 0).sum()
            total += u[u > 0].sum()
        assert mass == count
        assert_allclose(value, total, rtol=1e-9, atol=1e-9 * abs(f).max())


def test_threads_do_not_change_bits():
    rng = np.random.default_rng(0)
    y, qid, f = problem(rng, 20_000, 50, 4)
    one, two = np.empty(len(f)), np.empty(len(f))
    for squared in (False, True):
        a = kernel_pairs(y, qid).evaluate(f, ((1.0, 1.0),), squared, one)
        b = kernel_pairs(y, qid, threads=2).evaluate(f, ((1.0, 1.0),), squared, two)
        assert a == b
        assert_array_equal(one, two)


def test_kernel_refuses_arrays_that_do_not_fit():
    pairs = kernel_pairs([0, 1, 2], [0, 0, 0])
    with pytest.raises(ValueError, match="do not fit"):
        pairs.evaluate(np.zeros(2), ((1.0, 1.0),), False, np.empty(3))
    with pytest.raises(ValueError, match="wrong length"):
        pairs.product(np.zeros(4), np.empty(3))


# ------------------------------------------------------------------------------ the solver


def explicit(X, y, qid, w=None):
    """Differences of rows, better less worse, and weights of the pairs."""
    i, j, weight = pairs_of(y, qid, w)
    X = X.toarray() if sp.issparse(X) else np.asarray(X, float)
    return X[i] - X[j], weight


def objective(w, Z, c, loss):
    u = np.maximum(1 - Z @ w, 0)
    return 0.5 * w @ w + (c * (u if loss == "hinge" else u * u)).sum()


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
@pytest.mark.parametrize("seed", range(8))
def test_optimum_is_that_of_linear_svc_on_the_pairs(loss, seed):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(5, 70)), int(rng.integers(1, 12))
    X, (y, qid, _) = rng.normal(size=(n, d)), problem(rng, n, 3, 3)
    w = rng.random(n) if seed % 2 else None
    C = 10.0 ** rng.uniform(-2, 2)
    Z, weight = explicit(X, y, qid, w)
    model = LinearRankSVC(loss, C=C, tol=1e-7).fit(X, y, qid, sample_weight=w)
    # Every other pair is turned round, as LinearSVC needs two classes.
    sign = np.where(np.arange(len(Z)) % 2, 1, -1)
    svc = hingex.LinearSVC(loss, C=C, tol=1e-8, fit_intercept=False, max_iter=100_000).fit(
        Z * sign[:, None], sign, sample_weight=weight)
    own = objective(model.coef_[0], Z, C * weight, loss)
    best = objective(svc.coef_[0], Z, C * weight, loss)
    assert_allclose(model.primal_objective_[0], own, rtol=1e-9)
    assert own <= best * (1 + 2e-7)
    assert model.dual_objective_[0] <= best * (1 + 1e-9)
    assert model.duality_gap_[0] <= 1e-7
    assert model.n_pairs_ == len(Z)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["hinge", "squared_hinge"]))
def test_every_small_problem_is_certified(seed, loss):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 50)), int(rng.integers(1, 15))
    y, qid, _ = problem(rng, n, int(rng.integers(1, 5)), int(rng.integers(2, 6)))
    X = rng.normal(size=(n, d)) * 10.0 ** rng.uniform(-2, 2)
    if seed % 3 == 0:
        X = np.round(X)
    Z, weight = explicit(X, y, qid)
    if len(Z) == 0:
        return
    C = 10.0 ** rng.uniform(-3, 3)
    model = LinearRankSVC(loss, C=C, tol=1e-5).fit(X, y, qid)
    w = model.coef_[0]
    assert model.duality_gap_[0] <= 1e-5
    assert_allclose(objective(w, Z, C * weight, loss), model.primal_objective_[0], rtol=1e-8)
    # No step down: the certificate is not a matter of the code that made it.
    for _ in range(20):
        near = w + rng.normal(size=d) * 10.0 ** rng.uniform(-6, 0) * (np.abs(w).max() + 1e-9)
        assert objective(near, Z, C * weight, loss) >= model.dual_objective_[0] * (1 - 1e-9)


def data(n=200, d=6, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    y = np.digitize(X @ np.arange(1.0, d + 1) + rng.normal(size=n), [-5, 5])
    return X, y, rng.integers(0, 10, n)


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_layouts_and_types_agree(loss):
    X, y, qid = data()
    X = np.round(X * 8) / 8  # exact in float32
    fits = [LinearRankSVC(loss, C=0.1, tol=1e-6).fit(form, y, qid).coef_ for form in (
        X, X.astype(np.float32), np.asfortranarray(X), sp.csr_matrix(X), sp.csr_array(X),
        X[::-1].copy()[::-1], X.tolist())]
    for coef in fits[1:]:
        assert_allclose(coef, fits[0], rtol=1e-4, atol=1e-4)


def test_order_of_rows_and_names_of_queries_do_not_matter():
    X, y, qid = data()
    order = np.random.default_rng(1).permutation(len(y))
    names = np.array([f"q{9 - q}" for q in range(10)])
    first = LinearRankSVC(tol=1e-8).fit(X, y, qid)
    for q in (names[qid], names[qid].astype(object), qid + 0.5, qid.astype(np.int32)[:, None]):
        again = LinearRankSVC(tol=1e-8).fit(X[order], y[order], q[order])
        assert_allclose(again.coef_, first.coef_, atol=1e-4)
        assert again.n_queries_ == first.n_queries_
        assert again.n_pairs_ == first.n_pairs_


def test_weights_are_repetitions():
    X, y, qid = data(80)
    times = np.random.default_rng(0).integers(0, 3, 80)
    weighted = LinearRankSVC(tol=1e-8).fit(X, y, qid, sample_weight=times)
    rows = np.repeat(np.arange(80), times)
    repeated = LinearRankSVC(tol=1e-8).fit(X[rows], y[rows], qid[rows])
    assert_allclose(weighted.primal_objective_, repeated.primal_objective_, rtol=1e-7)
    assert_allclose(weighted.coef_, repeated.coef_, atol=1e-4)


def test_query_weights():
    X, y, qid = data(80)
    by_id = LinearRankSVC(tol=1e-8).fit(X, y, qid, query_weight={0: 0, 1: 0, 2: 2.0})
    listed = LinearRankSVC(tol=1e-8).fit(X, y, qid, query_weight=[0, 0, 2] + 7 * [1])
    assert_array_equal(by_id.coef_, listed.coef_)
    keep = qid > 1
    roots = np.where(qid == 2, np.sqrt(2), 1.0)
    same = LinearRankSVC(tol=1e-8).fit(X[keep], y[keep], qid[keep], sample_weight=roots[keep])
    assert_allclose(by_id.primal_objective_, same.primal_objective_, rtol=1e-7)
    assert by_id.n_queries_ == 8


@pytest.mark.parametrize("normalize", ["none", "pairs", "queries", "items"])
def test_normalize(normalize):
    X, y, qid = data(80)
    model = LinearRankSVC(C=3.0, normalize=normalize, tol=1e-6).fit(X, y, qid)
    i, j, _ = pairs_of(y, qid)
    count = np.bincount(qid[i], minlength=10)
    each = {"none": 1.0, "pairs": 1 / len(i), "items": np.isin(qid, qid[i]).sum() / len(i),
            "queries": 1 / (count[qid[i]] * (count > 0).sum())}[normalize]
    own = objective(model.coef_[0], X[i] - X[j], 3.0 * each * np.ones(len(i)), "hinge")
    assert_allclose(model.primal_objective_[0], own, rtol=1e-9)


def test_same_bits_in_threads_and_for_any_n_jobs():
    X, y, qid = data(6000)
    expected = LinearRankSVC().fit(X, y, qid).coef_
    found = [None] * 4

    def work(k):
        found[k] = LinearRankSVC(n_jobs=1 + k % 2).fit(X, y, qid).coef_

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for coef in found:
        assert_array_equal(coef, expected)


def test_warm_start_callback_limits_and_pickle():
    X, y, qid = data(500)
    seen = []
    model = LinearRankSVC(tol=1e-6, warm_start=True, callback=seen.append).fit(X, y, qid)
    assert model.converged_
    assert [s.epoch for s in seen] == list(range(1, model.n_iter_ + 1))
    assert_array_equal(model.history_["primal"], [s.primal for s in seen])
    again = model.n_iter_
    assert model.fit(X, y, qid).n_iter_ < again
    with pytest.raises(ValueError, match="warm_start needs the features of the last fit"):
        model.fit(X[:, :3], y, qid)
    with pytest.warns(hingex.ConvergenceWarning, match="callback stopped it"):
        stopped = LinearRankSVC(callback=lambda s: s.epoch == 2).fit(X, y, qid)
    assert stopped.n_iter_ == 2
    Z, c = explicit(X, y, qid)
    assert_allclose(objective(stopped.coef_[0], Z, c, "hinge"), stopped.primal_objective_[0])
    with pytest.warns(hingex.ConvergenceWarning, match="max_iter=3 was reached"):
        LinearRankSVC(tol=1e-9, max_iter=3).fit(X, y, qid)
    with pytest.warns(hingex.ConvergenceWarning, match="max_time was reached"):
        LinearRankSVC(tol=1e-12, max_time=1e-6).fit(X, y, qid)
    copy = pickle.loads(pickle.dumps(model))
    assert_array_equal(copy.predict(X), model.predict(X))


def test_ctrl_c_leaves_a_model():
    X, y, qid = data(300)

    def interrupt(state):
        if state.epoch == 3:
            raise KeyboardInterrupt

    model = LinearRankSVC(tol=1e-9, callback=interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y, qid)
    assert model.n_iter_ == 3
    assert np.isfinite(model.predict(X)).all()


def test_verbose_shows_the_gap(capsys):
    X, y, qid = data()
    LinearRankSVC(verbose=True).fit(X, y, qid)
    assert "gap" in capsys.readouterr().err


# ------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(("change", "text"), [
    ({"qid": np.arange(6)}, "LinearRankSVC has no pairs to learn from.*Check that qid"),
    ({"y": np.ones(6)}, "LinearRankSVC has no pairs"),
    ({"qid": [0, 0, 0, 0, np.nan, 0]}, "qid is nan at row 4"),
    ({"qid": np.array([0, 0, None, 1, 1, 1], object)}, "qid is None at row 2"),
    ({"qid": [1, 2]}, r"qid.shape == \(2,\), expected \(6,\)"),
    ({"qid": np.array([0, 0, "a", 1, 1, 1], object)}, "not a mixture"),
    ({"y": [0, 1, np.nan, 0, 1, 2]}, "NaN or infinity: .*nan.* at row 2"),
    ({"y": [0, 1]}, "X has 6 rows, y has 2"),
    ({"y": list("abcabc")}, "y"),
    ({"sample_weight": [1, 1, -1, 1, 1, 1]}, "sample_weight must be finite.*row 2"),
    ({"sample_weight": [1, 0, 0, 1, 0, 0]}, "no pairs"),
    ({"query_weight": {7: 1.0}}, "query_weight names 7, which qid does not hold"),
    ({"query_weight": [1.0, 2.0, 3.0]}, r"query_weight.shape == \(3,\), expected \(2,\)"),
    ({"query_weight": "a"}, r"query_weight.shape == \(\), expected \(2,\)"),
    ({"query_weight": [1.0, -2.0]}, "query_weight must be finite and not negative; got -2"),
])
def test_bad_data(change, text):
    given = {"X": np.eye(6), "y": [0, 1, 2, 0, 1, 2], "qid": [0, 0, 0, 1, 1, 1]} | change
    with pytest.raises((ValueError, TypeError), match=text):
        LinearRankSVC().fit(**given)


@pytest.mark.parametrize(("params", "text"), [
    ({"loss": "logistic"}, "loss must be"), ({"C": -1}, "C must be"), ({"tol": 0}, "tol must be"),
    ({"normalize": "mean"}, "normalize must be"), ({"max_iter": 0}, "max_iter"),
    ({"n_jobs": 0}, "n_jobs"), ({"warm_start": 1}, "warm_start"), ({"callback": 3}, "callback"),
    ({"C": 1e300}, "add up to"),
])
def test_bad_parameters(params, text):
    with pytest.raises((ValueError, TypeError), match=text):
        LinearRankSVC(**params).fit(np.eye(3), [0, 1, 2])


def test_queries_without_pairs_take_no_part():
    X, y, qid = data(80)
    model = LinearRankSVC(tol=1e-8).fit(X, y, qid)
    more = np.r_[X, 100 * np.ones((3, X.shape[1]))]
    again = LinearRankSVC(tol=1e-8).fit(more, np.r_[y, 5, 1, 1], np.r_[qid, 50, 51, 51])
    assert_allclose(again.coef_, model.coef_, atol=1e-6)
    assert again.n_queries_ == model.n_queries_


def test_zero_and_constant_features():
    model = LinearRankSVC().fit(np.ones((4, 2)), [0, 1, 0, 1])
    assert_array_equal(model.coef_, [[0.0, 0.0]])
    assert model.duality_gap_[0] <= 1e-3
    with pytest.raises(ValueError, match="norm beyond"):
        LinearRankSVC().fit(np.full((2, 1), 1e30), [0, 1])


# -------------------------------------------------------------------------------- metrics


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_metrics_by_their_definitions(seed):
    rng = np.random.default_rng(seed)
    y, qid, f = problem(rng, int(rng.integers(2, 40)), 3, 3, ties=seed % 2 == 0)
    i, j, _ = pairs_of(y, qid)
    if len(i) == 0:
        with pytest.raises(ValueError, match="no pairs"):
            metrics.pairwise_accuracy(y, f, qid=qid)
        return
    right = (f[i] > f[j]) + 0.5 * (f[i] == f[j])
    assert_allclose(metrics.pairwise_accuracy(y, f, qid=qid), right.mean())
    k = int(rng.integers(1, 8))
    gains, precisions = [], []
    for q in np.unique(qid):
        own, relevance = f[qid == q], y[qid == q]
        if relevance.max() == 0:
            continue
        order = np.lexsort((relevance > 0, -own))
        hits = (relevance > 0)[order]
        at = np.flatnonzero(hits)
        precision = [(m + 1) / (p + 1) for m, p in enumerate(at) if p < k]
        precisions.append(sum(precision) / min(k, len(at)))
        gain = 2.0 ** relevance - 1
        shared = np.array([gain[own == s].mean() for s in own])
        discount = 1 / np.log2(np.arange(2, len(own) + 2)) * (np.arange(len(own)) < k)
        gains.append((shared[np.argsort(-own)] * discount).sum()
                     / (np.sort(gain)[::-1] * discount).sum())
    assert_allclose(metrics.ndcg_score(y, f, qid=qid, k=k), np.mean(gains))
    assert_allclose(metrics.mean_average_precision(y, f, qid=qid, k=k), np.mean(precisions))


def test_metrics_beside_scikit_learn():
    sk = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    rng = np.random.default_rng(0)
    y, f = rng.integers(0, 2, 300), np.round(rng.normal(size=300), 1)
    w = rng.random(300)
    assert_allclose(metrics.pairwise_accuracy(y, f), sk.roc_auc_score(y, f))
    assert_allclose(metrics.pairwise_accuracy(y, f, sample_weight=w),
                    sk.roc_auc_score(y, f, sample_weight=w))
    grades = rng.integers(0, 4, 300)
    for k in (1, 5, None):
        assert_allclose(metrics.ndcg_score(grades, f, k=k, gains="linear"),
                        sk.ndcg_score([grades], [f], k=k))
    distinct = rng.permutation(300)
    assert_allclose(metrics.mean_average_precision(y, distinct),
                    sk.average_precision_score(y, distinct))


@pytest.mark.parametrize(("call", "text"), [
    (lambda: metrics.ndcg_score([0, 0], [1, 2]), "no query has a relevant item"),
    (lambda: metrics.ndcg_score([-1, 0], [1, 2]), "must not be negative; got -1 at item 0"),
    (lambda: metrics.ndcg_score([2000, 0], [1, 2]), 'gains="linear"'),
    (lambda: metrics.ndcg_score([1, 0], [1, np.nan]), r"f\[1\] is nan"),
    (lambda: metrics.ndcg_score([1, 0], [1, 2], k=0), "k must be"),
    (lambda: metrics.ndcg_score([1, 0], [1, 2], gains="log"), "gains must be"),
    (lambda: metrics.pairwise_accuracy([1], [1, 2]), r"relevance.shape == \(1,\)"),
    (lambda: metrics.mean_average_precision([1, 0], [[1, 2]]), r"expected \(n,\)"),
])
def test_metrics_refuse(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_empty_queries_count_as_told():
    y, f, qid = [1, 0, 0, 0], [1.0, 2.0, 3.0, 4.0], [0, 0, 1, 1]
    alone = metrics.ndcg_score(y, f, qid=qid)
    assert_allclose(metrics.ndcg_score(y, f, qid=qid, empty=1.0), (alone + 1) / 2)
    assert_allclose(metrics.ndcg_score(y, f, qid=qid, empty=0.0), alone / 2)
    assert metrics.mean_average_precision(y, f, qid=qid) == 0.5


def test_score_is_the_metric():
    X, y, qid = data()
    model = LinearRankSVC().fit(X, y, qid)
    f = model.predict(X)
    assert model.score(X, y, qid) == metrics.pairwise_accuracy(y, f, qid=qid)
    assert model.score(X, y, qid, metric="ndcg", k=3) == metrics.ndcg_score(y, f, qid=qid, k=3)
    assert model.score(X, y, qid, metric="map") == metrics.mean_average_precision(y, f, qid=qid)
    assert model.score(X, y, qid) > 0.8
    with pytest.raises(ValueError, match="metric must be"):
        model.score(X, y, qid, metric="auc")
    with pytest.raises(ValueError, match="k is for"):
        model.score(X, y, qid, k=3)


# ------------------------------------------------------------------------------------ AUC


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_auc_is_one_query(loss):
    X, y, _ = data(150)
    labels = np.where(y > 0, "yes", "no")
    w = np.random.default_rng(0).random(150)
    model = AUCMaximizer(loss, C=2.0, normalize="none", tol=1e-7).fit(X, labels, w)
    ranked = LinearRankSVC(loss, C=2.0, tol=1e-7).fit(X, y > 0, sample_weight=w)
    assert_array_equal(model.coef_, ranked.coef_)
    assert list(model.classes_) == ["no", "yes"]
    assert model.auc(X, labels) == ranked.score(X, y > 0)
    assert model.auc(X, labels, w) > 0.9
    assert set(model.predict(X)) <= {"no", "yes"}


def test_the_threshold_has_the_fewest_errors():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, y = np.round(rng.normal(size=(40, 2)), 1), rng.integers(0, 2, 40)
        w = rng.integers(0, 3, 40) if seed % 2 else np.ones(40)
        w[np.argmax(y)] = w[np.argmin(y)] = 1
        model = AUCMaximizer().fit(X, y, w)
        f = X @ model.coef_[0]
        errors = [(w * ((f > t) != y)).sum() for t in np.r_[-np.inf, f]]
        assert (w * (model.predict(X) != y)).sum() == min(errors)


@pytest.mark.parametrize(("y", "weight", "text"), [
    ([0, 0, 0], None, "1 distinct label|at least 2|one class"), ([0, 1, 2], None, "binary"),
    ([0, 1, 1], [0, 1, 1], "a row of positive weight in each of the two classes"),
])
def test_auc_refuses(y, weight, text):
    with pytest.raises(ValueError, match=text):
        AUCMaximizer().fit(np.eye(3), y, weight)


def test_auc_of_unknown_labels():
    model = AUCMaximizer().fit(np.eye(4), [0, 1, 0, 1])
    with pytest.raises(ValueError, match=r"y\[2\] is .*3.*not one of the classes \[0, 1\]"):
        model.auc(np.eye(4), [0, 1, 3, 0])


def test_estimators_follow_scikit_learn():
    checks = pytest.importorskip("sklearn.utils.estimator_checks",
                                 reason="scikit-learn is not installed")
    for estimator in (AUCMaximizer(), LinearRankSVC()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checks.check_estimator(estimator)


def test_model_files(tmp_path):
    X, y, qid = data()
    ranked, auc = LinearRankSVC(C=0.1).fit(X, y, qid), AUCMaximizer().fit(X, y > 0)
    for model in (ranked, auc):
        model.save(tmp_path / "model")
        again = hingex.load(tmp_path / "model")
        assert type(again) is type(model)
        assert again.get_params() == model.get_params()
        assert {k for k in vars(again) if k.endswith("_")} == {
            k for k in vars(model) if k.endswith("_")}
        assert_array_equal(again.predict(X), model.predict(X))
    ranked.coef_ = np.full_like(ranked.coef_, np.nan)
    with pytest.raises(ValueError, match="coef_"):
        ranked.save(tmp_path / "model")


def test_command_line_reads_the_models(tmp_path, capsys):
    pytest.importorskip("click", reason="click is not installed")
    from hingex.cli import main

    X, y, qid = data(30)
    model = LinearRankSVC(C=0.1).fit(X, y, qid)
    path, rows = str(tmp_path / "model"), str(tmp_path / "rows")
    model.save(path)
    hingex.dump_svmlight_file(X, y, rows)
    assert main(["info", path]) == 0
    assert "LinearRankSVC" in capsys.readouterr().out
    assert main(["predict", "--zero-based", path, rows]) == 0
    assert_allclose([float(v) for v in capsys.readouterr().out.split()], model.predict(X))
    assert main(["evaluate", "--zero-based", path, rows]) == 1
    assert "query by query; use its method score" in capsys.readouterr().err


# ------------------------------------------------------------------- cutting planes' program


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_simplex_program_meets_its_optimality_conditions(seed):
    rng = np.random.default_rng(seed)
    d, count = int(rng.integers(1, 6)), int(rng.integers(1, 25))
    program = Simplex(d, 300)
    last = -np.inf
    for _ in range(count):
        program.add(rng.normal(size=d) * 10.0 ** rng.uniform(-3, 3), rng.normal())
        a, b = program.solve()
        value = b - 0.5 * a @ a
        scale = max(1.0, abs(value))
        assert value >= last - 1e-9 * scale
        last = value
        t = program.t
        assert_allclose(t.sum(), 1)
        assert t.min() >= 0
        slope = program.b - program.gram @ t
        assert slope.max() <= slope @ t + 1e-8 * scale * (1 + np.abs(program.gram).max())


def test_simplex_keeps_its_value_when_planes_leave():
    rng = np.random.default_rng(0)
    program = Simplex(30, 12)
    last = -np.inf
    for _ in range(60):
        program.add(rng.normal(size=30), rng.normal())
        a, b = program.solve()
        assert len(program.b) <= 12
        assert b - 0.5 * a @ a >= last - 1e-10
        last = b - 0.5 * a @ a
    program.add(np.full(30, np.nan), 1.0)
    assert np.isfinite(program.solve()[0]).all()


def test_import_is_light():
    code = ("import sys, hingex; hingex.LinearRankSVC; "
            "assert not {'sklearn', 'pandas'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
