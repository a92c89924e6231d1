"""The kernels of mixtures of exponential families: against the plain-NumPy twin, and against
themselves with every pair computed."""

import numpy as np
import pytest
import reference
from scipy.special import gammaln, logsumexp
from test_contract import TOLERANCE, isa_name, runnable_isas

from fastem._kernels import STRUCTURES
from fastem._kernels.many import ManyRows, ManyWorkspace
from fastem._kernels.rows import Rows, Workspace

LINEAR = STRUCTURES["Linear"]
TWIN = reference.ExponentialFamily()
NO_FACTORS = np.empty(0)
# N, D, K: one feature, blocks of features and every number that is left over, odd and even numbers
# of components, several slots
SIZES = [(50, 1, 2), (3000, 1, 16), (700, 2, 3), (300, 3, 1), (300, 4, 5), (300, 5, 2), (300, 6, 4),
         (300, 7, 4), (2000, 8, 7), (1500, 15, 3), (700, 33, 2), (400, 130, 2)]  # fmt: skip


@pytest.fixture(params=[np.float64, np.float32], ids=["float64", "float32"])
def dtype(request):
    return request.param


@pytest.fixture(params=runnable_isas(), ids=isa_name)
def kernels(request):
    return request.param


def normals(n_samples, D, K, spread=1.5, seed=0, offset=0.0):
    """Rows of normal distributions of variance 1 as an exponential family: T = x, eta = mu, and
    A = |mu|^2 / 2. About `offset`: constants and eta, in random order of the labels."""
    rng = np.random.default_rng(seed)
    eta = rng.normal(scale=spread, size=(K, D))
    weights = rng.dirichlet(np.full(K, 5.0))
    labels = rng.choice(K, n_samples, p=weights)
    T = eta[labels] + rng.normal(size=(n_samples, D)) + offset
    constants = np.log(weights) - 0.5 * np.square(eta).sum(axis=1) - eta @ np.full(D, offset)
    return T, constants, eta, labels


