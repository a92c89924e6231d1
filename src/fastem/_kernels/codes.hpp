// Exponential families whose statistics are all 0 or 1: log p_k(x) = constant_k + eta_k . t, as in
// linear.hpp, with a quarter of the additions and no multiplications ("the method of four
// Russians": Arlazarov, Dinic, Kronrod, Faradzhev, 1970).
//
// E: four columns of a row are one of 16 codes; the sums of eta for each of them stand in a table,
//    so that a row adds one entry for four columns.
// M: four rows of a column are one of 16 codes; the sums of the responsibilities of four rows, for
//    each of the 16, are made once and a column adds one entry for four rows.
//
// The lanes are components: a row is a few vectors wide. Components beyond the last, up to whole
// vectors, have the constant -inf and so no part in anything.
#pragma once

#include <cstdint>
#include <limits>

#include "exponential.hpp"
#include "pulse.hpp"

namespace fastem {

struct Codes {
    using V = vec<double>;
    using Code = std::uint8_t;
    static constexpr index L = lanes<double>;
    static constexpr index bits = 4, entries = 1 << bits;
    static constexpr index block_rows = 64, block_groups = block_rows / bits;
    // Components are handled so many vectors at a time, columns so many at a time: sums in registers
    static constexpr index chunk = 16 / L < 4 ? 16 / L : 4;
    static constexpr index together = 4 * point_vectors / chunk;

    static index n_blocks(index n_rows) { return (n_rows + block_rows - 1) / block_rows; }
    static index positions(index D) { return (D + bits - 1) / bits; }  // codes of a row
    static index vectors(index K) { return (K + L - 1) / L; }
    static index padded(index K) { return vectors(K) * L; }
    static index parameters_size(index D, index K) {
        return padded(K) * (1 + positions(D) * entries);
    }
    static index slot_size(index D, index K) { return padded(K) * (1 + D) + 1; }
    // log-densities, later responsibilities; sums of four rows; of each row its weight, the sum of
    // its parts and later their factor, and the largest log-density
    static index scratch_size(index K) {
        return block_rows * padded(K) + block_groups * entries * chunk * L + 3 * block_rows;
    }

    // Codes of blocks first..last-1: of each row (positions a row), and of each four rows (a code a
    // column). Rows beyond the last are 0. Whether all statistics are 0 or 1.
    static bool pack(const double* X, index row_stride, index column_stride, index n_rows, index D,
                     index first, index last, Code* of_rows, Code* of_columns, Pulse& pulse,
                     int thread) {
        Watch watch(pulse, thread);
        const index P = positions(D);
        bool good = true;
        for (index b = first; b < last && good; ++b) {
            Code* rows = of_rows + b * block_rows * P;
            std::fill(rows, rows + block_rows * P, Code(0));
            for (index g = 0; g < block_groups; ++g) {
                Code* columns = of_columns + (b * block_groups + g) * D;
                std::fill(columns, columns + D, Code(0));
                for (index i = 0; i < bits; ++i) {
                    const index at = g * bits + i, row = b * block_rows + at;
                    if (row >= n_rows) break;
                    const double* x = X + row * row_stride;
                    for (index j = 0; j < D; ++j) {
                        const double t = x[j * column_stride];
                        const unsigned bit = t != 0;
                        good &= t == static_cast<double>(bit);
                        columns[j] = static_cast<Code>(columns[j] | bit << i);
                        Code& code = rows[at * P + j / bits];
                        code = static_cast<Code>(code | bit << j % bits);
                    }
                }
            }
            if (watch.ends(4 * block_rows * D)) return good;
        }
        return good;
    }

    // constants, then for each chunk of components the table of each position.
    static void pack_parameters(const double* constants, const double* eta, index D, index K,
                                double* out, Pulse& pulse, int thread) {
        Watch watch(pulse, thread);
        const index P = positions(D), all = padded(K);
        std::fill(out, out + all, -std::numeric_limits<double>::infinity());
        std::copy(constants, constants + K, out);
        for (index v = 0; v < vectors(K); v += chunk) {
            const index width = std::min(chunk, vectors(K) - v) * L;
            double* table = out + all + v * L * P * entries;
            for (index p = 0; p < P; ++p, table += entries * width) {
                std::fill(table, table + width, 0.0);
                for (index code = 1; code < entries; ++code) {
                    index highest = bits - 1;
                    while (!(code >> highest & 1)) --highest;
                    const index rest = code ^ (index(1) << highest), j = p * bits + highest;
                    for (index c = 0; c < width; ++c) {
                        const index k = v * L + c;
                        table[code * width + c] =
                            table[rest * width + c] + (j < D && k < K ? eta[k * D + j] : 0.0);
                    }
                }
                if (watch.ends(2 * entries * width)) return;
            }
        }
    }

