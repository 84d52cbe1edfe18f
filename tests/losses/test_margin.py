# SPDX-License-Identifier: BSD-3-Clause
"""Margin losses against their formulas, finite differences, and the theory's definitions."""

import copy
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import hingex.losses as hl
from hingex.losses import margin as module

# name, loss, phi and phi' written with NumPy from LOSSES' formulas
MAX = np.maximum
CASES = [
    ("hinge", hl.Hinge(), lambda t: MAX(0, 1 - t), lambda t: -1.0 * (t < 1)),
    ("hinge_half", hl.Hinge(0.5), lambda t: MAX(0, 0.5 - t), lambda t: -1.0 * (t < 0.5)),
    ("squared_hinge", hl.SquaredHinge(), lambda t: MAX(0, 1 - t) ** 2,
     lambda t: -2 * MAX(0, 1 - t)),
    ("squared_hinge_2", hl.SquaredHinge(margin=2), lambda t: MAX(0, 2 - t) ** 2,
     lambda t: -2 * MAX(0, 2 - t)),
    ("smooth_hinge", hl.SmoothHinge(),
     lambda t: np.where(t <= 0, 0.5 - t, np.where(t < 1, (1 - t) ** 2 / 2, 0)),
     lambda t: np.where(t <= 0, -1, np.where(t < 1, -(1 - t), 0))),
    ("huberized", hl.HuberizedHinge(delta=0.5, margin=1.25),
     lambda t: np.where(t <= 0.75, 1 - t, np.where(t <= 1.25, (1.25 - t) ** 2, 0)),
     lambda t: np.where(t <= 0.75, -1, np.where(t <= 1.25, -2 * (1.25 - t), 0))),
    ("huberized_wide", hl.HuberizedHinge(delta=3.0, margin=1.0),
     lambda t: np.where(t <= -2, 1 - t - 1.5, np.where(t <= 1, (1 - t) ** 2 / 6, 0)),
     lambda t: np.where(t <= -2, -1, np.where(t <= 1, -(1 - t) / 3, 0))),
    ("modified_huber", hl.ModifiedHuber(), lambda t: np.where(t >= -1, MAX(0, 1 - t) ** 2, -4 * t),
     lambda t: np.where(t >= -1, -2 * MAX(0, 1 - t), -4)),
    ("softplus", hl.SoftplusHinge(beta=2.5, margin=0.5),
     lambda t: np.logaddexp(0, 2.5 * (0.5 - t)) / 2.5,
     lambda t: -1 / (1 + np.exp(-2.5 * (0.5 - t)))),
    ("perceptron", hl.Perceptron(), lambda t: MAX(0, -t), lambda t: -1.0 * (t < 0)),
    ("logistic", hl.Logistic(), lambda t: np.logaddexp(0, -t), lambda t: -1 / (1 + np.exp(t))),
    ("exponential", hl.Exponential(), lambda t: np.exp(-t), lambda t: -np.exp(-t)),
    ("squared", hl.Squared(), lambda t: (1 - t) ** 2, lambda t: -2 * (1 - t)),
    ("savage", hl.Savage(), lambda t: 4 / (1 + np.exp(2 * t)) ** 2,
     lambda t: -16 * np.exp(2 * t) / (1 + np.exp(2 * t)) ** 3),
    ("sigmoid", hl.Sigmoid(beta=1.5), lambda t: 2 / (1 + np.exp(1.5 * t)),
     lambda t: -0.75 / np.cosh(0.75 * t) ** 2),
    ("ramp", hl.Ramp(s=-0.75), lambda t: np.minimum(1.75, MAX(0, 1 - t)),
     lambda t: -((t > -0.75) & (t < 1)).astype(float)),
    ("zero_one", hl.ZeroOne(), lambda t: (t <= 0) * 1.0, lambda t: 0.0 * t),
    ("mixture", 0.9 * hl.Hinge() + 0.1 * hl.Logistic(),
     lambda t: 0.9 * MAX(0, 1 - t) + 0.1 * np.logaddexp(0, -t),
     lambda t: -0.9 * (t < 1) - 0.1 / (1 + np.exp(t))),
    ("mixture_of_kinks", 2 * (hl.Hinge(0.5) + 0.25 * hl.Perceptron()) + hl.SquaredHinge(),
     lambda t: 2 * MAX(0, 0.5 - t) + 0.5 * MAX(0, -t) + MAX(0, 1 - t) ** 2,
     lambda t: -2.0 * (t < 0.5) - 0.5 * (t < 0) - 2 * MAX(0, 1 - t)),
]  # fmt: skip
LOSSES = pytest.mark.parametrize("loss", [case[1] for case in CASES],
                                 ids=[case[0] for case in CASES])
CONVEX = pytest.mark.parametrize("loss", [c[1] for c in CASES if c[1].is_convex],
                                 ids=[c[0] for c in CASES if c[1].is_convex])
T = np.concatenate([np.linspace(-6, 6, 241), [-1e3, -50, 50, 1e3], [-0.75, 1.25, 0.5, 1.0, 0.0]])
WORKED = np.array([1, -1, 1]), np.array([2.5, -2.5, 0.5])  # y, f


def test_every_loss_is_here():
    classes = {c for c in vars(module).values() if isinstance(c, type)
               and issubclass(c, hl.MarginLoss) and c not in (hl.MarginLoss, hl.MarginMixture)}
    assert {type(case[1]) for case in CASES} - {hl.MarginMixture} == classes
    assert len(classes) == 14


