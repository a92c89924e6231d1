"""Maximum likelihood of complete data: estimates, their errors, labels, tables and pictures."""

import pickle
import sys

import numpy as np
import pytest
from distributions import EXAMPLES, sampled
from numpy.testing import assert_allclose
from scipy import stats
from scipy.special import polygamma
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.naive_bayes import GaussianNB

from fastem import mle
from fastem.exceptions import DegenerateFitError, MissingDependencyError
from fastem.families import (
    FAMILIES,
    Categorical,
    Exponential,
    Gamma,
    Laplace,
    LinearRegression,
    Multinomial,
    MultivariateNormal,
    NegativeBinomial,
    Normal,
    Poisson,
    Product,
    StudentT,
    Uniform,
    Weibull,
)
from fastem.mle.information import observed

CASES = [
    pytest.param(example.family, id=f"{name}-{i}")
    for name, examples in EXAMPLES.items()
    for i, example in enumerate(examples)
]


def rng(seed=0):
    return np.random.default_rng(seed)


def fit_of(family, rows, **options):
    """A fit of rows that hold the response last, where there is one."""
    if not family.conditional:
        return mle.fit(family, rows, **options)
    return mle.fit(family, rows[:, :-1], rows[:, -1], **options)


# --- estimates and their errors -------------------------------------------------------------------


@pytest.mark.parametrize("family", CASES)
def test_every_family_has_errors_or_says_why(family):
    rows = sampled(family, 1500, 1)
    fit = fit_of(family.blank(), rows)
    assert fit.n_parameters == family.n_parameters
    assert_allclose(fit.aic, 2 * fit.n_parameters - 2 * fit.log_likelihood)
    errors = fit.standard_errors
    intervals = fit.confidence_intervals(0.99999)
    finite = np.concatenate([np.ravel(e) for e in errors.values()])
    assert np.isfinite(finite).all() == (fit.no_errors_because is None)
    for name, value in fit.parameters.items():
        assert errors[name].shape == value.shape
        assert intervals[name].shape == (*value.shape, 2)
        if fit.no_errors_because is None:
            inside = (errors[name] > 0) & np.isfinite(intervals[name]).all(axis=-1)
            low, high = np.moveaxis(intervals[name][inside], -1, 0)
            assert ((low < value[inside]) & (value[inside] < high)).all()
            assert fit.family.domains[name].ndim or fit.family.domains[name].contains(low)
    expected = fit.family.members().log_densities(np.reshape(rows, (1500, -1))).sum()
    assert_allclose(fit.log_likelihood, expected, rtol=1e-9)
    assert type(family).__name__ in repr(fit)


def test_errors_are_those_of_the_expected_information():
    """Known in closed form: the observed information at the maximum is the same."""
    n = 700
    x = rng().normal(1e6, 1e-3, n)
    fit = mle.fit(Normal(), x)
    sd = x.std()
    assert_allclose(fit.standard_errors["mean"], sd / np.sqrt(n), rtol=1e-8)
    assert_allclose(fit.standard_errors["sd"], sd / np.sqrt(2 * n), rtol=1e-8)
    fit = mle.fit(Poisson(), rng().poisson(4, n))
    assert_allclose(fit.standard_errors["rate"], np.sqrt(fit.family.rate / n), rtol=1e-9)
    fit = mle.fit(Exponential(), rng().exponential(4, n))
    assert_allclose(fit.standard_errors["rate"], fit.family.rate / np.sqrt(n), rtol=1e-9)
    fit = mle.fit(Gamma(), rng().gamma(2, 3, n))
    shape, scale = fit.family.shape, fit.family.scale
    information = n * np.array(
        [[polygamma(1, shape), 1 / scale], [1 / scale, shape / np.square(scale)]]
    )
    assert_allclose(fit.covariance, np.linalg.inv(information), rtol=1e-8)
    p = np.array([0.2, 0.3, 0.5])
    fit = mle.fit(Categorical(), rng().choice(3, n, p=p).astype(float))
    p = fit.family.p
    assert_allclose(fit.covariance, (np.diag(p) - np.outer(p, p)) / n, rtol=1e-8)


