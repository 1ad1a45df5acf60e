// Vectors of reals as wide as the instruction set.
// Everything has internal linkage: each instruction set keeps its own copy.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <utility>

#include "abi.hpp"
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace {

// The scalar of this object: kernels are compiled for both.
#if defined(ESTEP_SINGLE)
typedef float real;
typedef int32_t whole;
constexpr int MANTISSA = 23, BIAS = 127;
constexpr real IMPOSSIBLE = -1e30f;  // log-densities at or below this are -inf
constexpr real FAINT = 1e-37f;       // the least density, relative to a row's largest, of what is possible
constexpr real EXP_LEAST = -110.0f;  // its exp is 0, as it is from -88 on
constexpr real NEGLIGIBLE = -87.0f;  // responsibilities below exp of this are none
#else
typedef double real;
typedef int64_t whole;
constexpr int MANTISSA = 52, BIAS = 1023;
constexpr real IMPOSSIBLE = -1e290;
constexpr real FAINT = 1e-300;
constexpr real EXP_LEAST = -760.0;
constexpr real NEGLIGIBLE = -231.0;
#endif

#if defined(__AVX512F__)
constexpr int BYTES = 64;
constexpr int ACCUMULATORS = 24;  // registers a product may keep
#elif defined(__AVX__)
constexpr int BYTES = 32;
constexpr int ACCUMULATORS = 12;
#else
constexpr int BYTES = 16;
constexpr int ACCUMULATORS = 12;
#endif
constexpr int V = BYTES / static_cast<int>(sizeof(real));

template <class T>
struct Wide {
    typedef T type __attribute__((vector_size(BYTES)));
    typedef T unaligned __attribute__((vector_size(BYTES), aligned(sizeof(T))));  // may alias T, nothing else
    static constexpr int count = BYTES / static_cast<int>(sizeof(T));
};
template <class T>
using vec_of = typename Wide<T>::type;
typedef vec_of<real> vec;
typedef whole ivec __attribute__((vector_size(BYTES)));
typedef std::make_unsigned_t<whole> uvec __attribute__((vector_size(BYTES)));

inline vec splat(real x) { return vec{} + x; }
template <class T>
inline vec_of<T> load(const T *p) {
    return *reinterpret_cast<const typename Wide<T>::unaligned *>(p);
}
template <class T>
inline void store(T *p, vec_of<T> v) {
    *reinterpret_cast<typename Wide<T>::unaligned *>(p) = v;
}
inline vec vmax(vec a, vec b) { return a > b ? a : b; }
typedef double doubles __attribute__((vector_size(V * sizeof(double)), aligned(sizeof(double))));
inline void add(double *to, vec v) {  // in double
    doubles &sum = *reinterpret_cast<doubles *>(to);
    sum += __builtin_convertvector(v, doubles);
}

// One stage of a V x V transposition: lanes with bit S set change places between rows i and i + S.
template <int S, int... J>
inline void exchange(vec &a, vec &b, std::integer_sequence<int, J...>) {
    vec low = __builtin_shufflevector(a, b, (J & S ? V + J - S : J)...);
    b = __builtin_shufflevector(a, b, (J & S ? V + J : J + S)...);
    a = low;
}
template <int S = 1>
inline void transpose(vec *r) {
#pragma GCC unroll 16
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
inline double total(vec v) {  // in double
    double s = 0;
    for (int i = 0; i < V; i++) s += static_cast<double>(v[i]);
    return s;
}
// The lanes in which a > b, as bits.
template <class W>
inline unsigned above(W a, W b) {
    constexpr bool wide = sizeof(a[0]) == 8;
#if defined(__AVX512F__)
    if constexpr (wide) return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_GT_OQ);
    else return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ);
#elif defined(__AVX__)
    if constexpr (wide) return static_cast<unsigned>(_mm256_movemask_pd((__m256d)(a > b)));
    else return static_cast<unsigned>(_mm256_movemask_ps((__m256)(a > b)));
#elif defined(__SSE2__)
    if constexpr (wide) return static_cast<unsigned>(_mm_movemask_pd((__m128d)(a > b)));
    else return static_cast<unsigned>(_mm_movemask_ps((__m128)(a > b)));
#else
    unsigned s = 0;
    for (int i = 0; i < BYTES / static_cast<int>(sizeof(a[0])); i++) s |= static_cast<unsigned>(a[i] > b[i]) << i;
    return s;
#endif
}
// p[i] for each lane's i; the narrower instruction is slower than loads.
inline vec gather(const real *p, ivec i) {
#if defined(__AVX512F__)
    if constexpr (sizeof(real) == 8) return (vec)_mm512_mask_i64gather_pd(_mm512_setzero_pd(), 0xff, (__m512i)i, p, 8);
    else return (vec)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), 0xffff, (__m512i)i, p, 4);
#else
    vec r;
    for (int l = 0; l < V; l++) r[l] = p[i[l]];
    return r;
#endif
}
// The same within V reals.
inline vec permute(vec p, ivec i) {
#if defined(__AVX512F__)
    if constexpr (sizeof(real) == 8) return (vec)_mm512_maskz_permutexvar_pd(0xff, (__m512i)i, (__m512d)p);
    else return (vec)_mm512_maskz_permutexvar_ps(0xffff, (__m512i)i, (__m512)p);
#elif defined(__AVX2__)
    const ivec halves = sizeof(real) == 8 ? i << 1 | i << (sizeof(real) * 4 + 1) | whole{1} << (sizeof(real) * 4) : i;
    return (vec)_mm256_permutevar8x32_ps((__m256)p, (__m256i)halves);  // doubles half by half
#else
    vec r;
    for (int l = 0; l < V; l++) r[l] = p[i[l]];
    return r;
#endif
}
// Writes first + the places of N bits, in order, with room for N; how many.
template <int N = V>
inline int32_t which(unsigned bits, int32_t first, int32_t *to) {
#if defined(__AVX512VL__)
    const auto mask = static_cast<__mmask16>(bits);
    if constexpr (N == 16) {
        const __m512i all = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(mask, _mm512_add_epi32(all, _mm512_set1_epi32(first))));
    } else {
        const __m256i all = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(first));
        _mm256_storeu_si256(reinterpret_cast<__m256i *>(to),
                            _mm256_maskz_compress_epi32(static_cast<__mmask8>(mask), all));
    }
    return __builtin_popcount(bits);
#else
    typedef int32_t four __attribute__((vector_size(16), aligned(4), may_alias));
    static constexpr int32_t place[16][4] = {{},     {0},       {1},       {0, 1},      {2},    {0, 2},
                                             {1, 2}, {0, 1, 2}, {3},       {0, 3},      {1, 3}, {0, 1, 3},
                                             {2, 3}, {0, 2, 3}, {1, 2, 3}, {0, 1, 2, 3}};
    int32_t n = 0;
    for (int b = 0; b < N; b += 4, bits >>= 4) {  // without a branch: what the bits are is not foreseen
        *reinterpret_cast<four *>(to + n) = *reinterpret_cast<const four *>(place[bits & 15]) + (first + b);
        n += __builtin_popcount(bits & 15);
    }
    return n;
#endif
}
inline bool any(ivec m) {
    whole s = 0;
    for (int i = 0; i < V; i++) s |= m[i];
    return s != 0;
}
inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

}  // namespace
