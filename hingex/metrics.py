# SPDX-License-Identifier: BSD-3-Clause
"""Metrics of decision functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _scores as gate
from . import _validate as check
from .losses.margin import Hinge
from .losses.multiclass import CrammerSinger

__all__ = ["hinge_loss"]


def hinge_loss(y_true: Any, pred_decision: Any, *, labels: Any = None, sample_weight: Any = None,
               average: str | None = "mean") -> Any:
    """Mean hinge loss of a decision function; scikit-learn's metric of the name, with `average`.

    Two classes: max(0, 1 - y f), y = +1 for the greater of the two labels, else -1. More: Crammer
    and Singer's max(0, 1 + max_{j != k} s_j - s_k), where column j of the scores belongs to the
    j-th of the sorted labels.

    Parameters
    ----------
    y_true : array-like, shape (n,)
        Labels of any kind.
    pred_decision : array-like, shape (n,) or (n, 1) for two classes, (n, K) for more
        What `decision_function` returns.
    labels : array-like, optional
        All labels, where `y_true` does not have them all. In any order.
    sample_weight : array-like, shape (n,), optional
        Finite and not negative.
    average : {"mean", None}, default "mean"
        None: the loss of every sample, times its weight.

    Returns
    -------
    float, or ndarray (n,)

    Raises
    ------
    ValueError
        For shapes that do not fit, scores that are not finite, labels that are not among `labels`,
        fewer than two labels in all, and a mean of nothing.

    Notes
    -----
    scikit-learn 1.9 differs in two cases. Where `y_true` has a single label of two, it takes it for
    the negative one, even with both in `labels`; here `labels` decide, and without them there is an
    error. And it accepts negative weights.

    References
    ----------
    K. Crammer and Y. Singer, "On the algorithmic implementation of multiclass kernel-based vector
    machines", JMLR 2, 2001.

    Examples
    --------
    >>> hinge_loss(["no", "yes", "yes"], [-2.2, 1.3, 0.1])
    0.3
    """
    if average not in ("mean", None):
        raise ValueError(f'average must be "mean" or None; got {average!r}')
    s = gate.scores(pred_decision, "pred_decision")
    if s.ndim == 2 and s.shape[1] == 1:
        s = s[:, 0]
    if s.ndim not in (1, 2):
        raise ValueError(f"pred_decision.shape == {s.shape}, expected (n,) or (n, K)")
    if not np.isfinite(s).all():
        raise ValueError("pred_decision holds NaN or infinity; decisions must be finite")
    if hasattr(y_true, "__len__") and len(y_true) != len(s):
        raise ValueError(f"y_true has {len(y_true)} labels, but pred_decision has {len(s)} rows; "
                         "expected one label per row")
    y = check.label_array(y_true, len(s), "hinge_loss") if len(s) else np.asarray(y_true)
    if labels is None:
        classes, codes = np.unique(y, return_inverse=True)
    else:
        classes, codes = np.unique(_label_set(labels)), None
    K = len(classes)
    if K < 2:
        source = "y_true" if labels is None else "labels"
        raise ValueError(f"{K} distinct label(s) in {source}; hinge_loss needs at least 2: pass "
                         "all of them as labels")
    if codes is None:
        codes = _codes(y, classes)
    if s.shape != (len(y),) + (K,) * (K > 2):
        expected = f"({len(y)},)" if K == 2 else f"({len(y)}, {K})"
        fix = ": pass all labels if y_true does not have them" if s.ndim == 2 else ""
        raise ValueError(f"pred_decision.shape == {s.shape}, expected {expected} for {K} "
                         f"labels{fix}")
    reduction = "none" if average is None else "mean"
    if K == 2:
        return Hinge().value(2 * codes.astype(np.int8) - 1, s, sample_weight=sample_weight,
                             reduction=reduction)
    return CrammerSinger().value(codes, s, sample_weight=sample_weight, reduction=reduction)


def _label_set(labels: Any) -> np.ndarray:
    """`labels` as an array of labels, in any order."""
    try:
        return check.label_array(labels, len(labels), "hinge_loss")
    except (TypeError, ValueError) as error:
        raise ValueError(f"labels must be a list of labels of one kind; got {check._show(labels)} "
                         f"({error})") from None


def _codes(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Indices of y in the sorted classes, which have to hold all of it."""
    try:
        codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
        unknown = classes[codes] != y
    except TypeError:
        unknown = np.ones(y.shape, bool)
    if np.any(unknown):
        at = int(np.argmax(unknown))
        raise ValueError(f"y_true[{at}] is {check._show(y[at])}, which is not among labels: "
                         f"{check._some(list(classes))}")
    return codes
