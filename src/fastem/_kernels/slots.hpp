// A slot: a run of consecutive tiles with statistics of its own. This file walks the tiles of one
// slot; who runs which slot, on how many threads, is decided above, and cannot change a bit.
#pragma once

#include "responsibilities.hpp"
#include "rows.hpp"

namespace fastem {

inline constexpr index align(index n) { return (n + 15) / 16 * 16; }  // whole cache lines

// Packed parameters of a mixture: constants (K), shared, then for each component the point that its
// moments are about (D) and its own. That point is the mean, except where a step from far off would
// cancel and is summed again about the new mean.
template <class T, template <class> class S> struct Parameters {
    const T *constants, *shared, *components;
    index n_features, stride;

    static index size(index D, index K) {
        return align(K) + align(S<T>::shared_size(D)) + K * align(D + S<T>::parameter_size(D));
    }
    static void pack(const double* constants, const double* means, const double* about,
                     const double* precisions_cholesky, index D, index K, T* out) {
        for (index k = 0; k < K; ++k) out[k] = static_cast<T>(constants[k]);
        T* shared = out + align(K);
        S<T>::pack_shared(precisions_cholesky, D, shared);
        T* components = shared + align(S<T>::shared_size(D));
        for (index k = 0; k < K; ++k) {
            // What is shared stands once, before any component's own, and has precision_size 0
            T* component = components + k * align(D + S<T>::parameter_size(D));
            for (index j = 0; j < D; ++j) component[j] = static_cast<T>(about[k * D + j]);
            S<T>::pack_component(means + k * D, precisions_cholesky + k * S<T>::precision_size(D),
                                 D, component + D);
        }
    }
    Parameters(const T* packed, index D, index K)
        : constants(packed),
          shared(packed + align(K)),
          components(shared + align(S<T>::shared_size(D))),
          n_features(D),
          stride(align(D + S<T>::parameter_size(D))) {}
    const T* about(index k) const { return components + k * stride; }
    const T* component(index k) const { return about(k) + n_features; }
};

// The scratch of one thread, carved from the arena that Python allocated.
template <class T> struct Scratch {
    T *log_p, *log_likelihood, *weights, *tile, *structure;

    static index size(index structure_size, index D, index K, index n) {
        return align(K * n) + 2 * align(n) + align(D * n) + align(structure_size);
    }
    Scratch(T* arena, index D, index K, index n)
        : log_p(arena),
          log_likelihood(log_p + align(K * n)),
          weights(log_likelihood + align(n)),
          tile(weights + align(n)),
          structure(tile + align(D * n)) {}
};

// Responsibilities that are known instead of computed: maximum likelihood on labelled data, and
// the first M-step of a fit. A label outside 0..K-1 gives its row to no component.
template <class T> struct Known {
    const int* labels;          // (n_rows,), or null
    const T* responsibilities;  // (n_rows, K), or null

    explicit operator bool() const { return labels || responsibilities; }

    void fill(index row, index filled, index K, index n, const T* weights, T* r) const {
        std::fill(r, r + K * n, T(0));
        for (index i = 0; i < filled; ++i) {
            if (labels) {
                const index k = labels[row + i];
                if (k >= 0 && k < K) r[k * n + i] = weights[i];
            } else {
                for (index k = 0; k < K; ++k)
                    r[k * n + i] = weights[i] * responsibilities[(row + i) * K + k];
            }
        }
    }
};

// E-step of one tile: scratch.log_p becomes log(weight_k) + log p_k(x_i).
//
// Every pair is computed here. A pair that cannot matter is to be left out at this one place: the
// order of the components, the running maximum and the early exit belong in this loop.
template <class T, template <class> class S>
inline void joint_log_density(const Parameters<T, S>& parameters, const T* tile, index D, index K,
                              index n, Scratch<T>& scratch) {
    const T* points = S<T>::prepare(tile, parameters.shared, D, n, scratch.structure);
    for (index k = 0; k < K; ++k)
        S<T>::log_density(points, parameters.component(k), parameters.constants[k], D, n,
                          scratch.log_p + k * n);
}

template <class T> inline bool any_nonzero(const T* r, index n) {
    for (index i = 0; i < n; i += lanes<T>)
        if (xsimd::any(load(r + i) != vec<T>(T(0)))) return true;  // a NaN is not 0 either
    return false;
}

// Statistics and log-likelihood of tiles first..last-1, added to `statistics`:
// K x statistics_size doubles, then the log-likelihood.
template <class T, template <class> class S>
void accumulate_tiles(const Rows<T>& rows, const T* packed_parameters, const Known<T>& known,
                     index K, index first, index last, T* arena, double* statistics) {
    const index D = rows.n_features, n = rows.n, size = S<T>::statistics_size(D);
    const Parameters<T, S> parameters(packed_parameters, D, K);
    Scratch<T> scratch(arena, D, K, n);
    std::fill(statistics, statistics + K * size + 1, 0.0);
    for (index t = first; t < last; ++t) {
        const T* tile = rows.tile(t, scratch.tile);
        rows.tile_weights(t, scratch.weights);
        T* r = scratch.log_p;
        if (known) {
            known.fill(t * n, std::min(n, rows.n_rows - t * n), K, n, scratch.weights, r);
        } else {
            joint_log_density<T, S>(parameters, tile, D, K, n, scratch);
            statistics[K * size] +=
                normalise(K, n, fit_cut<T>, scratch.weights, r, scratch.log_likelihood);
        }
        for (index k = 0; k < K; ++k) {
            const T* rk = r + k * n;
            if (!any_nonzero(rk, n)) continue;
            S<T>::moments(tile, parameters.about(k), rk, D, n, scratch.structure,
                          statistics + k * size);
        }
    }
}

// Outputs for the rows of tiles first..last-1; each output may be null.
template <class T, template <class> class S>
void score_tiles(const Rows<T>& rows, const T* packed_parameters, index K, index first, index last,
                T* arena, double* log_likelihood, T* responsibilities, long long* labels) {
    const index D = rows.n_features, n = rows.n;
    const Parameters<T, S> parameters(packed_parameters, D, K);
    Scratch<T> scratch(arena, D, K, n);
    for (index t = first; t < last; ++t) {
        const index row = t * n, filled = std::min(n, rows.n_rows - row);
        joint_log_density<T, S>(parameters, rows.tile(t, scratch.tile), D, K, n, scratch);
        if (labels) {
            most_likely(K, n, scratch.log_p, scratch.weights);
            for (index i = 0; i < filled; ++i)
                labels[row + i] = static_cast<long long>(scratch.weights[i]);
        }
        if (!log_likelihood && !responsibilities) continue;
        std::fill(scratch.weights, scratch.weights + n, T(1));
        normalise(K, n, score_cut<T>, scratch.weights, scratch.log_p, scratch.log_likelihood);
        if (log_likelihood)
            for (index i = 0; i < filled; ++i)
                log_likelihood[row + i] = static_cast<double>(scratch.log_likelihood[i]);
        if (responsibilities)
            for (index i = 0; i < filled; ++i)
                for (index k = 0; k < K; ++k)
                    responsibilities[(row + i) * K + k] = scratch.log_p[k * n + i];
    }
}

// slots (n_slots, size): slot 0 becomes the sum, pairwise in index order, of elements first..last-1.
inline void merge_slots(double* slots, index n_slots, index size, index first, index last) {
    for (index stride = 1; stride < n_slots; stride *= 2)
        for (index s = 0; s + stride < n_slots; s += 2 * stride) {
            double* into = slots + s * size;
            const double* from = slots + (s + stride) * size;
            for (index e = first; e < last; ++e) into[e] += from[e];
        }
}

}  // namespace fastem
