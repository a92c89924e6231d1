"""A family as users give it: itself, its class, or its name."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from .base import Family
from .registry import FAMILIES

_OTHER_NAMES = {"gaussian": "Normal", "n": "Normal", "t": "StudentT", "lognorm": "LogNormal"}


def chosen(family: Any) -> Family:
    """The family that is meant by `Normal(0, 1)`, `Normal()`, `Normal` or "Normal".

    Raises
    ------
    ValueError
        If no family has this name.
    TypeError
        If it is none of these.
    """
    if isinstance(family, str):
        if family not in FAMILIES:
            raise ValueError(
                f"family={family!r} is not one of {', '.join(FAMILIES)}{meant(family)}"
            )
        family = FAMILIES[family]
    if isinstance(family, type) and issubclass(family, Family):
        family = family()
    if not isinstance(family, Family):
        raise TypeError(
            f"family: {family!r} is not a distribution of fastem.families, such as Normal(), nor "
            "the name of one"
        )
    return family


def meant(name: str) -> str:
    """The name of a family that is nearest to one that is of none, as a question."""
    lower = {known.lower(): known for known in FAMILIES} | _OTHER_NAMES
    near = get_close_matches(name.lower(), lower, 1)
    return f": did you mean {lower[near[0]]!r}?" if near else ""
