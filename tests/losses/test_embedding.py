# SPDX-License-Identifier: BSD-3-Clause
"""Losses of pairs, triplets and batches against their definitions, differences and torch."""

import doctest
import itertools
import time

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import hingex.losses as hl
from hingex.losses import (
    BatchAllTriplet,
    Hinge,
    HingeEmbedding,
    LiftedStructure,
    MarginRanking,
    NPair,
    Triplet,
    embedding,
    mining,
)

TRIPLETS = [
    Triplet(), Triplet(margin=0.3, p=1), Triplet(p=3, eps=0.01), Triplet(p=np.inf),
    Triplet(p=1.5, swap=True), Triplet(swap=True), Triplet(p=np.inf, swap=True),
    Triplet(squared=True), Triplet(margin=2.0, squared=True, swap=True), Triplet(p=0.7, margin=9),
]
BATCHES = [LiftedStructure(), LiftedStructure(margin=0.2), LiftedStructure(margin=-30.0),
           BatchAllTriplet(), BatchAllTriplet(margin=0.1), BatchAllTriplet(margin=-0.5),
           BatchAllTriplet(squared=True)]


def named(loss):
    return repr(loss)


def differences(function, arrays, h=1e-6):
    """Central differences by every element of every array."""
    found = []
    for which, array in enumerate(arrays):
        slopes = np.empty(array.shape)
        for at in np.ndindex(array.shape):
            ends = []
            for step in (h, -h):
                moved = [a.copy() for a in arrays]
                moved[which][at] += step
                ends.append(function(*moved))
            slopes[at] = (ends[0] - ends[1]) / (2 * h)
        found.append(slopes)
    return found


# ---- distances and pairs of scores ---------------------------------------------------------------

def test_hinge_embedding():
    y, x = np.array([1, -1, -1, 1, -1]), np.array([0.3, 0.3, 1.0, -2.0, 4.0])
    w = np.array([1.0, 2.0, 0.5, 3.0, 0.0])
    each = np.array([0.3, 0.7, 0.0, -2.0, 0.0])
    slope = np.array([1.0, -1.0, 0.0, 1.0, 0.0])
    loss = HingeEmbedding()
    assert_allclose(loss.value(y, x, reduction="none"), each)
    assert_allclose(loss.value(y, x), each.mean())
    assert_allclose(loss.value(y, x, sample_weight=w), each @ w / w.sum())
    assert_allclose(loss.gradient(y, x), slope / 5)
    value, g = loss.value_and_gradient(y, x, sample_weight=w, reduction="sum")
    assert_allclose(value, each @ w)
    assert_allclose(g, slope * w)
    assert_allclose(hl.hinge_embedding_loss(y, x, margin=2.0), HingeEmbedding(2.0).value(y, x))
    assert_allclose(loss.value(y > 0, x, labels=(False, True)), each.mean())
    assert_allclose((0.5 * loss + HingeEmbedding(2.0)).value(y, x),
                    0.5 * loss.value(y, x) + HingeEmbedding(2.0).value(y, x))


