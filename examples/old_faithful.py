"""Gaussian mixtures of the Old Faithful geyser: 272 eruptions, their duration and the wait after.

Fits every covariance structure, with the log-likelihood and the BIC of each; the lowest BIC wins.
"""

from pathlib import Path

import numpy as np

from fastem import GaussianMixture, cpu_isa

DATA = Path(__file__).with_name("faithful.csv")


def main() -> None:
    X = np.loadtxt(DATA, delimiter=",", skiprows=1)
    print(f"{len(X)} eruptions, kernels: {cpu_isa()}\n")
    print("covariance  components  log-likelihood       BIC  iterations")
    best = None
    for name, n_components in [("spherical", 2), ("diag", 2), ("tied", 2), ("full", 2), ("tied", 3)]:
        model = GaussianMixture(
            n_components,
            covariance_type=name,
            reg_covar=0.0,
            tol=1e-10,
            max_iter=1000,
            random_state=0,
        ).fit(X)
        log_likelihood = model.score(X) * len(X)
        bic = model.bic(X)
        print(
            f"{name:<11} {n_components:>10}  {log_likelihood:14.6f}  {bic:8.3f}  {model.n_iter_:>10}"
        )
        if best is None or bic < best.bic(X):
            best = model
    print(f"\nlowest BIC: {best.covariance_type}, {best.n_components} components")
    for weight, (duration, waiting) in zip(best.weights_, best.means_, strict=True):
        print(f"  {weight:6.1%} of eruptions last {duration:.2f} min, then {waiting:.1f} min of rest")


if __name__ == "__main__":
    main()
