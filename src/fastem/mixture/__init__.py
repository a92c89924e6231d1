"""Estimators with scikit-learn's interface.

The package is also a function: ``fastem.mixture("0.7*N(7, 0.5**2) + 0.3*N(10, 0.5**2)")`` is the
known mixture of a formula, see `Mixture.from_string`.
"""

import sys
from types import ModuleType
from typing import Any

from ..io import load  # from here, because the estimators that it makes are known by then
from .gaussian import GaussianMixture
from .many import fit_many
from .mixture import Mixture
from .report import FitReport

__all__ = ["FitReport", "GaussianMixture", "Mixture", "fit_many", "load"]


def from_formula(formula: str, **parameters: Any) -> Mixture:
    """The known mixture of a formula: what the package does when called."""
    return Mixture.from_string(formula, **parameters)


class _Mixture(ModuleType):
    def __call__(self, formula: str, **parameters: Any) -> Mixture:
        return from_formula(formula, **parameters)


sys.modules[__name__].__class__ = _Mixture
