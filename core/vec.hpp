// Vectors of doubles as wide as the instruction set, with exp and log; aligned buffers.
// Everything has internal linkage: each instruction set keeps its own copy.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "spec.hpp"
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int V = 8;
#elif defined(__AVX__)
constexpr int V = 4;
#else
constexpr int V = 2;
#endif
constexpr int ACCUMULATORS = V == 8 ? 24 : 12;  // registers a product may keep

typedef double vec __attribute__((vector_size(V * 8)));
typedef int64_t ivec __attribute__((vector_size(V * 8)));
typedef double vecu __attribute__((vector_size(V * 8), aligned(8), may_alias));

constexpr double IMPOSSIBLE = -1e290;  // log-densities at or below this are -inf

inline vec splat(double x) { return vec{} + x; }
inline vec load(const double *p) { return *reinterpret_cast<const vecu *>(p); }
inline void store(double *p, vec v) { *reinterpret_cast<vecu *>(p) = v; }
inline vec vmax(vec a, vec b) { return a > b ? a : b; }

// One stage of a V x V transposition: lanes with bit S set change places between rows i and i + S.
template <int S, int... J>
inline void exchange(vec &a, vec &b, std::integer_sequence<int, J...>) {
    vec low = __builtin_shufflevector(a, b, (J & S ? V + J - S : J)...);
    b = __builtin_shufflevector(a, b, (J & S ? V + J : J + S)...);
    a = low;
}
template <int S = 1>
inline void transpose(vec *r) {
    for (int i = 0; i < V; i++)
        if (!(i & S)) exchange<S>(r[i], r[i + S], std::make_integer_sequence<int, V>{});
    if constexpr (2 * S < V) transpose<2 * S>(r);
}
template <int S, int... J>
inline vec rotate(vec a, std::integer_sequence<int, J...>) {
    return __builtin_shufflevector(a, a, (J ^ S)...);
}
template <int S = V / 2>
inline vec everywhere(vec v) {  // the sum over the lanes, in every lane
    v += rotate<S>(v, std::make_integer_sequence<int, V>{});
    if constexpr (S > 1) return everywhere<S / 2>(v);
    return v;
}
inline double total(vec v) { return everywhere(v)[0]; }
inline bool any(ivec m) {
    int64_t s = 0;
    for (int i = 0; i < V; i++) s |= m[i];
    return s != 0;
}
inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// exp for x <= 709: x = n log 2 + r, Taylor series of degree 13 on |r| <= log(2) / 2; 0 below -708.
inline vec vexp(vec x) {
    const vec shift = splat(6755399441055744.0);  // 1.5 * 2^52: adding it rounds to an integer
    vec low = x < -708.0 ? splat(-708.0) : x;
    vec biased = low * 1.4426950408889634 + shift;
    vec n = biased - shift;
    vec r = low - n * 0.6931471803691238;
    r -= n * 1.9082149292705877e-10;
    vec p = splat(1.6059043836821613e-10);
    p = p * r + 2.08767569878681e-09;
    p = p * r + 2.505210838544172e-08;
    p = p * r + 2.755731922398589e-07;
    p = p * r + 2.7557319223985893e-06;
    p = p * r + 2.48015873015873e-05;
    p = p * r + 1.984126984126984e-04;
    p = p * r + 1.388888888888889e-03;
    p = p * r + 8.333333333333333e-03;
    p = p * r + 4.1666666666666664e-02;
    p = p * r + 1.6666666666666666e-01;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    ivec bits = (ivec)biased;
    ivec power = (bits + 1023) << 52;
    return x < -708.0 ? vec{} : p * (vec)power;
}

// Splits positive, normal x into mantissa in [1, 2) and exponent.
inline vec split(vec x, ivec &exponent) {
    ivec bits = (ivec)x;
    exponent = (bits >> 52) - 1023;
    return (vec)((bits & 0x000fffffffffffffLL) | 0x3ff0000000000000LL);
}

// log for positive, normal x: m in [sqrt(1/2), sqrt(2)), log m = 2 atanh((m - 1) / (m + 1)).
inline vec vlog(vec x) {
    ivec e;
    vec m = split(x, e);
    ivec big = m > 1.4142135623730951;
    m = big ? m * 0.5 : m;
    e -= big;  // a true comparison is -1
    vec n;
    for (int i = 0; i < V; i++) n[i] = static_cast<double>(e[i]);
    vec s = (m - 1.0) / (m + 1.0), z = s * s;
    vec p = splat(2.0 / 23.0);
    for (int k = 21; k >= 3; k -= 2) p = p * z + 2.0 / k;
    return n * 0.6931471803691238 + (n * 1.9082149292705877e-10 + (s * 2.0 + s * z * p));
}

struct Buffer {  // 64-byte aligned doubles, zero at first
    double *p = nullptr;
    Buffer() = default;
    explicit Buffer(int64_t n) { reset(n); }
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;
    ~Buffer() { std::free(p); }
    void reset(int64_t n) {
        std::free(p);
        size_t bytes = static_cast<size_t>(round_up(n * 8 + 64, 64));
        p = static_cast<double *>(std::aligned_alloc(64, bytes));
        if (!p) estep::out_of_memory();
        std::memset(p, 0, bytes);
    }
    double *operator+(int64_t i) const { return p + i; }
    double &operator[](int64_t i) const { return p[i]; }
};

struct FlushDenormals {  // inside a kernel only; the caller's mode comes back
#if defined(__SSE2__)
    unsigned mode = _mm_getcsr();
    FlushDenormals() { _mm_setcsr(mode | 0x8040); }
    ~FlushDenormals() { _mm_setcsr(mode); }
#endif
};

struct KeepDenormals {  // inside a FlushDenormals, where every digit counts
#if defined(__SSE2__)
    unsigned mode = _mm_getcsr();
    KeepDenormals() { _mm_setcsr(mode & ~0x8040u); }
    ~KeepDenormals() { _mm_setcsr(mode); }
#endif
};

}  // namespace
