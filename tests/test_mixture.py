"""`Mixture`: of any families."""

import warnings

import numpy as np
import pytest
import sklearn
from distributions import EXAMPLES, sampled
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.fixes import parse_version

import fastem
from fastem import GaussianMixture, Mixture
from fastem.covariances import COVARIANCES
from fastem.exceptions import DegenerateFitError
from fastem.families import (
    Categorical,
    Exponential,
    FamilyMixture,
    Gamma,
    MultivariateNormal,
    Normal,
    Poisson,
    Product,
    Sample,
)
from fastem.families.mixtures import LinearMixture
from fastem.families.normal_mixtures import NormalMixture

HASSELBLAD = np.repeat(np.arange(10.0), [162, 267, 271, 185, 111, 61, 27, 8, 3, 1])[:, None]
EARTHQUAKES = np.array(  # a year, 1900 to 2006
    [
        *[13, 14, 8, 10, 16, 26, 32, 27, 18, 32, 36, 24, 22, 23, 22, 18, 25, 21, 21, 14, 8, 11, 14],
        *[23, 18, 17, 19, 20, 22, 19, 13, 26, 13, 14, 22, 24, 21, 22, 26, 21, 23, 24, 27, 41, 31],
        *[27, 35, 26, 28, 36, 39, 21, 17, 22, 17, 19, 15, 34, 10, 15, 22, 18, 15, 20, 15, 22, 19],
        *[16, 30, 27, 29, 23, 20, 16, 21, 21, 25, 16, 18, 15, 18, 14, 10, 15, 8, 15, 6, 11, 8, 7],
        *[18, 16, 13, 12, 13, 20, 15, 16, 12, 18, 15, 16, 13, 15, 16, 11, 11],
    ]
)[:, None]

_COINCIDE = "rows that coincide: a component collapses, and the likelihood has no maximum"
_COLLAPSE = {
    "check_estimators_dtypes",
    "check_sample_weights_pandas_series",
    "check_sample_weights_not_an_array",
    "check_sample_weights_shape",
    "check_sample_weights_not_overwritten",
    "check_sample_weight_equivalence_on_dense_data",
}
if parse_version(sklearn.__version__) < parse_version("1.8"):  # it takes ten rows there
    _COLLAPSE.add("check_n_features_in_after_fitting")


@parametrize_with_checks(
    [Mixture(), Mixture("Normal", 2, random_state=0)],
    expected_failed_checks=lambda estimator: (
        dict.fromkeys(_COLLAPSE, _COINCIDE) if estimator.n_components else {}
    ),
)
def test_scikit_learns_estimator_checks(estimator, check):
    check(estimator)


# --- published numbers ----------------------------------------------------------------------------


def test_hasselblads_poisson_mixture():
    """Varadhan, Roland (2008): the last digits take EM thousands of steps."""
    model = Mixture("Poisson", 2, tol=0, max_iter=20_000, random_state=0)
    with pytest.warns(ConvergenceWarning):
        model.fit(HASSELBLAD)
    order = np.argsort(model.weights_)[::-1]
    assert model.weights_[order[0]] == pytest.approx(0.6401146029910, abs=1e-8)
    rates = [float(model.components_[k].rate) for k in order]
    np.testing.assert_allclose(rates, [2.6634043566619, 1.2560951012662], atol=1e-8)
    assert model.score(HASSELBLAD) * len(HASSELBLAD) == pytest.approx(-1989.945859883, abs=1e-8)


def test_earthquakes_as_a_mixture_of_three_poissons():
    model = Mixture("Poisson", 3, tol=1e-13, max_iter=50_000, random_state=0).fit(EARTHQUAKES)
    rates = np.array([float(c.rate) for c in model.components_])
    order = rates.argsort()
    np.testing.assert_allclose(rates[order], [12.736078, 19.785521, 31.629807], atol=1e-3)
    np.testing.assert_allclose(model.weights_[order], [0.277567, 0.592780, 0.129654], atol=1e-4)
    assert -model.score(EARTHQUAKES) * len(EARTHQUAKES) == pytest.approx(356.8489, abs=1e-4)


