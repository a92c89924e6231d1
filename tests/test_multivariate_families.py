"""Multivariate families and products: closed forms, published data, brute force, offsets."""

import copy
import pickle
from itertools import pairwise

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn.datasets import load_iris

from fastem import Mixture
from fastem.covariances import COVARIANCES
from fastem.exceptions import DegenerateFitError, IllDefinedCovarianceError
from fastem.families.exponential_family import Moments
from fastem.families.multivariate_student_t import LARGEST_DF
from fastem.families.registry import FAMILIES
from fastem.families.scatter import Scatter

MultivariateNormal, MultivariateStudentT = (
    FAMILIES["MultivariateNormal"],
    FAMILIES["MultivariateStudentT"],
)
Bernoulli, Categorical, Gamma, Geometric, Normal, Poisson, Product = (
    FAMILIES[n]
    for n in ("Bernoulli", "Categorical", "Gamma", "Geometric", "Normal", "Poisson", "Product")
)


def fitted(family, X, weights=None):
    start = family.prepared(X)
    return start.maximise(start.accumulate(X, weights))


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


# --- multivariate normal -------------------------------------------------------------------------


def test_iris_with_labels(iris):
    X, y = iris
    members = fitted(MultivariateNormal(), X, np.eye(3)[y])
    # Fisher (1936), Annals of Eugenics 7, 179-188: the means of the three species
    fisher = [
        [5.006, 3.428, 1.462, 0.246],
        [5.936, 2.770, 4.260, 1.326],
        [6.588, 2.974, 5.552, 2.026],
    ]
    np.testing.assert_allclose(members.mean, fisher, rtol=1e-12)
    for k in range(3):
        np.testing.assert_allclose(
            members.covariance[k], np.cov(X[y == k].T, bias=True), rtol=1e-10
        )
    seen = members.log_densities(X)[np.arange(150), y]
    theirs = [
        stats.multivariate_normal(m, c)
        for m, c in zip(members.mean, members.covariance, strict=True)
    ]
    expected = [theirs[k].logpdf(x) for x, k in zip(X, y, strict=True)]
    np.testing.assert_allclose(seen, expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("covariance_type", "published"),
    [
        ("full", -180.185477),
        ("tied", -256.354043),
        ("diag", -306.860461),
        ("spherical", -384.314095),
    ],
)
def test_iris_without_labels(iris, covariance_type, published):
    """mclust's likelihoods of three components: VVV, EEE, VVI and VII."""
    X, y = iris
    family = MultivariateNormal(covariance_type=covariance_type)
    model = Mixture(family, 3, init_params=np.eye(3)[y], tol=1e-12, max_iter=5000).fit(X)
    assert model.score(X) * 150 == pytest.approx(published, abs=2e-6 * abs(published))


def test_covariance_structures_by_hand(iris):
    X, y = iris
    weights = np.eye(3)[y] * np.random.default_rng(0).integers(1, 4, (150, 1))
    within = np.zeros((4, 4))
    members = {
        name: fitted(MultivariateNormal(covariance_type=name), X, weights) for name in COVARIANCES
    }
    for k in range(3):
        rows = np.repeat(X, weights[:, k].astype(int), axis=0)
        own = np.cov(rows.T, bias=True)
        within += own * len(rows) / weights.sum()
        found = {name: m.covariance[k] for name, m in members.items()}
        np.testing.assert_allclose(found["full"], own, rtol=1e-10)
        np.testing.assert_allclose(found["diag"], np.diag(np.diag(own)), rtol=1e-10)
        np.testing.assert_allclose(found["spherical"], np.eye(4) * np.diag(own).mean(), rtol=1e-10)
    for k in range(3):
        np.testing.assert_allclose(members["tied"].covariance[k], within, rtol=1e-10)


