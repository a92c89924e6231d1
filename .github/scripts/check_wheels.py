"""Check that the files of a release are all there: `python check_wheels.py dist`.

The sdist, every wheel, and nothing else. What is in a wheel is for `tests/wheels/contents.py`.
"""

import re
import sys
from pathlib import Path

LINUX = ["manylinux_2_28_x86_64", "manylinux_2_28_aarch64"]
MUSL = ["musllinux_1_2_x86_64", "musllinux_1_2_aarch64"]
DESKTOP = ["macosx_10_15_x86_64", "macosx_12_0_arm64", "win_amd64", "win_arm64"]
EXPECTED = {
    "cp311-abi3": [*LINUX, *MUSL, *DESKTOP],
    "cp314-cp314t": [*LINUX, *DESKTOP],
    "cp315-cp315t": [*LINUX, *DESKTOP],
}
LARGEST_SDIST = 3_500_000  # bytes
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
    found += [f"no wheel for {python} on {name}" for python, name in sorted(wanted)]
    sdists = list(folder.glob("*.tar.gz"))
    if len(sdists) != 1:
        found.append(f"{len(sdists)} sdists instead of 1")
    for sdist in sdists:
        if sdist.stat().st_size > LARGEST_SDIST:
            found.append(f"{sdist.name}: {sdist.stat().st_size} bytes, above {LARGEST_SDIST}")
    return found


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    lines = problems(Path(sys.argv[1]))
    print("\n".join(lines) or "all there")
    sys.exit(bool(lines))
