"""`Mixture`: of any families, with scikit-learn's interface."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context, clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .. import em, io
from .._threads import shared_n_threads
from ..families import Family
from ..families.mixtures import FamilyMixture
from ..initialization import METHODS
from . import family_exchange
from .base import FittedMixture
from .criteria import CRITERIA, icl
from .family_fit import fit, known_attributes
from .formula import formula_of, parsed

FloatArray = NDArray[Any]


@io.saveable
class Mixture(FittedMixture):
    """Mixture of distributions of any family, fitted by EM on all cores.

    The density is sum_k w_k p_k(x), each p_k a distribution of its family. Each M-step is the
    weighted maximum likelihood of the family; mixtures of one exponential family, of normals or
    multivariate normals run in the compiled kernels, the others in NumPy.

    Parameters
    ----------
    family : Family, its class, its name or a list of these, default="Normal"
        The family of all components, such as `families.Poisson()` or "Poisson"; or one for each
        component. A family of one variable is taken for each column of the data. One with
        parameters is where EM begins.
    n_components : int or None, default=None
        Number of components, K; None: as many as there are families in the list, else 1.
    tol : float, default=1e-6
        Converged when the mean log-likelihood per sample changes by less in an iteration.
    max_iter : int, default=1000
        EM iterations at most; 0 keeps the initial parameters.
    n_init : int, default=1
        Number of starts; the best result by log-likelihood is kept. With several families each
        start gives the clusters to them in another order.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}, callable or array-like of \
