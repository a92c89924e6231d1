"""Discrete families, and the Dirichlet: closed forms, boundaries, limits, brute force."""

import mpmath
import numpy as np
import pytest
from scipy import optimize, stats
from scipy.special import gammaln

from fastem import Mixture
from fastem.exceptions import DegenerateFitError
from fastem.families.histogram import Histogram
from fastem.families.negative_binomial import LARGEST_SIZE
from fastem.families.registry import FAMILIES
from fastem.families.special import digamma_rise, log1p_less, log_rise

Bernoulli, Binomial, Geometric = (FAMILIES[n] for n in ("Bernoulli", "Binomial", "Geometric"))
Categorical, Dirichlet, Multinomial = (
    FAMILIES[n] for n in ("Categorical", "Dirichlet", "Multinomial")
)
NegativeBinomial, Poisson = FAMILIES["NegativeBinomial"], FAMILIES["Poisson"]


def fitted(family, X, weights=None):
    X = np.asarray(X, dtype=float)
    X = X.reshape(len(X), -1)
    start = family.prepared(X)
    return start.maximise(start.accumulate(X, weights))


# --- closed forms --------------------------------------------------------------------------------


def test_closed_forms():
    rng = np.random.default_rng(0)
    x = rng.integers(1, 9, (40, 2)).astype(float)
    w = rng.uniform(0, 2, (40, 3))
    means = w.T @ x / w.sum(axis=0)[:, None]
    np.testing.assert_allclose(fitted(Geometric(), x, w).p, 1 / means, rtol=1e-14)
    binomial = fitted(Binomial(n_trials=[8, 20]), x, w)
    np.testing.assert_allclose(binomial.p, means / [8, 20], rtol=1e-14)
    y = (x > 4).astype(float)
    shares = w.T @ y / w.sum(axis=0)[:, None]
    np.testing.assert_allclose(fitted(Bernoulli(), y, w).p, shares, rtol=1e-14)
    p = fitted(Categorical(), x - 1, w).p
    for c in range(8):
        expected = w.T @ (x == c + 1) / w.sum(axis=0)[:, None]
        np.testing.assert_allclose(p[:, :, c], expected, rtol=1e-13, atol=1e-16)
    counts = w.T @ x
    expected = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted(Multinomial(), x, w).p, expected, rtol=1e-14)


def test_bernoulli_and_binomial_are_categorical():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 50)
    p = fitted(Bernoulli(), y).p[0, 0]
    assert fitted(Binomial(n_trials=1), y).p[0, 0] == p
    np.testing.assert_allclose(fitted(Categorical(), y).p[0, 0], [1 - p, p], rtol=1e-15)


# --- boundaries ----------------------------------------------------------------------------------

BOUNDARIES = [
    (Bernoulli(), [0, 0, 0], {"p": 0.0}, 1),
    (Bernoulli(), [1, 1, 1], {"p": 1.0}, 0),
    (Binomial(n_trials=7), [0, 0], {"p": 0.0}, 1),
    (Binomial(n_trials=7), [7, 7], {"p": 1.0}, 6),
    (Geometric(), [1, 1, 1], {"p": 1.0}, 2),
    (NegativeBinomial(), [0, 0], {"p": 1.0}, 1),
    (Categorical(n_categories=3), [2, 2], {"p": [0.0, 0.0, 1.0]}, 0),
    (Multinomial(n_trials=5), [[0, 5], [0, 5]], {"p": [0.0, 1.0]}, [1, 4]),
]


@pytest.mark.parametrize(("family", "X", "expected", "impossible"), BOUNDARIES)
def test_boundary_values_are_fitted_exactly(family, X, expected, impossible):
    X = np.asarray(X, dtype=float)
    one = fitted(family, X).member(0).scalar()
    for name, value in expected.items():
        np.testing.assert_array_equal(np.squeeze(one.parameters[name]), value)
    np.testing.assert_array_equal(one.log_density(X), 0.0)
    assert one.log_density(impossible) == -np.inf
    # and a mixture can go on: densities stay finite, however small
    assert np.isfinite(one.members().log_densities(np.reshape(impossible, (1, -1)) * 1.0)).all()
    rows = one.sample(5, 0)
    assert np.isfinite(one.log_density(rows)).all()


