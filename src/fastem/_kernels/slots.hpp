// A slot: a run of consecutive tiles with statistics of its own. This file walks the tiles of one
// slot; who runs which slot, on how many threads, is decided above, and cannot change a bit.
#pragma once

#include <cstdint>

#include "expectation.hpp"
#include "rows.hpp"

namespace fastem {

inline constexpr index align(index n) { return (n + 15) / 16 * 16; }  // whole cache lines

// Packed parameters of a mixture: constants (K), shared, then for each component the point that its
// moments are about (D) and its own. That point is the mean, except where a step from far off would
// cancel and is summed again about the new mean.
template <class T, template <class> class S> struct Parameters {
    const T *constants, *shared, *components;
    index n_features, stride;
    index ahead;  // bytes of a component worth asking for before they are needed

    static index size(index D, index K) {
        return align(K) + align(S<T>::shared_size(D)) + K * align(D + S<T>::parameter_size(D));
    }
    static void pack(const double* constants, const double* means, const double* about,
                     const double* precisions_cholesky, index D, index K, T* out, Watch& watch) {
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
            if (watch.ends(2 * S<T>::parameter_size(D))) return;
        }
    }
    Parameters(const T* packed, index D, index K)
        : constants(packed),
          shared(packed + align(K)),
          components(shared + align(S<T>::shared_size(D))),
          n_features(D),
          stride(align(D + S<T>::parameter_size(D))),
          ahead(std::min(stride * static_cast<index>(sizeof(T)), index(2048))) {}
    const T* about(index k) const { return components + k * stride; }
    const T* component(index k) const { return about(k) + n_features; }
};

// The scratch of one thread, carved from the arena that Python allocated.
template <class T> struct Scratch {
    T *log_p, *r, *weights, *outcome, *tile, *structure;  // r: log_p, or beside it
    float* constants;  // (K,): rounded
    float* slack;      // (K,): of one group, where no Bounds are kept
    float* now;        // (K,)
    int* components;   // (K,): those that can matter to a group
    int* n_groups;     // (K,): groups of the tile in which a component has a part
    int* members;      // (K, n / group): which
    int* touched;      // (K,): components with a part in the tile

    static index size(index structure_size, index D, index K, index n, index group, bool beside) {
        return (beside ? 2 : 1) * align(K * n) + 2 * align(n) + align(D * n) +
               align(structure_size) + integers(K) * 6 + integers(K * (n / group));
    }
    Scratch(T* arena, index structure_size, index D, index K, index n, index group, bool beside) {
        const auto take = [&arena](index count) {
            T* here = arena;
            arena += count;
            return here;
        };
        log_p = take(align(K * n));
        r = beside ? take(align(K * n)) : log_p;
        weights = take(align(n));
        outcome = take(align(n));
        tile = take(align(D * n));
        structure = take(align(structure_size));
        constants = reinterpret_cast<float*>(take(integers(K)));
        slack = reinterpret_cast<float*>(take(integers(K)));
        now = reinterpret_cast<float*>(take(integers(K)));
        components = reinterpret_cast<int*>(take(integers(K)));
        n_groups = reinterpret_cast<int*>(take(integers(K)));
        touched = reinterpret_cast<int*>(take(integers(K)));
        members = reinterpret_cast<int*>(take(integers(K * (n / group))));
    }

    // What the E-steps of a run of groups begin with.
    GroupScratch begin(const T* exact_constants, index K) const {
        for (index k = 0; k < K; ++k) constants[k] = static_cast<float>(exact_constants[k]);
        std::fill(slack, slack + K, unknown);
        return {constants, now, components};
    }

  private:
    static index integers(index count) {  // so many of 4 bytes, in elements of T
        constexpr index bytes = static_cast<index>(sizeof(T));
        return align((4 * count + bytes - 1) / bytes);
    }
};

