"""Weibull distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import gamma, gammaln, zeta

from .base import Family, FloatArray, collapsed, degenerate
from .domains import POSITIVE
from .newton import root
from .sample import WeightedRows
from .support import Support

# A step of this size of Newton's squares to less than rounding.
_LAST_STEP = 1e-7


@dataclass(frozen=True, eq=False, repr=False)
class Weibull(Family):
    """Life times whose rate of failure is a power of age: (x / scale)^shape is exponential.

    log p(x) = log(shape / scale) + (shape - 1) log(x / scale) - (x / scale)^shape, x > 0.

    Parameters
    ----------
    shape, scale : float or array of shape (D,), optional
        Above 0.

    References
    ----------
    Johnson, Kotz, Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 21. The
    shape is the root of sum(w x^shape log x) / sum(w x^shape) - 1/shape = mean of log x, which is
    unique; scale^shape is the mean of x^shape.

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import Weibull
    >>> known = Weibull(1.5, 2)
    >>> X = known.sample(1000, random_state=0)
    >>> known.log_density(X[:2]).round(2)
    array([-1.16, -1.47])
    >>> mle.fit(Weibull(), X).family.formula(digits=3)
    'Weibull(1.48, 2)'
    """

    shape: Any = None
    scale: Any = None

    domains: ClassVar = {"shape": POSITIVE, "scale": POSITIVE}
    support: ClassVar = Support(0.0, low_closed=False)

    def log_densities(self, X: FloatArray) -> FloatArray:
        logs = np.log(X)
        result = np.empty((len(X), self.n_members))
        for k, (shape, scale) in enumerate(zip(self.shape, self.scale, strict=True)):
            t = shape * (logs - np.log(scale))
            with np.errstate(over="ignore"):  # a density of 0
                result[:, k] = (t - np.exp(t)).sum(axis=1)
            result[:, k] -= logs.sum(axis=1) - np.log(shape).sum()
        return result

    def accumulate(self, X: FloatArray, responsibilities: FloatArray | None) -> WeightedRows:
        return WeightedRows(((np.log(X), responsibilities),))

    def maximise(self, statistics: WeightedRows) -> Self:
        """The members of the greatest likelihood, from the logarithms of the rows."""

        def first(y: FloatArray, w: FloatArray | None, k: int, d: int) -> tuple[Any, ...]:
            return (len(y), y.sum()) if w is None else (w.sum(), w @ y)

        weight, sums = statistics.each(first).sum(axis=0)
        mean = np.divide(sums, weight, out=np.zeros_like(sums), where=weight > 0)

        def second(y: FloatArray, w: FloatArray | None, k: int, d: int) -> tuple[Any, ...]:
            away = y - mean[k, d]
            return (away @ away if w is None else w @ np.square(away),)

        (squares,) = statistics.each(second).sum(axis=0)
        sd = np.sqrt(np.divide(squares, weight, out=np.zeros_like(sums), where=weight > 0))
        # a value is known to a few digits only, and so its logarithm to as many after the point
        if collapsed(sd, np.maximum(np.abs(mean), 1.0)).any():
            raise degenerate(
                self,
                "all values are equal, and the shape would be infinite",
                "Remove such columns; in a mixture, use fewer components",
            )
        last: list[FloatArray] = []

        def profile(log_shape: FloatArray) -> tuple[FloatArray, FloatArray]:
            log_sum, tilted, spread = _tilted(statistics, mean, np.exp(log_shape))
            last[:] = [log_shape, log_sum, tilted, spread]
            return tilted - 1, tilted + spread

        log_shape = root(profile, np.log(math.pi / math.sqrt(6) / sd), _LAST_STEP)
        # the sums are those before the last step: what it adds to their logarithm, to third order
        before, log_sum, tilted, spread = last
        step = np.expm1(log_shape - before)
        log_sum = log_sum + step * tilted + np.square(step) * spread / 2
        shape = np.exp(log_shape)
        scale = np.exp(mean + (log_sum - np.log(weight)) / shape)
        return self.with_parameters(shape=shape, scale=scale)

    def scipy(self) -> Any:
        from scipy import stats

        shape, scale = self._values()
        return stats.weibull_min(shape, scale=scale)

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        rows = random_state.weibull(self.shape[0], (n, self.n_columns))
        return np.asarray(self.scale[0] * rows)

    @property
    def mean(self) -> Any:
        return self.scale * gamma(1 + 1 / self.shape)

    @property
    def variance(self) -> Any:
        with np.errstate(over="ignore"):
            return np.square(self.mean) * np.expm1(_log_ratio(1 / self.shape))


def _tilted(
    statistics: WeightedRows, mean: FloatArray, shape: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of t = shape (log x - mean): log of the sum of w exp(t), and mean and variance under it."""

    def sums(y: FloatArray, w: FloatArray | None, k: int, d: int) -> tuple[Any, ...]:
        t = (y - mean[k, d]) * shape[k, d]
        if w is None:
            top = t.max()
            e = np.exp(t - top)
        else:
            with np.errstate(divide="ignore"):
                exponents = np.log(w)
            exponents += t
            if (top := exponents.max()) == -np.inf:
                return -np.inf, 0.0, 0.0, 0.0
            e = np.exp(np.subtract(exponents, top, out=exponents), out=exponents)
        total, moment = e.sum(), e @ t
        middle = moment / total
        t -= middle
        return top, total, middle, np.square(t, out=t) @ e

    tops, totals, middles, squares = np.moveaxis(statistics.each(sums), 1, 0)
    top = tops.max(axis=0)
    totals = totals * np.exp(tops - top)
    squares = squares * np.exp(tops - top)
    total = totals.sum(axis=0)
    middle = (totals * middles).sum(axis=0) / total
    spread = (squares + totals * np.square(middles - middle)).sum(axis=0) / total
    return top + np.log(total), middle, spread


def _log_ratio(e: FloatArray) -> FloatArray:
    """log Gamma(1 + 2 e) - 2 log Gamma(1 + e), small e too (DLMF 5.7.3)."""
    small = e < 0.05
    safe = np.where(small, e, 0.0)
    series = sum((-1) ** i * zeta(i) / i * (2**i - 2) * safe**i for i in range(2, 24))
    return np.where(small, series, gammaln(1 + 2 * e) - 2 * gammaln(1 + e))
