# SPDX-License-Identifier: BSD-3-Clause
"""Counterparts of torch's, keras' and optax' losses: their documented formulas, and themselves."""

import inspect
import itertools
import os
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from hingex.losses import WestonWatkins, counterparts
from hingex.losses.counterparts import keras, optax, torch

REDUCTIONS = ("mean", "sum", "none")
RNG = np.random.default_rng(0)


def signs(*shape):
    return np.where(RNG.random(shape) < 0.5, -1, 1)


def scores(*shape):
    return RNG.standard_normal(shape)


# ------------------------------------------------------------------------------- torch


def hinge_embedding(x, y, margin=1.0):
    return np.array([a if b == 1 else max(0, margin - a)
                     for a, b in zip(x.flat, y.flat, strict=True)]).reshape(x.shape)


def multi_margin(x, y, p=1, margin=1.0, weight=None):
    if x.ndim == 1:
        return multi_margin(x[None], [y], p, margin, weight)[0]
    K = x.shape[1]
    return np.array([(1 if weight is None else weight[k]) / K * sum(
        max(0, margin - row[k] + row[j]) ** p for j in range(K) if j != k)
        for row, k in zip(x, y, strict=True)])  # fmt: skip


def margin_ranking(x1, x2, y, margin=0.0):
    return np.array([max(0, -c * (a - b) + margin) for a, b, c in zip(x1, x2, y, strict=True)])


def triplet(a, p_, n, margin=1.0, p=2.0, eps=1e-6, swap=False):
    def distance(u, v):
        return np.sum(np.abs(u - v + eps) ** p, axis=-1) ** (1 / p)

    far = distance(a, n)
    return np.maximum(0, margin + distance(a, p_)
                      - (np.minimum(far, distance(p_, n)) if swap else far))


def multilabel_margin(x, y):
    if x.ndim == 1:
        return multilabel_margin(x[None], y[None])[0]
    out = []
    for row, listed in zip(x, y, strict=True):
        own = list(itertools.takewhile(lambda k: k >= 0, listed.tolist()))
        out.append(sum(max(0, 1 - row[k] + row[j]) for k in own for j in range(len(row))
                       if j not in own) / len(row))
    return np.array(out)


def soft_margin(x, y):
    return np.log(1 + np.exp(-y * x))


X, K5 = scores(8, 5), RNG.integers(5, size=8)
LISTS = np.array([[3, 0, -1, 1, 2], [-1, 4, 4, 4, 4], [0, 1, 2, 3, 4], [2, 2, -1, -1, -1],
                  [4, -1, 0, -1, 1], [1, 3, 0, -1, -1]])
WEIGHT = [0.5, 2.0, 1.0, 0.0, 3.0]
# class in both libraries, formula, options, arguments, how many of these are differentiated
TORCH = [
    ("HingeEmbeddingLoss", hinge_embedding, {}, (np.abs(scores(7, 3)), signs(7, 3)), 1),
    ("HingeEmbeddingLoss", hinge_embedding, {"margin": 0.4}, (scores(9), signs(9)), 1),
    ("MultiMarginLoss", multi_margin, {}, (X, K5), 1),
    ("MultiMarginLoss", multi_margin, {"p": 2}, (X, K5), 1),
    ("MultiMarginLoss", multi_margin, {"margin": 0.3, "weight": WEIGHT}, (X, K5), 1),
    ("MultiMarginLoss", multi_margin, {"p": 2, "margin": 1.7, "weight": WEIGHT}, (X, K5), 1),
    ("MultiMarginLoss", multi_margin, {"p": 2}, (X[0], np.array(2)), 1),
    ("MarginRankingLoss", margin_ranking, {}, (scores(9), scores(9), signs(9)), 2),
    ("MarginRankingLoss", margin_ranking, {"margin": 0.7}, (scores(9), scores(9), signs(9)), 2),
    *(("TripletMarginLoss", triplet, options, (scores(6, 4), scores(6, 4), scores(6, 4)), 3)
      for options in ({}, {"p": 1.0}, {"p": 3.0, "margin": 0.5}, {"swap": True},
                      {"swap": True, "p": 1.5, "eps": 0.25, "margin": 2.0})),
    ("TripletMarginLoss", triplet, {"margin": 5.0}, (scores(4), scores(4), scores(4)), 3),
    ("MultiLabelMarginLoss", multilabel_margin, {}, (scores(6, 5), LISTS), 1),
    ("MultiLabelMarginLoss", multilabel_margin, {}, (scores(5), LISTS[0]), 1),
    ("SoftMarginLoss", soft_margin, {}, (scores(4, 3), signs(4, 3)), 1),
    ("SoftMarginLoss", soft_margin, {}, (scores(5), signs(5)), 1),
]  # fmt: skip
TORCH_CASES = pytest.mark.parametrize(
    ("name", "formula", "options", "args", "free"), TORCH,
    ids=[f"{i}-{case[0]}-{'-'.join(case[2])}" for i, case in enumerate(TORCH)])
