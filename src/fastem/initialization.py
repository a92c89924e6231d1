"""Where EM begins: labels or responsibilities for the first M-step.

Each method is a function `(X, n_components, random_state, sample_weight) -> blocks`. Blocks are an
iterable, that can be iterated over again, of (rows, labels, responsibilities): a slice of the rows
with either their labels (-1: no component) or their responsibilities. Random numbers are drawn in
scikit-learn's order, so that the same `random_state` begins at the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans, kmeans_plusplus
from threadpoolctl import ThreadpoolController

from .covariances.spherical import Spherical
from .families import GaussianMixtureModel
from .families.multivariate_normal import Known

__all__ = ["INITIALIZATIONS", "METHODS", "given", "initial_blocks"]

FloatArray = NDArray[Any]
Blocks = Iterable[Known]
Initialization = Callable[[FloatArray, int, np.random.RandomState, FloatArray | None, int], Blocks]

# k-means on all rows would take longer than the EM that follows. Centres from a sample of this
# many rows (or 300 a component) are as good a start; up to here all rows are used.
_SAMPLE_ROWS = 20_000
_SAMPLE_ROWS_PER_COMPONENT = 300
_SAMPLE_RESTARTS = 3

_BLOCK_ROWS = 1 << 16


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


def kmeans(
    X: FloatArray,
    n_components: int,
    random_state: np.random.RandomState,
    sample_weight: FloatArray | None,
    n_threads: int,
) -> Blocks:
    """k-means; on a sample of the rows when there are many, and then all rows to the centres."""
    n_rows = X.shape[0]
    size = max(_SAMPLE_ROWS, _SAMPLE_ROWS_PER_COMPONENT * n_components)
    if n_rows <= size:
        k_means = KMeans(n_components, n_init=1, random_state=random_state)
        labels = _fit_k_means(k_means, X, sample_weight).labels_
        return [(slice(None), labels.astype(np.intc, copy=False), None)]
    chosen = np.sort(random_state.choice(n_rows, size=size, replace=False))
    weight = None if sample_weight is None else sample_weight[chosen]
    k_means = KMeans(n_components, n_init=_SAMPLE_RESTARTS, random_state=random_state)
    centres = _fit_k_means(k_means, X[chosen], weight).cluster_centers_
    return [(slice(None), _nearest(X, centres, n_threads), None)]


def _nearest(X: FloatArray, centres: FloatArray, n_threads: int) -> FloatArray:
    """The nearest centre of each row: the most likely of equal spherical components."""
    K = len(centres)
    one = np.ones(K)
    model = GaussianMixtureModel(Spherical(), one / K, np.asarray(centres, np.float64), one, one)
    return model.score(X, n_threads, labels=True)[2].astype(np.intc)


def kmeans_plus_plus(
    X: FloatArray,
    n_components: int,
    random_state: np.random.RandomState,
    sample_weight: FloatArray | None,
    n_threads: int,
) -> Blocks:
    """Rows drawn far from each other, one a component."""
    _, rows = kmeans_plusplus(
        X, n_components, random_state=random_state, sample_weight=sample_weight
    )
    return _labels_only_at(rows, X.shape[0])


def random_from_data(
    X: FloatArray,
    n_components: int,
    random_state: np.random.RandomState,
    sample_weight: FloatArray | None,
    n_threads: int,
) -> Blocks:
    """Rows drawn at random, one a component."""
    probabilities = None if sample_weight is None else sample_weight / sample_weight.sum()
    rows = random_state.choice(X.shape[0], size=n_components, replace=False, p=probabilities)
    return _labels_only_at(rows, X.shape[0])


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


def random(
    X: FloatArray,
    n_components: int,
    random_state: np.random.RandomState,
    sample_weight: FloatArray | None,
    n_threads: int,
) -> Blocks:
    """Random responsibilities: every component begins near the mean of all rows."""
    return _RandomBlocks(X, n_components, random_state)


INITIALIZATIONS: dict[str, Initialization] = {
    "kmeans": kmeans,
    "k-means++": kmeans_plus_plus,
    "random": random,
    "random_from_data": random_from_data,
}
#: the names, for parameter validation and the command line
METHODS = tuple(INITIALIZATIONS)


def given(responsibilities: Any, X: FloatArray, n_components: int) -> Blocks:
    """Responsibilities that the user gave.

    Raises
    ------
    ValueError
        If their shape is not (n_samples, n_components), or a row is negative or does not sum to 1.
    """
    r = np.ascontiguousarray(responsibilities, dtype=X.dtype)
    expected = (X.shape[0], n_components)
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
    return [(slice(None), None, r)]


def initial_blocks(
    method: Any,
    X: FloatArray,
    n_components: int,
    random_state: np.random.RandomState,
    sample_weight: FloatArray | None = None,
    n_threads: int = 1,
) -> Blocks:
    """Labels or responsibilities for the first M-step.

    Parameters
    ----------
    method : str, callable or array of shape (n_samples, n_components)
        A name of `METHODS`; a function `(X, n_components, random_state) -> responsibilities`; or
        the responsibilities themselves.
    X : array of shape (n_samples, n_features)
    n_components : int
    random_state : RandomState
    sample_weight : array of shape (n_samples,), optional
    n_threads : int

    Returns
    -------
    iterable of (rows, labels, responsibilities)
    """
    if isinstance(method, str):
        function = INITIALIZATIONS[method]
        return function(X, n_components, random_state, sample_weight, n_threads)
    if callable(method):
        method = method(X, n_components, random_state)
    return given(method, X, n_components)
