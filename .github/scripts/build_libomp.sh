#!/usr/bin/env bash
# Build LLVM's OpenMP runtime for the macOS wheels: build_libomp.sh PREFIX
#
# Apple's clang has no runtime of its own. Homebrew's needs the macOS of the machine that built it,
# so this one is built from LLVM's release, for MACOSX_DEPLOYMENT_TARGET.
#
# A process with fastem has at least two copies, because scikit-learn brings one too (and torch a
# third). As LLVM builds it, libomp exports weak C++ symbols such as __kmp_suspend_64, and macOS binds
# every copy's uses of a weak symbol to the copy that was loaded first, whose tables know nothing of
# the others' threads: a crash. This copy exports the C interface only (libomp.exports), so that its
# insides are its own; the end of this script checks that.
set -euo pipefail

prefix=$1
: "${MACOSX_DEPLOYMENT_TARGET:?set it to the oldest macOS that the wheels are for}"
exports=$(cd "$(dirname "$0")" && pwd)/libomp.exports
version=21.1.8 # the last series with an archive of the runtime alone
release=https://github.com/llvm/llvm-project/releases/download/llvmorg-$version

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fetch() { # part of LLVM, SHA-256 of its archive
    curl --fail --silent --show-error --location --retry 5 --remote-name \
        "$release/$1-$version.src.tar.xz"
    echo "$2  $1-$version.src.tar.xz" | shasum --algorithm 256 --check
    tar -xf "$1-$version.src.tar.xz"
    mv "$1-$version.src" "$1"
}
fetch openmp 856b023748b41ac7b2c83fd8e9f765ff48a4df2fe6777d2811ef7c7ed8f2f977
fetch cmake 85735f20fd8c81ecb0a09abb0c267018475420e93b65050cc5b7634eab744de9

# An absolute install name is what delocate follows when it puts the library into the wheel.
cmake -S openmp -B build \
    -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_C_FLAGS="-ffile-prefix-map=$work=." \
    -DCMAKE_CXX_FLAGS="-ffile-prefix-map=$work=." \
    -DCMAKE_INSTALL_PREFIX="$prefix" \
    -DCMAKE_INSTALL_NAME_DIR="$prefix/lib" \
    -DCMAKE_OSX_DEPLOYMENT_TARGET="$MACOSX_DEPLOYMENT_TARGET" \
    -DCMAKE_SHARED_LINKER_FLAGS="-Wl,-exported_symbols_list,$exports -Wl,-x" \
    -DLIBOMP_INSTALL_ALIASES=OFF \
    -DLIBOMP_OMPT_SUPPORT=OFF \
    -DOPENMP_ENABLE_LIBOMPTARGET=OFF \
    -DOPENMP_ENABLE_OMPT_TOOLS=OFF
cmake --build build --parallel "$(sysctl -n hw.ncpu)"
cmake --install build

library=$prefix/lib/libomp.dylib
nm -m -g "$library" > symbols.txt
if grep -E 'weak external|__Z' symbols.txt | grep -v '(undefined)'; then
    echo "$library exports C++ symbols: see the head of this script" >&2
    exit 1
fi
for name in _omp_get_max_threads _omp_set_num_threads ___kmpc_fork_call; do
    grep -q -E "external $name\$" symbols.txt || { echo "$library lacks $name" >&2; exit 1; }
done
otool -l "$library" | grep -A 4 -E 'LC_BUILD_VERSION|LC_VERSION_MIN_MACOSX'
