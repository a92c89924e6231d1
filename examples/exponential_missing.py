"""
EM in its smallest form
=======================

Two exponential waiting times, one seen (5), one missing. The missing time is 1 / theta on average,
so an EM step is theta <- 2 theta / (5 theta + 1): the picture shows the steps between this curve
and the diagonal. They end at 1/5, which is what the seen time alone says (Givens, Hoeting 2013,
Computational Statistics, 4.2).
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

    draw()


def draw() -> None:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("pip install 'fastem[plot]' to see the picture")
        return
    at, xs, ys = 1.0, [], []
    for _ in range(8):
        after = 2 * at / (5 * at + 1)
        xs += [at, at]
        ys += [at, after]
        at = after
    thetas = [0.01 * i for i in range(106)]
    _, axes = plt.subplots(figsize=(5, 4), layout="constrained")
    axes.plot(thetas, thetas, color="#999999", linewidth=1, label="no change")
    axes.plot(thetas, [2 * t / (5 * t + 1) for t in thetas], color="#0072B2", label="EM step")
    axes.plot(xs, ys, color="#D55E00", linewidth=1, label="eight iterations from 1")
    axes.set(xlabel="theta", ylabel="theta after an EM step", aspect="equal")
    axes.legend(frameon=False)
    plt.show()


if __name__ == "__main__":
    main()
