# SPDX-License-Identifier: BSD-3-Clause
"""Model files: hingex's own format, and the text formats of LIBLINEAR and LIBSVM.

A hingex model file is a fixed preamble, a JSON header and raw arrays, all of it covered by
checksums; docs/model_format.md describes every byte. There is no pickle in it: reading a file
runs no code from it. Everything a header claims is compared with the real size of the file
before memory is allocated. Files are replaced atomically.
"""

from __future__ import annotations

import math
import os
import re
import stat
import zlib
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import numpy as np

from . import _validate as check
from . import kernels as kernel_functions
from ._core import kernels
from ._files import replacing
from ._reading import check_reading
from ._targets import check_absent
from .losses.margin import MarginLoss, by_name
from .stop import HISTORY_DTYPE

if TYPE_CHECKING:
    from .linear import LinearClassifier, LinearSVC

__all__ = [
    "ModelFormatError", "describe", "load", "load_liblinear", "load_libsvm", "save",
    "save_liblinear", "save_libsvm",
]

# The byte above 127 and the line ends reveal transfers that were not binary.
MAGIC = b"\x89HNX\r\n\x1a\n"
VERSION = 1
ALIGN = 64
MAX_HEADER = 4 << 20
MAX_DEPTH = 32  # of lists and dicts in each other
MAX_ARRAYS = 4096
MAX_LOSSES = 16  # in a weighted sum
WIDEST_EMPTY = 4096  # bytes of the entries that an array without any may have
MAX_COLLISIONS = 64  # keys of a dict with the same hash; each costs a comparison with all others
# What a header or an array of strings may take as Python's objects: so many bytes, and so many for
# each byte of the file. They are estimated before any is made.
OBJECTS, OBJECTS_PER_BYTE = 16 << 20, 8
_LIST_BYTES, _DICT_BYTES, _ITEM_BYTES, _STRING_BYTES = 64, 232, 64, 80
# magic, version u32, CRC-32 u32 of preamble (this field as zeros) and header, bytes of the header
# u64, bytes of the file u64
_PREAMBLE = 32

_BATCH = ("LinearSVC", "LinearSVCCV", "LinearClassifier")  # LIBLINEAR's files can hold these
# Each class that files can hold, and the module of hingex it comes from.
_CLASSES = {
    **dict.fromkeys((*_BATCH, "PegasosClassifier", "PassiveAggressiveClassifier",
                     "AROWClassifier"), "linear"),
    **dict.fromkeys(("LinearRankSVC", "AUCMaximizer"), "ranking"),
    **dict.fromkeys(("SVC", "NuSVC", "SVR", "NuSVR", "OneClassSVM"), "kernel"),
    **dict.fromkeys(("LMNN", "OASIS"), "metric"),
    "ChainSVM": "structured",
    "CalibratedClassifier": "calibration",
    **dict.fromkeys(("TextVectorizer", "TextClassifier"), "text"),
}  # fmt: skip
# Fitted attributes that are arrays wherever they occur, and such as never are.
_ARRAYS = frozenset((
    "classes_", "coef_", "intercept_", "dual_coef_", "support_", "support_vectors_", "n_support_",
    "support_kind_", "feature_names_in_", "history_", "margin_width_", "idf_", "term_bytes_",
    "term_ends_", "components_", "features_", "transitions_", "start_", "end_", "landmarks_",
    "probability_slopes_", "primal_coef_", "primal_centre_", "primal_intercept_", "probA_",
    "probB_", "prob_density_marks_", "libsvm_order_",
))  # fmt: skip
_VALUES = frozenset((
    "n_features_in_", "n_documents_", "multilabel_", "hashed_", "gamma_", "offset_", "shape_fit_",
    "loss_", "converged_", "probability_temperature_",
))  # fmt: skip
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*_", re.ASCII)
_SCALARS = ("|b1", "|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8")
_STRING = re.compile(r"(?:<U|\|S)[1-9][0-9]{0,7}", re.ASCII)
# A JSON list of strings and nothing else, without going back at any place.
_ONE = rb'\s*"[^"\\]*+(?:\\.[^"\\]*+)*+"\s*'
_FLAT = re.compile(rb"\s*\[(?:%b(?:,%b)*+|\s*)\]\s*" % (_ONE, _ONE), re.DOTALL)
_TEXT = "utf8"  # Python strings in an array of objects, kept as a JSON list


class ModelFormatError(ValueError):
    """A model file is damaged, incomplete, of a newer version, or no model file at all.

    Examples
    --------
    >>> import tempfile
    >>> import hingex
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     try:
    ...         hingex.load(file.name)
    ...     except hingex.model_io.ModelFormatError as error:
    ...         print(str(error).rpartition(": ")[2])
    empty file, not a model
    """


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted model to a file, atomically.

    Stored are the parameters that are None, bool, int, float, str, margin losses, or lists, tuples
    and dicts of these, and every fitted attribute (name ending in "_") that is such a value or an
    array of numbers, booleans or strings. Of a history the seconds are written as 0, so that equal
    fits make equal files. Anything else, such as a callback or a RandomState, is left out, and its
    name is listed in the file; after `load` such a parameter has its default.

    Parameters
    ----------
    model : a linear or ranking model, kernel machine or metric of hingex, ChainSVM, TextVectorizer,
            TextClassifier or CalibratedClassifier of one of them
        Fitted.
    path : str or path-like
        An existing file is replaced at once and keeps its permissions: whatever happens, `path`
        holds the old file or the whole new one.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    TypeError
        If it is not an instance of a class that hingex's model files know, or a fitted attribute
        that is an array was replaced by something else.
    ValueError
        If its attributes contradict each other or are not finite, or `fit` would refuse a
        parameter.
    OSError
        If the file cannot be written.

    Notes
    -----
    Two passes over the arrays (checksum, write); no copy of contiguous arrays.

    Examples
    --------
    >>> import os, tempfile
    >>> import hingex
    >>> from hingex.model_io import load, save
    >>> model = hingex.LinearSVC().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     name = os.path.join(folder, "model.hingex")
    ...     save(model, name)
    ...     again = load(name)
    >>> again.predict([[2.5]]).tolist()
    [1]
    """
    name = storable_part(model)
    model._check_fitted()

    params, omitted = storable_params(model)
    params = {key: _encode(value) for key, value in params.items()}
    fitted, arrays = {}, {}
    attributes = fitted_to_store(model)
    for key, value in attributes.items():
        if not _NAME.fullmatch(key):
            continue
        try:
            if isinstance(value, np.ndarray):
                arrays[key] = _Stored(_timeless(value))
            else:
                fitted[key] = _encode(value)
        except (TypeError, RecursionError):
            omitted.append(key)
    check_reading(attributes.get("reading_"))
    decoded = {k: _decode(v) for k, v in fitted.items()}
    _check_all(name, decoded, {k: attributes[k] for k in arrays})
    if _CLASSES[name] == "text":
        model._check_arrays()
    _with_params(_class(name), {k: _decode(v) for k, v in params.items()})

    table = [{"name": key} | stored.entry for key, stored in arrays.items()]
    header = {
        "class": name,
        "hingex": kernels("build").version(),
        "params": params,
        "fitted": fitted,
        "omitted": omitted,
        "arrays": table,
    }
    text, size = _lay_out(header)
    _refuse_large(text, size)
    for entry in table:
        _check_strings(entry, size)
    with replacing(path) as file:
        file.write(_preamble(text, size) + text)
        for entry, stored in zip(table, arrays.values(), strict=True):
            file.write(bytes(entry["offset"] - file.tell()))
            file.write(stored.data)


def _timeless(array: np.ndarray) -> np.ndarray:
    """An array without the times it tells: equal fits take different ones."""
    if array.dtype.names is None or "seconds" not in array.dtype.names:
        return array
    array = array.copy()
    array["seconds"] = 0
    return array
def storable_part(model: Any) -> str:
    """Name of the model's class, if files can hold it; else TypeError."""
    name = type(model).__name__
    if name not in _CLASSES or type(model) is not _class(name):
        raise TypeError(f"model files hold {', '.join(_CLASSES)}; got {name}, which pickle can "
                        "keep")
    return name


def fitted_to_store(model: Any) -> dict[str, Any]:
    """Attributes of a fitted model, those that files hold among them."""
    found: dict[str, Any] = (
        model._fitted_to_store() if hasattr(model, "_fitted_to_store") else vars(model))
    return found


def restored(name: Any, params: Any, fitted: dict[str, Any]) -> Any:
    """The model of this class from what was stored; ValueError or TypeError if it is not whole."""
    if not isinstance(name, str) or name not in _CLASSES or not isinstance(params, dict):
        raise ValueError("a model of a class that is not known here, or without parameters")
    kind = _class(name)
    if unknown := set(params) - set(kind().get_params(deep=False)):
        raise ValueError(f"{name} has no parameter {min(map(str, unknown))!r}")
    arrays = {k: v for k, v in fitted.items() if isinstance(v, np.ndarray)}
    _check_all(name, {k: v for k, v in fitted.items() if k not in arrays}, arrays)
    model = _with_params(kind, params)
    if hasattr(kind, "_restored"):
        model = kind._restored(params, fitted)
    else:
        vars(model).update(fitted)
        if hasattr(model, "_check_arrays"):
            model._check_arrays()
    if not model.__sklearn_is_fitted__():
        raise ValueError("a fitted attribute is missing")
    return model


