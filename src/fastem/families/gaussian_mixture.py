"""A mixture of multivariate normals as the EM loop sees it: accumulate, then maximise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from typing import Any, Self

import numpy as np
from scipy.special import logsumexp, softmax

from .._kernels.many import AnyWorkspace
from .._kernels.rows import Rows, Workspace
from ..covariances import Covariance
from ..exceptions import LikelihoodError
from .regularisation import Regularisation
from .statistics import FloatArray, Statistics, merge

#: rows of a matrix, then the labels (n,) or the responsibilities (n, K) that are known of them
Known = tuple[slice, FloatArray | None, FloatArray | None]

_CANCELLATION = 1e-6
_FAR_NUMBERS = 1 << 20  # rows x components x features that are taken at a time


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
    regularisation : Regularisation
        What `maximise` maximises beside the likelihood.
    n_threads : int
        Threads for the factorisations.
    log_volume : float
        Log of the volume of these coordinates' unit cube in those of the user: densities are the
        user's.
    """

    structure: Covariance
    weights: FloatArray
    means: FloatArray
    covariances: FloatArray
    precisions_cholesky: FloatArray
    regularisation: Regularisation = field(default_factory=Regularisation)
    n_threads: int = 1
    log_volume: float = 0.0

    @cached_property
    def constants(self) -> FloatArray:
        """`log weight_k + log |P_k| - D/2 log(2 pi)`: the log-density less its quadratic form."""
        n_features = self.means.shape[-1]
        everywhere = 0.5 * n_features * math.log(2 * math.pi) + self.log_volume
        with np.errstate(divide="ignore"):  # a weight of 0 is a component without points
            log_weights = np.log(self.weights)
        # half the log-determinants of the precisions
        determinants = self.structure.log_determinants(self.precisions_cholesky, n_features)
        result: FloatArray = log_weights + determinants - everywhere
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
            self.regularisation,
            self.n_threads,
            self.log_volume,
        )

    def scaled(self, exponent: int) -> Self:
        """The same mixture in coordinates where every point is multiplied by 2^exponent."""
        return self._with(
            self.weights,
            np.ldexp(self.means, exponent),
            np.ldexp(self.covariances, 2 * exponent),
            np.ldexp(self.precisions_cholesky, -exponent),
        )

    def moved(self, by: FloatArray) -> Self:
        """The same mixture in coordinates where every point is `by` further on."""
        return self._with(self.weights, self.means + by, self.covariances, self.precisions_cholesky)

    def unconstrained(self) -> FloatArray:
        """The parameters as numbers without constraints, (n,).

        Log weights, of which only differences matter; means; and the factors of the precisions as
        their structure makes them. A weight of 0 becomes the smallest there is.
        """
        weights = np.log(np.maximum(self.weights, np.finfo(np.float64).tiny))
        factors = self.structure.unconstrained(self.precisions_cholesky)
        return np.concatenate([weights, self.means.ravel(), factors])

    def from_unconstrained(self, vector: FloatArray) -> Self:
        """The inverse of `unconstrained`.

        Raises
        ------
        ValueError
            If a weight, mean or covariance is no floating-point number.
        """
        K, D = self.means.shape
        weights = softmax(vector[:K])
        means = vector[K : K + K * D].reshape(K, D)
        factors = self.structure.from_unconstrained(vector[K + K * D :], K, D)
        covariances = self.structure.covariances(factors)
        if not all(np.isfinite(part).all() for part in (weights, means, factors, covariances)):
            raise ValueError("a weight, mean or covariance is beyond all floating-point numbers")
        return self._with(weights, means, covariances, factors)

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
        """M-step: the weighted maximum-likelihood parameters, or with a prior the most probable.

        Raises
        ------
        IllDefinedCovarianceError
            If a covariance is not positive definite.
        """
        weights, means, covariances = self._estimate(statistics)
        factors = self.structure.precisions_cholesky(covariances, self.n_threads)
        return self._with(weights, means, covariances, factors)

    def _estimate(self, statistics: Statistics) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The weighted maximum-likelihood, or most probable, weights, means and covariances."""
        structure, about, D = self.structure, statistics.about, self.means.shape[-1]
        counts, offsets = statistics.weights_and_offsets
        shares = counts
        # what overflows is infinite or NaN, and refused by the factorisation
        with np.errstate(over="ignore", invalid="ignore"):
            second = structure.shaped(statistics.second, D)
            if (prior := self.regularisation.prior) is not None:
                # as if mean_precision points lay at the prior's mean
                shares = counts + (prior.concentration - 1)
                second = second + prior.moments(structure, about)
                way = counts[..., None] * offsets
                way += prior.mean_precision * (prior.mean[..., None, :] - about)
                counts = counts + prior.mean_precision
                offsets = way / counts[..., None]
            scatter = second - structure.moments(counts, offsets)
            covariances = structure.estimate(scatter, self._divisors(statistics), self._ridge)
        return _shares(shares), about + offsets, covariances

    def _divisors(self, statistics: Statistics) -> FloatArray:
        """How many squares each covariance is the mean of, those of the prior included."""
        counts, _ = statistics.weights_and_offsets
        divisors = self.structure.divisors(counts, self.means.shape[-1])
        prior = self.regularisation.prior
        return divisors if prior is None else divisors + prior.divisor

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

        S_k / n_k + ridge is the maximum of Q(theta) - 1/2 sum_k n_k tr(ridge x precision_k), so
        that one EM step may lower the log-likelihood by as much as this penalty rises, and no more.
        """
        held = self._divisors(statistics) * self._held
        return -0.5 * held.reshape(*self.means.shape[:-2], -1).sum(axis=-1)

    @cached_property
    def _held(self) -> FloatArray:
        return self.structure.held(self._ridge, self.precisions_cholesky)

    @property
    def _ridge(self) -> FloatArray:
        return self.structure.diagonal(self.regularisation.ridge)

    @property
    def log_prior(self) -> Any:
        """Log-density of the prior at these parameters, up to a constant; 0 without a prior."""
        prior = self.regularisation.prior
        return 0.0 if prior is None else prior.log_density(self)

    def score(
        self, X: FloatArray, n_threads: int = 1, **wanted: bool
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Log-likelihood, responsibilities or labels of rows, where means are not shifted.

        Parameters
        ----------
        X : array of shape (n_samples, n_features), float64 or float32
        n_threads : int
        **wanted : bool
            log_likelihood, responsibilities, labels: see `Workspace.score`.

        Raises
        ------
        LikelihoodError
            If the logarithm of a row's density overflows, and was asked for.
        """
        if X.shape[1] != self.means.shape[1]:  # another thread fitted the estimator meanwhile
            raise ValueError(
                f"X has {X.shape[1]} features, but the model has {self.means.shape[1]} by now"
            )
        # the mean nearest to 0: a component far off must not round away where the others are
        shift = self.means[np.abs(self.means).argmin(axis=0), np.arange(self.means.shape[1])]
        rows = Rows(X, None, n_threads, shift, pack=False)
        workspace = Workspace(rows, self.structure.kernel, len(self.means), skip=False)
        densities_wanted = wanted.get("log_likelihood", False)
        if wanted.get("responsibilities"):
            wanted["log_likelihood"] = True  # tells which rows are far
        scores = workspace.score(self.moved(-shift).parameters, **wanted)
        log_likelihood, _, labels = scores
        lowest = -rows.kernels.far_log_density(X.itemsize)
        near = log_likelihood >= lowest if len(log_likelihood) else labels >= 0
        far = np.flatnonzero(~near)
        if (nowhere := far[~np.isfinite(X[far]).all(axis=1)]).size:  # where nobody validated
            raise LikelihoodError(
                f"{len(nowhere)} rows hold NaN or infinite values, the first is row {nowhere[0]}"
            )
        step = max(1, _FAR_NUMBERS // self.means.size)
        for begin in range(0, len(far), step):
            some = far[begin : begin + step]
            for values, theirs in zip(scores, self._score_far(X[some]), strict=True):
                if len(values):
                    values[some] = theirs
        if densities_wanted and not np.isfinite(log_likelihood[far]).all():
            bad = ~np.isfinite(log_likelihood)
            raise LikelihoodError(
                f"{np.count_nonzero(bad)} rows are too far from every component: the logarithm of "
                f"their density overflows, the first is row {int(np.argmax(bad))}. Remove them, or "
                "scale the data"
            )
        return scores

    def _score_far(self, X: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Log-likelihoods, responsibilities and labels of rows so far off that squares overflow, or
        that the difference of two squares has no digits left.

        Whitened distances y are taken in units of the row's own size, and only their differences
        count: |y_k|^2 - |y_l|^2 = (y_k - y_l) (y_k + y_l), in which what is alike in y_k and y_l
        takes no digits away.
        """
        used = self.weights > 0
        rows = X.astype(np.float64)
        size = np.abs(rows).max(axis=1)[:, None]
        size = np.maximum(size, np.abs(self.means[used]).max())
        # (n_components, n_rows, n_features)
        directions = self.structure.whiten((rows / size)[None], self.precisions_cholesky)
        centres = self.structure.whiten(self.means[:, None], self.precisions_cholesky) / size
        whitened = directions - centres
        squares = np.where(used[:, None], np.square(whitened).sum(axis=-1), np.inf)
        nearest = squares.argmin(axis=0)[None, :, None]
        directions = np.broadcast_to(directions, whitened.shape)
        apart = directions - np.take_along_axis(directions, nearest, axis=0)
        apart -= centres - np.take_along_axis(centres, nearest, axis=0)
        together = whitened + np.take_along_axis(whitened, nearest, axis=0)
        apart *= size  # not both: small differences must not vanish when they are multiplied
        excess = (apart * together).sum(axis=-1)
        excess -= excess[used].min(axis=0)
        excess, nearest_square, constants = excess.T, squares.min(axis=0)[:, None], self.constants
        with np.errstate(over="ignore", invalid="ignore"):
            # what is beyond all numbers is infinite
            log_joint = constants - 0.5 * np.maximum(excess, 0.0) * size
            total = logsumexp(log_joint, axis=1, keepdims=True)
            log_likelihood = total - 0.5 * nearest_square * size * size
        responsibilities = np.exp(log_joint - total)
        return log_likelihood[:, 0], responsibilities, responsibilities.argmax(axis=1)

    @classmethod
    def from_known(
        cls,
        structure: Covariance,
        data: AnyWorkspace,
        known: Iterable[Known],
        *,
        given: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Self:
        """Maximum likelihood where labels or responsibilities are known: one M-step.

        Parameters
        ----------
        structure : Covariance
        data : Workspace
            Of all rows.
        known : iterable of (rows, labels, responsibilities)
            Blocks of rows; iterated over twice, so that the second moments are about the means.
        given : mapping, optional
            Fields of the class that are taken as they are instead.
        **options
            Other fields of the class.
        """
        given = dict(given or {})
        K, D = data.n_components, data.rows.n_features
        blank = cls(
            structure,
            np.full((*data.shape, K), 1.0 / K),
            np.zeros((*data.shape, K, D)),
            np.empty(0),
            np.ones((*data.shape, *structure.shape(K, D))),
            **options,
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
