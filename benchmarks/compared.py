"""``python -m benchmarks.compared``: fastem and its peers on hard cases; writes docs/compared.md.

Each program runs each case in a process of its own with a time limit, since some hang or abort. A
program that is not installed is named as such. A wrong answer or an error is tried again with two
other seeds, and counts only where all three fail.

Examples
--------
python -m benchmarks.compared                            all: ten minutes on two quiet cores
python -m benchmarks.compared --case offset              print these cases, write nothing
python -m benchmarks.compared --program mlpack --case n  one program
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from benchmarks.hard.cases import CASES, MEASUREMENTS, Case
from benchmarks.hard.optima import bic_section, optimum_section
from benchmarks.hard.programs import PROGRAMS, Program
from benchmarks.peers import NotOfferedError
from benchmarks.report import command_parser, cpu_model, progress, usable_cores

PAGE = Path(__file__).parent.parent / "docs" / "compared.md"
SEEDS = (0, 1, 2)
PATIENCE = 5.0  # seconds: a longer run is not tried with other seeds

# From the best to the worst: of several structures, the worst counts.
VERDICTS = {
    "figure": "",
    "not installed": "-",
    "not offered": "·",
    "right": "✓",
    "remedy": "R",
    "said": "!",
    "error": "E",
    "silent": "✗",
    "hangs": "∞",
    "crash": "†",
}
LEGEND = (
    "✓ right · R error that names a remedy that works here · E error that does not · "
    "! wrong, and says so · ✗ wrong, silent · † the process aborts · ∞ hangs · "
    "`·` not offered · - not installed"
)


@dataclass(frozen=True)
class Outcome:
    """What became of a case: a verdict, and the figure or the message."""

    verdict: str
    text: str

    @property
    def rank(self) -> int:
        """How bad it is."""
        return list(VERDICTS).index(self.verdict)


# --- one case -------------------------------------------------------------------------------------


def run(program: Program, case: Case) -> Outcome:
    """Run a case in this process; the worst of its structures counts."""
    structures = case.structures(program)
    worst = max((_try(program, case, s) for s in structures), key=lambda outcome: outcome[0].rank)
    outcome, structure = worst
    named = len(structures) > 1 and outcome.verdict not in ("right", "figure")
    return Outcome(outcome.verdict, outcome.text + f", {structure}" * named)


def _try(program: Program, case: Case, structure: str) -> tuple[Outcome, str]:
    """Run a case with one structure, and again with other seeds while the answer is not right."""
    outcomes = []
    for seed in SEEDS if program.random else SEEDS[:1]:
        begin = time.perf_counter()
        outcomes.append(_judged(program.seeded(seed), case, structure))
        last = outcomes[-1].verdict
        if last in ("right", "not offered", "figure") or time.perf_counter() - begin > PATIENCE:
            break
    return min(outcomes, key=lambda outcome: outcome.rank), structure


def _judged(program: Program, case: Case, structure: str) -> Outcome:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value = case.do(program, structure)
        except NotOfferedError as error:
            return Outcome("not offered", str(error))
        except Exception as error:
            text = " ".join(str(error).split())
            remedy = re.search(case.remedy, text, re.IGNORECASE)
            refused = remedy and case.wanted in ("refusal", "notice")
            verdict = "right" if refused else "remedy" if remedy else "error"
            return Outcome(verdict, f"“{_short(text, remedy.start() if remedy else 0)}”")
    kinds = (DeprecationWarning, FutureWarning, PendingDeprecationWarning, ResourceWarning)
    said = [str(one.message) for one in caught if not issubclass(one.category, kinds)]
    text = case.figure.format(value)
    if case.wanted == "figure":
        return Outcome("figure", text)
    if case.wanted == "value" and not math.isnan(value) and case.right(value):
        return Outcome("right", text)
    if said:
        verdict = "right" if case.wanted == "notice" else "said"
        return Outcome(verdict, f"{text}, warns “{_short(said[-1])}”")
    return Outcome("silent", text)


def _short(text: str, shown: int = 0, length: int = 90) -> str:
    """Shorten a message to whole words around a place, and keep its bars from ending a cell."""
    text = text.replace("|", "/").replace("`", "'")
    begin = text.rfind(" ", 0, max(0, min(shown - length // 2, len(text) - length))) + 1
    if len(text) - begin > length:
        text = text[: begin + length].rsplit(" ", 1)[0] + " …"
    return "… " * (begin > 0) + text[begin:]


def run_apart(program: Program, case: Case, patience: float = 1.0) -> Outcome:
    """Run a case in a process of its own, which is stopped at `patience` times the limit."""
    limit = patience * case.limit
    command = [sys.executable, "-m", __spec__.name, "--run", program.name, case.name]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        printed, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its children too: a forked one may hang
        process.communicate()
        figure = case.wanted == "figure"
        return Outcome("figure" if figure else "hangs", f"over {limit:.0f} s")
    for line in printed.splitlines():
        if line.startswith("OUTCOME "):
            return Outcome(**json.loads(line.removeprefix("OUTCOME ")))
    lines = printed.strip().splitlines() or [""]
    if process.returncode > 0:
        return Outcome("error", f"“{_short(lines[-1])}”")
    name = signal.Signals(-process.returncode).name
    return Outcome("crash", name)


# --- the page -------------------------------------------------------------------------------------

Results = dict[str, dict[str, Outcome]]


def run_all(programs: Sequence[Program], cases: Sequence[Case]) -> Results:
    """Run every program on every case, two at a time but for those that want to be alone."""
    absent = {p.name: lacking for p in programs if (lacking := p.missing())}
    results: Results = {case.name: {} for case in cases}

    def work(job: tuple[Case, Program]) -> None:
        case, program = job
        if program.name in absent:
            results[case.name][program.name] = Outcome("not installed", absent[program.name])
            return
        outcome = run_apart(program, case)
        progress(f"{case.name}: {program.title}: {VERDICTS[outcome.verdict]} {outcome.text}")
        results[case.name][program.name] = outcome

    jobs = [(case, program) for case in cases for program in programs]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, [job for job in jobs if not job[0].alone]))
    for job in jobs:
        if job[0].alone:
            work(job)
    for case, program in jobs:  # whether it hangs, or was slow beside another
        if results[case.name][program.name].verdict == "hangs" and not case.alone:
            results[case.name][program.name] = run_apart(program, case, patience=1.5)
    return results


def table(header: Sequence[str], rows: Sequence[Sequence[str]], align: str = ":---:") -> list[str]:
    """Write a Markdown table; the first column is text."""
    rule = ["---"] + [align] * (len(header) - 1)
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


def summary(results: Results, programs: Sequence[Program]) -> list[str]:
    """The table of symbols."""
    rows = [
        [case, *(VERDICTS[outcomes[p.name].verdict] for p in programs)]
        for case, outcomes in results.items()
    ]
    return table(["case", *(p.title for p in programs)], rows)


def measured(results: Results, programs: Sequence[Program]) -> list[str]:
    """The table of figures that are not judged."""
    rows = [
        [case, *(_cell(outcomes[p.name]) for p in programs)] for case, outcomes in results.items()
    ]
    return table(["", *(p.title for p in programs)], rows, "---:")


def _cell(outcome: Outcome) -> str:
    return outcome.text if outcome.verdict == "figure" else VERDICTS[outcome.verdict]


def _weak(results: Results) -> list[tuple[str, str]]:
    """The cases in which fastem is not right, with their symbols."""
    fine = ("right", "not offered")
    found = {name: outcomes["fastem"].verdict for name, outcomes in results.items()}
    return [(name, VERDICTS[verdict]) for name, verdict in found.items() if verdict not in fine]


def details(case: Case, outcomes: dict[str, Outcome], programs: Sequence[Program]) -> list[str]:
    """One paragraph: the case, the right answer, what each program gave."""
    hidden = ("not offered", "not installed")
    told = []
    for verdict, symbol in VERDICTS.items():
        alike = [p for p in programs if outcomes[p.name].verdict == verdict]
        if alike and verdict not in hidden:
            given = "; ".join(f"{p.title} {outcomes[p.name].text}" for p in alike)
            told.append(f"{symbol} {given}.")
    return [f"**{case.name}**: {case.what}. *Right:* {case.answer}.  ", " ".join(told), ""]


INTRODUCTION = """# fastem beside its peers, on hard cases

