"""What this installation is made of."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from ._kernels import cpu_isa, kernels
from ._threads import effective_n_threads

__all__ = ["__version__", "show_config"]

__version__ = version("fastem")


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def show_config(mode: str = "print") -> dict[str, str] | None:
    """The instruction set, threads, compiler and versions in use: what a bug report needs.

    Parameters
    ----------
    mode : {"print", "dict"}, default="print"
        Print a table, or return it.

    Returns
    -------
    dict or None
        Name to value, for mode="dict".

    Raises
    ------
    ValueError
        If `mode` is something else.
    """
    if mode not in ("print", "dict"):
        raise ValueError(f"mode={mode!r} is not known: use 'print' or 'dict'")
    config = {
        "fastem": __version__,
        "instruction set": f"{cpu_isa()} ({kernels.vector_unit()})",
        "OpenMP": "yes" if kernels.has_openmp() else "no",
        "threads": str(effective_n_threads()),
        "compiler": kernels.compiler(),
        "python": platform.python_version(),
        **{name: _version_of(name) for name in ("numpy", "scipy", "scikit-learn")},
    }
    if mode == "dict":
        return config
    width = max(map(len, config))
    for name, value in config.items():
        print(f"{name:<{width}}  {value}")
    return None
