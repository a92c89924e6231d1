// Spherical covariance: y = (x - mu) / sd.
#pragma once

#include "structure.hpp"

namespace fastem {

template <class T> struct Spherical : Unshared<T>, Centred<T>, AxisStatistics<T, Squares::pooled> {
    using V = vec<T>;
    using AxisStatistics<T, Squares::pooled>::vectors;
    static index parameter_size(index D) { return D + 2; }  // mean, 1 / variance, variance
    static index precision_size(index) { return 1; }
    static index scratch_size(index, index) { return 0; }

    static void pack_component(const double* mean, const double* precision_cholesky, index D,
                               T* out) {
        for (index j = 0; j < D; ++j) out[j] = static_cast<T>(mean[j]);
        const double precision = precision_cholesky[0] * precision_cholesky[0];
        out[D] = static_cast<T>(precision);
        out[D + 1] = static_cast<T>(1 / precision);
    }

    static bool distances(const T* points, const T* parameters, index D, index n,
                          const V (&stop)[vectors], bool may_stop, V (&q)[vectors]) {
        const V precision(parameters[D]), variance(parameters[D + 1]);
        V unscaled[vectors];
        for (index v = 0; v < vectors; ++v) unscaled[v] = stop[v] * variance;
        const bool complete = sum_of_squares<T>(D, unscaled, may_stop, q, [&](index j, index v) {
            return load(points + j * n + v * lanes<T>) - V(parameters[j]);
        });
        for (index v = 0; v < vectors; ++v) q[v] = precision * q[v];
        return complete;
    }

    static double keep(const double* old_factor, const double* new_factor, index, double*,
                       Watch&) {
        return new_factor[0] / old_factor[0];
    }
    static double loss(const double* old_mean, const double* new_mean, const double* new_factor,
                       index D, double*) {
        double sum = 0;
        for (index j = 0; j < D; ++j) {
            const double y = new_factor[0] * (new_mean[j] - old_mean[j]);
            sum += y * y;
        }
        return std::sqrt(sum);
    }
};

}  // namespace fastem
