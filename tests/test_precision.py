"""The promises on numbers: digits kept at any offset, densities to ten digits, no likelihood falls,
nothing that is not finite."""

import mpmath
import numpy as np
import pytest
from mixtures import draw, random_mixture
from sklearn.exceptions import ConvergenceWarning

from fastem import GaussianMixture
from fastem.covariances import COVARIANCES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(params=sorted(COVARIANCES))
def name(request):
    return request.param


def on_a_grid(X, step=2.0**-24):
    """Numbers to which an offset of up to 2^28 can be added without rounding."""
    return np.round(X / step) * step


@pytest.mark.parametrize("n_features", [1, 2, 7, 40])
@pytest.mark.parametrize("offset", [-(2.0**20), 1e3, 2.0**23])  # up to 8e6 deviations
def test_an_offset_costs_no_digits(name, n_features, offset):
    K = 3
    X, labels = draw(600, *random_mixture(name, n_features, K, seed=n_features), name)
    X = on_a_grid(X)
    options = {"covariance_type": name, "init_params": np.eye(K)[labels], "tol": 0.0}
    options["reg_covar"] = 1e-3 if n_features == 40 else 0.0
    near, far = (GaussianMixture(K, max_iter=4, **options).fit(X + by) for by in (0.0, offset))
    scale = np.abs(near.covariances_).max()
    np.testing.assert_allclose(far.covariances_, near.covariances_, rtol=1e-8, atol=1e-8 * scale)
    np.testing.assert_allclose(far.weights_, near.weights_, rtol=1e-8)
    np.testing.assert_allclose(far.means_ - offset, near.means_, atol=1e-8)
    np.testing.assert_allclose(far.lower_bounds_, near.lower_bounds_, rtol=1e-8)
    # at the means as they are stored, with an offset, a little is lost in a point's distance
    np.testing.assert_allclose(far.score_samples(X + offset), near.score_samples(X), atol=1e-6)
    np.testing.assert_array_equal(far.predict(X + offset), near.predict(X))


def test_unix_times_in_every_structure(name):
    rng = np.random.default_rng(0)
    X = 1.7e9 + np.concatenate([rng.normal(0, 60, (500, 1)), rng.normal(3600, 60, (500, 1))])
    model = GaussianMixture(2, covariance_type=name, random_state=0).fit(X)
    matrices = COVARIANCES[name].matrices(model.covariances_, 2, 1)
    np.testing.assert_allclose(np.sqrt(matrices).ravel(), 60, rtol=0.1)
    exact = [X[:500].mean(), X[500:].mean()]
    np.testing.assert_allclose(np.sort(model.means_.ravel()), exact, rtol=0, atol=1e-5)


def test_float32_with_an_offset_keeps_what_the_data_have(name):
    X, labels = draw(2000, *random_mixture(name, 3, 2), name)
    single = (X + 1000).astype(np.float32)
    options = {"covariance_type": name, "init_params": np.eye(2)[labels], "max_iter": 3, "tol": 0.0}
    one = GaussianMixture(2, **options).fit(single)
    exact = GaussianMixture(2, **options).fit(single.astype(np.float64))
    np.testing.assert_allclose(one.covariances_, exact.covariances_, rtol=2e-4, atol=2e-4)
    assert one.covariances_.dtype == np.float32


def exact_log_density(x, model):
    """The log-density of one row in 50 digits, from the parameters as they are stored."""
    K, D = model.means_.shape
    with mpmath.workdps(50):
        # the covariances are what was fitted; the factors were computed from them
        matrices = COVARIANCES[model.covariance_type].matrices(model.covariances_, K, D)
        total = mpmath.mpf(0)
        for weight, mean, matrix in zip(model.weights_, model.means_, matrices, strict=True):
            covariance = mpmath.matrix(matrix.tolist())
            d = mpmath.matrix(x.tolist()) - mpmath.matrix(mean.tolist())
            quadratic = (d.T * mpmath.lu_solve(covariance, d))[0]
            norm = mpmath.sqrt((2 * mpmath.pi) ** D * mpmath.det(covariance))
            total += mpmath.mpf(float(weight)) * mpmath.exp(-quadratic / 2) / norm
        return float(mpmath.log(total))


