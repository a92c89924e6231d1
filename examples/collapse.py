"""
A component that collapses, and a prior that holds it
=====================================================

Three hundred points and, far away, the same reading five times: a sensor that was stuck. On equal
points a component can shrink without end while the likelihood rises without end. By default
``reg_covar`` stops it at a standard deviation of 0.001, and a warning says so. With a conjugate
prior, ``prior="auto"``, the most probable parameters are found instead of the most likely ones; no
component can collapse, and nothing is left to warn of.
"""

import warnings

import numpy as np

from fastem import GaussianMixture


def readings() -> np.ndarray:
    rng = np.random.default_rng(0)
    good = rng.normal(size=(300, 2)) @ [[1.0, 0.5], [0.0, 0.8]]
    return np.concatenate([good, np.full((5, 2), 6.0)])


def main() -> None:
    X = readings()
    models = {}
    for prior in (None, "auto"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            models[prior] = GaussianMixture(2, prior=prior, random_state=0).fit(X)
        sds = np.sqrt(np.linalg.eigvalsh(models[prior].covariances_)[:, 0])
        print(f"prior={prior!r}: smallest standard deviation of each component {sds.round(4)}")
        for warning in caught:
            print(f"  {warning.category.__name__}: {warning.message}")
    draw(models, X)


def draw(models, X) -> None:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("pip install 'fastem[plot]' to see the picture")
        return
    grid = np.linspace(-4, 9, 400)
    at = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    _, panels = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained", sharey=True)
    for axes, (prior, model) in zip(panels, models.items(), strict=True):
        density = model.score_samples(at).reshape(400, 400)
        axes.contourf(grid, grid, np.maximum(density, -14), 12, cmap="Blues")
        axes.plot(*X.T, ".", markersize=3, color="#333333")
        axes.set_title(f"prior={prior!r}", fontsize=11)
        axes.annotate("five equal readings", (6, 6), (1.2, 7.8), arrowprops={"arrowstyle": "->"})
        axes.set_aspect("equal")
    plt.show()


if __name__ == "__main__":
    main()
