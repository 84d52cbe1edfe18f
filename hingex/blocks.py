# SPDX-License-Identifier: BSD-3-Clause
"""Data larger than memory: rows that come in blocks, and fits that survive a kill.

`fit_stream` of the estimators takes any sequence or iterable of blocks ``(X, y)`` or
``(X, y, sample_weight)``, file names, or one of the sources here. A sequence (with ``len`` and an
index) is read as often as needed, in any order; an iterable that can be gone through only once is
first written to disk, to a temporary folder or beside the checkpoint.

While one block is worked on, a thread reads the next: memory holds two of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, NamedTuple, NoReturn

import numpy as np

from . import _validate as check
from ._files import refuse_cut_maps, replacing
from ._npz import NpzFile, open_npz
from ._open import MAX_LINE_BYTES, compression
from .io import load_svmlight_file

__all__ = ["NpzBlocks", "RowBlocks", "SvmlightBlocks", "save_blocks"]

# The more blocks, the fewer epochs; but to read less at a time takes longer.
FINEST, SMALLEST, LARGEST = 128, 256 << 10, 16 << 20
# A state is written after the block at whose end so many seconds have passed, and no more of the
# time goes there.
LEAST_APART, MOST_OF_TIME = 1.0, 0.1
IN_MEMORY = 256 << 20  # bytes of duals, beyond which they lie on disk without a checkpoint, too
TOGETHER = 32 << 20  # bytes up to which coordinate descent takes blocks together
_MOST = 2**31 - 2  # features, before it is known how many there are


# ---------------------------------------------------------------------------------- sources


class RowBlocks(Sequence):
    """Rows of arrays, in memory or memory-mapped, as blocks of neighbours.

    Blocks are views: the values and indices of a block are used where they lie, so of mapped files
    only what is worked on is read. Before each block the size of mapped files is looked at: one
    that was cut off is an error.

    Parameters
    ----------
    X : ndarray or CSR matrix, shape (n, d)
        Its arrays may be `numpy.memmap`.
    y : array-like, shape (n,)
    sample_weight : array-like, shape (n,), optional
    block_size : int, optional
        Bytes of values and indices in a block, about. By default a 128th of all, but from 256 KiB
        to 16 MiB.

    Raises
    ------
    ValueError
        If X is no table, or y or sample_weight have another length.

    Examples
    --------
    >>> import hingex
    >>> from hingex.blocks import RowBlocks
    >>> blocks = RowBlocks([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1], block_size=16)
    >>> len(blocks)
    2
    >>> hingex.LinearSVC().fit_stream(blocks).predict([[2.5]]).tolist()
    [1]
    """

    def __init__(self, X: Any, y: Any, sample_weight: Any = None,
                 block_size: int | None = None) -> None:
        if check.is_sparse(X):
            X = X if getattr(X, "format", "") == "csr" else X.tocsr()
        else:
            X = np.asanyarray(X)
        if X.ndim != 2:
            raise ValueError(f"X must have 2 dimensions; got shape {X.shape}")
        n = X.shape[0]
        for name, array in (("y", y), ("sample_weight", sample_weight)):
            if array is not None and len(array) != n:
                raise ValueError(f"{name} has {len(array)} entries, but X has {n} rows")
        self.X, self.y, self.sample_weight = X, y, sample_weight
        size = _block_size(block_size, X.data.nbytes + X.indices.nbytes if check.is_sparse(X)
                           else X.nbytes)  # fmt: skip
        self.cuts = [0]
        if check.is_sparse(X):
            value = X.data.itemsize + X.indices.itemsize
            while self.cuts[-1] < n:
                wanted = int(X.indptr[self.cuts[-1]]) + size // value
                end = int(np.searchsorted(X.indptr, wanted, side="right")) - 1
                self.cuts.append(min(n, max(self.cuts[-1] + 1, end)))
        else:
            step = max(1, size // max(1, X.shape[1] * X.itemsize))
            self.cuts += [min(n, a + step) for a in range(0, n, step)]

    def __len__(self) -> int:
        return len(self.cuts) - 1

    def __getitem__(self, i: Any) -> tuple[Any, ...]:
        i = range(len(self))[i]
        a, b = self.cuts[i], self.cuts[i + 1]
        X = self.X
        stored = (X.data, X.indices, X.indptr) if check.is_sparse(X) else (X,)
        refuse_cut_maps(*stored, self.y, self.sample_weight)
        if check.is_sparse(X):
            from scipy.sparse import csr_matrix

            start, end = int(X.indptr[a]), int(X.indptr[b])
            part = csr_matrix((b - a, X.shape[1]), dtype=X.dtype)
            # Set one by one: the constructor would choose the type of the indices by itself.
            part.data, part.indices = X.data[start:end], X.indices[start:end]
            part.indptr = X.indptr[a:b + 1] - X.indptr[a]
        else:
            part = X[a:b]
        if self.sample_weight is None:
            return part, self.y[a:b]
        return part, self.y[a:b], self.sample_weight[a:b]

    def name(self, i: int) -> str:
        """How messages call block i."""
        return f"rows {self.cuts[i]} to {self.cuts[i + 1] - 1}"


class SvmlightBlocks(Sequence):
    """Files in svmlight / libsvm format, in parts of some megabytes.

    Parameters
    ----------
    files : path or list of paths
        Not compressed: a part must be found without reading what comes before it.
    n_features : int, optional
        By default found by a pass over the files.
    zero_based : bool or "auto", default "auto"
        As `load_svmlight_file` has it; "auto" looks at all files, in the same pass.
    dtype : float64 or float32, default float64
    block_size : int, optional
        Bytes of text in a block, about; as arrays they are of about the same size. By default a
        128th of all, but from 256 KiB to 16 MiB.
    n_jobs : int, optional
        Threads that read a block.
    max_line_bytes : int, default 64 MiB
        As `load_svmlight_file` has it.

    Attributes
    ----------
    reading : dict
        The conventions that a model trained on these blocks keeps, "auto" as decided: see
        `reading_` of `LinearSVC`.

    Raises
    ------
    ValueError
        For compressed files, and as `load_svmlight_file`. When a block is read: if its file has
        changed, in size or time, since.
    OSError

    Examples
    --------
    >>> import os, tempfile
    >>> import hingex
    >>> from hingex.blocks import SvmlightBlocks
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     name = os.path.join(folder, "rows.svm")
    ...     hingex.dump_svmlight_file([[1.0, 0.0], [0.0, 2.0]], [1, -1], name, zero_based=False)
    ...     X, y = SvmlightBlocks(name)[0]
    >>> X.toarray().tolist(), y.tolist()
    ([[1.0, 0.0], [0.0, 2.0]], [1.0, -1.0])
    """

    def __init__(
        self, files: Any, *, n_features: int | None = None, zero_based: bool | str = "auto",
        dtype: Any = np.float64, block_size: int | None = None, n_jobs: int | None = None,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> None:  # fmt: skip
        names = [files] if isinstance(files, str | bytes | os.PathLike) else list(files)
        self.dtype, self.n_jobs, self.max_line_bytes = dtype, n_jobs, max_line_bytes
        self.parts: list[tuple[str, int, int]] = []
        self.stamps: dict[str, tuple[int, int]] = {}
        for file in names:
            name = os.fsdecode(file)
            if compression(name):
                raise ValueError(f"{name}: a compressed file cannot be read from its middle; "
                                 "unpack it first")
            self.stamps[name] = _stamp(name)
        size = _block_size(block_size, sum(stamp[0] for stamp in self.stamps.values()))
        for name, stamp in self.stamps.items():
            self.parts += [(name, at, size) for at in range(0, stamp[0], size)]
        if not self.parts:
            raise ValueError(f"{', '.join(self.stamps) or 'files'}: there is nothing in it")
        self.n_features, self.zero_based = _MOST, True
        if n_features is None or zero_based == "auto":
            high, low = -1, _MOST
            for X, _ in self:
                if X.nnz:
                    high, low = max(high, int(X.indices.max())), min(low, int(X.indices.min()))
            if zero_based == "auto":
                zero_based = low == 0 or high < 0
            if n_features is None:
                n_features = max(high + (1 if zero_based else 0), 1)
        self.n_features = check.integer("n_features", n_features)
        self.zero_based = bool(zero_based)
        self.reading = {"format": "svmlight", "zero_based": self.zero_based}

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, i: Any) -> tuple[Any, Any]:
        name, at, size = self.parts[i]
        self._refuse_changed(name)
        X, y = load_svmlight_file(
            name, n_features=self.n_features, dtype=self.dtype, zero_based=self.zero_based,
            offset=at, length=size, n_jobs=self.n_jobs, max_line_bytes=self.max_line_bytes,
        )  # fmt: skip
        self._refuse_changed(name)  # which it may have while it was read
        return X, y

    def _refuse_changed(self, name: str) -> None:
        if _stamp(name) != self.stamps[name]:
            raise ValueError(f"{name} has changed since it was first read: begin anew")

    def name(self, i: int) -> str:
        """How messages call block i."""
        name, at, size = self.parts[i]
        return f"{name}, bytes {at} to {min(at + size, self.stamps[name][0]) - 1}"


def _block_size(wanted: int | None, total: int) -> int:
    if wanted is not None:
        return check.integer("block_size", wanted)
    return min(max(total // FINEST, SMALLEST), LARGEST)


def _stamp(name: str) -> tuple[int, int]:
    found = os.stat(name)
    return found.st_size, found.st_mtime_ns


class NpzBlocks(Sequence):
    """Files of NumPy's ``.npz`` format, each a block.

    Parameters
    ----------
    files : path of a folder, or list of paths
        Of a folder, all ``*.npz`` in the order of their names. A file holds CSR as
        `scipy.sparse.save_npz` writes it (``data``, ``indices``, ``indptr``, ``shape``) or a dense
        ``X``, and ``y``, perhaps ``sample_weight``; as `save_blocks` writes them.
    labels : sequence of array-like, optional
        y of each file, for files that have none.

    Raises
    ------
    ValueError
        For a folder without such files. When a block is read: if a file is damaged, cut off, or
        lacks an array, or has arrays of other lengths than X; the message names file and array.
        Others than those above are not read.
    OSError

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from hingex.blocks import NpzBlocks
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(os.path.join(folder, "1.npz"), X=np.eye(2), y=[0, 1])
    ...     X, y = NpzBlocks(folder)[0]
    >>> X.tolist(), y.tolist()
    ([[1.0, 0.0], [0.0, 1.0]], [0, 1])
    """

    def __init__(self, files: Any, labels: Sequence[Any] | None = None) -> None:
        if isinstance(files, str | bytes | os.PathLike):
            folder = os.fsdecode(files)
            if os.path.isdir(folder):
                files = [os.path.join(folder, name) for name in sorted(os.listdir(folder))
                         if name.endswith(".npz")]
                if not files:
                    raise ValueError(f"{folder}: no .npz file in it")
            else:
                files = [folder]
        self.files = [os.fsdecode(file) for file in files]
        self.labels = labels
        if labels is not None and len(labels) != len(self.files):
            raise ValueError(f"labels has {len(labels)} entries for {len(self.files)} files")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: Any) -> tuple[Any, ...]:
        name = self.files[i]
        with open_npz(name) as file:
            X = file.read("X") if "X" in file else _csr_of(file)
            if self.labels is None and "y" not in file:
                raise ValueError(f"{name}: no y in it; add it, or give labels")
            y = file.read("y") if self.labels is None else self.labels[i]
            weight = file.read("sample_weight") if "sample_weight" in file else None
            _check_block(name, X, y if self.labels is None else None, weight)
        return (X, y) if weight is None else (X, y, weight)

    def name(self, i: int) -> str:
        """How messages call block i."""
        return self.files[i]


def _check_block(name: str, X: Any, y: Any, weight: Any) -> None:
    """Raise ValueError unless members that were read have an entry for each row of X."""
    if X.ndim != 2:
        raise ValueError(f"{name}: damaged: member 'X' must be of shape (rows, features); got "
                         f"shape {X.shape}")
    n = X.shape[0]
    for key, array in (("y", y), ("sample_weight", weight)):
        if array is None or array.shape == (n,) or (key != "y" and not array.ndim):
            continue
        if key == "y" and array.ndim == 2 and len(array) == n:
            continue  # an indicator matrix, of which `fit_stream` has more to say
        raise ValueError(f"{name}: damaged: member {key!r} must be of shape ({n},), as X has {n} "
                         f"rows; got shape {array.shape}")


def _csr_of(file: NpzFile) -> Any:
    """The CSR matrix that `scipy.sparse.save_npz` writes, of arrays that fit each other."""
    from scipy.sparse import csr_matrix

    lacking = [key for key in ("data", "indices", "indptr", "shape") if key not in file]
    if lacking:
        raise ValueError(f"{file.name}: neither X nor a CSR matrix in it: {', '.join(lacking)} "
                         "missing")
    shape, indptr = file.read("shape"), file.read("indptr")
    if shape.shape != (2,) or shape.dtype.kind not in "iu" or (shape < 0).any():
        raise ValueError(f"{file.name}: damaged: member 'shape' must be two numbers, of rows and "
                         f"features; got shape {shape.shape} and dtype {shape.dtype}")
    n, d = shape.tolist()
    # Before SciPy makes an array of as many entries as there are said to be rows.
    if indptr.shape != (n + 1,) or indptr.dtype.kind not in "iu":
        raise ValueError(f"{file.name}: damaged: member 'indptr' must be {n + 1} integers for the "
                         f"{n} rows that 'shape' tells of; got shape {indptr.shape} and dtype "
                         f"{indptr.dtype}")
    data, indices = file.read("data"), file.read("indices")
    for key, array in (("data", data), ("indices", indices)):
        if array.ndim != 1 or len(array) != len(data):
            raise ValueError(f"{file.name}: damaged: member {key!r} has shape {array.shape}, "
                             f"'data' {data.shape}")
    X = csr_matrix((n, d), dtype=data.dtype)
    X.data, X.indices, X.indptr = data, indices, indptr
    return X


def save_blocks(blocks: Any, folder: str | os.PathLike[str]) -> NpzBlocks:
    """Write blocks to files that are read fast, one for each.

    Parameters
    ----------
    blocks : iterable of (X, y) or (X, y, sample_weight), or file names
        As `fit_stream` takes them. Of each only one is held.
    folder : path
        Made if it is not there; must have no ``.npz`` files.

    Returns
    -------
    NpzBlocks

    Raises
    ------
    ValueError
        If there are ``.npz`` files in the folder, or a block is no such tuple.
    OSError
        If they cannot be written (a full disk, say); what was written before is whole.

    Examples
    --------
    >>> import tempfile
    >>> from hingex.blocks import save_blocks
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     blocks = save_blocks([([[1.0]], [0]), ([[2.0]], [1])], folder)
    ...     len(blocks), blocks[1][0].tolist()
    (2, [[2.0]])
    """
    name = os.fsdecode(folder)
    os.makedirs(name, exist_ok=True)
    if any(file.endswith(".npz") for file in os.listdir(name)):
        raise ValueError(f"{name}: there are .npz files in this folder; take an empty one")
    files = []
    source = as_blocks(blocks)
    for i, block in enumerate(source if source is not None else blocks):
        X, y, weight = _parts(block, f"block {i}")
        with naming(blocks, i):
            arrays: dict[str, Any] = {"y": _storable_labels(y, X)}
        if check.is_sparse(X):
            X = X.tocsr()
            arrays |= {"data": X.data, "indices": X.indices, "indptr": X.indptr,
                       "shape": np.array(X.shape), "format": np.array(b"csr")}  # fmt: skip
        else:
            arrays["X"] = np.asarray(X)
        if weight is not None:
            arrays["sample_weight"] = np.asarray(weight)
        files.append(os.path.join(name, f"{i:06d}.npz"))
        with replacing(files[-1]) as file:
            np.savez(file, **arrays)
    return NpzBlocks(files)


def _storable_labels(y: Any, X: Any) -> np.ndarray:
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    y = _block_labels(y, n, "fit_stream")
    return np.array(y.tolist()) if y.dtype == object else y


def _block_labels(y: Any, n: int, owner: str) -> np.ndarray:
    """Labels of a block's n rows, as `label_array` gives them."""
    if check.is_indicator(y):
        raise ValueError(f"y has shape {np.shape(y)}, but blocks have one label per row, as "
                         "fit_stream learns no indicator matrices. LinearSVC.fit does, or fit a "
                         "model on the blocks for each of its columns")
    return check.label_array(y, n, owner)


