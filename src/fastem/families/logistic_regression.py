"""Logistic regression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

from .base import FloatArray, degenerate
from .conditional import ConditionalFamily
from .domains import Vector
from .support import Support

_COLLINEAR = 1e-12
_CONFIRMATIONS, _RUNAWAY = 12, 0.1


@dataclass(frozen=True, eq=False)
class Scores:
    """Gradient and information of members at their coefficients, that add up.

    Parameters
    ----------
    at : array of shape (K, q)
        The coefficients.
    counts : array of shape (K,)
        Sums of the weights.
    gradient : array of shape (K, q)
    information : array of shape (K, q, q)
        Minus the second derivatives.
    products : array of shape (K, q, q)
        Sums of weights times x x^T.
    low, high : array of shape (q,)
        The least and the greatest of each covariate.
    """

    at: FloatArray
    counts: FloatArray
    gradient: FloatArray
    information: FloatArray
    products: FloatArray
    low: FloatArray
    high: FloatArray

    def __add__(self, other: Scores) -> Scores:
        return Scores(
            self.at,
            self.counts + other.counts,
            self.gradient + other.gradient,
            self.information + other.information,
            self.products + other.products,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )


@dataclass(frozen=True, eq=False, repr=False)
class LogisticRegression(ConditionalFamily):
    """A response of 0 or 1, with P(y = 1 | x) = 1 / (1 + exp(-x^T coefficients)).

    Rows are (x, y): `mle.fit(LogisticRegression(), X, y)`.

    Its step is Newton's (iteratively reweighted least squares), shortened so far that the
    likelihood cannot fall: with r the greatest change of any x^T coefficients, by log(1 + r) / r.

    Parameters
    ----------
    coefficients : array of shape (p + 1,), or (p,) without intercept, optional
        The intercept first.
    intercept : bool, default=True
        Whether the first coefficient is added to all x^T coefficients.

    References
    ----------
    McCullagh, Nelder (1989), Generalized Linear Models, 2.5. Bach (2010), Self-concordant analysis
    for logistic regression, Electronic Journal of Statistics 4, 384-414, proposition 1: the bound
    that the shortened step maximises.

    Examples
    --------
    >>> import numpy as np
    >>> from fastem import mle
    >>> from fastem.families import LogisticRegression
    >>> X = np.random.default_rng(0).normal(size=(1000, 1))
    >>> y = LogisticRegression([1, 2]).draw_response(X, random_state=0)
    >>> mle.fit(LogisticRegression(), X, y).family.formula(digits=3)
    'LogisticRegression([0.915, 1.78])'
    """

    coefficients: Any = None
    intercept: bool = True

    domains: ClassVar = {"coefficients": Vector()}
    support: ClassVar = Support()
    iterative: ClassVar[bool] = True

    def prepared(self, X: FloatArray) -> Self:
        super().prepared(X)
        y = X[:, -1]
        bad = (y != 0) & (y != 1)
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(
                f"LogisticRegression: the response must be 0 or 1, but it is {y[row]:g} in row "
                f"{row}, counted from 0. Of two other values, one is what is to be explained: "
                "y == that"
            )
        return self

    def inside(self, X: FloatArray) -> NDArray[np.bool_]:
        return super().inside(X) & np.isin(X[:, -1], (0.0, 1.0))

    def log_densities(self, X: FloatArray) -> FloatArray:
        result = self._linear(X[:, :-1])
        result *= (1 - 2 * X[:, -1])[:, None]
        return -np.logaddexp(0.0, result)

    def accumulate(self, X: FloatArray, responsibilities: FloatArray | None) -> Scores:
        x, y = X[:, :-1], X[:, -1]
        if self.intercept:
            x = np.concatenate([np.ones((len(x), 1)), x], axis=1)
        weights = np.ones((len(x), 1)) if responsibilities is None else responsibilities
        at = np.zeros((weights.shape[1], x.shape[1]))
        if self.known:
            at = np.array(self.coefficients)
        probabilities = expit(x @ at.T)
        gradient = (weights * (y[:, None] - probabilities)).T @ x
        curvature = weights * probabilities * (1 - probabilities)
        return Scores(
            at,
            weights.sum(axis=0),
            gradient,
            np.stack([x.T @ (w[:, None] * x) for w in curvature.T]),
            np.stack([x.T @ (w[:, None] * x) for w in weights.T]),
            x.min(axis=0),
            x.max(axis=0),
        )

    def maximise(self, statistics: Scores) -> Self:
        coefficients = np.empty_like(statistics.at)
        for k, at in enumerate(statistics.at):
            step, reach = self._newton(statistics, k)
            coefficients[k] = at + step * (np.log1p(reach) / reach if reach > 0 else 1.0)
        return self.with_parameters(coefficients=coefficients)

    def _newton(self, statistics: Scores, k: int) -> tuple[FloatArray, float]:
        """Newton's step of a member, and the most it can change any x^T coefficients."""
        if not statistics.counts[k] > 0:
            raise degenerate(self, "no row has any weight", "Use fewer components")
        self._refuse_collinear(_collinear(statistics.products[k]))
        information = statistics.information[k]
        try:
            with np.errstate(all="ignore"):
                scale = 1 / np.sqrt(np.diag(information))
                factor = cho_factor(information * np.outer(scale, scale))
                step = scale * cho_solve(factor, scale * statistics.gradient[k])
        except (np.linalg.LinAlgError, ValueError):  # every response is certain
            raise self._separated() from None
        middle = (statistics.low + statistics.high) / 2
        half = (statistics.high - statistics.low) / 2
        return step, float(abs(middle @ step) + half @ np.abs(step))

    def information(self, statistics: Scores) -> FloatArray:
        return statistics.information[0]

    def confirm(self, statistics_of: Callable[[Self], Any]) -> None:
        """At a maximum the next steps vanish; where covariates separate, they never do."""
        members = self
        for _ in range(_CONFIRMATIONS):
            statistics = statistics_of(members)
            if max(members._newton(statistics, k)[1] for k in range(members.n_members)) < _RUNAWAY:
                return
            members = members.maximise(statistics)
        raise self._separated()

    def _separated(self) -> Exception:
        return degenerate(
            self,
            "the covariates separate the responses 0 from 1 (all, or those of some rows), so the "
            "likelihood rises without end as coefficients grow",
            "Remove or merge the covariates that do so (a category of which all responses are "
            "equal), or collect more rows",
        )

    def expected_response(self, X: ArrayLike) -> FloatArray:
        return np.asarray(expit(self._predictor(X)))

    def _drawn(self, expected: FloatArray, random_state: np.random.RandomState) -> FloatArray:
        return (random_state.uniform(size=expected.shape) < expected).astype(np.float64)


def _collinear(products: FloatArray) -> Any:
    """Which columns are 0 or sums of multiples of columns before them, (q,)."""
    diagonal = np.diag(products)
    if not (diagonal > 0).all():
        return ~(diagonal > 0)
    scale = 1 / np.sqrt(diagonal)
    remainder = products * np.outer(scale, scale)
    result = np.zeros(len(remainder), dtype=bool)
    for j in range(len(remainder)):  # elimination; what is left of a column is its own part
        pivot = remainder[j, j]
        result[j] = pivot <= _COLLINEAR
        if not result[j]:
            remainder = remainder - np.outer(remainder[:, j], remainder[j]) / pivot
    return result
