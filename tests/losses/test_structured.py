# SPDX-License-Identifier: BSD-3-Clause
"""The structured hinge loss against enumeration, Crammer and Singer's loss, and differences."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import hingex.losses as hl

K, FEATURES = 4, 3


def class_feature(x, y):
    return np.kron(np.eye(K)[y], x)


def zero_one(y, other):
    return float(y != other)


CLASSES = hl.EnumerationOracle(range(K), class_feature, zero_one)

# Tag sequences: words 0..2, tags 0..1; features count (word, tag) and (tag, next tag).
TAGS, WORDS = 2, 3
LENGTH = WORDS * TAGS + TAGS * TAGS


def chain_feature(x, y):
    phi = np.zeros(LENGTH)
    np.add.at(phi, TAGS * np.array(x) + y, 1)
    np.add.at(phi, WORDS * TAGS + TAGS * np.array(y[:-1]) + y[1:], 1)
    return phi


def hamming(y, other):
    return float(sum(a != b for a, b in zip(y, other, strict=True)))


class Viterbi:
    """The chain's loss-augmented maximum by dynamic programming; margin rescaling only."""

    joint_feature = staticmethod(chain_feature)
    loss = staticmethod(hamming)

    def loss_augmented_argmax(self, w, x, y, rescaling):
        if rescaling != "margin":
            raise ValueError("only margin rescaling")
        emission = w[:WORDS * TAGS].reshape(WORDS, TAGS)
        step = w[WORDS * TAGS:].reshape(TAGS, TAGS)
        here = emission[list(x)] + (np.arange(TAGS) != np.array(y)[:, None])
        best, back = here[0], []
        for row in here[1:]:
            through = best[:, None] + step
            back.append(through.argmax(axis=0))
            best = through.max(axis=0) + row
        tags = [int(best.argmax())]
        for arrows in reversed(back):
            tags.append(int(arrows[tags[-1]]))
        return tuple(reversed(tags))


CHAINS = hl.EnumerationOracle(list(product(range(TAGS), repeat=5)), chain_feature, hamming)


def chains(n=12, seed=0):
    rng = np.random.default_rng(seed)
    X = [tuple(map(int, row)) for row in rng.integers(0, WORDS, (n, 5))]
    Y = [tuple(map(int, row)) for row in rng.integers(0, TAGS, (n, 5))]
    return rng.standard_normal(LENGTH), X, Y


def definition(w, x, y, oracle, rescaling):
    """The formula, by trying all outputs."""
    own = w @ oracle.joint_feature(x, y)
    found = []
    for other in oracle.labels:
        gain = w @ oracle.joint_feature(x, other) - own
        cost = oracle.loss(y, other)
        found.append(cost + gain if rescaling == "margin" else cost * (1 + gain))
    return max(found)


# ------------------------------------------------------------------------------- truth


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_classes_give_crammer_singer(dtype, reduction, weighted):
    rng = np.random.default_rng(0)
    W = rng.standard_normal((K, FEATURES)).astype(dtype)
    X, Y = rng.standard_normal((30, FEATURES)), rng.integers(0, K, 30)
    weight = rng.random(30) if weighted else None
    options = {"sample_weight": weight, "reduction": reduction}
    value, gradient = hl.StructuredHinge(CLASSES).value_and_gradient(W.ravel(), X, Y, **options)
    scores = X @ W.T.astype(float)
    want, slopes = hl.CrammerSinger().value_and_gradient(Y, scores, **options)
    assert_allclose(value, want, rtol=4 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)
    if reduction == "none":
        gradients = (slopes[:, :, None] * X[:, None, :]).reshape(30, -1)
        assert value.dtype == dtype
    else:
        gradients = (slopes.T @ X).ravel()
    assert gradient.dtype == dtype
    assert_allclose(gradient, gradients, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-6
                    if dtype == np.float32 else 1e-14)
    slack = hl.StructuredHinge(CLASSES, "slack").value(W.ravel(), X, Y, **options)
    assert_allclose(slack, value, rtol=1e-6)  # all costs are 1


@pytest.mark.parametrize("rescaling", ["margin", "slack"])
def test_definition_on_chains(rescaling):
    w, X, Y = chains()
    loss = hl.StructuredHinge(CHAINS, rescaling)
    values, gradients = loss.value_and_gradient(w, X, Y, reduction="none")
    assert_allclose(values, [definition(w, x, y, CHAINS, rescaling) for x, y in zip(
        X, Y, strict=True)], atol=1e-12)
    assert values.shape == (12,)
    assert gradients.shape == (12, LENGTH)
    assert_allclose(loss.value(w, X, Y), values.mean())
    assert_allclose(loss.gradient(w, X, Y), gradients.mean(axis=0), atol=1e-14)
    assert_allclose(loss.gradient(w, X, Y, reduction="sum"), gradients.sum(axis=0), atol=1e-14)
    bound = [hamming(y, max(CHAINS.labels, key=lambda o, x=x: w @ chain_feature(x, o)))
             for x, y in zip(X, Y, strict=True)]
    assert (values >= np.array(bound) - 1e-12).all()  # bounds the cost of the prediction


