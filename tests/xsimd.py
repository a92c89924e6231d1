"""Fetch the xsimd headers that the build takes, from pythran: xsimd.py FOLDER.

They are then in FOLDER/pythran, for programs that are compiled outside a build of the package.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def main(folder: str) -> int:
    requires = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["build-system"]["requires"]
    pythran = next(line for line in requires if line.startswith("pythran"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    return subprocess.run([*pip, "install", "--no-deps", "--target", folder, pythran]).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
