"""EM in its smallest form: two exponential waiting times, one seen (5), one missing.

The missing time is 1 / theta on average, so an EM step is theta <- 2 theta / (5 theta + 1), and its
limit 1/5 is what the seen time alone says (Givens, Hoeting 2013, Computational Statistics, 4.2).
"""

import math
from dataclasses import dataclass

from fastem import em


@dataclass(frozen=True)
class Exponential:
    theta: float  # the rate

    def e_step(self, seen):
        return seen + 1 / self.theta  # the expected sum of both times

    def m_step(self, total):
        return Exponential(2 / total)

    def log_likelihood(self, seen):
        return math.log(self.theta) - self.theta * seen


def main() -> None:
    result = em.run(
        Exponential(1.0), 5.0, callbacks=lambda i, ll, change: print(f"{i:3}  {ll:.9f}")
    )
    print(f"theta = {result.model.theta:.7f} after {result.n_iter} iterations")
    print(f"rate of convergence {result.rate:.4f}: half of the information is missing")


if __name__ == "__main__":
    main()
