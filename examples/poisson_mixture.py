"""
Summer and winter: EM where it is slow
======================================

Deaths of women of 80 and over, from the Times of 1910-1912: a mixture of two Poisson laws. On 162
days nobody's death was announced, on 267 days one's, and so on up to nine. Hasselblad (1969)
fitted a summer and a winter. To the default tolerance of ``em.run`` EM takes thousands of
iterations here, since the two overlap so far that the counts say little of which is which;
accelerated, it takes dozens.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp
from scipy.stats import poisson

from fastem import em

DEATHS = np.arange(10)


@dataclass(frozen=True)
class TwoPoissons:
    share: float  # of the first
    means: np.ndarray

    def log_joint(self):
        shares = np.array([self.share, 1 - self.share])
        return np.log(shares)[:, None] + poisson.logpmf(DEATHS, self.means[:, None])

    def e_step(self, days):
        joint = self.log_joint()
        return days * np.exp(joint - logsumexp(joint, axis=0))  # days of each, expected

    def m_step(self, days_of_each):
        totals = days_of_each.sum(axis=1)
        return TwoPoissons(totals[0] / totals.sum(), days_of_each @ DEATHS / totals)

    def log_likelihood(self, days):
        return days @ logsumexp(self.log_joint(), axis=0)


DAYS = np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1])


def main() -> None:
    for accelerate in (None, "squarem", "anderson"):
        start = TwoPoissons(0.3, np.array([1.0, 2.5]))
        result = em.run(start, DAYS, accelerate=accelerate)
        model = result.model
        print(
            f"{accelerate or 'plain EM':<9} {result.n_iter + result.rejected:5} E-steps: "
            f"share {model.share:.6f}, means {model.means[0]:.6f} and {model.means[1]:.6f}, "
            f"log-likelihood {result.log_likelihood:.9f}"
        )
    print(result.information(DAYS))
    draw(model)


def draw(model) -> None:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("pip install 'fastem[plot]' to see the picture")
        return
    summer, winter = sum(DAYS) * np.exp(model.log_joint())
    _, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
    axes.bar(DEATHS, summer, color="#E69F00", label=f"about {model.means[0]:.2f} a day")
    axes.bar(DEATHS, winter, bottom=summer, color="#56B4E9", label=f"about {model.means[1]:.2f}")
    axes.plot(DEATHS, DAYS, "o", color="#333333", label="seen")
    axes.set(xlabel="deaths on one day", ylabel="days", xticks=DEATHS)
    axes.legend(frameon=False)
    plt.show()


if __name__ == "__main__":
    main()
