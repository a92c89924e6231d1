"""What a fit maximises beside the likelihood: a ridge under the variances, and a prior."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

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

    The defaults are weak ones taken from the data, those of Fraley and Raftery [1]_.

    Parameters
    ----------
    weight_concentration : float or array-like of shape (n_components,), default=1
        Of the Dirichlet distribution, at least 1. 1 is flat; above it, a component is kept alive
        by as many points more than 1.
    mean : array-like of shape (n_features,), default=None
        Centre of the means. None: the mean of the data.
    mean_precision : float, default=0.01
        How many points the belief in `mean` is worth; 0 leaves the means alone.
    degrees_of_freedom : float, default=None
        Of the inverse Wishart distribution, above n_features - 1. None: n_features + 2.
    scale : array-like, default=None
        Its scale matrix: (n_features, n_features) for "full" and "tied", (n_features,) for "diag",
        a number for "spherical", in squared units of the data. None: the covariance of the data
        divided by n_components^(2 / n_features); for "diag" and "spherical" the mean of its
        diagonal.

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
        D = rows.n_features
        dof = D + 2.0 if self.degrees_of_freedom is None else float(self.degrees_of_freedom)
        concentration = np.asarray(self.weight_concentration, dtype=np.float64)
        shape = structure.shape(1, D)
        of_one = shape[1:] if structure.own else shape
        for name, wrong, rule in (
            ("weight_concentration", not (concentration >= 1).all(), "at least 1 (1 is flat)"),
            ("mean_precision", not self.mean_precision >= 0, "at least 0"),
            ("degrees_of_freedom", not dof > D - 1, f"above n_features - 1 = {D - 1}"),
            (
                "weight_concentration",
                concentration.shape not in ((), (n_components,)),
                f"a number or {n_components} of them, one a component",
            ),
            (
                "mean",
                self.mean is not None and np.shape(self.mean) != (D,),
                f"of shape ({D},)",
            ),
            (
                "scale",
                self.scale is not None and np.shape(self.scale) != of_one,
                f"of shape {of_one} for covariance_type={structure.name!r}",
            ),
            (
                "scale",
                self.scale is not None and not _positive(np.asarray(self.scale)),
                "symmetric and positive definite" if len(of_one) == 2 else "positive",
            ),
        ):
            if wrong:
                raise ValueError(f"prior: {name} must be {rule}, but it is {getattr(self, name)!r}")
        if self.mean is None:
            mean = rows.centre
        else:
            mean = np.ldexp(np.asarray(self.mean, dtype=np.float64), -exponent) - rows.shift
        if self.scale is None:
            scale = structure.prior_scale(rows.covariance) / n_components ** (2.0 / D)
        else:
            scale = np.ldexp(np.asarray(self.scale, dtype=np.float64), -2 * exponent)
        return NormalPrior(
            concentration,
            mean,
            float(self.mean_precision),
            scale.reshape(shape),
            structure.prior_divisor(dof, n_components, D),
        )


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

        (alpha - 1) sum log weight_k + c sum log |P_k| - tr((scale + kappa d d^T) precision) / 2
        with d = mean_k - mean, and c the divisor for each feature that shares a variance.
        """
        structure, n_features = model.structure, model.means.shape[-1]
        coefficient = self.divisor / structure.features_pooled(n_features)
        determinants = structure.log_determinants(model.precisions_cholesky, n_features)
        products = self.moments(structure, model.means) * structure.precisions(
            model.precisions_cholesky
        )
        density = coefficient * determinants.sum(axis=-1)
        density -= 0.5 * products.reshape(*determinants.shape[:-1], -1).sum(axis=-1)
        if np.any(self.concentration != 1):
            density += ((self.concentration - 1) * np.log(model.weights)).sum(axis=-1)
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
            _relative_ridge(rows)
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


def _relative_ridge(rows: Rows) -> FloatArray:
    """1e-6 of the variance of each column, as its interquartile range tells it: an outlier must not
    widen the components of all other rows. Columns of which half the rows are equal have the ridge
    of their variance, and those that are constant the mean of the others'."""
    n, weight = rows.n_rows, rows.sample_weight
    places = (np.arange(_SCALE_ROWS) + 0.5) / _SCALE_ROWS * rows.total_weight
    if weight is None:
        chosen = places.astype(np.intp)
    else:
        chosen = np.minimum(np.cumsum(weight).searchsorted(places, side="right"), n - 1)
    low, high = np.quantile(rows.X[chosen].astype(np.float64), (0.25, 0.75), axis=0)
    variances: FloatArray = np.square((high - low) / _NORMAL_QUARTILES)
    if not variances.all():
        variances = np.where(variances > 0, variances, rows.covariance.diagonal())
    varying = variances > 0
    if not varying.all():
        squares = np.square(np.abs(rows.ranges).max(axis=0))  # all rows are equal
        typical = variances[varying].mean() if varying.any() else squares.max() or 1.0
        variances = np.where(varying, variances, typical)
    return _RELATIVE_RIDGE * variances
