"""Standard errors and confidence intervals from the observed information."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ..families.base import Family
from ..families.domains import Interval
from .derivatives import EDGE, Derivatives, derivatives, jacobian

FloatArray = NDArray[Any]

_STATIONARY = 0.02  # what a Newton step may still gain at a maximum: a fifth of a standard error
_MOST_DIFFERENCES = 100  # free parameters: the work grows with their cube, and more

#: log-likelihood of each of some members
Likelihood = Callable[[Family], FloatArray]


@dataclass(frozen=True, eq=False)
class Information:
    """What the curvature of the log-likelihood says of the parameters of one member.

    Parameters
    ----------
    covariance : array of shape (Q, Q)
        Of all numbers of the parameters, one parameter after the other; 0 for what is fixed, NaN
        where the likelihood is no parabola.
    trouble : str or None
        Why there are no standard errors, or why some are missing.
    rough : bool
        Whether the likelihood has kinks, and its curvature is taken over three standard errors.
    """

    covariance: FloatArray
    trouble: str | None = None
    rough: bool = False

    @property
    def variances(self) -> FloatArray:
        """Of the numbers, (Q,)."""
        return np.asarray(np.diag(self.covariance))


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """The same where a family knows the covariance of its estimates.

    The whole is computed where it is asked for: variances take far less.

    Parameters
    ----------
    member : Family
        Of one member.
    statistics
        Of the data, taken at its own parameters.
    fixed : collection of str
        Parameters that were not estimated.
    """

    member: Family
    statistics: Any
    fixed: Any = ()
    rough: ClassVar[bool] = False

    @cached_property
    def variances(self) -> FloatArray:
        """Of the numbers, (Q,)."""
        return self._found(False)

    @cached_property
    def covariance(self) -> FloatArray:
        """Of the numbers, (Q, Q)."""
        return self._found(True)

    @property
    def trouble(self) -> str | None:
        """Why some errors are missing."""
        return EDGE if np.isnan(self.variances).any() else None

    def _found(self, whole: bool) -> FloatArray:
        found = np.array(self.member.estimates_covariance(self.statistics, whole))
        begin = 0
        for name, value in self.member.parameters.items():
            if name in self.fixed:
                held = slice(begin, begin + value.size)
                found[held] = found[..., held] = 0.0
            begin += value.size
        return found


class Free:
    """One member as a function of its free coordinates, some of which may be held.

    Parameters
    ----------
    member : Family
        Of one member.
    fixed : collection of str
        Parameters that are held.
    """

    def __init__(self, member: Family, fixed: Any = ()) -> None:
        self.member, self.fixed = member, fixed
        self.at = member.unconstrained()[0]
        two = self.at + np.array([[0.0], [0.125]])
        again = member.from_unconstrained(two).unconstrained()
        # members of some families share a parameter, and are looked at one by one
        self.apart = bool(np.allclose(again, two, rtol=1e-6, atol=1e-6))
        self.moving: NDArray[np.intp] = np.arange(len(self.at))
        if fixed:
            kept = [i for i in range(len(self.at)) if not self._moves_fixed(i)]
            self.moving = np.array(kept, dtype=np.intp)

    def _moves_fixed(self, i: int) -> bool:
        """Whether a coordinate is one of what is fixed."""
        before, moved = self.at[None], self.at[None].copy()
        moved[0, i] += 0.125
        old, new = (self.member.from_unconstrained(z).parameters for z in (before, moved))
        changed = {name for name in old if not np.array_equal(old[name], new[name])}
        return bool(changed & set(self.fixed))

    def members(self, points: FloatArray) -> Family:
        """Members at some points (M, P), of which there is one where members share parameters."""
        free = np.repeat(self.at[None], len(points), axis=0)
        free[:, self.moving] = points
        members = self.member.from_unconstrained(free)
        # a value at the edge of its domain has no free coordinates: what is held stays as it is
        held = {
            name: np.repeat(self.member.parameters[name], len(points), axis=0)
            for name in self.fixed
        }
        return members.with_parameters(**held)

    def _each(self, function: Callable[[Family], FloatArray], points: FloatArray) -> FloatArray:
        if self.apart:
            return function(self.members(points))
        return np.concatenate([function(self.members(point[None])) for point in points])

    def numbers(self, points: FloatArray) -> FloatArray:
        """The parameters at some points, side by side, (M, Q)."""

        def values(members: Family) -> FloatArray:
            parts = [v.reshape(members.n_members, -1) for v in members.parameters.values()]
            return np.concatenate(parts, axis=1)

        return self._each(values, points)

    def function(self, likelihood: Likelihood) -> Callable[[FloatArray], FloatArray]:
        """The log-likelihood at some points; -inf where there is none."""

        def values(points: FloatArray) -> FloatArray:
            with np.errstate(all="ignore"):
                found = self._each(likelihood, points)
            return np.where(np.isnan(found), -np.inf, found)

        return values


def n_estimated(members: Family, fixed: Any = ()) -> int:
    """Free numbers of one member, without those of what is fixed."""
    if not fixed:
        return members.n_parameters
    return len(Free(type(members).stacked([members.member(0)]), fixed).moving)


def observed(
    member: Family,
    likelihood: Likelihood,
    weight: float,
    fixed: Any = (),
    exact: FloatArray | None = None,
) -> Information:
    """The inverse of the observed information, carried over to the parameters (delta method).

    Parameters
    ----------
    member : Family
        The maximum likelihood, as one member.
    likelihood : callable
        Takes members and returns their log-likelihoods.
    weight : float
        Observations, the sum of their weights.
    fixed : collection of str
        Parameters that were not estimated.
    exact : array of shape (P, P), optional
        The information in all free coordinates, where it need not be found by differences.

    References
    ----------
    Efron, Hinkley (1978), Assessing the accuracy of the maximum likelihood estimator, Biometrika
    65, 457-482.
    """
    free = Free(member, fixed)
    at = free.at[free.moving]
    n_numbers = free.numbers(at[None]).shape[1]
    nothing = np.full((n_numbers, n_numbers), np.nan)
    if not at.size:  # nothing is free, such as the probability of the only category
        return Information(np.zeros((n_numbers, n_numbers)), None)
    if exact is None and len(at) > _MOST_DIFFERENCES:
        return Information(
            nothing,
            f"there are {len(at)} free parameters, and differences of the likelihood are taken for "
            f"{_MOST_DIFFERENCES} at most",
        )
    if exact is None:
        found = derivatives(free.function(likelihood), at, weight)
    else:
        found = Derivatives(0.0, np.zeros(len(at)), -exact[np.ix_(free.moving, free.moving)])
    trouble, lost = found.trouble, np.zeros(n_numbers, dtype=bool)
    # what is at an edge stays there: the others have errors given that
    while found.trouble is not None and not found.stuck.all():
        whole, slopes = free.moving, jacobian(free.numbers, at)
        lost |= (slopes[:, found.stuck] != 0).any(axis=1)
        free.moving = whole[~found.stuck]
        at = free.at[free.moving]
        found = derivatives(free.function(likelihood), at, weight)
    if found.trouble is not None:
        return Information(nothing, trouble)
    if not np.isfinite(found.hessian).all():
        return Information(nothing, EDGE)
    try:
        np.linalg.cholesky(-found.hessian)
    except np.linalg.LinAlgError:
        return Information(nothing, "the likelihood has no curvature in some direction")
    if found.gain > (_STATIONARY if not found.rough else 1.0):
        return Information(nothing, "the likelihood still rises here: this is no maximum of it")
    J = jacobian(free.numbers, at)
    # the scales of the coordinates may differ by any factor
    scale = 1 / np.sqrt(-np.diag(found.hessian))
    inverse = np.linalg.inv(-found.hessian * np.outer(scale, scale)) * np.outer(scale, scale)
    covariance = J @ inverse @ J.T
    covariance[lost] = covariance[:, lost] = np.nan
    return Information(covariance, trouble, found.rough)


def interval(
    value: FloatArray, error: FloatArray, low: FloatArray, high: FloatArray, level: float
) -> FloatArray:
    """Confidence intervals within the bounds of numbers, (..., 2).

    Symmetric for the number itself where it has no bounds, for its distance's logarithm where it
    has one, for the logit where it has two.
    """
    quantile = ndtri(0.5 + level / 2)
    result = np.empty((*np.shape(value), 2))
    for place in np.ndindex(np.shape(value)):
        x, a, b = value[place], low[place], high[place]
        within = Interval(float(a), float(b))
        if not np.isfinite(error[place]) or not a < x < b:
            result[place] = np.nan
            continue
        # of the number by its free coordinate
        slope = (x - a if np.isfinite(a) else 1.0) * (b - x if np.isfinite(b) else 1.0)
        slope /= b - a if np.isfinite(a) and np.isfinite(b) else 1.0
        reach = quantile * error[place] / slope * np.array([-1.0, 1.0])
        result[place] = within.from_free(within.to_free(x) + reach)
    return result
