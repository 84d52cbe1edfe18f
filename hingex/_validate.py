# SPDX-License-Identifier: BSD-3-Clause
"""The gate: whatever users pass becomes what kernels read, or a clear error.

Every message about user input is written here. Data that kernels can read stay where they are:
dense arrays with any strides and CSR matrices, float32 or float64, indices int32 or int64,
read-only and memory-mapped ones included. Everything else is converted once.
"""

import numbers
import operator
import re
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from ._core import kernels
from ._files import refuse_cut_maps
from ._reading import forget_reading
from ._result import warn
from ._targets import Indicator, Queries, queries_of

MAX_ROWS = 2**31 - 1
MAX_COST = 1e200  # weights of losses up to this, and down to its inverse, leave solvers room
LEAST_SQUARE = 1e-37  # of norms; float32 has fewer digits below 1.2e-38
WIDE, WIDE_SHARE = 1 << 20, 8  # more features than this, and than so many times the values
MOST_C = 100_000  # made from their number alone: a model file or a typing error may say any
_CHUNK = 1 << 16  # labels are looked at in pieces: temporary arrays stay small


# ---------------------------------------------------------------------------------------- X


def as_rows(
    X: Any,
    *,
    owner: str = "LinearSVC",
    accept_sparse: bool = True,
    check_finite: bool = True,
    min_rows: int = 1,
    unique: bool = True,
    check_indices: bool = True,
) -> Any:
    """Turn X into the row view that kernels read.

    Parameters
    ----------
    X : array-like or sparse, shape (n, d)
        Used in place: dense float32/float64 arrays of any strides, CSR with float32/float64
        values and int32/int64 indices. Converted once: anything else that holds numbers; int
        and bool become float64, float16 becomes float32, sparse formats become CSR.
    owner : str
        Estimator or function named in messages.
    accept_sparse : bool, default True
    check_finite : bool, default True
        Refuse NaN and infinities (one pass over the data, no memory).
    min_rows : int, default 1
    unique : bool, default True
        Sum duplicate entries of CSR rows, in a copy. Without it they stay as they are, which
        suits products with X, where they add up anyway.
    check_indices : bool, default True
        Refuse CSR indices out of range; False leaves it to the caller, before anything else
        reads the rows.

    Returns
    -------
    Rows
        Compiled view; its attribute `arrays` holds the arrays it reads and keeps alive. CSR
        rows may be unsorted.

    Raises
    ------
    ValueError, TypeError
        For data that are not an (n, d) table of finite numbers, or a malformed sparse matrix.
    """
    columns = _columns(X)
    if columns is not None:
        _refuse_times(X, columns)
        X = _sparse_from_frame(X)
    is_csr = _is_csr(X)
    refuse_cut_maps(*((X.data, X.indices, X.indptr) if is_csr else (X,)))
    if is_csr or is_sparse(X):
        if not accept_sparse:
            raise TypeError(f"Sparse data was passed for X, but {owner} needs dense data: "
                            "use X.toarray()")
        rows = _csr_rows(X, owner, min_rows, unique, check_indices)
    else:
        rows = _dense_rows(X, owner, min_rows)
    if check_finite:
        refuse_not_finite(rows, owner)
    return rows


def stacked(parts: Sequence[Any]) -> Any:
    """One row view of the rows of several, which have as many features; their arrays are copied."""
    d = parts[0].d
    if not any(rows.is_csr for rows in parts):
        return as_rows(np.concatenate([rows.arrays[0] for rows in parts]), check_finite=False)
    from scipy.sparse import csr_matrix

    sparse = [None if rows.is_csr else csr_matrix(rows.arrays[0]) for rows in parts]
    arrays = [rows.arrays if X is None else (X.data, X.indices, X.indptr)
              for rows, X in zip(parts, sparse, strict=True)]  # fmt: skip
    ends, total = [np.zeros(1, dtype=np.int64)], 0
    for _, _, indptr in arrays:
        ends.append(indptr[1:].astype(np.int64) + total)
        total = int(ends[-1][-1])
    # A matrix may have more values stored than its last row ends at.
    values, indices = (np.concatenate([part[k][: int(part[2][-1])] for part in arrays])
                       for k in (0, 1))  # fmt: skip
    rows = kernels("rows").Rows(sum(rows.n for rows in parts), d, values, indices,
                                np.concatenate(ends))  # fmt: skip
    if rows.check_indptr(len(values)) >= 0:
        raise AssertionError("rows of blocks do not fit each other")
    return rows


def refuse_indices(rows: Any) -> None:
    """Raise ValueError if `rows` hold an index out of range."""
    row = rows.check_indices()
    if row >= 0:
        _, indices, indptr = rows.arrays
        mine = indices[indptr[row]:indptr[row + 1]]
        index = mine[(mine < 0) | (mine >= rows.d)][0]
        raise ValueError(f"Row {row} of X has index {index}, but X has {rows.d} features: indices "
                         f"must lie in 0..{rows.d - 1}")


def refuse_not_finite(rows: Any, owner: str) -> None:
    """Raise ValueError if `rows` hold a NaN or infinity."""
    row, position = rows.check_finite()
    if row >= 0:
        raise ValueError(_not_finite(rows, row, position, owner))


def is_sparse(X: Any) -> bool:
    """Whether X is a sparse matrix or array, told by its attributes."""
    return _is_csr(X) or callable(getattr(X, "tocsr", None))


def _is_csr(X: Any) -> bool:
    kind = getattr(X, "format", None)
    return (isinstance(kind, str) and kind == "csr" and hasattr(X, "data")
            and hasattr(X, "indices") and hasattr(X, "indptr") and hasattr(X, "shape"))


def _is_frame(X: Any) -> bool:
    return hasattr(X, "columns") and hasattr(X, "dtypes")


# Times and spans in the names of types of pandas, polars and Arrow, whole or inside others:
# datetime64[ns, UTC], Sparse[datetime64[ns]], Duration(...), dictionary<values=date32[day]>.
_TIMES = re.compile(r"(?:^|[\[<=(])(?:date|time|duration|period|interval|month_day_nano)",
                    re.IGNORECASE)


def _is_time(kind: type) -> bool:
    """Whether a type of Python or NumPy is one of dates, times or spans."""
    return (issubclass(kind, np.datetime64 | np.timedelta64) or kind.__module__ == "datetime"
            or hasattr(kind, "isoformat") or hasattr(kind, "total_seconds"))


def _columns(X: Any) -> list[tuple[Any, str]] | None:
    """Names and types of the columns of a frame or an Arrow table; None for anything else."""
    if type(X) is np.ndarray or type(X).__module__.startswith("scipy.sparse"):
        return None
    refuse_unread(X, "X")
    if _is_frame(X):
        return list(zip(X.columns, map(str, X.dtypes), strict=True))
    schema: Any = getattr(X, "schema", None)
    if hasattr(schema, "names") and hasattr(schema, "types"):
        return list(zip(schema.names, map(str, schema.types), strict=True))
    return None


def _refuse_times(X: Any, columns: list[tuple[Any, str]]) -> None:
    """Raise TypeError for a column of dates, times or spans.

    Beside numbers, these would become counts of some unit.
    """
    for k, (name, kind) in enumerate(columns):
        held = kind
        if kind in ("object", "category") and hasattr(X, "iloc"):
            column: Any = X.iloc[:, k]
            if kind == "category":
                column = column.cat.categories
                held = str(column.dtype)
            held = next((f"date or time, {t.__name__}" for t in set(map(type, column))
                         if _is_time(t)), held)
        if _TIMES.search(held):
            raise TypeError(f"column {_show(name)} of X holds values of type {held}, which are no "
                            "numbers: leave it out, or make numbers of it first, such as days "
                            "since a date")


def refuse_unread(data: Any, name: str) -> None:
    """Raise TypeError for what has to be turned into rows by its owner, and say how."""
    if hasattr(type(data), "collect_schema") and not hasattr(type(data), "__array__"):
        raise TypeError(f"{name} is a {type(data).__name__}, a query that has not run yet: pass "
                        f"{name}.collect()")
    if type(data).__name__ == "PyCapsule" or (
            hasattr(type(data), "__dlpack__") and not hasattr(type(data), "__array__")):
        raise TypeError(f"{name} is of type {type(data).__name__}, which hands out its numbers by "
                        f"DLPack only: pass numpy.from_dlpack({name}), or for a capsule of the "
                        "object that it came from")


