"""Model files: saving atomically, loading safely.  Tables of data are read and written here too.

A model file is a safetensors container [1]_: a JSON header, whose metadata are the strings below,
and the bytes of the arrays.  There is no code in it, and none is executed to load one.

- ``format`` ("fastem"), ``format_version``, and ``fastem_version``, which wrote it;
- ``kind``, the class of the estimator, and ``metadata``, its state beside the arrays, as JSON;
- ``sha256``, of the other strings and the arrays: it guards against damage, not against forgery.

References
----------
.. [1] https://huggingface.co/docs/safetensors, section "Format".
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import stat
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes
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

# What the content of a file can set off: in NumPy, by a type or shape that only safetensors knows,
# in the decoder of JSON, in an estimator.
_DEFECTS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

Class = TypeVar("Class", bound=type[Any])


def saveable(cls: Class) -> Class:
    """Register an estimator class as one that `save_model` and `load` handle.

    To be saveable, a class must have:

    - ``_get_state(self) -> (arrays, metadata)``: a dict of arrays of floats or integers, and a dict
      that JSON can hold;
    - ``_from_state(cls, arrays, metadata)``, a classmethod that returns the estimator. If the two
      do not fit together it raises a ValueError or the like: `load` makes it a `ModelFileError`.

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
    given, state = estimator._get_state()
    arrays = {name: np.asarray(array, order="C") for name, array in given.items()}
    for name, array in arrays.items():
        if not _is_plain(array):
            raise TypeError(f"array {name!r} of type {array.dtype} cannot be saved; use float64")
    metadata = {
        "format": "fastem",
        "format_version": str(FORMAT_VERSION),
        "kind": kind,
        "fastem_version": importlib.metadata.version("fastem"),
        "metadata": json.dumps(state, default=_plain),
    }
    metadata["sha256"] = _checksum(arrays, metadata)
    content = to_bytes(arrays, metadata)
    with atomic_write(path, "wb") as file:
        file.write(content)


def load(path: StrPath) -> Any:
    """Load an estimator from the file that its method `save` wrote.

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
    try:
        _check_file(path)
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            cls = _check_metadata(metadata)
            names = file.keys()
            arrays = {key: file.get_tensor(key) for key in names}
        if metadata.get("sha256") != _checksum(arrays, metadata):
            raise ModelFileError("is damaged (its checksum is wrong): copy it or save it again")
        for key, array in arrays.items():
            if not _is_plain(array):
                raise ModelFileError(f"holds {array.dtype} in {key!r}, not real numbers")
        return _restored(cls, arrays, metadata)
    except ModelFileError as error:
        raise ModelFileError(f"{name} {error}") from error.__cause__
    except MemoryError as error:
        raise ModelFileError(f"{name} is too large for the memory of this machine") from error
    except (SafetensorError, *_DEFECTS) as error:
        raise ModelFileError(
            f"{name} is damaged or is not a fastem model file: copy it or save it again"
        ) from error


def _is_plain(array: NDArray[Any]) -> bool:
    """Whether an array holds numbers of a type that model files hold."""
    return array.dtype.kind in "fiu" and array.itemsize <= 8


def _plain(value: object) -> Any:
    """Convert NumPy's scalars for JSON, and say which value it cannot hold."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot be saved in a model file: {value!r}")


def _checksum(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> str:
    """SHA-256 of the metadata, less the checksum itself, and of the arrays."""
    strings = {key: value for key, value in metadata.items() if key != "sha256"}
    layout = {name: [array.dtype.name, array.shape] for name, array in arrays.items()}
    digest = hashlib.sha256(json.dumps([strings, layout], sort_keys=True).encode())
    for _, array in sorted(arrays.items()):
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def _check_file(path: StrPath) -> None:
    """Refuse what safetensors cannot map, or would report as a missing file."""
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise ModelFileError("is a folder, not a model file: give the name of a file in it")
    if not stat.S_ISREG(status.st_mode):  # a pipe would block, a device never end
        raise ModelFileError("is not a regular file: give a file that fastem saved")
    if status.st_size == 0:
        raise ModelFileError("is empty: copy it or save it again")
    with open(path, "rb"):  # raises PermissionError
        pass


def _check_metadata(metadata: Mapping[str, str]) -> type[Any]:
    """Class of the estimator in the file, if this version can read it."""
    if metadata.get("format") != "fastem":
        raise ModelFileError("is not a fastem model file: give a file that fastem saved")
    version = metadata.get("format_version", "")
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise ModelFileError("is damaged (its format version is wrong): copy it or save it again")
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


def _restored(cls: type[Any], arrays: dict[str, NDArray[Any]], metadata: dict[str, str]) -> Any:
    """Build the estimator; whatever is wrong with its state becomes a ModelFileError."""
    try:
        # precisions beyond the range of their type were so when they were saved
        with np.errstate(all="ignore"):
            return cls._from_state(arrays, json.loads(metadata.get("metadata", "")))
    except ModelFileError as error:
        raise ModelFileError(f"is not a usable {cls.__name__}: {error}") from error
    except _DEFECTS as error:
        raise ModelFileError(
            f"is not a usable {cls.__name__} ({type(error).__name__}: {error}): save it again"
        ) from error
