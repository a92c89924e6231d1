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

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._kernels import kernels, memory
from ._kernels.rows import (
    SERIAL_WORK,
    aligned_empty,
    kernel_weights,
    readable,
    useful_threads,
)

__all__ = [
    "Clusters",
    "Points",
    "cluster",
    "cluster_many",
    "draws",
    "lloyd",
    "nearest",
    "normal_fits",
    "plus_plus",
]

FloatArray = NDArray[Any]

# scikit-learn's defaults: steps at most, and the squared way of all centres in a step, in units of
# the mean variance of a feature, below which they have arrived.
MAX_STEPS = 300
TOLERANCE = 1e-4

# Partial sums over the clusters, in a problem that is worth several threads: as many as threads are
# of use to so few rows as k-means is given.
_MOST_SLOTS = 16
_GROUP = 32
# Multiply-adds of a problem, if it takes all its steps, that one thread is given: about a second.
_ONE_THREAD = 10_000_000_000
# The work of a step, in multiply-adds, from which threads are of use: they are woken in the time
# of a million or two.
_PARALLEL_WORK = 2_000_000


def _n_slots(n_rows: int, n_features: int, n_clusters: int) -> int:
    """How many partial sums: by the sizes only, never by the threads."""
    if n_rows * n_features * n_clusters <= SERIAL_WORK:
        return 1
    return min(_MOST_SLOTS, -(-n_rows // _GROUP))


def _threads(n_threads: int, work: int) -> int:
    """Worth starting for so many multiply-adds."""
    return useful_threads(n_threads, work, 1, 1) if work >= _PARALLEL_WORK else 1


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
        self.weights, self.n_threads = kernel_weights(sample_weight), n_threads
        size = kernels.lloyd_points_size(n, D)
        memory.check(
            8 * size, f"k-means of {n} rows", 'init_params="kmeans" takes a sample of them.'
        )
        self.packed = aligned_empty((size,), np.float64)
        # to copy a number takes longer than to multiply it
        kernels.lloyd_points(readable(X), self.packed, _threads(n_threads, 8 * n * D))
        begin = -(-D // 8) * 8
        self.shift = self.packed[:D]
        self.rows = self.packed[begin : begin + n * D].reshape(n, D)

    def threads(self, n_centres: int) -> int:
        """Worth starting for the distances from so many centres."""
        return _threads(self.n_threads, self.n_rows * n_centres * self.n_features)

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
        points.threads(kernels.n_candidates(n_clusters)),
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

    left, state = max_steps, kernels.LLOYD_GOES_ON
    while left > 0 and state == kernels.LLOYD_GOES_ON:
        state = steps(left)
        left -= int(tally[1])
        if state == kernels.LLOYD_EMPTY:
            # squares may overflow: then some labels are as good as others
            with np.errstate(over="ignore", invalid="ignore"):
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
    if n * D * n_clusters > SERIAL_WORK:
        _, labels, n_distinct = _step_by_step(X, n_clusters, uniforms, sample_weight, n_threads)
    else:
        found = cluster_many(X, np.array([n]), n_clusters, uniforms[None], sample_weight)
        labels, n_distinct = found.labels, int(found.n_distinct[0])
    return labels, n_distinct


def _step_by_step(
    X: FloatArray,
    n_clusters: int,
    uniforms: FloatArray,
    sample_weight: FloatArray | None,
    n_threads: int,
    max_steps: int = MAX_STEPS,
) -> tuple[FloatArray, FloatArray, int]:
    """Centres, labels, and how many clusters have rows."""
    points = Points(X, sample_weight, n_threads)
    rows = plus_plus(points, n_clusters, uniforms)
    centres, labels, _ = lloyd(points, points.rows[rows], max_steps)
    counts = np.bincount(labels, minlength=n_clusters)
    return centres + points.shift, labels, int(np.count_nonzero(counts))


class Clusters(NamedTuple):
    """What k-means found in each of many problems."""

    labels: FloatArray  # intc, of every start in turn
    n_distinct: NDArray[np.intc]  # clusters that have rows, of each start
    centres: FloatArray  # (n_starts, n_clusters, n_features); (0, ...) if they are not asked for


def _layout(
    sizes: NDArray[np.intp], n_init: int, n_features: int, n_clusters: int
) -> NDArray[np.intp]:
    """The first row, the rows, the first label, and the partial sums of each start."""
    slots = [_n_slots(n, n_features, n_clusters) for n in sizes.tolist()]
    if len(sizes) * n_init == 1:  # a single small fit, of which every microsecond is seen
        return np.array([[0, sizes[0], 0, slots[0]]], dtype=np.intp)
    problems = np.column_stack([np.cumsum(sizes) - sizes, sizes, sizes, slots])
    layout: NDArray[np.intp] = np.repeat(problems, n_init, axis=0)
    layout[:, 2] = np.cumsum(layout[:, 1]) - layout[:, 1]
    return layout


def cluster_many(
    X: FloatArray,
    sizes: NDArray[np.intp],
    n_clusters: int,
    uniforms: FloatArray,
    sample_weight: FloatArray | None = None,
    n_threads: int = 1,
    n_init: int = 1,
    max_steps: int = MAX_STEPS,
    with_centres: bool = False,
) -> Clusters:
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
    max_steps : int
        Of Lloyd's.
    with_centres : bool
        Whether the centres are asked for.

    Returns
    -------
    Clusters
    """
    X, weights, D = readable(X), kernel_weights(sample_weight), X.shape[1]
    layout = _layout(sizes, n_init, D, n_clusters)
    most, n_rows = int(sizes.max()), int(layout[-1, 1] + layout[-1, 2])
    threads = min(_threads(n_threads, n_rows * n_clusters * D), len(layout))
    found = Clusters(
        np.empty(n_rows, dtype=np.intc),
        np.full(len(layout), -1, dtype=np.intc),
        np.empty((len(layout) if with_centres else 0, n_clusters, D)),
    )
    if most * n_clusters * D * max_steps <= _ONE_THREAD:
        size = kernels.lloyd_cluster_size(most, D, n_clusters, int(layout[:, 3].max()))
        kernels.lloyd_many(
            X,
            layout,
            weights,
            uniforms,
            n_clusters,
            TOLERANCE,
            max_steps,
            aligned_empty((threads, size), np.float64),
            found.labels,
            found.centres,
            found.n_distinct,
            threads,
        )
    # a cluster became empty, which is for Python to mend
    for i in np.flatnonzero(found.n_distinct < 0):
        begin, n, first, _ = layout[i].tolist()
        rows = slice(begin, begin + n)
        centres, found.labels[first : first + n], found.n_distinct[i] = _step_by_step(
            X[rows],
            n_clusters,
            uniforms[i if len(uniforms) > 1 else 0],
            weights[rows] if len(weights) else None,
            n_threads,
            max_steps,
        )
        if with_centres:
            found.centres[i] = centres
    return found


def normal_fits(points: Points, centres: FloatArray) -> FloatArray:
    """How well clusters suit a normal mixture: their log-likelihood with the labels known.

    Per row and but for constants, sum_k p_k (log p_k - log |S_k| / 2) with the share p_k and the
    covariance S_k of each cluster (Celeux, Govaert 1992, A classification EM algorithm,
    Computational Statistics & Data Analysis 14, 315-332). Unlike the inertia it does not ask the
    clusters to be round, and a change of units adds the same to all. It is the mean of two: S_k in
    full, drawn to its diagonal with the weight of n_features + 1 rows so that few rows in a plane
    gain nothing; and the diagonal alone, for either structure may be fitted.

    Parameters
    ----------
    points : Points
        Without weights.
    centres : array of shape (n_sets, n_clusters, n_features)
        Several sets of centres; the clusters of each are the points that are nearest to them.

    Returns
    -------
    fits : array of shape (n_sets,)
    """
    (n, K, D), fits = centres.shape, np.empty(len(centres))
    threads = min(_threads(points.n_threads, n * points.n_rows * D * max(K, D)), n)
    arena = aligned_empty((threads, kernels.judge_size(points.n_rows, D, K)), np.float64)
    kernels.lloyd_judge(points.packed, points.n_rows, centres, arena, fits, threads)
    return fits


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
    X = readable(X)
    (n, D), K = X.shape, len(centres)
    threads = _threads(n_threads, n * D * (K + 8))
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
