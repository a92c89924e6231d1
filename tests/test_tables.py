"""Reading tables: what is in the file comes back exactly, and every defect has its own message."""

import decimal
import io
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.testing import assert_array_equal

from fastem.exceptions import DataFileError, MissingDependencyError
from fastem.io import read_table, write_table
from fastem.tables import READERS, column_names

pandas = pytest.importorskip("pandas")


@pytest.fixture
def write(tmp_path):
    def write(content, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def assert_refused(path, *parts, **kwargs):
    """Every part of the message is there, and the message names the file and is one line."""
    with pytest.raises(DataFileError) as caught:
        read_table(path, **kwargs)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    for part in parts:
        assert part in message


# --- text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "names", "values"),
    [
        ("a,b\n1,2\n3,4\n", ["a", "b"], [[1, 2], [3, 4]]),
        ("a,b\n1,2\n3,4", ["a", "b"], [[1, 2], [3, 4]]),
        ("a,b\r\n1,2\r\n3,4\r\n", ["a", "b"], [[1, 2], [3, 4]]),
        ("a,b\r1,2\r3,4\r", ["a", "b"], [[1, 2], [3, 4]]),
        ("a;b\n1;2\n3;4\n", ["a", "b"], [[1, 2], [3, 4]]),
        ("a\tb\n1\t2\n3\t4\n", ["a", "b"], [[1, 2], [3, 4]]),
        ("a, b\n 1, 2\n3 ,4\n", ["a", "b"], [[1, 2], [3, 4]]),
        ('"a","b, c"\n1,"2"\n3,4\n', ["a", "b, c"], [[1, 2], [3, 4]]),
        ('"two\nlines",b\n1,2\n', ["two\nlines", "b"], [[1, 2]]),
        ("1,2\n3,4\n", None, [[1, 2], [3, 4]]),
        ("\n\na,b\n1,2\n\n  \n3,4\n\n", ["a", "b"], [[1, 2], [3, 4]]),
        ("x\n1\n2\n", ["x"], [[1], [2]]),
        ("1\n2\n", None, [[1], [2]]),
        ("1e3,-2.5E-3\n+.5,0x\n".replace("0x", "1e308"), None, [[1e3, -2.5e-3], [0.5, 1e308]]),
        ("2020,b\n1,2\n3,4\n", ["2020", "b"], [[1, 2], [3, 4]]),
        ("1_0,2_0\n1,2\n", ["1_0", "2_0"], [[1, 2]]),
        ('a, "b, c"\n1, "2"\n', ["a", "b, c"], [[1, 2]]),
        ("0,1\n2.5,3\n4,5\n", ["0", "1"], [[2.5, 3], [4, 5]]),
        ("0,1\n2,3\n4,5\n", None, [[0, 1], [2, 3], [4, 5]]),
        ("0\n0.5\n", None, [[0], [0.5]]),
        ("a,flag\n1,True\n2,False\n", ["a", "flag"], [[1, 1], [2, 0]]),
        ("größe,é\n1,2\n", ["größe", "é"], [[1, 2]]),
        ("a\n123456789012345678901234567890\n", ["a"], [[123456789012345678901234567890.0]]),
    ],
)
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_text(write, content, names, values, bom):
    path = write(bom + content.encode())
    table = read_table(path)
    assert table.names == names
    assert column_names(path) == names
    assert_array_equal(table.values, np.array(values, dtype=float))
    assert table.values.dtype == np.float64
    assert table.values.flags.c_contiguous


@pytest.mark.parametrize("name", ["data.tsv", "data.txt", "DATA.CSV"])
def test_extensions_of_text(write, name):
    assert_array_equal(read_table(write("a\tb\n1\t2\n", name)).values, [[1, 2]])