@pytest.mark.parametrize("n_features", [1, 3, 8])
def test_densities_have_ten_digits(name, n_features):
    X, labels = draw(300, *random_mixture(name, n_features, 3), name)
    model = GaussianMixture(3, covariance_type=name, init_params=np.eye(3)[labels]).fit(X)
    rows = np.vstack([X[:8], X[8:12] * 30, model.means_])
    wanted = [exact_log_density(row, model) for row in rows]
    np.testing.assert_allclose(model.score_samples(rows), wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("options", [{}, {"reg_covar": "auto"}, {"prior": "auto"}])
def test_the_likelihood_does_not_fall_or_the_fit_says_so(name, factor, options):
    X, _ = draw(500, *random_mixture(name, 3, 3, spread=1.0), name)
    for init in ("kmeans", "random", "random_from_data"):
        parameters = {"init_params": init, "tol": 0.0, "max_iter": 200, "random_state": 0}
        model = GaussianMixture(3, covariance_type=name, **parameters, **options).fit(X * factor)
        trace = np.array(model.lower_bounds_)
        falls = np.diff(trace) < -1e-10 * np.abs(trace[1:])
        # an absolute ridge as large as the variances may lower it, as far as the ridge explains
        assert not falls.any() or (factor == 1e-3 and "reg_covar" not in options)
        assert model.stop_reason_ in ("tolerance", "max_iter")


def test_a_fall_stops_the_fit_with_a_warning(monkeypatch):
    from fastem.families import GaussianMixtureModel

    estimate = GaussianMixtureModel._estimate
    steps = []

    def worse_at_the_fifth(self, statistics):
        steps.append(1)
        weights, means, covariances = estimate(self, statistics)
        return weights, means + (len(steps) == 6), covariances

    X, _ = draw(500, *random_mixture("full", 2, 2), "full")
    monkeypatch.setattr(GaussianMixtureModel, "_estimate", worse_at_the_fifth)
    with pytest.warns(ConvergenceWarning, match=r"stopped after 5 iterations.*log-likelihood fell"):
        model = GaussianMixture(2, tol=0.0, init_params="random", random_state=0).fit(X)
    assert model.stop_reason_ == model.fit_report_.stop_reason == "likelihood_decreased"
    assert not model.converged_
    assert (np.diff(model.lower_bounds_) > 0).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("exponent", [-140, -20, 0, 20, 140])
def test_nothing_leaves_that_is_not_finite(name, dtype, exponent):
    if dtype == np.float32:
        exponent /= 14
    rng = np.random.default_rng(0)
    X, _ = draw(200, *random_mixture(name, 3, 3), name)
    X[:20] = X[0]  # duplicates, an outlier, and a column that hardly varies
    X[21] *= 1e3
    X[:, 2] = 1 + 1e-3 * rng.normal(size=200)
    X = (X * 10.0**exponent).astype(dtype)
    model = GaussianMixture(4, covariance_type=name, reg_covar="auto", random_state=0).fit(X)
    for attribute in ("weights_", "means_", "covariances_", "precisions_", "lower_bounds_"):
        assert np.isfinite(getattr(model, attribute)).all()
    assert np.isfinite(model.score_samples(X)).all()
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0, rtol=1e-5)


# --- rows far from everything -------------------------------------------------------------------


def two_apart(name, dtype=np.float64):
    """A mixture that differs in the first two of three features, all of variance 1."""
    K, D = 2, 3
    precisions = {"full": [np.eye(D)] * K, "tied": np.eye(D), "diag": np.ones((K, D)),
                  "spherical": np.ones(K)}[name]  # fmt: skip
    start = {"weights_init": [0.5, 0.5], "means_init": [[0.0] * 3, [8.0, 8.0, 0.0]]}
    model = GaussianMixture(
        K, covariance_type=name, precisions_init=precisions, max_iter=0, **start
    )
    rng = np.random.default_rng(0)
    return model.fit(rng.normal(size=(10, D)).astype(dtype))


