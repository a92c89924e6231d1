"""What code written for scikit-learn's GaussianMixture may take for granted."""

import copy
import inspect
import pickle
import re
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn.exceptions
from mixtures import draw, random_mixture
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, InconsistentVersionWarning
from sklearn.mixture import GaussianMixture as SklearnMixture
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastem
from fastem import GaussianMixture
from fastem.covariances import COVARIANCES
from fastem.initialization import METHODS

NAMES = sorted(COVARIANCES)
ARRAYS = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
BOTH = (GaussianMixture, SklearnMixture)


@pytest.fixture(scope="module", name="X")
def rows():
    return draw(400, *random_mixture("full", 2, 3, spread=6.0), "full")[0]


@pytest.fixture(scope="module")
def weight():
    return np.random.default_rng(1).integers(0, 4, 400).astype(float)


def bits(model):
    return b"".join(getattr(model, name).tobytes() for name in ARRAYS)


def error_of(call):
    """Type and message of what a call raises."""
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    return type(caught.value), str(caught.value)


# --- signature ------------------------------------------------------------------------------------


def test_the_constructor_begins_with_scikit_learns():
    ours, theirs = (list(inspect.signature(c).parameters.values()) for c in BOTH)
    as_in_theirs = ours[: len(theirs)]
    assert [(p.name, p.default, p.kind) for p in as_in_theirs] == [
        (p.name, p.default, p.kind) for p in theirs
    ]
    assert {p.kind for p in ours[len(theirs) :]} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize(
    "method",
    ["fit", "fit_predict", "predict", "predict_proba", "score", "score_samples", "sample", "bic",
     "aic", "get_params", "set_params", "get_metadata_routing"],
)  # fmt: skip
def test_methods_begin_with_scikit_learns_arguments(method):
    ours, theirs = (list(inspect.signature(getattr(c, method)).parameters) for c in BOTH)
    assert ours[: len(theirs)] == theirs
    assert set(ours[len(theirs) :]) <= {"sample_weight"}


def test_the_same_warnings_and_tags():
    assert fastem.exceptions.ConvergenceWarning is sklearn.exceptions.ConvergenceWarning
    assert GaussianMixture().__sklearn_tags__() == SklearnMixture().__sklearn_tags__()
    assert not hasattr(GaussianMixture(), "set_output")  # nor has scikit-learn's


# --- fitting --------------------------------------------------------------------------------------


@pytest.mark.parametrize("integer", [np.int64, np.int32, np.uint8])
@pytest.mark.parametrize("method", METHODS)
def test_integers_of_numpy_are_integers(X, method, integer):
    options = {"n_components": 3, "n_init": 5, "max_iter": 20, "random_state": 0}
    options |= {"verbose_interval": 2, "n_threads": 1}
    rest = {"init_params": method, "tol": 1e-2, "reg_covar": 1e-2}
    of_numpy = {name: integer(value) for name, value in options.items()}
    many = np.tile(X, (50, 1))  # several starts of few rows run side by side
    for rows in (X, many):
        plain = GaussianMixture(**options, **rest).fit(rows)
        assert bits(GaussianMixture(**of_numpy, **rest).fit(rows)) == bits(plain)


def test_warm_start_makes_one_start_of_many(X, capsys):
    for cls in BOTH:
        model = cls(3, n_init=4, warm_start=True, random_state=0, verbose=1).fit(X)
        assert capsys.readouterr().out.count("Initialization converged") == 4, "a fresh fit"
        before = model.lower_bound_
        model.fit(X)
        assert capsys.readouterr().out.count("Initialization converged") == 1
        assert model.n_iter_ == 1
        assert model.lower_bound_ == pytest.approx(before, abs=1e-3)


