"""One fit: from the data and an estimator's parameters to its fitted attributes.

Nothing here changes the estimator: what it returns is set all at once, when nothing can fail.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import em
from .._kernels.many import ManyRows
from .._kernels.rows import Rows, Workspace
from .._validation import check_rows, check_sample_weight
from ..covariances import COVARIANCES
from ..exceptions import ILL_DEFINED, DataRangeError, IllDefinedCovarianceError
from ..families import GaussianMixtureModel, Regularisation
from .report import Degeneracies, FitReport
from .starts import ROUNDING, Fitted, fresh_starts, run_starts, seeded, side_by_side
from .tasks import FitTasks, listened_to
from .verbose import VerboseReport

FloatArray = NDArray[Any]

# Data whose range is 2^exponent, beyond these in either direction, are scaled while they are
# fitted: squares of them, or sums of squares, would overflow or vanish.
_LARGEST_EXPONENT = {"float64": 330, "float32": 45}
# Where not even the covariances of the fitted model could be written down
_NO_EXPONENT = {"float64": 509, "float32": 61}


class Outcome(NamedTuple):
    """What `fit` leaves."""

    X: FloatArray  # validated
    given: Fitted
    attributes: dict[str, Any]
    report: FitReport


def fit(estimator: Any, X: Any, sample_weight: Any, n_threads: int) -> Outcome:
    """Fit `estimator`; see `GaussianMixture.fit`."""
    began = time.perf_counter()
    for callback in estimator.callbacks or ():
        if not callable(callback):
            raise TypeError(f"callbacks: {callback!r} is not a function")
    validated, columns = check_rows(type(estimator), X)
    weight = check_sample_weight(sample_weight, validated)
    given = Fitted.of(validated, weight, int(estimator.n_components))
    rows = Rows(given.X, given.sample_weight, n_threads, pack=estimator.pack)
    exponent = scale_of(rows.ranges, rows.X)
    original = given
    if exponent:
        given = given._replace(X=np.ldexp(given.X, -exponent))
        rows = Rows(given.X, given.sample_weight, n_threads, pack=estimator.pack)
    result = _best(estimator, rows, given, original, exponent)
    model = result.model
    found = Degeneracies.of(
        model.structure,
        model.weights,
        model.precisions_cholesky,
        model.regularisation.ridge,
        rows.ranges,
        rows.n_rows,
    )
    names = columns.get("feature_names_in_")
    total = rows.total_weight
    report = FitReport.of(result, found, estimator, total, time.perf_counter() - began, names)
    model = model.moved(rows.shift)
    if exponent:
        model = model.scaled(exponent)
    attributes = fitted_attributes(estimator, model, result, report, total, rows.X.dtype)
    return Outcome(validated, original, {**columns, **attributes, "fit_report_": report}, report)


def scale_of(ranges: FloatArray, X: FloatArray) -> int:
    """The power of 2 by which rows are divided while they are fitted, mostly 0.

    Parameters
    ----------
    ranges : array of shape (2, n_features)
        See `Rows.ranges`.
    X : array of shape (n_rows, n_features)

    Raises
    ------
    DataRangeError
        If the variances would overflow, or vanish, in their type.
    """
    dtype = X.dtype
    low, high = ranges.tolist()
    spans = [b - a for a, b in zip(low, high, strict=True)]  # floats of Python's: they do not warn
    widest = max(spans)
    largest = 2.0 ** _LARGEST_EXPONENT[dtype.name]
    if 1 / largest <= widest <= largest or widest == 0:
        return 0
    exponent = math.frexp(widest)[1] if math.isfinite(widest) else 1 << 30
    if abs(exponent) > _NO_EXPONENT[dtype.name]:
        column = spans.index(widest)
        row = int(np.abs(X[:, column]).argmax())
        large = exponent > 0
        raise DataRangeError(
            f"the data are too {'large' if large else 'small'} for {dtype.name}: column {column} "
            f"runs from {ranges[0, column]:.3g} to {ranges[1, column]:.3g}, and the square of that "
            f"cannot be told from {'infinity' if large else '0'}. Scale the data"
            + (f", or remove rows of extreme magnitude: the largest is row {row}" if large else "")
            + (", or use float64" if dtype.name == "float32" else "")
        )
    return exponent


def beyond_scale(ranges: FloatArray, dtype: np.dtype[Any]) -> Any:
    """Whether `scale_of` has something to say of the rows of each of many fits."""
    with np.errstate(over="ignore"):
        spans = (ranges[..., 1, :] - ranges[..., 0, :]).max(axis=-1)
    largest = 2.0 ** _LARGEST_EXPONENT[dtype.name]
    return ((spans > largest) | (spans < 1 / largest)) & (spans != 0)


def _best(
    estimator: Any, rows: Rows, given: Fitted, original: Fitted, exponent: int
) -> em.EMResult[GaussianMixtureModel]:
    """The best of all starts."""
    n_components, n_init = int(estimator.n_components), int(estimator.n_init)
    continued = estimator.warm_start and hasattr(estimator, "converged_")
    regularisation = Regularisation.of(
        COVARIANCES[estimator.covariance_type],
        rows,
        n_components,
        reg_covar=estimator.reg_covar,
        prior=estimator.prior,
        exponent=exponent,
    )
    if not (continued or exponent or listened_to(estimator)) and side_by_side(estimator, given):
        alone = ManyRows(given.X, np.array([rows.n_rows]), given.sample_weight, rows.n_threads)
        return em.best_of(run_starts(estimator, alone, [given], [regularisation]))
    workspace = Workspace(rows, estimator._structure.kernel, n_components)
    convergence = em.Convergence(
        estimator.tol, estimator.max_iter, 1.0 / rows.total_weight, ROUNDING[rows.X.dtype.name]
    )
    report = (
        FitTasks(estimator, original, 1 if continued else n_init, convergence.scale)
        if listened_to(estimator)
        else VerboseReport(estimator.verbose, estimator.verbose_interval, convergence.scale)
    )
    options = {
        "regularisation": regularisation,
        "n_threads": rows.n_threads,
        "log_volume": rows.n_features * exponent * math.log(2.0),
    }
    with seeded(estimator) as random_state:
        if continued:
            starts = _continuation(estimator, rows, exponent, options)
        else:
            starts = fresh_starts(estimator, workspace, given, random_state, exponent, options)
        return em.run_restarts(
            (report.announced(start) for start in starts),
            workspace,
            convergence=convergence,
            callbacks=[*report.callbacks, *(estimator.callbacks or ())],
            previous=estimator.lower_bound_ * rows.total_weight if continued else np.nan,
            accelerate=estimator.accelerate,
            finished=report.finished,
        )


def _continuation(
    estimator: Any, rows: Rows, exponent: int, options: dict[str, Any]
) -> Iterator[Callable[[], GaussianMixtureModel]]:
    """The one start of `warm_start`: the model as it is."""
    now = (estimator.n_components, rows.n_features, estimator._structure.name)
    before = (*estimator.means_.shape, estimator._fitted_structure.name)
    if now != before:
        raise ValueError(
            "warm_start=True continues a fit of (n_components, n_features, covariance_type) = "
            f"{before}, but now they are {now}: set warm_start=False to begin anew"
        )
    model = replace(estimator._fitted_model(), **options)
    return iter([lambda: model.scaled(-exponent).moved(-rows.shift)])


def fitted_attributes(
    estimator: Any,
    model: GaussianMixtureModel,
    result: em.EMResult[GaussianMixtureModel],
    report: FitReport,
    total_weight: float,
    dtype: np.dtype[Any],
) -> dict[str, Any]:
    """The fitted attributes, in the dtype of the data as in scikit-learn.

    Parameters
    ----------
    estimator : GaussianMixture
        Only its parameters are read.
    model : GaussianMixtureModel
        In the user's coordinates.
    result : EMResult
    report : FitReport
    total_weight : float
    dtype : dtype

    Raises
    ------
    IllDefinedCovarianceError
        If one cannot be written down in this type.
    """
    weights = model.weights
    if report.empty_components:
        weights = weights.copy()
        weights[list(report.empty_components)] = 0.0
        weights /= weights.sum()
    with np.errstate(over="ignore"):
        factors = model.precisions_cholesky.astype(dtype, copy=False)
        arrays = {
            "weights_": weights.astype(dtype, copy=False),
            "means_": model.means.astype(dtype, copy=False),
            "covariances_": model.covariances.astype(dtype, copy=False),
            "precisions_cholesky_": factors,
            "precisions_": model.structure.precisions(factors),
        }
    # nothing else can overflow in double that did not before
    for name in ("precisions_",) if dtype == np.float64 else arrays:
        values = arrays[name]
        if not np.isfinite(values).all():
            raise IllDefinedCovarianceError(
                f"{ILL_DEFINED}: {name} of component "
                f"{int(np.argwhere(~np.isfinite(values))[0][0])} overflows {dtype.name}. Scale the "
                "input data, increase reg_covar, or use float64."
            )
    bounds = [value / total_weight for value in result.log_likelihoods]
    return {
        **arrays,
        "covariance_type_": estimator.covariance_type,
        "converged_": result.converged,
        "stop_reason_": result.reason,
        "n_iter_": result.n_iter,
        "lower_bounds_": bounds,
        "lower_bound_": bounds[-1] if bounds else -np.inf,
    }
