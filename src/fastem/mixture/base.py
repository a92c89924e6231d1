"""What every fitted mixture can say of new rows."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .. import io
from .._config import __version__
from .._validation import check_sample_weight, validated

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before scikit-learn 1.9 there is no set_callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""


FloatArray = NDArray[Any]

# Parameters that have passed validation, of types that cannot change
_PLAIN = {int, float, str, bool, type(None)}
_MOST_VALID = 1000
_valid: set[Any] = set()


class FittedMixture(CallbackSupportMixin, DensityMixin, BaseEstimator, ABC):
    """Prediction, densities and criteria of a mixture, in scikit-learn's words.

    A subclass says what the fitted model is: `_score_rows` and `_n_parameters`.
    """

    weights_: FloatArray
    converged_: bool
    stop_reason_: str
    n_iter_: int
    lower_bound_: float
    lower_bounds_: list[float]
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    @classmethod
    @cache
    def _get_param_names(cls) -> list[str]:
        # scikit-learn reads the signature anew each time, for as long as EM on a few rows takes
        return super()._get_param_names()

    def _validate_params(self) -> None:
        """As scikit-learn's, but what has passed is not examined again in each of many fits."""
        parameters = self.get_params(deep=False)
        known = tuple((type(value), value) for value in parameters.values())
        if not _PLAIN.issuperset(kind for kind, _ in known):
            super()._validate_params()
        elif (type(self), known) not in _valid:
            super()._validate_params()
            if len(_valid) >= _MOST_VALID:
                _valid.clear()
            _valid.add((type(self), known))

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_fastem_version": __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        version = state.pop("_fastem_version", "0.1.0 or earlier")
        if version != __version__:
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=f"fastem {__version__}",
                    original_sklearn_version=f"fastem {version}",
                ),
                stacklevel=2,
            )
        # parameters that were not known then have their defaults
        super().__setstate__({**type(self)().get_params(deep=False), **state})

    @abstractmethod
    def _score_rows(
        self, X: FloatArray, **wanted: bool
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Log-likelihoods, responsibilities and labels of validated rows, those asked for."""

    @abstractmethod
    def _n_parameters(self) -> int:
        """Free parameters of the fitted model."""

    @abstractmethod
    def _draw(self, k: int, n_samples: int, random_state: np.random.RandomState) -> FloatArray:
        """Rows of one component, (n_samples, n_features)."""

    def _validated(self, X: ArrayLike) -> FloatArray:
        check_is_fitted(self)
        return validated(self, X, reset=False)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        return self._score_rows(self._validated(X), labels=True)[2]

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Responsibilities: the probability of each component given each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        responsibilities : ndarray of shape (n_samples, n_components)
            Rows sum to 1.
        """
        return self._score_rows(self._validated(X), responsibilities=True)[1]

    def score_samples(self, X: ArrayLike) -> FloatArray:
        """Log-density of the mixture at each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
        """
        return self._score_rows(self._validated(X), log_likelihood=True)[0]

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Mean log-likelihood per sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        log_likelihood : float
        """
        rows = self._validated(X)
        return self._mean_log_likelihood(rows, check_sample_weight(sample_weight, rows))

    def _mean_log_likelihood(self, X: FloatArray, weight: FloatArray | None = None) -> float:
        log_density = self._score_rows(X, log_likelihood=True)[0]
        return float(np.average(log_density, weights=weight))

    def _criterion(self, X: ArrayLike, cost: Callable[[float], float]) -> float:
        """-2 log-likelihood, and a cost for each free parameter that may depend on the rows."""
        rows = self._validated(X)
        n_samples = rows.shape[0]
        log_likelihood = self._mean_log_likelihood(rows) * n_samples
        return float(-2 * log_likelihood + self._n_parameters() * cost(n_samples))

    def bic(self, X: ArrayLike) -> float:
        """Bayesian information criterion, -2 LL + p log n: lower is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        bic : float

        References
        ----------
        Schwarz (1978), Annals of Statistics 6, 461-464.
        """
        return self._criterion(X, lambda n_samples: float(np.log(n_samples)))

    def aic(self, X: ArrayLike) -> float:
        """Akaike information criterion, -2 LL + 2 p: lower is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        aic : float

        References
        ----------
        Akaike (1974), IEEE Transactions on Automatic Control 19, 716-723.
        """
        return self._criterion(X, lambda n_samples: 2.0)

    def sample(self, n_samples: int = 1) -> tuple[FloatArray, NDArray[Any]]:
        """Random draws from the fitted mixture.

        Parameters
        ----------
        n_samples : int, default=1

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Grouped by component.
        y : ndarray of shape (n_samples,)
            The component of each.

        Raises
        ------
        ValueError
            If `n_samples` is below 1.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(
                f"Invalid value for 'n_samples': {n_samples} . The sampling requires at least one "
                "sample."
            )
        random_state = check_random_state(self.random_state)
        weights = self.weights_.astype(np.float64)
        counts = random_state.multinomial(n_samples, weights / weights.sum())
        draws = [self._draw(k, int(count), random_state) for k, count in enumerate(counts)]
        return np.vstack(draws), np.repeat(np.arange(len(counts)), counts)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted model to a file; `fastem.load` reads it. No code is stored.

        Callbacks, callables and random-number generators among the parameters are left out: the
        loaded model has the defaults there.

        Parameters
        ----------
        path : str or path-like
            Written in one step: a failure leaves what was there.
        """
        io.save_model(self, path)
