"""EM beside its accelerations: E-steps and time until the log-likelihood is the same.

From one start, plain EM, SQUAREM and Anderson's mixing run until the log-likelihood, the sum over
all rows, is within 0.001 of the highest that any of them reaches in a long run. E-steps count what
each costs, those of proposals that were refused included. A method that ends in another maximum,
and so never comes there, is named by "lower".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import gammaln, logsumexp

from benchmarks.data import Problem, Workload, gaussian
from benchmarks.measure import in_turn
from benchmarks.peers import FastEM, Peer
from benchmarks.report import milliseconds, number, progress
from fastem import em
from fastem._kernels.rows import Rows, Workspace
from fastem.acceleration import ACCELERATORS
from fastem.covariances import COVARIANCES
from fastem.families import GaussianMixtureModel, Regularisation

_METHODS: tuple[str | None, ...] = (None, *ACCELERATORS)
_NEAR = 1e-3  # nats, of all rows together
_MOST = 10_000


@dataclass(frozen=True)
class Poissons:
    """A mixture of Poisson distributions as a user would write it down."""

    shares: np.ndarray
    means: np.ndarray

    def _log_joint(self) -> Any:
        n = np.arange(10)
        log_density = n * np.log(self.means)[:, None] - self.means[:, None] - gammaln(n + 1)
        return np.log(self.shares)[:, None] + log_density

    def e_step(self, counts: Any) -> Any:
        """Counts of each component, expected, and the log-likelihood."""
        joint = self._log_joint()
        total = logsumexp(joint, axis=0)
        return {"each": counts * np.exp(joint - total), "log_likelihood": float(counts @ total)}

    def m_step(self, statistics: Any) -> Poissons:
        """Shares and means."""
        each = statistics["each"]
        totals = each.sum(axis=1)
        return Poissons(totals / totals.sum(), each @ np.arange(10) / totals)


@dataclass(frozen=True)
class Counts:
    """Hasselblad's (1969) deaths a day, and a start."""

    days: np.ndarray
    start: Poissons


def hasselblad() -> Workload:
    """Describe the mixture of two Poisson distributions of Hasselblad (1969)."""
    days = np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1.0])
    start = Poissons(np.array([0.3, 0.7]), np.array([1.0, 2.5]))
    return Workload("Hasselblad, 2 Poisson", lambda dtype, quick: Counts(days, start))


SLOW: tuple[Workload, ...] = (
    hasselblad(),
    gaussian(20_000, 2, 4, "full", 1.0),
    gaussian(50_000, 4, 6, "full", 1.0),
    gaussian(100_000, 8, 8, "full", 1.0),
    gaussian(20_000, 8, 5, "full", 0.1),
    gaussian(50_000, 4, 6, "tied", 1.0),
    gaussian(50_000, 4, 8, "diag", 1.0),
    gaussian(50_000, 2, 6, "spherical", 1.0),
)


def measure(problem: Any, peers: Sequence[Peer], rounds: int, settings: object) -> list[str]:
    """Count E-steps and time runs to one log-likelihood."""
    ours = [peer for peer in peers if isinstance(peer, FastEM)]
    if not ours:
        return ["-"] * (3 * len(_METHODS) - 1)
    start, data = _start(problem, ours[0].n_threads)

    def run(method: str | None, target: float, tol: float) -> em.EMResult[Any]:
        convergence = em.Convergence(tol, _MOST)
        return em.run(
            start,
            data(),
            convergence=convergence,
            accelerate=method,
            callbacks=[lambda iteration, value, change: bool(value >= target)],
        )

    best = max(run(method, np.inf, 1e-6).log_likelihood for method in _METHODS)
    target = best - _NEAR
    steps: dict[str | None, int] = {}

    def task(method: str | None) -> Callable[[], float]:
        def timed() -> float:
            begin = time.perf_counter()
            result = run(method, target, 0.0)
            seconds = time.perf_counter() - begin
            if result.log_likelihood < target:
                steps[method] = -1
            else:
                steps[method] = result.n_iter + result.rejected
            return seconds

        return timed

    samples = in_turn({str(method): task(method) for method in _METHODS}, rounds)
    plain = samples[str(None)]
    cells = []
    for method in _METHODS:
        mine = samples[str(method)]
        cells += ["lower" if steps[method] < 0 else str(steps[method]), milliseconds(mine.median)]
        if method is not None:
            cells.append(number(plain.ratio_to(mine), "x"))
    progress(f"log-likelihood {target:.6f}: {steps}")
    return cells


def header(peers: Sequence[Peer]) -> list[str]:
    """Name the columns of `measure`."""
    names = []
    for method in _METHODS:
        name = method or "EM"
        names += [f"{name} E-steps", f"{name} ms", *([] if method is None else ["sooner"])]
    return names


def _start(problem: Any, n_threads: int) -> tuple[Any, Callable[[], Any]]:
    """The model to begin with, and what makes its data: a workspace anew, as in a fit."""
    if isinstance(problem, Counts):
        return problem.start, lambda: problem.days
    return _gaussian_start(problem, n_threads)


def _gaussian_start(problem: Problem, n_threads: int) -> tuple[Any, Callable[[], Any]]:
    structure = COVARIANCES[problem.structure]
    rows = Rows(problem.X, None, n_threads)
    K, D = problem.means.shape
    # not so near the truth as the start of the other groups: EM would be there at once
    away = 0.5 * np.random.default_rng(0).standard_normal((K, D))
    start = GaussianMixtureModel(
        structure,
        problem.weights,
        problem.means + away - rows.shift,
        problem.covariances,
        structure.precisions_cholesky(problem.covariances),
        Regularisation(np.full(D, 1e-6)),
        n_threads,
    )

    def data() -> Workspace:
        workspace = Workspace(rows, structure.kernel, K)
        workspace.begin()
        return workspace

    return start, data
