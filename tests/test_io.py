"""Model files: what is saved comes back, saving is all or nothing, loading trusts nothing."""

import contextlib
import errno
import hashlib
import json
import os
import pickle
import stat
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from fastem import GaussianMixture, io
from fastem.exceptions import ModelFileError

#: What is said of every file in which safetensors finds a defect.
DAMAGED = "is damaged or is not a fastem model file: copy it or save it again"

FAITHFUL = Path(__file__).parent.parent / "examples" / "faithful.csv"


@pytest.fixture(scope="module")
def data():
    pandas = pytest.importorskip("pandas")
    return pandas.read_csv(FAITHFUL)


@pytest.fixture(scope="module")
def model(data):
    return GaussianMixture(2, random_state=0, tol=1e-6).fit(data)


@pytest.fixture(scope="module")
def content(model, tmp_path_factory):
    """The bytes of a model file."""
    path = tmp_path_factory.mktemp("model") / "model.fastem"
    io.save_model(model, path)
    return path.read_bytes()


@pytest.fixture
def target(tmp_path):
    """A file that exists, in a folder of its own."""
    path = tmp_path / "folder" / "model.fastem"
    path.parent.mkdir()
    path.write_bytes(b"the old content")
    return path


def assert_untouched(path):
    assert path.read_bytes() == b"the old content"
    assert os.listdir(path.parent) == [path.name]


