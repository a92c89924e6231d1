"""Bernoulli distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from .base import FloatArray
from .domains import PROBABILITY
from .exponential_family import ExponentialFamily
from .special import least_log, least_log1p
from .support import Support


@dataclass(frozen=True, eq=False, repr=False)
class Bernoulli(ExponentialFamily):
    """Yes (1) or no (0), with log p(x) = x log(p) + (1 - x) log(1 - p).

    Parameters
    ----------
    p : float or array of shape (D,), optional
        Probability of 1, from 0 to 1 inclusive.

    References
    ----------
    Johnson, Kemp, Kotz (2005), Univariate Discrete Distributions, chapter 3.

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import Bernoulli
    >>> known = Bernoulli(0.3)
    >>> X = known.sample(1000, random_state=0)
    >>> known.log_density(X[:2]).round(2)
    array([-0.36, -1.2 ])
    >>> mle.fit(Bernoulli(), X).family.formula(digits=3)
    'Bernoulli(0.291)'
    """

    p: Any = None

    domains: ClassVar = {"p": PROBABILITY}
    support: ClassVar = Support(0.0, 1.0, integer=True)
    moments_of: ClassVar = ("x",)

    def possible(self, X: FloatArray) -> NDArray[np.bool_]:
        p = self.p[0]
        return super().possible(X) & np.where(X > 0, p > 0, p < 1).all(axis=1)

    def sufficient(self, X: FloatArray) -> tuple[FloatArray, ...]:
        return (X,)

    def natural(self) -> tuple[FloatArray, ...]:
        return (least_log(self.p) - least_log1p(-self.p),)

    def log_partition(self) -> FloatArray:
        return -least_log1p(-self.p)

    def from_means(self, *means: FloatArray) -> Self:
        return self.with_parameters(p=np.clip(means[0], 0.0, 1.0))  # rounding can leave the range

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        return random_state.binomial(1, self.p[0], (n, self.n_columns)).astype(np.float64)

    @property
    def mean(self) -> Any:
        return self.p

    @property
    def variance(self) -> Any:
        return self.p * (1 - self.p)

    def scipy(self) -> Any:
        from scipy import stats

        return stats.bernoulli(*self._values())
