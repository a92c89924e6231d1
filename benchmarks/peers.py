"""The programs compared, each behind the same few methods, so that none is measured differently.

=========  ================================================================================
name       program
=========  ================================================================================
fastem     this library
numpy      the plain-NumPy EM of ``numpy_twin.py``
sklearn    scikit-learn's ``GaussianMixture``
onedal     Intel's oneDAL, ``em_gmm`` through ``daal4py`` (``pip install scikit-learn-intelex``)
=========  ================================================================================

What differs between them, and cannot be made equal:

- oneDAL knows the full and the diagonal structure only; it adds nothing to the covariances unless
  they are ill-conditioned, where the others add ``reg_covar`` always; it has no predict; and it
  stops as soon as the log-likelihood does not rise, whatever the threshold. It is therefore timed
  over the iterations that it did run. Its libraries choose their code by the maker of the CPU.
- The threads of NumPy and scikit-learn are those of their BLAS.
"""

from __future__ import annotations

import importlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from benchmarks import numpy_twin
from benchmarks.data import Problem
from benchmarks.numpy_twin import Parameters
from benchmarks.report import progress


class PeerError(Exception):
    """A peer refused the problem or failed at it; the message is for the table."""


class NotOfferedError(PeerError):
    """A peer has no such thing."""


class Outcome(NamedTuple):
    """What is left of a fit."""

    parameters: Parameters
    n_iter: int
    log_likelihood: float  # mean, under the parameters before the last M-step


class Peer(ABC):
    """One program.

    Parameters
    ----------
    n_threads : int
        The threads it may use.
    """

    name: str
    distribution: str
    module: str
    install: str
    has_initialisation = True

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads

    @classmethod
    def missing(cls) -> str | None:
        """Say how to install the program, or None where it can be imported."""
        try:
            importlib.import_module(cls.module)
        except ImportError as error:
            return f"{cls.name} is left out ({error}); to include it: {cls.install}"
        return None

    def describe(self) -> str:
        """Name the program and its version."""
        return f"{self.name} {version(self.distribution)}"

    @abstractmethod
    def fit_from(self, problem: Problem, n_iter: int) -> Outcome:
        """Run ``n_iter`` iterations from the problem's start, without a test of convergence."""

    @abstractmethod
    def fit_default(self, problem: Problem, seed: int) -> Outcome:
        """Fit from scratch with the program's own initialisation and a tolerance of 1e-3."""

    @abstractmethod
    def predictor(self, problem: Problem) -> Callable[[], NDArray[np.integer[Any]]]:
        """Return a call that labels the problem's rows by the parameters of its start."""


class Estimator(Peer):
    """A program with scikit-learn's interface."""

    def options(self) -> dict[str, Any]:
        """Return the keywords beyond scikit-learn's."""
        return {}

    def estimator(self, problem: Problem, **keywords: Any) -> Any:
        """Make the estimator for a problem."""
        cls = importlib.import_module(self.module).GaussianMixture
        return cls(
            problem.n_components,
            covariance_type=problem.structure,
            **self.options(),
            **keywords,
        )

    def started(self, problem: Problem, n_iter: int) -> Any:
        """Make an estimator that runs ``n_iter`` iterations from the problem's start."""
        return self.estimator(
            problem,
            tol=0.0,
            max_iter=n_iter,
            weights_init=problem.weights,
            means_init=problem.means,
            precisions_init=problem.precisions,
        )

    def fit_from(self, problem: Problem, n_iter: int) -> Outcome:
        return self._fit(self.started(problem, n_iter), problem)

    def fit_default(self, problem: Problem, seed: int) -> Outcome:
        return self._fit(self.estimator(problem, random_state=seed), problem)

    def predictor(self, problem: Problem) -> Callable[[], NDArray[np.integer[Any]]]:
        # A fit of one iteration: the parameters are the start's, improved once.
        model = self.started(problem, 1)
        self._fit(model, problem)
        return lambda: model.predict(problem.X)

    def _fit(self, model: Any, problem: Problem) -> Outcome:
        with _quiet():
            try:
                model.fit(problem.X)
            except ValueError as error:
                raise PeerError(_first_line(error)) from error
        parameters = Parameters(model.weights_, model.means_, model.covariances_)
        return Outcome(parameters, model.n_iter_, float(model.lower_bound_))


class FastEM(Estimator):
    """This library."""

    name = "fastem"
    distribution = "fastem"
    module = "fastem"
    install = "pip install -e ."

    def options(self) -> dict[str, Any]:
        return {"n_threads": self.n_threads}

    def fit_many(self, problem: Problem, seed: int) -> object:
        """Fit each of the problem's data sets from scratch in one call."""
        with _quiet():
            return importlib.import_module(self.module).fit_many(
                problem.X,
                problem.n_components,
                covariance_type=problem.structure,
                random_state=seed,
                **self.options(),
            )

    def describe(self) -> str:
        return f"{super().describe()} ({importlib.import_module(self.module).cpu_isa()})"

    def peak(self, dtype: np.dtype[Any]) -> float:
        """Measure the fused multiply-adds that the CPU does now, in GF/s."""
        kernels = importlib.import_module("fastem._kernels")
        return float(kernels.fma_peak(self.n_threads, dtype=dtype.name))


