# SPDX-License-Identifier: BSD-3-Clause
"""Pairwise ranking losses against the sum over all pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from hingex.losses import CrossEntropy, PairwiseRanking, pairwise_ranking_loss, ranking


def brute(loss, rel, f, qid=None, w=None):
    """Value and derivatives by the definition."""
    rel, f = np.asarray(rel, float), np.asarray(f, float)
    qid = np.zeros(len(f)) if qid is None else np.asarray(qid)
    w = np.ones(len(f)) if w is None else np.asarray(w, float)
    sums, weights, slopes = [], [], []
    for q in np.unique(qid):
        pair = (rel[:, None] > rel[None, :]) & ((qid[:, None] == q) & (qid[None, :] == q))
        weight = pair * w[:, None] * w[None, :]
        z = loss.margin - (f[:, None] - f[None, :])
        each = np.where(pair, np.maximum(0, z) ** loss.p, 0)
        slope = weight * np.where(z > 0, loss.p * np.maximum(0, z) ** (loss.p - 1), 0)
        sums.append((weight * each).sum())
        weights.append(weight.sum())
        slopes.append(slope.sum(axis=0) - slope.sum(axis=1))
    sums, weights, slopes = np.array(sums), np.array(weights), np.array(slopes)
    if loss.normalize == "pairs":
        scale = np.full(len(sums), 1 / weights.sum())
    elif loss.normalize == "queries":
        scale = np.where(weights > 0, 1 / np.where(weights > 0, weights, 1), 0)
        scale = scale / (weights > 0).sum()
    else:
        scale = np.ones(len(sums))
    return sums @ scale, scale @ slopes


@pytest.mark.parametrize("normalize", ["pairs", "queries", "none"])
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("margin", [1.0, 0.0, 0.25, -0.5])
@pytest.mark.parametrize("levels", [2, 5, 100])
def test_sum_over_pairs(normalize, p, margin, levels):
    rng = np.random.default_rng(levels)
    loss = PairwiseRanking(margin, p, normalize)
    for n, queries in ((30, 1), (90, 7)):
        rel = rng.integers(0, levels, n)
        f = np.round(rng.standard_normal(n) * 2, 1)     # with ties, and some just at the margin
        qid = None if queries == 1 else rng.integers(0, queries, n)
        for w in (None, rng.random(n) * (rng.random(n) < 0.8)):
            value, gradient = loss.value_and_gradient(rel, f, qid=qid, sample_weight=w)
            want, slopes = brute(loss, rel, f, qid, w)
            assert_allclose(value, want, rtol=1e-12, atol=1e-12)
            assert_allclose(gradient, slopes, rtol=1e-11, atol=1e-12)
            assert loss.value(rel, f, qid=qid, sample_weight=w) == value
            assert_array_equal(loss.gradient(rel, f, qid=qid, sample_weight=w), gradient)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-4, 4), st.integers(0, 2)), max_size=25),
       st.sampled_from([1, 2]))
def test_properties(items, p):
    rel, f, qid = (np.array([t[k] for t in items], float) for k in range(3))
    loss = PairwiseRanking(p=p, normalize="none")
    value, gradient = loss.value_and_gradient(rel, f / 2, qid=qid)
    want, slopes = brute(loss, rel, f / 2, qid)
    assert_allclose(value, want, atol=1e-11)
    assert_allclose(gradient, slopes, atol=1e-11)
    assert_allclose(gradient.sum(), 0, atol=1e-10)      # only differences of scores count
    assert_allclose(loss.value(rel * 7 - 3, f / 2 + 5, qid=["abc"[int(q)] for q in qid]), value,
                    atol=1e-10)


def test_derivative_by_differences():
    rng = np.random.default_rng(0)
    rel, f = rng.integers(0, 4, 40), rng.standard_normal(40)
    for p in (1, 2):
        loss = PairwiseRanking(p=p)
        gradient = loss.gradient(rel, f)
        for k in range(0, 40, 7):
            d = np.zeros(40)
            d[k] = 1e-6
            found = (loss.value(rel, f + d) - loss.value(rel, f - d)) / 2e-6
            assert_allclose(found, gradient[k], atol=1e-7)


def test_worked_example():
    """(2, 1), (2, 0), (1, 0): 1 - 0.5, 1 - 0.75, 1 - 0.25."""
    loss = PairwiseRanking(normalize="none")
    value, gradient = loss.value_and_gradient([2, 1, 0], [1.0, 0.5, 0.25])
    assert value == 1.5
    assert_array_equal(gradient, [-2, 0, 2])
    assert pairwise_ranking_loss([2, 1, 0], [1.0, 0.5, 0.25]) == 0.5
    assert loss.value([0, 1], [0.0, 1.0]) == 0
    assert_array_equal(loss.gradient([0, 1], [0.0, 1.0]), [0, 0])   # at the kink


def test_infinite_and_nan():
    loss = PairwiseRanking(normalize="none")
    assert loss.value([1, 0], [np.inf, 0]) == loss.value([1, 0], [0, -np.inf]) == 0
    assert loss.value([1, 0], [-np.inf, 0]) == loss.value([1, 0], [0, np.inf]) == np.inf
    value, gradient = loss.value_and_gradient(
        [1, 0, 1, 0], [0.5, 0.25, np.nan, 0.0], qid=[1, 1, 2, 2])
    assert np.isnan(value)
    assert_array_equal(np.isnan(gradient), [False, False, True, True])
    assert_array_equal(gradient[:2], [-1, 1])


def test_large_offsets_keep_their_digits():
    rng = np.random.default_rng(1)
    rel, f = rng.integers(0, 2, 500), rng.integers(-2**20, 2**20, 500) / 2**20
    loss = PairwiseRanking(p=2)
    assert_allclose(loss.value(rel, f + 2.0**20), loss.value(rel, f), rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_layouts_and_types(dtype):
    rng = np.random.default_rng(2)
    f = (rng.standard_normal(60) * 4).astype(dtype)
    rel, qid = rng.integers(0, 3, 60), rng.integers(0, 3, 60)
    loss = PairwiseRanking()
    value, gradient = loss.value_and_gradient(rel, f, qid=qid)
    assert gradient.dtype == (np.float32 if dtype == np.float32 else np.float64)
    wide = np.zeros((60, 2), dtype)
    wide[:, 1] = f
    again = loss.value_and_gradient(rel.astype(np.float32), wide[:, 1], qid=list(qid))
    assert again[0] == value
    assert_array_equal(again[1], gradient)
    order = rng.permutation(60)
    mixed = loss.value_and_gradient(rel[order], f[order], qid=qid[order])
    assert_allclose(mixed[0], value, rtol=1e-13)
    assert_allclose(mixed[1], gradient[order], rtol=1e-6)


def test_threads_do_not_matter(monkeypatch):
    rng = np.random.default_rng(3)
    n = ranking.PARALLEL_FROM + 1000
    rel, f, qid = rng.integers(0, 5, n), rng.standard_normal(n), rng.integers(0, 300, n)
    found = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(ranking, "n_threads", lambda threads=threads: threads)
        found.append(PairwiseRanking().value_and_gradient(rel, f, qid=qid))
    for value, gradient in found[1:]:
        assert value == found[0][0]
        assert_array_equal(gradient, found[0][1])


def test_no_pairs():
    for rel, f, qid in (([], [], None), ([1, 1], [0.5, 2], None), ([1, 2], [0.5, 2], [0, 1])):
        loss = PairwiseRanking(normalize="none")
        value, gradient = loss.value_and_gradient(rel, f, qid=qid)
        assert value == 0
        assert_array_equal(gradient, np.zeros(len(f)))
        for normalize in ("pairs", "queries"):
            with pytest.raises(ValueError, match="mean of no pairs"):
                PairwiseRanking(normalize=normalize).value(rel, f, qid=qid)


@pytest.mark.parametrize(("change", "said"), [
    ({"f": [[1, 2, 3]]}, r"f.shape == \(1, 3\), expected \(n,\)"),
    ({"relevance": [1, 2]}, r"relevance.shape == \(2,\), expected \(3,\)"),
    ({"relevance": [1, np.nan, 2]}, r"relevance\[1\] is nan"),
    ({"qid": [1]}, r"qid.shape == \(1,\), expected \(3,\)"),
    ({"sample_weight": [1, -1, 1]}, r"sample_weight\[1\] is -1"),
])  # fmt: skip
def test_wrong_arguments(change, said):
    options = {"relevance": [1, 2, 3], "f": [0.1, 0.2, 0.3]} | change
    with pytest.raises(ValueError, match=said):
        PairwiseRanking().value(options.pop("relevance"), options.pop("f"), **options)


def test_wrong_parameters():
    for options in ({"p": 3}, {"p": True}, {"normalize": "mean"}, {"margin": np.inf}):
        with pytest.raises(ValueError, match="must be"):
            PairwiseRanking(**options)
    with pytest.raises(TypeError, match="different arguments"):
        PairwiseRanking() + CrossEntropy()


def test_mixture():
    mixture = 0.5 * PairwiseRanking() + PairwiseRanking(p=2)
    rel, f = [1, 0, 2], [0.3, 0.4, 0.1]
    value, gradient = mixture.value_and_gradient(rel, f)
    parts = [PairwiseRanking().value_and_gradient(rel, f),
             PairwiseRanking(p=2).value_and_gradient(rel, f)]
    assert_allclose(value, 0.5 * parts[0][0] + parts[1][0])
    assert_allclose(gradient, 0.5 * parts[0][1] + parts[1][1])


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize(("rel", "f", "want", "slopes"), [
    ([1, 0, 1], [-np.inf, -4.0, 3.0], np.inf, {1: [-1, 1, 0], 2: [-np.inf, np.inf, 0]}),
    ([1, 0, 0], [5.0, np.inf, -5.0], np.inf, {1: [-1, 1, 0], 2: [-np.inf, np.inf, 0]}),
    ([1, 0, 1, 0], [5.0, 0, -np.inf, -4.0], np.inf,
     {1: [0, 1, -2, 1], 2: [0, np.inf, -np.inf, np.inf]}),
    ([2, 1, 0], [np.inf, np.inf, 0], np.nan, {1: [np.nan] * 3, 2: [np.nan] * 3}),
    ([1, 0], [-np.inf, -np.inf], np.nan, {1: [np.nan] * 2, 2: [np.nan] * 2}),
    ([1, 1], [np.inf, np.inf], 0, {1: [0, 0], 2: [0, 0]}),
])  # fmt: skip
def test_infinite_scores_among_finite_ones(p, rel, f, want, slopes):
    value, gradient = PairwiseRanking(p=p, normalize="none").value_and_gradient(rel, f)
    assert_array_equal(value, want)
    assert_array_equal(gradient, slopes[p])


@pytest.mark.parametrize("p", [1, 2])
def test_weight_zero_takes_no_part(p):
    """As items of a padded query, whose scores are infinite."""
    loss = PairwiseRanking(p=p)
    value, gradient = loss.value_and_gradient(
        [1, 0, 0, 2, 1], [0.5, 0.25, -np.inf, -np.inf, np.inf], sample_weight=[1, 2, 0, 0, 0])
    want, slopes = loss.value_and_gradient([1, 0], [0.5, 0.25], sample_weight=[1, 2])
    assert value == want
    assert_array_equal(gradient, [*slopes, 0, 0, 0])


def test_squares_that_overflow():
    value = PairwiseRanking(p=2, normalize="none").value([1, 0, 0], [1e200, 1.5e200, -2.5e200])
    assert value == np.inf  # of inf - inf


@pytest.mark.parametrize("normalize", ["pairs", "queries"])
def test_constants(normalize):
    """No pair of scores has a steeper mean, and one pair reaches the constants."""
    rng = np.random.default_rng(4)
    hinge, square = (PairwiseRanking(p=p, normalize=normalize) for p in (1, 2))
    rel, qid = rng.integers(0, 3, 12), rng.integers(0, 3, 12)
    for _ in range(50):
        f, g = rng.standard_normal((2, 12))
        assert np.linalg.norm(hinge.gradient(rel, f, qid=qid)) <= hinge.lipschitz
        change = square.gradient(rel, f, qid=qid) - square.gradient(rel, g, qid=qid)
        assert np.linalg.norm(change) <= square.smoothness * np.linalg.norm(f - g)
    assert_allclose(np.linalg.norm(hinge.gradient([1, 0], [0, 0])), hinge.lipschitz)
    change = square.gradient([1, 0], [0.25, 0]) - square.gradient([1, 0], [0, 0.25])
    assert_allclose(np.linalg.norm(change), square.smoothness * np.linalg.norm([0.25, -0.25]))
    assert hinge.smoothness == square.lipschitz == np.inf
    assert PairwiseRanking(normalize="none").lipschitz == np.inf


def test_wrong_queries():
    with pytest.raises(ValueError, match=r"qid\[1\] is nan"):
        PairwiseRanking().value([1, 0, 2], [0.1, 0.2, 0.3], qid=[1, np.nan, 1])
    with pytest.raises(TypeError, match="qid must hold numbers or strings"):
        PairwiseRanking().value([1, 0, 2], [0.1, 0.2, 0.3], qid=[None, "a", "a"])
