"""The continuous families of one variable, beside SciPy, mpmath and their own limits."""

import math
import warnings

import mpmath
import numpy as np
import pytest
from scipy import stats
from test_families import fitted, settled

from fastem.exceptions import DegenerateFitError
from fastem.families import differences, passes
from fastem.families.newton import root
from fastem.families.registry import FAMILIES
from fastem.families.sample import WeightedRows, weighted_quantile
from fastem.families.student_t import MOST_DF
from fastem.families.uniform import LEAST_WEIGHT

CONTINUOUS = ("Beta", "Exponential", "Gamma", "Laplace", "LogNormal", "Normal", "StudentT",
              "Uniform", "VonMises", "Weibull")  # fmt: skip
POSITIVE = ("Exponential", "Gamma", "LogNormal", "Weibull")
WITH_LOCATION = ("Laplace", "Normal", "StudentT", "Uniform")


def best(name, x, weights=None):
    """The maximum likelihood of values: one distribution with numbers for parameters."""
    family, X = FAMILIES[name](), np.reshape(x, (-1, 1)).astype(float)
    if weights is not None:
        weights = np.reshape(weights, (-1, 1)).astype(float)
    members = fitted(family, X, weights)
    return members.member(0).scalar()


def values(distribution):
    return np.array(list(distribution.parameters.values()))


def scipys(name, x):
    """SciPy's fit of the same parameters, in the same order."""
    if name == "Beta":
        return stats.beta.fit(x, floc=0, fscale=1)[:2]
    if name == "Exponential":
        return (1 / stats.expon.fit(x, floc=0)[1],)
    if name == "Gamma":
        return stats.gamma.fit(x, floc=0)[::2]
    if name == "LogNormal":
        sigma, _, median = stats.lognorm.fit(x, floc=0)
        return math.log(median), sigma
    if name == "Uniform":
        low, width = stats.uniform.fit(x)
        return low, low + width
    if name == "VonMises":
        kappa, loc, _ = stats.vonmises.fit(x, fscale=1)
        return loc, kappa
    return {"Laplace": stats.laplace, "Normal": stats.norm}[name].fit(x)


CLOSED = {
    "Beta": (2.0, 0.7), "Exponential": (3.0,), "Gamma": (0.6, 5.0), "Laplace": (1.0, 2.0),
    "LogNormal": (1.0, 0.5), "Normal": (-3.0, 0.2), "Uniform": (2.0, 5.0), "VonMises": (0.5, 3.0),
}  # fmt: skip


@pytest.mark.parametrize("name", CLOSED)
def test_weighted_values_are_scipys_repeated_ones(name):
    x = FAMILIES[name](*CLOSED[name]).sample(301, 0)
    weights = np.random.default_rng(0).integers(1, 5, 301)
    weights[0] += 1 - weights.sum() % 2  # an odd number has one median
    found = best(name, x, weights)
    np.testing.assert_allclose(values(found), scipys(name, np.repeat(x, weights)), rtol=1e-6)


@pytest.mark.parametrize(("name", "distribution", "fixed"), [
    ("Weibull", stats.weibull_min, {"floc": 0}),
    ("StudentT", stats.t, {}),
])  # fmt: skip
def test_no_less_likely_than_what_scipy_finds(name, distribution, fixed):
    x = FAMILIES[name](*{"Weibull": (0.7, 4.0), "StudentT": (3.0, 1.0, 2.0)}[name]).sample(800, 1)
    found, theirs = best(name, x), distribution.fit(x, **fixed)
    likelihood = found.log_density(x).sum()
    assert likelihood >= distribution(*theirs).logpdf(x).sum() - 1e-9
    theirs = theirs[::2] if fixed else theirs
    np.testing.assert_allclose(values(found), theirs, rtol=1e-3)  # its search stops there