def as_blocks(source: Any) -> Any:
    """A sequence of blocks, or None for an iterable that may be gone through but once."""
    if isinstance(source, str | bytes | os.PathLike):
        name = os.fsdecode(source)
        return NpzBlocks(name) if os.path.isdir(name) or name.endswith(".npz") else (
            SvmlightBlocks(name))
    if isinstance(source, Sequence) and source and all(
            isinstance(part, str | bytes | os.PathLike) for part in source):
        npz = [os.fsdecode(part).endswith(".npz") for part in source]
        if any(npz) and not all(npz):
            raise ValueError("blocks names .npz files and others: take those of one kind")
        return NpzBlocks(source) if npz[0] else SvmlightBlocks(source)
    if hasattr(source, "__len__") and hasattr(source, "__getitem__"):
        if isinstance(source, np.ndarray | dict) or check.is_sparse(source):
            raise TypeError(f"blocks must be a sequence of (X, y); got a {type(source).__name__}. "
                            "For X and y in memory there is hingex.blocks.RowBlocks, or fit")
        if len(source) == 0:
            raise ValueError("blocks is empty")
        return source
    if isinstance(source, Iterable):
        return None
    raise TypeError("blocks must be a sequence or iterable of (X, y), or names of files; got a "
                    f"{type(source).__name__}")


