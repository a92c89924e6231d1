"""The workloads: data with a known truth, and a start near it from which every program begins.

Data: K means drawn from N(0, s^2 I), equal weights, and cluster shapes A = I + G / sqrt(D) with G
standard normal, so that x = mean + A z has the covariance A A^T. A spread s = 3 gives "separated"
clusters and s = 1 "overlapping" ones. With s = 0.1 and A = I + G / (20 sqrt(D)) they are "one
heap", where every point may be of every component and no work can be left out. Rows are in random
order: no program is helped by it.

The start is near the truth, as after k-means: weights 1/K, means off by a tenth of a standard
deviation, and covariances too large by a tenth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Structure:
    """What the benchmarks need to know of a covariance structure.

    Attributes
    ----------
    reduce : callable
        Matrices (K, D, D) to covariances in the structure's shape.
    invert : callable
        Covariances to precisions, both in the structure's shape.
    e_step_fma, m_step_fma : callable
        ``(N, D, K)`` to the useful fused multiply-adds of one dense step: every pair of a point
        and a component counted, each triangle once. Exponentials and logarithms are not counted.
    """

    reduce: Callable[[Array], Array]
    invert: Callable[[Array], Array]
    e_step_fma: Callable[[int, int, int], float]
    m_step_fma: Callable[[int, int, int], float]


STRUCTURES: dict[str, Structure] = {
    # E: y = U (x - mu), |y|^2.  M: sum of r d, and of r d d^T.
    "full": Structure(
        reduce=lambda matrices: matrices,
        invert=np.linalg.inv,
        e_step_fma=lambda n, d, k: n * k * (d * (d + 1) / 2 + d),
        m_step_fma=lambda n, d, k: n * k * (d * (d + 1) / 2 + d),
    ),
    # E: whiten each point once, then one distance a pair.  M: first moments only, since the sum of
    # x x^T does not change between iterations.
    "tied": Structure(
        reduce=lambda matrices: np.asarray(matrices.mean(axis=0)),
        invert=np.linalg.inv,
        e_step_fma=lambda n, d, k: n * d * (d + 1) / 2 + n * k * d,
        m_step_fma=lambda n, d, k: n * k * d,
    ),
    # E: scale and square.  M: first and second moments.
    "diag": Structure(
        reduce=lambda matrices: np.einsum("kii->ki", matrices).copy(),
        invert=np.reciprocal,
        e_step_fma=lambda n, d, k: n * k * 2 * d,
        m_step_fma=lambda n, d, k: n * k * 2 * d,
    ),
    # With |x|^2 known, both steps need one product a pair.
    "spherical": Structure(
        reduce=lambda matrices: np.trace(matrices, axis1=1, axis2=2) / matrices.shape[1],
        invert=np.reciprocal,
        e_step_fma=lambda n, d, k: n * k * (d + 1),
        m_step_fma=lambda n, d, k: n * k * (d + 1),
    ),
}


_HEAP, _OVERLAPPING, _SEPARATED = 0.1, 1.0, 3.0


@dataclass(frozen=True)
class Problem:
    """Data, and the parameters from which EM starts.

    For the group "many", X holds many data sets, and the parameters are those of the first.
    """

    X: Array
    structure: str
    weights: Array
    means: Array
    covariances: Array

    @property
    def precisions(self) -> Array:
        """The inverse of the covariances, in the same shape."""
        return STRUCTURES[self.structure].invert(self.covariances).astype(self.X.dtype)

    @property
    def n_components(self) -> int:
        """The number of components, K."""
        return len(self.means)

    def flops(self, *, m_step: bool = True) -> float:
        """Return the useful floating-point operations of one dense iteration (or E-step)."""
        structure, size = STRUCTURES[self.structure], (*self.X.shape, self.n_components)
        fma = structure.e_step_fma(*size)
        return 2.0 * (fma + structure.m_step_fma(*size) if m_step else fma)


@dataclass(frozen=True)
class Workload:
    """A named problem, made only when it is run."""

    name: str
    make: Callable[[np.dtype[Any], bool], Problem]


def gaussian(
    n_points: int, n_features: int, n_components: int, structure: str, spread: float
) -> Workload:
    """Describe a workload of Gaussian clusters; see the module's docstring for the data."""
    kind = {_HEAP: "one heap", _OVERLAPPING: "overlapping", _SEPARATED: "separated"}[spread]
    size = f"N={n_points:.2g} D={n_features} K={n_components}".replace("e+0", "e")
    if float(f"{n_points:.2g}") != n_points:
        raise ValueError(f"The name {size!r} would not tell the true N = {n_points}.")

    def make(dtype: np.dtype[Any], quick: bool) -> Problem:
        # A quick run still has points enough for the covariances to be well defined.
        enough = 4 * n_components * n_features
        n = min(n_points, max(n_points // 20, enough)) if quick else n_points
        return gaussian_problem(n, n_features, n_components, structure, spread, dtype)

    return Workload(f"{size} {structure} {kind}", make)


def gaussian_problem(
    n_points: int,
    n_features: int,
    n_components: int,
    structure: str,
    spread: float,
    dtype: np.dtype[Any],
    seed: int = 0,
) -> Problem:
    """Draw data from a mixture and return them with a start near the truth."""
    rng = np.random.default_rng([seed, n_points, n_features, n_components])
    shape = (n_components, n_features)
    means = spread * rng.standard_normal(shape)
    variety = (0.05 if spread == _HEAP else 1.0) / np.sqrt(n_features)
    shapes = np.eye(n_features) + variety * rng.standard_normal((*shape, n_features))
    labels = rng.integers(n_components, size=n_points)
    X = rng.standard_normal((n_points, n_features))
    for k in range(n_components):
        rows = np.flatnonzero(labels == k)
        X[rows] = X[rows] @ shapes[k].T + means[k]
    offsets = np.einsum("kij,kj->ki", shapes, rng.standard_normal(shape))
    matrices = shapes @ shapes.transpose(0, 2, 1)
    return Problem(
        X=X.astype(dtype),
        structure=structure,
        weights=np.full(n_components, 1.0 / n_components, dtype),
        means=(means + 0.1 * offsets).astype(dtype),
        covariances=(1.1 * STRUCTURES[structure].reduce(matrices)).astype(dtype),
    )


def stacked(
    n_problems: int, n_points: int, n_features: int, n_components: int, structure: str
) -> Workload:
    """Describe many independent data sets of one size, each of its own overlapping clusters."""

    def make(dtype: np.dtype[Any], quick: bool) -> Problem:
        n = max(20, n_problems // 50) if quick else n_problems
        problems = [
            gaussian_problem(
                n_points, n_features, n_components, structure, _OVERLAPPING, dtype, seed
            )
            for seed in range(n)
        ]
        first = problems[0]
        return replace(first, X=np.stack([problem.X for problem in problems]))

    name = f"{n_problems} x (N={n_points} D={n_features} K={n_components}) {structure}"
    return Workload(name, make)


def photo(n_components: int, structure: str) -> Workload:
    """Describe the workload of the pixels of a photograph, colours scaled to [0, 1]."""

    def make(dtype: np.dtype[Any], quick: bool) -> Problem:
        return photo_problem(n_components, structure, dtype, step=20 if quick else 1)

    return Workload(f"photo 427x640 D=3 K={n_components} {structure}", make)


def photo_problem(
    n_components: int, structure: str, dtype: np.dtype[Any], step: int = 1
) -> Problem:
    """Load scikit-learn's ``china.jpg``, every ``step``-th pixel, with a start from k-means."""
    from sklearn.cluster import KMeans
    from sklearn.datasets import load_sample_image

    X = load_sample_image("china.jpg").reshape(-1, 3)[::step] / 255.0
    n_features = X.shape[1]
    sample = np.random.default_rng(0).permutation(X)[:20_000]
    labels = KMeans(n_components, n_init=1, random_state=0).fit(sample).labels_
    clusters = [sample[labels == k] for k in range(n_components)]
    # A cluster of one colour has no variance: half a step of the 8-bit scale stands in for it.
    floor = (0.5 / 255.0) ** 2 * np.eye(n_features)
    matrices = np.stack([np.cov(c, rowvar=False, bias=True) + floor for c in clusters])
    return Problem(
        X=X.astype(dtype),
        structure=structure,
        weights=np.array([len(c) / len(sample) for c in clusters], dtype),
        means=np.stack([c.mean(axis=0) for c in clusters]).astype(dtype),
        covariances=STRUCTURES[structure].reduce(matrices).astype(dtype),
    )


def iris(n_components: int, structure: str) -> Workload:
    """Describe the iris data, 150 x 4."""

    def make(dtype: np.dtype[Any], quick: bool) -> Problem:
        from sklearn.datasets import load_iris

        data = load_iris()
        clusters = [data.data[data.target == k] for k in range(n_components)]
        matrices = np.stack([np.cov(c, rowvar=False, bias=True) for c in clusters])
        return Problem(
            X=data.data.astype(dtype),
            structure=structure,
            weights=np.full(n_components, 1.0 / n_components, dtype),
            means=np.stack([c.mean(axis=0) for c in clusters]).astype(dtype),
            covariances=STRUCTURES[structure].reduce(matrices).astype(dtype),
        )

    return Workload(f"iris N=150 D=4 K={n_components} {structure}", make)


ITERATION: tuple[Workload, ...] = (
    gaussian(1_000_000, 2, 10, "full", _SEPARATED),
    gaussian(500_000, 16, 16, "full", _OVERLAPPING),
    gaussian(500_000, 16, 16, "full", _SEPARATED),
    gaussian(50_000, 64, 64, "full", _OVERLAPPING),
    gaussian(50_000, 64, 64, "full", _SEPARATED),
    gaussian(25_000, 256, 8, "full", _OVERLAPPING),
    gaussian(300_000, 32, 64, "diag", _OVERLAPPING),
    gaussian(300_000, 32, 64, "diag", _SEPARATED),
    gaussian(500_000, 16, 16, "diag", _OVERLAPPING),
    gaussian(1_000_000, 1, 4, "full", _SEPARATED),
    gaussian(300_000, 32, 64, "tied", _OVERLAPPING),
    gaussian(300_000, 32, 64, "spherical", _OVERLAPPING),
    photo(32, "full"),
)

DENSE: tuple[Workload, ...] = (
    gaussian(250_000, 16, 16, "full", _HEAP),
    gaussian(100_000, 32, 16, "full", _HEAP),
    gaussian(50_000, 64, 16, "full", _HEAP),
    gaussian(12_000, 256, 8, "full", _HEAP),
)

COMPONENTS: tuple[Workload, ...] = tuple(
    gaussian(200_000, 16, k, "full", _SEPARATED) for k in (16, 32, 64, 128, 256)
)

FIT: tuple[Workload, ...] = (*ITERATION[:4], photo(32, "full"))

SMALL: tuple[Workload, ...] = (iris(3, "full"), gaussian(1_000, 4, 3, "full", _SEPARATED))

MANY: tuple[Workload, ...] = (stacked(1000, 200, 3, 3, "full"), stacked(2000, 500, 2, 2, "full"))

PREDICT: tuple[Workload, ...] = (gaussian(1_000_000, 16, 16, "full", _OVERLAPPING),)
