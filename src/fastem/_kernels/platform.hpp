// What the machine offers: instruction sets, threads, and the peak of its arithmetic.
#pragma once

#include <chrono>

#include "simd.hpp"

#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(_MSC_VER) && defined(_M_X64)
#include <immintrin.h>
#include <intrin.h>
#endif

namespace fastem {

// Of this call's thread, so that threadpoolctl and OMP_NUM_THREADS are honoured.
inline int max_threads() {
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

inline bool has_openmp() {
#ifdef _OPENMP
    return true;
#else
    return false;
#endif
}

inline const char* compiler() {
#if defined(__clang__)
    return "clang " __clang_version__;
#elif defined(__GNUC__)
    return "gcc " __VERSION__;
#elif defined(_MSC_VER)
    return "msvc";
#else
    return "unknown";
#endif
}

// The vector unit that the kernels of this module use, in xsimd's words.
inline const char* vector_unit() { return xsimd::default_arch::name(); }

// The highest level the processor and the operating system support (XCR0 included):
// 0 baseline, 1 AVX2 with FMA, 2 AVX-512 (F, BW, CD, DQ, VL).
#if defined(_MSC_VER) && defined(_M_X64)
#ifdef __clang__  // clang-cl, whose __builtin_cpu_supports wants a library that nobody links
__attribute__((target("xsave")))
#endif
inline unsigned long long enabled_states() { return _xgetbv(0); }

inline int cpu_level() {
    int id[4];
    __cpuid(id, 0);
    if (id[0] < 7) return 0;
    __cpuidex(id, 1, 0);
    const bool fma = (id[2] & (1 << 12)) != 0, osxsave = (id[2] & (1 << 27)) != 0;
    if (!fma || !osxsave) return 0;
    const unsigned long long enabled = enabled_states();
    __cpuidex(id, 7, 0);
    const unsigned features = static_cast<unsigned>(id[1]);
    const unsigned bmi_avx2 = (1u << 3) | (1u << 5) | (1u << 8);
    if ((enabled & 0x6) != 0x6 || (features & bmi_avx2) != bmi_avx2) return 0;
    const unsigned avx512 = (1u << 16) | (1u << 17) | (1u << 28) | (1u << 30) | (1u << 31);
    return (enabled & 0xe6) == 0xe6 && (features & avx512) == avx512 ? 2 : 1;
}
#elif (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
inline int cpu_level() {
    __builtin_cpu_init();
    if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
          __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")))
        return 0;
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                   __builtin_cpu_supports("avx512vl")
               ? 2
               : 1;
}
#else
inline int cpu_level() { return 0; }
#endif

// Multiply-adds of this thread for about `seconds`; returns floating-point operations a second.
template <class T> double fma_rate(double seconds, T start) {
    using V = vec<T>;
    constexpr int chains = 2 * block * point_vectors > 16 ? 16 : 12;
    using clock = std::chrono::steady_clock;
    V a[chains];
    for (int c = 0; c < chains; ++c) a[c] = V(start + static_cast<T>(c));
    const V x(T(1) - start * T(1e-7)), y(start * T(1e-7));
    long long rounds = 0;
    const auto begin = clock::now();
    double elapsed = 0;
    while (elapsed < seconds) {
        for (int i = 0; i < 4096; ++i)
            for (int c = 0; c < chains; ++c) a[c] = xsimd::fma(a[c], x, y);
        rounds += 4096;
        elapsed = std::chrono::duration<double>(clock::now() - begin).count();
    }
    V sum = a[0];
    for (int c = 1; c < chains; ++c) sum += a[c];
    // use the sum, so that the loop cannot be removed
    const double used = xsimd::reduce_add(sum) == T(12345) ? 1e-9 : 0;
    return 2.0 * static_cast<double>(rounds) * chains * static_cast<double>(lanes<T>) /
           (elapsed + used);
}

}  // namespace fastem
