"""From an estimator's init parameters to the models that EM begins with."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from .. import em
from .._kernels.many import ManyRows, ManyWorkspace
from .._kernels.rows import COPIES_OF_PARAMETERS, SERIAL_WORK, Workspace
from .._validation import check_means, check_precisions, check_weights
from ..families import GaussianMixtureModel, ManyGaussianMixtures, Regularisation
from ..initialization import (
    BATCHED,
    INITIALIZATIONS,
    Blocks,
    Start,
    given,
    on_all_rows,
    warn_of_few,
)
from ..kmeans import cluster_many, draws

FloatArray = NDArray[Any]

# What the parameters and moments of all starts may take where they are run side by side
_MOST_BYTES = 32 << 20
# With these given there is nothing to initialise
_ALL = {"weights", "means", "precisions_cholesky"}
# Fewer starts are faster one after the other, on one thread
_FEWEST_SIDE_BY_SIDE = 4
# Rows x components x features, of all starts together, that are worth a thread: an iteration of
# them takes ten times as long as what Python adds to it
_WORK_OF_A_THREAD = 1_000_000
# A fall of the log-likelihood below this is rounding, by the type of the data
ROUNDING = {"float64": 1e-10, "float32": 1e-5}


class Fitted(NamedTuple):
    """The rows of a fit, and all that were given."""

    X: FloatArray  # of weight above 0
    sample_weight: FloatArray | None  # theirs
    given: FloatArray  # those of weight 0 included
    kept: NDArray[Any] | None  # which of the given are fitted; None for all

    @classmethod
    def of(cls, X: FloatArray, sample_weight: FloatArray | None, n_components: int) -> Fitted:
        """Those of weight 0 are removed, so that nothing, not even the initialisation, sees them.

        Raises
        ------
        ValueError
            If fewer are left than there are components.
        """
        rows = cls(X, sample_weight, X, None)
        if sample_weight is not None and not sample_weight.all():
            kept = np.flatnonzero(sample_weight)
            rows = cls(X[kept], sample_weight[kept], X, kept)
        if rows.sample_weight is not None and (rows.sample_weight == 1).all():
            rows = rows._replace(sample_weight=None)  # nothing changes, not even a bit
        if len(rows.X) < n_components:
            raise ValueError(
                f"Expected n_samples >= n_components but got n_components = {n_components}, "
                f"n_samples = {len(rows.X)}"
                + ("" if rows.kept is None else " with a weight above 0")
            )
        return rows


_spare: list[np.random.RandomState] = []


@contextmanager
def seeded(estimator: Any) -> Iterator[np.random.RandomState]:
    """The random numbers of a fit.

    To make a generator takes longer than EM on a few rows; to seed it again, nothing. It is lent to
    one fit at a time, and not to a callable, which might keep it.
    """
    seed = estimator.random_state
    if not isinstance(seed, Integral) or callable(estimator.init_params):
        yield check_random_state(seed)
        return
    try:
        random_state = _spare.pop()
    except IndexError:
        random_state = np.random.RandomState()
    random_state.seed(int(seed))
    try:
        yield random_state
    finally:
        _spare.append(random_state)


def fresh_starts(
    estimator: Any,
    workspace: Workspace,
    fitted: Fitted,
    random_state: np.random.RandomState,
    exponent: int,
    options: dict[str, Any],
) -> Iterator[Callable[[], GaussianMixtureModel]]:
    """One start for each of `n_init`, made when its turn comes.

    Parameters
    ----------
    estimator : GaussianMixture
        Only its parameters are read.
    workspace : Workspace
        Of the rows to be fitted.
    fitted : Fitted
        The same rows.
    random_state : RandomState
        For all starts, in turn.
    exponent : int
        The rows are the user's divided by 2^exponent.
    options : dict
        Fields of the models.

    Raises
    ------
    ValueError
        If an init parameter cannot be used.
    """
    rows, structure = workspace.rows, estimator._structure
    parameters = given_parameters(estimator, rows.n_features, rows.shift, exponent)

    def start() -> GaussianMixtureModel:
        workspace.begin()
        if parameters.keys() >= _ALL:
            return GaussianMixtureModel(structure=structure, **parameters, **options)
        known = initial(estimator, fitted, random_state, rows.n_threads)
        return GaussianMixtureModel.from_known(
            structure, workspace, known, given=parameters, **options
        )

    return iter([start] * int(estimator.n_init))


def given_parameters(
    estimator: Any, n_features: int, shift: NDArray[Any], exponent: int = 0
) -> dict[str, Any]:
    """Parameters of a start that the user gave, divided by 2^exponent, less the shift.

    Raises
    ------
    ValueError
        If one cannot be used.
    """
    K, structure = int(estimator.n_components), estimator._structure
    parameters: dict[str, Any] = {}
    if estimator.weights_init is not None:
        parameters["weights"] = check_weights(estimator.weights_init, K)
    if estimator.means_init is not None:
        means = check_means(estimator.means_init, K, n_features)
        parameters["means"] = np.ldexp(means, -exponent) - shift
    if estimator.precisions_init is not None:
        factors = check_precisions(estimator.precisions_init, structure, K, n_features)
        factors = np.ldexp(factors, exponent)
        parameters["precisions_cholesky"] = factors
        parameters["covariances"] = structure.covariances(factors)
    return parameters


def initial(
    estimator: Any, rows: Fitted, random_state: np.random.RandomState, n_threads: int
) -> Blocks:
    """What `init_params` makes known of the rows."""
    init, K = estimator.init_params, int(estimator.n_components)
    if isinstance(init, str):
        return INITIALIZATIONS[init](Start(rows.X, K, random_state, rows.sample_weight, n_threads))
    all_rows = rows.given
    r = given(init(all_rows, K, random_state) if callable(init) else init, len(all_rows), K)
    r = r if rows.kept is None else r[rows.kept]
    return [(slice(None), None, np.ascontiguousarray(r, dtype=rows.X.dtype))]


def run_starts(
    estimator: Any, rows: ManyRows, each: list[Fitted], regularisations: list[Regularisation]
) -> list[em.EMResult[Any] | Exception]:
    """Run `n_init` starts of every problem side by side; returns them problem by problem."""
    began = time.perf_counter()
    structure, K, n_init = estimator._structure, int(estimator.n_components), int(estimator.n_init)
    members = np.repeat(np.arange(len(each)), n_init)
    given = given_parameters(estimator, rows.n_features, np.zeros(rows.n_features))
    knowns = (None, None) if given.keys() >= _ALL else _known(estimator, rows, each)
    ends = np.cumsum(rows.sizes[members])  # of the labels of each start
    every = Regularisation.stacked(regularisations)
    seconds = (time.perf_counter() - began) / len(members)  # to make a start

    stop = np.zeros(1, dtype=np.intc)

    def run(first: int, last: int) -> list[em.EMResult[Any] | Exception]:
        of = members[first:last]
        workspace = ManyWorkspace(rows, structure.kernel, K, of, 1, stop=stop)
        start: dict[str, Any] = {
            name: np.repeat(values[None], len(of), axis=0) for name, values in given.items()
        }
        if "means" in start:
            start["means"] -= rows.shifts[of, None]
        if start.keys() >= _ALL:
            models = ManyGaussianMixtures(structure, **start, regularisation=every.only(of))
        else:
            theirs = slice(ends[first] - rows.sizes[of[0]], ends[last - 1])
            labels, responsibilities = (
                None if values is None else values[theirs] for values in knowns
            )
            models = ManyGaussianMixtures.from_known(
                structure,
                workspace,
                [(slice(None), labels, responsibilities)],
                regularisation=every.only(of),
                given=start,
            )
        convergence = em.Convergence(
            estimator.tol,
            estimator.max_iter,
            1.0 / rows.total_weights[of],
            ROUNDING[rows.X.dtype.name],
        )
        return em.run_many(models, workspace, convergence=convergence, seconds={"start": seconds})

    # Every thread has a part of the starts to itself: none waits for another in each iteration.
    work = int(ends[-1]) * rows.n_features * K
    n_parts = max(1, min(rows.n_threads, len(members), work // _WORK_OF_A_THREAD))
    if n_parts == 1:
        return run(0, len(members))
    bounds = [len(members) * part // n_parts for part in range(n_parts + 1)]
    with ThreadPoolExecutor(n_parts) as pool:
        try:
            parts = pool.map(run, bounds[:-1], bounds[1:])
            return [outcome for outcomes in parts for outcome in outcomes]
        except BaseException:  # Ctrl-C: the pool waits for its threads, so they must end soon
            stop[0] = 1
            raise


def _known(
    estimator: Any, rows: ManyRows, each: list[Fitted]
) -> tuple[FloatArray | None, FloatArray | None]:
    """Labels, or responsibilities, of the rows of every start in turn."""
    K = int(estimator.n_components)
    in_one_call = isinstance(estimator.init_params, str) and estimator.init_params == BATCHED
    if in_one_call and on_all_rows(int(rows.sizes.max()), K):
        return _kmeans_of_each(estimator, rows), None
    labels: list[Any] = []
    responsibilities: list[Any] = []
    for problem in each:
        with seeded(estimator) as random_state:
            for _ in range(int(estimator.n_init)):
                for _, some_labels, some in initial(estimator, problem, random_state, 1):
                    labels.append(some_labels)
                    responsibilities.append(some)
    if any(some is not None for some in responsibilities):
        return None, np.concatenate(responsibilities)
    return np.concatenate(labels), None


def _kmeans_of_each(estimator: Any, rows: ManyRows) -> FloatArray:
    """k-means of every start in one call of the kernels."""
    K, n_init = int(estimator.n_components), int(estimator.n_init)
    # a number seeds every problem alike: its draws are the same for all
    alike = isinstance(estimator.random_state, Integral)
    uniforms = []
    for _ in range(1 if alike else len(rows.sizes)):
        with seeded(estimator) as random_state:
            uniforms += [draws(K, random_state) for _ in range(n_init)]
    if alike and n_init > 1:
        uniforms *= len(rows.sizes)
    found = cluster_many(
        rows.X, rows.sizes, K, np.array(uniforms), rows.sample_weight, rows.n_threads, n_init
    )
    for n_distinct in found.n_distinct[found.n_distinct < K].tolist():
        warn_of_few(n_distinct, K)
    return found.labels


def parameter_bytes(structure: Any, n_components: int, n_features: int) -> int:
    """Memory of one mixture while it is fitted beside others: its statistics and parameters before
    and after a step."""
    n = n_components * n_features + math.prod(structure.shape(n_components, n_features))
    return COPIES_OF_PARAMETERS * 8 * n


def side_by_side(estimator: Any, fitted: Fitted) -> bool:
    """Whether the starts of one fit are run by `run_starts`: several, each of so little work that
    one thread does it anyway, and nobody who wants to hear of one after the other.

    Sizes alone decide, never the threads, so that the same bits come of any number of them.
    """
    if int(estimator.n_init) < _FEWEST_SIDE_BY_SIDE or estimator.verbose or estimator.callbacks:
        return False
    if estimator.accelerate is not None:  # each goes its own way
        return False
    K = int(estimator.n_components)
    n_bytes = int(estimator.n_init) * parameter_bytes(estimator._structure, K, fitted.X.shape[1])
    return bool(fitted.X.size * K <= SERIAL_WORK and n_bytes <= _MOST_BYTES)
