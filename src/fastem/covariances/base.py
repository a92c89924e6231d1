"""What a covariance structure is: the statistics it needs and the maximum it makes of them.

To add one, write a file beside this with a subclass of `Covariance` and give it a line in
`covariances/__init__.py`. Its `kernel` is the kernel whose log-density and statistics serve it; a
structure that pools or constrains what an existing kernel gives needs no C++ (see CONTRIBUTING.md).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .._kernels import kernels
from .._kernels.many import AnyWorkspace
from .._kernels.threads import granted
from ..exceptions import IllDefinedCovarianceError

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

    @abstractmethod
    def estimate(
        self, counts: FloatArray, offsets: FloatArray, second: FloatArray, reg_covar: float
    ) -> FloatArray:
        """The weighted maximum-likelihood covariances.

        Parameters
        ----------
        counts : array of shape (n_components,)
            Sums of responsibilities.
        offsets : array of shape (n_components, n_features)
            New means less the means that the moments are about.
        second : array
            Second moments, from `accumulate`.
        reg_covar : float
            Added to the variances.
        """

    @abstractmethod
    def shares(
        self, counts: FloatArray, offsets: FloatArray, second: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """What the way of the means contributes to the second moments, and the whole.

        Two arrays of one shape: sums of n offset^2, and the diagonal of `second`. Where they are
        nearly equal, `estimate` would take one large number from another.
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
            # whether the first axis is the components, or something that they share
            own = self.shape(2, 3)[0] == 2
            raise ill_defined(int(first[0]) if own else None, len(covariances), covariances[first])
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
        """log |P_k|: half the log-determinants of the precisions, (K,), or (1,) where shared."""

    @abstractmethod
    def precision_traces(self, precisions_cholesky: FloatArray, n_features: int) -> FloatArray:
        """Traces of the precision matrices, (K,), or (1,) where they are shared."""

    @abstractmethod
    def matrices(self, covariances: FloatArray, n_components: int, n_features: int) -> FloatArray:
        """The covariances written out, (n_components, n_features, n_features)."""

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


class AxisAligned(Covariance):
    """A structure without products between features: variances, and standard deviations."""

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
        "the shared covariance"
        if component is None
        else f"component {component} of {n_components}, counted from 0,"
    )
    opening = "Fitting the mixture model failed because some components have ill-defined empirical "
    if not np.isfinite(covariance).all():
        return IllDefinedCovarianceError(
            f"{opening}covariance ({which} overflowed: the squares of the data are too large for "
            "floating-point numbers). Scale the input data, or remove rows of extreme magnitude.",
            component,
        )
    return IllDefinedCovarianceError(
        f"{opening}covariance ({which} is not positive definite: its points are too few, "
        "identical, or lie on a line or plane). Try to decrease the number of components, increase "
        "reg_covar, or scale the input data.",
        component,
    )


class Matrices(Covariance):
    """A structure of whole matrices, whether each component has its own or not."""

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
