"""The loop itself, on models that are nothing like a Gaussian mixture."""

import itertools
import math
from dataclasses import FrozenInstanceError, dataclass, replace

import numpy as np
import pytest

from fastem import em
from fastem.exceptions import IllDefinedCovarianceError, LikelihoodError


@dataclass(frozen=True)
class Totals:
    total: float
    log_likelihood: float


@dataclass(frozen=True)
class HalfSeenExponential:
    """Exponential times, one seen and one missing (Givens, Hoeting 2013, section 4.2)."""

    rate: float

    def accumulate(self, seen):
        # E[y2] = 1 / rate
        return Totals(seen + 1 / self.rate, math.log(self.rate) - self.rate * seen)

    def maximise(self, statistics):
        return replace(self, rate=2 / statistics.total)


@dataclass(frozen=True)
class Linkage:
    """Genetic linkage of 197 animals in four cells (Dempster, Laird, Rubin 1977)."""

    theta: float

    def accumulate(self, counts):
        a, b, c, d = counts
        t = self.theta
        hidden = a * (t / 4) / (1 / 2 + t / 4)
        value = a * math.log(1 / 2 + t / 4) + (b + c) * math.log((1 - t) / 4)
        return Totals(hidden, value + d * math.log(t / 4))

    def maximise(self, statistics):
        _, b, c, d = 125, 18, 20, 34
        return Linkage((statistics.total + d) / (statistics.total + b + c + d))


TIGHT = em.Convergence(tol=1e-13, max_iter=1000)


def test_exponential_with_a_missing_time():
    seen = 5.0
    rates = [1.0]
    for _ in range(4):
        step = em.run(HalfSeenExponential(rates[-1]), seen, convergence=em.Convergence(0, 1))
        rates.append(step.model.rate)
    # theta <- 2 theta / (5 theta + 1)
    for before, after in itertools.pairwise(rates):
        assert after == pytest.approx(2 * before / (5 * before + 1), rel=1e-14)
    result = em.run(HalfSeenExponential(1.0), seen, convergence=TIGHT)
    assert result.converged
    assert result.model.rate == pytest.approx(0.2, abs=1e-6)


def test_genetic_linkage():
    counts = (125, 18, 20, 34)
    thetas = []
    model = Linkage(0.5)
    for _ in range(4):
        model = em.run(model, counts, convergence=em.Convergence(0, 1)).model
        thetas.append(model.theta)
    assert thetas == pytest.approx([0.6082474, 0.6243211, 0.6264889, 0.6267773], abs=5e-8)
    result = em.run(Linkage(0.5), counts, convergence=TIGHT)
    assert result.model.theta == pytest.approx(0.6268214979, abs=1e-8)
    assert all(b >= a for a, b in itertools.pairwise(result.log_likelihoods))  # fmt: skip


@dataclass(frozen=True)
class Scripted:
    """A model whose log-likelihoods are written down beforehand."""

    values: tuple
    position: int = 0

    def accumulate(self, data):
        return Totals(0.0, self.values[self.position])

    def maximise(self, statistics):
        return replace(self, position=self.position + 1)


class Penalised(Scripted):
    def penalty(self, statistics):
        return 2.0 * self.position  # each step may lower the log-likelihood by 2


def test_stops_by_tolerance_in_the_iteration_that_meets_it():
    result = em.run(Scripted((-9.0, -5.0, -4.9999)), None, convergence=em.Convergence(1e-3, 100))
    assert (result.reason, result.converged, result.n_iter) == ("tolerance", True, 3)
    assert result.log_likelihood == -4.9999
    assert result.model.position == 3


def test_the_last_allowed_iteration_can_still_converge():
    values = (-9.0, -5.0, -4.9999)
    assert em.run(Scripted(values), None, convergence=em.Convergence(1e-3, 3)).converged
    result = em.run(Scripted(values), None, convergence=em.Convergence(1e-3, 2))
    assert (result.reason, result.converged) == ("max_iter", False)


def test_scale_turns_the_total_into_a_mean():
    values = (-900.0, -500.0, -499.0)
    per_row = em.Convergence(0.05, 3, scale=0.01)
    assert em.run(Scripted(values), None, convergence=per_row).converged
    assert not em.run(Scripted(values), None, convergence=replace(per_row, scale=1.0)).converged


