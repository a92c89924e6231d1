"""What users of the estimator see: weights, threads, dtypes, callbacks, errors, interruptions."""

import os
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from mixtures import draw, random_mixture
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastem
from fastem import GaussianMixture
from fastem.covariances import COVARIANCES
from fastem.exceptions import DataRangeError, IllDefinedCovarianceError, LikelihoodError
from fastem.initialization import METHODS

NAMES = sorted(COVARIANCES)
ARRAYS = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")


@pytest.fixture(scope="module")
def blobs():
    parameters = random_mixture("full", 3, 4, spread=8.0)
    return draw(6000, *parameters, "full")


def bits(model):
    return (
        b"".join(getattr(model, a).tobytes() for a in ARRAYS) + repr(model.lower_bounds_).encode()
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", NAMES)
def test_same_bits_for_any_number_of_threads(blobs, name, dtype, monkeypatch):
    # more threads than this machine may have cores
    monkeypatch.setattr("fastem._threads._cpus", lambda affinity: (64, 64))
    X = np.tile(blobs[0], (5, 1)).astype(dtype)
    fits = [
        GaussianMixture(4, covariance_type=name, n_threads=n, random_state=0, max_iter=50).fit(X)
        for n in (1, 2, 3, 8)
    ]
    assert len({bits(model) for model in fits}) == 1
    assert len({m.score_samples(X).tobytes() + m.predict(X).tobytes() for m in fits}) == 1


@pytest.mark.parametrize("method", [m for m in METHODS if m != "random_from_data"])
@pytest.mark.parametrize("name", NAMES)
def test_weights_zero_removes_and_integers_repeat(blobs, name, method):
    X = blobs[0][:600]
    times = np.random.default_rng(3).integers(0, 3, len(X))
    means = blobs[0][[np.argmax(blobs[1] == k) for k in range(4)]]
    start = {
        "means_init": means,
        "weights_init": np.full(4, 0.25),
        "precisions_init": COVARIANCES[name].precisions(
            COVARIANCES[name].precisions_cholesky(np.asarray(random_mixture(name, 3, 4)[2]))
        ),
    }
    options = {"n_components": 4, "covariance_type": name, "max_iter": 30, "tol": 1e-6}
    weighted = GaussianMixture(**options, **start).fit(X, sample_weight=times)
    repeated = GaussianMixture(**options, **start).fit(np.repeat(X, times, axis=0))
    for array in ARRAYS:
        np.testing.assert_allclose(
            getattr(weighted, array), getattr(repeated, array), rtol=1e-8, atol=1e-10
        )
    np.testing.assert_allclose(weighted.lower_bounds_, repeated.lower_bounds_, rtol=1e-9)
    again = np.repeat(X, times, axis=0)
    assert weighted.score(X, sample_weight=times) == pytest.approx(weighted.score(again))
    # a row of weight 0 does not exist, not even for the initialisation
    mask = np.ones(len(X))
    mask[::7] = 0
    options.update(init_params=method, random_state=0, max_iter=5, tol=0.0)
    with pytest.warns(ConvergenceWarning):
        masked = GaussianMixture(**options).fit(X, sample_weight=mask)
    with pytest.warns(ConvergenceWarning):
        removed = GaussianMixture(**options).fit(X[mask > 0], sample_weight=mask[mask > 0])
    assert bits(masked) == bits(removed)


def test_unit_weights_change_nothing(blobs):
    X = blobs[0][:500]
    for method in METHODS:
        options = {"init_params": method, "random_state": 0, "reg_covar": 1e-2, "max_iter": 1000}
        unit = GaussianMixture(3, **options).fit(X, sample_weight=np.ones(500))
        assert bits(GaussianMixture(3, **options).fit(X)) == bits(unit)
    plain = GaussianMixture(3, random_state=0).fit(X)
    scaled = GaussianMixture(3, random_state=0).fit(X, sample_weight=np.full(500, 1e-9))
    np.testing.assert_allclose(scaled.means_, plain.means_, rtol=1e-9)
    np.testing.assert_allclose(scaled.covariances_, plain.covariances_, rtol=1e-9)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0] * 49 + [-1.0], "[Nn]egative"),
        ([1.0] * 49 + [np.nan], "NaN"),
        ([0.0] * 50, "all weights are 0|non-zero"),
        ([1.0] * 49, "shape"),
    ],
)
def test_bad_weights(blobs, weights, message):
    model = GaussianMixture(2)
    with pytest.raises(ValueError, match=message):
        model.fit(blobs[0][:50], sample_weight=weights)
    assert not hasattr(model, "means_")


