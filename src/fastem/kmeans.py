"""k-means: greedy k-means++ and Lloyd's steps, for the start of EM.

Random numbers are drawn, and ties and empty clusters dealt with, as scikit-learn's `KMeans` does,
so that the same `random_state` reaches the same clusters; but nothing is validated again, nearest
centres are found by the compiled kernels, and the result is the same for any number of threads.

References
----------
Lloyd (1982), IEEE Trans. Information Theory 28, 129-137. Arthur, Vassilvitskii (2007), k-means++:
the advantages of careful seeding, SODA, 1027-1035; its section 7 draws several candidates for each
centre and keeps the best ("greedy").
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from ._kernels import STRUCTURES
from ._kernels.rows import Rows, Workspace

__all__ = ["Points", "lloyd", "nearest", "normal_fit", "plus_plus"]

FloatArray = NDArray[Any]

# scikit-learn's defaults: steps at most, and the squared way of all centres in a step, in units of
# the mean variance of a feature, below which they have arrived.
MAX_STEPS = 300
TOLERANCE = 1e-4

# Added to variances of standardised features where clusters are compared: a cluster of equal rows
# is not infinitely good.
_RIDGE = 1e-6

# Multiply-adds in a product of matrices. OpenBLAS does so many on one thread; cutting larger
# products up by the sizes alone makes the bits independent of its threads too.
_PRODUCT = 1 << 17
_FEWEST_ROWS = 64


class Points:
    """Rows of data in the form that every step of k-means reads.

    Parameters
    ----------
    X : array of shape (n_rows, n_features)
    sample_weight : array of shape (n_rows,), optional
        None means 1 for each row; otherwise above 0.
    n_threads : int
        Threads to find nearest centres.

    Attributes
    ----------
    shift : array of shape (n_features,)
        The mean of the rows, without weights: all else is about it.
    table : array of shape (n_blocks * block_rows, n_features + 2)
        (x, 1, |x|^2) of each row, then rows of zeros. One product with (-2 c, |c|^2, 1) gives the
        squared distance from c, and one sum over a cluster all that k-means needs to know of it.
    """

    def __init__(
        self, X: FloatArray, sample_weight: FloatArray | None = None, n_threads: int = 1
    ) -> None:
        self.n_rows, self.n_features = n_rows, D = X.shape
        self.sample_weight, self.n_threads = sample_weight, n_threads
        self.block_rows = min(n_rows, max(_FEWEST_ROWS, _PRODUCT // (8 * (D + 2))))
        n_blocks = -(-n_rows // self.block_rows)
        self.shift: FloatArray = X.mean(axis=0, dtype=np.float64)
        self.table = np.empty((n_blocks * self.block_rows, D + 2))
        self.table[n_rows:] = 0.0
        filled = self.table[:n_rows]
        np.subtract(X, self.shift, out=filled[:, :D])
        filled[:, D] = 1.0
        np.einsum("ij,ij->i", filled[:, :D], filled[:, :D], out=filled[:, D + 1])

    @property
    def rows(self) -> FloatArray:
        """The rows less the shift."""
        return self.table[: self.n_rows, : self.n_features]

    @property
    def tolerance(self) -> float:
        """The squared way of all centres in a step below which they have arrived."""
        return TOLERANCE * float(self.table[: self.n_rows, -1].mean()) / self.n_features

    @cached_property
    def blocks(self) -> FloatArray:
        """The table as matrices (n_blocks, n_features + 2, block_rows)."""
        return self.table.reshape(-1, self.block_rows, self.n_features + 2).transpose(0, 2, 1)

    @cached_property
    def block_weights(self) -> FloatArray | None:
        """The weights as the blocks stand, (n_blocks, 1, block_rows)."""
        if self.sample_weight is None:
            return None
        weights = np.zeros(len(self.table))
        weights[: self.n_rows] = self.sample_weight
        return weights.reshape(-1, 1, self.block_rows)

    def squared_distances(self, rows: Any) -> FloatArray:
        """From some of the rows to all, (n_blocks, number of rows, block_rows)."""
        D = self.n_features
        coefficients = self.table[rows]
        coefficients[:, D], coefficients[:, D + 1] = coefficients[:, D + 1], 1.0
        coefficients[:, :D] *= -2.0
        distances: FloatArray = np.matmul(coefficients, self.blocks)
        return np.maximum(distances, 0.0, out=distances)


def plus_plus(points: Points, n_clusters: int, random_state: np.random.RandomState) -> FloatArray:
    """Rows to begin at: drawn with odds of the squared distance from those drawn before.

    For each but the first, 2 + log(n_clusters) candidates are drawn, and the one is kept that
    leaves the smallest sum of squared distances.

    Returns
    -------
    rows : array of int of shape (n_clusters,)
    """
    n_candidates = 2 + int(np.log(n_clusters))
    weights = points.block_weights
    rows = np.empty(n_clusters, dtype=np.intp)
    rows[0] = _any_row(points, random_state)
    closest = points.squared_distances(rows[:1])
    weighted = closest if weights is None else closest * weights
    potential = weighted.sum()
    for c in range(1, n_clusters):
        draws = random_state.random_sample(n_candidates) * potential
        candidates = np.searchsorted(weighted.ravel().cumsum(), draws)
        np.minimum(candidates, points.n_rows - 1, out=candidates)
        distances = points.squared_distances(candidates)
        np.minimum(distances, closest, out=distances)
        weighted = distances if weights is None else distances * weights
        potentials = weighted.sum(axis=(0, 2))
        best = int(potentials.argmin())
        rows[c], potential = candidates[best], potentials[best]
        closest = distances[:, best : best + 1]
        weighted = weighted[:, best]
    return rows


def _any_row(points: Points, random_state: np.random.RandomState) -> int:
    """`random_state.choice` with the weights as odds, less its checks."""
    if points.sample_weight is None:
        odds = np.full(points.n_rows, 1.0 / points.n_rows)
    else:
        odds = points.sample_weight / points.sample_weight.sum()
    cumulated = odds.cumsum()
    cumulated /= cumulated[-1]
    return int(cumulated.searchsorted(random_state.random_sample(), side="right"))


def lloyd(
    points: Points, centres: FloatArray, max_steps: int = MAX_STEPS
) -> tuple[FloatArray, FloatArray, float]:
    """Lloyd's steps: rows to their nearest centre, centres to the mean of their rows.

    Parameters
    ----------
    points : Points
    centres : array of shape (n_clusters, n_features)
        Where to begin, less the shift of the points.
    max_steps : int
        Fewer are done where the centres arrive within the tolerance.

    Returns
    -------
    centres : array of shape (n_clusters, n_features)
    labels : array of intc of shape (n_rows,)
        The nearest of these centres.
    inertia : float
        Weighted sum of squared distances before the last step of the labels: no less than after.
    """
    K, n, D = len(centres), points.n_rows, points.n_features
    workspace = _workspace(points.rows, np.zeros(D), K, points.n_threads)
    tolerance, table = points.tolerance, points.table[:n]
    weights = np.ones(n) if points.sample_weight is None else points.sample_weight
    # Column i holds the weight of row i at the label of row i: times the table, it gives the sums
    # over the clusters, row by row in order. It is made once; a step rewrites the labels in it.
    members = csc_array((weights, np.zeros(n, np.intc), np.arange(n + 1, dtype=np.intc)), (K, n))
    labels = members.indices
    for _ in range(max_steps):
        labels[:] = _assign(workspace, centres)
        sums = members @ table
        if not sums[:, D].all():
            _relocate_empty(points, weights, centres, labels, sums)
        way = -centres
        centres = sums[:, :D] / sums[:, D : D + 1]
        way += centres
        # equal labels give equal sums: then the way is 0
        if np.vdot(way, way) <= tolerance:
            break
    labels[:] = _assign(workspace, centres)
    return centres, labels, float(sums[:, D + 1].sum() - np.vdot(centres, sums[:, :D]))


def _relocate_empty(
    points: Points, weights: FloatArray, centres: FloatArray, labels: FloatArray, sums: FloatArray
) -> None:
    """Give clusters without rows one of the rows that are farthest from their centres."""
    D = points.n_features
    empty = np.flatnonzero(sums[:, D] == 0)
    distances = np.square(points.rows - centres[labels]).sum(axis=1)
    if distances.max() > 0:
        farthest = np.argpartition(distances, -len(empty))[: -len(empty) - 1 : -1]
        for cluster, row in zip(empty, farthest, strict=True):
            taken = points.table[row] * weights[row]
            sums[labels[row]] -= taken
            sums[cluster] = taken
    # no other row to go to: beside the largest cluster, where a tie leaves them without rows
    left = sums[:, D] <= 0
    sums[left] = sums[sums[:, D].argmax()]


def normal_fit(points: Points, labels: FloatArray, n_clusters: int) -> float:
    """How well clusters suit a normal mixture: their log-likelihood with the labels known.

    Per row and but for constants, sum_k p_k (log p_k - log |S_k| / 2) with the share p_k and the
    covariance S_k of each cluster (Celeux, Govaert 1992, A classification EM algorithm,
    Computational Statistics & Data Analysis 14, 315-332). Unlike the inertia it does not ask the
    clusters to be round, and a change of units adds the same to all. It is the mean of two: S_k in
    full, drawn to its diagonal with the weight of n_features + 1 rows so that few rows in a plane
    gain nothing; and the diagonal alone, for either structure may be fitted.
    """
    D, n = points.n_features, points.n_rows
    # sorting 16-bit numbers is a counting sort
    order = np.argsort(labels.astype(np.uint16 if n_clusters < 1 << 16 else np.intc), kind="stable")
    rows, ends = points.rows[order], np.bincount(labels, minlength=n_clusters).cumsum()
    scale = np.sqrt(np.square(rows).mean(axis=0))
    rows /= np.where(scale > 0, scale, 1.0)
    total, begin = 0.0, 0
    for end in ends:
        cluster, m = rows[begin:end], end - begin
        begin = end
        if not m:
            continue
        cluster -= cluster.mean(axis=0)
        S = cluster.T @ cluster / m
        diagonal = S.diagonal() + _RIDGE
        S *= m / (m + D + 1)
        np.fill_diagonal(S, diagonal)
        halves = 0.25 * (np.linalg.slogdet(S)[1] + np.log(diagonal).sum())
        total += m * (np.log(m / n) - halves)
    return float(total / n)


def nearest(
    X: FloatArray, centres: FloatArray, shift: FloatArray, n_threads: int = 1
) -> FloatArray:
    """The nearest centre of each row.

    Parameters
    ----------
    X : array of shape (n_rows, n_features)
    centres : array of shape (n_clusters, n_features)
        Less the shift.
    shift : array of shape (n_features,)
        A point near the data.
    n_threads : int

    Returns
    -------
    labels : array of intc of shape (n_rows,)
    """
    labels = _assign(_workspace(X, shift, len(centres), n_threads), centres)
    return labels.astype(np.intc)


def _workspace(X: FloatArray, shift: FloatArray, n_clusters: int, n_threads: int) -> Workspace:
    rows = Rows(X, None, n_threads, shift, pack=False)
    return Workspace(rows, STRUCTURES["Spherical"], n_clusters)


def _assign(workspace: Workspace, centres: FloatArray) -> FloatArray:
    """The nearest centres: the most likely of spherical components of equal weights.

    The constants are 0, not the logarithms of those weights: nothing but the distances may be in
    what is compared, for they may be tiny.
    """
    K = len(centres)
    parameters = {
        "constants": np.zeros(K),
        "means": np.ascontiguousarray(centres),
        "precisions_cholesky": np.ones(K),
    }
    return workspace.score(parameters, labels=True)[2]
