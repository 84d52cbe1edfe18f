# SPDX-License-Identifier: BSD-3-Clause
"""Files in the svmlight / libsvm text format, read into CSR matrices and written from them.

One row per line: a label (or several with commas between them, or none), optionally ``qid:`` and
an integer, then ``index:value`` pairs with ascending indices; ``#`` starts a comment::

    +1 qid:3 2:0.5 17:1e-3  # a comment

The functions take and return what scikit-learn's functions of the same names do. Where
scikit-learn would return something else than the file says, they raise an error instead.
"""

import operator
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from io import FileIO, UnsupportedOperation
from itertools import pairwise
from stat import S_ISREG
from typing import Any, NoReturn

import numpy as np

from ._core import kernels
from ._files import replacing
from ._open import MAX_LINE_BYTES, opened, refuse_line, start_of_text, too_long
from ._threads import n_threads

__all__ = ["dump_svmlight_file", "load_svmlight_file", "load_svmlight_files"]

# Ctrl-C is heeded between windows; chunks are what threads share out. Windows of plain files are
# so small, for each thread, that their text is still in the cache when it is parsed.
_WINDOW_BYTES = 8 << 20
_PLAIN_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 17
_DUMP_VALUES = 1 << 16
_INT32_MAX = 2**31 - 1
# The command line, where "auto" is no choice, says something else in its place.
INDEX_ZERO_ADVICE = 'but zero_based=False; use True or "auto"'


# ---------------------------------------------------------------------------------- reading