EMBEDDING = ("HingeEmbeddingLoss", "MarginRankingLoss", "TripletMarginLoss")


def needs(name):
    if name in EMBEDDING:
        pytest.importorskip("hingex.losses.embedding",
                            reason="hingex.losses.embedding, which computes it, is not there")


def reduced(values, reduction):
    return {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](values)


def differences(function, args, free, h=1e-6):
    """Derivatives of a sum with respect to the first `free` arguments, by central differences."""
    found = []
    for i in range(free):
        slope = np.empty(args[i].shape)
        for at in np.ndindex(args[i].shape):
            step = np.zeros(args[i].shape)
            step[at] = h
            up, down = (np.sum(function(*args[:i], args[i] + s, *args[i + 1:]))
                        for s in (step, -step))
            slope[at] = (up - down) / (2 * h)
        found.append(slope)
    return found


def listed(gradient):
    return list(gradient) if isinstance(gradient, tuple) else [gradient]


@TORCH_CASES
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_torch_formula(name, formula, options, args, free, reduction):
    needs(name)
    loss = getattr(torch, name)(**options, reduction=reduction)
    values = formula(*args, **options)
    value, gradient = loss.value_and_gradient(*args)
    assert_allclose(value, reduced(values, reduction), rtol=1e-12)
    assert_array_equal(loss(*args), value)
    assert np.shape(value) == (values.shape if reduction == "none" else ())
    divisor = values.size if reduction == "mean" else 1
    want = differences(lambda *a: formula(*a, **options), args, free)
    for got, slope in zip(listed(gradient), want, strict=True):
        assert_allclose(got, slope / divisor, atol=1e-8)


@TORCH_CASES
def test_torch_precisions(name, formula, options, args, free):
    needs(name)
    loss = getattr(torch, name)(**options)
    half = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in args]
    value, gradient = loss.value_and_gradient(*half)
    assert all(g.dtype == np.float32 for g in listed(gradient))
    assert_allclose(value, loss(*args), rtol=1e-5)
    as_lists = loss.value_and_gradient(*(a.tolist() for a in args))
    assert_allclose(as_lists[0], loss(*args), rtol=1e-15)


@pytest.fixture(scope="module")
def real_torch():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("torch", reason="torch is not installed")
    module.set_num_threads(1)
    return module


@TORCH_CASES
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_torch_itself(real_torch, name, formula, options, args, free, dtype):
    needs(name)
    arrays = [a.astype(dtype) if i < free else a for i, a in enumerate(args)]
    rtol = 1e-6 if dtype is np.float64 else 1e-5
    for reduction in REDUCTIONS:
        theirs = dict(options)
        if "weight" in theirs:
            theirs["weight"] = real_torch.tensor(np.array(theirs["weight"], dtype))
        tensors = [real_torch.tensor(a, requires_grad=i < free) for i, a in enumerate(arrays)]
        found = getattr(real_torch.nn, name)(**theirs, reduction=reduction)(*tensors)
        found.sum().backward()
        value, gradient = getattr(torch, name)(**options, reduction=reduction).value_and_gradient(
            *arrays)
        assert_allclose(value, found.detach().numpy(), rtol=rtol, atol=rtol / 10)
        assert np.shape(value) == tuple(found.shape)
        for got, tensor in zip(listed(gradient), tensors, strict=False):
            assert_allclose(got, tensor.grad.numpy(), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("name", torch.__all__)
def test_torch_signatures(real_torch, name):
    ours, theirs = (inspect.signature(getattr(module, name)).parameters.values()
                    for module in (torch, real_torch.nn))
    if name in ("MultiLabelMarginLoss", "SoftMarginLoss"):  # these have their base's
        theirs = inspect.signature(real_torch.nn.modules.loss._Loss).parameters.values()
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]
    ours, theirs = (list(inspect.signature(call).parameters) for call in (
        getattr(torch, name).__call__, getattr(real_torch.nn, name).forward))
    assert ours == theirs


