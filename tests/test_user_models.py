"""`em.run` with models of users: of every kind, with every mistake."""

import copy
import math
import re
import threading
from collections import namedtuple
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pytest

from fastem import em
from fastem.exceptions import LikelihoodError, ModelFileError
from fastem.parameters import Fields, element_names, kept_inside

DAYS = np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1.0])
DEATHS = np.arange(10)
COUNTS = (125, 18, 20, 34)


@dataclass(frozen=True)
class Half:
    """theta <- (theta + limit) / 2, without a log-likelihood."""

    theta: float
    limit: int = 3

    def e_step(self, data):
        return (self.theta + self.limit) / 2

    def m_step(self, middle):
        return replace(self, theta=middle)


class HalfWithLikelihood(Half):
    def log_likelihood(self, data):
        return -((self.theta - self.limit) ** 2)


def test_a_model_without_a_log_likelihood_converges_by_its_parameters():
    heard = []
    result = em.run(Half(1.0), None, callbacks=lambda *what: heard.append(what))
    assert result.converged
    assert result.model.theta == pytest.approx(3, rel=2e-8)
    assert result.log_likelihoods == ()
    assert math.isnan(result.log_likelihood)
    assert result.n_iter == len(heard) == len(result.changes)
    assert result.changes[-1] <= 1e-8 < result.changes[-2]
    assert result.rate == pytest.approx(0.5, abs=1e-6)
    assert math.isnan(heard[3][1])
    assert heard[3] == (4, pytest.approx(math.nan, nan_ok=True), result.changes[3])
    loose = em.run(Half(1.0), None, tol=1e-2)
    assert loose.n_iter < result.n_iter / 2
    # what goes to 0 is measured by what it was
    assert em.run(Half(1.0, 0), None).converged


def test_both_must_come_to_rest():
    # the log-likelihood of a maximum is level long before its parameters are found
    result = em.run(HalfWithLikelihood(1.0), None)
    assert abs(result.model.theta - 3) < 1e-7
    assert result.log_likelihood == pytest.approx(0, abs=1e-14)
    by_likelihood = em.run(HalfWithLikelihood(1.0), None, convergence=em.Convergence(1e-8, 100))
    assert by_likelihood.n_iter < result.n_iter


