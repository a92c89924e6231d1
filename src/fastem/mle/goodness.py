"""Whether data could be of the family that was fitted to them: a hint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from .data import Data, FloatArray

_LEAST_EXPECTED = 5.0  # in a cell of the chi-square test, the usual rule


@dataclass(frozen=True)
class GoodnessOfFit:
    """A test of a fitted distribution on the data it was fitted to.

    Parameters
    ----------
    test : str
        Its name; empty where there is none.
    statistic, pvalue : float or tuple of float
        One for each column.
    note : str
        How to read it, or why there is none.
    """

    test: str
    statistic: Any
    pvalue: Any
    note: str

    def __str__(self) -> str:
        if not self.test:
            return self.note
        if isinstance(self.pvalue, tuple):
            numbers = f"least p-value of {len(self.pvalue)} columns {np.nanmin(self.pvalue):.3g}"
        else:
            numbers = f"{self.statistic:.4g}, p-value {self.pvalue:.3g}"
        return f"{self.test} {numbers} ({self.note})"


def _none(note: str) -> GoodnessOfFit:
    return GoodnessOfFit("", np.nan, np.nan, note)


def tested(family: Any, data: Data | None, n_parameters: int) -> GoodnessOfFit:
    """The test that suits the family; see `MaximumLikelihood.goodness_of_fit`."""
    if data is None:
        return _none("no test for censored data")
    if family.conditional:
        return _none("no test for a response given covariates")
    if not family.univariate:
        return _none("no test for more than one variable")
    if data.weights is not None:
        return _none("no test for weighted data")
    test = _chi_square if family.support.integer else _kolmogorov
    members, n_columns = family.members(), data.n_columns
    found = []
    for j in range(n_columns):
        column = np.asarray(data.X[:, j], dtype=np.float64)
        try:
            known = members.column(j).member(0).scalar().scipy()
        except NotImplementedError:
            return _none("no test, for scipy.stats has no such distribution")
        found.append(test(known, column, n_parameters // n_columns))
    if n_columns == 1:
        return found[0]
    tests = [f for f in found if f.test]
    if not tests:
        return found[0]
    return GoodnessOfFit(
        tests[0].test,
        tuple(f.statistic for f in found),
        tuple(f.pvalue for f in found),
        tests[0].note,
    )


def _kolmogorov(known: Any, x: FloatArray, n_parameters: int) -> GoodnessOfFit:
    reached = known.cdf(x)
    # of angles scipy goes on counting from turn to turn
    reached = np.where((reached < 0) | (reached > 1), reached % 1, reached)
    found = stats.kstest(reached, "uniform")
    return GoodnessOfFit(
        "Kolmogorov-Smirnov",
        float(found.statistic),
        float(found.pvalue),
        "too high, since the parameters were fitted to these data: trust only a low one",
    )


def _chi_square(known: Any, x: FloatArray, n_parameters: int) -> GoodnessOfFit:
    n = len(x)
    low, high = x.min(), x.max()
    # so many values that one cell for each would be many: cells of equal width
    edges = np.unique(np.floor(np.linspace(low, high, int(min(high - low, 1000)) + 1)))
    reach = np.concatenate([[0.0], np.asarray(known.cdf(edges[:-1])), [1.0]])
    expected = n * np.diff(reach)
    cells = np.searchsorted(edges[:-1], x, side="left")
    seen = np.bincount(cells, minlength=len(expected)).astype(float)
    seen, expected = _pooled(seen, expected)
    degrees = len(seen) - 1 - n_parameters
    if degrees < 1:
        return _none("no test: too few cells that 5 values are expected in")
    found = stats.chisquare(seen, expected * (n / expected.sum()), ddof=n_parameters)
    return GoodnessOfFit(
        "chi-square",
        float(found.statistic),
        float(found.pvalue),
        f"{len(seen)} cells, {degrees} degrees of freedom",
    )


def _pooled(seen: FloatArray, expected: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Neighbouring cells joined until each is expected to hold five."""
    result: list[list[float]] = []
    count = mass = 0.0
    for s, e in zip(seen, expected, strict=True):
        count, mass = count + s, mass + e
        if mass >= _LEAST_EXPECTED:
            result.append([count, mass])
            count = mass = 0.0
    if result:
        result[-1][0] += count
        result[-1][1] += mass
    else:
        result.append([count, mass])
    pooled = np.array(result)
    return pooled[:, 0], pooled[:, 1]
