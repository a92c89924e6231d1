"""A model of a user's own, as the EM loop sees it: accumulate, maximise, and a vector."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .parameters import REMEDY, Fields, element_names, fields, kept_inside

FloatArray = NDArray[np.float64]

#: E-step and M-step by name; the first pair that a model has is taken
_STEPS = (("accumulate", "maximise"), ("e_step", "m_step"))

_TWO_LINES = (
    "A model has two methods:\n"
    "    def e_step(self, data): return expected_statistics\n"
    "    def m_step(self, statistics): return Model(new_parameters)"
)
_SPACE = ("unconstrained", "from_unconstrained")


@dataclass(frozen=True)
class Expected:
    """What an E-step of a user's model left.

    Parameters
    ----------
    statistics
        What it returned.
    log_likelihood : float or None
        None where the model has none.
    """

    statistics: Any
    log_likelihood: float | None


class UserModel:
    """A user's model, with what the loop asks of one.

    Parameters
    ----------
    model
        With an E-step and an M-step; see `em.run`.

    Raises
    ------
    TypeError
        If it has not.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._steps = steps_of(model)
        self._fields: Fields | None = None
        self._likelihood = False  # until the first E-step has shown one
        self._known = fields(model, private=True)
        self._leaves: list[tuple[str, FloatArray]] | None = None
        # None until the first M-step has shown whether it changes the model itself
        settings: Any = getattr(model, "__dataclass_params__", None)
        self._mutable: bool | None = False if getattr(settings, "frozen", False) else None

    def _with(self, model: Any) -> UserModel:
        other = copy.copy(self)
        other.model, other._leaves = model, None
        return other

    # --- EM -----------------------------------------------------------------------------------

    def accumulate(self, data: Any) -> Expected:
        """The user's E-step, and the log-likelihood where there is one."""
        statistics = getattr(self.model, self._steps[0])(data)
        if self._mutable is not False:
            self._leaves = None  # whatever the E-step did to the model
        log_likelihood = self._log_likelihood(statistics, data)
        if self._likelihood is not (log_likelihood is not None):
            self._likelihood, self._leaves = log_likelihood is not None, None
        return Expected(statistics, log_likelihood)

    def _log_likelihood(self, statistics: Any, data: Any) -> float | None:
        own = getattr(self.model, "log_likelihood", None)
        if callable(own):
            value, whose = own(data), "the method log_likelihood"
        elif isinstance(statistics, Mapping):
            value, whose = statistics.get("log_likelihood"), "statistics['log_likelihood']"
        else:
            value = getattr(statistics, "log_likelihood", None)
            whose = "statistics.log_likelihood"
        kind = getattr(type(self.model), "log_likelihood", None)
        if value is None and isinstance(kind, property | cached_property) and not callable(own):
            value, whose = own, "the property log_likelihood"
        if value is None:
            if callable(own):
                raise TypeError(f"{whose} returned None: let it return the log-likelihood")
            return None
        try:
            return float(np.asarray(value, dtype=np.float64).item())
        except (TypeError, ValueError):
            raise TypeError(
                f"{whose} must be one number, the sum over the data, but it is "
                f"{type(value).__name__} of shape {np.shape(value)}"
            ) from None

    @property
    def log_prior(self) -> Any:
        """Log-density of the user's prior, if any."""
        return getattr(self.model, "log_prior", 0.0)

    def penalty(self, expected: Expected) -> Any:
        """The user's penalty, if any."""
        own = getattr(self.model, "penalty", None)
        return 0.0 if own is None else own(expected.statistics)

    def maximise(self, expected: Expected) -> UserModel:
        """The user's M-step. A model that changes itself is copied before.

        Raises
        ------
        TypeError
            If what it returns is no model, or neither a log-likelihood nor a parameter can be seen.
        ValueError
            If a parameter that was finite is not finite any more.
        """
        name = self._steps[1]
        target = self._target()
        made = getattr(target, name)(expected.statistics)
        mutable = made is None or made is target
        if mutable and target is self.model and (made is None or self._mutable is None):
            raise TypeError(
                f"{name} of {type(self.model).__name__} returned "
                f"{'None' if made is None else 'the model itself'}, and the model cannot be copied "
                "to keep the parameters before: let it return a new model, such as `return "
                "dataclasses.replace(self, ...)`"
            )
        if made is None:
            made = target
        if isinstance(made, type) or not all(
            callable(getattr(made, step, None)) for step in self._steps
        ):
            raise TypeError(
                f"{name} returned {_described(made)}, which is not a model with "
                f"{' and '.join(self._steps)}: let it return a model with the new parameters, such "
                "as `return dataclasses.replace(self, ...)`"
            )
        after = self._with(made)
        after._mutable = mutable and self._mutable is not False
        if self._fields is None:
            after._fields = self._fields = Fields.of(
                self.model, made, self._known, expected.log_likelihood is not None
            )
            if expected.log_likelihood is None and not after.leaves():
                raise TypeError(
                    f"nothing tells when {type(self.model).__name__} has converged: it has no "
                    "log_likelihood(data), and its parameters cannot be seen. Give it a "
                    f"log_likelihood; or {REMEDY}"
                )
            self._leaves = None
        self._demand_finite(after)
        return after

    def em_step(self, data: Any) -> UserModel:
        """An E-step and an M-step."""
        return self.maximise(self.accumulate(data))

    def _target(self) -> Any:
        """What the M-step is called on: a copy, where it may change what it is called on."""
        if self._mutable is False:
            return self.model
        try:
            return copy.deepcopy(self.model)
        except Exception:  # what cannot be copied is up to the user's class
            return self.model

    def _demand_finite(self, after: UserModel) -> None:
        old = dict(self.leaves())
        for name, values in after.leaves():
            bad = ~np.isfinite(values)
            if name in old and old[name].shape == values.shape:
                bad &= np.isfinite(old[name])
            if bad.any():
                raise ValueError(
                    f"{self._steps[1]} made the parameter {name} "
                    f"{values[bad].flat[0]}: an M-step that divides by a count that can be 0, or "
                    "an E-step that overflows, is often the cause"
                )

    # --- parameters ---------------------------------------------------------------------------

    def at(self, parameters: FloatArray, names: list[str] | None) -> UserModel:
        """The model at the parameters of a checkpoint; None for names: unconstrained ones."""
        if names is None:
            return self._with(self.model.from_unconstrained(parameters))
        self._fields = Fields(tuple(names) or None)
        return self._with(self._fields.replaced(self.model, parameters))

    def saved(self) -> tuple[FloatArray, list[str] | None]:
        """What `at` takes: the parameters to the last bit, where they can be replaced.

        Raises
        ------
        TypeError
            If they cannot, and there is no unconstrained parametrisation either.
        """
        try:
            vector = self.fields.vector(self.model)
            if not vector.size:
                raise TypeError(f"no parameters are found in {type(self.model).__name__}: {REMEDY}")
            self.fields.replaced(self.model, vector)
        except TypeError:
            if not self.has_space:
                raise
            return self.unconstrained(), None
        return vector, list(self.fields.names or ())

    @property
    def fields(self) -> Fields:
        """Where the parameters are."""
        if self._fields is None:
            self._fields = Fields.of(self.model, self.model, self._known)
        return self._fields

    def seen(self, data: Any) -> tuple[UserModel, Expected]:
        """The model with the parameters that an EM step shows it to have, and its statistics."""
        found = self.fields  # before the E-step adds to them
        other = self._with(self.model)
        other._fields = Fields(())  # not all of them need be in what the M-step makes
        expected = other.accumulate(data)
        made = other.maximise(expected).model
        other._leaves, other._fields = None, found.made_by(self.model, made, self._known)
        return other, expected

    def _estimated(self) -> Fields:
        """Without the integers, which may be counters, where a log-likelihood is level in the end.

        They are in a checkpoint nevertheless, as the M-step may need them.
        """
        return self.fields.without_integers(self.model) if self._likelihood else self.fields

    def leaves(self) -> list[tuple[str, FloatArray]]:
        """Names and values of the parameters; none where they cannot be read."""
        if self._leaves is None:
            try:
                self._leaves = self._estimated().leaves(self.model)
            except TypeError:
                self._leaves = []
        return self._leaves

    def names(self) -> tuple[str, ...]:
        """A name for each number among the parameters."""
        return element_names(self.leaves())

    def vector(self) -> FloatArray:
        """The parameters as one vector."""
        return np.concatenate([np.empty(0), *(values.ravel() for _, values in self.leaves())])

    def with_vector(self, vector: FloatArray) -> UserModel:
        """The same model with other parameters."""
        return self._with(self._estimated().replaced(self.model, vector))

    @property
    def has_space(self) -> bool:
        """Whether the model has an unconstrained parametrisation of its own."""
        return has_space(self.model)

    def unconstrained(self) -> FloatArray:
        """Its own unconstrained parameters, or else its parameters as they are.

        Raises
        ------
        TypeError
            If there are none.
        """
        if self.has_space:
            return np.asarray(self.model.unconstrained(), dtype=np.float64)
        vector = self.vector()
        if not vector.size:
            raise TypeError(f"no parameters are found in {type(self.model).__name__}: {REMEDY}")
        return vector

    def from_unconstrained(self, vector: FloatArray) -> UserModel:
        """The inverse of `unconstrained`.

        Without a parametrisation of the model's own, nothing says which numbers are parameters.
        What can be told from this one is kept: signs, and what lies in (0, 1). Sums that are the
        same in all points of EM, such as 1 for probabilities, stay so in what is proposed, which
        is an affine combination of them.

        Raises
        ------
        ValueError, ArithmeticError
            If the model refuses them.
        """
        if self.has_space:
            return self._with(self.model.from_unconstrained(vector))
        return self.with_vector(kept_inside(vector, self.vector()))


def steps_of(model: Any) -> tuple[str, str]:
    """The names of the two steps of a model.

    Raises
    ------
    TypeError
        If it does not have both.
    """
    if isinstance(model, type):
        raise TypeError(
            f"em.run takes a model with its first parameters, not the class {model.__name__}: call "
            f"it, {model.__name__}(...)"
        )
    for steps in _STEPS:
        if all(callable(getattr(model, step, None)) for step in steps):
            return steps
    partner = {a: b for steps in _STEPS for a, b in (steps, steps[::-1])}
    lacks = [partner[step] for step in partner if hasattr(model, step)]
    raise TypeError(
        f"{_described(model)} has no {lacks[0] if lacks else 'e_step and no m_step'}. {_TWO_LINES}"
    )


def has_space(model: Any) -> bool:
    """Whether a model has an unconstrained parametrisation."""
    return all(callable(getattr(model, name, None)) for name in _SPACE)


def _described(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name}"
