"""How time is measured, on a machine that others use too.

- The programs run *in turn*, on the same data, in several rounds, each round beginning with another
  one. Medians over the rounds are reported, and a ratio is the median of the ratios within a round,
  so that a slow quarter of an hour hurts all alike.
- A pause before every turn lets the threads of the program before go to sleep: those of OpenBLAS
  and OpenMP spin for some hundredths of a second when their work is done, and would be timed as
  the next program's.
- The *time of an iteration* is the difference between a long and a short fit from the same start,
  divided by the difference of their numbers of iterations: validation, packing, the first
  factorisation and the last E-step are in both and cancel. The short fit is one iteration. The long
  one is as long as asked for, but shorter for a slow program, see `plan`.
- The *peak* of fused multiply-adds is measured right beside each of fastem's fits.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.data import Problem
from benchmarks.peers import Outcome, Peer, PeerError

# A long fit is at least this much longer than the short one, in iterations.
_FEWEST_EXTRA = 2

# A pair of a short and a long fit that takes less than this, in seconds, is repeated: the
# difference of two short times is noisy.
_FAST = 0.4
_MOST_PAIRS = 9

# Seconds in which the spinning threads of another program go to sleep.
_PAUSE = 0.1


def timed(call: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@dataclass
class Samples:
    """One measurement a round, in seconds."""

    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.seconds)

    def ratio_to(self, other: Samples) -> float:
        """Return the median over the rounds of this time in units of the other's."""
        pairs = zip(self.seconds, other.seconds, strict=True)
        return statistics.median([mine / theirs for mine, theirs in pairs])


def in_turn(tasks: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Samples]:
    """Call every task once a round, each round beginning with the next task, pauses between."""
    names = list(tasks)
    samples = {name: Samples() for name in names}
    for turn in range(rounds):
        first = turn % max(1, len(names))
        for name in names[first:] + names[:first]:
            time.sleep(_PAUSE)
            samples[name].seconds.append(tasks[name]())
    return samples


@dataclass(frozen=True)
class Plan:
    """How one program's iterations are timed on one problem.

    Attributes
    ----------
    n_long : int
        Iterations of the long fit, beside the short fit of one.
    check : Outcome
        A fit of three iterations, to compare the programs' log-likelihoods.
    """

    peer: Peer
    problem: Problem
    n_long: int
    check: Outcome

    def seconds_per_iteration(self) -> float:
        """Time a short and a long fit, fast ones several times."""
        differences: list[float] = []
        spent = 0.0
        while not differences or (spent < _FAST and len(differences) < _MOST_PAIRS):
            short = timed(lambda: self.peer.fit_from(self.problem, 1))
            long = timed(lambda: self.peer.fit_from(self.problem, self.n_long))
            differences.append((long - short) / (self.n_long - 1))
            spent += short + long
        return statistics.median(differences)


def plan(peer: Peer, problem: Problem, iterations: int, budget: float) -> Plan:
    """Choose the length of the long fit, and warm the program up.

    Parameters
    ----------
    peer : Peer
        The program.
    problem : Problem
        The data and the start.
    iterations : int
        By how many iterations the long fit shall exceed the short one, at most.
    budget : float
        Seconds that the long fit may take, unless that left it fewer than two iterations.

    Returns
    -------
    Plan
        The lengths.

    Raises
    ------
    PeerError
        If the program cannot do the problem, or stopped before a second iteration.
    """
    peer.fit_from(problem, 1)  # imports, thread pools, page faults
    seconds_short = timed(lambda: peer.fit_from(problem, 1))
    start = time.perf_counter()
    check = peer.fit_from(problem, 1 + _FEWEST_EXTRA)
    seconds = max(time.perf_counter() - start - seconds_short, 1e-9)
    extra = int(budget / (seconds / _FEWEST_EXTRA))
    extra = min(iterations, max(_FEWEST_EXTRA, extra))
    # A program that stops by itself is timed over the iterations that it does.
    n_long = peer.fit_from(problem, 1 + extra).n_iter if extra > _FEWEST_EXTRA else check.n_iter
    if n_long < 2:
        raise PeerError("stopped after 1 iteration")
    return Plan(peer, problem, n_long, check)


def repeated(call: Callable[[], object], at_least: float = 0.02) -> Callable[[], float]:
    """Return a task that times a short call by repeating it for ``at_least`` seconds."""
    call()
    number = max(1, round(at_least / max(timed(call), 1e-9)))

    def task() -> float:
        return timed(lambda: [call() for _ in range(number)]) / number

    return task
