"""EM in plain NumPy, written as one would who cares about speed: blocks of rows, products in BLAS.

This is a peer to be timed, not the reference of the tests. It does what can be done without a
compiler: a block is small enough that its temporaries stay in cache, no N x K array is kept, the
tied structure whitens a point once and not once a component, and the data are centred once, so
that the expanded squares of tied, diag and spherical lose few digits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

# Elements of the largest temporary of a block: 1 MiB of float64, the size of a usual L2 cache.
_BLOCK_ELEMENTS = 2**17


class Parameters(NamedTuple):
    """A mixture; the shape of ``covariances`` follows the structure."""

    weights: Array
    means: Array
    covariances: Array


class Fitted(NamedTuple):
    """The parameters after EM, and the mean log-likelihood under those before the last M-step."""

    parameters: Parameters
    log_likelihood: float


class Twin(ABC):
    """The EM steps for one covariance structure.

    Parameters
    ----------
    X : ndarray of shape (N, D)
        The data; a centred copy is kept.
    """

    def __init__(self, X: Array) -> None:
        self.shift = X.mean(axis=0)
        self.X = X - self.shift

    def begin(self, parameters: Parameters) -> None:
        """Prepare a pass over the data with new parameters."""
        self.means = parameters.means - self.shift
        n_features = self.means.shape[1]
        self.log_constant = np.log(parameters.weights) - 0.5 * n_features * np.log(2.0 * np.pi)
        self.factorise(parameters.covariances)

    def blocks(self) -> Iterator[Array]:
        """Walk over the rows, a block at a time."""
        # A product of fewer rows than D would spend its time on the other factor.
        size = max(64, self.means.shape[1], _BLOCK_ELEMENTS // self.row_width())
        for start in range(0, len(self.X), size):
            yield self.X[start : start + size]

    def iterate(self, parameters: Parameters, reg_covar: float) -> Fitted:
        """Run one iteration of EM."""
        self.begin(parameters)
        counts, first = np.zeros(len(self.means)), np.zeros(self.means.shape)
        log_likelihood = 0.0
        for block in self.blocks():
            responsibilities, block_log_likelihood = responsibilities_of(self.log_joint(block))
            log_likelihood += block_log_likelihood
            counts += responsibilities.sum(axis=0)
            first += responsibilities.T @ block
            self.add(block, responsibilities)
        counts += 10.0 * np.finfo(np.float64).eps
        means = first / counts[:, np.newaxis]
        covariances = self.covariances(counts, means, reg_covar)
        new = (counts / counts.sum(), means + self.shift, covariances)
        dtype = self.X.dtype
        return Fitted(Parameters(*(p.astype(dtype) for p in new)), log_likelihood / len(self.X))

    def row_width(self) -> int:
        """Return the elements a row takes in the largest temporary of a block."""
        return sum(self.means.shape)

    @abstractmethod
    def factorise(self, covariances: Array) -> None:
        """Compute what the E-step needs of the covariances, and clear the second moments."""

    @abstractmethod
    def log_joint(self, block: Array) -> Array:
        """Compute log weight_k + log N(x; mu_k, Sigma_k), shape (rows, K)."""

    @abstractmethod
    def add(self, block: Array, responsibilities: Array) -> None:
        """Add a block to the second moments."""

    @abstractmethod
    def covariances(self, counts: Array, means: Array, reg_covar: float) -> Array:
        """Compute the new covariances from the second moments, the counts and the new means."""


class Full(Twin):
    """One matrix a component: y = (x - mu) P with Sigma^-1 = P P^T, in one product for all k."""

    def row_width(self) -> int:
        return int(self.means.size)

    def factorise(self, covariances: Array) -> None:
        factors = _inverse_cholesky(covariances)  # (K, D, D)
        self.log_constant += _log_diagonal(factors)
        self.stacked = factors.transpose(1, 0, 2).reshape(self.means.shape[1], -1)  # (D, K D)
        self.offsets = np.einsum("ki,kij->kj", self.means, factors)
        self.second = np.zeros(covariances.shape)

    def log_joint(self, block: Array) -> Array:
        y = (block @ self.stacked).reshape(len(block), *self.means.shape)
        y -= self.offsets
        return np.asarray(self.log_constant - 0.5 * np.einsum("nkd,nkd->nk", y, y))

    def add(self, block: Array, responsibilities: Array) -> None:
        # About the previous means: once EM settles, nothing cancels in `covariances`.
        d = block - self.means[:, np.newaxis, :]
        weighted = d * responsibilities.T[:, :, np.newaxis]
        self.second += weighted.transpose(0, 2, 1) @ d

    def covariances(self, counts: Array, means: Array, reg_covar: float) -> Array:
        shifts = means - self.means
        covariances = self.second / counts[:, np.newaxis, np.newaxis]
        covariances -= shifts[:, :, np.newaxis] * shifts[:, np.newaxis, :]
        return np.asarray(covariances + reg_covar * np.eye(means.shape[1]))


class Tied(Twin):
    """One matrix for all: whiten a point once, then |y - m|^2 = |y|^2 - 2 y.m + |m|^2."""

    def __init__(self, X: Array) -> None:
        super().__init__(X)
        self.total: Array | None = None  # sum of x x^T, the same in every iteration

    def factorise(self, covariances: Array) -> None:
        self.factor = _inverse_cholesky(covariances)
        whitened = self.means @ self.factor
        self.log_constant += _log_diagonal(self.factor) - 0.5 * (whitened**2).sum(axis=1)
        self.whitened = whitened.T

    def log_joint(self, block: Array) -> Array:
        y = block @ self.factor
        log_joint = y @ self.whitened + self.log_constant
        log_joint -= 0.5 * np.einsum("nd,nd->n", y, y)[:, np.newaxis]
        return np.asarray(log_joint)

    def add(self, block: Array, responsibilities: Array) -> None:
        pass  # the responsibilities of a point sum to 1: `total` is all there is

    def covariances(self, counts: Array, means: Array, reg_covar: float) -> Array:
        if self.total is None:
            self.total = self.X.T @ self.X
        between = (means.T * counts) @ means
        return np.asarray((self.total - between) / counts.sum() + reg_covar * np.eye(len(between)))


class Diag(Twin):
    """One variance a component and feature: two products with the precisions, no loop over k."""

    def factorise(self, covariances: Array) -> None:
        precisions = 1.0 / covariances
        self.linear = (self.means * precisions).T
        self.quadratic = -0.5 * precisions.T
        self.log_constant += 0.5 * np.log(precisions).sum(axis=1)
        self.log_constant -= 0.5 * (self.means**2 * precisions).sum(axis=1)
        self.second = np.zeros(self.means.shape)

    def log_joint(self, block: Array) -> Array:
        log_joint = block @ self.linear
        log_joint += block**2 @ self.quadratic
        log_joint += self.log_constant
        return np.asarray(log_joint)

    def add(self, block: Array, responsibilities: Array) -> None:
        self.second += responsibilities.T @ block**2

    def covariances(self, counts: Array, means: Array, reg_covar: float) -> Array:
        return np.asarray(self.second / counts[:, np.newaxis] - means**2 + reg_covar)


class Spherical(Twin):
    """One variance a component: |x - m|^2 = |x|^2 - 2 x.m + |m|^2."""

    def factorise(self, covariances: Array) -> None:
        self.precisions = 1.0 / covariances
        self.linear = (self.means * self.precisions[:, np.newaxis]).T
        self.log_constant += 0.5 * self.means.shape[1] * np.log(self.precisions)
        self.log_constant -= 0.5 * (self.means**2).sum(axis=1) * self.precisions
        self.second = np.zeros(len(self.means))

    def log_joint(self, block: Array) -> Array:
        squares = np.einsum("nd,nd->n", block, block)
        log_joint = block @ self.linear
        log_joint -= 0.5 * squares[:, np.newaxis] * self.precisions
        log_joint += self.log_constant
        return np.asarray(log_joint)

    def add(self, block: Array, responsibilities: Array) -> None:
        self.second += responsibilities.T @ np.einsum("nd,nd->n", block, block)

    def covariances(self, counts: Array, means: Array, reg_covar: float) -> Array:
        central = self.second / counts - (means**2).sum(axis=1)
        return np.asarray(central / means.shape[1] + reg_covar)


TWINS: dict[str, type[Twin]] = {"full": Full, "tied": Tied, "diag": Diag, "spherical": Spherical}


def fit(
    X: Array, structure: str, start: Parameters, n_iter: int, reg_covar: float = 1e-6
) -> Fitted:
    """Run ``n_iter`` iterations of EM from ``start``."""
    twin, fitted = TWINS[structure](X), Fitted(start, -np.inf)
    for _ in range(n_iter):
        fitted = twin.iterate(fitted.parameters, reg_covar)
    return fitted


def predict(X: Array, structure: str, parameters: Parameters) -> NDArray[np.intp]:
    """Return the most probable component of each row."""
    twin = TWINS[structure](X)
    twin.begin(parameters)
    return np.concatenate([twin.log_joint(block).argmax(axis=1) for block in twin.blocks()])


def mean_log_likelihood(X: Array, structure: str, parameters: Parameters) -> float:
    """Return the mean log-likelihood of the rows, in float64."""
    twin = TWINS[structure](X.astype(np.float64))
    twin.begin(Parameters(*(np.asarray(p, np.float64) for p in parameters)))
    return sum(responsibilities_of(twin.log_joint(block))[1] for block in twin.blocks()) / len(X)


def responsibilities_of(log_joint: Array) -> tuple[Array, float]:
    """Turn log joint densities into responsibilities, in place, and sum the log-likelihood."""
    peak = log_joint.max(axis=1, keepdims=True)
    log_joint -= peak
    np.exp(log_joint, out=log_joint)
    total = log_joint.sum(axis=1, keepdims=True)
    log_joint /= total
    return log_joint, float((np.log(total) + peak).sum(dtype=np.float64))


def _inverse_cholesky(covariances: Array) -> Array:
    """Return P with Sigma^-1 = P P^T, for one matrix or a stack of them."""
    inverse = np.linalg.inv(np.linalg.cholesky(covariances))
    return np.ascontiguousarray(inverse.swapaxes(-1, -2))


def _log_diagonal(factors: Array) -> Array:
    """Return the log-determinant of each factor."""
    return np.asarray(np.log(np.diagonal(factors, axis1=-2, axis2=-1)).sum(axis=-1))
