"""Pairs that are left out change nothing: against the same kernels with every pair computed, on
data where much, little and nothing can be left out."""

import numpy as np
import pytest
from mixtures import random_mixture
from test_contract import runnable_isas

from fastem import GaussianMixture, em
from fastem._kernels.rows import Rows, Workspace
from fastem.covariances import COVARIANCES
from fastem.families import GaussianMixtureModel, Regularisation

NAMES = sorted(COVARIANCES)
D, K, N = 9, 8, 30_000


@pytest.fixture(params=runnable_isas(), ids=lambda m: m.__name__.rpartition("_")[2])
def kernels(request):
    return request.param


def clusters(spread, seed=0, outliers=0, n_features=D):
    """Rows in random order about K means, a few of them far from everything."""
    rng = np.random.default_rng(seed)
    means = spread * rng.normal(size=(K, n_features))
    shapes = rng.normal(size=(K, n_features, n_features)) / np.sqrt(n_features)
    shapes += np.eye(n_features)
    labels = rng.choice(K, N, p=np.arange(1, K + 1) / (K * (K + 1) / 2))
    X = np.einsum("nij,nj->ni", shapes[labels], rng.normal(size=(N, n_features))) + means[labels]
    X[rng.integers(N, size=outliers)] *= 50
    return X, means + 0.3


def run(name, X, means, kernels, *, skip, n_threads=1, weight=None, max_iter=12, n_features=D):
    structure = COVARIANCES[name]
    rows = Rows(X, weight, n_threads, kernels=kernels)
    workspace = Workspace(rows, structure.kernel, K, skip=skip)
    variance = np.var(X, axis=0).mean() / 2
    covariances = variance * random_mixture(name, n_features, K)[2]
    start = GaussianMixtureModel(
        structure,
        np.full(K, 1 / K),
        means - rows.shift,
        covariances,
        structure.precisions_cholesky(covariances),
        Regularisation(np.full(n_features, 1e-6)),
    )
    result = em.run(start, workspace, convergence=em.Convergence(tol=0.0, max_iter=max_iter))
    return result, rows


def assert_same(left, right, tolerance):
    # where nothing moves any more, one of them may see a fall by rounding first
    n = min(left.n_iter, right.n_iter)
    assert n >= 3
    np.testing.assert_allclose(left.log_likelihoods[:n], right.log_likelihoods[:n], rtol=tolerance)
    for field in ("weights", "means", "covariances"):
        a, b = getattr(left.model, field), getattr(right.model, field)
        np.testing.assert_allclose(a, b, rtol=0, atol=1e3 * tolerance * np.abs(b).max())


@pytest.mark.parametrize("spread", [10.0, 1.5, 0.2], ids=["separated", "overlapping", "one heap"])
@pytest.mark.parametrize("name", NAMES)
def test_the_trace_is_that_of_every_pair(name, spread, kernels):
    X, means = clusters(spread, outliers=5)
    skipping, rows = run(name, X, means, kernels, skip=True)
    plain, as_they_are = run(name, X, means, kernels, skip=False)
    assert_same(skipping, plain, 1e-12)
    assert plain.skipped < 0.1  # densities that are 0 to the last bit
    assert len(as_they_are.arrangement.order) == 0
    if spread == 10.0:
        assert rows.arrangement.version >= 1  # like was put beside like
        assert skipping.skipped > 0.1 + plain.skipped


@pytest.mark.parametrize("name", NAMES)
def test_the_trace_in_single_precision(name, kernels):
    X, means = clusters(6.0, outliers=5)
    X = X.astype(np.float32)
    skipping, _ = run(name, X, means, kernels, skip=True, max_iter=6)
    plain, _ = run(name, X, means, kernels, skip=False, max_iter=6)
    assert_same(skipping, plain, 2e-6)


