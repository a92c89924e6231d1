"""Model files: saving atomically, loading safely.  Tables of data are read and written here too.

A model file is a safetensors container [1]_: eight bytes with the length of the header, a JSON
header, then the bytes of the arrays.  There is no code in it, and none is executed to load one::

    8 bytes    length of the header, little-endian
    header     {"__metadata__": {"format": "fastem", "format_version": "1",
                                 "kind": "GaussianMixture", "fastem_version": ...,
                                 "metadata": "{JSON}", "sha256": ...},
                "means": {"dtype": "F64", "shape": [3, 2], "data_offsets": [0, 48]}, ...}
    data       the arrays, little-endian, in C order, without gaps

The checksum guards against damage, not against forgery.  Before anything is allocated, the length
of the header and what it declares are checked against the size of the file.

References
----------
.. [1] https://huggingface.co/docs/safetensors, section "Format".
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import os
import stat
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from ._files import StrPath, atomic_write, check_destination, write_table
from .exceptions import ModelFileError
from .tables import Table, read_table

__all__ = [
    "Table",
    "atomic_write",
    "check_destination",
    "load",
    "read_table",
    "save_model",
    "saveable",
    "write_table",
]

FORMAT_VERSION = 1

#: Class name -> estimator class; filled by the `saveable` decorator.
MODEL_KINDS: dict[str, type[Any]] = {}

_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_MAX_HEADER = 100_000_000  # the limit of the safetensors library
_MAX_DIMENSIONS = 32

Class = TypeVar("Class", bound=type[Any])


def saveable(cls: Class) -> Class:
    """Register an estimator class as one that `save_model` and `load` handle.

    To be saveable, a class must have:

    - ``_get_state(self) -> (arrays, metadata)``: a dict of arrays of floats or integers, and a dict
      that JSON can hold;
    - ``_from_state(cls, arrays, metadata)``, a classmethod that returns the estimator and raises
      `ModelFileError` if the two do not fit together.

    Parameters
    ----------
    cls : type
        The class; its name becomes the kind written in the file.

    Returns
    -------
    type
        The class itself.
    """
    known = MODEL_KINDS.setdefault(cls.__name__, cls)
    if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(f"two classes named {cls.__name__} cannot both be saveable")
    MODEL_KINDS[cls.__name__] = cls
    return cls


def save_model(estimator: Any, path: StrPath) -> None:
    """Save a fitted estimator, atomically.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator of a class marked `saveable`.
    path : path
        The file to write, usually named ``*.fastem``.  An old file is replaced only once the new
        one is complete.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator is of a class that cannot be saved, or holds values that cannot.
    OSError
        If the file cannot be written; the old one, if any, stays as it was.
    """
    kind = type(estimator).__name__
    if MODEL_KINDS.get(kind) is not type(estimator):
        raise TypeError(
            f"a {kind} cannot be saved; the classes that can are {', '.join(sorted(MODEL_KINDS))}"
        )
    check_is_fitted(estimator)
    arrays, state = estimator._get_state()
    # Wide types first, so that every array is aligned.
    encoded = sorted(
        ((name, _encoded(name, array)) for name, array in arrays.items()),
        key=lambda item: (-item[1].itemsize, item[0]),
    )
    header: dict[str, Any] = {}
    offset = 0
    for name, array in encoded:
        end = offset + array.nbytes
        header[name] = {
            "dtype": _CODES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    header["__metadata__"] = {
        "format": "fastem",
        "format_version": str(FORMAT_VERSION),
        "kind": kind,
        "fastem_version": package_version(),
        "metadata": json.dumps(state, default=_plain),
    }
    blocks = [array.tobytes() for _, array in encoded]
    header["__metadata__"]["sha256"] = _checksum(header, blocks)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with atomic_write(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        file.writelines(blocks)


def load(path: StrPath) -> Any:
    """Load an estimator that `save_model` wrote.

    Loading never executes code from the file, and allocates nothing that the size of the file does
    not vouch for.

    Parameters
    ----------
    path : path
        The model file.

    Returns
    -------
    estimator
        The fitted estimator.

    Raises
    ------
    ModelFileError
        If the file is not a model file, is damaged, or was written by a newer fastem; the message
        says which.
    OSError
        If the file cannot be opened (FileNotFoundError, PermissionError).
    """
    name = os.fspath(path)
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise ModelFileError(f"{name} is a folder, not a model file: give the name of a file in it")
    if not stat.S_ISREG(mode):  # a pipe would block, a device never end
        raise ModelFileError(f"{name} is not a regular file: give a file that fastem saved")
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            header, start = _read_header(file, size)
            metadata = header["__metadata__"]
            cls = _check_metadata(metadata)
            layout = _check_layout(header, size - start)
            data = bytearray(size - start)
            if file.readinto(data) != len(data):
                raise ModelFileError("became shorter while it was read: load it again")
        if metadata.get("sha256") != _checksum(header, [data]):
            raise ModelFileError("is damaged (its checksum is wrong): copy it or save it again")
        arrays = {
            key: np.frombuffer(data, dtype, math.prod(shape), begin)
            .reshape(shape)
            .astype(dtype.newbyteorder("="))
            for key, (dtype, shape, begin) in layout.items()
        }
        return _restored(cls, arrays, metadata)
    except ModelFileError as error:
        raise ModelFileError(f"{name} {error}") from error.__cause__
    except MemoryError as error:
        raise ModelFileError(f"{name} is too large for the memory of this machine") from error


def package_version() -> str:
    """Version of the installed fastem."""
    try:
        return importlib.metadata.version("fastem")
    except importlib.metadata.PackageNotFoundError:  # run from a source tree
        return "unknown"


def _encoded(name: str, array: ArrayLike) -> NDArray[Any]:
    """Convert an array to what the file holds: little-endian, in C order."""
    values = np.asarray(array, order="C")
    dtype = values.dtype.newbyteorder("<")
    if dtype not in _CODES:
        raise TypeError(f"array {name!r} of type {values.dtype} cannot be saved; use float64")
    return values.astype(dtype, copy=False)


def _plain(value: object) -> Any:
    """Convert NumPy's scalars for JSON, and say which value it cannot hold."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot be saved in a model file: {value!r}")


