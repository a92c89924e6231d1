// E-step of one group of points: the log-densities of the components that can matter to it.
//
// A component whose log-density is below a point's largest by more than `cut` has no part in it:
//     |y|^2 > limit = 2 (constant - largest + cut).
// A pair of a group and a component is left out where that holds for all points of the group, which
// shows in one of three ways, the cheapest first:
//   1. A bound from before: at an earlier E-step |y|^2 was above the limit by at least some slack
//      in all points, and the parameters moved so little since (Contraction) that it still is: not
//      one number of x is read.
//   2. Early exit: |y|^2 only grows while it is summed over the features (where it is one: Linear
//      has no squares).
//   3. The density itself.
// Only 2 and 3 help the first time; they need rows in an order that has like beside like.
#pragma once

#include "pulse.hpp"
#include "responsibilities.hpp"

namespace fastem {

// What is known of a component in a group from the E-step before: the slack, where it did not
// matter, or one of these.
inline constexpr float mattered = -1, unknown = -2;

struct Bounds {
    float* slack;  // (n_groups, K), or null: nothing is kept but which mattered in the last group
    float* level;  // (n_groups, points of a group): the largest log-density of each point
    // (K,): |y'| >= keep |y| - loss, and the log-densities rose by `rise` besides, since that E-step
    const float *keep, *loss, *rise;
};

template <class T, template <class> class S> struct Parameters;

template <class T, template <class> class S>
inline constexpr index group_vectors = S<T>::group / lanes<T>;

// Scratch of the E-step of a group.
struct GroupScratch {
    const float* constants;  // (K,): those of the parameters, rounded
    float* now;              // (K,)
    int* components;         // (K,)
};

// How far beyond the limit a sum of squares goes before it ends early: what is added makes a bound
// that holds for some iterations, instead of one that the next small step breaks.
inline constexpr double reserve = 0.25;

// Lists the k with wanted(x[k]) for whole vectors of x at a time: where few are wanted, the others
// cost next to nothing.
template <class Wanted>
inline index list_where(const float* x, index K, int* list, Wanted&& wanted) {
    using V = vec<float>;
    index n = 0, k = 0;
    for (; k + lanes<float> <= K; k += lanes<float>)
        if (xsimd::any(wanted(V::load_unaligned(x + k))))
            for (index l = k; l < k + lanes<float>; ++l) {
                list[n] = static_cast<int>(l);
                n += wanted(x[l]);
            }
    for (; k < K; ++k) {
        list[n] = static_cast<int>(k);
        n += wanted(x[k]);
    }
    return n;
}

// The slack that is left since the E-step that `slack` and `lowest`, the lowest level of a point
// in the group, are from; `drop` is the most that a level fell by, `size` the largest of a level
// without its sign.
//
// With |y|^2 >= limit + slack =: q at a point, |y'|^2 >= (keep sqrt(q) - loss)^2 = q - h(q), and h
// grows with q: no point loses more than h at the largest limit. Rounding is allowed for.
inline void remaining_slack(const float* slack, const float* constants, const Bounds& bounds,
                            float lowest, float drop, float size, float cut, index K,
                            float* now) {
    for (index k = 0; k < K; ++k) {
        const float s = slack[k], before = constants[k] - bounds.rise[k];
        const float keep = bounds.keep[k], loss = bounds.loss[k];
        const float q = std::max(0.0f, 2 * (before + cut - lowest) + s);
        const float h = (1 - keep * keep) * q + 2 * keep * loss * std::sqrt(q);
        const float rounding = 2e-6f * (q + std::fabs(before) + size + cut);
        const float left = s - h - 2 * (bounds.rise[k] + drop) - rounding;
        now[k] = s >= 0 && keep * keep * q >= loss * loss ? left : unknown;
    }
}

// Writes rows log_p + k * n for the components that can matter and lists them, ascending; `winner`
// is the component to begin with, and the one to begin with next time. `slack` and `level` are of
// this group. Returns the number listed; n_computed counts those whose density was worked out to
// the end. What is returned means nothing once the watch is over.
template <class T, template <class> class S>
inline index log_densities(const Parameters<T, S>& parameters, const T* points, index D, index K,
                           index n, T cut, const Bounds& bounds, float* slack, float* level,
                           const GroupScratch& scratch, index& winner, T* log_p,
                           vec<T> (&largest)[group_vectors<T, S>], index& n_computed,
                           Watch& watch) {
    using V = vec<T>;
    constexpr index P = S<T>::vectors, G = group_vectors<T, S>;
    static_assert(G % P == 0, "a group is a whole number of register tiles");
    const index work = S<T>::group * S<T>::parameter_size(D);  // of one component
    for (index v = 0; v < G; ++v) largest[v] = V(-std::numeric_limits<T>::infinity());

    // what comes of the log-densities p of component k, some of them not worked out to the end
    const auto settle = [&](index k, const V(&p)[G], const bool(&whole)[G / P]) {
        bool hopeless = true, complete = true;
        V least(std::numeric_limits<T>::infinity());
        for (index i = 0; i < G; i += P) {
            auto below = xsimd::batch_bool<T>(true);
            for (index v = i; v < i + P; ++v) {
                const V above = largest[v] - V(cut) - p[v];
                below = below & (above > V(T(0)));
                least = xsimd::min(least, above);
            }
            hopeless = hopeless && (!whole[i / P] || xsimd::all(below));
            complete = complete && whole[i / P];
        }
        n_computed += complete;
        if (hopeless) {
            slack[k] = std::max(0.0f, static_cast<float>(2 * xsimd::reduce_min(least)));
            return;
        }
        slack[k] = mattered;
        T* out = log_p + k * n;
        for (index v = 0; v < G; ++v) {
            store(out + v * lanes<T>, p[v]);
            largest[v] = xsimd::max(p[v], largest[v]);  // the other one where p is NaN
        }
    };
    const auto evaluate = [&](index k, bool may_stop) {
        const T constant = parameters.constants[k];
        const T* own = parameters.component(k);
        V p[G];
        bool whole[G / P];
        for (index i = 0; i < G; i += P) {
            V stop[P], sum[P];
            if (may_stop)
                for (index v = 0; v < P; ++v) {
                    const V limit = V(T(2)) * (V(constant + cut) - largest[i + v]);
                    stop[v] = xsimd::fma(V(T(reserve)), xsimd::abs(limit), limit);
                }
            const T* x = points + i * lanes<T>;
            // with a constant, so that the inner loop without looks has none
            whole[i / P] = may_stop ? S<T>::distances(x, own, D, n, stop, true, sum)
                                    : S<T>::distances(x, own, D, n, stop, false, sum);
            for (index v = 0; v < P; ++v) p[i + v] = xsimd::fma(V(T(-0.5)), sum[v], V(constant));
        }
        settle(k, p, whole);
    };
    // In the order of a list, two at a time where the structure takes pairs. The parameters of the
    // next one are on their way while one is worked at.
    const auto evaluate_all = [&](const int* k, const int* end, bool may_stop) {
        while (k < end) {
            if (watch.ends(work)) return;
            if constexpr (S<T>::pairs) {
                if (k + 1 < end) {
                    V p[2][G];
                    bool whole[G / P];
                    std::fill(whole, whole + G / P, true);
                    for (index i = 0; i < G; i += P) {
                        V sum[2][P];
                        S<T>::distances(points + i * lanes<T>, parameters.component(k[0]),
                                        parameters.component(k[1]), D, n, sum);
                        for (index c = 0; c < 2; ++c)
                            for (index v = 0; v < P; ++v)
                                p[c][i + v] = xsimd::fma(V(T(-0.5)), sum[c][v],
                                                         V(parameters.constants[k[c]]));
                    }
                    for (index c = 0; c < 2; ++c) settle(k[c], p[c], whole);
                    k += 2;
                    continue;
                }
            }
            if (k + 1 < end) prefetch(parameters.component(k[1]), parameters.ahead);
            evaluate(*k++, may_stop);
        }
    };

    // those that mattered before will most likely do so again, and raise the bar for the others;
    // the winner first
    int* list = scratch.components;
    const auto it_mattered = [](auto s) { return s == decltype(s)(mattered); };
    slack[winner] = mattered;
    const index n_first = list_where(slack, K, list, it_mattered);
    int* place = std::find(list, list + n_first, static_cast<int>(winner));
    std::rotate(list, place, place + 1);
    evaluate_all(list, list + n_first, false);
    if (watch.over()) return 0;

    alignas(64) T levels[S<T>::group];
    if (n_first < K) {
        float* now = scratch.now;
        constexpr float done = std::numeric_limits<float>::infinity();
        if (bounds.slack) {
            for (index v = 0; v < G; ++v) store(levels + v * lanes<T>, largest[v]);
            float lowest = done, drop = -done, size = 0;
            for (index i = 0; i < S<T>::group; ++i) {
                lowest = std::min(lowest, level[i]);
                drop = std::max(drop, level[i] - static_cast<float>(levels[i]));
                size = std::max(size, std::fabs(level[i]));
            }
            remaining_slack(slack, scratch.constants, bounds, lowest, drop, size,
                            static_cast<float>(cut), K, now);
        } else {
            std::fill(now, now + K, unknown);
        }
        for (index a = 0; a < n_first; ++a) now[list[a]] = done;
        for (index k = 0; k < K; ++k) slack[k] = now[k] == done ? slack[k] : now[k];
        const index n_left =
            list_where(now, K, list, [](auto s) { return !(s >= decltype(s)(0)); });
        evaluate_all(list, list + n_left, true);
        if (watch.over()) return 0;
    }

    if (bounds.slack) {
        for (index v = 0; v < G; ++v) store(levels + v * lanes<T>, largest[v]);
        for (index i = 0; i < S<T>::group; ++i) level[i] = static_cast<float>(levels[i]);
    }
    const index n_kept = list_where(slack, K, list, it_mattered);
    // like stands beside like: what is best for the first point is a good guess for the next group
    T best = -std::numeric_limits<T>::infinity();
    for (index a = 0; a < n_kept; ++a) {
        const index k = list[a];
        if (log_p[k * n] > best) {
            best = log_p[k * n];
            winner = k;
        }
    }
    return n_kept;
}

}  // namespace fastem
