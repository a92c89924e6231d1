"""One pass over rows in blocks that fit the cache, on several threads, summed in their order.

The number of blocks depends on the rows and columns only, and sums are taken in index order: the
bits of a result do not depend on the threads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, reduce
from operator import add
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

S = TypeVar("S")
P = TypeVar("P")

_BLOCK_NUMBERS = 1 << 16  # 512 KB of doubles: temporaries of a few of them stay near a core
_FEWEST_ROWS = 256
_RUNS = 16  # of blocks for each thread: handing out every block by itself costs as much as a sum
_LONGEST_RUN = 8
_FEW_COLUMNS = 16


class Threaded(ABC):
    """Statistics that go over rows again when they are maximised, on as many threads as told."""

    @abstractmethod
    def on_threads(self, n_threads: int) -> Self:
        """The same, on so many threads."""


def blocks(n_rows: int, n_columns: int = 1) -> list[slice]:
    """Slices of consecutive rows, of about a cache's size."""
    size = max(_FEWEST_ROWS, _BLOCK_NUMBERS // max(1, n_columns))
    return [slice(begin, min(begin + size, n_rows)) for begin in range(0, n_rows, size)]


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()  # looks at every library that is loaded: not twice


def each_block(
    function: Callable[[slice], S], n_rows: int, n_columns: int = 1, n_threads: int = 1
) -> list[S]:
    """What a function returns for each block of rows, in their order.

    Parameters
    ----------
    function : callable
        Takes a slice of the rows. Called from several threads at once; NumPy lets them run side by
        side.
    n_rows : int
    n_columns : int, default=1
        Numbers a row for which temporaries are made.
    n_threads : int, default=1
    """
    return each(function, blocks(n_rows, n_columns), n_threads)


def each(function: Callable[[P], S], parts: Sequence[P], n_threads: int = 1) -> list[S]:
    """What a function returns for each of some parts of the data, in their order."""
    n_threads = min(n_threads, len(parts))
    if len(parts) == 1:
        return [function(part) for part in parts]
    # threads of a matrix product inside each of ours would fight for the cores; and without them
    # the bits are the same for one thread
    with _libraries().limit(limits=1, user_api="blas"):
        if n_threads <= 1:
            return [function(part) for part in parts]
        pool = ThreadPoolExecutor(n_threads)
        try:
            return list(_in_order(pool, function, parts, n_threads))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)  # an interrupt ends it at a run of blocks


def _in_order(
    pool: ThreadPoolExecutor, function: Callable[[P], S], parts: Sequence[P], n_threads: int
) -> Iterator[S]:
    length = min(_LONGEST_RUN, max(1, len(parts) // (_RUNS * n_threads)))
    futures = [
        pool.submit(lambda run: [function(part) for part in run], parts[i : i + length])
        for i in range(0, len(parts), length)
    ]
    return (result for future in futures for result in future.result())


def total(function: Callable[[slice], S], n_rows: int, n_columns: int = 1, n_threads: int = 1) -> S:
    """The sum of what a function returns for each block of rows; see `each_block`."""
    whole = reduce(add, each_block(function, n_rows, n_columns, n_threads))
    return whole.on_threads(n_threads) if isinstance(whole, Threaded) else whole


def column_sums(A: NDArray[Any]) -> NDArray[Any]:
    """Sums over the rows, pairwise. NumPy has them row by row, which is slow for few columns."""
    if 1 < A.shape[1] < _FEW_COLUMNS:
        return np.asarray(np.ascontiguousarray(A.T).sum(axis=1))
    return np.asarray(A.sum(axis=0))


class Sums(tuple[Any, ...], Threaded):
    """Several sums that are added together: numbers, arrays or statistics, one by one."""

    __slots__ = ()

    def __add__(self, other: Any) -> Sums:
        return Sums(a + b for a, b in zip(self, other, strict=True))

    def on_threads(self, n_threads: int) -> Sums:
        return Sums(s.on_threads(n_threads) if isinstance(s, Threaded) else s for s in self)
