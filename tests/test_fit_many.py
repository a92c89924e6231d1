"""`fit_many`: each of many fits is what it would be alone, whatever happens to the others."""

import importlib
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning

import fastem
from fastem import GaussianMixture, fit_many
from fastem._kernels.many import ManyRows, ManyWorkspace, tile_sizes
from fastem.covariances import COVARIANCES
from fastem.exceptions import FitManyError, IllDefinedCovarianceError, LikelihoodError
from fastem.initialization import METHODS

many_module = importlib.import_module("fastem.mixture.many")
starts_module = importlib.import_module("fastem.mixture.starts")

NAMES = sorted(COVARIANCES)
ARRAYS = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")


def tables(n_problems=12, n_features=3, seed=0, low=40, high=700, dtype=np.float64, spread=3.0):
    """Data sets of several sizes, each of three clusters that overlap somewhat."""
    rng = np.random.default_rng(seed)
    made = []
    for n in rng.integers(low, high, n_problems):
        centres = rng.normal(scale=spread, size=(3, n_features)) + rng.normal(scale=30)
        made.append(centres[rng.integers(0, 3, n)] + rng.normal(size=(n, n_features)))
    return [X.astype(dtype) for X in made]


def quietly(function, *args, **keywords):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return function(*args, **keywords)


def one_by_one(Xs, K, weights=None, **options):
    weights = [None] * len(Xs) if weights is None else weights
    return [
        quietly(GaussianMixture(K, **options).fit, X, sample_weight=w)
        for X, w in zip(Xs, weights, strict=True)
    ]


def assert_equal_fits(got, wanted, tolerance=1e-10, ties=False):
    """With `ties`, the best may be another of several starts that end alike, to rounding."""
    assert len(got) == len(wanted)
    for one, other in zip(got, wanted, strict=True):
        assert set(vars(one)) == set(vars(other))
        assert one.get_params() == other.get_params()
        assert (one.stop_reason_, one.converged_) == (other.stop_reason_, other.converged_)
        for array in ARRAYS:
            expected = getattr(other, array)
            actual = getattr(one, array)
            assert actual.dtype == expected.dtype
            np.testing.assert_allclose(
                actual, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max()
            )
        np.testing.assert_allclose(one.lower_bound_, other.lower_bound_, rtol=tolerance)
        if not ties:
            assert one.n_iter_ == other.n_iter_
            np.testing.assert_allclose(one.lower_bounds_, other.lower_bounds_, rtol=tolerance)
        assert one.lower_bound_ == (one.lower_bounds_[-1] if one.lower_bounds_ else -np.inf)


def bits(models):
    return [b"".join(getattr(m, a).tobytes() for a in ARRAYS) for m in models]


@pytest.mark.parametrize("n_features", [1, 2, 3, 8])
@pytest.mark.parametrize("name", NAMES)
def test_each_is_what_it_would_be_alone(name, n_features):
    Xs = tables(n_features=n_features)
    options = {"covariance_type": name, "random_state": 0, "tol": 1e-5}
    assert_equal_fits(quietly(fit_many, Xs, 3, **options), one_by_one(Xs, 3, **options))


