"""Every family, by the name of its class."""

from .base import Family
from .beta import Beta
from .exponential import Exponential
from .gamma import Gamma
from .laplace import Laplace
from .log_normal import LogNormal
from .normal import Normal
from .poisson import Poisson
from .student_t import StudentT
from .uniform import Uniform
from .von_mises import VonMises
from .weibull import Weibull

_ALL: tuple[type[Family], ...] = (
    Beta,
    Exponential,
    Gamma,
    Laplace,
    LogNormal,
    Normal,
    Poisson,
    StudentT,
    Uniform,
    VonMises,
    Weibull,
)

#: name -> class
FAMILIES: dict[str, type[Family]] = {family.__name__: family for family in _ALL}