def test_margin_ranking():
    y, x1, x2 = np.array([1, -1, 1, -1]), np.array([1.0, 2, 3, 0]), np.array([0.5, 1, 3.0, 1])
    w = np.array([1.0, 2.0, 0.5, 0.0])
    for margin in (0.0, 0.75, -0.1):
        loss = MarginRanking(margin)
        each = np.maximum(0, -y * (x1 - x2) + margin)
        slope = np.where(-y * (x1 - x2) + margin > 0, -y, 0)
        assert_allclose(loss.value(y, x1, x2, reduction="none"), each)
        assert_allclose(loss.value(y, x1, x2, sample_weight=w), each @ w / w.sum())
        value, (g1, g2) = loss.value_and_gradient(y, x1, x2, sample_weight=w, reduction="sum")
        assert_allclose(value, each @ w)
        assert_allclose(g1, slope * w)
        assert_allclose(g2, -slope * w)
        assert_allclose(value, Hinge(margin).value(y, x1 - x2, sample_weight=w, reduction="sum"))
    assert hl.margin_ranking_loss(y, x1, x2, margin=1.0) == MarginRanking(1.0).value(y, x1, x2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pairs_of_any_shape_and_layout(dtype):
    rng = np.random.default_rng(0)
    x1, x2 = (rng.standard_normal((4, 5, 6)).astype(dtype) for _ in range(2))
    y = rng.choice([-1, 1], (4, 5, 6))
    w = rng.random((4, 5, 6))
    for change in (np.asfortranarray, lambda a: np.repeat(a, 2, axis=1)[:, ::2],
                   lambda a: a[::-1].copy()[::-1]):
        for loss, args in ((HingeEmbedding(), (y, x1)), (MarginRanking(0.5), (y, x1, x2))):
            moved = [change(a) for a in args]
            v, g = loss.value_and_gradient(*args, sample_weight=w)
            v2, g2 = loss.value_and_gradient(*moved, sample_weight=change(w))
            assert_allclose(v2, v, rtol=1e-12)
            assert_array_equal(g2, g)
            assert all(part.dtype == dtype and part.shape == x1.shape
                       for part in (g if isinstance(g, tuple) else (g,)))
            none = loss.value(*moved, reduction="none")
            assert none.dtype == dtype
            assert none.shape == x1.shape
            assert_allclose(none.mean(), loss.value(*args), rtol=1e-5)
    assert HingeEmbedding().value(-1, 0.25) == 0.75
    assert HingeEmbedding().gradient(-1, 0.25) == -1
    for found in HingeEmbedding().value_and_gradient(-1, 0.25, reduction="none"):
        assert isinstance(found, np.float64)  # a number for numbers, as of the margin losses


def test_pairs_not_finite_and_empty():
    loss = HingeEmbedding()
    x = np.array([np.nan, np.nan, np.inf, np.inf, -np.inf])
    y = np.array([1, -1, 1, -1, -1])
    assert_array_equal(loss.value(y, x, reduction="none"), [np.nan, np.nan, np.inf, 0, np.inf])
    assert_array_equal(loss.gradient(y, x, reduction="sum"), [np.nan, np.nan, 1, 0, -1])
    ranking = MarginRanking()
    assert_array_equal(ranking.value([1, 1, -1], [np.inf, np.nan, np.inf], [0.0, 1.0, 0.0],
                                     reduction="none"), [0, np.nan, np.inf])
    for call in (lambda **k: loss.value([], [], **k), lambda **k: ranking.value([], [], [], **k)):
        with pytest.raises(ValueError, match="the mean of no values: x"):
            call()
        assert call(reduction="sum") == 0
        assert call(reduction="none").shape == (0,)


def test_pairs_refuse():
    with pytest.raises(ValueError, match=r"y\[0\] is 0.*labels=\(0, 1\)"):
        HingeEmbedding().value([0, 1], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"y\[1\] is 0.*labels=\(0, 1\)"):
        MarginRanking().value([1, 0], [1.0, 2.0], [0.0, 0.0])
    with pytest.raises(ValueError, match=r"expected \(3,\) as x has"):
        HingeEmbedding().value([1, 1], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"expected \(2,\) as x1 has"):
        MarginRanking().value([1, 1], [1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="reduction"):
        HingeEmbedding().value([1, 1], [1.0, 2.0], reduction="max")
    with pytest.raises(ValueError, match="weights must be"):
        HingeEmbedding().value([1, 1], [1.0, 2.0], sample_weight=[1, -1])
    with pytest.raises(ValueError, match="margin must be finite"):
        HingeEmbedding(np.inf)


# ---- triplets ------------------------------------------------------------------------------------

def triplet_brute(loss, a, p, n):
    def distance(u, v):
        if loss.squared:
            return ((u - v) ** 2).sum()
        z = np.abs(u - v + loss.eps)
        return z.max() if loss.p == np.inf else (z ** loss.p).sum() ** (1 / loss.p)

    far = [distance(u, k) for u, k in zip(a, n, strict=True)]
    if loss.swap:
        far = [min(d, distance(u, k)) for d, u, k in zip(far, p, n, strict=True)]
    near = [distance(u, v) for u, v in zip(a, p, strict=True)]
    return np.maximum(0, np.array(near) - far + loss.margin)


@pytest.mark.parametrize("loss", TRIPLETS, ids=named)
def test_triplets(loss):
    rng = np.random.default_rng(0)
    a, p, n = (rng.standard_normal((12, 4)) for _ in range(3))
    n += rng.random((12, 1))
    w = rng.random(12)
    each = triplet_brute(loss, a, p, n)
    assert (each > 0).any()
    assert_allclose(loss.value(a, p, n, reduction="none"), each, rtol=1e-12)
    assert_allclose(loss.value(a, p, n), each.mean())
    assert_allclose(loss.value(a, p, n, sample_weight=w), each @ w / w.sum())
    value, g = loss.value_and_gradient(a, p, n, sample_weight=w)
    assert_allclose(value, each @ w / w.sum())
    want = differences(lambda *x: loss.value(*x, sample_weight=w), [a, p, n])
    for got, slopes in zip(g, want, strict=True):
        assert_allclose(got, slopes, atol=1e-7)
    if np.isfinite(loss.lipschitz):
        each_g = np.concatenate(loss.gradient(a, p, n, reduction="sum"), axis=1)
        assert np.linalg.norm(each_g, axis=1).max() <= loss.lipschitz + 1e-12
    moved = [np.asfortranarray(a), np.repeat(p, 2, axis=0)[::2], n[:, ::-1].copy()[:, ::-1]]
    for got, slopes in zip(loss.gradient(*moved, sample_weight=w), g, strict=True):
        assert_allclose(got, slopes, rtol=1e-12, atol=1e-15)
    small = [x.astype(np.float32) for x in (a, p, n)]
    assert_allclose(loss.value(*small), each.mean(), rtol=1e-5)
    assert loss.value(*small, reduction="none").dtype == np.float32
    assert all(part.dtype == np.float32 for part in loss.gradient(*small))


def test_lipschitz_of_triplets_is_reached():
    g = Triplet(eps=0).gradient([[0.0]], [[1.0]], [[-1.0]])
    assert_allclose(np.linalg.norm(np.concatenate(g)), np.sqrt(6))


@pytest.mark.parametrize("p", [0.5, 1, 2, 3, np.inf])
def test_equal_points_have_no_slope(p):
    x, far = np.ones((2, 3)), np.array([[1.5, 1.5, 1.5], [1.0, 1.0, 1.0]])
    ga, gp, gn = Triplet(p=p, eps=0, margin=20.0).gradient(x, x, far, reduction="sum")
    assert_array_equal(gp, 0)
    assert_array_equal(gn[1], 0)
    assert_allclose(ga, -gn)
    assert np.all(gn[0] < 0)


def test_triplets_at_the_margin_have_no_slope():
    g = Triplet(squared=True).gradient([[0.0, 0.0]], [[0.0, 1.0]], [[1.0, 1.0]])
    assert all((part == 0).all() for part in g)


def test_triplets_not_finite_large_and_empty():
    loss = Triplet()
    a, p, n = np.zeros((4, 2)), np.ones((4, 2)), 2 * np.ones((4, 2))
    p[0, 0], n[1, 1], n[2, 0], p[3, 1] = np.nan, np.nan, np.inf, -np.inf
    value = loss.value(a, p, n, reduction="none")
    assert_array_equal(value, [np.nan, np.nan, 0, np.inf])
    g = loss.gradient(a, p, n, reduction="sum")
    assert all(np.isnan(part[:2]).all() and (part[2] == 0).all() for part in g)
    big = Triplet(margin=0, p=3).value([[0.0, 0.0]], [[3e200, 0.0]], [[0.0, 1e200]])
    assert_allclose(big, 2e200)
    none = np.empty((0, 2))
    with pytest.raises(ValueError, match="the mean of no values: anchor"):
        loss.value(none, none, none)
    assert loss.value(none, none, none, reduction="sum") == 0
    assert [x.shape for x in loss.gradient(none, none, none, reduction="none")] == [(0, 2)] * 3


def test_triplets_refuse():
    x = np.ones((3, 2))
    with pytest.raises(ValueError, match="p must be 2"):
        Triplet(p=1, squared=True)
    for options in ({"p": 0}, {"eps": -1.0}, {"margin": np.nan}):
        with pytest.raises(ValueError, match="must be"):
            Triplet(**options)
    with pytest.raises(ValueError, match=r"negative.shape == \(2, 2\), expected \(3, 2\)"):
        Triplet().value(x, x, x[:2])
    with pytest.raises(ValueError, match=r"anchor.shape == \(3,\)"):
        Triplet().value(x[:, 0], x, x)


# ---- N-pairs -------------------------------------------------------------------------------------

def npair_brute(loss, a, p, labels=None):
    n = len(a)
    labels = range(n) if labels is None else labels
    return np.array([
        np.log(1 + sum(np.exp(a[i] @ p[j] - a[i] @ p[i]) for j in range(n)
                       if labels[j] != labels[i]))
        + loss.l2 * (a[i] @ a[i] + p[i] @ p[i]) for i in range(n)])


@pytest.mark.parametrize("labels", [None, ["a", "b", "a", "c", "b", "b", "d"]])
@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_npair(l2, labels, monkeypatch):
    monkeypatch.setattr(embedding, "_BLOCK", 20)
    rng = np.random.default_rng(0)
    a, p, w = rng.standard_normal((7, 3)), rng.standard_normal((7, 3)), rng.random(7)
    loss = NPair(l2)
    each = npair_brute(loss, a, p, labels)
    options = {"labels": labels, "sample_weight": w}
    assert_allclose(loss.value(a, p, labels=labels, reduction="none"), each)
    value, g = loss.value_and_gradient(a, p, **options)
    assert_allclose(value, each @ w / w.sum())
    want = differences(lambda *x: loss.value(*x, **options), [a, p])
    for got, slopes in zip(g, want, strict=True):
        assert_allclose(got, slopes, atol=1e-8)
    small = a.astype(np.float32), np.asfortranarray(p.astype(np.float32))
    assert_allclose(loss.value(*small, **options), value, rtol=1e-5)
    assert all(part.dtype == np.float32 for part in loss.gradient(*small, **options))
    assert hl.npair_loss(a, p, l2=l2, **options) == value


def test_npair_at_the_ends():
    huge = 1e3 * np.eye(3)
    assert NPair().value(huge, huge) == 0
    assert_allclose(NPair().value(huge, huge[[1, 2, 0]]), 1e6)
    assert NPair().value([[1.0]], [[2.0]]) == 0
    bad = np.eye(3)
    bad[1, 1] = np.nan
    assert_array_equal(np.isnan(NPair().value(bad, np.eye(3), reduction="none")), [0, 1, 0])
    alone = NPair().value(bad, np.eye(3), labels=[1, 1, 1], reduction="none")
    assert_array_equal(np.isnan(alone), [0, 1, 0])
    none = np.empty((0, 2))
    assert NPair().value(none, none, reduction="sum") == 0
    with pytest.raises(ValueError, match="the mean of no values"):
        NPair().value(none, none)


# ---- batches -------------------------------------------------------------------------------------

def lifted_brute(loss, x, labels, reduction="mean"):
    n = len(x)
    d = np.linalg.norm(x[:, None] - x[None], axis=2)
    pairs = [(i, j) for i in range(n) for j in range(i) if labels[i] == labels[j]]
    total = 0.0
    for i, j in pairs:
        push = sum(np.exp(loss.margin - d[e, k]) for e in (i, j) for k in range(n)
                   if labels[k] != labels[e])
        total += max(0, np.log(push) + d[i, j]) ** 2 if push > 0 else 0
    return total / 2 / (len(pairs) if reduction == "mean" else 1)


def batch_all_brute(loss, x, labels, reduction="mean"):
    """Value and derivatives, from every triplet."""
    d = ((x[:, None] - x[None]) ** 2).sum(axis=2)
    d = d if loss.squared else np.sqrt(d)
    total, count, slope = 0.0, 0, np.zeros(x.shape)

    def towards(u, v):
        z = x[u] - x[v]
        return 2 * z if loss.squared else z / d[u, v] if d[u, v] > 0 else 0 * z

    for a, p, n in itertools.product(range(len(x)), repeat=3):
        if a != p and labels[a] == labels[p] and labels[a] != labels[n]:
            count += 1
            each = d[a, p] - d[a, n] + loss.margin
            if each > 0:
                total += each
                slope[a] += towards(a, p) - towards(a, n)
                slope[p] += towards(p, a)
                slope[n] -= towards(n, a)
    scale = 1 / count if reduction == "mean" else 1
    return total * scale, slope * scale


@pytest.mark.parametrize("loss", BATCHES, ids=named)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_batches(loss, reduction):
    rng = np.random.default_rng(0)
    for n, kinds in ((3, 2), (9, 3), (14, 5), (16, 2)):
        x = rng.standard_normal((n, 3)) + 5
        labels = np.array(["red", "green", "blue", "black", "white"])[
            np.concatenate([[0, 0, 1], rng.integers(kinds, size=n - 3)])]
        value, g = loss.value_and_gradient(x, labels, reduction=reduction)
        if isinstance(loss, LiftedStructure):
            want = lifted_brute(loss, x, labels, reduction)
        else:
            want, slope = batch_all_brute(loss, x, labels, reduction)
            assert_allclose(g, slope, atol=1e-12)
        assert_allclose(value, want, rtol=1e-12, atol=1e-14)
        numeric = differences(lambda e, y=labels: loss.value(e, y, reduction=reduction), [x])[0]
        assert_allclose(g, numeric, atol=1e-6 * max(1, abs(numeric).max()))
        assert value == loss.value(x, labels, reduction=reduction)
        assert_allclose(loss.gradient(np.asfortranarray(x), list(labels), reduction=reduction), g,
                        atol=1e-13)
        small = x.astype(np.float32)
        assert_allclose(loss.value(small, labels, reduction=reduction), want, rtol=1e-5, atol=1e-6)
        assert loss.gradient(small, labels).dtype == np.float32


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=3, max_size=8),
       st.sampled_from([0.0, 1.0, 2.0, -1.0]), st.booleans())
