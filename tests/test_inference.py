"""Standard errors of any model: numerical and by supplemented EM, against closed forms."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.special import xlogy
from scipy.stats import norm
from test_textbook import example
from test_user_models import COUNTS, DAYS, DEATHS, START, Half, Plain, Poissons

from fastem import em
from fastem.inference import hessian, jacobian


@dataclass(frozen=True)
class CompletePoissons(Poissons):
    """With the expected log-likelihood of the complete data."""

    def m_step(self, statistics):
        plain = super().m_step(statistics)
        return CompletePoissons(plain.share, plain.means)

    def complete_log_likelihood(self, statistics):
        each, _ = statistics
        shares = each.sum(axis=1)
        of_shares = xlogy(shares, [self.share, 1 - self.share]).sum()
        return of_shares + (each @ DEATHS) @ np.log(self.means) - shares @ self.means


class InformedPoissons(CompletePoissons):
    """With the information of the complete data in closed form."""

    complete_log_likelihood = None

    def m_step(self, statistics):
        plain = super().m_step(statistics)
        return InformedPoissons(plain.share, plain.means)

    def complete_information(self, statistics):
        each, _ = statistics
        first, second = each.sum(axis=1)
        of_share = first / self.share**2 + second / (1 - self.share) ** 2
        return np.diag([of_share, *(each @ DEATHS / self.means**2)])


def louis_information(model, days):
    """Observed information of a Poisson mixture, by Louis's formula (1982), JRSS B 44, 226-233.

    Complete information less the variance of the complete score, given each observation.
    """
    shares = np.array([model.share, 1 - model.share])
    joint = shares[:, None] * np.exp(-model.means[:, None]) * model.means[:, None] ** DEATHS
    r = joint / joint.sum(axis=0)
    scores = np.zeros((2, 3, len(DEATHS)))  # of an observation that is known to be of each
    scores[0, 0], scores[1, 0] = 1 / model.share, -1 / (1 - model.share)
    scores[0, 1] = DEATHS / model.means[0] - 1
    scores[1, 2] = DEATHS / model.means[1] - 1
    mean = np.einsum("ky,kpy->py", r, scores)
    second = np.einsum("ky,kpy,kqy->pqy", r, scores, scores)
    of_share = r[0] / model.share**2 + r[1] / (1 - model.share) ** 2
    complete = np.stack([of_share, *(r * DEATHS / model.means[:, None] ** 2)])
    information = np.diag(complete @ days)
    return information - (second - mean[:, None] * mean[None]) @ days


def test_numerical_and_supplemented_and_louis():
    fit = em.run(CompletePoissons(0.3, START.means), DAYS, tol=1e-13, max_iter=100_000)
    expected = louis_information(fit.model, DAYS)
    numerical = fit.information(DAYS)
    supplemented = fit.information(DAYS, method="sem")
    informed = em.run(InformedPoissons(fit.model.share, fit.model.means), DAYS, max_iter=1)
    by_information = informed.information(DAYS, method="sem")
    assert numerical.names == supplemented.names == ("share", "means[0]", "means[1]")
    for found in (numerical, supplemented, by_information):
        np.testing.assert_allclose(found.matrix, expected, rtol=1e-5, atol=1e-5 * expected.max())
        np.testing.assert_allclose(
            found.standard_errors, np.sqrt(np.diag(np.linalg.inv(expected))), rtol=2e-4
        )
        np.testing.assert_allclose(found.covariance @ found.matrix, np.eye(3), atol=1e-6)
    assert supplemented.rates[0] == pytest.approx(fit.rate, abs=1e-4)
    assert supplemented.asymmetry < 1e-5
    assert numerical.asymmetry == 0


def test_without_a_log_likelihood():
    class Silent(example("genetic_linkage")["Linkage"]):
        log_likelihood = None

        def m_step(self, cells):
            return Silent(super().m_step(cells).theta)

    fit = em.run(Silent(0.5), COUNTS)
    assert fit.log_likelihoods == ()
    assert fit.standard_errors(COUNTS) == {"theta": pytest.approx(0.0514673, abs=5e-8)}
    with pytest.raises(TypeError, match="no log-likelihood to differentiate"):
        fit.information(COUNTS, method="numerical")


def test_what_supplemented_em_needs():
    fit = em.run(Plain(0.5), COUNTS)
    with pytest.raises(TypeError, match="give Plain a method complete_log_likelihood"):
        fit.information(COUNTS, method="sem")
    with pytest.raises(ValueError, match="method='exact' is not known"):
        fit.information(COUNTS, method="exact")

    class WrongShape(Plain):
        def complete_information(self, statistics):
            return np.eye(2)

    with pytest.raises(ValueError, match=r"of shape \(1, 1\), but it is \(2, 2\)"):
        em.run(WrongShape(0.5), COUNTS, max_iter=0).information(COUNTS, method="sem")


@dataclass(frozen=True)
class Normal:
    """Complete data: the M-step is the whole of it."""

    mean: float
    variance: float
    count: int = 0
    shift: float = 10.0  # a constant that is no integer

    def e_step(self, x):
        x = x - self.shift
        return len(x), x.sum(), x @ x

    def m_step(self, statistics):
        n, first, second = statistics
        mean = first / n
        return replace(self, mean=mean, variance=second / n - mean**2)

    def log_likelihood(self, x):
        return norm.logpdf(x - self.shift, self.mean, math.sqrt(self.variance)).sum()


def test_complete_data_and_constants():
    x = 1e3 * np.random.default_rng(0).normal(size=200)
    fit = em.run(Normal(0.0, 1.0), x)
    assert fit.n_iter <= 3
    assert math.isnan(fit.rate) or fit.rate < 1e-6
    errors = fit.standard_errors(x)
    assert list(errors) == ["mean", "variance"]
    variance = x.var()
    assert errors["mean"] == pytest.approx(math.sqrt(variance / 200), rel=1e-7)
    assert errors["variance"] == pytest.approx(variance * math.sqrt(2 / 200), rel=1e-7)
    shown = str(fit.information(x))
    assert "std. error" in shown
    assert "variance" in shown


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_any_units(scale):
    x = scale * (3 + np.random.default_rng(0).normal(size=50))
    start = Normal(scale, scale**2, shift=0.0)
    errors = em.run(start, x).standard_errors(x)
    assert errors["mean"] == pytest.approx(x.std() / math.sqrt(50), rel=1e-6)


@dataclass(frozen=True)
class Frequencies:
    """All three frequencies of the peppered moths' alleles."""

    of: np.ndarray

    def e_step(self, moths):
        c, i, t = self.of
        black = moths.carbonaria / (c * c + 2 * c * i + 2 * c * t)
        mottled = moths.insularia / (i * i + 2 * i * t)
        of_c = black * (2 * c * c + 2 * c * i + 2 * c * t)
        of_i = black * 2 * c * i + mottled * (2 * i * i + 2 * i * t)
        return np.array([of_c, of_i, 2 * sum(moths) - of_c - of_i])

    def m_step(self, counts):
        return type(self)(counts / counts.sum())

    def log_likelihood(self, moths):
        c, i, t = self.of
        shares = [c * c + 2 * c * (i + t), i * i + 2 * i * t, t * t]
        return float(np.log(shares) @ np.array(moths))

    def complete_log_likelihood(self, counts):
        return float(counts @ np.log(self.of))


