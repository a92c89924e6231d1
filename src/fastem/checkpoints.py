"""Where a run of EM is, in a file: parameters and the number of the iteration, no code."""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ._files import StrPath, atomic_write, check_destination
from .exceptions import ModelFileError
from .user_models import UserModel

FloatArray = NDArray[np.float64]

_FORMAT = "fastem checkpoint 1"


@dataclass(frozen=True)
class Checkpoint:
    """A file that a run of EM writes while it goes on, and from which it continues.

    Parameters
    ----------
    path : str or path-like
        Written in one step, so that it is whole whenever the run is stopped.
    seconds : float, default=1
        Between two writings; 0 writes after every iteration. The last iteration is always
        written, also where an error or Ctrl-C ends the run.
    """

    path: StrPath
    seconds: float = 1.0


@dataclass(frozen=True)
class State:
    """Where a run is, and what its test of convergence needs of the past."""

    model: UserModel
    iteration: int = 0
    log_likelihood: float = math.nan
    sizes: tuple[float, ...] = ()


class Recorder:
    """Reads and writes the checkpoint of one run.

    Parameters
    ----------
    checkpoint : Checkpoint, path or None
        None: nothing is read or written.
    """

    def __init__(self, checkpoint: Checkpoint | StrPath | None) -> None:
        if not (checkpoint is None or isinstance(checkpoint, Checkpoint)):
            checkpoint = Checkpoint(checkpoint)
        self.checkpoint = checkpoint
        self._pending: State | None = None
        self._written = -math.inf

    def begin(self, model: UserModel) -> State:
        """The state in the file, or the start where there is none.

        Raises
        ------
        ModelFileError
            If the file is no checkpoint, or one of another model.
        OSError
            If it cannot be written.
        """
        if self.checkpoint is None:
            return State(model)
        check_destination(self.checkpoint.path)
        if not os.path.exists(self.checkpoint.path):
            return State(model)
        return _read(self.checkpoint.path, model)

    def note(self, state: State) -> None:
        """The state after an iteration; written when it is time."""
        if self.checkpoint is None:
            return
        self._pending = state
        if time.monotonic() - self._written >= self.checkpoint.seconds:
            self.flush()

    def flush(self) -> None:
        """Write the last state that was noted, if it is not written yet."""
        state, self._pending = self._pending, None
        if state is None or self.checkpoint is None:
            return
        _write(self.checkpoint.path, state)
        self._written = time.monotonic()


def _write(path: StrPath, state: State) -> None:
    parameters, fields = state.model.saved()
    metadata = {
        "format": _FORMAT,
        "model": type(state.model.model).__name__,
        "fields": json.dumps(fields),
        "iteration": str(state.iteration),
        "log_likelihood": repr(state.log_likelihood),
    }
    arrays = {"parameters": parameters, "sizes": np.array(state.sizes, dtype=np.float64)}
    with atomic_write(path, "wb") as file:
        file.write(save(arrays, metadata))


def _read(path: StrPath, model: UserModel) -> State:
    name = os.fspath(path)
    try:
        with safe_open(Path(path), framework="numpy") as file:
            metadata: dict[str, Any] = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise ModelFileError(
                    f"{name} is not a checkpoint of em.run: choose another path, or remove it"
                )
            arrays = {key: file.get_tensor(key) for key in ("parameters", "sizes")}
        fields = json.loads(metadata["fields"])
        iteration, log_likelihood = int(metadata["iteration"]), float(metadata["log_likelihood"])
    except (SafetensorError, KeyError, ValueError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(
            f"{name} is damaged, or not a checkpoint of em.run ({error}): remove it to begin anew"
        ) from error
    kind = type(model.model).__name__
    try:
        if metadata["model"] != kind:
            raise ValueError(f"it is of a {metadata['model']}")
        there = model.at(arrays["parameters"], fields)
        if fields is not None and there.vector().size != arrays["parameters"].size:
            raise ValueError("their numbers differ")
    except (TypeError, ValueError, ArithmeticError, KeyError, StopIteration) as error:
        raise ModelFileError(
            f"the checkpoint {name} does not fit this {kind} ({error}): choose another path, or "
            "remove it to begin anew"
        ) from error
    return State(there, iteration, log_likelihood, tuple(arrays["sizes"].tolist()))
