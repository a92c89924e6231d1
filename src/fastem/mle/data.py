"""What is fitted: rows, their weights and responses, examined and handed out in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array
from sklearn.utils.validation import _get_feature_names

from .._validation import summed_weights
from ..families.base import Family
from ..families.passes import total

FloatArray = NDArray[Any]
S = TypeVar("S")


@dataclass(frozen=True, eq=False)
class Data:
    """Rows of data with their weights.

    Parameters
    ----------
    X : array of shape (n, D), float64 or float32
        With the response as the last column, where there is one.
    weights : array of shape (n,) or None
        None: each row counts 1.
    names : tuple of str or None
        Of the columns of X, where they have names.
    n_threads : int
    sum_of_weights : float or None
        Where it is known.
    kept : array of bool of shape (n_given,) or None
        Which of the rows that were given are here; None for all. A row of weight 0 is none.
    """

    X: FloatArray
    weights: FloatArray | None = None
    names: tuple[str, ...] | None = None
    n_threads: int = 1
    sum_of_weights: float | None = None
    kept: NDArray[np.bool_] | None = None

    @property
    def n_rows(self) -> int:
        """Rows, n."""
        return len(self.X)

    @property
    def n_columns(self) -> int:
        """Numbers a row, the response included."""
        return self.X.shape[1]

    @cached_property
    def total_weight(self) -> float:
        """Sum of the weights."""
        if self.sum_of_weights is not None:
            return self.sum_of_weights
        return float(self.n_rows if self.weights is None else self.weights.sum())

    def rows(self, part: slice) -> FloatArray:
        """A block of rows, float64."""
        return np.asarray(self.X[part], dtype=np.float64)

    def column(self, j: int) -> Data:
        """One of the columns by itself."""
        return self if self.n_columns == 1 else replace(self, X=self.X[:, j : j + 1])

    def total(self, function: Callable[[slice], S], width: int = 1) -> S:
        """The sum of what a function gives for each block; `width` members are looked at."""
        return total(function, self.n_rows, max(self.n_columns, width), self.n_threads)

    def statistics(self, members: Family) -> Any:
        """Sufficient statistics for one member."""

        def block(part: slice) -> Any:
            weights = None if self.weights is None else self.weights[part, None]
            return members.accumulate(self.rows(part), weights)

        return self.total(block)

    def examined_statistics(self, family: Family) -> tuple[Family, Any]:
        """The family, prepared, and its statistics for one member.

        In one pass over memory where the family has nothing to prepare.

        Raises
        ------
        ValueError
            If rows are not within the support.
        """
        rows = self.rows(slice(None))
        weights = None if self.weights is None else self.weights[:, None]
        if not in_one_pass(family):
            family = family.prepared(rows)
        members = family.members() if family.known else family
        if not (in_one_pass(family) or family.moments_of):
            return members, self.statistics(members)
        return members, members.accumulate_all(rows, weights, self.n_threads)

    def log_likelihood(self, members: Family) -> FloatArray:
        """Weighted log-likelihood of each of the members, (K,), by a pass over the rows."""

        def block(part: slice) -> FloatArray:
            densities = members.log_densities(self.rows(part))
            if self.weights is None:
                return np.asarray(densities.sum(axis=0))
            weights = self.weights[part]
            counted = weights > 0  # a row that is left out may have any density
            return np.asarray(weights[counted] @ densities[counted])

        return self.total(block, members.n_members)


def in_one_pass(family: Family) -> bool:
    """Whether rows are examined in the pass that sums them: there is nothing to prepare."""
    return type(family).prepared is Family.prepared


def checked(X: Any, y: Any = None, sample_weight: Any = None, n_threads: int = 1) -> Data:
    """Examine what a user gave, but for NaN in X; see `missing_named`.

    Parameters
    ----------
    X : array-like of shape (n,) or (n, D)
    y : array-like of shape (n,), optional
        The response of a regression.
    sample_weight : array-like of shape (n,), optional
    n_threads : int, default=1

    Raises
    ------
    TypeError, ValueError
        If a value is missing, infinite or no number, or if the lengths differ.
    """
    names = _get_feature_names(X)
    least = 0 if y is not None else 1  # an intercept may be all
    rows = np.asarray(table(X, "X", least))
    rows = rows[:, None] if rows.ndim == 1 else rows
    if y is not None:
        response = np.asarray(table(y, "y"), dtype=np.float64)
        if response.ndim == 2 and response.shape[1] == 1:
            response = response[:, 0]
        if response.ndim != 1:
            raise ValueError(f"y must be one number a row, but it is of the shape {response.shape}")
        same_length(response, rows, "y")
        rows = np.column_stack([rows, response])
    weights, total_weight = summed_weights(sample_weight, rows, n_threads)
    kept = None
    if weights is not None and not weights.all():
        kept = weights > 0
        rows, weights = rows[kept], weights[kept]
    if y is not None:
        with uncounted(kept):
            refuse_missing(rows[:, -1], "y")
    if weights is not None and weights[0] == 1 and (weights == 1).all():
        weights = None
    names = None if names is None else tuple(map(str, names))
    return Data(rows, weights, names, n_threads, total_weight, kept)


def table(values: Any, name: str, least: int = 1) -> FloatArray:
    """An array of float64 or float32 with one or two axes, and so many columns at least."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(f"{name} is a masked array: drop the rows that are masked")
    try:
        array: FloatArray = check_array(
            values,
            dtype=[np.float64, np.float32],
            ensure_2d=False,
            ensure_all_finite=False,
            ensure_min_features=least,
            input_name=name,
        )
    except (TypeError, ValueError) as error:
        error.args = (f"{name}: {error}{_remedy(values)}",)
        raise
    return array


