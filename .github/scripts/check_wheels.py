"""Check the files of a release: `python check_wheels.py dist`.

The sdist and every wheel are there, and no other; each carries the licences, is small, and no wheel
has sources of the compiled layer.
"""

import re
import sys
import tarfile
import zipfile
from pathlib import Path

LINUX = ["manylinux_2_28_x86_64", "manylinux_2_28_aarch64"]
MUSL = ["musllinux_1_2_x86_64", "musllinux_1_2_aarch64"]
DESKTOP = ["macosx_10_15_x86_64", "macosx_12_0_arm64", "win_amd64", "win_arm64"]
EXPECTED = {
    "cp311-abi3": [*LINUX, *MUSL, *DESKTOP],
    "cp314-cp314t": [*LINUX, *DESKTOP],
    "cp315-cp315t": [*LINUX, *DESKTOP],
}
LICENCES = {"LICENSE", "gcc-runtime.txt", "llvm-openmp.txt", "microsoft-runtime.txt", "xsimd.txt"}
LARGEST_WHEEL, LARGEST_SDIST = 6_000_000, 3_000_000  # bytes
WHEEL = re.compile(r"fastem-[^-]+-(?P<python>[^-]+-[^-]+)-(?P<platforms>[^-]+)\.whl")


def problems(folder: Path) -> list[str]:
    """What is wrong with the files of a folder, a line for each."""
    found: list[str] = []
    wanted = {(python, name) for python, names in EXPECTED.items() for name in names}
    for wheel in sorted(folder.glob("*.whl")):
        match = WHEEL.fullmatch(wheel.name)
        # auditwheel lists every policy that a wheel meets: manylinux_2_27_...manylinux_2_28_...
        names = match["platforms"].split(".") if match else []
        key = next(((match["python"], n) for n in names if (match["python"], n) in wanted), None)
        if key is None:
            found.append(f"{wheel.name}: not expected, or there twice")
        wanted.discard(key)
        found += [f"{wheel.name}: {text}" for text in contents(wheel)]
    found += [f"no wheel for {python} on {name}" for python, name in sorted(wanted)]
    sdists = list(folder.glob("*.tar.gz"))
    if len(sdists) != 1:
        found.append(f"{len(sdists)} sdists instead of 1")
    for sdist in sdists:
        if sdist.stat().st_size > LARGEST_SDIST:
            found.append(f"{sdist.name}: {sdist.stat().st_size} bytes, above {LARGEST_SDIST}")
        with tarfile.open(sdist) as archive:
            found += [f"{sdist.name}: {text}" for text in missing(archive.getnames())]
    return found


def contents(wheel: Path) -> list[str]:
    """What is wrong inside a wheel."""
    found = []
    if wheel.stat().st_size > LARGEST_WHEEL:
        found.append(f"{wheel.stat().st_size} bytes, above {LARGEST_WHEEL}")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    found += missing([name for name in names if ".dist-info/licenses/" in name])
    found += [f"source {name}" for name in names if name.endswith((".pyx", ".pxi", ".hpp", ".cpp"))]
    return found


def missing(names: list[str]) -> list[str]:
    """The licences that are not among the files."""
    there = {name.rpartition("/")[2] for name in names}
    return [f"licence {name} is missing" for name in sorted(LICENCES - there)]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    lines = problems(Path(sys.argv[1]))
    print("\n".join(lines) or "all there")
    sys.exit(bool(lines))
