"""Reading arrays and tables in binary form: NumPy's .npy and .npz, and Parquet."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..exceptions import DataFileError
from .columns import (
    Columns,
    FloatType,
    Table,
    cell_error,
    count,
    floats,
    listed,
    optional_module,
    resolve,
    text_columns_error,
)


def read_npy(path: Path, columns: Columns | None, dtype: FloatType | None) -> Table:
    """Map a .npy file into memory; see `fastem.tables.read_table`."""
    with _opened(path, "numpy.save"):
        array = np.lib.format.open_memmap(path, mode="r")
    return _from_array(array, path, columns, dtype)


def read_npz(path: Path, columns: Columns | None, dtype: FloatType | None) -> Table:
    """Read an .npz archive; see `fastem.tables.read_table`."""
    with _opened(path, "numpy.savez") as file:
        array = _array_of(np.load(file, allow_pickle=False), path)
    return _from_array(array, path, columns, dtype)


@contextlib.contextmanager
def _opened(path: Path, writer: str) -> Iterator[BinaryIO]:
    """Open a file of NumPy's, and turn whatever its reader raises into a DataFileError."""
    # Opened here: numpy leaves a file open in which it finds no archive.
    with open(path, "rb") as file:
        if path.stat().st_size == 0:
            raise DataFileError(f"{path} is empty; write it with {writer}")
        try:
            yield file
        except DataFileError:
            raise
        except Exception as error:  # damaged headers raise anything, up to tokenize.TokenError
            kind = path.suffix.lower()
            raise DataFileError(
                f"{path} is not a readable {kind} file: {_npy_fault(error)}"
            ) from error


def _array_of(archive: Any, path: Path) -> Any:
    """Pick the only array of an archive, or the one named X."""
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise DataFileError(f"{path} is not an .npz file; rename it to .npy")
    if not archive.files:
        raise DataFileError(f"{path} holds no arrays; write it with numpy.savez")
    name = archive.files[0] if len(archive.files) == 1 else "X"
    if name not in archive.files:
        raise DataFileError(
            f"{path} holds {len(archive.files)} arrays ({listed(archive.files)}) and none is named "
            "X; save the one to use as X, or alone"
        )
    array = archive[name]
    if not isinstance(array, np.ndarray):
        raise DataFileError(f"{path} holds {name!r}, which is no array; use numpy.savez")
    return array


def _npy_fault(error: Exception) -> str:
    if "ickle" in str(error):  # NumPy's words are "pickled" and "allow_pickle"
        return "it holds Python objects or is no array at all; save an array of floats"
    return f"{str(error).splitlines()[0] if str(error) else type(error).__name__}; write it again"


def _from_array(array: Any, path: Path, columns: Columns | None, dtype: FloatType | None) -> Table:
    if array.dtype.kind not in "fiub":
        raise DataFileError(
            f"{path} holds values of type {array.dtype}, not real numbers; save an array of floats"
        )
    if array.ndim == 1:  # one column of numbers
        array = array[:, np.newaxis]
    if array.ndim != 2:
        raise DataFileError(
            f"{path} holds an array with {array.ndim} dimensions; reshape it to (rows, columns)"
        )
    if array.size == 0:
        raise DataFileError(f"{path} holds an empty array of shape {array.shape}; add rows")
    positions = resolve(columns, None, array.shape[1], path)
    if columns is not None:
        array = array[:, positions]
    return Table(floats(array, dtype), None)


def no_names(path: Path) -> None:
    """NumPy's files do not name their columns."""


def parquet_names(path: Path) -> list[str]:
    """List the columns of a Parquet file."""
    arrow, parquet = _arrow()
    with _parquet_errors(path, arrow), parquet.ParquetFile(path) as file:
        return _data_columns(file.schema_arrow)


def read_parquet(path: Path, columns: Columns | None, dtype: FloatType | None) -> Table:
    """Read a Parquet file; see `fastem.tables.read_table`."""
    arrow, parquet = _arrow()
    with _parquet_errors(path, arrow), parquet.ParquetFile(path) as file:
        schema = file.schema_arrow
        names = _data_columns(schema)
        positions = resolve(columns, names, len(names), path)
        text = [i for i in positions if not _is_numeric(arrow.types, schema.field(names[i]).type)]
        if text:
            numeric = [i for i in positions if i not in text]
            raise text_columns_error(path, names, text, numeric)
        chosen = [names[i] for i in positions]
        table = file.read(columns=chosen)
    if table.num_rows == 0:
        raise DataFileError(f"{path} has columns but no rows; add some")
    arrays = []
    for name in chosen:
        column = table.column(name)
        if column.null_count:
            row = column.is_null().index(True).as_py()
            raise DataFileError(
                f"{path}, row {row + 1}, column {name!r}: the cell is null "
                f"({count(column.null_count, 'missing cell')} in this column); missing values are "
                "not supported yet: drop these rows or fill the cells"
            )
        decimal = arrow.types.is_decimal(column.type)
        arrays.append((column.cast(arrow.float64()) if decimal else column).to_numpy())
    if dtype is None:
        single = all(array.dtype == np.float32 for array in arrays)
        dtype = np.dtype(np.float32 if single else np.float64)
    values = np.empty((table.num_rows, len(arrays)), dtype=dtype)
    with np.errstate(over="ignore"):  # the check below reports it
        for i, array in enumerate(arrays):
            values[:, i] = array
    wrong = ~np.isfinite(values)
    if wrong.any():
        row, i = (int(j) for j in np.argwhere(wrong)[0])
        raise cell_error(f"{path}, row {row + 1}, column {chosen[i]!r}", values)
    return Table(values, chosen)


def _arrow() -> tuple[Any, Any]:
    purpose = "reading .parquet files"
    arrow = optional_module("pyarrow", purpose, "cli")
    return arrow, optional_module("pyarrow.parquet", purpose, "cli")


@contextlib.contextmanager
def _parquet_errors(path: Path, arrow: Any) -> Iterator[None]:
    try:
        yield
    except (
        arrow.ArrowInvalid,
        arrow.ArrowNotImplementedError,
        OSError,
        UnicodeDecodeError,  # of the name of a column
    ) as error:
        raise DataFileError(
            f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}; write it again"
        ) from error


def _data_columns(schema: Any) -> list[str]:
    """List the columns but those in which pandas keeps the index of a filtered frame."""
    return [name for name in schema.names if not name.startswith("__index_level_")]


def _is_numeric(types: Any, kind: Any) -> bool:
    tests = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean)
    return any(test(kind) for test in tests)
