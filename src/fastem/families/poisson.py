"""Poisson distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from .base import FloatArray
from .domains import NON_NEGATIVE
from .exponential_family import ExponentialFamily, Moments
from .special import least_log
from .support import Support
from .truncation import log_mass


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

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import Poisson
    >>> known = Poisson(3)
    >>> X = known.sample(1000, random_state=0)
    >>> known.log_density(X[:2]).round(2)
    array([-2.29, -2.99])
    >>> mle.fit(Poisson(), X).family.formula(digits=3)
    'Poisson(2.96)'
    """

    rate: Any = None

    domains: ClassVar = {"rate": NON_NEGATIVE}
    support: ClassVar = Support(0.0, integer=True)
    moments_of: ClassVar = ("x",)

    def possible(self, X: FloatArray) -> NDArray[np.bool_]:
        # log_densities ends at exp(-745), where there is no probability at all
        return super().possible(X) & ((X == 0) | (self.rate[0] > 0)).all(axis=1)

    def sufficient(self, X: FloatArray) -> tuple[FloatArray, ...]:
        return (X,)

    def natural(self) -> tuple[FloatArray, ...]:
        return (least_log(self.rate),)  # a rate of 0 makes 0 the only value

    def log_partition(self) -> FloatArray:
        return np.asarray(self.rate)

    def log_base(self, X: FloatArray) -> FloatArray:
        return -np.asarray(gammaln(X + 1))

    def from_means(self, *means: FloatArray) -> Self:
        return self.with_parameters(rate=means[0])

    def scipy(self) -> Any:
        from scipy import stats

        return stats.poisson(*self._values())

    def estimates_covariance(self, statistics: Moments, whole: bool = True) -> FloatArray:
        """rate / n: of great rates differences of the likelihood would be all rounding."""
        rate = self.rate[0]
        variance = np.where(rate > 0, rate / statistics.counts[0], np.nan)
        return np.diag(variance) if whole else variance

    def truncated(self, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The mean, since x is the statistic: x p(x) = rate p(x - 1)."""
        known, rate = self.scipy(), float(self._values()[0])
        ratio = np.exp(log_mass(known, low - 1, high - 1) - log_mass(known, low, high))
        return rate * ratio[:, None], np.ones((len(low), 1))

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        return random_state.poisson(self.rate[0], (n, self.n_columns)).astype(np.float64)

    @property
    def mean(self) -> Any:
        return self.rate

    @property
    def variance(self) -> Any:
        return self.rate
