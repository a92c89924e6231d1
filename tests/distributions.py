"""One entry a family: a distribution of it, and the same density by SciPy.

Each entry adds its family to the contract suite in test_families.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import expit

from fastem.families.registry import FAMILIES


@dataclass(frozen=True)
class Example:
    """A known distribution, and SciPy's log-density of its rows (n, D), or of numbers (n,).

    `outside` are more rows, or numbers, of density 0: those that the bounds of the support do not
    tell.
    """

    family: Any
    log_density: Callable[[Any], Any]
    outside: list[Any] = field(default_factory=list)


F = FAMILIES


def categorical(*columns: list[float]) -> Callable[[Any], Any]:
    """SciPy's log-probability of rows of codes."""
    of_each = [stats.rv_discrete(values=(np.arange(len(p)), p)).logpmf for p in columns]
    return lambda X: sum(of(x) for of, x in zip(of_each, np.atleast_2d(X.T), strict=True))


def columns(frozen: Any) -> Callable[[Any], Any]:
    """SciPy's log-density of rows of independent columns."""
    return lambda X: frozen.logpdf(X).sum(axis=1)


def sampled(family: Any, n: int, seed: int) -> Any:
    """Draws of one distribution, as users get them; of a response with covariates before it."""
    if not family.conditional:
        return family.sample(n, seed)
    X = np.random.default_rng(seed).normal(1.0, 1.0, (n, family.n_columns - 1))
    return np.column_stack([X, family.draw_response(X, seed)])