def test_attributes_without_iterations(X):
    ours, theirs = (cls(3, max_iter=0, random_state=0).fit(X) for cls in BOTH)
    for name in (*ARRAYS, "converged_", "n_iter_", "lower_bound_", "lower_bounds_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_given_precisions_have_these_factors(X, name):
    fitted = SklearnMixture(3, covariance_type=name, random_state=0).fit(X)
    given = {"precisions_init": fitted.precisions_, "max_iter": 0, "random_state": 0}
    model = GaussianMixture(3, covariance_type=name, **given).fit(X)
    np.testing.assert_allclose(model.precisions_cholesky_, fitted.precisions_cholesky_, rtol=1e-9)
    np.testing.assert_allclose(model.precisions_, fitted.precisions_, rtol=1e-9)


def test_nothing_is_initialised_where_all_parameters_are_given(X):
    generator = np.random.RandomState(0)
    before = generator.get_state()[1].copy(), generator.get_state()[2]
    given = {
        "weights_init": [0.5, 0.5],
        "means_init": X[:2],
        "precisions_init": [np.eye(2)] * 2,
        "random_state": generator,
    }

    def never(*_):
        raise AssertionError("init_params was called")

    GaussianMixture(2, init_params=never, **given).fit(X)
    assert (generator.get_state()[1] == before[0]).all()
    assert generator.get_state()[2] == before[1]


@pytest.mark.parametrize("options", [{}, {"n_init": 3}, {"n_init": 5, "covariance_type": "diag"}])
@pytest.mark.parametrize("method", METHODS)
def test_a_generator_is_used_as_scikit_learn_uses_it(X, method, options):
    drawn = []
    for cls in BOTH:
        generator = np.random.RandomState(3)
        options = {"init_params": method, "reg_covar": 1e-2, "max_iter": 500, **options}
        model = cls(3, random_state=generator, **options).fit(X)
        drawn.append((model.score(X), generator.random_sample()))
    assert drawn[0][1] == drawn[1][1]
    if (method, options.get("covariance_type")) != ("k-means++", "tied"):
        assert drawn[0][0] == pytest.approx(drawn[1][0], rel=1e-9)


# --- what a fitted model says ---------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_draws_and_criteria_of_the_same_parameters(X, name):
    theirs = SklearnMixture(3, covariance_type=name, random_state=5).fit(X)
    ours = GaussianMixture.from_sklearn(theirs)
    for mine, other in zip(ours.sample(50), theirs.sample(50), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12)
    for method in ("score", "bic", "aic"):
        assert getattr(ours, method)(X) == pytest.approx(getattr(theirs, method)(X), rel=1e-9)
    generators = np.random.RandomState(1), np.random.RandomState(1)
    for model, generator in zip((ours, theirs), generators, strict=True):
        model.set_params(random_state=generator).sample(7)
    assert generators[0].random_sample() == generators[1].random_sample()


# --- parameters and configuration -----------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_components": 0}, {"n_components": "2"}, {"n_components": 1.5}, {"tol": -1},
        {"covariance_type": "x"}, {"reg_covar": -1}, {"max_iter": -1}, {"n_init": 0},
        {"weights_init": 3}, {"means_init": "a"}, {"random_state": "a"}, {"warm_start": 3},
        {"verbose": -1}, {"verbose_interval": 0}, {"random_state": -1}, {"n_components": 401},
    ],
    ids=str,
)  # fmt: skip
def test_messages_of_bad_parameters_are_scikit_learns(X, parameters):
    def outcome(cls):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return cls(**parameters).fit(X).n_iter_

    kind, expected = error_of(lambda: outcome(SklearnMixture))
    our_kind, message = error_of(lambda: outcome(GaussianMixture))
    assert our_kind is kind
    # sets of choices are in any order, and there may be more of them
    for part in re.split(r"\{.*?\}", expected.split(" Got ")[0].rstrip(".")):
        assert part in message


def test_configuration_is_heeded(X):
    with config_context(skip_parameter_validation=True):
        GaussianMixture(3, tol=1e-2, random_state=0, warm_start="no").fit(X)
    bad = X.copy()
    bad[3, 1] = np.nan
    model = GaussianMixture(3, random_state=0).fit(X)
    with config_context(assume_finite=True):
        assert bits(GaussianMixture(3, random_state=0).fit(X)) == bits(model)
        with pytest.raises(ValueError, match=r"1 rows hold NaN.* row 3"):
            model.predict(bad)  # not examined, and no answer all the same
    with config_context(transform_output="pandas"):
        assert type(model.predict_proba(X)) is np.ndarray


# --- data frames ----------------------------------------------------------------------------------