def test_tolerance_and_iterations_are_keywords():
    assert em.run(Half(1.0), None, max_iter=3).n_iter == 3
    assert em.run(Half(1.0), None, max_iter=3).reason == "max_iter"
    assert em.run(Half(1.0), None, max_iter=0).model.theta == 1.0
    for bad in ({"tol": -1}, {"tol": "small"}, {"max_iter": -1}, {"max_iter": 2.5}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            em.run(Half(1.0), None, **bad)
    with pytest.raises(ValueError, match="not both"):
        em.run(Half(1.0), None, tol=1e-3, convergence=em.Convergence())


# --- kinds of models ----------------------------------------------------------------------------


def linkage_step(theta, counts):
    split = counts[0] * theta / (2 + theta)
    return (split + counts[3]) / (split + sum(counts[1:]))


def linkage_likelihood(theta, counts):
    a, b, c, d = counts
    return a * math.log(2 + theta) + (b + c) * math.log(1 - theta) + d * math.log(theta)


class Plain:
    """A class with an attribute, and settings beside it."""

    def __init__(self, theta, name="linkage", n_cells=4):
        self.theta, self.name, self.n_cells = theta, name, n_cells
        self._private = 0.5

    def e_step(self, counts):
        return linkage_step(self.theta, counts)

    def m_step(self, theta):
        return Plain(theta, self.name, self.n_cells)

    def log_likelihood(self, counts):
        return linkage_likelihood(self.theta, counts)

    def value(self):
        return self.theta


class Mutable(Plain):
    """Changes itself and returns nothing."""

    def m_step(self, theta):
        self.theta = theta


class ReturnsItself(Plain):
    """Changes itself in place and returns itself."""

    def __init__(self, theta):
        super().__init__(np.array([theta]))

    def e_step(self, counts):
        return linkage_step(self.theta[0], counts)

    def m_step(self, theta):
        self.theta[:] = theta
        return self

    def log_likelihood(self, counts):
        return linkage_likelihood(self.theta[0], counts)

    def value(self):
        return self.theta[0]


class KeepsExpectations(Plain):
    """Its E-step returns nothing, but leaves what the M-step needs in the model."""

    def e_step(self, counts):
        self.expected = linkage_step(self.theta, counts)

    def m_step(self, nothing):
        self.theta = self.expected


class Dictionary(Plain):
    """Its parameters are a dict, and its statistics too, with the log-likelihood among them."""

    log_likelihood = None

    def __init__(self, theta):
        self.parameters = {"cells": {"theta": theta}, "others": (0.25, np.array([0.25, 0.25]))}

    def e_step(self, counts):
        theta = self.value()
        return {"theta": linkage_step(theta, counts),
                "log_likelihood": linkage_likelihood(theta, counts)}  # fmt: skip

    def m_step(self, statistics):
        other = copy.copy(self)
        other.parameters = {**self.parameters, "cells": {"theta": statistics["theta"]}}
        return other

    def value(self):
        return self.parameters["cells"]["theta"]


class WithParameters(Plain):
    """Its parameters are a property, and a method makes a model with others."""

    def __init__(self, theta):
        self._theta = theta

    @property
    def parameters(self):
        return self._theta

    def with_parameters(self, parameters):
        return WithParameters(parameters)

    def e_step(self, counts):
        return linkage_step(self._theta, counts)

    def m_step(self, theta):
        return WithParameters(theta)

    def log_likelihood(self, counts):
        return np.array([[linkage_likelihood(self._theta, counts)]])

    def value(self):
        return self._theta


class Settable(Plain):
    """Its parameters are a property that can be set."""

    def __init__(self, theta):
        self._theta = theta

    @property
    def parameters(self):
        return {"theta": self._theta}

    @parameters.setter
    def parameters(self, parameters):
        self._theta = parameters["theta"]

    def e_step(self, counts):
        return linkage_step(self._theta, counts)

    def m_step(self, theta):
        return Settable(theta)

    def log_likelihood(self, counts):
        return linkage_likelihood(self._theta, counts)

    def value(self):
        return self._theta


class Tuple(NamedTuple):
    theta: float
    name: str = "named tuple"

    def e_step(self, counts):
        return linkage_step(self.theta, counts)

    def m_step(self, theta):
        return self._replace(theta=theta)

    def log_likelihood(self, counts):
        return linkage_likelihood(self.theta, counts)

    def value(self):
        return self.theta


@dataclass
class Cached:
    """A dataclass that is not frozen, with what is computed from its parameters kept."""

    theta: float
    table: dict = field(default_factory=dict)
    flag: bool = True

    @cached_property
    def logarithm(self):
        return math.log(self.theta)

    def e_step(self, counts):
        assert self.logarithm == math.log(self.theta)
        return linkage_step(self.theta, counts)

    def m_step(self, theta):
        return replace(self, theta=theta)

    def log_likelihood(self, counts):
        a, b, c, d = counts
        t = self.theta
        return a * math.log(2 + t) + (b + c) * math.log(1 - t) + d * self.logarithm

    def value(self):
        return self.theta


class CachedAttributes(Plain):
    @cached_property
    def logarithm(self):
        return math.log(self.theta)

    def log_likelihood(self, counts):
        assert self.logarithm == math.log(self.theta)
        return super().log_likelihood(counts)

    def m_step(self, theta):
        return CachedAttributes(theta)


class Accumulating:
    """The names of this library's own models."""

    def __init__(self, theta):
        self.theta = theta

    def accumulate(self, counts):
        kind = namedtuple("Statistics", "theta log_likelihood")
        return kind(linkage_step(self.theta, counts), linkage_likelihood(self.theta, counts))

    def maximise(self, statistics):
        return Accumulating(statistics.theta)

    def value(self):
        return self.theta


KINDS = [
    Plain, Mutable, ReturnsItself, KeepsExpectations, Dictionary, WithParameters, Settable, Tuple,
    Cached, CachedAttributes, Accumulating,
]  # fmt: skip
THETA = (15 + math.sqrt(15**2 + 4 * 197 * 68)) / (2 * 197)


@pytest.mark.parametrize("accelerate", [None, "squarem", "anderson"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model(kind, accelerate):
    start = kind(0.5)
    result = em.run(start, COUNTS, accelerate=accelerate, tol=1e-11)
    assert result.converged
    assert type(result.model) is kind
    assert result.model.value() == pytest.approx(THETA, abs=1e-10)
    assert start.value() == 0.5  # the start stays what it was
    assert result.log_likelihood == pytest.approx(linkage_likelihood(THETA, COUNTS), rel=1e-12)
    if accelerate is None:
        assert result.rate == pytest.approx(0.1327787, abs=1e-6)
    else:
        assert result.accepted > 0


@pytest.mark.parametrize("kind", KINDS)
def test_standard_errors_and_checkpoints_of_every_kind(kind, tmp_path):
    path = tmp_path / "run"
    em.run(kind(0.5), COUNTS, max_iter=3, checkpoint=path)
    result = em.run(kind(0.5), COUNTS, checkpoint=path, max_iter=50, tol=1e-11)
    assert result.model.value() == em.run(kind(0.5), COUNTS, tol=1e-11).model.value()
    errors = result.standard_errors(COUNTS)
    assert list(errors.values()) == pytest.approx([0.0514673], abs=5e-8)


def test_a_start_of_integers():
    from_integer, from_float = (em.run(Half(start), None) for start in (1, 1.0))
    assert from_integer.model == from_float.model
    assert from_integer.changes == from_float.changes
    assert from_integer.model.limit == 3  # an integer that stays one is a setting


def test_the_better_parameters_are_kept_of_a_model_that_changes_itself():
    class Worse(Mutable):
        def log_likelihood(self, counts):
            return -abs(self.theta - 0.6243211)

    result = em.run(Worse(0.5), COUNTS)
    assert result.reason == "likelihood_decreased"
    assert result.model.theta == pytest.approx(0.6243211, abs=1e-6)


def test_parameters_of_another_shape_start_the_comparison_anew():
    @dataclass(frozen=True)
    class Shrinking:
        weights: np.ndarray

        def e_step(self, data):
            return np.where(self.weights > 0.05, self.weights**1.2, 0)

        def m_step(self, counts):
            counts = counts[counts > 0]
            return Shrinking(counts / counts.sum())

        def log_likelihood(self, data):
            return float(np.square(self.weights).sum())

    for accelerate in (None, "squarem", "anderson"):
        result = em.run(Shrinking(np.array([0.5, 0.3, 0.2])), None, accelerate=accelerate)
        assert result.model.weights == pytest.approx([1.0])
        assert result.converged


def test_a_penalty_and_a_prior_of_a_users_model():
    class Falling(HalfWithLikelihood):
        def log_likelihood(self, data):
            return -self.theta

    assert em.run(Falling(1.0), None).reason == "likelihood_decreased"

    class Penalised(Falling):
        def penalty(self, statistics):
            return 2 * self.theta

    class Believed(Falling):
        @property
        def log_prior(self):
            return 2 * self.theta

    assert em.run(Penalised(1.0), None).converged
    assert em.run(Believed(1.0), None).log_likelihood == pytest.approx(3)


# --- mistakes -----------------------------------------------------------------------------------


class OnlyE:
    def e_step(self, data):
        return 0


class Returns(Half):
    def __init__(self, made):
        object.__setattr__(self, "made", made)
        object.__setattr__(self, "theta", 1.0)
        object.__setattr__(self, "limit", 3)

    def m_step(self, statistics):
        return self.made


class Locked(Mutable):
    """Cannot be copied, and changes itself."""

    def __init__(self, theta):
        super().__init__(theta)
        self.lock = threading.Lock()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (3.0, "a float has no e_step and no m_step.*def e_step.*def m_step"),
        (OnlyE(), "an OnlyE has no m_step"),
        (Half, "not the class Half: call it"),
        (Returns(0.5), "m_step returned a float, which is not a model.*dataclasses.replace"),
        (Returns(Half), "m_step returned .* which is not a model"),
        (Locked(0.5), "m_step of Locked returned None, and the model cannot be copied"),
    ],
)
def test_a_model_that_is_none(model, message):
    with pytest.raises(TypeError, match=re.compile(message, re.DOTALL)):
        em.run(model, COUNTS)


def with_likelihood(value):
    class Valued(Half):
        def log_likelihood(self, data):
            return value

    return Valued(1.0)


def test_log_likelihoods_that_are_none():
    for value in (np.zeros(3), "high", 1j):
        with pytest.raises(TypeError, match="must be one number, the sum over the data"):
            em.run(with_likelihood(value), None)
    with pytest.raises(TypeError, match="log_likelihood returned None"):
        em.run(with_likelihood(None), None)
    with pytest.raises(LikelihoodError, match="became NaN"):
        em.run(with_likelihood(math.nan), None)
    with pytest.raises(LikelihoodError, match="became infinite"):
        em.run(with_likelihood(math.inf), None)


def test_a_parameter_that_is_not_finite():
    @dataclass(frozen=True)
    class Dividing:
        shares: np.ndarray
        bound: float = math.inf  # a constant that is infinite by intent

        def e_step(self, data):
            return np.maximum(self.shares - 0.3, 0)

        def m_step(self, counts):
            with np.errstate(all="ignore"):
                return replace(self, shares=counts / counts.sum())

    with pytest.raises(ValueError, match=r"m_step made the parameter shares nan.*count"):
        em.run(Dividing(np.array([0.2, 0.2])), None)
    assert em.run(Dividing(np.array([0.7, 0.2])), None).converged


def test_callbacks_that_cannot_be_called():
    with pytest.raises(TypeError, match="'loud' is not a function"):
        em.run(Half(1.0), None, callbacks=["loud"])

    def report(iteration):
        raise AssertionError

    with pytest.raises(TypeError, match=r"'report' cannot be called as callback\(iteration"):
        em.run(Half(1.0), None, callbacks=[report])
    assert em.run(Half(1.0), None, callbacks=lambda i, *_: i == 2).reason == "interrupted"


def test_what_needs_more_than_the_model_has():
    class Opaque:
        """Where its parameters are, nobody can tell."""

        def __init__(self, theta):
            self.theta = lambda: theta

        def m_step(self, theta):
            return Opaque(theta)

        def e_step(self, data):
            return self.theta() / 2

        def log_likelihood(self, data):
            return -abs(self.theta())

    assert em.run(Opaque(1.0), None, tol=1e-9).converged  # by the log-likelihood alone
    with pytest.raises(TypeError, match=r"no parameters are found in Opaque: .*with_parameters"):
        em.run(Opaque(1.0), None, accelerate="squarem")
    with pytest.raises(TypeError, match="accelerate needs a log-likelihood"):
        em.run(Half(1.0), None, accelerate="squarem")
    with pytest.raises(ValueError, match="accelerate='fast' is not known: use 'squarem' or 'an"):
        em.run(HalfWithLikelihood(1.0), None, accelerate="fast")

    class ReadOnly(WithParameters):
        with_parameters = property()

        def m_step(self, theta):
            return ReadOnly(theta)

    with pytest.raises(TypeError, match="cannot be replaced"):
        em.run(ReadOnly(0.5), COUNTS, accelerate="anderson")


# --- checkpoints --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Poissons:
    share: float
    means: np.ndarray

    def e_step(self, days):
        joint = np.array([[self.share], [1 - self.share]]) * np.exp(
            -self.means[:, None] + DEATHS * np.log(self.means)[:, None]
        )
        return days * joint / joint.sum(axis=0), float(days @ np.log(joint.sum(axis=0)))

    def m_step(self, statistics):
        each, _ = statistics
        totals = each.sum(axis=1)
        return Poissons(totals[0] / totals.sum(), each @ DEATHS / totals)

    def log_likelihood(self, days):
        return self.e_step(days)[1]


START = Poissons(0.3, np.array([1.0, 2.5]))


def assert_same_bits(left, right):
    assert left.model.share == right.model.share
    assert left.model.means.tobytes() == right.model.means.tobytes()
    assert left.reason == right.reason


@pytest.mark.parametrize("seconds", [0.0, 1.0, 1e9])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(seconds, tmp_path):
    path = tmp_path / "run.checkpoint"
    whole = em.run(START, DAYS, tol=1e-6)
    kept = em.Checkpoint(path, seconds=seconds)

    def power_cut(iteration, *_):
        if iteration == 200:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        em.run(START, DAYS, tol=1e-6, checkpoint=kept, callbacks=power_cut)
    heard = []
    rest = em.run(
        START, DAYS, tol=1e-6, checkpoint=kept, callbacks=lambda i, *_: heard.append(i) and None
    )
    assert_same_bits(rest, whole)
    assert heard[0] == 201
    assert heard[-1] == whole.n_iter
    assert rest.log_likelihoods == whole.log_likelihoods[200:]
    assert rest.n_iter == whole.n_iter - 200
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.checkpoint"]
    # a run that has converged takes a step to see that it has
    again = em.run(START, DAYS, tol=1e-6, checkpoint=path)
    assert (again.n_iter, again.reason) == (1, "tolerance")


def test_max_iter_counts_the_iterations_before(tmp_path):
    path = tmp_path / "run"
    for part in (10, 20, 30):
        result = em.run(START, DAYS, max_iter=part, checkpoint=path)
        assert result.n_iter == 10
    assert_same_bits(result, em.run(START, DAYS, max_iter=30))
    assert em.run(START, DAYS, max_iter=30, checkpoint=path).n_iter == 0


def test_a_model_without_a_log_likelihood_is_continued_too(tmp_path):
    path = tmp_path / "run"
    whole = em.run(Half(1000.0), None)
    em.run(Half(1000.0), None, max_iter=20, checkpoint=path)
    rest = em.run(Half(1000.0), None, checkpoint=path)
    assert rest.model == whole.model
    assert rest.n_iter == whole.n_iter - 20


@pytest.mark.parametrize("accelerate", ["squarem", "anderson"])
def test_an_accelerated_run_goes_on_to_the_same_limit(accelerate, tmp_path):
    path = tmp_path / "run"
    em.run(START, DAYS, accelerate=accelerate, max_iter=10, checkpoint=path)
    result = em.run(START, DAYS, accelerate=accelerate, tol=1e-11, checkpoint=path)
    assert result.log_likelihood == pytest.approx(
        em.run(START, DAYS, accelerate=accelerate, tol=1e-11).log_likelihood, abs=1e-9
    )


def test_a_model_with_unconstrained_parameters_only_has_checkpoints(tmp_path):
    class Logarithm(Plain):
        def __init__(self, theta):
            self._theta = theta

        def e_step(self, counts):
            return linkage_step(self._theta, counts)

        def m_step(self, theta):
            return Logarithm(theta)

        def log_likelihood(self, counts):
            return linkage_likelihood(self._theta, counts)

        def unconstrained(self):
            return np.array([math.log(self._theta / (1 - self._theta))])

        def from_unconstrained(self, vector):
            return Logarithm(1 / (1 + math.exp(-vector[0])))

    path = tmp_path / "run"
    em.run(Logarithm(0.5), COUNTS, max_iter=2, checkpoint=path)
    result = em.run(Logarithm(0.5), COUNTS, checkpoint=path, tol=1e-12)
    assert result.model._theta == pytest.approx(THETA, abs=1e-7)
    found = result.information(COUNTS)
    assert found.names == ("unconstrained[0]",)
    # d theta / d logit = theta (1 - theta)
    assert found.standard_errors[0] == pytest.approx(0.0514673 / (THETA * (1 - THETA)), rel=1e-6)


def test_files_that_are_no_checkpoint_of_this_model(tmp_path):
    path = tmp_path / "run"
    em.run(START, DAYS, max_iter=2, checkpoint=path)
    with pytest.raises(ModelFileError, match=r"does not fit this Plain \(it is of a Poissons"):
        em.run(Plain(0.5), COUNTS, checkpoint=path)
    wider = replace(START, means=np.ones(3))
    with pytest.raises(ModelFileError, match="does not fit this Poissons"):
        em.run(wider, DAYS, checkpoint=path)
    whole = path.read_bytes()
    for content in (b"", b"text", whole[:-4], whole[:40]):
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match="damaged, or not a checkpoint"):
            em.run(START, DAYS, checkpoint=path)
        assert path.read_bytes() == content
    with pytest.raises(OSError, match="create it first"):
        em.run(START, DAYS, checkpoint=tmp_path / "nowhere" / "run")


