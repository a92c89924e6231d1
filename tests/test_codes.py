"""The kernel of statistics that are all 0 or 1: against plain NumPy and the general kernel."""

import numpy as np
import pytest
import reference
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from test_contract import isa_name, runnable_isas

import fastem
from fastem._kernels import STRUCTURES
from fastem._kernels.codes import CodedRows, CodedWorkspace, coded
from fastem._kernels.rows import Rows, Workspace
from fastem.families import Bernoulli, Categorical
from fastem.families.data import Sample
from fastem.families.mixtures import FamilyMixture, LinearMixture

TWIN = reference.ExponentialFamily()
# N, D, K: every number of vectors of components, whole and broken groups of columns and of rows
SIZES = [(1, 1, 1), (3, 2, 2), (64, 4, 3), (65, 5, 4), (130, 7, 5), (500, 8, 8), (300, 9, 9),
         (301, 17, 12), (1000, 50, 16), (302, 33, 17), (200, 63, 24), (303, 66, 31),
         (150, 129, 33), (200, 130, 40)]  # fmt: skip


@pytest.fixture(params=runnable_isas(), ids=isa_name)
def kernels(request):
    return request.param


def bernoulli(n_rows, D, K, seed=0, low=0.02, high=0.98):
    """Rows of 0 and 1, constants and eta."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(low, high, (K, D))
    weights = rng.dirichlet(np.full(K, 5.0))
    T = (rng.uniform(size=(n_rows, D)) < p[rng.choice(K, n_rows, p=weights)]).astype(float)
    return T, np.log(weights) + np.log1p(-p).sum(axis=1), np.log(p) - np.log1p(-p)


def accumulate(T, constants, eta, kernels, weight=None, n_threads=1):
    rows = coded(T, weight, n_threads, kernels, fewest_columns=1)
    assert isinstance(rows, CodedRows)
    parameters = {"constants": constants, "means": np.ascontiguousarray(eta)}
    counts, first, second, log_likelihood = CodedWorkspace(rows, len(eta)).accumulate(parameters)
    assert second is None
    return counts, first, log_likelihood


def twin(T, constants, eta, weight=None):
    expectation = TWIN.e_step(T, constants, eta)
    found = TWIN.statistics(T, expectation.responsibilities, np.zeros_like(eta), weight)
    total = np.sum(expectation.log_likelihood * (1.0 if weight is None else weight))
    return found.counts, found.first, total


def general(T, constants, eta, kernels, weight=None):
    rows = Rows(T, weight, 1, np.zeros(T.shape[1]), kernels=kernels)
    parameters = {"constants": constants, "means": eta, "precisions_cholesky": np.empty(0)}
    workspace = Workspace(rows, STRUCTURES["Linear"], len(eta))
    counts, first, _, log_likelihood = workspace.accumulate(parameters)
    return counts, first, log_likelihood


def assert_close(got, wanted, rtol=1e-12):
    size = max(1.0, wanted[0].max())
    for mine, other in zip(got[:2], wanted[:2], strict=True):
        np.testing.assert_allclose(mine, other, rtol=rtol, atol=1e-14 * size)
    np.testing.assert_allclose(got[2], wanted[2], rtol=rtol)


@pytest.mark.parametrize(("n_rows", "D", "K"), SIZES)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_statistics_equal_plain_numpy(kernels, n_rows, D, K, weighted):
    T, constants, eta = bernoulli(n_rows, D, K)
    rng = np.random.default_rng(5)
    weight = rng.uniform(0.1, 3.0, n_rows) * (rng.uniform(size=n_rows) < 0.8) if weighted else None
    got = accumulate(T, constants, eta, kernels, weight)
    assert_close(got, twin(T, constants, eta, weight))
    assert_close(got, general(T, constants, eta, kernels, weight))


@pytest.mark.parametrize("K", range(1, 41))
def test_every_number_of_components(kernels, K):
    T, constants, eta = bernoulli(150, 11, K, seed=K)
    assert_close(accumulate(T, constants, eta, kernels), twin(T, constants, eta))


@pytest.mark.parametrize("D", range(1, 131, 3))
def test_every_number_of_columns(kernels, D):
    T, constants, eta = bernoulli(90, D, 5, seed=D)
    assert_close(accumulate(T, constants, eta, kernels), twin(T, constants, eta))


@pytest.mark.parametrize("n_rows", [63, 64, 127, 128, 129, 131])
def test_every_number_of_rows(kernels, n_rows):
    T, constants, eta = bernoulli(n_rows, 6, 3)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, n_rows)
    assert_close(accumulate(T, constants, eta, kernels, weight), twin(T, constants, eta, weight))


def test_the_same_bits_for_any_threads_and_layout(kernels, monkeypatch):
    monkeypatch.setattr("fastem._kernels.rows.SERIAL_WORK", 0)
    T, constants, eta = bernoulli(20_011, 13, 7)
    weight = np.random.default_rng(5).uniform(0.0, 3.0, len(T))
    base = accumulate(T, constants, eta, kernels, weight)
    for n_threads in (2, 3, 8):
        again = accumulate(T, constants, eta, kernels, weight, n_threads)
        assert all(np.asarray(a).tobytes() == np.asarray(b).tobytes()
                   for a, b in zip(base, again, strict=True)), n_threads  # fmt: skip
    for other in (np.asfortranarray(T), np.repeat(T, 2, axis=1)[:, ::2]):
        again = accumulate(other, constants, eta, kernels, weight)
        assert all(np.asarray(a).tobytes() == np.asarray(b).tobytes()
                   for a, b in zip(base, again, strict=True))  # fmt: skip


def test_a_workspace_keeps_nothing_of_the_pass_before(kernels):
    T, constants, eta = bernoulli(3000, 21, 6)
    rows = coded(T, None, 1, kernels)
    workspace = CodedWorkspace(rows, 6)
    first = workspace.accumulate({"constants": constants, "means": eta})
    workspace.accumulate({"constants": constants - 1000, "means": -3 * eta})
    again = workspace.accumulate({"constants": constants, "means": eta})
    for one, other in ((0, 0), (1, 1), (3, 3)):
        np.testing.assert_array_equal(first[one], again[other])


def test_natural_parameters_at_the_ends_of_the_range(kernels):
    """p of 0 and of 1: eta is -745 and 745, and some rows are all but impossible."""
    T, constants, eta = bernoulli(700, 30, 6)
    rng = np.random.default_rng(2)
    ends = rng.choice([-745.0, 0.0, 745.0], eta.shape, p=[0.1, 0.8, 0.1])
    eta = np.where(ends == 0, eta, ends)
    constants = constants - eta.clip(0).sum(axis=1)
    got, wanted = accumulate(T, constants, eta, kernels), twin(T, constants, eta)
    # log-densities are sums of numbers up to 745, and their rounding is that of those
    assert_close(got, wanted, rtol=1e-10)
    assert_close(got, general(T, constants, eta, kernels), rtol=1e-10)


def test_components_without_weight_and_rows_without_density(kernels):
    T, constants, eta = bernoulli(300, 10, 5)
    constants[[0, 3]] = -np.inf
    counts, first, log_likelihood = accumulate(T, constants, eta, kernels)
    assert not counts[[0, 3]].any()
    assert not first[[0, 3]].any()
    assert_close((counts, first, log_likelihood), twin(T, constants, eta))
    nobody = accumulate(T, np.full(5, -np.inf), eta, kernels)
    assert not nobody[0].any()
    assert not nobody[1].any()
    assert nobody[2] == -np.inf


@pytest.mark.parametrize("value", [2.0, -1.0, 0.5, np.nan, np.inf, 1 + 1e-15])
@pytest.mark.parametrize("place", [(0, 0), (70, 3), (999, 9)])
def test_anything_but_0_and_1_is_left_to_the_general_kernel(kernels, value, place):
    T = bernoulli(1000, 10, 2)[0]
    T[5, 5] = -0.0
    assert coded(T, None, 2, kernels) is not None
    T[place] = value
    assert coded(T, None, 2, kernels) is None


def test_few_columns_are_left_to_the_general_kernel():
    T = bernoulli(100, 7, 2)[0]
    assert coded(T, None, 1) is None
    assert isinstance(coded(np.repeat(T, 2, axis=1), None, 1), CodedRows)


def test_parameters_of_another_size_are_refused(kernels):
    T, constants, eta = bernoulli(100, 9, 3)
    workspace = CodedWorkspace(coded(T, None, 1, kernels), 3)
    for wrong in ({"constants": constants[:2], "means": eta},
                  {"constants": constants, "means": eta[:, :8].copy()}):  # fmt: skip
        with pytest.raises(ValueError, match="the workspace is not of"):
            workspace.accumulate(wrong)


# ------------------------------------------------------------------------------------- mixtures


def categories(n_rows, n_categories, K, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(n_categories), (K, 4))
    p[0, 0, 0] = 0.0
    p /= p.sum(axis=2, keepdims=True)
    z = rng.integers(K, size=n_rows)
    u = rng.uniform(size=(n_rows, 4, 1))
    return (u > p[z].cumsum(axis=2)).sum(axis=2).clip(0, n_categories - 1).astype(float), p


def mixtures():
    rng = np.random.default_rng(3)
    p = rng.uniform(0, 1, (3, 12))
    p[0, 0], p[1, 1] = 0.0, 1.0  # not all of the rows are possible for all components
    X = (rng.uniform(size=(2000, 12)) < p[rng.integers(3, size=2000)]).astype(float)
    yield "Bernoulli", X, [Bernoulli(row) for row in p]
    codes, p = categories(2000, 5, 3)
    yield "Categorical", codes, [Categorical(table) for table in p]


@pytest.mark.parametrize(("name", "X", "parts"), mixtures(), ids=["Bernoulli", "Categorical"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_statistics_of_a_mixture_equal_those_of_the_general_path(name, X, parts, weighted):
    weight = np.random.default_rng(1).uniform(0.1, 2.0, len(X)) if weighted else None
    model = FamilyMixture.of(np.array([0.2, 0.3, 0.5]), parts)
    linear = LinearMixture(model.weights, model.parts)
    data = Sample(X, weight, n_threads=2)
    assert isinstance(data.linear(linear.parts[0])[0], CodedWorkspace), name
    assert data.skipped == 0
    general_path = Sample(X, weight, pack=False)
    assert isinstance(general_path.linear(linear.parts[0])[0], Workspace)
    plain = FamilyMixture(model.weights, model.parts).accumulate(Sample(X, weight))
    got = linear.accumulate(data)
    for other in (linear.accumulate(general_path), plain):
        np.testing.assert_allclose(got.log_likelihood, other.log_likelihood, rtol=1e-12)
        np.testing.assert_allclose(got.counts, other.counts, rtol=1e-11)
        np.testing.assert_allclose(got.parts[0].sums, other.parts[0].sums, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", ["Bernoulli", "Categorical"])
def test_a_fit_is_that_of_the_general_kernel(name, monkeypatch):
    X = {case: data for case, data, _ in mixtures()}[name]
    model = fastem.Mixture(name, 3, random_state=0, max_iter=30, tol=0.0)
    chosen = []
    monkeypatch.setattr(
        "fastem.families.data.coded", lambda *given: chosen.append(coded(*given)) or chosen[-1]
    )
    with pytest.warns(ConvergenceWarning, match="30 iterations"):
        ours = clone(model).fit(X)
    assert isinstance(chosen[0], CodedRows)
    monkeypatch.setattr("fastem.families.data.coded", lambda *_: None)
    with pytest.warns(ConvergenceWarning, match="30 iterations"):
        theirs = clone(model).fit(X)
    np.testing.assert_allclose(ours.score(X), theirs.score(X), rtol=1e-10)
    np.testing.assert_allclose(ours.weights_, theirs.weights_, rtol=1e-6)
