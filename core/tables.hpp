// Tiles that look densities up: rows that are log-densities already, and symbols.
#pragma once
#include "tile.hpp"

namespace {

class DenseTile final : public Tile {  // the rows are log-densities
    const double *data = nullptr;

  public:
    explicit DenseTile(const Spec &s) : Tile(s, 384) {}
    void load(const Rows &rows, int64_t first, int64_t count) override {
        begin(count);
        data = static_cast<const double *>(rows.data) + first * K;
    }
    void log_densities(double *out) override {
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < K; k++) out[k * ld + i] = data[i * K + k];
        for (int64_t k = 0; k < K; k++)
            for (int64_t i = n; i < padded; i++) out[k * ld + i] = 0;
    }
    void accumulate(const double *) override {}
    void finish(double *) override {}
};

class TableTile final : public Tile {
    const int32_t *symbols = nullptr;
    Buffer linear, top, sums;  // (M, K) row-scaled, (M,), (M, K)

  public:
    explicit TableTile(const Spec &s) : Tile(s, 384), linear(s.M * s.K), top(s.M), sums(s.M * s.K) {
        for (int64_t m = 0; m < s.M; m++) {
            const double *row = s.weights + m * K;
            double t = row[0];
            for (int64_t k = 1; k < K; k++) t = row[k] > t ? row[k] : t;
            top[m] = t < IMPOSSIBLE ? -INFINITY : t;
            for (int64_t k = 0; k < K; k++)
                linear[m * K + k] = row[k] < IMPOSSIBLE ? 0 : std::fmax(std::exp(row[k] - t), 1e-300);
        }
    }
    void load(const Rows &rows, int64_t first, int64_t count) override {
        begin(count);
        symbols = static_cast<const int32_t *>(rows.data) + first;
    }
    void log_densities(double *out) override {
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < K; k++) out[k * ld + i] = spec.weights[symbols[i] * K + k];
        for (int64_t k = 0; k < K; k++)
            for (int64_t i = n; i < padded; i++) out[k * ld + i] = 0;
    }
    void densities(double *, double *rows, int64_t Kp, double *scale) override {
        for (int64_t i = 0; i < n; i++) {
            const double *row = linear + symbols[i] * K;
            for (int64_t k = 0; k < Kp; k++) rows[i * Kp + k] = k < K ? row[k] : 0;
            scale[i] = top[symbols[i]];
        }
    }
    void accumulate(const double *resp) override {
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < K; k++) sums[symbols[i] * K + k] += resp[k * ld + i];
    }
    void accumulate_rows(const double *rows, int64_t Kp, double *) override {
        for (int64_t i = 0; i < n; i++) {
            double *s = sums + symbols[i] * K;
            for (int64_t k = 0; k < K; k++) s[k] += rows[i * Kp + k];
        }
    }
    void finish(double *stats) override {
        for (int64_t m = 0; m < spec.M; m++)
            for (int64_t k = 0; k < K; k++) stats[k * spec.M + m] += sums[m * K + k];
    }
};

}  // namespace
