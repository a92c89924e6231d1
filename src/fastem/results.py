"""What a run of EM found, and the best of several."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from .convergence import estimated_rate
from .inference import Information, information
from .user_models import UserModel

M = TypeVar("M")


@dataclass(frozen=True, repr=False)
class EMResult(Generic[M]):
    """What a run of EM found.

    Parameters
    ----------
    model
        The fitted model.
    log_likelihoods : tuple of float
        One an iteration, of the parameters that the iteration began with; with the log of the prior
        added where the model has one. Empty for a model without a log-likelihood.
    reason : str
        Why it stopped, a key of `REASONS`.
    dropped : tuple of str
        What went wrong in each restart that had to be given up.
    skipped : float
        Share of the E-step's work that was left out because it could not matter, from 0 to 1, where
        the data tell of it; for a mixture, of all pairs of a row and a component.
    seconds : mapping of str to float
        Time in each of the phases "start" (making a start), "e_step" and "m_step", of all restarts.
    n_starts : int
        Runs that this is the best of, those dropped included.
    changes : tuple of float
        Largest relative change of the parameters in each iteration, from where its E-step was to
        what its M-step made of it; empty for the models of this library, which need none.
    accepted, rejected : int
        Proposals of the acceleration that were taken, and that cost an E-step but were not.
    """

    model: M
    log_likelihoods: tuple[float, ...]
    reason: str
    dropped: tuple[str, ...] = field(default=())
    skipped: float = 0.0
    seconds: Mapping[str, float] = field(default_factory=dict)
    n_starts: int = 1
    changes: tuple[float, ...] = field(default=(), repr=False)
    accepted: int = 0
    rejected: int = 0

    def __repr__(self) -> str:
        """Without the trace, which may have thousands of numbers."""
        return (
            f"EMResult(reason={self.reason!r}, n_iter={self.n_iter}, "
            f"log_likelihood={self.log_likelihood:.10g}, model={self.model!r})"
        )

    @property
    def converged(self) -> bool:
        """Whether the tolerance was met: set by the test itself, never by the iteration count."""
        return self.reason == "tolerance"

    @property
    def n_iter(self) -> int:
        """Iterations, each an E-step and an M-step; those of this run, where it was continued."""
        return max(len(self.log_likelihoods), len(self.changes))

    @property
    def log_likelihood(self) -> float:
        """The last of the trace; -inf for a run without iterations, NaN for a model without one."""
        if self.log_likelihoods:
            return self.log_likelihoods[-1]
        return math.nan if self.changes else -math.inf

    @property
    def rate(self) -> float:
        """The factor by which an EM step reduces the error near the fit: the missing information.

        Estimated from the last two changes of the parameters, or of the log-likelihood where these
        are not known; NaN where the run was too short or accelerated.
        """
        return math.nan if self.accepted else estimated_rate(self.changes, self.log_likelihoods)

    def information(self, data: Any, *, method: str = "auto") -> Information:
        """Observed information and standard errors of the parameters, in the user's own terms.

        Parameters
        ----------
        data
            The data of the run.
        method : {"auto", "numerical", "sem"}, default="auto"
            "numerical": the Hessian of the log-likelihood, by central differences with Richardson
            extrapolation. "sem": the supplemented EM algorithm, from the derivatives of the EM step
            and the information of the complete data; the model then has
            `complete_log_likelihood(statistics)` (the expected log-likelihood of the complete data
            at its parameters) or `complete_information(statistics)` (minus its Hessian). "auto":
            "numerical" where the model has a log-likelihood, else "sem".

        Returns
        -------
        Information

        Raises
        ------
        TypeError
            If the model lacks what the method needs.
        ValueError
            If the log-likelihood is not level at the fit: it has not converged, or the parameters
            are bound to each other, or at an end of their range.

        References
        ----------
        Meng, Rubin (1991), Using EM to obtain asymptotic variance-covariance matrices: the SEM
        algorithm, JASA 86, 899-909.
        """
        return information(UserModel(self.model), data, method)

    def standard_errors(self, data: Any, *, method: str = "auto") -> dict[str, float]:
        """Standard errors by the names of the parameters; see `information`."""
        found = self.information(data, method=method)
        return dict(zip(found.names, found.standard_errors.tolist(), strict=True))


def best_of(outcomes: Iterable[EMResult[Any] | Exception]) -> EMResult[Any]:
    """The best of several runs, some of which may have failed; see `run_restarts`."""
    best: EMResult[Any] | None = None
    errors: list[Exception] = []
    seconds: dict[str, float] = {}
    n_starts = 0
    for outcome in outcomes:
        n_starts += 1
        if isinstance(outcome, Exception):
            errors.append(outcome)
            continue
        for phase, time_in_it in outcome.seconds.items():
            seconds[phase] = seconds.get(phase, 0.0) + time_in_it
        if best is None or outcome.log_likelihood > best.log_likelihood:
            best = outcome
    if best is None:
        raise errors[0] if errors else ValueError("no start was given")
    if n_starts == 1:
        return best
    return replace(best, dropped=tuple(map(str, errors)), seconds=seconds, n_starts=n_starts)
