"""k-means for the start of EM, against scikit-learn's and against its own promises."""

import warnings

import numpy as np
import pytest
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import load_digits, load_wine

from fastem import GaussianMixture, initialization
from fastem.exceptions import ConvergenceWarning
from fastem.initialization import INITIALIZATIONS, Start
from fastem.kmeans import (
    Points,
    cluster,
    cluster_many,
    draws,
    lloyd,
    nearest,
    normal_fits,
    plus_plus,
)


def blobs(n_rows, n_features, n_clusters, seed=0, spread=2.0):
    rng = np.random.default_rng([seed, n_rows, n_features])
    centres = spread * rng.normal(size=(n_clusters, n_features))
    return centres[rng.integers(n_clusters, size=n_rows)] + rng.normal(size=(n_rows, n_features))


def start(X, n_clusters, seed=0, method="kmeans", **options):
    state = np.random.RandomState(seed)
    ((rows, labels, responsibilities),) = INITIALIZATIONS[method](
        Start(X, n_clusters, state, **options)
    )
    assert rows == slice(None)
    assert responsibilities is None
    assert labels.dtype == np.intc
    return labels


def theirs(X, n_clusters, seed=0, sample_weight=None):
    return KMeans(n_clusters, n_init=1, random_state=seed).fit(X, sample_weight=sample_weight)


SMALL = [
    *(blobs(n, d, 4, seed) for n in (30, 151, 2500) for d in (1, 2, 7) for seed in range(3)),
    load_wine().data,
    load_digits().data,
    blobs(700, 30, 6, spread=0.5),
]


@pytest.mark.parametrize("i", range(len(SMALL)))
@pytest.mark.parametrize("n_clusters", [1, 3, 10])
def test_the_labels_are_those_of_scikit_learn(i, n_clusters):
    for seed in range(3):
        ours = start(SMALL[i], n_clusters, seed)
        np.testing.assert_array_equal(ours, theirs(SMALL[i], n_clusters, seed).labels_)


def test_with_weights_too():
    X = blobs(800, 3, 5)
    weight = np.random.default_rng(0).gamma(0.5, size=800)
    for seed in range(5):
        ours = start(X, 5, seed, sample_weight=weight)
        np.testing.assert_array_equal(ours, theirs(X, 5, seed, weight).labels_)
    assert np.any(ours != start(X, 5, 4))


def test_with_float32():
    X = blobs(800, 3, 5, spread=4.0).astype(np.float32)
    for seed in range(5):
        ours = start(X, 5, seed)
        assert np.mean(ours == theirs(X, 5, seed).labels_) > 0.99


@pytest.mark.parametrize("weighted", [False, True])
def test_plus_plus_draws_the_rows_of_scikit_learn(weighted):
    X = blobs(5000, 4, 12)
    weight = np.random.default_rng(1).uniform(0.1, 5.0, size=5000) if weighted else None
    for seed in range(5):
        expected = kmeans_plusplus(X, 12, random_state=seed, sample_weight=weight)[1]
        state, other = np.random.RandomState(seed), np.random.RandomState(seed)
        rows = plus_plus(Points(X, weight), 12, draws(12, state))
        np.testing.assert_array_equal(rows, expected)
        kmeans_plusplus(X, 12, random_state=other, sample_weight=weight)
        assert state.random_sample() == other.random_sample()  # as many numbers were drawn
        labels = start(X, 12, seed, "k-means++", sample_weight=weight)
        np.testing.assert_array_equal(labels[expected], np.arange(12))
        assert np.count_nonzero(labels >= 0) == 12


def test_integer_weights_repeat_the_rows():
    X = blobs(300, 3, 4)
    weight = np.random.default_rng(0).integers(1, 5, size=300)
    repeated = np.repeat(X, weight, axis=0)
    once, many = Points(X, weight.astype(float)), Points(repeated)
    begin = X[:4]
    # to the end: the tolerance is of the variance of the rows, which does not know of the weights
    centres, labels, inertia = lloyd(once, begin - once.shift)
    expected, expected_labels, expected_inertia = lloyd(many, begin - many.shift)
    np.testing.assert_allclose(centres + once.shift, expected + many.shift, rtol=1e-10)
    np.testing.assert_array_equal(np.repeat(labels, weight), expected_labels)
    assert inertia == pytest.approx(expected_inertia, rel=1e-10)


def test_inertia_and_means():
    points = Points(blobs(500, 3, 4))
    centres, labels, inertia = lloyd(points, points.rows[:4])
    for k in range(4):
        np.testing.assert_allclose(centres[k], points.rows[labels == k].mean(axis=0), rtol=1e-2)
    assert inertia == pytest.approx(np.square(points.rows - centres[labels]).sum(), rel=1e-3)


