"""What may be given as data, in which containers and layouts, and what is said of what may not."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from mixtures import draw, random_mixture
from sklearn.mixture import GaussianMixture as SklearnMixture

from fastem import GaussianMixture

ARRAYS = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")


@pytest.fixture(scope="module", name="X")
def rows():
    return draw(300, *random_mixture("full", 2, 3, spread=6.0), "full")[0]


def bits(model):
    return b"".join(getattr(model, name).tobytes() for name in ARRAYS)


def fit(X, **given):
    return GaussianMixture(3, random_state=0, n_threads=1).fit(X, **given)


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


LAYOUTS = {
    "Fortran": np.asfortranarray,
    "backwards": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "every other": lambda X: np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3],
    "big-endian": lambda X: X.astype(X.dtype.newbyteorder(">")),
    "read-only": read_only,
    "objects": lambda X: X.astype(object),
    "list": lambda X: X.tolist(),
    "frame": lambda X: pd.DataFrame(X, columns=["a", "b"]),
    "masked nowhere": np.ma.masked_array,
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_give_the_same_bits_and_are_not_written_to(X, layout, dtype):
    X = X.astype(dtype)
    given = LAYOUTS[layout](X)
    if layout in ("objects", "list"):  # no float32 to scikit-learn, which converts
        X = X.astype(np.float64)
    plain, model = fit(X), fit(given)
    assert bits(model) == bits(plain)
    for method in ("predict", "predict_proba", "score_samples"):
        outcome = getattr(model, method)(given)
        assert outcome.tobytes() == getattr(plain, method)(X).tobytes()
    np.testing.assert_array_equal(np.asarray(given, X.dtype), X)
    weight = np.arange(len(X)) % 3.0
    assert bits(fit(given, sample_weight=weight[::-1][::-1])) == bits(fit(X, sample_weight=weight))
    assert bits(fit(X, sample_weight=weight.tolist())) == bits(fit(X, sample_weight=weight))


@pytest.mark.filterwarnings("ignore::fastem.exceptions.DegenerateDataWarning")
def test_rows_and_weights_that_are_one_number_in_memory(X):
    column = np.broadcast_to(np.float64(1.5), (300, 1))  # of strides 0
    given = np.hstack([X, column])
    twice = np.broadcast_to(X[:, None, 0], (300, 2))
    assert bits(GaussianMixture(1).fit(twice)) == bits(GaussianMixture(1).fit(twice.copy()))
    assert bits(GaussianMixture(1).fit(column)) == bits(GaussianMixture(1).fit(column.copy()))
    ones = np.broadcast_to(np.float64(1.0), 300)
    assert bits(fit(given, sample_weight=ones)) == bits(fit(given))
    assert bits(fit(given, sample_weight=1.0)) == bits(fit(given))


@pytest.mark.filterwarnings("ignore::fastem.exceptions.DegenerateDataWarning")
@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.uint64, bool, np.longdouble])
def test_other_numbers_are_taken_as_float64(dtype):
    X = np.random.default_rng(0).integers(0, 2, size=(200, 2)).astype(dtype)
    model = GaussianMixture(2, random_state=0).fit(X)
    wide = GaussianMixture(2, random_state=0).fit(X.astype(np.float64))
    assert bits(model) == bits(wide)
    assert model.means_.dtype == np.float64
    np.testing.assert_array_equal(model.predict(X), wide.predict(X.astype(np.float64)))


def test_a_file_in_memory_is_not_written_to(X, tmp_path):
    np.save(tmp_path / "X.npy", X)
    before = (tmp_path / "X.npy").read_bytes()
    for mode in ("r", "r+", "c"):
        mapped = np.load(tmp_path / "X.npy", mmap_mode=mode)
        assert bits(fit(mapped)) == bits(fit(X))
    assert (tmp_path / "X.npy").read_bytes() == before


# --- bad data -------------------------------------------------------------------------------------


def spoilt(X, value):
    X = X.copy()
    X[[5, 7, 7], [1, 0, 1]] = value
    return X


METHODS = ("fit", "predict", "predict_proba", "score_samples", "score", "bic", "aic")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_bad_values_are_counted_and_the_first_is_named(X, value, method):
    bad = spoilt(X, value)
    model, theirs = fit(X), SklearnMixture(3, random_state=0).fit(X)
    with pytest.raises(ValueError, match="Input X contains") as expected:
        getattr(theirs, method)(bad)
    opening, *rest = str(expected.value).split("\n")
    place = "3 values are NaN or infinite, the first in row 5 and column 1"
    # scikit-learn's words, with one line among them
    with pytest.raises(ValueError, match="Input X contains") as caught:
        getattr(model, method)(bad)
    assert str(caught.value).split("\n") == [opening, f"{place}, counted from 0.", *rest]
    named = pd.DataFrame(bad, columns=["height", "age"])
    named_model = fit(pd.DataFrame(X, columns=named.columns))
    with pytest.raises(ValueError, match=rf"{place} \('age'\), counted from 0\."):
        getattr(named_model, method)(named)


def test_many_rows_are_searched_as_few(X):
    bad = np.tile(X, (500, 1)).astype(np.float32)  # more than is looked at before validation
    bad[100_000, 1] = np.nan
    with pytest.raises(ValueError, match=r"1 value is NaN .* row 100000 and column 1, counted"):
        fit(bad)
    bad = bad.astype(np.float64)
    bad[100_000, 1] = 1e300  # finite in float64, but its square is not
    with pytest.raises(ValueError, match=r"too large for float64.* the largest is row 100000"):
        fit(bad)


TEXT = r"1 value is text, the first in row 1 and column 0.*counted from 0\. Encode categories"


@pytest.mark.parametrize(
    ("X", "kind", "message"),
    [
        ([["1.5", 1.0], ["red", 2.0]], ValueError, TEXT),
        (np.array([[1.5, 1.0], ["red", 2.0]], dtype=object), ValueError, TEXT),
        (pd.DataFrame({"colour": ["1", "red"], "b": [1.0, 2.0]}), ValueError, r"'colour'"),
        (np.ones((5, 2)) * 1j, ValueError, r"^Complex data not supported: X must be real\. Make"),
        (scipy.sparse.csr_array(np.eye(5)), TypeError, r"Sparse data was passed.*toarray"),
        ([[1.0, 2.0], [3.0]], ValueError, "one number in each place; it is of the type list"),
        ({"a": [1.0, 2.0]}, TypeError, "one number in each place; it is of the type dict"),
        (iter([[1.0], [2.0]]), TypeError, "one number in each place"),
        ([[None, 1.0], [2.0, 3.0]], ValueError, "1 value is NaN or infinite, the first in row 0"),
        (pd.DataFrame({"a": pd.array([1, None, 3], "Int64")}), ValueError, r"row 1 and .*'a'"),
        (np.ma.masked_array(np.eye(3), np.eye(3) == 0), ValueError, "6 values are masked.*Drop"),
        (np.ones(5), ValueError, r"Expected 2D array, got 1D array.*reshape\(-1, 1\)"),
        (np.ones((2, 3, 4)), ValueError, "dim 3"),
        (3.0, ValueError, "scalar"),
        (np.ones((0, 2)), ValueError, r"0 sample\(s\).*minimum of 2"),
        (np.ones((1, 2)), ValueError, r"1 sample\(s\).*minimum of 2"),
        (np.ones((5, 0)), ValueError, r"0 feature\(s\)"),
        ("data.csv", ValueError, "could not convert string"),
    ],
    ids=lambda value: None if isinstance(value, str | type) else type(value).__name__,
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_what_is_no_table_of_numbers(X, kind, message):
    with pytest.raises(kind, match=f"(?s){message}"):
        GaussianMixture(2).fit(X)


N = 50


@pytest.mark.parametrize(
    ("weight", "kind", "message"),
    [
        ([1.0] * 49 + [-1.0], ValueError, r"Negative values.*1 value is negative.*in row 49"),
        ([1.0, np.nan, np.inf] + [1.0] * 47, ValueError, r"contains NaN.*2 values are.*in row 1,"),
        ([1.0] * 3 + [np.inf] + [1.0] * 46, ValueError, r"contains infinity.*1 value is.*row 3,"),
        ([0.0] * N, ValueError, "all weights are 0|at least one non-zero"),
        ([1.0] * 49, ValueError, r"\(49,\), expected \(50,\)"),
        (np.ones((N, 1)), ValueError, "Sample weights must be 1D array or scalar"),
        (np.nan, ValueError, "sample_weight contains NaN"),
        (-2.0, ValueError, "Negative values in data passed to `sample_weight`"),
        (["a"] * N, ValueError, "sample_weight: could not convert string to float: 'a'"),
        ([1j] * N, (TypeError, ValueError), "(?i)complex"),
        (scipy.sparse.csr_array(np.ones((1, N))), TypeError, "Sparse.*sample_weight"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "score"])
def test_what_is_no_weight(X, weight, kind, message, method):
    model = GaussianMixture(2, random_state=0).fit(X[:N])
    before = bits(model)
    with pytest.raises(kind, match=f"(?s){message}"):
        getattr(model, method)(X[:N], sample_weight=weight)
    assert bits(model) == before


def test_too_few_rows_for_the_components(X):
    with pytest.raises(ValueError, match=r"^Expected n_samples >= n_components but got n_com") as e:
        GaussianMixture(4).fit(X[:3])
    with pytest.raises(ValueError, match="Expected n_samples") as theirs:
        SklearnMixture(4).fit(X[:3])
    assert str(e.value) == str(theirs.value)
    weight = np.zeros(300)
    weight[:3] = 1
    with pytest.raises(ValueError, match="n_samples = 3 with a weight above 0"):
        GaussianMixture(4).fit(X, sample_weight=weight)
