"""The ridge that is relative to the data, and the conjugate prior."""

import numpy as np
import pytest
import reference
from mixtures import draw, random_mixture
from scipy import stats
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris, load_wine

from fastem import ConjugatePrior, GaussianMixture, fit_many
from fastem._kernels.rows import Rows
from fastem.covariances import COVARIANCES
from fastem.exceptions import DegenerateDataWarning
from fastem.families.regularisation import column_scales

NAMES = sorted(COVARIANCES)


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def with_start(labels, **options):
    return {"init_params": np.eye(labels.max() + 1)[labels], **options}


def same_model(one, other, factor=1.0, **tolerance):
    """Whether `one` is `other` with every point multiplied by `factor`."""
    np.testing.assert_allclose(one.weights_, other.weights_, **tolerance)
    np.testing.assert_allclose(one.means_, other.means_ * factor, **tolerance)
    np.testing.assert_allclose(one.covariances_, other.covariances_ * factor**2, **tolerance)


# --- the M-step ---------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_one_step_equals_the_reference(name, weighted):
    K, D = 3, 4
    X, labels = draw(300, *random_mixture(name, D, K), name)
    X += 50.0
    weight = np.random.default_rng(0).uniform(0.5, 3.0, len(X)) if weighted else None
    scales = {"full": np.diag([1.0, 2, 3, 4]) + 0.5, "tied": np.diag([1.0, 2, 3, 4]) + 0.5,
              "diag": np.array([1.0, 2, 3, 4]), "spherical": 1.5}  # fmt: skip
    prior = ConjugatePrior(2.5, np.arange(D) + 48.0, 7.0, 9.0, scales[name])
    model = GaussianMixture(
        K, covariance_type=name, prior=prior, reg_covar=0.25, max_iter=0, **with_start(labels)
    ).fit(X, sample_weight=weight)
    twin = reference.STRUCTURES[name].maximise(
        X,
        np.eye(K)[labels],
        weight,
        0.25,
        reference.Prior(2.5, np.arange(D) + 48.0, 7.0, 9.0, scales[name]),
    )
    for got, wanted in zip((model.weights_, model.means_, model.covariances_), twin, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-11)


def log_posterior(model, X, prior, scale):
    """The log-density of data and parameters by scipy's distributions, with every constant."""
    K, D = model.means_.shape
    matrices = COVARIANCES[model.covariance_type].matrices(model.covariances_, K, D)
    total = model.score(X) * len(X)
    total += stats.dirichlet.logpdf(model.weights_, np.full(K, prior.weight_concentration))
    for mean, matrix in zip(model.means_, matrices, strict=True):
        total += stats.multivariate_normal.logpdf(mean, prior.mean, matrix / prior.mean_precision)
    nu = prior.degrees_of_freedom
    if model.covariance_type in ("full", "tied"):
        distinct = matrices if model.covariance_type == "full" else matrices[:1]
        return total + sum(stats.invwishart.logpdf(matrix, nu, scale) for matrix in distinct)
    of_variances = stats.invgamma.logpdf(model.covariances_, nu / 2, scale=np.asarray(scale) / 2)
    return total + of_variances.sum()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_bound_is_the_posterior_and_its_mode_is_found(name):
    K, D = 2, 2
    X, _ = draw(80, *random_mixture(name, D, K), name)
    scale = {"full": np.eye(D) * 2 + 0.3, "tied": np.eye(D) * 2 + 0.3, "diag": np.array([2.0, 3.0]),
             "spherical": 2.0}[name]  # fmt: skip
    prior = ConjugatePrior(3.0, X.mean(axis=0), 0.5, 6.0, scale)
    options = {"covariance_type": name, "prior": prior, "reg_covar": 0.0, "random_state": 0}
    traced = [
        GaussianMixture(K, tol=0.0, max_iter=n, **options).fit(X, sample_weight=None)
        for n in (3, 8)
    ]
    # lower_bounds_ are of the parameters before each step: compare differences to drop constants
    fits = [GaussianMixture(K, tol=0.0, max_iter=n, **options).fit(X) for n in (2, 7)]
    got = (traced[1].lower_bounds_[7] - traced[1].lower_bounds_[2]) * len(X)
    wanted = log_posterior(fits[1], X, prior, scale) - log_posterior(fits[0], X, prior, scale)
    assert got == pytest.approx(wanted, rel=1e-9, abs=1e-9)
    # at the end, no neighbour is more probable
    best = GaussianMixture(K, tol=1e-14, max_iter=10000, **options).fit(X)
    top = log_posterior(best, X, prior, scale)
    assert (np.diff(best.lower_bounds_) > -1e-12).all()
    rng = np.random.default_rng(1)
    for _ in range(20):
        other = clone(best).set_params(max_iter=0, tol=1e-3)
        weights = best.weights_ * np.exp(rng.normal(scale=0.02, size=K))
        other.set_params(
            weights_init=weights / weights.sum(),
            means_init=best.means_ + rng.normal(scale=0.02, size=(K, D)),
            precisions_init=best.precisions_ * (1 + rng.normal(scale=0.02)),
        )
        assert log_posterior(other.fit(X), X, prior, scale) < top