def test_old_faithful_waiting(faithful):
    X = faithful[:, 1:]
    model = Mixture("Normal", 2, tol=1e-13, random_state=0).fit(X)
    first, second = sorted(model.components_, key=lambda c: float(c.mean))
    assert float(first.mean) == pytest.approx(54.614901, abs=1e-4)
    assert float(second.sd) == pytest.approx(5.867706, abs=1e-4)
    assert model.score(X) * len(X) == pytest.approx(-1034.001750, abs=1e-5)


# --- the numbers are those of a plain twin --------------------------------------------------------


def plain_em(X, weights, distributions, log_pdf, maximise, sample_weight, steps):
    """EM in a few lines, one component and column at a time."""
    trace = []
    for _ in range(steps):
        joint = np.stack(
            [
                np.log(w) + log_pdf(X, d).sum(axis=1)
                for w, d in zip(weights, distributions, strict=True)
            ],
            axis=1,
        )
        top = joint.max(axis=1, keepdims=True)
        total = np.log(np.exp(joint - top).sum(axis=1)) + top[:, 0]
        r = np.exp(joint - total[:, None]) * sample_weight[:, None]
        trace.append(total @ sample_weight)
        weights = r.sum(axis=0) / r.sum()
        distributions = [maximise(X, r[:, k]) for k in range(len(weights))]
    return np.array(trace), weights, distributions


@pytest.mark.parametrize("n_rows", [300, 20_000])
@pytest.mark.parametrize("weighted", [False, True])
def test_poisson_in_columns_equals_plain_numpy(n_rows, weighted):
    rng = np.random.default_rng(0)
    rates = np.array([[1.0, 20.0, 4.0], [6.0, 14.0, 5.0]])
    X = rng.poisson(rates[rng.integers(0, 2, n_rows)]).astype(float)
    sample_weight = rng.uniform(0.5, 2.0, n_rows) if weighted else np.ones(n_rows)
    start = [Poisson([2.0, 16.0, 4.0]), Poisson([4.0, 15.0, 6.0])]
    trace, weights, found = plain_em(
        X,
        np.array([0.5, 0.5]),
        [d.rate for d in start],
        lambda X, rate: stats.poisson(rate).logpmf(X),
        lambda X, r: r @ X / r.sum(),
        sample_weight,
        8,
    )
    model = Mixture(start, tol=0, max_iter=8)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, sample_weight=sample_weight if weighted else None)
    np.testing.assert_allclose(
        np.array(model.lower_bounds_) * sample_weight.sum(), trace, rtol=1e-11
    )
    np.testing.assert_allclose(model.weights_, weights, rtol=1e-9)
    np.testing.assert_allclose([c.rate for c in model.components_], found, rtol=1e-9)


