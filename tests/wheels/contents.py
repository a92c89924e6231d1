"""Whether wheels hold what they should and nothing else: contents.py PROJECT [--no-openmp] FILE...

Of any platform: files, licences, sizes, no path of the machine that built it. Of Linux also what
the libraries export and need, that they are stripped, and where they look for others.
"""

import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

from elftools.elf.elffile import ELFFile

# Bytes. Measured on x86-64, GCC 12: wheel 2.0 MB, extensions 1.1 to 1.3 MB, libgomp 0.3 MB.
# musllinux: with libstdc++, of 3.2 MB.
LARGEST_WHEEL = 4_500_000
LARGEST_EXTENSION = 3_000_000
LARGEST_LIBRARY = 5_000_000
LEVELS = {"x86_64": ("baseline", "avx2", "avx512"), "amd64": ("baseline", "avx2", "avx512")}
MAC_LEVELS = {"x86_64": ("baseline", "avx2")}
METADATA = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt", "DELVEWHEEL"}
WITHOUT_OPENMP = {"win_arm64"}  # see pyproject.toml
# What must stand in the licences of a wheel, each the words of one that is bundled or compiled in
COMPILED_IN = {"xsimd": "Johan Mabille"}
BUNDLED = {
    "libgomp": "GCC RUNTIME LIBRARY EXCEPTION",
    "libomp": "LLVM Exception",
    "vcomp": "Microsoft",
}
EXTENSION = re.compile(r"fastem/_kernels/_(\w+)\.[\w.-]*(?:so|pyd)")
# The machine's folders: temporary ones, homes, and where build machines put things
BUILD_PATH = re.compile(
    rb"/(?:tmp|root|home|Users|work|workspace|github|io|project|private|build|builds)/[\w.-]+"
    rb"|pip-(?:build-env|req-build|install|wheel)-|[A-Za-z]:\\\\?(?:Users|a|hostedtoolcache)\\"
)
RUNTIME = re.compile(r"/(?:libgomp|libomp|libstdc\+\+|libgcc_s|vcomp|msvcp)[\w.+-]*$")
SYSTEM = re.compile(r"(?:libc|libm|libstdc\+\+|libgcc_s|libpthread|ld-linux|ld-musl)[.-]")


def expected_files(project: Path) -> set[str]:
    """Of the package, without the extensions."""
    package = project / "src" / "fastem"
    files = [*package.rglob("*.py"), *package.rglob("*.pyi"), package / "py.typed"]
    return {file.relative_to(project / "src").as_posix() for file in files}


def file_faults(names: set[str], platform: str, project: Path) -> Iterator[str]:
    architecture = next((a for a in LEVELS if platform.endswith(a)), "")
    levels = (MAC_LEVELS if platform.startswith("macosx") else LEVELS).get(architecture)
    extensions = {name: m[1] for name in names if (m := EXTENSION.fullmatch(name))}
    if sorted(extensions.values()) != sorted(levels or ("baseline",)):
        yield f"extensions {sorted(extensions)}, but the levels are {levels or ('baseline',)}"
    expected = expected_files(project)
    yield from (f"{name} is missing" for name in sorted(expected - names))
    for name in sorted(names - expected - extensions.keys()):
        folder, _, rest = name.partition("/")
        if folder.endswith(".dist-info"):
            known = rest in METADATA or rest.startswith(("licenses/", "sboms/"))
        else:
            bundled = folder == "fastem.libs" or name.startswith("fastem/.dylibs/")
            known = bundled and RUNTIME.search(name)
        if not known:
            yield f"{name} does not belong there"


def licence_faults(contents: dict[str, bytes], openmp: bool) -> Iterator[str]:
    licences = b"\n".join(text for name, text in contents.items() if "/licenses/" in name)
    project = [text for name, text in contents.items() if name.endswith("/licenses/LICENSE")]
    if not project:
        yield "LICENSE is missing"
    libraries = [name for name in contents if name.startswith(("fastem.libs/", "fastem/.dylibs/"))]
    needed = dict(COMPILED_IN)
    for library, words in BUNDLED.items():
        if any(library in name for name in libraries):
            needed[library] = words
    for what, words in needed.items():
        if not re.search(words.encode(), licences, re.IGNORECASE):
            yield f"the licence of {what} is missing: none of them says {words!r}"
    runtimes = [name for name in libraries if re.search("gomp|libomp|vcomp", name)]
    if openmp and not runtimes:
        yield "no OpenMP library is bundled"
    if not openmp and runtimes:
        yield f"OpenMP is bundled in a build without it: {runtimes}"


