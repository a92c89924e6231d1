"""Weights, means and scatter about them, in the shape of a covariance structure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..covariances import Covariance

FloatArray = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Scatter:
    """Sums of members that add up.

    Moments are about their own means, never raw, so that a large offset costs no digits.

    Parameters
    ----------
    structure : Covariance
    counts : array of shape (K,)
        Sums of the weights.
    means : array of shape (K, D)
    second : array
        Sums of w (x - mean)(x - mean)^T, in the shape of the structure: of all members together
        where they share a covariance.
    """

    structure: Covariance
    counts: FloatArray
    means: FloatArray
    second: FloatArray

    @classmethod
    def of(cls, structure: Covariance, X: FloatArray, weights: FloatArray) -> Scatter:
        """Of some rows (n, D), with weights (n, K)."""
        first = X[0]
        rows = X - first  # the mean of a constant column is then exact, and its scatter is 0
        counts = weights.sum(axis=0)
        shares = np.divide(weights, counts, out=np.zeros_like(weights), where=counts > 0)
        ways = shares.T @ rows
        parts = np.stack(
            [structure.scatter(rows - way, w) for way, w in zip(ways, weights.T, strict=True)]
        )
        second = parts if structure.own else parts.sum(axis=0)
        return cls(structure, counts, first + ways, second)

    def __add__(self, other: Scatter) -> Scatter:
        # Chan, Golub, LeVeque (1983), American Statistician 37, 242-247
        counts = self.counts + other.counts
        share = np.divide(other.counts, counts, out=np.zeros_like(counts), where=counts > 0)
        way = other.means - self.means
        return Scatter(
            self.structure,
            counts,
            self.means + share[:, None] * way,
            self.second + other.second + self.structure.moments(self.counts * share, way),
        )

    def covariances(self) -> FloatArray:
        """The scatter divided by the weights, in the shape of the structure."""
        n_features = self.means.shape[1]
        return self.structure.estimate(
            self.second,
            self.structure.divisors(self.counts, n_features),
            self.structure.diagonal(np.zeros(n_features)),
        )
