# SPDX-License-Identifier: BSD-3-Clause
"""What a solver returns, and the warnings and exceptions that tell about it."""

import sys
import warnings
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np


class ConvergenceWarning(UserWarning):
    """A fit stopped before its duality gap reached `tol`.

    Examples
    --------
    >>> import warnings
    >>> import hingex
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     _ = hingex.PegasosClassifier(max_iter=1).fit([[0.0], [1.0], [3.0]], [0, 0, 1])
    >>> issubclass(caught[0].category, hingex.ConvergenceWarning)
    True
    """


class DataConversionWarning(UserWarning):
    """Input was accepted, in a shape other than the one it came in."""


class NotFittedError(ValueError, AttributeError):
    """A method that needs a fitted estimator was called before `fit`.

    Examples
    --------
    >>> import hingex
    >>> try:
    ...     hingex.LinearSVC().predict([[1.0]])
    ... except hingex.NotFittedError as error:
    ...     print(error)
    This LinearSVC instance is not fitted yet: call fit(X, y) before using it.
    """


class NotSeparableError(ValueError):
    """No plane separates the classes, as a hard margin (C = inf) needs.

    Attributes
    ----------
    weights : ndarray (n,)
        Of the rows, not negative. With an unregularized intercept they add up to 1 on each side,
        and the two weighted means of rows, which lie in the convex hulls of the classes, agree;
        otherwise they add up to 1, and the rows y_i x_i (with a regularized intercept's constant
        feature) have a weighted mean of 0.
    distance : float
        How far that is from exact, by rounding.

    Examples
    --------
    >>> import hingex
    >>> X, y = [[0.0], [1.0], [2.0]], [0, 1, 0]
    >>> try:
    ...     hingex.LinearSVC(C=float("inf")).fit(X, y)
    ... except hingex.NotSeparableError as error:
    ...     print(error.weights.round(3).tolist())
    [0.5, 1.0, 0.5]
    """

    def __init__(self, message: str, weights: np.ndarray, distance: float) -> None:
        super().__init__(message)
        self.weights, self.distance = weights, distance

    def __reduce__(self) -> tuple:
        return type(self), (str(self), self.weights, self.distance)


_SHARED = {c.__name__: c for c in (ConvergenceWarning, DataConversionWarning, NotFittedError)}
_PREFIX = "_sklearn_"


def _with_sklearn(name: str) -> type:
    """Class `name` that is scikit-learn's too; made once, kept as a module attribute."""
    own = _SHARED[name]
    try:
        from sklearn import exceptions
    except ImportError:  # unpickled where scikit-learn is not installed
        return own
    # Its instances show as hingex's class does; pickle finds the class by __qualname__.
    both = type(name, (own, getattr(exceptions, name)),
                {"__module__": __name__, "__qualname__": _PREFIX + name, "__doc__": own.__doc__})
    return globals().setdefault(_PREFIX + name, both)


def __getattr__(name: str) -> Any:
    if name.startswith(_PREFIX) and name[len(_PREFIX):] in _SHARED:
        return _with_sklearn(name[len(_PREFIX):])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def warning_category(name: str) -> type:
    """Class to raise or warn with for "ConvergenceWarning", "DataConversionWarning" and such.

    It is a subclass of scikit-learn's class of that name as well once somebody has imported
    scikit-learn, so that filters and `except` clauses written for scikit-learn apply.
    """
    if "sklearn" not in sys.modules:
        return _SHARED[name]
    return globals().get(_PREFIX + name) or _with_sklearn(name)


def not_fitted(estimator: Any) -> Exception:
    """Return the NotFittedError to raise for `estimator`."""
    from inspect import Parameter, signature

    cls = type(estimator)
    needed = [p.name for p in signature(cls.fit).parameters.values()
              if p.default is Parameter.empty][1:]
    call = getattr(cls, "_fit_call", f"fit({', '.join(needed)})")
    return warning_category("NotFittedError")(
        f"This {cls.__name__} instance is not fitted yet: call {call} before using it."
    )


def warn(message: str, category: str | type = UserWarning) -> None:
    """Warn on the line of the caller's code that called into hingex.

    `category` may be the name of one of the classes above (see `warning_category`).
    """
    if isinstance(category, str):
        category = warning_category(category)
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "hingex":
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)


