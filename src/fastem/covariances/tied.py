"""All components share one covariance matrix, (n_features, n_features)."""

from __future__ import annotations

import numpy as np

from .. import _kernels
from .._kernels.rows import Workspace
from .base import (
    Covariance,
    FloatArray,
    factor_covariance_matrices,
    factor_precision_matrix,
    ill_defined,
)

# Within / total variance below which the pooled matrix is summed from differences to the means:
# taking the scatter between the means away from the total would lose more than ten digits of it.
# (float32: one that would leave fewer than five.)
_CANCELLATION = {"float64": 1e-6, "float32": 1e-2}


class Tied(Covariance):
    name = "tied"
    kernel = _kernels.STRUCTURES["Tied"]

    def shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        return (n_features, n_features)

    def n_parameters(self, n_components: int, n_features: int) -> int:
        return n_features * (n_features + 1) // 2

    def accumulate(
        self,
        workspace: Workspace,
        parameters: dict[str, FloatArray],
        labels: FloatArray | None = None,
        responsibilities: FloatArray | None = None,
        about: FloatArray | None = None,
    ) -> tuple[FloatArray, FloatArray, FloatArray, float]:
        """The second moments, pooled over the components, are those of the whole data less what
        lies between the means:

            sum r (x - mu)(x - mu)^T = sum w x x^T - sum_k (n mu mu^T + mu s^T + s mu^T)

        with s the first moments about mu. The whole costs one pass a fit.
        """
        if labels is not None or responsibilities is not None:
            # known responsibilities need not sum to the weights, so nothing can be taken away
            return self._pooled(workspace, parameters, labels, responsibilities, about)
        counts, first, _, log_likelihood = workspace.accumulate(parameters, about=about)
        means, total = parameters["means"] if about is None else about, workspace.rows.scatter
        cross = means.T @ first
        second = total - (means.T * counts) @ means - cross - cross.T
        smallest = _CANCELLATION[workspace.rows.X.dtype.name] * np.diagonal(total)
        if np.any(np.diagonal(second) < smallest):
            return self._pooled(workspace, parameters, about=about)
        return counts, first, second, log_likelihood

    def _pooled(
        self,
        workspace: Workspace,
        parameters: dict[str, FloatArray],
        labels: FloatArray | None = None,
        responsibilities: FloatArray | None = None,
        about: FloatArray | None = None,
    ) -> tuple[FloatArray, FloatArray, FloatArray, float]:
        """Every component's own moments, summed: K times the work, and no cancellation."""
        K, D = parameters["means"].shape
        each = np.broadcast_to(parameters["precisions_cholesky"], (K, D, D))
        full = workspace.beside(_kernels.STRUCTURES["Full"])
        counts, first, second, log_likelihood = full.accumulate(
            {**parameters, "precisions_cholesky": each}, labels, responsibilities, about
        )
        return counts, first, second.sum(axis=0).reshape(D, D), log_likelihood

    def estimate(
        self, counts: FloatArray, offsets: FloatArray, second: FloatArray, reg_covar: float
    ) -> FloatArray:
        covariance: FloatArray = (second - (offsets.T * counts) @ offsets) / counts.sum()
        covariance.flat[:: covariance.shape[0] + 1] += reg_covar
        return covariance

    def shares(
        self, counts: FloatArray, offsets: FloatArray, second: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        return counts @ np.square(offsets), np.diagonal(second)

    def precisions_cholesky(self, covariances: FloatArray, n_threads: int = 1) -> FloatArray:
        factors, at_fault = factor_covariance_matrices(covariances[None], n_threads)
        if at_fault >= 0:
            raise ill_defined(None, 1, covariances)
        return factors[0]

    def precisions(self, precisions_cholesky: FloatArray) -> FloatArray:
        return precisions_cholesky @ precisions_cholesky.T

    def factor_precisions(self, precisions: FloatArray) -> FloatArray:
        return factor_precision_matrix(precisions, self.name)

    def covariances(self, precisions_cholesky: FloatArray) -> FloatArray:
        inverse = np.linalg.inv(precisions_cholesky)
        return inverse.T @ inverse

    def log_determinants(self, precisions_cholesky: FloatArray, n_features: int) -> FloatArray:
        return np.asarray(np.log(np.diagonal(precisions_cholesky)).sum())

    def precision_traces(self, precisions_cholesky: FloatArray, n_features: int) -> FloatArray:
        return np.asarray(np.square(precisions_cholesky).sum())

    def matrices(self, covariances: FloatArray, n_components: int, n_features: int) -> FloatArray:
        return np.broadcast_to(covariances, (n_components, n_features, n_features))
