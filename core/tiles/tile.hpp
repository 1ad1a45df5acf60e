// Emissions as a tile of rows sees them: densities for the latent part, then statistics from responsibilities.
#pragma once
#include "abi.hpp"
#include "linalg/transpose.hpp"
#include "memory/pool.hpp"
#include "simd/math.hpp"

namespace {

using estep::Dtype;
using estep::Kind;
using estep::Rows;
using estep::Spec;

inline int64_t pairs(int64_t D) { return D * (D + 1) / 2; }

// Sums over many rows: in float64, for single precision by way of sums over some rows.
class Sums {
    static constexpr bool single = sizeof(real) == 4;
    Buffer part;
    Array<double> whole;
    int64_t n, rows = 0;

  public:
    explicit Sums(int64_t size) : part(size), whole(single ? size : 0), n(size) {}
    real *over(int64_t more) { return over(more, rows, 0, n); }              // where to add `more` rows
    real *over(int64_t more, int64_t &added, int64_t first, int64_t size) {  // the same for some, which count their own
        if (single && (added += more) > 256) {
            for (int64_t i = first; i < first + size; i++) whole[i] += static_cast<double>(part[i]), part[i] = 0;
            added = more;
        }
        return part + first;
    }
    double operator[](int64_t i) const { return static_cast<double>(part[i]) + (single ? whole[i] : 0); }
    double lanes(int64_t i) const {  // the i-th vector, added up
        double s = 0;
        for (int64_t l = i * V; l < (i + 1) * V; l++) s += (*this)[l];
        return s;
    }
};

// Consecutive rows from `first` on, or those that `index` names.
struct Pick {
    int64_t first;
    const int64_t *index;
    int64_t operator()(int64_t i) const { return index ? index[i] : first + i; }
};

// Where a matrix of K rows keeps them for the column of each vector: slot after slot of W columns, of which the first
// 2^power are used, each with its K rows.
struct Place {
    real *p;
    int64_t K, W;
    int power;
    int64_t first;
    real *operator()(int64_t i) const {
        const int64_t c = first + i, slot = c >> power;
        return p + slot * K * W + (c - (slot << power));
    }
};
constexpr int ONE_SLOT = 62;  // all columns in one

constexpr int64_t AHEAD = 12;  // so many rows on, those that are here and there are asked for

class Tile {  // K x ld matrices have rows in the lanes; columns n..padded are padding
  public:
    const Spec &spec;
    const int64_t K, size, ld;
    int64_t n = 0, padded = 0;

    Tile(const Spec &s, int64_t rows) : spec(s), K(s.K), size(rows), ld(rows + V), high(s.D), low(s.D) {
        for (int64_t d = 0; d < s.D && s.origin; d++) {
            high[d] = static_cast<real>(s.origin[d]);
            low[d] = static_cast<real>(s.origin[d] - static_cast<double>(high[d]));
        }
    }
    virtual void load(const Rows &rows, Pick pick, int64_t count) = 0;
    virtual void log_densities(real *out) = 0;                   // (K, ld), of the loaded rows
    virtual void accumulate(const real *resp, int64_t ldr) = 0;  // (K, ldr), zero in the padding
    virtual void finish(double *stats) = 0;                      // adds what accumulate gathered
    virtual ~Tile() {}

    // Between record(loads) and record(0), what densities find of that many loads may be kept; between replay(true) and
    // replay(false), the same rows are loaded and accumulated in the same order.
    virtual void record(int64_t) {}
    virtual void replay(bool) {}

    // As accumulate, from where `densities` puts them; L (K, ld) is work space.
    virtual void accumulate_from(Place from, real *L) {
        for (int64_t i = 0; i < padded; i += V) {
            const real *row = from(i);
            for (int64_t k = 0; k < K; k++) store(L + k * ld + i, ::load(row + k * from.W));
        }
        accumulate(L, ld);
    }

    // As accumulate, from rows of responsibilities (n, Kp), zero beyond K; L (K, ld) is work space.
    virtual void accumulate_rows(const real *resp, int64_t Kp, real *L) {
        to_planes(resp, Kp, K, n, L, ld);
        accumulate(L, ld);
    }

    // Densities, each row's scaled to a largest of 1, and the logs of the scales (padded,). What is possible stays
    // positive, however small; a row of zeros has the scale -inf. L (K, ld) is work space.
    virtual void densities(real *L, Place out, real *scale) {
        log_densities(L);
        for (int64_t i = 0; i < padded; i += V) {
            vec m = ::load(L + i);
            for (int64_t k = 1; k < K; k++) m = vmax(m, ::load(L + k * ld + i));
            ivec none = m < IMPOSSIBLE;
            vec safe = none ? vec{} : m;
            real *to = out(i);
            for (int64_t k = 0; k < K; k++) {
                vec l = ::load(L + k * ld + i);
                store(to + k * out.W, l < IMPOSSIBLE ? vec{} : vmax(vexp(l - safe), splat(FAINT)));
            }
            store(scale + i, none ? splat(-INFINITY) : m);
        }
    }

