"""Every family. To add one, give it a line: what is imported here is known everywhere."""

from .base import Family
from .gamma import Gamma as Gamma
from .linear_regression import LinearRegression as LinearRegression
from .logistic_regression import LogisticRegression as LogisticRegression
from .normal import Normal as Normal
from .poisson import Poisson as Poisson

#: name of the class -> class
FAMILIES: dict[str, type[Family]] = {
    name: value
    for name, value in list(globals().items())
    if isinstance(value, type) and issubclass(value, Family) and value is not Family
}

__all__ = ["FAMILIES", *FAMILIES]
