"""What a fit maximises beside the likelihood: a ridge under the variances, and a prior."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy

from .._kernels.rows import Rows
from ..covariances import Covariance
from .statistics import FloatArray

#: what `reg_covar` and `prior` may be instead of a number or a ConjugatePrior
AUTO = "auto"

_RELATIVE_RIDGE = 1e-6
_SCALE_ROWS = 4096
_NORMAL_QUARTILES = 1.3489795003921634  # interquartile range of a standard normal


@dataclass(frozen=True)
class ConjugatePrior:
    """Prior of a Gaussian mixture: fits are then its most probable parameters (MAP).

    The weights have a Dirichlet distribution. Each covariance has an inverse Wishart distribution
    (for a single variance that is an inverse gamma distribution), and given it, each mean is normal
    around `mean` with that covariance over `mean_precision`. A component can then not collapse to
    a few points: its covariance is never below `scale` over (its points + a constant).

    The form, and the weak defaults, are those of Fraley and Raftery [1]_, but for the scale: they
    take the covariance of the data, in which one outlier or one column in other units hides all
    else.

    Parameters
    ----------
    weight_concentration : float or array-like of shape (n_components,), default=1
        Of the Dirichlet distribution, at least 1. 1 is flat; above it, a component is kept alive
        by as many points more than 1.
    mean : array-like of shape (n_features,), default=None
        Centre of the means. None: the medians of the columns.
    mean_precision : float, default=0.01
        How many points the belief in `mean` is worth; 0 leaves the means alone.
    degrees_of_freedom : float, default=None
        Of the inverse Wishart distribution, above n_features - 1. None: n_features + 2.
    scale : array-like, default=None
        Its scale matrix: (n_features, n_features) for "full" and "tied", (n_features,) for "diag",
        a number for "spherical", in squared units of the data. None: of each column the square of
        its interquartile range over 1.35, divided by n_components^(2 / n_features); for
        "spherical" their mean.

    References
    ----------
    .. [1] Fraley, Raftery (2007), Bayesian regularization for normal mixture estimation and
       model-based clustering, Journal of Classification 24, 155-181.
    """

    weight_concentration: float | ArrayLike = 1.0
    mean: ArrayLike | None = None
    mean_precision: float = 0.01
    degrees_of_freedom: float | None = None
    scale: ArrayLike | None = None

    def __post_init__(self) -> None:
        for each in fields(self):  # so that two of them can be compared, and hashed
            object.__setattr__(self, each.name, _tuples(getattr(self, each.name)))

    def resolved(
        self, structure: Covariance, rows: Rows, n_components: int, exponent: int = 0
    ) -> NormalPrior:
        """The prior of a fit to these rows, less their shift.

        Parameters
        ----------
        structure : Covariance
        rows : Rows
        n_components : int
        exponent : int
            The rows are the user's divided by 2^exponent.

        Raises
        ------
        ValueError
            If a parameter cannot be used.
        """
        K, D = n_components, rows.n_features
        shape = structure.shape(1, D)
        of_one = shape[1:] if structure.own else shape
        concentration = self._numbers("weight_concentration", 1.0, [(), (K,)])
        precision = self._numbers("mean_precision", 0.01, [()])
        dof = self._numbers("degrees_of_freedom", D + 2.0, [()])
        self._demand("weight_concentration", (concentration >= 1).all(), "at least 1 (1 is flat)")
        self._demand("mean_precision", precision >= 0, "at least 0")
        self._demand("degrees_of_freedom", dof > D - 1, f"above n_features - 1 = {D - 1}")
        if self.mean is not None:
            mean = np.ldexp(self._numbers("mean", 0.0, [(D,)]), -exponent) - rows.shift
        if self.scale is not None:
            scale = np.ldexp(self._numbers("scale", 0.0, [of_one]), -2 * exponent)
            good = "symmetric and positive definite" if scale.ndim == 2 else "positive"
            self._demand("scale", _positive(scale), good)
        if self.mean is None or self.scale is None:
            medians, variances = column_scales(rows)
            mean = medians if self.mean is None else mean
            if self.scale is None:
                scale = structure.prior_scale(variances) / K ** (2.0 / D)
        return NormalPrior(
            concentration,
            mean,
            float(precision),
            scale.reshape(shape),
            structure.prior_divisor(float(dof), K, D),
        )

    def _numbers(self, name: str, default: float, shapes: list[tuple[int, ...]]) -> FloatArray:
        """A parameter as an array of one of these shapes; its default for None."""
        value = getattr(self, name)
        try:
            array = np.asarray(default if value is None else value, dtype=np.float64)
        except (TypeError, ValueError):
            array = np.full(shapes[0], np.nan)
        wanted = " or ".join(f"of shape {shape}" if shape else "a number" for shape in shapes)
        self._demand(name, array.shape in shapes and np.isfinite(array).all(), f"finite, {wanted}")
        return array

    def _demand(self, name: str, fulfilled: Any, what: str) -> None:
        if not fulfilled:
            raise ValueError(f"prior: {name} must be {what}, but it is {getattr(self, name)!r}")


@dataclass(frozen=True, eq=False)
class NormalPrior:
    """The prior in the coordinates of the rows, for the M-step.

    Of many mixtures at once, `mean` and `scale` have one more axis before all others.

    Parameters
    ----------
    concentration : array of shape () or (n_components,)
    mean : array of shape (n_features,)
    mean_precision : float
    scale : array in the shape of the covariances of one component
    divisor : float
        What it adds to the divisors of the covariances.
    """

    concentration: FloatArray
    mean: FloatArray
    mean_precision: float
    scale: FloatArray
    divisor: float

    def moments(self, structure: Covariance, means: FloatArray) -> FloatArray:
        """Its part in the scatter about these means, in the shape of the covariances."""
        pseudo_counts = np.full(means.shape[:-1], self.mean_precision)
        return self.scale + structure.moments(pseudo_counts, means - self.mean[..., None, :])

    def log_density(self, model: Any) -> Any:
        """Log of its density at the parameters of a mixture, up to a constant.

        `(alpha - 1) sum log weight_k + c sum log |P_k| - tr((scale + kappa d d^T) precision) / 2`
        with d = mean_k - mean, and c the divisor for each feature that shares a variance.
        """
        structure, n_features = model.structure, model.means.shape[-1]
        coefficient = self.divisor / structure.features_pooled(n_features)
        determinants = structure.log_determinants(model.precisions_cholesky, n_features)
        products = self.moments(structure, model.means) * structure.precisions(
            model.precisions_cholesky
        )
        # of the user's covariances, whatever the coordinates
        density = coefficient * (determinants - model.log_volume).sum(axis=-1)
        density -= 0.5 * products.reshape(*determinants.shape[:-1], -1).sum(axis=-1)
        if np.any(self.concentration != 1):
            density += xlogy(self.concentration - 1, model.weights).sum(axis=-1)
        return density


@dataclass(frozen=True, eq=False)
class Regularisation:
    """What an M-step maximises beside the likelihood.

    Parameters
    ----------
    ridge : array of shape (n_features,), default=0
        Added to the variances. Of many mixtures at once, one row for each.
    prior : NormalPrior, optional
    """

    ridge: FloatArray = field(default_factory=lambda: np.zeros(1))
    prior: NormalPrior | None = None

    @classmethod
    def of(
        cls,
        structure: Covariance,
        rows: Rows,
        n_components: int,
        *,
        reg_covar: float | str = 0.0,
        prior: ConjugatePrior | str | None = None,
        exponent: int = 0,
    ) -> Self:
        """Of a fit to these rows, from the parameters that a user gives.

        Parameters
        ----------
        structure, rows, n_components, exponent
            As for `ConjugatePrior.resolved`.
        reg_covar : float or "auto"
        prior : ConjugatePrior, "auto" or None

        Raises
        ------
        ValueError
            If the prior cannot be used.
        """
        ridge = (
            _RELATIVE_RIDGE * column_scales(rows)[1]
            if isinstance(reg_covar, str)
            else np.full(rows.n_features, np.ldexp(float(reg_covar), -2 * exponent))
        )
        if isinstance(prior, str):
            prior = ConjugatePrior()
        if prior is None:
            return cls(ridge)
        return cls(ridge, prior.resolved(structure, rows, n_components, exponent))

    @classmethod
    def stacked(cls, each: list[Self]) -> Self:
        """Of many mixtures, from those of each."""
        ridge = np.stack([one.ridge for one in each])
        priors = [one.prior for one in each if one.prior is not None]
        if not priors:
            return cls(ridge)
        mean, scale = (np.stack([getattr(p, name) for p in priors]) for name in ("mean", "scale"))
        return cls(ridge, replace(priors[0], mean=mean, scale=scale))

    def only(self, chosen: FloatArray | int) -> Self:
        """Of some of many mixtures, or of one."""
        prior = self.prior
        if prior is not None:
            prior = replace(prior, mean=prior.mean[chosen], scale=prior.scale[chosen])
        return type(self)(self.ridge[chosen], prior)


def _positive(scale: FloatArray) -> bool:
    if scale.ndim < 2:
        return bool((scale > 0).all())
    return bool(np.allclose(scale, scale.T) and (np.linalg.eigvalsh(scale) > 0).all())


def column_scales(rows: Rows) -> tuple[FloatArray, FloatArray]:
    """Medians (less the shift) and variances of the columns, as if there were no outliers.

    A variance is (interquartile range / 1.35)^2, which one row at 1e8 deviations does not change;
    where half the rows of a column are equal, the ordinary variance; and where all are, the mean of
    the other columns', or 1.
    """
    X, weight, total = rows.X, rows.sample_weight, rows.total_weight
    if max(rows.n_rows, total) > _SCALE_ROWS:
        # one from each share of the weight, at a place in it that no regular pattern can follow
        offsets = np.random.RandomState(0).random_sample(_SCALE_ROWS)
        places = (np.arange(_SCALE_ROWS) + offsets) / _SCALE_ROWS * total
        if weight is None:
            chosen = places.astype(np.intp)
        else:
            chosen = np.minimum(np.cumsum(weight).searchsorted(places, side="right"), len(X) - 1)
        X, weight = X[chosen], None
    low, median, high = _quantiles(X.astype(np.float64) - rows.shift, weight, (0.25, 0.5, 0.75))
    variances = np.square((high - low) / _NORMAL_QUARTILES)
    if not variances.all():
        variances = np.where(variances > 0, variances, rows.variances)
    varying = variances > 0
    if not varying.all():
        variances[~varying] = variances[varying].mean() if varying.any() else 1.0
    return median, variances


def _quantiles(
    X: FloatArray, weight: FloatArray | None, shares: tuple[float, ...]
) -> list[FloatArray]:
    """Of each column the least number up to which such a share of the weight lies."""
    order = X.argsort(axis=0, kind="stable")
    values = np.take_along_axis(X, order, axis=0)
    cumulated = np.cumsum(np.ones(X.shape) if weight is None else weight[order], axis=0)
    return [
        np.take_along_axis(values, (cumulated >= q * cumulated[-1]).argmax(axis=0)[None], axis=0)[0]
        for q in shares
    ]


def _tuples(value: Any) -> Any:
    """Arrays and lists as tuples, and all else as it is."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value