def _sparse_from_frame(X: Any) -> Any:
    """CSR for a pandas DataFrame whose columns are all sparse; anything else as it is."""
    if not (_is_frame(X) and hasattr(X, "sparse") and len(X.columns)):
        return X
    if not all(hasattr(dtype, "fill_value") for dtype in X.dtypes):
        return X
    if any(dtype.fill_value != 0 for dtype in X.dtypes):  # what is not stored must be zero
        return X
    return X.sparse.to_coo().tocsr()


def _check_shape(shape: Sequence[int], owner: str, min_rows: int) -> None:
    n, d = shape
    for count, least, what in ((n, min_rows, "sample"), (d, 1, "feature")):
        if count < least:
            raise ValueError(f"Found array with {count} {what}(s) (shape=({n}, {d})) while a "
                             f"minimum of {least} is required by {owner}.")
    if n > MAX_ROWS:
        raise ValueError(f"X has {n} rows; {owner} handles at most 2**31 - 1: train on a part")


def _not_finite(rows: Any, row: int, position: int, owner: str) -> str:
    values, indices, indptr = rows.arrays
    if indices is None:
        value, column = values[row, position], position
    else:
        value = values[indptr[row] + position]
        column = indices[indptr[row] + position]
    if np.isnan(value):
        return (f"Input X contains NaN: first at row {row}, column {column}. {owner} needs "
                "numbers everywhere: drop such rows or fill the gaps.")
    return (f"Input X contains infinity or a value too large for {values.dtype}: first at row "
            f"{row}, column {column}. {owner} needs finite numbers: remove or clip such values.")


# -- dense


def _dense_rows(X: Any, owner: str, min_rows: int) -> Any:
    array = _table(X)
    if array.dtype == object and array.ndim < 2 and any(map(is_sparse, array.flat)):
        raise ValueError("X is an array of objects that holds sparse matrices: pass the sparse "
                         "matrix itself (scipy.sparse.vstack joins several)")
    if array.ndim != 2:
        raise ValueError(_wrong_dimensions(X, array))
    _check_shape(array.shape, owner, min_rows)
    array = _numbers(array, "X")
    itemsize = array.dtype.itemsize
    if any(stride % itemsize for stride in array.strides):
        array = array.copy()
    return kernels("rows").Rows(*array.shape, array)


def _table(X: Any) -> np.ndarray:
    if type(X) is np.ndarray:
        return X
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        raise ValueError("X is a masked array with masked values: fill them with X.filled(...) or "
                         "drop their rows")
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise ValueError("X is not a table of numbers with rows of equal length: "
                         f"{_uneven(X, error)}") from error
    except TypeError as error:
        raise TypeError(f"X of type {type(X).__name__} cannot be read as an array of numbers "
                        f"({error})") from error
    if array.dtype == object and _is_frame(X):
        try:  # nullable columns: missing values become NaN, which the check reports
            return X.to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError):
            pass
    return array


def given_array(value: Any, name: str) -> np.ndarray:
    """np.asarray(value), which refuses lists of unequal length by name and place."""
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be an array, or lists of equal length: "
                         f"{_uneven(value, error)}") from error


def _uneven(value: Any, error: Exception) -> str:
    """Where lists in a list differ in length, instead of what NumPy says of them."""
    sizes = [len(v) if hasattr(v, "__len__") and not isinstance(v, str | bytes) else None
             for v in (value if isinstance(value, Sequence) else ())]
    odd = next((i for i, size in enumerate(sizes) if size != sizes[0]), 0)
    if not odd:
        return str(error)
    of, first = ("1 value" if size is None else f"{size} values" for size in (sizes[odd], sizes[0]))
    return f"row {odd} has {of}, row 0 has {first}"


def _wrong_dimensions(X: Any, array: np.ndarray) -> str:
    if array.ndim > 2:
        return (f"Found array with dim {array.ndim}, while X must have 2 dimensions, rows and "
                f"features; got shape {array.shape}.")
    if array.ndim == 0:
        got = "scalar array"
        detail = f" (X is of type {type(X).__name__})"
    else:
        got, detail = "1D array", f" of shape {array.shape}"
    text = next((v for v in array.flat if isinstance(v, str | bytes)), None)
    if text is not None:
        return (f"Expected 2D array, got {got} instead{detail}: X holds text, such as "
                f"{_show(text)}; turn it into numbers first, with a vectorizer for "
                "example. Reshape your data only if these are numbers.")
    return (f"Expected 2D array, got {got} instead{detail}. Reshape your data: X.reshape(-1, 1) if "
            "it is a single feature, X.reshape(1, -1) if it is a single row.")


def _numbers(array: np.ndarray, name: str) -> np.ndarray:
    """`array` as native, aligned float32 or float64; itself when it is that already."""
    dtype = array.dtype
    if dtype.kind == "f":
        target = np.dtype(np.float32 if dtype.itemsize <= 4 else np.float64)
        if dtype == target and array.flags.aligned:
            return array
    elif dtype.kind in "biu":
        target = np.dtype(np.float64)
    elif dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} has dtype {dtype}")
    elif dtype.kind in "OSUT":
        return _parsed(array, name)
    else:
        raise TypeError(f"{name} has dtype {dtype}; numbers are needed")
    with np.errstate(over="ignore"):  # long double beyond float64: found as infinity
        return array.astype(target)


def _parsed(array: np.ndarray, name: str) -> np.ndarray:
    """Objects or strings as float64."""
    if array.dtype.kind == "O" and any(map(_is_time, set(map(type, array.flat)))):
        # NumPy would make counts of some unit of them.
        flat = next(k for k, value in enumerate(array.flat) if _is_time(type(value)))
        raise TypeError(_not_a_number(array, name, flat))
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        for position, value in enumerate(array.flat):
            if value is None:
                continue
            at = _place(array, position)
            if isinstance(value, complex | np.complexfloating):
                raise ValueError(f"Complex data not supported: {name} holds {_show(value)} at {at}"
                                 ) from error
            try:
                float(value)
            except (ValueError, OverflowError):
                raise ValueError(f"{name} must hold numbers; got {_show(value)} at {at}") from error
            except TypeError:
                raise TypeError(_not_a_number(array, name, position)) from error
        raise ValueError(f"{name} cannot be converted to numbers ({error})") from error


def _place(array: np.ndarray, position: int) -> str:
    """Row and column, or the position, of an element of `array.flat`."""
    return ", ".join(f"{axis} {i}" for axis, i in zip(
        ("row", "column") if array.ndim == 2 else ("position",),
        np.unravel_index(position, array.shape), strict=False))


def _not_a_number(array: np.ndarray, name: str, position: int) -> str:
    kind = type(array.flat[position]).__name__
    return (f"{name} holds a value of type {kind} at {_place(array, position)}; argument must be a "
            "string or a real number")


# -- sparse


def _csr_rows(
    X: Any, owner: str, min_rows: int, unique: bool, check_indices: bool
) -> Any:
    if len(X.shape) != 2:
        raise ValueError(f"Expected 2D array, got {len(X.shape)}D array instead: X is sparse of "
                         f"shape {X.shape}. Reshape your data: X.reshape(1, -1) makes one row.")
    n, d = (int(size) for size in X.shape)
    _check_shape((n, d), owner, min_rows)
    if not _is_csr(X):
        _check_convertible(X)
        X = X.tocsr()
    values = _component(X.data, "X.data", _numbers)
    indices = _component(X.indices, "X.indices", _integers)
    indptr = _component(X.indptr, "X.indptr", _integers)
    if len(indptr) != n + 1:
        raise ValueError(f"X.indptr must have {n + 1} entries, one more than X has rows; got "
                         f"{len(indptr)}")
    if len(values) != len(indices):
        raise ValueError(f"X.data and X.indices must have the same length; got {len(values)} and "
                         f"{len(indices)}")
    rows = kernels("rows").Rows(n, d, values, indices, indptr)
    bad = rows.check_indptr(len(values))
    if bad >= 0:
        raise ValueError(_bad_indptr(indptr, bad, len(values)))
    if check_indices or unique or rows.nnz == n * d:
        refuse_indices(rows)
    if rows.nnz == n * d and rows.ascending():
        # Every feature of every row, in order: the values are a dense array already.
        return kernels("rows").Rows(n, d, values[: n * d].reshape(n, d))
    if unique and not rows.ascending() and _has_duplicates(rows):
        return _csr_rows(_summed(n, d, values, indices, indptr), owner, min_rows, False, False)
    return rows


