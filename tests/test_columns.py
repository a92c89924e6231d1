"""Range and moments of columns by the compiled pass: against exact sums, in each instruction set,
with any layout, weights and number of threads; and what the families make of them."""

from fractions import Fraction
from math import fsum

import numpy as np
import pytest
from test_contract import isa_name, runnable_isas

from fastem import mle
from fastem._kernels.columns import ColumnMoments, column_moments, divide
from fastem.families.registry import FAMILIES

ARRAYS = ("low", "high", "whole", "means", "squares", "log_means", "log_squares")
# less than a vector, about a block of 1 column (1024) and of several (256), several runs of blocks
LENGTHS = [1, 2, 3, 7, 8, 9, 31, 32, 33, 255, 256, 257, 1000, 1023, 1024, 1025, 3000, 140_000]
WIDTHS = [1, 2, 3, 7, 8, 9, 17, 40]


@pytest.fixture(params=runnable_isas(), ids=isa_name)
def kernels(request):
    return request.param


def exact(x, w):
    """Mean and squares about it, rounded once at the end."""
    pairs = [(Fraction(float(v)), Fraction(float(u))) for v, u in zip(x, w, strict=True)]
    total = sum(u for _, u in pairs)
    mean = sum(u * v for v, u in pairs) / total
    return float(mean), float(sum(u * (v - mean) ** 2 for v, u in pairs))


def nearly_exact(x, w):
    """The same to a few roundings, for many values."""
    mean = fsum(w * x) / fsum(w)
    way = fsum(w * (x - mean)) / fsum(w)
    return mean + way, fsum(w * np.square((x - mean) - way))


def assert_moments(found, X, weights):
    w = np.ones(len(X)) if weights is None else weights
    np.testing.assert_allclose(found.weight, fsum(w), rtol=1e-14)
    np.testing.assert_array_equal(found.low, X.min(axis=0))
    np.testing.assert_array_equal(found.high, X.max(axis=0))
    np.testing.assert_array_equal(found.whole, (np.floor(X) == X).all(axis=0))
    for values, means, squares in (
        (X, found.means, found.squares),
        (np.log(X), found.log_means, found.log_squares),
    ):
        expected = np.array([nearly_exact(x, w) for x in values.T])
        size = np.abs(values).max(axis=0)
        assert (np.abs(means - expected[:, 0]) <= 4e-15 * size).all()
        # each value is known to a rounding of its size, and so is its deviation
        slack = 1e-13 * expected[:, 1] + fsum(w) * np.square(1e-15 * size)
        assert (np.abs(squares - expected[:, 1]) <= slack).all()
        assert (squares >= 0).all()


def same_bits(left, right):
    return left.weight == right.weight and all(
        getattr(left, name).tobytes() == getattr(right, name).tobytes() for name in ARRAYS
    )


@pytest.mark.parametrize("n", LENGTHS)
def test_a_column_has_the_moments_of_exact_sums(kernels, n):
    rng = np.random.default_rng(n)
    X = rng.gamma(2.0, 1.5, (n, 1))
    weights = rng.uniform(0.1, 3.0, n)
    weights[1::3] = 0.0
    for w in (None, weights):
        assert_moments(column_moments(X, w, logs=True, kernels=kernels), X, w)


@pytest.mark.parametrize("D", WIDTHS)
def test_many_columns_have_the_moments_of_exact_sums(kernels, D):
    rng = np.random.default_rng(D)
    X = rng.gamma(2.0, 1.5, (700, D)) * np.logspace(-3, 3, D)
    weights = rng.exponential(size=700)
    for w in (None, weights):
        assert_moments(column_moments(X, w, logs=True, kernels=kernels), X, w)


@pytest.mark.parametrize("offset", [0.0, 1e4, -1e8, 1e12])
def test_a_large_offset_costs_no_digits(kernels, offset):
    rng = np.random.default_rng(1)
    # values that the offset does not round
    X = offset + rng.integers(-4000, 4000, (2500, 2)) / 1024
    weights = rng.integers(0, 4, 2500).astype(float)
    for w in (np.ones(2500), weights):
        found = column_moments(X, w, kernels=kernels)
        expected = np.array([exact(x, w) for x in X.T])
        np.testing.assert_allclose(found.means, expected[:, 0], rtol=4e-16, atol=1e-15)
        np.testing.assert_allclose(found.squares, expected[:, 1], rtol=1e-12)