def test_large_data_are_initialised_on_a_sample_as_well_as_on_all(blobs):
    X, labels = draw(60_000, *random_mixture("full", 3, 4, spread=8.0), "full")
    model = GaussianMixture(4, random_state=0).fit(X)
    truth = GaussianMixture(4, init_params=np.eye(4)[labels], tol=1e-6, max_iter=500).fit(X)
    assert model.score(X) >= truth.score(X) - 1e-3
    weighted = GaussianMixture(4, random_state=0).fit(X, sample_weight=np.ones(len(X)))
    assert weighted.score(X) >= truth.score(X) - 1e-3


def test_responsibilities_as_start(blobs):
    X, labels = blobs
    given = np.eye(4)[labels]
    by_array = GaussianMixture(4, init_params=given).fit(X)
    by_function = GaussianMixture(4, init_params=lambda X, K, rng: given).fit(X)
    assert bits(by_array) == bits(by_function)
    # component k begins as class k, and stays it
    for k in range(4):
        np.testing.assert_allclose(by_array.means_[k], X[labels == k].mean(axis=0), atol=0.5)
    # rows of weight 0 are given too, by arrays and by functions
    weight = (np.arange(6000) % 5 > 0).astype(float)
    some = GaussianMixture(4, init_params=given).fit(X, sample_weight=weight)
    same = GaussianMixture(4, init_params=lambda X, K, rng: given).fit(X, sample_weight=weight)
    only = GaussianMixture(4, init_params=given[weight > 0]).fit(X[weight > 0])
    assert bits(some) == bits(same)
    np.testing.assert_allclose(some.means_, only.means_, rtol=1e-12)
    with pytest.raises(ValueError, match="not a table of numbers"):
        GaussianMixture(4, init_params=[[1.0], [0.5, 0.5]]).fit(X)
    with pytest.raises(ValueError, match=r"shape must be \(6000, 4\)"):
        GaussianMixture(4, init_params=given[:10]).fit(X)
    with pytest.raises(ValueError, match=r"sum to 1.*6000 rows are not.*first is row 0"):
        GaussianMixture(4, init_params=given * 2).fit(X)


@pytest.mark.parametrize("method", METHODS)
def test_initialisations_run_and_are_seeded(blobs, method):
    options = {"init_params": method, "max_iter": 3, "tol": 0.0, "reg_covar": 1e-2}
    fits = []
    for seed in (0, 0, 1):
        with pytest.warns(ConvergenceWarning, match="did not converge.*at max_iter=3"):
            fits.append(GaussianMixture(4, random_state=seed, **options).fit(blobs[0]))
    assert bits(fits[0]) == bits(fits[1])
    assert bits(fits[0]) != bits(fits[2])


def test_random_start_draws_in_blocks_what_scikit_learn_draws_at_once(monkeypatch, blobs):
    monkeypatch.setattr("fastem.initialization._BLOCK_ROWS", 500)
    options = {"init_params": "random", "random_state": 0, "max_iter": 1, "tol": 0.0}
    with pytest.warns(ConvergenceWarning):
        blocked = GaussianMixture(3, **options).fit(blobs[0])
    r = np.random.RandomState(0).uniform(size=(6000, 3))
    options["init_params"] = r / r.sum(axis=1, keepdims=True)
    with pytest.warns(ConvergenceWarning):
        whole = GaussianMixture(3, **options).fit(blobs[0])
    np.testing.assert_allclose(blocked.means_, whole.means_, rtol=1e-9)
    np.testing.assert_allclose(blocked.covariances_, whole.covariances_, rtol=1e-9)


