"""The parameters of any model as one vector with names: read from it, and put into a copy of it.

They are what the model's attribute `parameters` holds, where it has one; else its fields that are
floating-point numbers, arrays of them, or tuples, lists and dicts of those. Integers, names and
flags are taken for settings, unless an M-step changes them; private attributes for caches, unless
nothing else is changed. What an E-step leaves in the model is none, and, where there is a
log-likelihood, neither is what an M-step only adds to.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

#: what to add to a model of which the parameters cannot be read, or replaced
REMEDY = (
    "keep them in fields of a dataclass, or give it an attribute `parameters` (a number, an array, "
    "or a tuple or dict of those) and a method `with_parameters(parameters)` that returns a model "
    "with others"
)


class Fields:
    """Where the parameters of a kind of model are.

    Parameters
    ----------
    names : tuple of str or None
        The fields that hold them; None for its own attribute `parameters`.
    """

    def __init__(self, names: tuple[str, ...] | None) -> None:
        self.names = names

    @classmethod
    def of(
        cls,
        model: Any,
        after: Any,
        known: Mapping[str, Any] | None = None,
        likelihood: bool = False,
    ) -> Fields:
        """Of a model, and what an M-step made of it (the same model where there was none).

        Parameters
        ----------
        model, after
        known : mapping, optional
            The fields of the model before the E-step: what that adds is no parameter.
        likelihood : bool, default=False
            Whether a log-likelihood tells when EM has converged: counters and histories need not.
        """
        if hasattr(after, "parameters"):
            return cls(None)
        before, now = fields(model, private=True), fields(after, private=True)
        numeric = [name for name in now if (known is None or name in known) and _numeric(now[name])]
        moved = {name for name in numeric if _changed(before.get(name), now[name])}
        names = [n for n in numeric if n[0] != "_" and (_floats(now[n]) or n in moved)]
        shown = {name for name in names if not likelihood or _floats(now[name])}
        if model is not after and not moved.intersection(shown):
            # what is seen are constants: the parameters are private
            names += [n for n in numeric if n[0] == "_" and n in moved and _numeric(before.get(n))]
        found = cls(tuple(names))
        if model is after or known is None:
            return found
        return found.made_by(model, after, known, histories=not likelihood)

    def made_by(
        self, model: Any, after: Any, known: Mapping[str, Any], histories: bool = False
    ) -> Fields:
        """Those that are not merely kept from an E-step.

        Parameters
        ----------
        model, after
            After the E-step, and what the M-step made of it.
        known : mapping
            The fields of the model before the E-step.
        histories : bool, default=False
            Whether what an M-step adds to, and leaves as it was otherwise, may be a parameter.
        """
        if self.names is None:
            return self
        there, now = fields(model, private=True), fields(after, private=True)

        def is_one(name: str) -> bool:
            if not histories and _is_extended(known.get(name, there.get(name)), now[name]):
                return False
            kept = known.get(name) is not there.get(name)
            return not kept or _changed(there.get(name), now[name])

        return Fields(tuple(n for n in self.names if n in now and is_one(n)))

    def without_integers(self, model: Any) -> Fields:
        """Those that hold a floating-point number; all of a model's own `parameters`."""
        if self.names is None:
            return self
        return Fields(tuple(name for name in self.names if _floats(getattr(model, name))))

    def tree(self, model: Any) -> Any:
        """The parameters as the model holds them."""
        if self.names is None:
            own = model.parameters
            return own() if callable(own) else own
        return {name: getattr(model, name) for name in self.names}

    def leaves(self, model: Any) -> list[tuple[str, FloatArray]]:
        """The name and the numbers of each number or array among the parameters.

        Raises
        ------
        TypeError
            If one of them is no number.
        """
        return list(_leaves(self.tree(model), ""))

    def vector(self, model: Any) -> FloatArray:
        """All of them, one after the other."""
        parts = [values.ravel() for _, values in self.leaves(model)]
        return np.concatenate([np.empty(0), *parts])

    def replaced(self, model: Any, vector: FloatArray) -> Any:
        """A copy of the model with other parameters.

        Raises
        ------
        TypeError
            If there is no way to do that.
        """
        values = iter(vector.tolist())
        tree = _rebuilt(self.tree(model), values)
        if self.names is not None:
            return _with_fields(model, tree)
        if hasattr(model, "with_parameters"):
            return model.with_parameters(tree)
        if "parameters" in fields(model):
            return _with_fields(model, {"parameters": tree})
        if getattr(getattr(type(model), "parameters", None), "fset", None) is not None:
            other = copy.deepcopy(model)
            other.parameters = tree
            return other
        if isinstance(tree, Mapping) and fields(model).keys() >= tree.keys():
            return _with_fields(model, dict(tree))
        raise TypeError(f"the parameters of {type(model).__name__} cannot be replaced: {REMEDY}")


