# SPDX-License-Identifier: BSD-3-Clause
"""Tagging of sequences: chains with labels of any kind, and features by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np

from .. import _validate as check
from .._core import kernels
from .._estimator import Estimator
from .._reading import forget_reading
from .._storable import CheckedStorable
from .._threads import n_shares
from ._chain import Chain
from ._parts import Layout, gathered_sequences
from ._svm import StructuredSVM, hand_over, predicted, svm_of
from ._tokens import NAMES, NUMBERS, hash_tokens, kind_of, listed

WEIGHTS = ("coef_", "transitions_", "start_", "end_")


class ChainSVM(CheckedStorable, Estimator):
    r"""Labels for the elements of sequences (tagging), of which neighbours matter.

    A structured SVM over a first-order chain, with margin rescaling by the number of wrong labels,
    or by their cost: see `Chain` for the score and `StructuredSVM` for the problem.

    Parameters
    ----------
    C : float, default 0.1
        Weight of a sequence's loss, which grows with its length.
    cost : dict or None, default None
        {(label, other): cost of taking other for label}, 1 for pairs that are not there. None: 1
        for all.
    n_features : int, default 2**18
        Columns for features by name, which are hashed to them.
    solver : {"bcfw", "one_slack", "subgradient"}, default "bcfw"
    tol, max_iter, max_time, n_jobs, random_state, verbose, callback
        As for `StructuredSVM`.

    Attributes
    ----------
    classes_ : ndarray (K,)
        Labels, ascending.
    coef_ : ndarray (K, d)
        Weights of features for each label.
    transitions_ : ndarray (K, K)
        Of label (row) before label (column).
    start_, end_ : ndarray (K,)
        Of the first and the last label.
    hashed_ : bool
        Whether X had features by name.
    primal_objective_, dual_objective_, duality_gap_ : float
    n_iter_, n_calls_ : int
    converged_ : bool
    history_ : structured ndarray
    n_features_in_ : int
    reading_ : dict
        Of a model of ``hingex tag train``: the columns of its file, see docs/model_format.md.

    Warns
    -----
    ConvergenceWarning
        When a fit ends before `tol`.

    Examples
    --------
    >>> from hingex.structured import ChainSVM, word_features
    >>> sentences = [["the", "dog", "barks"], ["a", "cat", "sleeps"], ["dogs", "bark"]]
    >>> tags = [["DET", "NOUN", "VERB"], ["DET", "NOUN", "VERB"], ["NOUN", "VERB"]]
    >>> tagger = ChainSVM(C=1.0).fit([word_features(s) for s in sentences], tags)
    >>> tagger.predict([word_features(["the", "cat", "barks"])])[0].tolist()
    ['DET', 'NOUN', 'VERB']
    """

    duality_gap_: float
    n_iter_: int
    converged_: bool

    def __init__(
        self,
        C: float = 0.1,
        *,
        cost: Mapping[Any, float] | None = None,
        n_features: int = 2**18,
        solver: str = "bcfw",
        tol: float = 1e-3,
        max_iter: int = 1000,
        max_time: float | None = None,
        n_jobs: int | None = 1,
        random_state: Any = None,
        verbose: bool = False,
        callback: Callable[[Any], Any] | None = None,
    ) -> None:
        self.C = C
        self.cost = cost
        self.n_features = n_features
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.max_time = max_time
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback

    def fit(self, X: Any, y: Any, lengths: Any = None) -> Self:
        """Train on sequences and their labels.

        Parameters
        ----------
        X : iterable of sequences
            A list, a generator, a column of a data frame, an array of objects. Each sequence is an
            array-like or CSR matrix (length, d), or a list of tokens: a list of names of
            features, or a dict of names to numbers, strings (name=value is the feature then) or
            booleans. Or, with `lengths`, all sequences one after the other: (rows, d), used where
            it lies, or a list of tokens.
        y : list of label sequences, or with `lengths` one array
            Strings, integers or booleans; at least two distinct ones.
        lengths : array-like of int, optional

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For parameters or data out of range; the message names what, where, and the fix.
        KeyboardInterrupt
            After Ctrl-C; the fitted attributes hold the best weights so far.
        """
        owner = type(self).__name__
        X = listed(X, lengths is not None)
        hashed = kind_of(X if lengths is None else [X]) == NAMES
        layout = self._gathered(X, lengths, hashed)
        rows, start = layout.rows, layout.start
        classes, codes = check.encode_labels(
            _flat_labels(y, start, lengths is not None), rows.n, owner)
        K = len(classes)
        model = Chain(K, cost=_cost_matrix(self.cost, classes))
        svm = svm_of(self, model)
        try:
            svm.fit(check.table_of(rows), codes, np.diff(start))
        finally:
            if "coef_" in vars(svm):
                self._take(svm, classes, rows.d, hashed)
        return self

    def _take(self, svm: StructuredSVM, classes: np.ndarray, d: int, hashed: bool) -> None:
        K = len(classes)
        self.classes_, self.n_features_in_, self.hashed_ = classes, d, hashed
        forget_reading(self)
        parts = np.split(svm.coef_, [K * d, K * d + K * K, K * d + K * K + K])
        self._set_weights(parts[0].reshape(K, d), parts[1].reshape(K, K), parts[2], parts[3])
        hand_over(svm, self)

    def _set_weights(self, *parts: np.ndarray) -> np.ndarray:
        """Weights as kernels have them, of which the attributes become views."""
        K, d = parts[0].shape
        w = np.zeros((d + K + 2, kernels("structured").columns_for(K)))
        views = w[:d, :K].T, w[d : d + K, :K], w[d + K, :K], w[d + K + 1, :K]
        for view, part in zip(views, parts, strict=True):
            view[...] = part
        self.coef_, self.transitions_, self.start_, self.end_ = views
        self._ready = w.ravel(), views
        return self._ready[0]

    def _weights(self) -> np.ndarray:
        """What `_set_weights` made, or made anew when somebody has replaced a part of it."""
        parts = tuple(getattr(self, name) for name in WEIGHTS)
        ready = vars(self).get("_ready")
        if ready is not None and all(a is b for a, b in zip(parts, ready[1], strict=True)):
            return ready[0]
        self._check_arrays()
        return self._set_weights(*parts)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # X is a list of sequences
        tags.input_tags.dict = True
        tags.target_tags.required = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("_ready", None)  # copies would be views no more
        return state

    def _gathered(self, X: Any, lengths: Any, hashed: bool) -> Layout:
        owner = type(self).__name__
        if hashed:
            d = check.integer("n_features", self.n_features)
            if lengths is None:
                X, lengths = hash_tokens(X, d)
            else:
                X, _ = hash_tokens([X], d)
        return gathered_sequences(X, lengths, owner)

    def _predicted(self, X: Any, lengths: Any) -> tuple[np.ndarray, np.ndarray]:
        """Codes of all elements, and where each sequence begins."""
        self._check_fitted()
        X, owner = listed(X, lengths is not None), type(self).__name__
        try:
            if not self.hashed_:  # numbers in strings would be read as numbers
                self._check_kind(X, lengths)
            layout = self._gathered(X, lengths, self.hashed_)
        except (TypeError, ValueError):
            self._check_kind(X, lengths)  # the better message, if X is of the other kind
            raise
        if layout.rows.d != self.n_features_in_:
            raise ValueError(f"X has {layout.rows.d} features, but {owner} is expecting "
                             f"{self.n_features_in_} features as input")
        model, weights = Chain(len(self.classes_)), self._weights()
        return predicted(model, layout, lambda _: weights, self.n_jobs), layout.start

    def _check_kind(self, X: Any, lengths: Any) -> None:
        """Raise ValueError if tokens of X are not of the kind that `fit` has seen."""
        found = kind_of(X if lengths is None else [X])
        fitted = NAMES if self.hashed_ else NUMBERS
        if found is not None and found != fitted:
            raise ValueError(f"X has {found}, but this {type(self).__name__} was fitted on "
                             f"{fitted}")

    def predict(self, X: Any, lengths: Any = None) -> Any:
        """Labels of the elements of sequences.

        Parameters
        ----------
        X, lengths
            As for `fit`.

        Returns
        -------
        list of ndarray (length,), or with `lengths` one ndarray (rows,)

        Raises
        ------
        ValueError, TypeError
            For X that is not like that of `fit`.
        """
        codes, start = self._predicted(X, lengths)
        labels = self.classes_[codes]
        return labels if lengths is not None else np.split(labels, start[1:-1])

    def score(self, X: Any, y: Any, lengths: Any = None) -> float:
        """The share of labels that are predicted.

        Parameters
        ----------
        X, y, lengths
            As for `fit`; labels that `fit` has not seen count as errors.

        Returns
        -------
        float in 0..1

        Raises
        ------
        ValueError, TypeError
            As `predict`, and for y that does not fit X.
        """
        codes, start = self._predicted(X, lengths)
        owner = type(self).__name__
        y = check.label_array(_flat_labels(y, start, lengths is not None), len(codes), owner)
        check.check_same_kind(y, self.classes_, owner)
        return float(np.mean(self.classes_[codes] == y))

    def confusion(self, X: Any, y: Any, lengths: Any = None) -> np.ndarray:
        """Counts of pairs of labels: true ones in rows, predicted ones in columns.

        Parameters
        ----------
        X, y, lengths
            As for `fit`.

        Returns
        -------
        ndarray of int (K, K), in the order of `classes_`

        Raises
        ------
        ValueError, TypeError
            As `predict`, and for labels that `fit` has not seen.
        """
        codes, start = self._predicted(X, lengths)
        K = len(self.classes_)
        true = check.encode_known(_flat_labels(y, start, lengths is not None), len(codes),
                                  self.classes_, type(self).__name__,
                                  "leave sequences with other labels out, or fit on them as well")
        return np.bincount(true.astype(np.intp) * K + codes, minlength=K * K).reshape(K, K)

    def _check_params(self) -> None:
        svm_of(self, None)._options()
        check.random_seed(self.random_state)
        n_shares(self.n_jobs)
        check.integer("n_features", self.n_features)
        if self.cost is not None:
            _check_cost(self.cost)

    def _check_arrays(self) -> None:
        """Raise ValueError when the fitted attributes are missing or do not fit together."""
        found = vars(self)
        classes, d = found.get("classes_"), found.get("n_features_in_")
        if not isinstance(classes, np.ndarray) or classes.ndim != 1 or len(classes) < 2 or not (
                classes[1:] > classes[:-1]).all():
            raise ValueError("classes_ are not at least two distinct labels in ascending order")
        if type(d) is not int or d < 1 or type(found.get("hashed_")) is not bool:
            raise ValueError("n_features_in_ is no number of features, or hashed_ is missing")
        if found["hashed_"] and d != self.n_features:
            raise ValueError(f"n_features is {self.n_features!r}, n_features_in_ {d}")
        K = len(classes)
        for name, shape in (("coef_", (K, d)), ("transitions_", (K, K)), ("start_", (K,)),
                            ("end_", (K,))):  # fmt: skip
            check.finite_table(name, found.get(name), shape, type(self).__name__)


def _flat_labels(y: Any, start: np.ndarray, stacked: bool) -> Any:
    """Labels of all elements, in one array or list."""
    if stacked:
        return y
    if not hasattr(y, "__iter__"):
        raise TypeError(f"y must be a list of label sequences; got {check._show(y)}")
    parts = []
    for i, part in enumerate(y):
        if not hasattr(part, "__iter__") or isinstance(part, str | bytes):
            raise TypeError(f"sequence {i} of y must be a list of labels; got {check._show(part)}")
        parts.append(check.labels_of(part))
    if len(parts) != len(start) - 1:
        raise ValueError(f"y has {len(parts)} sequences of labels, X has {len(start) - 1} "
                         "sequences")
    for i, (part, size) in enumerate(zip(parts, np.diff(start), strict=True)):
        if len(part) != size:
            raise ValueError(f"sequence {i} of y has {len(part)} labels, sequence {i} of X has "
                             f"{size} elements")
    return [label for part in parts for label in part]


def _check_cost(cost: Any) -> None:
    """Raise for costs that are none, whatever the labels."""
    if not isinstance(cost, Mapping):
        raise TypeError("cost must be a dict of (label, other) to numbers, or None; got "
                        f"{check._show(cost)}")
    for pair, value in cost.items():
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise ValueError(f"cost has the key {pair!r}; keys must be pairs of labels")
        check.real("cost", value, positive=False)


def _cost_matrix(cost: Any, classes: np.ndarray) -> np.ndarray | None:
    if cost is None:
        return None
    if not isinstance(cost, Mapping):
        raise TypeError("cost must be a dict of (label, other) to numbers, or None; got "
                        f"{check._show(cost)}")
    place = {label: k for k, label in enumerate(classes.tolist())}
    out = 1.0 - np.eye(len(classes))
    for pair, value in cost.items():
        if not isinstance(pair, tuple) or len(pair) != 2 or any(p not in place for p in pair):
            raise ValueError(f"cost has the key {pair!r}; keys must be pairs of the labels "
                             f"{check._some(classes.tolist())}")
        if pair[0] == pair[1] and value != 0:
            raise ValueError(f"cost has {value!r} for {pair!r}; the right label costs nothing")
        out[place[pair[0]], place[pair[1]]] = check.real("cost", value, positive=False)
    return out
