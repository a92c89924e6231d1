// Range and moments of each column of a matrix, in one pass over memory.
//
// Rows are taken in blocks that stay in the first cache: the second time through a block, for the
// deviations from its mean, costs next to nothing. Blocks are merged by the formula of Chan, Golub,
// LeVeque (1983), American Statistician 37, 242-247, so that a large offset costs no digits.
//
// A value that is NaN or infinite shows in the mean, which is then NaN or infinite too, whatever
// its weight. A finite mean is of finite values. The mean of the logarithms is NaN where a value is
// below the normal numbers, for which xsimd's logarithm is wrong.
#pragma once

#include <algorithm>
#include <limits>

#include "pulse.hpp"

namespace fastem {

// Rows of a block. The sizes alone decide, and not how the matrix lies in memory.
inline constexpr index longest_column_block = 1024;
inline constexpr index column_block(index n_columns) { return n_columns == 1 ? 1024 : 256; }

// Mean, and sum of the weighted squares of the deviations from it. The mean is the sum of two
// numbers: what rounding one to a double would lose can be more than its way to the next mean.
struct Deviations {
    double mean = 0, rest = 0, squares = 0;

    // What others have, with their weight as a share of all.
    void add(const Deviations& other, double weight, double share) {
        if (weight == 0) {  // nothing so far, unless it is NaN
            mean = other.mean + 0 * mean;
            rest = other.rest;
            squares = other.squares;
            return;
        }
        const double way = (other.mean - mean) + (other.rest - rest);
        const double step = share * way, sum = mean + step, back = sum - mean;
        rest += (mean - (sum - back)) + (step - back);  // Knuth's sum without error
        mean = sum;
        squares += other.squares + weight * share * way * way;
    }
};

// What is known of the values of a column.
struct Column {
    static constexpr index size = 10;  // in doubles, as it is stored

    double weight = 0;  // sum of the weights
    double low = std::numeric_limits<double>::infinity();
    double high = -std::numeric_limits<double>::infinity();
    double whole = 1;  // 0 where a value is no integer
    Deviations values, logs;

    Column() = default;
    explicit Column(const double* p)
        : weight(p[0]),
          low(p[1]),
          high(p[2]),
          whole(p[3]),
          values{p[4], p[5], p[6]},
          logs{p[7], p[8], p[9]} {}

    void store(double* p) const {
        const double all[size] = {weight,      low,         high,           whole,
                                  values.mean, values.rest, values.squares, logs.mean,
                                  logs.rest,   logs.squares};
        std::copy_n(all, size, p);
    }

