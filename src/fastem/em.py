"""The only EM loop: any model that can accumulate statistics and maximise them.

A model is anything with

    accumulate(data) -> statistics     # with an attribute log_likelihood: E-step
    maximise(statistics) -> model      # M-step

and, where its M-step maximises more than the likelihood, one or both of

    log_prior -> float                 # log-density of a prior at its parameters
    penalty(statistics) -> float       # a penalty that depends on the statistics

The loop holds no state: it returns a frozen `EMResult`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import numpy as np

from .exceptions import IllDefinedCovarianceError, LikelihoodError

__all__ = [
    "REASONS",
    "Callback",
    "Convergence",
    "EMResult",
    "best_of",
    "run",
    "run_many",
    "run_restarts",
]

#: reason -> what it means, in words for people
REASONS = {
    "tolerance": "the log-likelihood changed by less than the tolerance",
    "max_iter": "the maximum number of iterations was reached",
    "likelihood_decreased": "the log-likelihood fell, which EM cannot do in exact arithmetic",
    "interrupted": "a callback stopped it",
}

#: called after each iteration with its number (from 1), the log-likelihood and its change (NaN at
#: the first); returning True stops the fit
Callback = Callable[[int, float, float], Any]


M = TypeVar("M")


@dataclass(frozen=True)
class Convergence:
    """When to stop, decided from the trace alone.

    Parameters
    ----------
    tol : float, default=1e-3
        Converged when the log-likelihood times `scale` changes by less.
    max_iter : int, default=100
        Iterations at most.
    scale : float or array, default=1
        Factor from the log-likelihood to what `tol` refers to: 1 / (sum of weights) makes it the
        mean per sample. An array holds one for each of many models: `fell` and `met` then take
        and return arrays.
    rounding : float, default=1e-10
        Fall of the log-likelihood that is put down to rounding, relative to its size or to
        1 / `scale`, whichever is larger.
    """

    tol: float = 1e-3
    max_iter: int = 100
    scale: Any = 1.0
    rounding: float = 1e-10

    def fell(self, log_likelihood: Any, previous: Any, allowed: Any) -> Any:
        """Whether the log-likelihood fell by more than rounding and a penalty explain."""
        fall = previous - log_likelihood - allowed
        # 1 / scale keeps the allowance from vanishing where the terms of the sum cancel
        return (fall > self.rounding / self.scale) & (fall > self.rounding * abs(previous))

    def met(self, change: Any) -> Any:
        """Whether a change of the log-likelihood is within the tolerance."""
        return abs(change) * self.scale < self.tol

    def reason(self, iteration: int, change: float) -> str | None:
        """Why to stop after this iteration; None to go on."""
        if self.met(change):
            return "tolerance"
        return "max_iter" if iteration >= self.max_iter else None


@dataclass(frozen=True)
class EMResult(Generic[M]):
    """What a run of EM found.

    Parameters
    ----------
    model
        The fitted model.
    log_likelihoods : tuple of float
        One an iteration, of the parameters that the iteration began with; with the log of the prior
        added where the model has one.
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
    """

    model: M
    log_likelihoods: tuple[float, ...]
    reason: str
    dropped: tuple[str, ...] = field(default=())
    skipped: float = 0.0
    seconds: Mapping[str, float] = field(default_factory=dict)
    n_starts: int = 1

    @property
    def converged(self) -> bool:
        """Whether the tolerance was met: set by the test itself, never by the iteration count."""
        return self.reason == "tolerance"

    @property
    def n_iter(self) -> int:
        """Iterations, each an E-step and an M-step."""
        return len(self.log_likelihoods)

    @property
    def log_likelihood(self) -> float:
        """The last of the trace; -inf for a run without iterations."""
        return self.log_likelihoods[-1] if self.log_likelihoods else -math.inf


def run(
    model: Any,
    data: Any,
    *,
    convergence: Convergence | None = None,
    callbacks: Sequence[Callback] = (),
    previous: float = math.nan,
) -> EMResult[Any]:
    """Fit a model by expectation-maximisation.

    Parameters
    ----------
    model
        Start; see the module's docstring for what it must have.
    data
        Handed to `model.accumulate` as it is. Its attribute `skipped`, where it has one, is the
        share of the work that the last E-step left out.
    convergence : Convergence, optional
        When to stop.
    callbacks : sequence of callable
        Each called after each iteration as `callback(iteration, log_likelihood, change)`; one that
        returns True stops the fit with the reason "interrupted".
    previous : float, optional
        Log-likelihood before the first iteration, where the start is a fit to be continued.

    Returns
    -------
    EMResult

    References
    ----------
    Dempster, Laird, Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm,
    JRSS B 39, 1-38.
    """
    convergence = convergence or Convergence()
    trace: list[float] = []
    reason, skipped = "max_iter", 0.0
    seconds = dict.fromkeys(("e_step", "m_step"), 0.0)
    before, explained = model, None  # nothing is known of the step that led to the start
    for iteration in range(1, convergence.max_iter + 1):
        began = time.perf_counter()
        statistics = model.accumulate(data)
        between = time.perf_counter()
        seconds["e_step"] += between - began
        log_likelihood = statistics.log_likelihood + getattr(model, "log_prior", 0.0)
        if math.isnan(log_likelihood):  # would win, or lose, every comparison
            raise LikelihoodError("the log-likelihood became NaN")
        change = log_likelihood - previous
        if change < 0 and explained is not None:
            allowed = _explained_fall(before, model, explained)
            if convergence.fell(log_likelihood, previous, allowed):
                # the parameters before the step were the better ones
                model, reason = before, "likelihood_decreased"
                break
        trace.append(log_likelihood)
        skipped += getattr(data, "skipped", 0.0)
        before, model, explained = model, model.maximise(statistics), statistics
        seconds["m_step"] += time.perf_counter() - between
        previous = log_likelihood
        # every callback hears of every iteration, also of the last
        asked = [callback(iteration, log_likelihood, change) for callback in callbacks]
        stop = convergence.reason(iteration, change)
        if stop is None and any(isinstance(a, bool | np.bool_) and a for a in asked):
            stop = "interrupted"
        if stop is not None:
            reason = stop
            break
    return EMResult(
        model, tuple(trace), reason, skipped=skipped / max(1, len(trace)), seconds=seconds
    )


def _explained_fall(before: Any, after: Any, statistics: Any) -> Any:
    """How far a penalty in the M-step may lower the log-likelihood.

    The M-step does not lower Q + penalty, and the log-likelihood rises at least as far as Q: what
    the penalty gained is the most that the log-likelihood can have lost.
    """
    if not hasattr(before, "penalty"):
        return 0.0
    return np.fmax(0.0, after.penalty(statistics) - before.penalty(statistics))


def run_restarts(
    starts: Iterable[Callable[[], Any]],
    data: Any,
    *,
    convergence: Convergence | None = None,
    callbacks: Sequence[Callback] = (),
    previous: float = math.nan,
    finished: Callable[[EMResult[Any]], None] | None = None,
) -> EMResult[Any]:
    """The best of several runs, by the last log-likelihood.

    A restart that fails numerically is dropped and does not spoil the others: `EMResult.dropped`
    tells what went wrong. If all fail, the first error is raised.

    Parameters
    ----------
    starts : iterable of callable
        Each returns a start, made only when its turn comes.
    data, convergence, callbacks, previous
        As for `run`.
    finished : callable, optional
        Called with the result of each run.

    Returns
    -------
    EMResult
        Of the best run; the first wins a tie.
    """

    def outcomes() -> Iterator[EMResult[Any] | Exception]:
        for start in starts:
            began = time.perf_counter()
            try:
                model = start()
                seconds = time.perf_counter() - began
                result = run(
                    model, data, convergence=convergence, callbacks=callbacks, previous=previous
                )
            except (IllDefinedCovarianceError, LikelihoodError) as error:
                yield error
                continue
            result = replace(result, seconds={"start": seconds, **result.seconds})
            if finished is not None:
                finished(result)
            yield result

    return best_of(outcomes())


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


def run_many(
    models: Any,
    data: Any,
    *,
    convergence: Convergence | None = None,
    seconds: Mapping[str, float] | None = None,
) -> list[EMResult[Any] | Exception]:
    """Fit many models by expectation-maximisation, side by side.

    Every one is fitted as `run` would fit it alone, and leaves the others when it has converged or
    failed, so that an iteration is one call of each step for all that are still running.

    Parameters
    ----------
    models
        The starts: what has `len`, `models[member]`, `models.only(chosen)`, and `models.errors`, a
        mapping from the members that failed to their exceptions, besides `accumulate`, `maximise`
        and `penalty`, of which the numbers are arrays, one for each member. Neither step raises
        an error of a member.
    data
        What `models.accumulate` takes, with `data.only(chosen)`.
    convergence : Convergence, optional
        When to stop; its `scale` may be an array, one for each member.
    seconds : mapping, optional
        Time that was spent on each member before, by phase.

    Returns
    -------
    list of EMResult or exception
        What came of each member, in their order.
    """
    convergence = convergence or Convergence()
    outcomes: list[Any] = [None] * len(models)
    traces: list[tuple[Any, Any]] = []  # of each iteration: members, log-likelihoods
    members = np.arange(len(models))
    scale = np.broadcast_to(convergence.scale, members.shape)
    previous, allowed = np.full(members.shape, math.nan), np.full(members.shape, math.inf)
    before, errors = models, models.errors
    going = np.ones(members.shape, dtype=bool)
    phases = dict.fromkeys(("e_step", "m_step"), 0.0)  # of all members
    # what a member that failed computes until it is left out means nothing
    with np.errstate(all="ignore"):
        for iteration in range(convergence.max_iter + 1):
            for i, error in errors.items():
                outcomes[members[i]], going[i] = error, False
            if not going.all():
                members, scale, previous, allowed = (
                    values[going] for values in (members, scale, previous, allowed)
                )
                models, before, data = models.only(going), before.only(going), data.only(going)
            if not len(members) or iteration == convergence.max_iter:
                break
            now = replace(convergence, scale=scale)
            began = time.perf_counter()
            statistics = models.accumulate(data)
            between = time.perf_counter()
            log_likelihood = statistics.log_likelihood + getattr(models, "log_prior", 0.0)
            fell = now.fell(log_likelihood, previous, allowed) & np.isfinite(log_likelihood)
            met = now.met(log_likelihood - previous) & ~fell
            going = ~(met | fell)
            after = models.maximise(statistics)
            phases["e_step"] += between - began
            phases["m_step"] += time.perf_counter() - between
            errors = {i: error for i, error in after.errors.items() if not fell[i]}
            for i in np.flatnonzero(~going):
                outcomes[members[i]] = (
                    # the parameters before the last step were the better ones
                    (before[i], "likelihood_decreased") if fell[i] else (after[i], "tolerance")
                )
            traces.append((members[~fell], log_likelihood[~fell]))
            allowed = _explained_fall(models, after, statistics)
            models, before, previous = after, models, log_likelihood
    for i, member in enumerate(members):
        outcomes[member] = (models[i], "max_iter")
    share = {phase: total / max(1, len(outcomes)) for phase, total in phases.items()}
    return _with_traces(outcomes, traces, {**(seconds or {}), **share})


def _with_traces(
    outcomes: list[Any], traces: list[tuple[Any, Any]], seconds: Mapping[str, float]
) -> list[Any]:
    """Results from (model, reason) of each member and the log-likelihoods of each iteration."""
    members = np.concatenate([np.empty(0, dtype=np.intp), *(who for who, _ in traces)])
    values = np.concatenate([np.empty(0), *(values for _, values in traces)])
    values = values[np.argsort(members, kind="stable")]
    ends = np.cumsum(np.bincount(members, minlength=len(outcomes)))
    begin = 0
    for i, (outcome, end) in enumerate(zip(outcomes, ends.tolist(), strict=True)):
        if not isinstance(outcome, Exception):
            model, reason = outcome
            trace = tuple(values[begin:end].tolist())
            outcomes[i] = EMResult(model, trace, reason, seconds=seconds)
        begin = end
    return outcomes
