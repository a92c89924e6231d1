#!/usr/bin/env bash
# make sanitize: kernels and tests under AddressSanitizer and UndefinedBehaviorSanitizer, and the
# kernels' threads under ThreadSanitizer. Linux only.
#
#     run.sh PYTHON [kernels|tests]    one with fastem[test] installed; both parts by default
#
# Each part first has faults planted that it must find: a sanitizer that is not at work is silent.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=$1
parts=${2:-kernels tests}
out=$PWD/build/sanitize
mkdir -p "$out"

step() { printf '\n=== %s (%s s)\n' "$*" "$SECONDS"; }
stop() { printf 'make sanitize: %s\n' "$*" >&2; exit 2; }
need() { command -v "$1" > /dev/null || stop "$1 is missing; on Debian: apt-get install $2"; }

# The command must fail, and name the sanitizer that stopped it.
caught() {
    local name=$1
    shift
    if "$@" > "$out/planted.txt" 2>&1; then stop "a planted fault was not noticed: $*"; fi
    grep -q "$name" "$out/planted.txt" || { cat "$out/planted.txt"; stop "not $name: $*"; }
    echo "planted fault found by $name"
}

[ "$(uname)" = Linux ] || stop "the sanitizers are set up for Linux only"
export UBSAN_OPTIONS=print_stacktrace=1

run_kernels() {
    need clang++ "clang libclang-rt-dev libomp-dev"
    need setarch util-linux
    local kind archer xsimd=${FASTEM_XSIMD:-$out/xsimd/pythran}
    for kind in address,undefined thread; do
        echo 'int main() {}' | clang++ -x c++ -fopenmp -fsanitize=$kind - -o "$out/probe" ||
            stop "clang++ has no -fsanitize=$kind; on Debian: apt-get install libclang-rt-dev libomp-dev"
    done
    # next to the OpenMP library: it tells ThreadSanitizer what OpenMP synchronises
    archer=$(dirname "$(realpath "$(ldd "$out/probe" | awk '/libomp/ {print $3}')")")/libarcher.so
    [ -e "$archer" ] || stop "$archer is missing; it comes with clang's OpenMP library, libomp-dev"
    setarch -R true || stop "setarch -R is not allowed here, and ThreadSanitizer needs it (in a
container: run it with --security-opt seccomp=unconfined)"
    if [ ! -d "$xsimd/xsimd" ]; then
        "$python" tests/xsimd.py "$out/xsimd"
    fi
    for kind in address,undefined thread; do
        step "kernels, -fsanitize=$kind"
        clang++ -std=c++17 -O1 -g -march=native -fopenmp -fsanitize=$kind -fno-sanitize-recover=all \
            -isystem "$xsimd" -I src/fastem/_kernels tests/sanitize/kernels.cpp -o "$out/kernels-$kind"
    done
    step "kernels: memory and undefined behaviour"
    caught AddressSanitizer "$out/kernels-address,undefined" overread
    "$out/kernels-address,undefined"
    step "kernels: threads"
    export OMP_TOOL_LIBRARIES=$archer
    export TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=1"
    caught ThreadSanitizer setarch -R "$out/kernels-thread" race
    setarch -R "$out/kernels-thread"
}

run_tests() {
    need gcc gcc
    local library path preload=()
    # the C++ library too: its exceptions are looked up before the extensions bring it along
    for library in libasan libubsan libstdc++; do
        path=$(gcc -print-file-name=$library.so)
        [ -e "$path" ] || stop "gcc has no $library.so; on Debian: apt-get install g++"
        preload+=("$path")
    done
    step "extensions with -fsanitize=address,undefined"
    CC=gcc CXX=g++ FASTEM_SANITIZE=1 "$python" -m pip install --quiet --disable-pip-version-check \
        --no-deps --upgrade --target "$out/site" .
    step "tests"
    local sanitized=(env "LD_PRELOAD=${preload[*]}" "PYTHONPATH=$out/site" PYTHONMALLOC=malloc
        ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 "$python")
    caught AddressSanitizer "${sanitized[@]}" -c "
import numpy as np
from fastem._kernels import kernels
kernels.lloyd_points(np.ones((100, 3)), np.empty(8), 1)"
    # left out: minutes of comparing sums that others compare too, and how soon a process ends
    # --capture=sys: else pytest holds back what a sanitizer says before it ends the process
    "${sanitized[@]}" -m pytest -q -p no:cacheprovider --capture=sys \
        -k "not test_every_iteration_equals_scikit_learn and not ctrl_c"
}

for part in $parts; do run_"$part"; done
step "done"