def test_student_t_of_darwins_plants():
    """15 differences of heights; a location between the median and the mean, and heavy tails."""
    x = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48.0])
    found = best("StudentT", x)
    gradient = []
    for i, at in enumerate(values(found)):
        moved = [values(found), values(found)]
        for sign in (0, 1):
            moved[sign] = values(found).copy()
            moved[sign][i] = at * (1 + (1 - 2 * sign) * 1e-5)
        rise = [stats.t.logpdf(x, *m).sum() for m in moved]
        gradient.append((rise[0] - rise[1]) / 2e-5)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)
    assert x.mean() < found.loc < np.median(x) + 4
    assert 1 < found.df < 10


# --- every scale ------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-12, 1e12])
@pytest.mark.parametrize("name", POSITIVE)
def test_positive_families_at_any_scale(name, scale):
    scale = 2.0 ** round(math.log2(scale))  # exact, and so are the scaled values
    parameters = {"Exponential": (1.0,), "LogNormal": (0.0, 0.3)}.get(name, (2.5, 1.0))
    x = FAMILIES[name](*parameters).sample(500, 2)
    one, other = best(name, x), best(name, x * scale)
    expected = {
        "Exponential": lambda d: [d.rate / scale],
        "LogNormal": lambda d: [d.mu + math.log(scale), d.sigma],
    }.get(name, lambda d: [d.shape, d.scale * scale])(one)
    np.testing.assert_allclose(values(other), expected, rtol=1e-12)


@pytest.mark.parametrize("offset", [1e6, 1e8])
@pytest.mark.parametrize("scale", [2.0**-40, 1.0, 2.0**40])
@pytest.mark.parametrize("name", WITH_LOCATION)
def test_families_with_a_location_far_from_0(name, scale, offset):
    parameters = (5.0, 0.0, 1.0) if name == "StudentT" else (0.0, 1.0)
    x = np.round(FAMILIES[name](*parameters).sample(500, 3) * 2**20) / 2**20  # exact when moved
    one = values(best(name, x))
    other = values(best(name, (x + offset) * scale))
    with_location = [1] if name == "StudentT" else [0, 1] if name == "Uniform" else [0]
    for i, (a, b) in enumerate(zip(one, other, strict=True)):
        if i in with_location:
            assert b / scale - offset == pytest.approx(a, abs=4e-15 * offset)
        elif name == "StudentT" and i == 0:
            assert b == pytest.approx(a, rel=1e-7)
        else:
            assert b / scale == pytest.approx(a, rel=1e-7)


@pytest.mark.parametrize("shape", [1e-3, 0.1, 7.0, 1e3, 1e6])
def test_weibull_at_extreme_shapes(shape):
    e = np.random.RandomState(4).exponential(size=300)
    with np.errstate(over="ignore", under="ignore"):
        x = e ** (1 / shape)
    x = x[(x > 0) & np.isfinite(x)]
    found = best("Weibull", x)
    with mpmath.workdps(40):
        logs = [mpmath.log(mpmath.mpf(v)) for v in x]

        def profile(c):
            powers = [mpmath.exp(c * y) for y in logs]
            tilted = mpmath.fsum(p * y for p, y in zip(powers, logs, strict=True))
            return tilted / mpmath.fsum(powers) - 1 / c - mpmath.fsum(logs) / len(logs)

        exact = mpmath.findroot(profile, float(found.shape))
    assert float(found.shape / exact) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("shape", [1e-3, 0.1, 7.0, 1e4])
