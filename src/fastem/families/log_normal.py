"""Log-normal distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from .._kernels.columns import ColumnMoments
from .base import Family, FloatArray, collapsed, degenerate
from .domains import POSITIVE, REAL
from .normal import CentredMoments, Normal, centred_moments
from .support import Support


@dataclass(frozen=True, eq=False, repr=False)
class LogNormal(Family):
    """Positive numbers whose logarithm is normal, with mean mu and standard deviation sigma.

    log p(x) = -((log x - mu) / sigma)^2 / 2 - log(sigma) - log(2 pi) / 2 - log x.

    Parameters
    ----------
    mu : float or array of shape (D,), optional
        Of the logarithm.
    sigma : float or array of shape (D,), optional
        Of the logarithm, above 0.

    References
    ----------
    Johnson, Kotz, Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 14.

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import LogNormal
    >>> known = LogNormal(0, 1)
    >>> X = known.sample(1000, random_state=0)
    >>> known.log_density(X[:2]).round(2)
    array([-4.24, -1.4 ])
    >>> mle.fit(LogNormal(), X).family.formula(digits=3)
    'LogNormal(-0.0453, 0.987)'
    """

    mu: Any = None
    sigma: Any = None

    domains: ClassVar = {"mu": REAL, "sigma": POSITIVE}
    support: ClassVar = Support(0.0, low_closed=False)
    moments_of: ClassVar = ("log x",)

    def log_densities(self, X: FloatArray) -> FloatArray:
        logs = np.log(X)
        normal = Normal().with_parameters(mean=self.mu, sd=self.sigma)
        return normal.log_densities(logs) - logs.sum(axis=1, keepdims=True)

    def accumulate(self, X: FloatArray, responsibilities: FloatArray | None) -> CentredMoments:
        return centred_moments(np.log(X), responsibilities)

    def from_columns(self, columns: ColumnMoments) -> CentredMoments:
        logs = columns.log_means[None], columns.log_squares[None]
        return CentredMoments(np.array([columns.weight]), *logs)

    def maximise(self, statistics: CentredMoments) -> Self:
        sigma = statistics.deviations()
        # a value is known to a few digits only, and so its logarithm to as many after the point
        if collapsed(sigma, np.maximum(np.abs(statistics.means), 1.0)).any():
            raise degenerate(
                self,
                "all values are equal, and sigma would be 0",
                "Remove such columns; in a mixture, use fewer components",
            )
        return self.with_parameters(mu=statistics.means, sigma=sigma)

    def log_likelihood(self, statistics: CentredMoments) -> FloatArray:
        normal = Normal().with_parameters(mean=self.mu, sd=self.sigma)
        sum_of_logs = statistics.counts[0] * statistics.means[0].sum()
        return np.asarray(normal.log_likelihood(statistics) - sum_of_logs)

    def scipy(self) -> Any:
        from scipy import stats

        mu, sigma = self._values()
        return stats.lognorm(sigma, scale=np.exp(mu))

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        return np.asarray(random_state.lognormal(self.mu[0], self.sigma[0], (n, self.n_columns)))

    @property
    def mean(self) -> Any:
        with np.errstate(over="ignore"):
            return np.exp(self.mu + np.square(self.sigma) / 2)

    @property
    def variance(self) -> Any:
        with np.errstate(over="ignore"):
            return np.expm1(np.square(self.sigma)) * np.exp(2 * self.mu + np.square(self.sigma))
