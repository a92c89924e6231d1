"""Multinomial distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from .base import FloatArray
from .domains import SIMPLEX
from .exponential_family import ExponentialFamily, Moments
from .special import least_log, shares_covariance
from .support import Support


@dataclass(frozen=True, eq=False, repr=False)
class Multinomial(ExponentialFamily):
    """Counts of D categories among trials: a row is one draw, such as the words of a text.

    log p(x) = log N! - sum_d log x_d! + sum_d x_d log p_d, with N the sum of the row.

    Parameters
    ----------
    p : array of shape (D,), optional
        Probabilities of the categories, of sum 1.
    n_trials : int, optional
        Sum of each row. Default: rows may have different sums, and each is taken as given; sampling
        and moments need the number.

    References
    ----------
    Johnson, Kotz, Balakrishnan (1997), Discrete Multivariate Distributions, chapter 35.

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import Multinomial
    >>> known = Multinomial([0.2, 0.3, 0.5], 10)
    >>> X = known.sample(1000, random_state=0)
    >>> known.log_density(X[:2]).round(2)
    array([-2.75, -2.46])
    >>> mle.fit(Multinomial(), X).family.formula(digits=3)
    'Multinomial([0.203, 0.303, 0.495])'
    """

    p: Any = None
    n_trials: Any = None

    domains: ClassVar = {"p": SIMPLEX}
    support: ClassVar = Support(0.0, integer=True)
    univariate: ClassVar = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_trials is None:
            return
        n_trials = np.asarray(self.n_trials, dtype=np.float64)
        if n_trials.ndim or not (n_trials >= 1 and np.floor(n_trials) == n_trials):
            raise ValueError(
                "Multinomial: n_trials must be an integer of at least 1, but it is "
                f"{self.n_trials!r}"
            )
        object.__setattr__(self, "n_trials", int(n_trials))

    def prepared(self, X: FloatArray) -> Self:
        """Itself, after a look at all rows.

        Raises
        ------
        ValueError
            If there is one column, a value is no count, or n_trials is given and not the sum of a
            row.
        """
        if X.shape[1] < 2:
            raise ValueError(
                "Multinomial is a distribution of rows of counts, one for each category, and X has "
                "one column. Give the counts of all categories, or use Binomial for one of two"
            )
        super().prepared(X)
        if self.n_trials is None:
            return self
        sums = X.sum(axis=1)
        if (wrong := np.flatnonzero(sums != self.n_trials)).size:
            row = int(wrong[0])
            raise ValueError(
                f"Multinomial: {wrong.size} of the rows do not have the sum n_trials = "
                f"{self.n_trials}; the first is row {row}, counted from 0, with {sums[row]:g}. "
                "Leave n_trials out where rows have different sums"
            )
        return self

    def inside(self, X: FloatArray) -> NDArray[np.bool_]:
        good = super().inside(X)
        return good if self.n_trials is None else good & (X.sum(axis=1) == self.n_trials)

    def possible(self, X: FloatArray) -> NDArray[np.bool_]:
        return self.inside(X) & ((X == 0) | (self.p[0] > 0)).all(axis=1)

    def sufficient(self, X: FloatArray) -> tuple[FloatArray, ...]:
        return (X,)

    def natural(self) -> tuple[FloatArray, ...]:
        return (least_log(self.p),)

    def log_partition(self) -> FloatArray:
        return np.zeros((self.n_members, 1))

    def log_base(self, X: FloatArray) -> FloatArray:
        logs = gammaln(X.sum(axis=1) + 1) - gammaln(X + 1).sum(axis=1)
        return np.asarray(logs[:, None])

    def from_means(self, *means: FloatArray) -> Self:
        totals = means[0].sum(axis=1, keepdims=True)
        # without any trial all p are as likely: equal ones
        equal = np.full_like(means[0], 1 / means[0].shape[1])
        return self.with_parameters(p=np.divide(means[0], totals, out=equal, where=totals != 0))

    def estimates_covariance(self, statistics: Moments, whole: bool = True) -> FloatArray:
        return shares_covariance(self.p[0], float(statistics.sums[0].sum()), whole)

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        if self.n_trials is None:
            raise ValueError(
                "Multinomial: the number of trials of a row is needed to sample it. Give it as "
                "n_trials"
            )
        p = self.p[0] / self.p[0].sum()
        return random_state.multinomial(self.n_trials, p, n).astype(np.float64)

    @property
    def mean(self) -> Any:
        """n_trials times p; NaN without n_trials."""
        return self._n * self.p

    @property
    def variance(self) -> Any:
        """Of each count; NaN without n_trials."""
        return self._n * self.p * (1 - self.p)

    @property
    def _n(self) -> float:
        return np.nan if self.n_trials is None else float(self.n_trials)
