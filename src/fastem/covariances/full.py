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

    def shaped(self, second: FloatArray, n_features: int) -> FloatArray:
        return second.reshape(*second.shape[:-1], n_features, n_features)

    def moments(self, counts: FloatArray, offsets: FloatArray) -> FloatArray:
        return (counts[..., None] * offsets)[..., None] * offsets[..., None, :]

    def prior_divisor(self, degrees_of_freedom: float, n_components: int, n_features: int) -> float:
        return degrees_of_freedom + n_features + 2

    def diagonal(self, variances: FloatArray) -> FloatArray:
        return variances[..., None, :]

    def shares(
        self, counts: FloatArray, offsets: FloatArray, second: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        return counts[..., None] * np.square(offsets), second[..., :: offsets.shape[-1] + 1]

    def factor_precisions(self, precisions: FloatArray) -> FloatArray:
        return np.stack([factor_precision_matrix(p, self.name) for p in precisions])

    def log_determinants(self, precisions_cholesky: FloatArray, n_features: int) -> FloatArray:
        return np.log(precisions_cholesky.diagonal(0, -2, -1)).sum(axis=-1)

    def matrices(self, covariances: FloatArray, n_components: int, n_features: int) -> FloatArray:
        return np.asarray(covariances)

    def compact(self, matrices: FloatArray) -> FloatArray:
        return matrices