def fields(model: Any, private: bool = False) -> dict[str, Any]:
    """The fields of a dataclass or of a named tuple that can be replaced, or the attributes.

    Those that begin with an underscore are left out, unless `private` ones are asked for.
    """
    if dataclasses.is_dataclass(model):
        return {f.name: getattr(model, f.name) for f in dataclasses.fields(model) if f.init}
    if hasattr(model, "_asdict"):
        return dict(model._asdict())
    return {
        name: value
        for name, value in {**_slots(model), **getattr(model, "__dict__", {})}.items()
        if (private or not name.startswith("_")) and not _is_cached(model, name)
    }


def _slots(model: Any) -> dict[str, Any]:
    """What the `__slots__` of its classes hold, those of the first base first."""
    values = {}
    for kind in reversed(type(model).__mro__):
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name.startswith("__") and not name.endswith("__"):  # as Python mangles it
                name = f"_{kind.__name__.lstrip('_')}{name}"
            if name not in ("__dict__", "__weakref__") and hasattr(model, name):
                values[name] = getattr(model, name)
    return values


def _is_cached(model: Any, name: str) -> bool:
    """Whether an attribute is computed from others."""
    return isinstance(getattr(type(model), name, None), cached_property)


def _with_fields(model: Any, values: dict[str, Any]) -> Any:
    if dataclasses.is_dataclass(model) and not isinstance(model, type):
        return dataclasses.replace(model, **values)
    if hasattr(model, "_replace"):
        return model._replace(**values)
    other = copy.deepcopy(model)
    attributes = getattr(other, "__dict__", {})
    for name in list(attributes):
        if _is_cached(model, name):  # from the parameters before
            del attributes[name]
    for name, value in values.items():
        if name in attributes:
            attributes[name] = value
        else:  # a slot
            object.__setattr__(other, name, value)
    return other


def _leaves(tree: Any, name: str) -> Iterator[tuple[str, FloatArray]]:
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _leaves(value, f"{name}.{key}" if name else str(key))
    elif isinstance(tree, list | tuple):
        keys = getattr(tree, "_fields", None)
        if keys is None and all(_is_number(value) and np.ndim(value) == 0 for value in tree):
            yield name, np.array([float(value) for value in tree])  # as an array of them
            return
        for i, value in enumerate(tree):
            of_one = f"{name}[{i}]" if keys is None else f"{name}.{keys[i]}".lstrip(".")
            yield from _leaves(value, of_one)
    elif _is_number(tree):
        yield name or "parameter", np.asarray(tree, dtype=np.float64)
    else:
        raise TypeError(
            f"the parameter {name or 'of the model'} is of the type {type(tree).__name__}, which "
            "is no number, array, tuple or dict"
        )


def element_names(leaves: list[tuple[str, FloatArray]]) -> tuple[str, ...]:
    """A name for each number: `weights[0]`, `means[1, 0]`."""
    return tuple(
        name + (f"[{', '.join(map(str, index))}]" if index else "")
        for name, values in leaves
        for index in np.ndindex(values.shape)
    )


