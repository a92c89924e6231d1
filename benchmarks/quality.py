"""``python -m benchmarks.quality``: does fastem reach the log-likelihood that scikit-learn reaches?

Both fit the same data with their defaults (`tol`, `max_iter`, one start by k-means) and the same
``random_state``, over several seeds. The final mean log-likelihoods per row are computed by the
same NumPy code, and compared.

- Up to 20 000 rows both begin at the same clusters: what differs there is rounding.
- Beyond, fastem finds the clusters on a sample: these are the cases that could be worse.
- A case is *worse* (or *better*) where it differs by more than 0.1 % of ``max(|LL|, D)``, LL being
  scikit-learn's and D the number of features. A log-likelihood may be 0 by the choice of units;
  D nats, about that of one standard normal a feature, is then what 0.1 % is of.
- The standard error is over the data sets, each with the mean of its seeds: seeds of one data set
  are no independent witnesses.
- "start faster" is the median of the time of `KMeans(K, n_init=1)` over that of fastem's start,
  both on the number of threads that is asked for; below 1x fastem's is slower.

Required: a mean difference not below 0 (to 5 digits: what rounds to 0 is rounding), and at most 5 %
of the cases worse.

Examples
--------
python -m benchmarks.quality                 all data sets, 3 seeds: some minutes
python -m benchmarks.quality --quick         a tenth of the rows: whether it runs, not how good
python -m benchmarks.quality --kind real     the real data only
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as TheirMixture
from threadpoolctl import threadpool_limits

from benchmarks.numpy_twin import Parameters, mean_log_likelihood
from benchmarks.report import Table, command_parser, cpu_model, progress
from fastem import GaussianMixture
from fastem.initialization import INITIALIZATIONS, Start

Array = NDArray[np.float64]

TOLERATED = 0.001  # of max(|LL|, D)
MOST_WORSE = 0.05  # of the cases
SAMPLED_ABOVE = 20_000  # rows: fastem starts from a sample


@dataclass(frozen=True)
class DataSet:
    """Data, and the mixture to fit to them."""

    kind: str
    name: str
    n_components: int
    make: Callable[[], Array]
    structure: str = "full"


# --- simulated data -----------------------------------------------------------------------------


def simulated(
    kind: str,
    n_rows: int,
    n_features: int,
    n_components: int,
    *,
    spread: float = 2.0,
    structure: str = "full",
    weights: Sequence[float] | None = None,
    axes: float = 1.0,
    freedom: float = np.inf,
    in_order: bool = False,
) -> DataSet:
    """Describe data of elliptic clusters.

    Parameters
    ----------
    kind : str
        The row of the table they count in.
    n_rows, n_features, n_components : int
    spread : float
        Standard deviation of the clusters' means, in units of theirs.
    structure : str
        The covariance that is fitted.
    weights : sequence of float, optional
        Shares of the clusters; equal ones by default.
    axes : float
        The features' scales go from 1 to this, in equal steps of the logarithm.
    freedom : float
        Degrees of freedom of Student's t; normal by default.
    in_order : bool
        Whether the rows stand cluster by cluster.

    Returns
    -------
    DataSet
    """

    def make() -> Array:
        rng = np.random.default_rng([n_rows, n_features, n_components, len(kind), int(axes)])
        shape = (n_components, n_features)
        means = spread * rng.standard_normal(shape)
        skew = rng.standard_normal((*shape, n_features)) / np.sqrt(n_features)
        shapes = np.eye(n_features) + skew
        labels = rng.choice(n_components, size=n_rows, p=weights)
        if in_order:
            labels.sort()
        X = rng.standard_normal((n_rows, n_features))
        if np.isfinite(freedom):
            X /= np.sqrt(rng.chisquare(freedom, n_rows) / freedom)[:, None]
        for k in range(n_components):
            X[labels == k] = X[labels == k] @ shapes[k].T + means[k]
        return X * np.geomspace(1.0, axes, n_features)

    extra = f" {structure}" * (structure != "full") + " in order" * in_order
    name = f"{kind} N={n_rows} D={n_features}{extra}"
    return DataSet(kind, name, n_components, make, structure)


def _falling(n_components: int, ratio: float) -> Array:
    """Shares of clusters, each `ratio` of the one before."""
    shares = ratio ** np.arange(n_components)
    return shares / shares.sum()


def _few_small(n_components: int, n_small: int, share: float) -> Array:
    """Equal shares, but for some small ones."""
    shares = np.full(n_components, (1.0 - n_small * share) / (n_components - n_small))
    shares[-n_small:] = share
    return shares


# --- real data ----------------------------------------------------------------------------------


def _standardised(X: Array) -> Array:
    return (X - X.mean(axis=0)) / X.std(axis=0)


def _faithful() -> Array:
    path = Path(__file__).parent.parent / "examples" / "faithful.csv"
    return np.loadtxt(path, delimiter=",", skiprows=1)


def _breast_cancer() -> Array:
    """The means of the ten measures, without their errors and extremes."""
    return _standardised(datasets.load_breast_cancer().data[:, :10])


def _digits(n_features: int) -> Array:
    X = PCA(n_features, svd_solver="full").fit_transform(datasets.load_digits().data)
    return np.ascontiguousarray(X)


def _pixels(photo: str, step: int) -> Array:
    """Colours in [0, 1], with noise of the 8-bit steps: equal rows have no density."""
    X = datasets.load_sample_image(photo).reshape(-1, 3)[::step]
    noise = np.random.default_rng(0).uniform(size=X.shape)
    return np.asarray((X + noise) / 256.0)


REAL = (
    DataSet("real", "iris", 3, lambda: datasets.load_iris().data),
    DataSet("real", "iris tied", 3, lambda: datasets.load_iris().data, "tied"),
    DataSet("real", "wine", 3, lambda: _standardised(datasets.load_wine().data)),
    DataSet("real", "wine diag", 3, lambda: _standardised(datasets.load_wine().data), "diag"),
    DataSet(
        "real",
        "breast cancer",
        2,
        lambda: _standardised(datasets.load_breast_cancer().data[:, :10]),
    ),
    DataSet("real", "digits, 10 axes", 10, lambda: _digits(10)),
    DataSet("real", "digits, 20 axes diag", 10, lambda: _digits(20), "diag"),
    DataSet("real", "diabetes", 3, lambda: _standardised(datasets.load_diabetes().data)),
    DataSet("real", "faithful", 2, _faithful),
    DataSet("real", "faithful K=4", 4, _faithful),
    DataSet("real", "china.jpg 5469 pixels", 8, lambda: _pixels("china.jpg", 50)),
    DataSet("real", "china.jpg 34160 pixels", 6, lambda: _pixels("china.jpg", 8)),
    DataSet("real", "china.jpg 34160 pixels diag", 10, lambda: _pixels("china.jpg", 8), "diag"),
    DataSet("real", "flower.jpg 34160 pixels", 6, lambda: _pixels("flower.jpg", 8)),
    DataSet("real", "flower.jpg 45547 pixels tied", 8, lambda: _pixels("flower.jpg", 6), "tied"),
)

SIMULATED = (
    simulated("separated", 100, 2, 3, spread=5),
    simulated("separated", 500, 4, 5, spread=5),
    simulated("separated", 3_000, 8, 8, spread=4),
    simulated("separated", 30_000, 2, 6, spread=6),
    simulated("separated", 40_000, 8, 10, spread=4),
    simulated("separated", 30_000, 16, 16, spread=4),
    simulated("separated", 40_000, 4, 12, spread=5, in_order=True),
    simulated("overlapping", 200, 2, 3, spread=1),
    simulated("overlapping", 1_000, 4, 4, spread=1),
    simulated("overlapping", 5_000, 8, 6, spread=1),
    simulated("overlapping", 30_000, 3, 5, spread=1.2),
    simulated("overlapping", 40_000, 6, 6, spread=1),
    simulated("overlapping", 30_000, 12, 8, spread=1),
    simulated("unequal weights", 400, 3, 4, weights=_falling(4, 0.5)),
    simulated("unequal weights", 2_000, 5, 6, weights=_falling(6, 0.6)),
    simulated("unequal weights", 40_000, 3, 6, weights=_falling(6, 0.5), spread=3),
    simulated("unequal weights", 30_000, 8, 8, weights=_falling(8, 0.6), spread=3),
    simulated("small clusters", 1_000, 2, 4, weights=_few_small(4, 1, 0.03), spread=4),
    simulated("small clusters", 5_000, 4, 6, weights=_few_small(6, 2, 0.01), spread=4),
    simulated("small clusters", 50_000, 2, 6, weights=_few_small(6, 2, 0.005), spread=5),
    simulated("small clusters", 60_000, 5, 8, weights=_few_small(8, 3, 0.003), spread=4),
    simulated("stretched", 300, 2, 3, axes=100, spread=3),
    simulated("stretched", 2_000, 4, 4, axes=1000, spread=3),
    simulated("stretched", 40_000, 3, 5, axes=100, spread=3),
    simulated("stretched", 30_000, 6, 6, axes=1000, spread=3),
    simulated("heavy tails", 500, 2, 3, freedom=3, spread=4),
    simulated("heavy tails", 3_000, 4, 5, freedom=3, spread=4),
    simulated("heavy tails", 40_000, 3, 5, freedom=4, spread=4),
    simulated("heavy tails", 30_000, 6, 6, freedom=3, spread=4),
    simulated("other structures", 500, 4, 4, structure="tied"),
    simulated("other structures", 800, 6, 5, structure="diag"),
    simulated("other structures", 1_500, 5, 6, structure="spherical"),
    simulated("other structures", 40_000, 8, 8, structure="tied", spread=3),
    simulated("other structures", 50_000, 10, 10, structure="diag", spread=3),
    simulated("other structures", 50_000, 6, 12, structure="spherical", spread=3),
    simulated("other structures", 30_000, 16, 20, structure="diag", spread=2),
    simulated("many components", 4_000, 3, 20, spread=4),
    simulated("many components", 30_000, 2, 25, spread=6),
    simulated("many components", 40_000, 4, 20, spread=4, structure="spherical"),
)

DATA_SETS = (*SIMULATED, *REAL)


# --- fits and their comparison --------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One data set with one seed.

    Attributes
    ----------
    ours, theirs : float
        Mean log-likelihood per row of fastem and of scikit-learn.
    our_start, their_start : float
        Seconds that the k-means takes.
    n_rows, n_features : int
    """

    data_set: DataSet
    seed: int
    ours: float
    theirs: float
    our_start: float
    their_start: float
    n_rows: int
    n_features: int

    @property
    def difference(self) -> float:
        """Nats per row by which fastem is better."""
        return self.ours - self.theirs

    @property
    def verdict(self) -> int:
        """1 better, -1 worse, 0 the same within the tolerance."""
        tolerated = TOLERATED * max(abs(self.theirs), self.n_features)
        return int(self.difference > tolerated) - int(self.difference < -tolerated)