@example([(0, 0), (0, 0), (0, 0), (1, 0), (2, 1)], 0.0, False)  # just at the margin
def test_batch_all_with_ties_and_equal_points(items, margin, squared):
    x = np.array([[float(v), 0.0] for v, _ in items])
    labels = [g for _, g in items]
    loss = BatchAllTriplet(margin=margin, squared=squared)
    want, slope = batch_all_brute(loss, x, labels, "sum")
    value, g = loss.value_and_gradient(x, labels, reduction="sum")
    assert_allclose(value, want, atol=1e-12)
    assert_allclose(g, slope, atol=1e-12)


def test_batch_all_is_not_cubic():
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((1200, 8)), rng.integers(10, size=1200)  # 1.5e8 triplets
    start = time.perf_counter()
    BatchAllTriplet().value_and_gradient(x, labels)
    assert time.perf_counter() - start < 5


def test_lifted_equal_points():
    x = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    for labels in ([0, 0, 1, 1], [0, 1, 0, 1]):
        value, g = LiftedStructure().value_and_gradient(x, labels)
        assert_allclose(value, lifted_brute(LiftedStructure(), x, labels))
        assert np.isfinite(g).all()


@pytest.mark.parametrize("loss", [LiftedStructure(), BatchAllTriplet()], ids=named)
def test_batches_not_finite_empty_and_refused(loss):
    x = np.array([[0.0], [1.0], [np.nan], [3.0]], np.float32)
    value, g = loss.value_and_gradient(x, [0, 0, 1, 1])
    assert np.isnan(value)
    assert np.isnan(g).all()
    assert g.dtype == np.float32
    for few, labels in ((np.empty((0, 2)), []), (np.ones((2, 2)), [0, 1])):
        with pytest.raises(ValueError, match="the mean of no"):
            loss.value(few, labels)
        value, g = loss.value_and_gradient(few, labels, reduction="sum")
        assert value == 0
        assert_array_equal(g, np.zeros(few.shape))
    one = loss.value_and_gradient([[1.0], [2.0]], [7, 7], reduction="sum")
    assert one[0] == 0
    assert_array_equal(one[1], 0)
    with pytest.raises(ValueError, match="reduction"):
        loss.value([[1.0], [2.0]], [7, 7], reduction="none")
    with pytest.raises(ValueError, match="labels"):
        loss.value([[1.0], [2.0]], [7])
    with pytest.raises(ValueError, match=r"embeddings.shape == \(2,\)"):
        loss.value([1.0, 2.0], [7, 8])