@pytest.mark.parametrize(("name", "loss", "phi", "slope"), CASES, ids=[c[0] for c in CASES])
def test_formula(name, loss, phi, slope):
    with np.errstate(over="ignore", invalid="ignore"):
        value, derivative = phi(T), slope(T) * 1.0
    if name == "savage":    # e^2000 / e^3000 above
        derivative[T == 1e3] = 0
    assert_allclose(loss.phi(T), value, rtol=2e-15, atol=1e-300)
    assert_allclose(loss.slope(T), derivative, rtol=4e-15, atol=1e-300)
    for y in (1, -1):
        labels = np.full(T.shape, y)
        got, gradient = loss.value_and_gradient(labels, y * T, reduction="none")
        assert_array_equal(got, loss.phi(T))
        assert_array_equal(gradient, y * loss.slope(T))


@LOSSES
def test_derivative_by_differences(loss):
    if isinstance(loss, hl.ZeroOne):
        return
    t = np.linspace(-5, 5, 1001) + 1e-3 / 3
    h = 1e-6
    kinks = np.array([*loss.kinks, -1e9])
    smooth = np.abs(t[:, None] - kinks).min(axis=1) > 2 * h
    found = (loss.phi(t + h) - loss.phi(t - h)) / (2 * h)
    assert_allclose(found[smooth], loss.slope(t)[smooth], rtol=1e-5, atol=1e-8)


@LOSSES
def test_curvature_by_differences(loss):
    t = np.linspace(-5, 5, 1001) + 1e-3 / 3
    h = 1e-6
    corners = np.array([*loss.kinks, -2, -1, 0, 0.5, 0.75, 1, 1.25, 2.0])
    smooth = np.abs(t[:, None] - corners).min(axis=1) > 2 * h
    found = (loss.slope(t + h) - loss.slope(t - h)) / (2 * h)
    assert_allclose(found[smooth], loss.curvature(t)[smooth], rtol=1e-5, atol=1e-8)
    if loss.is_convex:
        assert (loss.curvature(t) >= 0).all()
        assert (loss.curvature(t) <= loss.smoothness * (1 + 1e-12)).all()
    single = loss.curvature(t.astype(np.float32))
    assert single.dtype == np.float32
    assert_allclose(single[smooth], loss.curvature(t)[smooth], rtol=1e-4, atol=1e-5)
    assert np.isnan(loss.curvature(np.nan))
    assert np.ndim(loss.curvature(0.3)) == 0


def test_curvature_at_corners_is_that_to_the_right():
    for loss, corner in ((hl.SquaredHinge(), 1.0), (hl.HuberizedHinge(0.5), 0.5),
                         (hl.HuberizedHinge(0.5), 1.0), (hl.ModifiedHuber(), -1.0),
                         (hl.ModifiedHuber(), 1.0), (hl.SmoothHinge(), 0.0)):
        assert loss.curvature(corner) == loss.curvature(corner + 1e-6)
        assert loss.curvature(corner) != loss.curvature(corner - 1e-6)


@CONVEX
def test_conjugates_of_mixtures_are_exact(loss):
    """A mixture's conjugate is found by the kernel; Fenchel-Young says what it must be."""
    mixture = 0.75 * loss + 0.25 * hl.SquaredHinge() + 0.5 * hl.Perceptron()
    t = np.linspace(-4, 4, 97)
    u = mixture.slope(t)
    assert_allclose(mixture.conjugate(u), u * t - mixture.phi(t), rtol=1e-12, atol=1e-12)
    for kink, (left, right) in mixture.kinks.items():
        u = np.linspace(left, right, 5)
        inside = u[1:-1]
        assert_allclose(mixture.conjugate(inside), inside * kink - mixture.phi(kink), rtol=1e-14)


def test_proximal_points_by_brute_force():
    from hingex._core import kernels

    loss = 0.9 * hl.Hinge() + 0.1 * hl.Logistic() + 0.2 * hl.Perceptron()
    rng = np.random.default_rng(0)
    n, r = 200, 3.0
    y = np.where(rng.random(n) < 0.5, 1.0, -1.0)
    f, w, old = 3 * rng.normal(size=n), rng.random(n), -1.2 * rng.random(n)
    s, u, signed, curvature = np.zeros(n), np.empty(n), np.empty(n), np.empty(n)
    total, at_s, products = kernels("losses").envelope(
        loss._terms, loss._kink_rows(), r, old, y, f, w, s, u, signed, curvature)
    z = y * f + old / r
    grid = z[:, None] + np.linspace(-1, 1, 20001)
    values = loss.phi(grid) + r / 2 * (grid - z[:, None]) ** 2
    found = loss.phi(s) + r / 2 * (s - z) ** 2
    assert (found <= values.min(axis=1) + 1e-12).all()
    assert_allclose(s, grid[np.arange(n), values.argmin(axis=1)], atol=2e-4)
    assert_allclose(u, r * (z - s), atol=1e-13)
    assert_allclose([at_s, products], [w @ loss.phi(s), w @ (u * s)])
    assert_allclose(total, w @ (found - old**2 / (2 * r)))
    assert_allclose(signed, -y * w * u)
    assert ((curvature >= 0) & (curvature <= r * w)).all()
    assert (np.isin(s, [0.0, 1.0])).sum() > 5


def test_losses_pickle_after_use():
    import pickle

    for loss in (hl.Logistic(), 0.5 * hl.Hinge() + hl.Squared()):
        loss.phi(0.0)
        again = pickle.loads(pickle.dumps(loss))
        assert again == loss
        assert again.phi(0.25) == loss.phi(0.25)


def test_worked_example():
    y, f = WORKED
    assert_array_equal(hl.Hinge().value(y, f, reduction="none"), [0, 0, 0.5])
    assert hl.Hinge().value(y, f, reduction="sum") == 0.5
    assert hl.hinge_loss(y, f) == 0.5 / 3
    assert hl.Hinge().value(y, f, reduction="sum") + 0.1 * np.sum([1, 1]) / 2 == 0.6


