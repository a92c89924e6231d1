"""Reading tables of numbers from CSV, TSV, NumPy and Parquet files.

Every defect of a file becomes one :class:`~fastem.exceptions.DataFileError` that names the file,
the line and the column where there is one, and the way to mend it.  Nothing is guessed: a missing
cell never becomes a number, and text is never dropped without a word.

To add a format, write a function ``read(path, columns, dtype) -> Table`` and one that lists the
names of the columns, and register both in ``READERS`` under the extension.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from ..exceptions import DataFileError
from .arrays import no_names, parquet_names, read_npy, read_npz, read_parquet
from .columns import Columns, FloatType, Table
from .text import read_text, text_names

__all__ = ["READERS", "Reader", "Table", "column_names", "read_table"]


class Reader(NamedTuple):
    """The two functions that read a format."""

    read: Callable[[Path, Columns | None, FloatType | None], Table]
    names: Callable[[Path], list[str] | None]


READERS = {
    ".csv": Reader(read_text, text_names),
    ".tsv": Reader(read_text, text_names),
    ".txt": Reader(read_text, text_names),
    ".npy": Reader(read_npy, no_names),
    ".npz": Reader(read_npz, no_names),
    ".parquet": Reader(read_parquet, parquet_names),
}


def read_table(
    path: str | os.PathLike[str],
    columns: Columns | None = None,
    *,
    dtype: DTypeLike | None = None,
) -> Table:
    """Read a table of numbers.

    The extension of the name says what the file is: ``.csv``, ``.tsv`` and ``.txt`` (the delimiter,
    one of comma, semicolon and tab, and the header are detected; UTF-8, with or without a byte
    order mark), ``.npy`` (memory-mapped), ``.npz`` (its only array, or the one named X) and
    ``.parquet``.  Pickled content is never loaded.

    Parameters
    ----------
    path : path
        The file to read.
    columns : sequence of str or int, optional
        The columns to keep, in this order, by name or by number counted from 1 (an int, or a str
        of digits that is not itself a name).  By default all of them.
    dtype : {float64, float32}, optional
        The type of the values.  By default float32 where the file holds float32, else float64.

    Returns
    -------
    Table
        The values and the names of the columns.

    Raises
    ------
    DataFileError
        If the file cannot be read as a table of numbers; the message says where and why.
        Text and Parquet files are checked cell by cell for missing and infinite numbers, NumPy
        files are not: the estimators check those.
    FileNotFoundError
        If there is no such file.
    MissingDependencyError
        If pandas (for text files) or pyarrow (for Parquet files) is not installed.
    """
    if dtype is not None and np.dtype(dtype) not in (np.float64, np.float32):
        raise ValueError(f"dtype must be float64 or float32, not {np.dtype(dtype)}")
    path = Path(path)
    return _reader(path).read(path, columns, None if dtype is None else np.dtype(dtype))


def column_names(path: str | os.PathLike[str]) -> list[str] | None:
    """List the names of the columns of a file that `read_table` reads, without reading the rows.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    list of str, or None
        The names in the order of the file, or None where it has none.

    Raises
    ------
    DataFileError
        If the file cannot be read.
    FileNotFoundError
        If there is no such file.
    """
    path = Path(path)
    return _reader(path).names(path)


def _reader(path: Path) -> Reader:
    if path.is_dir():
        raise DataFileError(f"{path} is a folder: give the name of a file in it")
    if str(path) == "-" and not path.exists():
        raise DataFileError(
            "-: data are not read from the standard input, write them to a file first"
        )
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, "no such file: check the path", str(path))
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataFileError(
            f"{path}: the extension {path.suffix!r} is not known; the known ones are "
            f"{', '.join(READERS)}: convert or rename the file"
        )
    return reader
