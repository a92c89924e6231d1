"""Linear and logistic regression by maximum likelihood, alone and in mixtures."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from fastem import Mixture, mle
from fastem.exceptions import DegenerateFitError
from fastem.families import LinearRegression, LogisticRegression
from fastem.mle.information import observed

N = 400


@pytest.fixture(scope="module")
def covariates():
    return np.random.default_rng(0).normal(size=(N, 3)) * [1, 10, 0.1] + [0, 1000, 5]


@pytest.fixture(scope="module")
def response(covariates):
    noise = np.random.default_rng(1).normal(size=N)
    return 2 + covariates @ [1.0, 0.5, -3.0] + noise


@pytest.fixture(scope="module")
def binary(covariates):
    z = (covariates - [0, 1000, 5]) / [1, 10, 0.1]
    p = 1 / (1 + np.exp(-(0.3 + z @ [1.0, 0.5, -1.5])))
    return (np.random.default_rng(2).uniform(size=N) < p).astype(float)


def test_linear_regression_is_least_squares(covariates, response):
    fit = mle.fit(LinearRegression(), covariates, response)
    design = np.column_stack([np.ones(N), covariates])
    coefficients, squares, *_ = np.linalg.lstsq(design, response, rcond=None)
    assert_allclose(fit.family.coefficients, coefficients, rtol=1e-8)
    variance = squares[0] / N
    assert_allclose(fit.family.sd, np.sqrt(variance), rtol=1e-10)
    assert_allclose(fit.log_likelihood, -N / 2 * (np.log(2 * np.pi * variance) + 1), rtol=1e-12)
    centred = design.copy()
    centred[:, 1:] -= centred[:, 1:].mean(axis=0)
    errors = np.sqrt(variance * np.diag(np.linalg.inv(centred.T @ centred)))[1:]
    assert_allclose(fit.standard_errors["coefficients"][1:], errors, rtol=1e-8)
    assert_allclose(fit.standard_errors["sd"], np.sqrt(variance / (2 * N)), rtol=1e-8)
    assert fit.n_parameters == 5


def test_linear_regression_is_statsmodels(covariates, response):
    sm = pytest.importorskip("statsmodels.api")
    weights = np.random.default_rng(3).uniform(0.5, 2.0, N)
    weights *= N / weights.sum()
    design = sm.add_constant(covariates)
    # its standard errors divide the squares by n - p - 1, the maximum likelihood by n
    factor = np.sqrt((N - 4) / N)
    for given, theirs in (
        (None, sm.OLS(response, design).fit()),
        (weights, sm.WLS(response, design, weights).fit()),
    ):
        fit = mle.fit(LinearRegression(), covariates, response, sample_weight=given)
        assert_allclose(fit.family.coefficients, theirs.params, rtol=1e-8)
        assert_allclose(fit.standard_errors["coefficients"], theirs.bse * factor, rtol=1e-8)
    assert_allclose(
        mle.fit(LinearRegression(), covariates, response).log_likelihood,
        sm.OLS(response, design).fit().llf,
        rtol=1e-12,
    )


def test_without_intercept(covariates, response):
    fit = mle.fit(LinearRegression(intercept=False), covariates, response)
    coefficients, *_ = np.linalg.lstsq(covariates, response, rcond=None)
    assert_allclose(fit.family.coefficients, coefficients, rtol=1e-9)
    assert fit.n_parameters == 4


def test_logistic_regression_has_no_score_at_its_maximum(covariates, binary):
    fit = mle.fit(LogisticRegression(), covariates, binary)
    design = np.column_stack([np.ones(N), covariates])
    p = 1 / (1 + np.exp(-design @ fit.family.coefficients))
    assert_allclose(design.T @ (binary - p) / np.abs(design).sum(axis=0), 0, atol=1e-12)
    # centred, the information is better conditioned; slopes have the same errors
    design[:, 1:] -= design[:, 1:].mean(axis=0)
    information = design.T @ ((p * (1 - p))[:, None] * design)
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    assert_allclose(fit.standard_errors["coefficients"][1:], errors[1:], rtol=1e-8)
    expected = np.where(binary == 1, np.log(p), np.log1p(-p)).sum()
    assert_allclose(fit.log_likelihood, expected, rtol=1e-12)


def test_the_information_is_that_of_differences(covariates, binary):
    z = (covariates - [0, 1000, 5]) / [1, 10, 0.1]
    fit = mle.fit(LogisticRegression(), z, binary)
    rows = np.column_stack([z, binary])
    by_differences = observed(
        fit.family.members(), lambda members: members.log_densities(rows).sum(axis=0), N
    )
    assert_allclose(fit.covariance, by_differences.covariance, rtol=1e-8)


def test_logistic_regression_is_statsmodels(covariates, binary):
    sm = pytest.importorskip("statsmodels.api")
    z = (covariates - [0, 1000, 5]) / [1, 10, 0.1]
    fit = mle.fit(LogisticRegression(), z, binary)
    theirs = sm.Logit(binary, sm.add_constant(z)).fit(disp=0, tol=1e-10)
    assert_allclose(fit.family.coefficients, theirs.params, rtol=1e-8)
    assert_allclose(fit.standard_errors["coefficients"], theirs.bse, rtol=1e-8)
    assert_allclose(fit.confidence_intervals()["coefficients"], theirs.conf_int(), rtol=1e-6)
    assert_allclose(fit.log_likelihood, theirs.llf, rtol=1e-12)
    assert_allclose([fit.aic, fit.bic], [theirs.aic, theirs.bic], rtol=1e-12)


def test_weights_are_repetitions(covariates, binary):
    times = np.random.default_rng(4).integers(0, 4, N)
    weighted = mle.fit(LogisticRegression(), covariates, binary, sample_weight=times)
    rows = np.repeat(covariates, times, axis=0), np.repeat(binary, times)
    repeated = mle.fit(LogisticRegression(), *rows)
    assert_allclose(weighted.family.coefficients, repeated.family.coefficients, rtol=1e-9)
    assert_allclose(weighted.log_likelihood, repeated.log_likelihood, rtol=1e-12)
    assert_allclose(weighted.bic, repeated.bic, rtol=1e-12)


def test_steps_of_logistic_regression_never_lower_the_likelihood():
    """A steep curve from 0: Newton's own step would overshoot."""
    rng = np.random.default_rng(5)
    x = rng.standard_t(3, 200)[:, None]
    y = (x[:, 0] * 3 + rng.logistic(size=200) > 0).astype(float)
    rows = np.column_stack([x, y])
    members = LogisticRegression().prepared(rows)
    values = []
    for _ in range(60):
        members = members.maximise(members.accumulate(rows, None))
        values.append(members.log_densities(rows).sum())
    assert (np.diff(values) >= -1e-10).all()
    assert_allclose(values[-1], mle.fit(LogisticRegression(), x, y).log_likelihood, rtol=1e-9)


