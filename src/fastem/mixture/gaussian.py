"""`GaussianMixture`: scikit-learn's interface over the EM loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions

from .. import em, io
from .._threads import shared_n_threads
from ..acceleration import ACCELERATORS
from ..covariances import COVARIANCES, Covariance
from ..families import AUTO, ConjugatePrior, GaussianMixtureModel
from ..initialization import METHODS
from . import exchange
from .base import FittedMixture
from .fitting import fit
from .report import FitReport
from .tasks import fit_ended

FloatArray = NDArray[Any]


@io.saveable
class GaussianMixture(FittedMixture):
    """Gaussian mixture, fitted by EM on all cores.

    A drop-in for `sklearn.mixture.GaussianMixture`: the same parameters, attributes and defaults,
    with `reg_covar="auto"`, `prior`, `n_threads`, `pack`, `callbacks`, `accelerate` and
    `sample_weight` added.

    Parameters
    ----------
    n_components : int, default=1
        Number of components, K.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        "full": each component has its own matrix; "tied": all share one; "diag": each has its own
        variance for each feature; "spherical": each has one variance.
    tol : float, default=1e-3
        Converged when the mean log-likelihood per sample changes by less in an iteration.
    reg_covar : float or "auto", default=1e-6
        Added to the variances in each iteration, in the squared units of the data. "auto" adds
        1e-6 of the variance of each column (as its interquartile range tells it, so that outliers
        do not matter), and so does the same at any scale of the data.
    max_iter : int, default=100
        EM iterations at most; 0 keeps the initial parameters.
    n_init : int, default=1
        Number of starts; the best result by log-likelihood is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}, callable or array-like of \
