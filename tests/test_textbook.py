"""The examples of the textbooks, by the programs in examples/: published numbers, closed forms."""

import itertools
import math
import runpy
from pathlib import Path

import numpy as np
import pytest

from fastem import em

EXAMPLES = Path(__file__).parent.parent / "examples"


def example(name):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("exponential_missing", ["theta = 0.2000000", "rate of convergence 0.5000"]),
        ("censored_times", ["rate = 0.2631579", "0.087719"]),
        ("genetic_linkage", ["0.6082474", "0.6243211", "0.6264889", "0.6267773", "0.6268215",
                             "0.1327787", "377.5169", "0.0514673"]),
        ("peppered_moths", ["0.07083690", "0.18873651", "0.7404265"]),
        ("poisson_mixture", ["0.359885", "1.25609", "2.66340", "-1989.945859883"]),
        ("missing_values", ["-101.785632", "14.72222", "49.33333", "89.53395", "-90.69673"]),
    ],
)  # fmt: skip
def test_every_program_prints_the_published_numbers(name, printed, run_example):
    shown = run_example(name)
    assert [number for number in printed if number not in shown] == []


def test_exponential_with_a_missing_time():
    model = example("exponential_missing")["Exponential"]
    theta = 1.0
    for _ in range(5):
        after = em.run(model(theta), 5.0, max_iter=1).model.theta
        assert after == pytest.approx(2 * theta / (5 * theta + 1), rel=1e-15)
        theta = after
    result = em.run(model(1.0), 5.0, tol=1e-12)
    assert result.converged
    assert result.model.theta == pytest.approx(0.2, abs=1e-11)
    # the missing time is worth as much as the seen one
    assert result.rate == pytest.approx(0.5, abs=1e-6)


def test_censored_times():
    names = example("censored_times")
    times = names["TIMES"]
    result = em.run(names["CensoredExponential"](1.0), times, tol=1e-13)
    assert result.model.rate == pytest.approx(5 / 19, abs=1e-12)
    # one time of ten is missing but for its beginning
    assert result.rate == pytest.approx(0.1, abs=1e-6)
    # the information about a rate is the number of events over its square
    found = result.information(times)
    assert found.matrix[0, 0] == pytest.approx(9 / (5 / 19) ** 2, rel=1e-9)


def test_genetic_linkage():
    names = example("genetic_linkage")
    counts = names["COUNTS"]
    model, thetas = names["Linkage"](0.5), []
    for _ in range(4):
        model = em.run(model, counts, max_iter=1).model
        thetas.append(model.theta)
    assert thetas == pytest.approx([0.6082474, 0.6243211, 0.6264889, 0.6267773], abs=5e-8)
    result = em.run(names["Linkage"](0.5), counts, tol=1e-12)
    exact = (15 + math.sqrt(15**2 + 4 * 197 * 68)) / (2 * 197)
    assert result.model.theta == pytest.approx(exact, abs=1e-12)
    assert result.rate == pytest.approx(0.1327787, abs=5e-8)
    assert all(b >= a for a, b in itertools.pairwise(result.log_likelihoods))
    for method in ("numerical", "sem"):
        found = result.information(counts, method=method)
        assert found.names == ("theta",)
        assert found.matrix[0, 0] == pytest.approx(377.5169, abs=5e-5)
        assert result.standard_errors(counts, method=method)["theta"] == pytest.approx(
            0.0514673, abs=5e-8
        )
    assert found.rates == pytest.approx([0.1327787], abs=5e-8)


def test_peppered_moths():
    names = example("peppered_moths")
    moths = names["MOTHS"]
    result = em.run(names["Alleles"](1 / 3, 1 / 3), moths, tol=1e-13)
    frequencies = (result.model.c, result.model.i, result.model.t)
    # typica is TT only, and all but carbonaria is (1 - c)^2
    n = sum(moths)
    t = math.sqrt(341 / n)
    c = 1 - math.sqrt((196 + 341) / n)
    assert frequencies == pytest.approx((c, 1 - c - t, t), abs=1e-12)
    assert frequencies == pytest.approx((0.0708369080, 0.1887365181, 0.7404265738), abs=5e-9)
    # delta method: of the root of a share p, variance p (1 - p) / n / (4 p)
    errors = result.standard_errors(moths)
    assert errors["c"] == pytest.approx(math.sqrt(85 / n / (4 * n)), rel=1e-7)


def test_mixture_of_two_poissons():
    names = example("poisson_mixture")
    days = names["DAYS"]
    start = names["TwoPoissons"](0.3, np.array([1.0, 2.5]))
    plain = em.run(start, days)
    assert plain.converged
    assert plain.n_iter > 2000
    results = [plain, *(em.run(start, days, accelerate=a) for a in ("squarem", "anderson"))]
    for result in results:
        assert result.log_likelihood == pytest.approx(-1989.945859883, abs=5e-9)
        model = result.model
        assert 1 - model.share == pytest.approx(0.6401146029910, abs=2e-6)
        assert model.means[::-1] == pytest.approx([2.6634043566619, 1.2560951012662], abs=3e-6)
    for result in results[1:]:
        assert result.n_iter + result.rejected < plain.n_iter / 10
        assert math.isnan(result.rate)  # its steps are not EM's


def test_bivariate_normal_with_missing_values():
    names = example("missing_values")
    trees, normal = names["TREES"], names["BivariateNormal"]
    result = em.run(normal(np.zeros(2), np.eye(2)), trees, tol=1e-12)
    model = result.model
    assert model.mean == pytest.approx([14.722222, 49.333333], abs=5e-7)
    assert model.covariance[0, 0] == pytest.approx(89.533951, abs=5e-7)
    assert model.covariance[0, 1] == pytest.approx(-90.696729, abs=5e-7)
    assert model.covariance[1, 1] == pytest.approx(114.694955, abs=5e-7)
    assert result.log_likelihood == pytest.approx(-101.785632, abs=5e-7)
    # Anderson (1957): the likelihood is that of x times that of the regression of y on x
    x, y = trees.T
    seen = ~np.isnan(y)
    slope, intercept = np.polyfit(x[seen], y[seen], 1)
    assert model.mean[1] == pytest.approx(intercept + slope * x.mean(), abs=1e-8)
    found = result.information(trees)
    assert "covariance[1, 0]" in found.names
    assert "covariance[0, 1]" not in found.names
    left = np.mean((y[seen] - intercept - slope * x[seen]) ** 2)
    m, away = seen.sum(), x.mean() - x[seen].mean()
    variance = left * (1 / m + away**2 / (m * x[seen].var())) + slope**2 * x.var() / len(x)
    error = found.standard_errors[found.names.index("mean[1]")]
    assert error == pytest.approx(math.sqrt(variance), rel=1e-7)
