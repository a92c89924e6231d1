"""Beta distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import betaln, polygamma

from .base import FloatArray, collapsed, degenerate
from .differences import log_minus_digamma
from .domains import POSITIVE
from .exponential_family import ExponentialFamily
from .support import Support

_STEPS = 200
_LAST_STEP = 1e-8  # relative: what is left has its square
_WIDEST_STEP = 2.0
_NEAR = 1e-2  # where the gain of a step is above the rounding of the likelihood


@dataclass(frozen=True, eq=False, repr=False)
class Beta(ExponentialFamily):
    """Shares between 0 and 1, both excluded.

    log p(x) = (alpha - 1) log x + (beta - 1) log(1 - x) - log B(alpha, beta)

    Parameters
    ----------
    alpha, beta : float or array of shape (D,), optional
        Above 0; the mean is alpha / (alpha + beta).

    Notes
    -----
    Large estimates keep a relative accuracy of about alpha + beta times the rounding of a double.

    References
    ----------
    Johnson, Kotz, Balakrishnan (1995), Continuous Univariate Distributions 2, section 25.4: the
    maximum has digamma(alpha) - digamma(alpha + beta) = mean of log x, and alike for log(1 - x).

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import Beta
    >>> known = Beta(2, 5)
    >>> X = known.sample(1000, random_state=0)
    >>> known.log_density(X[:2]).round(2)
    array([ 0.06, -1.28])
    >>> mle.fit(Beta(), X).family.formula(digits=3)
    'Beta(2.06, 4.97)'
    """

    alpha: Any = None
    beta: Any = None

    domains: ClassVar = {"alpha": POSITIVE, "beta": POSITIVE}
    support: ClassVar = Support(0.0, 1.0, low_closed=False, high_closed=False)
    n_statistics = 2

    def sufficient(self, X: FloatArray) -> tuple[FloatArray, ...]:
        return np.log(X), np.log1p(-X)

    def natural(self) -> tuple[FloatArray, ...]:
        return self.alpha - 1, self.beta - 1

    def log_partition(self) -> FloatArray:
        return np.asarray(betaln(self.alpha, self.beta))

    def from_means(self, *means: FloatArray) -> Self:
        lower, upper = np.minimum(*means), np.maximum(*means)
        # 1 less the geometric means of x and of 1 - x, which is 0 where all x are equal
        gap = -np.expm1(upper) - np.exp(lower)
        if collapsed(gap, np.exp(lower)).any():
            raise degenerate(
                self,
                "all values are equal, and alpha and beta would be infinite",
                "Remove such columns; in a mixture, use fewer components",
            )
        # by digamma(a) = log(a - 1/2), near for large a
        start = [0.5 + np.exp(mean) / (2 * gap) for mean in means]
        alpha, beta = _ascend(np.array(means), np.array(start))
        return self.with_parameters(alpha=alpha, beta=beta)

    def scipy(self) -> Any:
        from scipy import stats

        return stats.beta(*self._values())

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        return np.asarray(random_state.beta(self.alpha[0], self.beta[0], (n, self.n_columns)))

    @property
    def mean(self) -> Any:
        return self.alpha / (self.alpha + self.beta)

    @property
    def variance(self) -> Any:
        whole = self.alpha + self.beta
        return self.alpha / whole * (self.beta / whole) / (whole + 1)


def _ascend(means: FloatArray, shapes: FloatArray) -> FloatArray:
    """Newton's steps, each relative, to the maximum of a concave function; (2, K, D) both.

    A step that loses is halved, unless it is so short that rounding decides.
    """
    value = _likelihood(means, shapes)
    for _ in range(_STEPS):
        step = _newton(means, shapes)
        widest = np.abs(step).max(axis=0)
        last = widest <= _LAST_STEP
        step *= np.minimum(1.0, _WIDEST_STEP / np.maximum(widest, 1e-300))
        new = shapes * np.exp(step)
        if last.all():
            return np.asarray(new)
        for _ in range(_STEPS):
            new_value = _likelihood(means, new)
            loses = ~(new_value >= value) & (widest > _NEAR)
            if not loses.any():
                break
            step = np.where(loses, step / 2, step)
            new = shapes * np.exp(step)
        shapes, value = new, new_value
    return shapes


def _likelihood(means: FloatArray, shapes: FloatArray) -> FloatArray:
    return np.asarray(((shapes - 1) * means).sum(axis=0) - betaln(*shapes))


def _newton(means: FloatArray, shapes: FloatArray) -> FloatArray:
    """The step to the maximum of the parabola here, relative to the shapes."""
    whole = shapes.sum(axis=0)
    # means - digamma(a) + digamma(a + b), the logarithms of a and a + b taken apart
    logs = -np.log1p(shapes[::-1] / shapes)
    slopes = means - logs + log_minus_digamma(shapes) - log_minus_digamma(whole)
    curves, joint = polygamma(1, shapes), polygamma(1, whole)
    determinant = curves[0] * curves[1] - joint * (curves[0] + curves[1])
    step = (curves[::-1] * slopes + joint * (slopes[::-1] - slopes)) / determinant
    return np.asarray(step / shapes)
