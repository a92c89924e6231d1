"""Multivariate Student t distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from scipy.optimize import brentq

from ..covariances import COVARIANCES
from .base import Family, FloatArray
from .domains import POSITIVE, POSITIVE_DEFINITE, Vector
from .positive_definite import factorised
from .scatter import Scatter
from .special import digamma_rise, log1p_less, log_rise
from .support import Support

#: degrees of freedom end here: the distribution is the normal one, but for a millionth
LARGEST_DF = 1e6

_FULL = COVARIANCES["full"]
_FIRST_DF = 4.0
_SERIES = 0.05


@dataclass(frozen=True, eq=False)
class LatentScales:
    """Expectations over the latent scales u of rows, with the parameters they are for.

    Sums over rows with weights w, for each member. With s = 1 / df, and d the squared distance of
    a row from loc by the scale matrix: u = (df + D) / (df + d).

    Parameters
    ----------
    counts : array of shape (K,)
        Sums of w.
    excess : array of shape (K,)
        Sums of w (u - 1).
    scatter : Scatter
        With the weights w u.
    slopes, bends : arrays of shape (K,)
        Sums of w times the derivatives by s of log(1 + s d), and of log(1 + s d) / s.
    curvature : array of shape (K,)
        Sums of w times the second derivative of log(1 + s d) / s at s / 2: an upper bound of that
        at all s beyond.
    """

    counts: FloatArray
    excess: FloatArray
    scatter: Scatter
    slopes: FloatArray
    bends: FloatArray
    curvature: FloatArray

    @classmethod
    def of_normal(cls, X: FloatArray, weights: FloatArray) -> LatentScales:
        """Of a normal distribution, to begin with: each u is 1."""
        zero = np.zeros(weights.shape[1])
        scatter = Scatter.of(_FULL, X, weights)
        return cls(weights.sum(axis=0), zero, scatter, zero, zero, zero)

    def __add__(self, other: LatentScales) -> LatentScales:
        return LatentScales(
            self.counts + other.counts,
            self.excess + other.excess,
            self.scatter + other.scatter,
            self.slopes + other.slopes,
            self.bends + other.bends,
            self.curvature + other.curvature,
        )


@dataclass(frozen=True, eq=False, repr=False)
class MultivariateStudentT(Family):
    """Multivariate t distribution: normal, with heavier tails the smaller `df` is.

    `log p(x) = log Gamma((df + D) / 2) - log Gamma(df / 2) - D log(pi df) / 2 - log |scale| / 2
    - (df + D) / 2 log(1 + d / df), d = (x - loc)^T scale^-1 (x - loc)`

    Parameters
    ----------
    df : float, optional
        Degrees of freedom, above 0. Where the likelihood rises without end as they grow, towards
        the normal distribution, the fit ends at 1e6.
    loc : array of shape (D,), optional
        The mean, where df > 1.
    scale : array of shape (D, D), optional
        Symmetric and positive definite; df / (df - 2) times it is the covariance, where df > 2.

    Notes
    -----
    A row is normal with covariance scale / u, and u has a Gamma distribution. A step either
    maximises over loc and scale by EM with expanded parameters (PX-EM), or over df, whichever is
    sure to gain more; the likelihood never falls. In 1 / df the log-likelihood is a sum of concave
    terms, of which a tangent is a bound, and of terms whose curvature has a bound that is in the
    statistics: the step in df needs no second pass, and has no trouble with large ones, which EM
    takes hundreds of steps for.

    References
    ----------
    Liu, Rubin (1995), Statistica Sinica 5, 19-39; Liu, Rubin, Wu (1998), Biometrika 85, 755-770.

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import MultivariateStudentT
    >>> known = MultivariateStudentT(5, [0, 1], [[1, 0.5], [0.5, 2]])
    >>> X = known.sample(1000, random_state=0)
    >>> known.log_density(X[:2]).round(2)
    array([-6.71, -8.93])
    >>> mle.fit(MultivariateStudentT(), X).family.formula(digits=3)
    'MultivariateStudentT(4.66, [-0.0226, 0.958], [[0.956, 0.507], [0.507, 1.97]])'
    """

    df: Any = None
    loc: Any = None
    scale: Any = None

    domains: ClassVar = {"df": POSITIVE, "loc": Vector(), "scale": POSITIVE_DEFINITE}
    support: ClassVar = Support()
    univariate: ClassVar = False
    iterative: ClassVar = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.known:
            return
        D, K = self.loc.shape[-1], self.loc.shape[:-1]
        if self.scale.shape != (*K, D, D) or self.df.shape != K:
            raise ValueError(
                f"MultivariateStudentT: a loc of shape {self.loc.shape} needs df of shape {K} and "
                f"scale of shape {(*K, D, D)}, but they have {self.df.shape} and {self.scale.shape}"
            )

    @property
    def n_columns(self) -> int:
        """Columns of data that it is of; 1 where nothing is known."""
        return int(self.loc.shape[-1]) if self.known else 1

    def _distances(self, X: FloatArray) -> tuple[list[FloatArray], FloatArray]:
        """Squared distances of rows from each member, (n,) each, and log |scale| / 2, (K,)."""
        factors = factorised(self, _FULL, self.scale)
        distances = []
        for mean, factor in zip(self.loc, factors, strict=True):
            y = (X - mean) @ factor
            distances.append(np.einsum("ij,ij->i", y, y))
        return distances, -_FULL.log_determinants(factors, self.n_columns)

    def log_densities(self, X: FloatArray) -> FloatArray:
        D, df = self.n_columns, self.df
        distances, log_scales = self._distances(X)
        constants = log_rise(df / 2, np.array(D / 2)) - 0.5 * D * math.log(2 * math.pi) - log_scales
        result = np.empty((len(X), len(df)))
        for k, d in enumerate(distances):
            result[:, k] = -0.5 * (df[k] + D) * np.log1p(d / df[k])
        return result + constants

    def accumulate(self, X: FloatArray, responsibilities: FloatArray | None) -> LatentScales:
        weights = np.ones((len(X), 1)) if responsibilities is None else responsibilities
        if not self.known:
            return LatentScales.of_normal(X, weights)
        distances, _ = self._distances(X)
        scaled = np.empty_like(weights)
        sums = np.empty((4, weights.shape[1]))
        for k, (d, w) in enumerate(zip(distances, weights.T, strict=True)):
            df = float(self.df[k])
            excess = (X.shape[1] - d) / (df + d)
            scaled[:, k] = w * (1 + excess)
            z = d / df
            sums[:, k] = (
                w @ excess,
                w @ (d / (1 + z)),
                -(w @ (log1p_less(z) + z * z / (1 + z))) * df**2,
                w @ _curvature(d, 0.5 / df),
            )
        excess, *rest = sums
        scatter = Scatter.of(_FULL, X, scaled)
        return LatentScales(weights.sum(axis=0), excess, scatter, *rest)

    def maximise(self, statistics: LatentScales) -> Self:
        # PX-EM divides by the sum of w u, not by that of w
        means, new_scale = statistics.scatter.means, statistics.scatter.covariances()
        new_factors = factorised(self, _FULL, new_scale)
        if not self.known:
            df = np.full(len(means), _FIRST_DF)
            return self.with_parameters(df=df, loc=means, scale=new_scale * (1 - 2 / _FIRST_DF))
        D = self.n_columns
        df, loc, scale = self.df, self.loc.copy(), self.scale.copy()
        new_df, gain = _degrees_of_freedom(df, D, statistics)
        factors = factorised(self, _FULL, scale)
        log_u = np.log1p(statistics.excess / statistics.counts)
        sure = _FULL.log_determinants(new_factors, D) - _FULL.log_determinants(factors, D)
        rather = sure - 0.5 * (df + D) * log_u >= gain
        loc[rather], scale[rather] = means[rather], new_scale[rather]
        return self.with_parameters(df=np.where(rather, df, new_df), loc=loc, scale=scale)

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        normal = random_state.standard_normal((n, self.n_columns))
        u = random_state.chisquare(self.df[0], n) / self.df[0]
        return self.loc[0] + normal @ np.linalg.cholesky(self.scale[0]).T / np.sqrt(u)[:, None]

    @property
    def mean(self) -> Any:
        return np.where(self.df[..., None] > 1, self.loc, np.nan)

    @property
    def variance(self) -> Any:
        df, squares = self.df[..., None], self.scale.diagonal(0, -2, -1)
        wide = np.where(df > 1, np.inf, np.nan)
        return np.where(df > 2, squares * df / np.where(df > 2, df - 2, 1.0), wide)


def _curvature(d: FloatArray, s: float) -> FloatArray:
    """Second derivative of log(1 + s d) / s by s: the integral of 2 t^2 / (1 + s t)^3 to d."""
    z = s * d
    share = z / (1 + z)
    result = (2 * np.log1p(z) - share * (2 + share)) / s**3
    near = z < _SERIES  # where that cancels
    small = z[near]
    series = np.zeros_like(small)
    for k in range(12, -1, -1):
        series = (k + 1) * (k + 2) / (k + 3) - small * series
    result[near] = d[near] ** 3 * series
    return np.asarray(result)


@dataclass(frozen=True)
class _Bound:
    """Lower bound of the log-likelihood of one member, per weight, as a function of s = 1 / df.

    It touches the likelihood at `here`, and holds from half of it on. See `LatentScales`.
    """

    D: int
    here: float
    slope: float
    bend: float
    curvature: float

    def __call__(self, s: float) -> float:
        way = s - self.here
        terms = way * (self.D * self.slope + self.bend + 0.5 * self.curvature * way)
        return float(log_rise(np.array(0.5 / s), np.array(self.D / 2))) - 0.5 * terms

    def derivative(self, s: float) -> float:
        rise = float(digamma_rise(np.array(0.5 / s), np.array(self.D / 2)))
        terms = self.D * self.slope + self.bend + self.curvature * (s - self.here)
        return rise / s - 0.5 * terms

    def maximum(self) -> float:
        """Where it is greatest among the s from half to four times `here`, or a local maximum."""
        if self.derivative(self.here) > 0:
            low, high = self.here, 4 * self.here
        else:
            low, high = min(self.here, max(self.here / 2, 1 / LARGEST_DF)), self.here
        if self.derivative(high) >= 0:
            return high
        if self.derivative(low) <= 0:
            return low
        return float(brentq(self.derivative, low, high, xtol=1e-300, rtol=1e-15))


def _degrees_of_freedom(
    df: FloatArray, D: int, statistics: LatentScales
) -> tuple[FloatArray, FloatArray]:
    """Degrees of freedom at which a lower bound of the likelihood is greatest.

    Returns
    -------
    df : array of shape (K,)
        At most twice those before, and at least a quarter.
    gain : array of shape (K,)
        By which the log-likelihood rises at least, per weight; 0 where they stay.
    """
    new, gains = df.copy(), np.zeros(len(df))
    parts = (statistics.slopes, statistics.bends, statistics.curvature)
    for k, of_each in enumerate(np.stack([part / statistics.counts for part in parts], axis=1)):
        here = 1 / float(df[k])
        bound = _Bound(D, here, *of_each.tolist())
        s = bound.maximum()
        if (gain := bound(s) - bound(here)) > 0:
            new[k], gains[k] = 1 / s, gain
    return new, gains