@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_parameters_of_each_structure(iris, covariance_type):
    X, y = iris
    structure = COVARIANCES[covariance_type]
    members = fitted(MultivariateNormal(covariance_type=covariance_type), X, np.eye(3)[y])
    assert members.n_parameters_together == 12 + structure.n_parameters(3, 4)
    assert members.covariances.shape == structure.shape(3, 4)
    free = members.unconstrained()
    assert free.shape == (3, members.n_parameters) == (3, 4 + structure.n_parameters(1, 4))
    again = members.from_unconstrained(free)
    np.testing.assert_allclose(again.covariance, members.covariance, rtol=1e-9, atol=1e-12)
    moved = members.from_unconstrained(free + 0.3)
    for matrix in moved.covariance:  # still of the structure, and accepted as such
        MultivariateNormal(np.zeros(4), matrix, covariance_type)


@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_a_large_offset_costs_no_digits(covariance_type):
    rng = np.random.default_rng(0)
    X = np.round(rng.normal(0, 1, (3000, 3)) * 1024) / 1024  # exact with the offset, too
    weights = rng.uniform(0, 1, (3000, 2))
    family = MultivariateNormal(covariance_type=covariance_type)

    def in_parts(rows):
        ends = [0, 1, 2, 500, 2900, 3000]
        parts = [family.accumulate(rows[a:b], weights[a:b]) for a, b in pairwise(ends)]
        return family.maximise(sum(parts[1:], parts[0]))

    near, far = in_parts(X), in_parts(X + 2.0**20)
    np.testing.assert_allclose(far.covariance, near.covariance, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(far.mean - 2.0**20, near.mean, atol=1e-8)
    whole = fitted(family, X, weights)
    np.testing.assert_allclose(near.covariance, whole.covariance, rtol=1e-12, atol=1e-14)


def test_scatter_of_nothing_adds_nothing():
    X = np.random.default_rng(0).normal(size=(20, 2))
    full = COVARIANCES["full"]
    some = Scatter.of(full, X, np.ones((20, 2)))
    with_nothing = some + Scatter.of(full, X + 5, np.zeros((20, 2)))
    np.testing.assert_array_equal(with_nothing.second, some.second)
    np.testing.assert_array_equal(with_nothing.means, some.means)


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (np.column_stack([np.arange(9.0), np.full(9, 1e6 + 0.1)]), r"column 1 .* is constant"),
        (
            np.column_stack([np.arange(9.0), np.full(9, 0.1), np.arange(9) ** 2]),
            "column 1 .* constant",
        ),
        (np.column_stack([np.arange(9.0), 3 * np.arange(9) + 0.1]), "linear combination"),
        (np.random.default_rng(0).normal(size=(3, 5)), "fewer rows than columns"),
    ],
)
def test_singular_covariances_are_named(X, words):
    with pytest.raises(IllDefinedCovarianceError, match=rf"MultivariateNormal.*{words}.*Remove"):
        fitted(MultivariateNormal(), X)
    with pytest.raises(DegenerateFitError, match=rf"MultivariateStudentT.*{words}"):
        fitted(MultivariateStudentT(), X)


def test_the_member_at_fault_is_named():
    X = np.random.default_rng(0).normal(size=(20, 2))
    weights = np.ones((20, 3))
    weights[1:, 1] = 0.0
    for covariance_type, component in [("full", 1), ("diag", 1), ("spherical", 1)]:
        with pytest.raises(IllDefinedCovarianceError, match="of member 1 ") as error:
            fitted(MultivariateNormal(covariance_type=covariance_type), X, weights)
        assert error.value.component == component
    fitted(MultivariateNormal(covariance_type="tied"), X, weights)  # shares that of the others
    with pytest.raises(IllDefinedCovarianceError, match="shared by all"):
        fitted(MultivariateNormal(covariance_type="tied"), X[:1], weights[:1])


def test_what_is_no_covariance():
    with pytest.raises(ValueError, match="one of full, tied, diag, spherical"):
        MultivariateNormal(covariance_type="round")
    with pytest.raises(ValueError, match="is not 'diag'"):
        MultivariateNormal([0, 0], [[1, 0.5], [0.5, 1]], "diag")
    with pytest.raises(ValueError, match=r"needs a covariance of shape \(2, 2\)"):
        MultivariateNormal([0, 0], np.eye(3))
    with pytest.raises(ValueError, match="positive definite"):
        MultivariateNormal([0, 0], [[1, 2], [2, 1]])
    assert "covariance_type='diag'" in repr(MultivariateNormal(covariance_type="diag"))


