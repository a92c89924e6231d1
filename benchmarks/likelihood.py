"""Maximum likelihood of single distributions, beside ``fit`` of scipy.stats.

``fastem.mle.fit`` as a user calls it: it examines the values, fits, and has the log-likelihood.
Both fit the same parameters to the same values, which are drawn from the family: where SciPy has
more parameters (a location of the gamma distribution), the others are fixed. SciPy checks that all
values are finite, and so does fastem. Where SciPy maximises numerically over all values it gets
fewer of them, as the name of the row says. SciPy knows no weights: fastem's fit with a weight for
each value, which are examined too, stands beside SciPy's fit without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.measure import in_turn, timed
from benchmarks.report import milliseconds, number, progress
from fastem import mle
from fastem.families.registry import FAMILIES

_AGREEMENT = 1e-3  # SciPy's simplex search stops early


@dataclass(frozen=True)
class OneFit:
    """Values, and how SciPy fits them.

    Attributes
    ----------
    truth : Family
    x : array of shape (n,)
    weights : array of shape (n,)
    scipy : callable
        Takes the values (n,), and returns SciPy's parameters in fastem's order.
    """

    truth: Any
    x: Any
    weights: Any
    scipy: Callable[[Any], tuple[float, ...]]


@dataclass(frozen=True)
class Workload:
    """A named fit, whose values are drawn only when it is run."""

    truth: Any
    n_values: float
    distribution: Any
    fixed: dict[str, float] = field(default_factory=dict)
    order: Callable[..., tuple[Any, ...]] = lambda *found: found

    @property
    def name(self) -> str:
        """The family, how many values, and what SciPy does."""
        exponent = round(np.log10(self.n_values))
        fixed = ", ".join(f"{name}={value}" for name, value in self.fixed.items())
        return f"{type(self.truth).__name__} 1e{exponent}, {self.distribution.name}.fit({fixed})"

    def make(self, dtype: np.dtype[Any], quick: bool) -> OneFit:
        """Draw the values."""
        values = self.truth.sample(int(min(self.n_values, 1e4) if quick else self.n_values), 0)
        return OneFit(
            self.truth,
            values,
            np.random.default_rng(0).uniform(0.5, 1.5, len(values)),
            lambda x: self.order(*self.distribution.fit(x, **self.fixed)),
        )


F = FAMILIES

WORKLOADS = (
    Workload(F["Normal"](3.0, 2.0), 1e7, stats.norm),
    Workload(F["Exponential"](0.7), 1e7, stats.expon, {"floc": 0}, lambda _, s: (1 / s,)),
    Workload(F["Uniform"](-1.0, 3.0), 1e7, stats.uniform, {}, lambda low, w: (low, low + w)),
    Workload(F["Laplace"](1.0, 2.0), 1e7, stats.laplace),
    Workload(
        F["LogNormal"](1.0, 0.5), 1e7, stats.lognorm, {"floc": 0}, lambda s, _, m: (np.log(m), s)
    ),
    Workload(F["Gamma"](2.5, 1.5), 1e7, stats.gamma, {"floc": 0}, lambda a, _, s: (a, s)),
    Workload(
        F["Beta"](2.0, 3.0), 1e7, stats.beta, {"floc": 0, "fscale": 1}, lambda a, b, *_: (a, b)
    ),
    Workload(
        F["VonMises"](1.0, 2.0), 1e7, stats.vonmises, {"fscale": 1}, lambda k, loc, _: (loc, k)
    ),
    Workload(F["Weibull"](1.5, 2.0), 1e6, stats.weibull_min, {"floc": 0}, lambda c, _, s: (c, s)),
    Workload(F["StudentT"](7.0, 1.0, 2.0), 1e6, stats.t),
)


def measure(problem: OneFit, rounds: int, n_threads: int) -> list[str]:
    """Time both in turn."""
    family = type(problem.truth)()
    found: dict[str, tuple[float, ...]] = {}

    def ours() -> None:
        fit = mle.fit(family, problem.x, n_threads=n_threads)
        found["fastem"] = tuple(fit.parameters.values())

    def weighted() -> None:
        mle.fit(family, problem.x, sample_weight=problem.weights, n_threads=n_threads)

    def theirs() -> None:
        found["scipy"] = problem.scipy(problem.x)

    ours()
    tasks = {
        "fastem": lambda: timed(ours),
        "weighted": lambda: timed(weighted),
        "scipy": lambda: timed(theirs),
    }
    samples = in_turn(tasks, rounds)
    if not np.allclose(found["fastem"], found["scipy"], rtol=_AGREEMENT):
        progress(f"fastem has {found['fastem']}, where SciPy has {found['scipy']}")
    return [
        milliseconds(samples["fastem"].median),
        milliseconds(samples["scipy"].median),
        number(samples["scipy"].ratio_to(samples["fastem"]), "x"),
        milliseconds(samples["weighted"].median),
        number(samples["scipy"].ratio_to(samples["weighted"]), "x"),
    ]


def header(peers: Any) -> list[str]:
    """Name the columns of `measure`."""
    return ["fastem ms", "scipy fit ms", "/ fastem", "weighted ms", "scipy / weighted"]
