"""What is measured: each group is a table, and one function that fills a row of it.

=============  ===========================================================================
group          what is timed
=============  ===========================================================================
iteration      one EM iteration from a given start, ``tol=0``: the loop and nothing else
dense          the same where every pair of a point and a component counts: nothing to leave out
components     the same from few components to many, well separated
fit            ``fit(X)`` with the defaults: initialisation, all iterations, every check
small          the same on data so small that the overheads are all there is
many           a thousand small fits: in one call, and in a loop over some of them
predict        ``predict(X)`` of a fitted model
acceleration   plain EM beside its accelerations, to the same log-likelihood
families       one EM iteration of a mixture of exponential families; see ``families.py``
mle            maximum likelihood of one distribution of a family, beside ``scipy.stats``
=============  ===========================================================================
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks import acceleration, data, families, likelihood
from benchmarks.data import Problem, Workload
from benchmarks.measure import Plan, Samples, in_turn, plan, repeated, timed
from benchmarks.numpy_twin import mean_log_likelihood
from benchmarks.peers import FastEM, NotOfferedError, Peer, PeerError, available
from benchmarks.report import milliseconds, number, progress

# Mean log-likelihoods that differ by more than this share are worth a line, by dtype.
_AGREEMENT = {"float64": 1e-8, "float32": 1e-4}

# Data sets of the group "many" that a loop is timed on; the time is that of one.
_LOOP = 100
_TOGETHER = "fit_many"


@dataclass(frozen=True)
class Settings:
    """What the command line says about how to measure.

    Attributes
    ----------
    rounds : int or None
        Rounds; None means the group's own default.
    iterations : int
        Iterations that a long fit has more than a short one, at most.
    budget : float
        Seconds that a long fit may take.
    threads : int
        Threads of each program.
    """

    rounds: int | None
    iterations: int
    budget: float
    threads: int


@dataclass(frozen=True)
class Group:
    """A table of measurements.

    Attributes
    ----------
    title : str
        What the table says.
    workloads : tuple of Workload
        Its rows.
    rounds : int
        The rounds by default.
    header : callable
        The peers to the names of the columns after the first.
    measure : callable
        Problem, peers, rounds and settings to the cells of a row after the first.
    from_scratch : bool
        Whether a peer must bring its own initialisation to take part.
    programs : sequence of classes
        Peers of the group's own, in place of those of the command line.
    """

    title: str
    workloads: tuple[Workload, ...] | tuple[families.FamilyWorkload, ...]
    rounds: int
    header: Callable[[Sequence[Peer]], list[str]]
    measure: Callable[[Problem, Sequence[Peer], int, Settings], list[str]]
    from_scratch: bool = False
    programs: Sequence[type[Peer]] = ()

    def peers(self, peers: Sequence[Peer]) -> list[Peer]:
        """Return the peers that can take part, or the group's own programs."""
        if self.programs:
            return available(self.programs, peers[0].n_threads)
        return [peer for peer in peers if peer.has_initialisation or not self.from_scratch]


def measure_iteration(
    problem: Problem, peers: Sequence[Peer], rounds: int, settings: Settings
) -> list[str]:
    """Time one EM iteration of each peer, and the peak of the CPU beside fastem's."""
    plans: dict[str, Plan] = {}
    failures: dict[str, str] = {}
    peaks: list[float] = []
    for peer in peers:
        try:
            plans[peer.name] = plan(peer, problem, settings.iterations, settings.budget)
        except PeerError as error:
            failures[peer.name] = _failure(peer.name, error)
    _compare(plans, problem)

    def task(name: str) -> Callable[[], float]:
        def measure() -> float:
            seconds = plans[name].seconds_per_iteration()
            peer = plans[name].peer
            if isinstance(peer, FastEM):
                peaks.append(peer.peak(problem.X.dtype))
            return seconds

        return measure

    samples = in_turn({name: task(name) for name in plans}, rounds)
    cells = _times(samples, peers, failures)
    if not any(isinstance(peer, FastEM) for peer in peers):
        return cells
    if not peaks:
        return [*cells, "-", "-", "-"]
    # As with the ratios: the share of a round's peak, then the median over the rounds.
    rates = [problem.flops() / seconds / 1e9 for seconds in samples[FastEM.name].seconds]
    share = statistics.median([rate / peak for rate, peak in zip(rates, peaks, strict=True)])
    rate, peak = statistics.median(rates), statistics.median(peaks)
    return [*cells, number(rate), number(peak), number(100 * share, " %")]


def header_iteration(peers: Sequence[Peer]) -> list[str]:
    """Name the columns of `measure_iteration`."""
    rates = ["GF/s", "peak GF/s", "share"]
    return _header(peers, "ms") + (rates if any(isinstance(p, FastEM) for p in peers) else [])