def frame(library, X, columns):
    if library == "pandas":
        return pd.DataFrame(X, columns=columns)
    module = pytest.importorskip(library)
    made = dict(zip(columns, X.T, strict=True))
    return module.table(made) if library == "pyarrow" else module.DataFrame(made)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_names_of_the_columns_are_kept_and_compared(X, library):
    named = frame(library, X, ["age", "height"])
    ours, theirs = (cls(3, random_state=0).fit(named) for cls in BOTH)
    if not hasattr(theirs, "feature_names_in_"):
        pytest.skip(f"this scikit-learn takes no names from {library}")
    assert ours.feature_names_in_.tolist() == theirs.feature_names_in_.tolist()
    assert ours.feature_names_in_.dtype == theirs.feature_names_in_.dtype
    plain = GaussianMixture(3, random_state=0).fit(X)
    assert bits(ours) == bits(plain)
    for method in ("predict", "predict_proba", "score_samples"):
        np.testing.assert_array_equal(getattr(ours, method)(named), getattr(plain, method)(X))
    for columns in (["height", "age"], ["age", "weight"]):
        other = frame(library, X, columns)
        for method in ("predict", "predict_proba", "score_samples", "score", "bic", "aic"):
            assert error_of(lambda m=method, o=other: getattr(ours, m)(o)) == error_of(
                lambda m=method, o=other: getattr(theirs, m)(o)
            )
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        ours.predict(X)
    with pytest.warns(UserWarning, match="but GaussianMixture was fitted without feature names"):
        plain.predict(named)


# --- copies ---------------------------------------------------------------------------------------


def test_copies_of_all_kinds(X, tmp_path):
    model = GaussianMixture(3, random_state=0).fit(X)
    joblib.dump(model, tmp_path / "model.joblib")
    copies = [
        copy.copy(model),
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        joblib.load(tmp_path / "model.joblib"),
    ]
    for each in copies:
        assert bits(each) == bits(model)
        assert vars(each).keys() == vars(model).keys()
        assert each.score(X) == model.score(X)
    assert joblib.hash(copies[1]) == joblib.hash(model)
    assert joblib.hash(clone(model)) == joblib.hash(GaussianMixture(3, random_state=0))
    assert joblib.hash(GaussianMixture(3)) != joblib.hash(GaussianMixture(4))


@pytest.mark.parametrize("version", ["0.0.1", None])
def test_a_pickle_of_another_version_warns_and_works(X, version):
    model = GaussianMixture(3, random_state=0).fit(X)
    state = model.__getstate__()
    assert state.pop("_fastem_version") == fastem.__version__
    if version is not None:
        state["_fastem_version"] = version
    del state["pack"]  # a parameter that was not known then
    old = GaussianMixture.__new__(GaussianMixture)
    with pytest.warns(InconsistentVersionWarning, match=f"from version fastem {version or '0.1'}"):
        old.__setstate__(state)
    assert bits(old) == bits(model)
    assert clone(old).get_params() == model.get_params()


def test_repr_in_html_leads_to_no_other_class(X):
    html = GaussianMixture(3).fit(X)._repr_html_()
    assert "GaussianMixture" in html
    assert "n_components" in html
    assert "sklearn.mixture" not in html


# --- model selection ------------------------------------------------------------------------------


def test_search_over_components_and_structures(X):
    grid = {"n_components": np.arange(1, 5), "covariance_type": NAMES}
    ours, theirs = (
        GridSearchCV(cls(random_state=0, max_iter=500), grid, cv=3).fit(X) for cls in BOTH
    )
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], rtol=1e-6
    )
    assert ours.best_params_ == theirs.best_params_
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(random_state=0))
    search = GridSearchCV(pipeline, {"gaussianmixture__n_components": [1, 3]}, cv=3).fit(X)
    assert search.best_params_ == {"gaussianmixture__n_components": 3}
    scores = cross_val_score(GaussianMixture(3, random_state=0), X, cv=3)
    np.testing.assert_allclose(
        scores, cross_val_score(SklearnMixture(3, random_state=0), X, cv=3), rtol=1e-9
    )


