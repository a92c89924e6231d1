"""Parameters of members of a family: examined, taken apart, put together, in free coordinates."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from .domains import Domain

FloatArray = NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Parametrised:
    """What has named parameters, None until they are known: the half of `Family` without data."""

    #: parameter -> where it may lie
    domains: ClassVar[Mapping[str, Domain]]
    #: whether rows are of one variable for each column
    univariate: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name, value in self._examined(self.parameters).items():
            object.__setattr__(self, name, value)

    def _examined(self, parameters: Mapping[str, Any]) -> dict[str, FloatArray]:
        """Parameters as arrays; {} where none is given.

        Raises
        ------
        ValueError
            If some are given without the others, or one lies outside its domain.
        """
        given = [name for name in self.domains if parameters[name] is not None]
        if not given:
            return {}
        if missing := [name for name in self.domains if name not in given]:
            raise ValueError(
                f"{type(self).__name__}: {', '.join(given)} without {', '.join(missing)}. Give all "
                f"parameters of a known distribution, or none: {type(self).__name__}() is to be "
                "fitted"
            )
        arrays = {}
        for name, domain in self.domains.items():
            try:
                arrays[name] = np.array(parameters[name], dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise type(error)(
                    f"{type(self).__name__}: {name} must be {domain.describe()}, but it is "
                    f"{parameters[name]!r}"
                ) from error
            if arrays[name].ndim < domain.ndim or not domain.contains(arrays[name]):
                raise ValueError(
                    f"{type(self).__name__}: {name} must be {domain.describe()}, but it is "
                    f"{parameters[name]!r}"
                )
            arrays[name] = domain.exact(arrays[name])
        return arrays

    @property
    def known(self) -> bool:
        """Whether the parameters are known."""
        return getattr(self, next(iter(self.domains))) is not None

    @property
    def parameters(self) -> dict[str, FloatArray]:
        """The parameters by name."""
        return {name: getattr(self, name) for name in self.domains}

    def blank(self) -> Self:
        """The same family, its parameters to be fitted."""
        return self.with_parameters(**dict.fromkeys(self.domains))

    def with_parameters(self, **parameters: Any) -> Self:
        """The same, with other parameters. They are not examined."""
        other = object.__new__(type(self))
        for field in fields(self):
            object.__setattr__(other, field.name, getattr(self, field.name))
        for name, value in parameters.items():
            object.__setattr__(other, name, value)
        return other

    def replaced(self, **parameters: Any) -> Self:
        """The same, with other parameters, which are examined as those of a new one are.

        Raises
        ------
        ValueError
            If one lies outside its domain.
        """
        return replace(self, **parameters)

    @property
    def constants(self) -> dict[str, Any]:
        """What is known beside the parameters, by name, where it is not the default."""
        return {
            field.name: value
            for field in fields(self)
            if field.name not in self.domains
            and (value := getattr(self, field.name)) is not None
            and not _same(value, field.default)
        }

    @property
    def kind(self) -> Hashable:
        """What distributions must have in common to be members of one."""
        return type(self), repr(self.constants), self.n_columns

    @property
    def _axes(self) -> int:
        """Axes of the parameters before those of one value: 0 a number, 1 columns, 2 members."""
        name, domain = next(iter(self.domains.items()))
        return int(getattr(self, name).ndim) - domain.ndim

    def members(self) -> Self:
        """The same with an axis of members, of which there is one; itself where there is one."""
        wanted = 1 + self.univariate
        missing = wanted - self._axes
        if missing <= 0:
            return self
        return self.with_parameters(
            **{name: value[(None,) * missing] for name, value in self.parameters.items()}
        )

    def member(self, k: int) -> Self:
        """One of the members, without their axis."""
        return self.with_parameters(**{name: v[k] for name, v in self.parameters.items()})

    def column(self, j: int) -> Self:
        """One of the columns, of members of one variable for each column."""
        D, kept = self.n_columns, slice(j, j + 1)
        its = {name: value[:, kept] for name, value in self.parameters.items()}
        for field in fields(self):  # constants that each column has its own of
            value = getattr(self, field.name)
            if field.name not in its and np.shape(value) == (D,):
                its[field.name] = value[kept]
        return self.with_parameters(**its)

    def scalar(self) -> Self:
        """Of members without their axis, and one column: with numbers for parameters."""
        if not self.univariate or self._axes != 1 or self.n_columns != 1:
            return self
        return self.with_parameters(**{name: v[0] for name, v in self.parameters.items()})

    @classmethod
    def stacked(cls, distributions: Sequence[Self]) -> Self:
        """Distributions as members of one.

        Raises
        ------
        ValueError
            If their constants differ, such as the number of trials of `Binomial`.
        """
        all_members = [distribution.members() for distribution in distributions]
        first = all_members[0].constants
        for constants in (m.constants for m in all_members[1:]):
            for name in constants.keys() | first.keys():
                if not _same(constants.get(name), first.get(name)):
                    raise ValueError(
                        f"{cls.__name__}: {name} must be the same for all members, but it is "
                        f"{first.get(name)!r} and {constants.get(name)!r}"
                    )
        return all_members[0].with_parameters(
            **{
                name: np.concatenate([m.parameters[name] for m in all_members])
                for name in cls.domains
            }
        )

    @property
    def n_members(self) -> int:
        """Members, K."""
        return len(next(iter(self.parameters.values())))

    @property
    def n_columns(self) -> int:
        """Columns of data that it is of; 1 where nothing is known."""
        if not self.known:
            return 1
        value = next(iter(self.members().parameters.values()))
        return int(value.shape[1])

    @property
    def n_parameters(self) -> int:
        """Free parameters of one member."""
        members = self.members()
        return sum(members._shapes(name)[2] for name in self.domains)

    @property
    def n_parameters_together(self) -> int:
        """Free parameters of all members: fewer than those of each where they share some."""
        return self.n_members * self.n_parameters

    def _shapes(self, name: str) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        """Of a parameter of one of the members: its columns, one value, and its free numbers."""
        domain, shape = self.domains[name], getattr(self, name).shape[1:]
        lead, value = shape[: len(shape) - domain.ndim], shape[len(shape) - domain.ndim :]
        return lead, value, math.prod(lead) * domain.n_free(value)

    def unconstrained(self) -> FloatArray:
        """The parameters of the members as free numbers, (K, n_parameters)."""
        K = self.n_members
        return np.concatenate(
            [d.to_free(self.parameters[n]).reshape(K, -1) for n, d in self.domains.items()], axis=1
        )

    def from_unconstrained(self, free: FloatArray) -> Self:
        """Members with other parameters: the inverse of `unconstrained`."""
        parameters, begin = {}, 0
        for name, domain in self.domains.items():
            lead, value, size = self._shapes(name)
            part = free[:, begin : begin + size].reshape(len(free), *lead, *(-1,) * bool(value))
            parameters[name], begin = domain.from_free(part, value), begin + size
        return self.with_parameters(**parameters)

    def labels(self, names: Sequence[str] | None) -> dict[str, list[str]]:
        """What the numbers of a parameter are called, where `coefficients[1]` is no good name.

        Parameters
        ----------
        names : sequence of str or None
            Of the columns of X.
        """
        return {}


def _same(one: Any, other: Any) -> bool:
    return bool(np.array_equal(one, other))
