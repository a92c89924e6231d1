"""What a fit has to say beside its parameters: `fit_report_`, and the warnings made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import em
from ..covariances import Covariance
from ..exceptions import DegenerateDataWarning, warn
from ..families import GaussianMixtureModel

FloatArray = NDArray[Any]

# A component of fewer rows than this has none: what is left of it is rounding
_NO_ROWS = 1e-9
# A column that differs by no more than this of its size, or whose squares are 0, is constant
_ROUNDING = 4 * float(np.finfo(np.float64).eps)
_NO_SPAN = float(np.sqrt(np.finfo(np.float64).tiny))
_MOST_NAMED = 8
_FALL = 1e-6  # that is worth a sentence
# of the fields of a report, by their annotations
_TYPES: dict[str, Any] = {
    "str": str,
    "int": int,
    "bool": bool,
    "float": float,
    "float | str": (int, float, str),
    "tuple[str, ...]": tuple,
    "tuple[int, ...]": tuple,
    "tuple[int | str, ...]": tuple,
    "Mapping[str, float]": dict,
}


class Degeneracies(NamedTuple):
    """What the data do not determine, as truth values: of a fit, or with one more axis of many."""

    constant: NDArray[np.bool_]  # (n_features,): columns that differ by rounding only
    empty: NDArray[np.bool_]  # (n_components,): components without points
    floored: NDArray[np.bool_]  # (n_components,): a variance of theirs is mostly the ridge

    @classmethod
    def of(
        cls,
        structure: Covariance,
        weights: FloatArray,
        precisions_cholesky: FloatArray,
        ridge: FloatArray,
        ranges: FloatArray,
        n_rows: Any,
    ) -> Degeneracies:
        """Those of a fit or, with one more axis before all others, of many.

        Parameters
        ----------
        structure, weights, precisions_cholesky
            Of the fitted model.
        ridge : array of shape (n_features,)
            See `Regularisation`.
        ranges : array of shape (2, n_features)
            Least and greatest number of each column.
        n_rows : int or array of shape (n_fits, 1)
        """
        spans = ranges[..., 1, :] - ranges[..., 0, :]
        constant = spans <= np.maximum(_ROUNDING * np.abs(ranges).max(axis=-2), _NO_SPAN)
        empty = weights * n_rows < _NO_ROWS
        # an empty component is told of as that, constant columns not for every component
        if constant.any():
            ridge = np.where(constant, 0.0, ridge)
        floored = structure.most_held(structure.diagonal(ridge), precisions_cholesky) >= 0.5
        floored = (floored if structure.own else floored[..., None]) & ~empty
        return cls(constant, empty, floored)


@dataclass(frozen=True)
class FitReport:
    """What happened in a fit; `print` it.

    Parameters
    ----------
    stop_reason : str
        A key of `fastem.em.REASONS`: "tolerance", "max_iter", "likelihood_decreased" or
        "interrupted".
    n_iter : int
        Iterations of the best start.
    n_starts : int
        Starts that were made.
    dropped_starts : tuple of str
        What went wrong in each start that was given up.
    n_components, n_features : int
        Components that were asked for, and columns of the data.
    empty_components : tuple of int
        Components without points; their weight is 0.
    floored_components : tuple of int
        Components with a variance, in some direction, that is mostly `reg_covar`: their points
        coincide, or lie on a line or plane, or the data are smaller than `reg_covar`.
    constant_columns : tuple of (int or str)
        Columns without any variance, by name where there are names.
    reg_covar : float or "auto"
    prior : bool
        What the estimator was given against collapse.
    fall : float
        How far the mean log-likelihood ended below its highest: 0, but for what `reg_covar` takes
        from it where it is as large as the variances.
    skipped : float
        Share of all pairs of a row and a component that were left out because they could not
        matter, from 0 to 1.
    seconds : mapping of str to float
        Time of each phase, in all starts: "start" (initialisation), "e_step", "m_step", and
        "total", the whole call.
    """

    stop_reason: str
    n_iter: int
    n_starts: int
    dropped_starts: tuple[str, ...]
    n_components: int
    n_features: int
    empty_components: tuple[int, ...]
    floored_components: tuple[int, ...]
    constant_columns: tuple[int | str, ...]
    reg_covar: float | str = 0.0
    prior: bool = False
    fall: float = 0.0
    skipped: float = 0.0
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)

    @classmethod
    def of(
        cls,
        result: em.EMResult[GaussianMixtureModel],
        found: Degeneracies,
        estimator: Any,
        total_weight: float,
        seconds: float,
        names: FloatArray | None = None,
    ) -> FitReport:
        """The report of a fit.

        Parameters
        ----------
        result : EMResult
        found : Degeneracies
        estimator : GaussianMixture
            Only its parameters are read.
        total_weight : float
        seconds : float
            How long all of it took.
        names : array of shape (n_features,), optional
        """
        reg_covar, trace = estimator.reg_covar, result.log_likelihoods
        report = cls(
            stop_reason=result.reason,
            n_iter=result.n_iter,
            n_starts=result.n_starts,
            dropped_starts=result.dropped,
            n_components=len(found.empty),
            n_features=len(found.constant),
            empty_components=_true(found.empty),
            floored_components=_true(found.floored),
            constant_columns=_true(found.constant),
            reg_covar=reg_covar if isinstance(reg_covar, str) else float(reg_covar),
            prior=estimator.prior is not None,
            fall=(max(trace) - trace[-1]) / total_weight if trace else 0.0,
            skipped=result.skipped,
            seconds={**result.seconds, "total": seconds},
        )
        return report.named(names)

    def named(self, names: FloatArray | None) -> FitReport:
        """The same, with the names of the columns where there are any."""
        if names is None:
            return self
        columns = tuple(str(names[j]) for j in self.constant_columns)
        return replace(self, constant_columns=columns)

    @property
    def n_effective(self) -> int:
        """Components that have points."""
        return self.n_components - len(self.empty_components)

    @property
    def degeneracies(self) -> tuple[str, ...]:
        """A sentence, with a remedy, for each thing about the data that spoils the fit."""
        found = []
        columns, floored, empty = (
            self.constant_columns,
            self.floored_components,
            self.empty_components,
        )
        if len(columns) == self.n_features:
            found.append("All rows are equal: one component describes them.")
        elif columns:
            found.append(
                f"{_named('column', columns)} constant: nothing in {_them(columns)} tells "
                f"components apart, and the data give {_them(columns)} no variance. Remove "
                f"{_them(columns)}."
            )
        if empty:
            found.append(
                f"{_named('component', empty)} left without points (components are counted from "
                f"0), with a weight of 0. Decrease n_components to {self.n_effective}."
            )
        if floored:
            large, remedies = "", ["Decrease n_components"]
            if not self.prior:
                remedies.append('set prior="auto"')
            if self.reg_covar != "auto":
                large = ", or reg_covar is large for the scale of the data"
                remedies.append('set reg_covar="auto", which is relative to the scale')
            found.append(
                f"{_named('component', floored, 'has', 'have')} a variance that is mostly "
                f"reg_covar: the points coincide or lie on a line or plane{large}. "
                f"{', or '.join(remedies)}."
            )
            if self.fall > _FALL:
                found.append(
                    f"The mean log-likelihood ended {self.fall:.3g} below its highest, because "
                    "reg_covar takes part in every step."
                )
        return tuple(found)

    def warn(self, max_iter: int) -> None:
        """Warn of whatever went wrong: nothing fails in silence."""
        if self.dropped_starts:
            warn(
                f"{len(self.dropped_starts)} of {self.n_starts} starts failed and were dropped, "
                f"the best of the others is kept. The first failure: {self.dropped_starts[0]}",
            )
        if self.degeneracies:
            warn(" ".join(self.degeneracies), DegenerateDataWarning)
        if self.stop_reason == "likelihood_decreased":
            warn(
                f"EM stopped after {self.n_iter} iterations because "
                f"{em.REASONS[self.stop_reason]}. The parameters before that are kept. Scale the "
                "input data or increase reg_covar.",
            )
        elif self.stop_reason == "max_iter" and max_iter > 0:
            warn(
                "Best performing initialization did not converge. Try different init parameters, "
                "or increase max_iter, tol, or check for degenerate data. It was stopped at "
                f"max_iter={max_iter}.",
            )

    def __str__(self) -> str:
        lines = [
            f"stopped after {self.n_iter} iterations: {em.REASONS[self.stop_reason]}",
            f"starts: {self.n_starts}, {len(self.dropped_starts)} dropped",
            f"components with points: {self.n_effective} of {self.n_components}",
            f"pairs of a row and a component skipped: {100 * self.skipped:.1f} %",
        ]
        phases = ", ".join(
            f"{phase.replace('_', '-')} {1e3 * time:.3g}" for phase, time in self.seconds.items()
        )
        lines.append(f"time in ms: {phases}")
        lines += [f"dropped start: {reason}" for reason in self.dropped_starts]
        lines += [f"note: {sentence}" for sentence in self.degeneracies]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, from which `from_dict` makes the same report."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FitReport:
        """The inverse of `as_dict`, also where JSON has made lists of tuples.

        Raises
        ------
        TypeError or LookupError
            If something is missing or of another type.
        """
        known = {f.name: values[f.name] for f in fields(cls)}
        for name, value in known.items():
            wanted = _TYPES[cls.__annotations__[name]]
            known[name] = tuple(value) if isinstance(value, list) else value
            if not isinstance(known[name], wanted):
                raise TypeError(f"{name} of the report is a {type(value).__name__}")
        if known["stop_reason"] not in em.REASONS:
            raise LookupError(f"stop_reason {known['stop_reason']!r} is not known")
        return cls(**known)


def _true(values: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(i for i, value in enumerate(values.tolist()) if value)


def _named(kind: str, which: tuple[Any, ...], verb: str = "is", verbs: str = "are") -> str:
    shown = ", ".join(repr(one) for one in which[:_MOST_NAMED])
    more = f" and {len(which) - _MOST_NAMED} more" if len(which) > _MOST_NAMED else ""
    if len(which) == 1:
        return f"{kind.capitalize()} {shown} {verb}"
    return f"{kind.capitalize()}s {shown}{more} {verbs}"


def _them(which: tuple[Any, ...]) -> str:
    return "them" if len(which) > 1 else "it"
