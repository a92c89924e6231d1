"""
Old Faithful: which mixture?
============================

Gaussian mixtures of the Old Faithful geyser: 272 eruptions, their duration and the wait after.
Every covariance structure is fitted, with its log-likelihood and BIC; the lowest BIC wins: three
ellipses of one shape. To run the script, put :download:`faithful.csv` beside it. (Data: Azzalini,
Bowman 1990; ``faithful`` in R.)
"""

import sys
from pathlib import Path

import numpy as np

from fastem import GaussianMixture, cpu_isa
from fastem.plot import plot_mixture

DATA = Path(sys.argv[0]).with_name("faithful.csv")  # beside this script
MODELS = [("spherical", 2), ("diag", 2), ("tied", 2), ("full", 2), ("tied", 3)]


def main() -> None:
    X = np.loadtxt(DATA, delimiter=",", skiprows=1)
    print(f"{len(X)} eruptions; kernels: {cpu_isa()}\n")
    print("covariance  components  log-likelihood       BIC  iterations")
    fits = []
    for name, n_components in MODELS:
        model = GaussianMixture(
            n_components,
            covariance_type=name,
            reg_covar=0.0,
            tol=1e-10,
            max_iter=1000,
            random_state=0,
        ).fit(X)
        bic, total = model.bic(X), model.score(X) * len(X)
        print(f"{name:<10}  {n_components:>10}  {total:14.6f}  {bic:8.3f}  {model.n_iter_:>10}")
        fits.append((bic, model))
    _, best = min(fits, key=lambda fit: fit[0])
    print(f"\nlowest BIC: {best.covariance_type}, {best.n_components} components")
    for weight, (duration, wait) in zip(best.weights_, best.means_, strict=True):
        print(f"  {weight:6.1%} of eruptions last {duration:.2f} min, the wait is {wait:.1f} min")

    draw(best, X)


def draw(model, X) -> None:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("pip install 'fastem[plot]' to see the picture")
        return
    figure = plt.figure(figsize=(8, 4.8), layout="constrained")
    names = ["duration (minutes)", "wait (minutes)"]
    plot_mixture(model, X, feature_names=names, figure=figure)
    plt.show()


if __name__ == "__main__":
    main()
