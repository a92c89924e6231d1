"""What holds of a fit for any data: hypothesis looks for the data for which it does not.

The data lie on a grid, so that the offsets and scales below change no digit of them, and a start
is given as responsibilities, which know nothing of units, order or weights: what differs between
two fits then is rounding, or a fault.
"""

import pickle
import warnings
from dataclasses import dataclass
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.exceptions import ConvergenceWarning

import fastem
from fastem import GaussianMixture
from fastem.covariances import COVARIANCES
from fastem.exceptions import FastEMError

ARRAYS = ("weights_", "means_", "covariances_", "precisions_cholesky_")
# Of the data's grid: a row of float32 has 24 bits, for the numbers and the offsets together.
STEP = {np.float64: 2.0**-12, np.float32: 2.0**-6}
OFFSETS = {np.float64: [0.0, 3.0, -(2.0**10), 2.0**20], np.float32: [0.0, 3.0, -(2.0**7)]}
TOLERANCE = {np.float64: 1e-7, np.float32: 2e-2}

each_structure = pytest.mark.parametrize("name", sorted(COVARIANCES))
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])


@dataclass(frozen=True)
class Problem:
    X: np.ndarray
    responsibilities: np.ndarray

    def rows(self, chosen):
        return Problem(self.X[chosen], self.responsibilities[chosen])


@st.composite
def problems(draw, dtype):
    """Clusters that overlap more or less, some rows several times, and a start."""
    D, K = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    n = draw(st.integers(10 * (D + 1) * K, 150))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    centres = rng.normal(scale=draw(st.sampled_from([0.0, 1.0, 4.0])), size=(K, D))
    labels = rng.integers(K, size=n)
    X = centres[labels] + rng.normal(size=(n, D))
    for row in draw(st.lists(st.integers(0, n - 1), max_size=4)):
        X[row] = X[0]
    X = np.clip(np.round(X / STEP[dtype]) * STEP[dtype], -30, 30).astype(dtype)
    responsibilities = 0.1 + (labels[:, None] == np.arange(K))
    return Problem(X, responsibilities / responsibilities.sum(axis=1, keepdims=True))


def fit(name, problem, sample_weight=None, **options):
    """A few iterations from the start; None where no such model exists."""
    model = GaussianMixture(
        problem.responsibilities.shape[1],
        covariance_type=name,
        init_params=problem.responsibilities,
        **{"reg_covar": 0.0, "tol": 0.0, "max_iter": 5, **options},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(problem.X, sample_weight=sample_weight)


def well_conditioned(name, problem, **options):
    """The fit, where rounding stays rounding."""
    try:
        model = fit(name, problem, **options)
    except FastEMError:
        event("no such model")
        assume(False)
    eigenvalues = np.linalg.eigvalsh(matrices(model).astype(np.float64))
    assume(eigenvalues.min() > 1e-2)
    assume(model.weights_.min() > 1e-2)
    return model


def matrices(model):
    K, D = model.means_.shape
    return COVARIANCES[model.covariance_type].matrices(model.covariances_, K, D)


def assert_close(actual, expected, dtype):
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def assert_same_bits(model, other, X):
    for name in ARRAYS:
        assert getattr(model, name).tobytes() == getattr(other, name).tobytes(), name
    assert model.lower_bounds_ == other.lower_bounds_
    for method in ("predict", "predict_proba", "score_samples"):
        assert getattr(model, method)(X).tobytes() == getattr(other, method)(X).tobytes(), method


@each_structure
@each_dtype
@given(data=st.data())
def test_translation_and_scale(name, dtype, data):
    problem = data.draw(problems(dtype))
    offset = data.draw(
        npst.arrays(dtype, problem.X.shape[1], elements=st.sampled_from(OFFSETS[dtype]))
    )
    scale = 2.0 ** data.draw(st.integers(-30, 30))
    moved = Problem((problem.X + offset) * dtype(scale), problem.responsibilities)
    model = well_conditioned(name, problem)
    other = fit(name, moved)
    assert_close(other.weights_, model.weights_, dtype)
    assert_close(other.means_ / scale - offset, model.means_, dtype)
    assert_close(matrices(other) / scale**2, matrices(model), dtype)
    jacobian = problem.X.shape[1] * np.log(scale)
    assert_close(other.score_samples(moved.X) + jacobian, model.score_samples(problem.X), dtype)


@each_structure
@each_dtype
@given(data=st.data())
def test_permutation_of_rows_and_columns(name, dtype, data):
    problem = data.draw(problems(dtype))
    n, D = problem.X.shape
    rows = np.array(data.draw(st.permutations(range(n))))
    columns = np.array(data.draw(st.permutations(range(D))))
    permuted = problem.rows(rows)
    permuted = Problem(permuted.X[:, columns], permuted.responsibilities)
    model, other = well_conditioned(name, problem), fit(name, permuted)
    assert_close(other.weights_, model.weights_, dtype)
    assert_close(other.means_, model.means_[:, columns], dtype)
    assert_close(matrices(other), matrices(model)[:, columns][:, :, columns], dtype)
    assert_close(other.predict_proba(permuted.X), model.predict_proba(problem.X)[rows], dtype)


@each_structure
@each_dtype
@given(data=st.data())
def test_a_weight_repeats_or_removes_the_row(name, dtype, data):
    problem = data.draw(problems(dtype))
    n = len(problem.X)
    weight = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    assume(np.count_nonzero(weight) >= 5 * problem.responsibilities.shape[1])
    model = well_conditioned(name, problem.rows(np.repeat(np.arange(n), weight)))
    other = fit(name, problem, weight)
    assert_close(other.weights_, model.weights_, dtype)
    assert_close(other.means_, model.means_, dtype)
    assert_close(matrices(other), matrices(model), dtype)
    assert_close(other.lower_bounds_, model.lower_bounds_, dtype)
    kept = fit(name, problem.rows(weight > 0), weight[weight > 0])
    assert_same_bits(other, kept, problem.X)


@each_structure
@each_dtype
@given(data=st.data())
def test_a_fit_is_a_mixture_and_rises(name, dtype, data):
    problem = data.draw(problems(dtype))
    before = problem.X.copy()
    try:
        model = fit(name, problem, max_iter=20)
    except FastEMError:
        event("no such model")
        return
    assert problem.X.tobytes() == before.tobytes()
    assert model.means_.dtype == dtype
    bounds = np.array(model.lower_bounds_)
    fall = {np.float64: 1e-10, np.float32: 1e-5}[dtype] * np.maximum(1.0, np.abs(bounds[1:]))
    assert (np.diff(bounds) >= -fall).all()
    assert_a_mixture(model, problem.X)


def assert_a_mixture(model, X):
    np.testing.assert_allclose(model.weights_.sum(), 1.0, rtol=1e-5)
    assert (model.weights_ >= 0).all()
    # as far as the type of the data can tell
    eigenvalues = np.linalg.eigvalsh(matrices(model).astype(np.float64))
    rounding = X.shape[1] * np.finfo(X.dtype).eps * eigenvalues.max()
    assert (eigenvalues > -rounding).all()
    assert np.isfinite(model.precisions_cholesky_).all()
    probabilities = model.predict_proba(X)
    assert ((probabilities >= 0) & (probabilities <= 1 + 1e-5)).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)
    assert np.isfinite(model.score_samples(X)).all()