def test_two_members_at_opposite_boundaries():
    X = np.array([0.0, 0.0, 1.0, 1.0])[:, None]
    weights = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=float)
    members = fitted(Bernoulli(), X, weights)
    np.testing.assert_array_equal(members.p[:, 0], [0.0, 1.0])
    densities = members.log_densities(X)
    np.testing.assert_array_equal(densities[weights > 0], 0.0)
    assert (densities[weights == 0] < -700).all()


# --- binomial ------------------------------------------------------------------------------------


def test_binomial_needs_its_trials():
    with pytest.raises(ValueError, match=r"n_trials is needed.*Binomial\(n_trials=10\)"):
        Binomial().prepared(np.zeros((3, 1)))
    with pytest.raises(ValueError, match="p without n_trials"):
        Binomial(0.3)
    with pytest.raises(ValueError, match="integer of at least 1"):
        Binomial(0.3, 2.5)
    with pytest.raises(ValueError, match="p is of 3 columns, but n_trials of 2"):
        Binomial([0.1, 0.2, 0.3], [4, 5])
    with pytest.raises(ValueError, match=r"12 of 10 in row 1 and column 0"):
        Binomial(n_trials=[10, 20]).prepared(np.array([[1.0, 15.0], [12.0, 3.0]]))
    with pytest.raises(ValueError, match="of 2 columns, but X has 3"):
        Binomial(n_trials=[10, 20]).prepared(np.zeros((2, 3)))
    assert repr(Binomial(0.25, 4)) == "Binomial(p=0.25, n_trials=4)"


def test_members_of_different_trials_are_refused():
    with pytest.raises(ValueError, match=r"n_trials must be the same for all members"):
        Binomial.stacked([Binomial(0.5, 3), Binomial(0.5, 4)])


@pytest.mark.parametrize(("n", "p", "x"), [(10**6, 0.3, 299_000), (10**5, 1e-7, 3), (50, 0.5, 25)])
def test_binomial_of_many_trials(n, p, x):
    with mpmath.workdps(50):
        exact = mpmath.log(mpmath.binomial(n, x)) + x * mpmath.log(mpmath.mpf(p))
        exact += (n - x) * mpmath.log1p(-mpmath.mpf(p))
    assert Binomial(p, n).log_density(x) == pytest.approx(float(exact), rel=1e-9)


# --- negative binomial ---------------------------------------------------------------------------


@pytest.mark.parametrize("a", [0.01, 1.0, 29.9, 30.0, 1e4, 1e9])
@pytest.mark.parametrize("x", [0.5, 2.0, 100.0, 1e6])
def test_rises_without_cancellation(a, x):
    with mpmath.workdps(60):
        A, x_ = mpmath.mpf(a), mpmath.mpf(x)
        rise = mpmath.loggamma(A + x_) - mpmath.loggamma(A) - x_ * mpmath.log(A)
        slope = x_ - A * (mpmath.psi(0, A + x_) - mpmath.psi(0, A))
        less = mpmath.log1p(x_ / A) - x_ / A
    assert log_rise(np.array(a), np.array(x)) == pytest.approx(float(rise), rel=1e-11)
    assert digamma_rise(np.array(a), np.array(x)) == pytest.approx(float(slope), rel=1e-11)
    assert log1p_less(np.array(x / a)) == pytest.approx(float(less), rel=1e-13)


# Bliss, Fisher (1953), Biometrics 9, 176-200: red mites on 150 apple leaves
MITES = np.repeat(np.arange(8.0), [70, 38, 17, 10, 9, 3, 2, 1])


def test_mites_on_apple_leaves():
    one = fitted(NegativeBinomial(), MITES).member(0).scalar()
    assert one.size == pytest.approx(1.02459, abs=1e-5)  # their k
    assert one.mean == pytest.approx(172 / 150, rel=1e-12)


def brute_force_size(x):
    def less(log_size):
        size = np.exp(log_size)
        return -stats.nbinom(size, size / (size + x.mean())).logpmf(x).sum()

    found = optimize.minimize_scalar(
        less, bounds=(-8, 12), method="bounded", options={"xatol": 1e-10}
    )
    return np.exp(found.x)


