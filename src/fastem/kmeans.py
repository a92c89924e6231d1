"""k-means: greedy k-means++ and Lloyd's steps, for the start of EM.

Random numbers are drawn, and ties and empty clusters dealt with, as scikit-learn's `KMeans` does,
so that the same `random_state` reaches the same clusters; but nothing is validated again, all
steps are done by the compiled kernels, and the result is the same for any number of threads.

Few rows are one call, `cluster_many`, of one problem or of thousands. Many rows are walked step by
step, with the threads sharing out each. Both do the same arithmetic in the same order.

References
----------
Lloyd (1982), IEEE Trans. Information Theory 28, 129-137. Arthur, Vassilvitskii (2007), k-means++:
the advantages of careful seeding, SODA, 1027-1035; its section 7 draws several candidates for each
centre and keeps the best ("greedy").
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._kernels import kernels
from ._kernels.rows import SERIAL_WORK, aligned_empty, useful_threads

__all__ = [
    "Points",
    "cluster",
    "cluster_many",
    "draws",
    "lloyd",
    "nearest",
    "normal_fit",
    "plus_plus",
]

FloatArray = NDArray[Any]

# scikit-learn's defaults: steps at most, and the squared way of all centres in a step, in units of
# the mean variance of a feature, below which they have arrived.
MAX_STEPS = 300
TOLERANCE = 1e-4

# Added to variances of standardised features where clusters are compared: a cluster of equal rows
# is not infinitely good.
_RIDGE = 1e-6

# Partial sums over the clusters, in a problem that is worth several threads: as many as threads are
# of use to so few rows as k-means is given.
_MOST_SLOTS = 16
_GROUP = 32
# Multiply-adds of one call of the kernels, which nobody can interrupt: about a second.
_ONE_CALL = 10_000_000_000

_NO_WEIGHTS: FloatArray = np.empty(0)


def _n_slots(n_rows: int, n_features: int, n_clusters: int) -> int:
    """How many partial sums: by the sizes only, never by the threads."""
    if n_rows * n_features * n_clusters <= SERIAL_WORK:
        return 1
    return min(_MOST_SLOTS, -(-n_rows // _GROUP))


def _readable(X: FloatArray) -> FloatArray:
    """Rows that the kernels can step through; a copy where they could not."""
    if X.flags.aligned and not any(s % X.itemsize for s in X.strides):
        return X
    return np.ascontiguousarray(X)


def _weights(sample_weight: FloatArray | None) -> FloatArray:
    """As the kernels take them: empty for none."""
    if sample_weight is None:
        return _NO_WEIGHTS
    return np.ascontiguousarray(sample_weight, dtype=np.float64)


class Points:
    """Rows of data in the form that every step of k-means reads.

    Parameters
    ----------
    X : array of shape (n_rows, n_features)
    sample_weight : array of shape (n_rows,), optional
        None means 1 for each row; otherwise above 0.
    n_threads : int
        Threads for each step.

    Attributes
    ----------
    shift : array of shape (n_features,)
        The mean of the rows, without weights: all else is about it.
    rows : array of shape (n_rows, n_features)
        The rows less the shift.
    packed : array
        Both, and the rows once more as the kernels read them.
    """

    def __init__(
        self, X: FloatArray, sample_weight: FloatArray | None = None, n_threads: int = 1
    ) -> None:
        self.n_rows, self.n_features = n, D = X.shape
        self.weights, self.n_threads = _weights(sample_weight), n_threads
        self.packed = aligned_empty((kernels.lloyd_points_size(n, D),), np.float64)
        kernels.lloyd_points(_readable(X), self.packed, useful_threads(n_threads, n, 1, D))
        begin = -(-D // 8) * 8
        self.shift = self.packed[:D]
        self.rows = self.packed[begin : begin + n * D].reshape(n, D)

    def threads(self, n_clusters: int) -> int:
        """Worth starting for a step."""
        return useful_threads(self.n_threads, self.n_rows, n_clusters, self.n_features)

    def work(self, n_clusters: int) -> tuple[int, FloatArray]:
        """The number of partial sums, and scratch for them and all else of a step."""
        n, D = self.n_rows, self.n_features
        n_slots = _n_slots(n, D, n_clusters)
        size = kernels.lloyd_work_size(n, D, n_clusters, n_slots)
        return n_slots, aligned_empty((size,), np.float64)


def draws(n_clusters: int, random_state: np.random.RandomState) -> FloatArray:
    """The random numbers of `plus_plus`: 1, and for each centre but the first those of its
    candidates, in the order in which scikit-learn draws them."""
    return random_state.random_sample(1 + (n_clusters - 1) * kernels.n_candidates(n_clusters))


def plus_plus(points: Points, n_clusters: int, uniforms: FloatArray) -> FloatArray:
    """Rows to begin at: drawn with odds of the squared distance from those drawn before.

    For each but the first, 2 + log(n_clusters) candidates are drawn, and the one is kept that
    leaves the smallest sum of squared distances.

    Parameters
    ----------
    points : Points
    n_clusters : int
    uniforms : array
        From `draws`.

    Returns
    -------
    rows : array of int of shape (n_clusters,)
    """
    rows = np.empty(n_clusters, dtype=np.intp)
    n_slots, work = points.work(n_clusters)
    kernels.lloyd_plus_plus(
        points.packed,
        points.weights,
        points.n_rows,
        points.n_features,
        uniforms,
        n_slots,
        work,
        rows,
        points.threads(n_clusters),
    )
    return rows


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
        Weighted sum of squared distances from them.
    """
    (K, D), n = centres.shape, points.n_rows
    centres = np.array(centres, dtype=np.float64, order="C")
    labels, sums, tally = np.full(n, -1, np.intc), np.empty((K, D + 1)), np.empty(3)
    n_slots, work = points.work(K)
    threads = points.threads(K)

    def steps(most: int) -> int:
        return kernels.lloyd_steps(
            points.packed,
            points.weights,
            n,
            TOLERANCE,
            most,
            n_slots,
            work,
            centres,
            labels,
            sums,
            tally,
            threads,
        )

    at_once = max(1, _ONE_CALL // (n * K * D))
    left, state = max_steps, kernels.LLOYD_GOES_ON
    while left > 0 and state == kernels.LLOYD_GOES_ON:
        state = steps(min(left, at_once))
        left -= int(tally[1])
        if state == kernels.LLOYD_EMPTY:
            _relocate_empty(points, centres, labels, sums)
            new = sums[:, :D] / sums[:, D:]
            there = np.square(new - centres).sum() <= tally[2]
            centres[:] = new
            state = kernels.LLOYD_ARRIVED if there else kernels.LLOYD_GOES_ON
    if state != kernels.LLOYD_SETTLED:
        steps(0)
    return centres, labels, float(tally[0])


def _relocate_empty(
    points: Points, centres: FloatArray, labels: FloatArray, sums: FloatArray
) -> None:
    """Give clusters without rows one of the rows that are farthest from their centres."""
    D = points.n_features
    empty = np.flatnonzero(sums[:, D] == 0)
    distances = np.square(points.rows - centres[labels]).sum(axis=1)
    if distances.max() > 0:
        farthest = np.argpartition(distances, -len(empty))[: -len(empty) - 1 : -1]
        for cluster, row in zip(empty, farthest, strict=True):
            weight = points.weights[row] if len(points.weights) else 1.0
            taken = weight * np.append(points.rows[row], 1.0)
            sums[labels[row]] -= taken
            sums[cluster] = taken
    # no other row to go to: beside the largest cluster, where a tie leaves them without rows
    left = sums[:, D] <= 0
    sums[left] = sums[sums[:, D].argmax()]


def cluster(
    X: FloatArray,
    n_clusters: int,
    uniforms: FloatArray,
    sample_weight: FloatArray | None = None,
    n_threads: int = 1,
) -> tuple[FloatArray, int]:
    """k-means of all rows: k-means++, then Lloyd's steps.

    Parameters
    ----------
    X : array of shape (n_rows, n_features)
    n_clusters : int
    uniforms : array
        From `draws`.
    sample_weight : array of shape (n_rows,), optional
        None means 1 for each row; otherwise above 0.
    n_threads : int

    Returns
    -------
    labels : array of intc of shape (n_rows,)
    n_distinct : int
        Clusters that have rows.
    """
    n, D = X.shape
    if n * D * n_clusters <= SERIAL_WORK:
        labels, n_distinct = cluster_many(
            X, np.array([n]), n_clusters, uniforms[None], sample_weight
        )
        return labels, int(n_distinct[0])
    return _step_by_step(X, n_clusters, uniforms, sample_weight, n_threads)


def _step_by_step(
    X: FloatArray,
    n_clusters: int,
    uniforms: FloatArray,
    sample_weight: FloatArray | None,
    n_threads: int,
) -> tuple[FloatArray, int]:
    points = Points(X, sample_weight, n_threads)
    labels = lloyd(points, points.rows[plus_plus(points, n_clusters, uniforms)])[1]
    return labels, int(np.count_nonzero(np.bincount(labels, minlength=n_clusters)))


def cluster_many(
    X: FloatArray,
    sizes: NDArray[np.intp],
    n_clusters: int,
    uniforms: FloatArray,
    sample_weight: FloatArray | None = None,
    n_threads: int = 1,
    n_init: int = 1,
) -> tuple[FloatArray, NDArray[np.intc]]:
    """k-means of many problems, each by one thread; to the last bit as `cluster` of each.

    Parameters
    ----------
    X : array of shape (n_rows, n_features)
        The rows of every problem in turn.
    sizes : array of shape (n_problems,), intp
        How many rows each of them has.
    n_clusters : int
    uniforms : array of shape (n_problems * n_init, number of draws) or (1, number of draws)
        From `draws`, for each start in turn; or of one, for all.
    sample_weight : array of shape (n_rows,), optional
        None means 1 for each row; otherwise above 0.
    n_threads : int
    n_init : int
        Starts of each problem.

    Returns
    -------
    labels : array of intc
        Of every start in turn.
    n_distinct : array of intc of shape (n_problems * n_init,)
        Clusters that have rows.
    """
    X, weights, D = _readable(X), _weights(sample_weight), X.shape[1]
    layout = np.empty((len(sizes) * n_init, 4), dtype=np.intp)
    layout[:, 0] = np.repeat(np.cumsum(sizes) - sizes, n_init)
    layout[:, 1] = np.repeat(sizes, n_init)
    ends = layout[:, 1].cumsum()
    layout[:, 2] = ends - layout[:, 1]
    most = int(sizes.max())
    if _n_slots(most, D, n_clusters) == 1:
        layout[:, 3] = 1
    else:
        layout[:, 3] = [_n_slots(n, D, n_clusters) for n in layout[:, 1].tolist()]
    threads = min(useful_threads(n_threads, int(ends[-1]), n_clusters, D), len(layout))
    size = kernels.lloyd_cluster_size(most, D, n_clusters, int(layout[:, 3].max()))
    labels = np.empty(ends[-1], dtype=np.intc)
    n_distinct = np.empty(len(layout), dtype=np.intc)
    kernels.lloyd_many(
        X,
        layout,
        weights,
        uniforms,
        n_clusters,
        TOLERANCE,
        MAX_STEPS,
        aligned_empty((threads, size), np.float64),
        labels,
        n_distinct,
        threads,
    )
    for i in np.flatnonzero(n_distinct < 0):  # a cluster became empty, which is for Python to mend
        begin, n, first, _ = layout[i].tolist()
        rows = slice(begin, begin + n)
        labels[first : first + n], n_distinct[i] = _step_by_step(
            X[rows],
            n_clusters,
            uniforms[i if len(uniforms) > 1 else 0],
            weights[rows] if len(weights) else None,
            n_threads,
        )
    return labels, n_distinct


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
    X = _readable(X)
    (n, D), K = X.shape, len(centres)
    threads = useful_threads(n_threads, n, K, D)
    labels = np.empty(n, dtype=np.intc)
    kernels.lloyd_nearest(
        X,
        np.ascontiguousarray(shift, dtype=np.float64),
        np.array(centres, dtype=np.float64, order="C"),
        aligned_empty((kernels.lloyd_work_size(0, D, K, 1),), np.float64),
        aligned_empty((threads, _GROUP * D), np.float64),
        labels,
        threads,
    )
    return labels