@pytest.mark.parametrize("structure", [*COVARIANCES, "Normal"])
def test_normals_are_gaussian_mixture(structure):
    """`MultivariateNormal` of each structure, and `Normal`, whose columns are independent."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(2000, 3)) + 3 * rng.integers(0, 2, (2000, 1)) + 1e6
    r = np.eye(2)[(X[:, 0] > 1e6 + 1.5).astype(int)]
    family, covariance_type = Normal(), "diag"
    if structure in COVARIANCES:
        family, covariance_type = MultivariateNormal(covariance_type=structure), structure
    theirs = GaussianMixture(2, covariance_type=covariance_type, reg_covar=0, tol=0, max_iter=7)
    theirs.set_params(init_params=r)
    ours = Mixture(family, 2, tol=0, max_iter=7, init_params=r)
    for model in (theirs, ours):
        with pytest.warns(ConvergenceWarning):
            model.fit(X)
    assert type(ours._model) is NormalMixture
    np.testing.assert_allclose([c.mean for c in ours.components_], theirs.means_, rtol=1e-12)
    variances = [c.variance for c in ours.components_]
    matrices = COVARIANCES[covariance_type].matrices(theirs.covariances_, 2, 3)
    np.testing.assert_allclose(variances, matrices.diagonal(0, 1, 2), rtol=1e-6)
    np.testing.assert_allclose(ours.lower_bounds_, theirs.lower_bounds_, rtol=1e-9)
    assert ours.bic(X) == pytest.approx(theirs.bic(X), rel=1e-9)


@pytest.mark.parametrize("name", ["Gamma", "Poisson", "Normal"])
def test_kernels_and_the_general_path_agree(name):
    one, two = {
        "Gamma": (Gamma(2.0, 1.0), Gamma(9.0, 2.0)),
        "Poisson": (Poisson(3.0), Poisson(11.0)),
        "Normal": (Normal(1.0, 2.0), Normal(8.0, 1.0)),
    }[name]
    X = np.concatenate([one.sample(3000, 0), two.sample(2000, 1)])[:, None]
    weights = np.random.default_rng(0).uniform(0.1, 3.0, len(X))
    special = FamilyMixture.of(np.array([0.3, 0.7]), [one, two])
    general = FamilyMixture(special.weights, special.parts)
    assert type(special) is not FamilyMixture
    data = Sample(X, weights)
    for _ in range(5):
        ours, theirs = special.accumulate(data), general.accumulate(data)
        assert ours.log_likelihood == pytest.approx(theirs.log_likelihood, rel=1e-11)
        special, general = special.maximise(ours), general.maximise(theirs)
    np.testing.assert_allclose(
        special.unconstrained(), general.unconstrained(), rtol=1e-8, atol=1e-9
    )


@pytest.mark.parametrize("family", ["Poisson", "Gamma", "Normal"])
def test_the_same_bits_for_any_number_of_threads(family):
    X = Gamma(2.0, 3.0).sample(60_000, 0)[:, None] + 0.01
    X = np.hstack([X, X[::-1]])
    if family == "Poisson":
        X = np.floor(1000 * X)  # too many different ones to be counted
    estimator = Mixture(family, 3, max_iter=4, tol=0, random_state=0)
    fits = []
    for n_threads in (1, 2, 3):
        with pytest.warns(ConvergenceWarning):
            fits.append(clone(estimator).set_params(n_threads=n_threads).fit(X))
    for other in fits[1:]:
        assert other.lower_bounds_ == fits[0].lower_bounds_
        for a, b in zip(other.components_, fits[0].components_, strict=True):
            for name in a.domains:
                np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize("family", ["Normal", "Gamma", "StudentT", "Weibull"])
def test_the_same_bits_for_any_layout(family):
    X = Gamma(2.0, 3.0).sample(5000, 0).reshape(-1, 2)
    estimator = Mixture(family, 2, max_iter=4, tol=0, random_state=0)
    fits = []
    for layout in (X, np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2]):
        with pytest.warns(ConvergenceWarning):
            fits.append(clone(estimator).fit(layout))
    assert fits[0].lower_bounds_ == fits[1].lower_bounds_ == fits[2].lower_bounds_
    assert fits[0].formula() == fits[1].formula() == fits[2].formula()


# --- what it can do -------------------------------------------------------------------------------


def test_different_families():
    rng = np.random.default_rng(3)
    X = np.concatenate([rng.normal(-3, 1, 2000), rng.gamma(3, 2, 3000)])[:, None]
    model = Mixture([Normal(), Gamma()], n_init=4, random_state=0).fit(X)
    assert model.weights_ == pytest.approx([0.4, 0.6], abs=0.02)
    assert float(model.components_[0].mean) == pytest.approx(-3, abs=0.1)
    assert float(model.components_[1].shape) == pytest.approx(3, abs=0.3)
    # a row below 0 cannot be of the gamma distribution
    np.testing.assert_array_equal(model.predict_proba([[-5.0]]), [[1.0, 0.0]])


def test_labels_of_some_rows_hold():
    rng = np.random.default_rng(4)
    X = np.concatenate([rng.poisson(3, 300), rng.poisson(7, 300)])[:, None].astype(float)
    labels = np.full(600, -1)
    labels[:50], labels[300:350] = 1, 0
    model = Mixture("Poisson", 2, random_state=0).fit(X, labels=labels)
    assert float(model.components_[1].rate) < float(model.components_[0].rate)
    every = np.repeat([0, 1], 300)
    model = Mixture("Poisson", 2, random_state=0).fit(X, labels=every)
    # with all labels known it is one maximum-likelihood step
    assert float(model.components_[0].rate) == pytest.approx(X[:300].mean(), rel=1e-10)
    assert model.weights_ == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("n_components", [2, 3])
@pytest.mark.parametrize("seed", range(6))
def test_a_few_labels_name_the_components(n_components, seed):
    """Whatever order the start found the clusters in."""
    rng = np.random.default_rng(seed)
    centres = 10.0 * np.arange(n_components)
    X = (centres[:, None] + rng.normal(size=(n_components, 300))).reshape(-1, 1)
    labels = np.full((n_components, 300), -1)
    labels[:, :10] = np.arange(n_components)[:, None]
    model = Mixture("Normal", n_components, random_state=seed).fit(X, labels=labels.ravel())
    np.testing.assert_allclose([float(c.mean) for c in model.components_], centres, atol=0.5)


def test_weights_repeat_rows():
    rng = np.random.default_rng(5)
    X = np.concatenate([rng.gamma(2, 1, 300), rng.gamma(20, 1, 300)])[:, None]
    weights = rng.integers(0, 4, 600)
    start = [Gamma(2.0, 1.0), Gamma(20.0, 1.0)]
    a = Mixture(start, tol=1e-9).fit(X, sample_weight=weights)
    b = Mixture(start, tol=1e-9).fit(np.repeat(X, weights, axis=0))
    assert a.n_iter_ == b.n_iter_
    for one, other in zip(a.components_, b.components_, strict=True):
        np.testing.assert_allclose([one.shape, one.scale], [other.shape, other.scale], rtol=1e-6)


def test_responsibilities_are_given_for_rows_of_weight_0_too():
    X = np.concatenate([Gamma(2.0, 1.0).sample(100, 0), Gamma(50.0, 1.0).sample(100, 1)])[:, None]
    r, weights = np.repeat(np.eye(2), 100, axis=0), np.arange(200) % 3
    kept = weights > 0
    for init, same in ((r, r[kept]), (lambda X, K, seed: r, r[kept])):
        a = Mixture("Gamma", 2, init_params=init).fit(X, sample_weight=weights)
        b = Mixture("Gamma", 2, init_params=same).fit(X[kept], sample_weight=weights[kept])
        assert a.formula() == b.formula()


def test_counts_are_counted():
    """Few different rows are fitted with weights: the same model, in no time."""
    rng = np.random.default_rng(6)
    X = rng.poisson(rng.choice([2.0, 12.0], (5000, 1))).astype(float)
    data, places = Sample(X).counted()
    assert data.n_rows == len(np.unique(X))
    assert data.total_weight == 5000
    np.testing.assert_array_equal(data.X[places], X)
    spread = X + 0.5
    assert Sample(spread).counted()[1] is None
    start = FamilyMixture.of(np.array([0.5, 0.5]), [Poisson(1.0), Poisson(9.0)])
    assert start.accumulate(data).log_likelihood == pytest.approx(
        start.accumulate(Sample(X)).log_likelihood, rel=1e-12
    )


def test_select_finds_the_number_of_components():
    rng = np.random.default_rng(7)
    X = rng.poisson(rng.choice([2.0, 14.0, 40.0], (2000, 1))).astype(float)
    for criterion in ("bic", "icl"):
        model = Mixture("Poisson", random_state=0)
        assert model.select(X, n_components=range(1, 6), criterion=criterion) is model
        assert model.n_components == 3 == len(model.components_)
        assert min(model.criteria_, key=model.criteria_.get) == 3
    assert model.criteria_[3] == pytest.approx(model.icl(X))
    assert model.icl(X) > model.bic(X) > model.aic(X)
    model.fit(X)
    assert not hasattr(model, "criteria_")
    with pytest.raises(ValueError, match="criterion='best' is not one of bic, aic, icl"):
        model.select(X, criterion="best")


def test_criteria_count_parameters():
    X = Gamma(2.0, 1.0).sample(500, 0)[:, None]
    model = Mixture("Gamma", 2, random_state=0, max_iter=5, tol=1.0).fit(X)
    total = model.score(X) * 500
    assert model.bic(X) == pytest.approx(-2 * total + 5 * np.log(500))
    assert model.aic(X) == pytest.approx(-2 * total + 10)


def test_known_parameters_are_where_em_begins():
    X = Poisson(4.0).sample(200, 0)[:, None]
    model = Mixture([Poisson(2.0), Poisson(6.0)], max_iter=0, weights_init=[0.25, 0.75]).fit(X)
    assert [float(c.rate) for c in model.components_] == [2.0, 6.0]
    assert model.weights_.tolist() == [0.25, 0.75]
    with pytest.raises(ValueError, match="weights_init is used with families that have parameters"):
        Mixture("Poisson", 2, weights_init=[0.5, 0.5]).fit(X)
    with pytest.raises(ValueError, match="to all of the distributions, or to none"):
        Mixture([Poisson(2.0), Poisson()]).fit(X)
    with pytest.raises(ValueError, match="is of 1 columns, but X has 2"):
        Mixture([Poisson(2.0)]).fit(np.hstack([X, X]))


def test_warm_start_continues():
    X = Gamma(2.0, 1.0).sample(2000, 0)[:, None]
    whole = Mixture("Gamma", 2, max_iter=6, tol=0, random_state=0)
    halves = clone(whole).set_params(max_iter=3, warm_start=True)
    with pytest.warns(ConvergenceWarning):
        whole.fit(X)
    with pytest.warns(ConvergenceWarning):
        halves.fit(X).fit(X)
    assert whole.lower_bounds_[3:] == pytest.approx(halves.lower_bounds_, rel=1e-12)
    halves.set_params(n_components=3)
    with pytest.raises(ValueError, match="continues a fit of 2 components"):
        halves.fit(X)


def test_predictions_of_many_rows_follow_the_density():
    model = Mixture.from_string("0.25*Poisson(2) + 0.75*Poisson(10)")
    X = np.arange(30.0)[:, None]
    density = 0.25 * stats.poisson(2).pmf(X[:, 0]) + 0.75 * stats.poisson(10).pmf(X[:, 0])
    np.testing.assert_allclose(model.score_samples(X), np.log(density), rtol=1e-12)
    r = model.predict_proba(X)
    np.testing.assert_allclose(r[:, 0], 0.25 * stats.poisson(2).pmf(X[:, 0]) / density, rtol=1e-10)
    np.testing.assert_array_equal(model.predict(X), r.argmax(axis=1))
    assert model.score_samples([[1.5]]) == -np.inf  # no count


# --- formulas -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "0.7*N(7, 0.5**2) + 0.3*N(10, 0.5**2)",
        "0.5*Poisson(2) + 0.25*Poisson(9) + 0.25*Poisson(30)",
        "0.2*N(-4, 1**2) + 0.8*Gamma(2, 1.5)",
        "Poisson(3)",
        "0.5*Normal([0, 9], [1, 2]) + 0.5*Normal([9, 0], [1, 2])",
        "0.5*Product([N(0, 1**2), Poisson(3)]) + 0.5*Product([N(9, 2**2), Poisson(20)])",
    ],
)
def test_formulas_go_there_and_back(text):
    model = Mixture.from_string(text, random_state=0)
    assert str(model) == text
    assert str(Mixture.from_string(model.formula())) == text
    X, labels = model.sample(4000)
    assert X.shape == (4000, model.n_features_in_)
    counts = np.bincount(labels, minlength=len(model.weights_))
    np.testing.assert_allclose(counts / 4000, model.weights_, atol=0.04)
    before = np.array(model.weights_)
    assert np.isfinite(model.score(X))
    model.set_params(n_init=3).fit(X)
    if len(before) > 1:
        np.testing.assert_allclose(np.sort(model.weights_), np.sort(before), atol=0.05)


def test_a_formula_may_be_arithmetic_and_name_parameters():
    model = fastem.mixture("3/4*Gamma(shape=2, scale=1/2) + Normal(mean=-1, sd=2)*0.25")
    assert model.weights_.tolist() == [0.75, 0.25]
    assert float(model.components_[0].scale) == 0.5
    assert str(model) == "0.75*Gamma(2, 0.5) + 0.25*N(-1, 2**2)"
    two = Mixture.from_string("0.5*Poisson([1, 2]) + 0.5*Poisson([3, 4])")
    assert two.sample(10)[0].shape == (10, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a formula of a mixture: write for example"),
        ("0.5*N(0, 1) +", "is not a formula of a mixture"),
        ("0.5*N(0, 1) + 0.4*N(1, 1)", "sum to 0.9"),
        ("1.5*N(0, 1) + -0.5*N(1, 1)", "at least 0 and sum to 1"),
        ("0.5*M(0, 1) + 0.5*N(0, 1)", "is of no family; there are"),
        ("0.5*N(0) + 0.5*N(0, 1)", "N takes a mean and a variance"),
        ("N(0, -1)", "variance must be above 0"),
        ("Gamma(2)", "without scale"),
        ("Gamma()", "has no parameters"),
        ("Gamma(1, 2, 3)", "no distribution"),
        ("0.5*exponential(1) + 0.5*N(0, 1)", "did you mean 'Exponential'"),
        ("x*N(0, 1)", "'x' is not a number"),
        ("N(0, 1) * N(0, 1)", "not"),
        ("N(0, 9**9**9**9)", "no number"),
        ("__import__('os').system('true')", "is of no family"),
        ("0.5*Poisson(1) + 0.5*Poisson([1, 2])", "of \\[1, 2\\] columns"),
    ],
)
def test_formulas_that_cannot_be_read(text, message):
    with pytest.raises(ValueError, match=message):
        Mixture.from_string(text)


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"family": "poisson"}, ValueError, "family='poisson' is not one of"),
        ({"family": []}, ValueError, "the list is empty"),
        ({"family": [3]}, TypeError, "3 is not a distribution of fastem.families"),
        ({"family": [Poisson(), Poisson()], "n_components": 3}, ValueError, "2 families are given"),
        ({"family": "Gamma", "n_components": 60}, ValueError, "too few for 60 components"),
        ({"family": "Gamma", "tol": -1.0}, ValueError, "'tol' parameter"),
        ({"family": "Gamma", "callbacks": [3]}, TypeError, "callbacks: 3 is not a function"),
    ],
)
def test_parameters_that_cannot_be_used(parameters, error, message):
    X = Gamma(2.0, 1.0).sample(50, 0)[:, None]
    with pytest.raises(error, match=message):
        Mixture(**parameters).fit(X)


def test_data_that_cannot_be_used():
    X = Poisson(4.0).sample(50, 0)[:, None]
    with pytest.raises(ValueError, match=r"integers of at least 0.*the first is 1.5 in row 7"):
        Mixture("Poisson", 2).fit(np.where(np.arange(50)[:, None] == 7, 1.5, X))
    with pytest.raises(ValueError, match="2 rows lie in the support of none of Gamma, Poisson"):
        Mixture(["Gamma", "Poisson"]).fit(np.concatenate([X + 1, [[-1.0], [-0.5]]]))
    with pytest.raises(ValueError, match="labels: 2 in row 1 is no component"):
        Mixture("Poisson", 2).fit(X, labels=[0, 2] * 25)
    with pytest.raises(ValueError, match="labels: one for each of the 50 rows"):
        Mixture("Poisson", 2).fit(X, labels=[0, 1])


def test_a_failed_fit_leaves_the_model_that_was_there():
    X = Gamma(2.0, 1.0).sample(50, 0)[:, None]
    model = Mixture("Gamma", random_state=0).fit(X)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="Gamma is a distribution of numbers above 0"):
        model.fit(-X)
    assert vars(model) == before


def test_a_collapsing_component_is_told_of():
    X = np.concatenate([np.random.default_rng(0).normal(size=50), np.full(50, 7.0)])[:, None]
    with pytest.raises(DegenerateFitError, match=r"collapsed.*Use fewer components"):
        Mixture("Normal", 2, random_state=0).fit(X)
    with pytest.raises(DegenerateFitError, match="all values are equal"):
        Mixture("Gamma", 1).fit(np.full((20, 1), 3.0))


def test_a_component_without_points_has_a_weight_of_0():
    X = Poisson(4.0).sample(500, 0)[:, None]
    model = Mixture([Poisson(4.0), Poisson(1e9)], max_iter=50).fit(X)
    assert model.weights_.tolist() == [1.0, 0.0]
    assert float(model.components_[0].rate) == pytest.approx(X.mean())
    assert np.isfinite(model.score(X))


def test_callbacks_stop_a_fit():
    X = Gamma(2.0, 1.0).sample(500, 0)[:, None]
    model = Mixture("Gamma", 2, callbacks=[lambda i, *_: i == 3], random_state=0, tol=0).fit(X)
    assert (model.n_iter_, model.stop_reason_, model.converged_) == (3, "interrupted", False)


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "family", ["Poisson", ["Gamma", "Poisson"], [Gamma(2.0, 1.0), Gamma(9.0, 2.0)], Gamma()]
)
def test_models_are_saved_and_loaded(family, tmp_path):
    X = np.ceil(np.concatenate([Gamma(2.0, 1.0).sample(300, 0), Gamma(30.0, 1.0).sample(300, 0)]))
    X = X[:, None]
    model = Mixture(family, 2, random_state=0, tol=1e-4).fit(X)
    model.save(tmp_path / "model.fastem")
    again = fastem.load(tmp_path / "model.fastem")
    assert str(again) == str(model)
    assert repr(again) == repr(model)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.lower_bounds_ == model.lower_bounds_
    assert again.bic(X) == model.bic(X)
    again.fit(X)
    assert again.lower_bounds_ == model.lower_bounds_


def test_column_names_are_saved(tmp_path):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame({"visits": [1, 2, 3, 20, 22, 25], "calls": [0, 1, 0, 4, 5, 9]})
    model = Mixture("Poisson", 2, random_state=0).fit(X)
    model.save(tmp_path / "model.fastem")
    assert fastem.load(tmp_path / "model.fastem").feature_names_in_.tolist() == ["visits", "calls"]


def test_a_family_that_loading_would_not_find_is_not_saved(tmp_path):
    class Visits(Poisson):
        """Of a user's own, which no other program knows."""

    X = Visits(2.0).sample(50, 0)[:, None]
    for family in (Visits(), Product([Visits(), Normal()])):
        rows = X if isinstance(family, Visits) else np.column_stack([X, np.arange(50.0)])
        model = Mixture(family, 1).fit(rows)
        with pytest.raises(TypeError, match=r"distribution of Visits.*cannot be saved.*pickle"):
            model.save(tmp_path / "model.fastem")
        assert not list(tmp_path.iterdir())


