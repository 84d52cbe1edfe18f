# SPDX-License-Identifier: BSD-3-Clause
"""How every reader opens files: unpacked by content, errors with the file's name, bounded lines.

Compressed data are recognised by their first bytes. A name that promises compression (``.gz``,
say) over a content that has none is an error: the file is no whole one of that kind.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple, NoReturn

__all__ = ["MAX_LINE_BYTES", "compression", "is_one_line", "lines", "opened", "read_all",
           "refuse_line", "start_of_text", "too_long"]

MAX_LINE_BYTES = 64 << 20
_HEAD = 10  # bytes that tell the format
_PACKED = 1 << 16  # compressed bytes at a time
_BLOCK = 1 << 20
_XZ_MEMORY = 1 << 30  # a header may ask for more, up to 4 GiB
_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


# ------------------------------------------------------------------------------------ formats


class _Format(NamedTuple):
    name: str
    magic: re.Pattern[bytes]
    endings: tuple[str, ...]
    make: Callable[[str], Any]  # of a file's name: a function that begins a stream


class _Inflate:
    """A gzip stream, with the interface of `bz2.BZ2Decompressor`."""

    def __init__(self) -> None:
        from zlib import decompressobj

        self._stream = decompressobj(wbits=31)
        self.needs_input = True

    def decompress(self, data: bytes, most: int) -> bytes:
        out = self._stream.decompress(self._stream.unconsumed_tail + data, most)
        self.needs_input = not self._stream.unconsumed_tail and len(out) < most
        return out

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data


class _Zstandard:
    """A frame read with the package zstandard, with the interface of `bz2.BZ2Decompressor`.

    Its decompressor returns all that its input holds, so it is given little: 4 bytes may stand for
    a block of 128 KiB.
    """

    STEP = 1024

    def __init__(self, begin: Callable[[], Any]) -> None:
        self._stream = begin()
        self._in = self._out = memoryview(b"")

    def decompress(self, data: bytes, most: int) -> Any:
        if data:
            self._in = memoryview(bytes(self._in) + data)
        while not self._out and self._in and not self._stream.eof:
            step, self._in = self._in[:self.STEP], self._in[self.STEP:]
            self._out = memoryview(self._stream.decompress(step))
        out, self._out = self._out[:most], self._out[most:]
        return out

    @property
    def needs_input(self) -> bool:
        return not self._out and not self._in

    @property
    def eof(self) -> bool:
        return self._stream.eof and not self._out

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data + bytes(self._in)


def _gzip(_: str) -> Callable[[], Any]:
    return _Inflate


def _bzip2(_: str) -> Callable[[], Any]:
    from bz2 import BZ2Decompressor

    return BZ2Decompressor


def _xz(_: str) -> Callable[[], Any]:
    from lzma import FORMAT_XZ, LZMADecompressor

    return lambda: LZMADecompressor(FORMAT_XZ, memlimit=_XZ_MEMORY)


def _zstd(name: str) -> Callable[[], Any]:
    try:
        from compression.zstd import ZstdDecompressor  # Python 3.14
    except ImportError:
        try:
            from zstandard import ZstdDecompressor as Frames
        except ImportError:
            raise ImportError(f"{name}: compressed with zstd, which this Python reads with the "
                              "package zstandard: pip install zstandard, or unpack the file"
                              ) from None
        return lambda: _Zstandard(Frames().decompressobj)
    return ZstdDecompressor  # type: ignore[no-any-return]


_FORMATS = (
    _Format("gzip", re.compile(rb"\x1f\x8b"), (".gz",), _gzip),
    _Format("bzip2", re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"), (".bz2",), _bzip2),
    _Format("xz", re.compile(rb"\xfd7zXZ\x00"), (".xz",), _xz),
    _Format("zstd", re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"), (".zst", ".zstd"),
            _zstd),
)  # fmt: skip


# ------------------------------------------------------------------------------------ opening


class _Unpacked(io.RawIOBase):
    """The text of a compressed file, which may be several streams one after the other."""

    def __init__(self, name: str, kind: _Format, head: bytes, file: Any, own: bool) -> None:
        self.name, self._kind, self._file, self._own = name, kind, file, own
        self._begin = kind.make(name)
        self._rest = head  # compressed bytes that were read and not used
        self._stream: Any = None
        self._streams = self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Forwards only: what lies between is unpacked."""
        if whence or offset < self._at:
            raise io.UnsupportedOperation(f"{self.name}: compressed files are read forwards")
        while self._at < offset and (piece := self._piece(min(_BLOCK, offset - self._at))):
            self._at += len(piece)
        return self._at

    def close(self) -> None:
        if self._own and not self.closed:
            self._file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        piece = self._piece(len(buffer)) if len(buffer) else b""
        buffer[:len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _piece(self, most: int) -> Any:
        """Up to `most` bytes of text, none at its end."""
        while True:
            if self._stream is None and not self._next_stream():
                return b""
            stream, data = self._stream, b""
            if stream.needs_input:
                data = self._packed()
                if not data:
                    self._broken("the file is cut off")
            try:
                out = stream.decompress(data, most)
            except MemoryError:
                raise
            except Exception as error:  # each module has an exception of its own for bad data
                self._broken(str(error), error)
            if stream.eof:
                self._rest, self._stream = stream.unused_data, None
            if len(out):
                return out

    def _next_stream(self) -> bool:
        """Begin the next stream, if there is one; zeros after a stream fill up blocks of tapes."""
        data = self._packed()
        while self._streams and data and not (data := data.lstrip(b"\0")):
            data = self._packed()
        if not data:
            return False
        self._rest, self._stream = data, self._begin()
        self._streams += 1
        return True

    def _packed(self) -> bytes:
        if self._rest:
            data, self._rest = self._rest, b""
            return data
        return _some(self._file, _PACKED)

    def _broken(self, what: str, error: Exception | None = None) -> NoReturn:
        raise ValueError(f"{self.name}: broken compressed data: {self._kind.name}: {what}"
                         ) from error


class _Joined(io.RawIOBase):
    """A file whose first bytes were read to see what it is."""

    def __init__(self, name: str, head: bytes, file: Any, own: bool) -> None:
        self.name, self._head, self._file, self._own = name, head, file, own

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        if self._own and not self.closed:
            self._file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        size = len(buffer)
        if self._head:
            piece, self._head = self._head[:size], self._head[size:]
        else:
            piece = _some(self._file, size)
        buffer[:len(piece)] = piece
        return len(piece)


def _some(file: Any, most: int) -> bytes:
    """What is there, up to `most` bytes: a line typed in is answered at once."""
    return (file.read1 if hasattr(file, "read1") else file.read)(most) or b""


def _head(file: Any) -> bytes:
    """The first bytes; of a pipe as soon as they cannot be those of a compressed file."""
    head = b""
    while len(head) < _HEAD and (more := _some(file, _HEAD - len(head))):
        head += more
        if head[0] not in b"\x1fB\xfd\x28PQRSTUVWXYZ[\\]^_":
            break
        if b"\n" in head and not any(kind.magic.match(head) for kind in _FORMATS):
            break
    return head


def opened(file: str | os.PathLike[str] | Any, name: str | None = None) -> BinaryIO:
    """Open a file to read bytes, unpacked if its content is compressed.

    Parameters
    ----------
    file : path, or binary file object
        An object (standard input, say) is read from where it stands, and not closed.
    name : str, optional
        For messages; by default the path.

    Returns
    -------
    binary file object, a context manager
        A plain file on disk as `open` gives it.

    Raises
    ------
    ValueError
        If the content is not what the name promises; and, from its methods, if compressed data are
        cut off or damaged. Messages begin with the name.
    ImportError
        For zstd without the package that reads it.
    OSError
        If it cannot be opened or read.
    """
    own = not hasattr(file, "read")
    path = os.fsdecode(file) if own else ""
    name = path if name is None else name
    raw: Any = open(path, "rb") if own else file  # noqa: SIM115 - the caller closes it
    try:
        head = _head(raw.raw if own else raw)  # past the buffer: `read` of all then copies nothing
        for kind in _FORMATS:
            if kind.magic.match(head):
                packed = _Unpacked(name, kind, head, raw, own)
                return io.BufferedReader(packed, _BLOCK)  # type: ignore[return-value]
            if path.endswith(kind.endings) and not any(k.magic.match(head) for k in _FORMATS):
                raise ValueError(f"{name}: broken compressed data: its name says {kind.name}, its "
                                 "content does not")
        if own and raw.seekable():
            raw.raw.seek(0)
            return raw
        return io.BufferedReader(_Joined(name, head, raw, own))  # type: ignore[return-value]
    except BaseException:
        if own:
            raw.close()
        raise


def compression(path: str) -> str | None:
    """The name of the format that a file is compressed in, by its name or its content, or None."""
    for kind in _FORMATS:
        if path.endswith(kind.endings):
            return kind.name
    with opened(path) as file:
        raw = getattr(file, "raw", None)
        return raw._kind.name if isinstance(raw, _Unpacked) else None


# -------------------------------------------------------------------------------------- lines


def too_long(text: Any, limit: int) -> int:
    r"""Where the first line begins that has more than `limit` bytes before its ``\n``; else -1.

    Each step goes to the last line end within the limit, so short lines are not looked at.
    """
    at, stop = 0, len(text)
    while stop - at > limit:
        end = bytes(text[at:at + limit + 1]).rfind(b"\n")
        if end < 0:
            return at
        at += end + 1
    return -1


def refuse_line(where: str, limit: int) -> NoReturn:
    """Raise the ValueError for a line that is too long."""
    raise ValueError(f"{where}: longer than {limit} bytes, the limit for a line; if that is right, "
                     "raise max_line_bytes (--max-line-bytes)")


def lines(file: BinaryIO, name: str, limit: int) -> Iterator[bytes]:
    """The lines of a file, with their ends; ValueError for one of more than `limit` bytes."""
    number = 0
    while line := file.readline(limit + 1):
        number += 1
        if len(line) > limit and not line.endswith(b"\n"):
            refuse_line(f"{name}, line {number}", limit)
        yield line


def read_all(file: BinaryIO, limit: int) -> bytes | bytearray:
    """All that a file holds, but no more than a block after a line has passed the limit."""
    if isinstance(getattr(file, "raw", None), io.FileIO):
        return file.read()
    data, open_line = bytearray(), 0
    while open_line <= limit and (block := file.read(_BLOCK)):
        data += block
        end = block.rfind(b"\n")
        open_line = open_line + len(block) if end < 0 else len(block) - end - 1
    return data


def start_of_text(data: bytes | bytearray, name: str) -> int:
    """Bytes of a byte order mark, to be skipped; ValueError for that of UTF-16."""
    if data[:2] in _UTF_16:
        raise ValueError(f"{name}: begins like UTF-16 or UTF-32, and must be UTF-8: convert it, "
                         "for example with iconv")
    return len(_BOM) if data.startswith(_BOM) else 0


def is_one_line(text: str) -> bool:
    """Whether a label takes one line when it is printed: not empty, without line ends."""
    return text.splitlines() == [text]
