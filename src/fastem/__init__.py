"""fastem: Gaussian mixtures by expectation-maximisation, on all cores."""

from ._config import __version__, show_config
from ._kernels import cpu_isa
from .io import load
from .mixture import GaussianMixture

__all__ = ["GaussianMixture", "__version__", "cpu_isa", "load", "show_config"]
