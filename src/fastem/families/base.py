"""What a family of distributions is: its density, and the weighted maximum-likelihood step.

To add one, write a file beside this with a subclass of `Family` (or of `ExponentialFamily`, which
needs less), and give it one line in `families/registry.py`: see CONTRIBUTING.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._kernels.columns import ColumnMoments, column_moments
from ..exceptions import DegenerateFitError
from .parametrised import Parametrised
from .passes import total
from .support import Support

FloatArray = NDArray[Any]

_ROUNDING = 16 * float(np.finfo(np.float64).eps)


class _OutsideError(Exception):
    """Rows of a block are not within the support."""


@dataclass(frozen=True, eq=False, repr=False)
class Family(Parametrised, ABC):
    """A distribution: `Gamma()` is the family, to be fitted; `Gamma(2.0, 1.5)` is one of it.

    A subclass is a frozen dataclass whose fields are its parameters, None until they are known, and
    whatever else must be known of it. Its methods are written for **members**: K distributions at
    once, whose parameters have one axis before all others, (K, D) for a parameter that each of D
    columns has, and rows (n, D) of data. A number is thus the special case K = D = 1.

    Columns are independent where a family is of one variable: `Poisson()` on D columns is D
    Poisson distributions.
    """

    #: where the data may lie
    support: ClassVar[Support]
    #: whether the maximum of `maximise` is reached only by repeating it
    iterative: ClassVar[bool] = False
    #: whether it is of a response, the last column of a row, given the other columns
    conditional: ClassVar[bool] = False
    #: short name in formulas such as "0.3*N(0, 1) + 0.7*N(4, 1)", beside the name of the class
    symbol: ClassVar[str | None] = None
    #: what `from_columns` takes, of "x" and "log x"; none where moments of columns are not enough
    moments_of: ClassVar[tuple[str, ...]] = ()

    # --- what a family says -------------------------------------------------------------------

    @abstractmethod
    def log_densities(self, X: FloatArray) -> FloatArray:
        """Log-density of each member at each row, (n, K).

        Parameters
        ----------
        X : array of shape (n, D), float64
            Within the support.
        """

    @abstractmethod
    def accumulate(self, X: FloatArray, responsibilities: FloatArray | None) -> Any:
        """Sufficient statistics of some rows, that add up (`+`) to those of all.

        Parameters
        ----------
        X : array of shape (n, D), float64
        responsibilities : array of shape (n, K) or None
            Weights of the rows for each member; None: one member, and each row counts 1.
        """

    @abstractmethod
    def maximise(self, statistics: Any) -> Self:
        """The members of the greatest weighted likelihood, or of one that is no less than these.

        Raises
        ------
        DegenerateFitError
            If there is no maximum.
        """

    @abstractmethod
    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        """Rows from the first member, (n, D)."""

    def information(self, statistics: Any) -> FloatArray | None:
        """Observed information of one member in free coordinates, (P, P); of one of its columns.

        None where differences of the log-likelihood have to tell. The expected information, where
        the likelihood has kinks.

        Parameters
        ----------
        statistics
            Taken at its own parameters.
        """
        return None

    def estimates_covariance(self, statistics: Any, whole: bool = True) -> FloatArray | None:
        """Covariance of the estimates of one member, or of one of its columns, in closed form.

        None where it takes the information. A parameter's own block must be that whatever other
        parameters are held.

        Parameters
        ----------
        statistics
            Taken at its own parameters.
        whole : bool, default=True
            Whether all of it is asked for, (Q, Q), in the order of `parameters`; else its diagonal
            (Q,). NaN for what is at an edge of its domain.
        """
        return None

    @property
    def remark(self) -> str | None:
        """What a fit of one distribution should say of these parameters; None for most."""
        return None

    def confirm(self, statistics_of: Callable[[Self], Any]) -> None:
        """Refuse what looks like a maximum and is none; nothing to do for most families.

        Parameters
        ----------
        statistics_of : callable
            Takes members and returns their statistics of the data.

        Raises
        ------
        DegenerateFitError
            If the likelihood rises on, ever more slowly, towards parameters that are none.
        """

    @property
    @abstractmethod
    def mean(self) -> Any:
        """Expectation, in the shape of a row; NaN or infinite where there is none."""

    @property
    @abstractmethod
    def variance(self) -> Any:
        """Variance of each column, in the shape of a row."""

    def log_likelihood(self, statistics: Any) -> FloatArray | None:
        """Weighted log-likelihood of each member, (K,), where statistics of one member suffice.

        None where it takes the rows: what `maximise` needs says less than the likelihood.
        """
        return None

    def prepared(self, X: FloatArray) -> Self:
        """Itself, with what must be known of all rows before a pass over them.

        Raises
        ------
        ValueError
            If rows are not within the support.
        """
        self.support.check(X, type(self).__name__)
        return self

    @property
    def made_of(self) -> tuple[Family, ...]:
        """The families that it is made of, where its parameters are theirs."""
        return ()

    @property
    def exponential(self) -> bool:
        """Whether it is an exponential family: what the compiled kernel of mixtures takes.

        It then has `statistics`, `coefficients` and `base` as `ExponentialFamily` does, and
        `maximise` takes `Moments`.
        """
        return False

    def inside(self, X: FloatArray) -> NDArray[np.bool_]:
        """Which rows `log_densities` takes, (n,): within the support, whatever the parameters."""
        return self.support.inside(X)

    def possible(self, X: FloatArray) -> NDArray[np.bool_]:
        """Which rows have a density above 0 under the only member, (n,)."""
        return self.inside(X)

    def from_columns(self, columns: ColumnMoments) -> Any:
        """Statistics of one member from the moments of the columns; see `moments_of`.

        Parameters
        ----------
        columns : ColumnMoments
            Of values within the support, all finite.
        """
        raise NotImplementedError(f"{type(self).__name__} takes more than moments of columns")

    def _compiled(
        self, X: FloatArray, responsibilities: FloatArray | None, n_threads: int
    ) -> Any | None:
        """Statistics of one member by one compiled pass.

        None where there is no such pass, or where it found that the rows must be looked at.
        """
        of_one = responsibilities is None or responsibilities.shape[1] == 1
        if not self.moments_of or not of_one or not X.size or X.dtype != np.float64:
            return None
        columns = column_moments(
            X,
            None if responsibilities is None else responsibilities[:, 0],
            logs="log x" in self.moments_of,
            n_threads=n_threads,
        )
        if not (columns.finite and self.support.spans(columns.low.min(), columns.high.max())):
            return None
        if self.support.integer and not columns.whole.all():
            return None
        return self.from_columns(columns)

    def accumulate_all(
        self, X: FloatArray, responsibilities: FloatArray | None = None, n_threads: int = 1
    ) -> Any:
        """Statistics of all rows, that are examined in the same pass over memory.

        As much as `prepared`, and the total of `accumulate`, for a family that has nothing to
        prepare.

        Parameters
        ----------
        X : array of shape (n, D), float64
        responsibilities : array of shape (n, K) or None
        n_threads : int, default=1

        Raises
        ------
        ValueError
            If rows are not within the support.
        """

        found = self._compiled(X, responsibilities, n_threads)
        if found is not None:
            return found

        def examined(rows: slice) -> Any:
            if not self.support.holds(X[rows]):
                raise _OutsideError
            return self.accumulate(
                X[rows], None if responsibilities is None else responsibilities[rows]
            )

        try:
            return total(examined, len(X), X.shape[1], n_threads)
        except _OutsideError:
            self.support.check(X, type(self).__name__, n_threads)
            raise

    # --- one distribution, as users see it ----------------------------------------------------

    def log_density(self, X: ArrayLike) -> Any:
        """Log-density, or log-probability of discrete values, of this distribution.

        Parameters
        ----------
        X : array-like
            Of any shape where the parameters are numbers; of shape (n, D), or (D,) for one row,
            where they are of D columns.

        Returns
        -------
        log_density : ndarray or float
            One a value, or a row. -inf outside the support.

        Raises
        ------
        ValueError
            If the parameters are not known, or rows have another number of columns.
        """
        values = np.asarray(X, dtype=np.float64)
        one = self._single()
        if self._event_ndim and values.shape[-1:] != (one.n_columns,):
            raise ValueError(
                f"X must have {one.n_columns} columns, as {type(self).__name__} has, but its shape "
                f"is {values.shape}"
            )
        shape = values.shape if self._event_ndim == 0 else values.shape[:-1]
        rows = values.reshape(-1, one.n_columns)
        inside = one.possible(rows)
        result = np.full(len(rows), -np.inf)
        result[inside] = one.log_densities(rows[inside])[:, 0]
        return result.reshape(shape)[()]

    def sample(self, n_samples: int = 1, random_state: Any = None) -> FloatArray:
        """Random draws.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState or None, default=None

        Returns
        -------
        X : ndarray of shape (n_samples,), or (n_samples, D)
        """
        from sklearn.utils import check_random_state

        rows = self._single().draw(n_samples, check_random_state(random_state))
        return rows[:, 0] if self._event_ndim == 0 else rows

    def scipy(self) -> Any:
        """SciPy's frozen distribution of the same law: its cdf, ppf, interval, entropy ...

        Returns
        -------
        distribution : scipy.stats.rv_frozen
            Of D columns, its parameters are arrays of D.

        Raises
        ------
        NotImplementedError
            If SciPy has none, or `fastem` does not know of it.
        ValueError
            If the parameters are not known yet, or of several members.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no counterpart in scipy.stats: log_density, sample, mean "
            "and variance are what it offers"
        )

    def truncated(self, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What stands for a value of this one distribution of which only bounds are known.

        The expectations of the sufficient statistics under these values and probabilities are those
        under the distribution given low < x <= high. Here they are nodes of a quadrature, or all
        the values of a discrete distribution; a family with closed forms has fewer.

        Parameters
        ----------
        low, high : array of shape (n,)
            Within the closed support, or infinite.

        Returns
        -------
        values, probabilities : array of shape (n, q)
            The probabilities of each row sum to 1.
        """
        from .truncation import nodes

        return nodes(self, low, high)

    def _values(self) -> tuple[Any, ...]:
        """Parameters of this one distribution, in their order: numbers, or arrays of D."""
        one = self._single().member(0).scalar()
        return tuple(value[()] for value in one.parameters.values())

    @property
    def _event_ndim(self) -> int:
        return 0 if self.univariate and self._axes == 0 else 1

    def _single(self) -> Self:
        """As members, of which there must be one."""
        if not self.known:
            name = type(self).__name__
            raise ValueError(
                f"{name}() has no parameters yet: give them, or fit it with fastem.mle.fit"
            )
        members = self.members()
        if members.n_members != 1:
            raise ValueError(
                f"these are {members.n_members} distributions: take one with member(k)"
            )
        return members

    def __repr__(self) -> str:
        parameters = self.parameters if self.known else {}
        shown = {name: _shown(value) for name, value in parameters.items()} | self._constants_shown
        inner = ", ".join(f"{name}={value}" for name, value in shown.items())
        return f"{type(self).__name__}({inner})"

    @property
    def _constants_shown(self) -> dict[str, str]:
        return {
            name: repr(value) if isinstance(value, str) else str(np.asarray(value).tolist())
            for name, value in self.constants.items()
        }

    @classmethod
    def from_formula(cls, *arguments: float, **named: float) -> Self:
        """From the arguments in a formula such as "0.3*Gamma(2, 1.5)"."""
        return cls(*arguments, **named)

    def formula(self, digits: int | None = None) -> str:
        """As in a formula: what `from_formula` takes.

        Parameters
        ----------
        digits : int, optional
            Significant digits of numbers; None for as many as make the same numbers again.
        """
        shown = [written(value.tolist(), digits) for value in self.parameters.values()]
        shown += [f"{name}={value}" for name, value in self._constants_shown.items()]
        return f"{self.symbol or type(self).__name__}({', '.join(shown)})"

    def mixture_model(self, weights: FloatArray) -> Any | None:
        """A model of its own for a mixture of these members, where it has a faster one."""
        return None


def written(value: Any, digits: int | None) -> str:
    """A number, or lists of them, as in a formula; see `Family.formula`."""
    if isinstance(value, list):
        return f"[{', '.join(written(item, digits) for item in value)}]"
    return repr(value).removesuffix(".0") if digits is None else f"{value:.{digits}g}"


def _shown(value: FloatArray) -> str:
    if value.ndim == 0:
        return f"{value:.6g}"
    return np.array2string(value, precision=5, separator=", ").replace("\n", "")


def degenerate(family: Family, why: str, remedy: str) -> DegenerateFitError:
    """The error for a likelihood without a maximum."""
    return DegenerateFitError(f"{type(family).__name__}: {why}. {remedy}")


def collapsed(spread: FloatArray, location: Any) -> NDArray[np.bool_]:
    """Where values differ by rounding alone: their spread is a few digits of their location."""
    return np.asarray(~(spread > _ROUNDING * np.abs(location)))