@contextmanager
def opened(source: Any, folder: str | None = None) -> Iterator[Any]:
    """A sequence of blocks; what can be read but once is first written to `folder`, or for now."""
    blocks = as_blocks(source)
    if blocks is not None:
        yield blocks
        return
    if folder is not None:
        kept, mark = os.path.join(folder, "blocks"), os.path.join(folder, "blocks", "complete")
        if not os.path.exists(mark):
            for name in os.listdir(kept) if os.path.isdir(kept) else ():
                os.unlink(os.path.join(kept, name))
            save_blocks(source, kept)
            with replacing(mark):
                pass
        yield _unnamed(kept)
        return
    with TemporaryDirectory(prefix="hingex-") as temporary:
        save_blocks(source, temporary)
        if not os.listdir(temporary):
            raise ValueError("blocks is empty")
        yield _unnamed(temporary)


def _unnamed(folder: str) -> NpzBlocks:
    """Blocks of a folder that the user has not named, nor will messages."""
    blocks = NpzBlocks(folder)
    vars(blocks)["name"] = None
    return blocks


# ------------------------------------------------------------------------------- what is in it


class Survey(NamedTuple):
    """What a pass over all blocks has shown."""

    n_rows: np.ndarray  # (B,) of each block; blocks without rows are not visited
    nbytes: np.ndarray  # (B,) of their arrays
    d: int
    classes: np.ndarray
    totals: np.ndarray  # (K,) sample weight of each class
    mean_sq: float  # mean squared norm of a row
    single: bool  # whether the values are float32

    @property
    def n(self) -> int:
        return int(self.n_rows.sum())

    def save(self, path: str) -> None:
        with replacing(path) as file:
            arrays: Any = {name: np.asarray(value) for name, value in self._asdict().items()}
            np.savez(file, **arrays)

    @classmethod
    def load(cls, path: str) -> Survey:
        with open_npz(path) as file:
            arrays = [file.read(name) for name in cls._fields]
        values: Any = [array if array.ndim else array.item() for array in arrays]
        seen = cls(*values)
        counts, kinds = (seen.n_rows, seen.nbytes), (type(seen.d), type(seen.mean_sq),
                                                     type(seen.single))  # fmt: skip
        if kinds != (int, float, bool) or seen.d < 1 or any(
                np.ndim(part) != 1 or len(part) != len(seen.n_rows) or part.dtype != np.int64
                or (part < 0).any() for part in counts) or (
                np.ndim(seen.classes) != 1 or len(seen.classes) < 2
                or np.shape(seen.totals) != seen.classes.shape or seen.totals.dtype != np.float64):
            raise ValueError(f"{path}: damaged: its parts do not fit each other; delete this "
                             "checkpoint")
        return seen


