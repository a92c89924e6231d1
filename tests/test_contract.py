"""Every kernel against the plain-NumPy twin: covariance x dtype x instruction set, with any number
of threads, sample weights, known responsibilities and memory layouts."""

import importlib

import numpy as np
import pytest
import reference
from mixtures import draw, random_mixture

import fastem._kernels as compiled
from fastem._kernels.many import ManyRows, ManyWorkspace
from fastem._kernels.rows import Rows, Workspace, n_slots, tile_size
from fastem.covariances import COVARIANCES
from fastem.families import GaussianMixtureModel, ManyGaussianMixtures, Statistics, merge


def runnable_isas():
    level = importlib.import_module("fastem._kernels._baseline").cpu_level()
    isas = []
    for isa in compiled.ISAS[: level + 1]:
        try:
            isas.append(importlib.import_module(f"fastem._kernels._{isa}"))
        except ModuleNotFoundError:
            continue
    return isas


def isa_name(module):
    return module.__name__.rpartition("_")[2]


# D: unrolled (1..6), one block of rows and a part, many; N: less than a tile, several slots
SIZES = [(50, 1, 2), (700, 2, 3), (300, 3, 1), (300, 4, 5), (300, 5, 2), (700, 6, 3), (300, 7, 4),
         (2000, 8, 4), (1500, 13, 3), (700, 33, 2), (400, 130, 2)]  # fmt: skip
TOLERANCE = {np.float64: 1e-11, np.float32: 3e-4}


@pytest.fixture(params=sorted(COVARIANCES))
def name(request):
    return request.param


@pytest.fixture(params=[np.float64, np.float32], ids=["float64", "float32"])
def dtype(request):
    return request.param


@pytest.fixture(params=runnable_isas(), ids=isa_name)
def kernels(request):
    return request.param


def model_about(name, weights, means, covariances, shift, **options):
    """The library's model with these parameters, for rows less the shift."""
    structure = COVARIANCES[name]
    factors = structure.precisions_cholesky(covariances)
    return GaussianMixtureModel(structure, weights, means - shift, covariances, factors, **options)


def accumulate(
    name, X, parameters, kernels, *, n_threads=1, pack=True, weight=None, about=None, **known
):
    rows = Rows(X, weight, n_threads, pack=pack, kernels=kernels)
    model = model_about(name, *parameters, rows.shift)
    workspace = Workspace(rows, model.structure.kernel, len(parameters[0]))
    about = model.means if about is None else about - rows.shift
    moments = model.structure.accumulate(workspace, model.parameters, about=about, **known)
    return Statistics(about, *moments, rows.total_weight, rows.n_rows)


def assert_statistics_close(got, expected, scale, tolerance):
    """Each array within `tolerance` of the largest value that could stand in it."""
    for field, size in (("counts", 1.0), ("first", scale), ("second", scale**2)):
        actual, wanted = getattr(got, field), getattr(expected, field)
        limit = tolerance * size * max(1.0, expected.counts.max())
        np.testing.assert_allclose(actual.reshape(wanted.shape), wanted, rtol=0, atol=limit)


@pytest.mark.parametrize(("n_samples", "D", "K"), SIZES)
def test_statistics_equal_the_reference(name, dtype, kernels, n_samples, D, K):
    parameters = random_mixture(name, D, K)
    X, _ = draw(n_samples, *parameters, name)
    weight = np.random.default_rng(5).uniform(0.1, 3.0, n_samples)
    twin = reference.STRUCTURES[name]
    for w in (None, weight):
        got = accumulate(name, X.astype(dtype), parameters, kernels, weight=w)
        expectation = twin.e_step(X, *parameters)
        wanted = twin.statistics(X, expectation.responsibilities, parameters[1], w)
        assert_statistics_close(got, wanted, np.ptp(X), TOLERANCE[dtype])
        total = np.sum(expectation.log_likelihood * (1.0 if w is None else w))
        np.testing.assert_allclose(got.log_likelihood, total, rtol=TOLERANCE[dtype])


