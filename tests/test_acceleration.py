"""Accelerated runs: the fixed points of EM, a likelihood that never falls, proposals refused."""

import itertools
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from mixtures import draw, random_mixture
from test_contract import runnable_isas
from test_skipping import clusters
from test_user_models import DAYS, START, Poissons

from fastem import ConjugatePrior, GaussianMixture, em, fit_many
from fastem._kernels.rows import Rows, Workspace
from fastem.acceleration import ACCELERATORS, Anderson, Squarem, accelerator
from fastem.cli import main
from fastem.covariances import COVARIANCES
from fastem.families import GaussianMixtureModel
from fastem.parameters import kept_inside

METHODS = sorted(ACCELERATORS)
NAMES = sorted(COVARIANCES)


def assert_never_falls(values, rounding=1e-12):
    assert all(b >= a - rounding * abs(a) for a, b in itertools.pairwise(values))


# --- the methods on maps of which everything is known --------------------------------------------


def fixed_point(method, step, x, iterations):
    """Every proposal is taken; the points at which the map was computed."""
    points = [x]
    for _ in range(iterations):
        g = step(x)
        proposal = method.propose(x, g)
        if proposal is not None:
            method.judged(True)
        x = g if proposal is None else proposal
        points.append(x)
    return points


@pytest.mark.parametrize("name", METHODS)
def test_a_linear_map_is_solved_in_few_steps(name):
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    matrix = basis @ np.diag([0.995, 0.9, 0.5, 0.1]) @ basis.T
    limit = rng.normal(size=4)
    points = fixed_point(
        accelerator(name), lambda x: limit + matrix @ (x - limit), np.zeros(4), 200
    )
    plain = np.linalg.norm(np.linalg.matrix_power(matrix, 200) @ limit)
    assert np.linalg.norm(points[-1] - limit) < 1e-8 < 1e-3 < plain


@pytest.mark.parametrize("name", METHODS)
def test_at_a_fixed_point_nothing_is_proposed_elsewhere(name):
    points = fixed_point(accelerator(name), lambda x: x, np.array([1.0, -2.0]), 20)
    assert all((p == [1.0, -2.0]).all() for p in points)


@pytest.mark.parametrize("name", METHODS)
def test_numbers_that_are_not_finite_propose_nothing(name):
    method = accelerator(name)
    x, g, h = np.array([1.0, 2.0]), np.array([1.0, np.inf]), np.array([1.0, np.nan])
    assert method.propose(x, g) is None
    assert method.propose(g, h) is None


@pytest.mark.parametrize("name", METHODS)
def test_affine_constraints_hold_for_proposals(name):
    """Probabilities that sum to 1 at every point of EM do so at every proposal."""
    rng = np.random.default_rng(1)
    matrix = rng.dirichlet(np.ones(5), size=5).T  # columns sum to 1
    slow = 0.9 * np.eye(5) + 0.1 * matrix
    points = fixed_point(accelerator(name), lambda x: slow @ x, np.full(5, 0.2), 40)
    for point in points:
        assert point.sum() == pytest.approx(1.0, abs=1e-9)


def test_squarem_grows_bolder_and_humbler():
    bold, humble = Squarem(), Squarem()
    x = np.array([1.0])
    for method, answer in ((bold, True), (humble, False)):
        point = x
        for _ in range(30):
            g = 0.9999 * point
            proposal = method.propose(point, g)
            if proposal is not None:
                method.judged(answer)
            point = proposal if proposal is not None and answer else g
    assert bold._bound > 16 * humble._bound


def test_anderson_is_damped_after_refusals():
    way = {}
    for answer in (True, False):
        method, rng = Anderson(), np.random.default_rng(0)
        matrix = np.diag(rng.uniform(0.9, 0.999, 6))
        point = rng.normal(size=6)
        for _ in range(60):
            g = matrix @ point
            proposal = method.propose(point, g)
            if proposal is not None:
                method.judged(answer)
                way[answer] = np.linalg.norm(proposal - g) / np.linalg.norm(g - point)
            point = g
    assert way[False] < way[True]


def test_a_name_that_is_not_known():
    with pytest.raises(ValueError, match=r"accelerate='x' is not known: use 'squarem' or 'ander"):
        accelerator("x")
    assert accelerator(None) is None


