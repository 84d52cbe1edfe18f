# SPDX-License-Identifier: BSD-3-Clause
"""Raw text to labels: a vectorizer and a linear model in one object."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from os import PathLike
from typing import Any, NamedTuple, Self

import numpy as np

from .. import _validate as check
from .._available import available
from .._estimator import Classifier, unfitted
from .._interop import bare
from .._reading import forget_reading, remember_reading
from .._storable import Storable
from ..linear import (
    AROWClassifier,
    LinearClassifier,
    LinearSVC,
    LinearSVCCV,
    PassiveAggressiveClassifier,
    PegasosClassifier,
)
from ._texts import TsvBlocks
from ._vectorizer import TextVectorizer

_KINDS = (LinearSVC, LinearSVCCV, LinearClassifier, PegasosClassifier,
          PassiveAggressiveClassifier, AROWClassifier)
_PARTS = ("vectorizer", "classifier")


class Explanation(NamedTuple):
    """Why a document has its label: see `TextClassifier.explain`.

    Examples
    --------
    >>> from hingex.text import TextClassifier
    >>> model = TextClassifier().fit(["a good film", "a bad film"], ["+", "-"])
    >>> found = model.explain(["so good"])[0]
    >>> str(found.label), found.terms[0][0]
    ('+', 'good')
    """

    label: Any
    other: Any  # the label it was decided against
    margin: float  # difference of their scores
    intercept: float  # what of it is in no word
    terms: list[tuple[str, float]]  # the others' part, the largest first


def _refuse_probability(model: TextClassifier) -> None:
    """Raise AttributeError unless the linear model has probabilities."""
    given = LinearSVC() if model.classifier is None else model.classifier
    linear = model.classifier_ if model.__sklearn_is_fitted__() else given
    _ = linear.predict_proba  # for its AttributeError


class TextClassifier(Storable, Classifier):
    """Linear classifier of raw text: `TextVectorizer`, then a linear model on its rows.

    Parameters
    ----------
    classifier : LinearSVC or another linear model of hingex, optional
        Not changed: a copy is trained. Default: ``LinearSVC()``.
    vectorizer : TextVectorizer, optional
        Likewise. Default: ``TextVectorizer()``.

    Attributes
    ----------
    classifier_, vectorizer_
        The trained copies.
    classes_ : ndarray (K,)
    n_features_in_ : int
        Columns of the vectorizer.
    reading_ : dict
        How the training file was read (its columns, escapes, encoding), where documents came from
        `read_tsv` or `TsvBlocks`: ``hingex text predict`` reads likewise.

    Notes
    -----
    The features are as many bytes as scikit-learn's in CSR float32; the documents themselves are
    not copied. `save` writes vocabulary, weights and all parameters into one file.

    Examples
    --------
    >>> from hingex.text import TextClassifier
    >>> documents = ["the cat sat", "the dog ran", "a cat ran", "the old dog sat"]
    >>> model = TextClassifier().fit(documents, ["cat", "dog", "cat", "dog"])
    >>> model.predict(["an old cat"])
    array(['cat'], dtype='<U3')
    >>> model.explain(["an old cat"])[0].terms[0][0]
    'cat'
    """

    _takes_rows = False

    def __init__(self, classifier: Any = None, vectorizer: TextVectorizer | None = None) -> None:
        self.classifier = classifier
        self.vectorizer = vectorizer

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn vocabulary, idf and weights.

        Parameters
        ----------
        X : documents
            As `TextVectorizer.fit` takes them: list or iterator of str or bytes, a column of
            pandas or Arrow, or `Texts`.
        y : array-like, shape (n,)
        sample_weight : float or array-like, shape (n,), optional

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError, UnicodeDecodeError
            As the vectorizer and the classifier raise them.
        KeyboardInterrupt
            After Ctrl-C; when the classifier was at work, its weights are what it had reached.
        """
        vectorizer, classifier = self._copies()
        rows = bare(vectorizer.fit_transform)(X)
        self.vectorizer_, self.classifier_ = vectorizer, classifier
        remember_reading(self, X)
        classifier.fit(rows, y, sample_weight)
        return self

    def fit_stream(
        self, blocks: Any, epochs: int | None = None, *,
        checkpoint: str | PathLike[str] | None = None,
    ) -> Self:  # fmt: skip
        """Learn from more documents than fit into memory, a block at a time.

        Goes through the blocks twice: for the vocabulary (not with hashing and no idf), and for
        the features, which go to disk. There `fit_stream` of the linear model reads them.

        Parameters
        ----------
        blocks : path of a file, TsvBlocks, or sequence of (documents, labels)
            A file is one of lines with a tab between label and text, see `read_tsv`. Other
            iterables must be such that they can be gone through twice.
        epochs : int, optional
            As `fit_stream` of the linear model has it.
        checkpoint : path, optional
            A folder for features, vocabulary and all else that it takes to go on after a kill.
            Without it they are in a temporary folder.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError, UnicodeDecodeError, OSError
            As the vectorizer's `fit` and the linear model's `fit_stream`; TypeError, too, for a
            linear model without one, and for an iterator.
        KeyboardInterrupt
            After Ctrl-C; when the linear model was at work, its weights are what it had reached.

        Notes
        -----
        Memory: vocabulary, weights, a block of text with its features, and what the linear model's
        `fit_stream` holds. Disk: some 8 bytes for each distinct term of each document.
        """
        from ..model_io import load

        vectorizer, classifier = self._copies()
        if not hasattr(classifier, "fit_stream"):
            raise TypeError(f"{type(classifier).__name__} has no fit_stream; LinearSVC has, and "
                            "the classifiers that learn by steps")
        if isinstance(blocks, str | bytes | PathLike):
            blocks = TsvBlocks(os.fsdecode(blocks))
        if not isinstance(blocks, Iterable) or isinstance(blocks, Iterator):
            raise TypeError("blocks must be the path of a file or something to go through twice, "
                            f"like a list of (documents, labels); got a {type(blocks).__name__}")
        kept = None if checkpoint is None else os.path.join(checkpoint, "vectorizer.hingex")
        if kept is not None and os.path.exists(kept):
            own = vectorizer.get_params()
            vectorizer = load(kept)
            other = vectorizer.get_params()
            if {k: v for k, v in own.items() if k != "n_jobs"} != {
                    k: v for k, v in other.items() if k != "n_jobs"}:
                raise ValueError(f"{checkpoint}: this checkpoint is of another fit: its vectorizer "
                                 f"is {vectorizer!r}. Take another folder, or delete it")
            vectorizer.set_params(n_jobs=own["n_jobs"])
            was, now = vars(vectorizer).pop("reading_", None), getattr(blocks, "reading", None)
            if was != now:
                raise ValueError(f"{checkpoint}: this checkpoint is of another fit: its file was "
                                 f"read by {was}, this one by {now}. Take another folder, or "
                                 "delete it")
        else:
            if not (vectorizer.method == "hashing" and not vectorizer.use_idf):
                vectorizer.fit_stream(documents for documents, _ in blocks)
            if kept is not None:
                os.makedirs(os.path.dirname(kept), exist_ok=True)
                remember_reading(vectorizer, blocks)
                vectorizer.save(kept)
                forget_reading(vectorizer)
        self.vectorizer_, self.classifier_ = vectorizer, classifier
        remember_reading(self, blocks)
        rows = ((bare(vectorizer.transform)(documents), labels) for documents, labels in blocks)
        more = {} if epochs is None else {"epochs": epochs}
        classifier.fit_stream(rows, checkpoint=checkpoint, **more)
        return self

    def _copies(self) -> tuple[Any, Any]:
        """Vectorizer and linear model, untrained."""
        vectorizer = TextVectorizer() if self.vectorizer is None else self.vectorizer
        classifier = LinearSVC() if self.classifier is None else self.classifier
        if type(vectorizer) is not TextVectorizer:
            raise TypeError(
                f"vectorizer must be a TextVectorizer; got {type(vectorizer).__name__}")
        if type(classifier) not in _KINDS:
            raise TypeError(f"classifier must be one of {', '.join(k.__name__ for k in _KINDS)}; "
                            f"got {type(classifier).__name__}")
        return unfitted(vectorizer), unfitted(classifier)

    @property
    def classes_(self) -> np.ndarray:
        """The labels, ascending."""
        return self._part("classes_")

    @property
    def n_features_in_(self) -> int:
        """Columns of the vectorizer."""
        return self._part("n_features_in_")

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores of documents, as those of the linear model.

        Parameters
        ----------
        X : documents
            As `fit` takes them.

        Returns
        -------
        ndarray of float64, shape (n,) for two classes, else (n, K)

        Raises
        ------
        NotFittedError, ValueError, TypeError, UnicodeDecodeError
        """
        return self._apply(X, "decision_function")

    def predict(self, X: Any) -> np.ndarray:
        """Labels of documents.

        Parameters
        ----------
        X : documents
            As `fit` takes them.

        Returns
        -------
        ndarray, shape (n,), of the dtype of `classes_`

        Raises
        ------
        NotFittedError, ValueError, TypeError, UnicodeDecodeError
        """
        return self._apply(X, "predict")

    @available(_refuse_probability)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the labels, if the linear model has them (logistic loss, say).

        Parameters
        ----------
        X : documents
            As `fit` takes them.

        Returns
        -------
        ndarray of float64, shape (n, K)
            In the order of `classes_`.

        Raises
        ------
        NotFittedError, ValueError, TypeError, UnicodeDecodeError
        AttributeError
            If the linear model has no `predict_proba`.
        """
        return self._apply(X, "predict_proba")

    def explain(self, X: Any, top: int = 10) -> list[Explanation]:
        """The terms that decided: what each adds to the margin of the label over the next best.

        A document's score for a class is the sum, over its terms, of the term's value times its
        weight, and the intercept. The difference of two classes' scores is such a sum, too; its
        largest parts, of either sign, are returned.

        Parameters
        ----------
        X : documents
            As `fit` takes them.
        top : int, default 10
            Terms for each document.

        Returns
        -------
        list of Explanation
            `label`, `other` (the label with the next highest score), `margin` (their difference,
            for two classes the distance of the score from 0), `intercept` (its part that is in no
            term) and `terms`: (term, part) by falling size.

        Raises
        ------
        NotFittedError, ValueError, TypeError, UnicodeDecodeError
        AttributeError
            With method="hashing", whose columns have no names.
        """
        top = check.integer("top", top)
        self._check_fitted()
        names = self.vectorizer_.get_feature_names_out()
        rows = bare(self.vectorizer_.transform)(X)
        model = self.classifier_
        scores = model.decision_function(rows)
        scores = scores[:, None] if scores.ndim == 1 else scores
        told = []
        for i in range(rows.shape[0]):
            begin, end = rows.indptr[i], rows.indptr[i + 1]
            at, value = rows.indices[begin:end], rows.data[begin:end].astype(np.float64)
            if scores.shape[1] == 1:
                first = int(scores[i, 0] > 0)
                second, sign = 1 - first, 1.0 if first else -1.0
                part, margin = sign * value * model.coef_[0, at], sign * scores[i, 0]
                rest = sign * model.intercept_[0]
            else:
                order = np.argsort(-scores[i], kind="stable")
                first, second = int(order[0]), int(order[1])
                part = value * (model.coef_[first, at] - model.coef_[second, at])
                margin = scores[i, first] - scores[i, second]
                rest = model.intercept_[first] - model.intercept_[second]
            chosen = np.argsort(-np.abs(part), kind="stable")[:top]
            told.append(Explanation(
                self.classes_[first], self.classes_[second], float(margin), float(rest),
                [(str(names[at[j]]), float(part[j])) for j in chosen],
            ))  # fmt: skip
        return told

    # ---- inside ----------------------------------------------------------------------------

    def _apply(self, X: Any, method: str) -> np.ndarray:
        self._check_fitted()
        return getattr(self.classifier_, method)(bare(self.vectorizer_.transform)(X))

    def _part(self, name: str) -> Any:
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"{name} is there after fit only")
        return getattr(self.classifier_, name)

    def __sklearn_is_fitted__(self) -> bool:
        return "classifier_" in vars(self) and self.classifier_.__sklearn_is_fitted__()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        tags.input_tags.sparse = False
        return tags

    def _check_params(self) -> None:
        """Of both parts; in files these are dicts of their class and parameters."""
        for part in _PARTS:
            given = getattr(self, part)
            if not (given is None or isinstance(given, (TextVectorizer, *_KINDS))):
                given = _part_of(part, given)
            if given is not None:
                given._check_params()

    def _params_to_store(self) -> dict[str, Any]:
        """For each part its class and its parameters, as they were fitted."""
        from ..model_io import storable_params

        stored = {}
        for part in _PARTS:
            fitted = getattr(self, part + "_")
            stored[part] = {"class": type(fitted).__name__, "params": storable_params(fitted)[0]}
        return stored

    def _fitted_to_store(self) -> dict[str, Any]:
        own = {"reading_": self.reading_} if "reading_" in vars(self) else {}
        return own | {f"{part}__{name}": value for part in _PARTS
                      for name, value in vars(getattr(self, part + "_")).items()}

    @classmethod
    def _restored(cls, params: dict[str, Any], fitted: dict[str, Any]) -> Self:
        """From what was stored; ValueError if that is not whole."""
        model = cls()
        for part in _PARTS:
            estimator = _part_of(part, params.get(part))
            setattr(model, part, _part_of(part, params.get(part)))
            start = f"{part}__"
            vars(estimator).update(
                {key[len(start):]: value for key, value in fitted.items() if key.startswith(start)}
            )
            setattr(model, part + "_", estimator)
        if "reading_" in fitted:
            model.reading_ = fitted["reading_"]
        model._check_arrays()
        return model

    def _check_arrays(self) -> None:
        """Raise ValueError unless the parts fit to each other."""
        vectorizer, linear = self.vectorizer_, self.classifier_
        if not vectorizer.__sklearn_is_fitted__():
            raise ValueError("the vectorizer is not fitted")
        vectorizer._check_arrays()
        hashing = vectorizer.method == "hashing"
        d = vectorizer.n_features if hashing else len(vectorizer.term_ends_)
        if linear.n_features_in_ != d:
            raise ValueError(f"the vectorizer has {d} columns, the classifier "
                             f"{linear.n_features_in_} features")


def _part_of(part: str, stored: Any) -> Any:
    """An untrained part of what is stored of it; ValueError if that is not whole."""
    kinds = {kind.__name__: kind for kind in (TextVectorizer, *_KINDS)}
    if not isinstance(stored, dict) or set(stored) != {"class", "params"}:
        raise ValueError(f"the parameter {part} is no {part}")
    name, params = stored["class"], stored["params"]
    if not isinstance(name, str) or name not in kinds or not isinstance(params, dict) or (
            (part == "vectorizer") != (name == "TextVectorizer")):
        raise ValueError(f"the parameter {part} is no {part}")
    if unknown := set(params) - set(kinds[name]._defaults()):
        raise ValueError(f"{name} has no parameter {min(map(str, unknown))!r} here")
    return kinds[name](**params)