def test_the_covariance_of_a_multivariate_normal():
    X = rng().multivariate_normal([1, 2], [[2, 0.6], [0.6, 0.5]], 500)
    fit = mle.fit(MultivariateNormal(), X)
    S = fit.family.covariance
    assert_allclose(fit.covariance[:2, :2], S / 500, rtol=1e-8, atol=1e-12)
    # of s_ij and s_kl: s_ik s_jl + s_il s_jk (Mardia, Kent, Bibby, 4.2)
    expected = [[S[i, i] * S[j, j] + S[i, j] ** 2 for j in range(2)] for i in range(2)]
    assert_allclose(np.square(fit.standard_errors["covariance"]), np.array(expected) / 500)


@pytest.mark.parametrize("structure", ["full", "tied", "diag", "spherical"])
def test_closed_forms_are_the_observed_information(structure):
    X = rng(1).multivariate_normal([1, 2, 3], np.diag([1.0, 2.0, 0.5]) + 0.3, 400)
    w = rng(2).uniform(0.5, 2, 400)
    fit = mle.fit(MultivariateNormal(covariance_type=structure), X, sample_weight=w)
    found = observed(fit.family.members(), fit._likelihoods[0], fit.total_weight)
    assert_allclose(fit.covariance, found.covariance, rtol=1e-6, atol=1e-12)
    errors = np.concatenate([e.ravel() for e in fit.standard_errors.values()])
    assert_allclose(np.square(errors), np.diag(found.covariance), rtol=1e-6, atol=1e-12)
    held = mle.fit(
        MultivariateNormal(covariance_type=structure), X, fixed={"mean": [1.0, 2.0, 3.0]}
    )
    likelihoods = held._likelihoods[0], held.total_weight, ("mean",)
    assert_allclose(
        held.covariance,
        observed(held.family.members(), *likelihoods).covariance,
        rtol=1e-4,
        atol=1e-9,
    )


def test_closed_forms_of_shares():
    X = np.column_stack([rng(3).integers(0, 3, 90), rng(4).integers(0, 2, 90)])
    fit = mle.fit(Categorical(), X.astype(float))
    for j in range(2):
        part = fit.family.members().column(j)
        found = observed(part, fit._likelihoods[j], 90.0)
        own = np.diag(found.covariance)
        assert_allclose(np.square(fit.standard_errors["p"][j]), own, rtol=1e-7)
    X = rng(5).multinomial(7, [0.2, 0.3, 0.5], 60).astype(float)
    fit = mle.fit(Multinomial(), X)
    found = observed(fit.family.members(), fit._likelihoods[0], 60.0)
    assert_allclose(fit.covariance, found.covariance, rtol=1e-7)
    none = mle.fit(Categorical(), [0.0, 2.0, 2.0])  # no row has the category 1
    assert np.isnan(none.standard_errors["p"]).tolist() == [False, True, False]
    assert "edge" in none.no_errors_because


def test_many_parameters_take_no_cubes():
    X = rng(6).normal(size=(300, 60))
    fit = mle.fit(MultivariateNormal(), X)
    assert "mean[0]" in repr(fit)
    assert np.isfinite(fit.standard_errors["covariance"]).all()
    fit = mle.fit(LinearRegression(), rng(6).normal(size=(400, 120)), rng(7).normal(size=400))
    assert fit.no_errors_because is None
    parts = Product([(MultivariateNormal(), 13), (MultivariateNormal(), 3)])
    fit = mle.fit(parts, X[:, :16])
    assert "113 free parameters" in fit.no_errors_because


@pytest.mark.parametrize("intercept", [True, False])
def test_errors_of_a_regression_are_those_of_least_squares(intercept):
    X = rng(8).normal(3, 1, (50, 4))
    fit = mle.fit(LinearRegression(intercept=intercept), X, X.sum(axis=1) + rng(9).normal(size=50))
    design = np.column_stack([np.ones(50)] * intercept + [X])
    expected = np.linalg.inv(design.T @ design) * np.square(fit.family.sd)
    assert_allclose(fit.covariance[:-1, :-1], expected, rtol=1e-9)
    assert_allclose(fit.standard_errors["sd"], fit.family.sd / 10, rtol=1e-12)