# --- in the loop --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_the_limit_is_that_of_plain_em(name):
    start = Poissons(0.3, np.array([1.0, 2.5]))
    plain = em.run(start, DAYS, tol=1e-13, max_iter=100_000)
    fast = em.run(start, DAYS, tol=1e-12, max_iter=100_000, accelerate=name)
    assert plain.converged
    assert fast.converged
    assert fast.model.share == pytest.approx(plain.model.share, abs=1e-8)
    assert fast.model.means == pytest.approx(plain.model.means, abs=1e-8)
    assert fast.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-8)
    assert fast.n_iter + fast.rejected < plain.n_iter / 10
    assert fast.accepted > 10
    assert_never_falls(fast.log_likelihoods, 1e-14)


@pytest.mark.parametrize("name", METHODS)
def test_a_plain_step_meets_the_tolerance(name):
    """After convergence, an EM step from the result is as short as the tolerance says."""
    for tol in (1e-3, 1e-5, 1e-7):
        fast = em.run(START, DAYS, tol=tol, accelerate=name)
        assert fast.converged
        step = em.run(fast.model, DAYS, max_iter=1)
        assert step.changes[0] <= 1.5 * tol  # relative to what the parameters are now
        by_likelihood = em.Convergence(tol, 10_000)
        fast = em.run(START, DAYS, convergence=by_likelihood, accelerate=name)
        two = em.run(fast.model, DAYS, max_iter=2).log_likelihoods
        assert two[0] - fast.log_likelihood < tol
        assert two[1] - two[0] < tol


@dataclass(frozen=True)
class Hostile:
    """EM towards 0 from 1, whose likelihood is such that some points must not be gone to."""

    theta: float
    kind: str = "raises"
    asked: tuple = ()

    def e_step(self, data):
        data.append(self.theta)
        return 0.98 * self.theta

    def m_step(self, theta):
        if self.kind == "fails in the M-step" and not self._on_the_way():
            raise ArithmeticError("no M-step here")
        return replace(self, theta=theta)

    def _on_the_way(self):
        """Whether plain EM comes by here."""
        steps = math.log(self.theta) / math.log(0.98)
        return abs(steps - round(steps)) < 1e-6

    def log_likelihood(self, data):
        if self._on_the_way():
            return -self.theta
        return {
            "is NaN": math.nan,
            "is infinite": math.inf,
            "is minus infinity": -math.inf,
            "is lower": -2.0,
            "fails in the M-step": -self.theta,
        }.get(self.kind) or self._fail()

    def _fail(self):
        raise (ValueError if self.kind == "raises" else ZeroDivisionError)("outside")


@pytest.mark.parametrize(
    "kind",
    ["raises", "divides by 0", "is NaN", "is infinite", "is minus infinity", "is lower",
     "fails in the M-step"],
)  # fmt: skip
@pytest.mark.parametrize("name", METHODS)
def test_what_goes_wrong_at_a_proposal_speaks_against_it_only(name, kind):
    asked = []
    plain = em.run(Hostile(1.0, kind), [], tol=1e-3, max_iter=400)
    result = em.run(Hostile(1.0, kind), asked, tol=1e-3, max_iter=400, accelerate=name)
    assert result.rejected > 5
    assert result.accepted == 0
    # every point is EM's own, as if nothing had been proposed
    assert result.model == plain.model
    assert result.log_likelihoods == plain.log_likelihoods
    assert result.reason == plain.reason == "tolerance"
    # but refused proposals cost E-steps, which are told of
    assert len(asked) == result.n_iter + result.rejected


@pytest.mark.parametrize("name", METHODS)
def test_a_parameter_stays_in_its_range(name):
    """The limit is at the end of the range, and the likelihood knows no end."""
    seen = []

    @dataclass(frozen=True)
    class Shares:
        shares: np.ndarray
        variance: float

        def e_step(self, data):
            seen.append((self.shares, self.variance))
            return self.shares * [1.0, 0.97, 0.96], 0.95 * self.variance

        def m_step(self, statistics):
            counts, variance = statistics
            return Shares(counts / counts.sum(), variance)

        def log_likelihood(self, data):
            return float(self.shares @ [1.0, -1.0, -2.0] - self.variance)

    result = em.run(Shares(np.full(3, 1 / 3), 4.0), None, max_iter=60, accelerate=name)
    assert result.accepted > 5
    for shares, variance in seen:
        assert (shares > 0).all()
        assert (shares < 1).all()
        assert shares.sum() == pytest.approx(1, abs=1e-12)
        assert variance > 0


