# SPDX-License-Identifier: BSD-3-Clause
"""hinge_loss beside scikit-learn's."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hingex.metrics import hinge_loss

theirs = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed").hinge_loss


@pytest.mark.parametrize("names", [[-1, 1], [0, 1], [3, 7], ["ham", "spam"], [False, True]])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_classes(names, dtype):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, 50)
    y, f, w = np.array(names)[codes], rng.standard_normal(50).astype(dtype), rng.random(50)
    assert_allclose(hinge_loss(y, f), theirs(y, f), rtol=1e-6)
    assert_allclose(hinge_loss(y, f[:, None]), theirs(y, f), rtol=1e-6)
    assert_allclose(hinge_loss(list(y), list(f), sample_weight=w), theirs(y, f, sample_weight=w),
                    rtol=1e-6)
    each = hinge_loss(y, f, average=None)
    assert_allclose(each, np.maximum(0, 1 - (2 * codes - 1) * f), rtol=1e-6)
    assert_allclose(hinge_loss(y, f, sample_weight=w, average=None), w * each, rtol=1e-6)


@pytest.mark.parametrize("names", [[0, 1, 2, 3], [9, 4, 2, 11], ["b", "d", "a", "c"]])
def test_more_classes(names):
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 4, 60)
    y, s, w = np.array(names)[codes], rng.standard_normal((60, 4)), rng.random(60)
    assert_allclose(hinge_loss(y, s), theirs(y, s))
    assert_allclose(hinge_loss(y, s, sample_weight=w), theirs(y, s, sample_weight=w))
    some = y != np.sort(names)[2]
    for labels in (names, sorted(names)):
        assert_allclose(hinge_loss(y[some], s[some], labels=labels),
                        theirs(y[some], s[some], labels=labels))
    assert_allclose(hinge_loss(y, s, average=None).mean(), theirs(y, s))


def test_a_single_label():
    """scikit-learn takes it for the negative one, whatever `labels` say."""
    assert hinge_loss([1, 1], [0.5, 2.0], labels=[0, 1]) == 0.25
    assert hinge_loss([0, 0], [0.5, 2.0], labels=[0, 1]) == 2.25
    with pytest.raises(ValueError, match=r"1 distinct label\(s\) in y_true"):
        hinge_loss([1, 1], [0.5, 2.0])


@pytest.mark.parametrize(("args", "options", "said"), [
    (([0, 1], [0.5]), {}, "expected"),
    (([0, 1], [np.nan, 1]), {}, "NaN or infinity"),
    (([0, 1, 2], [1.0, 2, 3]), {}, r"expected \(3, 3\) for 3 labels"),
    (([0, 1, 2], [[1.0, 2], [0, 1], [2, 2]]), {}, "pass all labels"),
    (([0, 1, 1], [[1.0, 2, 3], [0, 1, 0], [2, 2, 0]]), {}, "pass all labels"),
    (([0, 1, 5], [[1.0, 2, 3], [0, 1, 0], [2, 2, 0]]), {"labels": [0, 1, 2]},
     r"y_true\[2\] is 5, which is not among labels: 0, 1, 2"),
    (([0, 1], [0.5, 1]), {"labels": ["a", "b"]}, "not among labels"),
    (([0, 1], [0.5, 1]), {"labels": []}, r"0 distinct label\(s\) in labels"),
    (([0, 1], [0.5, 1]), {"labels": 3}, "labels must be a list of labels of one kind; got 3"),
    (([0, 1], [0.5, 1]), {"labels": [0, 1, None]}, "labels must be a list"),
    (([0, 1], [0.5, 1]), {"labels": ["a", 1]}, "labels must be a list|not among labels"),
    (([0, 1], [0.5, 1]), {"sample_weight": [0, 0]}, "weighted mean is undefined"),
    (([0, 1], [0.5, 1]), {"average": "sum"}, "average must be"),
    (([0, 1], [[[0.5]], [[1]]]), {}, "pred_decision.shape"),
    (([], []), {}, r"0 distinct label\(s\)"),
])  # fmt: skip
def test_wrong_arguments(args, options, said):
    with pytest.raises(ValueError, match=said):
        hinge_loss(*args, **options)