def _has_duplicates(rows: Any) -> bool:
    some = narrowed(rows)
    return bool(some.check_duplicates(np.full(some.d, -1, np.int64)) >= 0)


def narrowed(rows: Any) -> Any:
    """These rows without the features that none of them has, if there are very many of these.

    Work arrays with an entry for each feature follow a number that anybody can write down; what a
    row holds is as large as its data.
    """
    if not _is_wide(rows):
        return rows
    return _renumbered(rows, np.unique(_stored(rows)), 0)


def narrowed_together(rows: Any, others: Any) -> tuple[Any, Any] | None:
    """Both as `narrowed` has it, for products of `rows` with `others`, which have as many features.

    Features of others that rows lack get numbers behind those of rows, in each row anew: these
    meet nothing. None if there are not many such features.
    """
    if not _is_wide(rows) or not others.is_csr:
        return None
    columns = np.unique(_stored(rows))
    longest = int(np.diff(others.arrays[2]).max(initial=1))
    return _renumbered(rows, columns, longest), _renumbered(others, columns, longest)


def _stored(rows: Any) -> np.ndarray:
    """Features of all values of CSR rows; the arrays may have more."""
    _, indices, indptr = rows.arrays
    return indices[: int(indptr[-1])]


def _is_wide(rows: Any) -> bool:
    return bool(rows.is_csr and rows.d > WIDE and rows.d > WIDE_SHARE * len(_stored(rows)))


def _renumbered(rows: Any, columns: np.ndarray, more: int) -> Any:
    """Features numbered by their places in `columns`, others by their places in the row."""
    values, _, indptr = rows.arrays
    indices = _stored(rows)
    out = np.empty(len(indices), dtype=np.int64)
    for begin in range(0, len(indices), _CHUNK):
        some = indices[begin : begin + _CHUNK]
        at = np.searchsorted(columns, some)
        known = columns[np.minimum(at, len(columns) - 1)] == some if len(columns) else at < 0
        place = np.arange(begin, begin + len(some))
        place -= indptr[np.searchsorted(indptr, place, side="right") - 1]
        out[begin : begin + len(some)] = np.where(known, at, len(columns) + place)
    made = kernels("rows").Rows(rows.n, max(1, len(columns) + more), values, out, indptr)
    if made.check_indptr(len(indices)) >= 0:
        raise AssertionError("rows that were checked before are damaged")
    return made


def _component(array: Any, name: str, convert: Any) -> np.ndarray:
    array = np.asarray(array)
    if array.ndim != 1:
        raise ValueError(f"{name} must be 1-D; got shape {array.shape}")
    return np.ascontiguousarray(convert(array, name))


def _integers(array: np.ndarray, name: str) -> np.ndarray:
    """`array` as native int32 or int64; itself when it is that already."""
    dtype = array.dtype
    if dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers; got dtype {dtype}")
    if dtype in (np.int32, np.int64) and array.flags.aligned:
        return array
    if dtype.kind == "u" and dtype.itemsize == 8 and array.size and (
            array.max() > np.iinfo(np.int64).max):
        raise ValueError(f"{name} holds {array.max()}, which is out of range")
    return array.astype(np.int64 if dtype.itemsize > 2 else np.int32)


def _bad_indptr(indptr: np.ndarray, row: int, stored: int) -> str:
    start, end = int(indptr[row]), int(indptr[row + 1])
    if row == 0 and start != 0:
        return f"X.indptr must start with 0; got {start}"
    if end < start:
        return f"X.indptr must not descend; row {row} starts at {start} and ends at {end}"
    return f"X.indptr must stay within X.data; row {row} ends at {end}, X.data has {stored} values"


