"""Every family. To add one, give it a line: what is imported here is known everywhere."""

from .base import Family
from .bernoulli import Bernoulli as Bernoulli
from .binomial import Binomial as Binomial
from .categorical import Categorical as Categorical
from .dirichlet import Dirichlet as Dirichlet
from .gamma import Gamma as Gamma
from .geometric import Geometric as Geometric
from .multinomial import Multinomial as Multinomial
from .multivariate_normal import MultivariateNormal as MultivariateNormal
from .multivariate_student_t import MultivariateStudentT as MultivariateStudentT
from .negative_binomial import NegativeBinomial as NegativeBinomial
from .normal import Normal as Normal
from .poisson import Poisson as Poisson
from .product import Product as Product

#: name of the class -> class
FAMILIES: dict[str, type[Family]] = {
    name: value
    for name, value in list(globals().items())
    if isinstance(value, type) and issubclass(value, Family) and value is not Family
}

__all__ = ["FAMILIES", *FAMILIES]
