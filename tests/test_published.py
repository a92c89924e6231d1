"""Fits published or computed independently, on real data.

Old Faithful: Azzalini, Bowman (1990), Applied Statistics 39. Iris: Fisher (1936). Log-likelihoods
at the optimum by an independent EM run to a tight tolerance; those printed by mclust (Scrucca et
al. 2016, R Journal 8) agree to the 0.05 by which it stops early.
"""

import numpy as np
import pytest

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