def storable_params(model: Any) -> tuple[dict[str, Any], list[str]]:
    """Parameters that model files can hold, and the names of the others.

    Parameters
    ----------
    model : estimator of hingex

    Returns
    -------
    params : dict
    omitted : list of str
    """
    own = getattr(model, "_params_to_store", None)
    params, omitted = {}, []
    for key, value in (own() if own else model.get_params(deep=False)).items():
        try:
            _encode(value)
        except (TypeError, RecursionError):
            omitted.append(key)
        else:
            params[key] = value
    return params, omitted


def load(path: str | os.PathLike[str]) -> Any:
    """Read a model that `save`, LIBLINEAR or LIBSVM wrote.

    Parameters
    ----------
    path : str or path-like
        A regular file. Its format is told by its content.

    Returns
    -------
    a linear or ranking model, kernel machine or metric of hingex, ChainSVM, TextVectorizer,
    TextClassifier or CalibratedClassifier
        Predicts (or transforms) bit for bit as the saved model did. See `load_liblinear` and
        `load_libsvm` for the others'.

    Raises
    ------
    ModelFormatError
        (a ValueError) If it is not a model file, or is damaged, cut off or too new; the message
        names the file and what is wrong. Nothing is allocated for sizes that the file lies about.
    MemoryError
        If there is too little for what it holds; the message names the file.
    OSError
        If it cannot be opened or read.

    Examples
    --------
    >>> import os, tempfile
    >>> import hingex
    >>> model = hingex.LinearSVC().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     name = os.path.join(folder, "model.hingex")
    ...     model.save(name)
    ...     hingex.load(name)
    LinearSVC()
    """
    with _reading(path) as (file, name, size):
        kind = _format(file, name)
        if kind == "hingex":
            return _load_binary(file, name, size)
        text = (_Libsvm if kind == "libsvm" else _Liblinear)(file, name, size)
        return text.model()


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Facts about a model file that the loaded model does not tell.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    dict
        format : "hingex", "liblinear" or "libsvm"; bytes : int, size of the file; for hingex also
        format_version : int, hingex : str, the version that wrote it, and omitted : list of str,
        what could not be stored; for LIBLINEAR solver_type : str; for LIBSVM svm_type and
        kernel_type : str.

    Raises
    ------
    ModelFormatError, OSError
        As `load`; only the header is read.

    Examples
    --------
    >>> import os, tempfile
    >>> import hingex
    >>> from hingex.model_io import describe
    >>> model = hingex.LinearSVC().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     name = os.path.join(folder, "model.hingex")
    ...     model.save(name)
    ...     facts = describe(name)
    >>> facts["format"], facts["omitted"]
    ('hingex', [])
    """
    with _reading(path) as (file, name, size):
        kind = _format(file, name)
        if kind == "libsvm":
            svm = _Libsvm(file, name, size)
            return {"format": kind, "bytes": size, "svm_type": svm.svm_type,
                    "kernel_type": svm.kernel_type}  # fmt: skip
        if kind == "liblinear":
            text = _Liblinear(file, name, size)
            return {"format": kind, "bytes": size, "solver_type": text.solver}
        header, _ = _read_header(file, name, size)
        return {
            "format": "hingex",
            "bytes": size,
            "format_version": VERSION,
            "hingex": header["hingex"],
            "omitted": header["omitted"],
        }


# ------------------------------------------------------------------------------------- files


@contextmanager
def _reading(path: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, str, int]]:
    name = os.fsdecode(path)
    # Asked before opening, which would wait for a writer if this were a pipe.
    if not stat.S_ISREG(os.stat(name).st_mode) and not os.path.isdir(name):
        raise ModelFormatError(f"{name}: not a regular file; copy the model to a file first")
    with open(name, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            yield file, name, size
        except MemoryError as error:  # which may befall a sound file, too
            raise MemoryError(f"{name}: not enough memory for the model in this file of {size} "
                              f"bytes{f': {error}' if str(error) else ''}") from error


def _fail(name: str, what: str) -> NoReturn:
    raise ModelFormatError(f"{name}: {what}")


def _format(file: BinaryIO, name: str) -> str:
    start = file.read(len(MAGIC))
    file.seek(0)
    if start == MAGIC:
        return "hingex"
    if not start:
        _fail(name, "empty file, not a model")
    if start[:4] == MAGIC[:4]:
        _fail(name, "hingex model damaged in its first 8 bytes: was it transferred as text?")
    word = file.read(16).split(maxsplit=1)[:1]
    file.seek(0)
    if word and word[0].decode("latin-1") in _Liblinear.KEYS:
        return "liblinear"
    if word and word[0].decode("latin-1") in _Libsvm.KEYS:
        return "libsvm"
    _fail(name, "neither a hingex nor a LIBLINEAR or LIBSVM model file")


# ------------------------------------------------------------------------------- hingex format


def _class(name: str) -> Any:
    return getattr(import_module("hingex." + _CLASSES[name]), name)


def _check(name: str) -> Callable[[dict[str, Any], dict[str, np.ndarray]], None]:
    if name == "TextClassifier":
        return _check_text_classifier
    if _CLASSES[name] in ("kernel", "metric", "structured", "calibration"):
        return lambda fitted, arrays: None  # `_restored` and `_fitted_to_store` do it
    if name == "LinearRankSVC":
        return lambda fitted, arrays: _check_scores(fitted, arrays, 1)
    return _check_text if name == "TextVectorizer" else _check_linear


def _check_all(name: str, fitted: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Whether the attributes of a model of this class can be those of a fit.

    Raises ValueError if not, TypeError for a single value where an array belongs, or the reverse.
    """
    _check(name)(fitted, arrays)
    for key, value in fitted.items():
        if key.rpartition("__")[2] in _ARRAYS:
            raise TypeError(f"{key} is a {type(value).__name__}, not an array of a kind that can "
                            "be stored")
        if key.rpartition("__")[2] == "loss_" and not isinstance(value, MarginLoss) and (
                name in ("LinearClassifier", "TextClassifier")):
            raise ValueError(f"{key} is a {type(value).__name__}, not a loss")
    for key, values in arrays.items():
        part, _, own = key.rpartition("__")
        if own in _VALUES:
            raise TypeError(f"{key} is an array, not a single value")
        if own == "feature_names_in_":
            d = fitted.get(f"{part}__n_features_in_" if part else "n_features_in_")
            if values.shape != (d,) or not all(isinstance(s, str) for s in values.tolist()):
                raise ValueError(f"feature_names_in_ has shape {values.shape} and dtype "
                                 f"{values.dtype}; it must be {d} strings")


def _with_params(kind: Any, params: dict[str, Any]) -> Any:
    """A model that is not fitted, with parameters that `fit` would take; else ValueError."""
    for key, value in params.items():
        if isinstance(value, MarginLoss) and key != "loss":  # which could be called
            raise ValueError(f"the parameter {key} is a loss")
    model = kind(**params)
    try:
        model._check_params()
    except TypeError as error:
        raise ValueError(str(error)) from error
    return model


