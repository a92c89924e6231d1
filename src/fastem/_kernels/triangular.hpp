// y = U x - b for a lower-triangular U and a tile of points: the heart of the full and tied
// E-steps.
//
// U is packed in blocks of 4 rows, each block column by column (4 entries a column) and only as far
// as its diagonal reaches: D(D+1)/2 multiply-adds a point, half of what a square product costs.
#pragma once

#include <algorithm>
#include <type_traits>

#include "simd.hpp"

namespace fastem {

inline constexpr index triangle_size(index D) {
    index size = 0;
    for (index b = 0; b < blocks(D); ++b) size += block * std::min(block * (b + 1), D);
    return size;
}

// precision_cholesky (D, D): upper triangular, precision = P P^T, so that U = P^T.
template <class T> void pack_triangle(const double* precision_cholesky, index D, T* out) {
    for (index b = 0; b < blocks(D); ++b)
        for (index j = 0; j < std::min(block * (b + 1), D); ++j)
            for (index r = 0; r < block; ++r) {
                const index i = block * b + r;
                *out++ = i < D && j <= i ? static_cast<T>(precision_cholesky[j * D + i]) : T(0);
            }
}

// out[i] = sum_j U[i, j] x[j] in double, zero beyond D.
template <class T>
void triangle_times(const double* precision_cholesky, const double* x, index D, T sign, T* out) {
    for (index i = 0; i < block * blocks(D); ++i) {
        double sum = 0;
        if (i < D)
            for (index j = 0; j <= i; ++j) sum += precision_cholesky[j * D + i] * x[j];
        out[i] = sign * static_cast<T>(sum);
    }
}

// y = start + U x for block b of 4 rows and the point_vectors vectors of points that begin at
// `points`; n is the distance between features, U stands at the block. Returns where the next is.
template <class T>
FASTEM_INLINE const T* triangular_block(const T* U, const T* start, const T* points, index D,
                                        index n, index b, vec<T> (&y)[block][point_vectors]) {
    using V = vec<T>;
    constexpr index P = point_vectors;
    for (index r = 0; r < block; ++r)
        for (index v = 0; v < P; ++v) y[r][v] = V(start[block * b + r]);
    const T* x = points;
    for (index j = 0; j < block * b; ++j, U += block, x += n) {
        V xs[P];
        for (index v = 0; v < P; ++v) xs[v] = load(x + v * lanes<T>);
        for (index r = 0; r < block; ++r) {
            const V u(U[r]);
            for (index v = 0; v < P; ++v) y[r][v] = xsimd::fma(u, xs[v], y[r][v]);
        }
    }
    // the diagonal block: row r has r + 1 columns
    const index columns = std::min(block, D - block * b);
    const auto column = [&](auto c) {
        if (c() >= columns) return;
        V xs[P];
        for (index v = 0; v < P; ++v) xs[v] = load(x + v * lanes<T>);
        for (index r = c(); r < block; ++r) {
            const V u(U[r]);
            for (index v = 0; v < P; ++v) y[r][v] = xsimd::fma(u, xs[v], y[r][v]);
        }
        U += block;
        x += n;
    };
    column(std::integral_constant<index, 0>{});
    column(std::integral_constant<index, 1>{});
    column(std::integral_constant<index, 2>{});
    column(std::integral_constant<index, 3>{});
    return U;
}

// Calls sink(first_row, y) for each block of 4 rows of y = start + U x. Ends where the sink returns
// false, and returns whether it went to the end.
template <class T, class Sink>
inline bool triangular_rows(const T* U, const T* start, const T* points, index D, index n,
                            Sink&& sink) {
    for (index b = 0; b < blocks(D); ++b) {
        vec<T> y[block][point_vectors];
        U = triangular_block(U, start, points, D, n, b, y);
        if (!sink(block * b, y)) return b + 1 == blocks(D);
    }
    return true;
}

}  // namespace fastem
