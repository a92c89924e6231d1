// Log-densities of a group of points to responsibilities and log-likelihoods.
#pragma once

#include <limits>

#include "exponential.hpp"

namespace fastem {

// Components less likely than the best one of a point by this factor's logarithm have no part in
// it: that changes no sum above 1e-26 (float32: 1e-13), pairs without a part are skipped, and exp
// makes no subnormals, with which some processors are many times slower.
template <class T> inline constexpr T fit_cut = sizeof(T) == 8 ? T(60) : T(30);
// When responsibilities are the answer, keep every normal number.
template <class T> inline constexpr T score_cut = sizeof(T) == 8 ? T(708) : T(87);
// When the best component is the answer, those at its heels, for the sake of rounding.
template <class T> inline constexpr T label_cut = T(1);

// Log-densities log(weight_k) + log p_k(x_i) of one group: row k at log_p + k * stride.
template <class T> struct GroupDensities {
    T* log_p;
    index stride;
    const vec<T>* largest;  // of each point, over all components
    const int* components;  // those that can matter, ascending
    index n_components;
};

// The log-sum-exp about the largest: rows k at r + k * stride (which may be log_p) become
//     r_ik = w_i exp(log_p_ik) / sum_k' exp(log_p_ik'),
// or, with `roots`, the square roots of it, which some moments want. weights may be null: all 1.
// log_likelihood[i] = log sum_k exp(log_p_ik) where it is asked for; adds w_i log_likelihood[i] to
// `total`. matters(k) is called for each component that has a part in one of the points.
template <index P, class T, class Matters>
inline void normalise(const GroupDensities<T>& densities, T cut, const T* weights, bool roots,
                      T* r, T* log_likelihood, vec<T>& total, Matters&& matters) {
    using V = vec<T>;
    V sum[P];
    for (index v = 0; v < P; ++v) sum[v] = V(T(0));
    for (index a = 0; a < densities.n_components; ++a) {
        const index row = densities.components[a] * densities.stride;
        const T* log_p = densities.log_p + row;
        T* h = r + row;
        V most(T(0));
        for (index v = 0; v < P; ++v) {
            const V difference = load(log_p + v * lanes<T>) - densities.largest[v];
            const V root =
                xsimd::select(difference > V(-cut), exp_half<T>(difference), V(T(0)));
            store(h + v * lanes<T>, root);
            sum[v] = xsimd::fma(root, root, sum[v]);
            most = xsimd::max(most, root);
        }
        if (xsimd::any(most > V(T(0)))) matters(densities.components[a]);
    }
    V scale[P];
    if (!weights && !log_likelihood) {
        // the sums are from 1 to the number of components: one logarithm of their product does for
        // four vectors (2^32 components in float would be too many)
        V product(T(1));
        for (index v = 0; v < P; ++v) {
            scale[v] = V(T(1)) / sum[v];
            product *= sum[v];
            total += densities.largest[v];
            if (v % 4 == 3 || v + 1 == P) {
                total += xsimd::log(product);
                product = V(T(1));
            }
        }
    } else {
        for (index v = 0; v < P; ++v) {
            // padding may be too far from everything for a density: 0 / 0 must not reach the sums
            const V w = weights ? load(weights + v * lanes<T>) : V(T(1));
            const auto counts = w > V(T(0));
            scale[v] = xsimd::select(counts, w / sum[v], V(T(0)));
            const V ll = densities.largest[v] + xsimd::log(sum[v]);
            if (log_likelihood) store(log_likelihood + v * lanes<T>, ll);
            // 0 * -inf would be NaN: rows without weight, and the padding, add nothing
            total += xsimd::select(counts, w * ll, V(T(0)));
        }
    }
    if (roots)
        for (index v = 0; v < P; ++v) scale[v] = xsimd::sqrt(scale[v]);
    for (index a = 0; a < densities.n_components; ++a) {
        T* row = r + densities.components[a] * densities.stride;
        for (index v = 0; v < P; ++v) {
            const V h = load(row + v * lanes<T>);
            store(row + v * lanes<T>, roots ? h * scale[v] : h * h * scale[v]);
        }
    }
}

// labels[i] = the first component with the largest log_p; -1 where every one is `lowest`, or less,
// or NaN.
template <index P, class T>
inline void most_likely(const GroupDensities<T>& densities, T lowest, T* labels) {
    using V = vec<T>;
    for (index v = 0; v < P; ++v) {
        V largest(lowest), label(T(-1));
        for (index a = 0; a < densities.n_components; ++a) {
            const index k = densities.components[a];
            const V p = load(densities.log_p + k * densities.stride + v * lanes<T>);
            const auto better = p > largest;
            largest = xsimd::select(better, p, largest);
            label = xsimd::select(better, V(static_cast<T>(k)), label);
        }
        store(labels + v * lanes<T>, label);
    }
}

// What tells how alike two points are to a mixture: the best component, how many have a part, and
// the second best.
template <class T, index P> struct Kinship {
    alignas(64) T best[P * lanes<T>], second[P * lanes<T>], n_parts[P * lanes<T>];

    void find(const GroupDensities<T>& densities, T cut) {
        using V = vec<T>;
        const V lowest(-std::numeric_limits<T>::infinity());
        for (index v = 0; v < P; ++v) {
            V first = lowest, next = lowest, a_first(T(0)), a_next(T(0)), parts(T(0));
            const V bar = densities.largest[v] - V(cut);
            for (index a = 0; a < densities.n_components; ++a) {
                const index k = densities.components[a];
                const V p = load(densities.log_p + k * densities.stride + v * lanes<T>);
                const V label(static_cast<T>(k));
                const auto better = p > first, runner_up = p > next;
                next = xsimd::select(better, first, xsimd::select(runner_up, p, next));
                a_next = xsimd::select(better, a_first, xsimd::select(runner_up, label, a_next));
                first = xsimd::select(better, p, first);
                a_first = xsimd::select(better, label, a_first);
                parts += xsimd::select(p > bar, V(T(1)), V(T(0)));
            }
            store(best + v * lanes<T>, a_first);
            store(second + v * lanes<T>, a_next);
            store(n_parts + v * lanes<T>, parts);
        }
    }
};

}  // namespace fastem
