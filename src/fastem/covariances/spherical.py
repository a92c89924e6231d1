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

    def shaped(self, second: FloatArray, n_features: int) -> FloatArray:
        return second[..., 0]

    def moments(self, counts: FloatArray, offsets: FloatArray) -> FloatArray:
        return counts * np.square(offsets).sum(axis=-1)

    def features_pooled(self, n_features: int) -> int:
        return n_features

    def prior_divisor(self, degrees_of_freedom: float, n_components: int, n_features: int) -> float:
        return degrees_of_freedom + n_features + 2

    def prior_scale(self, variances: FloatArray) -> FloatArray:
        return np.asarray(variances.mean())

    def whiten(self, rows: FloatArray, precisions_cholesky: FloatArray) -> FloatArray:
        return rows * precisions_cholesky[:, None, None]

    def diagonal(self, variances: FloatArray) -> FloatArray:
        # the mean over the features of what would be added to a diagonal covariance
        return variances.mean(axis=-1)[..., None]

    def held(self, ridge: FloatArray, precisions_cholesky: FloatArray) -> FloatArray:
        return ridge * np.square(precisions_cholesky)

    def most_held(self, ridge: FloatArray, precisions_cholesky: FloatArray) -> FloatArray:
        return self.held(ridge, precisions_cholesky)

    def log_determinants(self, precisions_cholesky: FloatArray, n_features: int) -> FloatArray:
        return n_features * np.log(precisions_cholesky)

    def variances_covariance(self, variances: FloatArray, weight: float) -> FloatArray:
        return 2 * np.outer(variances, variances) / (weight * len(variances))

    def matrices(self, covariances: FloatArray, n_components: int, n_features: int) -> FloatArray:
        return covariances[:, None, None] * np.eye(n_features)

    def compact(self, matrices: FloatArray) -> FloatArray:
        return np.array(matrices[:, 0, 0])

    def scatter(self, rows: FloatArray, weights: FloatArray) -> FloatArray:
        return np.asarray((weights @ np.square(rows)).sum())