class Start(NamedTuple):
    """Where coordinate descent may begin; other solvers look at the duals and intercepts.

    Attributes
    ----------
    dual : ndarray (n, K)
        Clipped to their bounds, unless `weights` are given.
    intercept : ndarray (K,)
    weights : ndarray (d, K), optional
        sum_i dual_i y_i x_i. With them dual must be within its bounds, and both arrays are worked
        in; without them a pass over the rows makes them.
    awake, shrunk, factor : ndarray, optional
        All or none: how shrinking stood at the end of a similar problem, see `Fit.state`.
    earliest : int, default 0
        Epochs before which a certificate is not worth its time.
    """

    dual: np.ndarray
    intercept: np.ndarray
    weights: np.ndarray | None = None
    awake: np.ndarray | None = None
    shrunk: np.ndarray | None = None
    factor: np.ndarray | None = None
    earliest: int = 0


@dataclass(slots=True)
class Fit:
    """Result of a solver for K problems (1, or one per class) over n rows and d features.

    Attributes
    ----------
    coef : ndarray (K, d) of float64
    intercept : ndarray (K,) of float64
    dual : ndarray (n, K) or None
        Dual variables, when they were asked for.
    primal, dual_objective, gap : ndarray (K,) of float64
        Objectives of the problem as stated by the solver, and their difference.
    history : ndarray, structured
        One record per epoch: epoch, seconds, primal, dual, gap, active, certified.
    n_iter : int
        Epochs.
    converged : bool
    status : str
        "converged", "max_iter", "max_time", "callback", "interrupted" or, when the solver came
        no further or too slowly, for another one to take over, "stalled".
    seconds : float
    summed : bool
        Whether coef is the sum of dual_i y_i x_i, up to rounding.
    state : tuple or None
        Of coordinate descent: bits of the active rows and lanes, losses of the others by lane,
        true over estimated gap.
    """

    coef: np.ndarray
    intercept: np.ndarray
    dual: np.ndarray | None
    primal: np.ndarray
    dual_objective: np.ndarray
    gap: np.ndarray
    history: np.ndarray
    n_iter: int
    converged: bool
    status: str
    seconds: float
    summed: bool = False
    state: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None


def losing(coef: np.ndarray, intercept: np.ndarray, absent: Any) -> tuple[np.ndarray, float]:
    """Weights (d,) and intercept of scores that never win: the mean of the other classes', less 1.

    coef (K, d) and intercept (K,) hold those of all classes, `absent` ones in any state.
    """
    others = np.setdiff1d(np.arange(len(intercept)), absent)
    return coef[others].mean(axis=0), float(intercept[others].mean()) - 1


def with_weightless(fit: Fit, present: np.ndarray, n_classes: int, joint: bool) -> Fit:
    """The fit of the classes `present` as one of all, which has a problem for each.

    Scores of the others are the mean of those of the classes that are present, less 1: below the
    highest everywhere, and -1 where one of two classes is positive as the other is negative.
    Their objectives and gaps are 0.
    """
    two, d = len(present) == 2, fit.coef.shape[1]
    side = np.array([-0.5, 0.5] if joint else [-1.0, 1.0])  # of the one score of two classes
    absent = np.setdiff1d(np.arange(n_classes), present)
    coef, intercept = np.empty((d, n_classes)).T, np.empty(n_classes)  # features first
    coef[present] = side[:, None] * fit.coef if two else fit.coef
    intercept[present] = side * fit.intercept if two else fit.intercept
    coef[absent], intercept[absent] = losing(coef, intercept, absent)

    def spread(values: np.ndarray) -> np.ndarray:
        if joint:
            return values
        out = np.zeros(n_classes)
        out[present] = values
        return out

    dual = None
    if fit.dual is not None:
        dual = np.zeros((len(fit.dual), n_classes))
        dual[:, present] = fit.dual
    return replace(
        fit, coef=coef, intercept=intercept, dual=dual, primal=spread(fit.primal),
        dual_objective=spread(fit.dual_objective), gap=spread(fit.gap), summed=False, state=None,
    )  # fmt: skip
