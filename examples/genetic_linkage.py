"""
Genetic linkage, with standard errors
=====================================

197 animals in cells of probabilities 1/2 + t/4, (1-t)/4, (1-t)/4 and t/4. The first cell is two
that cannot be told apart, of probabilities 1/2 and t/4: EM splits its 125 animals in proportion
(Rao 1965; Dempster, Laird, Rubin 1977). Standard errors are computed in two ways: from the
log-likelihood, and by supplemented EM, which asks for that of the complete data. In the picture
the band is the estimate plus and minus 1.96 standard errors.
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

    draw(result)


def draw(result) -> None:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("pip install 'fastem[plot]' to see the picture")
        return
    theta, error = result.model.theta, result.standard_errors(COUNTS)["theta"]
    thetas = [0.45 + 0.002 * i for i in range(170)]
    _, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
    axes.axvspan(theta - 1.96 * error, theta + 1.96 * error, color="#56B4E9", alpha=0.3)
    axes.plot(thetas, [Linkage(t).log_likelihood(COUNTS) for t in thetas], color="#333333")
    steps = [Linkage(0.5)]
    for _ in range(4):
        steps.append(em.run(steps[-1], COUNTS, max_iter=1).model)
    axes.plot(
        [step.theta for step in steps],
        [step.log_likelihood(COUNTS) for step in steps],
        "o",
        color="#D55E00",
        label="start and four iterations",
    )
    axes.set(xlabel="theta", ylabel="log-likelihood")
    axes.legend(frameon=False)
    plt.show()


if __name__ == "__main__":
    main()
