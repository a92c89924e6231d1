"""The contract of a family: what holds for each of them. An entry in distributions.py joins it."""

import numpy as np
import pytest
from distributions import EXAMPLES, sampled

from fastem.families.base import Family
from fastem.families.registry import FAMILIES

CASES = [
    pytest.param(example, id=f"{name}-{i}")
    for name, examples in EXAMPLES.items()
    for i, example in enumerate(examples)
]
N = 4000


def data_of(family, seed=0, n=N):
    """Draws of one distribution, as rows (n, D)."""
    return sampled(family, n, seed).reshape(n, -1)


def fitted(start, X, responsibilities=None):
    """The maximum likelihood, as members: from parameters only where steps improve on some."""
    if not start.iterative:
        start = start.with_parameters(**dict.fromkeys(start.domains))
    members = start.prepared(X)
    for _ in range(2000 if start.iterative else 1):
        before, members = members, members.maximise(members.accumulate(X, responsibilities))
        if before.known and settled(before, members):
            break
    return members


def settled(before, after):
    """Whether a step has changed nothing but the last digits."""
    pairs = zip(before.parameters.values(), after.parameters.values(), strict=True)
    return all(np.allclose(b, a, rtol=1e-13, atol=0) for b, a in pairs)


def weighted_log_likelihood(members, X, responsibilities):
    densities = members.log_densities(X)
    return (densities * responsibilities).sum(axis=0)


def test_every_family_has_an_example():
    assert EXAMPLES.keys() == FAMILIES.keys()


def test_every_family_is_one_file():
    modules = [family.__module__ for family in FAMILIES.values()]
    assert len(set(modules)) == len(modules)


@pytest.mark.parametrize("example", CASES)
def test_log_density_is_scipys(example):
    x = sampled(example.family, 200, 1)
    np.testing.assert_allclose(
        example.family.log_density(x), example.log_density(x), rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("example", CASES)
def test_density_is_0_outside_the_support(example):
    family = example.family
    for outside in (np.nan, family.support.low - 1.5, family.support.high + 1.5):
        if np.isinf(outside):
            continue
        row = np.full(family.n_columns, outside)
        value = row[0] if sampled(family, 1, 0).ndim == 1 else row
        assert family.log_density(value) == -np.inf
    for value in example.outside:
        assert not family.members().inside(np.reshape(value, (1, -1)).astype(float))[0]
        assert family.log_density(value) == -np.inf
        with pytest.raises(ValueError, match=type(family).__name__):
            family.prepared(np.reshape(value, (1, -1)).astype(float))


@pytest.mark.parametrize("example", CASES)
def test_moments_of_samples(example):
    X = data_of(example.family, 2, 40_000)
    mean = np.atleast_1d(example.family.mean)
    variance = np.atleast_1d(example.family.variance)
    if not np.isfinite(variance).all():
        pytest.skip("no variance")
    error = np.sqrt(variance / len(X))
    np.testing.assert_array_less(np.abs(X.mean(axis=0) - mean), 5 * error + 1e-12)
    spread = np.square(X - mean)
    np.testing.assert_array_less(
        np.abs(spread.mean(axis=0) - variance), 6 * spread.std(axis=0) / np.sqrt(len(X)) + 1e-12
    )


@pytest.mark.parametrize("example", CASES)
def test_maximum_likelihood_is_a_maximum(example):
    """For weights of two members: no step in any direction gains."""
    X = data_of(example.family, 3)
    weights = np.random.default_rng(0).uniform(0.0, 2.0, (N, 2))
    start = example.family.stacked([example.family] * 2)
    members = fitted(start, X, weights)
    best = weighted_log_likelihood(members, X, weights)
    # where members share parameters, the maximum is that of all together
    shared = members.n_parameters_together < 2 * members.n_parameters
    best = best.sum() if shared else best
    free = members.unconstrained()
    for i in range(free.shape[1]):
        for step in (1e-3, -1e-3):
            moved = free.copy()
            moved[:, i] += step
            other = members.from_unconstrained(moved)
            less = weighted_log_likelihood(other, X, weights)
            less = less.sum() if shared else less
            assert (less < best + 1e-9 * np.abs(best)).all(), (i, step, less - best)


@pytest.mark.parametrize("example", CASES)
def test_parameters_are_recovered(example):
    X = data_of(example.family, 4, 20_000)
    truth = example.family.members()
    gain = fitted(truth, X).log_densities(X).sum() - truth.log_densities(X).sum()
    # twice the gain of the maximum is chi-square with as many degrees as there are parameters
    assert -1e-6 < gain < 5 + 2 * truth.n_parameters


@pytest.mark.parametrize("example", CASES)
def test_statistics_add_up(example):
    X = data_of(example.family, 5)
    weights = np.random.default_rng(1).uniform(0.0, 1.0, (N, 3))
    members = example.family.stacked([example.family] * 3).prepared(X)
    whole = members.maximise(members.accumulate(X, weights))
    parts = [members.accumulate(X[i::3], weights[i::3]) for i in range(3)]
    merged = members.maximise(parts[0] + parts[1] + parts[2])
    for name in whole.domains:
        np.testing.assert_allclose(
            getattr(merged, name), getattr(whole, name), rtol=1e-7, atol=1e-10
        )


@pytest.mark.parametrize("example", CASES)
def test_one_pass_has_the_statistics_of_all_rows(example):
    X = data_of(example.family, 5, 20_000)
    members = example.family.members().prepared(X)
    plain = members.maximise(members.accumulate(X, None))
    for n_threads in (1, 3):
        once = members.maximise(members.accumulate_all(X, None, n_threads))
        for name in plain.domains:
            np.testing.assert_allclose(getattr(once, name), getattr(plain, name), rtol=1e-9)
    X[11, -1] = np.nan
    with pytest.raises(ValueError, match=rf"(?s){type(members).__name__}.*row 11"):
        members.accumulate_all(X, None, 2)


@pytest.mark.parametrize("example", CASES)
def test_statistics_tell_the_likelihood_where_they_can(example):
    X = data_of(example.family, 9, 300)
    weights = np.random.default_rng(3).uniform(0.0, 2.0, (300, 1))
    one = example.family.members().prepared(X)
    others = one.from_unconstrained(one.unconstrained() + np.array([[0.0], [0.01], [-0.02]]))
    found = others.log_likelihood(one.accumulate(X, weights))
    if found is not None:
        expected = weighted_log_likelihood(others, X, weights)
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-6)


