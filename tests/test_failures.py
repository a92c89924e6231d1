"""The failure catalogue: what a user's data and parameters can do to a mixture, and what must come.

Every line of `DATA` and `MODEL` is a case: rows, parameters, and what is expected, one of

- `fits(...)`: a finite model, and what is to hold of it;
- `warns(pattern, ...)`: the same with a DegenerateDataWarning;
- `refused(pattern)`: an error that names what is wrong, before anything is fitted;
- `fails(pattern)`: an IllDefinedCovarianceError that names the component.

All of them hold for every covariance structure, and a refusal or failure leaves a model that was
fitted before as it was.
"""

import re
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fastem import GaussianMixture
from fastem.covariances import COVARIANCES
from fastem.exceptions import DegenerateDataWarning, IllDefinedCovarianceError

RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1], 100)
GOOD = RNG.normal(size=(200, 3)) + 9.0 * LABELS[:, None]
AUTO = {"reg_covar": "auto"}
PRIOR = {"reg_covar": 0.0, "prior": "auto"}


def with_values(*cells, dtype=None, X=GOOD):
    """The good rows, with (row, column, value) in place."""
    X = X.astype(dtype or X.dtype)
    for row, column, value in cells:
        X[row, column] = value
    return X


class Expected:
    def __init__(self, pattern="", holds=lambda model, X: True, *, error=None, only=None, but=()):
        self.pattern, self.holds, self.error = pattern, holds, error
        self.only, self.but = only, but  # the only structure, and those that need not warn


def fits(holds=lambda model, X: True):
    return Expected(holds=holds)


def warns(pattern, holds=lambda model, X: True, but=()):
    return Expected(pattern, holds, but=but)


def refused(pattern, error=ValueError):
    return Expected(pattern, error=error)


def fails(pattern, only):
    return Expected(pattern, error=IllDefinedCovarianceError, only=only)


def two_clusters(model, X):
    """Whether the clusters are those of the good rows."""
    labels = model.predict(X)
    return len(np.unique(labels[:100])) == len(np.unique(labels[100:])) == 1


def outlier_apart(model, X):
    """Whether row 7 has a component of its own, or hardly any weight in one."""
    return (model.predict(X) == model.predict(X)[7]).sum() == 1


APART = warns("mostly reg_covar", outlier_apart, but=("tied",))
COLLINEAR = GOOD @ np.array([[1.0, 0, 1], [0, 1, 1], [0, 0, 0]])
WIDE = RNG.normal(size=(10, 30)) + 9.0 * (np.arange(10) % 2)[:, None]

# case -> (X, parameters, expected)
DATA = {
    "NaN": (with_values((5, 1, np.nan)), {}, refused("NaN")),
    "infinite": (with_values((5, 1, -np.inf)), {}, refused("infinity")),
    "no rows": (GOOD[:0], {}, refused("0 sample")),
    "no columns": (GOOD[:, :0], {}, refused("0 feature")),
    "one dimension": (GOOD[:, 0], {}, refused("[Rr]eshape")),
    "n < K": (GOOD[:2], {"n_components": 3}, refused("n_samples >= n_components")),
    "strings": ([["a", "b"], ["c", "d"]], {}, refused("string|float")),
    "complex": (GOOD * 1j, {}, refused("[Cc]omplex")),
    "objects": (GOOD.astype(object), {}, fits(two_clusters)),
    "objects of no numbers": (
        with_values((0, 0, "x"), dtype=object), {}, refused("float|string", (ValueError, TypeError))
    ),
    "float16": (GOOD.astype(np.float16), {}, fits(lambda m, X: m.means_.dtype == np.float64)),
    "int8": (GOOD.astype(np.int8), {}, fits(two_clusters)),
    "bool": (GOOD > 5, {}, warns("reg_covar|equal|constant")),
    "float32": (GOOD.astype(np.float32), {}, fits(lambda m, X: m.means_.dtype == np.float32)),
    "big endian": (GOOD.astype(">f8"), {}, fits(two_clusters)),
    "constant column": (
        with_values((slice(None), 1, 3.0)), {}, warns("Column 1 is constant", two_clusters)
    ),
    "constant column, relative": (
        with_values((slice(None), 1, 3e9)), AUTO, warns("Column 1 is constant", two_clusters)
    ),
    "all equal": (np.full((50, 3), 0.1), {}, warns("All rows are equal: one component")),
    "all equal, relative": (np.full((50, 3), 1e9), AUTO, warns("All rows are equal")),
    "all zero": (np.zeros((50, 3)), AUTO, warns("All rows are equal")),
    "n < d, prior": (WIDE, PRIOR, fits()),
    "n < d, relative": (WIDE, AUTO, warns("mostly reg_covar", but=("diag", "spherical"))),
    "collinear, prior": (COLLINEAR, PRIOR, fits(two_clusters)),
    "outlier": (with_values((7, 2, 1e8)), {"n_components": 3}, APART),
    "outlier, relative": (
        with_values((7, 2, 1e8)), {"n_components": 3, **AUTO}, APART
    ),
    "far outlier": (with_values((7, 2, 1e100)), {}, APART),
    "farthest outlier": (
        with_values((7, 2, 1e160)), {}, refused(r"column 2 runs from .* to 1e\+160.* is row 7")
    ),
    "float32 outlier": (
        with_values((7, 2, 1e12), dtype=np.float32), {}, APART
    ),
    "float32, too far": (
        with_values((7, 2, 1e25), dtype=np.float32), {}, refused("is row 7, or use float64")
    ),
    **{
        f"scale {factor:g}": (GOOD * factor, AUTO, fits(two_clusters))
        for factor in (1e-150, 1e-100, 1e-12, 1e-4, 1e4, 1e100, 1e150)
    },
    **{
        f"float32, scale {factor:g}": ((GOOD * factor).astype("f"), AUTO, fits(two_clusters))
        for factor in (1e-15, 1e-12, 1e12, 1e16)
    },
    "small, absolute ridge": (GOOD * 1e-12, {}, warns('reg_covar="auto"')),
    "too large": (GOOD * 1e160, AUTO, refused("too large for float64.*infinity. Scale the data")),
    "too small": (GOOD * 1e-160, AUTO, refused("too small for float64.*0. Scale the data")),
    "subnormal column": (
        with_values((slice(None), 1, GOOD[:, 1] * 5e-310)), {},
        warns("mostly reg_covar|constant", but=("spherical",)),
    ),
    "offset": (GOOD + 1e6, {}, fits(two_clusters)),
    "far offset": (GOOD + 1e9, {}, fits(two_clusters)),
    "unix times": (1.7e9 + 60 * GOOD, {}, fits(two_clusters)),
    "float32 offset": ((GOOD + 1000).astype(np.float32), {}, fits(two_clusters)),
}  # fmt: skip

