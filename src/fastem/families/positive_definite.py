"""Whether estimated covariances are positive definite, and the error that says why not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..covariances import Covariance
from ..exceptions import IllDefinedCovarianceError
from .base import Family

FloatArray = NDArray[Any]

_ROUNDING = 16 * float(np.finfo(np.float64).eps)


def factorised(family: Family, structure: Covariance, covariances: FloatArray) -> FloatArray:
    """Factors of the precisions; see `Covariance.factorise`.

    Parameters
    ----------
    family : Family
        Named in the error.
    structure : Covariance
    covariances : array in the shape of the structure

    Raises
    ------
    IllDefinedCovarianceError
        If one is singular, to rounding.
    """
    shape = structure.shape(1, 2)
    matrices = len(shape) - structure.own == 2
    with np.errstate(invalid="ignore"):
        factors, good = structure.factorise(covariances)
    if matrices:
        # what is left of a variance when the columns before are known; rounding can leave more
        # than nothing of 0
        variances = covariances.diagonal(0, -2, -1)
        left = 1 / np.square(np.where(good[..., None], factors.diagonal(0, -2, -1), 1.0))
        n_columns = variances.shape[-1]
        good = good & (left > _ROUNDING * n_columns * variances).all(axis=-1)
    if np.all(good):
        return factors
    first = tuple(np.argwhere(~np.asarray(good))[0])
    component = int(first[0]) if structure.own else None
    covariance = covariances[first]
    if not np.isfinite(covariance).all():
        why = "it is not finite: the data are too large, or no row has a weight"
    elif matrices and (constant := np.flatnonzero(covariance.diagonal() <= 0)).size:
        why = f"column {int(constant[0])} (counted from 0) is constant"
    elif matrices:
        why = "a column is a linear combination of others, or there are fewer rows than columns"
    else:
        why = "all values are equal"
    which = "shared by all" if component is None else f"of member {component}"
    raise IllDefinedCovarianceError(
        f"{type(family).__name__}: the covariance {which} is not positive definite: {why}. Remove "
        "such columns, choose a structure with fewer parameters or, in a mixture, fewer components",
        component,
    )
