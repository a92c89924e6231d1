"""Derivatives of a log-likelihood at its maximum, by differences.

Central differences over steps that halve, extrapolated to none (Richardson): the widest step is a
fifth of the standard error that one observation would leave, so the differences stand far above
rounding, and the extrapolation takes away what the width does.

References
----------
Ridders (1982), Accurate computation of F'(x) and F'(x) F''(x), Advances in Engineering Software 4,
75-76.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[Any]
Function = Callable[[FloatArray], FloatArray]

_LEVELS = 5
_DROP = 0.02  # of the log-likelihood, by the widest step, for one observation: 0.2**2 / 2
_ROUGH_DROP = 4.5  # of the whole log-likelihood: three standard errors
_SEARCHES = 60
_CAREFUL = 20  # of them
_LEAST_STEP = 1e-280
_SMOOTH = 0.05  # so far apart are curvatures over these steps of no function without kinks
_LADDER = 5  # of widest steps, from those for one observation to those for all
_LONG = 10.0  # ratio of axes from which on coordinates are taken along them
_POINTS = 1 << 18  # numbers in the points of one call
EDGE = "the maximum lies at an edge, where the likelihood is no parabola"
_FLAT = "the likelihood is flat: the data tell nothing of a parameter"


@dataclass(frozen=True, eq=False)
class Derivatives:
    """Gradient (P,) and Hessian (P, P) of a function, and why they mean nothing; None if they do.

    `rough` where the function has kinks, and the Hessian is over three standard errors; `stuck` are
    the coordinates (P,) that the trouble is with.
    """

    value: float
    gradient: FloatArray
    hessian: FloatArray
    trouble: str | None = None
    rough: bool = False
    stuck: Any = None

    @property
    def gain(self) -> float:
        """What a Newton step would gain, from the parabola."""
        try:
            return float(-0.5 * self.gradient @ np.linalg.solve(self.hessian, self.gradient))
        except np.linalg.LinAlgError:
            return np.inf


@np.errstate(all="ignore")  # beyond an edge a likelihood may be infinite, or no number
def derivatives(
    function: Function, at: FloatArray, weight: float, maximum: bool = True
) -> Derivatives:
    """Gradient and Hessian of a log-likelihood.

    Parameters
    ----------
    function : callable
        Takes points (M, P) and returns values (M,).
    at : array of shape (P,)
    weight : float
        Observations, the sum of their weights.
    maximum : bool, default=True
        Whether this is thought to be the maximum, so that a slope is a trouble.
    """
    at = np.asarray(at, dtype=np.float64)
    value = float(function(at[None])[0])
    # the information may be that of a few observations only, and steps then be too wide
    wider: FloatArray | None = None
    for drop in _DROP * weight ** np.linspace(1, 0, _LADDER):
        steps, trouble, stuck = _steps(function, at, value, drop, maximum)
        if trouble is not None:
            continue
        gradients, hessians = _levels(function, at, value, steps, _LEVELS)
        gradient, hessian = _extrapolated(gradients)[0], _extrapolated(hessians)[0]
        scale = np.sqrt(np.abs(np.diag(hessian)))
        allowed = _SMOOTH * np.outer(scale, scale)
        if not (np.max([np.abs(level - hessian) for level in hessians], axis=0) > allowed).any():
            # between two of its kinks any function is smooth, but not as it was seen before
            if wider is not None and (np.abs(wider - hessian) > allowed).any():
                break
            return _sharpened(function, at, weight, Derivatives(value, gradient, hessian), drop)
        wider = hessian
    if trouble is not None:
        nothing = np.full((len(at), len(at)), np.nan)
        return Derivatives(value, nothing[0], nothing, trouble, stuck=stuck)
    steps, trouble, stuck = _steps(function, at, value, _ROUGH_DROP, maximum)
    if trouble is None:
        gradients, hessians = _levels(function, at, value, steps, 1)
        gradient, hessian = gradients[0], hessians[0]
    return Derivatives(value, gradient, hessian, trouble, True, stuck)


def _sharpened(
    function: Function, at: FloatArray, weight: float, found: Derivatives, drop: float
) -> Derivatives:
    """The same by differences along the axes of the parabola, where it is long and thin."""
    scale = 1 / np.sqrt(np.abs(np.diag(found.hessian)))
    try:
        factor = np.linalg.cholesky(-found.hessian * np.outer(scale, scale))
    except np.linalg.LinAlgError:
        return found
    if len(at) == 1 or np.linalg.cond(factor) < _LONG:
        return found
    # at + axes @ z has the parabola -weight |z|^2 / 2
    axes = scale[:, None] * np.linalg.inv(factor).T * np.sqrt(weight)

    def along(points: FloatArray) -> FloatArray:
        return function(at + points @ axes.T)

    steps = np.full(len(at), 2.0 ** round(np.log2(np.sqrt(2 * drop / weight))))
    gradients, hessians = _levels(along, np.zeros_like(at), found.value, steps, _LEVELS)
    gradient, hessian = _extrapolated(gradients)[0], _extrapolated(hessians)[0]
    back = np.linalg.inv(axes)
    hessian = back.T @ hessian @ back
    return replace(found, gradient=back.T @ gradient, hessian=(hessian + hessian.T) / 2)


def _steps(
    function: Function, at: FloatArray, value: float, drop: float, maximum: bool
) -> tuple[FloatArray, str | None, Any]:
    """Steps along each coordinate that lower the function by about `drop`.

    Returns also why there are none, and for which coordinates.
    """
    P = len(at)
    steps = 1e-2 * np.maximum(1.0, np.abs(at))
    for search in range(_SEARCHES):
        around = np.concatenate([np.diag(steps), -np.diag(steps)])
        values = _called(function, at + around)
        up, down = values[:P], values[P:]
        with np.errstate(all="ignore"):
            fall = value - (up + down) / 2
            factor = np.sqrt(drop / fall)
        factor = np.where(fall > 0, factor, 10.0)
        # where there is no value yet, to any scale that data may have
        shrink = 0.1 if search < _CAREFUL else 1e-6
        factor = np.where(np.isfinite(fall), np.clip(factor, 1e-6, 1e3), shrink)
        unsettled = ~(np.abs(np.log(factor)) < 0.7)
        if not unsettled.any():
            lopsided = np.abs(up - down) > 1.6 * fall
            if maximum and lopsided.any():
                return steps, EDGE, lopsided
            return 2.0 ** np.round(np.log2(steps)), None, None  # at + steps is then exact
        steps = steps * factor
        flat = steps > 1e8 * np.maximum(1.0, np.abs(at))
        if flat.any():
            return steps, _FLAT, flat
        if (steps < np.maximum(_LEAST_STEP, 1e-14 * np.abs(at))).any():
            break
    return steps, EDGE, unsettled


def _called(function: Function, points: FloatArray) -> FloatArray:
    size = max(1, _POINTS // max(1, points.shape[1]))
    parts = [points[i : i + size] for i in range(0, len(points), size)]
    return np.concatenate([function(part) for part in parts])


def _levels(
    function: Function, at: FloatArray, value: float, steps: FloatArray, n_levels: int
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Central differences over steps that halve: gradients and Hessians."""
    one = np.eye(len(at))
    row, column = np.triu_indices(len(at), 1)
    gradients, hessians = [], []
    for level in range(n_levels):
        h = steps / 2**level
        up, down = (_called(function, at + sign * one * h) for sign in (1, -1))
        hessian = np.diag((up - 2 * value + down) / h**2)
        hessian[row, column] = hessian[column, row] = _mixed(function, at, h, row, column)
        gradients.append((up - down) / (2 * h))
        hessians.append(hessian)
    return gradients, hessians


