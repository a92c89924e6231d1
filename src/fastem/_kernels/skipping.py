"""What is remembered between the passes of a fit, so that pairs which cannot matter are left out.

A pair of a row and a component is left out where the component's part in the row is below the
kernels' `fit_cut` (1e-26 of the best component's, in float32 1e-13): no sum changes by more than
its rounding. Two things make that cheap to know, and both live here:

- an order of the rows that has like beside like (first by the labels of the start, then by what an
  E-step says), since kernels decide for a group of rows at a time;
- for each group and component a lower bound of the whitened distances (of an exponential family: an
  upper bound of the log-densities), carried from pass to pass as the parameters move.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .rows import Rows

FloatArray = NDArray[Any]

# Below this many products (rows x components x features) a pass is so short that there is nothing
# to be saved.
_LEAST_WORK = 2_000_000
# Bounds take at most this share of the data's memory, or so many bytes; and 4 bytes a row.
_BOUNDS_SHARE = 0.5
_BOUNDS_BYTES = 1 << 20
# With fewer rows than this many times the features, telling how far the parameters moved takes as
# long as what it saves.
_ROWS_A_FEATURE = 40
# Passes at which the order of the rows is looked at, from the start of a run
_PASSES = {1, 4, 16, 64, 256}
# A new order costs about half of a pass over all pairs. As many passes as there were are expected
# to come, at least this many, ...
_FEWEST_PASSES = 8
_COST = 0.5
# ... and a second order is made only where the first has become so much worse.
_WORSE = 1.3
_PARTS_LEVELS = 32  # of the number of components with a part in a row, in a sort key
_SERIAL_CONTRACTION = 1_000_000  # components x features^3: below, one thread is faster
_UNKNOWN = -2.0  # as in the kernels
_NO_KEYS: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)


class Skipping:
    """Bounds and order for the passes of one workspace.

    Parameters
    ----------
    rows : Rows
    structure : int
        Kernel code of the covariance structure.
    n_components : int
    wanted : bool
        Whether to skip at all.
    """

    def __init__(self, rows: Rows, structure: int, n_components: int, wanted: bool) -> None:
        self.rows, self.structure = rows, structure
        K, kernels, itemsize = n_components, rows.kernels, rows.X.itemsize
        work = rows.n_rows * K * rows.n_features
        # without a packed copy: no order to choose, and no memory beyond the data
        enabled = wanted and rows.pack and K > 1 and work >= _LEAST_WORK
        group = kernels.group_size(structure, rows.n_features, itemsize)
        n_groups = rows.n_tiles * (rows.tile_size // group)
        n_points = rows.n_tiles * rows.tile_size
        n_bytes = 4 * n_groups * K
        kept = (
            enabled
            and n_bytes <= max(_BOUNDS_BYTES, _BOUNDS_SHARE * rows.X.nbytes)
            and rows.n_rows >= _ROWS_A_FEATURE * rows.n_features
        )
        self.slack = np.full((n_groups if kept else 0, K), _UNKNOWN, dtype=np.float32)
        self.level = np.zeros(n_points if kept else 0, dtype=np.float32)
        self.moved = np.zeros((3, K), dtype=np.float32)
        D = rows.n_features
        self._scratch = np.empty((rows.n_threads if kept else 0, D * (D + 1)))
        # the box that the points lie in, for the structures that want it
        box = kept and not kernels.about_means(structure)
        self._ranges = rows.ranges - rows.shift if box else np.empty((2, 0))
        self._before: tuple[FloatArray, FloatArray, FloatArray] | None = None
        self._version = rows.arrangement.version
        self._n_passes = 0
        self._sorted = False  # by sort keys: better than by labels
        self._kept_when_new: float | None = None
        self.row_bits = int(rows.n_rows).bit_length()
        key_bits = (K * K * _PARTS_LEVELS).bit_length()
        self._sortable = enabled and key_bits + self.row_bits <= 64 and self.row_bits < 32

    def begin(self) -> None:
        """A run begins."""
        self._n_passes = 0

    def known(self, labels: FloatArray | None) -> NDArray[np.uint64]:
        """A pass with known labels, or responsibilities; wants no sort keys."""
        if labels is not None and self._sortable:
            self.rows.arrangement.by_labels(labels)
            self._sorted = False
        return _NO_KEYS

    def before(
        self, parameters: Mapping[str, FloatArray], factors: FloatArray, n_threads: int
    ) -> NDArray[np.uint64]:
        """Note how far the parameters moved; returns room for sort keys where they are wanted."""
        self._n_passes += 1
        if len(self.slack):
            means, constants = parameters["means"], parameters["constants"]
            if self._version != self.rows.arrangement.version:
                self.slack.fill(_UNKNOWN)
            elif self._before is not None:
                threads = n_threads if len(means) * means.shape[1] ** 3 > _SERIAL_CONTRACTION else 1
                self.rows.kernels.contraction(
                    self.structure,
                    *self._before[:2],
                    means,
                    factors,
                    self._ranges,
                    self._scratch,
                    self.moved,
                    threads,
                )
                with np.errstate(invalid="ignore"):  # of two infinite ones: nothing is known
                    self.moved[2] += constants - self._before[2]
            self._before = means, factors, constants
        self._version = self.rows.arrangement.version
        if self._sortable and self._n_passes in _PASSES:
            return np.empty(self.rows.n_rows, dtype=np.uint64)
        return _NO_KEYS

    def after(self, keys: NDArray[np.uint64], tally: Mapping[str, float]) -> None:
        """Put the rows in a better order where that pays."""
        if not self._sortable:
            return
        kept = tally["kept"] / tally["pairs"]
        if self._sorted and self._kept_when_new is None:
            self._kept_when_new = kept  # what the present order gives when it is new
        if not len(keys):
            return
        gain = kept - tally["parts"] / tally["pairs"]  # if the order were perfect
        pays = gain * max(self._n_passes, _FEWEST_PASSES) > _COST
        if pays and (not self._sorted or kept > _WORSE * (self._kept_when_new or 1.0)):
            keys.sort()
            keys &= np.uint64((1 << self.row_bits) - 1)
            self.rows.arrangement.by_order(keys.astype(np.intc))
            self._sorted, self._kept_when_new = True, None
