"""Student's t distribution of one variable."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ..exceptions import DegenerateFitError
from .base import Family, FloatArray, collapsed, degenerate
from .differences import half_step, log_minus_digamma, scaled_trigamma_minus_1
from .domains import POSITIVE, REAL
from .newton import root
from .passes import Threaded
from .sample import WeightedRows, weighted_quantile
from .support import Support

#: The degrees of freedom of a fit lie between these. At the upper one it is a normal distribution
#: but for one part in a million, and that is where data without heavy tails end.
LEAST_DF, MOST_DF = 0.05, 1e6

_START_DF = 4.0
_START_QUARTILE = 0.7406970841126829  # of the distribution with 4 degrees of freedom
_SMALLEST_SCALE = 1e-290
_WIDEST_STEP = 2.0  # of the logarithms of scale and degrees of freedom, and in scales of loc
_FLATTEST = 1e-12  # of the bends of the likelihood, as a share of the sharpest
_NOISE = 4 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class TStatistics(Threaded):
    """Rows, and sums over them at the parameters that they were accumulated with.

    Parameters
    ----------
    rows : WeightedRows
    sums : array of shape (6, K, D) or None
        With z = (x - loc) / scale, h = 1 / (1 + z^2 / df) and b = 1 - h: sums of the weights, and
        of the weights times -log h, b, b^2, z h and z h b. None where no parameters are known.
    """

    rows: WeightedRows
    sums: FloatArray | None

    def __add__(self, other: TStatistics) -> TStatistics:
        if self.sums is None or other.sums is None:
            return TStatistics(self.rows + other.rows, None)
        return TStatistics(self.rows + other.rows, self.sums + other.sums)

    def on_threads(self, n_threads: int) -> TStatistics:
        return replace(self, rows=self.rows.on_threads(n_threads))


@dataclass(frozen=True, eq=False, repr=False)
class StudentT(Family):
    """A normal distribution whose precision is itself random, and so with heavy tails.

    With z = (x - loc) / scale,
    log p(x) = log Gamma((df + 1) / 2) - log Gamma(df / 2) - log(df pi) / 2 - log(scale)
    - (df + 1) / 2 log(1 + z^2 / df).

    Parameters
    ----------
    df : float or array of shape (D,), optional
        Degrees of freedom, above 0. Fitted ones lie between 0.05 and 1e6; the latter means that
        the tails are no heavier than normal ones.
    loc : float or array of shape (D,), optional
        Median and mode.
    scale : float or array of shape (D,), optional
        Above 0.

    Notes
    -----
    A step of the fit is Newton's on the likelihood of the data where that gains, and else one of
    parameter-expanded EM, that always does. Where several rows are equal the likelihood has no
    bound (df and scale to 0, loc there), and what is found is a local maximum beside.

    References
    ----------
    Liu, Rubin, Wu (1998), Biometrika 85, 755-770: parameter-expanded EM.
    Kent, Tyler, Vardi (1994), Comm. Statist. Simulation Comput. 23, 441-453: the step of the scale.

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import StudentT
    >>> known = StudentT(4, 0, 1)
    >>> X = known.sample(1000, random_state=0)
    >>> known.log_density(X[:2]).round(2)
    array([-2.3 , -2.21])
    >>> mle.fit(StudentT(), X).family.formula(digits=3)
    'StudentT(4.67, 0.024, 1.02)'
    """

    df: Any = None
    loc: Any = None
    scale: Any = None

    domains: ClassVar = {"df": POSITIVE, "loc": REAL, "scale": POSITIVE}
    support: ClassVar = Support()
    iterative: ClassVar[bool] = True

    def log_densities(self, X: FloatArray) -> FloatArray:
        result = np.empty((len(X), self.n_members))
        constants = (_constant(self.df)[0] - np.log(self.scale)).sum(axis=1)
        for k, (df, loc, scale) in enumerate(zip(self.df, self.loc, self.scale, strict=True)):
            z = (X - loc) / scale
            result[:, k] = -np.log1p(np.square(z) / df) @ ((df + 1) / 2) + constants[k]
        return result

    def accumulate(self, X: FloatArray, responsibilities: FloatArray | None) -> TStatistics:
        """Sums at the present parameters, where they are known, and the rows."""
        rows = WeightedRows(((X, responsibilities),))
        return TStatistics(rows, self._sums(rows) if self.known else None)

    def maximise(self, statistics: TStatistics) -> Self:
        """One step, from a start by quartiles where no parameters are known."""
        if statistics.sums is None:
            begin = self._begin(statistics.rows)
            return begin.maximise(TStatistics(statistics.rows, begin._sums(statistics.rows)))
        if not np.isfinite(statistics.sums).all():
            raise self._collapsed()
        expanded = self._expanded(statistics.sums)
        candidate, possible = self._newton(statistics.sums)
        if possible.any():
            reached = candidate._likelihood(statistics.rows)
            present = self.log_likelihoods(statistics)
            slack = _NOISE * (np.abs(present) + statistics.sums[0])
            possible &= reached >= present - slack
        chosen = {
            name: np.where(possible, candidate.parameters[name], value)
            for name, value in expanded.parameters.items()
        }
        if collapsed(chosen["scale"] - _SMALLEST_SCALE, chosen["loc"] / 8).any():
            raise self._collapsed()
        return self.with_parameters(**chosen)

    def _collapsed(self) -> DegenerateFitError:
        return degenerate(
            self,
            "values are equal, and the scale would be 0",
            "Remove such columns, or add a little noise to rounded data; in a mixture, use fewer "
            "components",
        )

    def log_likelihoods(self, statistics: TStatistics) -> FloatArray:
        """Weighted log-likelihood of each member and column at these parameters, (K, D)."""
        if statistics.sums is None:
            raise ValueError("statistics that were accumulated without parameters have none")
        weight, logs = statistics.sums[:2]
        constant = _constant(self.df)[0] - np.log(self.scale)
        return np.asarray(weight * constant - (self.df + 1) / 2 * logs)

    # --- the steps ----------------------------------------------------------------------------

    def _begin(self, rows: WeightedRows) -> Self:
        X, R = rows.sampled()
        quartiles = np.empty((3, rows.n_members, rows.n_columns))
        for k in range(rows.n_members):
            weights = np.where(R[:, k].any(), R[:, k], 1.0)
            whole = weights.sum()
            for d in range(rows.n_columns):
                for i in range(3):
                    quartiles[i, k, d] = weighted_quantile(X[:, d], weights, (i + 1) / 4 * whole)
        low, loc, high = quartiles
        # where half of the values are equal: any scale that is not 0
        spread = np.where(high > low, high - low, np.ptp(X, axis=0)) / 2
        if collapsed(spread, loc).any():
            raise degenerate(
                self,
                "all values are equal, and the scale would be 0",
                "Remove such columns; in a mixture, use fewer components",
            )
        return self.with_parameters(
            df=np.full_like(loc, _START_DF), loc=loc, scale=spread / _START_QUARTILE
        )

    def _sums(self, rows: WeightedRows) -> FloatArray:
        # one set of parameters may be the start of several members
        shape = (rows.n_members, rows.n_columns)
        df, loc, scale = (np.broadcast_to(v, shape) for v in (self.df, self.loc, self.scale))
        unit = 1 / (scale * np.sqrt(df))

        def sums(x: FloatArray, w: FloatArray | None, k: int, d: int) -> list[Any]:
            z = x - loc[k, d]
            z *= unit[k, d]
            # of a scale on its way to 0 the sums become NaN, which `maximise` tells of
            with np.errstate(over="ignore", invalid="ignore"):
                b = np.square(z)
                h = 1 + b
                np.divide(1, h, out=h)
                logs = np.log1p(b)
                b *= h
            z *= h
            if w is None:
                return [len(x), logs.sum(), b.sum(), b @ b, z.sum(), z @ b]
            np.multiply(b, w, out=h)
            return [w.sum(), w @ logs, h.sum(), h @ b, w @ z, h @ z]

        found = rows.each(sums).sum(axis=0)
        found[4:] *= np.sqrt(df)
        return np.asarray(found)

    def _likelihood(self, rows: WeightedRows) -> FloatArray:
        unit = 1 / (self.scale * np.sqrt(self.df))

        def logs(x: FloatArray, w: FloatArray | None, k: int, d: int) -> tuple[Any, ...]:
            z = x - self.loc[k, d]
            z *= unit[k, d]
            with np.errstate(over="ignore"):  # infinitely unlikely, and so left
                np.square(z, out=z)
            np.log1p(z, out=z)
            return (len(x), z.sum()) if w is None else (w.sum(), w @ z)

        weight, found = rows.each(logs).sum(axis=0)
        constant = _constant(self.df)[0] - np.log(self.scale)
        return np.asarray(weight * constant - (self.df + 1) / 2 * found)

    def _expanded(self, sums: FloatArray) -> Self:
        """A step of parameter-expanded EM: the likelihood never falls."""
        weight, logs, b, _, zh, _ = sums
        df = self.df
        share = (weight - b) / weight  # mean of h; the latent precision is (df + 1) / df h
        offset = zh / weight / share
        variance = df * (b / weight) / share - np.square(offset)
        # of latent precisions: the log of their mean less the mean of their logs, as of a gamma
        # distribution, whose shape is df / 2
        gap = np.log(share) + logs / weight + log_minus_digamma((df + 1) / 2)

        def excess(log_shape: FloatArray) -> tuple[FloatArray, FloatArray]:
            shape = np.exp(log_shape)
            return log_minus_digamma(shape) - gap, -scaled_trigamma_minus_1(shape)

        lowest = log_minus_digamma(np.array(MOST_DF / 2))
        gap = np.maximum(gap, lowest)
        new = 2 * np.exp(root(excess, np.log(df / 2)))
        return self.with_parameters(
            df=np.clip(new, LEAST_DF, MOST_DF),
            loc=self.loc + self.scale * offset,
            scale=self.scale * np.sqrt(np.maximum(variance, 0.0)),
        )

    def _newton(self, sums: FloatArray) -> tuple[Self, NDArray[np.bool_]]:
        """The top of the parabola here, in loc and the logarithms of scale and df.

        And whether there is one. Where the likelihood bends upwards, the parabola bends downwards.
        Derivatives of the weighted mean log-density, of loc in units of the scale.
        """
        df = np.broadcast_to(self.df, sums.shape[1:])
        logs, b, bb, zh, zhb = sums[1:] / sums[0]
        _, slope, curve = _constant(df)
        more = df + 1
        gradient = np.empty((*df.shape, 3))
        gradient[..., 0] = more / df * zh
        gradient[..., 1] = more * b - 1
        by_df = slope - logs / 2 + more / (2 * df) * b
        gradient[..., 2] = df * by_df
        hessian = np.empty((*df.shape, 3, 3))
        hessian[..., 0, 0] = -more / df * (1 - 3 * b + 2 * bb)
        hessian[..., 1, 1] = -2 * more * (b - bb)
        hessian[..., 2, 2] = df * by_df + np.square(df) * (
            curve + b / (2 * df) - b / (2 * np.square(df)) - more / (2 * np.square(df)) * (b - bb)
        )
        hessian[..., 0, 1] = hessian[..., 1, 0] = -2 * more / df * (zh - zhb)
        hessian[..., 0, 2] = hessian[..., 2, 0] = zh - more / df * (zh - zhb)
        hessian[..., 1, 2] = hessian[..., 2, 1] = df * b - more * (b - bb)
        # at a bound that the likelihood rises beyond, the others are free
        bound = ((df >= MOST_DF) & (by_df > 0)) | ((df <= LEAST_DF) & (by_df < 0))
        gradient[bound, 2] = 0.0
        hessian[bound, 2, :2] = hessian[bound, :2, 2] = 0.0
        hessian[bound, 2, 2] = -1.0
        possible = np.isfinite(hessian).all(axis=(-2, -1)) & np.isfinite(gradient).all(axis=-1)
        hessian[~possible], gradient[~possible] = np.eye(3), 0.0
        # uphill also where it bends upwards
        bends, axes = np.linalg.eigh(hessian)
        bends = np.maximum(np.abs(bends), _FLATTEST * np.abs(bends).max(axis=-1, keepdims=True))
        step = np.einsum("...ij,...j,...kj,...k", axes, 1 / bends, axes, gradient)
        widest = np.maximum(np.abs(step).max(axis=-1), _WIDEST_STEP)
        step *= (_WIDEST_STEP / widest)[..., None]
        candidate = self.with_parameters(
            df=np.clip(df * np.exp(step[..., 2]), LEAST_DF, MOST_DF),
            loc=self.loc + self.scale * step[..., 0],
            scale=self.scale * np.exp(step[..., 1]),
        )
        return candidate, np.asarray(possible)

    # --- one distribution ---------------------------------------------------------------------

    def scipy(self) -> Any:
        from scipy import stats

        return stats.t(*self._values())

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        rows = random_state.standard_t(self.df[0], (n, self.n_columns))
        return np.asarray(self.loc[0] + self.scale[0] * rows)

    @property
    def mean(self) -> Any:
        return np.where(self.df > 1, self.loc, np.nan)[()]

    @property
    def variance(self) -> Any:
        heavy = np.where(self.df > 1, np.inf, np.nan)
        finite = np.where(self.df > 2, self.df, 3.0)
        value = np.square(self.scale) * finite / (finite - 2)
        return np.where(self.df > 2, value, heavy)[()]


def _constant(df: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """log(Gamma((df + 1) / 2) / Gamma(df / 2) / sqrt(df pi)), and its first two derivatives."""
    value, slope, curve = half_step(np.asarray(df) / 2)
    return value - 0.5 * math.log(2 * math.pi), slope / 2, curve / 4
