# SPDX-License-Identifier: BSD-3-Clause
"""What scikit-learn's tools ask of estimators: metadata requests, output containers, diagrams.

Nothing here imports scikit-learn before somebody calls what needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, wraps
from types import MethodType
from typing import Any, Self

import numpy as np

from ._available import available

# Arguments that are data, whatever they are called, and no metadata.
_DATA = ("X", "y", "Y")
_METHODS = ("fit", "partial_fit", "predict", "predict_proba", "predict_log_proba",
            "decision_function", "score", "transform")  # fmt: skip


def _metadata(cls: Any, method: str) -> tuple[str, ...]:
    """Arguments of a method beside the data."""
    cached: Any = _read_metadata
    found: tuple[str, ...] = cached(cls, method)
    return found


@cache
def _read_metadata(cls: Any, method: str) -> tuple[str, ...]:
    import inspect

    function = getattr(cls, method, None)
    if function is None:
        return ()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(p.name for p in list(inspect.signature(function).parameters.values())[1:]
                 if p.name not in _DATA and p.kind in named)


def _setter(method: str) -> Any:
    """`set_fit_request` and its like: there for classes whose method takes metadata."""
    name = f"set_{method}_request"

    def refuse(model: Any) -> None:
        if not _metadata(type(model), method):
            raise AttributeError(f"{type(model).__name__!r} object has no attribute {name!r}: its "
                                 f"{method} takes no metadata")

    def set_request(self: Any, **requests: bool | str | None) -> Any:
        from sklearn import get_config

        known = _metadata(type(self), method)
        if not get_config().get("enable_metadata_routing"):
            raise RuntimeError(f"{name} is for metadata routing, which is off: switch it on with "
                               "sklearn.set_config(enable_metadata_routing=True)")
        unknown = sorted(requests.keys() - set(known))
        if unknown:
            raise TypeError(f"{name} got {', '.join(unknown)}; {type(self).__name__}.{method} "
                            f"takes {', '.join(known)}")
        request = self.get_metadata_routing()
        for key, value in requests.items():
            getattr(request, method).add_request(param=key, alias=value)
        self._metadata_request = request
        return self

    set_request.__name__, set_request.__qualname__ = name, f"Routed.{name}"
    set_request.__doc__ = f"""Say which metadata meta-estimators are to pass to `{method}`.

        Parameters
        ----------
        **requests : bool, None or str
            By argument: True to ask for it, False not to, None to have an error when it is given,
            or the name under which it is given.

        Returns
        -------
        self

        Raises
        ------
        RuntimeError
            Unless ``sklearn.set_config(enable_metadata_routing=True)``.
        TypeError
            For an argument that `{method}` does not have.
        """
    return available(refuse)(set_request)


class Routed:
    """Metadata requests, as scikit-learn's meta-estimators ask for them."""

    set_fit_request = _setter("fit")
    set_partial_fit_request = _setter("partial_fit")
    set_predict_request = _setter("predict")
    set_score_request = _setter("score")

    def get_metadata_routing(self) -> Any:
        """The metadata that the methods take and ask for, for scikit-learn's meta-estimators.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRequest
        """
        from copy import deepcopy

        from sklearn.utils.metadata_routing import MetadataRequest

        if "_metadata_request" in vars(self):
            return deepcopy(self._metadata_request)
        request = MetadataRequest(owner=self)
        for method in _METHODS:
            for name in _metadata(type(self), method):
                getattr(request, method).add_request(param=name, alias=None)
        return request

    _metadata_request: Any


class Shown:
    """How notebooks show estimators: as scikit-learn does, where it is installed."""

    def _repr_html_(self) -> str:
        try:
            from sklearn import get_config
            from sklearn.utils import estimator_html_repr
        except ImportError:
            diagram = None
        else:
            diagram = estimator_html_repr if get_config()["display"] == "diagram" else None
        if diagram is not None:
            return str(diagram(self))
        from html import escape

        return f"<pre>{escape(repr(self))}</pre>"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}


# ------------------------------------------------------------------------------------ transformers


def framed(transform: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of `transform` and its like: their results in the container that was asked for."""

    @wraps(transform)
    def method(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        return _contained(self, X, transform(self, X, *args, **kwargs))

    return method


def bare(method: Any) -> Any:
    """A method that is `framed`, without its frame: for callers that go on with the numbers."""
    return MethodType(method.__func__.__wrapped__, method.__self__)


def _container(transformer: Any) -> str:
    own = vars(transformer).get("_sklearn_output_config", {}).get("transform")
    if own is not None:
        return str(own)
    if sys.modules.get("sklearn") is not None:
        from sklearn import get_config

        return str(get_config().get("transform_output", "default"))
    return "default"


def _contained(transformer: Any, X: Any, result: Any) -> Any:
    """Rows as a frame of pandas or polars, if that was asked for."""
    kind = _container(transformer)
    named = hasattr(transformer, "get_feature_names_out")
    if kind == "default" or not named or not hasattr(result, "dtype"):
        return result
    names, sparse = transformer.get_feature_names_out(), hasattr(result, "tocsr")
    if kind == "pandas":
        import pandas as pd

        index = X.index if hasattr(X, "iloc") else None
        if sparse:
            return pd.DataFrame.sparse.from_spmatrix(result, index=index, columns=names)
        return pd.DataFrame(result, index=index, columns=names, copy=False)
    import polars as pl

    if sparse:
        raise ValueError(f"{type(transformer).__name__} makes a sparse matrix here, which polars "
                         'has no columns for: use set_output(transform="pandas") or "default"')
    return pl.DataFrame(result, schema=names.tolist(), orient="row")


def _refuse_output(transformer: Any) -> None:
    _ = transformer.get_feature_names_out  # for its AttributeError


class Transformer:
    """Base of transformers: containers of what they return."""

    _sklearn_output_config: dict[str, str]

    @available(_refuse_output)
    def set_output(self, *, transform: str | None = None) -> Self:
        """Set the container that `transform` and `fit_transform` return.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None
            "default" is an array, or a sparse matrix; of such pandas makes sparse columns. None
            leaves it as it is. Without a call of this, scikit-learn's
            ``set_config(transform_output=...)`` holds.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For another container.
        """
        if transform is None:
            return self
        if transform not in ("default", "pandas", "polars"):
            raise ValueError('transform must be "default", "pandas", "polars" or None; got '
                             f"{transform!r}")
        self._sklearn_output_config = {"transform": transform}
        return self


def numbered_names(owner: Any, count: int, input_features: Any) -> np.ndarray:
    """Names of columns that are no longer those of X: ``lmnn0``, ``lmnn1`` and so on.

    `input_features` must be those of `fit`, where they are given.
    """
    if input_features is not None:
        given, d = np.asarray(input_features, dtype=object), owner.n_features_in_
        if given.shape != (d,):
            raise ValueError("input_features should have length equal to number of features of fit "
                             f"({d}); got shape {given.shape}")
        fitted = getattr(owner, "feature_names_in_", None)
        if fitted is not None and list(given) != list(fitted):
            raise ValueError("input_features is not equal to feature_names_in_, the columns of fit")
    start = type(owner).__name__.lower()
    return np.array([f"{start}{k}" for k in range(count)], dtype=object)