def test_an_iterative_family_is_at_its_maximum():
    x = stats.t(4, 1, 2).rvs(800, random_state=0)
    fit = mle.fit(StudentT(), x)
    theirs = stats.t.fit(x)
    ours = [float(v) for v in fit.parameters.values()]
    assert_allclose(ours, theirs, rtol=1e-3)
    assert fit.log_likelihood >= stats.t(*theirs).logpdf(x).sum() - 1e-9
    assert fit.trace[0] < fit.trace[-1] <= fit.log_likelihood + 1e-8
    moved = [v * (1 + 1e-4) for v in ours]
    assert stats.t(*moved).logpdf(x).sum() < fit.log_likelihood


def test_columns_are_fitted_one_by_one():
    X = np.column_stack([rng(1).gamma(2, 3, 300), rng(2).gamma(9, 0.1, 300)])
    both = mle.fit(Gamma(), X)
    apart = [mle.fit(Gamma(), column) for column in X.T]
    for name in ("shape", "scale"):
        assert_allclose(both.parameters[name], [a.parameters[name] for a in apart], rtol=1e-10)
        errors = [a.standard_errors[name] for a in apart]
        assert_allclose(both.standard_errors[name], errors, rtol=1e-7)
    assert_allclose(both.log_likelihood, sum(a.log_likelihood for a in apart))
    assert both.n_parameters == 4
    assert_allclose(both.goodness_of_fit().pvalue, [a.goodness_of_fit().pvalue for a in apart])


@pytest.mark.parametrize("family", [Gamma(), Weibull(), StudentT()])
def test_weights_are_repetitions(family):
    x, times = rng(3).gamma(2, 3, 200), rng(4).integers(0, 4, 200)
    weighted = mle.fit(family, x, sample_weight=times)
    repeated = mle.fit(family, np.repeat(x, times))
    for name in family.domains:
        assert_allclose(weighted.parameters[name], repeated.parameters[name], rtol=1e-6)
        errors = weighted.standard_errors[name], repeated.standard_errors[name]
        assert_allclose(*errors, rtol=1e-5)
    assert_allclose([weighted.aic, weighted.bic], [repeated.aic, repeated.bic], rtol=1e-10)


@pytest.mark.parametrize(
    ("family", "x"),
    [
        (Gamma(), [-1.0, 2.0, 3.0, 5.0]),
        (StudentT(), [1e300, 2.0, 3.0, 5.0]),
        (Categorical(), [5.0, 0.0, 1.0, 1.0]),
        (Normal(), [np.nan, 2.0, 3.0, 5.0]),
    ],
)
def test_a_weight_of_0_removes_the_row(family, x):
    fit = mle.fit(family, x, sample_weight=[0, 1, 1, 1])
    assert repr(fit) == repr(mle.fit(family, x[1:]))
    labelled = mle.fit(family, x * 2, [9, 0, 0, 0, None, 1, 1, 1], sample_weight=[0, 1, 1, 1] * 2)
    assert labelled.classes_.tolist() == [0, 1]
    assert_allclose(labelled.log_likelihood, 2 * fit.log_likelihood + 6 * np.log(0.5))
    row = mle.fit(LinearRegression(), [1.0, 2.0, 4.0, 9.0], x, sample_weight=[0, 1, 1, 1])
    assert row.n_samples == 3


def test_rows_of_weight_0_are_said_not_to_be_counted():
    with pytest.raises(ValueError, match=r"in row 0 .*Rows of weight 0 are left out"):
        mle.fit(Gamma(), [1.0, -1.0, 2.0], sample_weight=[0, 1, 1])


def test_threads_change_no_digit():
    x = rng(5).gamma(2, 3, 300_000)
    fits = [mle.fit(Weibull(), x, n_threads=n) for n in (1, 2)]
    for name in fits[0].parameters:
        assert fits[0].parameters[name] == fits[1].parameters[name]
        assert fits[0].standard_errors[name] == fits[1].standard_errors[name]
    assert fits[0].log_likelihood == fits[1].log_likelihood


def test_columns_have_their_names():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"height": [1.0, 2.0, 4.0], "age": [3.0, 5.0, 9.0]})
    names = [line.split()[0] for line in repr(mle.fit(Normal(), frame)).splitlines()[2:6]]
    assert names == ["mean[height]", "mean[age]", "sd[height]", "sd[age]"]


def test_float32_and_lists_are_taken():
    x = rng(6).gamma(2, 3, 100)
    single = mle.fit(Gamma, x.astype(np.float32))
    assert_allclose(single.family.shape, mle.fit(Gamma(), list(x)).family.shape, rtol=1e-5)