@pytest.mark.parametrize("example", CASES)
def test_a_column_is_a_distribution_of_its_own(example):
    family = example.family.members()
    if not family.univariate:
        pytest.skip("not of one variable")
    X = data_of(example.family, 10, 100)
    apart = [family.column(j).log_densities(X[:, j : j + 1]) for j in range(X.shape[1])]
    np.testing.assert_allclose(sum(apart), family.log_densities(X), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("example", CASES)
def test_parameters_lie_within_the_bounds_of_their_domain(example):
    for name, domain in example.family.domains.items():
        value = example.family.parameters[name]
        low, high = domain.bounds(value.shape)
        assert low.shape == high.shape == value.shape
        assert (low <= value).all()
        assert (value <= high).all()


@pytest.mark.parametrize("example", CASES)
def test_an_integer_weight_repeats_the_row(example):
    X = data_of(example.family, 6, 500)
    weights = np.random.default_rng(2).integers(0, 4, 500)
    family = example.family.members()
    weighted = fitted(family, X, weights[:, None].astype(float))
    repeated = fitted(family, np.repeat(X, weights, axis=0))
    for name in weighted.domains:
        np.testing.assert_allclose(
            getattr(weighted, name), getattr(repeated, name), rtol=1e-6, atol=1e-8
        )


@pytest.mark.parametrize("example", CASES)
def test_unconstrained_coordinates_go_there_and_back(example):
    members = example.family.stacked([example.family] * 2)
    free = members.unconstrained()
    assert free.shape == (2, example.family.n_parameters)
    again = members.from_unconstrained(free)
    for name in members.domains:
        np.testing.assert_allclose(getattr(again, name), getattr(members, name), rtol=1e-9)
    far = members.from_unconstrained(free + 3.0)
    for name, domain in members.domains.items():
        assert domain.contains(getattr(far, name))


@pytest.mark.parametrize("example", CASES)
def test_what_is_outside_the_support_is_named(example):
    family, support = example.family, example.family.support
    X = data_of(family, 7, 20)
    X[11, -1] = np.nan
    with pytest.raises(ValueError, match=rf"(?s){type(family).__name__}.*row 11"):
        family.prepared(X)
    if np.isfinite(support.low):
        X[11, -1] = support.low - 2.5
        with pytest.raises(ValueError, match="row 11"):
            family.prepared(X)


@pytest.mark.parametrize("example", CASES)
def test_parameters_outside_their_domain_are_refused(example):
    family = example.family
    for name, domain in family.domains.items():
        bad = {**family.parameters, name: np.full_like(family.parameters[name], np.nan)}
        with pytest.raises(ValueError, match=f"{name} must be {domain.describe()[:6]}"):
            family.replaced(**bad)
        missing = {**family.parameters, name: None}
        if len(missing) > 1:
            with pytest.raises(ValueError, match=f"without .*{name}"):
                family.replaced(**missing)


@pytest.mark.parametrize("example", CASES)
def test_repr_shows_the_parameters(example):
    text = repr(example.family)
    assert text.startswith(type(example.family).__name__ + "(")
    for part in example.family.made_of or (example.family,):
        assert type(part).__name__ in text
        for name in part.domains:
            assert f"{name}=" in text


@pytest.mark.parametrize("example", CASES)
def test_scipys_distribution_is_the_same(example):
    family = example.family
    x = sampled(family, 50, 8)
    if type(family).scipy is Family.scipy:
        with pytest.raises(NotImplementedError, match=type(family).__name__):
            family.scipy()
        return
    frozen = family.scipy()
    log_density = frozen.logpdf if hasattr(frozen, "logpdf") else frozen.logpmf
    values = log_density(x)
    np.testing.assert_allclose(
        family.log_density(x),
        values if x.ndim == 1 or values.ndim == 1 else values.sum(axis=1),
        rtol=1e-10,
        atol=1e-10,
    )
    if not family.univariate:
        return
    if np.isfinite(family.mean).all():
        np.testing.assert_allclose(frozen.mean(), family.mean, rtol=1e-9, atol=1e-12)
    if np.isfinite(family.variance).all():
        # SciPy integrates some numerically
        np.testing.assert_allclose(frozen.var(), family.variance, rtol=1e-4)
