// Rows whose states are known, or partly known: what is not allowed is impossible.
#pragma once
#include <memory>

#include "tiles/tile.hpp"

namespace {

class KnownTile final : public Tile {
    const std::unique_ptr<Tile> inner;

  public:
    explicit KnownTile(std::unique_ptr<Tile> of_rows) : Tile(of_rows->spec, of_rows->size), inner(std::move(of_rows)) {}

    void load(const Rows &rows, Pick pick, int64_t count) override {
        begin(rows, pick, count);
        inner->load(rows, pick, count);
    }
    void record(int64_t loads) override { inner->record(loads); }
    void replay(bool on) override { inner->replay(on); }
    void accumulate(const real *resp, int64_t ldr) override { inner->accumulate(resp, ldr); }
    void accumulate_rows(const real *resp, int64_t Kp, real *L) override { inner->accumulate_rows(resp, Kp, L); }
    void finish(double *stats) override { inner->finish(stats); }

    void log_densities(real *out) override {
        inner->log_densities(out);
        for (int64_t i = 0; i < n; i++) {
            const uint8_t *allowed = source.allowed + picked(i) * K;
            for (int64_t k = 0; k < K; k++)
                if (!allowed[k]) out[k * ld + i] = 2 * IMPOSSIBLE;
        }
    }
};

}  // namespace
