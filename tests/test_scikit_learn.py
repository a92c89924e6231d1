"""The drop-in: scikit-learn's checks, and parity with its GaussianMixture."""

import warnings

import numpy as np
import pytest
from mixtures import draw, random_mixture
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnMixture
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks
from threadpoolctl import threadpool_limits

from fastem import GaussianMixture
from fastem.covariances import COVARIANCES
from fastem.initialization import METHODS

NAMES = sorted(COVARIANCES)
ARRAYS = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")


def softly_divided(X, n_components, random_state):
    """Responsibilities that depend on each row alone: weights stand for rows then, also with
    several components. Draws of rows by number are different draws once rows are repeated."""
    shares = 1.0 + np.tanh(np.outer(X[:, 0], np.arange(n_components)))
    return shares / shares.sum(axis=1, keepdims=True)


CHECKED = [
    {},
    {"n_init": 5},
    {"n_init": 2, "warm_start": True},
    {"max_iter": 0},
    {"pack": False},
    {"n_threads": 2, "callbacks": []},
    *({"init_params": method} for method in METHODS),
    *({"covariance_type": name} for name in NAMES),
    *(
        {"covariance_type": name, "n_components": 2, "init_params": softly_divided}
        for name in NAMES
    ),
]


# none is expected to fail
@parametrize_with_checks([GaussianMixture(**{"max_iter": 20, **given}) for given in CHECKED])
def test_scikit_learn_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)


