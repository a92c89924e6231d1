"""Binomial distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln

from .base import FloatArray
from .domains import PROBABILITY
from .exponential_family import ExponentialFamily
from .histogram import levels
from .special import least_log, least_log1p
from .support import Support


@dataclass(frozen=True, eq=False, repr=False)
class Binomial(ExponentialFamily):
    """Number of successes in a known number of trials.

    log p(x) = log C(n_trials, x) + x log(p) + (n_trials - x) log(1 - p), x = 0, ..., n_trials.

    Parameters
    ----------
    p : float or array of shape (D,), optional
        Probability of a success, from 0 to 1 inclusive.
    n_trials : int or array of shape (D,)
        Trials, at least 1: known, not fitted. `Binomial(n_trials=10)` is to be fitted.

    References
    ----------
    Johnson, Kemp, Kotz (2005), Univariate Discrete Distributions, chapter 3.

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import Binomial
    >>> known = Binomial(0.3, 10)
    >>> X = known.sample(1000, random_state=0)
    >>> known.log_density(X[:2]).round(2)
    array([-1.32, -1.61])
    >>> mle.fit(Binomial(n_trials=10), X).family.formula(digits=3)
    'Binomial(0.3, n_trials=10)'
    """

    p: Any = None
    n_trials: Any = None

    domains: ClassVar = {"p": PROBABILITY}
    support: ClassVar = Support(0.0, integer=True)
    moments_of: ClassVar = ("x",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_trials is None:
            if self.known:
                raise ValueError(f"Binomial: p without n_trials. {_REMEDY}")
            return
        n_trials = np.asarray(self.n_trials, dtype=np.float64)
        if n_trials.ndim > 1 or not ((n_trials >= 1) & (np.floor(n_trials) == n_trials)).all():
            raise ValueError(
                "Binomial: n_trials must be an integer of at least 1, or one a column, but it is "
                f"{self.n_trials!r}"
            )
        object.__setattr__(self, "n_trials", n_trials.astype(np.int64))
        if self.known and self.p.shape[-1:] != n_trials.shape:  # one number for all columns
            try:
                shape = np.broadcast_shapes(self.p.shape, n_trials.shape)
            except ValueError:
                raise ValueError(
                    f"Binomial: p is of {self.p.shape[-1]} columns, but n_trials of {len(n_trials)}"
                ) from None
            object.__setattr__(self, "p", np.broadcast_to(self.p, shape))

    def prepared(self, X: FloatArray) -> Self:
        """Itself, after a look at all rows.

        Raises
        ------
        ValueError
            If a value is no integer from 0 to n_trials, or n_trials is not given.
        """
        if self.n_trials is None:
            raise ValueError(f"Binomial: n_trials is needed to fit it. {_REMEDY}")
        if self.n_trials.ndim and len(self.n_trials) != X.shape[1]:
            raise ValueError(
                f"Binomial: n_trials are of {len(self.n_trials)} columns, but X has {X.shape[1]}"
            )
        super().prepared(X)
        greatest = X.max(axis=0, initial=0.0)
        if (greatest > self.n_trials).any():
            row, column = (int(i) for i in np.argwhere(self.n_trials < X)[0])
            n_trials = int(np.broadcast_to(self.n_trials, greatest.shape)[column])
            raise ValueError(
                f"Binomial: more successes than trials: {X[row, column]:g} of {n_trials} in row "
                f"{row} and column {column}, counted from 0. Give the n_trials that the data have"
            )
        return self

    def inside(self, X: FloatArray) -> NDArray[np.bool_]:
        return super().inside(X) & (self.n_trials >= X).all(axis=1)

    def possible(self, X: FloatArray) -> NDArray[np.bool_]:
        p, n = self.p[0], self.n_trials
        return self.inside(X) & (((X == 0) | (p > 0)) & ((n == X) | (p < 1))).all(axis=1)

    def sufficient(self, X: FloatArray) -> tuple[FloatArray, ...]:
        return (X,)

    def natural(self) -> tuple[FloatArray, ...]:
        return (least_log(self.p) - least_log1p(-self.p),)

    def log_partition(self) -> FloatArray:
        return -self.n_trials * least_log1p(-self.p)

    def log_base(self, X: FloatArray) -> FloatArray:
        columns = []
        for x, n in zip(X.T, np.broadcast_to(self.n_trials, X.shape[1]), strict=True):
            values, places = levels(x)  # once for each value, not for each row
            table = -betaln(values + 1, n - values + 1) - np.log1p(n)
            columns.append(table[places])
        return np.stack(columns, axis=1)

    def from_means(self, *means: FloatArray) -> Self:
        return self.with_parameters(p=np.clip(means[0] / self.n_trials, 0.0, 1.0))

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        shape = (n, self.n_columns)
        return random_state.binomial(self.n_trials, self.p[0], shape).astype(np.float64)

    @property
    def mean(self) -> Any:
        return self.n_trials * self.p

    @property
    def variance(self) -> Any:
        return self.n_trials * self.p * (1 - self.p)

    def scipy(self) -> Any:
        from scipy import stats

        return stats.binom(self.n_trials, *self._values())


_REMEDY = "Give the number of trials that each value is a count of: Binomial(n_trials=10)"
