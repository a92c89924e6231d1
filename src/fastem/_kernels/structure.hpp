// What a covariance structure is to the kernels. A structure is a struct template over the type of
// the lanes, with static members only, and one line in structures.hpp. Its density is
//     log p_k(x) = constant_k - |y_k|^2 / 2,    y_k = U_k (x - mu_k),
// and for a tile of n points and D features it has:
//
//   shared_size(D), parameter_size(D)    packed parameters: once, and for each component (the point
//                                        that its moments are about is kept beside them)
//   shared_precision_size(D), precision_size(D)
//                                        doubles in the precisions_cholesky given, likewise
//   statistics_size(D), second_size(D)   a component's statistics in a slot; its second moments
//   scratch_size(D, n)                   scratch of prepare and of moments (never at one time
//                                        beyond this size in all)
//   pack_shared, pack_component          double parameters to packed ones
//   prepare(tile, ...)                   once a tile, before distances: the points it reads
//   vectors, distances(points, ...)      |y|^2 of so many vectors of points; false where it ended
//                                        early, all sums being above `stop` already
//   group                                points that are decided on together
//   wants_roots                          whether moments takes roots of the responsibilities
//   wants_log_p                          whether moments makes use of the log-densities
//   moments(tile, about, own, members)   adds S0, S1, S2 about a point to the statistics
//   keep(...), loss(...)                 how near |y| can have come since other parameters
//   rise(...)                            how much log p can have risen besides (but for constants)
//   about_means                          whether moments are about the means unless told otherwise
//   lowest                               log-densities below have lost the digits that tell
//                                        components apart
//   unpack(statistics, ...)              statistics to counts, first and second moments
//   pairs                                whether two components are worked at together: then there is
//                                        a `distances` of two, `moments` takes all components with a
//                                        part in a tile, about 0, and `move` brings a slot's moments
//                                        about their point
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "pulse.hpp"

