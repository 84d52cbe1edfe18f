# SPDX-License-Identifier: BSD-3-Clause
"""The gate of the losses: labels, scores and weights as their kernels read them, or a clear error.

float32 and float64 scores, and labels of these and of signed integer types, are read where they
lie, whatever their strides. Everything else is converted once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from math import isnan
from typing import Any, NoReturn

import numpy as np

from ._core import kernels
from ._validate import _numbers, _show, _some, choice, given_array, is_sparse

REDUCTIONS = ("mean", "sum", "none")
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
SIGNED = "fdbhilq"  # dtype characters of labels that kernels read

_losses = kernels("losses")


def scores(f: Any, name: str = "f") -> np.ndarray:
    """`f` as an array of native float32 or float64.

    float16 becomes float32; other numbers, also in strings and objects, float64.
    """
    if is_sparse(f):
        raise TypeError(f"{name} is a sparse matrix; losses take dense scores: "
                        f"{name}.toarray()")
    refuse_mask(f, name)
    return _numbers(given_array(f, name), name)


@contextmanager
def called(**names: str) -> Iterator[None]:
    """Let errors about `y`, say, tell which argument of the function that was called that is.

    Parameters
    ----------
    **names
        The arguments' names, by the names that errors use.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        said = str(error)
        used = [f"{ours} is {theirs}" for ours, theirs in names.items()
                if ours != theirs and re.search(rf"\b{ours}\b", said)]
        if not used or type(error) not in (ValueError, TypeError):
            raise
        raise type(error)(f"here {' and '.join(used)}: {said}") from error


def refuse_mask(array: Any, name: str) -> None:
    """Raise ValueError if elements are masked: what is behind the mask would be taken for data."""
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise ValueError(f"{name} is a masked array with masked values: fill them with "
                         f"{name}.filled(...) or leave them out")


def reduced(reduction: Any) -> None:
    """Raise ValueError unless `reduction` is one."""
    choice("reduction", reduction, REDUCTIONS)


def weights(sample_weight: Any, shape: tuple[int, ...], name: str = "sample_weight") -> np.ndarray:
    """`sample_weight` as float32 or float64, finite and not negative, of this shape."""
    w = sample_weight
    if type(w) is not np.ndarray or (w.dtype is not F32 and w.dtype is not F64):
        w = scores(w, name)
    if w.shape != shape:
        raise ValueError(f"{name}.shape == {w.shape}, expected {shape}: a weight for each value of "
                         "the loss")
    if isnan(_sum(w)):
        at = _position(~((w >= 0) & (w < np.inf)))
        raise ValueError(f"{name}{_index(at)} is {_show(w[at])}; weights must be finite and not "
                         "negative")
    return w


def _sum(w: np.ndarray) -> float:
    """The sum of weights, in double precision; NaN if one is not finite, or negative."""
    return _losses.sum_of_weights(w if w.ndim <= 2 else w.reshape(-1))


def mean_scale(size: int, w: np.ndarray | None, of: str = "f", name: str = "sample_weight"
               ) -> float:
    """1 / sum(w), or 1 / size: what a sum becomes a mean by."""
    if size == 0:
        raise ValueError(f'the mean of no values: {of} is empty; use reduction="sum" or "none"')
    if w is None:
        return 1 / size
    total = _sum(w)
    if not total > 0:
        raise ValueError(f'the weighted mean is undefined: {name} is zero everywhere; use '
                         'reduction="sum" or "none"')
    if not 1e-307 < total < np.inf:
        raise ValueError(f"the weighted mean is beyond double precision: the sum of {name} is "
                         f"{total:g}; scale the weights")
    return 1 / total


