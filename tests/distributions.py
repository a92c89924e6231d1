"""One entry a family: a distribution of it, and the same density by SciPy.

Each entry adds its family to the contract suite in test_families.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from scipy import stats

from fastem.families.registry import FAMILIES


@dataclass(frozen=True)
class Example:
    """A known distribution, and SciPy's log-density of its rows (n, D), or of numbers (n,).

    `outside` are more rows, or numbers, of density 0: those that the bounds of the support do not
    tell.
    """

    family: Any
    log_density: Callable[[Any], Any]
    outside: list[Any] = field(default_factory=list)


F = FAMILIES

EXAMPLES: dict[str, list[Example]] = {
    "Gamma": [
        Example(F["Gamma"](2.5, 1.5), stats.gamma(2.5, scale=1.5).logpdf),
        Example(F["Gamma"](0.3, 40.0), stats.gamma(0.3, scale=40.0).logpdf),
        Example(
            F["Gamma"]([2.0, 5.0], [1.0, 0.1]),
            lambda X: stats.gamma([2.0, 5.0], scale=[1.0, 0.1]).logpdf(X).sum(axis=1),
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
}
