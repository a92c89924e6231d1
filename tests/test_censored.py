"""Values of which only bounds are known: EM, the likelihood of what is seen, and its errors."""

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.optimize import minimize
from scipy.special import ndtri

from fastem import mle
from fastem.exceptions import DegenerateFitError
from fastem.families import (
    FAMILIES,
    Bernoulli,
    Beta,
    Binomial,
    Exponential,
    Gamma,
    Geometric,
    Laplace,
    LogNormal,
    MultivariateNormal,
    NegativeBinomial,
    Normal,
    Poisson,
    StudentT,
    Uniform,
    VonMises,
    Weibull,
)
from fastem.families.base import Family
from fastem.families.truncation import log_mass

# --- the textbook's -------------------------------------------------------------------------------


def test_one_exponential_time_seen_and_one_missing():
    fit = mle.fit(Exponential(), [5.0, 0.0], censored=["none", "right"])
    assert_allclose(fit.family.rate, 0.2, rtol=1e-10)
    # a missing value tells nothing: the error is that of one observation
    assert_allclose(fit.standard_errors["rate"], 0.2, rtol=1e-8)
    assert_allclose(fit.log_likelihood, np.log(0.2) - 1, rtol=1e-12)


def test_an_em_step_is_the_textbooks():
    """theta <- 2 theta / (5 theta + 1)."""
    theta = 0.7
    values, probabilities = Exponential(theta).truncated(np.array([0.0]), np.array([np.inf]))
    X = np.r_[5.0, values.ravel()][:, None]
    members = Exponential(theta).members()
    after = members.maximise(members.accumulate(X, np.r_[1.0, probabilities.ravel()][:, None]))
    assert_allclose(after.rate, [[2 * theta / (5 * theta + 1)]], rtol=1e-12)


def test_nine_times_and_one_censored():
    times = np.r_[np.full(9, 27.2 / 9), 7.0]
    fit = mle.fit(Exponential(), times, censored=times == 7)
    assert_allclose(fit.family.rate, 5 / 19, rtol=1e-10)
    assert_allclose(fit.standard_errors["rate"], 5 / 19 / 3, rtol=1e-8)
    low, high = fit.confidence_intervals()["rate"]
    assert_allclose([low, high], 5 / 19 * np.exp(np.array([-1, 1]) * ndtri(0.975) / 3), rtol=1e-6)
    assert (np.diff(fit.trace) >= -1e-10).all()
    assert fit.trace[-1] <= fit.log_likelihood + 1e-9
    assert "no test for censored data" in repr(fit)


# --- against the likelihood of what is seen -------------------------------------------------------


def censored_right(family, n, seed, share=0.7):
    x = family.sample(n, seed)
    limit = np.quantile(x, share)
    return np.minimum(x, limit), x > limit


def negative(distribution, x, censored):
    with np.errstate(all="ignore"):
        density = distribution.logpdf if hasattr(distribution, "logpdf") else distribution.logpmf
        found = density(x[~censored]).sum() + distribution.logsf(x[censored]).sum()
    return -found if np.isfinite(found) else np.inf


RIGHT = [
    Beta(2.0, 3.0),
    Exponential(0.3),
    Gamma(2.0, 3.0),
    Gamma(0.4, 1.0),
    Geometric(0.2),
    Laplace(1.0, 2.0),
    LogNormal(1.0, 0.5),
    NegativeBinomial(3.0, 0.3),
    Normal(3.0, 2.0),
    Poisson(4.0),
    StudentT(5.0, 1.0, 2.0),
    Weibull(1.5, 2.0),
]


@pytest.mark.parametrize("truth", RIGHT, ids=lambda f: str(f))
def test_right_censored_values(truth):
    """No step in any direction gains, and neither does SciPy's search."""
    x, censored = censored_right(truth, 300, 0)
    fit = mle.fit(truth.blank(), x, censored=censored)
    assert_allclose(fit.log_likelihood, -negative(fit.family.scipy(), x, censored), rtol=1e-10)
    members = fit.family.members()
    at = members.unconstrained()[0]

    def lost(z):
        one = members.from_unconstrained(z[None]).member(0).scalar().scipy()
        return negative(one, x, censored)

    best = minimize(lost, at, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12})
    assert fit.log_likelihood >= -best.fun - 1e-9 * abs(best.fun)
    if fit.no_errors_because is None:
        for name, value in fit.parameters.items():
            assert abs(value - truth.parameters[name]) < 5 * fit.standard_errors[name]


