"""Categorical distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from .base import FloatArray
from .domains import SIMPLEX
from .exponential_family import ExponentialFamily, Moments
from .special import least_log, shares_covariance
from .support import Support

_MOST_CATEGORIES = 100_000


@dataclass(frozen=True, eq=False, repr=False)
class Categorical(ExponentialFamily):
    """One of C categories, in codes 0, ..., C - 1: log p(x) = log p[x].

    `np.unique(values, return_inverse=True)` makes codes of text.

    D columns are D independent variables; a mixture of those is a latent class model.

    Parameters
    ----------
    p : array of shape (C,), or (D, C), optional
        Probabilities, each row of sum 1. Rows may have different lengths, as in
        `Categorical([[0.4, 0.6], [0.1, 0.2, 0.7]])`: they are filled up with zeros.
    n_categories : int or array of shape (D,), optional
        Numbers of categories. Default: as many as `p` has, or to be fitted, the greatest code of
        each column and 1. Entries of `p` beyond are 0, and no parameters.

    References
    ----------
    Agresti (2013), Categorical Data Analysis, chapter 1; Lazarsfeld, Henry (1968), Latent Structure
    Analysis.

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import Categorical
    >>> known = Categorical([0.2, 0.3, 0.5])
    >>> X = known.sample(1000, random_state=0)
    >>> known.log_density(X[:2]).round(2)
    array([-0.69, -0.69])
    >>> mle.fit(Categorical(), X).family.formula(digits=3)
    'Categorical([0.2, 0.317, 0.483])'
    """

    p: Any = None
    n_categories: Any = None

    domains: ClassVar = {"p": SIMPLEX}
    support: ClassVar = Support(0.0, integer=True)

    def __post_init__(self) -> None:
        given = self.p
        if isinstance(given, list | tuple) and given and np.ndim(given[0]):
            lengths = [len(row) for row in given]
            if len(set(lengths)) > 1 and self.n_categories is None:
                object.__setattr__(self, "n_categories", lengths)
            padded = [[*row, *[0.0] * (max(lengths) - len(row))] for row in given]
            object.__setattr__(self, "p", padded)
        super().__post_init__()
        n = self.n_categories
        if n is not None:
            n = np.asarray(n, dtype=np.float64)
            if n.ndim > 1 or not ((n >= 1) & (np.floor(n) == n)).all():
                raise ValueError(
                    "Categorical: n_categories must be an integer of at least 1, or one a column, "
                    f"but it is {self.n_categories!r}"
                )
            n = n.astype(np.int64)
        if self.known:
            *columns, most = self.p.shape[-2:]
            n = np.broadcast_to(most if n is None else n, columns or (1,))
            beyond = np.arange(most) >= n[:, None]
            if n.max() > most or (self.p.reshape(-1, *beyond.shape)[:, beyond] != 0).any():
                raise ValueError(
                    f"Categorical: n_categories is {n.tolist()}, but p has {most} entries a "
                    "column, and they must be 0 beyond the categories of a column"
                )
        object.__setattr__(self, "n_categories", n)

    @property
    def _constants_shown(self) -> dict[str, str]:
        told = self.known and bool((self.n_categories == self.p.shape[-1]).all())
        return {} if told else super()._constants_shown

    def prepared(self, X: FloatArray) -> Self:
        """With the numbers of categories.

        Raises
        ------
        ValueError
            If a value is no code of a category.
        """
        super().prepared(X)
        greatest = X.max(axis=0, initial=0.0)
        if self.n_categories is None:
            if (greatest >= _MOST_CATEGORIES).any():
                column = int(greatest.argmax())
                raise ValueError(
                    f"Categorical: column {column} (counted from 0) has the code "
                    f"{greatest[column]:g}, but codes are 0, 1, ..., C - 1 for C categories. Number"
                    " the categories anew, or give n_categories if there are so many"
                )
            sizes = greatest.astype(np.int64) + 1
        elif self.n_categories.ndim and len(self.n_categories) not in (1, X.shape[1]):
            raise ValueError(
                f"Categorical: n_categories are of {len(self.n_categories)} columns, but X has "
                f"{X.shape[1]}"
            )
        else:
            sizes = np.array(np.broadcast_to(self.n_categories, X.shape[1]))
        if (greatest >= sizes).any():
            row, column = (int(i) for i in np.argwhere(sizes <= X)[0])
            raise ValueError(
                f"Categorical: the code {X[row, column]:g} in row {row} and column {column}, "
                f"counted from 0, is none of {sizes[column]} categories, which have the codes 0 to "
                f"{sizes[column] - 1}. Give a greater n_categories, or remove the row"
            )
        other = self.with_parameters()
        object.__setattr__(other, "n_categories", sizes)
        return other

    def inside(self, X: FloatArray) -> NDArray[np.bool_]:
        return super().inside(X) & (self.n_categories > X).all(axis=1)

    def possible(self, X: FloatArray) -> NDArray[np.bool_]:
        result = self.inside(X)
        codes = X[result].astype(np.intp)
        result[result] = (self.p[0][np.arange(X.shape[1]), codes] > 0).all(axis=1)
        return result

    # --- as an exponential family: T(x) tells for each category of each column whether it is x ---

    @property
    def _own(self) -> NDArray[np.bool_]:
        """Which entries of p are categories of their column, (D, C)."""
        most = self.p.shape[-1] if self.known else self.n_categories.max()
        return np.arange(most) < self.n_categories[:, None]

    def width(self, n_columns: int) -> int:
        return int(self.n_categories.sum())

    def split(self, means: FloatArray) -> tuple[FloatArray, ...]:
        return (means,)

    def sufficient(self, X: FloatArray) -> tuple[FloatArray, ...]:
        columns, codes = np.nonzero(self._own)
        return ((X[:, columns] == codes).astype(np.float64),)

    def natural(self) -> tuple[FloatArray, ...]:
        return (least_log(self.p[:, self._own]),)

    def log_partition(self) -> FloatArray:
        return np.zeros((self.n_members, 1))

    def from_means(self, *means: FloatArray) -> Self:
        own = self._own
        p = np.zeros((len(means[0]), *own.shape))
        p[:, own] = means[0]
        return self.with_parameters(p=p / p.sum(axis=2, keepdims=True))

    def log_densities(self, X: FloatArray) -> FloatArray:
        result = np.zeros((len(X), self.n_members))
        tables = least_log(self.p)
        for d, codes in enumerate(X.T.astype(np.intp)):
            result += tables[:, d].T[codes]
        return result

    def accumulate(self, X: FloatArray, responsibilities: FloatArray | None) -> Moments:
        if responsibilities is None:
            counts, weights = np.array([float(len(X))]), [None]
        else:
            counts, weights = (
                responsibilities.sum(axis=0),
                [*np.ascontiguousarray(responsibilities.T)],
            )
        sums = [
            [np.bincount(codes, weight, size) for weight in weights]
            for codes, size in zip(X.T.astype(np.intp), self.n_categories, strict=True)
        ]
        return Moments(
            counts, np.concatenate(sums, axis=1).astype(np.float64), np.zeros(len(counts))
        )

    # --- free coordinates: log-ratios to the first category, of those that are there -----------

    def _shapes(self, name: str) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        lead, value, _ = super()._shapes(name)
        return lead, value, int((self.n_categories - 1).sum())

    def unconstrained(self) -> FloatArray:
        logs = least_log(self.p)
        return np.asarray((logs - logs[:, :, :1])[:, :, 1:][:, self._own[:, 1:]])

    def from_unconstrained(self, free: FloatArray) -> Self:
        own = self._own
        logs = np.full((len(free), *own.shape), -np.inf)
        logs[:, :, 0] = 0.0
        logs[:, :, 1:][:, own[:, 1:]] = free
        p = np.exp(logs - logs.max(axis=2, keepdims=True))
        return self.with_parameters(p=p / p.sum(axis=2, keepdims=True))

    def estimates_covariance(self, statistics: Moments, whole: bool = True) -> FloatArray:
        n = int(self.n_categories[0])
        size = self.p.shape[2]  # what is beyond the categories is 0, and so is its error
        result = np.zeros((size, size) if whole else size)
        if n > 1:
            part = shares_covariance(self.p[0, 0, :n], statistics.counts[0], whole)
            result[(slice(n),) * part.ndim] = part
        return result

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        columns = [random_state.choice(len(p), n, p=p / p.sum()) for p in self.p[0]]
        return np.stack(columns, axis=1).astype(np.float64)

    @property
    def mean(self) -> Any:
        """Expectation of the codes."""
        return self.p @ np.arange(self.p.shape[-1])

    @property
    def variance(self) -> Any:
        """Variance of the codes."""
        codes = np.arange(self.p.shape[-1])
        return (self.p * np.square(codes - np.asarray(self.mean)[..., None])).sum(axis=-1)
