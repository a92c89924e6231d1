"""Gamma distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import gammaln

from .base import FloatArray, collapsed, degenerate
from .differences import log_minus_digamma, scaled_trigamma_minus_1
from .domains import POSITIVE
from .exponential_family import ExponentialFamily
from .newton import root
from .support import Support


@dataclass(frozen=True, eq=False, repr=False)
class Gamma(ExponentialFamily):
    """Positive numbers, such as sums of waiting times.

    log p(x) = (shape - 1) log x - x / scale - log Gamma(shape) - shape log(scale)

    Parameters
    ----------
    shape, scale : float or array of shape (D,), optional
        Above 0; the mean is shape * scale.

    Notes
    -----
    Large estimates of the shape keep a relative accuracy of about `shape |log x|` times the
    rounding of a double, as a difference of means of log x is what they depend on.

    References
    ----------
    Minka (2002), Estimating a Gamma distribution. The maximum has mean = shape * scale, and
    log(shape) - digamma(shape) = log(mean of x) - mean of log x.

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import Gamma
    >>> known = Gamma(3, 2)
    >>> X = known.sample(1000, random_state=0)
    >>> known.log_density(X[:2]).round(2)
    array([-4.29, -2.33])
    >>> mle.fit(Gamma(), X).family.formula(digits=3)
    'Gamma(3.23, 1.83)'
    """

    shape: Any = None
    scale: Any = None

    domains: ClassVar = {"shape": POSITIVE, "scale": POSITIVE}
    support: ClassVar = Support(0.0, low_closed=False)
    moments_of: ClassVar = ("x", "log x")
    n_statistics = 2

    def sufficient(self, X: FloatArray) -> tuple[FloatArray, ...]:
        return X, np.log(X)

    def natural(self) -> tuple[FloatArray, ...]:
        return -1 / self.scale, self.shape - 1

    def log_partition(self) -> FloatArray:
        return np.asarray(gammaln(self.shape) + self.shape * np.log(self.scale))

    def from_means(self, *means: FloatArray) -> Self:
        mean, mean_log = means
        gap = np.log(mean) - mean_log
        if collapsed(gap, np.maximum(np.abs(mean_log), 1.0)).any():
            raise degenerate(
                self,
                "all values are equal, and the shape would be infinite",
                "Remove such columns; in a mixture, use fewer components",
            )
        # Minka's closed-form approximation, within 1.5 %
        start = (3 - gap + np.sqrt(np.square(gap - 3) + 24 * gap)) / (12 * gap)
        shape = np.exp(
            root(
                lambda log_shape: (
                    np.log(log_minus_digamma(np.exp(log_shape)) / gap),
                    -scaled_trigamma_minus_1(np.exp(log_shape))
                    / log_minus_digamma(np.exp(log_shape)),
                ),
                np.log(start),
            )
        )
        return self.with_parameters(shape=shape, scale=mean / shape)

    def scipy(self) -> Any:
        from scipy import stats

        shape, scale = self._values()
        return stats.gamma(shape, scale=scale)

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        return np.asarray(random_state.gamma(self.shape[0], self.scale[0], (n, self.n_columns)))

    @property
    def mean(self) -> Any:
        return self.shape * self.scale

    @property
    def variance(self) -> Any:
        return self.shape * np.square(self.scale)
