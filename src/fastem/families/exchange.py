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
    """
    if family.known:
        arrays.update({prefix + name: value for name, value in family.parameters.items()})
    constants = {
        name: value if isinstance(value, str) else np.asarray(value).tolist()
        for name, value in family.constants.items()
    }
    return {"family": type(family).__name__, "known": family.known, "constants": constants}


def restored(description: Any, arrays: dict[str, FloatArray], prefix: str) -> Family:
    """The distribution that `described` described.

    Raises
    ------
    ValueError, LookupError, TypeError
        If there is none.
    """
    family = FAMILIES[description["family"]]
    parameters = (
        {name: arrays[prefix + name] for name in family.domains} if description["known"] else {}
    )
    return family(**description["constants"], **parameters)
