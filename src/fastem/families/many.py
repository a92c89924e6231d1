"""Many mixtures of multivariate normals as one model: their EM steps side by side.

All arrays have one more axis before all others, so that a step costs Python as much as that of one
mixture. What fails in one member is noted, and does not keep the others from going on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from .._kernels.many import ManyWorkspace
from ..exceptions import IllDefinedCovarianceError
from .gaussian_mixture import GaussianMixtureModel, likelihood_error
from .statistics import FloatArray, Statistics


@dataclass(frozen=True, eq=False)
class ManyGaussianMixtures(GaussianMixtureModel):
    """Parameters of many Gaussian mixtures of one structure and size.

    Parameters
    ----------
    structure, regularisation, n_threads, log_volume
        As for `GaussianMixtureModel`.
    weights, means, covariances, precisions_cholesky : arrays
        Likewise, stacked along a first axis.
    errors : mapping of int to exception
        What went wrong in the M-step that made them, by the member's number; the parameters of
        such a member mean nothing.
    """

    errors: Mapping[int, Exception] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.means)

    def __getitem__(self, member: int) -> GaussianMixtureModel:
        """One of them, with arrays of its own."""
        return GaussianMixtureModel(
            self.structure,
            self.weights[member].copy(),
            self.means[member].copy(),
            self.covariances[member].copy(),
            self.precisions_cholesky[member].copy(),
            self.regularisation.only(member),
            self.n_threads,
        )

    def only(self, chosen: FloatArray) -> Self:
        """Some of them, by a mask or by index."""
        some = self._with(
            self.weights[chosen],
            self.means[chosen],
            self.covariances[chosen],
            self.precisions_cholesky[chosen],
        )
        some = replace(some, regularisation=self.regularisation.only(chosen))
        if not self.errors:
            return some
        were = np.arange(len(self))[chosen].tolist()
        errors = {i: self.errors[was] for i, was in enumerate(were) if was in self.errors}
        return replace(some, errors=errors)

    def accumulate(self, data: ManyWorkspace) -> Statistics:  # type: ignore[override]
        """E-step: expected sufficient statistics and the log-likelihood of each member.

        A log-likelihood that is not finite is an error of the member in the next `maximise`.
        """
        statistics = self._expected(data)
        far = self._cancels(statistics)
        if not far.any():
            return statistics
        arrays = ("about", "counts", "first", "second", "log_likelihood")
        whole = {name: getattr(statistics, name).copy() for name in arrays}
        part = self.only(far)._about_new_means(data.only(far), _only(statistics, far))
        for name in arrays:
            whole[name][far] = getattr(part, name)
        return replace(statistics, **whole)

    def maximise(self, statistics: Statistics) -> Self:
        """M-step of each member; those at fault stand in `errors`."""
        weights, means, covariances = self._estimate(statistics)
        factors, good = self.structure.factorise(covariances, self.n_threads)
        model = self._with(weights, means, covariances, factors)
        log_likelihood = statistics.log_likelihood
        fine = good.reshape(len(means), -1).all(axis=1) & np.isfinite(log_likelihood)
        if fine.all():
            return model
        errors = {
            int(i): self._error(log_likelihood[i], covariances[i]) for i in np.flatnonzero(~fine)
        }
        return replace(model, errors=errors)

    def _error(self, log_likelihood: float, covariances: FloatArray) -> Exception:
        """What the same mixture alone would have raised."""
        if not np.isfinite(log_likelihood):
            return likelihood_error(log_likelihood)
        try:
            self.structure.precisions_cholesky(covariances)
        except IllDefinedCovarianceError as error:
            return error
        raise AssertionError("a covariance is good alone, but not among others")


def _only(statistics: Statistics, chosen: FloatArray) -> Statistics:
    """Statistics of some of the members."""
    names = statistics.__dataclass_fields__
    return Statistics(*(getattr(statistics, name)[chosen] for name in names))