def poisson(rates, n_samples, seed=0):
    """T = x, eta = log rate, A = rate."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(len(rates), size=n_samples)
    T = rng.poisson(rates[labels]).astype(float)[:, np.newaxis]
    return T, -np.log(len(rates)) - rates, np.log(rates)[:, np.newaxis], labels


def bernoulli(n_samples, D, K, seed=0, concentration=0.1):
    """T = x in {0, 1}, eta = logit p, A = -sum log(1 - p)."""
    rng = np.random.default_rng(seed)
    p = rng.beta(concentration, concentration, size=(K, D)).clip(1e-3, 1 - 1e-3)
    labels = rng.integers(K, size=n_samples)
    T = (rng.uniform(size=(n_samples, D)) < p[labels]).astype(float)
    return T, -np.log(K) + np.log1p(-p).sum(axis=1), np.log(p / (1 - p)), labels


def parameters_about(rows, constants, eta):
    return {
        "constants": constants + eta @ rows.shift,
        "means": np.ascontiguousarray(eta),
        "precisions_cholesky": NO_FACTORS,
    }


def accumulate(T, constants, eta, kernels, *, weight=None, n_threads=1, pack=True, about=None,
               skip=True, **known):  # fmt: skip
    """Statistics, with moments about a point of the rows as they are."""
    rows = Rows(T, weight, n_threads, pack=pack, kernels=kernels)
    workspace = Workspace(rows, LINEAR, len(eta), skip=skip)
    point = None if about is None else about - rows.shift
    counts, first, second, log_likelihood = workspace.accumulate(
        parameters_about(rows, constants, eta), about=point, **known
    )
    assert second.shape == (len(eta), 0)
    if about is None:  # the shift itself
        first = first + counts[:, np.newaxis] * rows.shift
    return counts, first, log_likelihood


def assert_statistics_close(got, wanted, scale, tolerance):
    limit = tolerance * max(1.0, wanted.counts.max())
    np.testing.assert_allclose(got[0], wanted.counts, rtol=0, atol=limit)
    np.testing.assert_allclose(got[1], wanted.first, rtol=0, atol=limit * scale)


def same_bits(left, right):
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in zip(left, right))  # noqa: B905


@pytest.mark.parametrize(("n_samples", "D", "K"), SIZES)
def test_statistics_equal_the_reference(dtype, kernels, n_samples, D, K):
    T, constants, eta, _ = normals(n_samples, D, K)
    T = T.astype(dtype)
    weight = np.random.default_rng(5).uniform(0.1, 3.0, n_samples)
    expectation = TWIN.e_step(T.astype(float), constants, eta)
    for w in (None, weight):
        got = accumulate(T, constants, eta, kernels, weight=w)
        wanted = TWIN.statistics(T, expectation.responsibilities, np.zeros_like(eta), w)
        assert_statistics_close(got, wanted, np.ptp(T), 3 * TOLERANCE[dtype])
        total = np.sum(expectation.log_likelihood * (1.0 if w is None else w))
        size = np.abs(expectation.log_likelihood).sum()
        np.testing.assert_allclose(got[2], total, rtol=0, atol=3 * TOLERANCE[dtype] * size)


@pytest.mark.parametrize(("n_samples", "D", "K"), SIZES)
def test_scores_equal_the_reference(dtype, kernels, n_samples, D, K):
    T, constants, eta, _ = normals(n_samples, D, K)
    T = T.astype(dtype)
    rows = Rows(T, None, 2, T.mean(axis=0).astype(float), pack=False, kernels=kernels)
    log_likelihood, responsibilities, labels = Workspace(rows, LINEAR, K).score(
        parameters_about(rows, constants, eta),
        log_likelihood=True, responsibilities=True, labels=True,
    )  # fmt: skip
    wanted = TWIN.e_step(T.astype(float), constants, eta)
    tolerance = TOLERANCE[dtype] * max(1.0, np.abs(T * eta[0]).sum(axis=1).max() / 10)
    np.testing.assert_allclose(log_likelihood, wanted.log_likelihood, rtol=0, atol=tolerance)
    np.testing.assert_allclose(
        responsibilities, wanted.responsibilities, rtol=0, atol=10 * tolerance
    )
    ordered = np.sort(wanted.responsibilities, axis=1)
    clear = ordered[:, -1] - (ordered[:, -2] if K > 1 else 0) > 100 * tolerance
    assert clear.mean() > 0.4
    np.testing.assert_array_equal(labels[clear], wanted.responsibilities.argmax(axis=1)[clear])


def test_moments_about_any_point(dtype, kernels):
    T, constants, eta, _ = normals(900, 5, 3, offset=4.0)
    T = T.astype(dtype)
    r = TWIN.e_step(T.astype(float), constants, eta).responsibilities
    for about in (np.zeros_like(eta), eta + 0.5, np.full_like(eta, 4.0)):
        got = accumulate(T, constants, eta, kernels, about=about)
        wanted = TWIN.statistics(T, r, about)
        assert_statistics_close(got, wanted, np.ptp(T), 10 * TOLERANCE[dtype])


def test_known_responsibilities_equal_the_reference(dtype, kernels):
    n_samples, D, K = 900, 7, 3
    T, constants, eta, labels = normals(n_samples, D, K)
    T = T.astype(dtype)
    weight = np.random.default_rng(5).uniform(0.1, 3.0, n_samples)
    hard = np.eye(K)[labels]
    hard[::10] = 0  # label -1: these rows belong to no component
    labels = np.where(hard.any(axis=1), labels, -1).astype(np.intc)
    soft = np.random.default_rng(6).dirichlet(np.ones(K), n_samples)
    for known, responsibilities in (
        ({"labels": labels}, hard),
        ({"responsibilities": np.ascontiguousarray(soft, dtype=dtype)}, soft),
    ):
        got = accumulate(T, constants, eta, kernels, weight=weight, **known)
        wanted = TWIN.statistics(T, responsibilities, np.zeros_like(eta), weight)
        assert_statistics_close(got, wanted, np.ptp(T), TOLERANCE[dtype])
        assert got[2] == 0


@pytest.mark.parametrize("D", [1, 9])
def test_same_bits_for_any_threads_layout_and_packing(dtype, kernels, D):
    n_samples, K = 60_000 if D == 1 else 30_000, 7
    T, constants, eta, _ = normals(n_samples, D, K)
    T = T.astype(dtype)
    weight = np.random.default_rng(5).uniform(0.0, 3.0, n_samples)
    base = accumulate(T, constants, eta, kernels, weight=weight)
    for n_threads in (2, 3, 8):
        rows = Rows(T, weight, n_threads, kernels=kernels)
        assert Workspace(rows, LINEAR, K).n_threads == n_threads
        again = accumulate(T, constants, eta, kernels, weight=weight, n_threads=n_threads)
        assert same_bits(base, again), n_threads
    for other in (np.asfortranarray(T), np.repeat(T, 2, axis=1)[:, ::2]):
        assert same_bits(base, accumulate(other, constants, eta, kernels, weight=weight))
    assert same_bits(base, accumulate(T, constants, eta, kernels, weight=weight, pack=False))


def test_many_mixtures_have_the_statistics_of_each(dtype, kernels, monkeypatch):
    monkeypatch.setattr("fastem._kernels.rows.SERIAL_WORK", 0)
    D, K, sizes = 3, 4, np.array([50, 700, 33])
    problems = [normals(n, D, K, seed=i) for i, n in enumerate(sizes)]
    tables = [p[0].astype(dtype) for p in problems]
    rows = ManyRows(np.concatenate(tables), sizes, None, 2, kernels)
    workspace = ManyWorkspace(rows, LINEAR, K, np.arange(3))
    alone = [Rows(table, None, 1, kernels=kernels) for table in tables]
    each = [parameters_about(own, p[1], p[2]) for own, p in zip(alone, problems, strict=True)]
    stacked = {key: np.stack([p[key] for p in each]) for key in each[0]}
    counts, first, _, log_likelihood = workspace.accumulate(stacked)
    for i, own in enumerate(alone):
        wanted = Workspace(own, LINEAR, K).accumulate(each[i])
        tolerance = {"rtol": 0, "atol": TOLERANCE[dtype] * sizes[i]}
        np.testing.assert_allclose(counts[i], wanted[0], **tolerance)
        np.testing.assert_allclose(first[i], wanted[1], **tolerance)
        np.testing.assert_allclose(log_likelihood[i], wanted[3], rtol=TOLERANCE[dtype])


def test_labels_however_low_the_log_densities_are(dtype, kernels):
    """There is no distance that would be too far: an exponential of rate 2 is less likely for a
    large number than one of rate 1, and log p of the larger ones is far above 0 elsewhere."""
    x = np.array([[1e3], [1e10], [1e20], [1e30]], dtype=dtype)
    rates = np.array([2.0, 1.0, 3.0])
    rows = Rows(x, None, 1, np.zeros(1), kernels=kernels)
    for sign, best in ((-1.0, 1), (1.0, 2)):
        parameters = parameters_about(rows, np.log(rates), sign * rates[:, np.newaxis])
        log_likelihood, responsibilities, labels = Workspace(rows, LINEAR, 3).score(
            parameters, log_likelihood=True, responsibilities=True, labels=True
        )
        np.testing.assert_array_equal(labels, best)
        np.testing.assert_array_equal(responsibilities, np.eye(3)[[best] * 4])
        exact = logsumexp(sign * x.astype(float) * rates + np.log(rates), axis=1)
        np.testing.assert_allclose(log_likelihood, exact, rtol=1e-6)


def test_components_without_weight_and_rows_without_density(kernels):
    T, constants, eta, _ = normals(300, 3, 4)
    constants[2] = -np.inf
    counts, _, log_likelihood = accumulate(T, constants, eta, kernels)
    wanted = TWIN.e_step(T, constants, eta)
    assert counts[2] == 0
    np.testing.assert_allclose(log_likelihood, wanted.log_likelihood.sum(), rtol=1e-12)
    rows = Rows(T, None, 1, kernels=kernels)
    nobody = parameters_about(rows, np.full(4, -np.inf), eta)
    labels = Workspace(rows, LINEAR, 4).score(nobody, labels=True)[2]
    np.testing.assert_array_equal(labels, -1)


# ---------------------------------------------------------------------- pairs that are left out


def counts_apart(spread, n_samples):
    return poisson(np.geomspace(1, spread, 8), n_samples)


N = 300_000


def poisson_mle(means):
    return np.log(means), means.sum(axis=1)


def bernoulli_mle(means):
    p = means.clip(1e-6, 1 - 1e-6)
    return np.log(p / (1 - p)), -np.log1p(-p).sum(axis=1)


def normal_mle(means):
    return means, 0.5 * np.square(means).sum(axis=1)


# rows and start, eta and A(eta) of the means, whether the components are far apart
CASES = {
    "Poisson, apart": (lambda: counts_apart(1e5, N), poisson_mle, True),
    "Poisson, overlapping": (lambda: counts_apart(8, N), poisson_mle, False),
    "Bernoulli, apart": (lambda: bernoulli(N // 15, 60, 8), bernoulli_mle, True),
    "Bernoulli, overlapping": (
        lambda: bernoulli(N // 15, 20, 8, concentration=2.0),
        bernoulli_mle,
        False,
    ),
    "normal, apart": (
        lambda: normals(N // 3, 5, 8, spread=9.0, offset=100.0),
        normal_mle,
        True,
    ),
}


def em(T, constants, eta, maximise, kernels, *, skip, n_threads=1, weight=None, n_iter=10):
    """EM by hand; returns the log-likelihoods, the last parameters and the workspace."""
    rows = Rows(T, weight, n_threads, kernels=kernels)
    workspace = Workspace(rows, LINEAR, len(eta), skip=skip)
    workspace.begin()
    trace = []
    for _ in range(n_iter):
        counts, first, _, log_likelihood = workspace.accumulate(
            parameters_about(rows, constants, eta)
        )
        trace.append(log_likelihood)
        means = first / counts[:, np.newaxis] + rows.shift
        eta, log_partition = maximise(means)
        constants = np.log(counts / counts.sum()) - log_partition
    return np.array(trace), constants, eta, workspace


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_the_trace_is_that_of_every_pair(case, weighted, kernels):
    draw, maximise, apart = CASES[case]
    T, constants, eta, _ = draw()
    eta = eta * 1.02
    weight = np.random.default_rng(1).uniform(0.1, 3.0, len(T)) if weighted else None
    skipping, plain = (
        em(T, constants, eta, maximise, kernels, skip=skip, weight=weight) for skip in (True, False)
    )
    size = np.abs(plain[0]).max()
    np.testing.assert_allclose(skipping[0], plain[0], rtol=0, atol=1e-12 * size)
    np.testing.assert_allclose(skipping[2], plain[2], rtol=1e-8, atol=1e-9)
    assert np.diff(skipping[0][1:]).min() > -1e-10 * size  # the start is no normalised mixture
    assert plain[3].skipped == 0
    if apart:
        assert skipping[3].rows.arrangement.version >= 1  # like was put beside like
        assert skipping[3].skipped > 0.1


def test_the_trace_in_single_precision(kernels):
    draw, maximise, _ = CASES["Bernoulli, apart"]
    T, constants, eta, _ = draw()
    T = T.astype(np.float32)
    skipping, plain = (
        em(T, constants, eta, maximise, kernels, skip=skip, n_iter=6) for skip in (True, False)
    )
    np.testing.assert_allclose(skipping[0], plain[0], rtol=2e-6)


def test_skipping_has_the_same_bits_for_any_number_of_threads(kernels):
    draw, maximise, _ = CASES["Poisson, apart"]
    base, *others = (em(*draw()[:3], maximise, kernels, skip=True, n_threads=t) for t in (1, 2, 5))
    for other in others:
        assert same_bits(base[:3], other[:3])
        assert base[3].skipped == other[3].skipped


@pytest.mark.parametrize("offset", [0.0, -30.0])
def test_bounds_hold_however_the_parameters_move(kernels, offset):
    """What was noted about one mixture must not spoil the next pass about quite another."""
    D, K = 9, 8
    T, _, eta, _ = normals(30_000, D, K, spread=4.0, offset=offset)
    rows = Rows(T, None, 1, kernels=kernels)
    kept = Workspace(rows, LINEAR, K)
    assert len(kept.skipping.slack)
    rng = np.random.default_rng(3)
    skipped = []
    for step in (0.0, 1e-6, 1e-3, 0.01, 0.3, 1e-4, 5.0, 0.0, 1e-3, 1e200, 0.0, 0.0):
        means = eta + step * rng.normal(size=eta.shape)
        if step == 1e200:  # bounds are in float32: nothing is known of a step beyond its range
            means = eta * np.where(np.arange(K)[:, np.newaxis] == 3, 1e50, 1.0)
        size = means - offset * (step != 1e200)
        constants = np.log(rng.dirichlet(np.full(K, 50.0))) - 0.5 * np.square(means).sum(axis=1)
        constants -= means @ np.full(D, offset)
        parameters = parameters_about(rows, constants, means)
        counts, _, _, total = kept.accumulate(parameters)
        skipped.append(kept.skipped)
        fresh_rows = Rows(T, None, 1, rows.shift, kernels=kernels)
        fresh = Workspace(fresh_rows, LINEAR, K, skip=False).accumulate(parameters)
        np.testing.assert_allclose(total, fresh[3], rtol=1e-12)
        np.testing.assert_allclose(counts, fresh[0], rtol=1e-9, atol=1e-9)
        assert np.isfinite(size).all()
    assert max(skipped) > 0.5


def test_log_densities_rise_no_further_than_the_contraction_says(kernels):
    rng = np.random.default_rng(0)
    for D in (1, 3, 30):
        x = rng.normal(size=(400, D)) * rng.uniform(0.1, 10, D) + rng.normal(size=D)
        ranges = np.array([x.min(axis=0), x.max(axis=0)])
        for step in (1e-6, 1e-2, 0.3, 5.0):
            old = rng.normal(size=(3, D))
            new = old + step * rng.normal(size=old.shape)
            new[2] = old[2]
            moved = np.empty((3, 3), dtype=np.float32)
            scratch = np.empty((1, D * (D + 1)))
            kernels.contraction(LINEAR, old, NO_FACTORS, new, NO_FACTORS, ranges, scratch, moved, 1)
            rises = x @ (new - old).T
            assert (rises <= moved[2]).all()
            assert moved[2, 2] == 0
            if D == 1:  # the range is that of the points
                np.testing.assert_allclose(moved[2], rises.max(axis=0), rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_hundreds_of_equal_components(dtype, kernels):
    T, constants, eta, _ = normals(512, 3, 1)
    one = accumulate(T.astype(dtype), constants, eta, kernels)
    K = 300
    many = accumulate(
        T.astype(dtype), np.full(K, constants[0] - np.log(K)), np.repeat(eta, K, axis=0), kernels
    )
    np.testing.assert_allclose(many[2], one[2], rtol=1e-5)
    np.testing.assert_allclose(many[0], 512 / K, rtol=1e-4)


def test_the_log_likelihood_of_a_known_mixture(kernels):
    """With the base measure of the caller it is that of scipy's distributions."""
    from scipy.stats import poisson as scipy_poisson

    rates = np.array([2.0, 9.0, 40.0])
    x, constants, eta, _ = poisson(rates, 500)
    total = accumulate(x, constants, eta, kernels)[2] - gammaln(x + 1).sum()
    exact = logsumexp(scipy_poisson.logpmf(x, rates), b=1 / 3, axis=1).sum()
    np.testing.assert_allclose(total, exact, rtol=1e-12)
