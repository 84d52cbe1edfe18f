# SPDX-License-Identifier: BSD-3-Clause
"""Files of tagged words: a word and its tag on a line, a blank line after each sentence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import IO

from .. import _validate as check


def sentences(lines: Iterable[bytes], name: str, columns: tuple[int, ...]
              ) -> Iterator[tuple[list[str], ...]]:
    """The sentences of a file, each as its columns: lists of equal length.

    Parameters
    ----------
    lines : iterable of bytes
        UTF-8; columns are parted by tabs.
    name : str
        Of the file, for errors.
    columns : tuple of int
        Which ones, from 0.

    Raises
    ------
    ValueError
        For lines that have too few columns, an empty one, or are no UTF-8; file and line are told.
    """
    found: list[list[str]] = []
    for number, raw in enumerate(lines, 1):
        try:
            line = raw.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise ValueError(f"{name}, line {number}: byte {error.start + 1} is no UTF-8") from None
        if not line.strip():
            if found:
                yield tuple(list(column) for column in zip(*found, strict=True))
                found = []
            continue
        parts = line.split("\t")
        if len(parts) <= max(columns):
            raise ValueError(f"{name}, line {number}: {len(parts)} columns parted by tabs; at "
                             f"least {max(columns) + 1} are due: {check._show(line)}")
        row = [parts[c] for c in columns]
        if not all(row):
            raise ValueError(f"{name}, line {number}: column {columns[row.index('')]} is empty")
        found.append(row)
    if found:
        yield tuple(list(column) for column in zip(*found, strict=True))


def opened(name: str) -> IO[bytes]:
    """A file, unpacked if its name ends in .gz."""
    if name.endswith(".gz"):
        import gzip

        return gzip.open(name, "rb")  # type: ignore[return-value]
    return open(name, "rb")


def read_tagged(path: str | os.PathLike[str], word_column: int = 0, tag_column: int = 1
                ) -> tuple[list[list[str]], list[list[str]]]:
    """Sentences of a file with a word and its tag on each line.

    Parameters
    ----------
    path : str or path-like
        UTF-8, columns parted by tabs, a blank line after each sentence; gzip if it ends in .gz.
    word_column, tag_column : int, default 0 and 1

    Returns
    -------
    list of lists of words, list of lists of tags

    Raises
    ------
    ValueError
        For a line that has too few columns or an empty one, or is no UTF-8; the message names it.
        For a file without sentences.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import os, tempfile
    >>> from hingex.structured import read_tagged
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     name = os.path.join(folder, "words.tsv")
    ...     with open(name, "w") as file:
    ...         _ = file.write("the\\tDET\\ndog\\tNOUN\\n\\nGo\\tVERB\\n")
    ...     words, tags = read_tagged(name)
    >>> words, tags
    ([['the', 'dog'], ['Go']], [['DET', 'NOUN'], ['VERB']])
    """
    name = os.fsdecode(path)
    columns = (check.integer("word_column", word_column, 0),
               check.integer("tag_column", tag_column, 0))
    with opened(name) as file:
        found = list(sentences(file, name, columns))
    if not found:
        raise ValueError(f"{name}: no sentences")
    return [words for words, _ in found], [tags for _, tags in found]
