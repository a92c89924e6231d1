"""How many threads to use: what was asked for, within what the machine and its owner allow."""

from __future__ import annotations

import os
from functools import lru_cache

from joblib import cpu_count

from ._kernels import kernels

__all__ = ["effective_n_threads"]

_forked_after_threads = False
_threads_have_run = False


def _after_fork_in_child() -> None:
    global _forked_after_threads
    _forked_after_threads = _threads_have_run


if hasattr(os, "register_at_fork"):
    # The pool of libgomp does not survive a fork: a child that asks for 2 threads hangs for ever,
    # one that asks for 1 is fine.
    os.register_at_fork(after_in_child=_after_fork_in_child)


@lru_cache(maxsize=1)
def _available_cpus() -> int:
    """Physical cores within the affinity mask and the cgroup quota."""
    return int(cpu_count(only_physical_cores=True))


def effective_n_threads(n_threads: int | None = None) -> int:
    """The number of threads a fit will use.

    Parameters
    ----------
    n_threads : int or None, default=None
        None: OMP_NUM_THREADS if set, else the physical cores within the CPU affinity mask and the
        cgroup quota; a limit set by threadpoolctl is honoured. Positive: as many, at most all CPUs
        in the affinity mask. Negative: counted from the top as in joblib, -1 is all CPUs.

    Returns
    -------
    int
        At least 1. Always 1 without OpenMP, and in a child process forked after threads had run.

    Raises
    ------
    ValueError
        If `n_threads` is 0.
    """
    global _threads_have_run
    if n_threads == 0:
        raise ValueError(
            "n_threads=0 is not a number of threads: use None for all cores, a positive number, "
            "or -1 for all CPUs"
        )
    if _forked_after_threads or not kernels.has_openmp():
        return 1
    if n_threads is None:
        chosen = kernels.max_threads()
        if "OMP_NUM_THREADS" not in os.environ:
            chosen = min(chosen, _available_cpus())
    else:
        # libgomp ends the process when it cannot start a thread, so never ask for absurd numbers
        cpus = int(cpu_count())
        chosen = min(n_threads, cpus) if n_threads > 0 else cpus + 1 + n_threads
    chosen = max(1, chosen)
    _threads_have_run |= chosen > 1
    return chosen