# (data, mclust's model, K) -> log-likelihood of the data, and the greatest weight, where mclust
# 6.0.0 ends with prior=priorControl() and tol=0
MCLUST = {
    ("faithful", "VVV", 2): (-1130.509264, 0.643924),
    ("faithful", "EEE", 2): (-1140.260935, 0.640757),
    ("faithful", "VVI", 2): (-1229.215690, 0.634920),
    ("faithful", "VII", 2): (-1709.580830, 0.633114),
    ("iris", "VVV", 3): (-192.695284, 0.352858),
    ("iris", "EEE", 3): (-257.739377, 0.347993),
    ("iris", "VVI", 2): (-393.114648, 0.666667),
    ("iris", "VII", 3): (-384.478676, 0.415438),
}
OURS = {"VVV": "full", "EEE": "tied", "VVI": "diag", "VII": "spherical"}


@pytest.mark.parametrize(("data", "model", "K"), MCLUST)
def test_with_the_prior_of_mclust_the_fit_is_that_of_mclust(data, model, K, faithful):
    X, labels = load_iris(return_X_y=True) if data == "iris" else (faithful, faithful[:, 1] < 68)
    labels = np.minimum(labels, K - 1)
    D = X.shape[1]
    covariance = np.cov(X.T) / K ** (2 / D)
    mean = np.diag(covariance).mean()
    scale = {"VVV": covariance, "EEE": covariance, "VVI": np.full(D, mean), "VII": mean}[model]
    prior = ConjugatePrior(mean=X.mean(axis=0), scale=scale)
    options = {"prior": prior, "reg_covar": 0.0, "tol": 1e-13, "max_iter": 20_000}
    fitted = GaussianMixture(
        K, covariance_type=OURS[model], **with_start(labels.astype(int)), **options
    ).fit(X)
    log_likelihood, weight = MCLUST[data, model, K]
    assert fitted.score(X) * len(X) == pytest.approx(log_likelihood, abs=1e-4)
    assert fitted.weights_.max() == pytest.approx(weight, abs=1e-5)


# --- what they are for ----------------------------------------------------------------------------


def heap(name, dtype=np.float64):
    """Three clusters, one of which is a single point many times over."""
    X, labels = draw(300, *random_mixture(name, 3, 2, seed=3), name)
    X = np.vstack([X, np.repeat(X[:1] + 20, 40, axis=0)]).astype(dtype)
    return X, np.concatenate([labels, np.full(40, 2)])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_prior_keeps_a_heap_of_equal_points_from_collapsing(name, dtype):
    X, labels = heap(name, dtype)
    options = {"covariance_type": name, **with_start(labels)}
    model = GaussianMixture(3, prior="auto", reg_covar=0.0, **options).fit(X)  # warns of nothing
    assert not model.fit_report_.floored_components
    assert model.weights_[2] == pytest.approx(40 / 340, abs=0.02)
    if COVARIANCES[name].own:
        with pytest.warns(DegenerateDataWarning, match="Component 2 has a variance"):
            collapsed = GaussianMixture(3, **options).fit(X)
        assert collapsed.fit_report_.floored_components == (2,)


