"""Where EM begins: labels or responsibilities for the first M-step.

Each method is a function `(Start) -> blocks`. Blocks are an iterable, that can be iterated over
again, of (rows, labels, responsibilities): a slice of the rows with either their labels (-1: no
component) or their responsibilities. Random numbers are drawn in scikit-learn's order, so that the
same `random_state` begins at the same place, except for k-means on many rows, which takes a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .exceptions import warn
from .families.gaussian_mixture import Known
from .kmeans import (
    Points,
    cluster,
    cluster_many,
    draws,
    lloyd,
    nearest,
    normal_fits,
    plus_plus,
)

__all__ = [
    "BATCHED",
    "INITIALIZATIONS",
    "METHODS",
    "Start",
    "given",
    "on_all_rows",
    "warn_of_few",
]

FloatArray = NDArray[Any]
Blocks = Iterable[Known]

# k-means on all rows would take longer than the EM that follows. Centres from a sample of this
# many rows (or 300 a component) are as good a start; up to here all rows are used.
_SAMPLE_ROWS = 20_000
_SAMPLE_ROWS_PER_COMPONENT = 300
# The centres of the sample are the best of some short starts, each on fewer rows again: many where
# a start is cheap, and luck with few components decides much.
_SHORT_ROWS = 2_000
_SHORT_ROWS_PER_COMPONENT = 60
_SHORT_STEPS = 12
_LAST_STEPS = 8
_JUDGED_ROWS = 8_000
_JUDGED_ROWS_PER_COMPONENT = 100
_FEWEST_SHORT_STARTS = 3
_MOST_SHORT_STARTS = 16
_SHORT_STARTS_WORK = 4096  # starts x components x features
_SAME_FIT = 1e-3  # nats per row

# Random numbers are drawn so many rows, and so many numbers, at a time: NumPy hears no signal
# meanwhile
_BLOCK_ROWS = 1 << 16
_BLOCK_NUMBERS = 1 << 22


@dataclass(frozen=True, eq=False)
class Start:
    """What a method of initialisation is given."""

    X: FloatArray
    n_components: int
    random_state: np.random.RandomState
    sample_weight: FloatArray | None = None
    n_threads: int = 1


def _labels_only_at(rows: NDArray[Any], n_rows: int) -> Blocks:
    """One row a component; all others belong to none."""
    labels = np.full(n_rows, -1, dtype=np.intc)
    labels[rows] = np.arange(len(rows), dtype=np.intc)
    return [(slice(None), labels, None)]


def kmeans(start: Start) -> Blocks:
    """k-means; on a sample of the rows when there are many, and then all rows to the centres."""
    X, K, random_state = start.X, start.n_components, start.random_state
    if on_all_rows(len(X), K):
        labels, n_distinct = cluster(
            X, K, draws(K, random_state), start.sample_weight, start.n_threads
        )
    else:
        size = _sample_size(K)
        chosen = _spread(len(X), size, random_state, start.sample_weight)
        points = Points(X[chosen], None, start.n_threads)
        centres = _best_of_short_starts(points, K, random_state)
        labels = nearest(X, centres, points.shift, start.n_threads)
        n_distinct = int(np.count_nonzero(np.bincount(labels, minlength=K)))
    if n_distinct < K:
        warn_of_few(n_distinct, K)
    return [(slice(None), labels, None)]


def _sample_size(n_components: int) -> int:
    return max(_SAMPLE_ROWS, _SAMPLE_ROWS_PER_COMPONENT * n_components)


def on_all_rows(n_rows: int, n_components: int) -> bool:
    """Whether `kmeans` takes all rows, as scikit-learn's does."""
    return n_rows <= _sample_size(n_components)


def warn_of_few(n_distinct: int, n_clusters: int) -> None:
    """Tell that k-means found fewer clusters than it was asked for, in scikit-learn's words."""
    warn(
        f"Number of distinct clusters ({n_distinct}) found smaller than n_clusters "
        f"({n_clusters}). Possibly due to duplicate points in X."
    )


def _best_of_short_starts(
    points: Points, n_clusters: int, random_state: np.random.RandomState
) -> FloatArray:
    """Centres of k-means on many points, most of the steps done on few of them.

    Each start has some of the points of its own (Bradley, Fayyad 1998, Refining initial points for
    k-means clustering, ICML, 91-99). All are judged on the same points, and not by k-means'
    inertia: it prefers round clusters, and leads EM to worse optima than a normal fit does.
    """
    judged = min(points.n_rows, max(_JUDGED_ROWS, _JUDGED_ROWS_PER_COMPONENT * n_clusters))
    judges = Points(
        points.rows[_spread(points.n_rows, judged, random_state)], None, points.n_threads
    )
    size = min(points.n_rows, max(_SHORT_ROWS, _SHORT_ROWS_PER_COMPONENT * n_clusters))
    n_starts = _SHORT_STARTS_WORK // (n_clusters * points.n_features)
    n_starts = min(max(n_starts, _FEWEST_SHORT_STARTS), _MOST_SHORT_STARTS)
    chosen, uniforms = [], []
    for _ in range(n_starts):
        chosen.append(_spread(points.n_rows, size, random_state))
        uniforms.append(draws(n_clusters, random_state))
    centres = cluster_many(
        points.rows[np.concatenate(chosen)],
        np.full(n_starts, size),
        n_clusters,
        np.array(uniforms),
        n_threads=points.n_threads,
        max_steps=_SHORT_STEPS,
        with_centres=True,
    ).centres
    best, greatest = 0, -np.inf
    for i, fit in enumerate(normal_fits(judges, centres).tolist()):
        # Starts often end at the same clusters under other names: then the first of them is kept,
        # whatever the rounding.
        if fit > greatest + _SAME_FIT:
            best, greatest = i, fit
    return lloyd(points, centres[best], _LAST_STEPS)[0]