def test_a_forged_file_is_refused(tmp_path):
    model = Mixture.from_string("0.5*Poisson(1) + 0.5*Poisson(9)")
    arrays, metadata = model._get_state()
    for change in (
        {"component.0.rate": np.array(-1.0)},
        {"weights_": np.array([0.5, 0.9])},
        {"weights_": np.array([1.0])},
    ):
        with pytest.raises(ValueError, match=r"rate must be|not a distribution|weights of shape"):
            Mixture._from_state(arrays | change, metadata)
    with pytest.raises(LookupError):
        Mixture._from_state(arrays, metadata | {"components": [{"family": "os"}] * 2})


# --- every family ---------------------------------------------------------------------------------

CASES = [
    pytest.param(example.family, id=f"{name}-{i}")
    for name, examples in EXAMPLES.items()
    for i, example in enumerate(examples)
]


@pytest.mark.parametrize("family", CASES)
def test_a_mixture_of_every_family(family, tmp_path):
    """Two components on data of one: EM does not fall, and what it leaves can be used."""
    X = sampled(family, 800, 0).reshape(800, -1)
    r = np.random.default_rng(0).dirichlet([1.0, 1.0], 800)
    two = Mixture(family.blank(), 2, init_params=r, tol=0, max_iter=12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        one = Mixture(family.blank(), max_iter=50).fit(X)
        two.fit(X)
    bounds = np.array(two.lower_bounds_)
    assert (np.diff(bounds) >= -1e-9 * np.abs(bounds[1:])).all()
    assert two.score(X) >= bounds[-1] - 1e-9 * abs(bounds[-1])
    assert one.score(X) >= one.lower_bound_ - 1e-9 * abs(one.lower_bound_)
    r = two.predict_proba(X)
    np.testing.assert_allclose(r.sum(axis=1), 1.0, rtol=1e-9)
    read = Mixture.from_string(two.formula())
    np.testing.assert_allclose(read.score_samples(X), two.score_samples(X), rtol=1e-7, atol=1e-7)
    if not family.conditional:
        assert two.sample(5)[0].shape == (5, X.shape[1])
    two.save(tmp_path / "model.fastem")
    again = fastem.load(tmp_path / "model.fastem")
    np.testing.assert_array_equal(again.score_samples(X), two.score_samples(X))


# --- acceleration, regressions --------------------------------------------------------------------


@pytest.mark.parametrize("accelerate", ["squarem", "anderson"])
def test_acceleration_arrives_where_em_does_and_sooner(accelerate):
    plain = Mixture("Poisson", 2, tol=1e-10, max_iter=20_000, random_state=0).fit(HASSELBLAD)
    fast = clone(plain).set_params(accelerate=accelerate).fit(HASSELBLAD)
    assert fast.n_iter_ < plain.n_iter_ / 2
    assert fast.lower_bound_ >= plain.lower_bound_ - 1e-9
    assert np.diff(fast.lower_bounds_).min() >= -1e-12


def test_a_mixture_of_regressions():
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (2000, 1))
    second = rng.random(2000) < 0.4
    y = np.where(second, 1 + 2 * x[:, 0], -1 - x[:, 0]) + rng.normal(0, 0.3, 2000)
    model = Mixture("LinearRegression", random_state=0)
    model.select(x, y, n_components=(1, 2, 3))
    assert model.n_components == 2
    found = sorted(c.coefficients.tolist() for c in model.components_)
    np.testing.assert_allclose(found, [[-1, -1], [1, 2]], atol=0.05)
    rows = np.column_stack([x, y])  # the response is the last column
    labels = model.predict(rows)
    right = (labels == second).mean()
    assert max(right, 1 - right) > 0.95
    assert model.criteria_[2] == pytest.approx(model.bic(rows))
    with pytest.raises(ValueError, match=r"the response as the last column: give np.column_stack"):
        model.predict(x)
    with pytest.raises(ValueError, match="y: the response must be 2000 finite numbers"):
        model.fit(x, y[:7])