class Softmax(Frequencies):
    def unconstrained(self):
        return np.log(self.of)  # one number too many: only differences matter

    def from_unconstrained(self, vector):
        return Softmax(np.exp(vector) / np.exp(vector).sum())


@pytest.mark.parametrize("method", ["numerical", "sem"])
@pytest.mark.parametrize("kind", [Frequencies, Softmax])
def test_probabilities(kind, method):
    names = example("peppered_moths")
    moths = names["MOTHS"]
    found = em.run(kind(np.full(3, 1 / 3)), moths).information(moths, method=method)
    expected = em.run(names["Alleles"](1 / 3, 1 / 3), moths).information(moths)
    assert found.names == ("of[0]", "of[1]", "of[2]")
    assert found.standard_errors[:2] == pytest.approx(expected.standard_errors, rel=1e-5)
    # what is left of 1 has the variance of a sum
    assert found.standard_errors[2] == pytest.approx(math.sqrt(expected.covariance.sum()), rel=1e-5)
    np.testing.assert_allclose(found.covariance.sum(axis=0), 0, atol=1e-10)


def test_parameters_that_are_bound_in_another_way():
    names = example("peppered_moths")
    moths = names["MOTHS"]

    @dataclass(frozen=True)
    class Three:
        """They sum to 3."""

        c: float
        i: float
        t: float

        def e_step(self, moths):
            return Frequencies(np.array([self.c, self.i, self.t]) / 3).e_step(moths)

        def m_step(self, counts):
            return Three(*(3 * counts / counts.sum()).tolist())

        def log_likelihood(self, moths):
            return Frequencies(np.array([self.c, self.i, self.t]) / 3).log_likelihood(moths)

    fit = em.run(Three(0.9, 0.9, 1.2), moths)
    with pytest.raises(ValueError, match=r"rises with [cit]\. .*bound to each other"):
        fit.information(moths)