@pytest.mark.parametrize(("n_samples", "D", "K"), SIZES)
def test_scores_equal_the_reference(name, dtype, kernels, n_samples, D, K):
    parameters = random_mixture(name, D, K)
    X, _ = draw(n_samples, *parameters, name)
    X = X.astype(dtype)
    shift = parameters[1].mean(axis=0)
    rows = Rows(X, None, 2, shift, pack=False, kernels=kernels)
    model = model_about(name, *parameters, shift)
    log_likelihood, responsibilities, labels = Workspace(rows, model.structure.kernel, K).score(
        model.parameters, log_likelihood=True, responsibilities=True, labels=True
    )
    wanted = reference.STRUCTURES[name].e_step(X.astype(np.float64), *parameters)
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(
        log_likelihood, wanted.log_likelihood, rtol=tolerance, atol=tolerance
    )
    np.testing.assert_allclose(
        responsibilities, wanted.responsibilities, rtol=0, atol=10 * tolerance
    )
    np.testing.assert_allclose(responsibilities.sum(axis=1), 1.0, rtol=1e-6)
    # where the two best differ by more than rounding, the label is the best one
    ordered = np.sort(wanted.responsibilities, axis=1)
    clear = ordered[:, -1] - (ordered[:, -2] if K > 1 else 0) > 100 * tolerance
    best = wanted.responsibilities.argmax(axis=1)
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(labels[clear], best[clear])


def test_moments_about_another_point(name, dtype, kernels):
    parameters = random_mixture(name, 5, 3)
    X, _ = draw(600, *parameters, name)
    about = parameters[1] + 0.5
    got = accumulate(name, X.astype(dtype), parameters, kernels, about=about)
    twin = reference.STRUCTURES[name]
    expectation = twin.e_step(X, *parameters)
    wanted = twin.statistics(X, expectation.responsibilities, about, None)
    assert_statistics_close(got, wanted, np.ptp(X), TOLERANCE[dtype])
    total = expectation.log_likelihood.sum()
    np.testing.assert_allclose(got.log_likelihood, total, rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("D", [1, 3, 7, 13])
def test_many_mixtures_have_the_statistics_of_each(name, dtype, kernels, D, monkeypatch):
    monkeypatch.setattr("fastem._kernels.rows.SERIAL_WORK", 0)
    K, structure = 3, COVARIANCES[name]
    parameters = [random_mixture(name, D, K, seed=seed) for seed in range(5)]
    sizes = np.array([50, 700, 33, 260, 129])
    tables = [
        draw(n, *p, name, seed=i)[0].astype(dtype)
        for i, (n, p) in enumerate(zip(sizes, parameters, strict=True))
    ]
    weights = [np.random.default_rng(n).uniform(0.1, 3.0, n) for n in sizes]
    labels = [np.arange(n, dtype=np.intc) % (K + 1) - 1 for n in sizes]  # -1: of no component
    soft = [np.random.default_rng(n).dirichlet(np.ones(K), n).astype(dtype) for n in sizes]
    members = np.array([3, 1, 1, 0, 4, 2])  # two mixtures of one table, and in any order
    models = [
        model_about(name, *parameters[p], Rows(tables[p], None, 1).shift, reg_covar=1e-3)
        for p in members
    ]
    fields = ("weights", "means", "covariances", "precisions_cholesky")
    stacked = ManyGaussianMixtures(
        structure, *(np.stack([getattr(m, f) for m in models]) for f in fields), 1e-3
    )
    for weight in (None, weights):
        outcomes = []
        for n_threads in (1, 2, 8):
            together = None if weight is None else np.concatenate(weight)
            rows = ManyRows(np.concatenate(tables), sizes, together, n_threads, kernels)
            workspace = ManyWorkspace(rows, structure.kernel, K, members)
            computed = stacked.accumulate(workspace)
            known = [
                structure.accumulate(
                    workspace,
                    stacked.parameters,
                    **{key: np.concatenate([values[p] for p in members])},
                )
                for key, values in (("labels", labels), ("responsibilities", soft))
            ]
            outcomes.append((computed, known))
        (computed, known), *others = outcomes
        assert all(same_bits_of_many(computed, other) for other, _ in others)
        some = np.array([True, False, True, True, False, True])
        alone = stacked.only(some).accumulate(workspace.only(some))
        np.testing.assert_array_equal(alone.second, computed.second[some])
        tolerance = TOLERANCE[dtype]
        for i, (p, model) in enumerate(zip(members, models, strict=True)):
            own = Rows(tables[p], None if weight is None else weight[p], 1, kernels=kernels)
            single = Workspace(own, structure.kernel, K)
            for got, wanted in (
                (computed.second[i], model.accumulate(single).second),
                (computed.log_likelihood[i], model.accumulate(single).log_likelihood),
                (known[0][2][i], structure.accumulate(single, model.parameters, labels[p])[2]),
                (known[1][1][i], structure.accumulate(single, model.parameters, None, soft[p])[1]),
            ):
                scale = max(1.0, np.abs(wanted).max())
                np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * scale)
            new, wanted = stacked.maximise(computed)[i], model.maximise(model.accumulate(single))
            np.testing.assert_allclose(new.covariances, wanted.covariances, rtol=100 * tolerance,
                                       atol=100 * tolerance)  # fmt: skip


