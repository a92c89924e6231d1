"""Fits published or computed independently, on real data.

Old Faithful: Azzalini, Bowman (1990), Applied Statistics 39. Iris: Fisher (1936). Log-likelihoods
at the optimum by an independent EM run to a tight tolerance; those printed by mclust (Scrucca et
al. 2016, R Journal 8) agree to the 0.05 by which it stops early.

Where a start is given by labels, mclust 6.0.0 was run from the same labels until the likelihood
stood still (`me(x, model, unmap(labels), control = emControl(tol = c(0, 0)))`): a second program,
from the same start to the same optimum. Wine: Forina et al. (1986), by way of scikit-learn.
Galaxies: velocities in 1000 km/s of 82 galaxies, Postman, Huchra, Geller (1986), as Roeder (1990)
and R's MASS have them (78th: 26.690).
"""

import numpy as np
import pytest
from sklearn.datasets import load_wine

from fastem import GaussianMixture

TIGHT = {"tol": 1e-12, "max_iter": 5000, "n_init": 10, "random_state": 0, "reg_covar": 0.0}


def total(model, X):
    return model.score(X) * len(X)


@pytest.mark.parametrize(
    ("name", "K", "expected"),
    [
        ("full", 2, -1130.263960),
        ("tied", 2, -1140.186759),
        ("diag", 2, -1147.806353),
        ("spherical", 2, -1709.529282),
        ("tied", 3, -1126.315928),
    ],
)
def test_old_faithful(faithful, name, K, expected):
    model = GaussianMixture(K, covariance_type=name, **TIGHT).fit(faithful)
    assert model.converged_
    assert total(model, faithful) == pytest.approx(expected, abs=1e-5)


def test_old_faithful_bic(faithful):
    # mclust's winner; its BIC has the other sign
    model = GaussianMixture(3, covariance_type="tied", **TIGHT).fit(faithful)
    assert model.bic(faithful) == pytest.approx(2314.316, abs=0.05)


def test_old_faithful_waiting_time(faithful):
    waiting = faithful[:, 1:]
    model = GaussianMixture(2, **TIGHT).fit(waiting)
    first, second = np.argsort(model.means_[:, 0])
    assert total(model, waiting) == pytest.approx(-1034.001750, abs=1e-5)
    assert model.weights_[first] == pytest.approx(0.360887, abs=1e-5)
    means = model.means_[[first, second], 0]
    deviations = np.sqrt(model.covariances_[[first, second], 0, 0])
    np.testing.assert_allclose(means, [54.614901, 80.091098], atol=1e-4)
    np.testing.assert_allclose(deviations, [5.871258, 5.867706], atol=1e-4)
    equal = GaussianMixture(2, covariance_type="tied", **TIGHT).fit(waiting)
    assert total(equal, waiting) == pytest.approx(-1034.001760, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "K", "init", "expected"),
    [
        # the published optima; which start leads there differs, and other local ones exist
        ("full", 3, "kmeans", -180.185477),
        ("tied", 3, "kmeans", -256.354043),
        ("diag", 3, "random", -306.860461),
        ("spherical", 3, "kmeans", -384.314095),
        ("full", 2, "kmeans", -214.354704),
    ],
)
def test_iris(iris, name, K, init, expected):
    X = iris[0]
    options = {**TIGHT, "n_init": 1, "init_params": init}
    model = GaussianMixture(K, covariance_type=name, **options).fit(X)
    assert model.converged_
    assert total(model, X) == pytest.approx(expected, abs=1e-5)


def test_iris_with_labels(iris):
    # one M-step with known labels is discriminant analysis: 3 of 150 are then misclassified
    X, species = iris
    model = GaussianMixture(3, max_iter=0, reg_covar=0.0, init_params=np.eye(3)[species]).fit(X)
    np.testing.assert_allclose(model.means_[0], X[species == 0].mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(
        model.covariances_[1], np.cov(X[species == 1].T, bias=True), rtol=1e-10
    )
    assert np.mean(model.predict(X) != species) == pytest.approx(0.02)


def from_labels(X, labels, name):
    """Fit from an M-step of labels; mclust adds no ridge, and stops when nothing changes."""
    K = int(labels.max()) + 1
    options = {"reg_covar": 0.0, "tol": 1e-12, "max_iter": 10_000, "init_params": np.eye(K)[labels]}
    return GaussianMixture(K, covariance_type=name, **options).fit(X)


@pytest.mark.parametrize(
    ("name", "expected", "weights"),
    [
        ("full", -2781.244128, [0.337698, 0.392641, 0.269661]),
        ("tied", -3171.229278, [0.328748, 0.395773, 0.275479]),
        ("diag", -3294.261876, [0.317273, 0.395786, 0.286941]),
        ("spherical", -11183.517399, [0.348361, 0.327834, 0.323805]),
    ],
)
def test_wine_as_mclust(name, expected, weights):
    X, cultivar = load_wine(return_X_y=True)
    model = from_labels(X, cultivar, name)
    assert model.converged_
    assert total(model, X) == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(model.weights_, weights, atol=2e-6)


@pytest.mark.parametrize(
    ("name", "expected", "weights"),
    [
        ("full", -180.185477, [0.333333, 0.299193, 0.367473]),
        ("tied", -256.354043, [0.333333, 0.329608, 0.337059]),
        ("diag", -306.860461, [0.333333, 0.305148, 0.361518]),
        ("spherical", -384.314095, [0.333333, 0.413940, 0.252727]),
    ],
)
def test_iris_as_mclust(iris, name, expected, weights):
    X, species = iris
    model = from_labels(X, species, name)
    assert total(model, X) == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(model.weights_, weights, atol=2e-6)


GALAXIES = """
9.172  9.350  9.483  9.558  9.775 10.227 10.406 16.084 16.170 18.419 18.552 18.600 18.927 19.052
19.070 19.330 19.343 19.349 19.440 19.473 19.529 19.541 19.547 19.663 19.846 19.856 19.863 19.914
19.918 19.973 19.989 20.166 20.175 20.179 20.196 20.215 20.221 20.415 20.629 20.795 20.821 20.846
20.875 20.986 21.137 21.492 21.701 21.814 21.921 21.960 22.185 22.209 22.242 22.249 22.314 22.374
22.495 22.746 22.747 22.888 22.914 23.206 23.241 23.263 23.484 23.538 23.542 23.666 23.706 23.711
24.129 24.285 24.289 24.366 24.717 24.990 25.633 26.690 26.995 32.065 32.789 34.279
"""


@pytest.mark.parametrize(
    ("name", "expected", "weights", "means"),
    [
        ("full", -220.243277, [0.254756, 0.745244], [19.276534, 21.358587]),
        ("tied", -230.352387, [0.086930, 0.913070], [9.860159, 21.872388]),
        ("full", -212.080404, [0.264595, 0.369204, 0.366201], [19.381745, 19.816867, 22.892868]),
        ("tied", -212.351855, [0.085892, 0.877078, 0.037030], [9.749497, 21.400478, 32.970056]),
    ],
)
def test_galaxies_as_mclust(name, expected, weights, means):
    X = np.array(GALAXIES.split(), float)[:, None]
    K = len(weights)
    model = from_labels(X, np.arange(len(X)) * K // len(X), name)  # equal parts, in order
    assert total(model, X) == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(model.weights_, weights, atol=5e-6)
    np.testing.assert_allclose(model.means_[:, 0], means, atol=5e-5)
    n_parameters = {"full": 3 * K - 1, "tied": 2 * K}[name]
    assert model.bic(X) == pytest.approx(n_parameters * np.log(82) - 2 * expected, abs=1e-4)
