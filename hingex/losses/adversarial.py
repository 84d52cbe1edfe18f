# SPDX-License-Identifier: BSD-3-Clause
"""Hinge losses of generative adversarial networks: of a critic's scores of real and fake samples.

J. H. Lim and J. C. Ye, "Geometric GAN", arXiv:1705.02894, 2017; T. Miyato, T. Kataoka, M. Koyama
and Y. Yoshida, "Spectral normalization for generative adversarial networks", ICLR 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _scores as gate
from .._core import kernels
from .._threads import n_threads
from ._base import Loss, as_function
from .margin import PARALLEL_FROM, Hinge

__all__ = [  # all that is public here
    "GanDiscriminatorHinge", "gan_discriminator_hinge", "GanGeneratorHinge",
    "gan_generator_hinge",
]

_HINGE = Hinge()
_losses = kernels("losses")


@dataclass(frozen=True)
class GanDiscriminatorHinge(Loss):
    """The discriminator's hinge loss, mean max(0, 1 - real) + mean max(0, 1 + fake).

    `real` and `fake` are the discriminator's scores of samples from the data and from the
    generator. Derivative with respect to a score of `real` -1 below 1, else 0; of `fake` 1 above
    -1, else 0; divided by their numbers.

    Attributes
    ----------
    lipschitz : float
        1, of the loss of a single score.

    Notes
    -----
    The sum of two `Hinge` losses, one with labels +1, one with labels -1, each with its own mean:
    the batches may differ in size and shape. Precision, strides, NaN and threads as there.

    References
    ----------
    J. H. Lim and J. C. Ye, "Geometric GAN", arXiv:1705.02894, 2017.

    Examples
    --------
    >>> GanDiscriminatorHinge().value([2.0, 0.5], [-3.0, 0.0, -0.5])
    0.75
    """

    _example = "[2.0, 0.5], [-3.0, 0.0]"  # of arguments of `value`, for docstrings

    lipschitz = 1.0

    def value(self, real: Any, fake: Any, *, real_weight: Any = None, fake_weight: Any = None,
              reduction: str = "mean") -> Any:
        """The loss of two batches of scores.

        Parameters
        ----------
        real, fake : array-like
            Scores, each of any shape.
        real_weight, fake_weight : array-like, optional
            In the shapes of `real` and `fake`, finite and not negative: multiply the losses.
        reduction : {"mean", "sum", "none"}, default "mean"
            The sum of the two (weighted) means, sum(w loss) / sum(w) each; the sum of all losses;
            or every loss.

        Returns
        -------
        float; for reduction "none" a pair of ndarrays, the losses of `real` and those of `fake`, in
        their shapes and precisions

        Raises
        ------
        ValueError
            For weights that do not fit, the mean of no scores, or a wrong `reduction`.
        """
        return self._evaluate(real, fake, real_weight, fake_weight, reduction, True, False)[0]

    def gradient(self, real: Any, fake: Any, *, real_weight: Any = None, fake_weight: Any = None,
                 reduction: str = "mean") -> tuple[Any, Any]:
        """Derivatives of the reduced value with respect to `real` and to `fake`. See `value`.

        Returns
        -------
        pair of ndarrays in the shapes and precisions of `real` and `fake`
        """
        return self._evaluate(real, fake, real_weight, fake_weight, reduction, False, True)[1]

    def value_and_gradient(
        self, real: Any, fake: Any, *, real_weight: Any = None, fake_weight: Any = None,
        reduction: str = "mean"
    ) -> tuple[Any, tuple[Any, Any]]:
        """`value` and `gradient` in one pass over the scores."""
        return self._evaluate(real, fake, real_weight, fake_weight, reduction, True, True)

    def _evaluate(self, real: Any, fake: Any, real_weight: Any, fake_weight: Any, reduction: str,
                  value: bool, gradient: bool) -> tuple[Any, Any]:
        on_real = _one_sided(real, "real", real_weight, 1, reduction, value, gradient)
        on_fake = _one_sided(fake, "fake", fake_weight, -1, reduction, value, gradient)
        values: Any = (on_real[0], on_fake[0])
        return (sum(values) if value and reduction != "none" else values,
                (on_real[1], on_fake[1]))


GanDiscriminatorHinge._family = GanDiscriminatorHinge
gan_discriminator_hinge = as_function(GanDiscriminatorHinge, "gan_discriminator_hinge")


@dataclass(frozen=True)
class GanGeneratorHinge(Loss):
    """The generator's part of the hinge losses, -mean(fake).

    `fake` are the discriminator's scores of the generator's samples. The derivative is -1 divided
    by their number, however high the scores: unlike the discriminator's, this loss never ends.

    References
    ----------
    J. H. Lim and J. C. Ye, "Geometric GAN", arXiv:1705.02894, 2017.

    Examples
    --------
    >>> GanGeneratorHinge().value_and_gradient([-3.0, 0.5])
    (1.25, array([-0.5, -0.5]))
    """

    _example = "[-3.0, 0.5]"  # of arguments of `value`, for docstrings

    is_differentiable = True
    lipschitz = 1.0
    smoothness = 0.0

    def value(self, fake: Any, *, sample_weight: Any = None, reduction: str = "mean") -> Any:
        """The loss of a batch of scores.

        Parameters
        ----------
        fake : array-like
            Scores, of any shape.
        sample_weight : array-like, optional
            In the shape of `fake`, finite and not negative: multiplies the losses.
        reduction : {"mean", "sum", "none"}, default "mean"
            The (weighted) mean, i.e. sum(-w fake) / sum(w), the sum, or every -w fake.

        Returns
        -------
        float, or ndarray in the shape and precision of `fake` for reduction "none"

        Raises
        ------
        ValueError
            For weights that do not fit, the mean of no scores, or a wrong `reduction`.
        """
        return self._evaluate(fake, sample_weight, reduction, True, False)[0]

    def gradient(self, fake: Any, *, sample_weight: Any = None, reduction: str = "mean") -> Any:
        """Derivative of the reduced value with respect to every score, in the shape of `fake`."""
        return self._evaluate(fake, sample_weight, reduction, False, True)[1]

    def value_and_gradient(self, fake: Any, *, sample_weight: Any = None,
                           reduction: str = "mean") -> tuple[Any, Any]:
        """`value` and `gradient`."""
        return self._evaluate(fake, sample_weight, reduction, True, True)

    def _evaluate(self, fake: Any, sample_weight: Any, reduction: str, value: bool, gradient: bool
                  ) -> tuple[Any, Any]:
        f, w, scale = _scores_and_weights(fake, "fake", sample_weight, "sample_weight", reduction)
        found = slopes = None
        if value and reduction == "none":
            found = np.multiply(-1 if w is None else -w, f, dtype=f.dtype)
        elif value:
            flat = f.reshape(-1)
            with np.errstate(invalid="ignore"):  # inf - inf is NaN
                if w is not None:
                    flat = np.multiply(w.reshape(-1), flat, dtype=np.float64)
                found = 0.0 - scale * float(np.add.reduce(flat, dtype=np.float64))
        if gradient:
            slopes = np.empty(f.shape, f.dtype)
            slopes[...] = -scale if w is None else np.multiply(-scale, w, dtype=np.float64)
            slopes = slopes[()]
        return found, slopes


GanGeneratorHinge._family = GanGeneratorHinge
gan_generator_hinge = as_function(GanGeneratorHinge, "gan_generator_hinge")


def _one_sided(f: Any, name: str, w: Any, label: int, reduction: str, value: bool, gradient: bool
               ) -> tuple[Any, Any]:
    """The hinge loss of scores that all have one label, and its derivatives."""
    f, w, scale = _scores_and_weights(f, name, w, f"{name}_weight", reduction)
    shape, each = f.shape, reduction == "none"
    if len(shape) > 2:
        f, w = f.reshape(-1), None if w is None else w.reshape(-1)
    total, values, slopes = _losses.margin_losses(
        _HINGE._terms, label, f, w, scale, value and not each, value and each, gradient,
        n_threads() if f.size >= PARALLEL_FROM else 1)  # fmt: skip
    if len(shape) != 1:
        values = None if values is None else values.reshape(shape)[()]
        slopes = None if slopes is None else slopes.reshape(shape)[()]
    return values if each else total, slopes


def _scores_and_weights(
    f: Any, name: str, w: Any, weight_name: str, reduction: str
) -> tuple[np.ndarray, np.ndarray | None, float]:
    """Scores, weights, and what the sum is to be multiplied by; or an error that names them."""
    if reduction not in gate.REDUCTIONS:
        gate.reduced(reduction)
    if type(f) is not np.ndarray or (f.dtype is not gate.F32 and f.dtype is not gate.F64):
        f = gate.scores(f, name)
    w = None if w is None else gate.weights(w, f.shape, weight_name)
    scale = gate.mean_scale(f.size, w, name, weight_name) if reduction == "mean" else 1.0
    return f, w, scale
