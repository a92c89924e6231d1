"""Exponential families: log p(x) = sum_i eta_i T_i(x) - A(eta) + h(x)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from .._kernels.columns import ColumnMoments
from .base import Family
from .passes import column_sums, total

FloatArray = NDArray[Any]

_FEWEST_REPEATS = 4  # of a value in a block, on average, for it to be counted


@dataclass(frozen=True, eq=False)
class Moments:
    """Sufficient statistics of members, that add up.

    Parameters
    ----------
    counts : array of shape (K,)
        Sums of the weights.
    sums : array of shape (K, d)
        Sums of weights times T(x).
    base : array of shape (K,)
        Sums of weights times h(x).
    """

    counts: FloatArray
    sums: FloatArray
    base: FloatArray

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.counts + other.counts, self.sums + other.sums, self.base + other.base)


@dataclass(frozen=True, eq=False, repr=False)
class ExponentialFamily(Family):
    """A family whose likelihood depends on the data through sums of T(x) alone.

    A subclass gives T, eta, A, h and `from_means`, and has all else from here, the compiled kernel
    of mixtures included. Each is written for arrays, element by element where the family is of one
    variable: x is (n, D), a parameter (K, D).
    """

    @abstractmethod
    def sufficient(self, X: FloatArray) -> tuple[FloatArray, ...]:
        """T(x): some arrays (n, d_i), for one variable (n, D) each."""

    @abstractmethod
    def natural(self) -> tuple[FloatArray, ...]:
        """eta: one array (K, d_i) for each of T. Finite, or of 0 weight there is a NaN."""

    @abstractmethod
    def log_partition(self) -> FloatArray:
        """A(eta), (K, D), or (K, 1) where the columns are one variable."""

    def log_base(self, X: FloatArray) -> FloatArray | None:
        """h(x), (n, D) or (n, 1); None for 0."""
        return None

    @abstractmethod
    def from_means(self, *means: FloatArray) -> Self:
        """The members under which T has these expectations, (K, d_i): the maximum likelihood.

        Raises
        ------
        DegenerateFitError
            If there are none.
        """

    # --- what follows from these --------------------------------------------------------------

    def statistics(self, X: FloatArray) -> FloatArray:
        """T(x) side by side, (n, d)."""
        parts = self.sufficient(X)
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def coefficients(self) -> tuple[FloatArray, FloatArray]:
        """eta side by side (K, d), and A (K,)."""
        eta = np.ascontiguousarray(np.concatenate(self.natural(), axis=1))
        return eta, self.log_partition().sum(axis=1)

    def base(self, X: FloatArray) -> FloatArray | None:
        """h of rows, (n,); None for 0."""
        h = self.log_base(X)
        return None if h is None else h.sum(axis=1)

    @property
    def exponential(self) -> bool:
        return True

    def width(self, n_columns: int) -> int:
        """Numbers in T(x) of one row, d, whether the parameters are known or not."""
        return self.n_statistics * n_columns

    def log_densities(self, X: FloatArray) -> FloatArray:
        return linear_log_densities(self, X)

    def accumulate(self, X: FloatArray, responsibilities: FloatArray | None) -> Moments:
        # each part by itself: side by side they would be copied
        parts = self.sufficient(X)
        if len(parts) != self.n_statistics:
            raise TypeError(
                f"{type(self).__name__}.sufficient returns {len(parts)} arrays: give the class "
                f"n_statistics = {len(parts)}"
            )
        return moments(parts, self.base(X), responsibilities)

    def from_columns(self, columns: ColumnMoments) -> Moments:
        """T(x) is what is named in `moments_of`; without the sum of h(x)."""
        means = {"x": columns.means, "log x": columns.log_means}
        sums = columns.weight * np.concatenate([means[name] for name in self.moments_of])
        return Moments(np.array([columns.weight]), sums[None], np.zeros(1))

    def _compiled(
        self, X: FloatArray, responsibilities: FloatArray | None, n_threads: int
    ) -> Moments | None:
        found: Moments | None = super()._compiled(X, responsibilities, n_threads)
        if found is None or type(self).log_base is ExponentialFamily.log_base:
            return found

        def base(rows: slice) -> Any:
            weights = None if responsibilities is None else responsibilities[rows, 0]
            return self._sum_of_base(X[rows], weights)

        return replace(found, base=np.array([total(base, len(X), X.shape[1], n_threads)]))

    def _sum_of_base(self, X: FloatArray, weights: FloatArray | None) -> Any:
        """Weighted sum of h over rows."""
        if X.shape[1] == 1 and self.support.integer and self.support.low >= 0:
            n_values = int(X.max()) + 1
            if n_values <= len(X) // _FEWEST_REPEATS:  # h is dear: once for each value
                counts = np.bincount(X[:, 0].astype(np.intp), weights)
                X, weights = np.arange(n_values, dtype=np.float64)[:, None], counts
        h = self.base(X)
        if h is None:
            return 0.0
        return h.sum() if weights is None else h @ weights

    def maximise(self, statistics: Moments) -> Self:
        means = statistics.sums / statistics.counts[:, None]
        return self.from_means(*self.split(means))

    def split(self, means: FloatArray) -> tuple[FloatArray, ...]:
        """Means of T(x) side by side (K, d), apart again.

        Equal shares: a subclass with parts of other sizes says so here.
        """
        n_parts = self.n_statistics
        return (means,) if n_parts == 1 else tuple(np.split(means, n_parts, axis=1))

    #: arrays that `sufficient` returns
    n_statistics = 1

    def log_likelihood(self, statistics: Moments) -> FloatArray:
        """Weighted log-likelihood of each member from the statistics alone, (K,)."""
        return linear_log_likelihood(self, statistics)


class Linear(Protocol):
    """What has a log-density T(x) . eta - A + h(x); see `ExponentialFamily`."""

    def statistics(self, X: FloatArray) -> FloatArray: ...

    def coefficients(self) -> tuple[FloatArray, FloatArray]: ...

    def base(self, X: FloatArray) -> FloatArray | None: ...


def linear_log_densities(family: Linear, X: FloatArray) -> FloatArray:
    """Log-densities of members, (n, K)."""
    eta, partition = family.coefficients()
    result: FloatArray = family.statistics(X) @ eta.T
    result -= partition
    if (h := family.base(X)) is not None:
        result += h[:, None]
    return result


def moments(
    parts: Sequence[FloatArray], h: FloatArray | None, responsibilities: FloatArray | None
) -> Moments:
    """Sums of T(x), in some parts (n, d_i), and of h(x) (n,); see `Family.accumulate`."""
    if responsibilities is None:
        base = np.zeros(1) if h is None else h.sum(keepdims=True)
        sums = np.concatenate([column_sums(part) for part in parts])
        return Moments(np.array([float(len(parts[0]))]), sums[None], base)
    counts = column_sums(responsibilities)
    base = np.zeros_like(counts) if h is None else h @ responsibilities
    sums = np.concatenate([responsibilities.T @ part for part in parts], axis=1)
    return Moments(counts, sums, base)


def linear_log_likelihood(family: Linear, statistics: Moments) -> FloatArray:
    """Weighted log-likelihood of each member from the statistics alone, (K,)."""
    eta, partition = family.coefficients()
    return np.asarray(
        (statistics.sums * eta).sum(axis=1) - statistics.counts * partition + statistics.base
    )
