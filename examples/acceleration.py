"""
EM, accelerated
===============

Where clusters overlap EM creeps: each step takes a small share of the way that is left. SQUAREM
and Anderson's mixing look at the last steps and jump ahead; a jump is taken only if the
log-likelihood is not lower there. All end at the same maximum here; with a loose ``tol`` those that
jump end nearer to it. The picture shows how far each is from the highest log-likelihood that was
reached, after each iteration.
"""

import numpy as np

from fastem import GaussianMixture


def overlapping() -> np.ndarray:
    rng = np.random.default_rng(2)
    return np.concatenate([rng.normal(centre, 1.0, (2000, 2)) for centre in (0.0, 1.2, 2.4)])


def main() -> None:
    X = overlapping()
    traces = {}
    for method in (None, "squarem", "anderson"):
        model = GaussianMixture(
            3, covariance_type="diag", tol=1e-10, max_iter=5000, accelerate=method, random_state=0
        ).fit(X)
        traces[method or "plain EM"] = np.array(model.lower_bounds_) * len(X)
        print(
            f"{method or 'plain EM':<9} {model.n_iter_:5} iterations, "
            f"log-likelihood {model.lower_bound_ * len(X):.6f}"
        )
    draw(traces)


def draw(traces) -> None:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("pip install 'fastem[plot]' to see the picture")
        return
    best = max(trace.max() for trace in traces.values())
    _, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for (name, trace), colour in zip(
        traces.items(), ("#333333", "#0072B2", "#E69F00"), strict=True
    ):
        axes.loglog(np.arange(1, len(trace) + 1), best - trace + 1e-6, color=colour, label=name)
    axes.set(xlabel="iteration", ylabel="below the highest log-likelihood (+ 1e-6)")
    axes.legend(frameon=False)
    plt.show()


if __name__ == "__main__":
    main()