def elf_faults(name: str, content: bytes, bundled: set[str]) -> Iterator[str]:
    elf = ELFFile(BytesIO(content))
    for section in elf.iter_sections():
        if section.name == ".symtab" or section.name.startswith(".debug"):
            yield f"{name} is not stripped: it has {section.name}"
    folder = name.partition("/")[0]
    dynamic = elf.get_section_by_name(".dynamic")
    for tag in dynamic.iter_tags() if dynamic else ():
        if tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH"):
            path = getattr(tag, "rpath", None) or tag.runpath
            # auditwheel's: of an extension, and of a bundled library that needs another
            if path != ("$ORIGIN" if folder == "fastem.libs" else "$ORIGIN/../../fastem.libs"):
                yield f"{name} looks for libraries in {path}"
        if tag.entry.d_tag != "DT_NEEDED" or SYSTEM.match(tag.needed) or tag.needed in bundled:
            continue
        yield f"{name} needs {tag.needed}, which is not in the wheel"
    if level := EXTENSION.fullmatch(name):
        exported = {
            symbol.name
            for symbol in elf.get_section_by_name(".dynsym").iter_symbols()
            if symbol["st_shndx"] != "SHN_UNDEF" and symbol["st_info"]["bind"] != "STB_LOCAL"
        }
        if exported != {f"PyInit__{level[1]}"}:
            yield f"{name} exports {sorted(exported)[:8]}, not only PyInit__{level[1]}"


def wheel_faults(wheel: Path, project: Path, openmp: bool) -> Iterator[str]:
    *_, python, abi, platform = wheel.stem.split("-")
    if (python, abi) != ("cp311", "abi3") and not re.fullmatch(r"cp\d+-cp\d+t", f"{python}-{abi}"):
        yield f"{python}-{abi} is neither for every Python from 3.11 nor for a free-threaded one"
    if platform.startswith("linux"):
        yield f"{platform} is of this machine only: auditwheel has not repaired the wheel"
    if wheel.stat().st_size > LARGEST_WHEEL:
        yield f"{wheel.stat().st_size} bytes, more than {LARGEST_WHEEL}"
    with ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        contents = {name: archive.read(name) for name in names}
    yield from file_faults(set(names), platform, project)
    yield from licence_faults(contents, openmp and platform not in WITHOUT_OPENMP)
    bundled = {Path(name).name for name in names if name.startswith("fastem.libs/")}
    here = str(project).encode()
    for name, content in contents.items():
        if content.startswith(b"\x7fELF"):
            yield from elf_faults(name, content, bundled)
        if RUNTIME.search(name):  # made elsewhere
            if len(content) > LARGEST_LIBRARY:
                yield f"{name}: {len(content)} bytes, more than {LARGEST_LIBRARY}"
            continue
        for path in {m[0] for m in BUILD_PATH.finditer(content)}:
            yield f"{name} has a path of the machine that built it: {path!r}"
        if here in content:
            yield f"{name} has a path of the machine that built it: {here!r}"
        if EXTENSION.fullmatch(name) and len(content) > LARGEST_EXTENSION:
            yield f"{name}: {len(content)} bytes, more than {LARGEST_EXTENSION}"


def main(project: str, *arguments: str) -> int:
    openmp = "--no-openmp" not in arguments
    wheels = [Path(a) for a in arguments if a != "--no-openmp"]
    status = 0
    for wheel in wheels:
        faults = list(wheel_faults(wheel, Path(project).resolve(), openmp))
        for fault in faults:
            print(f"{wheel.name}: {fault}", file=sys.stderr)
        if faults:
            status = 1
        else:
            print(f"{wheel.name}: {wheel.stat().st_size} bytes, holds what it should")
    if not wheels:
        print("contents.py: no wheel was named", file=sys.stderr)
        status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
