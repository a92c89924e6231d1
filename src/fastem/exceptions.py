"""The errors and warnings that fastem raises, all typed so that callers can tell them apart."""

import sys
import warnings
from typing import Any

from sklearn.exceptions import ConvergenceWarning

__all__ = [
    "ConvergenceWarning",
    "DataFileError",
    "DataRangeError",
    "DegenerateDataWarning",
    "DegenerateFitError",
    "FastEMError",
    "FitManyError",
    "IllDefinedCovarianceError",
    "LikelihoodError",
    "MissingDependencyError",
    "ModelFileError",
]


def warn(message: str, category: type[Warning] = ConvergenceWarning) -> None:
    """Warn, as of the line outside this package that led here."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None:
        module = frame.f_globals.get("__name__", "")
        # scikit-learn's decorator of `fit` stands between
        if module.partition(".")[0] != __name__.partition(".")[0] and module != "sklearn.base":
            break
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


class FastEMError(Exception):
    """Base class of every error that fastem itself raises."""


#: what every such error begins with: scikit-learn's words
ILL_DEFINED = (
    "Fitting the mixture model failed because some components have ill-defined empirical covariance"
)


class DegenerateFitError(FastEMError, ValueError):
    """The likelihood has no maximum: it rises without end, towards a distribution that is none."""


class IllDefinedCovarianceError(DegenerateFitError):
    """A covariance matrix is not positive definite.

    Attributes
    ----------
    component : int or None
        The component at fault, counted from 0; None where one matrix is shared by all.
    """

    def __init__(self, message: str, component: int | None = None) -> None:
        super().__init__(message)
        self.component = component


class LikelihoodError(FastEMError, ValueError):
    """The log-likelihood became NaN or infinite: no answer computed from it could be trusted."""


class FitManyError(FastEMError, ValueError):
    """Some of many fits failed numerically.

    Attributes
    ----------
    models : list of GaussianMixture or None
        The fitted models; None in the place of those that failed.
    errors : dict of int to exception
        What went wrong, by the place in the list.
    """

    def __init__(self, models: list[Any], errors: dict[int, Exception]) -> None:
        first = min(errors)
        super().__init__(
            f"{len(errors)} of {len(models)} fits failed, the first is Xs[{first}]: "
            f"{errors[first]} The others are fitted: on_error='warn' returns them, with None in "
            "the place of those that failed"
        )
        self.models, self.errors = models, dict(sorted(errors.items()))


class DataRangeError(FastEMError, ValueError):
    """The data are so large, or so small, that their squares are no floating-point numbers."""


class DegenerateDataWarning(ConvergenceWarning):
    """The data determine less than was asked for: a column is constant, a component has no points,
    or points so close together that only `reg_covar` keeps its variance from 0."""


class DataFileError(FastEMError, ValueError):
    """A data file cannot be read as a table of numbers."""


class ModelFileError(FastEMError, ValueError):
    """A model file is damaged, of another kind, or written by a newer version."""


class MissingDependencyError(FastEMError, ImportError):
    """An optional package is needed for what was asked; the message says how to install it."""
