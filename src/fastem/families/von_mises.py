"""Von Mises distribution of angles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import i0e

from .base import FloatArray, collapsed, degenerate
from .differences import bessel_ratio
from .domains import NON_NEGATIVE, REAL
from .exponential_family import ExponentialFamily
from .newton import root
from .support import Support

_LEAST_RESULTANT = 1e-300
_NODES = 200
_REACH = 40.0  # in units of 1 / sqrt(kappa): the density there is exp(-324) or less


@dataclass(frozen=True, eq=False, repr=False)
class VonMises(ExponentialFamily):
    """Angles in radians about a direction.

    log p(x) = kappa cos(x - loc) - log(2 pi I0(kappa)), of period 2 pi: any x is an angle, and the
    density integrates to 1 over one turn. Degrees are to be converted, as by `np.deg2rad`.

    Parameters
    ----------
    loc : float or array of shape (D,), optional
        Mean direction; a fitted one lies in [-pi, pi].
    kappa : float or array of shape (D,), optional
        Concentration, at least 0, where all directions are equally likely.

    Notes
    -----
    `mean` and `variance` are those of the angle within half a turn of `loc`, where `sample` draws.
    The estimate of kappa keeps a relative accuracy of about kappa times the rounding of a double,
    as 1 less the mean resultant length is what it depends on.

    References
    ----------
    Mardia, Jupp (2000), Directional Statistics, sections 3.5.4 and 5.3.1: I1(kappa) / I0(kappa) is
    the mean resultant length.

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import VonMises
    >>> known = VonMises(0, 2)
    >>> X = known.sample(1000, random_state=0)
    >>> known.log_density(X[:2]).round(2)
    array([-1.24, -1.22])
    >>> mle.fit(VonMises(), X).family.formula(digits=3)
    'VonMises(0.0298, 2.05)'
    """

    loc: Any = None
    kappa: Any = None

    domains: ClassVar = {"loc": REAL, "kappa": NON_NEGATIVE}
    support: ClassVar = Support()
    n_statistics = 2

    def sufficient(self, X: FloatArray) -> tuple[FloatArray, ...]:
        # of half the angle the tangent gives both, and NumPy has it vectorised
        tangent = np.tan(0.5 * X)
        share = 1 / (1 + np.square(tangent))
        sine = tangent * share
        return 1 - 2 * tangent * sine, 2 * sine

    def natural(self) -> tuple[FloatArray, ...]:
        return self.kappa * np.cos(self.loc), self.kappa * np.sin(self.loc)

    def log_partition(self) -> FloatArray:
        return math.log(2 * math.pi) + np.log(i0e(self.kappa)) + self.kappa

    def log_densities(self, X: FloatArray) -> FloatArray:
        """As of the base class, by kappa (cos - 1): exact where kappa is large."""
        result = np.empty((len(X), self.n_members))
        constants = (math.log(2 * math.pi) + np.log(i0e(self.kappa))).sum(axis=1)
        for k, (loc, kappa) in enumerate(zip(self.loc, self.kappa, strict=True)):
            squares = np.square(np.tan(0.5 * (X - loc)))
            result[:, k] = (squares / (1 + squares)) @ (-2 * kappa) - constants[k]
        return result

    def from_means(self, *means: FloatArray) -> Self:
        cosine, sine = means
        length = np.hypot(cosine, sine)
        rest = 1 - length
        if collapsed(rest, 1.0).any():
            raise degenerate(
                self,
                "all angles are equal, and kappa would be infinite",
                "Remove such columns; in a mixture, use fewer components",
            )
        known = np.maximum(length, _LEAST_RESULTANT)
        wanted = np.log(known) - np.log(rest)

        def excess(log_kappa: FloatArray) -> tuple[FloatArray, FloatArray]:
            # the logit of the ratio is almost straight in log(kappa): slope 1 at either end
            kappa = np.exp(log_kappa)
            ratio, remaining, slope = bessel_ratio(kappa)
            value = np.log(ratio) - np.log(remaining) - wanted
            return value, kappa * slope / (ratio * remaining)

        # Banerjee, Dhillon, Ghosh, Sra (2005), JMLR 6, equation 4.4
        start = known * (2 - np.square(known)) / (rest * (1 + known))
        kappa = np.where(length > 0, np.exp(root(excess, np.log(start))), 0.0)
        return self.with_parameters(loc=np.arctan2(sine, cosine), kappa=kappa)

    def scipy(self) -> Any:
        from scipy import stats

        loc, kappa = self._values()
        return stats.vonmises(kappa, loc=loc)

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        angles = random_state.vonmises(0.0, self.kappa[0], (n, self.n_columns))
        return np.asarray(self.loc[0] + angles)

    @property
    def mean(self) -> Any:
        return self.loc

    @property
    def variance(self) -> Any:
        kappa = np.asarray(self.kappa)[..., None]
        nodes, weights = np.polynomial.legendre.leggauss(_NODES)
        reach = np.minimum(math.pi, _REACH / np.sqrt(np.maximum(kappa, 1.0)))
        x = reach * (nodes + 1) / 2
        density = np.exp(-2 * kappa * np.square(np.sin(x / 2))) * weights
        return (np.square(x) * density).sum(axis=-1) / density.sum(axis=-1)
