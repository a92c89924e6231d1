"""How well the data determine the parameters of a fit: observed information, standard errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .parameters import element_names
from .user_models import UserModel

FloatArray = NDArray[Any]

# Steps of numerical derivatives, in standard errors of each parameter alone: so far out the
# log-likelihood has changed by 0.005, which no rounding hides, and two extrapolations take away
# what is not quadratic in it up to the sixth power.
_STEP = 0.1
_LEVELS = 3
# How much further up the log-likelihood may be than it is at the fit: a seventh of a standard error
# away, where it would be 0.5 for a whole one.
_LEVEL_GROUND = 0.01
# Eigenvalues of an information of unit diagonal that are rounding
_SMALLEST = 1e-7
# Of more numbers than this, not all subsets are looked at for those that sum to 1
_MOST_SHARES = 12


@dataclass(frozen=True)
class Information:
    """The observed information of a fit.

    Parameters
    ----------
    names : tuple of str
        Of the parameters that are free, in the order of the rows below.
    values : array of shape (n,)
        What they are.
    matrix : array of shape (n, n)
        Observed information: minus the Hessian of the log-likelihood.
    covariance : array of shape (n, n)
        Of the estimates, its inverse.
    rates : array of shape (n,), optional
        Of the supplemented EM algorithm: eigenvalues of the derivative of an EM step, the largest
        first. That is the rate of convergence, and the largest share of the information about any
        combination of the parameters that is missing.
    asymmetry : float
        Of the supplemented EM algorithm: the largest difference of the covariance to its transpose,
        in standard errors. It is 0 in exact arithmetic, and tells how exact the numbers are.
    """

    names: tuple[str, ...]
    values: FloatArray
    matrix: FloatArray
    covariance: FloatArray
    rates: FloatArray = field(default_factory=lambda: np.empty(0))
    asymmetry: float = 0.0

    @property
    def standard_errors(self) -> FloatArray:
        """Of each parameter, (n,)."""
        return np.sqrt(self.covariance.diagonal())

    def __str__(self) -> str:
        width = max(9, *map(len, self.names))
        lines = [f"{'parameter':<{width}}  {'value':>14}  {'std. error':>12}"]
        for name, value, error in zip(
            self.names, self.values.tolist(), self.standard_errors.tolist(), strict=True
        ):
            lines.append(f"{name:<{width}}  {value:14.7g}  {error:12.5g}")
        return "\n".join(lines)


def information(model: UserModel, data: Any, method: str = "auto") -> Information:
    """See `EMResult.information`."""
    if method not in ("auto", "numerical", "sem"):
        raise ValueError(f"method={method!r} is not known: use 'auto', 'numerical' or 'sem'")
    model, statistics = model.seen(data)
    if method == "auto":
        method = "sem" if statistics.log_likelihood is None else "numerical"
    if method == "numerical" and statistics.log_likelihood is None:
        raise TypeError(
            "the model has no log-likelihood to differentiate: give it a method "
            "log_likelihood(data), or use method='sem'"
        )
    chart = _Chart(model, data)
    if method == "sem":
        return _supplemented(chart, data, statistics.statistics)

    def log_likelihood(point: FloatArray) -> float:
        there = chart.model(point)
        value = there.accumulate(data).log_likelihood + there.log_prior
        return float(value)

    matrix = -hessian(log_likelihood, chart.origin, chart.names)
    return chart.result(matrix)


class _Chart:
    """Coordinates of the free parameters around a fit.

    They are the unconstrained parameters of a model that has them; else its parameters, without
    those that an EM step leaves as they are, with one for both halves of a symmetric matrix, and
    without the last of probabilities, which is what the others leave of 1.
    """

    def __init__(self, model: UserModel, data: Any) -> None:
        self._model = model
        self._data = data
        self.own = model.has_space
        leaves = model.leaves()
        self._names = element_names(leaves)
        start = model.unconstrained()  # raises, with the remedy, where nothing is found
        # parameters = start + slopes (coordinates - origin)
        self.slopes = np.eye(len(start)) if self.own else _slopes(model, data, leaves, start)
        self._kept = np.flatnonzero(self.slopes.any(axis=0))
        if not len(self._kept):
            raise TypeError("an EM step changes none of the parameters: nothing is estimated")
        self.slopes = self.slopes[:, self._kept]
        self._start = start
        self.origin = start[self._kept]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the coordinates."""
        if self.own:
            return tuple(f"unconstrained[{i}]" for i in self._kept)
        return tuple(self._names[i] for i in self._kept)

    def model(self, point: FloatArray) -> UserModel:
        """The model at these coordinates."""
        vector = self._start + self.slopes @ (point - self.origin)
        return (
            self._model.from_unconstrained(vector) if self.own else self._model.with_vector(vector)
        )

    def em(self, point: FloatArray) -> FloatArray:
        """Where an EM step leads."""
        after = self.model(point).em_step(self._data)
        return (after.unconstrained() if self.own else after.vector())[self._kept]

    def result(self, matrix: FloatArray, **more: Any) -> Information:
        """In the user's parameters.

        Raises
        ------
        ValueError
            If the parameters are not determined.
        """
        covariance = _inverse(matrix)
        shown, slopes, values = np.arange(len(self._names)), self.slopes, self._model.vector()
        if not self.own:
            # all that are estimated, of symmetric matrices one half
            same = (slopes[:, None] == slopes[None]).all(axis=2)
            first_of_same = len(same) - 1 - same[:, ::-1].argmax(axis=1)
            shown = np.flatnonzero(slopes.any(axis=1) & (first_of_same == shown))
        elif self._names:  # delta method: from the unconstrained parameters to the user's
            errors = np.sqrt(np.maximum(covariance.diagonal(), 0.0))
            slopes = jacobian(lambda point: self.model(point).vector(), self.origin, 0.1 * errors)
        else:
            return Information(self.names, self.origin, matrix, covariance, **more)
        if not (len(shown) == len(self._kept) and not self.own):
            covariance = slopes[shown] @ covariance @ slopes[shown].T
            matrix = np.linalg.pinv(covariance, hermitian=True)
        names = tuple(self._names[i] for i in shown)
        return Information(names, values[shown], matrix, covariance, **more)