def test_far_covariates_are_no_separation():
    rng = np.random.default_rng(5)
    x = rng.standard_cauchy(200)
    y = (x * 3 + rng.logistic(size=200) > 0).astype(float)
    fit = mle.fit(LogisticRegression(), x, y)
    p = fit.family.expected_response(x)
    assert_allclose([(y - p).sum(), (y - p) @ x / np.abs(x).max()], 0, atol=1e-7)
    assert_allclose(fit.family.coefficients[1], 3, atol=1.5)


@pytest.mark.parametrize(
    "y",
    [lambda x: x > 0, lambda x: np.where(np.abs(x) > 1, 1, np.arange(len(x)) % 2) * (x > -1)],
    ids=["all", "some"],
)
def test_separation_is_named(y):
    x = np.random.default_rng(6).normal(size=300)
    columns = np.column_stack([x > 1, x])[:, : 1 if y(x).dtype != bool else 2]
    with pytest.raises(DegenerateFitError, match="separate the responses"):
        mle.fit(LogisticRegression(), columns, y(x).astype(float))


@pytest.mark.parametrize("family", [LinearRegression(), LogisticRegression()])
def test_collinear_columns_are_named(family, covariates, binary):
    doubled = np.column_stack([covariates, covariates[:, 0] - covariates[:, 1]])
    with pytest.raises(DegenerateFitError, match=r"column 3, counted from 0, .* Remove the column"):
        mle.fit(family, doubled, binary)
    constant = np.column_stack([covariates, np.full(N, 0.1)])
    with pytest.raises(DegenerateFitError, match="column 3"):
        mle.fit(family, constant, binary)


