"""Mixtures of normal families on the compiled kernels of Gaussian mixtures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from numpy.typing import NDArray

from ..exceptions import DegenerateFitError, IllDefinedCovarianceError
from .data import Sample
from .gaussian_mixture import GaussianMixtureModel
from .mixtures import FamilyMixture, MixtureStatistics
from .statistics import Statistics

FloatArray = NDArray[Any]


@dataclass(frozen=True, eq=False)
class NormalStatistics:
    """Statistics from the kernels, and the model in whose coordinates they are."""

    model: GaussianMixtureModel
    shift: FloatArray
    statistics: Statistics

    @property
    def log_likelihood(self) -> float:
        return float(self.statistics.log_likelihood)


@dataclass(frozen=True, eq=False)
class NormalMixture(FamilyMixture):
    """Of one normal family, which has `structure`, `covariances` in its shape and `from_normal`.

    Parameters
    ----------
    weights, parts
        As for `FamilyMixture`.
    model : GaussianMixtureModel, optional
        The same parameters, less `shift`.
    shift : array of shape (D,), optional
    """

    model: GaussianMixtureModel | None = None
    shift: FloatArray | None = None

    def accumulate(self, data: Sample) -> Any:
        if data.labels is not None:
            return super().accumulate(data)
        part: Any = self.parts[0]
        workspace = data.workspace(part.structure.kernel, part.n_members)
        model, shift = self.model, workspace.rows.shift
        if model is None or self.shift is not shift:
            covariances = part.covariances
            model = GaussianMixtureModel(
                part.structure,
                self.weights,
                part.mean - shift,
                covariances,
                part.structure.precisions_cholesky(covariances, data.n_threads),
                n_threads=data.n_threads,
            )
        return NormalStatistics(model, shift, model.accumulate(workspace))

    def maximise(self, statistics: Any) -> Self:
        if isinstance(statistics, MixtureStatistics):
            return super().maximise(statistics)
        part: Any = self.parts[0]
        try:
            model = statistics.model.maximise(statistics.statistics)
        except IllDefinedCovarianceError as error:
            raise _collapsed(part, error) from error
        shift = statistics.shift
        fitted = part.from_normal(model.means + shift, model.covariances)
        return type(self)(model.weights, (fitted,), model, shift)


def _collapsed(part: Any, error: IllDefinedCovarianceError) -> DegenerateFitError:
    which = "a component" if error.component is None else f"component {error.component}"
    return DegenerateFitError(
        f"{type(part).__name__}: {which} collapsed onto points that coincide, or lie on a line or "
        "plane, where the likelihood has no maximum. Use fewer components, more starts (n_init), "
        "or fastem.GaussianMixture, whose reg_covar and prior hold variances above 0"
    )