def test_a_fit_that_has_not_converged():
    fit = em.run(START, DAYS, max_iter=3)
    with pytest.raises(ValueError, match=r"rises with (share|means).*fit with a smaller tol"):
        fit.information(DAYS)


def test_a_parameter_that_the_data_do_not_determine():
    @dataclass(frozen=True)
    class Loose(Normal):
        other: float = 1.0

        def m_step(self, statistics):
            return replace(super().m_step(statistics), other=0.5 * self.other)

    x = np.random.default_rng(0).normal(size=50)
    with pytest.raises(ValueError, match=r"does not fall on both sides of other"):
        em.run(Loose(0.0, 1.0), x).information(x)


def test_nothing_is_estimated():
    class Idle(Half):
        def m_step(self, statistics):
            return self

        def log_likelihood(self, data):
            return 0.0

    with pytest.raises(TypeError, match="changes none of the parameters"):
        em.run(Idle(1.0), None).information(None)


def test_derivatives_of_known_functions():
    matrix = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, -0.5], [0.0, -0.5, 1.0]])
    at = np.array([0.3, -0.2, 1e-4])
    found = hessian(
        lambda x: -0.5 * (x - at) @ matrix @ (x - at) - np.sum((x - at) ** 4) + 5.0, at, "abc"
    )
    np.testing.assert_allclose(found, -matrix, atol=1e-8)
    found = jacobian(lambda x: np.array([x[0] ** 5, x @ at]), at, np.full(3, 0.1))
    np.testing.assert_allclose(found, [[5 * 0.3**4, 0, 0], at], atol=1e-9)


class KeepsSplit(Plain):
    """Its E-step leaves in the model what it found."""

    def e_step(self, counts):
        self.split = counts[0] * self.theta / (2 + self.theta)
        self.each = np.array([self.split, 0.5])
        return super().e_step(counts)

    def m_step(self, theta):
        return KeepsSplit(theta)


class KeepsSplitInItself(KeepsSplit):
    def m_step(self, theta):
        self.theta = theta


class DeclaresSplit(KeepsSplitInItself):
    def __init__(self, theta):
        super().__init__(theta)
        self.split = self.each = None


@pytest.mark.parametrize("kind", [KeepsSplit, KeepsSplitInItself, DeclaresSplit])
def test_what_an_e_step_leaves_in_the_model_is_no_parameter(kind):
    fit = em.run(kind(0.5), COUNTS, tol=1e-11)
    for _ in range(2):  # the first leaves something in the model too
        assert fit.standard_errors(COUNTS) == {"theta": pytest.approx(0.0514673, abs=5e-8)}


class Counting(Plain):
    """It counts its M-steps."""

    def __init__(self, theta, n_steps=0):
        super().__init__(theta)
        self.n_steps = n_steps

    def m_step(self, theta):
        return Counting(theta, self.n_steps + 1)


class Remembering(Plain):
    """It keeps the parameters and the numbers of all iterations."""

    def __init__(self, theta, history=(), numbers=()):
        super().__init__(theta)
        self.history, self.numbers = list(history), np.array(numbers)

    def m_step(self, theta):
        numbers = [*self.numbers, float(len(self.numbers))]
        return Remembering(theta, [*self.history, self.theta], numbers)


class RemembersInItself(Remembering):
    def m_step(self, theta):
        self.history.append(self.theta)
        self.theta = theta
        return self