def _rebuilt(tree: Any, values: Iterator[float]) -> Any:
    """The same tree with other numbers."""
    if isinstance(tree, Mapping):
        return {key: _rebuilt(value, values) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        others = [_rebuilt(value, values) for value in tree]
        return type(tree)(*others) if hasattr(tree, "_fields") else type(tree)(others)
    if isinstance(tree, np.ndarray):
        dtype = tree.dtype if tree.dtype.kind == "f" else np.float64
        numbers = [next(values) for _ in range(tree.size)]
        return np.array(numbers, dtype=dtype).reshape(tree.shape)
    if hasattr(tree, "__array__") and not isinstance(tree, np.generic):
        shape = np.asarray(tree).shape
        filled = np.array([next(values) for _ in range(math.prod(shape))]).reshape(shape)
        try:  # such as a column of a table
            other = copy.deepcopy(tree)
            other[:] = filled
        except (TypeError, ValueError, IndexError):  # one that cannot be written to
            return filled
        return other
    value = next(values)
    return int(value) if isinstance(tree, int) and value.is_integer() else value


def _is_number(value: Any) -> bool:
    if hasattr(value, "__array__"):
        return np.asarray(value).dtype.kind in "fiu"
    return isinstance(value, Real) and not isinstance(value, bool)


def _numeric(tree: Any) -> bool:
    """Whether it holds numbers, and nothing else."""
    try:
        return any([values.size for _, values in _leaves(tree, "")])  # all are looked at
    except TypeError:
        return False


def _floats(tree: Any) -> bool:
    """Whether there is a floating-point number among them."""
    if isinstance(tree, Mapping):
        return any(map(_floats, tree.values()))
    if isinstance(tree, list | tuple):
        return any(map(_floats, tree))
    if hasattr(tree, "__array__"):
        return bool(np.asarray(tree).dtype.kind == "f")
    return isinstance(tree, Real) and not isinstance(tree, Integral)


def _changed(before: Any, after: Any) -> bool:
    if not _numeric(before):
        return True
    old, new = (np.concatenate([v.ravel() for _, v in _leaves(t, "")]) for t in (before, after))
    return not np.array_equal(old, new)


def _is_extended(before: Any, after: Any) -> bool:
    """Whether numbers were added at the end, or the front, of a sequence."""
    if not all(isinstance(value, list | tuple | np.ndarray) for value in (before, after)):
        return False
    n = len(before) if np.ndim(before) else 0
    if np.ndim(after) == 0 or len(after) <= n or not (n == 0 or _numeric(before)):
        return False
    return n == 0 or not (_changed(before, after[:n]) and _changed(before, after[-n:]))


def kept_inside(vector: FloatArray, inside: FloatArray) -> FloatArray:
    """A proposal cut short where a number would cross 0, or leave (0, 1).

    Parameters
    ----------
    vector : array of shape (n_parameters,)
        Proposed.
    inside : array of shape (n_parameters,)
        A point that EM itself came to: its signs are those that belong to the parameters, as far
        as anyone can tell, and what lies in (0, 1) may be a probability.

    Returns
    -------
    array of shape (n_parameters,)
        On the way from `inside` to `vector`, at most nine tenths of the way to such a bound.
    """
    way = vector - inside
    crosses_0 = (inside != 0) & (np.sign(vector) != np.sign(inside))
    crosses_1 = (inside > 0) & (inside < 1) & (vector >= 1)
    share = 1.0
    if crosses_0.any():
        share = min(share, 0.9 * float(np.min(np.abs(inside[crosses_0] / way[crosses_0]))))
    if crosses_1.any():
        share = min(share, 0.9 * float(np.min((1 - inside[crosses_1]) / way[crosses_1])))
    return vector if share == 1.0 or math.isnan(share) else inside + share * way
