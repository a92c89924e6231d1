"""
A normal distribution with missing values
=========================================

Apple trees: the hundreds of fruits, and the percentage that is wormy, which six trees lack. A
bivariate normal by EM, where the missing percentages stand at their expectation given the fruits,
and their squares at the square of it plus the variance that is left (Snedecor, Cochran 1967;
Little, Rubin 2002, example 7.1). Trees without a percentage have fewer fruits, so the mean of
those that have one, 45, is not that of all: EM's is higher, and its ellipse reaches further up.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import multivariate_normal

from fastem import em


@dataclass(frozen=True)
class BivariateNormal:
    mean: np.ndarray
    covariance: np.ndarray

    def e_step(self, rows):
        (m_x, m_y), ((v_x, c), (_, v_y)) = self.mean, self.covariance
        x, y = rows.T
        missing = np.isnan(y)
        y = np.where(missing, m_y + c / v_x * (x - m_x), y)
        square = y**2 + np.where(missing, v_y - c**2 / v_x, 0.0)
        second = np.array([[x @ x, x @ y], [x @ y, square.sum()]])
        return len(rows), np.array([x.sum(), y.sum()]), second

    def m_step(self, statistics):
        n, first, second = statistics
        mean = first / n
        return BivariateNormal(mean, second / n - np.outer(mean, mean))

    def log_likelihood(self, rows):
        whole = ~np.isnan(rows[:, 1])
        normal = multivariate_normal(self.mean, self.covariance)
        of_x = multivariate_normal(self.mean[0], self.covariance[0, 0])
        return normal.logpdf(rows[whole]).sum() + of_x.logpdf(rows[~whole, 0]).sum()


FRUITS = [8, 6, 11, 22, 14, 17, 18, 24, 19, 23, 26, 40, 4, 4, 5, 6, 8, 10]
WORMY = [59, 58, 56, 53, 50, 45, 43, 42, 39, 38, 30, 27, *[np.nan] * 6]
TREES = np.column_stack([FRUITS, WORMY])


def main() -> None:
    start = BivariateNormal(np.nanmean(TREES, axis=0), np.diag(np.nanvar(TREES, axis=0)))
    result = em.run(start, TREES)
    print(f"log-likelihood {result.log_likelihood:.6f} after {result.n_iter} iterations")
    print(result.information(TREES))
    draw(result.model)


def draw(model) -> None:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("pip install 'fastem[plot]' to see the picture")
        return
    (m_x, m_y), ((v_x, c), _) = model.mean, model.covariance
    x, y = TREES.T
    missing = np.isnan(y)
    turn = np.linspace(0, 2 * np.pi, 200)
    ring = model.mean + 2 * np.column_stack([np.cos(turn), np.sin(turn)]) @ (
        np.linalg.cholesky(model.covariance).T
    )
    _, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    axes.plot(*ring.T, color="#0072B2", label="fitted, 2 standard deviations")
    axes.plot(x, y, "o", color="#333333", label="seen")
    axes.plot(x[missing], (m_y + c / v_x * (x - m_x))[missing], "o", markerfacecolor="none",
              color="#D55E00", label="expected where missing")  # fmt: skip
    axes.axhline(np.nanmean(y), color="#999999", linestyle=":", label="mean of the seen")
    axes.axhline(m_y, color="#0072B2", linestyle=":", label="mean by EM")
    axes.set(xlabel="hundreds of fruits", ylabel="% wormy")
    axes.legend(frameon=False, fontsize="small")
    plt.show()


if __name__ == "__main__":
    main()
