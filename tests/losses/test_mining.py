# SPDX-License-Identifier: BSD-3-Clause
"""Mined triplets against three loops."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from hingex.losses import BatchAllTriplet, embedding, mine_triplets


def brute(x, labels, strategy, margin, squared):
    x = np.asarray(x, float)
    n = len(x)
    d = ((x[:, None] - x[None]) ** 2).sum(axis=2)
    d = d if squared else np.sqrt(d)
    found = []
    for a in range(n):
        mates = [p for p in range(n) if p != a and labels[p] == labels[a]]
        others = [k for k in range(n) if labels[k] != labels[a]]
        if strategy == "batch-hard":
            if mates and others:
                found.append((a, max(mates, key=lambda p: (d[a, p], -p)),
                              min(others, key=lambda k: (d[a, k], k))))
            continue
        for p in mates:
            for k in others:
                near, far = d[a, p], d[a, k]
                if {"all": True, "hard": far <= near,
                        "semi-hard": near < far < near + margin}[strategy]:
                    found.append((a, p, k))
    return np.array(found, dtype=np.int64).reshape(-1, 3)


@pytest.mark.parametrize("strategy", ["all", "hard", "semi-hard", "batch-hard"])
@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_as_three_loops_say(strategy, squared, dtype, monkeypatch):
    monkeypatch.setattr(embedding, "_BLOCK", 50)  # several blocks
    rng = np.random.default_rng(0)
    for n, kinds in ((1, 1), (2, 2), (7, 1), (19, 3), (25, 8)):
        x = rng.standard_normal((n, 3)).astype(dtype)
        labels = rng.integers(kinds, size=n)
        for given_x in (x, np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2]):
            found = mine_triplets(given_x, labels, strategy, margin=0.7, squared=squared)
            assert found.dtype == np.int64
            assert_array_equal(found, brute(x, labels, strategy, 0.7, squared))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=9),
       st.sampled_from(["all", "hard", "semi-hard", "batch-hard"]), st.sampled_from([0, 1, -1]))
def test_ties(items, strategy, margin):
    x = np.array([[float(v)] for v, _ in items]).reshape(-1, 1)
    labels = [g for _, g in items]
    assert_array_equal(mine_triplets(x, labels, strategy, margin=margin),
                       brute(x, labels, strategy, margin, False))


def test_hard_and_semi_hard_are_those_with_a_loss():
    rng = np.random.default_rng(1)
    x, labels = rng.standard_normal((30, 2)), rng.choice(["a", "b", "c"], 30)
    every, hard, semi = (mine_triplets(x, labels, s) for s in ("all", "hard", "semi-hard"))

    def losses(t):
        near, far = (np.linalg.norm(x[t[:, 0]] - x[t[:, k]], axis=1) for k in (1, 2))
        return np.maximum(0, near - far + 1)

    assert len(hard) + len(semi) == (losses(every) > 0).sum()
    total = losses(hard).sum() + losses(semi).sum()
    assert_allclose(total / len(every), BatchAllTriplet().value(x, labels))


@pytest.mark.parametrize("strategy", ["all", "hard", "semi-hard", "batch-hard"])
def test_none(strategy):
    for x, labels in ((np.empty((0, 2)), []), (np.ones((3, 2)), [1, 1, 1]),
                      (np.ones((3, 2)), [1, 2, 3]), ([[1.0, 2.0]], ["a"])):
        found = mine_triplets(x, labels, strategy)
        assert found.shape == (0, 3)
        assert found.dtype == np.int64


def test_errors():
    x = np.ones((3, 2))
    with pytest.raises(ValueError, match="strategy must be"):
        mine_triplets(x, [0, 0, 1], "easy")
    with pytest.raises(ValueError, match=r"embeddings\[1\] is not finite"):
        mine_triplets([[1.0], [np.nan], [2.0]], [0, 0, 1])
    with pytest.raises(ValueError, match="labels"):
        mine_triplets(x, [0, 1])
    with pytest.raises(ValueError, match="labels"):
        mine_triplets(x, [0.0, np.nan, 1.0])
    with pytest.raises(ValueError, match=r"embeddings.shape == \(3,\)"):
        mine_triplets([1.0, 2.0, 3.0], [0, 1, 1])
    with pytest.raises(ValueError, match="margin must be finite"):
        mine_triplets(x, [0, 0, 1], "semi-hard", margin=np.inf)


def test_the_result_is_held_once():
    """Also while it is made: the peak is the result, and little more."""
    rng = np.random.default_rng(2)
    x, labels = rng.standard_normal((200, 3)), rng.integers(3, size=200)
    for strategy in ("all", "hard", "semi-hard"):
        tracemalloc.start()
        found = mine_triplets(x, labels, strategy)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(found) > 100_000
        assert peak < 1.6 * found.nbytes + 4_000_000  # it grows by halves
