"""Reading delimited text: CSV, TSV.

pandas' C engine reads the file; it is fast, but silent about lines that are too short and about
what line a bad cell stands on.  So the layout is read from the first lines here, and where pandas
or a check finds a fault, a second, slow pass over the file finds the line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from ..exceptions import DataFileError
from .columns import (
    Columns,
    FloatType,
    Table,
    as_option,
    cell_error,
    count,
    floats,
    label,
    optional_module,
    resolve,
    text_columns_error,
)

# In this order: a semicolon or a tab is hardly ever inside a number, a comma is (3,6 for 3.6).
_DELIMITERS = ("\t", ";", ",")
_MISSING_CELLS = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none"})
_SAMPLE_LINES = 20


@dataclass(frozen=True)
class _Layout:
    """How a text file is laid out, as read from its first lines."""

    delimiter: str
    names: list[str] | None
    width: int


def read_text(path: Path, columns: Columns | None, dtype: FloatType | None) -> Table:
    """Read a CSV or TSV file; see `fastem.tables.read_table`."""
    pandas = optional_module("pandas", f"reading {path.suffix} files", "cli")
    layout = _sniff(path)
    positions = resolve(columns, layout.names, layout.width, path)
    try:
        # Without usecols: with it, pandas no longer notices lines with too many cells.
        frame = pandas.read_csv(
            path,
            sep=layout.delimiter,
            header=None if layout.names is None else 0,
            names=range(layout.width),
            index_col=False,
            encoding="utf-8",
            skipinitialspace=True,
            low_memory=False,
            **_exact_floats(pandas),
        )
    except UnicodeDecodeError as error:
        raise _encoding_error(path, error) from error
    except pandas.errors.ParserError as error:
        _check_widths(path, layout)
        reason = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise DataFileError(f"{path}: {reason}; look for an unclosed quotation mark") from error
    if len(frame) == 0:
        raise DataFileError(f"{path} has a header but no rows of numbers; add some")
    frame = _numeric(frame, path, layout, positions, pandas)
    # A number too large for float32 becomes inf, which the check of the cells reports.
    with np.errstate(over="ignore"):
        values = floats(frame.to_numpy(dtype=dtype or np.float64), dtype)
    _check_cells(path, layout, positions, values)
    names = (
        None if layout.names is None else [layout.names[i] or f"column {i + 1}" for i in positions]
    )
    return Table(values, names)


def _exact_floats(pandas: Any) -> dict[str, str]:
    """Ask for numbers that are read to the last bit, where pandas does not do so anyway."""
    version = tuple(int(part) for part in pandas.__version__.split(".")[:2])
    return {"float_precision": "round_trip"} if version < (3, 1) else {}


def text_names(path: Path) -> list[str] | None:
    """List the columns that the header of a text file names, or None if it has no header."""
    return _sniff(path).names


def _encoding_error(path: Path, error: UnicodeDecodeError) -> DataFileError:
    return DataFileError(
        f"{path} is not UTF-8 text (it holds the byte 0x{error.object[error.start]:02x}); convert "
        "it, for example with iconv -f latin1 -t utf-8"
    )


def _sniff(path: Path) -> _Layout:
    try:
        return _read_layout(path)
    except UnicodeDecodeError as error:
        raise _encoding_error(path, error) from error
    except csv.Error as error:
        raise DataFileError(
            f"{path} is not delimited text ({error}); write it as comma-separated UTF-8"
        ) from error


def _read_layout(path: Path) -> _Layout:
    with open(path, encoding="utf-8-sig", newline="") as file:
        sample = list(islice((line for line in file if line.strip()), _SAMPLE_LINES))
    if not sample:
        raise DataFileError(f"{path} is empty; it should hold one row of numbers a line")
    if any("\0" in line for line in sample):
        raise DataFileError(
            f"{path} is not text (it holds NUL bytes); write it as comma-separated UTF-8"
        )
    delimiter = _delimiter(sample)
    rows = list(csv.reader(sample, delimiter=delimiter, skipinitialspace=True))
    names = [cell.strip() for cell in rows[0]] if _is_header(rows[0], rows[1:]) else None
    layout = _Layout(delimiter, names, len(rows[0]))
    # pandas checks every line but the first one after the header.
    _check_widths(path, layout, 1)
    return layout


def _delimiter(sample: list[str]) -> str:
    """Find the delimiter that cuts every line into as many cells, else the best for line 1."""
    cells = {d: [len(row) for row in csv.reader(sample, delimiter=d)] for d in _DELIMITERS}
    for delimiter, counts in cells.items():
        if counts[0] > 1 and len(set(counts)) == 1:
            return delimiter
    best = max(_DELIMITERS, key=lambda delimiter: cells[delimiter][0])
    return best if cells[best][0] > 1 else ","


def _is_number(cell: str) -> bool:
    try:
        return "_" not in cell and not np.isnan(float(cell))
    except ValueError:
        return False


def _is_header(first: list[str], rows: list[list[str]]) -> bool:
    """Whether the first line names the columns.

    It does when it holds text and no number, or text above a number, or the 0, 1, 2, ... that
    pandas writes for columns without names above numbers with decimals.
    """
    text = [
        i
        for i, cell in enumerate(first)
        if cell.strip().lower() not in _MISSING_CELLS and not _is_number(cell)
    ]
    if not text:
        counted = len(first) > 1 and first == [str(i) for i in range(len(first))]
        return counted and any("." in cell for row in rows for cell in row)
    if not any(_is_number(cell) for cell in first):
        return True
    return any(_is_number(row[i]) for row in rows for i in text if i < len(row))


def _records(path: Path, layout: _Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of every row, skipping header and blank lines as pandas does."""
    line = ""

    def lines(file: TextIO) -> Iterator[str]:
        nonlocal line
        for text in file:
            line = text  # the last line read tells a blank line from a quoted empty cell
            yield text

    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(lines(file), delimiter=layout.delimiter, skipinitialspace=True)
        rows = ((reader.line_num, cells) for cells in reader if len(cells) > 1 or line.strip())
        yield from islice(rows, 0 if layout.names is None else 1, None)