def test_weights_are_kept_alive_by_their_prior():
    X, _ = draw(200, *random_mixture("full", 2, 2), "full")
    start = {"weights_init": [0.4, 0.4, 0.2], "means_init": [*X[:2], [1e3, 1e3]],
             "precisions_init": [np.eye(2)] * 3}  # fmt: skip
    with pytest.warns(DegenerateDataWarning, match="Component 2 is left without points"):
        model = GaussianMixture(3, **start).fit(X)
    assert model.weights_[2] == 0
    assert model.fit_report_.n_effective == 2
    prior = ConjugatePrior(weight_concentration=[1.0, 1.0, 3.0])
    model = GaussianMixture(3, prior=prior, **start).fit(X)
    assert model.weights_[2] > 2 / 202 * 0.99


@pytest.mark.parametrize("factor", [1e-150, 1e-12, 1e-4, 3.0, 1e12, 1e150])
def test_the_relative_ridge_and_prior_know_no_scale(name, factor):
    X, _ = draw(400, *random_mixture(name, 3, 3), name)
    options = {"covariance_type": name, "random_state": 0, "tol": 1e-6, "max_iter": 1000}
    for parameters in ({"reg_covar": "auto"}, {"reg_covar": "auto", "prior": "auto"}):
        one = GaussianMixture(3, **options, **parameters).fit(X)
        other = GaussianMixture(3, **options, **parameters).fit(X * factor)
        same_model(other, one, factor, rtol=1e-7, atol=0)
        if "prior" not in parameters:  # its density has another constant at another scale
            moved = one.lower_bound_ - 3 * np.log(factor)
            assert other.lower_bound_ == pytest.approx(moved, rel=1e-7)
        np.testing.assert_array_equal(one.predict(X), other.predict(X * factor))
        np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X * factor), atol=1e-7)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_data_of_a_far_scale_continue_where_they_were(name):
    X = draw(400, *random_mixture(name, 2, 3), name)[0] * 1e140
    options = {"covariance_type": name, "reg_covar": "auto", "tol": 0.0, "random_state": 0}
    whole = GaussianMixture(3, max_iter=7, **options).fit(X)
    parts = GaussianMixture(3, max_iter=3, **options).fit(X)
    parts.set_params(warm_start=True, max_iter=4).fit(X)
    same_model(parts, whole, rtol=1e-9)
    given = {
        "weights_init": whole.weights_,
        "means_init": whole.means_,
        "precisions_init": whole.precisions_,
    }
    start = GaussianMixture(3, max_iter=0, **given, **options).fit(X)
    same_model(start, whole, rtol=1e-12)


def test_a_relative_ridge_does_not_see_an_outlier_but_a_sparse_column():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=500), rng.normal(size=500) * (rng.random(500) < 0.2)])
    ridge = {}
    for what in ("as they are", "outlier"):
        options = {"covariance_type": "diag", "max_iter": 0, "init_params": np.ones((500, 1))}
        with_ridge, without = (
            GaussianMixture(1, reg_covar=r, **options).fit(X).covariances_[0] for r in ("auto", 0)
        )
        ridge[what] = with_ridge - without
        X[7, 0] = 1e4
    assert ridge["as they are"] == pytest.approx(1e-6 * X[np.arange(500) != 7].var(axis=0), rel=0.3)
    assert ridge["outlier"][0] == pytest.approx(ridge["as they are"][0], rel=1e-2)


