"""``python -m benchmarks.against BASE HEAD``: two installs of fastem, timed in turn.

BASE and HEAD are Pythons, each with an install of fastem and the extra ``bench``. Each runs in one
process, which takes its turn in every round, so that a busy machine hurts both alike. The exit
status is 1 where head is slower by *both* a large ratio and a large time; what looks so is measured
once more, and only that counts. The workloads use the public interface only, since base is older.

Examples
--------
python -m benchmarks.against base/bin/python head/bin/python
python -m benchmarks.against base/bin/python head/bin/python --workload diag --rounds 15
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from benchmarks import data
from benchmarks.measure import Samples, in_turn, plan, repeated
from benchmarks.peers import FastEM
from benchmarks.report import Table, command_parser, milliseconds, number, progress, usable_cores

ROOT = Path(__file__).parent.parent
_ITERATIONS, _BUDGET = 5, 1.0  # of a long fit: at most so many, and about so many seconds

Task = Callable[[], float]


# --- the decision ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Limits:
    """What is tolerated.

    Attributes
    ----------
    ratio : float
        Head's time in units of base's, the median over the rounds.
    seconds : float
        Head's time less base's, the median over the rounds.
    """

    ratio: float = 1.25
    seconds: float = 1e-3


@dataclass(frozen=True)
class Comparison:
    """Times of the same rounds."""

    base: Samples
    head: Samples

    @property
    def ratios(self) -> list[float]:
        """Head's time in units of base's, of each round."""
        pairs = zip(self.head.seconds, self.base.seconds, strict=True)
        return [head / base for head, base in pairs]

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile of the ratios."""
        lower, middle, upper = statistics.quantiles(self.ratios, n=4, method="inclusive")
        return lower, middle, upper

    @property
    def change(self) -> float:
        """Head's time less base's in seconds, the median over the rounds."""
        pairs = zip(self.head.seconds, self.base.seconds, strict=True)
        return statistics.median([head - base for head, base in pairs])

    def is_slower(self, limits: Limits) -> bool:
        """Tell whether ratio and change are large, and three rounds of four show a slowdown.

        Those three have at least half of the slowdown that the limit allows: a median beyond the
        limit with ratios all over the place is the machine's doing.
        """
        lower, middle, _ = self.quartiles
        half = 1.0 + (limits.ratio - 1.0) / 2
        return middle > limits.ratio and lower > half and self.change > limits.seconds


# --- the workloads --------------------------------------------------------------------------------


def _iteration(workload: data.Workload) -> Callable[[int], Task]:
    def prepare(n_threads: int) -> Task:
        problem = workload.make(np.dtype("float64"), False)
        return plan(FastEM(n_threads), problem, _ITERATIONS, _BUDGET).seconds_per_iteration

    return prepare


def _fit(workload: data.Workload, times: int = 1) -> Callable[[int], Task]:
    def prepare(n_threads: int) -> Task:
        problem, peer = workload.make(np.dtype("float64"), False), FastEM(n_threads)

        def fits() -> None:
            for _ in range(times):
                peer.fit_default(problem, 0)

        return repeated(fits)

    return prepare


def _many(workload: data.Workload) -> Callable[[int], Task]:
    def prepare(n_threads: int) -> Task:
        problem, peer = workload.make(np.dtype("float64"), False), FastEM(n_threads)
        return repeated(lambda: peer.fit_many(problem, 0))

    return prepare


def _predict(workload: data.Workload) -> Callable[[int], Task]:
    def prepare(n_threads: int) -> Task:
        return repeated(FastEM(n_threads).predictor(workload.make(np.dtype("float64"), False)))

    return prepare


def _mixture(family: str) -> Callable[[int], Task]:
    def prepare(n_threads: int) -> Task:
        import fastem

        rng = np.random.default_rng(0)
        X = np.concatenate([rng.poisson(mean, (50_000, 4)) for mean in (2, 8, 20)]) + 1.0
        model = fastem.Mixture(family, 3, max_iter=30, tol=1e-4, random_state=0)
        model.set_params(n_threads=n_threads)
        return repeated(lambda: model.fit(X))

    return prepare


def _likelihood(family: str) -> Callable[[int], Task]:
    def prepare(n_threads: int) -> Task:
        from fastem import mle

        x = np.random.default_rng(0).gamma(3.0, 2.0, 1_000_000)
        return repeated(lambda: mle.fit(family, x, n_threads=n_threads))

    return prepare


# The photograph needs Pillow, which nothing else here does.
_ITERATION = [w for w in (*data.ITERATION, data.DENSE[0]) if "photo" not in w.name]
WORKLOADS: dict[str, Callable[[int], Task]] = {
    **{f"iteration {w.name}": _iteration(w) for w in _ITERATION},
    # beside a millisecond, the least that counts, one small fit is nothing
    **{f"100 fits {w.name}": _fit(w, 100) for w in data.SMALL},
    f"fit {data.FIT[0].name}": _fit(data.FIT[0]),
    **{f"fit_many {w.name}": _many(w) for w in data.MANY[:1]},
    **{f"predict {w.name}": _predict(w) for w in data.PREDICT},
    **{f"Mixture of {name}": _mixture(name) for name in ("Poisson", "Gamma")},
    **{f"mle.fit {name}": _likelihood(name) for name in ("Gamma", "Weibull")},
}