  protected:
    Rows source{};  // what is loaded: rows of it, of which a part of a product sees some columns
    Pick picked{0, nullptr};
    Buffer high, low;  // (D,) the origin, in two parts to keep the digits of single precision

    void begin(const Rows &rows, Pick pick, int64_t count) {
        source = rows, picked = pick, n = count, padded = round_up(count, V);
    }

    // x (D, ld): the rows about the origin, zero in the padding.
    void columns(real *x) const {
        if (source.dtype == Dtype::f64) copy(static_cast<const double *>(source.data), x);
        else copy(static_cast<const float *>(source.data), x);
    }

    // x (n, Dp): the same row by row; what is beyond column D stays.
    void by_rows(real *x, int64_t Dp) const {
        if (source.dtype == Dtype::f64) copy_rows(static_cast<const double *>(source.data), x, Dp);
        else copy_rows(static_cast<const float *>(source.data), x, Dp);
    }

  private:
    typedef int64_t indices __attribute__((vector_size(V * sizeof(int64_t)), aligned(8), may_alias));

    template <class T>
    struct some {  // as many of T as a vector has lanes
        typedef T type __attribute__((vector_size(V * sizeof(T)), aligned(sizeof(T)), may_alias));
    };

    template <class T>
    void copy_rows(const T *from, real *x, int64_t Dp) const {
        const int64_t D = spec.D, stride = source.D;
        const real *h = high.data(), *l = low.data();
        for (int64_t i = 0; i < n; i++, x += Dp) {
            const T *row = from + picked(i) * stride;
            if (picked.index && i + AHEAD < n) ahead(from + picked(i + AHEAD) * stride, D);
            for (int64_t c = 0; c < D && D < V; c++) x[c] = (static_cast<real>(row[c]) - h[c]) - l[c];
            for (int64_t b = 0; b < D && D >= V; b += V) {
                const int64_t d = b + V <= D ? b : D - V;  // the last columns overlap those before
                store(x + d, (wide(row + d) - ::load(h + d)) - ::load(l + d));
            }
        }
    }

    template <class T>
    void copy(const T *from, real *__restrict x) const {
        const int64_t D = spec.D, stride = source.D;
        const real *h = high.data(), *l = low.data();
        for (int64_t i = D < V ? copy_lanes(from, x) : n; i < n; i++) {
            const T *row = from + picked(i) * stride;
            for (int64_t d = 0; d < D; d++) x[d * ld + i] = (static_cast<real>(row[d]) - h[d]) - l[d];
        }
        for (int64_t i = 0; i < padded && D >= V; i += V) {
            const T *row[V];
            for (int64_t j = 0; j < V; j++) row[j] = from + picked(i + j < n ? i + j : n - 1) * stride;
            for (int64_t j = i + AHEAD; j < i + AHEAD + V && j < n && picked.index; j++)
                ahead(from + picked(j) * stride, D);
            for (int64_t b = 0; b < D; b += V) {
                const int64_t d = b + V <= D ? b : D - V;
                block(row, d, ::load(h + d), ::load(l + d), x + d * ld + i);
            }
        }
        for (int64_t d = 0; d < D; d++)
            for (int64_t i = n; i < padded; i++) x[d * ld + i] = 0;
    }

    template <class T>
    int64_t copy_lanes(const T *from, real *x) const {  // of rows here and there, whole vectors; how many
        int64_t i = 0;
        if constexpr (std::is_same_v<T, real> && sizeof(real) == 8)
            for (; picked.index && i + V <= n; i += V) {
                const ivec at = *reinterpret_cast<const indices *>(picked.index + i) * source.D;
                for (int64_t d = 0; d < spec.D; d++) store(x + d * ld + i, (gather(from + d, at) - high[d]) - low[d]);
            }
        return i;
    }

    template <class T>
    void block(const T *const *row, int64_t d, vec h, vec l, real *x) const {  // V rows of V columns from d on
        vec r[V];
#pragma GCC unroll 16
        for (int64_t j = 0; j < V; j++) r[j] = (wide(row[j] + d) - h) - l;
        transpose(r);
#pragma GCC unroll 16
        for (int64_t c = 0; c < V; c++) store(x + c * ld, r[c]);
    }

    template <class T>
    static vec wide(const T *row) {
        return __builtin_convertvector(*reinterpret_cast<const typename some<T>::type *>(row), vec);
    }

    template <class T>
    static void ahead(const T *row, int64_t D) {  // rows here and there are not foreseen by the processor
        const char *at = reinterpret_cast<const char *>(row);
        for (int64_t l = 0; l < D * static_cast<int64_t>(sizeof(T)); l += 64) __builtin_prefetch(at + l);
    }
};

}  // namespace
