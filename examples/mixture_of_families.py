"""
A density of two families
=========================

How long did each telephone call last? Some end at once, when nobody answers; the others are talks.
No single family has this shape. A mixture of an exponential and a log-normal distribution does,
and its components have a meaning: the share of calls that failed, and how long a talk lasts. A
mixture prints as a formula, which can be read back.
"""

import numpy as np

from fastem import Mixture, mle
from fastem.families import Exponential, Gamma, LogNormal


def calls() -> np.ndarray:
    """Minutes of 3000 calls."""
    rng = np.random.default_rng(1)
    failed = rng.exponential(0.4, 1200)
    talks = rng.lognormal(np.log(6.0), 0.45, 1800)
    return np.concatenate([failed, talks])


def main() -> None:
    minutes = calls()
    mixture = Mixture([Exponential(), LogNormal()], n_init=2, random_state=0).fit(minutes[:, None])
    alone = mle.fit(Gamma(), minutes)
    print("mixture:", mixture)
    print("alone:  ", alone.family)
    print(f"BIC {mixture.bic(minutes[:, None]):.0f} and {alone.bic:.0f}")
    draw(minutes, mixture, alone.family)


def draw(minutes, mixture, alone) -> None:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("pip install 'fastem[plot]' to see the picture")
        return
    grid = np.linspace(0.02, 20, 800)
    _, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.hist(minutes, np.arange(0, 20.2, 0.4), density=True, color="#B9C4CC")
    for weight, family, colour in zip(
        mixture.weights_, mixture.components_, ("#D55E00", "#0072B2"), strict=True
    ):
        density = weight * np.exp(family.log_density(grid))
        axes.fill_between(grid, density, color=colour, alpha=0.25)
        axes.plot(grid, density, color=colour, label=f"{weight:.0%} {family}")
    axes.plot(grid, np.exp(mixture.score_samples(grid[:, None])), color="#333333", label="mixture")
    axes.plot(grid, np.exp(alone.log_density(grid)), ":", color="#333333", label=str(alone))
    axes.set(xlabel="minutes", ylabel="density", xlim=(0, 20), ylim=(0, 1.0))
    axes.legend(frameon=False)
    plt.show()


if __name__ == "__main__":
    main()