# --- multivariate t ------------------------------------------------------------------------------


def repeated(X, weights=None, steps=3000):
    """The maximum, and the log-likelihood after each step."""
    members, trace = MultivariateStudentT().prepared(X), []
    for _ in range(steps):
        members = members.maximise(members.accumulate(X, weights))
        densities = members.log_densities(X)
        trace.append((densities if weights is None else weights * densities).sum())
        if len(trace) > 9 and trace[-1] - trace[-9] <= 1e-14 * abs(trace[-1]):
            break
    return members, np.array(trace)


T_DATA = {
    "df 3": stats.multivariate_t([1, 2], [[2, 0.5], [0.5, 1]], df=3).rvs(400, random_state=1),
    "df 20": stats.multivariate_t([0, 0, 9], np.diag([1, 4, 0.1]), df=20).rvs(900, random_state=2),
    "one column": stats.t(2.0, 5.0, 0.3).rvs((300, 1), random_state=3),
    "df 0.6": stats.multivariate_t([1, 2], np.eye(2), df=0.6).rvs(400, random_state=4),
}


@pytest.mark.parametrize("name", T_DATA)
def test_t_is_that_of_brute_force(name):
    X = T_DATA[name]
    members, trace = repeated(X)

    def less(free):
        return -members.from_unconstrained(free[None]).log_densities(X).sum() / len(X)

    at = members.unconstrained()[0]
    rng = np.random.default_rng(0)
    found = [
        optimize.minimize(less, at + shift, method="BFGS", options={"gtol": 1e-8})
        for shift in (np.zeros(len(at)), rng.normal(0, 0.3, len(at)))
    ]
    best = min(f.fun for f in found)
    assert -trace[-1] / len(X) <= best + 1e-10
    for f in found:
        np.testing.assert_allclose(f.x, at, atol=2e-3 / min(1.0, 1 / members.df[0] ** 0.5))
    assert (np.diff(trace) >= -1e-12 * np.abs(trace[1:])).all()


def test_t_of_one_column_is_student_t():
    X = T_DATA["one column"]
    members, trace = repeated(X)
    one = FAMILIES["StudentT"]()
    for _ in range(300):
        one = one.maximise(one.accumulate(X, None))
    assert trace[-1] == pytest.approx(one.log_densities(X).sum(), abs=1e-7)
    assert members.df[0] == pytest.approx(one.df[0, 0], rel=1e-4)


@pytest.mark.parametrize("shape", [1.0, 5.0])
def test_t_of_light_tails_ends_at_the_normal(shape):
    X = np.random.default_rng(0).beta(shape, shape, (800, 2))
    members, trace = repeated(X)
    assert members.df[0] == pytest.approx(LARGEST_DF)
    normal = fitted(MultivariateNormal(), X)
    np.testing.assert_allclose(members.loc, normal.mean, atol=1e-5)
    np.testing.assert_allclose(members.scale, normal.covariance, rtol=1e-4, atol=1e-5)
    assert trace[-1] == pytest.approx(normal.log_densities(X).sum(), abs=1e-2)
    assert (np.diff(trace) >= -1e-12 * np.abs(trace[1:])).all()


def test_t_of_several_members_is_that_of_each():
    X, rng = T_DATA["df 3"], np.random.default_rng(0)
    weights = rng.uniform(0, 2, (len(X), 2))
    both, _ = repeated(X, weights)
    for k in range(2):
        alone, trace = repeated(X, weights[:, k : k + 1])
        np.testing.assert_allclose(both.df[k], alone.df[0], rtol=1e-5)
        np.testing.assert_allclose(both.scale[k], alone.scale[0], rtol=1e-5)
        assert (np.diff(trace) >= -1e-12 * np.abs(trace[1:])).all()


def test_t_is_hardly_moved_by_a_far_row():
    X = np.random.default_rng(0).normal(size=(300, 2))
    without, _ = repeated(X)
    far, _ = repeated(np.vstack([X, [[1e6, -1e6]]]))
    np.testing.assert_allclose(far.loc, without.loc, atol=0.1)
    assert fitted(MultivariateNormal(), np.vstack([X, [[1e6, -1e6]]])).mean[0, 0] > 1000


