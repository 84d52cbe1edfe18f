# SPDX-License-Identifier: BSD-3-Clause
"""Documents that lie in one buffer, and the files that they come from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from .. import _validate as check
from .._core import kernels

_BOM = b"\xef\xbb\xbf"


class Texts(Sequence[str]):
    """Documents as pieces of one buffer of bytes, which `TextVectorizer` reads in place.

    An index gives a str, a slice or an array of indices or booleans another `Texts` of the same
    buffer.

    Parameters
    ----------
    buffer : bytes-like
        UTF-8.
    starts, ends : array-like of int, shape (n,)
        Document i is ``buffer[starts[i]:ends[i]]``.
    source : str, default ""
        Name of the file, for messages.
    lines : array-like of int, shape (n,), optional
        Lines of the file, for messages.

    Raises
    ------
    ValueError
        If places are not inside the buffer.

    Examples
    --------
    >>> from hingex.text import Texts
    >>> texts = Texts(b"onetwothree", [0, 3, 6], [3, 6, 11])
    >>> len(texts), texts[2]
    (3, 'three')
    """

    def __init__(self, buffer: Any, starts: Any, ends: Any, source: str = "",
                 lines: Any = None) -> None:
        self._buffer = buffer
        self._starts = np.ascontiguousarray(starts, dtype=np.int64)
        self._ends = np.ascontiguousarray(ends, dtype=np.int64)
        self._source = source
        self._lines = None if lines is None else np.asarray(lines)
        size = memoryview(buffer).nbytes
        if self._starts.ndim != 1 or self._starts.shape != self._ends.shape or not (
                (self._starts >= 0) & (self._starts <= self._ends) & (self._ends <= size)).all():
            raise ValueError(f"starts and ends must be places 0 <= start <= end <= {size} in the "
                             "buffer, as many of one as of the other")

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, int | np.integer):
            raw = bytes(memoryview(self._buffer)[self._starts[index]:self._ends[index]])
            try:
                return raw.decode()
            except UnicodeDecodeError as error:
                _undecodable(error, self.name(int(index)))
        lines = None if self._lines is None else self._lines[index]
        return Texts(self._buffer, self._starts[index], self._ends[index], self._source, lines)

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        source = f" of {self._source}" if self._source else ""
        return f"Texts({len(self)} documents{source}, {self.nbytes} bytes)"

    @property
    def nbytes(self) -> int:
        """Bytes of all documents."""
        return int((self._ends - self._starts).sum())

    def name(self, i: int) -> str:
        """How messages call document i: by its line, if it comes from a file."""
        if self._lines is None:
            return f"documents[{i}]"
        return f"{self._source}, line {self._lines[i]}"


def _undecodable(error: UnicodeDecodeError, where: str) -> NoReturn:
    raise UnicodeDecodeError(error.encoding, error.object, error.start, error.end,
                             f"{error.reason}, in {where}") from None


def read_tsv(
    path: str | os.PathLike[str],
    label_column: int | None = 0,
    text_column: int = 1,
    *,
    escapes: bool = False,
) -> tuple[Texts, np.ndarray | None]:
    r"""Read labelled documents from a file of lines with tabs between columns.

    There is no header and no quoting: every line is a document, and what is between two tabs is
    taken as it is.

    Parameters
    ----------
    path : str or path-like
        In UTF-8; unpacked if its name ends in ``.gz``. Lines end with ``\n`` or ``\r\n``, the last
        one may do without. A byte order mark at the beginning is skipped.
    label_column, text_column : int
        Counted from 0; a `label_column` of None says that there are no labels.
    escapes : bool, default False
        Take ``\n``, ``\t``, ``\r`` and ``\\`` in texts for the characters that they stand for.

    Returns
    -------
    texts : Texts
        As many as lines, empty ones included. They are not decoded here: see the `decode_error` of
        `TextVectorizer`, whose messages name the line.
    labels : ndarray of str, or None

    Raises
    ------
    ValueError
        If the file is empty, or a line has too few columns; the message names it.
    UnicodeDecodeError
        If a label is no UTF-8.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import os, tempfile
    >>> from hingex.text import read_tsv
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     name = os.path.join(folder, "lines.tsv")
    ...     with open(name, "w") as file:
    ...         _ = file.write("cat\tit purrs\ndog\tit barks\n")
    ...     texts, labels = read_tsv(name)
    >>> texts[0], labels.tolist()
    ('it purrs', ['cat', 'dog'])
    """
    blocks = TsvBlocks(path, label_column, text_column, escapes=escapes)
    with blocks._opened() as file:
        return blocks._parsed(file.read(), 0)


class TsvBlocks:
    r"""Labelled documents of a file with tabs between columns, some megabytes at a time.

    Each time that it is gone through, the file is read anew.

    Parameters
    ----------
    path, label_column, text_column, escapes
        As `read_tsv` has them.
    block_size : int, default 16 MiB
        Bytes of text, whole lines, about.

    Yields
    ------
    texts, labels
        As `read_tsv` returns them.

    Raises
    ------
    ValueError, UnicodeDecodeError, OSError
        As `read_tsv`, when the lines are read.

    Examples
    --------
    >>> import os, tempfile
    >>> from hingex.text import TsvBlocks
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     name = os.path.join(folder, "lines.tsv")
    ...     with open(name, "w") as file:
    ...         _ = file.write("cat\tit purrs\ndog\tit barks\n")
    ...     counts = [len(texts) for texts, labels in TsvBlocks(name)]
    >>> counts
    [2]
    """

    def __init__(self, path: str | os.PathLike[str], label_column: int | None = 0,
                 text_column: int = 1, *, escapes: bool = False,
                 block_size: int = 16 << 20) -> None:
        self.name = os.fsdecode(path)
        self.label_column = label_column
        self.text_column = check.integer("text_column", text_column, 0)
        self.label = -1 if label_column is None else check.integer("label_column", label_column, 0)
        self.escapes = check.boolean("escapes", escapes)
        self.block_size = check.integer("block_size", block_size)

    def __iter__(self) -> Iterator[tuple[Texts, np.ndarray | None]]:
        with self._opened() as file:
            lines, rest, data = 0, b"", b" "
            while data:
                data = file.read(self.block_size)
                whole = rest + data
                cut = whole.rfind(b"\n") + 1 if data else len(whole)
                whole, rest = whole[:cut], whole[cut:]
                if whole or not (data or lines):
                    block = self._parsed(whole, lines)
                    lines += len(block[0])
                    yield block

    def _opened(self) -> Any:
        if self.name.endswith(".gz"):
            import gzip

            return gzip.open(self.name, "rb")
        return open(self.name, "rb")

    def _parsed(self, data: bytes, before: int) -> tuple[Texts, np.ndarray | None]:
        """The documents of whole lines, before which there are so many others."""
        kernel, name = kernels("text"), self.name
        body: Any = memoryview(data)
        if before == 0 and data.startswith(_BOM):
            body = body[len(_BOM):]
        lines, _ = kernel.split_lines(body, self.text_column, self.label, None)
        if lines == 0:
            raise ValueError(f"{name}: the file is empty")
        places = np.empty((lines, 4), dtype=np.int64)
        line, columns = kernel.split_lines(body, self.text_column, self.label, places)
        if columns:
            needed = max(self.text_column, self.label) + 1
            raise ValueError(
                f"{name}, line {before + line}: text_column={self.text_column} and label_column="
                f"{self.label_column} need {needed} columns with tabs between them; the line has "
                f"{columns}"
            )
        labels = None if self.label < 0 else _labels(body, places[:, 2:], name, before)
        if self.escapes:
            out = np.empty(len(body), dtype=np.uint8)
            body = out[:kernel.unescape(body, out, places)]
        numbers = np.arange(before + 1, before + lines + 1)
        return Texts(body, places[:, 0], places[:, 1], name, numbers), labels


def _labels(body: memoryview, places: np.ndarray, name: str, before: int) -> np.ndarray:
    known: dict[bytes, str] = {}
    labels = []
    for line, (start, end) in enumerate(places.tolist(), before + 1):
        raw = bytes(body[start:end])
        label = known.get(raw)
        if label is None:
            try:
                label = known[raw] = raw.decode()
            except UnicodeDecodeError as error:
                _undecodable(error, f"the label of {name}, line {line}")
        labels.append(label)
    return np.array(labels)
