"""All components share one covariance matrix, (n_features, n_features)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _kernels
from .._kernels.many import AnyWorkspace, ManyWorkspace
from .base import FloatArray, Matrices, factor_precision_matrix

# Within / total variance below which the pooled matrix is summed from differences to the means:
# taking the scatter between the means away from the total would lose more than ten digits of it.
# (float32: one that would leave fewer than five.)
_CANCELLATION = {"float64": 1e-6, "float32": 1e-2}


class Tied(Matrices):
    name = "tied"
    kernel = _kernels.STRUCTURES["Tied"]

    def shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        return (n_features, n_features)

    def n_parameters(self, n_components: int, n_features: int) -> int:
        return n_features * (n_features + 1) // 2

    def accumulate(
        self,
        workspace: AnyWorkspace,
        parameters: dict[str, FloatArray],
        labels: FloatArray | None = None,
        responsibilities: FloatArray | None = None,
        about: FloatArray | None = None,
    ) -> tuple[FloatArray, FloatArray, FloatArray, Any]:
        """The second moments, pooled over the components, are those of the whole data less what
        lies between the means:

            sum r (x - mu)(x - mu)^T = sum w x x^T - sum_k (n mu mu^T + mu s^T + s mu^T)

        with s the first moments about mu. The whole costs one pass a fit.
        """
        if labels is not None or responsibilities is not None:
            # known responsibilities need not sum to the weights, so nothing can be taken away
            return self._pooled(workspace, parameters, labels, responsibilities, about)
        counts, first, _, log_likelihood = workspace.accumulate(parameters, about=about)
        means, total = parameters["means"] if about is None else about, workspace.scatter
        across = np.swapaxes(means, -1, -2)  # (D, K)
        cross = across @ first
        second = (
            total - (across * counts[..., None, :]) @ means - cross - np.swapaxes(cross, -1, -2)
        )
        smallest = _CANCELLATION[workspace.dtype.name] * total.diagonal(0, -2, -1)
        lost = (second.diagonal(0, -2, -1) < smallest).any(axis=-1)
        if lost.all():
            return self._pooled(workspace, parameters, about=about)
        if isinstance(workspace, ManyWorkspace) and lost.any():
            some = {name: values[lost] for name, values in parameters.items()}
            there = None if about is None else about[lost]
            pooled = self._pooled(workspace.only(lost), some, about=there)
            for whole, part in zip((counts, first, second, log_likelihood), pooled, strict=True):
                whole[lost] = part
        return counts, first, second, log_likelihood

    def _pooled(
        self,
        workspace: AnyWorkspace,
        parameters: dict[str, FloatArray],
        labels: FloatArray | None = None,
        responsibilities: FloatArray | None = None,
        about: FloatArray | None = None,
    ) -> tuple[FloatArray, FloatArray, FloatArray, Any]:
        """Every component's own moments, summed: K times the work, and no cancellation."""
        factors, means = parameters["precisions_cholesky"], parameters["means"]
        each = np.broadcast_to(factors[..., None, :, :], (*means.shape, means.shape[-1]))
        full = workspace.beside(_kernels.STRUCTURES["Full"])
        counts, first, second, log_likelihood = full.accumulate(
            {**parameters, "precisions_cholesky": each}, labels, responsibilities, about
        )
        return counts, first, second.sum(axis=-2).reshape(factors.shape), log_likelihood

    def moments(self, counts: FloatArray, offsets: FloatArray) -> FloatArray:
        return (np.swapaxes(offsets, -1, -2) * counts[..., None, :]) @ offsets

    def pooled(self, counts: FloatArray) -> FloatArray:
        return np.asarray(counts.sum(axis=-1))

    def prior_divisor(self, degrees_of_freedom: float, n_components: int, n_features: int) -> float:
        return degrees_of_freedom + n_features + n_components + 1

    def diagonal(self, variances: FloatArray) -> FloatArray:
        return variances

    def shares(
        self, counts: FloatArray, offsets: FloatArray, second: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        way = (counts[..., None] * np.square(offsets)).sum(axis=-2)
        return way, second.diagonal(0, -2, -1)

    def factor_precisions(self, precisions: FloatArray) -> FloatArray:
        return factor_precision_matrix(precisions, self.name)

    def log_determinants(self, precisions_cholesky: FloatArray, n_features: int) -> FloatArray:
        return np.log(precisions_cholesky.diagonal(0, -2, -1)).sum(axis=-1, keepdims=True)

    def matrices(self, covariances: FloatArray, n_components: int, n_features: int) -> FloatArray:
        return np.broadcast_to(covariances, (n_components, n_features, n_features))

    def compact(self, matrices: FloatArray) -> FloatArray:
        return np.asarray(matrices[0])
