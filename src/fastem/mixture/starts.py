"""From an estimator's init parameters to the models that EM begins with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from .._kernels.rows import Workspace
from .._validation import check_means, check_precisions, check_weights
from ..families import GaussianMixtureModel
from ..initialization import INITIALIZATIONS, Blocks, Start, given

#: with these given there is nothing to initialise
ALL = {"weights", "means", "precisions_cholesky"}


def fresh_starts(
    estimator: Any, workspace: Workspace, X: NDArray[Any], kept: NDArray[Any] | None
) -> Iterator[Callable[[], GaussianMixtureModel]]:
    """One start for each of `n_init`, made when its turn comes.

    Parameters
    ----------
    estimator : GaussianMixture
        Only its parameters are read.
    workspace : Workspace
        Of the rows to be fitted.
    X : array of shape (n_samples, n_features)
        All rows, those of weight 0 included: responsibilities are given for all.
    kept : array of int or None
        Which rows of X are fitted; None for all.

    Raises
    ------
    ValueError
        If an init parameter cannot be used.
    """
    rows, structure = workspace.rows, estimator._structure
    options = {"reg_covar": estimator.reg_covar, "n_threads": rows.n_threads}
    parameters = given_parameters(estimator, rows.n_features, rows.shift)
    random_state = check_random_state(estimator.random_state)
    fitted = Fitted(rows.X, rows.sample_weight, X, kept)

    def start() -> GaussianMixtureModel:
        if parameters.keys() >= ALL:
            return GaussianMixtureModel(structure=structure, **parameters, **options)
        known = initial(estimator, fitted, random_state, rows.n_threads)
        return GaussianMixtureModel.from_known(
            structure, workspace, known, given=parameters, **options
        )

    return iter([start] * estimator.n_init)


class Fitted(NamedTuple):
    """The rows of a fit, and all that were given."""

    X: NDArray[Any]  # of weight above 0
    sample_weight: NDArray[Any] | None  # theirs
    given: NDArray[Any]  # those of weight 0 included
    kept: NDArray[Any] | None  # which of the given are fitted; None for all


def given_parameters(
    estimator: Any, n_features: int, shift: NDArray[Any]
) -> dict[str, NDArray[Any]]:
    """Parameters of a start that the user gave, less the shift.

    Raises
    ------
    ValueError
        If one cannot be used.
    """
    K, structure = estimator.n_components, estimator._structure
    parameters: dict[str, Any] = {}
    if estimator.weights_init is not None:
        parameters["weights"] = check_weights(estimator.weights_init, K)
    if estimator.means_init is not None:
        parameters["means"] = check_means(estimator.means_init, K, n_features) - shift
    if estimator.precisions_init is not None:
        factors = check_precisions(estimator.precisions_init, structure, K, n_features)
        parameters["precisions_cholesky"] = factors
        parameters["covariances"] = structure.covariances(factors)
    return parameters


def initial(
    estimator: Any, rows: Fitted, random_state: np.random.RandomState, n_threads: int
) -> Blocks:
    """What `init_params` makes known of the rows."""
    init, K = estimator.init_params, estimator.n_components
    if isinstance(init, str):
        return INITIALIZATIONS[init](Start(rows.X, K, random_state, rows.sample_weight, n_threads))
    all_rows = rows.given
    r = given(init(all_rows, K, random_state) if callable(init) else init, len(all_rows), K)
    r = r if rows.kept is None else r[rows.kept]
    return [(slice(None), None, np.ascontiguousarray(r, dtype=rows.X.dtype))]
