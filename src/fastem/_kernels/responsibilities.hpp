// Log-densities of a tile, all components, to responsibilities and log-likelihoods.
#pragma once

#include <limits>

#include "simd.hpp"

namespace fastem {

// A responsibility below exp(cut) is an exact 0 while fitting: it changes no sum above 1e-26
// (float32: 1e-13), components without a point are skipped, and exp makes no subnormals, with which
// some processors are many times slower.
template <class T> inline constexpr T fit_cut = sizeof(T) == 8 ? T(-60) : T(-30);
// When responsibilities are the answer, keep every normal number.
template <class T> inline constexpr T score_cut = sizeof(T) == 8 ? T(-708) : T(-87);

// log_p (n_components, n): on entry log(weight_k) + log p_k(x_i); on exit
//     r_ik = w_i exp(log_p_ik) / sum_k' exp(log_p_ik'),
// by the log-sum-exp about the largest. log_likelihood[i] = log sum_k exp(log_p_ik); returns the
// sum of w_i log_likelihood[i].
template <class T>
double normalise(index n_components, index n, T cut, const T* weights, T* log_p,
                 T* log_likelihood) {
    using V = vec<T>;
    V total(T(0));
    for (index i = 0; i < n; i += lanes<T>) {
        V largest = load(log_p + i);
        for (index k = 1; k < n_components; ++k)
            largest = xsimd::max(largest, load(log_p + k * n + i));
        V sum(T(0));
        for (index k = 0; k < n_components; ++k) {
            const V difference = load(log_p + k * n + i) - largest;
            const V e = xsimd::select(difference > V(cut), xsimd::exp(difference), V(T(0)));
            store(log_p + k * n + i, e);
            sum += e;
        }
        // padding may be too far from everything for a density: 0 / 0 must not reach the sums
        const V w = load(weights + i), scale = xsimd::select(w > V(T(0)), w / sum, V(T(0)));
        for (index k = 0; k < n_components; ++k)
            store(log_p + k * n + i, load(log_p + k * n + i) * scale);
        const V ll = largest + xsimd::log(sum);
        store(log_likelihood + i, ll);
        // 0 * -inf would be NaN: rows without weight, and the padding, add nothing
        total += xsimd::select(w > V(T(0)), w * ll, V(T(0)));
    }
    double sum = 0;
    add_lane_sums(&total, 1, &sum);
    return sum;
}

// labels[i] = the first component with the largest log_p; -1 where every density is 0 or NaN.
template <class T>
void most_likely(index n_components, index n, const T* log_p, T* labels) {
    using V = vec<T>;
    for (index i = 0; i < n; i += lanes<T>) {
        V largest(-std::numeric_limits<T>::infinity()), label(T(-1));
        for (index k = 0; k < n_components; ++k) {
            const V p = load(log_p + k * n + i);
            const auto better = p > largest;
            largest = xsimd::select(better, p, largest);
            label = xsimd::select(better, V(static_cast<T>(k)), label);
        }
        store(labels + i, label);
    }
}

}  // namespace fastem
