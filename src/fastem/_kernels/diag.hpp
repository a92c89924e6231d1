// Diagonal covariance: log p_k(x) = c_k - sum_j ((x_j - mu_j) / sd_j)^2 / 2.
#pragma once

#include "structure.hpp"

namespace fastem {

template <class T> struct Diag : Unshared<T>, AxisStatistics<T, Squares::by_feature> {
    using V = vec<T>;
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

    static void log_density(const T* points, const T* parameters, T constant, index D, index n,
                            T* log_p) {
        constexpr index P = 4;
        const T *scale = parameters, *start = parameters + D;
        for (index i = 0; i < n; i += P * lanes<T>) {
            V q[P];
            for (index v = 0; v < P; ++v) q[v] = V(T(0));
            for (index j = 0; j < D; ++j) {
                const V s(scale[j]), b(start[j]);
                for (index v = 0; v < P; ++v) {
                    const V y = xsimd::fma(s, load(points + j * n + i + v * lanes<T>), b);
                    q[v] = xsimd::fma(y, y, q[v]);
                }
            }
            for (index v = 0; v < P; ++v)
                store(log_p + i + v * lanes<T>, xsimd::fma(V(T(-0.5)), q[v], V(constant)));
        }
    }
};

}  // namespace fastem