def test_weights_are_routed_through_meta_estimators(X, weight):
    options = {"n_components": 3, "random_state": 0}
    folds = KFold(3)

    with config_context(enable_metadata_routing=True):
        model = GaussianMixture(**options).set_fit_request(sample_weight=True)
        scored = clone(model).set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, model).fit(X, sample_weight=weight)
        labels = make_pipeline(scaler, model).fit_predict(X, sample_weight=weight)
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="sample_weight"):
            cross_validate(model, X, params={"sample_weight": weight}, cv=folds)
        ignoring = clone(model).set_score_request(sample_weight=False)
        params = {"params": {"sample_weight": weight}, "cv": folds}
        unweighted = cross_validate(ignoring, X, **params)["test_score"]
        weighted = cross_validate(scored, X, **params)["test_score"]
        search = GridSearchCV(scored, {"n_components": [1, 3]}, cv=folds)
        search.fit(X, sample_weight=weight)
    Z = StandardScaler().fit_transform(X)
    direct = GaussianMixture(**options).fit(Z, sample_weight=weight)
    assert bits(pipeline[-1]) == bits(direct) != bits(GaussianMixture(**options).fit(Z))
    np.testing.assert_array_equal(labels, direct.predict(Z))
    for scores, score_weight in ((unweighted, None), (weighted, True)):
        expected = [
            GaussianMixture(**options)
            .fit(X[train], sample_weight=weight[train])
            .score(X[test], sample_weight=weight[test] if score_weight else None)
            for train, test in folds.split(X)
        ]
        np.testing.assert_array_equal(scores, expected)
    assert not np.allclose(unweighted, weighted)
    assert search.cv_results_["mean_test_score"][1] == pytest.approx(weighted.mean())
    assert bits(search.best_estimator_) == bits(
        GaussianMixture(**options).fit(X, sample_weight=weight)
    )


# --- scikit-learn's callbacks ---------------------------------------------------------------------


class Recorder:
    """What a callback of scikit-learn's hears."""

    def __init__(self, stop_at=None):
        self.heard, self.stop_at = [], stop_at

    def setup(self, estimator, context):
        self.heard.append("setup")

    def teardown(self, estimator, context):
        self.heard.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, metadata=None):
        self.heard.append(("begin", context.task_name, context.task_id, context.max_subtasks))
        self.rows, self.metadata = X, metadata

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.heard.append(("end", context.task_name, context.task_id, context.max_subtasks))
        self.fitted = fitted_estimator
        return (context.task_name, context.task_id) == ("iteration", self.stop_at)


def test_callbacks_of_scikit_learn_hear_of_every_iteration(X, weight):
    pytest.importorskip("sklearn.callback")
    recorder = Recorder()
    options = {"n_components": 3, "n_init": 5, "random_state": 0, "max_iter": 50}
    model = GaussianMixture(**options).set_callbacks(recorder).fit(X, sample_weight=weight)
    heard = recorder.heard
    assert heard[:3] == ["setup", ("begin", "fit", 0, 5), ("begin", "start", 0, 50)]
    assert heard[-3:] == [("end", "start", 4, 50), ("end", "fit", 0, 5), "teardown"]
    assert heard.count(("end", "iteration", 0, 0)) == 5
    np.testing.assert_array_equal(recorder.metadata["sample_weight"], weight[weight > 0])
    np.testing.assert_array_equal(recorder.rows, X[weight > 0])
    assert bits(recorder.fitted) == bits(model)
    silent = GaussianMixture(**options).fit(X, sample_weight=weight)
    assert model.score(X) == pytest.approx(silent.score(X), rel=1e-9)
    stopped = GaussianMixture(3, random_state=0, tol=0).set_callbacks(Recorder(stop_at=1)).fit(X)
    assert (stopped.n_iter_, stopped.stop_reason_) == (2, "interrupted")
    # a search hands callbacks on, and a failing fit ends them all the same
    searched = Recorder()
    search = GridSearchCV(GaussianMixture(random_state=0), {"n_components": [3]}, cv=2)
    search.set_params(estimator__max_iter=500, estimator__tol=1e-2)
    search.estimator.set_callbacks(searched)
    search.fit(X)
    assert searched.heard.count("teardown") == 3
    failing = Recorder()
    with pytest.raises(ValueError, match="ill-defined"):
        GaussianMixture(1, reg_covar=0).set_callbacks(failing).fit(np.ones((9, 2)))
    assert failing.heard[-1] == "teardown"


def test_the_progress_bar_of_scikit_learn(X, capsys):
    callback = pytest.importorskip("sklearn.callback")
    pytest.importorskip("rich")
    GaussianMixture(3, n_init=2, random_state=0).set_callbacks(callback.ProgressBar()).fit(X)
    assert "GaussianMixture - start #1" in capsys.readouterr().out
