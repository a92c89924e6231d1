"""
Four shapes of a cluster
========================

The same three clusters, fitted with each ``covariance_type``. A full covariance gives each
component its own ellipse; tied gives all the same; diag gives ellipses along the axes; spherical
gives circles. Fewer parameters need fewer data: BIC puts a price on each parameter, and the lowest
BIC is the structure to take. Here the clusters are stretched alike, and tied wins.
"""

import numpy as np

from fastem import GaussianMixture

COLOURS = ("#0072B2", "#E69F00", "#009E73")


def clusters() -> np.ndarray:
    rng = np.random.default_rng(3)
    centres = np.repeat([[0.0, 0.0], [3.0, -1.5], [5.0, 3.0]], 200, axis=0)
    return centres + rng.normal(size=(600, 2)) @ [[1.3, 0.9], [0.0, 0.5]]


def main() -> None:
    X = clusters()
    models = {
        name: GaussianMixture(3, covariance_type=name, tol=1e-8, max_iter=1000, random_state=0).fit(
            X
        )
        for name in ("full", "tied", "diag", "spherical")
    }
    for name, model in models.items():
        print(f"{name:<9}  log-likelihood {model.score(X) * len(X):9.2f}  BIC {model.bic(X):8.2f}")
    draw(models, X)


def draw(models, X) -> None:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("pip install 'fastem[plot]' to see the picture")
        return
    turn = np.linspace(0, 2 * np.pi, 200)
    circle = np.column_stack([np.cos(turn), np.sin(turn)])
    _, panels = plt.subplots(2, 2, figsize=(8, 6.4), layout="constrained", sharex=True, sharey=True)
    for axes, (name, model) in zip(panels.flat, models.items(), strict=True):
        axes.scatter(*X.T, s=5, c=np.array(COLOURS)[model.predict(X)], alpha=0.5)
        for mean, factor, colour in zip(model.means_, factors(model), COLOURS, strict=True):
            for radius in (1, 2):
                axes.plot(*(mean + radius * circle @ factor.T).T, color=colour)
        axes.set_title(f"{name}, BIC {model.bic(X):.0f}", fontsize=11)
        axes.set_aspect("equal")
    plt.show()


def factors(model) -> np.ndarray:
    """A root of each component's covariance, (3, 2, 2), whatever the structure."""
    covariances = model.covariances_
    if model.covariance_type == "tied":
        covariances = np.stack([covariances] * 3)
    if model.covariance_type == "spherical":
        covariances = np.repeat(covariances[:, None], 2, axis=1)
    if covariances.ndim == 2:
        covariances = covariances[:, :, None] * np.eye(2)
    return np.linalg.cholesky(covariances)


if __name__ == "__main__":
    main()
