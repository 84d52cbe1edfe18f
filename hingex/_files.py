# SPDX-License-Identifier: BSD-3-Clause
"""Files that are replaced at once, so that readers see the old file or the whole new one; and
files that are mapped, which must not shrink.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from mmap import ALLOCATIONGRANULARITY
from typing import Any, BinaryIO

import numpy as np


@contextmanager
def replacing(path: str | os.PathLike[str], durable: bool = True) -> Iterator[BinaryIO]:
    """File that takes the place of `path` when the block ends without an exception.

    Parameters
    ----------
    path : str or path-like
        A file that is there keeps its permissions. At no moment can somebody read the new content
        who could not read the old file.
    durable : bool, default True
        Without it the file outlasts a kill, but perhaps not a loss of power.

    Raises
    ------
    ValueError
        If there is something else than a file at `path`.
    OSError
        If the file cannot be written.

    Notes
    -----
    A kill leaves at worst a file ``.hingex-*.tmp`` beside `path`, which may be deleted.
    """
    target = os.path.realpath(os.fsdecode(path))  # a symbolic link goes on pointing to its file
    old = None
    with suppress(FileNotFoundError):
        old = os.stat(target)
        if not stat.S_ISREG(old.st_mode) and not stat.S_ISDIR(old.st_mode):
            raise ValueError(f"{target}: not a regular file; output is written beside its target "
                             "and renamed")
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".hingex-{os.urandom(6).hex()}.tmp")
    file = _created(temporary, target, old)
    try:
        with file:
            if old is not None:
                _match(file.fileno(), temporary, old)
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    if durable:
        _sync_folder(folder)


def _created(temporary: str, target: str, old: os.stat_result | None) -> BinaryIO:
    """The temporary file, open for writing; only for its owner when it replaces a file."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    # A new file gets 0o666 less the umask, as `open` gives it.
    mode = 0o666 if old is None else stat.S_IMODE(old.st_mode) & 0o600
    try:
        return os.fdopen(os.open(temporary, flags, mode), "wb")
    except OSError as error:
        error.filename = target  # no such folder, or no right to write there
        raise


def _match(handle: int, temporary: str, old: os.stat_result) -> None:
    """Give the temporary file, still empty, the group and the permissions of the old file."""
    mode = stat.S_IMODE(old.st_mode)
    if hasattr(os, "fchown") and os.fstat(handle).st_gid != old.st_gid:
        try:
            os.fchown(handle, -1, old.st_gid)
        except OSError:
            # Members of another group get no more than everybody had.
            mode = mode & ~0o070 | (mode & 0o007) << 3 & mode
    if hasattr(os, "fchmod"):
        os.fchmod(handle, mode)
    else:  # Windows, before Python 3.13
        os.chmod(temporary, mode)


def _sync_folder(folder: str) -> None:
    """Bring a new name in a folder to the disk; not every file system can do that."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def refuse_cut_maps(*arrays: Any) -> None:
    """Raise ValueError if the file of a `numpy.memmap` has become shorter than what is mapped.

    To read behind the end of the file would kill Python (SIGBUS). Views of such arrays are looked
    at, too; other objects are passed over.
    """
    for array in arrays:
        if type(array) is np.ndarray and array.base is None:
            continue  # of its own memory, as nearly all are
        found = array
        while isinstance(found, np.ndarray) and not isinstance(found, np.memmap):
            found = found.base
        mapping = getattr(found, "_mmap", None)
        if mapping is None or mapping.closed:
            continue
        start = found.offset - found.offset % ALLOCATIONGRANULARITY
        try:
            size, wanted = mapping.size(), start + len(mapping)
        except (OSError, ValueError):  # a map that has let go of its file
            continue
        if size < wanted:
            raise ValueError(f"{found.filename or 'a mapped file'} was cut off while it is mapped: "
                             f"it has {size} bytes, and had at least {wanted}. Write new data to a "
                             "new file, and map that")