def pack(header, data=b"", length=None):
    """A container with this header (a dict or raw bytes) and data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def unpack(content):
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def sealed(header, data):
    """A container whose checksum is right, so that the checks behind it are reached."""
    metadata = {k: v for k, v in header["__metadata__"].items() if k != "sha256"}
    arrays = {k: v for k, v in header.items() if k != "__metadata__"}
    assert all(array["dtype"] == "F64" for array in arrays.values())
    layout = {name: ["float64", array["shape"]] for name, array in arrays.items()}
    digest = hashlib.sha256(json.dumps([metadata, layout], sort_keys=True).encode())
    for _, array in sorted(arrays.items()):
        digest.update(data[slice(*array["data_offsets"])])
    metadata["sha256"] = digest.hexdigest()
    return pack({**header, "__metadata__": metadata}, data)


def header_of(arrays, **metadata):
    """A header that is right up to the arrays."""
    known = {
        "format": "fastem",
        "format_version": "1",
        "kind": "GaussianMixture",
        "metadata": "{}",
        **metadata,
    }
    return {"__metadata__": known, **arrays}


def assert_refused(tmp_path, content, match):
    path = tmp_path / "refused.fastem"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=match) as caught:
        io.load(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message


def assert_refused_at_once(tmp_path, content, match):
    """Refused with little memory, whatever the content declares."""
    assert_refused(tmp_path, content, match)  # what Python allocates once does not count
    tracemalloc.start()
    try:
        assert_refused(tmp_path, content, match)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


# --- what is saved comes back ---------------------------------------------------------------------


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_round_trip_is_bitwise(data, tmp_path, covariance_type, dtype):
    X = data.to_numpy(dtype=dtype)
    fitted = GaussianMixture(3, covariance_type=covariance_type, random_state=1).fit(X)
    io.save_model(fitted, tmp_path / "model.fastem")
    loaded = io.load(tmp_path / "model.fastem")
    assert type(loaded) is GaussianMixture
    assert loaded.get_params() == fitted.get_params()
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_", "lower_bounds_"):
        assert_array_equal(getattr(loaded, name), getattr(fitted, name))
    assert loaded.means_.dtype == dtype
    assert (loaded.converged_, loaded.n_iter_) == (fitted.converged_, fitted.n_iter_)
    assert_array_equal(loaded.score_samples(X), fitted.score_samples(X))
    assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))


def test_names_of_columns_are_kept(data, model, tmp_path):
    io.save_model(model, tmp_path / "model.fastem")
    loaded = io.load(tmp_path / "model.fastem")
    assert list(loaded.feature_names_in_) == ["duration", "waiting"]
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(data[["waiting", "duration"]])


def test_file_is_a_safetensors_container(model, content, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with safetensors.safe_open(path, framework="np") as file:
        metadata = file.metadata()
        means = file.get_tensor("means_")
    assert metadata["format"] == "fastem"
    assert metadata["format_version"] == "1"
    assert metadata["kind"] == "GaussianMixture"
    assert_array_equal(means, model.means_)


class Probe(BaseEstimator):
    """An estimator that saves the arrays it is given."""

    def __init__(self, arrays=None, metadata=None):
        self.arrays = arrays
        self.metadata = metadata
        self.fitted_ = True

    def fit(self, X, y=None):
        return self

    def _get_state(self):
        return self.arrays, self.metadata or {}

    @classmethod
    def _from_state(cls, arrays, metadata):
        return cls(arrays, metadata)


@pytest.fixture
def probe(monkeypatch):
    monkeypatch.setattr(io, "MODEL_KINDS", dict(io.MODEL_KINDS))
    return io.saveable(Probe)


def test_any_layout_and_integer_type_comes_back(probe, tmp_path):
    arrays = {
        "scalar": np.array(3.5),
        "empty": np.empty((0, 4)),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "strided": np.arange(10.0)[::-3],
        "big": np.arange(5, dtype=">f8"),
        "single": np.float32([1.5, np.nan, np.inf]),
        "bytes": np.arange(3, dtype=np.uint8),
        "whole": np.array([[2**62], [-1]]),
    }
    io.save_model(probe(arrays, {"é\n": [1, None, "x", np.int64(4)]}), tmp_path / "p.fastem")
    loaded = io.load(tmp_path / "p.fastem")
    assert loaded.metadata == {"é\n": [1, None, "x", 4]}
    assert set(loaded.arrays) == set(arrays)
    for name, array in arrays.items():
        assert_array_equal(loaded.arrays[name], array)
        assert loaded.arrays[name].shape == array.shape
        assert loaded.arrays[name].dtype == array.dtype.newbyteorder("=")
        assert loaded.arrays[name].flags.aligned
        assert loaded.arrays[name].flags.writeable


def test_arrays_are_aligned_in_the_file(probe, tmp_path):
    arrays = {"a": np.zeros(3, np.uint8), "b": np.zeros(3), "c": np.zeros(3, np.int16)}
    io.save_model(probe(arrays), tmp_path / "p.fastem")
    content = (tmp_path / "p.fastem").read_bytes()
    header, data = unpack(content)
    assert (len(content) - len(data)) % 8 == 0
    for name, array in arrays.items():
        assert header[name]["data_offsets"][0] % array.itemsize == 0


# --- saving: all or nothing -----------------------------------------------------------------------


def test_unfitted_estimator_is_not_saved(target):
    with pytest.raises(NotFittedError):
        io.save_model(GaussianMixture(2), target)
    assert_untouched(target)


def test_other_classes_are_not_saved(model, target):
    class Child(GaussianMixture):
        pass

    for estimator in (BaseEstimator(), Child(1).fit([[0.0], [1.0]])):
        with pytest.raises(TypeError, match=r"cannot be saved.*GaussianMixture"):
            io.save_model(estimator, target)
    assert_untouched(target)


@pytest.mark.parametrize(
    "array",
    [np.array(["a"]), np.array([1j]), np.complex64([1j]), np.array([None]), np.array([True])],
    ids=lambda array: str(array.dtype),
)
def test_arrays_that_hold_no_numbers_are_not_saved(probe, target, array):
    with pytest.raises(TypeError, match=r"array 'x' of type .* cannot be saved"):
        io.save_model(probe({"x": array}), target)
    assert_untouched(target)


def test_metadata_that_json_cannot_hold_are_not_saved(probe, target):
    with pytest.raises(TypeError, match="a set cannot be saved"):
        io.save_model(probe({}, {"x": {1}}), target)
    assert_untouched(target)


def test_two_classes_of_one_name_cannot_both_be_saveable(probe):
    other = type("Probe", (BaseEstimator,), {"__module__": "elsewhere"})
    with pytest.raises(ValueError, match="two classes named Probe"):
        io.saveable(other)
    assert io.MODEL_KINDS["Probe"] is probe


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_error_while_writing_leaves_the_old_file(target, error):
    with pytest.raises(error), io.atomic_write(target, "wb") as file:  # noqa: PT012
        file.write(b"half of the new")
        raise error
    assert_untouched(target)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_system_call_leaves_the_old_file(model, target, monkeypatch, call):
    def fail(*_):
        raise OSError(errno.EIO, "boom")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match=r"cannot write this file: .*error; check the path") as caught:
        io.save_model(model, target)
    assert caught.value.errno == errno.EIO
    assert caught.value.filename == str(target)
    assert_untouched(target)


def test_a_full_disk_leaves_the_old_file(model, target):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match="the old file, if any, is unchanged") as caught:
            io.save_model(model, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    assert_untouched(target)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_device_is_written_directly_and_stays_a_device(model):
    with pytest.raises(OSError, match="free some space") as caught:
        io.save_model(model, "/dev/full")
    assert caught.value.errno == errno.ENOSPC
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_the_content_is_synced_before_it_takes_its_place(model, target, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, f=original, n=name: (calls.append(n), f(*a))[1])
    io.save_model(model, target)
    assert calls[:2] == ["fsync", "replace"]
    assert type(io.load(target)) is GaussianMixture
    assert os.listdir(target.parent) == [target.name]


@pytest.mark.skipif(os.name != "posix", reason="modes and links of POSIX")
def test_mode_and_link_are_kept(model, target, tmp_path):
    target.chmod(0o640)
    link = tmp_path / "link.fastem"
    link.symlink_to(target)
    io.save_model(model, link)
    assert link.is_symlink()
    assert type(io.load(target)) is GaussianMixture
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


@pytest.mark.skipif(os.name != "posix", reason="Windows has no umask")
def test_a_new_file_follows_the_umask(model, tmp_path):
    old = os.umask(0o027)
    try:
        io.save_model(model, tmp_path / "new.fastem")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "new.fastem").stat().st_mode) == 0o640


def test_errors_of_the_path_say_what_to_do(model, tmp_path):
    with pytest.raises(FileNotFoundError, match="create it first") as caught:
        io.save_model(model, tmp_path / "nowhere" / "model.fastem")
    assert caught.value.filename.endswith("model.fastem")
    with pytest.raises(IsADirectoryError, match="give the name of a file"):
        io.save_model(model, tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="check the path"):
        io.save_model(model, tmp_path / "file" / "model.fastem")
    assert os.listdir(tmp_path) == ["file"]


def test_an_unwritable_folder_is_named(model, target):
    target.parent.chmod(0o500)
    try:
        if os.access(target.parent, os.W_OK):
            pytest.skip("this user may write anywhere")
        for write in (io.save_model, lambda _, path: io.check_destination(path)):
            with pytest.raises(PermissionError, match="a folder that you may write to"):
                write(model, target)
    finally:
        target.parent.chmod(0o700)
    assert_untouched(target)


def test_the_caller_s_own_errors_pass_unchanged(target):
    with (
        pytest.raises(FileNotFoundError, match="No such file") as caught,
        io.atomic_write(target, "w"),
    ):
        (target.parent / "other").read_bytes()
    assert caught.value.filename == str(target.parent / "other")
    assert_untouched(target)


def test_check_destination_writes_nothing(tmp_path):
    io.check_destination(tmp_path / "new.fastem")
    io.check_destination("new.fastem")
    assert os.listdir(tmp_path) == []
    with pytest.raises(FileNotFoundError, match="create it first"):
        io.check_destination(tmp_path / "nowhere" / "new.fastem")
    with pytest.raises(IsADirectoryError, match="give the name of a file"):
        io.check_destination(tmp_path)


# --- loading: nothing is trusted ------------------------------------------------------------------


@pytest.mark.parametrize("tenth", range(10))
def test_truncated_file(content, tmp_path, tenth):
    match = "is empty: copy it" if tenth == 0 else DAMAGED
    assert_refused(tmp_path, content[: len(content) * tenth // 10], match)


def test_one_byte_short_or_long(content, tmp_path):
    assert_refused(tmp_path, content[:-1], DAMAGED)
    assert_refused(tmp_path, content + b"\0", DAMAGED)


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_any_flipped_byte_is_noticed(content, tmp_path, mask):
    path = tmp_path / "model.fastem"
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= mask
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError):
            io.load(path)


@settings(max_examples=200, deadline=None)
@given(start=st.integers(0, 2000), piece=st.binary(max_size=60))
def test_overwritten_pieces_are_noticed(content, tmp_path_factory, start, piece):
    damaged = content[:start] + piece + content[start + len(piece) :]
    path = tmp_path_factory.getbasetemp() / "overwritten.fastem"
    path.write_bytes(damaged)
    refused = contextlib.nullcontext() if damaged == content else pytest.raises(ModelFileError)
    with refused:
        io.load(path)


def entry(dtype="F64", shape=(2,), offsets=(0, 16)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    "declared",
    [
        entry(shape=(10**18,)),
        entry(shape=(10**18,), offsets=(0, 8 * 10**18)),
        entry(shape=(2**61, 2**61, 2**6)),  # 0 modulo 2**64
        entry(shape=(2**64 + 2,)),
        entry(shape=(-2,)),
        entry(shape=(-1, -2)),
        entry(shape=(2.0,)),
        entry(shape=(True, 2)),
        entry(shape=[[2]]),
        entry(shape=(2, *[1] * 100)),  # more dimensions than NumPy has
        entry(dtype="BF16"),
        entry(dtype="BF16", shape=(8,)),  # right, but not for NumPy
        entry(dtype="F8_E4M3", shape=(16,)),
        entry(dtype="O"),
        entry(dtype=8),
        entry(offsets=(0, 15)),
        entry(offsets=(16, 0)),
        entry(offsets=(-16, 0)),
        entry(offsets=(8, 24)),
        entry(offsets=(0,)),
        {"dtype": "F64", "shape": "2", "data_offsets": [0, 16]},
        {"dtype": "F64", "shape": [2]},
        [],
        "F64",
        None,
    ],
)
def test_false_declarations_allocate_nothing(tmp_path, declared):
    assert_refused_at_once(tmp_path, pack(header_of({"x": declared}), bytes(16)), DAMAGED)


def test_right_declarations_reach_the_checksum(tmp_path):
    """The tests around are refused for their own reason."""
    assert_refused(tmp_path, pack(header_of({"x": entry()}), bytes(16)), "checksum")


def test_arrays_must_fill_the_data_exactly(tmp_path):
    overlap = {"x": entry(), "y": entry(offsets=(8, 24))}
    assert_refused(tmp_path, pack(header_of(overlap), bytes(24)), DAMAGED)
    gap = {"x": entry(), "y": entry(offsets=(24, 40))}
    assert_refused(tmp_path, pack(header_of(gap), bytes(40)), DAMAGED)
    assert_refused(tmp_path, pack(header_of({"x": entry()}), bytes(17)), DAMAGED)


@pytest.mark.parametrize("length", [0, 1, 17, 2**31, 2**62, 2**64 - 1])
def test_false_length_of_the_header(tmp_path, length):
    assert_refused_at_once(tmp_path, pack(b"{}" + b" " * 6, length=length), DAMAGED)


@pytest.mark.parametrize(
    "header",
    [
        b"{ ",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"x": {}, "x": {}}',
        b'{"x": ' + b"9" * 10_000 + b"}",
        b"{} {}",
    ],
)
def test_header_that_is_not_json(tmp_path, header):
    assert_refused(tmp_path, pack(header), DAMAGED)


@pytest.mark.parametrize(
    "content",
    [
        pack([]),
        pack(b"null"),
        pack({"__metadata__": "fastem"}),
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"duration,waiting\n3.6,79\n",
        b"x",
        bytes(1000),
    ],
)
def test_other_files(tmp_path, content):
    assert_refused(tmp_path, content, DAMAGED)


@pytest.mark.parametrize(
    "content",
    [
        pack({}),
        pack({"__metadata__": {}}),
        pack({"x": entry()}, bytes(16)),
        pack({"__metadata__": {"format": "pt"}, "x": entry()}, bytes(16)),
    ],
)
def test_safetensors_files_of_others(tmp_path, content):
    assert_refused(tmp_path, content, "is not a fastem model file: give a file that fastem saved")


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("exploded",))


def test_no_code_is_executed(probe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bomb = pickle.dumps(Bomb())
    assert_refused(tmp_path, bomb, "is not a fastem model file")
    array = np.frombuffer(bomb, np.uint8)
    io.save_model(probe({"x": array}), tmp_path / "probe.fastem")
    assert_array_equal(io.load(tmp_path / "probe.fastem").arrays["x"], array)
    assert not (tmp_path / "exploded").exists()


def test_newer_version_is_refused_clearly(content, tmp_path):
    header, data = unpack(content)
    header["__metadata__"]["format_version"] = "7"
    header["x"] = entry("F8_E4M3", (0,), (0, 0))  # whatever a newer format may hold
    assert_refused(
        tmp_path,
        pack(header, data),
        "was written by a newer fastem, format 7; this one reads up to 1: upgrade fastem",
    )


@pytest.mark.parametrize("version", ["", "one", "-1", "1.5", "²", "9" * 5000])
def test_version_that_is_no_number(tmp_path, version):
    assert_refused(tmp_path, pack(header_of({}, format_version=version)), "format version")


def test_metadata_must_be_text(tmp_path):
    assert_refused(tmp_path, pack(header_of({}, kind=["GaussianMixture"])), DAMAGED)


def test_unknown_kind(content, tmp_path):
    header, data = unpack(content)
    header["__metadata__"]["kind"] = "HiddenMarkovModel"
    match = r"kind 'HiddenMarkovModel', which .* knows GaussianMixture.*: upgrade fastem"
    assert_refused(tmp_path, sealed(header, data), match)


def test_checksum_must_be_there(content, tmp_path):
    header, data = unpack(content)
    del header["__metadata__"]["sha256"]
    assert_refused(tmp_path, pack(header, data), "checksum")


@pytest.mark.parametrize(
    "state", ["", "[]", "{}", "null", '{"parameters": 3}', "[" * 100_000, "{" * 10]
)
def test_inconsistent_state(content, tmp_path, state):
    header, data = unpack(content)
    header["__metadata__"]["metadata"] = state
    assert_refused(tmp_path, sealed(header, data), "not a usable GaussianMixture")


def test_missing_array(content, tmp_path):
    header, data = unpack(content)
    header["other"] = header.pop("means_")
    assert_refused(tmp_path, sealed(header, data), "not a usable GaussianMixture")


@pytest.mark.parametrize("dtype", [np.bool_, np.complex64])
def test_arrays_that_hold_no_numbers_are_not_loaded(probe, tmp_path, monkeypatch, dtype):
    monkeypatch.setattr(io, "_is_plain", lambda array: True)
    try:
        io.save_model(probe({"x": np.zeros(3, dtype)}), tmp_path / "model.fastem")
    except safetensors.SafetensorError:
        pytest.skip("no file can have this type: an old safetensors does not know it")
    monkeypatch.undo()
    monkeypatch.setattr(io, "MODEL_KINDS", {"Probe": Probe})
    content = (tmp_path / "model.fastem").read_bytes()
    assert_refused(tmp_path, content, f"holds {np.dtype(dtype)} in 'x', not real numbers")


def test_loading_warns_of_no_number(content, tmp_path):
    header, data = unpack(content)
    begin, end = header["precisions_cholesky_"]["data_offsets"]
    huge = np.full((end - begin) // 8, 1e300).tobytes()
    path = tmp_path / "model.fastem"
    path.write_bytes(sealed(header, data[:begin] + huge + data[end:]))
    assert np.isinf(io.load(path).precisions_).all()


def test_resealed_content_loads(content, tmp_path):
    """The tests above are refused for their own reason, not for a wrong seal."""
    path = tmp_path / "model.fastem"
    path.write_bytes(sealed(*unpack(content)))
    assert io.load(path).n_components == 2


def test_a_file_that_may_not_be_read(content, tmp_path):
    path = tmp_path / "model.fastem"
    path.write_bytes(content)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read anything")
    with pytest.raises(PermissionError):
        io.load(path)


def test_folder_missing_file_and_pipe(tmp_path):
    with pytest.raises(ModelFileError, match="is a folder"):
        io.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        io.load(tmp_path / "nowhere.fastem")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ModelFileError, match="not a regular file"):
            io.load(tmp_path / "pipe")


# --- tables ---------------------------------------------------------------------------------------


def test_written_table_reads_back_exactly(tmp_path):
    pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    n = 70_000  # more than one chunk
    columns = {
        "wide, range": rng.normal(size=n) * 10.0 ** rng.integers(-300, 300, n),
        "tenths": np.arange(n) / 10.0,
        "whole": rng.integers(-5, 5, n),
        "single": rng.normal(size=n).astype(np.float32),
    }
    io.write_table(tmp_path / "table.csv", columns)
    table = io.read_table(tmp_path / "table.csv")
    assert table.names == list(columns)
    for i, column in enumerate(columns.values()):
        assert_array_equal(table.values[:, i], column.astype(float))


def test_table_on_the_standard_output(capsys):
    io.write_table("-", {"label": np.array([1, 0]), "x": [0.1, 2.0]})
    assert capsys.readouterr().out == "label,x\n1,0.1\n0,2.0\n"


def test_columns_must_have_one_length(target):
    for columns in ({"a": [1, 2], "b": [1]}, {"a": [[1, 2]]}):
        with pytest.raises(ValueError, match="of one length"):
            io.write_table(target, columns)
    assert_untouched(target)