def compare(data_set: DataSet, X: Array, seed: int, n_threads: int) -> Case:
    """Fit with both programs, and evaluate both by the same code."""
    K, structure = data_set.n_components, data_set.structure
    ours = GaussianMixture(K, covariance_type=structure, random_state=seed, n_threads=n_threads)
    theirs = TheirMixture(K, covariance_type=structure, random_state=seed)
    state = np.random.RandomState(seed)
    our_start = _seconds(
        lambda: list(INITIALIZATIONS["kmeans"](Start(X, K, state, n_threads=n_threads)))
    )
    their_start = _seconds(lambda: KMeans(K, n_init=1, random_state=seed).fit(X))
    return Case(
        data_set,
        seed,
        _log_likelihood(ours, X, structure),
        _log_likelihood(theirs, X, structure),
        our_start,
        their_start,
        *X.shape,
    )


def _log_likelihood(model: Any, X: Array, structure: str) -> float:
    model.fit(X)
    fitted = Parameters(model.weights_, model.means_, model.covariances_)
    return mean_log_likelihood(X, structure, fitted)


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@dataclass(frozen=True)
class Summary:
    """Many cases in a few numbers; see the module's docstring."""

    cases: Sequence[Case]

    @property
    def by_data_set(self) -> Array:
        """The mean difference of each data set."""
        names = dict.fromkeys(case.data_set.name for case in self.cases)
        return np.array(
            [
                np.mean([case.difference for case in self.cases if case.data_set.name == name])
                for name in names
            ]
        )

    @property
    def mean(self) -> float:
        """The mean difference, each data set as much as any other."""
        return float(self.by_data_set.mean())

    @property
    def standard_error(self) -> float:
        """Of the mean, over the data sets; NaN for one."""
        means = self.by_data_set
        return float(means.std(ddof=1) / np.sqrt(len(means))) if len(means) > 1 else np.nan

    def share(self, verdict: int) -> float:
        """The share of the cases with a verdict."""
        return float(np.mean([case.verdict == verdict for case in self.cases]))

    @property
    def start_ratio(self) -> float:
        """The median of scikit-learn's time of the start over fastem's."""
        return float(np.median([case.their_start / case.our_start for case in self.cases]))

    def cells(self) -> list[str]:
        """The row of a table, less its name."""
        error = self.standard_error
        return [
            str(len(self.by_data_set)),
            str(len(self.cases)),
            f"{self.mean:+.5f}",
            "-" if np.isnan(error) else f"{error:.5f}",
            f"{self.share(-1):.1%}",
            f"{self.share(1):.1%}",
            f"{self.start_ratio:.1f}x",
        ]


