"""How many threads to use: what was asked for, within what the machine and its owner allow."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
import threading
import warnings
from collections.abc import Iterator
from functools import lru_cache

from joblib import cpu_count

from ._kernels import kernels, threads

__all__ = ["effective_n_threads", "shared_n_threads"]

_forked_after_threads = False
_running, _lock = 0, threading.Lock()  # fits and predictions, in this process


def _after_fork_in_child() -> None:
    global _forked_after_threads, _running, _lock
    _forked_after_threads = threads.have_run
    _running, _lock = 0, threading.Lock()


if hasattr(os, "register_at_fork"):
    # The pool of libgomp does not survive a fork: a child that asks for 2 threads hangs for ever,
    # one that asks for 1 is fine.
    os.register_at_fork(after_in_child=_after_fork_in_child)


@lru_cache
def _cpus(affinity: frozenset[int]) -> tuple[int, int]:
    """CPUs, and physical cores, within the affinity mask and the cgroup quota.

    Asked once for each affinity mask: reading the quota takes longer than a small fit.
    """
    with contextlib.ExitStack() as quiet:
        if sys.platform == "linux" and shutil.which("lscpu") is None:
            # joblib may then not learn of cores (Alpine on Arm, images without any program), and
            # takes all CPUs for cores: no cause to complain
            quiet.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", "Could not find the number of physical cores")
            quiet.enter_context(contextlib.redirect_stderr(io.StringIO()))
        cores = int(cpu_count(only_physical_cores=True))
    return int(cpu_count()), cores


def _affinity() -> frozenset[int]:
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()


def effective_n_threads(n_threads: int | None = None) -> int:
    """The number of threads a fit will use.

    Parameters
    ----------
    n_threads : int or None, default=None
        None: OMP_NUM_THREADS if set, else the physical cores; a limit set by threadpoolctl is
        honoured. Positive: as many. Negative: counted from the top as in joblib, -1 is all CPUs.
        Never more than the CPUs within the affinity mask and the cgroup quota.

    Returns
    -------
    int
        At least 1. Always 1 without OpenMP, and in a child process forked after threads had run.

    Raises
    ------
    ValueError
        If `n_threads` is 0.
    """
    if n_threads == 0:
        raise ValueError(
            "n_threads=0 is not a number of threads: use None for all cores, a positive number, "
            "or -1 for all CPUs"
        )
    if _forked_after_threads or not kernels.has_openmp():
        return 1
    # libgomp ends the process when it cannot start a thread, so never ask for absurd numbers
    cpus, cores = _cpus(_affinity())
    if n_threads is None:
        asked = kernels.max_threads()
        return max(1, min(asked, cpus if "OMP_NUM_THREADS" in os.environ else cores))
    return max(1, min(n_threads, cpus) if n_threads > 0 else cpus + 1 + n_threads)


@contextlib.contextmanager
def shared_n_threads(n_threads: int | None = None) -> Iterator[int]:
    """The threads for one fit or prediction, while it lasts.

    With None the cores are shared with whatever runs at the same time in other threads (those of
    joblib's threading backend, or of a pool), so that there are hardly more threads than cores. The
    number changes no result.
    """
    global _running
    with _lock:
        _running += 1
        running = _running
    try:
        most = effective_n_threads(n_threads)
        yield most if n_threads is not None else max(1, most // running)
    finally:
        with _lock:
            _running -= 1
