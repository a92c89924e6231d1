"""From an estimator's init parameters to the models that EM begins with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from .._kernels.rows import Workspace
from .._validation import check_means, check_precisions, check_weights
from ..families import GaussianMixtureModel
from ..initialization import INITIALIZATIONS, Blocks, Start, given

_ALL = {"weights", "means", "precisions_cholesky"}


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
    rows, K, structure = workspace.rows, workspace.n_components, estimator._structure
    options = {"reg_covar": estimator.reg_covar, "n_threads": rows.n_threads}
    parameters: dict[str, Any] = {}
    if estimator.weights_init is not None:
        parameters["weights"] = check_weights(estimator.weights_init, K)
    if estimator.means_init is not None:
        means = check_means(estimator.means_init, K, rows.n_features)
        parameters["means"] = means - rows.shift
    if estimator.precisions_init is not None:
        factors = check_precisions(estimator.precisions_init, structure, K, rows.n_features)
        parameters["precisions_cholesky"] = factors
        parameters["covariances"] = structure.covariances(factors)
    random_state = check_random_state(estimator.random_state)

    def blocks() -> Blocks:
        init = estimator.init_params
        if isinstance(init, str):
            start = Start(rows.X, K, random_state, rows.sample_weight, rows.n_threads)
            return INITIALIZATIONS[init](start)
        r = given(init(X, K, random_state) if callable(init) else init, len(X), K)
        r = r if kept is None else r[kept]
        return [(slice(None), None, np.ascontiguousarray(r, dtype=rows.X.dtype))]

    def start() -> GaussianMixtureModel:
        if set(parameters) >= _ALL:
            return GaussianMixtureModel(structure=structure, **parameters, **options)
        return GaussianMixtureModel.from_known(
            structure, workspace, blocks(), given=parameters, **options
        )

    return iter([start] * estimator.n_init)