def test_a_model_with_unconstrained_parameters_is_moved_in_them():
    asked = []

    class Logarithms(Poissons):
        def m_step(self, statistics):
            plain = super().m_step(statistics)
            return Logarithms(plain.share, plain.means)

        def unconstrained(self):
            return np.array([math.log(self.share / (1 - self.share)), *np.log(self.means)])

        def from_unconstrained(self, vector):
            asked.append(vector)
            return Logarithms(1 / (1 + math.exp(-vector[0])), np.exp(vector[1:]))

    result = em.run(Logarithms(0.3, START.means), DAYS, accelerate="anderson")
    assert result.log_likelihood == pytest.approx(-1989.945859883 + LOG_FACTORIALS, abs=1e-7)
    assert len(asked) == 1 + result.accepted + result.rejected  # once to see that it can
    # delta method: the same errors as in the parameters themselves
    there, here = result.information(DAYS), em.run(result.model, DAYS).information(DAYS)
    plain = em.run(Poissons(result.model.share, result.model.means), DAYS).information(DAYS)
    assert there.names == here.names == plain.names == ("share", "means[0]", "means[1]")
    assert there.standard_errors == pytest.approx(plain.standard_errors, rel=1e-3)


LOG_FACTORIALS = float(sum(n * math.lgamma(y + 1) for y, n in enumerate(DAYS)))


def test_interruption_and_the_iterations_allowed():
    for name in METHODS:
        assert em.run(START, DAYS, accelerate=name, max_iter=7).n_iter == 7
        stopped = em.run(START, DAYS, accelerate=name, callbacks=lambda i, *_: i == 9)
        assert (stopped.reason, stopped.n_iter) == ("interrupted", 9)


# --- Gaussian mixtures --------------------------------------------------------------------------


@pytest.mark.parametrize("n_features", [1, 2, 5])
@pytest.mark.parametrize("name", NAMES)
def test_a_mixture_and_its_unconstrained_parameters(name, n_features):
    structure, K = COVARIANCES[name], 3
    weights, means, covariances = random_mixture(name, n_features, K)
    model = GaussianMixtureModel(
        structure, weights, means, covariances, structure.precisions_cholesky(covariances)
    )
    for same in (model, model.moved(np.arange(1.0, n_features + 1)), model.scaled(-40)):
        vector = same.unconstrained()
        # log weights have one number more than weights have freedom
        n_free = structure.n_parameters(K, n_features) + K * n_features + K
        assert vector.shape == (n_free,)
        again = model.from_unconstrained(vector)
        for field in ("weights", "means", "covariances", "precisions_cholesky"):
            a, b = getattr(same, field), getattr(again, field)
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13 * np.abs(a).max())
    # any numbers are parameters
    vector = np.random.default_rng(0).normal(size=vector.shape)
    other = model.from_unconstrained(vector)
    np.testing.assert_allclose(other.weights.sum(), 1.0)
    structure.precisions_cholesky(other.covariances)
    apart = other.unconstrained() - vector
    np.testing.assert_allclose(apart[:K], apart[0], rtol=1e-9)  # only differences matter
    np.testing.assert_allclose(apart[K:], 0, atol=1e-12)
    beyond = pytest.raises(ValueError, match=r"beyond all floating-point numbers|Singular")
    with np.errstate(all="ignore"), beyond:
        model.from_unconstrained(vector * 1e4)


def test_a_weight_of_zero_is_a_number():
    structure = COVARIANCES["diag"]
    means, ones = np.array([[0.0], [1.0]]), np.ones((2, 1))
    model = GaussianMixtureModel(structure, np.array([1.0, 0.0]), means, ones, ones)
    vector = model.unconstrained()
    assert np.isfinite(vector).all()
    np.testing.assert_array_equal(model.from_unconstrained(vector).weights[0], 1.0)
    assert model.from_unconstrained(vector).weights[1] < 1e-300


@pytest.mark.filterwarnings("ignore:Component")
@pytest.mark.parametrize("accelerate", METHODS)
def test_a_start_with_a_weight_of_zero(accelerate):
    X = overlapping("full")
    model = GaussianMixture(
        3, weights_init=[0.5, 0.5, 0.0], means_init=X[:3], precisions_init=[np.eye(3)] * 3,
        accelerate=accelerate, tol=1e-8, max_iter=2000,
    ).fit(X)  # fmt: skip
    assert model.converged_
    assert_never_falls(model.lower_bounds_)


