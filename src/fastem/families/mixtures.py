"""Mixtures of any families as the EM loop sees them: accumulate, then maximise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..exceptions import LikelihoodError
from .base import Family
from .data import Sample
from .domains import SIMPLEX
from .exponential_family import Moments
from .passes import Sums, Threaded, each_block, total

FloatArray = NDArray[Any]

# Added to the responsibilities where a component is without points: it takes the distribution of
# all rows then, with a mixing weight of 0, instead of none. It is lost in any other sum.
_TRACE = 1e-290


@dataclass(frozen=True, eq=False)
class MixtureStatistics(Threaded):
    """Expected sufficient statistics of a mixture, that add up.

    Parameters
    ----------
    counts : array of shape (K,)
        Sums of responsibilities times weights.
    parts : Sums
        The statistics of the components, by family.
    log_likelihood : float
    """

    counts: FloatArray
    parts: Sums
    log_likelihood: float

    def __add__(self, other: MixtureStatistics) -> MixtureStatistics:
        return MixtureStatistics(
            self.counts + other.counts,
            self.parts + other.parts,
            self.log_likelihood + other.log_likelihood,
        )

    def on_threads(self, n_threads: int) -> MixtureStatistics:
        return replace(self, parts=self.parts.on_threads(n_threads))


@dataclass(frozen=True, eq=False)
class FamilyMixture:
    """A mixture of distributions. Immutable: `maximise` returns another one.

    Parameters
    ----------
    weights : array of shape (K,)
    parts : tuple of Family
        Their members, one after the other, are the K components.
    """

    weights: FloatArray
    parts: tuple[Family, ...]

    @classmethod
    def of(cls, weights: FloatArray, distributions: Sequence[Family]) -> FamilyMixture:
        """Of single distributions; neighbours of one family become members of it."""
        groups = (list(group) for _, group in groupby(distributions, key=attrgetter("kind")))
        return cls._with(weights, tuple(group[0].stacked(group) for group in groups))

    @classmethod
    def starting(
        cls, families: Sequence[Family], data: Sample, responsibilities: FloatArray
    ) -> FamilyMixture:
        """The maximum likelihood of families without parameters, responsibilities (n, K) given."""
        groups = [list(group) for _, group in groupby(families, key=attrgetter("kind"))]
        parts = tuple(group[0] for group in groups)
        slices = _slices([len(group) for group in groups])
        everywhere = data.inside(parts)

        def of_block(rows: slice, trace: float) -> MixtureStatistics:
            r = responsibilities[rows] + trace
            if data.sample_weight is not None:
                r *= data.sample_weight[rows, None]
            inside = [None if mask is None else mask[rows] for mask in everywhere]
            theirs = _accumulated(parts, slices, data.X[rows], r, inside)
            return MixtureStatistics(r.sum(axis=0), theirs, 0.0)

        found = _totalled(of_block, data, responsibilities.shape[1])
        fitted = [part.maximise(its) for part, its in zip(parts, found.parts, strict=True)]
        return cls._with(found.counts / found.counts.sum(), tuple(fitted))

    @classmethod
    def _with(cls, weights: FloatArray, parts: tuple[Family, ...]) -> FamilyMixture:
        """By the compiled kernels, where they know the family."""
        if len(parts) == 1 and (own := parts[0].mixture_model(weights)) is not None:
            mixture: FamilyMixture = own
            return mixture
        if len(parts) == 1 and parts[0].exponential:
            return LinearMixture(weights, parts)
        return FamilyMixture(weights, parts)

    @property
    def distributions(self) -> list[Family]:
        """The components one by one."""
        return [part.member(k).scalar() for part in self.parts for k in range(part.n_members)]

    @property
    def _slices(self) -> list[slice]:
        """Which components are of each part."""
        return _slices([part.n_members for part in self.parts])

    def with_parameters(self, weights: FloatArray, parts: tuple[Family, ...]) -> Self:
        """The same with other parameters."""
        return type(self)(weights, parts)

    def log_joint(self, X: FloatArray, inside: Sequence[Any]) -> FloatArray:
        """log weight_k + log p_k(x), (n, K); inside: of each part, which rows are in its support,
        None for all."""
        with np.errstate(divide="ignore"):  # a weight of 0 is a component without points
            log_weights = np.log(self.weights)
        joint = np.full((len(X), len(log_weights)), -np.inf)
        for part, its, rows in zip(self.parts, self._slices, inside, strict=True):
            if rows is None:
                joint[:, its] = part.log_densities(X)
            else:
                joint[rows, its] = part.log_densities(X[rows])
        joint += log_weights
        return joint

    def accumulate(self, data: Sample) -> MixtureStatistics:
        """E-step: expected sufficient statistics and the log-likelihood of these parameters.

        Raises
        ------
        LikelihoodError
            If a row has the probability 0.
        """
        everywhere = data.inside(self.parts)

        def of_block(rows: slice, trace: float) -> MixtureStatistics:
            X = data.X[rows]
            inside = [None if mask is None else mask[rows] for mask in everywhere]
            joint = self.log_joint(X, inside)
            if data.labels is not None:
                _only_the_labelled(joint, data.labels[rows])
            log_likelihood, r = _normalised(joint)
            weight = None if data.sample_weight is None else data.sample_weight[rows]
            if not (good := np.isfinite(log_likelihood)).all():
                bad = good.argmin()
                raise LikelihoodError(
                    f"row {rows.start + bad} has the probability 0 under every component (its "
                    f"log-density is {log_likelihood[bad]}): remove it, or choose families that "
                    "have such values"
                )
            if weight is not None:
                r *= weight[:, None]
            counts = r.sum(axis=0)
            r += trace
            parts = _accumulated(self.parts, self._slices, X, r, inside)
            summed = log_likelihood.sum() if weight is None else log_likelihood @ weight
            return MixtureStatistics(counts, parts, float(summed))

        return _totalled(of_block, data, len(self.weights))

    def maximise(self, statistics: MixtureStatistics) -> Self:
        """M-step: the weighted maximum likelihood of every component.

        Raises
        ------
        DegenerateFitError
            If a component has none.
        """
        parts = tuple(
            part.maximise(its) for part, its in zip(self.parts, statistics.parts, strict=True)
        )
        return self.with_parameters(statistics.counts / statistics.counts.sum(), parts)

    def score(
        self,
        X: FloatArray,
        n_threads: int = 1,
        *,
        log_likelihood: bool = False,
        responsibilities: bool = False,
        labels: bool = False,
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Log-likelihoods, responsibilities and labels of rows; empty arrays for the rest.

        A row outside every support has the log-likelihood -inf, equal responsibilities and the
        label 0.
        """
        n, K = len(X), len(self.weights)
        out = (
            np.empty(n if log_likelihood else 0),
            np.empty((n if responsibilities else 0, K)),
            np.empty(n if labels else 0, dtype=np.int64),
        )

        def of_block(rows: slice) -> None:
            block = X[rows]
            inside = [part.inside(block) for part in self.parts]
            joint = self.log_joint(block, [None if i.all() else i for i in inside])
            if labels:
                out[2][rows] = joint.argmax(axis=1)
            if log_likelihood or responsibilities:
                sums, r = _normalised(joint)
                if log_likelihood:
                    out[0][rows] = sums
                if responsibilities:
                    out[1][rows] = r

        each_block(of_block, n, max(X.shape[1], K), n_threads)
        return out

    @property
    def n_parameters(self) -> int:
        """Free parameters: those of the components, and the weights but one."""
        return len(self.weights) - 1 + sum(part.n_parameters_together for part in self.parts)

    def unconstrained(self) -> FloatArray:
        """All parameters as free numbers, for acceleration and standard errors."""
        parts = [part.unconstrained().ravel() for part in self.parts]
        return np.concatenate([SIMPLEX.to_free(self.weights), *parts])

    def from_unconstrained(self, free: FloatArray) -> Self:
        """The inverse of `unconstrained`."""
        begin = len(self.weights) - 1
        weights = SIMPLEX.from_free(free[:begin], self.weights.shape)
        parts = []
        for part in self.parts:
            end = begin + part.unconstrained().size
            theirs = free[begin:end].reshape(part.n_members, -1)
            parts.append(part.from_unconstrained(theirs))
            begin = end
        return self.with_parameters(weights, tuple(parts))


