# SPDX-License-Identifier: BSD-3-Clause
"""Documents that lie in one buffer, and the files that they come from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from .. import _validate as check
from .._core import kernels
from .._open import (
    MAX_LINE_BYTES,
    is_one_line,
    opened,
    read_all,
    refuse_line,
    start_of_text,
    too_long,
)


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
    reading : dict, optional
        How the file was read: what `reading_` of a `TextClassifier` trained on these will be.

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
                 lines: Any = None, reading: dict[str, Any] | None = None) -> None:
        self._buffer = buffer
        self._starts = np.ascontiguousarray(starts, dtype=np.int64)
        self._ends = np.ascontiguousarray(ends, dtype=np.int64)
        self._source = source
        self._lines = None if lines is None else np.asarray(lines)
        self.reading = reading
        size = memoryview(buffer).nbytes
        if self._starts.ndim != 1 or self._starts.shape != self._ends.shape or not (
                (self._starts >= 0) & (self._starts <= self._ends) & (self._ends <= size)).all():
            raise ValueError(f"starts and ends must be places 0 <= start <= end <= {size} in the "
                             "buffer, as many of one as of the other")

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, int | np.integer):
            try:
                return self.raw(int(index)).decode()
            except UnicodeDecodeError as error:
                _undecodable(error, self.name(int(index)))
        lines = None if self._lines is None else self._lines[index]
        return Texts(self._buffer, self._starts[index], self._ends[index], self._source, lines,
                     self.reading)

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        source = f" of {self._source}" if self._source else ""
        return f"Texts({len(self)} documents{source}, {self.nbytes} bytes)"

    @property
    def nbytes(self) -> int:
        """Bytes of all documents."""
        return int((self._ends - self._starts).sum())

    def raw(self, i: int) -> bytes:
        """Document i as it lies in the buffer."""
        return bytes(memoryview(self._buffer)[self._starts[i]:self._ends[i]])

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
    columns: int | None = None,
    one_line_labels: bool = False,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> tuple[Texts, np.ndarray | None]:
    r"""Read labelled documents from a file of lines with tabs between columns.

    There is no header and no quoting: every line is a document, and what is between two tabs is
    taken as it is. By default a line is a label, a tab, and the text, which goes up to the end of
    the line with all tabs in it. Nothing of a line is left out unless `columns` says so.

    Parameters
    ----------
    path : str or path-like
        In UTF-8; unpacked if its content is compressed by gzip, bzip2, xz or zstd. Lines end with
        ``\n`` or ``\r\n``, the last one may do without. A byte order mark at the beginning is
        skipped.
    label_column, text_column : int
        Counted from 0; a `label_column` of None says that there are no labels.
    escapes : bool, default False
        Take ``\n``, ``\t``, ``\r`` and ``\\`` in texts for the characters that they stand for.
        Labels stay as they are.
    columns : int, optional
        Of each line, of which those that are neither label nor text are left out. By default they
        are those up to the last of the two: the text goes up to the end of the line if it comes
        last, and a tab after a label that comes last is an error.
    one_line_labels : bool, default False
        Refuse labels that do not take one line when they are printed, as ``hingex text`` does:
        those that are empty or hold a line end of `str.splitlines`.
    max_line_bytes : int, default 64 MiB
        Longer lines are an error, so that a small compressed file cannot fill the memory.

    Returns
    -------
    texts : Texts
        As many as lines, empty ones included. They are not decoded here: see the `decode_error` of
        `TextVectorizer`, whose messages name the line.
    labels : ndarray of str, or None

    Raises
    ------
    ValueError
        If the file is empty, compressed data are damaged or cut off, or a line has too few or too
        many columns or is too long; the message names file and line.
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
    blocks = TsvBlocks(path, label_column, text_column, escapes=escapes, columns=columns,
                       one_line_labels=one_line_labels, max_line_bytes=max_line_bytes)
    with opened(blocks.name) as file:
        return blocks._parsed(read_all(file, blocks.max_line_bytes), 0)