def test_the_tobit_of_a_normal():
    x, censored = censored_right(Normal(3.0, 2.0), 400, 1)
    fit = mle.fit(Normal(), x, censored=censored)
    theirs = stats.norm.fit(stats.CensoredData.right_censored(x, censored))
    assert_allclose([fit.family.mean, fit.family.sd], theirs, rtol=1e-4)
    # the score in closed form
    mean, sd = fit.family.mean, fit.family.sd
    z, a = (x[~censored] - mean) / sd, (x[censored] - mean) / sd
    hazard = np.exp(stats.norm.logpdf(a) - stats.norm.logsf(a))
    assert_allclose([z.sum() + hazard.sum(), (z**2 - 1).sum() + (a * hazard).sum()], 0, atol=1e-6)


def test_left_censored_values_are_right_censored_ones_reflected():
    x, censored = censored_right(Normal(3.0, 2.0), 300, 2)
    right = mle.fit(Normal(), x, censored=censored)
    left = mle.fit(Normal(), -x, censored=np.where(censored, "left", "none"))
    assert_allclose(left.family.mean, -right.family.mean, rtol=1e-9)
    assert_allclose(left.family.sd, right.family.sd, rtol=1e-9)
    assert_allclose(left.log_likelihood, right.log_likelihood, rtol=1e-12)