# --- parameters as a vector ---------------------------------------------------------------------


class Pair(NamedTuple):
    left: float
    right: np.ndarray


class Holder:
    def __init__(self, parameters):
        self.parameters = parameters


@pytest.mark.parametrize(
    ("tree", "names"),
    [
        (2.5, ("parameter",)),
        (np.float32(2.5), ("parameter",)),
        (np.array([[1.0, 2.0], [3.0, 4.0]]),
         ("parameter[0, 0]", "parameter[0, 1]", "parameter[1, 0]", "parameter[1, 1]")),
        ((1.0, [2.0, np.array([3.0])]), ("[0]", "[1][0]", "[1][1][0]")),
        ({"a": 1.0, "b": {"c": (2.0,)}}, ("a", "b.c[0]")),
        (Pair(1.0, np.array([2, 3])), ("left", "right[0]", "right[1]")),
    ],
)  # fmt: skip
def test_parameters_and_back(tree, names):
    model = Holder(tree)
    found = Fields.of(model, model)
    assert element_names(found.leaves(model)) == names
    vector = found.vector(model)
    other = found.replaced(model, vector + 1)
    assert found.vector(other) == pytest.approx(vector + 1)
    assert found.vector(model) == pytest.approx(vector)
    assert type(other.parameters) in (type(tree), float)
    assert copy.copy(other) is not model


