// Diagonal covariance: y_j = (x_j - mu_j) / sd_j.
#pragma once

#include "structure.hpp"

namespace fastem {

template <class T> struct Diag : Unshared<T>, Centred<T>, AxisStatistics<T, Squares::by_feature> {
    using V = vec<T>;
    using AxisStatistics<T, Squares::by_feature>::vectors;
    static index parameter_size(index D) { return 2 * D; }  // 1 / sd, -mean / sd
    static index precision_size(index D) { return D; }
    static index scratch_size(index, index) { return 0; }

    static void pack_component(const double* mean, const double* precision_cholesky, index D,
                               T* out) {
        for (index j = 0; j < D; ++j) {
            out[j] = static_cast<T>(precision_cholesky[j]);
            out[D + j] = static_cast<T>(-mean[j] * precision_cholesky[j]);
        }
    }

    static bool distances(const T* points, const T* parameters, index D, index n,
                          const V (&stop)[vectors], bool may_stop, V (&q)[vectors]) {
        const T *scale = parameters, *start = parameters + D;
        return sum_of_squares<T>(D, stop, may_stop, q, [&](index j, index v) {
            return xsimd::fma(V(scale[j]), load(points + j * n + v * lanes<T>), V(start[j]));
        });
    }

    static double keep(const double* old_factor, const double* new_factor, index D, double*,
                       Watch&) {
        double least = HUGE_VAL;
        for (index j = 0; j < D; ++j) least = std::min(least, new_factor[j] / old_factor[j]);
        return least;
    }
    static double loss(const double* old_mean, const double* new_mean, const double* new_factor,
                       index D, double*) {
        double sum = 0;
        for (index j = 0; j < D; ++j) {
            const double y = new_factor[j] * (new_mean[j] - old_mean[j]);
            sum += y * y;
        }
        return std::sqrt(sum);
    }
};

}  // namespace fastem
