"""A mixture of multivariate normals as the EM loop sees it: accumulate, then maximise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Any, Self

import numpy as np

from .._kernels.many import AnyWorkspace
from .._kernels.rows import Rows, Workspace
from ..covariances import Covariance
from ..exceptions import LikelihoodError
from .statistics import FloatArray, Statistics, merge

#: rows of a matrix, then the labels (n,) or the responsibilities (n, K) that are known of them
Known = tuple[slice, FloatArray | None, FloatArray | None]

_CANCELLATION = 1e-6


@dataclass(frozen=True, eq=False)
class GaussianMixtureModel:
    """Parameters of a Gaussian mixture. Immutable: `maximise` returns another one.

    Parameters
    ----------
    structure : Covariance
    weights : array of shape (n_components,)
    means : array of shape (n_components, n_features)
        Less the shift of the rows it is fitted to, so that a large offset costs no digits.
    covariances, precisions_cholesky : arrays
        In the shape of the structure.
    reg_covar : float
        Ridge added to the variances by every `maximise`.
    n_threads : int
        Threads for the factorisations, and for `score`.
    """

    structure: Covariance
    weights: FloatArray
    means: FloatArray
    covariances: FloatArray
    precisions_cholesky: FloatArray
    reg_covar: float = 0.0
    n_threads: int = 1

    @cached_property
    def constants(self) -> FloatArray:
        """log weight_k + log |P_k| - D/2 log(2 pi): the log-density less its quadratic form."""
        n_features = self.means.shape[-1]
        with np.errstate(divide="ignore"):  # a weight of 0 is a component without points
            log_weights = np.log(self.weights)
        # half the log-determinants of the precisions
        determinants = self.structure.log_determinants(self.precisions_cholesky, n_features)
        result: FloatArray = log_weights + determinants - 0.5 * n_features * math.log(2 * math.pi)
        return result

    @property
    def parameters(self) -> dict[str, FloatArray]:
        """What the kernels take."""
        return {
            "constants": self.constants,
            "means": self.means,
            "precisions_cholesky": self.structure.kernel_precisions(
                self.precisions_cholesky, self.means.shape[-2]
            ),
        }

    def _with(
        self,
        weights: FloatArray,
        means: FloatArray,
        covariances: FloatArray,
        precisions_cholesky: FloatArray,
    ) -> Self:
        """Other parameters, and all else the same. (`dataclasses.replace` takes longer.)"""
        return type(self)(
            self.structure,
            weights,
            means,
            covariances,
            precisions_cholesky,
            self.reg_covar,
            self.n_threads,
        )

    def moved(self, by: FloatArray) -> Self:
        """The same mixture in coordinates where every point is `by` further on."""
        return self._with(self.weights, self.means + by, self.covariances, self.precisions_cholesky)

    def accumulate(self, data: AnyWorkspace) -> Statistics:
        """E-step: expected sufficient statistics and the log-likelihood of these parameters.

        Raises
        ------
        LikelihoodError
            If the log-likelihood is not finite.
        """
        statistics = self._expected(data)
        if self._cancels(statistics):
            statistics = self._about_new_means(data, statistics)
        if not math.isfinite(statistics.log_likelihood):
            raise likelihood_error(statistics.log_likelihood)
        return statistics

    def _expected(self, data: AnyWorkspace) -> Statistics:
        moments = self.structure.accumulate(data, self.parameters)
        return _statistics(self.means, data, moments)

    def _about_new_means(self, data: AnyWorkspace, statistics: Statistics) -> Statistics:
        """The means go so far that taking their way from the moments would leave few digits:
        once more, with the same responsibilities, about where they go."""
        _, offsets = statistics.weights_and_offsets
        about = self.means + offsets
        moments = self.structure.accumulate(data, self.parameters, about=about)
        return _statistics(about, data, moments)

    def maximise(self, statistics: Statistics) -> Self:
        """M-step: the weighted maximum-likelihood parameters, the ridge added.

        Raises
        ------
        IllDefinedCovarianceError
            If a covariance is not positive definite.
        """
        weights, means, covariances = self._estimate(statistics)
        factors = self.structure.precisions_cholesky(covariances, self.n_threads)
        return self._with(weights, means, covariances, factors)

    def _estimate(self, statistics: Statistics) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The weighted maximum-likelihood weights, means and covariances."""
        counts, offsets = statistics.weights_and_offsets
        # what overflows is infinite or NaN, and refused by the factorisation
        with np.errstate(over="ignore", invalid="ignore"):
            covariances = self.structure.estimate(
                counts, offsets, statistics.second, self.reg_covar
            )
        return _shares(counts), statistics.about + offsets, covariances

    def _cancels(self, statistics: Statistics) -> Any:
        """Whether the second moments consist of the way of the means, to six digits or more."""
        counts, offsets = statistics.weights_and_offsets
        with np.errstate(over="ignore", invalid="ignore"):
            way, whole = self.structure.shares(counts, offsets, statistics.second)
            cancels = way > (1 - _CANCELLATION) * whole
            if not np.count_nonzero(cancels):  # nearly always
                return np.False_
            # a step within the rounding of a mean cannot be made smaller
            moves = np.abs(offsets) > 1e-8 * np.abs(statistics.about + offsets)
            return _any_of_each(cancels, counts) & _any_of_each(moves, counts)

    def penalty(self, statistics: Statistics) -> Any:
        """What the ridge adds to the function that `maximise` maximises.

        S_k / n_k + ridge I is the maximum of Q(theta) - ridge/2 sum_k n_k tr(precision_k), so that
        one EM step may lower the log-likelihood by as much as this penalty rises, and no more.
        """
        return -0.5 * self.reg_covar * (statistics.counts * self._precision_traces).sum(axis=-1)

    @cached_property
    def _precision_traces(self) -> FloatArray:
        return self.structure.precision_traces(self.precisions_cholesky, self.means.shape[-1])

    def score(self, X: FloatArray, **wanted: bool) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Log-likelihood, responsibilities or labels of rows, where means are not shifted.

        Parameters
        ----------
        X : array of shape (n_samples, n_features), float64 or float32
        **wanted : bool
            log_likelihood, responsibilities, labels: see `Workspace.score`.

        Raises
        ------
        LikelihoodError
            If the density of a row is 0 or NaN for every component.
        """
        if X.shape[1] != self.means.shape[1]:  # another thread fitted the estimator meanwhile
            raise ValueError(
                f"X has {X.shape[1]} features, but the model has {self.means.shape[1]} by now"
            )
        # the mean nearest to 0: a component far off must not round away where the others are
        shift = self.means[np.abs(self.means).argmin(axis=0), np.arange(self.means.shape[1])]
        rows = Rows(X, None, self.n_threads, shift, pack=False)
        workspace = Workspace(rows, self.structure.kernel, len(self.means), skip=False)
        if wanted.get("responsibilities"):
            wanted["log_likelihood"] = True  # tells which rows have none
        log_likelihood, responsibilities, labels = workspace.score(
            self.moved(-shift).parameters, **wanted
        )
        bad = ~np.isfinite(log_likelihood) if len(log_likelihood) else labels < 0
        if bad.any():
            raise LikelihoodError(
                f"{np.count_nonzero(bad)} rows are too far from every component for their density "
                f"to be told from 0 in {X.dtype}, the first is row {int(np.argmax(bad))}. Remove "
                "them, scale the data, or use float64"
            )
        return log_likelihood, responsibilities, labels

    @classmethod
    def from_known(
        cls,
        structure: Covariance,
        data: AnyWorkspace,
        known: Iterable[Known],
        *,
        reg_covar: float,
        n_threads: int = 1,
        given: Mapping[str, Any] | None = None,
    ) -> Self:
        """Maximum likelihood where labels or responsibilities are known: one M-step.

        Parameters
        ----------
        structure : Covariance
        data : Workspace
            Of all rows.
        known : iterable of (rows, labels, responsibilities)
            Blocks of rows; iterated over twice, so that the second moments are about the means.
        reg_covar, n_threads
            As for the class.
        given : mapping, optional
            Fields of the class that are taken as they are instead.
        """
        given = dict(given or {})
        K, D = data.n_components, data.rows.n_features
        blank = cls(
            structure,
            np.full((*data.shape, K), 1.0 / K),
            np.zeros((*data.shape, K, D)),
            np.empty(0),
            np.ones((*data.shape, *structure.shape(K, D))),
            reg_covar,
            n_threads,
        )

        def total(model: Self) -> Statistics:
            return reduce(merge, (_known_statistics(model, data, *block) for block in known))

        rough = total(blank)
        counts = np.where(rough.counts > 0, rough.counts, 1.0)
        about = rough.first / counts[..., None]
        statistics = total(
            blank._with(blank.weights, about, blank.covariances, blank.precisions_cholesky)
        )
        if "precisions_cholesky" in given:
            # covariances that would be thrown away must not be refused either
            weights, means, _ = blank._estimate(statistics)
            return replace(blank, **{"weights": weights, "means": means, **given})
        model = blank.maximise(statistics)
        return replace(model, **given) if given else model


def _shares(counts: FloatArray) -> FloatArray:
    """Mixing weights from the weights of the components."""
    return counts / counts.sum(axis=-1, keepdims=True)


def _any_of_each(condition: FloatArray, counts: FloatArray) -> Any:
    """Whether it holds anywhere in a mixture, for each of the mixtures that counts (..., K) has."""
    return condition.reshape(*counts.shape[:-1], -1).any(axis=-1)


def likelihood_error(log_likelihood: float) -> LikelihoodError:
    """The error for a log-likelihood that is not finite."""
    return LikelihoodError(
        f"the log-likelihood became {log_likelihood}: the data are too far from every component "
        "for their densities to be told from 0. Scale the input data, or remove rows of extreme "
        "magnitude"
    )


def _statistics(
    about: FloatArray, data: AnyWorkspace, moments: tuple[FloatArray, FloatArray, FloatArray, Any]
) -> Statistics:
    return Statistics(about, *moments, data.total_weight, data.n_rows)


def _known_statistics(
    model: GaussianMixtureModel,
    data: AnyWorkspace,
    rows: slice,
    labels: FloatArray | None,
    responsibilities: FloatArray | None,
) -> Statistics:
    """Statistics of a block of rows whose labels or responsibilities are known."""
    if isinstance(data, Workspace) and rows != slice(None):
        whole = data.rows
        weight = None if whole.sample_weight is None else whole.sample_weight[rows]
        # read once or twice only: not worth a packed copy
        part = replace(whole, X=whole.X[rows], sample_weight=weight, pack=False)
        data = Workspace(part, data.structure, data.n_components, skip=False)
    moments = model.structure.accumulate(data, model.parameters, labels, responsibilities)
    return _statistics(model.means, data, moments)
