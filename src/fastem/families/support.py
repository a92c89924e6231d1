"""Where the data of a family may lie, and the error that says which are elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .passes import each_block

FloatArray = NDArray[Any]


@dataclass(frozen=True)
class Support:
    """Numbers, or integers, between two bounds.

    Parameters
    ----------
    low, high : float
    low_closed, high_closed : bool
        Whether the bound itself is a value of the distribution.
    integer : bool
    """

    low: float = -np.inf
    high: float = np.inf
    low_closed: bool = True
    high_closed: bool = True
    integer: bool = False

    def inside(self, X: FloatArray) -> NDArray[np.bool_]:
        """Which rows lie here, (n,)."""
        return np.asarray(self._each(X).all(axis=1))

    def _each(self, X: FloatArray) -> NDArray[np.bool_]:
        good = self.low <= X if self.low_closed else self.low < X
        good &= self.high >= X if self.high_closed else self.high > X
        good &= np.isfinite(X)
        if self.integer:
            with np.errstate(invalid="ignore"):
                good &= np.floor(X) == X
        return np.asarray(good)

    def describe(self) -> str:
        """In words, such as "integers of at least 0"."""
        words = "integers" if self.integer else "numbers"
        if np.isfinite(self.low):
            words += f" {'of at least' if self.low_closed else 'above'} {self.low:g}"
        if np.isfinite(self.high):
            joint = " and" if np.isfinite(self.low) else ""
            words += f"{joint} {'at most' if self.high_closed else 'below'} {self.high:g}"
        return words

    def holds(self, X: FloatArray) -> bool:
        """Whether all values lie here."""
        if not X.size:
            return True
        # NaN makes the least and the greatest NaN; both are cheaper than an array of truths
        low, high = X.min(), X.max()
        fine = self.spans(low, high)
        return fine and not (self.integer and bool((np.floor(X) != X).any()))

    def spans(self, low: Any, high: Any) -> bool:
        """Whether all numbers, or integers, between a least and a greatest value lie here."""
        fine = (low >= self.low if self.low_closed else low > self.low) and (
            high <= self.high if self.high_closed else high < self.high
        )
        return bool(fine and np.isfinite(low) and np.isfinite(high))

    def check(self, X: FloatArray, name: str, n_threads: int = 1) -> None:
        """Examine all values.

        Raises
        ------
        ValueError
            If a value lies elsewhere; it names the first.
        """
        n_rows, n_columns = X.shape

        def bad(rows: slice) -> int:
            part = X[rows]
            return 0 if self.holds(part) else int(np.count_nonzero(~self._each(part)))

        if not n_rows or not (n_bad := sum(each_block(bad, n_rows, n_columns, n_threads))):
            return
        row, column = (int(i) for i in np.argwhere(~self._each(X))[0])
        raise ValueError(
            f"{name} is a distribution of {self.describe()}: {n_bad} "
            f"value{'s are' if n_bad > 1 else ' is'} not, the first is {X[row, column]:g} in row "
            f"{row} and column {column}, counted from 0. Remove such rows, or choose a family that "
            "has such values"
        )
