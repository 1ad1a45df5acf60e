// Components that are mixtures themselves: M parts each, with one tile for all K M parts.
#pragma once
#include <memory>

#include "tile.hpp"

namespace {

class MixedTile final : public Tile {
    static constexpr int64_t MOST = 32 << 20;  // bytes of shares to keep
    const std::unique_ptr<Tile> parts;
    const int64_t M, chunk;  // reals of a tile's shares
    Buffer kept,
        shares;  // (K M, ld) a tile: of each part in what its state explains; first work space, then those kept
    const real *logweights;
    Array<int64_t> near;  // (M,) work space
    Sums masses;          // (K M, V)
    enum { forgets, records, replays } mode = forgets;
    int64_t at = 0, recorded = 0;  // the tile on, those kept
    bool known = false;            // whether the shares of the loaded rows are there

  public:
    MixedTile(const Spec &s, Tile *of_parts)
        : Tile(s, of_parts->size),
          parts(of_parts),
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

    void record(int64_t columns) override {
        const int64_t tiles = (columns + size - 1) / size;
        mode = columns && tiles * chunk * static_cast<int64_t>(sizeof(real)) <= MOST ? records : forgets;
        if (mode == records) shares.grow((1 + tiles) * chunk);
        if (columns) at = recorded = 0;
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
        vec m = splat(-INFINITY), z{};
        for (int64_t j = 0; j < M; j++) {
            const vec l = ::load(p + j * ld) + logweights[k * M + j];
            store(p + j * ld, l);
            m = vmax(m, l);
        }
        const ivec none = m < IMPOSSIBLE;
        const vec safe = none ? vec{} : m;
        int64_t count = 0;
        for (int64_t j = 0; j < M; j++) {
            const vec x = ::load(p + j * ld) - safe;
            const bool some = above(x, splat(NEGLIGIBLE));
            store(p + j * ld, some ? x : vec{});
            near[count] = j;
            count += some;
        }
        for (int64_t j = 0; j < count; j++) {
            const vec e = vexp(::load(p + near[j] * ld));
            store(p + near[j] * ld, e);
            z += e;
        }
        const vec scale = none ? vec{} : 1 / z;
        for (int64_t j = 0; j < count; j++) store(p + near[j] * ld, ::load(p + near[j] * ld) * scale);
        return none ? splat(-INFINITY) : m + vlog(z);
    }
};

}  // namespace
