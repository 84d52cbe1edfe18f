# SPDX-License-Identifier: BSD-3-Clause
"""Multilabel hinge against the mean of margin losses."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import hingex.losses as hl


@pytest.mark.parametrize("over_labels", ["mean", "sum"])
@pytest.mark.parametrize("phi", [hl.Hinge(), hl.Logistic(), 0.5 * hl.Hinge() + hl.Squared()])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_formula(phi, over_labels, dtype):
    rng = np.random.default_rng(0)
    s, w = rng.standard_normal((60, 7)).astype(dtype), rng.random(60)
    y = np.where(rng.random((60, 7)) < 0.3, 1, -1)
    loss = hl.MultilabelHinge(phi, over_labels)
    divisor = 7 if over_labels == "mean" else 1
    each = phi.phi(y * s.astype(float)).sum(axis=1) / divisor
    slopes = y * phi.slope(y * s.astype(float)) / divisor
    rounding = {"rtol": 64 * np.finfo(dtype).eps, "atol": 1e-300}
    for weight, factor in ((None, np.ones(60)), (w, w)):
        for reduction, value, scale in (
                ("none", factor * each, 1), ("sum", (factor * each).sum(), 1),
                ("mean", np.average(each, weights=factor), 1 / factor.sum())):
            options = {"sample_weight": weight, "reduction": reduction}
            got, gradient = loss.value_and_gradient(y, s, **options)
            assert_allclose(got, value, **rounding)
            assert_allclose(gradient, factor[:, None] * slopes * scale, **rounding)
            assert gradient.dtype == dtype
            for other in (np.asfortranarray(s), np.repeat(s, 2, axis=1)[:, ::2]):
                again = loss.value_and_gradient(np.asfortranarray(y), other, **options)
                assert_array_equal(again[0], got)
                assert_array_equal(again[1], gradient)
            assert_array_equal(loss.value(y, s, **options), got)
            assert_array_equal(loss.gradient(y, s, **options), gradient)
            zeros = loss.value((y + 1) // 2, s, labels=(0, 1), **options)
            assert_array_equal(zeros, got)


def test_constants():
    """The least Lipschitz constant of a mean over K labels is that of phi over sqrt(K)."""
    rng = np.random.default_rng(1)
    loss = hl.MultilabelHinge(hl.Logistic())
    y = np.ones((1, 1))
    a, b = rng.standard_normal((2, 500, 1))
    values = [loss.value(np.ones((500, 1)), s, reduction="none") for s in (a, b)]
    assert (np.abs(values[0] - values[1]) <= loss.lipschitz * np.abs(a - b)[:, 0]).all()
    assert loss.smoothness == 0.25
    assert hl.MultilabelHinge(over_labels="sum").lipschitz == np.inf
    assert loss.is_convex
    assert loss.is_differentiable
    assert not hl.MultilabelHinge().is_differentiable
    assert loss.value(y, [[0.0]]) == hl.multilabel_hinge_loss(y, [[0.0]], phi=hl.Logistic())
    mixture = hl.MultilabelHinge() + 2 * loss
    assert_allclose(mixture.value(y, [[0.5]]), 0.5 + 2 * np.log1p(np.exp(-0.5)))


def test_edges():
    loss = hl.MultilabelHinge()
    assert loss.value(np.empty((0, 3)), np.empty((0, 3)), reduction="sum") == 0
    assert loss.value(np.empty((0, 3)), np.empty((0, 3)), reduction="none").shape == (0,)
    with pytest.raises(ValueError, match="mean of no values"):
        loss.value(np.empty((0, 3)), np.empty((0, 3)))
    values = loss.value([[1, 1], [1, -1]], [[np.nan, 2], [np.inf, -np.inf]], reduction="none")
    assert_array_equal(values, [np.nan, 0])


@pytest.mark.parametrize(("args", "options", "said"), [
    (([[1, 0]], [[0.5, 1]]), {}, r"y\[0, 1\] is 0"),
    (([1, -1], [[0.5, 1]]), {}, r"y.shape == \(2,\), expected \(1, 2\)"),
    (([1, -1], [0.5, 1]), {}, r"scores.shape == \(2,\)"),
    (([[1, -1]], [[0.5, 1]]), {"sample_weight": [1, 2]}, r"expected \(1,\)"),
    (([[1, -1]], [[0.5, 1]]), {"reduction": "avg"}, "reduction must be"),
])  # fmt: skip
def test_wrong_arguments(args, options, said):
    with pytest.raises(ValueError, match=said):
        hl.MultilabelHinge().value(*args, **options)
    with pytest.raises(ValueError, match="over_labels must be"):
        hl.MultilabelHinge(over_labels="max")
    with pytest.raises(TypeError, match="phi must be"):
        hl.MultilabelHinge("hinge")
