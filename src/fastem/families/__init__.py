"""Distributions and the sufficient statistics they are fitted from."""

from .gaussian_mixture import GaussianMixtureModel
from .many import ManyGaussianMixtures
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
