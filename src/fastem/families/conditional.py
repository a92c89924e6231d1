"""What families of a response given covariates have in common: regressions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from .base import Family, FloatArray, degenerate


@dataclass(frozen=True, eq=False, repr=False)
class ConditionalFamily(Family):
    """A distribution of a response y given covariates x.

    Rows are (x_1, ..., x_p, y): the response is the last column, and densities are those of it
    given the others. Nothing is said of how the covariates are distributed.

    A subclass has the fields `coefficients` and `intercept`, the latter whether the first of the
    coefficients is one.
    """

    univariate: ClassVar[bool] = False
    conditional: ClassVar[bool] = True

    @abstractmethod
    def expected_response(self, X: ArrayLike) -> FloatArray:
        """Expectation of the response at covariates (n, p), (n,)."""

    @abstractmethod
    def _drawn(self, expected: FloatArray, random_state: np.random.RandomState) -> FloatArray:
        """Responses with these expectations, of the first member."""

    def draw_response(self, X: ArrayLike, random_state: Any = None) -> FloatArray:
        """Random responses at given covariates.

        Parameters
        ----------
        X : array-like of shape (n, p)
        random_state : int, RandomState or None, default=None

        Returns
        -------
        y : ndarray of shape (n,)
        """
        return self._drawn(self.expected_response(X), check_random_state(random_state))

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        name = type(self).__name__
        raise ValueError(
            f"{name} is a distribution of a response given covariates, and does not know how those "
            f"are distributed: {name}(...).draw_response(X) draws responses for covariates X"
        )

    @property
    def mean(self) -> Any:
        """Not a number: it depends on the covariates; see `expected_response`."""
        return np.full(self.n_columns, np.nan)

    @property
    def variance(self) -> Any:
        """Not a number: that of the covariates is not known."""
        return np.full(self.n_columns, np.nan)

    @property
    def n_columns(self) -> int:
        """Covariates and the response; 1 where nothing is known."""
        if not self.known:
            return 1
        # the first of the coefficients may be the intercept
        return int(self._coefficients.shape[-1]) + (not self._has_intercept)

    @property
    def _coefficients(self) -> FloatArray:
        return np.asarray(self.parameters["coefficients"])

    @property
    def _has_intercept(self) -> bool:
        return bool(vars(self)["intercept"])

    def labels(self, names: Sequence[str] | None) -> dict[str, list[str]]:
        n_covariates = self.n_columns - 1
        given = names or [f"x{i + 1}" for i in range(n_covariates)]
        return {"coefficients": ["intercept"] * self._has_intercept + list(given)}

    def prepared(self, X: FloatArray) -> Self:
        super().prepared(X)
        if X.shape[1] < 2 and not self._has_intercept:
            raise ValueError(
                f"{type(self).__name__}: there are no covariates and no intercept. Rows are "
                "covariates with the response as the last column"
            )
        if self.known and X.shape[1] != self.n_columns:
            raise ValueError(
                f"{type(self).__name__}: there are {X.shape[1] - 1} covariates, but coefficients "
                f"for {self.n_columns - 1}"
            )
        return self

    def _linear(self, covariates: FloatArray) -> FloatArray:
        """x^T coefficients of each member, (n, K)."""
        coefficients = self._coefficients
        if not self._has_intercept:
            return np.asarray(covariates @ coefficients.T)
        return np.asarray(covariates @ coefficients[:, 1:].T + coefficients[:, 0])

    def _predictor(self, X: ArrayLike) -> FloatArray:
        """x^T coefficients of this one distribution, (n,)."""
        one = self._single()
        covariates = np.asarray(X, dtype=np.float64)
        if covariates.ndim == 1:
            covariates = covariates[:, None]
        if covariates.shape[1] != one.n_columns - 1:
            raise ValueError(
                f"X must have {one.n_columns - 1} columns of covariates, but it has "
                f"{covariates.shape[1]}"
            )
        return one._linear(covariates)[:, 0]

    def _refuse_collinear(self, collinear: Any) -> None:
        """Raise the error for the first of the coefficients that others determine."""
        if np.any(collinear):
            j = int(np.argmax(collinear)) - self._has_intercept
            what = "the intercept" if j < 0 else f"column {j}, counted from 0, of the covariates"
            raise degenerate(
                self,
                f"{what} is constant, 0, or a sum of multiples of other columns, so its "
                "coefficient is not determined (or there are fewer rows than coefficients)",
                "Remove the column",
            )
