// Tied covariance: one matrix for all components, so that a tile is whitened once (D^2 / 2 a point,
// not a pair) and a pair costs D. The kernel keeps no second moments: those of the whole data are
// known before the first iteration.
#pragma once

#include "structure.hpp"
#include "triangular.hpp"

namespace fastem {

template <class T> struct Tied : AxisStatistics<T, Squares::none>, TriangularFactor<T> {
    using V = vec<T>;
    using AxisStatistics<T, Squares::none>::vectors;
    // Shared: zeros to start the product from, then U in blocks.
    static index shared_size(index D) { return block * blocks(D) + triangle_size(D); }
    static index parameter_size(index D) { return block * blocks(D); }  // U mean
    static index shared_precision_size(index D) { return D * D; }
    static index precision_size(index) { return 0; }
    static index scratch_size(index D, index n) { return block * blocks(D) * n; }

    static void pack_shared(const double* precision_cholesky, index D, T* out) {
        std::fill(out, out + block * blocks(D), T(0));
        pack_triangle(precision_cholesky, D, out + block * blocks(D));
    }

    static void pack_component(const double* mean, const double* precision_cholesky, index D,
                               T* out) {
        triangle_times(precision_cholesky, mean, D, T(1), out);
    }

    // y = U x for the whole tile.
    static const T* prepare(const T* tile, const T* shared, index D, index n, T* scratch) {
        constexpr index P = point_vectors;
        const T *zeros = shared, *U = shared + block * blocks(D);
        for (index i = 0; i < n; i += P * lanes<T>)
            triangular_rows(U, zeros, tile + i, D, n, [&](index row, const V(&y)[block][P]) {
                for (index r = 0; r < block; ++r)
                    for (index v = 0; v < P; ++v)
                        store(scratch + (row + r) * n + i + v * lanes<T>, y[r][v]);
                return true;
            });
        return scratch;
    }

    static bool distances(const T* points, const T* centre, index D, index n,
                          const V (&stop)[vectors], bool may_stop, V (&q)[vectors]) {
        return sum_of_squares<T>(D, stop, may_stop, q, [&](index j, index v) {
            return load(points + j * n + v * lanes<T>) - V(centre[j]);
        });
    }
};

}  // namespace fastem
