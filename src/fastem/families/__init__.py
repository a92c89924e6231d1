"""Distributions, and what they are fitted from.

- Numbers: Normal, StudentT, Laplace, Uniform; above 0: Exponential, Gamma, Weibull, LogNormal;
  between 0 and 1: Beta; angles: VonMises.
- Counts: Poisson, NegativeBinomial, Geometric, Binomial, Bernoulli; codes of categories:
  Categorical.
- Rows of several numbers: MultivariateNormal, MultivariateStudentT, Dirichlet (shares),
  Multinomial (counts), and Product for columns of different kinds.
- A response given covariates: LinearRegression, LogisticRegression.

A family without parameters is to be fitted, by `fastem.mle.fit` or within a `fastem.Mixture`; one
with parameters is a distribution:

>>> from fastem.families import Gamma
>>> lamp = Gamma(shape=2.0, scale=1.5)
>>> float(lamp.mean), float(lamp.variance)
(3.0, 4.5)
>>> lamp.log_density([1.0, 2.0]).round(4)
array([-1.4776, -1.4511])
>>> lamp.sample(3, random_state=0).shape
(3,)
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
