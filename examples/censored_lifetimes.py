"""
Lifetimes of which some are not over
====================================

A test of 200 lamps ends after 1200 hours; those that still burn are censored: of their lifetime
one only knows that it is longer. To leave them out, or to take 1200 for their lifetime, makes
lamps look worse than they are. ``fastem.mle.fit`` takes them for what they are. The steps are the
Kaplan-Meier estimate, which assumes no family; it ends where the test ended.
"""

import numpy as np

from fastem import mle
from fastem.families import Weibull

END = 1200.0


def main() -> None:
    rng = np.random.default_rng(4)
    lifetimes = 1500.0 * rng.weibull(1.8, 200)
    seen, censored = np.minimum(lifetimes, END), lifetimes > END
    fits = {
        "censored": mle.fit(Weibull(), seen, censored=censored),
        "left out": mle.fit(Weibull(), seen[~censored]),
        "taken for 1200": mle.fit(Weibull(), seen),
    }
    print(f"{censored.sum()} of {len(seen)} lamps still burn after {END:.0f} hours")
    print(fits["censored"])
    for name, fit in fits.items():
        print(f"{name:<14}  mean lifetime {float(fit.family.mean):6.0f} hours")
    draw(fits, seen, censored)


def draw(fits, seen, censored) -> None:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("pip install 'fastem[plot]' to see the picture")
        return
    hours = np.linspace(1, 3500, 500)
    _, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    order = np.argsort(seen)
    still = np.cumprod(1 - ~censored[order] / np.arange(len(seen), 0, -1))
    axes.step(seen[order], still, where="post", color="#333333", label="Kaplan-Meier")
    for (name, fit), colour in zip(fits.items(), ("#0072B2", "#D55E00", "#E69F00"), strict=True):
        shape, scale = float(fit.family.shape), float(fit.family.scale)
        axes.plot(hours, np.exp(-((hours / scale) ** shape)), color=colour, label=name)
    axes.axvline(END, color="#999999", linestyle=":")
    axes.set(xlabel="hours", ylabel="share that still burns", ylim=(0, 1.02))
    axes.legend(frameon=False)
    plt.show()


if __name__ == "__main__":
    main()
