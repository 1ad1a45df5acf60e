// Emissions as a tile of rows sees them: densities for the latent part, then statistics from responsibilities.
#pragma once
#include "product.hpp"

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

// The log-densities p (K, ld) at one vector of rows, with their weights, become shares of `whole`: 0 where below what
// counts, as it is where nothing is possible. Returns the logarithm of their sum; the first `count` of near (K,) are
// the components with a share.
inline vec share_out(int64_t K, int64_t ld, const real *logweights, vec whole, real *p, int64_t *near, int64_t *count) {
    vec m = splat(-INFINITY), z{};
    for (int64_t k = 0; k < K; k++) {
        const vec l = load(p + k * ld) + logweights[k];
        store(p + k * ld, l);
        m = vmax(m, l);
    }
    const ivec none = m < IMPOSSIBLE;
    const vec safe = none ? vec{} : m;
    int64_t n = 0;
    for (int64_t k = 0; k < K; k++) {
        const vec x = load(p + k * ld) - safe;
        const bool some = above(x, splat(NEGLIGIBLE));
        store(p + k * ld, some ? x : vec{});
        near[n] = k;
        n += some;
    }
    for (int64_t j = 0; j < n; j++) {
        const vec e = vexp(load(p + near[j] * ld));
        store(p + near[j] * ld, e);
        z += e;
    }
    const vec scale = none ? vec{} : whole / z;
    for (int64_t j = 0; j < n; j++) store(p + near[j] * ld, load(p + near[j] * ld) * scale);
    *count = n;
    return none ? splat(-INFINITY) : m + vlog(z);
}

// What a tile keeps of loaded rows for the statistics of the same rows: a chunk for each load between record and
// replay.
template <class T>
class Kept {
    static constexpr int64_t MOST = 32 << 20;  // bytes
    Array<T> room;                             // the first chunk is of what is not kept
    const int64_t chunk;
    enum { forgets, records, replays } mode = forgets;
    int64_t at = 0, recorded = 0;

  public:
    explicit Kept(int64_t size) : chunk(size) { room.grow(size); }
    void record(int64_t loads) {
        if (loads) recorded = at = 0;
        mode = loads && loads * chunk * static_cast<int64_t>(sizeof(T)) <= MOST ? records : forgets;
        if (mode == records) room.grow((1 + loads) * chunk);
    }
    void replay(bool on) { mode = on && recorded ? replays : forgets, at = 0; }
    T *next() {  // the chunk of rows that are loaded now
        if (mode == forgets) return room.data();
        at++;
        if (mode == records) recorded = at;
        return room + at * chunk;
    }
    bool known() const { return mode == replays; }  // whether it has been filled
};

// The transpose of `from` (R, C) into `to` (C, width), zero beyond column R; V rows of V columns at a time.
inline void transposed(const real *from, int64_t stride, int64_t R, int64_t C, real *to, int64_t to_stride,
                       int64_t width) {
    for (int64_t c = 0; c < C; c += V)
        for (int64_t r0 = 0; r0 < width; r0 += V) {
            const real *in = from + r0 * stride + c;
            real *out = to + c * to_stride + r0;
            const int64_t here = R - r0 < V ? R - r0 : V, count = C - c < V ? C - c : V;
            vec v[V];
            if (here == V)
#pragma GCC unroll 16
                for (int64_t r = 0; r < V; r++) v[r] = load(in + r * stride);
            else
                for (int64_t r = 0; r < V; r++) v[r] = r < here ? load(in + r * stride) : vec{};
            transpose(v);
            if (count == V)
#pragma GCC unroll 16
                for (int64_t r = 0; r < V; r++) store(out + r * to_stride, v[r]);
            else
                for (int64_t r = 0; r < count; r++) store(out + r * to_stride, v[r]);
        }
}

// Planes (K, ld) to rows (n, Kp), zero beyond K.
inline void to_rows(const real *planes, int64_t ld, int64_t K, int64_t n, real *rows, int64_t Kp) {
    transposed(planes, ld, K, n, rows, Kp, Kp);
}

// Rows (n, Kp) to planes (K, ld), zero in the padding.
inline void to_planes(const real *rows, int64_t Kp, int64_t K, int64_t n, real *planes, int64_t ld) {
    transposed(rows, Kp, n, K, planes, ld, round_up(n, V));
}

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
