# SPDX-License-Identifier: BSD-3-Clause
"""Multiclass losses against formulas, finite differences, and definitions of what they are."""

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize

import hingex.losses as hl
from hingex.losses import multiclass as module

# A loss, and the same of one row: s the scores, k the class, r the other scores.


def dlr(s, k, r):
    top = sorted(s, reverse=True)
    return (max(r) - s[k]) / (top[0] - top[2])


def softmax(s, k, r):
    return np.logaddexp.reduce(s) - s[k]


def centred(s, k, r):
    return sum(max(0, 1 / (len(s) - 1) + v - np.mean(s)) for v in r)


CASES = [
    ("crammer_singer", hl.CrammerSinger(), lambda s, k, r: max(0, 1 + max(r) - s[k])),
    ("crammer_singer_2", hl.CrammerSinger(margin=2.5),
     lambda s, k, r: max(0, 2.5 + max(r) - s[k])),
    ("weston_watkins", hl.WestonWatkins(), lambda s, k, r: sum(max(0, 1 + v - s[k]) for v in r)),
    ("weston_watkins_2", hl.WestonWatkins(margin=0.5, p=2),
     lambda s, k, r: sum(max(0, 0.5 + v - s[k]) ** 2 for v in r)),
    ("weston_watkins_mean", hl.WestonWatkins(mean_over_classes=True),
     lambda s, k, r: sum(max(0, 1 + v - s[k]) for v in r) / len(s)),
    ("weston_watkins_2_mean", hl.WestonWatkins(p=2, mean_over_classes=True),
     lambda s, k, r: sum(max(0, 1 + v - s[k]) ** 2 for v in r) / len(s)),
    ("lee_lin_wahba", hl.LeeLinWahba(),
     lambda s, k, r: sum(max(0, 1 / (len(s) - 1) + v) for v in r)),
    ("lee_lin_wahba_project", hl.LeeLinWahba(project=True), centred),
    ("categorical_hinge", hl.CategoricalHinge(), lambda s, k, r: max(0, 1 + max(0, *r) - s[k])),
    ("cross_entropy", hl.CrossEntropy(), softmax),
    ("one_vs_rest", hl.OneVsRest(),
     lambda s, k, r: max(0, 1 - s[k]) + sum(max(0, 1 + v) for v in r)),
    ("one_vs_rest_logistic", hl.OneVsRest(hl.Logistic()),
     lambda s, k, r: np.logaddexp(0, -s[k]) + np.sum(np.logaddexp(0, r))),
    ("one_vs_rest_mixture", hl.OneVsRest(0.5 * hl.Hinge() + hl.Squared()),
     lambda s, k, r: 0.5 * max(0, 1 - s[k]) + (1 - s[k]) ** 2
     + sum(0.5 * max(0, 1 + v) + (1 + v) ** 2 for v in r)),
    ("carlini_wagner", hl.CarliniWagner(), lambda s, k, r: max(s[k] - max(r), 0)),
    ("carlini_wagner_targeted", hl.CarliniWagner(kappa=0.5, targeted=True),
     lambda s, k, r: max(max(r) - s[k], -0.5)),
    ("dlr", hl.DLR(), dlr),
    ("mixture", 0.9 * hl.CrammerSinger() + 0.1 * hl.CrossEntropy(),
     lambda s, k, r: 0.9 * max(0, 1 + max(r) - s[k]) + 0.1 * softmax(s, k, r)),
]  # fmt: skip
IDS = [case[0] for case in CASES]
LOSSES = pytest.mark.parametrize("loss", [case[1] for case in CASES], ids=IDS)
FORMULAS = pytest.mark.parametrize(("loss", "formula"), [case[1:] for case in CASES], ids=IDS)
PLAIN = [case[1] for case in CASES if not isinstance(case[1], hl.DLR)]  # for K of 2, too
KINDS = [case[1] for case in CASES if not isinstance(case[1], hl.MulticlassMixture)]


def by_formula(formula, y, s):
    return np.array([formula(list(row), k, [v for j, v in enumerate(row) if j != k])
                     for row, k in zip(s, y, strict=True)], float)  # fmt: skip