def test_n_init_keeps_the_best(iris):
    options = {"n_components": 3, "init_params": "random_from_data", "reg_covar": 1e-3}
    model = GaussianMixture(**options, n_init=1, random_state=np.random.RandomState(0))
    singles = [model.fit(iris[0]).lower_bound_ for _ in range(6)]
    best = GaussianMixture(**options, n_init=6, random_state=0).fit(iris[0])
    assert max(singles) > min(singles) + 0.01
    assert best.lower_bound_ == pytest.approx(max(singles), rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_starts_side_by_side_equal_one_after_the_other(blobs, name):
    X = blobs[0][:400]
    weight = np.random.default_rng(0).integers(0, 3, 400)
    for method in METHODS:
        options = {"covariance_type": name, "init_params": method, "random_state": 0, "n_init": 5,
                   "reg_covar": 1e-3, "max_iter": 6, "tol": 0.0}  # fmt: skip
        fits = []
        for callbacks in (None, [lambda *_: None]):  # who listens hears one after the other
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model = GaussianMixture(4, callbacks=callbacks, **options)
                fits.append(model.fit(X, sample_weight=weight))
        together, in_turn = fits
        # of starts that are equally good rounding chooses: the same components in another order
        assert together.lower_bound_ == pytest.approx(in_turn.lower_bound_, rel=1e-9)
        np.testing.assert_allclose(together.score_samples(X), in_turn.score_samples(X), rtol=1e-7)


def test_warm_start_continues(blobs):
    X = blobs[0]
    options = {"n_components": 4, "init_params": "random", "random_state": 1, "tol": 0.0}
    model = GaussianMixture(max_iter=3, warm_start=True, **options)
    with pytest.warns(ConvergenceWarning):
        model.fit(X).fit(X)
    with pytest.warns(ConvergenceWarning):
        straight = GaussianMixture(max_iter=6, **options).fit(X)
    np.testing.assert_allclose(model.means_, straight.means_, rtol=1e-8)
    np.testing.assert_allclose(model.lower_bounds_, straight.lower_bounds_[3:], rtol=1e-10)


def test_no_iterations_give_the_initial_parameters(blobs):
    X, labels = blobs
    model = GaussianMixture(4, max_iter=0, init_params=np.eye(4)[labels]).fit(X)
    np.testing.assert_allclose(model.means_[2], X[labels == 2].mean(axis=0), rtol=1e-10)
    assert (model.n_iter_, model.lower_bounds_, model.converged_) == (0, [], False)


@pytest.mark.parametrize("name", NAMES)
def test_the_log_likelihood_never_falls(blobs, name):
    # between chance and the truth: EM has a way to go, and does not begin on a saddle
    start = np.random.default_rng(2).dirichlet(np.full(4, 0.1), size=6000)
    start = 0.8 * start + 0.2 * np.eye(4)[blobs[1]]
    options = {"init_params": start, "tol": 1e-6, "max_iter": 2000, "reg_covar": 0.0}
    model = GaussianMixture(4, covariance_type=name, **options).fit(blobs[0])
    trace = np.array(model.lower_bounds_)
    assert len(trace) > 6
    assert (np.diff(trace) >= -1e-10 * np.abs(trace[1:])).all()


@pytest.mark.parametrize("name", NAMES)
def test_an_offset_of_a_million_deviations_costs_no_digits(blobs, name):
    X = np.round(blobs[0], 6)
    labels = np.eye(4)[blobs[1]]
    options = {"covariance_type": name, "init_params": labels, "max_iter": 5, "tol": 0.0}
    with pytest.warns(ConvergenceWarning):
        near = GaussianMixture(4, **options).fit(X)
    far_X = X + 1e6  # itself rounded to 1e-10
    with pytest.warns(ConvergenceWarning):
        far = GaussianMixture(4, **options).fit(far_X)
    np.testing.assert_allclose(far.covariances_, near.covariances_, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(far.means_ - 1e6, near.means_, atol=1e-8)
    np.testing.assert_allclose(far.score_samples(far_X), near.score_samples(X), atol=1e-6)


def test_callbacks_hear_and_stop(blobs):
    heard = []

    def stop_at_four(iteration, log_likelihood, change):
        heard.append((iteration, log_likelihood))
        return iteration == 4

    model = GaussianMixture(4, init_params="random", random_state=0, callbacks=[stop_at_four])
    model.fit(blobs[0])
    assert [h[0] for h in heard] == [1, 2, 3, 4]
    np.testing.assert_allclose([h[1] / 6000 for h in heard], model.lower_bounds_, rtol=1e-12)
    assert (model.stop_reason_, model.converged_, model.n_iter_) == ("interrupted", False, 4)


def test_an_interrupted_or_failed_fit_leaves_the_model_whole(blobs):
    X = blobs[0]
    model = GaussianMixture(3, random_state=0).fit(X)
    before = bits(model)

    def interrupt(*_):
        raise KeyboardInterrupt

    model.set_params(callbacks=[interrupt])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X * 2)
    assert bits(model) == before
    model.set_params(callbacks=None, reg_covar=0.0, n_components=2)
    with pytest.raises(IllDefinedCovarianceError):
        model.fit(np.repeat(X[:2, :2], 20, axis=0))
    assert bits(model) == before
    assert model.n_features_in_ == 3
    model.set_params(n_components=3)
    assert model.predict(X).shape == (len(X),)
    named = pd.DataFrame(X[:2, :2].repeat(20, axis=0), columns=["a", "b"])
    with pytest.raises(IllDefinedCovarianceError):
        model.set_params(n_components=2).fit(named)
    assert not hasattr(model, "feature_names_in_")


def test_warm_start_refuses_another_shape(blobs):
    model = GaussianMixture(3, warm_start=True, random_state=0).fit(blobs[0])
    for parameters, X in (({"n_components": 2}, blobs[0]), ({"n_components": 3}, blobs[0][:, :2])):
        with pytest.raises(ValueError, match="warm_start=True continues"):
            model.set_params(**parameters).fit(X)
    with pytest.raises(ValueError, match="warm_start=True continues"):
        model.set_params(covariance_type="diag").fit(blobs[0])


def test_ill_defined_covariance_names_component_and_remedy():
    X = np.zeros((20, 2))
    X[:10, 0] = np.arange(10)  # a line, and a point repeated
    for name in ("full", "diag"):
        model = GaussianMixture(
            2, covariance_type=name, reg_covar=0.0, init_params=np.eye(2)[[0] * 10 + [1] * 10]
        )
        with pytest.raises(
            ValueError,
            match=r"Fitting the mixture model failed because some components have ill-defined "
            r"empirical covariance.*increase reg_covar.*component [01] of 2",
        ):
            model.fit(X)


def test_overflow_is_a_typed_error():
    X = np.random.default_rng(0).normal(size=(50, 2))
    X[7] = 1e200
    with pytest.raises(DataRangeError, match=r"column 0 runs from -2.*to 1e\+200.*is row 7"):
        GaussianMixture(2, random_state=0).fit(X)
    X[7] = 1e145
    precisions = [np.eye(2) * 1e30] * 2
    start = {"weights_init": [0.5, 0.5], "means_init": X[:2], "precisions_init": precisions}
    with pytest.raises(LikelihoodError, match=r"log-likelihood became -inf.*extreme magnitude"):
        GaussianMixture(2, **start).fit(X)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", NAMES)
def test_rows_at_the_end_of_the_world(name, dtype):
    X = np.random.default_rng(0).normal(size=(60, 2)) + np.repeat([[0], [9]], 30, axis=0)
    X = X.astype(dtype)
    model = GaussianMixture(2, covariance_type=name, random_state=0).fit(X)
    far = X.copy()
    far[[7, 9]] = 1e170 if dtype == np.float64 else 1e30
    far[9] *= -1
    r = model.predict_proba(far)
    np.testing.assert_allclose(r.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(r.argmax(axis=1), model.predict(far))
    others = np.delete(np.arange(60), [7, 9])
    np.testing.assert_array_equal(r[others], model.predict_proba(X)[others])
    # a little nearer, where nothing overflows, the answer is the same
    near = np.delete(far, others, axis=0) / far.max() * dtype(1e6)
    np.testing.assert_allclose(r[[7, 9]], model.predict_proba(near), atol=1e-6)
    if dtype == np.float64:
        for method in (model.score_samples, model.score):
            with pytest.raises(LikelihoodError, match=r"2 rows are too far.*first is row 7"):
                method(far)
    else:  # the logarithm of the density is not beyond a double
        in_double = GaussianMixture.from_sklearn(model.to_sklearn())
        np.testing.assert_allclose(
            model.score_samples(far), in_double.score_samples(far.astype(np.float64)), rtol=1e-5
        )


def test_a_far_component_does_not_round_the_others_away():
    rng = np.random.default_rng(0)
    near = np.vstack([rng.normal(0, 1, (5000, 2)), rng.normal(6, 1, (5000, 2))])
    X = np.vstack([near, rng.normal(1e8, 1e3, (20, 2))]).astype(np.float32)
    labels = np.repeat([0, 1, 2], [5000, 5000, 20])
    model = GaussianMixture(3, init_params=np.eye(3)[labels]).fit(X)
    theirs = model.to_sklearn()
    assert np.mean(model.predict(X) == theirs.predict(X)) > 0.999
    assert np.mean(model.predict(X) == labels) > 0.99
    np.testing.assert_allclose(model.means_[:2], [[0, 0], [6, 6]], atol=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_from_far_off_keeps_its_digits(name):
    X = np.random.default_rng(0).normal(size=(400, 2)) * [4.0, 2.0]
    with pytest.warns(ConvergenceWarning):
        model = GaussianMixture(
            1, covariance_type=name, means_init=[[1e9, 1e9]], max_iter=1, reg_covar=0.0
        ).fit(X)
    exact = GaussianMixture(1, covariance_type=name, reg_covar=0.0).fit(X)
    np.testing.assert_allclose(model.covariances_, exact.covariances_, rtol=1e-6, atol=1e-6)


def test_float32_near_a_log_likelihood_of_zero_is_not_called_falling():
    rng = np.random.default_rng(0)
    for seed in range(6):
        X = rng.normal(size=(50_000, 2))
        X *= np.exp(-(1 + np.log(2 * np.pi)) / 2)  # a mean log-likelihood of about 0
        model = GaussianMixture(1, random_state=seed).fit(X.astype(np.float32))
        assert model.stop_reason_ == "tolerance"


def test_absurd_weights_are_only_ratios(blobs):
    for dtype in (np.float64, np.float32):
        X = blobs[0][:500].astype(dtype)
        plain = GaussianMixture(3, random_state=0).fit(X)
        for size in (2.0**-1000, 2.0**900):
            weighted = GaussianMixture(3, random_state=0).fit(X, sample_weight=np.full(500, size))
            np.testing.assert_allclose(weighted.means_, plain.means_, rtol=1e-4)


def test_precisions_alone_need_no_covariances():
    X = np.random.default_rng(0).normal(size=(50, 2))
    options = {"precisions_init": [np.eye(2)] * 2, "init_params": "random_from_data"}
    model = GaussianMixture(2, reg_covar=0.0, random_state=0, **options).fit(X)
    assert np.isfinite(model.score(X))


def test_heavy_rows_lead_k_means_on_many_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60_000, 2)) * 3
    weight = np.full(60_000, 1e-9)
    for k, centre in enumerate(([50.0, 0.0], [0.0, 50.0], [-50.0, 0.0])):
        X[5 * k : 5 * k + 5] = centre + rng.normal(size=(5, 2))
        weight[5 * k : 5 * k + 5] = 1.0
    for seed in range(3):
        model = GaussianMixture(3, random_state=seed, reg_covar=1e-3).fit(X, sample_weight=weight)
        np.testing.assert_allclose(model.weights_, 1 / 3, atol=1e-3)


@pytest.mark.parametrize("n_rows", [400, 6000])  # of few rows the starts run side by side
def test_starts_that_all_fail_raise_the_first_error(n_rows):
    X = np.zeros((n_rows, 30))
    X[:10, 0] = np.arange(10)
    model = GaussianMixture(2, reg_covar=0.0, n_init=3, init_params="random", random_state=0)
    with pytest.raises(IllDefinedCovarianceError, match="component 0 of 2"):
        model.fit(X)


@pytest.mark.parametrize("n_rows", [400, 6000])
def test_a_failing_start_is_dropped_with_a_warning(n_rows, blobs):
    blobs = [part[:n_rows] for part in blobs]
    calls = []

    def sometimes_bad(X, K, random_state):
        calls.append(1)
        labels = blobs[1].copy()
        if len(calls) == 2:
            labels[labels == 1] = 0  # component 1 gets one row, and no variance
            labels[0] = 1
        return np.eye(4)[labels]

    model = GaussianMixture(4, n_init=3, reg_covar=0.0, init_params=sometimes_bad)
    with pytest.warns(ConvergenceWarning, match=r"1 of 3 starts failed.*ill-defined") as caught:
        model.fit(blobs[0])
    assert caught[0].filename == __file__
    assert model.converged_


def test_callbacks_must_be_functions(blobs):
    with pytest.raises(TypeError, match="callbacks: 3 is not a function"):
        GaussianMixture(2, callbacks=[3]).fit(blobs[0])


def test_parameters_set_after_the_fit_do_not_change_the_model(blobs, tmp_path):
    X = blobs[0][:, :2]
    model = GaussianMixture(2, covariance_type="diag", random_state=0).fit(X)
    score, bic = model.score(X), model.bic(X)
    model.set_params(covariance_type="tied", n_components=5)
    assert (model.score(X), model.bic(X)) == (score, bic)
    model.save(tmp_path / "model.fastem")
    again = fastem.load(tmp_path / "model.fastem")
    assert again.score(X) == score
    assert (again.n_components, again.covariance_type) == (2, "diag")
    with pytest.raises(ValueError, match="warm_start=True continues"):
        model.set_params(n_components=2, warm_start=True).fit(X)  # both are (2, 2) in shape


def test_every_array_parameter_survives_a_file(blobs, tmp_path):
    X, labels = blobs
    model = GaussianMixture(
        4, init_params=np.eye(4)[labels], warm_start=np.bool_(True), means_init=X[:4]
    ).fit(X)
    model.save(tmp_path / "model.fastem")
    again = fastem.load(tmp_path / "model.fastem")
    np.testing.assert_array_equal(again.init_params, np.eye(4)[labels])
    np.testing.assert_array_equal(again.means_init, X[:4])
    assert again.warm_start is True
    assert (again.n_iter_, again.lower_bound_) == (model.n_iter_, model.lower_bound_)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones(5), "reshape"),
        (np.ones((1, 2)), "minimum of 2"),
        (np.ones((0, 2)), "0 sample"),
        (np.ones((5, 0)), "0 feature"),
        ([[1.0, np.nan], [2.0, 3.0]], "NaN"),
        ([[1.0, np.inf], [2.0, 3.0]], "infinity"),
        (np.ones((5, 2)) * 1j, "[Cc]omplex"),
        ([["a", "b"], ["c", "d"]], "string"),
        (np.random.default_rng(0).normal(size=(3, 2)), "n_samples >= n_components"),
    ],
)
def test_bad_data(X, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(4).fit(X)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": 0}, "n_components"),
        ({"covariance_type": "banded"}, "covariance_type"),
        ({"tol": -1.0}, "tol"),
        ({"reg_covar": -1.0}, "reg_covar"),
        ({"max_iter": -1}, "max_iter"),
        ({"n_init": 0}, "n_init"),
        ({"init_params": "best"}, "init_params"),
        ({"n_threads": 0}, "n_threads=0"),
        ({"n_threads": 1.5}, "n_threads"),
        ({"weights_init": [0.5, 0.6]}, "normalized"),
        ({"weights_init": [1.5, -0.5]}, r"range \[0, 1\]"),
        ({"weights_init": [1.0]}, "shape"),
        ({"means_init": [[1.0]]}, "shape"),
        ({"precisions_init": -np.stack([np.eye(2)] * 2)}, "symmetric, positive-definite"),
        ({"precisions_init": np.stack([[[1, 0.5], [0, 1]]] * 2)}, "symmetric"),
        ({"precisions_init": np.eye(2)}, "shape"),
        ({"precisions_init": [1.0, -1.0], "covariance_type": "spherical"}, "positive"),
    ],
)
def test_bad_parameters(parameters, message):
    X = np.random.default_rng(0).normal(size=(30, 2))
    with pytest.raises(ValueError, match=message):
        GaussianMixture(**{"n_components": 2, **parameters}).fit(X)


