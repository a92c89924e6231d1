"""Two tables for ``python -m benchmarks.compared``: optima found, and models chosen, beside mclust.

mclust starts from a hierarchical clustering, the others from k-means. All run to a tight tolerance
here, so that the start is compared and not the stopping.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import load_iris

from benchmarks.data import STRUCTURES
from benchmarks.hard.programs import PROGRAMS, MClust, Program, matrices
from benchmarks.hard.tasks import faithful
from benchmarks.numpy_twin import Parameters, mean_log_likelihood
from benchmarks.quality import DATA_SETS, Array, DataSet
from benchmarks.report import progress
from fastem import GaussianMixture

MOST_ROWS = 1000  # a hierarchical clustering of more takes long
SEEDS = range(3)
SAME = 1e-4  # nats per row
TIGHT: dict[str, Any] = {"tol": 1e-7, "max_iter": 1000}


def log_likelihood(program: Program, data_set: DataSet, X: Array, **asked: Any) -> float:
    """The mean log-likelihood that a program reaches; NaN where it fails."""
    structure = data_set.structure
    try:
        found = program.fit(X, data_set.n_components, structure, **TIGHT, **asked)
    except Exception as error:
        progress(f"{data_set.name}: {program.name}: {error}")
        return float("nan")
    covariances = STRUCTURES[structure].reduce(found.covariances)
    parameters = Parameters(found.weights, found.means, covariances)
    return mean_log_likelihood(X, structure, parameters)


def optimum_section() -> list[str]:
    """The optimum found by fastem and by scikit-learn, beside mclust's."""
    title = ["## The optimum found\n"]
    if PROGRAMS["mclust"].missing():
        return [*title, "mclust is not installed: not run.\n"]
    tries: dict[str, tuple[str, dict[str, Any]]] = {
        "fastem, n_init=1": ("fastem", {"n_init": 1}),
        "fastem, n_init=10": ("fastem", {"n_init": 10}),
        "fastem, n_init=10, random_from_data": ("fastem", {"n_init": 10, "scatter": True}),
        "scikit-learn, n_init=1": ("sklearn", {"n_init": 1}),
    }
    differences: dict[str, list[Array]] = {name: [] for name in tries}
    failed = []
    for data_set in DATA_SETS:
        X = data_set.make()
        if len(X) > MOST_ROWS:
            continue
        progress(f"optimum: {data_set.name}")
        theirs = log_likelihood(PROGRAMS["mclust"], data_set, X)
        if np.isnan(theirs):
            failed.append(data_set.name)
            continue
        for name, (program, asked) in tries.items():
            ours = [log_likelihood(PROGRAMS[program], data_set, X, seed=s, **asked) for s in SEEDS]
            differences[name].append(np.array(ours) - theirs)
    lines = [
        *title,
        f"{len(failed) + len(differences['fastem, n_init=1'])} data sets of at most {MOST_ROWS} "
        "rows (those of `benchmarks.quality`), all programs to a tight tolerance, "
        f"{len(SEEDS)} seeds: the mean log-likelihood per row less mclust's, which starts from a "
        "hierarchical clustering and has no seed. A difference below 1e-4 nats per row is none. "
        "Ten k-means starts often are one start tenfold; `random_from_data` starts where k-means "
        "cannot. On columns of unequal units (these data are mostly standardised) k-means does "
        "worse.\n",
        "| | mean difference | better | same | worse |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, found in differences.items():
        every = np.array(found)
        better, worse = (every > SAME).mean(), (every < -SAME).mean()
        cells = [f"{every.mean():+.4f}", *(f"{s:.0%}" for s in (better, 1 - better - worse, worse))]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    if failed:
        lines.append(f"\nmclust gave no model for {', '.join(failed)}: left out.")
    return [*lines, ""]


# --- choice of a model ----------------------------------------------------------------------------

OURS = {"full": "VVV", "tied": "EEE", "diag": "VVI", "spherical": "VII"}
ALL_MODELS = "EII,VII,EEI,VEI,EVI,VVI,EEE,VEE,EVE,VVE,EEV,VEV,EVV,VVV"
MOST_COMPONENTS = 5


def bic_section() -> list[str]:
    """The BIC of the four structures that fastem has, beside mclust's."""
    lines = ["## Choice of a model\n"]
    mclust = PROGRAMS["mclust"]
    if not isinstance(mclust, MClust) or mclust.missing():
        return [*lines, "mclust is not installed: not run.\n"]
    models = ALL_MODELS.split(",")
    lines.append(
        "BIC in mclust's sign (larger is better): mclust / fastem with `n_init=10`. Where fastem's "
        "is larger, its restarts found a better optimum; where it is smaller, mclust's start did. "
        "An asterisk marks a component of fastem's that has collapsed onto equal values (sd below "
        "a hundredth of the column's), held by `reg_covar`: its likelihood, and so its BIC, means "
        "nothing. mclust leaves such models out.\n"
    )
    for name, X in (("Old Faithful", faithful()), ("Iris", load_iris().data)):
        progress(f"bic: {name}")
        told = mclust.run(X, MOST_COMPONENTS, ALL_MODELS, {"bic": True, "seed": 0})
        theirs = told["bic"].reshape(MOST_COMPONENTS, len(models))
        lines += [
            f"| {name}, K | " + " | ".join(f"{s} ({m})" for s, m in OURS.items()) + " |",
            "| --- | ---: | ---: | ---: | ---: |",
        ]
        best = (-np.inf, "", 0)
        for K in range(1, MOST_COMPONENTS + 1):
            cells = []
            for structure, model in OURS.items():
                ours, collapsed = _bic(X, K, structure)
                best = max(best, (ours, structure + " (collapsed)" * collapsed, K))
                mark = r"\*" * collapsed
                shown = _shown(theirs[K - 1, models.index(model)])
                cells.append(f"{shown} / {_shown(ours)}{mark}")
            lines.append(f"| {K} | {' | '.join(cells)} |")
        row, column = np.unravel_index(np.nanargmax(theirs), theirs.shape)
        lines.append(
            f"\nOf its 14 structures mclust chooses {models[column]} with {row + 1} components "
            f"({theirs[row, column]:.2f}); fastem's best is {best[1]} with {best[2]} "
            f"({best[0]:.2f}).\n"
        )
    return lines


def _bic(X: Array, K: int, structure: str) -> tuple[float, bool]:
    """The BIC of fastem's fit, and whether a component has collapsed."""
    model = GaussianMixture(K, covariance_type=structure, n_init=10, random_state=0, **TIGHT)
    covariances = matrices(model.fit(X).covariances_, structure, K, X.shape[1])
    variances = covariances.diagonal(axis1=1, axis2=2)
    return -float(model.bic(X)), bool((variances < 1e-4 * X.var(axis=0)).any())


def _shown(value: float) -> str:
    return "NA" if np.isnan(value) else f"{value:.1f}"
