"""Range and moments of columns, in one compiled pass over memory."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple

import numpy as np

from . import kernels as default_kernels
from .rows import FloatArray, aligned_empty, kernel_weights, readable, useful_threads

_MAX_RUNS = 128


@dataclass(frozen=True, eq=False)
class ColumnMoments:
    """What is known of each of D columns: arrays (D,).

    Parameters
    ----------
    weight : float
        Sum of the weights.
    low, high : array
        Least and greatest value, whatever the weights. Of no use unless `finite`.
    whole : array of bool
        Whether all values are integers.
    means, squares : array
        Weighted mean, and weighted sum of the squared deviations from it.
    log_means, log_squares : array
        The same of log x; 0 where they were not asked for. NaN where a value is not above 0, or
        has less than all its digits (below 2.3e-308).
    """

    weight: float
    low: FloatArray
    high: FloatArray
    whole: FloatArray
    means: FloatArray
    squares: FloatArray
    log_means: FloatArray
    log_squares: FloatArray

    @property
    def finite(self) -> bool:
        """Whether all values, and all of these numbers, are finite.

        No NaN or infinite value is overlooked. Of finite ones so large that sums overflow, or so
        small that there is no logarithm here, the numbers are not all finite either.
        """
        found = (self.means, self.squares, self.log_means, self.log_squares)
        return all(bool(np.isfinite(part).all()) for part in found)


def column_moments(
    X: FloatArray,
    weights: FloatArray | None = None,
    *,
    logs: bool = False,
    n_threads: int = 1,
    kernels: ModuleType = default_kernels,
) -> ColumnMoments:
    """Range and moments of each column, stable whatever the offset.

    Parameters
    ----------
    X : array of shape (n, D), float64
        With a row at least; of any memory layout.
    weights : array of shape (n,), optional
        Not negative; None: each row counts 1.
    logs : bool, default=False
        Whether the moments of log x are wanted.
    n_threads : int, default=1
        Changes no bit.
    kernels : module, default=the one chosen at import

    Returns
    -------
    ColumnMoments
    """
    n_rows, n_columns = X.shape
    n_blocks = -(-n_rows // kernels.column_block(n_columns))
    runs = aligned_empty((min(n_blocks, _MAX_RUNS), n_columns, kernels.COLUMN_SIZE), np.float64)
    threads = min(len(runs), useful_threads(n_threads, n_rows, 1, n_columns))
    kernels.column_moments(readable(X), kernel_weights(weights), logs, runs, threads)
    weight, low, high, whole, mean, rest, squares, *of_logs = runs[0].T.copy()
    log_mean, log_rest, log_squares = of_logs
    return ColumnMoments(
        weight=float(weight[0]),
        low=low,
        high=high,
        whole=whole == 1,
        means=mean + rest,
        squares=squares,
        log_means=log_mean + log_rest,
        log_squares=log_squares,
    )


class Divided(NamedTuple):
    """Values about a bracket from a least to a greatest value.

    Parameters
    ----------
    inside, weights : array of shape (m,)
        The values in the bracket, in their order, and their weights (None where each counts 1).
    below, above : float
        Weight of the others.
    away_below, away_above : float
        Weighted sums of their distances from the bracket.
    """

    inside: FloatArray
    weights: FloatArray | None
    below: float
    away_below: float
    above: float
    away_above: float


def divide(
    x: FloatArray,
    weights: FloatArray | None,
    low: float,
    high: float,
    kernels: ModuleType = default_kernels,
) -> Divided:
    """Divide values by a bracket, in one pass by the calling thread.

    Parameters
    ----------
    x : array of shape (n,), float64, C-contiguous
        With a value at least, none of them NaN.
    weights : array of shape (n,), float64, C-contiguous, or None
    low, high : float
        Infinite where there is no bound.
    """
    inside = np.empty(len(x))
    of_inside = np.empty(0 if weights is None else len(x))
    n, *sides = kernels.divide(x, kernel_weights(weights), low, high, inside, of_inside)
    found = None if weights is None else of_inside[:n].copy()
    return Divided(inside[:n].copy(), found, *sides)
