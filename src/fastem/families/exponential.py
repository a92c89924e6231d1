"""Exponential distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from .base import FloatArray, degenerate
from .domains import POSITIVE
from .exponential_family import ExponentialFamily
from .support import Support


@dataclass(frozen=True, eq=False, repr=False)
class Exponential(ExponentialFamily):
    """Waiting times between events at a constant rate, log p(x) = log(rate) - rate x, x >= 0.

    Parameters
    ----------
    rate : float or array of shape (D,), optional
        Above 0; the mean is 1 / rate.

    References
    ----------
    Johnson, Kotz, Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 19.

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import Exponential
    >>> known = Exponential(0.5)
    >>> X = known.sample(1000, random_state=0)
    >>> known.log_density(X[:2]).round(2)
    array([-1.49, -1.95])
    >>> mle.fit(Exponential(), X).family.formula(digits=3)
    'Exponential(0.498)'
    """

    rate: Any = None

    domains: ClassVar = {"rate": POSITIVE}
    support: ClassVar = Support(0.0)
    moments_of: ClassVar = ("x",)

    def sufficient(self, X: FloatArray) -> tuple[FloatArray, ...]:
        return (X,)

    def natural(self) -> tuple[FloatArray, ...]:
        return (-self.rate,)

    def log_partition(self) -> FloatArray:
        return -np.log(self.rate)

    def from_means(self, *means: FloatArray) -> Self:
        with np.errstate(divide="ignore", over="ignore"):
            rate = 1 / means[0]
        if not np.isfinite(rate).all():
            raise degenerate(
                self,
                "all values are 0, and the rate would be infinite",
                "Remove such columns; in a mixture, use fewer components",
            )
        return self.with_parameters(rate=rate)

    def scipy(self) -> Any:
        from scipy import stats

        (rate,) = self._values()
        return stats.expon(scale=1 / rate)

    def truncated(self, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The mean, since x is the statistic: beyond a bound the time begins anew.

        low + 1 / rate - w / (exp(rate w) - 1), with w = high - low.
        """
        rate = float(self._values()[0])
        begin = np.maximum(low, 0.0)
        w = rate * (high - begin)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = 1 - np.where(np.isinf(w), 0.0, w / np.expm1(w))
        # of a narrow interval the two cancel: the series of w / (exp(w) - 1)
        small = np.minimum(w, 1e-3)
        mean = np.where(w < 1e-3, small / 2 - np.square(small) / 12, mean)
        return (begin + mean / rate)[:, None], np.ones((len(low), 1))

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        return np.asarray(random_state.exponential(1 / self.rate[0], (n, self.n_columns)))

    @property
    def mean(self) -> Any:
        return 1 / self.rate

    @property
    def variance(self) -> Any:
        return np.square(1 / self.rate)
