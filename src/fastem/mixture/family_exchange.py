"""A fitted mixture of any families as arrays and JSON values, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..families import Family, chosen, described, restored
from .exchange import plain_parameters, with_feature_names

FloatArray = NDArray[Any]

_COMPONENT = "component."  # prefix of the arrays of the components, then their number
_FAMILY = "family."  # and of those of the families that were given with parameters
_PARAMETER = "parameter."


def get_state(model: Any) -> tuple[dict[str, FloatArray], dict[str, Any]]:
    """Arrays and JSON values from which `from_state` makes the same model."""
    arrays = {name: np.asarray(getattr(model, name)) for name in ("weights_", "lower_bounds_")}
    parameters, given = plain_parameters(
        {k: v for k, v in model.get_params(deep=False).items() if k != "family"}
    )
    arrays |= {_PARAMETER + name: value for name, value in given.items()}
    several = isinstance(model.family, list | tuple)
    families = [
        family if isinstance(family, str) else described(chosen(family), arrays, f"{_FAMILY}{i}.")
        for i, family in enumerate(model.family if several else [model.family])
    ]
    metadata = {
        "parameters": parameters,
        "family": families if several else families[0],
        "components": [
            described(component, arrays, f"{_COMPONENT}{k}.")
            for k, component in enumerate(model.components_)
        ],
        "converged": bool(model.converged_),
        "n_iter": int(model.n_iter_),
        "stop_reason": model.stop_reason_,
        "dropped_starts": list(model.dropped_starts_),
        "n_features": int(model.n_features_in_),
        "feature_names": list(getattr(model, "feature_names_in_", [])),
    }
    return arrays, metadata


def from_state(cls: Any, arrays: dict[str, FloatArray], metadata: dict[str, Any]) -> Any:
    """The model that `get_state` described.

    Raises
    ------
    ValueError, LookupError, TypeError or AttributeError
        Where the parts do not fit together; `io.load` makes a ModelFileError of it.
    """
    family = metadata["family"]
    several = isinstance(family, list)
    families = [
        one if isinstance(one, str) else restored(one, arrays, f"{_FAMILY}{i}.")
        for i, one in enumerate(family if several else [family])
    ]
    given = {k.removeprefix(_PARAMETER): v for k, v in arrays.items() if k.startswith(_PARAMETER)}
    model = cls(families if several else families[0], **metadata["parameters"], **given)
    model._validate_params()
    components: list[Family] = [
        restored(one, arrays, f"{_COMPONENT}{k}.") for k, one in enumerate(metadata["components"])
    ]
    weights = arrays["weights_"]
    if not components or weights.shape != (len(components),):
        raise ValueError(f"weights of shape {weights.shape} for {len(components)} components")
    if not (weights >= 0).all() or not np.isclose(weights.sum(), 1.0, atol=1e-6):
        raise ValueError("the weights are not a distribution: negative, or their sum is not 1")
    n_features = int(metadata["n_features"])
    if any(not c.known or c.n_columns != n_features for c in components):
        raise ValueError(f"the components are not distributions of {n_features} columns")
    bounds = arrays["lower_bounds_"].tolist()
    model.__dict__.update(
        weights_=weights,
        components_=components,
        converged_=bool(metadata["converged"]),
        stop_reason_=str(metadata["stop_reason"]),
        n_iter_=int(metadata["n_iter"]),
        lower_bounds_=bounds,
        lower_bound_=bounds[-1] if bounds else -np.inf,
        dropped_starts_=tuple(map(str, metadata["dropped_starts"])),
        n_features_in_=n_features,
    )
    return with_feature_names(model, metadata["feature_names"], n_features)
