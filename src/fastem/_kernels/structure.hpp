// What a covariance structure is to the kernels. A structure is a struct template over the type of
// the lanes, with static members only, and one line in structures.hpp. For a tile of n points and
// D features:
//
//   shared_size(D), parameter_size(D)    packed parameters: once, and for each component (the point
//                                        that its moments are about is kept beside them)
//   shared_precision_size(D), precision_size(D)
//                                        doubles in the precisions_cholesky given, likewise
//   statistics_size(D), second_size(D)   a component's statistics in a slot; its second moments
//   scratch_size(D, n)                   scratch of prepare and of moments (never at one time
//                                        beyond this size in all)
//   pack_shared, pack_component          double parameters to packed ones
//   prepare(tile, ...)                   once a tile, before log_density: the points it reads
//   log_density(points, ...)             constant + log of the unnormalised density, n points
//   moments(tile, about, r, ...)         adds S0, S1, S2 about a point to the statistics
//   unpack(statistics, ...)              statistics to counts, first and second moments
#pragma once

#include <algorithm>

#include "simd.hpp"

namespace fastem {

// For structures whose components share nothing: a tile is read as it is.
template <class T> struct Unshared {
    static index shared_size(index) { return 0; }
    static index shared_precision_size(index) { return 0; }
    static void pack_shared(const double*, index, T*) {}
    static const T* prepare(const T* tile, const T*, index, index, T*) { return tile; }
};

// *out += sum of r.
template <class T> inline void add_total(const T* r, index n, double* out) {
    vec<T> total(T(0));
    for (index i = 0; i < n; i += lanes<T>) total += load(r + i);
    add_lane_sums(&total, 1, out);
}

// log_p = constant + half * |y - centre|^2.
template <class T>
inline void squared_distance(const T* points, const T* centre, T half, T constant, index D,
                             index n, T* log_p) {
    using V = vec<T>;
    constexpr index P = 4;
    for (index i = 0; i < n; i += P * lanes<T>) {
        V q[P];
        for (index v = 0; v < P; ++v) q[v] = V(T(0));
        for (index j = 0; j < D; ++j) {
            const V b(centre[j]);
            for (index v = 0; v < P; ++v) {
                const V y = load(points + j * n + i + v * lanes<T>) - b;
                q[v] = xsimd::fma(y, y, q[v]);
            }
        }
        for (index v = 0; v < P; ++v)
            store(log_p + i + v * lanes<T>, xsimd::fma(V(half), q[v], V(constant)));
    }
}

// Second moments that a structure without products between features keeps.
enum class Squares { none, pooled, by_feature };

// Statistics S0, S1 (D), S2 (0, 1 or D) in a row.
template <class T, Squares squares> struct AxisStatistics {
    static index second_size(index D) {
        return squares == Squares::none ? 0 : squares == Squares::pooled ? 1 : D;
    }
    static index statistics_size(index D) { return 1 + D + second_size(D); }

    static void moments(const T* tile, const T* mean, const T* r, index D, index n, T*,
                        double* statistics) {
        using V = vec<T>;
        add_total(r, n, statistics);
        V pooled(T(0));
        for (index j = 0; j < D; j += block) {
            const index B = std::min(block, D - j);
            V first[block], second[block];
            for (index f = 0; f < B; ++f) {
                V s1(T(0)), s2(T(0));
                const V m(mean[j + f]);
                const T* x = tile + (j + f) * n;
                for (index i = 0; i < n; i += lanes<T>) {
                    const V d = load(x + i) - m, rd = load(r + i) * d;
                    s1 += rd;
                    if constexpr (squares != Squares::none) s2 = xsimd::fma(rd, d, s2);
                }
                first[f] = s1;
                second[f] = s2;
                if constexpr (squares == Squares::pooled) pooled += s2;
            }
            add_lane_sums(first, B, statistics + 1 + j);
            if constexpr (squares == Squares::by_feature)
                add_lane_sums(second, B, statistics + 1 + D + j);
        }
        if constexpr (squares == Squares::pooled) add_lane_sums(&pooled, 1, statistics + 1 + D);
    }

    static void unpack(const double* statistics, index D, double* count, double* first,
                       double* second) {
        *count = statistics[0];
        std::copy(statistics + 1, statistics + 1 + D, first);
        std::copy(statistics + 1 + D, statistics + statistics_size(D), second);
    }
};

}  // namespace fastem