HEAP = np.vstack([GOOD, np.repeat(GOOD[:1] + 50, 30, axis=0)])
HEAP_START = {"n_components": 3, "init_params": np.eye(3)[np.append(LABELS, np.full(30, 2))]}
FAR_START = {"n_components": 2, "means_init": [GOOD[0], GOOD[0] + 1e5]}


def closed_form(model, X):
    matrix = COVARIANCES[model.covariance_type].matrices(model.covariances_, 1, X.shape[1])[0]
    exact = np.cov(X.T, bias=True) + 1e-6 * np.eye(X.shape[1])
    kept = {"full": exact, "tied": exact, "diag": np.diag(np.diag(exact))}
    wanted = kept.get(model.covariance_type, np.eye(len(exact)) * np.trace(exact) / len(exact))
    return np.allclose(matrix, wanted, rtol=1e-12) and np.allclose(model.means_, X.mean(axis=0))


MODEL = {
    "K = 1": (GOOD, {"n_components": 1}, fits(closed_form)),
    "K = N": (GOOD[:9], {"n_components": 9}, warns("mostly reg_covar")),
    "D = 1": (GOOD[:, :1], {}, fits(two_clusters)),
    "D = 1000": (
        RNG.normal(size=(60, 1000)) + 9.0 * (np.arange(60) % 2)[:, None], PRIOR, fits()
    ),
    "collapsed": (HEAP, HEAP_START, warns("Component 2 has a variance", but=("tied",))),
    "collapsed, prior": (HEAP, {**HEAP_START, **PRIOR}, fits()),
    "collapsed, no ridge": (
        HEAP, {**HEAP_START, "reg_covar": 0.0},
        fails("ill-defined empirical covariance.*component 2 of 3", "full"),
    ),
    "no ridge on a plane": (
        COLLINEAR, {"reg_covar": 0.0},
        fails(r"increase reg_covar.*component [01] of 2.* condition number of \d", "full"),
    ),
    "no ridge on a plane, shared": (
        COLLINEAR, {"reg_covar": 0.0},
        fails(r"the covariance that all.* condition number of \d", "tied"),
    ),
    "start far off": (GOOD, FAR_START, warns("Component 1 is left without points")),
    "weights_init of another sum": (GOOD, {"weights_init": [0.5, 0.6]}, refused("normalized")),
    "weights_init negative": (GOOD, {"weights_init": [-0.5, 1.5]}, refused("range")),
    "means_init of another shape": (GOOD, {"means_init": GOOD[:3]}, refused("shape")),
    "means_init NaN": (GOOD, {"means_init": with_values((0, 0, np.nan))[:2]}, refused("NaN")),
    "max_iter 0": (GOOD, {"max_iter": 0}, fits(lambda m, X: m.n_iter_ == 0)),
    "max_iter 1, tol inf": (GOOD, {"max_iter": 1, "tol": 0.0}, fits(lambda m, X: m.n_iter_ == 1)),
    "tol 0": (GOOD, {"tol": 0.0, "max_iter": 30}, fits(two_clusters)),
    "n_init 50": (GOOD, {"n_init": 50}, fits(lambda m, X: m.fit_report_.n_starts == 50)),
    "more components than there are": (
        np.repeat(GOOD[::40], 10, axis=0), {"n_components": 20}, warns("without points|mostly")
    ),
}  # fmt: skip


