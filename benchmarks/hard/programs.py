"""The programs of ``python -m benchmarks.compared``, each behind one call: `Program.fit`.

Every program runs with its own defaults but for what the call asks. What one does not offer raises
`NotOfferedError`, so that a case need not know who has what. R is reached through one script
(`r_side.R`) that reads the rows from a binary file, bit for bit.

- oneDAL has no estimator of its own: its start and its EM are called one after the other.
- pomegranate computes in torch's default type, float32, also for rows in float64; with
  `torch.set_default_dtype(torch.float64)` its own start fails (1.1.2).
- scikit-learn's ``prior`` is `BayesianGaussianMixture`.
"""

from __future__ import annotations

import copy
import importlib
import os
import shutil
import subprocess
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.data import STRUCTURES, Problem
from benchmarks.peers import PEERS, NotOfferedError

Array = NDArray[Any]
ALL = ("full", "tied", "diag", "spherical")


@dataclass
class Fitted:
    """A fitted mixture.

    Attributes
    ----------
    weights : ndarray of shape (K,)
    means : ndarray of shape (K, D)
    covariances : ndarray of shape (K, D, D)
    proba : ndarray or None
        Probabilities of the components for the rows asked for.
    trace : list of float
        The mean log-likelihood of each iteration.
    bic : float
        In mclust's sign: larger is better.
    extra : dict
        Whatever else a program tells.
    """

    weights: Array
    means: Array
    covariances: Array
    proba: Array | None = None
    trace: list[float] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


class Program(ABC):
    """One program.

    `fit` takes the rows, the number of components and the structure, and by keyword what is not to
    be left at the program's default:

    seed, threads : int
    tol : float
        Change of the mean log-likelihood at which to stop.
    max_iter, n_init : int
    weights : ndarray
        Of the rows.
    prior : bool
        Fit with the program's conjugate prior.
    query : ndarray
        Rows to predict the components' probabilities of.
    trace : bool
        Keep the log-likelihood of each iteration.
    scatter : bool
        Start each component at a row drawn at random.
    """

    name: str
    title: str
    random = True  # whether a seed changes anything
    seed = 0
    structures: tuple[str, ...] = ALL
    offers: frozenset[str] = frozenset({"seed"})

    def fit(self, X: Array, K: int, structure: str = "full", **asked: Any) -> Fitted:
        """Fit, or raise whatever the program raises."""
        missing = sorted(set(asked) - self.offers - {"seed"})
        if missing or structure not in self.structures:
            raise NotOfferedError(", ".join(missing) or structure)
        return self._fit(X, K, structure, {"seed": self.seed, **asked})

    def seeded(self, seed: int) -> Program:
        """Return the program with another seed."""
        other = copy.copy(self)
        other.seed = seed
        return other

    @abstractmethod
    def _fit(self, X: Array, K: int, structure: str, asked: dict[str, Any]) -> Fitted: ...

    @abstractmethod
    def missing(self) -> str | None:
        """Say how to install the program, or None where it is there."""

    @abstractmethod
    def describe(self) -> str:
        """Name the program and its version."""

    def long_fit(self, X: Array, K: int) -> tuple[Callable[[], object], Callable[[], object]]:
        """Return a fit that lasts, and a prediction by the model that it leaves behind."""
        left: dict[str, Fitted] = {}
        asked: dict[str, Any] = {"tol": 0.0, "max_iter": 100_000}
        asked = {name: asked[name] for name in asked if name in self.offers}

        def fit() -> None:
            left["model"] = self.fit(X, K, **asked)

        return fit, lambda: left["model"]


class PythonProgram(Program):
    """A program that is imported."""

    module: str
    distribution: str
    install: str

    def missing(self) -> str | None:
        try:
            importlib.import_module(self.module)
        except Exception as error:  # an import may fail in any way
            return f"`{self.install}` ({error})"
        return None

    def describe(self) -> str:
        return f"{self.title} {version(self.distribution)}"


