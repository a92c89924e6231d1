"""Each component has its own variance for each feature, (n_components, n_features)."""

from __future__ import annotations

import numpy as np

from .. import _kernels
from .base import AxisAligned, FloatArray


class Diag(AxisAligned):
    name = "diag"
    kernel = _kernels.STRUCTURES["Diag"]

    def shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        return (n_components, n_features)

    def n_parameters(self, n_components: int, n_features: int) -> int:
        return n_components * n_features

    def moments(self, counts: FloatArray, offsets: FloatArray) -> FloatArray:
        return counts[..., None] * np.square(offsets)

    def prior_divisor(self, degrees_of_freedom: float, n_components: int, n_features: int) -> float:
        return degrees_of_freedom + 3

    def prior_scale(self, variances: FloatArray) -> FloatArray:
        return variances

    def whiten(self, rows: FloatArray, precisions_cholesky: FloatArray) -> FloatArray:
        return rows * precisions_cholesky[:, None, :]

    def diagonal(self, variances: FloatArray) -> FloatArray:
        return variances[..., None, :]

    def held(self, ridge: FloatArray, precisions_cholesky: FloatArray) -> FloatArray:
        return (ridge * np.square(precisions_cholesky)).sum(axis=-1)

    def most_held(self, ridge: FloatArray, precisions_cholesky: FloatArray) -> FloatArray:
        return (ridge * np.square(precisions_cholesky)).max(axis=-1)

    def log_determinants(self, precisions_cholesky: FloatArray, n_features: int) -> FloatArray:
        return np.log(precisions_cholesky).sum(axis=-1)

    def matrices(self, covariances: FloatArray, n_components: int, n_features: int) -> FloatArray:
        return covariances[:, :, None] * np.eye(n_features)

    def compact(self, matrices: FloatArray) -> FloatArray:
        return np.array(matrices.diagonal(0, -2, -1))
