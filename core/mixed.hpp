// Components that are mixtures themselves: M parts each, with one tile for all K M parts.
#pragma once
#include <memory>

#include "tile.hpp"

namespace {

class MixedTile final : public Tile {
    const std::unique_ptr<Tile> parts;
    const int64_t M;
    Buffer kept, joint;  // (K M, ld): log-densities of the parts with their weights, then responsibilities
    const real *logweights;
    Sums masses;  // (K M, V)

  public:
    MixedTile(const Spec &s, Tile *of_parts)
        : Tile(s, of_parts->size),
          parts(of_parts),
          M(s.M),
          joint(s.K * s.M * ld),
          logweights(as_real(s.weights, s.K * s.M, kept)),
          masses(s.K * s.M * V) {}

    void load(const Rows &rows, Pick pick, int64_t count) override {
        begin(rows, pick, count);
        parts->load(rows, pick, count);
    }

    void log_densities(real *out) override {
        parts->log_densities(joint.data());
        for (int64_t k = 0; k < K; k++)
            for (int64_t i = 0; i < padded; i += V) {
                const vec m = largest(k, i);
                vec z{};
                for (int64_t j = k * M; j < (k + 1) * M; j++) z += vexp(::load(joint + j * ld + i) - safe(m));
                store(out + k * ld + i, m < IMPOSSIBLE ? splat(-INFINITY) : m + vlog(z));
            }
    }

    void accumulate(const real *resp, int64_t ldr) override {  // what a state explains, shared out among its parts
        parts->log_densities(joint.data());
        real *mass = masses.over(n);
        for (int64_t k = 0; k < K; k++)
            for (int64_t i = 0; i < padded; i += V) {
                const vec m = largest(k, i);
                vec z{};
                for (int64_t j = k * M; j < (k + 1) * M; j++) {
                    const vec e = vexp(::load(joint + j * ld + i) - safe(m));
                    store(joint + j * ld + i, e);
                    z += e;
                }
                const vec scale = m < IMPOSSIBLE ? vec{} : ::load(resp + k * ldr + i) / z;
                for (int64_t j = k * M; j < (k + 1) * M; j++) {
                    const vec r = ::load(joint + j * ld + i) * scale;
                    store(joint + j * ld + i, r);
                    store(mass + j * V, ::load(mass + j * V) + r);
                }
            }
        parts->accumulate(joint.data(), ld);
    }

    void finish(double *stats) override {
        for (int64_t j = 0; j < K * M; j++) stats[j] += masses.lanes(j);
        parts->finish(stats + K * M);
    }

  private:
    static vec safe(vec m) { return m < IMPOSSIBLE ? vec{} : m; }

    vec largest(int64_t k, int64_t i) {  // of state k's parts, after their weights are added
        vec m = splat(-INFINITY);
        for (int64_t j = k * M; j < (k + 1) * M; j++) {
            const vec l = ::load(joint + j * ld + i) + logweights[j];
            store(joint + j * ld + i, l);
            m = vmax(m, l);
        }
        return m;
    }
};

}  // namespace