// Responsibilities that are known instead of computed: maximum likelihood on labelled data, and
// the first M-step of a fit. A label outside 0..K-1 gives its row to no component.
template <class T> struct Known {
    const int* labels;          // (n_rows,), or null
    const T* responsibilities;  // (n_rows, K), or null

    explicit operator bool() const { return labels || responsibilities; }

    // Row k of r becomes the responsibilities of component k times the weights, or the roots of
    // that; part(k, g) is called for each group g in which k has a part.
    template <class Part>
    void fill(const Rows<T>& rows, index group, index first, index filled, index K,
              const T* weights, bool roots, T* r, Part&& part) const {
        const index n = rows.n;
        for (index g = 0; g * group < filled; ++g) {
            const index begin = g * group, end = std::min(filled, begin + group);
            for (index k = 0; k < K; ++k)
                std::fill(r + k * n + begin, r + k * n + begin + group, T(0));
            for (index i = begin; i < end; ++i) {
                const index row = rows.row(first + i);
                const T w = roots ? std::sqrt(weights[i]) : weights[i];
                if (labels) {
                    if (labels[row] >= 0 && labels[row] < K) r[labels[row] * n + i] = w;
                } else {
                    for (index k = 0; k < K; ++k) {
                        const T known = responsibilities[row * K + k];
                        r[k * n + i] = w * (roots ? std::sqrt(known) : known);
                    }
                }
            }
            for (index k = 0; k < K; ++k) {
                bool any = false;  // a NaN is not 0 either
                for (index i = begin; i < end; ++i) any = any || r[k * n + i] != T(0);
                if (any) part(k, g);
            }
        }
    }
};

// What one slot adds up besides the moments, at the end of its statistics.
struct Tally {
    static constexpr index size = 5;
    // in pairs of a row and a component: all, those whose density was worked out to the end, those
    // that matter to the group of the row, and those that have a part in the row (this one only
    // while sort keys are asked for)
    double log_likelihood, n_pairs, n_computed, n_kept, n_parts;
    void write(double* out) const {
        out[0] = log_likelihood;
        out[1] = n_pairs;
        out[2] = n_computed;
        out[3] = n_kept;
        out[4] = n_parts;
    }
};

// What to sort the rows by, so that like comes to stand beside like: (best component, how many have
// a part, second best), then the row itself, as one number.
struct SortKeys {
    std::uint64_t* keys;  // (n_rows,), or null
    int row_bits;

    template <class T, index P>
    void write(const Kinship<T, P>& kin, const Rows<T>& rows, index first, index filled, index K,
               double& n_parts) const {
        constexpr std::uint64_t most_parts = 31;
        const std::uint64_t base = static_cast<std::uint64_t>(K);
        for (index i = 0; i < filled; ++i) {
            const std::uint64_t parts = static_cast<std::uint64_t>(kin.n_parts[i]);
            n_parts += static_cast<double>(kin.n_parts[i]);
            const std::uint64_t key = (static_cast<std::uint64_t>(kin.best[i]) * (most_parts + 1) +
                                       std::min(parts, most_parts)) * base +
                                      static_cast<std::uint64_t>(kin.second[i]);
            keys[first + i] = key << row_bits | static_cast<std::uint64_t>(rows.row(first + i));
        }
    }
};

