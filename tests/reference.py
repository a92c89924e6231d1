"""The plain-NumPy twin of fastem's Gaussian mixtures: slow, float64, and obviously right.

Every formula is written out as in a textbook, one component at a time, so that a reader can check
it by eye; the compiled kernels are then checked against it. Nothing here imports fastem.

Notation: N points, D features, K components; ``X`` is (N, D), ``weights`` (K,), ``means`` (K, D).
The shape of ``covariances`` follows the structure, as in scikit-learn:

=========  ============  ==============================================
structure  shape         meaning
=========  ============  ==============================================
full       (K, D, D)     one matrix a component
tied       (D, D)        one matrix shared by all components
diag       (K, D)        one variance a component and feature
spherical  (K,)          one variance a component
=========  ============  ==============================================

Sample weights multiply the responsibilities wherever those are summed, as if a row of weight 2
stood there twice; ``None`` means a weight of 1 for every row.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.special import logsumexp

Array = NDArray[np.floating[Any]]


class Expectation(NamedTuple):
    """What the E-step returns."""

    responsibilities: Array  # (N, K), each row sums to 1, sample weights not included
    log_likelihood: Array  # (N,), log p(x_n), sample weights not included


class Statistics(NamedTuple):
    """Weighted sums over the points, the moments being about a given point for each component."""

    counts: Array  # (K,)     sum_n w_n r_nk
    first: Array  # (K, D)   sum_n w_n r_nk (x_n - about_k)
    second: Array  # by structure: sum_n w_n r_nk (x_n - about_k)(x_n - about_k)^T, see `statistics`


class Parameters(NamedTuple):
    """What the M-step returns."""

    weights: Array
    means: Array
    covariances: Array


class Iteration(NamedTuple):
    """One iteration of EM.

    ``log_likelihood`` is the (weighted) mean log-likelihood under the parameters *before* the
    iteration's M-step, as in scikit-learn's ``lower_bounds_``; the parameters are those after it.
    """

    weights: Array
    means: Array
    covariances: Array
    log_likelihood: float


class Prior(NamedTuple):
    """The conjugate prior of Fraley and Raftery (2007), and a Dirichlet prior of the weights.

    weights ~ Dirichlet(alpha), mean_k ~ N(mean, covariance_k / kappa), and covariance_k is inverse
    Wishart with nu degrees of freedom; ``scale`` has the shape of one covariance of the structure.
    """

    alpha: float
    mean: Array
    kappa: float
    nu: float
    scale: Array | float


class Structure(ABC):
    """A covariance structure: EM written once, for matrices of any structure."""

    # ------------------------------------------------------------------ what a structure supplies

    @abstractmethod
    def as_matrices(self, covariances: Array, n_components: int, n_features: int) -> Array:
        """Write the covariances out as full matrices, (K, D, D)."""

    @abstractmethod
    def from_scatters(self, scatters: Array) -> Array:
        """Reduce one scatter matrix a component, (K, D, D), to the structure's second moments."""

    @abstractmethod
    def covariances_from(self, second: Array, counts: Array, n_features: int) -> Array:
        """Divide central second moments by the counts."""

    @abstractmethod
    def most_probable(self, sums: Array, counts: Array, n_features: int, nu: float) -> Array:
        """Divide scale + scatters by what the mode of the posterior has there (see `Prior`)."""

    @abstractmethod
    def add_to_diagonal(self, covariances: Array, value: float | Array) -> Array:
        """Return the covariances with ``value`` added to every variance."""

    @abstractmethod
    def precisions(self, covariances: Array) -> Array:
        """Return the inverse covariances, in the structure's own shape."""

    @abstractmethod
    def n_covariance_parameters(self, n_components: int, n_features: int) -> int:
        """Count the free parameters of the covariances."""

    # ------------------------------------------------------------------ the same for all of them

    def log_density(self, X: Array, means: Array, covariances: Array) -> Array:
        """Compute log N(x_n; mu_k, Sigma_k), shape (N, K).

        log N = -(D log 2 pi + log |Sigma| + d^T Sigma^-1 d) / 2 with d = x - mu. With
        Sigma = L L^T, the quadratic form is |L^-1 d|^2 and log |Sigma| = 2 sum log L_ii.
        """
        X, means = np.asarray(X, np.float64), np.asarray(means, np.float64)
        n_components, n_features = means.shape
        matrices = self.as_matrices(np.asarray(covariances, np.float64), n_components, n_features)
        result = np.empty((len(X), n_components))
        for k in range(n_components):
            factor = cholesky(matrices[k], lower=True)
            whitened = solve_triangular(factor, (X - means[k]).T, lower=True)
            log_determinant = 2.0 * np.log(np.diag(factor)).sum()
            distances = (whitened**2).sum(axis=0)
            result[:, k] = -0.5 * (n_features * np.log(2.0 * np.pi) + log_determinant + distances)
        return result

    def e_step(
        self,
        X: Array,
        weights: Array,
        means: Array,
        covariances: Array,
        sample_weight: Array | None = None,
    ) -> Expectation:
        """Compute the responsibilities (N, K) and the log-likelihood of each row (N,).

        Both are properties of a row, whatever it weighs: ``sample_weight`` is taken only so that
        all steps can be called alike, and changes nothing.
        """
        with np.errstate(divide="ignore"):  # a component of weight 0: exp(-inf) = 0
            log_joint = self.log_density(X, means, covariances) + np.log(weights)
        log_likelihood = logsumexp(log_joint, axis=1)
        return Expectation(np.exp(log_joint - log_likelihood[:, np.newaxis]), log_likelihood)

    def statistics(
        self,
        X: Array,
        responsibilities: Array,
        about: Array,
        sample_weight: Array | None = None,
    ) -> Statistics:
        """Compute counts (K,), first moments (K, D) and second moments about ``about`` (K, D).

        The second moments are (K, D, D) for full; their sum over components (D, D) for tied; their
        diagonals (K, D) for diag; their traces (K,) for spherical.
        """
        X, about = np.asarray(X, np.float64), np.asarray(about, np.float64)
        weighted = _weighted(responsibilities, sample_weight)
        n_components, n_features = about.shape
        first = np.empty((n_components, n_features))
        scatters = np.empty((n_components, n_features, n_features))
        for k in range(n_components):
            d = X - about[k]
            r = weighted[:, k, np.newaxis]
            first[k] = (r * d).sum(axis=0)
            scatters[k] = (r * d).T @ d
        return Statistics(weighted.sum(axis=0), first, self.from_scatters(scatters))

    def maximise(
        self,
        X: Array,
        responsibilities: Array,
        sample_weight: Array | None = None,
        reg_covar: float | Array = 1e-6,
        prior: Prior | None = None,
    ) -> Parameters:
        """Compute the weighted maximum-likelihood parameters given the responsibilities.

        As scikit-learn's ``_estimate_gaussian_parameters``: the counts are padded by 10 eps, the
        weights then sum to 1, and ``reg_covar`` is added to every variance. Unlike there, no
        covariance is a difference E[x^2] - E[x]^2: moments are taken about the new means.
        ``reg_covar`` may be one number for each feature. With a prior: the most probable parameters
        instead, see `Prior`.
        """
        X = np.asarray(X, np.float64)
        weighted = _weighted(responsibilities, sample_weight)
        totals = weighted.sum(axis=0)
        counts = totals + 10.0 * np.finfo(np.float64).eps
        # sum r x / n_k with the column means taken out of the sum, where they would cost digits
        shift = X.mean(axis=0)
        means = (weighted.T @ (X - shift)) / counts[:, np.newaxis]
        means += shift * (totals / counts)[:, np.newaxis]
        K, D = means.shape
        if prior is None:
            second = self.statistics(X, responsibilities, means, sample_weight).second
            covariances = self.covariances_from(second, counts, D)
            covariances = self.add_to_diagonal(covariances, reg_covar)
            return Parameters(counts / counts.sum(), means, covariances)
        scatters = np.empty((K, D, D))
        for k in range(K):
            d, way = X - means[k], means[k] - prior.mean
            shrunk = prior.kappa * counts[k] / (prior.kappa + counts[k])
            scatters[k] = (weighted[:, k, np.newaxis] * d).T @ d + shrunk * np.outer(way, way)
        sums = prior.scale + self.from_scatters(scatters)
        covariances = self.most_probable(sums, counts, D, prior.nu)
        shares = counts + prior.alpha - 1
        means = (counts[:, np.newaxis] * means + prior.kappa * prior.mean) / (
            counts[:, np.newaxis] + prior.kappa
        )
        return Parameters(
            shares / shares.sum(), means, self.add_to_diagonal(covariances, reg_covar)
        )

    def fit(
        self,
        X: Array,
        weights: Array,
        means: Array,
        covariances: Array,
        n_iter: int,
        sample_weight: Array | None = None,
        reg_covar: float = 1e-6,
    ) -> list[Iteration]:
        """Run ``n_iter`` iterations of EM from the given parameters and return all of them."""
        history: list[Iteration] = []
        parameters = Parameters(weights, means, covariances)
        for _ in range(n_iter):
            responsibilities, log_likelihood = self.e_step(X, *parameters)
            parameters = self.maximise(X, responsibilities, sample_weight, reg_covar)
            mean = float(np.average(log_likelihood, weights=sample_weight))
            history.append(Iteration(*parameters, mean))
        return history

    def n_parameters(self, n_components: int, n_features: int) -> int:
        """Count the free parameters: covariances, means, and weights that sum to 1."""
        covariances = self.n_covariance_parameters(n_components, n_features)
        return covariances + n_components * n_features + n_components - 1


