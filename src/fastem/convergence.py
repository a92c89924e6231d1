"""When a run of EM stops, and how fast it went."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: reason -> what it means, in words for people
REASONS = {
    "tolerance": "the log-likelihood changed by less than the tolerance",
    "max_iter": "the maximum number of iterations was reached",
    "likelihood_decreased": "the log-likelihood fell, which EM cannot do in exact arithmetic",
    "interrupted": "a callback stopped it",
}

# Successive changes tell of the rate while they are above the rounding of the parameters, and the
# smaller they are, the nearer is EM to the linear map that has a rate.
_ROUNDING_OF_CHANGES = 1e-9
_ROUNDING_OF_LIKELIHOODS = 1e-12


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
    relative : bool, default=False
        Converged when neither the log-likelihood, relative to its size (or to 1, if that is less),
        nor a parameter, relative to the largest that it has been, changes by more than `tol`.
    """

    tol: float = 1e-3
    max_iter: int = 100
    scale: Any = 1.0
    rounding: float = 1e-10
    relative: bool = False

    def fell(self, log_likelihood: Any, previous: Any, allowed: Any) -> Any:
        """Whether the log-likelihood fell by more than rounding and a penalty explain."""
        fall = previous - log_likelihood - allowed
        # 1 / scale keeps the allowance from vanishing where the terms of the sum cancel
        return (fall > self.rounding / self.scale) & (fall > self.rounding * abs(previous))

    def met(self, change: Any) -> Any:
        """Whether a change of the log-likelihood is within the tolerance."""
        return abs(change) * self.scale < self.tol

    def met_by_step(self, change: float, log_likelihood: float | None, moved: float | None) -> bool:
        """Whether an EM step is within the tolerance.

        Parameters
        ----------
        change : float
            Of the log-likelihood.
        log_likelihood : float or None
            None where there is none: the parameters decide.
        moved : float or None
            Relative change of the parameters, where it is known.
        """
        if log_likelihood is None:
            return moved is not None and moved <= self.tol
        if not self.relative:
            return bool(self.met(change))
        still = abs(change) <= self.tol * max(abs(log_likelihood), 1.0)
        return still and (moved is None or moved <= self.tol)


class Movement:
    """The relative changes of a model's parameters, of each EM step.

    The change of a number or array is that of its largest entry, relative to the largest entry that
    it has had: so it does not depend on units, and parameters that go to 0 come to rest.

    Parameters
    ----------
    sizes : sequence of float
        The largest entry of each before, for a run that is continued.
    """

    def __init__(self, sizes: Sequence[float] = ()) -> None:
        self.sizes = list(sizes)
        self.changes: list[float] = []
        self._of: dict[str, float] | None = None  # the sizes by name

    def step(self, before: Sequence[Any], after: Sequence[Any], whole: bool = True) -> float:
        """Note one step, from the names and arrays of the parameters before and after it.

        Whether something has another shape than before decides only where there is no
        log-likelihood (`whole`): it may be a record of the iterations.
        """
        old, sizes, change = dict(before), {}, 0.0
        known = self._of
        if known is None:
            alike = len(self.sizes) == len(after)
            known = {name: self.sizes[i] for i, (name, _) in enumerate(after)} if alike else {}
        for name, values in after:
            if name in old and old[name].shape == values.shape:
                sizes[name] = max(_largest(old[name], values), known.get(name, 0.0))
                change = max(change, _relative(old[name], values, sizes[name]))
            else:
                sizes[name] = 0.0
                change = math.inf if whole else change
        if whole and old.keys() - sizes.keys():
            change = math.inf
        self._of, self.sizes = sizes, list(sizes.values())
        self.changes.append(change)
        return change


def _largest(*arrays: Any) -> float:
    """The largest finite number."""
    return max(
        (float(np.abs(a[np.isfinite(a)]).max(initial=0.0)) for a in arrays),
        default=0.0,
    )


def _relative(before: Any, after: Any, size: float) -> float:
    moved = before != after
    if size == 0 or not moved.any():
        return 0.0
    return float(np.abs(after[moved] - before[moved]).max()) / size


def estimated_rate(changes: Sequence[float], log_likelihoods: Sequence[float]) -> float:
    """The factor by which an EM step reduces the error, in the end; NaN if too little is known.

    It is the ratio of two successive changes of the parameters; where these are not known, the root
    of that of the log-likelihood, which near its maximum changes by the square of the error.
    """
    rate = _last_ratio(changes, _ROUNDING_OF_CHANGES)
    if math.isnan(rate) and not changes and len(log_likelihoods) > 2:
        rises = np.diff(log_likelihoods).tolist()
        size = max(abs(log_likelihoods[-1]), 1.0)
        rate = math.sqrt(_last_ratio(rises, _ROUNDING_OF_LIKELIHOODS * size))
    return rate


def _last_ratio(changes: Sequence[float], rounding: float) -> float:
    """Of the last two successive changes above rounding."""
    for i in range(len(changes) - 1, 0, -1):
        if changes[i] > rounding and math.inf > changes[i - 1] > rounding:
            return changes[i] / changes[i - 1]
    return math.nan