def same_bits_of_many(left, right):
    return all(
        getattr(left, f).tobytes() == getattr(right, f).tobytes()
        for f in ("counts", "first", "second", "log_likelihood")
    )


def test_padding_does_not_spoil_a_tile(name, kernels):
    # 0, where the padding stands, is too far from both components for a density in float32
    K, n_features = 2, 3
    labels = np.arange(200) % K
    X = np.where(labels[:, None] == 1, 1e17, -1e17).astype(np.float32)
    X = np.repeat(X, n_features, axis=1)
    structure = COVARIANCES[name]
    means = np.array([[-1e17], [1e17]]).repeat(n_features, axis=1)
    factors = structure.precisions_cholesky(1e-6 * random_mixture(name, n_features, K)[2])
    rows = Rows(X, None, 1, np.zeros(n_features), kernels=kernels)
    model = GaussianMixtureModel(structure, np.full(K, 0.5), means.astype(np.float32).astype(float),
                                 np.empty(0), factors)  # fmt: skip
    workspace = Workspace(rows, structure.kernel, K)
    counts, _, _, log_likelihood = structure.accumulate(workspace, model.parameters)
    np.testing.assert_array_equal(counts, [100, 100])
    assert np.isfinite(log_likelihood)


def test_known_responsibilities_equal_the_reference(name, dtype, kernels):
    D, K, n_samples = 7, 3, 900
    parameters = random_mixture(name, D, K)
    X, labels = draw(n_samples, *parameters, name)
    weight = np.random.default_rng(5).uniform(0.1, 3.0, n_samples)
    hard = np.eye(K)[labels]
    hard[::10] = 0  # label -1: these rows belong to no component
    labels = np.where(hard.any(axis=1), labels, -1).astype(np.intc)
    soft = np.random.default_rng(6).dirichlet(np.ones(K), n_samples)
    twin = reference.STRUCTURES[name]
    for known, responsibilities in (
        ({"labels": labels}, hard),
        ({"responsibilities": np.ascontiguousarray(soft, dtype=dtype)}, soft),
    ):
        got = accumulate(name, X.astype(dtype), parameters, kernels, weight=weight, **known)
        wanted = twin.statistics(X, responsibilities, parameters[1], weight)
        assert_statistics_close(got, wanted, np.ptp(X), TOLERANCE[dtype])
        assert got.log_likelihood == 0


def same_bits(left, right):
    fields = ("counts", "first", "second")
    return all(getattr(left, f).tobytes() == getattr(right, f).tobytes() for f in fields) and (
        left.log_likelihood == right.log_likelihood
    )


