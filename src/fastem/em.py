"""The only EM loop: any model that has an E-step and an M-step.

A model is anything with ::

    e_step(data) -> statistics         # whatever the M-step takes: numbers, arrays, dicts, ...
    m_step(statistics) -> model        # the model with the next parameters

and, where it can, `log_likelihood(data) -> float`, a property of that name, or an attribute or key
`log_likelihood` of the statistics. `accumulate` and `maximise` are other names for the two: those
of the models of this library. Where the M-step maximises more than the likelihood, it also has one
or both of ::

    log_prior -> float                 # log-density of a prior at its parameters
    penalty(statistics) -> float       # a penalty that depends on the statistics

and, to be accelerated in an unconstrained parametrisation, ::

    unconstrained() -> array           # of shape (n,): any numbers there are parameters
    from_unconstrained(array) -> model

The loop holds no state: it returns a frozen `EMResult`.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np

from ._files import StrPath
from .acceleration import accelerator
from .checkpoints import Checkpoint, Recorder, State
from .convergence import REASONS, Convergence, Movement
from .exceptions import DegenerateFitError, LikelihoodError
from .results import EMResult, best_of
from .user_models import UserModel, has_space, steps_of

__all__ = [
    "REASONS",
    "Callback",
    "Checkpoint",
    "Convergence",
    "EMResult",
    "best_of",
    "run",
    "run_many",
    "run_restarts",
]

#: called after each iteration with its number (from 1), the log-likelihood and its change (NaN at
#: the first); returning True stops the fit
Callback = Callable[[int, float, float], Any]

# Of a run that is given no `Convergence`
_TOL = 1e-8
_MAX_ITER = 10_000


def run(
    model: Any,
    data: Any,
    *,
    convergence: Convergence | None = None,
    callbacks: Sequence[Callback] | Callback = (),
    previous: float = math.nan,
    tol: float | None = None,
    max_iter: int | None = None,
    accelerate: str | None = None,
    checkpoint: Checkpoint | StrPath | None = None,
) -> EMResult[Any]:
    """Fit a model by expectation-maximisation.

    Parameters
    ----------
    model
        Start; see the module's docstring for what it must have. One that changes itself in the
        M-step is copied before, so that the start stays what it was. Its parameters are what its
        attribute `parameters` holds, where it has one, else its floating-point fields.
    data
        Handed to the E-step as it is. Its attribute `skipped`, where it has one, is the share of
        the work that the last E-step left out.
    convergence : Convergence, optional
        When to stop, instead of `tol` and `max_iter`.
    callbacks : callable, or sequence of callable
        Each called after each iteration as `callback(iteration, log_likelihood, change)`; one that
        returns True stops the fit with the reason "interrupted". Of a model without a
        log-likelihood the second is NaN and the third the relative change of the parameters.
    previous : float, optional
        Log-likelihood before the first iteration, where the start is a fit to be continued.
    tol : float, default=1e-8
        Converged when an EM step changes neither the log-likelihood, relative to its size or 1,
        nor a parameter, relative to the largest that it has been, by more. Without a log-likelihood
        the parameters decide alone.
    max_iter : int, default=10000
        Iterations at most. (A model with `accumulate` and `maximise` has the defaults of
        `Convergence` if neither `tol` nor `max_iter` is given.)
    accelerate : {"squarem", "anderson"} or None, default=None
        Propose points ahead of EM's, which are taken only if the log-likelihood there is not lower;
        the limits are those of EM, and a plain EM step must meet the tolerance. See
        `fastem.acceleration`. A model without `unconstrained` and `from_unconstrained` is
        accelerated in its parameters as they are; proposals then keep their signs, and stay in
        (0, 1) where EM's own points are.
    checkpoint : Checkpoint, str or path-like, optional
        A file that the parameters and the number of the iteration are written to, at most once a
        second and at the end. Where it exists already, the run goes on from there, as if it had
        never stopped; `max_iter` counts all iterations. (An acceleration begins anew.)

    Returns
    -------
    EMResult

    Raises
    ------
    TypeError
        If the model, or what its steps return, lacks something; the message says what.
    ValueError
        If a keyword cannot be used, or a parameter becomes NaN or infinite.
    LikelihoodError
        If the log-likelihood becomes NaN or plus infinity.
    ModelFileError
        If the checkpoint is damaged or of another model.

    References
    ----------
    Dempster, Laird, Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm,
    JRSS B 39, 1-38.

    Examples
    --------
    >>> from typing import NamedTuple
    >>> class Exponential(NamedTuple):  # of two times one is not known
    ...     rate: float
    ...     def e_step(self, seen): return seen + 1 / self.rate  # the expected sum
    ...     def m_step(self, total): return Exponential(2 / total)
    >>> round(run(Exponential(1.0), 5.0).model.rate, 6)
    0.2
    """
    convergence, wrapped = _prepared(model, convergence, tol, max_iter, accelerate, checkpoint)
    callbacks = _checked_callbacks(callbacks)
    method = accelerator(accelerate)
    recorder = Recorder(checkpoint)
    movement = None
    done = 0
    if wrapped:
        state = recorder.begin(UserModel(model))
        model, done, movement = state.model, state.iteration, Movement(state.sizes)
        previous = state.log_likelihood if done else previous
    trace: list[float] = []
    reason, skipped, moved = "max_iter", 0.0, None
    seconds = dict.fromkeys(("e_step", "m_step"), 0.0)
    before, explained = model, None  # nothing is known of the step that led to the start
    proposal = None
    proposals = {True: 0, False: 0}
    try:
        for number in range(1, convergence.max_iter + 1 - done):
            iteration = done + number
            leap = None
            if method is not None and proposal is not None:
                leap = _leap(model, proposal, data, previous, seconds)
                method.judged(leap is not None)
                proposals[leap is not None] += 1
            if leap is not None:
                at, statistics, log_likelihood, after = leap
                change = log_likelihood - previous
            else:
                at, after = model, None
                statistics, log_likelihood = _e_step(at, data, seconds)
                change = math.nan if log_likelihood is None else log_likelihood - previous
                if change < 0 and explained is not None:
                    allowed = _explained_fall(before, model, explained)
                    if convergence.fell(log_likelihood, previous, allowed):
                        # the parameters before the step were the better ones
                        model, reason = before, "likelihood_decreased"
                        if wrapped:
                            recorder.note(State(model, iteration - 1))
                        break
            if log_likelihood is not None:
                trace.append(log_likelihood)
                previous = log_likelihood
            elif method is not None:
                raise TypeError(
                    "accelerate needs a log-likelihood, to accept or refuse a step: give the model "
                    "a method log_likelihood(data), or leave accelerate out"
                )
            skipped += getattr(data, "skipped", 0.0)
            if after is None:
                after = _m_step(at, statistics, seconds)
            before, model, explained = at, after, statistics
            if movement is not None:
                moved = movement.step(at.leaves(), after.leaves(), log_likelihood is None)
                recorder.note(State(after, iteration, previous, tuple(movement.sizes)))
            # every callback hears of every iteration, also of the last
            shown = (math.nan, moved) if log_likelihood is None else (log_likelihood, change)
            asked = [callback(iteration, *shown) for callback in callbacks]
            met = convergence.met_by_step(change, log_likelihood, moved)
            stop = None
            if met and leap is None:  # only a plain step tells whether EM has converged
                stop = "tolerance"
            elif iteration >= convergence.max_iter:
                stop = "max_iter"
            elif any(isinstance(a, bool | np.bool_) and a for a in asked):
                stop = "interrupted"
            if stop is not None:
                reason = stop
                break
            if method is not None:
                x, g = at.unconstrained(), after.unconstrained()
                if number == 1:  # a model that cannot be made from its vector is an error
                    after.from_unconstrained(g)
                proposal = method.propose(x, g) if x.shape == g.shape and not met else None
    finally:
        recorder.flush()
    return EMResult(
        model.model if wrapped else model,
        tuple(trace),
        reason,
        skipped=skipped / max(1, len(trace)),
        seconds=seconds,
        changes=() if movement is None else tuple(movement.changes),
        accepted=proposals[True],
        rejected=proposals[False],
    )


def _prepared(
    model: Any,
    convergence: Convergence | None,
    tol: float | None,
    max_iter: int | None,
    accelerate: str | None,
    checkpoint: Any,
) -> tuple[Convergence, bool]:
    """When to stop, and whether the model is to be seen through a `UserModel`."""
    own = steps_of(model)[0] == "accumulate"
    if not (own and tol is None and max_iter is None):
        if convergence is None:
            tol = _TOL if tol is None else tol
            max_iter = _MAX_ITER if max_iter is None else max_iter
            if not (isinstance(tol, Real) and tol >= 0):
                raise ValueError(f"tol must be a number of at least 0, but it is {tol!r}")
            if not (isinstance(max_iter, Integral) and max_iter >= 0):
                raise ValueError(f"max_iter must be an integer of at least 0, not {max_iter!r}")
            convergence = Convergence(float(tol), int(max_iter), relative=True)
            own = False
        elif tol is not None or max_iter is not None:
            raise ValueError("give either convergence, or tol and max_iter, not both")
    space = accelerate is None or has_space(model)
    return convergence or Convergence(), not (own and space and checkpoint is None)


def _checked_callbacks(callbacks: Any) -> Sequence[Callback]:
    """The callbacks, each of which can be called as it will be."""
    if callable(callbacks):
        callbacks = [callbacks]
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks: {callbacks!r} is not a function, nor a sequence of them")
    for callback in callbacks:
        if not callable(callback):
            raise TypeError(f"callbacks: {callback!r} is not a function")
        try:
            inspect.signature(callback).bind(1, 0.0, 0.0)
        except TypeError:
            raise TypeError(
                f"callbacks: {getattr(callback, '__name__', callback)!r} cannot be called as "
                "callback(iteration, log_likelihood, change)"
            ) from None
        except ValueError:  # some builtins have no signature to look at
            continue
    return list(callbacks)


def _e_step(model: Any, data: Any, seconds: dict[str, float]) -> tuple[Any, Any]:
    """Statistics, and the log-likelihood with the log of the prior, or None."""
    began = time.perf_counter()
    statistics = model.accumulate(data)
    seconds["e_step"] += time.perf_counter() - began
    log_likelihood = statistics.log_likelihood
    if log_likelihood is None:
        return statistics, None
    log_likelihood += getattr(model, "log_prior", 0.0)
    # neither may win a comparison
    if math.isnan(log_likelihood) or log_likelihood == math.inf:
        raise LikelihoodError(
            f"the log-likelihood became {'NaN' if math.isnan(log_likelihood) else 'infinite'}"
        )
    return statistics, log_likelihood


def _m_step(model: Any, statistics: Any, seconds: dict[str, float]) -> Any:
    began = time.perf_counter()
    after = model.maximise(statistics)
    seconds["m_step"] += time.perf_counter() - began
    return after


def _leap(
    model: Any, proposal: Any, data: Any, previous: float, seconds: dict[str, float]
) -> tuple[Any, Any, float, Any] | None:
    """An EM step from a point that was proposed; None if the likelihood is lower there.

    Whatever goes wrong there speaks against the point only: what is wrong with the model or the
    data goes wrong in EM's own steps too.
    """
    try:
        with np.errstate(all="ignore"):
            at = model.from_unconstrained(proposal)
            statistics, log_likelihood = _e_step(at, data, seconds)
            if not log_likelihood >= previous:
                return None
            return at, statistics, log_likelihood, _m_step(at, statistics, seconds)
    except Exception:
        return None


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
    accelerate: str | None = None,
    finished: Callable[[EMResult[Any]], None] | None = None,
) -> EMResult[Any]:
    """The best of several runs, by the last log-likelihood.

    A restart that fails numerically is dropped and does not spoil the others: `EMResult.dropped`
    tells what went wrong. If all fail, the first error is raised.

    Parameters
    ----------
    starts : iterable of callable
        Each returns a start, made only when its turn comes.
    data, convergence, callbacks, previous, accelerate
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
                    model,
                    data,
                    convergence=convergence,
                    callbacks=callbacks,
                    previous=previous,
                    accelerate=accelerate,
                )
            except (DegenerateFitError, LikelihoodError) as error:
                yield error
                continue
            result = replace(result, seconds={"start": seconds, **result.seconds})
            if finished is not None:
                finished(result)
            yield result

    return best_of(outcomes())


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