def test_one_check_is_skipped():
    """That of arrays of other libraries: run with SCIPY_ARRAY_API=1 and array-api-strict."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        results = check_estimator(GaussianMixture(max_iter=20), on_skip=None)
    left = {result["check_name"] for result in results if result["status"] != "passed"}
    assert left <= {"check_array_api_input"}


def both(X, **parameters):
    """The same fit by fastem and by scikit-learn; neither needs to converge."""
    # threads of the BLAS that wait for each other take ten times as long where cores are busy
    with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(**parameters).fit(X), SklearnMixture(**parameters).fit(X)


def starts(name, D, K, X):
    """The same *_init for both, away from the truth."""
    weights, _, covariances = random_mixture(name, D, K, seed=7)
    # starting matrices as wide as the data, so that no component is empty
    structure = COVARIANCES[name]
    factors = structure.precisions_cholesky(covariances * X.var())
    rows = X[np.random.default_rng(1).choice(len(X), K, replace=False)]
    precisions = structure.precisions(factors)
    return {"weights_init": weights, "means_init": rows, "precisions_init": precisions}


@pytest.mark.parametrize(("D", "K"), [(1, 3), (2, 4), (5, 3), (9, 6), (20, 3)])
@pytest.mark.parametrize("name", NAMES)
def test_every_iteration_equals_scikit_learn(name, D, K):
    X, _ = draw(3000, *random_mixture(name, D, K), name)
    given = starts(name, D, K, X)
    for n_iter in range(1, 21):
        ours, theirs = both(
            X, n_components=K, covariance_type=name, max_iter=n_iter, tol=0.0, **given
        )
        assert ours.n_iter_ == theirs.n_iter_ == n_iter
        for array in ARRAYS:
            expected = getattr(theirs, array)
            np.testing.assert_allclose(
                getattr(ours, array),
                expected,
                rtol=1e-8,
                atol=1e-8 * np.abs(expected).max(),
                err_msg=f"{array} after {n_iter} iterations",
            )
    np.testing.assert_allclose(ours.lower_bounds_, theirs.lower_bounds_, rtol=1e-9)
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=1e-8)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-8)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.bic(X), theirs.bic(X), rtol=1e-9)
    np.testing.assert_allclose(ours.aic(X), theirs.aic(X), rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_fit_as_scikit_learn(name, method, iris):
    X = iris[0]
    parameters = {
        "n_components": 3,
        "covariance_type": name,
        "init_params": method,
        "random_state": 3,
        "max_iter": 15,
        "tol": 0.0,
        "reg_covar": 1e-2,  # one row a component has no variance of its own
    }
    ours, theirs = both(X, **parameters)
    if method in ("k-means++", "random_from_data") and COVARIANCES[name].shape(3, 4) == (4, 4):
        # scikit-learn's first tied matrix here is X^T X / K of the whole data; fastem's is that of
        # the K rows, as for the other structures
        assert ours.lower_bound_ > theirs.lower_bound_ - 0.01
        return
    for array in ARRAYS:
        np.testing.assert_allclose(getattr(ours, array), getattr(theirs, array), rtol=1e-6)


@pytest.mark.parametrize("partial", ["weights_init", "means_init", "precisions_init"])
@pytest.mark.parametrize("name", NAMES)
def test_some_of_the_init_parameters(name, partial):
    X, _ = draw(500, *random_mixture(name, 3, 2), name)
    given = {partial: starts(name, 3, 2, X)[partial]}
    ours, theirs = both(
        X, n_components=2, covariance_type=name, random_state=0, max_iter=5, tol=0.0, **given
    )
    for array in ARRAYS:
        np.testing.assert_allclose(getattr(ours, array), getattr(theirs, array), rtol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_float32_stays_float32_and_close(name):
    X, _ = draw(5000, *random_mixture(name, 4, 3), name)
    given = starts(name, 4, 3, X)
    wide, _ = both(X, n_components=3, covariance_type=name, max_iter=20, tol=0.0, **given)
    narrow, _ = both(
        X.astype(np.float32), n_components=3, covariance_type=name, max_iter=20, tol=0.0, **given
    )
    for array in ARRAYS:
        assert getattr(narrow, array).dtype == np.float32
        expected = getattr(wide, array)
        np.testing.assert_allclose(
            getattr(narrow, array), expected, rtol=1e-2, atol=1e-3 * np.abs(expected).max()
        )
    assert narrow.lower_bound_ == pytest.approx(wide.lower_bound_, abs=1e-4)


def test_float32_with_an_offset_keeps_its_variance():
    # one-pass moments in float32 lose everything at 1000 standard deviations
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(20_000, 2)) + 1000).astype(np.float32)
    for name in NAMES:
        model = GaussianMixture(1, covariance_type=name).fit(X)
        matrices = COVARIANCES[name].matrices(model.covariances_, 1, 2)
        exact = np.cov(X.astype(np.float64).T, bias=True)
        np.testing.assert_allclose(np.diagonal(matrices[0]).mean(), np.trace(exact) / 2, rtol=1e-4)


def test_same_parameters_and_attributes():
    ours, theirs = GaussianMixture().get_params(), SklearnMixture().get_params()
    assert {k: ours[k] for k in theirs} == theirs
    assert set(ours) - set(theirs) == {"prior", "n_threads", "pack", "callbacks", "accelerate"}
    X = np.random.default_rng(0).normal(size=(50, 2))
    fitted, peer = GaussianMixture(2).fit(X), SklearnMixture(2).fit(X)
    missing = {a for a in vars(peer) if a.endswith("_")} - set(vars(fitted))
    assert not missing
    clone(fitted)


@pytest.mark.parametrize("name", NAMES)
def test_exchange_with_scikit_learn(name, iris):
    X = iris[0]
    model = GaussianMixture(3, covariance_type=name, random_state=0).fit(X)
    peer = model.to_sklearn()
    assert isinstance(peer, SklearnMixture)
    np.testing.assert_allclose(peer.score_samples(X), model.score_samples(X), rtol=1e-9)
    back = GaussianMixture.from_sklearn(peer)
    np.testing.assert_array_equal(back.predict_proba(X), model.predict_proba(X))
    assert back.get_params() == model.get_params()
    with pytest.raises(TypeError, match="not KMeans"):
        GaussianMixture.from_sklearn(KMeans())
    unfitted = GaussianMixture.from_sklearn(SklearnMixture(4))
    assert unfitted.n_components == 4
    assert not hasattr(unfitted, "means_")
