// Tiles that look densities up: rows that are log-densities already, and symbols.
#pragma once
#include "tile.hpp"

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

class TableTile final : public Tile {
    const int64_t Kp;
    Array<int32_t> symbols;
    Buffer linear, logs, top;  // (M, Kp) scaled to a largest of 1, (M, Kp), (M,)
    Array<double> sums;        // (M, Kp)

  public:
    explicit TableTile(const Spec &s)
        : Tile(s, 384),
          Kp(round_up(s.K, V)),
          symbols(size + V),
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
                const real p = static_cast<real>(std::exp(from[k] - t));
                linear[m * Kp + k] = never ? 0 : p > FAINT ? p : FAINT;
                logs[m * Kp + k] = never ? -INFINITY : static_cast<real>(from[k]);
            }
        }
    }
    void load(const Rows &rows, Pick pick, int64_t count) override {
        begin(rows, pick, count);
        const int32_t *from = static_cast<const int32_t *>(rows.data);
        for (int64_t i = 0; i < n; i++) symbols[i] = from[pick(i)];
        for (int64_t i = n; i < padded; i++) symbols[i] = symbols[0];
    }
    void log_densities(real *out) override {
        for (int64_t i = 0; i < padded; i += V) look_up(logs.data(), i, out + i, ld);
    }
    void densities(real *, Place out, real *scale) override {
        for (int64_t i = 0; i < padded; i += V) look_up(linear.data(), i, out(i), out.W);
        for (int64_t i = 0; i < padded; i++) scale[i] = top[symbols[i]];
    }
    void accumulate(const real *resp, int64_t ldr) override {
        for (int64_t i = 0; i < n; i += V)
            for (int64_t k0 = 0; k0 < Kp; k0 += V) {
                vec r[V];
#pragma GCC unroll 16
                for (int64_t k = 0; k < V; k++) r[k] = k0 + k < K ? ::load(resp + (k0 + k) * ldr + i) : vec{};
                transpose(r);
#pragma GCC unroll 16
                for (int64_t j = 0; j < V; j++) {  // padding has responsibility 0
                    double *to = sums + symbols[i + j] * Kp + k0;
                    for (int64_t l = 0; l < V; l++) to[l] += static_cast<double>(r[j][l]);
                }
            }
    }
    void finish(double *stats) override {
        for (int64_t m = 0; m < spec.M; m++)
            for (int64_t k = 0; k < K; k++) stats[k * spec.M + m] += sums[m * Kp + k];
    }

  private:
    void look_up(const real *table, int64_t i, real *out, int64_t ldo) const {
        for (int64_t k0 = 0; k0 < K; k0 += V) {
            vec r[V];
#pragma GCC unroll 16
            for (int64_t j = 0; j < V; j++) r[j] = ::load(table + symbols[i + j] * Kp + k0);
            transpose(r);
            for (int64_t k = 0; k < V && k0 + k < K; k++) store(out + (k0 + k) * ldo, r[k]);
        }
    }
};

}  // namespace