def test_uniform_components_begin_apart():
    """Their ranges can only grow less than the start made them: clusters are not mixed."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.uniform(0, 1, 500), rng.uniform(3, 5, 500)])[:, None]
    model = Mixture("Uniform", 2, random_state=0).fit(X)
    np.testing.assert_allclose(sorted(float(c.low) for c in model.components_), [0, 3], atol=0.02)
    np.testing.assert_allclose(sorted(float(c.high) for c in model.components_), [1, 5], atol=0.02)


def test_columns_of_different_kinds():
    rng = np.random.default_rng(1)
    second = rng.random(3000) < 0.4
    X = np.column_stack(
        [
            rng.normal(np.where(second, 5.0, 0.0), 1.0),
            rng.poisson(np.where(second, 9.0, 3.0)),
            np.where(second, rng.integers(1, 3, 3000), rng.integers(0, 3, 3000)),
        ]
    )
    family = Product([Normal(), Poisson(), Categorical()])
    model = Mixture(family, 2, random_state=0).fit(X)
    order = np.argsort(model.weights_)
    assert model.weights_[order[0]] == pytest.approx(0.4, abs=0.02)
    one = model.components_[order[0]]
    assert float(one.mean_0) == pytest.approx(5.0, abs=0.1)
    assert float(one.rate_1) == pytest.approx(9.0, abs=0.3)
    np.testing.assert_allclose(one.p_2, [0.0, 0.5, 0.5], atol=0.04)
    # of exponential families alone, the compiled kernel
    linear = Mixture(Product([Exponential(), Poisson()]), 2, random_state=0)
    linear.fit(np.abs(X[:, :2]) + np.array([0.1, 0.0]))
    assert type(linear._model) is LinearMixture