class Full(Structure):
    """One matrix a component."""

    def as_matrices(self, covariances: Array, n_components: int, n_features: int) -> Array:
        return covariances

    def from_scatters(self, scatters: Array) -> Array:
        return scatters

    def covariances_from(self, second: Array, counts: Array, n_features: int) -> Array:
        return second / counts[:, np.newaxis, np.newaxis]

    def most_probable(self, sums: Array, counts: Array, n_features: int, nu: float) -> Array:
        return sums / (counts + nu + n_features + 2)[:, np.newaxis, np.newaxis]

    def add_to_diagonal(self, covariances: Array, value: float | Array) -> Array:
        return covariances + value * np.eye(covariances.shape[-1])

    def precisions(self, covariances: Array) -> Array:
        return np.linalg.inv(covariances)

    def n_covariance_parameters(self, n_components: int, n_features: int) -> int:
        return n_components * n_features * (n_features + 1) // 2


class Tied(Structure):
    """One matrix shared by all components."""

    def as_matrices(self, covariances: Array, n_components: int, n_features: int) -> Array:
        return np.broadcast_to(covariances, (n_components, n_features, n_features))

    def from_scatters(self, scatters: Array) -> Array:
        return np.asarray(scatters.sum(axis=0))

    def covariances_from(self, second: Array, counts: Array, n_features: int) -> Array:
        return np.asarray(second / counts.sum())

    def most_probable(self, sums: Array, counts: Array, n_features: int, nu: float) -> Array:
        return np.asarray(sums / (counts.sum() + nu + n_features + len(counts) + 1))

    def add_to_diagonal(self, covariances: Array, value: float | Array) -> Array:
        return np.asarray(covariances + value * np.eye(len(covariances)))

    def precisions(self, covariances: Array) -> Array:
        return np.linalg.inv(covariances)

    def n_covariance_parameters(self, n_components: int, n_features: int) -> int:
        return n_features * (n_features + 1) // 2