def load_svmlight_file(
    f: Any,
    *,
    n_features: int | None = None,
    dtype: Any = np.float64,
    multilabel: bool = False,
    zero_based: bool | str = "auto",
    query_id: bool = False,
    offset: int = 0,
    length: int = -1,
    index_dtype: Any = None,
    n_jobs: int | None = None,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> tuple[Any, ...]:
    """Read a file in svmlight / libsvm format.

    Numbers are read exactly: values are the float64 nearest to the decimal number in the file,
    rounded once more to float32 when that is asked for. The result does not depend on `n_jobs`.

    Parameters
    ----------
    f : str, path, int or binary file object
        File to read. Of a path, content compressed by gzip, bzip2, xz or zstd (with Python 3.14 or
        the package zstandard) is decompressed, whatever its name; an int is a file descriptor.
        File objects and descriptors are read from where they stand, as they are, and not closed.
    n_features : int, optional
        Number of columns of X; by default one more than the largest index in the file (1 for a
        file without any values).
    dtype : float64 or float32, default float64
        Type of the values of X.
    multilabel : bool, default False
        Rows have any number of labels, with commas between them.
    zero_based : bool or "auto", default "auto"
        Whether the first feature has index 0 (True) or 1 (False). "auto": 1, unless an index 0
        occurs or there are no values at all. With `offset` or `length`, "auto" means True.
    query_id : bool, default False
        Return the numbers behind ``qid:`` as well; then every row needs one.
    offset : int, default 0
        Byte position (of the decompressed text); reading starts with the first line that starts
        behind it, or with the first line of the file for 0.
    length : int, default -1
        If positive, read no line that starts behind byte ``offset + length``: consecutive
        segments give every row exactly once.
    index_dtype : int32, int64 or None, default None
        Type of the indices of X; None takes int32 when shape and number of values fit.
    n_jobs : int, optional
        Number of threads; None takes all CPUs this process may use.
    max_line_bytes : int, default 64 MiB
        Longer lines are an error, so that a small compressed file cannot fill the memory.

    Returns
    -------
    X : scipy.sparse.csr_matrix, shape (n, d)
        Explicit zeros are kept; indices ascend in each row.
    y : ndarray of float64, shape (n,), or list of tuples of float
        Labels; with `multilabel`, the sorted labels of each row.
    qid : ndarray of int64, shape (n,)
        Only with `query_id`.

    Raises
    ------
    ValueError
        If a line is malformed: the message names file, line, column (in bytes) and text. Errors
        are also lines longer than `max_line_bytes`, labels that are not finite, indices that do
        not ascend strictly, numbers too large for `dtype`, broken compressed data, a feature
        beyond `n_features`, and a plain file that is cut off while it is read. ``nan`` and ``inf``
        are fine as values.
    TypeError
        If `f` is no file, or a parameter has the wrong type.

    Notes
    -----
    An empty file gives X of shape (0, 1). A byte order mark of UTF-8 before the first line is
    skipped; UTF-16 is an error. Lines end with a line feed, with or without a carriage
    return; blank lines and lines with only a comment are skipped.

    Linear in the size of the file; memory is that of the result, plus a window of text of up to
    8 MB, or of the longest line. A plain file that becomes shorter while it is read is an error.

    Examples
    --------
    >>> import io
    >>> import hingex
    >>> X, y = hingex.load_svmlight_file(io.BytesIO(b"1 1:0.5 3:2\\n-1 2:1\\n"))
    >>> X.toarray().tolist(), y.tolist()
    ([[0.5, 0.0, 2.0], [0.0, 1.0, 0.0]], [1.0, -1.0])
    """
    return tuple(
        load_svmlight_files(
            [f],
            n_features=n_features,
            dtype=dtype,
            multilabel=multilabel,
            zero_based=zero_based,
            query_id=query_id,
            offset=offset,
            length=length,
            index_dtype=index_dtype,
            n_jobs=n_jobs,
            max_line_bytes=max_line_bytes,
        )
    )


def load_svmlight_files(
    files: Iterable[Any],
    *,
    n_features: int | None = None,
    dtype: Any = np.float64,
    multilabel: bool = False,
    zero_based: bool | str = "auto",
    query_id: bool = False,
    offset: int = 0,
    length: int = -1,
    index_dtype: Any = None,
    n_jobs: int | None = None,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> list[Any]:
    """Read several files in svmlight / libsvm format into matrices with as many columns each.

    Parameters
    ----------
    files : iterable of str, path, int or binary file object
        Files to read, as in `load_svmlight_file`, where the other parameters are explained.
        Without `n_features`, the largest index of all files decides; ``zero_based="auto"`` takes
        indices to start at 1 only if that is so in all files.

    Returns
    -------
    [X1, y1, X2, y2, ...], or [X1, y1, qid1, X2, ...] with `query_id`

    Raises
    ------
    ValueError, TypeError
        As `load_svmlight_file`.

    Examples
    --------
    >>> import io
    >>> import hingex
    >>> files = io.BytesIO(b"1 1:0.5\\n"), io.BytesIO(b"-1 3:1\\n")
    >>> X, y, X_test, y_test = hingex.load_svmlight_files(files)
    >>> X.shape, X_test.shape
    ((1, 3), (1, 3))
    """
    if isinstance(files, str | bytes | os.PathLike) or not isinstance(files, Iterable):
        raise TypeError(f"files must be a list of files; got {files!r}. For one file there is "
                        "load_svmlight_file")
    if n_features is not None:
        n_features = _integer("n_features", n_features, 1)
    values = _one_of("dtype", dtype, (np.float64, np.float32))
    integers = None if index_dtype is None else (
        _one_of("index_dtype", index_dtype, (np.int32, np.int64)))
    offset = _integer("offset", offset, 0)
    length = _integer("length", length, None)
    threads = n_threads(n_jobs)
    longest = _integer("max_line_bytes", max_line_bytes, 1)
    multilabel = _boolean("multilabel", multilabel)
    query_id = _boolean("query_id", query_id)
    if not (isinstance(zero_based, str) and zero_based == "auto"):
        zero_based = _boolean("zero_based", zero_based, ' or "auto"')
    if offset or length > 0:
        if n_features is None:
            raise ValueError("n_features is required with offset or length, because a part of "
                             "a file need not show all features")
        if zero_based == "auto":
            zero_based = True

    files = list(files)
    parsers = []
    for f in files:
        parser = kernels("svmlight").Parser(
            values == np.float32, integers == np.int64, multilabel, query_id, zero_based is False)
        with _opened(f) as source:
            _feed(parser, source, offset, length, threads, longest)
        parsers.append(parser)

    one_based = zero_based is False or (
        zero_based == "auto" and all(parser.low > 0 for parser in parsers))
    d = max((parser.high - one_based for parser in parsers), default=-1)
    d = max(d, 0) + 1
    if n_features is None:
        n_features = d
    result = []
    for f, parser in zip(files, parsers, strict=True):
        if parser.high - one_based >= n_features:
            raise ValueError(
                f"{_name(f)}: n_features is {n_features}, but index {parser.high} occurs, which "
                f"takes {parser.high - one_based + 1} features with indices from {int(one_based)}")
        result += _arrays(parser, values, integers, one_based, n_features, _name(f))
    return result


def _arrays(
    parser: Any, values: Any, integers: Any, one_based: bool, d: int, name: str
) -> list[Any]:
    """X, y and, if the parser read them, qids."""
    from scipy.sparse import csr_matrix

    indptr = _column(parser.row_end, np.int64)
    n, nnz = len(indptr) - 1, int(indptr[-1])
    largest = max(n, nnz, d)
    if integers is None:
        integers = np.dtype(np.int32 if largest <= _INT32_MAX else np.int64)
    elif largest > np.iinfo(integers).max:
        raise ValueError(f"{name}: {n} rows, {d} features and {nnz} values are too many for "
                         f"index_dtype={integers.name}; use int64")
    indices = _column(parser.indices, np.int32 if parser.indices.itemsize == 4 else np.int64)
    if one_based:
        indices -= 1
    X = csr_matrix((n, d), dtype=values)
    # Set one by one: the constructor would choose the type of the indices by itself.
    X.data = _column(parser.data, values)
    X.indices = indices.astype(integers, copy=False)
    X.indptr = indptr.astype(integers, copy=False)
    X.has_canonical_format = True
    y: Any = _column(parser.labels, np.float64)
    if parser.multilabel:
        ends = _column(parser.label_end, np.int64).tolist()
        flat = y.tolist()
        y = [tuple(sorted(flat[a:b])) for a, b in pairwise(ends)]
    return [X, y, _column(parser.qid, np.int64)[1:]] if parser.query_id else [X, y]


def _column(column: Any, dtype: Any) -> Any:
    """NumPy array in the memory of a Column."""
    return np.frombuffer(column, dtype) if column.size else np.empty(0, dtype)


class _Source:
    """An open file: its name for messages, and its text in windows of whole lines.

    Parameters
    ----------
    name : str
    file : binary file object
    path : str, optional
        None for files that only their owner can open again: lines before an offset then cannot
        be counted for messages, and the file is left standing behind what was read.
    plain : bool, default False
        `file` is unbuffered and gives the bytes of `path` as they are.
    """

    def __init__(
        self, name: str, file: Any, path: str | None = None, plain: bool = False
    ) -> None:
        self.name, self.file, self.path, self.plain = name, file, path, plain
        self.start = 0  # byte position of the first window
        self.size = _size_of(file)
        self.threads = 1
        self.ahead = 0  # bytes to come after the present window, as far as that is known

    def windows(
        self, offset: int, length: int, threads: int = 1, longest: int | None = None
    ) -> Generator[Any, None, None]:
        """Buffers that end with a line end each, for so many threads.

        A line longer than `longest` may be cut, and is the last one then.
        """
        limit = offset + length if length > 0 else None
        if self.plain and self.size is not None:
            self.threads, most = threads, min(_WINDOW_BYTES, _PLAIN_BYTES * threads)
            return self._windows_of_plain(offset, limit, most, longest)
        return self._windows_of_stream(offset, limit, longest)

    def _windows_of_plain(
        self, offset: int, limit: int | None, most: int, longest: int | None
    ) -> Generator[Any, None, None]:
        """Windows in one buffer, which is used again; it grows for lines longer than that."""
        assert self.size is not None
        left = self.size - (self._line_from(offset) if offset else 0)  # bytes not yet read
        buffer = bytearray(min(most, left) + 1)
        held = 0  # bytes of a line that goes on
        at = self.start = self.size - left
        last = limit is not None and at > limit
        while left and not last:
            if held == len(buffer) - 1:
                buffer += bytes(len(buffer))
            filled = held + min(left, len(buffer) - 1 - held)
            self._fill(buffer, held, filled, at + held)
            left -= filled - held
            end = buffer.rfind(b"\n", held, filled) + 1
            if limit is not None and at + filled > limit:
                cut = buffer.find(b"\n", max(held, limit - at), filled) + 1
                if cut:
                    last, end = True, cut
            if not left and not last and end < filled:  # the last line lacks its line end
                buffer[filled] = 10
                end = filled = filled + 1
            if not end:
                held = filled
                if longest is not None and held > longest:
                    yield bytes(buffer[:longest + 1]) + b"\n"
                    return
                continue
            self.ahead = 0 if last else (left if limit is None else min(left, limit - at - end))
            with memoryview(buffer) as view, view[:end] as window:
                yield window
            held = filled - end
            buffer[:held] = buffer[end:filled]
            at += end

    def _line_from(self, offset: int) -> int:
        """Go to the first line that starts behind `offset`; its position, or the file's end."""
        assert self.size is not None
        at, buffer = offset, bytearray(1 << 16)
        self.file.seek(at)
        while at < self.size:
            count = min(self.size - at, len(buffer))
            self._fill(buffer, 0, count, at)
            cut = buffer.find(b"\n", 0, count) + 1
            if cut:
                self.file.seek(at + cut)
                return at + cut
            at += count
        return self.size

    def _fill(self, buffer: bytearray, begin: int, end: int, at: int) -> None:
        """Read bytes begin..end-1 of the buffer, which are those of the file from `at` on."""
        parser = kernels("svmlight")
        with memoryview(buffer) as view:
            if self.threads > 1 and end - begin > _CHUNK_BYTES and parser.READS_AT:
                count = parser.read_at(self.file.fileno(), at, view[begin:end], self.threads,
                                       _CHUNK_BYTES)
                begin, at = begin + count, at + count
                self.file.seek(at)
            while begin < end:
                count = self.file.readinto(view[begin:end])
                if not count:
                    self._refuse_shrunk(at)
                begin, at = begin + count, at + count

    def _refuse_shrunk(self, end: int) -> NoReturn:
        raise ValueError(f"{self.name} was cut off while it was read: it had {self.size} bytes, "
                         f"and now ends at byte {end}. Read it again when it is complete")

    def _windows_of_stream(
        self, offset: int, limit: int | None, longest: int | None
    ) -> Generator[bytes, None, None]:
        file, at, block = self.file, 0, b""
        if offset:
            file.seek(offset)
            at = offset
            block = self._read()
            while block and b"\n" not in block:
                at += len(block)
                block = self._read()
            cut = block.find(b"\n") + 1
            at, block = at + cut, block[cut:]
        elif limit is not None:
            at = file.tell()
        self.start = at
        held: list[Any] = []  # pieces of a line whose end has not come yet
        size = 0  # of them
        last = limit is not None and at > limit
        while not last and (block := block or self._read()):
            if limit is not None and at + len(block) > limit:
                cut = block.find(b"\n", max(0, limit - at)) + 1
                if cut:
                    last, block = True, block[:cut]
            at += len(block)
            cut = block.rfind(b"\n") + 1
            if cut:
                yield b"".join([*held, memoryview(block)[:cut]])
                held, size = [], 0
            if cut < len(block):
                held.append(block[cut:])
                size += len(block) - cut
                if longest is not None and size > longest:
                    break
            block = b""
        if held:
            yield b"".join([*held, b"\n"])
        if last and self.path is None:
            file.seek(at)

    def _read(self) -> bytes:
        from zlib import error as zlib_error

        try:
            block = self.file.read(_WINDOW_BYTES)
        except (EOFError, zlib_error) as error:
            raise ValueError(f"{self.name}: broken compressed data: {error}") from error
        except OSError as error:
            # gzip and bz2 also report broken data so; errors of the system have a number.
            if error.errno is not None or isinstance(error, UnsupportedOperation):
                raise
            raise ValueError(f"{self.name}: broken compressed data: {error}") from error
        if isinstance(block, str):
            raise TypeError(f"{self.name} gives text; open it in binary mode ('rb')")
        if block is None:
            raise ValueError(f"{self.name} is non-blocking and has no data at the moment")
        if not block and self.size is not None and (end := self.file.tell()) < self.size:
            self._refuse_shrunk(end)
        return block

    def lines_before_start(self) -> int | None:
        """Line ends before the first window; None when they cannot be counted."""
        if self.start == 0 or self.path is None:
            return None if self.start else 0
        lines, left = 0, self.start
        with _opened(self.path) as source, closing(source.windows(0, -1)) as windows:
            for window in windows:
                if not lines:  # a part of UTF-16 does not show what it is
                    _without_mark(window, self.name)
                piece = bytes(window[:left])
                lines += piece.count(b"\n")
                left -= len(piece)
                if not left:
                    break
        return lines


def _size_of(file: Any) -> int | None:
    """Bytes of a plain file that is open; None for pipes, unpacked files and other objects."""
    if not isinstance(getattr(file, "raw", file), FileIO) or not file.seekable():
        return None
    found = os.fstat(file.fileno())
    # Files of the system's own, such as those in /proc, have no size.
    return found.st_size if S_ISREG(found.st_mode) and found.st_size else None


def _name(f: Any) -> str:
    """What to call a file in messages."""
    if isinstance(f, str | bytes | os.PathLike):
        return os.fsdecode(f)
    if isinstance(f, int):
        return f"<file descriptor {f}>"
    name = getattr(f, "name", None)
    return str(name) if isinstance(name, str | bytes) and name else f"<{type(f).__name__}>"


@contextmanager
def _opened(f: Any) -> Iterator[_Source]:
    """The source for what the user passed as a file."""
    name = _name(f)
    if hasattr(f, "read"):
        yield _Source(name, f)
    elif isinstance(f, int) and not isinstance(f, bool):
        if f < 0:
            raise ValueError(f"a file descriptor cannot be negative; got {f}")
        with open(f, "rb", closefd=False) as file:
            yield _Source(name, file)
    elif not isinstance(f, str | bytes | os.PathLike):
        raise TypeError("f must be a path, a binary file object or a file descriptor; got a "
                        f"{type(f).__name__}")
    else:
        with opened(name) as file:
            raw = getattr(file, "raw", None)
            plain = isinstance(raw, FileIO)  # others unpack, or are pipes
            yield _Source(name, raw if plain else file, name, plain)


def _feed(
    parser: Any, source: _Source, offset: int, length: int, threads: int, longest: int
) -> None:
    """Let the parser read all windows of a file; raise ValueError for its first mistake."""
    with closing(source.windows(offset, length, threads, longest)) as windows:
        at_start = offset == 0
        for given in windows:
            window = _without_mark(given, source.name) if at_start else given
            at_start = False
            beyond = too_long(window, longest)
            mistake = None if beyond >= 0 else parser.feed(
                window, threads, _CHUNK_BYTES, source.ahead)
            if mistake is None and beyond < 0:
                continue
            code, at = mistake or (0, beyond)
            text = bytes(window[:at]) if mistake is None else bytes(window)
            before = source.lines_before_start()
            line = parser.lines + text.count(b"\n", 0, at) + 1 + (before or 0)
            where = f"line {line}" if before is not None else (
                f"line {line} after the one at byte {offset or source.start}")
            if mistake is None:
                refuse_line(f"{source.name}, {where}", longest)
            start = text.rfind(b"\n", 0, at) + 1
            raise ValueError(f"{source.name}, {where}, column {at - start + 1}: "
                             + _complaint(parser, code, text[at:text.index(b"\n", at)]))


def _without_mark(window: Any, name: str) -> Any:
    """The first window of a file without a byte order mark; ValueError for that of UTF-16."""
    mark = start_of_text(bytes(window[:4]), f"{name}, line 1, column 1")
    return bytes(window)[mark:] if mark else window  # a view would keep the buffer from growing


def _complaint(parser: Any, code: int, text: bytes) -> str:
    """Words for a mistake and the text, up to the end of the line, in which it is."""
    k = kernels("svmlight")
    token = (text.split(b"#")[0].split() or [text])[0]
    shown = repr(token if len(token) <= 40 else token[:37] + b"...")[1:]
    return {
        k.BAD_LABEL: "the label {} is not a number"
                     + (", nor numbers with commas between them" if parser.multilabel else ""),
        k.LABEL_NOT_FINITE: "the label {} is not finite",
        k.BAD_QID: "{} must be qid: and an integer of at most 64 bits",
        k.NO_QID: "query_id=True needs a qid: behind the label of every row; got {}",
        k.BAD_INDEX: "expected index:value, where index is an integer of 0 or more; got {}",
        k.INDEX_ZERO: "index 0 in {}, " + INDEX_ZERO_ADVICE,
        k.INDEX_TOO_LARGE: "the index in {} does not fit in 64 bits",
        k.NOT_ASCENDING: "indices must ascend in each row; {} comes behind a larger index",
        k.DUPLICATE: "two values for one feature in a row; the second is {}",
        k.BAD_VALUE: "the value in {} is not a number",
        k.VALUE_TOO_LARGE: "the number in {} is too large for "
                           + ("float32" if parser.data.itemsize == 4 else "float64"),
    }[code].format(shown)


# ---------------------------------------------------------------------------------- writing


def dump_svmlight_file(
    X: Any,
    y: Any,
    f: Any,
    *,
    zero_based: bool = True,
    comment: str | bytes | None = None,
    query_id: Any = None,
    multilabel: bool = False,
) -> None:
    """Write data in svmlight / libsvm format.

    Numbers are written with the fewest digits that read back as the same float64 or float32:
    `load_svmlight_file` with the dtype of X gives every value back exactly.

    Parameters
    ----------
    X : array-like or sparse, shape (n, d)
        Numbers, all finite. Zeros of dense data are left out, explicit zeros of sparse data are
        written; duplicates in sparse data are added up, and indices sorted, in a copy.
    y : array-like or sparse, shape (n,), or (n, L) with `multilabel`
        Labels: finite numbers. With `multilabel`, an indicator matrix: row i has the labels j
        with ``y[i, j] != 0``.
    f : str, path or binary file object
        Where to write. A file of that name is replaced once all is written: after an error it is
        as it was. Names ending in ``.gz``, ``.bz2``, ``.xz`` and ``.zst`` are compressed.
    zero_based : bool, default True
        Write indices from 0 (True) or from 1 (False).
    comment : str or bytes, optional
        Text for the top of the file, as lines that start with ``#``.
    query_id : array-like of int, shape (n,), optional
        Numbers to write behind ``qid:``.
    multilabel : bool, default False

    Raises
    ------
    ValueError, TypeError
        If shapes do not match, numbers are not finite, or have a type other than bool, int or
        float of at most 64 bits.

    Notes
    -----
    A row without labels, qid and values would be a blank line, which every reader skips: it is
    written with an explicit zero for its first feature. Linear in the number of values (for
    dense data, of entries).

    Examples
    --------
    >>> import io
    >>> import hingex
    >>> file = io.BytesIO()
    >>> hingex.dump_svmlight_file([[0.5, 0.0, 2.0]], [1], file, zero_based=False)
    >>> file.getvalue()
    b'1 1:0.5 3:2\\n'
    """
    zero_based = _boolean("zero_based", zero_based)
    multilabel = _boolean("multilabel", multilabel)
    header = _header(comment, zero_based)
    X, n, d = _matrix(X)
    labels, label_ends = _labels(y, n, multilabel)
    qid = None
    if query_id is not None:
        qid = np.asarray(query_id)
        if qid.shape != (n,) or qid.dtype.kind not in "iu":
            raise ValueError(f"query_id must hold {n} integers, one per row of X; got shape "
                             f"{qid.shape} and dtype {qid.dtype}")
        qid = _plain(qid)
        if qid.dtype.kind == "u" and n and qid.max() > np.iinfo(np.int64).max:
            raise ValueError(f"query_id holds {qid.max()} at row {int(qid.argmax())}; svmlight "
                             "files hold qids of up to 2**63 - 1: number the queries anew, with "
                             "np.unique(query_id, return_inverse=True)[1]")
    with _writable(f) as write:
        write(header)
        for a, b in _blocks(X, n):
            block = _csr_block(X, a, b, d)
            _check_finite(block.data, "X")
            write(kernels("svmlight").render(
                _plain(block.data),
                np.ascontiguousarray(block.indices),
                block.indptr.astype(np.int64),
                labels,
                label_ends[a:b + 1],
                None if qid is None else qid[a:b],
                not zero_based,
            ))


def _header(comment: Any, zero_based: bool) -> bytes:
    if comment is None:
        return b""
    if isinstance(comment, str):
        comment = comment.encode()
    elif not isinstance(comment, bytes):
        raise TypeError(f"comment must be a str or bytes; got a {type(comment).__name__}")
    if b"\0" in comment:
        raise ValueError("comment contains a NUL byte")
    if not comment:
        return b""
    lines = [b"Written by hingex", b"Column indices are " + (b"zero" if zero_based else b"one")
             + b"-based", b"", *comment.splitlines()]
    return b"".join(b"# %s\n" % line if line else b"#\n" for line in lines)


def _is_sparse(X: Any) -> bool:
    return hasattr(X, "tocsr") and hasattr(X, "nnz")


def _matrix(X: Any) -> tuple[Any, int, int]:
    """X as an ndarray or in CSR, and its shape."""
    X = X.tocsr() if _is_sparse(X) else np.asarray(X)
    if X.ndim != 2:
        raise ValueError(f"X must have 2 dimensions; got shape {X.shape}")
    _check_kind(X.dtype, "X")
    if hasattr(X, "indptr"):
        X.check_format(full_check=False)
    return X, *X.shape


def _blocks(X: Any, n: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows with about _DUMP_VALUES values each."""
    if hasattr(X, "indptr"):
        a = 0
        while a < n:
            wanted = int(X.indptr[a]) + _DUMP_VALUES
            b = max(a + 1, int(np.searchsorted(X.indptr, wanted, side="right")) - 1)
            b = min(b, a + _DUMP_VALUES, n)
            yield a, b
            a = b
    else:
        step = max(1, _DUMP_VALUES // max(1, X.shape[1]))
        for a in range(0, n, step):
            yield a, min(a + step, n)


def _csr_block(X: Any, a: int, b: int, d: int) -> Any:
    """Rows a to b in CSR, with ascending indices."""
    from scipy.sparse import csr_matrix

    if not hasattr(X, "indptr"):
        part = X[a:b]
        return csr_matrix(part.astype(np.float32) if part.dtype == np.float16 else part)
    start, end = int(X.indptr[a]), int(X.indptr[b])
    indices = X.indices[start:end]
    if len(indices) and (indices.min() < 0 or indices.max() >= d):
        raise ValueError(f"X has an index outside 0..{d - 1} in rows {a} to {b - 1}")
    block = csr_matrix((X.data[start:end], indices, X.indptr[a:b + 1] - start), (b - a, d))
    if not block.has_canonical_format:
        block = block.copy()
        block.sum_duplicates()
    return block


def _labels(y: Any, n: int, multilabel: bool) -> tuple[Any, Any]:
    """All labels one after another, and where those of each row end."""
    if _is_sparse(y):
        if multilabel:
            y = y.tocsr()
        else:
            if y.ndim != 2 or y.shape[1] != 1:
                raise ValueError(f"sparse y must have shape ({n}, 1); got {y.shape}")
            y = y.toarray().ravel()
    else:
        y = np.asarray(y)
    shape = f"({n}, number of labels)" if multilabel else f"({n},)"
    if y.ndim != 1 + multilabel or y.shape[0] != n:
        raise ValueError(f"y must have shape {shape} for X with {n} rows"
                         + (" and multilabel=True" if multilabel else "")
                         + f"; got shape {y.shape}")
    _check_kind(y.dtype, "y")
    if not multilabel:
        _check_finite(y, "y")
        return _plain(y), np.arange(n + 1, dtype=np.int64)
    if hasattr(y, "indptr"):
        y = y.copy()
        y.sum_duplicates()
        y.eliminate_zeros()
        return _plain(y.indices), y.indptr.astype(np.int64)
    rows, columns = np.nonzero(y)
    return columns.astype(np.int64), np.searchsorted(rows, np.arange(n + 1)).astype(np.int64)


def _check_kind(dtype: Any, what: str) -> None:
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise ValueError(f"{what} must hold bool, int or float numbers of at most 64 bits; got "
                         f"dtype {dtype}")


def _check_finite(values: Any, what: str) -> None:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"{what} contains NaN or infinity, which svmlight files cannot hold")


def _plain(values: Any) -> Any:
    """Contiguous array of a type that kernels write: float64, float32, int64 or uint64."""
    kind, size = values.dtype.kind, values.dtype.itemsize
    return np.ascontiguousarray(
        values, ("f8" if size == 8 else "f4") if kind == "f" else "u8" if kind == "u" else "i8")


@contextmanager
def _writable(f: Any) -> Iterator[Callable[[bytes], Any]]:
    """Function that writes to f; files get their name at the end, when nothing went wrong."""
    if hasattr(f, "write"):
        yield _writer(f)
        return
    if not isinstance(f, str | bytes | os.PathLike):
        raise TypeError(f"f must be a path or a binary file object; got a {type(f).__name__}")
    name = os.path.abspath(os.fsdecode(f))
    if os.path.exists(name) and (not os.path.isfile(name) or name.startswith("/dev/")):
        with open(name, "wb") as pipe, _packed(name, pipe) as file:  # pipes cannot be replaced
            yield file.write
        return
    with replacing(name, durable=False) as raw, _packed(name, raw) as file:
        yield file.write


def _packed(name: str, raw: Any) -> Any:
    """A file object (context manager) that compresses into `raw` if the name says so."""
    if name.endswith(".gz"):
        from gzip import GzipFile

        return GzipFile(filename="", mode="wb", fileobj=raw, mtime=0)
    if name.endswith(".bz2"):
        from bz2 import BZ2File

        return BZ2File(raw, "wb")
    if name.endswith(".xz"):
        from lzma import LZMAFile

        return LZMAFile(raw, "wb")
    if name.endswith((".zst", ".zstd")):
        return _zstd_writer(name, raw)
    return nullcontext(raw)


def _zstd_writer(name: str, raw: Any) -> Any:
    try:
        from compression.zstd import ZstdFile  # Python 3.14
    except ImportError:
        try:
            from zstandard import ZstdCompressor
        except ImportError:
            raise ImportError(f"{name}: its name says zstd, which this Python writes with the "
                              "package zstandard: pip install zstandard, or choose another "
                              "ending, such as .gz") from None
        return ZstdCompressor().stream_writer(raw, closefd=False)
    return ZstdFile(raw, "wb")


def _writer(f: Any) -> Callable[[bytes], Any]:
    def write(text: bytes) -> None:
        if not text:
            return
        try:
            written = f.write(text)
            while isinstance(written, int) and written < len(text):  # raw files may stop early
                text = text[written:]
                written = f.write(text)
        except TypeError as error:
            raise TypeError(f"{_name(f)} must take bytes; open it in binary mode ('wb'): "
                            f"{error}") from error

    return write


# ------------------------------------------------------------------------------- parameters


def _integer(name: str, value: Any, least: int | None) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer; got {value!r}")
    value = operator.index(value)
    if least is not None and value < least:
        raise ValueError(f"{name} must be at least {least}; got {value}")
    return value


def _boolean(name: str, value: Any, other: str = "") -> bool:
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False{other}; got {value!r}")
    return bool(value)


def _one_of(name: str, dtype: Any, allowed: tuple[Any, ...]) -> Any:
    dtype = np.dtype(dtype)
    if dtype not in allowed:
        raise ValueError(f"{name} must be {' or '.join(np.dtype(a).name for a in allowed)}; got "
                         f"{dtype}")
    return dtype
