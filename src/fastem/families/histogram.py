"""Weighted histograms of counts, as sufficient statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[Any]


def levels(x: FloatArray) -> tuple[FloatArray, NDArray[np.intp]]:
    """Values in ascending order, among them all of x, and the place of each x in them.

    Parameters
    ----------
    x : array of shape (n,)
        Integers of at least 0.
    """
    if not len(x) or (greatest := x.max()) <= 2 * len(x) + 100:
        size = int(greatest) + 1 if len(x) else 0
        return np.arange(size, dtype=np.float64), x.astype(np.intp)
    values, places = np.unique(x, return_inverse=True)
    return values, places


@dataclass(frozen=True, eq=False)
class Histogram:
    """Weights of each value in each column, for each member. They add up.

    Parameters
    ----------
    values : tuple of arrays of shape (m_d,)
        The different values of the columns, in ascending order.
    weights : tuple of arrays of shape (K, m_d)
    """

    values: tuple[FloatArray, ...]
    weights: tuple[FloatArray, ...]

    @classmethod
    def of(cls, X: FloatArray, responsibilities: FloatArray | None) -> Histogram:
        """Of some rows; see `Family.accumulate`."""
        values, weights = [], []
        for x in X.T:
            level, places = levels(x)
            seen = np.bincount(places, minlength=len(level))
            if responsibilities is None:
                sums = seen[None].astype(np.float64)
            else:
                sums = np.array([np.bincount(places, r, len(level)) for r in responsibilities.T])
            values.append(level[seen > 0])
            weights.append(sums[:, seen > 0])
        return cls(tuple(values), tuple(weights))

    def __add__(self, other: Histogram) -> Histogram:
        values, weights = [], []
        for x, y, v, w in zip(self.values, other.values, self.weights, other.weights, strict=True):
            both = np.union1d(x, y)
            sums = np.zeros((len(v), len(both)))
            sums[:, np.searchsorted(both, x)] += v
            sums[:, np.searchsorted(both, y)] += w
            values.append(both)
            weights.append(sums)
        return Histogram(tuple(values), tuple(weights))
