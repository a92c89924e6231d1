"""Distributions and the sufficient statistics they are fitted from."""

from .many import ManyGaussianMixtures
from .multivariate_normal import GaussianMixtureModel
from .statistics import Statistics, merge

__all__ = ["GaussianMixtureModel", "ManyGaussianMixtures", "Statistics", "merge"]
