"""What newcomers get wrong, and what they are told: each message has the remedy."""

import numpy as np
import pandas as pd
import pytest

import fastem
from fastem import Mixture, em, mle
from fastem.families import (
    Binomial,
    Categorical,
    Gamma,
    LinearRegression,
    Multinomial,
    Normal,
    Poisson,
    VonMises,
)
from fastem.plot import plot_mixture

RNG = np.random.default_rng(0)
x = RNG.normal(5, 1, 60)
X = x[:, None]
LABELS = np.repeat(["a", "b"], 30)


class Halving:
    """A user's model whose limit is 0."""

    def __init__(self, value):
        self.value = value

    def e_step(self, data):
        return self.value

    def m_step(self, value):
        return Halving(value / 2)


class Hidden:
    """One whose parameter is nowhere to be seen."""

    def __init__(self, value):
        self.value = lambda: value

    def e_step(self, data):
        return data + 1 / self.value()

    def m_step(self, total):
        return Hidden(2 / total)


class Dictionary:
    """One with text among its parameters."""

    def __init__(self, value):
        self.theta = {"rate": value, "name": "a"}

    def e_step(self, data):
        return data + 1 / self.theta["rate"]

    def m_step(self, total):
        return Dictionary(2 / total)


class Private:
    """One whose parameter is private, beside a constant."""

    def __init__(self, rate):
        self._rate, self.n = rate, 2.0

    def e_step(self, data):
        return data + 1 / self._rate

    def m_step(self, total):
        return Private(self.n / total)


def test_private_parameters_tell_of_convergence():
    result = em.run(Private(1.0), 5.0)
    assert result.model._rate == pytest.approx(0.2, rel=1e-6)
    assert result.rate == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: mle.fit("gaussian", x), "did you mean 'Normal'"),
        (lambda: mle.fit("Gama", x), "did you mean 'Gamma'"),
        (lambda: mle.fit(3, x), "3 is not a distribution of fastem.families"),
        (lambda: Mixture("poisson", 2).fit(X), "did you mean 'Poisson'"),
        (lambda: mle.fit(Normal(), 5.0), r"Give an array of shape \(n,\) or \(n, D\)"),
        (lambda: mle.fit(Categorical(), ["red", "green"]), "categories as codes from 0"),
        (lambda: mle.fit(Normal(), [1.0, np.nan]), "NaN, the first in row 1.*censored="),
        (lambda: mle.fit(Gamma(), [1.0, -3.0]), "numbers above 0.*-3 in row 1"),
        (lambda: mle.fit(Poisson(), [1, 2.5]), "integers of at least 0.*2.5 in row 1"),
        (lambda: mle.fit(Binomial(), [1, 2]), r"Binomial\(n_trials=10\)"),
        (lambda: mle.fit(Multinomial(), [1, 2, 3]), "one column.*Binomial"),
        (lambda: mle.fit(Normal(), x, fixed="mean"), "such as {'mean': 1.0}, not 'mean'"),
        (lambda: mle.fit(Normal(), x, fixed={"mu": 1}), "no parameter 'mu': it has mean, sd"),
        (lambda: mle.fit(Normal(), x, x + 1), "LinearRegression"),
        (lambda: mle.fit(Normal(), x, LABELS[:, None]), r"y.ravel\(\)"),
        (lambda: mle.fit(LinearRegression(), X), "give the response as y"),
        (lambda: mle.fit(Normal(), x, censored="right"), "array that says 'left', 'right'"),
        (lambda: mle.fit(Normal(), x, censored=[2] * 60), "'left', 'right' or 'none', or -1"),
        (lambda: Normal("a", 1), "Normal: mean must be finite, but it is 'a'"),
        (lambda: Normal(0), "mean without sd"),
        (lambda: Normal([0, 1], [1, 1]).log_density([1.0, 2, 3]), "must have 2 columns.*(3,)"),
        (lambda: plot_mixture(Mixture("Normal", 2).fit(X), X), "a Mixture cannot be drawn"),
        (lambda: Normal().sample(3), "no parameters yet"),
        (lambda: Mixture("Normal", 2).fit(X, labels=LABELS), "np.unique"),
        (lambda: Mixture("Normal").select(X, n_components=3), r"range\(1, 4\), not 3"),
        (lambda: Mixture(["Normal", "Gamma"]).select(X), "family is a list"),
        (lambda: fastem.mixture(3), "a formula is a string"),
        (lambda: fastem.mixture("0.7*N(7, 1) + 0.4*N(9, 1)"), "sum to 1.1"),
        (lambda: em.run(Halving(1.0), None, callbacks=3), "3 is not a function"),
        (lambda: em.run(Halving, None), "call it, Halving"),
        (lambda: em.run(Hidden(1.0), 5.0), "nothing tells when Hidden has converged"),
        (lambda: em.run(Dictionary(1.0), 5.0), "Give it a log_likelihood; or keep them in fields"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(wrong, told):
    with pytest.raises((TypeError, ValueError), match=f"(?s){told}"):
        wrong()


def test_a_family_is_given_in_three_ways():
    means = {mle.fit(family, x).family.mean for family in (Normal(), Normal, "Normal")}
    assert len(means) == 1
    bounds = {
        Mixture(family, 2, random_state=0).fit(X).lower_bound_
        for family in (Normal(), Normal, "Normal")
    }
    assert len(bounds) == 1


def test_a_mixture_given_by_a_class_is_saved(tmp_path):
    model = Mixture(Normal, 2, random_state=0).fit(X)
    model.save(tmp_path / "model.fastem")
    assert str(fastem.load(tmp_path / "model.fastem")) == str(model)


@pytest.mark.parametrize("values", [list(x), pd.Series(x), pd.Series(x, dtype="Float64"), x])
def test_values_in_any_container(values):
    assert mle.fit(Normal(), values).family.mean == pytest.approx(x.mean(), rel=1e-12)


def test_a_formula_of_different_constants_is_fitted_with_each():
    model = fastem.mixture("0.5*Binomial(0.2, n_trials=4) + 0.5*Binomial(0.5, n_trials=40)")
    drawn, _ = model.set_params(random_state=0).sample(400)
    assert sorted(int(c.n_trials) for c in model.fit(drawn).components_) == [4, 40]


def test_the_only_category_has_no_error():
    result = mle.fit(Categorical(), [0, 0, 0])
    assert result.n_parameters == 0
    assert (result.covariance == 0).all()
    assert "Categorical" in repr(result)


def test_angles_of_other_turns_are_the_same_angles():
    angles = VonMises(3.0, 2.0).sample(300, 0)
    turned = angles + 2 * np.pi * RNG.integers(-3, 4, 300)
    one, other = (mle.fit(VonMises(), a).goodness_of_fit() for a in (angles, turned))
    assert 0 < one.statistic < 0.1
    assert other.statistic == pytest.approx(one.statistic, abs=0.02)


def test_a_result_of_em_reads_in_one_line():
    told = repr(em.run(Halving(1.0), None, max_iter=5))
    assert told.startswith("EMResult(reason='max_iter', n_iter=5, ")
    assert "\n" not in told
    assert len(told) < 300