// Statistics and log-likelihood of tiles first..last-1, added to `statistics`:
// K x statistics_size doubles, then the Tally.
template <class T, template <class> class S>
void accumulate_tiles(const Rows<T>& rows, const T* packed_parameters, const Known<T>& known, T cut,
                      bool about_means, const Bounds& bounds, const SortKeys& sort_keys, index K,
                      index first, index last, T* arena, double* statistics, Watch& watch) {
    const index D = rows.n_features, n = rows.n, size = S<T>::statistics_size(D);
    constexpr index group = S<T>::group, P = group_vectors<T, S>;
    constexpr bool roots = S<T>::wants_roots;
    const bool has_log_p = S<T>::wants_log_p && about_means && !known;
    const Parameters<T, S> parameters(packed_parameters, D, K);
    const Scratch<T> scratch(arena, S<T>::scratch_size(D, n), D, K, n, group,
                             S<T>::wants_log_p);
    const GroupScratch group_scratch = scratch.begin(parameters.constants, K);
    std::fill(scratch.n_groups, scratch.n_groups + K, 0);
    std::fill(statistics, statistics + K * size + Tally::size, 0.0);
    Tally tally{};
    index winner = 0;
    const index groups_of_tile = n / group;
    for (index t = first; t < last; ++t) {
        const index place = t * n, filled = std::min(n, rows.n_rows - place);
        const T* tile = rows.tile(t, scratch.tile);
        rows.tile_weights(t, scratch.weights);
        if (watch.ends(n * (D + S<T>::shared_size(D)))) return;
        index n_touched = 0;
        const auto part = [&](index k, index g) {
            int& count = scratch.n_groups[k];
            if (count == 0) scratch.touched[n_touched++] = static_cast<int>(k);
            scratch.members[k * groups_of_tile + count++] = static_cast<int>(g);
        };
        if (known) {
            known.fill(rows, group, place, filled, K, scratch.weights, roots, scratch.r, part);
            if (watch.ends(n * K)) return;
        } else {
            const T* points = S<T>::prepare(tile, parameters.shared, D, n, scratch.structure);
            vec<T> total(T(0));
            for (index g = 0; g * group < filled; ++g) {
                const index at = g * group;
                T* log_p = scratch.log_p + at;
                vec<T> largest[P];
                index n_computed = 0;
                const index n_listed = log_densities<T, S>(
                    parameters, points + at, D, K, n, cut, bounds,
                    bounds.slack ? bounds.slack + (t * groups_of_tile + g) * K : scratch.slack,
                    bounds.slack ? bounds.level + place + at : nullptr, group_scratch, winner,
                    log_p, largest, n_computed, watch);
                if (watch.over()) return;
                const GroupDensities<T> densities{log_p, n, largest, scratch.components, n_listed};
                const index in_group = std::min(group, filled - at);
                tally.n_pairs += static_cast<double>(in_group * K);
                tally.n_computed += static_cast<double>(in_group * n_computed);
                tally.n_kept += static_cast<double>(in_group * n_listed);
                if (sort_keys.keys) {
                    Kinship<T, P> kin;
                    kin.find(densities, cut);
                    sort_keys.write(kin, rows, place + at, in_group, K, tally.n_parts);
                }
                // a whole group without weights: they are all 1
                const bool plain = !rows.sample_weight && in_group == group;
                normalise<P>(densities, cut, plain ? nullptr : scratch.weights + at, roots,
                             scratch.r + at, static_cast<T*>(nullptr), total,
                             [&](index k) { part(k, g); });
            }
            add_lane_sums(&total, 1, &tally.log_likelihood);
        }
        const auto members_of = [&](index k) {
            return Members<T, group>{scratch.r + k * n, scratch.members + k * groups_of_tile,
                                     scratch.n_groups[k],
                                     has_log_p ? scratch.log_p + k * n : nullptr,
                                     parameters.constants[k]};
        };
        if constexpr (S<T>::pairs) {
            S<T>::moments(tile, scratch.touched, n_touched, members_of, D, n, statistics, watch);
            if (watch.over()) return;
        } else {
            for (index a = 0; a < n_touched; ++a) {
                const index k = scratch.touched[a];
                const Members<T, group> members = members_of(k);
                S<T>::moments(tile, parameters.about(k), parameters.component(k), members, D, n,
                              scratch.structure, statistics + k * size);
                if (watch.ends(members.size() * S<T>::parameter_size(D))) return;
            }
        }
        for (index a = 0; a < n_touched; ++a) scratch.n_groups[scratch.touched[a]] = 0;
    }
    if constexpr (S<T>::pairs)
        for (index k = 0; k < K; ++k)
            S<T>::move(parameters.about(k), D, statistics + k * size);
    tally.write(statistics + K * size);
}