def test_kinks_and_edges():
    x = rng(7).laplace(1, 2, 4000)
    fit = mle.fit(Laplace(), x, censored=x > 4)
    assert_allclose(fit.standard_errors["loc"], fit.family.scale / np.sqrt(4000), rtol=0.2)
    assert "approximate" in repr(fit)
    fit = mle.fit(Uniform(), rng(8).uniform(0, 1, 50))
    assert np.isnan(fit.covariance).all()
    assert "all standard errors are missing: the maximum lies at an edge" in repr(fit)
    fit = mle.fit(Poisson(), np.zeros(5))
    assert np.isnan(fit.standard_errors["rate"])
    assert np.isnan(fit.confidence_intervals()["rate"]).all()


@pytest.mark.parametrize("scale", [1.6e-19, 1e-120, 1e120])
@pytest.mark.parametrize("family", [Normal(), StudentT(), Laplace()])
def test_errors_go_with_the_scale(family, scale):
    x = 1 + 0.01 * stats.t(4).rvs(200, random_state=0)
    fit, alone = mle.fit(family, scale * x), mle.fit(family, x)
    first = "mean" if "mean" in family.domains else "loc"
    assert fit.no_errors_because is None
    assert_allclose(fit.standard_errors[first] / scale, alone.standard_errors[first], rtol=1e-4)


@pytest.mark.parametrize("rate", [1e10, 1e14])
def test_errors_of_great_rates(rate):
    fit = mle.fit(Poisson(), rng(0).poisson(rate, 200))
    assert_allclose(fit.standard_errors["rate"], np.sqrt(fit.family.rate / 200), rtol=1e-9)


@pytest.mark.parametrize("n", [100, 101])
def test_errors_of_a_laplace_are_those_of_the_expected_information(n):
    X = rng(7).laplace(1, 2, (n, 40))
    fit = mle.fit(Laplace(), X)
    assert fit.no_errors_because is None
    for name in ("loc", "scale"):
        assert_allclose(fit.standard_errors[name], fit.family.scale / np.sqrt(n), rtol=1e-9)
    held = mle.fit(Laplace(), X[:, 0], fixed={"scale": 2.0}, sample_weight=np.full(n, 3.0))
    assert_allclose(held.standard_errors["loc"], 2 / np.sqrt(3 * n), rtol=1e-9)


def test_counts_with_no_more_variance_than_a_poisson():
    x = rng(0).binomial(10, 0.9, 50)
    fit = mle.fit(NegativeBinomial(), x)  # a warning would be an error
    assert np.isnan(fit.standard_errors["size"])
    assert "Poisson says as much with one parameter less" in repr(fit)
    assert fit.log_likelihood <= mle.fit(Poisson(), x).log_likelihood
    assert "Poisson" not in repr(mle.fit(NegativeBinomial(), rng(0).negative_binomial(2, 0.3, 50)))
    assert "Poisson" not in repr(mle.fit(NegativeBinomial(), np.zeros(3)))


def test_what_is_at_an_edge_leaves_the_others_their_errors():
    x = rng(24).uniform(-1, 1, 500)  # no tails: as many degrees of freedom as there may be
    fit = mle.fit(StudentT(), x)
    assert fit.family.df >= 1e5
    assert np.isnan(fit.standard_errors["df"])
    assert_allclose(fit.standard_errors["loc"], x.std() / np.sqrt(500), rtol=1e-4)
    assert_allclose(fit.standard_errors["scale"], x.std() / np.sqrt(1000), rtol=1e-4)
    assert "some standard errors are missing" in repr(fit)


# --- coverage -------------------------------------------------------------------------------------


def regression_data(seed):
    X = rng(seed).normal(size=(60, 2))
    return X, LinearRegression([1.0, 2.0, -1.0], 0.7).draw_response(X, seed)


@pytest.mark.parametrize(
    ("truth", "n"),
    [(Normal(1.0, 2.0), 60), (Gamma(2.0, 3.0), 80), (Poisson(1.5), 60), (Exponential(0.4), 40)],
    ids=lambda v: str(v),
)
def test_intervals_cover_the_truth(truth, n):
    inside = []
    for seed in range(500):
        intervals = mle.fit(truth.blank(), truth.sample(n, seed)).confidence_intervals()
        bounds = np.array([intervals[name] for name in truth.domains])
        value = np.array([truth.parameters[name] for name in truth.domains])
        inside.append((bounds[:, 0] < value) & (value < bounds[:, 1]))
    share = np.mean(inside, axis=0)
    assert ((share > 0.92) & (share < 0.98)).all(), share


