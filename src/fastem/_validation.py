"""Checks of what users give, beyond those of scikit-learn."""

from __future__ import annotations

from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array
from sklearn.utils.validation import _check_sample_weight, _get_feature_names, validate_data

from ._kernels.columns import column_moments
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
    TypeError, ValueError
        See `validated`.
    """
    if _plain(X):
        return X, {"n_features_in_": X.shape[1]}
    seen = estimator.__new__(estimator)
    return validated(seen, X, ensure_min_samples=2), dict(vars(seen))


def validated(estimator: Any, X: Any, **checks: Any) -> FloatArray:
    """Rows as float64 or float32, by scikit-learn's validation.

    Parameters
    ----------
    estimator : estimator
        Its features are noted or compared.
    X : array-like of shape (n_samples, n_features)
    **checks
        Of `sklearn.utils.validation.validate_data`.

    Raises
    ------
    TypeError, ValueError
        As scikit-learn's, in its words; where the fault is, and what to do, is added.
    """
    # scikit-learn would take what is under the mask
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        place = _place(np.ma.getmaskarray(X), "masked", X)
        raise ValueError(f"Input X is a masked array: {place}. Drop these rows, or fill them in.")
    if isinstance(X, np.ndarray) and X.dtype.kind == "f" and not X.dtype.isnative:
        X = X.astype(X.dtype.newbyteorder("="))  # float32 of the other byte order stays float32
    try:
        rows: FloatArray = validate_data(estimator, X, dtype=[np.float64, np.float32], **checks)
    except (TypeError, ValueError) as error:
        # only now is X searched: what is in order costs nothing
        error.args = (_explained(str(error), X),)
        raise
    return rows


def _explained(message: str, X: Any) -> str:
    """A message of scikit-learn's or NumPy's, with where the fault is and what to do."""
    opening, *rest = message.split("\n")
    if opening.startswith("Input X contains"):
        values = check_array(X, dtype=[np.float64, np.float32], ensure_all_finite=False)
        place = _place(~np.isfinite(values), "NaN or infinite", X)
        return "\n".join([opening, f"{place}.", *rest])
    if opening.startswith("Complex data"):  # the rest is the data
        return f"{opening}: X must be real. Make features of its .real and .imag."
    if opening.startswith("could not convert string") and np.ndim(X) == 2:
        place = _place(
            np.vectorize(_is_text, otypes=[bool])(np.asarray(X, dtype=object)), "text", X
        )
        return f"{message}. {place}. Encode categories as numbers, or drop their columns."
    if opening.startswith(("float() argument", "setting an array element")):
        return (
            f"{message.rstrip('.')}. X must be a table of shape (n_samples, n_features), such as "
            "an array, a data frame or a list of rows, with one number in each place; it is of the "
            f"type {type(X).__name__}."
        )
    return message


def _place(bad: NDArray[np.bool_], what: str, X: Any = None) -> str:
    """How many values are bad, and where the first is; its column by name where X has names."""
    n_bad = np.count_nonzero(bad)
    row, *columns = np.unravel_index(int(bad.argmax()), bad.shape)
    place = f"{n_bad} value{'s are' if n_bad > 1 else ' is'} {what}, the first in row {row}"
    for column in columns:
        names = _get_feature_names(X)
        place += f" and column {column}" + ("" if names is None else f" ({str(names[column])!r})")
    return f"{place}, counted from 0"


def _is_text(value: Any) -> bool:
    """Whether it is text that is no number."""
    if not isinstance(value, str | bytes):
        return False
    try:
        float(value)
    except ValueError:
        return True
    return False


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
    TypeError, ValueError
        See `summed_weights`.
    """
    return summed_weights(sample_weight, X)[0]


def summed_weights(
    sample_weight: Any, X: FloatArray, n_threads: int = 1
) -> tuple[FloatArray | None, float]:
    """Weights as float64 of shape (n_samples,), None for None; and their sum.

    Raises
    ------
    TypeError, ValueError
        If one is no number, negative, NaN or infinite, if the shape is wrong, or if all are 0.
    """
    if sample_weight is None:
        return None, float(X.shape[0])
    if (total := _plain_sum(sample_weight, X, n_threads)) is not None:
        return sample_weight, total
    # float64 whatever X is: a view of one number, with as many rows, stands in for X
    rows = np.broadcast_to(np.float64(0), (X.shape[0], 1))
    if isinstance(sample_weight, Number):  # scikit-learn does not look at one for all
        sample_weight = np.full(X.shape[0], sample_weight)
    try:
        weight: FloatArray = _check_sample_weight(
            sample_weight, rows, dtype=np.float64, ensure_non_negative=True
        )
    except (TypeError, ValueError) as error:
        if "sample" not in str(error).lower():
            error.args = (f"sample_weight: {error}",)
        elif str(error).startswith(("Input sample_weight contains", "Negative values")):
            values = np.asarray(sample_weight, dtype=np.float64)
            place = _place(~(np.isfinite(values) & (values >= 0)), "negative, NaN or infinite")
            error.args = (f"{error} {place}.",)
        raise
    if not weight.any():
        raise ValueError("sample_weight: all weights are 0, so no row is left")
    # Only ratios matter. Weights of an absurd size would overflow or vanish in sums, the more so in
    # float32; a power of 2 changes no digit.
    exponent = int(np.frexp(weight.max())[1])
    if abs(exponent) > _LARGEST_EXPONENT:
        weight = np.ldexp(weight, -exponent)
    return weight, float(weight.sum())


def _plain_sum(sample_weight: Any, X: FloatArray, n_threads: int) -> float | None:
    """The sum of weights that are in order as they are; None for others.

    In one pass, where scikit-learn takes several.
    """
    if type(sample_weight) is not np.ndarray or sample_weight.dtype != np.float64:
        return None
    n = X.shape[0]
    if sample_weight.shape != (n,) or not sample_weight.dtype.isnative or not n:
        return None
    found = column_moments(sample_weight[:, None], n_threads=n_threads)
    if not (found.finite and found.low[0] >= 0 and found.high[0] > 0):
        return None
    if abs(int(np.frexp(found.high[0])[1])) > _LARGEST_EXPONENT:
        return None
    return float(n * found.means[0])


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