# ------------------------------------------------------------------------------- edges


@LOSSES
def test_not_finite_scores(loss):
    values = loss.phi(np.array([np.nan, np.inf, -np.inf]))
    slopes = loss.slope(np.array([np.nan, np.inf, -np.inf]))
    assert np.isnan(values[0])
    assert np.isnan(slopes[0])
    far = loss.phi(np.array([1e300, -1e300]))
    if isinstance(loss, hl.Squared):
        assert_array_equal(values[1:], [np.inf, np.inf])
    else:
        assert values[1] == far[0] == 0
        assert values[2] == np.inf if loss.is_convex else values[2] == far[1]
    assert not np.isnan(slopes[1:]).any()
    with np.errstate(all="ignore"):
        wild = loss.phi(np.array([-800.0, 800.0, -1e308, 5e-324]))
    assert not np.isnan(wild).any()


@LOSSES
def test_subgradient_of_smallest_norm(loss):
    if isinstance(loss, hl.ZeroOne):
        with pytest.raises(ValueError, match="no subdifferential"):
            loss.subdifferential([1], [0.0])
        return
    for y in (1, -1):
        for kink in loss.kinks:
            f = np.array([y * kink, y * kink + 0.125, y * kink - 0.125])
            lo, hi = loss.subdifferential(np.full(3, y), f)
            assert lo[0] < hi[0]
            assert_array_equal(lo[1:], hi[1:])
            near = 1e-9
            sides = [y * loss.slope(kink + d) for d in (-near, near)]
            assert_allclose([lo[0], hi[0]], sorted(sides), rtol=1e-8)
            g = loss.gradient([y], f[:1])[0]
            assert lo[0] <= g <= hi[0]
            if len(loss._parts()) == 1:
                assert g == min((lo[0], hi[0]), key=abs)


@CONVEX
def test_subgradients_support(loss):
    t = np.linspace(-4, 4, 161)
    lo, hi = loss.subdifferential(np.ones(161), t)
    values = loss.phi(t)
    for slope in (lo, hi):
        lines = values[:, None] + slope[:, None] * (t[None, :] - t[:, None])
        assert (lines <= values[None, :] + 1e-9 * (1 + np.abs(lines))).all()


def test_empty_input():
    for loss in (hl.Hinge(), hl.Logistic() + hl.Hinge()):
        assert loss.value([], [], reduction="none").shape == (0,)
        assert loss.value([], [], reduction="sum") == 0.0
        assert loss.gradient([], np.empty(0, np.float32), reduction="sum").dtype == np.float32
        assert loss.value(np.empty((0, 3)), np.empty((0, 3)), reduction="none").shape == (0, 3)
        with pytest.raises(ValueError, match="mean of no values"):
            loss.value([], [])


# ------------------------------------------------------------------------------- arrays


