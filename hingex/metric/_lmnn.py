# SPDX-License-Identifier: BSD-3-Clause
"""Large-margin nearest neighbours, as a transformer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from .. import _validate as check
from .._interop import framed
from .._result import warn
from ..solvers import lmnn
from ..stop import Monitor
from ._base import Metric

WIDEST = 5000  # features up to which their covariance is formed for init="pca"


class LMNN(Metric):
    r"""A linear map for k nearest neighbours: large margins between classes (LMNN).

    Looks for the matrix L, with :math:`d_{ab} = \|L x_a - L x_b\|^2`, that minimises

    .. math:: r \sum_{i, j \in N(i)} d_{ij} + (1 - r) \sum_{i, j \in N(i)} \sum_{l: y_l \neq y_i}
              \max(0, 1 + d_{ij} - d_{il})^p

    where N(i) are the `n_neighbors` rows of :math:`x_i`'s class that are nearest in the data as
    they are, p is 1 for the hinge and 2 for the squared hinge, and r is `regularization`.

    Parameters
    ----------
    n_neighbors : int, default 3
        Targets of a row. Rows of smaller classes have as many as there are; a class with one row
        has none, and pushes others away all the same.
    n_components : int or None, default None
        Rows of L, dimensions of the result; None for as many as there are features.
    init : {"auto", "identity", "pca"} or array-like (n_components, d), default "auto"
        Where L begins: the identity, or the directions of the largest variance. "auto" takes the
        identity for None components and else pca. The problem is not convex in L.
    loss : {"hinge", "squared_hinge"}, default "hinge"
    regularization : float, default 0.5
        r, in 0..1 without 1.
    tol : float, default 1e-5
        Stops when an iteration lowers the objective by less than this part of it. There is no
        duality gap here.
    max_iter : int, default 1000
    max_time : float or None, default None
        Seconds after which to stop.
    verbose : bool, default False
        Show a progress bar with iteration and objective.
    callback : callable or None, default None
        Called with a `hingex.stop.State` after every iteration (its `primal` is the objective,
        `active` the margins with a loss); a true result stops the fit.

    Attributes
    ----------
    components_ : ndarray (n_components, d), float64
        L.
    classes_ : ndarray (K,)
    objective_ : float
    n_iter_ : int
    converged_ : bool
    history_ : structured ndarray
        An entry per iteration; dual and gap are NaN.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        When X was a data frame with string column names.

    Warns
    -----
    ConvergenceWarning
        When a fit ends before `tol`.

    Notes
    -----
    Float32 and float64 data, dense or CSR, are used where they lie. Impostors (rows l with a loss)
    are found by blocks of matrix products, and only among candidates as long as the triangle
    inequality rules the others out: the objective is exact at each step, and memory O(n) besides
    them. Scale matters: the margin is 1. With features of very different sizes, scale them.

    References
    ----------
    K. Q. Weinberger and L. K. Saul, "Distance metric learning for large margin nearest neighbor
    classification", JMLR 10, 2009.

    Examples
    --------
    >>> import numpy as np
    >>> import hingex
    >>> X = np.array([[0.0, 0.0], [0.1, 9.0], [2.0, 1.0], [2.1, 8.0]])
    >>> metric = hingex.LMNN(n_neighbors=1).fit(X, ["a", "a", "b", "b"])
    >>> Z = metric.transform(X)
    >>> bool(((Z[0] - Z[1]) ** 2).sum() < ((Z[0] - Z[2]) ** 2).sum())
    True
    """

    def __init__(
        self,
        n_neighbors: int = 3,
        *,
        n_components: int | None = None,
        init: Any = "auto",
        loss: str = "hinge",
        regularization: float = 0.5,
        tol: float = 1e-5,
        max_iter: int = 1000,
        max_time: float | None = None,
        verbose: bool = False,
        callback: Callable[[Any], Any] | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.n_components = n_components
        self.init = init
        self.loss = loss
        self.regularization = regularization
        self.tol = tol
        self.max_iter = max_iter
        self.max_time = max_time
        self.verbose = verbose
        self.callback = callback

    def fit(self, X: Any, y: Any) -> Self:
        """Learn L from (X, y).

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)
        y : array-like, shape (n,)
            Labels: at least two distinct ones, and a class with two rows.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For parameters or data out of range; the message names what, where, and the fix.
        KeyboardInterrupt
            After Ctrl-C; the fitted attributes hold the best L so far.
        """
        owner = type(self).__name__
        options = self._options()
        verbose, callback = self._watchers()
        rows = check.as_rows(X, owner=owner, min_rows=2)
        classes, codes = check.encode_labels(y, rows.n, owner)
        counts = np.bincount(codes)
        if counts.max() < 2:
            raise ValueError(f"every class of y has one row; {owner} needs a class with two rows, "
                             "which are to be neighbours")
        check.squared_norms(rows, 1.0)  # for its errors
        table = check.table_of(rows)
        start = self._start(table, rows.d)
        check.check_feature_names(self, X, reset=True)
        max_iter = options["max_iter"]
        monitor = Monitor(callback, verbose, options["tol"], options["max_time"], owner, max_iter)
        options["n_neighbors"] = min(options["n_neighbors"], int(counts.max()) - 1)
        found = lmnn.solve(table, codes, start, monitor=monitor, **options)
        self.classes_, self.n_features_in_ = classes, rows.d
        self.components_, self.objective_ = found.components, found.objective
        self.n_iter_, self.converged_, self.history_ = (
            found.n_iter, found.converged, found.history)
        if found.status == "interrupted":
            raise KeyboardInterrupt
        if not found.converged:
            why = {
                "max_iter": f"max_iter={max_iter} was reached: raise it, or tol",
                "max_time": "max_time was reached: raise it, or tol",
                "callback": "the callback stopped it",
                "stalled": "the line search found no lower objective: raise tol, or scale the "
                           "features to similar ranges",
            }[found.status]
            warn(f"{owner} stopped after {found.n_iter} iterations at an objective of "
                 f"{found.objective:.6g}, because {why}", "ConvergenceWarning")
        return self

    def _options(self) -> dict[str, Any]:
        """The parameters as `lmnn.solve` takes them."""
        ratio = check.real("regularization", self.regularization, positive=False)
        if ratio >= 1:
            raise ValueError(f"regularization must lie in 0..1, without 1; got {ratio!r}: the "
                             "margins would have no weight")
        return {
            "n_neighbors": check.integer("n_neighbors", self.n_neighbors),
            "loss": check.choice("loss", self.loss, lmnn.LOSSES),
            "regularization": ratio,
            "tol": check.positive_float("tol", self.tol),
            "max_iter": check.integer("max_iter", self.max_iter),
            "max_time": check.optional_positive_float("max_time", self.max_time),
        }

    def _check_params(self) -> None:
        self._options()
        self._watchers()
        if self.n_components is not None:
            check.integer("n_components", self.n_components)
        if isinstance(self.init, str):
            check.choice("init", self.init, ("auto", "identity", "pca"))
        elif np.ndim(self.init) != 2 or np.asarray(self.init).dtype.kind not in "fiu":
            raise ValueError("init must be finite numbers of shape (n_components, features)")

    def _start(self, X: Any, d: int) -> np.ndarray:
        p = d if self.n_components is None else check.integer("n_components", self.n_components)
        if p > d:
            raise ValueError(f"n_components must be at most the number of features, {d}; got {p}")
        init = self.init
        if not isinstance(init, str):
            given = check.given_array(init, "init")
            fits = given.dtype.kind in "fiu" and given.shape == (p, d)
            if not fits or not np.isfinite(given).all():
                raise ValueError(f"init must be finite numbers of shape ({p}, {d}), (n_components, "
                                 f"features); got shape {given.shape}, dtype {given.dtype}"
                                 f"{', with NaN or infinity' if fits else ''}")
            return given.astype(np.float64)
        check.choice("init", init, ("auto", "identity", "pca"))
        if init == "identity" or (init == "auto" and p == d):
            return np.eye(p, d)
        if d > WIDEST:
            raise ValueError(f'init="pca" forms the covariance of the features, for up to {WIDEST} '
                             f"of them; got {d}. Pass an array as init, or fewer features")
        mean = np.asarray(X.mean(axis=0), np.float64).ravel()
        products = X.T @ X
        products = products.toarray() if hasattr(products, "toarray") else products
        covariance = np.asarray(products, np.float64) / X.shape[0] - np.outer(mean, mean)
        directions = np.linalg.eigh(covariance)[1][:, ::-1][:, :p].T
        # One sign of the two, whatever LAPACK gives.
        largest = np.abs(directions).argmax(axis=1)
        return directions * np.sign(directions[np.arange(p), largest])[:, None]

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    @framed
    def transform(self, X: Any) -> Any:
        """X @ components_.T: rows between which Euclidean distances are the metric.

        Parameters
        ----------
        X : array-like or sparse, shape (n, d)

        Returns
        -------
        ndarray (n, n_components), float32 for float32 X, else float64

        Raises
        ------
        ValueError, TypeError
            For X that is not like that of `fit`, or not finite.
        """
        self._check_fitted()
        table = check.table_of(check.fitted_rows(self, X))
        return np.asarray(table @ self.components_.T.astype(table.dtype, copy=False))

    def get_mahalanobis_matrix(self) -> np.ndarray:
        """M = L^T L, (d, d): the squared distance of a and b is (a - b)^T M (a - b)."""
        self._check_fitted()
        return self.components_.T @ self.components_

    def _check_arrays(self) -> None:
        self._finite("components_", None, self._width())
