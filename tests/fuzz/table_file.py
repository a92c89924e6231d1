"""Tables: a mutator of text, NumPy and Parquet files, and what must hold of what is read."""

from __future__ import annotations

import csv
import io
import random
import zipfile
from pathlib import Path

import numpy as np

from fastem.exceptions import DataFileError
from fastem.tables import READERS, column_names, read_table

EXTENSIONS = list(READERS)
_CELLS = [
    "1", "2.5", "-3e-2", "+.5", "1e999", "-1e-999", "nan", "NaN", "inf", "-inf", "NA", "", " ", "x",
    "0x10", "1_000", "1,5", "1 2", "True", "False", "true", "2020-01-01", "12:30", "1e", ".", "-",
    '"1"', '"a,b"', '""', '"', "'1'", "#", "\0", "é", "\u2028", "\ufeff", "\uff11", "٣", "1e5000",
    "123456789012345678901234567890", "9007199254740993", "1\r2", "\v1", "\x1c1", "1\t", "NULL",
    "0.1d0", "1.0f", "1L", "1e+", "--1", "1.2.3", "$1", "1%", "infinity", "1e-400", "None", "<NA>",
]  # fmt: skip
_LINES = ["\n", "\r\n", "\r", "\n\n", "\n \n", ""]
_DESCRIPTIONS = [
    "<f8", ">f8", "<f4", ">f4", "<f2", "<f16", "<i8", ">i2", "|u1", "|b1", "<c16", "|S5", "<U3",
    "|O", "<M8[ns]", "<m8[D]", "|V8", "", "x", "f8,i4", [("a", "<f8")], 3, None,
]  # fmt: skip
_SHAPES = [
    (), (0,), (6,), (2, 3), (3, 2), (0, 2), (2, 0), (1, 2, 3), (-1, 6), (10**15, 10**3), (2**63,),
    (2**32, 2**32), (2.0, 3), ("2", 3), (True, 6), [2, 3], 6, None, (10**400,),
]  # fmt: skip


def seeds() -> list[tuple[str, bytes]]:
    """Extension and content of files of every kind."""
    from pyarrow import parquet, table

    texts = [
        "a,b\n1,2\n3,4\n", "1;2\n3;4\n", "x\ty\r\n0.5\t1e3\r\n", '"a","b, c"\n1,"2"\n', "1\n2\n3",
        "\ufeffa,b\n1,2\n", "i,flag\n1,True\n2,False\n", "a,b\n1,\n,2\n", "a,b\n1,x\n",
    ]  # fmt: skip
    found = [(".csv", text.encode()) for text in texts]
    values = np.arange(6.0).reshape(2, 3)
    for array in (values, values.astype(">f4"), np.asfortranarray(values), values[0]):
        buffer, archive = io.BytesIO(), io.BytesIO()
        np.save(buffer, array)
        np.savez(archive, X=array)
        found += [(".npy", buffer.getvalue()), (".npz", archive.getvalue())]
    for columns in ({"a": [1.0, 2.0], "b": [1, 2]}, {"a": [1.0, None], "b": ["x", "y"]}):
        buffer = io.BytesIO()
        parquet.write_table(table(columns), buffer)
        found.append((".parquet", buffer.getvalue()))
    return found


def mutate_text(content: bytes, chance: random.Random) -> bytes:
    """Cells, lines and delimiters in other places."""
    text = content.decode("utf-8", "replace")
    delimiter = chance.choice([",", ";", "\t", ", "])
    rows = [line.split(delimiter) for line in text.splitlines() or [""]]
    for _ in range(chance.randint(1, 4)):
        row = chance.choice(rows)
        what = chance.randrange(5)
        if what == 0:
            row.insert(chance.randint(0, len(row)), chance.choice(_CELLS))
        elif what == 1 and row:
            del row[chance.randrange(len(row))]
        elif what == 2:
            rows.insert(chance.randint(0, len(rows)), list(chance.choice(rows)))
        elif what == 3:
            width = len(rows[0])
            rows.append([chance.choice(_CELLS) for _ in range(width)])
        elif row:
            row[chance.randrange(len(row))] = chance.choice(_CELLS)
    end = chance.choice(_LINES) if chance.random() < 0.2 else "\n"
    text = end.join(delimiter.join(row) for row in rows[:60])
    return text.encode("utf-8", "surrogatepass") + chance.choice([b"", b"\n", b"\xff", b"\r"])


