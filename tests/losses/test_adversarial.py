# SPDX-License-Identifier: BSD-3-Clause
"""Hinge losses of adversarial networks against NumPy's formulas, finite differences and torch."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import hingex.losses as hl

D, G = hl.GanDiscriminatorHinge(), hl.GanGeneratorHinge()


def batches(dtype=np.float64, shape=(40,), other=(25,)):
    rng = np.random.default_rng(0)
    return (2 * rng.standard_normal(shape)).astype(dtype), (
        2 * rng.standard_normal(other)).astype(dtype)


def test_worked_numbers():
    assert D.value([2.0, 0.5], [-3.0, 0.0, -0.5]) == (0 + 0.5) / 2 + (0 + 1 + 0.5) / 3
    assert D.value([1.0], [-1.0]) == 0
    for one, other in zip(D.gradient([1.0, 0.0], [-1.0, 0.0]), ([0, -0.5], [0, 0.5]), strict=True):
        assert_array_equal(one, other)  # 0 at the kinks
    assert G.value([-3.0, 0.5]) == 1.25
    assert_array_equal(G.gradient([-3.0, 0.5]), [-0.5, -0.5])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(40,), (8, 5), (2, 4, 5), ()])
def test_formulas(dtype, shape):
    real, fake = batches(dtype, shape)
    if not shape:
        real = np.array(real, dtype)
    lost, other = np.maximum(0, 1 - real.astype(float)), np.maximum(0, 1 + fake.astype(float))
    exact = 1e-14 if dtype == np.float64 else 1e-7
    assert_allclose(D.value(real, fake), lost.mean() + other.mean(), rtol=exact)
    assert_allclose(D.value(real, fake, reduction="sum"), lost.sum() + other.sum(), rtol=exact)
    each = D.value(real, fake, reduction="none")
    slopes = D.gradient(real, fake, reduction="none")
    truth = lost, other, -1.0 * (real < 1), 1.0 * (fake > -1)
    for got, want, like in zip((*each, *slopes), truth, (real, fake) * 2, strict=True):
        assert got.shape == like.shape
        assert got.dtype == dtype
        assert_allclose(got, want, rtol=np.finfo(dtype).eps)
    means = D.gradient(real, fake)
    assert_allclose(means[0] * real.size, slopes[0], rtol=1e-6)
    assert_allclose(means[1] * fake.size, slopes[1], rtol=1e-6)
    assert_allclose(G.value(real), -real.astype(float).mean(), rtol=1e-13)
    assert_allclose(G.value(real, reduction="sum"), -real.astype(float).sum(), rtol=1e-13)
    assert_array_equal(G.value(real, reduction="none"), -real)
    slope = G.gradient(real)
    assert slope.shape == real.shape
    assert slope.dtype == dtype
    assert_allclose(slope, np.full(shape, -1 / max(real.size, 1)), rtol=1e-6)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_weights(reduction):
    real, fake = batches()
    rng = np.random.default_rng(1)
    w, v = rng.random(40), rng.random(25)
    divisor = (w.sum(), v.sum()) if reduction == "mean" else (1, 1)
    weights = {"real_weight": w, "fake_weight": v, "reduction": reduction}
    value, (to_real, to_fake) = D.value_and_gradient(real, fake, **weights)
    assert_allclose(value, w @ np.maximum(0, 1 - real) / divisor[0]
                    + v @ np.maximum(0, 1 + fake) / divisor[1])
    assert_allclose(to_real, -w * (real < 1) / divisor[0])
    assert_allclose(to_fake, v * (fake > -1) / divisor[1])
    one_sided = D.value(real, fake, fake_weight=v, reduction="sum")
    assert_allclose(one_sided, np.maximum(0, 1 - real).sum() + v @ np.maximum(0, 1 + fake))
    assert_allclose(G.value(fake, sample_weight=v, reduction=reduction), -(v @ fake) / divisor[1])
    assert_allclose(G.gradient(fake, sample_weight=v, reduction=reduction), -v / divisor[1])
    assert_allclose(G.value(fake, sample_weight=v, reduction="none"), -v * fake)
    assert_allclose(D.value(real, fake, real_weight=w, reduction="none")[0],
                    w * np.maximum(0, 1 - real))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_derivatives_by_differences(reduction):
    real, fake = batches(shape=(7,), other=(4,))
    h = 1e-6
    to_real, to_fake = D.gradient(real, fake, reduction=reduction)
    to_generated = G.gradient(fake, reduction=reduction)

    def both(real, fake):
        return D.value(real, fake, reduction=reduction)

    for i in range(7):
        step = h * np.eye(7)[i]
        assert_allclose((both(real + step, fake) - both(real - step, fake)) / (2 * h), to_real[i],
                        atol=1e-8)
    for i in range(4):
        step = h * np.eye(4)[i]
        assert_allclose((both(real, fake + step) - both(real, fake - step)) / (2 * h), to_fake[i],
                        atol=1e-8)
        high, low = (G.value(fake + s, reduction=reduction) for s in (step, -step))
        assert_allclose((high - low) / (2 * h), to_generated[i], rtol=1e-8)


def test_it_is_two_hinge_losses():
    real, fake = batches(np.float32)
    hinge = hl.Hinge()
    value = hinge.value(np.ones(40), real) + hinge.value(-np.ones(25), fake)
    assert D.value(real, fake) == value == hl.gan_discriminator_hinge(real, fake)
    for reduction in ("mean", "sum", "none"):
        both, slopes = D.value_and_gradient(real, fake, reduction=reduction)
        again = D.value(real, fake, reduction=reduction)
        assert_array_equal(slopes[0], D.gradient(real, fake, reduction=reduction)[0])
        assert_array_equal(slopes[1], hinge.gradient(-np.ones(25), fake, reduction=reduction))
        if reduction == "none":
            assert_array_equal(both[1], again[1])
        else:
            assert both == again
    assert G.value(fake) == hl.gan_generator_hinge(fake) == G(fake)


def test_layouts():
    real, fake = batches(shape=(30, 20), other=(12, 3))
    wide = np.zeros((60, 40))
    wide[::2, ::2] = real
    for a, b in ((np.asfortranarray(real), np.asfortranarray(fake)), (wide[::2, ::2], fake),
                 (real.astype(">f8"), fake.tolist())):
        assert D.value(a, b) == D.value(real, fake)
        assert_array_equal(D.gradient(a, b)[0], D.gradient(real, fake)[0])
        assert G.value(a) == G.value(real)
        assert_array_equal(G.gradient(a), G.gradient(real))
    whole = D.value([2, 0], [1])
    assert whole == 1.5 - 1 + 2


def test_empty_and_not_finite():
    assert D.value([], [], reduction="sum") == 0.0
    assert G.value([], reduction="sum") == 0.0
    real, fake = D.value(np.empty((0, 2), np.float32), [1.0], reduction="none")
    assert real.shape == (0, 2)
    assert_array_equal(fake, [2.0])
    assert G.gradient(np.empty((0, 2)), reduction="sum").shape == (0, 2)
    with pytest.raises(ValueError, match="mean of no values: real is empty"):
        D.value([], [1.0])
    with pytest.raises(ValueError, match="mean of no values: fake is empty"):
        D.gradient([1.0], [])
    with pytest.raises(ValueError, match="mean of no values: fake is empty"):
        G.value([])
    assert np.isnan(D.value([np.nan, 1.0], [0.0]))
    assert np.isnan(D.gradient([1.0], [np.nan])[1]).all()
    assert D.value([np.inf], [-np.inf]) == 0
    assert D.value([-np.inf], [0.0]) == np.inf
    assert np.isnan(G.value([np.nan, 1.0]))
    assert np.isnan(G.value([np.inf, -np.inf]))
    assert G.value([np.inf, 0.0]) == -np.inf


@pytest.mark.parametrize(("call", "said"), [
    (lambda: D.value([1.0], [1.0], reduction="avg"), "reduction must be"),
    (lambda: G.value([1.0], reduction=None), "reduction must be"),
    (lambda: D.value(["a"], [1.0]), "real must hold numbers"),
    (lambda: D.value([1.0], [1j]), "Complex data not supported: fake"),
    (lambda: D.value([1.0], [1.0], real_weight=[1, 2]), r"real_weight.shape == \(2,\)"),
    (lambda: D.value([1.0], [1.0], fake_weight=[-1]), r"fake_weight\[0\] is -1"),
    (lambda: D.value([1.0], [1.0], fake_weight=[0]), "fake_weight is zero everywhere"),
    (lambda: G.value([1.0], sample_weight=[np.inf]), r"sample_weight\[0\] is inf"),
    (lambda: G.gradient([1.0], sample_weight=[0]), "sample_weight is zero everywhere"),
])  # fmt: skip
def test_wrong_arguments(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_objects():
    assert repr(D) == "GanDiscriminatorHinge()"
    assert hl.GanDiscriminatorHinge() == D
    assert D.is_convex
    assert not D.is_differentiable
    assert G.is_convex
    assert G.is_differentiable
    assert (D.lipschitz, G.lipschitz, G.smoothness) == (1, 1, 0)
    real, fake = batches(np.float32)
    half = 0.5 * D
    for reduction in ("mean", "sum", "none"):
        value, slopes = half.value_and_gradient(real, fake, reduction=reduction)
        whole, whole_slopes = D.value_and_gradient(real, fake, reduction=reduction)
        assert half.value(real, fake, reduction="sum") == 0.5 * D.value(real, fake, reduction="sum")
        for got, want in ((value, whole), (slopes, whole_slopes)):
            if isinstance(want, tuple):
                assert_array_equal(got[0], 0.5 * want[0])
                assert_array_equal(got[1], 0.5 * want[1])
                assert got[1].dtype == np.float32
            else:
                assert got == 0.5 * want
    assert (2 * G + G).value(fake) == pytest.approx(3 * G.value(fake))
    assert (2 * G).gradient(fake).dtype == np.float32
    for function in (hl.gan_discriminator_hinge, hl.gan_generator_hinge):
        assert "reduction" in str(function.__signature__)
    with pytest.raises(TypeError, match="cannot be added"):
        D + G


def test_against_torch():
    torch = pytest.importorskip("torch")
    real, fake = batches(np.float32)
    a, b = (torch.tensor(x, requires_grad=True) for x in (real, fake))
    loss = torch.relu(1 - a).mean() + torch.relu(1 + b).mean()
    loss.backward()
    value, (to_real, to_fake) = D.value_and_gradient(real, fake)
    assert_allclose(value, loss.item(), rtol=1e-6)
    assert_allclose(to_real, a.grad.numpy(), rtol=1e-6)
    assert_allclose(to_fake, b.grad.numpy(), rtol=1e-6)
