# SPDX-License-Identifier: BSD-3-Clause
"""Files of tagged words: a word and its tag on a line, a blank line after each sentence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from .. import _validate as check
from .._open import MAX_LINE_BYTES, is_one_line, lines, opened, start_of_text


class TaggedLines:
    """What the lines of a file of words must be.

    Parameters
    ----------
    name : str
        Of the file, for errors.
    word_column, tag_column : int
        From 0; a `tag_column` of None: only words are read.
    columns : int, optional
        Of each line. None: those up to the last of the two; any number, if there are no tags.
    words_alone : bool, default False
        Whether lines may be words alone, in one column; and fewer than `columns` columns, as long
        as words are among them. All lines must have as many as the first.
    max_line_bytes : int, default 64 MiB
    """

    def __init__(self, name: str, word_column: int, tag_column: int | None = None,
                 columns: int | None = None, *, words_alone: bool = False,
                 max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self.name = name
        self.word = check.integer("word_column", word_column, 0)
        self.tag = None if tag_column is None else check.integer("tag_column", tag_column, 0)
        self.needed = max(self.word, -1 if self.tag is None else self.tag) + 1
        self.columns = None if columns is None else check.integer("columns", columns, self.needed)
        self.words_alone = words_alone
        self.max_line_bytes = check.integer("max_line_bytes", max_line_bytes)

    @property
    def reading(self) -> dict[str, Any]:
        """The conventions that a model trained on the file keeps."""
        return {"format": "tagged", "encoding": "utf-8", "word_column": self.word,
                "tag_column": self.tag, "columns": self.columns}  # fmt: skip

    def sentences(self, file: BinaryIO) -> Iterator[tuple[list[str], ...]]:
        """The sentences of a file, each as its words, and its tags if they are read.

        Raises
        ------
        ValueError
            For lines that have too few or too many columns, an empty one, or are no UTF-8 or too
            long; the message names file and line.
        """
        found: list[tuple[str, ...]] = []
        wanted = 0  # columns of the first line
        for number, raw in enumerate(lines(file, self.name, self.max_line_bytes), 1):
            line = self._decoded(raw, number)
            if "\t" not in line and not line.strip():
                if found:
                    yield tuple(list(column) for column in zip(*found, strict=True))
                    found = []
                continue
            parts = line.split("\t")
            wanted = wanted or len(parts)
            found.append(self._row(parts, wanted, line, number))
        if found:
            yield tuple(list(column) for column in zip(*found, strict=True))

    def _decoded(self, raw: bytes, number: int) -> str:
        if number == 1:
            raw = raw[start_of_text(raw, self.name):]
        try:
            return raw.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.name}, line {number}: byte {error.start + 1} is no UTF-8"
                             ) from None

    def _row(self, parts: list[str], wanted: int, line: str, number: int) -> tuple[str, ...]:
        """Word, and tag if it is read, of a line, when its first line has `wanted` columns."""
        where, n = f"{self.name}, line {number}", len(parts)
        alone = self.words_alone and wanted == 1
        if self.words_alone and n != wanted:
            raise ValueError(f"{where}: expected {wanted} columns with tabs between them, as the "
                             f"first line has, got {n}: {check._show(line)}")
        if n < self.needed and not alone:
            raise ValueError(f"{where}: {n} columns parted by tabs; at least {self.needed} are due"
                             f": {check._show(line)}")
        most = self.columns if self.columns is not None or self.tag is None else self.needed
        if most is not None and (n > most or (n < most and not self.words_alone)):
            raise ValueError(f"{where}: expected {most} columns with tabs between them, got {n}: "
                             f"{check._show(line)}{self._advice(n, most)}")
        chosen = [0 if alone else self.word] + ([] if self.tag is None else [self.tag])
        row = tuple(parts[c] for c in chosen)
        if not all(row):
            raise ValueError(f"{where}: column {chosen[row.index('')]} is empty")
        if self.tag is not None and not is_one_line(row[1]):
            raise ValueError(f"{where}: the tag {row[1]!a} has a line end in it, and could not be "
                             "printed on a line as a prediction: rename it")
        return row

    def _advice(self, n: int, most: int) -> str:
        if n < most:
            return ""
        if self.words_alone:
            return ". Cut the others out: the model was trained on files of so many"
        return (f". If all lines have {n} and the others are to be left out, give columns={n} "
                f"(--columns {n})")


def read_tagged(
    path: str | os.PathLike[str],
    word_column: int = 0,
    tag_column: int = 1,
    *,
    columns: int | None = None,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> tuple[list[list[str]], list[list[str]]]:
    """Sentences of a file with a word and its tag on each line.

    Parameters
    ----------
    path : str or path-like
        UTF-8, columns with tabs between them, a blank line after each sentence; unpacked if its
        content is compressed by gzip, bzip2, xz or zstd. A byte order mark is skipped.
    word_column, tag_column : int, default 0 and 1
    columns : int, optional
        Of each line, of which those that are neither word nor tag are left out. By default they
        are those up to the last of the two, and more are an error.
    max_line_bytes : int, default 64 MiB
        Longer lines are an error, so that a small compressed file cannot fill the memory.

    Returns
    -------
    list of lists of words, list of lists of tags

    Raises
    ------
    ValueError
        For a line that has too few or too many columns or an empty one, is too long or no UTF-8, or
        a tag that holds a line end; the message names it. For a file without sentences, or with
        damaged compressed data.
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
    form = TaggedLines(os.fsdecode(path), word_column, tag_column, columns,
                       max_line_bytes=max_line_bytes)
    return tagged_of(form)


def tagged_of(form: TaggedLines) -> tuple[list[list[str]], list[list[str]]]:
    """`read_tagged` of a file whose lines are described."""
    with opened(form.name) as file:
        found = list(form.sentences(file))
    if not found:
        raise ValueError(f"{form.name}: no sentences")
    return [words for words, _ in found], [tags for _, tags in found]
