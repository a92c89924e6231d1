"""Negative binomial distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from .base import Family, FloatArray
from .domains import POSITIVE, Interval
from .histogram import Histogram, levels
from .newton import root
from .special import digamma_rise, least_log1p, log1p_less, log_rise
from .support import Support

#: the largest size that is fitted is this times the mean
LARGEST_SIZE = 1e6

_DIFFERENCE = 1e-5
_FAR = 10.0


@dataclass(frozen=True, eq=False, repr=False)
class NegativeBinomial(Family):
    """Number of failures before `size` successes: counts with more variance than Poisson's.

    log p(x) = log Gamma(x + size) - log Gamma(size) - log x! + size log(p) + x log(1 - p),
    x = 0, 1, 2, ... as `scipy.stats.nbinom`.

    Parameters
    ----------
    size : float or array of shape (D,), optional
        Above 0, any real number. Other names: the dispersion r, or 1 / alpha.
    p : float or array of shape (D,), optional
        Probability of a success, above 0 and at most 1. The mean is m = size (1 - p) / p, the
        variance m + m^2 / size.

    Notes
    -----
    The likelihood has its only maximum at a finite size where the variance is above the mean
    (Simonsen 1976, Skandinavisk Aktuarietidskrift). Otherwise it rises towards the Poisson
    distribution as the size goes to infinity: the fit then ends at a size of 1e6 times the mean,
    whose variance is that of the Poisson but for a millionth. `Poisson` has one parameter less.
    Columns of zeros have p = 1, at the size they began with, or 1.

    References
    ----------
    Johnson, Kemp, Kotz (2005), Univariate Discrete Distributions, section 5.8.

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import NegativeBinomial
    >>> known = NegativeBinomial(3, 0.4)
    >>> X = known.sample(1000, random_state=0)
    >>> known.log_density(X[:2]).round(2)
    array([-3.67, -2.26])
    >>> mle.fit(NegativeBinomial(), X).family.formula(digits=3)
    'NegativeBinomial(3.32, 0.435)'
    """

    size: Any = None
    p: Any = None

    domains: ClassVar = {"size": POSITIVE, "p": Interval(0.0, 1.0, high_closed=True)}
    support: ClassVar = Support(0.0, integer=True)

    def possible(self, X: FloatArray) -> NDArray[np.bool_]:
        return super().possible(X) & ((X == 0) | (self.p[0] < 1)).all(axis=1)

    def log_densities(self, X: FloatArray) -> FloatArray:
        result = np.zeros((len(X), self.n_members))
        for x, size, p in zip(X.T, self.size.T, self.p.T, strict=True):
            values, places = levels(x)
            result += _log_probabilities(values, size, p).T[places]
        return result

    def accumulate(self, X: FloatArray, responsibilities: FloatArray | None) -> Histogram:
        return Histogram.of(X, responsibilities)

    def maximise(self, statistics: Histogram) -> Self:
        sizes, ps = [], []
        for column, (x, w) in enumerate(zip(statistics.values, statistics.weights, strict=True)):
            shares = w / w.sum(axis=1, keepdims=True)
            mean = shares @ x
            size = _size(x, shares, mean)
            size[mean == 0] = self.size[:, column][mean == 0] if self.known else 1.0
            sizes.append(size)
            ps.append(size / (size + mean))
        return self.with_parameters(size=np.stack(sizes, axis=1), p=np.stack(ps, axis=1))

    def log_likelihood(self, statistics: Histogram) -> FloatArray:
        columns = zip(statistics.values, statistics.weights, self.size.T, self.p.T, strict=True)
        return np.asarray(
            sum((w * _log_probabilities(x, size, p)).sum(axis=1) for x, w, size, p in columns)
        )

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        shape = (n, self.n_columns)
        rate = random_state.gamma(self.size[0], (1 - self.p[0]) / self.p[0], shape)
        return random_state.poisson(rate).astype(np.float64)

    @property
    def remark(self) -> str | None:
        if not np.any((self.size >= 0.999 * LARGEST_SIZE * self.mean) & (self.p < 1)):
            return None
        return (
            "the variance is not above the mean, so the best size is the greatest: Poisson says as "
            "much with one parameter less"
        )

    @property
    def mean(self) -> Any:
        return self.size * (1 - self.p) / self.p

    @property
    def variance(self) -> Any:
        return self.size * (1 - self.p) / np.square(self.p)

    def scipy(self) -> Any:
        from scipy import stats

        return stats.nbinom(*self._values())


def _log_probabilities(x: FloatArray, size: FloatArray, p: FloatArray) -> FloatArray:
    """Of values (m,) for members with parameters (K,): (K, m)."""
    size, p = size[:, None], p[:, None]
    table = log_rise(size, x) - gammaln(x + 1) + size * np.log(p)
    return np.asarray(table + x * (np.log(size) + least_log1p(-p)))


def _size(x: FloatArray, shares: FloatArray, mean: FloatArray) -> FloatArray:
    """Where the likelihood of the size, at the best p = size / (size + mean), has its maximum.

    Parameters
    ----------
    x : array of shape (m,)
        Values.
    shares : array of shape (K, m)
        Of the values, for each member.
    mean : array of shape (K,)

    Returns
    -------
    size : array of shape (K,)
    """
    mean = np.where(mean > 0, mean, 1.0)  # zeros only: any size will do

    def score(log_size: FloatArray) -> FloatArray:
        """Size times the derivative: sum of shares x size (digamma(x + size) - digamma(size)),
        less size log(1 + mean / size). Above 0 below the maximum."""
        size = np.exp(log_size)
        rise = (shares * digamma_rise(size[:, None], x)).sum(axis=1)
        differences = -size * log1p_less(mean / size) - rise
        # far below the mean, what the mean is added to and taken from would be lost in it
        direct = (shares * (digamma(size[:, None] + x) - digamma(size)[:, None])).sum(axis=1)
        direct -= np.log1p(mean / size)
        return np.where(mean > _FAR * size, size * direct, differences)

    largest = np.log(LARGEST_SIZE * mean)

    excess = (shares * np.square(x - mean[:, None])).sum(axis=1) - mean
    endless = (excess <= 0) | (score(largest) >= 0)

    def solved(log_size: FloatArray) -> tuple[FloatArray, FloatArray]:
        # beyond its root the score falls, and then rises towards 0: only its sign leads the way
        value = np.where(endless, 0.0, score(log_size))
        return value, -np.abs(score(log_size + _DIFFERENCE) - value) / _DIFFERENCE

    by_moments = np.log(np.square(mean) / np.maximum(excess, mean / LARGEST_SIZE))
    log_size = root(solved, np.minimum(by_moments, largest))
    return np.exp(np.where(endless, largest, np.minimum(log_size, largest)))
