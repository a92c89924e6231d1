"""The rows of many problems in one packed copy, and the passes of many mixtures over them.

As `rows.py` for one problem. Every problem has tiles of its own, of a size that wastes little of a
small problem, and a mixture is one thread's work: what comes of it depends neither on the threads
nor on what else is in the batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import STRUCTURES
from . import kernels as default_kernels
from .rows import (
    _NO_LABELS,
    _TALLY,
    FloatArray,
    Workspace,
    aligned_empty,
    kernel_weights,
    moments_about,
    readable,
    tile_size,
    tile_step,
    useful_threads,
)

IntArray = NDArray[np.intp]


def tile_sizes(n_rows: IntArray, n_features: int, itemsize: int) -> IntArray:
    """Points in the tiles of each problem: the most that leave the least padding."""
    step = tile_step(n_features, itemsize)
    candidates = np.arange(step, tile_size(n_features, itemsize) + 1, step)[::-1]
    padded = -(-n_rows[:, None] // candidates) * candidates
    sizes: IntArray = candidates[padded.argmin(axis=1)]
    return sizes


@dataclass(frozen=True, eq=False)
class ManyRows:
    """The rows of many problems, packed, each about a shift of its own.

    Parameters
    ----------
    X : array of shape (n_rows, n_features), float64 or float32
        The rows of every problem in turn.
    sizes : array of shape (n_problems,), intp
        How many rows each problem has, at least 1.
    sample_weight : array of shape (n_rows,), float64, optional
        None means 1 for each row.
    n_threads : int
        Threads for every pass over these rows.
    kernels : module, default=the one chosen at import
        The instruction set to use.
    """

    X: FloatArray
    sizes: IntArray
    sample_weight: FloatArray | None
    n_threads: int
    kernels: ModuleType = default_kernels

    def __post_init__(self) -> None:
        object.__setattr__(self, "X", readable(self.X))
        _ = self._packed  # once, before several threads ask for it

    @property
    def n_features(self) -> int:
        return self.X.shape[1]

    @cached_property
    def begins(self) -> IntArray:
        """The first row of each problem."""
        return np.cumsum(self.sizes) - self.sizes

    @cached_property
    def layout(self) -> IntArray:
        """The first row, rows, first element of the tiles, and points in a tile of each problem."""
        tiles = tile_sizes(self.sizes, self.n_features, self.X.itemsize)
        elements = -(-self.sizes // tiles) * tiles * self.n_features
        return np.column_stack([self.begins, self.sizes, np.cumsum(elements) - elements, tiles])

    @cached_property
    def _packed(self) -> tuple[FloatArray, FloatArray]:
        n, D, layout = len(self.sizes), self.n_features, self.layout
        n_elements = int((-(-layout[:, 1] // layout[:, 3]) * layout[:, 3]).sum()) * D
        tiles, shift = aligned_empty((n_elements,), self.X.dtype), np.empty((n, 2, D))
        # One thread: most of the time goes into the first touch of new memory, which the system
        # hands to several threads more slowly than to one.
        self.kernels.pack_many(self.X, layout, shift, tiles, 1)
        return tiles, shift[:, 0].copy()

    @property
    def tiles(self) -> FloatArray:
        """The packed copy."""
        return self._packed[0]

    @property
    def shifts(self) -> FloatArray:
        """What is subtracted from the rows of each problem, (n_problems, n_features)."""
        return self._packed[1]

    @cached_property
    def weights(self) -> FloatArray:
        """The weights as the kernels take them: empty for none."""
        return kernel_weights(self.sample_weight)

    @cached_property
    def total_weights(self) -> FloatArray:
        """Of each problem, (n_problems,)."""
        if self.sample_weight is None:
            return self.sizes.astype(np.float64)
        return np.add.reduceat(self.weights, self.begins)

    @cached_property
    def scatters(self) -> FloatArray:
        """sum of w (x - shift)(x - shift)^T of each problem, (n_problems, D, D)."""
        n, D = len(self.sizes), self.n_features
        one = {
            "constants": np.zeros((n, 1)),
            "means": np.zeros((n, 1, D)),
            "precisions_cholesky": np.zeros((n, D * D)),
        }
        workspace = ManyWorkspace(self, STRUCTURES["Full"], 1, np.arange(n))
        everyone = np.zeros(len(self.X), dtype=np.intc)
        return workspace.accumulate(one, labels=everyone)[2].reshape(n, D, D)


class ManyWorkspace:
    """Scratch of the passes of many mixtures, of one structure and number of components.

    It has what `Workspace` has, with one more axis before all others: the mixtures.

    Parameters
    ----------
    rows : ManyRows
    structure : int
        Kernel code of the covariance structure.
    n_components : int
    members : array of shape (n_mixtures,), intp
        The problem that each mixture is fitted to; several may be fitted to one.
    n_threads : int, optional
        At most; by default those of the rows.
    arenas : pair of arrays, optional
        The scratch of another workspace of the same kind, that is not in use at the same time.
    stop : array of shape (1,), intc, optional
        Once it is not 0, the pass that is running in another thread, or the next one, raises
        KeyboardInterrupt.
    """

    def __init__(
        self,
        rows: ManyRows,
        structure: int,
        n_components: int,
        members: IntArray,
        n_threads: int | None = None,
        arenas: tuple[FloatArray, FloatArray] | None = None,
        stop: NDArray[np.intc] = _NO_LABELS,
    ) -> None:
        self.stop = stop
        self.rows, self.structure, self.n_components = rows, structure, n_components
        self.members, self.shape = members, (len(members),)
        self.dtype: np.dtype[Any] = rows.X.dtype
        self.sizes: IntArray = rows.sizes[members]
        self.most_threads = rows.n_threads if n_threads is None else n_threads
        self.n_threads = useful_threads(
            self.most_threads, int(self.sizes.sum()), n_components, rows.n_features
        )
        self.arena, self.sums = arenas or self._arenas()

    def _arenas(self) -> tuple[FloatArray, FloatArray]:
        kernels, D, K = self.rows.kernels, self.rows.n_features, self.n_components
        n = int(self.rows.layout[:, 3].max(initial=1))
        size = kernels.scratch_size(self.structure, D, K, n, self.dtype.itemsize)
        size += kernels.parameters_size(self.structure, D, K)
        n_sums = K * kernels.statistics_size(self.structure, D) + len(_TALLY)
        return (
            aligned_empty((self.n_threads, size), self.dtype),
            # whole cache lines: two threads must not write to one
            aligned_empty((self.n_threads, -(-n_sums // 8) * 8), np.float64),
        )

    def only(self, chosen: NDArray[Any]) -> ManyWorkspace:
        """The workspace of some of the mixtures, by a mask or by index."""
        return ManyWorkspace(
            self.rows,
            self.structure,
            self.n_components,
            self.members[chosen],
            self.most_threads,
            (self.arena, self.sums),
            self.stop,
        )

    def beside(self, structure: int) -> ManyWorkspace:
        """The workspace of another structure."""
        return ManyWorkspace(
            self.rows,
            structure,
            self.n_components,
            self.members,
            self.most_threads,
            stop=self.stop,
        )

    @cached_property
    def total_weight(self) -> FloatArray:
        """Of the rows of each mixture, (n_mixtures, 1)."""
        return self.rows.total_weights[self.members, None]

    @cached_property
    def n_rows(self) -> FloatArray:
        """Of each mixture, (n_mixtures, 1)."""
        return self.sizes[:, None]

    @cached_property
    def scatter(self) -> FloatArray:
        """See `ManyRows.scatters`; of the rows of each mixture."""
        return self.rows.scatters[self.members]

    @cached_property
    def _known_begins(self) -> IntArray:
        return np.cumsum(self.sizes) - self.sizes

    def accumulate(
        self,
        parameters: Mapping[str, FloatArray],
        labels: FloatArray | None = None,
        responsibilities: FloatArray | None = None,
        about: FloatArray | None = None,
    ) -> tuple[FloatArray, FloatArray, FloatArray, Any]:
        """One pass of every mixture over its rows: statistics, and the log-likelihoods.

        See `Workspace.accumulate`; labels and responsibilities are those of every mixture in turn.

        Returns
        -------
        counts (n, K), first (n, K, D), second (n, K, second_size), log_likelihood (n,)
        """
        kernels, (n,), K, D = self.rows.kernels, self.shape, self.n_components, self.rows.n_features
        counts, first = np.empty((n, K)), np.empty((n, K, D))
        second = np.empty((n, K, kernels.second_size(self.structure, D)))
        log_likelihood = np.empty(n)
        means = parameters["means"]
        kernels.accumulate_many(
            self.structure,
            self.rows.tiles,
            self.rows.layout,
            self.members,
            self.rows.weights,
            self._known_begins,
            _NO_LABELS if labels is None else labels,
            np.empty((0, K), self.dtype) if responsibilities is None else responsibilities,
            parameters["constants"],
            means,
            moments_about(kernels, self.structure, means) if about is None else about,
            np.ascontiguousarray(parameters["precisions_cholesky"]).reshape(n, -1),
            kernels.fit_cut(self.dtype.itemsize, True),
            self.arena,
            self.sums,
            counts,
            first,
            second,
            log_likelihood,
            self.stop,
            self.n_threads,
        )
        return counts, first, second, log_likelihood


#: what a covariance structure and a mixture accumulate on
AnyWorkspace = Workspace | ManyWorkspace