def test_intervals():
    x = np.random.default_rng(3).gamma(2, 3, 300)
    low, high = np.floor(x), np.floor(x) + 1
    low[x > 12], high[x > 12] = 12, np.inf
    low[x < 1] = -np.inf
    bounds = np.column_stack([low, high])
    bounds[:20] = x[:20, None]  # known
    fit = mle.fit(Gamma(), bounds, censored="interval")

    def lost(p):
        known = stats.gamma(np.exp(p[0]), scale=np.exp(p[1]))
        masses = known.cdf(high[20:]) - known.cdf(low[20:])
        return -known.logpdf(x[:20]).sum() - np.log(masses).sum()

    best = minimize(lost, [0, 1], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    assert_allclose([fit.family.shape, fit.family.scale], np.exp(best.x), rtol=1e-6)
    assert_allclose(fit.log_likelihood, -best.fun, rtol=1e-12)


def test_rows_of_a_histogram_are_weights():
    """Counts of intervals are as many rows."""
    edges = np.array([[0.0, 1.0], [1.0, 3.0], [3.0, 9.0], [9.0, np.inf]])
    counts = [30, 50, 25, 3]
    weighted = mle.fit(Weibull(), edges, censored="interval", sample_weight=counts)
    repeated = mle.fit(Weibull(), np.repeat(edges, counts, axis=0), censored="interval")
    assert_allclose(weighted.family.shape, repeated.family.shape, rtol=1e-9)
    assert_allclose(weighted.standard_errors["scale"], repeated.standard_errors["scale"], rtol=1e-6)
    assert weighted.total_weight == 108
    assert_allclose(weighted.bic, repeated.bic, rtol=1e-12)


def test_integers_lie_above_the_lower_and_up_to_the_upper_bound():
    x = np.random.default_rng(4).poisson(4, 300).astype(float)
    codes = np.where(x > 5, 1, np.where(x <= 1, -1, 0))
    fit = mle.fit(Poisson(), np.clip(x, 1, 5), censored=codes)
    known = fit.family.scipy()
    expected = (
        known.logpmf(x[codes == 0]).sum()
        + (codes > 0).sum() * known.logsf(5)
        + (codes < 0).sum() * known.logcdf(1)
    )
    assert_allclose(fit.log_likelihood, expected, rtol=1e-12)
    same = np.column_stack(
        [np.where(codes < 0, -1, np.where(codes > 0, 5, x)), np.where(codes < 0, 1, x)]
    )
    same[codes > 0, 1] = np.inf
    again = mle.fit(Poisson(), same, censored="interval")
    assert_allclose(again.family.rate, fit.family.rate, rtol=1e-9)
    whole = mle.fit(Binomial(n_trials=7), np.minimum(x[x <= 7], 5), censored=x[x <= 7] > 5)
    tail = stats.binom(7, whole.family.p)
    rows = x[x <= 7]
    assert_allclose(
        whole.log_likelihood,
        tail.logpmf(rows[rows <= 5]).sum() + (rows > 5).sum() * tail.logsf(5),
        rtol=1e-12,
    )


def test_scipys_censored_data():
    x, censored = censored_right(Weibull(1.5, 2.0), 200, 5)
    ours = mle.fit(Weibull(), x, censored=censored)
    theirs = stats.CensoredData.right_censored(x, censored)
    assert_allclose(mle.fit(Weibull(), theirs).family.shape, ours.family.shape, rtol=1e-10)
    shape, _, scale = stats.weibull_min.fit(theirs, floc=0)
    assert_allclose([ours.family.shape, ours.family.scale], [shape, scale], rtol=1e-3)
    bounds = stats.CensoredData(
        uncensored=[1.0, 2.0], left=[0.5], right=[3.0], interval=[[1.0, 1.5]]
    )
    mixed = mle.fit(Weibull(), bounds)
    rows = [[1, 1], [2, 2], [-np.inf, 0.5], [3, np.inf], [1, 1.5]]
    again = mle.fit(Weibull(), rows, censored="interval")
    assert_allclose(mixed.family.shape, again.family.shape, rtol=1e-10)


def test_where_nearly_all_is_hidden():
    """EM alone would take thousands of steps."""
    x = np.random.default_rng(6).normal(size=3000)
    limit = -1.8
    fit = mle.fit(Normal(), np.minimum(x, limit), censored=x > limit)
    z = (np.minimum(x, limit) - fit.family.mean) / fit.family.sd
    hidden = x > limit
    hazard = np.exp(stats.norm.logpdf(z) - stats.norm.logsf(z))
    score = z[~hidden].sum() + hazard[hidden].sum()
    assert abs(score) < 1e-4
    assert abs(fit.family.mean) < 4 * fit.standard_errors["mean"]
    assert len(fit.trace) < 500


def test_fixed_parameters():
    x, censored = censored_right(Normal(3.0, 2.0), 300, 7)
    fit = mle.fit(Normal(), x, censored=censored, fixed={"sd": 2.0})
    z = (x - fit.family.mean) / 2
    hazard = np.exp(stats.norm.logpdf(z) - stats.norm.logsf(z))
    assert_allclose(z[~censored].sum() + hazard[censored].sum(), 0, atol=1e-7)
    assert fit.n_parameters == 1


def test_errors_cover_the_truth():
    inside = []
    for seed in range(150):
        x = np.random.default_rng(seed).exponential(2.0, 50)
        fit = mle.fit(Exponential(), np.minimum(x, 2.5), censored=x > 2.5)
        low, high = fit.confidence_intervals()["rate"]
        inside.append(low < 0.5 < high)
    assert 0.9 < np.mean(inside) < 0.99


# --- truncated distributions ----------------------------------------------------------------------

BOUNDS = [(0.0, 0.3), (0.2, 1.0), (1.0, 1.001), (0.5, np.inf), (2.5, np.inf), (0.0, np.inf)]
TRUNCATED = [
    (Gamma(2.0, 0.7), lambda x: (x, mpmath.log(x))),
    (Gamma(0.4, 2.0), lambda x: (x, mpmath.log(x))),
    (Normal(0.3, 1.2), lambda x: (x, x * x)),
    (Exponential(1.7), lambda x: (x,)),
    (LogNormal(0.1, 0.8), lambda x: (mpmath.log(x), mpmath.log(x) ** 2)),
]


@pytest.mark.parametrize(("family", "statistics"), TRUNCATED, ids=lambda v: str(v)[:20])
def test_expectations_given_bounds(family, statistics):
    """Against integrals of 30 digits."""
    low, high = np.array(BOUNDS).T
    values, probabilities = family.truncated(low, high)
    assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    generic = Family.truncated(family, low, high)
    with mpmath.workdps(30):

        def density(x):
            return mpmath.mpf(1) * mpmath.exp(exact(x))

        exact = {
            Gamma: lambda x: (family.shape - 1) * mpmath.log(x) - x / family.scale,
            Normal: lambda x: -(((x - family.mean) / family.sd) ** 2) / 2,
            Exponential: lambda x: -family.rate * x,
            LogNormal: lambda x: (
                -(((mpmath.log(x) - family.mu) / family.sigma) ** 2) / 2 - mpmath.log(x)
            ),
        }[type(family)]
        for i, (a, b) in enumerate(BOUNDS):
            cuts = [a, *(c for c in (1e-8, 1e-3, 0.1, 1, 3, 10, 30, 100) if a < c < b)]
            cuts.append(1000 if np.isinf(b) else b)
            mass = mpmath.quad(density, cuts)
            for j in range(len(statistics(mpmath.mpf(2)))):
                wanted = mpmath.quad(lambda x, j=j: statistics(x)[j] * density(x), cuts) / mass
                for v, p in ((values[i], probabilities[i]), (generic[0][i], generic[1][i])):
                    if len(v) == 1 and j > 0:
                        continue
                    found = sum(
                        float(statistics(mpmath.mpf(float(x)))[j]) * q
                        for x, q in zip(v, p, strict=True)
                        if x > 0 or type(family) in (Normal, Exponential)
                    )
                    if type(family) is LogNormal and len(v) < 3:
                        continue
                    assert_allclose(found, float(wanted), rtol=1e-8, atol=1e-8)


def test_closed_forms_are_the_sums():
    low, high = np.array([[3, np.inf], [-np.inf, 5], [2, 6], [30, np.inf], [-1, np.inf]]).T
    values, _ = Poisson(4.2).truncated(low, high)
    nodes, probabilities = Family.truncated(Poisson(4.2), low, high)
    assert_allclose(values[:, 0], (nodes * probabilities).sum(axis=1), rtol=1e-12)
    low = np.array([0.0, 0.5, 0.5, 0.0, 2.0])
    high = np.array([np.inf, np.inf, 0.5 + 1e-5, 1e-2, 9.0])
    values, _ = Exponential(1.7).truncated(low, high)
    nodes, probabilities = Family.truncated(Exponential(1.7), low, high)
    assert_allclose(values[:, 0], (nodes * probabilities).sum(axis=1), rtol=1e-11)
    low, high = np.array([[9.0, np.inf], [-np.inf, -9.0], [2, 2 + 1e-9], [-1, 3]]).T
    values, probabilities = Normal(0.3, 1.2).truncated(low, high)
    nodes, weights = Family.truncated(Normal(0.3, 1.2), low, high)
    for power in (1, 2):
        ours, theirs = (values**power * probabilities), (nodes**power * weights)
        assert_allclose(ours.sum(axis=1), theirs.sum(axis=1), rtol=1e-10)


def test_masses_keep_their_digits():
    known = stats.norm()
    low = np.array([-np.inf, 30.0, 10.0, 1.0, -40.0, -1.0])
    high = np.array([-30.0, np.inf, 10.5, 1 + 1e-12, -39.0, np.inf])
    with mpmath.workdps(40):
        exact = [
            float(mpmath.log(mpmath.ncdf(b) - mpmath.ncdf(a)))
            if b < 5
            else float(mpmath.log(mpmath.ncdf(-a) - mpmath.ncdf(-b)))
            for a, b in zip(map(mpmath.mpf, low), map(mpmath.mpf, high), strict=True)
        ]
    # the width of the fourth is rounded in the numbers themselves
    assert_allclose(log_mass(known, low, high), exact, rtol=1e-6)
    assert_allclose(np.delete(log_mass(known, low, high), 3), np.delete(exact, 3), rtol=1e-12)


# --- what is wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "X", "censored", "error", "message"),
    [
        (Normal(), [1.0, np.nan], [0, 1], ValueError, "(?s)NaN, the first in row 1.*censored="),
        (Normal(), [1.0, 2.0], [0], ValueError, "censored has 1 entries, but X has 2 rows"),
        (Normal(), [1.0, 2.0], [0, 3], ValueError, "censored: 3 in row 1"),
        (Normal(), [1.0, 2.0], ["none", "up"], ValueError, "'up' in row 1.*'left', 'right'"),
        (Normal(), [1.0, 2.0], "right", ValueError, "censored='right' is not known: give"),
        (Normal(), [1.0, 2.0], "interval", ValueError, "two columns"),
        (Normal(), [[1.0, 2.0], [3.0, 1.0]], "interval", ValueError, "3 of row 1.*not below"),
        (Normal(), [[np.inf, np.inf]], "interval", ValueError, "row 0"),
        (Normal(), [1.0, np.inf], [0, 1], ValueError, "infinite in row 1"),
        (Normal(), [[1.0, 2.0], [3.0, 1.0]], [0, 1], ValueError, "fit each by itself"),
        (Gamma(), [1.0, -2.0, 3.0], [0, 0, 1], ValueError, "-2 in row 1"),
        (Gamma(), [1.0, 2.0, -3.0], [0, 0, -1], ValueError, "none is above -inf and at most -3.*2"),
        (Poisson(), [[1, 1], [2.2, 2.8]], "interval", ValueError, "integers.*2.2.*2.8.*row 1"),
        (Exponential(), [1.0, 2.0], [1, 1], DegenerateFitError, "all bounds are on one side"),
        (Exponential(), [1.0, 2.0], [-1, -1], DegenerateFitError, "all bounds are on one side"),
        (MultivariateNormal(), [1.0, 2.0], [0, 1], ValueError, "one variable"),
    ],
)
def test_what_is_wrong_is_named(family, X, censored, error, message):
    with pytest.raises(error, match=message):
        mle.fit(family, X, censored=censored)