@each_structure
@each_dtype
@given(data=st.data())
def test_any_finite_data_give_a_mixture_or_an_error(name, dtype, data):
    width = np.dtype(dtype).itemsize * 8
    X = data.draw(
        npst.arrays(
            dtype,
            st.tuples(st.integers(2, 12), st.integers(1, 4)),
            elements=st.floats(-1000, 1000, width=width),
        )
    )
    K = data.draw(st.integers(1, min(3, len(X))))
    model = GaussianMixture(K, covariance_type=name, random_state=0, max_iter=10)
    before = X.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            model.fit(X)
        except FastEMError:
            event("no such model")
            assert not hasattr(model, "means_")
            return
        finally:
            assert X.tobytes() == before.tobytes()
    assert_a_mixture(model, X)


def layouts(X):
    """The same rows in memory as nobody would expect them."""
    wide = np.zeros((2 * X.shape[0], 3 * X.shape[1]), X.dtype)
    wide[::2, 1::3] = X
    raw = np.zeros(X.nbytes + 1, np.uint8)
    odd = raw[1:].view(X.dtype).reshape(X.shape)
    odd[:] = X
    records = np.zeros(len(X), [("x", X.dtype, X.shape[1:]), ("y", np.uint8)])
    records["x"] = X
    read_only = X.copy()
    read_only.flags.writeable = False
    return [
        np.asfortranarray(X),
        wide[::2, 1::3],
        np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1],
        odd,
        records["x"],
        read_only,
        np.broadcast_to(X, (2, *X.shape))[1],
        # other bytes of float32 become float64 in scikit-learn's validation
        X.astype(X.dtype.newbyteorder()) if X.dtype == np.float64 else X,
    ]


@each_structure
@each_dtype
@given(data=st.data())
def test_same_bits_for_any_layout_and_threads(name, dtype, data):
    problem = data.draw(problems(dtype))
    n_threads = data.draw(st.sampled_from([1, 2, 3, 4]))
    X = data.draw(st.sampled_from(layouts(problem.X)))
    model = well_conditioned(name, problem, n_threads=1)
    with (
        mock.patch("fastem._kernels.rows.SERIAL_WORK", 0),
        mock.patch("fastem._threads._cpus", return_value=(4, 4)),
    ):
        other = fit(name, Problem(X, problem.responsibilities), n_threads=n_threads)
        assert_same_bits(model, other, X)


@each_structure
@each_dtype
@given(data=st.data())
def test_saved_and_pickled_models_are_the_same(name, dtype, data, tmp_path_factory):
    problem = data.draw(problems(dtype))
    model = well_conditioned(name, problem)
    path = tmp_path_factory.getbasetemp() / "property.fastem"
    model.save(path)
    for other in (fastem.load(path), pickle.loads(pickle.dumps(model))):
        assert_same_bits(other, model, problem.X)
        for key, value in model.get_params().items():
            np.testing.assert_array_equal(other.get_params()[key], value)