def test_unfitted_models_say_so():
    for method in ("predict", "predict_proba", "score", "score_samples", "bic", "aic"):
        with pytest.raises(NotFittedError):
            getattr(GaussianMixture(), method)(np.ones((3, 2)))
    with pytest.raises(NotFittedError):
        GaussianMixture().sample()


def unaligned(array):
    """The same numbers at an odd address: only a sanitizer tells whether a kernel reads them."""
    return np.frombuffer(b"x" + array.tobytes(), array.dtype, offset=1).reshape(array.shape)


def test_every_array_may_lie_at_an_odd_address(blobs):
    X = blobs[0][:400]
    weight = np.linspace(0.5, 1.5, 400)
    start = np.repeat(np.eye(2), 200, axis=0)
    plain = GaussianMixture(2, init_params=start).fit(X, sample_weight=weight)
    other = GaussianMixture(2, init_params=unaligned(start))
    other.fit(unaligned(X), sample_weight=unaligned(weight))
    assert bits(plain) == bits(other)
    for name in ARRAYS:
        setattr(other, name, unaligned(getattr(plain, name)))
    np.testing.assert_array_equal(plain.score_samples(X), other.score_samples(unaligned(X)))


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X.tolist(),
        np.asfortranarray,
        lambda X: X.astype(">f8"),
        lambda X: pd.DataFrame(X, columns=["a", "b", "c"]),
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: np.rec.fromarrays([X, X[:, 0] > 0], "(3,)f8, u1")["f0"],
    ],
    ids=["list", "Fortran", "big-endian", "DataFrame", "strided", "records"],
)
@pytest.mark.parametrize("n_init", [1, 5])  # one after the other, and side by side
def test_containers_and_layouts_give_the_same_bits(blobs, convert, n_init):
    X = blobs[0][:400]
    plain = GaussianMixture(3, random_state=0, n_init=n_init).fit(X)
    other = GaussianMixture(3, random_state=0, n_init=n_init).fit(convert(X))
    assert bits(plain) == bits(other)
    np.testing.assert_array_equal(plain.predict(X), other.predict(convert(X)))


