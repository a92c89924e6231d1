"""`fit_report_`: what is told of a fit, and that nothing goes wrong in silence."""

import warnings

import numpy as np
import pandas as pd
import pytest
from mixtures import draw, random_mixture
from sklearn.exceptions import ConvergenceWarning

from fastem import FitReport, GaussianMixture, fit_many
from fastem.covariances import COVARIANCES
from fastem.exceptions import DegenerateDataWarning

NAMES = sorted(COVARIANCES)


@pytest.fixture
def rows():
    return draw(300, *random_mixture("full", 3, 2), "full")[0]


def test_a_good_fit_has_nothing_to_complain_of(rows):
    model = GaussianMixture(2, n_init=2, random_state=0).fit(rows)
    report = model.fit_report_
    assert (report.stop_reason, report.n_iter) == (model.stop_reason_, model.n_iter_)
    assert (report.n_starts, report.dropped_starts) == (2, ())
    assert (report.n_components, report.n_features, report.n_effective) == (2, 3, 2)
    assert report.empty_components == report.floored_components == report.constant_columns == ()
    assert report.degeneracies == ()
    assert set(report.seconds) == {"start", "e_step", "m_step", "total"}
    assert 0 < sum(list(report.seconds.values())[:3]) < report.seconds["total"]
    text = str(report)
    assert "the log-likelihood changed by less than the tolerance" in text
    assert "starts: 2, 0 dropped" in text


def test_skipped_work_is_told():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(30 * k, 1, (20_000, 2)) for k in range(10)])
    model = GaussianMixture(10, random_state=0, tol=0.0, max_iter=6)
    with pytest.warns(ConvergenceWarning):
        model.fit(X)
    assert 0.5 < model.fit_report_.skipped < 0.95


@pytest.mark.parametrize("name", NAMES)
def test_constant_columns_are_named(rows, name):
    table = pd.DataFrame(rows, columns=["a", "age", "c"]).assign(age=1e9, same=0.1)
    table.loc[3, "same"] = np.nextafter(0.1, 1)  # rounding is no variance
    message = r"^Columns 'age', 'same' are constant: .* Remove them\.$"
    with pytest.warns(DegenerateDataWarning, match=message):
        model = GaussianMixture(2, covariance_type=name, random_state=0).fit(table)
    assert model.fit_report_.constant_columns == ("age", "same")
    with pytest.warns(DegenerateDataWarning, match=r"^Column 1 is constant.* Remove it\.$"):
        GaussianMixture(2, covariance_type=name, random_state=0).fit(table.to_numpy()[:, :3])


@pytest.mark.parametrize("options", [{}, {"reg_covar": "auto"}, {"prior": "auto"}])
@pytest.mark.parametrize("name", NAMES)
def test_equal_rows_have_one_component(name, options):
    with pytest.warns() as caught:
        model = GaussianMixture(3, covariance_type=name, **options).fit(np.full((40, 2), 7.0))
    told = [str(w.message) for w in caught if w.category is DegenerateDataWarning]
    assert len(told) == 1
    assert "All rows are equal" in told[0]
    assert model.fit_report_.n_effective == 1
    np.testing.assert_array_equal(np.sort(model.weights_), [0, 0, 1])
    np.testing.assert_array_equal(model.predict([[7.0, 7.0], [8.0, 8.0]]), model.weights_.argmax())


@pytest.mark.parametrize("name", ["full", "diag", "spherical"])
def test_a_component_without_points_has_weight_0(rows, name):
    start = {"weights_init": [0.5, 0.4, 0.1], "means_init": [*rows[:2], [1e4] * 3],
             "precisions_init": {"full": [np.eye(3)] * 3, "diag": np.ones((3, 3)),
                                 "spherical": np.ones(3)}[name]}  # fmt: skip
    message = r"Component 2 is left without points .* Decrease n_components to 2\."
    with pytest.warns(DegenerateDataWarning, match=message):
        model = GaussianMixture(3, covariance_type=name, **start).fit(rows)
    assert model.weights_[2] == 0
    assert model.fit_report_.empty_components == (2,)
    assert not model.predict_proba(rows)[:, 2].any()
    labels = model.sample(100)[1]
    assert 2 not in labels
    with warnings.catch_warnings():  # it may be continued, and stays empty
        warnings.simplefilter("ignore", DegenerateDataWarning)
        assert model.set_params(warm_start=True).fit(rows).weights_[2] == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_ridge_that_hides_the_data_is_told(rows, name):
    message = r'Components 0, 1 have a variance that is mostly reg_covar.*reg_covar="auto"'
    for small in (rows * 1e-4, rows * 1e-12):
        with pytest.warns(DegenerateDataWarning, match=message):
            model = GaussianMixture(2, covariance_type=name, random_state=0).fit(small)
        assert model.fit_report_.floored_components == (0, 1)
    # many small variances are not one that is gone
    wide = np.random.default_rng(0).normal(scale=0.03, size=(3000, 300))
    GaussianMixture(1, covariance_type=name).fit(wide)


