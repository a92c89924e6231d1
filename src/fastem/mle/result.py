"""What maximum likelihood found: the distribution, and how well the data determine it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..families.base import Family
from .data import Data, FloatArray
from .goodness import GoodnessOfFit, tested
from .information import ClosedForm, Information, Likelihood, interval, n_estimated, observed
from .table import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class MaximumLikelihood:
    """A distribution fitted by maximum likelihood.

    Standard errors and the goodness of fit are computed when first asked for; the data are kept for
    that.

    Parameters
    ----------
    family : Family
        The fitted distribution; with numbers for parameters where X was one column.
    log_likelihood : float
        Weighted, at the maximum.
    total_weight : float
        Sum of the weights: as many observations there are.
    n_samples : int
        Rows.
    fixed : tuple of str
        Parameters that were given, and not estimated.
    trace : tuple of float
        Log-likelihoods of the iterations, where it took some.
    """

    family: Any
    log_likelihood: float
    total_weight: float
    n_samples: int
    fixed: tuple[str, ...] = ()
    trace: tuple[float, ...] = ()
    _data: Any = field(default=None)
    _likelihoods: tuple[Likelihood, ...] = field(default=())
    _no_errors: str | None = None

    @property
    def parameters(self) -> dict[str, FloatArray]:
        """The parameters by name."""
        return self.family.parameters

    @cached_property
    def n_parameters(self) -> int:
        """Parameters that were estimated, each free number counted."""
        return n_estimated(self.family.members(), self.fixed)

    @property
    def aic(self) -> float:
        """Akaike's information criterion, 2 n_parameters - 2 log_likelihood."""
        return 2 * self.n_parameters - 2 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's criterion, n_parameters log(total_weight) - 2 log_likelihood."""
        return self.n_parameters * math.log(self.total_weight) - 2 * self.log_likelihood

    # --- how well the parameters are known ----------------------------------------------------

    @cached_property
    def _informations(self) -> list[Information | ClosedForm]:
        """Of each part that is independent of the others: a column of one variable, or all."""
        members, n_parts = self.family.members(), len(self._likelihoods)
        return [
            self._information(members if n_parts == 1 else members.column(j), j)
            for j in range(n_parts)
        ]

    def _information(self, part: Family, j: int) -> Information | ClosedForm:
        if self._no_errors is not None:
            size = sum(value.size for value in part.parameters.values())
            return Information(np.full((size, size), np.nan), self._no_errors)
        exact, kind = None, type(part)
        closed = kind.estimates_covariance is not Family.estimates_covariance
        if self._data is not None and (closed or kind.information is not Family.information):
            data = self._data if len(self._likelihoods) == 1 else self._data.column(j)
            statistics = data.statistics(part)
            if closed:
                return ClosedForm(part, statistics, self.fixed)
            exact = part.information(statistics)
        return observed(part, self._likelihoods[j], self.total_weight, self.fixed, exact)

    @cached_property
    def covariance(self) -> FloatArray:
        """Covariance of the estimates, (Q, Q): the inverse of the observed information.

        In the order of `parameters`, each in its own order; rows of fixed parameters are 0. NaN
        where the likelihood is no parabola at its maximum (`no_errors_because` says why).
        """
        places = self._places
        if len(places) == 1:
            return self._informations[0].covariance
        result = np.zeros((sum(map(len, places)),) * 2)
        for place, information in zip(places, self._informations, strict=True):
            result[np.ix_(place, place)] = information.covariance
        return result

    @property
    def _places(self) -> list[Any]:
        """Where the numbers of each independent part are among those of all."""
        sizes = [value.size for value in self.parameters.values()]
        n_parts = len(self._informations)
        if n_parts == 1:
            return [np.arange(sum(sizes))]
        # each column has its place in every parameter
        places = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
        shaped = [place.reshape(n_parts, -1) for place in places]
        return [np.concatenate([place[j] for place in shaped]) for j in range(n_parts)]

    @property
    def no_errors_because(self) -> str | None:
        """Why standard errors are missing, some or all; None where there are."""
        troubles = [i.trouble for i in self._informations if i.trouble is not None]
        return troubles[0] if troubles else None

    @cached_property
    def standard_errors(self) -> dict[str, FloatArray]:
        """Standard errors by parameter, in its shape; 0 for what was fixed.

        From the observed information (the curvature of the log-likelihood at its maximum).
        """
        places = self._places
        variances = np.empty(sum(map(len, places)))
        for place, information in zip(places, self._informations, strict=True):
            variances[place] = information.variances
        errors = np.sqrt(np.maximum(variances, 0.0))
        result, begin = {}, 0
        for name, value in self.parameters.items():
            result[name] = errors[begin : begin + value.size].reshape(value.shape)
            begin += value.size
        return result

    def confidence_intervals(self, level: float = 0.95) -> dict[str, FloatArray]:
        """Confidence intervals by parameter, in its shape with a last axis of two: low and high.

        Normal in unconstrained coordinates (the logarithm of what is positive, the logit of a
        probability) and mapped back, so they lie in the parameter space.

        Parameters
        ----------
        level : float, default=0.95
            Probability that an interval covers the truth, for many observations.

        Raises
        ------
        ValueError
            If `level` is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise ValueError(f"level must be between 0 and 1, such as 0.95, but it is {level!r}")
        result = {}
        for name, value in self.parameters.items():
            domain = self.family.domains[name]
            low, high = domain.bounds(value.shape)
            if name in self.fixed:
                result[name] = np.stack([value, value], axis=-1)
            else:
                result[name] = interval(value, self.standard_errors[name], low, high, level)
        return result

    # --- whether the family suits the data ----------------------------------------------------

    @cached_property
    def _goodness(self) -> GoodnessOfFit:
        return tested(self.family, self._data, self.n_parameters)

    def goodness_of_fit(self) -> GoodnessOfFit:
        """A hint whether the data could be of this family.

        Kolmogorov and Smirnov's test for continuous values, the chi-square test with pooled cells
        for integers. The parameters were fitted to the same data, so the p-value of the former is
        too high: a low one speaks against the family, a high one says little.

        Returns
        -------
        GoodnessOfFit
        """
        return self._goodness

    def plot(self, figure: Figure | None = None) -> Figure:
        """Draw the data with the fitted density, and their quantiles against its own.

        Parameters
        ----------
        figure : matplotlib.figure.Figure, optional
            Where to draw; by default a new figure.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        MissingDependencyError
            If matplotlib is not installed.
        ValueError
            If the family is not of one variable.
        """
        from .picture import drawn

        return drawn(self.family, self._data, figure)

    def __repr__(self) -> str:
        return shown(self)


@dataclass(frozen=True, eq=False)
class FromStatistics:
    """Log-likelihoods of members from statistics, without the rows."""

    statistics: Any

    def __call__(self, members: Family) -> FloatArray:
        return np.asarray(members.log_likelihood(self.statistics))


@dataclass(frozen=True, eq=False)
class OfColumn:
    """Log-likelihoods of one column, whose statistics are taken when they are first asked for."""

    member: Family
    data: Data

    @cached_property
    def _likelihood(self) -> Likelihood:
        return likelihood_of(self.member, self.data, self.data.statistics(self.member))

    def __call__(self, members: Family) -> FloatArray:
        return self._likelihood(members)


def likelihood_of(members: Family, data: Data, statistics: Any) -> Likelihood:
    """The log-likelihood of any members of a family on data.

    From the statistics where they suffice, which takes no pass over the rows.
    """
    if statistics is not None and members.log_likelihood(statistics) is not None:
        return FromStatistics(statistics)
    return data.log_likelihood


def likelihoods_of(members: Family, data: Data, statistics: Any) -> tuple[Likelihood, ...]:
    """One for each part that is independent of the others: a column of one variable, or all."""
    if not members.univariate or members.n_columns == 1:
        return (likelihood_of(members, data, statistics),)
    columns = range(members.n_columns)
    return tuple(OfColumn(members.column(j), data.column(j)) for j in columns)
