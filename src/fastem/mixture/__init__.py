"""Estimators with scikit-learn's interface."""

from .gaussian import GaussianMixture

__all__ = ["GaussianMixture"]
