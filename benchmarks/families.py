"""Mixtures of exponential families: workloads, and the programs that are timed on them.

Data: one statistic T(x) a column, K components with equal weights, rows in random order. The start
is near the truth: weights 1/K, means off by 3 % of theirs at most.

===========  ==============================================================================
name         program
===========  ==============================================================================
fastem       the compiled statistic kernel, `Workspace` with the structure "Linear"; of statistics
             that are all 0 or 1, in float64, `CodedWorkspace`, as a fit chooses it
numpy        NumPy with care: blocks of rows that stay in cache, one exp a pair
logsumexp    NumPy as it is written down: X @ eta.T + c, scipy's logsumexp, exp, R.T @ X
pomegranate  pomegranate 1 (torch), which computes in float32
===========  ==============================================================================
"""

from __future__ import annotations

import importlib
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logit, logsumexp

from benchmarks.numpy_twin import responsibilities_of
from benchmarks.peers import NotOfferedError, Outcome, Parameters, Peer
from fastem._kernels import STRUCTURES
from fastem._kernels.codes import CodedWorkspace, coded
from fastem._kernels.rows import Rows, Workspace

Array = NDArray[np.floating[Any]]

_BLOCK_ELEMENTS = 2**17  # of X and of the responsibilities of a block, as in numpy_twin.py
_SHARES = (1e-12, 1 - 1e-12)  # no logarithm of 0


@dataclass(frozen=True)
class Family:
    """log p(x) = T(x) . eta - A + log h(x), all by the mean of T.

    Attributes
    ----------
    eta, log_partition : callable
        Means (K, D) to natural parameters (K, D), and to A (K,).
    log_base : callable
        Rows (N, D) to the mean of log h.
    draw : callable
        A generator and means (N, D) to rows (N, D).
    distribution : str
        The name in pomegranate; its parameter is the mean.
    """

    eta: Callable[[Array], Array]
    log_partition: Callable[[Array], Array]
    log_base: Callable[[Array], float]
    draw: Callable[[np.random.Generator, Array], Array]
    distribution: str


FAMILIES: dict[str, Family] = {
    "Poisson": Family(
        eta=np.log,
        log_partition=lambda means: means.sum(axis=1),
        log_base=lambda X: -float(gammaln(X + 1).sum(axis=1).mean()),
        draw=lambda rng, means: rng.poisson(means).astype(float),
        distribution="Poisson",
    ),
    "exponential": Family(
        eta=lambda means: -1 / means,
        log_partition=lambda means: np.log(means).sum(axis=1),
        log_base=lambda X: 0.0,
        draw=lambda rng, means: rng.exponential(means),
        distribution="Exponential",
    ),
    "Bernoulli": Family(
        eta=lambda means: logit(means.clip(*_SHARES)),
        log_partition=lambda means: -np.log1p(-means.clip(*_SHARES)).sum(axis=1),
        log_base=lambda X: 0.0,
        draw=lambda rng, means: (rng.uniform(size=means.shape) < means).astype(float),
        distribution="Bernoulli",
    ),
}


@dataclass(frozen=True)
class FamilyProblem:
    """Data, and the means from which EM starts with equal weights."""

    X: Array
    family: Family
    means: Array
    log_base: float


@dataclass(frozen=True)
class FamilyWorkload:
    """A named problem; see `benchmarks.data.Workload`."""

    name: str
    make: Callable[[Any, bool], FamilyProblem]


def workload(name: str, spread: str, D: int, means_of: Callable[..., Array]) -> FamilyWorkload:
    """N = 1e6 rows of K = 16 components with means_of(rng, K, D)."""
    n_rows, K = 1_000_000, 16

    def make(dtype: Any, quick: bool) -> FamilyProblem:
        rng, family = np.random.default_rng(0), FAMILIES[name]
        means = means_of(rng, K, D)
        N = n_rows // 50 if quick else n_rows
        X = family.draw(rng, means[rng.integers(K, size=N)]).astype(dtype)
        # never more than the least distance from 0 and from 1, the ends of the families' ranges
        start = means * rng.uniform(0.97, 1.0, size=means.shape)
        return FamilyProblem(X, family, start, family.log_base(X))

    return FamilyWorkload(f"N=1e6 D={D} K={K} {name} {spread}", make)


def _between(low: float, high: float) -> Callable[..., Array]:
    return lambda rng, K, D: np.geomspace(low, high, K)[:, np.newaxis].repeat(D, axis=1)


WORKLOADS: tuple[FamilyWorkload, ...] = (
    workload("Poisson", "overlapping", 1, _between(3, 30)),
    workload("Poisson", "separated", 1, _between(1, 1e5)),
    workload("exponential", "overlapping", 1, _between(0.1, 10)),
    workload("exponential", "separated", 1, _between(1e-9, 1e9)),
    workload("Bernoulli", "overlapping", 50, lambda rng, K, D: rng.uniform(0.35, 0.65, (K, D))),
    workload(
        "Bernoulli",
        "separated",
        50,
        lambda rng, K, D: rng.beta(0.05, 0.05, (K, D)).clip(1e-3, 1 - 1e-3),
    ),
)