@settings(max_examples=100, deadline=None)
@given(
    values=npst.arrays(
        np.float64,
        npst.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_floats_are_read_to_the_last_bit(values, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "floats.csv"
    names = [f"x{i}" for i in range(values.shape[1])]
    write_table(path, dict(zip(names, values.T, strict=True)))
    table = read_table(path)
    assert table.names == names
    assert table.values.tobytes() == values.tobytes()


def test_columns_by_name_and_number(write):
    path = write("a,b,2\n1,2,3\n4,5,6\n")
    for columns, names, first in [
        (["b"], ["b"], [2]),
        ("b", ["b"], [2]),
        (["b", "a"], ["b", "a"], [2, 1]),
        (["3", 1], ["2", "a"], [3, 1]),
        (["2"], ["2"], [3]),  # a name before a number
        ([2], ["b"], [2]),
    ]:
        table = read_table(path, columns)
        assert table.names == names
        assert_array_equal(table.values[0], first)
    table = read_table(path)
    assert [table.position(c) for c in ("b", 1, "3")] == [1, 0, 2]


def test_a_name_of_several_lines_is_listed_in_one(write):
    path = write('"two\nlines",b\n1,2\n')
    assert_refused(path, "the columns are 'two\\nlines', b", columns=["c"])


def test_columns_that_are_not_chosen_may_hold_anything(write):
    path = write(",name,x,x,y\n1,Ann,1.5,1,\n2,Bob,2.5,2,?\n")
    table = read_table(path, ["3"])
    assert table.names == ["x"]
    assert_array_equal(table.values, [[1.5], [2.5]])


def test_float32(write):
    table = read_table(write("a\n0.1\n"), dtype="float32")
    assert table.values.dtype == np.float32
    assert table.values[0, 0] == np.float32(0.1)
    with pytest.raises(ValueError, match="float64 or float32, not int64"):
        read_table(write("a\n1\n"), dtype=np.int64)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("", ["is empty"]),
        ("\n\n \n", ["is empty"]),
        ("a,b\n", ["a header but no rows"]),
        # ragged
        ("a,b\n1,2\n3\n5,6\n", ["line 3: 1 cell where the header has 2", "correct the line"]),
        ("a,b\n1,2\n3,4,5\n", ["line 3: 3 cells where the header has 2"]),
        ("a,b\n1,2,3\n4,5,6\n", ["line 2: 3 cells where the header has 2"]),
        ("a,b\n1\n3,4\n", ["line 2: 1 cell where the header has 2"]),
        ("1,2\n\n3,4\n5\n", ["line 4: 1 cell where the first row has 2"]),
        ("1,2\n" * 100 + "1,2,3\n", ["line 101: 3 cells"]),
        # text
        ("a,b\n1,2\n3,abc\n", ["line 3, column 'b': 'abc' is not a number", "--columns a"]),
        ("1,2\n\n3,4\n5,x y\n7,z\n", ["line 4, column 2: 'x y'", "2 such cells", "--columns 1"]),
        ("a,b\n1,1_000\n2,3\n", ["line 2, column 'b': '1_000' is not a number"]),
        ("a;b\n1;2\n3,5;4\n", ["line 3, column 'a': '3,5'", "a decimal point, not a comma"]),
        ("1,5;2,5\n3,5;4,5\n", ["line 2", "'3,5' is not a number", "a decimal point"]),
        ("id,x\nu,1\nv,2\n", ["column 'id' holds text or dates", "--columns x"]),
        ("u,1,2\nv,1,2\nw,3,4\n", ["column 1 holds text", "--columns 2,3"]),
        ('id,"x, y",d\nu,1,2020-01-01\n', ["'id', column 'd' hold text", '--columns "x, y"']),
        ("a,b\nu,v\nw,x\n", ["no chosen column is numeric"]),
        # missing and infinite
        (
            "a,b\n1,\n3,4\n,\n",
            ["line 2, column 'b': the cell is empty", "3 missing cells in 2 rows"],
        ),
        ("a,b\n1,2\n\n3,NA\n", ["line 4, column 'b'", "1 missing cell", "not supported yet"]),
        ("1,2\n3,nan\n", ["line 2, column 2: the cell is empty"]),
        ('a\n1\n""\n3\n', ["line 3, column 'a': the cell is empty"]),
        ('a\n\n1\n""\nx\n', ["line 5, column 'a': 'x' is not a number"]),
        ("NA,1\n2,3\n", ["line 1, column 1: the cell is empty"]),
        ("a,b\n1,\n2,\n", ["line 2, column 'b'", "2 missing cells in 2 rows"]),
        ("a,b\n1,2\n3,inf\n", ["line 3, column 'b': the number is infinite", "1 such cell"]),
        ("a,b\n1,2\n3,-1e999\n", ["line 3, column 'b': the number is infinite"]),
        # header
        ("a,b,a\n1,2,3\n", ["columns 1 and 3 are both named 'a'", "rename one"]),
        (",a,b\n0,1,2\n1,3,4\n", ["column 1 has no name", "--columns a,b"]),
        # not delimited text
        ("a,b\n1,2\n3,\xe9\n".encode("latin1"), ["not UTF-8", "0xe9", "iconv"]),
        ("\xe9,b\n1,2\n".encode("latin1"), ["not UTF-8", "0xe9", "iconv"]),
        ("a,b\n1,2\n".encode("utf-16"), ["not UTF-8", "0xff"]),
        (b"a,b\n1,\x00\n", ["NUL bytes"]),
        ('a,b\n1,2\n3,"4\n5,6\n', ["unclosed quotation mark"]),
        ('\u2028\n\u2028\n"a","b, c"\r', ["saw 2; look for an unclosed quotation mark"]),
    ],
)
def test_defects_of_text(write, content, parts):
    assert_refused(write(content), *parts)


def test_a_late_defect_is_found_on_its_line(write):
    lines = [f"{i},{i}" for i in range(100_000)]
    lines[77_777] = "1,x"
    assert_refused(write("a,b\n" + "\n".join(lines)), "line 77779, column 'b': 'x'")
    lines[77_777] = "1,"
    assert_refused(write("a,b\n" + "\n".join(lines)), "line 77779, column 'b'", "1 missing cell")
    lines[77_777] = "1"
    assert_refused(write("a,b\n" + "\n".join(lines)), "line 77779: 1 cell")


def test_too_large_for_float32(write):
    path = write("a\n1\n1e300\n")
    assert_refused(path, "line 3, column 'a'", "too large for float32", dtype=np.float32)
    assert read_table(path).values[1, 0] == 1e300


@pytest.mark.parametrize(
    ("columns", "part"),
    [
        (["c"], "no column named 'c'; the columns are a, b, b"),
        (["4"], "no column number 4; the columns are numbered 1 to 3"),
        ([0], "no column number 0"),
        (["a", 1], "column 1 is chosen twice"),
        (["b"], "2 columns are named 'b'; choose one of them by its number: 2, 3"),
        ([], "no column is chosen"),
    ],
)
def test_wrong_choice_of_columns(write, columns, part):
    assert_refused(write("a,b,b\n1,2,3\n"), part, columns=columns)


def test_names_for_a_file_without_names(write):
    assert_refused(
        write("1,2\n"), "no names of columns, so choose by number, 1 to 2", columns=["a"]
    )


def test_many_names_are_cut_short(write):
    header = ",".join(f"c{i}" for i in range(500))
    with pytest.raises(DataFileError, match=r"c11 and 488 more$") as caught:
        read_table(write(header + "\n" + ",".join("1" * 500)), ["nope"])
    assert len(str(caught.value)) < 500


def test_paths(tmp_path, write):
    with pytest.raises(FileNotFoundError, match="check the path"):
        read_table(tmp_path / "nowhere.csv")
    assert_refused(tmp_path, "is a folder")
    for name in ("data.xlsx", "data"):
        assert_refused(write("1", name), "the known ones are " + ", ".join(READERS))


@pytest.mark.parametrize("package", ["pandas", "pyarrow"])
def test_missing_packages(write, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    path = write("a\n1\n", "data.parquet" if package == "pyarrow" else "data.csv")
    with pytest.raises(MissingDependencyError, match=r"pip install 'fastem\[cli\]'") as caught:
        read_table(path)
    assert package in str(caught.value)


# --- NumPy ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (np.arange(6.0).reshape(3, 2), np.float64),
        (np.asfortranarray(np.arange(6.0).reshape(3, 2)), np.float64),
        (np.arange(6, dtype=np.float32).reshape(3, 2), np.float32),
        (np.arange(6, dtype=">f4").reshape(3, 2), np.float32),
        (np.arange(6, dtype=">f8").reshape(3, 2), np.float64),
        (np.arange(6, dtype=np.float16).reshape(3, 2), np.float64),
        (np.arange(6).reshape(3, 2), np.float64),
        (np.arange(6).reshape(3, 2) > 2, np.float64),
        (np.arange(6.0), np.float64),
    ],
)
def test_npy_and_npz(tmp_path, array, dtype):
    np.save(tmp_path / "data.npy", array)
    np.savez_compressed(tmp_path / "data.npz", array)
    for name in ("data.npy", "data.npz"):
        table = read_table(tmp_path / name)
        assert table.names is None
        assert column_names(tmp_path / name) is None
        assert_array_equal(table.values, array.reshape(len(array), -1).astype(dtype))
        assert table.values.dtype == dtype
        assert table.values.flags.c_contiguous
        last = table.values.shape[1]
        chosen = read_table(tmp_path / name, [last], dtype=np.float32).values
        assert_array_equal(chosen, table.values[:, [last - 1]])
        assert chosen.dtype == np.float32
        assert_refused(tmp_path / name, "no names of columns", columns=["a"])