class Diag(Structure):
    """One variance a component and feature."""

    def as_matrices(self, covariances: Array, n_components: int, n_features: int) -> Array:
        return np.stack([np.diag(variances) for variances in covariances])

    def from_scatters(self, scatters: Array) -> Array:
        return np.stack([np.diag(scatter) for scatter in scatters])

    def covariances_from(self, second: Array, counts: Array, n_features: int) -> Array:
        return second / counts[:, np.newaxis]

    def most_probable(self, sums: Array, counts: Array, n_features: int, nu: float) -> Array:
        return sums / (counts + nu + 3)[:, np.newaxis]

    def add_to_diagonal(self, covariances: Array, value: float | Array) -> Array:
        return covariances + value

    def precisions(self, covariances: Array) -> Array:
        return 1.0 / covariances

    def n_covariance_parameters(self, n_components: int, n_features: int) -> int:
        return n_components * n_features


class Spherical(Structure):
    """One variance a component: the mean of the variances of the diagonal structure."""

    def as_matrices(self, covariances: Array, n_components: int, n_features: int) -> Array:
        return np.stack([variance * np.eye(n_features) for variance in covariances])

    def from_scatters(self, scatters: Array) -> Array:
        return np.array([np.trace(scatter) for scatter in scatters], dtype=np.float64)

    def covariances_from(self, second: Array, counts: Array, n_features: int) -> Array:
        return second / (counts * n_features)

    def most_probable(self, sums: Array, counts: Array, n_features: int, nu: float) -> Array:
        return sums / (counts * n_features + nu + n_features + 2)

    def add_to_diagonal(self, covariances: Array, value: float | Array) -> Array:
        return covariances + np.mean(value)

    def precisions(self, covariances: Array) -> Array:
        return 1.0 / covariances

    def n_covariance_parameters(self, n_components: int, n_features: int) -> int:
        return n_components


