"""
Two regressions in one cloud
============================

Fuel that a delivery takes against its load, by two kinds of vans, and nobody wrote down which van
drove. One regression goes through the middle, and fits neither. A mixture of two regressions finds
both lines and, for each delivery, the probability that it was the one or the other.
"""

import numpy as np

from fastem import Mixture
from fastem.families import LinearRegression


def deliveries() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    load = rng.uniform(0, 10, 500)
    old = rng.random(500) < 0.4
    fuel = np.where(old, 4.0 + 1.1 * load, 6.0 + 0.2 * load) + rng.normal(0, 0.7, 500)
    return load[:, None], fuel


def main() -> None:
    load, fuel = deliveries()
    model = Mixture(LinearRegression(), 2, n_init=5, random_state=0).fit(load, fuel)
    for weight, line in zip(model.weights_, model.components_, strict=True):
        print(f"{weight:.1%} {line}")
    draw(model, load, fuel)


def draw(model, load, fuel) -> None:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("pip install 'fastem[plot]' to see the picture")
        return
    probability = model.predict_proba(np.column_stack([load, fuel]))[:, 1]
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    points = axes.scatter(load, fuel, c=probability, s=14, cmap="coolwarm")
    figure.colorbar(points, label="probability of the second component")
    ends = np.array([0.0, 10.0])
    one = np.polyfit(load[:, 0], fuel, 1)
    axes.plot(ends, np.polyval(one, ends), ":", color="#333333", label="one regression")
    for line in model.components_:
        intercept, slope = line.coefficients
        axes.plot(ends, intercept + slope * ends, color="#333333")
    axes.set(xlabel="load", ylabel="fuel")
    axes.legend(frameon=False)
    plt.show()


if __name__ == "__main__":
    main()
