// Exponential families: log p_k(x) = constant_k + eta_k . t. The points of a tile are statistics t
// of the rows, less the shift; what stands for the mean is the natural parameter eta, and there are
// no factors. See Barndorff-Nielsen, Information and Exponential Families (1978), chapter 8; the
// base measure is the same for all components, and left to the caller.
//
// E: -2 eta . t stands for |y|^2. It may have either sign and does not grow with every feature, so
//    that no sum ends early.
// M: S0 = sum r and S1 = sum r t; the maximum likelihood wants no more.
#pragma once

#include "structure.hpp"

namespace fastem {

template <class T> struct Linear : Unshared<T> {
    using V = vec<T>;
    static constexpr index vectors = 2 * point_vectors, group = wide_group<T>;
    static constexpr bool wants_roots = false, wants_log_p = false;
    // a density has no upper end: nothing tells that a log-density is too low for a label
    static constexpr T lowest = -std::numeric_limits<T>::infinity();
    static constexpr bool about_means = false;

    static index parameter_size(index D) { return D; }  // -2 eta
    static index precision_size(index) { return 0; }
    static index scratch_size(index, index) { return 0; }
    static index second_size(index) { return 0; }
    static index statistics_size(index D) { return 1 + D; }

    static void pack_component(const double* eta, const double*, index D, T* out) {
        for (index j = 0; j < D; ++j) out[j] = static_cast<T>(-2 * eta[j]);
    }

    static bool distances(const T* points, const T* parameters, index D, index n,
                          const V (&)[vectors], bool, V (&q)[vectors]) {
        V odd[vectors];  // two sums for every vector, so that additions need not wait
        for (index v = 0; v < vectors; ++v) q[v] = odd[v] = V(T(0));
        index j = 0;
        for (; j + 1 < D; j += 2) {
            const T* x = points + j * n;
            const V a(parameters[j]), b(parameters[j + 1]);
            for (index v = 0; v < vectors; ++v) {
                q[v] = xsimd::fma(a, load(x + v * lanes<T>), q[v]);
                odd[v] = xsimd::fma(b, load(x + n + v * lanes<T>), odd[v]);
            }
        }
        if (j < D)
            for (index v = 0; v < vectors; ++v)
                q[v] = xsimd::fma(V(parameters[j]), load(points + j * n + v * lanes<T>), q[v]);
        for (index v = 0; v < vectors; ++v) q[v] += odd[v];
        return true;
    }

    static void moments(const T* tile, const T* about, const T*, const Members<T, group> members,
                        index D, index n, T*, double* statistics) {
        V total(T(0));
        members.each_vector([&](index at, index) { total += load(members.r + at); });
        double count = 0;
        add_lane_sums(&total, 1, &count);
        statistics[0] += count;
        double* first = statistics + 1;
        index j = 0;
        for (; j + together <= D; j += together)
            features<together>(tile + j * n, members, n, first + j);
        for (; j + 2 <= D; j += 2) features<2>(tile + j * n, members, n, first + j);
        for (; j < D; ++j) features<1>(tile + j * n, members, n, first + j);
        // in one step a tile, and most often 0: no number of the tile is read for it
        for (j = 0; j < D; ++j) first[j] -= count * static_cast<double>(about[j]);
    }

    static void unpack(const double* statistics, index D, double* count, double* first, double*) {
        *count = statistics[0];
        std::copy(statistics + 1, statistics + 1 + D, first);
    }

    // |y'| >= keep |y| - loss is no way to say it: see `rise`.
    static double keep(const double*, const double*, index, double*, Watch&) { return 1; }
    static double loss(const double*, const double*, const double*, index, double*) { return 0; }
    // (eta' - eta) . t at most, over t in the box of the columns' ranges.
    static double rise(const double* old_eta, const double* new_eta, const double* low,
                       const double* high, index D) {
        double sum = 0, size = 0;
        for (index j = 0; j < D; ++j) {
            const double step = new_eta[j] - old_eta[j];
            const double most = step == 0 ? 0 : std::max(step * low[j], step * high[j]);
            sum += most;
            size += std::fabs(most);
        }
        return sum + 1e-6 * size;
    }

  private:
    static constexpr index together = 2 * point_vectors;

    // First moments of `count` features about 0.
    template <index count>
    static void features(const T* x, const Members<T, group> members, index n, double* first) {
        V sums[count];
        for (index f = 0; f < count; ++f) sums[f] = V(T(0));
        const T* responsibilities = members.r;
        members.each_vector([&](index at, index) {
            const V r = load(responsibilities + at);
            for (index f = 0; f < count; ++f)
                sums[f] = xsimd::fma(r, load(x + f * n + at), sums[f]);
        });
        add_lane_sums(sums, count, first);
    }
};

}  // namespace fastem