class TsvBlocks:
    r"""Labelled documents of a file with tabs between columns, some megabytes at a time.

    Each time that it is gone through, the file is read anew.

    Parameters
    ----------
    path, label_column, text_column, escapes, columns, one_line_labels, max_line_bytes
        As `read_tsv` has them.
    block_size : int, default 16 MiB
        Bytes of text, whole lines, about.

    Attributes
    ----------
    reading : dict
        The conventions that a model trained on the file keeps: see `TextClassifier`.

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
                 text_column: int = 1, *, escapes: bool = False, columns: int | None = None,
                 one_line_labels: bool = False, max_line_bytes: int = MAX_LINE_BYTES,
                 block_size: int = 16 << 20) -> None:
        self.name = os.fsdecode(path)
        self.text_column = check.integer("text_column", text_column, 0)
        self.label = -1 if label_column is None else check.integer("label_column", label_column, 0)
        self.label_column = None if label_column is None else self.label
        self.escapes = check.boolean("escapes", escapes)
        needed = max(self.text_column, self.label) + 1
        self.columns = None if columns is None else check.integer("columns", columns, needed)
        self.one_line_labels = check.boolean("one_line_labels", one_line_labels)
        self.max_line_bytes = check.integer("max_line_bytes", max_line_bytes)
        self.block_size = check.integer("block_size", block_size)
        self.reading = {
            "format": "tsv", "encoding": "utf-8", "label_column": self.label_column,
            "text_column": self.text_column, "columns": self.columns, "escapes": self.escapes,
        }  # fmt: skip

    def __iter__(self) -> Iterator[tuple[Texts, np.ndarray | None]]:
        with opened(self.name) as file:
            yield from self.blocks_of(lambda: file.read(self.block_size))

    def blocks_of(self, read: Callable[[], bytes], empty: bool = False
                  ) -> Iterator[tuple[Texts, np.ndarray | None]]:
        """The documents of a file that is open.

        Parameters
        ----------
        read : callable
            Gives the next bytes, none at the end.
        empty : bool, default False
            Whether there may be no line at all.

        Yields
        ------
        texts, labels
        """
        lines, rest, data = 0, b"", b" "
        while data:
            data = read()
            whole = rest + data
            cut = whole.rfind(b"\n") + 1 if data else len(whole)
            whole, rest = whole[:cut], whole[cut:]
            if whole or not (data or lines or empty):
                block = self._parsed(whole, lines, empty)
                lines += len(block[0])
                yield block
            if len(rest) > self.max_line_bytes:
                refuse_line(f"{self.name}, line {lines + 1}", self.max_line_bytes)

    def _parsed(self, data: bytes | bytearray, before: int, empty: bool = False
                ) -> tuple[Texts, np.ndarray | None]:
        """The documents of whole lines, before which there are so many others."""
        kernel, name = kernels("text"), self.name
        beyond = too_long(data, self.max_line_bytes)
        if beyond >= 0:
            line = before + data.count(b"\n", 0, beyond) + 1
            refuse_line(f"{name}, line {line}", self.max_line_bytes)
        body: Any = memoryview(data)
        if before == 0:
            body = body[start_of_text(data, name):]
        columns = self.columns or 0
        lines, _ = kernel.split_lines(body, self.text_column, self.label, columns, None)
        if lines == 0 and not empty:
            raise ValueError(f"{name}: the file is empty")
        places = np.empty((lines, 4), dtype=np.int64)
        line, found = kernel.split_lines(body, self.text_column, self.label, columns, places)
        if found:
            raise ValueError(f"{name}, line {before + line}: {self._other_columns(found)}")
        labels = None if self.label < 0 else self._labels(body, places[:, 2:], before)
        if self.escapes:
            out = np.empty(len(body), dtype=np.uint8)
            body = out[:kernel.unescape(body, out, places)]
        numbers = np.arange(before + 1, before + lines + 1)
        return Texts(body, places[:, 0], places[:, 1], name, numbers, self.reading), labels

    def _other_columns(self, found: int) -> str:
        """Words for a line that has so many columns, and should not."""
        if self.columns is not None:
            return f"expected {self.columns} columns with tabs between them, got {found}"
        needed = max(self.text_column, self.label) + 1
        what = (f"text_column={self.text_column} and label_column={self.label_column} need "
                f"{needed} columns with tabs between them; the line has {found}")
        if found > needed:
            what += (f". If all lines have {found} and the others are to be left out, give columns="
                     f"{found} (--columns {found})")
        return what

    def _labels(self, body: memoryview, places: np.ndarray, before: int) -> np.ndarray:
        known: dict[bytes, str] = {}
        labels = []
        for line, (start, end) in enumerate(places.tolist(), before + 1):
            raw = bytes(body[start:end])
            label = known.get(raw)
            if label is None:
                label = known[raw] = self._label(raw, line)
            labels.append(label)
        return np.array(labels)

    def _label(self, raw: bytes, line: int) -> str:
        try:
            label = raw.decode()
        except UnicodeDecodeError as error:
            _undecodable(error, f"the label of {self.name}, line {line}")
        if label.endswith("\0"):  # which arrays of str do not keep
            raise ValueError(f"{self.name}, line {line}: the label {label!a} ends with a NUL")
        if self.one_line_labels and not is_one_line(label):
            what = f"{label!a} has a line end in it" if label else "is empty"
            raise ValueError(f"{self.name}, line {line}: the label {what}, and could not be "
                             "printed on a line as a prediction: rename it, or leave the line out")
        return label
