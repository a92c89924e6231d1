"""Newton's method for many monotone equations at once, safeguarded by bisection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[Any]

_STEPS = 200
_WIDEST_STEP = 10.0
_LAST_STEP = 1e-9


def root(
    function: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    start: FloatArray,
    last_step: float = _LAST_STEP,
) -> FloatArray:
    """Where monotone functions of one variable are 0, each element by itself.

    Parameters
    ----------
    function : callable
        Takes x and returns the values and the derivatives, in its shape. Each is monotone, rising
        or falling.
    start : array
        Finite.
    last_step : float
        The step, relative to x where that is above 1, that is the last: Newton's steps shrink
        quadratically, so that what is left of it has its square, which is below rounding.

    Returns
    -------
    x : array
        To the last few digits. A step that leaves the bracket known so far is replaced by its
        middle, and no step is wider than 10: take logarithms of what may be anything.
    """
    x = np.array(start, dtype=np.float64)
    low, high = np.full(x.shape, -np.inf), np.full(x.shape, np.inf)
    for _ in range(_STEPS):
        value, slope = function(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.clip(-value / slope, -_WIDEST_STEP, _WIDEST_STEP)
        # the root is above where the function must still go on in its own direction
        above = np.sign(value) * np.sign(slope) < 0
        low = np.where(above, np.maximum(low, x), low)
        high = np.where(above, high, np.minimum(high, x))
        new = x + step
        inside = (new > low) & (new < high)
        with np.errstate(invalid="ignore"):
            middle = (low + high) / 2
        one_sided = x + np.where(above, 1, -1) * _WIDEST_STEP
        middle = np.where(np.isfinite(low) & np.isfinite(high), middle, one_sided)
        settled = (value == 0) | (np.abs(step) <= last_step * np.maximum(np.abs(x), 1.0))
        new = np.where(inside, new, np.where(settled, x, middle))
        if settled.all():
            return new
        x = new
    return x
