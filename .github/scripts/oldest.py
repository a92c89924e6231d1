"""Print the oldest versions that pyproject.toml admits, as pip's constraints.

`python oldest.py pyproject.toml > oldest.txt; pip install '.[test]' -c oldest.txt`
"""

import re
import sys
import tomllib
from pathlib import Path

REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?>=(?P<version>[0-9.]+)")
EXTRAS = ("cli", "plot")  # what the package itself imports; the tools of the tests may be new


def oldest(project: dict) -> dict[str, str]:
    """Name -> lowest version of each requirement of the package, its optional ones included."""
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *(line for extra in EXTRAS for line in extras[extra])]
    found = {}
    for line in lines:
        match = REQUIREMENT.match(line)
        if match is None:
            raise SystemExit(f"pyproject.toml: {line!r} has no lower bound (name>=version)")
        found[match["name"]] = match["version"]
    return found


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    versions = oldest(tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"])
    print("\n".join(f"{name}=={version}" for name, version in versions.items()))
