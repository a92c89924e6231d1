"""Distributions of one variable within bounds: their mass there, and what to expect of a value.

References
----------
Takahasi, Mori (1974), Double exponential formulas for numerical integration, Publ. RIMS 9, 721-741.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[Any]

_STEP, _REACH = 0.1, 3.7
_NARROW = 1e-6
_LEAST_TAIL = 1e-18  # mass of a discrete tail that is left out, as a share
_MOST_VALUES = 1 << 22


def log_difference(small: FloatArray, large: FloatArray) -> FloatArray:
    """log(exp(large) - exp(small)), for small <= large."""
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = np.where(np.isneginf(small), -np.inf, small - large)
        return np.asarray(large + np.log(-np.expm1(np.minimum(gap, 0.0))))


def log_mass(known: Any, low: FloatArray, high: FloatArray) -> FloatArray:
    """log P(low < x <= high), from the tail that keeps the digits.

    Parameters
    ----------
    known : frozen distribution of scipy.stats
    low, high : array
        Of any shape that goes with that of the parameters.
    """
    with np.errstate(all="ignore"):
        below, above = known.logcdf(low), known.logsf(high)
        left, right = known.logcdf(high), known.logsf(low)
        upper = right < left  # the interval lies rather above the median
        result = np.where(upper, log_difference(above, right), log_difference(below, left))
        gap = np.where(upper, right - above, left - below)
        narrow = (gap < _NARROW) & np.isfinite(low) & np.isfinite(high)
        if narrow.any() and hasattr(known, "logpdf"):
            middle = known.logpdf(low / 2 + high / 2) + np.log(high - low)
            result = np.where(narrow, middle, result)
    return result


def log_masses(members: Any, low: FloatArray, high: FloatArray) -> FloatArray:
    """log P(low < x <= high) under each member of a family of one variable, (n, K)."""
    size = max(1, _MOST_VALUES // max(1, len(low)))
    found = []
    for begin in range(0, members.n_members, size):
        # SciPy takes as many parameters as there are columns: a column for each member
        columns = members.with_parameters(
            **{
                name: np.swapaxes(value[begin : begin + size], 0, 1)
                for name, value in members.parameters.items()
            }
        )
        masses = log_mass(columns.scipy(), low[:, None], high[:, None])
        found.append(np.broadcast_to(masses, (len(low), min(size, members.n_members - begin))))
    return np.concatenate(found, axis=1)


def nodes(family: Any, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Values and probabilities of one distribution given bounds; see `Family.truncated`."""
    known = family.scipy()
    if family.support.integer:
        return _integers(known, low, high)
    values, probabilities = _double_exponential(known, low, high)
    # within the open support: 0 has no logarithm
    return np.clip(
        values,
        np.nextafter(family.support.low, np.inf),
        np.nextafter(family.support.high, -np.inf),
    ), probabilities


def _double_exponential(
    known: Any, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Nodes in the quantiles: they crowd towards both ends, where statistics may be infinite.

    A quantile is taken from the tail it lies in, so it keeps its digits.
    """
    t = np.arange(-_REACH, _REACH + _STEP / 2, _STEP)
    share = 1 / (1 + np.exp(-np.pi * np.sinh(t)))
    rest = share[::-1]
    weights = np.cosh(t) * share * rest
    weights /= weights.sum()
    with np.errstate(all="ignore"):
        below_low, above_high = known.cdf(low)[:, None], known.sf(high)[:, None]
        mass = np.exp(log_mass(known, low, high))[:, None]
        below, above = below_low + mass * share, above_high + mass * rest
        values = np.where(below < above, known.ppf(below), known.isf(above))
    # beyond what the tails resolve there is nothing to do but to stay within the bounds
    values = np.clip(values, low[:, None], high[:, None])
    return values, np.broadcast_to(weights, values.shape)


def _far(tail: Any, begin: FloatArray, sign: float, mass: FloatArray) -> FloatArray:
    """So far from `begin` that hardly anything of the mass there is left."""
    width = 16.0
    while width < _MOST_VALUES and (tail(begin + sign * width) > _LEAST_TAIL * mass).any():
        width *= 2
    return np.asarray(begin + sign * width)


def _integers(known: Any, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """All integers above `low` and up to `high`, but for a tail too light to matter."""
    first, last = known.support()
    least = np.maximum(np.where(np.isinf(low), low, np.floor(low) + 1), first)
    most = np.minimum(np.where(np.isinf(high), high, np.floor(high)), last)
    with np.errstate(all="ignore"):
        if np.isinf(most).any():
            begin = np.maximum(least, np.floor(known.median()))
            most = np.minimum(most, _far(known.sf, begin, 1.0, known.sf(begin - 1)))
        if np.isinf(least).any():
            begin = np.minimum(most, np.ceil(known.median()))
            least = np.maximum(least, _far(known.cdf, begin, -1.0, known.cdf(begin)))
    width = int(max(1.0, (most - least).max() + 1))
    if width * len(low) > _MOST_VALUES:
        raise ValueError(
            f"there are {width} integers between the bounds of a censored value: too many to sum "
            "over. Narrow the bounds, or fit a continuous family"
        )
    values = least[:, None] + np.arange(width)
    with np.errstate(all="ignore"):
        logs = known.logpmf(values)
    logs[values > most[:, None]] = -np.inf
    logs -= logs.max(axis=1, keepdims=True)
    probabilities = np.exp(logs)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return np.minimum(values, most[:, None]), probabilities
