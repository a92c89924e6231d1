"""Weighted rows themselves, for families whose likelihood no few sums determine."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._kernels.columns import Divided, divide
from .passes import Threaded, blocks, each

FloatArray = NDArray[Any]

_SAMPLED = 1 << 16  # values that a quantile is bracketed by
_DEVIATIONS = 5.0  # of a sample's quantile: so wide is the bracket on either side


@dataclass(frozen=True, eq=False)
class WeightedRows(Threaded):
    """Rows and their weights for each member, that add up by being put side by side.

    They are held, not copied: whoever accumulates must not write to them before they are maximised.

    Parameters
    ----------
    parts : tuple of (X, R)
        Rows (n, D), and weights (n, K) or None: one member, and each row counts 1.
    n_threads : int, default=1
    """

    parts: tuple[tuple[FloatArray, FloatArray | None], ...]
    n_threads: int = 1

    def __add__(self, other: WeightedRows) -> WeightedRows:
        return WeightedRows(self.parts + other.parts, self.n_threads)

    def on_threads(self, n_threads: int) -> WeightedRows:
        return replace(self, n_threads=n_threads)

    @property
    def n_members(self) -> int:
        """Members, K."""
        R = self.parts[0][1]
        return 1 if R is None else R.shape[1]

    @property
    def n_columns(self) -> int:
        """Columns of the rows, D."""
        return self.parts[0][0].shape[1]

    def each(
        self, function: Callable[[FloatArray, FloatArray | None, int, int], Sequence[Any]]
    ) -> FloatArray:
        """Numbers from each block of rows, for each member and column.

        Parameters
        ----------
        function : callable
            Takes the values of a column (n,), their weights (n,) or None, the member and the
            column, and returns some numbers. It is called from several threads at once.

        Returns
        -------
        numbers : array of shape (n_blocks, n_numbers, K, D)
            In the order of the rows, whatever the threads.
        """
        found = each(lambda block: self._of_block(block, function), self._blocks(), self.n_threads)
        return np.moveaxis(np.array(found, dtype=np.float64), 3, 1)

    def _blocks(self) -> list[tuple[FloatArray, FloatArray | None]]:
        return [
            (X[rows], None if R is None else R[rows])
            for X, R in self.parts
            for rows in blocks(len(X), self.n_columns)
        ]

    def _of_block(
        self,
        block: tuple[FloatArray, FloatArray | None],
        function: Callable[[FloatArray, FloatArray | None, int, int], Any],
    ) -> list[list[Any]]:
        X, R = block
        columns = [np.ascontiguousarray(X[:, d]) for d in range(self.n_columns)]
        weights = [None] if R is None else [np.ascontiguousarray(r) for r in R.T]
        return [
            [function(x, w, k, d) for d, x in enumerate(columns)] for k, w in enumerate(weights)
        ]

    # --- order statistics ---------------------------------------------------------------------

    def sampled(self) -> tuple[FloatArray, FloatArray]:
        """Some rows at equal distances, or all: values (m, D), and weights (m, K)."""
        stride = max(1, sum(len(X) for X, _ in self.parts) // _SAMPLED)
        X = np.concatenate([X[::stride] for X, _ in self.parts])
        if self.parts[0][1] is None:
            return X, np.ones((len(X), 1))
        return X, np.concatenate([R[::stride] for _, R in self.parts if R is not None])

    def medians(self) -> FloatArray:
        """Weighted medians (K, D): the least value up to which half of the weight lies.

        Half of it or more: of an even number of equal weights it is the lower of the two in the
        middle. Only values near the median of a sample are ever sorted.
        """
        return self.about_medians()[0]

    def about_medians(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Weighted medians, sums of the weights, and of weighted distances from the medians.

        All in one pass, (K, D) each; see `medians`.
        """
        X, R = self.sampled()
        K, D = self.n_members, self.n_columns
        alike = self.parts[0][1] is None
        brackets = np.empty((K, D, 2))
        for k in range(K):
            for d in range(D):
                brackets[k, d] = _bracket(X[:, d], None if alike else R[:, k])

        def near(x: FloatArray, w: FloatArray | None, k: int, d: int) -> Divided:
            return divide(x, w, *brackets[k, d])

        found = each(lambda block: self._of_block(block, near), self._blocks(), self.n_threads)
        result = np.empty((3, K, D))
        for k in range(K):
            for d in range(D):
                about = _joined([block[k][d] for block in found])
                if not 0 < _half(about) <= _inside(about):
                    about = self._all(k, d)  # the order of the rows has misled the sample
                median = weighted_quantile(about.inside, about.weights, _half(about))
                low, high = brackets[k, d]
                result[:, k, d] = median, *_distances(about, low, high, median)
        return result[0], result[1], result[2]

    def distances(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Of the only member's rows, the sums of the weights and of the weighted distances from
        points (M, D): (M, D) each."""

        def away(x: FloatArray, w: FloatArray | None, k: int, d: int) -> list[float]:
            sums = [
                _distances(divide(x, w, point, point), point, point, point)
                for point in points[:, d].tolist()
            ]
            return [number for column in zip(*sums, strict=True) for number in column]

        sums = self.each(away).sum(axis=0)[:, 0]
        return sums[: len(points)], sums[len(points) :]

    def _all(self, k: int, d: int) -> Divided:
        """All values of a column as if in a bracket."""
        values = np.concatenate([X[:, d] for X, _ in self.parts])
        if self.parts[0][1] is None:
            return Divided(values, None, 0.0, 0.0, 0.0, 0.0)
        weights = np.concatenate([R[:, k] for _, R in self.parts if R is not None])
        return Divided(values, weights, 0.0, 0.0, 0.0, 0.0)


def _joined(parts: Sequence[Divided]) -> Divided:
    """What several blocks have about one bracket."""
    weights = [part.weights for part in parts if part.weights is not None]
    return Divided(
        np.concatenate([part.inside for part in parts]),
        np.concatenate(weights) if weights else None,
        below=sum(part.below for part in parts),
        away_below=sum(part.away_below for part in parts),
        above=sum(part.above for part in parts),
        away_above=sum(part.away_above for part in parts),
    )


def _inside(about: Divided) -> float:
    return float(len(about.inside) if about.weights is None else about.weights.sum())


def _half(about: Divided) -> float:
    """Half of the weight of all, less what is below."""
    return (about.below + about.above + _inside(about)) / 2 - about.below


def _distances(about: Divided, low: float, high: float, point: float) -> tuple[float, float]:
    """Sum of the weights, and of weighted distances from a point in the bracket."""
    weight = about.below + about.above + _inside(about)
    away = np.abs(about.inside - point)
    total = away.sum() if about.weights is None else about.weights @ away
    if about.below:
        total += about.away_below + about.below * (point - low)
    if about.above:
        total += about.away_above + about.above * (high - point)
    return weight, float(total)


def weighted_quantile(values: FloatArray, weights: FloatArray | None, below: float) -> float:
    """The least of the values up to which the weights, or 1 each, sum to at least so much."""
    if weights is None:
        place = min(max(math.ceil(below), 1), len(values)) - 1
        return float(np.partition(values, place)[place])
    order = np.argsort(values)
    sums = np.cumsum(weights[order])
    # rounding may leave the whole a little short of what was asked
    first = np.searchsorted(sums, min(below, sums[-1]))
    return float(values[order[first]])


def _bracket(values: FloatArray, weights: FloatArray | None) -> tuple[float, float]:
    """Where the median of all most likely lies, by a sample."""
    whole = effective = float(len(values))
    if weights is not None:
        whole, most = weights.sum(), weights.max()
        if not most > 0:
            return -np.inf, np.inf
        effective = np.square(whole / most) / np.square(weights / most).sum()
    width = _DEVIATIONS * 0.5 / math.sqrt(effective)
    if not width < 0.5:
        return -np.inf, np.inf
    low, high = (weighted_quantile(values, weights, (0.5 + w) * whole) for w in (-width, width))
    return low, high