shape (n_samples, n_components), default="kmeans"
        Where the first M-step takes its responsibilities from: clusters of the standardised
        columns, or what an array or a callable `init_params(X, n_components, random_state)` gives.
        Not used where the families have parameters.
    weights_init : array-like of shape (n_components,), default=None
        Initial weights where the families have parameters; by default all the same.
    accelerate : {"squarem", "anderson"} or None, default=None
        Extrapolate EM's steps; see `fastem.em.run`.
    random_state : int, RandomState or None, default=None
        Seed of the initialisation and of `sample`.
    warm_start : bool, default=False
        Continue from the parameters of the previous `fit`.
    verbose : int, default=0
        1 prints starts and iterations, 2 also times and changes.
    verbose_interval : int, default=10
        Iterations between two lines printed.
    n_threads : int or None, default=None
        As for `GaussianMixture`. The result is the same to the last bit for any number.
    callbacks : sequence of callable or None, default=None
        Each is called after each iteration as `callback(iteration, log_likelihood, change)`; one
        that returns True stops the fit, which keeps its result.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Share of each component.
    components_ : list of Family
        The fitted distributions.
    converged_ : bool
        Whether the tolerance was met.
    stop_reason_ : str
        "tolerance", "max_iter", "likelihood_decreased" or "interrupted" (by a callback).
    n_iter_ : int
        Iterations of the best start.
    lower_bound_ : float
        Mean log-likelihood per sample in the last iteration of the best start.
    lower_bounds_ : list of float
        The same, of each iteration.
    dropped_starts_ : tuple of str
        What went wrong in each start that had to be given up.
    criteria_ : dict of int to float
        After `select`: the criterion for each number of components.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of str
        Their names, where X had names.

    References
    ----------
    McLachlan, Peel (2000), Finite Mixture Models.

    Examples
    --------
    >>> import numpy as np
    >>> from fastem import Mixture
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.poisson(2, 300), rng.poisson(15, 200)])[:, None]
    >>> model = Mixture("Poisson", 2, random_state=0).fit(X)
    >>> sorted(round(float(c.rate)) for c in model.components_)
    [2, 15]
    """

    components_: list[Family]
    dropped_starts_: tuple[str, ...]
    criteria_: dict[int, float]

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "family": [Family, type, str, list, tuple],
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions(set(METHODS)), callable, "array-like"],
        "weights_init": ["array-like", None],
        "accelerate": [StrOptions({"squarem", "anderson"}), None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "n_threads": [Integral, None],
        "callbacks": [list, tuple, None],
    }

    def __init__(
        self,
        family: Family | str | Sequence[Family | str] = "Normal",
        n_components: int | None = None,
        *,
        tol: float = 1e-6,
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: str | ArrayLike | Callable[..., ArrayLike] = "kmeans",
        weights_init: ArrayLike | None = None,
        accelerate: str | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        callbacks: Sequence[em.Callback] | None = None,
    ) -> None:
        self.family = family
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.accelerate = accelerate
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads
        self.callbacks = callbacks

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(
        self,
        X: ArrayLike,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
    ) -> Self:
        """Fit the mixture: the best of `n_init` starts.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            The response, where the families are regressions; `predict`, `score` and the like then
            take rows with the response as the last column. Else ignored, by scikit-learn's
            convention (known components are given as `labels`).
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of 0 removes the row, an integer repeats it.
        labels : array-like of shape (n_samples,), default=None
            The component of each row where it is known, from 0, and -1 where it is not.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the data, the weights or a parameter cannot be used; the message names what and how
            to mend it. The estimator keeps the model it had.
        DegenerateFitError
            If a component collapsed in every start, so that the likelihood has no maximum.
        """
        with shared_n_threads(self.n_threads) as n_threads:
            attributes = fit(self, X, y, sample_weight, labels, n_threads)
        for name in ("feature_names_in_", "criteria_"):
            self.__dict__.pop(name, None)
        self.__dict__.update(attributes)
        return self

    def fit_predict(
        self,
        X: ArrayLike,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
    ) -> NDArray[Any]:
        """Fit, then the most probable component of each row: `fit(X).predict(X)`.

        Parameters
        ----------
        X, y, sample_weight, labels
            As for `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        return self.fit(X, y, sample_weight, labels).predict(X)

    def select(
        self,
        X: ArrayLike,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        n_components: Iterable[int] = range(1, 7),
        criterion: str = "bic",
    ) -> Self:
        """Fit each of some numbers of components, and keep the best.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        n_components : iterable of int, default=range(1, 7)
            For one family.
        criterion : {"bic", "aic", "icl"}, default="bic"
            "icl" is BIC plus twice the entropy of the responsibilities: it prefers clusters that
            are apart (Biernacki, Celeux, Govaert 2000).

        Returns
        -------
        self
            With the best `n_components` set, its fit, and `criteria_`.

        Raises
        ------
        ValueError
            If `criterion` is not known, no number of components is given, or `family` is a list.
        """
        if criterion not in CRITERIA:
            raise ValueError(f"criterion={criterion!r} is not one of {', '.join(CRITERIA)}")
        if isinstance(n_components, Integral):
            raise ValueError(
                f"n_components: give several numbers to choose from, such as range(1, "
                f"{n_components + 1}), not {n_components}"
            )
        if isinstance(self.family, list | tuple):
            raise ValueError(
                "select chooses a number of components of one family, but family is a list: it "
                "says how many there are"
            )
        fitted = {
            int(k): clone(self).set_params(n_components=int(k)).fit(X, y, sample_weight)
            for k in n_components
        }
        if not fitted:
            raise ValueError("n_components: give one number of components at least, such as (1, 2)")
        cost = CRITERIA[criterion]
        criteria = {k: cost(model, X, y, sample_weight) for k, model in fitted.items()}
        best = min(criteria, key=lambda k: criteria[k])
        self.__dict__.update(fitted[best].__dict__)
        self.criteria_ = criteria
        return self

    def icl(self, X: ArrayLike) -> float:
        """Integrated completed likelihood, BIC + 2 entropy: lower is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        icl : float

        References
        ----------
        Biernacki, Celeux, Govaert (2000), IEEE Transactions on Pattern Analysis and Machine
        Intelligence 22, 719-725.
        """
        return icl(self, X, None, None)

    # --- the fitted model ---------------------------------------------------------------------

    @property
    def _model(self) -> FamilyMixture:
        return FamilyMixture.of(np.asarray(self.weights_), self.components_)

    def _validated(self, X: ArrayLike) -> FloatArray:
        check_is_fitted(self)
        conditional = any(component.conditional for component in self.components_)
        if conditional and np.shape(X)[1:] == (self.n_features_in_ - 1,):
            raise ValueError(
                "rows of a mixture of regressions are covariates with the response as the last "
                "column: give np.column_stack([X, y])"
            )
        return super()._validated(X)

    def _n_parameters(self) -> int:
        return self._model.n_parameters

    def _score_rows(
        self, X: FloatArray, **wanted: bool
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        with shared_n_threads(self.n_threads) as n_threads:
            return self._model.score(np.asarray(X, dtype=np.float64), n_threads, **wanted)

    def _draw(self, k: int, n_samples: int, random_state: np.random.RandomState) -> FloatArray:
        return self.components_[k].members().draw(n_samples, random_state)

    @classmethod
    def from_string(cls, text: str, **parameters: Any) -> Self:
        """A known mixture from a formula, to sample from, to evaluate, or to fit back.

        Parameters
        ----------
        text : str
            Such as "0.7*N(7, 0.5**2) + 0.3*N(10, 0.5**2)", or "0.5*Poisson(2) + 0.5*Poisson(9)":
            weights that sum to 1, and distributions by the names of their families with their
            parameters in order, or by name. N(mean, variance) is the normal distribution.
        **parameters
            Of the estimator.

        Returns
        -------
        Mixture
            As if fitted to these parameters. `fit` begins anew, with the families of the formula.

        Raises
        ------
        ValueError
            If the formula cannot be read; the message shows what is wrong.

        Examples
        --------
        >>> from fastem import Mixture
        >>> model = Mixture.from_string("0.7*N(7, 0.5**2) + 0.3*N(10, 0.5**2)", random_state=0)
        >>> print(model)
        0.7*N(7, 0.5**2) + 0.3*N(10, 0.5**2)
        >>> X, labels = model.sample(1000)
        >>> print(round(float(model.fit(X).weights_.max()), 1))
        0.7
        """
        weights, components = parsed(text)
        families = [component.blank() for component in components]
        alike = len({family.kind for family in families}) == 1
        mixture = cls(families[0] if alike else families, len(families), **parameters)
        mixture.__dict__.update(known_attributes(weights, components))
        return mixture

    def formula(self, digits: int | None = None) -> str:
        """The fitted mixture as a formula; see `from_string`.

        Parameters
        ----------
        digits : int, optional
            Significant digits; by default as many as make the same numbers when it is read. `print`
            shows 6.

        Returns
        -------
        formula : str
        """
        check_is_fitted(self)
        return formula_of(self.weights_, self.components_, digits)

    def _get_state(self) -> tuple[dict[str, FloatArray], dict[str, Any]]:
        return family_exchange.get_state(self)

    @classmethod
    def _from_state(cls, arrays: dict[str, FloatArray], metadata: dict[str, Any]) -> Self:
        mixture: Self = family_exchange.from_state(cls, arrays, metadata)
        return mixture

    def __str__(self) -> str:
        return self.formula(6) if hasattr(self, "components_") else repr(self)