    // Statistics of blocks first..last-1: for each chunk of components the sums of r, and of r t
    // for each column; then the log-likelihood. weights may be null: all 1.
    static void accumulate(const Code* of_rows, const Code* of_columns, const double* weights,
                           index n_rows, index D, const double* parameters, index K, double cut,
                           index first, index last, double* scratch, double* statistics,
                           Pulse& pulse, int thread) {
        Watch watch(pulse, thread);
        const index P = positions(D), all = padded(K), n_vectors = vectors(K);
        double* r = scratch;
        double* sums_of_four = r + block_rows * all;
        double* w = sums_of_four + block_groups * entries * chunk * L;  // then factors, largest
        std::fill(statistics, statistics + slot_size(D, K), 0.0);
        std::fill(w, w + block_rows, 1.0);
        V total(0.0);
        for (index b = first; b < last; ++b) {
            const index row = b * block_rows, filled = std::min(block_rows, n_rows - row);
            if (weights) std::copy(weights + row, weights + row + filled, w);
            std::fill(w + filled, w + block_rows, 0.0);
            for (index v = 0; v < n_vectors; v += chunk)
                log_densities<chunk>(of_rows + row * P, P, parameters + v * L,
                                     parameters + all + v * L * P * entries, n_vectors - v,
                                     r + v * L, all);
            total += responsibilities(r, n_vectors, cut, w);
            for (index v = 0; v < n_vectors; v += chunk)
                moments<chunk>(r + v * L, all, w + block_rows,
                               of_columns + b * block_groups * D, D, n_vectors - v, sums_of_four,
                               statistics + v * L * (1 + D));
            if (watch.ends(block_rows * all * (P + 16))) return;
        }
        statistics[all * (1 + D)] = xsimd::reduce_add(total);
    }

    static void unpack(const double* statistics, index D, index K, double* counts, double* first) {
        for (index k = 0; k < K; ++k) {
            const index v = k / L / chunk * chunk, width = std::min(chunk, vectors(K) - v) * L;
            const double* own = statistics + v * L * (1 + D) + k % (chunk * L);
            counts[k] = own[0];
            for (index j = 0; j < D; ++j) first[k * D + j] = own[(1 + j) * width];
        }
    }

  private:
    // Of one block, for the C vectors of a chunk, or fewer where fewer are left.
    template <index C>
    static void log_densities(const Code* codes, index P, const double* constants,
                              const double* table, index left, double* out, index stride) {
        if constexpr (C > 1)
            if (left < C)
                return log_densities<C - 1>(codes, P, constants, table, left, out, stride);
        for (index i = 0; i < block_rows; ++i, codes += P, out += stride) {
            V sum[C];
            for (index c = 0; c < C; ++c) sum[c] = load(constants + c * L);
            const double* position = table;
            for (index p = 0; p < P; ++p, position += entries * C * L) {
                const double* entry = position + codes[p] * C * L;
                for (index c = 0; c < C; ++c) sum[c] += load(entry + c * L);
            }
            for (index c = 0; c < C; ++c) store(out + c * L, sum[c]);
        }
    }

    // Log-densities to responsibilities but for a factor of each row, which is left behind the
    // weights; returns the log-likelihood in any lanes.
    static V responsibilities(double* r, index n_vectors, double cut, double* w) {
        double* scale = w + block_rows;
        double* top = scale + block_rows;
        switch (n_vectors) {
            case 1: parts<1>(r, 1, cut, top, scale); break;
            case 2: parts<2>(r, 2, cut, top, scale); break;
            case 3: parts<3>(r, 3, cut, top, scale); break;
            case 4: parts<4>(r, 4, cut, top, scale); break;
            default: parts<0>(r, n_vectors, cut, top, scale);
        }
        V total(0.0);
        for (index i = 0; i < block_rows; i += L) {
            const V weight = load(w + i), sum = load(scale + i);
            // 0 * -inf and 0 / 0 are nothing to add
            const auto counts = weight > V(0.0);
            store(scale + i, xsimd::select(counts && sum > V(0.0), weight / sum, V(0.0)));
            total += xsimd::select(counts, weight * (load(top + i) + xsimd::log(sum)), V(0.0));
        }
        return total;
    }