# ---- torch, side by side -------------------------------------------------------------------------

def from_torch(module, *arrays, fixed=()):
    """Value and derivatives by arrays, of torch's module on arrays and then `fixed`."""
    torch = pytest.importorskip("torch")
    given_ = [torch.tensor(a, requires_grad=True) for a in arrays]
    value = module(*given_, *(torch.tensor(f) for f in fixed))
    value.sum().backward()
    return value.detach().numpy(), [x.grad.numpy() for x in given_]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-5), (np.float64, 1e-6)])
def test_torch_pairs(reduction, dtype, rtol):
    nn = pytest.importorskip("torch").nn
    rng = np.random.default_rng(0)
    x1, x2 = (rng.standard_normal((6, 5)).astype(dtype) for _ in range(2))
    y = rng.choice([-1.0, 1.0], (6, 5)).astype(dtype)
    options = {"margin": 0.4, "reduction": reduction}
    value, (slope,) = from_torch(nn.HingeEmbeddingLoss(**options), x1, fixed=[y])
    mine = HingeEmbedding(0.4).value_and_gradient(y, x1, reduction=reduction)
    assert_allclose(mine[0], value, rtol=rtol)
    assert_allclose(mine[1], slope, rtol=rtol)
    value, slopes = from_torch(nn.MarginRankingLoss(**options), x1, x2, fixed=[y])
    mine = MarginRanking(0.4).value_and_gradient(y, x1, x2, reduction=reduction)
    assert_allclose(mine[0], value, rtol=rtol, atol=1e-7)
    for got, want in zip(mine[1], slopes, strict=True):
        assert_allclose(got, want, rtol=rtol)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("loss", [x for x in TRIPLETS if not x.squared], ids=named)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-5), (np.float64, 1e-6)])