def _spread(
    n_rows: int,
    size: int,
    random_state: np.random.RandomState,
    sample_weight: FloatArray | None = None,
) -> FloatArray:
    """A sample of the rows, ascending: one at random from each of `size` equal shares of them.

    Shares are of the weight, where there are weights: a heavy row stands in the sample as often as
    its weight says. Neighbours that are alike, in a photograph or in sorted rows, make such a
    sample truer than one that is drawn from all at once; and it takes no permutation of all rows.
    """
    drawn = random_state.random_sample(size)
    if sample_weight is None:
        borders = np.arange(size + 1) * n_rows // size
        return borders[:-1] + (drawn * np.diff(borders)).astype(np.intp)
    cumulated = np.cumsum(sample_weight)
    places = (np.arange(size) + drawn) * (cumulated[-1] / size)
    return np.minimum(cumulated.searchsorted(places, side="right"), n_rows - 1)


def kmeans_plus_plus(start: Start) -> Blocks:
    """Rows drawn far from each other, one a component."""
    points = Points(start.X, start.sample_weight, start.n_threads)
    rows = plus_plus(points, start.n_components, draws(start.n_components, start.random_state))
    return _labels_only_at(rows, len(start.X))


def random_from_data(start: Start) -> Blocks:
    """Rows drawn at random, one a component; every row with a weight is as likely."""
    n_rows = start.X.shape[0]
    rows = start.random_state.choice(n_rows, size=start.n_components, replace=False)
    return _labels_only_at(rows, n_rows)


class _RandomBlocks:
    """Uniform random responsibilities, drawn again at each iteration instead of kept."""

    def __init__(
        self, X: FloatArray, n_components: int, random_state: np.random.RandomState
    ) -> None:
        self.shape, self.dtype = (X.shape[0], n_components), X.dtype
        self.random_state, self.state = random_state, random_state.get_state()

    def __iter__(self) -> Iterator[Known]:
        n_rows, K = self.shape
        self.random_state.set_state(self.state)
        step = max(1, min(_BLOCK_ROWS, _BLOCK_NUMBERS // K))
        for begin in range(0, n_rows, step):
            rows = slice(begin, min(begin + step, n_rows))
            r = self.random_state.uniform(size=(rows.stop - begin, K)).astype(self.dtype)
            r /= r.sum(axis=1, keepdims=True)
            yield rows, None, r


def random(start: Start) -> Blocks:
    """Random responsibilities: every component begins near the mean of all rows."""
    return _RandomBlocks(start.X, start.n_components, start.random_state)


INITIALIZATIONS: dict[str, Callable[[Start], Blocks]] = {
    "kmeans": kmeans,
    "k-means++": kmeans_plus_plus,
    "random": random,
    "random_from_data": random_from_data,
}
#: the one that `kmeans.cluster_many` does for many problems at once
BATCHED = next(name for name, method in INITIALIZATIONS.items() if method is kmeans)
#: the names, for parameter validation and the command line
METHODS = tuple(INITIALIZATIONS)


def given(responsibilities: Any, n_rows: int, n_components: int) -> FloatArray:
    """Responsibilities that the user gave, as an array.

    Raises
    ------
    ValueError
        If their shape is not (n_samples, n_components), or a row is negative or does not sum to 1.
    """
    try:
        r = np.require(responsibilities, np.float64, ["ALIGNED", "ENSUREARRAY"])
    except ValueError as error:
        raise ValueError(
            f"init_params: the responsibilities are not a table of numbers ({error})"
        ) from error
    expected = (n_rows, n_components)
    if r.shape != expected:
        raise ValueError(
            f"init_params as an array holds one responsibility a row and component: its shape "
            f"must be {expected}, but it is {r.shape}"
        )
    wrong = ~(np.isclose(r.sum(axis=1), 1.0, atol=1e-5) & (r >= 0).all(axis=1))
    if wrong.any():
        raise ValueError(
            f"init_params: responsibilities must be at least 0 and sum to 1 in every row; "
            f"{np.count_nonzero(wrong)} rows are not, the first is row {int(np.argmax(wrong))}. "
            "Divide each row by its sum"
        )
    return r
