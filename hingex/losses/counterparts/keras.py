# SPDX-License-Identifier: BSD-3-Clause
"""Counterparts of keras.losses: Hinge, SquaredHinge, CategoricalHinge.

As in Keras, a loss is called with (y_true, y_pred, sample_weight=None), and

- the loss of a sample is one number for the last axis of `y_pred`: the mean over it, of hinges;
- of y_true and y_pred, one with a last axis of length 1 that the other lacks is matched to it, and
  then y_true is broadcast to y_pred;
- the losses are multiplied by `sample_weight`, and "sum_over_batch_size", the default, and "mean"
  divide their sum by their number, whatever the weights. "mean_with_sample_weight" divides by the
  sum of the weights, and is 0 if that is.

Unlike in Keras, where floats become float32 unless `dtype` says otherwise, y_pred keeps its
precision. An empty batch, of which Keras gives an empty array, has no mean: a ValueError.
Derivatives at kinks depend on Keras' backend: jax halves that of a hinge that just meets its
margin, and divides that of a maximum among equal scores; here it is 0, or goes to the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import _scores as gate
from ..._validate import choice
from .. import margin, multiclass

REDUCTIONS = ("sum_over_batch_size", "sum", "none", "mean", "mean_with_sample_weight")


class _Loss:
    reduction: Any
    dtype: Any

    def __post_init__(self) -> None:
        if self.reduction is not None:
            choice("reduction", self.reduction, REDUCTIONS)
        if self.dtype is not None:
            choice("dtype", self.dtype, ("float32", "float64"))

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss, a float; an array with one for each sample for reduction None or "none"."""
        return self._evaluate(y_true, y_pred, sample_weight, False)[0]

    def value_and_gradient(self, y_true: Any, y_pred: Any, sample_weight: Any = None
                           ) -> tuple[Any, Any]:
        """The loss, and its derivative (without reduction, of the sum) for y_pred, in its shape."""
        return self._evaluate(y_true, y_pred, sample_weight, True)

    def _losses(self, y: np.ndarray, f: np.ndarray, gradient: bool) -> tuple[Any, Any]:
        """One loss for the last axis, and its derivatives in the shape of f, if asked for."""
        raise NotImplementedError

    def _evaluate(self, y_true: Any, y_pred: Any, sample_weight: Any, gradient: bool
                  ) -> tuple[Any, Any]:
        f = gate.scores(y_pred, "y_pred")
        f = f if self.dtype is None else f.astype(self.dtype, copy=False)
        shape, dtype = f.shape, f.dtype
        y, f = _same_rank(gate.given_array(y_true, "y_true"), f)
        y = gate.scores(y, "y_true").astype(dtype, copy=False)
        if f.ndim == 0:
            raise ValueError("y_pred is a number; losses are made of its last axis: [y_pred]")
        try:
            y = np.broadcast_to(y, f.shape)
        except ValueError:
            raise ValueError(f"y_true.shape == {np.shape(y_true)} does not broadcast to the shape "
                             f"of y_pred, {shape}") from None
        with np.errstate(invalid="ignore", over="ignore"):  # infinite scores times 0
            losses, slopes = self._losses(y, f, gradient)
        one = losses.shape
        w = np.ones(one, dtype)
        if sample_weight is not None:
            losses, w = _same_rank(losses, gate.scores(sample_weight, "sample_weight"))
            one = losses.shape
            try:
                losses = losses * w.astype(dtype, copy=False)
            except ValueError:
                raise ValueError(f"sample_weight.shape == {np.shape(sample_weight)} does not "
                                 f"broadcast with the losses, of shape {one}") from None
        scale = 1.0
        if self.reduction not in (None, "none") and losses.shape != ():
            scale = self._scale(losses, None if sample_weight is None else w)
            value: Any = float(losses.sum(dtype=np.float64) * scale)
        else:
            value = losses.astype(dtype, copy=False)[()]
        if not gradient:
            return value, None
        w = _summed_to(np.broadcast_to(w, losses.shape), one) * scale
        slopes = slopes * w.reshape(slopes.shape[:-1])[..., None]
        return value, slopes.astype(dtype, copy=False).reshape(shape)

    def _scale(self, losses: np.ndarray, w: np.ndarray | None) -> float:
        if self.reduction == "sum":
            return 1.0
        if losses.size == 0:
            return gate.mean_scale(0, None, "y_pred")
        if self.reduction == "mean_with_sample_weight" and w is not None:
            total = float(w.sum(dtype=np.float64))
            return 1 / total if total else 0.0
        return 1 / losses.size