def survey(blocks: Any, owner: str) -> Survey:
    """Look at all blocks once. Errors name the block."""
    n_rows, nbytes = np.zeros((2, len(blocks)), dtype=np.int64)
    d, squares, single = None, 0.0, True
    totals: dict[Any, float] = {}
    kinds: list[np.ndarray] = []
    for i, rows, y, weight in ahead(range(len(blocks)), lambda i: _load(blocks, i, owner)):
        if rows is None:
            continue
        if d is None:
            _refuse_features(name_of(blocks, i), rows.d)
        if d is not None and rows.d != d:
            raise ValueError(f"{name_of(blocks, i)} has {rows.d} features, but the blocks before "
                             f"it have {d}: all must have as many")
        nbytes[i] = sum(part.nbytes for part in rows.arrays if part is not None)
        d, n_rows[i], single = rows.d, rows.n, single and rows.is_single
        squares += rows.n * check.squared_norms(rows, 1.0)[1]
        with naming(blocks, i):
            distinct, place = np.unique(y, return_inverse=True)
            if kinds:
                check.check_same_kind(distinct, kinds[0], owner)
            kinds.append(distinct)
        for label, total in zip(distinct.tolist(), np.bincount(place, weight), strict=True):
            totals[label] = totals.get(label, 0.0) + float(total)
    if d is None:
        raise ValueError("blocks has no rows")
    labels = sorted(totals)
    classes = np.array(labels, dtype=np.result_type(*kinds) if kinds[0].dtype.kind != "O" else None)
    if classes.tolist() != labels:
        raise ValueError(f"the labels of all blocks together have no exact place in an array of "
                         f"{classes.dtype}: some are integers beyond it. Use strings as labels, or "
                         "smaller integers")
    if len(classes) < 2:
        raise ValueError(f"all blocks together have 1 distinct label ({labels[0]!r}); {owner} "
                         "needs at least 2 classes")
    return Survey(n_rows, nbytes, d, classes, np.array([totals[label] for label in labels]),
                  squares / n_rows.sum(), single)  # fmt: skip


