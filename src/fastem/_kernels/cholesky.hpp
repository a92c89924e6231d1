// Inverse Cholesky factors of small symmetric matrices. LAPACK would do, but its result can depend
// on the number of its threads, and a call costs more than a 2 x 2 matrix.
#pragma once

#include <cmath>

#include "pulse.hpp"

namespace fastem {

// a (D, D) symmetric, row-major, the lower triangle read; it becomes its Cholesky factor L, and
// out (D, D) the upper triangular L^-T. False when a pivot is not positive (or NaN).
inline bool inverse_cholesky(double* a, index D, double* out, Pulse& pulse, int thread) {
    Watch watch(pulse, thread);
    for (index i = 0; i < D; ++i) {
        double* row = a + i * D;
        for (index j = 0; j < i; ++j) row[j] = (row[j] - dot(row, a + j * D, j)) / a[j * D + j];
        const double pivot = row[i] - dot(row, row, i);
        if (!(pivot > 0) || !std::isfinite(pivot)) return false;
        row[i] = std::sqrt(pivot);
        if (watch.ends(i * i / 2)) return true;
    }
    // row j of out holds column j of L^-1: out[j, i] = -sum_{j<=k<i} L[i, k] out[j, k] / L[i, i]
    for (index j = 0; j < D; ++j) {
        double* row = out + j * D;
        for (index i = 0; i < j; ++i) row[i] = 0;
        row[j] = 1 / a[j * D + j];
        for (index i = j + 1; i < D; ++i)
            row[i] = -dot(a + i * D + j, row + j, i - j) / a[i * D + i];
        if (watch.ends((D - j) * (D - j) / 2)) return true;
    }
    return true;
}

}  // namespace fastem
