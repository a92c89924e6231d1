"""Checks of what users give, beyond those of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array
from sklearn.utils.validation import _check_sample_weight, validate_data

from .covariances import Covariance

FloatArray = NDArray[Any]

_LARGEST_EXPONENT = 60
_SMALL = 100_000  # numbers, of which an array of truth values is no burden


def check_rows(estimator: Any, X: Any) -> tuple[FloatArray, dict[str, Any]]:
    """Rows to fit, float64 or float32, and what is to be noted of their columns.

    Parameters
    ----------
    estimator : type
        Named in error messages.
    X : array-like of shape (n_samples, n_features)

    Returns
    -------
    X : array of shape (n_samples, n_features)
    columns : dict
        The attributes n_features_in_ and, where there are names, feature_names_in_.

    Raises
    ------
    ValueError
        As scikit-learn's validation, which does the work.
    """
    if _plain(X):
        return X, {"n_features_in_": X.shape[1]}
    seen = estimator.__new__(estimator)
    validated: FloatArray = validate_data(
        seen, X, dtype=[np.float64, np.float32], ensure_min_samples=2
    )
    return validated, dict(vars(seen))


def _plain(X: Any) -> bool:
    """Whether validation, which takes as long as many a small fit, would have nothing to say."""
    if type(X) is not np.ndarray or X.ndim != 2 or X.shape[0] < 2 or X.shape[1] < 1:
        return False
    if X.dtype not in (np.float64, np.float32) or not X.dtype.isnative:
        return False
    return X.size <= _SMALL and bool(np.isfinite(X).all())


def check_sample_weight(sample_weight: Any, X: FloatArray) -> FloatArray | None:
    """Weights as float64 of shape (n_samples,); None for None.

    Raises
    ------
    ValueError
        If one is negative, NaN or infinite, if the shape is wrong, or if all are 0.
    """
    if sample_weight is None:
        return None
    # float64 whatever X is: a view of one number, with as many rows, stands in for X
    rows = np.broadcast_to(np.float64(0), (X.shape[0], 1))
    weight: FloatArray = _check_sample_weight(
        sample_weight, rows, dtype=np.float64, ensure_non_negative=True
    )
    if not weight.any():
        raise ValueError("sample_weight: all weights are 0, so no row is left")
    # Only ratios matter. Weights of an absurd size would overflow or vanish in sums, the more so in
    # float32; a power of 2 changes no digit.
    exponent = int(np.frexp(weight.max())[1])
    return weight if abs(exponent) <= _LARGEST_EXPONENT else np.ldexp(weight, -exponent)


def _check_shape(parameter: FloatArray, shape: tuple[int, ...], name: str) -> None:
    if parameter.shape != shape:
        raise ValueError(
            f"The parameter '{name}' should have the shape of {shape}, but got {parameter.shape}"
        )


def _as_float(parameter: Any, name: str) -> FloatArray:
    array: FloatArray = check_array(
        parameter, dtype=np.float64, ensure_2d=False, allow_nd=True, input_name=name
    )
    return array


def check_weights(weights: Any, n_components: int) -> FloatArray:
    """Mixing weights that a user gave: in [0, 1] and of sum 1."""
    weights = _as_float(weights, "weights")
    _check_shape(weights, (n_components,), "weights")
    low, high, total = weights.min(), weights.max(), weights.sum()
    if low < 0 or high > 1:
        raise ValueError(
            "The parameter 'weights' should be in the range [0, 1], but got max value "
            f"{high:.5f}, min value {low:.5f}"
        )
    if not np.isclose(total, 1.0, rtol=0, atol=1e-6):
        raise ValueError(
            f"The parameter 'weights' should be normalized, but got sum(weights) = {total:.5f}. "
            "Divide them by their sum"
        )
    result: FloatArray = weights / total
    return result


def check_means(means: Any, n_components: int, n_features: int) -> FloatArray:
    """Means that a user gave."""
    means = _as_float(means, "means")
    _check_shape(means, (n_components, n_features), "means")
    result: FloatArray = means
    return result


def check_precisions(
    precisions: Any, structure: Covariance, n_components: int, n_features: int
) -> FloatArray:
    """Factors of the precisions that a user gave; see `Covariance.factor_precisions`."""
    precisions = _as_float(precisions, "precisions")
    _check_shape(
        precisions, structure.shape(n_components, n_features), f"{structure.name} precision"
    )
    return structure.factor_precisions(precisions)
