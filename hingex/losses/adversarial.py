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
from ._base import Loss, as_function
from .margin import Hinge

__all__ = [  # all that is public here
    "GanDiscriminatorHinge", "gan_discriminator_hinge", "GanGeneratorHinge",
    "gan_generator_hinge",
]

_HINGE = Hinge()


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
        values, slopes = [], []
        for name, given, weight, label in (("real", real, real_weight, 1),
                                           ("fake", fake, fake_weight, -1)):
            f, w, _ = _scores_and_weights(given, name, weight, f"{name}_weight", reduction)
            y = np.broadcast_to(np.int8(label), f.shape)
            v, g = _HINGE._evaluate(y, f, None, w, reduction, value, gradient)
            values.append(v)
            slopes.append(g)
        summed = value and reduction != "none"
        return sum(values) if summed else tuple(values), tuple(slopes)


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
        f, w, scale = _scores_and_weights(fake, "fake", sample_weight, "sample_weight", reduction)
        if reduction == "none":
            return np.multiply(-1 if w is None else -w, f, dtype=f.dtype)
        f = f.reshape(-1)
        with np.errstate(invalid="ignore"):  # inf - inf is NaN
            if w is not None:
                f = np.multiply(w.reshape(-1), f, dtype=np.float64)
            return 0.0 - scale * float(np.sum(f, dtype=np.float64))

    def gradient(self, fake: Any, *, sample_weight: Any = None, reduction: str = "mean") -> Any:
        """Derivative of the reduced value with respect to every score, in the shape of `fake`."""
        f, w, scale = _scores_and_weights(fake, "fake", sample_weight, "sample_weight", reduction)
        each = -scale if w is None else np.multiply(-scale, w, dtype=np.float64)
        return np.full(f.shape, each, f.dtype)[()]

    def value_and_gradient(self, fake: Any, *, sample_weight: Any = None,
                           reduction: str = "mean") -> tuple[Any, Any]:
        """`value` and `gradient`."""
        options: dict[str, Any] = {"sample_weight": sample_weight, "reduction": reduction}
        return self.value(fake, **options), self.gradient(fake, **options)


GanGeneratorHinge._family = GanGeneratorHinge
gan_generator_hinge = as_function(GanGeneratorHinge, "gan_generator_hinge")


def _scores_and_weights(
    f: Any, name: str, w: Any, weight_name: str, reduction: str
) -> tuple[np.ndarray, np.ndarray | None, float]:
    """Scores, weights, and what the sum is to be multiplied by; or an error that names them."""
    gate.reduced(reduction)
    f = gate.scores(f, name)
    w = None if w is None else gate.weights(w, f.shape, weight_name)
    scale = gate.mean_scale(f.size, w, name, weight_name) if reduction == "mean" else 1.0
    return f, w, scale
