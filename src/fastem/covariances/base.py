"""What a covariance structure is: the statistics it needs and the maximum it makes of them.

To add one, write a file beside this with a subclass of `Covariance` and give it a line in
`covariances/__init__.py`. Its `kernel` is the kernel whose log-density and statistics serve it; a
structure that pools or constrains what an existing kernel gives needs no C++ (see CONTRIBUTING.md).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .._kernels import kernels
from .._kernels.many import AnyWorkspace
from .._kernels.threads import granted
from ..exceptions import ILL_DEFINED, IllDefinedCovarianceError

FloatArray = NDArray[Any]

# K D^3 below this is factorised faster than a second thread starts
_SERIAL_FACTORISATION = 2_000_000


class Covariance(ABC):
    """A covariance structure of K components in D dimensions.

    Stateless: arrays go in and come out. Shapes of covariances, precisions and their Cholesky
    factors are scikit-learn's for the same name.

    Many mixtures at once are the same arrays with one more axis before all others: whatever EM
    calls in each iteration indexes axes from the end, and so need not know of it.
    """

    #: the name users give, scikit-learn's where it has one
    name: ClassVar[str]
    #: code of the kernel that computes log-densities and statistics
    kernel: ClassVar[int]

    # --- shapes -------------------------------------------------------------------------------

    @abstractmethod
    def shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """Shape of covariances, precisions and precisions_cholesky."""

    @abstractmethod
    def n_parameters(self, n_components: int, n_features: int) -> int:
        """Free parameters of the covariances."""

    def kernel_precisions(self, precisions_cholesky: FloatArray, n_components: int) -> FloatArray:
        """The factors in the shape that the kernel takes: one a component, unless it is tied.

        Axes before those of `shape` are kept.
        """
        return precisions_cholesky

    @property
    def own(self) -> bool:
        """Whether each component has a covariance of its own."""
        return self.shape(2, 3)[0] == 2

    # --- the triple ---------------------------------------------------------------------------

    def accumulate(
        self,
        workspace: AnyWorkspace,
        parameters: dict[str, FloatArray],
        labels: FloatArray | None = None,
        responsibilities: FloatArray | None = None,
        about: FloatArray | None = None,
    ) -> tuple[FloatArray, FloatArray, FloatArray, Any]:
        """One pass over the data: counts (K,), first (K, D) and second moments.

        See `Workspace.accumulate` for the parameters. The shape of the second moments is what
        `estimate` takes.
        """
        return workspace.accumulate(parameters, labels, responsibilities, about)

    def shaped(self, second: FloatArray, n_features: int) -> FloatArray:
        """The second moments that `accumulate` returns, in the shape of the covariances."""
        return second

    @abstractmethod
    def moments(self, counts: FloatArray, offsets: FloatArray) -> FloatArray:
        """sum n d d^T for n points at the offset d of each component, in that shape."""

    def pooled(self, counts: FloatArray) -> FloatArray:
        """The counts that a covariance is divided by: those of all components that share it."""
        return counts

    def features_pooled(self, n_features: int) -> int:
        """How many features share one variance."""
        return 1

    def divisors(self, counts: FloatArray, n_features: int) -> FloatArray:
        """What `estimate` divides by: how many squares were summed for each covariance."""
        pooled, n = self.pooled(counts), self.features_pooled(n_features)
        return pooled if n == 1 else pooled * n

    @abstractmethod
    def prior_divisor(self, degrees_of_freedom: float, n_components: int, n_features: int) -> float:
        """What a conjugate prior adds to each of the divisors; see `families.regularisation`."""

    @abstractmethod
    def prior_scale(self, variances: FloatArray) -> FloatArray:
        """The scale of a prior that expects these variances of the features.

        In the shape of the covariances of one component.
        """

    @abstractmethod
    def whiten(self, rows: FloatArray, precisions_cholesky: FloatArray) -> FloatArray:
        """Rows times the factors, (n_components or 1, n_rows, n_features).

        `rows` has the same shape: those of each component, or of all.
        """

    @abstractmethod
    def estimate(self, scatter: FloatArray, divisors: FloatArray, ridge: FloatArray) -> FloatArray:
        """The covariances: scatter about the new means, divided, the ridge added.

        Parameters
        ----------
        scatter : array in the shape of the covariances
        divisors : array
            See `divisors`.
        ridge : array
            From `diagonal`.
        """

    @abstractmethod
    def diagonal(self, variances: FloatArray) -> FloatArray:
        """Variances of the features (n_features,) as they are added to those of covariances."""

    @abstractmethod
    def held(self, ridge: FloatArray, precisions_cholesky: FloatArray) -> FloatArray:
        """tr(ridge x precision) of each covariance, in the shape of `pooled`.

        About the number of directions in which nothing but the ridge holds a variance up.
        """

    @abstractmethod
    def most_held(self, ridge: FloatArray, precisions_cholesky: FloatArray) -> FloatArray:
        """The largest share of a variance that is the ridge, in any direction; as `held`."""

    @abstractmethod
    def shares(
        self, counts: FloatArray, offsets: FloatArray, second: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """What the way of the means contributes to the second moments, and the whole.

        Two arrays of one shape: sums of n offset^2, and the diagonal of `second`. Where they are
        nearly equal, taking one from the other would leave few digits.
        """

    # --- factors ------------------------------------------------------------------------------

    @abstractmethod
    def factorise(
        self, covariances: FloatArray, n_threads: int = 1
    ) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Upper triangular factors P with precision = P P^T (or 1 / sd), and which are good.

        A factor is good where its covariance is positive definite; the others hold anything. The
        shape of the second array is that of the first without the axes of a matrix.
        """

    def precisions_cholesky(self, covariances: FloatArray, n_threads: int = 1) -> FloatArray:
        """The factors of one mixture, all good.

        Raises
        ------
        IllDefinedCovarianceError
            If a covariance is not positive definite; it names the component.
        """
        factors, good = self.factorise(covariances, n_threads)
        if np.count_nonzero(good) < np.size(good):
            first = tuple(np.argwhere(~good)[0])
            raise ill_defined(
                int(first[0]) if self.own else None, len(covariances), covariances[first]
            )
        return factors

    @abstractmethod
    def precisions(self, precisions_cholesky: FloatArray) -> FloatArray:
        """Precisions from their factors."""

    @abstractmethod
    def factor_precisions(self, precisions: FloatArray) -> FloatArray:
        """Factors of precisions that a user gave: the inverse of `precisions`.

        Raises
        ------
        ValueError
            If one is not symmetric and positive definite.
        """

    @abstractmethod
    def covariances(self, precisions_cholesky: FloatArray) -> FloatArray:
        """Covariances from the factors of the precisions."""

    @abstractmethod
    def log_determinants(self, precisions_cholesky: FloatArray, n_features: int) -> FloatArray:
        """`log |P_k|`: half the log-determinants of the precisions, (K,), or (1,) where shared."""

    @abstractmethod
    def unconstrained(self, precisions_cholesky: FloatArray) -> FloatArray:
        """The factors of one mixture as numbers (n,) of which any are factors."""

    @abstractmethod
    def from_unconstrained(
        self, numbers: FloatArray, n_components: int, n_features: int
    ) -> FloatArray:
        """The factors of one mixture: the inverse of `unconstrained`."""

    @abstractmethod
    def matrices(self, covariances: FloatArray, n_components: int, n_features: int) -> FloatArray:
        """The covariances written out, (n_components, n_features, n_features)."""

    @abstractmethod
    def compact(self, matrices: FloatArray) -> FloatArray:
        """Matrices of this structure, (K, D, D), in its shape: the inverse of `matrices`."""

    @abstractmethod
    def scatter(self, rows: FloatArray, weights: FloatArray) -> FloatArray:
        """sum w d d^T of rows (n, D) with weights (n,), in the shape of one covariance."""

    @abstractmethod
    def estimates_covariance(self, matrix: FloatArray, weight: float, whole: bool) -> FloatArray:
        """Covariance of the entries of one fitted matrix (D, D), (D^2, D^2); or its diagonal.

        Of s_ij and s_kl (s_ik s_jl + s_il s_jk) / weight, as far as the structure has them free
        (Mardia, Kent, Bibby 1979, Multivariate Analysis, section 4.2).
        """

    def sample(
        self,
        component: int,
        n_samples: int,
        covariances: FloatArray,
        random_state: np.random.RandomState,
        means: FloatArray,
    ) -> FloatArray:
        """Draws from one component, (n_samples, n_features)."""
        n_components, n_features = means.shape
        matrix = self.matrices(covariances, n_components, n_features)[component]
        return random_state.multivariate_normal(means[component], matrix, n_samples)


