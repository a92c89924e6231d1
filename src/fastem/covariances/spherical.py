"""Each component has one variance for all features, (n_components,)."""

from __future__ import annotations

import numpy as np

from .. import _kernels
from .base import AxisAligned, FloatArray


class Spherical(AxisAligned):
    name = "spherical"
    kernel = _kernels.STRUCTURES["Spherical"]

    def shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        return (n_components,)

    def n_parameters(self, n_components: int, n_features: int) -> int:
        return n_components

    def estimate(
        self, counts: FloatArray, offsets: FloatArray, second: FloatArray, reg_covar: float
    ) -> FloatArray:
        n_features = offsets.shape[-1]
        # the mean over the features of what a diagonal covariance would be
        variances: FloatArray = second[..., 0] / counts - np.square(offsets).sum(axis=-1)
        return np.maximum(variances / n_features, 0.0) + reg_covar

    def shares(
        self, counts: FloatArray, offsets: FloatArray, second: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        return counts * np.square(offsets).sum(axis=-1), second[..., 0]

    def log_determinants(self, precisions_cholesky: FloatArray, n_features: int) -> FloatArray:
        return n_features * np.log(precisions_cholesky)

    def precision_traces(self, precisions_cholesky: FloatArray, n_features: int) -> FloatArray:
        return n_features * np.square(precisions_cholesky)

    def matrices(self, covariances: FloatArray, n_components: int, n_features: int) -> FloatArray:
        return covariances[:, None, None] * np.eye(n_features)
