// Vectors of reals as wide as the instruction set, with exp and log; aligned buffers.
// Everything has internal linkage: each instruction set keeps its own copy.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <utility>

#include "spec.hpp"
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

// Memory a thread has used and may use again: the system clears fresh pages for longer than a leaf takes to fill them.
class Pool {
    static constexpr int MOST = 48;
    static constexpr size_t KEPT = size_t{64} << 20;  // bytes
    void *block[MOST];
    size_t bytes[MOST], all = 0;
    int count = 0;

    void *find(size_t &n) {
        int best = -1;
        for (int i = 0; i < count; i++)
            if (bytes[i] >= n && bytes[i] <= 2 * n + 4096 && (best < 0 || bytes[i] < bytes[best])) best = i;
        if (best < 0) {
            void *fresh = std::aligned_alloc(64, n);
            if (!fresh) estep::out_of_memory();
            return fresh;
        }
        void *found = block[best];
        n = bytes[best], all -= n;
        block[best] = block[--count], bytes[best] = bytes[count];
        return found;
    }

  public:
    ~Pool() {
        while (count) std::free(block[--count]);
    }
    void *take(size_t &n) {  // at least n bytes; n becomes how many
        void *p = find(n);
#if defined(ESTEP_POISON)
        std::memset(p, 0xff, n);  // NaN: what is used before it is set shows
#endif
        return p;
    }
    void give(void *p, size_t n) {
        if (count == MOST || all + n > KEPT) return std::free(p);
        block[count] = p, bytes[count++] = n, all += n;
    }
    static Pool &mine() {
        static thread_local Pool pool;
        return pool;
    }
};

template <class T>
class Array {  // 64-byte aligned, with room for a vector past the end; zero at first if its size is given
    T *p = nullptr;
    size_t bytes = 0;

  public:
    Array() = default;
    explicit Array(int64_t n) { zeros(n); }
    Array(const Array &) = delete;
    Array &operator=(const Array &) = delete;
    ~Array() {
        if (p) Pool::mine().give(p, bytes);
    }
    void grow(int64_t n) {  // room for n; what was there is lost
        size_t want = static_cast<size_t>(round_up(n * static_cast<int64_t>(sizeof(T)) + 64, 64));
        if (want <= bytes) return;
        if (p) Pool::mine().give(p, bytes);
        p = nullptr;
        p = static_cast<T *>(Pool::mine().take(want));
        bytes = want;
    }
    void zeros(int64_t n) {
        grow(n);
        std::memset(static_cast<void *>(p), 0, static_cast<size_t>(n) * sizeof(T) + 64);
    }
    T *data() const { return p; }
    T *operator+(int64_t i) const { return p + i; }
    T &operator[](int64_t i) const { return p[i]; }
};
using Buffer = Array<real>;

// Parameters as this object's scalars: themselves, or a copy.
inline const real *as_real(const double *from, int64_t n, Buffer &keep) {
    if constexpr (sizeof(real) == 8) return reinterpret_cast<const real *>(from);
    if (!from) return nullptr;
    keep.grow(n);
    for (int64_t i = 0; i < n; i++) {
        const double x = from[i];
        keep[i] = static_cast<real>(x < -1e37 ? -1e37 : x > 1e37 ? 1e37 : x);
    }
    return keep.data();
}

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
