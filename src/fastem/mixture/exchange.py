"""A fitted mixture in other forms: the state in a model file, and scikit-learn's estimator."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture as SklearnMixture

from ..families import ConjugatePrior
from .report import FitReport

FloatArray = NDArray[Any]
E = TypeVar("E")

_ARRAYS = ("weights_", "means_", "covariances_", "precisions_cholesky_")
_PARAMETER = "parameter."  # prefix of the arrays that are constructor parameters


def to_sklearn(model: Any) -> SklearnMixture:
    """See `GaussianMixture.to_sklearn`."""
    known = SklearnMixture().get_params()
    other = SklearnMixture(**{k: v for k, v in model.get_params().items() if k in known})
    if not isinstance(other.init_params, str):
        other.set_params(init_params="kmeans")  # scikit-learn takes names only
    if isinstance(other.reg_covar, str):
        other.set_params(reg_covar=SklearnMixture().reg_covar)  # and numbers
    other = _copy_fit(model, other)
    if hasattr(other, "weights_"):  # scikit-learn takes logarithms of them
        other.weights_ = np.maximum(other.weights_, np.finfo(other.weights_.dtype).tiny)
    return other


def from_sklearn(cls: type[E], model: Any) -> E:
    """See `GaussianMixture.from_sklearn`."""
    if not isinstance(model, SklearnMixture):
        raise TypeError(
            f"from_sklearn takes a sklearn.mixture.GaussianMixture, not {type(model).__name__}"
        )
    new: Any = _copy_fit(model, cls(**model.get_params()))
    if hasattr(model, "converged_"):
        new.covariance_type_ = model.covariance_type
        new.lower_bounds_ = list(getattr(model, "lower_bounds_", [model.lower_bound_]))
        new.stop_reason_ = "tolerance" if model.converged_ else "max_iter"
    result: E = new
    return result


def _copy_fit(source: Any, target: Any) -> Any:
    """Copy every fitted attribute that both estimators have."""
    for name in (
        *_ARRAYS,
        "precisions_",
        "converged_",
        "n_iter_",
        "lower_bound_",
        "lower_bounds_",
        "n_features_in_",
        "feature_names_in_",
    ):
        if hasattr(source, name):
            value = getattr(source, name)
            setattr(target, name, value.copy() if hasattr(value, "copy") else value)
    return target


def plain_parameters(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, FloatArray]]:
    """Parameters of an estimator that JSON can hold, and those that are arrays.

    Callables and generators of random numbers are left out.
    """
    parameters: dict[str, Any] = {}
    arrays: dict[str, FloatArray] = {}
    for name, value in given.items():
        if value is None or isinstance(value, bool | str):
            parameters[name] = value
        elif isinstance(value, np.bool_):
            parameters[name] = bool(value)
        elif isinstance(value, Integral):
            parameters[name] = int(value)
        elif isinstance(value, Real):
            parameters[name] = float(value)
        elif isinstance(value, ConjugatePrior):
            parameters[name] = {k: np.asarray(v).tolist() for k, v in vars(value).items()}
        elif name.endswith("_init") or (name == "init_params" and not callable(value)):
            arrays[name] = np.asarray(value, dtype=np.float64)
    return parameters, arrays


def with_feature_names(model: E, names: Any, n_features: int) -> E:
    """The model with the names of its columns, where there are any.

    Raises
    ------
    ValueError
        If they are not as many texts as there are columns.
    """
    if names:
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("the feature names are not a list of texts")
        if len(names) != n_features:
            raise ValueError(f"{len(names)} feature names for {n_features} features")
        model.__dict__["feature_names_in_"] = np.asarray(names, dtype=object)
    return model


def get_state(model: Any) -> tuple[dict[str, FloatArray], dict[str, Any]]:
    """Arrays and JSON values from which `from_state` makes the same model."""
    arrays = {name: np.asarray(getattr(model, name)) for name in (*_ARRAYS, "lower_bounds_")}
    # what is saved is what was fitted, whatever has been set since
    fitted = {"n_components": len(model.means_), "covariance_type": model._fitted_structure.name}
    parameters, given = plain_parameters({**model.get_params(), **fitted})
    arrays |= {_PARAMETER + name: value for name, value in given.items()}
    metadata = {
        "parameters": parameters,
        "converged": bool(model.converged_),
        "n_iter": int(model.n_iter_),
        "lower_bound": float(model.lower_bound_) if np.isfinite(model.lower_bound_) else None,
        "stop_reason": model.stop_reason_,
        "report": model.fit_report_.as_dict() if hasattr(model, "fit_report_") else None,
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
    given = {k.removeprefix(_PARAMETER): v for k, v in arrays.items() if k.startswith(_PARAMETER)}
    parameters = dict(metadata["parameters"])
    if isinstance(parameters.get("prior"), dict):
        parameters["prior"] = ConjugatePrior(**parameters["prior"])
    model = cls(**parameters, **given)
    model._validate_params()
    K, D = arrays["means_"].shape
    shape = model._structure.shape(K, D)
    expected = {"weights_": (K,), "means_": (model.n_components, D)}
    for name in _ARRAYS:
        if arrays[name].shape != expected.get(name, shape):
            raise ValueError(
                f"{name} has shape {arrays[name].shape}, not {expected.get(name, shape)}"
            )
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} holds NaN or infinite values")
        setattr(model, name, arrays[name])
    if (model.weights_ < 0).any() or not np.isclose(model.weights_.sum(), 1.0, atol=1e-4):
        raise ValueError("the weights are not a distribution: negative, or their sum is not 1")
    with np.errstate(divide="ignore", invalid="ignore"):
        determinants = model._structure.log_determinants(model.precisions_cholesky_, D)
    if not np.isfinite(determinants).all():
        raise ValueError("precisions_cholesky_ is not the factor of a positive definite matrix")
    model.precisions_ = model._structure.precisions(model.precisions_cholesky_)
    model.lower_bounds_ = arrays["lower_bounds_"].tolist()
    bound = metadata["lower_bound"]
    model.lower_bound_ = -np.inf if bound is None else float(bound)
    model.n_iter_ = int(metadata["n_iter"])
    model.covariance_type_ = model.covariance_type
    model.converged_ = bool(metadata["converged"])
    model.stop_reason_ = str(metadata["stop_reason"])
    if metadata.get("report"):  # files of older versions have none
        model.fit_report_ = FitReport.from_dict(metadata["report"])
    model.n_features_in_ = D
    return with_feature_names(model, metadata["feature_names"], D)