def test_what_does_not_go_together():
    data = stats.CensoredData.right_censored([1.0, 2.0], [False, True])
    with pytest.raises(ValueError, match="CensoredData, which says"):
        mle.fit(Normal(), data, censored=[0, 1])
    with pytest.raises(ValueError, match="fit the rows of each label"):
        mle.fit(Normal(), [1.0, 2.0], ["a", "b"], censored=[0, 1])
    with pytest.raises(ValueError, match="no picture of censored data"):
        mle.fit(Exponential(), [1.0, 2.0], censored=[0, 1]).plot()


@pytest.mark.parametrize("family", [Uniform(), VonMises()])
def test_families_of_bounded_values(family):
    """Nothing is known of how far a uniform distribution reaches above a bound."""
    x = np.random.default_rng(8).uniform(-1, 1, 200)
    fit = mle.fit(family, np.minimum(x, 0.5), censored=x > 0.5)
    assert np.isfinite(fit.log_likelihood)
    assert type(family).__name__ in FAMILIES


def test_a_weight_of_0_removes_a_bound():
    x, said = [-5.0, 1.0, 2.0, np.nan, 4.0], np.array([1, 0, 1, -1, 0])
    fit = mle.fit(Gamma(), x, censored=said, sample_weight=[0, 1, 2, 0, 1])
    kept = [1, 2, 4]
    alone = mle.fit(Gamma(), np.array(x)[kept], censored=said[kept], sample_weight=[1, 2, 1])
    assert fit.log_likelihood == alone.log_likelihood
    assert fit.n_samples == 3