What programs for Gaussian mixtures do where data are unkind: large offsets, small scales, constant
columns, collapsing components, far rows, interrupts. Each runs with its own defaults in a process
of its own; a wrong answer or an error is tried again with two other seeds and counts only where all
three fail. This page is written by `{command}`; the cases are
entries of `benchmarks/hard/cases.py`, and the tests hold the column of fastem against it.

{versions}. {cpu}, {cores} cores, {day}.

{legend}

fastem itself is not right in: {weak}.
"""

NOTES = """
A case that is run with every covariance structure that a program has shows the worst of them.
Figures are the largest relative error of a variance unless the case says otherwise; below 1e-3
counts as right, which leaves room for the ridge of 1e-6 that fastem and scikit-learn add. oneDAL is
called by its own interface (daal4py), which has no prediction; pomegranate computes in float32
whatever the type of the rows, since its start fails when torch's default is float64; scikit-learn's
prior is that of `BayesianGaussianMixture`. mclust's defaults keep its warnings off: "no model" is
a result of `NULL`, without a word.
"""

BETTER = """## Where a peer is the better choice

- **mclust** has 14 structures of covariance (volume, shape and orientation, each equal or free)
  where fastem has four; it chooses the structure and the number of components by BIC or ICL, and
  leaves out models that collapse; its hierarchical start is deterministic and does not depend on
  the columns' units, where k-means does; it has a noise component, bootstrap standard errors,
  and discriminant analysis. With some thousand rows of a few columns, and the question *which
  model*, use mclust. Its default tolerance is tighter too: it does not stop early on Old Faithful.
