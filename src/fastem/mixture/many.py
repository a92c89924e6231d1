"""`fit_many`: many independent mixtures, fitted side by side."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context

from .. import em
from .._kernels.many import ManyRows
from .._kernels.rows import Rows
from .._threads import shared_n_threads
from .._validation import check_rows, check_sample_weight
from ..exceptions import DegenerateDataWarning, FitManyError, warn
from ..families import Regularisation
from .fitting import beyond_scale, fit, fitted_attributes
from .gaussian import GaussianMixture
from .report import Degeneracies, FitReport
from .starts import Fitted, parameter_bytes, run_starts

FloatArray = NDArray[Any]

# Bytes of the rows and the parameters of one batch: many enough for a step of the loop to cost
# Python little for each of them, and to give every thread its part; rows are copied twice, so no
# more than that.
_BATCH_BYTES = 128 << 20


@dataclass(frozen=True)
class _Problem:
    """One data set: its rows, and what validation noted of its columns."""

    rows: Fitted
    columns: dict[str, Any]


def fit_many(
    Xs: Sequence[ArrayLike] | ArrayLike,
    n_components: int = 1,
    *,
    sample_weight: Sequence[ArrayLike] | ArrayLike | None = None,
    on_error: str = "raise",
    **parameters: Any,
) -> list[GaussianMixture]:
    """Fit a Gaussian mixture to each of many small data sets, all side by side.

    Each model is what `GaussianMixture(n_components, **parameters).fit(X)` would make of its data,
    to rounding, but all of them go through EM together, each on one thread, so that thousands of
    fits cost little more than their arithmetic. A fit leaves the batch when it has converged.

    Parameters
    ----------
    Xs : sequence of array-like of shape (n_samples_b, n_features_b), or array of shape \
(n_problems, n_samples, n_features)
        The data sets. They may differ in rows, in features and in type.
    n_components : int, default=1
        Number of components of each mixture.
    sample_weight : sequence of array-like of shape (n_samples_b,), or array of shape \