def _refuse_features(name: str, d: int) -> None:
    """ValueError for more features than there can be weights for in this machine's memory."""
    try:
        most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows
        most = 1 << 40
    if 8 * d > most:
        raise ValueError(f"{name} has {d} features, whose weights take {d / 2**27:.0f} GiB: there "
                         "is no memory for them. Is its shape damaged?")


def _load(blocks: Any, i: int, owner: str) -> tuple[int, Any, Any, Any]:
    """Number, rows (None if there are none), labels and weights of a block."""
    with naming(blocks, i):
        X, y, weight = _parts(blocks[i], "it")
        if getattr(X, "shape", (1,))[0] == 0:
            return i, None, None, None
        rows = check.as_rows(X, owner=owner)
        labels = _block_labels(y, rows.n, owner)
        if labels.dtype == object:
            labels = np.array(list(labels))
        return i, rows, labels, check.sample_weights(weight, rows.n, all_zero=True)


def _parts(block: Any, what: str) -> tuple[Any, Any, Any]:
    if not isinstance(block, tuple | list) or not 2 <= len(block) <= 3:
        raise TypeError(f"{what} must be (X, y) or (X, y, sample_weight); got a "
                        f"{type(block).__name__}"
                        + (f" of {len(block)}" if isinstance(block, tuple | list) else ""))
    return block[0], block[1], block[2] if len(block) == 3 else None