def layouts(a):
    """The same numbers, laid out otherwise."""
    wide = np.zeros((*a.shape, 3), a.dtype)
    wide[..., 1] = a
    yield wide[..., 1]
    yield np.asfortranarray(a)
    yield a[::-1][::-1].copy()[::-1][::-1]
    frozen = a.copy()
    frozen.flags.writeable = False
    yield frozen
    shifted = np.empty(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    shifted[...] = a
    assert not shifted.flags.aligned
    yield shifted
    yield a.astype(a.dtype.newbyteorder())


@pytest.mark.parametrize("shape", [(), (7,), (1300,), (40, 33), (3, 5, 7)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", [hl.Hinge(), hl.Savage(), hl.Hinge() + hl.Exponential()])
def test_layouts_and_types(loss, dtype, shape):
    rng = np.random.default_rng(0)
    f = rng.standard_normal(shape).astype(dtype) if shape else np.array(0.25, dtype)
    y = np.where(rng.random(shape) < 0.5, 1, -1)
    exact = loss.phi(y * f.astype(float))
    want = {r: loss.value_and_gradient(y, f, reduction=r) for r in ("none", "sum", "mean")}
    assert want["none"][0].dtype == want["none"][1].dtype == want["sum"][1].dtype == dtype
    assert want["none"][0].shape == shape
    each = want["none"][0]
    assert_allclose(each, exact, rtol=8 * np.finfo(dtype).eps)
    assert_allclose(want["sum"][0], each.sum(dtype=float), rtol=1e-14)  # double, whatever it sums
    assert_allclose(want["mean"][0], each.mean(dtype=float), rtol=1e-14)
    assert_allclose(want["mean"][1] * f.size, want["none"][1], rtol=4 * np.finfo(dtype).eps)
    for kind in (np.int8, np.int16, np.int32, np.int64, np.float32, np.float64, ">i4", object):
        for reduction, (value, gradient) in want.items():
            again = loss.value_and_gradient(y.astype(kind), f, reduction=reduction)
            assert_array_equal(again[0], value)
            assert_array_equal(again[1], gradient)
    if shape:
        for other in layouts(f):
            for label in (y, np.asfortranarray(y)):
                for reduction, (value, gradient) in want.items():
                    again = loss.value_and_gradient(label, other, reduction=reduction)
                    assert_array_equal(again[0], value)
                    assert_array_equal(again[1], gradient)


@pytest.mark.parametrize("n", [100, module.PARALLEL_FROM + 12345])
def test_threads_do_not_matter(n, monkeypatch):
    rng = np.random.default_rng(1)
    f, y = rng.standard_normal(n), np.where(rng.random(n) < 0.5, 1, -1)
    w = rng.random(n)
    found = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(module, "n_threads", lambda threads=threads: threads)
        found.append(hl.Logistic().value_and_gradient(y, f, sample_weight=w))
    for value, gradient in found[1:]:
        assert value == found[0][0]
        assert_array_equal(gradient, found[0][1])
    assert_allclose(found[0][0], np.average(np.logaddexp(0, -y * f), weights=w), rtol=1e-14)


def test_sums_are_made_in_double_precision():
    f = np.full(10**6, 0.9, np.float32)
    assert_allclose(hl.Hinge().value(np.ones(10**6), f, reduction="sum"),
                    10**6 * (1 - float(np.float32(0.9))), rtol=1e-13)


@LOSSES
def test_weights(loss):
    rng = np.random.default_rng(2)
    f, y, w = rng.standard_normal(50), np.where(rng.random(50) < 0.5, 1, -1), rng.random(50)
    w[3] = 0
    each = loss.phi(y * f)
    assert_allclose(loss.value(y, f, sample_weight=w, reduction="none"), w * each)
    assert_allclose(loss.value(y, f, sample_weight=w, reduction="sum"), w @ each)
    assert_allclose(loss.value(y, f, sample_weight=w), np.average(each, weights=w))
    cube, shape = np.repeat(w, 2)[::2].reshape(2, 5, 5), (2, 5, 5)
    assert_allclose(loss.value(y.reshape(shape), f.reshape(shape), sample_weight=cube),
                    np.average(each, weights=w))
    assert loss.value(y, f, sample_weight=np.broadcast_to(0.5, 50)) == loss.value(
        y, f, sample_weight=np.full(50, 0.5))
    table = np.asfortranarray(w.reshape(5, 10))
    assert_allclose(loss.value(y.reshape(5, 10), f.reshape(5, 10), sample_weight=table),
                    np.average(each, weights=w))
    assert_allclose(loss.gradient(y, f, sample_weight=w), w * y * loss.slope(y * f) / w.sum())
    assert_allclose(loss.gradient(y, f, sample_weight=w, reduction="sum"),
                    w * y * loss.slope(y * f))


# ------------------------------------------------------------------------------- errors


@LOSSES
@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("shape", [(), (0,), (700,), (30, 40), (2, 3, 200)])
def test_out(loss, dtype, shape):
    rng = np.random.default_rng(5)
    f = np.asarray(rng.normal(size=shape), dtype)
    y, w = np.where(rng.random(shape) < 0.5, -1, 1).astype(np.int8), rng.random(shape)
    for options in ({"reduction": "sum"}, {"reduction": "none", "sample_weight": w}):
        out, other = np.full(shape, 7, dtype), np.full(shape, 7, dtype)
        value, expected = loss.value_and_gradient(y, f, **options)
        both = loss.value_and_gradient(y, f, out=out, **options)
        assert both[1] is out
        assert loss.gradient(y, f, out=other, **options) is other
        assert_array_equal(both[0], value)
        assert_array_equal(out, expected)
        assert_array_equal(other, expected)


def test_out_that_does_not_fit():
    y, f, w = np.ones(6), np.zeros(6), np.ones(6)
    fixed = np.zeros(6)
    fixed.flags.writeable = False
    for out, error, said in [
        ([0.0] * 6, TypeError, "out must be a NumPy array; got list"),
        (np.zeros(5), ValueError, r"shape \(5,\), expected float64 and \(6,\)"),
        (np.zeros((6, 1)), ValueError, "shape"),
        (np.zeros(6, "f"), ValueError, "out has dtype float32 .* expected float64"),
        (np.zeros(6, ">f8"), ValueError, "out has dtype >f8"),
        (np.zeros(12)[::2], ValueError, "out is not C-contiguous"),
        (np.zeros(49, np.int8)[1:].view(float), ValueError, "not C-contiguous and aligned"),
        (fixed, ValueError, "out is read-only"),
        (f, ValueError, "out shares memory with f"),
        (y, ValueError, "out shares memory with y"),
        (w, ValueError, "out shares memory with sample_weight"),
    ]:
        for method in (hl.Hinge().gradient, hl.Hinge().value_and_gradient):
            with pytest.raises(error, match=said):
                method(y, f, sample_weight=w, out=out)
    room = np.zeros(9)
    with pytest.raises(ValueError, match="shares memory with f"):
        hl.Logistic().gradient(y, room[:6], out=room[3:])
    with pytest.raises(ValueError, match=r"y\[0\] is 0"):
        hl.Hinge().gradient(np.zeros(6), f, out=np.zeros(6))


@pytest.mark.parametrize(("y", "said"), [
    ([0, 1, 1], r"y\[0\] is 0, but margin losses take labels -1 and \+1; pass labels=\(0, 1\)"),
    ([1.0, 0.0, 1.0], r"y\[1\] is 0.0.*labels=\(0.0, 1.0\)"),
    ([True, False, True], r"y\[0\] is True.*labels=\(False, True\)"),
    (["ham", "spam", "ham"], r"y\[0\] is 'ham'.*labels=\('ham', 'spam'\)"),
    ([1, 1, 2], r"y\[2\] is 2.*labels=\(1, 2\)"),
    ([-1, 1, 3], r"y\[2\] is 3.*y has 3 different values"),
    ([1, np.nan, 1], r"y\[1\] is nan"),
    (np.array([1, 0, 1], np.uint8), r"y\[1\] is 0"),
    (np.array([1, 0, 1], bool), r"y\[0\] is True"),
    ([0, 0, 0], r"y\[0\] is 0.*labels=\(negative, positive\)"),
    (np.array(["a", 1, None], object), r"y\[0\] is 'a'"),
])  # fmt: skip
def test_labels_that_are_none(y, said):
    for call in (hl.Hinge().value, hl.Hinge().gradient, hl.hinge_loss):
        with pytest.raises(ValueError, match=said):
            call(y, [0.5, 0.5, 0.5])


@pytest.mark.parametrize(("labels", "y"), [
    ((0, 1), [0, 1, 1]), ((0, 1), [False, True, True]), ((False, True), [0, 1, 1]),
    (("ham", "spam"), ["ham", "spam", "spam"]), ((2, 1), [2, 1, 1]), ((1, -1), [1, -1, -1]),
    (["a", None], ["a", None, None]), (np.array([0, 1]), np.array([0, 1, 1], np.uint8)),
])  # fmt: skip
def test_other_labels(labels, y):
    f = np.array([0.25, 0.5, -3])
    assert_array_equal(hl.Hinge().value(y, f, labels=labels, reduction="none"), [1.25, 0.5, 4])
    lo, hi = hl.Hinge().subdifferential(y, [1.0, -1.0, 1.0], labels=labels)
    assert_array_equal(lo, [1, -1, -1])
    assert_array_equal(hi, [1, -1, 0])


@pytest.mark.parametrize(("change", "said"), [
    ({"y": [1, -1]}, r"y.shape == \(2,\), expected \(3,\)"),
    ({"y": [[1], [-1], [1]]}, r"y.shape == \(3, 1\), expected \(3,\)"),
    ({"reduction": "avg"}, "reduction must be"),
    ({"reduction": None}, "reduction must be"),
    ({"sample_weight": [1, 1]}, r"sample_weight.shape == \(2,\), expected \(3,\)"),
    ({"sample_weight": [1, -1, 1]}, r"sample_weight\[1\] is -1"),
    ({"sample_weight": [1, 1, np.nan]}, r"sample_weight\[2\] is nan"),
    ({"sample_weight": [0, 0, 0]}, "weighted mean is undefined"),
    ({"sample_weight": [1e308, 1e308, 0]}, "beyond double precision: the sum .* is inf"),
    ({"sample_weight": [1e-320, 0, 0]}, "beyond double precision"),
    ({"sample_weight": np.array([1, np.inf, 1], np.float32)}, r"sample_weight\[1\] is inf"),
    ({"f": np.ma.array([1.0, 2, 3], mask=[0, 1, 0])}, "f is a masked array"),
    ({"y": np.ma.array([1, 1, 1], mask=[0, 1, 0])}, "y is a masked array"),
    ({"labels": {1, -1}}, "pair"),
    ({"labels": {1: 0, -1: 1}}, "pair"),
    ({"labels": [[-1, 1], [1, -1]]}, "pair"),
    ({"f": [1, "x", 2]}, "f must hold numbers; got 'x'"),
    ({"f": [1j, 0, 0]}, "Complex"),
    ({"labels": (0, 0)}, "two different labels"),
    ({"labels": (0, 1, 2)}, "pair"),
    ({"labels": "ab"}, "pair"),
    ({"labels": (0, 1)}, r"y\[1\] is -1, which is neither"),
    ({"labels": ("a", "b")}, r"y\[0\] is 1, which is neither"),
])  # fmt: skip
def test_wrong_arguments(change, said):
    options = {"y": [1, -1, 1], "f": [0.5, 0.5, 0.5]} | change
    with warnings.catch_warnings(), pytest.raises(ValueError, match=said):
        hl.Logistic().value_and_gradient(options.pop("y"), options.pop("f"), **options)


@pytest.mark.parametrize("make", [
    lambda: hl.Hinge(np.nan), lambda: hl.Hinge(margin=np.inf), lambda: hl.HuberizedHinge(delta=0),
    lambda: hl.SoftplusHinge(beta=-1), lambda: hl.Ramp(s=0), lambda: hl.Ramp(s=-np.inf),
    lambda: np.inf * hl.Hinge(), lambda: hl.hinge_loss([1], [1], margin=np.nan),
])  # fmt: skip
def test_wrong_parameters(make):
    with pytest.raises(ValueError, match="must be"):
        make()
    with pytest.raises(TypeError):
        hl.Hinge("1")


# ------------------------------------------------------------------------------- objects


def test_objects():
    assert repr(hl.Hinge(2.0)) == "Hinge(margin=2.0)"
    assert hl.Hinge() == hl.Hinge(1.0) != hl.Hinge(2.0)
    assert len({hl.Hinge(), hl.Hinge(1.0), hl.SquaredHinge()}) == 2
    with pytest.raises(AttributeError):
        hl.Hinge().margin = 2
    assert hl.Hinge()([1], [0.0]) == 1
    mixture = 2 * (0.5 * hl.Hinge() + hl.Logistic())
    assert repr(mixture) == "1*Hinge(margin=1.0) + 2*Logistic()"
    assert mixture == 1 * hl.Hinge() + hl.Logistic() * 2
    assert mixture.lipschitz == 3
    assert mixture.smoothness == np.inf
    assert not mixture.is_differentiable
    assert mixture.is_convex
    assert mixture.is_classification_calibrated
    assert mixture.is_upper_bound_on_zero_one
    assert not mixture.has_sparse_dual
    assert (hl.Hinge() + hl.SquaredHinge()).has_sparse_dual
    odd = hl.Logistic() + -1 * hl.Hinge()
    assert not odd.is_convex
    assert odd.is_classification_calibrated is odd.is_upper_bound_on_zero_one is None
    assert_allclose(odd.phi(0.25), np.logaddexp(0, -0.25) - 0.75)
    with pytest.raises(ValueError, match="is not convex"):
        odd.conjugate(0.0)
    with pytest.raises(TypeError):
        hl.Hinge() * hl.Hinge()
    with pytest.raises(TypeError):
        hl.Hinge() + 1
    many = sum((hl.Hinge() for _ in range(99)), start=hl.Logistic())  # as many as one likes
    assert_allclose(many.phi(0.5), 99 * 0.5 + np.log1p(np.exp(-0.5)))


@LOSSES
def test_copies(loss):
    y, f = np.array([1, -1]), np.array([0.25, 0.5])
    want = loss.value(y, f)
    for other in (pickle.loads(pickle.dumps(loss)), copy.copy(loss), copy.deepcopy(loss)):
        assert other == loss
        assert hash(other) == hash(loss)
        assert other.value(y, f) == want
        assert other._family is loss._family


def test_parameters_become_floats():
    """So that float32 scores are compared with a margin in float32, whatever it was given as."""
    for margin in (0.1, np.float64(0.1)):
        loss = hl.Hinge(margin)
        assert repr(loss) == "Hinge(margin=0.1)"
        for y in (1, np.array([1]), np.array([1.0]), [1]):
            lo, hi = loss.subdifferential(np.ravel(y), np.float32([0.1]))
            assert (lo, hi) == (-1, 0)
            assert lo.dtype == hi.dtype == np.float32
        lo, hi = loss.subdifferential([-1], [-0.1])
        assert (lo, hi) == (0, 1)
        assert not np.signbit(lo)
    assert repr(hl.Hinge(1)) == "Hinge(margin=1.0)"
    assert repr(hl.HuberizedHinge(np.float32(2), 1)) == "HuberizedHinge(delta=2.0, margin=1.0)"
    assert repr(hl.SoftplusHinge(2, 0)) == "SoftplusHinge(beta=2.0, margin=0.0)"
    assert repr(hl.Ramp(-2)) == "Ramp(s=-2.0)"
    for huge in (10**400, -10**400):
        with pytest.raises(ValueError, match="must be finite"):
            hl.Hinge(huge)
        with pytest.raises(ValueError, match="must be finite"):
            huge * hl.Hinge()
    with pytest.raises(ValueError, match="must be finite"):
        1e308 * (1e308 * hl.Hinge())
    for odd in (True, np.True_, 1j, np.complex64(1), np.array(1.0), "1", None):
        with pytest.raises(TypeError):
            hl.Hinge(odd)
        with pytest.raises(TypeError):
            odd * hl.Hinge()
    assert hl.hinge_loss([1], [0.0], margin=1) == 1
    with pytest.raises(TypeError, match="margin must be a number"):     # though True == 1
        hl.hinge_loss([1], [0.0], margin=True)
    assert np.float32(0.5) * hl.Hinge() == hl.Hinge() * np.float64(0.5) == 0.5 * hl.Hinge()


def test_parts_without_weight():
    """They count for nothing, also where they are infinite or not convex."""
    f = np.array([-800.0, -1.0, -np.inf, np.inf, np.nan])
    mixture = 0 * hl.Exponential() + hl.Hinge() + 0 * hl.Ramp()
    assert_array_equal(mixture.phi(f), hl.Hinge().phi(f))
    assert_array_equal(mixture.slope(f), hl.Hinge().slope(f))
    assert mixture.is_convex
    assert mixture.has_sparse_dual
    assert mixture.conjugate_domain == (-1, 0)
    assert mixture.kinks == {1.0: (-1.0, 0.0)}
    nothing = 0 * hl.Exponential()
    assert_array_equal(nothing.phi(f), [0, 0, 0, 0, np.nan])
    assert_array_equal(nothing.conjugate([0.0, 0.1]), [0, np.inf])
    assert nothing.psi(0.5) == 0


def test_subgradient_of_smallest_norm_of_mixtures():
    """Not always the sum of the parts' own."""
    for loss, t, want in ((hl.Squared() + hl.Hinge(1.25), 1.25, (-0.5, 0.5, 0)),
                          (hl.Squared() + hl.Hinge(2), 2.0, (1, 2, 1)),
                          (hl.Squared() + 3 * hl.Hinge(2), 2.0, (-1, 2, 0)),
                          (hl.Hinge() + -2 * hl.Hinge(), 1.0, (0, 1, 0)),
                          (hl.Ramp() + -0.5 * hl.Hinge(), 1.0, (-0.5, 0, 0))):
        for dtype in (np.float32, np.float64):
            f = np.array([t - 0.5, t, t + 0.5, np.nan], dtype)
            lo, hi = loss.subdifferential([1, 1, 1, 1], f)
            slopes = loss.slope(f)
            assert_allclose([lo[1], hi[1], slopes[1]], want, atol=1e-7)
            assert_array_equal(slopes[[0, 2, 3]], hi[[0, 2, 3]])
            assert_allclose(loss.slope(f[:3]) - slopes[:3], 0)
            mirrored = loss.gradient([-1], [-dtype(t)], reduction="sum")
            assert_allclose(mirrored, [-want[2]], atol=1e-7)
    with pytest.raises(ValueError, match="no subdifferential"):
        (hl.ZeroOne() + hl.Hinge()).subdifferential([1], [0.0])


def test_bayes_score_of_mixtures_with_certain_labels():
    """The derivative at -f, which counts for nothing, may be infinite."""
    assert_allclose((1e6 * hl.SquaredHinge()).bayes_score([0.0, 1.0]), [-1, 1], rtol=1e-9)
    f = (hl.Exponential() + hl.Squared()).bayes_score(1.0)
    assert_allclose(np.exp(-f), 2 * (f - 1), rtol=1e-9)  # phi'(f) = 0
    assert (hl.Exponential() + hl.Logistic()).bayes_score(1.0) == np.inf
    assert_array_equal((0.1 * hl.Logistic() + hl.Hinge()).bayes_score([0, 1]), [-np.inf, np.inf])
    assert (2 * hl.Hinge()).bayes_score(1.0) == pytest.approx(1)


@pytest.mark.parametrize("margin", [-2.0, -0.5, 0.0, 1.0, 3.0])
@pytest.mark.parametrize("beta", [0.1, 3.0, 1000.0, 1e5])
def test_bayes_score_of_softplus(beta, margin):
    """exp(beta margin) may be 0 or infinite."""
    loss, eta = hl.SoftplusHinge(beta, margin), np.array([0.5, 0.5 + 1e-9, 0.6, 0.99, 1 - 1e-9])
    f = loss.bayes_score(eta)
    assert f[0] == 0
    assert (np.diff(f) > 0).all()
    risk = loss.conditional_risk(eta)
    for near in (-1, -0.1, -1e-3, 0, 1e-3, 0.1, 1):
        assert (risk <= eta * loss.phi(f + near) + (1 - eta) * loss.phi(-f - near) + 1e-14).all()
    assert_allclose(risk[0], loss.phi(0.0))
    assert loss.bayes_score(1.0) == np.inf
    assert loss.conditional_risk(1.0) == 0


def test_theory_of_mixtures_that_are_not_convex_is_not_known():
    odd = hl.Logistic() + hl.Ramp()
    for call in (odd.bayes_score, odd.conditional_risk, odd.psi, odd.conjugate):
        with pytest.raises(ValueError, match="is not convex"):
            call(0.75)


def test_calls_from_many_threads():
    rng = np.random.default_rng(4)
    n = module.PARALLEL_FROM + 7
    f, y = rng.standard_normal(n), np.where(rng.random(n) < 0.5, 1, -1)
    loss = hl.Logistic() + hl.Hinge()
    want = loss.value(y, f)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: loss.value(y, f), range(32))) == {want}


def test_functions():
    for name in hl.__all__:
        if name.endswith("_loss") and getattr(hl, name).__module__ == module.__name__:
            function = getattr(hl, name)
            assert function.__name__ == name
            assert function([1, -1], [0.3, 0.2]) > 0
            assert "sample_weight" in str(function.__signature__)
    assert hl.huberized_hinge_loss([1], [0.0], delta=0.5, margin=2) == 1.75
    with pytest.raises(TypeError, match="unexpected keyword"):
        hl.hinge_loss([1], [0.0], delta=1)


# ------------------------------------------------------------------------------- theory


def searched(loss, eta):
    grid = np.linspace(-12, 12, 240001)
    return (eta * loss.phi(grid) + (1 - eta) * loss.phi(-grid)).min()


@LOSSES
def test_bayes_score_minimises(loss):
    eta = np.array([0, 0.01, 0.3, 0.5, 0.6, 0.75, 0.9, 0.999, 1])
    score = loss.bayes_score(eta)
    risk = loss.conditional_risk(eta)
    assert_allclose(risk, [searched(loss, e) for e in eta], atol=1e-4)
    assert_array_equal(score[::-1][[0, 1]], -loss.bayes_score(1 - eta[::-1][[0, 1]]))
    assert score[3] == 0
    if loss.is_classification_calibrated:
        assert_array_equal(np.sign(score), np.sign(2 * eta - 1))
    finite = np.isfinite(score) & (loss.is_convex | (eta != 0.5))
    at = np.array([e * loss.phi(s) + (1 - e) * loss.phi(-s) for e, s in zip(
        eta[finite], score[finite], strict=True)])
    assert_allclose(at, risk[finite], rtol=1e-12, atol=1e-300)


@LOSSES
def test_psi_is_the_definition(loss):
    """psi~(theta) = inf over wrong signs - inf over all; convex here, so psi is the same."""
    theta = np.linspace(-1, 1, 21)
    grid = np.linspace(-12, 0, 120001)  # wrong for eta >= 1/2
    wrong = np.array([((1 + a) / 2 * loss.phi(grid) + (1 - a) / 2 * loss.phi(-grid)).min()
                      for a in np.abs(theta)])  # fmt: skip
    want = wrong - [searched(loss, (1 + a) / 2) for a in np.abs(theta)]
    psi = loss.psi(theta)
    if isinstance(loss, hl.Ramp):   # psi~ is concave on 0..1, psi its convex hull
        assert_allclose(psi, np.abs(theta) * want[-1], atol=1e-4)
        assert (psi <= want + 1e-4).all()
    else:
        assert_allclose(psi, want, atol=1e-4)
    assert (np.diff(psi, 2) >= -1e-9).all()
    assert psi[10] == 0


@pytest.mark.parametrize(("loss", "psi"), [
    (hl.Hinge(), np.abs), (hl.SquaredHinge(), np.square), (hl.Squared(), np.square),
    (hl.ModifiedHuber(), np.square), (hl.Exponential(), lambda th: 1 - np.sqrt(1 - th**2)),
    (hl.Perceptron(), lambda th: 0 * th), (hl.Savage(), np.square), (hl.ZeroOne(), np.abs),
    (hl.Logistic(), lambda th: ((1 + th) * np.log1p(th) + (1 - th) * np.log1p(-th)) / 2),
])  # fmt: skip
def test_psi_in_closed_form(loss, psi):
    theta = np.array([-0.99, -0.5, -0.001, 0, 0.3, 0.9])
    assert_allclose(loss.psi(theta), psi(theta), rtol=1e-9, atol=1e-15)


@CONVEX
def test_conjugate(loss):
    """The definition on a grid, Fenchel-Young, and equality at subgradients."""
    lo, hi = loss.conjugate_domain
    u = np.linspace(max(lo, -6), min(hi, 3), 37)
    t = np.linspace(-60, 60, 1_200_001)
    values = loss.phi(t)
    conjugate = loss.conjugate(u)
    assert_allclose(conjugate, [(v * t - values).max() for v in u], atol=2e-6)
    assert (loss.conjugate([lo - 1e-6, hi + 1e-6]) == np.inf).all() or np.isinf([lo, hi]).any()
    some = t[::4001]
    gap = loss.phi(some)[:, None] + conjugate[None, :] - some[:, None] * u[None, :]
    assert (gap >= -1e-9 * (1 + np.abs(some))[:, None]).all()
    at = np.linspace(-4, 4, 33)
    slopes = loss.slope(at)
    assert_allclose(loss.phi(at) + loss.conjugate(slopes), at * slopes, atol=1e-9)
    assert np.isnan(loss.conjugate(np.nan))


@LOSSES
def test_metadata(loss):
    t = np.sort(np.concatenate([np.linspace(-8, 8, 4001), list(loss.kinks)]))
    v, g = loss.phi(t), loss.slope(t)
    steps = np.diff(t)
    keep = steps > 0
    quotients = np.abs(np.diff(v)[keep] / steps[keep])
    curved = np.abs(np.diff(g)[keep] / steps[keep])
    if np.isfinite(loss.lipschitz):
        assert quotients.max() <= loss.lipschitz * (1 + 1e-9)
        assert quotients.max() >= loss.lipschitz * 0.99
    else:
        far = loss.phi(np.array([-800.0, -400.0, -200.0]))
        assert isinstance(loss, hl.ZeroOne) or (far[0] - far[1]) > 1.9 * (far[1] - far[2])
    if np.isfinite(loss.smoothness):
        assert curved.max() <= loss.smoothness * (1 + 1e-6)
        assert curved.max() >= loss.smoothness * 0.99
        assert loss.is_differentiable
    assert loss.is_differentiable == (not loss.kinks and not isinstance(loss, hl.ZeroOne))
    a, b = v[:-2:2], v[2::2]
    uniform = loss.phi(np.linspace(-8, 8, 4001))
    convex = (np.diff(uniform, 2) >= -1e-10 * (1 + np.abs(uniform[1:-1]))).all()
    assert loss.is_convex == convex
    del a, b
    assert loss.is_upper_bound_on_zero_one == ((v >= 0).all() and (v[t <= 0] >= 1).all())
    flat = loss.phi(50.0) == loss.phi(60.0) == 0 and loss.slope(30.0) == 0
    assert loss.has_sparse_dual == (loss.is_convex and flat)
    eta = np.array([0.2, 0.49, 0.51, 0.7])
    consistent = (np.sign(loss.bayes_score(eta)) == np.sign(2 * eta - 1)).all()
    assert loss.is_classification_calibrated == consistent


def test_limits_of_families():
    t = np.linspace(-3, 3, 61)
    assert_allclose(hl.HuberizedHinge(delta=1e-9).phi(t), hl.Hinge().phi(t), atol=1e-8)
    assert_allclose(hl.SoftplusHinge(beta=1e9).phi(t), hl.Hinge().phi(t), atol=1e-8)
    assert_array_equal(hl.SoftplusHinge(beta=1e308).phi([-3.0, 1.5]), [4, 0])  # beta t is infinite
    assert_array_equal(hl.Sigmoid(beta=1e308).slope([-3.0, 1.5]), [0, 0])
    assert hl.Sigmoid(beta=1e300).smoothness == np.inf
    narrow = hl.HuberizedHinge(delta=1e-300).slope(np.float32([0.5, 1, 2]))
    assert_array_equal(narrow, [-1, 0, 0])
    assert_array_equal(hl.HuberizedHinge(delta=1).phi(t), hl.SmoothHinge().phi(t))
    assert_allclose(hl.SoftplusHinge(beta=1, margin=0).phi(t), hl.Logistic().phi(t), rtol=1e-15)
    assert_allclose(hl.ModifiedHuber().probability([-2, -0.5, 0, 3]), [0, 0.25, 0.5, 1])
    h = 0.3     # Chapelle's L_h
    chapelle = np.where(t > 1 + h, 0, np.where(t < 1 - h, 1 - t, (1 + h - t) ** 2 / (4 * h)))
    assert_allclose(hl.HuberizedHinge(delta=2 * h, margin=1 + h).phi(t), chapelle, atol=1e-15)


@given(st.lists(st.tuples(st.sampled_from([-1, 1]), st.floats(-1e6, 1e6)), min_size=1, max_size=40),
       st.sampled_from([c[1] for c in CASES]))
def test_properties(pairs, loss):
    y, f = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    value, gradient = loss.value_and_gradient(y, f, reduction="none")
    assert (value >= 0).all()
    assert (y * gradient <= 0).all() or isinstance(loss, hl.Squared)
    mirrored, other = loss.value_and_gradient(-y, -f, reduction="none")
    assert_array_equal(value, mirrored)
    assert_array_equal(gradient, -other)
    half = f.astype(np.float32)
    if (half == f).all():
        with np.errstate(over="ignore"):
            assert_allclose(loss.value(y, half, reduction="none"), value.astype(np.float32),
                            rtol=2e-6, atol=1e-37)


@pytest.mark.parametrize("loss", [hl.Exponential(), hl.Logistic(), hl.Savage()])
def test_elementary_functions(loss):
    """Against a plain double-precision library, which is good to 1 ulp, over all scales."""
    rng = np.random.default_rng(3)
    t = np.concatenate([rng.uniform(-s, s, 4000) for s in (1e-9, 1e-3, 1, 30, 350)])
    exact = {hl.Exponential: lambda t: np.exp(-t), hl.Logistic: lambda t: np.logaddexp(0, -t),
             hl.Savage: lambda t: 4 * np.exp(-2 * np.logaddexp(0, 2 * t))}[type(loss)](t)
    assert_allclose(loss.phi(t), exact, rtol=1e-15 if not isinstance(loss, hl.Savage) else 1e-12,
                    atol=1e-307)
    assert loss.phi(np.array([-np.inf, np.inf])).tolist() == [
        4.0 if isinstance(loss, hl.Savage) else np.inf, 0.0]