HEADER = (
    "data sets",
    "cases",
    "mean diff.",
    "std. error",
    "worse",
    "better",
    "start faster",
)


def report(cases: Sequence[Case], markdown: bool) -> bool:
    """Print the tables and the verdict; return whether the requirement holds."""
    changed = [case for case in cases if case.verdict]
    if changed:
        title = "Cases that differ by more than 0.1 %"
        table = Table(
            title, ["data set", "seed", "fastem", "sklearn", "difference"], markdown=markdown
        )
        for case in sorted(changed, key=lambda case: case.difference):
            values = (
                str(case.seed),
                f"{case.ours:.4f}",
                f"{case.theirs:.4f}",
                f"{case.difference:+.4f}",
            )
            table.row([case.data_set.name, *values])
    title = "Mean log-likelihood per row: fastem's less scikit-learn's, in nats"
    table = Table(title, ["kind", *HEADER], markdown=markdown)
    for kind in dict.fromkeys(case.data_set.kind for case in cases):
        table.row([kind, *Summary([c for c in cases if c.data_set.kind == kind]).cells()])
    sampled = [case for case in cases if case.n_rows > SAMPLED_ABOVE]
    whole = [case for case in cases if case.n_rows <= SAMPLED_ABOVE]
    for name, some in (("up to 20 000 rows", whole), ("more rows: sampled", sampled)):
        if some:
            table.row([name, *Summary(some).cells()])
    every = Summary(cases)
    table.row(["all", *every.cells()])
    held = round(every.mean, 5) >= 0 and every.share(-1) <= MOST_WORSE
    print(
        f"\nThe requirement {'holds' if held else 'DOES NOT HOLD'}: the mean difference is "
        f"{every.mean:+.5f} nats per row (required: not below 0), and {every.share(-1):.1%} of "
        f"{len(cases)} cases are worse by more than 0.1 % (required: at most {MOST_WORSE:.0%}); "
        f"{every.share(1):.1%} are better by as much."
    )
    return held


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0 where the requirement holds, or was not put to the test."""
    options = _parse(arguments)
    chosen = [d for d in DATA_SETS if options.kind in d.kind]
    if not chosen:
        print(f"No kind of data contains {options.kind!r}.", file=sys.stderr)
        return 2
    print(
        f"{cpu_model()}; {options.threads} threads; {len(chosen)} data sets, {options.seeds} seeds "
        f"from {options.first_seed}" + ("; quick: a tenth of the rows" if options.quick else "")
    )
    cases = []
    with threadpool_limits(limits=options.threads), warnings.catch_warnings():
        # both stop after 100 iterations where they have not converged: that is part of the defaults
        warnings.simplefilter("ignore", ConvergenceWarning)
        for data_set in chosen:
            progress(data_set.name)
            X = data_set.make()
            if options.quick:
                X = X[:: max(1, min(10, len(X) // (40 * data_set.n_components)))]
            X = np.ascontiguousarray(X)
            seeds = range(options.first_seed, options.first_seed + options.seeds)
            cases += [compare(data_set, X, seed, options.threads) for seed in seeds]
    held = report(cases, options.markdown)
    return 0 if held or options.quick else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser("python -m benchmarks.quality", __doc__)
    add = parser.add_argument
    add("--seeds", type=int, default=3, help="of each data set (%(default)s)")
    add("--first-seed", type=int, default=0, help="the others follow it (%(default)s)")
    add("--kind", default="", metavar="TEXT", help="only kinds whose name contains TEXT")
    add("--threads", type=int, default=1, help="of each program (%(default)s)")
    add("--quick", action="store_true", help="a tenth of the rows: whether it runs")
    add("--markdown", action="store_true", help="print Markdown, for RESULTS.md")
    options = parser.parse_args(arguments)
    if options.seeds < 1 or options.threads < 1:
        parser.error("--seeds and --threads must be at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