def test_weights_mean_repetition_for_the_relative_ridge_and_the_prior(name):
    X, _ = draw(200, *random_mixture(name, 2, 2), name)
    weight = np.random.default_rng(0).integers(0, 4, len(X))
    options = {"covariance_type": name, "reg_covar": "auto", "prior": "auto", "random_state": 0}
    weighted = GaussianMixture(2, tol=1e-9, max_iter=500, **options).fit(X, sample_weight=weight)
    repeated = GaussianMixture(2, tol=1e-9, max_iter=500, **options).fit(X.repeat(weight, axis=0))
    same_model(weighted, repeated, rtol=1e-4, atol=1e-5)
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_, abs=1e-8)


@pytest.mark.parametrize("data", [load_wine, load_breast_cancer])
def test_the_default_prior_suits_columns_of_any_units(name, data):
    X, species = data(return_X_y=True)
    K = species.max() + 1
    options = {"covariance_type": name, "random_state": 0, "prior": "auto", "reg_covar": 0.0}
    one = GaussianMixture(K, tol=1e-9, max_iter=2000, **with_start(species), **options).fit(X)
    assert one.weights_.min() > 0.2
    if name == "spherical":
        return  # has one variance for all columns, whatever their units
    units = 10.0 ** (np.arange(X.shape[1]) - X.shape[1] // 2)
    other = GaussianMixture(K, tol=1e-9, max_iter=2000, **with_start(species), **options)
    np.testing.assert_array_equal(other.fit(X * units).predict(X * units), one.predict(X))
    np.testing.assert_allclose(other.means_, one.means_ * units, rtol=1e-5)


# (of the shared covariance, what draws the outlier's mean to the others is a part)
@pytest.mark.parametrize("name", ["full", "diag", "spherical"])
def test_one_outlier_does_not_spoil_the_default_prior(name):
    X, labels = draw(600, *random_mixture(name, 2, 2, seed=1), name)
    options = {"covariance_type": name, "random_state": 0, "prior": "auto", "reg_covar": 0.0}
    clean = GaussianMixture(2, **with_start(labels), **options).fit(X)
    for far in (1e6, 1e8):
        spoiled = np.vstack([X, [[far, far]]])
        model = GaussianMixture(3, **with_start(np.append(labels, 2)), **options).fit(spoiled)
        np.testing.assert_allclose(model.covariances_[:2], clean.covariances_, rtol=0.05, atol=0.05)
        np.testing.assert_array_equal(model.predict(X), clean.predict(X))


def test_column_scales_see_neither_order_nor_pattern():
    rng = np.random.default_rng(0)

    def ridge(X):
        return column_scales(Rows(X, None, 1))[1]

    few = rng.normal(size=(3000, 2))
    np.testing.assert_array_equal(ridge(few), ridge(few[rng.permutation(3000)]))
    assert ridge(few) == pytest.approx(1.0, rel=0.1)
    many = np.where(np.arange(8192) % 2, rng.normal(5, 1, 8192), 1e-4 * rng.normal(size=8192))
    for X in (many, many[::-1], rng.permutation(many)):
        assert ridge(X[:, None]) == pytest.approx(ridge(np.sort(many)[:, None]), rel=0.1)
    weight = rng.integers(0, 5, 3000)
    for X in (few, few[:500]):
        w = weight[: len(X)]
        kept = np.flatnonzero(w)
        one = column_scales(Rows(X[kept], w[kept].astype(float), 1))
        other = column_scales(Rows(X.repeat(w, axis=0), None, 1))
        np.testing.assert_array_equal(one, other)


def test_fit_many_and_side_by_side_starts_have_them_too(name):
    Xs = [draw(n, *random_mixture(name, 2, 3, seed=n), name)[0] * 10.0**n for n in (30, 40, 50)]
    Xs.append(Xs[0] * 1e100)
    for n_init in (1, 5):
        options = {"covariance_type": name, "prior": "auto", "reg_covar": "auto",
                   "random_state": 0, "n_init": n_init}  # fmt: skip
        for together, X in zip(fit_many(Xs, 3, **options), Xs, strict=True):
            alone = GaussianMixture(3, **options).fit(X)
            same_model(together, alone, rtol=1e-6, atol=1e-6 * np.square(X).max())
            assert together.lower_bound_ == pytest.approx(alone.lower_bound_, rel=1e-9)
            assert together.fit_report_.n_starts == n_init


def test_restarts_are_compared_by_the_posterior():
    X, _ = draw(60, *random_mixture("full", 2, 3), "full")
    options = {"prior": "auto", "init_params": "random_from_data", "verbose": 0}
    for callbacks in (None, [lambda *_: None]):  # side by side, and one after the other
        rs = np.random.RandomState(0)
        best = GaussianMixture(3, n_init=6, random_state=rs, callbacks=callbacks, **options).fit(X)
        rs = np.random.RandomState(0)
        each = [GaussianMixture(3, random_state=rs, **options).fit(X) for _ in range(6)]
        assert best.lower_bound_ == pytest.approx(max(one.lower_bound_ for one in each), rel=1e-9)


# --- parameters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"weight_concentration": 0.5}, "weight_concentration must be at least 1"),
        ({"weight_concentration": [1.0, 2.0]}, r"a number or of shape \(3,\), but it is \(1.0, 2"),
        ({"weight_concentration": np.inf}, "weight_concentration must be finite"),
        ({"weight_concentration": "a"}, "weight_concentration must be finite, a number"),
        ({"mean": [np.nan, 0.0]}, "mean must be finite"),
        ({"mean_precision": "x"}, "mean_precision must be finite, a number, but it is 'x'"),
        ({"degrees_of_freedom": [3, 4]}, "degrees_of_freedom must be finite, a number"),
        ({"degrees_of_freedom": np.inf}, "degrees_of_freedom must be finite"),
        ({"mean": [0.0]}, r"mean must be finite, of shape \(2,\)"),
        ({"mean_precision": -1.0}, "mean_precision must be at least 0"),
        ({"degrees_of_freedom": 1.0}, r"degrees_of_freedom must be above n_features - 1 = 1"),
        ({"scale": [1.0, 2.0]}, r"scale must be finite, of shape \(2, 2\)"),
        ({"scale": [[1.0, 2.0], [2.0, 1.0]]}, "scale must be symmetric and positive definite"),
        ({"mean_precision": np.nan}, "mean_precision must be finite"),
    ],
)
def test_bad_priors_say_what_is_wrong(parameters, message):
    X = np.random.default_rng(0).normal(size=(50, 2))
    with pytest.raises(ValueError, match=message):
        GaussianMixture(3, prior=ConjugatePrior(**parameters)).fit(X)


