"""Every family. To add one, give it a line: what is imported here is known everywhere."""

from .base import Family
from .bernoulli import Bernoulli as Bernoulli
from .beta import Beta as Beta
from .binomial import Binomial as Binomial
from .categorical import Categorical as Categorical
from .dirichlet import Dirichlet as Dirichlet
from .exponential import Exponential as Exponential
from .gamma import Gamma as Gamma
from .geometric import Geometric as Geometric
from .laplace import Laplace as Laplace
from .linear_regression import LinearRegression as LinearRegression
from .log_normal import LogNormal as LogNormal
from .logistic_regression import LogisticRegression as LogisticRegression
from .multinomial import Multinomial as Multinomial
from .multivariate_normal import MultivariateNormal as MultivariateNormal
from .multivariate_student_t import MultivariateStudentT as MultivariateStudentT
from .negative_binomial import NegativeBinomial as NegativeBinomial
from .normal import Normal as Normal
from .poisson import Poisson as Poisson
from .product import Product as Product
from .student_t import StudentT as StudentT
from .uniform import Uniform as Uniform
from .von_mises import VonMises as VonMises
from .weibull import Weibull as Weibull

#: name of the class -> class
FAMILIES: dict[str, type[Family]] = {
    name: value
    for name, value in list(globals().items())
    if isinstance(value, type) and issubclass(value, Family) and value is not Family
}