def data(n, K, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    return rng.integers(K, size=n), scale * rng.standard_normal((n, K))


def test_every_loss_is_here():
    classes = {c for c in vars(module).values() if isinstance(c, type)
               and issubclass(c, hl.MulticlassLoss) and c is not hl.MulticlassLoss}
    assert {type(case[1]) for case in CASES} == classes
    assert len(classes) == 9    # with mixtures


@FORMULAS
@pytest.mark.parametrize("K", [2, 3, 4, 9, 1000])
def test_formula(loss, formula, K):
    if K == 2 and isinstance(loss, hl.DLR):
        with pytest.raises(ValueError, match="K >= 3"):
            loss.value([0], [[0.0, 1.0]])
        return
    y, s = data(200 if K < 100 else 5, K, scale=2.0)
    want = by_formula(formula, y, s)
    got = loss.value(y, s, reduction="none")
    assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    both = loss.value_and_gradient(y, s, reduction="none")
    assert_array_equal(both[0], got)
    assert_array_equal(both[1], loss.gradient(y, s, reduction="none"))
    assert_allclose(loss.value(y, s), want.mean(), rtol=1e-12)
    assert_allclose(loss.value(y, s, reduction="sum"), want.sum(), rtol=1e-12)


@LOSSES
@pytest.mark.parametrize("K", [3, 17])
def test_derivative_by_differences(loss, K):
    y, s = data(20, K, seed=1)
    found, h = np.empty(s.shape), 1e-6
    for j in range(K):
        up, down = s.copy(), s.copy()
        up[:, j] += h
        down[:, j] -= h
        found[:, j] = loss.value(y, up, reduction="none") - loss.value(y, down, reduction="none")
    assert_allclose(loss.gradient(y, s, reduction="none"), found / (2 * h), atol=1e-6, rtol=1e-6)
    assert_allclose(loss.gradient(y, s) * 20, loss.gradient(y, s, reduction="none"), rtol=1e-12,
                    atol=1e-15)


def test_worked_example():
    # K = 2 with scores (-f/2, f/2): Crammer-Singer and Weston-Watkins are the hinge of f
    f, k = np.array([2.5, -2.5, 0.5]), np.array([1, 0, 1])
    s = np.stack([-f / 2, f / 2], axis=1)
    for loss in (hl.CrammerSinger(), hl.WestonWatkins()):
        assert_array_equal(loss.value(k, s, reduction="none"), [0, 0, 0.5])
        assert loss.value(k, s, reduction="sum") == 0.5
    assert_array_equal(hl.WestonWatkins(p=2).value(k, s, reduction="none"), [0, 0, 0.25])
    assert_allclose(hl.CrossEntropy().value(k, s), hl.Logistic().value(2 * k - 1, f), rtol=1e-15)
    assert_allclose(hl.LeeLinWahba().value(k, 2 * s, reduction="none"), [0, 0, 0.5])


# ------------------------------------------------------------------------------- edges


def test_ties_and_kinks():
    s = np.array([[1.0, 1.0, 1.0, 0.0]])
    assert_array_equal(hl.CrammerSinger().gradient([3], s), [[1, 0, 0, -1]])
    assert_array_equal(hl.CrammerSinger().gradient([0], s), [[-1, 1, 0, 0]])
    assert_array_equal(hl.CrammerSinger().gradient([0], [[1.0, 0, 0, 0]]), [[0, 0, 0, 0]])
    assert_array_equal(hl.WestonWatkins().gradient([0], [[1.0, 0, 0, 0.5]]), [[-1, 0, 0, 1]])
    assert_array_equal(hl.LeeLinWahba().gradient([0], [[0, -0.5, 0]]), [[0, 0, 1]])
    assert_array_equal(hl.CategoricalHinge().gradient([0], [[0.5, 0, 0]]), [[-1, 0, 0]])
    assert_array_equal(hl.CategoricalHinge().gradient([0], [[0.5, 0.25, 0.25]]), [[-1, 1, 0]])
    assert_array_equal(hl.CategoricalHinge().gradient([0], [[1.0, -1, -1]]), [[0, 0, 0]])
    assert_array_equal(hl.CarliniWagner().gradient([0], [[1.0, 1.0]]), [[0, 0]])
    assert_array_equal(hl.CarliniWagner().gradient([0], [[2.0, 1.0, 1.0]]), [[1, -1, 0]])
    assert_array_equal(hl.CarliniWagner(0.5, True).gradient([0], [[1.5, 1.0]]), [[0, 0]])
    assert_array_equal(hl.OneVsRest().gradient([0], [[1.0, -1.0]]), [[0, 0]])
    value, gradient = hl.DLR().value_and_gradient([3], s, reduction="none")
    assert np.isnan(value).all()
    assert np.isnan(gradient).all()
    assert hl.DLR().value([0], [[2.0, 2.0, 1.0]]) == 0


@LOSSES
@pytest.mark.parametrize("at", [0, 1, 2, 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan(loss, at, dtype):
    y, s = data(6, 8)
    s = s.astype(dtype)
    want = loss.value_and_gradient(y, s, reduction="none")
    for row in range(6):
        bad = s.copy()
        bad[row, at] = np.nan
        value, gradient = loss.value_and_gradient(y, bad, reduction="none")
        assert np.isnan(value[row])
        assert np.isnan(gradient[row]).all()
        others = np.arange(6) != row
        assert_array_equal(value[others], want[0][others])
        assert_array_equal(gradient[others], want[1][others])


INF = np.inf
LIMITS = [  # of the class 0: scores, and what each loss makes of them
    ([INF, 0, 1], {"CrammerSinger": 0, "WestonWatkins": 0, "CategoricalHinge": 0,
                   "CrossEntropy": 0, "OneVsRest": 3, "LeeLinWahba": 2, "CarliniWagner": INF}),
    ([-INF, 0, 1], {"CrammerSinger": INF, "WestonWatkins": INF, "CategoricalHinge": INF,
                    "CrossEntropy": INF, "OneVsRest": INF, "LeeLinWahba": 2, "CarliniWagner": 0}),
    ([0, INF, 1], {"CrammerSinger": INF, "WestonWatkins": INF, "CategoricalHinge": INF,
                   "CrossEntropy": INF, "OneVsRest": INF, "LeeLinWahba": INF, "CarliniWagner": 0}),
    ([0, -INF, 1], {"CrammerSinger": 2, "WestonWatkins": 2, "CategoricalHinge": 2,
                    "CrossEntropy": np.logaddexp(0, 1), "OneVsRest": 3, "LeeLinWahba": 1.5,
                    "CarliniWagner": 0}),
    ([0, -INF, -INF], {"CrammerSinger": 0, "WestonWatkins": 0, "CategoricalHinge": 1,
                       "CrossEntropy": 0, "OneVsRest": 1, "LeeLinWahba": 0, "CarliniWagner": INF}),
    ([INF, INF, 0], {"CrammerSinger": np.nan, "WestonWatkins": np.nan,
                     "CategoricalHinge": np.nan, "CrossEntropy": np.log(2), "OneVsRest": INF,
                     "LeeLinWahba": INF, "CarliniWagner": np.nan, "DLR": np.nan}),
]  # fmt: skip


@pytest.mark.parametrize(("s", "limits"), LIMITS, ids=[str(case[0]) for case in LIMITS])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinite_scores(s, limits, dtype):
    s = np.array(s, dtype)
    for name, want in limits.items():
        value, gradient = getattr(hl, name)().value_and_gradient([0], [s], reduction="none")
        assert_allclose(value, [want], rtol=2 * np.finfo(dtype).eps, err_msg=name)
        assert np.isnan(gradient).all() == np.isnan(want)
        assert np.isnan(gradient).any() == np.isnan(want)
    value = hl.LeeLinWahba(project=True).value([0], [s], reduction="none")[0]
    assert np.isnan(value) or value >= 0


@LOSSES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_great_scores(loss, dtype):
    most, least = np.finfo(dtype).max / 10, np.finfo(dtype).smallest_subnormal
    s = np.array([[most, -most, 3.0, most], [800.0, -800.0, 0, 750], [least, 0, 0, -least]], dtype)
    with np.errstate(over="ignore"):
        value, gradient = loss.value_and_gradient([0, 1, 2], s, reduction="none")
    if not isinstance(loss, hl.DLR):
        assert not np.isnan(value).any()
        assert not np.isnan(gradient).any()


def test_cross_entropy_keeps_digits():
    gaps = np.array([30.0, 100.0, 700.0])
    got = hl.CrossEntropy().value([0, 0, 0], np.stack([gaps, 0 * gaps], 1), reduction="none")
    assert_allclose(got, np.log1p(np.exp(-gaps)), rtol=1e-14)
    slope = hl.CrossEntropy().gradient([0, 0, 0], np.stack([gaps, 0 * gaps], 1), reduction="none")
    assert_allclose(slope[:, 0], -1 / (1 + np.exp(gaps)), rtol=1e-14)
    assert hl.CrossEntropy().value([0], [[0.0, 1000.0]]) == 1000


@LOSSES
def test_empty_input(loss):
    assert loss.value([], np.empty((0, 3)), reduction="none").shape == (0,)
    assert loss.value(np.empty(0, int), np.empty((0, 3)), reduction="sum") == 0.0
    gradient = loss.gradient([], np.empty((0, 3), np.float32), reduction="sum")
    assert gradient.shape == (0, 3)
    assert gradient.dtype == np.float32
    with pytest.raises(ValueError, match="mean of no values"):
        loss.value([], np.empty((0, 3)))


# ------------------------------------------------------------------------------- arrays


def layouts(a):
    """The same numbers, laid out otherwise."""
    wide = np.zeros((*a.shape, 3), a.dtype)
    wide[..., 1] = a
    yield wide[..., 1]
    yield np.asfortranarray(a)
    yield a[::-1].copy()[::-1]
    frozen = a.copy()
    frozen.flags.writeable = False
    yield frozen
    shifted = np.empty(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    shifted[...] = a
    assert not shifted.flags.aligned
    yield shifted
    yield a.astype(a.dtype.newbyteorder())
    yield np.repeat(a, 2, axis=0)[::2]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("K", [2, 7, 65])
@pytest.mark.parametrize("loss", PLAIN, ids=str)
def test_layouts_and_types(loss, dtype, K):
    y, s = data(40, K)
    s, w = s.astype(dtype), np.random.default_rng(1).random(40)
    for reduction in ("none", "mean"):
        want = loss.value_and_gradient(y, s, reduction=reduction, sample_weight=w)
        assert want[1].dtype == dtype
        exact = loss.value_and_gradient(y, s.astype(np.float64), reduction=reduction,
                                        sample_weight=w)
        assert np.asarray(want[0]).dtype == (dtype if reduction == "none" else np.float64)
        rounding = 0 if dtype is np.float64 else 8 * np.finfo(dtype).eps
        for got, right in zip(want, exact, strict=True):
            assert_allclose(got, right, rtol=rounding, atol=rounding)
        for other in layouts(s):
            got = loss.value_and_gradient(y, other, reduction=reduction, sample_weight=w)
            assert_array_equal(got[0], want[0])
            assert_array_equal(got[1], want[1])
        labels = [y.astype(kind) for kind in (
            np.int8, np.uint8, np.int16, np.uint16, np.int32, ">i4", np.uint32, np.uint64,
            np.float32, np.float64, object)]
        for label, weight in [*((z, w) for z in labels), *((z, w) for z in layouts(y)),
                              *((y, v) for v in layouts(w)), (y.tolist(), w.tolist())]:
            got = loss.value_and_gradient(label, s, reduction=reduction, sample_weight=weight)
            assert_array_equal(got[0], want[0])
            assert_array_equal(got[1], want[1])


def test_other_types():
    want = hl.CrammerSinger().value_and_gradient([0, 2], [[0.5, 1, 2], [3, -1, 0]])
    for s in ([[0.5, 1, 2], [3, -1, 0]], np.array([[0.5, 1, 2], [3, -1, 0]], object),
              np.array([["0.5", "1", "2"], ["3", "-1", "0"]]),
              np.array([[0.5, 1, 2], [3, -1, 0]], np.longdouble)):
        got = hl.CrammerSinger().value_and_gradient([0, 2], s)
        assert got[0] == want[0]
        assert_array_equal(got[1], want[1])
    half = hl.CrammerSinger().gradient([0], np.array([[1, 2]], np.float16))
    assert half.dtype == np.float32
    broadcast = np.broadcast_to(np.array([0.5, 1, 2]), (4, 3))
    assert_array_equal(hl.WestonWatkins().value(np.arange(4) % 3, broadcast, reduction="none"),
                       hl.WestonWatkins().value(np.arange(4) % 3, broadcast.copy(),
                                                reduction="none"))


@pytest.mark.parametrize("shape", [(50, 3), (30_011, 5), (37, 4000)])
@pytest.mark.parametrize("loss", [hl.WestonWatkins(), hl.CrossEntropy(), hl.OneVsRest()])
def test_threads_do_not_matter(shape, loss, monkeypatch):
    y, s = data(*shape)
    w = np.random.default_rng(2).random(shape[0])
    found = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(module, "n_threads", lambda threads=threads: threads)
        found.append(loss.value_and_gradient(y, s, sample_weight=w))
    for value, gradient in found[1:]:
        assert value == found[0][0]
        assert_array_equal(gradient, found[0][1])
    each = loss.value(y, s, reduction="none")
    assert_allclose(found[0][0], np.average(each, weights=w), rtol=1e-13)


def test_bad_label_in_any_thread(monkeypatch):
    y, s = data(30_011, 5)
    y[[20_000, 29_000]] = 5, -1
    for threads in (1, 2, 3):
        monkeypatch.setattr(module, "n_threads", lambda threads=threads: threads)
        with pytest.raises(ValueError, match=r"y\[20000\] is 5"):
            hl.CrammerSinger().value(y, s)


def test_sums_are_made_in_double_precision():
    s, y = np.tile(np.float32([0.1, 0.2]), (10**5, 1)), np.zeros(10**5, int)
    one = float(hl.CrammerSinger().value(y[:1], s[:1], reduction="none")[0])
    assert_allclose(one, 1.1, rtol=1e-7)
    assert_allclose(hl.CrammerSinger().value(y, s, reduction="sum"), 10**5 * one, rtol=1e-13)
    wide = np.zeros((1, 10**5), np.float32)  # and over the classes of a row
    wide[0, 1:] = np.float32(0.1) - 1
    assert_allclose(hl.WestonWatkins().value([0], wide), (10**5 - 1) * (float(wide[0, 1]) + 1),
                    rtol=1e-7)


@LOSSES
def test_weights(loss):
    y, s = data(50, 6)
    w = np.random.default_rng(3).random(50)
    w[3] = 0
    each, slope = loss.value_and_gradient(y, s, reduction="none")
    close = {"rtol": 1e-12, "atol": 1e-15}
    assert_allclose(loss.value(y, s, sample_weight=w, reduction="none"), w * each, **close)
    assert_allclose(loss.value(y, s, sample_weight=w, reduction="sum"), w @ each, **close)
    assert_allclose(loss.value(y, s, sample_weight=w), np.average(each, weights=w), **close)
    assert_allclose(loss.gradient(y, s, sample_weight=w), w[:, None] * slope / w.sum(), **close)
    assert_allclose(loss.gradient(y, s, sample_weight=w, reduction="none"), w[:, None] * slope,
                    **close)


@pytest.mark.parametrize("p", [1, 2])
def test_class_weight(p):
    y, s = data(50, 4)
    w, given = np.random.default_rng(4).random(50), [0.5, 2, 0, 3]
    plain, loss = hl.WestonWatkins(p=p), hl.WestonWatkins(p=p, weight=given)
    factor = np.array(given)[y]
    each, slope = plain.value_and_gradient(y, s, reduction="none")
    assert_allclose(loss.value(y, s, reduction="none"), factor * each, rtol=1e-14)
    assert_allclose(loss.value(y, s), (factor * each).mean(), rtol=1e-14)
    assert_allclose(loss.value(y, s, sample_weight=w), (w * factor * each).sum() / w.sum(),
                    rtol=1e-14)
    assert_allclose(loss.gradient(y, s, reduction="sum"), factor[:, None] * slope, rtol=1e-14)
    assert hl.weston_watkins_loss(y, s, p=p, weight=given) == loss.value(y, s)
    assert loss == hl.WestonWatkins(p=p, weight=np.array(given)) != plain
    assert loss != hl.WestonWatkins(p=p, weight=[1, 1, 1, 1])
    assert len({loss, plain, hl.WestonWatkins(p=p, weight=tuple(given))}) == 2
    source = np.array(given, float)
    kept = hl.WestonWatkins(p=p, weight=source)
    source[:] = 0
    assert kept.value(y, s) == loss.value(y, s)


# ------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(("change", "said"), [
    ({"y": [0, 1, 3]}, r"y\[2\] is 3, but there are scores of 3 classes: class indices must lie"),
    ({"y": [0, -1, 3]}, r"y\[1\] is -1"),
    ({"y": np.array([0, 1, 2**63], np.uint64)}, r"y\[2\] is 92"),
    ({"y": [0, 0.5, 1]}, r"y\[1\] is 0.5; class indices are integers 0\.\.2"),
    ({"y": [0, np.nan, 1]}, r"y\[1\] is nan"),
    ({"y": [0, np.inf, 1]}, r"y\[1\] is inf"),
    ({"y": [0.0, 1e300, 1]}, r"y\[1\] is "),
    ({"y": [True, False, True]}, "y holds .*class indices"),
    ({"y": ["a", "b", "c"]}, "y holds 'a'; multiclass losses take class indices.*np.unique"),
    ({"y": np.array([0, None, 1])}, "y holds None; multiclass"),
    ({"y": np.array([0, True, 1], object)}, "y holds True; multiclass"),
    ({"y": np.array([0, 1, 2**80], object)}, r"y\[2\] is .*of 3 classes"),
    ({"y": np.ma.array([0, 1, 2], mask=[0, 1, 0])}, "y is a masked array"),
    ({"s": np.ma.array(np.eye(3), mask=np.eye(3))}, "scores is a masked array"),
    ({"y": [0, 1]}, r"y.shape == \(2,\), expected \(3,\)"),
    ({"y": [[0], [1], [2]]}, r"y.shape == \(3, 1\), expected \(3,\)"),
    ({"s": [0.5, 1, 2]}, r"scores.shape == \(3,\), expected \(n, K\)"),
    ({"s": [[0.5], [1], [2]]}, r"scores.shape == \(3, 1\), expected \(n, K\).*K >= 2"),
    ({"s": np.zeros((3, 3, 3))}, r"scores.shape == \(3, 3, 3\)"),
    ({"s": [["x", 0, 0]] * 3}, "scores must hold numbers; got 'x'"),
    ({"s": np.zeros((3, 3), complex)}, "Complex"),
    ({"reduction": "avg"}, "reduction must be"),
    ({"sample_weight": [1, 1]}, r"sample_weight.shape == \(2,\), expected \(3,\)"),
    ({"sample_weight": [1, -1, 1]}, r"sample_weight\[1\] is -1"),
    ({"sample_weight": [0, 0, 0]}, "weighted mean is undefined"),
])  # fmt: skip
def test_wrong_arguments(change, said):
    options = {"y": [0, 1, 2], "s": np.eye(3)} | change
    for loss in (hl.CrammerSinger(), hl.OneVsRest(hl.Logistic())):
        given = dict(options)
        with pytest.raises(ValueError, match=said):
            loss.value_and_gradient(given.pop("y"), given.pop("s"), **given)


def test_sparse_input():
    from scipy.sparse import csr_array

    with pytest.raises(TypeError, match="scores is a sparse matrix"):
        hl.CrammerSinger().value([0, 1], csr_array(np.eye(2)))
    with pytest.raises(TypeError, match="y is a sparse matrix"):
        hl.CrammerSinger().value(csr_array([[0, 1]]), np.eye(2))


@pytest.mark.parametrize(("make", "error"), [
    (lambda: hl.CrammerSinger(np.nan), ValueError), (lambda: hl.CrammerSinger("1"), TypeError),
    (lambda: hl.WestonWatkins(p=3), ValueError), (lambda: hl.WestonWatkins(p=True), ValueError),
    (lambda: hl.WestonWatkins(margin=np.inf), ValueError),
    (lambda: hl.WestonWatkins(mean_over_classes=1), TypeError),
    (lambda: hl.WestonWatkins(weight=[[1, 2]]), ValueError),
    (lambda: hl.WestonWatkins(weight=[]), ValueError),
    (lambda: hl.WestonWatkins(weight=[1, np.nan]), ValueError),
    (lambda: hl.WestonWatkins(weight=[1, -2]), ValueError),
    (lambda: hl.WestonWatkins(weight=[1, 2]).value([0], [[0, 0, 0]]), ValueError),
    (lambda: hl.LeeLinWahba(project=1), TypeError), (lambda: hl.OneVsRest("hinge"), TypeError),
    (lambda: hl.OneVsRest(hl.CrammerSinger()), TypeError),
    (lambda: hl.CarliniWagner(kappa=-1), ValueError),
    (lambda: hl.CarliniWagner(targeted=None), TypeError),
    (lambda: hl.CrammerSinger() + hl.Hinge(), TypeError),
])  # fmt: skip
def test_wrong_parameters(make, error):
    with pytest.raises(error):
        make()


def test_functions():
    y, s = data(10, 4)
    for name in module.__all__:
        if name.endswith("_loss"):
            function = getattr(hl, name)
            cls = next(c for c in vars(module).values() if isinstance(c, type)
                       and c.__name__.lower() == name[:-5].replace("_", ""))
            assert function(y, s) == cls().value(y, s)
    assert hl.crammer_singer_loss(y, s, margin=3) == hl.CrammerSinger(3).value(y, s)
    assert hl.carlini_wagner_loss(y, s, targeted=True) == hl.CarliniWagner(0, True).value(y, s)
    with pytest.raises(TypeError, match="targeted must be"):    # though 1 == True
        hl.carlini_wagner_loss(y, s, targeted=1)
    assert repr(hl.WestonWatkins(np.float64(1), np.int64(2))) == repr(hl.WestonWatkins(p=2.0))
    assert hl.one_vs_rest_loss(y, s, phi=hl.Squared()) == hl.OneVsRest(hl.Squared()).value(y, s)
    with pytest.raises(AttributeError):
        hl.CrammerSinger().margin = 2


# ------------------------------------------------------------------------------- metadata


@LOSSES
@pytest.mark.parametrize("K", [3, 6])
def test_metadata(loss, K):
    rng = np.random.default_rng(5)
    n = 4000
    y = rng.integers(K, size=n)
    a = rng.standard_normal((n, K)) * rng.choice([0.3, 1, 8], (n, 1))
    step = rng.standard_normal((n, K)) * rng.choice([1e-3, 0.3, 3], (n, 1))
    one_hot = np.eye(K)[y]
    step[: n // 2] = (rng.choice([1e-3, 1], (n, 1)) * (one_hot - 1 / K))[: n // 2]
    b = a + step
    va, ga = loss.value_and_gradient(y, a, reduction="none")
    vb, gb = loss.value_and_gradient(y, b, reduction="none")
    length = np.linalg.norm(b - a, axis=1)
    L, M = loss.lipschitz_of(K), loss.smoothness_of(K)
    assert loss.lipschitz >= L
    assert loss.smoothness >= M
    if np.isfinite(L):
        assert (np.abs(va - vb) <= L * length * (1 + 1e-9) + 1e-12).all()
        steepest = np.linalg.norm(ga, axis=1).max()
        assert steepest <= L * (1 + 1e-12)
        assert steepest >= (0.6 if isinstance(loss, hl.MulticlassMixture) else 0.95) * L
    if np.isfinite(M):
        assert (np.linalg.norm(ga - gb, axis=1) <= M * length * (1 + 1e-9) + 1e-12).all()
        assert (np.linalg.norm(ga - gb, axis=1) / length).max() >= 0.5 * M
    middle = loss.value(y, (a + b) / 2, reduction="none")
    convex = (middle <= (va + vb) / 2 + 1e-12 * (1 + va + vb)).all()
    assert loss.is_convex == convex
    if loss.is_convex:  # and derivatives are subgradients
        assert (vb >= va + (ga * (b - a)).sum(axis=1) - 1e-9 * (1 + np.abs(va))).all()
    if loss.is_differentiable:
        assert not np.isfinite(M) or M > 0
    else:
        assert np.isinf(M)


@pytest.mark.parametrize("loss", KINDS, ids=str)
def test_bound_on_zero_one(loss):
    """Rows where another class scores as high, the corners of a grid of scores included."""
    grid = [np.array(list(itertools.product(np.linspace(-3, 3, 13), repeat=3)))]
    if loss._least == 2:
        grid.append(np.array(list(itertools.product(np.linspace(-3, 3, 13), repeat=2))))
    holds = True
    for s in grid:
        rivals = s[:, 1:].max(axis=1)
        values = loss.value(np.zeros(len(s), int), s, reduction="none")
        holds &= bool((values >= 0).all() and (values[rivals >= s[:, 0]] >= 1 - 1e-12).all())
    assert loss.is_upper_bound_on_zero_one == holds


# What the expected loss is minimised by, for K = 3 and these probabilities
UNSURE = [(0.4, 0.3, 0.3), (0.45, 0.35, 0.2), (0.34, 0.33, 0.33)]
SURE = [(0.6, 0.2, 0.2), (0.7, 0.25, 0.05), (0.9, 0.05, 0.05)]


def risk(loss, p, s):
    s = np.atleast_2d(s)
    return sum(p[k] * loss.value(np.full(len(s), k), s, reduction="none") for k in range(3))


def minimisers(loss, p):
    """On a grid that holds the kinks of piecewise linear losses, and their minima."""
    line = np.linspace(-2, 2, 17)
    s = np.array(list(itertools.product(line, repeat=3)))
    if isinstance(loss, hl.LeeLinWahba) and not loss.project:
        s = s[s.sum(axis=1) == 0]  # what it is meant for
    values = risk(loss, p, s)
    return s[values <= values.min() + 1e-12]


def first_alone(s):
    return bool((s[:, :1] > s[:, 1:]).all())


@pytest.mark.parametrize("loss", [hl.CrammerSinger(), hl.WestonWatkins(), hl.OneVsRest(hl.Hinge()),
                                  hl.CategoricalHinge(), hl.WestonWatkins(mean_over_classes=True)],
                         ids=str)
def test_not_fisher_consistent(loss):
    assert loss.is_fisher_consistent is False
    assert not all(first_alone(minimisers(loss, p)) for p in UNSURE)
    if not isinstance(loss, hl.WestonWatkins):  # that fails even for some sure ones
        assert not first_alone(minimisers(loss, (0.4, 0.3, 0.3)))
    if isinstance(loss, hl.CrammerSinger | hl.OneVsRest):
        for p in SURE:
            assert first_alone(minimisers(loss, p))
    if isinstance(loss, hl.CrammerSinger):  # equal scores minimise it where no class has half
        for p in UNSURE:
            assert risk(loss, p, [0, 0, 0])[0] <= risk(loss, p, minimisers(loss, p)).min() + 1e-12


@pytest.mark.parametrize("loss", [hl.LeeLinWahba(), hl.LeeLinWahba(project=True)], ids=str)
def test_lee_lin_wahba_is_fisher_consistent(loss):
    assert loss.is_fisher_consistent is True
    for p in UNSURE + SURE:
        found = minimisers(loss, p)
        assert first_alone(found)
        centred_ones = found - found.mean(axis=1, keepdims=True)
        assert_allclose(centred_ones, np.tile([1, -0.5, -0.5], (len(found), 1)), atol=1e-12)


@pytest.mark.parametrize("loss", [
    hl.CrossEntropy(), hl.OneVsRest(hl.Logistic()), hl.WestonWatkins(p=2),
    hl.WestonWatkins(p=2, margin=0.25), hl.OneVsRest(hl.SquaredHinge()), hl.OneVsRest(hl.Squared()),
], ids=str)  # fmt: skip
def test_smooth_losses_are_fisher_consistent(loss):
    assert loss.is_fisher_consistent is True
    for p in UNSURE + SURE:
        def both(s, p=p):
            pairs = [loss.value_and_gradient([k], [s], reduction="sum") for k in range(3)]
            return (sum(q * v for q, (v, _) in zip(p, pairs, strict=True)),
                    sum(q * g[0] for q, (_, g) in zip(p, pairs, strict=True)))

        found = minimize(both, np.zeros(3), jac=True, tol=1e-12).x
        assert np.abs(both(found)[1]).max() < 1e-5
        assert found[0] > found[1:].max() + 1e-3
        if isinstance(loss, hl.CrossEntropy):
            assert_allclose(found - found.mean(), np.log(p) - np.mean(np.log(p)), atol=1e-4)


def test_mixtures():
    mixture = 2 * hl.WestonWatkins() + 0.5 * hl.LeeLinWahba()
    assert isinstance(mixture, hl.MulticlassLoss)
    assert mixture.lipschitz == np.inf
    assert_allclose(mixture.lipschitz_of(3), 2 * np.sqrt(6) + 0.5 * np.sqrt(2))
    assert mixture.is_fisher_consistent is None
    assert mixture.is_upper_bound_on_zero_one is None
    assert (hl.CrammerSinger() + 0.5 * hl.WestonWatkins()).is_upper_bound_on_zero_one is True
    assert (2 * hl.CrossEntropy()).is_fisher_consistent is True
    assert (0.5 * hl.CrossEntropy() + 0 * hl.CrammerSinger()).smoothness_of(4) == 0.25
    blind = 0 * hl.CrossEntropy() + hl.CrammerSinger()  # not 0 inf
    assert blind.value([0], [[-np.inf, 0.0]]) == np.inf
    assert blind.value([1], [[-np.inf, np.inf]]) == 0
    assert (hl.CrammerSinger() + 0 * hl.DLR()).is_convex
    with pytest.raises(ValueError, match="K >= 3"):
        (hl.CrammerSinger() + hl.DLR()).value([0], [[1.0, 2.0]])


@LOSSES
def test_copies(loss):
    y, s = data(5, 4)
    want = loss.value(y, s)
    other = pickle.loads(pickle.dumps(loss))
    assert other == loss
    assert other.value(y, s) == want
    heavy = hl.WestonWatkins(weight=[1, 2, 3, 4])
    want = heavy.value(y, s)
    assert pickle.loads(pickle.dumps(heavy)).value(y, s) == want


def test_no_negative_zeros():
    for loss in (hl.WestonWatkins(), hl.CrossEntropy(), hl.OneVsRest(), hl.CarliniWagner()):
        value, gradient = loss.value_and_gradient([0], [[5000.0, -5.0, -5.0]], reduction="none")
        assert not np.signbit(gradient[gradient == 0]).any()
        assert not np.signbit(value[value == 0]).any()
    assert not np.signbit(hl.CarliniWagner().value([0], [[0.0, 5.0]]))


def test_consistency_of_parameters():
    assert not hl.OneVsRest(hl.Sigmoid()).is_fisher_consistent  # infinite Bayes scores
    assert hl.OneVsRest(hl.Logistic() + hl.Ramp()).is_fisher_consistent is None
    assert not hl.OneVsRest(0 * hl.Logistic()).is_fisher_consistent
    assert not hl.WestonWatkins(p=2, margin=0).is_fisher_consistent
    assert not hl.WestonWatkins(p=2, weight=[1, 2]).is_fisher_consistent
    assert hl.CarliniWagner().is_fisher_consistent is hl.DLR().is_fisher_consistent is None
    heavy = hl.WestonWatkins(weight=[0.5, 4], mean_over_classes=True)
    assert heavy.lipschitz == 4
    assert not hl.WestonWatkins(weight=[0.5, 4]).is_upper_bound_on_zero_one
    assert hl.WestonWatkins(weight=[1, 4]).is_upper_bound_on_zero_one
    assert not hl.CrammerSinger(0.5).is_upper_bound_on_zero_one


# ------------------------------------------------------------------------------- properties


@given(st.integers(2, 6).flatmap(lambda K: st.lists(
    st.tuples(st.integers(0, K - 1), st.lists(st.floats(-1e6, 1e6), min_size=K, max_size=K)),
    min_size=1, max_size=8)), st.sampled_from(PLAIN))
def test_properties(rows, loss):
    y, s = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    K = s.shape[1]
    value, gradient = loss.value_and_gradient(y, s, reduction="none")
    if not isinstance(loss, hl.CarliniWagner):
        assert (value >= 0).all()
    # Classes have no order, except among equal scores.
    order = np.arange(K)[::-1]
    again, other = loss.value_and_gradient(K - 1 - y, s[:, order], reduction="none")
    assert_allclose(again, value, rtol=1e-12, atol=1e-9)
    if all(len(set(row)) == K for row in s.tolist()):
        assert_allclose(other[:, order], gradient, rtol=1e-9, atol=1e-9)
    if isinstance(loss, hl.CrammerSinger | hl.WestonWatkins | hl.CrossEntropy | hl.CarliniWagner):
        assert_allclose(gradient.sum(axis=1), 0, atol=1e-6)
