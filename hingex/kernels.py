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

from collections.abc import Callable
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


class RowKernel(Protocol):
    """What SVMs take as a kernel of the user's.

    ``kernel(A, B)`` returns an array of shape (rows of A, rows of B) of finite float32 or float64
    numbers. A and B are rows of the X that was given to `fit` or `predict`: 2-D arrays, or CSR
    matrices if X was sparse. It must be symmetric, and positive semidefinite if the optimum is to
    be one. It is called with some hundred rows in A at a time, from one thread.
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
    """
    return gram(X, Z, kernel="linear", n_jobs=n_jobs)


def poly(
    X: Any, Z: Any = None, *, degree: int = 3, gamma: Any = "scale", coef0: float = 0.0,
    n_jobs: int | None = None,
) -> np.ndarray:
    """Polynomial kernel (gamma x . z + coef0)^degree; the rest as `gram`."""
    return gram(X, Z, kernel="poly", degree=degree, gamma=gamma, coef0=coef0, n_jobs=n_jobs)


def rbf(
    X: Any, Z: Any = None, *, gamma: Any = "scale", n_jobs: int | None = None
) -> np.ndarray:
    """Gaussian kernel exp(-gamma ||x - z||^2); the rest as `gram`."""
    return gram(X, Z, kernel="rbf", gamma=gamma, n_jobs=n_jobs)


def sigmoid(
    X: Any, Z: Any = None, *, gamma: Any = "scale", coef0: float = 0.0, n_jobs: int | None = None
) -> np.ndarray:
    """tanh(gamma x . z + coef0), which is not positive semidefinite; the rest as `gram`."""
    return gram(X, Z, kernel="sigmoid", gamma=gamma, coef0=coef0, n_jobs=n_jobs)


def laplacian(
    X: Any, Z: Any = None, *, gamma: Any = "scale", n_jobs: int | None = None
) -> np.ndarray:
    """Laplacian kernel exp(-gamma sum_k |x_k - z_k|); the rest as `gram`."""
    return gram(X, Z, kernel="laplacian", gamma=gamma, n_jobs=n_jobs)


def chi2(X: Any, Z: Any = None, *, gamma: Any = 1.0, n_jobs: int | None = None) -> np.ndarray:
    """Kernel of histograms exp(-gamma sum_k (x_k - z_k)^2 / (x_k + z_k)), 0 / 0 = 0.

    Features must not be negative; the rest as `gram`.
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
    kernel: str, degree: Any, gamma: Any, coef0: Any, rows: Any
) -> Parameters:
    """The parameters that a kernel uses, checked; others are 0 and not looked at."""
    name = check.choice("kernel", kernel, NAMES)
    used = USES[name]
    return Parameters(
        name,
        read_degree(degree) if "degree" in used else 0,
        read_gamma(gamma, rows) if "gamma" in used else 0.0,
        read_coef0(coef0) if "coef0" in used else 0.0,
    )


def read_gamma(gamma: Any, rows: Any) -> float:
    """The number that "scale" and "auto" stand for, or gamma itself."""
    if isinstance(gamma, str):
        if check.choice("gamma", gamma, ("scale", "auto")) == "auto":
            return 1.0 / max(1, rows.d)
        spread = variance(rows)
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


def variance(rows: Any) -> float:
    """Of all entries of the table, zeros of sparse ones included."""
    values = rows.arrays[0]
    if not rows.is_csr:
        return float(np.var(values, dtype=np.float64))
    values, total = values[:rows.nnz], rows.n * rows.d
    mean = float(values.sum(dtype=np.float64)) / total
    square = float(np.einsum("i,i->", values, values, dtype=np.float64)) / total
    return square - mean * mean


def exact_points(rows: Any, kernel: Parameters) -> Any:
    """Points for values in double precision."""
    _refuse_negative(rows, kernel)
    return kernels("kernel_rows").Points(rows, kernel.name, kernel.degree, kernel.gamma,
                                         kernel.coef0, True)


def training_points(rows: Any, kernel: Parameters, tol: float = 1e-3) -> Any:
    """Points for a solver, which has float32 values: from sums in single precision if that will do.

    Single precision has 24 bits. A kernel exp(-u) loses as many of them as the terms of its
    exponent u have: those of the farthest row, with columns centred as far as that is free. So it
    is of the linear kernel too: pairs of duals that move up and down see differences only.
    """
    _refuse_negative(rows, kernel)
    rows = check.narrowed(rows)
    make, centre = kernels("kernel_rows").Points, None
    if not rows.is_csr and kernel.name in ("linear", "rbf", "laplacian"):
        centre = np.asarray(rows.arrays[0]).mean(axis=0, dtype=np.float64)
    made = make(rows, *kernel, False, centre)
    spread = kernel.gamma * made.largest_own if kernel.name != "linear" else 0.0
    longest = rows.d if not rows.is_csr else rows.nnz / rows.n
    if spread <= (_SINGLE_SPREAD if tol >= _FINE else _FINE_SPREAD) and longest <= _SINGLE_WIDTH:
        return made
    return make(rows, *kernel, True, centre)


def largest_diagonal(points: Any, kernel: Parameters) -> float:
    """A bound of the kernel of any of the points with itself."""
    x = points.largest_own
    if kernel.name == "linear":
        return x
    if kernel.name == "poly":
        return (kernel.gamma * x + abs(kernel.coef0)) ** kernel.degree
    return 1.0


def rounding(points: Any, kernel: Parameters) -> float:
    """Errors of the values that a solver gets from its points, relative to the largest of them."""
    last_bit = 2.0**-24
    if kernel.name == "linear":
        return 0.0  # gradients come from weights, in double precision
    if points.exact:
        return last_bit
    if kernel.name == "poly":
        return last_bit * (1 + kernel.degree)
    return last_bit * (1 + kernel.gamma * points.largest_own)


def _refuse_negative(rows: Any, kernel: Parameters) -> None:
    values = rows.arrays[0]
    if kernel.name == "chi2" and values.size and float(values.min()) < 0:
        raise ValueError("the chi2 kernel is for features that are not negative, such as counts; "
                         f"X has {float(values.min())!r}")


def row_source(kernel: Callable[[Any, Any], Any], X: Any) -> Callable[[Any, Any], np.ndarray]:
    """A user's kernel on the rows of X, by their numbers; what it returns is checked."""

    def source(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        A, B = X[i], X if len(j) == X.shape[0] else X[j]
        if len(j) == X.shape[0] and not np.array_equal(j, np.arange(len(j))):
            B = X[j]
        return called(kernel, A, B)

    return source


def called(kernel: Callable[[Any, Any], Any], A: Any, B: Any) -> np.ndarray:
    """kernel(A, B) as a 2-D array of floats."""
    values = kernel(A, B)
    if check.is_sparse(values):
        values = values.toarray()
    values = np.asarray(values)
    if values.shape != (A.shape[0], B.shape[0]):
        raise ValueError(f"the kernel returned shape {values.shape} for {A.shape[0]} and "
                         f"{B.shape[0]} rows; expected {(A.shape[0], B.shape[0])}")
    if values.dtype.kind not in "fiub":
        raise ValueError(f"the kernel returned {values.dtype}; expected float32 or float64")
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("the kernel returned NaN or infinity")
    return values


def table_source(table: np.ndarray) -> Callable[[Any, Any], np.ndarray]:
    """Rows and columns of a precomputed kernel matrix, by their numbers."""
    everything = np.arange(table.shape[1])

    def source(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        if len(j) == len(everything) and np.array_equal(j, everything):
            return table[i]
        return table[np.ix_(i, j)]

    return source
