"""Geometric distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from .base import FloatArray
from .domains import Interval
from .exponential_family import ExponentialFamily
from .special import least_log1p
from .support import Support


@dataclass(frozen=True, eq=False, repr=False)
class Geometric(ExponentialFamily):
    """Number of trials up to the first success, the success included.

    log p(x) = (x - 1) log(1 - p) + log p, x = 1, 2, ... as `scipy.stats.geom`.

    Parameters
    ----------
    p : float or array of shape (D,), optional
        Probability of a success, above 0 and at most 1; the mean is 1 / p.

    References
    ----------
    Johnson, Kemp, Kotz (2005), Univariate Discrete Distributions, section 5.2.

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import Geometric
    >>> known = Geometric(0.3)
    >>> X = known.sample(1000, random_state=0)
    >>> known.log_density(X[:2]).round(2)
    array([-1.92, -2.27])
    >>> mle.fit(Geometric(), X).family.formula(digits=3)
    'Geometric(0.299)'
    """

    p: Any = None

    domains: ClassVar = {"p": Interval(0.0, 1.0, high_closed=True)}
    support: ClassVar = Support(1.0, integer=True)
    moments_of: ClassVar = ("x",)

    def possible(self, X: FloatArray) -> NDArray[np.bool_]:
        return super().possible(X) & ((X == 1) | (self.p[0] < 1)).all(axis=1)

    def sufficient(self, X: FloatArray) -> tuple[FloatArray, ...]:
        return (X,)

    def natural(self) -> tuple[FloatArray, ...]:
        return (least_log1p(-self.p),)

    def log_partition(self) -> FloatArray:
        return least_log1p(-self.p) - np.log(self.p)

    def from_means(self, *means: FloatArray) -> Self:
        return self.with_parameters(p=np.minimum(1 / means[0], 1.0))

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        return random_state.geometric(self.p[0], (n, self.n_columns)).astype(np.float64)

    @property
    def mean(self) -> Any:
        return 1 / self.p

    @property
    def variance(self) -> Any:
        return (1 - self.p) / np.square(self.p)

    def scipy(self) -> Any:
        from scipy import stats

        return stats.geom(*self._values())