def test_a_parameter_that_is_no_number_is_named():
    model = Holder({"rate": 1.0, "kind": "fast"})
    with pytest.raises(TypeError, match="the parameter kind is of the type str"):
        Fields.of(model, model).leaves(model)


def test_proposals_keep_signs_and_probabilities():
    inside = np.array([0.5, 2.0, -1.0, 0.0, 0.9])
    fine = inside + np.array([0.3, -1.0, 0.5, 5.0, 0.05])
    assert kept_inside(fine, inside) is fine
    for i, far in ((0, 1.5), (0, -0.1), (1, -3.0), (2, 1.0), (4, 1.0)):
        proposal = fine.copy()
        proposal[i] = far
        kept = kept_inside(proposal, inside)
        assert (np.sign(kept)[[0, 1, 2, 4]] == np.sign(inside)[[0, 1, 2, 4]]).all()
        assert ((kept > 0) & (kept < 1))[[0, 4]].all()
        # on the way there
        way = (kept - inside)[fine != inside] / (proposal - inside)[fine != inside]
        assert way == pytest.approx(way[0])
        assert 0 < way[0] < 1
    assert np.isnan(kept_inside(np.full(5, np.nan), inside)).all()


# --- numbers of other kinds, and a log-likelihood that is a property ----------------------------