def overlapping(name, n_samples=3000, n_features=3, spread=1.2, seed=0):
    mixture = random_mixture(name, n_features, 3, seed=seed, spread=spread)
    return draw(n_samples, *mixture, name, seed=seed)[0]


@pytest.mark.parametrize("accelerate", METHODS)
@pytest.mark.parametrize("name", NAMES)
def test_gaussian_mixtures_have_the_same_limit(name, accelerate):
    X = overlapping(name, spread=1.6)
    options = {"covariance_type": name, "tol": 1e-13, "max_iter": 100_000, "reg_covar": 0.0,
               "random_state": 0}  # fmt: skip
    plain = GaussianMixture(3, **options).fit(X)
    fast = GaussianMixture(3, accelerate=accelerate, **options).fit(X)
    assert plain.converged_
    assert fast.converged_
    assert fast.n_iter_ < plain.n_iter_
    assert fast.lower_bound_ == pytest.approx(plain.lower_bound_, abs=1e-9)
    assert fast.lower_bound_ > plain.lower_bound_ - 1e-11
    np.testing.assert_allclose(fast.weights_, plain.weights_, atol=1e-3)
    assert_never_falls(fast.lower_bounds_)


@pytest.mark.parametrize("accelerate", METHODS)
@pytest.mark.parametrize("name", NAMES)
def test_gaussian_mixtures_have_the_same_fixed_point(name, accelerate):
    mixture = random_mixture(name, 2, 3, spread=2.5)
    X, _ = draw(2000, *mixture, name)
    structure, rows = COVARIANCES[name], Rows(X, None, 1)
    weights, means, covariances = mixture
    start = GaussianMixtureModel(
        structure,
        weights,
        means - rows.shift,
        covariances,
        structure.precisions_cholesky(covariances),
    )
    plain, fast = (
        em.run(start, Workspace(rows, structure.kernel, 3), tol=1e-12, accelerate=a)
        for a in (None, accelerate)
    )
    assert plain.converged
    assert fast.converged
    assert fast.accepted > 0
    for field in ("weights", "means", "covariances"):
        a, b = getattr(fast.model, field), getattr(plain.model, field)
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8)


@pytest.mark.filterwarnings("ignore:Best performing initialization did not converge")
@pytest.mark.parametrize("accelerate", METHODS)
def test_gaussian_mixtures_meet_the_tolerance_by_a_plain_step(accelerate):
    X = overlapping("full", seed=3)
    for tol in (1e-4, 1e-6):
        model = GaussianMixture(3, tol=tol, max_iter=5000, accelerate=accelerate, random_state=0)
        model.fit(X)
        bound = model.lower_bound_
        model.set_params(warm_start=True, accelerate=None, tol=0, max_iter=2).fit(X)
        assert model.lower_bounds_[0] - bound < tol
        assert model.lower_bounds_[1] - model.lower_bounds_[0] < tol


@pytest.mark.parametrize("accelerate", METHODS)
def test_the_probability_under_a_prior_never_falls(accelerate):
    X = overlapping("full", n_samples=300, seed=1)
    for prior in ("auto", ConjugatePrior(weight_concentration=2.0)):
        options = {"prior": prior, "reg_covar": 0.0, "tol": 1e-12, "max_iter": 20_000,
                   "random_state": 0}  # fmt: skip
        plain = GaussianMixture(4, **options).fit(X)
        fast = GaussianMixture(4, accelerate=accelerate, **options).fit(X)
        assert fast.lower_bound_ == pytest.approx(plain.lower_bound_, abs=1e-8)
        assert_never_falls(fast.lower_bounds_)


@pytest.mark.parametrize("accelerate", METHODS)
def test_a_ridge_that_matters(accelerate):
    """Its limit is no maximum of the likelihood; it is EM's all the same."""
    X = overlapping("full", n_samples=400, seed=2)
    options = {"reg_covar": 0.5, "tol": 1e-13, "max_iter": 20_000, "random_state": 0}
    plain = GaussianMixture(3, **options).fit(X)
    fast = GaussianMixture(3, accelerate=accelerate, **options).fit(X)
    assert fast.stop_reason_ == plain.stop_reason_ == "tolerance"
    np.testing.assert_allclose(fast.means_, plain.means_, atol=1e-4)