def test_torch_kinks(real_torch):
    """Where derivatives differ from torch's, as the docstrings say."""
    x = real_torch.tensor([[1.0, 0.0, 2.0]], requires_grad=True)
    real_torch.nn.MultiMarginLoss(reduction="sum")(x, real_torch.tensor([0])).backward()
    ours = torch.MultiMarginLoss(reduction="sum").value_and_gradient(x.detach().numpy(), [0])[1]
    assert_allclose(ours, x.grad.numpy(), rtol=1e-6)     # the same where x_1 = x_0 - 1

    x = real_torch.tensor([1.0], requires_grad=True)
    real_torch.nn.HingeEmbeddingLoss()(x, real_torch.tensor([-1])).backward()
    assert x.grad.tolist() == [-1]
    a, b = (real_torch.tensor([0.5], requires_grad=True) for _ in "ab")
    real_torch.nn.MarginRankingLoss()(a, b, real_torch.tensor([1])).backward()
    assert (a.grad.tolist(), b.grad.tolist()) == ([-1], [1])
    needs("HingeEmbeddingLoss")
    assert torch.HingeEmbeddingLoss().value_and_gradient([1.0], [-1])[1].tolist() == [0]
    found = torch.MarginRankingLoss().value_and_gradient([0.5], [0.5], [1])[1]
    assert [g.tolist() for g in found] == [[0], [0]]


def test_torch_by_hand():
    # (1 - 0.8 + 0.1) + (1 - 0.8 + 0.2) + (1 - 0.8 + 0.4), over 4 classes
    assert_allclose(torch.MultiMarginLoss()([[0.1, 0.2, 0.4, 0.8]], [3]), 1.3 / 4, rtol=1e-15)
    # classes 3 and 0 are listed, 1 and 2 are not: 0.4 + 0.6 + 1.1 + 1.3, over 4 classes
    got = torch.MultiLabelMarginLoss()([[0.1, 0.2, 0.4, 0.8]], [[3, 0, -1, 1]])
    assert_allclose(got, 3.4 / 4, rtol=1e-15)
    in_order = torch.MultiMarginLoss(1, 1.0, None, None, None, "sum")
    assert in_order([[0.0, 0.0]] * 3, [0, 1, 0]) == 1.5
    assert torch.MultiMarginLoss(weight=[1, 3])([[0.0, 0.0]] * 2, [0, 1]) == 1  # (1 + 3) / 2 / 2


def test_torch_old_reductions():
    x, y = [[0.0, 0.0]] * 3, [0, 1, 0]
    for size_average, reduce, want in [(True, None, "mean"), (False, None, "sum"),
                                       (None, True, "mean"), (None, False, "none"),
                                       (False, False, "none"), (True, True, "mean")]:
        loss = torch.MultiMarginLoss(size_average=size_average, reduce=reduce, reduction="sum")
        assert loss.reduction == want
        assert_array_equal(loss(x, y), torch.MultiMarginLoss(reduction=want)(x, y))


def test_torch_edges():
    loss = torch.SoftMarginLoss()
    assert_array_equal(loss(np.float32([-1000, 1000]), [1, 1]), 500)     # torch: inf
    for name in ("MultiMarginLoss", "MultiLabelMarginLoss"):
        empty = np.empty((0, 3)), np.empty((0, 3) if "Label" in name else 0, int)
        assert getattr(torch, name)(reduction="sum")(*empty) == 0
        assert getattr(torch, name)(reduction="none")(*empty).shape == (0,)
        with pytest.raises(ValueError, match="mean of no values"):
            getattr(torch, name)()(*empty)
    x = np.array([[np.nan, 0, 0], [0, np.inf, 0], [0, -np.inf, 0], [0, 0, 0]])
    values, gradient = torch.MultiLabelMarginLoss(reduction="none").value_and_gradient(
        x, [[2, -1, -1]] * 4)
    assert_allclose(values, [np.nan, np.inf, 1 / 3, 2 / 3])
    assert_allclose(gradient * 3, [[np.nan] * 3, [1, 1, -2], [1, 0, -1], [1, 1, -2]])


ONE = [  # input, target
    (np.array([[0.5], [-2.0], [9.0]]), np.zeros(3, int)), (np.array([[0.5]]), np.array([0])),
    (np.array([0.5]), np.array(0)), (np.array([0.5]), np.array([0])), (np.array(0.5), np.array(0)),
    (np.array(0.5), np.array([0])), (np.array([[np.inf]]), np.array([0])),
]  # fmt: skip