def _check_convertible(X: Any, name: str = "X") -> None:
    """Refuse damaged CSC, BSR and COO: SciPy's conversions trust what these hold."""
    n, d = X.shape
    kind = getattr(X, "format", None)
    damaged = None
    if kind == "coo":
        for coordinates, size, what in ((X.row, n, "row"), (X.col, d, "column")):
            if len(coordinates) != len(X.data):
                damaged = f"{len(coordinates)} {what} indices for {len(X.data)} values"
            elif len(coordinates) and not 0 <= coordinates.min() <= coordinates.max() < size:
                damaged = f"a {what} index out of 0..{size - 1}"
    elif kind in ("csc", "bsr"):
        height, width = X.blocksize if kind == "bsr" else (1, 1)
        major, minor = (n // height, d // width) if kind == "bsr" else (d, n)
        if len(X.indptr) != major + 1 or X.indptr[0] != 0 or (np.diff(X.indptr) < 0).any():
            damaged = f"indptr must be {major + 1} values that start with 0 and do not descend"
        elif len(X.data) != len(X.indices) or X.indptr[-1] > len(X.indices):
            damaged = "data, indices and indptr do not agree in length"
        elif len(X.indices) and not 0 <= X.indices.min() <= X.indices.max() < minor:
            damaged = f"an index out of 0..{minor - 1}"
    if damaged:
        raise ValueError(f"{name} is not a valid {kind.upper()} matrix: {damaged}")  # type: ignore[union-attr]


def _summed(n: int, d: int, values: np.ndarray, indices: np.ndarray, indptr: np.ndarray) -> Any:
    from scipy.sparse import csr_array

    X = csr_array((values, indices, indptr), shape=(n, d), copy=True)
    X.sum_duplicates()
    return X


# -- features


def feature_names(X: Any) -> np.ndarray | None:
    """Column names of a frame or Arrow table as objects; None when there are none or not strings.

    Raises
    ------
    TypeError
        If some names are strings and others are not.
    """
    columns = _columns(X)
    if columns is None:
        return None
    names = np.empty(len(columns), dtype=object)
    names[:] = [name for name, _ in columns]
    types = sorted({type(name).__name__ for name in names})
    if types == ["str"]:
        return names
    if "str" in types:
        raise TypeError("Feature names are only supported if all input features have string "
                        f"names, but the columns of X are of types {types}: make them all "
                        "strings with X.columns = X.columns.astype(str)")
    return None


def check_feature_names(estimator: Any, X: Any, reset: bool = False) -> None:
    """Compare the column names of X with those seen in fit, or (`reset`) remember them.

    Call it before `check_n_features`: names tell more. One warns where only one of fit and X has
    names, and raises ValueError where both have and they differ.
    """
    names, owner = feature_names(X), type(estimator).__name__
    if reset:
        forget_reading(estimator)
        if names is not None:
            estimator.feature_names_in_ = names
        else:
            vars(estimator).pop("feature_names_in_", None)
        return
    fitted = getattr(estimator, "feature_names_in_", None)
    if fitted is None and names is None:
        return
    if fitted is None:
        warn(f"X has feature names, but {owner} was fitted without feature names")
    elif names is None:
        warn(f"X does not have valid feature names, but {owner} was fitted with feature names")
    elif list(names) != list(fitted):
        unseen, missing = sorted(set(names) - set(fitted)), sorted(set(fitted) - set(names))
        message = "The feature names should match those that were passed during fit.\n"
        if unseen:
            message += "Feature names unseen at fit time:\n" + _listed(unseen)
        if missing:
            message += "Feature names seen at fit time, yet now missing:\n" + _listed(missing)
        if not unseen and not missing:
            message += "Feature names must be in the same order as they were in fit.\n"
        raise ValueError(message)


def _listed(names: list[str], limit: int = 5) -> str:
    shown = [*names[:limit], "..."] if len(names) > limit else names
    return "".join(f"- {name}\n" for name in shown)


def check_n_features(estimator: Any, rows: Any) -> None:
    """Raise ValueError unless `rows` has as many features as the estimator was fitted on."""
    if rows.d != estimator.n_features_in_:
        raise ValueError(f"X has {rows.d} features, but {type(estimator).__name__} is expecting "
                         f"{estimator.n_features_in_} features as input.")


def table_of(rows: Any) -> Any:
    """The data of a row view as something that rows can be taken from."""
    values, indices, indptr = rows.arrays
    if indices is None:
        return values
    from scipy.sparse import csr_array

    return csr_array((values[: rows.nnz], indices[: rows.nnz], indptr), shape=(rows.n, rows.d))


def n_rows(data: Any) -> int:
    """How many rows a table, a column or a list of documents has."""
    shape = getattr(data, "shape", None)
    return int(shape[0]) if isinstance(shape, tuple) and shape else len(data)


def take_rows(data: Any, which: np.ndarray) -> Any:
    """These rows of X or y, of the same kind: frames, columns, arrays, sparse matrices, lists.

    Other objects become arrays.
    """
    if hasattr(data, "iloc"):
        return data.iloc[which]
    if is_sparse(data):
        return data.tocsr()[which]
    if type(data).__module__.partition(".")[0] == "pyarrow":
        return data.take(which)
    if isinstance(data, list | tuple):
        return [data[i] for i in which]
    return data[which] if hasattr(data, "__getitem__") else np.asarray(data)[which]
class Objects(NamedTuple):
    """X as a function of the user's gets it, with the numbers that a row view has, too."""

    table: Any
    n: int
    d: int | None  # features, of tables of numbers


def as_objects(X: Any, owner: str) -> Objects:
    """X as it is, for a kernel of the user's: anything whose rows can be counted and taken.

    Lists, arrays of any dtype and dimension and CSR stay what they are; other sequences become
    lists, frames and series their values, other sparse formats CSR.

    Raises
    ------
    ValueError, TypeError
        For what has no rows, and for sparse matrices that are malformed.
    """
    X = _sparse_from_frame(X)
    if is_sparse(X):  # SciPy trusts indices
        X = X if _is_csr(X) else X.tocsr()
        rows = as_rows(X, owner=owner, check_finite=False, unique=False)
        return Objects(X, rows.n, rows.d)
    if hasattr(X, "__dataframe__") or hasattr(X, "to_numpy"):
        X = np.asarray(X)
    elif isinstance(X, Sequence) and not isinstance(X, str | bytes):
        X = X if isinstance(X, list) else list(X)
    if not isinstance(X, list) and (isinstance(X, str | bytes | Mapping) or not all(
            hasattr(X, name) for name in ("__getitem__", "__len__")) or np.shape(X) == ()):
        raise TypeError(f"X is of type {type(X).__name__}, which has no rows to take; {owner} with "
                        "a kernel of your own needs a list of objects, an array or a CSR matrix, "
                        "an entry or row for each example")
    if len(X) == 0:
        raise ValueError(f"Found array with 0 sample(s) (X is empty) while a minimum of 1 is "
                         f"required by {owner}.")
    if len(X) > MAX_ROWS:
        raise ValueError(f"X has {len(X)} rows; {owner} handles at most 2**31 - 1: train on a part")
    table: Any = X
    numeric = isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "biuf"
    return Objects(table, len(X), table.shape[1] if numeric else None)


def take(table: Any, which: np.ndarray) -> Any:
    """These rows of what `as_objects` or `table_of` gave, as the same kind of thing."""
    return [table[i] for i in which] if isinstance(table, list) else table[which]




def finite_table(name: str, value: Any, shape: tuple[int, ...], owner: str) -> np.ndarray:
    """A fitted attribute as finite float64 of this shape, C-ordered, or ValueError."""
    if is_sparse(value):
        value = value.toarray()
    array: Any = np.asarray(value)
    numbers: Any = array
    if array.dtype == np.float64:
        numbers = np.ascontiguousarray(array)
    elif array.dtype.kind in "fiu":
        with np.errstate(over="ignore"):  # of long doubles
            numbers = np.ascontiguousarray(array, dtype=np.float64)
    if numbers.dtype != np.float64 or array.shape != shape or not np.isfinite(numbers).all():
        raise ValueError(f"{name} of this {owner} must be finite numbers of shape {shape}; got "
                         f"shape {array.shape}, dtype {array.dtype}: it does not fit the rest of "
                         "the model, which was changed or damaged")
    return numbers


def squared_norms(rows: Any, largest_cost: float) -> tuple[np.ndarray, float]:
    """Squared norms of the rows, float32 (n,), and their mean.

    Raises ValueError when one is beyond float32, or all are below it and yet matter, with costs as
    large as `largest_cost`.
    """
    if rows.squares is None:  # many fits may share the rows
        squares = np.empty(rows.n, dtype=np.float32)
        rows.squares = squares, rows.sq_norms(squares)
    squares, mean = rows.squares
    largest = float(squares.max())
    if not (isfinite(mean) and isfinite(largest)):
        raise ValueError(f"row {int(np.argmax(squares))} of X has a norm beyond 1e19, too large to "
                         "train on; scale the features")
    if largest < LEAST_SQUARE and mean * largest_cost > 1e-6:
        raise ValueError(f"all rows of X have norms below 3e-19, too small to train on with C up "
                         f"to {largest_cost:g}; scale the features")
    return squares, mean


def fitted_rows(estimator: Any, X: Any, checked: bool = True) -> Any:
    """Row view of X for a prediction by a fitted estimator: names, numbers and width checked.

    With `checked` False neither indices nor NaN and infinities are: `linear_scores` sees them in
    passing, and `refuse_unsound` then has the message.
    """
    check_feature_names(estimator, X)
    rows = as_rows(X, owner=type(estimator).__name__, check_finite=checked, unique=False,
                   check_indices=checked)
    check_n_features(estimator, rows)
    return rows


def refuse_unsound(rows: Any, owner: str) -> None:
    """Raise ValueError for what `fitted_rows` left unchecked, if there is anything."""
    refuse_indices(rows)
    refuse_not_finite(rows, owner)


# ---------------------------------------------------------------------------------------- y


def encode_labels(y: Any, n_rows: int, owner: str = "LinearSVC") -> tuple[np.ndarray, np.ndarray]:
    """Distinct labels in ascending order, and the place of each row's label among them.

    Parameters
    ----------
    y : array-like, shape (n_rows,)
        Labels: strings, bytes, integers, booleans, floats with integral values.
    n_rows : int
    owner : str

    Returns
    -------
    classes : ndarray (K,)
        Of y's type; strings as a NumPy string array.
    codes : ndarray (n_rows,) of int32

    Raises
    ------
    ValueError
        For labels of other or mixed types, missing ones, a wrong length, fewer than 2 classes.

    Notes
    -----
    O(n log K) time; besides the result O(K) memory for arrays, O(n) for lists.
    """
    y = label_array(y, n_rows, owner)
    if y.dtype == object:
        labels = sorted(set(y))
        place = {label: i for i, label in enumerate(labels)}
        classes = np.array(labels)
        codes = np.fromiter(map(place.__getitem__, y), np.int32, count=n_rows)
    else:
        classes = _distinct(y)
        codes = np.empty(n_rows, np.int32)
        for start in range(0, n_rows, _CHUNK):
            piece = y[start:start + _CHUNK]
            codes[start:start + _CHUNK] = np.searchsorted(classes, piece)
        if classes.dtype.kind == "f":
            classes = classes.astype(np.float32 if classes.dtype.itemsize <= 4 else np.float64)
    if len(classes) < 2:
        raise ValueError(f"y has 1 distinct label ({_show(classes[0])}), that is 1 class; "
                         f"{owner} needs at least 2 classes")
    return classes, codes


def encode_known(
    y: Any, n_rows: int, classes: np.ndarray, owner: str = "LinearSVC", fix: str = ""
) -> np.ndarray:
    """The place of each row's label among known classes, ascending; int32 (n_rows,).

    Raises ValueError for labels that are not among them, with the advice `fix`, or of another kind.
    """
    y = label_array(y, n_rows, owner)
    check_same_kind(y, classes, owner)
    if y.dtype == object:
        y = np.array(list(y))
    if {y.dtype.kind, classes.dtype.kind} == {"i", "u"}:  # NumPy compares these as floats
        y = y.astype(object)
        classes = classes.astype(object)
    codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1).astype(np.int32)
    wrong = np.flatnonzero(classes[codes] != y)
    if len(wrong):
        raise ValueError(f"y[{wrong[0]}] is {_show(y[wrong[0]])}, which is not among the classes "
                         f"that {owner} knows: {_some(classes.tolist())}"
                         + (fix and f"; {fix}"))
    return codes


