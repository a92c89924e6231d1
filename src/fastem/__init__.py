"""fastem: maximum likelihood and expectation-maximisation, on all cores.

`GaussianMixture` and `Mixture` (of any families) have scikit-learn's interface; `mle.fit` fits a
distribution of `families`, `em.run` a model of your own.
"""

from importlib import import_module
from threading import RLock
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


# Names are imported by one thread at a time: two that begin with different modules meet in those of
# scikit-learn, which import each other, and Python ends such a knot with an error in one of them.
# No one waits for ever: who imports a module of ours by its own name may be waited for here.
_importing, _PATIENCE = RLock(), 5.0


def __getattr__(name: str) -> Any:
    if name not in _HOMES and name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    alone = _importing.acquire(timeout=_PATIENCE)
    try:
        if name in _HOMES:
            value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        else:
            value = import_module(f".{name}", __name__)
    finally:
        if alone:
            _importing.release()
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
