"""Poisson distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import gammaln

from .base import FloatArray
from .domains import NON_NEGATIVE
from .exponential_family import ExponentialFamily
from .support import Support

_LEAST_LOG = -745.0  # of the smallest double: 0 times it is 0, unlike 0 times -inf


@dataclass(frozen=True, eq=False, repr=False)
class Poisson(ExponentialFamily):
    """Counts of events that come one by one at a constant rate.

    log p(x) = x log(rate) - rate - log x!, x = 0, 1, 2, ...

    Parameters
    ----------
    rate : float or array of shape (D,), optional
        Mean and variance, at least 0.

    References
    ----------
    Johnson, Kemp, Kotz (2005), Univariate Discrete Distributions, chapter 4.
    """

    rate: Any = None

    domains: ClassVar = {"rate": NON_NEGATIVE}
    support: ClassVar = Support(0.0, integer=True)

    def sufficient(self, X: FloatArray) -> tuple[FloatArray, ...]:
        return (X,)

    def natural(self) -> tuple[FloatArray, ...]:
        with np.errstate(divide="ignore"):  # a rate of 0 makes 0 the only value
            return (np.maximum(np.log(self.rate), _LEAST_LOG),)

    def log_partition(self) -> FloatArray:
        return np.asarray(self.rate)

    def log_base(self, X: FloatArray) -> FloatArray:
        return -np.asarray(gammaln(X + 1))

    def from_means(self, *means: FloatArray) -> Self:
        return self.with_parameters(rate=means[0])

    def scipy(self) -> Any:
        from scipy import stats

        return stats.poisson(*self._values())

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        return random_state.poisson(self.rate[0], (n, self.n_columns)).astype(np.float64)

    @property
    def mean(self) -> Any:
        return self.rate

    @property
    def variance(self) -> Any:
        return self.rate
