# SPDX-License-Identifier: BSD-3-Clause
"""Sets of labels, which may depend on each other: the estimator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from .. import _validate as check
from .._estimator import Estimator
from .._threads import n_threads
from ._multilabel import Multilabel
from ._parts import Layout
from ._svm import StructuredSVM, hand_over, predicted, svm_of


class MultilabelSVM(Estimator):
    r"""Any number of labels for each row, with weights for pairs of labels.

    A structured SVM whose loss is the number of labels that are wrong; see `Multilabel` for the
    score and `StructuredSVM` for the problem.

    Parameters
    ----------
    C : float, default 1.0
        Weight of a row's loss.
    pairwise : bool, default True
        Whether pairs of labels have weights, for up to 20 labels; without, they are independent.
    cost : (2, 2) array-like or None, default None
        cost[0, 1] of a label too many, cost[1, 0] of a missing one; None: 1.
    solver, tol, max_iter, max_time, n_jobs, random_state, verbose, callback
        As for `StructuredSVM`.

    Attributes
    ----------
    classes_ : ndarray (K,)
        Labels, ascending; 0 to K - 1 for indicator matrices.
    coef_ : ndarray (K, d)
    intercept_ : ndarray (K,)
        Regularized as the weight of a feature of value 1.
    pairs_ : ndarray (K, K)
        Weights of pairs, 0 but above the diagonal.
    primal_objective_, dual_objective_, duality_gap_ : float
    n_iter_, n_calls_ : int
    converged_ : bool
    history_ : structured ndarray
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        When X was a data frame with string column names.

    Warns
    -----
    ConvergenceWarning
        When a fit ends before `tol`.

    References
    ----------
    T. Finley and T. Joachims, "Training structural SVMs when exact inference is intractable", ICML
    2008, section 4: pairwise multilabel models.

    Examples
    --------
    >>> import numpy as np
    >>> from hingex.structured import MultilabelSVM
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> svm = MultilabelSVM(C=10.0).fit(X, [["sun"], ["rain"], ["rain", "sun"]])
    >>> svm.predict(X)
    [('sun',), ('rain',), ('rain', 'sun')]
    """

    duality_gap_: float

    def __init__(
        self,
        C: float = 1.0,
        *,
        pairwise: bool = True,
        cost: Any = None,
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
        self.pairwise = pairwise
        self.cost = cost
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.max_time = max_time
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback

    def fit(self, X: Any, Y: Any) -> Self:
        """Train on rows and their sets of labels.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
        Y : indicator matrix (n, K), dense or sparse, or list of n collections of labels
            A list whose rows have the same length and hold nothing but 0 and 1 is taken for a
            matrix, unless there are sets among them.

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
        rows = check.as_rows(X, owner=owner)
        classes, table = None, Y
        items = _items(Y)
        if items is not None:
            given = _collections(items)
            if _is_matrix(items):
                table = np.array(given)
            else:
                classes, table = _indicator(given, rows.n)
        pairwise = check.boolean("pairwise", self.pairwise)
        svm = svm_of(self, Multilabel(pairwise=pairwise, cost=self.cost))
        try:
            svm.fit(check.table_of(rows), table)
        finally:
            if "coef_" in vars(svm):
                check.check_feature_names(self, X, reset=True)
                self._take(svm, classes, rows.d)
        return self

    def _take(self, svm: StructuredSVM, classes: np.ndarray | None, d: int) -> None:
        K = svm.model_.n_states
        self.n_features_in_, self.sets_ = d, classes is not None
        self.classes_ = np.arange(K) if classes is None else classes
        self.coef_, self.intercept_ = svm.coef_[: K * d].reshape(K, d), svm.coef_[K * d : K * d + K]
        pairs = svm.coef_[K * d + K :]
        self.pairs_ = pairs.reshape(K, K) if len(pairs) else np.zeros((K, K))
        hand_over(svm, self)

    def _predicted(self, X: Any) -> np.ndarray:
        self._check_fitted()
        rows = check.fitted_rows(self, X)
        K = len(self.classes_)
        parts = [self.coef_.ravel(), self.intercept_]
        if self.pairwise:
            parts.append(self.pairs_.ravel())
        model = Multilabel(K, pairwise=self.pairwise)
        layout = Layout(rows, np.arange(rows.n + 1))
        return predicted(model, layout, lambda blocks: blocks.packed(np.concatenate(parts)),
                         n_threads(self.n_jobs)).reshape(rows.n, K)

    def predict(self, X: Any) -> Any:
        """The best set of labels for each row.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)

        Returns
        -------
        ndarray of int (n, K), or a list of tuples of labels after a fit on such

        Raises
        ------
        ValueError, TypeError
            For X that is not like that of `fit`, or not finite.
        """
        table = self._predicted(X)
        if not self.sets_:
            return table
        return [tuple(self.classes_[row != 0].tolist()) for row in table]

    def score(self, X: Any, Y: Any) -> float:
        """The share of rows whose set of labels is predicted as it is.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
        Y : as for `fit`
            A row with a label that `fit` has not seen counts as an error.

        Returns
        -------
        float in 0..1

        Raises
        ------
        ValueError, TypeError
            As `predict`, and for Y that does not fit X, or is of another kind than in `fit`.
        """
        table = self._predicted(X)
        true, unseen = self._known(Y, len(table))
        return float(np.mean((table == true).all(axis=1) & ~unseen))

    def confusion(self, X: Any, Y: Any) -> np.ndarray:
        """For each label the rows without and with it, by whether it is predicted.

        Parameters
        ----------
        X, Y
            As for `score`.

        Returns
        -------
        ndarray of int (K, 2, 2)
            [k, true, predicted].

        Raises
        ------
        ValueError, TypeError
            As `score`, and for labels that `fit` has not seen.
        """
        table = self._predicted(X)
        true, unseen = self._known(Y, len(table))
        if unseen.any():
            row = int(unseen.argmax())
            raise ValueError(f"row {row} of Y has a label that is not among the classes of fit, "
                             f"which confusion counts: {check._some(self.classes_.tolist())}. "
                             "Leave other labels out of Y")
        K = len(self.classes_)
        code = np.arange(K) * 4 + 2 * true + table
        return np.bincount(code.ravel(), minlength=4 * K).reshape(K, 2, 2)

    def _known(self, Y: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
        """The indicator matrix of the labels of `fit`, and which rows have other labels as well."""
        items = _items(Y)
        if self.sets_:
            if items is None:
                raise ValueError(f"Y is an indicator matrix, but this {type(self).__name__} was "
                                 "fitted on collections of labels")
            return _indicator_of_known(_collections(items), n, self.classes_, type(self).__name__)
        if items is not None and not _is_matrix(items):
            raise ValueError(f"Y must be an indicator matrix, as in the fit of this "
                             f"{type(self).__name__}; got {check._show(items)}")
        Y = Y if items is None else items
        model = Multilabel(len(self.classes_))
        y = model._labels(Y, np.arange(n + 1), False)
        if len(y) != n * len(self.classes_):
            raise ValueError(f"Y has {len(y) // n} columns, expected {len(self.classes_)}")
        return y.reshape(n, -1), np.zeros(n, bool)


def _items(Y: Any) -> list[Any] | None:
    """Y as a list of what rows have, unless it is a matrix."""
    if check.is_sparse(Y) or hasattr(Y, "columns") or (hasattr(Y, "shape") and len(Y.shape) != 1):
        return None
    return list(Y) if hasattr(Y, "__iter__") and not isinstance(Y, str | bytes) else Y


def _is_matrix(items: list[Any]) -> bool:
    """Whether all rows are lists of the same length, of nothing but 0 and 1."""
    rows = _collections(items)
    return len({len(y) for y in rows}) == 1 and not any(
        isinstance(y, set | frozenset) for y in items) and all(
        isinstance(v, int | float | np.number | np.bool_) and v in (0, 1) for y in rows for v in y)


def _collections(Y: Any) -> list[list[Any]]:
    """The labels of each row."""
    if not hasattr(Y, "__iter__"):
        raise TypeError("Y must be an indicator matrix, or a list of collections of labels; got "
                        f"{check._show(Y)}")
    rows = []
    for y in Y:
        if not hasattr(y, "__iter__") or isinstance(y, str | bytes):
            raise ValueError("Y must be an indicator matrix, or a list of collections of labels; "
                             f"it holds {check._show(y)}. A single label is a list as well: "
                             "[label]")
        rows.append(check.labels_of(y))
    return rows


def _flat(Y: list[list[Any]], n: int) -> tuple[list[Any], np.ndarray]:
    """All labels of all rows, and how many each row has."""
    if len(Y) != n:
        raise ValueError(f"Y has {len(Y)} collections of labels, X has {n} rows")
    return [label for row in Y for label in row], np.array([len(row) for row in Y], np.intp)


def _indicator(Y: list[list[Any]], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels, ascending, and a matrix of zeros and ones."""
    flat, counts = _flat(Y, n)
    if not flat:
        raise ValueError("no row of Y has a label")
    labels = check.label_array(flat, len(flat), "MultilabelSVM")
    classes, codes = np.unique(np.array(labels.tolist()), return_inverse=True)
    out = np.zeros((n, len(classes)), np.int32)
    out[np.repeat(np.arange(n), counts), codes] = 1
    return classes, out


def _indicator_of_known(
    Y: list[list[Any]], n: int, classes: np.ndarray, owner: str
) -> tuple[np.ndarray, np.ndarray]:
    """A matrix of zeros and ones, a column for each of `classes`, and which rows have others."""
    flat, counts = _flat(Y, n)
    out, unseen = np.zeros((n, len(classes)), np.int32), np.zeros(n, bool)
    if not flat:
        return out, unseen
    labels = check.label_array(flat, len(flat), owner)
    check.check_same_kind(labels, classes, owner)
    place = {label: k for k, label in enumerate(classes.tolist())}
    codes = np.array([place.get(label, -1) for label in labels.tolist()])
    where, known = np.repeat(np.arange(n), counts), codes >= 0
    out[where[known], codes[known]] = 1
    unseen[where[~known]] = True
    return out, unseen