@pytest.mark.parametrize("D", [2, 9])
def test_same_bits_for_any_threads_layout_and_packing(name, dtype, kernels, D):
    K, n_samples = 6, 30_000
    parameters = random_mixture(name, D, K)
    X = draw(n_samples, *parameters, name)[0].astype(dtype)
    weight = np.random.default_rng(5).uniform(0.0, 3.0, n_samples)
    base = accumulate(name, X, parameters, kernels, weight=weight)
    for n_threads in (2, 3, 8):
        rows = Rows(X, weight, n_threads, kernels=kernels)
        assert Workspace(rows, COVARIANCES[name].kernel, K).n_threads == n_threads
        again = accumulate(name, X, parameters, kernels, weight=weight, n_threads=n_threads)
        assert same_bits(base, again), n_threads
    read_only = X.copy()
    read_only.flags.writeable = False
    wide = np.repeat(X, 2, axis=1)
    packed_record = np.zeros(n_samples, dtype=[("flag", "i1"), ("x", X.dtype, D)])
    packed_record["x"] = X
    layouts = {
        "Fortran": np.asfortranarray(X),
        "read-only": read_only,
        "strided": wide[:, ::2],
        "backwards": X[::-1, ::-1].copy()[::-1, ::-1],
        "unaligned": packed_record["x"],
    }
    for layout, other in layouts.items():
        before = other.copy()
        again = accumulate(name, other, parameters, kernels, weight=weight, n_threads=2)
        assert same_bits(base, again), layout
        np.testing.assert_array_equal(other, before)
    unpacked = accumulate(name, X, parameters, kernels, weight=weight, pack=False)
    assert same_bits(base, unpacked)


def test_weights_remove_and_repeat_rows(name, kernels):
    parameters = random_mixture(name, 5, 3)
    X, _ = draw(800, *parameters, name)
    times = np.random.default_rng(5).integers(0, 4, 800)
    weighted = accumulate(name, X, parameters, kernels, weight=times.astype(float))
    repeated = accumulate(name, np.repeat(X, times, axis=0), parameters, kernels)
    assert_statistics_close(weighted, repeated, np.ptp(X), 1e-11)
    np.testing.assert_allclose(weighted.log_likelihood, repeated.log_likelihood, rtol=1e-12)
    assert weighted.total_weight == times.sum()


def test_merge_of_two_halves_is_the_whole(name):
    parameters = random_mixture(name, 4, 3)
    X, _ = draw(1000, *parameters, name)
    whole = Rows(X, None, 1)
    model = model_about(name, *parameters, whole.shift)
    parts = []
    for part in (X[:300], X[300:], X):
        rows = Rows(part, None, 1, whole.shift)
        parts.append(model.accumulate(Workspace(rows, model.structure.kernel, 3)))
    left, right, together = parts
    merged = merge(left, right)
    assert_statistics_close(merged, together, np.ptp(X), 1e-12)
    assert merged.n_rows == 1000
    np.testing.assert_allclose(merged.log_likelihood, together.log_likelihood, rtol=1e-12)
    other = Statistics(left.about + 1, left.counts, left.first, left.second, 0.0, 1.0, 1)
    with pytest.raises(ValueError, match="different means"):
        merge(left, other)