def npy(chance: random.Random) -> bytes:
    """An array file whose header may not be true."""
    header = {
        "descr": chance.choice(_DESCRIPTIONS),
        "fortran_order": chance.choice([True, False, False, 1, None]),
        "shape": chance.choice(_SHAPES),
    }
    if chance.random() < 0.5:
        header.update(descr=chance.choice(_DESCRIPTIONS[:10]), shape=chance.choice(_SHAPES[:9]))
    if chance.random() < 0.05:
        del header[chance.choice(list(header))]
    text = repr(header) if chance.random() < 0.95 else "{" * chance.randint(1, 300)
    version = chance.choice([1, 1, 1, 2, 3, 4])
    width = 2 if version == 1 else 4
    start = 10 if version == 1 else 12
    text += " " * (-(start + len(text) + 1) % 64) + "\n"
    size = len(text) if chance.random() < 0.95 else chance.choice([0, 1, 60_000])
    data = chance.choice(
        [np.arange(6.0).tobytes(), bytes(48), b"\xff" * 48, bytes(12), b"", chance.randbytes(96)]
    )
    return (
        b"\x93NUMPY" + bytes([version, 0]) + size.to_bytes(width, "little") + text.encode() + data
    )


def npz(chance: random.Random) -> bytes:
    """An archive of such arrays."""
    buffer = io.BytesIO()
    kind = chance.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        names = ["X.npy", "y.npy", "X", "arr_0.npy", "é.npy", "../X.npy", "X.npy.npy"]
        for name in chance.sample(names, chance.randint(1, 3)):
            archive.writestr(name, npy(chance))
    return buffer.getvalue()


def mutate(extension: str, content: bytes, chance: random.Random) -> bytes:
    """A change that leaves enough of the structure to be read on."""
    if extension == ".npy":
        return npy(chance)
    if extension == ".npz":
        return npz(chance)
    if extension == ".parquet":
        changed = bytearray(content)
        for _ in range(chance.randint(1, 4)):
            if changed:
                changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        return bytes(changed)
    return mutate_text(content, chance)


def check(path: Path, columns: list[str] | None, dtype: type | None) -> None:
    """`read_table` refuses with a DataFileError of one line, or gives the numbers of the file."""
    try:
        names = column_names(path)
        table = read_table(path, columns, dtype=dtype)
    except DataFileError as error:
        message = str(error)
        assert str(path) in message, message
        assert "\n" not in message, message
        return
    values = table.values
    assert values.ndim == 2
    assert values.size
    assert values.dtype in (np.float64, np.float32)
    assert dtype is None or values.dtype == dtype
    assert values.flags.c_contiguous
    assert table.names is None or len(table.names) == values.shape[1]
    if columns is None:
        assert table.names == names
    if path.suffix in (".csv", ".tsv", ".txt"):
        assert np.isfinite(values).all()
        if columns is None:
            _check_text(path, table.names, values)
    elif path.suffix == ".parquet":
        assert np.isfinite(values).all()


def _check_text(path: Path, names: list[str] | None, values: np.ndarray) -> None:
    """Every number that was read stands in the file, at its place."""
    text = path.read_text(encoding="utf-8-sig")
    with open(path, encoding="utf-8-sig", newline="") as file:
        first = [line for line in file if line.strip()][:20]
    for delimiter in "\t;,":
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter,
                               skipinitialspace=True))  # fmt: skip
        rows = [row for row in rows if len(row) > 1 or any(cell.strip() for cell in row)]
        rows = rows[0 if names is None else 1 :]
        if len(rows) == len(values) and all(len(row) == values.shape[1] for row in rows):
            break
    else:
        raise AssertionError(f"{len(values)} rows read of {first!r}")
    for row, numbers in zip(rows, values, strict=True):
        for cell, number in zip(row, numbers, strict=True):
            cell = cell.strip()
            expected = {"true": 1.0, "false": 0.0}.get(cell.lower())
            if expected is None:
                expected = float(np.array(float(cell)).astype(values.dtype))
            assert number == expected, f"{cell!r} was read as {number!r}"