class LinearMixture(FamilyMixture):
    """Of one exponential family: the compiled kernel reads T(x) and computes T(x) eta - A."""

    def accumulate(self, data: Sample) -> MixtureStatistics:
        if data.labels is not None:
            return super().accumulate(data)
        part: Any = self.parts[0]
        workspace, base = data.linear(part)
        eta, partition = part.coefficients()
        shift = workspace.rows.shift
        with np.errstate(divide="ignore"):
            constants = np.log(self.weights) - partition + eta @ shift
        counts, first, _, log_likelihood = workspace.accumulate(
            {
                "constants": constants,
                "means": np.ascontiguousarray(eta),
                "precisions_cholesky": np.empty(0),
            }
        )
        sums = first + counts[:, None] * shift
        empty = counts <= 0
        held = np.where(empty, 1.0, counts)
        if empty.any():
            sums[empty] = sums.sum(axis=0) / counts.sum()
        moments = Moments(held, sums, np.zeros_like(counts))
        return MixtureStatistics(counts, Sums([moments]), log_likelihood + base)


def _slices(sizes: Sequence[int]) -> list[slice]:
    ends = np.cumsum(sizes).tolist()
    return [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]


def _totalled(
    of_block: Callable[[slice, float], MixtureStatistics], data: Sample, n_components: int
) -> MixtureStatistics:
    """Statistics of all rows, from those of a block with a trace added to its responsibilities."""
    sizes = data.n_rows, max(data.X.shape[1], n_components), data.n_threads
    statistics = total(lambda rows: of_block(rows, 0.0), *sizes)
    if (statistics.counts > 0).all():
        return statistics
    return total(lambda rows: of_block(rows, _TRACE), *sizes)


def _accumulated(
    parts: Sequence[Family],
    slices: Sequence[slice],
    X: FloatArray,
    r: FloatArray,
    inside: Sequence[Any],
) -> Sums:
    """Statistics of some rows for each part, of those rows that lie in its support."""
    return Sums(
        part.accumulate(X, r[:, its]) if mask is None else part.accumulate(X[mask], r[mask, its])
        for part, its, mask in zip(parts, slices, inside, strict=True)
    )


def _normalised(joint: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Log-likelihoods (n,) and responsibilities (n, K), in the place of the joint densities."""
    top = joint.max(axis=1)
    with np.errstate(invalid="ignore"):  # impossible rows, -inf - -inf
        joint -= top[:, None]
        np.exp(joint, out=joint)
        sums = joint.sum(axis=1)
        joint /= sums[:, None]
        log_likelihood = np.log(sums) + top
    if not (possible := top > -np.inf).all():
        joint[~possible] = 1.0 / joint.shape[1]
        log_likelihood[~possible] = np.where(np.isnan(top[~possible]), np.nan, -np.inf)
    return log_likelihood, joint


def _only_the_labelled(joint: FloatArray, labels: NDArray[np.intp]) -> None:
    """Rows with a label belong to its component."""
    rows = np.flatnonzero(labels >= 0)
    theirs = joint[rows, labels[rows]]
    joint[rows] = -np.inf
    joint[rows, labels[rows]] = theirs