def name_of(blocks: Any, i: int) -> str:
    """How messages call a block."""
    own = getattr(blocks, "name", None)
    return f"block {i}" + (f" ({own(i)})" if callable(own) else "")


@contextmanager
def naming(blocks: Any, i: int) -> Iterator[None]:
    """Let errors say which block they are about."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if type(error) not in (ValueError, TypeError):
            raise
        raise type(error)(f"{name_of(blocks, i)}: {error}") from error


def ahead(order: Iterable[Any], load: Callable[[Any], Any]) -> Iterator[Any]:
    """load(i) for each i in turn; the next one is made by a thread meanwhile."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        coming: Any = None
        try:
            for i in order:
                last, coming = coming, pool.submit(load, i)
                if last is not None:
                    yield last.result()
                    del last
            if coming is not None:
                yield coming.result()
        finally:
            if coming is not None:
                coming.cancel()


class Loaded(NamedTuple):
    """A block as solvers take it."""

    number: int
    rows: Any
    codes: np.ndarray
    cost: np.ndarray | None  # C times the rows' weights, or None: C for all


class Feed:
    """The blocks of a survey, checked against it, with the classes' codes and the rows' weights.

    Parameters
    ----------
    blocks : sequence
    seen : Survey
    C : float
    class_weight : None, "balanced" or dict
    owner : str
    """

    def __init__(self, blocks: Any, seen: Survey, C: float, class_weight: Any, owner: str) -> None:
        self.blocks, self.seen, self.C, self.owner = blocks, seen, C, owner
        if isinstance(class_weight, str):
            factors = check._class_factors(class_weight, seen.classes, seen.totals)
            class_weight = dict(zip(seen.classes.tolist(), factors.tolist(), strict=True))
        self.class_weight = class_weight
        factors = check._class_factors(class_weight, seen.classes, seen.totals)
        self.totals = C * factors * seen.totals  # of the classes
        check._check_class_totals(self.totals, seen.classes, "sample_weight or class_weight")

    def visits(self, order: Iterable[int]) -> Iterator[Loaded]:
        """The blocks of these numbers, in turn."""
        return ahead(order, self.load)

    def load(self, i: int) -> Loaded:
        """A block by its number."""
        seen = self.seen
        number, rows, labels, weight = _load(self.blocks, i, self.owner)
        if rows is None or rows.n != seen.n_rows[i] or rows.d != seen.d:
            found = "no rows" if rows is None else f"{rows.n} rows and {rows.d} features"
            raise ValueError(f"{name_of(self.blocks, i)} has changed: it has {found}, and had "
                             f"{seen.n_rows[i]} rows and {seen.d} features before")
        with naming(self.blocks, i):
            codes = check.encode_known(
                labels, rows.n, seen.classes, self.owner,
                "the block had other labels when blocks were gone through the first time")
            cost = check.given_weights(self.class_weight, weight, seen.classes, codes, rows.n)
            check.squared_norms(rows, self.C)
        return Loaded(number, rows, codes, None if cost is None else self.C * cost)


# -------------------------------------------------------------------------------- checkpoints


class Kept(dict):
    """The arrays of a file of a checkpoint; one that is missing is a ValueError that names it."""

    def __init__(self, path: str) -> None:
        with open_npz(path) as file:
            super().__init__({key: file.read(key) for key in file.members})
        self.path = path

    def __missing__(self, key: str) -> NoReturn:
        raise ValueError(f"{self.path}: no member {key!r} in it; delete this checkpoint")

    def pop(self, key: str, *default: Any) -> Any:
        """The array of this name, which is not kept."""
        if key not in self and default:
            return default[0]
        array = self[key]
        del self[key]
        return array


