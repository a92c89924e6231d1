"""Estimators with scikit-learn's interface."""

from ..io import load  # from here, because the estimators that it makes are known by then
from .gaussian import GaussianMixture

__all__ = ["GaussianMixture", "load"]
