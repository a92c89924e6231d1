"""``python -m benchmarks``: run fastem and its peers in turn on the same data, print a table.

Every program gets the same data, the same start, the same number of threads, and its turn in every
round; see ``measure.py`` for what is timed and why. The whole takes a while, nearly all of it
scikit-learn's; ``--quick`` takes a few minutes and tells whether everything works, not how fast it
is. Other work on the machine makes the figures worthless for programs that keep every core busy:
the line above the tables gives the load that was there before.

Examples
--------
python -m benchmarks                                 ms per iteration, every workload
python -m benchmarks --workload diag --rounds 9      the diagonal ones, more rounds
python -m benchmarks --group fit --group small       whole fits
python -m benchmarks --group mle                     single distributions, beside scipy.stats
python -m benchmarks --peers fastem,onedal --markdown
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.groups import GROUPS, Settings
from benchmarks.peers import PEERS, available
from benchmarks.report import Table, command_parser, cpu_model, load, progress, usable_cores


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = _parse(arguments)
    groups = options.group or ["iteration"]
    if options.list:
        for name in GROUPS:
            print(name)
            print("\n".join(f"  {workload.name}" for workload in GROUPS[name].workloads))
        return 0
    peers = available([PEERS[name] for name in options.peers.split(",")], options.threads)
    if not peers:
        print("None of the programs asked for can be imported.", file=sys.stderr)
        return 1
    print(f"{cpu_model()}; {options.threads} threads; {options.dtype}; load {load()}")
    print("; ".join(peer.describe() for peer in peers))
    settings = Settings(options.rounds, options.iterations, options.budget, options.threads)
    dtype = np.dtype(options.dtype)
    n_rows = 0
    # After the imports above: the limit applies to the thread pools that are loaded by now.
    with threadpool_limits(limits=options.threads):
        for name in groups:
            group = GROUPS[name]
            workloads = [w for w in group.workloads if options.workload in w.name]
            if not workloads:
                continue
            runners = group.peers(peers)
            header = ["workload", *group.header(runners)]
            title = group.title + (" (quick: small data)" if options.quick else "")
            table = Table(title, header, markdown=options.markdown)
            for workload in workloads:
                progress(workload.name)
                problem = workload.make(dtype, options.quick)
                rounds = settings.rounds or group.rounds
                table.row([workload.name, *group.measure(problem, runners, rounds, settings)])
                n_rows += 1
    if not n_rows:
        print(f"No workload's name contains {options.workload!r}; see --list.", file=sys.stderr)
        return 1
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser("python -m benchmarks", __doc__)
    add = parser.add_argument
    add("--group", action="append", choices=list(GROUPS), help="default iteration; repeatable")
    add("--workload", default="", metavar="TEXT", help="only workloads whose name contains TEXT")
    add("--peers", default=",".join(PEERS), help="default %(default)s; ratios are to the first")
    add("--rounds", type=_positive, help="rounds of every program in turn; default by group")
    add("--iterations", type=_positive, default=20, help="at most, to a long fit (%(default)s)")
    add("--budget", type=float, default=10.0, help="seconds for a long fit (%(default)s)")
    add("--threads", type=_positive, default=usable_cores(), help="of each (%(default)s)")
    add("--dtype", choices=["float64", "float32"], default="float64", help="(%(default)s)")
    add("--quick", action="store_true", help="small data: to try the programs, not to time them")
    add("--markdown", action="store_true", help="print Markdown, for RESULTS.md")
    add("--list", action="store_true", help="list groups and workloads, run nothing")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.peers.split(",")) - set(PEERS))
    if unknown:
        parser.error(f"unknown peers {', '.join(unknown)}; choose from {', '.join(PEERS)}")
    return options


def _positive(text: str) -> int:
    """Read a positive integer."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return value


if __name__ == "__main__":
    sys.exit(main())
