# SPDX-License-Identifier: BSD-3-Clause
"""What small losses promise: bounds on errors and risks, and the names of the penalty's weight."""

from __future__ import annotations

from math import floor, inf, log, sqrt
from typing import Any

import numpy as np

from .. import _scores as gate
from .. import _validate as check
from .margin import MarginLoss

__all__ = [  # all that is public here
    "excess_risk_bound", "rademacher_bound", "margin_vc_dimension", "loo_error_bound",
    "C_to_lambda", "lambda_to_C", "C_to_alpha", "alpha_to_C",
]


def excess_risk_bound(loss: MarginLoss, excess_phi_risk: Any) -> Any:
    """Upper bound on the excess zero-one risk of a classifier: psi^-1 of its excess risk.

    With phi the loss, R(f) = P(y != sign f(x)), whatever the sign of 0 is taken for,
    R_phi(f) = E phi(y f(x)), and R*, R_phi* their infima over all functions::

        R(f) - R* <= psi^-1(R_phi(f) - R_phi*)

    for every distribution and every f. For the hinge psi^-1(r) = r, for the squared hinge sqrt(r).

    Parameters
    ----------
    loss : MarginLoss
        A mixture must be convex.
    excess_phi_risk : array-like
        R_phi(f) - R_phi*, not negative.

    Returns
    -------
    float, or ndarray in the shape of `excess_phi_risk`
        The largest theta of 0..1 with psi(theta) <= excess risk: 1, which says nothing, at the
        latest where that exceeds psi(1), and always if the loss is not classification-calibrated.

    Raises
    ------
    TypeError
        If `loss` is no margin loss.
    ValueError
        For an excess risk that is negative or NaN, or a mixture that is not convex.

    Notes
    -----
    Found by bisection of `loss.psi`, whose values are good to about 1e-15: that, or for losses with
    psi(theta) ~ theta^2 some 1e-15 / theta, is the accuracy.

    References
    ----------
    P. L. Bartlett, M. I. Jordan and J. D. McAuliffe, "Convexity, classification, and risk bounds",
    JASA 101, 2006, Theorem 1.

    Examples
    --------
    >>> from hingex.losses import SquaredHinge
    >>> print(excess_risk_bound(SquaredHinge(), [0.01, 0.25, 4.0]).round(6))
    [0.1 0.5 1. ]
    """
    if not isinstance(loss, MarginLoss):
        raise TypeError(f"loss must be a margin loss such as Hinge(); got {check._show(loss)}")
    risk = np.asarray(gate.scores(excess_phi_risk, "excess_phi_risk"), np.float64)
    if not (risk >= 0).all():
        raise ValueError("excess_phi_risk must not be negative: no risk is lower than the least; "
                         f"got {check._show(excess_phi_risk)}")
    low, high = np.zeros(risk.shape), np.ones(risk.shape)
    for _ in range(60):
        middle = 0.5 * (low + high)
        holds = loss.psi(middle) <= risk
        low, high = np.where(holds, middle, low), np.where(holds, high, middle)
    return np.where((risk == 0) & bool(loss.is_classification_calibrated), 0.0, high)[()]


def rademacher_bound(B: float, R: float, n: int, delta: float, lipschitz: float = 1.0, *,
                     loss_range: float | None = None) -> float:
    """What to add to the mean loss on n samples to bound the expected loss of a linear model.

    For n independent samples with ||x_i|| <= R, a loss phi with that Lipschitz constant L whose
    values at margins of -B R..B R lie in an interval of length M, and any 0 < delta < 1, with
    probability at least 1 - delta over the samples, for all w with ||w|| <= B at once::

        E phi(y w.x) <= (1/n) sum_i phi(y_i w.x_i)
                        + 2 L B R / sqrt(n) + M sqrt(log(1/delta) / (2 n))

    Returned is the sum of the last two terms. An intercept is the weight of a constant feature,
    which counts in R and B.

    Parameters
    ----------
    B : float
        Bound on ||w||.
    R : float
        Bound on ||x||.
    n : int
        Number of samples.
    delta : float
        Probability, between 0 and 1, that the samples are so odd that the bound fails.
    lipschitz : float, default 1.0
        L; `loss.lipschitz`. Ramp and hinge have 1.
    loss_range : float, optional
        M; by default 2 L B R, which holds for every phi. The hinge has min(2 B R, 1 + B R), and
        min(1, hinge), which bounds the zero-one loss, 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        For arguments that are not positive (n: an integer of at least 1), or a `delta` that is not
        between 0 and 1.

    Notes
    -----
    The Rademacher complexity of the linear functions is at most B R / sqrt(n); a Lipschitz loss
    multiplies it by L at most; the maximal deviation is within the last term of its mean
    (McDiarmid), and its mean within twice the complexity.

    References
    ----------
    P. L. Bartlett and S. Mendelson, "Rademacher and Gaussian complexities: risk bounds and
    structural results", JMLR 3, 2002. With these constants: M. Mohri, A. Rostamizadeh and
    A. Talwalkar, "Foundations of Machine Learning", 2nd edition, MIT Press, 2018, Theorem 3.3,
    Lemma 5.7 and Theorem 5.10.

    Examples
    --------
    >>> round(rademacher_bound(B=1.0, R=1.0, n=10_000, delta=0.05, loss_range=1.0), 5)
    0.03224
    """
    B, R = check.positive_float("B", B), check.positive_float("R", R)
    n = check.integer("n", n)
    delta = check.positive_float("delta", delta)
    if not delta < 1:
        raise ValueError(f"delta must lie between 0 and 1; got {delta!r}")
    L = check.positive_float("lipschitz", lipschitz)
    M = 2 * L * B * R if loss_range is None else check.positive_float("loss_range", loss_range)
    return 2 * L * B * R / sqrt(n) + M * sqrt(-log(delta) / (2 * n))