// Outputs for the rows of tiles first..last-1; each output may be null.
template <class T, template <class> class S>
void score_tiles(const Rows<T>& rows, const T* packed_parameters, index K, index first, index last,
                 T* arena, double* log_likelihood, T* responsibilities, long long* labels,
                 Watch& watch) {
    const index D = rows.n_features, n = rows.n;
    constexpr index group = S<T>::group, P = group_vectors<T, S>;
    const Parameters<T, S> parameters(packed_parameters, D, K);
    const Scratch<T> scratch(arena, S<T>::scratch_size(D, n), D, K, n, group,
                             S<T>::wants_log_p);
    const GroupScratch group_scratch = scratch.begin(parameters.constants, K);
    const Bounds none{};
    std::fill(scratch.weights, scratch.weights + n, T(1));
    const T cut = responsibilities ? score_cut<T> : log_likelihood ? fit_cut<T> : label_cut<T>;
    index winner = 0;
    for (index t = first; t < last; ++t) {
        const T* points = S<T>::prepare(rows.tile(t, scratch.tile), parameters.shared, D, n,
                                        scratch.structure);
        if (watch.ends(n * (D + S<T>::shared_size(D) + (responsibilities ? K : 0)))) return;
        for (index at = 0; at < std::min(n, rows.n_rows - t * n); at += group) {
            const index row = t * n + at, filled = std::min(group, rows.n_rows - row);
            T* log_p = scratch.log_p + at;
            vec<T> largest[P], total(T(0));
            index n_computed = 0;
            const index n_listed = log_densities<T, S>(parameters, points + at, D, K, n, cut,
                                                       none, scratch.slack, nullptr, group_scratch,
                                                       winner, log_p, largest, n_computed,
                                                       watch);
            if (watch.over()) return;
            const GroupDensities<T> densities{log_p, n, largest, scratch.components, n_listed};
            if (labels) {
                most_likely<P>(densities, S<T>::lowest, scratch.outcome);
                for (index i = 0; i < filled; ++i)
                    labels[row + i] = static_cast<long long>(scratch.outcome[i]);
            }
            if (!log_likelihood && !responsibilities) continue;
            normalise<P>(densities, cut, static_cast<const T*>(scratch.weights), false,
                         scratch.r + at, scratch.outcome, total, [](index) {});
            if (log_likelihood)
                for (index i = 0; i < filled; ++i)
                    log_likelihood[row + i] = static_cast<double>(scratch.outcome[i]);
            if (!responsibilities) continue;
            std::fill(responsibilities + row * K, responsibilities + (row + filled) * K, T(0));
            for (index i = 0; i < filled; ++i)
                for (index a = 0; a < n_listed; ++a) {
                    const index k = scratch.components[a];
                    responsibilities[(row + i) * K + k] = scratch.r[k * n + at + i];
                }
        }
    }
}

// slots (n_slots, size): slot 0 becomes the sum, pairwise in index order, of elements
// first..last-1.
inline void merge_slots(double* slots, index n_slots, index size, index first, index last,
                        Pulse& pulse, int thread) {
    Watch watch(pulse, thread);
    constexpr index piece = 4096;  // elements that stay in cache
    for (index begin = first; begin < last; begin += piece) {
        const index end = std::min(last, begin + piece);
        for (index stride = 1; stride < n_slots; stride *= 2)
            for (index s = 0; s + stride < n_slots; s += 2 * stride) {
                double* into = slots + s * size;
                const double* from = slots + (s + stride) * size;
                for (index e = begin; e < end; ++e) into[e] += from[e];
            }
        if (watch.ends(n_slots * piece)) return;
    }
}

}  // namespace fastem