def _mixed(
    function: Function, at: FloatArray, h: FloatArray, row: FloatArray, column: FloatArray
) -> FloatArray:
    """Mixed second derivatives of some pairs of coordinates, from four corners of each."""
    result = np.empty(len(row))
    size = max(1, _POINTS // (4 * len(at)))
    for begin in range(0, len(row), size):
        i, j = row[begin : begin + size], column[begin : begin + size]
        corners = np.repeat(at[None], 4 * len(i), axis=0).reshape(4, len(i), -1)
        pair = np.arange(len(i))
        for corner, (a, b) in zip(corners, ((1, 1), (1, -1), (-1, 1), (-1, -1)), strict=True):
            corner[pair, i] += a * h[i]
            corner[pair, j] += b * h[j]
        values = function(corners.reshape(-1, len(at))).reshape(4, -1)
        differences = values[0] - values[1] - values[2] + values[3]
        result[begin : begin + size] = differences / (4 * h[i] * h[j])
    return result


def _extrapolated(values: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Richardson's extrapolation of values at steps that halve, of errors in even powers.

    Of all entries of the tableau, each number takes the one that its neighbours are nearest to, as
    Ridders did: where there is rounding, the wide steps know more. Returns also that distance.
    """
    best, error = values[-1], np.full(values[-1].shape, np.inf)
    coarse_row = values
    for order in range(1, len(values)):
        factor = 4.0**order
        row = [(factor * fine - coarse) / (factor - 1) for coarse, fine in pairwise(coarse_row)]
        for new, (coarse, fine) in zip(row, pairwise(coarse_row), strict=True):
            distance = np.maximum(np.abs(new - coarse), np.abs(new - fine))
            nearer = distance < error
            best, error = np.where(nearer, new, best), np.where(nearer, distance, error)
        coarse_row = row
    return best, error


def jacobian(function: Function, at: FloatArray) -> FloatArray:
    """Derivatives of a smooth function (M, P) -> (M, Q) at a point, (Q, P)."""
    at = np.asarray(at, dtype=np.float64)
    steps = np.diag(0.05 * np.maximum(1.0, np.abs(at)))
    tables = [
        (function(at + steps / 2**i) - function(at - steps / 2**i)).T / (2 * np.diag(steps) / 2**i)
        for i in range(_LEVELS)
    ]
    return _extrapolated(tables)[0]
