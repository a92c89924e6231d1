"""Wheels with a fault each, which contents.py must find: planted.py WHEEL FOLDER.

Each stands in a folder of its own, with the words of the complaint in the file `words`.
"""

import shutil
import sys
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

Contents = dict[str, bytes]
RUNPATH = b"$ORIGIN/../../fastem.libs"


def extension(contents: Contents, level: str) -> str:
    return next(name for name in contents if f"_kernels/_{level}." in name and ".pyi" not in name)


def source(contents: Contents) -> None:
    contents["fastem/_kernels/simd.hpp"] = b"#pragma once\n"


def no_types(contents: Contents) -> None:
    del contents["fastem/py.typed"]


def no_licence(contents: Contents) -> None:
    for name in [name for name in contents if "/licenses/" in name]:
        del contents[name]


def path(contents: Contents) -> None:
    contents[extension(contents, "baseline")] += b"\0/tmp/pip-build-env-x/include/simd.hpp\0"


def symbol(contents: Contents) -> None:
    contents[extension(contents, "baseline")] = contents[extension(contents, "avx2")]


def no_library(contents: Contents) -> None:
    for name in [name for name in contents if name.startswith("fastem.libs/")]:
        del contents[name]


def runpath(contents: Contents) -> None:
    name = extension(contents, "baseline")
    elsewhere = b"/usr/local/lib".ljust(len(RUNPATH), b"\0")
    contents[name] = contents[name].replace(RUNPATH, elsewhere)


def size(contents: Contents) -> None:
    contents[extension(contents, "baseline")] += bytes(5_000_000)


FAULTS = {
    source: r"simd.hpp does not belong there",
    no_types: "py.typed is missing",
    no_licence: "LICENSE is missing",
    path: "has a path of the machine that built it",
    symbol: "exports ..PyInit__avx2",
    no_library: "which is not in the wheel",
    runpath: "looks for libraries in /usr/local/lib",
    size: "bytes, more than",
}


def main(wheel: str, folder: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with ZipFile(wheel) as archive:
        whole = {name: archive.read(name) for name in archive.namelist()}
    for plant, words in FAULTS.items():
        contents = dict(whole)
        plant(contents)
        if contents == whole:
            sys.exit(f"planted.py: {plant.__name__} changes nothing in {wheel}")
        place = Path(folder, plant.__name__)
        place.mkdir(parents=True)
        (place / "words").write_text(words)
        with ZipFile(place / Path(wheel).name, "w", ZIP_DEFLATED, compresslevel=1) as archive:
            for name, content in contents.items():
                archive.writestr(name, content)


if __name__ == "__main__":
    main(*sys.argv[1:])