@pytest.mark.parametrize(("x", "y"), ONE)
@pytest.mark.parametrize("options", [{}, {"p": 2}, {"margin": -1.0}, {"weight": [3.0]}])
def test_one_class(x, y, options):
    """There is no other class to lose to."""
    for reduction in ("mean", "sum", "none"):
        loss = torch.MultiMarginLoss(**options, reduction=reduction)
        value, gradient = loss.value_and_gradient(x, y)
        assert_array_equal(value, np.zeros(y.shape if reduction == "none" else ()))
        assert np.shape(value) == np.shape(loss(x, y)) == (y.shape if reduction == "none" else ())
        assert_array_equal(gradient, np.zeros(x.shape))
        assert_array_equal(loss(x, y), value)


def test_one_class_of_others():
    for name in ("multiclass_hinge_loss", "multiclass_perceptron_loss"):
        loss = getattr(optax, name)
        for shape in ((3,), (), (0,), (2, 3)):
            value, gradient = loss.value_and_gradient(np.ones((*shape, 1)), np.zeros(shape, int))
            assert_array_equal(value, np.zeros(shape))
            assert_array_equal(loss(np.ones((*shape, 1)), np.zeros(shape, int)), value)
            assert_array_equal(gradient, np.zeros((*shape, 1)))
        with pytest.raises(ValueError, match=r"y\[0\] is 1, but there are scores of 1 classes"):
            loss([[0.5]], [1])
    loss = torch.MultiMarginLoss()
    assert np.isnan(loss([[np.nan]], [0]))
    assert loss.value_and_gradient(np.float32([[1]]), [0])[1].dtype == np.float32
    empty = np.empty((0, 1)), np.empty(0, int)
    assert torch.MultiMarginLoss(reduction="sum")(*empty) == 0
    assert torch.MultiMarginLoss(reduction="none")(*empty).shape == (0,)
    for call, said in ((lambda: loss([[0.5]], [1]), r"y\[0\] is 1"),
                       (lambda: loss(*empty), "mean of no values"),
                       (lambda: torch.MultiMarginLoss(weight=[1.0, 2.0])([[0.5]], [0]),
                        "weight has 2 elements, expected 1")):
        with pytest.raises(ValueError, match=said):
            call()


def test_numbers_and_empty_rows():
    """Numbers are arrays of one element; vectors of no elements are at distance 0."""
    assert torch.MultiMarginLoss()([[0.0, 0.5]], 0) == 0.75  # one row, and a number for it
    assert torch.MultiLabelMarginLoss()(0.5, 0) == torch.MultiLabelMarginLoss()(0.5, -1) == 0
    value, gradient = torch.MultiLabelMarginLoss(reduction="none").value_and_gradient(0.5, [0])
    assert np.shape(value) == np.shape(gradient) == ()
    value, gradients = torch.TripletMarginLoss(eps=0.0).value_and_gradient(0.3, 0.4, 0.1)
    assert_allclose(value, 1 + 0.1 - 0.2)
    assert_array_equal(gradients, [-2, 1, 1])
    for shape in ((0,), (2, 0), (0, 0), (0, 3), (3, 2, 0)):
        x = np.ones(shape)
        values, gradients = torch.TripletMarginLoss(reduction="none").value_and_gradient(x, x, x)
        assert_array_equal(values, np.ones(shape[:-1]))
        assert all(g.shape == shape for g in gradients)
    for shape in ((), (1,), (1, 1), (0,), (0, 3), (2, 3, 4)):
        x, y = np.full(shape, 0.25), np.ones(shape)
        for loss, want in ((torch.HingeEmbeddingLoss, 0.25), (torch.SoftMarginLoss, np.log1p(
                np.exp(-0.25)))):
            assert_allclose(loss(reduction="none")(x, y), np.full(shape, want))
        assert_array_equal(torch.MarginRankingLoss(margin=0.5, reduction="none")(x, x, y),
                           np.full(shape, 0.5))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_torch_itself_at_the_edges(reduction):
    library = pytest.importorskip("torch", reason="torch is not installed")
    zeros, tensor = np.zeros, library.tensor
    cases = [
        *(("MultiMarginLoss", x, y) for x, y in (
            *ONE, (zeros((2, 3)) + 0.1, np.array([0, 2])), (zeros((1, 3)), np.array(1)))),
        *(("MultiLabelMarginLoss", x, y) for x, y in (
            (zeros((3, 1)), zeros((3, 1), int)), (zeros(1), -np.ones(1, int)),
            (np.array(0.5), np.array(0)), (np.array(0.5), np.array([0])),
            (zeros(1), np.array(0)))),
        *(("TripletMarginLoss", zeros(shape) + 0.3, zeros(shape) + 0.4, zeros(shape) + 0.1)
          for shape in ((), (1,), (2, 0), (2, 3), (2, 3, 4))),
        *((name, zeros(shape) + 0.3, np.ones(shape)) for name in (
            "HingeEmbeddingLoss", "SoftMarginLoss") for shape in ((), (1,), (2, 3, 4))),
        *(("MarginRankingLoss", zeros(shape) + 0.3, zeros(shape) + 0.4, np.ones(shape))
          for shape in ((), (1,), (2, 3, 4))),
    ]  # fmt: skip
    if reduction != "mean":
        cases += [("MultiMarginLoss", zeros((0, 3)), zeros(0, int)),
                  ("MultiMarginLoss", zeros((0, 1)), zeros(0, int)),
                  ("MultiLabelMarginLoss", zeros((0, 3)), zeros((0, 3), int)),
                  ("TripletMarginLoss", *[zeros((0, 3))] * 3),
                  ("SoftMarginLoss", zeros((0, 2)), zeros((0, 2)))]
    for name, *arguments in cases:
        value, gradients = getattr(torch, name)(reduction=reduction).value_and_gradient(*arguments)
        gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        tensors = [tensor(a) for a in arguments]
        for t in tensors[:len(gradients)]:
            t.requires_grad_()
        want = getattr(library.nn, name)(reduction=reduction)(*tensors)
        want.sum().backward()
        assert np.shape(value) == tuple(want.shape)
        assert_allclose(value, want.detach().numpy(), atol=1e-12)
        for g, t in zip(gradients, tensors, strict=False):
            assert np.shape(g) == tuple(t.shape)
            assert_allclose(g, t.grad.numpy(), atol=1e-6)


