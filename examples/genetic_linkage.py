"""Genetic linkage of 197 animals in cells of probabilities 1/2 + t/4, (1-t)/4, (1-t)/4 and t/4.

The first cell is two that cannot be told apart, of probabilities 1/2 and t/4: EM splits its 125
animals in proportion (Rao 1965; Dempster, Laird, Rubin 1977). Standard errors are computed in two
ways: from the log-likelihood, and by supplemented EM, which asks for that of the complete data.
"""

import math
from dataclasses import dataclass

from fastem import em


@dataclass(frozen=True)
class Linkage:
    theta: float

    def e_step(self, counts):
        first, second, third, fourth = counts
        split = first * (self.theta / 4) / (1 / 2 + self.theta / 4)
        return {"theta": split + fourth, "rest": second + third}

    def m_step(self, cells):
        return Linkage(cells["theta"] / (cells["theta"] + cells["rest"]))

    def log_likelihood(self, counts):
        first, second, third, fourth = counts
        return (
            first * math.log(2 + self.theta)
            + (second + third) * math.log(1 - self.theta)
            + fourth * math.log(self.theta)
        )

    def complete_log_likelihood(self, cells):
        return cells["theta"] * math.log(self.theta) + cells["rest"] * math.log(1 - self.theta)


COUNTS = (125, 18, 20, 34)


def main() -> None:
    model = Linkage(0.5)
    for iteration in range(1, 5):
        model = em.run(model, COUNTS, max_iter=1).model
        print(f"iteration {iteration}: theta = {model.theta:.7f}")
    result = em.run(Linkage(0.5), COUNTS)
    print(f"limit: {result.model.theta:.7f}, rate of convergence {result.rate:.7f}")
    for method in ("numerical", "sem"):
        found = result.information(COUNTS, method=method)
        print(f"{method}: information {found.matrix[0, 0]:.4f}, ", end="")
        print(f"standard error {found.standard_errors[0]:.7f}")


if __name__ == "__main__":
    main()
