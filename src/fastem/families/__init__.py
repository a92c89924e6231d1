"""Distributions and the sufficient statistics they are fitted from."""

from .many import ManyGaussianMixtures
from .gaussian_mixture import GaussianMixtureModel
from .regularisation import AUTO, ConjugatePrior, Regularisation
from .statistics import Statistics, merge

__all__ = [
    "AUTO",
    "ConjugatePrior",
    "GaussianMixtureModel",
    "ManyGaussianMixtures",
    "Regularisation",
    "Statistics",
    "merge",
]