class Checkpoint:
    """A folder from which a fit goes on after a kill.

    Parameters
    ----------
    folder : str
        Made if it is not there.
    """

    def __init__(self, folder: Any) -> None:
        if not isinstance(folder, str | bytes | os.PathLike):
            raise TypeError(f"checkpoint must be the path of a folder; got {folder!r}")
        self.folder = os.fsdecode(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.key = ""
        self.next = 0.0  # time of the next state

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def surveyed(self, blocks: Any, owner: str) -> Survey:
        """The survey of these blocks, kept from the last time if there was one."""
        path = self.path("survey.npz")
        if os.path.exists(path):
            seen = Survey.load(path)
            if len(seen.n_rows) != len(blocks):
                raise ValueError(f"{self.folder}: this checkpoint is of {len(seen.n_rows)} blocks, "
                                 f"not {len(blocks)}: take another folder, or delete it")
            return seen
        seen = survey(blocks, owner)
        with self._writing(path):
            seen.save(path)
        return seen

    def begin(self, key: dict[str, Any]) -> dict[str, Any] | None:
        """The state to go on from, if there is one; `key` must be that of the fit that left it."""
        self.key = json.dumps({name: repr(value) for name, value in key.items()}, sort_keys=True)
        path = self.path("state.npz")
        if not os.path.exists(path):
            return None
        state = Kept(path)
        try:
            last, now = json.loads(str(state.pop("key"))), json.loads(self.key)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}: damaged: member 'key': {error}") from error
        for name in sorted(set(last) | set(now)):
            if last.get(name) != now.get(name):
                raise ValueError(f"{self.folder}: this checkpoint is of another fit: {name} was "
                                 f"{last.get(name)}, and is {now.get(name)}. Take another folder, "
                                 "or delete this one")
        return state

    @property
    def due(self) -> bool:
        """Whether it is time for the next state: not so often that it would take long."""
        return perf_counter() >= self.next

    def save(self, state: dict[str, Any]) -> None:
        """Put the state in the place of the last one: whatever happens, one of them is there."""
        begin = perf_counter()
        self.write("state.npz", state | {"key": np.array(self.key)}, durable=True)
        end = perf_counter()
        self.next = end + max(LEAST_APART, (end - begin) / MOST_OF_TIME)

    def write(self, name: str, arrays: dict[str, Any], durable: bool = False) -> None:
        path = self.path(name)
        with self._writing(path), replacing(path, durable) as file:
            np.savez(file, **arrays)

    @contextmanager
    def _writing(self, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror or error}; what was learned before is in "
                          f"{self.folder}: fit again with this checkpoint to go on",
                          path) from error