def test_gamma_at_extreme_shapes(shape):
    x = np.random.RandomState(5).gamma(shape, 1.0, 300)
    x = x[x > 0]
    found = best("Gamma", x)
    with mpmath.workdps(40):
        exact = [mpmath.mpf(v) for v in x]
        gap = mpmath.log(mpmath.fsum(exact) / len(x)) - mpmath.fsum(map(mpmath.log, exact)) / len(x)
        root_ = mpmath.findroot(
            lambda a: mpmath.log(a) - mpmath.digamma(a) - gap, float(found.shape)
        )
    assert float(found.shape / root_) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize(
    ("alpha", "beta"), [(0.01, 0.01), (1.0, 30.0), (0.01, 5.0), (1e3, 1e3), (1e5, 1e5), (1e6, 10.0)]
)
def test_beta_at_extreme_shapes(alpha, beta):
    x = np.random.RandomState(6).beta(alpha, beta, 300)
    x = x[(x > 0) & (x < 1)]
    found = best("Beta", x)
    with mpmath.workdps(40):
        exact = [mpmath.mpf(v) for v in x]
        first = mpmath.fsum(map(mpmath.log, exact)) / len(x)
        second = mpmath.fsum(mpmath.log(1 - v) for v in exact) / len(x)
        roots = mpmath.findroot(
            lambda a, b: (
                mpmath.digamma(a) - mpmath.digamma(a + b) - first,
                mpmath.digamma(b) - mpmath.digamma(a + b) - second,
            ),
            (float(found.alpha), float(found.beta)),
        )
    assert float(found.alpha / roots[0]) == pytest.approx(1, abs=1e-10)
    assert float(found.beta / roots[1]) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("loc", [0.0, 3.1, -1.2])
@pytest.mark.parametrize("kappa", [1e-6, 0.1, 5.0, 1e3, 1e6])
def test_von_mises_at_extreme_concentrations(kappa, loc):
    x = loc + np.random.RandomState(7).vonmises(0.0, kappa, 300)
    found = best("VonMises", x)
    with mpmath.workdps(40):
        cosine, sine = (mpmath.fsum(f(mpmath.mpf(v)) for v in x) for f in (mpmath.cos, mpmath.sin))
        length = mpmath.hypot(cosine, sine) / len(x)
        exact = mpmath.findroot(
            lambda k: mpmath.besseli(1, k) / mpmath.besseli(0, k) - length, float(found.kappa)
        )
        direction = float(mpmath.atan2(sine, cosine))
    # 1 less the resultant length is known to a rounding of 1
    assert float(found.kappa / exact) == pytest.approx(1, abs=1e-11 + 2e-15 * kappa)
    assert float(found.loc) == pytest.approx(direction, abs=1e-14)


def test_von_mises_density_where_kappa_is_large():
    density = FAMILIES["VonMises"](2.0, 1e10).log_density(2.0 + 1e-5)
    away = mpmath.mpf(2.0 + 1e-5) - 2
    with mpmath.workdps(40):
        # log(I0(k)) = k - log(2 pi k) / 2 + 1 / (8 k) + ...
        exact = -2e10 * mpmath.sin(away / 2) ** 2 - mpmath.log(2 * mpmath.pi) / 2
        exact += mpmath.log(mpmath.mpf(10) ** 10) / 2 - mpmath.mpf(1) / (8 * 10**10)
    assert density == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize("kappa", [0.0, 1e-6, 0.5, 80.0, 1e6])
def test_von_mises_variance(kappa):
    with mpmath.workdps(20):
        reach = mpmath.pi if kappa < 100 else 40 / mpmath.sqrt(kappa)
        weight, square = (
            mpmath.quad(
                lambda x, p=power: x**p * mpmath.exp(kappa * (mpmath.cos(x) - 1)),
                mpmath.linspace(0, reach, 9),
            )
            for power in (0, 2)
        )
    found = FAMILIES["VonMises"](1.0, kappa).variance
    assert float(found) == pytest.approx(float(square / weight), rel=1e-12)


def test_von_mises_of_angles_all_round():
    x = np.arange(8) * np.pi / 4
    assert best("VonMises", x).kappa < 1e-15
    assert FAMILIES["VonMises"](0.0, 0.0).log_density(1.0) == pytest.approx(-math.log(2 * math.pi))
    turned = FAMILIES["VonMises"](1.0, 2.0)
    assert turned.log_density(0.3 + 2 * np.pi) == pytest.approx(turned.log_density(0.3), rel=1e-12)


