# SPDX-License-Identifier: BSD-3-Clause
"""Counterparts of optax.losses' hinge and perceptron losses: called like functions.

Each gives the loss of every element or row, not reduced, and has a method `value_and_gradient` of
the same arguments that adds the derivatives of their sum. At a kink jax halves the derivative
(``maximum``) or divides it among equal highest scores (``max``); here it is 0, or goes to the
first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import _scores as gate
from ..margin import Hinge, MarginLoss, Perceptron
from ..multiclass import CrammerSinger, MulticlassLoss


class _Elementwise:
    """A margin loss of outputs and targets, -1 and +1, of one shape; a scalar target is for all."""

    _loss: MarginLoss

    def __call__(self, predictor_outputs: Any, targets: Any) -> Any:
        """The loss of each output."""
        f, y = self._arguments(predictor_outputs, targets)
        with gate.called(y="targets", f="predictor_outputs"):
            return self._loss.value(y, f, reduction="none")

    def value_and_gradient(self, predictor_outputs: Any, targets: Any) -> tuple[Any, Any]:
        """The loss of each output, and its derivative with respect to that."""
        f, y = self._arguments(predictor_outputs, targets)
        with gate.called(y="targets", f="predictor_outputs"):
            return self._loss.value_and_gradient(y, f, reduction="none")

    @staticmethod
    def _arguments(predictor_outputs: Any, targets: Any) -> tuple[np.ndarray, Any]:
        f = gate.scores(predictor_outputs, "predictor_outputs")
        y = gate.signs(targets, "targets")
        return f, np.broadcast_to(y, f.shape) if y.ndim == 0 else y


class _Multiclass:
    """A multiclass loss of scores (..., K) and labels (...); 0 for K = 1."""

    _loss: MulticlassLoss

    def __call__(self, scores: Any, labels: Any) -> Any:
        """The loss of each row of scores."""
        s, y, rows = self._arguments(scores, labels)
        with gate.called(y="labels"):
            if rows.shape[1] == 1:
                return _one_class(s, y)[0]
            value = self._loss.value(y, rows, reduction="none")
        return value.reshape(s.shape[:-1])[()]

    def value_and_gradient(self, scores: Any, labels: Any) -> tuple[Any, Any]:
        """The loss of each row, and its derivatives with respect to the row's scores."""
        s, y, rows = self._arguments(scores, labels)
        with gate.called(y="labels"):
            if rows.shape[1] == 1:
                return _one_class(s, y)
            value, gradient = self._loss.value_and_gradient(y, rows, reduction="none")
        return value.reshape(s.shape[:-1])[()], gradient.reshape(s.shape)

    @staticmethod
    def _arguments(scores: Any, labels: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        s, y = gate.scores(scores, "scores"), gate.given_array(labels, "labels")
        if s.ndim == 0 or s.shape[-1] < 1 or y.shape != s.shape[:-1]:
            raise ValueError(f"scores.shape == {s.shape} and labels.shape == {y.shape}; expected "
                             "(..., K) and (...): K >= 1 class scores for each label")
        return s, y.reshape(-1), s.reshape(y.size, s.shape[-1])


def _one_class(s: np.ndarray, y: np.ndarray) -> tuple[Any, np.ndarray]:
    """Loss and derivatives of scores (..., 1): s - s, which is 0 unless s is not finite."""
    if gate.class_indices(y, y.size, 1).any():
        gate.refuse_class(y, 1)
    with np.errstate(invalid="ignore"):
        value = (s - s)[..., 0]
    return value[()], np.where(np.isnan(s), s, 0).astype(s.dtype)


class _HingeLoss(_Elementwise):
    """optax.losses.hinge_loss(predictor_outputs, targets): max(0, 1 - predictor_outputs targets).

    Targets are -1 and +1. optax takes others as they are (for a target 0 the loss is always 1);
    here they are a ValueError.

    Examples
    --------
    >>> from hingex.losses.counterparts import optax
    >>> optax.hinge_loss([0.25, -3.0], [1, -1]).tolist()
    [0.75, 0.0]
    """

    _loss = Hinge()


class _PerceptronLoss(_Elementwise):
    """optax.losses.perceptron_loss(predictor_outputs, targets): max(0, -predictor_outputs targets).

    Targets are -1 and +1; others are a ValueError here.

    Examples
    --------
    >>> from hingex.losses.counterparts import optax
    >>> optax.perceptron_loss([0.25, -3.0], [-1, 1]).tolist()
    [0.25, 3.0]
    """

    _loss = Perceptron()


class _MulticlassHingeLoss(_Multiclass):
    """optax.losses.multiclass_hinge_loss(scores, labels): max_j (s_j + 1 - [j = k]) - s_k.

    This is Crammer and Singer's loss. Labels out of range, which optax takes for a class whose
    score is 0, are a ValueError here.

    Examples
    --------
    >>> from hingex.losses.counterparts import optax
    >>> float(optax.multiclass_hinge_loss([0.5, 2.0, 1.0], 2))
    2.0
    """

    _loss = CrammerSinger()


class _MulticlassPerceptronLoss(_Multiclass):
    """optax.losses.multiclass_perceptron_loss(scores, labels): max_j s_j - s_k.

    This is Crammer and Singer's loss with the margin 0. Labels out of range are a ValueError here.

    Examples
    --------
    >>> from hingex.losses.counterparts import optax
    >>> float(optax.multiclass_perceptron_loss([0.5, 2.0, 1.0], 2))
    1.0
    """

    _loss = CrammerSinger(margin=0.0)


hinge_loss = _HingeLoss()
perceptron_loss = _PerceptronLoss()
multiclass_hinge_loss = _MulticlassHingeLoss()
multiclass_perceptron_loss = _MulticlassPerceptronLoss()

__all__ = ["hinge_loss", "perceptron_loss", "multiclass_hinge_loss", "multiclass_perceptron_loss"]