def test_a_falling_likelihood_is_named_and_the_better_model_kept():
    result = em.run(Scripted((-9.0, -5.0, -5.5, -1.0)), None)
    assert (result.reason, result.converged) == ("likelihood_decreased", False)
    assert result.model.position == 1
    assert result.log_likelihoods == (-9.0, -5.0)


def test_rounding_is_not_a_fall():
    result = em.run(Scripted((-9.0, -5.0, -5.0 - 1e-12)), None)
    assert result.reason == "tolerance"


def test_a_penalty_explains_a_fall_but_no_more():
    fine = em.run(Penalised((-9.0, -5.0, -6.5, -6.5)), None)
    assert fine.reason == "tolerance"
    assert em.run(Penalised((-9.0, -5.0, -7.5, -7.5)), None).reason == "likelihood_decreased"


def test_callbacks_hear_every_iteration_and_may_stop():
    heard = []
    em.run(
        Scripted((-9.0, -5.0, -4.0, -4.0)),
        None,
        callbacks=[lambda *what: heard.append(what)],
    )
    assert [h[0] for h in heard] == [1, 2, 3, 4]
    assert [h[1] for h in heard] == [-9.0, -5.0, -4.0, -4.0]
    assert math.isnan(heard[0][2])
    assert [h[2] for h in heard[1:]] == [4.0, 1.0, 0.0]
    stopped = em.run(Scripted((-9.0, -5.0, -4.0)), None, callbacks=[lambda i, ll, change: i == 2])
    assert (stopped.reason, stopped.n_iter, stopped.converged) == ("interrupted", 2, False)


@pytest.mark.parametrize(("answer", "stops"), [(True, True), (np.True_, True), (1, False),
                                               (None, False), (np.False_, False)])  # fmt: skip
def test_only_true_stops(answer, stops):
    # tqdm's update, for one, returns values that are no answer to this question
    result = em.run(Scripted((-9.0, -5.0, -5.0)), None, callbacks=[lambda *_: answer])
    assert (result.n_iter == 1) == stops


def test_a_sum_that_cancels_is_not_measured_by_its_size():
    # a million terms of either sign, that sum to almost nothing
    convergence = em.Convergence(0.0, 3, scale=1e-6, rounding=1e-5)
    result = em.run(Scripted((-0.1, 0.5, 0.1)), None, convergence=convergence)
    assert result.reason == "max_iter"


def test_no_iterations_keep_the_start():
    result = em.run(Scripted((-9.0,)), None, convergence=em.Convergence(max_iter=0))
    assert (result.n_iter, result.reason, result.model.position) == (0, "max_iter", 0)
    assert result.log_likelihood == -math.inf


def test_the_result_is_frozen_and_reasons_are_words():
    result = em.run(Scripted((-9.0, -9.0)), None)
    with pytest.raises(FrozenInstanceError):
        result.reason = "max_iter"
    assert set(em.REASONS) == {"tolerance", "max_iter", "likelihood_decreased", "interrupted"}


class Failing(Scripted):
    def accumulate(self, data):
        raise LikelihoodError("NaN on purpose")


class Collapsing(Scripted):
    def maximise(self, statistics):
        raise IllDefinedCovarianceError("collapsed on purpose", 1)


def test_the_best_restart_wins_and_the_first_of_equals():
    starts = [Scripted((v, v)) for v in (-3.0, -1.0, -2.0)] + [Scripted((-1.0, -1.0, 0.0))]
    finished = []
    result = em.run_restarts(
        [lambda start=start: start for start in starts], None, finished=finished.append
    )
    assert result.model.values == (-1.0, -1.0)
    assert [r.log_likelihood for r in finished] == [-3.0, -1.0, -2.0, -1.0]


def test_a_failing_restart_does_not_spoil_the_others():
    good = Scripted((-2.0, -2.0))
    starts = [lambda: Failing((0.0,)), lambda: good, lambda: Collapsing((0.0,))]
    result = em.run_restarts(starts, None)
    assert result.log_likelihood == -2.0
    assert result.dropped == ("NaN on purpose", "collapsed on purpose")


def test_when_all_restarts_fail_the_first_error_is_raised():
    with pytest.raises(LikelihoodError, match="NaN on purpose"):
        em.run_restarts([lambda: Failing((0.0,)), lambda: Collapsing((0.0,))], None)
    with pytest.raises(ValueError, match="no start"):
        em.run_restarts([], None)


