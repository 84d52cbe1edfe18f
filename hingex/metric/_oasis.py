# SPDX-License-Identifier: BSD-3-Clause
"""A bilinear similarity that is learnt from triplets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from .. import _validate as check
from .._interop import framed
from .._result import warn
from ..metrics import mean_average_precision
from ..solvers import oasis
from ..stop import Monitor
from ._base import Metric

WIDEST = 20_000  # features of which all pairs get a weight without being asked for
FEWEST = 1000  # triplets of an epoch
BLOCK = 1 << 22  # similarities in a block


class OASIS(Metric):
    r"""A similarity of rows by which those that belong together come first (OASIS).

    Looks for the matrix W of :math:`S(a, b) = a^T W b`, beginning with the dot product, so that in
    triplets of a row, a similar and a dissimilar one, :math:`S(x, x^+) \geq 1 + S(x, x^-)`. Where
    that fails by l > 0, W makes a passive-aggressive step:

    .. math:: W \leftarrow W + \min(C, l / \|V\|^2) V, \qquad V = x (x^+ - x^-)^T

    Parameters
    ----------
    C : float, default 0.1
        Longest step, for rows of about unit norm. More learns faster, and noise as well.
    max_features : int or None, default None
        W has a weight for each pair of features; with wide data only for pairs of so many of them,
        those with the largest sums of squares. All others keep their part in the dot product. None
        for all of them, up to 20,000.
    n_triplets : int or None, default None
        Triplets drawn for an epoch; None for one for each row, and at least 1000. Without effect
        when `fit` is given triplets.
    tol : float, default 1e-3
        Stops when the mean loss of an epoch's triplets, each as seen before its step, has not
        fallen by this part of it for `n_iter_no_change` epochs. There is no duality gap here.
    n_iter_no_change : int, default 5
    max_iter : int, default 100
        Epochs.
    max_time : float or None, default None
        Seconds after which to stop.
    random_state : None, int, RandomState or Generator, default None
        Draws the triplets. None means 0.
    verbose : bool, default False
        Show a progress bar with epoch and mean loss.
    callback : callable or None, default None
        Called with a `hingex.stop.State` after every epoch (its `primal` is the mean loss,
        `active` the triplets with a loss); a true result stops the fit.

    Attributes
    ----------
    components_ : ndarray (k, k), float32 for float32 X, else float64
        W for the pairs of the k features of `features_`; elsewhere it is the identity.
    features_ : ndarray of int (k,)
        Columns of X, by falling sum of squares.
    loss_ : float
        Mean loss of the last epoch.
    n_iter_, n_steps_ : int
        Epochs, and triplets seen.
    converged_ : bool
    history_ : structured ndarray
        An entry per epoch; dual and gap are NaN.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        When X was a data frame with string column names.

    Warns
    -----
    ConvergenceWarning
        When a fit ends by `max_time` or the callback. All of `max_iter` epochs are no reason: the
        mean loss goes on falling for long after the ranking of new rows has ceased to improve.

    Notes
    -----
    A step costs the nonzeros of x times those of :math:`x^+ - x^-`. Float32 and float64 data, dense
    or CSR, are used where they lie; memory: k^2 weights, and O(n + d). W is not symmetric: the
    first argument is the query.

    References
    ----------
    G. Chechik, V. Sharma, U. Shalit and S. Bengio, "Large scale online learning of image similarity
    through ranking", JMLR 11, 2010.

    Examples
    --------
    >>> import numpy as np
    >>> import hingex
    >>> X = np.array([[1.0, 0.1], [1.0, 0.9], [0.0, 0.2], [0.0, 0.8]])
    >>> model = hingex.OASIS().fit(X, ["a", "a", "b", "b"])
    >>> S = model.similarity(X)
    >>> bool(S[0, 1] > S[0, 3] and S[2, 3] > S[2, 1])
    True
    """

    _fit_call = "fit(X, y)"  # in messages; y has a default, as triplets may take its place

    def __init__(
        self,
        C: float = 0.1,
        *,
        max_features: int | None = None,
        n_triplets: int | None = None,
        tol: float = 1e-3,
        n_iter_no_change: int = 5,
        max_iter: int = 100,
        max_time: float | None = None,
        random_state: Any = None,
        verbose: bool = False,
        callback: Callable[[Any], Any] | None = None,
    ) -> None:
        self.C = C
        self.max_features = max_features
        self.n_triplets = n_triplets
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.max_iter = max_iter
        self.max_time = max_time
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback

    def fit(self, X: Any, y: Any = None, *, triplets: Any = None) -> Self:
        """Learn W from labels, or from triplets.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
        y : array-like, shape (n,), optional
            Labels: rows of the same one are similar, all others are not. At least two distinct
            ones, and a class with two rows; a class with one row serves as dissimilar only.
        triplets : array-like of int, shape (m, 3), optional
            In place of y: numbers of rows of X, each time a row, a similar and a dissimilar one.
            An epoch visits each of them, in random order.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For parameters or data out of range; the message names what, where, and the fix.
        KeyboardInterrupt
            After Ctrl-C; the fitted attributes hold what was reached.
        """
        owner = type(self).__name__
        options = self._options()
        verbose, callback = self._watchers()
        rows = check.as_rows(X, owner=owner, min_rows=2)
        epoch = max(rows.n, FEWEST)
        if self.n_triplets is not None:
            epoch = check.integer("n_triplets", self.n_triplets)
        if triplets is None:
            codes = check.encode_labels(y, rows.n, owner)[1]
            if np.bincount(codes).max() < 2:
                raise ValueError(f"every class of y has one row; {owner} needs a class with two "
                                 "rows, which are similar")
            source = oasis.of_classes(codes)
        elif y is not None:
            raise ValueError("y and triplets were both given: leave out one of them")
        else:
            source = oasis.Triplets(_checked(triplets, rows.n))
        width = self._chosen_width(rows)
        check.squared_norms(rows, 1.0)  # for its errors
        check.check_feature_names(self, X, reset=True)
        features = oasis.chosen_features(rows, width)
        B = np.eye(width, dtype=np.float32 if rows.is_single else np.float64)
        monitor = Monitor(callback, verbose, options["tol"], options["max_time"], owner,
                          options["max_iter"])  # fmt: skip
        found = oasis.learn(B, rows, features, source, epoch=epoch, monitor=monitor, **options)
        self.components_, self.features_, self.n_features_in_ = B, features, rows.d
        self.history_, self.n_iter_, self.n_steps_ = found.history, found.n_iter, found.n_steps
        self.loss_ = float(found.history["primal"][-1]) if found.n_iter else float("nan")
        self.converged_ = found.status == "converged"
        if found.status == "interrupted":
            raise KeyboardInterrupt
        if found.status in ("max_time", "callback"):
            why = "max_time was reached" if found.status == "max_time" else "the callback asked it"
            warn(f"{owner} stopped in epoch {found.n_iter}, at a mean loss of {self.loss_:.3g}, "
                 f"because {why}", "ConvergenceWarning")
        return self

    def _options(self) -> dict[str, Any]:
        """The parameters as `oasis.learn` takes them."""
        for name in ("n_triplets", "max_features"):
            if getattr(self, name) is not None:
                check.integer(name, getattr(self, name))
        return {
            "C": check.positive_float("C", self.C),
            "tol": check.real("tol", self.tol, positive=False),
            "patience": check.integer("n_iter_no_change", self.n_iter_no_change),
            "max_iter": check.integer("max_iter", self.max_iter),
            "max_time": check.optional_positive_float("max_time", self.max_time),
            "seed": check.random_seed(self.random_state),
        }

    def _check_params(self) -> None:
        self._options()
        self._watchers()

    def _chosen_width(self, rows: Any) -> int:
        """Features of which pairs have a weight."""
        if self.max_features is not None:
            return min(rows.d, check.integer("max_features", self.max_features))
        if rows.d > WIDEST:
            size = 4 if rows.is_single else 8
            raise ValueError(
                f"max_features=None gives a weight to each pair of the {rows.d} features, "
                f"{size * rows.d**2 / 2**30:.1f} GiB; set max_features: 10000 take "
                f"{size * 10**8 / 2**30:.1f} GiB"
            )
        return int(rows.d)

    @property
    def _n_features_out(self) -> int:
        return int(self.n_features_in_)

    @framed
    def transform(self, X: Any) -> Any:
        """X @ W: its dot products with rows are their similarities to those of X.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)

        Returns
        -------
        ndarray (n, d), or CSR (n, d) for sparse X when `max_features` left features out
            Float32 for float32 X, else float64.

        Raises
        ------
        ValueError, TypeError
            For X that is not like that of `fit`, or not finite.
        """
        self._check_fitted()
        table = check.table_of(check.fitted_rows(self, X))
        moved = self._moved(table, self.features_)
        if not check.is_sparse(table) or len(self.features_) == self.n_features_in_:
            out = np.array(table.toarray() if check.is_sparse(table) else table)
            out[:, self.features_] += moved
            return out
        from scipy.sparse import csr_array

        n, k = moved.shape
        added = csr_array((moved.ravel(), np.tile(self.features_, n), np.arange(n + 1) * k),
                          shape=table.shape)  # fmt: skip
        if table.shape[1] > check.WIDE:
            # SciPy adds rows that are in order without work arrays of an entry for each column.
            table = table.copy()
            table.sum_duplicates()
            added.sum_duplicates()
        return csr_array(table + added)

    def similarity(self, X: Any, Y: Any = None) -> np.ndarray:
        """X W Y^T: similarities of rows of X, as queries, to rows of Y.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
        Y : array-like or sparse, shape (m, d), default X

        Returns
        -------
        ndarray (n, m), float32 for float32 data, else float64

        Raises
        ------
        ValueError, TypeError
            For data that are not like those of `fit`, or not finite.
        """
        self._check_fitted()
        left = check.table_of(check.fitted_rows(self, X))
        right = left if Y is None else check.table_of(check.fitted_rows(self, Y))
        out = np.empty((left.shape[0], right.shape[0]), np.result_type(left, right))
        left, right, features = self._narrow(left, right)
        part = _columns(right, features)
        step = max(1, BLOCK // max(right.shape[0], len(features)))
        for begin in range(0, len(out), step):
            rows = slice(begin, begin + step)
            out[rows] = self._similar(left[rows], right, part, features)
        return out

    def score(self, X: Any, y: Any) -> float:
        """Mean average precision when each row ranks all the others by their similarity to it.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
        y : array-like, shape (n,)
            Labels: rows of the same one are relevant. Rows that are alone in their class are no
            queries.

        Returns
        -------
        float in 0..1

        Raises
        ------
        ValueError, TypeError
            For data that are not like those of `fit`, or when no two rows have the same label.

        Notes
        -----
        O(n^2 (nnz / n + log n)) time, memory by blocks.
        """
        self._check_fitted()
        rows = check.fitted_rows(self, X)
        table, owner = check.table_of(rows), type(self).__name__
        codes = check.encode_labels(y, rows.n, owner)[1]
        queries = np.flatnonzero(np.bincount(codes)[codes] >= 2)
        if not len(queries):
            raise ValueError("every class of y has one row: there is nothing to be found")
        table, _, features = self._narrow(table, table)
        part = _columns(table, features)
        step = max(1, BLOCK // max(rows.n, len(features)))
        total = 0.0
        for begin in range(0, len(queries), step):
            some = queries[begin : begin + step]
            others = np.arange(rows.n) != some[:, None]
            relevant = codes == codes[some, None]
            scores = self._similar(table[some], table, part, features)
            qid = np.repeat(np.arange(len(some)), rows.n - 1)
            total += len(some) * mean_average_precision(relevant[others], scores[others], qid=qid)
        return total / len(queries)

    def _narrow(self, left: Any, right: Any) -> tuple[Any, Any, np.ndarray]:
        """Both tables, and `features_`, with columns numbered anew if there are very many.

        SciPy's products of sparse matrices have work arrays with an entry for each column.
        """
        if not check.is_sparse(left) or not check.is_sparse(right) or (
                self.n_features_in_ <= check.WIDE):
            return left, right, self.features_
        columns = np.unique(np.concatenate([left.indices, right.indices, self.features_]))
        places = np.searchsorted(columns, self.features_)
        left, right = (_columns(table, columns) for table in (left, right))
        return left, right, places

    def _moved(self, table: Any, features: np.ndarray) -> np.ndarray:
        """X (W - I) in the columns `features`."""
        part = _columns(table, features)
        return np.asarray(part @ self.components_.astype(table.dtype, copy=False)) - (
            part.toarray() if check.is_sparse(part) else part)

    def _similar(self, left: Any, right: Any, right_part: Any, features: np.ndarray) -> np.ndarray:
        plain = left @ right.T
        plain = plain.toarray() if check.is_sparse(plain) else plain
        return np.asarray(plain + (right_part @ self._moved(left, features).T).T)

    def _check_arrays(self) -> None:
        d, features = self._width(), vars(self).get("features_")
        if (not isinstance(features, np.ndarray) or features.dtype.kind != "i" or features.ndim != 1
                or not len(features) or features.min() < 0 or features.max() >= d
                or len(np.unique(features)) < len(features)):
            raise ValueError("features_ must be distinct columns of X")
        self._finite("components_", len(features), len(features))


def _columns(table: Any, features: np.ndarray) -> Any:
    """Columns of a table, in memory that follows what they and the table hold."""
    if not check.is_sparse(table) or table.shape[1] <= check.WIDE:
        return table[:, features]
    from scipy.sparse import csr_array

    order = np.argsort(features)
    place = np.minimum(np.searchsorted(features, table.indices, sorter=order), len(features) - 1)
    column = order[place]
    known = features[column] == table.indices
    indptr = np.concatenate([[0], np.cumsum(known)])[table.indptr]
    return csr_array((table.data[known], column[known], indptr), (table.shape[0], len(features)))


def _checked(triplets: Any, n: int) -> np.ndarray:
    """Triplets as int64 (m, 3), each of rows 0..n-1."""
    given = check.given_array(triplets, "triplets")
    if given.ndim != 2 or given.shape[1] != 3 or not len(given) or given.dtype.kind not in "iu":
        raise ValueError("triplets must be integers of shape (m, 3), each time a row, a similar "
                         f"and a dissimilar one, m > 0; got shape {given.shape}, dtype "
                         f"{given.dtype}")
    outside = (given < 0) | (given >= n)
    if outside.any():
        i, j = np.argwhere(outside)[0]
        raise ValueError(f"triplets[{i}, {j}] is {given[i, j]}, but X has {n} rows, numbered 0 to "
                         f"{n - 1}")
    same = given[:, 1] == given[:, 2]
    if same.any():
        i = int(np.argmax(same))
        raise ValueError(f"triplets[{i}] has row {given[i, 1]} both as the similar and the "
                         "dissimilar one")
    return np.ascontiguousarray(given, dtype=np.int64)