    void add(const Column& other) {
        const double sum = weight + other.weight;
        const double share = sum > 0 ? other.weight / sum : 0;
        values.add(other.values, weight, share);
        logs.add(other.logs, weight, share);
        weight = sum;
        low = std::min(low, other.low);
        high = std::max(high, other.high);
        whole = std::min(whole, other.whole);
    }
};

inline constexpr index column_step = point_vectors * lanes<double>;

inline double sum_of(const vec<double>* v) {
    vec<double> sum = v[0];
    for (index u = 1; u < point_vectors; ++u) sum += v[u];
    return xsimd::reduce_add(sum);
}

// Sums of w (x - about) and of w (x - about)^2, n a multiple of column_step, make the deviations
// about the mean: the first, which is rounding alone, corrects both.
template <bool weighted>
Deviations deviations(const double* x, const double* w, index n, double about, double weight) {
    using V = vec<double>;
    V first[point_vectors], second[point_vectors];
    for (index u = 0; u < point_vectors; ++u) first[u] = second[u] = V(0.0);
    const V centre(about);
    for (index i = 0; i < n; i += column_step)
        for (index u = 0; u < point_vectors; ++u) {
            const index at = i + u * lanes<double>;
            const V away = V::load_unaligned(x + at) - centre;
            const V part = weighted ? away * V::load_unaligned(w + at) : away;
            first[u] += part;
            second[u] = xsimd::fma(part, away, second[u]);
        }
    const double way = sum_of(first);
    if (!(weight > 0)) return {about, way, 0};
    // NaN, which a comparison with 0 would hide, is kept
    const double squares = sum_of(second) - way * (way / weight);
    return {about, way / weight, squares < 0 ? 0 : squares};
}

// One block of one column, n a multiple of column_step. Unless weighted, each value counts 1.
// log_x: SCRATCH, n numbers, if `logs`.
template <bool weighted, bool logs>
Column block_column(const double* x, const double* w, double* log_x, index n) {
    using V = vec<double>;
    V sum[point_vectors], low[point_vectors], high[point_vectors], weight[point_vectors],
        log_sum[point_vectors];
    for (index u = 0; u < point_vectors; ++u) {
        sum[u] = weight[u] = log_sum[u] = V(0.0);
        low[u] = high[u] = V(x[0]);
    }
    xsimd::batch_bool<double> whole(true);
    for (index i = 0; i < n; i += column_step)
        for (index u = 0; u < point_vectors; ++u) {
            const index at = i + u * lanes<double>;
            const V value = V::load_unaligned(x + at);
            low[u] = xsimd::min(low[u], value);
            high[u] = xsimd::max(high[u], value);
            whole = whole & (xsimd::floor(value) == value);
            V wv(1.0);
            if constexpr (weighted) {
                wv = V::load_unaligned(w + at);
                weight[u] += wv;
                sum[u] = xsimd::fma(wv, value, sum[u]);
            } else {
                sum[u] += value;
            }
            if constexpr (logs) {
                const V log_value = xsimd::log(value);
                log_value.store_unaligned(log_x + at);
                log_sum[u] = weighted ? xsimd::fma(wv, log_value, log_sum[u])
                                      : log_sum[u] + log_value;
            }
        }
    for (index u = 1; u < point_vectors; ++u) {
        low[0] = xsimd::min(low[0], low[u]);
        high[0] = xsimd::max(high[0], high[u]);
    }
    Column found;
    found.low = xsimd::reduce_min(low[0]);
    found.high = xsimd::reduce_max(high[0]);
    found.whole = xsimd::all(whole) ? 1 : 0;
    found.weight = weighted ? sum_of(weight) : static_cast<double>(n);
    const double share = found.weight > 0 ? 1 / found.weight : 1;
    found.values = deviations<weighted>(x, w, n, sum_of(sum) * share, found.weight);
    if constexpr (logs) {
        found.logs = deviations<weighted>(log_x, w, n, sum_of(log_sum) * share, found.weight);
        if (!(found.low >= std::numeric_limits<double>::min()))
            found.logs.mean = std::numeric_limits<double>::quiet_NaN();
    }
    return found;
}

// Rows first <= i < last, which begin with a block, to a column each: out (n_columns, Column::size).
template <bool weighted, bool logs>
void column_run(const double* X, index row_stride, index column_stride, index n_columns,
                const double* weights, index first, index last, double* out, Pulse& pulse,
                int thread) {
    constexpr index together = 8;  // columns that share the cache lines of rows
    constexpr index room = 2048;   // of 1 column, or of 8
    static_assert(room >= together * column_block(2) && room >= longest_column_block);
    alignas(64) double gathered[room], log_x[longest_column_block], w_filled[longest_column_block];
    Watch watch(pulse, thread);
    const index size = column_block(n_columns);
    for (index j = 0; j < n_columns; ++j) Column().store(out + j * Column::size);
    for (index row = first; row < last; row += size) {
        const index n = std::min(size, last - row);
        const index n_padded = (n + column_step - 1) / column_step * column_step;
        const double* w = weighted ? weights + row : nullptr;
        if (n < n_padded) {  // what fills it up repeats the first value, and counts 0
            for (index i = 0; i < n_padded; ++i)
                w_filled[i] = i < n ? (weighted ? w[i] : 1.0) : 0.0;
            w = w_filled;
        }
        for (index begin = 0; begin < n_columns; begin += together) {
            const index n_together = std::min(together, n_columns - begin);
            const double* from = X + row * row_stride + begin * column_stride;
            const bool in_place = row_stride == 1 && n == n_padded;
            if (!in_place)
                for (index i = 0; i < n_padded; ++i)
                    for (index j = 0; j < n_together; ++j)
                        gathered[j * size + i] =
                            from[(i < n ? i * row_stride : 0) + j * column_stride];
            for (index j = 0; j < n_together; ++j) {
                const double* x = in_place ? from + j * column_stride : gathered + j * size;
                double* into = out + (begin + j) * Column::size;
                Column sum(into);
                sum.add(weighted || n < n_padded
                            ? block_column<true, logs>(x, w, log_x, n_padded)
                            : block_column<false, logs>(x, w, log_x, n_padded));
                sum.store(into);
            }
            if (watch.ends((logs ? 16 : 2) * n * n_together)) return;
        }
    }
}

// The same; weights: null for none. logs: whether the moments of log x are wanted.
inline void column_moments(const double* X, index row_stride, index column_stride, index n_columns,
                           const double* weights, bool logs, index first, index last, double* out,
                           Pulse& pulse, int thread) {
    constexpr decltype(&column_run<true, true>) runs[2][2] = {
        {column_run<false, false>, column_run<false, true>},
        {column_run<true, false>, column_run<true, true>}};
    runs[weights != nullptr][logs](X, row_stride, column_stride, n_columns, weights, first, last,
                                   out, pulse, thread);
}

// Runs (n_runs, n_columns, Column::size): run 0 becomes all, pairwise in index order.
inline void merge_columns(double* runs, index n_runs, index n_columns) {
    const index run = n_columns * Column::size;
    for (index stride = 1; stride < n_runs; stride *= 2)
        for (index s = 0; s + stride < n_runs; s += 2 * stride)
            for (index e = 0; e < run; e += Column::size) {
                Column sum(runs + s * run + e);
                sum.add(Column(runs + (s + stride) * run + e));
                sum.store(runs + s * run + e);
            }
}

// Values on either side of a bracket: their weights, and how far they are from it in all.
struct Sides {
    double below = 0, away_below = 0, above = 0, away_above = 0;
};

// Divides n values into those below the least and above the greatest value of a bracket, and those
// in it, which are listed. w: null for weights of 1. inside, w_inside: OUT, room for n each; the
// latter only if there are weights. Returns how many are listed.
inline index divide(const double* x, const double* w, index n, double low, double high,
                    double* inside, double* w_inside, Sides& sides, Pulse& pulse, int thread) {
    using V = vec<double>;
    constexpr index L = lanes<double>;
    Watch watch(pulse, thread);
    const V lowest(low), highest(high), zero(0.0);
    V below = zero, away_below = zero, above = zero, away_above = zero, weight(1.0);
    index n_inside = 0, i = 0;
    const auto list = [&](index place) {  // no branch, which could not be foreseen
        inside[n_inside] = x[place];
        if (w) w_inside[n_inside] = w[place];
        n_inside += (x[place] >= low) & (x[place] <= high);
    };
    for (; i + L <= n; i += L) {
        const V value = V::load_unaligned(x + i);
        if (w) weight = V::load_unaligned(w + i);
        const auto under = value < lowest, over = value > highest;
        below += xsimd::select(under, weight, zero);
        above += xsimd::select(over, weight, zero);
        away_below += xsimd::select(under, weight * (lowest - value), zero);
        away_above += xsimd::select(over, weight * (value - highest), zero);
        if (!xsimd::all(under | over))
            for (index l = 0; l < L; ++l) list(i + l);
        if (watch.ends(L)) return 0;
    }
    sides = {xsimd::reduce_add(below), xsimd::reduce_add(away_below), xsimd::reduce_add(above),
             xsimd::reduce_add(away_above)};
    for (; i < n; ++i) {
        const double u = w ? w[i] : 1.0;
        if (x[i] < low) {
            sides.below += u;
            sides.away_below += u * (low - x[i]);
        } else if (x[i] > high) {
            sides.above += u;
            sides.away_above += u * (x[i] - high);
        }
        list(i);
    }
    return n_inside;
}

}  // namespace fastem
