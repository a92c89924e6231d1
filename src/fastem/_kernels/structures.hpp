// The registry of structures, and the one place where a number becomes a template. What
// takes long is given the pulse of the call and the number of its thread.
// To add one: its header, and its name in the list.
#pragma once

#include <utility>

#include "diag.hpp"
#include "full.hpp"
#include "linear.hpp"
#include "slots.hpp"
#include "spherical.hpp"
#include "tied.hpp"

#define FASTEM_STRUCTURES(entry) entry(Full) entry(Tied) entry(Diag) entry(Spherical) \
    entry(Linear)

namespace fastem {

#define FASTEM_CODE(name) name##_code,
enum Code : int { FASTEM_STRUCTURES(FASTEM_CODE) n_structures };
#undef FASTEM_CODE

#define FASTEM_NAME(name) #name,
inline const char* structure_name(int code) {
    constexpr const char* names[] = {FASTEM_STRUCTURES(FASTEM_NAME)};
    return names[code];
}
#undef FASTEM_NAME

// The template itself is named here only: as an argument of another template, compilers do not agree
// that `type` of a tag is the same.
template <template <class> class S> struct Tag {
    template <class T> using type = S<T>;
    template <class T> using parameters = Parameters<T, S>;
    template <class T, class... Arguments> static void accumulate(Arguments&&... arguments) {
        accumulate_tiles<T, S>(std::forward<Arguments>(arguments)...);
    }
    template <class T, class... Arguments> static void score(Arguments&&... arguments) {
        score_tiles<T, S>(std::forward<Arguments>(arguments)...);
    }
};

// Calls f with a tag that holds the structure's template. The codes come from structure_name, so
// that no other number can arrive here.
// A structure may have other templates for few and for many features.
#define FASTEM_CASE(name) case name##_code: return f(Tag<name>{});
template <class F> inline auto with_structure(int code, index D, F&& f) {
    if (code == Full_code && D <= small_dimension) return f(Tag<SmallFull>{});
    if (code == Full_code && D > large_dimension) return f(Tag<LargeFull>{});
    switch (code) {
        FASTEM_STRUCTURES(FASTEM_CASE)
        default: return f(Tag<Full>{});
    }
}
#undef FASTEM_CASE

inline index statistics_size(int structure, index D) {
    return with_structure(structure, D, [&](auto tag) {
        return decltype(tag)::template type<double>::statistics_size(D);
    });
}

inline index second_size(int structure, index D) {
    return with_structure(structure, D, [&](auto tag) {
        return decltype(tag)::template type<double>::second_size(D);
    });
}

// Elements of the arena of one thread.
template <class T> inline index scratch_size(int structure, index D, index K, index n) {
    return with_structure(structure, D, [&](auto tag) {
        using S = typename decltype(tag)::template type<T>;
        return Scratch<T>::size(S::scratch_size(D, n), D, K, n, S::group, S::wants_log_p);
    });
}

template <class T> inline index group_size(int structure, index D) {
    return with_structure(structure, D,
                          [&](auto tag) { return decltype(tag)::template type<T>::group; });
}

inline index parameters_size(int structure, index D, index K) {
    return with_structure(structure, D, [&](auto tag) {
        return decltype(tag)::template parameters<double>::size(D, K);
    });
}

inline index precisions_size(int structure, index D, index K) {
    return with_structure(structure, D, [&](auto tag) {
        using S = typename decltype(tag)::template type<double>;
        return S::shared_precision_size(D) + K * S::precision_size(D);
    });
}

template <class T>
void pack_parameters(int structure, const double* constants, const double* means,
                     const double* about, const double* precisions_cholesky, index D, index K,
                     T* out, Pulse& pulse, int thread) {
    Watch watch(pulse, thread);
    with_structure(structure, D, [&](auto tag) {
        decltype(tag)::template parameters<T>::pack(constants, means, about, precisions_cholesky, D,
                                                    K, out, watch);
    });
}

// Whether moments are about the means unless told otherwise; about 0 where not.
inline bool about_means(int structure) {
    return with_structure(structure, 1, [&](auto tag) {
        return decltype(tag)::template type<double>::about_means;
    });
}

// keep[k], loss[k], rise[k] of component k; see Contraction. The old and new parameters of one
// structure, in double; ranges (2, D) of the points, which structures with means do not read. What
// the components share is worked out for the first of them, which must come first.
inline void contraction(int structure, const double* old_means, const double* old_factors,
                        const double* new_means, const double* new_factors, const double* ranges,
                        index D, index k, double* scratch, float* keep, float* loss, float* rise,
                        Pulse& pulse, int thread) {
    Watch watch(pulse, thread);
    with_structure(structure, D, [&](auto tag) {
        using S = typename decltype(tag)::template type<double>;
        const index size = S::precision_size(D);  // 0 where it is shared
        const double* factor = new_factors + k * size;
        if (size == 0 && k > 0) {
            keep[k] = keep[0];
        } else {
            const double exact = S::keep(old_factors + k * size, factor, D, scratch, watch);
            // float, rounded to the safe side
            keep[k] = std::isfinite(exact) ? static_cast<float>(std::min(exact, 1.0) * (1 - 1e-7))
                                           : 0.0f;
        }
        const double exact = S::loss(old_means + k * D, new_means + k * D, factor, D, scratch);
        const bool usable = std::isfinite(exact) && exact < 1e30;
        if (!usable) keep[k] = 0;  // |y'| >= 0
        loss[k] = usable ? static_cast<float>(exact * (1 + 1e-6)) : 0.0f;
        const double most = S::rise(old_means + k * D, new_means + k * D, ranges, ranges + D, D);
        // where it is not finite nothing is known: a slack less infinity is none
        rise[k] = std::fabs(most) < 1e30 ? static_cast<float>(most)
                                         : std::numeric_limits<float>::infinity();
    });
}

template <class T>
void accumulate_slot(int structure, const T* packed, const T* X, index row_stride,
                     index column_stride, const int* order, const double* shift,
                     const double* sample_weight, index n_rows, index D, index n,
                     const int* labels, const T* responsibilities, const T* parameters, index K,
                     double cut, bool about_means, float* slack, float* level, const float* moved,
                     std::uint64_t* sort_keys, int row_bits, index first, index last,
                     T* arena, double* statistics, Pulse& pulse, int thread) noexcept {
    Watch watch(pulse, thread);
    const Rows<T> rows{packed, X,  row_stride, column_stride, order, shift, sample_weight,
                       n_rows, D, n};
    const Known<T> known{labels, responsibilities};
    const Bounds bounds = moved ? Bounds{slack, level, moved, moved + K, moved + 2 * K} : Bounds{};
    with_structure(structure, D, [&](auto tag) {
        decltype(tag)::template accumulate<T>(
            rows, parameters, known, static_cast<T>(cut), about_means, bounds,
            SortKeys{sort_keys, row_bits}, K, first, last, arena, statistics, watch);
    });
}

template <class T>
void score_slot(int structure, const T* X, index row_stride, index column_stride,
                const double* shift, index n_rows, index D, index n, const T* parameters,
                index K, index first, index last, T* arena,
                double* log_likelihood, T* responsibilities, long long* labels, Pulse& pulse,
                int thread) noexcept {
    Watch watch(pulse, thread);
    const Rows<T> rows{nullptr, X,       row_stride, column_stride, nullptr, shift,
                       nullptr, n_rows, D,          n};
    with_structure(structure, D, [&](auto tag) {
        decltype(tag)::template score<T>(rows, parameters, K, first, last, arena, log_likelihood,
                                         responsibilities, labels, watch);
    });
}

inline void unpack_statistics(int structure, const double* statistics, index D, index K,
                              double* counts, double* first, double* second, Pulse& pulse,
                              int thread) {
    Watch watch(pulse, thread);
    with_structure(structure, D, [&](auto tag) {
        using S = typename decltype(tag)::template type<double>;
        for (index k = 0; k < K; ++k) {
            S::unpack(statistics + k * S::statistics_size(D), D, counts + k, first + k * D,
                      second + k * S::second_size(D));
            if (watch.ends(2 * S::statistics_size(D))) return;
        }
    });
}

}  // namespace fastem
