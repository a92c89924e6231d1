"""Maximum likelihood where of some values only bounds are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from .._validation import check_sample_weight
from ..exceptions import DegenerateFitError
from ..families.base import Family
from ..families.truncation import log_masses
from . import complete
from .data import Data, FloatArray, refuse_missing, same_length, table, uncounted
from .result import MaximumLikelihood

_CODES: dict[Any, int] = {"left": -1, "none": 0, "right": 1, -1: -1, 0: 0, 1: 1}
#: SciPy has it from 1.11 on
SCIPYS: Any = getattr(stats, "CensoredData", ())
_NODES = 1 << 19  # values that stand for unknown ones, at once


@dataclass(frozen=True, eq=False)
class Bounds:
    """Values of one variable: bounds of each, equal where it is known.

    Parameters
    ----------
    low, high : array of shape (n,)
        Infinite for none. What is meant is low < x <= high.
    weights : array of shape (n,) or None
        All above 0.
    kept : array of bool of shape (n_given,) or None
        Which of the rows that were given are here; None for all. A row of weight 0 is none.
    """

    low: FloatArray
    high: FloatArray
    weights: FloatArray | None = None
    kept: NDArray[np.bool_] | None = None

    @property
    def exact(self) -> NDArray[np.bool_]:
        """Which values are known, (n,)."""
        return np.asarray(self.low == self.high)


def bounds(X: Any, censored: Any, sample_weight: Any) -> Bounds:
    """Bounds of what a user gave; see `fit`.

    Raises
    ------
    TypeError, ValueError
        If bounds are missing or in the wrong order, or what is censored is said otherwise.
    """
    if isinstance(X, SCIPYS):
        if censored is not None or sample_weight is not None:
            raise ValueError(
                "X is a CensoredData, which says what is censored and has no order of rows: give "
                "neither censored nor sample_weight, or the bounds as an array of two columns with "
                "censored='interval'"
            )
        return Bounds(*_of_scipy(X))
    values = table(X, "X")
    said = censored if isinstance(censored, str) else _said(censored, values)
    weights = check_sample_weight(sample_weight, values)
    kept = None
    if weights is not None and not weights.all():
        kept = weights > 0
        values, weights = values[kept], weights[kept]
        said = said if isinstance(said, str) else said[kept]
    with uncounted(kept):
        low, high = (
            _of_intervals(values, said) if isinstance(said, str) else _of_codes(values, said)
        )
    return Bounds(low, high, weights, kept)


def _of_scipy(X: Any) -> tuple[FloatArray, FloatArray]:
    exact, left, right, interval = X._uncensored, X._left, X._right, X._interval
    low = [exact, np.full(len(left), -np.inf), right, interval[:, 0] if len(interval) else []]
    high = [exact, left, np.full(len(right), np.inf), interval[:, 1] if len(interval) else []]
    return np.concatenate(low).astype(float), np.concatenate(high).astype(float)


def _of_intervals(X: FloatArray, censored: str) -> tuple[FloatArray, FloatArray]:
    if censored != "interval":
        raise ValueError(
            f"censored={censored!r} is not known: give 'interval' with the bounds as two columns, "
            "or an array that says 'left', 'right' or 'none' of each value"
        )
    both = np.asarray(X, dtype=np.float64)
    refuse_missing(both, "X")
    if both.ndim != 2 or both.shape[1] != 2:
        raise ValueError(
            "censored='interval': X must have two columns, the lower and the upper bounds, but "
            f"its shape is {both.shape}"
        )
    low, high = both.T
    bad = ~(low <= high) | (np.isinf(low) & (low == high))
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"censored='interval': the lower bound {low[row]:g} of row {row}, counted from 0, is "
            f"not below the upper bound {high[row]:g}. Equal bounds are a known value, which is "
            "finite"
        )
    return low, high


def _said(censored: Any, values: FloatArray) -> NDArray[Any]:
    """What is said of each value, (n,)."""
    said = np.asarray(censored)
    if said.dtype.kind in "US" and not isinstance(censored, np.ndarray):
        said = np.asarray(censored, dtype=object)  # NumPy would make text of numbers among text
    if said.ndim == 2 and said.shape[1] == 1:
        said = said[:, 0]
    if said.ndim != 1:
        raise ValueError(
            "censored must be an array that says 'left', 'right' or 'none' (-1, 1 or 0) of each "
            f"value, or 'interval', but its shape is {said.shape}"
        )
    same_length(said, values, "censored")
    return said


def _of_codes(X: FloatArray, said: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    values = np.asarray(X, dtype=np.float64)
    refuse_missing(values, "X")
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(
            f"censored values must be one column, but the shape of X is {values.shape}: columns "
            "are independent, so fit each by itself"
        )
    codes = [_CODES.get(code) for code in said.tolist()]  # True is 1
    if None in codes:
        row = codes.index(None)
        raise ValueError(
            f"censored: {said.tolist()[row]!r} in row {row}, counted from 0, is not known: use "
            "'left', 'right' or 'none', or -1, 1 or 0"
        )
    sides = np.array(codes)
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise ValueError(f"X is infinite in row {row}, counted from 0: no value and no bound is")
    return np.where(sides < 0, -np.inf, values), np.where(sides > 0, np.inf, values)


@dataclass(frozen=True, eq=False)
class Observed:
    """What is seen of values: some themselves, of others bounds, equal ones counted together.

    Parameters
    ----------
    exact : Data
        The values that are known.
    low, high, weights : array of shape (m,)
        Different bounds, and how often they are given.
    total_weight : float
    """

    exact: Data
    low: FloatArray
    high: FloatArray
    weights: FloatArray
    total_weight: float

    @cached_property
    def _kept(self) -> dict[str, Any]:
        return {}

    def statistics(self, members: Family) -> Any:
        """Expected sufficient statistics: of what is known, and of what is expected (E-step)."""
        found = None
        if self.exact.n_rows:
            # sums of known values depend on the parameters only where a step does
            if members.iterative or "exact" not in self._kept:
                self._kept["exact"] = self.exact.statistics(members)
            found = self._kept["exact"]
        one = members.member(0).scalar()
        begin, size = 0, 1024
        while begin < len(self.low):
            part = slice(begin, begin + size)
            values, probabilities = one.truncated(self.low[part], self.high[part])
            weights = probabilities * self.weights[part, None]
            more = members.accumulate(values.reshape(-1, 1), weights.reshape(-1, 1))
            found = more if found is None else found + more
            begin, size = begin + size, max(1, _NODES // values.shape[1])
        return found

    def log_likelihood(self, members: Family) -> FloatArray:
        """Of what is seen: densities of known values, masses between bounds; (K,)."""
        found = np.zeros(members.n_members)
        if self.exact.n_rows:
            known = members.log_likelihood(self._kept["exact"]) if "exact" in self._kept else None
            found = found + (self.exact.log_likelihood(members) if known is None else known)
        return np.asarray(found + self.weights @ log_masses(members, self.low, self.high))


def observed(family: Family, given: Bounds, n_threads: int) -> tuple[Observed, Family]:
    """What is seen of values, within the support; and the family, prepared.

    Raises
    ------
    ValueError
        If a value is not in the support, or none is between its bounds.
    DegenerateFitError
        If all that is known are bounds on one side.
    """
    name, support = type(family).__name__, family.support
    if not family.univariate:
        raise ValueError(
            f"{name}: censored values are known here of families of one variable, fitted to one "
            "column"
        )
    exact = given.exact
    if exact.any():
        # each row in its place, so that the error names it
        start = family.prepared(np.where(exact, given.low, given.low[np.argmax(exact)])[:, None])
    elif support.integer:  # what a family must know of its values, bounds tell as well
        ends = np.where(np.isfinite(given.high), given.high, given.low)
        start = family.prepared(np.maximum(np.floor(ends), support.low)[:, None])
    else:
        start = family
    low, high = np.maximum(given.low, support.low), np.minimum(given.high, support.high)
    if support.integer:  # the lowest value itself is above no bound: what is below it is
        low, high = np.maximum(np.floor(given.low), support.low - 1), np.floor(high)
        empty = ~exact & ~((low < high) & start.inside(low[:, None] + 1))
    else:
        empty = ~exact & ((low > high) | ((low == high) & ~np.isclose(given.low, given.high)))
    if empty.any():
        row = int(np.argmax(empty))
        raise ValueError(
            f"{name} is a distribution of {support.describe()}: of those none is above "
            f"{given.low[row]:g} and at most {given.high[row]:g}, the bounds in row {row}, counted "
            "from 0. Remove such rows, or choose a family that has such values"
        )
    weights = np.ones(len(low)) if given.weights is None else given.weights
    counted = weights > 0
    bounded = ~exact & counted
    above = low[bounded] >= support.low if support.integer else low[bounded] > support.low
    below = high[bounded] < support.high
    if not (exact & counted).any() and not (above.any() and below.any()):
        raise DegenerateFitError(
            f"{name}: no value is known, and all bounds are on one side, so the likelihood rises "
            "without end. Some values must be known, or bounded on the other side"
        )
    pairs, places = np.unique(
        np.stack([low[bounded], high[bounded]], axis=1), axis=0, return_inverse=True
    )
    known = exact & counted
    data = Data(
        given.low[known, None],
        None if given.weights is None else given.weights[known],
        n_threads=n_threads,
    )
    times = np.bincount(places.ravel(), weights[bounded], minlength=len(pairs)).astype(float)
    total = float(weights.sum())
    return Observed(data, pairs[:, 0], pairs[:, 1], times, total), start


def _beginning(family: Family, seen: Observed) -> Data:
    """Values to begin with: the known ones, and middles of bounds, or some way beyond one."""
    low, high, support = seen.low, seen.high, family.support
    seen_at = np.concatenate([seen.exact.X[:, 0], low[np.isfinite(low)], high[np.isfinite(high)]])
    beyond = np.ptp(seen_at) / 4 if len(seen_at) else 0.0
    below, above = np.isfinite(low), np.isfinite(high)
    with np.errstate(invalid="ignore"):
        middle = np.where(below, np.where(above, low / 2 + high / 2, low + beyond), high - beyond)
    if support.integer:
        middle = np.where(np.isfinite(middle), np.floor(middle) + (middle < high), middle)
        # not beyond the greatest value there is
        middle = np.where(family.inside(middle[:, None]), middle, low + 1)
    # nothing is known of what may be anywhere; and a bound may be no possible value
    told = (low > support.low) | (high < support.high)
    told &= family.inside(middle[:, None])
    values = np.concatenate([seen.exact.X[:, 0], middle[told]])
    weights = seen.exact.weights
    weights = np.ones(seen.exact.n_rows) if weights is None else weights
    return Data(values[:, None], np.concatenate([weights, seen.weights[told]]))


def fit(
    family: Family,
    given: Bounds,
    fixed: Mapping[str, Any],
    max_iter: int,
    scalar: bool,
    n_threads: int,
) -> MaximumLikelihood:
    """EM on the expected sufficient statistics, then the likelihood of what is seen itself.

    References
    ----------
    Dempster, Laird, Rubin (1977), JRSS B 39, 1-38, section 4.2: censoring and truncation.
    """
    seen, start = observed(family, given, n_threads)
    weight = seen.total_weight
    trace: tuple[float, ...] = ()
    begin = _beginning(start, seen)
    if fixed:
        members = complete.with_fixed(start, begin, fixed, max_iter)[0]
    else:
        members = complete.fit(start, begin, max_iter)[0]
        run = complete.Steps(members, seen.statistics, seen.log_likelihood).run(weight, max_iter)
        members, trace = run.model.members, run.log_likelihoods
    # where much is hidden EM creeps; and its expectations have the errors of a quadrature
    members = complete.maximised(members, (seen.log_likelihood,), weight, tuple(fixed))
    value = float(seen.log_likelihood(members)[0])
    if not np.isfinite(value):
        raise DegenerateFitError(
            f"{type(family).__name__}: no parameters were found under which all values that are "
            "known, and all bounds, are possible. Examine the bounds, or choose another family"
        )
    one = members.member(0)
    return MaximumLikelihood(
        family=one.scalar() if scalar else one,
        log_likelihood=value,
        total_weight=weight,
        n_samples=len(given.low),
        fixed=tuple(fixed),
        trace=trace,
        _likelihoods=(seen.log_likelihood,),
    )