EXAMPLES: dict[str, list[Example]] = {
    "Bernoulli": [
        Example(F["Bernoulli"](0.3), stats.bernoulli(0.3).logpmf),
        Example(F["Bernoulli"](0.998), stats.bernoulli(0.998).logpmf),
        Example(
            F["Bernoulli"]([0.1, 0.5, 0.9]),
            lambda X: stats.bernoulli([0.1, 0.5, 0.9]).logpmf(X).sum(axis=1),
        ),
    ],
    "Beta": [
        Example(F["Beta"](2.0, 3.0), stats.beta(2.0, 3.0).logpdf),
        Example(F["Beta"](0.3, 0.6), stats.beta(0.3, 0.6).logpdf),
        Example(F["Beta"](4000.0, 20.0), stats.beta(4000.0, 20.0).logpdf),
        Example(F["Beta"]([1.0, 0.7], [5.0, 30.0]), columns(stats.beta([1.0, 0.7], [5.0, 30.0]))),
    ],
    "Binomial": [
        Example(F["Binomial"](0.3, 10), stats.binom(10, 0.3).logpmf, outside=[11]),
        Example(F["Binomial"](1e-3, 500), stats.binom(500, 1e-3).logpmf, outside=[501]),
        Example(
            F["Binomial"]([0.2, 0.999], n_trials=[1, 40]),
            lambda X: stats.binom([1, 40], [0.2, 0.999]).logpmf(X).sum(axis=1),
            outside=[[2, 1], [0, 41]],
        ),
        Example(
            F["Binomial"]([0.2, 0.7], n_trials=7),
            lambda X: stats.binom(7, [0.2, 0.7]).logpmf(X).sum(axis=1),
            outside=[[2, 8]],
        ),
    ],
    "Categorical": [
        Example(F["Categorical"]([0.2, 0.5, 0.3]), categorical([0.2, 0.5, 0.3]), outside=[3]),
        Example(F["Categorical"]([0.002, 0.998]), categorical([0.002, 0.998]), outside=[2]),
        Example(
            F["Categorical"]([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]]),
            categorical([0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]),
            outside=[[4, 0], [0, 4]],
        ),
        Example(
            F["Categorical"]([[0.4, 0.6], [0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.7]]),
            categorical([0.4, 0.6], [0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.7]),
            outside=[[2, 0, 0], [0, 0, 3]],
        ),
    ],
    "Dirichlet": [
        Example(
            F["Dirichlet"]([2.0, 5.0, 0.7]),
            lambda X: stats.dirichlet([2.0, 5.0, 0.7]).logpdf(X.T / X.sum(axis=1)),
            outside=[[0.2, 0.3, 0.4], [0.0, 0.5, 0.5], [np.inf, -np.inf, 1.0]],
        ),
        Example(
            F["Dirichlet"]([0.05, 0.05]),
            lambda X: stats.dirichlet([0.05, 0.05]).logpdf(X.T),
            outside=[[1.0, 0.0]],
        ),
        Example(
            F["Dirichlet"]([1000.0, 2.0, 300.0, 50.0]),
            lambda X: stats.dirichlet([1000.0, 2.0, 300.0, 50.0]).logpdf(X.T / X.sum(axis=1)),
        ),
    ],
    "Exponential": [
        Example(F["Exponential"](0.7), stats.expon(scale=1 / 0.7).logpdf),
        Example(F["Exponential"](1e12), stats.expon(scale=1e-12).logpdf),
        Example(F["Exponential"]([0.1, 3.0]), columns(stats.expon(scale=[10.0, 1 / 3]))),
    ],
    "Gamma": [
        Example(F["Gamma"](2.5, 1.5), stats.gamma(2.5, scale=1.5).logpdf),
        Example(F["Gamma"](0.3, 40.0), stats.gamma(0.3, scale=40.0).logpdf),
        Example(
            F["Gamma"]([2.0, 5.0], [1.0, 0.1]),
            lambda X: stats.gamma([2.0, 5.0], scale=[1.0, 0.1]).logpdf(X).sum(axis=1),
        ),
    ],
    "Geometric": [
        Example(F["Geometric"](0.3), stats.geom(0.3).logpmf),
        Example(F["Geometric"](1e-5), stats.geom(1e-5).logpmf),
        Example(
            F["Geometric"]([0.99, 0.02]),
            lambda X: stats.geom([0.99, 0.02]).logpmf(X).sum(axis=1),
        ),
    ],
    "Laplace": [
        Example(F["Laplace"](1.0, 2.0), stats.laplace(1.0, 2.0).logpdf),
        Example(F["Laplace"](-1e8, 1.0), stats.laplace(-1e8, 1.0).logpdf),
        Example(
            F["Laplace"]([0.0, 5.0], [1e-3, 7.0]), columns(stats.laplace([0.0, 5.0], [1e-3, 7.0]))
        ),
    ],
    "LinearRegression": [
        Example(
            F["LinearRegression"]([2.0, -1.0, 0.5], 0.3),
            lambda X: stats.norm(2.0 - X[:, 0] + 0.5 * X[:, 1], 0.3).logpdf(X[:, 2]),
        ),
        Example(
            F["LinearRegression"]([3.0], 2.0, intercept=False),
            lambda X: stats.norm(3.0 * X[:, 0], 2.0).logpdf(X[:, 1]),
        ),
        Example(
            F["LinearRegression"]([1e6], 1.0),
            lambda X: stats.norm(1e6, 1.0).logpdf(X[:, 0]),
        ),
    ],
    "LogNormal": [
        Example(F["LogNormal"](1.0, 0.5), stats.lognorm(0.5, scale=math.exp(1.0)).logpdf),
        Example(F["LogNormal"](-27.0, 1e-4), stats.lognorm(1e-4, scale=math.exp(-27.0)).logpdf),
        Example(
            F["LogNormal"]([0.0, 27.0], [0.7, 0.1]),
            columns(stats.lognorm([0.7, 0.1], scale=np.exp([0.0, 27.0]))),
        ),
    ],
    "LogisticRegression": [
        Example(
            F["LogisticRegression"]([0.2, -1.0, 0.5]),
            lambda X: stats.bernoulli(expit(0.2 - X[:, 0] + 0.5 * X[:, 1])).logpmf(X[:, 2]),
            outside=[[0.0, 0.0, 0.5], [0.0, 0.0, 2.0]],
        ),
        Example(
            F["LogisticRegression"]([1.5], intercept=False),
            lambda X: stats.bernoulli(expit(1.5 * X[:, 0])).logpmf(X[:, 1]),
            outside=[[1.0, -1.0]],
        ),
    ],
    "Multinomial": [
        Example(
            F["Multinomial"]([0.2, 0.3, 0.5], n_trials=12),
            lambda X: stats.multinomial(12, [0.2, 0.3, 0.5]).logpmf(X),
            outside=[[4, 4, 5], [4, 4, 3]],
        ),
        Example(
            F["Multinomial"]([0.001, 0.999], n_trials=300),
            lambda X: stats.multinomial(300, [0.001, 0.999]).logpmf(X),
            outside=[[0, 0]],
        ),
    ],
    "MultivariateNormal": [
        Example(
            F["MultivariateNormal"]([1.0, -2.0], [[2.0, 0.6], [0.6, 0.5]]),
            stats.multivariate_normal([1.0, -2.0], [[2.0, 0.6], [0.6, 0.5]]).logpdf,
        ),
        Example(
            F["MultivariateNormal"]([1e6, 0.0, 5.0], np.diag([1e-4, 1.0, 9.0]), "diag"),
            stats.multivariate_normal([1e6, 0.0, 5.0], np.diag([1e-4, 1.0, 9.0])).logpdf,
        ),
        Example(
            F["MultivariateNormal"]([0.0, 3.0], 2.0 * np.eye(2), "spherical"),
            stats.multivariate_normal([0.0, 3.0], 2.0 * np.eye(2)).logpdf,
        ),
        Example(
            F["MultivariateNormal"]([1.0, -2.0], [[2.0, 0.6], [0.6, 0.5]], "tied"),
            stats.multivariate_normal([1.0, -2.0], [[2.0, 0.6], [0.6, 0.5]]).logpdf,
        ),
        Example(
            F["MultivariateNormal"]([4.0], [[0.25]]),
            lambda X: stats.norm(4.0, 0.5).logpdf(X[:, 0]),
        ),
    ],
    "MultivariateStudentT": [
        Example(
            F["MultivariateStudentT"](5.0, [1.0, -2.0], [[2.0, 0.6], [0.6, 0.5]]),
            stats.multivariate_t([1.0, -2.0], [[2.0, 0.6], [0.6, 0.5]], df=5.0).logpdf,
        ),
        Example(
            F["MultivariateStudentT"](1.2, [1e6], [[1e-4]]),
            stats.multivariate_t([1e6], [[1e-4]], df=1.2).logpdf,
        ),
        Example(
            F["MultivariateStudentT"](12.0, [0.0, 3.0, 1.0], np.diag([1.0, 4.0, 0.01])),
            stats.multivariate_t([0.0, 3.0, 1.0], np.diag([1.0, 4.0, 0.01]), df=12.0).logpdf,
        ),
    ],
    "NegativeBinomial": [
        Example(F["NegativeBinomial"](3.5, 0.4), stats.nbinom(3.5, 0.4).logpmf),
        Example(F["NegativeBinomial"](0.2, 0.01), stats.nbinom(0.2, 0.01).logpmf),
        Example(
            F["NegativeBinomial"]([1.0, 60.0], [0.3, 0.5]),
            lambda X: stats.nbinom([1.0, 60.0], [0.3, 0.5]).logpmf(X).sum(axis=1),
        ),
    ],
    "Normal": [
        Example(F["Normal"](3.0, 2.0), stats.norm(3.0, 2.0).logpdf),
        Example(F["Normal"](1e6, 1e-3), stats.norm(1e6, 1e-3).logpdf),
    ],
    "Poisson": [
        Example(F["Poisson"](4.2), stats.poisson(4.2).logpmf),
        Example(
            F["Poisson"]([0.5, 30.0]),
            lambda X: stats.poisson([0.5, 30.0]).logpmf(X).sum(axis=1),
        ),
    ],
    "Product": [
        Example(
            F["Product"](
                [
                    F["Normal"](3.0, 2.0),
                    F["Poisson"](4.2),
                    (F["Categorical"]([[0.2, 0.8], [0.1, 0.6, 0.3]]), [2, 4]),
                    F["Bernoulli"](0.3),
                ]
            ),
            lambda X: (
                stats.norm(3.0, 2.0).logpdf(X[:, 0])
                + stats.poisson(4.2).logpmf(X[:, 1])
                + categorical([0.2, 0.8], [0.1, 0.6, 0.3])(X[:, [2, 4]])
                + stats.bernoulli(0.3).logpmf(X[:, 3])
            ),
            outside=[[0, -1, 0, 0, 0], [0, 0, 2, 0, 0], [0, 0, 0, 0.5, 0]],
        ),
        Example(
            F["Product"]([F["Gamma"](2.0, 3.0), (F["Poisson"](0.5), 2), F["Geometric"](0.2)]),
            lambda X: (
                stats.gamma(2.0, scale=3.0).logpdf(X[:, 0])
                + stats.poisson(0.5).logpmf(X[:, 1:3]).sum(axis=1)
                + stats.geom(0.2).logpmf(X[:, 3])
            ),
            outside=[[0, 1, 1, 1], [1, 1, 1, 0]],
        ),
        Example(
            F["Product"](
                [
                    F["MultivariateNormal"]([1.0, -2.0], [[2.0, 0.6], [0.6, 0.5]]),
                    F["MultivariateStudentT"](3.5, [1.0, 2.0], np.eye(2)),
                ],
                columns=[[3, 0], [1, 2]],
            ),
            lambda X: (
                stats.multivariate_normal([1.0, -2.0], [[2.0, 0.6], [0.6, 0.5]]).logpdf(
                    X[:, [3, 0]]
                )
                + stats.multivariate_t([1.0, 2.0], np.eye(2), df=3.5).logpdf(X[:, 1:3])
            ),
        ),
    ],
    "StudentT": [
        Example(F["StudentT"](4.0, 1.0, 2.0), stats.t(4.0, 1.0, 2.0).logpdf),
        Example(F["StudentT"](0.7, 0.0, 1e-12), stats.t(0.7, 0.0, 1e-12).logpdf),
        Example(F["StudentT"](9.0, 1e8, 1.0), stats.t(9.0, 1e8, 1.0).logpdf),
        Example(
            F["StudentT"]([1.5, 3.0], [0.0, -4.0], [1.0, 50.0]),
            columns(stats.t([1.5, 3.0], [0.0, -4.0], [1.0, 50.0])),
        ),
    ],
    "Uniform": [
        Example(F["Uniform"](-1.0, 3.0), stats.uniform(-1.0, 4.0).logpdf),
        Example(F["Uniform"](1e8, 1e8 + 1), stats.uniform(1e8, 1.0).logpdf),
        Example(
            F["Uniform"]([0.0, -5.0], [1e-6, 5.0]), columns(stats.uniform([0, -5], [1e-6, 10]))
        ),
    ],
    "VonMises": [
        Example(F["VonMises"](1.0, 2.0), stats.vonmises(2.0, loc=1.0).logpdf),
        Example(F["VonMises"](-2.0, 0.3), stats.vonmises(0.3, loc=-2.0).logpdf),
        Example(F["VonMises"](3.0, 1e6), stats.vonmises(1e6, loc=3.0).logpdf),
        Example(
            F["VonMises"]([0.0, 1.5], [5.0, 80.0]), columns(stats.vonmises([5.0, 80.0], [0.0, 1.5]))
        ),
    ],
    "Weibull": [
        Example(F["Weibull"](1.5, 2.0), stats.weibull_min(1.5, scale=2.0).logpdf),
        Example(F["Weibull"](0.6, 1e12), stats.weibull_min(0.6, scale=1e12).logpdf),
        Example(F["Weibull"](500.0, 1e-12), stats.weibull_min(500.0, scale=1e-12).logpdf),
        Example(
            F["Weibull"]([0.8, 4.0], [1.0, 70.0]),
            columns(stats.weibull_min([0.8, 4.0], scale=[1.0, 70.0])),
        ),
    ],
}
