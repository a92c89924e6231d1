"""Each component has its own covariance matrix, (n_components, n_features, n_features)."""

from __future__ import annotations

import numpy as np

from .. import _kernels
from .base import FloatArray, Matrices, factor_precision_matrix


class Full(Matrices):
    name = "full"
    kernel = _kernels.STRUCTURES["Full"]

    def shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        return (n_components, n_features, n_features)

    def n_parameters(self, n_components: int, n_features: int) -> int:
        return n_components * n_features * (n_features + 1) // 2

    def estimate(
        self, counts: FloatArray, offsets: FloatArray, second: FloatArray, reg_covar: float
    ) -> FloatArray:
        D = offsets.shape[-1]
        # sum r d d^T / n about the old mean, less the square of the way the mean went
        covariances = (second / counts[..., None]).reshape(*offsets.shape, D)
        covariances -= offsets[..., None] * offsets[..., None, :]
        covariances.reshape(*counts.shape, D * D)[..., :: D + 1] += reg_covar
        return covariances

    def shares(
        self, counts: FloatArray, offsets: FloatArray, second: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        return counts[..., None] * np.square(offsets), second[..., :: offsets.shape[-1] + 1]

    def factor_precisions(self, precisions: FloatArray) -> FloatArray:
        return np.stack([factor_precision_matrix(p, self.name) for p in precisions])

    def log_determinants(self, precisions_cholesky: FloatArray, n_features: int) -> FloatArray:
        return np.log(precisions_cholesky.diagonal(0, -2, -1)).sum(axis=-1)

    def precision_traces(self, precisions_cholesky: FloatArray, n_features: int) -> FloatArray:
        return np.square(precisions_cholesky).sum(axis=(-2, -1))

    def matrices(self, covariances: FloatArray, n_components: int, n_features: int) -> FloatArray:
        return np.asarray(covariances)