    // exp(log_p - largest), the largest, and the sums; n = 0: a number of vectors known only now
    template <index n>
    static void parts(double* r, index n_vectors, double cut, double* top, double* sums) {
        const index m = n > 0 ? n : n_vectors;
        for (index at = 0; at < block_rows; at += L) {
            V sum[L];
            for (index i = 0; i < L; ++i) {
                double* row = r + (at + i) * m * L;
                V most = load(row);
                for (index v = 1; v < m; ++v) most = xsimd::max(most, load(row + v * L));
                const double largest = xsimd::reduce_max(most);
                top[at + i] = largest;
                sum[i] = V(0.0);
                for (index v = 0; v < m; ++v) {
                    const V difference = load(row + v * L) - V(largest);
                    const V part = xsimd::select(difference > V(-cut),
                                                 exp_half<double>(difference + difference), V(0.0));
                    store(row + v * L, part);
                    sum[i] += part;
                }
            }
            std::fill(sums + at, sums + at + L, 0.0);
            add_lane_sums(sum, L, sums + at);
        }
    }

    // The sums of any of two.
    static FASTEM_INLINE void pairs(const V& one, const V& other, V (&sums)[4]) {
        sums[0] = V(0.0);
        sums[1] = one;
        sums[2] = other;
        sums[3] = one + other;
    }

    template <index C>
    static void moments(const double* r, index stride, const double* scale, const Code* codes,
                        index D, index left, double* sums_of_four, double* statistics) {
        if constexpr (C > 1)
            if (left < C)
                return moments<C - 1>(r, stride, scale, codes, D, left, sums_of_four, statistics);
        V count[C];
        for (index c = 0; c < C; ++c) count[c] = load(statistics + c * L);
        for (index g = 0; g < block_groups; ++g)
            for (index c = 0; c < C; ++c) {
                double* out = sums_of_four + g * entries * C * L + c * L;
                const double* four = r + g * bits * stride + c * L;
                const double* factor = scale + g * bits;
                V low[4], high[4];  // of the first two rows, and of the others
                pairs(load(four) * V(factor[0]), load(four + stride) * V(factor[1]), low);
                pairs(load(four + 2 * stride) * V(factor[2]),
                      load(four + 3 * stride) * V(factor[3]), high);
                for (index code = 0; code < entries; ++code)
                    store(out + code * C * L, code % 4 == 0   ? high[code / 4]
                                              : code / 4 == 0 ? low[code % 4]
                                                              : high[code / 4] + low[code % 4]);
                count[c] += high[3] + low[3];
            }
        for (index c = 0; c < C; ++c) store(statistics + c * L, count[c]);
        index j = 0;
        for (; j + together <= D; j += together)
            columns<C, together>(sums_of_four, codes + j, D, statistics + (1 + j) * C * L);
        for (; j < D; ++j) columns<C, 1>(sums_of_four, codes + j, D, statistics + (1 + j) * C * L);
    }

    template <index C, index F>
    static void columns(const double* sums_of_four, const Code* codes, index D, double* out) {
        V sum[F][C];
        for (index f = 0; f < F; ++f)
            for (index c = 0; c < C; ++c) sum[f][c] = load(out + (f * C + c) * L);
        for (index g = 0; g < block_groups; ++g, codes += D, sums_of_four += entries * C * L)
            for (index f = 0; f < F; ++f) {
                const double* entry = sums_of_four + codes[f] * C * L;
                for (index c = 0; c < C; ++c) sum[f][c] += load(entry + c * L);
            }
        for (index f = 0; f < F; ++f)
            for (index c = 0; c < C; ++c) store(out + (f * C + c) * L, sum[f][c]);
    }
};

}  // namespace fastem