def _record(path: Path, layout: _Layout, row: int) -> tuple[int, list[str]]:
    """Line number and cells of one row, counted from 0."""
    return next(islice(_records(path, layout), row, None), (row + 1, [""] * layout.width))


def _check_widths(path: Path, layout: _Layout, n_rows: int | None = None) -> None:
    for line, cells in islice(_records(path, layout), n_rows):
        _check_width(path, layout, line, cells)


def _check_width(path: Path, layout: _Layout, line: int, cells: list[str]) -> None:
    if len(cells) != layout.width:
        above = "the first row" if layout.names is None else "the header"
        raise DataFileError(
            f"{path}, line {line}: {count(len(cells), 'cell')} where {above} has {layout.width}; "
            f"correct the line (cells are separated by {layout.delimiter!r})"
        )


def _numeric(frame: Any, path: Path, layout: _Layout, positions: list[int], pandas: Any) -> Any:
    """Select the chosen columns, all numeric, or raise at the first cell that is not."""
    chosen: list[Any] = []
    faults: dict[int, Any] = {}
    text: list[int] = []
    for position in positions:
        column = frame[position]
        if not pandas.api.types.is_numeric_dtype(column.dtype):
            numbers = pandas.to_numeric(column, errors="coerce")
            wrong = numbers.isna() & column.notna()
            if wrong.any():
                faults[position] = wrong
                commas = _has_decimal_comma(str(column[wrong].iloc[0]))
                if not commas and wrong.sum() == column.notna().sum():
                    text.append(position)
            column = numbers
        chosen.append(column)
    if text:
        numeric = [i for i in positions if i not in faults]
        raise text_columns_error(path, layout.names, text, numeric)
    for position, wrong in faults.items():
        row = int(wrong.to_numpy().argmax())
        value = str(frame[position].iloc[row]).strip()
        remedy = "correct it"
        if _has_decimal_comma(value):
            remedy = "write a decimal point, not a comma"
        elif len(positions) > 1:
            others = as_option(layout.names, [i for i in positions if i != position])
            remedy += f", or leave the column out with --columns {others}"
        raise DataFileError(
            f"{path}, line {_record(path, layout, row)[0]}, {label(layout.names, position)}: "
            f"{value!r} is not a number ({count(int(wrong.sum()), 'such cell')}); {remedy}"
        )
    return pandas.concat(chosen, axis=1)


def _has_decimal_comma(cell: str) -> bool:
    return cell.count(",") == 1 and _is_number(cell.replace(",", "."))


def _check_cells(path: Path, layout: _Layout, positions: list[int], values: NDArray[Any]) -> None:
    """Refuse missing and infinite cells, naming the first."""
    wrong = ~np.isfinite(values)
    if not wrong.any():
        return
    row, column = (int(i) for i in np.argwhere(wrong)[0])
    line, cells = _record(path, layout, row)
    _check_width(path, layout, line, cells)
    where = f"{path}, line {line}, {label(layout.names, positions[column])}"
    raise cell_error(where, values)
