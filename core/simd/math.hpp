// exp and log of vectors, and powers of two.
#pragma once
#include "simd/vec.hpp"

namespace {

// p 2^n for whole n, whose last bits are in `bits` too; 0 where that is too small.
inline vec times_power(vec p, vec n, ivec bits) {
#if defined(__AVX512F__)
    (void)bits;
    if constexpr (sizeof(real) == 8) return (vec)_mm512_maskz_scalef_pd(0xff, (__m512d)p, (__m512d)n);
    else return (vec)_mm512_maskz_scalef_ps(0xffff, (__m512)p, (__m512)n);
#else
    return n < real(1 - BIAS) ? vec{} : p * (vec)((bits + BIAS) << MANTISSA);
#endif
}

// exp for x below the range's end, 0 where that is too small: x = n log 2 + r, and 1 + r + r^2 q(r) on |r| <= log(2) /
// 2, q by Remez for the least relative error (4e-18, 3e-9).
inline vec vexp(vec x) {
    constexpr bool wide = sizeof(real) == 8;
    const vec shift = splat(wide ? real(6755399441055744.0) : real(12582912.0));  // adding it rounds to an integer
    const vec low = vmax(x, splat(EXP_LEAST));
    const vec biased = low * real(1.4426950408889634) + shift, n = biased - shift;
    vec r = low - n * (wide ? real(0.6931471803691238) : real(0.693359375));
    r -= n * (wide ? real(1.9082149292705877e-10) : real(-2.1219444005469057e-4));
    constexpr real q64[] = {real(0.50000000000000106271),     real(0.16666666666666412515),
                            real(0.041666666666530159082),    real(0.0083333333334944675334),
                            real(0.0013888888943629989842),   real(0.00019841269506564000929),
                            real(0.000024801493099030417868), real(2.755758638842914442e-6),
                            real(2.7630248336116405948e-7),   real(2.5000056604513258036e-8)};
    constexpr real q32[] = {real(0.49999993447838350424), real(0.16666520631773323329), real(0.041668388031037608677),
                            real(0.008368716875262359943), real(0.0013814599553094665779)};
    constexpr int degree = wide ? 9 : 4;
    vec q = splat(wide ? q64[degree] : q32[degree < 5 ? degree : 0]);
    for (int i = degree - 1; i >= 0; i--) q = q * r + (wide ? q64[i] : q32[i < 5 ? i : 0]);
    return times_power((q * r + real(1.0)) * r + real(1.0), n, (ivec)biased);
}

constexpr whole FRACTION = (whole{1} << MANTISSA) - 1;

// log for positive, normal x = 2^e m: m in [sqrt(1/2), sqrt(2)), log m = 2 atanh((m - 1) / (m + 1)).
inline vec vlog(vec x) {
    constexpr real first = real(whole{1} << MANTISSA);  // of the reals whose last bit is 1
    vec m = (vec)(((ivec)x & FRACTION) | (whole{BIAS} << MANTISSA));
    vec n = (vec)((ivec)((uvec)x >> MANTISSA) | (whole{BIAS + MANTISSA} << MANTISSA)) - (first + BIAS);
    ivec big = m > real(1.4142135623730951);
    m = big ? m * real(0.5) : m;
    n = big ? n + real(1.0) : n;
    vec s = (m - real(1.0)) / (m + real(1.0)), z = s * s;
    // by Remez again, for an error of 1e-18 or 8e-10 of the logarithm
    constexpr real c64[] = {real(0.66666666666667344192), real(0.39999999999414628272), real(0.28571428742399660229),
                            real(0.22222198571859837447), real(0.18183564399450120875), real(0.15314048565256679898),
                            real(0.14795970651117004742)};
    constexpr real c32[] = {real(0.66666776386000480063), real(0.39977540974386005096), real(0.29871745363950495815)};
    constexpr int degree = sizeof(real) == 8 ? 6 : 2;
    vec p = splat(degree == 6 ? c64[degree] : c32[2]);
    for (int k = degree - 1; k >= 0; k--) p = p * z + (degree == 6 ? c64[k] : c32[k < 3 ? k : 0]);
    if constexpr (sizeof(real) == 8)
        return n * real(0.6931471803691238) + (n * real(1.9082149292705877e-10) + (s * real(2.0) + s * z * p));
    return n * real(0.693359375) + (n * real(-2.1219444005469057e-4) + (s * real(2.0) + s * z * p));
}

// 2^-e of normal x in [2^e, 2^(e+1)), exactly; and e.
inline vec inverse_power(vec x) { return (vec)((whole{2 * BIAS} << MANTISSA) - ((ivec)x & ~FRACTION)); }
inline ivec exponent(vec x) { return (ivec)((uvec)x >> MANTISSA) - BIAS; }

}  // namespace