def _checksum(header: Mapping[str, Any], blocks: Sequence[bytes | bytearray]) -> str:
    """SHA-256 of the header, less the checksum itself, and of the data."""
    metadata = {k: v for k, v in header["__metadata__"].items() if k != "sha256"}
    digest = hashlib.sha256(
        json.dumps({**header, "__metadata__": metadata}, sort_keys=True).encode()
    )
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def _read_header(file: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    """Header of a model file and the position where the data begin."""
    if size == 0:
        raise ModelFileError("is empty: copy it or save it again")
    prefix = file.read(8)
    length = int.from_bytes(prefix, "little")
    if len(prefix) < 8 or not 2 <= length <= min(size - 8, _MAX_HEADER):
        raise ModelFileError(
            "is not a fastem model file, or is cut short (its header does not fit its size of "
            f"{size} bytes): copy it or save it again"
        )
    try:
        header = json.loads(file.read(length).decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(
            "is not a fastem model file, or is damaged (its header is not valid JSON): copy it or "
            "save it again"
        ) from error
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or metadata.get("format") != "fastem":
        raise ModelFileError("is not a fastem model file: give a file that fastem saved")
    return header, 8 + length


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a name occurs twice")
    return result


def _check_metadata(metadata: dict[str, Any]) -> type[Any]:
    """Class of the estimator in the file, if this version can read it."""
    damaged = "is damaged (its {} is not valid): copy it or save it again"
    if not all(isinstance(value, str) for value in metadata.values()):
        raise ModelFileError(damaged.format("metadata"))
    version = metadata.get("format_version", "")
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise ModelFileError(damaged.format("format version"))
    if int(version) > FORMAT_VERSION:
        raise ModelFileError(
            f"was written by a newer fastem, format {int(version)}; this one reads up to "
            f"{FORMAT_VERSION}: upgrade fastem (pip install --upgrade fastem)"
        )
    cls = MODEL_KINDS.get(metadata.get("kind", ""))
    if cls is None:
        raise ModelFileError(
            f"holds a model of kind {metadata.get('kind')!r}, which this fastem does not know "
            f"(it knows {', '.join(sorted(MODEL_KINDS))}): upgrade fastem"
        )
    return cls


def _check_layout(
    header: dict[str, Any], size: int
) -> dict[str, tuple[np.dtype[Any], tuple[int, ...], int]]:
    """Type, shape and offset of every array, if together they fill the data exactly."""
    layout: dict[str, tuple[np.dtype[Any], tuple[int, ...], int]] = {}
    extents: list[tuple[int, int]] = []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        damaged = ModelFileError(
            f"is damaged (the declaration of array {name!r} is not valid): copy it or save it again"
        )
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise damaged
        code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not (isinstance(code, str) and _are_counts(shape) and _are_counts(offsets)):
            raise damaged
        if code not in _DTYPES or len(shape) > _MAX_DIMENSIONS or len(offsets) != 2:
            raise damaged
        # Python's integers do not overflow, whatever the file claims.
        if offsets[1] - offsets[0] != math.prod(shape) * _DTYPES[code].itemsize:
            raise damaged
        layout[name] = (_DTYPES[code], tuple(shape), offsets[0])
        extents.append((offsets[0], offsets[1]))
    position = 0
    for begin, end in sorted(extents):
        if begin != position:
            raise ModelFileError(
                "is damaged (its arrays overlap or leave gaps): copy it or save it again"
            )
        position = end
    if position != size:
        raise ModelFileError(
            f"is cut short or damaged ({size} bytes of data where the header announces "
            f"{position}): copy it or save it again"
        )
    return layout


def _are_counts(values: object) -> bool:
    return isinstance(values, list) and all(type(v) is int and v >= 0 for v in values)


def _restored(cls: type[Any], arrays: dict[str, NDArray[Any]], metadata: dict[str, str]) -> Any:
    """Build the estimator; whatever is wrong with its state becomes a ModelFileError."""
    try:
        state = json.loads(metadata.get("metadata", ""))
        if not isinstance(state, dict):
            raise ValueError("the metadata are not a JSON object")
        return cls._from_state(arrays, state)
    except ModelFileError as error:
        raise ModelFileError(f"is not a usable {cls.__name__}: {error}") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"is not a usable {cls.__name__} ({type(error).__name__}: {error}): save it again"
        ) from error
    except RecursionError as error:
        raise ModelFileError("is damaged (its metadata are nested too deep)") from error
