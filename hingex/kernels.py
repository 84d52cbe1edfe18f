# SPDX-License-Identifier: BSD-3-Clause
r"""Kernels: blocks of values between rows of dense and CSR tables, and what SVMs make of names.

=========  =====================================================  ================
linear     :math:`x \cdot z`
poly       :math:`(\gamma\, x \cdot z + c_0)^{degree}`
rbf        :math:`\exp(-\gamma \|x - z\|_2^2)`
sigmoid    :math:`\tanh(\gamma\, x \cdot z + c_0)`                not a true kernel
laplacian  :math:`\exp(-\gamma \|x - z\|_1)`
chi2       :math:`\exp(-\gamma \sum_k (x_k - z_k)^2 / (x_k + z_k))`  features of at least 0
=========  =====================================================  ================

A kernel of one's own is a function, or an object with ``__call__``, as `RowKernel` describes: it is
asked for blocks, some rows with others, and the whole Gram matrix is never formed.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from . import _validate as check
from ._core import kernels
from ._threads import n_threads

__all__ = ["NAMES", "RowKernel", "chi2", "gram", "laplacian", "linear", "poly", "rbf", "sigmoid"]

NAMES = ("linear", "poly", "rbf", "sigmoid", "laplacian", "chi2")
USES = {  # parameters, by kernel
    "linear": (), "poly": ("degree", "gamma", "coef0"), "rbf": ("gamma",),
    "sigmoid": ("gamma", "coef0"), "laplacian": ("gamma",), "chi2": ("gamma",),
}  # fmt: skip
_SINGLE_SPREAD = 64.0  # largest exponent of a kernel up to which single precision is enough
_FINE, _FINE_SPREAD = 1e-4, 4.0  # the same for a finer tol than this
_SINGLE_WIDTH = 4096  # terms of a sum up to which it is
_SINGLE_RANGE = 1e24  # sums of squares, from its inverse on, up to which it is
_LARGEST_FEATURE = 1e150  # float64 holds sums of squares of features up to this size
_LARGEST_VALUE = 1e150  # kernel value, from its inverse on, whose square float64 holds
_SMALLEST_VARIANCE = 1e-290  # whose inverse float64 holds
_LEVEL = 8.0  # times its standard deviation: mean of a column that costs too many digits
_LEVEL_EXPONENT = 64.0  # gamma times squared means that costs too many digits of an exponent
_MOST_LEVEL_EXPONENT = 1e9  # up to which exponents are exact to 1e-7
_COPY_MOST = 40_000_000  # numbers up to which CSR rows are copied to dense ones for that
_ROWS_AT_ONCE = 1 << 16  # values, for sums over blocks of rows


class RowKernel(Protocol):
    """What SVMs take as a kernel of the user's.

    ``kernel(A, B)`` returns an array of shape (rows of A, rows of B) of finite float32 or float64
    numbers. A and B hold rows of the X that was given to `fit` or `predict`, which may be anything
    that is indexed by rows, and stays what it is: a list of strings, of graphs or of sequences
    gives lists, an array of any dtype and dimension arrays, a sparse matrix CSR; of frames come
    the values. Nothing is converted to numbers, or looked through for NaN, as the kernel may know
    what to do with it. Lists of numbers stay lists, too: ``np.asarray(X)`` makes a table of them.

    It must be symmetric, and positive semidefinite if the optimum is to be one. It is called with
    some hundred rows in A at a time, from one thread.

    Examples
    --------
    >>> class Halved:
    ...     def __call__(self, A, B):
    ...         return 0.5 * A @ B.T
    >>> import numpy as np
    >>> import hingex
    >>> X = np.array([[0.0], [2.0]])
    >>> hingex.SVC(kernel=Halved()).fit(X, [0, 1]).predict(X + 1).tolist()
    [0, 1]
    """

    def __call__(self, A: Any, B: Any) -> np.ndarray: ...


class Parameters(NamedTuple):
    """A named kernel with numbers for its parameters."""

    name: str
    degree: int
    gamma: float
    coef0: float


def linear(X: Any, Z: Any = None, *, n_jobs: int | None = None) -> np.ndarray:
    """Dot products x . z.

    Parameters
    ----------
    X, Z : array-like or sparse, shapes (n, d) and (m, d)
        Z is X by default.
    n_jobs : int or None, default None
        Threads; None means the CPUs available to this process. Results do not depend on it.

    Returns
    -------
    ndarray of float64, shape (n, m)

    Raises
    ------
    ValueError, TypeError
        For tables that are not finite, or that differ in their number of features.

    Notes
    -----
    As all kernels here: in double precision, O(n m d) or, of CSR rows, O(m nnz(X)).

    Examples
    --------
    >>> from hingex import kernels
    >>> kernels.linear([[1.0, 2.0]], [[1.0, 0.0], [0.0, 2.0]]).round(4).tolist()
    [[1.0, 4.0]]
    """
    return gram(X, Z, kernel="linear", n_jobs=n_jobs)


def poly(
    X: Any, Z: Any = None, *, degree: int = 3, gamma: Any = "scale", coef0: float = 0.0,
    n_jobs: int | None = None,
) -> np.ndarray:
    """Polynomial kernel (gamma x . z + coef0)^degree; the rest as `gram`.

    Examples
    --------
    >>> from hingex import kernels
    >>> kernels.poly([[1.0, 2.0]], [[1.0, 0.0], [0.0, 2.0]], degree=2, gamma=1.0).round(4).tolist()
    [[1.0, 16.0]]
    """
    return gram(X, Z, kernel="poly", degree=degree, gamma=gamma, coef0=coef0, n_jobs=n_jobs)


def rbf(
    X: Any, Z: Any = None, *, gamma: Any = "scale", n_jobs: int | None = None
) -> np.ndarray:
    """Gaussian kernel exp(-gamma ||x - z||^2); the rest as `gram`.

    Examples
    --------
    >>> from hingex import kernels
    >>> kernels.rbf([[1.0, 2.0]], [[1.0, 0.0], [0.0, 2.0]], gamma=0.5).round(4).tolist()
    [[0.1353, 0.6065]]
    """
    return gram(X, Z, kernel="rbf", gamma=gamma, n_jobs=n_jobs)


def sigmoid(
    X: Any, Z: Any = None, *, gamma: Any = "scale", coef0: float = 0.0, n_jobs: int | None = None
) -> np.ndarray:
    """tanh(gamma x . z + coef0), which is not positive semidefinite; the rest as `gram`.

    Examples
    --------
    >>> from hingex import kernels
    >>> kernels.sigmoid([[1.0, 2.0]], [[1.0, 0.0], [0.0, 2.0]], gamma=0.5).round(4).tolist()
    [[0.4621, 0.964]]
    """
    return gram(X, Z, kernel="sigmoid", gamma=gamma, coef0=coef0, n_jobs=n_jobs)


def laplacian(
    X: Any, Z: Any = None, *, gamma: Any = "scale", n_jobs: int | None = None
) -> np.ndarray:
    """Laplacian kernel exp(-gamma sum_k |x_k - z_k|); the rest as `gram`.

    Examples
    --------
    >>> from hingex import kernels
    >>> kernels.laplacian([[1.0, 2.0]], [[1.0, 0.0], [0.0, 2.0]], gamma=0.5).round(4).tolist()
    [[0.3679, 0.6065]]
    """
    return gram(X, Z, kernel="laplacian", gamma=gamma, n_jobs=n_jobs)


def chi2(X: Any, Z: Any = None, *, gamma: Any = 1.0, n_jobs: int | None = None) -> np.ndarray:
    """Kernel of histograms exp(-gamma sum_k (x_k - z_k)^2 / (x_k + z_k)), 0 / 0 = 0.

    Features must not be negative; the rest as `gram`.

    Examples
    --------
    >>> from hingex import kernels
    >>> kernels.chi2([[1.0, 2.0]], [[1.0, 0.0], [0.0, 2.0]]).round(4).tolist()
    [[0.1353, 0.3679]]
    """
    return gram(X, Z, kernel="chi2", gamma=gamma, n_jobs=n_jobs)


def gram(
    X: Any, Z: Any = None, *, kernel: str = "rbf", degree: int = 3, gamma: Any = "scale",
    coef0: float = 0.0, n_jobs: int | None = None,
) -> np.ndarray:
    """Block of kernel values of the rows of X with the rows of Z.

    Parameters
    ----------
    X, Z : array-like or sparse, shapes (n, d) and (m, d)
        Z is X by default.
    kernel : {"linear", "poly", "rbf", "sigmoid", "laplacian", "chi2"}, default "rbf"
        See the module's table.
    degree : int, default 3
        Not negative.
    gamma : {"scale", "auto"} or float, default "scale"
        "scale" is 1 / (d var(X)), "auto" 1 / d.
    coef0 : float, default 0.0
    n_jobs : int or None, default None
        Threads; None means the CPUs available to this process. Results do not depend on it.

    Returns
    -------
    ndarray of float64, shape (n, m)

    Raises
    ------
    ValueError, TypeError
        For parameters out of range, tables that are not finite or differ in their number of
        features.

    Examples
    --------
    >>> from hingex import kernels
    >>> kernels.gram([[0.0], [2.0]], [[1.0]], kernel="linear")
    array([[0.],
           [2.]])
    """
    rows = check.as_rows(X, owner="gram")
    given = read_kernel(kernel, degree, gamma, coef0, rows)
    threads = n_threads(n_jobs)
    if Z is None:
        points = other = exact_points(check.narrowed(rows), given)
    else:
        theirs = check.as_rows(Z, owner="gram")
        if theirs.d != rows.d:
            raise ValueError(f"X has {rows.d} features, Z has {theirs.d}: they must be as many")
        pair = check.narrowed_together(rows, theirs) or (rows, theirs)
        points, other = (exact_points(part, given) for part in pair)
    out = np.empty((points.n, other.n))
    points.values(np.arange(points.n), other, np.arange(other.n), out, threads)
    return out


def read_kernel(
    kernel: str, degree: Any, gamma: Any, coef0: Any, rows: Any, weights: Any = None
) -> Parameters:
    """The parameters that a kernel uses, checked; others are 0 and not looked at.

    `weights` (n,) are those of the rows, for "scale"; None if all are 1.
    """
    name = check.choice("kernel", kernel, NAMES)
    used = USES[name]
    return Parameters(
        name,
        read_degree(degree) if "degree" in used else 0,
        read_gamma(gamma, rows, weights) if "gamma" in used else 0.0,
        read_coef0(coef0) if "coef0" in used else 0.0,
    )


def read_gamma(gamma: Any, rows: Any, weights: Any = None) -> float:
    """The number that "scale" and "auto" stand for, or gamma itself."""
    if isinstance(gamma, str):
        if check.choice("gamma", gamma, ("scale", "auto")) == "auto":
            return 1.0 / max(1, rows.d)
        _refuse_large(rows)
        spread = variance(rows, weights)
        if not _SMALLEST_VARIANCE <= spread < np.inf and not _is_constant(rows):
            row, column = position_of_largest(rows)
            raise ValueError(f"gamma='scale' is 1 / (d var(X)), and var(X) is {spread:.3g}: the "
                             f"value of largest size in X, at row {row}, column {column}, is too "
                             f"{'small' if spread < 1 else 'large'}. Scale the features, or give "
                             "gamma as a number")
        return 1.0 / (rows.d * spread) if spread > 0 else 1.0
    return check.real("gamma", gamma, positive=False)


def read_degree(degree: Any) -> int:
    """degree as an int that C has."""
    number = check.integer("degree", degree, minimum=0)
    if number >= 2**31:
        raise ValueError(f"degree must be less than 2**31; got {number}")
    return number


def read_coef0(coef0: Any) -> float:
    """coef0 as a finite float of any sign."""
    if isinstance(coef0, bool | np.bool_) or not isinstance(coef0, (int, float, np.number)):
        raise TypeError(f"coef0 must be a number; got {coef0!r}")
    if not np.isfinite(coef0):
        raise ValueError(f"coef0 must be finite; got {coef0!r}")
    return float(coef0)


def variance(rows: Any, weights: Any = None) -> float:
    """Of all entries of the table, zeros of sparse ones included.

    With weights (n,), of a table that has each row as often as its weight says.
    """
    if weights is not None and (weights != weights[0]).any():
        return _weighted_variance(rows, weights)
    values = rows.arrays[0]
    if not rows.is_csr:
        return float(np.var(values, dtype=np.float64))
    values, total = values[:rows.nnz], rows.n * rows.d
    mean = float(values.sum(dtype=np.float64)) / total
    square = (total - rows.nnz) * mean * mean
    for at in range(0, rows.nnz, _ROWS_AT_ONCE):
        part = values[at:at + _ROWS_AT_ONCE].astype(np.float64) - mean
        square += float(part @ part)
    return square / total


def _weighted_variance(rows: Any, weights: np.ndarray) -> float:
    share = weights / weights.max()
    total = float(share.sum()) * rows.d
    mean = _weighted_sum(rows, share, lambda x: x) / total
    square = _weighted_sum(rows, share, lambda x: (x - mean) ** 2)
    if rows.is_csr:  # the zeros
        stored = _weighted_sum(rows, share, np.ones_like)
        square += (total - stored) * mean * mean
    return square / total


def _weighted_sum(rows: Any, share: np.ndarray, term: Callable[[np.ndarray], np.ndarray]) -> float:
    """sum_i share_i sum_k term(x_ik) over what is stored of rows with a share, some at a time."""
    values, _, indptr = rows.arrays
    step, total = max(1, _ROWS_AT_ONCE * rows.n // max(rows.n, rows.nnz)), 0.0
    for a in range(0, rows.n, step):
        own = share[a:a + step]
        if indptr is None:
            some = values[a:a + step][own > 0].astype(np.float64)
            each = np.broadcast_to(own[own > 0, None], some.shape)
        else:
            ends = indptr[a:a + step + 1]
            each = np.repeat(own, np.diff(ends))
            some = values[ends[0]:ends[-1]][each > 0].astype(np.float64)
            each = each[each > 0]
        total += float((each * term(some)).sum())
    return total


def _is_constant(rows: Any) -> bool:
    """Whether all entries of the table, zeros of sparse ones included, are the same."""
    if rows.n * rows.d == 0:
        return True
    values = rows.arrays[0]
    if not rows.is_csr:
        return bool(values.max() == values.min())
    if rows.nnz == 0:
        return True
    values = values[:rows.nnz]
    least, most = float(values.min()), float(values.max())
    return least == most and (most == 0 or rows.nnz == rows.n * rows.d)


def exact_points(rows: Any, kernel: Parameters, centre: np.ndarray | None = None) -> Any:
    """Points for values in double precision, of rows less a centre if there is one."""
    _refuse_negative(rows, kernel)
    points = kernels("kernel_rows").Points(rows, *kernel, True, centre)
    if not points.largest_own <= _LARGEST_FEATURE**2:  # else no feature is larger
        _refuse_large(rows)
    return points


def training_points(
    rows: Any, kernel: Parameters, tol: float = 1e-3, sum_zero: bool = True,
    counted: np.ndarray | None = None,
) -> Any:
    """Points for a solver, which has float32 values: from sums in single precision if that will do.

    Single precision has 24 bits. A kernel exp(-u) loses as many of them as the terms of its
    exponent u have: those of the farthest row, with columns centred as far as that is free. So it
    is of the linear kernel too: pairs of duals that move up and down see differences only. For
    gradients of rows less the centre the sum of all duals must be 0 (`sum_zero`). The centre is
    that of the rows `counted`, or of all.
    """
    _refuse_small(rows, kernel, _refuse_large(rows))
    _refuse_negative(rows, kernel)
    rows = check.narrowed(rows)
    make, centre, shifted = kernels("kernel_rows").Points, None, False
    if not rows.is_csr and kernel.name in ("linear", "rbf", "laplacian"):
        centre = column_means(rows, counted)
        shifted = sum_zero and kernel.name == "linear" and _has_level(rows, centre, counted)
    made = make(rows, *kernel, False, centre, shifted)
    largest = made.largest_own
    spread = kernel.gamma * largest if kernel.name != "linear" else 0.0
    longest = rows.d if not rows.is_csr else rows.nnz / rows.n
    _refuse_values(made, kernel, largest_diagonal(made, kernel))
    in_range = largest == 0 or 1 / _SINGLE_RANGE < largest < _SINGLE_RANGE
    if in_range and longest <= _SINGLE_WIDTH and (
            spread <= (_SINGLE_SPREAD if tol >= _FINE else _FINE_SPREAD)):
        return made
    return make(rows, *kernel, True, centre, shifted)


def dense_if_level(rows: Any, kernel: Parameters) -> Any:
    """A dense copy of CSR rows whose columns have means that cost too many digits; else the rows.

    Sums of rows less the means of columns keep the digits, and have no zeros. Rows that would take
    more than `_COPY_MOST` numbers stay as they are, up to means that leave a kernel exp(-u) no
    digits to learn from: these raise ValueError.
    """
    if not rows.is_csr or kernel.name not in ("linear", "rbf"):
        return rows
    small = rows.n * rows.d <= _COPY_MOST
    if kernel.name == "linear":
        return _dense_copy(rows) if small and _is_level(*_sparse_moments(rows)) else rows
    # The squared mean is no larger than the mean of squares.
    if kernel.gamma * rows.sq_norms(np.empty(rows.n, dtype=np.float32)) <= _LEVEL_EXPONENT:
        return rows
    means, _ = _sparse_moments(rows)
    exponent = kernel.gamma * float(means @ means)
    if exponent <= _LEVEL_EXPONENT:
        return rows
    if small:
        return _dense_copy(rows)
    if exponent > _MOST_LEVEL_EXPONENT:
        column = int(np.abs(means).argmax())
        raise ValueError(f"column {column} of X has the mean {means[column]:.3g}: with "
                         f"gamma={kernel.gamma:.3g}, too large for distances of sparse rows in "
                         "float64. Subtract a constant from the column, or scale it")
    return rows


def _dense_copy(rows: Any) -> Any:
    return check.as_rows(check.table_of(rows).toarray(), check_finite=False)


def _sparse_moments(rows: Any) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations of the columns of CSR rows."""
    values, indices, _ = rows.arrays
    total, square, stored = np.zeros((3, rows.d))
    parts = [slice(at, min(at + _ROWS_AT_ONCE, rows.nnz))
             for at in range(0, rows.nnz, _ROWS_AT_ONCE)]
    for part in parts:
        total += np.bincount(indices[part], values[part], minlength=rows.d)
        stored += np.bincount(indices[part], minlength=rows.d)
    means = total / rows.n
    for part in parts:
        apart = (values[part] - means[indices[part]]) ** 2
        square += np.bincount(indices[part], apart, minlength=rows.d)
    square += (rows.n - stored) * means**2
    return means, np.sqrt(square / rows.n)