def test_points_on_a_line_are_told_of_by_their_component(rows):
    line = np.outer(np.linspace(0, 1, 80), [1.0, 2.0, 3.0]) + 40
    labels = np.repeat([0, 1], [300, 80])
    with pytest.warns(DegenerateDataWarning, match="^Component 1 has a variance"):
        model = GaussianMixture(2, init_params=np.eye(2)[labels]).fit(np.vstack([rows, line]))
    assert model.fit_report_.floored_components == (1,)


def test_dropped_starts_are_told(rows):
    calls = []

    def sometimes_bad(X, K, random_state):
        calls.append(1)
        labels = np.arange(len(X)) % K
        if len(calls) == 2:
            labels = np.minimum(np.arange(len(X)), 1)  # one row alone
        return np.eye(K)[labels]

    options = {"n_init": 3, "reg_covar": 0.0, "init_params": sometimes_bad, "tol": 1.0}
    with pytest.warns(ConvergenceWarning, match="1 of 3 starts failed and were dropped"):
        report = GaussianMixture(2, **options).fit(rows).fit_report_
    assert report.n_starts == 3
    assert len(report.dropped_starts) == 1
    assert "component 0" in report.dropped_starts[0]
    assert "dropped start: Fitting the mixture model failed" in str(report)


def test_many_fits_have_a_report_each(rows):
    Xs = [rows, np.full((20, 3), 2.0), pd.DataFrame(rows, columns=list("abc")).assign(b=1.0)]
    with pytest.warns() as caught:
        models = fit_many(Xs, 2, random_state=0)
    told = [str(w.message) for w in caught if w.category is DegenerateDataWarning]
    assert len(told) == 1
    assert told[0].startswith("The data of 2 of 3 fits")
    assert "The first is Xs[1]: All rows are equal" in told[0]
    assert [model.fit_report_.constant_columns for model in models] == [(), (0, 1, 2), ("b",)]
    assert models[0].fit_report_.seconds["total"] > 0


def test_warnings_point_at_the_line_that_called(rows):
    table = rows.copy()
    table[:, 0] = 1.0
    for call in (
        lambda: GaussianMixture(2).fit(table),
        lambda: GaussianMixture(2).fit_predict(table),
        lambda: fit_many([table], 2),
        lambda: GaussianMixture(3).fit(np.full((9, 2), 1.0)),
    ):
        with pytest.warns() as caught:
            call()
        assert {w.filename for w in caught} == {__file__}


def test_a_report_is_plain_values(rows):
    report = GaussianMixture(2).fit(rows).fit_report_
    assert FitReport.from_dict(report.as_dict()) == report
    with pytest.raises(LookupError):
        FitReport.from_dict({**report.as_dict(), "stop_reason": "boredom"})


def test_a_likelihood_that_reg_covar_lowers_is_told_of():
    X = 1e-3 * draw(500, *random_mixture("full", 3, 4, spread=1.0), "full")[0]
    with pytest.warns(
        DegenerateDataWarning, match=r"log-likelihood ended 0\.\d+ below its highest"
    ):
        model = GaussianMixture(4, random_state=0).fit(X)
    trace = model.lower_bounds_
    assert model.fit_report_.fall == pytest.approx(max(trace) - trace[-1], rel=1e-9)
    assert GaussianMixture(4, random_state=0, reg_covar="auto").fit(X).fit_report_.fall == 0