@pytest.mark.parametrize("accelerate", [None, "squarem", "anderson"])
@pytest.mark.parametrize("kind", [Counting, Remembering, RemembersInItself])
def test_counters_and_histories_are_no_parameters(kind, accelerate, tmp_path):
    plain = em.run(Plain(0.5), COUNTS, tol=1e-11, accelerate=accelerate)
    fit = em.run(kind(0.5), COUNTS, tol=1e-11, accelerate=accelerate)
    assert fit.converged
    assert (fit.n_iter, fit.accepted) == (plain.n_iter, plain.accepted)
    assert fit.changes == plain.changes
    assert fit.standard_errors(COUNTS) == {"theta": pytest.approx(0.0514673, abs=5e-8)}


def test_a_counter_goes_on_from_a_checkpoint(tmp_path):
    em.run(Counting(0.5), COUNTS, max_iter=3, checkpoint=tmp_path / "run")
    fit = em.run(Counting(0.5), COUNTS, tol=1e-11, checkpoint=tmp_path / "run")
    whole = em.run(Counting(0.5), COUNTS, tol=1e-11)
    assert (fit.model.theta, fit.model.n_steps) == (whole.model.theta, whole.n_iter)


class Base:
    __slots__ = ("theta",)


class Slotted(Base):
    __slots__ = ("__weakref__", "name")

    def __init__(self, theta):
        self.theta, self.name = theta, "slots"

    def e_step(self, counts):
        return Plain(self.theta).e_step(counts)

    def m_step(self, theta):
        return Slotted(theta)

    def log_likelihood(self, counts):
        return Plain(self.theta).log_likelihood(counts)


@pytest.mark.parametrize("accelerate", [None, "squarem", "anderson"])
def test_slots_are_fields(accelerate, tmp_path):
    plain = em.run(Plain(0.5), COUNTS, tol=1e-11, accelerate=accelerate)
    em.run(Slotted(0.5), COUNTS, max_iter=2, checkpoint=tmp_path / "run")
    rest = em.run(Slotted(0.5), COUNTS, tol=1e-11, checkpoint=tmp_path / "run")
    fit = em.run(Slotted(0.5), COUNTS, tol=1e-11, accelerate=accelerate)
    assert fit.changes == plain.changes
    assert rest.model.theta == pytest.approx(fit.model.theta, abs=1e-10)
    assert fit.standard_errors(COUNTS) == {"theta": pytest.approx(0.0514673, abs=5e-8)}


# of the blood groups A, B, AB and 0, which hide the genes a, b and 0
BLOOD = np.array([186.0, 38.0, 13.0, 284.0])


@dataclass(frozen=True)
class BloodScalars:
    p: float
    q: float
    r: float

    def genes(self):
        return self.p, self.q, self.r

    def made(self, genes):
        return BloodScalars(*genes)

    def e_step(self, groups):
        p, q, r = self.genes()
        a, b, ab, o = groups
        aa, bb = a * p / (p + 2 * r), b * q / (q + 2 * r)
        return np.array([a + aa + ab, b + bb + ab, 2 * o + a - aa + b - bb])

    def m_step(self, genes):
        return self.made((genes / genes.sum()).tolist())

    def log_likelihood(self, groups):
        p, q, r = self.genes()
        cells = np.array([p * p + 2 * p * r, q * q + 2 * q * r, 2 * p * q, r * r])
        return float(groups @ np.log(cells))


@dataclass(frozen=True)
class BloodSequence(BloodScalars):
    p: tuple | list | np.ndarray
    q: str = ""
    r: None = None

    def genes(self):
        return self.p

    def made(self, genes):
        return BloodSequence(type(self.p)(genes) if type(self.p) is not np.ndarray
                             else np.array(genes))  # fmt: skip


@pytest.mark.parametrize(
    "start",
    [BloodScalars(0.3, 0.2, 0.5), BloodSequence((0.3, 0.2, 0.5)), BloodSequence([0.3, 0.2, 0.5])],
)
def test_probabilities_apart_are_bound_as_in_an_array(start):
    array = em.run(BloodSequence(np.array([0.3, 0.2, 0.5])), BLOOD, tol=1e-12)
    expected = array.standard_errors(BLOOD)
    found = em.run(start, BLOOD, tol=1e-12).standard_errors(BLOOD)
    assert list(found.values()) == pytest.approx(list(expected.values()), rel=1e-6)
    assert len(found) == 3
