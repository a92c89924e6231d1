"""Distributions and the sufficient statistics they are fitted from."""

from .multivariate_normal import GaussianMixtureModel
from .statistics import Statistics, merge

__all__ = ["GaussianMixtureModel", "Statistics", "merge"]