@pytest.mark.parametrize("name", NAMES)
def test_float32(name):
    Xs = tables(dtype=np.float32, spread=8.0)
    options = {"covariance_type": name, "random_state": 0, "max_iter": 3, "tol": 0.0}
    many_fits, alone = quietly(fit_many, Xs, 3, **options), one_by_one(Xs, 3, **options)
    assert many_fits[0].means_.dtype == np.float32
    assert_equal_fits(many_fits, alone, 1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_every_initialisation_and_several_starts(method):
    Xs = tables(6)
    options = {"init_params": method, "random_state": 3, "n_init": 3, "reg_covar": 1e-3}
    wanted = one_by_one(Xs, 2, **options)
    assert_equal_fits(quietly(fit_many, Xs, 2, **options), wanted, tolerance=1e-8, ties=True)


@pytest.mark.parametrize("name", NAMES)
def test_sample_weights(name):
    Xs = tables(8)
    rng = np.random.default_rng(1)
    weights = [rng.integers(0, 3, len(X)) for X in Xs]  # some rows are removed
    weights[2], weights[5] = None, np.full(len(Xs[5]), 1e-300)
    options = {"covariance_type": name, "random_state": 0}
    got = quietly(fit_many, Xs, 2, sample_weight=weights, **options)
    assert_equal_fits(got, one_by_one(Xs, 2, weights, **options))


def test_three_dimensions_with_weights_in_two():
    X = np.stack([x[:40] for x in tables(5)])
    weight = np.random.default_rng(0).uniform(0.5, 2.0, size=X.shape[:2])
    assert_equal_fits(
        quietly(fit_many, X, 2, sample_weight=weight, random_state=0),
        one_by_one(X, 2, weight, random_state=0),
    )
    counts = np.round(X).astype(int)
    assert_equal_fits(
        quietly(fit_many, counts, 2, random_state=0), one_by_one(counts, 2, random_state=0)
    )
    assert fit_many([], 2) == []


def test_features_types_and_containers_may_differ():
    Xs = tables(3) + tables(3, n_features=2) + tables(2, dtype=np.float32, spread=9.0)
    Xs += [pd.DataFrame(Xs[0], columns=["a", "b", "c"]), Xs[1].tolist(), np.asfortranarray(Xs[2])]
    Xs += [np.round(Xs[0]).astype(int)]
    got = quietly(fit_many, Xs, 2, random_state=0)
    assert_equal_fits(got, one_by_one(Xs, 2, random_state=0), tolerance=1e-5)
    assert [m.n_features_in_ for m in got[:6]] == [3, 3, 3, 2, 2, 2]
    assert got[8].feature_names_in_.tolist() == ["a", "b", "c"]
    assert not hasattr(got[0], "feature_names_in_")
    got[8].predict(Xs[8])
    boxed = np.empty(2, dtype=object)
    boxed[:] = Xs[2:4]
    assert bits(quietly(fit_many, boxed, 2, random_state=0)) == bits(got[2:4])


@pytest.mark.parametrize("name", NAMES)
def test_starts_that_are_given(name):
    Xs = tables(5, low=60, high=61)
    structure = COVARIANCES[name]
    factors = np.ones(structure.shape(2, 3)) if name in ("diag", "spherical") else None
    if factors is None:
        factors = np.broadcast_to(np.eye(3), structure.shape(2, 3))
    start = {
        "weights_init": [0.3, 0.7],
        "means_init": [[0.0, 0, 0], [5, 5, 5]],
        "precisions_init": structure.precisions(factors),
    }
    for given in (start, {"means_init": start["means_init"]}, {"precisions_init": factors},
                  {"init_params": np.full((60, 2), [0.4, 0.6])},
                  {"init_params": lambda X, K, rng: rng.dirichlet([1, 1], len(X))}):  # fmt: skip
        options = {"covariance_type": name, "random_state": 0, **given}
        got, wanted = quietly(fit_many, Xs, 2, **options), one_by_one(Xs, 2, **options)
        for one, other in zip(got, wanted, strict=True):
            np.testing.assert_allclose(one.means_, other.means_, rtol=1e-8, atol=1e-8)
            assert one.n_iter_ == other.n_iter_


@pytest.mark.parametrize("max_iter", [0, 1, 4])
def test_not_converging_is_one_warning(max_iter):
    Xs = tables(4)
    options = {"max_iter": max_iter, "tol": 0.0, "random_state": 0}
    if max_iter:
        with pytest.warns(ConvergenceWarning, match=r"4 of 4 fits did not.*Xs\[0\]") as caught:
            got = fit_many(Xs, 3, **options)
        assert len(caught) == 1
        assert caught[0].filename == __file__
    else:
        got = fit_many(Xs, 3, **options)
    assert_equal_fits(got, one_by_one(Xs, 3, **options))


@pytest.mark.parametrize("name", NAMES)
def test_same_bits_for_any_threads_and_company(name, monkeypatch):
    monkeypatch.setattr("fastem._threads._cpus", lambda affinity: (64, 64))
    monkeypatch.setattr("fastem._kernels.rows.SERIAL_WORK", 0)
    monkeypatch.setattr("fastem.mixture.starts._WORK_OF_A_THREAD", 1000)
    Xs = tables(40, low=200)
    options = {"covariance_type": name, "random_state": 0, "n_init": 2}
    wanted = bits(quietly(fit_many, Xs, 3, n_threads=1, **options))
    for n_threads in (2, 3, 8):
        assert bits(quietly(fit_many, Xs, 3, n_threads=n_threads, **options)) == wanted
    assert bits(quietly(fit_many, Xs[5:9], 3, **options)) == wanted[5:9]
    monkeypatch.setattr("fastem.mixture.many._BATCH_BYTES", 10_000)
    assert bits(quietly(fit_many, Xs, 3, **options)) == wanted


def collapsing():
    """Some data, of which the second and the last leave a component a single point."""
    Xs = tables(5, low=50, high=51)
    for b in (1, 4):
        Xs[b] = np.vstack([np.zeros((49, 3)), np.ones((1, 3))])
    return Xs


@pytest.mark.parametrize("name", NAMES)
def test_a_failure_does_not_spoil_the_others(name):
    Xs = collapsing()
    options = {"covariance_type": name, "reg_covar": 0.0, "random_state": 0}
    with pytest.raises(
        FitManyError, match=r"2 of 5 fits failed, the first is Xs\[1\].*ill-def.*on_"
    ) as raised:
        quietly(fit_many, Xs, 2, **options)
    assert list(raised.value.errors) == [1, 4]
    assert raised.value.__cause__ is raised.value.errors[1]
    for error in raised.value.errors.values():
        assert isinstance(error, IllDefinedCovarianceError)
        with pytest.raises(IllDefinedCovarianceError) as alone:
            GaussianMixture(2, **options).fit(Xs[1])
        assert str(error) == str(alone.value)
    with pytest.warns(ConvergenceWarning, match=r"2 of 5 fits failed"):
        got = fit_many(Xs, 2, on_error="warn", **options)
    assert [model is None for model in got] == [False, True, False, False, True]
    good = [0, 2, 3]
    assert_equal_fits([got[b] for b in good], one_by_one([Xs[b] for b in good], 2, **options))
    assert bits(m for m in raised.value.models if m) == bits(m for m in got if m)


def test_a_likelihood_that_overflows_is_the_members_own():
    Xs = tables(3, n_features=2)
    Xs[1] = Xs[1].copy()
    Xs[1][7] = 1e95
    start = {
        "weights_init": [0.5, 0.5],
        "means_init": Xs[0][:2],
        "precisions_init": [np.eye(2) * 1e130] * 2,
    }
    with pytest.raises(FitManyError) as raised:
        quietly(fit_many, Xs, 2, **start)
    (error,) = raised.value.errors.values()
    assert isinstance(error, LikelihoodError)
    assert list(raised.value.errors) == [1]


def test_dropped_starts_are_told():
    Xs = tables(3, low=50, high=51)
    calls = []

    def sometimes_bad(X, K, random_state):
        calls.append(1)
        labels = np.arange(len(X)) % 2
        if len(calls) == 4:  # the second start of the second data set
            labels[:] = 0
            labels[0] = 1
        return np.eye(2)[labels]

    options = {"n_init": 2, "reg_covar": 0.0, "init_params": sometimes_bad}
    with pytest.warns(ConvergenceWarning, match=r"dropped in 1 of 3 fits.*Xs\[1\].*ill-defined"):
        models = fit_many(Xs, 2, max_iter=0, **options)
    assert all(models)


def test_a_falling_likelihood_keeps_the_better_parameters():
    # a ridge this large lowers the likelihood; rounding in float32 stops some fits early as well
    Xs = tables(20, dtype=np.float32, spread=1.0)
    options = {"tol": 0.0, "max_iter": 300, "random_state": 0, "reg_covar": 0.5}
    got, wanted = quietly(fit_many, Xs, 3, **options), one_by_one(Xs, 3, **options)
    for one, other in zip(got, wanted, strict=True):
        assert one.lower_bound_ == pytest.approx(other.lower_bound_, rel=1e-3)
        assert one.stop_reason_ in ("likelihood_decreased", "max_iter", "tolerance")


@pytest.mark.parametrize("name", NAMES)
def test_far_means_and_far_apart_components_keep_their_digits(name):
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    near = tables(1, n_features=2)[0]
    apart = rng.normal(size=(400, 2)) + np.where(labels[:, None] == 1, 1e7, -1e7)
    far = rng.normal(size=(400, 2)) * [4.0, 2.0] + 1e6
    options = {"covariance_type": name, "random_state": 0, "reg_covar": 0.0, "tol": 1e-6}
    Xs = [near, apart, far, near]
    assert_equal_fits(
        quietly(fit_many, Xs, 2, **options), one_by_one(Xs, 2, **options), tolerance=1e-7
    )
    # one step from far off is summed again about where it leads, for the mixtures that need it
    options.update(means_init=[[1e9, 1e9]], max_iter=1)
    Xs = [near, far, near]
    got, wanted = quietly(fit_many, Xs, 1, **options), one_by_one(Xs, 1, **options)
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_allclose(one.covariances_, other.covariances_, rtol=1e-6, atol=1e-6)


def test_the_seed_may_be_a_generator():
    Xs = tables(4)
    got = quietly(fit_many, Xs, 3, random_state=np.random.RandomState(5), init_params="k-means++")
    random_state = np.random.RandomState(5)
    wanted = one_by_one(Xs, 3, random_state=random_state, init_params="k-means++")
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_allclose(one.means_, other.means_, rtol=1e-9)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda Xs: Xs[2].__setitem__((3, 1), np.nan), r"Xs\[2\]: .*NaN"),
        (lambda Xs: Xs[1].__setitem__((0, 0), np.inf), r"Xs\[1\]: .*infinity"),
        (lambda Xs: Xs.__setitem__(3, np.ones((1, 3))), r"Xs\[3\]: .*minimum of 2"),
        (lambda Xs: Xs.__setitem__(0, np.ones(7)), r"Xs\[0\]: Expected 2D"),
        (lambda Xs: Xs.__setitem__(0, np.ones((2, 3))), r"Xs\[0\]: .*n_samples >= n_components"),
    ],
)
def test_bad_data_are_named(spoil, message):
    Xs = [X.copy() for X in tables(4)]
    spoil(Xs)
    with pytest.raises(ValueError, match=message):
        fit_many(Xs, 3)