def test_integers_and_half_floats_are_promoted():
    X = np.random.default_rng(0).integers(0, 9, size=(100, 2))
    for dtype in (np.int32, np.uint8, np.float16):
        assert GaussianMixture(2, random_state=0).fit(X.astype(dtype)).means_.dtype == np.float64


def test_memmap_and_read_only_data_are_not_written_to(tmp_path, blobs):
    np.save(tmp_path / "X.npy", blobs[0])
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    model = GaussianMixture(4, random_state=0).fit(X)
    assert bits(model) == bits(GaussianMixture(4, random_state=0).fit(blobs[0]))


@pytest.mark.parametrize("name", NAMES)
def test_sample_recovers_the_mixture(blobs, name):
    model = GaussianMixture(4, covariance_type=name, random_state=0).fit(blobs[0])
    X, y = model.sample(40_000)
    assert X.shape == (40_000, 3)
    np.testing.assert_allclose(np.bincount(y) / 40_000, model.weights_, atol=0.02)
    matrices = COVARIANCES[name].matrices(model.covariances_, 4, 3)
    for k in range(4):
        scale = np.sqrt(np.trace(matrices[k]))
        np.testing.assert_allclose(X[y == k].mean(axis=0), model.means_[k], atol=0.1 * scale)
        np.testing.assert_allclose(np.cov(X[y == k].T), matrices[k], atol=0.1 * scale**2)
    with pytest.raises(ValueError, match="at least one sample"):
        model.sample(0)