def margins(
    y: Any, f: Any, labels: Any, sample_weight: Any, reduction: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, float, tuple[int, ...]]:
    """(y, f, weights, scale, shape) for the kernel of the margin losses.

    Whether the elements of y are -1 and +1 is not looked at here unless y is converted: see
    `refuse_signs`. Arrays of more than two dimensions come back flat.
    """
    if type(f) is not np.ndarray or (f.dtype is not F32 and f.dtype is not F64):
        f = scores(f)
    shape = f.shape
    if labels is not None:
        y = _as_signs(y, labels)
    elif type(y) is not np.ndarray or y.dtype.char not in SIGNED or not y.dtype.isnative:
        y = _signed(y)
    if y.shape != shape:
        raise ValueError(f"y.shape == {y.shape}, expected {shape} as f has: one label per score")
    w = None if sample_weight is None else weights(sample_weight, shape)
    scale = 1.0
    if reduction == "mean":
        scale = mean_scale(f.size, w)
    elif reduction not in REDUCTIONS:
        reduced(reduction)
    if len(shape) > 2:
        f, y, w = f.reshape(-1), y.reshape(-1), None if w is None else w.reshape(-1)
    return y, f, w, scale, shape


def signs(y: Any, argument: str) -> np.ndarray:
    """Labels of a function without `labels`, whose argument is called so: -1 and +1 only."""
    array = _signed(y, argument)
    if not ((array == 1) | (array == -1)).all():
        refuse_signs(array, argument)
    return array


def _signed(y: Any, argument: str = "") -> np.ndarray:
    """Labels as an array of a type in SIGNED; what cannot be -1 and +1 is refused."""
    name = argument or "y"
    if is_sparse(y):
        raise TypeError(f"{name} is a sparse matrix; losses take dense labels: use "
                        f"{name}.toarray()")
    refuse_mask(y, name)
    array = given_array(y, name)
    kind = array.dtype.kind
    if kind not in "iuf":
        if kind == "O" and all(isinstance(v, int | float | np.integer | np.floating)
                               and not isinstance(v, bool) for v in array.flat):
            return array.astype(F64)
        if array.size == 0:
            return np.empty(array.shape)
        refuse_signs(array, argument)
    if kind == "u":
        array = array.astype(np.promote_types(array.dtype, np.int16), copy=False)
    if array.dtype.char == "e":
        return array.astype(F32)
    if array.dtype.char not in SIGNED:
        return array.astype(F64)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _as_signs(y: Any, labels: Any) -> np.ndarray:
    """-1 where y is labels[0], +1 where it is labels[1]."""
    if not (isinstance(labels, Sequence | np.ndarray) and not isinstance(labels, str | bytes)
            and len(labels) == 2 and np.ndim(labels) <= 1):  # fmt: skip
        raise ValueError("labels must be a pair (negative label, positive label); got "
                         f"{_show(labels)}")
    negative, positive = labels
    if negative == positive:
        raise ValueError(f"labels must be two different labels; got {_show(labels)}")
    array = given_array(y, "y")
    if array.dtype.kind not in "OSU" and isinstance(negative, str) != isinstance(positive, str):
        raise ValueError(f"labels must be of one kind; got {_show(labels)}")
    is_positive = np.asarray(array == positive)
    other = ~(is_positive | np.asarray(array == negative))
    if is_positive.shape != array.shape or other.any():
        at = _position(other) if is_positive.shape == array.shape else (0,) * array.ndim
        raise ValueError(f"y{_index(at)} is {_show(array[at])}, which is neither of "
                         f"labels=({_show(negative)}, {_show(positive)})")
    return np.where(is_positive, np.int8(1), np.int8(-1))


def refuse_signs(y: np.ndarray, argument: str = "") -> NoReturn:
    """Raise the ValueError for labels that are not all -1 or +1.

    The advice is to pass `labels`, or for functions that have no such argument, but call y
    `argument`, to convert it.
    """
    flat = y.reshape(-1)
    with np.errstate(invalid="ignore"):
        bad = np.ones(y.shape, bool) if y.dtype.kind not in "iuf" else (y != 1) & (y != -1)
    at = _position(bad)
    said = f"y{_index(at)} is {_show(y[at])}, but margin losses take labels -1 and +1"
    found: Sequence[Any] = []
    with suppress(TypeError):  # labels that cannot be ordered
        found = sorted({v.item() if isinstance(v, np.generic) else v for v in flat[:10000]})
    if argument:
        fix = f"{argument} must hold nothing else"
        if 1 in found and len(found) < 3:
            fix += f": pass np.where({argument} == 1, 1, -1)"
        elif len(found) == 2:
            fix += f": pass np.where(np.asarray({argument}) == {_show(found[1])}, 1, -1)"
    elif len(found) == 2:
        fix = f"pass labels=({_show(found[0])}, {_show(found[1])}) for (negative, positive)"
    elif len(found) > 2:
        fix = f"y has {len(found)} different values or more: {_some(found, 4)}"
    else:
        fix = "pass labels=(negative, positive)"
    raise ValueError(f"{said}; {fix}")


