"""Every family, by the name of its class."""

from .base import Family
from .bernoulli import Bernoulli
from .binomial import Binomial
from .categorical import Categorical
from .dirichlet import Dirichlet
from .gamma import Gamma
from .geometric import Geometric
from .multinomial import Multinomial
from .multivariate_normal import MultivariateNormal
from .multivariate_student_t import MultivariateStudentT
from .negative_binomial import NegativeBinomial
from .normal import Normal
from .poisson import Poisson

_ALL: tuple[type[Family], ...] = (
    Bernoulli,
    Binomial,
    Categorical,
    Dirichlet,
    Gamma,
    Geometric,
    Multinomial,
    MultivariateNormal,
    MultivariateStudentT,
    NegativeBinomial,
    Normal,
    Poisson,
)

#: name -> class
FAMILIES: dict[str, type[Family]] = {family.__name__: family for family in _ALL}
