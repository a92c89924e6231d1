"""Test the installed wheel: `python test_wheel.py quick`, or `whole`.

Run in a folder with tests/. `whole` is every test with the best instruction set, and a part of them
with each lower one; `quick` is that part with each.
"""

import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import fastem
from fastem._kernels import ISAS

PART = [
    "tests/test_contract.py",
    "tests/test_em.py",
    "tests/test_gaussian_mixture.py",
    "tests/test_mixture.py",
    "tests/test_published.py",
    "tests/test_threads.py",
]
# A release does not wait for what a dependency deprecated yesterday; CI has them as errors.
NO_NEWS = [f"-Wignore::{name}Warning" for name in ("Deprecation", "PendingDeprecation", "Future")]


def run(isa: str, tests: list[str]) -> None:
    print(f"=== FASTEM_ISA={isa}: {' '.join(tests)}", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *NO_NEWS, *tests]
    status = subprocess.run(command, env=os.environ | {"FASTEM_ISA": isa}).returncode
    if status:
        sys.exit(status)


def main() -> None:
    scope = sys.argv[1]
    installed = Path(fastem.__file__).resolve()
    packages = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}
    if not any(installed.is_relative_to(folder) for folder in packages):
        sys.exit(f"{installed} is tested, which is not the installed wheel")
    fastem.show_config()
    if (fastem.show_config("dict")["OpenMP"] == "no") != (sysconfig.get_platform() == "win-arm64"):
        sys.exit("OpenMP is in the wheels of every platform but Windows on ARM64")
    best = fastem.cpu_isa()
    present = [isa for isa in ISAS if importlib.util.find_spec(f"fastem._kernels._{isa}")]
    for isa in present[present.index(best) + 1 :]:
        print(f"=== this machine has no {isa}: not tried")
    run(best, ["tests"] if scope == "whole" else PART)
    for isa in reversed(present[: present.index(best)]):
        run(isa, PART)


if __name__ == "__main__":
    if sys.argv[1:] not in (["quick"], ["whole"]):
        sys.exit(__doc__)
    main()