class Labelled:
    """An array with something more, as a column of a table is."""

    def __init__(self, values, label="rates"):
        self.values, self.label = np.asarray(values, dtype=np.float64), label

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)

    def __setitem__(self, index, values):
        self.values[index] = values


@pytest.mark.parametrize(
    ("number", "value"),
    [(lambda t: Fraction(t).limit_denominator(10**12), float), (lambda t: Labelled([t]),
     lambda theta: float(theta.values[0]))],
)  # fmt: skip
def test_numbers_of_other_kinds(number, value, tmp_path):
    class Other(Plain):
        def e_step(self, counts):
            return linkage_step(value(self.theta), counts)

        def m_step(self, theta):
            return Other(number(theta))

        def log_likelihood(self, counts):
            return linkage_likelihood(value(self.theta), counts)

    em.run(Other(number(0.5)), COUNTS, max_iter=2, checkpoint=tmp_path / "run")
    fit = em.run(Other(number(0.5)), COUNTS, checkpoint=tmp_path / "run", accelerate="squarem")
    assert value(fit.model.theta) == pytest.approx(THETA, abs=1e-8)
    assert fit.changes
    errors = fit.standard_errors(COUNTS)
    assert list(errors.values()) == pytest.approx([0.0514673], abs=5e-7)


def test_a_log_likelihood_that_is_a_property():
    class Property(Plain):
        @property
        def log_likelihood(self):
            return linkage_likelihood(self.theta, COUNTS)

        def m_step(self, theta):
            return Property(theta)

    fit = em.run(Property(0.5), COUNTS, tol=1e-11)
    assert fit.log_likelihood == pytest.approx(linkage_likelihood(THETA, COUNTS), rel=1e-12)
    assert fit.standard_errors(COUNTS) == {"theta": pytest.approx(0.0514673, abs=5e-8)}

    class Text(Property):
        log_likelihood = property(lambda self: "high")

    with pytest.raises(TypeError, match="the property log_likelihood must be one number"):
        em.run(Text(0.5), COUNTS)
