"""Functions that densities need, without the cancellation of their textbook form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

FloatArray = NDArray[Any]

LEAST_LOG = -745.0  # of the smallest double: 0 times it is 0, unlike 0 times -inf

_SMALL = 0.05
_LARGE = 30.0  # from here on, Stirling's series is exact to the last digits


def least_log(x: FloatArray) -> FloatArray:
    """log(x), and no less than -745: the logarithm of an impossible value, kept finite."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(x), LEAST_LOG)


def least_log1p(x: FloatArray) -> FloatArray:
    """log(1 + x), and no less than -745."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log1p(x), LEAST_LOG)


def log1p_less(x: FloatArray) -> FloatArray:
    """log(1 + x) - x, for x >= 0: -x^2 / 2 + x^3 / 3 - ..."""
    result = np.atleast_1d(np.log1p(x) - x)
    near = np.atleast_1d(x < _SMALL)
    small = np.atleast_1d(x)[near]
    series = np.zeros_like(small)
    for k in range(14, 1, -1):
        series = small * series + (1.0 if k % 2 else -1.0) / k
    result[near] = np.square(small) * series
    return result.reshape(np.shape(x))


def _stirling(z: FloatArray) -> FloatArray:
    """log Gamma(z) - ((z - 1/2) log z - z + log(2 pi) / 2): DLMF 5.11.1."""
    w = 1 / np.square(z)
    return (1 / 12 - w * (1 / 360 - w * (1 / 1260 - w * (1 / 1680 - w / 1188)))) / z


def log_rise(a: FloatArray, x: FloatArray) -> FloatArray:
    """log Gamma(a + x) - log Gamma(a) - x log(a), for a > 0 and x >= 0; about x (x - 1) / (2 a)."""
    large = np.maximum(a, _LARGE)
    share = x / large
    by_series = (
        large * log1p_less(share)
        + (x - 0.5) * np.log1p(share)
        + (_stirling(large + x) - _stirling(large))
    )
    direct = gammaln(a + x) - gammaln(a) - x * np.log(a)
    return np.where(a >= _LARGE, by_series, direct)


def digamma_rise(a: FloatArray, x: FloatArray) -> FloatArray:
    """x - a (digamma(a + x) - digamma(a)), for a > 0 and x >= 0; about x (x - 1) / (2 a)."""
    large = np.maximum(a, _LARGE)

    def tail(z: FloatArray) -> FloatArray:
        """log z - 1 / (2 z) - digamma(z): DLMF 5.11.2."""
        w = 1 / np.square(z)
        return w * (1 / 12 - w * (1 / 120 - w * (1 / 252 - w * (1 / 240 - w / 132))))

    share = x / large
    by_series = (
        -large * log1p_less(share) - 0.5 * x / (large + x) - large * (tail(large) - tail(large + x))
    )
    direct = x - a * (digamma(a + x) - digamma(a))
    return np.where(a >= _LARGE, by_series, direct)


def shares_covariance(p: FloatArray, weight: float, whole: bool) -> FloatArray:
    """(diag(p) - p p^T) / weight, of shares p (C,) of so many draws; or its diagonal.

    NaN for shares of 0 or 1, which are at an edge.

    References
    ----------
    Agresti (2013), Categorical Data Analysis, section 1.2.
    """
    certain = (p == 0) | (p == 1)
    if not whole:
        return np.where(certain, np.nan, p * (1 - p) / weight)
    result = -np.outer(p, p) / weight
    np.fill_diagonal(result, p * (1 - p) / weight)
    result[certain] = result[:, certain] = np.nan
    return result