def measure_fit(
    problem: Problem, peers: Sequence[Peer], rounds: int, settings: Settings
) -> list[str]:
    """Time whole fits, a seed a round, and judge every result by the same log-likelihood."""
    failures: dict[str, str] = {}
    likelihoods: dict[str, list[float]] = {peer.name: [] for peer in peers}
    lengths: dict[str, list[int]] = {peer.name: [] for peer in peers}

    def task(peer: Peer) -> Callable[[], float]:
        def measure() -> float:
            # The seed is the number of the round, so that all begin a round alike.
            seed = len(lengths[peer.name])
            outcomes = []
            seconds = timed(lambda: outcomes.append(peer.fit_default(problem, seed)))
            outcome = outcomes[0]
            lengths[peer.name].append(outcome.n_iter)
            value = mean_log_likelihood(problem.X, problem.structure, outcome.parameters)
            likelihoods[peer.name].append(value)
            progress(f"{peer.name} seed {seed}: {seconds:.3f} s, {outcome.n_iter} it, {value:.6f}")
            return seconds

        return measure

    tasks = {}
    for peer in peers:
        try:
            peer.fit_default(_first_rows(problem), 0)  # imports and thread pools
        except PeerError as error:
            failures[peer.name] = _failure(peer.name, error)
        else:
            tasks[peer.name] = task(peer)
    samples = in_turn(tasks, rounds)
    cells = _times(samples, peers, failures)
    for peer in peers:
        if peer.name in failures:
            cells += ["-", "-"]
        else:
            cells.append(f"{statistics.median(lengths[peer.name]):g}")
            cells.append(f"{statistics.median(likelihoods[peer.name]):.5f}")
    return cells


def header_fit(peers: Sequence[Peer]) -> list[str]:
    """Name the columns of `measure_fit`."""
    names = [name for peer in peers for name in (f"{peer.name} it", f"{peer.name} LL")]
    return _header(peers, "ms") + names


def measure_small(
    problem: Problem, peers: Sequence[Peer], rounds: int, settings: Settings
) -> list[str]:
    """Time whole fits of small data, always with the same seed."""
    calls = {peer.name: _fitting(peer, problem) for peer in peers}
    return _repeated(calls, peers, {}, rounds)


def measure_many(
    problem: Problem, peers: Sequence[Peer], rounds: int, settings: Settings
) -> list[str]:
    """Time a fit among many: in one call of fastem's, and in a loop over a sample of them."""
    tasks = {peer.name: _loop(peer, problem, min(len(problem.X), _LOOP)) for peer in peers}
    together = [peer for peer in peers if isinstance(peer, FastEM)]
    for peer in together:
        peer.fit_many(replace(problem, X=problem.X[:5]), 0)  # imports
        tasks[_TOGETHER] = _one_call(peer, problem, len(problem.X))
    samples = in_turn(tasks, rounds)
    cells = [number(1e6 * samples[_TOGETHER].median)] if together else []
    for peer in peers:
        cells.append(number(1e6 * samples[peer.name].median))
        if together:
            cells.append(number(samples[peer.name].ratio_to(samples[_TOGETHER]), "x"))
    return cells


def header_many(peers: Sequence[Peer]) -> list[str]:
    """Name the columns of `measure_many`."""
    together = any(isinstance(peer, FastEM) for peer in peers)
    names = [f"{_TOGETHER} us"] if together else []
    for peer in peers:
        names += [f"{peer.name} loop us", *(["/ fit_many"] if together else [])]
    return names


def _one_call(peer: FastEM, problem: Problem, n_sets: int) -> Callable[[], float]:
    return lambda: timed(lambda: peer.fit_many(problem, 0)) / n_sets


def _loop(peer: Peer, problem: Problem, n_sets: int) -> Callable[[], float]:
    sets = [replace(problem, X=X) for X in problem.X[:n_sets]]
    return lambda: timed(lambda: [peer.fit_default(one, 0) for one in sets]) / n_sets


def measure_predict(
    problem: Problem, peers: Sequence[Peer], rounds: int, settings: Settings
) -> list[str]:
    """Time ``predict`` on all the rows."""
    calls: dict[str, Callable[[], object]] = {}
    failures: dict[str, str] = {}
    for peer in peers:
        try:
            calls[peer.name] = peer.predictor(problem)
        except PeerError as error:
            failures[peer.name] = _failure(peer.name, error)
    return _repeated(calls, peers, failures, rounds)


def measure_mle(
    problem: likelihood.OneFit, peers: Sequence[Peer], rounds: int, settings: Settings
) -> list[str]:
    """Time a fit by fastem and by scipy.stats, and compare their parameters."""
    return likelihood.measure(problem, rounds, settings.threads)


