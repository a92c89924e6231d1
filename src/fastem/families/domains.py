"""Where a parameter may lie, and the way from there to all real numbers and back.

The likelihood is maximised, accelerated and differentiated in unconstrained coordinates: no step
can leave the parameter space, and it is nearer to a parabola there.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

FloatArray = NDArray[Any]

_TINY = float(np.finfo(np.float64).tiny)


class Domain(ABC):
    """A set of values of one parameter.

    Arrays may have any number of axes before those of the parameter itself.
    """

    #: axes of one value: 0 for a number, 1 for a vector, 2 for a matrix
    ndim: int = 0

    @abstractmethod
    def contains(self, value: FloatArray) -> bool:
        """Whether every value lies here."""

    def exact(self, value: FloatArray) -> FloatArray:
        """Values that `contains` takes for rounded ones, made exact."""
        return value

    @abstractmethod
    def describe(self) -> str:
        """In words, to follow "must be"."""

    @abstractmethod
    def n_free(self, shape: tuple[int, ...]) -> int:
        """Free numbers in one value of this shape, () for a number."""

    @abstractmethod
    def bounds(self, shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
        """The least and the greatest that each number in a value of this shape can be."""

    @abstractmethod
    def to_free(self, value: FloatArray) -> FloatArray:
        """Values to free numbers, (..., n_free)."""

    @abstractmethod
    def from_free(self, free: FloatArray, shape: tuple[int, ...]) -> FloatArray:
        """Free numbers (..., n_free) to values of this shape (the axes before not counted)."""


@dataclass(frozen=True)
class Interval(Domain):
    """Numbers between two bounds.

    Parameters
    ----------
    low, high : float
        Infinite where there is no bound.
    low_closed, high_closed : bool
        Whether the bound itself is allowed: some likelihoods have their maximum there (a
        probability of 0). Free coordinates reach it in the limit only.
    """

    low: float = -np.inf
    high: float = np.inf
    low_closed: bool = False
    high_closed: bool = False

    def contains(self, value: FloatArray) -> bool:
        above = value >= self.low if self.low_closed else value > self.low
        below = value <= self.high if self.high_closed else value < self.high
        return bool((above & below & np.isfinite(value)).all())

    def describe(self) -> str:
        words = []
        if np.isfinite(self.low):
            words.append(f"{'at least' if self.low_closed else 'above'} {self.low:g}")
        if np.isfinite(self.high):
            words.append(f"{'at most' if self.high_closed else 'below'} {self.high:g}")
        return " and ".join(words) or "finite"

    def n_free(self, shape: tuple[int, ...]) -> int:
        return math.prod(shape)

    def bounds(self, shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
        return np.full(shape, self.low), np.full(shape, self.high)

    def to_free(self, value: FloatArray) -> FloatArray:
        lower, upper = np.isfinite(self.low), np.isfinite(self.high)
        if lower and upper:
            share = (value - self.low) / (self.high - self.low)
            return np.asarray(logit(np.clip(share, _TINY, 1 - np.finfo(float).eps / 2)))
        if lower:
            return np.log(np.maximum(value - self.low, _TINY))
        return -np.log(np.maximum(self.high - value, _TINY)) if upper else value

    def from_free(self, free: FloatArray, shape: tuple[int, ...] = ()) -> FloatArray:
        lower, upper = np.isfinite(self.low), np.isfinite(self.high)
        if lower and upper:
            return np.asarray(self.low + (self.high - self.low) * expit(free))
        if lower:
            return np.asarray(self.low + np.exp(free))
        return np.asarray(self.high - np.exp(-free)) if upper else free


@dataclass(frozen=True)
class Vector(Domain):
    """Vectors whose numbers all lie in one interval."""

    each: Interval = Interval()
    ndim = 1

    def contains(self, value: FloatArray) -> bool:
        return self.each.contains(value)

    def describe(self) -> str:
        return self.each.describe()

    def n_free(self, shape: tuple[int, ...]) -> int:
        return self.each.n_free(shape)

    def bounds(self, shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
        return self.each.bounds(shape)

    def to_free(self, value: FloatArray) -> FloatArray:
        return self.each.to_free(value)

    def from_free(self, free: FloatArray, shape: tuple[int, ...]) -> FloatArray:
        return self.each.from_free(free, shape)


@dataclass(frozen=True)
class Simplex(Domain):
    """Probabilities that sum to 1, in coordinates of log-ratios to the last of them.

    An entry of 0 stays far down (exp(-700)) in free coordinates.
    """

    ndim = 1

    def contains(self, value: FloatArray) -> bool:
        sums = value.sum(axis=-1)
        return bool((value >= 0).all() and np.allclose(sums, 1.0, rtol=0, atol=1e-5))

    def exact(self, value: FloatArray) -> FloatArray:
        sums = value.sum(axis=-1, keepdims=True)
        # what sums to 1 but for its last digits keeps them
        return value / np.where(np.abs(sums - 1) > 1e-12, sums, 1.0)

    def describe(self) -> str:
        return "at least 0 and sum to 1"

    def n_free(self, shape: tuple[int, ...]) -> int:
        return int(shape[-1]) - 1

    def bounds(self, shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
        return np.zeros(shape), np.ones(shape)

    def to_free(self, value: FloatArray) -> FloatArray:
        logs = np.log(np.maximum(value, _TINY))
        return np.asarray(logs[..., :-1] - logs[..., -1:])

    def from_free(self, free: FloatArray, shape: tuple[int, ...]) -> FloatArray:
        logs = np.concatenate([free, np.zeros((*free.shape[:-1], 1))], axis=-1)
        values = np.exp(logs - logs.max(axis=-1, keepdims=True))
        return np.asarray(values / values.sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class PositiveDefinite(Domain):
    """Symmetric positive definite matrices, by Cholesky factors with a logarithmic diagonal."""

    ndim = 2

    def contains(self, value: FloatArray) -> bool:
        if value.shape[-1] != value.shape[-2] or not np.isfinite(value).all():
            return False
        if not np.allclose(value, np.swapaxes(value, -1, -2), rtol=1e-8, atol=0):
            return False
        try:
            np.linalg.cholesky(value)
        except np.linalg.LinAlgError:
            return False
        return True

    def describe(self) -> str:
        return "symmetric and positive definite"

    def n_free(self, shape: tuple[int, ...]) -> int:
        return int(shape[-1] * (shape[-1] + 1) // 2)

    def bounds(self, shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
        diagonal = np.broadcast_to(np.eye(shape[-1], dtype=bool), shape)
        return np.where(diagonal, 0.0, -np.inf), np.full(shape, np.inf)

    def to_free(self, value: FloatArray) -> FloatArray:
        factor = np.linalg.cholesky(value)
        row, column = np.tril_indices(value.shape[-1])
        free = factor[..., row, column]
        return np.where(row == column, np.log(np.where(row == column, free, 1.0)), free)

    def from_free(self, free: FloatArray, shape: tuple[int, ...]) -> FloatArray:
        row, column = np.tril_indices(shape[-1])
        factor = np.zeros((*free.shape[:-1], *shape[-2:]))
        factor[..., row, column] = np.where(
            row == column, np.exp(np.where(row == column, free, 0.0)), free
        )
        return factor @ np.swapaxes(factor, -1, -2)


REAL = Interval()
POSITIVE = Interval(0.0)
NON_NEGATIVE = Interval(0.0, low_closed=True)
PROBABILITY = Interval(0.0, 1.0, low_closed=True, high_closed=True)
SIMPLEX = Simplex()
POSITIVE_DEFINITE = PositiveDefinite()