@pytest.mark.parametrize(
    ("size", "p"), [(0.05, 0.001), (0.5, 0.5), (3.0, 0.1), (40.0, 0.6), (1e-3, 1e-3)]
)
def test_size_is_that_of_brute_force(size, p):
    x = stats.nbinom(size, p).rvs(3000, random_state=np.random.RandomState(1)).astype(float)
    found = fitted(NegativeBinomial(), x).size[0, 0]
    assert found == pytest.approx(brute_force_size(x), rel=1e-5)


def test_size_is_that_of_statsmodels():
    discrete = pytest.importorskip("statsmodels.discrete.discrete_model")
    x = stats.nbinom(2.5, 0.3).rvs(500, random_state=np.random.RandomState(2)).astype(float)
    model = discrete.NegativeBinomial(x, np.ones((500, 1)))
    theirs = model.fit(disp=0, method="newton", maxiter=200)
    one = fitted(NegativeBinomial(), x).member(0).scalar()
    assert one.size == pytest.approx(1 / theirs.params[1], rel=1e-4)
    assert one.log_density(x).sum() == pytest.approx(theirs.llf, abs=1e-6)


@pytest.mark.parametrize("x", [[0] * 49 + [1], [2, 3, 4] * 50, range(480, 520)])
def test_less_variance_than_poisson_ends_at_the_largest_size(x):
    x = np.array(x, dtype=float)
    one = fitted(NegativeBinomial(), x).member(0).scalar()
    assert one.size == pytest.approx(LARGEST_SIZE * x.mean(), rel=1e-9)
    poisson = stats.poisson(x.mean()).logpmf(x).sum()
    assert one.log_density(x).sum() == pytest.approx(poisson, abs=1e-3)
    assert one.log_density(x).sum() < poisson


@pytest.mark.parametrize("mean", [1e-3, 2.0, 1e5])
def test_densities_near_the_poisson_limit(mean):
    size = LARGEST_SIZE * mean
    one = NegativeBinomial(size, size / (size + mean))
    x = np.round(mean)
    with mpmath.workdps(60):
        r, p = mpmath.mpf(float(one.size)), mpmath.mpf(float(one.p))
        exact = mpmath.loggamma(x + r) - mpmath.loggamma(r) - mpmath.loggamma(x + 1)
        exact += r * mpmath.log(p) + x * mpmath.log1p(-p)
    # p itself is known to 1e-16 only, and size times its logarithm to size times that
    assert one.log_density(x) == pytest.approx(float(exact), abs=1e-9 + 1e-15 * size)


def test_a_little_overdispersion_is_found():
    """Between Poisson and the rest: the score is all cancellation there."""
    x = np.repeat([0.0, 1.0, 2.0, 3.0], [40_000, 40_000, 14_000, 6000])
    for extra in (0.0, 40.0, 4000.0):
        weights = np.ones((len(x), 1))
        weights[-1] += extra
        found = fitted(NegativeBinomial(), x, weights)
        mean = (weights[:, 0] @ x) / weights.sum()
        excess = weights[:, 0] @ np.square(x - mean) / weights.sum() - mean
        size = found.size[0, 0]
        if excess <= 0:
            assert size == pytest.approx(LARGEST_SIZE * mean)
            continue
        profile = [
            (weights[:, 0] * stats.nbinom(s, s / (s + mean)).logpmf(x)).sum()
            for s in (0.99 * size, size, 1.01 * size)
        ]
        assert profile[1] >= max(profile)


def test_histograms_of_far_values_add_up():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.poisson(3.0, 200), rng.integers(0, 10**9, 200)]).astype(float)
    R = rng.uniform(0, 1, (200, 2))
    whole = Histogram.of(X, R)
    merged = Histogram.of(X[:70], R[:70]) + Histogram.of(X[70:], R[70:])
    for d in range(2):
        np.testing.assert_array_equal(whole.values[d], np.unique(X[:, d]))
        np.testing.assert_array_equal(merged.values[d], whole.values[d])
        np.testing.assert_allclose(merged.weights[d], whole.weights[d], rtol=1e-12)
    one = fitted(NegativeBinomial(), X[:, 1])
    assert np.isfinite(one.log_densities(X[:, 1:])).all()