def column_means(rows: Any, counted: np.ndarray | None = None) -> np.ndarray:
    """Means of the columns of dense rows: the same bits for every order in memory.

    Of the rows with these numbers, if there are some.
    """
    total, n = np.zeros(rows.d), 0
    for part in _dense_blocks(rows, counted):
        total += part.sum(axis=0)
        n += len(part)
    means: np.ndarray = total / max(1, n)
    return means


def _dense_blocks(rows: Any, counted: np.ndarray | None) -> Iterator[np.ndarray]:
    """Rows with these numbers, or all, as float64 in C order, some at a time."""
    values, n = np.asarray(rows.arrays[0]), rows.n if counted is None else len(counted)
    step = max(1, _ROWS_AT_ONCE // max(1, rows.d))
    for at in range(0, n, step):
        part = values[at:at + step] if counted is None else values[counted[at:at + step]]
        yield np.ascontiguousarray(part, dtype=np.float64)


def prediction_centre(rows: Any, kernel: Parameters) -> np.ndarray | None:
    """What to subtract from all rows where large means of columns cost too many digits, or None.

    `rows` are the support vectors: a model from a file has nothing else.
    """
    if rows.is_csr or rows.n == 0 or kernel.name not in ("linear", "rbf"):
        return None
    centre = column_means(rows)
    if kernel.name == "rbf":
        return centre if kernel.gamma * float(centre @ centre) > _LEVEL_EXPONENT else None
    return centre if _has_level(rows, centre) else None


def _has_level(rows: Any, centre: np.ndarray, counted: np.ndarray | None = None) -> bool:
    """Whether a column's mean is many times its standard deviation.

    That of a constant column counts beside those of the other columns.
    """
    square, n = np.zeros(rows.d), 0
    for part in _dense_blocks(rows, counted):
        apart = part - centre
        square += np.einsum("ij,ij->j", apart, apart)
        n += len(part)
    return _is_level(centre, np.sqrt(square / max(1, n)))


def _is_level(means: np.ndarray, spread: np.ndarray) -> bool:
    size = np.abs(means)
    constant = spread <= 1e-14 * size
    typical = float(np.sqrt((spread**2).mean())) if len(spread) else 0.0
    return bool((size > _LEVEL * np.where(constant, typical, spread)).any())


def largest_diagonal(points: Any, kernel: Parameters) -> float:
    """A bound of the kernel of any of the points with itself."""
    x = points.largest_own
    if kernel.name == "linear":
        return float(x)
    if kernel.name == "poly":
        with np.errstate(over="ignore"):
            base = np.float64(kernel.gamma * x + abs(kernel.coef0))
            return float(base**kernel.degree)
    return 1.0


class Rounding(NamedTuple):
    """What rounding does to kernel values.

    Attributes
    ----------
    single, double : float
        Errors of the values that a solver begins with and of those in double precision, relative
        to the largest value of an example with itself; 0 if gradients do not have them.
    largest : float
        That value; 0 if it is not known before values are computed.
    precise : bool
        Whether values are out of the range that is sure to be that of single precision.
    """

    single: float = 2.0**-24
    double: float = 2.0**-53
    largest: float = 0.0
    precise: bool = False


def rounding(points: Any, kernel: Parameters) -> Rounding:
    """The rounding of kernel values, for a solver."""
    last_bit, last_bit_of_double = 2.0**-24, 2.0**-53
    largest, exact_factor = largest_diagonal(points, kernel), math.inf
    if kernel.name == "poly":
        factor = 1.0 + kernel.degree
    elif kernel.name == "linear":
        factor = 1.0
    else:
        # A term of chi2 is rounded three times: in a square, in a sum and in their quotient.
        each = 3.0 if kernel.name == "chi2" else 1.0
        factor = 1 + each * kernel.gamma * points.largest_own
        if kernel.name in ("laplacian", "chi2") and not points.rows.is_csr:
            # Exponents u are sums of differences as they are, with errors relative to u: no sum of
            # squares cancels, and u exp(-u) is less than 1.
            exact_factor = each + points.rows.d
    single = last_bit if points.exact else factor * last_bit
    return Rounding(
        0.0 if kernel.name == "linear" else single,  # gradients come from weights in double
        min(factor, exact_factor) * last_bit_of_double, largest, is_out_of_single_range(largest))


def is_out_of_single_range(largest: float) -> bool:
    """Whether kernel values up to this one take double precision for their range alone."""
    return largest > 0 and not 2.0**-40 <= largest <= 2.0**40


class Exact:
    """The rows of a fit with kernel values in double precision; points are made when needed.

    Parameters
    ----------
    rows : Rows
    kernel : Parameters
    sum_zero : bool
        Whether the sum of all duals is 0: then a linear kernel's rows may be less a centre.
    counted : ndarray, optional
        Numbers of the rows whose centre that is; of all by default.
    """

    def __init__(
        self, rows: Any, kernel: Parameters, sum_zero: bool = True,
        counted: np.ndarray | None = None,
    ) -> None:
        self.rows, self.kernel, self.counted = rows, kernel, counted
        self.centred = not rows.is_csr and kernel.name in (
            ("linear", "rbf") if sum_zero else ("rbf",))
        self._centre: np.ndarray | None = None
        self._points: Any = None
        self._lock = threading.Lock()

    @property
    def centre(self) -> np.ndarray | None:
        """Means of the columns, where the kernel allows rows less these; else None."""
        if self.centred and self._centre is None:  # two threads would find the same bits
            self._centre = column_means(self.rows, self.counted)
        return self._centre

    def points(self) -> Any:
        """Points in double precision, less the means of columns where the kernel allows it."""
        with self._lock:
            if self._points is None:
                self._points = exact_points(check.narrowed(self.rows), self.kernel, self.centre)
            return self._points

    def features(self, ids: np.ndarray) -> np.ndarray:
        """Z with K = Z Z' for the examples `ids`, of a linear kernel: dense rows of float64."""
        if not self.rows.is_csr:
            table = np.asarray(self.rows.arrays[0])[ids].astype(np.float64)
            return table if self.centre is None else table - self.centre
        table = check.table_of(self.rows)[ids].toarray()
        return np.asarray(table, dtype=np.float64)


def _refuse_values(points: Any, kernel: Parameters, largest: float) -> None:
    """Raise ValueError for kernel values too large, or too small, for sums of their squares."""
    if kernel.name not in ("linear", "poly") or 1 / _LARGEST_VALUE <= largest <= _LARGEST_VALUE or (
            points.largest_own == 0 and largest <= _LARGEST_VALUE):
        return
    row = int(np.argmax(points.own_sums))
    what = f"x.x of row {row} of X is {float(points.own_sums[row]):.3g}"
    numbers = ""
    if kernel.name == "poly":
        numbers = (f" with gamma={kernel.gamma:.3g}, coef0={kernel.coef0:.3g}, "
                   f"degree={kernel.degree}")
    raise ValueError(
        f"the {kernel.name} kernel's values{numbers} are up to {largest:.3g}, as {what}; allowed "
        f"are {1 / _LARGEST_VALUE:.0e} to {_LARGEST_VALUE:.0e}. Scale the features"
        + (", or choose other parameters" if numbers else ""))


def _refuse_large(rows: Any) -> float:
    """Largest size of a feature; ValueError if float64 does not hold its square."""
    values = rows.arrays[0][:rows.nnz] if rows.is_csr else rows.arrays[0]
    if values.dtype == np.float32 or values.size == 0:
        return 0.0  # in range, whatever it is
    most = max(float(values.max()), -float(values.min()))
    if most > _LARGEST_FEATURE:
        row, column = position_of_largest(rows)
        raise ValueError(f"X has a value of size {most:.3g} at row {row}, column {column}; kernels "
                         f"take sizes up to {_LARGEST_FEATURE:.0e}. Scale the features")
    return most


def _refuse_small(rows: Any, kernel: Parameters, most: float) -> None:
    """Raise ValueError for features whose dot products are 0 in float64, though they are not.

    `most` is the largest size of one.
    """
    if kernel.name not in ("linear", "poly") or most == 0:
        return
    if most * most < 1 / _LARGEST_VALUE:
        row, column = position_of_largest(rows)
        raise ValueError(f"the value of largest size in X is {most:.3g}, at row {row}, column "
                         f"{column}: too small for dot products in float64. Scale the features")


def position_of_largest(rows: Any) -> tuple[int, int]:
    """Row and column of the value of largest size."""
    if not rows.is_csr:
        row, column = np.unravel_index(int(np.abs(rows.arrays[0]).argmax()), (rows.n, rows.d))
        return int(row), int(column)
    values, indices, indptr = rows.arrays
    at = int(np.abs(values[:rows.nnz]).argmax())
    return int(np.searchsorted(indptr, at, side="right")) - 1, int(indices[at])


def _refuse_negative(rows: Any, kernel: Parameters) -> None:
    values = rows.arrays[0]
    if kernel.name == "chi2" and values.size and float(values.min()) < 0:
        raise ValueError("the chi2 kernel is for features that are not negative, such as counts; "
                         f"X has {float(values.min())!r}")


class RowSource:
    """A user's kernel on the rows of X, by their numbers; what it returns is checked.

    Attributes
    ----------
    largest : float
        Size of the largest value that has been returned.
    """

    def __init__(self, kernel: Callable[[Any, Any], Any], X: Any) -> None:
        self.kernel, self.X, self.largest = kernel, X, 0.0
        self.everything = np.arange(check.n_rows(X))

    def __call__(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        X, every = self.X, self.everything
        whole = len(j) == len(every) and np.array_equal(j, every)
        values, size = _called(self.kernel, check.take(X, i), X if whole else check.take(X, j))
        self.largest = max(self.largest, size)
        return values


def called(kernel: Callable[[Any, Any], Any], A: Any, B: Any) -> np.ndarray:
    """kernel(A, B) as a 2-D array of floats."""
    return _called(kernel, A, B)[0]


def _called(kernel: Callable[[Any, Any], Any], A: Any, B: Any) -> tuple[np.ndarray, float]:
    """kernel(A, B), checked, and the size of its largest value."""
    shape = check.n_rows(A), check.n_rows(B)
    if 0 in shape:
        return np.zeros(shape), 0.0
    values = kernel(A, B)
    if check.is_sparse(values):
        values = values.toarray()
    values = np.asarray(values)
    if values.shape != shape:
        raise ValueError(f"the kernel returned shape {values.shape} for {shape[0]} and {shape[1]} "
                         f"rows; expected {shape}: the value of each row of its first argument "
                         "with each row of its second")
    if values.dtype.kind not in "fiub":
        raise ValueError(f"the kernel returned {values.dtype}; expected float32 or float64")
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float64)
    size = max(float(values.max()), -float(values.min()))  # NaN where there is one
    if not size < np.inf:
        raise ValueError("the kernel returned NaN or infinity")
    return values, size


def table_source(table: np.ndarray) -> Callable[[Any, Any], np.ndarray]:
    """Rows and columns of a precomputed kernel matrix, by their numbers."""
    everything = np.arange(table.shape[1])

    def source(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        if len(j) == len(everything) and np.array_equal(j, everything):
            return table[i]
        return table[np.ix_(i, j)]

    return source
