"""Rows of nothing but 0 and 1 in the form that their own kernel reads, and its passes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from types import ModuleType

import numpy as np

from . import kernels as default_kernels
from . import memory
from .rows import FloatArray, aligned_empty, kernel_weights, n_slots, readable, useful_threads

__all__ = ["CodedRows", "CodedWorkspace", "coded"]

# Of fewer columns there is little to gain: exp takes the time, and few different rows are counted
_FEWEST_COLUMNS = 8
_SOME = 64  # rows that tell at once that most data are something else
_LINE = 8  # doubles of a cache line


class CodedRows:
    """Rows of 0 and 1, four columns, and four rows of a column, a code; about 0.

    Parameters
    ----------
    of_rows, of_columns : arrays of uint8
        From the kernel `pack_codes`.
    n_rows, n_features : int
    sample_weight : array of shape (n_rows,), float64, or None
        None means 1 for each row.
    n_threads : int
    kernels : module
        The instruction set to use.
    """

    def __init__(
        self,
        of_rows: FloatArray,
        of_columns: FloatArray,
        n_rows: int,
        n_features: int,
        sample_weight: FloatArray | None,
        n_threads: int,
        kernels: ModuleType,
    ) -> None:
        self.of_rows, self.of_columns = of_rows, of_columns
        self.n_rows, self.n_features = n_rows, n_features
        self.weights = kernel_weights(sample_weight)
        self.n_threads, self.kernels = n_threads, kernels
        self.shift = np.zeros(n_features)


def coded(
    X: FloatArray,
    sample_weight: FloatArray | None,
    n_threads: int,
    kernels: ModuleType = default_kernels,
    fewest_columns: int = _FEWEST_COLUMNS,
) -> CodedRows | None:
    """Rows as codes, in one pass over them; None where a number is neither 0 nor 1.

    Parameters
    ----------
    X : array of shape (n_rows, n_features), float64
        Of any memory layout.
    sample_weight : array of shape (n_rows,), float64, or None
        None means 1 for each row.
    n_threads : int
        For this and for every pass over these rows.
    kernels : module, default=the one chosen at import
    fewest_columns : int, default=8
        None too where there are fewer: there would be little to gain.

    Returns
    -------
    CodedRows or None
    """
    n_rows, n_features = X.shape
    some = X[:_SOME]
    if n_features < fewest_columns or not ((some == 0) | (some == 1)).all():
        return None
    block, bits = kernels.CODE_BLOCK, kernels.CODE_BITS
    padded = -(-n_rows // block) * block
    shapes = (padded, -(-n_features // bits)), (padded // bits, n_features)
    memory.check(
        sum(map(math.prod, shapes)),
        f"A packed copy of {n_rows} rows of {n_features} columns of 0 and 1",
        "Use fewer rows or columns.",
    )
    of_rows, of_columns = (np.empty(shape, dtype=np.uint8) for shape in shapes)
    threads = useful_threads(n_threads, n_rows, 1, n_features)
    if not kernels.pack_codes(readable(X), of_rows, of_columns, threads):
        return None
    return CodedRows(of_rows, of_columns, n_rows, n_features, sample_weight, n_threads, kernels)


class CodedWorkspace:
    """Scratch and outputs of the passes of one fit, for one number of components.

    Does for rows of 0 and 1 what `Workspace` does for any rows with the structure "Linear". Every
    pair of a row and a component is computed.

    Parameters
    ----------
    rows : CodedRows
    n_components : int
    """

    def __init__(self, rows: CodedRows, n_components: int) -> None:
        kernels, D, K = rows.kernels, rows.n_features, n_components
        self.rows, self.n_components = rows, n_components
        self.n_threads = useful_threads(rows.n_threads, rows.n_rows, K, D)
        n_parameters = kernels.code_parameters_size(D, K)
        scratch = _whole_lines(kernels.code_scratch_size(K))
        self._check_memory(8 * (n_parameters + self.n_threads * scratch))
        self.parameters = aligned_empty((n_parameters,), np.float64)
        self.arena = aligned_empty((self.n_threads, scratch), np.float64)
        #: Components with less than exp(-cut) of the best one's part in a row have none
        self.cut: float = kernels.fit_cut(8, True)
        #: Share of all pairs of a row and a component that the last pass left out
        self.skipped = 0.0

    def _check_memory(self, n_bytes: int) -> None:
        memory.check(
            n_bytes,
            f"A mixture of {self.n_components} components in {self.rows.n_features} features",
            "Use fewer components or features.",
        )

    @cached_property
    def slots(self) -> FloatArray:
        rows = self.rows
        size = _whole_lines(rows.kernels.code_slot_size(rows.n_features, self.n_components))
        n_blocks = len(rows.of_rows) // rows.kernels.CODE_BLOCK
        shape = n_slots(n_blocks, size, 8 * rows.n_rows * rows.n_features), size
        self._check_memory(8 * math.prod(shape))
        slots = aligned_empty(shape, np.float64)
        slots[:, size - _LINE :] = 0.0  # what lies behind a slot is added up with it
        return slots

    def accumulate(
        self, parameters: Mapping[str, FloatArray]
    ) -> tuple[FloatArray, FloatArray, None, float]:
        """One pass over the rows: statistics about 0, and the log-likelihood.

        Parameters
        ----------
        parameters : mapping
            constants (K,), log weights - A(eta), and means (K, D), the natural parameters eta,
            finite.

        Returns
        -------
        counts (K,), first (K, D), None, log_likelihood
        """
        rows, K = self.rows, self.n_components
        counts, first = np.empty(K), np.empty((K, rows.n_features))
        log_likelihood = rows.kernels.accumulate_codes(
            rows.of_rows,
            rows.of_columns,
            rows.weights,
            rows.n_rows,
            parameters["constants"],
            parameters["means"],
            self.cut,
            self.parameters,
            self.arena,
            self.slots,
            counts,
            first,
            self.n_threads,
        )
        return counts, first, None, float(log_likelihood)


def _whole_lines(n: int) -> int:
    return -(-n // _LINE) * _LINE