def test_a_mixture_of_negative_binomials_outlives_poisson_data():
    x = np.random.default_rng(3).poisson(np.repeat([2.0, 15.0], 400)).astype(float)
    model = Mixture(NegativeBinomial(), 2, random_state=0, max_iter=2000).fit(x[:, None])
    means = sorted(float(c.mean) for c in model.components_)
    np.testing.assert_allclose(means, [2.0, 15.0], rtol=0.1)


# --- categorical ---------------------------------------------------------------------------------


def test_columns_of_different_numbers_of_categories():
    X = np.array([[0, 2], [1, 0], [1, 1], [0, 3], [1, 2]], dtype=float)
    one = fitted(Categorical(), X)
    np.testing.assert_array_equal(one.n_categories, [2, 4])
    np.testing.assert_array_equal(one.p[0, 0], [0.4, 0.6, 0.0, 0.0])
    assert one.n_parameters == 1 + 3
    free = one.unconstrained()
    assert free.shape == (1, 4)
    moved = one.from_unconstrained(free + np.arange(4.0))
    np.testing.assert_array_equal(moved.p[0, 0, 2:], 0.0)
    np.testing.assert_allclose(moved.p.sum(axis=2), 1.0, rtol=1e-15)
    assert one.statistics(X).shape == (5, one.width(2)) == (5, 6)


def test_rows_of_probabilities_of_different_lengths():
    one = Categorical([[0.4, 0.6], [0.1, 0.2, 0.7]])
    np.testing.assert_array_equal(one.n_categories, [2, 3])
    assert one.log_density([1, 2]) == pytest.approx(np.log(0.6 * 0.7))
    assert one.log_density([2, 2]) == -np.inf
    assert one.n_parameters == 3
    with pytest.raises(ValueError, match="they must be 0 beyond"):
        Categorical([[0.4, 0.6, 0.0], [0.1, 0.2, 0.7]], n_categories=[3, 2])
    with pytest.raises(ValueError, match="p has 2 entries"):
        Categorical([0.5, 0.5], n_categories=3)
    assert Categorical([0.25, 0.75]).formula() == "Categorical([0.25, 0.75])"


def test_codes_that_are_none():
    with pytest.raises(ValueError, match=r"code 3 in row 1 and column 0.*0 to 2"):
        Categorical(n_categories=3).prepared(np.array([[2.0], [3.0]]))
    with pytest.raises(ValueError, match=r"column 1.*Number the categories anew"):
        Categorical().prepared(np.array([[0.0, 20_240_101.0]]))
    with pytest.raises(ValueError, match="columns, but X has 3"):
        Categorical(n_categories=[2, 2]).prepared(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="integer of at least 1"):
        Categorical(n_categories=0)


def test_latent_classes():
    """Two classes of people who answer six questions of two to four choices."""
    rng = np.random.default_rng(0)
    sizes = [2, 2, 3, 3, 4, 4]
    z = rng.integers(0, 2, 4000)
    p = [[rng.dirichlet(np.full(C, 0.7)) for C in sizes] for _ in range(2)]
    X = np.array([[rng.choice(C, p=p[k][d]) for d, C in enumerate(sizes)] for k in z], dtype=float)
    model = Mixture(Categorical(), 2, random_state=0, tol=1e-9, max_iter=2000).fit(X)
    assert model._model.n_parameters == 1 + 2 * sum(C - 1 for C in sizes)
    found = np.array([c.p[0, 0] for c in model.components_])
    order = [0, 1] if abs(found[0] - p[0][0][0]) < abs(found[1] - p[0][0][0]) else [1, 0]
    for k, component in enumerate(np.array(model.components_, dtype=object)[order]):
        for d, C in enumerate(sizes):
            np.testing.assert_allclose(component.p[d, :C], p[k][d], atol=0.06)
            np.testing.assert_array_equal(component.p[d, C:], 0.0)
    assert np.isneginf(model.score_samples([[2, 0, 0, 0, 0, 0]]))[0]  # no choice of the first


# --- multinomial, Dirichlet ----------------------------------------------------------------------