- **scikit-learn** has `BayesianGaussianMixture`, which switches off components that the data do not
  need; it is there wherever Python is used for data, and its code is plain NumPy to read and to
  change. For small fits of well-scaled data nothing else is needed.
- **oneDAL** and **mlpack** add no ridge, so that data of small scale keep their variances; both are
  C++ libraries that a C++ program links to, mlpack with bindings to Python, R, Julia and Go and a
  command line. mlpack runs to a tolerance of 1e-10 by default.
- **pomegranate** mixes any distributions (Poisson, exponential, gamma, categorical, or different
  ones in one mixture), runs on GPUs, learns from summaries of batches, and knows hidden Markov
  models and Bayesian networks. For a GPU, hidden Markov models or Bayesian networks use
  pomegranate; components that are not normal fastem has too (`Mixture`).
- **mixtools** has mixtures of regressions (regressions fastem has too), semi- and non-parametric
  and multinomial mixtures, and constraints on means and variances; it too runs to a tight tolerance
  by default.
"""


def write_page(programs: Sequence[Program]) -> str:
    """Run everything and return the page."""
    results = run_all(programs, CASES)
    figures = run_all(programs, MEASUREMENTS)
    there = [p for p in programs if not p.missing()]
    absent = [f"{p.title}: {p.missing()}" for p in programs if p not in there]
    lines = [
        INTRODUCTION.format(
            command="python -m benchmarks.compared",
            versions=", ".join(p.describe() for p in there if p.name != "auto")
            + (". Not there: " + "; ".join(absent)) * bool(absent),
            cpu=cpu_model(),
            cores=usable_cores(),
            day=f"{date.today():%-d %B %Y}",
            legend=LEGEND,
            weak="; ".join(f"{name} ({symbol})" for name, symbol in _weak(results)) or "none",
        ),
        *summary(results, programs),
        NOTES,
        "## The cases, and what each program gave\n",
    ]
    for case in CASES:
        lines += details(case, results[case.name], programs)
    lines += [
        "## Memory and time\n",
        "A rough orientation, measured once and in turn; benchmarks/RESULTS.md has the figures that"
        " are measured with care. Memory is what the process takes at most beyond the rows.\n",
        *measured(figures, programs),
        "",
        *optimum_section(),
        *bic_section(),
        BETTER,
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = _parse(arguments)
    if options.run:
        name, case_name = options.run
        case = next(c for c in (*CASES, *MEASUREMENTS) if c.name == case_name)
        print("\nOUTCOME " + json.dumps(asdict(run(PROGRAMS[name], case))), flush=True)
        return 0
    programs = [p for p in PROGRAMS.values() if options.program in p.name]
    if options.case or options.program:
        cases = [c for c in (*CASES, *MEASUREMENTS) if options.case in c.name]
        for case, outcomes in zip(cases, run_all(programs, cases).values(), strict=True):
            print("\n".join(details(case, outcomes, programs)))
        return 0
    PAGE.write_text(write_page(programs), encoding="utf-8")
    progress(f"written: {PAGE}")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser("python -m benchmarks.compared", __doc__)
    add = parser.add_argument
    add("--case", default="", metavar="TEXT", help="only cases whose name contains TEXT; print")
    add("--program", default="", metavar="TEXT", help="only such programs; print")
    add("--run", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
