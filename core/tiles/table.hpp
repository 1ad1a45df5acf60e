// Tiles that look densities up: rows that are log-densities already, and symbols.
#pragma once
#include "tiles/replay.hpp"
#include "tiles/tile.hpp"

namespace {

class DenseTile final : public Tile {  // the rows are log-densities
  public:
    explicit DenseTile(const Spec &s) : Tile(s, 384) {}
    void load(const Rows &rows, Pick pick, int64_t count) override { begin(rows, pick, count); }
    void log_densities(real *out) override {
        for (int64_t i = 0; i < n; i++) {
            const double *row = static_cast<const double *>(source.data) + picked(i) * K;
            for (int64_t k = 0; k < K; k++) out[k * ld + i] = static_cast<real>(row[k]);
        }
        for (int64_t k = 0; k < K; k++)
            for (int64_t i = n; i < padded; i++) out[k * ld + i] = 0;
    }
    void accumulate(const real *, int64_t) override {}
    void finish(double *) override {}
};

class TableTile final : public Tile {  // each of D columns holds a row number of the table
    const int64_t Kp;
    Kept<int32_t> kept;
    int32_t *symbols;          // (D, ld)
    Buffer linear, logs, top;  // (M, Kp) scaled to a largest of 1, (M, Kp), (M,)
    Array<double> sums;        // (M, Kp)

  public:
    explicit TableTile(const Spec &s)
        : Tile(s, 384),
          Kp(round_up(s.K, V)),
          kept(s.D * ld),
          linear(s.M * Kp),
          logs(s.M * Kp),
          top(s.M),
          sums(s.M * Kp) {
        for (int64_t m = 0; m < s.M; m++) {
            const double *from = s.weights + m * K;
            double t = from[0];
            for (int64_t k = 1; k < K; k++) t = from[k] > t ? from[k] : t;
            top[m] = t <= -1e290 ? -INFINITY : static_cast<real>(t);
            for (int64_t k = 0; k < K; k++) {
                const bool never = from[k] <= -1e290;
                linear[m * Kp + k] = never ? -INFINITY : static_cast<real>(std::fmax(from[k] - t, -1e4));
                logs[m * Kp + k] = never ? -INFINITY : static_cast<real>(from[k]);
            }
            for (int64_t k = 0; k < K; k += V) {
                const vec x = ::load(linear + m * Kp + k);
                store(linear + m * Kp + k, x < IMPOSSIBLE ? vec{} : vmax(vexp(x), splat(FAINT)));
            }
        }
    }
    void record(int64_t loads) override { kept.record(loads); }
    void replay(bool on) override { kept.replay(on); }
    void load(const Rows &rows, Pick pick, int64_t count) override {
        begin(rows, pick, count);
        symbols = kept.next();
        if (kept.known()) return;
        if (rows.dtype == Dtype::i32) read(static_cast<const int32_t *>(rows.data));
        else read(static_cast<const double *>(rows.data));
    }
    void log_densities(real *out) override {
        for (int64_t i = 0; i < padded; i += V) look_up(logs.data(), symbols + i, out + i, ld);
        for (int64_t d = 1; d < spec.D; d++)
            for (int64_t i = 0; i < padded; i += V) look_up<true>(logs.data(), symbols + d * ld + i, out + i, ld);
    }
    void densities(real *L, Place out, real *scale) override {
        if (spec.D > 1) return Tile::densities(L, out, scale);
        for (int64_t i = 0; i < padded; i += V) look_up(linear.data(), symbols + i, out(i), out.W);
        for (int64_t i = 0; i < padded; i++) scale[i] = top[symbols[i]];
    }
    void accumulate(const real *resp, int64_t ldr) override {
        for (int64_t i = 0; i < n; i += V) count(i, resp + i, ldr);
    }
    void accumulate_from(Place from, real *) override {
        for (int64_t i = 0; i < n; i += V) count(i, from(i), from.W);
    }
    void finish(double *stats) override {
        for (int64_t m = 0; m < spec.M; m++)
            for (int64_t k = 0; k < K; k++) stats[k * spec.M + m] += sums[m * Kp + k];
    }

  private:
    // Adds the responsibilities of the vector of rows at i, which are 0 in the padding; the states are ldr apart.
    void count(int64_t i, const real *resp, int64_t ldr) {
        for (int64_t k0 = 0; k0 < Kp; k0 += V) {
            vec r[V];
#pragma GCC unroll 16
            for (int64_t k = 0; k < V; k++) r[k] = k0 + k < K ? ::load(resp + (k0 + k) * ldr) : vec{};
            transpose(r);
            for (int64_t d = 0; d < spec.D; d++)
#pragma GCC unroll 16
                for (int64_t j = 0; j < V; j++) add(sums + symbols[d * ld + i + j] * Kp + k0, r[j]);
        }
    }

    // Rows are checked before; those that change meanwhile must not lead out of the table.
    template <class T>
    int32_t symbol(T x) const {
        const T last = static_cast<T>(spec.M - 1);
        return x > 0 ? static_cast<int32_t>(x < last ? x : last) : 0;
    }

    template <class T>
    void read(const T *from) {
        for (int64_t d = 0; d < spec.D; d++) {
            int32_t *to = symbols + d * ld;
            for (int64_t i = 0; i < n; i++) to[i] = symbol(from[picked(i) * source.D + d]);
            for (int64_t i = n; i < padded; i++) to[i] = to[0];
        }
    }

    template <bool ADD = false>
    void look_up(const real *table, const int32_t *rows, real *out, int64_t ldo) const {
        for (int64_t k0 = 0; k0 < K; k0 += V) {
            vec r[V];
#pragma GCC unroll 16
            for (int64_t j = 0; j < V; j++) r[j] = ::load(table + rows[j] * Kp + k0);
            transpose(r);
            for (int64_t k = 0; k < V && k0 + k < K; k++) {
                real *to = out + (k0 + k) * ldo;
                store(to, ADD ? ::load(to) + r[k] : r[k]);
            }
        }
    }
};

}  // namespace