def test_torch_triplets(loss, reduction, dtype, rtol):
    nn = pytest.importorskip("torch").nn
    rng = np.random.default_rng(0)
    a, p, n = (rng.standard_normal((20, 4)).astype(dtype) for _ in range(3))
    a[0], p[1] = p[0], n[1]  # equal points
    module = nn.TripletMarginLoss(margin=loss.margin, p=loss.p, eps=loss.eps, swap=loss.swap,
                                  reduction=reduction)
    value, slopes = from_torch(module, a, p, n)
    mine = loss.value_and_gradient(a, p, n, reduction=reduction)
    assert_allclose(mine[0], value, rtol=rtol, atol=rtol)
    for got, want in zip(mine[1], slopes, strict=True):
        assert_allclose(got, want, rtol=20 * rtol, atol=rtol)


# ---- the rest ------------------------------------------------------------------------------------

@pytest.mark.parametrize("module", [embedding, mining])
def test_examples(module):
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed


def test_objects_and_mixtures():
    a, p, n = np.eye(3), np.ones((3, 3)), -np.eye(3)
    mixture = 0.25 * Triplet() + 2 * Triplet(squared=True)
    value, g = mixture.value_and_gradient(a, p, n)
    parts = [loss.value_and_gradient(a, p, n) for loss in (Triplet(), Triplet(squared=True))]
    assert_allclose(value, 0.25 * parts[0][0] + 2 * parts[1][0])
    for k in range(3):
        assert_allclose(g[k], 0.25 * parts[0][1][k] + 2 * parts[1][1][k])
    with pytest.raises(TypeError, match="cannot be added"):
        Triplet() + NPair()
    with pytest.raises(TypeError, match="cannot be added"):
        LiftedStructure() + BatchAllTriplet()
    assert Triplet(p=1) == Triplet(p=1)
    assert hash(BatchAllTriplet()) == hash(BatchAllTriplet())
    assert hl.triplet_loss(a, p, n, squared=True) == parts[1][0]
    for name in (*embedding.__all__, *mining.__all__):
        assert name in hl.__all__
        assert getattr(hl, name).__doc__
