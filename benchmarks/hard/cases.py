"""The hard cases of ``python -m benchmarks.compared``, one entry each: `CASES`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.hard import tasks
from benchmarks.hard.programs import Program

CLOSED = "closed form: the moments of each cluster"
EXACT = 1e-3  # of a variance: ten thousand ridges of 1e-6, less than anyone would see

REMEDY = r"reg_covar|decreas|increas|scale|remov|imput|handle|drop|noise|>=|at least|fewer|must be"
CENTRE = r"offset|cent(er|re)|subtract|shift"  # of large offsets: no ridge and no scale helps


@dataclass(frozen=True)
class Case:
    """One hard case.

    Attributes
    ----------
    name : str
        The row of the tables.
    what : str
        The data and the task, in a few words.
    answer : str
        The right answer, and where it is known from.
    do : callable
        ``(program, structure) -> figure``; what it raises is judged too.
    right : callable
        Whether a figure is right.
    wanted : {"value", "refusal", "notice", "figure"}
        "refusal": an error that names the remedy is the only right answer. "notice": a warning must
        come with the model, or an error that names the remedy. "figure": nothing is judged.
    figure : str
        What the figure is, with ``{}`` in its place.
    every : bool
        Run every structure that the program has, and report the worst; else one.
    structure : str
        The one.
    remedy : str
        What an error must match to name a remedy.
    limit : float
        Seconds after which a program counts as hanging.
    cheap : bool
        Whether the tests run fastem's part again.
    alone : bool
        Whether nothing else may run beside it.
    """

    name: str
    what: str
    answer: str
    do: tasks.Task
    right: Callable[[float], bool] = lambda value: value < EXACT
    wanted: Literal["value", "refusal", "notice", "figure"] = "value"
    figure: str = "{:.1e}"
    every: bool = False
    structure: str = "full"
    remedy: str = REMEDY
    limit: float = 60.0
    cheap: bool = True
    alone: bool = False

    def structures(self, program: Program) -> Sequence[str]:
        """The structures to run a program with."""
        return program.structures if self.every else (self.structure,)


CASES: tuple[Case, ...] = (
    Case("control", "two clusters of unit variance, 20 apart", CLOSED, tasks.moments(), every=True),
    *(
        Case(
            f"offset {text}",
            f"the same, {text} added",
            CLOSED,
            tasks.moments(offset=float(text)),
            every=True,
            remedy=CENTRE,
        )
        for text in ("1e6", "1e8")
    ),
    Case(
        "Unix times",
        "two visits an hour apart, in seconds since 1970, sd 60",
        f"{CLOSED}, sd 60 (the figure)",
        tasks.unix_times,
        right=lambda value: abs(value - 60.0) < 0.1,
        figure="{:.4g} s",
        every=True,
        remedy=CENTRE,
    ),
    Case(
        "float32, offset 1000",
        "two clusters in float32, 1000 added",
        f"{CLOSED} of the rows as stored",
        tasks.moments("float32", 1000.0),
        every=True,
        remedy=CENTRE,
    ),
    *(
        Case(
            f"scale {text}",
            f"two clusters, times {text}",
            CLOSED,
            tasks.moments(scale=float(text)),
            every=True,
        )
        for text in ("1e-4", "1e-12", "1e+150")
    ),
    Case(
        "constant column",
        "a third column that is 5 everywhere",
        f"the other columns as without it; {CLOSED}",
        tasks.constant_column,
    ),
    Case(
        "collinear columns",
        "a third column that is the sum of the others",
        f"the other columns as without it; {CLOSED}",
        tasks.collinear,
    ),
    Case("n < D", "20 rows of 50 columns", "the clusters' means; closed form", tasks.few_rows),
    Case(
        "all rows identical",
        "100 copies of one row, K = 3",
        "a word: there is one component, not three (the figure: the largest weight)",
        tasks.identical,
        wanted="notice",
        figure="weight {:.2g}",
    ),
    Case(
        "duplicates",
        "300 normal rows and 5 copies of a far one, K = 2",
        "a word: the likelihood has no maximum (the figure: the smallest sd)",
        tasks.duplicates(),
        wanted="notice",
        figure="sd {:.1e}",
    ),
    Case(
        "duplicates, with a prior",
        "the same, with the program's conjugate prior",
        "no collapse: a smallest sd above a hundredth of the data's",
        tasks.duplicates(prior=True),
        right=lambda value: value > 0.01,
        figure="sd {:.2g}",
    ),
    Case(
        "a row at 1e8 sd",
        "two clusters and one row at (1e8, 1e8), K = 3",
        f"the far row alone, the others as without it; {CLOSED}",
        tasks.outlier(1e8),
    ),
    Case(
        "a row at 1e160",
        "the same with (1e160, 1e160): its square overflows",
        "the same, or an error that names the remedy",
        tasks.outlier(1e160),
    ),
    Case(
        "predict a row at 1e8",
        "probabilities of a far row",
        "0 and 1, by the fitted parameters in extended precision",
        tasks.far_row(1e8),
    ),
    Case(
        "predict a row at 1e160",
        "probabilities of a row whose square overflows",
        "the same, or an error that names the remedy",
        tasks.far_row(1e160),
    ),
    Case(
        "NaN in the data",
        "one NaN in 600 rows",
        "an error that names the remedy",
        tasks.nan_in_data,
        wanted="refusal",
        figure="a model",
    ),
    Case(
        "n < K",
        "3 rows, K = 5",
        "an error that names the remedy",
        tasks.too_few,
        wanted="refusal",
        figure="a model",
        limit=15.0,
    ),
    Case(
        "a restart that overflows",
        "8 rows and one at 1e155, K = 3, 100 starts from random rows",
        f"the best of the starts that do not overflow; {CLOSED}",
        tasks.lost_restart,
    ),
    Case(
        "sample weights",
        "weights 0, 1, 2, 3 of the rows",
        "as if rows were left out and repeated; closed form",
        tasks.row_weights,
        every=True,
    ),
    Case(
        "Ctrl-C, then predict",
        "KeyboardInterrupt four seconds into a fit",
        "heard within a second, and the model unfitted as before (the figure: the delay; inf: a "
        "half-trained model predicts; ∞: not heard)",
        tasks.interrupted,
        right=lambda value: value < 1.0,
        figure="{:.2g} s",
        limit=40.0,
        cheap=False,
        alone=True,
    ),
    Case(
        "fork after a fit",
        "a fit with two threads, then one in a forked child",
        "the child ends as the parent does",
        tasks.forked,
        right=lambda value: value == 0.0,
        figure="exit {:.0f}",
        limit=15.0,
        cheap=False,
    ),
    Case(
        "one thread or two",
        "the same fit with one thread and with two",
        "the same bits (the figure: the largest relative difference of a mean)",
        tasks.same_bits,
        right=lambda value: value == 0.0,
        figure="{:.0e}",
        cheap=False,
    ),
    Case(
        "stopping early",
        "Old Faithful, tied, K = 3, default tolerance",
        "log-likelihood -1126.316, the optimum (mclust's BIC winner)",
        tasks.optimum(),
        right=lambda value: abs(value + 1126.316) < 0.1,
        figure="{:.2f}",
        structure="tied",
    ),
    Case(
        "the same, tol=1e-8",
        "Old Faithful, tied, K = 3, a tight tolerance",
        "log-likelihood -1126.316",
        tasks.optimum(tol=1e-8, max_iter=5000),
        right=lambda value: abs(value + 1126.316) < 0.1,
        figure="{:.2f}",
        structure="tied",
    ),
    Case(
        "monotone",
        "four overlapping clusters, times 1e-3",
        "the log-likelihood never falls, or a warning (the figure: the largest fall per row)",
        tasks.largest_fall,
        right=lambda value: value < 1e-9,
    ),
)


def _measurement(name: str, do: tasks.Task, figure: str, *, limit: float, alone: bool) -> Case:
    unjudged: dict[str, Any] = {"wanted": "figure", "cheap": False}
    return Case(name, name, "", do, figure=figure, limit=limit, alone=alone, **unjudged)


MEASUREMENTS: tuple[Case, ...] = (
    *(
        _measurement(
            f"default fit, {rows} x {features}, K = {K}",
            tasks.seconds(rows, features, K),
            "{:.2g} s",
            limit=20.0,
            alone=True,
        )
        for rows, features, K in ((1000, 4, 3), (50_000, 8, 8))
    ),
    _measurement(
        "memory, 1000000 x 32 (244 MiB), K = 4",
        tasks.peak_memory,
        "{:.0f} MiB",
        limit=90.0,
        alone=False,
    ),
)
