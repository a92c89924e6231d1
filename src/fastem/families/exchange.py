"""A family as arrays and JSON values, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Family
from .registry import FAMILIES

FloatArray = NDArray[Any]


def described(family: Family, arrays: dict[str, FloatArray], prefix: str) -> dict[str, Any]:
    """What JSON can hold of a distribution; its parameters are added to `arrays`.

    Parameters
    ----------
    family : Family
        Single, with or without parameters.
    arrays : dict
        Added to.
    prefix : str
        Of the names in `arrays`.

    Raises
    ------
    TypeError
        If `restored` would not find its family.
    """
    name = type(family).__name__
    if FAMILIES.get(name) is not type(family):
        raise TypeError(
            f"a distribution of {name}, which is no family of fastem's own, cannot be saved: no "
            "code is kept in a model file. Save its parameters, or pickle the model"
        )
    parts = [described(part, arrays, f"{prefix}{i}.") for i, part in enumerate(family.made_of)]
    if family.known and not parts:
        arrays.update({prefix + name: value for name, value in family.parameters.items()})
    constants = {
        name: value if isinstance(value, str | list) else np.asarray(value).tolist()
        for name, value in family.constants.items()
    }
    whole = {"family": name, "known": family.known, "constants": constants}
    return whole | ({"parts": parts} if parts else {})


def restored(description: Any, arrays: dict[str, FloatArray], prefix: str) -> Family:
    """The distribution that `described` described.

    Raises
    ------
    ValueError, LookupError, TypeError
        If there is none.
    """
    family: Any = FAMILIES[description["family"]]
    if parts := description.get("parts"):
        restored_parts = [restored(one, arrays, f"{prefix}{i}.") for i, one in enumerate(parts)]
        return family(restored_parts, **description["constants"])
    parameters = (
        {name: arrays[prefix + name] for name in family.domains} if description["known"] else {}
    )
    return family(**description["constants"], **parameters)