def test_t_moments_end_with_the_degrees_of_freedom():
    for df, mean, variance in [(0.9, np.nan, np.nan), (1.5, 3.0, np.inf), (4.0, 3.0, 10.0)]:
        one = MultivariateStudentT(df, [3.0], [[5.0]])
        np.testing.assert_array_equal(one.mean, [mean])
        np.testing.assert_array_equal(one.variance, [variance])
    with pytest.raises(ValueError, match=r"scale of shape \(1, 1\)"):
        MultivariateStudentT(3.0, [0.0], np.eye(2))


# --- products ------------------------------------------------------------------------------------


def mixed_data(n=4000):
    rng = np.random.default_rng(0)
    z = rng.integers(0, 2, n)
    X = np.column_stack(
        [
            rng.normal(np.where(z, 3.0, 0.0), np.where(z, 1.0, 2.0)),
            rng.poisson(np.where(z, 2.0, 6.0)),
            rng.uniform(size=n) < np.where(z, 0.8, 0.2),
            np.where(rng.uniform(size=n) < 0.5, rng.integers(0, 3, n), z),
        ]
    )
    return X.astype(float), z


def test_a_mixture_of_products_is_recovered():
    X, z = mixed_data()
    family = Product([Normal(), Poisson(), (Categorical(), 2)])
    model = Mixture(family, 2, random_state=0, tol=1e-10, max_iter=2000).fit(X)
    first, second = sorted(model.components_, key=lambda c: float(c.mean_0))
    for component, k in [(first, 0), (second, 1)]:
        alone = fitted(family, X[z == k]).member(0)
        np.testing.assert_allclose(component.mean, alone.mean, rtol=0.1, atol=0.1)
        np.testing.assert_allclose(component.p_2, alone.p_2, atol=0.05)
    right = (model.predict(X) == z).mean()
    assert max(right, 1 - right) > 0.9
    assert model._model.n_parameters == 1 + 2 * (2 + 1 + 1 + 2)


def test_a_product_with_labels_is_its_parts():
    X, z = mixed_data()
    weights = np.eye(2)[z]
    members = fitted(Product([Normal(), Poisson(), (Categorical(), 2)]), X, weights)
    expected = {
        "mean_0": fitted(Normal(), X[:, :1], weights).mean,
        "rate_1": fitted(Poisson(), X[:, 1:2], weights).rate,
        "p_2": fitted(Categorical(), X[:, 2:], weights).p,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(members, name), value, rtol=1e-13)


def test_an_exponential_product_works_in_the_compiled_kernel():
    X, _ = mixed_data()
    X = X[:, 1:]
    family = Product([Poisson(), (Categorical(), 2)])
    assert family.exponential
    assert not Product([Poisson(), Normal()]).exponential
    weights = np.random.default_rng(0).uniform(0, 1, (len(X), 3))
    members = fitted(family, X, weights)
    T, (eta, partition) = members.statistics(X), members.coefficients()
    assert T.shape[1] == members.width(3) == 1 + 2 + 3
    densities = T @ eta.T - partition + members.base(X)[:, None]
    np.testing.assert_allclose(densities, members.log_densities(X), rtol=1e-12, atol=1e-12)
    moments = Moments(weights.sum(axis=0), weights.T @ T, members.base(X) @ weights)
    again = members.maximise(moments)
    for name in members.domains:
        np.testing.assert_allclose(getattr(again, name), getattr(members, name), rtol=1e-12)
    expected = (weights * members.log_densities(X)).sum(axis=0)
    np.testing.assert_allclose(members.log_likelihood(moments), expected, rtol=1e-12)
    model = Mixture(family, 2, random_state=0, tol=1e-8, max_iter=2000).fit(X)
    assert type(model._model).__name__ == "LinearMixture"
    joint = np.stack([c.log_density(X) for c in model.components_], axis=1) + np.log(model.weights_)
    np.testing.assert_allclose(model.score_samples(X), np.logaddexp(*joint.T), rtol=1e-9)


