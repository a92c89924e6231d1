"""Linear regression with normal errors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import block_diag, solve_triangular

from .base import FloatArray, degenerate
from .conditional import ConditionalFamily
from .domains import POSITIVE, Vector
from .support import Support

_COLLINEAR = 1e-12


@dataclass(frozen=True, eq=False)
class TriangularFactors:
    """What least squares needs of rows z = (x, y), of members, that adds up.

    Parameters
    ----------
    counts : array of shape (K,)
        Sums of the weights.
    means : array of shape (K, p + 1)
        What the rows are taken about: weighted means, or 0 without an intercept.
    factors : array of shape (K, p + 1, p + 1)
        R of the QR factorisation of the weighted rows about those; R^T R is their matrix of
        products, but the factor has not lost half of the digits to squares.
    centred : bool
    """

    counts: FloatArray
    means: FloatArray
    factors: FloatArray
    centred: bool

    def __add__(self, other: TriangularFactors) -> TriangularFactors:
        counts = self.counts + other.counts
        share = np.divide(other.counts, counts, out=np.zeros_like(counts), where=counts > 0)
        way = other.means - self.means
        means = self.means + share[:, None] * way
        # products about the joint mean have one row more: Chan, Golub, LeVeque (1983)
        between = np.sqrt(self.counts * share)[:, None] * way
        rows = np.concatenate([self.factors, other.factors, between[:, None]], axis=1)
        factors = np.asarray(np.linalg.qr(rows, mode="r"))
        return TriangularFactors(counts, means, factors, self.centred)


@dataclass(frozen=True, eq=False, repr=False)
class LinearRegression(ConditionalFamily):
    """y = x^T coefficients + normal error, with rows (x, y): `mle.fit(LinearRegression(), X, y)`.

    log p(y | x) = -((y - x^T coefficients) / sd)^2 / 2 - log(sd) - log(2 pi) / 2

    Parameters
    ----------
    coefficients : array of shape (p + 1,), or (p,) without intercept, optional
        The intercept first.
    sd : float, optional
        Standard deviation of the errors, above 0. Its maximum likelihood divides the squares by n,
        not by n - p - 1.
    intercept : bool, default=True
        Whether the first coefficient is added to all responses.

    References
    ----------
    Golub, Van Loan (2013), Matrix Computations, 5.3: least squares by QR. Demmel, Grigori,
    Hoemmen, Langou (2012), SIAM J. Sci. Comput. 34, A206-A239: factors of blocks of rows.

    Examples
    --------
    >>> import numpy as np
    >>> from fastem import mle
    >>> from fastem.families import LinearRegression
    >>> X = np.random.default_rng(0).normal(size=(1000, 1))
    >>> y = LinearRegression([1, 2], 0.5).draw_response(X, random_state=0)
    >>> mle.fit(LinearRegression(), X, y).family.formula(digits=3)
    'LinearRegression([0.977, 2], 0.494)'
    """

    coefficients: Any = None
    sd: Any = None
    intercept: bool = True

    domains: ClassVar = {"coefficients": Vector(), "sd": POSITIVE}
    support: ClassVar = Support()

    def log_densities(self, X: FloatArray) -> FloatArray:
        result = self._linear(X[:, :-1])
        result -= X[:, -1:]
        result /= self.sd
        np.square(result, out=result)
        result *= -0.5
        result -= np.log(self.sd) + 0.5 * math.log(2 * math.pi)
        return result

    def accumulate(self, X: FloatArray, responsibilities: FloatArray | None) -> TriangularFactors:
        n, d = X.shape
        weights = np.ones((n, 1)) if responsibilities is None else responsibilities
        counts = weights.sum(axis=0)
        means = np.zeros((len(counts), d))
        factors = np.zeros((len(counts), d, d))
        for k, column in enumerate(weights.T):
            if not counts[k] > 0:
                continue
            if self.intercept:
                means[k] = (column / counts[k]) @ X
            rows = X - means[k]
            rows *= np.sqrt(column)[:, None]
            factor = np.asarray(np.linalg.qr(rows, mode="r"))
            factors[k, : len(factor)] = factor
        return TriangularFactors(counts, means, factors, self.intercept)

    def maximise(self, statistics: TriangularFactors) -> Self:
        parts = []
        for count, mean, factor in zip(
            statistics.counts, statistics.means, statistics.factors, strict=True
        ):
            if not count > 0:
                raise degenerate(self, "no row has any weight", "Use fewer components")
            diagonal = np.abs(np.diag(factor))
            size = np.sqrt(np.square(factor).sum(axis=0))
            # a constant column of a large value is not quite 0 about its mean
            noise = 1e-14 * np.abs(mean) * math.sqrt(count)
            negligible = diagonal <= _COLLINEAR * size + noise
            self._refuse_collinear(np.concatenate([[False] * self.intercept, negligible[:-1]]))
            if negligible[-1]:
                raise degenerate(
                    self,
                    "the covariates explain every response, and sd would be 0",
                    "Use fewer covariates or more rows; in a mixture, fewer components",
                )
            slopes = solve_triangular(factor[:-1, :-1], factor[:-1, -1])
            first = [mean[-1] - mean[:-1] @ slopes] * self.intercept
            parts.append((np.concatenate([first, slopes]), diagonal[-1] / math.sqrt(count)))
        return self.with_parameters(
            coefficients=np.array([c for c, _ in parts]), sd=np.array([s for _, s in parts])
        )

    def log_likelihood(self, statistics: TriangularFactors) -> FloatArray:
        count, mean, factor = statistics.counts[0], statistics.means[0], statistics.factors[0]
        slopes = self.coefficients[:, 1:] if self.intercept else self.coefficients
        rows = slopes @ factor[:, :-1].T - factor[:, -1]
        squares = np.square(rows).sum(axis=1)
        if self.intercept:
            aside = mean[-1] - self.coefficients[:, 0] - slopes @ mean[:-1]
            squares = squares + count * np.square(aside)
        return np.asarray(
            -0.5 * squares / np.square(self.sd)
            - count * (np.log(self.sd) + 0.5 * math.log(2 * math.pi))
        )

    def estimates_covariance(self, statistics: TriangularFactors, whole: bool = True) -> FloatArray:
        """sd^2 (X^T X)^-1 of the coefficients, and independent of them sd^2 / 2n of sd."""
        count, mean, factor = statistics.counts[0], statistics.means[0], statistics.factors[0]
        inverse = solve_triangular(factor[:-1, :-1], np.eye(len(mean) - 1))
        slopes = inverse @ inverse.T
        if self.intercept:
            aside = slopes @ mean[:-1]
            first = 1 / count + mean[:-1] @ aside
            slopes = np.block([[np.array([[first]]), -aside[None]], [-aside[:, None], slopes]])
        variance = np.square(self.sd[0])
        result = block_diag(variance * slopes, variance / (2 * count))
        return np.asarray(result if whole else result.diagonal())

    def expected_response(self, X: ArrayLike) -> FloatArray:
        return self._predictor(X)

    def _drawn(self, expected: FloatArray, random_state: np.random.RandomState) -> FloatArray:
        return random_state.normal(expected, self._single().sd[0])
