// Components that are mixtures themselves: M parts each, with one tile for all K M parts.
#pragma once
#include <memory>

#include "linalg/products.hpp"
#include "simd/math.hpp"
#include "tiles/replay.hpp"
#include "tiles/tile.hpp"

namespace {

class MixedTile final : public Tile {
    const std::unique_ptr<Tile> parts;
    const int64_t M;
    Kept<real> kept;
    real *shares, *wholes;  // (K M, ld): the density of each part, the state's largest being 1; (K, ld): their sum
    Buffer weights, most;   // most (K, ld): the logs of the largest
    const real *logweights;
    Sums masses;         // (K M, V)
    bool known = false;  // whether the shares of the loaded rows are there

  public:
    MixedTile(const Spec &s, std::unique_ptr<Tile> of_parts)
        : Tile(s, of_parts->size),
          parts(std::move(of_parts)),
          M(s.M),
          kept(s.K * (s.M + 1) * ld),
          most(s.K * ld),
          logweights(as_real(s.weights, s.K * s.M, weights)),
          masses(s.K * s.M * V) {}

    void load(const Rows &rows, Pick pick, int64_t count) override {
        begin(rows, pick, count);
        parts->load(rows, pick, count);
        shares = kept.next(), wholes = shares + K * M * ld, known = kept.known();
    }
    void record(int64_t loads) override { kept.record(loads); }
    void replay(bool on) override { kept.replay(on); }

    void log_densities(real *out) override {
        share();
        for (int64_t k = 0; k < K; k++)
            for (int64_t i = 0; i < padded; i += V)
                store(out + k * ld + i, ::load(most + k * ld + i) + vlog(::load(wholes + k * ld + i)));
    }

    void densities(real *, Place out, real *scale) override {  // from the sums, without their logs
        share();
        for (int64_t i = 0; i < padded; i += V) {
            vec top = ::load(most + i);
            for (int64_t k = 1; k < K; k++) top = vmax(top, ::load(most + k * ld + i));
            const ivec none = top < IMPOSSIBLE;
            const vec safe = none ? vec{} : top;
            real *to = out(i);
            for (int64_t k = 0; k < K; k++) {
                const vec own = ::load(most + k * ld + i), b = ::load(wholes + k * ld + i) * vexp(own - safe);
                store(to + k * out.W, own < IMPOSSIBLE ? vec{} : vmax(b, splat(FAINT)));
            }
            store(scale + i, none ? splat(-INFINITY) : top);
        }
    }

    void accumulate(const real *resp, int64_t ldr) override {  // what a state explains, shared out among its parts
        if (!known) share();
        known = false;
        real *mass = masses.over(n);
        for (int64_t k = 0; k < K; k++) {
            for (int64_t i = 0; i < padded; i += V)
                store(wholes + k * ld + i, ::load(resp + k * ldr + i) / ::load(wholes + k * ld + i));
            in_blocks<4>(M, [&](auto count, int64_t j) {
                explain<decltype(count)::value>(wholes + k * ld, shares + (k * M + j) * ld, mass + (k * M + j) * V);
            });
        }
        parts->accumulate(shares, ld);
    }

    void finish(double *stats) override {
        for (int64_t j = 0; j < K * M; j++) stats[j] += masses.lanes(j);
        parts->finish(stats + K * M);
    }

  private:
    template <int N>
    void explain(const real *r, real *p, real *mass) const {  // what N parts explain, and the sum of it
        vec sum[N];
#pragma GCC unroll 4
        for (int j = 0; j < N; j++) sum[j] = ::load(mass + j * V);
        for (int64_t i = 0; i < padded; i += V) {
            const vec whole = ::load(r + i);
#pragma GCC unroll 4
            for (int j = 0; j < N; j++) {
                const vec y = ::load(p + j * ld + i) * whole;
                store(p + j * ld + i, y);
                sum[j] += y;
            }
        }
#pragma GCC unroll 4
        for (int j = 0; j < N; j++) store(mass + j * V, sum[j]);
    }

    void share() {  // where a state is impossible, its parts are 0 and their sum is 1
        parts->log_densities(shares);
        for (int64_t k = 0; k < K; k++)
            for (int64_t i = 0; i < padded; i += V) {
                real *p = shares + k * M * ld + i;
                const real *w = logweights + k * M;
                vec top = splat(2 * IMPOSSIBLE), sum{};
                for (int64_t j = 0; j < M; j++) {
                    const vec l = ::load(p + j * ld) + w[j];
                    store(p + j * ld, l);
                    top = vmax(top, l);
                }
                for (int64_t j = 0; j < M; j++) {
                    const vec e = vexp(::load(p + j * ld) - top);
                    store(p + j * ld, e);
                    sum += e;
                }
                const ivec none = top < IMPOSSIBLE;
                store(most + k * ld + i, top);
                store(wholes + k * ld + i, none ? splat(1) : sum);
                if (above(splat(IMPOSSIBLE), top))
                    for (int64_t j = 0; j < M; j++) store(p + j * ld, none ? vec{} : ::load(p + j * ld));
            }
        known = true;
    }
};

}  // namespace
