"""Uniform distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from .._kernels.columns import ColumnMoments, column_moments
from .base import Family, FloatArray, degenerate
from .domains import REAL
from .passes import column_sums
from .support import Support

#: A row counts for a member where its weight is above this. A responsibility so small changes no
#: digit of the likelihood of its row, but would hold the range open for ever.
LEAST_WEIGHT = 1e-200


@dataclass(frozen=True, eq=False)
class Ranges:
    """Sums of the weights of members (K,), and least and greatest values of their rows (K, D).

    Of the rows whose weight is above `LEAST_WEIGHT`; and of all whose weight is above 0, for a
    member that has none of the former.
    """

    counts: FloatArray
    low: FloatArray
    high: FloatArray
    low_any: FloatArray
    high_any: FloatArray

    def __add__(self, other: Ranges) -> Ranges:
        return Ranges(
            self.counts + other.counts,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            np.minimum(self.low_any, other.low_any),
            np.maximum(self.high_any, other.high_any),
        )


@dataclass(frozen=True, eq=False, repr=False)
class Uniform(Family):
    """Numbers that are equally likely from low to high, log p(x) = -log(high - low).

    The density outside is 0. The maximum likelihood is the range of the rows that count: those
    with a weight above 1e-200, or above 0 where there are none.

    In a mixture the range can therefore become narrower from step to step, but no wider: a row
    outside has no part in the component. Where it begins decides where it ends.

    Parameters
    ----------
    low : float or array of shape (D,), optional
    high : float or array of shape (D,), optional
        Above `low`.

    References
    ----------
    Johnson, Kotz, Balakrishnan (1995), Continuous Univariate Distributions 2, chapter 26.

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import Uniform
    >>> known = Uniform(0, 10)
    >>> X = known.sample(1000, random_state=0)
    >>> known.log_density(X[:2]).round(2)
    array([-2.3, -2.3])
    >>> mle.fit(Uniform(), X).family.formula(digits=3)
    'Uniform(0.00546, 10)'
    """

    low: Any = None
    high: Any = None

    domains: ClassVar = {"low": REAL, "high": REAL}
    support: ClassVar = Support()
    moments_of: ClassVar = ("x",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.known and not (self.low < self.high).all():
            raise ValueError(
                f"Uniform: low must be below high, but they are {self.low.tolist()} and "
                f"{self.high.tolist()}"
            )

    def log_densities(self, X: FloatArray) -> FloatArray:
        result = np.full((len(X), self.n_members), -np.inf)
        for k, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            if (low < high).all():  # free coordinates may cross, and then nothing lies between
                inside = ((low <= X) & (high >= X)).all(axis=1)
                result[inside, k] = -np.log(high - low).sum()
        return result

    def accumulate(self, X: FloatArray, responsibilities: FloatArray | None) -> Ranges:
        if responsibilities is None:
            low, high = X.min(axis=0)[None], X.max(axis=0)[None]
            return Ranges(np.array([float(len(X))]), low, high, low, high)
        low, high = _ranges(X, responsibilities > LEAST_WEIGHT)
        counts = column_sums(responsibilities)
        return Ranges(counts, low, high, *_ranges(X, responsibilities > 0))

    def from_columns(self, columns: ColumnMoments) -> Ranges:
        """Of rows that all count."""
        low, high = columns.low[None], columns.high[None]
        return Ranges(np.array([columns.weight]), low, high, low, high)

    def _compiled(
        self, X: FloatArray, responsibilities: FloatArray | None, n_threads: int
    ) -> Ranges | None:
        if responsibilities is not None:
            least = column_moments(responsibilities, n_threads=n_threads).low
            if not (least > LEAST_WEIGHT).all():
                return None
        found: Ranges | None = super()._compiled(X, responsibilities, n_threads)
        return found

    def maximise(self, statistics: Ranges) -> Self:
        some = statistics.low <= statistics.high
        low = np.where(some, statistics.low, statistics.low_any)
        high = np.where(some, statistics.high, statistics.high_any)
        if not (low < high).all():
            raise degenerate(
                self,
                "all values are equal, or have no weight, and the density would be infinite",
                "Remove such columns; in a mixture, use fewer components",
            )
        return self.with_parameters(low=low, high=high)

    def log_likelihood(self, statistics: Ranges) -> FloatArray:
        holds = (self.low <= statistics.low_any[0]) & (self.high >= statistics.high_any[0])
        widths = np.where(holds, self.high - self.low, np.inf)
        return np.asarray(-statistics.counts[0] * np.log(widths).sum(axis=1))

    def scipy(self) -> Any:
        from scipy import stats

        low, high = self._values()
        return stats.uniform(low, high - low)

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        return random_state.uniform(self.low[0], self.high[0], (n, self.n_columns))

    @property
    def mean(self) -> Any:
        return self.low + (self.high - self.low) / 2

    @property
    def variance(self) -> Any:
        return np.square(self.high - self.low) / 12


def _ranges(X: FloatArray, counts: FloatArray) -> tuple[FloatArray, FloatArray]:
    rows = [X[counting] for counting in counts.T]
    return (
        np.array([part.min(axis=0, initial=np.inf) for part in rows]),
        np.array([part.max(axis=0, initial=-np.inf) for part in rows]),
    )
