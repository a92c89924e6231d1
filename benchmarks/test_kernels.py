"""Micro-benchmarks over structure and dtype: ``pytest benchmarks/test_kernels.py``.

They guard against a slow-down from one commit to the next, with pytest-benchmark's ``--benchmark-
autosave`` and ``--benchmark-compare``. How fast fastem is beside others, ``python -m benchmarks``
tells.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastem
from benchmarks.data import STRUCTURES, Problem, gaussian_problem

N_POINTS, N_FEATURES, N_COMPONENTS, N_ITERATIONS = 20_000, 16, 8, 10

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(params=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> np.dtype[Any]:
    name: str = request.param
    return np.dtype(name)


@pytest.fixture(params=list(STRUCTURES))
def problem(request: pytest.FixtureRequest, dtype: np.dtype[Any]) -> Problem:
    return gaussian_problem(N_POINTS, N_FEATURES, N_COMPONENTS, request.param, 1.0, dtype)


def started(problem: Problem, n_iter: int) -> fastem.GaussianMixture:
    """Make an estimator that runs ``n_iter`` iterations from the problem's start."""
    return fastem.GaussianMixture(
        problem.n_components,
        covariance_type=problem.structure,
        tol=0.0,
        max_iter=n_iter,
        weights_init=problem.weights,
        means_init=problem.means,
        precisions_init=problem.precisions,
    )


@pytest.mark.benchmark(group="fit")
def test_fit(benchmark: Any, problem: Problem) -> None:
    """Ten iterations, and what a fit does before and after them."""
    model = benchmark(started(problem, N_ITERATIONS).fit, problem.X)
    assert np.isfinite(model.lower_bound_)


@pytest.mark.benchmark(group="predict")
def test_predict(benchmark: Any, problem: Problem) -> None:
    """The arg-max of an E-step."""
    model = started(problem, 1).fit(problem.X)
    labels = benchmark(model.predict, problem.X)
    assert labels.shape == (N_POINTS,)


@pytest.mark.benchmark(group="score_samples")
def test_score_samples(benchmark: Any, problem: Problem) -> None:
    """The log-likelihood of every row."""
    model = started(problem, 1).fit(problem.X)
    log_likelihood = benchmark(model.score_samples, problem.X)
    assert np.isfinite(log_likelihood).all()
