// Components that are mixtures themselves: M parts each, with one tile for all K M parts.
#pragma once
#include <memory>

#include "tile.hpp"

namespace {

class MixedTile final : public Tile {
    static constexpr int64_t MOST = 32 << 20;  // bytes of shares to keep
    const std::unique_ptr<Tile> parts;
    const int64_t M, chunk;  // reals of a tile's shares
    // shares: (K M, ld) a tile: of each part in what its state explains; first work space, then those kept
    Buffer kept, shares;
    const real *logweights;
    Array<int64_t> near;  // (M,) work space
    Sums masses;          // (K M, V)
    enum { forgets, records, replays } mode = forgets;
    int64_t at = 0, recorded = 0;  // the tile on, those kept
    bool known = false;            // whether the shares of the loaded rows are there

  public:
    MixedTile(const Spec &s, std::unique_ptr<Tile> of_parts)
        : Tile(s, of_parts->size),
          parts(std::move(of_parts)),
          M(s.M),
          chunk(s.K * s.M * ld),
          logweights(as_real(s.weights, s.K * s.M, kept)),
          near(s.M),
          masses(s.K * s.M * V) {
        shares.grow(chunk);
    }

    void load(const Rows &rows, Pick pick, int64_t count) override {
        begin(rows, pick, count);
        parts->load(rows, pick, count);
        known = false;
    }

    void record(int64_t tiles) override {
        mode = tiles && tiles * chunk * static_cast<int64_t>(sizeof(real)) <= MOST ? records : forgets;
        if (mode == records) shares.grow((1 + tiles) * chunk);
        if (tiles) at = recorded = 0;
    }
    void replay(bool on) override { mode = on && recorded ? replays : forgets, at = 0; }

    void log_densities(real *out) override {
        real *to = shares + (mode == records ? 1 + at : 0) * chunk;
        parts->log_densities(to);
        for (int64_t k = 0; k < K; k++)
            for (int64_t i = 0; i < padded; i += V) store(out + k * ld + i, share(k, to + k * M * ld + i));
        known = true;
        if (mode == records) recorded = ++at;
    }

    void accumulate(const real *resp, int64_t ldr) override {  // what a state explains, shared out among its parts
        real *r = shares + (mode == replays ? ++at : 0) * chunk;
        if (mode != replays && !known) {
            parts->log_densities(r);
            for (int64_t k = 0; k < K; k++)
                for (int64_t i = 0; i < padded; i += V) share(k, r + k * M * ld + i);
        }
        known = false;
        real *mass = masses.over(n);
        for (int64_t j = 0; j < K * M; j++) {
            vec sum = ::load(mass + j * V);
            for (int64_t i = 0; i < padded; i += V) {
                const vec y = ::load(r + j * ld + i) * ::load(resp + j / M * ldr + i);
                store(r + j * ld + i, y);
                sum += y;
            }
            store(mass + j * V, sum);
        }
        parts->accumulate(r, ld);
    }

    void finish(double *stats) override {
        for (int64_t j = 0; j < K * M; j++) stats[j] += masses.lanes(j);
        parts->finish(stats + K * M);
    }

  private:
    // Log-densities of state k's parts (M, ld) become their shares; the state's log-density.
    vec share(int64_t k, real *p) {
        int64_t count;
        return share_out(M, ld, logweights + k * M, splat(1), p, near.data(), &count);
    }
};

}  // namespace