def test_npy_is_mapped_not_read(tmp_path):
    path = tmp_path / "data.npy"
    array = np.lib.format.open_memmap(path, "w+", np.float64, (1 << 31, 4))  # 64 GiB, sparse
    array[-1] = 7.0
    del array
    table = read_table(path)
    assert table.values.shape == (1 << 31, 4)
    assert_array_equal(table.values[-1], 7.0)
    assert not table.values.flags.writeable


def test_npz_takes_the_array_named_x(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, y=np.zeros(3), X=np.ones((3, 2)))
    assert_array_equal(read_table(path).values, np.ones((3, 2)))
    np.savez(path, y=np.zeros(3), data=np.ones((3, 2)))
    assert_refused(path, "2 arrays (y, data) and none is named X")
    np.savez(path)
    assert_refused(path, "holds no arrays")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "no array")
    assert_refused(path, "holds 'notes.txt', which is no array")


@pytest.mark.parametrize(
    ("array", "part"),
    [
        (np.zeros((2, 2, 2)), "3 dimensions; reshape it"),
        (np.zeros(()), "0 dimensions; reshape it"),
        (np.zeros((0, 2)), "empty array"),
        (np.zeros((2, 0)), "empty array"),
        (np.array([[1j]]), "complex128, not real numbers"),
        (np.array([["a"]]), "not real numbers"),
        (np.array([["2020-01-01"]], dtype="M8[D]"), "not real numbers"),
        (np.array([[None]]), "Python objects"),
    ],
)
def test_unusable_arrays(tmp_path, array, part):
    np.save(tmp_path / "data.npy", array)
    np.savez(tmp_path / "data.npz", array)
    assert_refused(tmp_path / "data.npy", part)
    assert_refused(tmp_path / "data.npz", part)