def test_equal_values_have_no_deviations(kernels):
    for value in (0.1, 1 / 3, -7e8 / 3, 5.0):
        for n in (1, 5, 1024, 5000):
            found = column_moments(np.full((n, 2), value), kernels=kernels)
            np.testing.assert_array_equal(found.means, value)
            np.testing.assert_array_equal(found.squares, 0.0)


@pytest.mark.parametrize("D", [1, 3, 12])
def test_same_bits_for_any_threads_and_layout(kernels, D):
    rng = np.random.default_rng(2)
    n = 400_000 // D
    X, weights = rng.gamma(2.0, 1.5, (n, D)), rng.uniform(0.0, 2.0, n)
    record = np.zeros(n, dtype=[("flag", "i1"), ("x", float, (D,))])
    record["x"] = X
    layouts = {
        "Fortran": np.asfortranarray(X),
        "columns of a wider matrix": np.repeat(X, 2, axis=1)[:, ::2],
        "every other row": np.repeat(X, 2, axis=0)[::2],
        "backwards": X[::-1, ::-1].copy()[::-1, ::-1],
        "unaligned": record["x"],
    }
    for w in (None, weights):
        for logs in (False, True):
            base = column_moments(X, w, logs=logs, kernels=kernels)
            for n_threads in (2, 3, 8):
                again = column_moments(X, w, logs=logs, n_threads=n_threads, kernels=kernels)
                assert same_bits(base, again), n_threads
            for layout, other in layouts.items():
                again = column_moments(other, w, logs=logs, n_threads=2, kernels=kernels)
                assert same_bits(base, again), layout
    strided = np.repeat(weights, 2)[::2]
    assert same_bits(base, column_moments(X, strided, logs=True, kernels=kernels))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_no_value_that_is_not_finite_is_overlooked(kernels, bad):
    rng = np.random.default_rng(3)
    for n, D in ((1, 1), (40, 1), (1100, 1), (300, 3)):
        for w in (None, np.zeros(n), rng.uniform(size=n)):
            for row in {0, n // 2, n - 1}:
                X = rng.normal(size=(n, D))
                assert column_moments(X, w, kernels=kernels).finite
                X[row, -1] = bad
                found = column_moments(X, w, kernels=kernels)
                assert not found.finite
                np.testing.assert_array_equal(np.isfinite(found.means), [True] * (D - 1) + [False])


def test_one_value_that_is_no_integer_is_seen(kernels):
    rng = np.random.default_rng(4)
    for n, D in ((1, 1), (1025, 1), (300, 9)):
        X = rng.integers(-5, 1000, (n, D)).astype(float)
        assert column_moments(X, kernels=kernels).whole.all()
        for row in {0, n // 3, n - 1}:
            other = X.copy()
            other[row, D // 2] += 0.5
            expected = np.arange(D) != D // 2
            np.testing.assert_array_equal(column_moments(other, kernels=kernels).whole, expected)


def test_logarithms_of_any_size(kernels):
    tiny = np.finfo(np.float64).tiny
    x = np.concatenate([np.geomspace(tiny, 1e308, 500), 1 - np.logspace(-16, -1, 100), [tiny]])
    for value in x:
        found = column_moments(np.array([[value]]), logs=True, kernels=kernels)
        np.testing.assert_allclose(found.log_means[0], np.log(value), rtol=1e-15, atol=0)
    for value in (tiny / 2, 0.0, -1.0):
        assert not column_moments(np.array([[value]]), logs=True, kernels=kernels).finite


def test_the_smallest_numbers_have_logarithms():
    x = np.random.default_rng(5).lognormal(size=300)
    x[7] = 1e-310
    np.testing.assert_allclose(mle.fit(FAMILIES["LogNormal"](), x).family.mu, np.log(x).mean())


def test_values_too_large_for_sums_are_not_finite(kernels):
    X = np.full((3000, 1), 1e306)
    assert not column_moments(X, kernels=kernels).finite


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 100, 5001])
@pytest.mark.parametrize(
    "bracket", [(-0.1, 0.3), (0.5, 0.5), (-np.inf, np.inf), (2.0, np.inf), (9.0, 9.0)]
)
def test_values_are_divided_by_a_bracket(kernels, n, bracket):
    rng = np.random.default_rng(n)
    x, weights = rng.integers(-8, 8, n) / 4, rng.uniform(size=n)
    low, high = bracket
    under, over = x < low, x > high
    between = ~(under | over)
    for w in (None, weights):
        found = divide(x, w, low, high, kernels)
        u = np.ones(n) if w is None else w
        np.testing.assert_array_equal(found.inside, x[between])
        assert (found.weights is None) == (w is None)
        if w is not None:
            np.testing.assert_array_equal(found.weights, w[between])
        expected = [
            fsum(u[under]),
            fsum(u[under] * (low - x[under])),
            fsum(u[over]),
            fsum(u[over] * (x[over] - high)),
        ]
        np.testing.assert_allclose(found[2:], expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_likelihood_of_laplace_is_that_of_the_rows(weighted):
    rng = np.random.default_rng(6)
    X = rng.laplace(3.0, 2.0, (70_000, 2))
    R = rng.integers(0, 3, (70_000, 1)).astype(float) if weighted else None
    family = FAMILIES["Laplace"]()
    statistics = family.accumulate_all(X, R, 2)
    members = family.maximise(statistics)
    median = members.loc[0]
    counts = np.ones(70_000) if R is None else R[:, 0]
    away = counts @ np.abs(X - median) / counts.sum()
    np.testing.assert_allclose(members.scale[0], away, rtol=1e-12)
    both = members.with_parameters(
        loc=np.stack([median, median + 1]), scale=np.stack([away, away / 2])
    )
    expected = counts @ both.log_densities(X)
    np.testing.assert_allclose(both.log_likelihood(statistics), expected, rtol=1e-12)


# --- families -------------------------------------------------------------------------------------

COMPILED = sorted(name for name, family in FAMILIES.items() if family.moments_of)


def drawn(name, n):
    rng = np.random.default_rng(7)
    x = rng.integers(0, 2, n) if FAMILIES[name].support.integer else rng.uniform(0.2, 0.9, n)
    return (x + (1.0 if FAMILIES[name].support.low == 1 else 0.0)).astype(float)


def of(name):
    family = FAMILIES[name]
    return family(n_trials=3) if hasattr(family, "n_trials") else family()


def test_some_families_take_moments_of_columns():
    assert {"Normal", "LogNormal", "Exponential", "Gamma", "Uniform", "Poisson"} <= set(COMPILED)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", COMPILED)
def test_the_statistics_are_those_of_the_rows(name, weighted):
    X = np.stack([drawn(name, 5000), drawn(name, 5000)[::-1]], axis=1)
    family = of(name)
    weights = np.random.default_rng(8).integers(0, 3, 5000).astype(float)[:, None]
    R = weights if weighted else None
    for rows in (X, X[:, :1]):
        compiled, plain = family.accumulate_all(rows, R, 2), family.accumulate(rows, R)
        for field, expected in vars(plain).items():
            np.testing.assert_allclose(getattr(compiled, field), expected, rtol=1e-12)


@pytest.mark.parametrize("name", COMPILED)
def test_one_row_elsewhere_is_named(name):
    x = drawn(name, 3000)
    support = FAMILIES[name].support
    wrong = [np.inf]
    if np.isfinite(support.low):
        wrong.append(support.low - 1)
    if support.integer:
        wrong.append(1.5)
    for value in wrong:
        other = x.copy()
        other[1234] = value
        with pytest.raises(ValueError, match=f"(?s){name}.*{value:g} in row 1234"):
            mle.fit(of(name), other)
    x[1234] = np.nan
    with pytest.raises(ValueError, match="X has 1 value that is NaN, the first in row 1234"):
        mle.fit(of(name), x)


@pytest.mark.parametrize("name", COMPILED)
def test_weights_count_repeated_values(name):
    x = drawn(name, 2000)
    times = np.random.default_rng(9).integers(0, 4, 2000)
    weighted = mle.fit(of(name), x, sample_weight=times.astype(float))
    repeated = mle.fit(of(name), np.repeat(x, times))
    assert weighted.total_weight == times.sum()
    np.testing.assert_allclose(weighted.log_likelihood, repeated.log_likelihood, rtol=1e-12)
    for parameter, value in weighted.parameters.items():
        np.testing.assert_allclose(value, repeated.parameters[parameter], rtol=1e-12)


def test_a_family_without_moments_says_so():
    found = column_moments(np.ones((3, 1)))
    assert isinstance(found, ColumnMoments)
    with pytest.raises(NotImplementedError, match="Laplace takes more"):
        FAMILIES["Laplace"]().from_columns(found)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_plain_weights_are_examined(bad):
    weights = np.ones(2000)
    weights[1500] = bad
    with pytest.raises(ValueError, match="row 1500"):
        mle.fit(FAMILIES["Normal"](), np.arange(2000.0), sample_weight=weights)
    with pytest.raises(ValueError, match="at least one non-zero"):
        mle.fit(FAMILIES["Normal"](), np.arange(2000.0), sample_weight=np.zeros(2000))