def given_weights(
    class_weight: Any, sample_weight: Any, classes: np.ndarray, codes: np.ndarray, n: int
) -> np.ndarray | None:
    """Class weight (None or a dict) * sample weight of each row of a block; None when all are 1.

    Unlike with `row_weights` a block need not have rows of every class, nor of any weight.
    """
    weights = sample_weights(sample_weight, n, all_zero=True)
    if weights is None and class_weight is None:
        return None
    out = _class_factors(class_weight, classes, np.ones(len(classes)))[codes]
    return _usable(out if weights is None else out * weights)


def _distinct(y: np.ndarray) -> np.ndarray:
    classes = np.unique(y[:_CHUNK])
    for start in range(_CHUNK, len(y), _CHUNK):
        piece = y[start:start + _CHUNK]
        near = classes[np.minimum(np.searchsorted(classes, piece), len(classes) - 1)]
        new = piece[near != piece]
        if len(new):
            classes = np.union1d(classes, new)
    return classes


def label_array(y: Any, n_rows: int, owner: str = "LinearSVC") -> np.ndarray:
    """Labels as a 1-D array: booleans, numbers, NumPy strings, or Python strings as objects.

    Raises ValueError for anything `encode_labels` refuses, save too few classes.
    """
    if y is None:
        raise ValueError(f"{owner} requires y to be passed, but the target y is None")
    refuse_unread(y, "y")
    if is_sparse(y):
        raise ValueError("y is a sparse matrix; labels must be a dense 1-D array, one label per "
                         "row: y.toarray().ravel() for a single column")
    if isinstance(y, np.ma.MaskedArray) and np.ma.is_masked(y):
        raise ValueError("y is a masked array with masked values: drop their rows")
    if isinstance(y, str | bytes) or not (hasattr(y, "__array__") or isinstance(y, Sequence)):
        raise ValueError("y should be a 1d array of labels, one per row of X; got an object of "
                         f"type {type(y).__name__}")
    labels = _label_list(y, owner)
    if labels.ndim == 2 and labels.shape[1] == 1:
        warn("A column-vector y was passed when a 1d array was expected. Please change the shape "
             "of y to (n_samples,), for example using ravel().", "DataConversionWarning")
        labels = labels.ravel()
    if labels.ndim != 1:
        raise ValueError(f"y should be a 1d array, got an array of shape {labels.shape} instead; "
                         f"{owner} does not learn several outputs at once. {_SEVERAL}")
    if len(labels) != n_rows:
        raise ValueError("Found input variables with inconsistent numbers of samples: "
                         f"[{n_rows}, {len(labels)}]. X has {n_rows} rows, y has {len(labels)} "
                         "labels")
    kind = labels.dtype.kind
    if kind == "T":
        labels, kind = labels.astype(object), "O"
    if kind == "O":
        _refuse_collections(labels, owner)
        return _object_labels(labels)
    if kind == "f":
        _check_integral(labels)
        _refuse_vague(labels, y if isinstance(y, list | tuple) and np.ndim(y) == 1 else None)
    elif kind == "c":
        raise ValueError(f"Complex data not supported: y has dtype {labels.dtype}")
    elif kind not in "biuSU":
        raise ValueError(f"Unknown label type: y has dtype {labels.dtype}; labels must be "
                         "strings, integers or booleans")
    return labels if labels.dtype.isnative else labels.astype(labels.dtype.newbyteorder("="))


_SEVERAL = ("For several labels per row, MultilabelSVM takes the lists of labels as they are, and "
            "scikit-learn's MultiLabelBinarizer makes an indicator matrix of them, which LinearSVC "
            "takes")


def _refuse_collections(y: Any, owner: str) -> None:
    """Raise ValueError for the first collection of labels in the place of a label."""
    for row, label in enumerate(y):
        if isinstance(label, list | tuple | set | frozenset | np.ndarray):
            raise ValueError(f"y should be a 1d array of labels, one per row of X; got a "
                             f"{type(label).__name__} at row {row}: {_show(label)}. {owner} learns "
                             f"one label per row. {_SEVERAL}")


def labels_of(part: Any) -> list[Any]:
    """The labels of a row or a sequence as a list; narrow floats stay such, which tell less."""
    if isinstance(part, np.ndarray) and not (part.dtype.kind == "f" and part.dtype.itemsize < 8):
        return part.tolist()
    return list(part)


def _label_list(y: Any, owner: str) -> np.ndarray:
    try:
        labels = np.asarray(y)
    except ValueError as error:
        _refuse_collections(y, owner)
        raise ValueError(f"y should be a 1d array of labels, one per row of X ({error})"
                         ) from error
    written = labels.ndim == 1 and isinstance(y, list | tuple)
    if written and labels.dtype.kind == "f":
        _check_exact(y)
    if written and labels.dtype.kind in "SU" and not all(
            type(label) in (str, np.str_) and not label.endswith("\0") for label in y):
        # NumPy turns [1, "a"] into strings, drops NULs, and cuts members of str enumerations;
        # look at what was written.
        labels = np.empty(len(y), dtype=object)
        labels[:] = y
    return labels


def _check_integral(y: np.ndarray) -> None:
    for start in range(0, len(y), _CHUNK):
        piece = y[start:start + _CHUNK]
        bad = ~np.isfinite(piece)
        if bad.any():
            at = int(bad.argmax())
            what = "NaN" if np.isnan(piece[at]) else "infinity"
            raise ValueError(f"Input y contains {what}: first at row {start + at}; every row "
                             "needs a label")
        bad = np.floor(piece) != piece
        if bad.any():
            at = int(bad.argmax())
            raise ValueError("Unknown label type: continuous. y holds "
                             f"{_show(piece[at])} at row {start + at}; labels of classes must "
                             "be strings, integers or floats with integral values")


def _refuse_vague(y: np.ndarray, written: Any = None) -> None:
    """Raise ValueError for floats that stand for more than one integer.

    Of `written`, a list, only the floats are looked at: its integers were compared before.
    """
    if not len(y) or not (np.abs(y) >= _told_apart(np.dtype(np.float16))).any():
        return
    given = y if written is None else written
    types = {y.dtype.type} if written is None else set(map(type, written))
    limits = {t: _told_apart(np.dtype(t)) for t in types if issubclass(t, float | np.floating)}
    if written is None:
        vague = np.abs(y) >= limits[y.dtype.type]
    else:
        vague = np.array([abs(v) >= limits.get(type(v), np.inf) for v in given], bool)
    if vague.any():
        row = int(vague.argmax())
        label = given[row]
        dtype = np.dtype(type(label))
        raise ValueError(f"y holds {_show(label)} at row {row}: {dtype} does not tell integers "
                         f"from {limits[type(label)]:.0f} on apart, so different labels may have "
                         "become one. Use integers or strings as labels")


def _told_apart(dtype: np.dtype) -> float:
    """Below this size a type of floats has all integers, each with both of its neighbours."""
    return 2.0 ** (min(np.finfo(dtype).nmant, 52) + 1)


def _check_exact(y: Any) -> None:
    """Refuse integers that differ from the floats NumPy makes of them."""
    for row, label in enumerate(y):
        if isinstance(label, int | np.integer) and int(float(label)) != int(label):
            raise ValueError(f"y holds {label} at row {row}, which has no exact place beside the "
                             "other labels in an array of one type: use strings as labels, or "
                             "smaller integers")


