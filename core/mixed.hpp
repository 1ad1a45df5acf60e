// Components that are mixtures themselves: M parts each, with one tile for all K M parts.
#pragma once
#include <memory>

#include "tile.hpp"

namespace {

class MixedTile final : public Tile {
    const std::unique_ptr<Tile> parts;
    const int64_t M;
    Kept<real> kept;
    real *shares;  // (K M, ld): of each part in what its state explains
    Buffer weights;
    const real *logweights;
    Array<int64_t> near;  // (M,) work space
    Sums masses;          // (K M, V)
    bool known = false;   // whether the shares of the loaded rows are there

  public:
    MixedTile(const Spec &s, std::unique_ptr<Tile> of_parts)
        : Tile(s, of_parts->size),
          parts(std::move(of_parts)),
          M(s.M),
          kept(s.K * s.M * ld),
          logweights(as_real(s.weights, s.K * s.M, weights)),
          near(s.M),
          masses(s.K * s.M * V) {}

    void load(const Rows &rows, Pick pick, int64_t count) override {
        begin(rows, pick, count);
        parts->load(rows, pick, count);
        shares = kept.next(), known = kept.known();
    }
    void record(int64_t loads) override { kept.record(loads); }
    void replay(bool on) override { kept.replay(on); }

    void log_densities(real *out) override {
        parts->log_densities(shares);
        for (int64_t k = 0; k < K; k++)
            for (int64_t i = 0; i < padded; i += V) store(out + k * ld + i, share(k, shares + k * M * ld + i));
        known = true;
    }

    void accumulate(const real *resp, int64_t ldr) override {  // what a state explains, shared out among its parts
        real *r = shares;
        if (!known) {
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
