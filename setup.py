"""The compiled extensions: one kernel source, once for each instruction set. The rest of the
metadata is in pyproject.toml."""

import gzip
import importlib.util
import os
import shutil
import sys
import sysconfig
import tarfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

KERNELS = Path("src/fastem/_kernels")
ABI3 = not sysconfig.get_config_var("Py_GIL_DISABLED")  # free-threaded builds have no stable ABI

# extension -> flags of GCC and Clang, flags of MSVC. That has all intrinsics at any level: the
# macro, which xsimd goes by, makes x86-64-v2 of the baseline.
X86_64_LEVELS = {
    "_baseline": (["-march=x86-64-v2"], ["/D__SSE4_2__"]),
    "_avx2": (["-march=x86-64-v3"], ["/arch:AVX2"]),
    "_avx512": (["-march=x86-64-v4", "-mprefer-vector-width=512"], ["/arch:AVX512"]),
}
OTHER_LEVELS = {"_baseline": ([], [])}

COMMON_FLAGS = {
    # No -ffast-math: it would flush subnormals in the whole process that imports the module.
    "unix": ["-std=c++17", "-O3", "-g0", "-fvisibility=hidden",
             "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast",
             # false alarms from GCC's own intrinsics; Clang does not know that warning
             "-Wno-maybe-uninitialized", "-Wno-unknown-warning-option"],
    # xsimd goes by __cplusplus; the old lambdas of MSVC have trouble with constants of theirs
    "msvc": ["/std:c++17", "/O2", "/fp:precise", "/fp:contract", "/bigobj", "/utf-8", "/DNOMINMAX",
             "/permissive-", "/Zc:lambda", "/Zc:__cplusplus"],
    "clang-cl": ["/std:c++17", "/O2", "/bigobj", "/utf-8", "/DNOMINMAX",
                 "/permissive-", "/Zc:__cplusplus",
                 "/clang:-O3", "/clang:-fno-math-errno", "/clang:-fno-trapping-math",
                 "/clang:-ffp-contract=fast", "-Wno-unused-command-line-argument"],
}  # fmt: skip
# FASTEM_SANITIZE=1 builds with AddressSanitizer and UndefinedBehaviorSanitizer, in a folder of its
# own, so that the ordinary build stays as it is. -O1: at -O3 the checks take minutes to compile.
SANITIZE = os.environ.get("FASTEM_SANITIZE", "0") != "0"
SANITIZE_FLAGS = ["-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]
BUILD = Path("build", "sanitize") if SANITIZE else Path("build")
OPENMP_FLAGS = {  # platform -> compile flags, link flags
    "linux": (["-fopenmp"], ["-fopenmp"]),
    "macosx": (["-Xpreprocessor", "-fopenmp"], ["-lomp"]),
    "win": (["/openmp"], []),  # OpenMP 2.0: enough, and what Microsoft lets one give away
    "clang-cl": (["/clang:-fopenmp"], ["libomp.lib", "/NODEFAULTLIB:vcomp"]),
}


def xsimd_folder() -> str:
    """The folder to include xsimd from: FASTEM_XSIMD, or the copy that pythran carries."""
    if folder := os.environ.get("FASTEM_XSIMD"):
        return folder
    spec = importlib.util.find_spec("pythran")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("setup.py: the xsimd headers are missing: pip install 'pythran>=0.18,<0.19', or "
                 "set FASTEM_XSIMD to a folder that holds xsimd/xsimd.hpp")  # fmt: skip
    return spec.submodule_search_locations[0]


def target() -> str:
    """The platform to build for; the environment of a cross build has its name."""
    if os.name == "nt" and os.environ.get("VSCMD_ARG_TGT_ARCH") == "arm64":
        return "win-arm64"
    return os.environ.get("_PYTHON_HOST_PLATFORM", sysconfig.get_platform())


def levels(platform: str) -> dict:
    """The instruction sets to build for a platform."""
    if not platform.endswith(("x86_64", "amd64")):
        return OTHER_LEVELS
    chosen = dict(X86_64_LEVELS)
    if platform.startswith("macosx"):  # no Mac to sell has AVX-512
        del chosen["_avx512"]
    return chosen


def use_clang_cl(compiler, platform: str) -> list[str]:
    """Put clang-cl in the place of cl, and return the link flags that its OpenMP takes."""
    name = os.environ.get("CC") or "clang-cl"
    path = shutil.which(name) or shutil.which(name, path=r"C:\Program Files\LLVM\bin")
    if path is None:
        sys.exit(f"setup.py: {name} is missing. xsimd's NEON needs it: cl has one type for every "
                 "vector of Arm's. Install LLVM, or set CC to the path of clang-cl")  # fmt: skip
    compiler.cc = path
    compiler.compile_options = [f for f in compiler.compile_options if f != "/GL"]
    if platform == "win-arm64":
        compiler.compile_options.append("--target=aarch64-pc-windows-msvc")
    return [f"/LIBPATH:{Path(path).parents[1] / 'lib'}"]


class BuildExtensions(build_ext):
    """Gives each extension the flags of its instruction set, for the compiler at hand."""

    def build_extensions(self):
        kind = "msvc" if self.compiler.compiler_type == "msvc" else "unix"
        openmp = os.environ.get("FASTEM_OPENMP", "1") != "0"
        system = next((s for s in OPENMP_FLAGS if self.plat_name.startswith(s)), "linux")
        link_flags = []
        if kind == "msvc":
            if not self.compiler.initialized:  # here: the threads below would all begin to
                self.compiler.initialize(self.plat_name)
            if self.plat_name == "win-arm64" or "clang-cl" in os.environ.get("CC", ""):
                kind = system = "clang-cl"
                link_flags = use_clang_cl(self.compiler, self.plat_name)
        compile_openmp, link_openmp = OPENMP_FLAGS[system] if openmp else ([], [])
        table = levels(self.plat_name)
        for extension in self.extensions:
            unix_flags, msvc_flags = table[extension.name.rpartition(".")[2]]
            level = {"unix": unix_flags, "msvc": msvc_flags,
                     "clang-cl": [f"/clang:{flag}" for flag in unix_flags]}[kind]  # fmt: skip
            extension.extra_compile_args = COMMON_FLAGS[kind] + level + compile_openmp
            extension.extra_link_args = link_flags + link_openmp
            if SANITIZE:
                extension.extra_compile_args += [*SANITIZE_FLAGS, "-O1", "-g1"]
                extension.extra_link_args += SANITIZE_FLAGS
        self._forget_other_flags()
        super().build_extensions()

    def _forget_other_flags(self):
        """Compile again what was compiled with other flags: setuptools compares dates only."""
        flags = "\n".join(" ".join(e.extra_compile_args) for e in self.extensions)
        flags += f"\nxsimd: {os.environ.get('FASTEM_XSIMD')}"
        stamp = BUILD / "flags.txt"
        if not stamp.exists() or stamp.read_text() != flags:
            self.force = True
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(flags)


class ReproducibleSdist(sdist):
    """With SOURCE_DATE_EPOCH, in seconds, the same files give the same bytes, whoever packs them,
    where and when. Without it the archive is setuptools' own."""

    def make_archive(self, base_name, format, root_dir=None, base_dir=None, **owner):
        epoch = os.environ.get("SOURCE_DATE_EPOCH")
        if epoch is None or format != "gztar":
            return super().make_archive(base_name, format, root_dir, base_dir, **owner)

        def anonymous(entry):
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mtime = int(epoch)
            entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            return entry

        name = f"{base_name}.tar.gz"
        self.mkpath(os.path.dirname(name))
        with (
            open(name, "wb") as file,
            gzip.GzipFile("", "wb", fileobj=file, mtime=int(epoch)) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            archive.add(base_dir, filter=anonymous)
        return name


def extension(name: str) -> Extension:
    return Extension(
        f"fastem._kernels.{name}",
        [str(KERNELS / f"{name}.pyx")],
        include_dirs=[str(KERNELS), xsimd_folder()],
        depends=sorted(map(str, [*KERNELS.glob("*.hpp"), *KERNELS.glob("*.pxi")])),
        define_macros=[("Py_LIMITED_API", "0x030B0000")] if ABI3 else [],
        py_limited_api=ABI3,
        language="c++",
    )


setup(
    ext_modules=cythonize(
        [extension(name) for name in levels(target())],
        compiler_directives={"language_level": 3, "boundscheck": False, "wraparound": False,
                             "cdivision": True, "initializedcheck": False},
        nthreads=0,
    ),
    cmdclass={"build_ext": BuildExtensions, "sdist": ReproducibleSdist},
    options={
        "build": {"build_base": str(BUILD)},
        "build_ext": {"parallel": True},
        **({"bdist_wheel": {"py_limited_api": "cp311"}} if ABI3 else {}),
    },
)  # fmt: skip
