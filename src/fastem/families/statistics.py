"""Expected sufficient statistics, and the one function that adds them up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[Any]

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Statistics:
    """What the E-step leaves of the data: its size never grows with the number of rows.

    Of many mixtures at once, every array has one more axis before all others, and the numbers are
    arrays: (n,) the log-likelihood, (n, 1) the others.

    Parameters
    ----------
    about : array of shape (n_components, n_features)
        The means that the moments are about; moments are never raw, so nothing cancels.
    counts : array of shape (n_components,)
        Sums of responsibilities, sample weights included.
    first : array of shape (n_components, n_features)
        Sums of r (x - about).
    second : array
        Sums of r (x - about)(x - about)^T, in the shape of the covariance structure.
    log_likelihood : float
        Of the parameters that the responsibilities came from; 0 where those were given.
    total_weight : float
        Sum of the sample weights.
    n_rows : int
        Rows they were taken from.
    """

    about: FloatArray
    counts: FloatArray
    first: FloatArray
    second: FloatArray
    log_likelihood: Any
    total_weight: Any
    n_rows: Any

    @cached_property
    def weights_and_offsets(self) -> tuple[FloatArray, FloatArray]:
        """Weights of the components, and where their means are from what the moments are about.

        10 eps of a row's weight keep a component without points from dividing by 0.
        """
        row_weight = self.total_weight / self.n_rows
        counts: FloatArray = self.counts + 10 * _EPS * row_weight
        return counts, self.first / counts[..., None]


def merge(left: Statistics, right: Statistics) -> Statistics:
    """Statistics of two sets of rows together.

    Raises
    ------
    ValueError
        If they are about different means and so cannot be added.
    """
    if not np.array_equal(left.about, right.about):
        raise ValueError(
            "statistics about different means cannot be merged: accumulate both with the same "
            "parameters"
        )
    return Statistics(
        left.about,
        left.counts + right.counts,
        left.first + right.first,
        left.second + right.second,
        left.log_likelihood + right.log_likelihood,
        left.total_weight + right.total_weight,
        left.n_rows + right.n_rows,
    )