(n_problems, n_samples), default=None
        Weights of the rows of each data set; None in the place of one weighs its rows alike.
    on_error : {"raise", "warn"}, default="raise"
        What to do, at the end, where fits failed numerically: "raise" a `FitManyError` that holds
        the others, or "warn" and leave None in their place.
    **parameters
        Of `GaussianMixture`, for all of them. An integer `random_state` seeds each fit with the
        same number, as a loop of fits would. Starts that are given (`init_params`, `weights_init`,
        `means_init`, `precisions_init`) are the same for all. `n_threads` are shared out among
        the fits. `warm_start`, `verbose` and `callbacks` belong to a single fit and are refused;
        with `accelerate` the fits are made one after the other.

    Returns
    -------
    models : list of GaussianMixture
        Fitted, in the order of `Xs`.

    Raises
    ------
    ValueError
        If the data, the weights or a parameter cannot be used. The message names the data set;
        nothing has been fitted then.
    FitManyError
        If fits failed numerically and `on_error` is "raise".

    Examples
    --------
    >>> import numpy as np
    >>> import fastem
    >>> rng = np.random.default_rng(0)
    >>> Xs = [rng.normal(size=(60, 1)) + 8 * rng.integers(0, 2, size=(60, 1)) for _ in range(5)]
    >>> models = fastem.fit_many(Xs, 2, random_state=0)
    >>> [sorted(model.means_[:, 0].round().astype(int).tolist()) for model in models[:2]]
    [[0, 8], [0, 8]]
    """
    if on_error not in ("raise", "warn"):
        raise ValueError(f"on_error={on_error!r} is not known: use 'raise' or 'warn'")
    pattern = GaussianMixture(n_components, **parameters)
    pattern._validate_params()
    for name, neutral in (("warm_start", False), ("verbose", 0), ("callbacks", None)):
        if getattr(pattern, name) not in (neutral, [], ()):
            raise ValueError(
                f"{name}={getattr(pattern, name)!r} belongs to a single fit: leave it out, or fit "
                "one GaussianMixture after the other"
            )
    problems = _problems(pattern, Xs, sample_weight)
    models: list[Any] = [None] * len(problems)
    errors: dict[int, Exception] = {}
    with shared_n_threads(pattern.n_threads) as n_threads:
        for batch in _batches(pattern, problems):
            together = [problems[b] for b in batch]
            if pattern.accelerate is None:
                outcomes = _fit_batch(pattern, together, n_threads)
            else:  # each jumps where it will: one after the other
                outcomes = [_fit_alone(pattern, problem, n_threads) for problem in together]
            for b, outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, Exception):
                    errors[b] = outcome
                    continue
                models[b] = GaussianMixture(n_components, **parameters)
                models[b].__dict__.update(problems[b].columns, **outcome)
    _warn(pattern, models)
    if errors:
        report = FitManyError(models, errors)
        if on_error == "raise":
            raise report from report.errors[min(errors)]
        warn(str(report))
    return models


# --- validation ---------------------------------------------------------------------------------


def _problems(pattern: GaussianMixture, Xs: Any, sample_weight: Any) -> list[_Problem]:
    """All data sets, checked as `fit` checks one."""
    if not hasattr(Xs, "__len__"):
        raise ValueError(
            "fit_many takes a sequence of tables, or an array of shape (n_problems, n_samples, "
            f"n_features), not {type(Xs).__name__}: make a list of it"
        )
    if isinstance(Xs, Mapping):
        raise ValueError("fit_many takes a sequence of tables, not a dict: give list(Xs.values())")
    if hasattr(Xs, "groups"):  # of pandas
        raise ValueError(
            f"fit_many takes a sequence of tables, not a {type(Xs).__name__}: give "
            "[table[columns] for _, table in groups], with the columns to fit"
        )
    of_tables = getattr(Xs, "ndim", 3) == 3 or str(getattr(Xs, "dtype", "")) == "object"
    if not of_tables or hasattr(Xs, "columns"):
        raise ValueError(
            f"fit_many takes a sequence of tables, or an array of shape (n_problems, n_samples, "
            f"n_features), not one table of {getattr(Xs, 'ndim', 2)} dimensions: GaussianMixture "
            "fits that"
        )
    if isinstance(Xs, np.ndarray) and Xs.dtype.kind in "biu":
        Xs = Xs.astype(np.float64)  # once, and not table by table
    if sample_weight is not None and len(sample_weight) != len(Xs):
        raise ValueError(
            f"sample_weight is given for {len(sample_weight)} data sets, but there are {len(Xs)}"
        )
    weights = [None] * len(Xs) if sample_weight is None else sample_weight
    problems = []
    for b, (X, weight) in enumerate(zip(Xs, weights, strict=True)):
        try:
            problems.append(_problem(pattern, X, weight))
        except ValueError as error:
            raise ValueError(f"Xs[{b}]: {error}") from error
    return problems


def _problem(pattern: GaussianMixture, X: Any, sample_weight: Any) -> _Problem:
    X, columns = check_rows(GaussianMixture, X)
    weight = check_sample_weight(sample_weight, X)
    return _Problem(Fitted.of(X, weight, int(pattern.n_components)), columns)


# --- fitting ------------------------------------------------------------------------------------


def _batches(pattern: GaussianMixture, problems: list[_Problem]) -> Iterator[list[int]]:
    """Which are fitted together: of one width and type, and not too many bytes."""
    K, n_init = int(pattern.n_components), int(pattern.n_init)
    alike: dict[Any, list[int]] = {}
    for b, problem in enumerate(problems):
        X, weight = problem.rows.X, problem.rows.sample_weight
        alike.setdefault((X.shape[1], X.dtype, weight is None), []).append(b)
    for (n_features, *_), members in alike.items():
        of_parameters = n_init * parameter_bytes(pattern._structure, K, n_features)
        batch: list[int] = []
        n_bytes = 0
        for b in members:
            batch.append(b)
            n_bytes += problems[b].rows.X.nbytes + of_parameters
            if n_bytes >= _BATCH_BYTES:
                yield batch
                batch, n_bytes = [], 0
        if batch:
            yield batch


def _fit_batch(
    pattern: GaussianMixture, problems: list[_Problem], n_threads: int
) -> list[dict[str, Any] | Exception]:
    """The fitted attributes of the best start of each problem, or why all of them failed."""
    began = time.perf_counter()
    each = [problem.rows for problem in problems]
    X = np.concatenate([rows.X for rows in each])
    weights = [rows.sample_weight for rows in each if rows.sample_weight is not None]
    rows = ManyRows(
        X,
        np.array([len(rows.X) for rows in each]),
        np.concatenate(weights) if weights else None,
        n_threads,
    )
    regularisations = _regularisations(pattern, rows, each)
    with config_context(skip_parameter_validation=True):  # as in `fit`: of what runs inside
        starts = run_starts(pattern, rows, each, regularisations)
    outcomes: list[Any] = []
    n_init = int(pattern.n_init)
    for b in range(len(problems)):
        try:
            outcomes.append(em.best_of(starts[b * n_init : (b + 1) * n_init]))
        except ValueError as error:  # every start failed
            outcomes.append(error.with_traceback(None))  # which would keep the batch alive
    ranges = np.stack(
        [least.reduceat(X, rows.begins) for least in (np.minimum, np.maximum)], axis=1
    ).astype(np.float64)
    seconds = (time.perf_counter() - began) / len(problems)
    _describe(pattern, problems, rows, ranges, outcomes, seconds)
    for b in np.flatnonzero(beyond_scale(ranges, X.dtype)).tolist():
        # such numbers are scaled while they are fitted: on their own
        outcomes[b] = _fit_alone(pattern, problems[b], n_threads)
    return outcomes


def _fit_alone(
    pattern: GaussianMixture, problem: _Problem, n_threads: int
) -> dict[str, Any] | Exception:
    """The fitted attributes of one problem, or why it failed."""
    rows, names = problem.rows, problem.columns.get("feature_names_in_")
    try:
        with config_context(skip_parameter_validation=True):
            outcome = fit(pattern, rows.X, rows.sample_weight, n_threads)
    except ValueError as error:
        return error.with_traceback(None)
    return {**outcome.attributes, "fit_report_": outcome.report.named(names)}


def _describe(
    pattern: GaussianMixture,
    problems: list[_Problem],
    rows: ManyRows,
    ranges: FloatArray,
    outcomes: list[Any],
    seconds: float,
) -> None:
    """Fitted attributes in the place of results."""
    good = [b for b, outcome in enumerate(outcomes) if not isinstance(outcome, Exception)]
    if not good:
        return
    models = [outcomes[b].model for b in good]
    found = Degeneracies.of(
        pattern._structure,
        np.stack([model.weights for model in models]),
        np.stack([model.precisions_cholesky for model in models]),
        np.stack([model.regularisation.ridge for model in models]),
        ranges[good],
        rows.sizes[good, None],
    )
    for i, (b, model) in enumerate(zip(good, models, strict=True)):
        result, theirs = outcomes[b], Degeneracies(*(values[i] for values in found))
        names = problems[b].columns.get("feature_names_in_")
        total, moved = float(rows.total_weights[b]), model.moved(rows.shifts[b])
        report = FitReport.of(result, theirs, pattern, total, seconds, names)
        try:
            outcomes[b] = fitted_attributes(pattern, moved, result, report, total, rows.X.dtype)
            outcomes[b]["fit_report_"] = report
        except ValueError as error:
            outcomes[b] = error.with_traceback(None)


def _regularisations(
    pattern: GaussianMixture, rows: ManyRows, each: list[Fitted]
) -> list[Regularisation]:
    """Of each problem; only where they are relative to the data does it matter which."""
    structure, K = pattern._structure, pattern.n_components
    options: dict[str, Any] = {"reg_covar": pattern.reg_covar, "prior": pattern.prior}
    relative = isinstance(pattern.reg_covar, str) or pattern.prior is not None
    looked_at = range(len(each) if relative else 1)
    found = []
    for b in looked_at:
        one = Rows(each[b].X, each[b].sample_weight, 1, rows.shifts[b], pack=False)
        found.append(Regularisation.of(structure, one, K, **options))
    return found if relative else found * len(each)


def _warn(pattern: GaussianMixture, models: list[Any]) -> None:
    """One warning for all fits of which the same is to be said."""
    n_fits = len(models)
    reports = {b: model.fit_report_ for b, model in enumerate(models) if model is not None}
    dropped = [b for b, report in reports.items() if report.dropped_starts]
    if dropped:
        warn(
            f"Starts failed and were dropped in {len(dropped)} of {n_fits} fits, the best of "
            f"the others is kept. The first is Xs[{dropped[0]}]: "
            f"{reports[dropped[0]].dropped_starts[0]}",
        )
    degenerate = [b for b, report in reports.items() if report.degeneracies]
    if degenerate:
        warn(
            f"The data of {len(degenerate)} of {n_fits} fits determine less than was asked for; "
            f"their fit_report_ tells what. The first is Xs[{degenerate[0]}]: "
            f"{' '.join(reports[degenerate[0]].degeneracies)}",
            DegenerateDataWarning,
        )
    lost = [b for b in reports if not models[b].converged_]
    if lost and pattern.max_iter > 0:
        warn(
            f"{len(lost)} of {n_fits} fits did not converge, the first is Xs[{lost[0]}], "
            f"which stopped because {em.REASONS[models[lost[0]].stop_reason_]}. Their stop_reason_ "
            "tells why. Try different init parameters, or increase max_iter, tol, or check for "
            "degenerate data.",
        )
