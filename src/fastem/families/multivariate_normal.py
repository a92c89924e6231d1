"""Multivariate normal distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from scipy.linalg import block_diag

from ..covariances import COVARIANCES, Covariance
from .base import Family, FloatArray
from .domains import POSITIVE, POSITIVE_DEFINITE, Domain, Vector
from .positive_definite import factorised
from .scatter import Scatter
from .support import Support

# a covariance of one member by its axes: a variance, one for each column, or a matrix
_BY_AXES: tuple[Domain, ...] = (POSITIVE, Vector(POSITIVE), POSITIVE_DEFINITE)


@dataclass(frozen=True, eq=False, repr=False)
class MultivariateNormal(Family):
    """Multivariate normal distribution.

    `log p(x) = -(D log(2 pi) + log |covariance| + (x - mean)^T covariance^-1 (x - mean)) / 2`

    Parameters
    ----------
    mean : array of shape (D,), optional
    covariance : array of shape (D, D), optional
        Symmetric and positive definite.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        Structure of the covariance that is fitted. "tied": all members of a mixture, or all
        classes, share one.

    References
    ----------
    Mardia, Kent, Bibby (1979), Multivariate Analysis, section 4.2.

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import MultivariateNormal
    >>> known = MultivariateNormal([0, 1], [[1, 0.5], [0.5, 2]])
    >>> X = known.sample(1000, random_state=0)
    >>> known.log_density(X[:2]).round(2)
    array([-3.75, -5.11])
    >>> mle.fit(MultivariateNormal(), X).family.formula(digits=3)
    'MultivariateNormal([-0.0217, 0.976], [[0.949, 0.457], [0.457, 1.91]])'
    """

    mean: Any = None
    covariance: Any = None
    covariance_type: str = "full"

    domains: ClassVar = {"mean": Vector(), "covariance": POSITIVE_DEFINITE}
    support: ClassVar = Support()
    univariate: ClassVar = False

    def __post_init__(self) -> None:
        if self.covariance_type not in COVARIANCES:
            raise ValueError(
                "MultivariateNormal: covariance_type must be one of "
                f"{', '.join(COVARIANCES)}, but it is {self.covariance_type!r}"
            )
        super().__post_init__()
        if not self.known:
            return
        D = self.mean.shape[-1]
        if self.covariance.shape != (*self.mean.shape, D):
            raise ValueError(
                f"MultivariateNormal: a mean of shape {self.mean.shape} needs a covariance of "
                f"shape {(*self.mean.shape, D)}, but it has {self.covariance.shape}"
            )
        matrices = self.covariance.reshape(-1, D, D)
        again = self.structure.matrices(self.structure.compact(matrices), len(matrices), D)
        if not np.allclose(again, matrices, rtol=1e-8, atol=0):
            raise ValueError(
                f"MultivariateNormal: the covariance is not {self.covariance_type!r}. Leave "
                "covariance_type out for one of any kind"
            )

    @property
    def structure(self) -> Covariance:
        """Of the covariances."""
        return COVARIANCES[self.covariance_type]

    # what mixtures of normals are made of, beside the structure
    @property
    def covariances(self) -> FloatArray:
        """Those of the members in the shape of their structure, as scikit-learn's."""
        return self.structure.compact(self.covariance)

    def from_normal(self, means: FloatArray, covariances: FloatArray) -> Self:
        """Members with these means, and covariances in the shape of their structure."""
        matrices = np.array(self.structure.matrices(covariances, *means.shape))
        return self.with_parameters(mean=means, covariance=matrices)

    def mixture_model(self, weights: FloatArray) -> Any:
        from .normal_mixtures import NormalMixture

        return NormalMixture(weights, (self,))

    def log_densities(self, X: FloatArray) -> FloatArray:
        structure, D = self.structure, self.n_columns
        factors = structure.precisions_cholesky(self.covariances)
        # half the log-determinants of the precisions, (K,) or (1,)
        constants = structure.log_determinants(factors, D) - 0.5 * D * math.log(2 * math.pi)
        result = np.empty((len(X), self.n_members))
        for k, mean in enumerate(self.mean):
            factor = factors[k : k + 1] if structure.own else factors
            y = structure.whiten((X - mean)[None], factor)[0]
            result[:, k] = -0.5 * np.einsum("ij,ij->i", y, y)
        return result + constants

    def accumulate(self, X: FloatArray, responsibilities: FloatArray | None) -> Scatter:
        weights = np.ones((len(X), 1)) if responsibilities is None else responsibilities
        return Scatter.of(self.structure, X, weights)

    def maximise(self, statistics: Scatter) -> Self:
        covariances = statistics.covariances()
        factorised(self, self.structure, covariances)
        return self.from_normal(statistics.means, covariances)

    def log_likelihood(self, statistics: Scatter) -> FloatArray:
        structure, D, counts = self.structure, self.n_columns, statistics.counts
        result = np.empty(self.n_members)
        for k, (mean, matrix) in enumerate(zip(self.mean, self.covariance, strict=True)):
            second = statistics.second + structure.moments(counts, statistics.means - mean)
            # a sum over the columns, in spherical ones: their mean has the same trace
            shared = second / structure.features_pooled(D)
            scatter = structure.matrices(shared, 1, D)[0]
            logs = D * math.log(2 * math.pi) + np.linalg.slogdet(matrix)[1]
            result[k] = -0.5 * (counts[0] * logs + np.trace(np.linalg.solve(matrix, scatter)))
        return result

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        noise = random_state.standard_normal((n, self.n_columns))
        return self.mean[0] + noise @ np.linalg.cholesky(self.covariance[0]).T

    @property
    def variance(self) -> Any:
        return np.array(self.covariance.diagonal(0, -2, -1))

    def estimates_covariance(self, statistics: Scatter, whole: bool = True) -> FloatArray:
        """Of the mean S / n, and independent of it (Mardia, Kent, Bibby, section 4.2) of S."""
        weight, matrix = float(statistics.counts[0]), self.covariance[0]
        of_matrix = self.structure.estimates_covariance(matrix, weight, whole)
        if not whole:
            return np.concatenate([matrix.diagonal() / weight, of_matrix])
        return block_diag(matrix / weight, of_matrix)

    # --- free coordinates: the means, and what is free in a covariance of this structure --------

    def _shapes(self, name: str) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        lead, value, size = super()._shapes(name)
        return lead, value, size if len(value) == 1 else self.structure.n_parameters(1, value[0])

    @property
    def n_parameters_together(self) -> int:
        K, D = self.n_members, self.n_columns
        return K * D + self.structure.n_parameters(K, D)

    @property
    def _one(self) -> tuple[Domain, tuple[int, ...]]:
        """Domain and shape of the covariance of one member."""
        shape = self.structure.shape(1, self.n_columns)[1 if self.structure.own else 0 :]
        return _BY_AXES[len(shape)], shape

    def unconstrained(self) -> FloatArray:
        K = self.n_members
        domain, shape = self._one
        covariances = np.broadcast_to(self.covariances, (K, *shape))
        return np.concatenate([self.mean, domain.to_free(covariances).reshape(K, -1)], axis=1)

    def from_unconstrained(self, free: FloatArray) -> Self:
        """Members with other parameters; a covariance that they share is that of the first."""
        D = self.n_columns
        domain, shape = self._one
        part = free[:, D:].reshape(len(free), *(-1,) * bool(shape))
        covariances = domain.from_free(part, shape)
        if not self.structure.own:
            covariances = covariances[0]
        return self.from_normal(free[:, :D], covariances)