def test_another_oracle_gives_the_same():
    for seed in range(5):
        w, X, Y = chains(seed=seed)
        by_enumeration = hl.StructuredHinge(CHAINS).value_and_gradient(w, X, Y)
        by_dynamic_programming = hl.StructuredHinge(Viterbi()).value_and_gradient(w, X, Y)
        assert_allclose(by_dynamic_programming[0], by_enumeration[0], rtol=1e-13)
        assert_allclose(by_dynamic_programming[1], by_enumeration[1], atol=1e-13)
    with pytest.raises(ValueError, match="only margin rescaling"):
        hl.StructuredHinge(Viterbi(), "slack").value(w, X, Y)


@pytest.mark.parametrize("rescaling", ["margin", "slack"])
def test_subgradient(rescaling):
    """By differences, and the supporting line that makes it one."""
    w, X, Y = chains()
    loss = hl.StructuredHinge(CHAINS, rescaling)
    value, gradient = loss.value_and_gradient(w, X, Y)
    h = 1e-7
    for j in range(LENGTH):
        step = h * np.eye(LENGTH)[j]
        difference = (loss.value(w + step, X, Y) - loss.value(w - step, X, Y)) / (2 * h)
        assert_allclose(difference, gradient[j], atol=1e-6)
    rng = np.random.default_rng(1)
    for _ in range(20):
        other = w + rng.standard_normal(LENGTH) * rng.choice([0.01, 1, 10])
        assert loss.value(other, X, Y) >= value + gradient @ (other - w) - 1e-9
        middle = loss.value((w + other) / 2, X, Y)
        assert middle <= (value + loss.value(other, X, Y)) / 2 + 1e-9


def test_ties_and_met_margins():
    x, w = np.array([1.0, 0.0, 0.0]), np.zeros((K, FEATURES))
    loss = hl.StructuredHinge(CLASSES)
    value, gradient = loss.value_and_gradient(w.ravel(), [x], [2])
    assert value == 1
    assert_array_equal(gradient.reshape(K, FEATURES)[:, 0], [1, 0, -1, 0])  # the first of three
    w[2, 0] = 1  # the margin is just met: a kink, where 0 is a subgradient
    value, gradient = loss.value_and_gradient(w.ravel(), [x], [2])
    assert value == 0
    assert not gradient.any()
    for _ in range(3):
        again = loss.gradient(np.zeros(K * FEATURES), [x], [0])
        assert_array_equal(again.reshape(K, FEATURES)[:, 0], [-1, 1, 0, 0])


# ------------------------------------------------------------------------------- edges


def test_empty_and_not_finite():
    loss = hl.StructuredHinge(CLASSES)
    w = np.ones(K * FEATURES, np.float32)
    assert loss.value(w, [], [], reduction="sum") == 0.0
    assert loss.value(w, [], [], reduction="none").shape == (0,)
    assert_array_equal(loss.gradient(w, [], [], reduction="sum"), np.zeros(K * FEATURES))
    assert loss.gradient(w, [], [], reduction="none").shape == (0, K * FEATURES)
    with pytest.raises(ValueError, match="mean of no values: X is empty"):
        loss.value(w, [], [])
    w[3] = np.nan
    value, gradient = loss.value_and_gradient(w, [np.ones(FEATURES)], [0])
    assert np.isnan(value)
    assert np.isnan(gradient).all()
    w[3] = np.inf
    assert not loss.value(w, [np.ones(FEATURES)], [0]) >= 0
    infinite = hl.StructuredHinge(Part(joint_feature=lambda x, y: np.full(12, np.inf)))
    value, gradient = infinite.value_and_gradient(np.ones(12), [np.ones(FEATURES)], [0])
    assert np.isnan(value)
    assert np.isnan(gradient).all()


class Part:
    """An oracle that can be spoiled."""

    def __init__(self, **methods):
        whole = {"joint_feature": class_feature, "loss": zero_one,
                 "loss_augmented_argmax": lambda w, x, y, rescaling: (y + 1) % K}
        for name, method in (whole | methods).items():
            if method is not None:
                setattr(self, name, method)


@pytest.mark.parametrize("name", ["joint_feature", "loss", "loss_augmented_argmax"])
def test_a_missing_method_is_named(name):
    with pytest.raises(TypeError, match=rf"oracle of type Part has no method {name}\("):
        hl.StructuredHinge(Part(**{name: None}))
    with pytest.raises(TypeError, match=f"has no method {name}"):
        hl.StructuredHinge(Part(**{name: 3}))


