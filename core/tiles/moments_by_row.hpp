// Moments component by component, from the rows that matter to it: of many components, few have part in a row.
#pragma once
#include "linalg/products.hpp"
#include "tiles/tile.hpp"

namespace {

constexpr real NEXT_TO_NOTHING = real(1e-20);  // of a component's largest responsibility in a tile

// The rows that matter to each component, with their responsibilities: of component k from begin[k] up to begin[k + 1].
struct Pairs {
    Array<int64_t> begin;  // (K + 1,)
    Array<int32_t> row;
    Buffer resp;
    Pairs(int64_t K, int64_t rows) : begin(K + 1) { row.grow(K * rows + 16), resp.grow(K * rows + V); }
};

// Masses, first moments and second ones (products of columns, or squares), about `means` (K, D) or zero.
class RowMoments {
    static constexpr int WIDEST = ACCUMULATORS > 16 ? 6 : 4;                // vectors of a row of squares
    static constexpr int MR = ACCUMULATORS / 3 < V ? ACCUMULATORS / 3 : V;  // rows of a block of products
    const bool products;
    const int64_t K, D, size;

  public:
    const int64_t Dp;  // columns in whole vectors
    Buffer rows;       // (size, Dp): the rows of a tile, zero beyond column D
    Pairs pairs;

  private:
    const int64_t per;  // sums of a component
    const double *means;
    Buffer some, scaled, mu;  // (size, Dp): those of a component, plain and times responsibility; (Dp,)
    Sums sums;                // (K, per)
    Array<int64_t> added;     // (K,): rows

  public:
    RowMoments(const Spec &s, bool products_, const double *about, int64_t tile_rows)
        : products(products_),
          K(s.K),
          D(s.D),
          size(tile_rows),
          Dp(round_up(s.D, V)),
          pairs(K, size),
          per(V + Dp + (products ? Dp * Dp : Dp)),
          means(about),
          mu(Dp),
          sums(K * per),
          added(K) {
        rows.grow(size * Dp);
        for (int64_t i = 0; i < size && Dp > D; i++) store(rows + (i + 1) * Dp - V, vec{});
        some.grow(products ? size * Dp : 0), scaled.grow(products ? size * Dp : 0);
    }

    // Multiply-adds for a row and a component, in vectors, about.
    int64_t work() const { return products ? Dp * (D + 2 * V) / (2 * V) + 8 * Dp / V : 4 * Dp / V + 4; }

    // Finds what matters of responsibilities (K, ldr); false if that is more than `limit` of them.
    bool select(const real *resp, int64_t ldr, int64_t padded, int64_t limit) {
        int64_t c = 0;
        for (int64_t k = 0; k < K; k++, resp += ldr) {
            const vec least = splat(largest(resp, padded) * NEXT_TO_NOTHING);
            for (int64_t i = 0; i < padded; i += V)
                c += which(above(load(resp + i), least), static_cast<int32_t>(i), pairs.row + c);
            for (int64_t j = pairs.begin[k]; j < c; j++) pairs.resp[j] = resp[pairs.row[j]];
            if (c > limit) return false;
            pairs.begin[k + 1] = c;
        }
        return true;
    }

    void add() {  // the moments of the pairs
        for (int64_t k = 0; k < K; k++) {
            const int64_t first = pairs.begin[k], count = pairs.begin[k + 1] - first;
            if (!count) continue;
            for (int64_t d = 0; means && d < D; d++) mu[d] = static_cast<real>(means[k * D + d]);
            component(pairs.resp + first, pairs.row + first, count, sums.over(count, added[k], k * per, per));
        }
    }

    double mass(int64_t k) const { return sums[k * per]; }
    double first(int64_t k, int64_t i) const { return sums[k * per + V + i]; }
    double second(int64_t k, int64_t i, int64_t j) const {  // i <= j; squares: i = j
        return sums[k * per + V + Dp + (products ? i * Dp + j : i)];
    }

  private:
    static real largest(const real *r, int64_t padded) {
        vec a{}, b{}, c{}, d{};  // which do not wait for each other
        int64_t i = 0;
        for (; i + 4 * V <= padded; i += 4 * V) {
            a = vmax(a, load(r + i)), b = vmax(b, load(r + i + V));
            c = vmax(c, load(r + i + 2 * V)), d = vmax(d, load(r + i + 3 * V));
        }
        for (; i < padded; i += V) a = vmax(a, load(r + i));
        const vec top = vmax(vmax(a, b), vmax(c, d));
        real most = 0;
        for (int l = 0; l < V; l++) most = top[l] > most ? top[l] : most;
        return most;
    }

    void component(const real *r, const int32_t *list, int64_t n, real *to) {
        real mass_ = 0;
        for (int64_t i = 0; i < n; i++) mass_ += r[i];
        to[0] += mass_;
        if (!products)
            return in_blocks<WIDEST>(Dp / V, [&](auto width, int64_t j) {
                constexpr int NR = decltype(width)::value;
                if (means) squares<NR, true>(r, list, n, j * V, to + V);
                else squares<NR, false>(r, list, n, j * V, to + V);
            });
        gather(r, list, n, to + V);
        for (int64_t i = 0; i < D; i += MR)
            in_blocks<3>(Dp / V - i / V, [&](auto width, int64_t j) {
                const int64_t column = (i / V + j) * V;
                block<decltype(width)::value>(n, some + i, scaled + column, to + V + Dp + i * Dp + column);
            });
    }

    template <int NR, bool CENTRED>
    void squares(const real *r, const int32_t *list, int64_t n, int64_t d, real *to) const {
        vec a[NR], b[NR], m[NR];
#pragma GCC unroll 8
        for (int j = 0; j < NR; j++) a[j] = b[j] = vec{}, m[j] = load(mu + d + j * V);
        for (int64_t i = 0; i < n; i++)
#pragma GCC unroll 8
            for (int j = 0; j < NR; j++) {
                const vec x = load(rows + list[i] * Dp + d + j * V), v = CENTRED ? x - m[j] : x, w = v * r[i];
                a[j] += w, b[j] += w * v;
            }
        for (int j = 0; j < NR; j++) {
            real *at = to + d + j * V;
            store(at, load(at) + a[j]), store(at + Dp, load(at + Dp) + b[j]);
        }
    }

    void gather(const real *r, const int32_t *list, int64_t n, real *to) const {
        for (int64_t d = 0; d < Dp; d += V) {
            const vec m = load(mu + d);
            vec s = load(to + d);
            for (int64_t i = 0; i < n; i++) {
                const vec v = load(rows + list[i] * Dp + d) - m, w = v * r[i];
                store(some + i * Dp + d, v), store(scaled + i * Dp + d, w);
                s += w;
            }
            store(to + d, s);
        }
    }

    template <int NR>
    void block(int64_t n, const real *a, const real *b, real *s) const {
        vec c[MR][NR];
        for (int i = 0; i < MR; i++)
            for (int j = 0; j < NR; j++) c[i][j] = load(s + i * Dp + j * V);
        for (int64_t row = 0; row < n; row++, a += Dp, b += Dp) {
            vec v[NR];
            for (int j = 0; j < NR; j++) v[j] = load(b + j * V);
            for (int i = 0; i < MR; i++)
                for (int j = 0; j < NR; j++) c[i][j] += a[i] * v[j];
        }
        for (int i = 0; i < MR; i++)
            for (int j = 0; j < NR; j++) store(s + i * Dp + j * V, c[i][j]);
    }
};

}  // namespace
