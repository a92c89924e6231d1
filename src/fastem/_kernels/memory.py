"""Whether there is room for what is about to be allocated.

Systems that promise more memory than they have end the process when it is used; an error that names
the size is better.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

__all__ = ["check", "limit"]

_SMALL = 256 << 20  # bytes, which need no look


def check(n_bytes: int, what: str, remedy: str) -> None:
    """Make sure that so many bytes can be had.

    Parameters
    ----------
    n_bytes : int
    what : str
        Takes them; the subject of the message.
    remedy : str
        What would take less.

    Raises
    ------
    MemoryError
        If they are more than the machine, or the container, has beside what is in use.
    """
    if n_bytes <= _SMALL:
        return
    most, used = limit(), _in_use()
    if most is not None and used + n_bytes > most:
        raise MemoryError(
            f"{what} takes {_readable(n_bytes)} of memory, and {_readable(used)} are in use: more "
            f"than the {_readable(most)} of this machine or container. {remedy}"
        )


def _readable(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.1f} GiB"


@lru_cache(maxsize=1)
def limit() -> int | None:
    """Bytes of memory that this process may use; None where the system does not tell."""
    limits = _cgroup_limits(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" in names and "SC_PAGE_SIZE" in names:
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min((n for n in limits if n > 0), default=None)


def _cgroup_limits(membership: Path, root: Path) -> list[int]:
    """The limits of the control groups that a process is in, of either version."""
    try:
        groups = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError:
        return []
    limits = []
    for _, controllers, group in (g for g in groups if len(g) == 3):
        if controllers not in ("", "memory") and "memory" not in controllers.split(","):
            continue
        top, name = (
            (root, "memory.max")
            if controllers == ""
            else (root / "memory", "memory.limit_in_bytes")
        )
        # a container may see its own group as the top
        inside = top / group.strip("/")
        for folder in {top, inside, *(p for p in inside.parents if top in p.parents)}:
            try:
                limits.append(int((folder / name).read_text()))
            except (OSError, ValueError):  # there is none, or it is "max"
                continue
    return limits


def _in_use() -> int:
    """Bytes of this process that no file could give back; 0 where the system does not tell."""
    try:
        _, resident, shared, *_ = map(int, Path("/proc/self/statm").read_text().split())
    except (OSError, ValueError):
        return 0
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")
