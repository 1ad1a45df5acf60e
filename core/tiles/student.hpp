// Student-t components: a Gaussian tile gives the distance of each row to each component.
#pragma once
#include <memory>

#include "simd/math.hpp"
#include "tiles/replay.hpp"
#include "tiles/tile.hpp"

namespace {

// weights (K, 5): the Gaussian's log-density at its mean, that of the t, its degrees of freedom, the power of
// 1 + distance / dofs, and what to add to log u - u in the statistics.
class StudentTile final : public Tile {
    const std::unique_ptr<Tile> gaussian;
    Kept<real> kept;
    real *u, *log_u;  // (K, ld): the expected scale of each row and its logarithm
    Buffer weights;
    const real *w;
    Sums sums;           // (2 K, V): mass, then log u - u + the constant
    bool known = false;  // whether u is that of the loaded rows

  public:
    StudentTile(const Spec &s, std::unique_ptr<Tile> of_gaussian)
        : Tile(s, of_gaussian->size),
          gaussian(std::move(of_gaussian)),
          kept(2 * s.K * ld),
          w(as_real(s.weights, 5 * s.K, weights)),
          sums(2 * s.K * V) {}
    void record(int64_t loads) override { kept.record(loads); }
    void replay(bool on) override { kept.replay(on); }

    void load(const Rows &rows, Pick pick, int64_t count) override {
        begin(rows, pick, count);
        gaussian->load(rows, pick, count);
        u = kept.next(), log_u = u + K * ld, known = kept.known();
    }

    void log_densities(real *out) override {
        gaussian->log_densities(out);
        for (int64_t k = 0; k < K; k++) {
            const real *p = w + 5 * k, dofs = p[2], most = (dofs + static_cast<real>(spec.D)) / dofs;
            const vec log_most = vlog(splat(most));
            for (int64_t i = 0; i < padded; i += V) {
                const vec apart = vmax(real(2) * (p[0] - ::load(out + k * ld + i)), vec{});
                const vec z = apart / dofs, x = real(1) + z, by = real(1) / x;
                const vec lost = z < real(1) ? z - (x - real(1)) : vec{};  // by rounding 1 + z: many dofs want it
                const vec log_x = vlog(x) + lost * by;
                store(out + k * ld + i, p[1] - p[3] * log_x);
                store(u + k * ld + i, most * by);
                store(log_u + k * ld + i, log_most - log_x);
            }
        }
        known = true;
    }

    void accumulate(const real *resp, int64_t ldr) override {  // rows weigh less the further out they are
        if (!known) {
            again.grow(K * ld);
            log_densities(again.data());
        }
        known = false;
        real *sum = sums.over(n);
        for (int64_t k = 0; k < K; k++) {
            vec mass = ::load(sum + k * V), scale = ::load(sum + (K + k) * V);
            for (int64_t i = 0; i < padded; i += V) {
                const vec r = ::load(resp + k * ldr + i), y = ::load(u + k * ld + i);
                mass += r;
                scale += r * (::load(log_u + k * ld + i) - y + w[5 * k + 4]);
                store(u + k * ld + i, r * y);
            }
            store(sum + k * V, mass);
            store(sum + (K + k) * V, scale);
        }
        gaussian->accumulate(u, ld);
    }

    void finish(double *stats) override {
        for (int64_t j = 0; j < 2 * K; j++) stats[j] += sums.lanes(j);
        gaussian->finish(stats + 2 * K);
    }

  private:
    Buffer again;
};

}  // namespace
