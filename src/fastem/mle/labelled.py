"""One distribution for each label, and the classifier that they make."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from .._threads import shared_n_threads
from ..exceptions import DegenerateFitError
from ..families.base import Family
from ..families.passes import each_block
from .complete import fit as fit_complete
from .complete import with_fixed
from .data import Data, FloatArray, checked, missing_named, same_length
from .information import n_estimated
from .result import MaximumLikelihood, likelihoods_of
from .table import aligned, criteria

_MOST_ROWS = 20
_MANY = 64  # classes, from which on the rows of each are looked at by themselves
_SHARED = (
    "the classes share parameters, which the rows of all determine: those of one do not tell their "
    "errors"
)


@dataclass(frozen=True, eq=False, repr=False)
class LabelledFit:
    """Distributions of labelled data, one for each class: a generative classifier.

    The probability of a class given a row is its prior times its density there, normalised (Bayes).

    Parameters
    ----------
    members : Family
        The distributions, in the order of `classes_`.
    classes_ : array of shape (K,)
        The labels.
    priors : array of shape (K,)
        Share of each class, by weight.
    log_likelihood : float
        Of rows and labels together: the sum of log prior + log density.
    total_weight : float
    n_samples : int
    fixed : tuple of str
        Parameters that were given.
    """

    members: Family
    classes_: NDArray[Any]
    priors: FloatArray
    log_likelihood: float
    total_weight: float
    n_samples: int
    fixed: tuple[str, ...] = ()
    _data: Any = field(default=None)
    _codes: Any = field(default=None)
    _scalar: bool = False

    @property
    def families(self) -> list[Family]:
        """The distributions one by one, in the order of `classes_`."""
        one_by_one = [self.members.member(k) for k in range(len(self.classes_))]
        return [family.scalar() for family in one_by_one] if self._scalar else one_by_one

    @property
    def n_parameters(self) -> int:
        """Parameters that were estimated: of all distributions, and the priors but one."""
        K = len(self.classes_)
        held = self.members.n_parameters - n_estimated(self.members, self.fixed)
        return self.members.n_parameters_together - K * held + K - 1

    @property
    def aic(self) -> float:
        """Akaike's information criterion, 2 n_parameters - 2 log_likelihood."""
        return 2 * self.n_parameters - 2 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's criterion, n_parameters log(total_weight) - 2 log_likelihood."""
        return self.n_parameters * math.log(self.total_weight) - 2 * self.log_likelihood

    def of(self, label: Any) -> MaximumLikelihood:
        """The fit of one class, with standard errors, intervals and a goodness of fit.

        Raises
        ------
        ValueError
            If no row had this label.
        """
        found = [k for k, known in enumerate(self.classes_) if known == label]
        if not found:
            raise ValueError(
                f"there is no class {label!r}: they are {', '.join(map(repr, _plain(self)))}"
            )
        k = found[0]
        data = _rows_of(self._data, self._codes == k)
        member = type(self.members).stacked([self.members.member(k)])
        likelihoods = likelihoods_of(member, data, data.statistics(member))
        return MaximumLikelihood(
            family=self.families[k],
            log_likelihood=float(data.log_likelihood(member)[0]),
            total_weight=data.total_weight,
            n_samples=data.n_rows,
            fixed=self.fixed,
            _data=data,
            _likelihoods=likelihoods,
            _no_errors=_SHARED if self._sharing else None,
        )

    @property
    def _sharing(self) -> bool:
        """Whether the distributions have parameters in common."""
        each = len(self.classes_) * self.members.n_parameters
        return self.members.n_parameters_together < each

    # --- prediction -----------------------------------------------------------------------------

    def _log_joint(self, X: Any, n_threads: int | None = None) -> FloatArray:
        """log prior + log density, (n, K): -inf for rows that have no density under any."""
        with shared_n_threads(n_threads) as threads:
            data = checked(X)
            if data.n_columns != self._data.n_columns:
                raise ValueError(
                    f"X has {data.n_columns} columns, but the distributions are of "
                    f"{self._data.n_columns}"
                )
            rows = data.rows(slice(None))
            with missing_named(data):
                if not np.isfinite(rows).all():
                    self.members.support.check(rows, type(self.members).__name__)
            width = max(data.n_columns, len(self.classes_))

            def block(part: slice) -> FloatArray:
                some = rows[part]
                inside = self.members.inside(some)
                if inside.all():
                    return self.members.log_densities(some)
                result = np.full((len(some), len(self.classes_)), -np.inf)
                if inside.any():
                    result[inside] = self.members.log_densities(some[inside])
                return result

            blocks = each_block(block, len(rows), width, threads)
        return np.concatenate(blocks) + np.log(self.priors)

    def predict_log_proba(self, X: Any) -> FloatArray:
        """Log-probabilities of the classes given rows, (n, K).

        Those of the priors for a row that has no density under any class.
        """
        joint = self._log_joint(X)
        nowhere = np.isneginf(joint).all(axis=1)
        joint[nowhere] = np.log(self.priors)
        return np.asarray(joint - logsumexp(joint, axis=1, keepdims=True))

    def predict_proba(self, X: Any) -> FloatArray:
        """Probabilities of the classes given rows, (n, K)."""
        return np.exp(self.predict_log_proba(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each row, (n,)."""
        return np.asarray(self.classes_[np.argmax(self.predict_log_proba(X), axis=1)])

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of rows that are given their label."""
        predicted = self.predict(X)
        labels = list(np.asarray(y, dtype=object).ravel())
        same_length(labels, predicted, "y")
        right = np.array([a == b for a, b in zip(predicted.tolist(), labels, strict=True)])
        return float(np.average(right, weights=sample_weight))

    def __repr__(self) -> str:
        rows = [("class", "prior", "distribution")]
        for label, prior, family in zip(_plain(self), self.priors, self.families, strict=True):
            rows.append((str(label), f"{prior:.4g}", repr(family)))
        left_out = len(rows) - 1 - _MOST_ROWS
        lines = aligned(rows[: 1 + _MOST_ROWS], left=(0, 2))
        if left_out > 0:
            lines.append(f"... and {left_out} more classes")
        return "\n".join(
            [
                f"{type(self.members).__name__} by maximum likelihood for each of "
                f"{len(self.classes_)} classes: {self.n_samples} rows",
                *lines,
                criteria(self),
            ]
        )


def _plain(result: LabelledFit) -> list[Any]:
    return list(result.classes_.tolist())


def _rows_of(data: Data, chosen: Any) -> Data:
    weights = None if data.weights is None else data.weights[chosen]
    return replace(data, X=data.X[chosen], weights=weights, sum_of_weights=None)


def encoded(y: Any, data: Data) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Different labels, sorted where they can be, and the place of each row's among them.

    Raises
    ------
    ValueError
        If a label is missing, if there is but one, or if there is not one for each row.
    """
    labels = np.asarray(y)
    if labels.dtype.kind in "US" and not isinstance(y, np.ndarray):
        labels = np.asarray(y, dtype=object)  # NumPy would make text of numbers among text
    if labels.ndim != 1:
        raise ValueError(
            f"y must be one label for each row, but it is of the shape {labels.shape}; y.ravel() "
            "makes one axis of a column"
        )
    same_length(labels, data.X if data.kept is None else data.kept, "y")
    if data.kept is not None:
        labels = labels[data.kept]
    missing = np.array([label is None or label != label for label in labels.tolist()])
    if missing.any():
        raise ValueError(
            f"y: the label of row {int(np.argmax(missing))}, counted from 0, is missing. Leave out "
            "rows without a label, or fit fastem.Mixture, which takes rows of unknown class"
        )
    try:
        classes, codes = np.unique(labels, return_inverse=True)
    except TypeError:  # labels of several kinds have no order: the first seen is the first
        places: dict[Any, int] = {}
        codes = np.array([places.setdefault(label, len(places)) for label in labels.tolist()])
        classes = np.empty(len(places), dtype=object)
        classes[:] = list(places)
    if labels.dtype.kind == "f" and len(classes) == len(labels) and (classes % 1 != 0).any():
        raise ValueError(
            "y holds labels of classes, but its numbers are all different, as those of a response: "
            "a response given X is fitted by LinearRegression or LogisticRegression"
        )
    return classes, codes


def fit_labelled(
    family: Family, data: Data, y: Any, fixed: Mapping[str, Any], max_iter: int, scalar: bool
) -> LabelledFit:
    """Fit one distribution to the rows of each label."""
    classes, codes = encoded(y, data)
    counts = np.bincount(codes, data.weights, minlength=len(classes)).astype(float)
    start = family.prepared(data.rows(slice(None)))
    priors = counts / counts.sum()
    many = len(classes) > _MANY and not fixed and not start.iterative
    if many and (apart := _sorted(start, data, classes, codes)) is not None:
        members, within = apart
    else:
        if fixed or start.iterative:
            members = _one_by_one(start, data, classes, codes, fixed, max_iter)
        else:
            members = _in_one_pass(start, data, classes, codes)
        within = _within(members, data, codes)
    return LabelledFit(
        members=members,
        classes_=classes,
        priors=priors,
        log_likelihood=within + float(counts @ np.log(priors)),
        total_weight=data.total_weight,
        n_samples=data.n_rows,
        fixed=tuple(fixed),
        _data=data,
        _codes=codes,
        _scalar=scalar,
    )


def _within(members: Family, data: Data, codes: NDArray[np.intp]) -> float:
    """The weighted sum of the log-densities of rows under the distribution of their class."""

    def block(part: slice) -> Any:
        densities = members.log_densities(data.rows(part))
        chosen = codes[part]
        values = densities[np.arange(len(chosen)), chosen]
        return values.sum() if data.weights is None else data.weights[part] @ values

    return float(data.total(block, members.n_members))


def _sorted(
    start: Family, data: Data, classes: NDArray[Any], codes: NDArray[np.intp]
) -> tuple[Family, float] | None:
    """Members, and the sum of their log-densities, from the rows of each class side by side.

    A table of all rows and all classes would be mostly zeros. None where the classes share
    parameters, which no class tells by itself.
    """
    order = np.argsort(codes, kind="stable")
    together = _rows_of(data, order)
    ends = np.cumsum(np.bincount(codes, minlength=len(classes)))
    found, value = [], 0.0
    for begin, end, label in zip(np.r_[0, ends[:-1]], ends, classes.tolist(), strict=True):
        rows = _rows_of(together, slice(begin, end))
        member = _named(label, lambda rows=rows: start.maximise(rows.statistics(start)))
        found.append(member)
        if len(found) == 2:
            two = type(start).stacked(found)
            if two.n_parameters_together < 2 * two.n_parameters:
                return None
        value += float(rows.log_likelihood(member)[0])
    return type(start).stacked(found), value


def _in_one_pass(
    start: Family, data: Data, classes: NDArray[Any], codes: NDArray[np.intp]
) -> Family:
    """Responsibilities of 0 and 1: the M-step of a mixture whose components are known."""
    numbers = np.arange(len(classes))

    def block(part: slice) -> Any:
        responsibilities = (codes[part, None] == numbers).astype(np.float64)
        if data.weights is not None:
            responsibilities *= data.weights[part, None]
        return start.accumulate(data.rows(part), responsibilities)

    try:
        return start.maximise(data.total(block, len(classes)))
    except DegenerateFitError as error:
        for k, label in enumerate(classes.tolist()):
            _named(label, lambda k=k: start.maximise(_rows_of(data, codes == k).statistics(start)))
        raise error


def _one_by_one(
    start: Family,
    data: Data,
    classes: NDArray[Any],
    codes: NDArray[np.intp],
    fixed: Mapping[str, Any],
    max_iter: int,
) -> Family:
    found = []
    for k, label in enumerate(classes.tolist()):
        rows = _rows_of(data, codes == k)

        def fitted(rows: Data = rows) -> Family:
            if fixed:
                return with_fixed(start, rows, fixed, max_iter)[0]
            return fit_complete(start, rows, max_iter)[0]

        found.append(_named(label, fitted))
    return type(start).stacked(found)


def _named(label: Any, fitted: Any) -> Any:
    """What a function returns; the error of a likelihood without maximum names the class."""
    try:
        return fitted()
    except DegenerateFitError as error:
        error.args = (f"class {label!r}: {error}",)
        raise