def test_multilabel_in_blocks(monkeypatch):
    x, t = scores(50, 7), np.array([RNG.permutation(np.arange(-1, 6)) for _ in range(50)])
    want = torch.MultiLabelMarginLoss(reduction="none").value_and_gradient(x, t)
    assert_allclose(want[0], multilabel_margin(x, t), rtol=1e-13)
    monkeypatch.setattr(torch, "BLOCK", 100)
    got = torch.MultiLabelMarginLoss(reduction="none").value_and_gradient(x, t)
    assert_array_equal(got[0], want[0])
    assert_array_equal(got[1], want[1])


@pytest.mark.parametrize(("call", "said"), [
    (lambda: torch.MultiMarginLoss(p=3), "p must be 1 or 2"),
    (lambda: torch.MultiMarginLoss(weight=[[1, 1]]), r"weight.shape == \(1, 2\)"),
    (lambda: torch.MultiMarginLoss(weight=[1, -1]), r"weight\[1\] is -1"),
    (lambda: torch.MultiMarginLoss(weight=[1, 1, 1])([[0, 0]], [0]), "weight has 3 elements"),
    (lambda: torch.MultiMarginLoss(reduction="batchmean"), "reduction must be"),
    (lambda: torch.MultiMarginLoss()([[0, 0]], [2]), r"y\[0\] is 2"),
    (lambda: torch.MultiMarginLoss()([0, 0], [0, 1]), r"expected \(n, K\)|scores.shape"),
    (lambda: torch.MultiLabelMarginLoss()([[0, 0]], [[0, 2]]), r"target\[0, 1\] is 2"),
    (lambda: torch.MultiLabelMarginLoss()([[0, 0]], [[-2, 0]]), r"target\[0, 0\] is -2"),
    (lambda: torch.MultiLabelMarginLoss()([[0, 0]], [[0.0, 1.0]]), "expected integers"),
    (lambda: torch.MultiLabelMarginLoss()([[0, 0]], [0]), r"target.shape == \(1,\)"),
    (lambda: torch.SoftMarginLoss()([0.5], [0]), r"y\[0\] is 0"),
    (lambda: torch.TripletMarginLoss(margin=0), "margin must be a positive number"),
])  # fmt: skip
def test_torch_errors(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_objects():
    assert torch.MultiMarginLoss(weight=[1, 2]) == torch.MultiMarginLoss(weight=np.array([1, 2]))
    assert torch.MultiMarginLoss(weight=[1, 2]) != torch.MultiMarginLoss(weight=[2, 1])
    assert torch.SoftMarginLoss() != torch.SoftMarginLoss(reduction="sum")
    assert torch.MultiMarginLoss()._made == WestonWatkins(mean_over_classes=True)
    assert counterparts.__all__ == ["keras", "optax", "torch"]
    for module in (keras, optax, torch):
        assert all(inspect.getdoc(getattr(module, name)) for name in module.__all__)


# ------------------------------------------------------------------------------- keras


def keras_hinge(y, f, power=1):
    if all(v in (0, 1) for v in np.ravel(y)):
        y = 2 * y - 1
    return np.mean(np.maximum(0, 1 - y * f) ** power, axis=-1)


def keras_squared_hinge(y, f):
    return keras_hinge(y, f, power=2)


def keras_categorical_hinge(y, f):
    return np.maximum(0, 1 + np.max((1 - y) * f, axis=-1) - np.sum(y * f, axis=-1))


ONE_HOT = np.eye(4)[RNG.integers(4, size=6)]
KERAS = [
    ("Hinge", keras_hinge, signs(6, 4), scores(6, 4)),
    ("Hinge", keras_hinge, (signs(6, 4) + 1) // 2, scores(6, 4)),
    ("Hinge", keras_hinge, np.ones((3, 2)), scores(3, 2)),
    ("Hinge", keras_hinge, np.array([[-1, 0], [1, 0], [0.5, 2]]), scores(3, 2)),
    ("Hinge", keras_hinge, signs(5), scores(5)),
    ("Hinge", keras_hinge, signs(3, 2, 4), scores(3, 2, 4)),
    ("SquaredHinge", keras_squared_hinge, signs(6, 4), scores(6, 4)),
    ("SquaredHinge", keras_squared_hinge, (signs(6, 1) + 1) // 2, scores(6, 1)),
    ("CategoricalHinge", keras_categorical_hinge, ONE_HOT, scores(6, 4)),
    ("CategoricalHinge", keras_categorical_hinge, ONE_HOT, scores(6, 4) - 3),
    ("CategoricalHinge", keras_categorical_hinge, ONE_HOT.reshape(2, 3, 4), scores(2, 3, 4)),
    ("CategoricalHinge", keras_categorical_hinge, 0.9 * ONE_HOT + 0.025, scores(6, 4)),
    ("CategoricalHinge", keras_categorical_hinge, ONE_HOT[0], scores(4)),
]
KERAS_CASES = pytest.mark.parametrize(("name", "formula", "y", "f"), KERAS,
                                      ids=[f"{i}-{case[0]}" for i, case in enumerate(KERAS)])


def weights_for(values):
    """Weights that broadcast with the losses, the ways Keras allows."""
    yield None
    if values.ndim:
        yield RNG.random(values.shape)
        yield RNG.random((*values.shape, 1))
        yield RNG.random(values.shape[1:])
    else:
        yield RNG.random(1)
        yield np.array(0.5)


def keras_reduced(values, w, reduction):
    if w is not None:
        if w.ndim == values.ndim + 1 and w.shape[-1] == 1:
            w = w[..., 0]
        values = values * w
    if values.ndim == 0 or reduction in (None, "none"):
        return values
    divisor = {"sum": 1.0, "mean_with_sample_weight": values.size if w is None else np.sum(w)}
    return values.sum() / divisor.get(reduction, values.size)


@KERAS_CASES
@pytest.mark.parametrize("reduction", [*keras.REDUCTIONS, None])
def test_keras_formula(name, formula, y, f, reduction):
    loss = getattr(keras, name)(reduction)
    for w in weights_for(formula(y, f)):
        value, gradient = loss.value_and_gradient(y, f, sample_weight=w)
        want = keras_reduced(formula(y, f), w, reduction)
        assert_allclose(np.ravel(value), np.ravel(want), rtol=1e-12)
        assert_array_equal(loss(y, f, w), value)
        slope, = differences(lambda g, w=w: keras_reduced(formula(y, g), w, reduction), (f,), 1)
        assert_allclose(gradient, slope, atol=1e-8)
    half = loss.value_and_gradient(y.astype(int) if (y == np.rint(y)).all() else y,
                                   f.astype(np.float32))
    assert half[1].dtype == np.float32
    assert_allclose(half[0], loss(y, f), rtol=1e-5, atol=1e-6)


def test_keras_axes():
    """A last axis of length 1 that only one of labels and scores has."""
    y, f = signs(5), scores(5)
    want = np.maximum(0, 1 - y * f)
    for labels, predictions in ((y, f[:, None]), (y[:, None], f)):
        value, gradient = keras.Hinge("none").value_and_gradient(labels, predictions)
        assert_allclose(value, want)
        assert gradient.shape == predictions.shape
        assert_allclose(gradient.ravel(), -y * (y * f < 1))
    assert_allclose(keras.Hinge("none")(y, f), want.mean())  # the last axis is averaged over
    assert_allclose(keras.Hinge()(np.ones((2, 1)), np.zeros((2, 3))), 1)


def test_keras_by_hand():
    # Keras' own example: of labels 0 and 1, taken for -1 and 1
    y, f = [[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]
    assert_allclose(keras.Hinge()(y, f), 1.3)
    assert_allclose(keras.Hinge()(y, f, sample_weight=[1, 0]), 0.55)
    assert_allclose(keras.Hinge(reduction="sum")(y, f), 2.6)
    assert_allclose(keras.Hinge(reduction=None)(y, f), [1.1, 1.5])
    assert_allclose(keras.SquaredHinge()(y, f), 1.86)
    assert_allclose(keras.CategoricalHinge()([[0, 1], [0, 0]], f), 1.4)
    # one -1, and the zeros stay zeros, of loss 1
    assert_allclose(keras.Hinge(None)([[0, 1], [-1, 0]], f), [(1 + 0.6) / 2, (1.4 + 1) / 2])
    # the true class's 0 is in the maximum: not 1 + -3 - -2 = 0
    assert keras.CategoricalHinge()([[1, 0]], [[-2.0, -3.0]]) == 3
    assert keras.Hinge("mean_with_sample_weight")([[1]], [[0.0]], [0]) == 0


def test_keras_dtype():
    f = np.float64([[1 / 3]])
    assert keras.Hinge(None, dtype="float32").value_and_gradient([[1]], f)[1].dtype == np.float32
    assert keras.Hinge(None)([[1]], f).dtype == np.float64
    assert keras.Hinge(name="mine") != keras.Hinge()


def test_keras_not_finite():
    for loss in (keras.Hinge(None), keras.SquaredHinge(None), keras.CategoricalHinge(None)):
        for y in ([[1.0, 0.0]], [[0.75, 0.25]]):
            values, gradient = loss.value_and_gradient(y, [[np.nan, 0.0]])
            assert np.isnan(values).all()
            assert np.isnan(gradient[0, 0])
    assert keras.CategoricalHinge()([[1, 0]], [[np.inf, 0]]) == 0
    assert keras.CategoricalHinge()([[1, 0]], [[0, np.inf]]) == np.inf


@pytest.mark.parametrize(("call", "said"), [
    (lambda: keras.Hinge("avg"), "reduction must be"),
    (lambda: keras.Hinge(dtype="float16"), "dtype must be"),
    (lambda: keras.Hinge()([[1, 1, 1]], [[1, 1]]), "does not broadcast to the shape of y_pred"),
    (lambda: keras.Hinge()([[1, 1]], [[1, 1]], [1, 1, 1][:2] * 2 + [[]]), "sample_weight|inhomog"),
    (lambda: keras.Hinge()(np.ones((2, 1)), np.ones((2, 1)), [1, 1, 1]), "sample_weight.shape"),
    (lambda: keras.Hinge()(1.0, 1.0), "y_pred is a number"),
    (lambda: keras.Hinge()(np.ones((0, 2)), np.ones((0, 2))), "mean of no values"),
    (lambda: keras.Hinge()(np.ones((2, 0)), np.ones((2, 0))), "last axis is empty"),
    (lambda: keras.CategoricalHinge()(np.ones((2, 0)), np.ones((2, 0))), "no classes"),
])  # fmt: skip
def test_keras_errors(call, said):
    with pytest.raises(ValueError, match=said):
        call()


@pytest.fixture(scope="module")
def jax():
    os.environ.setdefault("KERAS_BACKEND", "jax")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("jax", reason="jax is not installed")
    module.config.update("jax_enable_x64", True)
    return module


@pytest.fixture(scope="module")
def real_keras(jax):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("keras", reason="keras is not installed")
    if module.backend.backend() != "jax":
        pytest.skip("keras has been imported with another backend than jax")
    return module


@KERAS_CASES
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.filterwarnings("ignore")
def test_keras_itself(real_keras, jax, name, formula, y, f, dtype):
    exact = dtype == "float64"
    rtol = 1e-6 if exact else 1e-5
    f = f.astype(dtype)
    for reduction in keras.REDUCTIONS if exact else keras.REDUCTIONS[:1]:
        theirs = getattr(real_keras.losses, name)(reduction=reduction, dtype=dtype)
        ours = getattr(keras, name)(reduction=reduction)
        every = list(weights_for(formula(y, f)))
        # Each shape of weights and each reduction costs jax some compiling.
        for w in every if reduction == "sum_over_batch_size" else every[:2]:
            def both(g, w=w, loss=theirs):
                values = loss(y, g, sample_weight=w)
                return values.sum(), values

            (_, want), slope = jax.value_and_grad(both, has_aux=True)(f)
            value, gradient = ours.value_and_gradient(y, f, sample_weight=w)
            assert np.shape(value) == want.shape
            assert_allclose(value, want, rtol=rtol, atol=rtol / 10)
            assert_allclose(gradient, slope, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("name", keras.__all__)
def test_keras_signatures(real_keras, name):
    ours, theirs = (inspect.signature(getattr(module, name)).parameters.values()
                    for module in (keras, real_keras.losses))
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]


# ------------------------------------------------------------------------------- optax


def optax_hinge(f, y):
    return np.maximum(0, 1 - f * y)


def optax_perceptron(f, y):
    return np.maximum(0, -f * y)


def optax_multiclass(s, k, margin):
    rows, labels = s.reshape(-1, s.shape[-1]), np.ravel(k)
    values = [max(v + margin * (j != c) for j, v in enumerate(row)) - row[c]
              for row, c in zip(rows, labels, strict=True)]
    return np.array(values).reshape(np.shape(k))


OPTAX = [
    *((name, formula, f, y) for name, formula in (("hinge_loss", optax_hinge),
                                                  ("perceptron_loss", optax_perceptron))
      for f, y in ((scores(7), signs(7)), (scores(3, 4), signs(3, 4)), (scores(), signs()))),
    *((name, lambda s, k, m=margin: optax_multiclass(s, k, m), s, k)
      for name, margin in (("multiclass_hinge_loss", 1), ("multiclass_perceptron_loss", 0))
      for s, k in ((X, K5), (X[0], np.array(3)), (scores(2, 3, 4), RNG.integers(4, size=(2, 3))))),
]  # fmt: skip
OPTAX = [(name, formula, np.asarray(s), y) for name, formula, s, y in OPTAX]
OPTAX_CASES = pytest.mark.parametrize(("name", "formula", "s", "y"), OPTAX,
                                      ids=[f"{i}-{case[0]}" for i, case in enumerate(OPTAX)])


@OPTAX_CASES
def test_optax_formula(name, formula, s, y):
    loss = getattr(optax, name)
    value, gradient = loss.value_and_gradient(s, y)
    assert_allclose(value, formula(s, y), rtol=1e-13)
    assert np.shape(value) == np.shape(y)
    assert_array_equal(loss(s, y), value)
    assert_allclose(gradient, *differences(lambda f: formula(f, y), (s,), 1), atol=1e-8)
    half = loss.value_and_gradient(s.astype(np.float32), y)
    assert half[1].dtype == np.float32
    assert_allclose(half[0], value, rtol=1e-5, atol=1e-6)


@OPTAX_CASES
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.filterwarnings("ignore")
def test_optax_itself(jax, name, formula, s, y, dtype):
    library = pytest.importorskip("optax", reason="optax is not installed")
    rtol = 1e-6 if dtype is np.float64 else 1e-5
    theirs, s = getattr(library.losses, name), s.astype(dtype)
    value, gradient = getattr(optax, name).value_and_gradient(s, y)
    assert_allclose(value, theirs(jax.numpy.asarray(s), y), rtol=rtol, atol=rtol / 10)
    slope = jax.grad(lambda f: theirs(f, y).sum())(jax.numpy.asarray(s))
    assert_allclose(gradient, slope, rtol=rtol, atol=rtol)
    ours = inspect.signature(getattr(optax, name)).parameters
    assert list(ours) == list(inspect.signature(theirs).parameters)


def test_optax_by_hand():
    assert_array_equal(optax.hinge_loss([0.25, -3.0], [1, -1]), [0.75, 0])
    assert_array_equal(optax.hinge_loss([0.25, -3.0], 1), [0.75, 4])
    assert_array_equal(optax.perceptron_loss([0.25, -3.0], [-1, 1]), [0.25, 3])
    assert optax.multiclass_hinge_loss([0.5, 2.0, 1.0], 2) == 2
    assert optax.multiclass_perceptron_loss([0.5, 2.0, 1.0], 2) == 1
    assert optax.multiclass_perceptron_loss(scores=[0.5, 2.0, 1.0], labels=1) == 0


@pytest.mark.parametrize(("call", "said"), [
    (lambda: optax.hinge_loss([0.5, 1], [0, 1]), r"y\[0\] is 0, but margin losses take"),
    (lambda: optax.perceptron_loss([0.5, 1], [1]), r"y.shape == \(1,\)"),
    (lambda: optax.multiclass_hinge_loss([[0.5, 1]], [2]), r"y\[0\] is 2"),
    (lambda: optax.multiclass_hinge_loss([[0.5, 1]], 0), r"labels.shape == \(\)"),
    (lambda: optax.multiclass_hinge_loss(1.0, 0), r"scores.shape == \(\)"),
])  # fmt: skip
def test_optax_errors(call, said):
    with pytest.raises(ValueError, match=said):
        call()