def _slopes(
    model: UserModel, data: Any, leaves: list[tuple[str, FloatArray]], start: FloatArray
) -> FloatArray:
    """How all parameters depend on those that are free; columns of 0 where they are not."""
    moved = np.where(start == 0, 1e-4, start * (1 + 1e-4))
    there = model.with_vector(moved)
    statistics = there.accumulate(data)
    # neither a constant of the model nor what an E-step leaves in it for the M-step
    stays = _alike(there.vector(), moved)
    after = there.maximise(statistics).vector()
    free = stays & ~_alike(after, moved)
    slopes, begin = np.diag(free.astype(np.float64)), 0
    for _, values in leaves:
        index = np.arange(begin, begin + values.size).reshape(values.shape)
        begin += values.size
        if values.ndim and values.size and after.shape == start.shape:
            # rows that sum to 1 again where they did not before
            rows = index[_are_1(start[index]) & _are_1(after[index]) & ~_are_1(moved[index])]
            for row in rows.reshape(-1, values.shape[-1]):
                slopes[:, row[-1]] = 0
                slopes[row[-1], row[:-1]] = np.where(free[row[:-1]], -1.0, 0.0)
            if len(rows):
                continue
        square = values.ndim >= 2 and values.shape[-1] == values.shape[-2]
        if square and np.array_equal(values, np.swapaxes(values, -1, -2)):
            for i, j in zip(index.ravel(), np.swapaxes(index, -1, -2).ravel(), strict=True):
                if i < j:  # the one below the diagonal stands for both
                    slopes[:, i] = 0
                    slopes[i, j] = free[j]
    if after.shape == start.shape:
        ends = np.cumsum([0, *(values.size for _, values in leaves)])
        alone = [end for end, (_, v) in zip(ends.tolist(), leaves, strict=False) if not v.ndim]
        shares = [i for i in alone if free[i] and 0 <= start[i] <= 1]
        for group in _bound(shares, start, after, moved):
            slopes[:, group[-1]] = 0
            slopes[group[-1], group[:-1]] = -1.0
    return slopes