@pytest.mark.parametrize(
    ("family", "X", "censored", "expected"),
    [
        (Poisson(), [[-1, 0], [0, 2], [2, 4], [1, 1]], "interval", 1.41924),
        (Poisson(), [[-np.inf, 0], [0.5, 2.5], [2, 4.9], [1, 1]], "interval", 1.41924),
        (Poisson(), [[0, 2], [0, 2]], "interval", np.sqrt(2)),
        (Poisson(), [0, 3, 2], ["left", 0, 0], 5 / 3),
        (Geometric(), [1, 3, 2], [-1, 0, 0], 0.5),
        (Bernoulli(), [0, 1, 0, 1], [-1, 0, 0, 0], 0.5),
        (Bernoulli(), [0, 1, 0, 1], [1, 0, 0, 0], 0.75),
        (Binomial(n_trials=10), [9, 5, 6], [1, 0, 0], 0.7),
    ],
)
def test_integers_at_the_edge_of_the_support(family, X, censored, expected):
    fit = mle.fit(family, X, censored=censored)
    assert_allclose(next(iter(fit.parameters.values())), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("family", "X"),
    [(Bernoulli(), [0, 1, 0, 1]), (Binomial(n_trials=3), [0, 3, 1, 1])],
)
def test_there_is_nothing_above_the_greatest_integer(family, X):
    with pytest.raises(ValueError, match="n_trials"):
        mle.fit(Binomial(), X, censored=[1, -1, 1, 1])
    with pytest.raises(ValueError, match=f"none is above {X[1]} and at most inf.*row 1"):
        mle.fit(family, X, censored=[0, 1, 0, 0])
