"""Rows of data in the form that the kernels read, and the arrays they fill.

Every large array of a fit is allocated here, once: the packed rows, the arena with the scratch of
each thread, and the slots. Kernels only fill.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import STRUCTURES, memory
from . import kernels as default_kernels
from .skipping import Skipping
from .threads import granted

FloatArray = NDArray[Any]
_ALIGNMENT = 64  # bytes: a cache line, and the widest vector
_NO_DOUBLES: FloatArray = np.empty(0)
_NO_LABELS: FloatArray = np.empty(0, dtype=np.intc)
_TALLY = ("log_likelihood", "pairs", "computed", "kept", "parts")

# Below this many products (rows x components x features) starting threads costs more than they
# save: it is some 50 microseconds of work for a diagonal covariance, more for a full one.
SERIAL_WORK = 200_000
_MAX_SLOTS = 128
_MIN_SLOTS = 16
_SLOT_BYTES = 32 << 20
# Beyond this there are fewer than _MIN_SLOTS, and no more threads are of use than slots
_MOST_SLOT_BYTES = 1 << 30
_FEWEST_SLOTS = 4
# Arrays of moments and parameters that an M-step has at one time
COPIES_OF_PARAMETERS = 8


def aligned_empty(shape: tuple[int, ...], dtype: Any) -> FloatArray:
    """An uninitialised C-contiguous array that begins on a cache line."""
    dtype = np.dtype(dtype)
    n_bytes = math.prod(shape) * dtype.itemsize
    raw = np.empty(n_bytes + _ALIGNMENT, dtype=np.uint8)
    offset = -raw.ctypes.data % _ALIGNMENT
    return raw[offset : offset + n_bytes].view(dtype).reshape(shape)


def readable(X: FloatArray) -> FloatArray:
    """Rows that the kernels can step through; a copy where they could not."""
    if X.flags.aligned and not any(s % X.itemsize for s in X.strides):
        return X
    return X.copy(order="C")  # ascontiguousarray keeps rows that only begin at an odd place


def kernel_weights(sample_weight: FloatArray | None) -> FloatArray:
    """Weights as the kernels take them: empty for none."""
    if sample_weight is None:
        return _NO_DOUBLES
    return np.require(sample_weight, np.float64, ["C", "ALIGNED"])


def moments_about(kernels: ModuleType, structure: int, means: FloatArray) -> FloatArray:
    """What the moments of a structure are about unless told otherwise."""
    return means if kernels.about_means(structure) else np.zeros_like(means)


def tile_step(n_features: int, itemsize: int) -> int:
    """Points that a tile has a multiple of: the widest group of points."""
    return (512 if n_features <= 256 else 1024) // itemsize


def tile_size(n_features: int, itemsize: int) -> int:
    """Points in a tile: whole groups of points, small enough for a tile to stay in cache."""
    row_bytes = n_features * itemsize
    few = 1024 // itemsize if row_bytes > 1024 else 128
    return 256 if row_bytes <= 64 else few


def n_slots(n_tiles: int, slot_doubles: int, data_bytes: int) -> int:
    """How many partial sums: by the sizes only, never by the threads, so that bits do not change.

    All slots together take at most 32 MiB or an eighth of the data, unless 16 take more; and those
    at most 1 GiB, unless 4 take more.
    """
    budget = max(_SLOT_BYTES, data_bytes // 8) // (8 * slot_doubles)
    least = max(_FEWEST_SLOTS, min(_MIN_SLOTS, _MOST_SLOT_BYTES // (8 * slot_doubles)))
    return min(n_tiles, max(least, min(_MAX_SLOTS, budget)))


def useful_threads(n_threads: int, n_rows: int, n_components: int, n_features: int) -> int:
    """The threads that are worth starting for this much work."""
    return granted(n_threads) if n_rows * n_components * n_features > SERIAL_WORK else 1


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a matrix about a shift, for one or many passes.

    Parameters
    ----------
    X : array of shape (n_rows, n_features), float64 or float32
        Any memory layout; never written to.
    sample_weight : array of shape (n_rows,), float64, optional
        None means 1 for each row.
    n_threads : int
        Threads for every pass over these rows.
    shift : array of shape (n_features,), optional
        Subtracted from each row. By default the point of each column's range that is nearest to
        0: no row moves away from 0, so nothing that the data resolve is rounded away, and a large
        offset is gone. Parameters that are given to, and statistics that come from the kernels are
        about it.
    pack : bool, default=True
        Keep a packed copy (of the size of X): each pass reads it faster. Without it each pass
        reads X itself.
    kernels : module, default=the one chosen at import
        The instruction set to use.
    """

    X: FloatArray
    sample_weight: FloatArray | None
    n_threads: int
    shift: FloatArray = field(default=None)  # type: ignore[arg-type]
    pack: bool = True
    kernels: ModuleType = default_kernels
    arrangement: Arrangement = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "X", readable(self.X))
        if self.shift is None:
            low, high = self.ranges
            object.__setattr__(self, "shift", np.minimum(np.maximum(low, 0.0), high))
        object.__setattr__(self, "arrangement", Arrangement(self))

    @property
    def n_rows(self) -> int:
        return self.X.shape[0]

    @property
    def n_features(self) -> int:
        return self.X.shape[1]

    @cached_property
    def tile_size(self) -> int:
        # one tile of few rows is not padded to the size of many
        step = tile_step(self.n_features, self.X.itemsize)
        most = tile_size(self.n_features, self.X.itemsize)
        return min(most, max(1, -(-self.n_rows // step)) * step)

    @property
    def n_tiles(self) -> int:
        return -(-self.n_rows // self.tile_size)

    @cached_property
    def weights(self) -> FloatArray:
        """The weights as the kernels take them: empty for none."""
        return kernel_weights(self.sample_weight)

    @cached_property
    def total_weight(self) -> float:
        return float(self.n_rows if self.sample_weight is None else self.weights.sum())

    @cached_property
    def ranges(self) -> FloatArray:
        """Least and greatest number of each column, (2, n_features)."""
        threads = useful_threads(self.n_threads, self.n_rows, 1, self.n_features)
        slots = np.empty((min(self.n_rows, 4 * threads), 2, self.n_features))
        self.kernels.column_ranges(self.X, slots, threads)
        ranges = np.empty((2, self.n_features))
        slots[:, 0].min(axis=0, out=ranges[0])
        slots[:, 1].max(axis=0, out=ranges[1])
        return ranges

    @cached_property
    def scatter(self) -> FloatArray:
        """sum of w (x - shift)(x - shift)^T over all rows, (n_features, n_features)."""
        D = self.n_features
        return self._moments("Full", np.zeros(D), D * D)[1].reshape(D, D)

    @cached_property
    def variances(self) -> FloatArray:
        """Of each column, (n_features,)."""
        mean = self._moments("Diag", np.zeros(self.n_features), self.n_features)[0]
        mean /= self.total_weight
        second: FloatArray = self._moments("Diag", mean, self.n_features)[1]
        return second / self.total_weight

    def _moments(
        self, structure: str, about: FloatArray, n_factors: int
    ) -> tuple[FloatArray, FloatArray]:
        """First and second moments of all rows about a point that is less the shift."""
        one = {
            "constants": np.zeros(1),
            "means": about[None],
            "precisions_cholesky": np.zeros(n_factors),
        }
        everyone = np.zeros(self.n_rows, dtype=np.intc)
        workspace = Workspace(self, STRUCTURES[structure], 1)
        _, first, second, _ = workspace.accumulate(one, labels=everyone)
        return first[0], second[0]


class Arrangement:
    """The packed copy of rows, and the order in which they lie there.

    Both are made when first asked for; the order is found out in the course of a fit. Sums do not
    depend on the threads in any order, but on the order itself by their rounding.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.order: NDArray[np.intc] = _NO_LABELS
        self.version = 0  # counts the orders there have been
        self._tiles: FloatArray | None = None
        self._weights: FloatArray | None = None
        self._labels: FloatArray | None = None

    @property
    def tiles(self) -> FloatArray:
        """The packed copy; empty where none is kept."""
        if self._tiles is None:
            self._tiles = aligned_empty(self._shape, self._rows.X.dtype)
            self._fill()
        return self._tiles

    @property
    def _shape(self) -> tuple[int, int, int]:
        rows = self._rows
        return (rows.n_tiles, rows.n_features, rows.tile_size) if rows.pack else (0, 1, 1)

    @property
    def bytes_to_come(self) -> int:
        """Of a copy that has not been made yet."""
        return math.prod(self._shape) * self._rows.X.itemsize if self._tiles is None else 0

    @property
    def weights(self) -> FloatArray:
        """The weights in this order, as the kernels take them: empty for none."""
        if self._weights is None:
            weights = self._rows.weights
            self._weights = weights[self.order] if len(self.order) and len(weights) else weights
        return self._weights

    def by_labels(self, labels: FloatArray) -> None:
        """Rows of one label side by side."""
        if labels is not self._labels:
            kind = np.int16 if labels.max(initial=0) < 1 << 15 else np.int64  # 16 bits: fast
            self.by_order(np.argsort(labels.astype(kind), kind="stable").astype(np.intc))
            self._labels = labels

    def by_order(self, order: NDArray[np.intc]) -> None:
        """Row order[i] at place i."""
        self.order, self._weights, self._labels = order, None, None
        self.version += 1
        if self._tiles is not None:
            self._fill()

    def _fill(self) -> None:
        rows = self._rows
        if self._tiles is not None and len(self._tiles):
            threads = useful_threads(rows.n_threads, rows.n_rows, 1, rows.n_features)
            rows.kernels.pack_tiles(
                rows.X, self.order, rows.shift, rows.tile_size, self._tiles, threads
            )


class Workspace:
    """Scratch and outputs of the passes of one fit, for one structure and number of components.

    Parameters
    ----------
    rows : Rows
    structure : int
        Kernel code of the covariance structure.
    n_components : int
    skip : bool, default=True
        Leave out pairs of a row and a component that cannot matter; see `skipping.py`. Without,
        every pair is computed, in the order of the rows as they are.
    """

    def __init__(self, rows: Rows, structure: int, n_components: int, *, skip: bool = True) -> None:
        kernels, D, K, n = rows.kernels, rows.n_features, n_components, rows.tile_size
        dtype = rows.X.dtype
        self.rows, self.structure, self.n_components = rows, structure, n_components
        self.shape: tuple[int, ...] = ()  # of the mixtures: one alone
        self.n_threads = useful_threads(rows.n_threads, rows.n_rows, K, D)
        n_parameters = kernels.parameters_size(structure, D, K)
        scratch = kernels.scratch_size(structure, D, K, n, dtype.itemsize)
        self._check_memory(dtype.itemsize * (n_parameters + self.n_threads * scratch))
        self.parameters = aligned_empty((n_parameters,), dtype)
        self.arena = aligned_empty((self.n_threads, scratch), dtype)
        self._no_known = np.empty((0, K), dtype=dtype)
        self._beside: dict[int, Workspace] = {}
        self.skipping = Skipping(rows, structure, K, skip)
        #: Components with less than exp(-cut) of the best one's part in a row have none
        self.cut: float = kernels.fit_cut(dtype.itemsize, skip)
        #: Share of all pairs of a row and a component that the last pass left out
        self.skipped = 0.0

    def begin(self) -> None:
        """A run of passes begins: the parameters to come have nothing to do with those before."""
        _ = self.slots  # too large a fit is refused before its initialisation
        self.skipping.begin()

    def _check_memory(self, n_bytes: int) -> None:
        memory.check(
            n_bytes,
            f"A mixture of {self.n_components} components in {self.rows.n_features} features",
            "Use fewer components or features, a covariance_type with fewer parameters, or (for "
            "no copy of the data) pack=False.",
        )

    def beside(self, structure: int) -> Workspace:
        """The workspace of another structure on the same rows, made when first asked for."""
        if structure not in self._beside:
            self._beside[structure] = Workspace(self.rows, structure, self.n_components)
        return self._beside[structure]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.rows.X.dtype

    @property
    def n_rows(self) -> int:
        return self.rows.n_rows

    @property
    def total_weight(self) -> float:
        return self.rows.total_weight

    @property
    def scatter(self) -> FloatArray:
        return self.rows.scatter

    @cached_property
    def slots(self) -> FloatArray:
        rows, K, D = self.rows, self.n_components, self.rows.n_features
        size = K * rows.kernels.statistics_size(self.structure, D) + len(_TALLY)
        shape = (n_slots(rows.n_tiles, size, rows.X.nbytes), size)
        moments = COPIES_OF_PARAMETERS * K * rows.kernels.second_size(self.structure, D)
        self._check_memory(8 * (math.prod(shape) + moments) + rows.arrangement.bytes_to_come)
        return np.empty(shape)

    def _pack(
        self, parameters: Mapping[str, FloatArray], about: FloatArray | None = None
    ) -> FloatArray:
        """Parameters to the kernels' layout; returns the factors, flat."""
        kernels, means = self.rows.kernels, parameters["means"]
        factors = np.require(parameters["precisions_cholesky"], None, ["C", "ALIGNED"]).reshape(-1)
        kernels.pack_parameters(
            self.structure,
            parameters["constants"],
            means,
            moments_about(kernels, self.structure, means) if about is None else about,
            factors,
            self.parameters,
        )
        return factors

    def accumulate(
        self,
        parameters: Mapping[str, FloatArray],
        labels: FloatArray | None = None,
        responsibilities: FloatArray | None = None,
        about: FloatArray | None = None,
    ) -> tuple[FloatArray, FloatArray, FloatArray, float]:
        """One pass over the rows: statistics, and the log-likelihood.

        Parameters
        ----------
        parameters : mapping
            constants (K,), means (K, D) less the shift, precisions_cholesky by structure. Of
            "Linear": means holds the natural parameters eta, finite; constants is log weights -
            A(eta) + eta . shift; precisions_cholesky is empty.
        labels : array of shape (n_rows,), intc, optional
        responsibilities : array of shape (n_rows, K), the dtype of X, C-contiguous, optional
            Known responsibilities instead of computed ones; the log-likelihood is then 0.
        about : array of shape (K, D), optional
            What the moments are about, less the shift: by default the means; of "Linear" 0, the
            shift itself.

        Returns
        -------
        counts (K,), first (K, D), second (K, second_size), log_likelihood
        """
        rows, K, D = self.rows, self.n_components, self.rows.n_features
        factors = self._pack(parameters, about)
        counts, first = np.empty(K), np.empty((K, D))
        second = np.empty((K, rows.kernels.second_size(self.structure, D)))
        tally = np.empty(len(_TALLY))
        skipping, arrangement = self.skipping, rows.arrangement
        known = labels is not None or responsibilities is not None
        if known:
            keys = skipping.known(labels)
        else:
            keys = skipping.before(parameters, factors, self.n_threads)
        rows.kernels.accumulate(
            self.structure,
            arrangement.tiles,
            rows.X,
            arrangement.order,
            rows.shift,
            arrangement.weights,
            _NO_LABELS if labels is None else labels,
            self._no_known if responsibilities is None else responsibilities,
            self.parameters,
            K,
            rows.tile_size,
            self.cut,
            about is None,
            skipping.slack,
            skipping.level,
            skipping.moved,
            keys,
            skipping.row_bits,
            self.arena,
            self.slots,
            counts,
            first,
            second,
            tally,
            self.n_threads,
        )
        if not known:
            totals = dict(zip(_TALLY, tally.tolist(), strict=True))
            self.skipped = 1.0 - totals["computed"] / totals["pairs"]
            skipping.after(keys, totals)
        return counts, first, second, float(tally[0])

    def score(
        self,
        parameters: Mapping[str, FloatArray],
        *,
        log_likelihood: bool = False,
        responsibilities: bool = False,
        labels: bool = False,
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What was asked for of each row; empty arrays for the rest.

        Returns
        -------
        log_likelihood (n_rows,) float64, responsibilities (n_rows, K), labels (n_rows,) int64
        """
        rows, K = self.rows, self.n_components
        a_row = 8 * (log_likelihood + labels) + rows.X.itemsize * K * responsibilities
        memory.check(
            rows.n_rows * a_row,
            f"The result for {rows.n_rows} rows",
            "Ask for part of the rows at a time.",
        )
        self._pack(parameters)
        out = (
            np.empty(rows.n_rows if log_likelihood else 0),
            np.empty((rows.n_rows if responsibilities else 0, K), rows.X.dtype),
            np.empty(rows.n_rows if labels else 0, dtype=np.longlong),
        )
        rows.kernels.score(
            self.structure,
            rows.X,
            rows.shift,
            self.parameters,
            K,
            rows.tile_size,
            self.arena,
            *out,
            self.n_threads,
        )
        return out