class ScikitLearn(Estimator):
    """scikit-learn's own mixture."""

    name = "sklearn"
    distribution = "scikit-learn"
    module = "sklearn.mixture"
    install = "pip install scikit-learn"


class NumPy(Peer):
    """The plain-NumPy EM."""

    name = "numpy"
    distribution = "numpy"
    module = "numpy"
    install = "pip install numpy"
    has_initialisation = False

    def fit_from(self, problem: Problem, n_iter: int) -> Outcome:
        try:
            fitted = numpy_twin.fit(problem.X, problem.structure, _start(problem), n_iter)
        except np.linalg.LinAlgError as error:
            raise PeerError(_first_line(error)) from error
        return Outcome(fitted.parameters, n_iter, fitted.log_likelihood)

    def fit_default(self, problem: Problem, seed: int) -> Outcome:
        raise NotOfferedError("no initialisation")

    def predictor(self, problem: Problem) -> Callable[[], NDArray[np.integer[Any]]]:
        fitted = numpy_twin.fit(problem.X, problem.structure, _start(problem), 1)
        return lambda: numpy_twin.predict(problem.X, problem.structure, fitted.parameters)


class OneDAL(Peer):
    """Intel's oneDAL."""

    name = "onedal"
    distribution = "daal"
    module = "daal4py"
    install = "pip install scikit-learn-intelex"
    storages: dict[str, str] = {"full": "full", "diag": "diagonal"}  # noqa: RUF012

    def fit_from(self, problem: Problem, n_iter: int) -> Outcome:
        return self._fit(problem, _start(problem), n_iter, tolerance=0.0)

    def fit_default(self, problem: Problem, seed: int) -> Outcome:
        daal4py = importlib.import_module(self.module)
        daal4py.daalinit(self.n_threads)
        engine = daal4py.engines_mt19937(seed=seed, fptype=self._fptype(problem))
        algorithm = daal4py.em_gmm_init(
            problem.n_components,
            fptype=self._fptype(problem),
            covarianceStorage=self._storage(problem),
            engine=engine,
        )
        try:
            start = algorithm.compute(problem.X)
        except RuntimeError as error:
            raise PeerError(_first_line(error)) from error
        # scikit-learn compares the change of the mean to its tolerance, oneDAL that of the sum.
        tolerance = 1e-3 * len(problem.X)
        parameters = Parameters(start.weights, start.means, start.covariances)
        return self._fit(problem, parameters, 100, tolerance)

    def predictor(self, problem: Problem) -> Callable[[], NDArray[np.integer[Any]]]:
        raise NotOfferedError("no predict")

    def _fit(self, problem: Problem, start: Parameters, n_iter: int, tolerance: float) -> Outcome:
        daal4py = importlib.import_module(self.module)
        daal4py.daalinit(self.n_threads)
        algorithm = daal4py.em_gmm(
            problem.n_components,
            fptype=self._fptype(problem),
            maxIterations=n_iter,
            accuracyThreshold=tolerance,
            regularizationFactor=1e-6,
            covarianceStorage=self._storage(problem),
        )
        # A list of tables, one a component; a diagonal is a table of one row.
        covariances = [np.atleast_2d(matrix) for matrix in start.covariances]
        weights = np.atleast_2d(start.weights)
        try:
            result = algorithm.compute(problem.X, weights, start.means, covariances)
        except RuntimeError as error:
            raise PeerError(_first_line(error)) from error
        shape = (problem.n_components, *problem.covariances.shape[1:])
        parameters = Parameters(
            result.weights[0], result.means, np.stack(result.covariances).reshape(shape)
        )
        log_likelihood = float(result.goalFunction[0, 0]) / len(problem.X)
        return Outcome(parameters, int(result.nIterations[0, 0]), log_likelihood)

    def _storage(self, problem: Problem) -> str:
        try:
            return self.storages[problem.structure]
        except KeyError:
            raise NotOfferedError(f"no {problem.structure} covariances") from None

    def _fptype(self, problem: Problem) -> str:
        return {"float64": "double", "float32": "float"}[problem.X.dtype.name]


PEERS: dict[str, type[Peer]] = {peer.name: peer for peer in (FastEM, NumPy, ScikitLearn, OneDAL)}


def _start(problem: Problem) -> Parameters:
    """Return the parameters from which a problem starts."""
    return Parameters(problem.weights, problem.means, problem.covariances)


def _first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return str(error).splitlines()[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the warning that a fit of fixed length, rightly, did not converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def available(programs: Sequence[type[Peer]], n_threads: int) -> list[Peer]:
    """Make the programs that can be imported, and say how to install the others."""
    peers = []
    for program in programs:
        reason = program.missing()
        if reason is None:
            peers.append(program(n_threads))
        else:
            progress(reason)
    return peers
