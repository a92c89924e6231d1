"""Distributions and the sufficient statistics they are fitted from.

The families themselves are those of `registry.py`: `fastem.families.Poisson` and so on.
"""

from .base import Family
from .choice import chosen
from .data import Sample
from .exchange import described, restored
from .gaussian_mixture import GaussianMixtureModel
from .many import ManyGaussianMixtures
from .mixtures import FamilyMixture
from .registry import *  # noqa: F403 (whatever has a line there)
from .registry import FAMILIES
from .regularisation import AUTO, ConjugatePrior, Regularisation
from .statistics import Statistics, merge

__all__ = [
    "AUTO",
    "FAMILIES",
    "ConjugatePrior",
    "Family",
    "FamilyMixture",
    "GaussianMixtureModel",
    "ManyGaussianMixtures",
    "Regularisation",
    "Sample",
    "Statistics",
    "chosen",
    "described",
    "merge",
    "restored",
    *FAMILIES,
]