def test_columns_of_the_parts():
    family = Product([Normal(), (Categorical(), [0, 3]), (Poisson(), 2), Gamma()])
    assert family.columns == ((1,), (0, 3), (2, 4), (5,))
    by_name = Product([Normal(), Categorical(), Poisson(), Gamma()], [[1], [0, 3], [2, 4], [5]])
    assert by_name.columns == family.columns
    known = Product([Normal([0.0, 1.0], [1.0, 2.0]), Poisson(3.0)])
    assert known.columns == ((0, 1), (2,))
    assert known.log_density([0.5, 0.5, 2]) == pytest.approx(
        stats.norm([0, 1], [1, 2]).logpdf(0.5).sum() + stats.poisson(3).logpmf(2)
    )
    np.testing.assert_array_equal(known.mean, [0.0, 1.0, 3.0])
    np.testing.assert_array_equal(known.variance, [1.0, 4.0, 3.0])
    assert "Poisson(rate=3), [2]" in repr(known)
    assert Product([Normal(0, 1), Poisson(3)]).formula() == "Product([N(0, 1**2), Poisson(3)])"


@pytest.mark.parametrize(
    ("parts", "error", "words"),
    [
        ([], ValueError, "give the families of the columns"),
        ([Normal], TypeError, r"Write Normal\(\)"),
        ([(Normal(), 1, 2)], TypeError, "neither a family nor a tuple"),
        ([Normal(), Poisson(3.0)], ValueError, "some parts have parameters"),
        ([(Normal(), [0, 2])], ValueError, "each of them once"),
        ([(Normal(), [0]), (Poisson(), [0])], ValueError, "each of them once"),
        ([(Normal(), 0)], ValueError, "at least one each"),
        ([(Normal([0.0, 1.0], [1.0, 1.0]), 3)], ValueError, "is of 2 columns, but it is given 3"),
        ([FAMILIES["LinearRegression"]()], ValueError, "given other columns"),
    ],
)
def test_what_is_no_product(parts, error, words):
    with pytest.raises(error, match=words):
        Product(parts)


def test_errors_of_a_product_name_its_columns():
    family = Product([Normal(), (Bernoulli(), [0, 2])])
    with pytest.raises(ValueError, match="are of 3 columns, but X has 2"):
        family.prepared(np.zeros((4, 2)))
    X = np.zeros((4, 3))
    X[2, 2] = 5.0
    with pytest.raises(
        ValueError, match=r"Bernoulli is given the columns \[0, 2\].*row 2 and column 1"
    ):
        family.prepared(X)
    with pytest.raises(ValueError, match="columns are given for 1 parts, but there are 2"):
        Product([Normal(), Poisson()], columns=[[0]])
    with pytest.raises(AttributeError, match="'rate_7'"):
        _ = family.rate_7


def test_members_of_different_products_are_refused():
    one, other = (
        Product([Normal(0.0, 1.0), Poisson(1.0)]),
        Product([Normal(0.0, 1.0), Geometric(0.5)]),
    )
    with pytest.raises(ValueError, match="same families on the same columns"):
        Product.stacked([one, other])


def test_a_product_is_copied_and_pickled():
    family = Product(
        [Normal(0.0, 1.0), (Categorical([[0.5, 0.5], [0.1, 0.9]]), [1, 3]), Poisson(2.0)]
    )
    for other in (copy.deepcopy(family), pickle.loads(pickle.dumps(family))):
        assert repr(other) == repr(family)
        assert other.log_density([0.0, 1, 2, 0]) == family.log_density([0.0, 1, 2, 0])


def test_an_iterative_part_makes_a_product_iterative():
    X = np.column_stack([T_DATA["df 3"], np.random.default_rng(0).poisson(3.0, 400)])
    family = Product([(MultivariateStudentT(), 2), Poisson()])
    assert family.iterative
    assert not Product([Normal(), Poisson()]).iterative
    model = Mixture(family, 1, tol=1e-12, max_iter=5000).fit(X)
    alone, _ = repeated(T_DATA["df 3"])
    assert model.components_[0].df_0 == pytest.approx(alone.df[0], rel=1e-4)
    assert model.components_[0].rate_1 == pytest.approx(X[:, 2].mean())
