#!/usr/bin/env bash
# make wheel-check: that what is published installs, runs and holds what it should, as far as one
# Linux machine can tell.
#
#     run.sh PYTHON [PART...]    all parts by default
#
#     pack         sdist and wheel, each made twice with the same bytes; repaired by auditwheel
#     audit        stable ABI, metadata, files, licences, sizes, symbols, paths
#     identifiers  what cibuildwheel would build on each platform
#     pythons      the wheel on every Python here, without a compiler, with each instruction set
#     levels       on emulated processors: the instruction set that is chosen, and its numbers
#     arm          a wheel for aarch64, cross-compiled, on an emulated processor
#     serial       a build without OpenMP
#     clang        builds by Clang, with OpenMP and without
#     cross        the kernels compiled for macOS, Windows, musl and Linux of both architectures
#
# What cannot be tried on this machine is said where it is left out, and again at the end. Anything
# that is tried and does not come out right ends the run. The other parts take the wheel of `pack`
# from build/wheels, and make it if it is not there.
#
#     PYTHONS="3.12 3.13"   Pythons of the part `pythons`
#     QUICK=1               fewer tests and targets; the wheel is made once, the sdist still twice
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
python=$1
shift
parts=${*:-pack audit identifiers pythons levels arm serial clang cross}
pythons=${PYTHONS:-3.11 3.12 3.13 3.14 3.15}
quick=${QUICK:-}
case $python in */*) python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python") ;; esac
out=$root/build/wheels
bin=$out/tools/bin
here=$root/tests/wheels
# of tests/test_contract.py, with QUICK: both kernels of each structure
few="statistics_equal and (700-2-3 or 1500-13-3 or 400-130-2)"
for_tests=(pytest hypothesis pandas)
mkdir -p "$out"
left_out=()

step() { printf '\n=== %s (%s s)\n' "$*" "$SECONDS"; }
stop() { printf 'make wheel-check: %s\n' "$*" >&2; exit 2; }
leave_out() { printf 'NOT TRIED: %s\n' "$*"; left_out+=("$*"); }
have() { command -v "$1" > /dev/null; }
# without what some configurations have pip say of every package
pip() { "$1" -m pip --disable-pip-version-check --quiet --quiet "${@:2}"; }
same() { cmp "$1" "$2" || stop "$3"; }

[ "$(uname -s)" = Linux ] || stop "it is written for Linux"

# The command must fail, and say so in these words.
caught() {
    local words=$1
    shift
    if "$@" > "$out/planted.txt" 2>&1; then stop "a planted fault was not noticed: $*"; fi
    grep -q -- "$words" "$out/planted.txt" || { cat "$out/planted.txt"; stop "not '$words': $*"; }
    echo "planted fault found: $words"
}

tools() {
    if cmp -s "$root/pyproject.toml" "$out/tools/pyproject.toml"; then return; fi
    step "tools"
    "$python" -m venv --clear "$out/tools"
    pip "$bin/python" install --upgrade "pip>=25.1"  # knows dependency groups
    pip "$bin/python" install --group "$root/pyproject.toml:wheel-check"
    cp "$root/pyproject.toml" "$out/tools/"
}

the_wheel() { echo "$out"/dist/*.whl; }

packed() {
    tools
    [ -e "$(the_wheel)" ] || run_pack
    rm -rf "$out/tree" "$out/sdist"
    mkdir -p "$out/sdist" "$out/tree"
    tar -xzf "$out"/dist/*.tar.gz -C "$out/sdist" --strip-components 1
    # what cibuildwheel's tests have too, and no more
    (cd "$out/sdist" && "$bin/python" -c '
import tomllib
config = tomllib.load(open("pyproject.toml", "rb"))["tool"]["cibuildwheel"]
print(*config["test-sources"], sep="\0", end="\0")' |
        tar --null --files-from - -c) | tar -C "$out/tree" -x
    without_compiler
}

# A file name of the one wheel that FOLDER is to hold, made of the sdist with the variables given.
build() {
    local folder=$1
    shift
    rm -rf "$folder"
    # pip unpacks the sdist, and installs what compiles it, in another folder each time
    env "$@" "$bin/python" -m pip --disable-pip-version-check --quiet --quiet wheel --no-deps \
        --no-cache-dir --wheel-dir "$folder" "$out"/dist/*.tar.gz
}

repair() {
    PATH=$bin:$PATH auditwheel repair --strip --wheel-dir "$1" "${@:2}" 2> "$out/repair.log" ||
        { cat "$out/repair.log"; exit 1; }
}

# A copy of what git has, or would have: never what a build left behind.
clone() {
    mkdir -p "$1"
    git -C "$root" ls-files -z --cached --others --exclude-standard |
        (cd "$root" && while IFS= read -r -d '' file; do
            if [ -e "$file" ]; then printf '%s\0' "$file"; fi
        done) | tar -C "$root" --null --files-from - -c | tar -C "$1" -x
}

run_pack() {
    tools
    have git || stop "git is missing; on Debian: apt-get install git"
    local first=$out/pack/one second=$out/pack/another/folder
    SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct)
    export SOURCE_DATE_EPOCH
    rm -rf "$out/pack" "$out/dist"

    step "sdist, from two copies of the tree"
    clone "$first"
    (umask 077 && clone "$second" && chmod -R go= "$second")
    find "$second" -type f -exec touch --date=2020-02-02 {} +
    "$bin/python" -m build --sdist --outdir "$out/pack/sdist" "$first" > "$out/pack/log" ||
        { cat "$out/pack/log"; exit 1; }
    "$bin/python" -m build --sdist --outdir "$out/pack/sdist2" "$second" > "$out/pack/log" ||
        { cat "$out/pack/log"; exit 1; }
    same "$out"/pack/sdist/*.tar.gz "$out"/pack/sdist2/*.tar.gz "the sdist is another each time"
    mkdir "$out/dist"
    cp "$out"/pack/sdist/*.tar.gz "$out/dist"

    step "wheel, from the sdist"
    build "$out/pack/wheel"
    if [ -z "$quick" ]; then
        step "the same wheel again"
        mkdir -p "$out/pack/tmp"
        build "$out/pack/wheel2" TMPDIR="$out/pack/tmp"
        same "$out"/pack/wheel/*.whl "$out"/pack/wheel2/*.whl "the wheel is another each time"
    fi

    step "auditwheel repair"
    repair "$out/dist" "$out"/pack/wheel/*.whl
    repair "$out/pack/repaired" "$out"/pack/wheel/*.whl
    same "$out"/dist/*.whl "$out"/pack/repaired/*.whl "the repaired wheel is another each time"
    ls -l "$out/dist"
    sha256sum "$out"/dist/*
    unset SOURCE_DATE_EPOCH
}

run_audit() {
    packed
    local wheel raw
    wheel=$(the_wheel)
    raw=$(echo "$out"/pack/wheel/*.whl)
    step "contents"
    "$bin/python" "$here/contents.py" "$out/tree" "$wheel"
    # Faults that it must find: the wheel before its repair, one with a header, a path of this
    # machine and symbols for all to see.
    caught "auditwheel has not repaired" "$bin/python" "$here/contents.py" "$out/tree" "$raw"
    caught "is not stripped" "$bin/python" "$here/contents.py" "$out/tree" "$raw"
    "$bin/python" "$here/planted.py" "$wheel" "$out/planted"
    local fault
    for fault in "$out"/planted/*/; do
        caught "$(cat "$fault/words")" "$bin/python" "$here/contents.py" "$out/tree" "$fault"/*.whl
    done
    step "auditwheel show"
    local tag
    tag=$(basename "$wheel" .whl)
    tag=${tag##*-}
    "$bin/auditwheel" show "$wheel" 2> /dev/null > "$out/show.txt"
    tr '\n' ' ' < "$out/show.txt" | grep -q "platform tag: \"${tag%%.*}\"" ||
        { cat "$out/show.txt"; stop "the wheel is not what its name says, $tag"; }
    echo "$tag"
    step "abi3audit, twine, check-wheel-contents"
    "$bin/abi3audit" --strict --report "$wheel" > "$out/abi3.json" ||
        { cat "$out/abi3.json"; stop "the wheel leaves the stable ABI of its Python"; }
    "$bin/twine" --no-color check --strict "$out"/dist/*
    # W002: the stubs of the instruction sets are the same file; W009, W010: auditwheel's folder
    "$bin/check-wheel-contents" --ignore W002 "$raw"
    "$bin/check-wheel-contents" --ignore W002,W009,W010 "$wheel"
    local size
    size=$(stat -c %s "$out"/dist/*.tar.gz)
    [ "$size" -le 3500000 ] || stop "the sdist has $size bytes, more than 3500000"
}

run_identifiers() {
    tools
    step "identifiers of cibuildwheel"
    "$bin/python" "$here/identifiers.py" "$bin/cibuildwheel" "$root"
}

find_python() {
    local candidate
    for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python; do
        if "$candidate" -c 'import venv' 2> /dev/null; then echo "$candidate"; return; fi
    done
}

# A folder to be the whole PATH: what Python and its packages call, and no compiler.
without_compiler() {
    rm -rf "$out/path"
    mkdir -p "$out/path"
    local tool
    for tool in bash cat env ldconfig lscpu sh true uname qemu-x86_64 qemu-aarch64; do
        if have "$tool"; then ln -s "$(command -v "$tool")" "$out/path/$tool"; fi
    done
    for tool in cc c++ gcc g++ clang clang++ ld make; do
        if PATH=$out/path have "$tool"; then stop "$tool is in a folder meant to be without it"; fi
    done
}

# venv NAME PYTHON WHAT...: an empty environment with these and what they need, all of it compiled
# already.
venv() {
    "$2" -m venv --clear "$out/$1"
    install "$1" "${@:3}"
}
install() {
    PATH=$out/path CC=false CXX=false pip "$out/$1/bin/python" install --only-binary :all: "${@:2}"
}

# tests PYTHON... -- TEST...: with the tests of the sdist, where no source can be imported.
tests() {
    local command=()
    while [ "$1" != -- ]; do command+=("$1"); shift; done
    shift
    mkdir -p "$out/empty"
    (cd "$out/empty" && "${command[@]}" -m pytest -q -p no:cacheprovider \
        -c "$out/tree/pyproject.toml" --rootdir "$out/tree" "$@")
}

run_pythons() {
    packed
    local version other isa highest t=$out/tree/tests
    for version in $pythons; do
        other=$(find_python "$version")
        if [ -z "$other" ]; then leave_out "Python $version: there is none here"; continue; fi
        step "wheel on Python $version"
        # a Python so new that others have no wheels for it is no fault of this one
        if ! venv "py$version" "$other" scikit-learn safetensors "${for_tests[@]}"; then
            case $version in
                3.1[1-4]) stop "Python $version: what fastem needs cannot be installed, see above" ;;
            esac
            leave_out "Python $version: what fastem needs cannot be installed, see above"
            continue
        fi
        install "py$version" "$(the_wheel)"
        tests "$out/py$version/bin/python" -- "$t/test_contract.py" "$t/test_published.py"
        if [ -z "$quick" ]; then
            tests "$out/py$version/bin/python" -- "$t/test_em.py" "$t/test_gaussian_mixture.py" \
                "$t/test_mixture.py"
        fi
        highest=$("$out/py$version/bin/python" -c 'import fastem._kernels as k; print(k.cpu_isa())')
        for isa in baseline avx2 avx512; do
            step "Python $version, FASTEM_ISA=$isa"
            FASTEM_ISA=$isa tests "$out/py$version/bin/python" -- "$t/test_published.py"
            if [ "$isa" = "$highest" ]; then break; fi
        done
        case $isa in avx512) ;; *) leave_out "instruction sets above $isa: not of this processor" ;; esac
    done
}

# processor KIND COMMAND...: a program of x86-64 on a processor of that kind.
processor() { qemu-x86_64 -cpu "$@"; }

run_levels() {
    packed
    if ! have qemu-x86_64; then
        leave_out "levels: qemu-x86_64 is missing; on Debian: apt-get install qemu-user"
        return
    fi
    local venv=$out/py-levels/bin/python cpu isa chosen t=$out/tree/tests
    # else OpenBLAS takes AVX on the emulated Nehalem, and NumPy cannot be imported
    local -x OPENBLAS_CORETYPE=Nehalem
    venv py-levels "$python" "$(the_wheel)" "${for_tests[@]}"
    for cpu in Nehalem:baseline Haswell:avx2 max:; do
        isa=${cpu#*:} cpu=${cpu%:*}
        step "processor $cpu"
        # `max` is what this qemu can do: none of before 2026 has AVX-512
        chosen=$(processor "$cpu" "$venv" -c 'import fastem._kernels as k; print(k.cpu_isa())')
        echo "chosen: $chosen"
        if [ -n "$isa" ] && [ "$chosen" != "$isa" ]; then stop "$cpu: not $isa but $chosen"; fi
        case $chosen in baseline) ;; avx2|avx512) isa=$chosen ;; *) stop "what is $chosen?" ;; esac
        # The variable lowers the choice only: no instruction that the processor does not know
        chosen=$(FASTEM_ISA=avx512 processor "$cpu" "$venv" -c \
            'import fastem._kernels as k; print(k.cpu_isa())')
        [ "$chosen" = "$isa" ] || stop "$cpu, FASTEM_ISA=avx512: not $isa but $chosen"
        if [ "$cpu" = max ]; then continue; fi
        tests processor "$cpu" "$venv" -- "$t/test_published.py" -k old_faithful
        # what AVX2 computes is tested without an emulator too
        if [ "$isa" != baseline ] && [ -n "$quick" ]; then continue; fi
        tests processor "$cpu" "$venv" -- "$t/test_contract.py" -k "$isa${quick:+ and ($few)}"
    done
    # The emulator is at work: it stops what the processor does not know.
    caught "Illegal instruction" processor Nehalem "$venv" -c \
        "import fastem._kernels._avx2 as k; k.fma_rate_float64(0.01)"
}

# sysroot PACKAGE...: these packages of the distribution for aarch64, and what they need, in
# build/wheels/arm/root. Nothing of this machine's own package management is touched.
sysroot() {
    local apt=$out/arm/apt mirror key components="main" release
    # shellcheck disable=SC1091
    release=$(. /etc/os-release && echo "$ID $VERSION_CODENAME")
    case $release in
        debian*) mirror=http://deb.debian.org/debian key=debian-archive-keyring.gpg ;;
        ubuntu*) mirror=http://ports.ubuntu.com/ubuntu-ports key=ubuntu-archive-keyring.gpg
            components="main universe" ;;
    esac
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/etc/preferences.d"
    : > "$apt/status"
    echo "deb [signed-by=/usr/share/keyrings/$key] $mirror ${release#* } $components" \
        > "$apt/etc/sources.list"
    local command=(apt-get -qq -o "Dir::State=$apt" -o "Dir::State::lists=$apt/lists"
        -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache" -o "Dir::Etc=$apt/etc"
        -o "Dir::Etc::sourcelist=$apt/etc/sources.list" -o Dir::Etc::sourceparts=-
        -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Debug::NoLocking=1
        -o APT::Sandbox::User="$(id -un)")
    "${command[@]}" update
    "${command[@]}" install --yes --no-install-recommends --download-only "$@"
    mkdir -p "$out/arm/root/usr/bin" "$out/arm/root/usr/lib" "$out/arm/root/usr/sbin"
    local name
    for name in bin lib sbin; do ln -sfn "usr/$name" "$out/arm/root/$name"; done
    for name in "$apt"/cache/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$name" | tar -x -C "$out/arm/root" --keep-directory-symlink
    done
}

run_arm() {
    packed
    local tool
    for tool in qemu-aarch64:qemu-user aarch64-linux-gnu-g++:g++-aarch64-linux-gnu \
        apt-get:apt dpkg-deb:dpkg; do
        if ! have "${tool%:*}"; then
            leave_out "arm: ${tool%:*} is missing; on Debian and Ubuntu: apt-get install ${tool#*:}"
            return
        fi
    done
    step "wheel for aarch64"
    build "$out/arm/wheel" _PYTHON_HOST_PLATFORM=linux-aarch64 \
        CC=aarch64-linux-gnu-gcc CXX=aarch64-linux-gnu-g++ \
        LDSHARED="aarch64-linux-gnu-gcc -shared" LDCXXSHARED="aarch64-linux-gnu-g++ -shared"
    local wheel version
    wheel=$(echo "$out"/arm/wheel/*-cp311-abi3-linux_aarch64.whl)
    [ -e "$wheel" ] || stop "not a wheel for aarch64: $(ls "$out/arm/wheel")"
    step "Python for aarch64"
    [ -e "$out/arm/ready" ] || { rm -rf "$out/arm/root"; sysroot python3-minimal \
        libpython3-stdlib libstdc++6 libgomp1; touch "$out/arm/ready"; }
    local arm=(env "PYTHONPATH=$out/arm/site" PYTHONDONTWRITEBYTECODE=1
        qemu-aarch64 -L "$out/arm/root" -cpu cortex-a72
        "$(echo "$out"/arm/root/usr/bin/python3.*)")
    version=$("${arm[@]}" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    rm -rf "$out/arm/site"
    local platforms=() glibc
    for glibc in 2_17 2_24 2_26 2_27 2_28 2_31 2_34; do platforms+=(--platform "manylinux_${glibc}_aarch64"); done
    pip "$bin/python" install --target "$out/arm/site" --python-version "$version" \
        --implementation cp --abi "cp${version/./}" --abi abi3 --abi none --only-binary :all: \
        "${platforms[@]}" --platform manylinux2014_aarch64 --platform linux_aarch64 \
        "$wheel" pytest hypothesis
    step "on an emulated cortex-a72, Python $version"
    "${arm[@]}" -c '
import platform, fastem
from fastem._kernels import kernels
fastem.show_config()
assert platform.machine() == "aarch64" and kernels.has_openmp()
assert "neon" in kernels.vector_unit(), kernels.vector_unit()'
    tests "${arm[@]}" -- "$out/tree/tests/test_published.py" ${quick:+-k faithful}
    tests "${arm[@]}" -- "$out/tree/tests/test_contract.py" ${quick:+-k "$few"}
}

# built NAME VARIABLE=VALUE...: the wheel made with these variables, in an environment of its own
# where `fastem.show_config` must say EXPECTED of its compiler and OpenMP.
built() {
    local name=$1 expected=$2
    shift 2
    step "$name"
    build "$out/$name/wheel" "$@"
    venv "$name/venv" "$python" "$(echo "$out/$name"/wheel/*.whl)" "${for_tests[@]}"
    "$out/$name/venv/bin/python" - "$expected" << 'EOP'
import sys
import fastem
config = fastem.show_config("dict")
found = f"{config['compiler'].split()[0]}, OpenMP {config['OpenMP']}"
print(found)
sys.exit(found != sys.argv[1])
EOP
    tests "$out/$name/venv/bin/python" -- "$out/tree/tests/test_contract.py" \
        "$out/tree/tests/test_threads.py" "$out/tree/tests/test_published.py"
}

run_serial() {
    packed
    built gcc-serial "gcc, OpenMP no" FASTEM_OPENMP=0
    repair "$out/gcc-serial/repaired" "$out"/gcc-serial/wheel/*.whl
    "$bin/python" "$here/contents.py" "$out/tree" --no-openmp "$out"/gcc-serial/repaired/*.whl
}

run_clang() {
    packed
    if ! have clang++; then
        leave_out "clang: clang++ is missing; on Debian: apt-get install clang libomp-dev"
        return
    fi
    built clang-serial "clang, OpenMP no" CC=clang CXX=clang++ FASTEM_OPENMP=0
    if ! echo 'int main() {}' | clang++ -x c++ -fopenmp - -o "$out/probe" 2> /dev/null; then
        leave_out "clang with OpenMP: on Debian: apt-get install libomp-dev"
        return
    fi
    built clang "clang, OpenMP yes" CC=clang CXX=clang++
}

run_cross() {
    tools
    step "the kernels, compiled for other systems"
    local xsimd=${FASTEM_XSIMD:-$out/xsimd/pythran} target level program levels link run why
    if [ ! -d "$xsimd/xsimd" ]; then
        "$bin/python" "$root/tests/xsimd.py" "$out/xsimd"
    fi
    export ZIG_GLOBAL_CACHE_DIR=$out/zig ZIG_LOCAL_CACHE_DIR=$out/zig
    local x86="x86_64_v2 x86_64_v3 x86_64_v4" mac="x86_64_v2 x86_64_v3"
    local targets=("x86_64-linux-musl $x86" "aarch64-linux-musl generic"
        "aarch64-linux-gnu.2.28 generic" "x86_64-macos $mac" "aarch64-macos apple_m1"
        "x86_64-windows-gnu $x86" "aarch64-windows-gnu generic")
    if [ -n "$quick" ]; then targets=("x86_64-windows-gnu x86_64_v3" "aarch64-macos apple_m1"); fi
    for target in "${targets[@]}"; do
        levels=${target#* } target=${target%% *}
        for level in $levels; do
            program=$out/cross/$target-$level
            mkdir -p "$out/cross"
            step "$target, $level"
            link=(-c)  # what cannot be run is not linked: the C++ library is compiled for it first
            if runner "$target" "$level"; then link=(); fi
            # -ffp-contract and so on as in setup.py; -O1: at -O3 each takes minutes
            "$bin/python" -m ziglang c++ -target "$target" -mcpu="$level" -std=c++17 -O1 \
                -fno-sanitize=undefined -fno-math-errno -fno-trapping-math -ffp-contract=fast \
                -Wall -Wextra -Werror -Wno-unknown-pragmas -isystem "$xsimd" \
                -I "$root/src/fastem/_kernels" ${link[@]+"${link[@]}"} \
                "$root/tests/sanitize/kernels.cpp" -o "$program"
            if [ ${#link[@]} = 0 ]; then
                "${run[@]}" "$program"
            else
                leave_out "cross: $target $level is compiled, but not run: $why"
            fi
        done
    done
}

# runner TARGET LEVEL: sets `run` to what runs its programs here, or `why` nothing does.
runner() {
    why="no emulator of that system"
    case $1 in
        x86_64-linux-*)
            run=(env)
            why="this processor does not know its instructions"
            case $(uname -m):$2 in
                x86_64:x86_64_v4) grep -q avx512vl /proc/cpuinfo ;;
                x86_64:x86_64_v3) grep -q avx2 /proc/cpuinfo ;;
                x86_64:*) ;;
                *) false ;;
            esac ;;
        aarch64-linux-musl)
            run=(qemu-aarch64 -cpu cortex-a72)
            why="qemu-aarch64 is missing; on Debian: apt-get install qemu-user"
            have qemu-aarch64 ;;
        x86_64-windows-*)
            run=(wine)
            why="wine is missing; on Debian: apt-get install wine64"
            have wine ;;
        *) false ;;
    esac
}

for part in $parts; do declare -f "run_$part" > /dev/null || stop "there is no part '$part'"; done
for part in $parts; do "run_$part"; done
step "done: $parts"
for what in ${left_out[@]+"${left_out[@]}"}; do echo "NOT TRIED: $what"; done
