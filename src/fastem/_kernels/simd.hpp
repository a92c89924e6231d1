// Vectors of the instruction set this module is compiled for, and sums across their lanes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <xsimd/xsimd.hpp>

// For what holds vectors by reference: a call would move them through memory.
#if defined(_MSC_VER)
#define FASTEM_INLINE __forceinline
#else
#define FASTEM_INLINE inline __attribute__((always_inline))
#endif

namespace fastem {

using index = std::ptrdiff_t;  // 64-bit everywhere: more than 2^31 elements are ordinary data

template <class T> using vec = xsimd::batch<T>;
template <class T> inline constexpr index lanes = static_cast<index>(vec<T>::size);

// Points per register tile, in vectors. A tile of 4 rows x point_vectors holds its accumulators in
// registers: 16 of the 32 of AVX-512 and NEON, 8 of the 16 of AVX2 and SSE (16 would spill).
#if defined(__AVX512F__) || defined(__aarch64__) || defined(_M_ARM64)
inline constexpr index point_vectors = 4;
#else
inline constexpr index point_vectors = 2;
#endif

// Points that are decided on together: whether a component can matter to any of them. A multiple of
// the vectors of a register tile, and a divisor of the points of a tile. Where a pair is dear, few:
// more can be left out. Where it is cheap, more: the deciding costs less.
template <class T>
inline constexpr index narrow_group = point_vectors * lanes<T> > 32 ? point_vectors * lanes<T> : 32;
template <class T> inline constexpr index wide_group = 8 * lanes<T> > 64 ? 8 * lanes<T> : 64;

// Rows of a triangular factor handled together; packed parameters are padded to a multiple of it.
inline constexpr index block = 4;
inline constexpr index blocks(index n) { return (n + block - 1) / block; }

template <class T> inline vec<T> load(const T* p) { return vec<T>::load_aligned(p); }
template <class T> inline void store(T* p, const vec<T>& v) { v.store_aligned(p); }

// A vector that is used more than once: GCC would read it from memory each time.
template <class T> inline vec<T> load_once(const T* p) {
    vec<T> v = load(p);
#if defined(__GNUC__) && defined(__x86_64__)
    asm("" : "+v"(v.data));
#endif
    return v;
}

// Rows of a matrix in any order are far from each other: asks for one before it is needed.
inline void prefetch(const void* p, index n_bytes) {
#if defined(__GNUC__) || defined(__clang__)
    for (index b = 0; b < n_bytes; b += 64) __builtin_prefetch(static_cast<const char*>(p) + b);
#elif defined(_M_X64)
    for (index b = 0; b < n_bytes; b += 64)
        _mm_prefetch(static_cast<const char*>(p) + b, _MM_HINT_T0);
#else
    (void)p, (void)n_bytes;
#endif
}

// out[i] += sum over the lanes of v[i], for i < n. Lanes are added in a fixed order; the sum
// across tiles is kept in double whatever the type of the lanes.
template <class T> inline void add_lane_sums(const vec<T>* v, index n, double* out) {
    constexpr index L = lanes<T>;
    alignas(64) T sums[L];
    const index whole = n / L * L;
    for (index i = 0; i < whole; i += L) {
        store(sums, xsimd::haddp(v + i));
        for (index l = 0; l < L; ++l) out[i + l] += static_cast<double>(sums[l]);
    }
    for (index i = whole; i < n; ++i) out[i] += static_cast<double>(xsimd::reduce_add(v[i]));
}

#if defined(__AVX512F__)
// Not xsimd 13's haddp: that of AVX-512 floats returns sums 2, 3 and 4, 5 of each half exchanged,
// and that of doubles takes twice the instructions. Here as many vectors as there are lanes are
// halved in number until one holds the sums: first across the lanes of each quarter, then across
// the quarters.
inline __m512 quarters(__m512 a, __m512 b) {
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}
inline __m512d quarters(__m512d a, __m512d b) {
    return _mm512_add_pd(_mm512_shuffle_f64x2(a, b, 0x88), _mm512_shuffle_f64x2(a, b, 0xdd));
}

template <> inline void add_lane_sums<double>(const vec<double>* v, index n, double* out) {
    constexpr index L = lanes<double>;
    for (index i = 0; i < n; i += L) {
        const index m = std::min(L, n - i);
        __m512d x[L];
        for (index l = 0; l < L; ++l)
            x[l] = l < m ? static_cast<__m512d>(v[i + l]) : _mm512_setzero_pd();
        for (index l = 0; l < 4; ++l)
            x[l] = _mm512_add_pd(_mm512_unpacklo_pd(x[2 * l], x[2 * l + 1]),
                                 _mm512_unpackhi_pd(x[2 * l], x[2 * l + 1]));
        const __m512d sums = quarters(quarters(x[0], x[1]), quarters(x[2], x[3]));
        const __mmask8 some = static_cast<__mmask8>((1u << m) - 1);
        _mm512_mask_storeu_pd(out + i, some,
                              _mm512_add_pd(_mm512_maskz_loadu_pd(some, out + i), sums));
    }
}

template <> inline void add_lane_sums<float>(const vec<float>* v, index n, double* out) {
    constexpr index L = lanes<float>;
    for (index i = 0; i < n; i += L) {
        const index m = std::min(L, n - i);
        __m512 x[L];
        for (index l = 0; l < L; ++l)
            x[l] = l < m ? static_cast<__m512>(v[i + l]) : _mm512_setzero_ps();
        for (index l = 0; l < 8; ++l)
            x[l] = _mm512_add_ps(_mm512_unpacklo_ps(x[2 * l], x[2 * l + 1]),
                                 _mm512_unpackhi_ps(x[2 * l], x[2 * l + 1]));
        for (index l = 0; l < 4; ++l) {
            const __m512d a = _mm512_castps_pd(x[2 * l]), b = _mm512_castps_pd(x[2 * l + 1]);
            x[l] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                                 _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
        }
        alignas(64) float sums[L];
        _mm512_store_ps(sums, quarters(quarters(x[0], x[1]), quarters(x[2], x[3])));
        for (index l = 0; l < m; ++l) out[i + l] += static_cast<double>(sums[l]);
    }
}
#endif

// Dot product of n doubles, unaligned: for the small dense algebra on parameters.
inline double dot(const double* a, const double* b, index n) {
    using V = vec<double>;
    constexpr index L = lanes<double>;
    V s0(0.0), s1(0.0);
    index i = 0;
    for (; i + 2 * L <= n; i += 2 * L) {
        s0 = xsimd::fma(V::load_unaligned(a + i), V::load_unaligned(b + i), s0);
        s1 = xsimd::fma(V::load_unaligned(a + i + L), V::load_unaligned(b + i + L), s1);
    }
    double sum = xsimd::reduce_add(s0 + s1);
    for (; i < n; ++i) sum += a[i] * b[i];
    return sum;
}

}  // namespace fastem