def test_intervals_of_a_regression_cover_the_truth():
    inside = []
    for seed in range(500):
        intervals = mle.fit(LinearRegression(), *regression_data(seed)).confidence_intervals()
        bounds = np.vstack([intervals["coefficients"], intervals["sd"]])
        truth = [1.0, 2.0, -1.0, 0.7]
        inside.append((bounds[:, 0] < truth) & (truth < bounds[:, 1]))
    share = np.mean(inside, axis=0)
    assert ((share > 0.92) & (share < 0.98)).all(), share


# --- fixed ----------------------------------------------------------------------------------------


def test_fixed_parameters():
    x = rng(9).normal(1, 2, 300)
    fit = mle.fit(Normal(), x, fixed={"mean": 0.0})
    assert fit.family.mean == 0
    assert_allclose(fit.family.sd, np.sqrt(np.mean(x**2)), rtol=1e-10)
    assert fit.n_parameters == 1
    assert fit.standard_errors["mean"] == 0
    assert_allclose(fit.standard_errors["sd"], fit.family.sd / np.sqrt(600), rtol=1e-8)
    assert "fixed" in repr(fit)
    x = rng(10).gamma(2, 3, (300, 2))
    fit = mle.fit(Gamma(), x, fixed={"shape": [2.0, 3.0]})
    assert_allclose(fit.family.scale, x.mean(axis=0) / [2, 3], rtol=1e-9)
    fit = mle.fit(Gamma(), x[:, 0], fixed={"scale": 3.0})
    shape, _, scale = stats.gamma.fit(x[:, 0], floc=0, fscale=3.0)
    assert_allclose([fit.family.shape, fit.family.scale], [shape, scale], rtol=1e-8)
    x = stats.t(5, 1, 2).rvs(300, random_state=1)
    fit = mle.fit(StudentT(), x, fixed={"df": 5.0})
    assert_allclose(fit.log_likelihood, stats.t(*stats.t.fit(x, f0=5)).logpdf(x).sum(), rtol=1e-8)


def test_one_value_is_enough_where_the_rest_is_fixed():
    assert_allclose(mle.fit(Normal(), [3.0], fixed={"mean": 0.0}).family.sd, 3.0, rtol=1e-9)


def test_a_fixed_bound():
    x = rng(25).uniform(0, 1, 50)
    assert_allclose(mle.fit(Uniform(), x, fixed={"low": 0.0}).family.high, x.max(), rtol=1e-8)
    with pytest.raises(DegenerateFitError, match="some values are impossible"):
        mle.fit(Uniform(), x, fixed={"low": 0.5})


def test_a_fixed_mean_of_a_multivariate_normal():
    X = rng(11).multivariate_normal([1, 2], [[2, 0.6], [0.6, 0.5]], 400)
    for structure in ("full", "diag", "tied", "spherical"):
        fit = mle.fit(MultivariateNormal(covariance_type=structure), X, fixed={"mean": [1.0, 2.0]})
        S = (X - [1, 2]).T @ (X - [1, 2]) / 400
        if structure == "diag":
            S = np.diag(np.diag(S))
        elif structure == "spherical":
            S = np.eye(2) * np.trace(S) / 2
        assert_allclose(fit.family.covariance, S, rtol=1e-8, atol=1e-12)
        assert fit.n_parameters == {"full": 3, "diag": 2, "tied": 3, "spherical": 1}[structure]


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"median": 1.0}, "no parameter 'median': it has mean, sd"),
        ({"sd": -1.0}, "sd must be above 0"),
        ({"mean": [1.0, 2.0]}, r"mean must have the shape \(1,\)"),
        ({"mean": "a"}, "mean must have the shape"),
        ({"mean": 1.0, "sd": 2.0}, "all parameters of Normal are given"),
    ],
)
def test_what_cannot_be_fixed(fixed, message):
    with pytest.raises(ValueError, match=message):
        mle.fit(Normal(), [1.0, 2.0, 4.0], fixed=fixed)


# --- labels ---------------------------------------------------------------------------------------


