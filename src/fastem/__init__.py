"""fastem: maximum likelihood and expectation-maximisation, on all cores.

`GaussianMixture` and `Mixture` (of any families) have scikit-learn's interface; `mle.fit` fits a
distribution of `families`, `em.run` a model of your own.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import covariances, em, families, mle
    from ._config import __version__, show_config
    from ._kernels import cpu_isa
    from .families import ConjugatePrior

    # a package that can be called: type checkers know of no such thing, and take it for a function
    from .mixture import FitReport, GaussianMixture, Mixture, fit_many, load
    from .mixture import from_formula as mixture

__all__ = [
    "ConjugatePrior",
    "FitReport",
    "GaussianMixture",
    "Mixture",
    "__version__",
    "covariances",
    "cpu_isa",
    "em",
    "families",
    "fit_many",
    "load",
    "mixture",
    "mle",
    "show_config",
]

# Imported when first asked for: `fastem --help` should not wait for scikit-learn.
_HOMES = {
    "ConjugatePrior": "families",
    "FitReport": "mixture",
    "GaussianMixture": "mixture",
    "Mixture": "mixture",
    "__version__": "_config",
    "cpu_isa": "_kernels",
    "fit_many": "mixture",
    "load": "mixture",
    "show_config": "_config",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    elif name in __all__:
        value = import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
