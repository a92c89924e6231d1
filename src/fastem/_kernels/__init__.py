"""The compiled layer: chooses the instruction set once, at import.

Nothing above this package knows of tiles, slots or instruction sets. `FASTEM_ISA` (baseline, avx2
or avx512) can only lower the choice.
"""

import importlib
import os
import sys
from types import ModuleType

__all__ = ["ISAS", "STRUCTURES", "cpu_isa", "fma_peak", "kernels"]

ISAS = ("baseline", "avx2", "avx512")  # from the lowest to the highest


# scikit-learn, torch and fastem each carry LLVM's OpenMP on a Mac, where the second copy to start
# would end the process. fastem's copy shares no symbol with the others (it is built so), and
# scikit-learn says the same when it is imported, which here may be later.
if sys.platform == "darwin":
    os.environ.setdefault("KMP_DUPLICATE_LIB_OK", "True")


def _load(isa: str) -> ModuleType | None:
    try:
        return importlib.import_module(f"{__name__}._{isa}")
    except ModuleNotFoundError:  # not built for this platform: a Mac has no AVX-512 module
        return None


def _choose() -> tuple[str, ModuleType]:
    baseline = _load("baseline")
    if baseline is None:
        raise ImportError(
            "fastem's compiled kernels are missing: install a wheel (pip install fastem), or, in "
            "a checkout, build them with `pip install -e .`"
        )
    highest = ISAS[baseline.cpu_level()]
    asked = os.environ.get("FASTEM_ISA", "").strip().lower()
    if asked and asked not in ISAS:
        raise ImportError(f"FASTEM_ISA={asked!r} is not known: use one of {', '.join(ISAS)}")
    level = min(ISAS.index(highest), ISAS.index(asked) if asked else len(ISAS))
    for isa in reversed(ISAS[1 : level + 1]):
        if (module := _load(isa)) is not None:
            return isa, module
    return ISAS[0], baseline


_ISA, kernels = _choose()
#: C++ name of a covariance structure -> the code that the kernels take
STRUCTURES: dict[str, int] = kernels.STRUCTURES


def cpu_isa() -> str:
    """The instruction set that the kernels in use were compiled for.

    Returns
    -------
    str
        "baseline" (x86-64-v2; NEON on Arm), "avx2" or "avx512". The best one that the processor
        supports, unless the environment variable FASTEM_ISA asked for a lower one at import.
    """
    return _ISA


def fma_peak(n_threads: int = 1, dtype: str = "float64", seconds: float = 0.05) -> float:
    """The multiply-add peak of the machine, as these kernels could use it.

    Parameters
    ----------
    n_threads : int, default=1
        Threads that multiply at the same time.
    dtype : {"float64", "float32"}, default="float64"
        Type of the lanes.
    seconds : float, default=0.05
        How long to measure.

    Returns
    -------
    float
        10^9 floating-point operations a second (a multiply-add counts two), all threads together.
    """
    from concurrent.futures import ThreadPoolExecutor

    rate = getattr(kernels, f"fma_rate_{dtype}")
    with ThreadPoolExecutor(n_threads) as pool:
        return sum(pool.map(rate, [seconds] * n_threads)) / 1e9
