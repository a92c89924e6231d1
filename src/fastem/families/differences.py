"""Differences of special functions, to full precision where their arguments are large.

digamma(a) and log(a) agree in more and more digits as a grows, and their difference, which is what
a likelihood depends on, keeps fewer and fewer. Asymptotic series have it directly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln, i0e, i1e, polygamma

FloatArray = NDArray[Any]

_LARGE = 32.0  # from here the series below are exact to rounding


def _choose(
    x: FloatArray, series: tuple[float, ...], far: Any, near: Any, at: float = _LARGE
) -> FloatArray:
    """`far(x, sum of series)` for large x, else `near(x)`. The series is in powers of 1/x."""
    x = np.asarray(x, dtype=np.float64)
    large = x > at
    safe = np.where(large, x, at)
    value = np.polynomial.polynomial.polyval(1 / safe, series)
    return np.where(large, far(safe, value), near(np.where(large, 1.0, x)))


def log_minus_digamma(a: FloatArray) -> FloatArray:
    """log(a) - digamma(a), above 0 (DLMF 5.11.2)."""
    series = (0.0, 1 / 2, 1 / 12, 0.0, -1 / 120, 0.0, 1 / 252, 0.0, -1 / 240, 0.0, 1 / 132)
    return _choose(a, series, lambda _, s: s, lambda x: np.log(x) - digamma(x))


def scaled_trigamma_minus_1(a: FloatArray) -> FloatArray:
    """a trigamma(a) - 1, above 0 (DLMF 5.15.8)."""
    series = (0.0, 1 / 2, 1 / 6, 0.0, -1 / 30, 0.0, 1 / 42, 0.0, -1 / 30, 0.0, 5 / 66)
    return _choose(a, series, lambda _, s: s, lambda x: x * polygamma(1, x) - 1)


def half_step(a: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """log(Gamma(a + 1/2) / Gamma(a)) - log(a) / 2, and its first two derivatives (DLMF 5.11.13)."""
    powers = np.array([1, 3, 5, 7, 9])
    coefficients = np.array([-1 / 8, 1 / 192, -1 / 640, 17 / 14336, -31 / 18432])

    def series(order: int) -> tuple[float, ...]:
        sizes = np.zeros(12)
        factor = coefficients * (-powers if order > 0 else 1)
        factor = factor * (-(powers + 1) if order > 1 else 1)
        sizes[powers + order] = factor
        return tuple(sizes)

    return (
        _choose(
            a,
            series(0),
            lambda _, s: s,
            lambda x: gammaln(x + 0.5) - gammaln(x) - 0.5 * np.log(x),
        ),
        _choose(a, series(1), lambda _, s: s, lambda x: digamma(x + 0.5) - digamma(x) - 0.5 / x),
        _choose(
            a,
            series(2),
            lambda _, s: s,
            lambda x: polygamma(1, x + 0.5) - polygamma(1, x) + 0.5 / np.square(x),
        ),
    )


def bessel_ratio(kappa: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """I1/I0, 1 less that, and its derivative (DLMF 10.40.1), for kappa above 0."""
    rest = (0.0, 1 / 2, 1 / 8, 1 / 8, 25 / 128, 13 / 32, 1073 / 1024, 103 / 32, 375733 / 32768)
    slope = tuple(i * c for i, c in enumerate(rest))  # of -1/kappa^i it is i / kappa^(i+1)

    def ratio(x: FloatArray) -> FloatArray:
        return np.asarray(i1e(x) / i0e(x))

    at = 300.0
    return (
        _choose(kappa, rest, lambda _, s: 1 - s, ratio, at),
        _choose(kappa, rest, lambda _, s: s, lambda x: 1 - ratio(x), at),
        _choose(
            kappa,
            slope,
            lambda x, s: s / x,
            lambda x: 1 - ratio(x) / x - np.square(ratio(x)),
            at,
        ),
    )