def test_damaged_npy_and_npz(tmp_path, write):
    np.save(tmp_path / "whole.npy", np.zeros((100, 3)))
    np.savez(tmp_path / "whole.npz", np.zeros((100, 3)))
    for extension in ("npy", "npz"):
        content = (tmp_path / f"whole.{extension}").read_bytes()
        for length in range(0, len(content), len(content) // 10):
            path = write(content[:length], f"cut.{extension}")
            assert_refused(path, "is empty" if length == 0 else f"not a readable .{extension} file")
    assert_refused(write((tmp_path / "whole.npy").read_bytes(), "a.npz"), "rename it to .npy")
    assert_refused(write("a,b\n1,2\n", "text.npy"), "not a readable .npy file")
    assert_refused(write("a,b\n1,2\n", "text.npz"), "not a readable .npz file")


def test_false_shape_in_npz(tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f8", "fortran_order": False, "shape": (10**15, 10**3)}
    )
    path = tmp_path / "false.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", buffer.getvalue())
    assert_refused(path, "not a readable .npz file")
    path = tmp_path / "false.npy"
    path.write_bytes(buffer.getvalue())
    assert_refused(path, "not a readable .npy file")


def test_bytes_that_are_no_long_double_are_nan(write):
    longdouble = np.dtype(np.longdouble)
    if longdouble.itemsize == 8:
        pytest.skip("long double is double here")
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((1, 2), longdouble))
    size = 2 * longdouble.itemsize
    # of x87: an exponent without the leading 1 that goes with it
    value = (b"\1" + bytes(7) + b"\xff\x3f").ljust(longdouble.itemsize, b"\0")
    content = buffer.getvalue()[:-size] + value * 2
    assert read_table(write(content, "data.npy")).values.shape == (1, 2)


