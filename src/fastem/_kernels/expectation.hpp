// E-step of one group of points: the log-densities of the components that can matter to it.
//
// A component whose log-density is below a point's largest by more than `cut` has no part in it. A
// pair of a group and a component is left out where that holds for all points of the group, which
// shows in one of three ways, the cheapest first:
//   1. A bound from before: at an earlier E-step |y| was at least so large in the group, and since
//      then the parameters moved so far at most (Contraction): not one number of x is read.
//   2. Early exit: |y|^2 only grows while it is summed over the features.
//   3. The density itself.
// Only 2 and 3 help the first time; they need rows in an order that has like beside like.
#pragma once

#include "responsibilities.hpp"

namespace fastem {

// What is known of a component in a group from before.
//   > 0  |y| was at least this large in all its points
//   0    nothing
//   < 0  it mattered: no use looking for an early exit
// and how it changed since: |y'| >= keep |y| - loss for each component. Without bounds kept from an
// earlier E-step, `nearest` is one row that goes from group to group, and keep = 0.
struct Bounds {
    float* nearest;          // (n_groups, K), or (1, K)
    const float *keep, *loss;  // (K,)
    bool by_group;

    float* row(index g, index K) const { return by_group ? nearest + g * K : nearest; }
};

template <class T, template <class> class S> struct Parameters;

template <class T, template <class> class S>
inline constexpr index group_vectors = S<T>::group / lanes<T>;

// Scratch of the E-step of a group.
template <class T> struct GroupScratch {
    T* bound;         // (K,)
    int* components;  // (K,)
};

// How far beyond the limit a sum of squares goes before it ends early: what is added makes a bound
// that holds for some iterations, instead of one that the next small step breaks.
inline constexpr double reserve = 0.25;

// Writes rows log_p + k * n for the components that can matter and lists them, ascending; `winner`
// is the component to begin with, and the one to begin with next time. Returns the number listed;
// n_computed counts those whose density was worked out to the end.
template <class T, template <class> class S>
inline index log_densities(const Parameters<T, S>& parameters, const T* points, index D, index K,
                           index n, T cut, const Bounds& bounds, float* nearest,
                           const GroupScratch<T>& scratch, index& winner, T* log_p,
                           vec<T> (&largest)[group_vectors<T, S>], index& n_computed) {
    using V = vec<T>;
    constexpr index P = S<T>::vectors, G = group_vectors<T, S>;
    static_assert(G % P == 0, "a group is a whole number of register tiles");
    for (index v = 0; v < G; ++v) largest[v] = V(-std::numeric_limits<T>::infinity());

    const auto matters = [&](index k, bool may_stop) {
        const T constant = parameters.constants[k];
        const T* own = parameters.component(k);
        T* out = log_p + k * n;
        bool hopeless = true, complete = true;
        V q[G], p[G];
        for (index i = 0; i < G; i += P) {
            V stop[P], sum[P];
            if (may_stop)
                for (index v = 0; v < P; ++v) {
                    // constant - q / 2 < largest - cut, and a reserve
                    const V limit = V(T(2)) * (V(constant + cut) - largest[i + v]);
                    stop[v] = xsimd::fma(V(T(reserve)), xsimd::abs(limit), limit);
                }
            const T* x = points + i * lanes<T>;
            // with a constant, so that the inner loop without looks has none
            if (may_stop ? S<T>::distances(x, own, D, n, stop, true, sum)
                         : S<T>::distances(x, own, D, n, stop, false, sum)) {
                auto below = xsimd::batch_bool<T>(true);
                for (index v = 0; v < P; ++v) {
                    p[i + v] = xsimd::fma(V(T(-0.5)), sum[v], V(constant));
                    below = below & (p[i + v] < largest[i + v] - V(cut));
                }
                hopeless = hopeless && xsimd::all(below);
            } else {
                complete = false;
                for (index v = 0; v < P; ++v) p[i + v] = xsimd::fma(V(T(-0.5)), sum[v], V(constant));
            }
            for (index v = 0; v < P; ++v) q[i + v] = sum[v];
        }
        n_computed += complete;
        if (hopeless) {
            V least = q[0];
            for (index v = 1; v < G; ++v) least = xsimd::min(least, q[v]);
            const T q_min = xsimd::reduce_min(least);
            // float, rounded down; and no more than float can hold
            nearest[k] = static_cast<float>(
                std::sqrt(std::min(q_min, static_cast<T>(1e30))) * T(1 - 1e-6));
            return false;
        }
        nearest[k] = -1;
        for (index v = 0; v < G; ++v) {
            store(out + v * lanes<T>, p[v]);
            largest[v] = xsimd::max(p[v], largest[v]);  // the other one where p is NaN
        }
        return true;
    };

    matters(winner, false);
    V least = largest[0];
    for (index v = 1; v < G; ++v) least = xsimd::min(least, largest[v]);
    const float bar = static_cast<float>(xsimd::reduce_min(least) - cut);
    const float *keep = bounds.keep, *loss = bounds.loss;
    for (index k = 0; k < K; ++k) {
        const float before = nearest[k], now = std::max(0.0f, keep[k] * before - loss[k]);
        scratch.bound[k] = static_cast<T>(static_cast<float>(parameters.constants[k]) - 0.5f * now * now);
        nearest[k] = before < 0 ? before : now;
    }
    index n_listed = 0;
    for (index k = 0; k < K; ++k) {
        scratch.components[n_listed] = static_cast<int>(k);
        n_listed += k == winner || !(scratch.bound[k] < bar);
    }
    index n_kept = 0;
    for (index a = 0; a < n_listed; ++a) {
        const int k = scratch.components[a];
        if (k == winner || matters(k, nearest[k] >= 0)) scratch.components[n_kept++] = k;
    }
    // like stands beside like: what is best for the first point is a good guess for the next group
    T best = -std::numeric_limits<T>::infinity();
    for (index a = 0; a < n_kept; ++a) {
        const index k = scratch.components[a];
        if (log_p[k * n] > best) {
            best = log_p[k * n];
            winner = k;
        }
    }
    return n_kept;
}

}  // namespace fastem
