// exp(x / 2) for x <= 0, as responsibilities need it: no overflow, no subnormal, no special values
// to look after, which is a good half of what a general exp costs.
#pragma once

#include <cstdint>

#include "simd.hpp"

namespace fastem {

template <class T> struct Exponential;
// 2^f on [-1/2, 1/2]: Chebyshev series in exact arithmetic, rounded; relative error below 2e-17
// (float: 2e-8) before the rounding of the sum itself. `magic` moves the integer part of a number
// to its lowest bits.
template <> struct Exponential<double> {
    using Integer = std::int64_t;
    static constexpr int mantissa_bits = 52;
    static constexpr double magic = 0x1.8p52, half_log2_e = 0.72134752044448170;
    static constexpr double coefficients[] = {
        1.0,
        0.6931471805599453,
        0.24022650695910158,
        0.0555041086648217,
        0.009618129107587253,
        0.001333355814639035,
        0.00015403530463727982,
        1.5252733856295574e-05,
        1.3215432534254118e-06,
        1.0178051192117847e-07,
        7.074194562613105e-09,
        4.456675463639861e-10,
    };
};
template <> struct Exponential<float> {
    using Integer = std::int32_t;
    static constexpr int mantissa_bits = 23;
    static constexpr float magic = 0x1.8p23f, half_log2_e = 0.72134752f;
    static constexpr float coefficients[] = {
        1.0f,
        0.6931471824645996f,
        0.24022650718688965f,
        0.05550327152013779f,
        0.00961802527308464f,
        0.0013400432653725147f,
        0.00015469732170458883f,
    };
};

// exp(x / 2) for -1400 < x <= 0 (float: -170 < x); anything beyond that is nonsense.
template <class T> inline vec<T> exp_half(const vec<T>& x) {
    using V = vec<T>;
    using E = Exponential<T>;
    // x / 2 = (n + f) log 2. One constant for log2(e) / 2 is enough: its rounding makes an error
    // of |x| eps in a result of the size exp(x / 2).
    const V shifted = xsimd::fma(x, V(E::half_log2_e), V(E::magic));
    const V n = shifted - V(E::magic);
    const V f = xsimd::fms(x, V(E::half_log2_e), n);
    constexpr int degree = sizeof(E::coefficients) / sizeof(T) - 1;
    V p(E::coefficients[degree]);
    for (int i = degree - 1; i >= 0; --i) p = xsimd::fma(p, f, V(E::coefficients[i]));
    const auto exponent = xsimd::bitwise_cast<typename E::Integer>(shifted) << E::mantissa_bits;
    return xsimd::bitwise_cast<T>(xsimd::bitwise_cast<typename E::Integer>(p) + exponent);
}

}  // namespace fastem