def _bound(
    shares: list[int], start: FloatArray, after: FloatArray, moved: FloatArray
) -> list[list[int]]:
    """Which numbers sum to 1, and do so again after an EM step from where they do not."""
    groups: list[list[int]] = []
    if len(shares) > _MOST_SHARES:
        sizes: Sequence[int] = (len(shares),)
    else:
        sizes = range(2, len(shares) + 1)
    for size in sizes:
        for chosen in combinations(shares, size):
            group = list(chosen)
            taken = any(set(group) & set(other) for other in groups)
            if not taken and bool(
                _are_1(start[group]) & _are_1(after[group]) & ~_are_1(moved[group])
            ):
                groups.append(group)
    return groups


def _are_1(values: FloatArray) -> FloatArray:
    return np.abs(values.sum(axis=-1) - 1) < 1e-9


def _alike(left: FloatArray, right: FloatArray) -> FloatArray:
    """Which numbers are the same."""
    return left == right if left.shape == right.shape else np.zeros(len(right), dtype=bool)


def _inverse(matrix: FloatArray) -> FloatArray:
    """The inverse of an information matrix; of one that is singular in directions that carry
    nothing, the inverse in the others.

    Raises
    ------
    ValueError
        If it is not positive definite in the others.
    """
    scale = np.sqrt(np.abs(matrix.diagonal()))
    scale = np.where(scale > 0, scale, 1.0)
    sizes, directions = np.linalg.eigh(matrix / np.outer(scale, scale))
    if sizes[0] < -1e-5:
        raise ValueError(
            "the information is not positive definite: the fit is no maximum of the "
            "log-likelihood. Fit with a smaller tol, or from another start"
        )
    carried = sizes > _SMALLEST
    inverse = (directions[:, carried] / sizes[carried]) @ directions[:, carried].T
    return np.asarray(inverse / np.outer(scale, scale))


# --- supplemented EM ----------------------------------------------------------------------------


def _supplemented(chart: _Chart, data: Any, statistics: Any) -> Information:
    """I = I_complete (1 - DM), with DM the derivative of the EM step (Meng, Rubin 1991).

    DM is computed by central differences, rather than from the run's own steps, as by Jamshidian
    and Jennrich (2000), JRSS B 62, 257-270.
    """
    model = chart._model.model
    if callable(given := getattr(model, "complete_information", None)):
        if chart.own:
            raise TypeError(
                "complete_information is in the model's parameters, but it has unconstrained "
                "ones: give it complete_log_likelihood(statistics) instead"
            )
        complete = np.atleast_2d(np.asarray(given(statistics), dtype=np.float64))
        n = len(chart.slopes)
        if complete.shape != (n, n):
            raise ValueError(
                f"complete_information must be of shape {(n, n)}, but it is {complete.shape}"
            )
        complete = chart.slopes.T @ complete @ chart.slopes
    elif callable(getattr(model, "complete_log_likelihood", None)):

        def expected(point: FloatArray) -> float:
            return float(chart.model(point).model.complete_log_likelihood(statistics))

        complete = -hessian(expected, chart.origin, chart.names)
    else:
        raise TypeError(
            f"method='sem' needs the information of the complete data: give {type(model).__name__} "
            "a method complete_log_likelihood(statistics), the expected log-likelihood of the "
            "complete data at its parameters, or complete_information(statistics)"
        )
    errors = 1 / np.sqrt(complete.diagonal())
    derivative = jacobian(chart.em, chart.origin, 0.1 * errors)
    matrix = complete @ (np.eye(len(complete)) - derivative)
    size = np.sqrt(np.abs(np.outer(matrix.diagonal(), matrix.diagonal())))
    asymmetry = float(np.abs((matrix - matrix.T) / size).max())
    rates = np.sort(np.linalg.eigvals(derivative).real)[::-1]
    return chart.result(0.5 * (matrix + matrix.T), rates=rates, asymmetry=asymmetry)


# --- derivatives --------------------------------------------------------------------------------


