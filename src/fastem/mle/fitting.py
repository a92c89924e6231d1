"""`fit`: from what a user gave to a result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

import numpy as np

from .._threads import shared_n_threads
from ..families import Family, chosen
from . import censoring, complete
from .data import Data, checked, missing_named, uncounted
from .labelled import fit_labelled
from .result import MaximumLikelihood, likelihoods_of


@overload
def fit(
    family: Any,
    X: Any,
    y: None = None,
    *,
    sample_weight: Any = None,
    censored: Any = None,
    fixed: Mapping[str, Any] | None = None,
    n_threads: int | None = None,
    max_iter: int = 1000,
) -> MaximumLikelihood: ...


@overload  # of a regression a MaximumLikelihood, of labels a LabelledFit
def fit(
    family: Any,
    X: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    censored: Any = None,
    fixed: Mapping[str, Any] | None = None,
    n_threads: int | None = None,
    max_iter: int = 1000,
) -> Any: ...


def fit(
    family: Any,
    X: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    censored: Any = None,
    fixed: Mapping[str, Any] | None = None,
    n_threads: int | None = None,
    max_iter: int = 1000,
) -> Any:
    """Fit a distribution by maximum likelihood.

    Parameters
    ----------
    family : Family, its class or its name
        What to fit: `families.Gamma()`, `families.Gamma` or "Gamma". Parameters it has are the
        start where it takes iterations.
    X : array-like of shape (n,) or (n, D), or scipy.stats.CensoredData
        Values. A family of one variable is fitted to each column by itself.
    y : array-like of shape (n,), optional
        For a regression, the response. For any other family labels of any kind: one distribution
        is fitted to the rows of each label, all in one pass, and together they classify.
    sample_weight : array-like of shape (n,), optional
        How often each row counts; a weight of 0 removes the row. Standard errors take them for
        numbers of observations.
    censored : array-like of shape (n,) or "interval", optional
        Which values of X are bounds of what is not known: "right" (or 1, or True) what is greater
        than the value, "left" (or -1) what is no greater, "none" (or 0, or False) the value itself.
        "interval": X has two columns, the bounds, infinite for none, equal for a known value.
        Of integers, those above the lower and up to the upper bound are meant.
    fixed : mapping of str to value, optional
        Parameters that are known; the likelihood is maximised over the others.
    n_threads : int, optional
        Threads; by default those of the machine. They change no digit.
    max_iter : int, default=1000
        Iterations at most, for families and data that take some.

    Returns
    -------
    MaximumLikelihood, or LabelledFit where `y` holds labels

    Raises
    ------
    TypeError, ValueError
        If something is wrong with the arguments, or if values are not in the family's support.
    DegenerateFitError
        If the likelihood has no maximum.

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import Exponential, Normal
    >>> mle.fit(Normal(), [1.0, 2.0, 3.0, 6.0]).family
    Normal(mean=3, sd=1.87083)

    The second time was still running at 7; and one distribution for each label:

    >>> mle.fit(Exponential(), [3.0, 7.0], censored=["none", "right"]).family
    Exponential(rate=0.1)
    >>> mle.fit(Normal(), [1.0, 3.0, 7.0, 9.0], ["a", "a", "b", "b"]).predict([4.0, 6.0]).tolist()
    ['a', 'b']
    """
    known = _family(family)
    with shared_n_threads(n_threads) as threads:
        if known.conditional:
            if y is None:
                raise ValueError(
                    f"{type(known).__name__} is of a response given covariates: give the response "
                    "as y"
                )
            if censored is not None:
                raise ValueError(
                    f"{type(known).__name__}: censored responses are not known here. censored= is "
                    "for families of one variable"
                )
            data = checked(X, y, sample_weight, threads)
            with missing_named(data):
                return complete_result(known, data, fixed, max_iter, False)
        if censored is not None or isinstance(X, censoring.SCIPYS):
            if y is not None:
                raise ValueError(
                    "censored values with labels: fit the rows of each label by themselves"
                )
            given = censoring.bounds(X, censored, sample_weight)
            scalar = isinstance(censored, str) or isinstance(X, censoring.SCIPYS) or np.ndim(X) == 1
            held = checked_fixed(known, fixed)
            with uncounted(given.kept):
                return censoring.fit(known, given, held, max_iter, scalar, threads)
        data = checked(X, None, sample_weight, threads)
        with missing_named(data):
            if y is not None:
                held = checked_fixed(known, fixed)
                return fit_labelled(known, data, y, held, max_iter, np.ndim(X) == 1)
            return complete_result(known, data, fixed, max_iter, np.ndim(X) == 1)


def _family(family: Any) -> Family:
    family = chosen(family)
    if family.known and family.members().n_members != 1:
        raise ValueError(
            f"these are {family.n_members} distributions: fit one, taken with member(k)"
        )
    return family if family.iterative else family.blank()


def checked_fixed(family: Family, fixed: Mapping[str, Any] | None) -> dict[str, Any]:
    """The parameters that are held, all of them known to the family."""
    if fixed is not None and not isinstance(fixed, Mapping):
        example = {next(iter(family.domains)): 1.0}
        raise TypeError(
            f"fixed: give names and values of parameters, such as {example}, not {fixed!r}"
        )
    names = list(family.domains)
    for name in fixed or {}:
        if name not in names:
            raise ValueError(
                f"fixed: {type(family).__name__} has no parameter {name!r}: it has "
                f"{', '.join(names)}"
            )
    if fixed and len(fixed) == len(names):
        raise ValueError(
            f"fixed: all parameters of {type(family).__name__} are given, so there is nothing to "
            f"fit. Use {type(family).__name__}(...).log_density(X)"
        )
    return dict(fixed or {})


def complete_result(
    family: Family, data: Data, fixed: Mapping[str, Any] | None, max_iter: int, scalar: bool
) -> MaximumLikelihood:
    """Fit rows of which nothing is hidden."""
    if family.known and family.n_columns != data.n_columns:
        raise ValueError(
            f"{type(family).__name__} begins with parameters of {family.n_columns} columns, but "
            f"the data have {data.n_columns}"
        )
    held = checked_fixed(family, fixed)
    trace: tuple[float, ...] = ()
    if held:
        members, statistics = complete.with_fixed(family, data, held, max_iter)
    else:
        members, statistics, trace = complete.fit(family, data, max_iter)
    likelihoods = likelihoods_of(members, data, statistics)
    whole = None if statistics is None else members.log_likelihood(statistics)
    value = data.log_likelihood(members) if whole is None else whole
    one = members.member(0)
    return MaximumLikelihood(
        family=one.scalar() if scalar else one,
        log_likelihood=float(value[0]),
        total_weight=data.total_weight,
        n_samples=data.n_rows,
        fixed=tuple(held),
        trace=trace,
        _data=data,
        _likelihoods=likelihoods,
    )
