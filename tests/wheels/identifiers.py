"""Whether cibuildwheel builds what is to be published: identifiers.py CIBUILDWHEEL PROJECT.

CIBUILDWHEEL prints the builds it would do for each platform, as [tool.cibuildwheel] of the
project's pyproject.toml has them.
"""

import os
import subprocess
import sys

# One abi3 wheel by 3.11; the ordinary Pythons after it test that wheel. Free-threaded Pythons have
# no stable ABI and get wheels of their own, but for musllinux, where scikit-learn has none.
ABI3 = ("cp311", "cp312", "cp313", "cp314", "cp315")
FREE_THREADED = ("cp314t", "cp315t")
EXPECTED = {
    "linux": {
        "manylinux_x86_64": ABI3 + FREE_THREADED,
        "manylinux_aarch64": ABI3 + FREE_THREADED,
        "musllinux_x86_64": ABI3,
        "musllinux_aarch64": ABI3,
    },
    "macos": {"macosx_x86_64": ABI3 + FREE_THREADED, "macosx_arm64": ABI3 + FREE_THREADED},
    "windows": {"win_amd64": ABI3 + FREE_THREADED, "win_arm64": ABI3 + FREE_THREADED},
}
# The runners of a platform are of both architectures; each builds for its own.
ARCHITECTURES = {"linux": "x86_64 aarch64", "macos": "x86_64 arm64", "windows": "AMD64 ARM64"}


def main(cibuildwheel: str, project: str) -> int:
    faults = 0
    for platform, builds in EXPECTED.items():
        expected = {
            f"{python}-{target}" for target, pythons in builds.items() for python in pythons
        }
        printed = subprocess.run(
            [cibuildwheel, "--print-build-identifiers", "--platform", platform, project],
            env={**os.environ, "CIBW_ARCHS": ARCHITECTURES[platform]},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        actual = set(printed.stdout.split())
        for what, names in (("missing", expected - actual), ("not expected", actual - expected)):
            if names:
                faults += len(names)
                print(f"{platform}, {what}: {' '.join(sorted(names))}", file=sys.stderr)
        print(f"{platform}: {len(actual)} builds, {len(expected)} expected")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
