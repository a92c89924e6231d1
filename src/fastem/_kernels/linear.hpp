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
        sums<1>(points, {parameters}, D, n, {&q[0]});
        return true;
    }
    // Of two components: a number of the tile is read once for both.
    static void distances(const T* points, const T* one, const T* other, index D, index n,
                          V (&q)[2][vectors]) {
        sums<2>(points, {one, other}, D, n, {&q[0][0], &q[1][0]});
    }

    // About 0, of all components with a part in the tile: those of few features at a time, which
    // stay in the first-level cache, and of two components where both have the same groups.
    template <class MembersOf>
    static void moments(const T* tile, const int* touched, index n_touched, MembersOf&& members_of,
                        index D, index n, double* statistics, Watch& watch) {
        const index lead = D - (D - 1) / together * together;
        for (index j = 0; j < D; j += j == 0 ? lead : together)
            for (index a = 0; a < n_touched;) {
                const index k = touched[a];
                const Members<T, group> own = members_of(k);
                double* out = statistics + k * statistics_size(D);
                index n_components = 1;
                if (a + 1 < n_touched) {
                    const index l = touched[a + 1];
                    const Members<T, group> others = members_of(l);
                    if (own.n_groups == others.n_groups &&
                        std::equal(own.groups, own.groups + own.n_groups, others.groups)) {
                        n_components = 2;
                        features<2>(tile, {own.r, others.r}, own, j, lead, n,
                                    {out, statistics + l * statistics_size(D)});
                    }
                }
                if (n_components == 1) features<1>(tile, {own.r}, own, j, lead, n, {out});
                a += n_components;
                if (watch.ends(n_components * own.size() * together)) return;
            }
    }
    // Moments about 0 to moments about a point, once a slot: most often that point is 0.
    static void move(const T* about, index D, double* statistics) {
        for (index j = 0; j < D; ++j)
            statistics[1 + j] -= statistics[0] * static_cast<double>(about[j]);
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

    static constexpr bool pairs = true;

  private:
    static constexpr index together = 2 * point_vectors;  // features whose moments are taken at once

    template <index C>
    static FASTEM_INLINE void sums(const T* points, const T* const (&parameters)[C], index D,
                                   index n, V* const (&q)[C]) {
        V sum[C][vectors];
        for (index c = 0; c < C; ++c)
            for (index v = 0; v < vectors; ++v) sum[c][v] = V(T(0));
        for (index j = 0; j < D; ++j) {
            V scale[C];
            for (index c = 0; c < C; ++c) scale[c] = V(parameters[c][j]);
            for (index v = 0; v < vectors; ++v) {
                const V x = load_once(points + j * n + v * lanes<T>);
                for (index c = 0; c < C; ++c) sum[c][v] = xsimd::fma(scale[c], x, sum[c][v]);
            }
        }
        for (index c = 0; c < C; ++c)
            for (index v = 0; v < vectors; ++v) q[c][v] = sum[c][v];
    }

    // Moments of `together` features from j on; with j = 0 of the first `lead`, as many as leave whole
    // blocks of the others, and the sum of the responsibilities.
    template <index C>
    static void features(const T* tile, const T* const (&r)[C], const Members<T, group> members,
                         index j, index lead, index n, double* const (&statistics)[C]) {
        if (j > 0)
            add_features<C, together, false>(tile + j * n, r, members, n, 1 + j, statistics);
        else
            leading<C, 1>(tile, r, members, lead, n, statistics);
    }
    template <index C, index count>
    static void leading(const T* tile, const T* const (&r)[C], const Members<T, group> members,
                        index lead, index n, double* const (&statistics)[C]) {
        if (lead == count)
            add_features<C, count, true>(tile, r, members, n, 0, statistics);
        else if constexpr (count < together)
            leading<C, count + 1>(tile, r, members, lead, n, statistics);
    }
    template <index C, index count, bool with_total>
    static void add_features(const T* x, const T* const (&r)[C], const Members<T, group> members, index n,
                      index at_statistics, double* const (&statistics)[C]) {
        constexpr index first = with_total ? 1 : 0;
        V sum[C][first + count];
        const T* own[C];
        for (index c = 0; c < C; ++c) {
            own[c] = r[c];
            for (index f = 0; f < first + count; ++f) sum[c][f] = V(T(0));
        }
        members.each_vector([&](index at, index) {
            V part[C];
            for (index c = 0; c < C; ++c) {
                part[c] = load(own[c] + at);
                if constexpr (with_total) sum[c][0] += part[c];
            }
            for (index f = 0; f < count; ++f) {
                const V t = load_once(x + f * n + at);
                for (index c = 0; c < C; ++c)
                    sum[c][first + f] = xsimd::fma(part[c], t, sum[c][first + f]);
            }
        });
        for (index c = 0; c < C; ++c)
            add_lane_sums(sum[c], first + count, statistics[c] + at_statistics);
    }
};

}  // namespace fastem
