"""Each component has its own covariance matrix, (n_components, n_features, n_features)."""

from __future__ import annotations

import numpy as np

from .. import _kernels
from .base import (
    Covariance,
    FloatArray,
    factor_covariance_matrices,
    factor_precision_matrix,
    ill_defined,
)


class Full(Covariance):
    name = "full"
    kernel = _kernels.STRUCTURES["Full"]

    def shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        return (n_components, n_features, n_features)

    def n_parameters(self, n_components: int, n_features: int) -> int:
        return n_components * n_features * (n_features + 1) // 2

    def estimate(
        self, counts: FloatArray, offsets: FloatArray, second: FloatArray, reg_covar: float
    ) -> FloatArray:
        K, D = offsets.shape
        # sum r d d^T / n about the old mean, less the square of the way the mean went
        covariances = second.reshape(K, D, D) / counts[:, None, None]
        covariances -= offsets[:, :, None] * offsets[:, None, :]
        covariances.reshape(K, D * D)[:, :: D + 1] += reg_covar
        return covariances

    def shares(
        self, counts: FloatArray, offsets: FloatArray, second: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        K, D = offsets.shape
        return counts[:, None] * np.square(offsets), second.reshape(K, D * D)[:, :: D + 1]

    def precisions_cholesky(self, covariances: FloatArray, n_threads: int = 1) -> FloatArray:
        factors, at_fault = factor_covariance_matrices(covariances, n_threads)
        if at_fault >= 0:
            raise ill_defined(at_fault, len(covariances), covariances[at_fault])
        return factors

    def precisions(self, precisions_cholesky: FloatArray) -> FloatArray:
        return precisions_cholesky @ np.swapaxes(precisions_cholesky, 1, 2)

    def factor_precisions(self, precisions: FloatArray) -> FloatArray:
        return np.stack([factor_precision_matrix(p, self.name) for p in precisions])

    def covariances(self, precisions_cholesky: FloatArray) -> FloatArray:
        inverse = np.linalg.inv(precisions_cholesky)
        return np.swapaxes(inverse, 1, 2) @ inverse

    def log_determinants(self, precisions_cholesky: FloatArray, n_features: int) -> FloatArray:
        return np.log(np.diagonal(precisions_cholesky, axis1=1, axis2=2)).sum(axis=1)

    def precision_traces(self, precisions_cholesky: FloatArray, n_features: int) -> FloatArray:
        return np.square(precisions_cholesky).sum(axis=(1, 2))

    def matrices(self, covariances: FloatArray, n_components: int, n_features: int) -> FloatArray:
        return np.asarray(covariances)
