"""Model files: a mutator that keeps them whole enough to be read deeply, and what must hold."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from fastem import GaussianMixture, io
from fastem.exceptions import ModelFileError

#: values that a number in JSON, or what stands where a number should, can take
ODD_VALUES = [
    None, True, False, 0, -1, 1, 2, 3, 7, 2**31, 2**53, 2**63, 2**64, -(2**63), 10**30, 10**400,
    0.5, -0.0, 1e-320, 1e308, float("nan"), float("inf"), float("-inf"), "", "full", "tied", "diag",
    "spherical", "kmeans", "random", "\0", "é\n", "x" * 300, [], [1], [[]], {}, {"a": 1},
]  # fmt: skip
ODD_NUMBERS = [0.0, -0.0, -1.0, 5e-324, 1e-300, 1e300, -1e300, np.nan, np.inf, -np.inf, 1.0, 0.5]
_TYPES = ["F64", "F32", "F16", "BF16", "I64", "I32", "U8", "U64", "BOOL", "F8_E4M3", "C64", "x", 8]


def seeds() -> list[bytes]:
    """Model files of every structure and type."""
    from fastem.covariances import COVARIANCES

    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(20, 3)), rng.normal(5, 2, size=(20, 3))])
    contents = []
    for name in COVARIANCES:
        for dtype in (np.float64, np.float32):
            model = GaussianMixture(
                2, covariance_type=name, random_state=0, weights_init=[0.5, 0.5]
            ).fit(X.astype(dtype))
            if dtype == np.float32:
                model.feature_names_in_ = np.array(["a", "b", "c"], dtype=object)
            path = Path("seed.fastem")
            io.save_model(model, path)
            contents.append(path.read_bytes())
            path.unlink()
    return contents


def unpack(content: bytes) -> tuple[dict[str, Any], bytes] | None:
    """Header and data of a container; None where there is no header to change."""
    length = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError):
        return None
    return (header, content[8 + length :]) if isinstance(header, dict) else None


def sealed(header: dict[str, Any], data: bytes) -> bytes:
    """A container with a checksum that is right wherever the arrays can be read at all."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as arrays_of

    strings = header.get("__metadata__")
    if isinstance(strings, dict):
        bare = {k: v for k, v in strings.items() if k != "sha256"}
        try:
            arrays = arrays_of(_pack({**header, "__metadata__": {}}, data))
            digest = io._checksum(arrays, bare)
        except (SafetensorError, ValueError, TypeError, KeyError, AttributeError):
            digest = hashlib.sha256(b"").hexdigest()
        header = {**header, "__metadata__": {**bare, "sha256": digest}}
    return _pack(header, data)


def _pack(header: dict[str, Any], data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def mutate(content: bytes, chance: random.Random) -> bytes:
    """One to three changes to the header, the state or the numbers, and a new seal."""
    parts = unpack(content)
    if parts is None:
        return content
    header, data = parts
    for _ in range(chance.randint(1, 3)):
        data = chance.choice([_change_entry, _change_strings, _change_state, _change_numbers])(
            header, data, chance
        )
    return sealed(header, data)


def _change_entry(header: dict[str, Any], data: bytes, chance: random.Random) -> bytes:
    names = [name for name in header if name != "__metadata__"]
    if not names:
        return data
    name = chance.choice(names)
    entry = header[name]
    what = chance.randrange(6)
    if what == 0:
        del header[name]
    elif what == 1:
        header[chance.choice([*names, "parameter.means_init", "parameter.tol", "x"])] = entry
    elif what == 2 or not isinstance(entry, dict):
        header[name] = chance.choice(ODD_VALUES)
    elif what == 3:
        entry["dtype"] = chance.choice(_TYPES)
    elif what == 4:
        size = chance.choice(ODD_VALUES)
        entry["shape"] = chance.choice([[], [size], [size, 2], [2, 3], [3, 2], [6], [1, 6], size])
    else:
        entry["data_offsets"] = [chance.choice(ODD_VALUES), chance.choice(ODD_VALUES)]
    return data


def _change_strings(header: dict[str, Any], data: bytes, chance: random.Random) -> bytes:
    strings = header.setdefault("__metadata__", {})
    if isinstance(strings, dict):
        key = chance.choice(["format", "format_version", "kind", "metadata", "fastem_version", "x"])
        strings[key] = chance.choice(
            [str(chance.choice(ODD_VALUES)), "fastem", "1", "0", "2", "GaussianMixture", "{}", "[["]
        )
    return data


def _change_state(header: dict[str, Any], data: bytes, chance: random.Random) -> bytes:
    try:
        state = json.loads(header["__metadata__"]["metadata"])
        place = state if chance.random() < 0.4 else state["parameters"]
        if not isinstance(place, dict):
            return data
        key = chance.choice([*place, "x", "n_threads", "callbacks", "init_params"])
        value = chance.choice(ODD_VALUES)
        place[key] = [value] * chance.randint(0, 4) if chance.random() < 0.2 else value
        if chance.random() < 0.1:
            del place[key]
        header["__metadata__"]["metadata"] = json.dumps(state)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        pass
    return data


def _change_numbers(header: dict[str, Any], data: bytes, chance: random.Random) -> bytes:
    numbers = np.frombuffer(data[: len(data) // 8 * 8], dtype="<f8").copy()
    if len(numbers):
        at = chance.randrange(len(numbers))
        count = chance.choice([1, 1, 2, 9])
        numbers[at : at + count] = chance.choice(ODD_NUMBERS)
    return numbers.tobytes() + data[len(numbers) * 8 :]


def check(path: Path) -> None:
    """`load` refuses with a ModelFileError of one line, or gives a model that can be saved.

    Whoever runs this limits the memory: the file, not what it says of itself, bounds what loading
    takes, so that no limit is ever met.
    """
    try:
        model = io.load(path)
    except ModelFileError as error:
        message = str(error)
        assert message.startswith(str(path)), message
        assert "\n" not in message, message
        assert not isinstance(error.__cause__, MemoryError), message
        return
    assert isinstance(model, GaussianMixture)
    for array in (model.weights_, model.means_, model.covariances_, model.precisions_cholesky_):
        assert np.isfinite(array).all()
    # what forged numbers make of a row is their affair; that it is an answer or a ValueError, ours
    with warnings.catch_warnings(), contextlib.suppress(ValueError):
        warnings.simplefilter("ignore")
        assert model.predict(np.zeros((3, model.n_features_in_))).shape == (3,)
    again = path.with_suffix(".again")
    try:
        io.save_model(model, again)
    except (
        ArithmeticError,
        TypeError,
        ValueError,
    ):  # of forged parameters that no constructor checks
        return
    np.testing.assert_array_equal(io.load(again).means_, model.means_)
