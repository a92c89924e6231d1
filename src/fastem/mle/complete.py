"""The maximum likelihood of complete data: one pass and one step, or some where a family needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import em
from ..exceptions import DegenerateFitError, warn
from ..families.base import Family
from .data import Data, FloatArray
from .information import Free, Likelihood
from .optimise import maximise
from .result import likelihoods_of

_TOLERANCE, _ROUNDING = 1e-10, 1e-14  # of the log-likelihood, and an observation
_REST = 2
_STRETCHES = 2.0 ** np.arange(6)[:, None]
_MOST_POLISHED = 12  # parameters of a part; more take too many differences


@dataclass(frozen=True)
class _Pass:
    """Statistics of a pass, and the log-likelihood of the parameters they were taken with."""

    statistics: Any
    log_likelihood: float


@dataclass(frozen=True)
class Steps:
    """A family as `em.run` wants a model, its steps stretched while the likelihood rises.

    Parameters
    ----------
    members : Family
        Known, of one member.
    accumulate_of : callable
        Takes members and returns statistics.
    likelihood : callable
        Takes members and returns their log-likelihoods.
    rest : int, default=0
        So many steps are not stretched, since the last stretch did not gain.
    """

    members: Family
    accumulate_of: Callable[[Family], Any]
    likelihood: Likelihood
    rest: int = 0

    def accumulate(self, data: Any) -> _Pass:
        value = float(self.likelihood(self.members)[0])
        return _Pass(self.accumulate_of(self.members), value)

    def maximise(self, found: _Pass) -> Steps:
        after = self.members.maximise(found.statistics)
        if self.rest:
            return replace(self, members=after, rest=self.rest - 1)
        begin = self.members.unconstrained()
        tried = after.from_unconstrained(begin + _STRETCHES * (after.unconstrained() - begin))
        with np.errstate(all="ignore"):
            values = self.likelihood(tried)
        best = int(np.argmax(np.nan_to_num(values, nan=-np.inf)))
        # where no stretch gains, the step itself, to the last digit
        if best and values[best] > values[0] + _ROUNDING * abs(values[best]):
            return replace(self, members=type(after).stacked([tried.member(best)]))
        return replace(self, members=after, rest=_REST)

    def run(self, weight: float, max_iter: int) -> em.EMResult[Any]:
        """Repeat until the likelihood is settled."""
        return em.run(
            self,
            None,
            convergence=em.Convergence(
                tol=_TOLERANCE + _ROUNDING * weight, max_iter=max_iter, rounding=1e-12
            ),
        )


def fit(family: Family, data: Data, max_iter: int) -> tuple[Family, Any, tuple[float, ...]]:
    """Members (one), their statistics where it took one pass, and the trace.

    Parameters
    ----------
    family : Family
        Its parameters, where they are known, are the start of an iterative family.
    data : Data
        Not examined yet.
    max_iter : int
        Of an iterative family.
    """
    start, statistics = data.examined_statistics(family)
    members = start.maximise(statistics)
    if not start.iterative:
        return members, statistics, ()
    steps = Steps(members, data.statistics, data.log_likelihood)
    run = steps.run(data.total_weight, max_iter)
    members, trace = run.model.members, run.log_likelihoods
    if run.reason != "max_iter":
        members.confirm(data.statistics)
    if slow(trace, data.total_weight):
        members, polished = _polished(members, data)
        if not polished and run.reason == "max_iter":
            warn(
                f"{type(family).__name__}: the likelihood still rises after {max_iter} iterations. "
                "Increase max_iter"
            )
    return members, None, trace


def slow(trace: tuple[float, ...], weight: float) -> bool:
    """Whether more than rounding is still to be gained, judged by how fast the gains shrink."""
    if len(trace) < 3:
        return True
    before, last = trace[-2] - trace[-3], trace[-1] - trace[-2]
    rate = last / before if before > 0 else 0.0
    return rate > 0.3 or last > _TOLERANCE + _ROUNDING * weight


def _polished(members: Family, data: Data) -> tuple[Family, bool]:
    likelihoods = likelihoods_of(members, data, None)
    if members.n_parameters > _MOST_POLISHED * len(likelihoods):
        return members, False
    # steps were taken already: a search would run along edges that the family has
    return maximised(members, likelihoods, data.total_weight, (), search=False), True


def maximised(
    members: Family,
    likelihoods: tuple[Likelihood, ...],
    weight: float,
    fixed: Any,
    search: bool = True,
) -> Family:
    """The maximum over all parameters that are not fixed, each independent part by itself."""
    parts = []
    for j, likelihood in enumerate(likelihoods):
        part = members if len(likelihoods) == 1 else members.column(j)
        free = Free(part, fixed)
        if not len(free.moving):
            return members
        at = maximise(free.function(likelihood), free.at[free.moving], weight, search)
        parts.append(free.members(at[None]))
    if len(parts) == 1:
        return parts[0]
    return members.with_parameters(
        **{
            name: np.concatenate([part.parameters[name] for part in parts], axis=1)
            for name in members.domains
        }
    )


def with_fixed(
    family: Family, data: Data, fixed: Mapping[str, Any], max_iter: int
) -> tuple[Family, Any]:
    """The maximum likelihood where some parameters are held, and statistics where they suffice."""
    try:
        members, statistics, _ = fit(family, data, max_iter)
    except DegenerateFitError:
        if not family.univariate:
            raise
        # there may be a maximum with these parameters held: from anywhere
        members, statistics = _anywhere(family, data.n_columns), None
        if not family.iterative:
            statistics = data.statistics(members)
    held = {name: held_value(members, name, value) for name, value in fixed.items()}
    members = members.with_parameters(**held)
    likelihoods = likelihoods_of(members, data, statistics)
    found = maximised(members, likelihoods, data.total_weight, tuple(fixed))
    with np.errstate(all="ignore"):
        reached = data.log_likelihood(found)
    if not np.isfinite(reached).all():
        raise DegenerateFitError(
            f"{type(family).__name__}: with {', '.join(fixed)} fixed the likelihood has no "
            "maximum, or some values are impossible. Fix other values, or fewer"
        )
    return found, statistics


def _anywhere(family: Family, n_columns: int) -> Family:
    zero = np.zeros((1, n_columns))
    return family.with_parameters(
        **{name: domain.from_free(zero, ()) for name, domain in family.domains.items()}
    )


def held_value(members: Family, name: str, value: Any) -> FloatArray:
    """A value that a user gave for a parameter, in the shape of members."""
    shape = getattr(members, name).shape
    try:
        array = np.broadcast_to(np.asarray(value, dtype=np.float64), shape[1:])
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"fixed: {name} must have the shape {shape[1:]}, but it is {value!r}"
        ) from error
    domain = members.domains[name]
    if not domain.contains(array):
        raise ValueError(f"fixed: {name} must be {domain.describe()}, but it is {value!r}")
    return np.array(array[None])