namespace fastem {

// The points of a tile that moments are taken of: whole groups. `r` holds the responsibilities of
// the points of the tile (or the square roots of them, where the structure wants roots); nothing
// where a group is no member.
template <class T, index group> struct Members {
    const T* r;
    const int* groups;
    index n_groups;
    // Of a structure that wants it: constant - |y|^2 / 2 of the points; null where it is not known,
    // or where the moments are not about the mean.
    const T* log_p;
    T constant;

    index size() const { return n_groups * group; }
    // f(where in the tile, how many points were before) for each vector of points. By value, so
    // that f's stores cannot seem to change what is here.
    template <class F> void each_vector(F&& f) const {
        const int* ids = groups;
        const index count = n_groups;
        for (index a = 0; a < count; ++a) {
            const index at = ids[a] * group, before = a * group;
            for (index v = 0; v < group / lanes<T>; ++v)
                f(at + v * lanes<T>, before + v * lanes<T>);
        }
    }
};

// Contraction. For parameters that changed from U, mu to U', mu': |y'| >= keep |y| - loss for any
// point, since y' = A y - U' (mu' - mu) with A = U' U^-1, whose least singular value is keep or
// more.
// Factors are given as in precisions_cholesky: upper triangular P = U^T, row-major. All loops run
// along its rows. scratch: D * D doubles, and D.

// |U (to - from)|.
inline double whitened_step(const double* P, const double* from, const double* to, index D,
                            double* y) {
    std::fill(y, y + D, 0.0);
    for (index j = 0; j < D; ++j) {
        const double step = to[j] - from[j];
        for (index i = j; i < D; ++i) y[i] += P[j * D + i] * step;
    }
    double sum = 0;
    for (index i = 0; i < D; ++i) sum += y[i] * y[i];
    return std::sqrt(sum);
}

// The least singular value of U' U^-1 is 1 / |U U'^-1| or more, and with X = (U U'^-1)^T, the
// solution of P' X = P, the norm is at most 1 + |X - I|, |X - I|^2 at most the square of the
// Frobenius norm, or the largest row sum times the largest column sum.
inline double least_stretch(const double* old_P, const double* new_P, index D, double* scratch,
                            Watch& watch) {
    double *X = scratch, *columns = scratch + D * D;
    std::fill(columns, columns + D, 0.0);
    double squares = 0, largest_row = 0;
    for (index j = D - 1; j >= 0; --j) {
        double* x = X + j * D;
        for (index i = j; i < D; ++i) x[i] = old_P[j * D + i];
        for (index l = j + 1; l < D; ++l) {
            const double p = new_P[j * D + l];
            const double* xl = X + l * D;
            for (index i = l; i < D; ++i) x[i] -= p * xl[i];
        }
        double row = 0;
        for (index i = j; i < D; ++i) {
            x[i] /= new_P[j * D + j];
            const double e = std::fabs(i == j ? x[i] - 1 : x[i]);
            row += e;
            squares += e * e;
            columns[i] += e;
        }
        largest_row = std::max(largest_row, row);
        if (watch.ends((D - j) * (D - j) / 2)) return 0;
    }
    double largest_column = 0;
    for (index i = 0; i < D; ++i) largest_column = std::max(largest_column, columns[i]);
    return 1 / (1 + std::sqrt(std::min(squares, largest_row * largest_column)));
}

// Below minus this a log-density that falls with a distance has lost the digits that tell components
// apart; no label is given.
template <class T> inline constexpr T far_log_density = sizeof(T) == 8 ? T(1e13) : T(1e5);

// For structures whose |y| is a distance from a mean.
template <class T> struct Centred {
    static constexpr bool about_means = true, pairs = false;
    static constexpr T lowest = -far_log_density<T>;
    static double rise(const double*, const double*, const double*, const double*, index) {
        return 0;
    }
};

// For structures whose factors are triangular matrices.
template <class T> struct TriangularFactor : Centred<T> {
    static double keep(const double* old_P, const double* new_P, index D, double* scratch,
                       Watch& watch) {
        return least_stretch(old_P, new_P, D, scratch, watch);
    }
    static double loss(const double* old_mean, const double* new_mean, const double* new_P, index D,
                       double* scratch) {
        return whitened_step(new_P, old_mean, new_mean, D, scratch);
    }
};

// For structures whose components share nothing: a tile is read as it is.
template <class T> struct Unshared {
    static index shared_size(index) { return 0; }
    static index shared_precision_size(index) { return 0; }
    static void pack_shared(const double*, index, T*) {}
    static const T* prepare(const T* tile, const T*, index, index, T*) { return tile; }
};

template <class T, index P> inline bool all_above(const vec<T> (&q)[P], const vec<T> (&stop)[P]) {
    auto above = q[0] > stop[0];
    for (index v = 1; v < P; ++v) above = above & (q[v] > stop[v]);
    return xsimd::all(above);
}

// Sums of squares over the features, `P` vectors of points at a time: q += y^2 with
// y = residual(feature, vector). May end early, where all sums are above `stop`; returns whether it
// went to the end.
template <class T, index P, class Residual>
inline bool sum_of_squares(index D, const vec<T> (&stop)[P], bool may_stop, vec<T> (&q)[P],
                           Residual&& residual) {
    using V = vec<T>;
    constexpr index step = 8;  // features between two looks
    V even[P], odd[P];         // two sums for every vector, so that additions need not wait
    for (index v = 0; v < P; ++v) even[v] = odd[v] = V(T(0));
    bool complete = true;
    for (index j = 0; j < D;) {
        const index last = may_stop ? std::min(D, j + step) : D;
        for (; j + 1 < last; j += 2)
            for (index v = 0; v < P; ++v) {
                const V y = residual(j, v), z = residual(j + 1, v);
                even[v] = xsimd::fma(y, y, even[v]);
                odd[v] = xsimd::fma(z, z, odd[v]);
            }
        for (; j < last; ++j)
            for (index v = 0; v < P; ++v) {
                const V y = residual(j, v);
                even[v] = xsimd::fma(y, y, even[v]);
            }
        if (j == D) break;
        for (index v = 0; v < P; ++v) q[v] = even[v] + odd[v];
        if (all_above<T>(q, stop)) {
            complete = false;
            break;
        }
    }
    for (index v = 0; v < P; ++v) q[v] = even[v] + odd[v];
    return complete;
}

// Second moments that a structure without products between features keeps.
enum class Squares { none, pooled, by_feature };

// Statistics S0, S1 (D), S2 (0, 1 or D) in a row.
template <class T, Squares squares> struct AxisStatistics {
    static constexpr index vectors = 2 * point_vectors, group = wide_group<T>;
    static constexpr bool wants_roots = false, wants_log_p = squares == Squares::pooled;

    static index second_size(index D) {
        return squares == Squares::none ? 0 : squares == Squares::pooled ? 1 : D;
    }
    static index statistics_size(index D) { return 1 + D + second_size(D); }

    static void moments(const T* tile, const T* mean, const T* own, const Members<T, group> members,
                        index D, index n, T*, double* statistics) {
        vec<T> total(T(0));
        members.each_vector([&](index at, index) { total += load(members.r + at); });
        double count = 0;
        add_lane_sums(&total, 1, &count);
        statistics[0] += count;
        if constexpr (squares == Squares::pooled) {
            if (members.log_p) {
                // sum r |d|^2 is known from the E-step
                vec<T> sum(T(0));
                members.each_vector([&](index at, index) {
                    const vec<T> r = load(members.r + at);
                    const vec<T> half = vec<T>(members.constant) - load(members.log_p + at);
                    // 0 times infinity would be NaN
                    sum += xsimd::select(r > vec<T>(T(0)), r * half, vec<T>(T(0)));
                });
                double halves = 0;
                add_lane_sums(&sum, 1, &halves);
                // unless it is so small that the constant has taken its digits: a component that
                // collapses onto a point
                constexpr double least = sizeof(T) == 8 ? 1e-6 : 1e-2;
                if (halves > least * count * (1 + std::fabs(members.constant))) {
                    statistics[1 + D] += 2 * halves * static_cast<double>(own[D + 1]);
                    each_feature<Squares::none>(tile, mean, members, D, n, statistics);
                    return;
                }
            }
        }
        each_feature<squares>(tile, mean, members, D, n, statistics);
    }

    static void unpack(const double* statistics, index D, double* count, double* first,
                       double* second) {
        *count = statistics[0];
        std::copy(statistics + 1, statistics + 1 + D, first);
        std::copy(statistics + 1 + D, statistics + statistics_size(D), second);
    }

  private:
    // Features whose moments are summed together, so that no sum waits for itself and the lanes of
    // many vectors are added up at once: as many as registers can hold.
    static constexpr index together = 2 * point_vectors;
    template <Squares which>
    static void each_feature(const T* tile, const T* mean, const Members<T, group> members,
                             index D, index n, double* statistics) {
        double pooled = 0, *first = statistics + 1;
        index j = 0;
        for (; j + together <= D; j += together)
            features<which, together>(tile + j * n, mean + j, members, n, first + j, D, pooled);
        for (; j + 2 <= D; j += 2)
            features<which, 2>(tile + j * n, mean + j, members, n, first + j, D, pooled);
        for (; j < D; ++j)
            features<which, 1>(tile + j * n, mean + j, members, n, first + j, D, pooled);
        if constexpr (which == Squares::pooled) first[D] += pooled;
    }

    // Moments of `count` features.
    template <Squares which, index count>
    static void features(const T* x, const T* mean, const Members<T, group> members, index n,
                         double* first, index D, double& pooled) {
        using V = vec<T>;
        V s1[count], s2[count];
        for (index f = 0; f < count; ++f) s1[f] = s2[f] = V(T(0));
        const T* responsibilities = members.r;
        members.each_vector([&](index at, index) {
            const V r = load(responsibilities + at);
            for (index f = 0; f < count; ++f) {
                const V d = load(x + f * n + at) - V(mean[f]);
                if constexpr (which == Squares::none) {
                    s1[f] = xsimd::fma(r, d, s1[f]);
                } else {
                    const V rd = r * d;
                    s1[f] += rd;
                    s2[f] = xsimd::fma(rd, d, s2[f]);
                }
            }
        });
        add_lane_sums(s1, count, first);
        if constexpr (which == Squares::by_feature) add_lane_sums(s2, count, first + D);
        if constexpr (which == Squares::pooled) {
            for (index f = 1; f < count; ++f) s2[0] += s2[f];
            add_lane_sums(s2, 1, &pooled);
        }
    }
};

}  // namespace fastem