def _spread(divisors: FloatArray, scatter: FloatArray) -> FloatArray:
    """Divisors with axes of length 1 behind them, one for each axis of a covariance."""
    return divisors.reshape(divisors.shape + (1,) * (scatter.ndim - divisors.ndim))


class AxisAligned(Covariance):
    """A structure without products between features: variances, and standard deviations."""

    def scatter(self, rows: FloatArray, weights: FloatArray) -> FloatArray:
        return np.asarray(weights @ np.square(rows))

    def estimate(self, scatter: FloatArray, divisors: FloatArray, ridge: FloatArray) -> FloatArray:
        # rounding can take a collapsed variance just below 0
        variances: FloatArray = np.maximum(scatter / _spread(divisors, scatter), 0.0) + ridge
        return variances

    def shares(
        self, counts: FloatArray, offsets: FloatArray, second: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        return self.moments(counts, offsets), self.shaped(second, offsets.shape[-1])

    def factorise(
        self, covariances: FloatArray, n_threads: int = 1
    ) -> tuple[FloatArray, NDArray[np.bool_]]:
        good = (covariances > 0) & (covariances < np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            return 1.0 / np.sqrt(covariances), good

    def precisions(self, precisions_cholesky: FloatArray) -> FloatArray:
        return np.square(precisions_cholesky)

    def factor_precisions(self, precisions: FloatArray) -> FloatArray:
        if np.any(precisions <= 0):
            raise ValueError(
                f"'{self.name} precision' should be positive, but precisions_init holds "
                f"{precisions.min()}"
            )
        return np.sqrt(precisions)

    def covariances(self, precisions_cholesky: FloatArray) -> FloatArray:
        return 1.0 / np.square(precisions_cholesky)

    def unconstrained(self, precisions_cholesky: FloatArray) -> FloatArray:
        return np.log(precisions_cholesky).ravel()

    def from_unconstrained(
        self, numbers: FloatArray, n_components: int, n_features: int
    ) -> FloatArray:
        return np.exp(numbers).reshape(self.shape(n_components, n_features))

    def estimates_covariance(self, matrix: FloatArray, weight: float, whole: bool) -> FloatArray:
        D = len(matrix)
        of_diagonal = self.variances_covariance(matrix.diagonal(), weight)
        places = np.arange(D) * (D + 1)
        if not whole:
            variances = np.zeros(D * D)
            variances[places] = of_diagonal.diagonal()
            return variances
        result = np.zeros((D * D, D * D))
        result[np.ix_(places, places)] = of_diagonal
        return result

    def variances_covariance(self, variances: FloatArray, weight: float) -> FloatArray:
        """Covariance of the fitted variances (D,), (D, D)."""
        return np.diag(2 * np.square(variances) / weight)

    def sample(
        self,
        component: int,
        n_samples: int,
        covariances: FloatArray,
        random_state: np.random.RandomState,
        means: FloatArray,
    ) -> FloatArray:
        n_components, n_features = means.shape
        matrix = self.matrices(covariances, n_components, n_features)[component]
        noise = random_state.standard_normal(size=(n_samples, n_features))
        return means[component] + noise * np.sqrt(np.diagonal(matrix))


def ill_defined(
    component: int | None, n_components: int, covariance: FloatArray
) -> IllDefinedCovarianceError:
    """The error for a covariance that is not positive definite; component None: all share it."""
    which = (
        "the covariance that all components share"
        if component is None
        else f"component {component} of {n_components} (counted from 0)"
    )
    if not np.isfinite(covariance).all():
        return IllDefinedCovarianceError(
            f"{ILL_DEFINED}: the squares of the data are too large for floating-point numbers, and "
            f"{which} overflowed. Scale the input data, or remove rows of extreme magnitude.",
            component,
        )
    return IllDefinedCovarianceError(
        f"{ILL_DEFINED} (for instance caused by singleton or collapsed samples). Try to decrease "
        "the number of components, increase reg_covar, or scale the input data. Or set a prior. At "
        f"fault is {which}: its points are too few, identical, or lie on a line or plane"
        f"{_condition(covariance)}.",
        component,
    )


def _condition(covariance: FloatArray) -> str:
    if np.ndim(covariance) < 2:
        return ""
    with np.errstate(divide="ignore", invalid="ignore"):
        return f", with a condition number of {np.linalg.cond(covariance):.2g}"


class Matrices(Covariance):
    """A structure of whole matrices, whether each component has its own or not."""

    def estimate(self, scatter: FloatArray, divisors: FloatArray, ridge: FloatArray) -> FloatArray:
        covariances: FloatArray = scatter / _spread(divisors, scatter)
        D = scatter.shape[-1]
        covariances.reshape(*scatter.shape[:-2], D * D)[..., :: D + 1] += ridge
        return covariances

    def estimates_covariance(self, matrix: FloatArray, weight: float, whole: bool) -> FloatArray:
        if not whole:
            scales = matrix.diagonal()
            return np.asarray((np.outer(scales, scales) + np.square(matrix)) / weight).ravel()
        size = matrix.size
        result = matrix[:, None, :, None] * matrix[None, :, None, :]  # i, j, k, l
        result += matrix[:, None, None, :] * matrix[None, :, :, None]
        result /= weight
        return np.asarray(result.reshape(size, size))

    def prior_scale(self, variances: FloatArray) -> FloatArray:
        return np.diag(variances)

    def scatter(self, rows: FloatArray, weights: FloatArray) -> FloatArray:
        # X^T X of one array is exactly symmetric, and half the work
        scaled = rows * np.sqrt(weights)[:, None]
        return scaled.T @ scaled

    def whiten(self, rows: FloatArray, precisions_cholesky: FloatArray) -> FloatArray:
        return np.matmul(rows, precisions_cholesky)

    def held(self, ridge: FloatArray, precisions_cholesky: FloatArray) -> FloatArray:
        variances = np.square(precisions_cholesky).sum(axis=-1)  # of the precision: its diagonal
        held: FloatArray = (ridge * variances).sum(axis=-1)
        return held

    def most_held(self, ridge: FloatArray, precisions_cholesky: FloatArray) -> FloatArray:
        # The largest eigenvalue is at most the trace, which is nearly always small enough.
        held = np.asarray(self.held(ridge, precisions_cholesky))
        for i in map(tuple, np.argwhere(held >= 0.5)) if held.max() >= 0.5 else ():
            scaled = np.sqrt(np.broadcast_to(ridge, precisions_cholesky.shape[:-1])[i])[:, None]
            held[i] = np.linalg.norm(scaled * precisions_cholesky[i], ord=2) ** 2
        return held

    def factorise(
        self, covariances: FloatArray, n_threads: int = 1
    ) -> tuple[FloatArray, NDArray[np.bool_]]:
        D = covariances.shape[-1]
        scratch = np.array(covariances, np.float64, order="C").reshape(-1, D, D)
        factors = np.empty(covariances.shape)
        large = len(scratch) * D**3 > _SERIAL_FACTORISATION
        threads = granted(min(n_threads, len(scratch))) if large else 1
        kernels.inverse_cholesky(scratch, factors.reshape(-1, D, D), threads)
        return factors, factors[..., 0, 0] > 0  # the kernel marks those at fault there

    def precisions(self, precisions_cholesky: FloatArray) -> FloatArray:
        return precisions_cholesky @ np.swapaxes(precisions_cholesky, -1, -2)

    def covariances(self, precisions_cholesky: FloatArray) -> FloatArray:
        inverse = np.linalg.inv(precisions_cholesky)
        return np.swapaxes(inverse, -1, -2) @ inverse

    def unconstrained(self, precisions_cholesky: FloatArray) -> FloatArray:
        """Logarithms of the diagonals, and each column over its diagonal (Pourahmadi 1999,
        Biometrika 86, 677-690): a column holds the regression of its feature on those before."""
        D = precisions_cholesky.shape[-1]
        factors = precisions_cholesky.reshape(-1, D, D)
        diagonals = factors.diagonal(0, -2, -1)
        above = (factors / diagonals[:, None, :])[:, *np.triu_indices(D, 1)]
        return np.concatenate([np.log(diagonals).ravel(), above.ravel()])

    def from_unconstrained(
        self, numbers: FloatArray, n_components: int, n_features: int
    ) -> FloatArray:
        D, shape = n_features, self.shape(n_components, n_features)
        diagonals = np.exp(numbers[: math.prod(shape[:-1])].reshape(-1, 1, D))
        factors = np.zeros((len(diagonals), D, D))
        factors[:] = np.eye(D)
        factors[:, *np.triu_indices(D, 1)] = numbers[diagonals.size :].reshape(len(diagonals), -1)
        return np.asarray((factors * diagonals).reshape(shape))


def factor_precision_matrix(precision: FloatArray, name: str) -> FloatArray:
    """Upper triangular P with precision = P P^T of one matrix that a user gave."""
    message = f"'{name} precision' should be symmetric, positive-definite"
    if not np.allclose(precision, precision.T):
        raise ValueError(message)
    try:
        # The factor is upper triangular: factorise with the axes reversed
        return np.ascontiguousarray(np.linalg.cholesky(precision[::-1, ::-1])[::-1, ::-1])
    except np.linalg.LinAlgError:
        raise ValueError(message) from None