def test_a_perfect_line_is_refused():
    x = np.arange(9.0)
    with pytest.raises(DegenerateFitError, match="explain every response"):
        mle.fit(LinearRegression(), x, 2 + 3 * x)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give the response as y"),
        ({"y": [0.0, 1.0]}, "y has 2 entries, but X has 400 rows"),
        ({"y": np.full(N, 0.5)}, "must be 0 or 1, but it is 0.5 in row 0"),
        ({"y": np.r_[np.ones(N - 1), np.nan]}, "y has 1 value that is NaN, the first in row 399"),
        ({"y": np.ones(N), "censored": np.ones(N)}, "censored responses"),
        ({"y": np.ones((N, 2))}, "one number a row"),
    ],
)
def test_what_is_wrong_is_named(covariates, given, message):
    with pytest.raises(ValueError, match=message):
        mle.fit(LogisticRegression(), covariates, **given)


def test_the_table_names_covariates(covariates, response):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(covariates, columns=["age", "year", "dose"])
    text = repr(mle.fit(LinearRegression(), frame, response))
    assert [line.split()[0] for line in text.splitlines()[2:7]] == [
        "intercept",
        "age",
        "year",
        "dose",
        "sd",
    ]
    assert "x3" in repr(mle.fit(LinearRegression(), covariates, response))


def test_fixed_errors(covariates, response):
    fit = mle.fit(LinearRegression(), covariates, response, fixed={"sd": 2.0})
    free = mle.fit(LinearRegression(), covariates, response)
    # the coefficients of least squares do not depend on the errors' size
    assert_allclose(fit.family.coefficients, free.family.coefficients, rtol=1e-8)
    assert fit.n_parameters == 4
    ratio = fit.standard_errors["coefficients"] / free.standard_errors["coefficients"]
    assert_allclose(ratio, 2.0 / free.family.sd, rtol=1e-7)


def test_responses_are_drawn_for_covariates():
    X = np.linspace(-2, 2, 20_000)
    y = LinearRegression([1.0, 2.0], 0.5).draw_response(X, 0)
    assert_allclose(np.polyfit(X, y, 1), [2.0, 1.0], atol=0.02)
    assert_allclose((y - 1 - 2 * X).std(), 0.5, rtol=0.03)
    drawn = LogisticRegression([0.0, 1.0]).draw_response(X[:, None], 0)
    assert set(drawn) == {0.0, 1.0}
    assert_allclose(drawn[X > 1.9].mean(), 1 / (1 + np.exp(-1.95)), atol=0.06)
    with pytest.raises(ValueError, match=r"draw_response\(X\)"):
        LinearRegression([1.0, 2.0], 0.5).sample(3)
    with pytest.raises(ValueError, match="1 columns of covariates, but it has 2"):
        LinearRegression([1.0, 2.0], 0.5).expected_response(np.ones((3, 2)))
    assert np.isnan(LinearRegression([1.0, 2.0], 0.5).mean).all()


def test_factors_of_blocks_are_those_of_all_rows(covariates, response):
    rows = np.column_stack([covariates, response])
    rows[:, 1] += 1e7  # products of such numbers would have no digit of the slope left
    whole = LinearRegression().accumulate(rows, None)
    parts = [LinearRegression().accumulate(part, None) for part in np.array_split(rows, 7)]
    merged = sum(parts[1:], parts[0])
    expected = LinearRegression().maximise(whole).coefficients
    assert_allclose(LinearRegression().maximise(merged).coefficients, expected, rtol=1e-8)
    slopes = mle.fit(LinearRegression(), covariates, response).family.coefficients[1:]
    assert_allclose(expected[0, 1:], slopes, rtol=1e-6)


def test_a_mixture_of_regressions():
    rng = np.random.default_rng(7)
    x, first = rng.uniform(-3, 3, 800), rng.uniform(size=800) < 0.4
    y = np.where(first, 2 + 1.5 * x, -1 - 0.5 * x) + 0.4 * rng.normal(size=800)
    model = Mixture(LinearRegression(), 2, n_init=3, random_state=0).fit(x[:, None], y)
    order = np.argsort(model.weights_)
    assert_allclose(model.weights_[order], [0.4, 0.6], atol=0.04)
    lines = [model.components_[k].coefficients for k in order]
    assert_allclose(lines, [[2, 1.5], [-1, -0.5]], atol=0.1)