@pytest.mark.parametrize("far", [1e3, 1e8, 1e9, 1e12, 1e20, 1e80, 1e150, 1e160, 1e300])
def test_one_corrupt_feature_does_not_hide_the_others(name, far):
    model = two_apart(name)
    rows = np.array([[0, 0, far], [8, 8, far], [0, 0, -far], [8, 8, 0.0], [4, 4, far]])
    np.testing.assert_array_equal(model.predict(rows)[:4], [0, 1, 0, 1])
    r = model.predict_proba(rows)
    np.testing.assert_allclose(r[:4, 0], [1, 0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(r[4], 0.5, atol=1e-3)  # in the middle between both
    single = two_apart(name, np.float32)
    rows = np.clip(rows, -1e30, 1e30).astype(np.float32)
    np.testing.assert_allclose(single.predict_proba(rows)[:4, 0], [1, 0, 1, 0], atol=1e-6)
    np.testing.assert_array_equal(single.predict(rows)[:4], [0, 1, 0, 1])


def test_near_and_far_rows_agree_at_the_border(name):
    model = two_apart(name)
    rng = np.random.default_rng(1)
    directions = rng.normal(size=(50, 3))
    for size in (3e6, 5e6, 8e6):  # either side of where a log-density has too few digits
        rows = directions * size
        nearer = directions @ [8.0, 8.0, 0.0] > 0
        np.testing.assert_array_equal(model.predict(rows), nearer)
        log_density = -0.5 * np.square(rows).sum(axis=1)
        np.testing.assert_allclose(model.score_samples(rows), log_density, rtol=1e-5)


def test_means_that_are_far_themselves(name):
    rng = np.random.default_rng(0)
    near = np.vstack([rng.normal(size=(100, 2)), rng.normal(8, 1, (100, 2))])
    for far in (1e20, 9.97e36, 1e160, 1e300):  # the second is NetCDF's fill value
        X = np.column_stack([near, np.full(200, far)])
        with pytest.warns(match="Column 2 is constant"):
            model = GaussianMixture(2, covariance_type=name, random_state=0).fit(X)
        np.testing.assert_allclose(model.weights_, 0.5, atol=0.02)
        rows = np.array([[0.0, 0, 0], [8, 8, 0], [1e-300, 1e-300, 0]])
        r = model.predict_proba(rows)
        np.testing.assert_allclose(r.sum(axis=1), 1.0)
        np.testing.assert_array_equal(r.argmax(axis=1), model.predict(rows))
        np.testing.assert_array_equal(np.unique(model.predict(X)[:100]), model.predict(X[:1]))


def test_many_far_rows_take_little_memory():
    import tracemalloc

    rng = np.random.default_rng(0)
    K, D = 50, 200
    start = {"weights_init": np.full(K, 1 / K), "means_init": rng.normal(size=(K, D))}
    model = GaussianMixture(
        K, covariance_type="diag", precisions_init=np.ones((K, D)), max_iter=0, **start
    ).fit(rng.normal(size=(60, D)))
    far = rng.normal(size=(2000, D)) * 1e100
    tracemalloc.start()
    labels = model.predict(far)
    assert tracemalloc.get_traced_memory()[1] < 200e6
    tracemalloc.stop()
    np.testing.assert_array_equal(labels, (far @ start["means_init"].T).argmax(axis=1))


@pytest.mark.parametrize("options", [{"reg_covar": "auto"}, {"prior": "auto"}, {}])
@pytest.mark.parametrize("value", [0.0, 1.0, 1e300, -1e300, 5e-324])
def test_equal_rows_of_any_size(name, value, options):
    with pytest.warns(match="All rows are equal"):
        model = GaussianMixture(2, covariance_type=name, **options).fit(np.full((20, 2), value))
    assert np.isfinite(model.covariances_).all()
    np.testing.assert_array_equal(model.means_[model.weights_.argmax()], value)


def test_the_widest_range_is_too_large():
    X = np.random.default_rng(0).uniform(-1, 1, (50, 2)) * 1.7e308
    with pytest.raises(ValueError, match="too large for float64"):
        GaussianMixture(2).fit(X)


def test_a_weight_of_0_under_a_prior_is_no_nan():
    from fastem import ConjugatePrior

    X, _ = draw(100, *random_mixture("full", 2, 2), "full")
    prior = ConjugatePrior(weight_concentration=[1.0, 1.0, 2.0])
    options = {"weights_init": [0.0, 0.5, 0.5], "prior": prior, "random_state": 0}
    with pytest.warns(match="Component 0 is left without points"):
        model = GaussianMixture(3, max_iter=1, **options).fit(X)
    assert np.isfinite(model.lower_bound_)
