"""The table that every reader returns, the choice of its columns, and the errors they share."""

from __future__ import annotations

import csv
import importlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import DataFileError, MissingDependencyError

Columns = Sequence[str | int]
FloatType = np.dtype[Any]

_LISTED_NAMES = 12


@dataclass(frozen=True)
class Table:
    """A table of numbers.

    Attributes
    ----------
    values : ndarray of shape (n_rows, n_columns), float64 or float32
        The numbers, C-contiguous.  Read-only and memory-mapped where they come from a ``.npy`` file
        of floats in C order.
    names : list of str, or None
        The names of the columns, or None where the file has none.
    """

    values: NDArray[Any]
    names: list[str] | None

    def position(self, column: str | int) -> int:
        """Position, counted from 0, of a column given by name or by number from 1."""
        return resolve([column], self.names, self.values.shape[1], "the table")[0]


def optional_module(name: str, purpose: str, extra: str) -> Any:
    """Import an optional package, or say how to install it.

    Parameters
    ----------
    name : str
        The module to import.
    purpose : str
        What needs it, as the subject of the message.
    extra : str
        The extra of fastem that installs it.

    Raises
    ------
    MissingDependencyError
        If the package cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise MissingDependencyError(
            f"{purpose} needs {package}, which cannot be imported ({error}): install it with "
            f"pip install 'fastem[{extra}]'"
        ) from error


def resolve(
    columns: Columns | None, names: list[str] | None, width: int, where: object
) -> list[int]:
    """Positions, from 0, of the chosen columns; all of them by default."""
    if columns is None:
        if names is not None:
            _check_names(names, where)
        return list(range(width))
    if isinstance(columns, str):
        columns = [columns]
    positions: list[int] = []
    for column in columns:
        position = _position(column, names, width, where)
        if position in positions:
            raise DataFileError(f"{where}: column {column!r} is chosen twice; name it once")
        positions.append(position)
    if not positions:
        raise DataFileError(f"{where}: no column is chosen; name at least one")
    return positions


def _position(column: str | int, names: list[str] | None, width: int, where: object) -> int:
    if isinstance(column, str) and names is not None:
        found = [i for i, name in enumerate(names) if name == column]
        if len(found) > 1:
            raise DataFileError(
                f"{where}: {len(found)} columns are named {column!r}; choose one of them by its "
                f"number: {', '.join(str(i + 1) for i in found)}"
            )
        if found:
            return found[0]
    if isinstance(column, str) and not (column.isascii() and column.isdigit()):
        if names is None:
            raise DataFileError(
                f"{where}: no column {column!r}: the file has no names of columns, so choose by "
                f"number, 1 to {width}"
            )
        raise DataFileError(f"{where}: no column named {column!r}; the columns are {listed(names)}")
    number = int(column)
    if not 1 <= number <= width:
        raise DataFileError(
            f"{where}: no column number {number}; the columns are numbered 1 to {width}"
        )
    return number - 1


def _check_names(names: list[str], where: object) -> None:
    """Refuse a header that leaves in doubt what the columns are."""
    named = [i for i, name in enumerate(names) if name]
    if len(named) < len(names):
        unnamed = next(i for i, name in enumerate(names) if not name)
        raise DataFileError(
            f"{where}: column {unnamed + 1} has no name (perhaps it numbers the rows); choose the "
            f"columns to use with --columns {as_option(names, named)}"
        )
    seen: dict[str, int] = {}
    for i, name in enumerate(names):
        first = seen.setdefault(name, i)
        if first != i:
            raise DataFileError(
                f"{where}: columns {first + 1} and {i + 1} are both named {name!r}; rename one, "
                "or choose columns by number with --columns 1,2,..."
            )


def count(n: int, noun: str) -> str:
    """Put a number before its noun: 1 cell, 2 cells."""
    return f"{n} {noun}" + ("" if n == 1 else "s")


def listed(names: Sequence[str]) -> str:
    """Join names, the first dozen of them if there are many; in one line, whatever they hold."""
    more = len(names) - _LISTED_NAMES
    shown = (name if name.isprintable() else repr(name) for name in names[:_LISTED_NAMES])
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def as_option(names: list[str] | None, positions: Iterable[int]) -> str:
    """Write the columns at these positions as the command line's --columns takes them."""
    positions = list(positions)
    chosen = [str(i + 1) for i in positions]
    if names is not None and all(names[i].isprintable() for i in positions):
        chosen = [names[i] for i in positions]
    shown = io.StringIO()
    csv.writer(shown, lineterminator="").writerow(chosen[:_LISTED_NAMES])
    return shown.getvalue() + (",..." if len(chosen) > _LISTED_NAMES else "")


def label(names: list[str] | None, position: int) -> str:
    """Name a column for a message."""
    return f"column {position + 1}" if names is None else f"column {names[position]!r}"


def text_columns_error(
    where: object, names: list[str] | None, text: Sequence[int], numeric: Sequence[int]
) -> DataFileError:
    """Describe chosen columns that hold no numbers at all."""
    labels = listed([label(names, i) for i in text])
    remedy = (
        f"keep the numeric ones with --columns {as_option(names, numeric)}"
        if numeric
        else "no chosen column is numeric: choose others with --columns, or convert them to numbers"
    )
    verb = "holds" if len(text) == 1 else "hold"
    return DataFileError(f"{where}: {labels} {verb} text or dates, not numbers; {remedy}")


def floats(values: NDArray[Any], dtype: FloatType | None) -> NDArray[Any]:
    """Values as C-contiguous native floats; float32 stays float32 unless asked otherwise."""
    native = values.dtype.newbyteorder("=")
    if dtype is None:
        dtype = native if native == np.float32 else np.dtype(np.float64)
    # A cast that overflows (1e300 as float32) yields inf, which the caller reports; one of a wider
    # type may meet bytes that are no number there, and yields NaN.
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(values, dtype=dtype)


def cell_error(where: str, values: NDArray[Any]) -> DataFileError:
    """Describe the missing or infinite cells; `where` names the first."""
    missing = np.isnan(values)
    if missing.any():
        return DataFileError(
            f"{where}: the cell is empty ({count(int(missing.sum()), 'missing cell')} in "
            f"{count(int(missing.any(axis=1).sum()), 'row')}); missing values are not supported "
            "yet: drop these rows or fill the cells"
        )
    infinite = int(np.isinf(values).sum())
    return DataFileError(
        f"{where}: the number is infinite or too large for {values.dtype} "
        f"({count(infinite, 'such cell')}); correct it or drop the row"
    )
