// Full covariance: y = U_k (x - mu_k), U_k the inverse Cholesky factor.
//
// E: the accumulators of y start at -U mu, so centring costs nothing, and errors are of first order
//    in range / sd. (The same form written out in x_i x_j would lose twice the digits.)
// M: moments about the previous mean, S0 = sum r, S1 = sum r d, S2 = sum r d d^T with d = x - mu:
//    no cancellation once the means settle. With e = sqrt(r) d one array serves both sides.
#pragma once

#include <type_traits>

#include "structure.hpp"
#include "triangular.hpp"

namespace fastem {

inline constexpr index panel_bytes = 24 << 10;  // half of a first-level cache, or more
inline constexpr index small_dimension = 6, large_dimension = 256;  // of SmallFull, LargeFull

// Calls f with D as a compile-time constant when it is small; false when it is not.
template <class F> inline bool with_small_dimension(index D, F&& f) {
    switch (D) {
        case 1: f(std::integral_constant<index, 1>{}); return true;
        case 2: f(std::integral_constant<index, 2>{}); return true;
        case 3: f(std::integral_constant<index, 3>{}); return true;
        case 4: f(std::integral_constant<index, 4>{}); return true;
        case 5: f(std::integral_constant<index, 5>{}); return true;
        case 6: f(std::integral_constant<index, 6>{}); return true;
        default: return false;
    }
}

// Parameters and statistics, however they are computed.
template <class T> struct FullLayout : Unshared<T>, TriangularFactor<T> {
    static constexpr index vectors = point_vectors;
    static constexpr bool wants_log_p = false;
    // Parameters of a component: start = -U mu (padded), U in blocks.
    static index parameter_size(index D) { return block * blocks(D) + triangle_size(D); }
    // Statistics of a component: S0, S1 (padded), S2 in 4 x 4 blocks of the lower triangle.
    static index statistics_size(index D) {
        const index B = blocks(D);
        return 1 + block * B + block * block * (B * (B + 1) / 2);
    }
    static index second_size(index D) { return D * D; }
    static index precision_size(index D) { return D * D; }

    static void pack_component(const double* mean, const double* precision_cholesky, index D,
                               T* out) {
        triangle_times(precision_cholesky, mean, D, T(-1), out);
        pack_triangle(precision_cholesky, D, out + block * blocks(D));
    }

    static void unpack(const double* statistics, index D, double* count, double* first,
                       double* second) {
        *count = statistics[0];
        for (index i = 0; i < D; ++i) first[i] = statistics[1 + i];
        const double* blocks_of_second = statistics + 1 + block * blocks(D);
        for (index i = 0; i < D; ++i)
            for (index j = 0; j <= i; ++j) {
                const index a = i / block, b = j / block;
                const double s = blocks_of_second[block * block * (a * (a + 1) / 2 + b) +
                                                  block * (i % block) + j % block];
                second[i * D + j] = second[j * D + i] = s;
            }
    }
};

template <class T> struct Full : FullLayout<T> {
    using V = vec<T>;
    using FullLayout<T>::vectors;
    static constexpr index group = narrow_group<T>;
    static constexpr bool wants_roots = true;  // root d on both sides of d d^T: one array
    static index scratch_size(index D, index n) { return block * blocks(D) * (n + apart); }

    static bool distances(const T* points, const T* parameters, index D, index n,
                          const V (&stop)[vectors], bool may_stop, V (&q)[vectors]) {
        const T* start = parameters;
        const T* U = start + block * blocks(D);
        for (index v = 0; v < vectors; ++v) q[v] = V(T(0));
        return triangular_rows(U, start, points, D, n,
                               [&](index, const V(&y)[block][point_vectors]) {
                                   for (index r = 0; r < block; ++r)
                                       for (index v = 0; v < vectors; ++v)
                                           q[v] = xsimd::fma(y[r][v], y[r][v], q[v]);
                                   return !may_stop || !all_above<T>(q, stop);
                               });
    }

    // Adds the moments of members of one tile about a point to a component's statistics.
    static void moments(const T* tile, const T* mean, const T*, const Members<T, group> members,
                        index D, index n, T* scratch, double* statistics) {
        moments(tile, mean, members, D, n, scratch, statistics);
    }

  protected:
    template <index any_group>
    static void moments(const T* tile, const T* mean, const Members<T, any_group> members, index D,
                        index n, T* scratch, double* statistics) {
        const index B = blocks(D), size = members.size(), stride = size + apart;
        T* e = scratch;  // root (x - mu), feature by feature, members only
        V total(T(0));
        members.each_vector([&](index at, index) {
            const V root = load(members.r + at);
            total = xsimd::fma(root, root, total);
        });
        add_lane_sums(&total, 1, statistics);
        const T* roots = members.r;
        for (index b = 0; b < B; ++b) {
            const index columns = std::min(block, D - block * b);
            const T* x = tile + block * b * n;
            T* eb = e + block * b * stride;
            V first[block], centre[block];
            for (index f = 0; f < block; ++f) {
                first[f] = V(T(0));
                centre[f] = V(f < columns ? mean[block * b + f] : T(0));
            }
            const auto weigh = [&](index f, const V& root, index at, index to) {
                const V d = root * (load(x + f * n + at) - centre[f]);
                store(eb + f * stride + to, d);
                first[f] = xsimd::fma(root, d, first[f]);
            };
            if (columns == block) {
                members.each_vector([&](index at, index to) {
                    const V root = load(roots + at);
                    for (index f = 0; f < block; ++f) weigh(f, root, at, to);
                });
            } else {
                members.each_vector([&](index at, index to) {
                    const V root = load(roots + at);
                    for (index f = 0; f < columns; ++f) weigh(f, root, at, to);
                });
                std::fill(eb + columns * stride, eb + block * stride, T(0));
            }
            add_lane_sums(first, block, statistics + 1 + block * b);
        }
        // panels of columns that stay in the nearest cache while all rows go by
        double* second = statistics + 1 + block * B;
        const index panel = std::max(index(1), panel_bytes / (block * stride * index(sizeof(T))));
        for (index begin = 0; begin < B; begin += panel) {
            const index end = std::min(B, begin + panel);
            for (index a = begin; a < B; ++a) {
                const T* left = e + block * a * stride;
                double* out = second + block * block * (a * (a + 1) / 2);
                for (index b = begin; b < std::min(a, end); ++b)
                    outer_block(left, e + block * b * stride, size, stride,
                                out + block * block * b);
                if (a < end) diagonal_block(left, size, stride, out + block * block * a);
            }
        }
    }

  private:
    // Between features: rows at a power of two from each other would meet in few places of a cache.
    static constexpr index apart = 128 / static_cast<index>(sizeof(T));

    // out (4, 4) += sum over points of left_f right_g, point_vectors columns at a time.
    static void outer_block(const T* left, const T* right, index n, index stride, double* out) {
        constexpr index C = point_vectors;
        for (index g = 0; g < block; g += C) {
            V sum[block * C];
            for (auto& s : sum) s = V(T(0));
            for (index i = 0; i < n; i += lanes<T>) {
                V x[C];
                for (index c = 0; c < C; ++c) x[c] = load(right + (g + c) * stride + i);
                for (index f = 0; f < block; ++f) {
                    const V y = load(left + f * stride + i);
                    for (index c = 0; c < C; ++c)
                        sum[f * C + c] = xsimd::fma(y, x[c], sum[f * C + c]);
                }
            }
            if (C == block) {
                add_lane_sums(sum, block * C, out);
            } else {
                for (index f = 0; f < block; ++f)
                    add_lane_sums(sum + f * C, C, out + f * block + g);
            }
        }
    }

    // The same of one block with itself: the lower triangle.
    static void diagonal_block(const T* e, index n, index stride, double* out) {
        constexpr index size = block * (block + 1) / 2;
        V sum[size];
        for (auto& s : sum) s = V(T(0));
        for (index i = 0; i < n; i += lanes<T>) {
            V x[block];
            for (index f = 0; f < block; ++f) x[f] = load(e + f * stride + i);
            for (index f = 0, p = 0; f < block; ++f)
                for (index g = 0; g <= f; ++g, ++p) sum[p] = xsimd::fma(x[f], x[g], sum[p]);
        }
        double sums[size] = {};
        add_lane_sums(sum, size, sums);
        for (index f = 0, p = 0; f < block; ++f)
            for (index g = 0; g <= f; ++g, ++p) out[block * f + g] += sums[p];
    }
};

// Many features: U fits in no cache near by, so that it serves several register tiles of points at
// once.
template <class T> struct LargeFull : Full<T> {
    using V = vec<T>;
    static constexpr index passes = 4, vectors = passes * point_vectors;
    static constexpr index group = vectors * lanes<T>;

    static bool distances(const T* points, const T* parameters, index D, index n,
                          const V (&stop)[vectors], bool may_stop, V (&q)[vectors]) {
        const T* start = parameters;
        const T* U = start + block * blocks(D);
        for (index v = 0; v < vectors; ++v) q[v] = V(T(0));
        for (index b = 0; b < blocks(D); ++b) {
            const T* next = U;
            for (index i = 0; i < vectors; i += point_vectors) {
                V y[block][point_vectors];
                next = triangular_block(U, start, points + i * lanes<T>, D, n, b, y);
                for (index r = 0; r < block; ++r)
                    for (index v = 0; v < point_vectors; ++v)
                        q[i + v] = xsimd::fma(y[r][v], y[r][v], q[i + v]);
            }
            U = next;
            if (may_stop && all_above<T>(q, stop)) return b + 1 == blocks(D);
        }
        return true;
    }

    static void moments(const T* tile, const T* mean, const T*, const Members<T, group> members,
                        index D, index n, T* scratch, double* statistics) {
        Full<T>::moments(tile, mean, members, D, n, scratch, statistics);
    }
};

// Few features: everything is unrolled and stays in registers.
template <class T> struct SmallFull : FullLayout<T> {
    using V = vec<T>;
    using FullLayout<T>::vectors;
    static constexpr index group = wide_group<T>;
    static constexpr bool wants_roots = false;
    static index scratch_size(index, index) { return 0; }

    static bool distances(const T* points, const T* parameters, index D, index n,
                          const V (&)[vectors], bool, V (&q)[vectors]) {
        const T* U = parameters + block * blocks(D);
        with_small_dimension(
            D, [&](auto d) { distances_unrolled<d()>(points, parameters, U, n, q); });
        return true;
    }

    static void moments(const T* tile, const T* mean, const T*, const Members<T, group> members,
                        index D, index n, T*, double* statistics) {
        with_small_dimension(
            D, [&](auto d) { moments_unrolled<d()>(tile, mean, members, n, statistics); });
    }

  private:
    // Position of U[i, j] in the packed triangle.
    static constexpr index packed_index(index D, index i, index j) {
        index offset = 0;
        for (index b = 0; b < i / block; ++b) offset += block * std::min(block * (b + 1), D);
        return offset + block * j + i % block;
    }

    template <index D>
    static void distances_unrolled(const T* points, const T* start, const T* U, index n,
                                   V (&q)[vectors]) {
        for (index v = 0; v < vectors; ++v) q[v] = V(T(0));
        V x[D][vectors];
        for (index f = 0; f < D; ++f) {
            for (index v = 0; v < vectors; ++v) x[f][v] = load(points + f * n + v * lanes<T>);
            V y[vectors];
            for (index v = 0; v < vectors; ++v) y[v] = V(start[f]);
            for (index j = 0; j <= f; ++j) {
                const V u(U[packed_index(D, f, j)]);
                for (index v = 0; v < vectors; ++v) y[v] = xsimd::fma(u, x[j][v], y[v]);
            }
            for (index v = 0; v < vectors; ++v) q[v] = xsimd::fma(y[v], y[v], q[v]);
        }
    }

    template <index D>
    static void moments_unrolled(const T* tile, const T* mean, const Members<T, group> members,
                                 index n, double* statistics) {
        constexpr index size = 1 + D + D * (D + 1) / 2;
        V sum[size];
        for (auto& s : sum) s = V(T(0));
        const T* responsibilities = members.r;
        members.each_vector([&](index at, index) {
            const V r = load(responsibilities + at);
            sum[0] += r;
            V d[D];
            index p = 1 + D;
            for (index f = 0; f < D; ++f) {
                d[f] = load(tile + f * n + at) - V(mean[f]);
                const V rd = r * d[f];
                sum[1 + f] += rd;
                for (index g = 0; g <= f; ++g, ++p) sum[p] = xsimd::fma(rd, d[g], sum[p]);
            }
        });
        double sums[size] = {};
        add_lane_sums(sum, size, sums);
        for (index f = 0; f <= D; ++f) statistics[f] += sums[f];
        double* second = statistics + 1 + block * blocks(D);
        for (index f = 0, p = 1 + D; f < D; ++f)
            for (index g = 0; g <= f; ++g, ++p) {
                const index a = f / block, b = g / block;
                second[block * block * (a * (a + 1) / 2 + b) + block * (f % block) + g % block] +=
                    sums[p];
            }
    }
};

}  // namespace fastem