def _object_labels(y: np.ndarray) -> np.ndarray:
    """Objects as strings (object array), or as the numbers they are."""
    types = set(map(type, y))
    if all(issubclass(t, str) for t in types):
        if any(label.endswith("\0") for label in y):
            raise ValueError("y holds a label that ends with a NUL character, which NumPy's "
                             "strings drop")
        if types != {str}:  # a member of a str enumeration stands for its value
            plain = np.empty(len(y), dtype=object)
            plain[:] = [str.__str__(label) for label in y]
            return plain
        return y
    for row, label in enumerate(y):
        if label is None or type(label).__name__ in ("NAType", "NaTType") or (
                isinstance(label, float | np.floating) and np.isnan(label)):
            raise ValueError("Input y contains NaN or a missing value: first "
                             f"{_show(label)} at row {row}; every row needs a label")
    if all(issubclass(t, numbers.Real | np.bool_) for t in types):
        same = np.array(y.tolist())  # bool, int or float, whichever holds them all
        if same.dtype.kind in "biuf":
            if same.dtype.kind == "f":
                _check_exact(y)
                _check_integral(same)
                _refuse_vague(same, y)
            return same
    if all(issubclass(t, bytes) for t in types):
        return y.astype(bytes)
    if types == {int}:
        raise ValueError("y holds integers of more than 64 bits: use strings as labels, or smaller "
                         "integers")
    names = sorted({t.__name__ for t in types})
    raise ValueError(f"Unknown label type: y holds objects of type {' and '.join(names)}; labels "
                     "must be all strings, all integers or all booleans")


def numeric_targets(y: Any, n_rows: int, owner: str, name: str = "y") -> np.ndarray:
    """Targets of a regression: finite float64 (n_rows,)."""
    if y is None:
        raise ValueError(f"{owner} requires {name} to be passed, but the target {name} is None")
    refuse_unread(y, name)
    if is_sparse(y):
        raise ValueError(f"{name} is a sparse matrix; targets must be a dense 1-D array, one "
                         "number per row")
    array = _numbers(given_array(y, name), name).astype(np.float64, copy=False)
    if array.ndim == 2 and array.shape[1] == 1:
        warn(f"A column-vector {name} was passed when a 1d array was expected. Please change the "
             f"shape of {name} to (n_samples,), for example using ravel().",
             "DataConversionWarning")
        array = array.ravel()
    if array.ndim != 1:
        raise ValueError(f"{name} should be a 1d array, got an array of shape {array.shape} "
                         f"instead; {owner} does not learn several outputs at once")
    if len(array) != n_rows:
        raise ValueError("Found input variables with inconsistent numbers of samples: "
                         f"[{n_rows}, {len(array)}]. X has {n_rows} rows, {name} has {len(array)}")
    bad = ~np.isfinite(array)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"Input {name} contains NaN or infinity: {_show(array[row])} at row {row}")
    return array


def queries(
    y: Any, qid: Any, n_rows: int, owner: str, name: str = "y"
) -> tuple[Queries, np.ndarray]:
    """Items by query and relevance; also the distinct ids, in the order of `Queries`.

    Parameters
    ----------
    y : array-like (n_rows,)
        Relevance: finite numbers, more is better.
    qid : array-like (n_rows,) or None
        Query of each row, in any order: numbers or strings. None: all are of one.
    name : str
        Of y in messages.
    """
    relevance = numeric_targets(y, n_rows, owner, name)
    refuse_merged(y, relevance, name)
    if qid is None:
        return queries_of(relevance, None), np.zeros(1, np.int64)
    ids = query_ids(qid)
    if ids.ndim == 2 and ids.shape[1] == 1:
        ids = ids.ravel()
    if ids.shape != (n_rows,):
        raise ValueError(f"qid.shape == {ids.shape}, expected ({n_rows},): the query of each row "
                         "of X")
    if len(ids) and (ids[1:] == ids[:-1]).all():
        _refuse_ids(ids[:1])
        return queries_of(relevance, None), ids[:1]
    found, codes = distinct_ids(ids)
    return queries_of(relevance, codes), found


def query_ids(qid: Any) -> np.ndarray:
    """Ids of queries as an array in which those that differ still do."""
    ids = given_array(qid, "qid")
    if not isinstance(qid, list | tuple) or ids.ndim != 1:
        return ids
    # NumPy turns [1, "1"] into two equal strings, and [2**63, -1] into floats.
    mixed = ids.dtype.kind in "SU" and not all(isinstance(i, str | bytes) for i in qid)
    if mixed or (ids.dtype.kind == "f" and all(isinstance(i, int | np.integer) for i in qid)):
        ids = np.empty(len(qid), dtype=object)
        ids[:] = qid
    return ids


def distinct_ids(
    ids: np.ndarray, form: str = "qid is {1} at row {0}"
) -> tuple[np.ndarray, np.ndarray]:
    """Distinct ids of queries, ascending, and the place of each id among them.

    `form` is how a message begins, with the place of an id and the id.

    Raises TypeError or ValueError for ids that are missing, a mixture, or that may be several.
    """
    _refuse_ids(ids, form)
    try:
        found, codes = np.unique(ids, return_inverse=True)
    except TypeError as error:
        raise TypeError(f"qid must hold numbers or strings, not a mixture: {error}") from None
    return found, codes.reshape(-1)


def _refuse_ids(ids: np.ndarray, form: str = "qid is {1} at row {0}") -> None:
    kind = ids.dtype.kind
    if kind not in "iubfUSO":
        raise TypeError(f"qid must hold numbers or strings; got dtype {ids.dtype}")
    if kind == "O":
        missing = np.array([i is None or i != i for i in ids], bool)  # noqa: PLR0124
        limits = {t: _told_apart(np.dtype(t)) for t in set(map(type, ids))
                  if issubclass(t, float | np.floating)}
        vague = np.array([type(i) in limits and abs(i) >= limits[type(i)] for i in ids], bool)
    else:
        missing = ids != ids  # noqa: PLR0124
        vague = np.abs(ids) >= _told_apart(ids.dtype) if kind == "f" else np.zeros(len(ids), bool)
    if missing.any():
        row = int(missing.argmax())
        raise ValueError(f"{form.format(row, ids[row])}: it says of no query that the row is its "
                         "item")
    if vague.any():
        row = int(vague.argmax())
        dtype = np.dtype(type(ids[row])) if kind == "O" else ids.dtype
        raise ValueError(f"{form.format(row, _show(ids[row]))}: {dtype} does not tell integers "
                         f"from {_told_apart(dtype):.0f} on apart, so different queries may have "
                         "become one. Pass qid as integers or strings")


def refuse_merged(y: Any, relevance: np.ndarray, name: str) -> None:
    """Raise ValueError if integers of `y`, of which only the order counts, are one in float64."""
    exact = np.asarray(y)
    if exact.dtype.kind == "f" and isinstance(y, list | tuple):
        exact = np.array([*y, None], dtype=object)[:-1]  # as they were written
    if exact.dtype.kind not in "iuO" or not (np.abs(relevance) >= 2.0**53).any():
        return
    for row, (value, number) in enumerate(zip(exact.ravel().tolist(), relevance, strict=True)):
        if isinstance(value, int) and value != int(number):
            raise ValueError(f"{name} is {value} at row {row}, which float64 does not tell from "
                             f"its neighbours: {name} may be up to 2**53 in size. Pass ranks, "
                             f"such as np.unique({name}, return_inverse=True)[1]")


def query_weights(query_weight: Any, ids: np.ndarray) -> np.ndarray:
    """Weights of queries, float64, in the order of the distinct `ids`."""
    if query_weight is None:
        return np.ones(len(ids))
    if isinstance(query_weight, Mapping):
        known = set(ids.tolist())
        unknown = [key for key in query_weight if key not in known]
        if unknown:
            raise ValueError(f"query_weight names {_some(unknown)}, which qid does not hold")
        weights = np.array([real("query_weight", query_weight.get(i, 1.0), positive=False)
                            for i in ids.tolist()])
    else:
        weights = given_array(query_weight, "query_weight")
        if weights.ndim:
            weights = _numbers(weights, "query_weight").astype(np.float64)
        if weights.shape != (len(ids),):
            raise ValueError(f"query_weight.shape == {weights.shape}, expected ({len(ids)},): one "
                             "weight for each distinct qid, in their sorted order, or a dict")
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        at = int(bad.argmax())
        raise ValueError("query_weight must be finite and not negative; got "
                         f"{_show(weights[at])} for qid {_show(ids[at])}")
    return weights


