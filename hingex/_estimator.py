# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn's estimator protocol without scikit-learn.

Parameters are the arguments of `__init__`, stored untouched under their names and checked in
`fit`; what `fit` learns ends in an underscore. scikit-learn is imported only by methods that
scikit-learn itself calls.
"""

import sys
from functools import cache
from typing import Any, Self

import numpy as np

from . import _validate
from ._available import missing
from ._core import kernels
from ._interop import Routed, Shown
from ._result import not_fitted, warn

_VERSION_KEY = "_hingex_version"


@cache
def _signature(cls: Any) -> dict[str, Any]:
    """Names and defaults of the parameters of `cls`, by the signature of its __init__."""
    import inspect

    found = {}
    for p in list(inspect.signature(cls.__init__).parameters.values())[1:]:
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            if cls.__init__ is object.__init__:
                return {}
            raise TypeError(f"{cls.__name__}.__init__ must name its parameters, without {p}")
        found[p.name] = p.default
    return found


def _is_default(value: Any, default: Any) -> bool:
    if value is default:
        return True
    try:
        return type(value) is type(default) and bool(value == default)
    except Exception:  # the comparison is somebody else's code, and repr must not fail
        return False


class Estimator(Routed, Shown):
    """Base of all estimators: parameters, repr, pickling, scikit-learn's tags."""

    _takes_rows = True  # whether X are rows of numbers

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        cached: Any = _signature
        return cached(cls)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters and their values.

        Parameters
        ----------
        deep : bool, default True
            Include the parameters of parameters that are estimators, as ``name__parameter``.

        Returns
        -------
        dict
        """
        params = {}
        for name in self._defaults():
            value = getattr(self, name)
            params[name] = value
            if deep and hasattr(value, "get_params") and not isinstance(value, type):
                params |= {f"{name}__{k}": v for k, v in value.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; ``name__parameter`` reaches into a parameter.

        Nothing is changed when a name is wrong; values are checked by `fit`.

        Parameters
        ----------
        **params
            New values by name.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        valid = self._defaults()
        nested: dict[str, dict[str, Any]] = {}
        for key, value in params.items():
            name, delimiter, rest = key.partition("__")
            target = params.get(name, getattr(self, name, None)) if name in valid else None
            if name not in valid or (delimiter and not hasattr(target, "set_params")):
                raise ValueError(self._invalid_parameter(key, list(valid)))
            if delimiter:
                nested.setdefault(name, {})[rest] = value
        for name, value in params.items():
            if name in valid:
                setattr(self, name, value)
        for name, inner in nested.items():
            getattr(self, name).set_params(**inner)
        return self

    def _invalid_parameter(self, key: str, valid: list[str]) -> str:
        from difflib import get_close_matches

        lower = {name.lower(): name for name in valid}
        close = get_close_matches(key.lower(), lower, n=1)
        hint = f" Did you mean {lower[close[0]]!r}?" if close else ""
        return (f"Invalid parameter {key!r} for estimator {self}.{hint} "
                f"Valid parameters are: {valid!r}.")

    def __repr__(self) -> str:
        from reprlib import Repr

        short = Repr()
        short.maxdict = short.maxlist = short.maxtuple = 6
        short.maxstring = short.maxother = 200
        given = (f"{name}={short.repr(getattr(self, name, default))}"
                 for name, default in self._defaults().items()
                 if not _is_default(getattr(self, name, default), default))
        return f"{type(self).__name__}({', '.join(given)})"

    def __dir__(self) -> list[str]:
        return sorted(set(super().__dir__()) - missing(self))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {_VERSION_KEY: kernels("build").version()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        written, here = state.pop(_VERSION_KEY, "unknown"), kernels("build").version()
        if written.split(".")[:2] != here.split(".")[:2]:
            fix = ("use save and hingex.load, whose files outlive versions" if hasattr(self, "save")
                   else "fit it again with this version")
            warn(f"This {type(self).__name__} was pickled by hingex {written} and is read by "
                 f"hingex {here}: check what it predicts, or {fix}.")
        self.__dict__.update(state)

    def __sklearn_is_fitted__(self) -> bool:
        # Parameters come first.
        return any(name.endswith("_") and not name.startswith("_") for name in reversed(vars(self)))

    def _check_fitted(self) -> None:
        """Raise NotFittedError unless `fit` has been called."""
        if not self.__sklearn_is_fitted__():
            raise not_fitted(self)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(estimator_type=None, target_tags=TargetTags(required=False),
                    input_tags=InputTags(sparse=True))


class Classifier(Estimator):
    """Base of classifiers: tags and accuracy."""

    _estimator_type = "classifier"

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy: the (weighted) fraction of rows whose label is predicted.

        Parameters
        ----------
        X : array-like or CSR, shape (n, d)
        y : array-like, shape (n,)
            True labels; a label that `fit` has not seen counts as an error.
        sample_weight : array-like, shape (n,), optional
            Non-negative weights of the rows.

        Returns
        -------
        float

        Raises
        ------
        ValueError, TypeError
            For X as `predict` has it; for y or weights that do not fit X or the labels of `fit`.
        """
        predicted = self.predict(X)  # type: ignore[attr-defined]
        y = _validate.label_array(y, len(predicted), type(self).__name__)
        weights = _validate.sample_weights(sample_weight, len(predicted))
        _validate.check_same_kind(y, predicted, type(self).__name__)
        return float(np.average(predicted == y, weights=weights))

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags

        tags = super().__sklearn_tags__()
        tags.estimator_type = "classifier"
        tags.classifier_tags = ClassifierTags()
        tags.target_tags.required = True
        return tags


class Regressor(Estimator):
    """Base of regressors: tags and R^2."""

    _estimator_type = "regressor"

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Coefficient of determination R^2 = 1 - sum (y - p)^2 / sum (y - mean(y))^2, p predicted.

        Parameters
        ----------
        X : array-like or CSR, shape (n, d)
        y : array-like, shape (n,)
        sample_weight : array-like, shape (n,), optional
            Non-negative weights of the rows.

        Returns
        -------
        float
            For a constant y 1 if it is predicted exactly, else 0.

        Raises
        ------
        ValueError, TypeError
            For X as `predict` has it; for y or weights that do not fit X.
        """
        predicted = self.predict(X)  # type: ignore[attr-defined]
        y = _validate.numeric_targets(y, len(predicted), type(self).__name__)
        weights = _validate.sample_weights(sample_weight, len(predicted))
        left = float(np.average((y - predicted) ** 2, weights=weights))
        spread = float(np.average((y - np.average(y, weights=weights)) ** 2, weights=weights))
        return 1 - left / spread if spread > 0 else float(left == 0)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import RegressorTags

        tags = super().__sklearn_tags__()
        tags.estimator_type = "regressor"
        tags.regressor_tags = RegressorTags()
        tags.target_tags.required = True
        return tags


def unfitted(estimator: Any) -> Any:
    """A new estimator with the same parameters, copied where they are estimators."""
    if not isinstance(estimator, Estimator) and sys.modules.get("sklearn") is not None:
        from sklearn.base import clone  # pipelines have estimators in lists

        return clone(estimator)
    params = {name: unfitted(value) if hasattr(value, "get_params") and not isinstance(value, type)
              else value for name, value in estimator.get_params(deep=False).items()}
    return type(estimator)(**params)
