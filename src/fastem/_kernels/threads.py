"""Threads that kernels may start: noted for children to come, and tried before OpenMP starts them.

libgomp and libomp end the process when the system refuses them a thread; Python only raises.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading
import time
import warnings

__all__ = ["granted"]

have_run = False  # in this process, by a kernel

# OpenMP keeps threads of its own for each thread that calls it: the most that this one has had.
_had = threading.local()
# How long threads that were tried may take to be gone, in seconds
_PATIENCE = 0.2


def granted(n_threads: int) -> int:
    """The number of threads that a kernel may be given.

    Parameters
    ----------
    n_threads : int
        That would be of use.

    Returns
    -------
    int
        The same, or 1, with a warning, where the system does not start so many.
    """
    global have_run
    if n_threads == 1:
        return 1
    if n_threads > getattr(_had, "most", 1):
        if sys.platform != "win32" and not _can_start(n_threads):
            warnings.warn(
                f"the system does not start {n_threads - 1} more threads: one is used. Raise the "
                "limit of processes, threads or memory (ulimit -u, ulimit -v, or the container's), "
                "or set n_threads=1",
                RuntimeWarning,
                stacklevel=2,
            )
            return 1
        _had.most = n_threads
    have_run = True
    return n_threads


def _can_start(n_threads: int) -> bool:
    """Try it: as many as OpenMP will start, and one to spare."""
    before, gate = _n_tasks(), _thread.allocate_lock()

    def wait() -> None:
        with gate:
            pass

    with gate:
        try:
            for _ in range(n_threads):
                _thread.start_new_thread(wait, ())
        except (RuntimeError, MemoryError):
            possible = False
        else:
            possible = True
    # their places are free again only when they are gone
    deadline = time.monotonic() + _PATIENCE
    while _n_tasks() > before and time.monotonic() < deadline:
        time.sleep(2e-5)
    return possible


def _n_tasks() -> int:
    """Threads of this process; 0 where the system does not tell."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 0
