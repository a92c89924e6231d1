"""Writing files whole or not at all: the way of everything that fastem writes."""

from __future__ import annotations

import contextlib
import csv
import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator, Mapping
from typing import IO, Any, BinaryIO, Literal, TextIO, overload

import numpy as np
from numpy.typing import ArrayLike

_CSV_CHUNK = 65_536

StrPath = str | os.PathLike[str]


@overload
def atomic_write(
    path: StrPath, mode: Literal["wb"]
) -> contextlib.AbstractContextManager[BinaryIO]: ...
@overload
def atomic_write(
    path: StrPath, mode: Literal["w"]
) -> contextlib.AbstractContextManager[TextIO]: ...
def atomic_write(
    path: StrPath, mode: Literal["w", "wb"]
) -> contextlib.AbstractContextManager[BinaryIO] | contextlib.AbstractContextManager[TextIO]:
    """Open a file to be written whole or not at all.

    The content goes to a temporary file in the same folder, which takes the place of `path` when
    the block ends without an error.  On an error the old file stays as it was, and no temporary
    file is left.  A device or a pipe (``/dev/stdout``) is written directly.

    Parameters
    ----------
    path : path
        The file to write; a symbolic link is followed.
    mode : {"w", "wb"}
        Text (UTF-8, no translation of line ends) or bytes.

    Returns
    -------
    context manager
        Its value is the open file.

    Raises
    ------
    OSError
        If the file cannot be written; the message says why and what to do.
    """
    return _atomic_write(path, mode)


@contextlib.contextmanager
def _atomic_write(path: StrPath, mode: str) -> Iterator[Any]:
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".fastem-{secrets.token_hex(8)}.tmp")
    with _explained(path, target, temporary):
        direct = os.path.exists(target) and not os.path.isfile(target)
        if os.path.isdir(target):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if direct:
            with _opened(target, os.O_WRONLY, mode) as file:
                yield file
            return
        try:
            with _opened(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if os.name == "posix":
                # a new file takes its mode from the umask
                with contextlib.suppress(FileNotFoundError):
                    os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        _sync_folder(folder)


def _opened(path: str, flags: int, mode: str) -> IO[Any]:
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o666)
    if mode == "wb":
        return os.fdopen(descriptor, mode)
    return os.fdopen(descriptor, mode, encoding="utf-8", newline="")


def _sync_folder(folder: str) -> None:
    """Make the new name survive a power cut, on systems where folders can be synced."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


_REMEDIES = {
    errno.ENOENT: "the folder does not exist: create it first",
    errno.ENOTDIR: "a part of the path is not a folder: check the path",
    errno.EISDIR: "it is a folder: give the name of a file",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "choose a folder that you may write to",
    errno.ENOSPC: "free some space or write elsewhere; the old file, if any, is unchanged",
    errno.EDQUOT: "free some space or write elsewhere; the old file, if any, is unchanged",
    errno.EFBIG: "raise the limit on the size of files; the old file, if any, is unchanged",
}


@contextlib.contextmanager
def _explained(path: StrPath, *ours: str) -> Iterator[None]:
    """Add the name of the file and the remedy to errors of the operating system.

    Errors about files other than `ours` come from the caller's block and pass unchanged.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno is None or error.filename not in (None, *ours):
            raise
        reason = os.strerror(error.errno).lower()
        remedy = _REMEDIES.get(error.errno, "check the path and the disk")
        message = f"cannot write this file: {reason}; {remedy}"
        # OSError chooses its subclass (PermissionError, ...) by the number.
        raise OSError(error.errno, message, os.fspath(path)) from error


def check_destination(path: StrPath) -> None:
    """Raise now the error that writing this file after a long computation would raise.

    Parameters
    ----------
    path : path
        The file that is to be written.

    Raises
    ------
    OSError
        If its folder does not exist or may not be written to, or if it is itself a folder.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    with _explained(path, folder):
        if os.path.isdir(target):
            raise OSError(errno.EISDIR, "")
        os.stat(folder)
        where = target if os.path.exists(target) and not os.path.isfile(target) else folder
        if not os.access(where, os.W_OK):
            raise OSError(errno.EACCES, "")


def write_table(path: StrPath, columns: Mapping[str, ArrayLike]) -> None:
    """Write columns as a CSV file with a header, atomically.

    Floats are written with as many digits as it takes to read the same numbers back.

    Parameters
    ----------
    path : path
        The file to write, or "-" for the standard output.
    columns : mapping of str to array-like of shape (n_rows,)
        The columns, all of one length.

    Raises
    ------
    ValueError
        If the columns are not one-dimensional and of one length.
    OSError
        If the file cannot be written; the old one, if any, stays as it was.
    """
    arrays = [np.asarray(column) for column in columns.values()]
    if any(array.ndim != 1 for array in arrays) or len({len(array) for array in arrays}) > 1:
        shapes = ", ".join(f"{k}: {v.shape}" for k, v in zip(columns, arrays, strict=True))
        raise ValueError(f"columns must be one-dimensional and of one length, not {shapes}")
    target: contextlib.AbstractContextManager[TextIO]
    target = contextlib.nullcontext(sys.stdout) if path == "-" else atomic_write(path, "w")
    with target as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        # In chunks: a list of Python numbers takes several times the memory of an array.
        for start in range(0, len(arrays[0]) if arrays else 0, _CSV_CHUNK):
            chunk = [array[start : start + _CSV_CHUNK].tolist() for array in arrays]
            writer.writerows(zip(*chunk, strict=True))