def test_an_empty_cluster_goes_to_the_farthest_row():
    X = np.array([[0.0], [1.0], [2.0], [100.0]])
    begin = np.array([[1.0], [-500.0], [-900.0]])
    expected = KMeans(3, n_init=1, init=begin).fit(X)
    points = Points(X)
    _, labels, _ = lloyd(points, begin - points.shift)
    np.testing.assert_array_equal(labels, expected.labels_)
    assert set(labels) == {0, 1, 2}


@pytest.mark.parametrize("X", [np.full((40, 3), 7.5), np.repeat([[0.0], [1.0]], 20, axis=0)])
def test_fewer_distinct_rows_than_clusters(X):
    with pytest.warns(ConvergenceWarning, match=r"distinct clusters \([12]\).*n_clusters \(4\)"):
        labels = start(X, 4)
    with pytest.warns(ConvergenceWarning):
        expected = theirs(X, 4).labels_
    assert len(set(labels)) == len(set(expected))
    for label in set(labels):
        assert len(np.unique(X[labels == label], axis=0)) == 1


@pytest.mark.parametrize("scale", [1e-12, 1e12])
@pytest.mark.parametrize("n_rows", [600, 25_000])
def test_the_unit_does_not_matter(n_rows, scale):
    X = blobs(n_rows, 3, 4, spread=6.0)
    expected = start(X, 4)
    assert len(set(expected)) == 4
    np.testing.assert_array_equal(start(X * scale, 4), expected)


@pytest.mark.parametrize("n_rows", [600, 25_000])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_large_offset_does_not_matter(n_rows, dtype):
    X = blobs(n_rows, 3, 4, spread=60.0).round()
    moved = (X + 2.0**20).astype(dtype)  # exact in both types: whole numbers below 2^24
    same = start(moved, 4) == start(X.astype(dtype), 4)
    assert np.mean(same) > 0.999  # a row midway between two centres may go to either


@pytest.mark.parametrize(
    ("n_rows", "n_features", "n_clusters"), [(3000, 8, 20), (19_000, 23, 40), (25_000, 8, 8)]
)
def test_any_number_of_threads_and_any_layout(n_rows, n_features, n_clusters):
    X = blobs(n_rows, n_features, n_clusters)
    expected = start(X, n_clusters)
    np.testing.assert_array_equal(start(X, n_clusters, n_threads=3), expected)
    np.testing.assert_array_equal(start(np.asfortranarray(X), n_clusters), expected)
    spaced = np.zeros((n_rows, 2 * n_features))
    spaced[:, ::2] = X
    np.testing.assert_array_equal(start(spaced[:, ::2], n_clusters), expected)


def test_nearest():
    X, centres = blobs(1000, 5, 3), blobs(7, 5, 3, seed=1)
    distances = np.square(X[:, None] - centres).sum(axis=2)
    shift = X.mean(axis=0)
    found = nearest(X, centres - shift, shift)
    np.testing.assert_array_equal(found, distances.argmin(axis=1))


@pytest.mark.parametrize("scale", [1e-200, 1e160, 1e300])
def test_squares_that_vanish_or_overflow_end_in_some_labels(scale):
    X = scale * blobs(200, 3, 3)
    labels, n_distinct = cluster(X, 3, draws(3, np.random.RandomState(0)))
    assert set(labels) <= {0, 1, 2}
    assert 1 <= n_distinct <= 3
    assert np.isfinite(normal_fits(Points(blobs(200, 3, 3)), np.zeros((1, 3, 3)))).all()


# --- many problems in one call ------------------------------------------------------------------


def problems(n_features, dtype):
    sizes = np.array([30, 31, 500, 64, 6000, 200])
    X = np.concatenate([blobs(n, n_features, 6, seed) for seed, n in enumerate(sizes)])
    return (X + 5.0).astype(dtype), sizes


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("alike", [False, True])
def test_many_are_what_each_is_alone(dtype, weighted, n_threads, alike):
    X, sizes = problems(8, dtype)  # the largest has several partial sums
    state = np.random.RandomState(0)
    uniforms = np.array([draws(6, state) for _ in range(1 if alike else 2 * len(sizes))])
    weight = np.random.default_rng(0).uniform(0.1, 2.0, size=len(X)) if weighted else None
    found = cluster_many(X, sizes, 6, uniforms, weight, n_threads, n_init=2, with_centres=True)
    begin, labels = 0, []
    for b, n in enumerate(sizes):
        rows = slice(begin, begin + n)
        begin += n
        for i in range(2):
            mine = uniforms[0 if alike else 2 * b + i]
            one, n_distinct = cluster(X[rows], 6, mine, weight[rows] if weighted else None)
            labels.append(one)
            assert n_distinct == found.n_distinct[2 * b + i] == 6
            w = weight[rows][one == 3] if weighted else None
            mean = np.average(X[rows][one == 3].astype(float), axis=0, weights=w)
            # the centres are the means but for what the tolerance leaves
            np.testing.assert_allclose(found.centres[2 * b + i, 3], mean, atol=0.1)
    np.testing.assert_array_equal(found.labels, np.concatenate(labels))