def margin_vc_dimension(R: float, gamma: float, d: int | None = None) -> float:
    """Capacity of linear classifiers with margin gamma on points of a ball: (R / gamma)^2.

    So many points of norm R at most, and not more, can be classified in all 2^n ways by functions
    w.x with ||w|| = 1 such that y w.x >= gamma everywhere; the number of features does not matter.

    Parameters
    ----------
    R : float
        Bound on ||x||.
    gamma : float
        Margin: the distance of the points from the hyperplane, at most R for this to mean much.
        That of a model with y f >= 1 is 1 / ||w||.
    d : int, optional
        Number of features. With it the result is Vapnik's bound on the VC dimension of
        gamma-margin hyperplanes, which need not pass through 0: min(floor((R / gamma)^2), d) + 1.

    Returns
    -------
    float

    References
    ----------
    V. N. Vapnik, "The Nature of Statistical Learning Theory", Springer, 1995, Theorem 5.1. Without
    `d`: P. L. Bartlett and J. Shawe-Taylor, "Generalization performance of support vector machines
    and other pattern classifiers", in Advances in Kernel Methods, MIT Press, 1999.

    Examples
    --------
    >>> margin_vc_dimension(R=1.0, gamma=0.25)
    16.0
    >>> margin_vc_dimension(R=1.0, gamma=0.25, d=10)
    11.0
    """
    ratio = check.positive_float("R", R) / check.positive_float("gamma", gamma)
    capacity = ratio * ratio
    if d is None:
        return capacity
    d = check.integer("d", d)
    # Rounding must not take away one.
    return float(d + 1 if capacity >= d else floor(capacity * (1 + 1e-12)) + 1)


def loo_error_bound(n_support: int, n: int) -> float:
    """Upper bound on the leave-one-out error of a binary support vector machine: n_support / n.

    A row that is no support vector can be left out without a change of the solution, which
    classifies it correctly; so at most the support vectors are errors. The leave-one-out error
    estimates without bias the error of machines trained on n - 1 rows.

    Parameters
    ----------
    n_support : int
        Number of support vectors, rows with a nonzero dual: ``len(model.support_)`` of a
        `LinearSVC` with ``store_dual=True``.
    n : int
        Number of rows.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        If `n` is no positive integer, or `n_support` none of 0..n.

    Notes
    -----
    It needs the solution to be unique, intercept included.

    References
    ----------
    V. N. Vapnik, "The Nature of Statistical Learning Theory", Springer, 1995, chapter 5.

    Examples
    --------
    >>> loo_error_bound(n_support=12, n=100)
    0.12
    """
    n = check.integer("n", n)
    n_support = check.integer("n_support", n_support, 0)
    if n_support > n:
        raise ValueError(f"n_support must be at most n = {n}; got {n_support}")
    return n_support / n


def C_to_lambda(C: float, n: float) -> float:
    """lambda = 1 / (2 n C): the same solution from a mean of losses and lambda ||w||^2.

    ``||w||^2 / 2 + C sum_i loss_i`` is n C times ``(1/n) sum_i loss_i + lambda ||w||^2``.

    Parameters
    ----------
    C : float
        As in `LinearSVC`, positive.
    n : float
        Number of samples, positive; the sum of the weights if they are weighted.

    Raises
    ------
    ValueError, TypeError
        For arguments that are not positive and finite, or a result that is not.

    Examples
    --------
    >>> C_to_lambda(C=10.0, n=1000)
    5e-05
    """
    return _inverse("C", C, n, 2.0)


def lambda_to_C(lambda_: float, n: float) -> float:
    """C = 1 / (2 n lambda), the inverse of `C_to_lambda`.

    Examples
    --------
    >>> lambda_to_C(5e-05, n=1000)
    10.0
    """
    return _inverse("lambda_", lambda_, n, 2.0)


def C_to_alpha(C: float, n: float) -> float:
    """alpha = 1 / (n C): the same solution from a mean of losses and (alpha / 2) ||w||^2.

    ``||w||^2 / 2 + C sum_i loss_i`` is n C times ``(1/n) sum_i loss_i + (alpha / 2) ||w||^2``, the
    objective of Pegasos (there called lambda) and of scikit-learn's SGDClassifier.

    Parameters
    ----------
    C : float
        As in `LinearSVC`, positive.
    n : float
        Number of samples, positive; the sum of the weights if they are weighted.

    Raises
    ------
    ValueError, TypeError
        For arguments that are not positive and finite, or a result that is not.

    References
    ----------
    S. Shalev-Shwartz, Y. Singer, N. Srebro and A. Cotter, "Pegasos: primal estimated sub-gradient
    solver for SVM", Mathematical Programming 127, 2011.

    Examples
    --------
    >>> C_to_alpha(C=10.0, n=1000)
    0.0001
    """
    return _inverse("C", C, n, 1.0)


def alpha_to_C(alpha: float, n: float) -> float:
    """C = 1 / (n alpha), the inverse of `C_to_alpha`.

    Examples
    --------
    >>> alpha_to_C(0.0001, n=1000)
    10.0
    """
    return _inverse("alpha", alpha, n, 1.0)


def _inverse(name: str, value: float, n: float, factor: float) -> float:
    """1 / (factor n value)."""
    product = factor * check.positive_float("n", n) * check.positive_float(name, value)
    result = 1 / product if product > 0 else inf
    if not 0 < result < inf:
        raise ValueError(f"{name} = {value:g} for n = {n:g}: the result is beyond double precision")
    return result