@pytest.mark.parametrize("accelerate", METHODS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_weights_offsets_and_starts(accelerate, dtype):
    rng = np.random.default_rng(0)
    X = (overlapping("full") + 50).astype(dtype)
    weight = rng.integers(0, 3, len(X))
    options = {"tol": 1e-6, "max_iter": 2000, "random_state": 0, "accelerate": accelerate}
    weighted = GaussianMixture(3, n_init=2, **options).fit(X, sample_weight=weight)
    repeated = GaussianMixture(3, n_init=2, **options).fit(np.repeat(X, weight, axis=0))
    assert weighted.converged_
    assert weighted.score(X, sample_weight=weight) == pytest.approx(
        repeated.score(X, sample_weight=weight), abs=1e-3
    )


@pytest.mark.parametrize("accelerate", METHODS)
def test_same_bits_for_any_number_of_threads(accelerate):
    X = overlapping("full", n_samples=20_000)
    options = {"tol": 1e-7, "max_iter": 300, "random_state": 0, "accelerate": accelerate}
    models = [GaussianMixture(3, n_threads=n, **options).fit(X) for n in (1, 2, 3)]
    for model in models[1:]:
        assert model.lower_bounds_ == models[0].lower_bounds_
        assert model.means_.tobytes() == models[0].means_.tobytes()


def test_many_small_fits_are_those_of_a_loop():
    Xs = [overlapping("full", 200, seed=seed) for seed in range(3)]
    options = {"tol": 1e-6, "max_iter": 1000, "random_state": 0, "accelerate": "squarem"}
    models = fit_many(Xs, 2, n_init=5, **options)
    for X, model in zip(Xs, models, strict=True):
        alone = GaussianMixture(2, n_init=5, **options).fit(X)
        assert model.lower_bounds_ == alone.lower_bounds_
        assert model.fit_report_.n_starts == alone.fit_report_.n_starts == 5


def test_only_the_known_names_are_taken():
    with pytest.raises(ValueError, match="'accelerate' parameter of GaussianMixture must be"):
        GaussianMixture(2, accelerate="fast").fit(np.zeros((10, 2)))


@pytest.mark.parametrize("spread", [3.0, 1.0], ids=["separated", "overlapping"])
@pytest.mark.parametrize("accelerate", METHODS)
def test_pairs_that_are_left_out_change_nothing_when_parameters_jump(accelerate, spread):
    X, means = clusters(spread)
    X = np.concatenate([X + shift for shift in (0.0, 1e-3, 2e-3, 3e-3)])  # 120 000 rows
    structure, K = COVARIANCES["full"], len(means)
    kernels = runnable_isas()[-1]
    results = {}
    for skip in (True, False):
        rows = Rows(X, None, 1, kernels=kernels)
        covariances = np.repeat(np.cov(X.T)[None] / K, K, axis=0)
        start = GaussianMixtureModel(
            structure,
            np.full(K, 1 / K),
            means - rows.shift,
            covariances,
            structure.precisions_cholesky(covariances),
        )
        results[skip] = em.run(
            start,
            Workspace(rows, structure.kernel, K, skip=skip),
            convergence=em.Convergence(0.0, 30, scale=1 / len(X)),
            accelerate=accelerate,
        )
    skipping, every = results[True], results[False]
    n = min(skipping.n_iter, every.n_iter, 15)
    assert skipping.accepted >= 2
    assert n >= 10
    np.testing.assert_allclose(skipping.log_likelihoods[:n], every.log_likelihoods[:n], rtol=1e-10)
    if spread == 3.0:
        assert skipping.skipped > 0.05 + every.skipped


def test_a_proposal_is_cut_short_by_its_worst_number():
    inside = np.array([1.0, 0.5])
    np.testing.assert_allclose(kept_inside(np.array([-1.0, 0.4]), inside), [0.1, 0.455])


def test_the_command_line_has_it_too(capsys):
    faithful = str(Path(__file__).parent.parent / "examples" / "faithful.csv")
    options = ["-k", "2", "--tol", "1e-9", "--max-iter", "1000"]
    for accelerate in ([], ["--accelerate", "squarem"]):
        assert main(["fit", faithful, *options, *accelerate]) == 0
    plain, fast = capsys.readouterr().out.split("Components:")[:2]
    iterations = [int(re.search(r"in (\d+) iterations", text)[1]) for text in (plain, fast)]
    assert iterations[1] < iterations[0]
