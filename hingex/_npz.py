# SPDX-License-Identifier: BSD-3-Clause
"""Arrays of NumPy's ``.npz`` files: only those asked for, and no larger than what the file holds.

What a member's header says is compared with the member's size before memory is allocated, and the
size that the archive tells with the bytes that it has there. Errors name the file and the member.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EINVAL
from typing import Any, BinaryIO, NoReturn
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np

_DEFLATE = 1032  # bytes that a byte of deflated data can stand for, at most
_AT_ONCE = 1 << 20


class NpzFile:
    """An open file.

    Parameters
    ----------
    name : str
        For messages.
    archive : ZipFile
    size : int
        Of the file, in bytes.
    """

    def __init__(self, name: str, archive: ZipFile, size: int) -> None:
        self.name, self.archive, self.size = name, archive, size
        self.members: dict[str, ZipInfo] = {}
        for member in archive.infolist():
            key = member.filename.removesuffix(".npy")
            if key in self.members:
                raise ValueError(f"{name}: damaged: member {key!r} occurs twice")
            self.members[key] = member

    def __contains__(self, key: str) -> bool:
        return key in self.members

    def read(self, key: str) -> np.ndarray:
        """An array by its name; ValueError if it is not there or damaged."""
        if key not in self:
            raise ValueError(f"{self.name}: no member {key!r} in it")
        member = self.members[key]
        self._check_size(member)
        with _named(f"{self.name}: member {key!r}"), self.archive.open(member) as file:
            return _array(file, member.file_size)

    def _check_size(self, member: ZipInfo) -> None:
        """Raise ValueError for a size that the bytes in the file cannot unpack to."""
        kind, packed, size = member.compress_type, member.compress_size, member.file_size
        if kind not in (ZIP_STORED, ZIP_DEFLATED):
            self._fail(member, "is packed in a way that numpy.savez does not use")
        if member.flag_bits & 1:
            self._fail(member, "is encrypted")
        if packed > self.size or size > (packed if kind == ZIP_STORED else _DEFLATE * packed + 64):
            self._fail(member, f"is said to be {size} bytes, which {min(packed, self.size)} bytes "
                       f"of a file of {self.size} cannot hold")

    def _fail(self, member: ZipInfo, what: str) -> NoReturn:
        raise ValueError(f"{self.name}: damaged: member {member.filename!r} {what}")


@contextmanager
def open_npz(name: str) -> Iterator[NpzFile]:
    """The file of this name; ValueError if it is none, or damaged."""
    with open(name, "rb") as raw:
        size = raw.seek(0, 2)
        raw.seek(0)
        with _named(name):
            archive = ZipFile(raw)
        with archive:
            yield NpzFile(name, archive, size)


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Errors of the layers below, in words that name the file."""
    from tokenize import TokenError
    from zlib import error as zlib_error

    try:
        yield
    except MemoryError as error:
        raise MemoryError(f"{what}: {error}") from error
    except (BadZipFile, zlib_error, EOFError, ValueError, TypeError, KeyError, SyntaxError,
            TokenError, OverflowError, RuntimeError) as error:  # fmt: skip
        raise ValueError(f"{what}: damaged or cut off: {error}") from error
    except OSError as error:
        if error.errno not in (None, EINVAL):  # zipfile goes to places before the file's start
            raise
        raise ValueError(f"{what}: damaged or cut off: {error}") from error


def _array(file: Any, size: int) -> np.ndarray:
    """The array in a member of so many bytes."""
    shape, is_fortran, dtype = _header(file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not read")
    if min(shape, default=0) < 0:
        raise ValueError(f"its shape is {shape}")
    count, left = math.prod(shape), size - file.tell()
    if count and not dtype.itemsize:  # NumPy would give each of them some bytes
        raise ValueError(f"it has {count} entries of type {dtype}, which take no bytes")
    if count * dtype.itemsize != left:
        raise ValueError(f"its shape {shape} and type {dtype} take {count * dtype.itemsize} "
                         f"bytes, but it has {left}")
    flat = np.empty(count * dtype.itemsize, dtype=np.uint8)
    _fill(file, flat)
    typed = flat.view(dtype) if flat.size else np.empty(count, dtype)
    return typed.reshape(shape[::-1]).T if is_fortran else typed.reshape(shape)


def _header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    from numpy.lib import format as npy

    version = npy.read_magic(file)
    if version != (1, 0):  # the others are for headers of more than 64 KiB
        raise ValueError(f"it is of version {version} of the format, which arrays of numbers and "
                         "strings do not need")
    return npy.read_array_header_1_0(file)


def _fill(file: Any, flat: np.ndarray) -> None:
    """Read as many bytes as `flat` has; that none follow shows the sum of all to be right."""
    with flat.data as view:
        at = 0
        while at < len(view):
            count = file.readinto(view[at : at + _AT_ONCE])
            if not count:
                raise EOFError(f"it ends after {at} of {len(view)} bytes")
            at += count
    if file.read(1):
        raise ValueError("it is longer than its size tells")
