"""Where EM begins: labels or responsibilities for the first M-step.

Each method is a function `(Start) -> blocks`. Blocks are an iterable, that can be iterated over
again, of (rows, labels, responsibilities): a slice of the rows with either their labels (-1: no
component) or their responsibilities. Random numbers are drawn in scikit-learn's order, so that the
same `random_state` begins at the same place, except for k-means on many rows, which takes a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans, kmeans_plusplus
from threadpoolctl import ThreadpoolController

from .covariances.spherical import Spherical
from .families import GaussianMixtureModel
from .families.multivariate_normal import Known

__all__ = ["INITIALIZATIONS", "METHODS", "Start", "given"]

FloatArray = NDArray[Any]
Blocks = Iterable[Known]

# k-means on all rows would take longer than the EM that follows. Centres from a sample of this
# many rows (or 300 a component) are as good a start; up to here all rows are used.
_SAMPLE_ROWS = 20_000
_SAMPLE_ROWS_PER_COMPONENT = 300
_SAMPLE_RESTARTS = 3

_BLOCK_ROWS = 1 << 16


@dataclass(frozen=True, eq=False)
class Start:
    """What a method of initialisation is given."""

    X: FloatArray
    n_components: int
    random_state: np.random.RandomState
    sample_weight: FloatArray | None = None
    n_threads: int = 1


@lru_cache(maxsize=1)
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()


def _fit_k_means(k_means: KMeans, X: FloatArray, sample_weight: FloatArray | None) -> KMeans:
    """Fit on one thread: scikit-learn adds up its threads in the order they end, so that the result
    depends on their number; and in a forked child more than one would hang."""
    with _thread_pools().limit(limits=1, user_api="openmp"):
        return k_means.fit(X, sample_weight=sample_weight)


def _labels_only_at(rows: NDArray[Any], n_rows: int) -> Blocks:
    """One row a component; all others belong to none."""
    labels = np.full(n_rows, -1, dtype=np.intc)
    labels[rows] = np.arange(len(rows), dtype=np.intc)
    return [(slice(None), labels, None)]


def kmeans(start: Start) -> Blocks:
    """k-means; on a sample of the rows when there are many, and then all rows to the centres."""
    X, K, random_state = start.X, start.n_components, start.random_state
    n_rows, weight = X.shape[0], start.sample_weight
    size = max(_SAMPLE_ROWS, _SAMPLE_ROWS_PER_COMPONENT * K)
    if n_rows <= size:
        k_means = KMeans(K, n_init=1, random_state=random_state)
        labels = _fit_k_means(k_means, X, weight).labels_
        return [(slice(None), labels.astype(np.intc, copy=False), None)]
    if weight is None:
        chosen = np.sort(random_state.choice(n_rows, size=size, replace=False))
    else:  # a heavy row stands in the sample as often as its weight says
        chosen = np.sort(random_state.choice(n_rows, size=size, p=weight / weight.sum()))
    k_means = KMeans(K, n_init=_SAMPLE_RESTARTS, random_state=random_state)
    centres = _fit_k_means(k_means, X[chosen], None).cluster_centers_
    return [(slice(None), _nearest(X, centres, start.n_threads), None)]


def _nearest(X: FloatArray, centres: FloatArray, n_threads: int) -> FloatArray:
    """The nearest centre of each row: the most likely of equal spherical components."""
    K = len(centres)
    one = np.ones(K)
    means = np.asarray(centres, np.float64)
    model = GaussianMixtureModel(Spherical(), one / K, means, one, one, n_threads=n_threads)
    return model.score(X, labels=True)[2].astype(np.intc)


def kmeans_plus_plus(start: Start) -> Blocks:
    """Rows drawn far from each other, one a component."""
    _, rows = kmeans_plusplus(
        start.X,
        start.n_components,
        random_state=start.random_state,
        sample_weight=start.sample_weight,
    )
    return _labels_only_at(rows, start.X.shape[0])


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
        for begin in range(0, n_rows, _BLOCK_ROWS):
            rows = slice(begin, min(begin + _BLOCK_ROWS, n_rows))
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
        r = np.asarray(responsibilities, dtype=np.float64)
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