@pytest.mark.parametrize(("methods", "error", "said"), [
    ({"loss_augmented_argmax": lambda w, x, y, rescaling: 3}, ValueError,
     "for sample 1 an output that is worse than the true one"),
    ({"loss": lambda y, other: None}, TypeError, "oracle.loss returned None for sample 0"),
    ({"loss": lambda y, other: [1, 2]}, TypeError, r"oracle.loss returned \[1, 2\]"),
    ({"loss": lambda y, other: 1.0}, ValueError, r"oracle.loss\(y, y\) is 1 for sample 0"),
    ({"loss": lambda y, other: -1.0 * (y != other)}, ValueError, "costs must be finite"),
    ({"loss": lambda y, other: np.nan}, ValueError, "oracle.loss returned nan"),
    ({"joint_feature": lambda x, y: np.ones(5)}, ValueError, r"shape \(5,\) for sample 0"),
    ({"joint_feature": lambda x, y: np.ones((2, 6))}, ValueError, r"shape \(2, 6\)"),
    ({"joint_feature": lambda x, y: ["a"] * 12}, ValueError, "must hold numbers"),
])  # fmt: skip
def test_oracles_that_err(methods, error, said):
    w = np.zeros((K, FEATURES))
    w[3] = -5
    X = [np.array([0.0, 0.0, 0.0]), np.array([1.0, 0.0, 0.0])]
    with pytest.raises(error, match=said):
        hl.StructuredHinge(Part(**methods)).value(w.ravel(), X, [0, 0])


def test_sparse_features_are_refused():
    sparse = pytest.importorskip("scipy.sparse")
    oracle = Part(joint_feature=lambda x, y: sparse.csr_array(class_feature(x, y)[None]))
    with pytest.raises(TypeError, match="dense ones are needed"):
        hl.StructuredHinge(oracle).value(np.zeros(12), [np.ones(3)], [0])


@pytest.mark.parametrize(("change", "said"), [
    ({"Y": [0]}, "X has 2 samples, but Y has 1"),
    ({"w": np.zeros((4, 3))}, r"w.shape == \(4, 3\), expected \(d,\)"),
    ({"reduction": "avg"}, "reduction must be"),
    ({"sample_weight": [1]}, r"sample_weight.shape == \(1,\)"),
    ({"sample_weight": [1, -1]}, r"sample_weight\[1\] is -1"),
    ({"sample_weight": [0, 0]}, "sample_weight is zero everywhere"),
])  # fmt: skip
def test_wrong_arguments(change, said):
    options = {"w": np.zeros(12), "X": np.ones((2, 3)), "Y": [0, 1]} | change
    with pytest.raises(ValueError, match=said):
        hl.StructuredHinge(CLASSES).value_and_gradient(
            options.pop("w"), options.pop("X"), options.pop("Y"), **options)


def test_enumeration_oracle_errors():
    with pytest.raises(ValueError, match="labels is empty"):
        hl.EnumerationOracle([], class_feature, zero_one)
    with pytest.raises(TypeError, match="loss must be callable"):
        hl.EnumerationOracle([0], class_feature, None)
    with pytest.raises(ValueError, match="rescaling must be"):
        CLASSES.loss_augmented_argmax(np.zeros(12), np.ones(3), 0, "both")
    some = hl.EnumerationOracle([1, 2, 3], class_feature, zero_one)  # not the true class
    w = np.zeros((K, FEATURES))
    w[0] = 5
    with pytest.raises(ValueError, match="Is the true output among those"):
        hl.StructuredHinge(some).value(w.ravel(), [np.ones(3)], [0])


def test_objects():
    loss = hl.StructuredHinge(CLASSES)
    assert repr(loss) == "StructuredHinge(oracle=EnumerationOracle(4 labels), rescaling='margin')"
    assert loss == hl.StructuredHinge(CLASSES, rescaling="margin")
    assert loss != hl.StructuredHinge(CLASSES, "slack")
    with pytest.raises(ValueError, match='rescaling must be "margin" or "slack"'):
        hl.StructuredHinge(CLASSES, "both")
    assert loss.is_convex
    assert not loss.is_differentiable
    w, X, Y = chains()
    chain = hl.StructuredHinge(CHAINS)
    assert hl.structured_hinge_loss(w, X, Y, oracle=CHAINS) == chain(w, X, Y)
    both = 0.5 * chain + 0.25 * hl.StructuredHinge(CHAINS, "slack")
    value, gradient = both.value_and_gradient(w, X, Y)
    slack = hl.structured_hinge_loss(w, X, Y, oracle=CHAINS, rescaling="slack")
    assert_allclose(value, 0.5 * chain(w, X, Y) + 0.25 * slack)
    assert gradient.shape == (LENGTH,)


def test_subgradient_descent_learns_a_chain():
    """Words decide tags here, so that a few steps lead to a loss of zero."""
    _, X, _ = chains(n=20, seed=3)
    Y = [tuple(int(word > 0) for word in x) for x in X]
    loss, w = hl.StructuredHinge(Viterbi()), np.zeros(LENGTH)
    for _ in range(200):
        value, gradient = loss.value_and_gradient(w, X, Y)
        if value == 0:
            break
        w -= 0.5 * gradient
    assert value == 0
