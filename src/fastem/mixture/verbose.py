"""Lines on standard output while a fit runs, as scikit-learn prints them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .. import em


class VerboseReport:
    """Lines for `verbose`, as scikit-learn prints them."""

    def __init__(self, verbose: int, interval: int, scale: float) -> None:
        self.verbose, self.interval, self.scale = int(verbose), interval, scale
        self.n_starts = 0
        self.begin = self.last = time.perf_counter()

    @property
    def callbacks(self) -> list[em.Callback]:
        return [self.iteration] if self.verbose else []

    def announced(self, start: Callable[[], Any]) -> Callable[[], Any]:
        """The start, with a line before it."""

        def announce_and_start() -> Any:
            if self.verbose:
                print(f"Initialization {self.n_starts}")
            self.n_starts += 1
            self.begin = self.last = time.perf_counter()
            return start()

        return announce_and_start

    def iteration(self, iteration: int, log_likelihood: float, change: float) -> None:
        if iteration % self.interval:
            return
        line = f"  Iteration {iteration}"
        if self.verbose > 1:
            now = time.perf_counter()
            line += f"\t time lapse {now - self.last:.5f}s\t ll change {change * self.scale:.5f}"
            self.last = now
        print(line)

    def finished(self, result: em.EMResult[Any]) -> None:
        if not self.verbose:
            return
        line = f"Initialization {'converged' if result.converged else 'did not converge'}."
        if self.verbose > 1:
            lapse = time.perf_counter() - self.begin
            bound = result.log_likelihood * self.scale
            line += f" time lapse {lapse:.5f}s\t lower bound {bound:.5f}."
        if result.skipped:
            line += f" {100 * result.skipped:.1f} % of the pairs of a row and a component skipped."
        print(line)