# --- Parquet --------------------------------------------------------------------------------------


@pytest.fixture
def parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    def write(columns, **types):
        arrays = {n: pyarrow.array(v, type=types.get(n)) for n, v in columns.items()}
        path = tmp_path / "data.parquet"
        parquet.write_table(pyarrow.table(arrays), path)
        return path

    return write


def test_parquet(parquet):
    import pyarrow

    columns = {
        "a.b": [1, 2],
        "c": [0.5, 1e300],
        "d": [True, False],
        "e": [decimal.Decimal("1.25")] * 2,
    }
    path = parquet(columns, **{"a.b": pyarrow.int8()})
    table = read_table(path)
    assert table.names == column_names(path) == list(columns)
    assert_array_equal(table.values, [[1, 0.5, 1, 1.25], [2, 1e300, 0, 1.25]])
    assert table.values.flags.c_contiguous
    table = read_table(path, ["d", 1], dtype=np.float32)
    assert table.names == ["d", "a.b"]
    assert_array_equal(table.values, np.float32([[1, 1], [0, 2]]))
    assert_refused(path, "row 2, column 'c'", "too large for float32", dtype=np.float32)


def test_parquet_of_float32_stays_float32(parquet):
    import pyarrow

    path = parquet({"a": [0.1], "b": [1.0]}, a=pyarrow.float32(), b=pyarrow.float32())
    assert read_table(path).values.dtype == np.float32
    path = parquet({"a": [0.1], "b": [1.0]}, a=pyarrow.float32())
    assert read_table(path).values.dtype == np.float64


def test_the_index_that_pandas_stores_is_not_data(tmp_path):
    pytest.importorskip("pyarrow")
    pandas.DataFrame({"a": [2.0, 3.0]}, index=[7, 5]).to_parquet(tmp_path / "data.parquet")
    table = read_table(tmp_path / "data.parquet")
    assert table.names == ["a"]
    assert_array_equal(table.values, [[2], [3]])


def test_defects_of_parquet(parquet, write):
    path = parquet({"a": [1, 2, None, None], "b": [1.0, 2.0, 3.0, 4.0]})
    assert_refused(
        path, "row 3, column 'a': the cell is null", "2 missing cells", "drop these rows"
    )
    assert_array_equal(read_table(path, ["b"]).values, [[1], [2], [3], [4]])
    path = parquet({"a": [1.0, float("nan")]})
    assert_refused(path, "row 2, column 'a': the cell is empty", "1 missing cell")
    path = parquet({"a": [1.0, float("inf")]})
    assert_refused(path, "row 2, column 'a': the number is infinite")
    path = parquet({"name": ["u"], "x": [1.0], "y": [2]})
    assert_refused(path, "column 'name' holds text", "--columns x,y")
    assert_refused(path, "no column named 'z'; the columns are name, x, y", columns=["z"])
    import pyarrow

    assert_refused(parquet({"a": []}, a=pyarrow.float64()), "columns but no rows")
    path = parquet({"é": [1.0]})
    undecodable = path.read_bytes().replace("é".encode(), b"\xe1\xe1")
    for content in (b"", b"PAR1", path.read_bytes()[:-10], undecodable):
        assert_refused(write(content, "cut.parquet"), "not a readable Parquet file")