def test_maximise_equals_the_reference(name):
    parameters = random_mixture(name, 4, 3)
    X, _ = draw(1000, *parameters, name)
    rows = Rows(X, None, 1)
    model = model_about(name, *parameters, rows.shift, reg_covar=1e-3)
    new = model.maximise(model.accumulate(Workspace(rows, model.structure.kernel, 3)))
    twin = reference.STRUCTURES[name]
    responsibilities = twin.e_step(X, *parameters).responsibilities
    weights, means, covariances = twin.maximise(X, responsibilities, reg_covar=1e-3)
    np.testing.assert_allclose(new.weights, weights, rtol=1e-12)
    np.testing.assert_allclose(new.means + rows.shift, means, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(new.covariances, covariances, rtol=1e-11, atol=1e-12)


def test_float32_tied_covariance_far_apart():
    rng = np.random.default_rng(0)
    labels = np.arange(4000) % 2
    X = rng.normal(size=(4000, 2)) + np.where(labels[:, None] == 1, 300.0, -300.0)
    X = X.astype(np.float32)
    parameters = (np.full(2, 0.5), np.array([[-300.0] * 2, [300.0] * 2]), np.eye(2))
    got = accumulate("tied", X, parameters, compiled.kernels)
    exact = X.astype(np.float64) - parameters[1][labels]
    np.testing.assert_allclose(got.second, exact.T @ exact, rtol=1e-4, atol=0.1)


def test_the_shift_never_takes_a_row_away_from_zero():
    X = np.array([[1e6, -3.0, -5.0], [1e6 + 1, 4.0, -7.0]])
    np.testing.assert_array_equal(Rows(X, None, 1).shift, [1e6, 0.0, -5.0])
    far = np.vstack([np.random.default_rng(0).normal(size=(999, 1)), [[1e8]]])
    assert Rows(far, None, 1).shift == 0.0
    assert Rows(far.astype(np.float32), None, 4).shift == 0.0


def test_far_apart_tied_components_keep_their_digits():
    # between the means lies 10^14 times the variance within: taking it away would leave nothing
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2000, 3)) @ np.array([[1, 0, 0], [0.5, 1, 0], [0, 0.3, 1.0]])
    labels = np.arange(2000) % 2
    X = noise + np.where(labels[:, None] == 1, 1e7, -1e7)
    parameters = (np.full(2, 0.5), np.array([[-1e7] * 3, [1e7] * 3]), np.eye(3))
    got = accumulate("tied", X, parameters, compiled.kernels)
    exact = X - parameters[1][labels]
    np.testing.assert_allclose(got.second, exact.T @ exact, rtol=1e-8, atol=1e-4)


@pytest.mark.parametrize("n_features", [1, 2, 3, 7, 8, 17, 64, 100])
def test_inverse_cholesky(kernels, n_features):
    rng = np.random.default_rng(n_features)
    A = rng.normal(size=(5, n_features, n_features + 2))
    matrices = A @ A.transpose(0, 2, 1)
    outs = []
    for n_threads in (1, 4):
        out = np.empty_like(matrices)
        assert kernels.inverse_cholesky(matrices.copy(), out, n_threads) == -1
        outs.append(out)
    assert outs[0].tobytes() == outs[1].tobytes()
    out = outs[0]
    np.testing.assert_array_equal(np.tril(out, -1), 0)
    product = np.swapaxes(out, 1, 2) @ matrices @ out
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(n_features), out.shape), atol=1e-8)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_inverse_cholesky_names_the_matrix_at_fault(kernels, bad):
    matrices = np.stack([np.eye(3)] * 4)
    matrices[2, 1, 1] = bad
    assert kernels.inverse_cholesky(matrices, np.empty_like(matrices), 2) == 2


def test_horizontal_sums_add_every_lane(kernels, dtype):
    # one point a lane: S1 of many features is a plain sum, whichever way lanes are added up
    X = np.arange(16 * 37, dtype=dtype).reshape(16, 37)
    labels = np.zeros(16, dtype=np.intc)
    rows = Rows(X, None, 1, np.zeros(37), kernels=kernels)
    parameters = {
        "constants": np.zeros(1),
        "means": np.zeros((1, 37)),
        "precisions_cholesky": np.zeros((1, 37, 37)),
    }
    _, first, second, _ = Workspace(rows, compiled.STRUCTURES["Full"], 1).accumulate(
        parameters, labels=labels
    )
    wide = X.astype(np.float64)
    np.testing.assert_array_equal(first[0], wide.sum(axis=0))
    np.testing.assert_allclose(second.reshape(37, 37), wide.T @ wide, rtol=1e-6)


def test_number_of_slots_depends_on_sizes_only():
    assert n_slots(10, 5, 1000) == 10  # never more slots than tiles
    assert n_slots(10**6, 5, 10**9) == 128
    assert n_slots(10**6, 10**6, 10**6) == 16  # large statistics: few slots
    assert all(tile_size(d, b) % 64 == 0 for d in (1, 8, 9, 64, 65, 200, 1000) for b in (4, 8))