def test_fit_predict_is_fit_then_predict(blobs):
    X = blobs[0]
    labels = GaussianMixture(4, random_state=0).fit_predict(X)
    np.testing.assert_array_equal(labels, GaussianMixture(4, random_state=0).fit(X).predict(X))
    assert labels.dtype.kind == "i"


def test_rows_of_predict_proba_sum_to_one(blobs):
    model = GaussianMixture(4, random_state=0).fit(blobs[0])
    far = np.vstack([blobs[0], [[1e6, -1e6, 1e6]]])
    np.testing.assert_allclose(model.predict_proba(far).sum(axis=1), 1.0, rtol=1e-12)


def test_pickle_grid_search_pipeline_and_names(blobs):
    X = pd.DataFrame(blobs[0][:600], columns=["a", "b", "c"])
    model = GaussianMixture(4, random_state=0).fit(X)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    assert bits(pickle.loads(pickle.dumps(model))) == bits(model)
    plain = GaussianMixture(4, random_state=0).fit(X.to_numpy())
    assert (model.bic(X), model.aic(X)) == (plain.bic(X.to_numpy()), plain.aic(X.to_numpy()))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(X.rename(columns={"a": "z"}))
    search = GridSearchCV(GaussianMixture(random_state=0), {"n_components": [1, 4]}, cv=3).fit(X)
    assert search.best_params_ == {"n_components": 4}
    assert len(cross_val_score(model, X, cv=3)) == 3
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(4, random_state=0)).fit(X)
    assert pipeline.predict(X).shape == (600,)


