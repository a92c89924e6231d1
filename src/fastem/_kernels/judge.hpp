// How well clusters suit a normal mixture: their log-likelihood with the labels known. Per row and
// but for constants it is sum_k p_k (log p_k - log |S_k| / 2) with the share p_k and the covariance
// S_k of each cluster. Two of them are averaged: S_k in full, drawn to its diagonal with the weight
// of D + 1 rows so that few rows in a plane gain nothing; and the diagonal alone, for either
// structure may be fitted.
#pragma once

#include "lloyd.hpp"

namespace fastem::lloyd {

// Added to variances of standardised features: a cluster of equal rows is not infinitely good.
inline constexpr double judged_ridge = 1e-6;

inline constexpr index judged_rows = 4;  // that are added to a scatter together

struct Judge {
    double *work, *centres, *scale, *mean, *rows, *scatter;
    index* ends;   // (K + 1,)
    index* order;  // (n,)
    int* labels;   // (n,)

    static index size(index n, index D, index K) {
        return Work::size(0, D, K, 1) + whole_lines(K * D) + 2 * whole_lines(D) +
               whole_lines(judged_rows * D) + whole_lines(D * D) + whole_lines(K + 1) +
               2 * whole_lines(n);
    }
    Judge(double* arena, index n, index D, index K) {
        static_assert(sizeof(index) <= sizeof(double));
        const auto take = [&arena](index count) {
            double* here = arena;
            arena += whole_lines(count);
            return here;
        };
        work = take(Work::size(0, D, K, 1));
        centres = take(K * D);
        scale = take(D);
        mean = take(D);
        rows = take(judged_rows * D);
        scatter = take(D * D);
        ends = reinterpret_cast<index*>(take(K + 1));
        order = reinterpret_cast<index*>(take(n));
        labels = reinterpret_cast<int*>(take(n));
    }
};

// log |S| of a positive definite matrix, of which the lower triangle is overwritten.
inline double log_determinant(double* S, index D, Watch& watch) noexcept {
    double sum = 0;
    for (index i = 0; i < D; ++i) {
        double* row = S + i * D;
        for (index j = 0; j < i; ++j)
            row[j] = (row[j] - dot(row, S + j * D, j)) / S[j * D + j];
        // the ridge keeps it above 0 but for rounding
        const double pivot = std::max(row[i] - dot(row, row, i), 1e-3 * judged_ridge);
        sum += std::log(pivot);
        row[i] = std::sqrt(pivot);
        if (watch.ends(i * i / 2)) return 0;
    }
    return sum;
}

// The lower triangle of the mean of d d^T over the rows of a cluster, d about their mean.
inline void covariance(const Points& points, const Judge& judge, const index* members,
                       index m, Watch& watch) noexcept {
    const index D = points.D;
    double* __restrict S = judge.scatter;
    double* __restrict mean = judge.mean;
    std::fill(mean, mean + D, 0.0);
    std::fill(S, S + D * D, 0.0);
    for (index i = 0; i < m; ++i) {
        const double* row = points.rows + members[i] * D;
        for (index j = 0; j < D; ++j) mean[j] += row[j];
    }
    for (index j = 0; j < D; ++j) mean[j] /= static_cast<double>(m);
    double* __restrict a = judge.rows;
    double *__restrict b = a + D, *__restrict c = b + D, *__restrict d = c + D;
    for (index begin = 0; begin < m; begin += judged_rows) {
        for (index r = 0; r < judged_rows; ++r) {
            const double* row = points.rows + members[std::min(begin + r, m - 1)] * D;
            for (index j = 0; j < D; ++j)
                a[r * D + j] = begin + r < m ? (row[j] - mean[j]) * judge.scale[j] : 0.0;
        }
        for (index i = 0; i < D; ++i) {
            double* __restrict out = S + i * D;
            for (index j = 0; j <= i; ++j)
                out[j] += a[i] * a[j] + b[i] * b[j] + c[i] * c[j] + d[i] * d[j];
        }
        if (watch.ends(judged_rows * D * (D + 1) / 2)) return;
    }
    for (index i = 0; i < D * D; ++i) S[i] /= static_cast<double>(m);
}

inline double normal_fit(const Points& points, const Judge& judge, index K,
                         Watch& watch) noexcept {
    const index n = points.n, D = points.D;
    const double all = static_cast<double>(n);
    std::fill(judge.scale, judge.scale + D, 0.0);
    for (index i = 0; i < n; ++i)
        for (index j = 0; j < D; ++j)
            judge.scale[j] += points.rows[i * D + j] * points.rows[i * D + j];
    for (index j = 0; j < D; ++j)
        judge.scale[j] = judge.scale[j] > 0 ? 1.0 / std::sqrt(judge.scale[j] / all) : 1.0;
    // rows of one label side by side
    std::fill(judge.ends, judge.ends + K + 1, 0);
    for (index i = 0; i < n; ++i) ++judge.ends[judge.labels[i] + 1];
    for (index k = 0; k < K; ++k) judge.ends[k + 1] += judge.ends[k];
    for (index i = 0; i < n; ++i) judge.order[judge.ends[judge.labels[i]]++] = i;
    double total = 0;
    for (index k = 0, begin = 0; k < K; ++k) {
        const index m = judge.ends[k] - begin;  // by now the end of k
        if (m > 0) {
            covariance(points, judge, judge.order + begin, m, watch);
            if (watch.over()) return 0;
            const double share = static_cast<double>(m) / static_cast<double>(m + D + 1);
            double* S = judge.scatter;
            double halves = 0;
            for (index i = 0; i < D; ++i) {
                const double variance = S[i * D + i] + judged_ridge;
                for (index j = 0; j < i; ++j) S[i * D + j] *= share;
                S[i * D + i] = variance;
                halves += std::log(variance);
            }
            halves = 0.25 * (halves + log_determinant(S, D, watch));
            total += static_cast<double>(m) * (std::log(static_cast<double>(m) / all) - halves);
        }
        begin = judge.ends[k];
    }
    return total / all;
}

// How well some centres, as the points had them before their shift, divide the points.
inline double judge_centres(const Points& points, const double* centres, index K,
                            double* arena, Pulse& pulse, int thread) noexcept {
    Watch watch(pulse, thread);
    const index D = points.D;
    const Judge judge(arena, points.n, D, K);
    const Work work(judge.work, 0, D, K, 1);
    for (index k = 0; k < K; ++k)
        for (index j = 0; j < D; ++j)
            judge.centres[k * D + j] = centres[k * D + j] - points.shift[j];
    pack_for_step(work, judge.centres);
    alignas(64) double best[group], label[group];
    for (index g = 0; g < points.n_groups(); ++g) {
        nearest_in_group(points.groups + g * group * D, work.packed, work.halves, K, D, best,
                         label);
        const index begin = g * group, filled = std::min(points.n - begin, group);
        for (index i = 0; i < filled; ++i) judge.labels[begin + i] = static_cast<int>(label[i]);
        if (watch.ends(group * K * D)) return 0;
    }
    return normal_fit(points, judge, K, watch);
}

}  // namespace fastem::lloyd
