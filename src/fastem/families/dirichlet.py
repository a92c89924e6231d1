"""Dirichlet distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln, polygamma

from .base import FloatArray, degenerate
from .domains import POSITIVE, Vector
from .exponential_family import ExponentialFamily
from .support import Support

_SUM_TOLERANCE = 1e-8
_STEPS = 500
_LAST_STEP = 1e-9  # relative: what is then left is of the order of its square
_ROUNDING = 8 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False, repr=False)
class Dirichlet(ExponentialFamily):
    """Shares of a whole: rows of positive numbers with the sum 1.

    log p(x) = sum_d (alpha_d - 1) log x_d + log Gamma(sum alpha) - sum_d log Gamma(alpha_d)

    Parameters
    ----------
    alpha : array of shape (D,), optional
        Above 0; the mean is alpha / sum(alpha).

    References
    ----------
    Minka (2000), Estimating a Dirichlet distribution: Newton's method, whose matrix is a diagonal
    and a constant, so that a step costs O(D). The likelihood is concave; steps that leave the
    positive numbers or do not gain are halved.

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import Dirichlet
    >>> known = Dirichlet([1, 2, 3])
    >>> X = known.sample(1000, random_state=0)
    >>> known.log_density(X[:2]).round(2)
    array([1.93, 1.34])
    >>> mle.fit(Dirichlet(), X).family.formula(digits=3)
    'Dirichlet([1.03, 2.02, 3])'
    """

    alpha: Any = None

    domains: ClassVar = {"alpha": Vector(POSITIVE)}
    support: ClassVar = Support(0.0, 1.0, low_closed=False)
    univariate: ClassVar = False

    def prepared(self, X: FloatArray) -> Self:
        """Itself, after a look at all rows.

        Raises
        ------
        ValueError
            If a value is not above 0, or a row has not the sum 1.
        """
        if X.shape[1] < 2:
            raise ValueError(
                "Dirichlet is a distribution of rows with the sum 1, and X has one column. Give "
                "the shares of all parts, or use Beta for one of two"
            )
        super().prepared(X)
        sums = X.sum(axis=1)
        if (wrong := np.flatnonzero(np.abs(sums - 1) > _SUM_TOLERANCE)).size:
            row = int(wrong[0])
            raise ValueError(
                f"Dirichlet is a distribution of rows with the sum 1: {wrong.size} of the rows "
                f"have another, the first is row {row}, counted from 0, with {sums[row]:.10g}. "
                "Divide the rows by their sums"
            )
        return self

    def inside(self, X: FloatArray) -> NDArray[np.bool_]:
        with np.errstate(invalid="ignore"):  # infinities of both signs
            whole = np.abs(X.sum(axis=1) - 1) <= _SUM_TOLERANCE
        return super().inside(X) & whole

    def sufficient(self, X: FloatArray) -> tuple[FloatArray, ...]:
        return (np.log(X),)

    def natural(self) -> tuple[FloatArray, ...]:
        return (self.alpha - 1,)

    def log_partition(self) -> FloatArray:
        alpha = self.alpha
        return np.asarray(
            gammaln(alpha).sum(axis=1, keepdims=True) - gammaln(alpha.sum(axis=1, keepdims=True))
        )

    def from_means(self, *means: FloatArray) -> Self:
        mean_log = means[0]
        # by Jensen's inequality the sum of the geometric means is below 1 unless all rows are equal
        top = mean_log.max(axis=1, keepdims=True)
        scaled = np.exp(mean_log - top)
        gap = -np.log(scaled.sum(axis=1, keepdims=True)) - top
        if not (gap > 1e-13).all():
            raise degenerate(
                self,
                "all rows are equal, and alpha would be infinite",
                "Use shares that vary; in a mixture, fewer components",
            )
        # Minka's approximation for a known mean: that of the geometric means
        shares = np.maximum(scaled / scaled.sum(axis=1, keepdims=True), 1e-3 / scaled.shape[1])
        start = shares * (0.5 * (scaled.shape[1] - 1) / gap)
        return self.with_parameters(alpha=_maximum(mean_log, start))

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        # shares of a small alpha can be below the smallest number there is
        return np.maximum(random_state.dirichlet(self.alpha[0], n), np.finfo(np.float64).tiny)

    @property
    def mean(self) -> Any:
        return self.alpha / self.alpha.sum(axis=-1, keepdims=True)

    @property
    def variance(self) -> Any:
        mean = self.mean
        return mean * (1 - mean) / (self.alpha.sum(axis=-1, keepdims=True) + 1)


def _maximum(mean_log: FloatArray, start: FloatArray) -> FloatArray:
    """Where sum (alpha - 1) mean_log - A(alpha) is greatest, each row by itself, (K, D)."""

    def objective(alpha: FloatArray) -> FloatArray:
        total = gammaln(alpha.sum(axis=1)) - gammaln(alpha).sum(axis=1)
        return np.asarray(total + ((alpha - 1) * mean_log).sum(axis=1))

    alpha = start
    value = objective(alpha)
    for _ in range(_STEPS):
        total = alpha.sum(axis=1, keepdims=True)
        gradient = digamma(total) - digamma(alpha) + mean_log
        diagonal, constant = -polygamma(1, alpha), polygamma(1, total)
        shared = (gradient / diagonal).sum(axis=1, keepdims=True) / (
            1 / constant + (1 / diagonal).sum(axis=1, keepdims=True)
        )
        step = -(gradient - shared) / diagonal
        settled = (np.abs(step) <= _LAST_STEP * alpha).all(axis=1)
        size = np.ones_like(value)
        for _ in range(60):
            new = alpha + size[:, None] * step
            inside = (new > 0).all(axis=1)
            new_value = objective(np.where(inside[:, None], new, alpha))
            # near the maximum the objective is flat to rounding: a step is not refused for that
            good = inside & (new_value >= value - _ROUNDING * (1 + np.abs(value)))
            if good.all():
                break
            size = np.where(good, size, 0.5 * size)
        alpha = np.where(good[:, None], new, alpha)
        value = np.where(good, new_value, value)
        if (settled | ~good).all():
            return alpha
    return alpha