def jacobian(
    function: Callable[[FloatArray], FloatArray], at: FloatArray, steps: FloatArray
) -> FloatArray:
    """Derivatives (n_values, n_parameters), by central differences with Richardson extrapolation.

    Parameters
    ----------
    function : callable
    at : array of shape (n_parameters,)
    steps : array of shape (n_parameters,)
        The largest steps.
    """
    columns = []
    for i, step in enumerate(steps):
        estimates = []
        for level in range(_LEVELS):
            h = np.zeros(len(at))
            h[i] = step / 2**level
            estimates.append((function(at + h) - function(at - h)) / (2 * h[i]))
        columns.append(_extrapolated(estimates))
    return np.stack(columns, axis=1)


def hessian(
    function: Callable[[FloatArray], float], at: FloatArray, names: Sequence[str]
) -> FloatArray:
    """Second derivatives at a maximum, by central differences with Richardson extrapolation.

    Raises
    ------
    ValueError
        If the function is not level there.
    """
    middle = function(at)
    steps = np.array([_step(function, at, i, middle, names[i]) for i in range(len(at))])
    n = len(at)
    levels = []
    for level in range(_LEVELS):
        h = np.diag(steps / 2**level)
        up, down = (np.array([function(at + s * h[i]) for i in range(n)]) for s in (1, -1))
        if level == _LEVELS - 1:
            _demand_level(up - down, up + down - 2 * middle, h, names)
        matrix = np.diag(up + down - 2 * middle)
        for i in range(n):
            for j in range(i):
                along = function(at + h[i] + h[j]) + function(at - h[i] - h[j])
                across = function(at + h[i] - h[j]) + function(at - h[i] + h[j])
                matrix[i, j] = matrix[j, i] = 0.25 * (along - across)
        levels.append(matrix / np.outer(h.diagonal(), h.diagonal()))
    found = _extrapolated(levels)
    if not np.isfinite(found).all():
        raise ValueError(
            "the log-likelihood beside the fit is not finite: a parameter is at the end of its "
            "range. Hold it fixed, or give the model unconstrained parameters"
        )
    return found


def _extrapolated(estimates: list[Any]) -> Any:
    """Richardson: from estimates with steps h, h/2, h/4, whose errors are even powers of h."""
    power = 4
    while len(estimates) > 1:
        estimates = [
            (power * finer - coarser) / (power - 1) for coarser, finer in pairwise(estimates)
        ]
        power *= 4
    return estimates[0]


def _step(
    function: Callable[[FloatArray], float], at: FloatArray, i: int, middle: float, name: str
) -> float:
    """A step of `_STEP` standard errors, as the curvature in this parameter alone tells it."""
    step, wanted = 1e-3 * (abs(float(at[i])) or 1.0), _STEP**2
    h = np.zeros(len(at))
    for _ in range(60):
        h[i] = step
        with np.errstate(all="ignore"):
            try:
                fall = 2 * middle - function(at + h) - function(at - h)
            except (ValueError, ArithmeticError):  # beyond the end of its range
                fall = np.inf
        if 0.5 * wanted <= fall <= 2 * wanted:
            return step
        if not np.isfinite(fall):
            step /= 4
        elif fall < 1e-4 * wanted:  # nothing, or rounding
            step *= 10
        else:
            step *= float(np.clip(np.sqrt(wanted / fall), 0.1, 10.0))
    raise ValueError(
        f"the log-likelihood does not fall on both sides of {name} at the fit: the data do "
        "not determine it, or it is at the end of its range"
    )


def _demand_level(rise: FloatArray, bend: FloatArray, h: FloatArray, names: Sequence[str]) -> None:
    """That the log-likelihood does not rise in a direction of one parameter.

    A gradient is what remains where EM has not converged, and where parameters are bound to each
    other by something the log-likelihood does not know of, such as a sum of 1.
    """
    gradient = rise / (2 * h.diagonal())
    curvature = -bend / np.square(h.diagonal())
    # how far up the maximum is, were this the only parameter
    above = np.square(gradient) / (2 * curvature)
    if not (above <= _LEVEL_GROUND).all():
        i = int(np.argmax(np.where(np.isnan(above), np.inf, above)))
        raise ValueError(
            f"the log-likelihood is not level at the fit: it rises with {names[i]}. Either EM "
            "has not converged (fit with a smaller tol), or this is at the end of its range, or "
            "the parameters are bound to each other: let the model's attribute `parameters` hold "
            "the free ones only, or give it unconstrained() and from_unconstrained(vector)"
        )