# --- Student's t ------------------------------------------------------------------------------


@pytest.mark.parametrize("df", [0.3, 1.0, 4.0, 30.0, 1e6])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_likelihood_of_student_t_never_falls(df, weighted):
    random = np.random.RandomState(8)
    X = 5 + 2 * random.standard_t(df, (400, 1))
    R = random.uniform(0, 2, (400, 2)) if weighted else None
    members = FAMILIES["StudentT"]().prepared(X)
    likelihoods = []
    for _ in range(60):
        members = members.maximise(members.accumulate(X, R))
        densities = members.log_densities(X)
        likelihoods.append((densities if R is None else densities * R).sum(axis=0))
    rise = np.diff(likelihoods, axis=0)
    assert (rise > -1e-11 * np.abs(likelihoods[-1])).all()
    assert np.abs(rise[30:]).max() < 1e-7 * np.abs(likelihoods[-1]).max()


def test_steps_of_expanded_em_alone_never_lose():
    X = np.random.RandomState(9).standard_t(2.0, (300, 1))
    members = FAMILIES["StudentT"]([[30.0]], [[2.0]], [[10.0]])
    before = -np.inf
    for _ in range(200):
        members = members._expanded(members.accumulate(X, None).sums)
        now = members.log_densities(X).sum()
        assert now >= before - 1e-10
        before = now
    assert settled(best("StudentT", X), best("StudentT", X + 0.0))
    assert now == pytest.approx(best("StudentT", X).log_density(X[:, 0]).sum(), abs=1e-6)


def test_degrees_of_freedom_without_end():
    x = stats.norm.ppf((np.arange(400) + 0.5) / 400)
    found = best("StudentT", x)
    assert found.df == MOST_DF
    assert found.loc == pytest.approx(0, abs=1e-12)
    assert found.scale == pytest.approx(x.std(), rel=1e-5)


def test_the_likelihood_from_the_statistics_of_student_t():
    X = np.random.RandomState(10).standard_t(3.0, (200, 2))
    family = FAMILIES["StudentT"]([2.0, 3.0], [0.1, 0.2], [1.0, 1.5]).members()
    R = np.random.RandomState(11).uniform(0, 1, (200, 1))
    sums = family.log_likelihoods(family.accumulate(X, R))
    assert sums.sum() == pytest.approx((family.log_densities(X) * R).sum(), rel=1e-12)
    unknown = FAMILIES["StudentT"]()
    with pytest.raises(ValueError, match="without parameters"):
        unknown.log_likelihoods(unknown.accumulate(X, R))


@pytest.mark.parametrize(
    ("df", "mean", "variance"),
    [(0.7, np.nan, np.nan), (1.5, 3.0, np.inf), (2.0, 3.0, np.inf), (4.0, 3.0, 8.0)],
)
def test_moments_of_student_t(df, mean, variance):
    family = FAMILIES["StudentT"](df, 3.0, 2.0)
    np.testing.assert_equal((family.mean, family.variance), (mean, variance))


# --- the others -------------------------------------------------------------------------------


def test_moments_that_overflow():
    assert FAMILIES["LogNormal"](0.0, 60.0).mean == np.inf
    assert FAMILIES["Weibull"](1e-3, 1.0).mean == np.inf
    assert FAMILIES["Weibull"](1e-3, 1.0).variance == np.inf
    # pi^2 / 6 / shape^2, to first order
    assert FAMILIES["Weibull"](1e6, 1.0).variance == pytest.approx(math.pi**2 / 6e12, rel=1e-5)


@pytest.mark.parametrize("n", [7, 8])
def test_the_lower_median(n):
    x = np.random.default_rng(12).permutation(n) * 1.0
    assert best("Laplace", x).loc == (n - 1) // 2
    weights = np.where(x == n - 1, 100.0, 1.0)
    assert best("Laplace", x, weights).loc == n - 1


