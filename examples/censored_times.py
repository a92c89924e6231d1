"""Ten exponential times, of which one was still running when the watch stopped at 7.

Nine times sum to 27.2. Of the tenth EM knows that it is 7 + 1 / rate on average, since an
exponential time has no memory. The limit is 9 / (27.2 + 7) = 5 / 19.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from fastem import em


class Times(NamedTuple):
    n_seen: int
    sum_seen: float
    censored_at: tuple  # times that are longer than these


@dataclass(frozen=True)
class CensoredExponential:
    rate: float

    def e_step(self, times):
        expected = sum(at + 1 / self.rate for at in times.censored_at)
        return times.n_seen + len(times.censored_at), times.sum_seen + expected

    def m_step(self, statistics):
        n, total = statistics
        return CensoredExponential(n / total)

    def log_likelihood(self, times):
        lasted = times.sum_seen + sum(times.censored_at)
        return times.n_seen * math.log(self.rate) - self.rate * lasted


TIMES = Times(9, 27.2, (7.0,))


def main() -> None:
    result = em.run(CensoredExponential(1.0), TIMES)
    print(f"rate = {result.model.rate:.7f} after {result.n_iter} iterations (5/19 = {5 / 19:.7f})")
    print(result.information(TIMES))


if __name__ == "__main__":
    main()
