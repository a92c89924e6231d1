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

    def estimate(
        self, counts: FloatArray, offsets: FloatArray, second: FloatArray, reg_covar: float
    ) -> FloatArray:
        variances: FloatArray = second / counts[..., None] - np.square(offsets)
        # rounding can take a collapsed variance just below 0
        return np.maximum(variances, 0.0) + reg_covar

    def shares(
        self, counts: FloatArray, offsets: FloatArray, second: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        return counts[..., None] * np.square(offsets), second

    def log_determinants(self, precisions_cholesky: FloatArray, n_features: int) -> FloatArray:
        return np.log(precisions_cholesky).sum(axis=-1)

    def precision_traces(self, precisions_cholesky: FloatArray, n_features: int) -> FloatArray:
        return np.square(precisions_cholesky).sum(axis=-1)

    def matrices(self, covariances: FloatArray, n_components: int, n_features: int) -> FloatArray:
        return covariances[:, :, None] * np.eye(n_features)