def test_one_of_many_may_have_too_few_distinct_rows():
    X = np.concatenate([blobs(50, 2, 4), np.repeat([[0.0, 1.0], [1.0, 1.0]], 20, axis=0)])
    uniforms = draws(4, np.random.RandomState(0))
    found = cluster_many(X, np.array([50, 40]), 4, uniforms[None])
    assert found.n_distinct.tolist() == [4, 2]
    np.testing.assert_array_equal(found.labels[:50], cluster(X[:50], 4, uniforms)[0])
    np.testing.assert_array_equal(found.labels[50:], cluster(X[50:], 4, uniforms)[0])


@pytest.mark.parametrize(("n_rows", "n_features", "K"), [(500, 1, 2), (300, 5, 40), (900, 19, 7)])
def test_normal_fits(n_rows, n_features, K):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_features)) * rng.gamma(1.0, size=n_features) + 3.0
    X[:, 0] = X[:, 0].round()
    points = Points(X)
    centres = np.stack([X[:K], X[K : 2 * K]])
    for given, got in zip(centres, normal_fits(points, centres), strict=True):
        labels = nearest(X, given, np.zeros(n_features))
        Z = X / X.std(axis=0)
        expected = 0.0
        for k in range(K):
            z = Z[labels == k]
            if not len(z):
                continue
            S = np.cov(z.T, bias=True).reshape(n_features, n_features)
            variances = S.diagonal() + 1e-6
            S = S * len(z) / (len(z) + n_features + 1)
            np.fill_diagonal(S, variances)
            halves = np.linalg.slogdet(S)[1] / 4 + np.log(variances).sum() / 4
            expected += len(z) / n_rows * (np.log(len(z) / n_rows) - halves)
        assert got == pytest.approx(expected, rel=1e-9, abs=1e-9)


# --- on a sample ----------------------------------------------------------------------------------


def test_a_sample_finds_the_clusters():
    truth = np.random.default_rng(0).integers(6, size=40_000)
    X = 30.0 * np.eye(6)[truth] + blobs(40_000, 6, 1, spread=0.0)
    pairs = set(zip(start(X, 6).tolist(), truth.tolist(), strict=True))
    assert len(pairs) == 6  # the same clusters under other names


def test_heavy_rows_lead_the_sample():
    # two clusters by weight, though 98 of 100 rows lie in a third that weighs next to nothing
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50_000, 1))
    X[:1000] += 100.0
    X[1000:2000] -= 100.0
    weight = np.full(50_000, 1e-9)
    weight[:2000] = 1.0
    labels = start(X, 2, sample_weight=weight)
    assert len(set(labels[:1000])) == len(set(labels[1000:2000])) == 1
    assert labels[0] != labels[1000]


@pytest.mark.parametrize("weighted", [False, True])
def test_the_sample_is_spread_over_the_rows(weighted):
    weight = np.repeat([1.0, 3.0], 5000) if weighted else None
    rows = initialization._spread(10_000, 4000, np.random.RandomState(0), weight)
    assert len(rows) == 4000
    assert np.all(np.diff(rows) >= 0)
    assert rows.min() >= 0
    assert rows.max() < 10_000
    # as many of each half as its share of the weight, but for the one on the border
    assert abs(np.count_nonzero(rows < 5000) - (1000 if weighted else 2000)) <= 1
    if not weighted:
        assert len(set(rows)) == 4000


def test_a_fit_on_a_sample_is_as_good():
    X = blobs(30_000, 3, 4, spread=6.0)
    sampled = GaussianMixture(4, random_state=0).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = theirs(X, 4).labels_
    whole = GaussianMixture(4, init_params=np.eye(4)[labels]).fit(X)
    assert sampled.lower_bound_ == pytest.approx(whole.lower_bound_, abs=1e-3)