CASES = [
    pytest.param(X, parameters, expected, name, id=f"{case}-{name}")
    for case, (X, parameters, expected) in {**DATA, **MODEL}.items()
    for name in ([expected.only] if expected.only else sorted(COVARIANCES))
]


@pytest.mark.parametrize(("X", "parameters", "expected", "name"), CASES)
def test_what_must_come(X, parameters, expected, name):
    options = {"n_components": 2, "covariance_type": name, "random_state": 0, **parameters}
    kept = np.array(X, copy=True)
    model = GaussianMixture(**options)
    if expected.error is not None:
        before = fitted_before(model, options)
        with pytest.raises(expected.error, match=expected.pattern):
            model.fit(X)
        assert vars(model) == before
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X)
    told = [str(w.message) for w in caught if w.category is DegenerateDataWarning]
    if name not in expected.but:
        assert len(told) == bool(expected.pattern)
    for message in told:
        assert re.search(expected.pattern, message)
        assert model.fit_report_.degeneracies
    assert_sound(model, np.asarray(X, dtype=np.result_type(X, np.float32)))
    np.testing.assert_array_equal(X, kept)  # never written to
    assert expected.holds(model, np.asarray(X, dtype=np.float64))


def fitted_before(model, options):
    """Fit the model to something else; returns what it then is."""
    safe = {"init_params": "kmeans", "reg_covar": 1e-6, "prior": None}
    good = {k: v for k, v in options.items() if not k.endswith("_init")}
    other = GaussianMixture(**{**good, **safe}).fit(GOOD)
    vars(model).update({k: v for k, v in vars(other).items() if k.endswith("_")})
    return dict(vars(model))


def assert_sound(model, X):
    """Finite, positive, and of sum 1, whatever the data are."""
    assert np.isfinite(model.means_).all()
    assert (model.weights_ >= 0).all()
    assert model.weights_.sum() == pytest.approx(1.0, rel=1e-5)
    K, D = model.means_.shape
    variances = np.diagonal(
        COVARIANCES[model.covariance_type].matrices(model.covariances_, K, D), 0, -2, -1
    )
    assert (variances > 0).all()
    for attribute in (model.covariances_, model.precisions_, model.precisions_cholesky_):
        assert np.isfinite(attribute).all()
    assert np.isfinite(model.score_samples(X)).all()
    r = model.predict_proba(X)
    np.testing.assert_allclose(r.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(r.argmax(axis=1), model.predict(X))


@pytest.mark.parametrize(
    ("weight", "pattern"),
    [
        (np.zeros(200), "at least one non-zero|all weights are 0"),
        (np.where(LABELS, 1.0, -1.0), "[Nn]egative"),
        (np.where(LABELS, 1.0, np.nan), "NaN"),
        (np.ones(7), "shape"),
        (np.append(np.ones(1), np.zeros(199)), "n_samples = 1 with a weight above 0"),
    ],
)
def test_weights_that_cannot_be(weight, pattern):
    with pytest.raises(ValueError, match=pattern):
        GaussianMixture(2).fit(GOOD, sample_weight=weight)


@pytest.mark.parametrize("name", sorted(COVARIANCES))
@pytest.mark.parametrize("options", [{}, AUTO, PRIOR])
def test_zero_removes_a_row_and_an_integer_repeats_it(name, options):
    weight = RNG.integers(0, 4, 200)
    X = with_values((np.flatnonzero(weight == 0)[0], 0, 1e30))  # must not be seen at all
    parameters = {"covariance_type": name, "random_state": 0, "tol": 1e-10, "max_iter": 500}
    weighted = GaussianMixture(2, **parameters, **options).fit(X, sample_weight=weight)
    repeated = GaussianMixture(2, **parameters, **options).fit(X.repeat(weight, axis=0))
    order = weighted.means_[:, 0].argsort(), repeated.means_[:, 0].argsort()
    np.testing.assert_allclose(weighted.means_[order[0]], repeated.means_[order[1]], rtol=1e-6)
    assert weighted.score(GOOD, sample_weight=weight) == pytest.approx(
        repeated.score(GOOD.repeat(weight, axis=0)), rel=1e-8
    )


def test_one_restart_that_goes_wrong_spoils_nothing():
    calls = []

    def start(X, K, random_state):
        calls.append(1)
        if len(calls) == 2:
            return np.eye(K)[np.minimum(np.arange(len(X)), 1)]
        return np.eye(K)[LABELS]

    model = GaussianMixture(2, n_init=3, init_params=start, reg_covar=0.0)
    with pytest.warns(ConvergenceWarning, match="1 of 3 starts failed"):
        model.fit(GOOD)
    assert two_clusters(model, GOOD)
    assert np.isfinite(model.lower_bound_)