def test_bad_arguments():
    Xs = tables(3)
    for name, value in (("warm_start", True), ("verbose", 1), ("callbacks", [print])):
        with pytest.raises(ValueError, match=f"{name}=.*belongs to a single fit"):
            fit_many(Xs, 2, **{name: value})
    with pytest.raises(ValueError, match="on_error='ignore'"):
        fit_many(Xs, 2, on_error="ignore")
    with pytest.raises(ValueError, match="not one table of 2 dimensions"):
        fit_many(Xs[0], 2)
    with pytest.raises(ValueError, match="not one table"):
        fit_many(pd.DataFrame(Xs[0]), 2)
    with pytest.raises(ValueError, match=r"not a dict: give list\(Xs.values\(\)\)"):
        fit_many(dict(enumerate(Xs)), 2)
    groups = pd.DataFrame({"gene": ["a", "a", "b", "b"], "x": [1.0, 2, 3, 4]}).groupby("gene")
    with pytest.raises(ValueError, match=r"not a DataFrameGroupBy: give \[table\[columns\]"):
        fit_many(groups, 1)
    with pytest.raises(ValueError, match="make a list"):
        fit_many((X for X in Xs), 2)
    with pytest.raises(ValueError, match="given for 2 data sets, but there are 3"):
        fit_many(Xs, 2, sample_weight=[None, None])
    with pytest.raises(ValueError, match=r"Xs\[1\]: .*Negative"):
        fit_many(Xs, 2, sample_weight=[None, -np.ones(len(Xs[1])), None])
    with pytest.raises(ValueError, match="n_components"):
        fit_many(Xs, 0)
    with pytest.raises(TypeError, match="n_clusters"):
        fit_many(Xs, 2, n_clusters=2)


