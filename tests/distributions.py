"""One entry a family: a distribution of it, and the same density by SciPy.

Each entry adds its family to the contract suite in test_families.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from fastem.families.registry import FAMILIES


@dataclass(frozen=True)
class Example:
    """A known distribution, and SciPy's log-density of its rows (n, D), or of numbers (n,)."""

    family: Any
    log_density: Callable[[Any], Any]


F = FAMILIES


def columns(frozen):
    """SciPy's log-density of rows of independent columns."""
    return lambda X: frozen.logpdf(X).sum(axis=1)


EXAMPLES: dict[str, list[Example]] = {
    "Beta": [
        Example(F["Beta"](2.0, 3.0), stats.beta(2.0, 3.0).logpdf),
        Example(F["Beta"](0.3, 0.6), stats.beta(0.3, 0.6).logpdf),
        Example(F["Beta"](4000.0, 20.0), stats.beta(4000.0, 20.0).logpdf),
        Example(F["Beta"]([1.0, 0.7], [5.0, 30.0]), columns(stats.beta([1.0, 0.7], [5.0, 30.0]))),
    ],
    "Exponential": [
        Example(F["Exponential"](0.7), stats.expon(scale=1 / 0.7).logpdf),
        Example(F["Exponential"](1e12), stats.expon(scale=1e-12).logpdf),
        Example(F["Exponential"]([0.1, 3.0]), columns(stats.expon(scale=[10.0, 1 / 3]))),
    ],
    "Gamma": [
        Example(F["Gamma"](2.5, 1.5), stats.gamma(2.5, scale=1.5).logpdf),
        Example(F["Gamma"](0.3, 40.0), stats.gamma(0.3, scale=40.0).logpdf),
        Example(
            F["Gamma"]([2.0, 5.0], [1.0, 0.1]),
            lambda X: stats.gamma([2.0, 5.0], scale=[1.0, 0.1]).logpdf(X).sum(axis=1),
        ),
    ],
    "Laplace": [
        Example(F["Laplace"](1.0, 2.0), stats.laplace(1.0, 2.0).logpdf),
        Example(F["Laplace"](-1e8, 1.0), stats.laplace(-1e8, 1.0).logpdf),
        Example(
            F["Laplace"]([0.0, 5.0], [1e-3, 7.0]), columns(stats.laplace([0.0, 5.0], [1e-3, 7.0]))
        ),
    ],
    "LogNormal": [
        Example(F["LogNormal"](1.0, 0.5), stats.lognorm(0.5, scale=math.exp(1.0)).logpdf),
        Example(F["LogNormal"](-27.0, 1e-4), stats.lognorm(1e-4, scale=math.exp(-27.0)).logpdf),
        Example(
            F["LogNormal"]([0.0, 27.0], [0.7, 0.1]),
            columns(stats.lognorm([0.7, 0.1], scale=np.exp([0.0, 27.0]))),
        ),
    ],
    "Normal": [
        Example(F["Normal"](3.0, 2.0), stats.norm(3.0, 2.0).logpdf),
        Example(F["Normal"](1e6, 1e-3), stats.norm(1e6, 1e-3).logpdf),
    ],
    "Poisson": [
        Example(F["Poisson"](4.2), stats.poisson(4.2).logpmf),
        Example(
            F["Poisson"]([0.5, 30.0]),
            lambda X: stats.poisson([0.5, 30.0]).logpmf(X).sum(axis=1),
        ),
    ],
    "StudentT": [
        Example(F["StudentT"](4.0, 1.0, 2.0), stats.t(4.0, 1.0, 2.0).logpdf),
        Example(F["StudentT"](0.7, 0.0, 1e-12), stats.t(0.7, 0.0, 1e-12).logpdf),
        Example(F["StudentT"](9.0, 1e8, 1.0), stats.t(9.0, 1e8, 1.0).logpdf),
        Example(
            F["StudentT"]([1.5, 3.0], [0.0, -4.0], [1.0, 50.0]),
            columns(stats.t([1.5, 3.0], [0.0, -4.0], [1.0, 50.0])),
        ),
    ],
    "Uniform": [
        Example(F["Uniform"](-1.0, 3.0), stats.uniform(-1.0, 4.0).logpdf),
        Example(F["Uniform"](1e8, 1e8 + 1), stats.uniform(1e8, 1.0).logpdf),
        Example(
            F["Uniform"]([0.0, -5.0], [1e-6, 5.0]), columns(stats.uniform([0, -5], [1e-6, 10]))
        ),
    ],
    "VonMises": [
        Example(F["VonMises"](1.0, 2.0), stats.vonmises(2.0, loc=1.0).logpdf),
        Example(F["VonMises"](-2.0, 0.3), stats.vonmises(0.3, loc=-2.0).logpdf),
        Example(F["VonMises"](3.0, 1e6), stats.vonmises(1e6, loc=3.0).logpdf),
        Example(
            F["VonMises"]([0.0, 1.5], [5.0, 80.0]), columns(stats.vonmises([5.0, 80.0], [0.0, 1.5]))
        ),
    ],
    "Weibull": [
        Example(F["Weibull"](1.5, 2.0), stats.weibull_min(1.5, scale=2.0).logpdf),
        Example(F["Weibull"](0.6, 1e12), stats.weibull_min(0.6, scale=1e12).logpdf),
        Example(F["Weibull"](500.0, 1e-12), stats.weibull_min(500.0, scale=1e-12).logpdf),
        Example(
            F["Weibull"]([0.8, 4.0], [1.0, 70.0]),
            columns(stats.weibull_min([0.8, 4.0], scale=[1.0, 70.0])),
        ),
    ],
}