def test_verbose_prints_as_scikit_learn_does(blobs, capsys):
    GaussianMixture(3, verbose=1, verbose_interval=1, random_state=0, n_init=2).fit(blobs[0])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["Initialization 0", "  Iteration 1"]
    assert "Initialization 1" in lines
    assert lines[-1] == "Initialization converged."
    GaussianMixture(3, verbose=2, verbose_interval=1, random_state=0).fit(blobs[0])
    text = capsys.readouterr().out
    assert "time lapse" in text
    assert "ll change" in text
    assert "lower bound" in text


def test_warnings_point_at_the_call_of_fit(blobs):
    with pytest.warns(ConvergenceWarning) as caught:
        GaussianMixture(4, max_iter=1, random_state=0).fit(blobs[0])
    assert caught[0].filename == __file__


def test_not_converging_warns_and_names_the_remedy(blobs):
    with pytest.warns(ConvergenceWarning, match="did not converge.*increase max_iter.*max_iter=1"):
        model = GaussianMixture(4, max_iter=1, random_state=0).fit(blobs[0])
    assert (model.converged_, model.stop_reason_) == (False, "max_iter")


@pytest.mark.filterwarnings("ignore::fastem.exceptions.DegenerateDataWarning")
def test_many_rows_many_components_and_wide_data():
    rng = np.random.default_rng(0)
    for shape, K, name in (((40, 300), 2, "diag"), ((3000, 2), 100, "full"), ((20, 1), 20, "full")):
        X = rng.normal(size=shape)
        model = GaussianMixture(K, covariance_type=name, random_state=0, max_iter=500).fit(X)
        assert np.isfinite(model.score(X))
        assert model.predict_proba(X).shape == (shape[0], K)


def test_show_config_and_isa(capsys):
    assert fastem.cpu_isa() in ("baseline", "avx2", "avx512")
    config = fastem.show_config("dict")
    assert fastem.cpu_isa() in config["instruction set"]
    assert int(config["threads"]) >= 1
    fastem.show_config()
    assert "scikit-learn" in capsys.readouterr().out
    with pytest.raises(ValueError, match="mode='yaml'"):
        fastem.show_config("yaml")


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512"])
def test_fastem_isa_lowers_and_never_raises_the_level(isa):
    order = ("baseline", "avx2", "avx512")
    best = run_python("import fastem; print(fastem.cpu_isa())", FASTEM_ISA="")
    got = run_python("import fastem; print(fastem.cpu_isa())", FASTEM_ISA=isa)
    expected = min(isa, best.stdout.strip(), key=order.index)
    assert got.stdout.strip() == expected


def test_an_unknown_isa_is_refused():
    got = run_python("import fastem; fastem.cpu_isa()", FASTEM_ISA="sse9")
    assert got.returncode != 0
    assert "FASTEM_ISA='sse9' is not known" in got.stderr
