"""Random mixtures, and data drawn from them, for the tests."""

import numpy as np
import reference


def random_mixture(name, n_features, n_components, seed=0, spread=3.0):
    """weights, means and covariances of a mixture whose components overlap a little."""
    rng = np.random.default_rng(seed)
    K, D = n_components, n_features
    factors = np.eye(D) + rng.normal(size=(K, D, D)) / np.sqrt(D)
    matrices = factors @ factors.transpose(0, 2, 1) + 0.1 * np.eye(D)
    structure = reference.STRUCTURES[name]
    # from_scatters pools matrices into the structure's shape, as sums
    scale = 1.0 / np.ones(K)
    covariances = structure.covariances_from(structure.from_scatters(matrices), scale, D)
    means = rng.normal(scale=spread, size=(K, D))
    return rng.dirichlet(np.full(K, 5.0)), means, covariances


def draw(n_samples, weights, means, covariances, name, seed=0):
    """Rows of a mixture, and the component of each."""
    rng = np.random.default_rng(seed + 1000)
    K, D = means.shape
    matrices = reference.STRUCTURES[name].as_matrices(covariances, K, D)
    labels = rng.choice(K, size=n_samples, p=weights)
    factors = np.linalg.cholesky(matrices)
    noise = rng.normal(size=(n_samples, D))
    return means[labels] + np.einsum("nij,nj->ni", factors[labels], noise), labels