@dataclass(frozen=True)
class ManyScripted:
    """Several of `Scripted` side by side; of those that fail, at which M-step."""

    values: np.ndarray  # (member, position)
    fails: np.ndarray  # position of the M-step that fails; -1 for none
    penalties: np.ndarray
    position: int = 0

    def __len__(self):
        return len(self.values)

    def __getitem__(self, member):
        kind = Penalised if self.penalties[member] else Scripted
        return kind(tuple(self.values[member]), self.position)

    def only(self, chosen):
        return ManyScripted(
            self.values[chosen], self.fails[chosen], self.penalties[chosen], self.position
        )

    @property
    def errors(self):
        failing = np.flatnonzero((self.fails == self.position) & (self.fails >= 0))
        return {int(i): LikelihoodError("on purpose") for i in failing}

    def accumulate(self, data):
        assert len(data.rows) == len(self)
        return Totals(0.0, self.values[:, self.position])

    def maximise(self, statistics):
        return replace(self, position=self.position + 1)

    def penalty(self, statistics):
        return self.penalties * self.position


@dataclass(frozen=True)
class Numbered:
    rows: np.ndarray

    def only(self, chosen):
        return Numbered(self.rows[chosen])


def many_scripted(values, fails=None, penalties=None):
    n = len(values)
    width = max(map(len, values))
    padded = np.array([[*v, *[v[-1]] * (width - len(v))] for v in values], dtype=float)
    return ManyScripted(
        padded,
        np.full(n, -1) if fails is None else np.array(fails),
        np.zeros(n) if penalties is None else np.array(penalties, dtype=float),
    )


@pytest.mark.parametrize("max_iter", [0, 1, 2, 3, 4, 100])
def test_each_of_many_is_run_as_alone(max_iter):
    values = [
        (-9.0, -5.0, -4.9999, -1.0),
        (-9.0, -5.0, -5.5, -1.0),
        (-9.0, -5.0, -4.0, -3.0, -2.0, -2.0),
        (-9.0, -5.0, -6.5, -6.5),
        (-9.0, -5.0, -6.5, -6.5),
        (-1.0, -1.0),
    ]
    models = many_scripted(values, penalties=[0, 0, 0, 0, 2, 0])
    convergence = em.Convergence(1e-3, max_iter, scale=np.ones(6))
    results = em.run_many(models, Numbered(np.arange(6)), convergence=convergence)
    assert [r.reason for r in results if r.reason == "likelihood_decreased"] == (
        ["likelihood_decreased"] * 2 if max_iter >= 3 else []
    )
    for member, got in enumerate(results):
        alone = em.run(models[member], None, convergence=em.Convergence(1e-3, max_iter))
        assert (got.reason, got.log_likelihoods) == (alone.reason, alone.log_likelihoods)
        assert got.model == alone.model


def test_each_of_many_has_its_own_scale():
    models = many_scripted([(-900.0, -500.0, -499.0, -400.0)] * 2)
    convergence = em.Convergence(0.05, 3, scale=np.array([0.01, 1.0]))
    results = em.run_many(models, Numbered(np.arange(2)), convergence=convergence)
    assert [r.reason for r in results] == ["tolerance", "max_iter"]


def test_a_member_that_fails_leaves_the_others():
    values = [(-9.0, -5.0, -5.0)] * 4 + [(-9.0, -math.inf)]
    models = many_scripted(values, fails=[-1, 0, 2, -1, -1])
    # the model itself is to tell of a log-likelihood that is not finite
    models = replace(models, fails=np.array([-1, 0, 2, -1, 2]))
    results = em.run_many(models, Numbered(np.arange(5)))
    kinds = [type(r) for r in results]
    assert kinds == [em.EMResult, LikelihoodError, LikelihoodError, em.EMResult, LikelihoodError]
    assert results[3].log_likelihoods == (-9.0, -5.0, -5.0)
    assert em.best_of(results).dropped == ("on purpose",) * 3
    with pytest.raises(LikelihoodError, match="on purpose"):
        em.best_of(results[1:3])
    assert em.run_many(many_scripted([(0.0,)]).only(np.array([], dtype=int)), None) == []