def check_same_kind(y: np.ndarray, predicted: np.ndarray, owner: str) -> None:
    """Raise ValueError when labels to compare are strings on one side and numbers on the other."""
    def kind(labels: np.ndarray) -> str:
        return {"O": "strings", "U": "strings", "S": "bytes"}.get(labels.dtype.kind, "numbers")

    if kind(y) != kind(predicted):
        raise ValueError(f"y holds {kind(y)}, but {owner} was fitted on labels that are "
                         f"{kind(predicted)}")


def is_indicator(y: Any) -> bool:
    """Whether y has rows of its own: a sparse matrix, or a table of two columns and more."""
    refuse_unread(y, "y")
    if is_sparse(y):
        return True
    shape = getattr(y, "shape", None)
    if isinstance(shape, tuple):
        return len(shape) == 2 and shape[1] != 1
    return (isinstance(y, list | tuple) and len(y) > 0 and all(
        isinstance(row, list | tuple | np.ndarray) and len(row) != 1 for row in y))


def read_indicator(y: Any, n_rows: int, owner: str = "LinearSVC") -> tuple[Indicator, dict]:
    """The labels of each row of an indicator matrix, and of what kind y is.

    Parameters
    ----------
    y : array-like or sparse, shape (n_rows, L)
        1 where a row has a label, else 0: numbers or booleans. Rows may have any number of labels,
        labels any number of rows.
    n_rows : int
    owner : str

    Returns
    -------
    Indicator
    kind : dict
        "format": "dense", "csr_array" or "csr_matrix", and "dtype": of y, as a string.

    Raises
    ------
    ValueError, TypeError
        For other entries, naming the first, and a wrong shape.
    """
    if is_sparse(y):
        shape: tuple[int, ...] = tuple(int(size) for size in y.shape)
        form = "csr_array" if type(y).__name__.endswith("array") else "csr_matrix"
    else:
        if isinstance(y, np.ma.MaskedArray) and np.ma.is_masked(y):
            raise ValueError("y is a masked array with masked values: drop their rows")
        try:
            y = np.asarray(y)
        except ValueError as error:
            raise ValueError("y should be a 1d array of labels or a table of 0 and 1 with rows of "
                             f"equal length: {_uneven(y, error)}. {_SEVERAL}") from error
        shape, form = y.shape, "dense"
    if len(shape) != 2 or shape[1] == 0:
        raise ValueError(f"y should be a 1d array of labels or an indicator matrix of shape "
                         f"({n_rows}, number of labels); got shape {shape}")
    if shape[0] != n_rows:
        raise ValueError("Found input variables with inconsistent numbers of samples: "
                         f"[{n_rows}, {shape[0]}]. X has {n_rows} rows, y has {shape[0]}")
    if y.dtype == object:
        y = _parsed(y, "y") if form == "dense" else y
    if y.dtype.kind not in "biuf":
        raise ValueError(f"y should be a 1d array of labels or an indicator matrix of 0 and 1; got "
                         f"shape {shape} and dtype {y.dtype}. {owner} learns one label per row, or "
                         f"several of 0/1. {_SEVERAL}")
    kind = {"format": form, "dtype": y.dtype.newbyteorder("=").str}
    if form != "dense":
        _check_convertible(y, "y")
        y = y.tocsr()
        if not y.has_canonical_format:
            y = y.copy()
            y.sum_duplicates()
        odd = np.flatnonzero((y.data != 0) & (y.data != 1))
        if len(odd):
            row = int(np.searchsorted(y.indptr, odd[0], side="right")) - 1
            raise ValueError(_odd_entry(y.data[odd[0]], row, int(y.indices[odd[0]])))
        ones = y.data != 0
        ptr = np.concatenate([[0], np.cumsum(ones)])[y.indptr].astype(np.int64)
        return Indicator(ptr, y.indices[ones].astype(np.int32), shape[1]), kind
    step = max(1, _CHUNK // shape[1])
    counts, labels = np.zeros(n_rows + 1, dtype=np.int64), []
    for start in range(0, n_rows, step):
        piece = y[start:start + step]
        odd = (piece != 0) & (piece != 1)
        if odd.any():
            row, column = (int(i) for i in np.argwhere(odd)[0])
            raise ValueError(_odd_entry(piece[row, column], start + row, column))
        at, which = np.nonzero(piece)
        counts[start + 1:start + step + 1] = np.bincount(at, minlength=len(piece))
        labels.append(which.astype(np.int32))
    return Indicator(np.cumsum(counts), np.concatenate(labels), shape[1]), kind


def _odd_entry(value: Any, row: int, column: int) -> str:
    if np.isnan(value):
        return (f"Input y contains NaN: first at row {row}, label {column}; an indicator matrix "
                "holds 1 where a row has a label, else 0")
    return (f"y should be a 1d array of labels or an indicator matrix, which holds 1 where a row "
            f"has a label, else 0; got {_show(value)} at row {row}, label {column}")


# ---------------------------------------------------------------------------------- weights


def sample_weights(sample_weight: Any, n: int, all_zero: bool = False) -> np.ndarray | None:
    """Weights of n rows as float64 (n,); None when there are none or all are 1.

    A single number stands for n equal weights. Raises ValueError for a wrong shape, negative, NaN
    or infinite weights (naming the first) and, unless `all_zero` allows it, when all are zero.
    """
    if sample_weight is None:
        return None
    refuse_unread(sample_weight, "sample_weight")
    if is_sparse(sample_weight):
        raise TypeError("sample_weight is a sparse matrix; it must be a 1-D array")
    weights: Any = _numbers(given_array(sample_weight, "sample_weight"), "sample_weight")
    weights = weights.astype(np.float64, copy=False)
    if weights.ndim == 0:
        weights = np.full(n, weights)
    if weights.shape != (n,):
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected ({n},): one weight "
                         "per row of X")
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        row = int(bad.argmax())
        raise ValueError("sample_weight must be finite and not negative; got "
                         f"{_show(weights[row])} at row {row}")
    if not all_zero and not weights.any():
        raise ValueError("sample_weight is zero in every row; at least one row (of each class, "
                         "where y has classes) needs a positive weight")
    return None if (weights == 1).all() else weights


def row_weights(
    C: float,
    class_weight: Any,
    sample_weight: Any,
    classes: np.ndarray,
    codes: Any,
    n: int,
) -> np.ndarray | None:
    """Weight of each row's loss: C * class weight * sample weight.

    Parameters
    ----------
    C : float
        Positive.
    class_weight : None, "balanced" or dict
        "balanced": total weight / (K * weight of the class), with the sample weights, K the
        classes that have any. A dict maps labels to factors; labels it does not name have factor 1.
        It may name labels that are not in y if it names all that are.
    sample_weight : None, number or array-like (n,)
    classes : ndarray (K,)
    codes : ndarray (n,) of int32, or Indicator
        As from `encode_labels` or `read_indicator`; the latter goes without class weights.

    Returns
    -------
    ndarray (n,) of float64, or None when all are C

    Raises
    ------
    ValueError
        For weights that are negative, not finite, of a wrong shape or for unknown labels, and
        when fewer than two classes have a row of positive weight.
    """
    cost("C", C)
    weights = sample_weights(sample_weight, n)
    if weights is None and class_weight is None:
        return None
    if isinstance(codes, Indicator):
        if class_weight is not None:
            raise ValueError("class_weight is for one label per row; with an indicator matrix y "
                             f"it must be None, as rows have several labels or none; got "
                             f"{_show(class_weight)}. Use sample_weight to weigh rows")
        with np.errstate(over="ignore"):
            out = _usable(C * np.asarray(weights))
        if not out.any():
            raise ValueError("C * sample_weight is too small for float64 in every row")
        return out
    n_classes = len(classes)
    if weights is None:
        totals: Any = np.bincount(codes, minlength=n_classes)
    else:
        totals = np.bincount(codes, weights=weights, minlength=n_classes)
        _check_class_totals(totals, classes, "sample_weight")
    factors = _class_factors(class_weight, classes, totals)
    if weights is None and (factors == 1).all():
        return None
    with np.errstate(over="ignore"):
        out = factors[codes]
        out *= C
        if weights is not None:
            out *= weights
    out = _usable(out)
    _check_class_totals(np.bincount(codes, weights=out, minlength=n_classes), classes,
                        "class_weight")
    return out