@contextmanager
def missing_named(data: Data) -> Iterator[None]:
    """If an examination fails, say first what to do about values that are missing.

    To look for NaN beforehand would be one more pass over memory, and each family does look.

    Raises
    ------
    ValueError
        If something raises it, and there are NaN.
    """
    with uncounted(data.kept):
        try:
            yield
        except ValueError:
            refuse_missing(data.X, "X")
            raise


@contextmanager
def uncounted(kept: NDArray[np.bool_] | None) -> Iterator[None]:
    """Errors that name a row say that some rows were left out before."""
    try:
        yield
    except ValueError as error:
        if kept is not None and "counted from 0" in str(error):
            error.args = (f"{error}. (Rows of weight 0 are left out, and not counted)",)
        raise


def refuse_missing(array: FloatArray, name: str) -> None:
    """Raise the error that says what to do about NaN, where there are some."""
    missing = np.isnan(array)
    if missing.any():
        n = int(np.count_nonzero(missing))
        row = int(np.argwhere(missing)[0][0])
        raise ValueError(
            f"{name} has {n} value{'s' if n > 1 else ''} that {'are' if n > 1 else 'is'} NaN, the "
            f"first in row {row}, counted from 0. Leave such rows out; or, if bounds of the value "
            "are known, put a bound in its place and say so with censored= (a value of which "
            "nothing is known is censored to the right of the lowest possible value)"
        )


def _remedy(values: Any) -> str:
    """What to do with values that are no table of numbers."""
    array = np.asarray(values)
    if array.ndim == 0:
        return " Give an array of shape (n,) or (n, D)"
    if array.dtype.kind in "OUS":
        return (
            ". Text is not taken: give categories as codes from 0, such as those of "
            "np.unique(values, return_inverse=True)"
        )
    return ""


def same_length(values: Any, X: Any, name: str) -> None:
    """Refuse what has not one entry for each row."""
    if len(values) != len(X):
        raise ValueError(
            f"{name} has {len(values)} entries, but X has {len(X)} rows: give one for each row"
        )