def header_times(peers: Sequence[Peer]) -> list[str]:
    """Name the columns of `measure_small` and `measure_predict`."""
    return _header(peers, "ms")


GROUPS: dict[str, Group] = {
    "iteration": Group(
        "Milliseconds per EM iteration",
        data.ITERATION,
        5,
        header_iteration,
        measure_iteration,
    ),
    "dense": Group(
        "Milliseconds per EM iteration, no work to be left out",
        data.DENSE,
        5,
        header_iteration,
        measure_iteration,
    ),
    "components": Group(
        "Milliseconds per EM iteration, few components to many",
        data.COMPONENTS,
        3,
        header_iteration,
        measure_iteration,
    ),
    "fit": Group(
        "Milliseconds of a default fit, its iterations and final mean log-likelihood",
        data.FIT,
        3,
        header_fit,
        measure_fit,
        from_scratch=True,
    ),
    "small": Group(
        "Milliseconds of a default fit of small data",
        data.SMALL,
        15,
        header_times,
        measure_small,
        from_scratch=True,
    ),
    "many": Group(
        "Microseconds of a default fit among many, in one call and in a loop",
        data.MANY,
        3,
        header_many,
        measure_many,
        from_scratch=True,
    ),
    "predict": Group(
        "Milliseconds of predict",
        data.PREDICT,
        7,
        header_times,
        measure_predict,
    ),
    "acceleration": Group(
        "E-steps and milliseconds to the same log-likelihood",
        acceleration.SLOW,
        3,
        acceleration.header,
        acceleration.measure,
    ),
    "families": Group(
        "Milliseconds per EM iteration, mixtures of exponential families",
        families.WORKLOADS,
        5,
        header_iteration,
        measure_iteration,
        programs=families.PROGRAMS,
    ),
    "mle": Group(
        "Milliseconds of a maximum-likelihood fit of one distribution",
        likelihood.WORKLOADS,
        5,
        likelihood.header,
        measure_mle,
    ),
}


def _failure(name: str, error: PeerError) -> str:
    """Tell why a program has no time, and return what stands in its place."""
    progress(f"{name}: {error}")
    return "-" if isinstance(error, NotOfferedError) else "fails"


def _fitting(peer: Peer, problem: Problem) -> Callable[[], object]:
    return lambda: peer.fit_default(problem, 0)


def _repeated(
    calls: dict[str, Callable[[], object]],
    peers: Sequence[Peer],
    failures: dict[str, str],
    rounds: int,
) -> list[str]:
    """Time calls in turn, those that fail left out."""
    tasks = {}
    for name, call in calls.items():
        try:
            tasks[name] = repeated(call)
        except PeerError as error:
            failures[name] = _failure(name, error)
    return _times(in_turn(tasks, rounds), peers, failures)


def _header(peers: Sequence[Peer], unit: str) -> list[str]:
    """Name a column of times a peer, and one of ratios for all but the first."""
    names = [f"{peers[0].name} {unit}"]
    for peer in peers[1:]:
        names += [f"{peer.name} {unit}", f"/ {peers[0].name}"]
    return names


def _times(
    samples: dict[str, Samples], peers: Sequence[Peer], failures: dict[str, str]
) -> list[str]:
    """Format the times and the ratios to the first peer's."""
    base = samples.get(peers[0].name)
    cells = []
    for peer in peers:
        found = samples.get(peer.name)
        cells.append(failures[peer.name] if found is None else milliseconds(found.median))
        if peer is peers[0]:
            continue
        if found is None or base is None:
            cells.append("-")
        else:
            cells.append(number(found.ratio_to(base), "x"))
    return cells


def _compare(plans: dict[str, Plan], problem: Problem) -> None:
    """Say which programs do not compute the same thing, after three iterations."""
    if not plans:
        return
    first, *others = plans.values()
    expected = first.check.log_likelihood
    for other in others:
        found = other.check.log_likelihood
        share = abs(found - expected) / max(abs(expected), 1.0)
        if other.check.n_iter == first.check.n_iter and share > _AGREEMENT[problem.X.dtype.name]:
            progress(
                f"{other.peer.name}: mean log-likelihood {found:.10g} after 3 iterations, "
                f"where {first.peer.name} has {expected:.10g}"
            )


def _first_rows(problem: Problem) -> Problem:
    """Return the problem with few of its rows, for a call that is not timed."""
    n_rows = 20 * problem.n_components * problem.X.shape[1]
    return Problem(
        problem.X[:n_rows],
        problem.structure,
        problem.weights,
        problem.means,
        problem.covariances,
    )