# --- one process for each install -----------------------------------------------------------------


def serve(n_threads: int) -> None:
    """Time workloads whose names come on stdin, a line each, and answer in JSON."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the workloads print is no answer
    import fastem

    described = f"{fastem.__version__} ({fastem.cpu_isa()}), {Path(fastem.__file__).parent}"
    print(json.dumps(described), file=answers)
    name, task = "", None
    for line in sys.stdin:
        if line.strip() != name or task is None:  # one workload's data at a time in memory
            name, task = line.strip(), None
            task = WORKLOADS[name](n_threads)
        print(json.dumps(task()), file=answers)


class Install:
    """A process of one Python, which times the workloads that it is asked for."""

    def __init__(self, python: str, n_threads: int) -> None:
        command = [python, "-m", "benchmarks.against", "--serve", "--threads", str(n_threads)]
        self.python = python
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.described = str(self._answer())

    def __enter__(self) -> Install:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.communicate()

    def seconds(self, workload: str) -> float:
        """Time a workload once."""
        assert self._process.stdin is not None
        self._process.stdin.write(workload + "\n")
        self._process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.communicate()
            raise SystemExit(f"{self.python} ended: its message is above")
        return json.loads(line)


def compare(base: Install, head: Install, workload: str, rounds: int) -> Comparison:
    """Time a workload in turn, after a round that does not count."""
    base.seconds(workload)
    head.seconds(workload)
    tasks = {"base": lambda: base.seconds(workload), "head": lambda: head.seconds(workload)}
    samples = in_turn(tasks, rounds)
    return Comparison(samples["base"], samples["head"])


# --- the command ----------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = _parse(arguments)
    if options.serve:
        serve(options.threads)
        return 0
    if options.list:
        print("\n".join(WORKLOADS))
        return 0
    names = [name for name in WORKLOADS if options.workload in name]
    if not names:
        print(f"No workload's name contains {options.workload!r}; see --list.", file=sys.stderr)
        return 2
    limits = Limits(options.ratio, options.milliseconds / 1e3)
    slower = []
    with (
        Install(options.base, options.threads) as base,
        Install(options.head, options.threads) as head,
    ):
        print(f"base {base.described}\n\nhead {head.described}")
        header = ["workload", "base ms", "head ms", "head / base", "quartiles", "verdict"]
        table = Table("Base and head, in turn", header, markdown=options.markdown)
        for name in names:
            progress(name)
            found = compare(base, head, name, options.rounds)
            again = found.is_slower(limits)
            if again:
                progress(f"{name}: {found.quartiles[1]:.2f} times base's; once more")
                # in new processes: where memory lies, and threads run, is part of the noise
                with (
                    Install(options.base, options.threads) as base_again,
                    Install(options.head, options.threads) as head_again,
                ):
                    found = compare(base_again, head_again, name, options.rounds)
            if found.is_slower(limits):
                slower.append(name)
            verdict = "slower" if found.is_slower(limits) else "not again" if again else "ok"
            table.row([name, *_cells(found), verdict])
    allowed = f"{limits.ratio:g} times base's and {1e3 * limits.seconds:g} ms more"
    print(
        f"\n{len(slower)} of {len(names)} slower than {allowed}" + "".join(f"; {n}" for n in slower)
    )
    return 1 if slower else 0


def _cells(found: Comparison) -> list[str]:
    """Format the times, the ratio and its spread."""
    lower, middle, upper = found.quartiles
    return [
        milliseconds(found.base.median),
        milliseconds(found.head.median),
        number(middle, "x"),
        f"{lower:.2f}-{upper:.2f}",
    ]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser("python -m benchmarks.against", __doc__)
    add = parser.add_argument
    add("base", nargs="?", help="Python of the install that head is compared with")
    add("head", nargs="?", help="Python of the install that is judged")
    add("--workload", default="", metavar="TEXT", help="only workloads whose name contains TEXT")
    add("--rounds", type=int, default=9, help="of each in turn, at least 2 (%(default)s)")
    add("--threads", type=int, default=usable_cores(), help="of each (%(default)s)")
    add("--ratio", type=float, default=Limits.ratio, help="tolerated, and (%(default)s)")
    add("--milliseconds", type=float, default=1e3 * Limits.seconds, help="or (%(default)s)")
    add("--markdown", action="store_true", help="print Markdown")
    add("--list", action="store_true", help="list the workloads, run nothing")
    add("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not (options.serve or options.list or options.head):
        parser.error("two Pythons are needed: BASE HEAD")
    if options.rounds < 2:
        parser.error("--rounds must be at least 2, or there is no spread")
    return options


if __name__ == "__main__":
    sys.exit(main())