def _round_up(n: int) -> int:
    return -(-n // ALIGN) * ALIGN


def _preamble(text: bytes, size: int) -> bytes:
    def parts(crc: int) -> bytes:
        return b"".join(
            (MAGIC, VERSION.to_bytes(4, "little"), crc.to_bytes(4, "little"),
             len(text).to_bytes(8, "little"), size.to_bytes(8, "little"))
        )  # fmt: skip

    return parts(zlib.crc32(text, zlib.crc32(parts(0))))


def _lay_out(header: dict[str, Any]) -> tuple[bytes, int]:
    """Fill in the offsets of the arrays; return the header as text and the size of the file."""
    import json

    start = 0
    while True:
        end = start
        for entry in header["arrays"]:
            entry["offset"] = _round_up(end)
            end = entry["offset"] + entry["bytes"]
        text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
        if len(text) > MAX_HEADER:
            raise ValueError(f"parameters and attributes take {len(text)} bytes of a model file's "
                             f"header, which may have {MAX_HEADER}; is class_weight this large?")
        # Digits of offsets are part of the text whose length they depend on.
        if _PREAMBLE + len(text) <= start:
            return text, end if header["arrays"] else _PREAMBLE + len(text)
        start = _round_up(_PREAMBLE + len(text))


class _Stored:
    """An array as it lies in the file: the bytes, and the entry of the table that tells them."""

    def __init__(self, array: np.ndarray) -> None:
        dtype, order = array.dtype, "C"
        if dtype.kind == "O" and array.ndim == 1 and all(isinstance(s, str) for s in array):
            import json

            text = json.dumps([str(s) for s in array], ensure_ascii=False, separators=(",", ":"))
            code: Any = _TEXT
            self.data = memoryview(text.encode("utf-8", "surrogatepass"))
        else:
            if dtype.names:
                dtype = np.dtype([(n, dtype[n].newbyteorder("<")) for n in dtype.names])  # packed
                code = [[n, dtype[n].str] for n in dtype.names or ()]
            else:
                if dtype.kind in "US" and not array.size:
                    dtype = np.dtype(dtype.kind + "1")  # the width of no string
                dtype = dtype.newbyteorder("<")
                code = dtype.str
            if _dtype(code) is None or array.ndim > 2:
                raise TypeError(f"arrays of {array.ndim} dimensions and {array.dtype}")
            if array.flags.f_contiguous and not array.flags.c_contiguous:
                order = "F"
            flat = array.astype(dtype, copy=False).reshape(-1, order=order)  # type: ignore[call-overload]
            self.data = np.ascontiguousarray(flat).view(np.uint8).data
        self.entry = {
            "dtype": code,
            "shape": list(array.shape),
            "order": order,
            "offset": 0,
            "bytes": self.data.nbytes,
            "crc32": zlib.crc32(self.data),
        }


def _dtype(code: Any) -> np.dtype | None:
    """The data type of a table entry, or None if it is not one that model files have."""
    if isinstance(code, str):
        return np.dtype(code) if code in _SCALARS or _STRING.fullmatch(code) else None
    if not isinstance(code, list) or not 1 <= len(code) <= 64:
        return None
    for field in code:
        if not (isinstance(field, list) and len(field) == 2 and all(
                isinstance(part, str) for part in field)):
            return None
        if not (field[0].isidentifier() and field[0].isascii() and field[1] in _SCALARS):
            return None
    if len({field[0] for field in code}) < len(code):
        return None
    return np.dtype([(field[0], field[1]) for field in code])


def _encode(value: Any, depth: int = 0) -> Any:
    """`value` in JSON; TypeError for what has no place there."""
    if depth > MAX_DEPTH:
        raise TypeError(f"lists and dicts in each other, more than {MAX_DEPTH} deep")
    depth += 1
    if value is None or isinstance(value, bool | np.bool_):
        return None if value is None else bool(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | np.integer) and _is_word(value):
        return int(value)
    if isinstance(value, float | np.floating) and not isinstance(value, np.longdouble):
        return float(value) if math.isfinite(value) else {"float": repr(float(value))}
    if type(value) is list:
        return [_encode(item, depth) for item in value]
    if type(value) is tuple:
        return {"tuple": [_encode(item, depth) for item in value]}
    if type(value) is dict and all(map(_is_key, value)):
        return {"dict": [[_encode(k, depth), _encode(v, depth)] for k, v in value.items()]}
    if isinstance(value, MarginLoss):
        return {"loss": [[c, name, _encode(vars_of, depth)] for c, name, vars_of in _parts(value)]}
    raise TypeError(f"{type(value).__name__} cannot be kept in a model file")


def _decode(value: Any, depth: int = 0) -> Any:
    """Inverse of `_encode`; ValueError for anything else."""
    if depth > MAX_DEPTH:
        raise ValueError(f"lists and dicts in each other, more than {MAX_DEPTH} deep")
    depth += 1
    if isinstance(value, list):
        return [_decode(item, depth) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number beyond float64")
    if isinstance(value, int) and not _is_word(value):
        raise ValueError("an integer beyond 64 bits")
    if not isinstance(value, dict):
        return value
    match value:
        case {"float": ("inf" | "-inf" | "nan") as text, **rest} if not rest:
            return float(text)
        case {"dict": list(pairs), **rest} if not rest:
            return _dict(pairs, depth)
        case {"tuple": list(items), **rest} if not rest:
            return tuple([_decode(item, depth) for item in items])
        case {"loss": list(parts), **rest} if not rest:
            return _loss(parts, depth)
    raise ValueError("an object that is neither a dict, a tuple, a number nor a loss")


def _is_word(value: Any) -> bool:
    return bool(-(2**63) <= value < 2**64)


def _is_key(value: Any) -> bool:
    """Whether model files have this as the key of a dict: what is hashed as it is compared."""
    if type(value) is tuple:
        return all(map(_is_key, value))
    return value is None or isinstance(value, str | bool | int | float | np.generic)


def _dict(pairs: list[Any], depth: int) -> dict[Any, Any]:
    """Decoded pairs of keys and values; ValueError for what no dict is made of."""
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise ValueError("a dict that is no list of pairs")
    keys = [_decode(key, depth) for key, _ in pairs]
    if not all(map(_is_key, keys)):
        raise ValueError("a dict with a key that is neither a number, a string nor a tuple")
    # Hashes of numbers and tuples are the same in every process: a file can be made in which all
    # collide, and then a dict takes quadratic time.
    hashes = np.sort(np.fromiter(map(hash, keys), np.int64, len(keys)))
    if len(keys) > MAX_COLLISIONS and (hashes[MAX_COLLISIONS:] == hashes[:-MAX_COLLISIONS]).any():
        raise ValueError(f"a dict with more than {MAX_COLLISIONS} keys of the same hash")
    made = dict(zip(keys, (_decode(item, depth) for _, item in pairs), strict=True))
    if len(made) < len(keys):
        raise ValueError("a dict with a key that occurs twice")
    return made


def _parts(loss: MarginLoss) -> Iterator[tuple[float, str, dict[str, Any]]]:
    """The weighted sum that a margin loss is: weights, names, parameters."""
    from dataclasses import asdict

    names = {cls: name for name, cls in by_name().items()}
    for c, part in loss._parts():
        if type(part) not in names:
            raise TypeError(f"{part} cannot be kept in a model file")
        yield float(c), names[type(part)], asdict(part)  # type: ignore[call-overload, index]


def _loss(parts: list[Any], depth: int) -> MarginLoss:
    """Inverse of `_parts`; ValueError for anything else."""
    if not 1 <= len(parts) <= MAX_LOSSES:
        raise ValueError("a loss of no parts, or of too many")
    known = by_name()
    made: list[Any] = []
    for part in parts:
        match part:
            case [int() | float() as c, str() as name, dict() as encoded] if name in known:
                try:
                    one = known[name](**_decode(encoded, depth))
                    made.append(one if c == 1 and len(parts) == 1 else c * one)
                except (TypeError, OverflowError) as error:
                    raise ValueError(f"a loss that cannot be: {error}") from None
            case _:
                raise ValueError("a loss that is not known here")
    total = made[0]
    for one in made[1:]:
        total = total + one
    return total


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**40


def _read_header(file: BinaryIO, name: str, size: int) -> tuple[dict[str, Any], int]:
    """Check preamble and header; return the header and the offset at which it ends."""
    import json

    start = file.read(_PREAMBLE)
    version = int.from_bytes(start[8:12], "little")
    if len(start) >= 12 and version != VERSION:
        if version > VERSION:
            _fail(name, f"model file of format version {version}, but this hingex reads version "
                  f"{VERSION}: upgrade hingex (or the file is damaged)")
        _fail(name, f"format version {version} does not exist: the file is damaged")
    if len(start) < _PREAMBLE:
        _fail(name, f"cut off after {size} bytes, inside the {_PREAMBLE}-byte preamble")
    length = int.from_bytes(start[16:24], "little")
    declared = int.from_bytes(start[24:32], "little")
    if declared != size:
        _fail(name, f"the file has {size} bytes but says it has {declared}: cut off or damaged")
    if length > min(MAX_HEADER, size - _PREAMBLE):
        _fail(name, f"a header of {length} bytes is claimed; at most "
              f"{min(MAX_HEADER, size - _PREAMBLE)} are possible: the file is damaged")
    text = file.read(length)
    if len(text) != length or _preamble(text, size) != start:
        _fail(name, "checksum of the header does not match: the file is damaged")

    try:
        _refuse_large(text, size)
        header = json.loads(text.decode("utf-8"), parse_constant=_no_constant)
        if not isinstance(header, dict):
            raise ValueError("not an object")
        _check_header(header, size)
    except (ValueError, TypeError, RecursionError) as error:
        _fail(name, f"malformed header: {str(error) or type(error).__name__}")
    end = _PREAMBLE + length
    for entry in header["arrays"]:
        what = f"array {entry['name']!r}"
        if entry["offset"] != _round_up(end):
            _fail(name, f"{what} is at offset {entry['offset']}, expected {_round_up(end)}")
        end = entry["offset"] + entry["bytes"]
        if end > size:
            _fail(name, f"{what} ends at byte {end} of {size}")
    if end != size:
        _fail(name, f"the last array ends at byte {end} of {size}")
    return header, _PREAMBLE + length


def _refuse_large(text: bytes, size: int) -> None:
    """ValueError for a header whose objects would be out of proportion to the file."""
    count = (text.count(b"[") * _LIST_BYTES + text.count(b"{") * _DICT_BYTES
             + text.count(b",") * _ITEM_BYTES)  # fmt: skip
    if count > OBJECTS + OBJECTS_PER_BYTE * size:
        raise ValueError(f"a header with values that take some {count >> 20} MB, out of "
                         f"proportion to the {size} bytes of the file: is class_weight or cost "
                         "this large?")


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _check_header(header: dict[str, Any], size: int) -> None:
    """Types and values of a header, as far as it can be told without the arrays."""
    kinds = {"class": str, "hingex": str, "params": dict, "fitted": dict, "omitted": list,
             "arrays": list}  # fmt: skip
    for key, kind in kinds.items():
        if not isinstance(header.get(key), kind):
            raise ValueError(f"{key!r} is not a {kind.__name__}")
    if unknown := set(header) - set(kinds):
        raise ValueError(f"unknown entry {min(unknown)!r}")
    if not all(isinstance(item, str) for item in header["omitted"]):
        raise ValueError("'omitted' is not a list of names")
    if len(header["arrays"]) > MAX_ARRAYS:
        raise ValueError(f"{len(header['arrays'])} arrays; at most {MAX_ARRAYS} are possible")
    if header["class"] not in _CLASSES:
        raise ValueError(f"class {header['class']!r} is not known here (written by hingex "
                         f"{header['hingex']}): upgrade hingex")
    model = _class(header["class"])
    known = model().get_params(deep=False)
    if unknown := set(header["params"]) - set(known):
        raise ValueError(f"{header['class']} has no parameter {min(unknown)!r} here (written by "
                         f"hingex {header['hingex']}): upgrade hingex")
    for key in ("params", "fitted"):
        header[key] = {k: _decode(v) for k, v in header[key].items()}

    seen = set(header["fitted"])
    for entry in header["arrays"]:
        _check_entry(entry, size)
        if entry["name"] in seen:
            raise ValueError(f"{entry['name']!r} occurs twice")
        seen.add(entry["name"])
    for key in seen:
        if not _NAME.fullmatch(key) or hasattr(model, key):
            raise ValueError(f"{key!r} is not the name of a fitted attribute")


def _check_entry(entry: Any, size: int) -> None:
    keys = {"name", "dtype", "shape", "order", "offset", "bytes", "crc32"}
    if not isinstance(entry, dict) or set(entry) != keys or not isinstance(entry["name"], str):
        raise ValueError(f"an entry of 'arrays' does not have exactly {', '.join(sorted(keys))}")
    what, shape = f"array {entry['name']!r}", entry["shape"]
    if not isinstance(shape, list) or len(shape) > 2 or not all(map(_is_count, shape)):
        raise ValueError(f"{what} has an impossible shape")
    if entry["order"] not in ("C", "F"):
        raise ValueError(f"{what} has an unknown order")
    if not all(_is_count(entry[key]) for key in ("offset", "bytes", "crc32")):
        raise ValueError(f"{what} has an offset, size or checksum that is no such number")
    if entry["dtype"] == _TEXT:
        # Brackets, and for each string two quotes and a comma: bounds the strings by the file.
        if len(shape) != 1 or entry["bytes"] < max(2, 3 * shape[0] + 1):
            raise ValueError(f"{what} has a shape that its bytes cannot hold")
        _check_strings(entry, size)
        return
    dtype = _dtype(entry["dtype"])
    if dtype is None:
        raise ValueError(f"{what} has a data type that model files do not have")
    if math.prod(shape) * dtype.itemsize != entry["bytes"]:
        raise ValueError(f"{what} has {entry['bytes']} bytes, which its shape and data type do "
                         "not make")
    if not entry["bytes"] and (max(shape) > _INT or dtype.itemsize > WIDEST_EMPTY):
        raise ValueError(f"{what} is empty, of an impossible shape or data type")


def _check_strings(entry: dict[str, Any], size: int) -> None:
    """ValueError for an array with more strings than there may be in a file of this size."""
    if entry["dtype"] == _TEXT and (
            entry["shape"][0] * _STRING_BYTES > OBJECTS + OBJECTS_PER_BYTE * size):
        raise ValueError(f"array {entry['name']!r} has {entry['shape'][0]} strings, out of "
                         f"proportion to the {size} bytes of the file")


def _load_binary(file: BinaryIO, name: str, size: int) -> Any:
    header, end = _read_header(file, name, size)
    arrays = {}
    for entry in header["arrays"]:
        gap = file.read(entry["offset"] - end)
        if gap.count(0) != entry["offset"] - end:
            _fail(name, f"bytes before array {entry['name']!r} are not zero: the file is damaged")
        arrays[entry["name"]] = _read_array(file, name, entry)
        end = entry["offset"] + entry["bytes"]
    try:
        check_reading((header["fitted"] | arrays).get("reading_"))
        return restored(header["class"], header["params"], header["fitted"] | arrays)
    except MemoryError:
        raise
    except Exception as error:  # what a damaged file makes of a class may be any of them
        _fail(name, str(error) or type(error).__name__)


def _read_array(file: BinaryIO, name: str, entry: dict[str, Any]) -> np.ndarray:
    what = f"array {entry['name']!r}"
    data = np.empty(entry["bytes"], dtype=np.uint8)
    if file.readinto(data) != data.nbytes:  # type: ignore[attr-defined]
        _fail(name, f"cut off inside {what}")
    if zlib.crc32(data.data) != entry["crc32"]:
        _fail(name, f"checksum of {what} does not match: the file is damaged")
    if entry["dtype"] == _TEXT:
        strings = _strings(data, entry["shape"][0])
        if strings is None:
            _fail(name, f"{what} is not a JSON list of {entry['shape'][0]} strings")
        return strings
    dtype = _dtype(entry["dtype"])
    assert dtype is not None
    flat = data.view(dtype)
    for column in [flat[n] for n in dtype.names] if dtype.names else [flat]:
        if column.dtype.kind == "b" and column.view(np.uint8).max(initial=0) > 1:
            _fail(name, f"{what} holds booleans that are neither 0 nor 1")
        if column.dtype.kind == "U" and column.view("<u4").max(initial=0) > 0x10FFFF:
            _fail(name, f"{what} holds what is not Unicode")
    flat = flat.astype(dtype.newbyteorder("="), copy=False)
    return flat.reshape(entry["shape"], order=entry["order"])


def _strings(data: np.ndarray, count: int) -> np.ndarray | None:
    """The strings of a JSON list with so many of them; None if it is anything else."""
    import json

    # Looked at before objects are made of it: a list of lists takes twenty times its text.
    quotes = np.count_nonzero(data == 0x22) - np.count_nonzero((data[:-1] == 0x5C)
                                                               & (data[1:] == 0x22))
    if quotes > 2 * count or not _FLAT.fullmatch(data.data):
        return None
    try:
        strings = json.loads(data.tobytes().decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(strings, list) or len(strings) != count:
        return None
    array = np.empty(count, dtype=object)
    array[:] = strings
    return array


def _is_kind(kind: Any) -> bool:
    return (isinstance(kind, dict) and set(kind) == {"format", "dtype"}
            and kind["format"] in ("dense", "csr_array", "csr_matrix")
            and kind["dtype"] in _SCALARS)


def _check_linear(fitted: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Whether the attributes of a linear classifier fit together; ValueError if not."""
    if "classes_" not in arrays:
        raise ValueError("classes_ is missing, or not an array of a kind that can be stored")
    classes = arrays["classes_"]
    many = "multilabel_" in fitted
    if many and not _is_kind(fitted["multilabel_"]):
        raise ValueError(f"multilabel_ is {fitted['multilabel_']!r}, not a format and a dtype")
    if classes.ndim != 1 or len(classes) < 2 - many or classes.dtype.names:
        raise ValueError(f"classes_ has shape {classes.shape}; it must list at least 2 classes")
    if not (classes[1:] > classes[:-1]).all():
        raise ValueError("classes_ are not distinct and in ascending order")
    absent = (fitted | arrays).get("absent_")
    if absent is not None:
        check_absent(absent, len(classes))
    _check_scores(fitted, arrays, 1 if len(classes) == 2 and not many else len(classes))


def _check_scores(fitted: dict[str, Any], arrays: dict[str, np.ndarray], lanes: int) -> None:
    """Whether the attributes of a model with `lanes` linear scores fit together.

    Only what predictions and duals are made of must be finite: the margin of a zero vector is
    not, nor is the gap of a fit that was stopped early.
    """
    for key in ("coef_", "intercept_"):
        if key not in arrays:
            raise ValueError(f"{key} is missing, or not an array of a kind that can be stored")
    d = fitted.get("n_features_in_", 0)
    if not _is_count(d) or d == 0:
        raise ValueError(f"n_features_in_ is {d!r}, not a number of features")
    _expect(arrays, "coef_", (lanes, d), "<f8")
    _expect(arrays, "intercept_", (lanes,), "<f8")
    _expect(arrays, "margin_width_", (lanes,), "<f8")
    # A joint problem of several classes has one objective, and one kind for each row.
    joint = "duality_gap_" in arrays and arrays["duality_gap_"].shape == (1,)
    for key in ("primal_objective_", "dual_objective_", "duality_gap_"):
        _expect(arrays, key, (1,) if joint else (lanes,), "<f8")
    _expect(arrays, "feature_names_in_", (d,), None)
    for key, kind in (("n_iter_", int), ("converged_", bool)):
        if key in fitted and type(fitted[key]) is not kind:
            raise ValueError(f"{key} is {fitted[key]!r}, not of type {kind.__name__}")
    if "history_" in arrays:
        names = arrays["history_"].dtype.names or ()
        if arrays["history_"].ndim != 1 or any(n not in names for n in HISTORY_DTYPE.fields or ()):
            raise ValueError("history_ is not a list of epochs")
    if "dual_coef_" in arrays:
        n = len(arrays["dual_coef_"]) if arrays["dual_coef_"].ndim else 0
        _expect(arrays, "dual_coef_", (n,) if lanes == 1 else (n, lanes), "<f8")
        _expect(arrays, "support_kind_", (n,) if joint else arrays["dual_coef_"].shape, "|i1")
        support = arrays.get("support_", np.empty(0, dtype=np.intp))
        if support.ndim != 1 or support.dtype.kind != "i" or not (
                (support >= 0) & (support < n)).all():
            raise ValueError(f"support_ are not indices of {n} rows")
    for key in ("coef_", "intercept_", "classes_", "dual_coef_"):
        if key in arrays and not _is_finite(arrays[key]):
            raise ValueError(f"{key} holds NaN or infinity")


def _check_text_classifier(fitted: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Whether the attributes of both parts fit together, and to each other; ValueError if not."""

    def part(name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        start = name + "__"
        first, second = ({k[len(start):]: v for k, v in of.items() if k.startswith(start)}
                         for of in (fitted, arrays))
        return first, second

    _check_text(*part("vectorizer"))
    linear, weights = part("classifier")
    _check_linear(linear, weights)
    ends = arrays.get("vectorizer__term_ends_")
    if ends is not None and len(ends) != linear["n_features_in_"]:
        raise ValueError(f"the vectorizer has {len(ends)} terms, the classifier "
                         f"{linear['n_features_in_']} features")


def _check_text(fitted: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Whether the attributes of a vectorizer fit together; ValueError if not."""
    text, ends = arrays.get("term_bytes_"), arrays.get("term_ends_")
    # Hashing without idf learns nothing, and so works without `fit`, which counts the documents.
    counted = fitted.get("n_documents_", 0 if text is None and "idf_" not in arrays else None)
    if not _is_count(counted):
        raise ValueError("n_documents_ is missing, or no number of documents")
    if (text is None) != (ends is None):
        raise ValueError("of term_bytes_ and term_ends_ one is missing")
    idf = arrays.get("idf_")
    if text is not None and ends is not None:
        _expect(arrays, "term_bytes_", text.shape[:1], "|u1")
        _expect(arrays, "term_ends_", ends.shape[:1], "<i8")
        _expect(arrays, "idf_", ends.shape, "<f8")
        steps = np.diff(ends, prepend=0)
        if len(ends) == 0 or (steps < 0).any() or ends[-1] != len(text):
            raise ValueError("term_ends_ are not the ends of terms in term_bytes_")
        try:
            text.tobytes().decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise ValueError("term_bytes_ are not UTF-8") from None
        starts = (ends - steps)[steps > 0]
        if (text[starts] & 0xC0 == 0x80).any():
            raise ValueError("a term begins inside a character")
    elif idf is not None:
        _expect(arrays, "idf_", idf.shape[:1], "<f8")
    if idf is not None and not _is_finite(idf):
        raise ValueError("idf_ holds NaN or infinity")


def _is_finite(array: np.ndarray) -> bool:
    if array.dtype.kind != "f":
        return True
    with np.errstate(all="ignore"):  # a finite sum needs no temporary array, and tells it all
        return bool(np.isfinite(array.sum()) or np.isfinite(array).all())


def _expect(
    arrays: dict[str, np.ndarray], key: str, shape: tuple[int, ...], dtype: str | None
) -> None:
    array = arrays.get(key)
    if array is None:
        return
    if array.shape != shape:
        raise ValueError(f"{key} has shape {array.shape}, but {shape} follows from the other parts")
    if dtype is not None and array.dtype.newbyteorder("<").str != dtype:
        raise ValueError(f"{key} is of {array.dtype}, not {np.dtype(dtype)}")


# ---------------------------------------------------------------------------- LIBLINEAR format

# Loss and penalty of LIBLINEAR's solver types; that which is written for a pair comes first.
_MACHINES = {
    "L2R_L1LOSS_SVC_DUAL": ("hinge", "l2"),
    "L2R_L2LOSS_SVC_DUAL": ("squared_hinge", "l2"),
    "L2R_L2LOSS_SVC": ("squared_hinge", "l2"),
    "MCSVM_CS": ("hinge", "l2"),
    "L2R_LR": ("logistic", "l2"),
    "L2R_LR_DUAL": ("logistic", "l2"),
    "L1R_LR": ("logistic", "l1"),
    "L1R_L2LOSS_SVC": ("squared_hinge", "l1"),
}


def _machine(model: Any) -> str:
    """LIBLINEAR's solver type for a model."""
    loss, penalty = model.loss, getattr(model, "penalty", "l2")
    if loss == "hinge" and getattr(model, "multi_class", None) == "crammer_singer":
        return "MCSVM_CS"
    if isinstance(loss, MarginLoss):
        loss = next((name for name, kind in by_name().items() if type(loss) is kind), str(loss))
    for solver, machine in _MACHINES.items():
        if machine == (loss, penalty):
            return solver
    raise ValueError(f"LIBLINEAR has no machine with loss {loss!r} and penalty {penalty!r}: use "
                     "save; it has hinge with l2, and squared_hinge and logistic with l2 or l1")


def save_liblinear(model: LinearSVC, path: str | os.PathLike[str]) -> None:
    """Write a linear classifier as LIBLINEAR's text model, atomically.

    Coefficients, intercepts and labels are kept exactly; the certificate, history, parameters
    and feature names have no place in that format. The intercept becomes the weight of a
    constant feature 1 (``bias 1``; ``bias -1`` when all intercepts are zero). For two classes
    LIBLINEAR's positive scores mean the first label written, which is therefore ``classes_[1]``.
    The solver type is that of the loss and the penalty, L2R_LR for the logistic loss with l2, so
    that LIBLINEAR gives the same probabilities, MCSVM_CS for Crammer and Singer's machine with
    hinge loss. Other joint machines are written by their weights alone, as one-vs-rest of their
    loss: LIBLINEAR predicts the same labels.

    Parameters
    ----------
    model : LinearSVC, LinearSVCCV or LinearClassifier
        Fitted, on integral labels (LIBLINEAR's labels are C ints).
    path : str or path-like

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    TypeError
        If it is not a linear model of hingex.
    ValueError
        If LIBLINEAR has no such loss with such a penalty, if labels are strings or do not fit an
        int, or attributes contradict each other.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import os, tempfile
    >>> import hingex
    >>> from hingex.model_io import load_liblinear, save_liblinear
    >>> model = hingex.LinearSVC().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     name = os.path.join(folder, "model.txt")
    ...     save_liblinear(model, name)
    ...     again = load_liblinear(name)
    >>> again.predict([[2.5]]).tolist()
    [1]
    """
    if type(model).__name__ not in _BATCH:
        raise TypeError(f"LIBLINEAR's files hold the weights of {', '.join(_BATCH)}; got "
                        f"{type(model).__name__}")
    model._check_fitted()
    if "multilabel_" in vars(model):
        raise ValueError("LIBLINEAR's models have one label per row; this one was fitted on an "
                         "indicator matrix: use save")
    solver = _machine(model)
    arrays = {k: v for k, v in vars(model).items()
              if _NAME.fullmatch(k) and isinstance(v, np.ndarray)}
    _check_linear({"n_features_in_": model.n_features_in_}, arrays)
    labels = _int_labels(model.classes_, "LIBLINEAR")
    if len(labels) == 2:
        labels.reverse()
    rows, last = model.coef_.T, model.intercept_
    bias = bool(np.any(last))
    if solver == "MCSVM_CS" and len(labels) == 2:  # which has a column for each of two classes
        rows, last = rows * [0.5, -0.5], last * [0.5, -0.5]
    with replacing(path) as file:
        file.write(
            f"solver_type {solver}\nnr_class {len(labels)}\n"
            f"label {' '.join(map(str, labels))}\nnr_feature {model.n_features_in_}\n"
            f"bias {1 if bias else -1}\nw\n".encode()
        )
        for start in range(0, len(rows), 4096):
            _write_rows(file, rows[start:start + 4096])
        if bias:
            _write_rows(file, last[None, :])


def _int_labels(classes: np.ndarray, whose: str) -> list[int]:
    """Labels as the C ints of text formats."""
    if classes.dtype.kind not in "biuf":
        raise ValueError(f"{whose}'s labels are integers; classes_ are {classes[:3].tolist()}...:"
                         " use save, or train on labels encoded as integers")
    labels = [int(label) for label in classes]
    if labels != classes.tolist() or max(map(abs, labels)) >= 2**31:
        raise ValueError(f"{whose}'s labels are integers of 32 bits; classes_ hold others")
    return labels


def _write_rows(file: BinaryIO, rows: np.ndarray) -> None:
    # repr of a float is the shortest text that reads back as the same number.
    text = "".join(" ".join(map(repr, row)) + " \n" for row in rows.tolist())
    file.write(text.encode())


def load_liblinear(path: str | os.PathLike[str]) -> LinearSVC | LinearClassifier:
    """Read a text model that LIBLINEAR (or `save_liblinear`) wrote.

    Parameters
    ----------
    path : str or path-like
        Of solver type L2R_L2LOSS_SVC_DUAL, L2R_L2LOSS_SVC, L2R_L1LOSS_SVC_DUAL or MCSVM_CS, which
        become a LinearSVC, or L2R_LR, L2R_LR_DUAL, L1R_LR or L1R_L2LOSS_SVC.

    Returns
    -------
    LinearSVC or LinearClassifier
        With `classes_` (ascending), `coef_`, `intercept_` and `n_features_in_`, a LinearClassifier
        also with `loss_`; `loss`,
        `penalty` or `multi_class`, and the intercept's parameters as the file tells them, others at
        defaults. What a text model does not hold is not set: `n_iter_`, `converged_`, objectives,
        gap, history. Labels predicted are LIBLINEAR's except for scores that tie to the last bit.

    Raises
    ------
    ModelFormatError
        If the text is malformed (with the number of the line) or the model is of another kind.
    OSError
        If it cannot be opened or read.

    Examples
    --------
    >>> import os, tempfile
    >>> import hingex
    >>> from hingex.model_io import load_liblinear, save_liblinear
    >>> model = hingex.LinearSVC().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     name = os.path.join(folder, "model.txt")
    ...     save_liblinear(model, name)
    ...     again = load_liblinear(name)
    >>> again.predict([[2.5]]).tolist()
    [1]
    """
    with _reading(path) as (file, name, size):
        return _Liblinear(file, name, size).model()


# A line is taken apart in pieces of so many bytes: its words as Python's objects take twenty times
# as many.
_PIECE = 1 << 16
_LONGEST_NUMBER = 256  # bytes of an entry of a header that is one word


def _pieces(text: bytes) -> Iterator[list[bytes]]:
    """The words of a line, some at a time."""
    if len(text) <= _PIECE:
        yield text.split()
        return
    held = b""
    for start in range(0, len(text), _PIECE):
        end = start + _PIECE
        words = (held + text[start:end]).split()
        # The last word may go on in the next piece.
        held = words.pop() if words and not text[end - 1:end].isspace() else b""
        yield words
        if len(held) > _PIECE:
            yield [held[:40] + b"..."]  # no number
            return
    if held:
        yield [held]


class _Text:
    """Lines of a text format."""

    def __init__(self, file: BinaryIO, name: str, size: int) -> None:
        self.file, self.name, self.size = file, name, size
        self.line = 0

    def _readline(self) -> bytes:
        self.line += 1
        return self.file.readline()

    def _key(self, raw: bytes) -> tuple[str, bytes]:
        """First word of a line, and what follows it."""
        words = raw.split(maxsplit=1)
        return words[0].decode("latin-1"), words[1] if len(words) > 1 else b""

    def _list(self, text: bytes, kind: type, key: str = "") -> array:
        """All numbers of a line, checked to be finite, or integers of 32 bits."""
        found = array("d" if kind is float else "q")
        for words in _pieces(text):
            numbers = self._numbers(words, kind)
            if not all(map(math.isfinite if kind is float else _is_int, numbers)):
                what = "not finite" if kind is float else "beyond 32 bits"
                self._fail(f"{key!r} has a number that is {what}" if key else
                           f"a number that is {what}")
            found.extend(numbers)
        return found

    def _made(self, name: str, params: dict[str, Any]) -> Any:
        """A model with parameters that the header tells of."""
        try:
            return _with_params(_class(name), params)
        except ValueError as error:
            _fail(self.name, str(error))

    def _end(self, what: str) -> None:
        """Nothing but blank lines may follow, to the end that the file had when it was opened."""
        while raw := self._readline():
            if raw.strip():
                self._fail(f"text after {what} that the header tells of")
        if (end := self.file.tell()) != self.size:
            self._fail(f"the file changed while it was read: it had {self.size} bytes, and now "
                       f"ends at byte {end}")

    def _numbers(self, words: list[bytes], kind: type) -> list[Any]:
        try:
            if any(b"_" in word for word in words):  # which Python would read over
                raise ValueError
            return [kind(word) for word in words]
        except ValueError:
            text = b" ".join(words).decode("latin-1")
            name = "integers" if kind is int else "numbers"
            self._fail(f"{text[:60]!r}: expected {name}")

    def _fail(self, what: str) -> NoReturn:
        _fail(self.name, f"line {self.line}: {what}")


class _Liblinear(_Text):
    """Reader of the text format; the header is read and checked at once."""

    KEYS = ("solver_type", "nr_class", "label", "nr_feature", "bias", "w")

    def __init__(self, file: BinaryIO, name: str, size: int) -> None:
        super().__init__(file, name, size)
        found: dict[str, bytes] = {}
        where = {}
        while "w" not in found:
            raw = self._readline()
            if not raw:
                self._fail("the file ends inside the header, before the line 'w'")
            if raw.isspace():
                continue
            key, rest = self._key(raw)
            if key == "rho" or (key == "solver_type" and self._other_kind(rest)):
                self._fail(f"{raw[:200].decode('latin-1').strip()[:60]!r}: not a linear "
                           f"classifier; these can be read: {', '.join(_MACHINES)}")
            if key not in self.KEYS:
                self._fail(f"unknown entry {key[:40]!r}; expected one of {', '.join(self.KEYS)}")
            if key in found:
                self._fail(f"{key!r} occurs twice")
            found[key], where[key] = rest, self.line
        for key in self.KEYS:
            if key not in found:
                self._fail(f"the header has no line {key!r}")
        self.solver = found["solver_type"].strip().decode()

        def number(key: str, kind: type) -> Any:
            self.line = where[key]
            words = found[key][:_LONGEST_NUMBER].split()
            if len(words) != 1:
                self._fail(f"{key!r} needs one number")
            return self._numbers(words, kind)[0]

        count = number("nr_class", int)
        self.d = number("nr_feature", int)
        if not 1 <= self.d < 2**31:
            self._fail(f"nr_feature {self.d}: at least 1 and less than 2**31 features are possible")
        self.bias = number("bias", float)
        if not math.isfinite(self.bias):
            self._fail(f"bias {self.bias} is not finite")
        self.line = where["label"]
        self.labels = self._list(found["label"], int).tolist()
        if count != len(self.labels) or count < 2 or len(set(self.labels)) != count:
            self._fail(f"nr_class {count} with {len(self.labels)} labels: there must be at least "
                       "2 classes and a label of its own for each")
        self.line = where["w"]
        if found["w"].strip():
            self._fail("the line 'w' must hold nothing else; weights follow on their own lines")

    def model(self) -> LinearSVC | LinearClassifier:
        weights = self._weights()
        labels = np.array(self.labels)
        order = np.argsort(labels)
        with np.errstate(over="ignore"):
            if weights.shape[1] == 1:
                if order[0] == 0:  # LIBLINEAR's positive class is the first label, ours the larger
                    weights = -weights
            elif len(labels) == 2:  # Crammer and Singer's have a column for each of two classes
                weights = weights[:, order[1:]] - weights[:, order[:1]]
            else:
                weights = np.ascontiguousarray(weights[:, order])
            intercept = np.zeros(weights.shape[1])
            if self.bias >= 0:
                intercept += self.bias * weights[self.d]
        regularized = {"intercept": "regularized", "intercept_scaling": self.bias}
        loss, penalty = _MACHINES[self.solver]
        if loss == "logistic" or penalty == "l1":
            name, kind = "LinearClassifier", {"penalty": penalty}
        else:
            scheme = "crammer_singer" if self.solver == "MCSVM_CS" else "ovr"
            name, kind = "LinearSVC", {"multi_class": scheme}
        params = {"loss": loss, "fit_intercept": self.bias > 0} | kind
        model = self._made(name, params | (regularized if self.bias > 0 else {}))
        model.classes_ = labels[order]
        model.n_features_in_ = self.d
        if name == "LinearClassifier":
            model.loss_ = by_name()[loss]()  # for its probabilities
        model.coef_ = weights[:self.d].T
        model.intercept_ = intercept
        if not np.isfinite(model.coef_).all() or not np.isfinite(model.intercept_).all():
            self._fail("weights are too large: their difference or product with the bias overflows")
        return model

    def _weights(self) -> np.ndarray:
        """Weights, shape (features and bias, columns)."""
        rows = self.d + (self.bias >= 0)
        columns = len(self.labels)
        if columns == 2 and self.solver != "MCSVM_CS":
            columns = 1
        left = self.size - self.file.tell()
        if rows * columns * 2 - 1 > left:  # a digit and a separator each
            self._fail(f"{rows} lines of {columns} weights do not fit the {left} bytes that "
                       "follow: the file is cut off or its header wrong")
        weights = np.empty((rows, columns))
        first = self.line + 1
        for row in range(rows):
            raw, count = self._readline(), 0
            for words in _pieces(raw):
                end = count + len(words)
                if end <= columns:
                    weights[row, count:end] = self._numbers(words, float)
                count = end
            if count != columns:
                what = f"{count} numbers" if raw else "the file ends"
                self._fail(f"{what} where {columns} weights of feature {row + 1} of {rows} were "
                           "expected")
        bad = ~np.isfinite(weights).all(axis=1)
        if bad.any():
            self.line = first + int(bad.argmax())
            self._fail("a weight is not finite")
        self._end(f"the {rows} lines of weights")
        return weights

    def _other_kind(self, rest: bytes) -> bool:
        return rest[:_LONGEST_NUMBER].strip().decode("latin-1") not in _MACHINES


# ------------------------------------------------------------------------------- LIBSVM format

_SVM_TYPES = {"SVC": "c_svc", "NuSVC": "nu_svc", "OneClassSVM": "one_class",
              "SVR": "epsilon_svr", "NuSVR": "nu_svr"}  # fmt: skip
_SVM_KERNELS = {"linear": "linear", "poly": "polynomial", "rbf": "rbf", "sigmoid": "sigmoid",
                "precomputed": "precomputed"}  # fmt: skip
_INT = 2**31 - 1
_NOT_A_ROW = ("with kernel_type precomputed a support vector is 0:number of its row, and nothing "
              "else")


def save_libsvm(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a kernel machine as LIBSVM's text model, atomically.

    Support vectors, coefficients, intercepts, labels and the kernel's parameters are kept exactly,
    with 17 significant digits each; the certificate, other parameters, feature names, which rows
    of `fit` the support vectors are (except with "precomputed"), how many features there are
    after the last one that is not zero, and what makes hingex's probabilities have no place in that
    format. What `load_libsvm` has kept of LIBSVM's probabilities is written.
    For two classes LIBSVM's positive scores mean the first label written, which is therefore
    ``classes_[1]``.

    Parameters
    ----------
    model : SVC, NuSVC, SVR, NuSVR or OneClassSVM
        Fitted; classifiers on integral labels (LIBSVM's labels are C ints).
    path : str or path-like

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    TypeError
        If it is not a kernel machine of hingex.
    ValueError
        If LIBSVM has no such kernel or is not told of such a combination of problems
        (``multi_class="ovr"`` with more than two classes), if labels are strings or do not fit an
        int, or attributes contradict each other or are not finite.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import os, tempfile
    >>> import hingex
    >>> from hingex.model_io import load_libsvm, save_libsvm
    >>> model = hingex.SVC().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     name = os.path.join(folder, "model.txt")
    ...     save_libsvm(model, name)
    ...     again = load_libsvm(name)
    >>> again.predict([[2.5]]).tolist()
    [1]
    """
    name = type(model).__name__
    if name not in _SVM_TYPES or type(model) is not _class(name):
        raise TypeError(f"LIBSVM's files hold {', '.join(_SVM_TYPES)}; got {name}")
    model._check_fitted()
    kind = model.kernel
    if callable(kind) or kind not in _SVM_KERNELS:
        what = "that is a function" if callable(kind) else repr(kind)
        raise ValueError(f"LIBSVM has no kernel {what}: use save, or one of "
                         f"{', '.join(_SVM_KERNELS)}")
    model._check_arrays()
    # As they were checked, which may not be as they were given.
    sets, _, _, outputs = model._layout()
    coef, intercept = model._check_model(sets, outputs)
    total = coef.shape[1]
    order = np.arange(total)
    lines = [f"svm_type {_SVM_TYPES[name]}", f"kernel_type {_SVM_KERNELS[kind]}"]
    if kind != "precomputed":
        used, numbers = kernel_functions.USES[kind], model._kernel_numbers()
        lines += [f"{key} {value:.17g}" if key != "degree" else f"{key} {value}"
                  for key, value in zip(("degree", "gamma", "coef0"), numbers, strict=True)
                  if key in used]
    head, tail = [], []
    if name in ("SVC", "NuSVC"):
        labels = _int_labels(np.asarray(model.classes_), "LIBSVM")
        if len(labels) > 2 and model.multi_class == "ovr":
            raise ValueError('LIBSVM has a problem for each pair of classes; multi_class is "ovr": '
                             "use save")
        if hasattr(model, "landmarks_"):
            raise ValueError("LIBSVM's models have no kernels of low rank: use save")
        K, counts = len(labels), [int(count) for count in model.n_support_]
        # As the file that it came from had them, for probabilities.
        places = np.asarray(getattr(model, "libsvm_order_", range(K) if K > 2 else (1, 0)))
        coef, intercept, counts, order = _by_class(coef, intercept, counts, places)
        labels = [labels[k] for k in places]
        head, tail = [f"label {_words(labels, 'd')}"], [f"nr_sv {_words(counts, 'd')}"]
        lines.append(f"nr_class {len(labels)}")
    else:
        lines.append("nr_class 2")  # as LIBSVM has it
    kept = {key: np.asarray(vars(model)[key + "_"])
            for key in ("probA", "probB", "prob_density_marks") if key + "_" in vars(model)}
    if "libsvm_order_" in vars(model):
        kept = _sigmoids_by_class(kept, places)
    head += [f"{key} {_words(numbers.tolist(), '.17g')}" for key, numbers in kept.items()]
    lines += [f"total_sv {total}", f"rho {_words((-intercept).tolist(), '.17g')}", *head, *tail,
              "SV"]
    with replacing(path) as file:
        file.write(("\n".join(lines) + "\n").encode())
        for alphas, pairs in zip(coef.T.tolist(), _sparse_rows(model, kind, order), strict=True):
            file.write(f"{_words(alphas, '.17g')} {pairs}\n".encode())


def _words(values: list[Any], form: str) -> str:
    return " ".join(format(value, form) for value in values)


def _sparse_rows(model: Any, kind: str, order: np.ndarray) -> Iterator[str]:
    """``index:value`` pairs of the support vectors; of a kernel matrix, the row number at 0."""
    if kind == "precomputed":
        yield from (f"0:{row + 1} " for row in np.asarray(model.support_)[order].tolist())
        return
    rows = check.as_rows(model.support_vectors_, owner=type(model).__name__, min_rows=0)
    values, indices, indptr = rows.arrays
    for row in order.tolist():
        if indices is None:
            found = values[row]
            columns = np.flatnonzero(found)
            found = found[columns]
        else:
            part = slice(int(indptr[row]), int(indptr[row + 1]))
            columns, found = indices[part], values[part]
            columns, found = columns[found != 0], found[found != 0]
            at = np.argsort(columns)
            columns, found = columns[at], found[at]
        yield "".join(f"{k + 1}:{v:.17g} " for k, v in zip(columns.tolist(), found.tolist(),
                                                           strict=True))


def load_libsvm(path: str | os.PathLike[str], n_features: int | None = None) -> Any:
    """Read a text model that LIBSVM (or `save_libsvm`) wrote.

    Parameters
    ----------
    path : str or path-like
    n_features : int, optional
        Features of the rows to predict; by default as many as the largest index in the file, as
        it does not tell. With kernel "precomputed", rows of the training data.

    Returns
    -------
    SVC, NuSVC, SVR, NuSVR or OneClassSVM
        With what predictions need: `classes_` (ascending), `support_vectors_` (CSR), `n_support_`,
        `dual_coef_`, `intercept_`, `gamma_`, `offset_` and `n_features_in_`; kernel, degree, gamma
        and coef0 as the file tells them, other parameters at defaults. Except with kernel
        "precomputed", `support_` counts the support vectors, as the file does not tell which rows
        they were. What a text model does not hold is not set: `n_iter_`, `converged_`, objectives,
        gap, history. Predictions are LIBSVM's except for scores that tie or cancel to the last
        bits, and so are probabilities, where the file has them: `predict_proba` of SVC (whose
        `probability` is True then) and NuSVC takes `probA_` and `probB_`. `probA_` of SVR and NuSVR
        (the scale of a Laplace distribution) and `prob_density_marks_` of OneClassSVM are kept for
        `save_libsvm`.

    Raises
    ------
    ModelFormatError
        If the text is malformed; the message has the number of the line.
    OSError
        If it cannot be opened or read.

    Examples
    --------
    >>> import os, tempfile
    >>> import hingex
    >>> from hingex.model_io import load_libsvm, save_libsvm
    >>> model = hingex.SVC().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     name = os.path.join(folder, "model.txt")
    ...     save_libsvm(model, name)
    ...     again = load_libsvm(name)
    >>> again.predict([[2.5]]).tolist()
    [1]
    """
    if n_features is not None:
        n_features = check.integer("n_features", n_features)
    with _reading(path) as (file, name, size):
        return _Libsvm(file, name, size).model(n_features)


class _Libsvm(_Text):
    """Reader of the text format; the header is read and checked at once."""

    KEYS = ("svm_type", "kernel_type", "degree", "gamma", "coef0", "nr_class", "total_sv", "rho",
            "label", "probA", "probB", "prob_density_marks", "nr_sv", "SV")  # fmt: skip

    def __init__(self, file: BinaryIO, name: str, size: int) -> None:
        super().__init__(file, name, size)
        self.found: dict[str, bytes] = {}
        self.where: dict[str, int] = {}
        while "SV" not in self.found:
            raw = self._readline()
            if not raw:
                self._fail("the file ends inside the header, before the line 'SV'")
            if raw.isspace():
                continue
            key, rest = self._key(raw)
            if key not in self.KEYS:
                self._fail(f"unknown entry {key[:40]!r}; expected one of {', '.join(self.KEYS)}")
            if key in self.found:
                self._fail(f"{key!r} occurs twice")
            self.found[key], self.where[key] = rest, self.line
        self.end = self.line
        if self.found["SV"].strip():
            self._fail("the line 'SV' must hold nothing else; support vectors follow on their own "
                       "lines")
        self.svm_type = self._word("svm_type", tuple(_SVM_TYPES.values()))
        self.kernel_type = self._word("kernel_type", tuple(_SVM_KERNELS.values()))
        self.owner = next(k for k, v in _SVM_TYPES.items() if v == self.svm_type)
        self.kernel = next(k for k, v in _SVM_KERNELS.items() if v == self.kernel_type)
        self._read_kernel()
        self._read_sizes()
        self.line = self.end

    def _entry(self, key: str) -> bytes:
        if key not in self.found:
            self.line = self.end
            self._fail(f"the header has no line {key!r}")
        self.line = self.where[key]
        return self.found[key]

    def _word(self, key: str, known: tuple[str, ...]) -> str:
        word = self._entry(key)[:_LONGEST_NUMBER].strip().decode("latin-1")
        if word not in known:
            self._fail(f"{key} {word[:40]!r}: these can be read: {', '.join(known)}")
        return word

    def _numbers_of(self, key: str, kind: type, count: int) -> list[Any]:
        numbers = self._list(self._entry(key), kind, key)
        if len(numbers) != count:
            self._fail(f"{key!r} has {len(numbers)} numbers; expected {count}")
        return numbers.tolist()

    def _count(self, key: str, least: int) -> int:
        count = self._numbers_of(key, int, 1)[0]
        if count < least:
            self._fail(f"{key} {count}: it must be at least {least}")
        return int(count)

    def _read_kernel(self) -> None:
        """Parameters: those that the kernel uses must be there."""
        used = kernel_functions.USES.get(self.kernel, ())
        self.params: dict[str, Any] = {"kernel": self.kernel}
        for key, kind in (("degree", int), ("gamma", float), ("coef0", float)):
            if key in self.found or key in used:
                number = self._numbers_of(key, kind, 1)[0]
                if key != "coef0" and number < 0:
                    self._fail(f"{key} {number} is negative")
                if key in used:
                    self.params[key] = number

    def _read_sizes(self) -> None:
        """Counts, labels and rho."""
        classifier = self.owner in ("SVC", "NuSVC")
        K = self._count("nr_class", 1)
        self.total = self._count("total_sv", 0)
        self.sets, pairs = 1, 1
        self.labels: list[int] = []
        if classifier:
            # Before anything is made of K: a label each is in the file.
            self.labels = self._numbers_of("label", int, K)
            if len(set(self.labels)) != K:
                self._fail("a label occurs twice")
            if K < 2:
                self._fail("a model of one class; there must be at least 2")
            self.counts = self._numbers_of("nr_sv", int, K)
            if min(self.counts) < 0 or sum(self.counts) != self.total:
                self._fail(f"nr_sv must be counts that add up to total_sv, {self.total}")
            self.sets, pairs = K - 1, K * (K - 1) // 2
        else:
            if K != 2:
                self.line = self.where["nr_class"]
                self._fail(f"nr_class {K}: it is 2 in models of type {self.svm_type}")
            for key in ("label", "nr_sv"):
                if key in self.found:
                    self.line = self.where[key]
                    self._fail(f"{key!r} has no place in a model of type {self.svm_type}")
        self.rho = self._numbers_of("rho", float, pairs)
        self._read_probabilities(pairs, classifier)

    def _read_probabilities(self, pairs: int, classifier: bool) -> None:
        """What -b 1 has added: sigmoids, the scale of errors, or scores between probabilities."""
        known = ("probA", "probB") if classifier else (
            ("prob_density_marks",) if self.owner == "OneClassSVM" else ("probA",))
        self.probabilities: dict[str, np.ndarray] = {}
        for key in ("probA", "probB", "prob_density_marks"):
            if key not in self.found:
                continue
            if key not in known:
                self.line = self.where[key]
                self._fail(f"{key!r} has no place in a model of type {self.svm_type}")
            if key == "prob_density_marks":
                self.probabilities[key] = np.array(self._list(self._entry(key), float))
            else:
                self.probabilities[key] = np.array(self._numbers_of(key, float, pairs))
        if len(self.probabilities) == 1 < len(known):
            there, missing = known if known[0] in self.probabilities else known[::-1]
            self.line = self.where[there]
            self._fail(f"{there!r} without {missing!r}: probabilities need both")

    def _keep_probabilities(self, model: Any) -> None:
        """Set them, for scores as hingex has them."""
        kept = dict(self.probabilities)
        if kept and self.labels:
            places = np.argsort(self.labels)  # of each class, in the file
            kept = _sigmoids_by_class(kept, places)
            model.libsvm_order_ = np.argsort(places)
            if self.owner == "SVC":
                model.probability = True
        for key, numbers in kept.items():
            setattr(model, key + "_", numbers)

    def model(self, n_features: int | None = None) -> Any:
        coef, (values, indices, indptr) = self._vectors(n_features)
        model = self._made(self.owner, self.params)
        precomputed = self.kernel == "precomputed"
        largest = max(indices, default=0) + (not precomputed)
        d = n_features or max(1, largest)
        intercept = -np.array(self.rho)
        counts, order = [self.total], np.arange(self.total)
        if self.labels:
            coef, intercept, counts, order = _by_class(coef, intercept, self.counts,
                                                       np.argsort(self.labels))
            model.classes_ = np.sort(self.labels)
        model.dual_coef_ = coef
        model.intercept_ = intercept
        model.n_support_ = np.array(counts, dtype=np.int32)
        model.n_features_in_ = d
        model.gamma_ = float(self.params.get("gamma", 0.0))
        if precomputed:
            model.support_ = np.array(indices, dtype=np.int32)[order] - np.int32(1)
            model.support_vectors_ = np.empty((0, 0))
            model.shape_fit_ = (d, d)
        else:
            from scipy.sparse import csr_array

            model.support_ = np.arange(self.total, dtype=np.int32)
            vectors = csr_array((np.array(values), np.array(indices, dtype=np.int32),
                                 np.array(indptr)), shape=(self.total, d))  # fmt: skip
            if self.labels and not np.array_equal(order, model.support_):
                vectors = vectors[order]
            model.support_vectors_ = vectors
            model.shape_fit_ = (max(1, self.total), d)
        if self.owner == "OneClassSVM":
            model.offset_ = -float(intercept[0])
        self._keep_probabilities(model)
        try:
            model._check_arrays()
        except (ValueError, TypeError) as error:
            _fail(self.name, str(error))
        return model

    def _vectors(self, n_features: int | None) -> tuple[np.ndarray, tuple[array, array, array]]:
        """Coefficients, shape (sets, vectors), and the vectors as CSR with indices from 0.

        Of a kernel matrix the indices are row numbers, from 1, and there are no values.
        """
        left = self.size - self.file.tell()
        if 2 * self.total * self.sets > left + 1:  # a digit and a separator each
            self._fail(f"{self.total} support vectors with {self.sets} coefficients do not fit the "
                       f"{left} bytes that follow: the file is cut off or its header wrong")
        self.coef = np.empty((self.sets, self.total))
        self.arrays = array("d"), array("i"), array("q", [0])
        self.most = _INT if n_features is None else min(n_features, _INT)
        first = self.line + 1
        for row in range(self.total):
            self._vector(row)
        self._end(f"the {self.total} support vectors")
        if self.kernel == "precomputed":
            numbers = np.array(self.arrays[1])
            order = np.argsort(numbers, kind="stable")
            again = order[1:][np.diff(numbers[order]) == 0]
            if len(again):
                self.line = first + int(again.min())
                self._fail(f"row number {numbers[again.min()]} occurs twice")
        return self.coef, self.arrays

    def _vector(self, row: int) -> None:
        """Read a line: coefficients of a support vector, then its values."""
        raw = self._readline()
        taken = pairs = 0
        for words in _pieces(raw):
            cut = min(len(words), self.sets - taken)
            alphas = self._numbers(words[:cut], float)
            if not all(map(math.isfinite, alphas)):
                self._fail("a coefficient is not finite")
            self.coef[taken:taken + cut, row] = alphas
            taken += cut
            if len(words) > cut:
                self._values(words[cut:], pairs)
                pairs += len(words) - cut
        if taken < self.sets:
            what = f"{taken} words" if raw else "the file ends"
            self._fail(f"support vector {row + 1} of {self.total} must have {self.sets} "
                       f"coefficients; got {what}")
        if self.kernel != "precomputed":
            self.arrays[2].append(len(self.arrays[1]))
        elif pairs != 1:
            self._fail(_NOT_A_ROW)

    def _values(self, pairs: list[bytes], before: int) -> None:
        """Take pairs index:value of a support vector, of which so many came before."""
        values, indices, _ = self.arrays
        if any(pair.count(b":") != 1 for pair in pairs):
            bad = next(pair for pair in pairs if pair.count(b":") != 1)
            self._fail(f"{bad[:40].decode('latin-1')!r}: expected index:value")
        cells = b":".join(pairs).split(b":")
        found = self._numbers(cells[::2], int)
        if self.kernel == "precomputed":
            if before or found != [0]:
                self._fail(_NOT_A_ROW)
            number = self._numbers(cells[1::2], int)[0]
            if not 1 <= number <= self.most:
                self._fail(f"row number {number}; expected 1 to {self.most}")
            indices.append(number)
            return
        last = indices[-1] + 1 if before else 0
        if found[0] < 1:
            self._fail(f"index {found[0]}; indices begin at 1")
        if found[0] <= last or any(b <= a for a, b in pairwise(found)):
            self._fail("indices must ascend")
        if found[-1] > self.most:
            self._fail(f"index {found[-1]}; at most {self.most} features are possible")
        numbers = self._numbers(cells[1::2], float)
        if not all(map(math.isfinite, numbers)):
            self._fail("a value is not finite")
        indices.extend([index - 1 for index in found])
        values.extend(numbers)


def _pairs_of(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each pair of classes, its number in another order, and whether its score turns its sign.

    Class k has been at places[k]. A pair's score is of the class that comes first, but with two
    classes in hingex of the second.
    """
    K = len(places)
    number = np.zeros((K, K), dtype=np.int64)
    i, j = np.triu_indices(K, 1)
    number[i, j] = number[j, i] = np.arange(len(i))
    return number[places[i], places[j]], (places[i] > places[j]) != (K == 2)


def _sigmoids_by_class(
    sigmoids: dict[str, np.ndarray], places: np.ndarray
) -> dict[str, np.ndarray]:
    """probA and probB by another order of the classes; see `_pairs_of`.

    Where a score has turned its sign, the probability has become that of the other class.
    """
    at, turned = _pairs_of(places)
    return {"probA": sigmoids["probA"][at],
            "probB": np.where(turned, -1.0, 1.0) * sigmoids["probB"][at]}


def _by_class(
    coef: np.ndarray, intercept: np.ndarray, counts: list[int], places: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[int], np.ndarray]:
    """Coefficients, intercepts, counts and the order of the vectors, by another order of classes.

    See `_pairs_of`; vectors come class by class.
    """
    K, old = len(places), places.tolist()
    starts = np.concatenate([[0], np.cumsum(counts)])
    parts = [np.arange(starts[o], starts[o + 1]) for o in old]
    order, counts = np.concatenate(parts), [counts[o] for o in old]
    at, turned = _pairs_of(places)
    sign = np.where(turned, -1.0, 1.0)
    intercept = sign * intercept[at]
    if K == 2:
        return sign * coef[:, order], intercept, counts, order
    if old == list(range(K)):
        return coef, intercept, counts, order
    out, ends = np.empty_like(coef), np.cumsum(counts)
    for a in range(K):
        for b in range(K):
            if a != b:
                same = (a < b) == (old[a] < old[b])
                rows = coef[old[b] - (old[b] > old[a])][parts[a]]
                out[b - (b > a), ends[a] - counts[a]:ends[a]] = rows if same else -rows
    return out, intercept, counts, order


def _is_int(number: int) -> bool:
    return abs(number) <= _INT