def class_indices(y: Any, n: int, K: int) -> np.ndarray:
    """`y` as class indices of a native integer type, shape (n,); their range is for the kernel."""
    if (type(y) is np.ndarray and y.dtype.char in "bhilq" and y.dtype.isnative
            and y.shape == (n,)):  # fmt: skip
        return y
    if is_sparse(y):
        raise TypeError("y is a sparse matrix; losses take an array of class indices")
    refuse_mask(y, "y")
    array = given_array(y, "y")
    if array.shape != (n,):
        raise ValueError(f"y.shape == {array.shape}, expected ({n},): one class index per row of "
                         "scores")
    kind = array.dtype.kind
    if kind == "f":
        bad = ~(array == np.rint(array)) | np.isinf(array)
        if bad.any():
            at = _position(bad)
            raise ValueError(f"y{_index(at)} is {_show(array[at])}; class indices are integers "
                             f"0..{K - 1}")
        with np.errstate(invalid="ignore"):
            return np.clip(array, -1, 2**53).astype(np.int64)
    if array.size == 0:
        return np.empty(0, np.int64)
    if kind == "O":
        odd = [not isinstance(v, int | np.integer) or isinstance(v, bool) for v in array]
        if not any(odd):
            return np.array([min(max(v, -1), 2**62) for v in array], np.int64)
    if kind not in "iu":
        first = array[odd.index(True) if kind == "O" else 0]
        raise ValueError(f"y holds {_show(first)}; multiclass losses take class "
                         f"indices 0..{K - 1}: codes of labels are what "
                         "np.unique(labels, return_inverse=True)[1] returns")
    if array.dtype.char in "bhilq":
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    return np.minimum(array.astype(np.uint64), np.uint64(2**63 - 1)).astype(np.int64)


def refuse_class(y: np.ndarray, K: int) -> NoReturn:
    """Raise the ValueError for the first class index out of range."""
    at = int(np.argmax((y < 0) | (y >= K)))
    raise ValueError(f"y[{at}] is {_show(y[at])}, but there are scores of {K} classes: class "
                     f"indices must lie in 0..{K - 1}")


def score_rows(s: Any, least: int = 2) -> np.ndarray:
    """Scores of shape (n, K) with K >= least, as float32 or float64."""
    array = s
    if type(s) is not np.ndarray or (s.dtype is not F32 and s.dtype is not F64):
        array = scores(s, "scores")
    if array.ndim != 2 or array.shape[1] < least:
        raise ValueError(f"scores.shape == {array.shape}, expected (n, K): a row of K >= {least} "
                         "class scores for each sample")
    return array


def output(out: Any, shape: tuple[int, ...], dtype: Any, **read: np.ndarray | None) -> None:
    """Raise TypeError or ValueError unless results can be written to `out` while `read` is read."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array; got {type(out).__name__}")
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out has dtype {out.dtype} and shape {out.shape}, expected {dtype} and "
                         f"{shape} as the scores have")
    if not out.flags.carray:  # C-contiguous, aligned and writeable
        what = "is read-only" if not out.flags.writeable else "is not C-contiguous and aligned"
        raise ValueError(f"out {what}; pass an array as np.empty makes it")
    for name, array in read.items():
        if array is not None and np.shares_memory(out, array):
            raise ValueError(f"out shares memory with {name}; pass an array of its own")


def _position(bad: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))


def _index(at: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, at))}]" if at else ""