def test_labelled_iris_is_naive_bayes():
    X, y = load_iris(return_X_y=True)
    labels = np.array(["setosa", "versicolor", "virginica"])[y]
    fit = mle.fit(Normal(), X, labels)
    theirs = GaussianNB(var_smoothing=0).fit(X, labels)
    assert list(fit.classes_) == list(theirs.classes_)
    assert_allclose(fit.predict_proba(X), theirs.predict_proba(X), atol=1e-10)
    assert (fit.predict(X) == theirs.predict(X)).all()
    assert_allclose(fit.score(X, labels), theirs.score(X, labels))
    assert fit.n_parameters == 3 * 8 + 2
    one = fit.of("virginica")
    alone = mle.fit(Normal(), X[y == 2])
    assert_allclose(one.log_likelihood, alone.log_likelihood)
    assert_allclose(one.standard_errors["sd"], alone.standard_errors["sd"], rtol=1e-6)
    assert "versicolor" in repr(fit)


@pytest.mark.parametrize(
    ("structure", "n_parameters"), [("full", 3 * 14), ("diag", 3 * 8), ("tied", 12 + 10)]
)
def test_labelled_iris_with_covariances(structure, n_parameters):
    X, y = load_iris(return_X_y=True)
    fit = mle.fit(MultivariateNormal(covariance_type=structure), X, y)
    means = np.array([X[y == k].mean(axis=0) for k in range(3)])
    own = np.array([np.cov(X[y == k].T, bias=True) for k in range(3)])
    covariances = {
        "full": own,
        "diag": own * np.eye(4),
        "tied": np.repeat(own.mean(axis=0)[None], 3, axis=0),
    }[structure]
    assert_allclose(fit.members.mean, means)
    densities = np.column_stack(
        [stats.multivariate_normal(m, c).logpdf(X) for m, c in zip(means, covariances, strict=True)]
    )
    assert_allclose(fit.log_likelihood, (densities[np.arange(150), y] - np.log(3)).sum())
    assert (fit.predict(X) == densities.argmax(axis=1)).all()
    assert fit.n_parameters == n_parameters + 2
    if structure == "tied":
        assert "the classes share parameters" in fit.of(0).no_errors_because
        assert (fit.predict(X) == LinearDiscriminantAnalysis().fit(X, y).predict(X)).all()
    if structure == "full":
        assert fit.of(0).no_errors_because is None
        # its covariances divide by n - 1
        theirs = QuadraticDiscriminantAnalysis().fit(X, y)
        assert (fit.predict(X) == theirs.predict(X)).mean() > 0.99


def test_labels_of_any_kind():
    x = np.r_[rng(12).gamma(2, 1, 50), rng(13).gamma(20, 1, 80)]
    y = ["few"] * 50 + [7] * 80
    fit = mle.fit(Gamma(), x, y)
    assert set(fit.classes_) == {"few", 7}
    assert fit.score(x, y) > 0.9
    assert_allclose(sorted(fit.priors), [5 / 13, 8 / 13])
    assert fit.families[list(fit.classes_).index(7)].shape.ndim == 0
    assert_allclose(fit.predict_proba(x).sum(axis=1), 1)
    assert mle.fit(Poisson(), [1, 2, 9, 8], [True, True, False, False]).score([2], [True]) == 1


@pytest.mark.parametrize("family", [Gamma(), StudentT(), Weibull()])
def test_each_class_is_fitted_as_alone(family):
    x, y = rng(14).gamma(2, 3, 300), rng(15).integers(0, 3, 300)
    weights = rng(16).uniform(0.5, 2, 300)
    fit = mle.fit(family, x, y, sample_weight=weights)
    for k in range(3):
        alone = mle.fit(family, x[y == k], sample_weight=weights[y == k])
        for name in family.domains:
            assert_allclose(fit.families[k].parameters[name], alone.parameters[name], rtol=1e-6)
    assert_allclose(fit.priors, np.bincount(y, weights) / weights.sum())