class FamilyPeer(Peer):
    """A program that runs EM from given means; it is asked for nothing else."""

    has_initialisation = False

    def fit_default(self, problem: Any, seed: int) -> Outcome:
        raise NotOfferedError("no fit from scratch")

    def predictor(self, problem: Any) -> Any:
        raise NotOfferedError("no predict")


class Statistics(FamilyPeer):
    """EM on the sums of r and of r T, however they come about."""

    @abstractmethod
    def expectation(self, problem: FamilyProblem) -> Callable[..., tuple[Array, Array, float]]:
        """Return a function from constants (K,) and eta (K, D) to counts, first moments, log L."""

    def fit_from(self, problem: Any, n_iter: int) -> Outcome:
        family, means = problem.family, problem.means
        weights = np.full(len(means), 1 / len(means))
        expectation = self.expectation(problem)
        for _ in range(n_iter):
            constants = np.log(weights) - family.log_partition(means)
            counts, first, total = expectation(constants, np.ascontiguousarray(family.eta(means)))
            weights, means = counts / counts.sum(), first / counts[:, np.newaxis]
        mean = total / len(problem.X) + problem.log_base
        return Outcome(Parameters(weights, means, np.empty(0)), n_iter, mean)


class Kernel(Statistics):
    """fastem's kernel, driven by hand."""

    name = "fastem"
    distribution = "fastem"
    module = "fastem"
    install = "pip install -e ."

    def expectation(self, problem: FamilyProblem) -> Callable[..., tuple[Array, Array, float]]:
        workspace: Workspace | CodedWorkspace
        K, codes = len(problem.means), None
        if problem.X.dtype == np.float64:
            codes = coded(problem.X, None, self.n_threads)
        if codes is not None:
            workspace = CodedWorkspace(codes, K)
        else:
            workspace = Workspace(Rows(problem.X, None, self.n_threads), STRUCTURES["Linear"], K)
            workspace.begin()
        shift = workspace.rows.shift

        def expectation(constants: Array, eta: Array) -> tuple[Array, Array, float]:
            counts, first, _, total = workspace.accumulate(
                {
                    "constants": constants + eta @ shift,
                    "means": eta,
                    "precisions_cholesky": np.empty(0),
                }
            )
            return counts, first + counts[:, np.newaxis] * shift, total

        return expectation


class Blocks(Statistics):
    """NumPy, a block of rows at a time."""

    name = "numpy"
    distribution = "numpy"
    module = "numpy"
    install = "pip install numpy"

    def expectation(self, problem: FamilyProblem) -> Callable[..., tuple[Array, Array, float]]:
        X = problem.X

        def expectation(constants: Array, eta: Array) -> tuple[Array, Array, float]:
            counts, first, total = np.zeros(len(eta)), np.zeros(eta.shape), 0.0
            n = _BLOCK_ELEMENTS // sum(eta.shape)
            for begin in range(0, len(X), n):
                block = X[begin : begin + n]
                log_joint = block @ eta.T
                log_joint += constants
                r, log_likelihood = responsibilities_of(log_joint)
                counts += r.sum(axis=0)
                first += r.T @ block
                total += log_likelihood
            return counts, first, total

        return expectation


class OneLiners(Statistics):
    """NumPy and SciPy, a line a formula."""

    name = "logsumexp"
    distribution = "scipy"
    module = "scipy"
    install = "pip install scipy"

    def expectation(self, problem: FamilyProblem) -> Callable[..., tuple[Array, Array, float]]:
        X = problem.X

        def expectation(constants: Array, eta: Array) -> tuple[Array, Array, float]:
            log_joint = X @ eta.T + constants
            log_likelihood = logsumexp(log_joint, axis=1)
            r = np.exp(log_joint - log_likelihood[:, np.newaxis])
            return r.sum(axis=0), r.T @ X, float(log_likelihood.sum())

        return expectation


class Pomegranate(FamilyPeer):
    """pomegranate 1, by the two steps that its own ``fit`` repeats."""

    name = "pomegranate"
    distribution = "pomegranate"
    module = "pomegranate.gmm"
    install = "pip install pomegranate"

    def fit_from(self, problem: Any, n_iter: int) -> Outcome:
        torch = importlib.import_module("torch")
        distributions = importlib.import_module("pomegranate.distributions")
        torch.set_num_threads(self.n_threads)
        distribution = getattr(distributions, problem.family.distribution)
        X = torch.tensor(problem.X, dtype=torch.float32)
        start = torch.tensor(problem.means, dtype=torch.float32)
        model = importlib.import_module(self.module).GeneralMixtureModel(
            [distribution(mean) for mean in start], priors=[1 / len(start)] * len(start)
        )
        for _ in range(n_iter):
            total = model.summarize(X)
            model.from_summaries()
        return Outcome(Parameters(*3 * (np.empty(0),)), n_iter, float(total) / len(X))


PROGRAMS: tuple[type[FamilyPeer], ...] = (Kernel, Blocks, OneLiners, Pomegranate)
