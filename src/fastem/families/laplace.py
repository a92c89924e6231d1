"""Laplace distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from .._kernels.columns import column_moments
from .base import Family, FloatArray, collapsed, degenerate
from .domains import POSITIVE, REAL
from .sample import WeightedRows
from .support import Support


@dataclass(frozen=True, eq=False, repr=False)
class Laplace(Family):
    """Two exponential tails, `log p(x) = -|x - loc| / scale - log(2 scale)`.

    The maximum likelihood is the weighted median, and the mean absolute deviation from it. Where
    every value between two of the data is a median (an even number of rows of equal weight), it is
    the lower of the two.

    Parameters
    ----------
    loc : float or array of shape (D,), optional
        Mean, median and mode.
    scale : float or array of shape (D,), optional
        Above 0: the mean absolute deviation.

    References
    ----------
    Johnson, Kotz, Balakrishnan (1995), Continuous Univariate Distributions 2, chapter 24.

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import Laplace
    >>> known = Laplace(1, 2)
    >>> X = known.sample(1000, random_state=0)
    >>> known.log_density(X[:2]).round(2)
    array([-1.49, -1.95])
    >>> mle.fit(Laplace(), X).family.formula(digits=3)
    'Laplace(0.919, 2.02)'
    """

    loc: Any = None
    scale: Any = None

    domains: ClassVar = {"loc": REAL, "scale": POSITIVE}
    support: ClassVar = Support()

    def log_densities(self, X: FloatArray) -> FloatArray:
        result = np.empty((len(X), self.n_members))
        constants = np.log(2 * self.scale).sum(axis=1)
        for k, (loc, scale) in enumerate(zip(self.loc, self.scale, strict=True)):
            away = X - loc
            np.abs(away, out=away)
            result[:, k] = -(away @ (1 / scale)) - constants[k]
        return result

    def accumulate(self, X: FloatArray, responsibilities: FloatArray | None) -> WeightedRows:
        return WeightedRows(((X, responsibilities),))

    def _compiled(
        self, X: FloatArray, responsibilities: FloatArray | None, n_threads: int
    ) -> WeightedRows | None:
        """The rows, which are only looked at in blocks where a value is not finite."""
        if not X.size or X.dtype != np.float64:
            return None
        if not column_moments(X, n_threads=n_threads).finite:
            return None
        return WeightedRows(((X, responsibilities),), n_threads)

    def maximise(self, statistics: WeightedRows) -> Self:
        loc, weight, away = statistics.about_medians()
        scale = np.divide(away, weight, out=np.zeros_like(away), where=weight > 0)
        if collapsed(scale, loc).any():
            raise degenerate(
                self,
                "all values are equal, and the scale would be 0",
                "Remove such columns; in a mixture, use fewer components",
            )
        return self.with_parameters(loc=loc, scale=scale)

    def log_likelihood(self, statistics: WeightedRows) -> FloatArray:
        weight, away = statistics.distances(self.loc)
        terms = away / self.scale + weight * np.log(2 * self.scale)
        return np.asarray(-terms.sum(axis=1))

    def information(self, statistics: WeightedRows) -> FloatArray:
        """The expected one, of one column: the likelihood itself has kinks at the rows.

        Of the location weight / scale^2, of the logarithm of the scale the weight (Johnson, Kotz,
        Balakrishnan, section 24.4).
        """
        weight = statistics.distances(self.loc)[0][0, 0]
        return np.diag([weight / np.square(self.scale[0, 0]), weight])

    def scipy(self) -> Any:
        from scipy import stats

        return stats.laplace(*self._values())

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        return np.asarray(random_state.laplace(self.loc[0], self.scale[0], (n, self.n_columns)))

    @property
    def mean(self) -> Any:
        return self.loc

    @property
    def variance(self) -> Any:
        return 2 * np.square(self.scale)