@pytest.mark.parametrize(
    "family", [Gamma(), MultivariateNormal(), MultivariateNormal(covariance_type="tied")]
)
def test_many_classes(family, monkeypatch):
    X, y = rng(14).gamma(2, 3, (800, 2)), np.arange(800) % 80
    weights = rng(16).uniform(0.5, 2, 800)
    fit = mle.fit(family, X, y, sample_weight=weights)
    monkeypatch.setattr("fastem.mle.labelled._MANY", 80)
    table = mle.fit(family, X, y, sample_weight=weights)
    assert_allclose(fit.log_likelihood, table.log_likelihood, rtol=1e-12)
    for name in family.domains:
        ours, theirs = fit.members.parameters[name], table.members.parameters[name]
        assert_allclose(ours, theirs, rtol=1e-9)


def test_fixed_parameters_of_classes():
    x, y = rng(17).normal(size=90), np.arange(90) % 3
    fit = mle.fit(Normal(), x, y, fixed={"sd": 1.0})
    assert fit.n_parameters == 3 + 2
    assert_allclose([f.mean for f in fit.families], [x[y == k].mean() for k in range(3)])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1, 2], "y has 2 entries, but X has 6 rows"),
        ([1, 2, None, 1, 2, 1], "label of row 2, counted from 0, is missing"),
        ([1, 2, np.nan, 1, 2, 1], "label of row 2"),
        (np.ones((6, 2)), "one label for each row"),
        ([0, 0, 0, 0, 1, 1], "class 1: Gamma: all values are equal"),
    ],
)
def test_what_is_wrong_with_labels(y, message):
    with pytest.raises(ValueError, match=message):
        mle.fit(Gamma(), [1.0, 2.0, 3.0, 4.0, 5.0, 5.0], y)


def test_prediction_looks_at_its_rows():
    fit = mle.fit(Gamma(), [1.0, 2.0, 3.0, 5.0], [0, 0, 1, 1])
    with pytest.raises(ValueError, match="Gamma is a distribution of numbers above 0"):
        fit.predict([np.inf])
    with pytest.raises(ValueError, match="1 value that is NaN"):
        fit.predict([np.nan])
    with pytest.raises(ValueError, match="X has 2 columns"):
        fit.predict([[1.0, 2.0]])
    with pytest.raises(ValueError, match="no class 5: they are 0, 1"):
        fit.of(5)
    # where no class has a density only the priors are left
    assert_allclose(fit.predict_proba([-1.0, 0.0]), [[0.5, 0.5]] * 2)
    codes = mle.fit(Categorical(), [0.0, 1.0, 1.0, 2.0, 2.0], [0, 0, 0, 1, 1])
    assert_allclose(codes.predict_proba([7.0, 2.0]), [[0.6, 0.4], [0.0, 1.0]], atol=1e-99)
    ranges = mle.fit(Uniform(), [0.0, 1.0, 0.5, 2.0, 3.0], [0, 0, 0, 1, 1])
    assert_allclose(ranges.predict_proba([9.0]), [[0.6, 0.4]])


# --- goodness of fit, table, picture --------------------------------------------------------------


def test_goodness_of_fit_is_scipys():
    x = rng(18).gamma(2, 3, 200)
    fit = mle.fit(Gamma(), x)
    found, theirs = fit.goodness_of_fit(), stats.kstest(x, fit.family.scipy().cdf)
    assert (found.statistic, found.pvalue) == (theirs.statistic, theirs.pvalue)
    assert "too high" in str(found)
    x = rng(19).poisson(2, 500)
    fit = mle.fit(Poisson(), x)
    # cells 0, 1, ..., 5 and all above, each of which 5 values are expected in
    seen = np.r_[np.bincount(x, minlength=6)[:6], (x > 5).sum()]
    known = fit.family.scipy()
    expected = 500 * np.r_[known.pmf(np.arange(6)), known.sf(5)]
    assert expected[-1] >= 5 > 500 * known.sf(6)
    theirs = stats.chisquare(seen, expected, ddof=1)
    assert_allclose(fit.goodness_of_fit().pvalue, theirs.pvalue, rtol=1e-9)
    assert (
        mle.fit(Poisson(), rng(20).negative_binomial(1, 0.2, 500)).goodness_of_fit().pvalue < 1e-9
    )
    weighted = mle.fit(Gamma(), [1.0, 2.0, 3.0], sample_weight=[1, 2, 1])
    assert str(weighted.goodness_of_fit()) == "no test for weighted data"


def test_p_values_of_chi_square_are_uniform():
    """A fitted parameter takes a degree of freedom."""
    values = [
        mle.fit(Poisson(), rng(seed).poisson(3, 300)).goodness_of_fit().pvalue
        for seed in range(300)
    ]
    assert stats.kstest(values, "uniform").pvalue > 0.01


