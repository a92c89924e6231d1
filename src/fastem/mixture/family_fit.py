"""One fit of a mixture of any families: from the data and parameters to the attributes.

Nothing here changes the estimator: what it returns is set all at once, when nothing can fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.utils import check_random_state

from .. import em
from .._kernels.rows import Rows
from .._validation import check_rows, check_sample_weight, check_weights
from ..exceptions import DegenerateFitError, warn
from ..families import Family, chosen
from ..families.data import Sample
from ..families.mixtures import FamilyMixture
from ..families.passes import each_block
from ..initialization import INITIALIZATIONS, Start, given
from .verbose import VerboseReport

FloatArray = NDArray[Any]

# Clusters of points that coincide, in which no family has a maximum, are mixed with a little of all
# rows
_OF_ALL_ROWS = 0.05


class _Given(NamedTuple):
    """The rows that the user gave, which of them are fitted, and which of the different rows each
    of these is, where they were counted."""

    X: FloatArray
    kept: Any
    places: FloatArray | None


def known_attributes(weights: FloatArray, components: list[Family]) -> dict[str, Any]:
    """The fitted attributes of a mixture that nobody fitted."""
    return {
        "weights_": weights,
        "components_": components,
        "n_features_in_": components[0].n_columns,
        "converged_": True,
        "stop_reason_": "tolerance",
        "n_iter_": 0,
        "lower_bound_": -np.inf,
        "lower_bounds_": [],
        "dropped_starts_": (),
    }


def choose_families(estimator: Any) -> list[Family]:
    """The family of each component.

    Raises
    ------
    ValueError, TypeError
        If one is not known, or their number is not that of the components.
    """
    several = isinstance(estimator.family, list | tuple)
    families = [chosen(f) for f in (estimator.family if several else [estimator.family])]
    K = estimator.n_components
    if not several:
        return families * (1 if K is None else int(K))
    if not families:
        raise ValueError("family: the list is empty; give one family for each component")
    if K is not None and len(families) != K:
        raise ValueError(
            f"n_components={K}, but {len(families)} families are given: leave n_components out, or "
            "give one family for all components"
        )
    return families


def validated_rows(
    estimator: Any, X: Any, y: Any, sample_weight: Any
) -> tuple[FloatArray, FloatArray | None]:
    """Rows of float64, the response as their last column where there is one, and weights."""
    rows, _ = _rows(estimator, X, y)
    return rows, check_sample_weight(sample_weight, rows)


def _rows(estimator: Any, X: Any, y: Any) -> tuple[FloatArray, dict[str, Any]]:
    rows, columns = check_rows(type(estimator), X)
    # C-contiguous: sums over columns and matrix products have the same bits for any layout
    rows = np.ascontiguousarray(rows, dtype=np.float64)
    if y is not None and any(family.conditional for family in choose_families(estimator)):
        response = np.asarray(y, dtype=np.float64)
        if response.shape != (len(rows),) or not np.isfinite(response).all():
            raise ValueError(
                f"y: the response must be {len(rows)} finite numbers, one for each row of X; its "
                f"shape is {response.shape}"
            )
        rows = np.column_stack([rows, response])
        columns = {"n_features_in_": rows.shape[1]}
    return rows, columns


def fit(
    estimator: Any, X: Any, y: Any, sample_weight: Any, labels: Any, n_threads: int
) -> dict[str, Any]:
    """Fit `estimator`; returns its fitted attributes. See `Mixture.fit`."""
    for callback in estimator.callbacks or ():
        if not callable(callback):
            raise TypeError(f"callbacks: {callback!r} is not a function")
    families = choose_families(estimator)
    rows, columns = _rows(estimator, X, y)
    weight = check_sample_weight(sample_weight, rows)
    K = len(families)
    known = _labels(labels, len(rows), K)
    everything = rows
    kept: Any = slice(None)
    if weight is not None and not weight.all():
        kept = weight > 0
        rows, weight = rows[kept], weight[kept]
        known = None if known is None else known[kept]
    if len(rows) < K:
        raise ValueError(f"{len(rows)} rows of weight above 0 are too few for {K} components")
    families = _prepared(families, rows)
    data, places = Sample(rows, weight, known, n_threads).counted()
    random_state = check_random_state(estimator.random_state)
    report = VerboseReport(estimator.verbose, estimator.verbose_interval, 1.0 / data.total_weight)
    given_rows = _Given(everything, kept, places)
    starts = _starts(estimator, families, data, given_rows, random_state)
    result = em.run_restarts(
        (report.announced(start) for start in starts),
        data,
        convergence=em.Convergence(estimator.tol, estimator.max_iter, 1.0 / data.total_weight),
        callbacks=[*report.callbacks, *(estimator.callbacks or ())],
        accelerate=estimator.accelerate,
        finished=report.finished,
    )
    _warn(result, estimator)
    bounds = [value / data.total_weight for value in result.log_likelihoods]
    return {
        **columns,
        "weights_": result.model.weights,
        "components_": result.model.distributions,
        "converged_": result.converged,
        "stop_reason_": result.reason,
        "n_iter_": result.n_iter,
        "lower_bounds_": bounds,
        "lower_bound_": bounds[-1] if bounds else -np.inf,
        "dropped_starts_": result.dropped,
    }


def _labels(labels: Any, n_rows: int, n_components: int) -> NDArray[np.intp] | None:
    if labels is None:
        return None
    values = np.asarray(labels)
    if values.shape != (n_rows,):
        raise ValueError(
            f"labels: one for each of the {n_rows} rows is needed, but their shape is "
            f"{values.shape}"
        )
    if values.dtype.kind not in "biuf":
        raise ValueError(
            f"labels: {values.ravel()[0]!r} is no number: components are counted from 0, and -1 "
            "stands for unknown. np.unique(labels, return_inverse=True) gives such numbers"
        )
    numbers = values.astype(np.float64)
    wrong = ~((numbers >= -1) & (numbers < n_components) & (numbers == np.floor(numbers)))
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"labels: {values[row]} in row {row} is no component: they are counted from 0 to "
            f"{n_components - 1}, and -1 stands for unknown"
        )
    return numbers.astype(np.intp) if (numbers >= 0).any() else None


def _prepared(families: list[Family], X: FloatArray) -> list[Family]:
    """The families with what they must know of the data, which lie in the support of one at least.

    Raises
    ------
    ValueError
        If some rows lie in none of the supports.
    """
    distinct: dict[int, Family] = {}
    covered = np.zeros(len(X), dtype=bool)
    kinds = {id(family): family for family in families}
    for key, family in kinds.items():
        if len(kinds) == 1:
            distinct[key] = family.prepared(X)
            break
        inside = family.inside(X)
        if not inside.any():
            family.prepared(X)  # which says what is wrong
        distinct[key] = family.prepared(X[inside])
        covered |= inside
    if len(kinds) > 1 and not covered.all():
        row = int(np.argmin(covered))
        names = ", ".join(type(family).__name__ for family in kinds.values())
        raise ValueError(
            f"{np.count_nonzero(~covered)} rows lie in the support of none of {names}, the first "
            f"is row {row}: remove them, or add a family that has such values"
        )
    return [distinct[id(family)] for family in families]


def _starts(
    estimator: Any,
    families: list[Family],
    data: Sample,
    rows: _Given,
    random_state: np.random.RandomState,
) -> Iterator[Callable[[], FamilyMixture]]:
    """One start for each of `n_init`, made when its turn comes."""
    K = len(families)
    if estimator.warm_start and hasattr(estimator, "components_"):
        continued = estimator._model
        if len(continued.weights) != K:
            raise ValueError(
                f"warm_start=True continues a fit of {len(continued.weights)} components, but "
                f"there are to be {K}: set warm_start=False to begin anew"
            )
        return iter([lambda: continued])
    if all(family.known for family in families):
        weights = (
            np.full(K, 1.0 / K)
            if estimator.weights_init is None
            else check_weights(estimator.weights_init, K)
        )
        start = FamilyMixture.of(weights, _of_columns(families, data.X.shape[1]))
        return iter([lambda: start])
    if estimator.weights_init is not None:
        raise ValueError(
            "weights_init is used with families that have parameters only: give them as well, or "
            "responsibilities as init_params"
        )
    if any(family.known for family in families):
        raise ValueError("family: give parameters to all of the distributions, or to none")

    kinds = {family.kind for family in families}

    def fresh(begin: int) -> FamilyMixture:
        r = _responsibilities(estimator, data, rows, K, random_state)
        soft = (1 - _OF_ALL_ROWS) * r + _OF_ALL_ROWS / K
        if len(kinds) > 1:  # whose cluster is whose is a guess
            order = random_state.permutation(K) if begin and data.labels is None else slice(None)
            return FamilyMixture.starting(families, data, soft[:, order])
        try:
            return FamilyMixture.starting(families, data, r)
        except DegenerateFitError:
            return FamilyMixture.starting(families, data, soft)

    return iter([lambda begin=begin: fresh(begin) for begin in range(int(estimator.n_init))])


def _of_columns(families: list[Family], n_columns: int) -> list[Family]:
    """Distributions with known parameters, which must be of so many columns."""
    for family in families:
        if family.n_columns != n_columns:
            raise ValueError(
                f"{family!r} is of {family.n_columns} columns, but X has {n_columns}: give a "
                "parameter for each column"
            )
    return families


def _responsibilities(
    estimator: Any,
    data: Sample,
    rows: _Given,
    n_components: int,
    random_state: np.random.RandomState,
) -> FloatArray:
    """Responsibilities (n, K) of the rows of `data` to begin with."""
    init = estimator.init_params
    if not isinstance(init, str):
        r = given(
            init(rows.X, n_components, random_state) if callable(init) else init,
            len(rows.X),
            n_components,
        )[rows.kept]
        if rows.places is not None:  # the mean over the rows that are alike
            counts = np.bincount(rows.places)
            r = np.stack([np.bincount(rows.places, column) / counts for column in r.T], axis=1)
        return r
    X, n_rows = _standardised(data), data.n_rows
    r = np.zeros((n_rows, n_components))
    start = Start(X, min(n_components, n_rows), random_state, data.sample_weight, data.n_threads)
    for block, labels, responsibilities in INITIALIZATIONS[init](start):
        if responsibilities is not None:
            r[block] = responsibilities
        else:
            labels = _nearest(X, np.asarray(labels))
            r[block][np.arange(len(labels)), labels] = 1.0
    if data.labels is not None:
        r = _with_labels(r, data.labels)
    return r


def _with_labels(r: FloatArray, labels: NDArray[np.intp]) -> FloatArray:
    """Clusters under the names of the components that they share most labelled rows with; rows with
    a label belong to its component."""
    known = labels >= 0
    shared = np.zeros((r.shape[1], r.shape[1]))
    np.add.at(shared, labels[known], r[known])  # (component, cluster)
    _, clusters = linear_sum_assignment(shared, maximize=True)
    named = r[:, clusters]
    named[known] = np.eye(r.shape[1])[labels[known]]
    return named


def _standardised(data: Sample) -> FloatArray:
    """Columns in units of their standard deviation: clusters then depend on no units."""
    variances = Rows(data.X, data.sample_weight, data.n_threads, pack=False).variances
    scale = np.sqrt(np.where(variances > 0, variances, 1.0))
    X = np.empty_like(data.X)
    each_block(
        lambda rows: np.divide(data.X[rows], scale, out=X[rows]),
        len(X),
        X.shape[1],
        data.n_threads,
    )
    return X


def _nearest(X: FloatArray, labels: FloatArray) -> FloatArray:
    """Labels of all rows, where an initialisation gave only one row to each component."""
    chosen = np.flatnonzero(labels >= 0)
    if len(chosen) == len(labels):
        return labels
    centres = X[chosen[np.argsort(labels[chosen])]]
    distances = np.stack([np.square(X - c).sum(axis=1) for c in centres], axis=1)
    return distances.argmin(axis=1)


def _warn(result: em.EMResult[Any], estimator: Any) -> None:
    if result.dropped:
        warn(
            f"{len(result.dropped)} of {result.n_starts} starts were given up, the first because: "
            f"{result.dropped[0]}"
        )
    if result.reason == "max_iter" and estimator.max_iter:
        warn(
            f"EM did not converge in {estimator.max_iter} iterations: increase max_iter or tol, "
            'or set accelerate="squarem"'
        )
    if result.reason == "likelihood_decreased":
        warn("EM stopped because the log-likelihood fell; the better parameters are kept")