@pytest.mark.parametrize("parameters", [{"reg_covar": "Auto"}, {"prior": "yes"}, {"prior": 1.0}])
def test_what_is_not_known_is_refused(parameters):
    with pytest.raises(ValueError, match=f"The {next(iter(parameters))!r} parameter"):
        GaussianMixture(1, **parameters).fit(np.eye(3))


def test_they_survive_a_file_and_a_clone(tmp_path):
    import fastem

    X, _ = draw(100, *random_mixture("full", 2, 2), "full")
    prior = ConjugatePrior(2.0, [1.0, 2.0], scale=np.eye(2))
    model = GaussianMixture(2, reg_covar="auto", prior=prior, random_state=0).fit(X)
    model.save(tmp_path / "m.fastem")
    loaded = fastem.load(tmp_path / "m.fastem")
    assert loaded.reg_covar == "auto"
    assert loaded.prior == prior == ConjugatePrior(2, (1.0, 2.0), scale=[[1.0, 0.0], [0.0, 1.0]])
    assert hash(loaded.prior) == hash(prior)
    assert loaded.fit_report_ == model.fit_report_
    for one in (clone(model), loaded):
        again = one.fit(X)
        np.testing.assert_array_equal(again.covariances_, model.covariances_)
    assert model.to_sklearn().reg_covar == 1e-6