def test_tiles_waste_little():
    sizes = np.array([1, 20, 50, 200, 257, 500, 10_000])
    tiles = tile_sizes(sizes, 3, 8)
    assert (tiles % 64 == 0).all()
    padded = -(-sizes // tiles) * tiles
    np.testing.assert_array_equal(padded, -(-sizes // 64) * 64)
    assert tiles[3] == 256  # one tile
    assert (tile_sizes(sizes, 3, 4) % 128 == 0).all()
    assert tile_sizes(np.array([10_000]), 1000, 8).max() <= 128


def test_a_model_holds_its_own_arrays_only():
    models = quietly(fit_many, tables(4), 2, random_state=0)
    assert all(getattr(model, a).base is None for model in models for a in ("means_", "weights_"))
    assert fastem.fit_many is fit_many


def test_precisions_of_the_wrong_size_are_refused():
    rows = ManyRows(np.zeros((4, 2)), np.array([2, 2]), None, 1)
    workspace = ManyWorkspace(rows, COVARIANCES["diag"].kernel, 1, np.arange(2))
    with pytest.raises(ValueError, match="kernel_precisions"):
        workspace.accumulate(
            {
                "constants": np.zeros((2, 1)),
                "means": np.zeros((2, 1, 2)),
                "precisions_cholesky": np.ones((2, 1)),
            }
        )


def test_a_batch_is_bounded_by_its_parameters_too():
    wide = [np.random.default_rng(b).normal(size=(60, 50)) for b in range(4)]
    problems = many_module._problems(GaussianMixture(3), wide, None)
    together = list(many_module._batches(GaussianMixture(3), problems))
    assert together == [[0, 1, 2, 3]]
    apart = list(many_module._batches(GaussianMixture(3, n_init=10_000), problems))
    assert apart == [[0], [1], [2], [3]]


def test_many_starts_with_large_parameters_run_one_by_one():
    X = np.random.default_rng(0).normal(size=(100, 20))
    fitted = starts_module.Fitted.of(X, None, 100)
    assert starts_module.side_by_side(GaussianMixture(3, n_init=50), fitted)
    assert not starts_module.side_by_side(GaussianMixture(80, n_init=50), fitted)


def test_an_interrupt_ends_the_threads_of_a_batch():
    rows = ManyRows(np.zeros((4, 2)), np.array([2, 2]), None, 1)
    stop = np.zeros(1, dtype=np.intc)
    workspace = ManyWorkspace(rows, COVARIANCES["diag"].kernel, 1, np.arange(2), stop=stop).only(
        np.array([0])
    )
    parameters = {
        "constants": np.zeros((1, 1)),
        "means": np.zeros((1, 1, 2)),
        "precisions_cholesky": np.ones((1, 1, 2)),
    }
    workspace.accumulate(parameters)
    stop[0] = 1
    with pytest.raises(KeyboardInterrupt):
        workspace.accumulate(parameters)