shape (n_samples, n_components), default="kmeans"
        Where the first M-step takes its responsibilities from. An array is taken as they are; a
        callable is called as `init_params(X, n_components, random_state)` and returns one. With
        more than 20 000 rows (or 300 a component), "kmeans" finds the centres on a sample of so
        many, the best of several times, and then assigns all rows.
    weights_init : array-like of shape (n_components,), default=None
        Initial weights instead of those of `init_params`.
    means_init : array-like of shape (n_components, n_features), default=None
        Initial means.
    precisions_init : array-like, default=None
        Initial precisions (inverse covariances), in the shape of `precisions_`. With all three
        given, `init_params` is not used.
    random_state : int, RandomState or None, default=None
        Seed of the initialisation and of `sample`.
    warm_start : bool, default=False
        Continue from the parameters of the previous `fit`.
    verbose : int, default=0
        1 prints starts and iterations, 2 also times and changes.
    verbose_interval : int, default=10
        Iterations between two lines printed.
    prior : ConjugatePrior, "auto" or None, default=None
        Fit the most probable parameters under a conjugate prior, instead of the most likely ones,
        so that no component can collapse. "auto" is a weak prior made from the data.
    n_threads : int or None, default=None
        None: OMP_NUM_THREADS if set, else the physical cores this process may use. -1: all CPUs.
        The result is the same to the last bit for any number.
    pack : bool, default=True
        Keep a copy of the data while fitting, in the order and layout that are read fastest. False
        takes little memory beyond the data, for data that nearly fill it (but for
        `init_params="k-means++"`, which copies all rows); an iteration takes longer, on separated
        clusters several times, since pairs of a row and a component that cannot matter are found by
        their neighbours in that order.
    callbacks : sequence of callable or None, default=None
        Each is called after each iteration as `callback(iteration, log_likelihood, change)` with
        the total log-likelihood; one that returns True stops the fit, which keeps its result.
    accelerate : {"squarem", "anderson"} or None, default=None
        Jump ahead where EM is slow, as it is with overlapping components: points are proposed in an
        unconstrained parametrisation, and taken only if the log-likelihood there is not lower. The
        limits are those of EM, and a plain EM step must meet `tol`; but since `tol` stops plain EM
        where it is slow, an accelerated fit often ends higher. `fastem.acceleration` describes the
        methods. A proposal that is refused costs an E-step, which `n_iter_` does not count.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Share of each component.
    means_ : ndarray of shape (n_components, n_features)
        Mean of each component.
    covariances_ : ndarray
        (n_components, n_features, n_features) for "full", (n_features, n_features) for "tied",
        (n_components, n_features) for "diag", (n_components,) for "spherical".
    precisions_ : ndarray
        Inverse covariances, in the same shape.
    precisions_cholesky_ : ndarray
        Upper triangular U with precision = U U^T; 1 / sd for "diag" and "spherical".
    covariance_type_ : str
        The `covariance_type` that was fitted.
    converged_ : bool
        Whether the tolerance was met.
    stop_reason_ : str
        "tolerance", "max_iter", "likelihood_decreased" or "interrupted" (by a callback).
    n_iter_ : int
        Iterations of the best start.
    lower_bound_ : float
        Mean log-likelihood per sample in the last iteration of the best start; with a prior, the
        log of its density, up to a constant, is part of it.
    lower_bounds_ : list of float
        The same, of each iteration.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of str
        Their names, where X had names.
    fit_report_ : FitReport
        What happened, to print: why it stopped, starts that were dropped, components that are empty
        or that only `reg_covar` keeps from collapsing, constant columns, times.

    References
    ----------
    Dempster, Laird, Rubin (1977), JRSS B 39, 1-38. McLachlan, Peel (2000), Finite Mixture Models.

    Examples
    --------
    >>> import numpy as np
    >>> from fastem import GaussianMixture
    >>> X = np.array([[0, 2], [2, 2], [1, 4], [1, 0], [9, 2], [11, 2], [10, 4], [10, 0]])
    >>> model = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> sorted(model.means_[:, 0].round(6).tolist())
    [1.0, 10.0]
    >>> labels = model.predict([[0, 0], [12, 3]])
    >>> bool(labels[0] != labels[1])
    True
    """

    means_: FloatArray
    covariances_: FloatArray
    precisions_: FloatArray
    precisions_cholesky_: FloatArray
    covariance_type_: str
    fit_report_: FitReport

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(COVARIANCES))],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left"), StrOptions({AUTO})],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions(set(METHODS)), callable, "array-like"],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "prior": [ConjugatePrior, StrOptions({AUTO}), None],
        "n_threads": [Integral, None],
        "pack": ["boolean"],
        "callbacks": [list, tuple, None],
        "accelerate": [StrOptions(set(ACCELERATORS)), None],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float | str = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str | ArrayLike | Callable[..., ArrayLike] = "kmeans",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        prior: ConjugatePrior | str | None = None,
        n_threads: int | None = None,
        pack: bool = True,
        callbacks: Sequence[em.Callback] | None = None,
        accelerate: str | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.prior = prior
        self.n_threads = n_threads
        self.pack = pack
        self.callbacks = callbacks
        self.accelerate = accelerate

    # --- fitting ------------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the mixture: the best of `n_init` starts.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data: float64, float32 (kept, with sums in double), or what converts to float64.
        y : ignored
            Present by scikit-learn's convention.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of 0 removes the row, an integer repeats it.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the data, the weights or a parameter cannot be used; the message names what and how
            to mend it. The estimator keeps the model it had.
        IllDefinedCovarianceError
            If a component collapsed and `reg_covar` is too small to hold it (a ValueError).
        """
        self._fit(X, sample_weight)
        return self

    def fit_predict(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Fit, then the most probable component of each row: `fit(X).predict(X)`.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        return self._score_rows(self._fit(X, sample_weight), labels=True)[2]

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def _fit(self, X: Any, sample_weight: Any) -> FloatArray:
        """Fit and set the attributes, all at once at the end; returns the validated data."""
        with shared_n_threads(self.n_threads) as n_threads:
            outcome = fit(self, X, sample_weight, n_threads)
        outcome.report.warn(self.max_iter)
        self.__dict__.update(outcome.attributes)
        if "feature_names_in_" not in outcome.attributes:
            self.__dict__.pop("feature_names_in_", None)
        fit_ended(self, outcome.given)
        return outcome.X

    @property
    def _structure(self) -> Covariance:
        return COVARIANCES[self.covariance_type]

    @property
    def _fitted_structure(self) -> Covariance:
        """Of the fitted parameters, whatever `covariance_type` has been set to since."""
        return COVARIANCES[getattr(self, "covariance_type_", self.covariance_type)]

    def _fitted_model(self) -> GaussianMixtureModel:
        now = dict(vars(self))  # of one fit, whatever another thread fits meanwhile
        weights, means, covariances, factors = (
            np.ascontiguousarray(now[name], dtype=np.float64)
            for name in ("weights_", "means_", "covariances_", "precisions_cholesky_")
        )
        return GaussianMixtureModel(
            COVARIANCES[now.get("covariance_type_", self.covariance_type)],
            weights,
            means,
            covariances,
            factors,
        )

    def _n_parameters(self) -> int:
        """Free parameters: covariances, means, and the weights but one."""
        K, D = self.means_.shape
        return self._fitted_structure.n_parameters(K, D) + K * D + K - 1

    def _score_rows(
        self, X: FloatArray, **wanted: bool
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        with shared_n_threads(self.n_threads) as n_threads:
            return self._fitted_model().score(X, n_threads, **wanted)

    def _draw(self, k: int, n_samples: int, random_state: np.random.RandomState) -> FloatArray:
        return self._fitted_structure.sample(
            k, n_samples, self.covariances_, random_state, np.asarray(self.means_)
        )

    # --- exchange -----------------------------------------------------------------------------

    def to_sklearn(self) -> Any:
        """The same model as a `sklearn.mixture.GaussianMixture`, fitted where this one is."""
        return exchange.to_sklearn(self)

    @classmethod
    def from_sklearn(cls, model: Any) -> Self:
        """A model from a `sklearn.mixture.GaussianMixture`, fitted where that one is.

        Parameters
        ----------
        model : sklearn.mixture.GaussianMixture

        Returns
        -------
        GaussianMixture

        Raises
        ------
        TypeError
            If `model` is something else.
        """
        return exchange.from_sklearn(cls, model)

    def _get_state(self) -> tuple[dict[str, FloatArray], dict[str, Any]]:
        return exchange.get_state(self)

    @classmethod
    def _from_state(cls, arrays: dict[str, FloatArray], metadata: dict[str, Any]) -> Self:
        return exchange.from_state(cls, arrays, metadata)
