"""
How many components? BIC, AIC and ICL
=====================================

The likelihood always rises with the number of components, so it cannot choose. BIC and AIC put a
price on each parameter; ICL puts one on clusters that overlap as well. The data come from four
normals of which two overlap: BIC finds the four that made the density, ICL the three heaps that
one sees, and AIC, whose price is low, may take more.
"""

import numpy as np

from fastem import Mixture
from fastem.families import MultivariateNormal

NUMBERS = range(1, 9)


def four_normals() -> np.ndarray:
    rng = np.random.default_rng(5)
    parts = [
        rng.multivariate_normal(mean, covariance, 250)
        for mean, covariance in (
            ((0, 0), ((1.0, 0.0), (0.0, 1.0))),
            ((8, 0), ((0.6, 0.4), (0.4, 1.2))),
            ((4, 6), ((2.0, 1.6), (1.6, 2.0))),
            ((4, 6), ((2.0, -1.6), (-1.6, 2.0))),
        )
    ]
    return np.concatenate(parts)


def main() -> None:
    X = four_normals()
    fits = {}
    for criterion in ("bic", "aic", "icl"):
        model = Mixture(MultivariateNormal(), n_init=5, random_state=0)
        fits[criterion] = model.select(X, n_components=NUMBERS, criterion=criterion)
        print(f"{criterion}: {model.n_components} components")
    draw(fits, X)


def draw(fits, X) -> None:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("pip install 'fastem[plot]' to see the picture")
        return
    _, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for (criterion, model), colour in zip(
        fits.items(), ("#0072B2", "#E69F00", "#009E73"), strict=True
    ):
        left.plot(NUMBERS, list(model.criteria_.values()), color=colour, label=criterion.upper())
        left.plot(model.n_components, model.criteria_[model.n_components], "o", color=colour)
    left.set(xlabel="components", ylabel="criterion (lower is better)")
    left.legend(frameon=False)
    colours = plt.get_cmap("tab10")(fits["bic"].predict(X))
    right.scatter(*X.T, s=6, c=colours)
    right.set_title(f"BIC: {fits['bic'].n_components} components", fontsize=11)
    plt.show()


if __name__ == "__main__":
    main()