class ExponentialFamily:
    """A mixture of one exponential family, given the statistics T(x) of the rows, (N, D).

    log p_k(x) = T(x) . eta_k - A(eta_k) + log h(x), where the base measure h is the same for all
    components and left out here: it changes no responsibility. ``constants`` (K,) are
    log weights - A(eta), ``eta`` is (K, D).
    """

    def e_step(self, T: Array, constants: Array, eta: Array) -> Expectation:
        """Compute the responsibilities (N, K) and the log-likelihood of each row (N,)."""
        log_joint = np.empty((len(T), len(constants)))
        for k in range(len(constants)):
            log_joint[:, k] = (T * eta[k]).sum(axis=1) + constants[k]
        log_likelihood = logsumexp(log_joint, axis=1)
        return Expectation(np.exp(log_joint - log_likelihood[:, np.newaxis]), log_likelihood)

    def statistics(
        self,
        T: Array,
        responsibilities: Array,
        about: Array,
        sample_weight: Array | None = None,
    ) -> Statistics:
        """Compute counts (K,) and first moments (K, D) about ``about`` (K, D); no second ones."""
        weighted = _weighted(responsibilities, sample_weight)
        first = np.empty(about.shape)
        for k in range(len(about)):
            first[k] = (weighted[:, k, np.newaxis] * (T - about[k])).sum(axis=0)
        return Statistics(weighted.sum(axis=0), first, np.empty((len(about), 0)))


STRUCTURES: dict[str, Structure] = {
    "full": Full(),
    "tied": Tied(),
    "diag": Diag(),
    "spherical": Spherical(),
}


def _weighted(responsibilities: Array, sample_weight: Array | None) -> Array:
    """Multiply each row of the responsibilities by the weight of its sample."""
    responsibilities = np.asarray(responsibilities, np.float64)
    if sample_weight is None:
        return responsibilities
    return responsibilities * np.asarray(sample_weight, np.float64)[:, np.newaxis]
