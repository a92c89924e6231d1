"""Normal distribution of one variable."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import log_ndtr

from .._kernels.columns import ColumnMoments
from ..covariances import COVARIANCES
from .base import Family, FloatArray, collapsed, degenerate, written
from .domains import POSITIVE, REAL
from .passes import column_sums
from .support import Support
from .truncation import log_difference

_ROOT = math.sqrt(2 * math.pi)


@dataclass(frozen=True, eq=False)
class CentredMoments:
    """Weights, means and sums of squares about those means, of members: (K,), (K, D), (K, D).

    Moments are never raw, so a large offset costs no digits.
    """

    counts: FloatArray
    means: FloatArray
    squares: FloatArray

    def __add__(self, other: CentredMoments) -> CentredMoments:
        # Chan, Golub, LeVeque (1983), American Statistician 37, 242-247
        counts = self.counts + other.counts
        share = np.divide(other.counts, counts, out=np.zeros_like(counts), where=counts > 0)
        way = other.means - self.means
        return CentredMoments(
            counts,
            self.means + share[:, None] * way,
            self.squares + other.squares + (self.counts * share)[:, None] * np.square(way),
        )

    def deviations(self) -> FloatArray:
        """Standard deviations, (K, D)."""
        return np.sqrt(self.squares / self.counts[:, None])


def centred_moments(X: FloatArray, responsibilities: FloatArray | None) -> CentredMoments:
    """The moments of rows (n, D), with weights (n, K) or each with 1."""
    if responsibilities is None:
        columns = np.ascontiguousarray(X.T)  # sums along the rows of few columns are slow
        means = columns.sum(axis=1) / len(X)
        squares = [away @ away for away in columns - means[:, None]]
        return CentredMoments(np.array([float(len(X))]), means[None], np.array([squares]))
    counts = column_sums(responsibilities)
    shares = np.divide(
        responsibilities, counts, out=np.zeros_like(responsibilities), where=counts > 0
    )
    means = shares.T @ X
    squares = [r @ np.square(X - m) for r, m in zip(responsibilities.T, means, strict=True)]
    return CentredMoments(counts, means, np.array(squares))


@dataclass(frozen=True, eq=False, repr=False)
class Normal(Family):
    """Normal distribution, log p(x) = -((x - mean) / sd)^2 / 2 - log(sd) - log(2 pi) / 2.

    Parameters
    ----------
    mean : float or array of shape (D,), optional
    sd : float or array of shape (D,), optional
        Standard deviation, above 0.

    References
    ----------
    Johnson, Kotz, Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 13.

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import Normal
    >>> known = Normal(1, 2)
    >>> X = known.sample(1000, random_state=0)
    >>> known.log_density(X[:2]).round(2)
    array([-3.17, -1.69])
    >>> mle.fit(Normal(), X).family.formula(digits=3)
    'N(0.909, 1.97**2)'
    """

    mean: Any = None
    sd: Any = None

    domains: ClassVar = {"mean": REAL, "sd": POSITIVE}
    support: ClassVar = Support()
    symbol: ClassVar = "N"
    moments_of: ClassVar = ("x",)

    def log_densities(self, X: FloatArray) -> FloatArray:
        result = np.empty((len(X), self.n_members))
        constants = np.log(self.sd).sum(axis=1) + 0.5 * self.n_columns * math.log(2 * math.pi)
        for k, (mean, sd) in enumerate(zip(self.mean, self.sd, strict=True)):
            y = (X - mean) / sd
            result[:, k] = -0.5 * np.einsum("ij,ij->i", y, y) - constants[k]
        return result

    def accumulate(self, X: FloatArray, responsibilities: FloatArray | None) -> CentredMoments:
        return centred_moments(X, responsibilities)

    def from_columns(self, columns: ColumnMoments) -> CentredMoments:
        return CentredMoments(
            np.array([columns.weight]), columns.means[None], columns.squares[None]
        )

    def maximise(self, statistics: CentredMoments) -> Self:
        sd = statistics.deviations()
        if collapsed(sd, statistics.means).any():
            raise degenerate(
                self,
                "all values are equal, and the standard deviation would be 0",
                "Remove such columns; in a mixture, use fewer components",
            )
        return self.with_parameters(mean=statistics.means, sd=sd)

    # what mixtures of normals are made of
    structure: ClassVar = COVARIANCES["diag"]

    @property
    def covariances(self) -> FloatArray:
        """In the shape of the structure, (K, D)."""
        return np.square(self.sd)

    def from_normal(self, means: FloatArray, covariances: FloatArray) -> Self:
        """Members with these means and covariances."""
        return self.with_parameters(mean=means, sd=np.sqrt(covariances))

    def mixture_model(self, weights: FloatArray) -> Any:
        from .normal_mixtures import NormalMixture

        return NormalMixture(weights, (self,))

    def log_likelihood(self, statistics: CentredMoments) -> FloatArray:
        count = statistics.counts[0]
        squares = statistics.squares[0] + count * np.square(statistics.means[0] - self.mean)
        terms = squares / np.square(self.sd) + count * (2 * np.log(self.sd) + math.log(2 * math.pi))
        return np.asarray(-0.5 * terms.sum(axis=1))

    def scipy(self) -> Any:
        from scipy import stats

        return stats.norm(*self._values())

    def truncated(self, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Two values with the mean and the variance of what is truncated."""
        mean, sd = self._values()
        values, probabilities = normal_moments(mean, sd, low, high)
        # cancellation: far out, and in narrow intervals
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            nodes, shares = super().truncated(low[bad], high[bad])
            mean = (nodes * shares).sum(axis=1, keepdims=True)
            reach = np.sqrt((shares * np.square(nodes - mean)).sum(axis=1, keepdims=True))
            values[bad] = np.concatenate([mean - reach, mean + reach], axis=1)
        return values, probabilities

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        return random_state.normal(self.mean[0], self.sd[0], (n, self.n_columns))

    @property
    def variance(self) -> Any:
        return np.square(self.sd)

    @classmethod
    def from_formula(cls, *arguments: float, **named: float) -> Self:
        """N(mean, variance), as it is written."""
        if named or len(arguments) != 2:
            raise ValueError("N takes a mean and a variance: N(7, 0.5**2)")
        if not arguments[1] > 0:
            raise ValueError(f"N: the variance must be above 0, but it is {arguments[1]:g}")
        return cls(arguments[0], math.sqrt(arguments[1]))

    def formula(self, digits: int | None = None) -> str:
        if np.ndim(self.mean):  # of columns: N takes two numbers
            return super().formula(digits).replace("N", "Normal", 1)
        mean, sd = (written(float(value), digits) for value in (self.mean, self.sd))
        return f"N({mean}, {sd}**2)"


def normal_moments(
    mean: float, sd: float, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mean -+ standard deviation of truncated normals, and probabilities of a half each.

    NaN where the formula loses digits. Johnson, Kotz, Balakrishnan (1994), chapter 13, 10.1.
    """
    a, b = (low - mean) / sd, (high - mean) / sd
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        log_mass = np.where(
            a > 0, log_difference(log_ndtr(-b), log_ndtr(-a)), log_difference(*_cdfs(a, b))
        )
        at_a, at_b = (np.exp(-0.5 * np.square(z) - log_mass) / _ROOT for z in (a, b))
        ends = np.where(np.isinf(a), 0.0, a * at_a) - np.where(np.isinf(b), 0.0, b * at_b)
        shift = at_a - at_b
        variance = 1 + ends - np.square(shift)
    lost = ~(variance > 1e-4 * (1 + np.abs(ends) + np.square(shift)))
    reach = np.sqrt(np.where(lost, np.nan, variance))
    values = mean + sd * np.stack([shift - reach, shift + reach], axis=1)
    return values, np.full(values.shape, 0.5)


def _cdfs(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    return np.asarray(log_ndtr(a)), np.asarray(log_ndtr(b))