def test_multinomial_rows_of_different_sums():
    X = np.array([[1, 2, 3], [0, 0, 1], [10, 0, 0]], dtype=float)
    one = fitted(Multinomial(), X).member(0)
    np.testing.assert_allclose(one.p, np.array([11, 2, 4]) / 17, rtol=1e-15)
    expected = [stats.multinomial(int(x.sum()), one.p).logpmf(x) for x in X]
    np.testing.assert_allclose(one.log_density(X), expected, rtol=1e-10)
    assert np.isnan(one.mean).all()
    with pytest.raises(ValueError, match="number of trials of a row is needed"):
        one.sample(3, 0)
    with pytest.raises(ValueError, match=r"2 of the rows.*n_trials = 6.*row 1.*with 1"):
        Multinomial(n_trials=6).prepared(X)
    np.testing.assert_allclose(fitted(Multinomial(), np.zeros((2, 4))).p, 0.25)
    with pytest.raises(ValueError, match="integer of at least 1"):
        Multinomial(n_trials=[2, 3])


@pytest.mark.parametrize("alpha", [[2.0, 5.0, 0.7], [0.02, 0.03, 0.01], [900.0, 3.0], [1, 1, 1, 1]])
def test_dirichlet_is_that_of_brute_force(alpha):
    X = Dirichlet(alpha).sample(500, 0)
    found = fitted(Dirichlet(), X).alpha[0]
    log_x = np.log(X)

    def less(log_alpha):
        a = np.exp(log_alpha)
        return -(gammaln(a.sum()) - gammaln(a).sum() + ((a - 1) * log_x.mean(axis=0)).sum())

    best = optimize.minimize(less, np.log(alpha), method="BFGS", options={"gtol": 1e-10})
    assert less(np.log(found)) <= best.fun + 1e-12 * abs(best.fun)
    np.testing.assert_allclose(found, np.exp(best.x), rtol=1e-4)


def test_dirichlet_of_two_shares_is_beta():
    x = np.random.default_rng(0).beta(2.0, 0.5, 400)
    x = np.clip(x, 1e-12, 1 - 1e-12)
    alpha = fitted(Dirichlet(), np.column_stack([x, 1 - x])).alpha[0]
    beta = fitted(FAMILIES["Beta"](), x)
    np.testing.assert_allclose(alpha, [v[0, 0] for v in beta.parameters.values()], rtol=1e-6)


def test_dirichlet_of_members_far_apart():
    """Each member has steps of its own size."""
    X = np.vstack(
        [Dirichlet([5e5, 2e5, 1e5]).sample(200, 0), Dirichlet([0.01, 0.1, 0.05]).sample(200, 1)]
    )
    weights = np.repeat(np.eye(2), 200, axis=0)
    both = fitted(Dirichlet(), X, weights)
    for k in range(2):
        alone = fitted(Dirichlet(), X[weights[:, k] > 0])
        np.testing.assert_allclose(both.alpha[k], alone.alpha[0], rtol=1e-6)


def test_dirichlet_rows_without_maximum_or_sum():
    with pytest.raises(DegenerateFitError, match="all rows are equal"):
        fitted(Dirichlet(), np.tile([0.25, 0.75], (5, 1)))
    with pytest.raises(ValueError, match=r"(?s)row 1, counted from 0, with 0.9.*Divide"):
        Dirichlet().prepared(np.array([[0.5, 0.5], [0.5, 0.4]]))
    with pytest.raises(ValueError, match="one column"):
        Dirichlet().prepared(np.ones((3, 1)))
    with pytest.raises(ValueError, match="numbers above 0"):
        Dirichlet().prepared(np.array([[0.0, 1.0]]))


@pytest.mark.parametrize("mean", [1e9, 1e11, 1e14])
def test_negative_binomials_of_huge_counts(mean):
    """The likelihood of the size is a difference of numbers as large as the mean."""
    rng = np.random.default_rng(0)
    X = rng.negative_binomial(3, 3 / (3 + mean), (2000, 1)).astype(float)
    blank = NegativeBinomial().prepared(X)
    fitted = blank.maximise(blank.accumulate(X, None))
    assert float(fitted.size[0, 0]) == pytest.approx(3, rel=0.15)
