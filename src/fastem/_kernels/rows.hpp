// Rows of the data as tiles: n points a tile, feature-major, so that points lie in SIMD lanes.
#pragma once

#include <algorithm>
#include <limits>

#include "pulse.hpp"

namespace fastem {

// Copies up to n rows of X from place `row` of the order on (null: as they are) into a tile, less
// the shift; points beyond the end are 0. The subtraction is done in double, so float32 data with a
// large offset keep their digits.
template <class T>
void load_tile(const T* X, index row_stride, index column_stride, index n_rows, index n_features,
               const int* order, const double* shift, index row, index n, T* tile) {
    const index filled = std::min(n, n_rows - row);
    constexpr index ahead = 24;
    const index n_bytes = column_stride == 1 ? n_features * static_cast<index>(sizeof(T)) : 0;
    for (index i = 0; i < filled; ++i) {
        if (order && row + i + ahead < n_rows)
            prefetch(X + order[row + i + ahead] * row_stride, n_bytes);
        const T* x = X + (order ? order[row + i] : row + i) * row_stride;
        for (index j = 0; j < n_features; ++j)
            tile[j * n + i] = static_cast<T>(static_cast<double>(x[j * column_stride]) - shift[j]);
    }
    for (index j = 0; j < n_features; ++j)
        std::fill(tile + j * n + filled, tile + (j + 1) * n, T(0));
}

// Tiles first..last-1 one behind the other, from row 0 of X on.
template <class T>
void load_tiles(const T* X, index row_stride, index column_stride, index n_rows, index n_features,
                const int* order, const double* shift, index first, index last, index n, T* tiles,
                Pulse& pulse, int thread) {
    Watch watch(pulse, thread);
    for (index t = first; t < last; ++t) {
        load_tile(X, row_stride, column_stride, n_rows, n_features, order, shift, t * n, n,
                  tiles + t * n_features * n);
        if (watch.ends(4 * n * n_features)) return;
    }
}

// A view of the data: either tiles packed once a fit, or rows of X loaded tile by tile.
template <class T> struct Rows {
    const T* packed;  // (n_tiles, n_features, n), or null: read X
    const T* X;
    index row_stride, column_stride;
    const int* order;             // (n_rows,), or null: which row of X stands where
    const double* shift;
    const double* sample_weight;  // (n_rows,), in that order, or null: all 1
    index n_rows, n_features, n;

    const T* tile(index t, T* buffer) const {
        if (packed) return packed + t * n_features * n;
        load_tile(X, row_stride, column_stride, n_rows, n_features, order, shift, t * n, n, buffer);
        return buffer;
    }

    index row(index place) const { return order ? order[place] : place; }

    // Weights of the points of tile t; 0 marks the padding of the last tile.
    void tile_weights(index t, T* out) const {
        const index row = t * n, filled = std::min(n, n_rows - row);
        if (sample_weight)
            for (index i = 0; i < filled; ++i) out[i] = static_cast<T>(sample_weight[row + i]);
        else
            std::fill(out, out + filled, T(1));
        std::fill(out + filled, out + n, T(0));
    }
};

// low[j] and high[j]: the range of column j over rows first <= i < last.
template <class T>
void column_range(const T* X, index row_stride, index column_stride, index n_features, index first,
                  index last, double* low, double* high, Pulse& pulse, int thread) {
    Watch watch(pulse, thread);
    std::fill(low, low + n_features, std::numeric_limits<double>::infinity());
    std::fill(high, high + n_features, -std::numeric_limits<double>::infinity());
    for (index i = first; i < last; ++i) {
        const T* x = X + i * row_stride;
        for (index j = 0; j < n_features; ++j) {
            const double v = static_cast<double>(x[j * column_stride]);
            low[j] = std::min(low[j], v);
            high[j] = std::max(high[j], v);
        }
        if (watch.ends(n_features)) return;
    }
}

}  // namespace fastem
