"""Estimators with scikit-learn's interface."""

from ..io import load  # from here, because the estimators that it makes are known by then
from .gaussian import GaussianMixture
from .many import fit_many
from .report import FitReport

__all__ = ["FitReport", "GaussianMixture", "fit_many", "load"]
