"""Every family, by the name of its class."""

from .base import Family
from .gamma import Gamma
from .linear_regression import LinearRegression
from .logistic_regression import LogisticRegression
from .normal import Normal
from .poisson import Poisson

_ALL: tuple[type[Family], ...] = (
    Gamma,
    LinearRegression,
    LogisticRegression,
    Normal,
    Poisson,
)

#: name -> class
FAMILIES: dict[str, type[Family]] = {family.__name__: family for family in _ALL}