@pytest.mark.parametrize("order", ["random", "sorted", "misleading"])
@pytest.mark.parametrize("weighted", [False, True])
def test_medians_of_many_values(order, weighted):
    random = np.random.default_rng(13)
    n = 300_000
    x = random.standard_normal(n)
    if order == "sorted":
        x.sort()
    elif order == "misleading":  # what a sample at equal distances sees is not like the rest
        x[::4] = 50 + random.standard_normal(n // 4)
    R = random.integers(0, 4, (n, 2)).astype(float) if weighted else None
    rows = WeightedRows(((x[: n // 3, None], None if R is None else R[: n // 3]),)) + WeightedRows(
        ((x[n // 3 :, None], None if R is None else R[n // 3 :]),)
    )
    found = rows.on_threads(2).medians()
    for k in range(rows.n_members):
        repeated = x if R is None else np.repeat(x, R[:, k].astype(int))
        exact = np.sort(repeated)[(len(repeated) - 1) // 2]
        assert found[k, 0] == exact


def test_a_quantile_of_weights_that_round():
    values_ = np.array([3.0, 1.0, 2.0])
    assert weighted_quantile(values_, np.full(3, 0.1), 0.1) == 1.0
    assert weighted_quantile(values_, np.full(3, 0.1), 0.3 + 1e-16) == 3.0


def test_which_rows_count_for_a_uniform_distribution():
    X = np.array([[0.0], [1.0], [2.0], [9.0]])
    R = np.array(
        [[1.0, 1e-290, 0.0], [1.0, 1e-290, 1e-3], [1.0, 1e-290, 1e-9], [1e-250, 1e-290, 0]]
    )
    members = FAMILIES["Uniform"]()
    members = members.maximise(members.accumulate(X, R))
    np.testing.assert_array_equal(members.low[:, 0], [0, 0, 1])
    np.testing.assert_array_equal(members.high[:, 0], [2, 9, 2])
    assert LEAST_WEIGHT > 1e-290
    assert members.log_densities(X)[3, 0] == -np.inf


def test_em_of_a_mixture_with_a_uniform_component_settles():
    random = np.random.default_rng(14)
    X = np.concatenate([random.uniform(-20, 20, (300, 1)), random.normal(3, 0.5, (700, 1))])
    families = [FAMILIES["Uniform"](-20.0, 20.0).members(), FAMILIES["Normal"](0.0, 5.0).members()]
    weights, trace = np.array([0.5, 0.5]), []
    for _ in range(300):
        joint = np.concatenate([f.log_densities(X) for f in families], axis=1) + np.log(weights)
        whole = np.logaddexp.reduce(joint, axis=1)
        trace.append(whole.sum())
        R = np.exp(joint - whole[:, None])
        families = [
            f.maximise(f.accumulate(X, np.maximum(R[:, [k]], 1e-290)))
            for k, f in enumerate(families)
        ]
        weights = R.mean(axis=0)
    # its range is first that of the data
    assert (np.diff(trace[1:]) > -1e-9).all()
    assert abs(trace[-1] - trace[-50]) < 1e-6
    assert weights[0] == pytest.approx(0.3, abs=0.05)
    assert families[0].low[0, 0] == X.min()


def test_bounds_of_a_uniform_distribution_in_order():
    with pytest.raises(ValueError, match="low must be below high"):
        FAMILIES["Uniform"](2.0, 2.0)
    crossed = FAMILIES["Uniform"]().with_parameters(low=np.array([[2.0]]), high=np.array([[1.0]]))
    assert crossed.log_densities(np.array([[1.5]]))[0, 0] == -np.inf


@pytest.mark.parametrize("value", [0.1, 1.0, 1e-12, 1e12])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_equal_values_have_no_maximum(name, value):
    if name == "Exponential":
        value = 0.0
    elif name in ("Beta", "VonMises"):
        value = min(value, 0.9)
    with pytest.raises(DegenerateFitError, match=rf"{name}: .*(equal|0).*\. Remove such columns"):
        best(name, np.full(1000, value))
    weights = np.random.default_rng(15).uniform(0, 1, 1000)
    with pytest.raises(DegenerateFitError, match=name):
        best(name, np.full(1000, value), weights)


def test_student_t_collapses_onto_equal_values():
    x = np.concatenate([np.zeros(60), np.random.default_rng(16).standard_normal(40)])
    with pytest.raises(DegenerateFitError, match="StudentT: values are equal"):
        best("StudentT", x)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_a_member_without_points_stays_in_its_domain(name):
    parameters = {**CLOSED, "Weibull": (1.5, 1.0), "StudentT": (4.0, 0.0, 1.0)}[name]
    X = FAMILIES[name](*parameters).sample(300, 17)[:, None]
    R = np.stack([np.ones(300), np.full(300, 1e-290)], axis=1)
    start = FAMILIES[name].stacked([FAMILIES[name](*parameters)] * 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        members = start.maximise(start.accumulate(X, R))
    for parameter, domain in members.domains.items():
        assert domain.contains(getattr(members, parameter))
        first, second = getattr(members, parameter)
        assert second == pytest.approx(first, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_the_same_bits_for_any_number_of_threads(name):
    parameters = {**CLOSED, "Weibull": (1.5, 1.0), "StudentT": (4.0, 0.0, 1.0)}[name]
    family = FAMILIES[name](*parameters)
    X, members = family.sample(200_000, 18)[:, None], family.members()
    one, three = (members.maximise(members.accumulate_all(X, None, n)) for n in (1, 3))
    for parameter in members.domains:
        np.testing.assert_array_equal(getattr(one, parameter), getattr(three, parameter))


def test_statistics_of_several_families_learn_of_the_threads():
    rows = WeightedRows(((np.zeros((3, 1)), None),))
    told = passes.Sums((1.0, rows)).on_threads(4)
    assert (told[0], told[1].n_threads) == (1.0, 4)


# --- special functions ------------------------------------------------------------------------


@pytest.mark.parametrize("a", [1e-3, 0.3, 2.0, 31.9, 32.1, 100.0, 1e4, 1e9])
def test_differences_of_gamma_functions(a):
    with mpmath.workdps(50):
        x = mpmath.mpf(a)
        half = mpmath.mpf(1) / 2
        exact = [
            mpmath.log(x) - mpmath.digamma(x),
            x * mpmath.psi(1, x) - 1,
            mpmath.loggamma(x + half) - mpmath.loggamma(x) - mpmath.log(x) / 2,
            mpmath.digamma(x + half) - mpmath.digamma(x) - 1 / (2 * x),
            mpmath.psi(1, x + half) - mpmath.psi(1, x) + 1 / (2 * x * x),
        ]
    found = [
        differences.log_minus_digamma(a),
        differences.scaled_trigamma_minus_1(a),
        *differences.half_step(a),
    ]
    np.testing.assert_allclose(found, [float(e) for e in exact], rtol=1e-11)


@pytest.mark.parametrize("kappa", [1e-6, 0.01, 1.0, 50.0, 299.0, 301.0, 1e4, 1e8])
def test_ratio_of_bessel_functions(kappa):
    with mpmath.workdps(50):
        x = mpmath.mpf(kappa)
        ratio = mpmath.besseli(1, x) / mpmath.besseli(0, x)
        exact = [float(e) for e in (ratio, 1 - ratio, 1 - ratio / x - ratio**2)]
    np.testing.assert_allclose(differences.bessel_ratio(np.array(kappa)), exact, rtol=1e-10)


def test_a_root_with_a_coarse_last_step():
    calls = []

    def function(x):
        calls.append(x)
        return np.expm1(x), np.exp(x)

    assert root(function, np.array([1.0]), 1e-4) == pytest.approx(0, abs=1e-8)
    coarse = len(calls)
    root(function, np.array([1.0]))
    assert len(calls) - coarse > coarse