def test_the_table():
    fit = mle.fit(Normal(), [1.0, 2.0, 3.0, 6.0])
    lines = repr(fit).splitlines()
    assert lines[0] == "Normal by maximum likelihood: 4 rows"
    assert lines[1].split() == ["estimate", "std.", "error", "95", "%", "interval"]
    assert lines[2].split() == ["mean", "3", "0.9354", "[1.1666,", "4.8334]"]
    assert lines[4].startswith("log-likelihood -8.181280, 2 parameters, AIC 20.3626")
    assert lines[5].startswith("goodness of fit: Kolmogorov-Smirnov")


@pytest.mark.parametrize("family", [Gamma(), Poisson(), Normal()])
def test_a_picture(family, tmp_path):
    pytest.importorskip("matplotlib")
    X = rng(21).poisson(4, (300, 2)).astype(float) + (family.support.low == 0)
    figure = mle.fit(family, X).plot()
    assert len(figure.axes) == 4
    figure.savefig(tmp_path / "fit.png")
    left = figure.axes[0]
    assert left.get_xlabel() == "x1"
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["data", "fitted"]


def test_pictures_that_there_are_not(monkeypatch):
    X = rng(22).normal(size=(30, 9))
    with pytest.raises(ValueError, match="not of one variable"):
        mle.fit(MultivariateNormal(), X).plot()
    with pytest.raises(ValueError, match="9 columns, and pictures of 8"):
        mle.fit(Normal(), X).plot()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r"fastem\[plot\]"):
        mle.fit(Normal(), X[:, 0]).plot()


# --- what is wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "X", "options", "error", "message"),
    [
        (3, [1.0, 2.0], {}, TypeError, "3 is not a distribution of fastem.families"),
        (Normal(), [1.0, np.nan, 2.0], {}, ValueError, "(?s)1 value that is NaN.*row 1.*censored="),
        (Normal(), [1.0, np.inf, 2.0], {}, ValueError, "inf in row 1"),
        (Gamma(), [1.0, 0.0, 2.0], {}, ValueError, "above 0: 1 value is not.*row 1"),
        (Poisson(), [1.0, 2.5], {}, ValueError, "2.5 in row 1"),
        (Normal(), [2.0, 2.0], {}, DegenerateFitError, "Normal: all values are equal.*columns; in"),
        (Normal(), ["a", "b"], {}, ValueError, "could not convert"),
        (Normal(), np.ones((2, 2, 2)), {}, ValueError, "dim 3"),
        (Normal(), [1.0, 2.0], {"sample_weight": [1, -1]}, ValueError, "Negative values"),
        (Normal(), [1.0, 2.0], {"sample_weight": [1]}, ValueError, "sample_weight"),
        (StudentT(*[[1.0, 2.0]] * 3), [1.0, 2.0], {}, ValueError, "2 columns, but the data have 1"),
        (Normal.stacked([Normal(0, 1)] * 2), [1.0, 2.0], {}, ValueError, "2 distributions"),
    ],
)
def test_what_is_wrong_is_named(family, X, options, error, message):
    with pytest.raises(error, match=message):
        mle.fit(family, X, **options)


def test_bounds_in_the_wrong_order_are_shown_as_numbers():
    with pytest.raises(ValueError, match=r"but they are 3\.0 and 1\.0$"):
        Uniform(3, 1)


def test_a_level_is_a_probability():
    fit = mle.fit(Normal(), [1.0, 2.0, 4.0])
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        fit.confidence_intervals(95)
    narrow, wide = (fit.confidence_intervals(level)["mean"] for level in (0.5, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_all_families_are_looked_at():
    assert {case.values[0].__class__.__name__ for case in CASES} == set(FAMILIES)


def test_results_are_pickled():
    y = np.arange(60) % 2
    for fit in (
        mle.fit(Gamma(), rng(23).gamma(2, 3, (60, 2))),
        mle.fit(Weibull(), rng(23).gamma(2, 3, 60)),
        mle.fit(Exponential(), rng(23).exponential(1, 60), censored=y),
        mle.fit(Normal(), rng(23).normal(size=60), y),
    ):
        assert repr(pickle.loads(pickle.dumps(fit))) == repr(fit)
