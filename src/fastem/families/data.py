"""The rows of a fit, as mixtures of any families see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .._kernels import STRUCTURES
from .._kernels.codes import CodedWorkspace, coded
from .._kernels.rows import Rows, Workspace
from .base import Family
from .passes import each_block

FloatArray = NDArray[Any]

# Integers in so few different rows are counted: 8 bytes a code, and a share of the rows
_MOST_CODES = 1 << 20
_FEWEST_REPEATS = 2


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows of data, their weights, and the components that are known of them.

    Parameters
    ----------
    X : array of shape (n_rows, n_columns), float64
    sample_weight : array of shape (n_rows,) or None
        None means 1 for each row.
    labels : array of shape (n_rows,), intp, or None
        The component of each row, -1 where it is unknown; None where none is known.
    n_threads : int
    pack : bool
        Whether the compiled kernels keep a copy in the layout they read fastest.
    """

    X: FloatArray
    sample_weight: FloatArray | None = None
    labels: NDArray[np.intp] | None = None
    n_threads: int = 1
    pack: bool = True

    @property
    def n_rows(self) -> int:
        return len(self.X)

    @cached_property
    def total_weight(self) -> float:
        return float(self.n_rows if self.sample_weight is None else self.sample_weight.sum())

    def counted(self) -> tuple[Self, NDArray[Any] | None]:
        """The different rows with their counts for weights, where there are few; and which of them
        each row is.

        Counts and codes repeat so often that a pass over their different values takes no time. Only
        integers are looked at; whatever else is left as it is.
        """
        codes = _codes(self.X) if self.labels is None else None
        if codes is None:
            return self, None
        weight = np.bincount(codes, self.sample_weight)
        first = np.full(len(weight), -1)
        first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
        used = np.flatnonzero(first >= 0)
        if len(used) * _FEWEST_REPEATS > len(codes):
            return self, None
        place = np.cumsum(first >= 0) - 1
        rows = np.ascontiguousarray(self.X[first[used]])
        return replace(self, X=rows, sample_weight=weight[used].astype(np.float64)), place[codes]

    # --- what the compiled kernels read, made once -----------------------------------------------

    @cached_property
    def _made(self) -> dict[Any, Any]:
        return {}

    def workspace(self, structure: int, n_components: int) -> Workspace:
        """The workspace of a kernel on these rows.

        Parameters
        ----------
        structure : int
            Kernel code.
        n_components : int
        """
        key = structure, n_components
        if key not in self._made:
            self._made[key] = self._workspace(self.X, structure, n_components)
        workspace: Workspace = self._made[key]
        return workspace

    def linear(self, part: Any) -> tuple[Workspace | CodedWorkspace, float]:
        """The workspace of an exponential family, and the weighted sum of its h(x).

        A sample is of one fit, so that the family is always the same. Statistics that are all 0 or
        1 have a kernel of their own.
        """
        key = STRUCTURES["Linear"], part.n_members
        if key not in self._made:
            T = part.statistics(self.X)
            codes = coded(T, self.sample_weight, self.n_threads) if self.pack else None
            self._made[key] = (
                self._workspace(T, *key) if codes is None else CodedWorkspace(codes, key[1])
            )
        if "base" not in self._made:
            h = part.base(self.X)
            weight = self.sample_weight
            total = 0.0 if h is None else float(h.sum() if weight is None else h @ weight)
            self._made["base"] = total
        return self._made[key], self._made["base"]

    def _workspace(self, rows: FloatArray, structure: int, n_components: int) -> Workspace:
        made = Rows(rows, self.sample_weight, self.n_threads, pack=self.pack)
        return Workspace(made, structure, n_components)

    @property
    def skipped(self) -> float:
        """Share of the pairs of a row and a component that the last pass left out."""
        kinds = Workspace, CodedWorkspace
        made = [value for value in self._made.values() if isinstance(value, kinds)]
        return made[0].skipped if made else 0.0

    @cached_property
    def _inside(self) -> list[NDArray[np.bool_] | None]:
        return []

    def inside(self, parts: Sequence[Family]) -> list[NDArray[np.bool_] | None]:
        """Which rows lie within the support of each of several families; None for all.

        Rows are examined before a fit to one family: they all do.
        """
        if len(parts) == 1:
            return [None]
        for i in range(len(self._inside), len(parts)):
            family = parts[i]
            inside = np.concatenate(
                each_block(
                    lambda rows, family=family: family.inside(self.X[rows]),  # type: ignore[misc]
                    self.n_rows,
                    self.X.shape[1],
                    self.n_threads,
                )
            )
            self._inside.append(None if inside.all() else inside)
        return self._inside


def _codes(X: FloatArray) -> NDArray[Any] | None:
    """One integer for each different row of few integers; None where there are too many."""
    low, high = X.min(axis=0), X.max(axis=0)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return None
    spans = high - low + 1.0
    n_codes = float(np.prod(spans))
    if not n_codes <= min(_MOST_CODES, len(X)) or (X[:1024] != np.floor(X[:1024])).any():
        return None
    codes = np.zeros(len(X), dtype=np.intp)
    for j, span in enumerate(spans.astype(int).tolist()):
        column = X[:, j] - low[j]
        digits = column.astype(np.intp)
        if (digits != column).any():
            return None
        codes *= span
        codes += digits
    return codes
