"""One pass over rows in blocks that fit the cache, on several threads, summed in their order.

The number of blocks depends on the rows and columns only, and sums are taken in index order: the
bits of a result do not depend on the threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, reduce
from operator import add
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

S = TypeVar("S")

_BLOCK_NUMBERS = 1 << 15  # 256 KB of doubles: temporaries of a few of them stay in a core's cache
_FEWEST_ROWS = 256


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
    parts = blocks(n_rows, n_columns)
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
            return list(_in_order(pool, function, parts))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)  # an interrupt ends it at a block


def _in_order(
    pool: ThreadPoolExecutor, function: Callable[[slice], S], parts: list[slice]
) -> Iterator[S]:
    futures = [pool.submit(function, part) for part in parts]
    return (future.result() for future in futures)


def total(function: Callable[[slice], S], n_rows: int, n_columns: int = 1, n_threads: int = 1) -> S:
    """The sum of what a function returns for each block of rows; see `each_block`."""
    return reduce(add, each_block(function, n_rows, n_columns, n_threads))


class Sums(tuple[Any, ...]):
    """Several sums that are added together: numbers or arrays, one by one."""

    __slots__ = ()

    def __add__(self, other: Any) -> Sums:
        return Sums(a + b for a, b in zip(self, other, strict=True))