def matrices(covariances: Array, structure: str, K: int, D: int) -> Array:
    """Write the covariances of a structure as (K, D, D)."""
    covariances = np.asarray(covariances, np.float64)
    if structure == "tied":
        return np.broadcast_to(covariances, (K, D, D)).copy()
    if structure == "diag":
        return np.stack([np.diag(row) for row in covariances])
    if structure == "spherical":
        return covariances[:, None, None] * np.eye(D)
    return covariances


class Estimator(PythonProgram):
    """A program with scikit-learn's interface."""

    offers = frozenset(
        {"threads", "tol", "max_iter", "n_init", "query", "trace", "scatter", "prior"}
    )
    keywords: dict[str, Any] = {}  # noqa: RUF012

    def estimator(self, K: int, structure: str, asked: dict[str, Any]) -> Any:
        """Make the estimator."""
        passed = {"tol", "max_iter", "n_init"}
        keywords = {name: value for name, value in asked.items() if name in passed}
        if asked.get("scatter"):
            keywords["init_params"] = "random_from_data"
        cls = importlib.import_module(self.module).GaussianMixture
        options = {"covariance_type": structure, "random_state": asked.get("seed", 0)}
        return cls(K, **options, **keywords, **self.extra(asked))

    def extra(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Keywords beyond scikit-learn's."""
        return dict(self.keywords)

    def long_fit(self, X: Array, K: int) -> tuple[Callable[[], object], Callable[[], object]]:
        # no k-means: the interrupt is to come in the EM
        model = self.estimator(K, "full", {"tol": 0.0, "max_iter": 100_000, "scatter": True})
        return lambda: model.fit(X), lambda: model.predict(X[:10])

    def _fit(self, X: Array, K: int, structure: str, asked: dict[str, Any]) -> Fitted:
        model = self.estimator(K, structure, asked)
        data = {"sample_weight": asked["weights"]} if "weights" in asked else {}
        with threadpool_limits(asked.get("threads")):
            model.fit(X, **data)
        return Fitted(
            np.asarray(model.weights_, np.float64),
            np.asarray(model.means_, np.float64),
            matrices(model.covariances_, structure, K, X.shape[1]),
            model.predict_proba(asked["query"]) if "query" in asked else None,
            list(getattr(model, "lower_bounds_", [])),
            {"n_iter": model.n_iter_},
        )


class FastEM(Estimator):
    """This library."""

    name = "fastem"
    title = "fastem"
    module = distribution = "fastem"
    install = "pip install ."
    offers = Estimator.offers | {"weights"}

    def extra(self, asked: dict[str, Any]) -> dict[str, Any]:
        keywords = {**self.keywords, "n_threads": asked.get("threads")}
        return {**keywords, "prior": "auto"} if asked.get("prior") else keywords

    def missing(self) -> str | None:
        lacking = super().missing()
        return lacking or _lacks(self.keywords)


class FastEMAuto(FastEM):
    """This library with a ridge relative to each column's variance."""

    name = "auto"
    title = 'fastem, reg_covar="auto"'
    keywords = {"reg_covar": "auto"}  # noqa: RUF012


def _lacks(keywords: dict[str, Any]) -> str | None:
    """Say which keyword this version of fastem does not take."""
    model = importlib.import_module("fastem").GaussianMixture(**keywords)
    try:
        model.fit(np.array([[0.0], [1.0], [3.0]]))
    except (TypeError, ValueError) as error:
        return f"not in this version ({type(error).__name__})"
    return None


class ScikitLearn(Estimator):
    """scikit-learn."""

    name = "sklearn"
    title = "scikit-learn"
    module = "sklearn.mixture"
    distribution = "scikit-learn"
    install = "pip install scikit-learn"

    def estimator(self, K: int, structure: str, asked: dict[str, Any]) -> Any:
        if not asked.get("prior"):
            return super().estimator(K, structure, asked)
        cls = importlib.import_module(self.module).BayesianGaussianMixture
        options = {"covariance_type": structure, "random_state": asked.get("seed", 0)}
        return cls(n_components=K, **options)


class OneDAL(PythonProgram):
    """oneDAL's own EM, by way of daal4py."""

    name = "onedal"
    title = "oneDAL"
    structures = ("full", "diag")
    module, distribution, install = "daal4py", "daal", PEERS["onedal"].install
    offers = frozenset({"threads"})

    def long_fit(self, X: Array, K: int) -> tuple[Callable[[], object], Callable[[], object]]:
        return super().long_fit(np.tile(X, (8, 1)), K)  # its iterations cannot be set here

    def _fit(self, X: Array, K: int, structure: str, asked: dict[str, Any]) -> Fitted:
        D = X.shape[1]
        shaped = STRUCTURES[structure].reduce(np.zeros((K, D, D)))
        problem = Problem(X, structure, np.zeros(K), np.zeros((K, D)), shaped)
        program = PEERS["onedal"](asked.get("threads", os.cpu_count() or 1))
        outcome = program.fit_default(problem, asked["seed"])
        weights, means, covariances = outcome.parameters
        return Fitted(weights, means, matrices(covariances, structure, K, D))


class MLPack(PythonProgram):
    """mlpack."""

    name = "mlpack"
    title = "mlpack"
    structures = ("full", "diag")
    module = distribution = "mlpack"
    install = "pip install mlpack"
    offers = frozenset(["threads", "max_iter", "n_init"])

    def _fit(self, X: Array, K: int, structure: str, asked: dict[str, Any]) -> Fitted:
        mlpack = importlib.import_module("mlpack")
        given = {"max_iter": "max_iterations", "n_init": "trials"}
        keywords = {given[name]: asked[name] for name in given if name in asked}
        with threadpool_limits(asked.get("threads")):
            result = mlpack.gmm_train(
                input_=X,
                gaussians=K,
                seed=asked["seed"] + 1,  # 0 is the time of day
                diagonal_covariance=structure == "diag",
                **keywords,
            )
        (model,) = result["output_model"].get_cpp_params().values()
        covariances = np.array([one["covariance"] for one in model["dists"]])
        means = np.array([np.ravel(one["mean"]) for one in model["dists"]])
        return Fitted(np.ravel(model["weights"]), means, covariances)


class Pomegranate(PythonProgram):
    """pomegranate 1."""

    name = "pomegranate"
    title = "pomegranate"
    structures = ("full", "diag", "spherical")
    module = "pomegranate.gmm"
    distribution = "pomegranate"
    install = "pip install pomegranate"
    offers = frozenset(["threads", "tol", "max_iter", "weights", "query"])

    def model(self, K: int, structure: str, asked: dict[str, Any]) -> Any:
        """Make the mixture."""
        torch = importlib.import_module("torch")
        if "threads" in asked:
            torch.set_num_threads(asked["threads"])
        keywords = {name: asked[name] for name in ("tol", "max_iter") if name in asked}
        normal = importlib.import_module("pomegranate.distributions").Normal
        kind = {"spherical": "sphere"}.get(structure, structure)
        return importlib.import_module(self.module).GeneralMixtureModel(
            [normal(covariance_type=kind) for _ in range(K)],
            random_state=asked.get("seed", 0),
            **keywords,
        )

    def long_fit(self, X: Array, K: int) -> tuple[Callable[[], object], Callable[[], object]]:
        model = self.model(K, "full", {"tol": 0.0, "max_iter": 100_000})
        rows = importlib.import_module("torch").tensor(X[::10])  # its k-means takes long
        return lambda: model.fit(rows), lambda: model.predict(rows[:10])

    def _fit(self, X: Array, K: int, structure: str, asked: dict[str, Any]) -> Fitted:
        if "tol" in asked:
            asked["tol"] *= len(X)  # of the sum
        model = self.model(K, structure, asked)
        tensor = importlib.import_module("torch").tensor
        data = {"sample_weight": tensor(asked["weights"])} if "weights" in asked else {}
        model.fit(tensor(X), **data)
        arrays = [
            np.array([getattr(one, name).detach().numpy() for one in model.distributions])
            for name in ("means", "covs")
        ]
        proba = model.predict_proba(tensor(asked["query"])).numpy() if "query" in asked else None
        covariances = matrices(arrays[1], structure, K, X.shape[1])
        return Fitted(model.priors.detach().numpy(), arrays[0], covariances, proba)


class RProgram(Program):
    """A package of R."""

    package: str
    models: dict[str, str]
    debian: str

    @property
    def structures(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(self.models)

    def long_fit(self, X: Array, K: int) -> tuple[Callable[[], object], Callable[[], object]]:
        raise NotOfferedError("a fit in the caller's process")

    def missing(self) -> str | None:
        try:
            self.version()
        except (OSError, subprocess.SubprocessError):
            return f"`apt-get install {self.debian}`"
        return None

    def version(self) -> str:
        """Ask R for the version of the package."""
        code = f'cat(as.character(packageVersion("{self.package}")))'
        command = [shutil.which("Rscript") or "Rscript", "-e", code]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    def describe(self) -> str:
        return f"{self.title} {self.version()}"

    def _fit(self, X: Array, K: int, structure: str, asked: dict[str, Any]) -> Fitted:
        told = self.run(X, K, self.models[structure], asked)
        D = X.shape[1]
        proba = told["proba"].reshape(-1, K) if "proba" in told else None
        return Fitted(
            told["weights"],
            told["means"].reshape(K, D),
            told["covariances"].reshape(K, D, D),
            proba,
            list(told.get("trace", [])),
            {"rss": told["rss"], "seconds": float(told["seconds"][0])},
        )

    def run(self, X: Array, K: int, model: str, asked: dict[str, Any]) -> dict[str, Any]:
        """Run the R script; raise its error, pass its warnings on."""
        with tempfile.TemporaryDirectory() as folder:
            files = {"x": X, "query": asked.get("query"), "weights": asked.get("weights")}
            for name, rows in files.items():
                if rows is not None:
                    np.asarray(rows, np.float64).ravel(order="F").tofile(Path(folder) / name)
            flags = [name for name in ("prior", "trace", "bic") if asked.get(name)]
            flags += [f"{name}={asked[name]}" for name in ("tol", "max_iter") if name in asked]
            arguments = [self.package, model, str(K), str(X.shape[1]), folder, str(asked["seed"])]
            command = ["Rscript", str(Path(__file__).with_name("r_side.R")), *arguments, *flags]
            done = subprocess.run(command, capture_output=True, text=True)
        told: dict[str, Any] = {}
        for line in done.stdout.splitlines():
            name, _, rest = line.partition(" ")
            if name == "warning":
                warnings.warn(rest, UserWarning, stacklevel=2)
            elif name == "error":
                raise RuntimeError(rest)
            elif name.startswith("="):
                told[name[1:]] = np.array([float(v.replace("NA", "nan")) for v in rest.split()])
        if done.returncode or not told:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        return told


class MClust(RProgram):
    """mclust."""

    name = package = title = "mclust"
    debian = "r-cran-mclust"
    random = False
    models = {"full": "VVV", "tied": "EEE", "diag": "VVI", "spherical": "VII"}  # noqa: RUF012
    offers = frozenset(["tol", "max_iter", "weights", "prior", "query", "bic"])


class MixTools(RProgram):
    """mixtools."""

    name = package = title = "mixtools"
    debian = "r-cran-mixtools"
    models = {"full": "TRUE", "tied": "FALSE"}  # noqa: RUF012
    offers = frozenset(["tol", "max_iter", "trace"])


PROGRAMS: dict[str, Program] = {
    program.name: program
    for program in (
        FastEM(),
        FastEMAuto(),
        ScikitLearn(),
        OneDAL(),
        MLPack(),
        Pomegranate(),
        MClust(),
        MixTools(),
    )
}
