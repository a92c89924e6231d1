"""
EM for a censored time, by hand
===============================

Ten exponential times, of which one was still running when the watch stopped at 7. Nine times sum
to 27.2. Of the tenth EM knows that it is 7 + 1 / rate on average, since an exponential time has no
memory: the grey bar in the picture is the part that EM puts in for it. The limit is 9 / (27.2 + 7)
= 5 / 19. (For more than an exercise there is ``fastem.mle.fit(..., censored=...)``.)
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

    draw(result)


def draw(result) -> None:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("pip install 'fastem[plot]' to see the picture")
        return
    rate, n_seen = result.model.rate, TIMES.n_seen
    _, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    left.barh(["nine seen, mean"], [TIMES.sum_seen / n_seen], color="#0072B2")
    left.barh(["the tenth"], [TIMES.censored_at[0]], color="#E69F00")
    left.barh(["the tenth"], [1 / rate], left=TIMES.censored_at[0], color="#BBBBBB")
    left.set_xlabel("time")
    rates = [rate * (0.4 + 0.02 * i) for i in range(80)]
    right.plot(
        rates, [CensoredExponential(r).log_likelihood(TIMES) for r in rates], color="#333333"
    )
    right.plot(rate, result.log_likelihood, "o", color="#0072B2")
    right.set(xlabel="rate", ylabel="log-likelihood")
    plt.show()


if __name__ == "__main__":
    main()
