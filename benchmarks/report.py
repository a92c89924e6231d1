"""Tables: aligned text for the terminal, Markdown for RESULTS.md."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path


def command_parser(program: str, doc: str | None) -> argparse.ArgumentParser:
    """Make a parser whose help is a module's docstring, its examples at the end."""
    summary, _, examples = (doc or "").partition("Examples\n--------\n")
    return argparse.ArgumentParser(
        prog=program,
        description=summary,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


class Table:
    """A table that is printed row by row, as soon as a row is known.

    Parameters
    ----------
    title : str
        A line above the table.
    header : sequence of str
        The names of the columns.
    markdown : bool
        Whether to print Markdown.
    """

    def __init__(self, title: str, header: Sequence[str], *, markdown: bool) -> None:
        self.markdown = markdown
        # The first column holds the workload's name, the others a number or a few.
        self.widths = [38] + [max(10, len(name)) for name in header[1:]]
        print(f"\n{'### ' if markdown else ''}{title}\n")
        self.row(header)
        rule = ["---"] + ["---:"] * (len(header) - 1)
        self.row(rule if markdown else ["-" * width for width in self.widths])

    def row(self, cells: Sequence[str]) -> None:
        """Print a row."""
        if self.markdown:
            print("| " + " | ".join(cells) + " |", flush=True)
            return
        first = cells[0].ljust(self.widths[0])
        rest = [cell.rjust(width) for cell, width in zip(cells[1:], self.widths[1:], strict=True)]
        print("  ".join([first, *rest]), flush=True)


def number(value: float, unit: str = "") -> str:
    """Format a number with three significant digits, and no exponent where that is short."""
    if value <= 0:
        return "noise"  # a difference of two times that the machine's other work swallowed
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f}{unit}"


def milliseconds(seconds: float) -> str:
    """Format a time in milliseconds."""
    return number(1e3 * seconds)


def progress(text: str) -> None:
    """Tell on stderr what is being done, so that stdout holds the tables only."""
    print(f"  {text}", file=sys.stderr, flush=True)


def cpu_model() -> str:
    """Name the CPU."""
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def load() -> str:
    """Tell the mean number of running processes over the last minute."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def usable_cores() -> int:
    """Count the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