def _same_rank(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where one array has one axis more, the last, of length 1: without it, or both with it."""
    if a.ndim == b.ndim + 1 and a.shape[-1] == 1:
        return (a, b[:, None]) if b.ndim == 1 else (a[..., 0], b)
    if b.ndim == a.ndim + 1 and b.shape[-1] == 1:
        return (a[:, None], b) if a.ndim == 1 else (a, b[..., 0])
    return a, b


def _summed_to(a: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The sums of `a` over the axes along which an array of this shape was broadcast."""
    a = a.sum(axis=tuple(range(a.ndim - len(shape))), dtype=np.float64)
    stretched = tuple(i for i, n in enumerate(shape) if n == 1)
    return a.sum(axis=stretched, keepdims=True)


class _Binary(_Loss):
    _loss: margin.MarginLoss

    def _losses(self, y: np.ndarray, f: np.ndarray, gradient: bool) -> tuple[Any, Any]:
        if ((y == 0) | (y == 1)).all():
            y = 2 * y - 1
        if f.shape[-1] == 0:
            raise ValueError(f"y_pred.shape == {f.shape}: the last axis is empty and has no mean")
        t = y * f
        losses = self._loss.phi(t).mean(axis=-1, dtype=np.float64)
        return np.asarray(losses), y * self._loss.slope(t) / f.shape[-1] if gradient else None


@dataclass(frozen=True)
class Hinge(_Binary):
    """keras.losses.Hinge: the mean over the last axis of max(0, 1 - y_true y_pred).

    Labels are -1 and +1. If *all* labels of a batch are 0 or 1, they are taken for -1 and +1; in a
    batch that also has a -1, a 0 stays 0 and costs 1 whatever is predicted. Other labels are taken
    as they are.

    Parameters
    ----------
    reduction : {"sum_over_batch_size", "sum", None, "none", "mean", "mean_with_sample_weight"}
    name : str
        Of no effect.
    dtype : {None, "float32", "float64"}
        What y_pred is converted to; None: it keeps its precision.

    Examples
    --------
    >>> from hingex.losses.counterparts import keras
    >>> keras.Hinge()([[0, 1], [0, 0]], [[0.5, 0.5], [0.5, 1.0]])
    1.375
    """

    reduction: str | None = "sum_over_batch_size"
    name: str | None = "hinge"
    dtype: str | None = None
    _loss = margin.Hinge()


@dataclass(frozen=True)
class SquaredHinge(_Binary):
    """keras.losses.SquaredHinge: the mean over the last axis of max(0, 1 - y_true y_pred)^2.

    Labels and parameters are those of `Hinge`.

    Examples
    --------
    >>> from hingex.losses.counterparts import keras
    >>> keras.SquaredHinge()([[-1, 1]], [[0.5, 0.5]])
    1.25
    """

    reduction: str | None = "sum_over_batch_size"
    name: str | None = "squared_hinge"
    dtype: str | None = None
    _loss = margin.SquaredHinge()


@dataclass(frozen=True)
class CategoricalHinge(_Loss):
    """keras.losses.CategoricalHinge: max(0, 1 + neg - pos) of one-hot labels.

    pos = sum_j y_j s_j and neg = max_j (1 - y_j) s_j over all classes. So the true class takes part
    in the maximum, as a 0: with all other scores negative the loss is max(0, 1 - s_k), and it is
    not invariant to a shift of the scores. Labels that are not one-hot (smoothed ones, say) are
    put into the same formula. Parameters are those of `Hinge`.

    Examples
    --------
    >>> from hingex.losses.counterparts import keras
    >>> keras.CategoricalHinge()([[1, 0]], [[-2.0, -3.0]])
    3.0
    """

    reduction: str | None = "sum_over_batch_size"
    name: str | None = "categorical_hinge"
    dtype: str | None = None

    def _losses(self, y: np.ndarray, f: np.ndarray, gradient: bool) -> tuple[Any, Any]:
        K = f.shape[-1]
        if K == 0:
            raise ValueError(f"y_pred.shape == {f.shape}: there are no classes")
        Y, s, one = y.reshape(-1, K), f.reshape(-1, K), f.shape[:-1]
        if K > 1 and ((Y == 0) | (Y == 1)).all() and (Y.sum(axis=1) == 1).all():
            losses, slopes = multiclass.CategoricalHinge().value_and_gradient(
                Y.argmax(axis=1), s, reduction="none")
        else:
            z = (1 - Y) * s
            first = z.argmax(axis=1)[:, None]
            lead = 1 + z.max(axis=1) - (Y * s).sum(axis=1)
            losses = np.maximum(0, lead)
            slopes = -Y
            np.put_along_axis(slopes, first, 1 - 2 * np.take_along_axis(Y, first, 1), 1)
            slopes *= np.heaviside(lead, 0)[:, None]  # NaN for NaN
        return losses.reshape(one), slopes.reshape(f.shape) if gradient else None


__all__ = ["Hinge", "SquaredHinge", "CategoricalHinge"]
