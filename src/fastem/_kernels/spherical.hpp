// Spherical covariance: log p_k(x) = c_k - |x - mu|^2 / (2 variance).
#pragma once

#include "structure.hpp"

namespace fastem {

template <class T> struct Spherical : Unshared<T>, AxisStatistics<T, Squares::pooled> {
    static index parameter_size(index D) { return D + 1; }  // mean, -1 / (2 variance)
    static index precision_size(index) { return 1; }
    static index scratch_size(index, index) { return 0; }

    static void pack_component(const double* mean, const double* precision_cholesky, index D,
                               T* out) {
        for (index j = 0; j < D; ++j) out[j] = static_cast<T>(mean[j]);
        out[D] = static_cast<T>(-0.5 * precision_cholesky[0] * precision_cholesky[0]);
    }

    static void log_density(const T* points, const T* parameters, T constant, index D, index n,
                            T* log_p) {
        squared_distance(points, parameters, parameters[D], constant, D, n, log_p);
    }
};

}  // namespace fastem
