"""Maximising a log-likelihood over unconstrained coordinates, where no closed form does it."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from .derivatives import FloatArray, Function, derivatives

_NEWTON_STEPS = 50
_SETTLED = 1e-13  # gain of a Newton step an observation: far below what 1e-8 of a parameter costs


def maximise(
    function: Function, start: FloatArray, weight: float, search: bool = True
) -> FloatArray:
    """Where a log-likelihood is greatest.

    Newton's method with halved steps where the likelihood is a parabola near the maximum already;
    a simplex search (Nelder, Mead 1965) first where it is not.

    Parameters
    ----------
    function : callable
        Takes points (M, P) and returns values (M,), -inf where nothing is.
    start : array of shape (P,)
    weight : float
        Observations, the sum of their weights.
    search : bool, default=True
        Whether to search where Newton's method fails; else the best that it has found.

    Returns
    -------
    at : array of shape (P,)
    """
    at, settled = _newton(function, start, weight)
    if settled or not search:
        return at
    with np.errstate(invalid="ignore"):  # it compares infinities
        found = minimize(
            lambda z: -float(function(z[None])[0]) / weight,
            at,
            method="Nelder-Mead",
            options={"xatol": 1e-10, "fatol": 1e-15, "maxiter": 2000 * len(at), "adaptive": True},
        )
    # rounding may have led the search a little below
    candidates = np.stack([at, found.x])
    at = candidates[int(np.argmax(function(candidates)))]
    return _newton(function, at, weight)[0]


def _newton(function: Function, at: FloatArray, weight: float) -> tuple[FloatArray, bool]:
    for _ in range(_NEWTON_STEPS):
        now = derivatives(function, at, weight, maximum=False)
        if now.trouble is not None or now.rough:
            return at, False
        try:
            np.linalg.cholesky(-now.hessian)
        except np.linalg.LinAlgError:
            return at, False
        step = np.linalg.solve(-now.hessian, now.gradient)
        tries = at + step * 0.5 ** np.arange(12)[:, None]
        values = function(tries)
        if now.gain <= _SETTLED * weight:
            better = values[0] >= now.value - 1e-12 * (weight + abs(now.value))
            return (tries[0] if better else at), True
        risen = np.flatnonzero(values > now.value)
        if not len(risen):
            return at, False
        at = tries[risen[0]]
    return at, False