@pytest.mark.parametrize("n_features", [1, 2, 5])
def test_the_trace_with_few_features(n_features, kernels):
    n = 300_000 // n_features
    rng = np.random.default_rng(0)
    means = 40 * rng.normal(size=(K, n_features))
    X = means[rng.integers(K, size=n)] + rng.normal(size=(n, n_features))
    options = {"max_iter": 10, "n_features": n_features}
    skipping, _ = run("full", X, means, kernels, skip=True, **options)
    plain, _ = run("full", X, means, kernels, skip=False, **options)
    assert skipping.skipped > 0.05 + plain.skipped
    assert_same(skipping, plain, 1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_weights_go_along_with_their_rows(name, kernels):
    X, means = clusters(6.0)
    weight = np.random.default_rng(1).uniform(0.1, 3.0, N)
    skipping, rows = run(name, X, means, kernels, skip=True, weight=weight)
    plain, _ = run(name, X, means, kernels, skip=False, weight=weight)
    assert rows.arrangement.version >= 1
    assert_same(skipping, plain, 1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_same_bits_for_any_number_of_threads(name, kernels):
    X, means = clusters(3.0)
    results = [run(name, X, means, kernels, skip=True, n_threads=t)[0] for t in (1, 2, 5)]
    for other in results[1:]:
        assert other.log_likelihoods == results[0].log_likelihoods
        assert other.skipped == results[0].skipped
        assert other.model.covariances.tobytes() == results[0].model.covariances.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_bounds_hold_however_the_parameters_move(name, kernels):
    """What was noted about one mixture must not spoil the next pass about quite another."""
    X, means = clusters(4.0)
    structure = COVARIANCES[name]
    rows = Rows(X, None, 1, kernels=kernels)
    kept = Workspace(rows, structure.kernel, K)
    rng = np.random.default_rng(3)
    for factor in (1.0, 1.02, 1.5, 0.3, 0.31, 20.0, 20.1, 0.9, 1.0):
        covariances = factor * random_mixture(name, D, K)[2]
        model = GaussianMixtureModel(
            structure,
            rng.dirichlet(np.ones(K)),
            means + rng.normal(scale=0.3 * factor, size=means.shape) - rows.shift,
            covariances,
            structure.precisions_cholesky(covariances),
        )
        statistics = model.accumulate(kept)
        fresh_rows = Rows(X, None, 1, rows.shift, kernels=kernels)
        fresh = model.accumulate(Workspace(fresh_rows, structure.kernel, K, skip=False))
        np.testing.assert_allclose(statistics.log_likelihood, fresh.log_likelihood, rtol=1e-12)
        np.testing.assert_allclose(statistics.counts, fresh.counts, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_features", [1, 3, 8, 30])
@pytest.mark.parametrize("name", NAMES)
def test_distances_shrink_no_further_than_the_contraction_says(name, n_features, kernels):
    structure, rng = COVARIANCES[name], np.random.default_rng(n_features)
    for step in (1e-6, 1e-2, 0.3, 5.0):
        old = random_mixture(name, n_features, 3)
        covariances = old[2] * (1 + step * rng.uniform(size=1))
        matrices = np.array(structure.matrices(covariances, 3, n_features))
        means = old[1] + step * rng.normal(size=old[1].shape)
        factors = [
            np.ascontiguousarray(structure.kernel_precisions(structure.precisions_cholesky(c), 3))
            for c in (old[2], covariances)
        ]
        moved = np.empty((3, 3), dtype=np.float32)
        kernels.contraction(
            structure.kernel,
            np.ascontiguousarray(old[1]),
            factors[0].reshape(-1),
            means,
            factors[1].reshape(-1),
            np.empty((2, 0)),
            np.empty((1, n_features * (n_features + 1))),
            moved,
            1,
        )
        np.testing.assert_array_equal(moved[2], 0)
        old_matrices = np.array(structure.matrices(old[2], 3, n_features))
        x = 20 * rng.normal(size=(400, n_features))
        for k in range(3):
            before, after = (
                np.sqrt(np.einsum("ni,ij,nj->n", x - m, np.linalg.inv(c), x - m))
                for m, c in ((old[1][k], old_matrices[k]), (means[k], matrices[k]))
            )
            bound = moved[0, k] * before - moved[1, k]
            assert (after >= bound * (1 - 1e-9)).all()
            if step == 1e-6:  # and a small step loses little
                assert (bound > 0.99 * after - 1e-3).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_hundreds_of_equal_components(name, dtype, kernels):
    """Their densities add up, however many lanes are multiplied before a logarithm is taken."""
    structure, K, n_features = COVARIANCES[name], 300, 3
    X = np.random.default_rng(0).normal(size=(512, n_features)).astype(dtype)
    covariances = np.array(random_mixture(name, n_features, 1)[2])
    if covariances.shape == structure.shape(1, n_features) != structure.shape(K, n_features):
        covariances = np.repeat(covariances, K, axis=0)
    one, many = (
        GaussianMixtureModel(
            structure,
            np.full(k, 1 / k),
            np.zeros((k, n_features)),
            c,
            structure.precisions_cholesky(c),
        ).accumulate(Workspace(Rows(X, None, 1, np.zeros(n_features), kernels=kernels),
                               structure.kernel, k))
        for k, c in ((1, covariances[:1] if len(covariances) == K else covariances),
                     (K, covariances))
    )  # fmt: skip
    np.testing.assert_allclose(many.log_likelihood, one.log_likelihood, rtol=1e-5)
    np.testing.assert_allclose(many.counts, 512 / K, rtol=1e-4)


def test_a_spherical_component_that_collapses_keeps_its_digits(kernels):
    # the square of its distances is far below the rounding of the densities' constant
    X = np.vstack([np.full((40, 3), 1e-9), np.random.default_rng(0).normal(5, 1, (500, 3))])
    X[:40] += 1e-10 * np.random.default_rng(1).normal(size=(40, 3))
    structure = COVARIANCES["spherical"]
    means = np.array([[0.0] * 3, [5.0] * 3])
    rows = Rows(X, None, 1, np.zeros(3), kernels=kernels)
    model = GaussianMixtureModel(structure, np.full(2, 0.5), means, np.ones(2), np.ones(2) * 10)
    statistics = model.accumulate(Workspace(rows, structure.kernel, 2))
    np.testing.assert_allclose(statistics.second[0], np.square(X[:40]).sum(), rtol=1e-8)


def test_no_bounds_without_a_packed_copy():
    X, _ = clusters(6.0)
    rows = Rows(X, None, 1, pack=False)
    assert Workspace(rows, COVARIANCES["full"].kernel, K).skipping.slack.size == 0


def test_every_run_looks_at_the_order_anew():
    X, _ = clusters(6.0)
    workspace = Workspace(Rows(X, None, 1), COVARIANCES["full"].kernel, K)
    for _ in range(2):
        workspace.begin()
        assert workspace.skipping._n_passes == 0
        workspace.skipping._n_passes = 7


def test_verbose_tells_what_was_skipped(capsys):
    X, _ = clusters(6.0)
    GaussianMixture(K, verbose=1, random_state=0, max_iter=30).fit(X)
    assert "% of the pairs of a row and a component skipped" in capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_distances_beyond_the_range_of_the_bounds(name, kernels):
    """Bounds are kept in float32, where squares of 1e30 standard deviations are infinite."""
    rng = np.random.default_rng(0)
    means = 1e30 * rng.normal(size=(K, D))
    means[:2] = [np.zeros(D), np.full(D, 1.5)]
    X = means[rng.integers(K, size=N)] + rng.normal(size=(N, D))
    structure, covariances = COVARIANCES[name], random_mixture(name, D, K)[2]
    passes = {}
    for skip in (True, False):
        rows = Rows(X, None, 1, kernels=kernels)
        workspace = Workspace(rows, structure.kernel, K, skip=skip)
        assert bool(len(workspace.skipping.slack)) == skip
        passes[skip] = [
            structure.accumulate(workspace, model.parameters)
            for model in (
                GaussianMixtureModel(
                    structure,
                    np.full(K, 1 / K),
                    means - rows.shift + 0.05 * step,
                    covariances,
                    structure.precisions_cholesky(covariances),
                    1e-6,
                )
                for step in range(3)
            )
        ]
    for (counts, *_, total), (every_count, *_, every_total) in zip(*passes.values(), strict=True):
        np.testing.assert_allclose(counts, every_count, rtol=1e-12)
        np.testing.assert_allclose(total, every_total, rtol=1e-12)
