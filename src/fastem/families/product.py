"""Independent families on different columns."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from .base import Family, FloatArray
from .domains import Domain
from .exponential_family import ExponentialFamily, Moments, linear_log_likelihood
from .passes import Sums
from .support import Support


@dataclass(frozen=True, eq=False, repr=False)
class Product(Family):
    """Independent families on different columns, for data of mixed kinds.

    The density is the product of those of the parts. In a mixture, columns are thus independent
    within a component, but not in the whole.

    Parameters
    ----------
    parts : sequence
        Each is a family, or a tuple of a family and its columns: how many there are, or which. A
        family alone takes the columns that its parameters are of, or one. Columns that are not
        named are given out in order: `Product([Normal(), (Categorical(), 2), Poisson()])` has four.
    columns : sequence of sequences of int, optional
        The columns of each part, instead of in tuples.

    Notes
    -----
    A parameter has its own name and the number of its part: `mean_0`, `rate_1`. If all parts are
    exponential families, so is the product, and the compiled kernel of mixtures takes it.

    Examples
    --------
    >>> from fastem import mle
    >>> from fastem.families import Normal, Poisson, Product
    >>> known = Product([Normal(1, 2), Poisson(3)])
    >>> X = known.sample(1000, random_state=0)
    >>> known.log_density(X[:2]).round(2)
    array([-7.  , -4.69])
    >>> mle.fit(Product([Normal(), Poisson()]), X).family.formula(digits=3)
    'Product([Normal([0.909], [1.97]), Poisson([2.91])])'
    """

    parts: Any = ()
    columns: Any = None

    support: ClassVar = Support()
    univariate: ClassVar = False

    def __post_init__(self) -> None:
        parts, wanted = _parts_and_columns(self.parts, self.columns)
        columns = _given_out(wanted)
        for part, own in zip(parts, columns, strict=True):
            if part.conditional:
                raise ValueError(
                    f"Product: {type(part).__name__} is of a response given other columns, and no "
                    "part of a product"
                )
            if part.known and part.n_columns not in (1, len(own)):
                raise ValueError(
                    f"Product: {part!r} is of {part.n_columns} columns, but it is given "
                    f"{len(own)}: {list(own)}"
                )
        if len({part.known for part in parts}) > 1:
            raise ValueError(
                "Product: some parts have parameters and others have none. Give all parameters of "
                "a known distribution, or none of one that is to be fitted"
            )
        object.__setattr__(self, "parts", tuple(parts))
        object.__setattr__(self, "columns", columns)

    # --- the parts, and what is theirs ---------------------------------------------------------

    def _each(self, X: FloatArray) -> Iterator[tuple[Family, FloatArray]]:
        """Each part with its columns of some rows."""
        for part, own in zip(self.parts, self.columns, strict=True):
            yield part, X[:, own]

    def _with_parts(self, parts: Sequence[Family]) -> Self:
        other = object.__new__(type(self))
        object.__setattr__(other, "parts", tuple(parts))
        object.__setattr__(other, "columns", self.columns)
        return other

    @property
    def made_of(self) -> tuple[Family, ...]:
        return cast(tuple[Family, ...], self.parts)

    @property
    def kind(self) -> Hashable:
        return type(self), self.columns, tuple(part.kind for part in self.parts)

    @property
    def constants(self) -> dict[str, Any]:
        return {"columns": [list(own) for own in self.columns]}

    @property
    def iterative(self) -> bool:  # type: ignore[override]
        """Whether the maximum of one of the parts is reached only by repeating the step."""
        return any(part.iterative for part in self.parts)

    @property
    def exponential(self) -> bool:
        return all(part.exponential for part in self.parts)

    @property
    def known(self) -> bool:
        return all(part.known for part in self.parts)

    @property
    def domains(self) -> Mapping[str, Domain]:  # type: ignore[override]
        """Those of the parts, by name and number."""
        return {
            f"{name}_{i}": domain
            for i, part in enumerate(self.parts)
            for name, domain in part.domains.items()
        }

    def _owner(self, name: str) -> tuple[int, str]:
        """The part that has a parameter, and its name there."""
        own, _, number = name.rpartition("_")
        return int(number), own

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and "parts" in self.__dict__ and name in self.domains:
            i, own = self._owner(name)
            return getattr(self.parts[i], own)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def with_parameters(self, **parameters: Any) -> Self:
        of_each: list[dict[str, Any]] = [{} for _ in self.parts]
        for name, value in parameters.items():
            i, own = self._owner(name)
            of_each[i][own] = value
        return self._with_parts(
            [part.with_parameters(**its) for part, its in zip(self.parts, of_each, strict=True)]
        )

    def replaced(self, **parameters: Any) -> Self:
        return self.with_parameters(**self._examined({**self.parameters, **parameters}))

    def members(self) -> Self:
        parts = []
        for part, own in zip(self.parts, self.columns, strict=True):
            whole = part.members()
            if whole.n_columns < len(own):  # one number for all of its columns
                whole = whole.with_parameters(
                    **{n: np.repeat(v, len(own), axis=1) for n, v in whole.parameters.items()}
                )
            parts.append(whole)
        return self._with_parts(parts)

    def member(self, k: int) -> Self:
        return self._with_parts([part.member(k) for part in self.parts])

    def scalar(self) -> Self:
        return self._with_parts([part.scalar() for part in self.parts])

    @classmethod
    def stacked(cls, distributions: Sequence[Self]) -> Self:
        first = distributions[0]
        if len({(d.columns, tuple(map(type, d.parts))) for d in distributions}) > 1:
            raise ValueError(
                "Product: all members must have the same families on the same columns, but they "
                f"are {', '.join(sorted({repr(d.with_parameters()) for d in distributions}))}"
            )
        each = zip(*(d.members().parts for d in distributions), strict=True)
        return first._with_parts([parts[0].stacked(parts) for parts in each])

    @property
    def n_members(self) -> int:
        return int(self.parts[0].n_members)

    @property
    def n_columns(self) -> int:
        return sum(len(own) for own in self.columns)

    @property
    def n_parameters_together(self) -> int:
        return sum(part.n_parameters_together for part in self.members().parts)

    def _shapes(self, name: str) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        i, own = self._owner(name)
        shapes: tuple[tuple[int, ...], tuple[int, ...], int] = self.parts[i]._shapes(own)
        return shapes

    def unconstrained(self) -> FloatArray:
        return np.concatenate([part.unconstrained() for part in self.parts], axis=1)

    def from_unconstrained(self, free: FloatArray) -> Self:
        ends = np.cumsum([part.n_parameters for part in self.parts])
        split = np.split(free, ends[:-1], axis=1)
        return self._with_parts(
            [part.from_unconstrained(its) for part, its in zip(self.parts, split, strict=True)]
        )

    # --- data ----------------------------------------------------------------------------------

    def prepared(self, X: FloatArray) -> Self:
        """With what the parts must know of all rows.

        Raises
        ------
        ValueError
            If there are not as many columns, or the values of one are not within the support of
            its part.
        """
        if X.shape[1] != self.n_columns:
            raise ValueError(
                f"Product: the parts are of {self.n_columns} columns, but X has {X.shape[1]}. Give "
                "the number of columns of a part in a tuple, such as (Normal(), 3)"
            )
        parts = []
        for (part, columns), own in zip(self._each(X), self.columns, strict=True):
            try:
                parts.append(part.prepared(columns))
            except ValueError as error:
                where = f"Product: of X, {type(part).__name__} is given the columns {list(own)}. "
                error.args = (f"{where}Counted among these: {error}",)
                raise
        return self._with_parts(parts)

    def inside(self, X: FloatArray) -> NDArray[np.bool_]:
        return np.logical_and.reduce([part.inside(own) for part, own in self._each(X)])

    def possible(self, X: FloatArray) -> NDArray[np.bool_]:
        return np.logical_and.reduce([part.possible(own) for part, own in self._each(X)])

    def log_densities(self, X: FloatArray) -> FloatArray:
        result = np.zeros((len(X), self.n_members))
        for part, own in self._each(X):
            result += part.log_densities(own)
        return result

    def accumulate(self, X: FloatArray, responsibilities: FloatArray | None) -> Sums:
        return Sums(part.accumulate(own, responsibilities) for part, own in self._each(X))

    def maximise(self, statistics: Any) -> Self:
        """From the statistics of the parts, or `Moments` of an exponential product."""
        if isinstance(statistics, Moments):
            ends = np.cumsum([part.width(len(own)) for part, own in self._linear()])
            no_base = np.zeros_like(statistics.counts)
            statistics = [
                Moments(statistics.counts, sums, no_base)
                for sums in np.split(statistics.sums, ends[:-1], axis=1)
            ]
        return self._with_parts(
            [part.maximise(its) for part, its in zip(self.parts, statistics, strict=True)]
        )

    def log_likelihood(self, statistics: Any) -> FloatArray | None:
        if isinstance(statistics, Moments):
            return linear_log_likelihood(self, statistics)
        each = [p.log_likelihood(its) for p, its in zip(self.parts, statistics, strict=True)]
        known = [its for its in each if its is not None]
        return np.asarray(sum(known)) if len(known) == len(each) else None

    def draw(self, n: int, random_state: np.random.RandomState) -> FloatArray:
        X = np.empty((n, self.n_columns))
        for part, own in zip(self.parts, self.columns, strict=True):
            X[:, own] = part.draw(n, random_state)
        return X

    @property
    def mean(self) -> Any:
        return self._row([part.mean for part in self.parts])

    @property
    def variance(self) -> Any:
        return self._row([part.variance for part in self.parts])

    def _row(self, values: list[Any]) -> FloatArray:
        arrays = [np.atleast_1d(value) for value in values]
        row = np.empty((*arrays[0].shape[:-1], self.n_columns))
        for own, value in zip(self.columns, arrays, strict=True):
            row[..., own] = value
        return row

    # --- as an exponential family: see `ExponentialFamily` --------------------------------------

    def _linear(self) -> Iterator[tuple[ExponentialFamily, tuple[int, ...]]]:
        return zip(self.parts, self.columns, strict=True)

    def width(self, n_columns: int) -> int:
        """Numbers in T(x) of one row, d."""
        return sum(part.width(len(own)) for part, own in self._linear())

    def statistics(self, X: FloatArray) -> FloatArray:
        """T(x) of the parts side by side, (n, d)."""
        return np.concatenate([part.statistics(X[:, own]) for part, own in self._linear()], axis=1)

    def coefficients(self) -> tuple[FloatArray, FloatArray]:
        """eta side by side (K, d), and A (K,)."""
        etas, partitions = zip(*(part.coefficients() for part, _ in self._linear()), strict=True)
        eta = np.ascontiguousarray(np.concatenate(etas, axis=1))
        return eta, np.sum(partitions, axis=0)

    def base(self, X: FloatArray) -> FloatArray | None:
        """h of rows, (n,); None for 0."""
        each = (part.base(X[:, own]) for part, own in self._linear())
        known = [h for h in each if h is not None]
        return np.sum(known, axis=0) if known else None

    # --- words ---------------------------------------------------------------------------------

    def __repr__(self) -> str:
        inner = ", ".join(
            f"({part!r}, {list(own)})" for part, own in zip(self.parts, self.columns, strict=True)
        )
        return f"Product([{inner}])"

    def formula(self, digits: int | None = None) -> str:
        parts = ", ".join(part.formula(digits) for part in self.parts)
        in_order = _given_out([len(own) for own in self.columns])
        columns = "" if in_order == self.columns else f", columns={[*map(list, self.columns)]}"
        return f"Product([{parts}]{columns})"


def _parts_and_columns(parts: Any, columns: Any) -> tuple[list[Family], list[Any]]:
    """The families, and for each how many columns it has, or which."""
    families: list[Family] = []
    wanted: list[Any] = []
    for item in parts if isinstance(parts, list | tuple) else ():
        pair = item if isinstance(item, tuple) else (item, None)
        if len(pair) != 2 or not isinstance(pair[0], Family):
            hint = f". Write {item.__name__}()" if isinstance(item, type) else ""
            raise TypeError(
                f"Product: {item!r} is neither a family nor a tuple of one and its columns{hint}"
            )
        families.append(pair[0])
        wanted.append(pair[0].n_columns if pair[1] is None else pair[1])
    if not families:
        raise ValueError(
            "Product: give the families of the columns, such as Product([Normal(), Poisson()]), "
            f"instead of {parts!r}"
        )
    if columns is not None:
        if len(columns) != len(families):
            raise ValueError(
                f"Product: columns are given for {len(columns)} parts, but there are "
                f"{len(families)}"
            )
        wanted = list(columns)
    return families, wanted


def _given_out(wanted: list[Any]) -> tuple[tuple[int, ...], ...]:
    """Columns of each part, those that nobody named in order."""
    named = [None if np.ndim(one) == 0 else [int(j) for j in one] for one in wanted]
    counts = [int(one) if own is None else len(own) for one, own in zip(wanted, named, strict=True)]
    taken = [j for own in named if own is not None for j in own]
    everything = set(range(sum(counts)))
    if min(counts) < 1 or len(set(taken)) < len(taken) or not set(taken) <= everything:
        raise ValueError(
            f"Product: the columns {wanted} of the parts must be at least one each, and together "
            f"0 to {sum(counts) - 1}, each of them once"
        )
    free = iter(sorted(everything - set(taken)))
    return tuple(
        tuple(own) if own is not None else tuple(next(free) for _ in range(count))
        for own, count in zip(named, counts, strict=True)
    )