def _usable(out: np.ndarray) -> np.ndarray:
    if not (out <= MAX_COST).all():
        raise ValueError("C * class_weight * sample_weight is too large for float64 (beyond "
                         f"{MAX_COST:g}): use smaller weights")
    out[out < 1 / MAX_COST] = 0
    return out


def _check_class_totals(totals: np.ndarray, classes: np.ndarray, name: str) -> None:
    if np.count_nonzero(totals) < 2:
        label = classes[int((totals == 0).argmax())]
        raise ValueError(f"class {_show(label)} has no row with a positive weight: {name} is zero "
                         "there. At least two classes need such a row")


def _class_factors(class_weight: Any, classes: np.ndarray, totals: np.ndarray) -> np.ndarray:
    if class_weight is None:
        return np.ones(len(classes))
    if isinstance(class_weight, str) and class_weight == "balanced":
        some = totals > 0
        return np.where(some, totals.sum() / (np.count_nonzero(some) * np.where(some, totals, 1)),
                        1.0)
    if not isinstance(class_weight, Mapping):
        raise ValueError('class_weight must be None, "balanced" or a dict {label: weight}; got '
                         f"{_show(class_weight)}")
    class_weight = {str.__str__(key) if isinstance(key, str) else key: weight
                    for key, weight in class_weight.items()}
    labels = classes.tolist()
    known = set(labels)
    unknown = [key for key in class_weight if key not in known]
    # A subset of the rows may lack a label; a misspelt one leaves a label of y without a weight.
    if unknown and not all(label in class_weight for label in labels):
        raise ValueError(f"class_weight names labels that are not in y: {_some(unknown)}; y has "
                         f"{_some(labels)}. It may if it names all labels of y, too")
    factors = np.ones(len(classes))
    for i, label in enumerate(labels):
        if label in class_weight:
            factors[i] = real(f"class_weight[{label!r}]", class_weight[label], positive=False)
    return factors


def class_weight_form(class_weight: Any) -> None:
    """Raise unless this is None, "balanced" or a dict of labels to weights, whatever the labels."""
    if class_weight is None or (isinstance(class_weight, str) and class_weight == "balanced"):
        return
    if not isinstance(class_weight, Mapping):
        raise ValueError('class_weight must be None, "balanced" or a dict {label: weight}; got '
                         f"{_show(class_weight)}")
    for label, weight in class_weight.items():
        real(f"class_weight[{_show(label)}]", weight, positive=False)


def _show(value: Any, limit: int = 60) -> str:
    """`value` in a message: NumPy scalars as Python's, long ones cut."""
    if isinstance(value, np.generic):
        value = value.item()
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "..."


def _some(values: Sequence[Any], limit: int = 10) -> str:
    shown = ", ".join(_show(v) for v in values[:limit])
    return shown + (", ..." if len(values) > limit else "")


# ------------------------------------------------------------------------------- parameters


def many_C(name: str, Cs: Any) -> np.ndarray:
    """Values of C as float64 (m,), in the order given: an array, or how many from 1e-3 to 1e3.

    Raises TypeError or ValueError for what is no 1-D array of positive, finite numbers.
    """
    if not isinstance(Cs, bool | np.bool_) and hasattr(Cs, "__index__") and np.ndim(Cs) == 0:
        count = integer(name, Cs)
        if count > MOST_C:
            raise ValueError(f"{name}={count} asks for as many models; the number may be up to "
                             f"{MOST_C}: lower it, or give the values of C themselves")
        return np.logspace(-3, 3, count) if count > 1 else np.ones(1)
    if isinstance(Cs, str | bytes | bool | np.bool_ | Mapping) or is_sparse(Cs):
        raise TypeError(f"{name} must be an array of positive numbers, or how many of them from "
                        f"1e-3 to 1e3; got {_show(Cs)}")
    values = given_array(list(Cs) if not hasattr(Cs, "__array__") else Cs, name)
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"{name} must be a 1-D array of at least one C; got shape {values.shape}")
    values = _numbers(values, name).astype(np.float64)
    bad = ~(np.isfinite(values) & (values > 0))
    if bad.any():
        at = int(bad.argmax())
        raise ValueError(f"{name} must be positive and finite; got {_show(values[at])} at position "
                         f"{at}")
    return values



def real(name: str, value: Any, *, positive: bool = True, allow_inf: bool = False) -> float:
    """`value` as a float that is positive, or (positive=False) at least not negative."""
    what = "a positive number" if positive else "a number that is not negative"
    if type(value) is not float and (
            isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real)):
        raise TypeError(f"{name} must be {what}; got {_show(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = np.inf if value > 0 else -np.inf  # type: ignore[operator]
    if not (number > 0 or (number == 0 and not positive)):
        raise ValueError(f"{name} must be {what}; got {_show(value)}")
    if number == np.inf and not allow_inf:
        raise ValueError(f"{name} must be {what} and finite; got {_show(value)}")
    return number


def share(name: str, value: Any) -> float:
    """`value` as a float above 0 and up to 1."""
    number = real(name, value)
    if number > 1:
        raise ValueError(f"{name} must be above 0 and at most 1; got {_show(value)}")
    return number


def positive_float(name: str, value: Any, allow_inf: bool = False) -> float:
    """`value` as a positive float. Raises TypeError for what is no number, else ValueError."""
    return real(name, value, allow_inf=allow_inf)


def cost(name: str, value: Any) -> float:
    """`value` as a positive float that weighs losses. Raises TypeError or ValueError."""
    number = positive_float(name, value)
    if not 1 / MAX_COST <= number <= MAX_COST:
        raise ValueError(f"{name} must lie between {1 / MAX_COST:g} and {MAX_COST:g}; got "
                         f"{value!r}")
    return number


def optional_positive_float(name: str, value: Any, allow_inf: bool = True) -> float | None:
    """Like `positive_float`, but None stays None."""
    return None if value is None else real(name, value, allow_inf=allow_inf)


def integer(name: str, value: Any, minimum: int = 1) -> int:
    """`value` as an int of at least `minimum`; integral floats are refused."""
    what = "a positive integer" if minimum == 1 else f"an integer of at least {minimum}"
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be {what}; got {_show(value)}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be {what}; got {_show(value)}") from None
    if number < minimum:
        raise ValueError(f"{name} must be {what}; got {_show(value)}")
    return number


def choice(name: str, value: Any, allowed: Sequence[str]) -> str:
    """`value`, which must be one of the strings `allowed`."""
    if isinstance(value, str) and value in allowed:
        return str(value)
    options = " or ".join(f'"{option}"' for option in allowed)
    raise ValueError(f"{name} must be {options}; got {_show(value)}")


def boolean(name: str, value: Any) -> bool:
    """`value` as a bool; numbers and strings are refused."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise TypeError(f"{name} must be True or False; got {_show(value)}")


def optional_callable(name: str, value: Any) -> Any:
    """`value`, which must be callable or None."""
    if value is None or callable(value):
        return value
    raise TypeError(f"{name} must be callable or None; got {_show(value)}")


def random_seed(random_state: Any) -> int:
    """Seed of 64 bits for a fit's own random streams.

    Parameters
    ----------
    random_state : None, int, numpy.random.RandomState or numpy.random.Generator
        None means 0: results are the same on every run unless asked otherwise. A generator is
        drawn from once, so that the next fit with it differs.
    """
    if random_state is None:
        return 0
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(0, 2**64, dtype=np.uint64))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(0, 2**64, dtype=np.uint64))
    what = ("random_state must be None, an integer from 0 to 2**64 - 1, or a numpy.random "
            f"generator; got {_show(random_state)}")
    if isinstance(random_state, bool | np.bool_) or not hasattr(random_state, "__index__"):
        raise TypeError(what)
    seed = operator.index(random_state)
    if not 0 <= seed < 2**64:
        raise ValueError(what)
    return seed