class DualStore:
    """Blocks with their duals, in memory or on disk: `Blocks` of `block_dual_cd`.

    In a checkpoint a state is written first, with all duals that have changed since the last one,
    then these to their places: when only the state was written, `restore` does the rest.
    """

    def __init__(
        self, feed: Feed, lanes: int, checkpoint: Checkpoint | None, scratch: str | None = None
    ) -> None:
        self.feed, self.lanes, self.checkpoint = feed, lanes, checkpoint
        # Where duals lie on disk; a folder for now, `scratch`, has no states.
        self.disk = checkpoint if scratch is None else Checkpoint(scratch)
        self.held: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # with a checkpoint: not there yet

    def visits(self, order: Iterable[int]) -> Iterator[Any]:
        from .solvers.block_dual_cd import Block

        for numbers, loaded in ahead(self._groups(order), self._load):
            ends = np.cumsum(self.feed.seen.n_rows[numbers])
            rows, codes, cost = loaded
            yield Block(numbers, ends, rows, codes, cost, *self._joined(numbers))

    def _groups(self, order: Iterable[int]) -> Iterator[list[int]]:
        """Neighbours in the order whose rows have at most TOGETHER bytes."""
        seen, total = self.feed.seen, 0
        group: list[int] = []
        for i in order:
            if not seen.n_rows[i]:
                continue
            if group and total + seen.nbytes[i] > TOGETHER:
                yield group
                group, total = [], 0
            group.append(i)
            total += seen.nbytes[i]
        if group:
            yield group

    def _load(self, numbers: list[int]) -> tuple[list[int], tuple[Any, ...]]:
        """Rows, codes and costs of some blocks as of one."""
        parts = [self.feed.load(i) for i in numbers]
        if len(parts) == 1:
            return numbers, parts[0][1:]
        costs = [np.full(part.rows.n, self.feed.C) if part.cost is None else part.cost
                 for part in parts]  # fmt: skip
        none = all(part.cost is None for part in parts)
        return numbers, (check.stacked([part.rows for part in parts]),
                         np.concatenate([part.codes for part in parts]),
                         None if none else np.concatenate(costs))  # fmt: skip

    def keep(self, block: Any, awake: np.ndarray, snapshot: Any) -> None:
        ends = block.ends.tolist()
        for i, a, b in zip(block.numbers, [0, *ends], ends, strict=False):
            duals = block.alpha[a:b].copy(), self._piece(np.asarray(awake), a, b)
            if self.disk is not None and (snapshot is None or self.checkpoint is None):
                self.disk.write(_duals_name(i), {"alpha": duals[0], "awake": duals[1]})
            else:
                self.held[i] = duals
        if self.checkpoint is not None and snapshot is not None and self.checkpoint.due:
            self.flush(snapshot)

    def _piece(self, awake: np.ndarray, a: int, b: int) -> np.ndarray:
        """The bits of rows a..b-1: words of lanes for each row; a byte for a single lane's."""
        if self.lanes > 1:
            return awake[:, a:b].copy()
        return np.unpackbits(awake.view(np.uint8)[0], bitorder="little")[None, a:b]

    def _joined(self, numbers: list[int]) -> tuple[np.ndarray, np.ndarray | None]:
        """Duals of these blocks as of one, and the bits of their active rows."""
        parts = [self._duals(i) for i in numbers]
        alpha = np.concatenate([part[0] for part in parts])
        known = [part[1] for part in parts if part[1] is not None]
        if not known:
            return alpha, None
        every: Any = np.uint64(-1 % 2**64) if self.lanes > 1 else np.uint8(1)
        awake = np.concatenate(
            [np.full((len(known[0]), len(a)), every) if bits is None else bits
             for a, bits in parts], axis=1)  # fmt: skip
        if self.lanes == 1:
            words = -(-awake.shape[1] // 64)
            room = np.zeros((1, 8 * words), dtype=np.uint8)
            packed = np.packbits(awake[0], bitorder="little")
            room[0, : len(packed)] = packed
            awake = room.view(np.uint64)
        return alpha, awake

    def flush(self, snapshot: Any) -> None:
        if self.checkpoint is None:
            return
        held = {f"{name}-{i}": array for i, duals in self.held.items()
                for name, array in zip(("alpha", "awake"), duals, strict=True)}
        self.checkpoint.save(snapshot() | held | {"blocks": np.array([*self.held], dtype=np.int64)})
        self._put_in_place()

    def restore(self, state: dict[str, Any]) -> None:
        """Finish what a kill may have come between."""
        blocks = state.pop("blocks")
        count = len(self.feed.seen.n_rows)
        if blocks.ndim != 1 or blocks.dtype.kind != "i" or not set(blocks.tolist()) <= set(
                range(count)):
            raise ValueError("member 'blocks' of the checkpoint names blocks that are none; delete "
                             "this checkpoint")
        for i in blocks.tolist():
            n = int(self.feed.seen.n_rows[i])
            self.held[i] = self._checked("the checkpoint", state.pop(f"alpha-{i}"),
                                         state.pop(f"awake-{i}"), n)  # fmt: skip
        self._put_in_place()

    def _checked(
        self, where: str, alpha: np.ndarray, awake: np.ndarray, n: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Duals of n rows, if they are."""
        kind = (2, np.uint64) if self.lanes > 1 else (2, np.uint8)
        if alpha.shape != (n, self.lanes) or alpha.dtype != np.float64 or (
                (awake.ndim, awake.dtype) != kind or awake.shape[1] != n
                or (self.lanes == 1 and len(awake) != 1)):
            raise ValueError(f"{where}: duals of other rows; delete this checkpoint")
        return alpha, awake

    def _put_in_place(self) -> None:
        assert self.checkpoint is not None
        for i, (alpha, awake) in self.held.items():
            self.checkpoint.write(_duals_name(i), {"alpha": alpha, "awake": awake})
        self.held = {}

    def _duals(self, i: int) -> tuple[np.ndarray, np.ndarray | None]:
        n = int(self.feed.seen.n_rows[i])
        if i in self.held:
            return self.held[i]
        if self.disk is not None:
            path = self.disk.path(_duals_name(i))
            if os.path.exists(path):
                kept = Kept(path)
                return self._checked(path, kept["alpha"], kept["awake"], n)
        return np.zeros((n, self.lanes)), None


def _duals_name(i: int) -> str:
    return f"duals-{i:06d}.npz"
